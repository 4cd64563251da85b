//! Which IPv6 address stands for which IPv4 address: RFC 7757 tables, then an RFC 6052 prefix.

use crate::Discard;
use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use sixgate_endpoint::nat64::Prefix;
use std::collections::BTreeMap;
use std::net::{Ipv4Addr, Ipv6Addr};

/// An explicit address mapping (RFC 7757 section 3.1): the bits behind the IPv4 prefix stand behind the IPv6
/// prefix.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Mapping {
    v4: Ipv4Net,
    v6: Ipv6Net,
}

/// Why mappings cannot be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MappingError {
    /// The IPv6 prefix has fewer free bits than the IPv4 prefix.
    #[error(
        "{1} has fewer bits free than {0}; every IPv4 address needs one of its own (RFC 7757 section 3.1): \
         take an IPv6 prefix of at most {2} bits"
    )]
    Narrow(Ipv4Net, Ipv6Net, u8),
    /// A prefix is already mapped.
    #[error("{0} is mapped twice; each prefix has one counterpart (RFC 7757 section 3.1)")]
    Twice(IpNet),
    /// More mappings than are kept.
    #[error("more than {MAX_MAPPINGS} mappings")]
    Many,
}

/// Mappings that one table holds.
const MAX_MAPPINGS: usize = 65_536;

impl Mapping {
    /// A mapping between two prefixes; bits behind the prefixes are left out.
    ///
    /// # Errors
    /// Where the IPv6 prefix leaves fewer bits than the IPv4 prefix.
    pub fn new(v4: Ipv4Net, v6: Ipv6Net) -> Result<Self, MappingError> {
        let free = 32 - v4.prefix_len();
        if v6.prefix_len() > 128 - free {
            return Err(MappingError::Narrow(v4, v6, 128 - free));
        }
        Ok(Self { v4: v4.trunc(), v6: v6.trunc() })
    }

    /// The IPv4 prefix.
    pub fn v4(&self) -> Ipv4Net {
        self.v4
    }

    /// The IPv6 prefix.
    pub fn v6(&self) -> Ipv6Net {
        self.v6
    }

    /// RFC 7757 section 3.3.1: the suffix moves; what is left behind it is zero.
    fn to_v6(self, address: Ipv4Addr) -> Ipv6Addr {
        let suffix = u128::from(address.to_bits() & hostmask_v4(self.v4.prefix_len()));
        let shift = 128 - self.v6.prefix_len() - (32 - self.v4.prefix_len());
        Ipv6Addr::from_bits(self.v6.network().to_bits() | suffix.checked_shl(u32::from(shift)).unwrap_or(0))
    }

    /// RFC 7757 section 3.3.2: what is behind the suffix is not looked at.
    fn to_v4(self, address: Ipv6Addr) -> Ipv4Addr {
        let shift = 128 - self.v6.prefix_len() - (32 - self.v4.prefix_len());
        // A shift by all of 128 bits does not occur where a suffix has bits.
        let suffix = address.to_bits().checked_shr(u32::from(shift)).unwrap_or(0) as u32;
        Ipv4Addr::from_bits(self.v4.network().to_bits() | suffix & hostmask_v4(self.v4.prefix_len()))
    }
}

fn hostmask_v4(length: u8) -> u32 {
    u32::MAX.checked_shr(u32::from(length)).unwrap_or(0)
}

/// The addresses of a stateless translator: the longest mapping of a table, and a prefix for all others.
#[derive(Debug, Clone, Default)]
pub struct AddressMap {
    prefix: Option<Prefix>,
    v4: BTreeMap<(u8, u32), Mapping>,
    v6: BTreeMap<(u8, u128), Mapping>,
    /// Lengths that occur, longest first.
    lengths_v4: Vec<u8>,
    lengths_v6: Vec<u8>,
}

/// How an address was translated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum By {
    Mapping,
    Prefix,
}

