//! [`Memory`]: what worked, how fast, and for how long that counts.

use super::policy::Time;
use super::{Candidate, Outcome, Policy, Trace};
use crate::{Endpoint, Family};
use std::collections::HashMap;
use std::fmt;
use std::hash::Hash;
use std::time::Duration;

/// Round-trip times and uses count for so long; networks change without telling.
const MAX_AGE: Duration = Duration::from_hours(1);

/// What connections over one family did, to one destination.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct FamilyRecord {
    /// Attempts that connected.
    pub connected: u64,
    /// Attempts that failed.
    pub failed: u64,
    /// Attempts that had not answered when another connected, or time was up.
    pub unanswered: u64,
    /// How long a connection takes: a smoothed mean (RFC 6298 section 2).
    #[cfg_attr(feature = "serde", serde(serialize_with = "super::trace::some_seconds"))]
    pub latency: Option<Duration>,
}

impl FamilyRecord {
    /// Attempts that connected, of all that came to an end; `None` where there were none.
    pub fn success_rate(&self) -> Option<f64> {
        #[allow(clippy::cast_precision_loss, reason = "a rate, for people")]
        let rate = |all: u64| self.connected as f64 / all as f64;
        let all = self.connected + self.failed + self.unanswered;
        (all > 0).then(|| rate(all))
    }
}

impl fmt::Display for FamilyRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { connected, failed, unanswered, latency } = self;
        write!(f, "{connected} connected, {failed} failed, {unanswered} unanswered")?;
        latency.map_or(Ok(()), |latency| write!(f, ", {}", Time(latency)))
    }
}

/// What is remembered of a destination.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct Remembered {
    /// Name and port.
    pub destination: String,
    /// What worked last.
    #[cfg_attr(feature = "serde", serde(serialize_with = "winner"))]
    pub winner: Option<Endpoint>,
    /// How long ago that was learnt, or last confirmed.
    #[cfg_attr(feature = "serde", serde(serialize_with = "super::trace::seconds"))]
    pub age: Duration,
    /// Over IPv4.
    pub ipv4: FamilyRecord,
    /// Over IPv6.
    pub ipv6: FamilyRecord,
}

#[cfg(feature = "serde")]
#[allow(clippy::ref_option, reason = "serde hands over a reference")]
fn winner<S: serde::Serializer>(winner: &Option<Endpoint>, serializer: S) -> Result<S::Ok, S::Error> {
    match winner {
        Some(winner) => super::trace::text(winner, serializer),
        None => serializer.serialize_none(),
    }
}

impl fmt::Display for Remembered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.destination)?;
        match self.winner {
            Some(winner) => write!(f, "{winner} worked {} ago", Time(self.age))?,
            None => write!(f, "nothing worked {} ago", Time(self.age))?,
        }
        write!(f, "; IPv6 {}; IPv4 {}", self.ipv6, self.ipv4)
    }
}

#[derive(Debug, Clone, Copy, Default)]
struct Destination {
    winner: Option<Endpoint>,
    at: Duration,
    families: [FamilyRecord; 2],
}

#[derive(Debug, Clone, Copy)]
struct Address {
    rtt: Duration,
    at: Duration,
}

/// What worked: per destination the winner, and how each family fared; per address its round-trip time.
///
/// It holds so many destinations and addresses and no more: the one not touched for longest goes, and is
/// counted. All goes when the network changes (RFC 8305 section 4: history "MUST NOT be used across different
/// network interfaces"). `now` is any clock that does not go back.
#[derive(Debug)]
pub struct Memory {
    destinations: HashMap<Box<str>, Destination>,
    addresses: HashMap<Endpoint, Address>,
    capacity: usize,
    epoch: u64,
    evicted: u64,
}

impl Default for Memory {
    fn default() -> Self {
        Self::with_capacity(1024)
    }
}

impl Memory {
    /// For so many destinations, and as many addresses. At least 1.
    pub fn with_capacity(capacity: usize) -> Self {
        Self {
            destinations: HashMap::new(),
            addresses: HashMap::new(),
            capacity: capacity.max(1),
            epoch: 0,
            evicted: 0,
        }
    }

    /// Grows with each [`Self::forget`]: what was learnt before does not hold after.
    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    /// How many entries had to go for others, ever.
    pub fn evicted(&self) -> u64 {
        self.evicted
    }

    /// How many destinations are remembered.
    pub fn len(&self) -> usize {
        self.destinations.len()
    }

