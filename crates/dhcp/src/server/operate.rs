//! What an operator does to a lease: ends it, or gives it to somebody else. It is durable before it is told.

use super::action::{Action, Actions};
use super::{Server, add};
use crate::identity::{Identity, Key, Learnt, Line, LinkLayer, Relay};
use crate::lease::{Lease, LeaseChange, LeaseState, Resource};
use crate::reservation::{Origin, Owner, Reservation};
use std::net::Ipv6Addr;
use std::sync::Arc;
use std::time::Duration;

/// Why a lease stays as it is.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// There is none.
    #[error("{0} is not leased; `sixgate leases` shows what is")]
    Unknown(Resource),
    /// It is declined, retired or registered.
    #[error("{resource} is {state}: nobody holds it, so it cannot be moved; `sixgate lease release` ends it")]
    State {
        /// What was named.
        resource: Resource,
        /// How it stands.
        state: LeaseState,
    },
    /// Its link knows clients by something else.
    #[error(
        "{link} knows its clients by {}, and {to} is none; see `key` in the configuration",
        match wants { Key::Duid => "their DUID", Key::Mac => "their hardware address", Key::Line => "their line" }
    )]
    Key {
        /// The link.
        link: String,
        /// What it knows clients by.
        wants: Key,
        /// Whom it should be given to.
        to: Box<Identity>,
    },
    /// It is that client's already.
    #[error("{0} holds it already")]
    Same(Box<Identity>),
    /// It, or a part of it, is reserved for somebody else, who would take it back.
    #[error(
        "{resource} is not moved: {reserved} is reserved for {owner} ({origin}), and {to} is somebody else as far as can be told; \
         take the reservation away first, or change whom it names"
    )]
    Reserved {
        /// What was named.
        resource: Resource,
        /// What of the reservation overlaps it.
        reserved: Resource,
        /// Whose that is.
        owner: Box<Owner>,
        /// Where that is said.
        origin: Origin,
        /// Whom it should be given to.
        to: Box<Identity>,
    },
    /// Something about it is on its way to the disk, or the disk takes nothing.
    #[error("{0} is being written just now, or the disk takes nothing (`sixgate status` tells); try again")]
    Busy(Resource),
}

/// Whether a line is what the owner goes by.
fn is_line(owner: &Owner, line: &Line) -> bool {
    let is = |name: Option<&[u8]>, owner: &[u8]| name == Some(owner);
    match owner {
        Owner::Subscriber(name) => is(line.subscriber_id(), name),
        Owner::Remote(name) => is(line.remote_id(), name),
        Owner::Interface(name) => is(line.interface_id(), name),
        _ => false,
    }
}

impl Server {
    /// Ends a lease, whatever its state. The ticket is that of the commit: it is done when that is durable. Its client may
    /// go on using it until it asks again, and is then told otherwise.
    ///
    /// # Errors
    /// [`Refusal`] where there is none, or it cannot be written now.
    pub fn release(&mut self, resource: Resource, actions: &mut Actions) -> Result<u64, Refusal> {
        self.table.get(resource).ok_or(Refusal::Unknown(resource))?;
        self.change(LeaseChange::Remove(resource), actions)
    }

    /// Gives a lease to somebody else, who has it with the next exchange, whatever the number of its association. To whom
    /// it was given before holds nothing from now on: it hears so when it asks again.
    ///
    /// # Errors
    /// [`Refusal`] where nobody holds it, its link does not know clients by such an identity, it is reserved for another, or it
    /// cannot be written now.
    pub fn move_lease(
        &mut self,
        now: Duration,
        resource: Resource,
        to: &Identity,
        actions: &mut Actions,
    ) -> Result<u64, Refusal> {
        let lease = self.movable(resource, to)?;
        let wants = to.key();
        // It was asked for before it was granted, that is, not by who has it now: see `Server::inherited`.
        let renewed_at = lease.renewed_at.min(now.saturating_sub(Duration::from_nanos(1)));
        let plain = Lease {
            key: wants,
            granted_at: now,
            renewed_at,
            hostname: None,
            link_layer: None,
            // Nobody knows yet where its router is.
            peer: Ipv6Addr::UNSPECIFIED,
            ..lease
        };
        let moved = match to {
            Identity::Duid(duid) => Lease { duid: duid.clone(), line: None, ..plain },
            Identity::Mac(mac) => {
                // Until it is seen, an address that somebody wrote down is worth no more than one in a DUID.
                let link_layer = Some(LinkLayer { mac: *mac, learnt: Learnt::Duid });
                Lease { link_layer, line: None, ..plain }
            }
            Identity::Line(name) => {
                let (line, link) = name.line();
                let before = plain.relay.as_deref();
                let relay = link.map(|link| {
                    let address = before.map_or(Ipv6Addr::UNSPECIFIED, |relay| relay.address);
                    Arc::new(Relay { address, link, id: before.and_then(|relay| relay.id.clone()) })
                });
                Lease { line, relay: relay.or(plain.relay), ..plain }
            }
        };
        let ticket = self.change(LeaseChange::Put(moved), actions)?;
        add(&mut self.counters.moved);
        Ok(ticket)
    }