impl AddressMap {
    /// Mappings, and a prefix for the addresses that none of them covers.
    ///
    /// # Errors
    /// Where a prefix is mapped twice, or there are too many.
    pub fn new(
        prefix: Option<Prefix>,
        mappings: impl IntoIterator<Item = Mapping>,
    ) -> Result<Self, MappingError> {
        let mut map = Self { prefix, ..Self::default() };
        for mapping in mappings {
            if map.v4.len() >= MAX_MAPPINGS {
                return Err(MappingError::Many);
            }
            let v4 = (mapping.v4.prefix_len(), mapping.v4.network().to_bits());
            if map.v4.insert(v4, mapping).is_some() {
                return Err(MappingError::Twice(mapping.v4.into()));
            }
            let v6 = (mapping.v6.prefix_len(), mapping.v6.network().to_bits());
            if map.v6.insert(v6, mapping).is_some() {
                return Err(MappingError::Twice(mapping.v6.into()));
            }
        }
        map.lengths_v4 = lengths(map.v4.keys().map(|key| key.0));
        map.lengths_v6 = lengths(map.v6.keys().map(|key| key.0));
        Ok(map)
    }

    /// The prefix for addresses without a mapping.
    pub fn prefix(&self) -> Option<Prefix> {
        self.prefix
    }

    fn mapping_v4(&self, address: Ipv4Addr) -> Option<&Mapping> {
        self.lengths_v4.iter().find_map(|&length| {
            let network = address.to_bits() & !hostmask_v4(length);
            self.v4.get(&(length, network))
        })
    }

    fn mapping_v6(&self, address: Ipv6Addr) -> Option<&Mapping> {
        self.lengths_v6.iter().find_map(|&length| {
            let host = u128::MAX.checked_shr(u32::from(length)).unwrap_or(0);
            self.v6.get(&(length, address.to_bits() & !host))
        })
    }

    /// The IPv6 address for an IPv4 address.
    pub fn to_v6(&self, address: Ipv4Addr) -> Option<Ipv6Addr> {
        self.find_v6(address).map(|(address, _)| address)
    }

    /// The IPv4 address for an IPv6 address.
    pub fn to_v4(&self, address: Ipv6Addr) -> Option<Ipv4Addr> {
        self.find_v4(address).map(|(address, _)| address)
    }

    pub(crate) fn find_v6(&self, address: Ipv4Addr) -> Option<(Ipv6Addr, By)> {
        match self.mapping_v4(address) {
            Some(mapping) => Some((mapping.to_v6(address), By::Mapping)),
            None => Some((synthesise(self.prefix?, address)?, By::Prefix)),
        }
    }

    pub(crate) fn find_v4(&self, address: Ipv6Addr) -> Option<(Ipv4Addr, By)> {
        match self.mapping_v6(address) {
            Some(mapping) => Some((mapping.to_v4(address), By::Mapping)),
            None => Some((extract(self.prefix?, address)?, By::Prefix)),
        }
    }

    /// By the prefix alone, whatever the table says (RFC 7757 section 4.2.2).
    pub(crate) fn by_prefix(&self, address: Ipv4Addr) -> Option<Ipv6Addr> {
        synthesise(self.prefix?, address)
    }

    pub(crate) fn has_mapping(&self, address: Ipv4Addr) -> bool {
        self.mapping_v4(address).is_some()
    }
}

fn lengths(all: impl Iterator<Item = u8>) -> Vec<u8> {
    let mut lengths: Vec<u8> = all.collect();
    lengths.sort_unstable_by(|a, b| b.cmp(a));
    lengths.dedup();
    lengths
}

/// The address behind a prefix; none where the well-known prefix must not stand for it (RFC 6052 section
/// 3.1).
pub(crate) fn synthesise(prefix: Prefix, address: Ipv4Addr) -> Option<Ipv6Addr> {
    (!is_well_known(prefix) || is_global(address)).then(|| prefix.synthesise(address))
}

/// The address within; none where the prefix is another one, or must not stand for it.
pub(crate) fn extract(prefix: Prefix, address: Ipv6Addr) -> Option<Ipv4Addr> {
    let found = prefix.extract(address)?;
    (!is_well_known(prefix) || is_global(found)).then_some(found)
}

/// By numbers: each packet asks for it.
fn is_well_known(prefix: Prefix) -> bool {
    prefix.length() == 96 && prefix.address().to_bits() == Prefix::WELL_KNOWN.address().to_bits()
}

