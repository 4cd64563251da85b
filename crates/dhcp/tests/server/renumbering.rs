//! Another prefix from the ISP, and restarts.

use crate::asking::{Ask, Desk, START, address_pool, config, delegation_pool, lan, secs};
use sixgate_dhcp::lease::{LeaseState, Resource};
use sixgate_dhcp::server::{Action, Actions, Link, Server};
use sixgate_wire::dhcpv6::MessageType;

fn other_lan() -> Link {
    Link {
        addresses: vec![address_pool("2001:db8:9:1::/64")],
        delegation: vec![delegation_pool("2001:db8:9:100::/56", 60)],
        ..lan()
    }
}

#[test]
fn at_renew_the_old_ends_and_the_new_begins_in_one_reply() {
    let mut desk = Desk::lan();
    let bound = desk.bind(&Ask::new(MessageType::SOLICIT, 1).na(1, &[]).pd(1, &[]));
    desk.pass(secs(100));
    let mut actions = Actions::new();
    desk.server.set_links(desk.now, vec![other_lan()], &mut actions);
    assert!(matches!(actions[..], [Action::RouteRemove { .. }]), "{actions:?}");
    desk.act(actions);

    let renewed = desk.ask(&Ask::new(MessageType::RENEW, 1).ia(&bound.ias[0]).ia(&bound.ias[1])).unwrap();
    for (ia, old) in renewed.ias.iter().zip(bound.usable()) {
        assert!(ia.leases.contains(&(old, 0, 0)), "{ia:?}");
        assert_eq!((ia.leases.len(), ia.times), (2, (500, 800)));
    }
    let new = renewed.usable();
    let inside =
        |resource: &Resource| "2001:db8:9::/48".parse::<ipnet::Ipv6Net>().unwrap().contains(&resource.net());
    assert!(new.len() == 2 && new.iter().all(inside));
    assert!(
        matches!(desk.log.last(), Some(Action::RouteAdd(route)) if inside(&Resource::Prefix(route.prefix)))
    );
    // The client may not have heard: the old is nobody else's until its time is over.
    assert!(bound.usable().iter().all(|old| desk.disk.get(*old).unwrap().state == LeaseState::Retired));
    let mut actions = Actions::new();
    desk.server.set_links(desk.now, vec![lan()], &mut actions);
    desk.act(actions);
    let hint = bound.usable()[0].to_string();
    assert_ne!(desk.bind(&Ask::new(MessageType::SOLICIT, 2).na(1, &[&hint])).only().to_string(), hint);
    // But its old holder may have it back.
    let back = desk.ask(&Ask::new(MessageType::RENEW, 1).ia(&bound.ias[0]).ia(&bound.ias[1])).unwrap();
    assert_eq!(back.usable(), bound.usable());
}

#[test]
fn a_deprecated_pool_still_counts_while_a_new_one_gives() {
    let mut desk = Desk::lan();
    let bound = desk.bind(&Ask::new(MessageType::SOLICIT, 1).na(1, &[]));
    let mut link = other_lan();
    let mut old = address_pool("2001:db8:0:1::/64");
    old.lifetimes.preferred_until = START;
    old.lifetimes.valid_until = START + secs(300);
    link.addresses.push(old);
    desk.server.set_links(desk.now, vec![link], &mut Actions::new());
    desk.pass(secs(100));
    let renewed = desk.ask(&Ask::new(MessageType::RENEW, 1).ia(&bound.ias[0])).unwrap();
    assert_eq!(renewed.ias[0].leases[0], (bound.only(), 0, 200));
    assert_eq!((renewed.usable().len(), renewed.ias[0].times), (2, (500, 800)));
    // A newcomer gets none of the old.
    assert_eq!(desk.bind(&Ask::new(MessageType::SOLICIT, 2).na(1, &[])).usable().len(), 1);
    // And when its end has come the old one goes.
    desk.pass(secs(200));
    let renewed = desk.ask(&Ask::new(MessageType::RENEW, 1).ia(&renewed.ias[0])).unwrap();
    assert!(renewed.ias[0].leases.contains(&(bound.only(), 0, 0)), "{renewed:?}");
}

#[test]
fn a_restart_forgets_nothing() {
    let mut desk = Desk::lan();
    let bound = desk.bind(&Ask::new(MessageType::SOLICIT, 1).na(1, &[]).pd(1, &[]));
    let snapshot = desk.disk.iter().collect();
    let routes: Vec<_> = desk.server.routes().cloned().collect();
    desk.server = Server::new(config(vec![lan()]), snapshot);
    assert_eq!(desk.server.routes().cloned().collect::<Vec<_>>(), routes);
    assert_eq!(routes.len(), 1);
    desk.pass(secs(500));
    let renewed = desk.ask(&Ask::new(MessageType::RENEW, 1).ia(&bound.ias[0]).ia(&bound.ias[1])).unwrap();
    assert_eq!(renewed.usable(), bound.usable());
}

#[test]
fn a_snapshot_that_contradicts_itself_is_not_made_worse() {
    let mut desk = Desk::lan();
    desk.bind(&Ask::new(MessageType::SOLICIT, 1).pd(1, &[]));
    let first = desk.disk.iter().next().unwrap();
    let mut second = first.clone();
    second.resource = Resource::Prefix(ipnet::Ipv6Net::new(first.resource.net().network(), 64).unwrap());
    let server = Server::new(config(vec![lan()]), vec![first, second]);
    assert_eq!((server.leases().len(), server.counters().snapshot_conflicts), (1, 1));
}

#[test]
fn before_the_prefix_is_known_nothing_is_taken_away() {
    let mut desk = Desk::lan();
    let bound = desk.bind(&Ask::new(MessageType::SOLICIT, 1).na(1, &[]).pd(1, &[]));
    let snapshot = desk.disk.iter().collect();
    desk.server = Server::new(config(vec![Link::new("lan")]), snapshot);
    assert_eq!(desk.server.routes().count(), 0);
    let renew = |kind| Ask::new(kind, 1).ia(&bound.ias[0]).ia(&bound.ias[1]);
    assert_eq!(desk.ask(&renew(MessageType::RENEW)), None);
    assert_eq!(desk.ask(&renew(MessageType::REBIND)), None);
    assert!(desk.ask(&renew(MessageType::REQUEST)).unwrap().usable().is_empty());
    let mut actions = Actions::new();
    desk.server.set_links(desk.now, vec![lan()], &mut actions);
    assert!(matches!(actions[..], [Action::RouteAdd(_)]), "{actions:?}");
    assert_eq!(desk.ask(&renew(MessageType::RENEW)).unwrap().usable(), bound.usable());
}
