//! `sixgate measure rrul`.

use super::calibrate;
use super::cli::Rrul;
use super::entry::Entry;
use super::far::Far;
use super::flows::{Running, start_all};
use super::probes::{self, Event};
use super::shown::{Progress, draws, ms, table, width, write};
use crate::{Outcome, print};
use sixgate_endpoint::{Endpoint, Family};
use sixgate_measure::calibrate::ErrorBar;
use sixgate_measure::flent::{self, Context};
use sixgate_measure::picture::{Line, Panel, svg, text};
use sixgate_measure::rrul::{Book, Direction, Flow, Outcome as Found, Phase, Plan, Probe};
use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// How often flows are looked at.
const STEP: Duration = Duration::from_millis(200);

pub(super) fn command(arguments: &Rrul) -> Outcome {
    let bar = match calibrate::or_refuse(arguments.target.anyway) {
        Ok(bar) => bar,
        Err(outcome) => return outcome,
    };
    let far = match Far::ask(&arguments.target) {
        Ok(far) => far,
        Err(error) => return error.told(),
    };
    let plan = Plan::new(Duration::from_secs(u64::from(arguments.seconds).min(far.consent.seconds)));
    let stopped = match crate::demo::stop_on_signal() {
        Ok(stopped) => stopped,
        Err(error) => return crate::fail(&format!("cannot listen for Ctrl-C: {error}")),
    };
    let mut progress = Progress::new(arguments.json);
    let began = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let run = match run(&far, plan, &stopped, &mut progress) {
        Ok(run) => run,
        Err(error) => return crate::fail(&format!("cannot measure against {}: {error}", far.endpoint)),
    };
    drop(progress);
    if stopped.load(Ordering::Relaxed) {
        return crate::fail("stopped before it was over: nothing is told of half a measurement");
    }
    let found = run.book.outcome();
    let title = arguments.title.clone().unwrap_or_else(|| format!("RRUL to {}", far.endpoint));
    if let Some(path) = &arguments.svg {
        let picture = picture(&run.book, &title, &found, bar.as_ref());
        if let Err(outcome) = write(path, &picture) {
            return outcome;
        }
    }
    let family = far.endpoint.family().to_string();
    let entry = Entry::now("RRUL, 4 TCP flows up and 4 down", &arguments.target.host, Some(&family))
        .with("added_median_ms", found.added_median_ms)
        .with("added_p95_ms", found.added_p95_ms)
        .with("upload_mbit", found.upload.sum_mbit)
        .with("download_mbit", found.download.sum_mbit)
        .with("error_bar_ms", bar.as_ref().map(|bar| bar.rtt_ms));
    let entry = if run.failed > 0 {
        entry.failed(format!("{} of 8 flows ended before they should", run.failed))
    } else {
        entry
    };
    let shown = if arguments.json {
        let own = serde_json::json!({ "outcome": found, "error_bar": bar, "notes": run.notes, "congestion_control": congestion_control(), "far": far.endpoint.to_string(), "entries": [entry] });
        let context = Context {
            began,
            host: arguments.target.host.to_string(),
            local_host: nix::unistd::gethostname()
                .map(|name| name.to_string_lossy().into_owned())
                .unwrap_or_default(),
            ip_version: if far.endpoint.family() == Family::V6 { 6 } else { 4 },
            title: arguments.title.clone(),
            own,
        };
        format!("{:#}\n", flent::rrul(&run.book, &context))
    } else {
        told(&run, &found, &far.endpoint, bar.as_ref())
    };
    let outcome = match arguments.export.export(&[entry], shown) {
        Ok(shown) => print(&shown),
        Err(outcome) => return outcome,
    };
    if run.failed > 0 {
        return crate::fail(&format!(
            "{} of 8 flows ended before they should: the load was less than it says",
            run.failed
        ));
    }
    outcome
}

/// What decides how fast the flows up send; for those down it is the far end's.
fn congestion_control() -> Option<String> {
    let text = std::fs::read_to_string("/proc/sys/net/ipv4/tcp_congestion_control").ok()?;
    Some(text.trim().to_owned())
}

struct Run {
    book: Book,
    notes: Vec<String>,
    failed: usize,
}

fn run(far: &Far, plan: Plan, stopped: &AtomicBool, progress: &mut Progress) -> std::io::Result<Run> {
    let stop = Arc::new(AtomicBool::new(false));
    let (sender, events) = channel();
    let begun = Instant::now();
    let notes = probes::start(far, begun, &stop, &sender)?.into_iter().collect();
    drop(sender);
    let mut run = Run { book: Book::new(plan), notes, failed: 0 };
    let mut flows: Vec<Running> = Vec::new();
    let mut next = begun;
    loop {
        next += STEP;
        listen(&events, next, begun, &mut run.book);
        let now = begun.elapsed();
        let phase = plan.phase(now);
        match phase {
            Phase::Loaded if flows.is_empty() => {
                flows = start_all(far, Flow::all(), plan.loaded.as_secs() + 2)?;
            }
            Phase::Loaded => {
                for flow in &flows {
                    run.book.carried(now, flow.flow, flow.carried());
                }
            }
            Phase::After | Phase::Over => {
                run.failed += flows.iter().filter(|flow| flow.has_failed()).count();
                flows.clear();
            }
            Phase::Before => {}
        }
        show(progress, &run.book, phase, plan, now);
        if phase == Phase::Over || stopped.load(Ordering::Relaxed) {
            break;
        }
    }
    stop.store(true, Ordering::Relaxed);
    // What is under way may still come.
    listen(&events, Instant::now() + sixgate_measure::rrul::LOST_AFTER / 3, begun, &mut run.book);
    run.book.expire(Duration::MAX);
    Ok(run)
}

