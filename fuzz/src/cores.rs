//! Cores: a run of events is read from the bytes and played; what a core promises is asserted after each.

use sixgate_dhcp::identity::{Identity, Key, Learnt, Mac};
use sixgate_dhcp::lease::{Lease, LeaseChange, LeaseState, LeaseTable, Resource};
use sixgate_dhcp::server::{
    Action, Actions, AddressPool, Datagram, DelegationPool, Lifetimes, Limits, Link, Relays, Server,
    ServerConfig,
};
use sixgate_dns::{Client, Forwarder, Gate, Names, Ticket, Token, Transport};
use sixgate_endpoint::Endpoint;
use sixgate_wire::dhcpv6::{DhcpOption, Duid, Message, MessageType, OptionCode, Packet};
use std::collections::VecDeque;
use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

/// When the run begins, in seconds since the Unix epoch.
pub(crate) const START: u64 = 1_795_000_000;

/// Reads events: an octet that says what, one that says who or how much, and for those with content two octets of length.
pub(crate) struct Script<'a> {
    pub(crate) rest: &'a [u8],
}

impl<'a> Script<'a> {
    pub(crate) fn event(&mut self) -> Option<(u8, u8)> {
        let (&[what, how], rest) = self.rest.split_first_chunk::<2>()?;
        self.rest = rest;
        Some((what, how))
    }

    /// Its content; the last may be shorter than it says.
    pub(crate) fn content(&mut self) -> &'a [u8] {
        let Some((length, rest)) = self.rest.split_first_chunk::<2>() else { return &[] };
        let (content, rest) = rest.split_at(usize::from(u16::from_be_bytes(*length)).min(rest.len()));
        self.rest = rest;
        content
    }
}

fn link(name: &str, number: u16) -> Link {
    let lifetimes = Lifetimes {
        preferred: Duration::from_mins(30),
        valid: Duration::from_hours(1),
        preferred_until: Duration::MAX,
        valid_until: Duration::MAX,
    };
    let net = |address: Ipv6Addr, length: u8| format!("{address}/{length}").parse().expect("a prefix");
    let reserved = Ipv6Addr::new(0x2001, 0xdb8, 0, number, 0, 0, 0, 1);
    Link {
        prefixes: vec![net(Ipv6Addr::new(0x2001, 0xdb8, 0, number, 0, 0, 0, 0), 64)],
        addresses: vec![AddressPool {
            // Small, so that it runs out.
            prefix: net(Ipv6Addr::new(0x2001, 0xdb8, 0, number, 0, 0, 0, 0), 125),
            lifetimes,
        }],
        delegation: vec![DelegationPool {
            prefix: net(Ipv6Addr::new(0x2001, 0xdb8, 1, 0, 0, 0, 0, 0), 56),
            reserved: vec![net(Ipv6Addr::new(0x2001, 0xdb8, 1, 7, 0, 0, 0, 0), 64)],
            length: 60,
            shortest: 58,
            longest: 64,
            lifetimes,
        }],
        reserved: vec![reserved],
        dns: vec![reserved],
        domains: vec!["home.arpa".to_owned()],
        sol_max_rt: Some(3600),
        ..Link::new(name)
    }
}

/// What a store holds: commits that failed are forgotten, or kept and written before any other.
#[derive(Default)]
struct Disk {
    leases: LeaseTable,
    unwritten: Vec<LeaseChange>,
}

impl Disk {
    fn write(&mut self, changes: Vec<LeaseChange>) {
        for change in self.unwritten.drain(..).chain(changes) {
            self.leases.apply(change);
        }
    }

    /// What a Reply tells is on the disk, as its client's own.
    fn vouch(&self, reply: &[u8]) {
        let Some(message) = inside(reply) else { return };
        let Some(client) = message.options().get(OptionCode::CLIENT_ID) else { return };
        let vouch = |resource: Resource, iaid: u32| {
            let lease = self.leases.get(resource).unwrap_or_else(|| panic!("{resource} is not on the disk"));
            let own = lease.duid.as_bytes() == client && lease.iaid == iaid;
            assert!(
                own && lease.state == LeaseState::Bound,
                "{resource} is told, and on the disk it is {lease:?}"
            );
        };
        for option in message.options().iter().filter(|_| message.kind() == MessageType::REPLY) {
            match option {
                DhcpOption::IaNa(ia) => ia
                    .addresses()
                    .filter(|told| told.valid > 0)
                    .for_each(|told| vouch(Resource::Address(told.address), ia.iaid)),
                DhcpOption::IaPd(ia) => ia
                    .prefixes()
                    .filter(|told| told.valid > 0)
                    .for_each(|told| vouch(Resource::Prefix(told.net()), ia.iaid)),
                _ => {}
            }
        }
    }
}

