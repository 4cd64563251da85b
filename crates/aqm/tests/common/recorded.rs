//! Arrivals at a queue, recorded in the simulated network.

use super::Event;
use sixgate_aqm::shape::Next;
use sixgate_aqm::sim::{Control, DOWN, Discipline, OneCodel, Sim, Wire};
use sixgate_aqm::{Packet as _, Rate};
use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

type Tape = Rc<RefCell<Vec<(Duration, Event)>>>;

/// A CoDel, and what happened to it.
struct Recorder {
    inner: OneCodel,
    tape: Tape,
}

impl Discipline for Recorder {
    fn enqueue(&mut self, now: Duration, packet: Wire) {
        self.tape.borrow_mut().push((now, Event::Enqueue(0, packet.octets(), false)));
        self.inner.enqueue(now, packet);
    }

    fn dequeue(&mut self, now: Duration) -> Next<Wire> {
        self.tape.borrow_mut().push((now, Event::Dequeue));
        self.inner.dequeue(now)
    }
}

/// What comes to, and is asked of, a queue before 20 Mbit/s, 40 ms from its senders, as gaps and events.
pub(crate) fn arrivals(control: Control, flows: u64, time: Duration) -> Vec<(Duration, Event)> {
    let (tape, mut sim) = (Tape::default(), Sim::new(Duration::from_millis(40)));
    let mut last = sim.now;
    sim.stage(DOWN, Recorder { inner: OneCodel::default(), tape: tape.clone() }, Rate::mbit(20));
    for number in 0..flows {
        sim.sender(DOWN, control, false, 1, Duration::from_millis(137 * number));
    }
    sim.run(time, |_| {});
    let tape = tape.take();
    tape.into_iter().map(|(at, event)| (at.saturating_sub(std::mem::replace(&mut last, at)), event)).collect()
}
