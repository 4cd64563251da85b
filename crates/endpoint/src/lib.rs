//! The kit that makes a program IPv6 compliant.

mod endpoint;
mod family;
mod host;
mod log;
mod parse;
mod print;
mod zone;

pub mod acl;
pub mod connect;
#[cfg(feature = "net")]
pub mod listen;
#[cfg(feature = "net")]
pub mod network;
#[cfg(feature = "net")]
pub mod online;
pub mod resolve;
pub mod talkers;

pub use endpoint::Endpoint;
pub use family::Family;
pub use host::Host;
pub use log::LOG_REGEX;
pub use parse::{EndpointError, Reason};
pub use print::Text;
pub use zone::Zone;

#[cfg(test)]
mod tests;