/// Whether an IPv4 address is globally reachable (IANA's registry of special-purpose addresses, RFC 6890).
/// The two ranges of documentation beside 192.0.2.0/24 are not either; 192.0.0.9 and 192.0.0.10 are.
pub(crate) fn is_global(address: Ipv4Addr) -> bool {
    let [a, b, c, d] = address.octets();
    !(a == 0
        || a == 10
        || a == 127
        || a >= 224
        || (a == 100 && b & 0xc0 == 64)
        || (a == 169 && b == 254)
        || (a == 172 && b & 0xf0 == 16)
        || (a == 192 && b == 0 && c == 0 && d != 9 && d != 10)
        || (a == 192 && b == 0 && c == 2)
        || (a == 192 && b == 168)
        || (a == 198 && b & 0xfe == 18)
        || (a == 198 && b == 51 && c == 100)
        || (a == 203 && b == 0 && c == 113))
}

/// Refuses what no packet on the way has as its source or destination (RFC 7915 section 4.1, RFC 1812
/// section 5.3.7).
pub(crate) fn check_v4(source: Ipv4Addr, destination: Ipv4Addr) -> Result<(), Discard> {
    if never_v4(source) || never_v4(destination) { Err(Discard::Martian) } else { Ok(()) }
}

/// The same for an ICMP error, which may come from a router without an address of its own: that is left to be
/// seen (RFC 7915 section 4.1).
pub(crate) fn check_error_v4(source: Ipv4Addr, destination: Ipv4Addr) -> Result<(), Discard> {
    let group = source.is_multicast() || source.is_broadcast();
    if group || never_v4(destination) { Err(Discard::Martian) } else { Ok(()) }
}

fn never_v4(address: Ipv4Addr) -> bool {
    matches!(address.octets()[0], 0 | 127 | 224..)
}

