//! The same for programs that run on tokio.

use super::tcp::is_exhausted;
use super::{Listeners, Received, UdpListeners};
use crate::Endpoint;
use std::future::poll_fn;
use std::io;
use std::ops::Deref;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::net::TcpStream;

/// Pause where there is no descriptor for a peer.
const PAUSE: Duration = Duration::from_millis(100);

/// [`Listeners`] on tokio.
#[derive(Debug)]
pub struct AsyncListeners {
    listeners: Listeners,
    readiness: Readiness,
}

/// [`UdpListeners`] on tokio.
#[derive(Debug)]
pub struct AsyncUdpListeners {
    listeners: UdpListeners,
    readiness: Readiness,
}

impl Listeners {
    /// For the runtime of the caller, which needs its I/O and time drivers (`enable_all`).
    ///
    /// # Errors
    /// Where the sockets cannot be registered.
    pub fn into_tokio(self) -> io::Result<AsyncListeners> {
        let readiness = Readiness::new(self.fds())?;
        Ok(AsyncListeners { listeners: self, readiness })
    }
}

impl UdpListeners {
    /// For the runtime of the caller, which needs its I/O and time drivers (`enable_all`).
    ///
    /// # Errors
    /// Where the sockets cannot be registered.
    pub fn into_tokio(self) -> io::Result<AsyncUdpListeners> {
        let readiness = Readiness::new(self.fds())?;
        Ok(AsyncUdpListeners { listeners: self, readiness })
    }
}

impl AsyncListeners {
    /// As [`Listeners::accept`]. Dropping the future loses no peer.
    ///
    /// # Errors
    /// As [`Listeners::accept`].
    pub async fn accept(&mut self) -> io::Result<(TcpStream, Endpoint)> {
        loop {
            // A service under load is always ready, and would let no other task run.
            tokio::task::coop::consume_budget().await;
            if self.listeners.follow_at_times() {
                self.readiness.forget();
            }
            match self.listeners.try_accept() {
                Ok(Some((stream, peer))) => {
                    stream.set_nonblocking(true)?;
                    return Ok((TcpStream::from_std(stream)?, peer));
                }
                Ok(None) => {
                    self.readiness.wait(self.listeners.fds(), self.listeners.patience()).await?;
                    if self.listeners.follow() {
                        self.readiness.forget();
                    }
                }
                // The listener stays readable: to wait for that would spin. And the kernel says so whether a peer
                // waits or not, so this may be the only turn for a long time.
                Err(error) if is_exhausted(&error) => {
                    tokio::time::sleep(PAUSE).await;
                    if self.listeners.follow() {
                        self.readiness.forget();
                    }
                }
                Err(error) => return Err(error),
            }
        }
    }
}

impl AsyncUdpListeners {
    /// As [`UdpListeners::recv_from`]. Dropping the future loses no datagram.
    ///
    /// # Errors
    /// As [`UdpListeners::recv_from`].
    pub async fn recv_from(&mut self, buffer: &mut [u8]) -> io::Result<Received> {
        loop {
            tokio::task::coop::consume_budget().await;
            if self.listeners.follow_at_times() {
                self.readiness.forget();
            }
            if let Some(received) = self.listeners.try_recv_from(buffer)? {
                return Ok(received);
            }
            self.readiness.wait(self.listeners.fds(), self.listeners.patience()).await?;
            if self.listeners.follow() {
                self.readiness.forget();
            }
        }
    }
}

impl AsyncUdpListeners {
    /// As [`UdpListeners::reply`].
    ///
    /// # Errors
    /// As [`UdpListeners::reply`].
    pub async fn reply(&self, octets: &[u8], to: &Received) -> io::Result<usize> {
        self.when_there_is_room(self.listeners.way_back(to)?, octets, to.from).await
    }

    /// As [`UdpListeners::send_to`].
    ///
    /// # Errors
    /// As [`UdpListeners::send_to`].
    pub async fn send_to(&self, octets: &[u8], to: Endpoint) -> io::Result<usize> {
        self.when_there_is_room(self.listeners.way_to(to)?, octets, to).await
    }

    async fn when_there_is_room(&self, number: usize, octets: &[u8], to: Endpoint) -> io::Result<usize> {
        loop {
            match self.listeners.try_send(number, octets, to) {
                // Rare enough to be registered for the occasion.
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    let socket = self.listeners.descriptor(number).ok_or(error)?;
                    register(socket, Interest::WRITABLE)?.writable().await?.clear_ready();
                }
                sent => return sent,
            }
        }
    }
}

impl Deref for AsyncListeners {
    type Target = Listeners;

    fn deref(&self) -> &Listeners {
        &self.listeners
    }
}

impl Deref for AsyncUdpListeners {
    type Target = UdpListeners;

    fn deref(&self) -> &UdpListeners {
        &self.listeners
    }
}

/// Second handles of the sockets, registered with the runtime. The sockets themselves are replaced by a
/// refresh, and these then made anew; so they are where there is no descriptor for them at the time.
#[derive(Debug)]
struct Readiness(Option<Vec<AsyncFd<OwnedFd>>>);

impl Readiness {
    fn new<'a>(fds: impl Iterator<Item = BorrowedFd<'a>>) -> io::Result<Self> {
        fds.map(|fd| register(fd, Interest::READABLE)).collect::<io::Result<_>>().map(Some).map(Self)
    }

    /// The sockets were replaced.
    fn forget(&mut self) {
        self.0 = None;
    }

    /// Waits until any socket may have something, or the time is over.
    async fn wait<'a>(
        &mut self,
        fds: impl Iterator<Item = BorrowedFd<'a>>,
        patience: Option<Duration>,
    ) -> io::Result<()> {
        if self.0.is_none() {
            match Self::new(fds) {
                Ok(anew) => *self = anew,
                Err(error) if is_exhausted(&error) => {
                    tokio::time::sleep(PAUSE).await;
                    return Ok(());
                }
                Err(error) => return Err(error),
            }
        }
        let ready = poll_fn(|context| self.poll(context));
        match patience {
            None => ready.await,
            Some(patience) => tokio::time::timeout(patience, ready).await.unwrap_or(Ok(())),
        }
    }

    /// Ready where any socket may have something. To be called only when all have been asked: it takes the
    /// readiness away.
    fn poll(&self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut any = Poll::Pending;
        for registered in self.0.iter().flatten() {
            if let Poll::Ready(guard) = registered.poll_read_ready(context) {
                guard?.clear_ready();
                any = Poll::Ready(Ok(()));
            }
        }
        any
    }
}

/// A second handle of a socket, registered with the runtime.
fn register(fd: BorrowedFd<'_>, interest: Interest) -> io::Result<AsyncFd<OwnedFd>> {
    let fd = fd.try_clone_to_owned()?;
    // Its successor is unsafe, for types whose descriptor may change. That of an `OwnedFd` cannot.
    #[allow(deprecated, reason = "this crate has no unsafe code")]
    AsyncFd::with_interest(fd, interest)
}
