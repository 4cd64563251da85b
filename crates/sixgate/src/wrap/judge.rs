//! What was seen, judged: a matrix of worlds and surfaces, findings with their evidence, and a grade.
//!
//! Nothing here looks at anything but [`Run`]s, so that a judgement can be tested without a program.

use super::findings::{Finding, find, goes_by_v6};
use super::run::{End, Run};
use super::world::Presence;
use serde::Serialize;
use sixgate_linux::trace::Outcome;
use std::collections::{BTreeMap, BTreeSet};

/// What became of a surface in a world. There is no way from "not tested" to "works".
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "result", content = "why")]
pub(crate) enum Cell {
    Works,
    /// It works by some of the families that the world has, and not by others.
    Partly(String),
    Fails(String),
    /// The world has nothing for it to work with.
    NotApplicable,
    NotTested,
}

impl Cell {
    pub(crate) fn is_bad(&self) -> bool {
        matches!(self, Self::Fails(_) | Self::Partly(_))
    }
}

/// In one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Grade {
    /// Works in every world that was tried, those without IPv4 included.
    Ipv6OnlyReady,
    /// Uses IPv6 where there are both, and fails where there is no IPv4.
    DualStackOnly,
    /// Can be reached by IPv6, and does the rest by IPv4.
    ListensOnly,
    /// Does not use IPv6.
    Ipv4Only,
    /// Fails where there is no IPv6.
    BreaksWithoutIpv6,
    /// It did nothing with the network, or failed in every world.
    NotTested,
}

impl Grade {
    /// As it is written.
    pub(crate) fn text(self) -> &'static str {
        match self {
            Self::Ipv6OnlyReady => "IPv6-only ready",
            Self::DualStackOnly => "dual-stack only",
            Self::ListensOnly => "listens only (whitewashed)",
            Self::Ipv4Only => "IPv4 only",
            Self::BreaksWithoutIpv6 => "breaks without IPv6",
            Self::NotTested => "not tested",
        }
    }
}

/// A row of the matrix.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Surface {
    pub(crate) name: String,
    /// One for each world.
    pub(crate) cells: Vec<Cell>,
}

/// The report card.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Card {
    pub(crate) grade: Grade,
    /// Why this grade.
    pub(crate) because: String,
    pub(crate) worlds: Vec<String>,
    pub(crate) surfaces: Vec<Surface>,
    pub(crate) findings: Vec<Finding>,
}

/// Judges all runs of a program, one a world.
pub(crate) fn judge(runs: &[Run]) -> Card {
    let mut surfaces =
        vec![Surface { name: "runs".to_owned(), cells: runs.iter().map(|run| ends(run, runs)).collect() }];
    let ports: BTreeSet<(&str, u16)> = runs
        .iter()
        .flat_map(|run| run.listeners.iter().map(|listener| (listener.transport, listener.port())))
        .collect();
    // A port that the kernel chose differs from run to run: all of those are one surface.
    let chosen = |(transport, port): &(&str, u16)| {
        let seen = || runs.iter().flat_map(|run| &run.listeners).filter(|l| l.is(transport, *port));
        seen().all(|listener| listener.any_port) || *port >= 32_768 && seen().count() * 2 < runs.len()
    };
    let (any, fixed): (BTreeSet<_>, BTreeSet<_>) = ports.into_iter().partition(chosen);
    for (transport, port) in fixed {
        let this = BTreeSet::from([(transport, port)]);
        let cells = runs.iter().map(|run| answers(run, runs, &this)).collect();
        let denied = |run: &Run| {
            run.visits.iter().any(|visit| visit.denied && this.contains(&(visit.transport, visit.port)))
        };
        let does = if runs.iter().any(denied) { "refuses" } else { "answers" };
        surfaces.push(Surface { name: format!("{does} {transport}/{port}"), cells });
    }
    if !any.is_empty() {
        let cells = runs.iter().map(|run| answers(run, runs, &any)).collect();
        surfaces.push(Surface { name: "answers at any port".to_owned(), cells });
    }
    if runs.iter().any(|run| !destinations(run).is_empty()) {
        let cells = runs.iter().map(|run| connects(run, runs)).collect();
        surfaces.push(Surface { name: "connects out".to_owned(), cells });
    }
    if surfaces.len() == 1 && runs.iter().any(|run| !run.questions.is_empty()) {
        let asks = |run: &Run| match run.questions.is_empty() {
            false => Cell::Works,
            true if run.world.ipv4.reaches() || run.world.ipv6.reaches() => {
                Cell::Fails("the resolver was not asked".to_owned())
            }
            true => Cell::NotApplicable,
        };
        let cells = runs.iter().map(asks).collect();
        surfaces.push(Surface { name: "asks the resolver".to_owned(), cells });
    }
    let findings = find(runs);
    let (grade, because) = grade(runs, &surfaces, &findings);
    let worlds = runs.iter().map(|run| run.world.name.clone()).collect();
    Card { grade, because, worlds, surfaces, findings }
}

