//! Reconfigure and its authentication (RFC 9915 section 20.4).

use super::bench::{
    Bench, Offer, SERVER_ADDRESS, Sent, advertise, answer, client_duid, gateway, reply, seconds, server_duid,
};
use hmac::{Hmac, KeyInit, Mac};
use md5::Md5;
use sixgate_dhcp::client::{Client, Config, State};
use sixgate_wire::dhcpv6::{Builder, MessageType, OptionCode, TransactionId};

const KEY: [u8; 16] = *b"sixteen octets!!";

fn auth(kind: u8, replay: u64, content: &[u8; 16]) -> Vec<u8> {
    [&[3, 1, 0][..], &replay.to_be_bytes(), &[kind], content].concat()
}

fn bound(accept: bool) -> Bench {
    let mut bench = Bench::new(Config { reconfigure_accept: accept, ..gateway() });
    bench.start();
    let solicit = bench.sent();
    bench.receive(&advertise(&solicit, 1, 255, &Offer::both(1)));
    let request = bench.sent();
    bench.receive(&answer(&request, MessageType::REPLY, 1, |out| {
        Offer::both(1).write(out);
        out.reconfigure_accept().option(OptionCode::AUTH, &auth(1, 10, &KEY));
    }));
    assert_eq!(bench.client.state(), State::Bound);
    bench.news();
    bench
}

/// A Reconfigure; the Authentication option stands before others, so that the HMAC lies inside the message.
fn reconfigure(asked: MessageType, replay: u64, key: &[u8; 16]) -> Vec<u8> {
    let write = |hmac: &[u8; 16]| {
        let mut room = [0; 512];
        let mut out = Builder::message(&mut room, MessageType::RECONFIGURE, TransactionId([0; 3]));
        out.client_id(&client_duid())
            .server_id(&server_duid(1))
            .option(OptionCode::AUTH, &auth(2, replay, hmac))
            .option(OptionCode::RECONF_MSG, &[asked.0]);
        out.finish().unwrap().to_vec()
    };
    let mut mac = <Hmac<Md5> as KeyInit>::new_from_slice(key).unwrap();
    mac.update(&write(&[0; 16]));
    write(&mac.finalize().into_bytes().into())
}

fn asked(bench: &mut Bench, asked: MessageType, replay: u64) -> Sent {
    bench.receive(&reconfigure(asked, replay, &KEY));
    assert_eq!(bench.saved.as_ref().unwrap().reconfigure.unwrap().replay, replay, "kept before it is obeyed");
    let sent = bench.sent();
    assert_eq!((sent.kind(), sent.at), (asked, bench.now));
    sent
}

#[test]
fn what_the_server_asks_for_is_sent() {
    let mut bench = bound(true);
    let renew = asked(&mut bench, MessageType::RENEW, 11);
    bench.receive(&reconfigure(MessageType::REBIND, 12, &KEY));
    assert!(bench.nothing_sent(), "one at a time");
    bench.receive(&reply(&renew, 1, &Offer::both(1)));
    let rebind = asked(&mut bench, MessageType::REBIND, 12);
    bench.receive(&reply(&rebind, 1, &Offer::both(1)));
    let inform = asked(&mut bench, MessageType::INFORMATION_REQUEST, 99);
    assert_eq!(inform.server(), Some(server_duid(1)));
    bench.receive(&answer(&inform, MessageType::REPLY, 1, |_| {}));
    assert_eq!(bench.client.state(), State::Bound);
    let bound = bench.client.binding().unwrap();
    assert!(bound.has_leases() && bound.dns_servers.is_empty());
    bench.done.clear();
    assert_eq!(bench.sent().kind(), MessageType::RENEW, "T1 stands");
}

#[test]
fn forged_and_replayed_ones_are_dropped() {
    let mut bench = bound(true);
    let good = reconfigure(MessageType::RENEW, 11, &KEY);
    let mut forged = 0;
    for bit in 0..good.len() * 8 {
        let mut bad = good.clone();
        bad[bit / 8] ^= 1 << (bit % 8);
        bench.receive(&bad);
        forged += 1;
        assert_eq!(bench.client.state(), State::Bound, "bit {bit}");
    }
    for bad in [
        reconfigure(MessageType::RENEW, 10, &KEY),
        reconfigure(MessageType::RENEW, 0, &KEY),
        reconfigure(MessageType::RENEW, 11, &[0; 16]),
        reconfigure(MessageType::SOLICIT, 11, &KEY),
    ] {
        bench.receive(&bad);
        forged += 1;
    }
    let counters = bench.client.counters();
    assert!(bench.nothing_sent());
    assert_eq!(counters.forged + counters.unsolicited + counters.malformed, forged);
    assert!(counters.forged > 100, "{counters:?}");
    bench.receive(&good);
    assert_eq!(bench.sent().kind(), MessageType::RENEW);
    bench.run_for(seconds(1));
}

