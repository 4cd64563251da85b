//! The DHCPv4 server, from outside.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod asking;
mod balance;
mod census;
mod histories;
#[path = "../common/history.rs"]
mod history;
mod kea;
mod kept;
mod messages;
mod mostly;
mod pilot;
mod real;
