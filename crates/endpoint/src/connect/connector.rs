//! [`Connector`]: the drivers' common ground.

use super::system::{Sources, find_sources};
use super::trace::Trace;
use super::workers::Workers;
use super::{Candidate, ConnectError, Event, Memory, Policy, Question, Race, Remembered};
use crate::network::Changes;
use crate::resolve::{Resolve, ResolveError, SystemResolver};
use crate::{Endpoint, Family, Host, nat64};
use std::collections::HashSet;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// A connection.
#[derive(Debug)]
pub struct Connection<S> {
    /// The connected socket: a `TcpStream` of `std` or of tokio, in its usual mode.
    pub stream: S,
    /// Whom it reached.
    pub peer: Endpoint,
    /// How.
    pub trace: Trace,
}

/// Makes connections. One for the whole program, so that they learn from each other; clones are the same one.
/// A program with threads in several network namespaces needs one for each: what is remembered, and the
/// threads that ask the resolver, belong to the namespace in which they began.
#[derive(Clone)]
pub struct Connector {
    pub(super) policy: Policy,
    pub(super) sources: Sources,
    resolver: Arc<dyn Resolve>,
    pub(super) shared: Arc<Shared>,
}

pub(super) struct Shared {
    pub(super) begin: Instant,
    memory: Mutex<Memory>,
    // Opened with the first name: it reads the kernel's tables.
    changes: Mutex<Watch>,
    workers: Arc<Workers>,
}

enum Watch {
    NotYet,
    Open(Box<Changes>),
    Refused,
}

impl fmt::Debug for Connector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connector").field("policy", &self.policy).finish_non_exhaustive()
    }
}

impl Default for Connector {
    fn default() -> Self {
        Self::new(Policy::default())
    }
}

/// One race to be, of a driver.
pub(super) struct Prepared {
    pub(super) race: Race,
    pub(super) target: Target,
}

