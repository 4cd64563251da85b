//! Clients behind relay agents: where they are found, by what they are known, and the way back.

use crate::asking::*;
use sixgate_dhcp::identity::{Identity, Key, Learnt, Mac};
use sixgate_dhcp::lease::{Lease, LeaseState, Resource};
use sixgate_dhcp::server::{Action, Actions, Datagram, Discard, Link, Refusal, Relays, Reply, ServerConfig};
use sixgate_wire::dhcpv6::{
    Builder, HOP_COUNT_LIMIT, MessageType, OptionCode, Packet, RelayMessage, SERVER_PORT, TransactionId,
};
use std::net::Ipv6Addr;

pub(crate) const AGENT: &str = "2001:db8:ff::1";
pub(crate) const OUTER: &str = "2001:db8:ff::2";

fn address(text: &str) -> Ipv6Addr {
    text.parse().unwrap()
}

/// Two links behind relay agents; `change` changes the first.
pub(crate) fn remote(change: impl Fn(&mut Link)) -> Vec<Link> {
    let link = |name: &str, n: u16| Link {
        prefixes: vec![format!("2001:db8:{n}::/64").parse().unwrap()],
        addresses: vec![address_pool(&format!("2001:db8:{n}::/64"))],
        delegation: vec![delegation_pool("2001:db8:1000::/40", 56)],
        ..Link::new(name)
    };
    let mut first = link("one", 1);
    change(&mut first);
    vec![first, Link { selected_by: vec!["2001:db8:ff::/48".parse().unwrap()], ..link("two", 2) }]
}

pub(crate) fn relays() -> Relays {
    Relays { on: vec!["core".into(), "lan".into()], from: vec!["2001:db8:ff::/64".parse().unwrap()] }
}

fn desk(change: impl Fn(&mut Link)) -> Desk {
    Desk::new(ServerConfig { remote: remote(change), relays: relays(), ..config(vec![lan()]) })
}

/// What a relay agent adds.
#[derive(Clone)]
pub(crate) struct Hop {
    link: Ipv6Addr,
    peer: Ipv6Addr,
    options: Vec<(OptionCode, Vec<u8>)>,
}

impl Hop {
    /// The agent on the client's link.
    pub(crate) fn first(link: &str, client: u8) -> Self {
        Self { link: address(link), peer: client_address(client), options: Vec::new() }
    }

    /// An agent nearer to the server, behind which is [`AGENT`].
    pub(crate) fn outer() -> Self {
        Self { link: Ipv6Addr::UNSPECIFIED, peer: address(AGENT), options: Vec::new() }
    }

    pub(crate) fn with(mut self, code: OptionCode, content: &[u8]) -> Self {
        self.options.push((code, content.to_vec()));
        self
    }

    pub(crate) fn line(self, name: &[u8]) -> Self {
        self.with(OptionCode::INTERFACE_ID, name)
    }

    pub(crate) fn mac(self, last: u8) -> Self {
        self.with(OptionCode::CLIENT_LINKLAYER_ADDR, &[0, 1, 2, 0, 0, 0, 0xaa, last])
    }
}

/// A message behind these agents, the one nearest to the client first.
pub(crate) fn wrapped(bytes: &[u8], hops: &[Hop]) -> Vec<u8> {
    hops.iter().enumerate().fold(bytes.to_vec(), |inside, (count, hop)| {
        let mut room = vec![0; inside.len() + 4_096];
        let mut b = Builder::relay(&mut room, MessageType::RELAY_FORWARD, count as u8, hop.link, hop.peer);
        b.option(OptionCode::RELAY_MSG, &inside);
        for (code, content) in &hop.options {
            b.option(*code, content);
        }
        b.finish().unwrap().to_vec()
    })
}

fn send(desk: &mut Desk, on: &str, source: &str, bytes: &[u8]) -> Option<Reply> {
    let datagram = Datagram {
        link: on,
        source: address(source),
        port: 7_547,
        bytes,
        link_layer: Some(&[2, 9, 9, 9, 9, 9]),
    };
    let mut actions = Actions::new();
    desk.server.handle(desk.now, &datagram, &mut actions);
    desk.act(actions).pop()
}

