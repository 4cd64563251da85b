//! The relay agent: what RFC 9915 section 19, RFC 6939, RFC 8357 and RFC 8987 ask for, one table a rule, and
//! random histories.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs, unreachable_pub)]

mod bench;
mod delegations;
mod delivering;
mod forwarding;
mod histories;
