//! One program in one world: started, watched, visited, stopped. What is seen is data; [`super::judge`] says what it means.

use super::far::Question;
use super::probe::{self, Kind, Port, Probe};
use super::world::{Built, HERE, World};
use serde::Serialize;
use sixgate_endpoint::Endpoint;
use sixgate_lab::{Command, Host, Log, Signal};
use sixgate_linux::listeners::{self as linux, Bound, Protocol};
use sixgate_linux::process;
use sixgate_linux::trace::{self, Action, Call, Event, Options, SocketName, Traced};
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::process::ExitStatus;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Calls that are kept of one run; of more, the first.
const CALLS: usize = 100_000;
/// A server that has opened nothing new for this long has opened what it will.
const SETTLED: Duration = Duration::from_millis(400);
/// Listeners that are visited, all at a time.
const VISITED: usize = 256;

/// How long the last words of one that has ended are waited for.
const LAST_WORDS: Duration = Duration::from_millis(500);
/// How long it may take to end when it is told to.
const GRACE: Duration = Duration::from_secs(2);

/// What to run, and how long to wait for what.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    pub(crate) program: Vec<std::ffi::OsString>,
    /// Where it starts.
    pub(crate) folder: std::path::PathBuf,
    /// How long it may take to listen, or to end.
    pub(crate) patience: Duration,
    /// How listeners are visited, where it is not left to be guessed.
    pub(crate) probes: Vec<Probe>,
    /// Listeners that the program was told to refuse visitors at.
    pub(crate) denied: Vec<Port>,
    /// Set when the user has had enough: what runs is ended at once.
    pub(crate) stopped: Arc<AtomicBool>,
}

impl Plan {
    fn command(&self) -> Command {
        let mut words = self.program.iter();
        let program = words.next().cloned().unwrap_or_default();
        Command::new(program).args(words).current_dir(&self.folder)
    }

    /// What the user said of visits, as it is written on the command line, with a space behind each.
    pub(crate) fn options(&self) -> String {
        let probes = self.probes.iter().map(|probe| format!("--probe {probe} "));
        probes.chain(self.denied.iter().map(|port| format!("--denied {port} "))).collect()
    }

    /// How a listener is visited.
    fn kind(&self, transport: &str, port: u16) -> Kind {
        let told = self.probes.iter().find(|probe| probe.transport == transport && probe.port == port);
        told.map_or(Kind::Guess, |probe| probe.kind.clone())
    }

    fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::Relaxed)
    }
}

/// Where a program listens.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub(crate) struct Listener {
    /// `tcp` or `udp`.
    pub(crate) transport: &'static str,
    /// Its own address, as the kernel has it.
    pub(crate) at: Endpoint,
    /// The program left the choice of the port to the kernel.
    pub(crate) any_port: bool,
    /// The kernel's number of the socket.
    #[serde(skip)]
    pub(crate) socket: u64,
}

/// A visit to a listener.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Visit {
    pub(crate) transport: &'static str,
    /// Which listener, by its port.
    pub(crate) port: u16,
    /// Where to.
    pub(crate) to: Endpoint,
    /// From the machine itself.
    pub(crate) local: bool,
    /// The program was told to refuse it.
    pub(crate) denied: bool,
    /// Why it failed.
    pub(crate) failed: Option<String>,
}

/// How it ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum End {
    /// By itself, with this code.
    Exited(i32),
    /// By a signal that was not ours.
    Killed(i32),
    /// It ran on until it was stopped.
    Stopped,
    /// It ended, and what it had started ran on until it was stopped.
    Forked(i32),
    /// It stood still, stopped by this signal of job control.
    Suspended(i32),
    /// It could not be started.
    NotStarted(String),
}

impl End {
    /// Whether it is what one hopes for.
    pub(crate) fn is_well(&self) -> bool {
        matches!(self, Self::Exited(0) | Self::Stopped | Self::Forked(0))
    }
}

