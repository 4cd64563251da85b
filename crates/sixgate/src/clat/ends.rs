//! The two ends of a host's CLAT: a TUN device where IPv4 is, and IPv6 past the machine's own stack.

use crate::translator::Ends;
use nix::errno::Errno;
use sixgate_linux::socket::Bypass;
use sixgate_linux::tun::{Queue, Segmentation, VnetHeader};
use std::io;
use std::os::fd::{AsFd as _, BorrowedFd};

/// IPv4 comes from the device finished (it was made so): a raw socket cuts no superpackets. IPv6 comes as superpackets, which the
/// device takes whole.
#[derive(Debug)]
pub(super) struct HostEnds {
    v4: Queue,
    v6: Bypass,
    /// Whose turn it is, so that neither side starves the other.
    v6_first: bool,
}

impl HostEnds {
    pub(super) fn new(v4: Queue, v6: Bypass) -> Self {
        Self { v4, v6, v6_first: false }
    }

    fn receive_v6(&mut self, buffer: &mut [u8]) -> io::Result<(VnetHeader, usize)> {
        // A link that is down brings nothing; whoever watches links decides what that means.
        let down = |error: &io::Error| error.raw_os_error() == Some(Errno::ENETDOWN as i32);
        self.v6.receive(buffer).map_err(|e| if down(&e) { io::ErrorKind::WouldBlock.into() } else { e })
    }
}

impl Ends for HostEnds {
    fn receive(&mut self, buffer: &mut [u8]) -> io::Result<(VnetHeader, usize)> {
        self.v6_first = !self.v6_first;
        let empty = |result: &io::Result<_>| {
            result.as_ref().is_err_and(|error: &io::Error| error.kind() == io::ErrorKind::WouldBlock)
        };
        if self.v6_first {
            let first = self.receive_v6(buffer);
            return if empty(&first) { self.v4.receive(buffer) } else { first };
        }
        let first = self.v4.receive(buffer);
        if empty(&first) { self.receive_v6(buffer) } else { first }
    }

    fn send(&self, header: &VnetHeader, packet: &[u8]) -> io::Result<()> {
        if packet.first().is_none_or(|octet| octet >> 4 != 6) {
            return self.v4.send(header, packet);
        }
        if header.needs_checksum || header.segmentation != Segmentation::None {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        self.v6.send(packet)
    }

    fn takes_udp_superpackets(&self, v6: bool) -> bool {
        !v6 && self.v4.takes_udp_superpackets()
    }

    fn sources(&self) -> Vec<BorrowedFd<'_>> {
        vec![self.v4.as_fd(), self.v6.as_fd()]
    }
}
