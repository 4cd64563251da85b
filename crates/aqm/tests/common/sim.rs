//! A small network, the same in each run: TCP senders, probes, and a path each way made of queues and links.
//!
//! Senders have unlimited data and are told of each packet that arrived (as with SACK). A packet is lost when
//! three sent after it arrived; that halves the window (Reno; RFC 5681), or takes 0.7 of it (CUBIC; RFC 9438),
//! at most once a round trip; so does a mark. What is lost is not sent again but counted as not arrived.

use sixgate_aqm::classify::Flow;
use sixgate_aqm::codel::{Codel, Mark, Parameters, Queue};
use sixgate_aqm::fq::Fq;
use sixgate_aqm::pie::Pie;
use sixgate_aqm::shape::{self, Next, Shaper};
use sixgate_aqm::{Packet, Rate, Stamp};
use std::cell::RefCell;
use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::rc::Rc;
use std::time::Duration;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Data,
    Ack,
    /// There, and back.
    Probe(bool),
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Wire {
    pub(crate) sender: u32,
    pub(crate) kind: Kind,
    number: u64,
    /// Of an acknowledgement: packets that had arrived.
    log: u64,
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

/// A queue of any kind.
pub(crate) trait Discipline {
    fn enqueue(&mut self, now: Duration, packet: Wire);
    fn dequeue(&mut self, now: Duration) -> Next<Wire>;
}

fn next(packet: Option<Wire>) -> Next<Wire> {
    packet.map_or(Next::Empty, Next::Packet)
}

/// First in, first out, so many octets.
pub(crate) struct Fifo {
    line: VecDeque<Wire>,
    octets: u64,
    limit: u64,
}

impl Fifo {
    pub(crate) fn new(limit: u64) -> Self {
        Self { line: VecDeque::new(), octets: 0, limit }
    }
}

impl Discipline for Fifo {
    fn enqueue(&mut self, _: Duration, packet: Wire) {
        if self.octets + u64::from(packet.octets) <= self.limit {
            self.octets += u64::from(packet.octets);
            self.line.push_back(packet);
        }
    }

    fn dequeue(&mut self, _: Duration) -> Next<Wire> {
        let packet = self.line.pop_front();
        self.octets -= packet.map_or(0, |packet| packet.octets.into());
        next(packet)
    }
}

/// One CoDel for all.
#[derive(Default)]
pub(crate) struct OneCodel {
    codel: Codel,
    line: Line,
}

#[derive(Default)]
struct Line(VecDeque<(Wire, Stamp)>, u64);

impl Queue for Line {
    type Packet = Wire;

    fn pop(&mut self) -> Option<(Wire, Stamp)> {
        let packet = self.0.pop_front()?;
        self.1 -= u64::from(packet.0.octets);
        Some(packet)
    }

    fn backlog(&self) -> u64 {
        self.1
    }

    fn mark(&mut self, packet: &mut Wire, _: Mark) -> bool {
        packet.mark()
    }

    fn discard(&mut self, _: Wire) {}
}

impl Discipline for OneCodel {
    fn enqueue(&mut self, now: Duration, packet: Wire) {
        self.line.1 += u64::from(packet.octets);
        self.line.0.push_back((packet, Stamp::of(now)));
    }

    fn dequeue(&mut self, now: Duration) -> Next<Wire> {
        next(self.codel.dequeue(now, &Parameters::default(), &mut self.line))
    }
}

impl Discipline for Fq<Wire> {
    fn enqueue(&mut self, now: Duration, packet: Wire) {
        Self::enqueue(self, now, packet);
    }

    fn dequeue(&mut self, now: Duration) -> Next<Wire> {
        next(Self::dequeue(self, now))
    }
}

impl Discipline for Pie<Wire> {
    fn enqueue(&mut self, now: Duration, packet: Wire) {
        Self::enqueue(self, now, packet);
    }

    fn dequeue(&mut self, now: Duration) -> Next<Wire> {
        next(Self::dequeue(self, now))
    }
}

/// A shaper that the test keeps a hand on, and what came out of it.
pub(crate) type Shared = Rc<RefCell<(Shaper<Wire>, u64)>>;

impl Discipline for Shared {
    fn enqueue(&mut self, now: Duration, packet: Wire) {
        self.borrow_mut().0.enqueue(now, packet);
    }

    fn dequeue(&mut self, now: Duration) -> Next<Wire> {
        let (shaper, octets) = &mut *self.borrow_mut();
        let next = shaper.dequeue(now);
        if let Next::Packet(packet) = &next {
            *octets += u64::from(packet.octets);
        }
        next
    }
}

/// A queue and the link behind it.
struct Stage {
    queue: Box<dyn Discipline>,
    rate: Rate,
    busy: bool,
    /// When somebody looks again.
    wake: Option<Duration>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Control {
    Reno,
    Cubic,
}

/// One TCP connection with more data than it can send.
struct Tcp {
    control: Control,
    path: usize,
    host: u32,
    ecn: bool,
    dscp: u8,
    window: f64,
    threshold: f64,
    number: u64,
    flying: VecDeque<u64>,
    /// Losses of what was sent before this have had their effect.
    recovered: u64,
    last_heard: Duration,
    smoothed: f64,
    peak: f64,
    reduced: Duration,
    arrived: u64,
    /// What arrived, and whether it was marked, that the sender does not know yet.
    log: VecDeque<(u64, bool)>,
    told: u64,
}

impl Tcp {
    fn reduce(&mut self, now: Duration, number: u64) {
        if number < self.recovered {
            return;
        }
        self.recovered = self.number;
        let factor = if self.control == Control::Reno { 0.5 } else { 0.7 };
        self.peak = self.window;
        self.window = (self.window * factor).max(2.0);
        self.threshold = self.window;
        self.reduced = now;
    }

    fn grow(&mut self, now: Duration) {
        if self.window < self.threshold {
            self.window += 1.0;
            return;
        }
        let reno = self.window + 1.0 / self.window;
        self.window = match self.control {
            Control::Reno => reno,
            Control::Cubic => {
                // RFC 9438 section 4.2, and not slower than Reno (4.3).
                let k = (self.peak * 0.3 / 0.4).cbrt();
                let t = now.saturating_sub(self.reduced).as_secs_f64() + self.smoothed;
                let target = 0.4 * (t - k).powi(3) + self.peak;
                let cubic = self.window + ((target - self.window) / self.window).clamp(0.0, 0.5);
                cubic.max(self.window + 0.5 / self.window)
            }
        };
    }

    fn heard(&mut self, now: Duration, ack: &Wire) {
        self.last_heard = now;
        let rtt = now.saturating_sub(ack.sent).as_secs_f64();
        self.smoothed += (rtt - self.smoothed) / 8.0;
        // An acknowledgement tells of all that arrived before it was sent.
        while self.told < ack.log {
            let Some((number, ce)) = self.log.pop_front() else { break };
            self.told += 1;
            if let Ok(place) = self.flying.binary_search(&number) {
                self.flying.remove(place);
                self.grow(now);
            }
            if ce {
                self.reduce(now, number);
            }
            while let Some(&lost) = self.flying.front()
                && lost + 3 <= number
            {
                self.flying.pop_front();
                self.reduce(now, lost);
            }
        }
    }
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
    /// The test has its turn.
    Tick,
}

/// What a probe found: when it came back, and its round trip less the network's own.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sample {
    pub(crate) at: Duration,
    pub(crate) number: u64,
    pub(crate) added: Duration,
}

pub(crate) struct Sim {
    pub(crate) now: Duration,
    events: BinaryHeap<Reverse<(Duration, u64)>>,
    slots: std::collections::HashMap<u64, Event>,
    order: u64,
    paths: [Vec<Stage>; 2],
    one_way: Duration,
    senders: Vec<Tcp>,
    /// Octets that came out of each path.
    pub(crate) carried: [u64; 2],
    pub(crate) samples: Vec<Sample>,
    probe_every: Duration,
    probe_dscp: u8,
    pub(crate) probes: u64,
    tick: Option<Duration>,
}

pub(crate) const DOWN: usize = 0;
pub(crate) const UP: usize = 1;
/// A probe's octets.
const SMALL: u32 = 84;

impl Sim {
    /// Paths without stages, half the round trip each.
    pub(crate) fn new(round_trip: Duration) -> Self {
        Self {
            now: Duration::from_secs(1_795_000_000),
            events: BinaryHeap::new(),
            slots: std::collections::HashMap::new(),
            order: 0,
            paths: [Vec::new(), Vec::new()],
            one_way: round_trip / 2,
            senders: Vec::new(),
            carried: [0; 2],
            samples: Vec::new(),
            probe_every: Duration::ZERO,
            probe_dscp: 0,
            probes: 0,
            tick: None,
        }
    }

    pub(crate) fn stage(&mut self, path: usize, queue: impl Discipline + 'static, rate: Rate) {
        self.paths[path].push(Stage { queue: Box::new(queue), rate, busy: false, wake: None });
    }

    pub(crate) fn set_rate(&mut self, path: usize, stage: usize, rate: Rate) {
        self.paths[path][stage].rate = rate;
    }

    /// A sender that begins after a time; its number.
    pub(crate) fn sender(
        &mut self,
        path: usize,
        control: Control,
        ecn: bool,
        host: u32,
        after: Duration,
    ) -> usize {
        self.sender_of(path, control, ecn, (host, 0), after)
    }

    pub(crate) fn sender_of(
        &mut self,
        path: usize,
        control: Control,
        ecn: bool,
        (host, dscp): (u32, u8),
        after: Duration,
    ) -> usize {
        let begin = self.now + after;
        self.senders.push(Tcp {
            control,
            path,
            host,
            ecn,
            dscp,
            window: 10.0,
            threshold: f64::MAX,
            number: 0,
            flying: VecDeque::new(),
            recovered: 0,
            last_heard: begin,
            smoothed: 0.1,
            peak: 10.0,
            reduced: begin,
            arrived: 0,
            log: VecDeque::new(),
            told: 0,
        });
        self.at(begin, Event::Send(self.senders.len() - 1));
        self.senders.len() - 1
    }

    /// Probes through the path downwards, answered upwards.
    pub(crate) fn probe_every(&mut self, every: Duration, dscp: u8) {
        (self.probe_every, self.probe_dscp) = (every, dscp);
        self.at(self.now, Event::Probe);
    }

    pub(crate) fn tick_every(&mut self, every: Duration) {
        self.tick = Some(every);
        self.at(self.now + every, Event::Tick);
    }

    /// Octets that have arrived for each sender.
    pub(crate) fn arrived(&self) -> Vec<u64> {
        self.senders.iter().map(|sender| sender.arrived).collect()
    }

    fn at(&mut self, time: Duration, event: Event) {
        self.order += 1;
        self.slots.insert(self.order, event);
        self.events.push(Reverse((time, self.order)));
    }

    /// Goes on for a time; calls `tick` as often as was asked for.
    pub(crate) fn run(&mut self, time: Duration, mut tick: impl FnMut(&mut Self)) {
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
            Event::Arrive(path, stage, packet) => match self.paths[path].get_mut(stage) {
                Some(place) => {
                    place.queue.enqueue(self.now, packet);
                    self.kick(path, stage);
                }
                None => self.at(self.now + self.one_way, Event::Deliver(path, packet)),
            },
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
                self.check_timer(sender);
                self.send(sender);
                self.at(self.now + Duration::from_millis(200), Event::Send(sender));
            }
            Event::Probe => {
                let packet = Wire {
                    sender: 0,
                    kind: Kind::Probe(true),
                    number: self.probes,
                    log: 0,
                    octets: SMALL,
                    sent: self.now,
                    ect: false,
                    ce: false,
                    host: 999,
                    dscp: self.probe_dscp,
                };
                self.probes += 1;
                self.happen(Event::Arrive(DOWN, 0, packet));
                self.at(self.now + self.probe_every, Event::Probe);
            }
            Event::Tick => {}
        }
    }

    fn kick(&mut self, path: usize, stage: usize) {
        let place = &mut self.paths[path][stage];
        if place.busy {
            return;
        }
        match place.queue.dequeue(self.now) {
            Next::Packet(packet) => {
                place.busy = true;
                let sent = self.now + place.rate.time_for(packet.octets);
                self.at(sent, Event::Sent(path, stage, packet));
            }
            Next::Wait(until) if place.wake.is_none_or(|wake| until < wake) => {
                assert!(until > self.now, "a wait that has an end: {until:?} at {:?}", self.now);
                place.wake = Some(until);
                self.at(until, Event::Kick(path, stage));
            }
            Next::Wait(_) | Next::Empty => {}
        }
    }

    fn deliver(&mut self, path: usize, packet: Wire) {
        self.carried[path] += u64::from(packet.octets);
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
                let now = self.now;
                self.senders[packet.sender as usize].heard(now, &packet);
                self.send(packet.sender as usize);
            }
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

    fn check_timer(&mut self, sender: usize) {
        let now = self.now;
        let sender = &mut self.senders[sender];
        let patience = Duration::from_secs_f64((sender.smoothed * 2.0).max(1.0));
        if !sender.flying.is_empty() && now.saturating_sub(sender.last_heard) > patience {
            sender.flying.clear();
            sender.threshold = (sender.window / 2.0).max(2.0);
            sender.window = 2.0;
            sender.recovered = sender.number;
            sender.last_heard = now;
        }
    }

    fn send(&mut self, index: usize) {
        loop {
            let now = self.now;
            let sender = &mut self.senders[index];
            #[allow(clippy::cast_precision_loss)]
            if sender.flying.len() as f64 >= sender.window {
                return;
            }
            let packet = Wire {
                sender: u32::try_from(index).unwrap(),
                kind: Kind::Data,
                number: sender.number,
                log: 0,
                octets: 1500,
                sent: now,
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

/// The value below which `percent` of them lie.
pub(crate) fn percentile(values: impl IntoIterator<Item = Duration>, percent: usize) -> Duration {
    let mut values: Vec<_> = values.into_iter().collect();
    values.sort_unstable();
    values[(values.len() * percent / 100).min(values.len() - 1)]
}
