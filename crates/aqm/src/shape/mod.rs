//! A shaper: sends at a rate just below the link's, so that the queue is here, where it is governed, and not
//! in the modem.
//!
//! It is modelled on Linux's CAKE: an exact rate by a virtual clock, what the link adds to each packet, flows
//! and hosts that share fairly, tins by DSCP, CoDel in each flow. Packets of 64 KiB (GSO) count as what they
//! are cut into; [`Shaper::must_split`] says which are too long for the rate.

mod framing;
mod hosts;
mod tin;
mod tins;

pub use framing::{Cells, Framing, Segments};
pub use tins::{Tin, Tins};

use crate::classify::{Flow, PureAck};
use crate::codel::Parameters;
use crate::packet::Secret;
use crate::queues::Queues;
use crate::rate::{Clock, Rate};
use crate::time::{Stamp, nanoseconds};
use std::time::Duration;
use tin::{Room, Share};

/// A packet that a shaper can hold.
pub trait Packet: crate::Packet<Flow = Flow> {
    /// Its DSCP, 0 to 63.
    fn dscp(&self) -> u8 {
        0
    }

    /// How it is cut, where it is a superpacket.
    fn segments(&self) -> Option<Segments> {
        None
    }

    /// What it acknowledges, where it does nothing else.
    fn pure_ack(&self) -> Option<PureAck> {
        None
    }

    /// Its two hosts, as [`Fairness`] sees them: the addresses. A caller that knows better (that the hosts of a
    /// LAN have many addresses each, what is behind a translator) says so here.
    fn hosts(&self) -> (u128, u128) {
        let flow = self.flow();
        (flow.source, flow.destination)
    }
}

/// Who gets an equal share.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Fairness {
    /// Each flow.
    Flows,
    /// Each source, and of it each flow.
    Sources,
    /// Each destination, and of it each flow.
    Destinations,
    /// Each host on either side, and of it each flow: a flow's share is one of as many as its busier end has
    /// flows.
    #[default]
    Both,
}

/// How a [`Shaper`] is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Config {
    /// Of the link as the far end counts it; a little less, so that the queue is here.
    pub rate: Rate,
    /// What the link adds to each packet.
    pub framing: Framing,
    /// Classes by DSCP.
    pub tins: Tins,
    /// Who gets an equal share.
    pub fairness: Fairness,
    /// The bottleneck lies before this queue, not behind: what is dropped here has taken its time there, and
    /// is counted like what is sent. At least two thirds of the rate are sent whatever is dropped.
    pub ingress: bool,
    /// Leave out acknowledgements that later ones make superfluous, where they wait; for links that are very
    /// slow in one direction.
    pub ack_filter: bool,
    /// Mark rather than drop.
    pub ecn: bool,
    /// A usual round trip of what is sent: CoDel's interval.
    pub round_trip: Duration,
    /// Queues of each tin, from 8 to 2^15. Flows share one only where all eight places of a set are taken.
    pub flows: u32,
    /// Packets held at most, from 1 to 2^24.
    pub packets: u32,
    /// Octets of memory that packets may hold; 0 is four round trips at the rate, and 4 MiB at least.
    pub memory: u64,
}

impl Config {
    /// The usual for a rate: a link that adds nothing, one tin, fair to hosts and flows, ECN.
    pub fn new(rate: Rate) -> Self {
        Self {
            rate,
            framing: Framing::RAW,
            tins: Tins::One,
            fairness: Fairness::Both,
            ingress: false,
            ack_filter: false,
            ecn: true,
            round_trip: Duration::from_millis(100),
            flows: 1024,
            packets: 10_240,
            memory: 0,
        }
    }
}

/// What a tin has done so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counters {
    /// Packets that came.
    pub enqueued: u64,
    /// Packets sent.
    pub dequeued: u64,
    /// Octets sent, as the link counts them.
    pub octets: u64,
    /// Packets dropped by CoDel.
    pub dropped: u64,
    /// Packets dropped for want of room.
    pub overflowed: u64,
    /// Packets marked.
    pub marked: u64,
    /// Acknowledgements left out.
    pub acks: u64,
    /// How often a flow was new.
    pub new_flows: u64,
    /// Nanoseconds that packets waited of late: an average that rises at once and falls slowly.
    pub peak_delay: u64,
    /// The same that follows slowly both ways.
    pub average_delay: u64,
}

