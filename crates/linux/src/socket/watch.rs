//! A look at a LAN: a packet socket that hears of what hosts say just enough to know how they live, chosen by the kernel
//! with a classic BPF program (bpf(4)) so that nothing else costs more than that program.

use std::io;
use std::mem;
use std::net::Ipv6Addr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd as _, OwnedFd, RawFd};

use nix::sys::socket::{MsgFlags, recv};

use super::filter::{Assembler, Go, RANDOM, attach};
use super::{bind_to_link, option, option_bytes};

/// Octets of a frame that are handed over: all headers that matter, and a Neighbour Discovery message.
const KEPT: u32 = 160;
/// And where all of them matter: more than any frame has.
const WHOLE: u32 = 65_535;
/// Of datagrams over IPv4, one in so many is handed over: unlike TCP they do not say which is the first.
const ONE_IN: u32 = 16;
/// Octets the kernel may keep for us; frames beyond that are lost, and counted.
const BUFFER: libc::c_int = 512 * 1024;

/// A socket on one Ethernet interface that hears: ARP; Router and Neighbour Solicitations and Neighbour Advertisements,
/// also those to groups of others; the first segment of each TCP connection over IPv4; some datagrams over IPv4; and the first
/// segments of connections into one prefix of IPv6. What this machine sends it does not hear. Non-blocking.
#[derive(Debug)]
pub struct WatchSocket {
    fd: OwnedFd,
}

/// Why a LAN cannot be looked at.
#[derive(Debug, thiserror::Error)]
#[error("cannot watch {device}: {step}: {source}{}", if source.kind() == io::ErrorKind::PermissionDenied { "; run as root, or give this process CAP_NET_RAW" } else { "" })]
pub struct WatchError {
    /// The interface.
    pub device: String,
    /// The call that failed.
    pub step: &'static str,
    /// The system's answer.
    pub source: io::Error,
}

/// Opens a socket on the interface of this name and number; `prefix` is a NAT64's with its length, connections into which
/// are heard.
///
/// # Errors
/// [`WatchError`], such as without CAP_NET_RAW.
pub fn watch(
    device: &str,
    interface: u32,
    prefix: Option<(Ipv6Addr, u8)>,
) -> Result<WatchSocket, WatchError> {
    open(device, interface, &program(prefix), Hears { groups: true, ours: false })
}

/// Opens a socket on the interface of this name and number that hears the heads of DHCPv6 messages to servers and relay agents and
/// nothing else: it tells which Ethernet address each came from. A message is here before any other socket has it.
///
/// # Errors
/// [`WatchError`], such as without CAP_NET_RAW.
pub fn watch_dhcpv6(device: &str, interface: u32) -> Result<WatchSocket, WatchError> {
    open(device, interface, &dhcpv6_program(), Hears { groups: false, ours: false })
}

/// Opens a socket that hears, whole, what one host and everybody's routers and servers say to each other to come up and to find names:
/// ARP, ICMPv6, DHCP, DHCPv6, DNS, each from or to this Ethernet address or to a group; also what this machine sends.
///
/// # Errors
/// [`WatchError`], such as without CAP_NET_RAW.
pub fn watch_host(device: &str, interface: u32, host: [u8; 6]) -> Result<WatchSocket, WatchError> {
    open(device, interface, &host_program(host), Hears { groups: true, ours: true })
}

/// What a socket hears beside what is for this machine.
#[derive(Debug, Clone, Copy)]
struct Hears {
    /// What is for groups of others.
    groups: bool,
    /// What this machine sends.
    ours: bool,
}

/// Opens a socket that hears what `program` takes.
fn open(
    device: &str,
    interface: u32,
    program: &[libc::sock_filter],
    hears: Hears,
) -> Result<WatchSocket, WatchError> {
    let failed = |step| move |source| WatchError { device: device.to_owned(), step, source };
    let kind = libc::SOCK_RAW | libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK;
    // With protocol 0 it hears nothing until it is bound: no frame passes before the program is in place.
    // SAFETY: no pointers are involved.
    let fd = unsafe { libc::socket(libc::AF_PACKET, kind, 0) };
    if fd < 0 {
        return Err(failed("socket")(io::Error::last_os_error()));
    }
    // SAFETY: the kernel has just given us this descriptor, and nobody else knows it.
    let socket = WatchSocket { fd: unsafe { OwnedFd::from_raw_fd(fd) } };
    attach(&socket.fd, program).map_err(failed("SO_ATTACH_FILTER"))?;
    option(&socket.fd, libc::SOL_SOCKET, libc::SO_RCVBUF, BUFFER).map_err(failed("SO_RCVBUF"))?;
    // The program leaves out what we send as well, but only after the kernel has copied each packet's head for it. Linux
    // before 4.20 does not know it.
    if !hears.ours {
        let _ = option(&socket.fd, libc::SOL_PACKET, libc::PACKET_IGNORE_OUTGOING, 1);
    }
    if hears.groups {
        // Without it the interface drops what is sent to groups of other hosts, such as their search for duplicates.
        // `struct packet_mreq`: interface, type, length of an address, address.
        let mut request = [0; 16];
        request[..4].copy_from_slice(&interface.to_ne_bytes());
        request[4..6].copy_from_slice(&(libc::PACKET_MR_ALLMULTI as u16).to_ne_bytes());
        option_bytes(&socket.fd, libc::SOL_PACKET, libc::PACKET_ADD_MEMBERSHIP, &request)
            .map_err(failed("PACKET_ADD_MEMBERSHIP"))?;
    }
    bind_to_link(&socket.fd, libc::ETH_P_ALL as u16, interface).map_err(failed("bind"))?;
    Ok(socket)
}

