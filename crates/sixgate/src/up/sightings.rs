//! Who was seen with which address, for the history: hosts form addresses themselves (SLAAC) and tell nobody.
//!
//! What is new is written within seconds; a stay that goes on, every quarter of an hour: a LAN's traffic writes nothing.

use super::engine::Engine;
use super::neighbours::Mac;
use sixgate_dhcp::identity;
use sixgate_dhcp::lease::Resource;
use sixgate_store::{Change, Sighting};
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::net::Ipv6Addr;
use std::time::Duration;

/// How long something new waits for others that are written with it.
const PAUSE: Duration = Duration::from_secs(2);
/// How often stays that go on are written.
const EXTEND: Duration = Duration::from_mins(15);
/// A stay ends when its host was not seen for this long.
const ENDS: Duration = Duration::from_hours(1);
/// Most stays at one time; who comes when there are as many is not written down.
const MOST: usize = 16_384;
/// Most stays of one host at one time: one that makes up addresses without end fills no database.
const MOST_OF_ONE: u32 = 32;
/// Most rows that are given to the store at once: leases are behind them.
const BATCH: usize = 512;

#[derive(Debug, Clone, Copy)]
struct Stay {
    mac: Mac,
    last: Duration,
    /// Up to here it is written down, or about to be.
    written: Duration,
}

/// The stays that go on, and what of them is to be written.
#[derive(Debug, Default)]
pub(crate) struct Sightings {
    stays: HashMap<(usize, Ipv6Addr), Stay>,
    /// How many stays each host has.
    hosts: HashMap<(usize, Mac), u32>,
    waiting: VecDeque<(usize, Ipv6Addr, Mac, Duration, Duration)>,
    /// When what waits is to be written.
    due: Option<Duration>,
    /// When stays that go on are next gone through.
    sweep: Duration,
    written: u64,
    dropped: u64,
}

impl Sightings {
    /// A host showed that it has an address.
    fn saw(&mut self, now: Duration, lan: usize, address: Ipv6Addr, mac: Mac) {
        if self.sweep == Duration::ZERO {
            self.sweep = now.saturating_add(EXTEND);
        }
        match self.stays.get_mut(&(lan, address)) {
            Some(stay) if stay.mac == mac => {
                stay.last = now;
                return;
            }
            Some(_) => self.end(lan, address),
            None => {}
        }
        let full = self.stays.len() >= MOST;
        let theirs = self.hosts.entry((lan, mac)).or_default();
        if full || *theirs >= MOST_OF_ONE {
            self.dropped = self.dropped.saturating_add(1);
            if *theirs == 0 {
                self.hosts.remove(&(lan, mac));
            }
            return;
        }
        *theirs += 1;
        self.stays.insert((lan, address), Stay { mac, last: now, written: now });
        self.waiting.push_back((lan, address, mac, now, now));
        self.due = self.due.or(Some(now.saturating_add(PAUSE)));
    }

    /// Forgets a stay; what is not written of it is about to be.
    fn end(&mut self, lan: usize, address: Ipv6Addr) {
        let Some(stay) = self.stays.remove(&(lan, address)) else { return };
        if stay.last > stay.written {
            self.waiting.push_back((lan, address, stay.mac, stay.written, stay.last));
        }
        if let Some(theirs) = self.hosts.get_mut(&(lan, stay.mac)) {
            *theirs = theirs.saturating_sub(1);
            if *theirs == 0 {
                self.hosts.remove(&(lan, stay.mac));
            }
        }
    }

    /// When there is next something to do.
    fn poll_timeout(&self) -> Option<Duration> {
        let sweep = (!self.stays.is_empty()).then_some(self.sweep);
        self.due.into_iter().chain(sweep).min()
    }