/// The message that a reply has for the client, through however many relay agents.
fn inside(bytes: &[u8]) -> Option<Message<'_>> {
    let mut packet = Packet::parse(bytes).ok()?;
    loop {
        match packet {
            Packet::Message(message) => return Some(message),
            Packet::Relay(relay) => packet = relay.relayed()?,
        }
    }
}

/// The links of the server's own: one knows clients by DUID, one by hardware address, however it became known.
fn own_links(second: u16) -> Vec<Link> {
    vec![link("a", 1), Link { key: Key::Mac, trust: Learnt::ALL.to_vec(), ..link("b", second) }]
}

fn settings(limits: Limits) -> ServerConfig {
    ServerConfig {
        duid: Duid::link_layer([2, 0, 0, 0, 0, 1]),
        links: own_links(2),
        remote: vec![Link { key: Key::Line, ..link("c", 4) }],
        relays: Relays {
            on: vec!["a".into(), "core".into()],
            from: vec!["2001:db8:f::/64".parse().expect("a net")],
        },
        preference: Some(7),
        rapid_commit: true,
        hash_key: [5; 16],
        limits,
    }
}

/// The DHCPv6 server: datagrams of several clients on two links and behind relay agents on a third, commits that succeed and fail, time that passes, crashes,
/// pools that change, and an operator who moves and ends leases. No two leases overlap in memory or on the disk, nothing lies outside the pools, and every reply
/// is well-formed and tells what is on the disk.
pub fn server(bytes: &[u8]) {
    let limits = Limits {
        leases: 24,
        offers: 8,
        declined: 3,
        registrations: 5,
        registrations_per_client: 3,
        commits: 6,
        ..Limits::default()
    };
    let config = settings(limits);
    let mut server = Server::new(config.clone(), Vec::new());
    let mut disk = Disk::default();
    let mut now = Duration::from_secs(START);
    let mut flight: VecDeque<(u64, Vec<LeaseChange>)> = VecDeque::new();
    let mut script = Script { rest: bytes };
    while let Some((what, how)) = script.event() {
        let mut actions = Actions::new();
        match what % 6 {
            0 | 1 => {
                let content = script.content();
                let own = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0x10 + u16::from(how & 0x0f));
                let relayed = content.first() == Some(&MessageType::RELAY_FORWARD.0);
                let agent = Ipv6Addr::new(0x2001, 0xdb8, 0xf, 0, 0, 0, 0, (how & 0x0f).into());
                let datagram = Datagram {
                    link: match (how & 0x80 == 0, relayed) {
                        (true, _) => "a",
                        (false, false) => "b",
                        (false, true) => "core",
                    },
                    // An address is registered from itself.
                    source: registered_by(content)
                        .or(relayed.then_some(agent))
                        .filter(|_| how & 0x20 == 0)
                        .unwrap_or(own),
                    port: 5_547,
                    bytes: content,
                    link_layer: (how & 0x40 == 0).then_some(&[2, 0, 0, 0, 0, 0x10]),
                };
                server.handle(now, &datagram, &mut actions);
            }
            2 => {
                now += Duration::from_secs(u64::from(how) * 30);
                server.handle_timeout(now, &mut actions);
            }
            3 => {
                if let Some((ticket, changes)) = flight.pop_front() {
                    disk.write(changes);
                    server.committed(ticket, &mut actions);
                }
            }
            4 => {
                if let Some((ticket, changes)) = flight.pop_front() {
                    if how & 1 != 0 {
                        disk.unwritten.extend(changes);
                    }
                    server.commit_failed(now, ticket);
                }
            }
            _ if how & 0x80 != 0 => {
                // A crash; the kept failures may have been written.
                flight.clear();
                if how & 1 != 0 {
                    disk.write(Vec::new());
                }
                disk.unwritten.clear();
                server = Server::new(config.clone(), disk.leases.iter().collect());
                assert_eq!(server.counters().snapshot_conflicts, 0);
            }
            _ if how & 0x40 != 0 => {
                operate(&mut server, now, how, &mut actions);
            }
            _ => {
                let mut links = own_links(if how & 2 == 0 { 2 } else { 3 });
                links.truncate(usize::from(how & 1) + 1);
                server.set_links(now, links, &mut actions);
            }
        }
        for action in actions {
            match action {
                Action::Commit { ticket, changes } => {
                    assert!(!changes.is_empty(), "a commit of nothing");
                    flight.push_back((ticket, changes));
                }
                Action::Reply(reply) => {
                    well_formed(&reply.bytes);
                    disk.vouch(&reply.bytes);
                }
                Action::RouteAdd(_)
                | Action::RouteRemove { .. }
                | Action::Agreed(..)
                | Action::Disagreed(_) => {}
            }
        }
        assert!(flight.len() <= limits.commits);
        sound(&server, &disk, limits);
    }
}