/// Asks through agents and takes the answer out again, checking each layer of it.
pub(crate) fn ask(desk: &mut Desk, ask: &Ask, hops: &[Hop]) -> Option<Heard> {
    let source = if hops.len() > 1 { OUTER } else { AGENT };
    let reply = send(desk, "core", source, &wrapped(&ask.bytes(), hops))?;
    assert_eq!((&*reply.link, reply.destination, reply.port), ("core", address(source), SERVER_PORT));
    Some(Heard::read(&Reply { bytes: unwrapped(&reply.bytes, hops), ..reply }))
}

pub(crate) fn unwrapped(bytes: &[u8], hops: &[Hop]) -> Vec<u8> {
    hops.iter().enumerate().rev().fold(bytes.to_vec(), |bytes, (count, hop)| {
        let Packet::Relay(layer) = Packet::parse(&bytes).unwrap() else {
            panic!("no Relay-reply: {bytes:?}")
        };
        assert_eq!(layer.kind(), MessageType::RELAY_REPLY);
        assert_eq!(layer.hop_count(), count as u8);
        assert_eq!((layer.link_address(), layer.peer_address()), (hop.link, hop.peer));
        let interface = hop.options.iter().find(|(code, _)| *code == OptionCode::INTERFACE_ID);
        assert_eq!(layer.options().get(OptionCode::INTERFACE_ID), interface.map(|(_, name)| &name[..]));
        layer.options().get(OptionCode::RELAY_MSG).unwrap().to_vec()
    })
}

/// Four messages through agents.
fn bind(desk: &mut Desk, client: u8, solicit: &Ask, hops: &[Hop]) -> Heard {
    let offer = ask(desk, solicit, hops).unwrap();
    assert_eq!(offer.kind, MessageType::ADVERTISE);
    let request = offer.ias.iter().fold(Ask::new(MessageType::REQUEST, client), Ask::ia);
    let reply = ask(desk, &request, hops).unwrap();
    assert_eq!(reply.usable(), offer.usable());
    reply
}

fn both(client: u8) -> Ask {
    Ask::new(MessageType::SOLICIT, client).na(1, &[]).pd(1, &[])
}

fn lease(desk: &Desk, resource: Resource) -> Lease {
    desk.disk.get(resource).unwrap().clone()
}

#[test]
fn the_link_is_that_of_the_innermost_agent_that_names_one() {
    let mut desk = desk(|_| {});
    let outer = |link: &str| Hop { link: address(link), peer: address(AGENT), options: Vec::new() };
    for (hops, expected) in [
        (vec![Hop::first("2001:db8:1::1", 1)], Some("one")),
        (vec![Hop::first("2001:db8:2::1", 1)], Some("two")),
        // Written down; the longest match counts.
        (vec![Hop::first("2001:db8:ff::77", 1)], Some("two")),
        (vec![Hop::first("::", 1), outer("2001:db8:1::1")], Some("one")),
        (vec![Hop::first("2001:db8:1::1", 1), outer("2001:db8:2::1")], Some("one")),
        (vec![Hop::first("2001:db8:1::1", 1), outer("::")], Some("one")),
        // An option says it in place of the header (RFC 6977).
        (
            vec![
                Hop::first("2001:db8:2::1", 1)
                    .with(OptionCode::LINK_ADDRESS, &address("2001:db8:1::1").octets()),
            ],
            Some("one"),
        ),
        (vec![Hop::first("2001:db8:3::1", 1)], None),
        (vec![Hop::first("fe80::1", 1)], None),
    ] {
        let heard = ask(&mut desk, &both(1), &hops);
        let prefix = heard.map(|heard| match heard.usable()[0] {
            Resource::Address(address) => address.segments()[2],
            Resource::Prefix(_) => panic!("the address comes first"),
        });
        let expected = expected.map(|name| if name == "one" { 1 } else { 2 });
        assert_eq!(prefix, expected);
    }
    assert_eq!(desk.server.counters().discarded(Discard::Link), 2);
    // None tells it: then it is where the message came in (RFC 6221).
    let reply = send(&mut desk, "lan", AGENT, &wrapped(&both(1).bytes(), &[Hop::first("::", 1)])).unwrap();
    assert_eq!(&*reply.link, "lan");
    assert_eq!(send(&mut desk, "core", AGENT, &wrapped(&both(1).bytes(), &[Hop::first("::", 1)])), None);
}

