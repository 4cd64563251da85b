//! What the gate lets through: cookies, limits, and that nobody is made to receive more than was sent in its name.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod world;

use core::time::Duration;
use std::net::IpAddr;

use hickory_proto::op::Message;
use hickory_proto::rr::RecordType;
use hickory_proto::rr::rdata::opt::{EdnsCode, EdnsOption};
use sixgate_dns::{Action, Client, Config, Gate, Ticket, Transport, limits, udp_limit};
use world::{World, question, upstream};

const SECRET: [u8; 16] = [7; 16];

/// A world behind a gate.
struct Gated {
    world: World,
    gate: Gate,
}

impl Gated {
    fn new() -> Self {
        Self { world: World::new(Config::default(), &[upstream(1)]), gate: Gate::new(SECRET, Some(limits())) }
    }

    /// What goes out to `source` for a query of its name, which the upstream answers with so many octets.
    fn ask(&mut self, source: &str, transport: Transport, query: &Message, octets: usize) -> Option<Vec<u8>> {
        let source: IpAddr = source.parse().unwrap();
        let now = self.world.now;
        let bytes = query.to_vec().unwrap();
        let ticket = self.gate.admit(now, source, transport, &bytes);
        let client =
            Client { peer: 1, transport, udp_limit: udp_limit(&Config::default(), &ticket), share: 0 };
        self.world.replies.clear();
        let mut actions = Vec::new();
        self.world.forwarder.handle_query(now, client, &bytes, &self.world.names, &mut actions);
        if let Some(Action::Query { .. }) = actions.first() {
            self.world.carry_out(actions);
            let sent = self.world.take_sent();
            actions = Vec::new();
            let answer = sent.large(octets).to_vec().unwrap();
            self.world.forwarder.handle_answer(now, sent.upstream, sent.token, &answer, &mut actions);
        }
        self.finish(source, &ticket, actions)
    }

    fn finish(&mut self, source: IpAddr, ticket: &Ticket, actions: Vec<Action<u32>>) -> Option<Vec<u8>> {
        let mut bytes = actions.into_iter().find_map(|action| match action {
            Action::Reply { bytes, .. } => Some(bytes),
            _ => None,
        })?;
        self.gate.finish(self.world.now, source, ticket, &mut bytes).then_some(bytes)
    }
}

fn with_cookie(text: &str, cookie: &[u8]) -> Message {
    let mut query = question(text, RecordType::TXT);
    let option = EdnsOption::Unknown(10, cookie.to_vec());
    query.edns.as_mut().unwrap().options_mut().insert(option);
    query
}

/// The cookies of a reply.
fn cookie(reply: &[u8]) -> Option<Vec<u8>> {
    let message = Message::from_vec(reply).unwrap();
    let options = message.edns?.options().options.clone();
    options.into_iter().find_map(|(code, option)| match option {
        EdnsOption::Unknown(_, value) if code == EdnsCode::from(10) => Some(value),
        _ => None,
    })
}

#[test]
fn what_an_address_has_not_proved_it_does_not_get_much_of() {
    let mut gated = Gated::new();
    let query = question("large.example.", RecordType::TXT);
    let asked = query.to_vec().unwrap().len();
    let (mut queries, mut replies, mut cut, mut whole) = (0, 0, 0, 0);
    // Ten thousand in one second, in the name of one address.
    for _ in 0..10_000 {
        gated.world.now += Duration::from_micros(100);
        queries += asked;
        let Some(reply) = gated.ask("2001:db8:5::9", Transport::Udp, &query, 1_000) else { continue };
        replies += reply.len();
        let message = Message::from_vec(&reply).unwrap();
        if message.metadata.truncation {
            cut += 1;
            assert!(reply.len() <= asked && message.answers.is_empty() && message.edns.is_some());
        } else {
            whole += 1;
        }
    }
    assert!(replies < queries, "amplification {}", f64::from(replies as u32) / f64::from(queries as u32));
    let counters = gated.gate.counters();
    assert_eq!((counters.slipped, counters.limited.abs_diff(counters.slipped) <= 1), (cut, true));
    // 64 KiB at once and 32 KiB in the second, a thousand octets each.
    assert!((80..120).contains(&whole), "{whole}");
    // Another is not harmed, and over TCP neither is the same.
    for (source, transport) in [("2001:db8:5::a", Transport::Udp), ("2001:db8:5::9", Transport::Tcp)] {
        let reply = gated.ask(source, transport, &query, 1_000).unwrap();
        assert!(!Message::from_vec(&reply).unwrap().metadata.truncation, "{source} {transport:?}");
    }
    gated.world.now += Duration::from_secs(1);
    let reply = gated.ask("2001:db8:5::9", Transport::Udp, &query, 1_000).unwrap();
    assert!(!Message::from_vec(&reply).unwrap().metadata.truncation, "and it is forgiven");
}

