//! IPv4 addresses inside IPv6 addresses.

use crate::nat64::Prefix;
use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};

/// By what means an IPv6 address came to hold an IPv4 address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Mechanism {
    /// A translator: `64:ff9b::/96`, a prefix of one's own network (RFC 6052), or one below `64:ff9b:1::/48`
    /// (RFC 8215).
    Nat64,
    /// 6to4: `2002::/16`, the address of the tunnel's end (RFC 3056 section 2).
    SixToFour,
    /// Teredo: `2001::/32`, the address of the client as its server saw it (RFC 4380 section 4).
    Teredo,
    /// ISATAP: an interface identifier `0:5efe` or `200:5efe` and the address of the tunnel's end (RFC 5214
    /// section 6.1).
    Isatap,
    /// IPv4-compatible: `::192.0.2.1`, deprecated (RFC 4291 section 2.5.5.1).
    Compatible,
}

impl fmt::Display for Mechanism {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Nat64 => "NAT64",
            Self::SixToFour => "6to4",
            Self::Teredo => "Teredo",
            Self::Isatap => "ISATAP",
            Self::Compatible => "IPv4-compatible",
        })
    }
}

/// `64:ff9b:1::/48` (RFC 8215).
const LOCAL: Ipv6Addr = Ipv6Addr::new(0x64, 0xff9b, 1, 0, 0, 0, 0, 0);

/// The IPv4 address in an IPv6 address, and how it came there. The prefixes given are asked first, the
/// longest before all; what they do not hold, the well-known ones do.
///
/// Which addresses below `64:ff9b:1::/48` hold the IPv4 address where, only its network knows (RFC 8215
/// section 5): unless it is among `prefixes`, a /96 is supposed.
///
/// A mapped address is no such address: it *is* IPv4.
pub fn embedded(address: Ipv6Addr, prefixes: &[Prefix]) -> Option<(Mechanism, Ipv4Addr)> {
    let nat64 = prefixes
        .iter()
        .filter_map(|prefix| Some((prefix.length(), prefix.extract(address)?)))
        .max_by_key(|&(length, _)| length);
    if let Some((_, v4)) = nat64 {
        return Some((Mechanism::Nat64, v4));
    }
    let bits = address.to_bits();
    let last = Ipv4Addr::from_bits(bits as u32);
    if Prefix::WELL_KNOWN.extract(address).is_some() || bits >> 80 == LOCAL.to_bits() >> 80 {
        return Some((Mechanism::Nat64, last));
    }
    match address.segments() {
        [0x2002, a, b, ..] => {
            Some((Mechanism::SixToFour, Ipv4Addr::from_bits(u32::from(a) << 16 | u32::from(b))))
        }
        // The client's address has all bits turned over.
        [0x2001, 0, ..] => Some((Mechanism::Teredo, Ipv4Addr::from_bits(!(bits as u32)))),
        // The bit in which the two differ says whether the IPv4 address is a public one.
        [_, _, _, _, 0 | 0x200, 0x5efe, ..] => Some((Mechanism::Isatap, last)),
        // `::` and `::1` are not meant, nor is anything in 0.0.0.0/8 a host.
        [0, 0, 0, 0, 0, 0, 0x100..=0xffff, _] => Some((Mechanism::Compatible, last)),
        _ => None,
    }
}
