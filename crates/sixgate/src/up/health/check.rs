//! One thing that is probed, and what its answers mean: by itself, and over one way compared with another.

use core::time::Duration;
use sixgate_endpoint::{Endpoint, Family, Host};
use std::collections::VecDeque;

/// Results that are kept of each way.
const KEPT: usize = 8;
/// This many failures in a row, and a way counts as broken. One success, and it works: a lost packet is not an outage.
pub(crate) const FAILURES: usize = 3;
/// Pairs before one way counts as slower than the other.
const PAIRS: usize = 3;

/// A way to the world.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Way {
    Ipv6,
    Ipv4,
    /// IPv4 under addresses of the NAT64's prefix.
    Nat64,
}

impl Way {
    pub(crate) const ALL: [Self; 3] = [Self::Ipv6, Self::Ipv4, Self::Nat64];

    pub(crate) fn of(family: Family) -> Self {
        match family {
            Family::V6 => Self::Ipv6,
            Family::V4 => Self::Ipv4,
        }
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Ipv6 => "IPv6",
            Self::Ipv4 => "IPv4",
            Self::Nat64 => "NAT64",
        }
    }
}

/// What became of a probe: how long the answer took, or why there was none.
pub(crate) type Outcome = Result<Duration, String>;

/// The last results over one way.
#[derive(Debug, Clone, Default)]
pub(crate) struct History(VecDeque<Outcome>);

impl History {
    pub(crate) fn push(&mut self, outcome: Outcome) {
        if self.0.len() >= KEPT {
            self.0.pop_front();
        }
        self.0.push_back(outcome);
    }

    /// Whether it works; `None` before that is known.
    pub(crate) fn works(&self) -> Option<bool> {
        let last = || self.0.iter().rev().take(FAILURES);
        if last().any(Result::is_ok) {
            return Some(true);
        }
        (last().count() == FAILURES).then_some(false)
    }

    /// The latest was no answer.
    pub(crate) fn wavers(&self) -> bool {
        self.0.back().is_some_and(Result::is_err)
    }

    /// The median of the answers' times.
    pub(crate) fn latency(&self) -> Option<Duration> {
        let mut times: Vec<Duration> = self.0.iter().flatten().copied().collect();
        times.sort_unstable();
        times.get(times.len() / 2).copied()
    }

    /// Why there was no answer the last time.
    pub(crate) fn error(&self) -> Option<&str> {
        self.0.back().and_then(|outcome| outcome.as_ref().err()).map(String::as_str)
    }
}

/// Who is probed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Who {
    /// The configuration names it.
    Target(Host),
    /// A resolver that is asked anyway.
    Resolver(Endpoint),
}

/// Somebody who is probed over every way there is to it.
#[derive(Debug, Clone)]
pub(crate) struct Check {
    pub(crate) who: Who,
    pub(crate) ways: [Option<History>; 3],
    /// Why it is not probed at all.
    pub(crate) note: Option<String>,
    /// By how much IPv6 took longer than IPv4 in the same round, in microseconds.
    pairs: VecDeque<i64>,
    /// Of the round under way.
    round: [Option<Duration>; 2],
}

impl Check {
    pub(crate) fn new(who: Who) -> Self {
        Self { who, ways: [const { None }; 3], note: None, pairs: VecDeque::new(), round: [None; 2] }
    }

    pub(crate) fn way(&self, way: Way) -> Option<&History> {
        self.ways.get(way as usize).and_then(Option::as_ref)
    }

    /// Takes a result.
    pub(crate) fn push(&mut self, way: Way, outcome: Outcome) {
        if let (Some(slot), Ok(time)) = (self.round.get_mut(way as usize), &outcome) {
            *slot = Some(*time);
        }
        if let Some(slot) = self.ways.get_mut(way as usize) {
            slot.get_or_insert_default().push(outcome);
        }
    }

    /// The round is over: what was answered over both families makes a pair.
    pub(crate) fn pair(&mut self) {
        if let [Some(ipv6), Some(ipv4)] = std::mem::take(&mut self.round) {
            if self.pairs.len() >= KEPT {
                self.pairs.pop_front();
            }
            let micros = |time: Duration| i64::try_from(time.as_micros()).unwrap_or(i64::MAX);
            self.pairs.push_back(micros(ipv6) - micros(ipv4));
        }
    }

    /// By how much IPv6 is slower than IPv4, as a rule (the median): known after some pairs.
    pub(crate) fn slower(&self) -> Option<Duration> {
        if self.pairs.len() < PAIRS {
            return None;
        }
        let mut differences: Vec<i64> = self.pairs.iter().copied().collect();
        differences.sort_unstable();
        let median = differences.get(differences.len() / 2).copied().unwrap_or(0);
        Some(Duration::from_micros(u64::try_from(median).unwrap_or(0)))
    }

    /// IPv6 fails here where IPv4 works: whoever connects does not notice, since it falls back (RFC 8305).
    pub(crate) fn hidden(&self) -> bool {
        let works = |way| self.way(way).and_then(History::works);
        works(Way::Ipv6) == Some(false) && (works(Way::Ipv4) == Some(true) || works(Way::Nat64) == Some(true))
    }

    /// Forgets what was over a way: the machine has another one now.
    pub(crate) fn forget(&mut self, way: Way) {
        if let Some(slot) = self.ways.get_mut(way as usize) {
            *slot = None;
        }
        if way != Way::Nat64 {
            self.pairs.clear();
        }
    }

    pub(crate) fn name(&self) -> String {
        match &self.who {
            Who::Target(host) => host.to_string(),
            Who::Resolver(resolver) => format!("resolver {}", resolver.without_zone()),
        }
    }
}
