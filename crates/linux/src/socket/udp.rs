//! UDP over IPv6, and where asked for over IPv4.

use std::io;
use std::net::{Ipv6Addr, SocketAddrV6};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};

use super::packet::{self, Outgoing, Received, Slot};
use super::{Error, Wanted, bind, join, open, option};
use crate::listeners::Protocol;

/// What a UDP socket should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Udp6Options {
    /// Address, port and (for a link-local address) interface to bind to.
    pub address: SocketAddrV6,
    /// Name of the only interface that it sends and receives by (`SO_BINDTODEVICE`).
    pub device: Option<String>,
    /// Let other sockets of ours share the port.
    pub reuse_address: bool,
    /// Groups to join, each on the interface of this number.
    pub groups: Vec<(Ipv6Addr, u32)>,
    /// Hear our own multicast.
    pub multicast_loop: bool,
    /// Number of the interface that multicast leaves by, unless a datagram says otherwise.
    pub multicast_interface: Option<u32>,
    /// Hop limit, for unicast and multicast.
    pub hop_limit: Option<u8>,
    /// Hop limit of multicast, where it differs from that of unicast.
    pub multicast_hop_limit: Option<u8>,
    /// Take IPv4 too; with a mapped address (`::ffff:0.0.0.0` is any), IPv4 alone.
    pub ipv4: bool,
    /// May send IPv4 broadcasts.
    pub broadcast: bool,
    /// Octets of datagrams, with what the kernel keeps beside each, that may wait to be read; the system's default where
    /// there is none. Beyond the system's limit it takes CAP_NET_ADMIN, without which that limit holds.
    pub receive_buffer: Option<u32>,
    /// Datagrams of one sender with one length that arrive together are read as one (`UDP_GRO`): see [`Slot::datagrams`] and
    /// [`TOGETHER`]. Kernels before 5.0 hand over each by itself all the same.
    pub together: bool,
}

/// Most octets that a socket hands over at once where it takes datagrams together: slots have to have this room.
pub const TOGETHER: usize = 65_535;

impl Udp6Options {
    /// Bound to an address and nothing more; our own multicast is not heard.
    pub fn new(address: SocketAddrV6) -> Self {
        Self {
            address,
            device: None,
            reuse_address: false,
            groups: Vec::new(),
            multicast_loop: false,
            multicast_interface: None,
            hop_limit: None,
            multicast_hop_limit: None,
            ipv4: false,
            broadcast: false,
            receive_buffer: None,
            together: false,
        }
    }

    /// On this interface only.
    #[must_use]
    pub fn device(self, name: impl Into<String>) -> Self {
        Self { device: Some(name.into()), ..self }
    }

    /// IPv4 too, or not.
    #[must_use]
    pub fn ipv4(self, ipv4: bool) -> Self {
        Self { ipv4, ..self }
    }

    /// And listens to this group on this interface.
    #[must_use]
    pub fn group(mut self, group: Ipv6Addr, interface: u32) -> Self {
        self.groups.push((group, interface));
        self
    }
}

/// A UDP socket that tells where each datagram was sent to, and by which interface it came.
#[derive(Debug)]
pub struct UdpSocket6 {
    fd: OwnedFd,
    /// It takes datagrams together, unless something needs to see each.
    pub(super) together: bool,
}

