//! Options of sockets that measure a path.

use std::io;
use std::mem;
use std::os::fd::AsRawFd;
use std::time::Duration;

use super::option;

/// Sends packets as large as the link takes, unfragmented, whatever is believed of the path's MTU (`IPV6_PMTUDISC_PROBE` and its like over
/// IPv4): for RFC 8899's probes. A packet that is larger than the link's own MTU is refused with `EMSGSIZE`.
///
/// # Errors
/// Where the socket is of neither family.
pub fn probe_path_mtu(socket: &impl AsRawFd) -> io::Result<()> {
    let v6 = option(socket, libc::IPPROTO_IPV6, libc::IPV6_MTU_DISCOVER, libc::IPV6_PMTUDISC_PROBE)
        .and_then(|()| option(socket, libc::IPPROTO_IPV6, libc::IPV6_DONTFRAG, 1));
    let v4 = option(socket, libc::IPPROTO_IP, libc::IP_MTU_DISCOVER, libc::IP_PMTUDISC_PROBE);
    v6.or(v4)
}

/// TCP's own smoothed round-trip time of a connection (`TCP_INFO`, RFC 6298 section 2).
///
/// # Errors
/// Where the socket is no TCP socket.
pub fn tcp_rtt(socket: &impl AsRawFd) -> io::Result<Duration> {
    // SAFETY: tcp_info is plain numbers, for which zeros are valid.
    let mut info: libc::tcp_info = unsafe { mem::zeroed() };
    let mut length = mem::size_of::<libc::tcp_info>() as libc::socklen_t;
    // SAFETY: the pointers are to living values, and the kernel writes no more than `length` octets to the first.
    let result = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::IPPROTO_TCP,
            libc::TCP_INFO,
            (&raw mut info).cast(),
            &raw mut length,
        )
    };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(Duration::from_micros(info.tcpi_rtt.into())) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{Ipv6Addr, TcpListener, TcpStream, UdpSocket};

    #[test]
    fn the_kernel_tells_its_round_trip_time() {
        let listener = TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let rtt = tcp_rtt(&stream).unwrap();
        assert!(rtt > Duration::ZERO && rtt < Duration::from_secs(5), "{rtt:?}");
        let udp = UdpSocket::bind((Ipv6Addr::LOCALHOST, 0)).unwrap();
        assert!(tcp_rtt(&udp).is_err());
        assert!(probe_path_mtu(&udp).is_ok());
    }
}