/// Takes down what the probes tell, until `deadline` or until they have ended.
fn listen(events: &Receiver<Event>, deadline: Instant, begun: Instant, book: &mut Book) {
    loop {
        let since = |at: Instant| at.saturating_duration_since(begun);
        match events.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
            Ok(Event::Sent(at, probe, sequence)) => book.sent(since(at), probe, sequence),
            Ok(Event::Answered(at, probe, sequence)) => drop(book.answered(since(at), probe, sequence)),
            Err(std::sync::mpsc::RecvTimeoutError::Timeout) => return,
            Err(std::sync::mpsc::RecvTimeoutError::Disconnected) => {
                std::thread::sleep(deadline.saturating_duration_since(Instant::now()));
                return;
            }
        }
    }
}

fn show(progress: &mut Progress, book: &Book, phase: Phase, plan: Plan, now: Duration) {
    let step = match phase {
        Phase::Before => "without load",
        Phase::Loaded => "under load",
        Phase::After | Phase::Over => "after the load",
    };
    let pings: Vec<f64> = Probe::all()
        .find(|probe| !book.pings(*probe).is_empty())
        .map_or_else(Vec::new, |probe| book.pings(probe).iter().map(|(_, took)| *took).collect());
    let left = plan.total().saturating_sub(now).as_secs();
    let last = pings.last().copied().unwrap_or_default();
    let detail = format!(
        "{left:>3} s left  {:>8} ms  {}",
        ms(last),
        text::spark(&pings, width() / 2, text::top(&pings))
    );
    progress.show(step, &detail);
}

/// What was found, for people.
fn told(run: &Run, found: &Found, far: &Endpoint, bar: Option<&ErrorBar>) -> String {
    let mut out = String::new();
    let plan = run.book.plan();
    if draws() {
        for panel in panels(&run.book) {
            out += &text::draw(&panel, plan.total().as_secs_f64(), width(), 8);
        }
        out.push('\n');
    }
    let cells = |texts: [&str; 6]| texts.map(str::to_owned).to_vec();
    let mut rows = vec![cells(["probe", "when", "median ms", "95 % ms", "99 % ms", "lost"])];
    for (when, parts) in [("before", &found.before), ("loaded", &found.loaded), ("after", &found.after)] {
        for (series, part) in parts {
            let told = |pick: fn(&sixgate_measure::stats::Summary) -> f64| {
                part.rtt_ms.as_ref().map_or_else(|| "-".to_owned(), |summary| ms(pick(summary)))
            };
            rows.push(vec![
                series.trim_start_matches("Ping (ms) ").to_owned(),
                when.to_owned(),
                told(|summary| summary.median),
                told(|summary| summary.p95),
                told(|summary| summary.p99),
                format!("{} of {}", part.lost, part.sent),
            ]);
        }
    }
    let _ = writeln!(out, "RRUL to {far}: {} s under load\n\n{}", plan.loaded.as_secs(), table(&rows));
    for (way, throughput) in [("up", &found.upload), ("down", &found.download)] {
        let flows: Vec<String> =
            throughput.flows.iter().map(|(mark, rate)| format!("{} {rate:.2}", mark.name())).collect();
        let _ = writeln!(
            out,
            "{way:<5} {:.2} Mbit/s of payload ({}), fairness {:.2}",
            throughput.sum_mbit,
            flows.join(", "),
            throughput.fairness
        );
    }
    let _ = writeln!(out, "\n{}", verdict(found, bar));
    for note in &run.notes {
        let _ = writeln!(out, "note: {note}");
    }
    out
}

/// One sentence, with its error bar.
fn verdict(found: &Found, bar: Option<&ErrorBar>) -> String {
    let error = bar.map_or_else(
        || "no error bar: this machine was not fit to measure".to_owned(),
        |bar| format!("error bar {} ms: {bar}", ms(bar.rtt_ms)),
    );
    match (found.added_median_ms, found.added_p95_ms) {
        (Some(median), Some(p95)) => {
            format!("load adds {} ms (median), {} ms (95 %)\n{error}", ms(median), ms(p95))
        }
        _ => format!("no probe came back, before or under load: nothing can be said of its delay\n{error}"),
    }
}

fn panels(book: &Book) -> Vec<Panel> {
    let line = |name: String, points: &[(f64, f64)]| Line { name, points: points.to_vec() };
    let flows = |direction| {
        Flow::all()
            .filter(move |flow| flow.direction == direction)
            .map(|flow| line(flow.mark.name().to_owned(), book.rates(flow)))
            .collect()
    };
    let probes = Probe::all()
        .filter(|probe| !book.pings(*probe).is_empty())
        .map(|probe| line(probe.series().trim_start_matches("Ping (ms) ").to_owned(), book.pings(probe)))
        .collect();
    vec![
        Panel { title: "round trips, ms".to_owned(), lines: probes },
        Panel { title: "download, Mbit/s of payload".to_owned(), lines: flows(Direction::Download) },
        Panel { title: "upload, Mbit/s of payload".to_owned(), lines: flows(Direction::Upload) },
    ]
}

fn picture(book: &Book, title: &str, found: &Found, bar: Option<&ErrorBar>) -> String {
    let plan = book.plan();
    let loaded = (plan.before.as_secs_f64(), (plan.before + plan.loaded).as_secs_f64());
    let notes: Vec<String> = verdict(found, bar).lines().map(str::to_owned).collect();
    svg::draw(title, &panels(book), plan.total().as_secs_f64(), Some(loaded), &notes)
}
