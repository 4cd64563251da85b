//! FQ-CoDel (RFC 8290): flows take turns, those that send little go first, and each has a CoDel of its own.
//!
//! Where Linux's `sch_fq_codel` is otherwise, besides what [`codel`](crate::codel) says:
//! - *Room.* Both drop from the head of the flow with most octets, up to half of them or 64 packets, and raise its CoDel's pace
//!   by as many. Linux does so once for a packet that comes, so that one which holds much memory may leave it above its limit
//!   until others have come; here it is done until there is room.
//! - *The fattest* is found without looking at every flow; of equals both take the first.
//! - *Memory* is what [`Packet::memory`] says; Linux counts its buffers (`truesize`).
//! - *The limit* holds for packets that wait. Where Linux's is changed while it runs, it drops from the flows whose turn it
//!   is until the rest fits; ours is what it was made with.

use crate::codel::{Limits, Parameters};
use crate::packet::{Packet, Secret, place};
use crate::queues::{FlowCounts, List, Queues};
use crate::time::Stamp;
use std::time::Duration;

/// How an [`Fq`] is made (RFC 8290 section 5.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Config {
    /// Queues that flows are hashed into: from 1 to 2^20. Flows that meet in one share it; with 1,024 and 100
    /// flows, one in ten does (RFC 8290 section 5.3 has the numbers).
    pub flows: u32,
    /// Packets held at most: from 1 to 2^24. Their places are taken when the queue is made.
    pub packets: u32,
    /// Octets of memory ([`Packet::memory`]) that packets may hold.
    pub memory: u64,
    /// Octets that a flow may send in its turn: a frame, or less so that small packets are even better off; at
    /// least 256.
    pub quantum: u32,
    /// Packets dropped at once, at most, where there is no room.
    pub batch: u32,
    /// Of each flow's CoDel.
    pub codel: Parameters,
}

impl Default for Config {
    /// Linux's values, ECN included.
    fn default() -> Self {
        Self {
            flows: 1024,
            packets: 10_240,
            memory: 32 << 20,
            quantum: 1514,
            batch: 64,
            codel: Parameters { ecn: true, ..Parameters::default() },
        }
    }
}

/// What happened since the queue was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counters {
    /// Packets that came.
    pub enqueued: u64,
    /// Packets that left to be sent.
    pub dequeued: u64,
    /// Packets dropped by CoDel.
    pub dropped: u64,
    /// Packets dropped because there was no room.
    pub overflowed: u64,
    /// The same, where it was memory that was short.
    pub out_of_memory: u64,
    /// Packets marked instead of dropped.
    pub marked: u64,
    /// Packets marked because they waited longer than `ce_threshold`.
    pub marked_late: u64,
    /// How often a queue became a new flow.
    pub new_flows: u64,
}

/// Where a flow stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Turn {
    #[default]
    /// It has nothing to send and is in no list.
    Idle,
    /// Among those that are served first.
    New,
    /// Among those that take turns.
    Old,
}

/// One queue as it is now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FlowView {
    /// Its number.
    pub queue: u32,
    /// Where it stands.
    pub turn: Turn,
    /// Packets that wait.
    pub packets: u32,
    /// Octets that wait.
    pub octets: u64,
    /// Octets that it may still send in this turn; below zero what it sent too much.
    pub deficit: i64,
    /// Whether its CoDel is dropping.
    pub dropping: bool,
    /// Packets dropped since it was new, for whatever reason; 65,535 is that or more.
    pub dropped: u32,
    /// Packets marked since it was new; likewise.
    pub marked: u32,
}

/// Turns of a queue.
#[derive(Debug, Clone, Copy, Default)]
struct Line {
    /// Quanta and packets are at most [`LONGEST`].
    deficit: i32,
    turn: Turn,
}

/// Octets that a packet or a quantum counts at most.
const LONGEST: u32 = 1 << 29;

/// The queue. After it is made it takes no memory for a packet, whatever comes.
///
/// ```
/// use sixgate_aqm::{fq, Packet, Secret};
/// use std::time::Duration;
///
/// struct Letter { to: u8, text: &'static str }
///
/// impl Packet for Letter {
///     type Flow = u8;
///     fn flow(&self) -> u8 { self.to }
///     fn octets(&self) -> u32 { self.text.len() as u32 }
/// }
///
/// let mut fq = fq::Fq::new(fq::Config::default(), Secret::random());
/// let now = Duration::from_secs(1);
/// fq.enqueue(now, Letter { to: 7, text: "long ago" });
/// assert_eq!(fq.dequeue(now).map(|letter| letter.text), Some("long ago"));
/// ```
pub struct Fq<P> {
    queues: Queues<P, Line>,
    new: List,
    old: List,
    limits: Limits,
    config: Config,
    secret: Secret,
    counters: Counters,
}

