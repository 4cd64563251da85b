//! `sixgate measure` in a lab, beside programs that we did not write: ping, curl, tcpdump and tshark, Python's HTTP server.
//! Needs root, curl, ping, tcpdump, tshark, python3.

#![allow(clippy::unwrap_used, clippy::panic, missing_docs, unreachable_pub)]

mod aqm;
mod export;
mod families;
mod load;
mod page;
mod path;
mod refuse;
mod world;
