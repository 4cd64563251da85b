//! Raw ICMPv6, for Neighbour Discovery. The kernel computes and verifies the checksum (RFC 3542, section 3.1).

use std::io;
use std::net::{Ipv6Addr, SocketAddrV6};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};

use super::packet::{self, Outgoing, Received};
use super::{Error, Wanted, join, open, option, option_bytes};
use crate::listeners::Protocol;

/// `ICMP6_FILTER` of RFC 3542, which Linux calls `ICMPV6_FILTER`.
const ICMP6_FILTER: libc::c_int = 1;

/// What an ICMPv6 socket should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Icmp6Options {
    /// Name of the only interface that it sends and receives by.
    pub device: String,
    /// Number of that interface.
    pub interface: u32,
    /// The ICMPv6 types that are let in (133 Router Solicitation, 134 Router Advertisement...).
    pub types: Vec<u8>,
    /// Groups to join: `ff02::1` hears advertisements, `ff02::2` solicitations.
    pub groups: Vec<Ipv6Addr>,
}

/// A raw ICMPv6 socket on one interface that sends with hop limit 255 (RFC 4861) and does not hear itself.
#[derive(Debug)]
pub struct Icmp6Socket {
    fd: OwnedFd,
    interface: u32,
}

/// Opens a raw ICMPv6 socket.
pub fn icmp6(options: &Icmp6Options) -> Result<Icmp6Socket, Error> {
    let address = SocketAddrV6::new(Ipv6Addr::UNSPECIFIED, libc::IPPROTO_ICMPV6 as u16, 0, 0);
    let wanted = Wanted { protocol: Protocol::Raw, address, device: Some(options.device.clone()) };
    let fd = open(&wanted, libc::SOCK_RAW, libc::IPPROTO_ICMPV6)?;
    // A set bit blocks its type.
    let mut filter = [u32::MAX; 8];
    for kind in &options.types {
        filter[usize::from(kind >> 5)] &= !(1 << (kind & 31));
    }
    let filter: Vec<u8> = filter.iter().flat_map(|word| word.to_ne_bytes()).collect();
    option_bytes(&fd, libc::IPPROTO_ICMPV6, ICMP6_FILTER, &filter).map_err(wanted.failed("ICMP6_FILTER"))?;
    let set = |name, value, step| option(&fd, libc::IPPROTO_IPV6, name, value).map_err(wanted.failed(step));
    set(libc::IPV6_RECVPKTINFO, 1, "IPV6_RECVPKTINFO")?;
    set(libc::IPV6_RECVHOPLIMIT, 1, "IPV6_RECVHOPLIMIT")?;
    set(libc::IPV6_UNICAST_HOPS, 255, "IPV6_UNICAST_HOPS")?;
    set(libc::IPV6_MULTICAST_HOPS, 255, "IPV6_MULTICAST_HOPS")?;
    set(libc::IPV6_MULTICAST_LOOP, 0, "IPV6_MULTICAST_LOOP")?;
    set(libc::IPV6_MULTICAST_IF, options.interface.cast_signed(), "IPV6_MULTICAST_IF")?;
    for group in &options.groups {
        join(&fd, *group, options.interface).map_err(wanted.failed("join a multicast group"))?;
    }
    Ok(Icmp6Socket { fd, interface: options.interface })
}

impl Icmp6Socket {
    /// From now on the kernel notes when each message arrives, so that [`Received::waited`] is known: who measures round trips need not
    /// count how late they were read.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn note_arrivals(&self) -> io::Result<()> {
        option(&self.fd, libc::SOL_SOCKET, libc::SO_TIMESTAMPNS, 1)
    }

    /// Receives one message, from its ICMPv6 type on; `WouldBlock` when none waits.
    pub fn recv(&self, buffer: &mut [u8]) -> io::Result<Received> {
        packet::recv(self.fd.as_fd(), buffer)
    }

    /// Sends one message, whose checksum the kernel fills in, by choice from this address.
    pub fn send(&self, bytes: &[u8], to: Ipv6Addr, from: Option<Ipv6Addr>) -> io::Result<()> {
        let to = SocketAddrV6::new(to, 0, 0, self.interface);
        let from = from.map(|address| (address, self.interface));
        packet::send(self.fd.as_fd(), &Outgoing { bytes, to, from })
    }
}

impl AsFd for Icmp6Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl AsRawFd for Icmp6Socket {
    fn as_raw_fd(&self) -> RawFd {
        self.fd.as_raw_fd()
    }
}
