//! Three servers of the real binary on one link share ten thousand clients by RFC 3074, whose buckets Kea's own library names;
//! and `sixgate buckets`, which says beforehand what will happen. Needs root (or a user namespace), python3 and Kea.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs, unreachable_pub)]

mod clients;
mod faster;
#[allow(dead_code, reason = "shared with the tests of `up`")]
#[path = "../up/network.rs"]
mod network;
mod plan;
mod three;
mod tool;
