//! Client and server of this crate before each other: several clients and one server over a link that loses, doubles
//! and delays, with a store that is slow and fails, crashes on either side, and prefixes that change.

use super::bench::{NA, PD, START, seconds};
use ipnet::Ipv6Net;
use sixgate_dhcp::client::{Action, Actions, Binding, Client, Config, PdRequest, State};
use sixgate_dhcp::lease::{LeaseChange, LeaseState, LeaseTable, Resource};
use sixgate_dhcp::server::{
    self, AddressPool, Datagram, DelegationPool, Lifetimes, Limits, Link, Server, ServerConfig,
};
use sixgate_wire::dhcpv6::Duid;
use std::collections::VecDeque;
use std::net::Ipv6Addr;
use std::time::Duration;

const CLIENTS: usize = 3;
const CLIENT: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 2);
const SERVER: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 1);
const VALID: u64 = 4000;

fn lifetimes() -> Lifetimes {
    Lifetimes {
        preferred: seconds(2000),
        valid: seconds(VALID),
        preferred_until: Duration::MAX,
        valid_until: Duration::MAX,
    }
}

/// The link as the ISP's prefix number `site` makes it. Its pools are small, so that clients get in each other's way.
fn link(site: u16) -> Link {
    let net = |subnet: u16, length| {
        Ipv6Net::new(Ipv6Addr::new(0x2001, 0xdb8, site, subnet, 0, 0, 0, 0), length).unwrap()
    };
    Link {
        addresses: vec![AddressPool { prefix: net(0, 125), lifetimes: lifetimes() }],
        delegation: vec![DelegationPool {
            prefix: net(0x100, 60),
            reserved: Vec::new(),
            length: 62,
            shortest: 62,
            longest: 64,
            lifetimes: lifetimes(),
        }],
        reserved: vec![net(0, 128).addr()],
        dns: vec![SERVER],
        ..Link::new("lan")
    }
}

fn new_server(site: u16, store: &LeaseTable) -> Server {
    let config = ServerConfig {
        duid: Duid::link_layer([2, 0, 0, 0, 0xff, 1]),
        links: vec![link(site)],
        remote: Vec::new(),
        relays: sixgate_dhcp::server::Relays::default(),
        preference: None,
        rapid_commit: true,
        hash_key: [3; 16],
        limits: Limits { decline_hold: seconds(600), ..Limits::default() },
    };
    Server::new(config, store.iter().collect())
}

fn config(number: usize) -> Config {
    let duid = Duid::link_layer([2, 0, 0, 0, 0, number as u8]);
    Config {
        ia_na: Some(NA),
        ia_pd: vec![PdRequest::with_length(PD, 62)],
        rapid_commit: number == 0,
        ..Config::new(duid)
    }
}

/// Something under way.
enum Event {
    ToServer(usize, Vec<u8>),
    ToClient(usize, Vec<u8>),
}

struct World {
    rng: fastrand::Rng,
    now: Duration,
    clients: Vec<(Client, Option<Binding>)>,
    server: Server,
    site: u16,
    /// What is on disk.
    store: LeaseTable,
    /// What failed and was kept by the disk, which writes it before anything else.
    unwritten: Vec<LeaseChange>,
    /// What is on its way there.
    commits: VecDeque<(Duration, u64, Vec<LeaseChange>)>,
    events: Vec<(Duration, Event)>,
    loss: f64,
    failing: f64,
}

impl World {
    fn new(seed: u64) -> Self {
        let mut rng = fastrand::Rng::with_seed(seed);
        let loss = [0.0, 0.1, 0.3, 0.6][rng.usize(..4)];
        let failing = [0.0, 0.1, 0.5][rng.usize(..3)];
        let store = LeaseTable::new();
        let clients = (0..CLIENTS).map(|i| (Client::new(config(i), None, rng.fork()), None)).collect();
        Self {
            now: START,
            clients,
            server: new_server(0, &store),
            site: 0,
            store,
            unwritten: Vec::new(),
            commits: VecDeque::new(),
            events: Vec::new(),
            loss,
            failing,
            rng,
        }
    }

