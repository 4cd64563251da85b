//! Who is asked to come back, by which message, and how often (RFC 9915 sections 18.3.11 and 20.4).

use crate::asking::{Ask, Desk, START, client_address, client_duid, config, lan, secs, server_duid};
use crate::relaying::{AGENT, Hop, OUTER, relays, remote, unwrapped};
use hmac::{Hmac, KeyInit, Mac as _};
use md5::Md5;
use sixgate_dhcp::identity::{Key, Line, Relay};
use sixgate_dhcp::lease::{Lease, LeaseState};
use sixgate_dhcp::server::reconfigure::{Called, Whom};
use sixgate_dhcp::server::{Action, Relays, Reply, Server, ServerConfig, Way};
use sixgate_wire::dhcpv6::{DhcpOption, Message, MessageType, OptionCode, Packet};
use std::sync::Arc;
use std::time::Duration;

const SECRET: [u8; 16] = *b"a secret of ours";

fn desk() -> Desk {
    let mut desk = Desk::lan();
    desk.server.set_reconfigure(SECRET, []);
    desk
}

fn solicit(client: u8) -> Ask {
    Ask::new(MessageType::SOLICIT, client).na(1, &[]).raw(OptionCode::RECONF_ACCEPT, &[])
}

/// Replay detection value, type and content of an Authentication option.
fn authentication(octets: &[u8]) -> (u64, u8, [u8; 16]) {
    let DhcpOption::Authentication(auth) = DhcpOption::decode(OptionCode::AUTH, octets) else { panic!() };
    assert_eq!((auth.protocol(), auth.algorithm(), auth.replay_method()), (3, 1, 0));
    (auth.replay(), auth.information()[0], auth.information()[1..].try_into().unwrap())
}

/// Everything that is sent until a time, with when.
fn run(server: &mut Server, from: Duration, until: Duration) -> Vec<(Duration, Reply)> {
    let (mut now, mut sent) = (from, Vec::new());
    loop {
        let mut actions = Vec::new();
        server.handle_timeout(now, &mut actions);
        for action in actions {
            let Action::Reply(reply) = action else { panic!("{action:?}") };
            sent.push((now, reply));
        }
        match server.poll_timeout().filter(|at| *at <= until) {
            Some(at) => now = at,
            None => return sent,
        }
    }
}

/// The message asked for, after everything about the message was checked with the key; and its replay detection value.
fn check(bytes: &[u8], client: u8, key: &[u8; 16]) -> (MessageType, u64) {
    let message = Message::parse(bytes).unwrap();
    let options = message.options();
    assert_eq!((message.kind(), message.transaction().0), (MessageType::RECONFIGURE, [0; 3]));
    assert_eq!(options.get(OptionCode::SERVER_ID), Some(server_duid().as_bytes()));
    assert_eq!(options.get(OptionCode::CLIENT_ID), Some(client_duid(client).as_bytes()));
    let (replay, kind, hmac) = authentication(options.get(OptionCode::AUTH).unwrap());
    assert_eq!((kind, &bytes[bytes.len() - 16..]), (2, &hmac[..]));
    let mut unsigned = bytes.to_vec();
    let at = unsigned.len() - 16;
    unsigned[at..].fill(0);
    let mut mac = <Hmac<Md5> as KeyInit>::new_from_slice(key).unwrap();
    mac.update(&unsigned);
    mac.verify_slice(&hmac).unwrap();
    let Some(DhcpOption::ReconfigureMessage(asked)) = options.find(OptionCode::RECONF_MSG) else { panic!() };
    (asked, replay)
}

