//! Answers from the cache by the short way are those of the long way.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod world;

use core::time::Duration;

use hickory_proto::op::{Message, ResponseCode};
use hickory_proto::rr::RecordType;
use sixgate_dns::{Client, Config, Transport};
use world::{Sent, World, name, question, upstream};

/// The octets of the reply to a query that needs no upstream.
fn octets(world: &mut World, transport: Transport, query: &[u8]) -> Vec<u8> {
    let client = Client { peer: 1, transport, udp_limit: 1232, share: 0 };
    let mut actions = Vec::new();
    world.forwarder.handle_query(world.now, client, query, &world.names, &mut actions);
    match actions.as_slice() {
        [sixgate_dns::Action::Reply { bytes, .. }] => bytes.clone(),
        other => panic!("{other:?}"),
    }
}

fn spelled(text: &str, dnssec_ok: bool, checking_disabled: bool, edns: bool) -> Message {
    let mut message = question(text, RecordType::AAAA);
    message.metadata.checking_disabled = checking_disabled;
    message.metadata.authentic_data = dnssec_ok;
    if let Some(options) = &mut message.edns {
        options.set_dnssec_ok(dnssec_ok);
    }
    if !edns {
        message.edns = None;
    }
    message
}

#[test]
fn the_short_way_says_what_the_long_way_says() {
    let answers: [fn(&Sent) -> Message; 4] = [
        |sent| sent.positive(300),
        |sent| sent.negative(ResponseCode::NXDomain, 300, 200),
        |sent| sent.negative(ResponseCode::NoError, 300, 200),
        |sent| {
            let mut message = sent.positive(300);
            message.answers = vec![message.answers[0].clone(); 100];
            message
        },
    ];
    for (number, answer) in answers.into_iter().enumerate() {
        for (dnssec_ok, checking_disabled, edns) in
            [(false, false, true), (true, false, true), (true, true, true), (false, true, false)]
        {
            let mut world = World::new(Config::default(), &[upstream(1)]);
            let text = format!("host{number}.Example.com.");
            let first = spelled(&text, dnssec_ok, checking_disabled, edns);
            world.resolve(&first, answer);
            for transport in [Transport::Udp, Transport::Tcp] {
                for text in [text.to_uppercase(), text.to_lowercase()] {
                    world.now += Duration::from_secs(7);
                    let mut query = spelled(&text, dnssec_ok, checking_disabled, edns);
                    query.metadata.id = world.now.as_secs() as u16;
                    let query = query.to_vec().unwrap();
                    let before = world.counters();
                    // The long way is taken wherever there is more than a question.
                    let mut long = query.clone();
                    long[9] = 1;
                    let end = query.len() - if edns { 11 } else { 0 };
                    long.splice(end..end, *b"\0\0\x01\0\x01\0\0\0\0\0\x04\x7f\0\0\x01");
                    let replies = [&long, &query, &query].map(|query| octets(&mut world, transport, query));
                    assert_eq!(replies[0], replies[1], "{text} {transport:?} {number}");
                    assert_eq!(replies[1], replies[2], "{text} {transport:?} {number}");
                    let after = world.counters();
                    assert_eq!((after.hits, after.queries), (before.hits + 3, before.queries + 3));
                    let reply = Message::from_vec(&replies[2]).unwrap();
                    assert_eq!(reply.queries[0].name.to_ascii(), text, "spelled as it was asked");
                    assert_eq!(reply.metadata.truncation, number == 3 && transport == Transport::Udp);
                }
            }
        }
    }
}

#[test]
fn time_counts_down_and_ends_on_the_short_way() {
    let mut world = World::new(Config::default(), &[upstream(1)]);
    let query = question("example.com.", RecordType::AAAA);
    world.resolve(&query, |sent| sent.positive(10));
    for age in 0..10 {
        assert_eq!(world.reply(&query).answers[0].ttl, 10 - age);
        world.now += Duration::from_secs(1);
    }
    world.ask(1, &query);
    world.take_sent();
}

#[test]
fn a_name_that_becomes_local_is_taken_from_the_short_way() {
    let mut world = World::new(Config::default(), &[upstream(1)]);
    let query = question("nas.example.com.", RecordType::AAAA);
    let address = |reply: &Message| reply.answers[0].data.to_string();
    world.resolve(&query, |sent| sent.positive(300));
    for _ in 0..3 {
        assert_eq!(address(&world.reply(&query)), "2001:db8::80");
    }
    let here = ["2001:db8:5::80".parse().unwrap()];
    world.names.set_hosts([("nas.example.com", &here[..])]).unwrap();
    assert_eq!(address(&world.reply(&query)), "2001:db8:5::80");
    world.names.set_hosts([]).unwrap();
    for _ in 0..3 {
        assert_eq!(address(&world.reply(&query)), "2001:db8::80", "what was kept is still good");
    }
    // Reverse names follow the prefixes of the LANs.
    let reverse = question(
        "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.6.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa.",
        RecordType::PTR,
    );
    world.names.forward_zone("8.b.d.0.1.0.0.2.ip6.arpa").unwrap();
    world.resolve(&reverse, |sent| sent.negative(ResponseCode::NXDomain, 300, 300));
    for _ in 0..3 {
        assert_eq!(world.reply(&reverse).authorities[0].name, name("example."));
    }
    world.names.set_prefixes(&["2001:db8:6::/64".parse().unwrap()]);
    assert_eq!(world.reply(&reverse).authorities[0].name, name("0.0.0.0.6.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa."));
}
