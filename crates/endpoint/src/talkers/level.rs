//! [`Level`]: how much of an address counts.

use crate::Family;
use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};

/// How much of an address is the key: the address itself, or a prefix of it.
///
/// A host chooses among the 2^64 addresses of its link (RFC 7421), a home is given a /56, and a site or
/// whoever rents a machine a /48 (RFC 6177): an IPv6 talker is as much of these as it takes to name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Level {
    /// IPv6 /48, a site.
    Net48,
    /// IPv6 /56, a home.
    Net56,
    /// IPv6 /64, a link.
    Net64,
    /// IPv6 /128, an address.
    Host6,
    /// IPv4 /24.
    Net24,
    /// IPv4 /32, an address.
    Host4,
}

impl Level {
    /// All of them, each family from coarse to fine.
    pub const ALL: [Self; 6] = [Self::Net48, Self::Net56, Self::Net64, Self::Host6, Self::Net24, Self::Host4];

    /// Those of IPv6, from coarse to fine.
    pub const V6: [Self; 4] = [Self::Net48, Self::Net56, Self::Net64, Self::Host6];

    /// Those of IPv4, from coarse to fine.
    pub const V4: [Self; 2] = [Self::Net24, Self::Host4];

    /// The levels of a family, from coarse to fine.
    pub fn of(family: Family) -> &'static [Self] {
        match family {
            Family::V6 => &Self::V6,
            Family::V4 => &Self::V4,
        }
    }

    /// Of which family.
    pub fn family(self) -> Family {
        if matches!(self, Self::Net24 | Self::Host4) { Family::V4 } else { Family::V6 }
    }

    /// Length of the prefix, in bits.
    pub fn prefix_len(self) -> u8 {
        match self {
            Self::Net48 => 48,
            Self::Net56 => 56,
            Self::Net64 => 64,
            Self::Host6 => 128,
            Self::Net24 => 24,
            Self::Host4 => 32,
        }
    }

    /// Whether the key is an address.
    pub fn is_host(self) -> bool {
        matches!(self, Self::Host6 | Self::Host4)
    }

    /// Which bits of [`Key::net`] belong to the key.
    pub(super) fn mask(self) -> u64 {
        match self {
            Self::Net48 => !0 << 16,
            Self::Net56 => !0 << 8,
            Self::Net64 | Self::Host6 => !0,
            Self::Net24 => !0 << 40,
            Self::Host4 => !0 << 32,
        }
    }

    /// The prefix of a key.
    pub(super) fn prefix(self, key: Key) -> IpNet {
        match self.family() {
            Family::V6 => {
                let address = Ipv6Addr::from_bits(u128::from(key.net) << 64 | u128::from(key.rest));
                Ipv6Net::new_assert(address, self.prefix_len()).into()
            }
            Family::V4 => {
                let address = Ipv4Addr::from_bits((key.net >> 32) as u32);
                Ipv4Net::new_assert(address, self.prefix_len()).into()
            }
        }
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Net48 => "IPv6 /48",
            Self::Net56 => "IPv6 /56",
            Self::Net64 => "IPv6 /64",
            Self::Host6 => "IPv6 /128",
            Self::Net24 => "IPv4 /24",
            Self::Host4 => "IPv4 /32",
        })
    }
}

/// An address in two words: its upper 64 bits and the rest; an IPv4 address is the top of the first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Key {
    pub(super) net: u64,
    pub(super) rest: u64,
}

impl Key {
    /// What of it is the key at a level.
    #[inline]
    pub(super) fn at(self, level: Level) -> Self {
        Self { net: self.net & level.mask(), rest: if level == Level::Host6 { self.rest } else { 0 } }
    }
}
