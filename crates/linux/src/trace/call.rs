//! A system call, read.

use super::memory::read;
use super::place::Place;
use nix::errno::Errno;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

/// Longest socket address that is read: `sizeof(struct sockaddr_storage)`.
const LONGEST_NAME: usize = 128;
/// Longest option value that is read, in octets.
const LONGEST_VALUE: usize = 16;

/// A call by which a program uses the network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// Since the program began.
    pub at: Duration,
    /// The process that made it, as seen from outside its machine.
    pub process: i32,
    /// The kernel's number of the socket, the same however often it is duplicated or handed on; unknown where the call
    /// failed before there was one.
    pub socket: Option<u64>,
    /// The descriptor that the call was about.
    pub descriptor: Option<i32>,
    /// What was asked for.
    pub action: Action,
    /// What came of it.
    pub outcome: Outcome,
    /// Who asked.
    pub place: Option<Place>,
}

/// What was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// socket(2).
    Socket {
        /// `AF_...`.
        family: i32,
        /// `SOCK_...`, without flags.
        kind: i32,
        /// `IPPROTO_...`, or 0.
        protocol: i32,
    },
    /// bind(2).
    Bind {
        /// Where to.
        to: SocketName,
    },
    /// connect(2).
    Connect {
        /// Where to.
        to: SocketName,
    },
    /// listen(2).
    Listen,
    /// setsockopt(2) of IPv6 and IPv4 options.
    Option {
        /// `IPPROTO_IPV6` or `IPPROTO_IP`.
        level: i32,
        /// `IPV6_...` or `IP_...`.
        name: i32,
        /// Its value, where it is a number.
        value: Option<i32>,
    },
    /// sendto(2), sendmsg(2) or sendmmsg(2) with an address.
    Send {
        /// Where to.
        to: SocketName,
    },
}

/// What came of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It succeeded.
    Done,
    /// It failed.
    Failed(Errno),
    /// It had not returned when the program ended.
    Pending,
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Done => f.write_str("= 0"),
            Self::Failed(errno) => write!(f, "= {errno:?} ({})", errno.desc()),
            Self::Pending => f.write_str("did not return"),
        }
    }
}

/// A socket address as the program wrote it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SocketName {
    /// The octets that were given, at most 128.
    pub octets: Vec<u8>,
    /// The length that was given, whatever is there.
    pub length: u32,
}

impl SocketName {
    /// `AF_...`, where the address is long enough to have one.
    pub fn family(&self) -> Option<i32> {
        let octets = self.octets.first_chunk::<2>()?;
        Some(u16::from_ne_bytes(*octets).into())
    }

    /// The port of an IPv4 or IPv6 address.
    pub fn port(&self) -> Option<u16> {
        self.address()?;
        Some(u16::from_be_bytes(self.octets.get(2..4)?.try_into().ok()?))
    }

    /// The address, if it is of IPv4 or IPv6 and complete.
    pub fn address(&self) -> Option<IpAddr> {
        match self.family()? {
            libc::AF_INET => {
                let octets: [u8; 4] = self.octets.get(4..8)?.try_into().ok()?;
                Some(Ipv4Addr::from(octets).into())
            }
            libc::AF_INET6 => {
                let octets: [u8; 16] = self.octets.get(8..24)?.try_into().ok()?;
                Some(Ipv6Addr::from(octets).into())
            }
            _ => None,
        }
    }

    /// `sin6_flowinfo`, in the byte order of the wire.
    pub fn flow_info(&self) -> Option<u32> {
        (self.family()? == libc::AF_INET6)
            .then(|| self.octets.get(4..8)?.try_into().ok().map(u32::from_be_bytes))?
    }

    /// `sin6_scope_id`.
    pub fn scope(&self) -> Option<u32> {
        (self.family()? == libc::AF_INET6)
            .then(|| self.octets.get(24..28)?.try_into().ok().map(u32::from_ne_bytes))?
    }

    /// The length that the family's address has: `sizeof(struct sockaddr_in)` or `sockaddr_in6`.
    pub fn right_length(&self) -> Option<u32> {
        match self.family()? {
            libc::AF_INET => Some(16),
            libc::AF_INET6 => Some(28),
            _ => None,
        }
    }
}

impl fmt::Display for SocketName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let zone =
            self.scope().filter(|scope| *scope > 0).map_or_else(String::new, |scope| format!("%{scope}"));
        match (self.address(), self.port()) {
            (Some(IpAddr::V6(address)), Some(port)) => write!(f, "[{address}{zone}]:{port}"),
            (Some(IpAddr::V4(address)), Some(port)) => write!(f, "{address}:{port}"),
            _ => write!(f, "an address of family {}", self.family().unwrap_or(0)),
        }
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Socket { family, kind, .. } => {
                write!(f, "socket({}, {})", family_name(*family), kind_name(*kind))
            }
            Self::Bind { to } => write!(f, "bind({to})"),
            Self::Connect { to } => write!(f, "connect({to})"),
            Self::Listen => f.write_str("listen()"),
            Self::Option { level, name, value } => {
                write!(f, "setsockopt({}", option_name(*level, *name))?;
                value.map_or(Ok(()), |value| write!(f, ", {value}"))?;
                f.write_str(")")
            }
            Self::Send { to } => write!(f, "send() to {to}"),
        }
    }
}

