//! What has lately become of leases, for those who stay connected (RFC 7653).

use super::super::Server;
use super::query::is_told;
use crate::lease::{Lease, LeaseChange};
use std::collections::VecDeque;
use std::time::Duration;

/// Updates that are remembered: who falls behind by more, or comes back later, has to ask in bulk.
const MOST: usize = 16_384;

/// One lease that somebody got, kept or lost.
#[derive(Debug, Clone)]
pub(super) struct Update {
    /// When it became durable.
    pub(super) at: Duration,
    pub(super) lease: Lease,
    /// Whether it has ended.
    pub(super) gone: bool,
}

/// The latest updates, each with a number that only grows.
#[derive(Debug, Default)]
pub(super) struct Journal {
    updates: VecDeque<Update>,
    /// The number of the first of them.
    first: u64,
    /// From when on nothing is missing.
    whole_since: Duration,
}

impl Journal {
    pub(super) fn new(now: Duration) -> Self {
        Self { whole_since: now, ..Self::default() }
    }

    /// Remembers changes that are about to be told of; the server still knows what they replace. Whether there were any.
    pub(super) fn record(&mut self, now: Duration, server: &Server, changes: &[LeaseChange]) -> bool {
        let before = self.next();
        for change in changes {
            let held = server.durable(change.resource()).filter(is_told);
            match change {
                LeaseChange::Put(lease) if is_told(lease) => {
                    if let Some(held) = held.filter(|held| held.duid != lease.duid) {
                        self.push(Update { at: now, lease: held.clone(), gone: true });
                    }
                    self.push(Update { at: now, lease: lease.clone(), gone: false });
                }
                LeaseChange::Put(_) | LeaseChange::Remove(_) => {
                    if let Some(held) = held {
                        self.push(Update { at: now, lease: held.clone(), gone: true });
                    }
                }
            }
        }
        self.next() > before
    }

    fn push(&mut self, update: Update) {
        if self.updates.len() >= MOST
            && let Some(oldest) = self.updates.pop_front()
        {
            self.first += 1;
            // Another of the same instant may be left: that instant is not whole any more.
            self.whole_since = oldest.at.saturating_add(Duration::from_nanos(1));
        }
        self.updates.push_back(update);
    }

    /// The number that the next update gets.
    pub(super) fn next(&self) -> u64 {
        self.first + self.updates.len() as u64
    }

    /// The update with this number; `Err` where it is forgotten.
    pub(super) fn get(&self, number: u64) -> Result<Option<&Update>, ()> {
        let at = number.checked_sub(self.first).ok_or(())?;
        Ok(usize::try_from(at).ok().and_then(|at| self.updates.get(at)))
    }

    /// The number of the first update from a time on; none where some of them are forgotten, or were before this journal.
    pub(super) fn since(&self, time: Duration) -> Option<u64> {
        if time < self.whole_since {
            return None;
        }
        let at = self.updates.partition_point(|update| update.at < time);
        Some(self.first + at as u64)
    }
}