#[test]
fn only_who_agrees_gets_a_key_and_only_when_it_is_bound() {
    let mut desk = desk();
    let offer = desk.ask(&solicit(1)).unwrap();
    assert!(offer.option(OptionCode::RECONF_ACCEPT).is_some() && offer.option(OptionCode::AUTH).is_none());
    let bound = desk.bind(&solicit(1));
    let (replay, kind, key) = authentication(bound.option(OptionCode::AUTH).unwrap());
    assert_eq!((kind, Duration::from_nanos(replay)), (1, desk.now));
    assert!(bound.option(OptionCode::RECONF_ACCEPT).is_some());
    // Kept before the Reply, and that it was agreed once.
    let kept = desk.log.iter().position(|action| *action == Action::Agreed(client_duid(1), None)).unwrap();
    let committed = desk.log.iter().position(|action| matches!(action, Action::Commit { .. })).unwrap();
    assert!(kept < committed);
    let other = desk.bind(&solicit(2));
    assert_ne!(authentication(other.option(OptionCode::AUTH).unwrap()).2, key, "each has its own");
    // Who does not agree hears nothing of it; nor does who is given nothing.
    let plain = desk.bind(&Ask::new(MessageType::SOLICIT, 3).na(1, &[]));
    assert!(plain.option(OptionCode::AUTH).is_none() && plain.option(OptionCode::RECONF_ACCEPT).is_none());
    let off_link =
        Ask::new(MessageType::REQUEST, 4).na(1, &["2001:db8:77::1"]).raw(OptionCode::RECONF_ACCEPT, &[]);
    assert!(desk.ask(&off_link).unwrap().option(OptionCode::AUTH).is_none());
    // A renewal of one who has its key brings no other; one that was bound before this was switched on gets it then.
    let renew =
        |client: u8, ia| Ask::new(MessageType::RENEW, client).ia(ia).raw(OptionCode::RECONF_ACCEPT, &[]);
    desk.pass(secs(10));
    assert!(desk.ask(&renew(1, &bound.ias[0])).unwrap().option(OptionCode::AUTH).is_none());
    assert!(desk.ask(&renew(3, &plain.ias[0])).unwrap().option(OptionCode::AUTH).is_some());
    assert_eq!(desk.server.reconfigure_counters().unwrap().agreed, 3);
    // Off is off.
    let mut off = Desk::lan();
    assert!(off.bind(&solicit(1)).option(OptionCode::RECONF_ACCEPT).is_none());
    assert_eq!(off.server.reconfigure(START, &Whom::All, MessageType::RENEW), Called::default());
}

#[test]
fn a_client_is_asked_until_it_comes_and_eight_times_at_most() {
    let mut desk = desk();
    let bound = desk.bind(&solicit(1));
    let (first, _, key) = authentication(bound.option(OptionCode::AUTH).unwrap());
    desk.bind(&Ask::new(MessageType::SOLICIT, 2).na(1, &[]));
    let now = START + secs(100);
    let called = desk.server.reconfigure(now, &Whom::All, MessageType::RENEW);
    assert_eq!(called, Called { clients: 1, never_agreed: 1 });
    let sent = run(&mut desk.server, now, now + secs(900));
    let times: Vec<u64> = sent.iter().map(|(at, _)| at.saturating_sub(now).as_secs()).collect();
    assert_eq!(times, [0, 2, 6, 14, 30, 62, 126, 254], "REC_TIMEOUT, doubled each time");
    let mut last = first;
    for (_, reply) in &sent {
        assert_eq!((&*reply.link, reply.destination, reply.port), ("lan", client_address(1), 546));
        let (asked, replay) = check(&reply.bytes, 1, &key);
        assert!(asked == MessageType::RENEW && replay > last);
        last = replay;
    }
    let counters = desk.server.reconfigure_counters().unwrap();
    assert_eq!((counters.sent, counters.given_up, counters.answered), (8, 1, 0));
    // It comes: no more.
    desk.server.reconfigure(now, &Whom::Client(client_duid(1)), MessageType::REBIND);
    assert_eq!(run(&mut desk.server, now, now + secs(1)).len(), 1);
    desk.now = now + secs(1);
    desk.ask(&Ask { server: None, ..Ask::new(MessageType::REBIND, 1).ia(&bound.ias[0]) }).unwrap();
    assert!(run(&mut desk.server, now + secs(1), now + secs(500)).is_empty());
    assert_eq!(desk.server.reconfigure_counters().unwrap().answered, 1);
}