impl WatchSocket {
    /// Hears from now on of connections into this prefix, and of no other.
    ///
    /// # Errors
    /// What the kernel says of the program.
    pub fn set_prefix(&self, prefix: Option<(Ipv6Addr, u8)>) -> io::Result<()> {
        attach(&self.fd, &program(prefix))
    }

    /// Takes the next frame, from its Ethernet header on and maybe cut off; its length in the buffer.
    ///
    /// # Errors
    /// `WouldBlock` when there is none.
    pub fn recv(&self, buffer: &mut [u8]) -> io::Result<usize> {
        Ok(recv(self.fd.as_raw_fd(), buffer, MsgFlags::empty())?)
    }

    /// Frames that were lost since this was last asked, because nobody read them in time.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn lost(&self) -> io::Result<u32> {
        // `struct tpacket_stats`: frames, and of those lost ones.
        let mut counts = [0_u32; 2];
        let mut length = mem::size_of_val(&counts) as libc::socklen_t;
        // SAFETY: the pointer and the length are those of one living array, which the kernel writes to.
        let got = unsafe {
            libc::getsockopt(
                self.fd.as_raw_fd(),
                libc::SOL_PACKET,
                libc::PACKET_STATISTICS,
                counts.as_mut_ptr().cast(),
                &raw mut length,
            )
        };
        if got < 0 { Err(io::Error::last_os_error()) } else { Ok(counts[1]) }
    }
}

impl AsFd for WatchSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl AsRawFd for WatchSocket {
    fn as_raw_fd(&self) -> RawFd {
        self.fd.as_raw_fd()
    }
}

/// Octets of an Ethernet header.
const ETHERNET: u32 = 14;
/// Ancillary data of the kernel's (linux/filter.h): `SKF_AD_OFF + SKF_AD_PKTTYPE`.
const PACKET_TYPE: u32 = (-0x1000_i32 + 4).cast_unsigned();
/// `PACKET_OUTGOING` of linux/if_packet.h.
const OUTGOING: u32 = 4;
/// SYN and ACK of TCP, and where its flags are.
const SYN: u32 = 0x02;
const SYN_AND_ACK: u32 = 0x12;
const TCP_FLAGS: u32 = 13;

