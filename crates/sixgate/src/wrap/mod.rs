//! `sixgate wrap`: networks without IPv4, without IPv6, and with one that lies, each put around a program; and what it did there.
//!
//! [`world`] makes a network, [`run`] runs the program in it and writes down what is seen, [`judge`] and [`findings`] say what
//! that means, and [`report`] tells people and machines.

mod clat;
mod compare;
mod far;
mod findings;
mod judge;
mod probe;
mod report;
mod run;
mod source;
mod world;

use crate::{Outcome, cli, fail, print, say};
use ipnet::IpNet;
use run::Plan;
use std::io::IsTerminal as _;
use std::time::{Duration, Instant};
use world::World;

pub(crate) use findings::Severity;
pub(crate) use probe::{Port, Probe};

fn net(text: &str) -> Result<IpNet, ipnet::AddrParseError> {
    text.parse()
}

/// `sixgate wrap`.
pub(crate) fn command(arguments: &cli::Wrap) -> Outcome {
    if arguments.list {
        return print(&report::worlds(&World::all().collect::<Vec<_>>(), arguments.json));
    }
    if let [old, new] = arguments.diff.as_slice() {
        let [old, new] = [old, new].map(|path| compare::Faults::read(path));
        return match old.and_then(|old| Ok((old, new?))) {
            Ok((old, new)) if new.beyond(&old).is_empty() => print(&compare::lines(&old, &new)),
            Ok((old, new)) => {
                print(&compare::lines(&old, &new));
                Outcome::Failed
            }
            Err(error) => {
                say(&format!("sixgate: {error}\n"));
                Outcome::Usage
            }
        };
    }
    // Read before anything runs: a wrong name should not be told after minutes.
    let baseline = match arguments.baseline.as_deref().map(compare::Faults::read).transpose() {
        Ok(baseline) => baseline,
        Err(error) => {
            say(&format!("sixgate: {error}\n"));
            return Outcome::Usage;
        }
    };
    let names: Vec<&str> = if arguments.worlds.is_empty() {
        world::USUAL.to_vec()
    } else {
        arguments.worlds.iter().map(String::as_str).collect()
    };
    let worlds = match names.into_iter().map(World::read).collect::<Result<Vec<_>, _>>() {
        Ok(worlds) => worlds,
        Err(error) => {
            say(&format!("sixgate: {error}\n"));
            return Outcome::Usage;
        }
    };
    let folder = match std::env::current_dir() {
        Ok(folder) => folder,
        Err(error) => return fail(&format!("cannot tell the current folder: {error}")),
    };
    // Before any thread: only a single-threaded process may enter a user namespace.
    if !nix::unistd::geteuid().is_root()
        && let Err(error) = sixgate_lab::become_root()
    {
        say(&format!("sixgate: {error}\n"));
        return Outcome::Refused;
    }
    let stopped = match crate::demo::stop_on_signal() {
        Ok(stopped) => stopped,
        Err(error) => return fail(&format!("cannot listen for Ctrl-C: {error}")),
    };
    let patience = Duration::from_secs(arguments.patience);
    let plan = Plan {
        program: arguments.program.clone(),
        folder,
        patience,
        probes: arguments.probe.clone(),
        denied: arguments.denied.clone(),
        stopped: std::sync::Arc::clone(&stopped),
    };
    let shows = std::io::stderr().is_terminal() && !arguments.quiet;
    let (count, begun) = (worlds.len(), Instant::now());
    let mut runs = Vec::new();
    for (number, world) in worlds.into_iter().enumerate() {
        let name = world.name.clone();
        let mut progress = |what: &str| {
            if shows {
                say(&format!("\r\x1b[K[{}/{count}] {name}: {what}", number + 1));
            }
        };
        progress("making the network");
        match run::run(&plan, world, &mut progress) {
            Ok(_) if stopped.load(std::sync::atomic::Ordering::Relaxed) => {
                if shows {
                    say("\r\x1b[K");
                }
                return fail("stopped before all worlds were tried");
            }
            Ok(run) => runs.push(run),
            // Of worlds that nobody named, those that can be made are better than none: an ordinary user may have no TUN device.
            Err(error) if arguments.worlds.is_empty() && !(runs.is_empty() && number + 1 == count) => {
                say(&format!("\nsixgate: {error}\nsixgate: {name} is not tested\n"));
            }
            Err(error) => {
                say(&format!("\nsixgate: {error}\n"));
                return Outcome::Refused;
            }
        }
    }
    if shows {
        say("\r\x1b[K");
    }
    let card = judge::judge(&runs);
    let colour = std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    let about = report::About::new(&arguments.program, plan.options(), begun.elapsed());
    for (path, text) in [
        (&arguments.sarif, report::sarif as fn(&report::About, &judge::Card) -> String),
        (&arguments.junit, report::junit),
        (&arguments.html, report::html),
    ] {
        let Some(path) = path else { continue };
        if let Err(error) = std::fs::write(path, text(&about, &card)) {
            return fail(&format!("cannot write {}: {error}", path.display()));
        }
    }
    let text = if arguments.json {
        report::json(&about, &card, &runs)
    } else {
        report::table(&about, &card, arguments.all, colour)
    };
    if print(&text) != Outcome::Done {
        return Outcome::Failed;
    }
    if let Some(baseline) = baseline {
        let now = compare::Faults::of(&serde_json::json!({ "card": card })).unwrap_or_default();
        let new = now.beyond(&baseline);
        for fault in &new {
            say(&format!("new since the baseline: {fault}\n"));
        }
        let untested = card.grade == judge::Grade::NotTested;
        return if new.is_empty() && !untested { Outcome::Done } else { Outcome::Failed };
    }
    let failed = card.findings.iter().any(|finding| finding.severity >= arguments.fail_on)
        || card.surfaces.iter().any(|surface| surface.cells.iter().any(judge::Cell::is_bad))
        || card.grade == judge::Grade::NotTested;
    if failed { Outcome::Failed } else { Outcome::Done }
}
