//! One LAN: what its prefixes mean for advertisements, DHCPv6 and the firewall.

use super::plan::Share;
use crate::config::{self, RouterPreference};
use ipnet::Ipv6Net;
use sixgate_dhcp::server::{AddressPool, DelegationPool, Lifetimes, Link};
use sixgate_nd::router::{self, AdvertisedPrefix, Router};
use sixgate_wire::ndp::Preference;
use std::net::Ipv6Addr;
use std::time::Duration;

/// Whose resolvers clients are told of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Dns {
    /// We answer.
    Ours,
    /// We do not (`dns.enabled = false`): those that the configuration or the uplink names.
    Others { resolvers: Vec<Ipv6Addr>, domains: Vec<String> },
}

impl Dns {
    fn domains(&self) -> Vec<String> {
        match self {
            Self::Ours => vec!["home.arpa".to_owned()],
            Self::Others { domains, .. } => domains.clone(),
        }
    }
}

/// A LAN that is served.
#[derive(Debug)]
pub(crate) struct Lan {
    pub(crate) config: config::Lan,
    /// The kernel's number of the interface.
    pub(crate) interface: u32,
    pub(crate) link_layer: Option<[u8; 6]>,
    /// Our link-local address, once it is ours alone.
    pub(crate) link_local: Option<Ipv6Addr>,
    pub(crate) up: bool,
    pub(crate) router: Router,
    pub(crate) share: Share,
    /// IPv4 networks of the interface, whoever gave it addresses in them; empty where `[ipv4]` is left out.
    pub(crate) ipv4: Vec<ipnet::Ipv4Net>,
}

impl Lan {
    /// Whether the LAN could be advertised on, and is not yet.
    pub(crate) fn waits(&self) -> bool {
        self.link_local.is_some() && !self.router.is_running()
    }

    /// From which address, by which interface, hosts here are answered by DHCPv6: from our link-local address where theirs is one
    /// too, whatever other addresses the interface has (RFC 9915 section 13); elsewhere as the kernel chooses (RFC 6724).
    pub(crate) fn speaks_from(&self, to: Ipv6Addr) -> Option<(Ipv6Addr, u32)> {
        self.link_local.filter(|_| to.is_unicast_link_local()).map(|from| (from, self.interface))
    }

    /// The gateway's own address in one of the LAN's prefixes.
    pub(crate) fn gateway(net: Ipv6Net) -> Ipv6Addr {
        (u128::from(net.network()) | 1).into()
    }

    /// Our addresses that clients may be told of: those whose prefix is still preferred.
    pub(crate) fn resolvers(&self) -> Vec<Ipv6Addr> {
        self.share.prefixes.iter().map(|prefix| Self::gateway(prefix.net)).collect()
    }

    /// Other relay agents that are trusted here, by addresses that a packet from afar may have.
    pub(crate) fn relays(&self) -> impl Iterator<Item = Ipv6Net> {
        let relays = self.config.relay.iter().flat_map(|relay| &relay.from).copied();
        relays.filter(|net| !net.addr().is_unicast_link_local())
    }

    fn told_resolvers(&self, dns: &Dns) -> Vec<Ipv6Addr> {
        match dns {
            Dns::Ours => self.resolvers(),
            Dns::Others { resolvers, .. } => resolvers.clone(),
        }
    }

    /// What the router advertises apart from prefixes; `routes` are all that lies behind us, `plat` is the ISP's NAT64.
    pub(crate) fn router_config(
        &self,
        dns: &Dns,
        routes: &[Ipv6Net],
        plat: Option<Ipv6Net>,
    ) -> router::Config {
        let lan = &self.config;
        let preference = match lan.router_preference {
            RouterPreference::Low => Preference::Low,
            RouterPreference::Medium => Preference::Medium,
            RouterPreference::High => Preference::High,
        };
        router::Config {
            link_local: self.link_local,
            link_layer: self.link_layer,
            min_interval: lan.ra_min_interval,
            max_interval: lan.ra_max_interval,
            managed: lan.addresses,
            other: true,
            mtu: lan.mtu,
            router_lifetime: lan.router_lifetime,
            preference,
            rdnss: self.told_resolvers(dns),
            dnssl: dns.domains(),
            option_lifetime: lan.router_lifetime.max(lan.ra_max_interval),
            captive_portal: lan.captive_portal.clone(),
            pref64: lan.pref64.or(plat),
            // RFC 7084 L-3: hosts keep routes to what is ours also while we are no default router.
            routes: routes.iter().map(|prefix| router::Route { prefix: *prefix, preference }).collect(),
            preferred_limit: lan.preferred_lifetime,
            valid_limit: lan.valid_lifetime,
            ..router::Config::default()
        }
    }

    /// The prefixes to advertise.
    pub(crate) fn advertised(&self) -> Vec<AdvertisedPrefix> {
        (self.share.prefixes.iter())
            .map(|prefix| AdvertisedPrefix {
                prefix: prefix.net,
                on_link: true,
                autonomous: self.config.slaac,
                pd_preferred: self.config.pd_preferred,
                valid_until: prefix.valid_until,
                preferred_until: prefix.preferred_until,
            })
            .collect()
    }

    /// What the DHCPv6 server gives on this LAN.
    pub(crate) fn link(&self, dns: &Dns) -> Link {
        let lan = &self.config;
        let lifetimes = |preferred_until, valid_until| Lifetimes {
            preferred: lan.preferred_lifetime,
            valid: lan.valid_lifetime,
            preferred_until,
            valid_until,
        };
        let mut link = Link::new(&lan.name);
        link.key = lan.key;
        link.trust.clone_from(&lan.trust);
        link.prefixes = self.share.prefixes.iter().map(|prefix| prefix.net).collect();
        if lan.addresses {
            link.addresses = (self.share.prefixes.iter())
                .map(|prefix| AddressPool {
                    prefix: prefix.net,
                    lifetimes: lifetimes(prefix.preferred_until, prefix.valid_until),
                })
                .collect();
        }
        link.delegation = (self.share.pools.iter())
            .map(|pool| DelegationPool {
                prefix: pool.prefix,
                reserved: pool.reserved.clone(),
                length: lan.delegate_length.max(pool.prefix.prefix_len()),
                // A quarter of the space at most for one router, unless the configuration itself says more.
                shortest: (pool.prefix.prefix_len() + 2)
                    .min(lan.delegate_length)
                    .max(pool.prefix.prefix_len()),
                longest: 64,
                lifetimes: lifetimes(pool.preferred_until, pool.valid_until),
            })
            .collect();
        link.lifetimes = Some(lifetimes(Duration::MAX, Duration::MAX));
        link.reserved = self.resolvers();
        link.captive_portal.clone_from(&lan.captive_portal);
        link.dns = self.told_resolvers(dns);
        link.domains = dns.domains();
        link
    }
}
