//! In which order: destination address selection (RFC 6724 section 6) with the rules that RFC 8305 section 4
//! adds.

use super::Policy;
use super::policy::FamilyChoice;
use crate::{Endpoint, Family};
use std::cmp::Ordering;
use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

/// The source address that the system would use towards a destination.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Source {
    /// Nobody has looked: the rules about sources do not decide.
    #[default]
    Unknown,
    /// There is none: the destination cannot be reached.
    None,
    /// This one.
    Address {
        /// The address.
        address: IpAddr,
        /// Whether its preferred lifetime is over (RFC 4862 section 5.5.4).
        deprecated: bool,
    },
}

impl Source {
    fn address(self) -> Option<IpAddr> {
        match self {
            Self::Address { address, .. } => Some(address),
            Self::Unknown | Self::None => None,
        }
    }
}

/// An address that may be connected to, with what is known about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Candidate {
    /// Address, zone and port.
    pub to: Endpoint,
    /// From which source address.
    pub source: Source,
    /// The priority of the service record it came from (RFC 9460 section 2.4.1); lower groups are exhausted
    /// first. [`Candidate::NO_GROUP`] for addresses of the name itself.
    pub group: u16,
    /// The round-trip time that earlier connections saw.
    pub rtt: Option<Duration>,
    /// Whether it has been used before.
    pub used: bool,
    /// Whether it is what worked for this destination last time.
    pub remembered: bool,
}

impl Candidate {
    /// What no service record names comes after all that one does (draft-ietf-happy-happyeyeballs-v3 section
    /// 5.2).
    pub const NO_GROUP: u16 = u16::MAX;

    /// An address of which nothing is known.
    pub fn new(to: Endpoint) -> Self {
        Self { to, source: Source::Unknown, group: Self::NO_GROUP, rtt: None, used: false, remembered: false }
    }

    pub(super) fn rule_alone(&self) -> Rule {
        if self.remembered { Rule::Remembered } else { Rule::Alone }
    }

    /// Its family.
    pub fn family(&self) -> Family {
        self.to.family()
    }
}

/// What put a candidate before another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "kebab-case"))]
pub enum Rule {
    /// No other was known and untried.
    Alone,
    /// The priority of its service record.
    Group,
    /// It worked last time.
    Remembered,
    /// RFC 6724 rule 1: avoid unusable destinations.
    Usable,
    /// RFC 6724 rule 2: prefer matching scope.
    MatchingScope,
    /// RFC 6724 rule 3: avoid deprecated addresses.
    Deprecated,
    /// RFC 6724 rule 5: prefer matching label.
    MatchingLabel,
    /// RFC 6724 rule 6: prefer higher precedence.
    Precedence,
    /// RFC 6724 rule 8: prefer smaller scope.
    SmallerScope,
    /// RFC 8305 section 4: prefer shorter round-trip times.
    Rtt,
    /// RFC 8305 section 4: prefer used addresses.
    Used,
    /// RFC 6724 rule 9: use longest matching prefix.
    LongestPrefix,
    /// RFC 6724 rule 10: the order of the answer.
    Order,
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Alone => "no other was known and untried",
            Self::Group => "priority of its service record",
            Self::Remembered => "it worked last time",
            Self::Usable => "RFC 6724 rule 1: this host has an address to reach it from",
            Self::MatchingScope => "RFC 6724 rule 2: its scope is that of our address",
            Self::Deprecated => "RFC 6724 rule 3: our address is not deprecated",
            Self::MatchingLabel => "RFC 6724 rule 5: its kind is that of our address",
            Self::Precedence => "RFC 6724 rule 6: its kind has precedence",
            Self::SmallerScope => "RFC 6724 rule 8: smaller scope",
            Self::Rtt => "RFC 8305 section 4: shorter round-trip time",
            Self::Used => "RFC 8305 section 4: used before",
            Self::LongestPrefix => "RFC 6724 rule 9: closest to our address",
            Self::Order => "RFC 6724 rule 10: order of the answer",
        })
    }
}

