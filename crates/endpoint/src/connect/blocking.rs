//! The driver for programs that block.
//!
//! Sockets do not block while they connect, and the loop waits for them. One that has begun is looked at
//! again at once: within a host the handshake is over by then, and such a connection takes two system calls
//! more than a plain one. It takes none more where an address is all there is and the policy has no deadline,
//! for then the kernel may wait.

use super::connector::{Prepared, Target};
use super::system::{failure, socket};
use super::{
    Action, Attempt, Candidate, ConnectError, Connection, Connector, Event, Failure, Question, Race, Trace,
};
use crate::{Endpoint, Host};
use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};
use rustix::io::{Errno, ioctl_fionbio};
use socket2::Socket;
use std::io;
use std::net::TcpStream;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

/// Answers of the resolver's threads, and what wakes the loop for them.
struct Answers {
    // With the time at which they came, which is before the loop looks.
    sender: Sender<(Duration, Event)>,
    receiver: Receiver<(Duration, Event)>,
    wake: Arc<OwnedFd>,
    // Lives as long as somebody waits for them.
    asker: Arc<()>,
}

impl Answers {
    fn new() -> Result<Self, String> {
        let wake = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)
            .map_err(|error| format!("the system has no file descriptor to give: {error}"))?;
        let (sender, receiver) = channel();
        Ok(Self { sender, receiver, wake: Arc::new(wake), asker: Arc::default() })
    }
}

struct Driver<'a> {
    connector: &'a Connector,
    target: Target,
    race: Race,
    answers: Option<Answers>,
    // Under way, not blocking.
    sockets: Vec<(Attempt, Endpoint, Socket)>,
    connected: Option<(Attempt, Endpoint, Socket)>,
    // The time the core was last told: it must not go back.
    latest: Duration,
}

impl Connector {
    /// Connects; blocks for as long as the policy's deadline at most. A name is asked for on threads of its
    /// own, an address needs none. Options such as `TCP_NODELAY` are the caller's to set.
    ///
    /// # Errors
    /// Where no address connects: what happened to each, and what to do.
    pub fn connect(&self, host: &Host, default_port: u16) -> Result<Connection<TcpStream>, ConnectError> {
        let Prepared { race, target } = self.prepare(host, default_port);
        let mut driver = Driver {
            connector: self,
            target,
            race,
            answers: None,
            sockets: Vec::new(),
            connected: None,
            latest: Duration::ZERO,
        };
        match driver.run() {
            Some((peer, socket)) => {
                let trace = driver.race.into_trace();
                self.learn(driver.latest, &driver.target, &trace);
                Ok(Connection { stream: socket.into(), peer, trace })
            }
            None => Err(self.lost(&driver.target, driver.race)),
        }
    }

    /// The candidates of a host in the order in which [`Self::connect`] would try them, with the reason for
    /// each place, and what the resolver said. Nothing is tried. Blocks until the resolver has answered, or
    /// the policy's deadline.
    pub fn explain(&self, host: &Host, default_port: u16) -> Trace {
        let Prepared { race, target } = self.prepare(host, default_port);
        let mut driver = Driver {
            connector: self,
            target,
            race: race.only_explaining(),
            answers: None,
            sockets: Vec::new(),
            connected: None,
            latest: Duration::ZERO,
        };
        driver.run();
        driver.race.into_trace()
    }
}

