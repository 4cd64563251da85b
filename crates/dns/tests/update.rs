//! Names of DHCP clients in a DNS server's zones: against a small server of the test's own, in simulated time.

#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

use sixgate_dns::update::{Action, Identity, UpdateConfig, Updater};
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

const DUID: &[u8] = &[0, 3, 0, 1, 2, 0, 0, 0, 0, 1];
const OTHER: &[u8] = &[0, 3, 0, 1, 2, 0, 0, 0, 0, 2];
const WALL: u64 = 1_795_000_000;

fn config() -> UpdateConfig {
    UpdateConfig {
        zone: "example.org".parse().unwrap(),
        reverse: ["2001:db8::/32", "192.0.2.0/24"].map(|net| net.parse().unwrap()).into(),
        ttl: 600,
        key: None,
        most: 100,
    }
}

fn octets(number: u16) -> [u8; 16] {
    Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, number).octets()
}

fn address(number: u16) -> IpAddr {
    octets(number).into()
}

/// A zone server by RFC 2136 section 3: (name, type) to data.
#[derive(Debug, Default)]
struct Zones {
    records: BTreeMap<(String, u16), BTreeSet<Vec<u8>>>,
    down: bool,
    /// Answers this, whatever is asked.
    refuses: Option<u8>,
}

impl Zones {
    fn take(&mut self, message: &[u8]) -> Option<Vec<u8>> {
        if self.down {
            return None;
        }
        let mut answer = message[..12].to_vec();
        answer[2] |= 0x80;
        answer[3] = self.refuses.unwrap_or_else(|| self.update(message));
        answer[4..12].fill(0);
        Some(answer)
    }

    fn update(&mut self, message: &[u8]) -> u8 {
        assert_eq!(message[2] >> 3 & 15, 5, "UPDATE");
        let count = |at: usize| u16::from_be_bytes([message[at], message[at + 1]]);
        let mut at = 12;
        let zone = name(message, &mut at);
        at += 4;
        let mut record = || {
            let owner = name(message, &mut at);
            assert!(owner.ends_with(&zone), "{owner} lies in {zone}");
            let kind = u16::from_be_bytes([message[at], message[at + 1]]);
            let class = u16::from_be_bytes([message[at + 2], message[at + 3]]);
            let length = usize::from(u16::from_be_bytes([message[at + 8], message[at + 9]]));
            let data = message[at + 10..at + 10 + length].to_vec();
            at += 10 + length;
            (owner, kind, class, data)
        };
        let before: Vec<_> = (0..count(6)).map(|_| record()).collect();
        let changes: Vec<_> = (0..count(8)).map(|_| record()).collect();
        assert_eq!(at, message.len());
        for (owner, kind, class, data) in before {
            let taken = self.records.keys().any(|(known, _)| *known == owner);
            let there = self.records.get(&(owner, kind));
            let code = match (class, kind) {
                (255, 255) if !taken => 3,
                (254, 255) if taken => 6,
                (254, kind) if kind != 255 && there.is_some() => 7,
                (1, _) if there.is_none_or(|set| set.len() != 1 || !set.contains(&data)) => 8,
                _ => 0,
            };
            if code != 0 {
                return code;
            }
        }
        for (owner, kind, class, data) in changes {
            let key = (owner, kind);
            match class {
                1 => drop(self.records.entry(key).or_default().insert(data)),
                254 => drop(self.records.get_mut(&key).map(|set| set.remove(&data))),
                _ => drop(self.records.remove(&key)),
            }
        }
        self.records.retain(|_, set| !set.is_empty());
        0
    }

    fn names(&self) -> Vec<String> {
        let names: BTreeSet<_> = self.records.keys().map(|(name, _)| name.clone()).collect();
        names.into_iter().filter(|name| !name.ends_with("ip6.arpa.")).collect()
    }

    fn addresses(&self, name: &str) -> usize {
        self.records.get(&(name.to_owned(), 28)).map_or(0, BTreeSet::len)
    }

    fn reverse(&self) -> usize {
        self.records.keys().filter(|(_, kind)| *kind == 12).count()
    }
}

fn name(message: &[u8], at: &mut usize) -> String {
    let mut text = String::new();
    loop {
        let length = usize::from(message[*at]);
        *at += 1;
        if length == 0 {
            return text;
        }
        text += std::str::from_utf8(&message[*at..*at + length]).unwrap();
        text.push('.');
        *at += length;
    }
}

struct World {
    updater: Updater,
    zones: Zones,
    disk: BTreeMap<IpAddr, Vec<u8>>,
    now: Duration,
    seed: u64,
    /// Answers take their time, and some are lost.
    network: Option<fastrand::Rng>,
    answers: BTreeMap<Duration, Vec<u8>>,
}

