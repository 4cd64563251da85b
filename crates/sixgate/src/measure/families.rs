//! `sixgate measure families`: both families to the same name, side by side and against each other.

use super::cli::Families;
use super::entry::Entry;
use super::shown::{Progress, ms, table};
use crate::{Outcome, print};
use serde::Serialize;
use sixgate_endpoint::connect::{Connector, FamilyChoice, Policy, policy};
use sixgate_endpoint::{Family, Host};
use sixgate_measure::stats::{Samples, Summary, ms as millis};
use std::fmt::Write as _;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, Instant};

/// Where no port is given.
const PORT: u16 = 443;
/// An attempt that takes longer has failed.
const DEADLINE: Duration = Duration::from_secs(3);

/// One round.
#[derive(Debug, Clone, PartialEq, Serialize)]
struct Round {
    /// Seconds since the first.
    at: f64,
    /// Milliseconds to connect over IPv6; null where it failed.
    ipv6_ms: Option<f64>,
    /// Over IPv4.
    ipv4_ms: Option<f64>,
    /// Who won the race of both.
    winner: Option<String>,
    /// Milliseconds until it was won, questions to the resolver included.
    race_ms: Option<f64>,
}

/// All of one family.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
struct Alone {
    connect_ms: Option<Summary>,
    attempts: u32,
    failed: u32,
    /// Why, the last time.
    why: Option<String>,
    wins: u32,
}

#[derive(Debug, Serialize)]
struct Report {
    host: String,
    ipv6: Alone,
    ipv4: Alone,
    /// Milliseconds by which IPv6 connects faster than IPv4, in the middle of all rounds in which both did: negative where it is slower.
    ipv6_faster_by_ms: Option<f64>,
    race_ms: Option<Summary>,
    /// What follows from it.
    findings: Vec<String>,
    rounds: Vec<Round>,
    /// Each with its time, method and family.
    entries: Vec<Entry>,
}

pub(super) fn command(arguments: &Families) -> Outcome {
    let stopped = match crate::demo::stop_on_signal() {
        Ok(stopped) => stopped,
        Err(error) => return crate::fail(&format!("cannot listen for Ctrl-C: {error}")),
    };
    let mut progress = Progress::new(arguments.json);
    let begun = Instant::now();
    let (mut six, mut four) = (Alone::default(), Alone::default());
    let (mut rounds, mut entries) = (Vec::new(), Vec::new());
    for number in 0..arguments.rounds {
        if stopped.load(Ordering::Relaxed) {
            break;
        }
        let at = Duration::from_secs_f64(arguments.interval * f64::from(number));
        thread::sleep(at.saturating_sub(begun.elapsed()));
        let at = begun.elapsed().as_secs_f64();
        let ipv6_ms = alone(arguments, FamilyChoice::Ipv6, &mut six);
        let ipv4_ms = alone(arguments, FamilyChoice::Ipv4, &mut four);
        // A connector of its own: what it remembers would decide the next race.
        let race =
            Connector::new(Policy { deadline: DEADLINE, ..policy() }).connect(&arguments.host, PORT).ok();
        let winner = race.as_ref().map(|race| race.peer.family());
        match winner {
            Some(Family::V6) => six.wins += 1,
            Some(Family::V4) => four.wins += 1,
            None => {}
        }
        let race_ms = race.and_then(|race| race.trace.over).map(millis);
        for (family, took, sum) in [("IPv6", ipv6_ms, &six), ("IPv4", ipv4_ms, &four)] {
            entries.push(entry(CONNECT, &arguments.host, Some(family), took, sum.why.as_deref()));
        }
        let family = winner.map(|family| family.to_string());
        entries.push(entry(
            RACE,
            &arguments.host,
            family.as_deref(),
            race_ms,
            Some("neither family connects"),
        ));
        progress.show(
            "rounds",
            &format!(
                "{} of {}  IPv6 {}  IPv4 {}",
                number + 1,
                arguments.rounds,
                shown(ipv6_ms),
                shown(ipv4_ms)
            ),
        );
        rounds.push(Round { at, ipv6_ms, ipv4_ms, winner: winner.map(|family| family.to_string()), race_ms });
    }
    drop(progress);
    let report = report(arguments.host.to_string(), six, four, rounds, entries);
    let nothing = report.ipv6.connect_ms.is_none() && report.ipv4.connect_ms.is_none();
    let text = if arguments.json {
        format!("{:#}\n", serde_json::to_value(&report).unwrap_or_default())
    } else {
        told(&report)
    };
    let outcome = match arguments.export.export(&report.entries, text) {
        Ok(text) => print(&text),
        Err(outcome) => return outcome,
    };
    if nothing {
        crate::fail(&format!("{} cannot be reached over either family", arguments.host))
    } else {
        outcome
    }
}

/// By which means, in exports.
const CONNECT: &str = "TCP connect, each family alone";
const RACE: &str = "TCP connect, Happy Eyeballs (RFC 8305)";

fn entry(method: &str, host: &Host, family: Option<&str>, took: Option<f64>, why: Option<&str>) -> Entry {
    let entry = Entry::now(method, host, family);
    match took {
        Some(took) => entry.with("connect_ms", took),
        None => entry.failed(why.unwrap_or("failed")),
    }
}

