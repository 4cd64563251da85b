//! Random histories behind a relay agent: boxes that are plugged in elsewhere, clones, keys that are changed, an operator
//! who moves and ends leases, commits that are late or fail, and crashes.

use crate::asking::*;
use crate::relaying::{AGENT, Hop, relays, remote, unwrapped, wrapped};
use sixgate_dhcp::identity::{Identity, Key, Learnt, Mac};
use sixgate_dhcp::lease::{LeaseChange, LeaseState, LeaseTable, Resource};
use sixgate_dhcp::server::{Action, Actions, Datagram, Limits, Link, Reply, Server, ServerConfig};
use sixgate_wire::dhcpv6::{MessageType, StatusCode};
use std::collections::VecDeque;
use std::time::Duration;

const KEYS: [Key; 3] = [Key::Duid, Key::Mac, Key::Line];

/// A box: of which DUID, with which hardware address, on which line. Two of them are clones.
#[derive(Clone, Copy, Debug)]
struct Machine {
    duid: u8,
    mac: u8,
    line: u8,
}

struct World {
    rng: fastrand::Rng,
    now: Duration,
    key: Key,
    server: Server,
    disk: LeaseTable,
    /// What the store failed to write and may write later.
    unwritten: Vec<LeaseChange>,
    waiting: VecDeque<(u64, Vec<LeaseChange>)>,
    machines: Vec<Machine>,
    /// What each was offered or given last.
    told: Vec<Vec<Resource>>,
    replies: u64,
    refused: u64,
}

fn links(key: Key) -> Vec<Link> {
    remote(|link| {
        (link.key, link.trust) = (key, vec![Learnt::Relay]);
        link.addresses = vec![address_pool("2001:db8:1::/125")];
        link.delegation = vec![delegation_pool("2001:db8:1000::/60", 62)];
    })
}

fn settings(key: Key) -> ServerConfig {
    let limits = Limits { offers: 3, ..Limits::default() };
    ServerConfig { limits, remote: links(key), relays: relays(), ..config(Vec::new()) }
}

impl World {
    fn new(seed: u64) -> Self {
        let machines = (1..=5).map(|n| Machine { duid: n.min(4), mac: n, line: n }).collect::<Vec<_>>();
        let told = vec![Vec::new(); machines.len()];
        Self {
            rng: fastrand::Rng::with_seed(seed),
            now: START,
            key: Key::Duid,
            server: Server::new(settings(Key::Duid), Vec::new()),
            disk: LeaseTable::new(),
            unwritten: Vec::new(),
            waiting: VecDeque::new(),
            machines,
            told,
            replies: 0,
            refused: 0,
        }
    }

    fn identity(&self, machine: Machine) -> Identity {
        match self.key {
            Key::Duid => Identity::Duid(client_duid(machine.duid)),
            Key::Mac => Identity::Mac(Mac::new(&[2, 0, 0, 0, 0xaa, machine.mac]).unwrap()),
            Key::Line => format!("interface:2001:db8:1::1,l{}", machine.line).parse().unwrap(),
        }
    }

    fn step(&mut self) {
        let which = self.rng.usize(..self.machines.len());
        match self.rng.u8(0..20) {
            0..=2 => self.ask(which, MessageType::SOLICIT),
            3..=6 => self.ask(which, MessageType::REQUEST),
            7..=9 => self.ask(which, MessageType::RENEW),
            10 => self.ask(which, MessageType::RELEASE),
            11..=13 => self.settle(true),
            14 => self.settle(false),
            15 => self.swap(which),
            16 => self.operate(which),
            17 => {
                self.now += secs(self.rng.u64(1..1_500));
                let mut actions = Actions::new();
                self.server.handle_timeout(self.now, &mut actions);
                self.act(actions);
            }
            18 if self.rng.u8(0..4) == 0 => {
                self.key = KEYS[self.rng.usize(..3)];
                let mut actions = Actions::new();
                self.server.set_remote(self.now, links(self.key), &mut actions);
                self.act(actions);
            }
            18 => {}
            _ => self.crash(),
        }
        // Most commits are quick.
        if self.rng.u8(0..3) > 0 {
            self.settle(true);
        }
        self.check();
    }

    fn ask(&mut self, which: usize, kind: MessageType) {
        let machine = self.machines[which];
        let mut ask = Ask::new(kind, machine.duid);
        let listed = |prefix: bool| -> Vec<Resource> {
            let fits = |r: &&Resource| matches!(r, Resource::Prefix(_)) == prefix;
            self.told[which].iter().filter(fits).copied().collect()
        };
        let (addresses, prefixes) = (listed(false), listed(true));
        // Each box has numbers of its own, but for the clones.
        let iaid = u32::from(machine.duid);
        ask.ias = vec![
            (sixgate_dhcp::lease::Kind::Address, iaid, addresses),
            (sixgate_dhcp::lease::Kind::Prefix, iaid, prefixes),
        ];
        let hop = Hop::first("2001:db8:1::1", machine.mac)
            .line(format!("l{}", machine.line).as_bytes())
            .mac(machine.mac);
        let bytes = wrapped(&ask.bytes(), std::slice::from_ref(&hop));
        let datagram = Datagram {
            link: "core",
            source: AGENT.parse().unwrap(),
            port: 547,
            bytes: &bytes,
            link_layer: None,
        };
        let mut actions = Actions::new();
        self.server.handle(self.now, &datagram, &mut actions);
        self.act(actions);
    }

