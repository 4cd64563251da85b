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
mod flight;
pub mod leasequery;
mod message;
mod nets;
mod operate;
pub mod reconfigure;
mod register;
mod relayed;
mod reply;
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

use crate::balance::{Balance, Verdict};
use crate::lease::{Kind, Lease, LeaseChange, LeaseState, LeaseTable, LinkId, Resource};
use crate::policy::Policy;
use asker::Claim;
use bind::Bind;
use clones::Clones;
use flight::Flight;
use ipnet::Ipv6Net;
use message::{Asked, Association};
use nets::Nets;
use reconfigure::Reconfigure;
use relayed::{Chain, Directory};
use reply::{Answer, Outcome};
use served::Served;
use sixgate_wire::dhcpv6::{Duid, Message, MessageType, OptionCode, StatusCode};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

/// A lease is kept from others for this long after its end: its client counts from when the Reply reached it, which is
/// later than when it was written.
const GRACE: Duration = Duration::from_secs(10);
/// How long the server waits after a failed commit before it tries the disk again.
const RETRY: Duration = Duration::from_secs(1);
/// Most changes in a commit that no message asked for.
const AT_ONCE: usize = 256;

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
    flight: Flight,
    routes: BTreeMap<Ipv6Net, Route>,
    counters: Counters,
    policy: Arc<Policy>,
    /// What each rule of the policy kept from being answered.
    denied: Vec<u64>,
    clones: Clones,
    /// What failed commits were about: of these the disk may come to hold something else than the table.
    suspect: BTreeSet<Resource>,
    /// The commit under way that brings the disk back to the table.
    mending: Option<u64>,
    /// No commit that no message asked for before this time.
    retry_at: Duration,
    /// None where no client is asked to come back.
    reconfigure: Option<Reconfigure>,
}

