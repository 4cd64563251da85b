//! The forwarder in simulated time.

mod world;

use core::time::Duration;

use hickory_proto::op::{Edns, OpCode, ResponseCode};
use hickory_proto::rr::rdata::CNAME;
use hickory_proto::rr::rdata::opt::EdnsOption;
use hickory_proto::rr::{DNSClass, RData, Record, RecordType};
use sixgate_dns::{Client, Config, Transport};
use world::{World, extended_errors, name, question, upstream};

const SECOND: Duration = Duration::from_secs(1);

fn one() -> World {
    World::new(Config::default(), &[upstream(1)])
}

#[test]
fn an_answer_is_kept_and_its_ttl_counts_down() {
    let mut world = one();
    let query = question("www.example.", RecordType::AAAA);
    let first = world.resolve(&query, |sent| sent.positive(100));
    assert_eq!(first.answers[0].ttl, 100);
    assert!(first.metadata.recursion_available && !first.metadata.authoritative);
    world.wait(30 * SECOND);
    let mut again = question("WWW.Example.", RecordType::AAAA);
    again.metadata.id = 0x4321;
    let second = world.reply(&again);
    assert_eq!(second.metadata.id, 0x4321);
    assert_eq!(
        second.queries[0].name.to_ascii(),
        "WWW.Example.",
        "the question comes back as it was spelled"
    );
    assert_eq!(second.answers[0].ttl, 70);
    assert_eq!(second.answers[0].data, first.answers[0].data);
    world.wait(70 * SECOND);
    world.ask(1, &query);
    assert_eq!(world.sent.len(), 1, "over to the second");
    let counters = world.counters();
    assert_eq!((counters.queries, counters.hits, counters.misses), (3, 1, 2));
}

#[test]
fn ttls_are_capped_and_zero_is_not_kept() {
    let mut world = one();
    let query = question("a.example.", RecordType::AAAA);
    assert_eq!(world.resolve(&query, |sent| sent.positive(u32::MAX)).answers[0].ttl, 86_400);
    let query = question("b.example.", RecordType::AAAA);
    world.resolve(&query, |sent| sent.positive(0));
    world.resolve(&query, |sent| sent.positive(0));
}

#[test]
fn denials_are_kept_as_their_soa_says() {
    for code in [ResponseCode::NXDomain, ResponseCode::NoError] {
        let mut world = one();
        let query = question("none.example.", RecordType::AAAA);
        let first = world.resolve(&query, |sent| sent.negative(code, 3_600, 60));
        assert_eq!(first.metadata.response_code, code);
        assert_eq!(first.authorities[0].ttl, 60, "the lesser of TTL and MINIMUM (RFC 2308 section 5)");
        world.wait(59 * SECOND);
        let second = world.reply(&query);
        assert_eq!((second.metadata.response_code, second.authorities[0].ttl), (code, 1));
        world.wait(SECOND);
        world.ask(1, &query);
        assert_eq!(world.sent.len(), 1);

        // Without SOA it is not kept; nor longer than three hours.
        let query = question("bare.example.", RecordType::AAAA);
        world.sent.clear();
        world.resolve(&query, |sent| sent.response(code));
        let reply = world.resolve(&query, |sent| sent.negative(code, 900_000, 900_000));
        assert_eq!(reply.authorities[0].ttl, 10_800);
    }
}

#[test]
fn an_alias_without_its_target_is_a_denial() {
    let mut world = one();
    let query = question("alias.example.", RecordType::AAAA);
    let reply = world.resolve(&query, |sent| {
        let mut message = sent.negative(ResponseCode::NoError, 3_600, 60);
        let data = RData::CNAME(CNAME(name("target.example.")));
        message.answers.push(Record::from_rdata(name("alias.example."), 20, data));
        message
    });
    assert_eq!(reply.answers.len(), 1);
    world.wait(19 * SECOND);
    assert_eq!(world.reply(&query).answers[0].ttl, 1);
    world.wait(SECOND);
    world.ask(1, &query);
    assert_eq!(world.sent.len(), 1);
}

