//! [`Acl`]: the first rule that holds a peer decides.

use super::embedded::{Mechanism, embedded};
use super::map::MOST;
use super::ranges::{Cut, Lookup, NONE, Order, cut};
use super::rule::{Prefix, Rule, Verdict};
use super::warning::{self, Warning};
use crate::{Endpoint, Zone, nat64};
use ipnet::IpNet;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr};
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU64, Ordering};

/// An ordered list of rules: the first that holds a peer decides, and who is held by none is denied. So the
/// empty list denies all.
///
/// See the [module's page](super) for its text, and for what it does with zones and with IPv4 addresses
/// inside IPv6 ones.
///
/// Made once, then only read, by any number of threads. The text of an `Acl` (`to_string`) reads back as the
/// same list.
pub struct Acl {
    rules: Box<[Rule]>,
    /// Where each rule stood in a text; empty where there was none.
    lines: Box<[usize]>,
    /// How often each rule has decided; the last is for no rule.
    hits: Box<[AtomicU64]>,
    /// The rules without a zone.
    lookup: Lookup,
    zones: Box<[ZoneRules]>,
    nat64: Box<[nat64::Prefix]>,
    warnings: Box<[Warning]>,
}

/// The rules of one zone.
#[derive(Clone)]
struct ZoneRules {
    zone: Zone,
    all: Lookup,
    denying: Lookup,
}

impl Acl {
    /// A list of rules. What in it looks like a mistake is in [`warnings`](Self::warnings).
    ///
    /// # Panics
    /// With more than 268 435 456 prefixes, which take 20 gigabytes.
    pub fn new(rules: impl IntoIterator<Item = Rule>) -> Self {
        Self::build(rules.into_iter().collect(), Box::new([]))
    }

    pub(super) fn with_lines(rules: Vec<(Rule, usize)>) -> Self {
        let (rules, lines): (Vec<_>, Vec<_>) = rules.into_iter().unzip();
        Self::build(rules.into(), lines.into())
    }

    fn build(rules: Box<[Rule]>, lines: Box<[usize]>) -> Self {
        let all: Vec<(Prefix, u32)> = (0..)
            .zip(&rules)
            .flat_map(|(place, rule)| rule.prefixes().iter().map(move |&p| (p, place)))
            .collect();
        assert!(all.len() <= MOST, "a list holds {MOST} prefixes at most");
        // First by prefix, to see which of them never decide; then by rule.
        let of_rule = |cut: Cut| -> Cut {
            let mut merged: Cut = Vec::with_capacity(cut.len());
            for (end, prefix) in cut {
                let rule = all.get(prefix as usize).map_or(NONE, |&(_, rule)| rule);
                match merged.last_mut() {
                    Some(last) if last.1 == rule => last.0 = end,
                    _ => merged.push((end, rule)),
                }
            }
            merged
        };
        let zoneless =
            (0..).zip(&all).filter(|(_, (p, _))| p.zone().is_none()).map(|(id, (p, _))| (p.net(), id));
        let (v4, v6) = cut(zoneless, Order::First);
        let warnings = warning::find(&rules, &all, &v4, &v6);
        let zones = warning::by_zone(&all, |&(prefix, rule), _| (prefix.net(), rule));
        let zones = zones.into_iter().map(|(zone, prefixes)| {
            let of = |prefixes: Vec<(IpNet, u32)>| {
                Lookup::new(&[(u32::MAX.into(), NONE)], &cut(prefixes, Order::First).1)
            };
            let denies =
                |rule: u32| rules.get(rule as usize).is_some_and(|rule| rule.verdict() == Verdict::Deny);
            let denying = prefixes.iter().copied().filter(|&(_, rule)| denies(rule)).collect();
            ZoneRules { zone, all: of(prefixes), denying: of(denying) }
        });
        Self {
            zones: zones.collect(),
            lookup: Lookup::new(&of_rule(v4), &of_rule(v6)),
            hits: (0..=rules.len()).map(|_| AtomicU64::new(0)).collect(),
            lines,
            nat64: Box::new([]),
            warnings: warnings.into(),
            rules,
        }
    }

