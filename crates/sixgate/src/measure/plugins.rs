//! `sixgate measure plugins`: programs of the user's that measure, run by schedule, one after the other, within bounds.
//!
//! A plug-in prints one JSON object: numbers are figures; `host`, `family`, `method` and `octets` (what it sent and received) say of
//! what. It runs as a user who may do nothing, without capabilities and without a way to gain any, in a process group of its own; what it leaves
//! behind is ended with it.

use super::cli::Plugins;
use super::entry::{Entry, append};
use super::whole::{self, Cgroup, Watch};
use crate::child::{self, Bounds, Ended, Ran};
use crate::config::{Config, Plugin};
use crate::{Outcome, print, say, when};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use sixgate_linux::clock::Clock;
use sixgate_linux::sandbox::{self, Capabilities, Capability};
use std::collections::BTreeMap;
use std::io::Read as _;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

/// Where results are kept, in the state folder.
pub(crate) const HISTORY: &str = "measurements.jsonl";
/// How often is looked whether to stop.
const GLANCE: Duration = Duration::from_millis(50);
/// Figures that are taken of one run, and letters of a name or a word.
const MOST_FIGURES: usize = 32;
const LETTERS: usize = 200;
const DAY: u64 = 86_400;

/// What a run came to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Run {
    pub(crate) plugin: String,
    #[serde(flatten)]
    pub(crate) entry: Entry,
    /// Seconds that it took.
    pub(crate) took: f64,
    /// Octets that it sent and received, as it says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) octets: Option<u64>,
}

/// Runs plug-ins until told to stop, or each once.
pub(super) fn command(arguments: &Plugins) -> Outcome {
    let config = match Config::load(&arguments.file.config) {
        Ok(checked) => checked.config,
        Err(findings) => {
            crate::show(&findings);
            return Outcome::Usage;
        }
    };
    let wanted = |plugin: &&Plugin| arguments.names.is_empty() || arguments.names.contains(&plugin.name);
    let plugins: Vec<Plugin> = config.plugins.iter().filter(wanted).cloned().collect();
    if plugins.is_empty() {
        say(
            "sixgate: there is no such plug-in; they are written as [[measure.plugin]] in the configuration\n",
        );
        return Outcome::Usage;
    }
    let stopped = match crate::demo::stop_on_signal() {
        Ok(stopped) => stopped,
        Err(error) => return crate::fail(&format!("cannot listen for Ctrl-C: {error}")),
    };
    let cgroup = match confine(&plugins) {
        Ok(cgroup) => cgroup,
        Err(error) => {
            return crate::fail(&format!("plug-ins cannot be bounded, and are not run: {error}"));
        }
    };
    let run = |plugin: &Plugin| run(plugin, cgroup.as_ref(), &stopped);
    if arguments.feed {
        stop_with_parent(&stopped);
    }
    let history = config.state.join(HISTORY);
    let mut failed = false;
    let tell = |run: &Run| {
        if !arguments.once
            && let Err(error) = append(&history, std::slice::from_ref(&run.entry))
        {
            say(&format!("sixgate: cannot write {}: {error}\n", history.display()));
        }
        print(&if arguments.json || arguments.feed {
            serde_json::to_string(run).unwrap_or_default() + "\n"
        } else {
            told(run)
        })
    };
    if arguments.once {
        for plugin in &plugins {
            let run = run(plugin);
            failed |= !run.entry.is_ok();
            if tell(&run) != Outcome::Done || stopped.load(Ordering::Relaxed) {
                return Outcome::Failed;
            }
        }
        return if failed { Outcome::Failed } else { Outcome::Done };
    }
    let clock = Clock::new();
    let mut schedule = Schedule::new(&plugins, clock.now());
    while !stopped.load(Ordering::Relaxed) {
        let Some((due, at)) = schedule.next() else { break };
        if clock.now() < due {
            thread::sleep(due.saturating_sub(clock.now()).min(GLANCE));
            continue;
        }
        let Some(plugin) = plugins.get(at) else { break };
        let run = if schedule.is_spent(at, clock.now()) { spent(plugin) } else { run(plugin) };
        // One that does not tell what it took, having failed, has taken what it had.
        schedule.ran(at, clock.now(), run.octets.unwrap_or(plugin.budget.unwrap_or_default()));
        // What was cut short by the end is no measurement.
        if stopped.load(Ordering::Relaxed) || tell(&run) != Outcome::Done {
            break;
        }
    }
    Outcome::Done
}