/// All that was seen.
#[derive(Debug, Clone)]
pub(crate) struct Run {
    pub(crate) world: World,
    pub(crate) end: End,
    pub(crate) listeners: Vec<Listener>,
    pub(crate) visits: Vec<Visit>,
    pub(crate) questions: Vec<Question>,
    pub(crate) calls: Vec<Call>,
    /// Calls that were not kept.
    pub(crate) dropped: u64,
    /// The end of what it said.
    pub(crate) said: String,
    /// How long it ran.
    pub(crate) took: Duration,
    /// How long the world took to come up.
    pub(crate) built: Duration,
}

impl Run {
    /// What was tried to reach others: attempts with their destination, in order. Left out are questions to the resolver, what
    /// stays on the machine, and datagram sockets that are connected and used for nothing else: so does getaddrinfo find out
    /// which source address it would take (RFC 6724 section 6).
    pub(crate) fn attempts(&self) -> Vec<(&Call, &SocketName, IpAddr)> {
        let streams: BTreeSet<u64> = self
            .calls
            .iter()
            .filter(|call| matches!(call.action, Action::Socket { kind: nix::libc::SOCK_STREAM, .. }))
            .filter_map(|call| call.socket)
            .collect();
        // Those that answer reach nobody who did not ask.
        let answering =
            |call: &Call| self.listeners.iter().any(|listener| Some(listener.socket) == call.socket);
        let stream = |call: &Call| call.socket.is_some_and(|socket| streams.contains(&socket));
        let mut attempts: Vec<(&Call, &SocketName, IpAddr)> = self
            .calls
            .iter()
            .filter(|call| !answering(call))
            .filter_map(|call| match &call.action {
                Action::Connect { to } | Action::Send { to } => Some((call, to, to.address()?)),
                _ => None,
            })
            .filter(|(_, to, address)| {
                let here = address.is_loopback() || address.is_multicast() || address.is_unspecified();
                !here && !matches!(to.port(), Some(0 | 53))
            })
            .collect();
        if attempts.iter().any(|(call, ..)| stream(call)) {
            attempts.retain(|(call, ..)| stream(call) || matches!(call.action, Action::Send { .. }));
        }
        attempts
    }
}

/// Something on the way, for whoever waits.
pub(crate) type Progress<'a> = &'a mut dyn FnMut(&str);

/// Runs a program in a world.
///
/// # Errors
/// When the world cannot be made or the program cannot be traced: a sentence. That the program fails is no error.
pub(crate) fn run(plan: &Plan, world: World, progress: Progress<'_>) -> Result<Run, String> {
    let begun = Instant::now();
    let name = world.name.clone();
    let built = world.build().map_err(|error| format!("cannot make the world {name}: {error}"))?;
    let took_to_build = begun.elapsed();
    let begun = Instant::now();
    let refused_family = built.world.refused_family();
    let log = Log::new();
    let started = Traced::start(built.here.namespace(), &plan.command(), &Options { refused_family }, &log);
    let mut run = Run {
        world: built.world.clone(),
        end: End::Stopped,
        listeners: Vec::new(),
        visits: Vec::new(),
        questions: Vec::new(),
        calls: Vec::new(),
        dropped: 0,
        said: String::new(),
        took: Duration::ZERO,
        built: took_to_build,
    };
    let mut traced = match started {
        Ok(traced) => traced,
        Err(trace::Error::Start(error)) => {
            run.end = End::NotStarted(not_started(&error));
            return Ok(run);
        }
        Err(error) => return Err(error.to_string()),
    };
    let mut watch = Watch {
        calls: Vec::new(),
        dropped: 0,
        last: Instant::now(),
        first: traced.pid(),
        suspended: None,
        ended: None,
    };
    progress("started");
    run.listeners = settle(&built, &mut traced, &mut watch, plan);
    if !run.listeners.is_empty() {
        progress(&format!("visiting {}", ports(&run.listeners)));
        run.visits = visits(&built, plan, &run.listeners, &mut traced, &mut watch);
    }
    let grace = if plan.is_stopped() { Duration::ZERO } else { GRACE };
    run.end = end(&mut traced, &mut watch, grace);
    run.questions = built.far.questions();
    run.took = begun.elapsed();
    drop(traced);
    // Its last words may be under way; what forked away holds the pipes longer.
    log.wait_all(LAST_WORDS);
    run.said = log.tail(8);
    (run.calls, run.dropped) = (watch.calls, watch.dropped);
    Ok(run)
}

