//! Machines that share a DUID: clones of one image. Where clients are known by their DUID, one's answer ends the other's
//! use of the address; that is seen, and said.
//!
//! One machine may change its hardware address, and has then the same DUID too. So two addresses are no proof by
//! themselves: they are where one that was left comes back, or where there are three.

use crate::identity::Mac;
use crate::lease::LinkId;
use sixgate_wire::dhcpv6::Duid;
use std::collections::BTreeMap;
use std::net::Ipv6Addr;
use std::time::Duration;

/// DUIDs that are watched; the one not heard for the longest time gives way.
const MOST: usize = 1_024;
/// Stations of one DUID that are told apart; all further ones are counted as more.
const MOST_STATIONS: usize = 64;
/// How long a station counts after it was last heard.
const REMEMBERED: Duration = Duration::from_hours(24);

/// A machine, as far as it can be told from others: by its hardware address where the link or its relay agent shows it,
/// else by the address it sends from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Station {
    /// By its hardware address.
    Mac(Mac),
    /// By its link-local address.
    Address(Ipv6Addr),
}

impl std::fmt::Display for Station {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Mac(mac) => mac.fmt(f),
            Self::Address(address) => address.fmt(f),
        }
    }
}

/// What is known of one DUID on one link.
#[derive(Debug, Clone)]
struct Watched {
    stations: BTreeMap<Station, Duration>,
    /// The one heard last.
    last: Station,
    proven: bool,
    heard: Duration,
}

/// DUIDs that more than one machine seems to have.
#[derive(Debug, Default)]
pub(super) struct Clones {
    watched: BTreeMap<(LinkId, Duid), Watched>,
}

impl Clones {
    /// Two machines asked under one DUID and association: `before` holds a lease, `after` asks. Whether this proves for the
    /// first time that they are two.
    pub(super) fn note(
        &mut self,
        now: Duration,
        (link, duid): (&LinkId, &Duid),
        before: Station,
        after: Station,
    ) -> bool {
        let key = (link.clone(), duid.clone());
        if !self.watched.contains_key(&key) && self.watched.len() >= MOST {
            let oldest = self.watched.iter().min_by_key(|(_, watched)| watched.heard);
            if let Some(oldest) = oldest.map(|(key, _)| key.clone()) {
                self.watched.remove(&oldest);
            }
        }
        let watched = self.watched.entry(key).or_insert_with(|| Watched {
            stations: BTreeMap::new(),
            last: before,
            proven: false,
            heard: now,
        });
        watched.stations.retain(|_, heard| heard.saturating_add(REMEMBERED) > now);
        watched.stations.entry(before).or_insert(now);
        let returned = watched.last != after && watched.stations.contains_key(&after);
        if watched.stations.len() < MOST_STATIONS || watched.stations.contains_key(&after) {
            watched.stations.insert(after, now);
        }
        (watched.last, watched.heard) = (after, now);
        let first = !watched.proven;
        watched.proven |= returned || watched.stations.len() > 2;
        first && watched.proven
    }

    /// The DUIDs that several machines have: link, DUID, and the machines heard within a day.
    pub(super) fn iter(&self, now: Duration) -> impl Iterator<Item = (&LinkId, &Duid, Vec<Station>)> {
        self.watched.iter().filter(|(_, watched)| watched.proven).filter_map(
            move |((link, duid), watched)| {
                let recent =
                    watched.stations.iter().filter(|(_, heard)| heard.saturating_add(REMEMBERED) > now);
                let stations: Vec<Station> = recent.map(|(station, _)| *station).collect();
                (stations.len() > 1).then_some((link, duid, stations))
            },
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn station(n: u8) -> Station {
        Station::Mac(Mac::new(&[2, 0, 0, 0, 0, n]).unwrap())
    }

    #[test]
    fn one_that_changed_its_address_is_no_clone_and_one_that_comes_back_is() {
        let hour = Duration::from_hours;
        let (link, duid) = (LinkId::from("lan"), Duid::uuid([7; 16]));
        let mut clones = Clones::default();
        let mut note =
            |at, before, after| clones.note(hour(at), (&link, &duid), station(before), station(after));
        assert!(!note(100, 1, 2), "a new card");
        assert!(!note(200, 2, 3), "and another, much later");
        assert!(note(201, 3, 2), "now the second is back");
        assert!(!note(202, 2, 3), "once is enough");
        assert_eq!(clones.iter(hour(203)).map(|(.., all)| all.len()).collect::<Vec<_>>(), [2]);
        assert_eq!(clones.iter(hour(300)).count(), 0, "all is quiet");
        let other = Duid::uuid([8; 16]);
        assert!(!clones.note(hour(300), (&link, &other), station(1), station(2)));
        assert!(clones.note(hour(300), (&link, &other), station(2), station(3)), "three on one day");
        for n in 0..=MOST as u32 {
            let duid = Duid::enterprise(n, &[1]).unwrap();
            clones.note(hour(301), (&link, &duid), station(1), station(2));
        }
        assert_eq!(clones.watched.len(), MOST);
    }
}