impl Counters {
    fn delay(&mut self, delay: u64) {
        let follow = |old: u64, shift: u32| old - (old >> shift) + (delay >> shift);
        let peak = follow(self.peak_delay, 8);
        self.peak_delay = if delay > self.peak_delay { follow(self.peak_delay, 2) } else { peak };
        self.average_delay = follow(self.average_delay, 6);
    }
}

/// A tin as it is now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TinView {
    /// Which.
    pub tin: Tin,
    /// Its share of the rate.
    pub rate: Rate,
    /// CoDel's target there.
    pub target: Duration,
    /// Packets that wait.
    pub packets: u32,
    /// Flows that are served now.
    pub flows: u32,
    /// Those of them that send more than their turn.
    pub busy_flows: u32,
    /// What it has done so far.
    pub counters: Counters,
}

/// What [`Shaper::dequeue`] has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Next<P> {
    /// Send this.
    Packet(P),
    /// Nothing may be sent before this time.
    Wait(Duration),
    /// Nothing waits.
    Empty,
}

/// A packet and what it takes of the link.
pub(crate) struct Framed<P> {
    packet: P,
    charge: u32,
}

impl<P: Packet> crate::Packet for Framed<P> {
    type Flow = Flow;

    fn flow(&self) -> Flow {
        self.packet.flow()
    }

    fn octets(&self) -> u32 {
        self.charge
    }

    fn memory(&self) -> u32 {
        self.packet.memory()
    }

    fn mark(&mut self) -> bool {
        self.packet.mark()
    }
}

/// The shaper. After it is made it takes no memory for a packet.
///
/// ```
/// use sixgate_aqm::{IpPacket, Rate, Secret};
/// use sixgate_aqm::shape::{Config, Next, Shaper};
/// use std::time::Duration;
///
/// let mut shaper = Shaper::new(Config::new(Rate::mbit(1)), Secret::random());
/// let now = Duration::from_secs(1);
/// for _ in 0..2 {
///     shaper.enqueue(now, IpPacket::new(vec![0x45; 1250]));
/// }
/// assert!(matches!(shaper.dequeue(now), Next::Packet(_)));
/// // 1,250 octets take 10 ms.
/// let later = now + Duration::from_millis(10);
/// assert!(matches!(shaper.dequeue(now), Next::Wait(until) if until == later));
/// assert_eq!(shaper.poll_timeout(), Some(later));
/// assert!(matches!(shaper.dequeue(later), Next::Packet(_)));
/// assert!(matches!(shaper.dequeue(later), Next::Empty));
/// ```
pub struct Shaper<P> {
    config: Config,
    secret: Secret,
    queues: Queues<Framed<P>, Share>,
    tins: Box<[Room]>,
    clock: Clock,
    /// What is sent, drops not counted, at two thirds of the rate.
    failsafe: Stamp,
    /// What the caller's clock showed last; `None` before it showed anything.
    now: Option<Duration>,
}

/// How late the caller may be without the rate falling: what was missed longer ago than this is lost, for it
/// would only fill the next queue.
const CATCH_UP: u64 = 10_000_000;

/// A superpacket may take so long on the link: 64 KiB at 1 Gbit/s, where CAKE begins to let them whole.
const SUPERPACKET: Duration = Duration::from_micros(525);

/// Octets of an IP packet of full size.
const MTU: u32 = 1500;

impl<P: Packet> Shaper<P> {
    /// An empty shaper. What is outside the bounds of [`Config`] becomes the nearest that is not.
    pub fn new(config: Config, secret: Secret) -> Self {
        let config = Config {
            flows: config.flows.clamp(8, 1 << 15),
            packets: config.packets.clamp(1, 1 << 24),
            ..config
        };
        let (tins, flows) = (config.tins.list(), config.flows as usize);
        let room = |index: usize| {
            let clock = Clock::new(config.rate);
            Room::new((index * flows) as u32, flows, config.fairness, clock, Parameters::default().limits())
        };
        let mut shaper = Self {
            config,
            secret,
            queues: Queues::new(flows * tins.len(), config.packets as usize + 1),
            tins: (0..tins.len()).map(room).collect(),
            clock: Clock::new(config.rate),
            failsafe: Stamp::default(),
            now: None,
        };
        shaper.set_rates();
        shaper
    }

