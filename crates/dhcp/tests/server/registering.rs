//! Addresses that hosts made up themselves (RFC 9686).

use crate::asking::*;
use sixgate_dhcp::identity::Mac;
use sixgate_dhcp::lease::{Lease, LeaseState, Resource};
use sixgate_dhcp::server::{Action, Actions, Datagram, Discard, Limits, Server, ServerConfig};
use sixgate_wire::dhcpv6::{MessageType, OptionCode};
use std::net::Ipv6Addr;

const OWN: &str = "2001:db8:0:1::5eed";

fn address(text: &str) -> Ipv6Addr {
    text.parse().unwrap()
}

/// The IA Address option (RFC 9915 section 21.6).
fn ia_address(text: &str, preferred: u32, valid: u32) -> Vec<u8> {
    let mut octets = address(text).octets().to_vec();
    octets.extend([preferred.to_be_bytes(), valid.to_be_bytes()].concat());
    octets
}

fn inform(client: u8, text: &str, valid: u32) -> Ask {
    Ask::new(MessageType::ADDR_REG_INFORM, client)
        .raw(OptionCode::IA_ADDR, &ia_address(text, valid / 2, valid))
}

impl Desk {
    fn register(&mut self, client: u8, text: &str, valid: u32) -> Option<Heard> {
        self.ask_on("lan", address(text), &inform(client, text, valid).bytes())
    }

    fn registration(&self, text: &str) -> Option<&Lease> {
        self.disk.get(Resource::Address(address(text))).filter(|lease| lease.state == LeaseState::Registered)
    }
}

#[test]
fn an_address_is_registered_refreshed_and_given_up() {
    let mut desk = Desk::lan();
    let name = [&[0, 6][..], b"laptop"].concat();
    let message = inform(1, OWN, 1_000).raw(OptionCode::CLIENT_FQDN, &name);
    let reply = desk.ask_on("lan", address(OWN), &message.bytes()).unwrap();
    assert_eq!((reply.kind, reply.transaction), (MessageType::ADDR_REG_REPLY, [1, 2, 3]));
    assert_eq!(reply.option(OptionCode::IA_ADDR), Some(&*ia_address(OWN, 500, 1_000)), "identical");
    assert_eq!(reply.client.as_deref(), Some(client_duid(1).as_bytes()));
    let lease = desk.registration(OWN).unwrap().clone();
    assert_eq!((lease.duid, lease.hostname.as_deref()), (client_duid(1), Some("laptop")));
    assert_eq!((lease.preferred_until, lease.valid_until), (START + secs(500), START + secs(1_000)));

    desk.pass(secs(800));
    desk.register(1, OWN, 1_000).unwrap();
    let lease = desk.registration(OWN).unwrap();
    assert_eq!((lease.granted_at, lease.valid_until), (START, START + secs(1_800)));
    desk.pass(secs(900));
    assert!(desk.registration(OWN).is_some());
    desk.pass(secs(200));
    assert!(desk.registration(OWN).is_none(), "it ended");

    desk.register(1, OWN, 1_000).unwrap();
    assert!(desk.registration(OWN).is_some());
    assert_eq!(desk.register(1, OWN, 0).unwrap().kind, MessageType::ADDR_REG_REPLY);
    assert!(desk.registration(OWN).is_none(), "its owner has it no more");
    assert_eq!(desk.register(1, OWN, 0).unwrap().kind, MessageType::ADDR_REG_REPLY, "and says so again");
    let counters = desk.server.counters();
    assert_eq!((counters.registered, counters.addr_reg_inform, counters.expired), (2, 5, 0));
}

#[test]
fn an_infinite_lifetime_ends_too() {
    let mut desk = Desk::lan();
    desk.register(1, OWN, u32::MAX).unwrap();
    assert_eq!(desk.registration(OWN).unwrap().valid_until, START + secs(8 * 3_600));
}

