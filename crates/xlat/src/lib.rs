//! Translation between IPv4 and IPv6: packets in, packets out.
//!
//! - [`Siit`] is stateless: RFC 7915 with the address mappings of RFC 7757. As [`Siit::clat`] it is the customer side of
//!   464XLAT (RFC 6877).
//! - [`Nat64`] is stateful (RFC 6146): many IPv6 hosts share a few IPv4 addresses.
//!
//! Both take a [`Packet`] of either family, translate it in place, and return a [`Verdict`]; what is to be sent besides
//! (fragments, ICMP errors) and what is to be written down comes as [`Action`]s. There is no clock, socket or thread:
//! `now` is the caller's.
//!
//! Not here: application protocols that carry addresses in their payload. FTP in particular is **not** translated; its
//! extended passive mode (RFC 2428) works without help.

mod address;
mod budget;
mod checksum;
mod discard;
mod event;
mod header;
mod icmp;
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
