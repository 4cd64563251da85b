//! The DHCPv6 relay agent (RFC 9915 section 19): what clients send on links of ours goes to servers
//! elsewhere, and what servers answer comes back.
//!
//! [`Relay`] holds no clock, no socket and no file. Feed it what came in, with the time, and do what it puts
//! into [`Actions`]; call [`Relay::handle_timeout`] when [`Relay::poll_timeout`] is reached. Nothing is kept
//! of a message that was relayed: all that it takes to deliver the answer comes back with it.
//!
//! What is kept is where delegated prefixes lie (RFC 8987). It is read from the Replies that pass, and comes
//! out as [`Action::Routed`] and [`Action::Unrouted`]. A Reply is not held back until that is on disk: the
//! lease is the server's, and a route lost in a crash comes with the client's next Renew.
//!
//! What is believed of whom:
//! - a client sends what clients send, from an address of its link; nobody else's message types, and no
//!   Relay-reply;
//! - Relay-forward is taken from relay agents that the link names, since it says who and where its client is;
//! - Relay-reply is taken from the servers of the link that it is for, and delivers to addresses on that link
//!   alone.

mod action;
mod config;
mod counters;
mod delegation;
mod forward;
mod limit;
pub mod recover;
mod reply;
mod snoop;

pub use action::{Action, Actions, FromLink, FromServer};
pub use config::{Config, Limits, Link, Server};
pub use counters::{Counters, Discard};
pub use delegation::Delegation;

use crate::lease::LinkId;
use counters::increase;
use delegation::Delegations;
use ipnet::Ipv6Net;
use limit::Limiter;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// Longest message that leaves, in octets: what fits into a UDP datagram over IPv6 without the jumbo option.
const LONGEST: usize = 65_527;

/// A relay agent for any number of links.
#[derive(Debug)]
pub struct Relay {
    config: Config,
    links: BTreeMap<LinkId, Arc<Link>>,
    limiters: BTreeMap<LinkId, Limiter>,
    key: [u8; 16],
    servers: BTreeMap<Server, Contact>,
    delegations: Delegations,
    counters: Counters,
    buffer: Vec<u8>,
}

/// What passed between us and a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Contact {
    /// Messages sent to it.
    pub sent: u64,
    /// Messages from it that were delivered.
    pub delivered: u64,
    /// Since when it owes an answer, and to how many messages. Servers do not answer everything: few and
    /// short mean nothing.
    pub silent: Option<(Duration, u64)>,
}

impl Relay {
    /// A relay agent that holds the delegations of `snapshot`, as they were kept; those whose link is no
    /// longer relayed stay until they end. `key` is secret and random: it keeps strangers from choosing with
    /// whom they share a rate.
    pub fn new(config: Config, key: [u8; 16], snapshot: Vec<Delegation>) -> Self {
        let mut relay = Self {
            config: Config::default(),
            links: BTreeMap::new(),
            limiters: BTreeMap::new(),
            key,
            servers: BTreeMap::new(),
            delegations: Delegations::default(),
            counters: Counters::default(),
            buffer: vec![0; LONGEST],
        };
        relay.set_config(config);
        for delegation in snapshot {
            relay.delegations.put(delegation);
        }
        relay
    }

    /// Takes another configuration. Delegations stay: routes go when their lifetime ends, not with a
    /// configuration (RFC 8987 section 4.1 G-8).
    pub fn set_config(&mut self, config: Config) {
        self.links =
            (config.links.iter()).map(|link| (LinkId::clone(&link.name), Arc::new(link.clone()))).collect();
        let key = self.key;
        let old = std::mem::take(&mut self.limiters);
        self.limiters = (self.links.keys())
            .map(|name| {
                let name = LinkId::clone(name);
                let limiter = old.get(&name).cloned().unwrap_or_else(|| Limiter::new(key));
                (name, limiter)
            })
            .collect();
        let wanted = config.links.iter().flat_map(|link| link.servers.iter().copied());
        self.servers =
            wanted.map(|server| (server, self.servers.get(&server).copied().unwrap_or_default())).collect();
        self.config = config;
    }

    /// A datagram came in on a link.
    pub fn handle_from_link(&mut self, now: Duration, datagram: &FromLink<'_>, actions: &mut Actions) {
        increase(&mut self.counters.from_links);
        self.handle_timeout(now, actions);
        if let Err(reason) = self.forward(now, datagram, actions) {
            self.counters.discard(reason);
        }
    }

    /// A datagram came to our port towards servers.
    pub fn handle_from_server(&mut self, now: Duration, datagram: &FromServer<'_>, actions: &mut Actions) {
        increase(&mut self.counters.from_servers);
        self.handle_timeout(now, actions);
        if let Err(reason) = self.deliver(now, datagram, actions) {
            self.counters.discard(reason);
        }
    }

    /// The time at which to call [`Relay::handle_timeout`]; `None` where there is nothing to wait for. Each
    /// call of another verb may change it.
    pub fn poll_timeout(&self) -> Option<Duration> {
        self.delegations.first_end().map(|(end, _)| end).filter(|end| *end != Duration::MAX)
    }

    /// Lets go of what has ended (RFC 8987 section 4.2 R-1).
    pub fn handle_timeout(&mut self, now: Duration, actions: &mut Actions) {
        while let Some((end, prefix)) = self.delegations.first_end()
            && end <= now
        {
            increase(&mut self.counters.expired);
            self.unroute(prefix, actions);
        }
    }

    /// Takes delegations that were learnt otherwise than from a Reply, as by bulk leasequery. What a Reply
    /// said is newer: a prefix that is known stays as it is, unless its lifetime grows with the same client.
    pub fn learn(&mut self, now: Duration, delegation: Delegation, actions: &mut Actions) {
        let known = self.delegations.get(&delegation.prefix);
        let news = known.is_none_or(|known| {
            (&known.link, &known.duid) == (&delegation.link, &delegation.duid)
                && known.valid_until < delegation.valid_until
        });
        let iaid = delegation.iaid.or(known.and_then(|known| known.iaid));
        let delegation = Delegation { iaid, ..delegation };
        if let Some(link) = self.links.get(&delegation.link).cloned()
            && news
            && delegation.valid_until > now
            && link.has(delegation.via)
        {
            self.route(&link, delegation, actions);
        }
    }

    /// Forgets a delegation at an operator's word (RFC 8987 section 4.4 O-2); whether there was one. The
    /// client's next Reply brings it back.
    pub fn clear(&mut self, prefix: Ipv6Net, actions: &mut Actions) -> bool {
        let there = self.delegations.get(&prefix).is_some();
        self.unroute(prefix, actions);
        there
    }

    /// The delegations that have routes.
    pub fn delegations(&self) -> impl Iterator<Item = &Delegation> {
        self.delegations.iter()
    }

    /// What passed between us and each server.
    pub fn servers(&self) -> impl Iterator<Item = (&Server, &Contact)> {
        self.servers.iter()
    }

    /// What happened so far.
    pub fn counters(&self) -> Counters {
        self.counters
    }
}
