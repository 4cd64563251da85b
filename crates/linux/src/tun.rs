//! TUN devices: an IP interface whose other end is a file of this process, with the kernel's offloads left on.
//!
//! A packet comes and goes with a [`VnetHeader`], which says what is left to do for it: complete a checksum, cut a
//! superpacket (GSO) into the packets that it stands for. A superpacket of 64 KiB crosses once where its 45 packets
//! would cross 45 times.

#![allow(unsafe_code, reason = "ioctls")]

use std::fs::File;
use std::io::{self, IoSlice, IoSliceMut, Read as _, Write as _};
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd};

use crate::tap::open_device;

/// `TUNSETOFFLOAD` of `linux/if_tun.h`: `_IOW('T', 208, unsigned int)`.
const TUNSETOFFLOAD: libc::c_ulong = 0x4004_54d0;
/// `IFF_VNET_HDR` and `IFF_MULTI_QUEUE` of `linux/if_tun.h`.
const IFF_VNET_HDR: libc::c_int = 0x4000;
const IFF_MULTI_QUEUE: libc::c_int = 0x0100;

/// What this end takes unfinished (`TUN_F_*` of `linux/if_tun.h`).
mod takes {
    pub(super) const CHECKSUM: libc::c_ulong = 0x01;
    pub(super) const TCP4: libc::c_ulong = 0x02;
    pub(super) const TCP6: libc::c_ulong = 0x04;
    pub(super) const TCP_ECN: libc::c_ulong = 0x08;
    /// UDP superpackets of either family; since Linux 6.2.
    pub(super) const UDP: libc::c_ulong = 0x20 | 0x40;
}

/// What every kernel leaves to us with [`Offloads::All`].
const LEAST: libc::c_ulong = takes::CHECKSUM | takes::TCP4 | takes::TCP6 | takes::TCP_ECN;

/// Most queues that a device has (the kernel's `MAX_TAP_QUEUES`).
pub const MAX_QUEUES: usize = 256;

/// Octets of the longest packet or superpacket that a queue gives: an IPv6 header and as much as its length field says.
pub const MAX_PACKET: usize = 40 + 65_535;

/// How a superpacket is to be cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Segmentation {
    /// It is one packet.
    #[default]
    None,
    /// TCP over IPv4.
    Tcp4,
    /// TCP over IPv6.
    Tcp6,
    /// UDP over either.
    Udp,
    /// Another way, by its number in `linux/virtio_net.h`; none that this end asks for.
    Other(u8),
}

/// What is left to do for a packet: `virtio_net_hdr` of `linux/virtio_net.h`, in the machine's byte order.
///
/// ```text
///  0       1        2       4       6           8           10
/// +-------+--------+-------+-------+-----------+-----------+
/// | flags | gso    | header| gso   | checksum  | checksum  |
/// |       | type   | length| size  | start     | offset    |
/// +-------+--------+-------+-------+-----------+-----------+
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct VnetHeader {
    /// The checksum has to be completed: from `checksum_start` to the end, into the field at `checksum_offset` from
    /// there, which holds the sum of the pseudo-header.
    pub needs_checksum: bool,
    /// The checksum was found right.
    pub checksum_valid: bool,
    /// How it is to be cut.
    pub segmentation: Segmentation,
    /// The first packet cut from it alone has TCP's CWR flag.
    pub ecn: bool,
    /// Octets of all headers: a hint, 0 where unknown.
    pub header_length: u16,
    /// Octets of payload in each packet cut from it.
    pub segment: u16,
    /// Where the checksum begins to count, from the beginning of the packet.
    pub checksum_start: u16,
    /// Where the checksum stands, from `checksum_start`.
    pub checksum_offset: u16,
}

impl VnetHeader {
    /// Its length in octets.
    pub const LENGTH: usize = 10;

    const NEEDS_CHECKSUM: u8 = 1;
    const CHECKSUM_VALID: u8 = 2;
    const ECN: u8 = 0x80;

    /// Reads it.
    pub fn from_bytes(bytes: [u8; Self::LENGTH]) -> Self {
        let [flags, kind, h0, h1, s0, s1, c0, c1, o0, o1] = bytes;
        Self {
            needs_checksum: flags & Self::NEEDS_CHECKSUM != 0,
            checksum_valid: flags & Self::CHECKSUM_VALID != 0,
            segmentation: match kind & !Self::ECN {
                0 => Segmentation::None,
                1 => Segmentation::Tcp4,
                4 => Segmentation::Tcp6,
                5 => Segmentation::Udp,
                other => Segmentation::Other(other),
            },
            ecn: kind & Self::ECN != 0,
            header_length: u16::from_ne_bytes([h0, h1]),
            segment: u16::from_ne_bytes([s0, s1]),
            checksum_start: u16::from_ne_bytes([c0, c1]),
            checksum_offset: u16::from_ne_bytes([o0, o1]),
        }
    }

    /// Writes it.
    pub fn to_bytes(self) -> [u8; Self::LENGTH] {
        let mut flags = 0;
        if self.needs_checksum {
            flags |= Self::NEEDS_CHECKSUM;
        }
        if self.checksum_valid {
            flags |= Self::CHECKSUM_VALID;
        }
        let kind = match self.segmentation {
            Segmentation::None => 0,
            Segmentation::Tcp4 => 1,
            Segmentation::Tcp6 => 4,
            Segmentation::Udp => 5,
            Segmentation::Other(other) => other,
        } | if self.ecn { Self::ECN } else { 0 };
        let [h0, h1] = self.header_length.to_ne_bytes();
        let [s0, s1] = self.segment.to_ne_bytes();
        let [c0, c1] = self.checksum_start.to_ne_bytes();
        let [o0, o1] = self.checksum_offset.to_ne_bytes();
        [flags, kind, h0, h1, s0, s1, c0, c1, o0, o1]
    }
}

