//! A rate that follows its link: cellular, satellite, cable at eight in the evening.
//!
//! One [`Autorate`] steers one direction of a shaper. The caller sends small probes to a few reflectors and
//! says when they left and when they came back, and how much the shaper has carried; the controller says what
//! rate to shape at. The idea is cake-autorate's. What differs:
//!
//! - *How far to cut is measured.* Of a direction that we send into, delay that grows by *s* seconds a second
//!   tells the link's rate: what we send over 1 + *s*. Of one that we receive from, what arrives is the link's
//!   rate. So one cut does, and a further one while the queue that has built up drains.
//! - *A probe that is overdue counts at once*; its answer would come only after the queue.
//! - *What was sent before a cut does not ask for another.*
//! - *Silence proves nothing.* Reflectors stop answering (they treat ICMP as they please). Overdue probes
//!   count only while some reflector answers, or has within two seconds; after that the rate is as it was
//!   before. And only while enough is carried to be to blame: half the least rate. (Not half of the present
//!   one: TCP sends no faster than its packets arrive, so where a link has become slow little is carried.)
//!   Without load the rate goes back to the configured one, never to the least (cake-autorate issue 326).
//! - *One late probe proves nothing*: three of the last four must be late, the newest among them, and the rate grows while most are not.
//! - *A stop is no queue.* Where something stood still for a while (a radio, a busy machine), what was sent meanwhile comes back all at
//!   once; what passes a queue comes back as far apart as the link lets it. So a probe counts as late as the latest of those that
//!   came back with it, and a cut that turns out to have been for a stop is taken back. What the caller knows to have been a stop of its
//!   own it can say ([`Autorate::stood`]).
//!
//! Nothing is decided but in [`Autorate::handle_timeout`]: tell first all that has happened.

mod evidence;

use crate::Rate;
use std::collections::VecDeque;
use std::time::Duration;

/// Which way the steered packets go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// The shaper is before the bottleneck.
    Up,
    /// The shaper is behind it.
    Down,
}

/// How an [`Autorate`] is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Config {
    /// Which way the steered packets go.
    pub direction: Direction,
    /// The least rate, which must be bearable.
    pub min: Rate,
    /// The rate at the start, and where nothing is known.
    pub base: Rate,
    /// The highest rate.
    pub max: Rate,
    /// A probe that takes so much longer than usual is late.
    pub late: Duration,
}

impl Direction {
    /// What part of the measured rate is used. Less where senders have first to hear of it.
    fn margin(self) -> f64 {
        match self {
            Self::Up => 0.94,
            Self::Down => 0.92,
        }
    }

    /// How fast it is tried whether the link takes more than was measured: for part of what was, a second.
    fn pace(self, part: f64, settled: bool) -> f64 {
        let (careful, settled_pace, beyond) = match self {
            Self::Up => (0.03, 0.08, 0.2),
            Self::Down => (0.04, 0.1, 0.12),
        };
        match part {
            part if part < 0.88 => 0.5,
            part if part < 1.05 && settled => settled_pace,
            part if part < 1.05 => careful,
            part if part < 1.2 => beyond,
            // Clearly it takes more.
            _ => 0.6,
        }
    }
}

impl Config {
    /// The usual: a fifth of `base` to twice of it, 15 ms.
    pub fn new(direction: Direction, base: Rate) -> Self {
        Self { direction, min: base.times(0.2), base, max: base.times(2.0), late: Duration::from_millis(15) }
    }
}

/// Probes that are remembered, answered or not.
const PROBES: usize = 64;
/// So many late probes make a queue, the newest among them, of the last so many: one reflector's usual delay may have been learnt in a queue.
const LATE: usize = 3;
const OF: usize = 4;
/// What is carried now is what was carried in this time.
const RECENT: Duration = Duration::from_millis(150);
/// Over which time the delay's growth is looked at.
const GROWTH: Duration = Duration::from_millis(300);
/// How long what was carried is remembered.
const CARRIED: Duration = Duration::from_secs(2);
/// What has not been answered for so long, by anybody, is no queue.
const SILENCE: Duration = Duration::from_secs(2);
/// A rate is eased to this part of what is carried, not sooner than this again, and not below this part of what it was in calm.
const STILL: f64 = 0.97;
const EASED: Duration = Duration::from_millis(200);
const EASY: f64 = 0.6;
/// A cut that was for a stop is taken back within this time.
const STOP: Duration = Duration::from_secs(1);
/// In which time a queue shall be gone.
const DRAINED: f64 = 0.5;

