//! The links: which there are, and on which of them a client is.

use super::asker::Claim;
use super::relayed::Chain;
use super::{Actions, Datagram, Discard, Link, Relays, Server};
use crate::lease::{LeaseTable, Resource};
use ipnet::Ipv6Net;
use std::sync::Arc;
use std::time::Duration;

impl Server {
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

    pub(super) fn replace_links(&mut self, links: impl Iterator<Item = Arc<Link>>) {
        self.links = links.map(|link| (link.name.clone(), link)).collect();
        self.directory.set_links(&self.links);
        let pools = self.links.values().flat_map(|link| &link.addresses);
        self.addresses = pools.map(|pool| (pool.prefix, ())).collect();
    }

    pub(super) fn links_changed(&mut self, now: Duration, actions: &mut Actions) {
        self.offers = LeaseTable::new();
        self.expire(now, actions);
        self.sync_all_routes(actions);
    }

    /// Whether the link decides by its clients' hardware addresses, so that those should be known that ask.
    pub fn wants_mac(&self, link: &str) -> bool {
        self.links.get(link).is_some_and(|link| link.key == crate::identity::Key::Mac)
    }

    /// The link that the client is on.
    pub(super) fn place(&self, datagram: &Datagram<'_>, chain: &Chain<'_>) -> Result<Arc<Link>, Discard> {
        let link = match chain.link_address() {
            // No agent tells it: then the client is where the message came in, as behind a bridge that relays (RFC 6221).
            None => self.links.get(datagram.link),
            Some(address) => self.directory.place(address),
        };
        link.cloned().ok_or(Discard::Link)
    }
}

/// Whether an address belongs to the link; `None` where that cannot be told because no pool says what the link is.
pub(super) fn on_link(asker: &Claim<'_>, resource: Resource) -> Option<bool> {
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