fn listens(run: &Run, ports: &BTreeSet<(&str, u16)>) -> bool {
    run.listeners.iter().any(|listener| ports.contains(&(listener.transport, listener.port())))
}

/// The world with everything, if it was tried: what is compared with.
fn reference(runs: &[Run]) -> Option<&Run> {
    runs.iter().find(|run| is_whole(run))
}

/// Whether nothing is missing in the run's world.
fn is_whole(run: &Run) -> bool {
    run.world.ipv4 == Presence::Works && run.world.ipv6 == Presence::Works
}

/// Whether the program ends as it does where nothing is missing.
fn ends(run: &Run, runs: &[Run]) -> Cell {
    let hoped = reference(runs).map(|run| &run.end);
    let last = run.said.lines().next_back().unwrap_or_default();
    let why = |what: String| Cell::Fails(if last.is_empty() { what } else { format!("{what}: {last}") });
    match (&run.end, hoped) {
        (End::NotStarted(error), _) => Cell::Fails(error.clone()),
        // As bad where nothing is missing: nothing of this world's doing.
        (end, Some(hoped)) if end == hoped && !end.is_well() => Cell::NotTested,
        (End::Stopped, Some(End::Exited(_) | End::Killed(_))) => why("it did not end".to_owned()),
        (End::Exited(0) | End::Forked(_), Some(End::Stopped)) => why("it ended by itself".to_owned()),
        (end, _) if end.is_well() => Cell::Works,
        (End::Exited(code), _) => why(format!("ended with exit code {code}")),
        (End::Killed(nix::libc::SIGSYS), _) => why(
            "ended for a system call that is not allowed: a 32-bit program cannot be tried, or it has a filter of its own"
                .to_owned(),
        ),
        (End::Killed(signal), _) => why(format!("killed by signal {signal} ({})", name(*signal))),
        (End::Forked(code), _) => why(format!("its first process ended with exit code {code}")),
        (End::Suspended(signal), _) => why(suspended(*signal)),
        (End::Stopped, _) => Cell::Works,
    }
}

/// Why a program stands still, and what may help.
fn suspended(signal: i32) -> String {
    let name = name(signal);
    match signal {
        nix::libc::SIGTTIN | nix::libc::SIGTTOU => {
            format!("it waits for a terminal ({name}), and there is none: run it as a service would")
        }
        _ => format!("it was stopped by {name}, and nothing made it go on"),
    }
}

/// `SIGSTOP`, or the number of a signal that has no name.
fn name(signal: i32) -> String {
    nix::sys::signal::Signal::try_from(signal).map_or_else(|_| signal.to_string(), |name| name.to_string())
}

/// Whether clients of the world's families are answered at these ports.
fn answers(run: &Run, runs: &[Run], ports: &BTreeSet<(&str, u16)>) -> Cell {
    if matches!(run.end, End::NotStarted(_)) {
        return Cell::Fails("it could not be started".to_owned());
    }
    let visits: Vec<_> =
        run.visits.iter().filter(|visit| ports.contains(&(visit.transport, visit.port))).collect();
    if visits.is_empty() {
        // Of very many listeners, some are not visited.
        return if !listens(run, ports) && reference(runs).is_none_or(|run| listens(run, ports)) {
            Cell::Fails("nothing listens there".to_owned())
        } else {
            Cell::NotTested
        };
    }
    let failed: Vec<String> = visits
        .iter()
        .filter_map(|visit| visit.failed.as_ref().map(|why| format!("{}: {why}", visit.to)))
        .collect();
    match failed.len() {
        0 => Cell::Works,
        count if count < visits.len() => Cell::Partly(failed.join("; ")),
        _ => Cell::Fails(failed.join("; ")),
    }
}