impl<P: Packet> Fq<P> {
    /// An empty queue. What is outside the bounds of [`Config`] becomes the nearest that is not.
    pub fn new(config: Config, secret: Secret) -> Self {
        let config = Config {
            flows: config.flows.clamp(1, 1 << 20),
            packets: config.packets.clamp(1, 1 << 24),
            quantum: config.quantum.clamp(256, LONGEST),
            batch: config.batch.max(1),
            ..config
        };
        let flows = config.flows as usize;
        Self {
            // One more than may stay: a packet is taken in before room is made.
            queues: Queues::new(flows, config.packets as usize + 1),
            new: List::EMPTY,
            old: List::EMPTY,
            limits: config.codel.limits(),
            config,
            secret,
            counters: Counters::default(),
        }
    }

    /// The queue that a flow's packets go to.
    pub fn queue_of(&self, flow: &P::Flow) -> u32 {
        place(self.secret.hash(flow), self.config.flows as usize) as u32
    }

    /// Takes a packet in (RFC 8290 section 4.1), and returns how many were dropped to make room: from the head
    /// of the flow that holds most, which need not be this one.
    pub fn enqueue(&mut self, now: Duration, packet: P) -> u32 {
        let queue = self.queue_of(&packet.flow());
        self.counters.enqueued += 1;
        if self.queues.push(Stamp::of(now), queue, packet).is_err() {
            // Cannot be: below, room is made for the next one.
            self.counters.overflowed += 1;
            return 1;
        }
        let line = self.queues.state(queue);
        if line.turn == Turn::Idle {
            *line = Line { deficit: self.config.quantum.cast_signed(), turn: Turn::New };
            self.queues.flows[queue as usize].counts = FlowCounts::default();
            self.new.push(&mut self.queues.flows, queue);
            self.counters.new_flows += 1;
        }
        if self.queues.packets > self.config.packets || self.queues.memory > self.config.memory {
            return self.make_room();
        }
        0
    }

    #[cold]
    fn make_room(&mut self) -> u32 {
        let mut all = 0;
        loop {
            let memory = self.queues.memory > self.config.memory;
            if !memory && self.queues.packets <= self.config.packets {
                return all;
            }
            let Some((_, packets, _)) = self.queues.drop_from_fattest(self.config.batch) else { return all };
            all += packets;
            self.counters.overflowed += u64::from(packets);
            self.counters.out_of_memory += if memory { packets.into() } else { 0 };
        }
    }

    /// The next packet to send (RFC 8290 section 4.2); `None` where nothing waits.
    pub fn dequeue(&mut self, now: Duration) -> Option<P> {
        let now = Stamp::of(now);
        loop {
            let from_new = !self.new.is_empty();
            let queue = if from_new { self.new.first() } else { self.old.first() }?;
            let line = self.queues.state(queue);
            if line.deficit <= 0 {
                line.deficit += self.config.quantum.cast_signed();
                self.put_last(queue, from_new);
                continue;
            }
            let (packet, toll) = self.queues.take(now, queue, &self.limits);
            self.counters.dropped += u64::from(toll.dropped);
            self.counters.marked += u64::from(toll.marked);
            self.counters.marked_late += u64::from(toll.marked_late);
            if let Some(packet) = packet {
                self.queues.state(queue).deficit -= packet.octets().min(LONGEST).cast_signed();
                self.counters.dequeued += 1;
                return Some(packet);
            }
            // A new flow that has sent all passes once through the old ones: else it would be new again with
            // its next packet, and those that pause a little would starve the others.
            if from_new && !self.old.is_empty() {
                self.put_last(queue, true);
            } else {
                let list = if from_new { &mut self.new } else { &mut self.old };
                list.pop(&self.queues.flows);
                self.queues.state(queue).turn = Turn::Idle;
            }
        }
    }

    fn put_last(&mut self, queue: u32, from_new: bool) {
        let list = if from_new { &mut self.new } else { &mut self.old };
        list.pop(&self.queues.flows);
        self.old.push(&mut self.queues.flows, queue);
        self.queues.state(queue).turn = Turn::Old;
    }

    /// Packets that wait.
    pub fn packets(&self) -> u32 {
        self.queues.packets
    }

    /// Octets that wait.
    pub fn octets(&self) -> u64 {
        self.queues.octets
    }

    /// Octets of memory that the waiting packets hold.
    pub fn memory(&self) -> u64 {
        self.queues.memory
    }

    /// What happened so far.
    pub fn counters(&self) -> Counters {
        self.counters
    }

    /// How it was made, bounds applied.
    pub fn config(&self) -> Config {
        self.config
    }

    /// The flows that are in a list: new ones, then old ones, in the order of their turns.
    pub fn flows(&self) -> impl Iterator<Item = FlowView> + '_ {
        self.new
            .iter(&self.queues.flows)
            .chain(self.old.iter(&self.queues.flows))
            .map(|queue| self.flow(queue))
    }

    fn flow(&self, queue: u32) -> FlowView {
        let flow = &self.queues.flows[queue as usize];
        FlowView {
            queue,
            turn: flow.state.turn,
            packets: flow.packets,
            octets: flow.octets.into(),
            deficit: flow.state.deficit.into(),
            dropping: flow.codel.is_dropping(),
            dropped: flow.counts.dropped.into(),
            marked: flow.counts.marked.into(),
        }
    }
}
