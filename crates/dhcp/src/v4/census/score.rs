//! How sure one can be: Wilson's interval, a client's score, and the share of clients that are ready.

use std::fmt;

/// The quantile of 95 % on both sides.
const Z: f64 = 1.959_964;
/// The most that passive evidence can say: that nothing but IPv6 was needed while IPv4 was there is no proof
/// that nothing would have broken without it. Only a client that lived without is more.
const PASSIVE_MOST: f64 = 0.9;
/// Shares that are worth a line: where a network stands on its way.
pub const LINES: [u8; 4] = [1, 2, 5, 10];

/// Wilson's score interval of 95 % for `successes` of `trials`: (0, 1) where there were none. It stays within
/// 0 and 1, and is right for few trials and for shares near the ends, where the normal approximation is not.
pub fn wilson(successes: u64, trials: u64) -> (f64, f64) {
    if trials == 0 {
        return (0.0, 1.0);
    }
    #[allow(clippy::cast_precision_loss, reason = "counts of hours and clients are far below 2^52")]
    let (k, n) = (successes.min(trials) as f64, trials as f64);
    let (p, z2) = (k / n, Z * Z);
    let middle = (p + z2 / (2.0 * n)) / (1.0 + z2 / n);
    let half = Z / (1.0 + z2 / n) * (p * (1.0 - p) / n + z2 / (4.0 * n * n)).sqrt();
    // At the ends the interval touches them, but for rounding.
    let low = if successes == 0 { 0.0 } else { (middle - half).max(0.0) };
    let high = if successes >= trials { 1.0 } else { (middle + half).min(1.0) };
    (low, high)
}

/// Hours in which a client was active, and in how many of them it could not have done without IPv4, or failed
/// without it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tally {
    /// Hours in which the client was seen.
    pub hours: u32,
    /// Those of them that speak against.
    pub against: u32,
}

impl Tally {
    /// Hours kept; beyond it, all that was counted loses half its weight, so that what is old fades.
    const MOST: u32 = 14 * 24;

    pub(super) fn count(&mut self, against: bool) {
        if self.hours >= Self::MOST {
            (self.hours, self.against) = (self.hours / 2, self.against.div_ceil(2));
        }
        self.hours += 1;
        self.against += u32::from(against);
    }

    fn low(self) -> f64 {
        wilson(u64::from(self.hours.saturating_sub(self.against)), u64::from(self.hours)).0
    }

    fn high(self) -> f64 {
        wilson(u64::from(self.hours.saturating_sub(self.against)), u64::from(self.hours)).1
    }

    fn best(self) -> f64 {
        if self.hours == 0 {
            0.0
        } else {
            f64::from(self.hours.saturating_sub(self.against)) / f64::from(self.hours)
        }
    }
}

/// How far a client is on its way to live without IPv4.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Stage {
    /// No IPv6 was seen of it.
    NoIpv6,
    /// It has an IPv6 address, and never looked for one of a server.
    Addressed,
    /// It uses IPv6, and still needs IPv4.
    Mixed,
    /// It has needed nothing but IPv6 so far; how much that says stands in the score.
    Capable,
    /// It was seen to translate for its own programs (464XLAT): even addresses written as numbers work.
    Translates,
    /// It was told to do without IPv4, and does.
    Without,
}

impl Stage {
    /// The words for it.
    pub fn name(self) -> &'static str {
        match self {
            Self::NoIpv6 => "no IPv6",
            Self::Addressed => "IPv6 address only",
            Self::Mixed => "uses both",
            Self::Capable => "needs no IPv4",
            Self::Translates => "translates itself",
            Self::Without => "lives without IPv4",
        }
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Could this client live without IPv4 today: the chance that an hour goes well.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Score {
    /// How far it is.
    pub stage: Stage,
    /// The best estimate, 0 to 1.
    pub best: f64,
    /// The lower bound of 95 %, 0 to 1: what to decide by.
    pub low: f64,
    /// The upper bound of 95 %, 0 to 1.
    pub high: f64,
    /// Hours that it rests on.
    pub hours: u32,
}

impl Score {
    pub(super) fn new(stage: Stage, passive: Tally, trial: Tally) -> Self {
        let hours = passive.hours.saturating_add(trial.hours);
        if stage <= Stage::Addressed && trial.hours == 0 {
            // In none of these hours it could have: that it never could is the surer the more there are.
            return Self { stage, best: 0.0, low: 0.0, high: wilson(0, passive.hours.into()).1, hours };
        }
        // Where it was tried, that decides; what was seen before may add to a trial that is short and good.
        let (best, low, high) = match (trial.hours, trial.against) {
            (0, _) => (passive.best().min(PASSIVE_MOST), passive.low().min(PASSIVE_MOST), passive.high()),
            (_, 0) => (1.0, trial.low().max(passive.low().min(PASSIVE_MOST)), 1.0),
            _ => (trial.best(), trial.low(), trial.high()),
        };
        Self { stage, best, low, high, hours }
    }
}

/// A part of the clients, with the interval in which the true share lies in 95 of 100 such networks.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Share {
    /// Those that are.
    pub count: u64,
    /// Of so many.
    pub of: u64,
    /// The lower bound, 0 to 1.
    pub low: f64,
    /// The upper bound, 0 to 1.
    pub high: f64,
}

