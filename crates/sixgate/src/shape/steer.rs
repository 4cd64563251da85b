//! The rate of a link that changes: probes to the ISP's router, or to whom the configuration names, tell the controllers of
//! `sixgate_aqm::autorate` how long the way takes; what they say is the rate. One thread for both directions.

use super::path::Stood;
use super::{Active, Direction, Error, Setup, Speed, held};
use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::time::TimeSpec;
use sixgate_aqm::Rate;
use sixgate_aqm::autorate::{self, Autorate};
use sixgate_linux::clock::Clock;
use sixgate_linux::priority;
use sixgate_linux::route::{Link, Netlink, RouteKind, TABLE_MAIN};
use sixgate_linux::sandbox::{Capabilities, Capability};
use sixgate_linux::socket::{Icmp6Options, Icmp6Socket, icmp6};
use std::io;
use std::net::Ipv6Addr;
use std::os::fd::AsFd as _;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// Between probes: twenty a second find a queue in 150 ms.
const EVERY: Duration = Duration::from_millis(50);
/// How often the controllers hear what was carried, and are asked for the rate.
const TICK: Duration = Duration::from_millis(20);
/// How often the router is looked up.
const LOOK: Duration = Duration::from_secs(5);
/// ICMPv6 types (RFC 4443 section 4).
const ECHO_REQUEST: u8 = 128;
const ECHO_REPLY: u8 = 129;
/// Octets behind the header of an echo: few, so that a probe takes little of a slow link.
const PAYLOAD: usize = 8;
/// Sending that took longer than this tells of this machine, not of the link.
const SENDING: Duration = Duration::from_millis(2);
/// Answers read in one go; whoever sends more is read in the next.
const BURST: usize = 64;

/// What the steering has done, for views.
#[derive(Debug, Clone, Default)]
pub(super) struct Steered {
    /// Who is probed.
    pub(super) targets: Vec<Ipv6Addr>,
    pub(super) probes: u64,
    pub(super) answered: u64,
    /// Times that a queue was found and a rate cut, by direction.
    pub(super) cuts: Vec<(Direction, u64)>,
    /// What the kernel refused last.
    pub(super) refused: Option<String>,
}

/// The thread at work; it ends when this is dropped.
pub(super) struct Steering {
    stop: Arc<AtomicBool>,
    pub(super) steered: Arc<Mutex<Steered>>,
    thread: Option<JoinHandle<()>>,
}

impl Steering {
    /// Begins to steer; `None` where no rate changes.
    pub(super) fn start(setup: &Setup, link: &Link, active: &Active) -> Result<Option<Self>, Error> {
        let clock = Clock::new();
        let now = clock.now();
        let ways = Direction::BOTH.into_iter().filter_map(|direction| {
            let speed @ Speed::Between(min, max) = setup.plan.speed(direction)? else { return None };
            let way = if setup.plan.leaves(direction) {
                autorate::Direction::Up
            } else {
                autorate::Direction::Down
            };
            let base = speed.first();
            let config = autorate::Config { min, max, ..autorate::Config::new(way, base) };
            Some(Way { direction, controller: Autorate::new(config, now), applied: base, carried: 0 })
        });
        let ways: Vec<Way> = ways.collect();
        if ways.is_empty() {
            return Ok(None);
        }
        let socket = icmp6(&Icmp6Options {
            device: link.name.clone(),
            interface: link.index,
            types: vec![ECHO_REPLY],
            groups: Vec::new(),
        })?;
        // Where the kernel refuses, answers count from when they are read.
        let _ = socket.note_arrivals();
        let steered = Arc::new(Mutex::new(Steered::default()));
        let stop = Arc::new(AtomicBool::new(false));
        let steer = Steer {
            socket,
            netlink: Netlink::new()?,
            interface: link.index,
            named: setup.targets.clone(),
            targets: Vec::new(),
            identifier: fastrand::u16(..),
            sequence: 0,
            ways,
            stood: None,
            active: active.clone(),
            clock,
            steered: Arc::clone(&steered),
        };
        // The kernel's own queue takes another rate from one who may configure it.
        let kept = match active {
            Active::Own(_) => Capabilities::NONE,
            Active::Kernel(_) => Capabilities::from([Capability::NetAdmin]),
        };
        let until = Arc::clone(&stop);
        let thread = priority::confined(kept, |_| {
            thread::Builder::new().name("steer".to_owned()).spawn(move || steer.run(&until))
        })?;
        Ok(Some(Self { stop, steered, thread: Some(thread.map_err(Error::Thread)?) }))
    }
}

