//! IPv6 packets to and from one address of this machine past its own IPv6: for a translator that has an address on the link while the
//! machine stays a host, which forwards nothing.
//!
//! The kernel answers neighbour discovery for the address; [`crate::nft::Silence`] keeps it from answering all else.

use std::fs::File;
use std::io::{self, IoSliceMut, Read as _};
use std::net::{Ipv6Addr, SocketAddrV6};
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd, FromRawFd as _, OwnedFd};

use super::filter::attach;
use super::{Error, Wanted, bind, bind_to_link, open, option, option_bytes, packet};
use crate::listeners::Protocol;
use crate::tun::VnetHeader;

/// Octets that wait in the socket before the kernel drops more: what a link of 1 Gbit/s brings in 30 ms.
const KEPT: libc::c_int = 4 << 20;

/// Octets of an Ethernet header.
const ETHERNET: usize = 14;

/// Both ways of one address on one interface.
#[derive(Debug)]
pub struct Bypass {
    /// What arrives: a packet socket.
    incoming: File,
    /// Octets of the link's own header: that of Ethernet, or none.
    link: usize,
    /// What is sent: a raw socket that takes whole packets.
    outgoing: OwnedFd,
}

/// Takes what arrives on an interface for `address`, but for neighbour discovery, and sends what comes from it. The address must be
/// on the interface, its duplicate address detection done. `ethernet`: the link has Ethernet's headers, and not none at all.
pub fn open_bypass(device: &str, interface: u32, ethernet: bool, address: Ipv6Addr) -> Result<Bypass, Error> {
    let from = SocketAddrV6::new(address, 0, 0, 0);
    let wanted = Wanted { protocol: Protocol::Raw, address: from, device: Some(device.to_owned()) };
    let outgoing = open(&wanted, libc::SOCK_RAW, libc::IPPROTO_RAW)?;
    // The route is looked up for this source.
    bind(&outgoing, from).map_err(wanted.failed("bind to the address"))?;

    let link = if ethernet { ETHERNET } else { 0 };
    // What is left to do for a packet is told for packets with their link's header alone.
    let flags = libc::SOCK_RAW | libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK;
    // Protocol 0: nothing arrives before the filter is in place.
    // SAFETY: no pointers are involved.
    let fd = unsafe { libc::socket(libc::AF_PACKET, flags, 0) };
    if fd < 0 {
        return Err(wanted.failed("packet socket")(io::Error::last_os_error()));
    }
    // SAFETY: the kernel has just given us this descriptor, and nobody else knows it.
    let incoming = unsafe { File::from_raw_fd(fd) };
    attach(&incoming, &filter(address, link as u32)).map_err(wanted.failed("attach a filter"))?;
    option(&incoming, libc::SOL_PACKET, libc::PACKET_VNET_HDR, 1)
        .map_err(wanted.failed("PACKET_VNET_HDR"))?;
    // Without the right to exceed the system's limit, what it allows is kept.
    let _ = option(&incoming, libc::SOL_SOCKET, libc::SO_RCVBUFFORCE, KEPT);
    listen(&incoming, interface).map_err(wanted.failed("bind to the interface"))?;
    Ok(Bypass { incoming, link, outgoing })
}

impl Bypass {
    /// The next packet for the address, from its IPv6 header on, and what is left to do for it: superpackets come whole.
    ///
    /// # Errors
    /// `WouldBlock` when there is none. `ENETDOWN` when the interface went down or away.
    pub fn receive(&mut self, buffer: &mut [u8]) -> io::Result<(VnetHeader, usize)> {
        let (mut header, mut ethernet) = ([0; VnetHeader::LENGTH], [0; ETHERNET]);
        let before = ethernet.get_mut(..self.link).unwrap_or_default();
        let mut parts = [IoSliceMut::new(&mut header), IoSliceMut::new(before), IoSliceMut::new(buffer)];
        let length = (&self.incoming).read_vectored(&mut parts)?;
        let mut header = VnetHeader::from_bytes(header);
        // Counted from the link's header on.
        header.checksum_start = header.checksum_start.saturating_sub(self.link as u16);
        header.header_length = header.header_length.saturating_sub(self.link as u16);
        Ok((header, length.saturating_sub(VnetHeader::LENGTH + self.link)))
    }

    /// Sends a finished IPv6 packet, as if this machine had made it: routes and rules for output apply.
    ///
    /// # Errors
    /// `EMSGSIZE` when it is longer than the interface's MTU; `InvalidInput` when it is no IPv6 packet.
    pub fn send(&self, packet: &[u8]) -> io::Result<()> {
        let Some(destination) = packet.get(24..40).and_then(|octets| <[u8; 16]>::try_from(octets).ok())
        else {
            return Err(io::ErrorKind::InvalidInput.into());
        };
        let to = packet::sockaddr(SocketAddrV6::new(destination.into(), 0, 0, 0));
        // SAFETY: both pointers are those of living values with their true lengths, which the kernel only reads.
        let sent = unsafe {
            libc::sendto(
                self.outgoing.as_raw_fd(),
                packet.as_ptr().cast(),
                packet.len(),
                libc::MSG_NOSIGNAL,
                (&raw const to).cast(),
                packet::SOCKADDR_LEN,
            )
        };
        if sent < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
    }
}

