//! Random histories: clients and a server that keep their own books, and between them a relay agent and links
//! that lose, double and reorder. Whatever happens, the routes are those that the messages which came through
//! last asked for.

use crate::bench::*;
use proptest::prelude::*;
use sixgate_dhcp::relay::{Action, Actions, FromLink, Limits, Relay};
use sixgate_wire::dhcpv6::{Builder, MessageType, RelayMessage, TransactionId};
use std::collections::BTreeMap;
use std::time::Duration;

#[derive(Debug, Clone, Copy)]
enum Step {
    /// A client asks or extends, for so many seconds.
    Bind {
        client: u8,
        prefix: u8,
        valid: u32,
    },
    /// A client gives a prefix back.
    Release {
        client: u8,
        prefix: u8,
    },
    /// A Reply that is under way arrives, once or twice.
    Deliver {
        which: usize,
        twice: bool,
    },
    /// A Reply that is under way is lost.
    Lose {
        which: usize,
    },
    Wait {
        seconds: u64,
    },
    /// The relay agent's program is killed and comes back.
    Crash,
}

fn step() -> impl Strategy<Value = Step> {
    let (client, prefix) = (0..4_u8, 0..6_u8);
    prop_oneof![
        (client.clone(), prefix.clone(), 1..2_000_u32).prop_map(|(client, prefix, valid)| Step::Bind {
            client,
            prefix,
            valid
        }),
        (client, prefix).prop_map(|(client, prefix)| Step::Release { client, prefix }),
        (any::<usize>(), any::<bool>()).prop_map(|(which, twice)| Step::Deliver { which, twice }),
        (any::<usize>(), any::<bool>()).prop_map(|(which, twice)| Step::Deliver { which, twice }),
        any::<usize>().prop_map(|which| Step::Lose { which }),
        (0..900_u64).prop_map(|seconds| Step::Wait { seconds }),
        Just(Step::Crash),
    ]
}

fn prefix(n: u8) -> String {
    format!("2001:db8:100:{:x}00::/56", n + 1)
}

fn via(client: u8) -> String {
    format!("fe80::c{client:x}")
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn routes_are_what_came_through_last(steps in prop::collection::vec(step(), 0..80)) {
        let limits = Limits { prefixes_per_client: 100, ..config().limits };
        let config = || sixgate_dhcp::relay::Config { limits: limits.clone(), ..config() };
        let mut relay = relay(config());
        let mut now = NOW;
        // Replies on their way to the relay agent.
        let mut flight: Vec<(u8, u8, u32, Vec<u8>)> = Vec::new();
        // What is on the disk, and the model: prefix to client and end.
        let mut disk = BTreeMap::new();
        let mut model: BTreeMap<String, (String, Duration)> = BTreeMap::new();
        for step in steps {
            let mut actions = Actions::new();
            match step {
                Step::Bind { client, prefix: n, valid } => {
                    let ask = message(MessageType::RENEW, |_| ());
                    let came = from_at(&mut relay, now, "lan", ip(&via(client)), &ask);
                    // The server answers what it was sent: peer-address and link-address come back.
                    let outer = forward(&came);
                    let outer = RelayMessage::parse(&outer).unwrap();
                    let addresses = (outer.link_address().to_string(), outer.peer_address().to_string());
                    let inner = reply(client, 7, &[(&prefix(n), valid)]);
                    let bytes = wrap(MessageType::RELAY_REPLY, 0, (&addresses.0, &addresses.1), &inner, |_| ());
                    flight.push((client, n, valid, bytes));
                    actions.extend(came.into_iter().filter(|action| !matches!(action, Action::ToServer { .. })));
                }
                Step::Release { client, prefix: n } => {
                    let mut buffer = [0; 512];
                    let mut out = Builder::message(&mut buffer, MessageType::RELEASE, TransactionId::default());
                    out.client_id(&duid(client)).ia_pd(7, 0, 0, |out| { out.ia_prefix(net(&prefix(n)), 0, 0, |_| ()); });
                    let bytes = out.finish().unwrap();
                    let source = ip(&via(client));
                    relay.handle_from_link(now, &FromLink { link: "lan", source, port: 546, link_layer: None, bytes }, &mut actions);
                    if model.get(&prefix(n)).is_some_and(|(held, _)| *held == via(client)) {
                        model.remove(&prefix(n));
                    }
                }
                Step::Deliver { which, twice } if !flight.is_empty() => {
                    let at = which % flight.len();
                    let (client, n, valid, bytes) =
                        if twice { flight[at].clone() } else { flight.remove(at) };
                    actions = to_at(&mut relay, now, server(), &bytes);
                    prop_assert_eq!(delivered(&actions).len(), 1);
                    model.insert(prefix(n), (via(client), now + Duration::from_secs(valid.into())));
                }
                Step::Lose { which } if !flight.is_empty() => drop(flight.remove(which % flight.len())),
                Step::Deliver { .. } | Step::Lose { .. } => {}
                Step::Wait { seconds } => {
                    now += Duration::from_secs(seconds);
                    relay.handle_timeout(now, &mut actions);
                }
                Step::Crash => {
                    relay = Relay::new(config(), [2; 16], disk.values().cloned().collect());
                    relay.handle_timeout(now, &mut actions);
                }
            }
            for action in actions {
                match action {
                    Action::Routed(held) => drop(disk.insert(held.prefix, held)),
                    Action::Unrouted { prefix } => prop_assert!(disk.remove(&prefix).is_some()),
                    _ => {}
                }
            }
            model.retain(|_, (_, end)| *end > now);
            let held: BTreeMap<_, _> = relay
                .delegations()
                .map(|held| (held.prefix.to_string(), (held.via.to_string(), held.valid_until)))
                .collect();
            prop_assert_eq!(&held, &model);
            prop_assert_eq!(relay.delegations().cloned().collect::<Vec<_>>(), disk.values().cloned().collect::<Vec<_>>());
            prop_assert_eq!(relay.poll_timeout(), model.values().map(|(_, end)| *end).min());
        }
    }
}
