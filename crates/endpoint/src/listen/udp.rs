//! UDP.

use super::slots::Slots;
use super::{Missing, Refreshed, Warning};
use crate::Endpoint;
use crate::interface::index_by;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use rustix::net::RecvFlags;
use socket2::SockAddr;
use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr, SocketAddrV6};
use std::os::fd::{AsFd as _, BorrowedFd};
use std::time::{Duration, Instant};

/// UDP sockets of one service. All are asked in turn, so that none starves behind a busy one.
#[derive(Debug)]
pub struct UdpListeners {
    slots: Slots,
}

/// A datagram that came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Received {
    /// Octets of it in the buffer.
    pub length: usize,
    /// Whether it was longer than the buffer; the rest is lost.
    pub truncated: bool,
    /// Who sent it: never a mapped address, and a link-local one has its zone.
    pub from: Endpoint,
    /// By which socket it came.
    socket: usize,
}

impl UdpListeners {
    pub(super) fn new(slots: Slots) -> Self {
        Self { slots }
    }

    /// Waits for a datagram. Interfaces of link-local listeners are followed meanwhile.
    ///
    /// # Errors
    /// Errors of the sockets themselves.
    pub fn recv_from(&mut self, buffer: &mut [u8]) -> io::Result<Received> {
        loop {
            if let Some(received) = self.recv_until(buffer, None)? {
                return Ok(received);
            }
        }
    }

    /// The same, but not longer than `timeout`: `None` then.
    ///
    /// # Errors
    /// As [`UdpListeners::recv_from`].
    pub fn recv_timeout(&mut self, buffer: &mut [u8], timeout: Duration) -> io::Result<Option<Received>> {
        self.recv_until(buffer, Instant::now().checked_add(timeout))
    }

    fn recv_until(&mut self, buffer: &mut [u8], end: Option<Instant>) -> io::Result<Option<Received>> {
        loop {
            let left = end.map(|end| end.saturating_duration_since(Instant::now()));
            self.slots.follow_at_times();
            if let Some(received) = self.try_recv_from(buffer)? {
                return Ok(Some(received));
            }
            if left == Some(Duration::ZERO) {
                return Ok(None);
            }
            self.slots.wait(left)?;
            self.slots.follow();
        }
    }

    /// A datagram that waits already; `None` where none does. For event loops: poll [`UdpListeners::fds`].
    ///
    /// # Errors
    /// As [`UdpListeners::recv_from`].
    pub fn try_recv_from(&mut self, buffer: &mut [u8]) -> io::Result<Option<Received>> {
        let received = self.slots.in_turn(|socket| {
            loop {
                match rustix::net::recvfrom(socket, &mut *buffer, RecvFlags::TRUNC) {
                    Ok((length, whole, from)) => {
                        let from = from.and_then(|from| SocketAddr::try_from(from).ok());
                        // Neither IPv4 nor IPv6: it cannot be, and is no peer of ours.
                        let Some(from) = from else { continue };
                        return Ok((length, whole > length, Endpoint::from(from)));
                    }
                    // What an earlier datagram of ours met on its way is no error of the socket.
                    Err(
                        Errno::INTR
                        | Errno::CONNREFUSED
                        | Errno::HOSTUNREACH
                        | Errno::NETUNREACH
                        | Errno::NETDOWN
                        | Errno::PROTO
                        | Errno::MSGSIZE,
                    ) => {}
                    Err(errno) => return Err(errno.into()),
                }
            }
        })?;
        Ok(received.map(|(socket, (length, truncated, from))| Received { length, truncated, from, socket }))
    }

    /// Answers a datagram, by the socket that it came by: from a listener on one address the answer leaves
    /// from that address. See the [module's page](super) for wildcards. It waits where the socket's buffer is
    /// full.
    ///
    /// # Errors
    /// Errors of sending; `NotConnected` where the listener's interface has gone since.
    pub fn reply(&self, octets: &[u8], to: &Received) -> io::Result<usize> {
        self.when_there_is_room(self.way_back(to)?, octets, to.from)
    }

    /// Sends to somebody, by a socket of his family: the one on his interface where he is link-local and
    /// there is one. It waits where the socket's buffer is full.
    ///
    /// # Errors
    /// Errors of sending; `NotConnected` where no socket can reach him, `NotFound` where his zone is no
    /// interface, `InvalidInput` where he has no port.
    pub fn send_to(&self, octets: &[u8], to: Endpoint) -> io::Result<usize> {
        self.when_there_is_room(self.way_to(to)?, octets, to)
    }