    /// Whether [`Server::move_lease`] would do it now: of several leases, all are moved or none.
    ///
    /// # Errors
    /// As there.
    pub fn may_move(&self, resource: Resource, to: &Identity) -> Result<(), Refusal> {
        self.movable(resource, to)?;
        self.may_change(resource)
    }

    /// The lease, if it can be given to `to`.
    fn movable(&self, resource: Resource, to: &Identity) -> Result<Lease, Refusal> {
        let lease = self.table.get(resource).ok_or(Refusal::Unknown(resource))?;
        if lease.state != LeaseState::Bound {
            return Err(Refusal::State { resource, state: lease.state });
        }
        let wants = self.links.get(&lease.link).map_or(lease.key, |link| link.key);
        if to.key() != wants {
            return Err(Refusal::Key { link: lease.link.to_string(), wants, to: Box::new(to.clone()) });
        }
        if lease.identity() == *to {
            return Err(Refusal::Same(Box::new(to.clone())));
        }
        let here = |row: &Reservation| row.link.as_ref().is_none_or(|link| *link == lease.link);
        let rows = self.policy.reservations.overlaps(resource.net()).filter(|(_, row)| here(row));
        if let Some((reserved, row)) = rows.into_iter().find(|(_, row)| !self.is_owner(&row.owner, to)) {
            let (owner, origin) = (Box::new(row.owner.clone()), row.origin);
            return Err(Refusal::Reserved { resource, reserved, owner, origin, to: Box::new(to.clone()) });
        }
        Ok(lease)
    }

    /// Whether it is known that who goes by `to` is the owner of a reservation: by name, or since his leases say so.
    fn is_owner(&self, owner: &Owner, to: &Identity) -> bool {
        let named = match (owner, to) {
            (Owner::Duid(owner) | Owner::Association(owner, _), Identity::Duid(duid)) => owner == duid,
            (Owner::Mac(owner), Identity::Mac(mac)) => **owner == *mac.as_bytes(),
            (_, Identity::Line(name)) => name.line().0.is_some_and(|line| is_line(owner, &line)),
            _ => false,
        };
        let shows = |lease: &Lease| match owner {
            Owner::Duid(duid) | Owner::Association(duid, _) => lease.duid == *duid,
            Owner::Mac(mac) => lease.link_layer.is_some_and(|found| found.mac.as_bytes() == &**mac),
            _ => lease.line.as_ref().is_some_and(|line| is_line(owner, line)),
        };
        named || self.table.held_by(to).any(|lease| shows(&lease))
    }

    fn may_change(&self, resource: Resource) -> Result<(), Refusal> {
        let busy = !self.suspect.is_empty()
            || self.flight.len() >= self.limits.commits
            || self.flight.is_about(resource);
        if busy { Err(Refusal::Busy(resource)) } else { Ok(()) }
    }

    fn change(&mut self, change: LeaseChange, actions: &mut Actions) -> Result<u64, Refusal> {
        let resource = change.resource();
        self.may_change(resource)?;
        let ticket = self.flight.ticket();
        self.stage(ticket, change);
        actions.push(Action::Commit { ticket, changes: self.flight.changes(ticket) });
        Ok(ticket)
    }
}
