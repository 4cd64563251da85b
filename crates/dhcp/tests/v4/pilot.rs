//! The share of clients that do without IPv4.

use crate::asking::{ANY, Ask, Desk, KEY, LEASE, START, WAIT, config, mostly, secs};
use proptest::prelude::*;
use sixgate_dhcp::v4::{Limits, Link, Pilot, Place, ServerConfig};
use sixgate_wire::dhcpv4::MessageType;
use std::collections::BTreeSet;
use std::net::Ipv4Addr;
use std::time::Duration;

const CAPABLE: u16 = 1_000;
const PRINTERS: u16 = 100;

/// Room for everybody.
fn campus(percent: u8) -> ServerConfig {
    let link = Link::new("lan", "10.0.0.1/16".parse().unwrap()).unwrap();
    let pilot = Pilot { percent, ..Pilot::everybody(KEY) };
    ServerConfig { pilot, ..config(vec![Link { ipv6_mostly: Some(mostly()), ..link }]) }
}

/// What a client does next, and when.
#[derive(Debug, Clone, Copy)]
enum Life {
    Asks,
    Holds { address: Ipv4Addr, until: Duration },
    Waits,
}

struct Campus {
    desk: Desk,
    clients: Vec<Life>,
    /// Whose turn it is, and when.
    turns: BTreeSet<(Duration, usize)>,
}

impl Campus {
    /// Everybody comes within the first ten minutes.
    fn new(percent: u8) -> Self {
        let mut rng = fastrand::Rng::with_seed(1);
        let clients = usize::from(CAPABLE + PRINTERS);
        let turns = (0..clients).map(|client| (START + secs(rng.u64(0..600)), client)).collect();
        Self { desk: Desk::new(campus(percent)), clients: vec![Life::Asks; clients], turns }
    }

    fn run(&mut self, time: Duration) {
        let until = self.desk.now + time;
        while let Some(&(at, next)) = self.turns.first().filter(|(at, _)| *at <= until) {
            self.turns.pop_first();
            let wait = at.saturating_sub(self.desk.now);
            self.desk.pass(wait);
            self.turn(next);
        }
        let rest = until.saturating_sub(self.desk.now);
        self.desk.pass(rest);
    }

    /// A client as RFC 2131 and RFC 8925 have it.
    fn turn(&mut self, index: usize) {
        let (client, now) = (index as u16, self.desk.now);
        let asks = |ask: Ask| {
            let ask = Ask { header: sixgate_wire::dhcpv4::Header { xid: 7, ..ask.header }, ..ask };
            if client < CAPABLE { ask.capable() } else { ask }
        };
        let select = |address| {
            asks(Ask::reboot(client, address))
                .with(sixgate_wire::dhcpv4::OptionCode::SERVER_ID, &[10, 0, 0, 1])
        };
        let life = self.clients[index];
        let told = match life {
            Life::Holds { address, until } if until > now => {
                self.desk.ask(&asks(Ask::renew(client, address))).unwrap()
            }
            _ => {
                let offer = self.desk.ask(&asks(Ask::discover(client))).unwrap();
                match offer.v6only {
                    Some(_) => offer,
                    None => self.desk.ask(&select(offer.address)).unwrap(),
                }
            }
        };
        let (life, wait) = match (told.kind, told.v6only, told.lease) {
            (MessageType::ACK, _, Some(lease)) => {
                let until = now + secs(lease.into());
                // T1, or the end where that is near (RFC 2131 section 4.4.5: no more than once a minute).
                let next = if lease > 120 { lease / 2 } else { lease };
                (Life::Holds { address: told.address, until }, next)
            }
            (MessageType::OFFER, Some(wait), None) => {
                assert_eq!(told.address, ANY);
                (Life::Waits, wait)
            }
            other => panic!("{other:?}"),
        };
        self.clients[index] = life;
        self.turns.insert((now + secs(wait.into()), index));
    }

    /// The clients without IPv4.
    fn without(&self) -> BTreeSet<usize> {
        let holds = |life: Life| matches!(life, Life::Holds { until, .. } if until > self.desk.now);
        let without = |client: &usize| !holds(self.clients[*client]);
        (0..self.clients.len()).filter(without).collect()
    }

    fn set(&mut self, percent: u8) {
        let pilot = Pilot { percent, ..self.desk.server.pilot().clone() };
        self.desk.pilot(pilot);
    }
}

