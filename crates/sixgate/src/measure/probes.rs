//! Probes that leave at fixed times, whatever became of those before, and what comes back.

use super::far::{Far, set_mark};
use super::icmp::Icmp;
use sixgate_measure::echo::Echo;
use sixgate_measure::icmp::Said;
use sixgate_measure::rrul::{Mark, Probe};
use socket2::{Domain, Protocol, SockRef, Socket, Type};
use std::io;
use std::net::UdpSocket;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Sender;
use std::thread;
use std::time::{Duration, Instant};

/// How often a probe of each kind leaves.
pub(super) const INTERVAL: Duration = Duration::from_millis(100);

/// What happened to a probe.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Event {
    Sent(Instant, Probe, u32),
    Answered(Instant, Probe, u32),
}

/// Sends and receives on one socket.
trait Line: Send + 'static {
    fn send(&mut self, sequence: u32) -> io::Result<()>;
    /// The sequence number of an answer, and when it came.
    fn receive(&mut self, deadline: Instant) -> io::Result<Option<(u32, Instant)>>;
}

/// Starts all kinds of probes to a far end, from `begun` on. Says why a kind is left out.
pub(super) fn start(
    far: &Far,
    begun: Instant,
    stop: &Arc<AtomicBool>,
    events: &Sender<Event>,
) -> io::Result<Option<String>> {
    for mark in Mark::PROBES {
        run(Probe::Udp(mark), Datagrams::open(far, mark)?, begun, Arc::clone(stop), events.clone())?;
    }
    match Icmp::open(far.address) {
        Ok(icmp) => run(Probe::Icmp, icmp, begun, Arc::clone(stop), events.clone()).map(|()| None),
        Err(error) => Ok(Some(format!("no ICMP probes: {error} (they need root, or CAP_NET_RAW)"))),
    }
}

fn run(
    probe: Probe,
    mut line: impl Line,
    begun: Instant,
    stop: Arc<AtomicBool>,
    events: Sender<Event>,
) -> io::Result<()> {
    thread::Builder::new().name("probe".to_owned()).spawn(move || {
        let mut next = begun;
        for sequence in 0.. {
            while Instant::now() < next {
                match line.receive(next) {
                    Ok(Some((answered, at))) => drop(events.send(Event::Answered(at, probe, answered))),
                    Ok(None) => {}
                    // A port that is closed for a moment, a route that is gone: the probe is lost, and that is the result.
                    Err(_) => {
                        thread::sleep(next.saturating_duration_since(Instant::now()).min(INTERVAL / 10));
                    }
                }
            }
            if stop.load(Ordering::Relaxed) {
                return;
            }
            let sent = Event::Sent(Instant::now(), probe, sequence);
            if line.send(sequence).is_ok() && events.send(sent).is_err() {
                return;
            }
            // Fixed times: what comes late does not make all that follow late.
            next += INTERVAL;
        }
    })?;
    Ok(())
}

/// Probes of our own, to our own far end.
struct Datagrams {
    socket: UdpSocket,
    key: sixgate_measure::echo::Key,
    begun: Instant,
}

impl Datagrams {
    fn open(far: &Far, mark: Mark) -> io::Result<Self> {
        let socket = Socket::new(Domain::for_address(far.address), Type::DGRAM, Some(Protocol::UDP))?;
        set_mark(&socket, mark)?;
        socket.connect(&far.address.into())?;
        Ok(Self { socket: socket.into(), key: far.key, begun: Instant::now() })
    }
}

impl Line for Datagrams {
    fn send(&mut self, sequence: u32) -> io::Result<()> {
        let sent = u64::try_from(self.begun.elapsed().as_micros()).unwrap_or(u64::MAX);
        self.socket.send(&Echo { key: self.key, sequence, sent, there: 0 }.octets()).map(drop)
    }

    fn receive(&mut self, deadline: Instant) -> io::Result<Option<(u32, Instant)>> {
        let left = deadline.saturating_duration_since(Instant::now());
        SockRef::from(&self.socket).set_read_timeout(Some(left.max(Duration::from_micros(1))))?;
        let mut buffer = [0; 128];
        match self.socket.recv(&mut buffer) {
            Ok(length) => {
                let at = Instant::now();
                let echo = buffer.get(..length).and_then(Echo::read);
                Ok(echo.filter(|echo| echo.key == self.key && echo.there > 0).map(|echo| (echo.sequence, at)))
            }
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }
}

impl Line for Icmp {
    fn send(&mut self, sequence: u32) -> io::Result<()> {
        // Sixteen bits come back: at ten a second an hour and 49 minutes, more than any test takes.
        Icmp::send(self, sequence as u16, 0)
    }

    fn receive(&mut self, deadline: Instant) -> io::Result<Option<(u32, Instant)>> {
        let heard = Icmp::receive(self, deadline)?;
        Ok(heard
            .filter(|heard| heard.answer.said == Said::Reply)
            .map(|heard| (heard.answer.sequence.into(), heard.at)))
    }
}
