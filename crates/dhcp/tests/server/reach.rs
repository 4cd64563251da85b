//! Clients that agreed to be asked to come back: by which way each is reached, who is out of reach, and who is forgotten.

use crate::asking::{Ask, Desk, Heard, START, client_duid, config, lan, secs};
use crate::reconfiguring::{SECRET, authentication, check, run, solicit, switch_on};
use crate::relaying::{AGENT, Hop, OUTER, ask, relays, remote, unwrapped};
use sixgate_dhcp::lease::{Lease, LeaseState};
use sixgate_dhcp::server::reconfigure::{Called, Whom};
use sixgate_dhcp::server::{Action, Actions, Limits, Relays, Server, ServerConfig, Way};
use sixgate_wire::dhcpv6::{Duid, MessageType, OptionCode};
use std::time::Duration;

fn relayed() -> ServerConfig {
    ServerConfig { remote: remote(|_| {}), relays: relays(), ..config(vec![lan()]) }
}

fn desk(config: ServerConfig) -> Desk {
    let mut desk = Desk::new(config);
    switch_on(&mut desk.server, SECRET, []);
    desk
}

/// The agent on the first link behind relay agents.
fn first() -> Hop {
    Hop::first("2001:db8:1::1", 1)
}

/// Two messages: the key is in the second.
fn bind(desk: &mut Desk, hops: &[Hop]) -> Heard {
    ask(desk, &solicit(1).raw(OptionCode::RAPID_COMMIT, &[]), hops).unwrap()
}

fn renew(bound: &Heard) -> Ask {
    Ask::new(MessageType::RENEW, 1).ia(&bound.ias[0])
}

/// The ways that were to be kept of a client, in order.
fn ways(desk: &Desk) -> Vec<Option<Way>> {
    let kept = desk.log.iter().filter_map(|action| match action {
        Action::Agreed(client, way) if *client == client_duid(1) => Some(way.clone()),
        _ => None,
    });
    kept.collect()
}

/// The clients that were to be forgotten, in order.
fn forgotten<'a>(actions: impl IntoIterator<Item = &'a Action>) -> Vec<Duid> {
    let gone = actions.into_iter().filter_map(|action| match action {
        Action::Disagreed(clients) => Some(clients.clone()),
        _ => None,
    });
    gone.flatten().collect()
}

fn call(server: &mut Server, now: Duration) -> Called {
    server.reconfigure(now, &Whom::All, MessageType::RENEW)
}

const REACHED: Called = Called { clients: 1, never_agreed: 0, out_of_reach: 0 };
const OUT_OF_REACH: Called = Called { clients: 0, never_agreed: 0, out_of_reach: 1 };

/// The client is asked through this row of agents, and nobody else is.
#[track_caller]
fn assert_reached(server: &mut Server, now: Duration, key: &[u8; 16], row: &[Hop]) {
    assert_eq!(call(server, now), REACHED);
    let sent = run(server, now, now);
    let [(_, reply)] = &sent[..] else { panic!("{sent:?}") };
    let agent = if row.len() > 1 { OUTER } else { AGENT };
    assert_eq!((&*reply.link, reply.destination, reply.port), ("core", agent.parse().unwrap(), 547));
    assert_eq!(check(&unwrapped(&reply.bytes, row), 1, key).0, MessageType::RENEW);
}

/// Sections 18.3.11 and 19.3.
#[test]
fn a_client_behind_a_row_of_agents_is_reached_as_its_last_message_came() {
    let mut desk = desk(relayed());
    let row = [
        first().line(b"eth3"),
        Hop::outer().line(b"port-7").with(OptionCode::RELAY_PORT, &[0, 0]),
        Hop::outer(),
    ];
    let bound = bind(&mut desk, &row);
    let key = authentication(bound.option(OptionCode::AUTH).unwrap()).2;
    let now = desk.now;
    assert_reached(&mut desk.server, now, &key, &row);
    // It is kept with the consent, and known after a restart.
    let kept = ways(&desk);
    let [Some(way)] = &kept[..] else { panic!("{kept:?}") };
    assert_eq!(Way::from_bytes(&way.to_bytes()).as_ref(), Some(way));
    let mut server = Server::new(relayed(), desk.disk.iter().collect());
    let gone = switch_on(&mut server, SECRET, [(client_duid(1), Way::from_bytes(&way.to_bytes()))]);
    assert!(gone.is_empty(), "{gone:?}");
    assert_reached(&mut server, now + secs(1), &key, &row);
    // It was plugged in elsewhere: its last message says where. What it says of the same place is not kept twice.
    let moved = [first().line(b"eth4")];
    for _ in 0..2 {
        desk.pass(secs(5));
        ask(&mut desk, &renew(&bound), &moved).unwrap();
    }
    assert_eq!(ways(&desk).len(), 2);
    let now = desk.now + secs(1);
    assert_reached(&mut desk.server, now, &key, &moved);
}

