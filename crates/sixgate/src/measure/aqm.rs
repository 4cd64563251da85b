//! `sixgate measure aqm`: queues compared in a simulated network, under one load or on one trace. Nothing is sent.

use super::cli::{Aqm, ControlName, QueueName};
use super::shown::{ms, table};
use crate::{Outcome, fail, print, say};
use serde_json::{Value, json};
use sixgate_aqm::Rate;
use sixgate_aqm::sim::Control;
use sixgate_aqm::sim::compare::{self, Arrival, Load, Replayed, Which, replay, under_load};
use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::Path;
use std::time::Duration;

/// Packets of a trace, and octets of a line of it, at most.
const MOST_PACKETS: usize = 500_000;
const LONGEST_LINE: u64 = 200;

/// The longest trace.
const LONGEST: Duration = Duration::from_hours(24);

pub(super) fn command(arguments: &Aqm) -> Outcome {
    let queues: Vec<Which> = arguments.queues.iter().map(|name| which(*name)).collect();
    match &arguments.trace {
        Some(path) => match read(path) {
            Ok(trace) => on_trace(arguments, &queues, &trace),
            Err(error) => fail(&error),
        },
        None => on_load(arguments, &queues),
    }
}

fn which(name: QueueName) -> Which {
    match name {
        QueueName::Fifo => Which::Fifo,
        QueueName::Codel => Which::Codel,
        QueueName::FqCodel => Which::FqCodel,
        QueueName::Pie => Which::Pie,
        QueueName::Shaper => Which::Shaper,
    }
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

/// 50th, 95th and 99th percentile.
fn percentiles(times: [Duration; 3]) -> Value {
    let [p50, p95, p99] = times.map(milliseconds);
    json!({ "p50-ms": p50, "p95-ms": p95, "p99-ms": p99 })
}

fn on_load(arguments: &Aqm, queues: &[Which]) -> Outcome {
    let load = Load {
        rates: [arguments.down, arguments.up],
        round_trip: Duration::from_millis(arguments.delay.into()),
        flows: arguments.flows,
        control: match arguments.control {
            ControlName::Reno => Control::Reno,
            ControlName::Cubic => Control::Cubic,
            ControlName::Bbr => Control::Bbr,
        },
        ecn: arguments.ecn,
        measured: Duration::from_secs(arguments.seconds.into()),
    };
    let (mut rows, mut results) = (Vec::new(), Vec::new());
    rows.push(
        ["queue", "p50 ms", "p95 ms", "p99 ms", "used down", "up", "fairness down", "up", "lost", "marked"]
            .map(str::to_owned)
            .to_vec(),
    );
    for which in queues {
        let outcome: compare::Outcome = under_load(*which, &load);
        let part = |part: f64| format!("{part:.3}");
        let mut row = vec![which.name().to_owned()];
        row.extend(outcome.added.map(|added| ms(milliseconds(added))));
        row.extend(outcome.used.map(part));
        row.extend(outcome.fairness.map(part));
        row.extend([outcome.lost, outcome.marked].map(|both| both.iter().sum::<u64>().to_string()));
        rows.push(row);
        results.push(json!({
            "queue": which.name(),
            "added": percentiles(outcome.added),
            "used": { "down": outcome.used[0], "up": outcome.used[1] },
            "fairness": { "down": outcome.fairness[0], "up": outcome.fairness[1] },
            "lost": { "down": outcome.lost[0], "up": outcome.lost[1] },
            "marked": { "down": outcome.marked[0], "up": outcome.marked[1] },
        }));
    }
    if arguments.json {
        let load = json!({
            "down-bits": load.rates[0].as_bits(),
            "up-bits": load.rates[1].as_bits(),
            "round-trip-ms": arguments.delay,
            "flows": load.flows,
            "control": format!("{:?}", load.control).to_ascii_lowercase(),
            "ecn": load.ecn,
            "seconds": arguments.seconds,
        });
        return print(&format!("{}\n", json!({ "simulation": true, "load": load, "queues": results })));
    }
    say(
        "Simulated: no packet was sent. What a small packet waits there and back, beside TCP that fills the link both ways:\n",
    );
    print(&table(&rows))
}

fn on_trace(arguments: &Aqm, queues: &[Which], trace: &[Arrival]) -> Outcome {
    let (mut rows, mut results) = (Vec::new(), Vec::new());
    rows.push(
        ["queue", "p50 ms", "p95 ms", "p99 ms", "sparse p50", "p95", "p99", "sent", "lost"]
            .map(str::to_owned)
            .to_vec(),
    );
    for which in queues {
        let Replayed { waited, sparse, sent, lost } = replay(*which, arguments.down, trace);
        let mut row = vec![which.name().to_owned()];
        row.extend([waited, sparse].into_iter().flatten().map(|waited| ms(milliseconds(waited))));
        row.extend([sent, lost].map(|count| count.to_string()));
        rows.push(row);
        results.push(json!({
            "queue": which.name(),
            "waited": percentiles(waited),
            "sparse": percentiles(sparse),
            "sent": sent,
            "lost": lost,
        }));
    }
    if arguments.json {
        let trace = json!({ "packets": trace.len(), "rate-bits": arguments.down.as_bits() });
        return print(&format!("{}\n", json!({ "simulation": true, "trace": trace, "queues": results })));
    }
    say(
        "Simulated: no packet was sent, and nobody sends less where packets are lost, for a trace does not listen. What a packet waits:\n",
    );
    print(&table(&rows))
}

/// Reads a trace: a packet a line, its time in seconds, its flow's number, its octets.
fn read(path: &Path) -> Result<Vec<Arrival>, String> {
    let name = path.display();
    let file = File::open(path).map_err(|error| format!("cannot read {name}: {error}"))?;
    let mut reader = BufReader::new(file);
    let (mut trace, mut line, mut number) = (Vec::new(), String::new(), 0_u64);
    loop {
        line.clear();
        number += 1;
        let length = reader.by_ref().take(LONGEST_LINE).read_line(&mut line);
        let length = length.map_err(|error| format!("cannot read {name}, line {number}: {error}"))?;
        if length == 0 {
            break;
        }
        let text = line.trim();
        if text.is_empty() || text.starts_with('#') {
            continue;
        }
        let arrival = arrival(text).ok_or_else(|| {
            format!(
                "{name}, line {number}: `{text}` is no packet; write its time in seconds (up to a day), its flow's number and its octets, \
                 as `tshark -T fields -e frame.time_relative -e tcp.stream -e frame.len` does"
            )
        })?;
        if trace.len() >= MOST_PACKETS {
            return Err(format!("{name} has more than {MOST_PACKETS} packets; cut it"));
        }
        trace.push(arrival);
    }
    if trace.is_empty() {
        return Err(format!("{name} has no packets"));
    }
    Ok(trace)
}

fn arrival(text: &str) -> Option<Arrival> {
    let mut words = text.split_whitespace();
    let seconds: f64 = words.next()?.parse().ok()?;
    let at = Duration::try_from_secs_f64(seconds).ok().filter(|at| *at <= LONGEST)?;
    let flow = words.next()?.parse().ok()?;
    let octets = words.next()?.parse().ok().filter(|octets| (1..=65_575).contains(octets))?;
    words.next().is_none().then_some(Arrival { at, flow, octets })
}

/// A rate on the command line.
pub(super) fn rate(text: &str) -> Result<Rate, String> {
    crate::shape::rate(text).and_then(|rate| {
        let simulated = Rate::bits(64_000)..=Rate::mbit(1000);
        if simulated.contains(&rate) {
            Ok(rate)
        } else {
            Err("choose 64k to 1G: more takes too long to simulate".to_owned())
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_a_trace_are_read_and_mistakes_refused() {
        let read = Arrival { at: Duration::from_millis(1500), flow: 7, octets: 1500 };
        assert_eq!(arrival("1.5 7\t1500"), Some(read));
        for wrong in [
            "",
            "1.5",
            "1.5 7",
            "-1 7 1500",
            "1e99 7 1500",
            "nan 7 1500",
            "1 7 0",
            "1 7 99999",
            "1 7 60 9",
            "1 x 60",
        ] {
            assert_eq!(arrival(wrong), None, "{wrong}");
        }
    }
}
