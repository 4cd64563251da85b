//! The cores, and what passes between them.

use crate::asking::{address_pool, client_address, config, delegation_pool, lan};
use crate::seeds;
use crate::shapes::{Shapes, Who, assert_well_formed, innermost, own};
use crate::tree::{Tree, damage};
use fastrand::Rng;
use sixgate_dhcp::client::{self, Client, State};
use sixgate_dhcp::relay::{self, FromLink, FromServer, Relay};
use sixgate_dhcp::server::leasequery::{Leasequery, Output};
use sixgate_dhcp::server::reconfigure::Whom;
use sixgate_dhcp::server::{Action, Actions, Datagram, Limits, Link, Relays, Server, ServerConfig};
use sixgate_wire::dhcpv6::leasequery::{frame, framed};
use sixgate_wire::dhcpv6::{DhcpOption, Duid, Message, MessageType, OptionCode};
use std::collections::{BTreeMap, VecDeque};
use std::net::Ipv6Addr;
use std::time::Duration;

/// Our relay agent as the server sees it, and another one as ours sees that.
pub(crate) const AGENT: &str = "2001:db8:ff::1";
const DOWNSTREAM: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0xa);
const SERVER: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0xff, 0, 0, 0, 0, 0x547);
const OURS: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0x54);
const REQUESTOR: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0xff, 0, 0, 0, 0, 0x99);
const LIMITS: Limits = Limits {
    leases: 200,
    leases_per_link: 150,
    leases_per_client: 12,
    associations: 8,
    offers: 64,
    offer_hold: Duration::from_secs(30),
    declined: 16,
    decline_hold: Duration::from_mins(10),
    registrations: 50,
    registrations_per_client: 4,
    commits: 16,
};
/// Connections of requestors.
const CONNECTIONS: u64 = 4;

/// To whom a packet goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum To {
    Server,
    ServerRelayed,
    RelayFromLink,
    RelayFromServer,
    Client,
    /// By UDP.
    Leasequery,
    /// On a connection.
    Requestor,
}

/// A packet of a real exchange.
#[derive(Debug, Clone)]
pub(crate) struct Packet {
    pub(crate) to: To,
    pub(crate) bytes: Vec<u8>,
}

/// Everything.
pub(crate) struct World {
    server: Server,
    leasequery: Leasequery,
    relay: Relay,
    pub(crate) client: Client,
    /// Of the client's last message.
    transaction: [u8; 3],
    now: Duration,
    flight: VecDeque<(u64, Vec<sixgate_dhcp::lease::LeaseChange>)>,
    pub(crate) corpus: Vec<Packet>,
    trees: Vec<Tree>,
    rng: Rng,
    steps: u64,
    pub(crate) shapes: Shapes,
    said: BTreeMap<(Who, MessageType), u64>,
}

fn relay_config() -> relay::Config {
    let link = relay::Link {
        interface: Some(3),
        servers: vec![relay::Server::new(SERVER)],
        address: Some("2001:db8:1::1".parse().unwrap()),
        prefixes: vec!["2001:db8:1::/64".parse().unwrap()],
        interface_id: Some(b"lan0".to_vec()),
        remote_id: Some((9, b"line".to_vec())),
        subscriber_id: Some(b"ada".to_vec()),
        supplied: vec![(OptionCode::ERP_LOCAL_DOMAIN_NAME, b"\x07example\x03net\0".to_vec())],
        client_link_layer: true,
        relays: vec!["fe80::a/128".parse().unwrap()],
        ..relay::Link::new("one")
    };
    let limits = relay::Limits { rate: 1_000_000, prefixes_per_client: 4, prefixes_per_link: 30 };
    let relay_id = Some(Duid::link_layer([2, 0, 0, 0, 0, 8]));
    relay::Config { links: vec![link], relay_id, limits, ..relay::Config::new() }
}

fn server_config() -> ServerConfig {
    let one = Link {
        prefixes: vec!["2001:db8:1::/64".parse().unwrap()],
        addresses: vec![address_pool("2001:db8:1::/64")],
        delegation: vec![delegation_pool("2001:db8:1000::/40", 56)],
        dns: vec!["2001:db8::53".parse().unwrap()],
        ..Link::new("one")
    };
    let from = vec!["2001:db8:ff::/64".parse().unwrap(), "fe80::a/128".parse().unwrap()];
    let relays = Relays { on: vec!["core".into(), "lan".into()], from };
    ServerConfig { remote: vec![one], relays, limits: LIMITS, ..config(vec![lan()]) }
}