impl Drop for Steering {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// One direction's controller.
struct Way {
    direction: Direction,
    controller: Autorate,
    /// The rate that the queue has.
    applied: Rate,
    /// Octets that the queue had carried when it was last looked at.
    carried: u64,
}

struct Steer {
    socket: Icmp6Socket,
    netlink: Netlink,
    interface: u32,
    /// Whom the configuration names; empty: the router.
    named: Vec<Ipv6Addr>,
    targets: Vec<Ipv6Addr>,
    identifier: u16,
    /// Of the next probe; its lower half is on the wire.
    sequence: u64,
    ways: Vec<Way>,
    /// When the queue's thread last ran late.
    stood: Option<Stood>,
    active: Active,
    clock: Clock,
    steered: Arc<Mutex<Steered>>,
}

impl Steer {
    fn run(mut self, stop: &AtomicBool) {
        let (mut look, mut probe, mut tick) = (Duration::ZERO, Duration::ZERO, Duration::ZERO);
        while !stop.load(Ordering::Relaxed) {
            let now = self.clock.now();
            if now >= look {
                self.look();
                look = now + LOOK;
            }
            self.hear();
            if now >= probe {
                self.probe();
                probe = now + EVERY;
            }
            if now >= tick {
                self.tick();
                tick = now + TICK;
            }
            let next = probe.min(tick).saturating_sub(self.clock.now());
            let mut sources = [PollFd::new(self.socket.as_fd(), PollFlags::POLLIN)];
            let _ = ppoll(&mut sources, Some(TimeSpec::from_duration(next)), None);
        }
    }

    /// Finds whom to probe.
    fn look(&mut self) {
        self.targets.clone_from(&self.named);
        if self.targets.is_empty() {
            let routes = self.netlink.routes(TABLE_MAIN, None).unwrap_or_default().into_iter();
            let default = routes.filter(|route| {
                route.destination.prefix_len() == 0
                    && route.kind == RouteKind::Unicast
                    && route.interface == Some(self.interface)
            });
            let best = default.min_by_key(|route| route.metric).and_then(|route| route.gateway);
            self.targets.extend(best);
        }
        held(&self.steered).targets.clone_from(&self.targets);
    }

    fn probe(&mut self) {
        let Some(count) = (!self.targets.is_empty()).then_some(self.targets.len() as u64) else { return };
        let number = self.sequence;
        self.sequence += 1;
        let which = (number % count) as u32;
        let Some(target) = self.targets.get(which as usize) else { return };
        // RFC 4443 section 4.1; the kernel fills the checksum in.
        let mut echo = [0; 8 + PAYLOAD];
        echo[0] = ECHO_REQUEST;
        echo[4..6].copy_from_slice(&self.identifier.to_be_bytes());
        echo[6..8].copy_from_slice(&(number as u16).to_be_bytes());
        let now = self.clock.now();
        // What was not sent is no probe: no route yet, or the link is down. Nor is what may have left at any time of several.
        if self.socket.send(&echo, *target, None).is_err() || self.clock.now().saturating_sub(now) > SENDING {
            return;
        }
        for way in &mut self.ways {
            way.controller.sent(now, which, number);
        }
    }

    /// Takes answers in. Who answers what was not asked of him is not heard.
    fn hear(&mut self) {
        let mut buffer = [0; 128];
        for _ in 0..BURST {
            let received = match self.socket.recv(&mut buffer) {
                Ok(received) => received,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(_) => return,
            };
            let message = buffer.get(..received.len).unwrap_or_default();
            let &[ECHO_REPLY, _, _, _, i0, i1, s0, s1, ..] = message else { continue };
            if u16::from_be_bytes([i0, i1]) != self.identifier {
                continue;
            }
            // The newest probe that has this number.
            let behind = (self.sequence as u16).wrapping_sub(u16::from_be_bytes([s0, s1]));
            let Some(number) = self.sequence.checked_sub(behind.into()).filter(|_| behind > 0) else {
                continue;
            };
            let which = (number % self.targets.len().max(1) as u64) as usize;
            if self.targets.get(which) != Some(received.source.ip()) {
                continue;
            }
            let arrived = self.clock.now().saturating_sub(received.waited.unwrap_or_default());
            for way in &mut self.ways {
                way.controller.answered(arrived, which as u32, number, None);
            }
        }
    }

    /// Tells the controllers what was carried, and the queue what they say.
    fn tick(&mut self) {
        let mut refused = None;
        let stood = self.active.stood();
        let stood = stood.filter(|_| std::mem::replace(&mut self.stood, stood) != stood);
        for way in &mut self.ways {
            if let Some(Stood { until, late }) = stood {
                way.controller.stood(until.saturating_sub(late), until);
            }
            let carried = self.active.carried(way.direction);
            let now = self.clock.now();
            way.controller.carried(now, carried.saturating_sub(way.carried));
            way.carried = carried;
            way.controller.handle_timeout(now);
            let rate = way.controller.rate();
            if rate != way.applied {
                way.applied = rate;
                refused = self.active.set_rate(way.direction, rate).err().or(refused);
            }
        }
        let mut steered = held(&self.steered);
        let counters = self.ways.iter().map(|way| (way.direction, way.controller.counters()));
        steered.cuts = counters.clone().map(|(direction, counters)| (direction, counters.cuts)).collect();
        if let Some((_, counters)) = counters.into_iter().next() {
            (steered.probes, steered.answered) = (counters.sent, counters.answered);
        }
        if let Some(error) = refused {
            steered.refused = Some(error.to_string());
        }
    }
}
