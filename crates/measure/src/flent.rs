//! Results in flent's data file format, version 4: what its reader takes (`flent/resultset.py`), under the names that its test `rrul` has.
//!
//! `x_values` are steps since the beginning; each series of `results` has a value or null for each; `raw_values` has every sample with its
//! time since the Unix epoch.

use crate::rrul::{Book, Direction, Flow, Probe};
use serde_json::{Map, Value, json};
use std::time::Duration;

/// flent's step, in seconds.
pub const STEP: f64 = 0.2;
/// The version of the format.
pub const VERSION: u32 = 4;

/// What the file tells beside the samples.
#[derive(Debug, Clone, PartialEq)]
pub struct Context {
    /// When the test began, since the Unix epoch.
    pub began: Duration,
    /// The far end as it was named.
    pub host: String,
    /// This machine's name.
    pub local_host: String,
    /// 6 or 4.
    pub ip_version: u8,
    /// A title of the user's.
    pub title: Option<String>,
    /// What flent does not know: kept under `SIXGATE`.
    pub own: Value,
}

/// The file as JSON.
pub fn rrul(book: &Book, context: &Context) -> Value {
    let plan = book.plan();
    let total = plan.total().as_secs_f64();
    let mut results = Map::new();
    let mut raw = Map::new();
    let mut meta = Map::new();
    let mut add = |name: String, points: &[(f64, f64)], units: &str| {
        let steps = Book::stepped(points, STEP, total);
        let samples: Vec<Value> = points
            .iter()
            .map(|(at, value)| json!({ "t": context.began.as_secs_f64() + at, "val": value }))
            .collect();
        let values: Vec<f64> = points.iter().map(|(_, value)| *value).collect();
        meta.insert(name.clone(), json!({ "UNITS": units, "MEAN_VALUE": crate::stats::mean(&values) }));
        results.insert(name.clone(), json!(steps));
        raw.insert(name, Value::Array(samples));
        steps
    };
    let flows: Vec<(Flow, Vec<Option<f64>>)> =
        Flow::all().map(|flow| (flow, add(flow.series(), book.rates(flow), "Mbits/s"))).collect();
    let pings: Vec<Vec<Option<f64>>> = Probe::all()
        .filter(|probe| !book.pings(*probe).is_empty())
        .map(|probe| add(probe.series(), book.pings(probe), "ms"))
        .collect();
    for (direction, way) in [(Direction::Upload, "upload"), (Direction::Download, "download")] {
        let these: Vec<&Vec<Option<f64>>> =
            flows.iter().filter(|(flow, _)| flow.direction == direction).map(|(_, steps)| steps).collect();
        results.insert(format!("TCP {way} sum"), json!(across(&these, sum)));
        results.insert(format!("TCP {way} avg"), json!(across(&these, crate::stats::mean)));
    }
    let all: Vec<&Vec<Option<f64>>> = flows.iter().map(|(_, steps)| steps).collect();
    results.insert("TCP totals".to_owned(), json!(across(&all, sum)));
    results.insert(
        "Ping (ms) avg".to_owned(),
        json!(across(&pings.iter().collect::<Vec<_>>(), crate::stats::mean)),
    );
    let count = flows.first().map_or(0, |(_, steps)| steps.len());
    json!({
        "version": VERSION,
        "x_values": (0..count).map(|step| f64::from(step as u32) * STEP).collect::<Vec<f64>>(),
        "results": results,
        "raw_values": raw,
        "metadata": {
            "NAME": "rrul",
            "TITLE": context.title,
            "NOTE": null,
            "HOST": context.host,
            "HOSTS": [context.host],
            "LOCAL_HOST": context.local_host,
            "IP_VERSION": context.ip_version,
            "TIME": timestamp(context.began),
            "T0": timestamp(context.began),
            "LENGTH": plan.loaded.as_secs_f64(),
            "TOTAL_LENGTH": total,
            "STEP_SIZE": STEP,
            "TEST_PARAMETERS": {},
            "FLENT_VERSION": null,
            "BATCH_NAME": null,
            "BATCH_TIME": null,
            "BATCH_TITLE": null,
            "BATCH_UUID": null,
            "DATA_FILENAME": null,
            "HTTP_GETTER_URLLIST": null,
            "HTTP_GETTER_DNS": null,
            "HTTP_GETTER_WORKERS": null,
            "SERIES_META": meta,
            "SIXGATE": context.own,
        },
    })
}

