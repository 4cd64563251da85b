//! The way of a packet: read, translated where it lies, written. One thread a queue, and nothing between.

use super::gather::Gather;
use super::{Core, Ends, Shared, offload};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use sixgate_linux::clock::Clock;
use sixgate_linux::tun::{MAX_PACKET, VnetHeader};
use sixgate_xlat::{Action, Event, HEADROOM, Packet, Verdict};
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError};
use std::time::Duration;

/// Packets between two looks at the clock. The finest of the translator's times is a second.
const BURST: usize = 64;
/// How long an idle thread sleeps before it looks whether it shall end.
const NAP: Duration = Duration::from_millis(250);

/// What happened here and not in the translator.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    /// Packets that stood for many.
    pub(crate) superpackets: AtomicU64,
    /// Datagrams that left within a superpacket of ours.
    pub(crate) gathered: AtomicU64,
    /// Packets that the kernel did not take.
    pub(crate) not_sent: AtomicU64,
}

/// How long more datagrams of a flow are let come after some were gathered. A sender then wakes us once for many, not for each:
/// waking costs it more than sending.
const LULL: Duration = Duration::from_micros(50);

/// A pair of ends and what serves it.
pub(super) struct Path<C, E> {
    ends: E,
    clock: Clock,
    shared: Arc<Shared<C>>,
    buffer: Vec<u8>,
    gather: Gather,
    /// Datagrams were gathered in this burst.
    dense: bool,
    actions: Vec<Action>,
}

impl<C: Core, E: Ends> Path<C, E> {
    pub(super) fn new(ends: E, clock: Clock, shared: Arc<Shared<C>>) -> Self {
        let buffer = vec![0; HEADROOM + MAX_PACKET];
        Self { ends, clock, shared, buffer, gather: Gather::default(), dense: false, actions: Vec::new() }
    }

    /// Serves them until told to stop, or until a device is gone.
    pub(super) fn run(mut self) {
        while !self.shared.stop.load(Ordering::Relaxed) {
            if let Err(error) = self.burst().and_then(|idle| if idle { self.rest() } else { Ok(()) }) {
                let name = self.shared.name;
                tracing::error!(%error, "{name} has ended: its device cannot be read");
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
        flush(&self.ends, &mut self.gather, &self.shared.counts);
        result
    }

    fn receive(&mut self) -> io::Result<bool> {
        let now = self.clock.now();
        for _ in 0..BURST {
            match self.ends.receive(self.buffer.get_mut(HEADROOM..).unwrap_or_default()) {
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
        let verdict = self.shared.core().translate(now, &mut packet, &mut self.actions);
        if verdict == Verdict::Translated {
            let start = packet.range().start;
            let shift = HEADROOM.cast_signed() - start.cast_signed();
            let to_v6 = packet.bytes().first().is_some_and(|octet| octet >> 4 == 6);
            let translated = offload::translated(header, shift, to_v6);
            let counts = &self.shared.counts;
            // Whether the checksum was found right is of use only here.
            let known = VnetHeader { checksum_valid: header.checksum_valid, ..translated };
            let gathers = self.ends.takes_udp_superpackets(to_v6);
            let mut waits = gathers && self.gather.take(&known, packet.bytes());
            if !waits {
                flush(&self.ends, &mut self.gather, counts);
                waits = gathers && self.gather.take(&known, packet.bytes());
            }
            self.dense |= self.gather.count() > 1;
            if !waits {
                send(&self.ends, &translated, packet.bytes(), counts);
            }
        }
        if !self.actions.is_empty() {
            self.act();
        }
    }

    /// What there is to do beside the packet.
    fn act(&mut self) {
        // What came before goes before.
        flush(&self.ends, &mut self.gather, &self.shared.counts);
        let mut actions = std::mem::take(&mut self.actions);
        for action in actions.drain(..) {
            match action {
                Action::Send(packet) => {
                    send(&self.ends, &VnetHeader::default(), &packet, &self.shared.counts);
                }
                Action::Log(event) => {
                    write_down(&event);
                    self.shared.journal.write(&event);
                }
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
            let mut core = self.shared.core();
            core.handle_timeout(now, &mut self.actions);
            core.poll_timeout()
        };
        self.act();
        let left = due.map_or(NAP, |due| due.saturating_sub(now).min(NAP)).max(Duration::from_millis(1));
        let timeout = PollTimeout::try_from(left).unwrap_or(PollTimeout::from(1_u8));
        let sources = self.ends.sources();
        let mut sources: Vec<_> = sources.iter().map(|fd| PollFd::new(*fd, PollFlags::POLLIN)).collect();
        match poll(&mut sources, timeout) {
            Ok(_) | Err(Errno::EINTR) => Ok(()),
            Err(errno) => Err(errno.into()),
        }
    }
}

fn add(counter: &AtomicU64, count: usize) {
    counter.fetch_add(count as u64, Ordering::Relaxed);
}

fn send(ends: &impl Ends, header: &VnetHeader, packet: &[u8], counts: &Counts) {
    if ends.send(header, packet).is_err() {
        add(&counts.not_sent, 1);
    }
}

/// Sends what was gathered.
fn flush(ends: &impl Ends, gather: &mut Gather, counts: &Counts) {
    let count = gather.count();
    if let Some((header, packet)) = gather.flush() {
        if count > 1 {
            add(&counts.gathered, count);
        }
        send(ends, &header, packet, counts);
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
