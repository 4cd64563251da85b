//! Whole IPv4 packets to hosts that cannot be asked for their hardware address, because they do not have their IPv4 address yet
//! (RFC 2131 section 4.1).

use std::io;
use std::mem;
use std::net::{Ipv6Addr, SocketAddrV6};
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd, FromRawFd as _, OwnedFd};

use super::{Error, Wanted};
use crate::listeners::Protocol;

/// `ETH_P_IP` of `linux/if_ether.h`, as the wire has it.
const IPV4: u16 = 0x0800_u16.to_be();

/// A socket that sends IPv4 packets in Ethernet frames out of one interface, and receives nothing.
#[derive(Debug)]
pub struct FrameSocket {
    fd: OwnedFd,
    interface: i32,
}

/// Opens one for the interface of this name and number. Needs `CAP_NET_RAW`; sending does not.
///
/// # Errors
/// What the system refuses.
pub fn frames(device: &str, interface: u32) -> Result<FrameSocket, Error> {
    let address = SocketAddrV6::new(Ipv6Addr::UNSPECIFIED, 0, 0, 0);
    let wanted = Wanted { protocol: Protocol::Packet, address, device: Some(device.to_owned()) };
    let kind = libc::SOCK_DGRAM | libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK;
    // SAFETY: no pointers are involved. Protocol 0: no frame comes in.
    let fd = unsafe { libc::socket(libc::AF_PACKET, kind, 0) };
    if fd < 0 {
        return Err(wanted.failed("socket")(io::Error::last_os_error()));
    }
    // SAFETY: the kernel has just given us this descriptor, and nobody else knows it.
    let fd = unsafe { OwnedFd::from_raw_fd(fd) };
    Ok(FrameSocket { fd, interface: interface.cast_signed() })
}

impl FrameSocket {
    /// Sends an IPv4 packet, its header complete, to an Ethernet address.
    ///
    /// # Errors
    /// What the system says: the interface is down or gone, its queue is full.
    pub fn send(&self, packet: &[u8], to: [u8; 6]) -> io::Result<()> {
        let mut name = libc::sockaddr_ll {
            sll_family: libc::AF_PACKET as libc::c_ushort,
            sll_protocol: IPV4,
            sll_ifindex: self.interface,
            sll_hatype: 0,
            sll_pkttype: 0,
            sll_halen: 6,
            sll_addr: [0; 8],
        };
        name.sll_addr[..6].copy_from_slice(&to);
        let length = mem::size_of::<libc::sockaddr_ll>() as libc::socklen_t;
        // SAFETY: both pointers are to living values of the lengths given, which the kernel only reads.
        let sent = unsafe {
            libc::sendto(
                self.fd.as_raw_fd(),
                packet.as_ptr().cast(),
                packet.len(),
                libc::MSG_NOSIGNAL,
                (&raw const name).cast(),
                length,
            )
        };
        if sent < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
    }
}

impl AsFd for FrameSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}
