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
    /// For the runtime of the caller, which needs its I/O driver (`enable_io`).
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
            match self.listeners.try_accept() {
                Ok(Some((stream, peer))) => {
                    stream.set_nonblocking(true)?;
                    return Ok((TcpStream::from_std(stream)?, peer));
                }
                Ok(None) => {
                    poll_fn(|context| self.readiness.poll(context)).await?;
                    if self.listeners.follow() {
                        self.readiness = Readiness::new(self.listeners.fds())?;
                    }
                }
                // The listener stays readable: to wait for that would spin.
                Err(error) if is_exhausted(&error) => tokio::time::sleep(PAUSE).await,
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
            if let Some(received) = self.listeners.try_recv_from(buffer)? {
                return Ok(received);
            }
            poll_fn(|context| self.readiness.poll(context)).await?;
            if self.listeners.follow() {
                self.readiness = Readiness::new(self.listeners.fds())?;
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
/// refresh.
#[derive(Debug)]
struct Readiness(Vec<AsyncFd<OwnedFd>>);

impl Readiness {
    fn new<'a>(fds: impl Iterator<Item = BorrowedFd<'a>>) -> io::Result<Self> {
        let register = |fd: BorrowedFd<'_>| {
            let fd = fd.try_clone_to_owned()?;
            // Its successor is unsafe, for types whose descriptor may change. That of an `OwnedFd` cannot.
            #[allow(deprecated, reason = "this crate has no unsafe code")]
            AsyncFd::with_interest(fd, Interest::READABLE)
        };
        fds.map(register).collect::<io::Result<_>>().map(Self)
    }

    /// Ready where any socket may have something. To be called only when all have been asked: it takes the
    /// readiness away.
    fn poll(&self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut any = Poll::Pending;
        for registered in &self.0 {
            if let Poll::Ready(guard) = registered.poll_read_ready(context) {
                guard?.clear_ready();
                any = Poll::Ready(Ok(()));
            }
        }
        any
    }
}
