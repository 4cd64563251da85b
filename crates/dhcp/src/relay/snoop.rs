//! What passes tells where delegated prefixes lie (RFC 8987 sections 4.1 and 4.2).

use super::counters::increase;
use super::{Action, Actions, Delegation, Link, Relay};
use crate::lease::LinkId;
use ipnet::Ipv6Net;
use sixgate_wire::dhcpv6::{DhcpOption, Duid, INFINITY, IaPd, Message, MessageType, OptionCode, StatusCode};
use std::net::Ipv6Addr;
use std::time::Duration;

/// Associations that are looked at in one message, and prefixes in one of them: far more than a client has.
const MOST: usize = 64;

impl Relay {
    /// A Reply says what a client holds, and for how long.
    pub(super) fn snoop_reply(
        &mut self,
        now: Duration,
        link: &Link,
        via: Ipv6Addr,
        message: &Message<'_>,
        actions: &mut Actions,
    ) {
        if !link.delegates
            || message.kind() != MessageType::REPLY
            || message.options().status().code != StatusCode::SUCCESS
        {
            return;
        }
        let Some(duid) = client(message) else { return };
        for ia in associations(message).filter(|ia| ia.options.status().code == StatusCode::SUCCESS) {
            for prefix in ia.prefixes().take(MOST) {
                // Who gets such a prefix ignores it (RFC 9915 section 21.22).
                if prefix.preferred > prefix.valid || prefix.options.status().code != StatusCode::SUCCESS {
                    continue;
                }
                let net = prefix.net();
                if prefix.valid == 0 {
                    self.ended(link, &duid, ia.iaid, net, actions);
                    continue;
                }
                let valid_until = match prefix.valid {
                    INFINITY => Duration::MAX,
                    valid => now.saturating_add(Duration::from_secs(valid.into())),
                };
                let (link_id, duid) = (LinkId::clone(&link.name), duid.clone());
                let delegation =
                    Delegation { prefix: net, link: link_id, via, duid, iaid: Some(ia.iaid), valid_until };
                self.route(link, delegation, actions);
            }
        }
    }

    /// A client gives prefixes back. An association that names none gives back all that it has.
    pub(super) fn released(
        &mut self,
        link: &Link,
        source: Ipv6Addr,
        message: &Message<'_>,
        actions: &mut Actions,
    ) {
        let Some(duid) = client(message) else { return };
        for ia in associations(message) {
            let named: Vec<Ipv6Net> = ia.prefixes().take(MOST).map(|prefix| prefix.net()).collect();
            let theirs: Vec<Ipv6Net> = (self.delegations.of(&link.name, &duid))
                .filter(|held| held.iaid.is_none_or(|iaid| iaid == ia.iaid) && held.via == source)
                .map(|held| held.prefix)
                .filter(|prefix| named.is_empty() || named.contains(prefix))
                .collect();
            for prefix in theirs {
                increase(&mut self.counters.released);
                self.unroute(prefix, actions);
            }
        }
    }

    /// The server takes a prefix back from a client. Who holds it by now may be another.
    fn ended(&mut self, link: &Link, duid: &Duid, iaid: u32, prefix: Ipv6Net, actions: &mut Actions) {
        let theirs = self.delegations.get(&prefix).is_some_and(|held| {
            held.link == link.name && held.duid == *duid && held.iaid.is_none_or(|held| held == iaid)
        });
        if theirs {
            increase(&mut self.counters.released);
            self.unroute(prefix, actions);
        }
    }

    /// Lets a route lead to a prefix, within the bounds.
    pub(super) fn route(&mut self, link: &Link, delegation: Delegation, actions: &mut Actions) {
        if !self.routable(link, delegation.prefix) {
            increase(&mut self.counters.unroutable);
            return;
        }
        let known = self.delegations.get(&delegation.prefix);
        if known == Some(&delegation) {
            return;
        }
        let moves = known.is_none_or(|known| known.link != delegation.link || known.duid != delegation.duid);
        let new = known.is_none();
        if moves {
            // Of one client's own that which ends first gives way: a client that is renumbered keeps its
            // newest.
            let mut own: Vec<(Duration, Ipv6Net)> = (self.delegations.of(&link.name, &delegation.duid))
                .map(|held| (held.valid_until, held.prefix))
                .collect();
            own.sort_unstable();
            let most = self.config.limits.prefixes_per_client.max(1);
            for (_, prefix) in own.iter().take((own.len() + 1).saturating_sub(most)) {
                increase(&mut self.counters.evicted);
                self.unroute(*prefix, actions);
            }
            // It is no longer the one's who had it, whether there is room or not.
            let taken = self.delegations.remove(&delegation.prefix);
            if self.delegations.on(&link.name) >= self.config.limits.prefixes_per_link {
                increase(&mut self.counters.capped);
                actions.extend(taken.map(|held| Action::Unrouted { prefix: held.prefix }));
                return;
            }
        }
        if new {
            increase(&mut self.counters.routed);
        }
        self.delegations.put(delegation.clone());
        actions.push(Action::Routed(delegation));
    }

    pub(super) fn unroute(&mut self, prefix: Ipv6Net, actions: &mut Actions) {
        if self.delegations.remove(&prefix).is_some() {
            actions.push(Action::Unrouted { prefix });
        }
    }

    /// Whether a prefix may lie behind a client: one that links have themselves, or that is everything, would
    /// take their traffic.
    fn routable(&self, link: &Link, prefix: Ipv6Net) -> bool {
        let address = prefix.network();
        let on_link = self.links.values().flat_map(|link| &link.prefixes).any(|own| own.contains(&prefix));
        let special = address.is_multicast() || address.is_unicast_link_local() || address.is_loopback();
        let within = &link.delegated_from;
        prefix.prefix_len() >= 8
            && !on_link
            && !special
            && (within.is_empty() || within.iter().any(|within| within.contains(&prefix)))
    }
}

/// The client that a message is to or from.
fn client(message: &Message<'_>) -> Option<Duid> {
    message.options().get(OptionCode::CLIENT_ID).and_then(|octets| Duid::new(octets).ok())
}

/// The associations for prefixes in a message.
fn associations<'a>(message: &Message<'a>) -> impl Iterator<Item = IaPd<'a>> + use<'a> {
    let ias = message.options().iter().filter_map(|option| match option {
        DhcpOption::IaPd(ia) => Some(ia),
        _ => None,
    });
    ias.take(MOST)
}
