//! IPv4 where the network has none: `sixgate clat` on a host, the island and NAT44 of `up`, an IPv4-only printer among IPv6-only hosts;
//! with stock programs on all sides. Needs root (or a user namespace) and the programs that `tests/install-peers` installs.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs, unreachable_pub)]

mod ecn;
mod host;
mod island;
#[path = "../nat64/server.rs"]
mod server;
mod world;