#[test]
fn agents_are_heard_where_and_from_whom_it_was_said() {
    let mut desk = desk(|_| {});
    let solicit = both(1).bytes();
    let first = Hop::first("2001:db8:1::1", 1);
    let through = |peer: &str| Hop { link: Ipv6Addr::UNSPECIFIED, peer: address(peer), options: Vec::new() };
    for (on, source, hops, expected) in [
        ("core", AGENT, vec![first.clone()], None),
        ("lan", AGENT, vec![first.clone()], None),
        ("other", AGENT, vec![first.clone()], Some(Discard::Relayed)),
        ("core", "2001:db8:fe::1", vec![first.clone()], Some(Discard::Relay)),
        ("core", "fe80::1", vec![first.clone()], Some(Discard::Relay)),
        ("core", OUTER, vec![first.clone(), through(AGENT)], None),
        // A client that plays a relay agent before the real one.
        ("core", OUTER, vec![first.clone(), through("fe80::7")], Some(Discard::Relay)),
        ("core", OUTER, vec![first.clone(), through(AGENT), through("2001:db8:1::7")], Some(Discard::Relay)),
    ] {
        let before = expected.map(|reason| desk.server.counters().discarded(reason));
        let reply = send(&mut desk, on, source, &wrapped(&solicit, &hops));
        assert_eq!(reply.is_some(), expected.is_none(), "{on} {source}");
        let after = expected.map(|reason| desk.server.counters().discarded(reason));
        assert_eq!(after, before.map(|count| count + 1));
    }
    desk.server.set_relays(&Relays::default());
    assert_eq!(send(&mut desk, "core", AGENT, &wrapped(&solicit, &[first])), None);
    assert_eq!(desk.server.counters().discarded(Discard::Relayed), 2);
    // Directly, nobody is served where only relay agents are.
    assert!(desk.ask_on("core", client_address(1), &solicit).is_none());
}

#[test]
fn nesting_ends_where_the_rfc_ends_it() {
    let mut desk = desk(|_| {});
    let hops = |depth: usize| {
        let outer = Hop { link: Ipv6Addr::UNSPECIFIED, peer: address(AGENT), options: Vec::new() };
        let mut hops = vec![Hop::first("2001:db8:1::1", 1).line(b"eth3")];
        hops.resize(depth, outer);
        hops
    };
    let most = usize::from(HOP_COUNT_LIMIT) + 1;
    assert!(ask(&mut desk, &both(1), &hops(most)).is_some());
    assert!(send(&mut desk, "core", OUTER, &wrapped(&both(1).bytes(), &hops(most + 1))).is_none());
    assert_eq!(desk.server.counters().discarded(Discard::Hops), 1);
    // A Relay-reply is nobody's question, and an agent without a message has none.
    let mut room = [0; 64];
    let mut b =
        Builder::relay(&mut room, MessageType::RELAY_REPLY, 0, address("2001:db8:1::1"), client_address(1));
    b.option(OptionCode::RELAY_MSG, &both(1).bytes()[..8]);
    let backwards = b.finish().unwrap().to_vec();
    assert!(send(&mut desk, "core", AGENT, &backwards).is_none());
    let empty =
        Builder::relay(&mut room, MessageType::RELAY_FORWARD, 0, address("2001:db8:1::1"), client_address(1))
            .finish()
            .unwrap()
            .to_vec();
    assert!(send(&mut desk, "core", AGENT, &empty).is_none());
    let counters = desk.server.counters();
    assert_eq!((counters.discarded(Discard::Type), counters.discarded(Discard::Malformed)), (1, 1));
}

/// RFC 6221: a bridge that relays names no link, and what is delegated behind it is routed by us.
#[test]
fn a_bridge_on_our_own_link_changes_nothing_but_what_is_known() {
    let mut desk = desk(|_| {});
    let hop = Hop::first("::", 1).line(b"port-3");
    let hops = std::slice::from_ref(&hop);
    let mut ask = |ask: &Ask| {
        let reply = send(&mut desk, "lan", AGENT, &wrapped(&ask.bytes(), hops)).unwrap();
        Heard::read(&Reply { bytes: unwrapped(&reply.bytes, hops), ..reply })
    };
    let offer = ask(&both(1));
    let heard = ask(&offer.ias.iter().fold(Ask::new(MessageType::REQUEST, 1), Ask::ia));
    let prefix = heard.usable()[1];
    let route = desk.server.routes().next().unwrap();
    assert_eq!((Resource::Prefix(route.prefix), route.via, &*route.link), (prefix, client_address(1), "lan"));
    let lease = lease(&desk, prefix);
    assert_eq!(lease.line.unwrap().interface_id(), Some(&b"port-3"[..]));
}