#[test]
fn equal_questions_are_asked_once() {
    let mut world = one();
    let query = question("www.example.", RecordType::AAAA);
    for peer in 0..3 {
        world.ask(peer, &query);
        world.ask(peer, &query);
    }
    let sent = world.take_sent();
    world.answer(&sent, &sent.positive(9));
    let mut peers: Vec<u32> = world.replies.iter().map(|(peer, _)| *peer).collect();
    peers.sort_unstable();
    assert_eq!(peers, [0, 1, 2], "each once, though each sent twice");
    assert_eq!(world.done, [sent.token]);
    assert_eq!(world.counters().coalesced, 5);
    assert_eq!((world.counters().lookups, world.forwarder.poll_timeout()), (0, None));
}

#[test]
fn do_and_cd_ask_for_other_answers() {
    let mut world = one();
    let plain = question("www.example.", RecordType::AAAA);
    let mut secure = plain.clone();
    secure.edns.as_mut().unwrap().set_dnssec_ok(true);
    let mut unchecked = plain.clone();
    unchecked.metadata.checking_disabled = true;
    for (query, dnssec_ok, checking_disabled) in
        [(&plain, false, false), (&secure, true, false), (&unchecked, false, true)]
    {
        let reply = world.resolve(query, |sent| {
            let edns = sent.message.edns.as_ref().unwrap();
            assert_eq!(edns.flags().dnssec_ok, dnssec_ok);
            assert_eq!(edns.max_payload(), 1232);
            assert_eq!(sent.message.metadata.checking_disabled, checking_disabled);
            sent.positive(100)
        });
        assert_eq!(reply.edns.unwrap().flags().dnssec_ok, dnssec_ok);
        assert_eq!(reply.metadata.checking_disabled, checking_disabled);
    }
    world.reply(&secure);
}

#[test]
fn authentic_data_is_passed_on_only_when_it_is_believed_and_asked_for() {
    for (trust, asks, told) in [(false, true, false), (true, true, true), (true, false, false)] {
        let config = Config { trust_upstream_ad: trust, ..Config::default() };
        let mut world = World::new(config, &[upstream(1)]);
        let mut query = question("www.example.", RecordType::AAAA);
        query.metadata.authentic_data = asks;
        let reply = world.resolve(&query, |sent| {
            let mut message = sent.positive(9);
            message.metadata.authentic_data = true;
            message
        });
        assert_eq!(reply.metadata.authentic_data, told);
    }
}

#[test]
fn a_truncated_answer_is_asked_for_again_over_tcp() {
    let mut world = one();
    let query = question("big.example.", RecordType::TXT);
    world.ask(1, &query);
    let udp = world.take_sent();
    let mut cut = udp.response(ResponseCode::NoError);
    cut.metadata.truncation = true;
    world.answer(&udp, &cut);
    assert_eq!(world.done, [udp.token]);
    let tcp = world.take_sent();
    assert_eq!((tcp.transport, tcp.upstream), (Transport::Tcp, udp.upstream));
    world.answer(&tcp, &tcp.large(4_000));
    let reply = world.replies.remove(0).1;
    assert!(reply.metadata.truncation && reply.answers.is_empty(), "too large for a client on UDP");

    let bytes = query.to_vec().unwrap();
    world.raw(Client { peer: 2, transport: Transport::Tcp, udp_limit: 0, share: 0 }, &bytes);
    let reply = world.replies.remove(0).1;
    assert!(!reply.metadata.truncation);
    assert_eq!(reply.answers.len(), 20);
    assert_eq!((world.counters().truncated, world.counters().upstream_tcp), (1, 1));
}

#[test]
fn no_reply_is_larger_than_its_client_can_take() {
    for (octets, payload, limit, config, allowed) in [
        (900, None, 9_000, 1_232, 512),
        (900, Some(100), 9_000, 1_232, 512),
        (900, Some(1_000), 9_000, 1_232, 1_000),
        (2_000, Some(4_096), 9_000, 1_232, 1_232),
        (2_000, Some(4_096), 700, 1_232, 700),
        (2_000, Some(4_096), 0, 0, 512),
    ] {
        let config = Config { udp_payload: config, ..Config::default() };
        let mut world = World::new(config, &[upstream(1)]);
        let mut query = question("big.example.", RecordType::TXT);
        query.edns = payload.map(|payload| {
            let mut edns = Edns::new();
            edns.set_max_payload(payload);
            edns
        });
        let client = Client { peer: 1, transport: Transport::Udp, udp_limit: limit, share: 0 };
        world.raw(client, &query.to_vec().unwrap());
        let sent = world.take_sent();
        world.answer(&sent, &sent.large(octets));
        assert!(world.sizes[0] <= allowed, "{} > {allowed}", world.sizes[0]);
        let reply = &world.replies[0].1;
        assert_eq!(reply.metadata.truncation, reply.answers.is_empty());
        assert_eq!(reply.edns.is_some(), payload.is_some(), "OPT for those who sent one (RFC 6891)");
    }
}

