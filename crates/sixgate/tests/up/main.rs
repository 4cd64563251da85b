//! The real binary in namespaces, against programs that we did not write. Needs root (or a user namespace) and the
//! programs that `tests/install-peers` installs.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs, unreachable_pub)]

mod attack;
mod census;
mod clients;
mod control;
mod dns64;
mod dnssec;
mod family;
mod health;
mod lifecycle;
mod memory;
mod mistakes;
mod network;
mod plugins;
mod profile;
mod proxy;
mod queries;
mod served;
mod shape;
mod uplinks;
mod wan;
mod web;