fn family_name(family: i32) -> String {
    match family {
        libc::AF_INET => "AF_INET".to_owned(),
        libc::AF_INET6 => "AF_INET6".to_owned(),
        libc::AF_UNIX => "AF_UNIX".to_owned(),
        libc::AF_NETLINK => "AF_NETLINK".to_owned(),
        other => format!("family {other}"),
    }
}

fn kind_name(kind: i32) -> String {
    match kind {
        libc::SOCK_STREAM => "SOCK_STREAM".to_owned(),
        libc::SOCK_DGRAM => "SOCK_DGRAM".to_owned(),
        libc::SOCK_RAW => "SOCK_RAW".to_owned(),
        other => format!("type {other}"),
    }
}

fn option_name(level: i32, name: i32) -> String {
    match (level, name) {
        (libc::IPPROTO_IPV6, libc::IPV6_V6ONLY) => "IPV6_V6ONLY".to_owned(),
        (libc::IPPROTO_IPV6, other) => format!("IPPROTO_IPV6, {other}"),
        (libc::IPPROTO_IP, other) => format!("IPPROTO_IP, {other}"),
        (level, other) => format!("{level}, {other}"),
    }
}

/// A call at its entry.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub(super) number: i64,
    pub(super) arguments: [u64; 6],
}

impl Entry {
    /// What is asked for, as far as it is known before the call; `None` for what is of no interest after all.
    pub(super) fn action(&self, thread: i32) -> Option<Action> {
        let [a0, a1, a2, a3, a4, a5] = self.arguments;
        let int = |argument: u64| argument as i32;
        let name = |address: u64, length: u64| socket_name(thread, address, length as u32);
        Some(match self.number {
            libc::SYS_socket => Action::Socket {
                family: int(a0),
                kind: int(a1) & !(libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK),
                protocol: int(a2),
            },
            libc::SYS_bind => Action::Bind { to: name(a1, a2)? },
            libc::SYS_connect => Action::Connect { to: name(a1, a2)? },
            libc::SYS_listen => Action::Listen,
            libc::SYS_setsockopt => {
                let length = (a4 as u32 as usize).min(LONGEST_VALUE);
                let value = read(thread, a3, length)?;
                let value = value.first_chunk::<4>().map(|octets| i32::from_ne_bytes(*octets));
                Action::Option { level: int(a1), name: int(a2), value }
            }
            libc::SYS_sendto => Action::Send { to: name(a4, a5)? },
            // The first of many: they go to one place nearly always.
            libc::SYS_sendmsg | libc::SYS_sendmmsg => {
                let header = read(thread, a1, 16)?;
                let pointer = u64::from_ne_bytes(*header.first_chunk()?);
                let length = u32::from_ne_bytes(*header.get(8..)?.first_chunk()?);
                if pointer == 0 {
                    return None;
                }
                Action::Send { to: name(pointer, length.into())? }
            }
            _ => return None,
        })
    }

    /// Whether it sends to an address.
    pub(super) fn is_send(&self) -> bool {
        matches!(self.number, libc::SYS_sendto | libc::SYS_sendmsg | libc::SYS_sendmmsg)
    }

    /// The descriptor that the call is about; that of a new socket is its result.
    pub(super) fn descriptor(&self) -> Option<i32> {
        (self.number != libc::SYS_socket).then_some(self.arguments[0] as i32)
    }
}

fn socket_name(thread: i32, address: u64, length: u32) -> Option<SocketName> {
    let octets = read(thread, address, (length as usize).min(LONGEST_NAME))?;
    Some(SocketName { octets, length })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_as_they_are_written() {
        let mut octets = vec![0; 28];
        octets[..2].copy_from_slice(&(libc::AF_INET6 as u16).to_ne_bytes());
        octets[2..4].copy_from_slice(&443_u16.to_be_bytes());
        octets[7] = 5;
        octets[8..24].copy_from_slice(&"fe80::1".parse::<Ipv6Addr>().unwrap().octets());
        octets[24..28].copy_from_slice(&2_u32.to_ne_bytes());
        let name = SocketName { octets, length: 28 };
        assert_eq!(name.to_string(), "[fe80::1%2]:443");
        assert_eq!((name.flow_info(), name.scope(), name.right_length()), (Some(5), Some(2), Some(28)));
        // Cut short: no address, and no panic.
        for length in 0..28 {
            let short = SocketName { octets: name.octets[..length].to_vec(), length: length as u32 };
            let _ = (short.to_string(), short.port(), short.flow_info(), short.scope());
            assert_eq!(short.address().is_some(), length >= 24);
        }
    }
}
