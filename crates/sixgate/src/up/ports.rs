//! Who had which ports of the NAT64's addresses, for the history: what the translator says is written within seconds.

use super::engine::Engine;
use super::event::{Event, Sender};
use crate::nat64::Translator;
use crate::translator::Journal;
use sixgate_store::{Block, Change, PortsChange};
use sixgate_xlat::Event as Said;
use std::sync::Arc;
use std::time::Duration;

/// How long something new waits for others that are written with it.
const PAUSE: Duration = Duration::from_secs(2);
/// Most changes that are given to the store at once: leases are behind them.
const BATCH: usize = 512;

/// What the translator says of ports, and when it is to be written.
#[derive(Debug, Default)]
pub(crate) struct Ports {
    journal: Option<Arc<Journal>>,
    /// What the store did not take.
    kept: Vec<Change>,
    pub(crate) due: Option<Duration>,
}

impl Engine {
    /// To be called once at the start: what an earlier run gave is nobody's any more.
    pub(crate) fn start_ports(&mut self, events: &Sender) {
        let now = self.now();
        if let Some(journal) = self.nat64.as_ref().map(Translator::journal) {
            let events = events.clone();
            journal.open(Box::new(move || events.try_send(Event::PortsGiven).is_ok()));
            self.ports.journal = Some(journal);
        }
        self.ports.kept.push(Change::Ports(PortsChange::Ended(now)));
        self.write_ports();
    }

    /// The translator gave ports, or took some back.
    pub(crate) fn ports_given(&mut self) {
        let due = self.now().saturating_add(PAUSE);
        self.ports.due.get_or_insert(due);
    }

    /// Writes what waits, where it is time to.
    pub(crate) fn write_ports_if_due(&mut self) {
        let now = self.now();
        if self.ports.due.is_some_and(|due| due <= now) {
            let more = self.write_ports();
            self.ports.due = more.then(|| now.saturating_add(PAUSE));
        }
    }

    /// Writes everything, because this process ends; the translator has ended before.
    pub(crate) fn end_ports(&mut self) {
        let now = self.now();
        if self.ports.journal.is_none() {
            return;
        }
        while self.write_ports() && self.ports.kept.is_empty() {}
        self.ports.kept.push(Change::Ports(PortsChange::Ended(now)));
        self.write_ports();
    }

    /// Writes some of what waits; whether there may be more.
    fn write_ports(&mut self) -> bool {
        let mut changes = std::mem::take(&mut self.ports.kept);
        if let Some(journal) = &self.ports.journal {
            let events = journal.take(BATCH.saturating_sub(changes.len()));
            changes.extend(events.into_iter().filter_map(change));
        }
        if changes.is_empty() {
            return false;
        }
        let full = changes.len() >= BATCH;
        if self.set_all(changes.clone()).is_none() {
            // The store takes no more now: they come first the next time.
            self.ports.kept = changes;
            return true;
        }
        full
    }
}

/// What an event means for the history.
fn change(event: Said) -> Option<Change> {
    let block = |holder, address: std::net::IpAddr, ports: std::ops::RangeInclusive<u16>| Block {
        address,
        first: *ports.start(),
        last: *ports.end(),
        holder,
    };
    let change = match event {
        Said::BlockAllocated { subscriber, address, ports, at } => {
            PortsChange::Given(block(subscriber, address.into(), ports), at)
        }
        Said::BlockReleased { subscriber, address, ports, at } => {
            PortsChange::Back(block(subscriber, address.into(), ports), at)
        }
        _ => return None,
    };
    Some(Change::Ports(change))
}