    fn set_rates(&mut self) {
        let Config { rate, framing, ecn, round_trip, .. } = self.config;
        self.clock.set_rate(rate);
        for (room, tin) in self.tins.iter_mut().zip(self.config.tins.list()) {
            let rate = Rate::bits(rate.as_bits() / tin.divisor());
            let mtu = u32::try_from(framing.octets(MTU)).unwrap_or(MTU);
            room.limits = Parameters { ecn, ..Parameters::for_link(rate, mtu, round_trip) }.limits();
            room.packet_time = nanoseconds(rate.time_for(mtu));
            room.clock.set_rate(rate);
            let quantum = rate.as_bits() / 8 / 4096;
            room.quantum = i64::try_from(quantum.clamp(300, 1514)).unwrap_or(1514);
        }
    }

    /// Takes note of the caller's clock. At the first time all of ours begin there.
    fn see(&mut self, now: Duration) -> Stamp {
        let moment = Stamp::of(now);
        if self.now.replace(now).is_none() {
            (self.clock.next, self.failsafe) = (moment, moment);
            self.tins.iter_mut().for_each(|room| room.clock.next = moment);
        }
        moment
    }

    /// From `now` on another rate; what waits, waits accordingly shorter or longer.
    pub fn set_rate(&mut self, now: Duration, rate: Rate) {
        let moment = self.see(now);
        let old = std::mem::replace(&mut self.config.rate, rate);
        let scaled = |next: Stamp| {
            let left =
                u128::from(next.since(moment)) * u128::from(old.as_bits()) / u128::from(rate.as_bits());
            moment.plus(u64::try_from(left).unwrap_or(u64::MAX / 2))
        };
        if !self.clock.next.has_come(moment) {
            self.clock.next = scaled(self.clock.next);
        }
        if !self.failsafe.has_come(moment) {
            self.failsafe = scaled(self.failsafe);
        }
        self.set_rates();
    }

    /// Whether a superpacket is to be cut into its packets before it is enqueued: it would hold up the link for
    /// longer than half a millisecond. At 1 Gbit/s and above none is.
    pub fn must_split(&self, packet: &P) -> bool {
        packet.segments().is_some() && u64::from(packet.octets()) > self.longest_superpacket()
    }

    /// Octets of a superpacket that need not be split at this rate: two full packets at least.
    pub fn longest_superpacket(&self) -> u64 {
        self.config.rate.octets_in(SUPERPACKET).max(u64::from(2 * MTU))
    }

    /// Takes a packet in, and returns how many were dropped to make room.
    pub fn enqueue(&mut self, now: Duration, packet: P) -> u32 {
        let moment = self.see(now);
        let tin = self.config.tins.index(packet.dscp());
        let framing = self.config.framing;
        let charge = match packet.segments() {
            Some(segments) => framing.superpacket(packet.octets(), segments),
            None => framing.octets(packet.octets()),
        };
        let packet = Framed { packet, charge: u32::try_from(charge).unwrap_or(u32::MAX) };
        // An idle clock does not save up.
        if self.queues.packets == 0 {
            for clock in [&mut self.clock.next, &mut self.failsafe] {
                if clock.has_come(moment) {
                    *clock = moment;
                }
            }
        }
        let Some(room) = self.tins.get_mut(tin) else { return 0 };
        if room.packets == 0 && room.clock.next.has_come(moment) {
            room.clock.next = moment;
        }
        room.enqueue(moment, &mut self.queues, packet, self.secret, self.config.ack_filter);
        if self.queues.packets > self.config.packets || self.queues.memory > self.memory_limit() {
            return self.make_room(moment);
        }
        0
    }

    #[cold]
    fn make_room(&mut self, now: Stamp) -> u32 {
        let mut all = 0;
        while self.queues.packets > self.config.packets || self.queues.memory > self.memory_limit() {
            let Some((queue, packets, octets)) = self.queues.drop_from_fattest(64) else { break };
            let tin = queue as usize / self.config.flows as usize;
            if let Some(room) = self.tins.get_mut(tin) {
                room.packets -= packets;
                room.counters.overflowed += u64::from(packets);
            }
            self.charge_dropped(now, tin, octets);
            all += packets;
        }
        all
    }

    /// Octets of memory that packets may hold.
    pub fn memory_limit(&self) -> u64 {
        match self.config.memory {
            0 => (4 * self.config.rate.octets_in(self.config.round_trip)).max(4 << 20),
            given => given,
        }
    }