/// What a program tried to reach, by port, and whether one attempt at it went well.
fn destinations(run: &Run) -> BTreeMap<String, bool> {
    let mut all = BTreeMap::new();
    for (call, to, address) in run.attempts() {
        let (port, address) = (to.port().unwrap_or(0), address.to_canonical());
        let begun = match call.outcome {
            Outcome::Done => true,
            // It can only have got there if there is somebody.
            Outcome::Failed(nix::errno::Errno::EINPROGRESS) => {
                super::world::has(address) || super::far::serves(address, port)
            }
            _ => false,
        };
        // What is begun there never ends.
        let lost = run.world.ipv6 == Presence::Lost && goes_by_v6(to);
        let done = begun && !lost;
        *all.entry(format!("port {port}")).or_insert(false) |= done;
    }
    all
}

/// Whether the program reaches what it reaches where nothing is missing.
fn connects(run: &Run, runs: &[Run]) -> Cell {
    let (reached, hoped) = (destinations(run), reference(runs).map(destinations));
    if !run.world.ipv4.reaches() && !run.world.ipv6.reaches() {
        return Cell::NotApplicable;
    }
    let hoped = hoped.unwrap_or_else(|| reached.clone());
    // A client that says it succeeded did; how it told apart its attempts is its own business. And one that got as far as where
    // nothing is missing, whatever it made of that, reached the other side.
    let as_hoped = reference(runs).is_some_and(|reference| reference.end == run.end);
    if (run.end == End::Exited(0) || as_hoped) && reached.values().any(|done| *done) {
        let pending = run.attempts().iter().all(|(call, ..)| call.outcome == Outcome::Pending);
        return if pending { Cell::Fails("it connected, and had no answer".to_owned()) } else { Cell::Works };
    }
    let missed: Vec<&String> = (hoped.iter())
        .filter(|(to, done)| **done && reached.get(*to) != Some(&true))
        .map(|(to, _)| to)
        .collect();
    let reaches = reached.values().any(|done| *done);
    match missed.as_slice() {
        [] if reaches && run.end.is_well() => Cell::Works,
        // Nothing is there to reach, or it did not want to: that says nothing of families.
        [] if reached.is_empty() || !reaches && (run.end.is_well() || as_hoped) => Cell::NotTested,
        [] => Cell::Fails("it connected, and did not succeed".to_owned()),
        [to, ..] => Cell::Fails(format!("nothing reached at {to}")),
    }
}

/// Why nothing can be said of a program: what became of it where nothing is missing, and what may help.
fn idle(run: &Run, used: bool) -> String {
    let (world, after) = (&run.world.name, format!("{:.1} s", run.took.as_secs_f32()));
    let last = run.said.lines().rfind(|line| !line.trim().is_empty());
    let said = last.map_or_else(
        || {
            "; it said nothing (some write to syslog alone: there is often an option for the foreground)"
                .to_owned()
        },
        |last| format!("; it said: {}", last.trim()),
    );
    let did = if used { "nobody was answered" } else { "it neither listened nor connected to anything" };
    match &run.end {
        End::NotStarted(error) => error.clone(),
        End::Exited(0) => {
            format!("in {world} it ended after {after}, and {did}; give it arguments with which it does")
        }
        End::Exited(code) => format!(
            "in {world}, where it could work, it ended with exit code {code} after {after}{said}; let it run by itself first"
        ),
        End::Killed(signal) => format!(
            "in {world}, where it could work, it was killed by signal {signal} ({}) after {after}{said}; mend that first",
            name(*signal)
        ),
        End::Suspended(signal) => format!("in {world} {}", suspended(*signal)),
        End::Stopped | End::Forked(_) => format!(
            "in {world} it ran until it was stopped after {after}, and {did}; give it more time (--patience), or \
             arguments with which it does"
        ),
    }
}