/// Whoever knows a DUID can send in its name: what is not accepted moves nobody, ends no asking and is not written.
#[test]
fn a_message_that_is_not_accepted_moves_nobody() {
    let mut desk = desk(relayed());
    let row = [first().line(b"eth3")];
    let bound = bind(&mut desk, &row);
    let key = authentication(bound.option(OptionCode::AUTH).unwrap()).2;
    let elsewhere = [Hop::first("2001:db8:2::1", 1).line(b"evil")];
    let held = bound.only().to_string();
    let of = |kind| Ask::new(kind, 1).raw(OptionCode::RECONF_ACCEPT, &[]);
    let spoofed = [
        // Discarded: there is nothing to say.
        of(MessageType::CONFIRM).na(1, &[]),
        // Answered, and nothing is bound by it.
        of(MessageType::CONFIRM).na(1, &[&held]),
        of(MessageType::REQUEST).na(9, &["2001:db8:77::1"]),
        of(MessageType::SOLICIT).na(9, &[]),
        of(MessageType::DECLINE).na(9, &[&held]),
    ];
    call(&mut desk.server, START);
    run(&mut desk.server, START, START);
    let waits = desk.server.poll_timeout();
    for spoofed in &spoofed {
        ask(&mut desk, spoofed, &elsewhere);
        assert_eq!(ways(&desk).len(), 1, "{spoofed:?}");
    }
    assert_eq!(desk.server.poll_timeout(), waits, "it is asked nevertheless");
    let counters = desk.server.reconfigure_counters().unwrap();
    assert_eq!((counters.moved, counters.answered), (0, 0));
    let now = desk.now + secs(100);
    assert_reached(&mut desk.server, now, &key, &row);
}

#[test]
fn a_path_that_flaps_is_kept_once_a_minute() {
    let mut desk = desk(relayed());
    let rows = [[first().line(b"eth3")], [first().line(b"eth4")]];
    let bound = bind(&mut desk, &rows[0]);
    let key = authentication(bound.option(OptionCode::AUTH).unwrap()).2;
    for second in 1..=120 {
        desk.pass(secs(1));
        let row = &rows[second % 2];
        ask(&mut desk, &renew(&bound), row).unwrap();
        // In memory it is always known.
        let now = desk.now;
        assert_reached(&mut desk.server, now, &key, row);
    }
    let counters = desk.server.reconfigure_counters().unwrap();
    assert_eq!((ways(&desk).len(), counters.moved, counters.held_back), (1 + 2, 120, 118));
    // What was held back is written with the next message, whether that moves or not; and then no more.
    for _ in 0..3 {
        desk.pass(secs(60));
        ask(&mut desk, &renew(&bound), &rows[0]).unwrap();
    }
    assert_eq!(ways(&desk).len(), 4);
}

#[test]
fn a_way_of_another_place_than_the_lease_is_not_taken() {
    let mut desk = desk(relayed());
    let row = [first(), Hop::outer()];
    let bound = bind(&mut desk, &row);
    let before = ways(&desk).pop().unwrap();
    desk.pass(secs(5));
    ask(&mut desk, &renew(&bound), &[first()]).unwrap();
    // As if the second way had been held back before the server was started anew.
    let mut server = Server::new(relayed(), desk.disk.iter().collect());
    switch_on(&mut server, SECRET, [(client_duid(1), before)]);
    assert_eq!(call(&mut server, desk.now), OUT_OF_REACH);
    assert_eq!(server.poll_timeout(), Some(desk.disk.first_end().unwrap() + secs(10)), "nobody is asked");
}

#[test]
fn a_way_that_is_too_long_is_none() {
    let mut desk = desk(relayed());
    let long = [first().line(&[b'x'; 1_100])];
    bind(&mut desk, &long);
    assert_eq!(ways(&desk), [None]);
    let now = desk.now;
    assert_eq!(call(&mut desk.server, now), OUT_OF_REACH);
    assert_eq!(run(&mut desk.server, now, now), []);
    // By a shorter one it is reached.
    let short = [first()];
    let bound = bind(&mut desk, &short);
    let key = authentication(bound.option(OptionCode::AUTH).unwrap()).2;
    assert_reached(&mut desk.server, now, &key, &short);
    // And what was cut on the disk is not read as another.
    let way = ways(&desk).pop().flatten().unwrap().to_bytes();
    for length in 0..way.len() {
        assert_eq!(Way::from_bytes(&way[..length]), None, "{length}");
    }
}

