//! Translation between IPv4 and IPv6: packets in, packets out.
//!
//! - [`Siit`] is stateless: RFC 7915 with the address mappings of RFC 7757. As [`Siit::clat`] it is the
//!   customer side of 464XLAT (RFC 6877).
//! - [`Nat64`] is stateful (RFC 6146): many IPv6 hosts share a few IPv4 addresses.
//!
//! Both take a [`Packet`] of either family, translate it in place, and return a [`Verdict`]; what is to be
//! sent besides (fragments, ICMP errors) and what is to be written down comes as [`Action`]s. There is no
//! clock, socket or thread: `now` is the caller's.
//!
//! ```
//! use sixgate_xlat::{Action, Config, HEADROOM, Nat64, Packet, SessionConfig, Verdict};
//! use std::time::Duration;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let config = Config::new("203.0.113.1".parse()?, "2001:db8::1".parse()?);
//! let prefix = sixgate_endpoint::nat64::Prefix::new("2001:db8:64::".parse()?, 96)?;
//! let sessions = SessionConfig::new(prefix, vec!["203.0.113.1".parse()?]);
//! let mut nat = Nat64::new(config, sessions, fastrand::Rng::new())?;
//!
//! // An echo request, 2001:db8:1::7 > 198.51.100.1 behind the prefix, as read from an interface.
//! let mut buffer = vec![0; HEADROOM];
//! buffer.extend([0x60, 0, 0, 0, 0, 8, 58, 64, 0x20, 1, 0xd, 0xb8, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 7]);
//! buffer.extend([0x20, 1, 0xd, 0xb8, 0, 0x64, 0, 0, 0, 0, 0, 0, 198, 51, 100, 1]);
//! buffer.extend([128, 0, 0x86, 0x80, 0, 9, 0, 1]);
//! let range = HEADROOM..buffer.len();
//! let mut packet = Packet::new(&mut buffer, range)?;
//!
//! let mut actions = Vec::new();
//! let verdict = nat.translate(Duration::from_secs(1_795_000_000), &mut packet, &mut actions);
//! assert_eq!(verdict, Verdict::Translated);
//! assert_eq!(packet.bytes()[12..20], [203, 0, 113, 1, 198, 51, 100, 1]);
//! // The log says whose ports these are from now on.
//! assert!(matches!(actions[..], [Action::Log(_)]));
//! # Ok(())
//! # }
//! ```
//!
//! # What may surprise
//! - Fragments are translated one by one and never put together; [`Nat64`] holds those that come before the
//!   first one of their datagram for two seconds, within caps. Their identification is that of the other
//!   side, so that two hosts behind one IPv4 address may use the same (RFC 7915 section 5.1.1 asks for it).
//! - A superpacket without DF is not cut, but refused where a segment of it does not fit the next link.
//! - An address of a [`Nat64`]'s pool may be the machine's own. Then what comes back as
//!   [`Discard::NoBinding`] may be for the machine; but fragments for it are held here, and lost.
//!
//! Not here: application protocols that carry addresses in their payload. FTP in particular is **not**
//! translated; its extended passive mode (RFC 2428) works without help.

mod address;
mod budget;
mod checksum;
mod discard;
mod event;
mod header;
mod icmp;
mod keyed;
mod nat64;
mod packet;
mod siit;
mod translate;

pub use address::{AddressMap, Mapping, MappingError};
pub use budget::ErrorRate;
pub use discard::{Counters, Discard};
pub use event::Event;
pub use nat64::{
    Filtering, Nat64, Protocol, SessionConfig, SessionConfigError, SessionCounters, SessionView, TcpState,
    Timeouts, Usage,
};
pub use packet::{Action, HEADROOM, Offload, Packet, PacketError, Verdict};
pub use siit::Siit;
pub use translate::{Config, ZeroChecksum};