/// One queue of a TUN device. When the last is dropped the device goes, and with it its addresses and routes.
///
/// A flow of packets keeps to one queue, the one on which the answers were last sent.
#[derive(Debug)]
pub struct Queue {
    file: File,
    udp: bool,
}

/// What the kernel may leave to this end to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Offloads {
    /// Checksums, and cutting superpackets of TCP and, where the kernel knows it, of UDP.
    All,
    /// Nothing: packets come ready to be sent on by a way that cuts and completes nothing. What this end writes may be unfinished
    /// all the same.
    None,
}

/// Makes the TUN device `name` with `count` queues in the calling thread's network namespace, not yet up.
///
/// # Errors
/// When `/dev/net/tun` cannot be opened, the name is taken, empty or longer than 15 bytes, or there cannot be that many
/// queues.
pub fn create(name: &str, count: usize, offloads: Offloads) -> io::Result<Vec<Queue>> {
    if count == 0 || count > MAX_QUEUES {
        let text = format!("a TUN device has 1 to {MAX_QUEUES} queues, not {count}");
        return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
    }
    let flags = libc::IFF_TUN | libc::IFF_NO_PI | IFF_VNET_HDR;
    // Without the flag, a second opening of the same name is refused: nobody joins by mistake.
    let flags = if count > 1 { flags | IFF_MULTI_QUEUE } else { flags };
    (0..count).map(|_| Queue::open(name, flags, offloads)).collect()
}

/// Makes the TAP device `name`, not yet up: as a TUN device of one queue, but what passes are Ethernet frames.
///
/// # Errors
/// As [`create`].
pub fn create_ethernet(name: &str, offloads: Offloads) -> io::Result<Queue> {
    Queue::open(name, libc::IFF_TAP | libc::IFF_NO_PI | IFF_VNET_HDR, offloads)
}

impl Queue {
    fn open(name: &str, flags: libc::c_int, offloads: Offloads) -> io::Result<Self> {
        let file = open_device(name, flags)?;
        let udp = set_offload(&file, LEAST | takes::UDP).is_ok();
        let queue = Self { file, udp };
        queue.set_offloads(offloads)?;
        Ok(queue)
    }

    /// Changes what the kernel may leave to this end to do; for what comes from now on.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn set_offloads(&self, offloads: Offloads) -> io::Result<()> {
        let taken = match offloads {
            Offloads::All if self.udp => LEAST | takes::UDP,
            Offloads::All => LEAST,
            Offloads::None => 0,
        };
        set_offload(&self.file, taken)
    }

    /// Whether UDP superpackets can be written (Linux 6.2 and later); with [`Offloads::All`] they come, too.
    pub fn takes_udp_superpackets(&self) -> bool {
        self.udp
    }

    /// Takes the next packet that the kernel sent out of the interface; its length. A packet longer than `buffer` is
    /// cut off: [`MAX_PACKET`] is enough for all.
    ///
    /// # Errors
    /// `WouldBlock` when there is none. `EBADFD` when the interface was deleted.
    pub fn receive(&self, buffer: &mut [u8]) -> io::Result<(VnetHeader, usize)> {
        let mut header = [0; VnetHeader::LENGTH];
        let mut parts = [IoSliceMut::new(&mut header), IoSliceMut::new(buffer)];
        let length = (&self.file).read_vectored(&mut parts)?;
        Ok((VnetHeader::from_bytes(header), length.saturating_sub(VnetHeader::LENGTH)))
    }

    /// Hands the kernel a packet, as if it had come in on the interface.
    ///
    /// # Errors
    /// When the interface is down (`EIO`) or the header and the packet do not agree (`EINVAL`).
    pub fn send(&self, header: &VnetHeader, packet: &[u8]) -> io::Result<()> {
        let header = header.to_bytes();
        (&self.file).write_vectored(&[IoSlice::new(&header), IoSlice::new(packet)]).map(|_| ())
    }
}

impl AsFd for Queue {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

fn set_offload(file: &File, offload: libc::c_ulong) -> io::Result<()> {
    // SAFETY: the fd is open, and TUNSETOFFLOAD takes its argument by value.
    if unsafe { libc::ioctl(file.as_raw_fd(), TUNSETOFFLOAD, offload) } < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_read_as_they_are_written() {
        for segmentation in [
            Segmentation::None,
            Segmentation::Tcp4,
            Segmentation::Tcp6,
            Segmentation::Udp,
            Segmentation::Other(3),
        ] {
            let header = VnetHeader {
                needs_checksum: true,
                checksum_valid: false,
                segmentation,
                ecn: true,
                header_length: 0x1234,
                segment: 1440,
                checksum_start: 40,
                checksum_offset: 16,
            };
            assert_eq!(VnetHeader::from_bytes(header.to_bytes()), header);
        }
        assert_eq!(VnetHeader::default().to_bytes(), [0; 10]);
        let valid = VnetHeader { checksum_valid: true, ..VnetHeader::default() };
        assert_eq!(valid.to_bytes()[..2], [2, 0]);
        assert_eq!(VnetHeader::from_bytes(valid.to_bytes()), valid);
    }
}