/// The whole story: 1, 5 and 10 % of a thousand clients, a crash on the way, and back to none within a lease.
#[test]
fn a_thousand_clients_move_off_ipv4_and_back() {
    let mut campus = Campus::new(0);
    campus.run(secs(3600));
    assert!(campus.without().is_empty());
    let mut before = BTreeSet::new();
    for (percent, share) in [(1, 10), (5, 50), (10, 100)] {
        campus.set(percent);
        // A lease that began just before ends, and its client asks anew.
        campus.run(secs(u64::from(LEASE) + 60));
        let without = campus.without();
        assert_eq!(without.len(), share, "{percent} %");
        assert!(without.is_superset(&before), "{percent} % takes somebody out");
        assert!(without.iter().all(|client| *client < usize::from(CAPABLE)), "a printer lost IPv4");
        before = without;
        // The choice outlives the server.
        campus.desk.restart(self::campus(percent));
        campus.run(secs(2 * u64::from(LEASE)));
        assert_eq!(campus.without(), before, "{percent} % after a restart");
    }
    campus.set(0);
    campus.run(secs(u64::from(LEASE)));
    assert!(campus.without().is_empty(), "still without IPv4: {:?}", campus.without());
    const { assert!(WAIT <= LEASE, "what the promise rests on") }
}

fn members(desk: &Desk) -> BTreeSet<Place> {
    desk.server.roster().members().collect()
}

fn nearest(clients: usize, percent: u8) -> usize {
    (clients * usize::from(percent.min(100)) + 50) / 100
}

/// From the same clients every percentage chooses exactly its share, and the lower ones choose of what the
/// higher do.
#[test]
fn every_share_is_exact_and_nested() {
    for clients in [0, 1, 2, 3, 7, 99, 1_000_u16] {
        let mut desk = Desk::new(campus(0));
        for client in 0..clients {
            desk.ask(&Ask::discover(client).capable());
        }
        let mut before = BTreeSet::new();
        for percent in 0..=101 {
            desk.pilot(Pilot { percent, ..Pilot::everybody(KEY) });
            let now = members(&desk);
            assert_eq!(now.len(), nearest(clients.into(), percent), "{percent} % of {clients}");
            assert!(now.is_superset(&before));
            before = now;
        }
        assert_eq!(before.len(), clients.into());
    }
}

/// Another key, another choice.
#[test]
fn the_key_chooses() {
    let choice = |key| {
        let mut desk = Desk::new(ServerConfig { pilot: Pilot::nobody(key), ..campus(0) });
        (0..200).for_each(|client| drop(desk.ask(&Ask::discover(client).capable())));
        desk.pilot(Pilot { percent: 10, ..Pilot::everybody(key) });
        (0..200)
            .filter(|c| desk.ask(&Ask::discover(*c).capable()).unwrap().v6only.is_some())
            .collect::<Vec<u16>>()
    };
    let (one, two) = (choice([1; 16]), choice([2; 16]));
    assert_eq!((one.len(), two.len()), (20, 20));
    assert_eq!(choice([1; 16]), one);
    assert_ne!(one, two);
}

/// A stranger with a new address for each question: the roster is bounded, and those in the pilot stay in.
#[test]
fn strangers_do_not_grow_the_roster() {
    let limits = Limits { roster: 100, ..Limits::default() };
    let mut desk = Desk::new(ServerConfig { limits, ..campus(10) });
    for client in 0..100 {
        desk.ask(&Ask::discover(client).capable());
    }
    let before = members(&desk);
    assert_eq!(before.len(), 10);
    for client in 100..5_000 {
        desk.now += secs(1);
        desk.ask(&Ask::discover(client).capable());
    }
    assert_eq!((desk.server.roster().len(), desk.roster.len()), (100, 100));
    assert_eq!(members(&desk), before);
    assert_eq!(desk.server.counters().roster_evicted, 4_900);
    // Raised: nobody leaves, although those who are known now are others.
    desk.pilot(Pilot { percent: 11, ..Pilot::everybody(KEY) });
    assert!(members(&desk).is_superset(&before));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Clients come in any order while the percentage goes up and down: the share is exact at every moment, a
    /// client that comes puts nobody out, raising only adds, lowering only takes away, and what was kept is
    /// the roster.
    #[test]
    fn whatever_happens_the_share_is_exact(
        events in proptest::collection::vec((any::<bool>(), 0_u16..300), 1..200),
    ) {
        let mut desk = Desk::new(campus(5));
        let mut percent = 5;
        for (comes, number) in events {
            let before = members(&desk);
            if comes {
                let told = desk.ask(&Ask::discover(number).capable()).unwrap().v6only.is_some();
                prop_assert!(members(&desk).is_superset(&before));
                let again = desk.ask(&Ask::discover(number).capable()).unwrap().v6only.is_some();
                prop_assert_eq!(told, again);
            } else {
                let next = (number % 101) as u8;
                desk.pilot(Pilot { percent: next, ..Pilot::everybody(KEY) });
                let now = members(&desk);
                let nested =
                    if next >= percent { now.is_superset(&before) } else { now.is_subset(&before) };
                prop_assert!(nested);
                percent = next;
            }
            let roster = desk.server.roster();
            prop_assert_eq!(roster.member_count(), nearest(roster.len(), percent));
            prop_assert_eq!(roster.iter().collect::<std::collections::BTreeMap<_, _>>(), desk.roster.clone());
        }
        let before = members(&desk);
        desk.restart(campus(percent));
        prop_assert_eq!(members(&desk), before);
    }
}
