//! Client identifiers (RFC 2132 section 9.14, RFC 4361).

use super::Hardware;
use crate::dhcpv6::Duid;
use std::fmt::{self, Write as _};
use std::str::FromStr;

/// Most octets of a client identifier. RFC 3396 would allow more; no client sends so many.
const MAX: usize = 255;
/// The type of an identifier that is an IAID and a DUID (RFC 4361 section 6.1).
const IAID_AND_DUID: u8 = 255;

/// By what a server tells clients apart: the octets of option 61, its type included, or for a client that
/// sends none its hardware type and address, which is the form that most clients send (RFC 2132 section
/// 9.14). It is compared as a whole and never interpreted to decide who holds a lease; [`ClientId::kind`] is
/// for choices about clients.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ClientId(Box<[u8]>);

/// Why octets or text are not a client identifier.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ClientIdError {
    /// Fewer than 2 or more than 255 octets.
    #[error("a client identifier has 2 to 255 octets, its type included; this one has {length}")]
    Length {
        /// Octets given.
        length: usize,
    },
    /// The text is not pairs of hexadecimal digits.
    #[error(
        "a client identifier is written as pairs of hexadecimal digits with colons between them: {text:?} \
         is not"
    )]
    Text {
        /// What was given.
        text: String,
    },
}

/// What a client identifier is made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ClientIdKind<'a> {
    /// The host and which of its interfaces: the same DUID as in DHCPv6 (RFC 4361).
    Duid {
        /// The number of the interface.
        iaid: u32,
        /// The host.
        duid: Duid,
    },
    /// A hardware type and an address.
    Hardware(Hardware),
    /// Anything else.
    Other(&'a [u8]),
}

impl ClientId {
    /// Takes the octets of option 61.
    ///
    /// # Errors
    /// [`ClientIdError::Length`] outside 2 to 255 octets.
    pub fn new(octets: &[u8]) -> Result<Self, ClientIdError> {
        if (2..=MAX).contains(&octets.len()) {
            Ok(Self(octets.into()))
        } else {
            Err(ClientIdError::Length { length: octets.len() })
        }
    }

    /// The identity of a client that sends no option 61.
    pub fn hardware(hardware: Hardware) -> Self {
        let mut octets = vec![hardware.kind()];
        octets.extend_from_slice(hardware.address());
        Self(octets.into())
    }

    /// An identifier of RFC 4361.
    pub fn duid(iaid: u32, duid: &Duid) -> Self {
        let mut octets = vec![IAID_AND_DUID];
        octets.extend_from_slice(&iaid.to_be_bytes());
        octets.extend_from_slice(duid.as_bytes());
        Self(octets.into())
    }

    /// All octets.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// What the identifier is made of.
    pub fn kind(&self) -> ClientIdKind<'_> {
        match *self.0 {
            [IAID_AND_DUID, a, b, c, d, ref duid @ ..] => match Duid::new(duid) {
                Ok(duid) => ClientIdKind::Duid { iaid: u32::from_be_bytes([a, b, c, d]), duid },
                Err(_) => ClientIdKind::Other(&self.0),
            },
            // Only Ethernet: of other types the length is not known, and 0 stands for a name.
            [1, ref address @ ..] if address.len() == 6 => {
                Hardware::new(1, address).map_or(ClientIdKind::Other(&self.0), ClientIdKind::Hardware)
            }
            _ => ClientIdKind::Other(&self.0),
        }
    }
}

impl fmt::Display for ClientId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        hex(f, &self.0)
    }
}

impl fmt::Debug for ClientId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ClientId({self})")
    }
}

impl FromStr for ClientId {
    type Err = ClientIdError;

    fn from_str(text: &str) -> Result<Self, ClientIdError> {
        let octet = |pair: &str| {
            let digits = pair.len() == 2 && pair.bytes().all(|digit| digit.is_ascii_hexdigit());
            digits.then(|| u8::from_str_radix(pair, 16).ok()).flatten()
        };
        let octets: Option<Vec<u8>> = text.split(':').map(octet).collect();
        Self::new(&octets.ok_or_else(|| ClientIdError::Text { text: text.to_owned() })?)
    }
}

/// Pairs of hexadecimal digits with colons between them.
pub(super) fn hex(f: &mut fmt::Formatter<'_>, octets: &[u8]) -> fmt::Result {
    for (i, octet) in octets.iter().enumerate() {
        if i > 0 {
            f.write_char(':')?;
        }
        write!(f, "{octet:02x}")?;
    }
    Ok(())
}
