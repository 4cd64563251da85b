//! PIE (RFC 8033), to compare with: one queue, packets dropped at random as they come, with a probability that
//! a controller finds from the delay and how it changes.
//!
//! The delay is that of the packet which was sent last (RFC 8033 section 4.2 allows time stamps for it). No
//! flows: a sparse one waits behind the others.

use crate::Packet;
use crate::time::{Stamp, nanoseconds};
use std::collections::VecDeque;
use std::time::Duration;

/// How a [`Pie`] is made (RFC 8033 sections 4.2 and 5).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Config {
    /// The delay that it steers to.
    pub target: Duration,
    /// How often the probability is computed.
    pub update: Duration,
    /// How long a burst is let through that follows a quiet time.
    pub burst: Duration,
    /// What the delay's distance from the target counts, a second.
    pub alpha: f64,
    /// What the delay's change counts, a second.
    pub beta: f64,
    /// Mark, below this probability of dropping.
    pub ecn_below: f64,
    /// Packets held at most.
    pub packets: usize,
    /// Octets below which nothing is dropped: two packets.
    pub least: u64,
}

impl Default for Config {
    /// RFC 8033's values.
    fn default() -> Self {
        Self {
            target: Duration::from_millis(15),
            update: Duration::from_millis(15),
            burst: Duration::from_millis(150),
            alpha: 0.125,
            beta: 1.25,
            ecn_below: 0.1,
            packets: 10_240,
            least: 2 * 1514,
        }
    }
}

/// What happened so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counters {
    /// Packets that came.
    pub enqueued: u64,
    /// Packets sent.
    pub dequeued: u64,
    /// Packets dropped by chance.
    pub dropped: u64,
    /// Packets dropped because there was no room.
    pub overflowed: u64,
    /// Packets marked instead of dropped.
    pub marked: u64,
}

/// The queue.
#[derive(Debug)]
pub struct Pie<P> {
    config: Config,
    random: fastrand::Rng,
    line: VecDeque<(P, Stamp)>,
    octets: u64,
    probability: f64,
    /// Probabilities added up since the last drop: drops come neither in rows nor too far apart.
    accumulated: f64,
    delay: f64,
    delay_before: f64,
    burst_left: Duration,
    next_update: Option<Stamp>,
    counters: Counters,
}

impl<P: Packet> Pie<P> {
    /// An empty queue; chance comes from the given generator.
    pub fn new(config: Config, random: fastrand::Rng) -> Self {
        Self {
            random,
            line: VecDeque::with_capacity(config.packets),
            octets: 0,
            probability: 0.0,
            accumulated: 0.0,
            delay: 0.0,
            delay_before: 0.0,
            burst_left: config.burst,
            next_update: None,
            config,
            counters: Counters::default(),
        }
    }

    /// Takes a packet in, or drops it; says whether it was taken.
    pub fn enqueue(&mut self, now: Duration, mut packet: P) -> bool {
        let moment = Stamp::of(now);
        self.update(moment);
        self.counters.enqueued += 1;
        if self.line.len() >= self.config.packets {
            self.counters.overflowed += 1;
            self.accumulated = 0.0;
            return false;
        }
        if self.chosen() {
            if self.probability < self.config.ecn_below && packet.mark() {
                self.counters.marked += 1;
            } else {
                self.counters.dropped += 1;
                return false;
            }
        }
        self.octets += u64::from(packet.octets());
        self.line.push_back((packet, moment));
        true
    }

    /// The next packet to send.
    pub fn dequeue(&mut self, now: Duration) -> Option<P> {
        let moment = Stamp::of(now);
        self.update(moment);
        let (packet, came) = self.line.pop_front()?;
        self.octets -= u64::from(packet.octets());
        self.delay = seconds(moment.since(came));
        if self.line.is_empty() {
            self.delay = 0.0;
        }
        self.counters.dequeued += 1;
        Some(packet)
    }

    /// Whether chance has this packet (RFC 8033 section 4.1 and, for even gaps, 5.4).
    fn chosen(&mut self) -> bool {
        let calm = self.delay_before < self.config.target.as_secs_f64() / 2.0 && self.probability < 0.2;
        if self.burst_left > Duration::ZERO || calm || self.octets <= self.config.least {
            return false;
        }
        if self.probability <= 0.0 {
            self.accumulated = 0.0;
        }
        self.accumulated += self.probability;
        if self.accumulated < 0.85 {
            return false;
        }
        if self.accumulated >= 8.5 || self.random.f64() < self.probability {
            self.accumulated = 0.0;
            return true;
        }
        false
    }

    /// Computes the probability anew as often as was due (RFC 8033 section 4.2).
    fn update(&mut self, now: Stamp) {
        let every = nanoseconds(self.config.update).max(1_000_000);
        let Some(mut next) = self.next_update else {
            self.next_update = Some(now.plus(every));
            return;
        };
        let mut rounds = 0;
        while next.has_come(now) {
            self.compute();
            next = next.plus(every);
            rounds += 1;
            // Nobody has come for long: all is as at the start.
            if rounds > 1000 {
                (self.probability, self.burst_left, next) = (0.0, self.config.burst, now.plus(every));
                break;
            }
        }
        self.next_update = Some(next);
    }

