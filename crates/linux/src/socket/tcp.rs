//! TCP listeners over IPv6, and where asked for over IPv4.

use std::io;
use std::net::{SocketAddrV6, TcpListener};
use std::os::fd::AsRawFd as _;

use super::{Error, Wanted, bind, open, option};
use crate::listeners::Protocol;

/// Connections that may wait to be accepted; the kernel caps it at `net.core.somaxconn`.
const BACKLOG: libc::c_int = 1024;

/// Listens on an address, by choice on one interface only. The port may be taken again at once after a restart
/// (`SO_REUSEADDR`, which for TCP lets nobody share a port that is being listened on).
pub fn tcp6_listener(address: SocketAddrV6, device: Option<&str>) -> Result<TcpListener, Error> {
    tcp_listener(address, device, false)
}

/// As [`tcp6_listener`], and with `ipv4` peers over IPv4 too, whose addresses are mapped ones.
pub fn tcp_listener(address: SocketAddrV6, device: Option<&str>, ipv4: bool) -> Result<TcpListener, Error> {
    let wanted = Wanted { protocol: Protocol::Tcp, address, device: device.map(str::to_owned) };
    let fd = open(&wanted, libc::SOCK_STREAM, 0)?;
    option(&fd, libc::IPPROTO_IPV6, libc::IPV6_V6ONLY, (!ipv4).into())
        .map_err(wanted.failed("IPV6_V6ONLY"))?;
    option(&fd, libc::SOL_SOCKET, libc::SO_REUSEADDR, 1).map_err(wanted.failed("SO_REUSEADDR"))?;
    bind(&fd, address).map_err(wanted.failed("bind"))?;
    // SAFETY: no pointers are involved.
    if unsafe { libc::listen(fd.as_raw_fd(), BACKLOG) } < 0 {
        return Err(wanted.failed("listen")(io::Error::last_os_error()));
    }
    Ok(TcpListener::from(fd))
}