#[derive(Debug, Clone, Copy)]
struct Probe {
    reflector: u32,
    number: u64,
    sent: Duration,
    /// How long it took.
    took: Option<Duration>,
    /// What of that our own side stood still.
    stood: Duration,
}

#[derive(Debug, Clone, Copy)]
struct Reflector {
    name: u32,
    /// How long it takes when there is no queue.
    usual: Duration,
    heard: Duration,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum State {
    /// Following, since this time; `known` is the link's rate as measured last.
    Follow { since: Duration },
    /// Sending less since this time, until the queue has gone; `again` where the first cut was not enough.
    Drain { since: Duration, again: bool },
}

/// What a controller has done so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counters {
    /// Probes sent.
    pub sent: u64,
    /// Probes answered in time or late.
    pub answered: u64,
    /// Times that a queue was found and the rate cut.
    pub cuts: u64,
}

/// The controller of one direction.
#[derive(Debug)]
pub struct Autorate {
    config: Config,
    rate: Rate,
    /// The link's rate, as it was measured last.
    known: Option<Rate>,
    state: State,
    /// What was sent before this asks for nothing.
    cut: Duration,
    /// The delay that stood then.
    stood: Duration,
    /// The rate before, what was known, and since when that was followed.
    before: (Rate, Option<Rate>),
    followed: Duration,
    probes: VecDeque<Probe>,
    reflectors: Vec<Reflector>,
    carried: VecDeque<(Duration, u64)>,
    /// When last nothing was carried.
    stopped: Duration,
    grown: Duration,
    /// When the rate was last eased, and the highest since the last cut at which nothing was late.
    eased: Duration,
    calm: Rate,
    counters: Counters,
}

impl Autorate {
    /// A controller that begins with the base rate.
    pub fn new(config: Config, now: Duration) -> Self {
        let config = Config { max: config.max.max(config.min), ..config };
        Self {
            rate: config.base.clamp(config.min, config.max),
            config,
            known: None,
            state: State::Follow { since: now },
            cut: Duration::ZERO,
            stood: Duration::ZERO,
            before: (config.base, None),
            followed: now,
            probes: VecDeque::with_capacity(PROBES),
            reflectors: Vec::new(),
            carried: VecDeque::with_capacity(128),
            stopped: Duration::ZERO,
            grown: now,
            eased: Duration::ZERO,
            calm: config.min,
            counters: Counters::default(),
        }
    }

    /// The rate to shape at.
    pub fn rate(&self) -> Rate {
        self.rate
    }

    /// What it has done so far.
    pub fn counters(&self) -> Counters {
        self.counters
    }

    /// A probe has left. Twenty a second, over three reflectors or more, find a queue in 150 ms.
    pub fn sent(&mut self, now: Duration, reflector: u32, number: u64) {
        if self.probes.len() >= PROBES {
            self.probes.pop_front();
        }
        self.counters.sent += 1;
        self.probes.push_back(Probe { reflector, number, sent: now, took: None, stood: Duration::ZERO });
    }

    /// A probe was answered; `now` is when the answer arrived, as well as the caller knows. Where the reflector tells how long the way in our direction took (ICMP time
    /// stamps, or a far end of our own), give that as `one_way`, by whatever two clocks: only its changes
    /// count. Without it, a queue on the way back counts as ours.
    pub fn answered(&mut self, now: Duration, reflector: u32, number: u64, one_way: Option<Duration>) {
        let is_it = |probe: &&mut Probe| probe.reflector == reflector && probe.number == number;
        let Some(probe) = self.probes.iter_mut().find(is_it).filter(|probe| probe.took.is_none()) else {
            return;
        };
        let took = one_way.unwrap_or(now.saturating_sub(probe.sent));
        probe.took = Some(took);
        self.counters.answered += 1;
        self.learn(now, reflector, took);
    }

    /// What runs the shaper stood still from the one time to the other: probes that were under way then are not late by as much.
    pub fn stood(&mut self, from: Duration, until: Duration) {
        for probe in &mut self.probes {
            let back = probe.took.map_or(Duration::MAX, |took| probe.sent.saturating_add(took));
            let both = until.min(back).saturating_sub(from.max(probe.sent));
            probe.stood = probe.stood.saturating_add(both);
        }
    }