/// What [`WatchSocket`] says that it hears. All jumps lead forwards, and the program is far shorter than the 255
/// instructions that a jump can reach.
fn program(prefix: Option<(Ipv6Addr, u8)>) -> Vec<libc::sock_filter> {
    use Go::{Leave, Next, Take, To};
    let (octet, half, word) = (libc::BPF_B, libc::BPF_H, libc::BPF_W);
    let mut a = Assembler::default();
    a.load(octet, PACKET_TYPE);
    a.if_equal(OUTGOING, Leave, Next);
    a.load(half, 12);
    a.if_equal(libc::ETH_P_ARP as u32, Take, Next);
    a.if_equal(libc::ETH_P_IP as u32, Next, To("ipv6"));
    // IPv4: the first fragment, to one host.
    a.load(half, ETHERNET + 6);
    a.and(0x1fff);
    a.if_equal(0, Next, Leave);
    a.load(octet, ETHERNET + 16);
    a.and(0xe0);
    a.if_equal(0xe0, Leave, Next);
    a.load(octet, ETHERNET + 9);
    a.if_equal(libc::IPPROTO_UDP as u32, To("datagram"), Next);
    a.if_equal(libc::IPPROTO_TCP as u32, Next, Leave);
    a.load_behind_ipv4(octet, ETHERNET, TCP_FLAGS);
    a.and(SYN_AND_ACK);
    a.if_equal(SYN, Take, Leave);
    a.label("datagram");
    a.load(word, RANDOM);
    a.and(ONE_IN - 1);
    a.if_equal(0, Take, Leave);
    a.label("ipv6");
    a.if_equal(libc::ETH_P_IPV6 as u32, Next, Leave);
    a.load(octet, ETHERNET + 6);
    let tcp = if prefix.is_some() { To("tcp") } else { Leave };
    a.if_equal(libc::IPPROTO_ICMPV6 as u32, Next, tcp);
    a.load(octet, ETHERNET + 40);
    // Router Solicitation, Neighbour Solicitation and Advertisement (RFC 4861).
    a.if_equal(133, Take, Next);
    a.if_equal(135, Take, Next);
    a.if_equal(136, Take, Leave);
    if let Some((address, length)) = prefix {
        a.label("tcp");
        a.if_equal(libc::IPPROTO_TCP as u32, Next, Leave);
        a.load(octet, ETHERNET + 40 + TCP_FLAGS);
        a.and(SYN_AND_ACK);
        a.if_equal(SYN, Next, Leave);
        let (bits, mask) =
            (u128::from(address), u128::MAX.checked_shl(128 - u32::from(length.min(128))).unwrap_or(0));
        for part in 0..4 {
            let of = |value: u128| (value >> (96 - 32 * part)) as u32;
            if of(mask) != 0 {
                a.load(word, ETHERNET + 24 + 4 * part);
                a.and(of(mask));
                a.if_equal(of(bits & mask), Next, Leave);
            }
        }
    }
    a.finish(KEPT)
}

/// What [`watch_host`] says that it hears.
fn host_program(host: [u8; 6]) -> Vec<libc::sock_filter> {
    use Go::{Leave, Next, Take, To};
    let (octet, half, word) = (libc::BPF_B, libc::BPF_H, libc::BPF_W);
    let [a0, a1, a2, a3, a4, a5] = host;
    let (front, back) = (u32::from_be_bytes([a0, a1, a2, a3]), u32::from(u16::from_be_bytes([a4, a5])));
    let mut a = Assembler::default();
    // From it, to it, or to a group.
    a.load(word, 6);
    a.if_equal(front, Next, To("to"));
    a.load(half, 10);
    a.if_equal(back, To("kind"), Next);
    a.label("to");
    a.load(word, 0);
    a.if_equal(front, Next, To("group"));
    a.load(half, 4);
    a.if_equal(back, To("kind"), Next);
    a.label("group");
    a.load(octet, 0);
    a.and(1);
    a.if_equal(1, Next, Leave);
    a.label("kind");
    a.load(half, 12);
    a.if_equal(libc::ETH_P_ARP as u32, Take, Next);
    a.if_equal(libc::ETH_P_IP as u32, Next, To("ipv6"));
    a.load(octet, ETHERNET + 9);
    a.if_equal(libc::IPPROTO_UDP as u32, Next, Leave);
    for at in [0, 2] {
        a.load_behind_ipv4(half, ETHERNET, at);
        for port in [53, 67, 68] {
            a.if_equal(port, Take, Next);
        }
    }
    a.if_equal(0, Leave, Leave);
    a.label("ipv6");
    a.if_equal(libc::ETH_P_IPV6 as u32, Next, Leave);
    a.load(octet, ETHERNET + 6);
    a.if_equal(libc::IPPROTO_ICMPV6 as u32, Take, Next);
    // MLD comes behind a hop-by-hop option (RFC 2710 section 3).
    a.if_equal(libc::IPPROTO_HOPOPTS as u32, Take, Next);
    a.if_equal(libc::IPPROTO_UDP as u32, Next, Leave);
    for at in [0, 2] {
        a.load(half, ETHERNET + 40 + at);
        for port in [53, 546, 547] {
            a.if_equal(port, Take, Next);
        }
    }
    a.if_equal(0, Leave, Leave);
    a.finish(WHOLE)
}

/// UDP over IPv6 to port 547, without extension headers in between.
fn dhcpv6_program() -> Vec<libc::sock_filter> {
    use Go::{Leave, Next, Take};
    let mut a = Assembler::default();
    a.load(libc::BPF_B, PACKET_TYPE);
    a.if_equal(OUTGOING, Leave, Next);
    a.load(libc::BPF_H, 12);
    a.if_equal(libc::ETH_P_IPV6 as u32, Next, Leave);
    a.load(libc::BPF_B, ETHERNET + 6);
    a.if_equal(libc::IPPROTO_UDP as u32, Next, Leave);
    a.load(libc::BPF_H, ETHERNET + 40 + 2);
    a.if_equal(547, Take, Leave);
    a.finish(KEPT)
}
