//! Realtime Response Under Load: four TCP flows up, four down, each with another mark, and probes beside them
//! (the specification of the bufferbloat project, "RRUL Specification").
//!
//! [`Plan`] says what runs when; [`Book`] takes down what happens, and [`Book::outcome`] says what it means.

use crate::stats::{Samples, Summary, fairness, mean, sorted};
use serde::Serialize;
use std::collections::HashMap;
use std::time::Duration;

/// Longest test, everything together: nobody loads a line for longer by mistake.
pub const LONGEST: Duration = Duration::from_mins(5);
/// Probes that may wait for an answer, of one kind.
const MOST_WAITING: usize = 4096;
/// A probe that has no answer after this is lost.
pub const LOST_AFTER: Duration = Duration::from_secs(3);

/// A Differentiated Services mark (RFC 2474), as the test uses them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Mark {
    /// Best effort.
    Be,
    /// Background: CS1.
    Bk,
    /// Class selector 5: video.
    Cs5,
    /// Expedited forwarding: voice (RFC 3246).
    Ef,
}

impl Mark {
    /// The marks of the flows, in the test's order.
    pub const FLOWS: [Self; 4] = [Self::Be, Self::Bk, Self::Cs5, Self::Ef];
    /// The marks of the UDP probes.
    pub const PROBES: [Self; 3] = [Self::Be, Self::Bk, Self::Ef];

    /// The DSCP, six bits.
    pub fn dscp(self) -> u8 {
        match self {
            Self::Be => 0,
            Self::Bk => 8,
            Self::Cs5 => 40,
            Self::Ef => 46,
        }
    }

    /// As the field writes it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Be => "BE",
            Self::Bk => "BK",
            Self::Cs5 => "CS5",
            Self::Ef => "EF",
        }
    }
}

/// Which way a flow goes, as the one who measures sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    /// From here.
    Upload,
    /// To here.
    Download,
}

/// One TCP flow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Flow {
    /// Which way.
    pub direction: Direction,
    /// Its mark.
    pub mark: Mark,
}

impl Flow {
    /// All eight: four up, four down.
    pub fn all() -> impl Iterator<Item = Self> {
        [Direction::Upload, Direction::Download]
            .into_iter()
            .flat_map(|direction| Mark::FLOWS.into_iter().map(move |mark| Self { direction, mark }))
    }

    /// The name of its series, as flent has it.
    pub fn series(self) -> String {
        let way = match self.direction {
            Direction::Upload => "upload",
            Direction::Download => "download",
        };
        format!("TCP {way} {}", self.mark.name())
    }
}

/// A kind of probe.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Probe {
    /// A datagram to our own far end, with a mark.
    Udp(Mark),
    /// An echo request of ICMPv6, or ICMP over IPv4.
    Icmp,
}

impl Probe {
    /// All of them.
    pub fn all() -> impl Iterator<Item = Self> {
        Mark::PROBES.into_iter().map(Self::Udp).chain([Self::Icmp])
    }

    /// The name of its series, as flent has it.
    pub fn series(self) -> String {
        match self {
            Self::Udp(mark) => format!("Ping (ms) UDP {}", mark.name()),
            Self::Icmp => "Ping (ms) ICMP".to_owned(),
        }
    }
}

/// A part of the test.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// Probes alone.
    Before,
    /// The flows run.
    Loaded,
    /// Probes alone again: what was queued drains.
    After,
    /// It is over.
    Over,
}

/// What runs when. Times are since the test began.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Plan {
    /// Probes alone, before.
    pub before: Duration,
    /// Under load.
    pub loaded: Duration,
    /// Probes alone, after.
    pub after: Duration,
}

impl Plan {
    /// For this long under load; a fifth of it, from one to five seconds, before and after.
    pub fn new(loaded: Duration) -> Self {
        let around = (loaded / 5).clamp(Duration::from_secs(1), Duration::from_secs(5));
        Self { before: around, loaded: loaded.min(LONGEST.saturating_sub(2 * around)), after: around }
    }

    /// The part in which `now` lies.
    pub fn phase(&self, now: Duration) -> Phase {
        match now {
            now if now < self.before => Phase::Before,
            now if now < self.before + self.loaded => Phase::Loaded,
            now if now < self.total() => Phase::After,
            _ => Phase::Over,
        }
    }