#[test]
fn what_is_additional_goes_without_truncation() {
    let mut world = one();
    let mut query = question("mx.example.", RecordType::AAAA);
    query.edns = None;
    let reply = world.resolve(&query, |sent| {
        let mut message = sent.positive(60);
        message.additionals = sent.large(800).answers;
        message
    });
    assert!(!reply.metadata.truncation);
    assert_eq!((reply.answers.len(), reply.additionals.len()), (1, 0));
}

#[test]
fn a_dead_upstream_gives_way_to_another() {
    let mut world = World::new(Config::default(), &[upstream(1), upstream(2)]);
    world.ask(1, &question("www.example.", RecordType::AAAA));
    world.wait(SECOND);
    assert_eq!(world.sent.len(), 2);
    assert_ne!(world.sent[0].upstream, world.sent[1].upstream);
    // The late answer of the first still counts.
    let (first, second) = (world.sent[0].clone(), world.sent[1].clone());
    assert_ne!(first.message.metadata.id, second.message.metadata.id);
    world.answer(&first, &first.positive(60));
    assert_eq!(world.replies.len(), 1);
    assert_eq!(world.done, [first.token, second.token]);
}

#[test]
fn the_faster_upstream_is_asked() {
    let mut world = World::new(Config::default(), &[upstream(1), upstream(2)]);
    let mut asked = [0, 0];
    for n in 0..200 {
        world.ask(1, &question(&format!("n{n}.example."), RecordType::AAAA));
        let sent = world.take_sent();
        let fast = sent.upstream == upstream(2);
        asked[usize::from(fast)] += 1;
        world.wait(Duration::from_millis(if fast { 5 } else { 80 }));
        world.answer(&sent, &sent.positive(60));
    }
    assert!(asked[1] > 180 && asked[0] > 1, "{asked:?}: mostly the fast one, now and then the other");
}

#[test]
fn silence_ends_in_servfail_that_says_why() {
    let mut world = one();
    let query = question("www.example.", RecordType::AAAA);
    world.ask(1, &query);
    world.wait(Duration::from_millis(4_499));
    assert!(world.replies.is_empty());
    assert!(world.sent.len() >= 3, "{} tries", world.sent.len());
    world.wait(Duration::from_millis(1));
    let reply = world.replies.remove(0).1;
    assert_eq!(reply.metadata.response_code, ResponseCode::ServFail);
    assert_eq!(extended_errors(&reply), [22]);
    assert_eq!(world.done.len(), world.sent.len());
    // It is remembered for a moment (RFC 9520).
    world.sent.clear();
    assert_eq!(extended_errors(&world.reply(&query)), [13, 22]);
    world.wait(5 * SECOND);
    world.ask(1, &query);
    assert_eq!(world.sent.len(), 1);
    assert_eq!(world.counters().servfail, 2);
}

#[test]
fn errors_of_upstreams_are_passed_on_after_all_were_asked() {
    let mut world = World::new(Config::default(), &[upstream(1), upstream(2)]);
    world.ask(1, &question("bogus.example.", RecordType::AAAA));
    for _ in 0..2 {
        let sent = world.take_sent();
        let mut message = sent.response(ResponseCode::ServFail);
        let error = EdnsOption::Unknown(15, b"\0\x06bogus".to_vec());
        message.edns.as_mut().unwrap().options_mut().insert(error);
        world.answer(&sent, &message);
    }
    assert_eq!(world.sent.len(), 0);
    let reply = world.replies.remove(0).1;
    assert_eq!(reply.metadata.response_code, ResponseCode::ServFail);
    assert_eq!(extended_errors(&reply), [6]);

    // One that refuses connections.
    world.ask(1, &question("www.example.", RecordType::AAAA));
    for _ in 0..2 {
        let sent = world.take_sent();
        world.fail(&sent);
    }
    assert_eq!(extended_errors(&world.replies.remove(0).1), [23]);
    assert_eq!(world.counters().lookups, 0);
}