#[test]
fn many_are_asked_one_after_the_other() {
    let mut desk = desk();
    for client in 1..=250 {
        desk.bind(&solicit(client));
    }
    let called = desk.server.reconfigure(START, &Whom::Link("lan".into()), MessageType::RENEW);
    assert_eq!(called.clients, 250);
    assert_eq!(desk.server.reconfigure(START, &Whom::Link("other".into()), MessageType::RENEW).clients, 0);
    let sent = run(&mut desk.server, START, START + secs(1));
    assert_eq!(sent.len(), 101);
    // Asked again before they came, each is asked once and not twice.
    desk.server.reconfigure(START + secs(1), &Whom::All, MessageType::RENEW);
    assert_eq!(run(&mut desk.server, START + secs(1), START + Duration::from_millis(2_900)).len(), 191);
}

#[test]
fn who_agreed_is_known_after_a_restart_and_found_behind_its_relay_agent() {
    let lease = Lease {
        resource: "2001:db8:0:1::7".parse().unwrap(),
        key: Key::Duid,
        duid: client_duid(1),
        iaid: 1,
        link: "lan".into(),
        state: LeaseState::Bound,
        preferred_until: START + secs(1_000),
        valid_until: START + secs(2_000),
        granted_at: START,
        renewed_at: START,
        hostname: None,
        link_layer: None,
        peer: "fe80::9".parse().unwrap(),
        line: Line::new(Some(b"port7"), None, None),
        relay: Some(Arc::new(Relay {
            address: "2001:db8:0:5::1".parse().unwrap(),
            link: "2001:db8:0:7::1".parse().unwrap(),
            id: None,
        })),
    };
    let relays = Relays { on: vec!["wan".to_owned()], from: vec!["2001:db8:0:5::/64".parse().unwrap()] };
    let mut server = Server::new(ServerConfig { relays, ..config(vec![lan()]) }, vec![lease]);
    server.set_reconfigure(SECRET, [(client_duid(1), None)]);
    server.reconfigure(START, &Whom::All, MessageType::INFORMATION_REQUEST);
    let sent = run(&mut server, START, START);
    let [(_, reply)] = &sent[..] else { panic!("{sent:?}") };
    assert_eq!(
        (&*reply.link, reply.destination.to_string(), reply.port),
        ("wan", "2001:db8:0:5::1".to_owned(), 547)
    );
    let Ok(Packet::Relay(relay)) = Packet::parse(&reply.bytes) else { panic!() };
    assert_eq!((relay.kind(), relay.hop_count()), (MessageType::RELAY_REPLY, 0));
    assert_eq!(
        (relay.link_address().to_string(), relay.peer_address().to_string()),
        ("2001:db8:0:7::1".to_owned(), "fe80::9".to_owned())
    );
    assert_eq!(relay.options().get(OptionCode::INTERFACE_ID), Some(&b"port7"[..]));
    // By the key that it was given before: the secret and the DUID make it.
    let mut before = desk();
    let bound = before.bind(&solicit(1));
    let key = authentication(bound.option(OptionCode::AUTH).unwrap()).2;
    let message = relay.options().get(OptionCode::RELAY_MSG).unwrap();
    assert_eq!(check(message, 1, &key).0, MessageType::INFORMATION_REQUEST);
}

