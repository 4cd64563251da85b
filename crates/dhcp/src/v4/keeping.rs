//! Keeping leases: on the disk before anybody is told of them, the disk the same as the table, and none beyond its end.
//!
//! An address has at most one change on its way, and so has a client: see [`Flight::is_about`](crate::flight::Flight::is_about)
//! and [`Flight::concerns`](crate::flight::Flight::concerns).

use super::action::{Action, Actions};
use super::counters::Discard;
use super::lease::{Lease, LeaseChange, LeaseTable};
use super::server::{Server, count};
use crate::flight::{AT_ONCE, HeldUp, Table};
use crate::lease::{LeaseState, LinkId};
use sixgate_wire::dhcpv4::ClientId;
use std::net::Ipv4Addr;
use std::time::Duration;

impl Table for LeaseTable {
    type Key = Ipv4Addr;
    type Lease = Lease;
    type Holder = (LinkId, ClientId);

    fn lease(&self, address: Ipv4Addr) -> Option<Lease> {
        self.get(address).cloned()
    }

    fn change(&mut self, change: LeaseChange) {
        self.apply(change);
    }

    fn key(lease: &Lease) -> Ipv4Addr {
        lease.address
    }

    fn holder(lease: &Lease) -> Option<Self::Holder> {
        Some((lease.link.clone(), lease.client.clone()))
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
    /// The commit with this ticket is durable: lets out the answer that waited for it. Call it in the order
    /// of the tickets; a ticket that is not known does nothing.
    pub fn committed(&mut self, ticket: u64, actions: &mut Actions) {
        if let Some((_, Some(reply))) = self.flight.committed(ticket, &mut self.table, drop) {
            count(&mut self.counters.ack);
            actions.push(Action::Reply(reply));
        }
    }

    /// The commit with this ticket did not happen: its leases are again what they were before, and nobody is
    /// told. The store may do it later nevertheless, before what later tickets ask for: the server overwrites
    /// it as soon as it can.
    pub fn commit_failed(&mut self, now: Duration, ticket: u64) {
        if self.flight.failed(now, ticket, &mut self.table, drop) {
            count(&mut self.counters.commits_failed);
        }
    }

    /// The time at which to call [`Server::handle_timeout`]; `None` where there is nothing to wait for. Each
    /// call of another verb may change it.
    pub fn poll_timeout(&self) -> Option<Duration> {
        let idle = |lease: &&Lease| !self.flight.is_about(lease.address);
        self.flight.due(|| self.table.by_end().find(idle).map(|lease| lease.valid_until))
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

    /// Removes leases whose time is over.
    pub(super) fn expire(&mut self, now: Duration, actions: &mut Actions) {
        let Some(over) = self.flight.over(now) else { return };
        let ended: Vec<_> = self
            .table
            .by_end()
            .take_while(|lease| lease.valid_until <= over)
            .filter(|lease| !self.flight.is_about(lease.address))
            .take(AT_ONCE)
            .map(|lease| (lease.address, lease.state))
            .collect();
        if ended.is_empty() {
            return;
        }
        let ticket = self.flight.ticket();
        for (address, state) in ended {
            if state == LeaseState::Bound {
                count(&mut self.counters.expired);
            }
            self.stage(ticket, LeaseChange::Remove(address));
        }
        self.commit(ticket, actions);
    }
}
