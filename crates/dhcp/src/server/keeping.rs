//! Keeping leases: on the disk before anybody is told of them, the disk the same as the table, and none beyond its end.

use super::{Action, Actions, Server, add};
use crate::lease::{Lease, LeaseChange, LeaseState};
use std::time::Duration;

/// A lease is kept from others for this long after its end: its client counts from when the Reply reached it, which is
/// later than when it was written.
const GRACE: Duration = Duration::from_secs(10);
/// How long the server waits after a failed commit before it tries the disk again.
const RETRY: Duration = Duration::from_secs(1);
/// Most changes in a commit that no message asked for.
const AT_ONCE: usize = 256;

impl Server {
    /// Takes out what contradicts a lease that was renewed later.
    pub(super) fn drop_contradictions(&mut self) {
        loop {
            let before = self.table.len();
            for (outer, inner) in self.table.nested() {
                // One of them may have gone.
                let Some((outer, inner)) = self.table.get(outer).zip(self.table.get(inner)) else { continue };
                if contradict(&outer, &inner) {
                    let older = if inner.renewed_at > outer.renewed_at { outer } else { inner };
                    self.table.remove(older.resource);
                    add(&mut self.counters.snapshot_conflicts);
                }
            }
            if self.table.len() == before {
                return;
            }
        }
    }

    /// The commit with this ticket is durable: lets out the routes and the Reply that waited for it. Call it in the order
    /// of the tickets; a ticket that is not known does nothing.
    pub fn committed(&mut self, ticket: u64, actions: &mut Actions) {
        let Some((resources, reply)) = self.flight.settle(ticket, true, &mut self.table) else { return };
        if self.mending == Some(ticket) {
            self.mending = None;
            self.suspect.retain(|resource| !resources.contains(resource));
        }
        for resource in resources {
            self.sync_route(resource, actions);
        }
        if let Some(reply) = reply {
            self.counters.reply = self.counters.reply.saturating_add(1);
            actions.push(Action::Reply(reply));
        }
    }

    /// The commit with this ticket did not happen: its leases are again what they were before, and nobody is told. The
    /// store may do it later nevertheless, before what later tickets ask for: the server overwrites it as soon as it can.
    pub fn commit_failed(&mut self, now: Duration, ticket: u64) {
        if let Some((resources, _)) = self.flight.settle(ticket, false, &mut self.table) {
            self.suspect.extend(resources);
            self.mending = self.mending.filter(|mending| *mending != ticket);
            self.counters.commits_failed = self.counters.commits_failed.saturating_add(1);
            self.retry_at = now.saturating_add(RETRY);
        }
    }

    pub(super) fn lease_timeout(&self) -> Option<Duration> {
        if !self.suspect.is_empty() {
            return (self.flight.len() == 0).then_some(self.retry_at);
        }
        if self.flight.len() >= self.limits.commits {
            return None;
        }
        let end = self.table.first_end()?;
        (end != Duration::MAX).then(|| end.saturating_add(GRACE).max(self.retry_at))
    }

    pub(super) fn stage(&mut self, ticket: u64, change: LeaseChange) {
        self.flight.stage(ticket, change, &mut self.table);
    }

    /// Commits what the server holds in place of what failed. It waits until every other commit has come back: one more
    /// may fail, and none is begun meanwhile.
    pub(super) fn mend(&mut self, now: Duration, actions: &mut Actions) {
        if self.suspect.is_empty() || now < self.retry_at || self.flight.len() > 0 {
            return;
        }
        let ticket = self.flight.ticket();
        for resource in self.suspect.iter().copied().take(AT_ONCE).collect::<Vec<_>>() {
            let lease = self.table.get(resource);
            self.stage(ticket, lease.map_or(LeaseChange::Remove(resource), LeaseChange::Put));
        }
        self.mending = Some(ticket);
        actions.push(Action::Commit { ticket, changes: self.flight.changes(ticket) });
    }

    /// Removes leases whose time is over.
    pub(super) fn expire(&mut self, now: Duration, actions: &mut Actions) {
        if now < self.retry_at || !self.suspect.is_empty() || self.flight.len() >= self.limits.commits {
            return;
        }
        let Some(over) = now.checked_sub(GRACE) else { return };
        if self.table.first_end().is_none_or(|end| end > over) {
            return;
        }
        let mut ended = self.table.ended(over, AT_ONCE);
        ended.sort_by_key(|lease| (lease.valid_until, lease.resource));
        if ended.is_empty() {
            return;
        }
        let ticket = self.flight.ticket();
        for lease in ended {
            if lease.state == LeaseState::Bound {
                self.counters.expired = self.counters.expired.saturating_add(1);
            }
            self.stage(ticket, LeaseChange::Remove(lease.resource));
        }
        actions.push(Action::Commit { ticket, changes: self.flight.changes(ticket) });
    }
}

/// Whether not both leases can stand. A registered address lies in the prefix of its owner (RFC 9686 section 4.2.1).
fn contradict(one: &Lease, other: &Lease) -> bool {
    let registered = |lease: &Lease| lease.state == LeaseState::Registered;
    !registered(one) && !registered(other)
}
