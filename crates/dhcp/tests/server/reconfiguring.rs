//! Who is asked to come back, by which message, and how often (RFC 9915 sections 18.3.11 and 20.4).

use crate::asking::{Ask, Desk, START, client_address, client_duid, config, lan, secs, server_duid};
use hmac::{Hmac, KeyInit, Mac as _};
use md5::Md5;
use sixgate_dhcp::lease::Lease;
use sixgate_dhcp::server::reconfigure::{Called, Whom};
use sixgate_dhcp::server::{Action, Actions, Reply, Server, Way};
use sixgate_wire::dhcpv6::{DhcpOption, Duid, Message, MessageType, OptionCode};
use std::time::Duration;

pub(crate) const SECRET: [u8; 16] = *b"a secret of ours";

pub(crate) fn desk() -> Desk {
    let mut desk = Desk::lan();
    switch_on(&mut desk.server, SECRET, []);
    desk
}

/// What is to be forgotten at once.
pub(crate) fn switch_on(
    server: &mut Server,
    secret: [u8; 16],
    agreed: impl IntoIterator<Item = (Duid, Option<Way>)>,
) -> Actions {
    let mut actions = Actions::new();
    server.set_reconfigure(secret, agreed, &mut actions);
    actions
}

pub(crate) fn solicit(client: u8) -> Ask {
    Ask::new(MessageType::SOLICIT, client).na(1, &[]).raw(OptionCode::RECONF_ACCEPT, &[])
}

/// Replay detection value, type and content of an Authentication option.
pub(crate) fn authentication(octets: &[u8]) -> (u64, u8, [u8; 16]) {
    let DhcpOption::Authentication(auth) = DhcpOption::decode(OptionCode::AUTH, octets) else { panic!() };
    assert_eq!((auth.protocol(), auth.algorithm(), auth.replay_method()), (3, 1, 0));
    (auth.replay(), auth.information()[0], auth.information()[1..].try_into().unwrap())
}

/// Everything that is sent until a time, with when.
pub(crate) fn run(server: &mut Server, from: Duration, until: Duration) -> Vec<(Duration, Reply)> {
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
pub(crate) fn check(bytes: &[u8], client: u8, key: &[u8; 16]) -> (MessageType, u64) {
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
    assert_eq!(called, Called { clients: 1, never_agreed: 1, out_of_reach: 0 });
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
        switch_on(&mut server, SECRET, [(client_duid(1), None)]);
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
        switch_on(&mut desk.server, secret, []);
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
