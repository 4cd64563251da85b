//! Queues of any kind, before a link of the simulated network.

use super::Wire;
use crate::codel::{Codel, Mark, Parameters, Queue};
use crate::fq::Fq;
use crate::pie::Pie;
use crate::shape::{Next, Shaper};
use crate::{Packet as _, Stamp};
use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;
use std::time::Duration;

/// A queue of any kind.
pub trait Discipline {
    /// A packet comes.
    fn enqueue(&mut self, now: Duration, packet: Wire);
    /// The link has room for one.
    fn dequeue(&mut self, now: Duration) -> Next<Wire>;
}

fn next(packet: Option<Wire>) -> Next<Wire> {
    packet.map_or(Next::Empty, Next::Packet)
}

/// First in, first out, so many octets.
#[derive(Debug)]
pub struct Fifo {
    line: VecDeque<Wire>,
    octets: u64,
    limit: u64,
}

impl Fifo {
    /// An empty one that holds so many octets.
    pub fn new(limit: u64) -> Self {
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
#[derive(Debug)]
pub struct OneCodel {
    codel: Codel,
    parameters: Parameters,
    line: Line,
}

impl OneCodel {
    /// An empty one.
    pub fn new(parameters: Parameters) -> Self {
        Self { codel: Codel::default(), parameters, line: Line::default() }
    }
}

impl Default for OneCodel {
    fn default() -> Self {
        Self::new(Parameters::default())
    }
}

#[derive(Debug, Default)]
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
        next(self.codel.dequeue(now, &self.parameters, &mut self.line))
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

/// A shaper that somebody keeps a hand on, and the octets that came out of it.
pub type Shared = Rc<RefCell<(Shaper<Wire>, u64)>>;

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