#[test]
fn without_upstream_it_is_not_ready() {
    let mut world = World::new(Config::default(), &[]);
    let query = question("www.example.", RecordType::AAAA);
    assert_eq!(extended_errors(&world.reply(&query)), [14]);
    world.forwarder.set_upstreams(&[upstream(1)]);
    world.resolve(&query, |sent| sent.positive(60));
}

#[test]
fn a_server_older_than_edns_is_asked_without() {
    let mut world = one();
    world.ask(1, &question("www.example.", RecordType::AAAA));
    let sent = world.take_sent();
    let mut message = sent.response(ResponseCode::FormErr);
    message.edns = None;
    message.queries.clear();
    world.answer(&sent, &message);
    let sent = world.take_sent();
    assert!(sent.message.edns.is_none());
    world.answer(&sent, &sent.positive(60));
    assert_eq!(world.replies[0].1.answers.len(), 1);
}

#[test]
fn answers_past_their_time_are_given_when_nobody_answers() {
    let mut world = one();
    let query = question("www.example.", RecordType::AAAA);
    world.resolve(&query, |sent| sent.positive(10));
    world.wait(60 * SECOND);
    world.ask(1, &query);
    world.replies.clear();
    world.wait(Duration::from_millis(1_800));
    let reply = world.replies.remove(0).1;
    assert_eq!((reply.answers[0].ttl, extended_errors(&reply)), (30, vec![3]));
    world.wait(4 * SECOND);
    assert!(world.replies.is_empty(), "one reply is enough");
    // The refresh failed: for half a minute none is tried.
    world.sent.clear();
    assert_eq!(extended_errors(&world.reply(&query)), [3]);
    world.wait(31 * SECOND);
    let fresh = world.resolve(&query, |sent| sent.positive(10));
    assert_eq!((fresh.answers[0].ttl, extended_errors(&fresh)), (10, vec![]));
    // A day later it is too old.
    world.wait(Duration::from_hours(25));
    world.ask(1, &query);
    world.wait(5 * SECOND);
    assert_eq!(world.replies[0].1.metadata.response_code, ResponseCode::ServFail);
}

#[test]
fn forged_answers_do_not_count() {
    let mut world = one();
    world.ask(1, &question("www.example.", RecordType::AAAA));
    let sent = world.take_sent();
    let good = sent.positive(60);
    let mut other_id = good.clone();
    other_id.metadata.id ^= 1;
    let mut other_name = good.clone();
    other_name.queries[0].name = name("evil.example.");
    let mut other_type = good.clone();
    other_type.queries[0].query_type = RecordType::A;
    let mut no_question = good.clone();
    no_question.queries.clear();
    let mut query = good.clone();
    query.metadata.message_type = hickory_proto::op::MessageType::Query;
    for forged in [other_id, other_name, other_type, no_question, query] {
        world.answer(&sent, &forged);
    }
    let mut stranger = sent.clone();
    stranger.upstream = upstream(66);
    world.answer(&stranger, &good);
    world.answer_bytes(&sent, b"\0");
    assert!(world.replies.is_empty());
    assert_eq!(world.counters().upstream_mismatches, 7);
    world.answer(&sent, &good);
    assert_eq!(world.replies.len(), 1);
    world.answer(&sent, &good);
    assert_eq!((world.replies.len(), world.counters().upstream_mismatches), (1, 8));
}

#[test]
fn odd_queries_are_turned_down() {
    let mut world = one();
    let base = question("www.example.", RecordType::AAAA);
    let mut table = Vec::new();
    let mut notify = base.clone();
    notify.metadata.op_code = OpCode::Notify;
    table.push((notify, ResponseCode::NotImp));
    let mut two = base.clone();
    two.queries.push(base.queries[0].clone());
    table.push((two, ResponseCode::FormErr));
    let mut chaos = base.clone();
    chaos.queries[0].query_class = DNSClass::CH;
    table.push((chaos, ResponseCode::Refused));
    table.push((question("example.", RecordType::AXFR), ResponseCode::Refused));
    table.push((question("example.", RecordType::ZERO), ResponseCode::FormErr));
    let mut version = base.clone();
    version.edns.as_mut().unwrap().set_version(1);
    table.push((version, ResponseCode::BADVERS));
    let mut snoop = base.clone();
    snoop.metadata.recursion_desired = false;
    table.push((snoop, ResponseCode::Refused));
    for (query, code) in &table {
        let reply = world.reply(query);
        assert_eq!(u16::from(reply.metadata.response_code), u16::from(*code));
        assert_eq!((reply.metadata.id, reply.metadata.op_code), (0x1234, query.metadata.op_code));
    }
    assert_eq!(world.counters().refused, table.len() as u64);
    let any = world.reply(&question("example.", RecordType::ANY));
    assert_eq!(any.answers[0].data.to_string(), "RFC8482 ");
}