/// RFC 8357 and RFC 4994.
#[test]
fn an_agent_gets_back_what_it_needs() {
    let mut desk = desk(|_| {});
    let codes =
        |codes: &[OptionCode]| codes.iter().flat_map(|code| code.0.to_be_bytes()).collect::<Vec<u8>>();
    let vendor = [0, 0, 0, 9, 1, 2];
    let hop = Hop::first("2001:db8:1::1", 1)
        .line(b"eth3")
        .with(OptionCode::RELAY_PORT, &[0, 7])
        .with(OptionCode::SUBSCRIBER_ID, b"ada")
        .with(OptionCode::VENDOR_OPTS, &vendor)
        .with(
            OptionCode::ERO,
            &codes(&[
                OptionCode::VENDOR_OPTS,
                OptionCode::REMOTE_ID,
                OptionCode::INTERFACE_ID,
                OptionCode::RELAY_MSG,
                OptionCode::VENDOR_OPTS,
            ]),
        );
    let reply =
        send(&mut desk, "core", AGENT, &wrapped(&both(1).bytes(), std::slice::from_ref(&hop))).unwrap();
    assert_eq!((reply.destination, reply.port), (address(AGENT), 7_547));
    let layer = RelayMessage::parse(&reply.bytes).unwrap();
    let options: Vec<_> = layer.options().raw().filter(|(code, _)| *code != OptionCode::RELAY_MSG).collect();
    assert_eq!(
        options,
        [
            (OptionCode::INTERFACE_ID, &b"eth3"[..]),
            (OptionCode::RELAY_PORT, &[0, 7]),
            (OptionCode::VENDOR_OPTS, &vendor),
        ]
    );
    assert_eq!(layer.options().raw().filter(|(code, _)| *code == OptionCode::RELAY_MSG).count(), 1);
}

#[test]
fn a_lease_tells_where_its_holder_is() {
    let mut desk = desk(|_| {});
    let hop = Hop::first("2001:db8:1::1", 1)
        .line(b"eth3")
        .mac(7)
        .with(OptionCode::REMOTE_ID, &[0, 0, 0, 9, b'r'])
        .with(OptionCode::RELAY_ID, server_duid().as_bytes());
    // What a client says itself of these is not heeded.
    let forged = both(1)
        .raw(OptionCode::INTERFACE_ID, b"eth4")
        .raw(OptionCode::CLIENT_LINKLAYER_ADDR, &[0, 1, 2, 0, 0, 0, 0, 9]);
    let heard = bind(&mut desk, 1, &forged, &[hop]);
    for resource in heard.usable() {
        let lease = lease(&desk, resource);
        let line = lease.line.unwrap();
        assert_eq!((line.interface_id(), line.remote()), (Some(&b"eth3"[..]), Some((9, &b"r"[..]))));
        let relay = lease.relay.unwrap();
        assert_eq!((relay.address, relay.link), (address(AGENT), address("2001:db8:1::1")));
        assert_eq!(relay.id, Some(server_duid()));
        let found = lease.link_layer.unwrap();
        assert_eq!((found.mac.as_bytes(), found.learnt), (&[2, 0, 0, 0, 0xaa, 7][..], Learnt::Relay));
        assert_eq!((lease.peer, lease.key, &*lease.link), (client_address(1), Key::Duid, "one"));
    }
    assert_eq!(desk.server.routes().count(), 0, "what lies behind a relay agent it routes itself");
    // Without an agent that tells, the DUID does: of it the client says itself.
    let heard = bind(&mut desk, 2, &both(2), &[Hop::first("2001:db8:1::1", 2)]);
    let found = lease(&desk, heard.usable()[0]).link_layer.unwrap();
    assert_eq!((found.mac, found.learnt), (Mac::new(&[2, 0, 0, 0, 0, 2]).unwrap(), Learnt::Duid));
}