/// A candidate in its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Placed {
    /// The candidate.
    pub candidate: Candidate,
    /// What set it before the one that sorting put after it; for the last, what set it behind the one before.
    pub rule: Rule,
    /// Whether it stands elsewhere than sorting alone would have it, because families alternate.
    pub interleaved: bool,
}

/// RFC 6724 section 2.1: prefix, its length, precedence, label.
const TABLE: [(u128, u32, u8, u8); 9] = [
    (1, 128, 50, 0),
    (0xffff_0000_0000, 96, 35, 4),
    (0, 96, 1, 3),
    (0x2001_0000 << 96, 32, 5, 5),
    (0x2002 << 112, 16, 30, 2),
    (0x3ffe << 112, 16, 1, 12),
    (0xfec0 << 112, 10, 1, 11),
    (0xfc00 << 112, 7, 3, 13),
    (0, 0, 40, 1),
];

fn bits(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => address.to_ipv6_mapped().to_bits(),
        IpAddr::V6(address) => address.to_bits(),
    }
}

fn common_prefix(a: u128, b: u128) -> u32 {
    (a ^ b).leading_zeros()
}

/// Precedence and label.
fn kind(address: IpAddr) -> (u8, u8) {
    let bits = bits(address);
    let found = TABLE.iter().find(|(prefix, length, ..)| common_prefix(bits, *prefix) >= *length);
    found.map_or((0, 0), |&(_, _, precedence, label)| (precedence, label))
}

/// The scope as a number of RFC 4291 section 2.7 (RFC 6724 sections 3.1 and 3.2).
fn scope(address: IpAddr) -> u8 {
    const LINK_LOCAL: u8 = 2;
    const SITE_LOCAL: u8 = 5;
    const GLOBAL: u8 = 14;
    match address {
        IpAddr::V4(v4) if v4.is_loopback() || v4.is_link_local() => LINK_LOCAL,
        IpAddr::V6(v6) if v6.is_multicast() => v6.octets()[1] & 0xf,
        IpAddr::V6(v6) if v6.is_unicast_link_local() || v6 == Ipv6Addr::LOCALHOST => LINK_LOCAL,
        IpAddr::V6(v6) if v6.segments()[0] & 0xffc0 == 0xfec0 => SITE_LOCAL,
        IpAddr::V4(_) | IpAddr::V6(_) => GLOBAL,
    }
}