    fn act(&mut self, actions: Actions) {
        for action in actions {
            match action {
                Action::Reply(reply) => self.hear(&reply),
                Action::Commit { ticket, changes } => self.waiting.push_back((ticket, changes)),
                other => panic!("no route leads behind a relay agent: {other:?}"),
            }
        }
    }

    /// What a Reply tells is on the disk, as the lease of who it is for. Its hop names the machine; it may have moved since,
    /// and the key been changed: the disk says by what it was given.
    fn hear(&mut self, reply: &Reply) {
        let layer = sixgate_wire::dhcpv6::RelayMessage::parse(&reply.bytes).unwrap();
        let mac = layer.peer_address().segments()[7].wrapping_sub(0x100) as u8;
        let which = self.machines.iter().position(|machine| machine.mac == mac).unwrap();
        let line = layer.options().get(sixgate_wire::dhcpv6::OptionCode::INTERFACE_ID).unwrap();
        let hop = Hop::first("2001:db8:1::1", mac).line(line);
        let inside = unwrapped(&reply.bytes, std::slice::from_ref(&hop));
        let heard = Heard::read(&Reply { bytes: inside, ..reply.clone() });
        let duid = client_duid(self.machines[which].duid);
        if heard.kind == MessageType::REPLY {
            self.replies += 1;
            for ia in &heard.ias {
                for (resource, _, _) in ia.leases.iter().filter(|lease| lease.2 > 0) {
                    let lease =
                        self.disk.get(*resource).unwrap_or_else(|| panic!("{resource} is not on the disk"));
                    assert_eq!((&lease.duid, lease.iaid, lease.state), (&duid, ia.iaid, LeaseState::Bound));
                    let by = match lease.key {
                        Key::Duid => true,
                        Key::Mac => lease.link_layer.unwrap().mac.as_bytes()[5] == mac,
                        Key::Line => lease.line.as_ref().unwrap().interface_id() == Some(line),
                    };
                    assert!(by, "{resource} was told to a stranger: {lease:?}");
                }
                assert!(ia.status != StatusCode::NO_BINDING || ia.leases.is_empty());
            }
        }
        let usable = heard.usable();
        if !usable.is_empty() {
            self.told[which] = usable;
        }
    }

    fn settle(&mut self, taken: bool) {
        let Some((ticket, changes)) = self.waiting.pop_front() else { return };
        if taken {
            for change in self.unwritten.drain(..).chain(changes) {
                self.disk.apply(change);
            }
            let mut actions = Actions::new();
            self.server.committed(ticket, &mut actions);
            self.act(actions);
        } else {
            if self.rng.bool() {
                self.unwritten.extend(changes);
            }
            self.server.commit_failed(self.now, ticket);
        }
    }

    /// Two boxes change their lines.
    fn swap(&mut self, which: usize) {
        let other = self.rng.usize(..self.machines.len());
        let line = self.machines[which].line;
        self.machines[which].line = self.machines[other].line;
        self.machines[other].line = line;
    }

    fn operate(&mut self, which: usize) {
        let Some(&resource) = self.told[which].first() else { return };
        let other = self.rng.usize(..self.machines.len());
        let to = self.identity(self.machines[other]);
        let mut actions = Actions::new();
        let done = if self.rng.bool() {
            self.server.release(resource, &mut actions)
        } else {
            self.server.move_lease(self.now, resource, &to, &mut actions)
        };
        if let Ok(ticket) = done {
            assert!(matches!(&actions[..], [Action::Commit { ticket: named, .. }] if *named == ticket));
        } else {
            assert!(actions.is_empty());
            self.refused += 1;
        }
        self.act(actions);
    }

    fn crash(&mut self) {
        self.waiting.clear();
        if self.rng.bool() {
            for change in self.unwritten.drain(..) {
                self.disk.apply(change);
            }
        }
        self.unwritten.clear();
        self.server = Server::new(settings(self.key), self.disk.iter().cloned().collect());
        assert_eq!(self.server.counters().snapshot_conflicts, 0);
    }

    fn check(&self) {
        assert_disjoint(self.disk.iter(), "disk");
        assert_disjoint(self.server.leases().iter(), "memory");
        for table in [&self.disk, self.server.leases()] {
            for lease in table.iter().filter(|lease| lease.state == LeaseState::Bound) {
                let who = lease.identity();
                let found = table.held(&who, lease.iaid, lease.resource.kind());
                assert_eq!(found.filter(|other| other.resource == lease.resource).count(), 1);
                assert!(table.of_duid(&lease.duid).any(|other| other.resource == lease.resource));
                assert_eq!(who.key(), lease.key, "{lease:?}");
            }
        }
    }
}

#[test]
fn nobody_is_told_what_is_not_theirs() {
    let (mut replies, mut succeeded, mut moved, mut refused) = (0, 0, 0, 0);
    for seed in 0..100 {
        let mut world = World::new(seed);
        for _ in 0..300 {
            world.step();
        }
        let counters = world.server.counters();
        replies += world.replies;
        refused += world.refused;
        succeeded += counters.succeeded;
        moved += counters.moved;
    }
    assert!(
        replies > 2_000 && succeeded > 20 && moved > 20 && refused > 20,
        "{replies} {succeeded} {moved} {refused}"
    );
}
