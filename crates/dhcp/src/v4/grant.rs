//! Offering, giving and extending addresses, and setting them aside.

use super::allocate;
use super::config::{Link, after};
use super::counters::Discard;
use super::lease::{Lease, LeaseChange};
use super::message::Asked;
use super::reply::Answer;
use super::server::{Server, count, remaining};
use crate::lease::LeaseState;
use sixgate_wire::dhcpv4::{ClientId, MIN_V6ONLY_WAIT, MessageType};
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

/// Who heeds option 108 does not come back before this (MIN_V6ONLY_WAIT).
const HEEDED: Duration = Duration::from_secs(MIN_V6ONLY_WAIT as u64);
/// Shortest lease that is told, in seconds: clients stretch what is shorter (dhcpcd to 20), or ask again and
/// again.
const SHORTEST: u32 = 60;
/// Longest time for which what was promised for ever, or nearly so, is kept from others after its pool went.
const RETIRED_MOST: Duration = Duration::from_hours(30 * 24);
/// At most one in so many addresses of a pool is kept aside because it was declined.
const DECLINED_PART: usize = 4;

impl Server {
    pub(super) fn discover(
        &mut self,
        now: Duration,
        link: &Arc<Link>,
        asked: &Asked,
        v6only: Option<u32>,
        ticket: u64,
    ) -> Result<Answer, Discard> {
        if v6only.is_some() {
            // RFC 8925 section 3.3: no address is set aside, the one offered is 0.0.0.0, and Rapid Commit is
            // not honoured.
            let told = self.roster.tell(now, self.pilot.place(&asked.client));
            let without = Answer { v6only, ..Answer::new(MessageType::OFFER) };
            let heeds = told.is_none_or(|told| now >= told.saturating_add(HEEDED));
            let Some(address) = (!heeds).then(|| self.find(now, link, asked).ok()).flatten() else {
                self.forget_offer(link, &asked.client);
                return Ok(without);
            };
            // It should have waited: some clients take no offer of 0.0.0.0. The same section allows an
            // address instead.
            count(&mut self.counters.told_again);
            self.offer(now, link, asked, address);
            return Ok(Answer { address: Some(address), lease: Some(link.lease_seconds()), ..without });
        }
        let address = self.find(now, link, asked)?;
        let seconds = link.lease_seconds();
        if self.rapid_commit && asked.rapid_commit {
            self.bind(now, link, asked, address, ticket)?;
            let ack = Answer::new(MessageType::ACK);
            return Ok(Answer { address: Some(address), lease: Some(seconds), rapid_commit: true, ..ack });
        }
        self.offer(now, link, asked, address);
        Ok(Answer { address: Some(address), lease: Some(seconds), ..Answer::new(MessageType::OFFER) })
    }

    /// RFC 2131 section 4.3.2.
    pub(super) fn request(
        &mut self,
        now: Duration,
        link: &Arc<Link>,
        asked: &Asked,
        v6only: Option<u32>,
        ticket: u64,
    ) -> Result<Answer, Discard> {
        let nak = |words| Ok(Answer { words: Some(words), ..Answer::new(MessageType::NAK) });
        let address = asked.address().ok_or(Discard::Malformed)?;
        let selecting = asked.server.is_some();
        if !link.subnet.contains(&address) {
            return nak("the address does not belong to this network");
        }
        let held =
            self.table.held(&link.name, &asked.client).filter(|lease| lease.valid_until > now).cloned();
        let gives = link.gives(address);
        let elsewhere =
            held.as_ref().is_some_and(|lease| lease.address != address && link.gives(lease.address));
        if elsewhere && selecting {
            // It is always offered what it holds: this one was offered long ago, and the message is late or
            // doubled. A Nak would take from the client what it has by now.
            return Err(Discard::Silent);
        }
        if let Some(lease) = held.filter(|lease| lease.address == address && gives) {
            let Some(_) = v6only else {
                self.bind(now, link, asked, address, ticket)?;
                let ack = Answer::new(MessageType::ACK);
                return Ok(Answer { address: Some(address), lease: Some(link.lease_seconds()), ..ack });
            };
            // It can do without: the lease is not extended, which RFC 2131 section 4.3.2 leaves to the
            // server, so that the client asks anew when the lease ends, and is told then.
            let left = remaining(lease.valid_until, now).min(link.lease_seconds());
            if left < SHORTEST {
                return nak("the lease ends, and is not extended");
            }
            let ack = Answer::new(MessageType::ACK);
            return Ok(Answer { address: Some(address), lease: Some(left), v6only, ..ack });
        }
        if !selecting && !self.authoritative {
            return Err(Discard::Silent);
        }
        let offered =
            self.offers.held(&link.name, &asked.client).is_some_and(|offer| offer.address == address);
        // Whom this server has told that it can do without asks for no address, but where it was offered one
        // before.
        let may = v6only.is_none() || (selecting && offered);
        if may && gives && !elsewhere && self.is_free(now, link, &asked.client, address, !offered) {
            self.bind(now, link, asked, address, ticket)?;
            let ack = Answer::new(MessageType::ACK);
            return Ok(Answer { address: Some(address), lease: Some(link.lease_seconds()), v6only, ..ack });
        }
        nak("the address is not to be had")
    }

