//! Samples in bounded memory, their percentiles, and how sure these are.

use serde::Serialize;
use std::time::Duration;

/// Samples that are kept; further ones are counted only. At ten probes a second this is more than a day.
pub const MOST: usize = 1 << 20;

/// Numbers of one kind, in the order in which they came.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Samples {
    values: Vec<f64>,
    left_out: u64,
}

/// What is told of samples; the unit is theirs.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Summary {
    /// How many.
    pub count: usize,
    /// The least.
    pub min: f64,
    /// Their mean.
    pub mean: f64,
    /// Half are below.
    pub median: f64,
    /// The interval in which the median of many more such samples would lie, with 95 % confidence.
    pub median_bounds: (f64, f64),
    /// 95 of 100 are below.
    pub p95: f64,
    /// 99 of 100 are below.
    pub p99: f64,
    /// The greatest.
    pub max: f64,
}

impl Samples {
    /// None so far.
    pub fn new() -> Self {
        Self::default()
    }

    /// One more. What is no number is left out.
    pub fn push(&mut self, value: f64) {
        if self.values.len() < MOST && value.is_finite() {
            self.values.push(value);
        } else {
            self.left_out += 1;
        }
    }

    /// A time, in milliseconds.
    pub fn push_ms(&mut self, time: Duration) {
        self.push(ms(time));
    }

    /// As they came.
    pub fn values(&self) -> &[f64] {
        &self.values
    }

    /// How many were not kept.
    pub fn left_out(&self) -> u64 {
        self.left_out
    }

    /// What is told of them; `None` where there are none.
    pub fn summary(&self) -> Option<Summary> {
        summary(&self.values)
    }
}

impl FromIterator<f64> for Samples {
    fn from_iter<I: IntoIterator<Item = f64>>(values: I) -> Self {
        let mut samples = Self::new();
        values.into_iter().for_each(|value| samples.push(value));
        samples
    }
}

/// A time in milliseconds.
pub fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

/// What is told of numbers; `None` where there are none.
pub fn summary(values: &[f64]) -> Option<Summary> {
    let sorted = sorted(values);
    let (min, max) = (*sorted.first()?, *sorted.last()?);
    Some(Summary {
        count: sorted.len(),
        min,
        mean: mean(&sorted),
        median: percentile(&sorted, 50.0),
        median_bounds: median_bounds(&sorted),
        p95: percentile(&sorted, 95.0),
        p99: percentile(&sorted, 99.0),
        max,
    })
}

/// In ascending order.
pub fn sorted(values: &[f64]) -> Vec<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted
}

/// The value below which `percent` of sorted values are: the nearest rank, so that it is a value that was seen. 0 where there are none.
#[allow(clippy::cast_sign_loss, clippy::cast_precision_loss)]
pub fn percentile(sorted: &[f64], percent: f64) -> f64 {
    let rank = (percent.clamp(0.0, 100.0) / 100.0 * sorted.len() as f64).ceil() as usize;
    sorted.get(rank.saturating_sub(1)).copied().unwrap_or_default()
}

/// The mean; 0 where there are none.
#[allow(clippy::cast_precision_loss)]
pub fn mean(values: &[f64]) -> f64 {
    if values.is_empty() { 0.0 } else { values.iter().sum::<f64>() / values.len() as f64 }
}

/// The standard deviation of a population.
#[allow(clippy::cast_precision_loss)]
pub fn deviation(values: &[f64]) -> f64 {
    let mean = mean(values);
    let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    if values.is_empty() { 0.0 } else { (squares / values.len() as f64).sqrt() }
}

/// The mean of the least `percent` of the values: a trimmed mean, trimmed on one side.
#[allow(clippy::cast_sign_loss, clippy::cast_precision_loss)]
pub fn trimmed_mean(values: &[f64], percent: f64) -> Option<f64> {
    let sorted = sorted(values);
    let kept = (sorted.len() as f64 * percent.clamp(0.0, 100.0) / 100.0).ceil() as usize;
    sorted.get(..kept).filter(|kept| !kept.is_empty()).map(mean)
}

