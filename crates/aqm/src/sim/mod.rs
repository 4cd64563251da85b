//! A small network in simulated time, the same in each run: TCP senders, probes, and a path each way made of queues and links. What
//! the tests of this crate promise is promised of it, and `sixgate measure aqm` compares queues in it. It is a model: senders have
//! unlimited data, packets 1,500 octets, acknowledgements are never delayed, and links lose nothing but what their queues drop.

pub mod compare;
mod queue;
mod tcp;

pub use queue::{Discipline, Fifo, OneCodel, Shared};
pub use tcp::Control;

use crate::classify::Flow;
use crate::shape::{self, Next};
use crate::{Packet, Rate};
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;
use tcp::Tcp;

/// What a packet is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Of a sender's.
    Data,
    /// Of its receiver's.
    Ack,
    /// There, and back.
    Probe(bool),
    /// Of a trace: nobody answers it.
    Once,
}

/// A packet.
#[derive(Debug, Clone, Copy)]
pub struct Wire {
    /// Its sender's number.
    pub sender: u32,
    /// What it is.
    pub kind: Kind,
    number: u64,
    /// Of an acknowledgement: packets that had arrived.
    log: u64,
    /// What its sender had been told of when it was sent.
    told: u64,
    octets: u32,
    sent: Duration,
    ect: bool,
    ce: bool,
    host: u32,
    dscp: u8,
}

impl Packet for Wire {
    type Flow = Flow;

    fn flow(&self) -> Flow {
        let ports = self.sender << 8 | u32::from(self.kind == Kind::Ack);
        Flow { source: self.host.into(), destination: (1000 + self.sender).into(), ports, protocol: 6 }
    }

    fn octets(&self) -> u32 {
        self.octets
    }

    fn mark(&mut self) -> bool {
        self.ce |= self.ect;
        self.ect
    }
}

impl shape::Packet for Wire {
    fn dscp(&self) -> u8 {
        self.dscp
    }
}

/// A queue and the link behind it.
struct Stage {
    queue: Box<dyn Discipline>,
    rate: Rate,
    busy: bool,
    /// When somebody looks again.
    wake: Option<Duration>,
    /// Nothing leaves before this.
    paused: Duration,
}

#[derive(Clone, Copy)]
enum Event {
    /// A packet comes to a stage of a path.
    Arrive(usize, usize, Wire),
    /// A link has sent a packet.
    Sent(usize, usize, Wire),
    /// Somebody looks whether a stage may send.
    Kick(usize, usize),
    /// A packet has come to its end.
    Deliver(usize, Wire),
    /// A sender looks what it may send.
    Send(usize),
    Probe,
    /// The caller has its turn.
    Tick,
}

/// What a probe found: when it came back, and its round trip less the network's own.
#[derive(Debug, Clone, Copy)]
pub struct Sample {
    /// When it came back.
    pub at: Duration,
    /// The probe's number.
    pub number: u64,
    /// What it waited.
    pub added: Duration,
}

/// The network.
pub struct Sim {
    /// Its clock.
    pub now: Duration,
    events: BinaryHeap<Reverse<(Duration, u64)>>,
    slots: std::collections::HashMap<u64, Event>,
    order: u64,
    paths: [Vec<Stage>; 2],
    one_way: Duration,
    senders: Vec<Tcp>,
    /// Octets that came out of each path.
    pub carried: [u64; 2],
    /// Packets that came into each path, and out of it.
    came: [u64; 2],
    left: [u64; 2],
    /// Packets that came out of each path with a mark.
    pub marked: [u64; 2],
    /// Of packets of a trace: their flow, and how long they took.
    pub waited: Vec<(u32, Duration)>,
    /// Probes that came back.
    pub samples: Vec<Sample>,
    probe_every: Duration,
    probe_dscp: u8,
    /// Probes sent.
    pub probes: u64,
    tick: Option<Duration>,
}

/// The path that probes take first.
pub const DOWN: usize = 0;
/// The one by which they come back.
pub const UP: usize = 1;
/// A probe's octets.
const SMALL: u32 = 84;
/// A full packet's.
const FULL: u32 = 1500;

impl Sim {
    /// Paths without stages, half the round trip each.
    pub fn new(round_trip: Duration) -> Self {
        Self {
            now: Duration::from_secs(1_795_000_000),
            events: BinaryHeap::new(),
            slots: std::collections::HashMap::new(),
            order: 0,
            paths: [Vec::new(), Vec::new()],
            one_way: round_trip / 2,
            senders: Vec::new(),
            carried: [0; 2],
            came: [0; 2],
            left: [0; 2],
            marked: [0; 2],
            waited: Vec::new(),
            samples: Vec::new(),
            probe_every: Duration::ZERO,
            probe_dscp: 0,
            probes: 0,
            tick: None,
        }
    }