/// Why it could not be started: to its user, the world's machine has no name.
fn not_started(error: &process::Error) -> String {
    let process::Error::Start { program, source, .. } = error else { return error.to_string() };
    let hint = match source.kind() {
        std::io::ErrorKind::NotFound => "; is it installed?",
        std::io::ErrorKind::PermissionDenied => "; is it executable?",
        _ => "",
    };
    format!("cannot start {program}: {source}{hint}")
}

fn ports(listeners: &[Listener]) -> String {
    let mut ports: Vec<String> =
        listeners.iter().map(|listener| format!("{}/{}", listener.transport, listener.port())).collect();
    ports.dedup();
    ports.truncate(4);
    ports.join(", ")
}

impl Listener {
    pub(crate) fn is(&self, transport: &str, port: u16) -> bool {
        self.transport == transport && self.port() == port
    }

    pub(crate) fn port(&self) -> u16 {
        self.at.port().unwrap_or_default()
    }
}

/// What is gathered on the way.
struct Watch {
    calls: Vec<Call>,
    dropped: u64,
    /// When something was last opened.
    last: Instant,
    /// The process that was started.
    first: i32,
    /// The signal that it stands still for.
    suspended: Option<i32>,
    ended: Option<ExitStatus>,
}

impl Watch {
    fn take(&mut self, event: Event) {
        match event {
            Event::Called(call) => {
                if matches!(call.action, Action::Listen | Action::Bind { .. } | Action::Connect { .. }) {
                    self.last = Instant::now();
                }
                if self.calls.len() < CALLS { self.calls.push(call) } else { self.dropped += 1 }
            }
            Event::Executed { .. } => self.last = Instant::now(),
            Event::Suspended { process, signal } if process == self.first => self.suspended = signal,
            Event::Suspended { .. } => {}
            Event::Ended(status) => self.ended = Some(status),
        }
    }

    /// Whether a port was chosen for the listener.
    fn bound(&self, listener: &Listener) -> bool {
        self.calls.iter().any(|call| {
            call.socket == Some(listener.socket)
                && matches!(&call.action, Action::Bind { to } if to.port().is_some_and(|port| port > 0))
        })
    }

    /// Takes events for some time, or until all has ended.
    fn listen(&mut self, traced: &mut Traced, time: Duration) {
        let until = Instant::now() + time;
        // A program that calls without end has an event ready at any time.
        while Instant::now() < until
            && let Some(event) = traced.next(Some(until))
        {
            self.take(event);
        }
    }
}

/// Waits until the program has opened what it will, or has ended.
fn settle(built: &Built, traced: &mut Traced, watch: &mut Watch, plan: &Plan) -> Vec<Listener> {
    let deadline = Instant::now() + plan.patience;
    loop {
        watch.listen(traced, Duration::from_millis(20));
        if traced.over() || plan.is_stopped() {
            return Vec::new();
        }
        let mut listeners = listeners(&built.here);
        // The table may be ahead of what we were told: the calls that made these are heard of now at the latest, since a program
        // that listens has been resumed after its bind.
        watch.listen(traced, Duration::from_millis(20));
        // Sockets that ask questions have a port too, but not one that was chosen.
        for listener in &mut listeners {
            listener.any_port = !watch.bound(listener);
        }
        listeners.retain(|listener| listener.transport == "tcp" || !listener.any_port);
        let quiet = watch.last.elapsed() >= SETTLED;
        if (quiet && !listeners.is_empty()) || Instant::now() >= deadline {
            return listeners;
        }
    }
}