#[test]
fn where_hardware_is_the_key_only_what_is_trusted_decides() {
    let by_mac = |trust: &[Learnt]| {
        let trust = trust.to_vec();
        desk(move |link| (link.key, link.trust) = (Key::Mac, trust.clone()))
    };
    let mut trusting = by_mac(&[Learnt::Relay]);
    assert!(ask(&mut trusting, &both(1), &[Hop::first("2001:db8:1::1", 1)]).is_none());
    assert_eq!(trusting.server.counters().discarded(Discard::Identity), 1);
    let inform = Ask { server: None, ..Ask::new(MessageType::INFORMATION_REQUEST, 1) };
    assert!(
        ask(&mut trusting, &inform, &[Hop::first("2001:db8:1::1", 1)]).is_some(),
        "anybody may ask for that"
    );
    // Ten clones with one DUID and one association each have an address of their own.
    let mut given = Vec::new();
    for clone in 0..10 {
        let hop = Hop { peer: client_address(clone), ..Hop::first("2001:db8:1::1", 1) }.mac(clone);
        given.extend(bind(&mut trusting, 1, &Ask::new(MessageType::SOLICIT, 1).na(1, &[]), &[hop]).usable());
    }
    given.sort();
    given.dedup();
    assert_eq!(given.len(), 10);
    assert_eq!(trusting.disk.of_duid(&client_duid(1)).count(), 10);
    assert_eq!(trusting.server.counters().clones, 1);
    let (link, duid, stations) = trusting.server.clones(trusting.now).next().unwrap();
    assert_eq!((&**link, duid, stations.len()), ("one", &client_duid(1), 10));
    // Each keeps its own.
    for clone in 0..10 {
        let hop = Hop { peer: client_address(clone), ..Hop::first("2001:db8:1::1", 1) }.mac(clone);
        let again = bind(&mut trusting, 1, &Ask::new(MessageType::SOLICIT, 1).na(1, &[]), &[hop]).only();
        assert!(given.contains(&again));
        assert_eq!(lease(&trusting, again).link_layer.unwrap().mac.as_bytes()[5], clone);
    }
    assert_eq!(trusting.disk.len(), 10);
    // The weaker ways, for who asks for them.
    let mut naive = by_mac(&[Learnt::Duid]);
    assert!(ask(&mut naive, &both(1), &[Hop::first("2001:db8:1::1", 1).mac(9)]).is_some());
    let mut by_address = by_mac(&[Learnt::Eui64]);
    let hop = Hop { peer: address("fe80::5054:ff:fe00:1"), ..Hop::first("2001:db8:1::1", 1) };
    let heard = bind(&mut by_address, 1, &both(1), &[hop]);
    let found = lease(&by_address, heard.usable()[0]).link_layer.unwrap();
    assert_eq!((found.mac.to_string().as_str(), found.learnt), ("52:54:00:00:00:01", Learnt::Eui64));
}

#[test]
fn clones_are_noticed_where_the_duid_is_the_key() {
    let mut desk = desk(|_| {});
    let hop = |clone: u8| Hop { peer: client_address(clone), ..Hop::first("2001:db8:1::1", 1) }.mac(clone);
    let solicit = Ask::new(MessageType::SOLICIT, 1).na(1, &[]);
    for (clone, expected) in [(1, 0), (1, 0), (2, 0), (2, 0), (1, 1), (2, 1), (3, 1)] {
        bind(&mut desk, 1, &solicit, &[hop(clone)]);
        assert_eq!(desk.server.counters().clones, expected, "{clone}");
    }
    assert_eq!(desk.disk.len(), 1);
    assert_eq!(desk.server.clones(desk.now).next().unwrap().2.len(), 3);
}

#[test]
fn two_systems_of_one_machine_have_one_address() {
    let mut desk = desk(|link| (link.key, link.trust) = (Key::Mac, vec![Learnt::Relay]));
    let hop = |client| Hop::first("2001:db8:1::1", client).mac(7);
    let first = bind(&mut desk, 1, &both(1), &[hop(1)]).usable();
    let windows = Ask::new(MessageType::SOLICIT, 2).na(77, &[]).pd(78, &[]);
    assert_eq!(bind(&mut desk, 2, &windows, &[hop(2)]).usable(), first);
    assert_eq!(desk.disk.len(), 2);
    assert_eq!(desk.server.counters().clones, 0);
}

