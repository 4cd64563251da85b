//! The two families, and which of them a program shall use.

use crate::Endpoint;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// An address family.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Family {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

impl Family {
    /// Both, the preferred one first (RFC 8305 section 4).
    pub const BOTH: [Self; 2] = [Self::V6, Self::V4];

    /// The family of an address. A mapped address (`::ffff:192.0.2.1`) is IPv4: ask for the family of what
    /// [`Endpoint`] holds.
    pub fn of(address: impl Into<IpAddr>) -> Self {
        if address.into().to_canonical().is_ipv4() { Self::V4 } else { Self::V6 }
    }

    /// The unspecified address of this family with port 0, for a socket that shall connect from whatever address and port the
    /// kernel chooses.
    pub fn any_port(self) -> Endpoint {
        let unspecified = match self {
            Self::V4 => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            Self::V6 => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
        };
        Endpoint::new(unspecified).with_port(0)
    }

    /// The other one.
    #[must_use]
    pub fn other(self) -> Self {
        match self {
            Self::V4 => Self::V6,
            Self::V6 => Self::V4,
        }
    }
}

impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::V4 => "IPv4",
            Self::V6 => "IPv6",
        })
    }
}