    /// Goes through the stays where it is time to: those that go on are written, those that do not end.
    fn sweep(&mut self, now: Duration) {
        if now < self.sweep {
            return;
        }
        self.sweep = now.saturating_add(EXTEND);
        let over: Vec<(usize, Ipv6Addr)> = (self.stays.iter())
            .filter(|(_, stay)| stay.last.saturating_add(ENDS) <= now)
            .map(|(key, _)| *key)
            .collect();
        for (lan, address) in over {
            self.end(lan, address);
        }
        for (&(lan, address), stay) in &mut self.stays {
            if stay.last > stay.written {
                self.waiting.push_back((lan, address, stay.mac, stay.written, stay.last));
                stay.written = stay.last;
            }
        }
        if !self.waiting.is_empty() {
            self.due = self.due.or(Some(now));
        }
    }

    /// Everything that is not written yet is about to be, because this process ends.
    fn end_all(&mut self) {
        for (lan, address) in self.stays.keys().copied().collect::<Vec<_>>() {
            self.end(lan, address);
        }
    }

    /// Stays that go on, rows written, and what was not written down for want of room.
    pub(crate) fn counters(&self) -> BTreeMap<String, u64> {
        let now = self.stays.len() as u64;
        let all = [("stays", now), ("stays-written", self.written), ("stays-dropped", self.dropped)];
        all.map(|(name, value)| (name.to_owned(), value)).into()
    }
}

impl Engine {
    /// Of addresses that hosts on the LANs were seen with.
    pub(crate) fn neighbour_counters(&self) -> BTreeMap<String, u64> {
        let stays = self.sightings.as_ref().map(Sightings::counters);
        self.neighbours.counters().into_iter().chain(stays.into_iter().flatten()).collect()
    }

    /// When [`Engine::write_sightings`] is next due.
    pub(crate) fn sightings_due(&self) -> Option<Duration> {
        self.sightings.as_ref().and_then(Sightings::poll_timeout)
    }

    /// A host showed that it has one of the LAN's addresses. What is leased to that very host the history has already.
    pub(crate) fn sighted(&mut self, lan: usize, address: Ipv6Addr, mac: Mac) {
        let now = self.now();
        let Some(sightings) = &mut self.sightings else { return };
        let lease = self.server.leases().get(Resource::Address(address));
        let known = lease.and_then(|lease| lease.link_layer);
        if known.is_none_or(|known| known.mac.as_bytes() != mac) {
            sightings.saw(now, lan, address, mac);
        }
    }

    /// Writes what waits, where it is time to.
    pub(crate) fn write_sightings_if_due(&mut self) {
        let now = self.now();
        let Some(sightings) = &mut self.sightings else { return };
        sightings.sweep(now);
        if sightings.due.is_some_and(|due| due <= now) {
            let more = self.write_sightings();
            if let Some(sightings) = &mut self.sightings {
                sightings.due = more.then(|| now.saturating_add(PAUSE));
            }
        }
    }

    /// Writes everything, because this process ends.
    pub(crate) fn end_sightings(&mut self) {
        if let Some(sightings) = &mut self.sightings {
            sightings.end_all();
        }
        while self.write_sightings() {}
    }