#[test]
fn a_box_that_is_swapped_on_its_line_gets_the_lines_prefix() {
    let mut desk = desk(|link| link.key = Key::Line);
    let line = |client, name: &[u8]| Hop::first("2001:db8:1::1", client).line(name);
    let old = bind(&mut desk, 1, &both(1), &[line(1, b"eth3")]);
    let other = bind(&mut desk, 3, &both(3), &[line(3, b"eth4")]);
    assert_ne!(old.usable(), other.usable());
    desk.pass(secs(100));
    // Another DUID, other association numbers: the first answer has it all.
    let solicit = Ask::new(MessageType::SOLICIT, 2).na(70, &[]).pd(71, &[]);
    let offer = ask(&mut desk, &solicit, &[line(2, b"eth3")]).unwrap();
    assert_eq!(offer.usable(), old.usable());
    let new = bind(&mut desk, 2, &solicit, &[line(2, b"eth3")]);
    assert_eq!(new.usable(), old.usable());
    for resource in new.usable() {
        let lease = lease(&desk, resource);
        assert_eq!(
            (&lease.duid, lease.granted_at, lease.peer),
            (&client_duid(2), desk.now, client_address(2))
        );
    }
    assert_eq!((desk.disk.len(), desk.server.counters().succeeded), (4, 2));
    // The old box, should it be plugged in elsewhere, cannot end what its successor has, and gets that line's.
    let release = old.ias.iter().fold(Ask::new(MessageType::RELEASE, 1), Ask::ia);
    ask(&mut desk, &release, &[line(1, b"eth3")]).unwrap();
    assert_eq!(desk.disk.len(), 4);
    let renew = old.ias.iter().fold(Ask::new(MessageType::RENEW, 1), Ask::ia);
    let elsewhere = ask(&mut desk, &renew, &[line(1, b"eth9")]).unwrap();
    assert!(elsewhere.usable().iter().all(|resource| !old.usable().contains(resource)));
    // After a long time without anybody, it is still the line's.
    desk.pass(secs(1_000_000));
    assert!(desk.disk.is_empty());
    let late = Ask::new(MessageType::SOLICIT, 9).na(5, &[]).pd(6, &[]);
    assert_eq!(bind(&mut desk, 9, &late, &[line(9, b"eth3")]).usable(), old.usable());
    // Without a line nobody is known.
    assert!(ask(&mut desk, &both(4), &[Hop::first("2001:db8:1::1", 4)]).is_none());
}

#[test]
fn leases_outlive_a_change_of_the_key() {
    let mut desk = desk(|_| {});
    let hop = || Hop::first("2001:db8:1::1", 1).line(b"eth3").mac(1);
    let before = bind(&mut desk, 1, &both(1), &[hop()]);
    for key in [Key::Mac, Key::Line, Key::Duid] {
        let mut actions = Actions::new();
        let links = remote(|link| (link.key, link.trust) = (key, vec![Learnt::Relay]));
        desk.server.set_remote(desk.now, links, &mut actions);
        desk.act(actions);
        let renew = before.ias.iter().fold(Ask::new(MessageType::RENEW, 1), Ask::ia);
        assert_eq!(ask(&mut desk, &renew, &[hop()]).unwrap().usable(), before.usable());
        assert!(before.usable().iter().all(|resource| lease(&desk, *resource).key == key));
    }
    assert_eq!((desk.disk.len(), desk.server.counters().granted), (2, 2));
}

