//! ICMPv6 Neighbour Discovery messages (RFC 4861) and their options.
//!
//! Messages begin at the ICMPv6 type. The checksum is the kernel's on a raw ICMPv6 socket (RFC 3542 section 3.1):
//! it is not looked at, and it is built as zero. The rules about hop limit and addresses (RFC 4861 sections 6.1, 7.1
//! and 8.1) are the receiver's, because the ICMPv6 payload does not hold them.

mod build;
mod option;
#[cfg(test)]
mod tests;

pub use build::{Builder, RouterAdvertisementHeader};
pub use option::{
    Dnssl, NdOption, OptionKind, Options, Pref64, PrefixInformation, Rdnss, RouteInformation, pref64_lifetime,
};

use crate::WireError;
use crate::bytes::{addr_at, take, u16_at, u32_at};
use std::net::Ipv6Addr;

/// All nodes on the link (RFC 4291 section 2.7.1).
pub const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);
/// All routers on the link (RFC 4291 section 2.7.1).
pub const ALL_ROUTERS: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 2);
/// The only hop limit a Neighbour Discovery message may arrive with: no router has forwarded it (RFC 4861 section 3.1).
pub const HOP_LIMIT: u8 = 255;
/// The value that stands for "for ever" in a 32-bit lifetime, in seconds (RFC 4861 section 4.6.2).
pub const INFINITY: u32 = u32::MAX;

/// ICMPv6 type of a Router Solicitation.
pub const ROUTER_SOLICITATION: u8 = 133;
/// ICMPv6 type of a Router Advertisement.
pub const ROUTER_ADVERTISEMENT: u8 = 134;
/// ICMPv6 type of a Neighbor Solicitation.
pub const NEIGHBOR_SOLICITATION: u8 = 135;
/// ICMPv6 type of a Neighbor Advertisement.
pub const NEIGHBOR_ADVERTISEMENT: u8 = 136;
/// ICMPv6 type of a Redirect.
pub const REDIRECT: u8 = 137;

/// How much a router wants to be chosen (RFC 4191 section 2.1). The order is that of the choice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub enum Preference {
    /// Only where there is no other.
    Low,
    /// As usual.
    #[default]
    Medium,
    /// Before others.
    High,
}

impl Preference {
    /// The value of the two bits; `None` for the reserved one, 10.
    pub fn from_bits(bits: u8) -> Option<Self> {
        match bits & 0b11 {
            0b00 => Some(Self::Medium),
            0b01 => Some(Self::High),
            0b11 => Some(Self::Low),
            _ => None,
        }
    }

    /// The two bits, right-aligned.
    pub fn bits(self) -> u8 {
        match self {
            Self::Medium => 0b00,
            Self::High => 0b01,
            Self::Low => 0b11,
        }
    }
}

/// A Neighbour Discovery message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Message<'a> {
    /// A host asks for routers.
    RouterSolicitation(RouterSolicitation<'a>),
    /// A router tells about itself and the link.
    RouterAdvertisement(RouterAdvertisement<'a>),
    /// A node asks for a neighbour.
    NeighborSolicitation(NeighborSolicitation<'a>),
    /// A node tells about itself.
    NeighborAdvertisement(NeighborAdvertisement<'a>),
    /// A router knows a better first hop.
    Redirect(Redirect<'a>),
}

impl<'a> Message<'a> {
    /// Reads the message in an ICMPv6 packet. Code, lengths and target are checked as RFC 4861 sections 6.1, 7.1 and
    /// 8.1 ask; an option of length zero or one that overruns makes the whole message invalid.
    ///
    /// # Errors
    /// [`WireError`] where the message is of another type or does not keep these rules.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, WireError> {
        let (&[kind, code, _, _], _) = take::<4>(bytes, "ICMPv6 header")?;
        if code != 0 {
            return Err(WireError::BadValue { what: "Neighbour Discovery code", value: u32::from(code) });
        }
        match kind {
            ROUTER_SOLICITATION => {
                let (_, rest) = take::<8>(bytes, "Router Solicitation")?;
                Ok(Self::RouterSolicitation(RouterSolicitation { options: Options::parse(rest)? }))
            }
            ROUTER_ADVERTISEMENT => {
                let (header, rest) = take::<16>(bytes, "Router Advertisement")?;
                Ok(Self::RouterAdvertisement(RouterAdvertisement { header, options: Options::parse(rest)? }))
            }
            NEIGHBOR_SOLICITATION => {
                let (header, rest) = take::<24>(bytes, "Neighbor Solicitation")?;
                let target = target(header)?;
                Ok(Self::NeighborSolicitation(NeighborSolicitation {
                    target,
                    options: Options::parse(rest)?,
                }))
            }
            NEIGHBOR_ADVERTISEMENT => {
                let (header, rest) = take::<24>(bytes, "Neighbor Advertisement")?;
                let target = target(header)?;
                let flags = header[4];
                let options = Options::parse(rest)?;
                Ok(Self::NeighborAdvertisement(NeighborAdvertisement { flags, target, options }))
            }
            REDIRECT => {
                let (header, rest) = take::<40>(bytes, "Redirect")?;
                let target = target(header)?;
                let destination = addr_at(header, 24);
                if destination.is_multicast() {
                    return Err(WireError::BadValue {
                        what: "Redirect destination",
                        value: u32_at(header, 24),
                    });
                }
                Ok(Self::Redirect(Redirect { target, destination, options: Options::parse(rest)? }))
            }
            _ => Err(WireError::WrongType { what: "Neighbour Discovery message", value: kind }),
        }
    }

    /// The message's options.
    pub fn options(&self) -> Options<'a> {
        match self {
            Self::RouterSolicitation(m) => m.options,
            Self::RouterAdvertisement(m) => m.options,
            Self::NeighborSolicitation(m) => m.options,
            Self::NeighborAdvertisement(m) => m.options,
            Self::Redirect(m) => m.options,
        }
    }
}

/// The target after an eight-octet head; it must not be multicast (RFC 4861 sections 7.1.1 and 7.1.2).
fn target(header: &[u8]) -> Result<Ipv6Addr, WireError> {
    let target = addr_at(header, 8);
    if target.is_multicast() {
        return Err(WireError::BadValue { what: "target address", value: u32_at(header, 8) });
    }
    Ok(target)
}

/// A host asks for routers (RFC 4861 section 4.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RouterSolicitation<'a> {
    options: Options<'a>,
}

impl<'a> RouterSolicitation<'a> {
    /// Its options.
    pub fn options(&self) -> Options<'a> {
        self.options
    }
}

