//! Queues compared under one load, or on one trace.

use super::{Control, DOWN, Discipline, Fifo, OneCodel, Sim, UP, percentile};
use crate::codel::Parameters;
use crate::fq::{self, Fq};
use crate::pie::{self, Pie};
use crate::shape::{self, Shaper};
use crate::{Rate, Secret};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

/// A queue that is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Which {
    /// First in, first out: a thousand packets, as Linux gave each interface for decades.
    Fifo,
    /// One CoDel for all (RFC 8289).
    Codel,
    /// FQ-CoDel (RFC 8290).
    FqCodel,
    /// PIE (RFC 8033).
    Pie,
    /// Our shaper, before a link that is 2 % faster and has a FIFO of its own.
    Shaper,
}

impl Which {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Fifo, Self::Codel, Self::FqCodel, Self::Pie, Self::Shaper];

    /// As it is called.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Fifo => "fifo",
            Self::Codel => "codel",
            Self::FqCodel => "fq_codel",
            Self::Pie => "pie",
            Self::Shaper => "shaper",
        }
    }

    /// Puts it before a link of this rate.
    fn add(self, sim: &mut Sim, path: usize, rate: Rate, ecn: bool) {
        /// Octets of a thousand full packets.
        const DEEP: u64 = 1_500_000;
        // Known ones: what is simulated is the same each time.
        let secret = Secret([3, 4]);
        let codel = Parameters { ecn, ..Parameters::for_rate(rate) };
        let queue: Box<dyn Discipline> = match self {
            Self::Fifo => Box::new(Fifo::new(DEEP)),
            Self::Codel => Box::new(OneCodel::new(codel)),
            Self::FqCodel => {
                let config = fq::Config { codel, quantum: 300, ..fq::Config::default() };
                Box::new(Fq::new(config, secret))
            }
            Self::Pie => Box::new(Pie::new(pie::Config::default(), fastrand::Rng::with_seed(1))),
            Self::Shaper => {
                let config = shape::Config { ecn, ..shape::Config::new(rate) };
                let shaper = Rc::new(RefCell::new((Shaper::new(config, secret), 0)));
                // What it lets pass is there at once: it is it that keeps the rate.
                sim.stage(path, shaper, Rate::MAX);
                sim.stage(path, Fifo::new(DEEP), rate.times(1.02));
                return;
            }
        };
        sim.stage_of(path, queue, rate);
    }
}

/// TCP both ways, and probes beside it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Load {
    /// Of the link, down and up.
    pub rates: [Rate; 2],
    /// Of the network without queues.
    pub round_trip: Duration,
    /// Connections each way.
    pub flows: u32,
    /// How they find their windows.
    pub control: Control,
    /// Whether they understand marks, and the queues give them.
    pub ecn: bool,
    /// How long is measured, after as long a time to settle.
    pub measured: Duration,
}

impl Default for Load {
    /// 20 Mbit/s down and 5 up, 40 ms, four connections each way, CUBIC, 30 seconds.
    fn default() -> Self {
        Self {
            rates: [Rate::mbit(20), Rate::mbit(5)],
            round_trip: Duration::from_millis(40),
            flows: 4,
            control: Control::Cubic,
            ecn: false,
            measured: Duration::from_secs(30),
        }
    }
}

/// What a queue did.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Outcome {
    /// What a small packet waited, there and back: below this in 50, 95 and 99 cases of a hundred.
    pub added: [Duration; 3],
    /// Part of the link that was used, down and up.
    pub used: [f64; 2],
    /// Jain's index of the connections' shares, down and up.
    pub fairness: [f64; 2],
    /// Packets that did not arrive, down and up.
    pub lost: [u64; 2],
    /// Packets that arrived with a mark, down and up.
    pub marked: [u64; 2],
}

