//! A translator of `sixgate-xlat` at work between two ends: packets are read, translated where they lie, and written, by one thread for
//! each pair of ends.
//!
//! `path` is what such a thread does; `offload` says how what is left to do for a packet changes with its family; `gather` makes one
//! of many small ones. NAT64 and the island have a TUN device at both ends; the CLAT of a host has one at the end of IPv4 alone.

mod gather;
mod journal;
mod offload;
mod path;

pub(crate) use journal::Journal;
pub(crate) use path::Counts;

use path::Path;
use sixgate_linux::clock::Clock;
use sixgate_linux::route::{self, Netlink};
use sixgate_linux::sandbox::{self, Capabilities};
use sixgate_linux::tun::{self, Offloads, Queue, VnetHeader};
use sixgate_xlat::{Action, Discard, Nat64, Packet, Siit, Verdict};
use std::collections::BTreeMap;
use std::io;
use std::os::fd::{AsFd as _, BorrowedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// Packets that wait for a thread that is not running: as many as for an Ethernet interface, twice what a TUN device has.
const QUEUE: u32 = 1000;

/// What translates.
pub(crate) trait Core: std::fmt::Debug + Send + 'static {
    /// As [`Siit::translate`].
    fn translate(&mut self, now: Duration, packet: &mut Packet<'_>, actions: &mut Vec<Action>) -> Verdict;
    /// Does what is due.
    fn handle_timeout(&mut self, _now: Duration, _actions: &mut Vec<Action>) {}
    /// When something is due next, if ever.
    fn poll_timeout(&self) -> Option<Duration> {
        None
    }
    /// What it counts.
    fn counters(&self) -> &sixgate_xlat::Counters;
}

impl Core for Nat64 {
    fn translate(&mut self, now: Duration, packet: &mut Packet<'_>, actions: &mut Vec<Action>) -> Verdict {
        self.translate(now, packet, actions)
    }

    fn handle_timeout(&mut self, now: Duration, actions: &mut Vec<Action>) {
        self.handle_timeout(now, actions);
    }

    fn poll_timeout(&self) -> Option<Duration> {
        self.poll_timeout()
    }

    fn counters(&self) -> &sixgate_xlat::Counters {
        self.counters()
    }
}

impl Core for Siit {
    fn translate(&mut self, now: Duration, packet: &mut Packet<'_>, actions: &mut Vec<Action>) -> Verdict {
        self.translate(now, packet, actions)
    }

    fn counters(&self) -> &sixgate_xlat::Counters {
        self.counters()
    }
}

/// Where packets come from and go to. Neither call waits.
pub(crate) trait Ends: Send + 'static {
    /// The next packet; its octets. `WouldBlock` when there is none.
    fn receive(&mut self, buffer: &mut [u8]) -> io::Result<(VnetHeader, usize)>;
    /// Sends a packet of either family.
    fn send(&self, header: &VnetHeader, packet: &[u8]) -> io::Result<()>;
    /// Whether UDP superpackets of that family can be sent.
    fn takes_udp_superpackets(&self, v6: bool) -> bool;
    /// What becomes readable when there is a packet.
    fn sources(&self) -> Vec<BorrowedFd<'_>>;
}

impl Ends for Queue {
    fn receive(&mut self, buffer: &mut [u8]) -> io::Result<(VnetHeader, usize)> {
        Queue::receive(self, buffer)
    }

    fn send(&self, header: &VnetHeader, packet: &[u8]) -> io::Result<()> {
        Queue::send(self, header, packet)
    }

    fn takes_udp_superpackets(&self, _v6: bool) -> bool {
        Queue::takes_udp_superpackets(self)
    }

    fn sources(&self) -> Vec<BorrowedFd<'_>> {
        vec![self.as_fd()]
    }
}

