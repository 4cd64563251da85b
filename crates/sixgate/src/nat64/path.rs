//! The way of a packet: read, translated where it lies, written. One thread a queue, and nothing between.

use super::{Shared, offload};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use sixgate_linux::clock::Clock;
use sixgate_linux::tun::{MAX_PACKET, Queue, VnetHeader};
use sixgate_xlat::{Action, Event, HEADROOM, Packet, Verdict};
use std::io;
use std::os::fd::AsFd as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError};
use std::time::Duration;

/// Packets between two looks at the clock. The finest of the translator's times is a second.
const BURST: usize = 64;
/// How long an idle thread sleeps before it looks whether it shall end.
const NAP: Duration = Duration::from_millis(250);

/// What happened here and not in the translator.
#[derive(Debug, Default)]
pub(super) struct Counts {
    /// Packets that stood for many.
    pub(super) superpackets: AtomicU64,
    /// Packets that the kernel did not take.
    pub(super) not_sent: AtomicU64,
}

/// One queue and what serves it.
#[derive(Debug)]
pub(super) struct Path {
    queue: Queue,
    clock: Clock,
    shared: Arc<Shared>,
    buffer: Vec<u8>,
    actions: Vec<Action>,
}

impl Path {
    pub(super) fn new(queue: Queue, clock: Clock, shared: Arc<Shared>) -> Self {
        Self { queue, clock, shared, buffer: vec![0; HEADROOM + MAX_PACKET], actions: Vec::new() }
    }

    /// Serves the queue until told to stop, or until its device is gone.
    pub(super) fn run(mut self) {
        while !self.shared.stop.load(Ordering::Relaxed) {
            if let Err(error) = self.burst().and_then(|idle| if idle { self.rest() } else { Ok(()) }) {
                tracing::error!(%error, "NAT64 has ended: its device cannot be read");
                let mut failed = self.shared.failed.lock().unwrap_or_else(PoisonError::into_inner);
                failed.get_or_insert(format!("the TUN device cannot be read: {error}; was it deleted?"));
                return;
            }
        }
    }

    /// Some packets; whether there are no more.
    fn burst(&mut self) -> io::Result<bool> {
        let now = self.clock.now();
        for _ in 0..BURST {
            match self.queue.receive(self.buffer.get_mut(HEADROOM..).unwrap_or_default()) {
                Ok((header, length)) => self.packet(now, &header, length),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(true),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(false)
    }

    fn packet(&mut self, now: Duration, header: &VnetHeader, length: usize) {
        let Some(offload) = offload::of(header) else {
            self.count(|counts| &counts.not_sent);
            return;
        };
        if offload.segment.is_some() {
            self.count(|counts| &counts.superpackets);
        }
        let Ok(packet) = Packet::new(&mut self.buffer, HEADROOM..HEADROOM + length) else { return };
        let mut packet = packet.with_offload(offload);
        let verdict = {
            let mut nat64 = self.shared.nat64.lock().unwrap_or_else(PoisonError::into_inner);
            nat64.translate(now, &mut packet, &mut self.actions)
        };
        if verdict == Verdict::Translated {
            let start = packet.range().start;
            let shift = HEADROOM.cast_signed() - start.cast_signed();
            let to_v6 = packet.bytes().first().is_some_and(|octet| octet >> 4 == 6);
            let header = offload::translated(header, shift, to_v6);
            let sent = self.queue.send(&header, packet.bytes());
            self.sent(&sent);
        }
        if !self.actions.is_empty() {
            self.act();
        }
    }

    /// What there is to do beside the packet.
    fn act(&mut self) {
        let mut actions = std::mem::take(&mut self.actions);
        for action in actions.drain(..) {
            match action {
                Action::Send(packet) => {
                    let sent = self.queue.send(&VnetHeader::default(), &packet);
                    self.sent(&sent);
                }
                Action::Log(event) => write_down(&event),
            }
        }
        self.actions = actions;
    }

    fn sent(&self, sent: &io::Result<()>) {
        if sent.is_err() {
            self.count(|counts| &counts.not_sent);
        }
    }

    fn count(&self, which: impl Fn(&Counts) -> &AtomicU64) {
        which(&self.shared.counts).fetch_add(1, Ordering::Relaxed);
    }

    /// Waits for a packet, or until something in the tables is over.
    fn rest(&mut self) -> io::Result<()> {
        let now = self.clock.now();
        let due = {
            let mut nat64 = self.shared.nat64.lock().unwrap_or_else(PoisonError::into_inner);
            nat64.handle_timeout(now, &mut self.actions);
            nat64.poll_timeout()
        };
        self.act();
        let left = due.map_or(NAP, |due| due.saturating_sub(now).min(NAP)).max(Duration::from_millis(1));
        let timeout = PollTimeout::try_from(left).unwrap_or(PollTimeout::from(1_u8));
        match poll(&mut [PollFd::new(self.queue.as_fd(), PollFlags::POLLIN)], timeout) {
            Ok(_) | Err(Errno::EINTR) => Ok(()),
            Err(errno) => Err(errno.into()),
        }
    }
}

/// Writes an event into the log: whose ports were whose, above all.
fn write_down(event: &Event) {
    match event {
        Event::BlockAllocated { subscriber, address, ports, .. } => {
            tracing::info!(%subscriber, %address, first = ports.start(), last = ports.end(), "NAT64 ports given");
        }
        Event::BlockReleased { subscriber, address, ports, .. } => {
            tracing::info!(%subscriber, %address, first = ports.start(), last = ports.end(), "NAT64 ports given back");
        }
        Event::ZeroChecksum { source, destination, .. } => {
            tracing::debug!(%source, %destination, "UDP without a checksum discarded");
        }
        _ => {}
    }
}
