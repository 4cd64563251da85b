//! [`Endpoint`].

use crate::{Family, Zone};
use std::cmp::Ordering;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};

/// An address of either family, with its zone where it has one (RFC 4007) and a port where one is meant.
///
/// A mapped address (`::ffff:192.0.2.1`) is the IPv4 address: equal to it, hashed, ordered and printed as it. IPv4 comes before
/// IPv6 in order; an address without a port before the same with one. 34 octets, `Copy`.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Endpoint {
    /// IPv4 addresses mapped (RFC 4291 section 2.5.5.2).
    octets: [u8; 16],
    zone: Zone,
    has_port: bool,
    port: u16,
}

impl Endpoint {
    /// An address alone.
    pub fn new(address: impl Into<IpAddr>) -> Self {
        let octets = match address.into() {
            IpAddr::V4(address) => mapped(address),
            IpAddr::V6(address) => address.octets(),
        };
        Self { octets, zone: Zone::NONE, has_port: false, port: 0 }
    }

    /// The same with a port.
    #[must_use]
    pub fn with_port(self, port: u16) -> Self {
        Self { port, has_port: true, ..self }
    }

    /// The same without its port.
    #[must_use]
    pub fn without_port(self) -> Self {
        Self { port: 0, has_port: false, ..self }
    }

    /// The same with a zone; without one where the address is of global scope and so has none (RFC 4007 section 5).
    #[must_use]
    pub fn with_zone(self, zone: Zone) -> Self {
        Self { zone: if self.has_zones() { zone } else { Zone::NONE }, ..self }
    }

    /// The same without its zone.
    #[must_use]
    pub fn without_zone(self) -> Self {
        Self { zone: Zone::NONE, ..self }
    }

    /// The address, never a mapped one.
    #[inline]
    pub fn address(&self) -> IpAddr {
        match self.family() {
            Family::V4 => Ipv4Addr::from_bits(u128::from_be_bytes(self.octets) as u32).into(),
            Family::V6 => Ipv6Addr::from_octets(self.octets).into(),
        }
    }

    /// The address where it is IPv6, for what has no other: `None` for IPv4.
    pub fn ipv6(&self) -> Option<Ipv6Addr> {
        (self.family() == Family::V6).then(|| Ipv6Addr::from_octets(self.octets))
    }

    /// The family of the address.
    #[inline]
    pub fn family(&self) -> Family {
        // One comparison of numbers, where one of slices takes a dozen.
        if u128::from_be_bytes(self.octets) >> 32 == 0xffff { Family::V4 } else { Family::V6 }
    }

    /// The zone of the address: on which link it is.
    pub fn zone(&self) -> Option<Zone> {
        (self.zone != Zone::NONE).then_some(self.zone)
    }

    /// The port.
    pub fn port(&self) -> Option<u16> {
        self.has_port.then_some(self.port)
    }

    /// Whether the address means different nodes on different links: what is neither unicast of global scope nor multicast
    /// of global scope (RFC 4007 section 4). Loopback is a zone of its own, and has only one.
    pub fn has_zones(&self) -> bool {
        // RFC 4291 section 2.7: the scope is the low half of the second octet; 0 and 15 are reserved, 14 is global.
        match self.octets {
            [0xff, second, ..] => matches!(second & 0xf, 1..=13),
            [0xfe, second, ..] => second & 0xc0 == 0x80,
            _ => false,
        }
    }

    /// As the system wants it: the port is `default_port` where none was given, and a zone's name becomes an index by
    /// `index_of`. The flow label is 0. `None` where `index_of` does not know the name.
    pub fn to_socket_addr(
        &self,
        default_port: u16,
        index_of: impl FnOnce(&str) -> Option<u32>,
    ) -> Option<SocketAddr> {
        let port = self.port().unwrap_or(default_port);
        Some(match self.address() {
            IpAddr::V4(address) => SocketAddrV4::new(address, port).into(),
            IpAddr::V6(address) => {
                let scope = match self.zone() {
                    None => 0,
                    Some(zone) => zone.resolve(index_of)?.get(),
                };
                SocketAddrV6::new(address, port, 0, scope).into()
            }
        })
    }

    /// The address as IPv6 has it, an IPv4 address mapped (RFC 4291 section 2.5.5.2).
    pub fn octets(&self) -> [u8; 16] {
        self.octets
    }

    /// An endpoint of its parts, at once: the address as [`Endpoint::octets`] has it, and a zone only where it has zones.
    pub(crate) fn from_parts(octets: [u8; 16], zone: Zone, port: Option<u16>) -> Self {
        Self { octets, zone, has_port: port.is_some(), port: port.unwrap_or(0) }
    }

    /// Whether the canonical text of the address, without brackets, looks like an address with a port: `::1:53`. Only in `::/96`,
    /// where no address is of use (RFC 4291 section 2.5.5.1).
    pub(crate) fn looks_like_port(&self) -> bool {
        let [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, a, b, c, d] = self.octets else { return false };
        let decimal = |octet: u8| octet & 0xf <= 9 && octet >> 4 <= 9;
        (a, b) != (0, 0) && decimal(c) && decimal(d)
    }

    fn key(&self) -> (Family, &[u8; 16], &Zone, bool, u16) {
        (self.family(), &self.octets, &self.zone, self.has_port, self.port)
    }
}

fn mapped(address: Ipv4Addr) -> [u8; 16] {
    address.to_ipv6_mapped().octets()
}

impl PartialOrd for Endpoint {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Endpoint {
    fn cmp(&self, other: &Self) -> Ordering {
        self.key().cmp(&other.key())
    }
}

impl From<IpAddr> for Endpoint {
    fn from(address: IpAddr) -> Self {
        Self::new(address)
    }
}

impl From<Ipv4Addr> for Endpoint {
    fn from(address: Ipv4Addr) -> Self {
        Self::new(address)
    }
}

impl From<Ipv6Addr> for Endpoint {
    fn from(address: Ipv6Addr) -> Self {
        Self::new(address)
    }
}

impl From<SocketAddr> for Endpoint {
    /// The scope becomes the zone where the address has one. The flow label is no part of an endpoint.
    fn from(socket: SocketAddr) -> Self {
        let endpoint = Self::new(socket.ip()).with_port(socket.port());
        let scope = match socket {
            SocketAddr::V6(v6) => v6.scope_id(),
            SocketAddr::V4(_) => 0,
        };
        endpoint.with_zone(Zone::from_index(scope).unwrap_or(Zone::NONE))
    }
}

impl From<SocketAddrV4> for Endpoint {
    fn from(socket: SocketAddrV4) -> Self {
        SocketAddr::V4(socket).into()
    }
}

impl From<SocketAddrV6> for Endpoint {
    fn from(socket: SocketAddrV6) -> Self {
        SocketAddr::V6(socket).into()
    }
}
