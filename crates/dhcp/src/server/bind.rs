//! Giving, extending and retiring leases: what one identity association gets.

use super::Server;
use super::asker::Claim;
use super::config::{Lifetimes, Link, Told, after};
use super::message::Association;
use super::reply::Outcome;
use super::served::same_place;
use crate::allocate::{self, Claimant};
use crate::lease::{Kind, Lease, LeaseChange, LeaseState, LeaseTable, Resource};
use crate::policy::PoolPart;
use crate::reservation::MOST_RESOURCES;
use ipnet::Ipv6Net;
use sixgate_wire::dhcpv6::StatusCode;
use smallvec::SmallVec;
use std::time::Duration;

/// Leases of one association, whatever the number of pools.
const MAX_LEASES: usize = 4;
/// Longest time for which something that was promised for ever, or nearly so, is kept from others after its pool went.
const RETIRED_MOST: Duration = Duration::from_hours(30 * 24);

/// What becomes of the leases that are found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Bind {
    /// They are kept for a while (Advertise).
    Offer,
    /// They are the client's, once the commit with this ticket is durable.
    Commit(u64),
}

/// A pool, whichever its kind.
struct Pool<'a> {
    prefix: Ipv6Net,
    lifetimes: Lifetimes,
    /// First length to give and last length to fall back to.
    lengths: (u8, u8),
    link: &'a Link,
}

impl Server {
    /// Extends what the association holds, gives it what it lacks, and ends what it can hold no longer.
    pub(super) fn assign(&mut self, asker: &Claim<'_>, ia: &Association, bind: Bind) -> Outcome {
        let mut outcome = Outcome { kind: ia.kind, iaid: ia.iaid, leases: SmallVec::new(), status: None };
        if bind != Bind::Offer {
            self.look_for_clones(asker, ia);
        }
        let held = self.holdings(asker, ia);
        // Without any pool the prefix is not known (yet, or any more): nothing is extended and nothing is ended.
        let gives = gives(asker.link, ia.kind);
        for lease in held {
            let told = self.lifetimes_for(asker, ia, lease.resource).map(|lifetimes| lifetimes.at(asker.now));
            if let Some(told) = told.filter(|told| told.valid > 0) {
                outcome.leases.push((lease.resource, told));
                if let Bind::Commit(ticket) = bind {
                    self.extend(asker, ia.iaid, lease, told, ticket);
                }
            } else if let (Bind::Commit(ticket), true) = (bind, gives) {
                // RFC 9915 section 18.3.4: lifetimes of zero for what does not fit the link any more.
                outcome.leases.push((lease.resource, Told::NOTHING));
                let valid_until = lease.valid_until.min(asker.now.saturating_add(RETIRED_MOST));
                let retired = Lease {
                    state: LeaseState::Retired,
                    preferred_until: lease.preferred_until.min(asker.now),
                    valid_until,
                    ..lease
                };
                self.stage(ticket, LeaseChange::Put(retired));
            }
        }
        self.grant(asker, ia, bind, &mut outcome);
        outcome
    }

    fn extend(&mut self, asker: &Claim<'_>, iaid: u32, lease: Lease, told: Told, ticket: u64) {
        // A Reply that shortens a lease may be lost, and then the client relies on the longer time that it was told.
        let valid_until = lease.valid_until.max(after(asker.now, told.valid));
        let same = lease.duid == *asker.duid;
        if !same {
            self.counters.succeeded = self.counters.succeeded.saturating_add(1);
        }
        let (granted_at, hostname) =
            if same { (lease.granted_at, lease.hostname) } else { (asker.now, None) };
        let renewed = Lease {
            key: asker.identity.key(),
            duid: asker.duid.clone(),
            iaid,
            granted_at,
            preferred_until: after(asker.now, told.preferred),
            valid_until,
            renewed_at: asker.now,
            hostname: asker.hostname.clone().or(hostname),
            link_layer: asker.link_layer.or(lease.link_layer.filter(|_| same)),
            peer: asker.peer,
            line: asker.line.clone(),
            relay: asker.relay.clone(),
            ..lease
        };
        self.stage(ticket, LeaseChange::Put(renewed));
    }

