//! DHCPv4 messages (RFC 2131) and their options (RFC 2132).

mod build;
mod client_id;
mod option;
mod packet;
mod registry;
#[cfg(test)]
mod tests;

pub use build::{Builder, MIN_MESSAGE};
pub use client_id::{ClientId, ClientIdError, ClientIdKind};
pub use option::{Options, Value};
pub use packet::packet;
pub use registry::{Form, MessageType, OptionCode};

use crate::WireError;
use crate::bytes::{take, u16_at, u32_at};
use std::net::Ipv4Addr;

/// UDP port on which servers and relay agents listen (RFC 2131 section 4.1).
pub const SERVER_PORT: u16 = 67;
/// UDP port on which clients listen (RFC 2131 section 4.1).
pub const CLIENT_PORT: u16 = 68;
/// The value of a lease time that stands for "for ever", in seconds (RFC 2131 section 3.3).
pub const INFINITY: u32 = u32::MAX;
/// The value of `op` in what clients send.
pub const BOOTREQUEST: u8 = 1;
/// The value of `op` in what servers send.
pub const BOOTREPLY: u8 = 2;
/// The first four octets of the options (RFC 2131 section 3).
pub const MAGIC_COOKIE: [u8; 4] = [99, 130, 83, 99];
/// Octets before the cookie.
pub const HEADER: usize = 236;
/// The message size that every client takes (RFC 2131 section 2: options of 312 octets, the cookie among
/// them).
pub const DEFAULT_MAX_MESSAGE: usize = 548;
/// The client cannot take unicast before it has an address (RFC 2131 section 2).
pub const BROADCAST: u16 = 0x8000;
/// A V6ONLY_WAIT below this is taken for this, in seconds (MIN_V6ONLY_WAIT, RFC 8925 section 3.4).
pub const MIN_V6ONLY_WAIT: u32 = 300;
/// V6ONLY_WAIT unless told otherwise, in seconds (RFC 8925 section 3.4).
pub const V6ONLY_WAIT: u32 = 1800;

mod field {
    pub(super) const HTYPE: usize = 1;
    pub(super) const HLEN: usize = 2;
    pub(super) const HOPS: usize = 3;
    pub(super) const XID: usize = 4;
    pub(super) const SECS: usize = 8;
    pub(super) const FLAGS: usize = 10;
    pub(super) const CIADDR: usize = 12;
    pub(super) const YIADDR: usize = 16;
    pub(super) const SIADDR: usize = 20;
    pub(super) const GIADDR: usize = 24;
    pub(super) const CHADDR: usize = 28;
    pub(super) const SNAME: std::ops::Range<usize> = 44..108;
    pub(super) const FILE: std::ops::Range<usize> = 108..236;
}

/// A hardware address as `chaddr` holds it, 0 to 16 octets, with its type.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Hardware {
    kind: u8,
    length: u8,
    octets: [u8; 16],
}

impl Hardware {
    /// An address of IANA's ARP hardware type `kind`; 1 is Ethernet. `None` where it is longer than 16
    /// octets.
    pub fn new(kind: u8, address: &[u8]) -> Option<Self> {
        let mut octets = [0; 16];
        octets.get_mut(..address.len())?.copy_from_slice(address);
        Some(Self { kind, length: address.len() as u8, octets })
    }

    /// An Ethernet address.
    pub fn ethernet(address: [u8; 6]) -> Self {
        let mut octets = [0; 16];
        for (to, from) in octets.iter_mut().zip(address) {
            *to = from;
        }
        Self { kind: 1, length: 6, octets }
    }

    /// The hardware type.
    pub fn kind(&self) -> u8 {
        self.kind
    }

    /// The address without what `chaddr` pads it with.
    pub fn address(&self) -> &[u8] {
        self.octets.get(..usize::from(self.length)).unwrap_or_default()
    }

    /// The Ethernet address, if it is one.
    pub fn as_ethernet(&self) -> Option<[u8; 6]> {
        if self.kind == 1 { self.address().try_into().ok() } else { None }
    }
}

impl std::fmt::Display for Hardware {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        client_id::hex(f, self.address())
    }
}

impl std::fmt::Debug for Hardware {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Hardware({}: {self})", self.kind)
    }
}