    /// All of it.
    pub fn total(&self) -> Duration {
        self.before + self.loaded + self.after
    }
}

/// What one series has, in time order: time since the beginning in seconds, and the value.
pub type Points = Vec<(f64, f64)>;

/// Everything that happened.
#[derive(Debug)]
pub struct Book {
    plan: Plan,
    flows: HashMap<Flow, Tally>,
    probes: HashMap<Probe, Pinged>,
}

#[derive(Debug, Default)]
struct Tally {
    // Octets so far, at the last two looks.
    last: Option<(Duration, u64)>,
    rates: Points,
    // From the first look on: what was carried before has no time.
    first: u64,
    octets: u64,
    span: Option<(Duration, Duration)>,
}

#[derive(Debug, Default)]
struct Pinged {
    waiting: HashMap<u32, Duration>,
    answered: Points,
    sent: [u64; 3],
    lost: [u64; 3],
    refused: u64,
}

fn index(phase: Phase) -> usize {
    match phase {
        Phase::Before => 0,
        Phase::Loaded => 1,
        Phase::After | Phase::Over => 2,
    }
}

impl Book {
    /// An empty one.
    pub fn new(plan: Plan) -> Self {
        Self { plan, flows: HashMap::new(), probes: HashMap::new() }
    }

    /// A flow has carried so many octets by now, since it began.
    #[allow(clippy::cast_precision_loss)]
    pub fn carried(&mut self, now: Duration, flow: Flow, octets: u64) {
        let tally = self.flows.entry(flow).or_default();
        let Some((then, before)) = tally.last.replace((now, octets)) else {
            (tally.span, tally.first) = (Some((now, now)), octets);
            return;
        };
        let passed = now.saturating_sub(then).as_secs_f64();
        if passed > 0.0 && tally.rates.len() < crate::stats::MOST {
            let rate = octets.saturating_sub(before) as f64 * 8.0 / passed / 1e6;
            tally.rates.push((now.as_secs_f64(), rate));
        }
        tally.octets = octets.saturating_sub(tally.first);
        if let Some((_, last)) = &mut tally.span {
            *last = now;
        }
    }

    /// A probe leaves.
    pub fn sent(&mut self, now: Duration, probe: Probe, sequence: u32) {
        let pinged = self.probes.entry(probe).or_default();
        if pinged.waiting.len() >= MOST_WAITING {
            pinged.refused += 1;
            return;
        }
        pinged.sent[index(self.plan.phase(now))] += 1;
        pinged.waiting.insert(sequence, now);
    }

    /// Its answer came; the time that it took in milliseconds. `None` where nobody asked, or it had been answered.
    pub fn answered(&mut self, now: Duration, probe: Probe, sequence: u32) -> Option<f64> {
        let pinged = self.probes.get_mut(&probe)?;
        let sent = pinged.waiting.remove(&sequence)?;
        let took = crate::stats::ms(now.saturating_sub(sent));
        if pinged.answered.len() < crate::stats::MOST {
            // Where it was sent decides to which part it belongs: an answer may come when the load is over.
            pinged.answered.push((sent.as_secs_f64(), took));
        }
        Some(took)
    }

    /// Gives up on probes that have waited too long.
    pub fn expire(&mut self, now: Duration) {
        let plan = self.plan;
        for pinged in self.probes.values_mut() {
            let lost = &mut pinged.lost;
            pinged.waiting.retain(|_, sent| {
                let waits = now.saturating_sub(*sent) < LOST_AFTER;
                if !waits {
                    lost[index(plan.phase(*sent))] += 1;
                }
                waits
            });
        }
    }

    /// The rates of a flow in Mbit/s.
    pub fn rates(&self, flow: Flow) -> &[(f64, f64)] {
        self.flows.get(&flow).map(|tally| tally.rates.as_slice()).unwrap_or_default()
    }

    /// The round trips of a probe in milliseconds.
    pub fn pings(&self, probe: Probe) -> &[(f64, f64)] {
        self.probes.get(&probe).map(|pinged| pinged.answered.as_slice()).unwrap_or_default()
    }

    /// The plan.
    pub fn plan(&self) -> Plan {
        self.plan
    }

