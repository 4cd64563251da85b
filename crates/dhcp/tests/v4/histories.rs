//! Random histories of clients that share a server and a small pool, with a disk that fails, crashes, lost
//! answers, doubled messages, renumbering, and a pilot that goes up and down.

use crate::asking::{Ask, GATEWAY, Heard, KEY, START, config, hardware, keep, mostly, secs};
use crate::history::{LATENCY, Store, histories};
use sixgate_dhcp::lease::LeaseState;
use sixgate_dhcp::v4::{
    Action, Actions, Datagram, Lease, LeaseChange, LeaseTable, Limits, Link, Pilot, Place, Roster, Server,
    ServerConfig,
};
use sixgate_wire::dhcpv4::{ClientId, MessageType, OptionCode};
use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::time::Duration;

const CLIENTS: u16 = 6;

fn address(last: u8) -> Ipv4Addr {
    Ipv4Addr::new(192, 0, 2, last)
}

/// The pools that there are at one time or another.
fn links(which: usize) -> Vec<Link> {
    let link = Link::new("lan", "192.0.2.1/24".parse().unwrap()).unwrap();
    let (first, last, lease) = [(10, 14, 100), (12, 17, 300), (10, 11, 200), (20, 29, 50)][which];
    let link = link.with_pool(address(first), address(last)).unwrap();
    vec![Link {
        lease: secs(lease),
        reserved: vec![address(12)],
        ipv6_mostly: (which != 2).then(mostly),
        ..link
    }]
}

fn may_give(links: &[Link], address: Ipv4Addr) -> bool {
    links.iter().any(|link| link.pool.contains(&address) && !link.reserved.contains(&address))
}

#[derive(Debug, Default)]
struct Client {
    /// Answers to older questions are not heard.
    xid: u32,
    /// Its last message, which the link may double.
    last: Vec<u8>,
    /// Whether the last message asked for option 108.
    capable: bool,
    /// Its address and the time until which it relies on that.
    holds: Option<(Ipv4Addr, Duration)>,
    offered: Option<Ipv4Addr>,
}

struct World {
    rng: fastrand::Rng,
    now: Duration,
    links: Vec<Link>,
    pilot: Pilot,
    server: Server,
    disk: LeaseTable,
    roster: BTreeMap<Place, bool>,
    store: Store<Lease, Ipv4Addr, Link>,
    clients: Vec<Client>,
    told: u64,
    without: u64,
    crashes: u64,
}

fn settings(links: Vec<Link>, pilot: Pilot) -> ServerConfig {
    let limits = Limits { declined: 2, decline_hold: secs(400), offers: 3, roster: 4, ..Limits::default() };
    ServerConfig { limits, pilot, ..config(links) }
}

impl World {
    fn new(seed: u64) -> Self {
        let (links, pilot) = (links(0), Pilot { percent: 50, ..Pilot::everybody(KEY) });
        Self {
            rng: fastrand::Rng::with_seed(seed),
            now: START,
            server: Server::new(settings(links.clone(), pilot.clone()), Vec::new(), Roster::default()),
            links,
            pilot,
            disk: LeaseTable::new(),
            roster: BTreeMap::new(),
            store: Store::new(),
            clients: (0..CLIENTS).map(|_| Client::default()).collect(),
            told: 0,
            without: 0,
            crashes: 0,
        }
    }

    fn step(&mut self) {
        let client = self.rng.u16(0..CLIENTS);
        match self.rng.u8(0..26) {
            0..=3 => self.discover(client),
            4..=7 => self.select(client),
            8..=9 => self.renew(client),
            10 => self.reboot(client),
            11 => self.give_up(client, false),
            12 => self.give_up(client, true),
            13..=15 => self.settle(),
            16..=17 => self.pass(),
            18 => self.crash(),
            19..=21 => self.double(client),
            22 => self.write(0),
            23 => self.recover(),
            24 => self.pilot(),
            _ => self.renumber(),
        }
        // Most commits are quick.
        if self.rng.u8(0..3) > 0 {
            self.settle();
        }
        self.check();
    }

    fn ask(&mut self, client: u16, mut ask: Ask) {
        // Some can do without IPv4, and sometimes ask for more.
        let capable = client.is_multiple_of(2);
        if capable {
            ask = ask.capable();
        }
        ask.header.xid = self.rng.u32(..);
        if ask.kind == MessageType::DISCOVER && self.rng.u8(0..3) == 0 {
            ask = ask.with(OptionCode::RAPID_COMMIT, &[]);
        }
        let asking = &mut self.clients[usize::from(client)];
        (asking.xid, asking.capable) = (ask.header.xid, capable);
        if ask.kind == MessageType::DISCOVER
            || ask.options.iter().any(|(code, _)| *code == OptionCode::SERVER_ID)
        {
            // Who looks for an address has none, or gives it up (RFC 2131 section 4.4).
            asking.holds = None;
        }
        asking.last = ask.bytes();
        let bytes = asking.last.clone();
        self.send(&bytes);
        // The double comes while the commit of the first is under way, which may then fail.
        if self.rng.u8(0..4) == 0 {
            self.double(client);
            if self.rng.bool() {
                self.settle_first(self.store.waiting.len(), true);
            }
        }
    }