/// An operator ends a lease, or gives it to somebody; refused is as good.
fn operate(server: &mut Server, now: Duration, how: u8, actions: &mut Actions) {
    let resource = server.leases().iter().nth((how & 3).into()).map(|lease| lease.resource);
    let Some(resource) = resource else { return };
    let mac = [2, 0, 0, 0, 0, how & 0x0f];
    let to = match how & 0x30 {
        0 => None,
        0x10 => Some(Identity::Duid(Duid::link_layer(mac))),
        0x20 => Mac::new(&mac).map(Identity::Mac),
        _ => "interface:2001:db8:0:4::1,eth3".parse().ok(),
    };
    let _ = match to {
        None => server.release(resource, actions),
        Some(to) => server.move_lease(now, resource, &to, actions),
    };
}

/// What holds of leases, in memory and on the disk.
fn sound(server: &Server, disk: &Disk, limits: Limits) {
    // A lease that a client holds may be moved aside, never doubled.
    assert!(server.leases().len() - server.leases().registered() <= limits.leases);
    assert!(server.leases().registered() <= limits.registrations + limits.commits);
    let leased = |lease: &Lease| lease.state != LeaseState::Registered;
    for lease in disk.leases.iter().filter(leased) {
        assert_eq!(
            disk.leases.overlaps(lease.resource.net()).filter(leased).count(),
            1,
            "{} on the disk",
            lease.resource
        );
    }
    for lease in server.leases().iter().filter(leased) {
        match lease.resource {
            Resource::Address(address) => {
                let segments = address.segments();
                assert_eq!(segments[..3], [0x2001, 0xdb8, 0], "{address}");
                assert!(matches!(segments[3], 1..=4) && segments[7] <= 7 && segments[7] != 1, "{address}");
            }
            Resource::Prefix(prefix) => {
                assert_eq!(server.leases().overlaps(prefix).filter(leased).count(), 1, "{prefix}");
                assert_eq!(prefix.network().segments()[..3], [0x2001, 0xdb8, 1], "{prefix}");
                assert!((58..=64).contains(&prefix.prefix_len()), "{prefix}");
            }
        }
    }
}

/// The address that a message registers (RFC 9686).
fn registered_by(bytes: &[u8]) -> Option<Ipv6Addr> {
    let Ok(Packet::Message(message)) = Packet::parse(bytes) else { return None };
    let mut options = message.options().iter().filter(|_| message.kind() == MessageType::ADDR_REG_INFORM);
    options.find_map(|option| match option {
        DhcpOption::IaAddress(address) => Some(address.address),
        _ => None,
    })
}

pub(crate) fn well_formed(bytes: &[u8]) {
    let mut packet = Packet::parse(bytes).expect("a reply can be read");
    loop {
        match packet {
            Packet::Message(message) => {
                for option in message.options().iter() {
                    assert!(!matches!(option, DhcpOption::Malformed { .. }), "{option:?}");
                }
                return;
            }
            // What a relay agent asked to have back it gets as it sent it, well-formed or not (RFC 4994 section 3).
            Packet::Relay(relay) => packet = relay.relayed().expect("a relayed reply holds a message"),
        }
    }
}

