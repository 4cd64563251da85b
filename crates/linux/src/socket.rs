//! IPv6 sockets: UDP, TCP listeners and raw ICMPv6, each with the options that sixgate's protocols need.
//!
//! All are close-on-exec and non-blocking, and IPv6 alone (`IPV6_V6ONLY`), whatever the system's default, unless they are asked to take
//! IPv4 too: IPv4 addresses are then mapped ones, `::ffff:192.0.2.1` (RFC 3493 section 3.7).

// libc itself: std has neither pktinfo, nor ICMP6_FILTER, nor recvmmsg.
#![allow(unsafe_code)]

mod bypass;
mod filter;
mod frame;
mod icmp6;
mod outlet;
mod packet;
mod probe;
mod shed;
mod tcp;
mod udp;
mod watch;

use std::fmt;
use std::io;
use std::net::{Ipv6Addr, SocketAddr, SocketAddrV6};
use std::os::fd::{AsRawFd, FromRawFd as _, OwnedFd};

use nix::errno::Errno;

use crate::listeners::{self, Owner, Protocol};

pub use bypass::{Bypass, open_bypass};
pub use frame::{FrameSocket, frames};
pub use icmp6::{Icmp6Options, Icmp6Socket, icmp6};
pub use outlet::{Outlet, open_outlet};
pub use packet::{Outgoing, Received, Slot};
pub use probe::{probe_path_mtu, tcp_rtt};
pub use shed::is_looked_at;
pub use tcp::{tcp_listener, tcp6_listener};
pub use udp::{TOGETHER, Udp6Options, UdpSocket6, udp6};
pub use watch::{WatchError, WatchSocket, watch, watch_dhcpv6, watch_host};

/// A socket cannot be had.
#[derive(Debug, thiserror::Error)]
#[error("cannot open {socket}: {step}: {source}{}", remedy(source, owner.as_ref(), socket))]
pub struct Error {
    /// Which socket.
    pub socket: Wanted,
    /// The call that failed.
    pub step: &'static str,
    /// The system's answer.
    pub source: io::Error,
    /// For an address in use: who uses it, if `/proc` tells.
    pub owner: Option<Owner>,
}

/// Which socket was wanted; printed as `UDP [::]:547 on eth1`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// Its protocol.
    pub protocol: Protocol,
    /// Its address; the port of a raw socket is its protocol number.
    pub address: SocketAddrV6,
    /// The interface it is bound to.
    pub device: Option<String>,
}

impl fmt::Display for Wanted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.protocol {
            Protocol::Raw => f.write_str("raw ICMPv6")?,
            Protocol::Packet => f.write_str("a packet socket")?,
            protocol => {
                let shown = SocketAddr::new(self.address.ip().to_canonical(), self.address.port());
                // Without its scope, a link-local address says too little.
                let mapped = shown.ip() != *self.address.ip();
                write!(f, "{protocol} {}", if mapped { shown } else { self.address.into() })?;
            }
        }
        match &self.device {
            Some(device) => write!(f, " on {device}"),
            None => Ok(()),
        }
    }
}

fn remedy(source: &io::Error, owner: Option<&Owner>, socket: &Wanted) -> String {
    let code = Errno::from_raw(source.raw_os_error().unwrap_or(0));
    match (code, owner) {
        (Errno::EADDRINUSE, Some(Owner { pid, comm })) => {
            format!("; process {pid} ({comm}) has it: stop that process or choose another port")
        }
        (Errno::EADDRINUSE, None) => {
            "; another process has it: find it with `ss -lpn`, stop it or choose another port".to_owned()
        }
        (Errno::EACCES | Errno::EPERM, _) if matches!(socket.protocol, Protocol::Raw | Protocol::Packet) => {
            "; run as root, or give this process CAP_NET_RAW".to_owned()
        }
        (Errno::EACCES | Errno::EPERM, _) if socket.address.port() < 1024 => {
            "; run as root, or give this process CAP_NET_BIND_SERVICE (and CAP_NET_RAW to bind to an interface)"
                .to_owned()
        }
        (Errno::EACCES | Errno::EPERM, _) => "; run as root, or give this process CAP_NET_RAW".to_owned(),
        (Errno::EAFNOSUPPORT, _) if socket.protocol == Protocol::Packet => {
            "; this kernel (or its sandbox) refuses packet sockets, without which hosts that have no address yet cannot be answered"
                .to_owned()
        }
        (Errno::EAFNOSUPPORT, _) => {
            "; this kernel (or its sandbox) refuses IPv6 sockets; sixgate serves IPv6 and cannot start without it"
                .to_owned()
        }
        (Errno::EADDRNOTAVAIL, _) => {
            "; no interface has this address, or duplicate address detection still runs for it".to_owned()
        }
        (Errno::ENODEV, _) => "; there is no such interface: `ip link` lists those that exist".to_owned(),
        _ => String::new(),
    }
}