#[test]
fn what_the_rfc_has_discarded_is_discarded() {
    let good = || inform(1, OWN, 1_000);
    let without = |ask: Ask| Ask { raw: Vec::new(), ..ask };
    let table: Vec<(&str, &str, Ask, Discard)> = vec![
        ("no client", OWN, Ask { client: None, ..good() }, Discard::NoClientId),
        ("a server", OWN, Ask { server: Some(server_duid()), ..good() }, Discard::ServerId),
        ("no address", OWN, without(good()), Discard::Registration),
        ("two", OWN, good().raw(OptionCode::IA_ADDR, &ia_address(OWN, 1, 2)), Discard::Registration),
        ("in an association", OWN, without(good()).na(1, &[OWN]), Discard::Registration),
        ("another source", "2001:db8:0:1::bad", good(), Discard::Registration),
        ("from the link-local address", "fe80::101", good(), Discard::Registration),
        ("options", OWN, good().oro(&[OptionCode::DNS_SERVERS]), Discard::Registration),
        ("link-local", "fe80::101", inform(1, "fe80::101", 1_000), Discard::OffLink),
        ("elsewhere", "2001:db8:0:2::1", inform(1, "2001:db8:0:2::1", 1_000), Discard::OffLink),
        ("the gateway", "2001:db8:0:1::1", inform(1, "2001:db8:0:1::1", 1_000), Discard::OffLink),
        ("another prefix", "2001:db8:0:100::1", inform(1, "2001:db8:0:100::1", 1_000), Discard::OffLink),
        (
            "preferred for longer than valid",
            OWN,
            without(good()).raw(OptionCode::IA_ADDR, &ia_address(OWN, 3, 2)),
            Discard::Registration,
        ),
        ("a reply", OWN, Ask { kind: MessageType::ADDR_REG_REPLY, ..good() }, Discard::Source),
        ("a reply", "fe80::1", Ask { kind: MessageType::ADDR_REG_REPLY, ..good() }, Discard::Type),
    ];
    for (what, source, ask, reason) in table {
        let mut desk = Desk::lan();
        assert_eq!(desk.ask_on("lan", address(source), &ask.bytes()), None, "{what}");
        assert_eq!(desk.server.counters().discarded(reason), 1, "{what}");
        assert!(desk.disk.is_empty(), "{what}");
    }
}

#[test]
fn leases_are_not_registered_and_registrations_not_leased() {
    let mut desk = Desk::lan();
    let bound = desk.bind(&Ask::new(MessageType::SOLICIT, 1).na(1, &[])).only().to_string();
    assert_eq!(desk.register(1, &bound, 1_000), None);
    assert_eq!(desk.server.counters().discarded(Discard::Leased), 1);
    desk.register(2, OWN, 1_000).unwrap();
    let hint = desk.bind(&Ask::new(MessageType::SOLICIT, 3).na(1, &[OWN])).only().to_string();
    assert_ne!(hint, OWN, "somebody has it");
    // In a prefix that is the client's own, and nobody else's.
    let delegated = desk.bind(&Ask::new(MessageType::SOLICIT, 4).pd(1, &[])).only();
    let inside = Ipv6Addr::from(u128::from(delegated.net().network()) | 7).to_string();
    assert_eq!(desk.register(5, &inside, 1_000), None);
    assert!(desk.register(4, &inside, 1_000).is_some());
    // Whichever of the two is read first after a restart, both stand; and the prefix can go to another in time.
    let mut snapshot: Vec<Lease> = desk.disk.iter().cloned().collect();
    for _ in 0..2 {
        let server = Server::new(config(vec![lan()]), snapshot.clone());
        assert_eq!((server.leases().len(), server.counters().snapshot_conflicts), (snapshot.len(), 0));
        snapshot.reverse();
    }
    desk.ask(&Ask::new(MessageType::RELEASE, 4).pd(1, &[&delegated.to_string()])).unwrap();
    let wanted = Ask::new(MessageType::SOLICIT, 5).pd(1, &[&delegated.to_string()]);
    assert_eq!(desk.bind(&wanted).only(), delegated);
}

