//! Frames sent out of an interface past this machine's own protocols, marked, with offloads.

use std::fs::File;
use std::io::{self, IoSlice, Write as _};
use std::os::fd::{AsFd, BorrowedFd, FromRawFd as _};

use super::{Error, Wanted, bind_to_link, option};
use crate::listeners::Protocol;
use crate::tun::VnetHeader;

/// A packet socket that sends frames and receives none.
#[derive(Debug)]
pub struct Outlet {
    file: File,
}

/// Opens one on the interface of this name and number; what it sends carries `mark`. As soon as about `waiting` octets (with what the kernel
/// needs beside them) have been given to it that the interface has not sent, it takes no more.
///
/// # Errors
/// When the kernel refuses, as a rule for want of CAP_NET_RAW and CAP_NET_ADMIN.
pub fn open_outlet(device: &str, interface: u32, mark: u32, waiting: u32) -> Result<Outlet, Error> {
    let address = std::net::SocketAddrV6::new(std::net::Ipv6Addr::UNSPECIFIED, 0, 0, 0);
    let wanted = Wanted { protocol: Protocol::Packet, address, device: Some(device.to_owned()) };
    let flags = libc::SOCK_RAW | libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK;
    // Protocol 0: nothing is received.
    // SAFETY: no pointers are involved.
    let fd = unsafe { libc::socket(libc::AF_PACKET, flags, 0) };
    if fd < 0 {
        return Err(wanted.failed("packet socket")(io::Error::last_os_error()));
    }
    // SAFETY: the kernel has just given us this descriptor, and nobody else knows it.
    let file = unsafe { File::from_raw_fd(fd) };
    option(&file, libc::SOL_PACKET, libc::PACKET_VNET_HDR, 1).map_err(wanted.failed("PACKET_VNET_HDR"))?;
    option(&file, libc::SOL_SOCKET, libc::SO_MARK, mark.cast_signed()).map_err(wanted.failed("SO_MARK"))?;
    bind_to_link(&file, 0, interface).map_err(wanted.failed("bind to the interface"))?;
    let outlet = Outlet { file };
    outlet.set_waiting(waiting).map_err(wanted.failed("SO_SNDBUF"))?;
    Ok(outlet)
}

impl Outlet {
    /// Changes how many octets may wait.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn set_waiting(&self, waiting: u32) -> io::Result<()> {
        // The kernel doubles it. Without the right to exceed the system's limit, what it allows.
        let half = libc::c_int::try_from(waiting / 2).unwrap_or(libc::c_int::MAX / 2);
        option(&self.file, libc::SOL_SOCKET, libc::SO_SNDBUFFORCE, half)
            .or_else(|_| option(&self.file, libc::SOL_SOCKET, libc::SO_SNDBUF, half))
    }

    /// Sends a frame, from its link's header on, with what is left to do for it.
    ///
    /// # Errors
    /// `WouldBlock` when too much waits already: poll(2) tells when not. `ENETDOWN` and `ENXIO` when the interface is down or gone;
    /// `EMSGSIZE` when the frame is longer than it takes.
    pub fn send(&self, header: &VnetHeader, frame: &[u8]) -> io::Result<()> {
        let header = header.to_bytes();
        (&self.file).write_vectored(&[IoSlice::new(&header), IoSlice::new(frame)]).map(|_| ())
    }
}

impl AsFd for Outlet {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}