impl Server {
    /// A server that holds the leases of `snapshot`: every lease that was made durable and not removed since. Routes
    /// that should stand are in [`Server::routes`]. It serves everybody, until [`Server::set_policy`].
    pub fn new(config: ServerConfig, snapshot: Vec<Lease>) -> Self {
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
            table: LeaseTable::new(),
            offers: LeaseTable::new(),
            flight: Flight::default(),
            routes: BTreeMap::new(),
            counters: Counters::default(),
            policy: Arc::default(),
            denied: Vec::new(),
            clones: Clones::default(),
            suspect: BTreeSet::new(),
            mending: None,
            retry_at: Duration::ZERO,
            reconfigure: None,
        };
        server.directory.set_relays(&config.relays);
        server.remote = config.remote.iter().map(|link| link.name.clone()).collect();
        server.replace_links(config.links.into_iter().chain(config.remote).map(Arc::new));
        for lease in snapshot {
            if server.table.overlaps(lease.resource.net()).any(|other| contradict(&other, &lease)) {
                server.counters.snapshot_conflicts = server.counters.snapshot_conflicts.saturating_add(1);
            } else {
                server.table.put(lease);
            }
        }
        server.sync_all_routes(&mut Actions::new());
        server
    }

    /// Replaces the links, as when the ISP gave another prefix. What lies outside of the new pools is not extended: at
    /// its next message a client is told to stop using it, and gets something new in the same Reply. On a link without
    /// pools of a kind, leases of that kind are neither extended nor ended. Routes to prefixes
    /// outside of the new pools are removed now, those to prefixes inside again are added.
    pub fn set_links(&mut self, now: Duration, links: Vec<Link>, actions: &mut Actions) {
        let remote: Vec<Arc<Link>> =
            self.remote.iter().filter_map(|name| self.links.get(name)).cloned().collect();
        let links = links.into_iter().map(Arc::new);
        self.replace_links(links.chain(remote));
        self.links_changed(now, actions);
    }

    /// Replaces the links that are behind relay agents.
    pub fn set_remote(&mut self, now: Duration, links: Vec<Link>, actions: &mut Actions) {
        let before = std::mem::take(&mut self.remote);
        let own: Vec<Arc<Link>> = self
            .links
            .iter()
            .filter(|(name, _)| !before.contains(*name))
            .map(|(_, link)| Arc::clone(link))
            .collect();
        self.remote = links.iter().map(|link| link.name.clone()).collect();
        self.replace_links(own.into_iter().chain(links.into_iter().map(Arc::new)));
        self.links_changed(now, actions);
    }

    /// Replaces what says whose relayed messages are heard.
    pub fn set_relays(&mut self, relays: &Relays) {
        self.directory.set_relays(relays);
    }

    fn replace_links(&mut self, links: impl Iterator<Item = Arc<Link>>) {
        self.links = links.map(|link| (link.name.clone(), link)).collect();
        self.directory.set_links(&self.links);
        let pools = self.links.values().flat_map(|link| &link.addresses);
        self.addresses = pools.map(|pool| (pool.prefix, ())).collect();
    }

    fn links_changed(&mut self, now: Duration, actions: &mut Actions) {
        self.offers = LeaseTable::new();
        self.expire(now, actions);
        self.sync_all_routes(actions);
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

    /// The time at which to call [`Server::handle_timeout`]; `None` where there is nothing to wait for. Each call of
    /// another verb may change it.
    pub fn poll_timeout(&self) -> Option<Duration> {
        self.lease_timeout().into_iter().chain(self.reconfigure_due()).min()
    }

    fn lease_timeout(&self) -> Option<Duration> {
        if !self.suspect.is_empty() {
            return (self.flight.len() == 0).then_some(self.retry_at);
        }
        if self.flight.len() >= self.limits.commits {
            return None;
        }
        let end = self.table.first_end()?;
        (end != Duration::MAX).then(|| end.saturating_add(GRACE).max(self.retry_at))
    }

    /// Removes what has ended, and brings the disk back to what the server holds where a commit failed. Calling it early
    /// does no harm; there may be more to do at once.
    pub fn handle_timeout(&mut self, now: Duration, actions: &mut Actions) {
        self.mend(now, actions);
        self.expire(now, actions);
        self.send_reconfigures(now, actions);
    }

    /// All leases as they stand, those included whose commit is under way.
    pub fn leases(&self) -> &LeaseTable {
        &self.table
    }

    /// The routes that should stand.
    pub fn routes(&self) -> impl Iterator<Item = &Route> {
        self.routes.values()
    }

    /// Whether the link decides by its clients' hardware addresses, so that those should be known that ask.
    pub fn wants_mac(&self, link: &str) -> bool {
        self.links.get(link).is_some_and(|link| link.key == crate::identity::Key::Mac)
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

    fn answer(
        &mut self,
        now: Duration,
        datagram: &Datagram<'_>,
        actions: &mut Actions,
    ) -> Result<(), Discard> {
        let chain = Chain::read(datagram.bytes)?;
        let direct = chain.hops.is_empty();
        if !direct {
            self.directory.hears(datagram, &chain)?;
            add(&mut self.counters.relayed);
        }
        self.is_balanced_here(chain.message)?;
        let link = self.place(datagram, &chain)?;
        let relay = chain.relay(datagram.source).map(|relay| self.directory.share(relay));
        let from = (datagram.source, datagram.link_layer);
        let message = chain.message;
        let policy = Arc::clone(&self.policy);
        if message.kind() == MessageType::ADDR_REG_INFORM {
            let asker = Asker::new(now, &link, &chain, from, None, relay);
            Served::new(&policy, &asker, &[]).map_err(|rule| self.deny(rule))?;
            return self.register(datagram, &chain, &asker, actions);
        }
        // RFC 9915 section 13: clients on the link use their link-local address; it is also the next hop of routes.
        if direct && !datagram.source.is_unicast_link_local() {
            return Err(Discard::Source);
        }
        let asked = Asked::read(message, &self.duid, self.limits.associations)?;
        let asker = Asker::new(now, &link, &chain, from, asked.client.as_ref(), relay);
        let name = served::reserved_name(&policy, &asker, &asked.associations);
        let asker = Asker { hostname: name.or_else(|| asked.hostname()), ..asker };
        let served = Served::new(&policy, &asker, &asked.associations).map_err(|rule| self.deny(rule))?;
        let count = match asked.kind {
            MessageType::SOLICIT => &mut self.counters.solicit,
            MessageType::REQUEST => &mut self.counters.request,
            MessageType::CONFIRM => &mut self.counters.confirm,
            MessageType::RENEW => &mut self.counters.renew,
            MessageType::REBIND => &mut self.counters.rebind,
            MessageType::RELEASE => &mut self.counters.release,
            MessageType::DECLINE => &mut self.counters.decline,
            _ => &mut self.counters.information_request,
        };
        *count = count.saturating_add(1);
        let way = || chain.way(datagram);
        self.reconfigured(asked.client.as_ref(), asked.kind, way, actions);
        let ticket = self.flight.ticket();
        let answered = match &asked.client {
            Some(duid) if asked.kind != MessageType::INFORMATION_REQUEST => {
                let claim = Claim::new(&asker, duid, served).ok_or(Discard::Identity);
                claim.and_then(|claim| self.answer_client(&claim, &asked, ticket))
            }
            _ => Ok(Answer { configuration: true, ..Answer::new(MessageType::REPLY) }),
        };
        let answer = answered.and_then(|answer| {
            let mut bytes = answer.encode(&asked, &self.duid, &link, &served)?;
            if answer.configuration {
                self.add_supplied(&chain, &asked, &mut bytes);
            }
            self.offer_reconfigure(now, &asked, way, (ticket, answer.kind), &mut bytes, actions);
            Ok((answer.kind, chain.reply(datagram, bytes)?))
        });
        let (kind, reply) = match answer {
            Ok(answer) => answer,
            Err(reason) => {
                self.flight.settle(ticket, false, &mut self.table);
                return Err(reason);
            }
        };
        let changes = self.flight.changes(ticket);
        if changes.is_empty() {
            let count = if kind == MessageType::ADVERTISE {
                &mut self.counters.advertise
            } else {
                &mut self.counters.reply
            };
            *count = count.saturating_add(1);
            actions.push(Action::Reply(reply));
        } else {
            self.flight.hold(ticket, reply);
            actions.push(Action::Commit { ticket, changes });
        }
        Ok(())
    }

    /// Drops a message of another server's client before anything else of it is looked at.
    fn is_balanced_here(&mut self, message: Message<'_>) -> Result<(), Discard> {
        match self.balance.map(|balance| balance.judge_v6(message)) {
            Some(Verdict::Others) => return Err(Discard::Bucket),
            Some(Verdict::Late) => add(&mut self.counters.late),
            Some(Verdict::Ours) | None => {}
        }
        Ok(())
    }

    /// The link that the client is on.
    fn place(&self, datagram: &Datagram<'_>, chain: &Chain<'_>) -> Result<Arc<Link>, Discard> {
        let link = match chain.link_address() {
            // No agent tells it: then the client is where the message came in, as behind a bridge that relays (RFC 6221).
            None => self.links.get(datagram.link),
            Some(address) => self.directory.place(address),
        };
        link.cloned().ok_or(Discard::Link)
    }

    fn answer_client(
        &mut self,
        asker: &Claim<'_>,
        asked: &Asked<'_>,
        ticket: u64,
    ) -> Result<Answer, Discard> {
        let reply = || Answer { configuration: true, ..Answer::new(MessageType::REPLY) };
        if asked.kind != MessageType::CONFIRM {
            if !self.suspect.is_empty() {
                return Err(Discard::Store);
            }
            if self.flight.len() >= self.limits.commits {
                return Err(Discard::Busy);
            }
        }
        // The table shows changes that may yet fail. What is told from it must not outlive them; an Advertise binds nobody,
        // and a Confirm is about the link alone.
        let committing = asked.associations.iter().any(|ia| self.is_committing(asker, ia));
        if committing && !matches!(asked.kind, MessageType::SOLICIT | MessageType::CONFIRM) {
            return Err(Discard::Committing);
        }
        match asked.kind {
            MessageType::SOLICIT => {
                let rapid_commit = self.rapid_commit && !committing;
                if rapid_commit && asked.message.options().get(OptionCode::RAPID_COMMIT).is_some() {
                    let outcomes = self.assign_all(asker, asked, Bind::Commit(ticket));
                    if outcomes.iter().any(Outcome::is_useful) {
                        return Ok(Answer { outcomes, rapid_commit: true, ..reply() });
                    }
                }
                let outcomes = self.assign_all(asker, asked, Bind::Offer);
                let advertise = Answer::new(MessageType::ADVERTISE);
                Ok(Answer { outcomes, preference: self.preference, configuration: true, ..advertise })
            }
            MessageType::REQUEST => {
                let outcomes = asked.associations.iter().map(|ia| self.request(asker, ia, ticket)).collect();
                Ok(Answer { outcomes, ..reply() })
            }
            MessageType::CONFIRM => confirm(asker, asked),
            MessageType::RELEASE | MessageType::DECLINE => {
                let declined = asked.kind == MessageType::DECLINE;
                let outcomes = asked
                    .associations
                    .iter()
                    .filter_map(|ia| self.give_up(asker, ia, declined, ticket))
                    .collect();
                let words = if declined { "declined" } else { "released" };
                let status = Some((StatusCode::SUCCESS, words));
                Ok(Answer { status, outcomes, ..Answer::new(MessageType::REPLY) })
            }
            _ => {
                let rebind = asked.kind == MessageType::REBIND;
                let outcomes: Vec<_> = asked
                    .associations
                    .iter()
                    .filter_map(|ia| self.extend_all(asker, ia, rebind, ticket))
                    .collect();
                // RFC 9915 section 18.3.5: silence about what may be another server's.
                let silent = outcomes.is_empty() && (rebind || !asked.associations.is_empty());
                if silent { Err(Discard::Silent) } else { Ok(Answer { outcomes, ..reply() }) }
            }
        }
    }

    fn assign_all(&mut self, asker: &Claim<'_>, asked: &Asked<'_>, bind: Bind) -> Vec<Outcome> {
        asked.associations.iter().map(|ia| self.give(asker, ia, bind)).collect()
    }

    /// RFC 9915 section 18.3.2.
    fn request(&mut self, asker: &Claim<'_>, ia: &Association, ticket: u64) -> Outcome {
        let off_link = |resource: &Resource| on_link(asker, *resource) == Some(false);
        if ia.kind == Kind::Address && ia.listed.iter().any(off_link) {
            let words = "an address asked for does not belong to this link";
            return Outcome::status(ia.kind, ia.iaid, StatusCode::NOT_ON_LINK, words);
        }
        self.give(asker, ia, Bind::Commit(ticket))
    }

    /// What the association has now. A client that solicits or requests knows of nothing to be told the end of.
    fn give(&mut self, asker: &Claim<'_>, ia: &Association, bind: Bind) -> Outcome {
        let mut outcome = self.assign(asker, ia, bind);
        outcome.leases.retain(|(_, told)| told.valid > 0);
        outcome
    }

    /// RFC 9915 sections 18.3.4 and 18.3.5.
    fn extend_all(
        &mut self,
        asker: &Claim<'_>,
        ia: &Association,
        rebind: bool,
        ticket: u64,
    ) -> Option<Outcome> {
        let pools = bind::gives(asker.link, ia.kind);
        if !pools && asker.served.resources(ia).next().is_none() {
            // What is held stays as it is: after a restart the links may come before their prefixes do.
            let known = !self.holdings(asker, ia).is_empty();
            let words = "nothing is held under this association";
            let unbound = || Outcome::status(ia.kind, ia.iaid, StatusCode::NO_BINDING, words);
            return (!rebind && !known).then(unbound);
        }
        let mut outcome = self.assign(asker, ia, Bind::Commit(ticket));
        if !pools && outcome.leases.is_empty() {
            return None;
        }
        // Without pools, nothing is said of what is not reserved.
        for &resource in ia.listed.iter().filter(|_| pools) {
            if !outcome.leases.iter().any(|(known, _)| *known == resource) {
                outcome.leases.push((resource, config::Told::NOTHING));
            }
        }
        if !ia.listed.is_empty() {
            // The zero lifetimes say it all.
            outcome.status = None;
        }
        Some(outcome)
    }

    /// RFC 9915 sections 18.3.7 and 18.3.8.
    fn give_up(
        &mut self,
        asker: &Claim<'_>,
        ia: &Association,
        declined: bool,
        ticket: u64,
    ) -> Option<Outcome> {
        // By whom it is held: a box that was replaced cannot end what its successor has.
        let own = |lease: &Lease| lease.duid == *asker.duid;
        let held: Vec<Lease> = self.table.held(&asker.identity, ia.iaid, ia.kind).filter(own).collect();
        if held.is_empty() {
            let words = "nothing is held under this association";
            return Some(Outcome::status(ia.kind, ia.iaid, StatusCode::NO_BINDING, words));
        }
        for lease in held.into_iter().filter(|lease| ia.listed.contains(&lease.resource)) {
            match (declined, lease.resource) {
                (false, resource) => self.stage(ticket, LeaseChange::Remove(resource)),
                (true, Resource::Address(_)) => self.quarantine(asker.now, lease, ticket),
                // Only addresses can be declined.
                (true, Resource::Prefix(_)) => {}
            }
        }
        None
    }

    /// Keeps a declined address from everybody for a while.
    fn quarantine(&mut self, now: Duration, lease: Lease, ticket: u64) {
        if self.table.len_in(LeaseState::Declined) >= self.limits.declined.max(1)
            && let Some(first) = self.table.first_in(LeaseState::Declined)
        {
            self.counters.declined_evicted = self.counters.declined_evicted.saturating_add(1);
            self.stage(ticket, LeaseChange::Remove(first));
        }
        let valid_until = now.saturating_add(self.limits.decline_hold);
        let state = LeaseState::Declined;
        self.stage(ticket, LeaseChange::Put(Lease { state, preferred_until: now, valid_until, ..lease }));
    }

    fn stage(&mut self, ticket: u64, change: LeaseChange) {
        self.flight.stage(ticket, change, &mut self.table);
    }

    /// Commits what the server holds in place of what failed. It waits until every other commit has come back: one more
    /// may fail, and none is begun meanwhile.
    fn mend(&mut self, now: Duration, actions: &mut Actions) {
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
    fn expire(&mut self, now: Duration, actions: &mut Actions) {
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

    /// Brings the route of a resource to what the store and the links say.
    fn sync_route(&mut self, resource: Resource, actions: &mut Actions) {
        let Resource::Prefix(prefix) = resource else { return };
        let lease = self.flight.durable(resource, &self.table);
        let bound = lease.filter(|lease| lease.state == LeaseState::Bound);
        let wanted = bound
            // What is behind somebody else's router, that one routes; a relay agent on a link of ours is a bridge (RFC 6221).
            .filter(|lease| !self.remote.contains(&lease.link) && lease.peer.is_unicast_link_local())
            .filter(|lease| self.lifetimes_of(&lease.link, resource).is_some())
            .map(|lease| Route { prefix, via: lease.peer, link: lease.link.clone() });
        if wanted.as_ref() == self.routes.get(&prefix) {
            return;
        }
        if let Some(route) = wanted {
            self.routes.insert(prefix, route.clone());
            actions.push(Action::RouteAdd(route));
        } else {
            self.routes.remove(&prefix);
            actions.push(Action::RouteRemove { prefix });
        }
    }

    fn sync_all_routes(&mut self, actions: &mut Actions) {
        let leased = self.table.prefixes().chain(self.flight.leaving().prefixes());
        let routed = self.routes.keys().map(|prefix| Resource::Prefix(*prefix));
        let all: BTreeSet<_> = leased.chain(routed).collect();
        for resource in all {
            self.sync_route(resource, actions);
        }
    }
}

/// Whether not both leases can stand. A registered address lies in the prefix of its owner (RFC 9686 section 4.2.1).
fn contradict(one: &Lease, other: &Lease) -> bool {
    let registered = |lease: &Lease| lease.state == LeaseState::Registered;
    one.resource == other.resource || !(registered(one) || registered(other))
}

/// Counts one more.
fn add(counter: &mut u64) {
    *counter = counter.saturating_add(1);
}

/// Whether an address belongs to the link; `None` where that cannot be told because no pool says what the link is.
fn on_link(asker: &Claim<'_>, resource: Resource) -> Option<bool> {
    let mut alive =
        asker.link.addresses.iter().filter(|pool| pool.lifetimes.valid_until > asker.now).peekable();
    alive.peek()?;
    if asker.served.policy.reservations.is_reserved(&asker.link.name, resource) {
        return Some(true);
    }
    Some(alive.any(|pool| {
        let whole = Ipv6Net::new(pool.prefix.network(), pool.prefix.prefix_len().min(64));
        whole.is_ok_and(|whole| whole.trunc().contains(&resource.net()))
    }))
}

/// RFC 9915 section 18.3.3.
fn confirm(asker: &Claim<'_>, asked: &Asked<'_>) -> Result<Answer, Discard> {
    let addresses = asked.associations.iter().filter(|ia| ia.kind == Kind::Address).flat_map(|ia| &ia.listed);
    let mut answer = None;
    for &address in addresses {
        // Neither yes nor no can be said of a link without pools.
        let fits = on_link(asker, address).ok_or(Discard::Silent)?;
        answer = Some(answer.unwrap_or(true) && fits);
    }
    let status = match answer {
        Some(true) => (StatusCode::SUCCESS, "all addresses belong to this link"),
        Some(false) => (StatusCode::NOT_ON_LINK, "an address does not belong to this link"),
        None => return Err(Discard::Silent),
    };
    Ok(Answer { status: Some(status), ..Answer::new(MessageType::REPLY) })
}