#[test]
fn a_way_is_taken_only_past_agents_that_are_trusted_now() {
    let mut desk = desk(relayed());
    let row = [first(), Hop::outer()];
    let bound = bind(&mut desk, &row);
    let key = authentication(bound.option(OptionCode::AUTH).unwrap()).2;
    let now = desk.now;
    let heard = |on: &str, from: &[&str]| Relays {
        on: vec![on.to_owned()],
        from: from.iter().map(|net| net.parse().unwrap()).collect(),
    };
    for (relays, expected) in [
        (heard("lan", &["2001:db8:ff::/64"]), OUT_OF_REACH),
        // Each agent counts, not that alone which the server talks to.
        (heard("core", &["2001:db8:ff::2/128"]), OUT_OF_REACH),
        (heard("core", &["2001:db8:ff::1/128"]), OUT_OF_REACH),
        (heard("core", &["2001:db8:ff::1/128", "2001:db8:ff::2/128"]), REACHED),
    ] {
        desk.server.set_relays(&relays);
        assert_eq!(call(&mut desk.server, now), expected, "{relays:?}");
    }
    // It is tested at each message, since it may change between two of them.
    assert_reached(&mut desk.server, now, &key, &row);
    desk.server.set_relays(&heard("lan", &[]));
    assert_eq!(run(&mut desk.server, now, now + secs(600)), []);
    let counters = desk.server.reconfigure_counters().unwrap();
    assert_eq!((counters.out_of_reach, counters.given_up), (1, 0));
}

#[test]
fn who_holds_nothing_any_more_is_forgotten() {
    let mut desk = desk(config(vec![lan()]));
    for client in 1..=50 {
        desk.bind(&solicit(client));
    }
    assert_eq!(desk.server.agreed(), 50);
    let release = |desk: &mut Desk, client: u8| {
        let duid = client_duid(client);
        let held: Vec<String> = desk.disk.of_duid(&duid).map(|lease| lease.resource.to_string()).collect();
        let held: Vec<&str> = held.iter().map(String::as_str).collect();
        desk.ask(&Ask::new(MessageType::RELEASE, client).na(1, &held)).unwrap();
    };
    for client in 1..=20 {
        release(&mut desk, client);
    }
    assert_eq!((desk.server.agreed(), forgotten(&desk.log).len()), (30, 20));
    // Who holds something else stays.
    let both = Ask::new(MessageType::REQUEST, 21).pd(7, &[]).raw(OptionCode::RECONF_ACCEPT, &[]);
    assert_eq!(desk.ask(&both).unwrap().usable().len(), 1);
    release(&mut desk, 21);
    assert_eq!(desk.server.agreed(), 30);
    // So does who renews; all others end.
    desk.pass(secs(1_000));
    let lease = desk.disk.of_duid(&client_duid(30)).next().unwrap();
    desk.ask(&Ask::new(MessageType::RENEW, 30).na(1, &[&lease.resource.to_string()])).unwrap();
    desk.pass(secs(1_500));
    assert_eq!((desk.server.agreed(), desk.server.leases().len()), (1, 1));
    assert_eq!(desk.server.reconfigure_counters().unwrap().forgotten, 49);
    assert_eq!(forgotten(&desk.log).len(), 49);
    // After a restart, whatever the disk says.
    let mut server = Server::new(config(vec![lan()]), desk.disk.iter().collect());
    let actions = switch_on(&mut server, SECRET, (1..=50).map(|client| (client_duid(client), None)));
    assert_eq!((server.agreed(), forgotten(&actions).len()), (1, 49));
    assert!(!forgotten(&actions).contains(&client_duid(30)));
}

#[test]
fn who_agreed_by_what_never_came_to_be_is_forgotten() {
    let mut server = Server::new(config(vec![lan()]), Vec::new());
    switch_on(&mut server, SECRET, []);
    let ask = solicit(1).raw(OptionCode::RAPID_COMMIT, &[]).bytes();
    let datagram = sixgate_dhcp::server::Datagram {
        link: "lan",
        source: "fe80::1".parse().unwrap(),
        port: 546,
        bytes: &ask,
        link_layer: None,
    };
    let mut actions = Actions::new();
    server.handle(START, &datagram, &mut actions);
    let [Action::Agreed(..), Action::Commit { ticket, .. }] = &actions[..] else { panic!("{actions:?}") };
    assert_eq!(server.agreed(), 1);
    server.commit_failed(START, *ticket);
    actions.clear();
    server.handle_timeout(START, &mut actions);
    assert_eq!((server.agreed(), forgotten(&actions)), (0, vec![client_duid(1)]));
}