    /// Whether no destination is remembered.
    pub fn is_empty(&self) -> bool {
        self.destinations.is_empty()
    }

    /// How many addresses have a round-trip time.
    pub fn addresses(&self) -> usize {
        self.addresses.len()
    }

    /// Forgets everything: the network is another one now.
    pub fn forget(&mut self) {
        self.destinations.clear();
        self.addresses.clear();
        self.epoch += 1;
    }

    /// What worked last for a destination, where that still counts. `destination` is name and port.
    pub fn winner(&self, now: Duration, destination: &str, policy: &Policy) -> Option<Endpoint> {
        let entry = self.destinations.get(destination)?;
        entry.winner.filter(|_| now.saturating_sub(entry.at) < policy.remember)
    }

    /// Tells candidates what is known of them. `destination` is name and port.
    pub fn recall(&self, now: Duration, destination: &str, policy: &Policy, candidates: &mut [Candidate]) {
        let winner = self.winner(now, destination, policy);
        for candidate in candidates {
            candidate.remembered = winner == Some(candidate.to);
            let known = self.addresses.get(&candidate.to.without_port());
            let known = known.filter(|address| now.saturating_sub(address.at) < MAX_AGE);
            candidate.used = known.is_some();
            candidate.rtt = known.map(|address| address.rtt);
        }
    }

    /// Learns from a race. `destination` is name and port; `None` for a race to an address. What began in an
    /// earlier epoch is about another network, and ignored.
    pub fn learn(&mut self, now: Duration, epoch: u64, destination: Option<&str>, trace: &Trace) {
        if epoch != self.epoch {
            return;
        }
        let winner = trace.winner();
        if let Some(attempt) = winner
            && let Some(took) = attempt.took
        {
            let key = attempt.to.without_port();
            if let Some(address) = self.addresses.get_mut(&key) {
                *address = Address { rtt: smoothed(address.rtt, took), at: now };
            } else {
                let room = make_room(&mut self.addresses, self.capacity, |address| address.at);
                self.evicted += u64::from(room);
                self.addresses.insert(key, Address { rtt: took, at: now });
            }
        }
        // Of a name that does not resolve there is nothing to remember, and typing errors would fill the
        // table.
        let Some(destination) = destination.filter(|_| !trace.attempts.is_empty()) else { return };
        if !self.destinations.contains_key(destination) {
            let room = make_room(&mut self.destinations, self.capacity, |destination| destination.at);
            self.evicted += u64::from(room);
        }
        let entry = self.destinations.entry(destination.into()).or_default();
        entry.at = now;
        entry.winner = winner.map(|attempt| attempt.to);
        for attempt in &trace.attempts {
            let record = &mut entry.families[index(attempt.to.family())];
            match attempt.outcome {
                Outcome::Won => {
                    record.connected += 1;
                    if let Some(took) = attempt.took {
                        record.latency = Some(record.latency.map_or(took, |latency| smoothed(latency, took)));
                    }
                }
                Outcome::Failed(_) => record.failed += 1,
                Outcome::Lost | Outcome::GaveWay | Outcome::GivenUp => record.unanswered += 1,
                Outcome::UnderWay => {}
            }
        }
    }

    /// What is remembered, by destination.
    pub fn entries(&self, now: Duration) -> Vec<Remembered> {
        let mut entries: Vec<Remembered> = self
            .destinations
            .iter()
            .map(|(destination, entry)| Remembered {
                destination: destination.to_string(),
                winner: entry.winner,
                age: now.saturating_sub(entry.at),
                ipv4: entry.families[index(Family::V4)],
                ipv6: entry.families[index(Family::V6)],
            })
            .collect();
        entries.sort_by(|a, b| a.destination.cmp(&b.destination));
        entries
    }
}

fn index(family: Family) -> usize {
    match family {
        Family::V4 => 0,
        Family::V6 => 1,
    }
}

/// RFC 6298 section 2.3, alpha = 1/8.
fn smoothed(mean: Duration, sample: Duration) -> Duration {
    (mean * 7 + sample) / 8
}

/// Makes room for one more; tells whether something had to go.
fn make_room<K: Clone + Eq + Hash, V>(
    table: &mut HashMap<K, V>,
    capacity: usize,
    at: impl Fn(&V) -> Duration,
) -> bool {
    if table.len() < capacity {
        return false;
    }
    let oldest = table.iter().min_by_key(|(_, value)| at(value)).map(|(key, _)| key.clone());
    oldest.is_some_and(|key| table.remove(&key).is_some())
}