#[test]
fn without_consent_or_key_nothing_is_obeyed() {
    let mut bench = bound(false);
    bench.receive(&reconfigure(MessageType::RENEW, 11, &KEY));
    assert_eq!((bench.client.state(), bench.client.counters().unsolicited), (State::Bound, 1));
    assert_eq!(bench.client.binding().unwrap().reconfigure, None);

    let mut bench = Bench::new(Config { reconfigure_accept: true, ..gateway() });
    bench.bind();
    bench.receive(&reconfigure(MessageType::RENEW, 11, &KEY));
    assert_eq!((bench.client.state(), bench.client.counters().forged), (State::Bound, 1));
}

/// A Reconfigure with the right HMAC and these options behind the identifiers; the first Authentication is the true one.
fn authentic(replay: u64, options: &[(OptionCode, Vec<u8>)]) -> Vec<u8> {
    let write = |hmac: &[u8; 16]| {
        let mut room = [0; 512];
        let mut out = Builder::message(&mut room, MessageType::RECONFIGURE, TransactionId([0; 3]));
        out.client_id(&client_duid()).server_id(&server_duid(1));
        out.option(OptionCode::AUTH, &auth(2, replay, hmac));
        for (code, data) in options {
            out.option(*code, data);
        }
        out.finish().unwrap().to_vec()
    };
    let mut mac = <Hmac<Md5> as KeyInit>::new_from_slice(&KEY).unwrap();
    mac.update(&write(&[0; 16]));
    write(&mac.finalize().into_bytes().into())
}

/// RFC 9915 sections 16.11 and 20.2.
#[test]
fn a_reconfigure_that_asks_for_nothing_is_discarded() {
    let asks = |kind: MessageType| (OptionCode::RECONF_MSG, vec![kind.0]);
    for options in [
        vec![],
        vec![asks(MessageType::SOLICIT)],
        vec![asks(MessageType(0))],
        vec![(OptionCode::RECONF_MSG, vec![])],
        vec![asks(MessageType::RENEW), (OptionCode::AUTH, auth(2, 12, &[0; 16]))],
    ] {
        let mut bench = bound(true);
        bench.receive(&authentic(11, &options));
        assert_eq!(bench.client.state(), State::Bound, "{options:?}");
        assert!(bench.nothing_sent(), "{options:?}");
    }
    let mut bench = bound(true);
    bench.receive(&authentic(11, &[asks(MessageType::RENEW)]));
    assert_eq!(bench.sent().kind(), MessageType::RENEW);
}

/// RFC 9915 section 16.11.
#[test]
fn a_reconfigure_to_a_group_is_discarded() {
    let mut bench = bound(true);
    let good = reconfigure(MessageType::RENEW, 11, &KEY);
    for group in ["ff02::1", "ff02::1:2", "ff05::1:3"] {
        let way = (SERVER_ADDRESS, group.parse().unwrap());
        bench.act(|client, now, actions| client.handle(now, way, &good, actions));
        assert_eq!(bench.client.state(), State::Bound, "{group}");
        assert!(bench.nothing_sent(), "{group}");
    }
    assert_eq!(bench.client.counters().unsolicited, 3);
    bench.receive(&good);
    assert_eq!(bench.sent().kind(), MessageType::RENEW, "it was good otherwise");
}

/// RFC 9915 section 18.2.4.
#[test]
fn who_may_be_asked_to_come_back_tells_of_another_link_local_address_at_once() {
    let mut bench = bound(true);
    bench.run_for(seconds(10));
    bench.act(Client::readdressed);
    let renew = bench.sent();
    assert_eq!((renew.kind(), renew.at), (MessageType::RENEW, bench.now));
    bench.receive(&reply(&renew, 1, &Offer::both(1)));
    assert_eq!(bench.client.state(), State::Bound);
    // Nobody asks a client without a key to come back: it waits for T1.
    let mut bench = bound(false);
    bench.run_for(seconds(10));
    bench.act(Client::readdressed);
    assert!(bench.nothing_sent());
    assert_eq!(bench.client.state(), State::Bound);
}