/// Why nothing is translated.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error(
        "cannot make the TUN device {device}: {source}; a name that is taken becomes free by `ip link del {device}`"
    )]
    Device { device: String, source: io::Error },
    #[error(transparent)]
    Route(#[from] route::Error),
    #[error(transparent)]
    Sandbox(#[from] sandbox::Error),
    #[error("cannot start a thread for the translator: {0}")]
    Thread(io::Error),
}

/// Makes a TUN device, up; its number and its queues. It goes with the last queue, and its routes and addresses go with it.
pub(crate) fn device(
    netlink: &mut Netlink,
    name: &str,
    queues: usize,
    offloads: Offloads,
) -> Result<(u32, Vec<Queue>), Error> {
    let queues = tun::create(name, queues, offloads)
        .map_err(|source| Error::Device { device: name.to_owned(), source })?;
    let index = netlink.index_of(name)?;
    netlink.set_queue_length(index, QUEUE)?;
    netlink.set_up(index, true)?;
    Ok((index, queues))
}

/// A translator at work. When it is dropped its threads end, and what they hold goes.
#[derive(Debug)]
pub(crate) struct Running<C: Core> {
    shared: Arc<Shared<C>>,
    threads: Vec<JoinHandle<()>>,
}

/// What the threads have in common.
#[derive(Debug)]
struct Shared<C> {
    /// Its name in logs.
    name: &'static str,
    /// Locked for each packet, and nothing that blocks happens meanwhile.
    core: Mutex<C>,
    counts: Counts,
    journal: Arc<Journal>,
    stop: AtomicBool,
    /// Why the first thread that could not go on ended.
    failed: Mutex<Option<String>>,
}

impl<C> Shared<C> {
    fn core(&self) -> MutexGuard<'_, C> {
        self.core.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<C: Core> Running<C> {
    /// Begins to translate, with a thread for each pair of ends.
    pub(crate) fn start<E: Ends>(name: &'static str, core: C, ends: Vec<E>) -> Result<Self, Error> {
        let shared = Arc::new(Shared {
            name,
            core: Mutex::new(core),
            counts: Counts::default(),
            journal: Arc::default(),
            stop: AtomicBool::new(false),
            failed: Mutex::new(None),
        });
        let mut running = Self { shared, threads: Vec::new() };
        let clock = Clock::new();
        // What strangers send is looked at by threads that may do nothing.
        let threads = sandbox::confined(Capabilities::NONE, || {
            for (number, ends) in ends.into_iter().enumerate() {
                let path = Path::new(ends, clock.clone(), Arc::clone(&running.shared));
                let thread = thread::Builder::new().name(format!("xlat-{number}"));
                running.threads.push(thread.spawn(move || path.run()).map_err(Error::Thread)?);
            }
            Ok::<(), Error>(())
        });
        threads??;
        Ok(running)
    }

    /// The translator itself; no packet passes while it is held.
    pub(crate) fn core(&self) -> MutexGuard<'_, C> {
        self.shared.core()
    }

    /// What it writes down for others to keep.
    pub(crate) fn journal(&self) -> Arc<Journal> {
        Arc::clone(&self.shared.journal)
    }

    /// Why it does not go on, if it does not.
    pub(crate) fn failed(&self) -> Option<String> {
        self.shared.failed.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What is counted of every translator, by name, and why packets were discarded.
    pub(crate) fn counters(&self) -> (BTreeMap<String, u64>, BTreeMap<String, u64>) {
        let packets = self.core().counters().clone();
        let counts = &self.shared.counts;
        let counters = [
            ("to-ipv4", packets.to_v4),
            ("to-ipv6", packets.to_v6),
            ("hairpinned", packets.hairpinned),
            ("fragmented", packets.fragmented),
            ("errors", packets.errors),
            ("errors-limited", packets.errors_limited),
            ("superpackets", counts.superpackets.load(Ordering::Relaxed)),
            ("gathered", counts.gathered.load(Ordering::Relaxed)),
            ("not-sent", counts.not_sent.load(Ordering::Relaxed)),
        ];
        let discarded = Discard::ALL.iter().map(|reason| (reason.name(), packets.discarded(*reason)));
        let named = |(name, count): (&str, u64)| (name.to_owned(), count);
        (counters.map(named).into(), discarded.filter(|(_, count)| *count > 0).map(named).collect())
    }
}

impl<C: Core> Drop for Running<C> {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

/// A number that nobody can guess.
pub(crate) fn seed() -> io::Result<u64> {
    let mut octets = [0; 8];
    io::Read::read_exact(&mut std::fs::File::open("/dev/urandom")?, &mut octets)?;
    Ok(u64::from_ne_bytes(octets))
}
