//! The way of a frame through our own queue: read from the device it was led into, queued, sent on when its time has come. One
//! thread serves both directions.

use super::frame::{Frame, Waiting};
use super::held;
use super::own::Shared;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::time::TimeSpec;
use sixgate_aqm::shape::Next;
use sixgate_linux::clock::Clock;
use sixgate_linux::socket::Outlet;
use sixgate_linux::tun::{MAX_PACKET, Queue};
use std::io;
use std::os::fd::AsFd as _;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Octets before an IP packet: an Ethernet header with two tags.
const LINK: usize = 22;
/// Frames read of one direction before the other has its turn.
const BURST: usize = 64;
/// How long an idle thread sleeps before it looks whether it shall end.
const NAP: Duration = Duration::from_millis(250);
/// How much later than allowed a packet may leave, so that a wakeup serves several: at 100 Mbit/s two of full size. The rate stays
/// exact, for what is late is sent together.
const LULL: Duration = Duration::from_micros(200);

/// What happened beside the queue.
#[derive(Debug, Default)]
pub(super) struct Counts {
    /// Frames that the kernel did not take back.
    pub(super) not_sent: AtomicU64,
}

/// One direction.
pub(super) struct Lane {
    pub(super) device: Queue,
    pub(super) outlet: Outlet,
    /// The device that the outlet sends by, where that is ours.
    pub(super) _back: Option<Queue>,
    pub(super) shared: Arc<Shared>,
    /// What the outlet had no room for.
    pub(super) held: Option<Frame>,
    /// When the next frame may leave; `None` where none waits.
    pub(super) due: Option<Duration>,
}

impl Lane {
    /// Queues what has come.
    fn take_in(&mut self, clock: &Clock, buffer: &mut [u8]) -> io::Result<()> {
        for _ in 0..BURST {
            match self.device.receive(buffer) {
                Ok((header, length)) => {
                    let waiting = Frame::waiting(buffer.get(..length).unwrap_or_default(), header);
                    self.shared.shaper().enqueue(clock.now(), waiting);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Sends what may be sent. The clock is read for each: what is old is dropped by its age.
    fn send_out(&mut self, clock: &Clock) {
        if let Some(frame) = self.held.take() {
            self.send(frame);
        }
        while self.held.is_none() {
            let next: Next<Waiting> = self.shared.shaper().dequeue(clock.now());
            match next {
                Next::Packet(packet) => self.send(packet.into_buffer()),
                Next::Wait(until) => {
                    self.due = Some(until);
                    return;
                }
                Next::Empty => {
                    self.due = None;
                    return;
                }
            }
        }
        self.due = None;
    }

    fn send(&mut self, frame: Frame) {
        let (header, octets) = frame.parts();
        match self.outlet.send(&header, octets) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.held = Some(frame),
            Err(_) => {
                self.shared.counts.not_sent.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    /// What wakes it, beside time.
    fn sources(&self) -> [Option<PollFd<'_>>; 2] {
        let room = self.held.is_some().then(|| PollFd::new(self.outlet.as_fd(), PollFlags::POLLOUT));
        [Some(PollFd::new(self.device.as_fd(), PollFlags::POLLIN)), room]
    }
}

/// A thread that ran this much later than it was due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stood {
    pub(super) until: Duration,
    pub(super) late: Duration,
}

/// Later than this is told: a machine that did something else.
const LATE: Duration = Duration::from_millis(3);

/// How much later than it was due the thread ran: what this machine adds to each packet's delay.
#[derive(Debug, Default)]
pub(super) struct Lateness {
    /// Nanoseconds: an average that follows slowly, and the most there was.
    average: AtomicU64,
    most: AtomicU64,
    stood: Mutex<Option<Stood>>,
}

impl Lateness {
    fn note(&self, now: Duration, late: Duration) {
        let nanoseconds = u64::try_from(late.as_nanos()).unwrap_or(u64::MAX);
        // There is one writer.
        let average = self.average.load(Ordering::Relaxed);
        self.average.store(average - (average >> 6) + (nanoseconds >> 6), Ordering::Relaxed);
        self.most.fetch_max(nanoseconds, Ordering::Relaxed);
        if late > LATE {
            *held(&self.stood) = Some(Stood { until: now, late });
        }
    }

    /// Average and most, in microseconds.
    pub(super) fn microseconds(&self) -> (u64, u64) {
        (self.average.load(Ordering::Relaxed) / 1000, self.most.load(Ordering::Relaxed) / 1000)
    }

    /// The last time that it ran late.
    pub(super) fn stood(&self) -> Option<Stood> {
        *held(&self.stood)
    }
}

/// What the thread and the one who stops it share.
#[derive(Debug, Default)]
pub(super) struct Stop {
    pub(super) asked: AtomicBool,
    pub(super) lateness: Lateness,
    /// Why the thread ended by itself.
    pub(super) failed: Mutex<Option<String>>,
}

/// Serves the lanes until told to stop, or until a device is gone.
pub(super) fn run(mut lanes: Vec<Lane>, stop: &Stop) {
    let clock = Clock::new();
    let mut buffer = vec![0; LINK + MAX_PACKET];
    while !stop.asked.load(Ordering::Relaxed) {
        if let Err(error) = turn(&mut lanes, &clock, &mut buffer, &stop.lateness) {
            tracing::error!(%error, "shaping has ended: its device cannot be read");
            let mut failed = held(&stop.failed);
            failed.get_or_insert(format!("its device cannot be read: {error}; was it deleted?"));
            return;
        }
    }
}

fn turn(lanes: &mut [Lane], clock: &Clock, buffer: &mut [u8], lateness: &Lateness) -> io::Result<()> {
    for lane in lanes.iter_mut() {
        lane.take_in(clock, buffer)?;
        lane.send_out(clock);
    }
    let due = lanes.iter().filter_map(|lane| lane.due).min();
    let now = clock.now();
    let left = due.map_or(NAP, |due| due.saturating_sub(now).max(LULL).min(NAP));
    let mut sources: Vec<_> = lanes.iter().flat_map(Lane::sources).flatten().collect();
    match ppoll(&mut sources, Some(TimeSpec::from_duration(left)), None) {
        Ok(0) if due.is_some() => {
            let woken = clock.now();
            lateness.note(woken, woken.saturating_sub(now + left));
            Ok(())
        }
        Ok(_) | Err(Errno::EINTR) => Ok(()),
        Err(errno) => Err(errno.into()),
    }
}
