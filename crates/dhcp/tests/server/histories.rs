//! Random histories of clients that share a server, with small pools so that they meet, a disk that fails, crashes, lost
//! answers, doubled messages and renumbering.

use crate::asking::{
    Ask, Heard, START, address_pool, assert_disjoint, client_address, client_duid, config, delegation_pool,
    lifetimes, secs,
};
use sixgate_dhcp::identity::Identity;
use sixgate_dhcp::lease::{Kind, Lease, LeaseChange, LeaseState, LeaseTable, Resource};
use sixgate_dhcp::server::{Action, Actions, Datagram, Limits, Link, Route, Server, ServerConfig};
use sixgate_wire::dhcpv6::{MessageType, OptionCode, StatusCode};
use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv6Addr;
use std::time::Duration;

const CLIENTS: u8 = 5;
/// Longest time from a message to its answer.
const LATENCY: Duration = Duration::from_secs(8);
const GATEWAY: &str = "2001:db8:0:1::6";

/// The prefixes that the ISP might give.
fn pools(which: usize) -> Vec<Link> {
    if which == 4 {
        return vec![Link::new("lan")];
    }
    let (address, delegation) = [
        ("2001:db8:0:1::/125", "2001:db8:0:100::/62"),
        ("2001:db8:0:2::/125", "2001:db8:0:200::/62"),
        ("2001:db8:0:1::4/126", "2001:db8:0:102::/63"),
        ("2001:db8:0:3::/64", "2001:db8:0:100::/60"),
    ][which];
    let mut link = Link { reserved: vec![GATEWAY.parse().unwrap()], ..Link::new("lan") };
    link.addresses = vec![address_pool(address)];
    link.delegation = vec![delegation_pool(delegation, 64)];
    link.delegation[0].reserved = vec!["2001:db8:0:103::/64".parse().unwrap()];
    if which == 2 {
        // What was promised for longer under the first of these still stands.
        link.addresses[0].lifetimes = lifetimes(200, 300);
        link.delegation[0].lifetimes = lifetimes(200, 300);
    }
    if which == 1 {
        link.addresses[0].lifetimes = lifetimes(30, 50);
        // The old prefix still counts, and is not preferred.
        let mut old = address_pool("2001:db8:0:1::/125");
        old.lifetimes.preferred_until = START;
        link.addresses.push(old);
    }
    vec![link]
}

fn may_give(links: &[Link], resource: Resource) -> bool {
    links.iter().any(|link| match resource {
        Resource::Address(address) => {
            !link.reserved.contains(&address)
                && link.addresses.iter().any(|pool| pool.prefix.contains(&address))
        }
        Resource::Prefix(net) => link.delegation.iter().any(|pool| {
            let reserved = pool.reserved.iter().any(|r| r.contains(&net) || net.contains(r));
            pool.prefix.contains(&net) && !reserved && (60..=64).contains(&net.prefix_len())
        }),
    })
}

/// What a client was told and relies on.
#[derive(Debug, Clone, Copy)]
struct Belief {
    iaid: u32,
    until: Duration,
}

#[derive(Debug, Default)]
struct Client {
    /// Answers to older questions are not heard (RFC 9915 section 18.2.10).
    transaction: [u8; 3],
    /// Its last message, which the link may double.
    last: Vec<u8>,
    /// What the last message gave up.
    given_up: Vec<(u32, Resource)>,
    holds: BTreeMap<Resource, Belief>,
    offered: Vec<(Kind, u32, Vec<Resource>)>,
}

struct Waiting {
    ticket: u64,
    changes: Vec<LeaseChange>,
    asked_at: Duration,
    links: Vec<Link>,
}

struct World {
    rng: fastrand::Rng,
    now: Duration,
    links: Vec<Link>,
    server: Server,
    disk: LeaseTable,
    /// What failed and was kept: it is written before anything else is.
    unwritten: Vec<LeaseChange>,
    /// A failed commit may be on the disk, or come there.
    differs: bool,
    /// The store refuses nothing.
    good: bool,
    waiting: Vec<Waiting>,
    routes: BTreeMap<ipnet::Ipv6Net, (Ipv6Addr, String)>,
    clients: Vec<Client>,
    told: u64,
    crashes: u64,
}

