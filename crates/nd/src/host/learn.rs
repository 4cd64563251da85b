//! What an advertisement changes in what a host knows (RFC 4861 section 6.3.4, RFC 4862 section 5.5.3, RFC 4191
//! section 3.1, RFC 8106 section 6).

use super::state::{
    AutoAddress, DefaultRouter, LearnedRoute, OnLinkPrefix, Pref64Prefix, Resolver, SearchDomain, State,
};
use super::{Config, Counters};
use crate::lifetime::{seconds_left, until};
use core::time::Duration;
use ipnet::Ipv6Net;
use sixgate_wire::ndp::{
    Dnssl, NdOption, Preference, PrefixInformation, Rdnss, RouteInformation, RouterAdvertisement,
};
use std::net::Ipv6Addr;

/// Most default routers kept.
pub(super) const MAX_ROUTERS: usize = 8;
/// Most on-link prefixes kept.
pub(super) const MAX_PREFIXES: usize = 16;
/// Most autoconfigured addresses kept.
pub(super) const MAX_ADDRESSES: usize = 16;
/// Most learned routes kept.
pub(super) const MAX_ROUTES: usize = 32;
/// Most resolvers kept.
pub(super) const MAX_RDNSS: usize = 8;
/// Most search domains kept.
pub(super) const MAX_DNSSL: usize = 8;

/// Remaining valid lifetime, in seconds, down to which an unauthenticated advertisement can cut that of an address
/// (RFC 4862 section 5.5.3 e).
const TWO_HOURS: u32 = 7200;
/// IPv6's least MTU (RFC 8200 section 5).
const LEAST_MTU: u32 = 1280;

/// One advertisement being learned.
pub(super) struct Learning<'s> {
    pub(super) now: Duration,
    pub(super) router: Ipv6Addr,
    pub(super) config: &'s Config,
    pub(super) state: &'s mut State,
    pub(super) counters: &'s mut Counters,
}