    fn double(&mut self, client: u16) {
        let last = self.clients[usize::from(client)].last.clone();
        if !last.is_empty() {
            self.send(&last);
        }
    }

    fn send(&mut self, bytes: &[u8]) {
        let mut actions = Actions::new();
        let source = Ipv4Addr::UNSPECIFIED;
        self.server.handle(self.now, &Datagram { link: "lan", source, bytes }, &mut actions);
        let links = self.links.clone();
        self.act(actions, &links);
    }

    /// Does what the server asks; answers were written when `links` stood.
    fn act(&mut self, actions: Actions, links: &[Link]) {
        for action in actions {
            match action {
                Action::Reply(reply) => {
                    if self.rng.u8(0..5) > 0 {
                        self.hear(&Heard::read(&reply), links);
                    }
                }
                Action::Commit { ticket, changes } => {
                    assert!(!changes.is_empty());
                    let addresses: BTreeSet<_> = changes.iter().map(LeaseChange::address).collect();
                    assert_eq!(addresses.len(), changes.len(), "one change for each address");
                    let busy = self
                        .store
                        .waiting
                        .iter()
                        .flat_map(|commit| &commit.changes)
                        .map(LeaseChange::address);
                    let again: Vec<_> = busy.filter(|address| addresses.contains(address)).collect();
                    assert!(again.is_empty(), "two changes on their way: {again:?}");
                    if !self.store.accept(&mut self.rng, self.now, (ticket, changes), links) {
                        self.server.commit_failed(self.now, ticket);
                    }
                }
                Action::Roster(changes) => keep(&mut self.roster, changes),
            }
        }
    }

    fn hear(&mut self, heard: &Heard, links: &[Link]) {
        let Some(number) = (0..CLIENTS).find(|c| hardware(*c) == heard.header.hardware) else {
            panic!("{heard:?}")
        };
        let index = usize::from(number);
        if heard.header.xid != self.clients[index].xid {
            return;
        }
        assert!(heard.v6only.is_none() || self.clients[index].capable, "told what it did not ask for");
        match heard.kind {
            MessageType::OFFER if heard.v6only.is_some() => {
                assert_eq!(heard.address.is_unspecified(), heard.lease.is_none());
                assert!(links.iter().any(|link| link.ipv6_mostly.is_some()), "no way to IPv4");
                let client = &mut self.clients[index];
                // Some do not heed it, and take what else is in it.
                client.offered = Some(heard.address).filter(|address| !address.is_unspecified());
                self.without += 1;
            }
            MessageType::OFFER => {
                assert!(may_give(links, heard.address), "{} is in no pool", heard.address);
                self.clients[index].offered = Some(heard.address);
                assert!(self.clients[index].holds.is_none());
            }
            MessageType::ACK => {
                assert!(may_give(links, heard.address), "{} is in no pool", heard.address);
                let until = self.now + secs(heard.lease.unwrap().into());
                self.clients[index].holds = Some((heard.address, until));
                self.told += 1;
            }
            MessageType::NAK => self.clients[index].holds = None,
            other => panic!("{other}"),
        }
    }

    fn discover(&mut self, client: u16) {
        let mut ask = Ask::discover(client);
        if self.rng.u8(0..3) == 0 {
            let hint = address(self.rng.u8(9..31));
            ask = ask.with(OptionCode::REQUESTED_ADDRESS, &hint.octets());
        }
        self.ask(client, ask);
    }

    fn select(&mut self, client: u16) {
        let offered = self.clients[usize::from(client)].offered.take();
        // A greedy one takes what it likes.
        let greedy = (self.rng.u8(0..8) == 0).then(|| address(self.rng.u8(9..31)));
        if let Some(address) = greedy.or(offered) {
            self.ask(client, Ask::select(client, address));
        }
    }

    fn renew(&mut self, client: u16) {
        if let Some((address, _)) = self.clients[usize::from(client)].holds {
            self.ask(client, Ask::renew(client, address));
        }
    }

    fn reboot(&mut self, client: u16) {
        let holds = self.clients[usize::from(client)].holds.map(|(address, _)| address);
        let address = holds.unwrap_or_else(|| address(self.rng.u8(9..31)));
        self.ask(client, Ask::reboot(client, address));
    }

    fn give_up(&mut self, client: u16, declines: bool) {
        if let Some((address, _)) = self.clients[usize::from(client)].holds {
            let ask = if declines { Ask::decline(client, address) } else { Ask::release(client, address) };
            self.ask(client, ask);
        }
    }

    fn settle(&mut self) {
        let count = self.rng.usize(0..=self.store.waiting.len());
        let fails = self.rng.u8(0..6) == 0;
        self.settle_first(count, fails);
    }

    fn settle_first(&mut self, count: usize, fails: bool) {
        if fails {
            for ticket in self.store.fail(&mut self.rng, count) {
                self.server.commit_failed(self.now, ticket);
            }
            return;
        }
        self.write(count);
        for commit in self.store.written(count) {
            let mut actions = Actions::new();
            self.server.committed(commit.ticket, &mut actions);
            self.act(actions, &commit.links);
        }
    }

