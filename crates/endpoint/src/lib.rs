//! One value for an IPv4 or IPv6 address, its zone and port: parsed and printed one way.
//!
//! [`Endpoint`] is printed as RFC 5952 says, always the same way, so that logs, JSON, command line and configuration
//! can be searched and compared as text:
//!
//! | | without port | with port |
//! |---|---|---|
//! | IPv6 | `2001:db8::1` | `[2001:db8::1]:547` |
//! | with a zone | `fe80::1%eth0` | `[fe80::1%eth0]:547` |
//! | IPv4 | `192.0.2.1` | `192.0.2.1:547` |
//!
//! An IPv4 address that came in IPv6 clothes (`::ffff:192.0.2.1`) is the IPv4 address: there is one way to write it.

mod parse;
mod zone;

pub use parse::{EndpointError, Reason};
pub use zone::Zone;

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};

/// An address of either family, with its zone where it has one (RFC 4007) and a port where one is meant.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Endpoint {
    address: IpAddr,
    zone: Option<Zone>,
    port: Option<u16>,
}

impl Endpoint {
    /// An address alone.
    pub fn new(address: impl Into<IpAddr>) -> Self {
        Self { address: address.into().to_canonical(), zone: None, port: None }
    }

    /// The same with a port.
    #[must_use]
    pub fn with_port(self, port: u16) -> Self {
        Self { port: Some(port), ..self }
    }

    /// The same with a zone; without one where the address is of global scope and so has none (RFC 4007 section 5).
    #[must_use]
    pub fn with_zone(self, zone: Zone) -> Self {
        let zone = has_zones(self.address).then_some(zone);
        Self { zone, ..self }
    }

    /// The address.
    pub fn address(&self) -> IpAddr {
        self.address
    }

    /// The zone of the address: on which link it is.
    pub fn zone(&self) -> Option<&Zone> {
        self.zone.as_ref()
    }

    /// The port.
    pub fn port(&self) -> Option<u16> {
        self.port
    }

    /// As the system wants it: the port is `default_port` where none was given, and a zone's name becomes an index by
    /// `index_of`. `None` where that does not know the name.
    pub fn to_socket_addr(
        &self,
        default_port: u16,
        index_of: impl FnOnce(&str) -> Option<u32>,
    ) -> Option<SocketAddr> {
        let port = self.port.unwrap_or(default_port);
        Some(match self.address {
            IpAddr::V4(address) => SocketAddr::from((address, port)),
            IpAddr::V6(address) => {
                let scope = match &self.zone {
                    None => 0,
                    Some(Zone::Index(index)) => index.get(),
                    Some(Zone::Name(name)) => index_of(name)?,
                };
                SocketAddrV6::new(address, port, 0, scope).into()
            }
        })
    }
}

/// Whether an address means different nodes on different links: what is neither unicast of global scope nor multicast
/// of global scope (RFC 4007 section 4). Loopback is a zone of its own, and has only one.
fn has_zones(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(_) => false,
        // RFC 4291 section 2.7: the scope is the low half of the second octet; 0 and 15 are reserved, 14 is global.
        IpAddr::V6(address) if address.is_multicast() => matches!(address.octets()[1] & 0xf, 1..=13),
        IpAddr::V6(address) => address.is_unicast_link_local(),
    }
}

impl Endpoint {
    fn write(&self, out: &mut impl fmt::Write) -> fmt::Result {
        let bracketed = self.address.is_ipv6() && self.port.is_some();
        if bracketed {
            out.write_char('[')?;
        }
        write!(out, "{}", self.address)?;
        if let Some(zone) = &self.zone {
            write!(out, "%{zone}")?;
        }
        if bracketed {
            out.write_char(']')?;
        }
        match self.port {
            Some(port) => write!(out, ":{port}"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if f.width().is_none() && f.precision().is_none() {
            return self.write(f);
        }
        // What is asked for holds for the whole, not for its parts.
        let mut text = String::new();
        self.write(&mut text)?;
        f.pad(&text)
    }
}

impl From<Endpoint> for String {
    fn from(endpoint: Endpoint) -> Self {
        endpoint.to_string()
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
        match socket {
            SocketAddr::V6(v6) => match Zone::from_index(v6.scope_id()) {
                Some(zone) => endpoint.with_zone(zone),
                None => endpoint,
            },
            SocketAddr::V4(_) => endpoint,
        }
    }
}

impl From<SocketAddrV6> for Endpoint {
    fn from(socket: SocketAddrV6) -> Self {
        SocketAddr::V6(socket).into()
    }
}

#[cfg(test)]
mod tests;
