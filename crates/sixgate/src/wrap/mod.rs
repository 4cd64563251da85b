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

use crate::{Outcome, fail, print, say};
use clap::Args;
use ipnet::IpNet;
use run::Plan;
use std::io::IsTerminal as _;
use std::path::PathBuf;
use std::time::{Duration, Instant};
use world::World;

pub(crate) use findings::Severity;
pub(crate) use probe::{Port, Probe};

/// Run a program in networks without IPv4, without IPv6, and with a broken one, and say whether it is IPv6 ready.
#[derive(Debug, Args)]
#[command(long_about = "\
Run a program in several worlds, each a network inside namespaces of its own (this machine's is not touched), and say
whether it is IPv6 ready or only seems so. The program's system calls for the network are traced, those of its children
and of static programs too; what it listens on is visited as a client would; the resolver of the worlds knows every name.

Far away, every name has the same two servers: 2001:db8:f::10 and 198.51.100.10, with web pages and the like at the usual
ports. Names that begin with `v4only.` have IPv4 alone, `v6only.` IPv6 alone, `nowhere.` nothing, and of `eight.` seven
addresses of eight are dead. `--list` tells the worlds.

A world of your own is a file: name = \"mine\", and ipv4 and ipv6 each \"works\", \"absent\", \"refused\", \"lost\",
\"link-local\" or \"slow\" (those three for IPv6) or \"translated\" (IPv4, by a CLAT), nat64 = true, bindv6only = true. Name it in --worlds as ./mine.toml.

Does the program's own access list hold? Tell it to refuse 192.0.2.0/24, 2001:db8::/32 and fe80::/10, which is where visitors come
from, and name the port with --denied: a list that 192.0.2.1 passes as ::ffff:192.0.2.1 is found.

Exit code 0 where every surface works and no finding is as bad as --fail-on; 1 where not, or where nothing could be tested.
Needs root, or a kernel that allows user namespaces.

Examples:
  sixgate wrap -- curl -sS http://www.example.com/
  sixgate wrap --worlds v6only,no4 --html card.html -- ./server --port 8080
  sixgate wrap --probe 8443=tls,9000=http:/health --denied 8080 -- ./server -c deny.conf
  sixgate wrap --json -- ./server > known.json; sixgate wrap --baseline known.json -- ./server")]
pub(crate) struct Arguments {
    /// The worlds to try, by name or file, in this order; seven unless told.
    #[arg(long, value_name = "LIST", value_delimiter = ',')]
    pub(crate) worlds: Vec<String>,
    /// Tell the worlds, and do nothing.
    #[arg(long)]
    pub(crate) list: bool,
    /// How long the program may take to listen, or to end, in seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = 15)]
    pub(crate) patience: u64,
    /// How a listener is visited, instead of what is guessed: PORT[/udp]=KIND, with accept, banner, http, http:/PATH, dns or tls.
    #[arg(long, value_name = "PORT=KIND", value_delimiter = ',')]
    pub(crate) probe: Vec<Probe>,
    /// A listener that the program was told to refuse all visitors at; who is served got past its filter.
    #[arg(long, value_name = "PORT", value_delimiter = ',')]
    pub(crate) denied: Vec<Port>,
    /// Exit with 1 for findings as bad as this.
    #[arg(long, value_enum, default_value_t = Severity::Error)]
    pub(crate) fail_on: Severity,
    /// Show all findings, not only the first.
    #[arg(long)]
    pub(crate) all: bool,
    /// Show no progress.
    #[arg(short, long)]
    pub(crate) quiet: bool,
    /// Print JSON, with every call of the program.
    #[arg(long)]
    pub(crate) json: bool,
    /// Write the report as one HTML page.
    #[arg(long, value_name = "FILE")]
    pub(crate) html: Option<PathBuf>,
    /// Write the surfaces as JUnit XML.
    #[arg(long, value_name = "FILE")]
    pub(crate) junit: Option<PathBuf>,
    /// Write the findings as SARIF.
    #[arg(long, value_name = "FILE")]
    pub(crate) sarif: Option<PathBuf>,
    /// Fail only for what is worse than in this report, which an earlier --json wrote.
    #[arg(long, value_name = "FILE")]
    pub(crate) baseline: Option<PathBuf>,
    /// Compare two reports, and run nothing; exit code 1 where the second is worse.
    #[arg(long, num_args = 2, value_names = ["OLD", "NEW"])]
    pub(crate) diff: Vec<PathBuf>,
    /// The program and its arguments.
    #[arg(last = true, required_unless_present_any = ["list", "diff"], value_name = "PROGRAM")]
    pub(crate) program: Vec<std::ffi::OsString>,
}

fn net(text: &str) -> Result<IpNet, ipnet::AddrParseError> {
    text.parse()
}

/// `sixgate wrap`.
pub(crate) fn command(arguments: &Arguments) -> Outcome {
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