    fn write(&mut self, count: usize) {
        self.store.write(count, |change| {
            self.disk.apply(change);
        });
    }

    /// The disk takes everything for a while, and then has what the server has.
    fn recover(&mut self) {
        self.store.good = true;
        for _ in 0..4 {
            self.settle_first(self.store.waiting.len(), false);
            self.tick(secs(1));
        }
        self.settle_first(self.store.waiting.len(), false);
        (self.store.good, self.store.differs) = (false, false);
    }

    fn tick(&mut self, time: Duration) {
        self.now += time;
        for client in &mut self.clients {
            client.holds = client.holds.filter(|(_, until)| *until > self.now);
        }
        let mut actions = Actions::new();
        self.server.handle_timeout(self.now, &mut actions);
        let links = self.links.clone();
        self.act(actions, &links);
    }

    fn pass(&mut self) {
        let first_end = self.server.leases().by_end().next().map(|lease| lease.valid_until);
        let time = match self.rng.u8(0..5) {
            0 => Duration::from_micros(1),
            1 => secs(self.rng.u64(0..5)),
            2 => secs(self.rng.u64(0..150)),
            // Around the end of a lease, where client and server may disagree.
            3 => (first_end.unwrap_or_default() + secs(self.rng.u64(0..12))).saturating_sub(self.now),
            _ => secs(self.rng.u64(0..600)),
        };
        if self.store.is_late(self.now + time) {
            let fails = self.rng.u8(0..4) == 0;
            self.settle_first(self.store.waiting.len(), fails);
        }
        self.tick(time);
    }

    /// Some of the commits under way reached the disk, and nobody was told.
    fn crash(&mut self) {
        let count = self.rng.usize(0..=self.store.waiting.len());
        if count > 0 || self.rng.bool() {
            self.write(count);
        }
        self.store.crash();
        let mut snapshot: Vec<_> = self.disk.iter().cloned().collect();
        self.rng.shuffle(&mut snapshot);
        let roster = Roster::restored(self.roster.iter().map(|(place, member)| (*place, *member)));
        self.server = Server::new(settings(self.links.clone(), self.pilot.clone()), snapshot, roster);
        assert_eq!(self.server.counters().snapshot_conflicts, 0);
        self.crashes += 1;
    }

    fn pilot(&mut self) {
        let percent = [0, 1, 10, 50, 100][self.rng.usize(0..5)];
        self.pilot = Pilot { percent, ..self.pilot.clone() };
        let mut actions = Actions::new();
        self.server.set_pilot(self.pilot.clone(), &mut actions);
        let links = self.links.clone();
        self.act(actions, &links);
    }

    fn renumber(&mut self) {
        self.links = links(self.rng.usize(0..4));
        self.server.set_links(self.links.clone());
    }

    fn check(&self) {
        let mut believed = BTreeSet::new();
        for (number, client) in self.clients.iter().enumerate() {
            let Some((address, until)) = client.holds else { continue };
            assert!(believed.insert(address), "two hold {address}");
            assert_ne!(address, GATEWAY);
            let id = ClientId::hardware(hardware(number as u16));
            let Some(lease) = self.disk.get(address) else {
                panic!("client {number} was told of {address}, and the disk does not know it");
            };
            assert!(
                lease.client == id && lease.state != LeaseState::Declined,
                "client {number} was told of {address}, and on the disk it is another's: {lease:?}"
            );
            assert!(lease.valid_until + LATENCY >= until, "{address} ends before its client thinks");
        }
        let bound = |table: &LeaseTable| {
            let mut holders = BTreeSet::new();
            for lease in table.iter().filter(|lease| lease.state == LeaseState::Bound) {
                assert!(holders.insert(lease.client.clone()), "{} has two leases", lease.client);
            }
        };
        bound(self.server.leases());
        assert_eq!(self.server.roster().iter().collect::<BTreeMap<_, _>>(), self.roster);
        assert!(self.roster.len() <= 4);
        if self.store.differs {
            return;
        }
        bound(&self.disk);
        if self.store.waiting.is_empty() {
            let memory: Vec<&Lease> = self.server.leases().iter().collect();
            assert_eq!(memory, self.disk.iter().collect::<Vec<_>>(), "memory and disk differ");
        }
    }
}

/// What happened in one history: leases told, crashes, leases expired, clients told to do without.
fn history(seed: u64) -> [u64; 4] {
    let mut world = World::new(seed);
    for _ in 0..world.rng.usize(20..80) {
        world.step();
    }
    world.recover();
    world.check();
    [world.told, world.crashes, world.server.counters().expired, world.without]
}

#[test]
fn ten_thousand_histories_keep_the_invariants() {
    let [told, crashes, expired, without] = histories(10_000, history);
    // The histories are worth something only if much happens in them.
    assert!(
        told > 12_000 && crashes > 5_000 && expired > 1_000 && without > 5_000,
        "told {told}, crashes {crashes}, expired {expired}, without {without}"
    );
}