    /// The number of the socket that a datagram came by.
    pub(super) fn way_back(&self, to: &Received) -> io::Result<usize> {
        self.slots.socket(to.socket).map(|_| to.socket).ok_or_else(|| gone(to.from))
    }

    /// The number of the socket that reaches somebody.
    pub(super) fn way_to(&self, to: Endpoint) -> io::Result<usize> {
        let (_, first) = self.slots.sockets().next().ok_or_else(|| gone(to))?;
        let index = match to.zone() {
            None => 0,
            Some(zone) => zone.resolve(|name| index_by(first, name)).ok_or_else(|| no_interface(to))?.get(),
        };
        self.slots.towards(to, index).ok_or_else(|| gone(to))
    }

    /// Sends by the socket of this number; `WouldBlock` where its buffer is full.
    pub(super) fn try_send(&self, number: usize, octets: &[u8], to: Endpoint) -> io::Result<usize> {
        let (socket, mapped) = self.slots.socket(number).ok_or_else(|| gone(to))?;
        let Some(port) = to.port() else {
            let text = format!("cannot send to {to}: it has no port");
            return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
        };
        let address = match to.address() {
            IpAddr::V4(v4) if mapped => SocketAddrV6::new(v4.to_ipv6_mapped(), port, 0, 0).into(),
            _ => to.to_socket_addr(port, |name| index_by(socket, name)).ok_or_else(|| no_interface(to))?,
        };
        socket.send_to(octets, &SockAddr::from(address))
    }

    fn when_there_is_room(&self, number: usize, octets: &[u8], to: Endpoint) -> io::Result<usize> {
        loop {
            match self.try_send(number, octets, to) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    let socket = self.descriptor(number).ok_or_else(|| gone(to))?;
                    match poll(&mut [PollFd::from_borrowed_fd(socket, PollFlags::OUT)], None) {
                        Ok(_) | Err(Errno::INTR) => {}
                        Err(errno) => return Err(errno.into()),
                    }
                }
                sent => return sent,
            }
        }
    }

    /// The socket of this number.
    pub(super) fn descriptor(&self, number: usize) -> Option<BorrowedFd<'_>> {
        self.slots.socket(number).map(|(socket, _)| socket.as_fd())
    }

    /// As [`Listeners::refresh`](super::Listeners::refresh).
    pub fn refresh(&mut self) -> Vec<Refreshed> {
        self.slots.refresh()
    }

    /// Where it listens, with the port that the kernel chose; also what waits for its interface.
    pub fn endpoints(&self) -> Vec<Endpoint> {
        self.slots.endpoints()
    }

    /// The port, where all have the same.
    pub fn port(&self) -> Option<u16> {
        self.slots.port()
    }

    /// Families that are not served.
    pub fn missing(&self) -> &[Missing] {
        self.slots.missing()
    }

    /// What was not as it should be when it was opened.
    pub fn warnings(&self) -> &[Warning] {
        self.slots.warnings()
    }

    /// The open sockets, non-blocking. [`UdpListeners::refresh`] may replace them.
    pub fn sockets(&self) -> impl Iterator<Item = (Endpoint, BorrowedFd<'_>)> {
        self.slots.sockets()
    }

    /// As [`Listeners::fds`](super::Listeners::fds).
    pub fn fds(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        self.slots.fds()
    }

    /// As [`Listeners::follow`](super::Listeners::follow).
    pub fn follow(&mut self) -> bool {
        self.slots.follow()
    }

    #[cfg(feature = "tokio")]
    pub(super) fn patience(&self) -> Option<Duration> {
        self.slots.patience()
    }

    #[cfg(feature = "tokio")]
    pub(super) fn follow_at_times(&mut self) -> bool {
        self.slots.follow_at_times()
    }
}

impl fmt::Display for UdpListeners {
    /// Each socket with the families it takes, and the families that are missing.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.slots.fmt(f)
    }
}

fn gone(to: Endpoint) -> io::Error {
    let text =
        format!("cannot send to {to}: no socket here reaches it (its family or its interface is not served)");
    io::Error::new(io::ErrorKind::NotConnected, text)
}

fn no_interface(to: Endpoint) -> io::Error {
    let text = format!("cannot send to {to}: this machine has no such interface");
    io::Error::new(io::ErrorKind::NotFound, text)
}
