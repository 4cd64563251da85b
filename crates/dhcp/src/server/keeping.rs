//! Keeping leases: on the disk before anybody is told of them, the disk the same as the table, and none beyond its end.

use super::reconfigure::doubt;
use super::{Action, Actions, Discard, Server, add};
use crate::flight::{AT_ONCE, HeldUp, Table};
use crate::identity::Identity;
use crate::lease::{Kind, Lease, LeaseChange, LeaseState, LeaseTable, Resource};
use std::time::Duration;

impl Table for LeaseTable {
    type Key = Resource;
    type Lease = Lease;
    /// An association, by its holder, its number and its kind.
    type Holder = (Identity, u32, Kind);

    fn lease(&self, resource: Resource) -> Option<Lease> {
        self.get(resource)
    }

    fn change(&mut self, change: LeaseChange) {
        self.apply(change);
    }

    fn key(lease: &Lease) -> Resource {
        lease.resource
    }

    fn holder(lease: &Lease) -> Option<Self::Holder> {
        let bound = lease.state == LeaseState::Bound;
        bound.then(|| (lease.identity(), lease.iaid, lease.resource.kind()))
    }
}

impl From<HeldUp> for Discard {
    fn from(held_up: HeldUp) -> Self {
        match held_up {
            HeldUp::Store => Self::Store,
            HeldUp::Busy => Self::Busy,
        }
    }
}

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
        let over = |lease| doubt(&mut self.reconfigure, lease);
        let Some((resources, reply)) = self.flight.committed(ticket, &mut self.table, over) else { return };
        self.forget_doubted(actions);
        for resource in resources {
            self.sync_route(resource, actions);
        }
        if let Some(reply) = reply {
            add(&mut self.counters.reply);
            actions.push(Action::Reply(reply));
        }
    }

    /// The commit with this ticket did not happen: its leases are again what they were before, and nobody is told. The
    /// store may do it later nevertheless, before what later tickets ask for: the server overwrites it as soon as it can.
    pub fn commit_failed(&mut self, now: Duration, ticket: u64) {
        let over = |lease| doubt(&mut self.reconfigure, lease);
        if self.flight.failed(now, ticket, &mut self.table, over) {
            add(&mut self.counters.commits_failed);
        }
    }

    /// Takes back what was staged for a message that is not answered.
    pub(super) fn unstage(&mut self, ticket: u64) {
        let over = |lease| doubt(&mut self.reconfigure, lease);
        self.flight.forget(ticket, &mut self.table, over);
    }

    pub(super) fn stage(&mut self, ticket: u64, change: LeaseChange) {
        self.flight.stage(ticket, change, &mut self.table);
    }

    /// Asks for what was staged to be made durable.
    pub(super) fn commit(&self, ticket: u64, actions: &mut Actions) {
        actions.push(Action::Commit { ticket, changes: self.flight.changes(ticket) });
    }

    pub(super) fn mend(&mut self, now: Duration, actions: &mut Actions) {
        if let Some(ticket) = self.flight.mend(now, &mut self.table) {
            self.commit(ticket, actions);
        }
    }

    pub(super) fn lease_timeout(&self) -> Option<Duration> {
        self.flight.due(|| self.table.first_end())
    }

    /// Removes leases whose time is over.
    pub(super) fn expire(&mut self, now: Duration, actions: &mut Actions) {
        let Some(over) = self.flight.over(now) else { return };
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
                add(&mut self.counters.expired);
            }
            self.stage(ticket, LeaseChange::Remove(lease.resource));
        }
        self.commit(ticket, actions);
    }
}

/// Whether not both leases can stand. A registered address lies in the prefix of its owner (RFC 9686 section 4.2.1).
fn contradict(one: &Lease, other: &Lease) -> bool {
    let registered = |lease: &Lease| lease.state == LeaseState::Registered;
    !registered(one) && !registered(other)
}
