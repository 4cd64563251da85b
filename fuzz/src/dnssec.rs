//! DNSSEC: a forwarder that validates, and an upstream whose every answer is from the bytes.

use sixgate_dns::{Action, Anchors, Client, Config, Dnssec, Forwarder, Names, Transport, rehearse};
use std::collections::VecDeque;
use std::time::Duration;

use crate::cores::Script;

/// When the corpus was signed, in seconds since the Unix epoch.
const SIGNED: u64 = 1_800_000_000;
/// Queries that one question may take: the chain's steps, each tried as often as any.
const MOST_QUERIES: usize = 65 * 6;

/// The bytes: a trust anchor, a client's query, then answers in the order in which they are asked for; each with two octets
/// of length before it.
pub fn dnssec(bytes: &[u8]) {
    let mut script = Script { rest: bytes };
    let anchor = String::from_utf8_lossy(script.content());
    let Ok(anchors) = Anchors::parse(&anchor) else { return rehearse(bytes) };
    let dnssec = Some(Dnssec::new(anchors));
    let config = Config { dnssec, max_stale: Duration::ZERO, ..Config::default() };
    let mut forwarder = Forwarder::new(config, fastrand::Rng::with_seed(1));
    forwarder.set_upstreams(&["[2001:db8::1]:53".parse().expect("an upstream")]);
    let (names, mut now, mut actions) = (Names::new(&[]), Duration::from_secs(SIGNED), Vec::new());
    let client = Client { peer: 1_u8, transport: Transport::Tcp, udp_limit: 1232, share: 0 };
    let query = script.content();
    forwarder.handle_query(now, client, query, &names, &mut actions);
    let (mut queue, mut queries, mut replies) = (VecDeque::from(actions), 0, 0);
    loop {
        let mut next = Vec::new();
        match queue.pop_front() {
            Some(Action::Reply { bytes, .. }) => {
                replies += 1;
                assert!(bytes.len() >= 12);
            }
            Some(Action::Done { .. }) => {}
            Some(Action::Query { token, upstream, bytes, .. }) => {
                queries += 1;
                assert!(queries <= MOST_QUERIES, "{queries} queries for one");
                let mut answer = script.content().to_vec();
                rehearse(&answer);
                if let (Some(own), Some(id)) = (answer.get_mut(..2), bytes.get(..2)) {
                    own.copy_from_slice(id);
                    forwarder.handle_answer(now, upstream, token, &answer, &mut next);
                } else {
                    forwarder.handle_failure(now, token, &mut next);
                }
            }
            None => {
                let Some(due) = forwarder.poll_timeout() else { break };
                assert!(due >= now);
                now = due;
                forwarder.handle_timeout(now, &mut next);
            }
        }
        queue.extend(next);
    }
    // What is dropped is not a query.
    assert!(replies <= 1);
    let counters = forwarder.counters();
    assert_eq!(counters.queries, replies + counters.malformed);
    assert_eq!(counters.lookups, 0);
    assert!(counters.dnssec_zones <= 65);
}
