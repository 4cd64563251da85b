//! DNS64 in simulated time, by the sections of RFC 6147.

mod world;

use core::time::Duration;

use hickory_proto::op::{Edns, ResponseCode};
use hickory_proto::rr::rdata::NULL;
use hickory_proto::rr::{RData, Record, RecordType};
use sixgate_dns::{Client, Config, Dns64, Transport};
use sixgate_endpoint::nat64::Prefix;
use world::dns64::{answers, behind, kind, ok, one, prefix, v4_only, with};
use world::{Sent, World, extended_errors, name, question, upstream};

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn addresses_are_made_of_a_records_with_the_lesser_ttl() {
    // Section 5.1.7: the lesser of the A record's TTL and that of the denial.
    for (ttl, soa, told) in
        [(300, (3_600, 60), 60), (300, (50, 3_600), 50), (20, (3_600, 60), 20), (0, (3_600, 60), 0)]
    {
        let mut world = one();
        let reply = world.look_up("v4.example.", |sent| v4_only(sent, ttl, soa, &["8.8.8.8", "9.9.9.9"]));
        let expected = ["64:ff9b::808:808", "64:ff9b::909:909"];
        assert_eq!(answers(&reply), expected.map(|address| format!("v4.example. {told} {address}")));
        assert_eq!(reply.metadata.response_code, ResponseCode::NoError);
        assert!(!reply.metadata.authoritative && reply.metadata.recursion_available);
        assert_eq!(world.counters().dns64_synthesised, 1);
    }
    // Without SOA: at most 600 seconds. Such a denial is not kept, so it is asked for again.
    for (ttl, told) in [(300, 300), (7_200, 600)] {
        let mut world = one();
        let reply = world.look_up("v4.example.", |sent| match kind(sent) {
            RecordType::A => with(ok(sent), "v4.example.", ttl, "8.8.8.8"),
            _ => ok(sent),
        });
        assert_eq!(reply.answers[0].ttl, told);
    }
}

#[test]
fn every_length_of_prefix() {
    for text in [
        "2001:db8::/32",
        "2001:db8:100::/40",
        "2001:db8:122::/48",
        "2001:db8:122:300::/56",
        "2001:db8:122:344::/64",
        "2001:db8:122:344::/96",
        "64:ff9b:1::/48",
    ] {
        let made = prefix(text).synthesise("192.0.2.33".parse().unwrap());
        let reply = behind(text).look_up("v4.example.", |sent| v4_only(sent, 60, (60, 60), &["192.0.2.33"]));
        assert_eq!(answers(&reply), [format!("v4.example. 60 {made}")], "{text}");
    }
}

#[test]
fn real_addresses_are_left_alone() {
    let mut world = one();
    let both = |sent: &Sent| match kind(sent) {
        RecordType::A => panic!("nothing calls for the A question"),
        _ => sent.positive(60),
    };
    let reply = world.look_up("both.example.", both);
    assert_eq!(answers(&reply), ["both.example. 60 2001:db8::80"]);
    // A and other types pass as ever, also where AAAA was synthesised.
    let v4 = |sent: &Sent| v4_only(sent, 60, (60, 60), &["8.8.8.8"]);
    world.look_up("v4.example.", v4);
    let a = world.reply(&question("v4.example.", RecordType::A));
    assert_eq!(answers(&a), ["v4.example. 60 8.8.8.8"]);
    assert_eq!(world.counters().dns64_synthesised, 1);
}

