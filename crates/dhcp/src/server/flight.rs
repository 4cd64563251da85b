//! Changes that are on their way to the disk.
//!
//! The table shows every change at once, so that the next message sees it. What a change replaced is kept here until the
//! disk has taken it: if it cannot, the table goes back to what the disk has. A resource whose removal is on its way is
//! nobody else's yet, since the removal may still fail. For the same reason nobody is answered from the table about an
//! association with a change on its way ([`Flight::concerns`]): the answer would not be taken back with the change.

use super::action::Reply;
use crate::identity::Identity;
use crate::lease::{Kind, Lease, LeaseChange, LeaseState, LeaseTable, Resource};
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

/// An association, by its holder, its number and its kind.
type Holder = (Identity, u32, Kind);

#[derive(Debug, Default)]
pub(super) struct Flight {
    last_ticket: u64,
    commits: BTreeMap<u64, Commit>,
    resources: BTreeMap<Resource, Versions>,
    /// Leases that the table holds no longer and the disk may still.
    leaving: LeaseTable,
    /// How many changes on their way give to each association, or take from it.
    holders: BTreeMap<Holder, usize>,
}

#[derive(Debug, Default)]
struct Commit {
    resources: Vec<Resource>,
    /// Whom its changes concern, once for each change and version of what it replaces.
    holders: Vec<Holder>,
    reply: Option<Reply>,
}

/// The states of one resource from the one on disk to the one in the table.
#[derive(Debug, Default)]
struct Versions {
    durable: Option<Lease>,
    pending: Vec<(u64, Option<Lease>)>,
}

impl Versions {
    fn latest(&self) -> Option<&Lease> {
        self.pending.last().map_or(self.durable.as_ref(), |(_, lease)| lease.as_ref())
    }

    /// The last holder on the way to the latest version.
    fn last_holder(&self) -> Option<&Lease> {
        self.pending.iter().rev().find_map(|(_, lease)| lease.as_ref()).or(self.durable.as_ref())
    }
}

impl Flight {
    /// Commits under way.
    pub(super) fn len(&self) -> usize {
        self.commits.len()
    }

    /// Whether anything waits to be committed under this ticket.
    pub(super) fn is_open(&self, ticket: u64) -> bool {
        self.commits.contains_key(&ticket)
    }

    /// A ticket for the next commit.
    pub(super) fn ticket(&mut self) -> u64 {
        self.last_ticket = self.last_ticket.saturating_add(1);
        self.last_ticket
    }

    /// Does a change in the table and remembers what it replaced.
    pub(super) fn stage(&mut self, ticket: u64, change: LeaseChange, table: &mut LeaseTable) {
        let resource = change.resource();
        let versions = self
            .resources
            .entry(resource)
            .or_insert_with(|| Versions { durable: table.get(resource), pending: Vec::new() });
        let lease = match change {
            LeaseChange::Put(lease) => Some(lease),
            LeaseChange::Remove(_) => None,
        };
        let commit = self.commits.entry(ticket).or_default();
        // Changes that are on their way already may fail before this one: then it replaces what is behind them.
        let replaced =
            versions.pending.iter().filter_map(|(_, lease)| lease.as_ref()).chain(&versions.durable);
        let bound = |lease: &&Lease| lease.state == LeaseState::Bound;
        for lease in replaced.chain(&lease).filter(bound) {
            let holder = (lease.identity(), lease.iaid, resource.kind());
            *self.holders.entry(holder.clone()).or_default() += 1;
            commit.holders.push(holder);
        }
        match versions.pending.last_mut() {
            Some((last, pending)) if *last == ticket => *pending = lease,
            _ => {
                versions.pending.push((ticket, lease));
                commit.resources.push(resource);
            }
        }
        self.show(resource, table);
    }

    /// Whether a change on its way gives something to this association or takes something from it.
    pub(super) fn concerns(&self, who: &Identity, iaid: u32, kind: Kind) -> bool {
        self.holders.contains_key(&(who.clone(), iaid, kind))
    }

    /// Whether a change of this resource is on its way.
    pub(super) fn is_about(&self, resource: Resource) -> bool {
        self.resources.contains_key(&resource)
    }

    /// What a commit that was staged is to make durable: one change for each resource.
    pub(super) fn changes(&self, ticket: u64) -> Vec<LeaseChange> {
        let Some(commit) = self.commits.get(&ticket) else { return Vec::new() };
        let change = |resource: &Resource| {
            let versions = self.resources.get(resource)?;
            let (_, lease) = versions.pending.iter().find(|(pending, _)| *pending == ticket)?;
            Some(lease.clone().map_or(LeaseChange::Remove(*resource), LeaseChange::Put))
        };
        commit.resources.iter().filter_map(change).collect()
    }

    /// Keeps the reply that waits for the commit.
    pub(super) fn hold(&mut self, ticket: u64, reply: Reply) {
        self.commits.entry(ticket).or_default().reply = Some(reply);
    }

    /// Ends a commit; what it was about, and the reply that waited for it.
    pub(super) fn settle(
        &mut self,
        ticket: u64,
        durable: bool,
        table: &mut LeaseTable,
    ) -> Option<(Vec<Resource>, Option<Reply>)> {
        let commit = self.commits.remove(&ticket)?;
        for holder in commit.holders {
            if let Entry::Occupied(mut count) = self.holders.entry(holder) {
                *count.get_mut() -= 1;
                if *count.get() == 0 {
                    count.remove();
                }
            }
        }
        for &resource in &commit.resources {
            let Some(versions) = self.resources.get_mut(&resource) else { continue };
            let Some(at) = versions.pending.iter().position(|(pending, _)| *pending == ticket) else {
                continue;
            };
            let (_, lease) = versions.pending.remove(at);
            if durable {
                versions.durable = lease;
            }
            // What is durable now and was the latest before is in the table as it is.
            let latest_before = durable && (at < versions.pending.len() || versions.pending.is_empty());
            if !latest_before || versions.latest().is_none() {
                self.show(resource, table);
            }
            if self.resources.get(&resource).is_some_and(|versions| versions.pending.is_empty()) {
                self.resources.remove(&resource);
            }
        }
        Some((commit.resources, commit.reply))
    }

    /// The lease that the disk has for a resource.
    pub(super) fn durable(&self, resource: Resource, table: &LeaseTable) -> Option<Lease> {
        match self.resources.get(&resource) {
            Some(versions) => versions.durable.clone(),
            None => table.get(resource),
        }
    }

    /// Leases that the table holds no longer and the disk may still.
    pub(super) fn leaving(&self) -> &LeaseTable {
        &self.leaving
    }

    /// Brings the table, and what is leaving it, to the latest version of a resource.
    fn show(&mut self, resource: Resource, table: &mut LeaseTable) {
        let Some(versions) = self.resources.get(&resource) else { return };
        if let Some(lease) = versions.latest() {
            table.put(lease.clone());
            self.leaving.remove(resource);
        } else {
            table.remove(resource);
            match versions.last_holder() {
                Some(holder) => self.leaving.put(holder.clone()),
                None => self.leaving.remove(resource),
            };
        }
    }
}
