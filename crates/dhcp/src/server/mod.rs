//! The DHCPv6 server (RFC 9915 section 18.3) for clients on links of its own and behind relay agents: addresses, delegated
//! prefixes and other configuration.
//!
//! [`Server`] holds no clock, no socket and no file. Feed it what came in, with the time, and do what it puts into
//! [`Actions`]; call [`Server::handle_timeout`] when [`Server::poll_timeout`] is reached. What must be durable before a
//! client may hear of it comes out as [`Action::Commit`]; the Reply stays inside until [`Server::committed`] is called,
//! and is forgotten, with everything that it would have told, by [`Server::commit_failed`]: the client asks again. For as
//! long as a commit is under way, further messages about the associations that it concerns are dropped, doubles of the
//! first among them: the Reply that is held back answers those, and others are sent again.
//!
//! A commit that failed may come to be on the disk nevertheless: a store may keep it and try again. So after a failure
//! nothing is given, extended or ended until the disk has taken a commit of what the server holds instead.
//!
//! It answers for what it gives: it is the gateway of its links. A Renew or a Rebind for a lease that is unknown but
//! lies in a pool and is free binds it anew, so that a lost store costs nobody an address.

mod action;
mod asker;
mod bind;
mod clones;
mod config;
mod counters;
mod dispatch;
mod exchanges;
mod keeping;
pub mod leasequery;
mod links;
mod message;
mod nets;
mod operate;
pub mod reconfigure;
mod register;
mod relayed;
mod reply;
mod routes;
mod served;
mod supplied;
mod way;

pub use action::{Action, Actions, Datagram, Reply, Route};
pub use asker::Asker;
pub use clones::Station;
pub use config::{AddressPool, DelegationPool, Lifetimes, Limits, Link, Relays, ServerConfig};
pub use counters::{Counters, Discard};
pub use operate::Refusal;
pub use supplied::ENABLED as RELAY_SUPPLIED;
pub use way::Way;

use crate::balance::Balance;
use crate::flight::Flight;
use crate::lease::{Lease, LeaseTable, LinkId};
use crate::policy::Policy;
use clones::Clones;
use ipnet::Ipv6Net;
use nets::Nets;
use reconfigure::Reconfigure;
use relayed::Directory;
use sixgate_wire::dhcpv6::Duid;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

/// A DHCPv6 server for any number of links.
#[derive(Debug)]
pub struct Server {
    duid: Duid,
    /// All links, those behind relay agents among them.
    links: BTreeMap<LinkId, Arc<Link>>,
    /// Which of them are behind relay agents.
    remote: BTreeSet<LinkId>,
    directory: Directory,
    /// What addresses are given from on any link.
    addresses: Nets<()>,
    preference: Option<u8>,
    rapid_commit: bool,
    hash_key: [u8; 16],
    limits: Limits,
    /// Where several servers share the clients, which are ours.
    balance: Option<Balance>,
    table: LeaseTable,
    /// What was advertised and not yet asked for, as leases that end with the offer.
    offers: LeaseTable,
    flight: Flight<LeaseTable, Reply>,
    routes: BTreeMap<Ipv6Net, Route>,
    counters: Counters,
    policy: Arc<Policy>,
    /// What each rule of the policy kept from being answered.
    denied: Vec<u64>,
    clones: Clones,
    /// None where no client is asked to come back.
    reconfigure: Option<Reconfigure>,
}

impl Server {
    /// A server that holds the leases of `snapshot`: every lease that was made durable and not removed since. Routes
    /// that should stand are in [`Server::routes`]. It serves everybody, until [`Server::set_policy`].
    pub fn new(config: ServerConfig, snapshot: Vec<Lease>) -> Self {
        Self::with_leases(config, snapshot.into_iter().collect())
    }

    /// As [`Server::new`]. Of leases that contradict each other those stay that were renewed last.
    pub fn with_leases(config: ServerConfig, leases: LeaseTable) -> Self {
        let mut server = Self {
            duid: config.duid,
            links: BTreeMap::new(),
            remote: BTreeSet::new(),
            directory: Directory::default(),
            addresses: Nets::default(),
            preference: config.preference,
            rapid_commit: config.rapid_commit,
            hash_key: config.hash_key,
            limits: config.limits,
            balance: None,
            table: leases,
            offers: LeaseTable::new(),
            flight: Flight::new(config.limits.commits),
            routes: BTreeMap::new(),
            counters: Counters::default(),
            policy: Arc::default(),
            denied: Vec::new(),
            clones: Clones::default(),
            reconfigure: None,
        };
        server.directory.set_relays(&config.relays);
        server.remote = config.remote.iter().map(|link| link.name.clone()).collect();
        server.replace_links(config.links.into_iter().chain(config.remote).map(Arc::new));
        server.drop_contradictions();
        server.sync_all_routes(&mut Actions::new());
        server
    }

    /// From now on only clients of these buckets are answered (RFC 3074); without a balance, all are.
    pub fn set_balance(&mut self, balance: Option<Balance>) {
        self.balance = balance;
    }

    /// A datagram came to port 547.
    pub fn handle(&mut self, now: Duration, datagram: &Datagram<'_>, actions: &mut Actions) {
        self.counters.received = self.counters.received.saturating_add(1);
        self.handle_timeout(now, actions);
        if let Err(reason) = self.answer(now, datagram, actions) {
            self.counters.discard(reason);
        }
    }

    /// The time at which to call [`Server::handle_timeout`]; `None` where there is nothing to wait for. Each call of
    /// another verb may change it.
    pub fn poll_timeout(&self) -> Option<Duration> {
        self.lease_timeout().into_iter().chain(self.reconfigure_due()).min()
    }

    /// Removes what has ended, and brings the disk back to what the server holds where a commit failed. Calling it early
    /// does no harm; there may be more to do at once.
    pub fn handle_timeout(&mut self, now: Duration, actions: &mut Actions) {
        self.mend(now, actions);
        self.expire(now, actions);
        self.forget_doubted(actions);
        self.send_reconfigures(now, actions);
    }

    /// All leases as they stand, those included whose commit is under way.
    pub fn leases(&self) -> &LeaseTable {
        &self.table
    }

    /// The DUIDs that several machines have: the link, the DUID, and the machines heard within a day, of which there may be
    /// more.
    pub fn clones(&self, now: Duration) -> impl Iterator<Item = (&LinkId, &Duid, Vec<Station>)> {
        self.clones.iter(now)
    }

    /// What happened so far.
    pub fn counters(&self) -> Counters {
        self.counters
    }
}

/// Counts one more.
fn add(counter: &mut u64) {
    *counter = counter.saturating_add(1);
}
