//! `sixgate measure responsiveness`: round trips per minute under working conditions.

use super::calibrate;
use super::cli::Load;
use super::entry::Entry;
use super::far::{Far, PATIENCE, read_short};
use super::flows::Running;
use super::shown::{Progress, ms, table};
use crate::{Outcome, print};
use serde::Serialize;
use sixgate_endpoint::Host;
use sixgate_measure::calibrate::ErrorBar;
use sixgate_measure::rpm::{Next, Parameters, Probed, Responsiveness, Run};
use sixgate_measure::rrul::{Direction, Flow, Mark};
use sixgate_measure::stats::{Summary, ms as millis, summary};
use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

/// Probes that are under way at one time: on a line whose queue holds seconds, more would be a load of their own; and the far end allows one
/// source 64 connections, flows included.
const MOST_UNDER_WAY: u32 = 24;
/// Requests before the load, for the round trip alone.
const IDLE: u32 = 10;

#[derive(Debug, Serialize)]
struct Report {
    far: String,
    /// Milliseconds of a request on a connection of its own, without load.
    idle_ms: Option<Summary>,
    /// One for each direction, or one for both.
    runs: Vec<Ran>,
    error_bar: Option<ErrorBar>,
    method: &'static str,
    /// Each with its time, method and family.
    entries: Vec<Entry>,
}

#[derive(Debug, Serialize)]
struct Ran {
    direction: &'static str,
    #[serde(flatten)]
    result: Option<Responsiveness>,
    /// Connections that broke: the draft aborts then, and so is this run.
    broken: bool,
}

const METHOD: &str = "draft-ietf-ippm-responsiveness, TCP-only case: plain HTTP/1.1; probes on loaded connections are TCP's own round-trip time";

pub(super) fn command(arguments: &Load) -> Outcome {
    let error_bar = match calibrate::or_refuse(arguments.target.anyway) {
        Ok(bar) => bar,
        Err(outcome) => return outcome,
    };
    let far = match Far::ask(&arguments.target) {
        Ok(far) => far,
        Err(error) => return error.told(),
    };
    let stopped = match crate::demo::stop_on_signal() {
        Ok(stopped) => stopped,
        Err(error) => return crate::fail(&format!("cannot listen for Ctrl-C: {error}")),
    };
    let mut progress = Progress::new(arguments.json);
    let mut idle = Vec::new();
    for _ in 0..IDLE {
        if stopped.load(Ordering::Relaxed) {
            return crate::fail("stopped before it was over: nothing is told of half a measurement");
        }
        match foreign(&far) {
            Ok((tcp, http)) => idle.push(f64::midpoint(tcp, http)),
            // One that agreed and then is silent would be waited for ten times.
            Err(error) => {
                return crate::fail(&format!("cannot measure against {}: {error}", far.endpoint));
            }
        }
    }
    let directions: &[(&str, &[Direction])] = if arguments.both {
        &[("both", &[Direction::Download, Direction::Upload])]
    } else {
        &[("download", &[Direction::Download]), ("upload", &[Direction::Upload])]
    };
    let seconds = u64::from(arguments.seconds).min(far.consent.seconds);
    let mut runs = Vec::new();
    for (name, ways) in directions {
        match run(&far, ways, Duration::from_secs(seconds), &stopped, |run, goodput| {
            let rpm = run.result().map_or_else(String::new, |result| format!("{:.0} RPM", result.rpm));
            progress.show(name, &format!("{goodput:.1} Mbit/s  {rpm}"));
        }) {
            Ok((result, broken)) => runs.push(Ran { direction: name, result, broken }),
            Err(error) => return crate::fail(&format!("cannot measure against {}: {error}", far.endpoint)),
        }
        if stopped.load(Ordering::Relaxed) {
            return crate::fail("stopped before it was over: nothing is told of half a measurement");
        }
    }
    drop(progress);
    let failed = runs.iter().any(|run| run.broken || run.result.is_none());
    let family = far.endpoint.family().to_string();
    let entries = runs.iter().map(|run| entry(&arguments.target.host, &family, run)).collect();
    let far = far.endpoint.to_string();
    let report = Report { far, idle_ms: summary(&idle), runs, error_bar, method: METHOD, entries };
    let shown = if arguments.json {
        format!("{:#}\n", serde_json::to_value(&report).unwrap_or_default())
    } else {
        told(&report)
    };
    let outcome = match arguments.export.export(&report.entries, shown) {
        Ok(shown) => print(&shown),
        Err(outcome) => return outcome,
    };
    if failed {
        crate::fail("a loaded connection broke, or no probe came back: the figure is none")
    } else {
        outcome
    }
}

fn entry(host: &Host, family: &str, run: &Ran) -> Entry {
    let result = run.result.as_ref();
    let entry = Entry::now(&format!("responsiveness, {} ({METHOD})", run.direction), host, Some(family))
        .with("rpm", result.map(|result| result.rpm))
        .with("goodput_mbit", result.map(|result| result.goodput_mbit));
    if run.broken || result.is_none() {
        entry.failed("a loaded connection broke, or no probe came back")
    } else {
        entry
    }
}