#[test]
fn what_was_kept_answers_again_and_counts_down() {
    let mut world = one();
    let query = question("v4.example.", RecordType::AAAA);
    let v4 = |sent: &Sent| v4_only(sent, 100, (80, 80), &["8.8.8.8"]);
    world.look_up("v4.example.", v4);
    assert_eq!(world.counters().cached, 2, "the denial and the A records, not what was made of them");
    world.wait(30 * SECOND);
    assert_eq!(world.reply(&query).answers[0].ttl, 50);
    assert_eq!((world.counters().hits, world.counters().misses), (1, 1));
    // The denial is over, the A record is not: the shorter of the fresh denial and what is left.
    world.wait(55 * SECOND);
    let reply = world.look_up("v4.example.", |sent| {
        assert_eq!(kind(sent), RecordType::AAAA);
        v4_only(sent, 100, (80, 80), &["8.8.8.8"])
    });
    assert_eq!(reply.answers[0].ttl, 15);
    // And the other way.
    world.wait(20 * SECOND);
    let reply = world.look_up("v4.example.", |sent| {
        assert_eq!(kind(sent), RecordType::A);
        v4_only(sent, 100, (80, 80), &["8.8.8.8"])
    });
    assert_eq!(reply.answers[0].ttl, 60);
    // An address of IPv6's own ends it.
    world.wait(70 * SECOND);
    assert_eq!(
        answers(&world.look_up("v4.example.", |sent| sent.positive(9))),
        ["v4.example. 9 2001:db8::80"]
    );
}

#[test]
fn errors_count_as_no_address_but_nxdomain_does_not() {
    // Section 5.1.2.
    for code in [ResponseCode::ServFail, ResponseCode::Refused, ResponseCode::NotImp, ResponseCode::FormErr] {
        let mut world = one();
        let broken = |sent: &Sent| match kind(sent) {
            RecordType::A => with(ok(sent), "broken.example.", 900, "8.8.8.8"),
            _ => sent.response(code),
        };
        let reply = world.look_up("broken.example.", broken);
        assert_eq!(answers(&reply), ["broken.example. 600 64:ff9b::808:808"], "{code}");
        assert_eq!(world.reply(&question("broken.example.", RecordType::AAAA)).answers.len(), 1);
        assert_eq!(world.counters().servfail, 0);
    }
    let mut world = one();
    let reply = world.look_up("none.example.", |sent| {
        assert_eq!(kind(sent), RecordType::AAAA, "no second question");
        sent.negative(ResponseCode::NXDomain, 60, 60)
    });
    assert_eq!((reply.metadata.response_code, reply.authorities.len()), (ResponseCode::NXDomain, 1));
}

#[test]
fn what_the_a_question_gets_is_the_answer() {
    // Section 5.1.6: its empty answer, or its error.
    let mut world = one();
    let neither = |sent: &Sent| sent.negative(ResponseCode::NoError, 60, 60);
    let reply = world.look_up("neither.example.", neither);
    assert_eq!((reply.metadata.response_code, reply.answers.len()), (ResponseCode::NoError, 0));
    assert_eq!(reply.authorities[0].ttl, 60);
    world.wait(10 * SECOND);
    assert_eq!(world.reply(&question("neither.example.", RecordType::AAAA)).authorities[0].ttl, 50);

    let fails = |sent: &Sent| match kind(sent) {
        RecordType::A => sent.response(ResponseCode::ServFail),
        _ => sent.negative(ResponseCode::NoError, 60, 60),
    };
    let reply = world.look_up("fails.example.", fails);
    assert_eq!((reply.metadata.response_code, extended_errors(&reply)), (ResponseCode::ServFail, vec![22]));
    let gone = |sent: &Sent| match kind(sent) {
        RecordType::A => sent.negative(ResponseCode::NXDomain, 60, 60),
        _ => sent.negative(ResponseCode::NoError, 60, 60),
    };
    assert_eq!(world.look_up("gone.example.", gone).metadata.response_code, ResponseCode::NXDomain);
    assert_eq!(world.counters().dns64_synthesised, 0);
}