fn settings(links: Vec<Link>) -> ServerConfig {
    let limits = Limits { declined: 2, decline_hold: secs(4_000), offers: 3, ..Limits::default() };
    ServerConfig { limits, ..config(links) }
}

impl World {
    fn new(seed: u64) -> Self {
        let links = pools(0);
        Self {
            rng: fastrand::Rng::with_seed(seed),
            now: START,
            server: Server::new(settings(links.clone()), Vec::new()),
            links,
            disk: LeaseTable::new(),
            unwritten: Vec::new(),
            differs: false,
            good: false,
            waiting: Vec::new(),
            routes: BTreeMap::new(),
            clients: (0..CLIENTS).map(|_| Client::default()).collect(),
            told: 0,
            crashes: 0,
        }
    }

    fn step(&mut self) {
        let client = self.rng.u8(0..CLIENTS);
        match self.rng.u8(0..25) {
            0..=3 => self.solicit(client),
            4..=6 => self.request(client),
            7..=9 => self.extend(client, MessageType::RENEW),
            10 => self.extend(client, MessageType::REBIND),
            11 => self.give_up(client, MessageType::RELEASE),
            12 => self.give_up(client, MessageType::DECLINE),
            13..=15 => self.settle(),
            16..=17 => self.pass(),
            18 => self.crash(),
            19..=21 => self.double(client),
            22 => self.write(0),
            23 => self.recover(),
            _ => self.renumber(),
        }
        // Most commits are quick.
        if self.rng.u8(0..3) > 0 {
            self.settle();
        }
        self.check();
    }

    fn ask(&mut self, client: u8, ask: &Ask) {
        let transaction = [0; 3].map(|_: u8| self.rng.u8(..));
        let bytes = Ask { transaction, ..ask.clone() }.bytes();
        let gives_up = [MessageType::RELEASE, MessageType::DECLINE].contains(&ask.kind);
        let named =
            ask.ias.iter().flat_map(|(_, iaid, listed)| listed.iter().map(|resource| (*iaid, *resource)));
        let given_up = named.filter(|_| gives_up).collect();
        let asking = &mut self.clients[usize::from(client)];
        (asking.transaction, asking.given_up) = (transaction, given_up);
        asking.last.clone_from(&bytes);
        self.send(client, &bytes);
        // The double comes while the commit of the first is under way, which may then fail.
        if self.rng.u8(0..4) == 0 {
            self.double(client);
            if self.rng.bool() {
                self.settle_first(self.waiting.len(), true);
            }
        }
    }

    /// The client's last message again, be it sent again or doubled on its way.
    fn double(&mut self, client: u8) {
        let last = self.clients[usize::from(client)].last.clone();
        if !last.is_empty() {
            self.send(client, &last);
        }
    }