/// Visits each port by every address at which clients of this world would.
fn visits(
    built: &Built,
    plan: &Plan,
    listeners: &[Listener],
    traced: &mut Traced,
    watch: &mut Watch,
) -> Vec<Visit> {
    let mut targets = BTreeMap::new();
    for listener in listeners.iter().take(VISITED) {
        targets.entry((listener.transport, listener.port())).or_insert_with(Vec::new).push(listener);
    }
    let mut visits = Vec::new();
    let world = &built.world;
    let families = [(world.ipv6.serves(), HERE[0], "::1"), (world.ipv4.serves(), HERE[1], "127.0.0.1")];
    // One family after the other, so that a server that takes one at a time is not in its own way.
    for (_, outside, inside) in families.iter().filter(|(there, ..)| *there) {
        let mut visitors = Vec::new();
        for ((transport, port), all) in &targets {
            let loopback = all.iter().all(|listener| listener.at.address().is_loopback());
            let mut to = if loopback { (*inside).to_owned() } else { (*outside).to_owned() };
            let mut host = if loopback { &built.here } else { &built.there };
            if world.ipv6 == super::world::Presence::LinkLocal && !loopback {
                match built.here.wait_link_local("eth0", Duration::from_secs(3)) {
                    Ok(address) => to = format!("{address}%eth0"),
                    Err(_) => host = &built.here,
                }
            }
            let Ok(to) = to.parse::<Endpoint>() else { continue };
            let (to, udp) = (to.with_port(*port), *transport == "udp");
            let kind = plan.kind(transport, *port);
            let denied = plan.denied.contains(&Port { transport, port: *port });
            let visit = if denied { probe::visit_denied } else { probe::visit };
            let Ok(visitor) = host.thread(move || visit(to, udp, &kind)) else { continue };
            let visit = Visit { transport, port: *port, to, local: loopback, denied, failed: None };
            visitors.push((visit, visitor));
        }
        for (mut visit, visitor) in visitors {
            // The program's calls are taken meanwhile: it would wait for us otherwise.
            while !visitor.is_finished() {
                watch.listen(traced, Duration::from_millis(10));
                if traced.over() {
                    std::thread::sleep(Duration::from_millis(5));
                }
            }
            visit.failed = match visitor.join() {
                Ok(Ok(())) => None,
                Ok(Err(error)) => Some(error.to_string()),
                Err(_) => Some("the visitor died".to_owned()),
            };
            visits.push(visit);
        }
    }
    visits.sort_by_key(|visit| (visit.transport, visit.port));
    visits
}

/// Lets it end, or ends it.
fn end(traced: &mut Traced, watch: &mut Watch, grace: Duration) -> End {
    let (by_itself, ran) = (watch.ended, !traced.over());
    let suspended = watch.suspended.filter(|_| by_itself.is_none());
    if ran {
        // Where the first process has ended, what it left behind is the program.
        match by_itself {
            None => drop(traced.signal(Signal::SIGTERM)),
            Some(_) => traced.signal_all(Signal::SIGTERM),
        }
        // One that is stopped hears of it only when it goes on.
        if suspended.is_some() {
            traced.signal_all(Signal::SIGCONT);
        }
        watch.listen(traced, grace);
    }
    match (by_itself, suspended) {
        (Some(status), _) if !ran => exited(status),
        (Some(status), _) => End::Forked(status.code().unwrap_or(-1)),
        (None, Some(signal)) => End::Suspended(signal),
        (None, None) => End::Stopped,
    }
}

fn exited(status: ExitStatus) -> End {
    use std::os::unix::process::ExitStatusExt as _;
    match (status.code(), status.signal()) {
        (Some(code), _) => End::Exited(code),
        (None, signal) => End::Killed(signal.unwrap_or_default()),
    }
}

/// The kernel's tables of a host: TCP sockets that listen, UDP sockets that are bound and not connected.
fn listeners(host: &Host) -> Vec<Listener> {
    let of = |(transport, protocol)| {
        let listener = move |bound: Bound| Listener {
            transport,
            at: Endpoint::new(bound.address).with_port(bound.port),
            any_port: false,
            socket: bound.inode,
        };
        host.run(move || linux::bound(protocol)).into_iter().map(listener)
    };
    let mut found: Vec<_> =
        [("tcp", Protocol::Tcp), ("udp", Protocol::Udp)].into_iter().flat_map(of).collect();
    found.sort();
    found
}