impl World {
    pub(crate) fn new(seed: u64) -> Self {
        let now = Duration::from_hours(500_000);
        let mut server = Server::new(server_config(), Vec::new());
        server.set_reconfigure([7; 16], [], &mut Actions::new());
        let mut world = Self {
            server,
            leasequery: Leasequery::new(now, vec!["2001:db8:ff::/64".parse().unwrap()]),
            relay: Relay::new(relay_config(), [7; 16], Vec::new()),
            client: Client::new(seeds::asked(1), None, Rng::with_seed(seed)),
            transaction: [0; 3],
            now,
            flight: VecDeque::new(),
            corpus: Vec::new(),
            trees: Vec::new(),
            rng: Rng::with_seed(seed),
            steps: 0,
            shapes: Shapes::default(),
            said: BTreeMap::new(),
        };
        seeds::exchanges(&mut world);
        world.client = Client::new(seeds::asked(1), None, Rng::with_seed(seed));
        world.trees = world.corpus.iter().map(|packet| Tree::parse(&packet.bytes).unwrap()).collect();
        for connection in 0..CONNECTIONS {
            world.leasequery.connected(world.now, connection, REQUESTOR);
        }
        world
    }

    fn say(&mut self, who: Who, bytes: &[u8]) {
        let own = own(who, bytes);
        assert_well_formed(&own);
        *self.said.entry((who, MessageType(bytes[0]))).or_default() += 1;
        if who == Who::Server
            && bytes[0] == MessageType::RELAY_REPLY.0
            && let Some(inside) = innermost(bytes)
        {
            *self.said.entry((who, inside.kind())).or_default() += 1;
        }
        self.shapes.note(who, &own);
    }

    /// What happened, in words.
    pub(crate) fn tell(&self) -> String {
        let each = self.said.iter().map(|((who, kind), count)| format!("{who:?} {kind} {count}"));
        each.collect::<Vec<_>>().join(", ")
    }

    /// Everything that can be said was, so that it was not for nothing.
    pub(crate) fn assert_busy(&self) {
        for (who, kinds) in [
            (Who::Server, &[2, 7, 10, 13, 37][..]),
            (Who::Relay, &[12]),
            (Who::Client, &[1, 3, 5, 6, 8, 9]),
            (Who::Leasequery, &[15, 16, 17]),
        ] {
            for kind in kinds {
                let said = self.said.get(&(who, MessageType(*kind))).copied().unwrap_or_default();
                assert!(said > 1, "{who:?} {kind}: {said}; {}", self.tell());
            }
        }
    }

    /// Has a commit done, or not.
    fn settle(&mut self, well: bool) {
        let Some((ticket, changes)) = self.flight.pop_front() else { return };
        let mut actions = Actions::new();
        if well {
            self.leasequery.committed(self.now, &self.server, &changes);
            self.server.committed(ticket, &mut actions);
        } else {
            self.server.commit_failed(self.now, ticket);
        }
        self.served(actions);
    }

    /// Does what the server asks; what it says.
    fn served(&mut self, actions: Actions) -> Vec<Vec<u8>> {
        let mut replies = Vec::new();
        for action in actions {
            match action {
                Action::Reply(reply) => {
                    self.say(Who::Server, &reply.bytes);
                    replies.push(reply.bytes);
                }
                Action::Commit { ticket, changes } => self.flight.push_back((ticket, changes)),
                _ => {}
            }
        }
        assert!(self.flight.len() <= LIMITS.commits + 2, "{} commits", self.flight.len());
        let leases = self.server.leases();
        assert!(leases.len() - leases.registered() <= LIMITS.leases, "{}", leases.len());
        assert!(leases.registered() <= LIMITS.registrations + LIMITS.commits, "{}", leases.registered());
        replies
    }

    fn serve(&mut self, relayed: bool, source: Ipv6Addr, bytes: &[u8]) -> Vec<Vec<u8>> {
        let link = if relayed { "core" } else { "lan" };
        let datagram = Datagram { link, source, port: 546, bytes, link_layer: Some(&[2, 0, 0, 0, 0, 9]) };
        let mut actions = Actions::new();
        self.server.handle(self.now, &datagram, &mut actions);
        self.served(actions)
    }

    fn relayed(&mut self, actions: Vec<relay::Action>) -> Vec<Vec<u8>> {
        let mut sent = Vec::new();
        for action in actions {
            match action {
                relay::Action::ToServer { bytes, .. } => {
                    self.say(Who::Relay, &bytes);
                    sent.push(bytes);
                }
                relay::Action::ToLink { bytes, .. } => sent.push(bytes),
                _ => {}
            }
        }
        assert!(self.relay.delegations().count() <= 30);
        sent
    }

    fn relay_on(&mut self, source: Ipv6Addr, bytes: &[u8]) -> Vec<Vec<u8>> {
        let mut actions = Vec::new();
        let link_layer = Some([2, 0, 0, 0, 0, 9]);
        let datagram = FromLink { link: "one", source, port: 547, link_layer, bytes };
        self.relay.handle_from_link(self.now, &datagram, &mut actions);
        self.relayed(actions)
    }

