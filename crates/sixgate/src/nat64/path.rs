//! The way of a packet: read, translated where it lies, written. One thread a queue, and nothing between.

use super::gather::Gather;
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
    /// Datagrams that left within a superpacket of ours.
    pub(super) gathered: AtomicU64,
    /// Packets that the kernel did not take.
    pub(super) not_sent: AtomicU64,
}

/// How long more datagrams of a flow are let come after some were gathered. A sender then wakes us once for many, not for each:
/// waking costs it more than sending.
const LULL: Duration = Duration::from_micros(50);

/// One queue and what serves it.
#[derive(Debug)]
pub(super) struct Path {
    queue: Queue,
    clock: Clock,
    shared: Arc<Shared>,
    buffer: Vec<u8>,
    gather: Gather,
    /// Datagrams were gathered in this burst.
    dense: bool,
    actions: Vec<Action>,
}

impl Path {
    pub(super) fn new(queue: Queue, clock: Clock, shared: Arc<Shared>) -> Self {
        let buffer = vec![0; HEADROOM + MAX_PACKET];
        Self { queue, clock, shared, buffer, gather: Gather::default(), dense: false, actions: Vec::new() }
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
        self.dense = false;
        let result = self.receive();
        flush(&self.queue, &mut self.gather, &self.shared.counts);
        result
    }

    fn receive(&mut self) -> io::Result<bool> {
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
            add(&self.shared.counts.not_sent, 1);
            return;
        };
        if offload.segment.is_some() {
            add(&self.shared.counts.superpackets, 1);
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
            let translated = offload::translated(header, shift, to_v6);
            let counts = &self.shared.counts;
            // Whether the checksum was found right is of use only here.
            let known = VnetHeader { checksum_valid: header.checksum_valid, ..translated };
            let mut waits = self.queue.takes_udp_superpackets() && self.gather.take(&known, packet.bytes());
            if !waits {
                flush(&self.queue, &mut self.gather, counts);
                waits = self.queue.takes_udp_superpackets() && self.gather.take(&known, packet.bytes());
            }
            self.dense |= self.gather.count() > 1;
            if !waits {
                send(&self.queue, &translated, packet.bytes(), counts);
            }
        }
        if !self.actions.is_empty() {
            self.act();
        }
    }

    /// What there is to do beside the packet.
    fn act(&mut self) {
        // What came before goes before.
        flush(&self.queue, &mut self.gather, &self.shared.counts);
        let mut actions = std::mem::take(&mut self.actions);
        for action in actions.drain(..) {
            match action {
                Action::Send(packet) => {
                    send(&self.queue, &VnetHeader::default(), &packet, &self.shared.counts);
                }
                Action::Log(event) => write_down(&event),
            }
        }
        self.actions = actions;
    }

    /// Waits for a packet, or until something in the tables is over.
    fn rest(&mut self) -> io::Result<()> {
        if self.dense {
            std::thread::sleep(LULL);
            return Ok(());
        }
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

fn add(counter: &AtomicU64, count: usize) {
    counter.fetch_add(count as u64, Ordering::Relaxed);
}

fn send(queue: &Queue, header: &VnetHeader, packet: &[u8], counts: &Counts) {
    if queue.send(header, packet).is_err() {
        add(&counts.not_sent, 1);
    }
}

/// Sends what was gathered.
fn flush(queue: &Queue, gather: &mut Gather, counts: &Counts) {
    let count = gather.count();
    if let Some((header, packet)) = gather.flush() {
        if count > 1 {
            add(&counts.gathered, count);
        }
        send(queue, &header, packet, counts);
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