/// Gives up what no plug-in needs. They are started by a thread that can become their user and nothing else.
fn confine(plugins: &[Plugin]) -> Result<Option<Cgroup>, String> {
    // What loses its parent comes to us, and is ended.
    nix::sys::prctl::set_child_subreaper(true).map_err(|error| error.to_string())?;
    let cgroup = whole::bound().map_err(|error| error.to_string())?;
    let ours = nix::unistd::geteuid();
    if !ours.is_root()
        && let Some(other) = plugins.iter().find(|plugin| plugin.user != ours.as_raw())
    {
        say(&format!("sixgate: without root, plug-ins run as this user and not as {}\n", other.user));
    }
    let kept = [Capability::Setuid, Capability::Setgid, Capability::Kill, Capability::DacOverride];
    sandbox::keep(kept.into()).map_err(|error| error.to_string())?;
    Ok(cgroup)
}

/// Stops when the one who started us goes away: its end of our standard input is closed then.
fn stop_with_parent(stopped: &Arc<AtomicBool>) {
    let stopped = Arc::clone(stopped);
    thread::spawn(move || {
        let _ = std::io::stdin().lock().read_to_end(&mut Vec::new());
        stopped.store(true, Ordering::Relaxed);
    });
}

/// Runs one, and ends all that it leaves behind.
fn run(plugin: &Plugin, cgroup: Option<&Cgroup>, stopped: &AtomicBool) -> Run {
    let mut watch = Watch::new(plugin.memory, cgroup);
    let bounds = Bounds { time: plugin.time, octets: plugin.octets };
    let started = sandbox::confined(
        Capabilities::from([Capability::Setuid, Capability::Setgid, Capability::Kill]),
        || {
            let mut command = Command::new(&plugin.program);
            command
                .args(&plugin.arguments)
                .env_clear()
                .env("PATH", "/usr/local/bin:/usr/bin:/bin")
                .env("LC_ALL", "C")
                .current_dir("/");
            if let Some(budget) = plugin.budget {
                command.env("SIXGATE_OCTETS_A_DAY", budget.to_string());
            }
            if nix::unistd::geteuid().is_root() {
                command.uid(plugin.user).gid(plugin.user);
            }
            child::run_while(&mut command, bounds, || {
                // What is cut short counts as one that took too long.
                if stopped.load(Ordering::Relaxed) { Some(Ended::TooLong) } else { watch.look() }
            })
        },
    );
    let left = child::hunt();
    let blank = Run { plugin: plugin.name.clone(), entry: blank(plugin), took: 0.0, octets: None };
    match started {
        Ok(Ok(ran)) => judge(blank, plugin, &ran, left),
        Ok(Err(error)) => failed(
            blank,
            format!(
                "it cannot be started: {error}; is {} there, and may user {} execute it?",
                plugin.program.display(),
                plugin.user
            ),
        ),
        Err(error) => failed(blank, format!("it cannot be confined: {error}")),
    }
}

fn blank(plugin: &Plugin) -> Entry {
    Entry {
        time: when::rfc3339(Clock::new().wall()),
        method: format!("plug-in {}", plugin.name),
        outcome: super::entry::OK.to_owned(),
        ..Entry::default()
    }
}

fn failed(run: Run, why: String) -> Run {
    Run { entry: run.entry.failed(why), ..run }
}

/// The day's octets are used up.
fn spent(plugin: &Plugin) -> Run {
    let budget = plugin.budget.unwrap_or_default();
    let why = format!("not run: it has used its {budget} octets of today (octets-a-day)");
    failed(Run { plugin: plugin.name.clone(), entry: blank(plugin), took: 0.0, octets: None }, why)
}

/// What it said, and how it ended.
fn judge(mut run: Run, plugin: &Plugin, ran: &Ran, (left, alive): (usize, bool)) -> Run {
    run.took = ran.took.as_secs_f64();
    if let Ok(Value::Object(said)) = serde_json::from_slice::<Value>(&ran.out) {
        take(&mut run, &said);
    }
    let last = String::from_utf8_lossy(&ran.errors);
    let last = last
        .lines()
        .rev()
        .find(|line| !line.trim().is_empty())
        .map_or_else(String::new, |line| format!(": {}", word(line)));
    let why = match ran.ended {
        Ended::TooLong => Some(format!("ended by us: it ran longer than {} s (time)", plugin.time.as_secs())),
        Ended::TooMuch => Some(format!("ended by us: it said more than {} octets (octets)", plugin.octets)),
        Ended::TooLarge => Some(format!(
            "ended by us: its processes took more than {} MiB together (memory)",
            plugin.memory >> 20
        )),
        Ended::TooMany => Some("ended by us: it was too many processes".to_owned()),
        Ended::Signal(signal) => Some(format!("it ended by signal {signal}{last}")),
        Ended::Exit(code) if code != 0 => Some(format!("it ended with code {code}{last}")),
        Ended::Exit(_) if alive => {
            Some(format!("it left processes behind that do not end, {left} others were ended"))
        }
        Ended::Exit(_) if left > 0 => Some(format!("it left {left} processes behind, which were ended")),
        Ended::Exit(_) if plugin.budget.is_some() && run.octets.is_none() => {
            Some("it does not say how many octets it took (`octets`), and octets-a-day is set".to_owned())
        }
        Ended::Exit(_) if run.entry.figures.is_empty() => {
            Some("it printed no JSON object with a number in it on its standard output".to_owned())
        }
        Ended::Exit(_) => None,
    };
    match why {
        Some(why) => failed(run, why),
        None => run,
    }
}

