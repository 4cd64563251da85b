//! RFC 6146: bindings, sessions, filtering, ports, fragments, hairpinning, lifetimes.

// Clippy's exception for tests does not reach the functions beside them.
#![allow(clippy::unwrap_used, clippy::panic, clippy::unchecked_time_subtraction)]

#[path = "../common/mod.rs"]
mod common;
mod errors;
mod fragmented;
mod hairpin;
mod model;
mod ports;
mod sessions;
mod tcp;

use common::{NOW, Outcome, UDP, config, ip4, ip6, judge, run, udp};
use sixgate_endpoint::nat64::Prefix;
use sixgate_xlat::{Discard, Nat64, SessionConfig, Verdict};
use std::time::Duration;

const POOL: &str = "203.0.113.1";
/// A host inside, another of its subscriber, and one of another.
const HOST: &str = "2001:db8:1:1::a";
const NEIGHBOUR: &str = "2001:db8:1:1::b";
const OTHER: &str = "2001:db8:1:2::a";
/// Servers, and as the inside sees them.
const SERVER: &str = "198.51.100.7";
const SERVER6: &str = "2001:db8:64::c633:6407";
const STRANGER: &str = "198.51.100.8";

fn prefix() -> Prefix {
    Prefix::new("2001:db8:64::".parse().unwrap(), 96).unwrap()
}

fn sessions() -> SessionConfig {
    SessionConfig::new(prefix(), vec![POOL.parse().unwrap()])
}

struct Lab {
    nat: Nat64,
    now: Duration,
}

impl Lab {
    fn new(sessions: SessionConfig) -> Self {
        let nat = Nat64::new(config(), sessions, fastrand::Rng::with_seed(6146)).unwrap();
        Self { nat, now: NOW }
    }

    fn plain() -> Self {
        Self::new(sessions())
    }

    fn run(&mut self, octets: &[u8]) -> Outcome {
        let now = self.now;
        let outcome = run(octets, |packet, actions| self.nat.translate(now, packet, actions));
        assert!(outcome.log.iter().all(|event| !format!("{event:?}").is_empty()));
        outcome
    }

    /// One packet that comes out translated.
    fn through(&mut self, octets: &[u8]) -> Vec<u8> {
        let outcome = self.run(octets);
        assert!(matches!(outcome.verdict, Verdict::Translated | Verdict::Replaced), "{:?}", outcome.verdict);
        assert_eq!(outcome.sent.len(), 1);
        judge(&outcome.sent[0]);
        outcome.sent[0].clone()
    }

    fn refused(&mut self, octets: &[u8]) -> Discard {
        match self.run(octets).verdict {
            Verdict::Discarded(reason) => reason,
            other => panic!("{other:?}"),
        }
    }

    fn wait(&mut self, time: Duration) -> Vec<sixgate_xlat::Action> {
        self.now += time;
        let mut actions = Vec::new();
        self.nat.handle_timeout(self.now, &mut actions);
        actions
    }

    /// UDP from inside; the port that IPv4 sees.
    fn udp_out(&mut self, from: &str, port: u16, to: &str, to_port: u16) -> u16 {
        let packet = ip6(from, to, UDP, udp(port, to_port, 10)).sealed();
        let out = common::Ip4::parse(&self.through(&packet.octets()));
        assert_eq!(out.source.to_string(), POOL);
        u16::from_be_bytes([out.body[0], out.body[1]])
    }

    fn udp_in(&mut self, from: &str, from_port: u16, port: u16) -> Outcome {
        let packet = ip4(from, POOL, UDP, udp(from_port, port, 10)).sealed();
        self.run(&packet.octets())
    }
}