#[test]
fn the_last_who_registers_has_it_and_a_declined_address_has_an_owner() {
    let mut desk = Desk::lan();
    desk.register(1, OWN, 1_000).unwrap();
    desk.register(2, OWN, 1_000).unwrap();
    assert_eq!(desk.registration(OWN).unwrap().duid, client_duid(2));
    assert_eq!(desk.server.counters().registrations_moved, 1);

    let bound = desk.bind(&Ask::new(MessageType::SOLICIT, 3).na(1, &[]));
    let text = bound.only().to_string();
    desk.ask(&Ask::new(MessageType::DECLINE, 3).na(1, &[&text])).unwrap();
    desk.register(4, &text, 1_000).unwrap();
    assert_eq!(desk.registration(&text).unwrap().duid, client_duid(4));
}

#[test]
fn registrations_are_bounded_and_cost_nobody_a_lease() {
    let limits = Limits {
        registrations: 8,
        registrations_per_client: 3,
        leases: 4,
        leases_per_link: 4,
        ..Limits::default()
    };
    let mut desk = Desk::new(ServerConfig { limits, ..config(vec![lan()]) });
    let own = |n: u32| format!("2001:db8:0:1::a:{n:x}");
    for n in 1..=5 {
        desk.register(1, &own(n), 1_000 + n).unwrap();
    }
    let held: Vec<_> = (1..=5).filter(|n| desk.registration(&own(*n)).is_some()).collect();
    assert_eq!(held, [3, 4, 5], "of its own, those that end first");
    for client in 2..=7 {
        desk.register(client, &own(u32::from(client) + 100), 5_000).ok_or(()).unwrap();
    }
    assert_eq!(desk.server.leases().registered(), 8);
    assert!(desk.server.counters().registrations_evicted == 3);
    for client in 10..14 {
        desk.bind(&Ask::new(MessageType::SOLICIT, client).na(1, &[])).only();
    }
}

#[test]
fn a_registration_is_durable_before_its_reply_leaves() {
    let mut server = Server::new(config(vec![lan()]), Vec::new());
    let bytes = inform(1, OWN, 1_000).bytes();
    let datagram = Datagram {
        link: "lan",
        source: address(OWN),
        port: 546,
        bytes: &bytes,
        link_layer: Some(&[2, 0, 0, 0, 0, 9]),
    };
    let mut actions = Actions::new();
    server.handle(START, &datagram, &mut actions);
    let Some(Action::Commit { ticket, changes }) = actions.pop() else { panic!("nothing to make durable") };
    assert_eq!((actions.len(), changes.len()), (0, 1));
    // Sent again meanwhile: the first reply answers both.
    server.handle(START, &datagram, &mut actions);
    assert!(actions.is_empty());
    assert_eq!(server.counters().discarded(Discard::Committing), 1);
    server.committed(ticket, &mut actions);
    assert!(matches!(&actions[..], [Action::Reply(reply)] if reply.destination == address(OWN)));
    let lease = server.leases().get(Resource::Address(address(OWN))).unwrap();
    assert_eq!(lease.link_layer.map(|found| found.mac), Mac::new(&[2, 0, 0, 0, 0, 9]));
    // After a restart it is still there.
    let again = Server::new(config(vec![lan()]), server.leases().iter().cloned().collect());
    assert_eq!(again.leases().registered(), 1);
}

#[test]
fn clients_learn_that_they_may_register() {
    let mut desk = Desk::lan();
    let asked = [OptionCode::ADDR_REG_ENABLE];
    let informed = desk.ask(&Ask::new(MessageType::INFORMATION_REQUEST, 1).oro(&asked)).unwrap();
    assert_eq!(informed.option(OptionCode::ADDR_REG_ENABLE), Some(&[][..]));
    let offer = desk.ask(&Ask::new(MessageType::SOLICIT, 1).na(1, &[]).oro(&asked)).unwrap();
    assert_eq!(offer.option(OptionCode::ADDR_REG_ENABLE), Some(&[][..]));
    let silent = desk.ask(&Ask::new(MessageType::INFORMATION_REQUEST, 1)).unwrap();
    assert_eq!(silent.option(OptionCode::ADDR_REG_ENABLE), None);
}