/// Takes figures and labels out of what it said.
fn take(run: &mut Run, said: &Map<String, Value>) {
    for (name, value) in said {
        match (name.as_str(), value) {
            ("octets", value) => run.octets = value.as_u64(),
            ("host", Value::String(text)) => run.entry.host = Some(word(text)),
            ("family", Value::String(text)) => run.entry.family = Some(word(text)),
            ("method", Value::String(text)) => run.entry.method = word(text),
            (name, Value::Number(number)) if run.entry.figures.len() < MOST_FIGURES => {
                if let Some(value) = number.as_f64().filter(|value| value.is_finite()) {
                    run.entry.figures.insert(word(name), value);
                }
            }
            _ => {}
        }
    }
}

/// Words of others: short, and without what commands a terminal.
fn word(text: &str) -> String {
    text.chars().filter(|letter| !letter.is_control()).take(LETTERS).collect()
}

fn told(run: &Run) -> String {
    let figures: Vec<String> =
        run.entry.figures.iter().map(|(name, value)| format!("{name} {value}")).collect();
    let labels = [Some(&run.plugin), run.entry.host.as_ref(), run.entry.family.as_ref()];
    let labels: Vec<&str> = labels.into_iter().flatten().map(String::as_str).collect();
    format!(
        "{} {}: {}, {} ({:.2} s)\n",
        run.entry.time,
        labels.join(" "),
        run.entry.outcome,
        figures.join(", "),
        run.took
    )
}

/// When each is due, and what it has used of its day. No clock: `now` since the Unix epoch.
struct Schedule {
    jobs: Vec<Job>,
}

struct Job {
    every: Duration,
    budget: Option<u64>,
    due: Duration,
    /// Days since the epoch, and octets used on that one.
    used: (u64, u64),
}

impl Schedule {
    /// All begin at once; they wait for each other.
    fn new(plugins: &[Plugin], now: Duration) -> Self {
        let job =
            |plugin: &Plugin| Job { every: plugin.every, budget: plugin.budget, due: now, used: (0, 0) };
        Self { jobs: plugins.iter().map(job).collect() }
    }

    /// Which is due first, and when.
    fn next(&self) -> Option<(Duration, usize)> {
        self.jobs.iter().enumerate().map(|(at, job)| (job.due, at)).min()
    }

    /// Whether it has used its octets of this day.
    fn is_spent(&self, at: usize, now: Duration) -> bool {
        self.jobs.get(at).is_some_and(|job| {
            let used = if job.used.0 == now.as_secs() / DAY { job.used.1 } else { 0 };
            job.budget.is_some_and(|budget| used >= budget)
        })
    }

    /// It ran. Runs that were missed meanwhile are not made up for.
    fn ran(&mut self, at: usize, now: Duration, octets: u64) {
        let Some(job) = self.jobs.get_mut(at) else { return };
        let day = now.as_secs() / DAY;
        let used = if job.used.0 == day { job.used.1 } else { 0 };
        job.used = (day, used.saturating_add(octets));
        job.due += job.every;
        if job.due <= now {
            job.due = now + job.every;
        }
    }
}

/// What `status` shows of each: its last run, and how many there were.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Measured {
    #[serde(flatten)]
    pub(crate) last: Run,
    pub(crate) runs: u64,
    pub(crate) failures: u64,
}

/// A run more.
pub(crate) fn count(all: &mut BTreeMap<String, Measured>, run: Run) {
    let failed = u64::from(!run.entry.is_ok());
    let (runs, failures) = all.get(&run.plugin).map_or((0, 0), |known| (known.runs, known.failures));
    all.insert(run.plugin.clone(), Measured { last: run, runs: runs + 1, failures: failures + failed });
}