    /// The same, and it knows these prefixes of translators besides the well-known ones. They are no part of
    /// the list's text.
    #[must_use]
    pub fn with_nat64(self, prefixes: impl IntoIterator<Item = nat64::Prefix>) -> Self {
        Self { nat64: prefixes.into_iter().collect(), ..self }
    }

    /// Decides on a peer, and counts the decision.
    ///
    /// A rule whose zone is written as the peer's is holds it. Where one is a name and the other an index,
    /// they can't be compared here, and doubt denies: see [`decide_with`](Self::decide_with).
    #[inline]
    pub fn decide(&self, peer: impl Into<Endpoint>) -> Decision<'_> {
        self.counted(self.look(peer.into(), Names::Unknown))
    }

    /// The same where rules or peers have names of interfaces: `index_of` says which index a name has now,
    /// `None` where there is no such interface. It is asked only where such a rule may hold the peer.
    ///
    /// A peer of a scope that has zones whose zone is not known, because it came as a mere IP address, is
    /// held by every zone's `deny` and by no zone's `allow`.
    #[inline]
    pub fn decide_with(
        &self,
        peer: impl Into<Endpoint>,
        index_of: impl Fn(&str) -> Option<u32>,
    ) -> Decision<'_> {
        self.counted(self.look(peer.into(), Names::Known(&|name| Ok(index_of(name)))))
    }

    /// The same where it may not be possible to ask: then the two zones can't be compared.
    #[cfg(feature = "net")]
    pub(crate) fn decide_by(
        &self,
        peer: Endpoint,
        index_of: impl Fn(&str) -> Result<Option<u32>, Unasked>,
    ) -> Decision<'_> {
        self.counted(self.look(peer, Names::Known(&index_of)))
    }

    /// What [`decide_with`](Self::decide_with) would say, without counting. Counting costs an atomic
    /// addition: little beside what a peer costs, yet as much as finding its rule in a short list.
    pub fn explain(&self, peer: impl Into<Endpoint>, index_of: impl Fn(&str) -> Option<u32>) -> Decision<'_> {
        self.look(peer.into(), Names::Known(&|name| Ok(index_of(name))))
    }

    /// The rules, in order.
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// What looks like a mistake: prefixes that never decide, and link-local ones that are allowed on every
    /// link.
    pub fn warnings(&self) -> impl ExactSizeIterator<Item = Warned<'_>> {
        self.warnings.iter().map(|warning| Warned { acl: self, warning })
    }

    /// How often each rule has decided, in order.
    pub fn hits(&self) -> impl Iterator<Item = (&Rule, u64)> {
        self.rules.iter().zip(self.hits.iter().map(|hits| hits.load(Ordering::Relaxed)))
    }

    /// How many peers were denied because no rule held them.
    pub fn unmatched(&self) -> u64 {
        self.hits.last().map_or(0, |hits| hits.load(Ordering::Relaxed))
    }

    /// Octets in memory that the compiled list takes, without the rules themselves.
    pub fn size(&self) -> usize {
        let zones = self.zones.iter().map(|rules| rules.all.size() + rules.denying.size()).sum::<usize>();
        self.lookup.size() + zones + size_of_val(&*self.hits)
    }

    /// The line of a text on which a rule stood.
    pub(super) fn line(&self, rule: usize) -> Option<usize> {
        self.lines.get(rule).copied()
    }

    #[inline]
    fn counted<'a>(&self, decision: Decision<'a>) -> Decision<'a> {
        if let Some(hits) = self.hits.get(decision.place.unwrap_or(self.rules.len())) {
            hits.fetch_add(1, Ordering::Relaxed);
        }
        decision
    }

    #[inline]
    fn look(&self, peer: Endpoint, names: Names<'_>) -> Decision<'_> {
        let place = match peer.address() {
            IpAddr::V4(address) => self.lookup.find_v4(address),
            IpAddr::V6(address) => {
                let mut place = self.lookup.find_v6(address);
                if !self.zones.is_empty() && peer.has_zones() {
                    for rules in &self.zones {
                        place = place.min(rules.place(peer, names));
                    }
                }
                place
            }
        };
        Decision { acl: self, peer, verdict: self.verdict(place), place: self.place(place) }
    }

    #[inline]
    fn place(&self, place: u32) -> Option<usize> {
        Some(place as usize).filter(|&place| place < self.rules.len())
    }

    #[inline]
    fn verdict(&self, place: u32) -> Verdict {
        self.rules.get(place as usize).map_or(Verdict::Deny, Rule::verdict)
    }
}