    fn compute(&mut self) {
        let target = self.config.target.as_secs_f64();
        let change =
            self.config.alpha * (self.delay - target) + self.config.beta * (self.delay - self.delay_before);
        // Small probabilities move in small steps (RFC 8033 section 4.2, the table).
        let divisor = match self.probability {
            p if p < 0.000_001 => 2048.0,
            p if p < 0.000_01 => 512.0,
            p if p < 0.000_1 => 128.0,
            p if p < 0.001 => 32.0,
            p if p < 0.01 => 8.0,
            p if p < 0.1 => 2.0,
            _ => 1.0,
        };
        let mut change = change / divisor;
        if self.probability >= 0.1 {
            change = change.min(0.02);
        }
        self.probability += change;
        if self.delay <= 0.0 && self.delay_before <= 0.0 {
            self.probability *= 0.98;
        }
        self.probability = self.probability.clamp(0.0, 1.0);
        self.burst_left = self.burst_left.saturating_sub(self.config.update);
        if self.probability <= 0.0 && self.delay < target / 2.0 && self.delay_before < target / 2.0 {
            self.burst_left = self.config.burst;
        }
        self.delay_before = self.delay;
    }

    /// Packets that wait.
    pub fn packets(&self) -> usize {
        self.line.len()
    }

    /// Octets that wait.
    pub fn octets(&self) -> u64 {
        self.octets
    }

    /// The probability with which packets are dropped now.
    pub fn probability(&self) -> f64 {
        self.probability
    }

    /// What happened so far.
    pub fn counters(&self) -> Counters {
        self.counters
    }
}

#[allow(clippy::cast_precision_loss, reason = "delays are short")]
fn seconds(nanoseconds: u64) -> f64 {
    nanoseconds as f64 / 1e9
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Plain(bool);

    impl Packet for Plain {
        type Flow = ();

        fn flow(&self) {}

        fn octets(&self) -> u32 {
            1500
        }

        fn mark(&mut self) -> bool {
            self.0
        }
    }

    /// A packet a millisecond leaves, `load` of them come; returns the average delay of the second half.
    fn run(pie: &mut Pie<Plain>, start: Duration, milliseconds: u32, load: f64, ect: bool) -> f64 {
        let (mut owed, mut now, mut sum) = (0.0, start, 0.0);
        for tick in 0..milliseconds {
            now += Duration::from_millis(1);
            owed += load;
            while owed >= 1.0 {
                owed -= 1.0;
                pie.enqueue(now, Plain(ect));
            }
            pie.dequeue(now);
            sum += if tick >= milliseconds / 2 { pie.delay } else { 0.0 };
        }
        sum * 2.0 / f64::from(milliseconds)
    }

    #[test]
    fn an_overload_that_does_not_yield_is_held_near_the_target() {
        let mut pie = Pie::new(Config::default(), fastrand::Rng::with_seed(1));
        let delay = run(&mut pie, Duration::from_secs(1), 120_000, 1.05, false);
        assert!((0.005..0.03).contains(&delay), "{delay}");
    }

    #[test]
    fn a_burst_passes_and_a_load_below_the_rate_loses_nothing() {
        let mut pie = Pie::new(Config::default(), fastrand::Rng::with_seed(1));
        for _ in 0..100 {
            pie.enqueue(Duration::from_secs(1), Plain(false));
        }
        run(&mut pie, Duration::from_secs(1), 20_000, 0.3, false);
        assert_eq!(pie.counters().dropped, 0);
    }

    #[test]
    fn marks_take_the_place_of_drops_while_few_are_needed() {
        let mut pie = Pie::new(Config::default(), fastrand::Rng::with_seed(1));
        run(&mut pie, Duration::from_secs(1), 20_000, 1.05, true);
        let counters = pie.counters();
        assert!(counters.marked > 100, "{counters:?}");
        assert_eq!(counters.enqueued, counters.dequeued + counters.dropped + pie.packets() as u64);
    }

    #[test]
    fn a_long_pause_and_the_end_of_time_are_borne() {
        let mut pie = Pie::new(Config::default(), fastrand::Rng::with_seed(1));
        run(&mut pie, Duration::from_secs(1), 5_000, 2.0, false);
        while pie.dequeue(Duration::from_secs(7)).is_some() {}
        let year = Duration::from_hours(24 * 365);
        assert!(pie.enqueue(year, Plain(false)));
        assert!(pie.probability() <= 0.0);
        let mut late = Pie::new(Config::default(), fastrand::Rng::with_seed(1));
        for _ in 0..3 {
            late.enqueue(Duration::MAX, Plain(false));
        }
        assert!(late.dequeue(Duration::MAX).is_some());
    }
}