impl AsFd for Bypass {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.incoming.as_fd()
    }
}

fn statement(code: u32, jt: u8, jf: u8, k: u32) -> libc::sock_filter {
    libc::sock_filter { code: code as u16, jt, jf, k }
}

/// IPv6 packets to `address` that are not neighbour discovery (RFC 4861: ICMPv6 types 133 to 137). The IPv6 header begins at `at`.
fn filter(address: Ipv6Addr, at: u32) -> Vec<libc::sock_filter> {
    /// Where the statement is that refuses.
    const REFUSAL: u8 = 14;
    const WORD: u32 = libc::BPF_LD | libc::BPF_W | libc::BPF_ABS;
    const OCTET: u32 = libc::BPF_LD | libc::BPF_B | libc::BPF_ABS;
    const EQUAL: u32 = libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K;
    const AT_LEAST: u32 = libc::BPF_JMP | libc::BPF_JGE | libc::BPF_K;
    const RETURN: u32 = libc::BPF_RET | libc::BPF_K;
    let mut program = Vec::new();
    for (number, word) in (0_u8..).zip(address.octets().as_chunks::<4>().0) {
        program.push(statement(WORD, 0, 0, at + 24 + 4 * u32::from(number)));
        program.push(statement(EQUAL, 0, REFUSAL - (2 * number + 2), u32::from_be_bytes(*word)));
    }
    program.push(statement(OCTET, 0, 0, at + 6));
    program.push(statement(EQUAL, 0, 3, libc::IPPROTO_ICMPV6 as u32));
    program.push(statement(OCTET, 0, 0, at + 40));
    program.push(statement(AT_LEAST, 0, 1, 133));
    program.push(statement(AT_LEAST, 0, 1, 138));
    program.push(statement(RETURN, 0, 0, u32::MAX));
    program.push(statement(RETURN, 0, 0, 0));
    program
}

/// Lets IPv6 packets of one interface in, those alone that arrive.
fn listen(socket: &File, interface: u32) -> io::Result<()> {
    /// Of `linux/if_packet.h`; since Linux 4.20.
    const PACKET_IGNORE_OUTGOING: libc::c_int = 23;
    option_bytes(socket, libc::SOL_PACKET, PACKET_IGNORE_OUTGOING, &1_i32.to_ne_bytes())?;
    bind_to_link(socket, libc::ETH_P_IPV6 as u16, interface)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Classic BPF, as far as the filter uses it.
    fn accepts(program: &[libc::sock_filter], packet: &[u8]) -> bool {
        let (mut at, mut value) = (0, 0);
        loop {
            let statement = program[at];
            at += 1;
            let k = statement.k as usize;
            let jump = |taken: bool| usize::from(if taken { statement.jt } else { statement.jf });
            match u32::from(statement.code) {
                0x20 => value = u32::from_be_bytes(packet[k..k + 4].try_into().unwrap()),
                0x30 => value = u32::from(packet[k]),
                0x15 => at += jump(value == statement.k),
                0x35 => at += jump(value >= statement.k),
                0x06 => return statement.k != 0,
                other => panic!("{other:#x}"),
            }
        }
    }

    #[test]
    fn the_filter_takes_the_address_and_leaves_neighbour_discovery() {
        let address: Ipv6Addr = "2001:db8:1:2:3:4:5:6".parse().unwrap();
        let program = filter(address, 0);
        let packet = |to: Ipv6Addr, next: u8, kind: u8| {
            let mut packet = vec![0; 48];
            (packet[0], packet[6], packet[40]) = (0x60, next, kind);
            packet[24..40].copy_from_slice(&to.octets());
            packet
        };
        for (next, kind, expected) in [
            (6, 135, true),
            (17, 0, true),
            (44, 0, true),
            (58, 1, true),
            (58, 2, true),
            (58, 129, true),
            (58, 132, true),
            (58, 133, false),
            (58, 135, false),
            (58, 137, false),
            (58, 138, true),
            (58, 255, true),
        ] {
            assert_eq!(accepts(&program, &packet(address, next, kind)), expected, "{next} {kind}");
        }
        for bit in 0..128 {
            let other = Ipv6Addr::from_bits(address.to_bits() ^ 1 << bit);
            assert!(!accepts(&program, &packet(other, 6, 0)), "{other}");
        }
    }
}
