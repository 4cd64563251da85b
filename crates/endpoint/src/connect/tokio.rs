//! The driver for programs that run on tokio.

use super::connector::{Prepared, Target};
use super::system::{failure, socket};
use super::{Action, Attempt, Candidate, ConnectError, Connection, Connector, Event, Question, Race};
use crate::{Endpoint, Host};
use std::future::{Future, poll_fn};
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::oneshot;
use tokio::time::{Instant, Sleep, sleep_until};

type Connecting = Pin<Box<dyn Future<Output = io::Result<TcpStream>> + Send>>;

/// All of a race is in this future: dropping it closes all.
struct Driver {
    connector: Connector,
    target: Target,
    race: Race,
    // Lives as long as somebody waits for the answers.
    asker: Arc<()>,
    questions: Vec<(Question, oneshot::Receiver<Event>)>,
    attempts: Vec<(Attempt, Endpoint, Connecting)>,
    connected: Option<(Endpoint, TcpStream)>,
    timer: Option<Pin<Box<Sleep>>>,
}

impl Connector {
    /// As [`Self::connect`], on tokio, with its timer and its I/O enabled. Dropping the future closes every
    /// attempt at once; a question to the system's resolver cannot be taken back and ends by itself, on a
    /// thread that is not the runtime's: the runtime's end does not wait for it.
    ///
    /// # Errors
    /// Where no address connects: what happened to each, and what to do.
    pub async fn connect_async(
        &self,
        host: &Host,
        default_port: u16,
    ) -> Result<Connection<TcpStream>, ConnectError> {
        let Prepared { race, target } = self.prepare(host, default_port);
        let mut driver = Driver {
            connector: self.clone(),
            target,
            race,
            asker: Arc::default(),
            questions: Vec::new(),
            attempts: Vec::new(),
            connected: None,
            timer: None,
        };
        match driver.run().await {
            Some((peer, stream)) => {
                let trace = driver.race.into_trace();
                self.learn(self.now(), &driver.target, &trace);
                Ok(Connection { stream, peer, trace })
            }
            None => Err(self.lost(&driver.target, driver.race)),
        }
    }
}

impl Driver {
    async fn run(&mut self) -> Option<(Endpoint, TcpStream)> {
        let mut actions = Vec::with_capacity(4);
        self.race.handle(self.connector.now(), Event::Begin, &mut actions);
        loop {
            let mut next = 0;
            // Events of an action make further ones, behind.
            while let Some(action) = actions.get(next).cloned() {
                next += 1;
                let event = match action {
                    Action::Ask(question) => self.ask(question),
                    Action::Start(attempt, candidate) => self.start(attempt, candidate),
                    Action::Cancel(attempt) => {
                        self.attempts.retain(|(other, ..)| *other != attempt);
                        None
                    }
                    Action::Won(_) => return self.connected.take(),
                    Action::Lost => return None,
                };
                if let Some(event) = event {
                    self.race.handle(self.connector.now(), event, &mut actions);
                }
            }
            actions.clear();
            if self.race.is_over() {
                return None;
            }
            self.set_timer();
            if let Some(event) = poll_fn(|context| self.poll(context)).await {
                self.race.handle(self.connector.now(), event, &mut actions);
            }
            self.race.handle_timeout(self.connector.now(), &mut actions);
        }
    }

    fn ask(&mut self, question: Question) -> Option<Event> {
        let (tell, told) = oneshot::channel();
        let tell = |event| {
            // Nobody listens where the race is over.
            let _ = tell.send(event);
        };
        let failed = self.connector.ask_elsewhere(&self.asker, &self.target, question, tell);
        if failed.is_none() {
            self.questions.push((question, told));
        }
        failed
    }

    fn start(&mut self, attempt: Attempt, candidate: Candidate) -> Option<Event> {
        let to = candidate.to;
        let (socket, address) = match socket(to, &self.connector.sources, false) {
            Ok(ready) => ready,
            Err(failure) => return Some(Event::Failed(attempt, failure)),
        };
        let socket = TcpSocket::from_std_stream(socket.into());
        self.attempts.push((attempt, to, Box::pin(socket.connect(address))));
        None
    }

    fn set_timer(&mut self) {
        let left = self.race.poll_timeout().map(|due| due.saturating_sub(self.connector.now()));
        let Some(at) = left.and_then(|left| Instant::now().checked_add(left)) else {
            self.timer = None;
            return;
        };
        match &mut self.timer {
            Some(timer) => timer.as_mut().reset(at),
            None => self.timer = Some(Box::pin(sleep_until(at))),
        }
    }

    /// The next event; `None` when time is up.
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Option<Event>> {
        // The oldest attempt first, as it is the preferred one.
        for index in 0..self.attempts.len() {
            let (_, _, connecting) = &mut self.attempts[index];
            let Poll::Ready(result) = connecting.as_mut().poll(context) else { continue };
            let (attempt, to, _) = self.attempts.remove(index);
            return Poll::Ready(Some(match result {
                Ok(stream) => {
                    self.connected = Some((to, stream));
                    Event::Connected(attempt)
                }
                Err(error) => Event::Failed(attempt, failure(&error, to, &self.connector.sources)),
            }));
        }
        for index in 0..self.questions.len() {
            let (question, told) = &mut self.questions[index];
            let Poll::Ready(result) = Pin::new(told).poll(context) else { continue };
            let question = *question;
            self.questions.remove(index);
            let ended = |_| Event::NoAnswer(question, "the resolver's thread has ended".to_owned());
            return Poll::Ready(Some(result.unwrap_or_else(ended)));
        }
        match &mut self.timer {
            Some(timer) => timer.as_mut().poll(context).map(|()| None),
            None => Poll::Pending,
        }
    }
}
