//! Responsiveness under working conditions (draft-ietf-ippm-responsiveness): connections are added until the line carries
//! no more, then until its delay is stable; the result is round trips per minute.
//!
//! Over plain HTTP, that is the draft's TCP-only case: there is no TLS here. Nor are requests multiplexed on the
//! load-generating connections: with HTTP/1.1 the draft takes TCP's own round-trip time in their place.

use crate::stats::{deviation, mean, trimmed_mean};
use serde::Serialize;
use std::collections::VecDeque;
use std::time::Duration;

/// The draft's parameters and their default values.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Parameters {
    /// MAD: intervals of the moving average.
    pub moving_average: usize,
    /// ID: how long an interval is.
    pub interval: Duration,
    /// TMP: of the samples, the least so many percent count.
    pub trimmed: f64,
    /// SDT: what counts as stable, as a share.
    pub tolerance: f64,
    /// INP and INC: connections at the start, and in each interval.
    pub step: usize,
    /// MNP: connections at most.
    pub most: usize,
    /// MPS: probes a second at most.
    pub probes: u32,
    /// PTC: of the capacity, what probes may use, as a share.
    pub probe_share: f64,
}

impl Default for Parameters {
    fn default() -> Self {
        Self {
            moving_average: 4,
            interval: Duration::from_secs(1),
            trimmed: 95.0,
            tolerance: 0.05,
            step: 1,
            most: 16,
            probes: 100,
            probe_share: 0.05,
        }
    }
}

/// Octets that a probe on a connection of its own takes, as the draft estimates it without TLS' share.
const PROBE_OCTETS: f64 = 1500.0;

/// Times of probes in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Probed {
    /// On a connection of its own: its handshake, then the request.
    Foreign {
        /// `tcp_f`.
        tcp: f64,
        /// `http_f`.
        http: f64,
    },
    /// TCP's own round-trip time of a connection that generates load: `http_l`.
    Own(f64),
}

/// How sure a figure is (the draft's confidence).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Confidence {
    /// Fewer intervals than the moving average has.
    Low,
    /// Enough intervals, and not stable.
    Medium,
    /// Stable.
    High,
}

/// What to do after an interval.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// Open so many connections more.
    Add(usize),
    /// It is stable: stop.
    Done,
}

/// Figures of the run.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Responsiveness {
    /// Round trips per minute: the mean of the two below.
    pub rpm: f64,
    /// On connections of their own.
    pub foreign_rpm: Option<f64>,
    /// On the connections that generate load.
    pub loaded_rpm: Option<f64>,
    /// What was carried, in Mbit/s, over the moving average.
    pub goodput_mbit: f64,
    /// How sure the goodput is.
    pub goodput_confidence: Confidence,
    /// How sure the responsiveness is.
    pub confidence: Confidence,
    /// Connections at the end.
    pub connections: usize,
    /// Intervals that it took.
    pub intervals: usize,
}

/// The algorithm, an interval at a time.
#[derive(Debug)]
pub struct Run {
    parameters: Parameters,
    connections: usize,
    intervals: usize,
    // Of the last intervals: octets a second, moving averages of that, probes, and responsiveness.
    goodput: VecDeque<f64>,
    averages: VecDeque<f64>,
    probes: VecDeque<Vec<Probed>>,
    responsiveness: VecDeque<f64>,
    saturated: bool,
    stable: bool,
    since_saturated: usize,
}

impl Run {
    /// Begins: open [`Parameters::step`] connections.
    pub fn new(parameters: Parameters) -> Self {
        Self {
            parameters,
            connections: parameters.step,
            intervals: 0,
            goodput: VecDeque::new(),
            averages: VecDeque::new(),
            probes: VecDeque::new(),
            responsiveness: VecDeque::new(),
            saturated: false,
            stable: false,
            since_saturated: 0,
        }
    }

    /// Time between two probes of a kind: no more than MPS a second, and no more than PTC of what the line carries.
    pub fn probe_interval(&self) -> Duration {
        let fastest = 1.0 / f64::from(self.parameters.probes.max(1));
        let carried = mean(&self.goodput.iter().copied().collect::<Vec<f64>>());
        // Before anything is known of the line, ten a second.
        let afforded =
            if carried > 0.0 { PROBE_OCTETS / (carried * self.parameters.probe_share) } else { 0.1 };
        Duration::from_secs_f64(afforded.clamp(fastest, 1.0))
    }

    /// An interval has passed: so many octets a second were carried, and these probes came back.
    pub fn interval(&mut self, octets_per_second: f64, probes: Vec<Probed>) -> Next {
        let window = self.parameters.moving_average;
        self.intervals += 1;
        push(&mut self.goodput, octets_per_second, window);
        if self.probes.len() >= window {
            self.probes.pop_front();
        }
        self.probes.push_back(probes);
        let average = mean(self.goodput.make_contiguous());
        push(&mut self.averages, average, window);
        if self.saturated {
            self.since_saturated += 1;
            if let Some((rpm, ..)) = self.rpm() {
                push(&mut self.responsiveness, rpm, window);
                self.stable = self.is_stable(&self.responsiveness, rpm);
            }
            if self.stable {
                return Next::Done;
            }
        } else {
            self.saturated = self.is_stable(&self.averages, average);
        }
        let more = self.parameters.step.min(self.parameters.most.saturating_sub(self.connections));
        self.connections += more;
        Next::Add(more)
    }

