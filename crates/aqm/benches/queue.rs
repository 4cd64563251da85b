//! What a packet costs in the queue, and in the shaper: nanoseconds of one core, each beside its target.
//!
//! A packet here is a handle of eight octets; reading a flow from a real one is a line of its own. Each step puts one in and takes one out, of flows in no order. Each figure is the
//! median of several rounds.

#![allow(clippy::unwrap_used, clippy::cast_precision_loss)]

use sixgate_aqm::classify::{self, Flow, FlowLabel};
use sixgate_aqm::fq::{self, Fq};
use sixgate_aqm::shape::{self, Next, Shaper};
use sixgate_aqm::{Packet, Rate, Secret};
use std::hint::black_box;
use std::time::Duration;

const ROUNDS: usize = 7;
const STEPS: u32 = 1 << 20;

struct Small {
    flow: u32,
    octets: u32,
}

impl Packet for Small {
    type Flow = Flow;

    fn flow(&self) -> Flow {
        let source = 0x2001_0db8 << 96 | u128::from(self.flow % 50);
        let destination = 0x2001_0db8 << 96 | u128::from(self.flow);
        Flow { source, destination, ports: self.flow << 8, protocol: 6 }
    }

    fn octets(&self) -> u32 {
        self.octets
    }
}

impl shape::Packet for Small {}

/// Numbers without an order.
fn spread(index: u32) -> u32 {
    let mixed = index.wrapping_mul(0x9e37_79b9);
    mixed ^ (mixed >> 15)
}

fn packet(flow: u32, octets: u32) -> Small {
    Small { flow, octets }
}

/// Seconds that this thread has had a processor for.
fn processor_time() -> f64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

/// Median nanoseconds of a step.
fn median(mut step: impl FnMut(u32)) -> f64 {
    let mut rounds: Vec<f64> = (0..ROUNDS as u32)
        .map(|round| {
            let start = processor_time();
            for index in round * STEPS..(round + 1) * STEPS {
                step(index);
            }
            (processor_time() - start) * 1e9 / f64::from(STEPS)
        })
        .collect();
    rounds.sort_by(f64::total_cmp);
    rounds[ROUNDS / 2]
}

fn report(name: &str, nanoseconds: f64, target: Option<f64>) {
    match target {
        Some(target) => {
            let verdict = if nanoseconds < target { "ok" } else { "MISSED" };
            println!("{name:60} {nanoseconds:7.1} ns   target {target:3.0} ns   {verdict}");
        }
        None => println!("{name:60} {nanoseconds:7.1} ns"),
    }
}

fn fq(flows: u32, queues: u32, packets: u32, target: Option<f64>) {
    let config =
        fq::Config { flows: queues, packets: packets * flows + 16, memory: 1 << 40, ..fq::Config::default() };
    let mut fq = Fq::new(config, Secret([1, 2]));
    let mut now = Duration::from_secs(1);
    for index in 0..packets * flows {
        fq.enqueue(now, packet(index % flows, 1500));
    }
    let step = median(|index| {
        now += Duration::from_nanos(1);
        fq.enqueue(now, packet(spread(index) % flows, 1500));
        black_box(fq.dequeue(now));
    });
    report(&format!("enqueue and dequeue, {flows} flows, {packets} packets each"), step, target);
}

fn flood() {
    let mut fq =
        Fq::new(fq::Config { flows: 65_536, memory: 1 << 20, ..fq::Config::default() }, Secret([1, 2]));
    let now = Duration::from_secs(1);
    let step = median(|index| {
        fq.enqueue(now, packet(spread(index), 64));
    });
    report("enqueue when full, each packet a flow, 65536 queues", step, None);
    report(
        "the same, packets dropped per packet",
        fq.counters().overflowed as f64 / f64::from(STEPS * ROUNDS as u32),
        None,
    );
}

fn shaper(octets: u32, tins: shape::Tins) {
    // So fast that a packet is always due: what is measured is the work.
    let config = shape::Config { packets: 8000, tins, ..shape::Config::new(Rate::mbit(1_000_000)) };
    let mut shaper = Shaper::new(config, Secret([1, 2]));
    let mut now = Duration::from_secs(1);
    for index in 0..4000 {
        shaper.enqueue(now, packet(index % 1000, octets));
    }
    let step = median(|index| {
        now += Duration::from_nanos(13);
        shaper.enqueue(now, packet(spread(index) % 1000, octets));
        if let Next::Packet(packet) = shaper.dequeue(now) {
            black_box(packet);
        }
    });
    report(&format!("shaper, 1000 flows of 50 hosts, {octets} octets, {tins:?}"), step, None);
    println!("{:60} {:7.2} Gbit/s on one core", "  the same as a rate", f64::from(octets) * 8.0 / step);
}

/// The least that anybody has to do: a ring.
fn fifo() {
    let mut line = std::collections::VecDeque::with_capacity(8000);
    for index in 0..4000 {
        line.push_back(packet(index % 1000, 1500));
    }
    let step = median(|index| {
        line.push_back(packet(spread(index) % 1000, 1500));
        black_box(line.pop_front());
    });
    report("a plain ring, to compare with", step, None);
}

/// What the memory itself takes: a line of as many as there are queues, read and written.
fn memory() {
    #[derive(Clone)]
    #[repr(align(64))]
    struct Line(u32);
    let mut lines = vec![Line(0); 131_072];
    let mut last = 0;
    let step = median(|index| {
        let line = &mut lines[(spread(index ^ last) % 131_072) as usize];
        line.0 = line.0.wrapping_add(1);
        last = line.0 & 1;
    });
    report("one line of 131072, read and written, to compare with", step, None);
}

fn read() {
    let mut octets = vec![0x60, 0, 0, 0, 5, 0xb4, 6, 64];
    octets.extend([0x20; 32]);
    octets.extend([7; 1460]);
    let step = median(|index| {
        octets[40] = index as u8;
        black_box(classify::flow(&octets, FlowLabel::default()));
    });
    report("reading the flow of an IPv6 packet", step, None);
    let mut tunnel = vec![0x45, 0, 5, 200, 0, 0, 0, 0, 64, 41, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2];
    tunnel.extend(&octets);
    let step = median(|index| {
        tunnel[60] = index as u8;
        black_box(classify::flow(&tunnel, FlowLabel::default()));
    });
    report("the same within 6in4", step, None);
}

fn main() {
    fifo();
    memory();
    fq(1000, 1024, 1, Some(100.0));
    fq(1000, 1024, 4, Some(100.0));
    fq(100_000, 131_072, 1, Some(250.0));
    fq(100_000, 131_072, 4, None);
    flood();
    for octets in [1500, 64] {
        shaper(octets, shape::Tins::One);
    }
    shaper(1500, shape::Tins::Diffserv4);
    read();
}
