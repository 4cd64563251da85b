//! DNSSEC against a tree of zones that the tests sign themselves, with unbound's validator, delv and dnsmasq as judges.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

#[path = "../edge/mod.rs"]
mod edge;
mod server;
mod signer;
mod sim;
mod tree;
mod wire;
mod witnesses;
mod zone;

mod verdicts;