/// Where a race goes, for the memory.
#[derive(Clone)]
pub(super) struct Target {
    pub(super) name: Option<Box<str>>,
    pub(super) port: u16,
    destination: Option<String>,
    epoch: u64,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Connector {
    /// With the system's resolver.
    pub fn new(policy: Policy) -> Self {
        let shared = Shared {
            begin: Instant::now(),
            memory: Mutex::default(),
            changes: Mutex::new(Watch::NotYet),
            workers: Arc::default(),
        };
        Self {
            policy,
            sources: Sources::default(),
            resolver: Arc::new(SystemResolver),
            shared: Arc::new(shared),
        }
    }

    /// With another resolver.
    #[must_use]
    pub fn with_resolver(self, resolver: Arc<dyn Resolve>) -> Self {
        Self { resolver, ..self }
    }

    /// From this address, over its family; a port where it has one. Call it once for each family that needs
    /// it.
    #[must_use]
    pub fn with_source(mut self, source: Endpoint) -> Self {
        match source.family() {
            Family::V4 => self.sources.v4 = Some(source),
            Family::V6 => self.sources.v6 = Some(source),
        }
        self
    }

    /// The policy in force.
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// What is remembered, by destination: for `cache show`.
    pub fn remembered(&self) -> Vec<Remembered> {
        lock(&self.shared.memory).entries(self.now())
    }

    /// Forgets what worked, as a change of the network does.
    pub fn forget(&self) {
        lock(&self.shared.memory).forget();
    }

    pub(super) fn now(&self) -> Duration {
        self.shared.begin.elapsed()
    }

    /// Drops the memory where the network has changed (RFC 8305 section 4); the epoch that holds now.
    fn refresh(&self) -> u64 {
        let changed = {
            let mut watch = lock(&self.shared.changes);
            if let Watch::NotYet = *watch {
                // Without the kernel's word the memory only fades.
                *watch = Changes::open().map_or(Watch::Refused, |changes| Watch::Open(Box::new(changes)));
            }
            match &mut *watch {
                Watch::Open(changes) => changes.changed(),
                Watch::NotYet | Watch::Refused => false,
            }
        };
        let mut memory = lock(&self.shared.memory);
        if changed {
            memory.forget();
        }
        memory.epoch()
    }

    pub(super) fn prepare(&self, host: &Host, default_port: u16) -> Prepared {
        let port = host.port().unwrap_or(default_port);
        let named = host.clone().with_port(port);
        if let Some(endpoint) = host.endpoint() {
            let race =
                Race::to_address(self.policy, Candidate::new(endpoint.with_port(port))).with_host(named);
            return Prepared { race, target: Target { name: None, port, destination: None, epoch: 0 } };
        }
        let epoch = self.refresh();
        let destination = named.to_string();
        let winner = lock(&self.shared.memory).winner(self.now(), &destination, &self.policy);
        let race = Race::to_name(self.policy).with_host(named).expecting(winner);
        let name = host.name_to_resolve().map(Box::from);
        Prepared { race, target: Target { name, port, destination: Some(destination), epoch } }
    }

    /// Asks on a thread that may block, unless `asker` is gone by then. An event where that cannot be.
    pub(super) fn ask_elsewhere(
        &self,
        asker: &Arc<()>,
        target: &Target,
        question: Question,
        tell: impl FnOnce(Event) + Send + 'static,
    ) -> Option<Event> {
        let (connector, target) = (self.clone(), target.clone());
        let submitted = self.shared.workers.submit(asker, move || {
            // A resolver of the program's own may panic; its question is then answered all the same.
            let asked = catch_unwind(AssertUnwindSafe(|| connector.ask(&target, question)));
            let panicked = |_| Event::NoAnswer(question, "the resolver panicked".to_owned());
            tell(asked.unwrap_or_else(panicked));
        });
        let no_thread = "the system has no thread to ask the resolver from; check the limits of this process";
        (!submitted).then(|| Event::NoAnswer(question, no_thread.to_owned()))
    }

    fn ask(&self, target: &Target, question: Question) -> Event {
        let name = target.name.as_deref().unwrap_or_default();
        let family = match question {
            Question::V4 => Family::V4,
            Question::V6 => Family::V6,
            Question::Nat64 => return self.ask_nat64(),
            Question::Service => return Event::Answer(question, Vec::new()),
        };
        match self.resolver.resolve(name, family) {
            Ok(endpoints) => {
                let with_port = |endpoint: Endpoint| Candidate::new(endpoint.with_port(target.port));
                let mut seen = HashSet::new();
                let is_new = |endpoint: &Endpoint| endpoint.family() == family && seen.insert(*endpoint);
                // The race takes the first so many, and tells how many it left out.
                let mut candidates: Vec<Candidate> =
                    endpoints.into_iter().filter(is_new).map(with_port).collect();
                // One family alone opens no socket of the other, be it for a look.
                if self.policy.family.allows(family) {
                    let used = candidates.len().min(self.policy.max_addresses);
                    find_sources(&mut candidates[..used], &self.sources);
                }
                if let Some(destination) = &target.destination {
                    lock(&self.shared.memory).recall(self.now(), destination, &self.policy, &mut candidates);
                }
                Event::Answer(question, candidates)
            }
            Err(error) => no_answer(question, error),
        }
    }

    fn ask_nat64(&self) -> Event {
        match nat64::discover(&*self.resolver) {
            Ok(prefixes) => Event::Prefixes(prefixes),
            Err(error) => no_answer(Question::Nat64, error),
        }
    }

    /// Learns from a race that is over; nothing from one to an address, which leaves no choice.
    pub(super) fn learn(&self, now: Duration, target: &Target, trace: &Trace) {
        if let Some(destination) = &target.destination {
            self.refresh();
            lock(&self.shared.memory).learn(now, target.epoch, Some(destination), trace);
        }
    }

    pub(super) fn lost(&self, target: &Target, race: Race) -> ConnectError {
        let trace = race.into_trace();
        self.learn(self.now(), target, &trace);
        ConnectError::new(trace)
    }
}

fn no_answer(question: Question, error: ResolveError) -> Event {
    Event::NoAnswer(question, error.reason)
}
