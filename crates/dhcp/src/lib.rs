//! DHCPv6 client, server and relay agent, and what an IPv6-mostly network needs of DHCPv4, as sans-I/O state machines,
//! with the lease table and its rules.

pub mod allocate;
pub mod client;
pub mod identity;
pub mod lease;
pub mod relay;
pub mod server;
pub mod v4;