#[test]
fn a_whole_network_is_one_for_the_limit() {
    let mut gated = Gated::new();
    let query = question("large.example.", RecordType::TXT);
    let (mut queries, mut replies) = (0, 0);
    for host in 0..60_000_u32 {
        gated.world.now += Duration::from_micros(20);
        let source = format!("2001:db8:5::{:x}:{:x}", host >> 16, host & 0xffff);
        queries += query.to_vec().unwrap().len();
        replies += gated.ask(&source, Transport::Udp, &query, 1_000).map_or(0, |reply| reply.len());
    }
    // 2 MiB at once, and a MiB a second.
    assert!(replies < queries / 2 + (3 << 20) + (1 << 19), "{replies} of {queries}");
    assert!(gated.gate.counters().limited > 20_000);
}

#[test]
fn a_cookie_is_a_proof() {
    let mut gated = Gated::new();
    let source = "2001:db8:5::9";
    let first =
        gated.ask(source, Transport::Udp, &with_cookie("large.example.", b"client 1"), 1_000).unwrap();
    let cookies = cookie(&first).unwrap();
    assert_eq!((cookies.len(), &cookies[..8]), (24, &b"client 1"[..]));
    // It is worth nothing to another, and everything to its owner.
    for (source, known) in [("2001:db8:5::a", false), (source, true)] {
        let mut cut = 0;
        for _ in 0..1_000 {
            let query = with_cookie("large.example.", &cookies);
            cut += u64::from(match gated.ask(source, Transport::Udp, &query, 1_000) {
                None => true,
                Some(reply) => {
                    assert_eq!(cookie(&reply).unwrap()[..8], *b"client 1");
                    Message::from_vec(&reply).unwrap().metadata.truncation
                }
            });
        }
        assert_eq!(cut == 0, known, "{source}: {cut} cut or dropped");
    }
    assert_eq!(gated.gate.counters().known, 1_000);
    // Without EDNS, or over TCP without a cookie, nothing of the kind.
    let mut plain = question("large.example.", RecordType::TXT);
    assert_eq!(cookie(&gated.ask(source, Transport::Tcp, &plain, 1_000).unwrap()), None);
    plain.edns = None;
    let reply = gated.ask(source, Transport::Tcp, &plain, 1_000).unwrap();
    assert!(Message::from_vec(&reply).unwrap().edns.is_none());
}

#[test]
fn cookies_of_wrong_length_are_format_errors() {
    let mut gated = Gated::new();
    for length in [0, 1, 7, 9, 15, 41, 100] {
        let query = with_cookie("example.", &vec![1; length]);
        let reply = gated.ask("2001:db8:5::9", Transport::Udp, &query, 100).unwrap();
        let code = Message::from_vec(&reply).unwrap().metadata.response_code;
        assert_eq!(code, hickory_proto::op::ResponseCode::FormErr, "{length} octets");
    }
    for length in [8, 16, 24, 40] {
        let query = with_cookie("example.", &vec![1; length]);
        let reply = gated.ask("2001:db8:5::9", Transport::Udp, &query, 100).unwrap();
        assert_eq!(cookie(&reply).unwrap().len(), 24, "{length} octets");
    }
}

#[test]
fn a_reply_with_its_cookie_is_no_longer_than_its_client_takes() {
    for payload in [512, 530, 600, 1_232, 4_096] {
        for octets in (200..1_400).step_by(200) {
            let mut gated = Gated::new();
            let mut query = with_cookie("large.example.", b"client 1");
            query.edns.as_mut().unwrap().set_max_payload(payload);
            let reply = gated.ask("2001:db8:5::9", Transport::Udp, &query, octets).unwrap();
            assert!(reply.len() <= usize::from(payload.min(1_232)), "{payload} {octets}: {}", reply.len());
            let message = Message::from_vec(&reply).unwrap();
            assert!(message.metadata.truncation != (message.answers.len() == octets / 200));
            assert!(cookie(&reply).is_some());
        }
    }
}

#[test]
fn nobody_gets_all_that_a_name_has() {
    use RecordType::{A, AAAA, ANY, PTR};
    let mut gated = Gated::new();
    gated.world.names.set(b"x", "printer", &["2001:db8:5::9".parse().unwrap()]).unwrap();
    let source = "2001:db8:5::9";
    for kind in [A, AAAA] {
        gated.ask(source, Transport::Udp, &question("www.example.", kind), 1_000).unwrap();
    }
    let reverse = "9.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.5.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa.";
    gated.ask(source, Transport::Udp, &question(reverse, PTR), 100).unwrap();
    for transport in [Transport::Udp, Transport::Tcp] {
        for dnssec_ok in [false, true] {
            for text in ["www.example.", "unknown.example.", "printer.home.arpa.", reverse, "localhost."] {
                let mut query = question(text, ANY);
                query.edns.as_mut().unwrap().set_dnssec_ok(dnssec_ok);
                let asked = query.to_vec().unwrap().len();
                for _ in 0..2 {
                    let reply = gated.ask(source, transport, &query, 1_000).unwrap();
                    let message = Message::from_vec(&reply).unwrap();
                    assert_eq!(message.answers[0].data.to_string(), "RFC8482 ", "{text}");
                    assert!(
                        message.answers.len() == 1 && reply.len() < asked + 24,
                        "{text}: {}",
                        reply.len()
                    );
                }
            }
            // What is not there is not there for ANY either.
            let query = question("nobody.home.arpa.", ANY);
            assert!(gated.ask(source, transport, &query, 1_000).unwrap().len() < 200);
        }
    }
}