impl Driver<'_> {
    fn run(&mut self) -> Option<(Endpoint, Socket)> {
        let mut actions = Vec::with_capacity(4);
        let begin = self.tick();
        self.race.handle(begin, Event::Begin, &mut actions);
        loop {
            let mut next = 0;
            // Events of an action make further ones, behind.
            while let Some(action) = actions.get(next).cloned() {
                next += 1;
                match action {
                    Action::Ask(question) => {
                        if let Some(event) = self.ask(question) {
                            let now = self.tick();
                            self.race.handle(now, event, &mut actions);
                        }
                    }
                    // An event behind the one that asked for it has won.
                    Action::Start(..) if self.race.is_over() => {}
                    Action::Start(attempt, candidate) => {
                        let alone = self.sockets.is_empty() && next == actions.len();
                        let event = self.start(attempt, candidate, alone);
                        self.take_answers(&mut actions);
                        if let Some(event) = event {
                            let now = self.tick();
                            self.race.handle(now, event, &mut actions);
                        }
                    }
                    Action::Cancel(attempt) => self.sockets.retain(|(other, ..)| *other != attempt),
                    Action::Won(_) => return self.connected.take().map(|(_, peer, socket)| (peer, socket)),
                    Action::Lost => return None,
                }
            }
            actions.clear();
            if self.race.is_over() {
                return None;
            }
            let events = self.wait();
            self.take_answers(&mut actions);
            for event in events {
                let now = self.tick();
                self.race.handle(now, event, &mut actions);
            }
            let now = self.tick();
            self.race.handle_timeout(now, &mut actions);
        }
    }

    fn tick(&mut self) -> Duration {
        self.latest = self.latest.max(self.connector.now());
        self.latest
    }

    /// Asks on another thread. An event where that cannot be.
    fn ask(&mut self, question: Question) -> Option<Event> {
        let answers = match self.answers.take().map_or_else(Answers::new, Ok) {
            Ok(answers) => self.answers.insert(answers),
            Err(reason) => return Some(Event::NoAnswer(question, reason)),
        };
        let begin = self.connector.shared.begin;
        let (sender, wake) = (answers.sender.clone(), Arc::clone(&answers.wake));
        self.connector.ask_elsewhere(&answers.asker, &self.target, question, move |event| {
            // Nobody listens where the race is over.
            if sender.send((begin.elapsed(), event)).is_ok() {
                let _ = rustix::io::write(&*wake, &1_u64.to_ne_bytes());
            }
        })
    }

    /// Hands the core what the resolver's threads have said, as of when they said it.
    fn take_answers(&mut self, actions: &mut Vec<Action>) {
        let Some(answers) = &self.answers else { return };
        for (at, event) in answers.receiver.try_iter() {
            self.latest = self.latest.max(at);
            self.race.handle(self.latest, event, actions);
        }
    }

    /// Starts an attempt; an event where it has ended already.
    fn start(&mut self, attempt: Attempt, candidate: Candidate, alone: bool) -> Option<Event> {
        let to = candidate.to;
        let blocking = alone && self.answers.is_none() && self.race.poll_timeout().is_none();
        let (socket, address) = match socket(to, &self.connector.sources, blocking) {
            Ok(ready) => ready,
            Err(failure) => return Some(Event::Failed(attempt, failure)),
        };
        let address = address.into();
        let mut result = socket.connect(&address);
        if !blocking && result.as_ref().is_err_and(is_under_way) {
            // How far it has got.
            result = socket.connect(&address);
        }
        // The program finds a socket that blocks, the loop one that does not.
        let under_way = result.as_ref().is_err_and(is_under_way);
        if blocking == under_way
            && let Err(error) = ioctl_fionbio(&socket, under_way)
        {
            return Some(Event::Failed(attempt, Failure::System(io::Error::from(error).to_string())));
        }
        match result {
            Ok(()) => {
                self.connected = Some((attempt, to, socket));
                Some(Event::Connected(attempt))
            }
            Err(_) if under_way => {
                self.sockets.push((attempt, to, socket));
                None
            }
            Err(error) => Some(Event::Failed(attempt, failure(&error, to, &self.connector.sources))),
        }
    }

    /// Waits for a socket, an answer, or the core's next time.
    fn wait(&mut self) -> Vec<Event> {
        let now = self.connector.now();
        let timeout = self.race.poll_timeout().map(|due| due.saturating_sub(now));
        let timeout = timeout.and_then(|timeout| Timespec::try_from(timeout).ok());
        let mut polled: Vec<PollFd<'_>> = Vec::with_capacity(self.sockets.len() + 1);
        polled.extend(self.sockets.iter().map(|(.., socket)| PollFd::new(socket, PollFlags::OUT)));
        if let Some(answers) = &self.answers {
            polled.push(PollFd::new(&*answers.wake, PollFlags::IN));
        }
        let ready: Vec<bool> = match poll(&mut polled, timeout.as_ref()) {
            Ok(0) | Err(_) => Vec::new(),
            Ok(_) => polled.iter().map(|polled| !polled.revents().is_empty()).collect(),
        };
        drop(polled);
        let mut events = Vec::new();
        let is_ready = |index: usize| ready.get(index).copied().unwrap_or(false);
        let ended: Vec<usize> = (0..self.sockets.len()).filter(|&index| is_ready(index)).collect();
        for &index in ended.iter().rev() {
            let (attempt, to, socket) = self.sockets.remove(index);
            let error = match socket.take_error() {
                Ok(None) => ioctl_fionbio(&socket, false).err().map(io::Error::from),
                Ok(Some(error)) | Err(error) => Some(error),
            };
            if let Some(error) = error {
                events.push(Event::Failed(attempt, failure(&error, to, &self.connector.sources)));
            } else {
                // Several may be here. The core takes the first event, which is that of the last one seen
                // here.
                self.connected = Some((attempt, to, socket));
                events.push(Event::Connected(attempt));
            }
        }
        // The oldest first, as it is the preferred one.
        events.reverse();
        if let Some(answers) = &self.answers
            && ready.last() == Some(&true)
        {
            let mut count = [0; 8];
            let _ = rustix::io::read(&*answers.wake, &mut count);
        }
        events
    }
}

/// Whether the kernel goes on with the handshake; a signal does not end it.
fn is_under_way(error: &io::Error) -> bool {
    matches!(Errno::from_io_error(error), Some(Errno::INPROGRESS | Errno::ALREADY | Errno::INTR))
}
