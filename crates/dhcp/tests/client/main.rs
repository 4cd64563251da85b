//! The client by simulated time: against answers written here, over lossy links, and before a dissector.
#![allow(clippy::unwrap_used, clippy::panic, clippy::unchecked_time_subtraction, clippy::type_complexity)]

mod bench;
mod blob;
mod changing;
mod conformance;
mod dissect;
mod histories;
mod kea;
#[path = "../common/pcap.rs"]
mod pcap;
mod reconfigure;
mod renewing;
mod soliciting;
mod with_server;