    fn send(&mut self, client: u8, bytes: &[u8]) {
        let mut actions = Actions::new();
        let datagram =
            Datagram { link: "lan", source: client_address(client), port: 546, bytes, link_layer: None };
        self.server.handle(self.now, &datagram, &mut actions);
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
                    let resources: BTreeSet<_> = changes.iter().map(LeaseChange::resource).collect();
                    assert_eq!(resources.len(), changes.len(), "one change for each resource");
                    if !self.good && self.rng.u8(0..20) == 0 {
                        // The queue of the store is full.
                        self.server.commit_failed(self.now, ticket);
                        continue;
                    }
                    self.waiting.push(Waiting { ticket, changes, asked_at: self.now, links: links.to_vec() });
                }
                Action::RouteAdd(Route { prefix, via, link }) => {
                    self.routes.insert(prefix, (via, link.to_string()));
                }
                Action::Agreed(..) | Action::Disagreed(_) => {}
                Action::RouteRemove { prefix } => {
                    assert!(self.routes.remove(&prefix).is_some(), "{prefix} had no route");
                }
            }
        }
    }

    fn hear(&mut self, heard: &Heard, links: &[Link]) {
        let duid = heard.client.clone().unwrap();
        let client = usize::from(*duid.last().unwrap());
        let advertise = heard.kind == MessageType::ADVERTISE;
        if heard.transaction != self.clients[client].transaction {
            return;
        }
        if advertise {
            self.clients[client].offered.clear();
        } else {
            self.compare(client, heard);
        }
        for ia in &heard.ias {
            for &(resource, preferred, valid) in &ia.leases {
                assert!(preferred <= valid);
                if valid > 0 {
                    assert!(may_give(links, resource), "{resource} is in no pool");
                }
                if advertise {
                    continue;
                }
                self.told += 1;
                if valid == 0 {
                    self.clients[client].holds.remove(&resource);
                } else {
                    let belief = Belief { iaid: ia.iaid, until: self.now + secs(u64::from(valid)) };
                    self.clients[client].holds.insert(resource, belief);
                }
            }
            if advertise && !ia.leases.is_empty() {
                let resources = ia.leases.iter().map(|lease| lease.0).collect();
                self.clients[client].offered.push((ia.kind, ia.iaid, resources));
            }
        }
    }

    /// What a Reply denies must be gone from the disk, too: else a crash brings back what its client has given up.
    fn compare(&self, client: usize, heard: &Heard) {
        let duid = client_duid(client as u8);
        let bound = |resource: Resource, iaid: u32| {
            let lease = self.disk.get(resource);
            lease.is_some_and(|lease| {
                lease.state == LeaseState::Bound && lease.is_held_by(&Identity::Duid(duid.clone()), iaid)
            })
        };
        for ia in &heard.ias {
            if ia.status == StatusCode::NO_BINDING {
                let held = self.disk.held(&Identity::Duid(duid.clone()), ia.iaid, ia.kind).count();
                assert_eq!(held, 0, "client {client} was told of no binding, and the disk has one");
            }
            for &(resource, _, _) in ia.leases.iter().filter(|lease| lease.2 == 0) {
                assert!(!bound(resource, ia.iaid), "client {client} lost {resource}, and the disk has it");
            }
        }
        for &(iaid, resource) in &self.clients[client].given_up {
            assert!(!bound(resource, iaid), "client {client} has given up {resource}, and the disk has it");
        }
    }

    fn solicit(&mut self, client: u8) {
        let mut ask = Ask::new(MessageType::SOLICIT, client);
        for iaid in 0..self.rng.u32(1..=2) {
            ask.ias.push((Kind::Address, iaid, Vec::new()));
        }
        match self.rng.u8(0..4) {
            0 => ask.ias.push((Kind::Prefix, 7, vec![])),
            1 => ask.ias.push((Kind::Prefix, 7, vec!["::/62".parse().unwrap()])),
            2 => ask.ias.push((Kind::Prefix, 7, vec!["2001:db8:0:101::/64".parse().unwrap()])),
            _ => {}
        }
        if self.rng.u8(0..3) == 0 {
            ask = ask.raw(OptionCode::RAPID_COMMIT, &[]);
        }
        self.ask(client, &ask);
    }

    fn request(&mut self, client: u8) {
        let mut ask = Ask::new(MessageType::REQUEST, client);
        ask.ias.clone_from(&self.clients[usize::from(client)].offered);
        if self.rng.u8(0..8) == 0 {
            // A greedy one: everybody's address at once.
            let all = (0..8).map(|i| format!("2001:db8:0:1::{i}").parse().unwrap()).collect();
            ask.ias = vec![(Kind::Address, self.rng.u32(0..3), all)];
        }
        if !ask.ias.is_empty() {
            self.ask(client, &ask);
        }
    }

    /// The client's leases as associations.
    fn held(&mut self, client: u8) -> Vec<(Kind, u32, Vec<Resource>)> {
        let mut ias: BTreeMap<(Kind, u32), Vec<Resource>> = BTreeMap::new();
        for (&resource, belief) in &self.clients[usize::from(client)].holds {
            ias.entry((resource.kind(), belief.iaid)).or_default().push(resource);
        }
        ias.into_iter().map(|((kind, iaid), resources)| (kind, iaid, resources)).collect()
    }

    fn extend(&mut self, client: u8, kind: MessageType) {
        let ias = self.held(client);
        if !ias.is_empty() {
            self.ask(client, &Ask { ias, ..Ask::new(kind, client) });
        }
    }

    fn give_up(&mut self, client: u8, kind: MessageType) {
        let mut ias = self.held(client);
        self.rng.shuffle(&mut ias);
        ias.truncate(1);
        if kind == MessageType::DECLINE {
            ias.retain(|ia| ia.0 == Kind::Address);
        }
        for resource in ias.iter().flat_map(|ia| &ia.2) {
            self.clients[usize::from(client)].holds.remove(resource);
        }
        if !ias.is_empty() {
            self.ask(client, &Ask { ias, ..Ask::new(kind, client) });
        }
    }

    /// The disk takes the next commits together, or fails them together.
    fn settle(&mut self) {
        let count = self.rng.usize(0..=self.waiting.len());
        let fails = self.rng.u8(0..6) == 0;
        self.settle_first(count, fails);
    }

    fn settle_first(&mut self, count: usize, fails: bool) {
        if fails {
            let keeps = self.rng.bool();
            for commit in self.waiting.drain(..count).collect::<Vec<_>>() {
                if keeps {
                    self.differs = true;
                    self.unwritten.extend(commit.changes);
                }
                self.server.commit_failed(self.now, commit.ticket);
            }
            return;
        }
        self.write(count);
        for commit in self.waiting.drain(..count).collect::<Vec<_>>() {
            let mut actions = Actions::new();
            self.server.committed(commit.ticket, &mut actions);
            self.act(actions, &commit.links);
        }
    }

    /// One transaction: what was left, and the first commits that wait.
    fn write(&mut self, count: usize) {
        let commits = self.waiting.iter().take(count).flat_map(|commit| &commit.changes).cloned();
        for change in self.unwritten.drain(..).chain(commits) {
            self.disk.apply(change);
        }
    }

    /// The disk takes everything for a while, and then has what the server has.
    fn recover(&mut self) {
        self.good = true;
        for _ in 0..4 {
            self.settle_first(self.waiting.len(), false);
            self.now += secs(1);
            let mut actions = Actions::new();
            self.server.handle_timeout(self.now, &mut actions);
            let links = self.links.clone();
            self.act(actions, &links);
        }
        self.settle_first(self.waiting.len(), false);
        for client in &mut self.clients {
            client.holds.retain(|_, belief| belief.until > self.now);
        }
        (self.good, self.differs) = (false, false);
    }

    fn pass(&mut self) {
        let first_end = self.server.leases().first_to_end().map(|lease| lease.valid_until);
        let time = match self.rng.u8(0..5) {
            0 => Duration::from_micros(1),
            1 => secs(self.rng.u64(0..5)),
            2 => secs(self.rng.u64(0..1_500)),
            // Around the end of a lease, where client and server may disagree.
            3 => (first_end.unwrap_or_default() + secs(self.rng.u64(0..12))).saturating_sub(self.now),
            _ => secs(self.rng.u64(0..6_000)),
        };
        if self.waiting.first().is_some_and(|commit| self.now + time > commit.asked_at + LATENCY) {
            let fails = self.rng.u8(0..4) == 0;
            self.settle_first(self.waiting.len(), fails);
        }
        self.now += time;
        for client in &mut self.clients {
            client.holds.retain(|_, belief| belief.until > self.now);
        }
        let mut actions = Actions::new();
        self.server.handle_timeout(self.now, &mut actions);
        let links = self.links.clone();
        self.act(actions, &links);
    }

    /// Some of the commits under way reached the disk, and nobody was told.
    fn crash(&mut self) {
        let count = self.rng.usize(0..=self.waiting.len());
        if count > 0 || self.rng.bool() {
            self.write(count);
        }
        self.waiting.clear();
        self.unwritten.clear();
        self.differs = false;
        let mut snapshot: Vec<_> = self.disk.iter().collect();
        self.rng.shuffle(&mut snapshot);
        self.server = Server::new(settings(self.links.clone()), snapshot);
        assert_eq!(self.server.counters().snapshot_conflicts, 0);
        let routes = self.server.routes().map(|r| (r.prefix, (r.via, r.link.to_string())));
        self.routes = routes.collect();
        self.crashes += 1;
    }

    fn renumber(&mut self) {
        self.links = pools(self.rng.usize(0..5));
        let mut actions = Actions::new();
        self.server.set_links(self.now, self.links.clone(), &mut actions);
        let links = self.links.clone();
        self.act(actions, &links);
    }

    fn check(&self) {
        assert_disjoint(self.server.leases().iter(), "leases in memory overlap");
        assert_disjoint(self.disk.iter(), "leases on disk overlap");
        let mut believed: Vec<(ipnet::Ipv6Net, usize)> = Vec::new();
        for (number, client) in self.clients.iter().enumerate() {
            for (&resource, belief) in &client.holds {
                believed.push((resource.net(), number));
                let Some(lease) = self.disk.get(resource) else {
                    panic!("client {number} was told of {resource}, and the disk does not know it");
                };
                assert!(
                    lease.is_held_by(&Identity::Duid(client_duid(number as u8)), belief.iaid)
                        && lease.state != LeaseState::Declined,
                    "client {number} was told of {resource}, and on the disk it is another's: {lease:?}"
                );
                assert!(
                    lease.valid_until + LATENCY >= belief.until,
                    "{resource} ends before its client thinks"
                );
            }
        }
        believed.sort();
        for pair in believed.windows(2) {
            assert!(!pair[0].0.contains(&pair[1].0), "two hold one: {pair:?}");
        }
        self.check_greed();
        if self.differs {
            return;
        }
        if self.waiting.is_empty() {
            let memory: Vec<Lease> = self.server.leases().iter().collect();
            assert_eq!(memory, self.disk.iter().collect::<Vec<_>>(), "memory and disk differ");
        }
        let wanted: BTreeMap<_, _> = self
            .disk
            .iter()
            .filter(|lease| lease.state == LeaseState::Bound && may_give(&self.links, lease.resource))
            .filter_map(|lease| match lease.resource {
                Resource::Prefix(prefix) => Some((prefix, (lease.peer, lease.link.to_string()))),
                Resource::Address(_) => None,
            })
            .collect();
        assert_eq!(self.routes, wanted, "routes");
        assert_eq!(self.server.routes().count(), wanted.len());
    }

    /// An association has one lease from a pool, in memory and on the disk.
    fn check_greed(&self) {
        for table in [self.server.leases(), &self.disk] {
            let mut seen = BTreeSet::new();
            for lease in table.iter().filter(|lease| lease.state == LeaseState::Bound) {
                let net = lease.resource.net();
                let addresses = self.links.iter().flat_map(|link| &link.addresses).map(|pool| pool.prefix);
                let delegation = self.links.iter().flat_map(|link| &link.delegation).map(|pool| pool.prefix);
                let pool = addresses.chain(delegation).find(|pool| pool.contains(&net));
                if let Some(pool) = pool.filter(|_| may_give(&self.links, lease.resource)) {
                    let new = seen.insert((lease.duid.clone(), lease.iaid, lease.resource.kind(), pool));
                    assert!(new, "{} is the second lease of its association in {pool}", lease.resource);
                }
            }
        }
    }
}