    /// What it all means.
    pub fn outcome(&self) -> Outcome {
        let latency = |phase| {
            Probe::all()
                .filter_map(|probe| self.part(probe, phase).map(|part| (probe.series(), part)))
                .collect::<Vec<_>>()
        };
        let (before, loaded, after) = (latency(Phase::Before), latency(Phase::Loaded), latency(Phase::After));
        let (idle, busy) = (self.all(Phase::Before), self.all(Phase::Loaded));
        let added = |pick: fn(&Summary) -> f64| match (&idle, &busy) {
            (Some(idle), Some(busy)) => Some((pick(busy) - idle.median).max(0.0)),
            _ => None,
        };
        Outcome {
            added_median_ms: added(|summary| summary.median),
            added_p95_ms: added(|summary| summary.p95),
            added_p99_ms: added(|summary| summary.p99),
            upload: self.throughput(Direction::Upload),
            download: self.throughput(Direction::Download),
            before,
            loaded,
            after,
        }
    }

    fn part(&self, probe: Probe, phase: Phase) -> Option<Part> {
        let pinged = self.probes.get(&probe)?;
        let samples: Samples = self.within(pinged, phase).collect();
        Some(Part {
            rtt_ms: samples.summary(),
            sent: pinged.sent[index(phase)],
            lost: pinged.lost[index(phase)],
        })
    }

    fn within<'a>(&'a self, pinged: &'a Pinged, phase: Phase) -> impl Iterator<Item = f64> + 'a {
        let (plan, wanted) = (self.plan, index(phase));
        let here = move |at: f64| Duration::try_from_secs_f64(at).map_or(2, |at| index(plan.phase(at)));
        pinged.answered.iter().filter(move |(at, _)| here(*at) == wanted).map(|(_, took)| *took)
    }

    /// All probes of a part together.
    fn all(&self, phase: Phase) -> Option<Summary> {
        let samples: Samples = self.probes.values().flat_map(|pinged| self.within(pinged, phase)).collect();
        samples.summary()
    }

    #[allow(clippy::cast_precision_loss)]
    fn throughput(&self, direction: Direction) -> Throughput {
        let flows: Vec<(Mark, f64)> = Flow::all()
            .filter(|flow| flow.direction == direction)
            .filter_map(|flow| {
                let tally = self.flows.get(&flow)?;
                let (first, last) = tally.span?;
                let seconds = last.saturating_sub(first).as_secs_f64();
                let rate = if seconds > 0.0 { tally.octets as f64 * 8.0 / seconds / 1e6 } else { 0.0 };
                Some((flow.mark, rate))
            })
            .collect();
        let rates: Vec<f64> = flows.iter().map(|(_, rate)| *rate).collect();
        Throughput { sum_mbit: rates.iter().sum(), fairness: fairness(&rates), flows }
    }

    /// The mean of several series at steps of `step` seconds: for pictures of all flows together.
    pub fn stepped(points: &[(f64, f64)], step: f64, total: f64) -> Vec<Option<f64>> {
        let mut cells: Vec<Vec<f64>> = vec![Vec::new(); cells(step, total)];
        for (at, value) in points {
            if let Some(cell) = cell(*at, step).and_then(|index| cells.get_mut(index)) {
                cell.push(*value);
            }
        }
        cells.iter().map(|cell| (!cell.is_empty()).then(|| mean(&sorted(cell)))).collect()
    }
}

#[allow(clippy::cast_sign_loss)]
fn cell(at: f64, step: f64) -> Option<usize> {
    (at >= 0.0 && step > 0.0).then(|| (at / step) as usize)
}

/// How many steps there are: bounded, whatever is asked.
#[allow(clippy::cast_sign_loss)]
fn cells(step: f64, total: f64) -> usize {
    if step > 0.0 { ((total / step).ceil() as usize).min(100_000) } else { 0 }
}

/// What a probe saw in one part.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Part {
    /// Round trips in milliseconds.
    pub rtt_ms: Option<Summary>,
    /// Probes sent.
    pub sent: u64,
    /// Of these, without an answer.
    pub lost: u64,
}

/// What flows of one direction carried.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Throughput {
    /// All flows together, in Mbit/s of payload.
    pub sum_mbit: f64,
    /// Jain's fairness of the flows.
    pub fairness: f64,
    /// Each flow, in Mbit/s.
    pub flows: Vec<(Mark, f64)>,
}

