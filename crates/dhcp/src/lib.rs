//! DHCPv6 client and server as sans-I/O state machines, with the lease table and its rules.

pub mod allocate;
pub mod client;
pub mod lease;
pub mod server;
