//! The kit that makes a program IPv6 compliant.

mod endpoint;
mod family;
mod host;
#[cfg(feature = "net")]
mod interface;
mod log;
mod parse;
mod print;
#[cfg(target_os = "linux")]
mod sockaddr;
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
#[cfg(feature = "net")]
pub use interface::{NeitherFamily, NoInterface, interface_index};
pub use log::LOG_REGEX;
pub use parse::{EndpointError, Reason};
pub use print::Text;
#[cfg(target_os = "linux")]
pub use sockaddr::{Sockaddr, SockaddrError};
pub use zone::Zone;

#[cfg(test)]
mod tests;
