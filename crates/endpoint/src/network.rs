//! Changes of the network, as the kernel tells of them.
//!
//! What a program has learnt about the network (which family worked, which address of eight answered) holds
//! until the network is another one: the laptop leaves the house, a cable is pulled, a router withdraws its
//! prefix. The kernel tells of all this at once (`NETLINK_ROUTE`, multicast); asking costs one system call
//! where nothing has happened.
//!
//! ```no_run
//! use sixgate_endpoint::network::Changes;
//!
//! # fn main() -> std::io::Result<()> {
//! let mut changes = Changes::open()?;
//! let mut remembered = vec!["192.0.2.1 answered"];
//! // Before each use of what is remembered:
//! if changes.changed() {
//!     remembered.clear();
//! }
//! # Ok(())
//! # }
//! ```
//!
//! **What counts**: a link that comes, goes, gets or loses its carrier, or changes its MTU or hardware
//! address; an address that comes, goes, ends its duplicate address detection or is deprecated; a route that
//! comes, goes or leads elsewhere. Also news that the kernel had to drop (`ENOBUFS`), since nobody knows what
//! they were.
//!
//! **What does not**: the refresh of what was there already. Each Router Advertisement renews the lifetimes
//! of addresses and routes (RFC 4862 section 5.5.3), and the kernel tells of that every few minutes, or
//! seconds. So [`Changes`] reads the tables once and remembers a hash of each entry, without its lifetimes
//! and counters.
//!
//! **Event loops**: [`Changes`] is [`AsFd`] and never blocks: poll it for reading, then call
//! [`Changes::changed`], which takes all that waits. On tokio, `tokio::io::unix::AsyncFd` registers it.
//!
//! A sandbox (seccomp) or a kernel may have no netlink. [`Changes::open`] says so then; a program goes on
//! without, and forgets what it learnt after some minutes instead.

mod message;

use message::{Digest, Kind, Messages};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::netlink::SocketAddrNetlink;
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType};
use std::collections::HashMap;
use std::hash::RandomState;
use std::io;
use std::net::Ipv6Addr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::time::{Duration, Instant};

/// Entries of the kernel's tables that are remembered. What does not fit counts as changed each time the
/// kernel tells of it.
const MAX_KNOWN: usize = 8192;
/// Routes that are remembered for one destination and metric, of several routers for instance.
const MAX_SIBLINGS: usize = 32;
/// Datagrams that one call takes, so that a storm of news does not hold its caller.
const MAX_DATAGRAMS: usize = 4096;
/// Octets of one datagram; the kernel's are at most 32 KiB (`NLMSG_GOODSIZE` in notifications is less).
const BUFFER: usize = 32 * 1024;
/// How long the kernel may take with its tables. It answers at once; a bound all the same.
const PATIENCE: Duration = Duration::from_secs(2);

/// Tells whether addresses, routes or links have changed since it was last asked. It belongs to the network
/// namespace of the thread that opened it.
#[derive(Debug)]
pub struct Changes {
    socket: OwnedFd,
    known: Known,
    buffer: Vec<u8>,
    /// How often the kernel dropped news.
    overruns: u64,
}

/// Hashes of what the kernel has told: by entry, its content.
#[derive(Debug, Default)]
struct Known {
    hash: RandomState,
    links: HashMap<u64, u64>,
    addresses: HashMap<u64, u64>,
    routes: HashMap<u64, Vec<u64>>,
    /// Contents in `routes`.
    route_count: usize,
    /// Entries for which there was no room.
    unknown: u64,
}

impl Changes {
    /// Listens to the kernel, and reads what is there now.
    ///
    /// # Errors
    /// Where the kernel refuses the socket, for example inside a sandbox. A program can go on without.
    pub fn open() -> io::Result<Self> {
        let refused = |errno: Errno| {
            let errno = io::Error::from(errno);
            let text = format!(
                "the kernel does not tell of changes of the network (netlink: {errno}); does a sandbox \
                 forbid AF_NETLINK? Without it, forget what was learnt about the network after a while"
            );
            io::Error::new(errno.kind(), text)
        };
        // Subscribed first and read afterwards: what changes in between is told, not lost.
        let socket = netlink(message::GROUPS).map_err(refused)?;
        let mut changes = Self { socket, known: Known::default(), buffer: vec![0; BUFFER], overruns: 0 };
        changes.read_tables();
        Ok(changes)
    }

