//! Prefixes that servers delegated to clients on our links: where routes to them lead, and for how long (RFC
//! 8987).

use crate::lease::LinkId;
use ipnet::Ipv6Net;
use sixgate_wire::dhcpv6::Duid;
use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv6Addr;
use std::time::Duration;

/// A prefix that lies behind a client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delegation {
    /// The prefix.
    pub prefix: Ipv6Net,
    /// The link that the client is on.
    pub link: LinkId,
    /// The client's address there: the next hop.
    pub via: Ipv6Addr,
    /// The client.
    pub duid: Duid,
    /// The client's number for the association that the prefix is in; not told by a leasequery.
    pub iaid: Option<u32>,
    /// When the prefix ends; [`Duration::MAX`] is never.
    pub valid_until: Duration,
}

/// All delegations, one for each prefix: a prefix that is given to another client is no longer the first
/// one's.
#[derive(Debug, Default)]
pub(super) struct Delegations {
    by_prefix: BTreeMap<Ipv6Net, Delegation>,
    /// Each client's together.
    held: BTreeSet<(LinkId, Duid, Ipv6Net)>,
    by_end: BTreeSet<(Duration, Ipv6Net)>,
    on_link: BTreeMap<LinkId, usize>,
}

impl Delegations {
    pub(super) fn get(&self, prefix: &Ipv6Net) -> Option<&Delegation> {
        self.by_prefix.get(prefix)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Delegation> {
        self.by_prefix.values()
    }

    /// How many there are on a link.
    pub(super) fn on(&self, link: &LinkId) -> usize {
        self.on_link.get(link).copied().unwrap_or(0)
    }

    /// The prefixes of a client on a link.
    pub(super) fn of(&self, link: &LinkId, duid: &Duid) -> impl Iterator<Item = &Delegation> {
        let first = (LinkId::clone(link), duid.clone(), Ipv6Net::default());
        let (link, duid) = (LinkId::clone(link), duid.clone());
        (self.held.range(first..))
            .take_while(move |(on, of, ..)| *on == link && *of == duid)
            .filter_map(|(.., prefix)| self.by_prefix.get(prefix))
    }

    pub(super) fn put(&mut self, delegation: Delegation) {
        self.remove(&delegation.prefix);
        let (prefix, link) = (delegation.prefix, LinkId::clone(&delegation.link));
        self.held.insert((LinkId::clone(&link), delegation.duid.clone(), prefix));
        self.by_end.insert((delegation.valid_until, prefix));
        *self.on_link.entry(link).or_default() += 1;
        self.by_prefix.insert(prefix, delegation);
    }

    pub(super) fn remove(&mut self, prefix: &Ipv6Net) -> Option<Delegation> {
        let gone = self.by_prefix.remove(prefix)?;
        self.held.remove(&(LinkId::clone(&gone.link), gone.duid.clone(), *prefix));
        self.by_end.remove(&(gone.valid_until, *prefix));
        if let Some(count) = self.on_link.get_mut(&gone.link) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                self.on_link.remove(&gone.link);
            }
        }
        Some(gone)
    }

    /// The end that comes first.
    pub(super) fn first_end(&self) -> Option<(Duration, Ipv6Net)> {
        self.by_end.first().copied()
    }
}