/// The DNS forwarder: questions over UDP and TCP, answers to what it asked with the right ID and with any, failures and
/// time. Every reply is one, has its question's ID, and fits.
pub fn dns(bytes: &[u8]) {
    forward(bytes, None);
    // The same bytes again where names are given addresses of a NAT64.
    forward(bytes, Some(sixgate_dns::Dns64::new(sixgate_endpoint::nat64::Prefix::WELL_KNOWN)));
}

/// Where a client is.
fn source_of(peer: u8) -> IpAddr {
    Ipv6Addr::new(0x2001, 0xdb8, 0, 1, 0, 0, 0, peer.into()).into()
}

fn forward(bytes: &[u8], dns64: Option<sixgate_dns::Dns64>) {
    let config =
        sixgate_dns::Config { max_lookups: 4, cache_entries: 8, dns64, ..sixgate_dns::Config::default() };
    let mut gate = Gate::new([7; 16], Some(sixgate_dns::limits()));
    let forwarder_config = &config.clone();
    let mut forwarder: Forwarder<(u8, Ticket)> = Forwarder::new(config, fastrand::Rng::with_seed(7));
    let upstreams: [Endpoint; 2] =
        ["[2001:db8::53]:53", "[2001:db8::54]:53"].map(|text| text.parse().expect("a socket address"));
    forwarder.set_upstreams(&upstreams);
    let lan: Vec<_> = ["2001:db8:0:1::/64".parse().expect("a prefix")].into();
    let mut names = Names::new(&lan);
    let _ = names.set(b"holder", "printer", &[source_of(9)]);
    let mut now = Duration::from_secs(START);
    let mut open: Vec<(Token, Endpoint, Vec<u8>)> = Vec::new();
    let mut script = Script { rest: bytes };
    while let Some((what, how)) = script.event() {
        let mut actions = Vec::new();
        match what % 5 {
            0 => {
                let transport = if how & 0x80 == 0 { Transport::Udp } else { Transport::Tcp };
                let share = u32::from(how >> 4 & 1);
                let query = script.content();
                let ticket = gate.admit(now, source_of(how & 0x0f), transport, query);
                let (peer, udp_limit) =
                    ((how & 0x0f, ticket), sixgate_dns::udp_limit(forwarder_config, &ticket));
                let client = Client { peer, transport, udp_limit, share };
                forwarder.handle_query(now, client, query, &names, &mut actions);
            }
            1 | 2 => {
                let content = script.content();
                if let Some((token, upstream, query)) = open.get(usize::from(how) % open.len().max(1)) {
                    let mut answer = content.to_vec();
                    // An ID is guessed once in 65 536 times; the fuzzer shall get further than that.
                    if what % 5 == 1 && answer.len() >= 2 && query.len() >= 2 {
                        answer[..2].copy_from_slice(&query[..2]);
                    }
                    let (token, upstream) = (*token, *upstream);
                    forwarder.handle_answer(now, upstream, token, &answer, &mut actions);
                }
            }
            3 => {
                if let Some((token, ..)) = open.get(usize::from(how) % open.len().max(1)) {
                    forwarder.handle_failure(now, *token, &mut actions);
                }
            }
            _ => {
                now += Duration::from_millis(u64::from(how) * u64::from(how) * 20);
                forwarder.handle_timeout(now, &mut actions);
            }
        }
        for action in actions {
            match action {
                sixgate_dns::Action::Reply { client, mut bytes } => {
                    let (peer, ticket) = client.peer;
                    if !gate.finish(now, source_of(peer), &ticket, &mut bytes) {
                        continue;
                    }
                    assert!(bytes.len() >= 12 && bytes[2] & 0x80 != 0, "not a reply");
                    let limit = if client.transport == Transport::Udp { 1232 } else { 65_535 };
                    assert!(bytes.len() <= limit, "{} octets", bytes.len());
                }
                sixgate_dns::Action::Query { token, upstream, bytes, .. } => {
                    open.push((token, upstream, bytes));
                }
                sixgate_dns::Action::Done { token } => open.retain(|(other, ..)| *other != token),
            }
        }
        assert!(open.len() <= 4 * 6, "{} sockets", open.len());
    }
}