#[test]
fn silence_about_ipv6_is_no_address_within_the_deadline() {
    // Section 5.1.3; the A question is asked beside the first (section 5.1.8).
    let mut world = one();
    let query = question("slow.example.", RecordType::AAAA);
    world.ask(1, &query);
    world.wait(2 * SECOND);
    let second = world.sent.iter().find(|sent| kind(sent) == RecordType::A).unwrap().clone();
    world.answer(&second, &with(ok(&second), "slow.example.", 900, "8.8.8.8"));
    assert!(world.replies.is_empty(), "an address of IPv6's own may still come");
    world.wait(Duration::from_millis(2_500));
    let reply = world.replies.remove(0).1;
    assert_eq!(answers(&reply), ["slow.example. 600 64:ff9b::808:808"]);
    assert_eq!((world.counters().lookups, world.counters().misses), (0, 1));

    // It comes after all.
    let mut world = one();
    world.ask(1, &query);
    world.wait(2 * SECOND);
    let first = world.sent[0].clone();
    world.answer(&first, &first.positive(60));
    assert_eq!(answers(&world.replies.remove(0).1), ["slow.example. 60 2001:db8::80"]);
    let second = world.sent.iter().find(|sent| kind(sent) == RecordType::A).unwrap().clone();
    world.answer(&second, &with(ok(&second), "slow.example.", 900, "8.8.8.8"));
    assert!(world.replies.is_empty());

    // Nobody says anything: still below the five seconds after which a stub asks again.
    let mut world = one();
    world.ask(1, &query);
    world.wait(Duration::from_millis(4_499));
    assert!(world.replies.is_empty());
    world.wait(Duration::from_millis(400));
    let reply = world.replies.remove(0).1;
    assert_eq!((reply.metadata.response_code, extended_errors(&reply)), (ResponseCode::ServFail, vec![22]));
    assert_eq!((world.counters().lookups, world.done.len()), (0, world.sent.len()));
}

#[test]
fn addresses_that_mean_ipv4_are_none() {
    // Section 5.1.4.
    let mapped = |sent: &Sent| match kind(sent) {
        RecordType::A => with(ok(sent), "mapped.example.", 7_200, "8.8.8.8"),
        _ => with(ok(sent), "mapped.example.", 7_200, "::ffff:8.8.8.8"),
    };
    let mut world = one();
    let reply = world.look_up("mapped.example.", mapped);
    assert_eq!(answers(&reply), ["mapped.example. 600 64:ff9b::808:808"]);
    // It is kept as any answer, and its age takes nothing from the 600 seconds.
    world.wait(1_000 * SECOND);
    let reply = world.reply(&question("mapped.example.", RecordType::AAAA));
    assert_eq!(answers(&reply), ["mapped.example. 600 64:ff9b::808:808"]);
    assert_eq!(world.counters().dns64_excluded, 1);

    let some = |sent: &Sent| with(mapped(sent), "mapped.example.", 60, "2001:db8::80");
    let reply = one().look_up("mapped.example.", some);
    assert_eq!(answers(&reply), ["mapped.example. 60 2001:db8::80"], "the others are left");

    // Others by choice; and none where there is no DNS64.
    let mut dns64 = Dns64::new(Prefix::WELL_KNOWN);
    dns64.excluded.push("2001:db8::/32".parse().unwrap());
    let mut world = World::new(Config { dns64: Some(dns64), ..Config::default() }, &[upstream(1)]);
    let reply = world.look_up("v.example.", |sent| match kind(sent) {
        RecordType::A => with(ok(sent), "v.example.", 60, "8.8.8.8"),
        _ => sent.positive(60),
    });
    assert_eq!(answers(&reply), ["v.example. 60 64:ff9b::808:808"]);
    let mut world = World::new(Config::default(), &[upstream(1)]);
    assert_eq!(answers(&world.look_up("mapped.example.", mapped)), ["mapped.example. 7200 ::ffff:8.8.8.8"]);
}