    /// Counts octets at the link's clock and the tin's.
    fn charge(&mut self, now: Stamp, tin: usize, octets: u64) -> u64 {
        let time = self.clock.spend(octets);
        self.clock.next = self.clock.next.plus(time);
        if let Some(room) = self.tins.get_mut(tin) {
            let time = room.clock.spend(octets);
            // A tin beyond its share is never further ahead than one packet: it does not have to make up for
            // what nobody else wanted.
            if room.clock.next.has_come(now) {
                room.clock.next = room.clock.next.plus(time);
            } else if room.clock.next.since(now) < time {
                room.clock.next = now.plus(time);
            }
        }
        time
    }

    /// Counts what was dropped where the bottleneck has carried it already; but no further than a round trip
    /// ahead, or a flood would be felt long after its end.
    fn charge_dropped(&mut self, now: Stamp, tin: usize, octets: u64) {
        if !self.config.ingress || octets == 0 {
            return;
        }
        let before = self.clock.next;
        self.charge(now, tin, octets);
        let latest = now.plus(nanoseconds(self.config.round_trip).min(CATCH_UP * 1000));
        if !self.clock.next.has_come(latest) {
            self.clock.next = if before.has_come(latest) { latest } else { before };
        }
    }

    /// The next packet, or when there will be one. To be called at that time: the later, the more packets it
    /// has at once; after more than 10 ms the rate falls.
    pub fn dequeue(&mut self, now: Duration) -> Next<P> {
        let moment = self.see(now);
        while self.queues.packets > 0 {
            if !self.clock.next.has_come(moment) && !self.failsafe.has_come(moment) {
                return Next::Wait(self.next().reading(now));
            }
            let earliest = moment.minus(CATCH_UP);
            for clock in [&mut self.clock.next, &mut self.failsafe] {
                if clock.has_come(earliest) {
                    *clock = earliest;
                }
            }
            let Some(tin) = self.choose(moment) else { break };
            let Some(room) = self.tins.get_mut(tin) else { break };
            let (packet, dropped) = room.take(moment, &mut self.queues);
            self.charge_dropped(moment, tin, dropped);
            if let Some(Framed { packet, charge }) = packet {
                let time = self.charge(moment, tin, charge.into());
                self.failsafe = self.failsafe.plus(time + time / 2);
                return Next::Packet(packet);
            }
        }
        Next::Empty
    }

    /// The tin of highest priority that is within its share; where none is, the one that will be first.
    fn choose(&self, now: Stamp) -> Option<usize> {
        let mut best: Option<(u64, usize)> = None;
        for (index, room) in self.tins.iter().enumerate().filter(|(_, room)| room.packets > 0) {
            let ahead = room.clock.next.since(now);
            if best.is_none_or(|(least, _)| ahead <= least) {
                best = Some((ahead, index));
            }
        }
        best.map(|(_, index)| index)
    }

    fn next(&self) -> Stamp {
        let (next, failsafe) = (self.clock.next, self.failsafe);
        if next.has_come(failsafe) { next } else { failsafe }
    }

    /// When [`Shaper::dequeue`] has a packet again; `None` where nothing waits. A time that is past means now.
    pub fn poll_timeout(&self) -> Option<Duration> {
        let now = self.now.filter(|_| self.queues.packets > 0)?;
        Some(self.next().reading(now))
    }

    /// Packets that wait.
    pub fn packets(&self) -> u32 {
        self.queues.packets
    }

    /// Octets that wait, as the link counts them.
    pub fn octets(&self) -> u64 {
        self.queues.octets
    }

    /// Octets of memory that the waiting packets hold.
    pub fn memory(&self) -> u64 {
        self.queues.memory
    }

    /// How it is configured, bounds applied.
    pub fn config(&self) -> Config {
        self.config
    }

    /// The tins as they are.
    pub fn tins(&self) -> impl Iterator<Item = TinView> + '_ {
        self.tins.iter().zip(self.config.tins.list()).map(|(room, &tin)| {
            let (flows, busy_flows) = room.flows(&self.queues);
            TinView {
                tin,
                rate: room.clock.rate,
                target: Duration::from_nanos(room.limits.target),
                packets: room.packets,
                flows,
                busy_flows,
                counters: room.counters,
            }
        })
    }
}
