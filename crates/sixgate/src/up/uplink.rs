//! The side that the ISP is on: a host that learns from router advertisements, and a DHCPv6 client.

use super::kernel::{AddressKey, AddressValue, Desired, ON_LINK_METRIC, RouteKey, To};
use super::plan::Delegated;
use crate::config;
use sixgate_dhcp::client::{Binding, Client, State};
use sixgate_endpoint::{Endpoint, Zone};
use sixgate_nd::host::{self, Host};
use std::net::Ipv6Addr;
use std::time::Duration;

/// Metric of the first default route; the next ones follow.
const DEFAULT_METRIC: u32 = 512;

#[derive(Debug)]
pub(crate) struct Uplink {
    pub(crate) config: config::Uplink,
    /// The kernel's number of the interface.
    pub(crate) interface: u32,
    pub(crate) link_layer: Option<[u8; 6]>,
    pub(crate) mtu: u32,
    pub(crate) link_local: Option<Ipv6Addr>,
    pub(crate) up: bool,
    /// There once the link-local address is.
    pub(crate) host: Option<Host>,
    /// None where neither an address nor a prefix is asked for.
    pub(crate) client: Option<Client>,
    /// What resolv.conf was last given.
    pub(crate) resolv_conf: Option<String>,
    pub(crate) released: bool,
    /// What the log was told that the ISP gives.
    pub(crate) told: Vec<ipnet::Ipv6Net>,
}

impl Uplink {
    pub(crate) fn name(&self) -> &str {
        &self.config.interface.value
    }

    /// Begins to listen for routers. Addresses take the interface identifier of the link-local address, which the
    /// kernel made as its owner wished (EUI-64 or RFC 7217).
    pub(crate) fn start_host(&mut self, now: Duration, link_local: Ipv6Addr) {
        let mut interface_id = [0; 8];
        interface_id.copy_from_slice(link_local.octets().split_at(8).1);
        let config = host::Config {
            link_layer: self.link_layer,
            interface_id: Some(interface_id),
            interface_mtu: self.mtu,
        };
        let host = self.host.get_or_insert_with(|| Host::new(config, fastrand::Rng::new()));
        host.start(now);
    }

    pub(crate) fn binding(&self) -> Option<&Binding> {
        self.client.as_ref().and_then(Client::binding)
    }

    /// The prefixes that are ours to use.
    pub(crate) fn delegated(&self, now: Duration) -> Vec<Delegated> {
        let prefixes = self.binding().map_or(&[][..], |binding| &binding.prefixes);
        (prefixes.iter())
            .filter(|prefix| prefix.valid_until > now && prefix.prefix.prefix_len() <= 64)
            .map(|prefix| Delegated {
                prefix: prefix.prefix,
                excluded: prefix.excluded,
                preferred_until: prefix.preferred_until,
                valid_until: prefix.valid_until,
            })
            .collect()
    }

    /// What was asked for and is not given, as a sentence.
    pub(crate) fn problem(&self) -> Option<String> {
        let client = self.client.as_ref()?;
        let settled = matches!(client.state(), State::Bound | State::Renewing | State::Rebinding);
        let given = &self.binding()?.prefixes;
        if !settled || !self.config.prefix {
            return None;
        }
        let name = self.name();
        match given.first() {
            None => Some(format!(
                "the ISP on {name} delegates no prefix: the LANs have no way out; ask the ISP for prefix delegation (IA_PD), \
                 give the LANs prefixes of their own, or set uplink.prefix = false"
            )),
            Some(first) if given.iter().all(|given| given.prefix.prefix_len() > 64) => Some(format!(
                "the ISP on {name} delegates {}, which is too small for a LAN: it takes a /64; ask the ISP for a shorter prefix \
                 (uplink.prefix-length), or give the LANs prefixes of their own",
                first.prefix
            )),
            Some(_) => None,
        }
    }

    pub(crate) fn has_default_route(&self) -> bool {
        self.host.as_ref().is_some_and(|host| !host.state().default_routers.is_empty())
    }

    /// Resolvers learnt here: DHCPv6's first, then those of router advertisements.
    pub(crate) fn resolvers(&self) -> Vec<Endpoint> {
        let leased = self.binding().map_or(&[][..], |binding| &binding.dns_servers).iter().copied();
        let advertised = self.host.iter().flat_map(|host| host.state().rdnss.iter().map(|r| r.address));
        let mut resolvers: Vec<Endpoint> = Vec::new();
        for address in leased.chain(advertised) {
            let resolver = Endpoint::new(address);
            let resolver = Zone::from_index(self.interface).map_or(resolver, |zone| resolver.with_zone(zone));
            if !resolvers.contains(&resolver) {
                resolvers.push(resolver);
            }
        }
        resolvers
    }

    /// Domains to search, as the ISP says.
    pub(crate) fn domains(&self) -> Vec<String> {
        let leased = self.binding().map_or(&[][..], |binding| &binding.domains).iter().cloned();
        let advertised = self.host.iter().flat_map(|host| host.state().dnssl.iter().map(|d| d.name.clone()));
        let mut domains: Vec<String> = Vec::new();
        for domain in leased.chain(advertised) {
            if !domains.contains(&domain) {
                domains.push(domain);
            }
        }
        domains
    }

    /// Adds the uplink's addresses and routes.
    pub(crate) fn desire(&self, now: Duration, desired: &mut Desired) {
        if !self.up {
            return;
        }
        let mut address = |address, preferred_until, valid_until| {
            if valid_until > now {
                let key = AddressKey { interface: self.interface, address };
                desired
                    .addresses
                    .insert(key, AddressValue { prefix_length: 128, preferred_until, valid_until });
            }
        };
        if let Some(binding) = self.binding() {
            for leased in &binding.addresses {
                address(leased.address, leased.preferred_until, leased.valid_until);
            }
        }
        let Some(state) = self.host.as_ref().map(Host::state) else { return };
        for auto in &state.addresses {
            address(auto.address, auto.preferred_until, auto.valid_until);
        }
        for prefix in &state.prefixes {
            let to = To::Link { interface: self.interface };
            desired.routes.insert(RouteKey { destination: prefix.prefix, to, metric: ON_LINK_METRIC });
        }
        for (rank, router) in (0..).zip(&state.default_routers) {
            let to = To::Gateway { gateway: router.address, interface: self.interface };
            let metric = DEFAULT_METRIC + rank;
            desired.routes.insert(RouteKey { destination: ipnet::Ipv6Net::default(), to, metric });
        }
        for (rank, route) in (0..).zip(&state.routes) {
            let to = To::Gateway { gateway: route.router, interface: self.interface };
            let metric = DEFAULT_METRIC + rank;
            desired.routes.insert(RouteKey { destination: route.prefix, to, metric });
        }
    }
}