    /// One lease from each pool that gives and from which the association has none.
    fn grant(&mut self, asker: &Claim<'_>, ia: &Association, bind: Bind, outcome: &mut Outcome) {
        let link = asker.link;
        let addresses = link.addresses.iter().map(|p: &super::AddressPool| Pool {
            prefix: p.prefix.trunc(),
            lifetimes: p.lifetimes,
            lengths: (128, 128),
            link,
        });
        let prefixes = link.delegation.iter().map(|p: &super::DelegationPool| {
            // RFC 8168 section 3.2: the length asked for, or the nearest that is allowed.
            let asked = ia.length.unwrap_or(p.length).min(p.longest).max(p.shortest);
            Pool {
                prefix: p.prefix.trunc(),
                lifetimes: p.lifetimes,
                lengths: (asked.max(p.prefix.prefix_len()), p.longest),
                link,
            }
        });
        let of = |kind| (ia.kind == kind).then_some(());
        let addresses = of(Kind::Address).into_iter().flat_map(|()| addresses.clone());
        let pools = addresses.chain(of(Kind::Prefix).into_iter().flat_map(|()| prefixes.clone()));
        self.grant_reserved(asker, ia, bind, outcome);
        let mut given = outcome.leases.iter().filter(|(_, told)| told.valid > 0).count();
        for pool in pools {
            let reserved = |resource: Resource| asker.served.resources(ia).any(|own| own == resource);
            let has = |&(resource, told): &(Resource, Told)| {
                told.valid > 0
                    && (pool.prefix.contains(&resource.net())
                        || reserved(resource) && same_place(pool.prefix, resource.net(), ia.kind))
            };
            if !pool.lifetimes.gives(asker.now) || given >= MAX_LEASES || outcome.leases.iter().any(has) {
                continue;
            }
            if self.is_capped(asker) {
                self.counters.capped = self.counters.capped.saturating_add(1);
                break;
            }
            let Some(resource) = self.find_in_parts(asker, ia, &pool) else {
                self.counters.exhausted = self.counters.exhausted.saturating_add(1);
                continue;
            };
            self.give_one(asker, ia, bind, (resource, pool.lifetimes.at(asker.now)), outcome);
            given += 1;
        }
        if given == 0 {
            outcome.status = Some(match ia.kind {
                Kind::Address => {
                    (StatusCode::NO_ADDRS_AVAIL, "no address is free for this client on this link")
                }
                Kind::Prefix => {
                    (StatusCode::NO_PREFIX_AVAIL, "no prefix is free for this client on this link")
                }
            });
        }
    }

    /// Binds or offers one lease.
    fn give_one(
        &mut self,
        asker: &Claim<'_>,
        ia: &Association,
        bind: Bind,
        (resource, told): (Resource, Told),
        outcome: &mut Outcome,
    ) {
        let lease = Lease {
            resource,
            key: asker.identity.key(),
            duid: asker.duid.clone(),
            iaid: ia.iaid,
            link: asker.link.name.clone(),
            state: LeaseState::Bound,
            preferred_until: after(asker.now, told.preferred),
            valid_until: after(asker.now, told.valid),
            granted_at: asker.now,
            renewed_at: asker.now,
            hostname: asker.hostname.clone(),
            link_layer: asker.link_layer,
            peer: asker.peer,
            line: asker.line.clone(),
            relay: asker.relay.clone(),
        };
        match bind {
            Bind::Offer => self.offer(asker.now, lease),
            Bind::Commit(ticket) => {
                self.offers.remove(resource);
                // A retired lease that comes back to its holder may have been promised for longer than this one.
                let before = self.table.get(resource).map_or(Duration::ZERO, |retired| retired.valid_until);
                let valid_until = lease.valid_until.max(before);
                self.stage(ticket, LeaseChange::Put(Lease { valid_until, ..lease }));
                self.counters.granted = self.counters.granted.saturating_add(1);
            }
        }
        // In place of the zero lifetimes that it may have got above.
        outcome.leases.retain(|(other, _)| *other != resource);
        outcome.leases.push((resource, told));
    }

    /// What is reserved for the association and can be had.
    fn grant_reserved(&mut self, asker: &Claim<'_>, ia: &Association, bind: Bind, outcome: &mut Outcome) {
        let reserved: Vec<Resource> = asker.served.resources(ia).take(MOST_RESOURCES).collect();
        for resource in reserved {
            if outcome.leases.iter().any(|(own, told)| *own == resource && told.valid > 0) {
                continue;
            }
            let Some(lifetimes) = self.lifetimes_on(asker.link, resource) else { continue };
            if !lifetimes.gives(asker.now) {
                continue;
            }
            if !self.is_clear(asker, ia.iaid, resource, false) {
                self.counters.reserved_waits = self.counters.reserved_waits.saturating_add(1);
                continue;
            }
            self.give_one(asker, ia, bind, (resource, lifetimes.at(asker.now)), outcome);
        }
    }

