//! Answers as they are written, a part at a time.

use super::super::Server;
use super::data::{self, MOST_LEASES, ROOM};
use super::journal::Journal;
use super::query::{self, Query, Refusal};
use crate::lease::Lease;
use sixgate_wire::dhcpv6::leasequery::framed;
use sixgate_wire::dhcpv6::{Builder, Duid, MessageType, OptionCode, StatusCode, TransactionId};
use std::collections::BTreeSet;
use std::time::Duration;

/// Leases or updates looked at, at most, before others get their turn.
const SCAN: usize = 4_096;

/// A query whose answer is being sent.
#[derive(Debug)]
pub(super) struct Bulk {
    query: Query,
    /// The place in the table that is looked at next.
    at: u32,
    /// Whether the Leasequery-reply was sent.
    begun: bool,
}

/// A query for what changes.
#[derive(Debug)]
pub(super) struct Active {
    pub(super) query: Query,
    /// The number of the update to look at next.
    next: u64,
    /// Once this one is reached, what was missed has been told.
    caught_up_at: Option<u64>,
}

pub(super) fn status(b: &mut Builder<'_>, (code, words): Refusal) {
    b.status(code, words);
}

/// One message without its length in front.
fn message(
    kind: MessageType,
    transaction: TransactionId,
    content: impl FnOnce(&mut Builder<'_>),
) -> Option<Vec<u8>> {
    let mut room = vec![0; ROOM];
    let mut b = Builder::message(&mut room, kind, transaction);
    content(&mut b);
    b.finish().ok().map(<[u8]>::to_vec)
}

/// One message with its length in front.
pub(super) fn write(
    kind: MessageType,
    transaction: TransactionId,
    content: impl FnOnce(&mut Builder<'_>),
) -> Option<Vec<u8>> {
    message(kind, transaction, content).and_then(|message| framed(&message).ok())
}

/// A Leasequery-reply (RFC 5007 section 4.2.2).
pub(super) fn reply(
    server: &Server,
    (transaction, requestor): &(TransactionId, Duid),
    content: impl FnOnce(&mut Builder<'_>),
) -> Option<Vec<u8>> {
    message(MessageType::LEASEQUERY_REPLY, *transaction, |b| {
        b.client_id(requestor).server_id(&server.duid);
        content(b);
    })
}

/// What is known of one client: its data where it is on one link, else the links (RFC 5007 section 4.1.2.5).
pub(super) fn one_client(
    b: &mut Builder<'_>,
    now: Duration,
    server: &Server,
    query: &Query,
    found: &[Lease],
) {
    let links: BTreeSet<_> = found.iter().map(|lease| query::link_address(server, lease)).collect();
    if links.len() > 1 {
        b.addresses(OptionCode::LQ_CLIENT_LINK, &links.into_iter().take(MOST_LEASES).collect::<Vec<_>>());
    } else {
        data::write(b, now, found, query, false);
    }
}

impl Bulk {
    pub(super) fn new(query: Query) -> Self {
        Self { query, at: 0, begun: false }
    }

    /// Adds the next part of the answer; whether there is more.
    pub(super) fn go_on(&mut self, now: Duration, server: &Server, out: &mut Vec<u8>) -> bool {
        let head = (self.query.transaction, self.query.requestor.clone());
        if !self.query.is_scan() {
            // These are answered by one message, as over UDP (RFC 5007).
            let found = self.query.find(server);
            let answer = reply(server, &head, |b| {
                self.time(b, now);
                one_client(b, now, server, &self.query, &found);
            });
            out.extend(answer.and_then(|answer| framed(&answer).ok()).unwrap_or_default());
            if !found.is_empty() {
                self.done(out);
            }
            return false;
        }
        for (looked, (next, lease)) in server.table.from(self.at).enumerate() {
            if looked >= SCAN || out.len() >= ROOM {
                return true;
            }
            self.at = next;
            let Some(lease) = server.durable(lease.resource) else { continue };
            if !self.query.is_about(&lease) || !self.query.is_within(&lease) {
                continue;
            }
            // All that a client has on one link goes together, at the first of it.
            let identity = lease.identity();
            let theirs = server.table.held_by(&identity).filter_map(|held| server.durable(held.resource));
            let mut theirs: Vec<Lease> = theirs
                .filter(|held| held.link == lease.link && held.duid == lease.duid)
                .filter(|held| self.query.is_about(held) && self.query.is_within(held))
                .collect();
            theirs.sort_by_key(|held| held.resource);
            match theirs.first() {
                Some(first) if first.resource < lease.resource => continue,
                Some(first) if first.resource == lease.resource => {}
                // A registration is nothing that is held.
                _ => theirs = vec![lease],
            }
            let tell = |b: &mut Builder<'_>| {
                self.time(b, now);
                data::write(b, now, &theirs, &self.query, false);
            };
            let told = if self.begun {
                write(MessageType::LEASEQUERY_DATA, head.0, tell)
            } else {
                reply(server, &head, tell).and_then(|reply| framed(&reply).ok())
            };
            self.begun = true;
            out.extend(told.unwrap_or_default());
        }
        if self.begun {
            self.done(out);
        } else {
            let nothing = reply(server, &head, |b| self.time(b, now));
            out.extend(nothing.and_then(|reply| framed(&reply).ok()).unwrap_or_default());
        }
        false
    }

    fn time(&self, b: &mut Builder<'_>, now: Duration) {
        if self.query.base_time {
            b.lease_query_time(OptionCode::LQ_BASE_TIME, now);
        }
    }

    /// RFC 5460 section 5.2.2: after all that was told.
    fn done(&self, out: &mut Vec<u8>) {
        out.extend(write(MessageType::LEASEQUERY_DONE, self.query.transaction, |_| ()).unwrap_or_default());
    }
}

impl Active {
    /// Takes a query for what changes; what to answer at once (RFC 7653).
    pub(super) fn begin(now: Duration, server: &Server, journal: &Journal, query: Query) -> (Self, Vec<u8>) {
        let since = query.since.map(|since| journal.since(since));
        let missing = since == Some(None);
        let head = (query.transaction, query.requestor.clone());
        let answer = reply(server, &head, |b| {
            b.lease_query_time(OptionCode::LQ_BASE_TIME, now);
            if missing {
                let words =
                    "what changed so long ago is forgotten: ask in bulk; what changes from now on follows";
                b.status(StatusCode::DATA_MISSING, words);
            }
        });
        let from = since.flatten();
        let active = Active {
            query,
            next: from.unwrap_or(journal.next()),
            caught_up_at: from.map(|_| journal.next()),
        };
        (active, answer.and_then(|answer| framed(&answer).ok()).unwrap_or_default())
    }

    /// Adds updates; how many, and whether there are more. None where some are forgotten already.
    pub(super) fn go_on(
        &mut self,
        now: Duration,
        journal: &Journal,
        out: &mut Vec<u8>,
    ) -> Option<(u64, bool)> {
        let transaction = self.query.transaction;
        let mut told = 0;
        for _ in 0..SCAN {
            if self.caught_up_at.is_some_and(|at| self.next >= at) {
                self.caught_up_at = None;
                let words = "what was missed has been told";
                let caught_up = write(MessageType::LEASEQUERY_DATA, transaction, |b| {
                    b.lease_query_time(OptionCode::LQ_BASE_TIME, now)
                        .status(StatusCode::CATCH_UP_COMPLETE, words);
                });
                out.extend(caught_up.unwrap_or_default());
            }
            let Some(update) = journal.get(self.next).ok()? else { return Some((told, false)) };
            if out.len() >= ROOM {
                break;
            }
            self.next += 1;
            if self.query.is_about(&update.lease) {
                told += 1;
                let data = write(MessageType::LEASEQUERY_DATA, transaction, |b| {
                    b.lease_query_time(OptionCode::LQ_BASE_TIME, now);
                    data::write(b, now, std::slice::from_ref(&update.lease), &self.query, update.gone);
                });
                out.extend(data.unwrap_or_default());
            }
        }
        Some((told, true))
    }
}
