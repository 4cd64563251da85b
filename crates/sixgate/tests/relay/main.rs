//! `sixgate up` as a DHCPv6 relay agent, between clients and servers that others wrote. Needs root (or a user
//! namespace) and the programs that `tests/install-peers` installs.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs, unreachable_pub)]

mod clients;
mod forged;
#[allow(dead_code, reason = "shared with the tests of `up`")]
#[path = "../up/network.rs"]
mod network;
mod servers;
mod supplied;
mod world;