fn told(report: &Report) -> String {
    let header = ["load", "RPM", "fresh", "loaded", "Mbit/s", "connections", "confidence"];
    let mut rows = vec![header.map(str::to_owned).to_vec()];
    for run in &report.runs {
        let figure = |value: Option<f64>| value.map_or_else(|| "-".to_owned(), |value| format!("{value:.0}"));
        let result = run.result.as_ref();
        rows.push(vec![
            run.direction.to_owned(),
            figure(result.map(|result| result.rpm)),
            figure(result.and_then(|result| result.foreign_rpm)),
            figure(result.and_then(|result| result.loaded_rpm)),
            result.map_or_else(|| "-".to_owned(), |result| format!("{:.1}", result.goodput_mbit)),
            result.map_or_else(|| "-".to_owned(), |result| result.connections.to_string()),
            result.map_or("-", |result| confidence(result)).to_owned(),
        ]);
    }
    let mut out = format!("responsiveness to {}, round trips per minute\n\n{}", report.far, table(&rows));
    if let Some(idle) = &report.idle_ms {
        let _ = writeln!(
            out,
            "\nwithout load: {} ms, {:.0} RPM",
            ms(idle.median),
            60_000.0 / idle.median.max(0.001)
        );
    }
    let _ = writeln!(out, "{}", report.method);
    if let Some(bar) = &report.error_bar {
        let _ = writeln!(out, "error bar {} ms: {bar}", ms(bar.rtt_ms));
    }
    out
}

fn confidence(result: &Responsiveness) -> &'static str {
    match result.confidence {
        sixgate_measure::rpm::Confidence::Low => "low",
        sixgate_measure::rpm::Confidence::Medium => "medium",
        sixgate_measure::rpm::Confidence::High => "high",
    }
}

/// One run; whether a connection broke.
fn run(
    far: &Far,
    ways: &[Direction],
    longest: Duration,
    stopped: &AtomicBool,
    mut show: impl FnMut(&Run, f64),
) -> io::Result<(Option<Responsiveness>, bool)> {
    let parameters = Parameters::default();
    let mut run = Run::new(parameters);
    let mut flows = Vec::new();
    let seconds = longest.as_secs() + 2;
    // Of both directions at once, the far end allows half as many each.
    let add = |flows: &mut Vec<Running>, more: usize| -> io::Result<()> {
        for direction in ways {
            for _ in 0..more {
                flows.push(Running::start(far, Flow { direction: *direction, mark: Mark::Be }, seconds)?);
            }
        }
        Ok(())
    };
    add(&mut flows, parameters.step)?;
    let (sender, probes) = channel();
    let under_way = Arc::new(AtomicU32::new(0));
    let begun = Instant::now();
    let (mut before, mut broken) = (0, false);
    let mut interval = begun;
    while begun.elapsed() < longest && !stopped.load(Ordering::Relaxed) {
        let ends = interval + parameters.interval;
        let own = probe(far, &run, &flows, ends, &sender, &under_way);
        let passed = interval.elapsed().as_secs_f64();
        interval = Instant::now();
        let carried: u64 = flows.iter().map(Running::carried).sum();
        #[allow(clippy::cast_precision_loss)]
        let goodput = (carried - before) as f64 / passed.max(1e-9);
        before = carried;
        let probed = own.into_iter().chain(came(&probes)).collect();
        let next = run.interval(goodput, probed);
        show(&run, goodput * 8.0 / 1e6);
        broken = flows.iter().any(Running::has_failed);
        match next {
            Next::Done => break,
            _ if broken => break,
            Next::Add(more) => add(&mut flows, more)?,
        }
    }
    Ok((run.result(), broken))
}

/// Sends probes of both kinds in turn until the interval ends; what TCP says of the loaded connections.
fn probe(
    far: &Far,
    run: &Run,
    flows: &[Running],
    ends: Instant,
    sender: &Sender<Probed>,
    under_way: &Arc<AtomicU32>,
) -> Vec<Probed> {
    let every = run.probe_interval();
    let mut own = Vec::new();
    let mut next = Instant::now();
    while next < ends {
        thread::sleep(next.saturating_duration_since(Instant::now()));
        if under_way.load(Ordering::Relaxed) < MOST_UNDER_WAY {
            under_way.fetch_add(1, Ordering::Relaxed);
            let (far, sender, counter) = (far.clone(), sender.clone(), Arc::clone(under_way));
            let asked = thread::Builder::new().stack_size(128 * 1024).spawn(move || {
                if let Ok((tcp, http)) = foreign(&far) {
                    let _ = sender.send(Probed::Foreign { tcp, http });
                }
                counter.fetch_sub(1, Ordering::Relaxed);
            });
            if asked.is_err() {
                under_way.fetch_sub(1, Ordering::Relaxed);
            }
        }
        if let Some(rtt) = fastrand::choice(flows).and_then(Running::rtt) {
            own.push(Probed::Own(millis(rtt)));
        }
        next += every;
    }
    thread::sleep(ends.saturating_duration_since(Instant::now()));
    own
}

fn came(probes: &Receiver<Probed>) -> Vec<Probed> {
    probes.try_iter().collect()
}

/// A request for one octet on a connection of its own: the handshake and the request, in milliseconds.
fn foreign(far: &Far) -> io::Result<(f64, f64)> {
    let begun = Instant::now();
    let mut stream = far.connect(Mark::Be)?;
    let connected = begun.elapsed();
    let asked = Instant::now();
    stream.write_all(far.request("GET", "/small", "Connection: close\r\n").as_bytes())?;
    let answer = read_short(&mut stream, 4096, PATIENCE)?;
    match sixgate_measure::page::status(&answer) {
        Some(200) => Ok((millis(connected), millis(asked.elapsed()))),
        _ => Err(io::Error::other("refused")),
    }
}