#[test]
fn chains_stay() {
    // Section 5.1.5.
    let mut world = one();
    let alias = |sent: &Sent| {
        let mut message = match kind(sent) {
            RecordType::A => ok(sent),
            _ => sent.negative(ResponseCode::NoError, 60, 60),
        };
        message = with(message, "www.example.", 20, "cdn.example.");
        message = with(message, "cdn.example.", 90, "host.example.");
        if kind(sent) == RecordType::A { with(message, "host.example.", 300, "8.8.8.8") } else { message }
    };
    let reply = world.look_up("www.example.", alias);
    assert_eq!(
        answers(&reply),
        [
            "www.example. 20 cdn.example.",
            "cdn.example. 90 host.example.",
            "host.example. 60 64:ff9b::808:808"
        ]
    );
    world.wait(10 * SECOND);
    assert_eq!(
        answers(&world.reply(&question("www.example.", RecordType::AAAA)))[0],
        "www.example. 10 cdn.example."
    );
}

#[test]
fn who_validates_is_let_alone_and_nothing_made_is_authentic() {
    // Section 5.5: (DO, CD, whether it is synthesised).
    for (dnssec_ok, unchecked, made) in
        [(false, false, true), (true, false, true), (false, true, true), (true, true, false)]
    {
        let dns64 = Some(Dns64::new(Prefix::WELL_KNOWN));
        let config = Config { dns64, trust_upstream_ad: true, ..Config::default() };
        let mut world = World::new(config, &[upstream(1)]);
        let mut query = question("signed.example.", RecordType::AAAA);
        query.edns.as_mut().unwrap().set_dnssec_ok(dnssec_ok);
        query.metadata.checking_disabled = unchecked;
        query.metadata.authentic_data = made;
        let reply = world.look_up_as(&query, |sent| {
            assert_eq!(sent.message.metadata.checking_disabled, unchecked);
            assert_eq!(sent.message.edns.as_ref().unwrap().flags().dnssec_ok, dnssec_ok);
            let mut message = v4_only(sent, 60, (60, 60), &["8.8.8.8"]);
            message.metadata.authentic_data = made;
            if dnssec_ok && kind(sent) == RecordType::A {
                message = with(message, "signed.example.", 60, "target.example.");
                for covered in [RecordType::A, RecordType::CNAME] {
                    let rdata = NULL::with([&u16::from(covered).to_be_bytes()[..], &[13; 40]].concat());
                    let data = RData::Unknown { code: RecordType::RRSIG, rdata };
                    message.answers.push(Record::from_rdata(name("signed.example."), 60, data));
                }
            }
            message
        });
        assert_eq!(reply.metadata.checking_disabled, unchecked);
        let kinds: Vec<RecordType> = reply.answers.iter().map(Record::record_type).collect();
        match (made, dnssec_ok) {
            (false, _) => assert!(kinds.is_empty()),
            (true, false) => assert_eq!(kinds, [RecordType::AAAA]),
            (true, true) => assert_eq!(
                kinds,
                [RecordType::AAAA, RecordType::CNAME, RecordType::RRSIG],
                "the alias keeps its signature, the A record's would sign nothing"
            ),
        }
    }
}

#[test]
fn the_other_sections_are_left_alone() {
    // Sections 5.3.2 and 5.4.
    let mut world = one();
    let reply = world.look_up("v4.example.", |sent| {
        let mut message = v4_only(sent, 60, (60, 60), &["8.8.8.8"]);
        if kind(sent) == RecordType::A {
            let glue =
                with(with(ok(sent), "ns.example.", 60, "192.0.2.53"), "ns.example.", 60, "::ffff:9.9.9.9");
            message.additionals = glue.answers;
            message.authorities = sent.negative(ResponseCode::NoError, 77, 77).authorities;
        }
        message
    });
    assert_eq!(reply.additionals.len(), 2);
    assert_eq!(reply.additionals[0].record_type(), RecordType::A);
    assert_eq!(reply.authorities[0].ttl, 77, "those of the A answer");
}

