//! Telling others of bindings: one at a time over UDP (RFC 5007), many over TCP (RFC 5460), and as they change for as
//! long as the connection stands (RFC 7653).
//!
//! [`Leasequery`] holds no socket. A datagram is answered by [`Leasequery::answer`]. A connection is announced by
//! [`Leasequery::connected`] and gives its messages to [`Leasequery::received`]; what is to be sent is fetched by
//! [`Leasequery::next`] whenever there is room, so that a slow reader costs no more than its place in the table of
//! leases. It tells of what is durable only, and only to those whose networks were named.

mod answer;
mod data;
mod journal;
mod query;

use super::{Server, add};
use crate::lease::{Lease, LeaseChange, Resource};
use answer::{Active, Bulk, one_client, reply, status, write};
use ipnet::Ipv6Net;
use journal::Journal;
use query::{Over, Query, Refusal, head};
use sixgate_wire::dhcpv6::leasequery::framed;
use sixgate_wire::dhcpv6::{Message, MessageType, OptionCode, StatusCode};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::Ipv6Addr;
use std::time::Duration;

/// Connections at one time (RFC 5460 suggests 10).
const MOST_CONNECTIONS: usize = 10;
/// Octets of refusals that wait to be read on one connection.
const MOST_READY: usize = 16 * 1024;
/// Queries that wait on one connection.
const MOST_QUERIES: usize = 16;
/// How long an active connection may be silent (RFC 7653): requestors give up after twice that.
const KEEP_ALIVE: Duration = Duration::from_secs(30);

/// What has happened since the start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counters {
    /// Queries over UDP that were answered with what was asked for.
    pub answered: u64,
    /// Queries in bulk.
    pub bulk: u64,
    /// Queries for what changes.
    pub active: u64,
    /// Queries and connections of those who may not ask.
    pub refused: u64,
    /// Messages that are no queries, or cannot be read.
    pub malformed: u64,
    /// Connections that there was no room for.
    pub overload: u64,
    /// Updates that were told.
    pub updates: u64,
    /// Connections that were ended because their requestor did not keep up.
    pub lagging: u64,
}

/// What to do with a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Output {
    /// Send these octets, then ask again.
    Send(Vec<u8>),
    /// Nothing to send now, but there may be: others get their turn, then ask again.
    More,
    /// Nothing to send until [`Leasequery::woken`] names the connection, or something comes in.
    Nothing,
    /// Send these octets and close the connection.
    Close(Vec<u8>),
}

#[derive(Debug, Default)]
struct Connection {
    /// What to send before anything else.
    ready: Vec<u8>,
    queries: VecDeque<Bulk>,
    active: Option<Active>,
    last_sent: Duration,
    ends: bool,
}

/// Who may ask, and what they are being told.
#[derive(Debug)]
pub struct Leasequery {
    from: Vec<Ipv6Net>,
    connections: BTreeMap<u64, Connection>,
    journal: Journal,
    woken: BTreeSet<u64>,
    counters: Counters,
}

impl Leasequery {
    /// Answers requestors in these networks, and nobody else.
    pub fn new(now: Duration, from: Vec<Ipv6Net>) -> Self {
        let journal = Journal::new(now);
        let counters = Counters::default();
        Self { from, connections: BTreeMap::new(), journal, woken: BTreeSet::new(), counters }
    }

    /// Replaces the networks of those who may ask; connections that stand go on.
    pub fn set_from(&mut self, from: Vec<Ipv6Net>) {
        self.from = from;
    }

    /// What has happened since the start.
    pub fn counters(&self) -> Counters {
        self.counters
    }

    fn may_ask(&self, source: Ipv6Addr) -> bool {
        self.from.iter().any(|net| net.contains(&source))
    }

    /// A datagram came from a requestor; the answer goes back to its address and port. None where it deserves none.
    pub fn answer(
        &mut self,
        now: Duration,
        server: &Server,
        source: Ipv6Addr,
        bytes: &[u8],
    ) -> Option<Vec<u8>> {
        let message = Message::parse(bytes).ok().filter(|message| message.kind() == MessageType::LEASEQUERY);
        let read = message.and_then(|message| Some((message, head(&message, &server.duid)?)));
        let Some((message, head)) = read else {
            add(&mut self.counters.malformed);
            return None;
        };
        if !self.may_ask(source) {
            add(&mut self.counters.refused);
            return reply(server, &head, |b| status(b, NOT_ALLOWED));
        }
        match Query::read(&message, head.clone(), server, Over::Udp) {
            Err(refusal) => {
                add(&mut self.counters.malformed);
                reply(server, &head, |b| status(b, refusal))
            }
            Ok(query) => {
                add(&mut self.counters.answered);
                let found = query.find(server);
                reply(server, &head, |b| one_client(b, now, server, &query, &found))
            }
        }
    }

    /// Somebody connected. Whether it stays: not where it may not ask, or where there are too many.
    pub fn connected(&mut self, now: Duration, connection: u64, source: Ipv6Addr) -> bool {
        if !self.may_ask(source) {
            add(&mut self.counters.refused);
            return false;
        }
        if self.connections.len() >= MOST_CONNECTIONS {
            add(&mut self.counters.overload);
            return false;
        }
        self.connections.insert(connection, Connection { last_sent: now, ..Connection::default() });
        true
    }

    /// A connection has gone.
    pub fn closed(&mut self, connection: u64) {
        self.connections.remove(&connection);
        self.woken.remove(&connection);
    }

    /// Whether the connection is one that stays open without anything being asked.
    pub fn is_active(&self, connection: u64) -> bool {
        self.connections.get(&connection).is_some_and(|connection| connection.active.is_some())
    }

