//! Endpoints as the kernel's interface has them: `struct sockaddr_in` and `struct sockaddr_in6`.

use crate::{Endpoint, Family, Zone};
use std::net::{Ipv4Addr, SocketAddr};

/// `AF_INET` and `AF_INET6` of Linux.
const AF_INET: u16 = 2;
const AF_INET6: u16 = 10;

/// Octets of `struct sockaddr_in` and of `struct sockaddr_in6`.
const V4_LENGTH: usize = 16;
const V6_LENGTH: usize = 28;

/// A socket address for a system call, each octet of it written: 16 of them for IPv4, 28 for IPv6 (a kernel that is strict refuses an
/// IPv4 address of 28), the flow label 0.
///
/// For programs that call the kernel themselves, or libraries that take a pointer and a length. Others use
/// [`Endpoint::to_socket_addr`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(align(4))]
pub struct Sockaddr {
    octets: [u8; V6_LENGTH],
    family: Family,
}

impl Sockaddr {
    /// The octets: as many as the family has.
    pub fn as_bytes(&self) -> &[u8] {
        match self.family {
            Family::V4 => &self.octets[..V4_LENGTH],
            Family::V6 => &self.octets,
        }
    }

    /// Reads what a system call gave: `octets` as long as the kernel said. A mapped address becomes the IPv4 address, the flow label is
    /// left out.
    ///
    /// # Errors
    /// Where the family is neither, or the length is not that family's.
    pub fn read(octets: &[u8]) -> Result<Endpoint, SockaddrError> {
        let found = octets.len();
        let [a, b, port @ ..] = octets else { return Err(SockaddrError::Short { found }) };
        let [c, d, rest @ ..] = port else { return Err(SockaddrError::Short { found }) };
        let port = u16::from_be_bytes([*c, *d]);
        match (u16::from_ne_bytes([*a, *b]), found) {
            (AF_INET, V4_LENGTH) => {
                let [a, b, c, d, ..] = rest else { return Err(SockaddrError::Short { found }) };
                Ok(Endpoint::new(Ipv4Addr::new(*a, *b, *c, *d)).with_port(port))
            }
            (AF_INET6, V6_LENGTH) => {
                let mut address = [0; 16];
                address.copy_from_slice(&rest[4..20]);
                let scope = u32::from_ne_bytes([rest[20], rest[21], rest[22], rest[23]]);
                let endpoint = Endpoint::from_parts(address, Zone::NONE, Some(port));
                Ok(Zone::from_index(scope).map_or(endpoint, |zone| endpoint.with_zone(zone)))
            }
            (AF_INET, _) => Err(SockaddrError::Length { family: Family::V4, found }),
            (AF_INET6, _) => Err(SockaddrError::Length { family: Family::V6, found }),
            (family, _) => Err(SockaddrError::Family(family)),
        }
    }
}

impl AsRef<[u8]> for Sockaddr {
    fn as_ref(&self) -> &[u8] {
        self.as_bytes()
    }
}

impl From<SocketAddr> for Sockaddr {
    fn from(socket: SocketAddr) -> Self {
        let mut octets = [0; V6_LENGTH];
        octets[2..4].copy_from_slice(&socket.port().to_be_bytes());
        let family = match socket {
            SocketAddr::V4(socket) => {
                octets[..2].copy_from_slice(&AF_INET.to_ne_bytes());
                octets[4..8].copy_from_slice(&socket.ip().octets());
                Family::V4
            }
            SocketAddr::V6(socket) => {
                octets[..2].copy_from_slice(&AF_INET6.to_ne_bytes());
                octets[8..24].copy_from_slice(&socket.ip().octets());
                octets[24..].copy_from_slice(&socket.scope_id().to_ne_bytes());
                Family::V6
            }
        };
        Self { octets, family }
    }
}

/// Octets that are no socket address of either family.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SockaddrError {
    /// Too short to tell.
    #[error(
        "a socket address of {found} octets has no family and port: pass the length that the kernel returned"
    )]
    Short {
        /// Its octets.
        found: usize,
    },
    /// Another length than its family's.
    #[error("a socket address of {family} has {} octets, not {found}", if *.family == Family::V4 { V4_LENGTH } else { V6_LENGTH })]
    Length {
        /// The family that it says.
        family: Family,
        /// Its octets.
        found: usize,
    },
    /// Another family.
    #[error("address family {0} is neither IPv4 (2) nor IPv6 (10)")]
    Family(u16),
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{Ipv6Addr, SocketAddrV6};

    #[test]
    fn as_the_kernel_has_it() {
        let v4 = Sockaddr::from(SocketAddr::from(([192, 0, 2, 1], 53)));
        let family = |family: u16| family.to_ne_bytes();
        assert_eq!(v4.as_bytes(), [&family(2)[..], &[0, 53, 192, 0, 2, 1], &[0; 8]].concat());
        let address = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 1);
        // A flow label that somebody left there does not reach the kernel.
        let v6 = Sockaddr::from(SocketAddr::from(SocketAddrV6::new(address, 547, 0xfffff, 3)));
        let want = [&family(10)[..], &[2, 35], &[0; 4], &address.octets(), &3u32.to_ne_bytes()].concat();
        assert_eq!(v6.as_bytes(), want);
        assert_eq!(Sockaddr::read(&want).unwrap().to_string(), "[fe80::1%3]:547");
        assert_eq!(Sockaddr::read(v4.as_ref()).unwrap().to_string(), "192.0.2.1:53");
        let mapped = SocketAddrV6::new(Ipv4Addr::new(192, 0, 2, 1).to_ipv6_mapped(), 53, 0, 0);
        assert_eq!(
            Sockaddr::read(Sockaddr::from(SocketAddr::V6(mapped)).as_ref()).unwrap().to_string(),
            "192.0.2.1:53"
        );
    }

    #[test]
    fn anything_else_is_refused() {
        let v6 = Sockaddr::from(SocketAddr::from((Ipv6Addr::LOCALHOST, 1)));
        for length in 0..V6_LENGTH {
            let error = Sockaddr::read(&v6.as_bytes()[..length]).unwrap_err();
            assert_eq!(matches!(error, SockaddrError::Short { .. }), length < 4, "{error}");
        }
        assert_eq!(
            Sockaddr::read(&[v6.as_bytes(), &[0; 100]].concat()).unwrap_err().to_string(),
            "a socket address of IPv6 has 28 octets, not 128"
        );
        let v4 = Sockaddr::from(SocketAddr::from(([192, 0, 2, 1], 53)));
        // What a program does that passes the size of the larger one for both (R23).
        assert_eq!(
            Sockaddr::read(&[v4.as_bytes(), &[0; 12]].concat()),
            Err(SockaddrError::Length { family: Family::V4, found: 28 })
        );
        assert_eq!(Sockaddr::read(&[1, 0, 0, 0]), Err(SockaddrError::Family(1)));
    }
}