#[test]
fn the_well_known_prefix_stands_for_global_addresses_only() {
    // RFC 6052 section 3.1.
    for node in [
        "0.0.0.1",
        "10.1.2.3",
        "100.64.0.1",
        "127.0.0.1",
        "169.254.1.1",
        "172.31.255.255",
        "192.0.0.170",
        "192.0.2.1",
        "192.88.99.1",
        "192.168.1.1",
        "198.19.0.1",
        "198.51.100.1",
        "203.0.113.9",
        "224.0.0.1",
        "255.255.255.255",
    ] {
        let private = |sent: &Sent| v4_only(sent, 60, (60, 60), &[node]);
        let mut world = one();
        let reply = world.look_up("private.example.", private);
        assert_eq!(
            (reply.answers.len(), reply.authorities.len()),
            (0, 1),
            "{node}: a denial that can be kept"
        );
        assert_eq!((world.counters().dns64_withheld, world.counters().dns64_synthesised), (1, 0));
        let mut world = behind("64:ff9b:1::/96");
        assert_eq!(
            world.look_up("private.example.", private).answers.len(),
            1,
            "{node} by a prefix of one's own"
        );
    }
    for node in
        ["1.1.1.1", "100.63.255.255", "100.128.0.0", "172.32.0.1", "192.0.0.9", "192.0.1.1", "223.255.255.1"]
    {
        let reply = one().look_up("v4.example.", |sent| v4_only(sent, 60, (60, 60), &["10.0.0.1", node]));
        let made = Prefix::WELL_KNOWN.synthesise(node.parse().unwrap());
        assert_eq!(answers(&reply), [format!("v4.example. 60 {made}")]);
    }
}

#[test]
fn what_does_not_fit_is_cut_and_told_over_tcp() {
    let nodes: Vec<String> = (1..=60).map(|n| format!("8.8.8.{n}")).collect();
    let nodes: Vec<&str> = nodes.iter().map(String::as_str).collect();
    let many = |sent: &Sent| v4_only(sent, 60, (60, 60), &nodes);
    let mut world = one();
    let reply = world.look_up("many.example.", many);
    assert!(reply.metadata.truncation && reply.answers.is_empty(), "60 times 28 octets");
    let query = question("many.example.", RecordType::AAAA);
    let tcp = Client { peer: 2, transport: Transport::Tcp, udp_limit: 0, share: 0 };
    world.raw(tcp, &query.to_vec().unwrap());
    assert_eq!(world.replies.remove(0).1.answers.len(), 60);
    // 60 times 16 octets fit: the A question is not cut.
    assert_eq!(world.reply(&question("many.example.", RecordType::A)).answers.len(), 60);
    // 3,000 A records fit a message, as many AAAA records do not.
    let nodes: Vec<String> = (0..3_000).map(|n| format!("8.8.{}.{}", n / 250, n % 250)).collect();
    let nodes: Vec<&str> = nodes.iter().map(String::as_str).collect();
    let reply = world.look_up("most.example.", |sent| v4_only(sent, 60, (60, 60), &nodes));
    assert_eq!((reply.metadata.response_code, reply.answers.len()), (ResponseCode::ServFail, 0));
    // A client without EDNS gets none, and 512 octets.
    let mut plain = query.clone();
    plain.edns = None;
    let reply = world.reply(&plain);
    assert!(reply.edns.is_none() && reply.metadata.truncation);
    plain.edns = Some(Edns::new());
    assert!(world.reply(&plain).edns.is_some());
}

#[test]
fn equal_questions_are_asked_once_and_each_gets_its_own_answer() {
    let mut world = one();
    let (aaaa, a) = (question("v4.example.", RecordType::AAAA), question("v4.example.", RecordType::A));
    // The same client with the same ID: two questions all the same.
    world.ask(1, &a);
    let second = world.take_sent();
    for peer in [1, 2, 2, 3] {
        world.ask(peer, &aaaa);
    }
    let first = world.take_sent();
    world.answer(&first, &v4_only(&first, 60, (60, 60), &[]));
    assert!(world.sent.is_empty() && world.replies.is_empty(), "the A question is under way already");
    world.ask(2, &aaaa);
    world.answer(&second, &v4_only(&second, 60, (60, 60), &["8.8.8.8"]));
    let mut told: Vec<(u32, RecordType)> =
        world.replies.iter().map(|(peer, reply)| (*peer, reply.answers[0].record_type())).collect();
    told.sort_unstable();
    let expected = [(1, RecordType::A), (1, RecordType::AAAA), (2, RecordType::AAAA), (3, RecordType::AAAA)];
    assert_eq!(told, expected);
    assert_eq!((world.counters().upstream_queries, world.counters().lookups), (2, 0));
}