fn shown(value: Option<f64>) -> String {
    value.map_or_else(|| "failed".to_owned(), |value| format!("{} ms", ms(value)))
}

/// Connects over one family alone: the milliseconds that its attempt took, without the resolver.
fn alone(arguments: &Families, family: FamilyChoice, sum: &mut Alone) -> Option<f64> {
    let policy = Policy { deadline: DEADLINE, nat64: false, ..policy().with_family(family) };
    sum.attempts += 1;
    match Connector::new(policy).connect(&arguments.host, PORT) {
        Ok(connection) => connection.trace.winner().and_then(|attempt| attempt.took).map(millis),
        Err(error) => {
            sum.failed += 1;
            sum.why = Some(error.to_string());
            None
        }
    }
}

fn report(host: String, mut six: Alone, mut four: Alone, rounds: Vec<Round>, entries: Vec<Entry>) -> Report {
    let all = |pick: fn(&Round) -> Option<f64>| rounds.iter().filter_map(pick).collect::<Samples>().summary();
    six.connect_ms = all(|round| round.ipv6_ms);
    four.connect_ms = all(|round| round.ipv4_ms);
    let faster = all(|round| Some(round.ipv4_ms? - round.ipv6_ms?)).map(|summary| summary.median);
    let race_ms = all(|round| round.race_ms);
    let findings = findings(&six, &four, faster);
    Report { host, ipv6: six, ipv4: four, ipv6_faster_by_ms: faster, race_ms, findings, rounds, entries }
}

/// What follows.
fn findings(six: &Alone, four: &Alone, faster: Option<f64>) -> Vec<String> {
    let mut findings = Vec::new();
    if six.failed > 0 && four.failed == 0 {
        findings.push(format!(
            "IPv6 failed {} of {} times, and IPv4 hides it: programs that race both (RFC 8305) go on over IPv4",
            six.failed, six.attempts
        ));
    }
    if four.failed > 0 && six.failed == 0 {
        findings.push(format!("IPv4 failed {} of {} times; IPv6 did not", four.failed, four.attempts));
    }
    if let Some(faster) = faster.filter(|faster| faster.abs() >= 1.0) {
        let (fast, slow) = if faster > 0.0 { ("IPv6", "IPv4") } else { ("IPv4", "IPv6") };
        findings.push(format!("{fast} connects {} ms faster than {slow} (median)", ms(faster.abs())));
    }
    // With both working, IPv6 has a head start of 250 ms (RFC 8305 section 5): where IPv4 wins, IPv6 was slower than that.
    if four.wins > 0 && six.failed == 0 && six.connect_ms.is_some() {
        findings.push(format!(
            "IPv4 won {} races though IPv6 works: IPv6 was slower than its head start",
            four.wins
        ));
    }
    findings
}

fn told(report: &Report) -> String {
    let cells = |texts: [&str; 6]| texts.map(str::to_owned).to_vec();
    let mut rows = vec![cells(["family", "median ms", "95 % ms", "worst ms", "failed", "races won"])];
    for (name, alone) in [("IPv6", &report.ipv6), ("IPv4", &report.ipv4)] {
        let value = |pick: fn(&Summary) -> f64| {
            alone.connect_ms.as_ref().map_or_else(|| "-".to_owned(), |summary| ms(pick(summary)))
        };
        rows.push(vec![
            name.to_owned(),
            value(|summary| summary.median),
            value(|summary| summary.p95),
            value(|summary| summary.max),
            format!("{} of {}", alone.failed, alone.attempts),
            alone.wins.to_string(),
        ]);
    }
    let mut out =
        format!("{}: connecting by TCP, {} rounds\n\n{}", report.host, report.rounds.len(), table(&rows));
    for (name, alone) in [("IPv6", &report.ipv6), ("IPv4", &report.ipv4)] {
        if let Some(why) = &alone.why {
            let _ = writeln!(out, "{name}: {why}");
        }
    }
    for finding in &report.findings {
        let _ = writeln!(out, "- {finding}");
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn round(six: Option<f64>, four: Option<f64>) -> Round {
        Round { at: 0.0, ipv6_ms: six, ipv4_ms: four, winner: None, race_ms: None }
    }

    #[test]
    fn a_hidden_failure_is_told_and_differences_are_of_the_same_round() {
        let six = Alone { attempts: 3, failed: 1, ..Alone::default() };
        let four = Alone { attempts: 3, ..Alone::default() };
        let rounds =
            vec![round(Some(10.0), Some(30.0)), round(None, Some(500.0)), round(Some(20.0), Some(40.0))];
        let report = report("h".to_owned(), six, four, rounds, Vec::new());
        assert_eq!(report.ipv6_faster_by_ms, Some(20.0));
        assert!(report.findings[0].contains("IPv6 failed 1 of 3 times, and IPv4 hides it"));
        assert!(report.findings[1].contains("IPv6 connects 20.0 ms faster"));
        assert!(told(&report).contains("1 of 3"));
    }
}