    /// The shaper has carried so many octets since it was last said; to be told ten to fifty times a second.
    pub fn carried(&mut self, now: Duration, octets: u64) {
        if let Some((before, _)) = self.carried.back()
            && self.is_nothing(octets, now.saturating_sub(*before))
        {
            self.stopped = now;
        }
        self.carried.push_back((now, octets));
        while self.carried.len() >= 128
            || self.carried.front().is_some_and(|(at, _)| now.saturating_sub(*at) > CARRIED)
        {
            self.carried.pop_front();
        }
    }

    /// When an unanswered probe becomes late, and [`Autorate::handle_timeout`] has something to do.
    pub fn poll_timeout(&self, now: Duration) -> Option<Duration> {
        let due = |probe: &Probe| {
            Some(probe.sent.saturating_add(self.usual(probe.reflector)?).saturating_add(self.config.late))
        };
        self.probes.iter().filter(|probe| probe.took.is_none()).filter_map(due).filter(|due| *due > now).min()
    }

    /// Decides by all that it was told; to be called whenever it was told something, and when something has become late.
    pub fn handle_timeout(&mut self, now: Duration) {
        self.decide(now);
    }

    fn decide(&mut self, now: Duration) {
        let carried = self.carried_between(now.saturating_sub(RECENT), now, false).unwrap_or(0.0);
        #[allow(clippy::cast_precision_loss, reason = "rates are below 2^53")]
        let (load, busy) =
            (carried / self.rate.as_bits() as f64, carried > self.config.min.as_bits() as f64 / 2.0);
        let since = self.cut.max(now.saturating_sub(SILENCE));
        let recent: Vec<Duration> =
            self.known_of(now, since..Duration::MAX).rev().take(OF).map(|(_, excess)| excess).collect();
        let is_late = |excess: &&Duration| **excess > self.config.late;
        let queue =
            recent.first().as_ref().is_some_and(is_late) && recent.iter().filter(is_late).count() >= LATE;
        match self.state {
            State::Follow { since } => {
                // After a stop what it left behind has its time to go.
                if queue && busy && self.hears(now) && now.saturating_sub(self.stopped) >= RECENT {
                    self.cut(now, carried);
                } else {
                    self.follow(now, since, (carried, load), &recent);
                }
            }
            State::Drain { .. } if !self.hears(now) => {
                // It was no queue, or is one that no rate of ours will mend.
                (self.rate, self.known) = self.before;
                self.state = State::Follow { since: self.followed };
                self.probes.retain(|probe| probe.took.is_some());
            }
            State::Drain { since, again: false } if self.was_a_stop(now, since) => {
                (self.rate, self.known) = self.before;
                self.state = State::Follow { since: self.followed };
                self.grown = now;
            }
            State::Drain { since, .. } => {
                // What was sent before the cut and is answered only now tells the slope better than before.
                self.refine(now);
                let gone =
                    recent.len() >= 2 && recent.iter().take(2).all(|excess| *excess < self.config.late / 2);
                let waited = now.saturating_sub(since);
                if gone || waited > Duration::from_secs(2) {
                    self.state = State::Follow { since: now };
                    self.rate =
                        self.bounded(self.known.unwrap_or(self.rate).times(self.config.direction.margin()));
                    self.grown = now;
                } else if busy
                    && self.hears(now)
                    && waited
                        > self
                            .stood
                            .max(Duration::from_millis(200))
                            .saturating_add(Duration::from_millis(100))
                    && self.standing(now) > self.config.late.max(self.stood / 5 * 4)
                {
                    // The cut has had the time to be seen, and is not.
                    self.cut(now, carried);
                } else {
                    self.drain(now);
                }
            }
        }
    }

    /// A queue.
    fn cut(&mut self, now: Duration, carried: f64) {
        self.counters.cuts += 1;
        let estimate = match self.config.direction {
            Direction::Down => self.arriving(now).unwrap_or(carried),
            Direction::Up => self.measured(now, now.saturating_sub(GROWTH)..now).unwrap_or(carried),
        };
        self.stood = self.standing(now);
        let again = match self.state {
            State::Follow { since } => {
                (self.before, self.followed) = ((self.rate, self.known), since);
                false
            }
            State::Drain { .. } => true,
        };
        self.know(estimate);
        self.calm = self.known.unwrap_or(self.rate);
        self.cut = now;
        self.state = State::Drain { since: now, again };
        self.drain(now);
    }

