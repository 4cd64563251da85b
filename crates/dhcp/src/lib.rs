//! DHCPv6 client, server and relay agent, and what an IPv6-mostly network needs of DHCPv4, as sans-I/O state machines,
//! with the lease table and its rules.

pub mod allocate;
pub mod balance;
pub mod client;
mod flight;
pub mod hex;
pub mod identity;
pub mod lease;
pub mod octets;
pub mod options;
pub mod policy;
pub mod relay;
pub mod reservation;
pub mod server;
mod table;
pub mod v4;
pub mod value;