    /// Writes some of what waits; whether there is more that the store would take.
    fn write_sightings(&mut self) -> bool {
        let Some(sightings) = &mut self.sightings else { return false };
        let batch: Vec<_> = sightings.waiting.drain(..sightings.waiting.len().min(BATCH)).collect();
        let link = |lan: usize| self.lans.get(lan).map(|lan| lan.config.name.as_str().into());
        let changes: Vec<Change> = (batch.iter())
            .filter_map(|&(lan, address, mac, first, last)| {
                let (link, mac) = (link(lan)?, identity::Mac::new(&mac)?);
                Some(Change::Seen(Sighting { address: address.into(), mac, link, first, last }))
            })
            .collect();
        if changes.is_empty() {
            return false;
        }
        let count = changes.len() as u64;
        let taken = self.set_all(changes).is_some();
        let Some(sightings) = &mut self.sightings else { return false };
        if taken {
            sightings.written = sightings.written.saturating_add(count);
            return !sightings.waiting.is_empty();
        }
        // The store takes no more now: they are tried again with what comes next, as long as there is room.
        let room = MOST.saturating_sub(sightings.waiting.len());
        sightings.dropped = sightings.dropped.saturating_add(batch.len().saturating_sub(room) as u64);
        batch.into_iter().take(room).for_each(|one| sightings.waiting.push_front(one));
        sightings.due = Some(self.clock.now().saturating_add(PAUSE));
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secs(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn address(n: u32) -> Ipv6Addr {
        (0x2001_0db8 << 96 | u128::from(n)).into()
    }

    fn mac(n: u16) -> Mac {
        let [a, b] = n.to_be_bytes();
        [2, 0, 0, 0, a, b]
    }

    fn waiting(sightings: &mut Sightings) -> Vec<(Ipv6Addr, Mac, u64, u64)> {
        let take = |(_, address, mac, first, last): (usize, Ipv6Addr, Mac, Duration, Duration)| {
            (address, mac, first.as_secs(), last.as_secs())
        };
        sightings.due = None;
        sightings.waiting.drain(..).map(take).collect()
    }

    #[test]
    fn traffic_writes_nothing_and_time_does() {
        let mut sightings = Sightings::default();
        for second in 100..=400 {
            sightings.saw(secs(second), 0, address(1), mac(1));
        }
        assert_eq!(sightings.poll_timeout(), Some(secs(102)));
        assert_eq!(waiting(&mut sightings), [(address(1), mac(1), 100, 100)]);
        assert_eq!(sightings.poll_timeout(), Some(secs(1_000)));
        sightings.sweep(secs(999));
        assert!(waiting(&mut sightings).is_empty());
        sightings.sweep(secs(1_000));
        assert_eq!(waiting(&mut sightings), [(address(1), mac(1), 100, 400)]);
        sightings.sweep(secs(1_900));
        assert!(waiting(&mut sightings).is_empty(), "it was not seen again");
        sightings.saw(secs(2_000), 0, address(1), mac(1));
        sightings.sweep(secs(9_000));
        assert_eq!(waiting(&mut sightings), [(address(1), mac(1), 400, 2_000)]);
        assert_eq!((sightings.stays.len(), sightings.hosts.len(), sightings.poll_timeout()), (0, 0, None));
    }

    #[test]
    fn another_host_ends_a_stay_and_the_end_of_all_writes_the_rest() {
        let mut sightings = Sightings::default();
        sightings.saw(secs(100), 0, address(1), mac(1));
        sightings.saw(secs(110), 0, address(1), mac(1));
        sightings.saw(secs(120), 0, address(1), mac(2));
        sightings.saw(secs(125), 1, address(1), mac(1));
        sightings.saw(secs(130), 0, address(1), mac(2));
        let rows = waiting(&mut sightings);
        assert_eq!(
            rows,
            [
                (address(1), mac(1), 100, 100),
                (address(1), mac(1), 100, 110),
                (address(1), mac(2), 120, 120),
                (address(1), mac(1), 125, 125),
            ]
        );
        sightings.end_all();
        assert_eq!(waiting(&mut sightings), [(address(1), mac(2), 120, 130)]);
    }

    #[test]
    fn whoever_makes_up_addresses_or_hosts_meets_a_bound() {
        let mut sightings = Sightings::default();
        for n in 0..1_000 {
            sightings.saw(secs(100), 0, address(n), mac(1));
        }
        assert_eq!((sightings.stays.len(), sightings.counters()["stays-dropped"]), (32, 1_000 - 32));
        sightings.saw(secs(100), 0, address(5_000), mac(2));
        assert_eq!(sightings.stays.len(), 33, "others are seen nevertheless");
        for n in 0..60_000u16 {
            sightings.saw(secs(100), 0, address(u32::from(n) + 10_000), mac(n));
        }
        assert_eq!((sightings.stays.len(), sightings.waiting.len()), (MOST, MOST));
        assert!(sightings.hosts.len() <= MOST);
        sightings.sweep(secs(100) + ENDS + EXTEND);
        assert!(sightings.stays.is_empty() && sightings.hosts.is_empty(), "and it passes");
    }
}
