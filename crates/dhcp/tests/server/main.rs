//! The DHCPv6 server, asked by clients of the test's own making, in simulated time.
#![allow(clippy::unwrap_used, clippy::panic)]

mod asking;
mod balance;
mod conformance;
mod dissector;
mod histories;
#[path = "../common/history.rs"]
mod history;
mod hostile;
mod leasequery;
mod messages;
#[path = "../common/pcap.rs"]
mod pcap;
mod policy;
mod races;
mod reach;
mod reconfiguring;
mod registering;
mod relay_histories;
mod relaying;
mod renumbering;
mod supplied;