    /// Whether nobody else holds the address, or has it offered where that counts.
    fn is_free(
        &self,
        now: Duration,
        link: &Link,
        client: &ClientId,
        address: Ipv4Addr,
        heed_offers: bool,
    ) -> bool {
        let own = |lease: &Lease| lease.link == link.name && lease.client == *client;
        !self.flight.is_about(address)
            && self.table.get(address).is_none_or(|lease| own(lease) && lease.state != LeaseState::Declined)
            && (!heed_offers
                || self.offers.get(address).is_none_or(|offer| own(offer) || offer.valid_until <= now))
    }

    /// What to offer: what the client has, else what it asks for, else what its hash says; of what is offered
    /// to others only where nothing else is left (RFC 2131 section 4.3.1).
    fn find(&self, now: Duration, link: &Link, asked: &Asked) -> Result<Ipv4Addr, Discard> {
        let held = self.table.held(&link.name, &asked.client).map(|lease| lease.address);
        if let Some(held) = held.filter(|address| link.gives(*address)) {
            return Ok(held);
        }
        // Who moves makes room for itself.
        if held.is_none() && self.table.len() >= self.limits.leases {
            return Err(Discard::Capped);
        }
        for heed_offers in [true, false] {
            let free =
                |address| link.gives(address) && self.is_free(now, link, &asked.client, address, heed_offers);
            let hint = asked.requested.filter(|address| free(*address));
            let found = hint.or_else(|| allocate::address(&link.pool, &self.hash_key, &asked.client, free));
            if let Some(address) = found {
                return Ok(address);
            }
        }
        Err(Discard::Exhausted)
    }

    /// Gives the address to the client, or extends what it has.
    fn bind(
        &mut self,
        now: Duration,
        link: &Link,
        asked: &Asked,
        address: Ipv4Addr,
        ticket: u64,
    ) -> Result<(), Discard> {
        // What it had before: this address, if only as what was retired, and another that it moves away from.
        let same = self.table.get(address).cloned();
        let other =
            self.table.held(&link.name, &asked.client).filter(|lease| lease.address != address).cloned();
        let full = self.table.len() >= self.limits.leases;
        if full && same.is_none() && other.is_none() {
            return Err(Discard::Capped);
        }
        if let Some(other) = other {
            // Its pool is gone, or it has ended. The client may not have heard of the new one, and rely on it
            // still.
            let valid_until = other.valid_until.min(now.saturating_add(RETIRED_MOST));
            let change = if valid_until <= now || full {
                LeaseChange::Remove(other.address)
            } else {
                LeaseChange::Put(Lease { state: LeaseState::Retired, valid_until, ..other })
            };
            self.stage(ticket, change);
        }
        if same.is_none() {
            count(&mut self.counters.granted);
        }
        self.forget_offer(link, &asked.client);
        // An Ack that shortens a lease may be lost, and then the client relies on the longer time that it was
        // told.
        let promised = same.as_ref().map_or(Duration::ZERO, |lease| lease.valid_until);
        let lease = Lease {
            address,
            client: asked.client.clone(),
            hardware: asked.header.hardware,
            link: link.name.clone(),
            state: LeaseState::Bound,
            valid_until: after(now, link.lease_seconds()).max(promised),
            granted_at: same.as_ref().map_or(now, |lease| lease.granted_at),
            renewed_at: now,
            hostname: asked.hostname.clone().or(same.and_then(|lease| lease.hostname)),
        };
        self.stage(ticket, LeaseChange::Put(lease));
        Ok(())
    }

    /// Keeps an address for a client for a while, in the room that there is for offers.
    fn offer(&mut self, now: Duration, link: &Link, asked: &Asked, address: Ipv4Addr) {
        self.forget_offer(link, &asked.client);
        loop {
            let Some((first, until)) = self.offers.by_end().next().map(|o| (o.address, o.valid_until)) else {
                break;
            };
            if until > now && self.offers.len() < self.limits.offers.max(1) {
                break;
            }
            self.offers.remove(first);
            if until > now {
                count(&mut self.counters.offers_evicted);
            }
        }
        self.offers.put(Lease {
            address,
            client: asked.client.clone(),
            hardware: asked.header.hardware,
            link: link.name.clone(),
            state: LeaseState::Bound,
            valid_until: now.saturating_add(self.limits.offer_hold),
            granted_at: now,
            renewed_at: now,
            hostname: None,
        });
    }

    pub(super) fn forget_offer(&mut self, link: &Link, client: &ClientId) {
        if let Some(address) = self.offers.held(&link.name, client).map(|offer| offer.address) {
            self.offers.remove(address);
        }
    }

    /// Keeps an address from everybody for a while.
    pub(super) fn quarantine(&mut self, now: Duration, link: &Link, lease: Lease, ticket: u64) {
        // One client that declines all that it gets must not use up the pool.
        let (first, last) = (u32::from(*link.pool.start()), u32::from(*link.pool.end()));
        let most = self.limits.declined.min(last.saturating_sub(first) as usize / DECLINED_PART).max(1);
        let here = |declined: &&Lease| declined.link == link.name;
        let count_here = self.table.declined().filter(here).count();
        let oldest = self.table.declined().find(here).map(|declined| declined.address);
        if let Some(oldest) = oldest.filter(|oldest| count_here >= most && !self.flight.is_about(*oldest)) {
            count(&mut self.counters.declined_evicted);
            self.stage(ticket, LeaseChange::Remove(oldest));
        }
        let valid_until = now.saturating_add(self.limits.decline_hold);
        self.stage(ticket, LeaseChange::Put(Lease { state: LeaseState::Declined, valid_until, ..lease }));
    }
}