impl Measured {
    /// A line of `sixgate status`.
    pub(crate) fn line(&self) -> String {
        let run = told(&self.last);
        format!("{}; {} runs, {} failed", run.trim_end(), self.runs, self.failures)
    }
}

/// Where the program of a running process is, to start another of it.
pub(crate) const SELF: &str = "/proc/self/exe";

/// The command that feeds `up`: it ends with its standard input.
pub(crate) fn feed(config: &Path) -> Command {
    let mut command = Command::new(SELF);
    command.args(["measure", "plugins", "--feed", "--config"]).arg(config);
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plugin(script: &str) -> Plugin {
        Plugin {
            name: "test".to_owned(),
            program: "/bin/sh".into(),
            arguments: vec!["-c".to_owned(), script.to_owned()],
            every: Duration::from_mins(1),
            time: Duration::from_secs(20),
            octets: 1000,
            memory: 64 << 20,
            budget: None,
            user: 65_534,
        }
    }

    fn judged(plugin: &Plugin, out: &[u8], ended: Ended, left: (usize, bool)) -> Run {
        let ran = Ran {
            out: out.to_vec(),
            errors: b"first\n\x1b[2Jlast\n\n".to_vec(),
            ended,
            took: Duration::from_secs(1),
        };
        let run = Run { plugin: plugin.name.clone(), entry: blank(plugin), took: 0.0, octets: None };
        judge(run, plugin, &ran, left)
    }

    #[test]
    fn what_it_says_is_taken_and_what_is_wrong_is_said() {
        let usual = plugin("");
        let said = br#"{"host": "h", "family": "IPv6", "rtt_ms": 1.5, "octets": 9, "more": {"x": 1}, "text": "t", "bad": null}"#;
        let run = judged(&usual, said, Ended::Exit(0), (0, false));
        assert!(run.entry.is_ok() && run.octets == Some(9), "{run:?}");
        assert_eq!(run.entry.figures, BTreeMap::from([("rtt_ms".to_owned(), 1.5)]));
        assert_eq!((run.entry.host.as_deref(), run.entry.family.as_deref()), (Some("h"), Some("IPv6")));
        let hungry = Plugin { budget: Some(10), ..plugin("") };
        let one = &br#"{"a": 1}"#[..];
        for (plugin, out, ended, left, why) in [
            (&usual, one, Ended::TooLong, (0, false), "longer than 20 s"),
            (&usual, one, Ended::TooMuch, (0, false), "more than 1000 octets"),
            (&usual, one, Ended::Exit(3), (0, false), "code 3: [2Jlast"),
            (&usual, one, Ended::Signal(9), (0, false), "signal 9"),
            (&usual, one, Ended::Exit(0), (2, false), "left 2 processes behind"),
            (&usual, one, Ended::Exit(0), (2, true), "do not end"),
            (&usual, b"[1]", Ended::Exit(0), (0, false), "no JSON object"),
            (&usual, b"", Ended::Exit(0), (0, false), "no JSON object"),
            (&hungry, one, Ended::Exit(0), (0, false), "how many octets"),
        ] {
            let run = judged(plugin, out, ended, left);
            assert!(run.entry.outcome.contains(why), "{why}: {run:?}");
        }
        let many: Vec<String> = (0..100).map(|n| format!("\"f{n}\": {n},")).collect();
        let many = many.concat();
        let many = judged(&usual, format!("{{{many}\"z\": 1}}").as_bytes(), Ended::Exit(0), (0, false));
        assert_eq!(many.entry.figures.len(), MOST_FIGURES);
    }

    #[test]
    fn each_has_its_time_and_its_day() {
        let second = Duration::from_secs;
        let now = second(DAY * 20_000);
        let plugins = [
            Plugin { every: second(60), budget: Some(100), ..plugin("") },
            Plugin { every: second(90), ..plugin("") },
        ];
        let mut schedule = Schedule::new(&plugins, now);
        assert_eq!(schedule.next(), Some((now, 0)));
        schedule.ran(0, now + second(5), 60);
        assert_eq!(schedule.next(), Some((now, 1)));
        schedule.ran(1, now + second(6), 1000);
        assert_eq!(schedule.next(), Some((now + second(60), 0)));
        // The machine slept: nothing is made up for.
        schedule.ran(0, now + second(1000), 60);
        assert_eq!(schedule.jobs[0].due, now + second(1060));
        assert!(schedule.is_spent(0, now + second(1060)) && !schedule.is_spent(1, now + second(1060)));
        assert!(!schedule.is_spent(0, now + second(DAY)));
        schedule.ran(0, now + second(DAY), 10);
        assert!(!schedule.is_spent(0, now + second(DAY)));
    }
}