    /// Adds a queue and a link behind it to the end of a path.
    pub fn stage(&mut self, path: usize, queue: impl Discipline + 'static, rate: Rate) {
        self.stage_of(path, Box::new(queue), rate);
    }

    fn stage_of(&mut self, path: usize, queue: Box<dyn Discipline>, rate: Rate) {
        self.paths[path].push(Stage { queue, rate, busy: false, wake: None, paused: Duration::ZERO });
    }

    /// From now on a link has another rate.
    pub fn set_rate(&mut self, path: usize, stage: usize, rate: Rate) {
        self.paths[path][stage].rate = rate;
    }

    /// For so long nothing leaves a stage, as where the machine that has it does something else; then what is due leaves.
    pub fn pause(&mut self, path: usize, stage: usize, time: Duration) {
        let until = self.now + time;
        self.paths[path][stage].paused = self.paths[path][stage].paused.max(until);
        self.at(until, Event::Kick(path, stage));
    }

    /// A sender that begins after a time; its number.
    pub fn sender(&mut self, path: usize, control: Control, ecn: bool, host: u32, after: Duration) -> usize {
        self.sender_of(path, control, ecn, (host, 0), after)
    }

    /// The same with a DSCP.
    pub fn sender_of(
        &mut self,
        path: usize,
        control: Control,
        ecn: bool,
        host_and_dscp: (u32, u8),
        after: Duration,
    ) -> usize {
        let begin = self.now + after;
        self.senders.push(Tcp::new(control, path, ecn, host_and_dscp, begin));
        self.at(begin, Event::Send(self.senders.len() - 1));
        self.senders.len() - 1
    }

    /// Probes through the path downwards, answered upwards.
    pub fn probe_every(&mut self, every: Duration, dscp: u8) {
        (self.probe_every, self.probe_dscp) = (every, dscp);
        self.at(self.now, Event::Probe);
    }

    /// Gives the caller of [`Sim::run`] a turn so often.
    pub fn tick_every(&mut self, every: Duration) {
        self.tick = Some(every);
        self.at(self.now + every, Event::Tick);
    }

    /// A packet of a trace that comes after a time, and is heard of no more.
    pub fn once(&mut self, path: usize, after: Duration, flow: u32, octets: u32) {
        let mut packet = self.packet(Kind::Once, 0, octets);
        (packet.sender, packet.sent) = (flow, self.now + after);
        self.at(packet.sent, Event::Arrive(path, 0, packet));
    }

    /// Packets that went into each path and are neither out of it nor on their way: what was lost, and what waits in a queue.
    pub fn lost(&self) -> [u64; 2] {
        let mut lost = [DOWN, UP].map(|path| self.came[path].saturating_sub(self.left[path]));
        for event in self.slots.values() {
            if let Event::Sent(path, ..) | Event::Deliver(path, _) = event {
                lost[*path] = lost[*path].saturating_sub(1);
            }
        }
        lost
    }

    /// Octets that have arrived for each sender.
    pub fn arrived(&self) -> Vec<u64> {
        self.senders.iter().map(|sender| sender.arrived).collect()
    }

    fn at(&mut self, time: Duration, event: Event) {
        self.order += 1;
        self.slots.insert(self.order, event);
        self.events.push(Reverse((time, self.order)));
    }