#[test]
fn who_agreed_is_bounded() {
    let limits = sixgate_dhcp::server::Limits { leases: 5, ..sixgate_dhcp::server::Limits::default() };
    let mut desk = Desk::new(ServerConfig { limits, ..config(vec![lan()]) });
    desk.server.set_reconfigure(SECRET, []);
    for client in 1..=50 {
        let bound = desk.bind(&solicit(client));
        assert!(bound.option(OptionCode::AUTH).is_some(), "{client}");
        desk.ask(&Ask::new(MessageType::RELEASE, client).ia(&bound.ias[0])).unwrap();
    }
    let kept = |wanted: fn(&Action) -> bool| desk.log.iter().filter(|action| wanted(action)).count();
    let (agreed, gone) = (
        kept(|action| matches!(action, Action::Agreed(..))),
        kept(|action| matches!(action, Action::Disagreed(_))),
    );
    assert!(agreed == 50 && agreed - gone <= 5, "{agreed} {gone}");
}

/// The ways that were to be kept of a client, in order.
fn ways(desk: &Desk) -> Vec<Option<Way>> {
    let kept = desk.log.iter().filter_map(|action| match action {
        Action::Agreed(client, way) if *client == client_duid(1) => Some(way.clone()),
        _ => None,
    });
    kept.collect()
}

/// Sections 18.3.11 and 19.3.
#[test]
fn a_client_behind_a_row_of_agents_is_reached_as_its_last_message_came() {
    let config = || ServerConfig { remote: remote(|_| {}), relays: relays(), ..config(vec![lan()]) };
    let mut desk = Desk::new(config());
    desk.server.set_reconfigure(SECRET, []);
    let first = Hop::first("2001:db8:1::1", 1).line(b"eth3");
    let row =
        [first.clone(), Hop::outer().line(b"port-7").with(OptionCode::RELAY_PORT, &[0, 0]), Hop::outer()];
    let solicit = solicit(1).raw(OptionCode::RAPID_COMMIT, &[]);
    let bound = crate::relaying::ask(&mut desk, &solicit, &row).unwrap();
    let key = authentication(bound.option(OptionCode::AUTH).unwrap()).2;
    let reached = |server: &mut Server, now: Duration, row: &[Hop], agent: &str| {
        server.reconfigure(now, &Whom::All, MessageType::RENEW);
        let sent = run(server, now, now);
        let [(_, reply)] = &sent[..] else { panic!("{sent:?}") };
        assert_eq!((&*reply.link, reply.destination, reply.port), ("core", agent.parse().unwrap(), 547));
        assert_eq!(check(&unwrapped(&reply.bytes, row), 1, &key).0, MessageType::RENEW);
    };
    reached(&mut desk.server, desk.now, &row, OUTER);
    // It is kept with the consent, and known after a restart.
    let kept = ways(&desk);
    let [Some(way)] = &kept[..] else { panic!("{kept:?}") };
    assert_eq!(Way::from_bytes(&way.to_bytes()).as_ref(), Some(way));
    let mut server = Server::new(config(), desk.disk.iter().collect());
    server.set_reconfigure(SECRET, [(client_duid(1), Way::from_bytes(&way.to_bytes()))]);
    reached(&mut server, desk.now + secs(1), &row, OUTER);
    // It was plugged in elsewhere: its last message says where. What it says of the same place is not kept twice.
    let moved = [Hop::first("2001:db8:1::1", 1).line(b"eth4")];
    for _ in 0..2 {
        desk.pass(secs(5));
        let renew = Ask::new(MessageType::RENEW, 1).ia(&bound.ias[0]);
        crate::relaying::ask(&mut desk, &renew, &moved).unwrap();
    }
    assert_eq!(ways(&desk).len(), 2);
    reached(&mut desk.server, desk.now + secs(1), &moved, AGENT);
}