    #[allow(clippy::cast_sign_loss, reason = "a cast saturates")]
    fn know(&mut self, estimate: f64) {
        self.known = Some(self.bounded(Rate::bits(estimate as u64)));
    }

    /// Sends so much less that what stands now is gone soon, but at least a third of what the link takes.
    fn drain(&mut self, now: Duration) {
        let factor = (self.config.direction.margin() - self.standing(now).as_secs_f64() / DRAINED).max(0.33);
        self.rate = self.bounded(self.known.unwrap_or(self.rate).times(factor));
    }

    /// Of a queue behind us: once what was sent before the cut has come back, it tells more than what was overdue then did; where
    /// all of it was soon there, that less was amiss than it seemed.
    #[allow(clippy::cast_precision_loss, reason = "rates are below 2^53")]
    fn refine(&mut self, now: Duration) {
        if self.config.direction == Direction::Down {
            return;
        }
        let before = self.cut.saturating_sub(GROWTH)..self.cut;
        let back = |(probe, excess): (&Probe, Duration)| probe.took.is_some() && excess < RECENT;
        let back = self.known_of(now, before.clone()).all(back);
        if let Some(estimate) = self.measured(now, before)
            && let Some(known) = self.known
            && (back || self.bounded(Rate::bits(bits(estimate))) < known)
        {
            self.know(estimate.min(self.before.0.as_bits() as f64));
        }
    }

    /// Without a queue: with load, up to where the link's rate was and, if nothing gets late, beyond; without,
    /// slowly back to the base.
    fn follow(&mut self, now: Duration, since: Duration, (carried, load): (f64, f64), recent: &[Duration]) {
        let step = now.saturating_sub(self.grown).as_secs_f64();
        if step < 0.02 {
            return;
        }
        self.grown = now;
        let step = step.min(0.2);
        // A probe may find a packet on its way, here and in the modem.
        let calm = self.config.late / 3 + 2 * self.rate.time_for(1514);
        let recent = recent.get(..LATE).unwrap_or(recent);
        let most_below = |limit| 2 * recent.iter().filter(|excess| **excess < limit).count() > recent.len();
        let calm = most_below(calm);
        if calm {
            self.calm = self.calm.max(self.rate);
        }
        let uneasy = recent.len() == LATE && recent.iter().all(|excess| *excess > self.config.late / 2);
        let factor = if load > 0.75 && calm && self.hears(now) {
            #[allow(clippy::cast_precision_loss, reason = "rates are below 2^53")]
            let part = self.known.map_or(2.0, |known| self.rate.as_bits() as f64 / known.as_bits() as f64);
            let settled = now.saturating_sub(since) > Duration::from_secs(1);
            1.0 + self.config.direction.pace(part, settled) * step
        } else if load > 0.75 && uneasy && self.hears(now) {
            match self.config.direction {
                Direction::Up => 1.0 - 0.5 * step,
                Direction::Down => {
                    self.ease(now, carried);
                    return;
                }
            }
        } else if load < 0.4 {
            // Nothing is known of the link now.
            let (base, step) = (self.config.base, 0.05 * step);
            self.rate = if self.rate > base {
                self.rate.times(1.0 - step).max(base)
            } else {
                self.rate.times(1.0 + step).min(base)
            };
            return;
        } else {
            1.0
        };
        self.rate = self.bounded(self.rate.times(factor));
    }

    /// A queue begins before us: what is carried is what the link takes. Senders hear of less a round trip later, so that
    /// waiting for proof would cost as much again.
    fn ease(&mut self, now: Duration, carried: f64) {
        if now.saturating_sub(self.eased) < EASED {
            return;
        }
        self.eased = now;
        // Delays that are not of our making shall not press the rate down step by step.
        let least = self.calm.times(EASY);
        self.rate = self.bounded(self.rate.min(Rate::bits(bits(carried * STILL)).max(least)));
    }

    fn bounded(&self, rate: Rate) -> Rate {
        rate.clamp(self.config.min, self.config.max)
    }
}

#[allow(clippy::cast_sign_loss, reason = "a cast saturates")]
fn bits(estimate: f64) -> u64 {
    estimate as u64
}