    fn relay_back(&mut self, bytes: &[u8]) -> Vec<Vec<u8>> {
        let mut actions = Vec::new();
        let datagram = FromServer { source: SERVER, interface: 9, bytes };
        self.relay.handle_from_server(self.now, &datagram, &mut actions);
        self.relayed(actions)
    }

    fn clients(&mut self, actions: Vec<client::Action>) -> Vec<Vec<u8>> {
        let mut sent = Vec::new();
        for action in actions {
            if let client::Action::Send { bytes } = action {
                self.transaction = Message::parse(&bytes).unwrap().transaction().0;
                self.say(Who::Client, &bytes);
                sent.push(bytes);
            }
        }
        if let Some(held) = self.client.binding() {
            assert!(held.addresses.len() <= 16 && held.prefixes.len() <= 32 && held.options.len() <= 32);
        }
        sent
    }

    fn keep(&mut self, to: To, bytes: &[u8]) {
        self.corpus.push(Packet { to, bytes: bytes.to_vec() });
    }

    /// Hears what the server said, for what it is; answers of the client.
    fn hear(&mut self, relayed: bool, reply: &[u8]) -> Vec<Vec<u8>> {
        let mut heard = vec![reply.to_vec()];
        if relayed {
            self.keep(To::RelayFromServer, reply);
            heard = self.relay_back(reply);
        }
        let mut sent = Vec::new();
        for bytes in heard {
            self.keep(To::Client, &bytes);
            let mut actions = Vec::new();
            self.client.handle(self.now, (SERVER, OURS), &bytes, &mut actions);
            sent.extend(self.clients(actions));
        }
        sent
    }