    /// The lifetimes for which the association may go on holding a resource; none where it may not: it is reserved for
    /// somebody else, or the association gets in its place what is reserved for it, or it lies in the part of a pool that
    /// is not for its client's classes.
    fn lifetimes_for(&self, asker: &Claim<'_>, ia: &Association, resource: Resource) -> Option<Lifetimes> {
        let (served, link) = (&asker.served, asker.link);
        let lifetimes = self.lifetimes_on(link, resource)?;
        if served.resources(ia).any(|own| own == resource) {
            return Some(lifetimes);
        }
        let net = resource.net();
        let awaited = |own: Resource| {
            let held = self.table.held(&asker.identity, ia.iaid, ia.kind).any(|lease| lease.resource == own);
            let lifetimes = self.lifetimes_on(link, own);
            same_place(own.net(), net, ia.kind)
                && lifetimes.is_some_and(|lifetimes| lifetimes.gives(asker.now))
                && (held || self.is_clear(asker, ia.iaid, own, false))
        };
        let holds = |pool: &Ipv6Net| pool.contains(&net);
        let pool = match ia.kind {
            Kind::Address => link.addresses.iter().map(|pool| pool.prefix).find(holds),
            Kind::Prefix => link.delegation.iter().map(|pool| pool.prefix).find(holds),
        };
        let may = pool.is_none_or(|pool| served.policy.may_have(&link.name, pool, resource, served.classes));
        let ends = !may || served.is_anothers(ia.iaid, net) || served.resources(ia).any(awaited);
        (!ends).then_some(lifetimes)
    }

    /// What to give from `pool`: from the parts that are for the client's classes, where there are such.
    fn find_in_parts(&self, asker: &Claim<'_>, ia: &Association, pool: &Pool<'_>) -> Option<Resource> {
        let served = &asker.served;
        let own = |part: &&PoolPart| part.class.is_some_and(|class| served.classes.contains(class));
        let mut parts = served.policy.parts_within(&asker.link.name, pool.prefix).filter(own).peekable();
        if parts.peek().is_none() {
            return self.find(asker, ia, pool);
        }
        parts.find_map(|part| {
            let (first, last) = pool.lengths;
            let lengths = match (ia.kind, part.length) {
                (Kind::Prefix, Some(length)) => (length, length),
                (Kind::Prefix, None) => (first.max(part.net.prefix_len()), last),
                (Kind::Address, _) => (first, last),
            };
            self.find(asker, ia, &Pool { prefix: part.net, lengths, ..*pool })
        })
    }

    fn is_capped(&self, asker: &Claim<'_>) -> bool {
        let limits = &self.limits;
        self.table.len() - self.table.registered() >= limits.leases
            || self.table.len_on(&asker.link.name) >= asker.link.leases.unwrap_or(limits.leases_per_link)
            || self.table.count_held(&asker.identity) >= limits.leases_per_client
    }

    /// What to give from `pool`: what the client asks for, else what its hash says; of what is offered to others only
    /// where nothing else is left.
    fn find(&self, asker: &Claim<'_>, ia: &Association, pool: &Pool<'_>) -> Option<Resource> {
        let who = Claimant { key: &self.hash_key, identity: &asker.identity, iaid: ia.iaid };
        let (first, last) = pool.lengths;
        let fits = |resource: Resource| match resource {
            Resource::Address(address) => !allocate::is_reserved(address),
            Resource::Prefix(net) => (first.min(last)..=last).contains(&net.prefix_len()),
        };
        for heed_offers in [true, false] {
            let free = |resource| self.is_free(asker, ia.iaid, pool, resource, heed_offers);
            let hint = ia.listed.iter().copied().find(|&hint| fits(hint) && free(hint));
            let found = hint.or_else(|| match ia.kind {
                Kind::Address => {
                    allocate::address(pool.prefix, who, |address| free(Resource::Address(address)))
                        .map(Resource::Address)
                }
                Kind::Prefix => (first..=last)
                    .find_map(|length| {
                        allocate::prefix(pool.prefix, length, who, |p| free(Resource::Prefix(p)))
                    })
                    .map(Resource::Prefix),
            });
            if found.is_some() {
                return found;
            }
        }
        None
    }

    fn is_free(
        &self,
        asker: &Claim<'_>,
        iaid: u32,
        pool: &Pool<'_>,
        resource: Resource,
        heed_offers: bool,
    ) -> bool {
        let net = resource.net();
        let served = &asker.served;
        pool.prefix.contains(&net)
            && !served.is_anothers(iaid, net)
            && served.policy.may_have(&pool.link.name, pool.prefix, resource, served.classes)
            && self.is_clear(asker, iaid, resource, heed_offers)
    }