    fn carry(&mut self, event: impl Fn() -> Event) {
        while self.rng.f64() >= self.loss {
            let delay = if self.rng.f64() < 0.9 { self.rng.u64(1..50) } else { self.rng.u64(..3000) };
            self.events.push((self.now + Duration::from_millis(delay), event()));
            if self.rng.f64() > 0.1 {
                break;
            }
        }
    }

    fn client(&mut self, number: usize, act: impl FnOnce(&mut Client, Duration, &mut Actions)) {
        let mut actions = Actions::new();
        let (client, saved) = &mut self.clients[number];
        act(client, self.now, &mut actions);
        for action in &actions {
            match action {
                Action::Save(binding) => *saved = Some(binding.clone()),
                Action::Lost => *saved = None,
                _ => {}
            }
        }
        for action in actions {
            if let Action::Send { bytes } = action {
                self.carry(|| Event::ToServer(number, bytes.clone()));
            }
        }
    }

    fn server(&mut self, act: impl FnOnce(&mut Server, Duration, &mut server::Actions)) {
        let mut actions = server::Actions::new();
        act(&mut self.server, self.now, &mut actions);
        for action in actions {
            match action {
                server::Action::Reply(reply) => {
                    let number = usize::from(reply.destination.segments()[7]) - 10;
                    self.carry(|| Event::ToClient(number, reply.bytes.clone()));
                }
                server::Action::Commit { ticket, changes } => {
                    let done = self.now + Duration::from_millis(self.rng.u64(..100));
                    let done = self.commits.back().map_or(done, |last| last.0.max(done));
                    self.commits.push_back((done, ticket, changes));
                }
                server::Action::RouteAdd(_)
                | server::Action::RouteRemove { .. }
                | server::Action::Agreed(..)
                | server::Action::Disagreed(_) => {}
            }
        }
    }