/// The fixed part of a message, without `sname` and `file`: what [`Builder::new`] writes and
/// [`Message::header`] reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// [`BOOTREQUEST`] or [`BOOTREPLY`].
    pub op: u8,
    /// The client's hardware address.
    pub hardware: Hardware,
    /// Relay agents passed.
    pub hops: u8,
    /// By which the client knows the answer to its message again.
    pub xid: u32,
    /// Seconds since the client began to ask.
    pub secs: u16,
    /// [`BROADCAST`], and bits that must be zero.
    pub flags: u16,
    /// The address that the client has and can be reached at.
    pub ciaddr: Ipv4Addr,
    /// "Your" address: what the client gets.
    pub yiaddr: Ipv4Addr,
    /// The next server to boot from.
    pub siaddr: Ipv4Addr,
    /// The relay agent's address on the client's link.
    pub giaddr: Ipv4Addr,
}

/// A DHCPv4 message.
///
/// ```text
///  0                   1                   2                   3
///  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
/// +---------------+---------------+---------------+---------------+
/// |     op (1)    |   htype (1)   |   hlen (1)    |   hops (1)    |
/// +---------------+---------------+---------------+---------------+
/// |                            xid (4)                            |
/// +-------------------------------+-------------------------------+
/// |           secs (2)            |           flags (2)           |
/// +-------------------------------+-------------------------------+
/// |          ciaddr, yiaddr, siaddr, giaddr (4 each)              |
/// |          chaddr (16), sname (64), file (128)                  |
/// +---------------------------------------------------------------+
/// |                     cookie (4), options                       |
/// +---------------------------------------------------------------+
/// ```
/// RFC 2131 section 2.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Message<'a> {
    header: Header,
    kind: MessageType,
    options: Options<'a>,
}

impl<'a> Message<'a> {
    /// Reads a message.
    ///
    /// # Errors
    /// [`WireError`] where the header is cut short, the cookie is not DHCP's, `hlen` is beyond `chaddr`, an
    /// option overruns its field, or there is no message type: a BOOTP packet (RFC 951) is no DHCP message.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, WireError> {
        let (fixed, rest) = take::<HEADER>(bytes, "DHCPv4 header")?;
        let (cookie, rest) = take::<4>(rest, "DHCPv4 magic cookie")?;
        if *cookie != MAGIC_COOKIE {
            return Err(WireError::BadValue {
                what: "DHCPv4 magic cookie",
                value: u32::from_be_bytes(*cookie),
            });
        }
        let octet = |at: usize| fixed.get(at).copied().unwrap_or_default();
        let address = |at: usize| Ipv4Addr::from(u32_at(fixed, at));
        let length = octet(field::HLEN);
        let chaddr = fixed.get(field::CHADDR..field::CHADDR + usize::from(length));
        let hardware = chaddr
            .and_then(|address| Hardware::new(octet(field::HTYPE), address))
            .ok_or(WireError::BadLength { what: "DHCPv4 hardware address", length: usize::from(length) })?;
        let sname = fixed.get(field::SNAME).unwrap_or_default();
        let file = fixed.get(field::FILE).unwrap_or_default();
        let options = Options::parse(rest, file, sname)?;
        let header = Header {
            op: octet(0),
            hardware,
            hops: octet(field::HOPS),
            xid: u32_at(fixed, field::XID),
            secs: u16_at(fixed, field::SECS),
            flags: u16_at(fixed, field::FLAGS),
            ciaddr: address(field::CIADDR),
            yiaddr: address(field::YIADDR),
            siaddr: address(field::SIADDR),
            giaddr: address(field::GIADDR),
        };
        match options.get(OptionCode::MESSAGE_TYPE).as_deref() {
            Some(&[kind]) => Ok(Self { header, kind: MessageType(kind), options }),
            Some(other) => Err(WireError::BadLength { what: "DHCPv4 message type", length: other.len() }),
            None => Err(WireError::Truncated { what: "DHCPv4 message type", need: 1, have: 0 }),
        }
    }

    /// The fixed part.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// What the message asks or tells.
    pub fn kind(&self) -> MessageType {
        self.kind
    }

    /// The message's options.
    pub fn options(&self) -> Options<'a> {
        self.options
    }
}