    /// A message came on a connection.
    pub fn received(&mut self, now: Duration, server: &Server, connection: u64, bytes: &[u8]) {
        let Some(known) = self.connections.get_mut(&connection).filter(|known| !known.ends) else { return };
        if known.ready.len() > MOST_READY {
            // It asks on and on, and reads nothing of what it is told.
            add(&mut self.counters.lagging);
            known.ends = true;
            return;
        }
        let message = Message::parse(bytes).ok();
        let kind = message.map(|message| message.kind());
        let read = message.and_then(|message| Some((message, head(&message, &server.duid)?)));
        match (kind, read) {
            (Some(MessageType::STARTTLS), _) => {
                // RFC 7653: it goes on in the clear, or the requestor leaves.
                let transaction = message.map(|message| message.transaction()).unwrap_or_default();
                let words = (StatusCode::TLS_CONNECTION_REFUSED, "this server does not speak TLS");
                let refused = write(MessageType::STARTTLS, transaction, |b| status(b, words));
                known.ready.extend(refused.unwrap_or_default());
            }
            (Some(MessageType::LEASEQUERY | MessageType::ACTIVELEASEQUERY), Some((message, head)))
                if known.queries.len() < MOST_QUERIES =>
            {
                match Query::read(&message, head.clone(), server, Over::Tcp) {
                    Err(refusal) => {
                        add(&mut self.counters.malformed);
                        let refused = reply(server, &head, |b| status(b, refusal));
                        known.ready.extend(refused.and_then(|reply| framed(&reply).ok()).unwrap_or_default());
                    }
                    Ok(query) if kind == Some(MessageType::LEASEQUERY) => {
                        add(&mut self.counters.bulk);
                        known.queries.push_back(Bulk::new(query));
                    }
                    Ok(query) => {
                        add(&mut self.counters.active);
                        let (active, begun) = Active::begin(now, server, &self.journal, query);
                        known.ready.extend(begun);
                        known.active = Some(active);
                    }
                }
            }
            _ => {
                // Nothing else has a place here (RFC 5460): what follows cannot be trusted either.
                add(&mut self.counters.malformed);
                known.ends = true;
            }
        }
    }

    /// What to do next with a connection.
    pub fn next(&mut self, now: Duration, server: &Server, connection: u64) -> Output {
        self.woken.remove(&connection);
        let Some(known) = self.connections.get_mut(&connection) else { return Output::Close(Vec::new()) };
        let mut out = std::mem::take(&mut known.ready);
        let mut more = false;
        if known.ends {
            return Output::Close(out);
        }
        if let Some(bulk) = known.queries.front_mut() {
            more = bulk.go_on(now, server, &mut out);
            if !more {
                known.queries.pop_front();
                more = !known.queries.is_empty();
            }
        } else if let Some(active) = &mut known.active {
            if let Some((told, left)) = active.go_on(now, &self.journal, &mut out) {
                self.counters.updates = self.counters.updates.saturating_add(told);
                more = left;
            } else {
                // RFC 7653: who does not keep up is told so, and asks again.
                add(&mut self.counters.lagging);
                let words = (StatusCode::QUERY_TERMINATED, "too many updates were waiting to be read");
                let done =
                    write(MessageType::LEASEQUERY_DONE, active.query.transaction, |b| status(b, words));
                out.extend(done.unwrap_or_default());
                known.ends = true;
                return Output::Close(out);
            }
            if out.is_empty() && !more && now >= known.last_sent.saturating_add(KEEP_ALIVE) {
                let alive = write(MessageType::LEASEQUERY_DATA, active.query.transaction, |b| {
                    b.lease_query_time(OptionCode::LQ_BASE_TIME, now);
                });
                out.extend(alive.unwrap_or_default());
            }
        }
        if !out.is_empty() {
            known.last_sent = now;
            return Output::Send(out);
        }
        if more { Output::More } else { Output::Nothing }
    }

    /// Changes have become durable. Call it before [`Server::committed`]: what they replace is told of, too.
    pub fn committed(&mut self, now: Duration, server: &Server, changes: &[LeaseChange]) {
        if self.journal.record(now, server, changes) {
            let active = self.connections.iter().filter(|(_, connection)| connection.active.is_some());
            self.woken.extend(active.map(|(id, _)| *id));
        }
    }

    /// The connections for which [`Leasequery::next`] has something new.
    pub fn woken(&self) -> impl Iterator<Item = u64> {
        self.woken.iter().copied()
    }

    /// When to call [`Leasequery::handle_timeout`].
    pub fn poll_timeout(&self) -> Option<Duration> {
        let idle =
            self.connections.iter().filter(|(id, one)| one.active.is_some() && !self.woken.contains(id));
        idle.map(|(_, one)| one.last_sent.saturating_add(KEEP_ALIVE)).min()
    }

    /// Wakes connections that were silent for too long.
    pub fn handle_timeout(&mut self, now: Duration) {
        let silent = self
            .connections
            .iter()
            .filter(|(_, one)| one.active.is_some() && now >= one.last_sent.saturating_add(KEEP_ALIVE));
        self.woken.extend(silent.map(|(id, _)| *id));
    }
}

/// RFC 5007 section 4.1.3.
const NOT_ALLOWED: Refusal = (StatusCode::NOT_ALLOWED, "this server does not tell you of leases");

impl Server {
    /// The lease of a resource as the disk has it: what is on its way there nobody was told of yet.
    pub fn durable(&self, resource: Resource) -> Option<Lease> {
        self.flight.durable(resource, &self.table)
    }
}
