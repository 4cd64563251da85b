//! Fragments of datagrams (RFC 6146 section 3.4): only the first has ports. What it was translated to is remembered for
//! the others; those that come before it are held. Nothing is put together here: each fragment leaves as it came.
//!
//! It is bounded in datagrams, in octets held, and in fragments held of one datagram; the oldest datagram gives way.

use core::time::Duration;
use std::collections::{HashMap, VecDeque};
use std::net::{Ipv4Addr, Ipv6Addr};

/// Fragments of one datagram that are held: 64 kB in pieces of 1280 octets are 52.
const MAX_HELD: usize = 52;

/// A datagram: both addresses, identification, protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Datagram<A> {
    pub(super) source: A,
    pub(super) destination: A,
    pub(super) identification: u32,
    pub(super) protocol: u8,
}

pub(super) type Datagram6 = Datagram<Ipv6Addr>;
pub(super) type Datagram4 = Datagram<Ipv4Addr>;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Id {
    V4(Datagram4),
    V6(Datagram6),
}

/// The addresses that all fragments of a datagram get.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Addresses {
    V4(Ipv4Addr, Ipv4Addr),
    V6(Ipv6Addr, Ipv6Addr),
}

#[derive(Debug)]
enum Known {
    Addresses(Addresses),
    Waiting(Vec<Vec<u8>>),
}

#[derive(Debug)]
pub(super) struct Fragments {
    known: HashMap<Id, (Known, Duration)>,
    /// In the order of their deadlines; entries that were forgotten since are skipped.
    order: VecDeque<(Duration, Id)>,
    octets: usize,
    max_datagrams: usize,
    max_octets: usize,
    lifetime: Duration,
}

impl Fragments {
    pub(super) fn new(max_datagrams: usize, max_octets: usize, lifetime: Duration) -> Self {
        Self { known: HashMap::new(), order: VecDeque::new(), octets: 0, max_datagrams, max_octets, lifetime }
    }

    /// Octets held.
    pub(super) fn octets(&self) -> usize {
        self.octets
    }

    pub(super) fn addresses(&self, id: &Id) -> Option<Addresses> {
        match self.known.get(id) {
            Some((Known::Addresses(addresses), _)) => Some(*addresses),
            _ => None,
        }
    }

    /// What a first fragment was translated to; the fragments that waited for it.
    pub(super) fn learn(
        &mut self,
        now: Duration,
        id: Id,
        addresses: Addresses,
        evicted: &mut u64,
    ) -> Vec<Vec<u8>> {
        let waited = match self.forget(&id) {
            Some(Known::Waiting(waited)) => waited,
            _ => Vec::new(),
        };
        self.put(now, id, Known::Addresses(addresses), evicted);
        waited
    }

    /// Keeps a fragment whose first one has not come yet. `false` where there is no room.
    pub(super) fn hold(&mut self, now: Duration, id: Id, octets: &[u8], evicted: &mut u64) -> bool {
        if octets.len() > self.max_octets || self.max_datagrams == 0 {
            return false;
        }
        if let Some((Known::Waiting(held), _)) = self.known.get_mut(&id) {
            if held.len() >= MAX_HELD || self.octets + octets.len() > self.max_octets {
                return false;
            }
            held.push(octets.to_vec());
            self.octets += octets.len();
            return true;
        }
        while self.octets + octets.len() > self.max_octets {
            if !self.evict(evicted) {
                return false;
            }
        }
        self.octets += octets.len();
        self.put(now, id, Known::Waiting(vec![octets.to_vec()]), evicted);
        true
    }

    fn put(&mut self, now: Duration, id: Id, known: Known, evicted: &mut u64) {
        while self.known.len() >= self.max_datagrams.max(1) && self.evict(evicted) {}
        let deadline = now.saturating_add(self.lifetime);
        self.known.insert(id, (known, deadline));
        self.order.push_back((deadline, id));
        // Entries whose datagram was learnt anew remain in the order until they are due: not more than twice as many.
        if self.order.len() > 2 * self.max_datagrams.max(1) {
            let known = &self.known;
            self.order.retain(|(deadline, id)| known.get(id).is_some_and(|(_, due)| due == deadline));
        }
    }

    fn forget(&mut self, id: &Id) -> Option<Known> {
        let (known, _) = self.known.remove(id)?;
        if let Known::Waiting(held) = &known {
            self.octets -= held.iter().map(Vec::len).sum::<usize>();
        }
        Some(known)
    }

    /// Forgets the oldest datagram.
    fn evict(&mut self, evicted: &mut u64) -> bool {
        while let Some((deadline, id)) = self.order.pop_front() {
            if self.known.get(&id).is_some_and(|(_, due)| *due == deadline) {
                self.forget(&id);
                *evicted += 1;
                return true;
            }
        }
        false
    }

    pub(super) fn first_due(&self) -> Option<Duration> {
        self.order.front().map(|(deadline, _)| *deadline)
    }

    pub(super) fn expire(&mut self, now: Duration) {
        while let Some(&(deadline, id)) = self.order.front() {
            if deadline > now {
                return;
            }
            self.order.pop_front();
            if self.known.get(&id).is_some_and(|(_, due)| *due == deadline) {
                self.forget(&id);
            }
        }
    }
}
