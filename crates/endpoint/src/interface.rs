//! Names of interfaces and their indexes, asked of the kernel when they are needed.

use crate::acl::{Acl, Decision, Unasked};
use crate::{Endpoint, Zone};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType, netdevice, socket_with};
use std::net::SocketAddr;
use std::os::fd::AsFd;

/// A zone that names no interface of this machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("there is no interface `{0}` on this machine now: `ip link` lists those that there are")]
pub struct NoInterface(pub Zone);

/// The index of the interface of this name, in the network that this thread is in. `None` too where it cannot be asked for, without a
/// file descriptor for one: so for access lists use [`Acl::decide_here`], which can tell the two apart.
pub fn interface_index(name: &str) -> Option<u32> {
    index_here(name).ok().flatten()
}

fn index_here(name: &str) -> Result<Option<u32>, Unasked> {
    // Any socket will do; one of this family opens where neither IPv4 nor IPv6 does.
    let socket = socket_with(AddressFamily::UNIX, SocketType::DGRAM, SocketFlags::CLOEXEC, None);
    match netdevice::name_to_index(socket.map_err(|_| Unasked)?, name) {
        Ok(index) => Ok(Some(index)),
        Err(Errno::NODEV) => Ok(None),
        Err(_) => Err(Unasked),
    }
}

/// The index of the interface of this name, in the network that a socket is in.
pub(crate) fn index_by(socket: impl AsFd, name: &str) -> Option<u32> {
    netdevice::name_to_index(socket, name).ok().filter(|&index| index != 0)
}

impl Acl {
    /// As [`Acl::decide_with`], with the names of interfaces looked up in the kernel where a rule with a zone may hold the peer: for peers
    /// as [`listen`](crate::listen) gives them, whose zones are indexes, and lists in which people wrote names. Where the kernel cannot be
    /// asked (no file descriptor is left, a sandbox), doubt denies.
    pub fn decide_here(&self, peer: impl Into<Endpoint>) -> Decision<'_> {
        self.decide_by(peer.into(), index_here)
    }
}

impl Endpoint {
    /// As [`Endpoint::to_socket_addr`], with the index of a named zone from the kernel.
    ///
    /// # Errors
    /// Where the zone's name is no interface's.
    pub fn socket_addr(&self, default_port: u16) -> Result<SocketAddr, NoInterface> {
        let missing = NoInterface(self.zone().unwrap_or(Zone::NONE));
        self.to_socket_addr(default_port, interface_index).ok_or(missing)
    }

    /// As [`Endpoint::socket_addr`], for `socket2`.
    ///
    /// # Errors
    /// Where the zone's name is no interface's.
    pub fn sock_addr(&self, default_port: u16) -> Result<socket2::SockAddr, NoInterface> {
        self.socket_addr(default_port).map(Into::into)
    }
}

impl TryFrom<&socket2::SockAddr> for Endpoint {
    type Error = NeitherFamily;

    fn try_from(address: &socket2::SockAddr) -> Result<Self, NeitherFamily> {
        address.as_socket().map(Self::from).ok_or(NeitherFamily(address.family()))
    }
}

/// A socket address of another family than the two.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a socket address of family {0} is neither IPv4 nor IPv6")]
pub struct NeitherFamily(pub u16);