    /// Whether something has changed since the last call. Never waits; takes all that the kernel has told.
    pub fn changed(&mut self) -> bool {
        let (mut changed, mut lost) = (false, false);
        for _ in 0..MAX_DATAGRAMS {
            match receive(&self.socket, &mut self.buffer) {
                Ok(Some(datagram)) => {
                    for message in Messages::new(datagram) {
                        changed |= self.known.learn(&message);
                    }
                }
                // Not of the kernel.
                Ok(None) | Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => {
                    // Only now: what waited was older than the tables, and would have put them back.
                    if lost {
                        self.known.forget();
                        self.read_tables();
                    }
                    return changed || lost;
                }
                // The kernel dropped news, or a message was cut: what is known may be wrong.
                Err(Errno::NOBUFS | Errno::MSGSIZE) => {
                    self.overruns += 1;
                    lost = true;
                }
                Err(_) => {
                    self.known.forget();
                    return true;
                }
            }
        }
        // There is more, and nobody knows what.
        if lost {
            self.known.forget();
        }
        true
    }

    /// Waits until something has changed, at most for `timeout`; whether something has.
    ///
    /// # Errors
    /// Where the kernel cannot wait (`poll`).
    pub fn wait(&mut self, timeout: Duration) -> io::Result<bool> {
        let begin = Instant::now();
        loop {
            if self.changed() {
                return Ok(true);
            }
            let Some(left) = timeout.checked_sub(begin.elapsed()).filter(|left| !left.is_zero()) else {
                return Ok(false);
            };
            readable(self.socket.as_fd(), left)?;
        }
    }

    /// How often the kernel dropped news because they were not fetched in time (`ENOBUFS`). Each time counted
    /// as a change.
    pub fn overruns(&self) -> u64 {
        self.overruns
    }

    /// How often there was no room to remember an entry of the kernel's tables: with more than 8192 routes,
    /// the refresh of one may count as a change.
    pub fn unremembered(&self) -> u64 {
        self.known.unknown
    }

    /// Learns what is there. A table that cannot be read is not known: its first refresh counts as a change.
    fn read_tables(&mut self) {
        for (number, request) in (1..).zip(message::DUMPS) {
            // On a socket of its own: where the table is too long for us, closing it ends the answer.
            let Ok(socket) = netlink(0) else { return };
            let _ = self.read_table(&socket, &message::dump(request, number));
        }
    }

    fn read_table(&mut self, socket: &OwnedFd, request: &[u8]) -> rustix::io::Result<()> {
        let known = &mut self.known;
        read_table(socket, request, &mut self.buffer, |message| {
            known.learn(message);
            !known.full()
        })
    }
}

/// Asks for a table, and gives each of its messages to `take`, for as long as that says so.
fn read_table(
    socket: &OwnedFd,
    request: &[u8],
    buffer: &mut [u8],
    mut take: impl FnMut(&message::Message<'_>) -> bool,
) -> rustix::io::Result<()> {
    let kernel = SocketAddrNetlink::new(0, 0);
    rustix::net::sendto(socket, request, SendFlags::empty(), &kernel)?;
    let begin = Instant::now();
    let mut more = true;
    while begin.elapsed() < PATIENCE && more {
        match receive(socket, buffer) {
            Ok(Some(datagram)) => {
                for message in Messages::new(datagram) {
                    if message.ends_dump() {
                        return Ok(());
                    }
                    more = take(&message);
                }
            }
            Ok(None) | Err(Errno::INTR) => {}
            Err(Errno::AGAIN) => {
                let _ = readable(socket.as_fd(), PATIENCE);
            }
            Err(errno) => return Err(errno),
        }
    }
    Ok(())
}

/// A neighbour that the kernel resolves, or has resolved (RFC 4861 section 7.3.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Neighbour {
    /// It has answered.
    Reachable,
    /// It has answered before, and is being asked again.
    Asked,
    /// Anything else.
    Unknown,
}

/// On which interfaces the kernel knows a neighbour of this address.
pub(crate) fn neighbours(address: Ipv6Addr) -> io::Result<Vec<(u32, Neighbour)>> {
    let socket = netlink(0)?;
    let mut found = Vec::new();
    read_table(&socket, &message::dump(message::NEIGHBOURS, 1), &mut vec![0; BUFFER], |message| {
        found.extend(message.neighbour(address));
        found.len() < MAX_KNOWN
    })?;
    Ok(found)
}

