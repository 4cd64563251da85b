//! DHCPv6 messages (RFC 9915) and their options.

mod build;
mod duid;
pub mod leasequery;
mod option;
mod registry;
mod service;
mod shape;
mod softwire;
#[cfg(test)]
mod tests;
mod value;

pub use build::Builder;
pub use duid::{Duid, DuidError, DuidKind};
pub use option::{DhcpOption, Options};
pub use registry::{MessageType, OptionCode, StatusCode};
pub use service::{Counted, EncryptedDns, NtpServer, alpn, excluded_from, numbers, pd_exclude, short_prefix};
pub use shape::{DEFINITIONS, Definition, Shape};
pub use softwire::{S46Bind, S46PortParameters, S46Rule};
pub use value::{
    Addresses, Authentication, Fqdn, IaAddress, IaNa, IaPd, IaPrefix, OptionCodes, Status, VendorData,
};

use crate::WireError;
use crate::bytes::{addr_at, take};
use std::net::Ipv6Addr;

/// UDP port on which clients listen (RFC 9915 section 7.2).
pub const CLIENT_PORT: u16 = 546;
/// UDP port on which servers and relay agents listen (RFC 9915 section 7.2).
pub const SERVER_PORT: u16 = 547;
/// All_DHCP_Relay_Agents_and_Servers, link-scoped (RFC 9915 section 7.1).
pub const ALL_RELAY_AGENTS_AND_SERVERS: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 1, 2);
/// The value that stands for "for ever" in every 32-bit lifetime, in seconds (RFC 9915 section 7.7).
pub const INFINITY: u32 = u32::MAX;
/// Relay-forward messages nest no deeper than this (HOP_COUNT_LIMIT, RFC 9915 section 7.6).
pub const HOP_COUNT_LIMIT: u8 = 8;

/// The three octets by which a client knows the answer to its message again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct TransactionId(pub [u8; 3]);

/// Any DHCPv6 packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Packet<'a> {
    /// Between a client and a server.
    Message(Message<'a>),
    /// Between relay agents and servers.
    Relay(RelayMessage<'a>),
}

impl<'a> Packet<'a> {
    /// Reads the packet in a UDP payload.
    ///
    /// # Errors
    /// [`WireError`] where a header or an option's length does not fit the bytes.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, WireError> {
        match bytes.first().map(|&t| MessageType(t)) {
            Some(MessageType::RELAY_FORWARD | MessageType::RELAY_REPLY) => {
                RelayMessage::parse(bytes).map(Packet::Relay)
            }
            _ => Message::parse(bytes).map(Packet::Message),
        }
    }
}

/// A message between client and server.
///
/// ```text
///  0                   1                   2                   3
///  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
/// +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
/// |    msg-type   |               transaction-id                  |
/// +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
/// .                            options                            .
/// ```
/// RFC 9915 section 8.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Message<'a> {
    kind: MessageType,
    transaction: TransactionId,
    options: Options<'a>,
}

impl<'a> Message<'a> {
    /// Reads a client/server message.
    ///
    /// # Errors
    /// [`WireError`] where the header is cut short, an option overruns the packet, or the type is a relay's.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, WireError> {
        let (&[kind, a, b, c], rest) = take::<4>(bytes, "DHCPv6 header")?;
        let kind = MessageType(kind);
        if kind.is_relay() {
            return Err(WireError::WrongType { what: "DHCPv6 client/server message", value: kind.0 });
        }
        Ok(Self { kind, transaction: TransactionId([a, b, c]), options: Options::parse(rest)? })
    }

    /// What the message asks or tells.
    pub fn kind(&self) -> MessageType {
        self.kind
    }

    /// The client's transaction id.
    pub fn transaction(&self) -> TransactionId {
        self.transaction
    }

    /// The message's options.
    pub fn options(&self) -> Options<'a> {
        self.options
    }
}

/// A message between relay agents, and between them and servers.
///
/// ```text
/// +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
/// |    msg-type   |   hop-count   |                               |
/// +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+  link-address, peer-address    |
/// .                         (16 octets each)                      .
/// +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
/// .                            options                            .
/// ```
/// RFC 9915 section 9.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RelayMessage<'a> {
    kind: MessageType,
    hop_count: u8,
    link_address: Ipv6Addr,
    peer_address: Ipv6Addr,
    options: Options<'a>,
}

impl<'a> RelayMessage<'a> {
    /// Octets before the options.
    pub const HEADER: usize = 34;

    /// Reads a Relay-forward or Relay-reply.
    ///
    /// # Errors
    /// [`WireError`] where the header is cut short, an option overruns the packet, or the type is not a relay's.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, WireError> {
        let (header, rest) = take::<34>(bytes, "DHCPv6 relay header")?;
        let kind = MessageType(header[0]);
        if !kind.is_relay() {
            return Err(WireError::WrongType { what: "DHCPv6 relay message", value: kind.0 });
        }
        Ok(Self {
            kind,
            hop_count: header[1],
            link_address: addr_at(header, 2),
            peer_address: addr_at(header, 18),
            options: Options::parse(rest)?,
        })
    }

    /// Relay-forward or Relay-reply.
    pub fn kind(&self) -> MessageType {
        self.kind
    }

    /// How many relay agents stand between this one and the client.
    pub fn hop_count(&self) -> u8 {
        self.hop_count
    }

    /// An address that tells the server which link the client is on; unspecified where an inner relay told it.
    pub fn link_address(&self) -> Ipv6Addr {
        self.link_address
    }

    /// The client or relay agent from which this relay agent had the message.
    pub fn peer_address(&self) -> Ipv6Addr {
        self.peer_address
    }

    /// The relay agent's options, among them the relayed message.
    pub fn options(&self) -> Options<'a> {
        self.options
    }

    /// The packet inside, if one is there and can be read.
    pub fn relayed(&self) -> Option<Packet<'a>> {
        self.options.iter().find_map(|option| match option {
            DhcpOption::RelayMessage(bytes) => Packet::parse(bytes).ok(),
            _ => None,
        })
    }
}
