//! The real binary as a DHCPv6 server behind relay agents that we did not write, with clients that we did not write.
//! Needs root (or a user namespace) and the programs that `tests/install-peers` installs.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs, unreachable_pub)]

mod agent;
mod clients;
mod lan;
mod lines;
mod network;
mod reconfigured;
mod subnets;
