//! The kit that makes a program IPv6 compliant.

mod endpoint;
mod family;
mod host;
mod parse;
mod zone;

pub mod acl;
pub mod connect;
#[cfg(feature = "net")]
pub mod listen;
pub mod nat64;
#[cfg(feature = "net")]
pub mod network;
#[cfg(feature = "net")]
pub mod online;
pub mod resolve;
pub mod talkers;

pub use endpoint::Endpoint;
pub use family::Family;
pub use host::Host;
pub use parse::{EndpointError, Reason};
pub use zone::Zone;

#[cfg(test)]
mod tests;
