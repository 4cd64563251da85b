//! Clients that come at the same moment.

use crate::asking::{Ask, Desk, address_pool, assert_disjoint, client_address, config, lan};
use sixgate_dhcp::lease::{LeaseState, Resource};
use sixgate_dhcp::server::{Action, Actions, Datagram, Discard, Limits, ServerConfig};
use sixgate_wire::dhcpv6::MessageType;
use std::collections::BTreeMap;
use std::time::Duration;

const MICROSECOND: Duration = Duration::from_micros(1);

/// Keys of the allocation under which two clients choose differently, and the same: a pool of 8 makes sure of both.
fn desks() -> impl Iterator<Item = Desk> {
    (0..200).map(|key| {
        let mut link = lan();
        link.addresses = vec![address_pool("2001:db8:0:1::8/125")];
        link.delegation[0].prefix = "2001:db8:0:100::/57".parse().unwrap();
        Desk::new(ServerConfig { hash_key: [key; 16], ..config(vec![link]) })
    })
}

#[test]
fn two_clients_a_microsecond_apart_never_get_one_address() {
    for mut desk in desks() {
        let offers: Vec<_> = (1..=4)
            .map(|client| {
                desk.now += MICROSECOND;
                desk.ask(&Ask::new(MessageType::SOLICIT, client).na(1, &[]).pd(1, &[])).unwrap()
            })
            .collect();
        let mut offered: Vec<Resource> = offers.iter().flat_map(crate::asking::Heard::usable).collect();
        assert_eq!(offered.len(), 8);
        offered.sort();
        offered.dedup();
        assert_eq!(offered.len(), 8, "an offer was made twice");
        for (client, offer) in (1..).zip(&offers) {
            desk.now += MICROSECOND;
            let reply = desk
                .ask(&Ask::new(MessageType::REQUEST, client).ia(&offer.ias[0]).ia(&offer.ias[1]))
                .unwrap();
            assert_eq!(reply.usable(), offer.usable());
        }
        assert_disjoint(desk.disk.iter(), "leases");
    }
}

#[test]
fn nor_while_the_disk_is_busy_nor_when_all_want_the_same() {
    for mut desk in desks() {
        let mut all = Actions::new();
        for client in 1..=4 {
            desk.now += MICROSECOND;
            let bytes = Ask::new(MessageType::REQUEST, client)
                .na(1, &["2001:db8:0:1::a"])
                .pd(1, &["2001:db8:0:110::/60"])
                .bytes();
            let source = client_address(client);
            desk.server.handle(
                desk.now,
                &Datagram { link: "lan", source, port: 546, bytes: &bytes, link_layer: None },
                &mut all,
            );
        }
        assert!(all.iter().all(|action| matches!(action, Action::Commit { .. })));
        let replies = desk.act(all);
        let mut holders = BTreeMap::new();
        for reply in &replies {
            for resource in crate::asking::Heard::read(reply).usable() {
                assert_eq!(holders.insert(resource, reply.destination), None, "{resource} twice");
            }
        }
        assert_eq!(holders.len(), 8);
    }
}

#[test]
fn what_is_being_released_is_nobodys_until_the_disk_knows() {
    let mut link = lan();
    link.addresses = vec![address_pool("2001:db8:0:1::8/128")];
    let mut desk = Desk::new(config(vec![link]));
    let bound = desk.bind(&Ask::new(MessageType::SOLICIT, 1).na(1, &[]));
    let mut actions = Actions::new();
    let bytes = Ask::new(MessageType::RELEASE, 1).ia(&bound.ias[0]).bytes();
    let source = client_address(1);
    desk.server.handle(
        desk.now,
        &Datagram { link: "lan", source, port: 546, bytes: &bytes, link_layer: None },
        &mut actions,
    );
    let [Action::Commit { ticket, .. }] = actions[..] else { panic!("{actions:?}") };
    let other = Ask::new(MessageType::REQUEST, 2).na(1, &[]);
    assert!(desk.ask(&other).unwrap().usable().is_empty());
    desk.server.commit_failed(desk.now, ticket);
    desk.pass(Duration::from_secs(1));
    assert!(desk.ask(&other).unwrap().usable().is_empty());
    assert_eq!(desk.server.leases().get(bound.only()), desk.disk.get(bound.only()));
    desk.ask(&Ask::new(MessageType::RELEASE, 1).ia(&bound.ias[0])).unwrap();
    assert_eq!(desk.ask(&other).unwrap().only(), bound.only());
}

#[test]
fn a_slow_disk_holds_a_bounded_number_of_replies() {
    let limits = Limits { commits: 3, ..Limits::default() };
    let mut desk = Desk::new(ServerConfig { limits, ..config(vec![lan()]) });
    let mut actions = Actions::new();
    for client in 1..=5 {
        let bytes = Ask::new(MessageType::REQUEST, client).na(1, &[]).bytes();
        let source = client_address(client);
        desk.server.handle(
            desk.now,
            &Datagram { link: "lan", source, port: 546, bytes: &bytes, link_layer: None },
            &mut actions,
        );
    }
    assert_eq!(actions.len(), 3);
    assert_eq!(desk.server.counters().discarded(Discard::Busy), 2);
}

#[test]
fn a_double_is_not_answered_before_the_disk_has_the_first() {
    for kind in [MessageType::REQUEST, MessageType::RENEW, MessageType::REBIND] {
        doubled(kind, false);
    }
    for kind in [MessageType::RELEASE, MessageType::DECLINE] {
        doubled(kind, true);
    }
}

/// A message, its double while the commit is under way, the failure of that, and the message once more.
fn doubled(kind: MessageType, gives_up: bool) {
    let mut desk = Desk::lan();
    let bound = desk.bind(&Ask::new(MessageType::SOLICIT, 1).na(1, &[]).pd(1, &[]));
    // Another association of the same client has nothing to do with it.
    let other = desk.bind(&Ask::new(MessageType::SOLICIT, 1).na(2, &[]));
    let ask = Ask::new(kind, 1).ia(&bound.ias[0]);
    let bytes = ask.bytes();
    let datagram =
        Datagram { link: "lan", source: client_address(1), port: 546, bytes: &bytes, link_layer: None };
    let mut actions = Actions::new();
    desk.server.handle(desk.now, &datagram, &mut actions);
    let [Action::Commit { ticket, .. }] = actions[..] else { panic!("{kind:?}: {actions:?}") };
    for _ in 0..3 {
        assert_eq!(desk.ask(&ask), None, "{kind:?} was answered from what may fail");
    }
    assert_eq!(desk.server.counters().discarded(Discard::Committing), 3);
    let elsewhere = desk.ask(&Ask::new(MessageType::RENEW, 1).ia(&other.ias[0])).unwrap();
    assert_eq!(elsewhere.usable(), other.usable());
    desk.server.commit_failed(desk.now, ticket);
    let resource = bound.ias[0].leases[0].0;
    assert_eq!(desk.server.leases().get(resource), desk.disk.get(resource));
    // Sent again, it is answered for what it does now.
    desk.pass(Duration::from_secs(1));
    desk.ask(&ask).unwrap();
    let state = desk.disk.get(resource).map(|lease| lease.state);
    assert_eq!(state == Some(LeaseState::Bound), !gives_up, "{kind:?}");
}