#[test]
fn an_operator_moves_and_releases() {
    let mut desk = desk(|link| link.key = Key::Line);
    let line = |client, name: &[u8]| Hop::first("2001:db8:1::1", client).line(name);
    let old = bind(&mut desk, 1, &both(1), &[line(1, b"eth3")]);
    let prefix = old.usable()[1];
    desk.pass(secs(100));
    let mut give = |resource, to: &str| {
        let mut actions = Actions::new();
        let moved = desk.server.move_lease(desk.now, resource, &to.parse().unwrap(), &mut actions);
        desk.act(actions);
        moved
    };
    let duid = format!("duid:{}", client_duid(2));
    assert!(matches!(give(prefix, &duid), Err(Refusal::Key { wants: Key::Line, .. })));
    assert!(matches!(give("2001:db8::/56".parse().unwrap(), &duid), Err(Refusal::Unknown(_))));
    assert!(matches!(give(prefix, "interface:2001:db8:1::1,eth3"), Err(Refusal::Same(_))));
    give(prefix, "interface:2001:db8:1::1,eth4").unwrap();
    assert_eq!(lease(&desk, prefix).identity(), "interface:2001:db8:1::1,eth4".parse().unwrap());
    // The line that it went to has it with the first exchange; the one that had it gets something else.
    let new = bind(&mut desk, 2, &Ask::new(MessageType::SOLICIT, 2).pd(9, &[]), &[line(2, b"eth4")]);
    assert_eq!(new.only(), prefix);
    let renew = old.ias.iter().fold(Ask::new(MessageType::RENEW, 1), Ask::ia);
    let renewed = ask(&mut desk, &renew, &[line(1, b"eth3")]).unwrap();
    assert!(!renewed.usable().contains(&prefix));
    assert_eq!(renewed.usable().len(), 2);

    let may_move = |desk: &Desk, to: &str| desk.server.may_move(prefix, &to.parse().unwrap());
    assert!(matches!(may_move(&desk, &duid), Err(Refusal::Key { .. })));
    assert!(matches!(may_move(&desk, "interface:2001:db8:1::1,eth4"), Err(Refusal::Same(_))));
    assert_eq!(may_move(&desk, "interface:2001:db8:1::1,eth3"), Ok(()), "asking moves nothing");
    assert_eq!(lease(&desk, prefix).identity(), "interface:2001:db8:1::1,eth4".parse().unwrap());

    let mut actions = Actions::new();
    desk.server.release(prefix, &mut actions).unwrap();
    let [Action::Commit { ticket, .. }] = &actions[..] else { panic!("{actions:?}") };
    let ticket = *ticket;
    assert_eq!(desk.server.release(prefix, &mut Actions::new()), Err(Refusal::Unknown(prefix)));
    desk.server.commit_failed(desk.now, ticket);
    assert_eq!(
        desk.server.leases().get(prefix).unwrap().state,
        LeaseState::Bound,
        "not on the disk, not done"
    );
    assert_eq!(desk.server.release(prefix, &mut Actions::new()), Err(Refusal::Busy(prefix)));
}

/// By DUID, and by hardware address.
#[test]
fn a_lease_that_was_moved_waits_for_whoever_it_was_moved_to() {
    for (key, to) in
        [(Key::Duid, format!("duid:{}", client_duid(2))), (Key::Mac, "02:00:00:00:aa:02".to_owned())]
    {
        let mut desk = desk(|link| (link.key, link.trust) = (key, vec![Learnt::Relay]));
        let hop = |client| Hop::first("2001:db8:1::1", client).mac(client);
        let resource = bind(&mut desk, 1, &Ask::new(MessageType::SOLICIT, 1).pd(1, &[]), &[hop(1)]).only();
        desk.pass(secs(10));
        let mut actions = Actions::new();
        let to: Identity = to.parse().unwrap();
        desk.server.move_lease(desk.now, resource, &to, &mut actions).unwrap();
        desk.act(actions);
        assert!(lease(&desk, resource).is_held_by(&to, 1));
        let new = bind(&mut desk, 2, &Ask::new(MessageType::SOLICIT, 2).pd(55, &[]), &[hop(2)]);
        assert_eq!(new.only(), resource);
        // Claimed once: a second association has something else.
        let more = bind(&mut desk, 2, &Ask::new(MessageType::SOLICIT, 2).pd(56, &[]), &[hop(2)]);
        assert_ne!(more.only(), resource);
    }
}

/// RFC 9686 section 4.2: the agent tells from which address the client sent.
#[test]
fn addresses_are_registered_through_agents() {
    let mut desk = desk(|_| {});
    let own = address("2001:db8:1::77");
    let inform = |registered: Ipv6Addr| {
        let mut room = [0; 256];
        let mut b = Builder::message(&mut room, MessageType::ADDR_REG_INFORM, TransactionId([1, 2, 3]));
        b.client_id(&client_duid(1)).ia_address(registered, 100, 200, |_| {});
        b.finish().unwrap().to_vec()
    };
    let hop = Hop { peer: own, ..Hop::first("2001:db8:1::1", 1) }.line(b"eth3");
    let hops = std::slice::from_ref(&hop);
    let reply = send(&mut desk, "core", AGENT, &wrapped(&inform(own), hops)).unwrap();
    let inside = unwrapped(&reply.bytes, hops);
    assert_eq!(inside[0], MessageType::ADDR_REG_REPLY.0);
    let lease = lease(&desk, Resource::Address(own));
    assert_eq!(
        (lease.state, lease.line.unwrap().interface_id()),
        (LeaseState::Registered, Some(&b"eth3"[..]))
    );
    assert!(send(&mut desk, "core", AGENT, &wrapped(&inform(address("2001:db8:1::78")), hops)).is_none());
    assert_eq!(desk.server.counters().discarded(Discard::Registration), 1);
}
