//! Changes that are on their way to the disk.
//!
//! The table shows every change at once. What a change replaced is kept here until the disk has taken it: if
//! it cannot, the table goes back to that. An address and a client have at most one change on their way
//! ([`Flight::is_busy`], [`Flight::concerns`]), so that going back is putting back.

use super::action::Reply;
use super::lease::{Lease, LeaseChange, LeaseTable};
use crate::lease::LinkId;
use sixgate_wire::dhcpv4::ClientId;
use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;

#[derive(Debug, Default)]
pub(super) struct Flight {
    last_ticket: u64,
    commits: BTreeMap<u64, Commit>,
    addresses: BTreeSet<Ipv4Addr>,
    /// Whom the changes on their way give to or take from, and how often.
    holders: BTreeMap<(LinkId, ClientId), usize>,
}

#[derive(Debug, Default)]
struct Commit {
    changes: Vec<LeaseChange>,
    /// What was there before each change.
    before: Vec<Option<Lease>>,
    reply: Option<Reply>,
}

impl Flight {
    /// Commits under way.
    pub(super) fn len(&self) -> usize {
        self.commits.len()
    }

    /// A ticket for the next commit.
    pub(super) fn ticket(&mut self) -> u64 {
        self.last_ticket = self.last_ticket.saturating_add(1);
        self.last_ticket
    }

    /// Whether a change of this address is on its way.
    pub(super) fn is_busy(&self, address: Ipv4Addr) -> bool {
        self.addresses.contains(&address)
    }

    /// Whether a change on its way gives something to this client or takes something from it.
    pub(super) fn concerns(&self, link: &LinkId, client: &ClientId) -> bool {
        self.holders.contains_key(&(link.clone(), client.clone()))
    }

    /// Does a change in the table and remembers what it replaced.
    pub(super) fn stage(&mut self, ticket: u64, change: LeaseChange, table: &mut LeaseTable) {
        self.addresses.insert(change.address());
        let before = table.apply(change.clone());
        for holder in holders(&change, before.as_ref()) {
            *self.holders.entry(holder).or_default() += 1;
        }
        let commit = self.commits.entry(ticket).or_default();
        commit.changes.push(change);
        commit.before.push(before);
    }

    /// What a commit that was staged is to make durable.
    pub(super) fn changes(&self, ticket: u64) -> Vec<LeaseChange> {
        self.commits.get(&ticket).map(|commit| commit.changes.clone()).unwrap_or_default()
    }

    /// Keeps the reply that waits for the commit.
    pub(super) fn hold(&mut self, ticket: u64, reply: Reply) {
        if let Some(commit) = self.commits.get_mut(&ticket) {
            commit.reply = Some(reply);
        }
    }

    /// Ends a commit; the addresses it was about, and the reply that waited for it.
    pub(super) fn settle(
        &mut self,
        ticket: u64,
        durable: bool,
        table: &mut LeaseTable,
    ) -> Option<(Vec<Ipv4Addr>, Option<Reply>)> {
        let Commit { changes, before, reply } = self.commits.remove(&ticket)?;
        let addresses: Vec<_> = changes.iter().map(LeaseChange::address).collect();
        // The last change is undone first.
        for (change, before) in changes.iter().zip(before).rev() {
            for holder in holders(change, before.as_ref()) {
                if let Some(count) = self.holders.get_mut(&holder) {
                    *count -= 1;
                    if *count == 0 {
                        self.holders.remove(&holder);
                    }
                }
            }
            self.addresses.remove(&change.address());
            if !durable {
                table.apply(before.map_or(LeaseChange::Remove(change.address()), LeaseChange::Put));
            }
        }
        Some((addresses, reply))
    }
}

fn holders<'a>(
    change: &'a LeaseChange,
    before: Option<&'a Lease>,
) -> impl Iterator<Item = (LinkId, ClientId)> + use<'a> {
    let after = match change {
        LeaseChange::Put(lease) => Some(lease),
        LeaseChange::Remove(_) => None,
    };
    after.into_iter().chain(before).map(|lease| (lease.link.clone(), lease.client.clone()))
}
