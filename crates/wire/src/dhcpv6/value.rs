//! What DHCPv6 options hold that is more than a number or some octets.

use super::{DhcpOption, OptionCode, Options, StatusCode};
use crate::bytes::{addr_at, u16_at, u32_at};
use crate::domain::DomainNames;
use std::net::Ipv6Addr;

/// Identity Association for Non-temporary Addresses (RFC 9915 section 21.4). Times in seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IaNa<'a> {
    /// The client's number for this association.
    pub iaid: u32,
    /// Seconds after which to renew; 0 leaves it to the client.
    pub t1: u32,
    /// Seconds after which to rebind; 0 leaves it to the client.
    pub t2: u32,
    /// Addresses and status.
    pub options: Options<'a>,
}

impl<'a> IaNa<'a> {
    /// The addresses inside.
    pub fn addresses(&self) -> impl Iterator<Item = IaAddress<'a>> + use<'a> {
        self.options.iter().filter_map(|option| match option {
            DhcpOption::IaAddress(address) => Some(address),
            _ => None,
        })
    }
}

/// An address with its lifetimes in seconds (RFC 9915 section 21.6).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IaAddress<'a> {
    /// The address.
    pub address: Ipv6Addr,
    /// Preferred lifetime in seconds.
    pub preferred: u32,
    /// Valid lifetime in seconds.
    pub valid: u32,
    /// Its options, among them a status.
    pub options: Options<'a>,
}

/// Identity Association for Prefix Delegation (RFC 9915 section 21.21). Times in seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IaPd<'a> {
    /// The client's number for this association.
    pub iaid: u32,
    /// Seconds after which to renew; 0 leaves it to the client.
    pub t1: u32,
    /// Seconds after which to rebind; 0 leaves it to the client.
    pub t2: u32,
    /// Prefixes and status.
    pub options: Options<'a>,
}

impl<'a> IaPd<'a> {
    /// The prefixes inside.
    pub fn prefixes(&self) -> impl Iterator<Item = IaPrefix<'a>> + use<'a> {
        self.options.iter().filter_map(|option| match option {
            DhcpOption::IaPrefix(prefix) => Some(prefix),
            _ => None,
        })
    }
}

/// A prefix with its lifetimes in seconds (RFC 9915 section 21.22).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IaPrefix<'a> {
    /// Preferred lifetime in seconds.
    pub preferred: u32,
    /// Valid lifetime in seconds.
    pub valid: u32,
    /// Length of the prefix in bits, 0 to 128.
    pub prefix_length: u8,
    /// The prefix. Bits beyond its length may be set: the sender should not, and some do.
    pub prefix: Ipv6Addr,
    /// Its options, among them a status and PD Exclude.
    pub options: Options<'a>,
}

impl IaPrefix<'_> {
    /// The prefix with the bits beyond its length cleared.
    pub fn net(&self) -> ipnet::Ipv6Net {
        ipnet::Ipv6Net::new(self.prefix, self.prefix_length.min(128)).unwrap_or_default().trunc()
    }
}

/// Option codes asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OptionCodes<'a> {
    pub(super) bytes: &'a [u8],
}

impl<'a> OptionCodes<'a> {
    /// The codes, in the order of the packet.
    pub fn iter(&self) -> impl Iterator<Item = OptionCode> + use<'a> {
        self.bytes.chunks_exact(2).map(|pair| OptionCode(u16_at(pair, 0)))
    }
}

/// A list of addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Addresses<'a> {
    pub(super) bytes: &'a [u8],
}

impl<'a> Addresses<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes }
    }

    /// The addresses, in the order of the packet.
    pub fn iter(&self) -> impl Iterator<Item = Ipv6Addr> + use<'a> {
        self.bytes.chunks_exact(16).map(|address| addr_at(address, 0))
    }
}

/// A status and the server's words for it (RFC 9915 section 21.13).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Status<'a> {
    /// What came of it.
    pub code: StatusCode,
    /// The server's words, meant as UTF-8 and not checked.
    pub message: &'a [u8],
}

/// The Authentication option (RFC 9915 section 21.11), at least 11 octets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Authentication<'a> {
    pub(super) bytes: &'a [u8],
}

impl<'a> Authentication<'a> {
    /// Protocol 3: Reconfigure Key Authentication Protocol (RFC 9915 section 20.4).
    pub const RECONFIGURE_KEY: u8 = 3;

    /// Which authentication protocol.
    pub fn protocol(&self) -> u8 {
        self.bytes.first().copied().unwrap_or_default()
    }

    /// Which algorithm of it; 1 is HMAC-MD5.
    pub fn algorithm(&self) -> u8 {
        self.bytes.get(1).copied().unwrap_or_default()
    }

    /// Replay detection method; 0 is a counter that only grows.
    pub fn replay_method(&self) -> u8 {
        self.bytes.get(2).copied().unwrap_or_default()
    }

    /// The replay detection value.
    pub fn replay(&self) -> u64 {
        (u64::from(u32_at(self.bytes, 3)) << 32) | u64::from(u32_at(self.bytes, 7))
    }

    /// What the protocol carries: for RKAP a type octet (1 key, 2 HMAC) and 16 octets.
    pub fn information(&self) -> &'a [u8] {
        self.bytes.get(11..).unwrap_or_default()
    }
}

/// Data that begins with an enterprise number: Vendor Class, Vendor Options, Remote-ID.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VendorData<'a> {
    /// IANA's private enterprise number.
    pub enterprise: u32,
    /// The vendor's data.
    pub data: &'a [u8],
}

impl<'a> VendorData<'a> {
    pub(super) fn decode(bytes: &'a [u8]) -> Option<Self> {
        Some(Self { data: bytes.get(4..)?, enterprise: u32_at(bytes, 0) })
    }
}

/// The client's name (RFC 4704).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fqdn<'a> {
    /// N, O and S bits.
    pub flags: u8,
    pub(super) name: &'a [u8],
}

impl Fqdn<'_> {
    /// S: the server should do the forward update.
    pub const SERVER_UPDATES: u8 = 1;
    /// O: the server has overridden the client's wish.
    pub const OVERRIDDEN: u8 = 2;
    /// N: the server should do no update.
    pub const NO_UPDATE: u8 = 4;

    /// The name, whole or only its first labels, as text without a final dot.
    pub fn name(&self) -> Option<String> {
        DomainNames::new(self.name).iter().next()
    }
}