/// The same for IPv6 (RFC 4291 section 2.5; link-local addresses are never forwarded).
pub(crate) fn check_v6(source: Ipv6Addr, destination: Ipv6Addr) -> Result<(), Discard> {
    let never = |address: Ipv6Addr| {
        address.is_multicast()
            || address.is_unicast_link_local()
            || address.is_loopback()
            || address.is_unspecified()
            || address.to_ipv4_mapped().is_some()
    };
    if never(source) || never(destination) { Err(Discard::Martian) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mapping(v4: &str, v6: &str) -> Mapping {
        Mapping::new(v4.parse().unwrap(), v6.parse().unwrap()).unwrap()
    }

    /// RFC 7757 section 3.2, the example table, and what section 3.3 makes of it.
    #[test]
    fn example_of_rfc_7757() {
        let map = AddressMap::new(
            Some("64:ff9b:1::".parse().map(|address| Prefix::new(address, 96).unwrap()).unwrap()),
            [
                mapping("192.0.2.1/32", "2001:db8:aaaa::/128"),
                mapping("192.0.2.2/32", "2001:db8:bbbb::b/128"),
                mapping("192.0.2.16/28", "2001:db8:cccc::/124"),
                mapping("192.0.2.128/26", "2001:db8:dddd::/64"),
                mapping("192.0.2.192/29", "2001:db8:eeee:8::/62"),
                mapping("192.0.2.224/31", "64:ff9b::/127"),
            ],
        )
        .unwrap();
        for (v4, v6) in [
            ("192.0.2.1", "2001:db8:aaaa::"),
            ("192.0.2.2", "2001:db8:bbbb::b"),
            ("192.0.2.16", "2001:db8:cccc::"),
            ("192.0.2.24", "2001:db8:cccc::8"),
            ("192.0.2.31", "2001:db8:cccc::f"),
            ("192.0.2.128", "2001:db8:dddd::"),
            ("192.0.2.152", "2001:db8:dddd:0:6000::"),
            ("192.0.2.183", "2001:db8:dddd:0:dc00::"),
            ("192.0.2.191", "2001:db8:dddd:0:fc00::"),
            ("192.0.2.193", "2001:db8:eeee:8:8000::"),
            ("192.0.2.197", "2001:db8:eeee:a:8000::"),
            ("192.0.2.225", "64:ff9b::1"),
            ("192.0.2.3", "64:ff9b:1::c000:203"),
        ] {
            assert_eq!(map.to_v6(v4.parse().unwrap()), Some(v6.parse().unwrap()), "{v4}");
            assert_eq!(map.to_v4(v6.parse().unwrap()), Some(v4.parse().unwrap()), "{v6}");
        }
        // Bits behind the suffix are not looked at (section 3.3.2).
        let with_bits = "2001:db8:dddd:0:dc00::7".parse().unwrap();
        assert_eq!(map.to_v4(with_bits), Some("192.0.2.183".parse().unwrap()));
        assert_eq!(map.to_v4("2001:db8::1".parse().unwrap()), None);
    }

    #[test]
    fn the_longest_mapping_counts() {
        let map = AddressMap::new(
            None,
            [
                mapping("0.0.0.0/0", "2001:db8::/96"),
                mapping("10.0.0.0/8", "2001:db8:a::/104"),
                mapping("10.0.0.1/32", "2001:db8::1/128"),
            ],
        )
        .unwrap();
        let v6 = |text: &str| map.to_v6(text.parse().unwrap()).unwrap().to_string();
        assert_eq!(v6("10.0.0.1"), "2001:db8::1");
        assert_eq!(v6("10.0.0.2"), "2001:db8:a::2");
        assert_eq!(v6("11.0.0.2"), "2001:db8::b00:2");
        // Not symmetric where tables overlap: the longest prefix of the other side counts.
        assert_eq!(map.to_v4("2001:db8::1".parse().unwrap()), Some("10.0.0.1".parse().unwrap()));
        assert_eq!(map.to_v4("2001:db8::2".parse().unwrap()), Some("0.0.0.2".parse().unwrap()));
    }

    #[test]
    fn what_cannot_be_is_said() {
        let (v4, v6) = ("192.0.2.0/24".parse().unwrap(), "2001:db8::/121".parse().unwrap());
        assert_eq!(Mapping::new(v4, v6), Err(MappingError::Narrow(v4, v6, 120)));
        let one = mapping("192.0.2.0/24", "2001:db8::/120");
        let other = mapping("192.0.3.0/24", "2001:db8::/120");
        assert_eq!(
            AddressMap::new(None, [one, other]).unwrap_err(),
            MappingError::Twice("2001:db8::/120".parse().unwrap())
        );
        assert_eq!(
            AddressMap::new(None, [one, one]).unwrap_err(),
            MappingError::Twice("192.0.2.0/24".parse().unwrap())
        );
    }

    /// RFC 6052 section 3.1; RFC 8215 lets its prefix do it.
    #[test]
    fn the_well_known_prefix_stands_for_no_private_address() {
        let map = AddressMap::new(Some(Prefix::WELL_KNOWN), []).unwrap();
        for address in [
            "10.1.2.3",
            "192.168.1.1",
            "172.16.0.1",
            "172.31.255.1",
            "100.64.0.1",
            "100.127.0.1",
            "169.254.1.1",
            "198.18.0.1",
            "198.19.0.1",
            "192.0.0.170",
            "192.0.2.1",
            "198.51.100.1",
            "203.0.113.1",
            "240.0.0.1",
            "255.255.255.255",
            "127.0.0.1",
            "0.0.0.0",
            "224.0.0.1",
        ] {
            let address: Ipv4Addr = address.parse().unwrap();
            assert_eq!(map.to_v6(address), None, "{address}");
            assert_eq!(map.to_v4(Prefix::WELL_KNOWN.synthesise(address)), None, "{address}");
        }
        for address in
            ["9.9.9.9", "172.32.0.1", "172.15.0.1", "100.128.0.1", "192.0.0.9", "198.20.0.1", "223.0.0.1"]
        {
            let address: Ipv4Addr = address.parse().unwrap();
            assert_eq!(map.to_v6(address), Some(Prefix::WELL_KNOWN.synthesise(address)));
        }
        let own = Prefix::new("64:ff9b:1::".parse().unwrap(), 96).unwrap();
        let map = AddressMap::new(Some(own), []).unwrap();
        assert!(map.to_v6("10.1.2.3".parse().unwrap()).is_some());
    }
}