/// What is known of the names of interfaces.
#[derive(Clone, Copy)]
enum Names<'a> {
    Unknown,
    Known(&'a dyn Fn(&str) -> Result<Option<u32>, Unasked>),
}

/// The index of a name cannot be asked for.
pub(crate) struct Unasked;

impl ZoneRules {
    /// The first rule of this zone that holds a peer.
    fn place(&self, peer: Endpoint, names: Names<'_>) -> u32 {
        let IpAddr::V6(address) = peer.address() else { return NONE };
        let place = self.all.find_v6(address);
        if place == NONE {
            return NONE;
        }
        match peer.zone().and_then(|zone| self.is(zone, names)) {
            Some(true) => place,
            Some(false) => NONE,
            // Doubt denies.
            None => self.denying.find_v6(address),
        }
    }

    /// Whether a zone is this one; `None` where that is not known.
    fn is(&self, zone: Zone, names: Names<'_>) -> Option<bool> {
        if zone == self.zone {
            return Some(true);
        }
        // Two names are two interfaces, but for other names that an interface may have; two indexes are two
        // interfaces.
        let index = |zone: Zone| -> Option<Option<NonZeroU32>> {
            match (zone.name(), names) {
                (None, _) => Some(zone.index()),
                (Some(name), Names::Known(index_of)) => {
                    index_of(name).ok().map(|index| NonZeroU32::new(index?))
                }
                (Some(_), Names::Unknown) => None,
            }
        };
        if zone.name().is_some() && self.zone.name().is_some() && matches!(names, Names::Unknown) {
            return Some(false);
        }
        let (theirs, ours) = (index(zone)?, index(self.zone)?);
        Some(ours.is_some() && ours == theirs)
    }
}

/// Most prefixes of a rule that are looked through for the one to print.
const SEARCHED: usize = 1000;

/// What an [`Acl`] says of one peer, and why.
///
/// Printed for a log: the peer without its port, what was decided by which rule, and any IPv4 address inside
/// it.
#[derive(Clone, Copy)]
pub struct Decision<'a> {
    acl: &'a Acl,
    peer: Endpoint,
    verdict: Verdict,
    place: Option<usize>,
}

/// An IPv4 address inside a peer's IPv6 address. It is told, and has no part in the decision.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Embedded {
    /// How it came there.
    pub mechanism: Mechanism,
    /// The address.
    pub address: Ipv4Addr,
    /// What the list says of this address.
    pub verdict: Verdict,
    /// The place of the rule that says so, from 0; `None` where none does.
    pub rule: Option<usize>,
}

impl<'a> Decision<'a> {
    /// What was decided.
    #[inline]
    pub fn verdict(&self) -> Verdict {
        self.verdict
    }

    /// Whether the peer may.
    #[inline]
    pub fn is_allowed(&self) -> bool {
        self.verdict == Verdict::Allow
    }