/// Which of two comes first, and by which rule. Rule 4 (home addresses) and rule 7 (native transport) ask
/// what Linux does not tell of; 6to4 and Teredo are behind by rule 6 as it is.
fn compare(a: &Candidate, b: &Candidate, policy: &Policy) -> (Ordering, Rule) {
    let first = |better_a: bool, better_b: bool| better_b.cmp(&better_a);
    let source_is = |c: &Candidate, known: fn(IpAddr, IpAddr) -> bool| {
        c.source.address().is_some_and(|source| known(source, c.to.address()))
    };
    let both_known = a.source.address().is_some() && b.source.address().is_some();
    let precedence = |c: &Candidate| match (policy.family, c.family()) {
        // As `precedence ::ffff:0:0/96 100` does in gai.conf(5).
        (FamilyChoice::PreferIpv4, Family::V4) => 100,
        _ => kind(c.to.address()).0,
    };
    let steps: [(Rule, &dyn Fn() -> Ordering); 12] = [
        (Rule::Group, &|| a.group.cmp(&b.group)),
        (Rule::Remembered, &|| first(a.remembered, b.remembered)),
        (Rule::Usable, &|| first(a.source != Source::None, b.source != Source::None)),
        (Rule::MatchingScope, &|| {
            let matches = |c| source_is(c, |source, to| scope(source) == scope(to));
            if both_known { first(matches(a), matches(b)) } else { Ordering::Equal }
        }),
        (Rule::Deprecated, &|| {
            let good = |c: &Candidate| !matches!(c.source, Source::Address { deprecated: true, .. });
            first(good(a), good(b))
        }),
        (Rule::MatchingLabel, &|| {
            let matches = |c| source_is(c, |source, to| kind(source).1 == kind(to).1);
            if both_known { first(matches(a), matches(b)) } else { Ordering::Equal }
        }),
        (Rule::Precedence, &|| precedence(b).cmp(&precedence(a))),
        (Rule::SmallerScope, &|| scope(a.to.address()).cmp(&scope(b.to.address()))),
        (Rule::Rtt, &|| match (a.rtt, b.rtt) {
            (Some(a), Some(b)) => a.cmp(&b),
            _ => Ordering::Equal,
        }),
        (Rule::Used, &|| first(a.used, b.used)),
        (Rule::LongestPrefix, &|| {
            // IPv4 is left out: there it undoes what the server says by the order of its answer (RFC 6724
            // section 10.6 lets rules 9 and 10 be superseded), and means nothing across NAT.
            let length = |c: &Candidate| match (c.source.address(), c.family()) {
                // The interface identifier says nothing about nearness.
                (Some(source), Family::V6) => common_prefix(bits(source), bits(c.to.address())).min(64),
                _ => 0,
            };
            if a.family() == b.family() { length(b).cmp(&length(a)) } else { Ordering::Equal }
        }),
        (Rule::Order, &|| Ordering::Equal),
    ];
    for (rule, step) in steps {
        let ordering = step();
        if ordering.is_ne() {
            return (ordering, rule);
        }
    }
    (Ordering::Equal, Rule::Order)
}

/// All candidates in the order in which to try them, `tried` being the families of those tried already.
///
/// Sorting is by insertion: round-trip times are known of some only, so that the rules are no total order.
pub fn order(candidates: &[Candidate], tried: &[Family], policy: &Policy) -> Vec<Placed> {
    let mut sorted: Vec<Candidate> = Vec::with_capacity(candidates.len());
    for candidate in candidates {
        let behind = |other: &Candidate| compare(candidate, other, policy).0.is_lt();
        // From behind, and only past what it is better than: equals keep the order of the answer.
        let place = sorted.iter().rposition(|other| !behind(other)).map_or(0, |place| place + 1);
        sorted.insert(place, *candidate);
    }
    let rule = |index: usize| {
        let neighbour = sorted.get(index + 1).map(|next| compare(&sorted[index], next, policy).1);
        let before = index.checked_sub(1).map(|before| compare(&sorted[before], &sorted[index], policy).1);
        neighbour.or(before).unwrap_or(sorted[index].rule_alone())
    };
    let mut left: Vec<(usize, Candidate)> = sorted.iter().copied().enumerate().collect();
    let mut placed: Vec<Placed> = Vec::with_capacity(left.len());
    let mut families = tried.to_vec();
    while !left.is_empty() {
        let wanted = wanted(&families, left[0].1.family(), policy);
        // Groups are not mixed: what a service record puts first is tried first in both families.
        let group = left[0].1.group;
        let chosen = left
            .iter()
            .position(|(_, candidate)| candidate.family() == wanted && candidate.group == group)
            .unwrap_or(0);
        let (index, candidate) = left.remove(chosen);
        families.push(candidate.family());
        placed.push(Placed { candidate, rule: rule(index), interleaved: index != placed.len() });
    }
    placed
}

/// Of which family the next shall be (RFC 8305 section 4).
fn wanted(tried: &[Family], otherwise: Family, policy: &Policy) -> Family {
    let (Some(first), Some(last)) = (tried.first(), tried.last()) else { return otherwise };
    let only_first = tried.iter().all(|family| family == first);
    if only_first && tried.len() < policy.first_family_count.max(1) { *first } else { last.other() }
}
