//! TAP devices: an Ethernet interface whose other end is a file of this process.

#![allow(unsafe_code, reason = "ioctls")]

use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd, FromRawFd as _, OwnedFd};
use std::os::unix::fs::OpenOptionsExt as _;

/// `TUNSETIFF` of `linux/if_tun.h`: `_IOW('T', 202, int)`.
const TUNSETIFF: libc::c_ulong = 0x4004_54ca;

/// A TAP device of the network namespace it was made in. Dropping it removes the interface.
#[derive(Debug)]
pub struct Tap {
    file: File,
}

impl Tap {
    /// Makes the TAP device `name` in the calling thread's network namespace, not yet up.
    ///
    /// Frames carry no extra header, and the kernel hands out no frames with unfinished checksums or above the
    /// MTU. Reading and writing never block.
    ///
    /// # Errors
    /// When `/dev/net/tun` cannot be opened, the name is taken, empty or longer than 15 bytes.
    pub fn create(name: &str) -> io::Result<Self> {
        let file = open_device(name, libc::IFF_TAP | libc::IFF_NO_PI)?;
        Ok(Self { file })
    }

    /// Takes the next frame that the kernel sent out of the interface; its length.
    ///
    /// # Errors
    /// `WouldBlock` when there is none.
    pub fn receive(&self, buffer: &mut [u8]) -> io::Result<usize> {
        (&self.file).read(buffer)
    }

    /// Hands the kernel a frame, as if it had come in on the interface.
    ///
    /// # Errors
    /// When the interface is down, or the frame is shorter than an Ethernet header.
    pub fn send(&self, frame: &[u8]) -> io::Result<()> {
        (&self.file).write(frame).map(|_| ())
    }
}

impl AsFd for Tap {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

/// Opens a queue of the TUN or TAP device `name`, which is made where it is not there. It never blocks.
pub(crate) fn open_device(name: &str, flags: libc::c_int) -> io::Result<File> {
    let device = "/dev/net/tun";
    let file =
        File::options().read(true).write(true).custom_flags(libc::O_NONBLOCK).open(device).map_err(|e| {
            io::Error::new(e.kind(), format!("{device}: {e}; the tun module and access to it are needed"))
        })?;
    let mut request = interface_request(name)?;
    request.ifr_ifru.ifru_flags = flags as libc::c_short;
    // SAFETY: the fd is open, and TUNSETIFF reads and writes one `ifreq`, which lives until the call returns.
    if unsafe { libc::ioctl(file.as_raw_fd(), TUNSETIFF, &raw mut request) } < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(file)
}

fn interface_request(name: &str) -> io::Result<libc::ifreq> {
    if name.is_empty() || name.len() >= libc::IFNAMSIZ || name.contains('\0') {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            format!("interface names have 1 to 15 bytes, not {name:?}"),
        ));
    }
    // SAFETY: `ifreq` is made of integers and a union of them and of pointers: all zeros is a value of it.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    for (to, from) in request.ifr_name.iter_mut().zip(name.bytes()) {
        *to = libc::c_char::from_ne_bytes([from]);
    }
    Ok(request)
}

/// Brings up `lo` in the calling thread's network namespace.
///
/// # Errors
/// When the kernel refuses: no root in the namespace.
pub fn loopback_up() -> io::Result<()> {
    // Any socket will do; one of this family opens where neither IPv4 nor IPv6 does.
    // SAFETY: a plain system call.
    let fd = unsafe { libc::socket(libc::AF_UNIX, libc::SOCK_DGRAM | libc::SOCK_CLOEXEC, 0) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the kernel just gave us this fd, nobody else has it.
    let socket = unsafe { OwnedFd::from_raw_fd(fd) };
    let mut request = interface_request("lo")?;
    request.ifr_ifru.ifru_flags = (libc::IFF_UP | libc::IFF_RUNNING) as libc::c_short;
    // SAFETY: the fd is open, and SIOCSIFFLAGS reads one `ifreq`, which lives until the call returns.
    if unsafe { libc::ioctl(socket.as_raw_fd(), libc::SIOCSIFFLAGS, &raw mut request) } < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}
