//! Results as pictures: [`svg`] for a file, [`text`] for a terminal.

pub mod svg;
pub mod text;

/// A line in a picture: points in time order, time in seconds.
#[derive(Debug, Clone, PartialEq)]
pub struct Line {
    /// What it is.
    pub name: String,
    /// Its points.
    pub points: Vec<(f64, f64)>,
}

/// A part of a picture with an axis of its own.
#[derive(Debug, Clone, PartialEq)]
pub struct Panel {
    /// What it shows, with its unit.
    pub title: String,
    /// Its lines.
    pub lines: Vec<Line>,
}

impl Panel {
    /// The greatest value that is shown: what one in a hundred exceeds is cut off. At least one, so that a quiet line is no mountain.
    fn top(&self) -> f64 {
        let values: Vec<f64> =
            self.lines.iter().flat_map(|line| line.points.iter().map(|(_, value)| *value)).collect();
        round_up(crate::stats::percentile(&crate::stats::sorted(&values), 99.0).max(1.0))
    }
}

/// To the next of 1, 2, 5, 10, 20 ...
fn round_up(value: f64) -> f64 {
    let base = 10_f64.powf(value.log10().floor());
    [1.0, 2.0, 5.0, 10.0]
        .map(|step| step * base)
        .into_iter()
        .find(|step| *step >= value && step.is_finite())
        .unwrap_or(value)
}