/// Names the seed if its history panics.
struct Seed(u64);

impl Drop for Seed {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("the history with seed {} broke", self.0);
        }
    }
}

/// What happened in some histories: leases told, crashes, leases expired.
fn run(seeds: impl Iterator<Item = u64>) -> [u64; 3] {
    let mut sums = [0; 3];
    for seed in seeds {
        let _seed = Seed(seed);
        let mut world = World::new(seed);
        for _ in 0..world.rng.usize(20..60) {
            world.step();
        }
        world.recover();
        world.check();
        let happened = [world.told, world.crashes, world.server.counters().expired];
        sums.iter_mut().zip(happened).for_each(|(sum, count)| *sum += count);
    }
    sums
}

#[test]
fn ten_thousand_histories_keep_the_invariants() {
    let sums = std::thread::scope(|scope| {
        let runs: Vec<_> = (0..4).map(|start| scope.spawn(move || run((start..10_000).step_by(4)))).collect();
        runs.into_iter().map(|run| run.join().expect("a history broke")).collect::<Vec<_>>()
    });
    let sum = |what: usize| sums.iter().map(|sums| sums[what]).sum::<u64>();
    // The histories are worth something only if much happens in them.
    let (told, crashes, expired) = (sum(0), sum(1), sum(2));
    assert!(
        told > 20_000 && crashes > 5_000 && expired > 1_000,
        "told {told}, crashes {crashes}, expired {expired}"
    );
}
