//! TCP.

use super::slots::Slots;
use super::{Missing, Refreshed, Warning};
use crate::Endpoint;
use rustix::io::Errno;
use std::fmt;
use std::io;
use std::net::TcpStream;
use std::os::fd::BorrowedFd;
use std::time::{Duration, Instant};

/// First and longest pause where there is no descriptor for a peer.
const PAUSE: Duration = Duration::from_millis(10);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// How many peers in a row may have gone: what all others meet too is no matter of the peer, such as a sandbox that forbids `accept`.
const ABORTED: u32 = 100;

/// TCP listeners of one service. All are asked in turn, so that none starves behind a busy one.
#[derive(Debug)]
pub struct Listeners {
    slots: Slots,
    counters: Counters,
}

/// What went by unseen.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counters {
    /// Peers that were accepted.
    pub accepted: u64,
    /// Peers that had gone before they were accepted (`ECONNABORTED` and other errors of the network).
    pub aborted: u64,
    /// How often there was no file descriptor or memory for a peer; it waits in the kernel meanwhile. The kernel says so before it
    /// looks whether there is a peer.
    pub exhausted: u64,
}

impl Listeners {
    pub(super) fn new(slots: Slots) -> Self {
        Self { slots, counters: Counters::default() }
    }

    /// Waits for a peer. Its address is never a mapped one, and a link-local one has its zone. The stream
    /// blocks.
    ///
    /// Where there are no file descriptors left it pauses, up to a second, and tries again: the peers wait in
    /// the kernel. Interfaces of link-local listeners are followed meanwhile.
    ///
    /// # Errors
    /// Errors of the sockets themselves; errors of a single peer are counted and skipped, up to a hundred in a row.
    pub fn accept(&mut self) -> io::Result<(TcpStream, Endpoint)> {
        loop {
            if let Some(accepted) = self.accept_until(None)? {
                return Ok(accepted);
            }
        }
    }

    /// The same, but not longer than `timeout`: `None` then.
    ///
    /// # Errors
    /// As [`Listeners::accept`].
    pub fn accept_timeout(&mut self, timeout: Duration) -> io::Result<Option<(TcpStream, Endpoint)>> {
        self.accept_until(Instant::now().checked_add(timeout))
    }

    fn accept_until(&mut self, end: Option<Instant>) -> io::Result<Option<(TcpStream, Endpoint)>> {
        let mut pause = PAUSE;
        loop {
            let left = end.map(|end| end.saturating_duration_since(Instant::now()));
            self.slots.follow_at_times();
            match self.try_accept() {
                Ok(Some(accepted)) => return Ok(Some(accepted)),
                Ok(None) => {
                    if left == Some(Duration::ZERO) {
                        return Ok(None);
                    }
                    self.slots.wait(left)?;
                    self.slots.follow();
                }
                // The listener stays readable: to poll it would spin. And the kernel says so whether a peer waits or
                // not, so this may be the only turn for a long time.
                Err(error) if is_exhausted(&error) => {
                    if left == Some(Duration::ZERO) {
                        return Ok(None);
                    }
                    std::thread::sleep(left.map_or(pause, |left| left.min(pause)));
                    pause = (pause * 2).min(LONGEST_PAUSE);
                    self.slots.follow();
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// A peer that waits already; `None` where none does. For event loops: poll [`Listeners::fds`].
    ///
    /// # Errors
    /// As [`Listeners::accept`], and where there is no file descriptor or memory for the peer
    /// ([`is_exhausted`]): the socket stays readable then, so pause before you poll it again.
    pub fn try_accept(&mut self) -> io::Result<Option<(TcpStream, Endpoint)>> {
        let counters = &mut self.counters;
        let accepted = self.slots.in_turn(|socket| {
            let mut in_a_row = 0;
            loop {
                match socket.accept() {
                    Ok((stream, peer)) => match peer.as_socket() {
                        Some(peer) => return Ok((TcpStream::from(stream), Endpoint::from(peer))),
                        // Neither IPv4 nor IPv6: it cannot be, and is no peer of ours.
                        None => counters.aborted += 1,
                    },
                    Err(error) if is_of_the_peer(&error) && in_a_row < ABORTED => {
                        counters.aborted += 1;
                        in_a_row += 1;
                    }
                    Err(error) => return Err(error),
                }
            }
        });
        match &accepted {
            Ok(Some(_)) => self.counters.accepted += 1,
            Err(error) if is_exhausted(error) => self.counters.exhausted += 1,
            Ok(None) | Err(_) => {}
        }
        Ok(accepted?.map(|(_, accepted)| accepted))
    }

    /// Resolves the names of interfaces anew: what was on one that is gone is closed, what is on one that
    /// came is opened. To be called when [`Changes`](crate::network::Changes) has something, unless
    /// [`Listeners::accept`] does it. Says what it did.
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

    /// What went by unseen.
    pub fn counters(&self) -> Counters {
        self.counters
    }

    /// The open sockets, non-blocking. [`Listeners::refresh`] may replace them.
    pub fn sockets(&self) -> impl Iterator<Item = (Endpoint, BorrowedFd<'_>)> {
        self.slots.sockets()
    }

    /// What an event loop polls for reading: the sockets, and where interfaces matter the kernel's news of
    /// them. On each event call [`Listeners::try_accept`] until it has none, then [`Listeners::follow`].
    pub fn fds(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        self.slots.fds()
    }

    /// Takes the kernel's news, and refreshes where there are some; whether [`Listeners::fds`] has changed.
    /// Never waits.
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

impl fmt::Display for Listeners {
    /// Each socket with the families it takes, and the families that are missing.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.slots.fmt(f)
    }
}

/// Whether an error says that this process or the machine is out of file descriptors or memory.
pub fn is_exhausted(error: &io::Error) -> bool {
    let errno = Errno::from_io_error(error);
    matches!(errno, Some(Errno::MFILE | Errno::NFILE | Errno::NOBUFS | Errno::NOMEM))
}

/// Errors of the connection that would have been accepted (accept(2)); the next one may be well.
fn is_of_the_peer(error: &io::Error) -> bool {
    let errno = Errno::from_io_error(error);
    matches!(
        errno,
        Some(
            Errno::CONNABORTED
                | Errno::INTR
                | Errno::PROTO
                | Errno::NOPROTOOPT
                | Errno::NETDOWN
                | Errno::NETUNREACH
                | Errno::HOSTDOWN
                | Errno::HOSTUNREACH
                | Errno::NONET
                | Errno::OPNOTSUPP
                | Errno::TIMEDOUT
                | Errno::PERM
        )
    )
}