/// A queue under a load.
#[allow(clippy::cast_precision_loss, reason = "octets of a simulation")]
pub fn under_load(which: Which, load: &Load) -> Outcome {
    let mut sim = Sim::new(load.round_trip);
    for path in [DOWN, UP] {
        which.add(&mut sim, path, load.rates[path], load.ecn);
        for number in 0..load.flows {
            let after = Duration::from_millis(137 * u64::from(number));
            sim.sender(path, load.control, load.ecn, 1 + number, after);
        }
    }
    sim.probe_every(Duration::from_millis(20), 0);
    sim.run(load.measured, |_| {});
    let (before, carried, samples) = (sim.arrived(), sim.carried, sim.samples.len());
    let (lost, marked) = (sim.lost(), sim.marked);
    sim.run(load.measured, |_| {});
    let shares: Vec<u64> =
        sim.arrived().iter().zip(before).map(|(now, before)| now.saturating_sub(before)).collect();
    let samples = || sim.samples.iter().skip(samples).map(|sample| sample.added);
    let (down, up) = shares.split_at(shares.len() / 2);
    let each = |of: &dyn Fn(usize) -> f64| [of(DOWN), of(UP)];
    Outcome {
        added: [50, 95, 99].map(|percent| percentile(samples(), percent)),
        used: each(&|path| {
            let octets = sim.carried[path].saturating_sub(carried[path]);
            octets as f64 * 8.0 / load.measured.as_secs_f64() / load.rates[path].as_bits() as f64
        }),
        fairness: [jain(down), jain(up)],
        lost: [DOWN, UP].map(|path| sim.lost()[path].saturating_sub(lost[path])),
        marked: [DOWN, UP].map(|path| sim.marked[path].saturating_sub(marked[path])),
    }
}

/// Raj Jain's index of fairness: 1 where all have the same, 1/n where one of n has all; 1 of nobody.
#[allow(clippy::cast_precision_loss, reason = "shares of a simulation")]
pub fn jain(shares: &[u64]) -> f64 {
    let sum: f64 = shares.iter().map(|&share| share as f64).sum();
    let squares: f64 = shares.iter().map(|&share| (share as f64).powi(2)).sum();
    if squares > 0.0 { sum * sum / (shares.len() as f64 * squares) } else { 1.0 }
}

/// A packet of a trace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Arrival {
    /// When it comes, from the beginning of the trace.
    pub at: Duration,
    /// Its flow's number.
    pub flow: u32,
    /// Its octets.
    pub octets: u32,
}

/// What became of a trace's packets. Nobody sends less where they are lost: a trace does not listen.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Replayed {
    /// What a packet that was sent had waited, its own time on the link included: below this in 50, 95 and 99 cases of a hundred.
    pub waited: [Duration; 3],
    /// The same of flows that ask for at most a hundredth of the link; zero where there are none.
    pub sparse: [Duration; 3],
    /// Packets that were sent, and those that were not.
    pub sent: u64,
    /// See there.
    pub lost: u64,
}

/// A queue before a link of this rate, and to it comes what a trace says.
pub fn replay(which: Which, rate: Rate, trace: &[Arrival]) -> Replayed {
    let mut sim = Sim::new(Duration::ZERO);
    which.add(&mut sim, DOWN, rate, false);
    let mut octets: BTreeMap<u32, u64> = BTreeMap::new();
    for arrival in trace {
        sim.once(DOWN, arrival.at, arrival.flow, arrival.octets);
        *octets.entry(arrival.flow).or_default() += u64::from(arrival.octets);
    }
    let length = trace.iter().map(|arrival| arrival.at).max().unwrap_or_default();
    // What waits at the end has its time to leave.
    sim.run(length.saturating_add(Duration::from_mins(1)), |_| {});
    let little = rate.octets_in(length) / 100;
    let of = |flows: &dyn Fn(u32) -> bool| {
        let waited = || sim.waited.iter().filter(|(flow, _)| flows(*flow)).map(|(_, waited)| *waited);
        [50, 95, 99].map(|percent| percentile(waited(), percent))
    };
    let sent = sim.waited.len() as u64;
    Replayed {
        waited: of(&|_| true),
        sparse: of(&|flow| octets.get(&flow).is_some_and(|octets| *octets <= little)),
        sent,
        lost: (trace.len() as u64).saturating_sub(sent),
    }
}
