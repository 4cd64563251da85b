//! What the system is asked for: sockets, sources, and what its errors mean.

use super::{Candidate, Failure, Source};
use crate::interface::index_by;
use crate::{Endpoint, Family};
use rustix::io::Errno;
use socket2::{Domain, Socket, Type};
use std::collections::HashSet;
use std::io;
use std::net::{IpAddr, Ipv6Addr, SocketAddr, UdpSocket};
use std::os::fd::AsFd;

/// Addresses to connect from, by family.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Sources {
    pub(super) v4: Option<Endpoint>,
    pub(super) v6: Option<Endpoint>,
}

impl Sources {
    pub(super) fn of(&self, family: Family) -> Option<Endpoint> {
        match family {
            Family::V4 => self.v4,
            Family::V6 => self.v6,
        }
    }
}

/// A socket of the right family, bound where a source was chosen, and the address to connect it to.
pub(super) fn socket(
    to: Endpoint,
    sources: &Sources,
    blocking: bool,
) -> Result<(Socket, SocketAddr), Failure> {
    let family = to.family();
    let domain = match family {
        Family::V4 => Domain::IPV4,
        Family::V6 => Domain::IPV6,
    };
    // As a flag it costs no system call of its own.
    let kind = if blocking { Type::STREAM } else { Type::STREAM.nonblocking() };
    let socket = Socket::new(domain, kind, None).map_err(|error| match Errno::from_io_error(&error) {
        Some(Errno::AFNOSUPPORT) => Failure::NoFamily(family),
        _ => Failure::System(error.to_string()),
    })?;
    let to = sockaddr(&socket, to)?;
    if let Some(source) = sources.of(family) {
        let address = sockaddr(&socket, source.with_port(source.port().unwrap_or(0)))?;
        socket.bind(&address.into()).map_err(|error| Failure::Source(format!("{source}: {error}")))?;
    }
    Ok((socket, to))
}

/// The address with its zone as an index: looked up now, as interfaces come and go.
fn sockaddr(socket: &impl AsFd, endpoint: Endpoint) -> Result<SocketAddr, Failure> {
    endpoint.to_socket_addr(0, |name| index_by(socket, name)).ok_or_else(|| match endpoint.zone() {
        Some(zone) => Failure::NoInterface(zone),
        None => Failure::NoZone,
    })
}

/// Why `connect` did not.
pub(super) fn failure(error: &io::Error, to: Endpoint, sources: &Sources) -> Failure {
    let family = to.family();
    match Errno::from_io_error(error) {
        Some(Errno::CONNREFUSED) => Failure::Refused,
        Some(Errno::CONNRESET | Errno::CONNABORTED) => Failure::Reset,
        Some(Errno::ACCESS | Errno::PERM) => Failure::Prohibited,
        Some(Errno::TIMEDOUT) => Failure::TimedOut,
        Some(Errno::AFNOSUPPORT) => Failure::NoFamily(family),
        Some(Errno::INVAL | Errno::NODEV) if to.has_zones() && to.zone().is_none() => Failure::NoZone,
        // The same numbers stand for our own missing route and for a router's word.
        Some(Errno::NETUNREACH | Errno::HOSTUNREACH | Errno::NETDOWN) => {
            if source(to, sources).is_some() {
                Failure::Unreachable
            } else {
                Failure::NoRoute
            }
        }
        // A route of the type `blackhole`.
        Some(Errno::INVAL) if source(to, sources).is_none() => Failure::NoRoute,
        Some(Errno::ADDRNOTAVAIL) => match sources.of(family) {
            Some(source) => Failure::Source(format!("{source}: {error}")),
            None if source(to, sources).is_some() => {
                Failure::System("all local ports for connections to it are in use".to_owned())
            }
            None => Failure::NoRoute,
        },
        _ => Failure::Other(error.to_string()),
    }
}

/// From which address the system would connect: a UDP socket that sends nothing shows it.
fn source(to: Endpoint, sources: &Sources) -> Option<IpAddr> {
    let bound = sources.of(to.family()).map(|source| source.without_port().with_port(0));
    let any = match to.family() {
        Family::V4 => Endpoint::new(std::net::Ipv4Addr::UNSPECIFIED),
        Family::V6 => Endpoint::new(Ipv6Addr::UNSPECIFIED),
    };
    let probe =
        socket2::Socket::new(Domain::for_address(any.to_socket_addr(0, |_| None)?), Type::DGRAM, None)
            .ok()?;
    let to = sockaddr(&probe, to).ok()?;
    if let Some(bound) = bound {
        probe.bind(&sockaddr(&probe, bound).ok()?.into()).ok()?;
    }
    let probe = UdpSocket::from(probe);
    probe.connect(to).ok()?;
    Some(probe.local_addr().ok()?.ip().to_canonical())
}

/// Tells candidates their sources, for the rules of RFC 6724 that ask for them.
pub(super) fn find_sources(candidates: &mut [Candidate], sources: &Sources) {
    let mut deprecated = None;
    for candidate in candidates {
        candidate.source = match source(candidate.to, sources) {
            None => Source::None,
            Some(address) => Source::Address {
                address,
                deprecated: match address {
                    IpAddr::V6(v6) if !v6.is_loopback() => {
                        deprecated.get_or_insert_with(deprecated_addresses).contains(&v6)
                    }
                    _ => false,
                },
            },
        };
    }
}

/// Our addresses whose preferred lifetime is over. None where the kernel does not tell.
fn deprecated_addresses() -> HashSet<Ipv6Addr> {
    /// `IFA_F_DEPRECATED` of linux/if_addr.h.
    const DEPRECATED: u32 = 0x20;
    let text = std::fs::read_to_string("/proc/thread-self/net/if_inet6").unwrap_or_default();
    // Address, index, prefix length, scope, flags, name; all but the last in hexadecimal.
    let address = |line: &str| {
        let mut fields = line.split_ascii_whitespace();
        let address = u128::from_str_radix(fields.next()?, 16).ok()?;
        let flags = u32::from_str_radix(fields.nth(3)?, 16).ok()?;
        (flags & DEPRECATED != 0).then_some(Ipv6Addr::from(address))
    };
    text.lines().filter_map(address).collect()
}