/// Another box on the line has the lease now: the one before it is not asked any more.
#[test]
fn who_was_succeeded_is_forgotten() {
    use sixgate_dhcp::identity::Key;
    let keyed = ServerConfig { remote: remote(|link| link.key = Key::Line), ..relayed() };
    let mut desk = desk(keyed);
    let row = [first().line(b"eth3")];
    bind(&mut desk, &row);
    let other = solicit(2).raw(OptionCode::RAPID_COMMIT, &[]);
    ask(&mut desk, &other, &[Hop::first("2001:db8:1::1", 2).line(b"eth3")]).unwrap();
    assert_eq!((desk.server.agreed(), forgotten(&desk.log)), (1, vec![client_duid(1)]));
    let now = desk.now;
    assert_eq!(call(&mut desk.server, now), REACHED);
}

/// What was retired is still its client's to be asked about.
#[test]
fn who_has_what_was_retired_is_kept_until_that_ends() {
    let mut desk = desk(config(vec![lan()]));
    let bound = desk.bind(&solicit(1));
    let elsewhere = sixgate_dhcp::server::Link {
        addresses: vec![crate::asking::address_pool("2001:db8:0:1::1/128")],
        ..lan()
    };
    let mut actions = Actions::new();
    desk.server.set_links(desk.now, vec![elsewhere], &mut actions);
    desk.ask(&renew(&bound)).unwrap();
    let retired = |lease: Lease| lease.state == LeaseState::Retired;
    assert!(desk.server.leases().iter().all(retired) && desk.server.leases().len() == 1);
    assert_eq!(desk.server.agreed(), 1);
    // After a restart too.
    let mut server = Server::new(config(vec![lan()]), desk.disk.iter().collect());
    let actions = switch_on(&mut server, SECRET, [(client_duid(1), None), (client_duid(2), None)]);
    assert_eq!((server.agreed(), forgotten(&actions)), (1, vec![client_duid(2)]));
    desk.pass(secs(2_100));
    assert_eq!((desk.server.leases().len(), desk.server.agreed()), (0, 0));
}

/// Section 21.20: who asks for a binding and does not say that it may be asked, may not, whatever it said before. Who extends
/// what it has need not say it again.
#[test]
fn consent_is_taken_back() {
    let mut desk = desk(config(vec![lan()]));
    let bound = desk.bind(&solicit(1));
    desk.ask(&renew(&bound)).unwrap();
    assert_eq!((desk.server.agreed(), forgotten(&desk.log)), (1, vec![]));
    desk.bind(&Ask::new(MessageType::SOLICIT, 1).na(1, &[]));
    assert_eq!((desk.server.agreed(), forgotten(&desk.log)), (0, vec![client_duid(1)]));
    let now = desk.now;
    assert_eq!(call(&mut desk.server, now), Called { clients: 0, never_agreed: 1, out_of_reach: 0 });
    desk.bind(&solicit(1));
    assert_eq!(desk.server.agreed(), 1);
}

#[test]
fn who_agreed_is_bounded() {
    let limits = Limits { leases: 5, ..Limits::default() };
    let mut desk = desk(ServerConfig { limits, ..config(vec![lan()]) });
    for client in 1..=50 {
        let bound = desk.bind(&solicit(client));
        assert!(bound.option(OptionCode::AUTH).is_some(), "{client}");
        desk.ask(&Ask::new(MessageType::RELEASE, client).ia(&bound.ias[0])).unwrap();
        assert_eq!(desk.server.agreed(), 0);
    }
    // There is no room for the consent of more clients than there may be leases; they are bound without.
    let leases: Vec<Lease> = (1..=6).map(|client| held_by(&desk, client)).collect();
    let mut server = Server::new(ServerConfig { limits, ..config(vec![lan()]) }, leases);
    switch_on(&mut server, SECRET, []);
    let mut desk = Desk { server, ..desk };
    for client in 1..=6 {
        let lease = desk.server.leases().of_duid(&client_duid(client)).next().unwrap();
        let renew = Ask::new(MessageType::RENEW, client).na(1, &[&lease.resource.to_string()]);
        let heard = desk.ask(&renew.raw(OptionCode::RECONF_ACCEPT, &[])).unwrap();
        assert_eq!(heard.option(OptionCode::AUTH).is_some(), client <= 5, "{client}");
    }
    assert_eq!((desk.server.agreed(), desk.server.reconfigure_counters().unwrap().refused), (5, 1));
}

fn held_by(desk: &Desk, client: u8) -> Lease {
    Lease {
        resource: format!("2001:db8:0:1::{client}:7").parse().unwrap(),
        key: sixgate_dhcp::identity::Key::Duid,
        duid: client_duid(client),
        iaid: 1,
        link: "lan".into(),
        state: LeaseState::Bound,
        preferred_until: desk.now + secs(1_000),
        valid_until: desk.now + secs(2_000),
        granted_at: START,
        renewed_at: START,
        hostname: None,
        link_layer: None,
        peer: crate::asking::client_address(client),
        line: None,
        relay: None,
    }
}