#[test]
fn what_is_no_query_gets_no_reply() {
    let mut world = one();
    let client = Client { peer: 1, transport: Transport::Udp, udp_limit: 1232, share: 0 };
    let mut response = question("www.example.", RecordType::AAAA);
    response.metadata.message_type = hickory_proto::op::MessageType::Response;
    world.raw(client.clone(), &response.to_vec().unwrap());
    world.raw(client.clone(), b"\x12\x34\x01");
    assert!(world.replies.is_empty() && world.sent.is_empty());
    assert_eq!(world.counters().malformed, 2);
    // The header can be read, the question not.
    world.raw(client, b"\x12\x34\x01\0\0\x01\0\0\0\0\0\0\x3fwww");
    assert_eq!(world.replies[0].1.metadata.response_code, ResponseCode::FormErr);
}

#[test]
fn local_names_need_no_upstream() {
    let mut world = World::new(Config::default(), &[]);
    world.names.set(b"x", "printer", &["2001:db8:5::9".parse().unwrap()]).unwrap();
    let reply = world.reply(&question("Printer.home.arpa.", RecordType::AAAA));
    assert!(reply.metadata.authoritative);
    assert_eq!(reply.answers[0].data.to_string(), "2001:db8:5::9");
    let mut plain = question("nobody.home.arpa.", RecordType::AAAA);
    plain.metadata.recursion_desired = false;
    let reply = world.reply(&plain);
    assert_eq!(reply.metadata.response_code, ResponseCode::NXDomain);
    assert_eq!(reply.authorities[0].name.to_ascii(), "home.arpa.");
    assert_eq!(world.counters().local, 2);
}

#[test]
fn the_tables_are_bounded() {
    let config = Config { max_lookups: 10, max_waiters: 3, ..Config::default() };
    let mut world = World::new(config, &[upstream(1)]);
    for n in 0..30 {
        world.ask(n, &question(&format!("n{n}.example."), RecordType::AAAA));
        world.ask(n, &question("n0.example.", RecordType::AAAA));
    }
    assert_eq!((world.counters().lookups, world.counters().overload), (10, 20 + 27));

    // A flood from one LAN leaves room to the other; what is answered leaves room again.
    let config = Config { max_lookups: 10, max_lookups_per_share: 6, ..Config::default() };
    let mut world = World::new(config, &[upstream(1)]);
    let from = |share, n| {
        let client = Client { peer: n, transport: Transport::Udp, udp_limit: 1232, share };
        (client, question(&format!("n{share}-{n}.example."), RecordType::AAAA).to_vec().unwrap())
    };
    for (share, most) in [(7, 6), (8, 10)] {
        for n in 0..30 {
            let (client, bytes) = from(share, n);
            world.raw(client, &bytes);
        }
        assert_eq!(world.counters().lookups, most);
    }
    world.wait(Config::default().deadline);
    assert_eq!(world.counters().lookups, 0);
    let (client, bytes) = from(7, 99);
    world.raw(client, &bytes);
    assert_eq!(world.counters().lookups, 1);

    let config = Config { cache_entries: 50, cache_octets: 10_000, ..Config::default() };
    let mut world = World::new(config, &[upstream(1)]);
    for n in 0..500_u32 {
        world.resolve(&question(&format!("n{n}.example."), RecordType::AAAA), |sent| sent.positive(600));
        world.reply(&question(&format!("n{n}.example."), RecordType::AAAA));
        assert!(world.counters().cached <= 50 && world.forwarder.cache_octets() <= 10_000);
    }
    assert!(world.counters().cached >= 20);
    assert_eq!(world.counters().evictions, 500 - world.counters().cached);
    let large = question("big.example.", RecordType::TXT);
    let reply = world.resolve(&large, |sent| sent.large(30_000));
    assert!(reply.metadata.truncation, "larger than the whole cache: given, not kept");
    assert!(world.forwarder.cache_octets() <= 10_000);
}