    /// The rule that decided; `None` where none did.
    pub fn rule(&self) -> Option<&'a Rule> {
        self.acl.rules.get(self.place?)
    }

    /// The place of that rule in the list, from 0.
    pub fn place(&self) -> Option<usize> {
        self.place
    }

    /// The line of the text on which it stood, from 1.
    pub fn line(&self) -> Option<usize> {
        self.acl.line(self.place?)
    }

    /// The IPv4 address inside the peer's, where there is one.
    pub fn embedded(&self) -> Option<Embedded> {
        let IpAddr::V6(address) = self.peer.address() else { return None };
        let (mechanism, address) = embedded(address, &self.acl.nat64)?;
        let place = self.acl.lookup.find_v4(address);
        Some(Embedded { mechanism, address, verdict: self.acl.verdict(place), rule: self.acl.place(place) })
    }

    /// Which prefix of the rule holds the peer; on the peer's own link before one of another name. A rule of very many is
    /// not searched: whoever is denied and logged would cost that.
    fn prefix(&self) -> Option<&'a Prefix> {
        let prefixes = self.rule()?.prefixes();
        let (address, zone) = (self.peer.address(), self.peer.zone());
        let holding = prefixes.iter().take(SEARCHED).filter(|prefix| prefix.net().contains(&address));
        holding.min_by_key(|prefix| (prefix.zone() != zone, prefix.zone().is_some()))
    }
}

impl fmt::Display for Decision<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let done = |verdict| if verdict == Verdict::Allow { "allowed" } else { "denied" };
        write!(f, "{} {}", self.peer.without_port(), done(self.verdict))?;
        if let (Some(place), Some(rule)) = (self.place, self.rule()) {
            write!(f, " by rule {}", place + 1)?;
            if let Some(line) = self.line() {
                write!(f, " (line {line})")?;
            }
            match self.prefix() {
                Some(prefix) => write!(f, ": {} {prefix}", self.verdict)?,
                None => write!(f, ": {} one of {} prefixes", self.verdict, rule.prefixes().len())?,
            }
        } else {
            write!(f, ": no rule holds it")?;
        }
        if let Some(Embedded { mechanism, address, verdict, rule }) = self.embedded() {
            write!(f, "; it is {mechanism} for {address}, which would be {}", done(verdict))?;
            match rule {
                Some(rule) => write!(f, " by rule {}", rule + 1)?,
                None => write!(f, ": no rule holds it")?,
            }
        }
        Ok(())
    }
}

impl fmt::Debug for Decision<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A [`Warning`] of a list, printed with its rules and what to do.
#[derive(Clone, Copy)]
pub struct Warned<'a> {
    pub(super) acl: &'a Acl,
    /// What it is.
    pub warning: &'a Warning,
}

impl Default for Acl {
    /// The empty list, which denies all.
    fn default() -> Self {
        Self::new([])
    }
}

impl Clone for Acl {
    /// The counters begin at what they are now.
    fn clone(&self) -> Self {
        let hits = self.hits.iter().map(|hits| AtomicU64::new(hits.load(Ordering::Relaxed)));
        Self {
            rules: self.rules.clone(),
            lines: self.lines.clone(),
            hits: hits.collect(),
            lookup: self.lookup.clone(),
            zones: self.zones.clone(),
            nat64: self.nat64.clone(),
            warnings: self.warnings.clone(),
        }
    }
}

impl PartialEq for Acl {
    /// Whether the rules and the translators' prefixes are the same.
    fn eq(&self, other: &Self) -> bool {
        self.rules == other.rules && self.nat64 == other.nat64
    }
}

impl Eq for Acl {}

impl FromIterator<Rule> for Acl {
    fn from_iter<I: IntoIterator<Item = Rule>>(rules: I) -> Self {
        Self::new(rules)
    }
}

impl fmt::Display for Acl {
    /// One rule a line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.rules.iter().try_for_each(|rule| writeln!(f, "{rule}"))
    }
}

impl fmt::Debug for Acl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(&*self.rules).finish()
    }
}