    fn run_for(&mut self, time: Duration) {
        let end = self.now + time;
        loop {
            let timer = |time: Option<Duration>| time.unwrap_or(Duration::MAX);
            let (at, number) =
                (0..CLIENTS).map(|i| (timer(self.clients[i].0.poll_timeout()), i)).min().unwrap();
            let arrival =
                self.events.iter().enumerate().map(|(i, e)| (e.0, i)).min().unwrap_or((Duration::MAX, 0));
            let commit = timer(self.commits.front().map(|c| c.0));
            let expiry = timer(self.server.poll_timeout());
            let next = at.min(arrival.0).min(commit).min(expiry);
            if next > end {
                break;
            }
            self.now = self.now.max(next);
            if next == commit {
                self.commit();
            } else if next == arrival.0 {
                match self.events.swap_remove(arrival.1).1 {
                    Event::ToClient(number, bytes) => {
                        self.client(number, |client, now, actions| {
                            client.handle(now, (SERVER, CLIENT), &bytes, actions);
                        });
                    }
                    Event::ToServer(number, bytes) => {
                        let source = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 10 + number as u16);
                        let datagram =
                            Datagram { link: "lan", source, port: 546, bytes: &bytes, link_layer: None };
                        self.server(|server, now, actions| server.handle(now, &datagram, actions));
                    }
                }
            } else if next == at {
                self.client(number, Client::handle_timeout);
            } else {
                self.server(Server::handle_timeout);
            }
            self.check();
        }
        self.now = end;
    }

    fn commit(&mut self) {
        let Some((_, ticket, changes)) = self.commits.pop_front() else { return };
        if self.rng.f64() < self.failing {
            if self.rng.bool() {
                self.unwritten.extend(changes);
            }
            self.server(|server, now, _| server.commit_failed(now, ticket));
        } else {
            for change in self.unwritten.drain(..).chain(changes) {
                self.store.apply(change);
            }
            self.server(|server, _, actions| server.committed(ticket, actions));
        }
    }

    /// One holder for each address and prefix, and what a client holds is on disk as its own until it ends.
    fn check(&self) {
        for (number, (client, _)) in self.clients.iter().enumerate() {
            let Some(binding) = client.binding() else { continue };
            let addresses = binding.addresses.iter().map(|a| (Resource::Address(a.address), a.valid_until));
            let prefixes = binding.prefixes.iter().map(|p| (Resource::Prefix(p.prefix), p.valid_until));
            for (resource, until) in addresses.chain(prefixes).filter(|held| held.1 > self.now) {
                let lease = self.store.get(resource).unwrap_or_else(|| {
                    panic!(
                        "client {number} holds {resource} until {until:?}, of which the store knows nothing"
                    )
                });
                assert_eq!(lease.duid, config(number).duid, "{resource} has two holders");
                assert_ne!(lease.state, LeaseState::Declined);
                // The client counts from when it heard.
                assert!(
                    lease.valid_until + seconds(10) >= until,
                    "{resource} ends earlier than the client knows"
                );
                assert_eq!(self.store.overlaps(resource.net()).count(), 1, "{resource} overlaps");
            }
        }
    }

    fn disturb(&mut self) {
        let number = self.rng.usize(..CLIENTS);
        match self.rng.u8(..12) {
            0 => self.client(number, Client::link_down),
            1 => self.client(number, Client::link_up),
            2 => self.client(number, Client::renew_now),
            3 => {
                let held = self.clients[number].0.binding().map_or(Vec::new(), |b| b.addresses.clone());
                let held: Vec<_> = held.iter().map(|a| a.address).collect();
                self.client(number, |client, now, actions| client.decline(now, &held, actions));
            }
            4 => {
                let saved =
                    self.clients[number].1.as_ref().map(|b| Binding::from_bytes(&b.to_bytes()).unwrap());
                let client = Client::new(config(number), saved.clone(), self.rng.fork());
                self.clients[number] = (client, saved);
                self.client(number, Client::start);
            }
            5 | 6 => {
                // The server crashes: of the commits under way the first few were durable.
                let durable = self.rng.usize(..=self.commits.len());
                let kept = if durable > 0 || self.rng.bool() { self.unwritten.len() } else { 0 };
                let kept = std::mem::take(&mut self.unwritten).into_iter().take(kept);
                let commits = self.commits.drain(..).take(durable).flat_map(|commit| commit.2);
                for change in kept.chain(commits) {
                    self.store.apply(change);
                }
                self.server = new_server(self.site, &self.store);
            }
            7 => {
                self.client(number, Client::release);
                // Doubles of the Release may arrive late; a new lease must not fall to them.
                self.run_for(seconds(40));
                self.client(number, Client::start);
            }
            8 => {
                self.site = self.site % 3 + 1;
                let links = vec![link(self.site)];
                self.server(|server, now, actions| server.set_links(now, links, actions));
            }
            9 => self.events.clear(),
            _ => {}
        }
        let pause = self.rng.u64(..3000);
        self.run_for(seconds(pause));
    }
}

/// A figure that fits into every test run; SIXGATE_HISTORIES asks for another.
fn histories() -> u64 {
    std::env::var("SIXGATE_HISTORIES").ok().and_then(|count| count.parse().ok()).unwrap_or(400)
}

#[test]
fn every_client_holds_its_own_and_in_the_end_all_hold_something() {
    for seed in 0..histories() {
        let mut world = World::new(seed);
        for number in 0..CLIENTS {
            world.client(number, Client::start);
        }
        for _ in 0..15 {
            world.disturb();
        }
        // Then the link and the disk are good.
        (world.loss, world.failing) = (0.0, 0.0);
        for number in 0..CLIENTS {
            world.client(number, Client::link_up);
        }
        world.run_for(seconds(3 * VALID));
        let pools = link(world.site);
        for (number, (client, saved)) in world.clients.iter().enumerate() {
            assert_eq!(client.state(), State::Bound, "seed {seed} client {number}: {client:?}");
            let binding = client.binding().unwrap();
            assert_eq!(binding.addresses.len(), 1, "seed {seed} client {number}");
            assert_eq!(binding.prefixes.len(), 1, "seed {seed} client {number}");
            assert!(pools.addresses[0].prefix.contains(&binding.addresses[0].address), "seed {seed}");
            assert!(pools.delegation[0].prefix.contains(&binding.prefixes[0].prefix), "seed {seed}");
            assert_eq!(saved.as_ref(), Some(binding));
        }
    }
}
