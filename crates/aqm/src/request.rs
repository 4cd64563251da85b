//! A queue of requests for a server that may be asked for more than it can do.
//!
//! A request that waited longer than its client does costs as much as another and helps nobody; a server that
//! answers all in order soon answers only such. Here those are dropped before they cost anything.
//!
//! CoDel's way with packets does not carry over as it is: it drops a few and relies on senders to slow down,
//! while clients of DNS or DHCP ask again. So this is its form for servers (Maurer, "Fail at Scale", ACM Queue
//! 2015): a queue that has been empty within the last interval takes a burst, and requests may wait as long as
//! clients do; one that has not is overloaded, and who waited longer than the target is dropped.

use crate::time::{Stamp, nanoseconds};
use std::collections::VecDeque;
use std::time::Duration;

/// How [`Requests`] are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Config {
    /// Priorities, from 1 to 8: class 0 comes first.
    pub classes: usize,
    /// Requests held at most, over all classes.
    pub capacity: usize,
    /// How long a client waits before it gives up or asks again: older requests are never served.
    pub patience: Duration,
    /// How long a request may wait in overload.
    pub target: Duration,
    /// How long a queue has to stand without ever being empty to be overloaded.
    pub interval: Duration,
}

impl Default for Config {
    /// For a resolver: stub resolvers ask again after a second or more.
    fn default() -> Self {
        Self {
            classes: 1,
            capacity: 4096,
            patience: Duration::from_secs(1),
            target: Duration::from_millis(5),
            interval: Duration::from_millis(100),
        }
    }
}

/// What happened so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counters {
    /// Requests that came.
    pub pushed: u64,
    /// Requests handed out.
    pub served: u64,
    /// Requests dropped because they had waited too long.
    pub stale: u64,
    /// Requests turned away because there was no room.
    pub refused: u64,
}

impl Counters {
    fn with(self, other: Self) -> Self {
        Self {
            pushed: self.pushed + other.pushed,
            served: self.served + other.served,
            stale: self.stale + other.stale,
            refused: self.refused + other.refused,
        }
    }
}

#[derive(Debug)]
struct Class<T> {
    line: VecDeque<(T, Stamp)>,
    /// When it was empty last.
    empty: Stamp,
    /// Requests of classes before it that were served while it waited.
    passed_over: u32,
    counters: Counters,
}

/// Turns that classes with priority have while another waits.
const PASS_OVER: u32 = 8;

/// The queue.
///
/// ```
/// use sixgate_aqm::request::{Config, Requests};
/// use std::time::Duration;
///
/// let mut requests = Requests::new(Config { classes: 2, ..Config::default() });
/// let now = Duration::from_secs(1);
/// requests.push(now, 1, "renew");
/// requests.push(now, 0, "solicit");
/// assert_eq!(requests.pop(now, |_| {}), Some("solicit"));
///
/// let mut stale = Vec::new();
/// let later = now + Duration::from_secs(2);
/// assert_eq!(requests.pop(later, |request| stale.push(request)), None);
/// assert_eq!(stale, ["renew"]);
/// ```
#[derive(Debug)]
pub struct Requests<T> {
    config: Config,
    classes: Box<[Class<T>]>,
    waiting: usize,
}

impl<T> Requests<T> {
    /// An empty queue. It takes memory as requests come, up to its capacity, and keeps it.
    pub fn new(config: Config) -> Self {
        let config =
            Config { classes: config.classes.clamp(1, 8), capacity: config.capacity.max(1), ..config };
        let class = |_| Class {
            line: VecDeque::new(),
            empty: Stamp::default(),
            passed_over: 0,
            counters: Counters::default(),
        };
        Self { config, classes: (0..config.classes).map(class).collect(), waiting: 0 }
    }

    /// Takes a request in. Where there is no room, the oldest of the last class that waits goes, for it is the
    /// likeliest to be stale; or, where all that waits comes before it, the request itself. Returns what was
    /// turned away. A class that does not exist is the last one.
    pub fn push(&mut self, now: Duration, class: usize, request: T) -> Option<T> {
        let now = Stamp::of(now);
        let class = class.min(self.classes.len() - 1);
        let mut turned_away = None;
        if self.waiting >= self.config.capacity {
            let last = self.classes.iter_mut().skip(class).rev().find(|class| !class.line.is_empty());
            let Some(last) = last else {
                if let Some(class) = self.classes.get_mut(class) {
                    class.counters.pushed += 1;
                    class.counters.refused += 1;
                }
                return Some(request);
            };
            last.counters.refused += 1;
            turned_away = last.line.pop_front().map(|(oldest, _)| oldest);
            self.waiting -= 1;
        }
        if let Some(class) = self.classes.get_mut(class) {
            class.counters.pushed += 1;
            if class.line.is_empty() {
                class.empty = now;
            }
            class.line.push_back((request, now));
            self.waiting += 1;
        }
        turned_away
    }

    /// The next request to serve, of the first class that has one; every ninth time of a later class that
    /// waits. Those that are stale are given to `stale`, which may tell their clients or do nothing.
    pub fn pop(&mut self, now: Duration, mut stale: impl FnMut(T)) -> Option<T> {
        let now = Stamp::of(now);
        for class in &mut self.classes {
            let overloaded = now.since(class.empty) > nanoseconds(self.config.interval);
            let patience = nanoseconds(self.config.patience);
            let target = patience.min(nanoseconds(self.config.target));
            loop {
                // One that waits alone is no queue, whatever the server was busy with meanwhile.
                let limit = if overloaded && class.line.len() > 1 { target } else { patience };
                let Some((request, _)) = class.line.pop_front_if(|(_, came)| now.since(*came) > limit) else {
                    break;
                };
                self.waiting -= 1;
                class.counters.stale += 1;
                stale(request);
            }
            if class.line.is_empty() {
                class.empty = now;
            }
        }
        let passed_over = |class: &Class<T>| class.passed_over >= PASS_OVER && !class.line.is_empty();
        let chosen = self.classes.iter().position(passed_over);
        let chosen = chosen.or_else(|| self.classes.iter().position(|class| !class.line.is_empty()))?;
        let class = self.classes.get_mut(chosen)?;
        let (request, _) = class.line.pop_front()?;
        class.passed_over = 0;
        if class.line.is_empty() {
            class.empty = now;
        }
        class.counters.served += 1;
        for after in self.classes.iter_mut().skip(chosen + 1).filter(|class| !class.line.is_empty()) {
            after.passed_over += 1;
        }
        self.waiting -= 1;
        Some(request)
    }

    /// Requests that wait, stale ones included.
    pub fn len(&self) -> usize {
        self.waiting
    }

    /// Whether none waits.
    pub fn is_empty(&self) -> bool {
        self.waiting == 0
    }

    /// What happened so far.
    pub fn counters(&self) -> Counters {
        self.classes.iter().fold(Counters::default(), |all, class| all.with(class.counters))
    }

    /// What happened so far to requests of a class.
    pub fn counters_of(&self, class: usize) -> Counters {
        self.classes.get(class).map_or(Counters::default(), |class| class.counters)
    }
}