impl World {
    fn new(seed: u64) -> Self {
        let updater = Updater::new(config(), fastrand::Rng::with_seed(seed));
        let now = Duration::from_secs(WALL);
        let (zones, disk, answers) = (Zones::default(), BTreeMap::new(), BTreeMap::new());
        Self { updater, zones, disk, now, seed, network: None, answers }
    }

    fn want(&mut self, number: u16, client: Option<(&str, &[u8])>) {
        let client = client.map(|(hostname, duid)| (hostname, Identity::Duid(duid)));
        self.updater.want(self.now, address(number), client);
    }

    /// Does what is to be done until nothing is, or for so long.
    fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        loop {
            let answer = self.answers.first_key_value().map(|(due, _)| *due);
            let due = self.updater.poll_timeout();
            let Some(next) = answer.into_iter().chain(due).min().filter(|next| *next <= end) else { break };
            self.now = self.now.max(next);
            let mut actions = Vec::new();
            match self.answers.remove(&next) {
                Some(answer) => self.updater.handle(self.now, WALL, &answer, &mut actions),
                None => self.updater.handle_timeout(self.now, WALL, &mut actions),
            }
            self.act(actions);
        }
        self.now = end;
    }

    fn act(&mut self, actions: Vec<Action>) {
        for action in actions {
            match action {
                Action::Record(address, Some(record)) => drop(self.disk.insert(address, record)),
                Action::Record(address, None) => drop(self.disk.remove(&address)),
                Action::Send(bytes) => {
                    let Some(answer) = self.zones.take(&bytes) else { continue };
                    if let Some(network) = &mut self.network {
                        if network.u8(0..10) > 0 {
                            let delay = Duration::from_nanos(network.u64(1..4_000_000_000));
                            self.answers.insert(self.now + delay, answer);
                        }
                    } else {
                        let mut more = Vec::new();
                        self.updater.handle(self.now, WALL, &answer, &mut more);
                        self.act(more);
                    }
                }
            }
        }
    }

    /// The program is killed and started again; these leases are what it finds on the disk.
    fn restart(&mut self, leases: &[(u16, &str, &[u8])]) {
        self.seed += 1;
        self.updater = Updater::new(config(), fastrand::Rng::with_seed(self.seed));
        for (address, record) in &self.disk {
            self.updater.restore(self.now, *address, record);
        }
        for (number, hostname, duid) in leases {
            self.want(*number, Some((hostname, duid)));
        }
    }
}

const MINUTE: Duration = Duration::from_mins(1);

#[test]
fn a_lease_gets_its_name_and_loses_it_again() {
    let mut world = World::new(1);
    world.want(1, Some(("laptop", DUID)));
    world.pass(MINUTE);
    assert_eq!(world.zones.names(), ["laptop.example.org."]);
    let data: Vec<u8> = octets(1).into();
    assert_eq!(world.zones.records[&("laptop.example.org.".to_owned(), 28)], [data].into());
    assert_eq!((world.zones.reverse(), world.disk.len()), (1, 1));
    assert_eq!(world.updater.settled_and_pending(), (1, 0));
    let sent = world.updater.counters().sent;
    // A renewal says nothing new.
    world.want(1, Some(("laptop", DUID)));
    world.pass(MINUTE);
    assert_eq!(world.updater.counters().sent, sent);
    world.want(1, None);
    world.pass(MINUTE);
    assert!(world.zones.records.is_empty(), "{:?}", world.zones);
    assert!(world.disk.is_empty());
    assert_eq!(world.updater.settled_and_pending(), (0, 0));
    assert_eq!(world.updater.poll_timeout(), None);
}

#[test]
fn one_client_may_have_several_addresses_by_one_name() {
    let mut world = World::new(2);
    world.want(1, Some(("laptop", DUID)));
    world.want(2, Some(("laptop", DUID)));
    world.pass(MINUTE);
    assert_eq!((world.zones.addresses("laptop.example.org."), world.zones.reverse()), (2, 2));
    world.want(1, None);
    world.pass(MINUTE);
    assert_eq!((world.zones.addresses("laptop.example.org."), world.zones.reverse()), (1, 1));
    world.want(2, None);
    world.pass(MINUTE);
    assert!(world.zones.records.is_empty(), "{:?}", world.zones);
}