/// Opens a UDP socket.
pub fn udp6(options: &Udp6Options) -> Result<UdpSocket6, Error> {
    let wanted = Wanted { protocol: Protocol::Udp, address: options.address, device: options.device.clone() };
    let fd = open(&wanted, libc::SOCK_DGRAM, 0)?;
    let set = |name, value, step| option(&fd, libc::IPPROTO_IPV6, name, value).map_err(wanted.failed(step));
    set(libc::IPV6_V6ONLY, (!options.ipv4).into(), "IPV6_V6ONLY")?;
    set(libc::IPV6_RECVPKTINFO, 1, "IPV6_RECVPKTINFO")?;
    // Of groups that other sockets joined, one that is bound to no device would hear as well.
    set(libc::IPV6_MULTICAST_ALL, 0, "IPV6_MULTICAST_ALL")?;
    set(libc::IPV6_MULTICAST_LOOP, options.multicast_loop.into(), "IPV6_MULTICAST_LOOP")?;
    if let Some(index) = options.multicast_interface {
        set(libc::IPV6_MULTICAST_IF, index.cast_signed(), "IPV6_MULTICAST_IF")?;
    }
    if let Some(limit) = options.hop_limit {
        set(libc::IPV6_UNICAST_HOPS, limit.into(), "IPV6_UNICAST_HOPS")?;
        set(libc::IPV6_MULTICAST_HOPS, limit.into(), "IPV6_MULTICAST_HOPS")?;
    }
    if let Some(limit) = options.multicast_hop_limit {
        set(libc::IPV6_MULTICAST_HOPS, limit.into(), "IPV6_MULTICAST_HOPS")?;
    }
    if options.reuse_address {
        option(&fd, libc::SOL_SOCKET, libc::SO_REUSEADDR, 1).map_err(wanted.failed("SO_REUSEADDR"))?;
    }
    if options.broadcast {
        option(&fd, libc::SOL_SOCKET, libc::SO_BROADCAST, 1).map_err(wanted.failed("SO_BROADCAST"))?;
    }
    if let Some(octets) = options.receive_buffer {
        // The kernel doubles it for what it keeps beside the datagrams.
        let half = i32::try_from(octets / 2).unwrap_or(i32::MAX);
        option(&fd, libc::SOL_SOCKET, libc::SO_RCVBUFFORCE, half)
            .or_else(|_| option(&fd, libc::SOL_SOCKET, libc::SO_RCVBUF, half))
            .map_err(wanted.failed("SO_RCVBUF"))?;
    }
    let together = options.together && take_together(&fd, true).is_ok();
    bind(&fd, options.address).map_err(wanted.failed("bind"))?;
    for (group, interface) in &options.groups {
        join(&fd, *group, *interface).map_err(wanted.failed("join a multicast group"))?;
    }
    Ok(UdpSocket6 { fd, together })
}

/// Has datagrams that arrive together read together, or each by itself.
pub(super) fn take_together(fd: &impl AsRawFd, together: bool) -> io::Result<()> {
    option(fd, libc::SOL_UDP, libc::UDP_GRO, together.into())
}

impl UdpSocket6 {
    /// Receives one datagram; `WouldBlock` when none waits.
    pub fn recv(&self, buffer: &mut [u8]) -> io::Result<Received> {
        packet::recv(self.fd.as_fd(), buffer)
    }

    /// Receives up to 32 datagrams in one call, one into each slot from the first on, and tells how many.
    pub fn recv_batch(&self, slots: &mut [Slot]) -> io::Result<usize> {
        packet::recv_batch(self.fd.as_fd(), slots)
    }

    /// Sends one datagram, by choice from this address and out of the interface of this number.
    pub fn send(&self, bytes: &[u8], to: SocketAddrV6, from: Option<(Ipv6Addr, u32)>) -> io::Result<()> {
        packet::send(self.fd.as_fd(), &Outgoing { bytes, to, from })
    }

    /// Sends up to 32 datagrams in one call, in order, and tells how many it took. An error is about the first of them.
    pub fn send_batch(&self, datagrams: &[Outgoing<'_>]) -> io::Result<usize> {
        packet::send_batch(self.fd.as_fd(), datagrams)
    }

    /// The same, but none passes the kernel together with another: a capture on this machine shows each.
    pub fn send_apart(&self, datagrams: &[Outgoing<'_>]) -> io::Result<usize> {
        packet::send_apart(self.fd.as_fd(), datagrams)
    }

    /// Listens to a group on the interface of this number.
    pub fn join(&self, group: Ipv6Addr, interface: u32) -> io::Result<()> {
        join(&self.fd, group, interface)
    }

    /// The address and port it has.
    pub fn local_addr(&self) -> io::Result<SocketAddrV6> {
        let name = nix::sys::socket::getsockname::<nix::sys::socket::SockaddrIn6>(self.fd.as_raw_fd())?;
        Ok(SocketAddrV6::new(name.ip(), name.port(), name.flowinfo(), name.scope_id()))
    }
}

impl AsFd for UdpSocket6 {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl AsRawFd for UdpSocket6 {
    fn as_raw_fd(&self) -> RawFd {
        self.fd.as_raw_fd()
    }
}
