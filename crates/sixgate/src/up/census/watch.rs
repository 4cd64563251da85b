//! A look at each LAN: frames that tell how hosts live, read and made events of, never faster than the engine can bear.

use super::judge::{self, Seen};
use crate::up::event::{Event, Sender};
use crate::up::sockets::watched;
use sixgate_endpoint::nat64::Prefix;
use sixgate_linux::listeners::{self, Protocol};
use sixgate_linux::socket::{WatchSocket, watch};
use std::io;
use std::rc::Rc;
use std::time::Duration;
use tokio::io::unix::AsyncFd;
use tokio::task::{AbortHandle, spawn_local};

/// Frames read in one go; they are one event.
const BURST: usize = 64;
/// The pause after each: whoever floods a LAN costs us 6,400 frames a second at most, and what is more is counted as lost.
const PAUSE: Duration = Duration::from_millis(10);
/// Octets of a frame that are read: more are never handed over.
const LONGEST: usize = 256;

/// A LAN that is looked at, until dropped.
#[derive(Debug)]
pub(super) struct Look {
    socket: Rc<AsyncFd<WatchSocket>>,
    reading: AbortHandle,
}

impl Look {
    /// Begins to look, once the socket is found in the kernel's table.
    pub(super) fn open(
        lan: usize,
        (device, interface): (&str, u32),
        prefix: Option<Prefix>,
        events: Sender,
    ) -> io::Result<Self> {
        let socket = watch(device, interface, words(prefix)).map_err(io::Error::other)?;
        listeners::verify_socket(&socket, Protocol::Packet).map_err(io::Error::other)?;
        let socket = Rc::new(watched(socket)?);
        let reading = spawn_local(read(Rc::clone(&socket), lan, events)).abort_handle();
        Ok(Self { socket, reading })
    }

    /// Connections into this prefix are heard of from now on.
    pub(super) fn set_prefix(&self, prefix: Option<Prefix>) -> io::Result<()> {
        self.socket.get_ref().set_prefix(words(prefix))
    }

    /// Frames that were lost since this was last asked.
    pub(super) fn lost(&self) -> u64 {
        self.socket.get_ref().lost().map_or(0, u64::from)
    }
}

impl Drop for Look {
    fn drop(&mut self) {
        self.reading.abort();
    }
}

fn words(prefix: Option<Prefix>) -> Option<(std::net::Ipv6Addr, u8)> {
    prefix.map(|prefix| (prefix.address(), prefix.length()))
}

async fn read(socket: Rc<AsyncFd<WatchSocket>>, lan: usize, events: Sender) {
    let mut buffer = [0; LONGEST];
    while let Ok(mut ready) = socket.readable().await {
        let mut seen: Vec<Seen> = Vec::new();
        let mut drained = false;
        for _ in 0..BURST {
            match ready.try_io(|socket| socket.get_ref().recv(&mut buffer)) {
                Ok(Ok(length)) => seen.extend(buffer.get(..length).and_then(judge::read)),
                // The link went down: the next read is fine.
                Ok(Err(error)) => tracing::debug!(%error, "a look at a LAN says"),
                Err(_would_block) => {
                    drained = true;
                    break;
                }
            }
        }
        if !seen.is_empty() && events.send(Event::Watched { lan, seen }).await.is_err() {
            return;
        }
        if !drained {
            tokio::time::sleep(PAUSE).await;
        }
    }
}