    /// Whether the line was found to carry no more.
    pub fn is_saturated(&self) -> bool {
        self.saturated
    }

    fn is_stable(&self, values: &VecDeque<f64>, current: f64) -> bool {
        let values: Vec<f64> = values.iter().copied().collect();
        values.len() >= self.parameters.moving_average
            && current > 0.0
            && deviation(&values) < self.parameters.tolerance * current
    }

    /// All, foreign, own.
    fn rpm(&self) -> Option<(f64, Option<f64>, Option<f64>)> {
        let (mut tcp, mut http, mut own) = (Vec::new(), Vec::new(), Vec::new());
        for probe in self.probes.iter().flatten() {
            match probe {
                Probed::Foreign { tcp: handshake, http: request } => {
                    tcp.push(*handshake);
                    http.push(*request);
                }
                Probed::Own(rtt) => own.push(*rtt),
            }
        }
        let trimmed =
            |values: &[f64]| trimmed_mean(values, self.parameters.trimmed).filter(|mean| *mean > 0.0);
        let foreign =
            trimmed(&tcp).zip(trimmed(&http)).map(|(tcp, http)| 60_000.0 / f64::midpoint(tcp, http));
        let own = trimmed(&own).map(|own| 60_000.0 / own);
        let both = match (foreign, own) {
            (Some(foreign), Some(own)) => f64::midpoint(foreign, own),
            (one, other) => one.or(other)?,
        };
        Some((both, foreign, own))
    }

    /// What is known now; `None` where no probe came back.
    pub fn result(&self) -> Option<Responsiveness> {
        let (rpm, foreign_rpm, loaded_rpm) = self.rpm()?;
        let confidence = |stable, intervals| match intervals {
            _ if stable => Confidence::High,
            few if few < self.parameters.moving_average => Confidence::Low,
            _ => Confidence::Medium,
        };
        Some(Responsiveness {
            rpm,
            foreign_rpm,
            loaded_rpm,
            goodput_mbit: self.averages.back().copied().unwrap_or_default() * 8.0 / 1e6,
            goodput_confidence: confidence(self.saturated, self.intervals),
            confidence: confidence(self.stable, self.since_saturated),
            connections: self.connections,
            intervals: self.intervals,
        })
    }
}

fn push(values: &mut VecDeque<f64>, value: f64, most: usize) {
    if values.len() >= most {
        values.pop_front();
    }
    values.push_back(value);
}

#[cfg(test)]
#[allow(clippy::float_cmp)]
mod tests {
    use super::*;

    fn probes(rtt: f64) -> Vec<Probed> {
        (0..20).flat_map(|_| [Probed::Foreign { tcp: rtt, http: rtt }, Probed::Own(rtt)]).collect()
    }

    #[test]
    fn a_line_that_carries_no_more_is_saturated_and_then_stable() {
        let mut run = Run::new(Parameters::default());
        let mut at = Vec::new();
        for interval in 0..40_u32 {
            // Slow start, then 20 Mbit/s; the queue grows for a while.
            let goodput = if interval < 3 { 5e5 * f64::from(interval + 1) } else { 2.5e6 };
            let rtt = f64::from(interval.min(8)) * 20.0 + 20.0;
            at.push(run.is_saturated());
            if run.interval(goodput, probes(rtt)) == Next::Done {
                break;
            }
        }
        let result = run.result().unwrap();
        assert_eq!((result.confidence, result.goodput_confidence), (Confidence::High, Confidence::High));
        assert!((result.goodput_mbit - 20.0).abs() < 1e-9);
        // 180 ms: a third of a second's round trips.
        assert!((result.rpm - 60_000.0 / 180.0).abs() < 1.0, "{result:?}");
        assert!(result.intervals < 20 && result.connections <= 16, "{result:?}");
        assert!(!at[3], "saturated before the moving average was full");
    }

    #[test]
    fn one_that_never_settles_says_so() {
        let mut run = Run::new(Parameters::default());
        assert_eq!(run.result(), None);
        run.interval(1e6, probes(10.0));
        assert_eq!(run.result().unwrap().goodput_confidence, Confidence::Low);
        for interval in 0..50 {
            let next = run.interval(1e5 * 1.3_f64.powi(interval), probes(10.0));
            assert_ne!(next, Next::Done);
        }
        let result = run.result().unwrap();
        assert_eq!(result.goodput_confidence, Confidence::Medium);
        assert_eq!(result.connections, 16);
    }

    #[test]
    fn each_kind_has_the_same_weight() {
        let mut run = Run::new(Parameters::default());
        run.interval(1e6, vec![Probed::Foreign { tcp: 50.0, http: 70.0 }, Probed::Own(20.0)]);
        let result = run.result().unwrap();
        assert_eq!((result.foreign_rpm, result.loaded_rpm), (Some(1000.0), Some(3000.0)));
        assert_eq!(result.rpm, 2000.0);
    }

    #[test]
    fn probes_leave_the_line_to_the_load() {
        let mut run = Run::new(Parameters::default());
        assert_eq!(run.probe_interval(), Duration::from_millis(100));
        // 1 Mbit/s: 5 % of it are 6,250 octets a second.
        run.interval(125_000.0, Vec::new());
        assert_eq!(run.probe_interval(), Duration::from_millis(240));
        for _ in 0..4 {
            run.interval(125_000_000.0, Vec::new());
        }
        assert_eq!(run.probe_interval(), Duration::from_millis(10));
    }
}
