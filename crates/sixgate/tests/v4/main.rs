//! DHCPv4 with option 108, and the pilot, in the real binary: clients that others wrote on one segment, a thousand simulated
//! ones, and what a kill, a restart and a NAT64 that fails leave of it. Needs root (or a user namespace) and the programs that
//! `tests/install-peers` installs.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs, unreachable_pub)]

mod accidents;
mod clients;
mod crowd;
mod names;
#[allow(dead_code, reason = "shared with the tests of `up`")]
#[path = "../up/network.rs"]
mod network;
mod report;
mod whole;
mod world;