/// What the test found.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Outcome {
    /// The median under load, less the median before.
    pub added_median_ms: Option<f64>,
    /// The 95th percentile under load, less the median before.
    pub added_p95_ms: Option<f64>,
    /// The 99th percentile under load, less the median before.
    pub added_p99_ms: Option<f64>,
    /// From here.
    pub upload: Throughput,
    /// To here.
    pub download: Throughput,
    /// Probes before the load, by series.
    pub before: Vec<(String, Part)>,
    /// Probes under load, by series.
    pub loaded: Vec<(String, Part)>,
    /// Probes after the load, by series.
    pub after: Vec<(String, Part)>,
}

#[cfg(test)]
#[allow(clippy::float_cmp)]
mod tests {
    use super::Phase::{After, Before, Loaded, Over};
    use super::*;

    const fn ms(value: u64) -> Duration {
        Duration::from_millis(value)
    }

    fn plan() -> Plan {
        Plan { before: Duration::from_secs(1), loaded: Duration::from_secs(2), after: Duration::from_secs(1) }
    }

    #[test]
    fn parts_follow_each_other() {
        let phases = [0, 999, 1000, 2999, 3000, 3999, 4000].map(|at| plan().phase(ms(at)));
        assert_eq!(phases, [Before, Before, Loaded, Loaded, After, After, Over]);
        assert!(Plan::new(Duration::from_hours(9)).total() <= LONGEST);
        assert_eq!(Plan::new(Duration::from_mins(1)).before, Duration::from_secs(5));
    }

    #[test]
    fn eight_flows_with_the_marks_of_the_specification() {
        let names: Vec<String> = Flow::all().map(Flow::series).collect();
        assert_eq!(names.len(), 8);
        assert!(
            names.contains(&"TCP upload CS5".to_owned()) && names.contains(&"TCP download BK".to_owned())
        );
        assert_eq!(Mark::FLOWS.map(Mark::dscp), [0, 8, 40, 46]);
    }

    #[test]
    fn delay_that_the_load_adds_is_told_and_losses_counted() {
        let mut book = Book::new(plan());
        let probe = Probe::Udp(Mark::Be);
        for number in 0..40_u32 {
            let at = ms(u64::from(number) * 100);
            book.sent(at, probe, number);
            // Under load one in five is lost.
            let loaded = plan().phase(at) == Phase::Loaded;
            if !(loaded && number % 5 == 0) {
                let took = if loaded { 120_u32 } else { 20 };
                assert_eq!(book.answered(at + ms(took.into()), probe, number), Some(f64::from(took)));
            }
        }
        assert_eq!(book.answered(ms(4000), probe, 1), None, "answered twice");
        assert_eq!(book.answered(ms(4000), Probe::Icmp, 1), None, "nobody asked");
        book.expire(ms(8000));
        let outcome = book.outcome();
        assert_eq!(outcome.added_median_ms, Some(100.0));
        let loaded = &outcome.loaded[0].1;
        assert_eq!((loaded.sent, loaded.lost), (20, 4));
        assert_eq!((outcome.before[0].1.sent, outcome.before[0].1.lost), (10, 0));
    }

    #[test]
    fn rates_are_what_was_carried() {
        let mut book = Book::new(plan());
        for flow in Flow::all() {
            for step in 0..=10_u64 {
                // 1 Mbit/s: 12,500 octets in 100 ms.
                book.carried(ms(1000 + step * 100), flow, step * 12_500);
            }
        }
        let outcome = book.outcome();
        assert!((outcome.upload.sum_mbit - 4.0).abs() < 1e-9, "{}", outcome.upload.sum_mbit);
        assert_eq!(outcome.download.fairness, 1.0);
        let flow = Flow { direction: Direction::Upload, mark: Mark::Be };
        assert_eq!(book.rates(flow).len(), 10);
        let steps = Book::stepped(book.rates(flow), 0.2, 4.0);
        assert_eq!(steps.len(), 20);
        assert!(steps[..5].iter().all(Option::is_none) && steps[6].is_some());
    }

    #[test]
    fn what_a_stranger_sends_takes_no_memory() {
        let mut book = Book::new(plan());
        for number in 0..10_000 {
            book.sent(ms(0), Probe::Icmp, number);
        }
        assert_eq!(book.probes[&Probe::Icmp].waiting.len(), MOST_WAITING);
        for number in 20_000..30_000 {
            assert_eq!(book.answered(ms(1), Probe::Icmp, number), None);
        }
    }
}