#[test]
fn a_name_is_the_first_clients_who_has_it() {
    let mut world = World::new(3);
    world.want(1, Some(("laptop", DUID)));
    world.pass(MINUTE);
    world.want(2, Some(("laptop", OTHER)));
    world.pass(MINUTE);
    assert_eq!((world.zones.addresses("laptop.example.org."), world.zones.reverse()), (1, 1));
    assert_eq!(world.updater.counters().conflicts, 1);
    // The other one's end takes nothing from the first.
    world.want(2, None);
    world.pass(MINUTE);
    assert_eq!((world.zones.addresses("laptop.example.org."), world.zones.reverse()), (1, 1));
    // And where the first goes, the other gets it within the hour.
    world.want(2, Some(("laptop", OTHER)));
    world.pass(MINUTE);
    world.want(1, None);
    world.pass(Duration::from_hours(2));
    let data: Vec<u8> = octets(2).into();
    assert_eq!(world.zones.records[&("laptop.example.org.".to_owned(), 28)], [data].into());
}

#[test]
fn what_a_person_wrote_into_the_zone_stays() {
    let mut world = World::new(4);
    let by_hand = BTreeSet::from([vec![9; 16]]);
    world.zones.records.insert(("www.example.org.".to_owned(), 28), by_hand.clone());
    world.want(1, Some(("www", DUID)));
    world.pass(MINUTE);
    world.want(1, None);
    world.pass(MINUTE);
    assert_eq!(world.zones.records, [(("www.example.org.".to_owned(), 28), by_hand)].into());
}

#[test]
fn a_lease_that_ends_while_the_server_is_down_is_removed_later() {
    let mut world = World::new(5);
    world.want(1, Some(("laptop", DUID)));
    world.pass(MINUTE);
    world.zones.down = true;
    world.want(1, None);
    world.pass(Duration::from_hours(10));
    assert_eq!(world.updater.trouble(), Some("it does not answer"));
    let timeouts = world.updater.counters().timeouts;
    assert!((10..100).contains(&timeouts), "it asks ever more rarely: {timeouts}");
    // We are restarted meanwhile; no lease is left to remind us.
    world.restart(&[]);
    world.pass(MINUTE);
    assert_eq!(world.zones.names(), ["laptop.example.org."]);
    world.zones.down = false;
    world.pass(Duration::from_mins(11));
    assert!(world.zones.records.is_empty(), "{:?}", world.zones);
    assert!(world.disk.is_empty());
    assert_eq!(world.updater.trouble(), None);
}

#[test]
fn a_restart_says_nothing_of_what_is_done() {
    let mut world = World::new(6);
    world.want(1, Some(("laptop", DUID)));
    world.pass(MINUTE);
    world.restart(&[(1, "laptop", DUID)]);
    world.pass(MINUTE);
    assert_eq!(world.updater.counters().sent, 0);
    assert_eq!(world.updater.settled_and_pending(), (1, 0));
}

#[test]
fn what_the_server_refuses_is_tried_again_and_told() {
    let mut world = World::new(7);
    world.zones.refuses = Some(5);
    world.want(1, Some(("laptop", DUID)));
    world.pass(MINUTE);
    assert!(world.updater.trouble().unwrap().contains("REFUSED"));
    world.zones.refuses = None;
    world.pass(Duration::from_mins(11));
    assert_eq!((world.zones.addresses("laptop.example.org."), world.updater.trouble()), (1, None));
}

#[test]
fn strangers_cannot_make_it_grow() {
    let mut world = World::new(8);
    for number in 0..1_000 {
        world.want(number, Some((&format!("host{number}"), DUID)));
    }
    for number in 2_000..2_010 {
        world.want(number, Some(("no host", DUID)));
    }
    world.pass(MINUTE);
    assert_eq!(world.zones.names().len(), 100);
    let counters = world.updater.counters();
    assert_eq!((counters.overflow, counters.unusable), (900, 10));
    // Answers that nobody asked for.
    let mut actions = Vec::new();
    world.updater.handle(world.now, WALL, b"\0\x01\xa8\0\0\0\0\0\0\0\0\0", &mut actions);
    world.updater.handle(world.now, WALL, b"junk", &mut actions);
    assert!(actions.is_empty());
    assert_eq!(world.updater.counters().unverified, 1);
}

/// RFC 4361 and RFC 4701 section 3.3: a host that is known by its DUID in DHCPv4 too has one name for both families.
#[test]
fn both_families_of_one_duid_share_a_name() {
    let mut world = World::new(9);
    let v4: IpAddr = "192.0.2.70".parse().unwrap();
    world.want(1, Some(("laptop", DUID)));
    world.updater.want(world.now, v4, Some(("laptop", Identity::Duid(DUID))));
    world.pass(MINUTE);
    let name = "laptop.example.org.".to_owned();
    assert_eq!(world.zones.records[&(name.clone(), 1)], [vec![192, 0, 2, 70]].into());
    assert_eq!(world.zones.addresses(&name), 1);
    let back =
        world.zones.records.keys().any(|(owner, kind)| owner == "70.2.0.192.in-addr.arpa." && *kind == 12);
    assert!(back, "{:?}", world.zones);
    // Each goes by itself, and the name with the last.
    world.want(1, None);
    world.pass(MINUTE);
    assert!(world.zones.records.contains_key(&(name.clone(), 1)));
    assert!(world.zones.records.contains_key(&(name, 49)));
    world.updater.want(world.now, v4, None);
    world.pass(MINUTE);
    assert!(world.zones.records.is_empty(), "{:?}", world.zones);
}