    /// Whether nobody has, or is about to have, what overlaps the resource, and the link does not keep it back.
    fn is_clear(&self, asker: &Claim<'_>, iaid: u32, resource: Resource, heed_offers: bool) -> bool {
        let net = resource.net();
        // A lease of the client's own stands in nobody's way if it is not in force: it was retired, or is just leaving.
        let own = |lease: &Lease| lease.resource == resource && lease.is_held_by(&asker.identity, iaid);
        // What somebody made up within a prefix does not keep it from others once it is delegated no more.
        let made_up = |lease: &Lease| lease.state == LeaseState::Registered && lease.resource != resource;
        let clear = |table: &LeaseTable| table.overlaps(net).all(|lease| own(&lease) || made_up(&lease));
        is_given(asker.link, resource)
            && self
                .table
                .overlaps(net)
                .all(|lease| (own(&lease) && lease.state == LeaseState::Retired) || made_up(&lease))
            && clear(self.flight.leaving())
            && (!heed_offers
                || self.offers.overlaps(net).all(|offer| own(&offer) || offer.valid_until <= asker.now))
            && match resource {
                Resource::Address(_) => true,
                Resource::Prefix(net) => !self.is_on_some_link(net),
            }
    }

    /// Whether a prefix that could be delegated holds addresses of a link that is served here.
    fn is_on_some_link(&self, net: Ipv6Net) -> bool {
        self.addresses.overlap(net)
    }

    /// Keeps a lease from others for a while, in the room that there is for offers.
    fn offer(&mut self, now: Duration, lease: Lease) {
        // An offer that is made again needs no more room.
        self.offers.remove(lease.resource);
        while self.offers.first_end().is_some_and(|end| end <= now)
            || self.offers.len() >= self.limits.offers.max(1)
        {
            let Some(offer) = self.offers.first_to_end() else { break };
            let (resource, early) = (offer.resource, offer.valid_until > now);
            self.offers.remove(resource);
            self.counters.offers_evicted = self.counters.offers_evicted.saturating_add(u64::from(early));
        }
        let valid_until = now.saturating_add(self.limits.offer_hold);
        self.offers.put(Lease { valid_until, ..lease });
    }

    /// The lifetimes that a resource has on a link; none where it lies outside of what the link gives.
    pub(super) fn lifetimes_of(&self, link: &str, resource: Resource) -> Option<Lifetimes> {
        self.lifetimes_on(self.links.get(link)?, resource)
    }

    fn lifetimes_on(&self, link: &Link, resource: Resource) -> Option<Lifetimes> {
        if !is_given(link, resource) {
            return None;
        }
        let net = resource.net();
        // What is reserved may lie outside of the pools, in a network of the link.
        let reserved = || self.policy.reservations.is_reserved(&link.name, resource);
        match resource {
            Resource::Address(address) => {
                let pool = link.addresses.iter().find(|pool| pool.prefix.contains(&address));
                let near = || link.addresses.iter().find(|pool| same_place(pool.prefix, net, Kind::Address));
                let there = || link.prefixes.iter().any(|prefix| prefix.contains(&address));
                match pool.or_else(|| near().filter(|_| reserved())) {
                    Some(pool) => Some(pool.lifetimes),
                    None => link.lifetimes.filter(|_| there() && reserved()),
                }
            }
            Resource::Prefix(_) if self.is_on_some_link(net) => None,
            Resource::Prefix(_) => {
                let pool = link.delegation.iter().find(|pool| pool.prefix.contains(&net));
                pool.map(|pool| pool.lifetimes).or_else(|| link.lifetimes.filter(|_| reserved()))
            }
        }
    }
}

/// Whether the link has pools for associations of this kind.
pub(super) fn gives(link: &Link, kind: Kind) -> bool {
    match kind {
        Kind::Address => !link.addresses.is_empty(),
        Kind::Prefix => !link.delegation.is_empty(),
    }
}

/// Whether the link's configuration does not keep the resource back.
fn is_given(link: &Link, resource: Resource) -> bool {
    match resource {
        Resource::Address(address) => !link.reserved.contains(&address),
        Resource::Prefix(net) => {
            let kept = link
                .delegation
                .iter()
                .filter(|pool| overlap(pool.prefix, net))
                .flat_map(|pool| &pool.reserved);
            !kept.into_iter().any(|reserved| overlap(*reserved, net))
        }
    }
}

/// Whether two prefixes share an address.
fn overlap(a: Ipv6Net, b: Ipv6Net) -> bool {
    a.contains(&b) || b.contains(&a)
}
