//! NAT64 prefixes: found (RFC 7050) and used (RFC 6052).

use crate::Endpoint;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The name whose AAAA records tell of a NAT64 (RFC 7050 section 3).
pub const WELL_KNOWN_NAME: &str = "ipv4only.arpa";

/// The addresses that the name has (RFC 7050 section 2.2).
const WELL_KNOWN: [Ipv4Addr; 2] = [Ipv4Addr::new(192, 0, 0, 170), Ipv4Addr::new(192, 0, 0, 171)];

/// `64:ff9b::/96`, never for addresses that are not global (RFC 6052 section 3.1).
const WELL_KNOWN_PREFIX: [u8; 12] = [0, 0x64, 0xff, 0x9b, 0, 0, 0, 0, 0, 0, 0, 0];

/// Prefixes that are used of one answer.
pub(super) const MAX_PREFIXES: usize = 2;

/// The prefix of a NAT64.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Nat64Prefix {
    octets: [u8; 16],
    length: u8,
}

/// Where the IPv4 address is for each prefix length (RFC 6052 section 2.2): octet 8 is jumped over.
fn places(length: u8) -> Option<[usize; 4]> {
    Some(match length {
        32 => [4, 5, 6, 7],
        40 => [5, 6, 7, 9],
        48 => [6, 7, 9, 10],
        56 => [7, 9, 10, 11],
        64 => [9, 10, 11, 12],
        96 => [12, 13, 14, 15],
        _ => return None,
    })
}

impl Nat64Prefix {
    /// A prefix; `None` where its length is none of RFC 6052 section 2.2.
    pub fn new(prefix: Ipv6Addr, length: u8) -> Option<Self> {
        let places = places(length)?;
        let mut octets = prefix.octets();
        let kept = places[0].min(usize::from(length) / 8);
        octets[kept..].fill(0);
        Some(Self { octets, length })
    }

    /// The prefixes that the AAAA records of [`WELL_KNOWN_NAME`] tell of (RFC 7050 section 3).
    pub fn discover(answer: impl IntoIterator<Item = Endpoint>) -> Vec<Self> {
        let mut found = Vec::new();
        for endpoint in answer {
            let IpAddr::V6(address) = endpoint.address() else { continue };
            let octets = address.octets();
            let holds = |length: &u8| {
                places(*length).is_some_and(|places| {
                    WELL_KNOWN.contains(&Ipv4Addr::from(places.map(|place| octets[place])))
                })
            };
            // Longest first, as the well-known address is then least likely to stand there by chance.
            let prefix = [96, 64, 56, 48, 40, 32].iter().find(|&length| holds(length));
            let Some(prefix) = prefix.and_then(|&length| Self::new(address, length)) else { continue };
            if !found.contains(&prefix) && found.len() < MAX_PREFIXES {
                found.push(prefix);
            }
        }
        found
    }

    /// The IPv6 address that stands for `address` behind this NAT64; `None` where none may: loopback, link-local and multicast
    /// never leave the host or link, and the well-known prefix is for global addresses only (RFC 6052 section 3.1).
    pub fn synthesise(&self, address: Ipv4Addr) -> Option<Ipv6Addr> {
        let never = address.is_loopback()
            || address.is_link_local()
            || address.is_multicast()
            || address.is_unspecified()
            || address.is_broadcast();
        let well_known = self.length == 96 && self.octets[..12] == WELL_KNOWN_PREFIX;
        if never || (well_known && address.is_private()) {
            return None;
        }
        let mut octets = self.octets;
        for (place, octet) in places(self.length)?.into_iter().zip(address.octets()) {
            octets[place] = octet;
        }
        Some(octets.into())
    }
}

impl fmt::Display for Nat64Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", Ipv6Addr::from(self.octets), self.length)
    }
}