    /// Goes on for a time; calls `tick` as often as was asked for.
    pub fn run(&mut self, time: Duration, mut tick: impl FnMut(&mut Self)) {
        let end = self.now + time;
        while let Some(&Reverse((at, order))) = self.events.peek()
            && at <= end
        {
            self.events.pop();
            self.now = at;
            match self.slots.remove(&order) {
                Some(Event::Tick) => {
                    tick(self);
                    if let Some(every) = self.tick {
                        self.at(at + every, Event::Tick);
                    }
                }
                Some(event) => self.happen(event),
                None => {}
            }
        }
        self.now = end;
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Arrive(path, stage, packet) => {
                self.came[path] += u64::from(stage == 0);
                match self.paths[path].get_mut(stage) {
                    Some(place) => {
                        place.queue.enqueue(self.now, packet);
                        self.kick(path, stage);
                    }
                    None => self.at(self.now + self.one_way, Event::Deliver(path, packet)),
                }
            }
            Event::Sent(path, stage, packet) => {
                self.paths[path][stage].busy = false;
                self.happen(Event::Arrive(path, stage + 1, packet));
                self.kick(path, stage);
            }
            Event::Kick(path, stage) => {
                self.paths[path][stage].wake = None;
                self.kick(path, stage);
            }
            Event::Deliver(path, packet) => self.deliver(path, packet),
            Event::Send(sender) => {
                self.senders[sender].check_timer(self.now);
                self.send(sender);
                self.at(self.now + Duration::from_millis(200), Event::Send(sender));
            }
            Event::Probe => {
                let packet = self.packet(Kind::Probe(true), self.probes, SMALL);
                self.probes += 1;
                self.happen(Event::Arrive(DOWN, 0, packet));
                self.at(self.now + self.probe_every, Event::Probe);
            }
            Event::Tick => {}
        }
    }

    /// A packet that belongs to no connection.
    fn packet(&self, kind: Kind, number: u64, octets: u32) -> Wire {
        Wire {
            sender: 0,
            kind,
            number,
            log: 0,
            told: 0,
            octets,
            sent: self.now,
            ect: false,
            ce: false,
            host: 999,
            dscp: self.probe_dscp,
        }
    }

    fn kick(&mut self, path: usize, stage: usize) {
        let place = &mut self.paths[path][stage];
        if place.busy || place.paused > self.now {
            return;
        }
        match place.queue.dequeue(self.now) {
            Next::Packet(packet) => {
                place.busy = true;
                let sent = self.now + place.rate.time_for(packet.octets);
                self.at(sent, Event::Sent(path, stage, packet));
            }
            Next::Wait(until) if place.wake.is_none_or(|wake| until < wake) => {
                debug_assert!(until > self.now, "a wait that has an end: {until:?} at {:?}", self.now);
                place.wake = Some(until);
                self.at(until, Event::Kick(path, stage));
            }
            Next::Wait(_) | Next::Empty => {}
        }
    }

    fn deliver(&mut self, path: usize, packet: Wire) {
        self.carried[path] += u64::from(packet.octets);
        self.left[path] += 1;
        self.marked[path] += u64::from(packet.ce);
        match packet.kind {
            Kind::Data => {
                let receiver = &mut self.senders[packet.sender as usize];
                receiver.arrived += u64::from(packet.octets);
                receiver.log.push_back((packet.number, packet.ce));
                let log = receiver.told + receiver.log.len() as u64;
                let ack = Wire { kind: Kind::Ack, octets: 66, ect: false, log, ..packet };
                self.happen(Event::Arrive(1 - path, 0, ack));
            }
            Kind::Ack => {
                self.senders[packet.sender as usize].heard(self.now, &packet);
                self.send(packet.sender as usize);
            }
            Kind::Once => self.waited.push((packet.sender, self.now.saturating_sub(packet.sent))),
            Kind::Probe(true) => {
                let back = Wire { kind: Kind::Probe(false), ..packet };
                self.happen(Event::Arrive(1 - path, 0, back));
            }
            Kind::Probe(false) => {
                let added = self.now.saturating_sub(packet.sent).saturating_sub(2 * self.one_way);
                self.samples.push(Sample { at: self.now, number: packet.number, added });
            }
        }
    }

    #[allow(clippy::cast_precision_loss, reason = "packets in flight of a simulation")]
    fn send(&mut self, index: usize) {
        loop {
            let sender = &mut self.senders[index];
            if sender.flying.len() as f64 >= sender.window {
                return;
            }
            let packet = Wire {
                sender: index as u32,
                kind: Kind::Data,
                number: sender.number,
                log: 0,
                told: sender.told,
                octets: FULL,
                sent: self.now,
                ect: sender.ecn,
                ce: false,
                host: sender.host,
                dscp: sender.dscp,
            };
            sender.flying.push_back(sender.number);
            sender.number += 1;
            let path = sender.path;
            self.happen(Event::Arrive(path, 0, packet));
        }
    }
}

/// The value below which `percent` in a hundred of them lie; zero of none.
pub fn percentile(values: impl IntoIterator<Item = Duration>, percent: usize) -> Duration {
    let mut values: Vec<_> = values.into_iter().collect();
    values.sort_unstable();
    let last = values.len().saturating_sub(1);
    values.get((values.len() * percent / 100).min(last)).copied().unwrap_or_default()
}