impl AsFd for Changes {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl AsRawFd for Changes {
    fn as_raw_fd(&self) -> RawFd {
        self.socket.as_raw_fd()
    }
}

impl Known {
    /// Takes in a message; whether it is news.
    fn learn(&mut self, message: &message::Message<'_>) -> bool {
        let Some(digest) = message.digest(&self.hash) else { return false };
        let Digest { kind, gone, replaces, entry, content } = digest;
        let changed = match kind {
            Kind::Link => known_one(&mut self.links, gone, entry, content, &mut self.unknown),
            Kind::Address => known_one(&mut self.addresses, gone, entry, content, &mut self.unknown),
            Kind::Route => return self.learn_route(gone, replaces, entry, content),
        };
        // The kernel takes routes away with their link or address and does not tell of each: one that comes
        // back must not pass for one that stayed.
        if changed {
            self.routes.clear();
            self.route_count = 0;
        }
        changed
    }

    fn learn_route(&mut self, gone: bool, replaces: bool, entry: u64, content: u64) -> bool {
        let known = self.routes.get(&entry).map_or(&[][..], Vec::as_slice);
        let same = known.contains(&content) && (!replaces || known.len() == 1);
        if same && !gone {
            return false;
        }
        if gone || replaces {
            self.route_count -= self.routes.remove(&entry).map_or(0, |contents| contents.len());
        }
        if !gone {
            let contents = self.routes.entry(entry).or_default();
            if self.route_count < MAX_KNOWN && contents.len() < MAX_SIBLINGS {
                contents.push(content);
                self.route_count += 1;
            } else {
                self.unknown += 1;
            }
            if contents.is_empty() {
                self.routes.remove(&entry);
            }
        }
        true
    }

    /// Whether no further route is remembered.
    fn full(&self) -> bool {
        self.route_count >= MAX_KNOWN
    }

    fn forget(&mut self) {
        self.links.clear();
        self.addresses.clear();
        self.routes.clear();
        self.route_count = 0;
    }
}

/// Links and addresses: an entry has one content.
fn known_one(known: &mut HashMap<u64, u64>, gone: bool, entry: u64, content: u64, unknown: &mut u64) -> bool {
    if gone {
        known.remove(&entry);
        return true;
    }
    if known.len() >= MAX_KNOWN && !known.contains_key(&entry) {
        *unknown += 1;
        return true;
    }
    known.insert(entry, content) != Some(content)
}

/// A non-blocking socket of `NETLINK_ROUTE` in the given multicast groups.
fn netlink(groups: u32) -> rustix::io::Result<OwnedFd> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = rustix::net::socket_with(AddressFamily::NETLINK, SocketType::RAW, flags, None)?;
    rustix::net::bind(&socket, &SocketAddrNetlink::new(0, groups))?;
    Ok(socket)
}

/// A datagram of the kernel; `None` where somebody else sent it, `MSGSIZE` where it is longer than the
/// buffer.
fn receive<'a>(socket: &OwnedFd, buffer: &'a mut [u8]) -> rustix::io::Result<Option<&'a [u8]>> {
    let (taken, length, sender) = rustix::net::recvfrom(socket, &mut *buffer, RecvFlags::TRUNC)?;
    let sender = sender.and_then(|sender| SocketAddrNetlink::try_from(sender).ok());
    if sender.is_none_or(|sender| sender.pid() != 0) {
        return Ok(None);
    }
    if length > taken {
        return Err(Errno::MSGSIZE);
    }
    Ok(buffer.get(..taken))
}

fn readable(socket: BorrowedFd<'_>, timeout: Duration) -> io::Result<()> {
    let timeout = Timespec {
        tv_sec: timeout.as_secs().try_into().unwrap_or(i64::MAX),
        tv_nsec: timeout.subsec_nanos().into(),
    };
    match poll(&mut [PollFd::from_borrowed_fd(socket, PollFlags::IN)], Some(&timeout)) {
        Ok(_) | Err(Errno::INTR) => Ok(()),
        Err(errno) => Err(errno.into()),
    }
}

#[cfg(test)]
mod tests;