#[test]
fn what_is_no_way_is_not_read_as_one() {
    let mut desk =
        Desk::new(ServerConfig { remote: remote(|_| {}), relays: relays(), ..config(vec![lan()]) });
    desk.server.set_reconfigure(SECRET, []);
    // Longer than what is kept: then the lease alone tells where the client is.
    let long = [Hop::first("2001:db8:1::1", 1).line(&[b'x'; 1_100])];
    let ask = solicit(1).raw(OptionCode::RAPID_COMMIT, &[]);
    crate::relaying::ask(&mut desk, &ask, &long).unwrap();
    assert_eq!(ways(&desk), [None]);
    desk.server.reconfigure(desk.now, &Whom::All, MessageType::RENEW);
    let now = desk.now;
    assert_eq!(run(&mut desk.server, now, now).len(), 2, "wherever agents are heard");
    let renew = Ask::new(MessageType::SOLICIT, 1).na(1, &[]).raw(OptionCode::RAPID_COMMIT, &[]);
    crate::relaying::ask(&mut desk, &renew, &[Hop::first("2001:db8:1::1", 1)]).unwrap();
    let way = ways(&desk).pop().flatten().unwrap().to_bytes();
    for length in 0..way.len() {
        assert_eq!(Way::from_bytes(&way[..length]), None, "{length}");
    }
}

/// Section 18.3.11.
#[test]
fn a_reconfigure_has_what_belongs_there_and_nothing_else() {
    let mut desk = desk();
    desk.bind(&solicit(1));
    for asked in [MessageType::RENEW, MessageType::REBIND, MessageType::INFORMATION_REQUEST] {
        desk.now += secs(600);
        desk.server.reconfigure(desk.now, &Whom::All, asked);
        let now = desk.now;
        let sent = run(&mut desk.server, now, now);
        let message = Message::parse(&sent[0].1.bytes).unwrap();
        let codes: Vec<OptionCode> = message.options().raw().map(|(code, _)| code).collect();
        let belong = [OptionCode::SERVER_ID, OptionCode::CLIENT_ID, OptionCode::RECONF_MSG, OptionCode::AUTH];
        assert_eq!(codes, belong);
        assert_eq!(message.options().get(OptionCode::RECONF_MSG), Some(&[asked.0][..]));
        assert_eq!(authentication(message.options().get(OptionCode::AUTH).unwrap()).1, 2, "an HMAC");
    }
}

/// Section 20.3: the counter is the time, and more than the last one where that stands still.
#[test]
fn the_counter_of_reconfigures_grows_over_restarts() {
    let mut desk = desk();
    let bound = desk.bind(&solicit(1));
    let (mut last, _, key) = authentication(bound.option(OptionCode::AUTH).unwrap());
    let leases: Vec<Lease> = desk.disk.iter().collect();
    let mut now = desk.now;
    for _ in 0..3 {
        now += Duration::from_millis(1);
        let mut server = Server::new(config(vec![lan()]), leases.clone());
        server.set_reconfigure(SECRET, [(client_duid(1), None)]);
        for _ in 0..3 {
            server.reconfigure(now, &Whom::All, MessageType::RENEW);
            let replay = check(&run(&mut server, now, now)[0].1.bytes, 1, &key).1;
            assert!(replay > last);
            last = replay;
        }
    }
}

/// Section 20.4.2: of the secret, which is 128 random bits of the system's, and of the client alone.
#[test]
fn a_key_is_128_bits_and_nobody_elses() {
    let keys = |secret: [u8; 16]| {
        let mut desk = Desk::lan();
        desk.server.set_reconfigure(secret, []);
        [1, 2].map(|client| {
            let bound = desk.bind(&solicit(client));
            let option = bound.option(OptionCode::AUTH).unwrap();
            // Protocol, algorithm, method, counter, type; and then the key.
            assert_eq!(option.len(), 3 + 8 + 1 + 16);
            authentication(option).2
        })
    };
    let mut other = SECRET;
    other[15] ^= 1;
    let all = [keys(SECRET), keys(other)].concat();
    let distinct: std::collections::BTreeSet<_> = all.iter().collect();
    assert_eq!(distinct.len(), 4);
    assert_eq!(keys(SECRET), all[..2], "the same for the same");
}