/// A router tells about itself and the link (RFC 4861 section 4.2, with the flags of RFC 4191).
///
/// ```text
/// +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
/// |     Type      |     Code      |          Checksum             |
/// +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
/// | Cur Hop Limit |M|O|H|Prf|Resvd|       Router Lifetime         |
/// +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
/// |                         Reachable Time                        |
/// +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
/// |                          Retrans Timer                        |
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RouterAdvertisement<'a> {
    header: &'a [u8; 16],
    options: Options<'a>,
}

impl<'a> RouterAdvertisement<'a> {
    /// Hop limit that hosts should send with; 0 leaves it to them.
    pub fn hop_limit(&self) -> u8 {
        self.header[4]
    }

    /// M: addresses can be had by DHCPv6.
    pub fn managed(&self) -> bool {
        self.header[5] & 0x80 != 0
    }

    /// O: other configuration can be had by DHCPv6.
    pub fn other(&self) -> bool {
        self.header[5] & 0x40 != 0
    }

    /// How much the router wants to be a default router. The reserved value is read as Medium (RFC 4191 section 2.2).
    pub fn preference(&self) -> Preference {
        Preference::from_bits(self.header[5] >> 3).unwrap_or_default()
    }

    /// Seconds for which the router is a default router; 0: it is none.
    pub fn router_lifetime(&self) -> u16 {
        u16_at(self.header, 6)
    }

    /// Milliseconds for which a neighbour counts as reachable; 0: not specified.
    pub fn reachable_time(&self) -> u32 {
        u32_at(self.header, 8)
    }

    /// Milliseconds between two Neighbor Solicitations; 0: not specified.
    pub fn retrans_timer(&self) -> u32 {
        u32_at(self.header, 12)
    }

    /// Its options.
    pub fn options(&self) -> Options<'a> {
        self.options
    }
}

/// A node asks for a neighbour's link-layer address, or whether it is there (RFC 4861 section 4.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NeighborSolicitation<'a> {
    target: Ipv6Addr,
    options: Options<'a>,
}

impl<'a> NeighborSolicitation<'a> {
    /// The neighbour asked for; never multicast.
    pub fn target(&self) -> Ipv6Addr {
        self.target
    }

    /// Its options.
    pub fn options(&self) -> Options<'a> {
        self.options
    }
}

/// A node tells its link-layer address (RFC 4861 section 4.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NeighborAdvertisement<'a> {
    flags: u8,
    target: Ipv6Addr,
    options: Options<'a>,
}

impl<'a> NeighborAdvertisement<'a> {
    /// R: the sender is a router.
    pub fn router(&self) -> bool {
        self.flags & 0x80 != 0
    }

    /// S: it answers a solicitation.
    pub fn solicited(&self) -> bool {
        self.flags & 0x40 != 0
    }

    /// O: it should override what is cached.
    pub fn overrides(&self) -> bool {
        self.flags & 0x20 != 0
    }

    /// The address told about; never multicast.
    pub fn target(&self) -> Ipv6Addr {
        self.target
    }

    /// Its options.
    pub fn options(&self) -> Options<'a> {
        self.options
    }
}

/// A router knows a better first hop (RFC 4861 section 4.5).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Redirect<'a> {
    target: Ipv6Addr,
    destination: Ipv6Addr,
    options: Options<'a>,
}

impl<'a> Redirect<'a> {
    /// The better first hop, or the destination itself where it is on the link.
    pub fn target(&self) -> Ipv6Addr {
        self.target
    }

    /// The destination that is redirected; never multicast.
    pub fn destination(&self) -> Ipv6Addr {
        self.destination
    }

    /// Its options.
    pub fn options(&self) -> Options<'a> {
        self.options
    }
}
