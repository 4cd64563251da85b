//! The kit that makes a program IPv6 compliant: what everybody writes again, once.
//!
//! | a program | uses |
//! |---|---|
//! | holds, reads and prints addresses | [`Endpoint`], [`Host`], [`Zone`]; [`LOG_REGEX`] for what reads its logs |
//! | listens | [`listen`]: a policy that names the families, verified in the kernel |
//! | connects | [`connect`]: Happy Eyeballs (RFC 8305), a memory, and reasons for all it does |
//! | looks names up | [`resolve`] |
//! | looks for a machine on a link | [`links`] |
//! | lets some in and keeps others out | [`acl`]: lists in which no rule of one family matches a peer of the other |
//! | keeps something about each peer | [`talkers`]: who talks most, and limits, in fixed memory |
//! | asks whether it is online | [`online`], [`nat64`] |
//! | has to know when the network changes | [`network`] |
//!
//! The [`guide`] takes a small IPv4-only server and client through all of it in an afternoon.
//!
//! ```
//! use sixgate_endpoint::Endpoint;
//! use std::net::SocketAddr;
//!
//! let peer: Endpoint = "[2001:db8::1]:53".parse()?;
//! assert_eq!((peer.to_string(), peer.port()), ("[2001:db8::1]:53".to_owned(), Some(53)));
//!
//! // As an IPv6 socket shows an IPv4 peer: it is the IPv4 peer.
//! let seen: SocketAddr = "[::ffff:192.0.2.1]:53".parse()?;
//! assert_eq!(Endpoint::from(seen).to_string(), "192.0.2.1:53");
//!
//! // On which link: kept as it was written, looked up when it is used.
//! let printer: Endpoint = "fe80::1%eth0".parse()?;
//! assert_eq!(printer.with_port(631).to_string(), "[fe80::1%eth0]:631");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # What it is not
//! No runtime, no executor, no thread that you did not ask for (connecting to a *name* asks the system's resolver on threads of its own, since that
//! blocks). No `unsafe`. The cores of [`connect`] and [`talkers`], and [`acl`] but for `decide_here`, touch no clock and no socket: they can be simulated,
//! and used with event loops of your own. What needs the feature `net` is for Linux alone: it asks the kernel in ways that
//! others do not have (netlink, `/proc/net`). The rest is plain Rust, tested on Linux.
//!
//! # Text
//! One form of each endpoint, RFC 5952, with brackets where there is a port:
//!
//! | | without port | with port |
//! |---|---|---|
//! | IPv6 | `2001:db8::1` | `[2001:db8::1]:547` |
//! | with a zone | `fe80::1%eth0` | `[fe80::1%eth0]:547` |
//! | IPv4 | `192.0.2.1` | `192.0.2.1:547` |
//!
//! More is read than is printed: `ADDRESS#PORT`, brackets without a port, capitals, zeros. Where this differs from `std::net`, from Go's `net/netip` and Python's
//! `ipaddress`, it is for one of these reasons (`tests/text_compared.rs` holds them against all three):
//!
//! - `::1:53` and its like in `::/96` are refused: a person reads an address and a port. The address is read and printed as `[::1:53]`.
//! - A mapped address (`::ffff:192.0.2.1`) is read as the IPv4 address, and printed so.
//! - A zone may be a name, or a number that is not 0 (printed without leading zeros); of at most 15 letters, digits, `.`, `_`, `-`, `+`, `@` and `~`, the last no `.`; and only
//!   where the address has zones: link-local, and multicast of limited scope (RFC 4007).
//! - `[2001:db8::1]` without a port and `2001:db8::1#53` are read.
//! - A port has no leading zeros and no sign, a group of an IPv6 address at most four digits, a number of an IPv4 address no leading zeros.
//!
//! # Features
//! | feature | what it brings | depends on |
//! |---|---|---|
//! | (none) | [`Endpoint`], [`Host`], [`acl`], [`talkers`], the core of [`connect`], [`nat64`] | `ipnet`, `thiserror` |
//! | `net` (default) | [`listen`], [`links`], the blocking driver of [`connect`], [`resolve::SystemResolver`], [`network`], [`online`] | `socket2`, `rustix`, `dns-lookup` |
//! | `serde` (default) | endpoints, hosts, lists and reports in files and JSON | `serde` |
//! | `tokio` | the same for programs on tokio | `tokio` |
//! | `clap` | [`connect::FamilyArgs`]: `-4`, `-6`, `--family` | `clap` |

#[cfg(all(feature = "net", not(any(target_os = "linux", target_os = "android"))))]
compile_error!(
    "the feature `net` of sixgate-endpoint is for Linux: elsewhere build with default-features = false"
);

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
#[doc = include_str!("guide.md")]
pub mod guide {}
#[cfg(feature = "net")]
pub mod links;
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
