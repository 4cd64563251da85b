//! Packet formats of DHCPv6 (RFC 9915), DHCPv4 (RFC 2131) and ICMPv6 Neighbour Discovery (RFC 4861).
//!
//! A *view* ([`dhcpv6::Message`], [`dhcpv4::Message`], [`ndp::Message`]) borrows received bytes. Its parser
//! checks every length once; after that, getters and iterators never fail and never panic, whatever the bytes
//! hold. What this crate does not know stays visible as opaque bytes: an unknown option is a value, not an
//! error.
//!
//! A *builder* ([`dhcpv6::Builder`], [`dhcpv4::Builder`], [`ndp::Builder`]) writes into a buffer of the
//! caller's. Running out of room is remembered and reported once, by `finish`.
//!
//! This crate holds no state, no clock and no socket.

pub mod dhcpv4;
pub mod dhcpv6;
pub mod domain;
pub mod few;
pub mod frame;
pub mod ndp;

mod bytes;
mod registry;

/// Why bytes could not be read, or why a packet could not be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum WireError {
    /// The packet ends before the named part does.
    #[error("{what} is cut short: it needs {need} octets and {have} are left")]
    Truncated {
        /// The part that was being read.
        what: &'static str,
        /// Octets that the part needs.
        need: usize,
        /// Octets that were left.
        have: usize,
    },
    /// A length field holds a value that its RFC forbids.
    #[error("{what} has length {length}, which its definition does not allow")]
    BadLength {
        /// The part that was being read.
        what: &'static str,
        /// The length it gave, in octets.
        length: usize,
    },
    /// A field holds a value that its RFC forbids.
    #[error("{what} holds {value}, which its definition does not allow")]
    BadValue {
        /// The field.
        what: &'static str,
        /// What it held.
        value: u32,
    },
    /// The message is of a kind that this parser does not read.
    #[error("{what} of type {value} is not one that is read here")]
    WrongType {
        /// What was expected.
        what: &'static str,
        /// The type that came.
        value: u8,
    },
    /// The caller's buffer is too small for the packet.
    #[error("the packet does not fit into the buffer of {capacity} octets")]
    NoRoom {
        /// The size of the buffer in octets.
        capacity: usize,
    },
}