impl Wanted {
    /// Makes the error of a failed step, looking up who is in the way.
    fn failed(&self, step: &'static str) -> impl FnOnce(io::Error) -> Error {
        let socket = self.clone();
        move |source| {
            let busy = source.raw_os_error() == Some(Errno::EADDRINUSE as i32);
            let (protocol, address) = (socket.protocol, socket.address);
            let owner = busy.then(|| listeners::occupant(protocol, *address.ip(), address.port())).flatten();
            Error { socket, step, source, owner }
        }
    }
}

/// `socket(2)`, IPv6, close-on-exec and non-blocking.
fn open(wanted: &Wanted, kind: libc::c_int, protocol: libc::c_int) -> Result<OwnedFd, Error> {
    // SAFETY: no pointers are involved.
    let fd =
        unsafe { libc::socket(libc::AF_INET6, kind | libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK, protocol) };
    if fd < 0 {
        return Err(wanted.failed("socket")(io::Error::last_os_error()));
    }
    // SAFETY: the kernel has just given us this descriptor, and nobody else knows it.
    let fd = unsafe { OwnedFd::from_raw_fd(fd) };
    if let Some(device) = &wanted.device {
        option_bytes(&fd, libc::SOL_SOCKET, libc::SO_BINDTODEVICE, device.as_bytes())
            .map_err(wanted.failed("bind to the interface"))?;
    }
    Ok(fd)
}

/// `setsockopt(2)` with bytes.
fn option_bytes(fd: &impl AsRawFd, level: libc::c_int, name: libc::c_int, value: &[u8]) -> io::Result<()> {
    let length = libc::socklen_t::try_from(value.len()).map_err(io::Error::other)?;
    // SAFETY: the pointer and the length are those of one living slice, which the kernel only reads.
    let result = unsafe { libc::setsockopt(fd.as_raw_fd(), level, name, value.as_ptr().cast(), length) };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// `setsockopt(2)` with an `int`.
fn option(fd: &impl AsRawFd, level: libc::c_int, name: libc::c_int, value: libc::c_int) -> io::Result<()> {
    option_bytes(fd, level, name, &value.to_ne_bytes())
}

/// Joins a multicast group on an interface (RFC 3493, section 5.2).
fn join(fd: &impl AsRawFd, group: Ipv6Addr, interface: u32) -> io::Result<()> {
    // `struct ipv6_mreq`: the address, then the interface.
    let mut request = [0; 20];
    request[..16].copy_from_slice(&group.octets());
    request[16..].copy_from_slice(&interface.to_ne_bytes());
    option_bytes(fd, libc::IPPROTO_IPV6, libc::IPV6_ADD_MEMBERSHIP, &request)
}

/// `bind(2)`.
fn bind(fd: &impl AsRawFd, address: SocketAddrV6) -> io::Result<()> {
    let name = packet::sockaddr(address);
    // SAFETY: the pointer and the length are those of one living `sockaddr_in6`, which the kernel only reads.
    let result = unsafe { libc::bind(fd.as_raw_fd(), (&raw const name).cast(), packet::SOCKADDR_LEN) };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// `bind(2)` of a packet socket: to the interface, and to what the link's header names `protocol` (`ETH_P_*`; 0 is nothing).
fn bind_to_link(fd: &impl AsRawFd, protocol: u16, interface: u32) -> io::Result<()> {
    let name = libc::sockaddr_ll {
        sll_family: libc::AF_PACKET as libc::c_ushort,
        sll_protocol: protocol.to_be(),
        sll_ifindex: interface.cast_signed(),
        sll_hatype: 0,
        sll_pkttype: 0,
        sll_halen: 0,
        sll_addr: [0; 8],
    };
    let length = size_of::<libc::sockaddr_ll>() as libc::socklen_t;
    // SAFETY: the pointer and the length are those of one living `sockaddr_ll`, which the kernel only reads.
    let result = unsafe { libc::bind(fd.as_raw_fd(), (&raw const name).cast(), length) };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}