/// Whether a share is above a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Line {
    /// It is, with its whole interval.
    Reached,
    /// The line is inside of the interval: more clients or more time will tell.
    Open,
    /// It is below, with its whole interval.
    Missed,
}

impl Share {
    pub(super) fn new(count: u64, of: u64) -> Self {
        let (low, high) = wilson(count, of);
        Self { count, of, low, high }
    }

    /// Where the share stands to a line of so many percent.
    pub fn line(&self, percent: u8) -> Line {
        let line = f64::from(percent) / 100.0;
        if self.low >= line {
            Line::Reached
        } else if self.high < line {
            Line::Missed
        } else {
            Line::Open
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Values of Wilson's interval as published tables have them, to three digits.
    #[test]
    fn wilson_is_wilsons() {
        for (successes, trials, low, high) in [
            (0, 0, 0.0, 1.0),
            (0, 10, 0.0, 0.278),
            (10, 10, 0.722, 1.0),
            (1, 10, 0.018, 0.404),
            (5, 10, 0.237, 0.763),
            (50, 100, 0.404, 0.596),
            (10, 1_000, 0.005, 0.018),
            (7, 5, 0.566, 1.0),
        ] {
            let (a, b) = wilson(successes, trials);
            assert!((a - low).abs() < 0.0006 && (b - high).abs() < 0.0006, "{successes}/{trials}: {a} {b}");
        }
        // More trials, a narrower interval; never outside of 0 and 1; the estimate within.
        for n in 1..200 {
            for k in 0..=n {
                let (low, high) = wilson(k, n);
                let share = f64::from(k as u32) / f64::from(n as u32);
                assert!((0.0..=share).contains(&low) && (share..=1.0).contains(&high), "{k}/{n}");
                let twice = wilson(2 * k, 2 * n);
                assert!(twice.1 - twice.0 < high - low);
            }
        }
    }

    #[test]
    fn scores_are_careful() {
        let tally = |hours, against| Tally { hours, against };
        let score = |stage, passive, trial| Score::new(stage, passive, trial);
        let none = Tally::default();
        // Nothing seen, nothing said; without IPv6, nothing either.
        assert!(score(Stage::Capable, none, none).low.abs() < f64::EPSILON);
        assert!(score(Stage::NoIpv6, tally(100, 0), none).low.abs() < f64::EPSILON);
        // Watching alone never says more than 0.9.
        let watched = score(Stage::Capable, tally(300, 0), none);
        assert!(watched.low <= PASSIVE_MOST && watched.low > 0.89 && watched.best <= PASSIVE_MOST);
        let tried = score(Stage::Without, tally(300, 0), tally(100, 0));
        assert!(tried.low > 0.96 && tried.best > 0.99);
        // A short trial says little, and takes nothing away from what was seen; a bad one decides.
        assert!((score(Stage::Without, tally(300, 0), tally(1, 0)).low - watched.low).abs() < 1e-9);
        assert!(score(Stage::Mixed, tally(300, 0), tally(4, 2)).low < 0.2);
        // What is old fades.
        let mut fading = Tally::default();
        (0..100).for_each(|_| fading.count(true));
        (0..5_000).for_each(|_| fading.count(false));
        assert!(fading.hours <= Tally::MOST && fading.against <= 1, "{fading:?}");
    }

    #[test]
    fn lines_are_reached_with_the_whole_interval() {
        let share = Share::new(60, 1_000);
        let lines = LINES.map(|line| share.line(line));
        assert_eq!(lines, [Line::Reached, Line::Reached, Line::Open, Line::Missed]);
        assert_eq!(Share::new(0, 0).line(1), Line::Open);
    }
}