impl Learning<'_> {
    pub(super) fn advertisement(&mut self, advertisement: &RouterAdvertisement<'_>) {
        self.state.heard_router = true;
        self.default_router(u32::from(advertisement.router_lifetime()), advertisement.preference());
        self.state.managed = advertisement.managed();
        self.state.other = advertisement.other();
        let milliseconds =
            |value: u32| Some(Duration::from_millis(u64::from(value))).filter(|t| !t.is_zero());
        if advertisement.hop_limit() != 0 {
            self.state.hop_limit = Some(advertisement.hop_limit());
        }
        self.state.reachable_time =
            milliseconds(advertisement.reachable_time()).or(self.state.reachable_time);
        self.state.retrans_timer = milliseconds(advertisement.retrans_timer()).or(self.state.retrans_timer);
        for option in advertisement.options().iter() {
            match option {
                NdOption::PrefixInformation(prefix) => self.prefix(&prefix),
                NdOption::RouteInformation(route) => self.route(&route),
                NdOption::Rdnss(rdnss) => self.rdnss(&rdnss),
                NdOption::Dnssl(dnssl) => self.dnssl(&dnssl),
                // RFC 4861 section 6.3.4: out of range is ignored.
                NdOption::Mtu(mtu) if (LEAST_MTU..=self.config.interface_mtu).contains(&mtu) => {
                    self.state.mtu = Some(mtu);
                }
                NdOption::CaptivePortal(uri) => self.captive_portal(uri),
                NdOption::Pref64(told) => self.pref64(told.prefix, u32::from(told.lifetime)),
                _ => {}
            }
        }
        self.sort();
    }

    fn default_router(&mut self, lifetime: u32, preference: Preference) {
        let address = self.router;
        let routers = &mut self.state.default_routers;
        if lifetime == 0 {
            routers.retain(|r| r.address != address);
            return;
        }
        let learned = DefaultRouter { address, preference, until: until(self.now, lifetime) };
        put(routers, MAX_ROUTERS, self.counters, |r| r.address == address, learned);
    }

    fn prefix(&mut self, told: &PrefixInformation) {
        let prefix = told.prefix();
        // RFC 4861 section 6.3.4 and RFC 4862 section 5.5.3 b: the link-local prefix is ignored. Multicast is no prefix
        // of a link, and neither is the unspecified address' host route.
        let address = prefix.network();
        if address.is_unicast_link_local() || address.is_multicast() || address.is_loopback() {
            return;
        }
        if told.on_link {
            self.on_link(prefix, told.valid);
        }
        // RFC 4862 section 5.5.3 a, c.
        if told.autonomous && told.preferred <= told.valid {
            self.autonomous(prefix, told.preferred, told.valid);
        }
    }

    fn on_link(&mut self, prefix: Ipv6Net, valid: u32) {
        let prefixes = &mut self.state.prefixes;
        if valid == 0 {
            prefixes.retain(|p| p.prefix != prefix);
            return;
        }
        let learned = OnLinkPrefix { prefix, until: until(self.now, valid) };
        put(prefixes, MAX_PREFIXES, self.counters, |p| p.prefix == prefix, learned);
    }

    fn autonomous(&mut self, prefix: Ipv6Net, preferred: u32, valid: u32) {
        // RFC 4862 section 5.5.3 d: prefix and interface identifier must make up 128 bits.
        let (Some(identifier), 64) = (self.config.interface_id, prefix.prefix_len()) else { return };
        let address =
            Ipv6Addr::from(u128::from(prefix.network()) | u128::from(u64::from_be_bytes(identifier)));
        let preferred_until = until(self.now, preferred);
        let addresses = &mut self.state.addresses;
        let Some(known) = addresses.iter_mut().find(|a| a.address == address) else {
            if valid != 0 {
                let valid_until = until(self.now, valid);
                let learned = AutoAddress { address, prefix_length: 64, preferred_until, valid_until };
                put(addresses, MAX_ADDRESSES, self.counters, |_| false, learned);
            }
            return;
        };
        known.preferred_until = preferred_until;
        // RFC 4862 section 5.5.3 e: a forged advertisement must not cut an address off at once.
        let remaining = seconds_left(self.now, known.valid_until);
        if valid > TWO_HOURS || valid > remaining {
            known.valid_until = until(self.now, valid);
        } else if remaining > TWO_HOURS {
            known.valid_until = until(self.now, TWO_HOURS);
        }
    }

    fn route(&mut self, told: &RouteInformation) {
        if told.prefix.prefix_len() == 0 {
            // RFC 4191 section 3.1: a route to everywhere takes the place of the header's.
            return self.default_router(told.lifetime, told.preference);
        }
        let network = told.prefix.network();
        if network.is_multicast() || network.is_unicast_link_local() || network.is_loopback() {
            return;
        }
        let router = self.router;
        let routes = &mut self.state.routes;
        if told.lifetime == 0 {
            routes.retain(|r| (r.prefix, r.router) != (told.prefix, router));
            return;
        }
        let learned = LearnedRoute {
            prefix: told.prefix,
            router,
            preference: told.preference,
            until: until(self.now, told.lifetime),
        };
        put(routes, MAX_ROUTES, self.counters, |r| (r.prefix, r.router) == (learned.prefix, router), learned);
    }

    fn rdnss(&mut self, told: &Rdnss<'_>) {
        let until = until(self.now, told.lifetime);
        for address in told.addresses.iter() {
            if address.is_multicast() || address.is_unspecified() || address.is_loopback() {
                continue;
            }
            let resolvers = &mut self.state.rdnss;
            if told.lifetime == 0 {
                resolvers.retain(|r| r.address != address);
                continue;
            }
            put(resolvers, MAX_RDNSS, self.counters, |r| r.address == address, Resolver { address, until });
        }
    }

    fn dnssl(&mut self, told: &Dnssl<'_>) {
        let until = until(self.now, told.lifetime);
        for name in &told.names {
            let domains = &mut self.state.dnssl;
            if told.lifetime == 0 {
                domains.retain(|d| d.name != name);
                continue;
            }
            let learned = SearchDomain { name, until };
            put(domains, MAX_DNSSL, self.counters, |d| d.name == learned.name, learned.clone());
        }
    }

    /// RFC 8781 section 5. Of two NAT64s on one link, the one that was told first stays for as long as its router does: to change with
    /// each advertisement would cut every connection.
    fn pref64(&mut self, prefix: Ipv6Net, lifetime: u32) {
        let routers = &self.state.default_routers;
        let of_another = |known: &Pref64Prefix| {
            known.router != self.router && routers.iter().any(|router| router.address == known.router)
        };
        if self.state.pref64.as_ref().is_some_and(of_another) {
            return;
        }
        if lifetime != 0 {
            let until = until(self.now, lifetime);
            self.state.pref64 = Some(Pref64Prefix { prefix, router: self.router, until });
        } else if self.state.pref64.is_some_and(|known| known.prefix == prefix) {
            self.state.pref64 = None;
        }
    }

    fn captive_portal(&mut self, uri: &[u8]) {
        // RFC 8910 section 2: a URI, and so ASCII without spaces; anything else would end in somebody's log.
        let printable = !uri.is_empty() && uri.iter().all(u8::is_ascii_graphic);
        if printable && let Ok(uri) = std::str::from_utf8(uri) {
            self.state.captive_portal = Some(uri.to_owned());
        }
    }

    fn sort(&mut self) {
        // Both sorts are stable: among equals, the one known longest stays in front.
        self.state.default_routers.sort_by_key(|r| std::cmp::Reverse(r.preference));
        self.state.routes.sort_by_key(|r| std::cmp::Reverse((r.prefix.prefix_len(), r.preference)));
    }
}

/// Puts `learned` in the place of the entry that is `same`, or behind all others while there is room.
fn put<T>(table: &mut Vec<T>, most: usize, counters: &mut Counters, same: impl Fn(&T) -> bool, learned: T) {
    if let Some(known) = table.iter_mut().find(|entry| same(entry)) {
        *known = learned;
    } else if table.len() < most {
        table.push(learned);
    } else {
        counters.refuse();
    }
}
