//! Our own queue in the way of an interface's packets, for kernels that have none that would do.
//!
//! ```text
//! kernel -- leaves by wan0 --> rule --> TAP device --> Shaper --> packet socket, marked --> wan0
//! wan0 --> arrives ----------> rule --> TAP device --> Shaper --> packet socket, marked --> a second TAP device, all of whose
//!                                                                 packets are redirected: arrives on wan0 --> kernel
//! ```
//! The rules stand at the interface itself, before anything else on arrival and behind everything else on leaving: routes, connection
//! tracking, NAT, firewalls and programs see the packets that they would have seen, on the interface where they would have seen
//! them. No address, route or setting changes. Rules and devices go with the process, however that ends, and the packets then go
//! as before.

use super::frame::Waiting;
use super::path::{self, Counts, Lane, Lateness, Stop};
use super::{Direction, Error, Setup};
use sixgate_aqm::shape::Shaper;
use sixgate_aqm::{Rate, Secret};
use sixgate_linux::clock::Clock;
use sixgate_linux::nft::{DETOUR_MARK, Detour};
use sixgate_linux::priority::{self, Urgency};
use sixgate_linux::route::{Link, Netlink, Packets, Redirect};
use sixgate_linux::sandbox::Capabilities;
use sixgate_linux::socket::open_outlet;
use sixgate_linux::sysctl::{self, Key};
use sixgate_linux::tun::{self, Offloads, Queue};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// Frames that wait for our thread while it is not running, as many superpackets of 45 as come in a burst.
const QUEUE: u32 = 4096;
/// From this rate on superpackets pass whole (as in CAKE): they hold the link for half a millisecond.
const WHOLE: Rate = Rate::mbit(1000);
/// What may wait behind our queue, in an interface that is slower than it should be: so much time's worth, and never less than
/// this many octets (with what the kernel needs beside them), which is a few frames.
const BEHIND: Duration = Duration::from_millis(4);
const LEAST_BEHIND: u32 = 32 * 1024;
/// The longest packet that a TAP device can be told to carry: the interface's own MTU may grow while it is shaped.
const MOST_MTU: u32 = 65_535 - 14;

/// What thread and owner have of one direction.
pub(super) struct Shared {
    /// Locked for each packet, and nothing that blocks happens meanwhile.
    shaper: Mutex<Shaper<Waiting>>,
    pub(super) counts: Counts,
    /// The number of the device that packets are led into.
    device: u32,
}

impl Shared {
    /// Packets that were led to our queue and lost before it: the device's buffer was full, for our thread did not run.
    pub(super) fn missed(&self) -> u64 {
        Netlink::new().and_then(|mut netlink| netlink.dropped_leaving(self.device)).unwrap_or_default()
    }
}

impl Shared {
    pub(super) fn shaper(&self) -> MutexGuard<'_, Shaper<Waiting>> {
        self.shaper.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Our queue at work. When it is dropped the packets go as before.
pub(super) struct Own {
    /// Dropped first: no packet is led into a device that nobody reads.
    detour: Option<Detour>,
    lanes: Vec<(Direction, Arc<Shared>)>,
    clock: Clock,
    /// How soon its thread runs when it is due.
    pub(super) urgency: Urgency,
    stop: Arc<Stop>,
    thread: Option<JoinHandle<()>>,
}

impl Own {
    /// Makes devices, rules and the thread.
    pub(super) fn start(netlink: &mut Netlink, setup: &Setup, link: &Link) -> Result<Self, Error> {
        if link.mac.is_none() || link.loopback {
            return Err(Error::NotEthernet(setup.interface.clone()));
        }
        let (mut lanes, mut shared) = (Vec::new(), Vec::new());
        let (mut leaving, mut arriving) = (None, None);
        for (direction, config) in setup.directions() {
            let (index, device) = device(netlink, direction.letter(), link, offloads(config.rate))?;
            let leaves = setup.plan.leaves(direction);
            let (outlet, back) = if leaves {
                (link.index, None)
            } else {
                let (index, back) = self::device(netlink, 'r', link, Offloads::None)?;
                netlink.redirect(index, Packets::Leaving, link.index, Redirect::Arriving)?;
                (index, Some(back))
            };
            let outlet = open_outlet(&setup.interface, outlet, DETOUR_MARK, behind(config.rate))?;
            *if leaves { &mut leaving } else { &mut arriving } = Some(index);
            let one = Arc::new(Shared {
                shaper: Mutex::new(Shaper::new(config, Secret::random())),
                counts: Counts::default(),
                device: index,
            });
            shared.push((direction, Arc::clone(&one)));
            lanes.push(Lane { device, outlet, _back: back, shared: one, held: None, due: None });
        }
        let stop = Arc::new(Stop::default());
        let for_thread = Arc::clone(&stop);
        // What strangers send is looked at by a thread that may do nothing. A kernel's queue runs before any program; so does this.
        let (urgency, thread) = priority::confined(Capabilities::NONE, |urgency| {
            let named = thread::Builder::new().name("shape".to_owned());
            (urgency, named.spawn(move || path::run(lanes, &for_thread)))
        })?;
        let thread = Some(thread.map_err(Error::Thread)?);
        let mut own = Self { detour: None, lanes: shared, clock: Clock::new(), urgency, stop, thread };
        let table = format!("sixgate-shape-{}", link.index);
        own.detour = Some(Detour::new(&table, &setup.interface, leaving, arriving)?);
        Ok(own)
    }

    /// From now on this rate; what waits stays.
    pub(super) fn set_rate(&self, direction: Direction, rate: Rate) {
        for (_, shared) in self.lanes.iter().filter(|(of, _)| *of == direction) {
            shared.shaper().set_rate(self.clock.now(), rate);
        }
    }

    /// Octets that were sent so far, as the link counts them.
    pub(super) fn carried(&self, direction: Direction) -> u64 {
        let lanes = self.lanes.iter().filter(|(of, _)| *of == direction);
        lanes.map(|(_, shared)| shared.shaper().tins().map(|tin| tin.counters.octets).sum::<u64>()).sum()
    }

    /// How late its thread runs.
    pub(super) fn lateness(&self) -> &Lateness {
        &self.stop.lateness
    }

    /// Why it does not go on, if it does not.
    pub(super) fn failed(&self) -> Option<String> {
        self.stop.failed.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn lanes(&self) -> impl Iterator<Item = (Direction, &Shared)> {
        self.lanes.iter().map(|(direction, shared)| (*direction, &**shared))
    }
}

impl Drop for Own {
    fn drop(&mut self) {
        self.detour = None;
        self.stop.asked.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn offloads(rate: Rate) -> Offloads {
    if rate < WHOLE { Offloads::None } else { Offloads::All }
}

fn behind(rate: Rate) -> u32 {
    u32::try_from(rate.octets_in(BEHIND)).unwrap_or(u32::MAX).max(LEAST_BEHIND)
}

/// A TAP device beside a link, up, on which this machine says nothing of its own.
fn device(
    netlink: &mut Netlink,
    letter: char,
    link: &Link,
    offloads: Offloads,
) -> Result<(u32, Queue), Error> {
    let name = format!("six{letter}{}", link.index);
    let queue = tun::create_ethernet(&name, offloads)
        .map_err(|source| Error::Device { device: name.clone(), source })?;
    let index = netlink.index_of(&name)?;
    // A kernel that does not know the setting has no IPv6 there.
    let _ = sysctl::set(&name, Key::DisableIpv6, 1);
    netlink.set_mtu(index, MOST_MTU)?;
    netlink.set_queue_length(index, QUEUE)?;
    netlink.set_up(index, true)?;
    Ok((index, queue))
}