#[test]
fn a_client_without_a_duid_is_another_and_is_known_again() {
    const MAC: &[u8] = &[1, 2, 0, 0, 0, 0, 1];
    let mut world = World::new(10);
    let v4: IpAddr = "192.0.2.70".parse().unwrap();
    world.updater.want(world.now, v4, Some(("laptop", Identity::Hardware(MAC))));
    world.pass(MINUTE);
    world.want(1, Some(("laptop", DUID)));
    world.pass(MINUTE);
    assert_eq!((world.updater.counters().conflicts, world.zones.addresses("laptop.example.org.")), (1, 0));
    let dhcid = world.zones.records[&("laptop.example.org.".to_owned(), 49)].first().unwrap().clone();
    assert_eq!(dhcid[..3], [0, 0, 1], "by its hardware address");
    // After a restart nobody knows whether it sent an identifier: what is in the zone stays.
    world.restart(&[]);
    world.updater.want(world.now, v4, Some(("laptop", Identity::ClientId(MAC))));
    world.pass(MINUTE);
    assert_eq!(world.updater.counters().sent, 0);
    // Another identifier is another client.
    let other = Identity::ClientId(&[0, b'p', b'c']);
    world.updater.want(world.now, v4, Some(("laptop", other)));
    world.pass(MINUTE);
    let dhcid = world.zones.records[&("laptop.example.org.".to_owned(), 49)].first().unwrap().clone();
    assert_eq!(dhcid[..3], [0, 1, 1]);
}

/// Leases come, go and change their names, the server is down and up, we are killed and restarted: in the end the zone holds what
/// is wanted and nothing else.
#[test]
fn in_the_end_the_zone_holds_what_is_wanted() {
    for seed in 0..300 {
        let mut world = World::new(seed);
        let mut random = fastrand::Rng::with_seed(seed);
        world.network = (seed % 2 == 1).then(|| random.fork());
        let mut leases: BTreeMap<u16, (&str, &[u8])> = BTreeMap::new();
        for _ in 0..60 {
            // Each client has a name of its own and two addresses at most.
            let number = random.u16(0..6);
            let (duid, names) =
                if number.is_multiple_of(2) { (DUID, ["one", "two"]) } else { (OTHER, ["three", "four"]) };
            match random.u8(0..10) {
                0..=3 => {
                    let hostname = names[random.usize(0..2)];
                    leases.insert(number, (hostname, duid));
                    world.want(number, Some((hostname, duid)));
                }
                4..=6 => {
                    leases.remove(&number);
                    world.want(number, None);
                }
                7 => world.zones.down = !world.zones.down,
                8 => {
                    let kept: Vec<_> = leases.iter().map(|(n, (h, d))| (*n, *h, *d)).collect();
                    world.restart(&kept);
                }
                _ => world.zones.refuses = random.bool().then_some(2),
            }
            world.pass(Duration::from_millis(random.u64(0..5_000)));
        }
        (world.zones.down, world.zones.refuses, world.network) = (false, None, None);
        world.pass(Duration::from_hours(3));
        let mut wanted: BTreeMap<String, BTreeSet<Vec<u8>>> = BTreeMap::new();
        for (number, (hostname, _)) in &leases {
            let data = octets(*number).to_vec();
            wanted.entry(format!("{hostname}.example.org.")).or_default().insert(data);
        }
        let held: BTreeMap<String, BTreeSet<Vec<u8>>> = (world.zones.records.iter())
            .filter(|((_, kind), _)| *kind == 28)
            .map(|((name, _), data)| (name.clone(), data.clone()))
            .collect();
        assert_eq!(held, wanted, "seed {seed}");
        assert_eq!(world.zones.names().len(), wanted.len(), "seed {seed}: no DHCID is left alone");
        assert_eq!(world.zones.reverse(), leases.len(), "seed {seed}");
        assert_eq!(world.disk.len(), leases.len(), "seed {seed}");
        assert_eq!(world.updater.settled_and_pending(), (leases.len(), 0), "seed {seed}");
    }
}