    /// Lets the client do something, and server and client talk until there is no more to say.
    pub(crate) fn converse(
        &mut self,
        relayed: bool,
        act: impl FnOnce(&mut Client, Duration, &mut Vec<client::Action>),
    ) {
        let mut actions = Vec::new();
        act(&mut self.client, self.now, &mut actions);
        let mut waiting = self.clients(actions);
        for _ in 0..40 {
            for bytes in std::mem::take(&mut waiting) {
                let source = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0x100);
                let mut asked = vec![bytes.clone()];
                if relayed {
                    self.keep(To::RelayFromLink, &bytes);
                    asked = self.relay_on(source, &bytes);
                }
                for bytes in asked {
                    self.keep(if relayed { To::ServerRelayed } else { To::Server }, &bytes);
                    let from = if relayed { AGENT.parse().unwrap() } else { source };
                    let mut replies = self.serve(relayed, from, &bytes);
                    while let Some((ticket, changes)) = self.flight.pop_front() {
                        self.leasequery.committed(self.now, &self.server, &changes);
                        let mut actions = Actions::new();
                        self.server.committed(ticket, &mut actions);
                        replies.extend(self.served(actions));
                    }
                    for reply in replies {
                        waiting.extend(self.hear(relayed, &reply));
                    }
                }
            }
            let resting = matches!(self.client.state(), State::Bound | State::Informed | State::Idle);
            if waiting.is_empty() && resting {
                break;
            }
            if waiting.is_empty()
                && let Some(at) = self.client.poll_timeout()
            {
                self.now = self.now.max(at);
                let mut actions = Vec::new();
                self.client.handle_timeout(self.now, &mut actions);
                waiting.extend(self.clients(actions));
            }
        }
    }

    /// Asks the client to come back.
    pub(crate) fn reconfigure(&mut self, relayed: bool) {
        self.server.reconfigure(self.now, &Whom::All, MessageType::RENEW);
        let mut actions = Actions::new();
        self.server.handle_timeout(self.now, &mut actions);
        for reply in self.served(actions) {
            self.hear(relayed, &reply);
        }
        self.converse(relayed, sixgate_dhcp::client::Client::handle_timeout);
    }

    /// One packet.
    pub(crate) fn step(&mut self) {
        self.steps += 1;
        self.now += Duration::from_millis(self.rng.u64(..400));
        let at = self.rng.usize(..self.corpus.len());
        let to = self.corpus[at].to;
        let bytes = self.changed(at);
        let client = self.rng.u8(..40);
        match to {
            To::Server => {
                let source = registered(&bytes).unwrap_or(client_address(client));
                self.serve(false, source, &bytes);
            }
            To::ServerRelayed => {
                self.serve(true, AGENT.parse().unwrap(), &bytes);
            }
            To::RelayFromLink => {
                let nested = bytes.first() == Some(&12);
                let source = if nested { DOWNSTREAM } else { client_address(client) };
                self.relay_on(source, &bytes);
            }
            To::RelayFromServer => {
                self.relay_back(&bytes);
            }
            To::Client => {
                let mut actions = Vec::new();
                self.client.handle(self.now, (SERVER, OURS), &bytes, &mut actions);
                self.clients(actions);
            }
            To::Leasequery => {
                if let Some(answer) = self.leasequery.answer(self.now, &self.server, REQUESTOR, &bytes) {
                    self.say(Who::Leasequery, &answer);
                }
            }
            To::Requestor => self.requested(&bytes),
        }
        if self.rng.u8(..2) == 0 {
            let well = self.rng.u8(..16) > 0;
            self.settle(well);
        }
        self.wake();
        self.now_and_then();
    }

    /// A packet of the corpus, changed, but for a few.
    fn changed(&mut self, at: usize) -> Vec<u8> {
        let how = self.rng.u8(..16);
        let mut bytes = if how < 2 {
            self.corpus[at].bytes.clone()
        } else {
            let mut tree = self.trees[at].clone();
            for _ in 0..self.rng.usize(1..4) {
                let other = self.rng.usize(..self.trees.len());
                let mut lender = self.trees[other].clone();
                tree.mutate(&mut lender, &mut self.rng);
            }
            tree.write()
        };
        if how > 13 {
            damage(&mut bytes, &mut self.rng);
        }
        // What fits into a datagram.
        bytes.truncate(60_000);
        let to = self.corpus[at].to;
        // A transaction is guessed once in 16 million times.
        if to == To::Client
            && self.rng.u8(..4) > 0
            && let Some(field) = bytes.get_mut(1..4)
        {
            field.copy_from_slice(&self.transaction);
        }
        bytes
    }

    fn requested(&mut self, bytes: &[u8]) {
        let connection = self.rng.u64(..CONNECTIONS);
        if framed(bytes).is_ok() {
            self.leasequery.received(self.now, &self.server, connection, bytes);
        }
        self.fetch(connection);
    }

    fn fetch(&mut self, connection: u64) {
        for _ in 0..50 {
            let (octets, over) = match self.leasequery.next(self.now, &self.server, connection) {
                Output::Send(octets) => (octets, false),
                Output::More => continue,
                Output::Nothing => return,
                Output::Close(octets) => (octets, true),
            };
            let mut rest = &octets[..];
            while let Some(message) = frame(rest) {
                self.say(Who::Leasequery, message);
                rest = &rest[2 + message.len()..];
            }
            assert!(rest.is_empty(), "a message that is not whole");
            if over {
                self.leasequery.closed(connection);
                self.leasequery.connected(self.now, connection, REQUESTOR);
                return;
            }
        }
    }

    /// Whoever waits for a time that has come.
    fn wake(&mut self) {
        if self.client.poll_timeout().is_some_and(|at| at <= self.now) {
            let mut actions = Vec::new();
            self.client.handle_timeout(self.now, &mut actions);
            self.clients(actions);
        }
        if self.server.poll_timeout().is_some_and(|at| at <= self.now) {
            let mut actions = Actions::new();
            self.server.handle_timeout(self.now, &mut actions);
            self.served(actions);
        }
        self.leasequery.handle_timeout(self.now);
        for connection in self.leasequery.woken().collect::<Vec<_>>() {
            self.fetch(connection);
        }
    }

    /// What operators and links do.
    fn now_and_then(&mut self) {
        let mut actions = Vec::new();
        match self.steps % 250 {
            25 => self.client.start(self.now, &mut actions),
            75 => self.client.renew_now(self.now, &mut actions),
            100 => self.client.link_up(self.now, &mut actions),
            150 => {
                let held =
                    self.client.binding().map(|held| held.addresses.iter().map(|a| a.address).collect());
                let held: Vec<_> = held.unwrap_or_default();
                self.client.decline(self.now, &held, &mut actions);
            }
            175 => {
                self.server.reconfigure(self.now, &Whom::All, MessageType::RENEW);
            }
            225 => self.client.release(self.now, &mut actions),
            240 => {
                let number = self.rng.u8(..8);
                self.client = Client::new(seeds::asked(number), None, self.rng.fork());
                self.client.start(self.now, &mut actions);
            }
            _ => return,
        }
        self.clients(actions);
    }
}

/// The address that a message registers (RFC 9686).
fn registered(bytes: &[u8]) -> Option<Ipv6Addr> {
    let message =
        Message::parse(bytes).ok().filter(|message| message.kind() == MessageType::ADDR_REG_INFORM)?;
    message.options().iter().find_map(|option| match option {
        DhcpOption::IaAddress(address) => Some(address.address),
        _ => None,
    })
}
