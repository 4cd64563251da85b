//! What is remembered, for how long, and how much of it.

use crate::world::{Says, World, candidate, ms};
use sixgate_endpoint::connect::{Candidate, Failure, Memory, Policy, Question, Race, Rule, policy};

const A: &str = "2001:db8::a";
const X: &str = "192.0.2.1";
const HOST: &str = "example.com:80";

fn known(memory: &Memory, at: u64, text: &str) -> Candidate {
    let mut candidates = [candidate(text)];
    memory.recall(ms(at), HOST, &policy(), &mut candidates);
    candidates[0]
}

/// A race with what the memory knows, which then learns.
fn connect(memory: &mut Memory, at: u64, world: &World) -> crate::world::Played {
    let mut world = world.clone();
    for (_, _, says) in &mut world.says {
        if let Says::Addresses(candidates) = says {
            memory.recall(ms(at), HOST, &policy(), candidates);
        }
    }
    let race = Race::to_name(policy()).with_host(HOST.parse().unwrap()).expecting(memory.winner(
        ms(at),
        HOST,
        &policy(),
    ));
    let played = world.run(race);
    let epoch = memory.epoch();
    memory.learn(ms(at), epoch, Some(HOST), &played.trace);
    played
}

fn both() -> World {
    World::default().answers(Question::V6, 0, &[A]).answers(Question::V4, 0, &[X])
}

#[test]
fn the_second_connection_uses_the_winner() {
    let mut memory = Memory::default();
    let broken = both().connects(X, 20);
    assert_eq!(connect(&mut memory, 0, &broken).over(), ms(270));
    assert_eq!(known(&memory, 1000, X).rtt, Some(ms(20)));
    assert!(known(&memory, 1000, X).remembered && !known(&memory, 1000, A).remembered);
    // AAAA comes first again, and waits.
    let again = connect(&mut memory, 1000, &broken);
    assert_eq!((again.over(), again.trace.attempts[0].rule), (ms(20), Rule::Remembered));
    let entries = memory.entries(ms(3000));
    assert_eq!(entries.len(), 1);
    assert_eq!((entries[0].ipv6.unanswered, entries[0].ipv4.connected), (1, 2));
    assert_eq!(entries[0].ipv4.success_rate(), Some(1.0));
    assert_eq!(entries[0].ipv6.success_rate(), Some(0.0));
    assert_eq!(
        entries[0].to_string(),
        "example.com:80: 192.0.2.1:80 worked 2 s ago; IPv6 0 connected, 0 failed, 1 unanswered; \
         IPv4 2 connected, 0 failed, 0 unanswered, 20 ms"
    );
}

#[test]
fn a_winner_that_has_died_costs_one_delay_and_is_replaced() {
    let mut memory = Memory::default();
    connect(&mut memory, 0, &both().connects(X, 20));
    let changed = connect(&mut memory, 1000, &both().connects(A, 20));
    // Its known round trip shortens the delay.
    assert_eq!(changed.starts()[0].1, X);
    assert_eq!(changed.over(), ms(100 + 20));
    assert!(known(&memory, 2000, A).remembered);
    // Nothing works at all: nothing is remembered.
    connect(&mut memory, 3000, &both().fails(A, 1, Failure::Refused).fails(X, 1, Failure::Refused));
    assert!(!known(&memory, 4000, A).remembered);
}

#[test]
fn memory_fades() {
    let mut memory = Memory::default();
    connect(&mut memory, 0, &both().connects(A, 20));
    assert!(known(&memory, 599_999, A).remembered);
    assert!(!known(&memory, 600_000, A).remembered);
    assert!(known(&memory, 3_599_999, A).used);
    assert!(!known(&memory, 3_600_000, A).used);
    let mut candidates = [candidate(A)];
    memory.recall(ms(1), HOST, &Policy { remember: ms(0), ..policy() }, &mut candidates);
    assert!(!candidates[0].remembered);
}

#[test]
fn another_network_is_another_memory() {
    let mut memory = Memory::default();
    connect(&mut memory, 0, &both().connects(A, 20));
    let epoch = memory.epoch();
    memory.forget();
    assert!(memory.is_empty() && memory.addresses() == 0);
    // What began before is about the old one.
    let late = both().connects(A, 20).play(policy());
    memory.learn(ms(50), epoch, Some(HOST), &late.trace);
    assert!(memory.is_empty() && memory.addresses() == 0);
}

#[test]
fn memory_is_bounded() {
    let mut memory = Memory::with_capacity(10);
    for n in 1..=1000 {
        let address = format!("2001:db8::{n:x}");
        let world = World::default().answers(Question::V6, 0, &[&address]).connects(&address, 1);
        let trace = world.play(policy()).trace;
        memory.learn(ms(n), 0, Some(&format!("host{n}.example:80")), &trace);
        memory.learn(ms(n), 0, None, &trace);
    }
    assert_eq!((memory.len(), memory.addresses(), memory.evicted()), (10, 10, 2 * 990));
    // The oldest went.
    assert!(memory.entries(ms(1000)).iter().any(|entry| entry.destination == "host1000.example:80"));
    // A name that does not resolve takes no room.
    let unknown = World::default()
        .says(Question::V6, 0, Says::Nothing("NXDOMAIN"))
        .says(Question::V4, 0, Says::Nothing("NXDOMAIN"))
        .play(policy());
    memory.learn(ms(2000), 0, Some("typo.example:80"), &unknown.trace);
    assert!(!memory.entries(ms(2000)).iter().any(|entry| entry.destination.starts_with("typo")));
}

#[cfg(feature = "serde")]
#[test]
fn memory_and_traces_are_shown_to_machines() {
    let mut memory = Memory::default();
    let played = connect(&mut memory, 0, &both().connects(X, 20));
    let entries = serde_json::to_value(memory.entries(ms(1500))).unwrap();
    assert_eq!(entries[0]["winner"], "192.0.2.1:80");
    assert_eq!(entries[0]["age"], 1.5);
    let trace = serde_json::to_value(&played.trace).unwrap();
    assert_eq!(trace["host"], HOST);
    assert_eq!(trace["attempts"][0]["to"], "[2001:db8::a]:80");
    assert_eq!(trace["attempts"][0]["outcome"], "closed, as another connected first");
    assert_eq!(trace["attempts"][1]["rule"], "alone");
    assert_eq!(trace["questions"][0]["question"], "v6");
}

#[test]
fn traces_are_shown_to_people() {
    let mut a = candidate(A);
    a.rtt = Some(ms(12));
    let played = World::default()
        .says(Question::V6, 3, Says::Addresses(vec![a, candidate("2001:db8::b")]))
        .answers(Question::V4, 4, &[X, "192.0.2.2"])
        .fails(A, 5, Failure::Refused)
        .connects(X, 7)
        .play(policy());
    assert_eq!(
        played.trace.to_string(),
        "example.com:80 (prefer-ipv6)\n  \
           IPv6 addresses: asked at 0 ms, 2 at 3 ms\n  \
           IPv4 addresses: asked at 0 ms, 2 at 4 ms\n  \
           attempt 1: [2001:db8::a]:80 at 3 ms [RFC 6724 rule 10: order of the answer]: refused: \
           nothing listens \
           there after 5 ms\n  \
           attempt 2: 192.0.2.1:80 at 13 ms [RFC 6724 rule 10: order of the answer]: connected after 7 ms\n  \
           not tried 3: [2001:db8::b]:80 [RFC 6724 rule 6: its kind has precedence], moved as families \
           alternate\n  \
           not tried 4: 192.0.2.2:80 [RFC 6724 rule 10: order of the answer]\n"
    );
}
