//! Who gets what, in the real binary: options that stock clients and Kea witness, classes and lists, reservations by file and by
//! command. Needs root (or a user namespace) and the programs that `tests/install-peers` installs.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs, unreachable_pub)]

mod clients;
mod kea;
#[allow(dead_code, reason = "shared with the tests of `up`")]
#[path = "../up/network.rs"]
mod network;
mod probe;
mod reserved;
