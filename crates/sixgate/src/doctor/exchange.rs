//! Asking a DHCP server of either family: again and again, until one answers or it has been long enough.

use super::seen::Asked;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use sixgate_linux::socket::UdpSocket6;
use std::net::Ipv6Addr;
use std::os::fd::AsFd as _;
use std::time::{Duration, Instant};

/// How long is waited for an answer, all in all.
const PATIENCE: Duration = Duration::from_millis(4500);
/// Longest answer that is read, in octets.
const LONGEST: usize = 4096;

/// Asks at each of the times in `due`, counted from now, until `read` finds an answer in what comes, or [`PATIENCE`] is over.
pub(super) fn exchange<T>(
    socket: &UdpSocket6,
    due: &[Duration],
    ask: impl Fn(Duration),
    read: impl Fn(&[u8], Ipv6Addr) -> Option<T>,
) -> Asked<T> {
    let begun = Instant::now();
    for number in 0..due.len() {
        ask(begun.elapsed());
        let until = begun + due.get(number + 1).copied().unwrap_or(PATIENCE);
        if let Some(answer) = receive(socket, until, &read) {
            return Asked::Answer(answer);
        }
    }
    Asked::Silence
}

fn receive<T>(
    socket: &UdpSocket6,
    until: Instant,
    read: &impl Fn(&[u8], Ipv6Addr) -> Option<T>,
) -> Option<T> {
    let mut buffer = [0; LONGEST];
    while Instant::now() < until {
        let mut fds = [PollFd::new(socket.as_fd(), PollFlags::POLLIN)];
        let _ = poll(&mut fds, PollTimeout::from(50_u8));
        while Instant::now() < until
            && let Ok(received) = socket.recv(&mut buffer)
        {
            let bytes = buffer.get(..received.len).unwrap_or_default();
            if let Some(answer) = read(bytes, *received.source.ip()) {
                return Some(answer);
            }
        }
    }
    None
}
