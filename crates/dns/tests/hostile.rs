//! Bytes that nobody in their senses would send.

mod world;

use core::time::Duration;

use hickory_proto::rr::RecordType;
use proptest::prelude::*;
use sixgate_dns::{Action, Client, Config, Dns64, Transport};
use sixgate_endpoint::nat64::Prefix;
use world::dns64::v4_only;
use world::{World, question, upstream};

fn config(dns64: bool) -> Config {
    let dns64 = dns64.then(|| Dns64::new(Prefix::WELL_KNOWN));
    Config {
        cache_entries: 20,
        cache_octets: 8_000,
        max_lookups: 8,
        max_waiters: 4,
        dns64,
        ..Config::default()
    }
}

/// What may be done to good bytes.
#[derive(Debug, Clone)]
struct Damage {
    flips: Vec<(prop::sample::Index, u8)>,
    cut: Option<prop::sample::Index>,
    tail: Vec<u8>,
}

fn damage() -> impl Strategy<Value = Damage> {
    (
        prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
        prop::option::of(any::<prop::sample::Index>()),
        prop::collection::vec(any::<u8>(), 0..40),
    )
        .prop_map(|(flips, cut, tail)| Damage { flips, cut, tail })
}

fn apply(mut bytes: Vec<u8>, damage: &Damage, spare: usize) -> Vec<u8> {
    for (at, value) in &damage.flips {
        let at = at.index(bytes.len());
        if at >= spare {
            bytes[at] = *value;
        }
    }
    if let Some(cut) = &damage.cut {
        bytes.truncate(cut.index(bytes.len()).max(spare));
    }
    bytes.extend_from_slice(&damage.tail);
    bytes
}

/// Every reply can be decoded and is no larger than allowed; every table keeps its cap.
fn check(world: &mut World, actions: Vec<Action<u32>>) {
    for action in &actions {
        if let Action::Reply { client, bytes } = action {
            assert!(client.transport == Transport::Tcp || bytes.len() <= 1_232);
        }
    }
    world.carry_out(actions);
    let counters = world.counters();
    assert!(counters.cached <= 20 && counters.lookups <= 8);
    assert!(world.forwarder.cache_octets() <= 8_000);
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(3_000) })]

    #[test]
    fn queries_of_any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..600), tcp: bool, dns64: bool) {
        let mut world = World::new(config(dns64), &[upstream(1)]);
        let transport = if tcp { Transport::Tcp } else { Transport::Udp };
        let mut actions = Vec::new();
        let client = Client { peer: 1, transport, udp_limit: 1_232, share: 0 };
        world.forwarder.handle_query(world.now, client, &bytes, &world.names, &mut actions);
        check(&mut world, actions);
    }

    #[test]
    fn damaged_queries(damages in prop::collection::vec(damage(), 1..20), kind: u16, dns64: bool) {
        let mut world = World::new(config(dns64), &[upstream(1), upstream(2)]);
        let good = question("printer.9.example.", RecordType::from(kind)).to_vec().unwrap();
        for (peer, damage) in (0..).zip(&damages) {
            // The header stays, for most to get past it.
            let bytes = apply(good.clone(), damage, if peer % 2 == 0 { 12 } else { 0 });
            let mut actions = Vec::new();
            let client = Client { peer, transport: Transport::Udp, udp_limit: 1_232, share: 0 };
            world.forwarder.handle_query(world.now, client, &bytes, &world.names, &mut actions);
            check(&mut world, actions);
        }
        world.wait(Duration::from_secs(10));
        prop_assert_eq!(world.counters().lookups, 0);
        prop_assert_eq!(world.done.len(), world.sent.len(), "every socket is closed again");
    }

    #[test]
    fn damaged_answers(damages in prop::collection::vec((damage(), 0..6_u8), 1..30), dns64: bool) {
        let mut world = World::new(config(dns64), &[upstream(1), upstream(2)]);
        for (n, (damage, shape)) in damages.iter().enumerate() {
            let kind = if shape % 2 == 0 { RecordType::TXT } else { RecordType::AAAA };
            world.ask(1, &question(&format!("n{}.example.", n % 7), kind));
            let Some(sent) = world.sent.last().cloned() else { continue };
            let good = match shape {
                0 => sent.large(600),
                3 | 4 => v4_only(&sent, 60, (60, 60), &["8.8.8.8", "10.0.0.1"]),
                1 => sent.negative(hickory_proto::op::ResponseCode::NXDomain, 60, 60),
                _ => sent.positive(60),
            };
            let bytes = apply(good.to_vec().unwrap(), damage, 3);
            let mut actions = Vec::new();
            world.forwarder.handle_answer(world.now, sent.upstream, sent.token, &bytes, &mut actions);
            check(&mut world, actions);
            world.wait(Duration::from_millis(300));
        }
        world.wait(Duration::from_secs(10));
        prop_assert_eq!(world.counters().lookups, 0);
        prop_assert_eq!(world.done.len(), world.sent.len(), "every socket is closed again");
    }

    /// However the answers come: every AAAA record of a reply is an upstream's or stands for an A record, no
    /// TTL is longer than what was told, and each query gets one reply.
    #[test]
    fn synthesised_answers(
        steps in prop::collection::vec((0..4_u8, 0..3_u8, 0..400_u32, any::<u32>(), 0..120_u64), 1..40),
    ) {
        let mut world = World::new(config(true), &[upstream(1)]);
        for (what, host, ttl, node, seconds) in steps {
            let query = question(&format!("n{host}.example."), RecordType::AAAA);
            world.replies.clear();
            world.ask(1, &query);
            while let Some(sent) = world.sent.pop() {
                let node = std::net::Ipv4Addr::from_bits(node).to_string();
                let answer = match what {
                    0 => sent.positive(ttl),
                    1 => v4_only(&sent, ttl, (300, 90), &[&node]),
                    2 => sent.response(hickory_proto::op::ResponseCode::ServFail),
                    _ => sent.negative(hickory_proto::op::ResponseCode::NoError, 300, ttl),
                };
                world.answer(&sent, &answer);
            }
            prop_assert_eq!(world.replies.len(), 1);
            for record in &world.replies[0].1.answers {
                let hickory_proto::rr::RData::AAAA(address) = &record.data else { panic!("{record}") };
                let node = Prefix::WELL_KNOWN.extract(address.0);
                prop_assert!(node.is_some() || address.to_string() == "2001:db8::80");
                prop_assert!(record.ttl < 400);
                prop_assert!(node.is_none_or(|node| !node.is_private() && !node.is_multicast()));
            }
            world.wait(Duration::from_secs(seconds));
        }
        prop_assert_eq!(world.counters().lookups, 0);
    }
}
