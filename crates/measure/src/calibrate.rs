//! How well this machine measures: what its own timers, processors and loopback add to what is measured, and when that is too much.

use crate::stats::{percentile, sorted};
use serde::Serialize;

/// What was observed of this machine before the measurement. Times in milliseconds.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Observed {
    /// How late a sleep until a fixed time ended.
    pub lateness: Vec<f64>,
    /// Round trips to itself.
    pub loopback: Vec<f64>,
    /// Time that the hypervisor took from this machine's processors, of all their time: 0 to 1. `None` where the system does not tell.
    pub steal: Option<f64>,
    /// Time that its processors were busy with others while this was observed: 0 to 1.
    pub busy: Option<f64>,
}

/// What is wrong in a measurement because of the machine that measures.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct ErrorBar {
    /// How much a single round trip is told too long at most, in 95 cases of 100, in milliseconds.
    pub rtt_ms: f64,
    /// The median round trip to itself, in milliseconds: what is in each figure and is not the network's.
    pub loopback_ms: f64,
    /// How late timers end, in 95 cases of 100, in milliseconds.
    pub timer_ms: f64,
    /// Of the processors' time, what the hypervisor took: 0 to 1.
    pub steal: f64,
    /// Of the processors' time, what others used: 0 to 1.
    pub busy: f64,
}

/// Why this machine should not measure now.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Unfit {
    /// Nothing could be observed.
    #[error("this machine's timers or its loopback could not be observed")]
    Unobserved,
    /// It answers itself too slowly.
    #[error(
        "this machine takes {0:.1} ms to answer itself in 5 cases of 100: what it would tell of a network is its own delay (at most {1:.0} ms are allowed)"
    )]
    Slow(f64, f64),
    /// Its processors are somebody else's.
    #[error("the hypervisor takes {:.0} % of this machine's processor time (at most {:.0} % are allowed)", .0 * 100.0, .1 * 100.0)]
    Stolen(f64, f64),
}

/// What is allowed before a measurement is refused.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Limits {
    /// The 95th percentile of its own delay, in milliseconds.
    pub own_ms: f64,
    /// The share of stolen time.
    pub steal: f64,
}

impl Default for Limits {
    /// 10 ms is twice CoDel's target: with more, a queue that is well managed cannot be told from one that is not.
    fn default() -> Self {
        Self { own_ms: 10.0, steal: 0.25 }
    }
}

/// Says how large the error is, or why not to measure.
///
/// # Errors
/// [`Unfit`], where the machine's own delay is beyond `limits`.
pub fn judge(observed: &Observed, limits: &Limits) -> Result<ErrorBar, Unfit> {
    if observed.lateness.is_empty() || observed.loopback.is_empty() {
        return Err(Unfit::Unobserved);
    }
    let (lateness, loopback) = (sorted(&observed.lateness), sorted(&observed.loopback));
    let steal = observed.steal.unwrap_or(0.0);
    if steal > limits.steal {
        return Err(Unfit::Stolen(steal, limits.steal));
    }
    // A probe is late once at each end at most: both are within a round trip to oneself.
    let own = percentile(&loopback, 95.0);
    if own > limits.own_ms {
        return Err(Unfit::Slow(own, limits.own_ms));
    }
    Ok(ErrorBar {
        rtt_ms: own,
        loopback_ms: percentile(&loopback, 50.0),
        timer_ms: percentile(&lateness, 95.0),
        steal,
        busy: observed.busy.unwrap_or(0.0),
    })
}

impl std::fmt::Display for ErrorBar {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "this machine adds {:.2} ms to a round trip, {:.2} ms at most in 95 of 100; timers end {:.2} ms late; \
             {:.0} % of its processors busy with others, {:.0} % stolen",
            self.loopback_ms,
            self.rtt_ms,
            self.timer_ms,
            self.busy * 100.0,
            self.steal * 100.0
        )
    }
}

/// Busy and stolen time of all processors, from the first line of `/proc/stat` before and after (proc(5)): shares of the time in between.
/// `None` where a line is none of these, or no time has passed.
#[allow(clippy::cast_precision_loss)]
pub fn processor_shares(before: &str, after: &str) -> Option<(f64, f64)> {
    let read = |line: &str| -> Option<Vec<u64>> {
        line.strip_prefix("cpu ")?.split_ascii_whitespace().take(8).map(|word| word.parse().ok()).collect()
    };
    let (before, after) = (read(before.lines().next()?)?, read(after.lines().next()?)?);
    let passed: Vec<u64> =
        after.iter().zip(&before).map(|(after, before)| after.saturating_sub(*before)).collect();
    // user nice system idle iowait irq softirq steal
    let [user, nice, system, idle, iowait, irq, softirq, steal] = passed[..] else { return None };
    let busy = user + nice + system + irq + softirq;
    let all = busy + idle + iowait + steal;
    (all > 0).then(|| (busy as f64 / all as f64, steal as f64 / all as f64))
}

#[cfg(test)]
#[allow(clippy::float_cmp)]
mod tests {
    use super::*;

    fn calm() -> Observed {
        Observed { lateness: vec![0.1; 100], loopback: vec![0.05; 100], steal: Some(0.0), busy: Some(0.1) }
    }

    #[test]
    fn a_calm_machine_measures() {
        let bar = judge(&calm(), &Limits::default()).unwrap();
        assert_eq!((bar.rtt_ms, bar.timer_ms, bar.busy), (0.05, 0.1, 0.1));
        assert!(bar.to_string().contains("adds 0.05 ms"));
    }

    #[test]
    fn one_that_is_slow_or_stolen_refuses_and_says_why() {
        let mut slow = calm();
        slow.loopback[80..].fill(25.0);
        assert!(
            judge(&slow, &Limits::default()).unwrap_err().to_string().contains("25.0 ms to answer itself")
        );
        let stolen = Observed { steal: Some(0.4), ..calm() };
        assert!(judge(&stolen, &Limits::default()).unwrap_err().to_string().contains("takes 40 %"));
        assert_eq!(judge(&Observed::default(), &Limits::default()), Err(Unfit::Unobserved));
        // One slow answer in a hundred is no reason.
        let mut once = calm();
        once.loopback[99] = 500.0;
        assert!(judge(&once, &Limits::default()).is_ok());
    }

    #[test]
    fn processors_are_read() {
        let before = "cpu  100 0 100 800 0 0 0 0 0 0\ncpu0 1";
        let after = "cpu  110 0 110 870 0 0 0 10 0 0\n";
        assert_eq!(processor_shares(before, after), Some((0.2, 0.1)));
        assert_eq!(processor_shares(before, before), None);
        assert_eq!(processor_shares("", after), None);
        assert_eq!(processor_shares("cpu  1 2", "cpu  1 2"), None);
    }
}