fn sum(values: &[f64]) -> f64 {
    values.iter().sum()
}

/// Several series as one: at each step what `join` makes of those that have a value.
fn across(series: &[&Vec<Option<f64>>], join: impl Fn(&[f64]) -> f64) -> Vec<Option<f64>> {
    let steps = series.iter().map(|series| series.len()).max().unwrap_or(0);
    (0..steps)
        .map(|step| {
            let values: Vec<f64> =
                series.iter().filter_map(|series| series.get(step).copied().flatten()).collect();
            (!values.is_empty()).then(|| join(&values))
        })
        .collect()
}

/// A time in UTC as flent writes it: ISO 8601 with microseconds and Z.
pub fn timestamp(time: Duration) -> String {
    let (days, rest) = (time.as_secs() / 86_400, time.as_secs() % 86_400);
    let (year, month, day) = civil(days);
    format!(
        "{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}.{:06}Z",
        rest / 3600,
        rest / 60 % 60,
        rest % 60,
        time.subsec_micros()
    )
}

/// The date of a day since 1970-01-01 in the Gregorian calendar.
fn civil(days: u64) -> (u64, u64, u64) {
    let leap = |year: u64| year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    // A day beyond the year 9999 is shown as its last: it was no time of ours.
    let (mut year, mut left) = (1970, days.min(2_932_896));
    loop {
        let length = if leap(year) { 366 } else { 365 };
        if left < length {
            break;
        }
        left -= length;
        year += 1;
    }
    let february = if leap(year) { 29 } else { 28 };
    let mut month = 1;
    for length in [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31] {
        if left < length {
            break;
        }
        left -= length;
        month += 1;
    }
    (year, month, left + 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rrul::{Mark, Plan};

    #[test]
    fn times_are_dates() {
        assert_eq!(timestamp(Duration::ZERO), "1970-01-01T00:00:00.000000Z");
        assert_eq!(timestamp(Duration::from_millis(1_764_108_182_250)), "2025-11-25T22:03:02.250000Z");
        assert_eq!(timestamp(Duration::from_hours(264_384)), "2000-02-29T00:00:00.000000Z");
        assert!(timestamp(Duration::MAX).starts_with("9999-12-31"));
    }

    #[test]
    fn every_series_is_as_long_as_the_steps() {
        let (ms, s) = (Duration::from_millis, Duration::from_secs);
        let mut book = Book::new(Plan { before: s(1), loaded: s(2), after: s(1) });
        for flow in Flow::all() {
            for step in 0..10 {
                book.carried(ms(1000 + step * 200), flow, step * 25_000);
            }
        }
        for number in 0..40 {
            let at = ms(u64::from(number) * 100);
            book.sent(at, Probe::Udp(Mark::Ef), number);
            book.answered(at + ms(30), Probe::Udp(Mark::Ef), number);
        }
        let context = Context {
            began: Duration::from_secs(1_764_108_182),
            host: "far.example".to_owned(),
            local_host: "here".to_owned(),
            ip_version: 6,
            title: None,
            own: Value::Null,
        };
        let file = rrul(&book, &context);
        assert_eq!(file["version"], 4);
        let steps = file["x_values"].as_array().unwrap().len();
        assert_eq!(steps, 20);
        let results = file["results"].as_object().unwrap();
        for (name, series) in results {
            assert_eq!(series.as_array().unwrap().len(), steps, "{name}");
        }
        for name in ["TCP upload BE", "TCP download sum", "TCP totals", "Ping (ms) UDP EF", "Ping (ms) avg"] {
            assert!(results.contains_key(name), "{name}");
        }
        assert!(!results.contains_key("Ping (ms) ICMP"), "what was not probed is not there");
        // 1 Mbit/s each.
        let sum = file["results"]["TCP upload sum"][8].as_f64().unwrap();
        assert!((sum - 4.0).abs() < 1e-6, "{sum}");
        assert_eq!(file["raw_values"]["Ping (ms) UDP EF"].as_array().unwrap().len(), 40);
    }
}