/// Jain's fairness of shares: 1 where all are the same, 1/n where one has everything.
#[allow(clippy::cast_precision_loss)]
pub fn fairness(shares: &[f64]) -> f64 {
    let (sum, squares) = shares.iter().fold((0.0, 0.0), |(sum, squares), x| (sum + x, squares + x * x));
    if squares > 0.0 { sum * sum / (shares.len() as f64 * squares) } else { 1.0 }
}

/// The order statistics between which the median lies with 95 % confidence: ranks n/2 ± 1.96 sqrt(n)/2, whatever the distribution.
/// Few samples have wide bounds; below six, none of this confidence exists, and these are the least and the greatest.
#[allow(clippy::cast_sign_loss, clippy::cast_precision_loss)]
fn median_bounds(sorted: &[f64]) -> (f64, f64) {
    let n = sorted.len() as f64;
    let half = 0.98 * n.sqrt();
    let low = (n / 2.0 - half).floor().max(0.0) as usize;
    let high = ((n / 2.0 + half).ceil() as usize).min(sorted.len().saturating_sub(1));
    (sorted.get(low).copied().unwrap_or_default(), sorted.get(high).copied().unwrap_or_default())
}

#[cfg(test)]
#[allow(clippy::float_cmp)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn percentiles_are_values_that_were_seen() {
        let values: Vec<f64> = (1..=100).map(f64::from).collect();
        let told = summary(&values).unwrap();
        assert_eq!((told.min, told.median, told.p95, told.p99, told.max), (1.0, 50.0, 95.0, 99.0, 100.0));
        assert_eq!(told.mean, 50.5);
        // n/2 +- 1.96*sqrt(100)/2 = 40.2 .. 59.8.
        assert_eq!(told.median_bounds, (41.0, 61.0));
        assert_eq!(summary(&[]), None);
        assert_eq!(percentile(&[7.0], 99.0), 7.0);
    }

    #[test]
    fn the_trimmed_mean_leaves_out_the_greatest() {
        let mut values = vec![10.0; 95];
        values.extend([1000.0; 5]);
        assert_eq!(trimmed_mean(&values, 95.0), Some(10.0));
        assert_eq!(trimmed_mean(&[], 95.0), None);
        assert_eq!(trimmed_mean(&[4.0], 95.0), Some(4.0));
    }

    #[test]
    fn fairness_is_jains() {
        assert_eq!(fairness(&[5.0; 4]), 1.0);
        assert_eq!(fairness(&[8.0, 0.0, 0.0, 0.0]), 0.25);
        assert_eq!(fairness(&[]), 1.0);
    }

    #[test]
    fn the_bounds_of_the_median_hold_what_they_promise() {
        // Of many draws of 50 exponential values, the true median (ln 2) is within in 95 % or more.
        let mut random = fastrand::Rng::with_seed(8);
        let mut held = 0;
        for _ in 0..1000 {
            let draw: Vec<f64> = (0..50).map(|_| -random.f64().max(1e-12).ln()).collect();
            let (low, high) = summary(&draw).unwrap().median_bounds;
            held += u32::from((low..=high).contains(&std::f64::consts::LN_2));
        }
        assert!(held >= 940, "{held} of 1000");
    }

    proptest! {
        #[test]
        fn order_does_not_matter(mut values in proptest::collection::vec(-1e6..1e6f64, 1..200)) {
            let forth = summary(&values).unwrap();
            values.reverse();
            let back = summary(&values).unwrap();
            prop_assert_eq!(forth.median_bounds, back.median_bounds);
            prop_assert_eq!((forth.min, forth.median, forth.max), (back.min, back.median, back.max));
            prop_assert!(forth.min <= forth.median && forth.median <= forth.p95 && forth.p95 <= forth.max);
        }
    }

    #[test]
    fn memory_is_bounded_and_nonsense_left_out() {
        let mut samples = Samples::new();
        samples.push(f64::NAN);
        assert_eq!((samples.values().len(), samples.left_out()), (0, 1));
    }
}
