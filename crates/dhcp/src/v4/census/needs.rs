//! What clients needed IPv4 for: each client's own list, and what many have in common.

use super::CensusId;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

/// Longest name that is kept, in octets (RFC 1035 section 2.3.4).
const MAX_WHAT: usize = 253;
/// Clients of one common need that are told apart; beyond, it is said to be at least so many.
const MOST_TOLD_APART: usize = 64;

/// Why a client used IPv4.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum NeedKind {
    /// A name that has IPv4 addresses only, where nothing translates.
    Name,
    /// A name for which it asked for an IPv4 address alone: the program knows no other.
    NameByIpv4,
    /// An address for which it asked no name here: one written as a number, or a name that another resolver
    /// answered.
    Address,
    /// A neighbour on its own network.
    Neighbour,
}

impl NeedKind {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Name, Self::NameByIpv4, Self::Address, Self::Neighbour];

    /// One word for it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Name => "name",
            Self::NameByIpv4 => "name-asked-by-ipv4",
            Self::Address => "address",
            Self::Neighbour => "neighbour",
        }
    }

    pub(super) fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

impl fmt::Display for NeedKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Name => "a name without IPv6",
            Self::NameByIpv4 => "a name asked for by IPv4 alone",
            Self::Address => "an address by number",
            Self::Neighbour => "a neighbour",
        })
    }
}

/// One thing that a client needed IPv4 for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Need {
    /// Why.
    pub kind: NeedKind,
    /// The name or address, where it may be kept.
    pub what: Option<String>,
    /// How often.
    pub count: u32,
    /// When last.
    pub last: Duration,
}

/// The list of one client.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Needs(pub(super) Vec<Need>);

impl Needs {
    /// Counts one more; whether it is new. With more than `most` the one that is longest past gives way.
    pub(super) fn count(&mut self, now: Duration, kind: NeedKind, what: Option<&str>, most: usize) -> bool {
        if let Some(need) = self.0.iter_mut().find(|need| need.kind == kind && need.what.as_deref() == what) {
            need.count = need.count.saturating_add(1);
            need.last = now;
            return false;
        }
        while self.0.len() >= most.max(1)
            && let Some(oldest) =
                self.0.iter().enumerate().min_by_key(|(_, need)| need.last).map(|(at, _)| at)
        {
            self.0.swap_remove(oldest);
        }
        self.0.push(Need { kind, what: what.map(str::to_owned), count: 1, last: now });
        true
    }

    /// Takes away names and addresses: what is left is how often each kind was needed.
    pub(super) fn strip(&mut self) {
        let mut left = Self::default();
        for need in self.0.drain(..) {
            match left.0.iter_mut().find(|other| other.kind == need.kind) {
                Some(other) => {
                    other.count = other.count.saturating_add(need.count);
                    other.last = other.last.max(need.last);
                }
                None => left.0.push(Need { what: None, ..need }),
            }
        }
        *self = left;
    }

    /// Forgets what was not needed since `oldest`; whether there was such.
    pub(super) fn expire(&mut self, oldest: Duration) -> bool {
        let before = self.0.len();
        self.0.retain(|need| need.last >= oldest);
        self.0.len() != before
    }
}

/// A need that several clients have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Common {
    /// Why.
    pub kind: NeedKind,
    /// The name or address.
    pub what: String,
    /// How many clients; 64 stands for that many or more.
    pub clients: u64,
    /// When last.
    pub last: Duration,
}

type Key = (NeedKind, String);

/// What clients needed, whoever they are. It lives in memory alone.
#[derive(Debug, Clone, Default)]
pub(super) struct CommonNeeds {
    known: BTreeMap<Key, (Duration, BTreeSet<CensusId>)>,
    /// Those of one client alone go first.
    idle: BTreeSet<(bool, Duration, Key)>,
}

impl CommonNeeds {
    pub(super) fn count(&mut self, now: Duration, id: CensusId, kind: NeedKind, what: &str, most: usize) {
        let key = (kind, what.to_owned());
        let (last, mut who) = self.known.remove(&key).unwrap_or_default();
        self.idle.remove(&(who.len() > 1, last, key.clone()));
        while self.known.len() >= most.max(1)
            && let Some((_, _, oldest)) = self.idle.pop_first()
        {
            self.known.remove(&oldest);
        }
        if who.len() < MOST_TOLD_APART {
            who.insert(id);
        }
        self.idle.insert((who.len() > 1, now, key.clone()));
        self.known.insert(key, (now, who));
    }

    pub(super) fn expire(&mut self, oldest: Duration) {
        for group in [false, true] {
            let first = (group, Duration::ZERO, (NeedKind::Name, String::new()));
            while let Some(entry) = self.idle.range(first.clone()..).next().cloned()
                && entry.0 == group
                && entry.1 < oldest
            {
                self.known.remove(&entry.2);
                self.idle.remove(&entry);
            }
        }
    }

    pub(super) fn forget(&mut self, id: CensusId) {
        let theirs: Vec<Key> = (self.known.iter())
            .filter(|(_, (_, who))| who.contains(&id))
            .map(|(key, _)| key.clone())
            .collect();
        for key in theirs {
            let Some((last, mut who)) = self.known.remove(&key) else { continue };
            self.idle.remove(&(who.len() > 1, last, key.clone()));
            who.remove(&id);
            if !who.is_empty() {
                self.idle.insert((who.len() > 1, last, key.clone()));
                self.known.insert(key, (last, who));
            }
        }
    }

    /// Those that at least so many clients have, the most common first.
    pub(super) fn of_at_least(&self, clients: usize) -> Vec<Common> {
        let all = self.known.iter().filter(|(_, (_, who))| who.len() >= clients.max(1));
        let mut all: Vec<Common> = all
            .map(|((kind, what), (last, who))| Common {
                kind: *kind,
                what: what.clone(),
                clients: who.len() as u64,
                last: *last,
            })
            .collect();
        all.sort_by(|a, b| (b.clients, a.kind, &a.what).cmp(&(a.clients, b.kind, &b.what)));
        all
    }
}

/// A name or an address as it is kept: printable, and not longer than a name can be.
pub(super) fn tidy(what: &str) -> String {
    what.chars().filter(char::is_ascii_graphic).take(MAX_WHAT).collect()
}
