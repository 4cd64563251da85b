//! What in a list looks like a mistake.

use super::list::Warned;
use super::ranges::{Cut, NONE, Order, cut};
use super::rule::{Prefix, Rule, Verdict};
use crate::Zone;
use ipnet::IpNet;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// Most rules that one warning names.
const NAMED: usize = 3;
/// Most warnings that a list keeps: a list of a million prefixes given twice shall not be a million texts.
const KEPT: usize = 1000;
/// Most ranges that are looked at for one warning.
const LOOKED_AT: usize = 1000;

/// Something that is allowed, but hardly meant.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Warning {
    /// A prefix that never decides, because rules before it hold all of its addresses.
    Dead {
        /// The place of its rule, from 0.
        rule: usize,
        /// The prefix.
        prefix: Prefix,
        /// The rules that hold its addresses, three of them at most.
        held_by: Vec<usize>,
        /// Whether one of these says otherwise.
        contradicts: bool,
    },
    /// A prefix of link-local addresses, allowed without a zone: whoever is on any link may have such an
    /// address.
    EveryLink {
        /// The place of its rule, from 0.
        rule: usize,
        /// The prefix.
        prefix: Prefix,
    },
}

/// All warnings, by place of the rule; the first thousand. Given are all prefixes with their rules, and how
/// those without a zone cut the addresses between them, by place in `all`.
pub(super) fn find(rules: &[Rule], all: &[(Prefix, u32)], v4: &Cut, v6: &Cut) -> Vec<Warning> {
    let mut alive = vec![false; all.len()];
    let mut live = |id: u32| alive.get_mut(id as usize).is_some_and(|alive| std::mem::replace(alive, true));
    for &(_, id) in v4.iter().chain(v6) {
        live(id);
    }
    let zones = by_zone(all, |&(prefix, _), id| (prefix.net(), id));
    let zones: BTreeMap<Zone, Cut> =
        zones.into_iter().map(|(zone, prefixes)| (zone, cut(prefixes, Order::First).1)).collect();
    for zone in zones.values() {
        let mut start = 0;
        for &(end, id) in zone {
            // A prefix with a zone decides where no rule without one does so before it. Who would look for
            // long is supposed to.
            let mut others = within(v6, start, end);
            if id != NONE
                && (others.by_ref().take(LOOKED_AT).any(|other| other > id) || others.next().is_some())
            {
                live(id);
            }
            start = end.saturating_add(1);
        }
    }
    let warning = |(id, (&(prefix, rule), alive)): (u32, (&(Prefix, u32), bool))| {
        let (rule, verdict) = (rule as usize, rules.get(rule as usize)?.verdict());
        if alive {
            let everywhere = verdict == Verdict::Allow && prefix.zone().is_none() && prefix.has_zones();
            return everywhere.then_some(Warning::EveryLink { rule, prefix });
        }
        let zone = prefix.zone().and_then(|zone| zones.get(&zone));
        let (mut held_by, mut contradicts) = (BTreeSet::new(), false);
        let nobody = Cut::new();
        let (cut, start, end) = match prefix.net() {
            IpNet::V4(net) => (v4, net.network().to_bits().into(), net.broadcast().to_bits().into()),
            IpNet::V6(net) => (v6, net.network().to_bits(), net.broadcast().to_bits()),
        };
        let holders = within(cut, start, end).chain(within(zone.unwrap_or(&nobody), start, end));
        for holder in holders.take(LOOKED_AT).filter(|&holder| holder < id) {
            let holder = all.get(holder as usize)?.1 as usize;
            contradicts |= rules.get(holder)?.verdict() != verdict;
            if held_by.len() < NAMED {
                held_by.insert(holder);
            }
        }
        Some(Warning::Dead { rule, prefix, held_by: held_by.into_iter().collect(), contradicts })
    };
    (0..).zip(all.iter().zip(alive)).filter_map(warning).take(KEPT).collect()
}

/// The prefixes with a zone, by zone, each as `of` makes it of the prefix with its rule and its place.
pub(super) fn by_zone<T>(
    all: &[(Prefix, u32)],
    of: impl Fn(&(Prefix, u32), u32) -> T,
) -> BTreeMap<Zone, Vec<T>> {
    let mut zones: BTreeMap<Zone, Vec<T>> = BTreeMap::new();
    for (id, entry) in (0..).zip(all) {
        if let Some(zone) = entry.0.zone() {
            zones.entry(zone).or_default().push(of(entry, id));
        }
    }
    zones
}

/// Whose ranges lie between two addresses, in part or whole.
fn within(cut: &Cut, start: u128, end: u128) -> impl Iterator<Item = u32> {
    let first = cut.partition_point(|&(last, _)| last < start);
    let mut more = true;
    cut[first..]
        .iter()
        .take_while(move |(last, _)| std::mem::replace(&mut more, *last < end))
        .map(|&(_, id)| id)
}

impl fmt::Display for Warned<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Warning::Dead { rule, prefix, .. } | Warning::EveryLink { rule, prefix }) = self.warning;
        write!(f, "rule {}", rule + 1)?;
        if let Some(line) = self.acl.line(*rule) {
            write!(f, " (line {line})")?;
        }
        let verdict = self.acl.rules().get(*rule).map_or(Verdict::Deny, Rule::verdict);
        write!(f, ": `{verdict} {prefix}` ")?;
        match self.warning {
            Warning::Dead { held_by, contradicts, .. } => {
                write!(f, "never decides: all of it is held by rule ")?;
                for (place, holder) in held_by.iter().enumerate() {
                    write!(f, "{}{}", if place == 0 { "" } else { ", " }, holder + 1)?;
                }
                f.write_str(match contradicts {
                    true => ", which says otherwise; move it before that, or delete it",
                    false => ", which says the same; delete it",
                })
            }
            Warning::EveryLink { .. } => write!(
                f,
                "holds on every link, where anybody may have such an address; name the link, as in fe80::%eth0/10"
            ),
        }
    }
}

impl fmt::Debug for Warned<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
