//! Who had which address, and what other programs are told of leases: the real binary in namespaces, against programs
//! that we did not write. Needs root (or a user namespace) and the programs that `tests/install-peers` installs.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs, unreachable_pub)]

mod answers;
mod dibbler;
#[path = "../up/network.rs"]
#[allow(dead_code, reason = "the tests of `up` use all of it")]
mod network;
mod reconfigured;
mod requestors;