/// The grade, and why.
fn grade(runs: &[Run], surfaces: &[Surface], findings: &[Finding]) -> (Grade, String) {
    let whole = runs.iter().position(is_whole);
    let bad = |wanted: &dyn Fn(&Run) -> bool| -> Option<String> {
        runs.iter().enumerate().filter(|(_, run)| wanted(run)).find_map(|(column, run)| {
            surfaces.iter().find_map(|surface| {
                // What fails where nothing is missing fails for another reason.
                let elsewhere = whole.filter(|whole| *whole != column).and_then(|at| surface.cells.get(at));
                if matches!(elsewhere, Some(Cell::Fails(_))) {
                    return None;
                }
                let cell = surface.cells.get(column).filter(|cell| cell.is_bad())?;
                let (Cell::Fails(why) | Cell::Partly(why)) = cell else { return None };
                Some(format!("in {}, `{}` fails: {why}", run.world.name, surface.name))
            })
        })
    };
    let used = surfaces.len() > 1;
    let nothing_works = !surfaces.iter().any(|surface| surface.cells.contains(&Cell::Works));
    if runs.is_empty() || nothing_works || !used {
        let tried = reference(runs).or(runs.first());
        let why = tried.map_or_else(|| "no world was tried".to_owned(), |run| idle(run, used));
        return (Grade::NotTested, why);
    }
    let no6 = |run: &Run| !run.world.ipv6.serves();
    if let Some(why) = bad(&no6) {
        return (Grade::BreaksWithoutIpv6, why);
    }
    let no4 = |run: &Run| !run.world.ipv4.serves() && run.world.ipv6.serves();
    let six = |run: &Run| {
        let listening = run.visits.iter().any(|visit| visit.failed.is_none() && visit.to.ipv6().is_some());
        listening || run.attempts().iter().any(|(_, to, _)| goes_by_v6(to))
    };
    let both = |run: &Run| run.world.ipv4.serves() && run.world.ipv6.serves();
    // Where there are both, it shows which is used; where those were not tried, any use counts.
    let uses = runs.iter().filter(|run| both(run) || !runs.iter().any(both)).any(six);
    let tried_without = runs.iter().any(no4);
    // A surface that is bad there is spoken of above; one of which nothing is known must not pass with the others.
    let known = |cell: &Cell| !matches!(cell, Cell::NotTested | Cell::NotApplicable);
    let untested = surfaces
        .iter()
        .skip(1)
        .find(|surface| !runs.iter().zip(&surface.cells).any(|(run, cell)| no4(run) && known(cell)));
    match (bad(&no4), uses) {
        (Some(why), false) => (Grade::Ipv4Only, why),
        (Some(why), true) => {
            let out = surfaces.iter().find(|surface| surface.name == "connects out");
            let listens = runs.iter().enumerate().filter(|(_, run)| no4(run)).all(|(column, _)| {
                surfaces
                    .iter()
                    .filter(|surface| surface.name.starts_with("answers"))
                    .all(|surface| surface.cells.get(column) == Some(&Cell::Works))
            });
            let whitewashed =
                out.is_some() && listens && surfaces.iter().any(|s| s.name.starts_with("answers"));
            (if whitewashed { Grade::ListensOnly } else { Grade::DualStackOnly }, why)
        }
        (None, _) if !tried_without => (Grade::NotTested, "no world without IPv4 was tried".to_owned()),
        (None, _) if let Some(surface) = untested => {
            (Grade::NotTested, format!("`{}` was not tested where there is no IPv4", surface.name))
        }
        (None, _) => match bad(&both) {
            Some(why) => (Grade::DualStackOnly, why),
            None => match findings.iter().find(|finding| finding.whitewash) {
                Some(finding) => (Grade::ListensOnly, format!("{}: {}", finding.id, finding.what)),
                None => {
                    (Grade::Ipv6OnlyReady, "every surface works in every world that was tried".to_owned())
                }
            },
        },
    }
}