#[test]
fn answers_past_their_time_make_addresses_too() {
    let mut world = one();
    let query = question("v4.example.", RecordType::AAAA);
    world.look_up("v4.example.", |sent| v4_only(sent, 10, (10, 10), &["8.8.8.8"]));
    world.wait(60 * SECOND);
    world.ask(1, &query);
    world.replies.clear();
    world.wait(Duration::from_millis(1_800));
    let reply = world.replies.remove(0).1;
    assert_eq!(answers(&reply), ["v4.example. 30 64:ff9b::808:808"]);
    assert_eq!(extended_errors(&reply), [3]);
    world.wait(8 * SECOND);
    assert!(world.replies.is_empty(), "one reply is enough");
    world.sent.clear();
    assert_eq!(extended_errors(&world.reply(&query)), [3], "and none is asked for half a minute");
    // With no upstream known, what is known still serves.
    world.forwarder.set_upstreams(&[]);
    world.wait(60 * SECOND);
    assert_eq!(answers(&world.reply(&query)), ["v4.example. 30 64:ff9b::808:808"]);
}

#[test]
fn another_prefix_holds_at_once() {
    let mut world = one();
    let v4 = |sent: &Sent| v4_only(sent, 60, (60, 60), &["8.8.8.8"]);
    world.look_up("v4.example.", v4);
    world.forwarder.set_dns64(Some(Dns64::new(prefix("2001:db8:64::/96"))));
    assert_eq!(answers(&world.look_up("v4.example.", v4)), ["v4.example. 60 2001:db8:64::808:808"]);
    // The same again changes nothing, and forgets nothing.
    world.forwarder.set_dns64(Some(Dns64::new(prefix("2001:db8:64::/96"))));
    assert_eq!(world.reply(&question("v4.example.", RecordType::AAAA)).answers.len(), 1);
    world.forwarder.set_dns64(None);
    assert!(answers(&world.look_up("v4.example.", v4)).is_empty());
    // While a question is under way.
    let mut world = one();
    world.ask(1, &question("v4.example.", RecordType::AAAA));
    let first = world.take_sent();
    world.answer(&first, &v4(&first));
    world.forwarder.set_dns64(None);
    let second = world.take_sent();
    world.answer(&second, &v4(&second));
    assert_eq!(world.replies.remove(0).1.metadata.response_code, ResponseCode::ServFail);
}

#[test]
fn tables_stay_bounded() {
    let config = Config {
        dns64: Some(Dns64::new(Prefix::WELL_KNOWN)),
        max_lookups: 10,
        max_waiters: 3,
        cache_entries: 20,
        ..Config::default()
    };
    let mut world = World::new(config, &[upstream(1)]);
    for n in 0..30 {
        world.ask(n, &question(&format!("n{n}.example."), RecordType::AAAA));
        assert!(world.counters().lookups <= 10);
    }
    world.wait(3 * SECOND);
    assert_eq!(
        (world.counters().lookups, world.counters().overload),
        (10, 20),
        "asking ahead takes no room of others"
    );
    world.wait(4 * SECOND);
    assert_eq!((world.counters().lookups, world.replies.len()), (0, 10));
    assert_eq!(world.done.len(), world.sent.len(), "every socket is closed again");
    world.sent.clear();
    for n in 0..100 {
        world.wait(SECOND);
        world.look_up(&format!("n{n}.example."), |sent| v4_only(sent, 600, (600, 600), &["8.8.8.8"]));
        assert!(world.counters().cached <= 20);
    }
}
