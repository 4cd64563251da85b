//! Bytes that nobody in their senses would send.

mod world;

use core::time::Duration;

use hickory_proto::rr::RecordType;
use proptest::prelude::*;
use sixgate_dns::{Action, Client, Config, Transport};
use world::{World, question, upstream};

fn config() -> Config {
    Config { cache_entries: 20, cache_octets: 8_000, max_lookups: 8, max_waiters: 4, ..Config::default() }
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
    fn queries_of_any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..600), tcp: bool) {
        let mut world = World::new(config(), &[upstream(1)]);
        let transport = if tcp { Transport::Tcp } else { Transport::Udp };
        let mut actions = Vec::new();
        let client = Client { peer: 1, transport, udp_limit: 1_232, share: 0 };
        world.forwarder.handle_query(world.now, client, &bytes, &world.names, &mut actions);
        check(&mut world, actions);
    }

    #[test]
    fn damaged_queries(damages in prop::collection::vec(damage(), 1..20), kind: u16) {
        let mut world = World::new(config(), &[upstream(1), upstream(2)]);
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
    fn damaged_answers(damages in prop::collection::vec((damage(), 0..3_u8), 1..30)) {
        let mut world = World::new(config(), &[upstream(1), upstream(2)]);
        for (n, (damage, shape)) in damages.iter().enumerate() {
            world.ask(1, &question(&format!("n{}.example.", n % 7), RecordType::TXT));
            let Some(sent) = world.sent.last().cloned() else { continue };
            let good = match shape {
                0 => sent.large(600),
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
}
