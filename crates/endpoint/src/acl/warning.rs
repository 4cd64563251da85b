//! What in a list looks like a mistake.

use super::list::{Warned, zones};
use super::ranges::{Cut, NONE, Order, cut};
use super::rule::{Prefix, Rule, Verdict};
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
    /// A prefix of link-local addresses, allowed without a zone: whoever is on any link may have such an address.
    EveryLink {
        /// The place of its rule, from 0.
        rule: usize,
        /// The prefix.
        prefix: Prefix,
    },
}

/// All warnings, by place of the rule; the first thousand. Given are all prefixes with their rules, and how those without a zone
/// cut the addresses.
pub(super) fn find(rules: &[Rule], all: &[(Prefix, u32)], v4: &Cut, v6: &Cut) -> Vec<Warning> {
    let mut found = BTreeMap::new();
    let mut dead = |wanted: &dyn Fn(Prefix) -> bool, v4: &Cut, v6: &Cut| {
        let mut alive = vec![false; all.len()];
        for &(_, id) in v4.iter().chain(v6) {
            if let Some(alive) = alive.get_mut(id as usize) {
                *alive = true;
            }
        }
        for (id, (&(prefix, rule), alive)) in all.iter().zip(alive).enumerate() {
            if alive || !wanted(prefix) || found.len() >= KEPT {
                continue;
            }
            let (rule, verdict) = (rule as usize, rules.get(rule as usize).map(Rule::verdict));
            let holders = holders(prefix, v4, v6).filter_map(|id| Some(all.get(id as usize)?.1 as usize));
            let (mut held_by, mut contradicts) = (BTreeSet::new(), false);
            for holder in holders {
                contradicts |= rules.get(holder).map(Rule::verdict) != verdict;
                if held_by.len() < NAMED {
                    held_by.insert(holder);
                }
            }
            let held_by = held_by.into_iter().collect();
            found.insert(id, Warning::Dead { rule, prefix, held_by, contradicts });
        }
    };
    dead(&|prefix| prefix.zone().is_none(), v4, v6);
    for zone in zones(all) {
        let here = |prefix: Prefix| {
            prefix.zone() == Some(zone) || (prefix.zone().is_none() && may_have_zones(prefix))
        };
        let ids = (0..).zip(all).filter(|(_, (prefix, _))| here(*prefix));
        let (v4, v6) = cut(ids.map(|(id, (prefix, _))| (prefix.net(), id)), Order::First);
        dead(&|prefix| prefix.zone() == Some(zone), &v4, &v6);
    }
    for (id, &(prefix, rule)) in all.iter().enumerate() {
        let allows = rules.get(rule as usize).is_some_and(|rule| rule.verdict() == Verdict::Allow);
        if allows && prefix.zone().is_none() && prefix.has_zones() && found.len() < KEPT {
            found.entry(id).or_insert(Warning::EveryLink { rule: rule as usize, prefix });
        }
    }
    found.into_values().collect()
}

/// Whether a prefix holds an address of a scope that has zones, or may: all such addresses lie in `fe80::/10` or `ff00::/8`.
fn may_have_zones(prefix: Prefix) -> bool {
    match prefix.net() {
        IpNet::V4(_) => false,
        IpNet::V6(net) => net.broadcast().octets()[0] >= 0xfe,
    }
}

/// Whose ranges lie in a prefix.
fn holders<'a>(prefix: Prefix, v4: &'a Cut, v6: &'a Cut) -> impl Iterator<Item = u32> + use<'a> {
    let (cut, start, end) = match prefix.net() {
        IpNet::V4(net) => (v4, net.network().to_bits().into(), net.broadcast().to_bits().into()),
        IpNet::V6(net) => (v6, net.network().to_bits(), net.broadcast().to_bits()),
    };
    let first = cut.partition_point(|&(last, _)| last < start);
    let last = cut.partition_point(|&(last, _)| last < end);
    let last = last.min(first + LOOKED_AT);
    cut.get(first..=last).unwrap_or_default().iter().map(|&(_, id)| id).filter(|&id| id != NONE)
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
