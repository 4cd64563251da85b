//! The rest of the world follows what changed: prefixes of the LANs, routes, addresses, firewall rules, resolvers, names.

use super::before;
use super::engine::{Engine, ROUTER_PATIENCE};
use super::island;
use super::kernel::{AddressKey, AddressValue, DELEGATED_METRIC, Desired, ON_LINK_METRIC, RouteKey, To};
use super::lan::{Dns, Lan};
use super::plan::{self, Delegated};
use super::problems::Matter;
use super::relay;
use super::resolv;
use super::uplink::Uplink;
use crate::config::Nat64;
use ipnet::{IpNet, Ipv6Net};
use sixgate_dhcp::server;
use sixgate_endpoint::Endpoint;
use sixgate_linux::nft::{FirewallConfig, LanRules};
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

/// When to try again what the kernel, or the disk, refused.
const RETRY: Duration = Duration::from_secs(5);
/// Until it takes longer than this, routes to delegated prefixes follow at once.
const CHEAP: Duration = Duration::from_millis(3);

impl Engine {
    /// Makes prefixes, routes, rules, resolvers and names follow what changed. Cheap when nothing did.
    pub(crate) fn settle(&mut self) {
        self.settle_changes();
        self.settle_hosts();
        self.settle_log();
    }

    /// A prefix was delegated, or is no more: its route follows at once, together with others. What is told of all of them
    /// takes the longer the more there are: it is done at once while it is cheap, and for a tenth of the time at most when a
    /// flood of routers asks.
    pub(crate) fn route_changed(&mut self, prefix: Ipv6Net) {
        self.rerouted.insert(prefix);
        if self.firewall.is_some() || self.config.dns.enabled || self.web.is_some() {
            let now = self.now();
            self.routes_due = self.routes_due.or(Some(now.max(self.routes_rest)));
        }
    }

    fn settle_routes(&mut self) {
        let prefixes = std::mem::take(&mut self.rerouted);
        if prefixes.is_empty() {
            return;
        }
        let wanted: Vec<_> =
            prefixes.into_iter().map(|prefix| (prefix, self.delegated_route(prefix))).collect();
        // Where the kernel refuses one, it is told of and tried again with everything else.
        self.changed |= !self.kernel.reroute(&mut self.netlink, wanted.into_iter());
    }

    fn settle_changes(&mut self) {
        self.settle_routes();
        let began = self.now();
        if self.routes_due.is_some_and(|due| due <= began) {
            self.changed = true;
        }
        if self.changed {
            self.routes_due = None;
            self.settle_all();
            let ended = self.now();
            self.routes_rest = ended + 9 * ended.saturating_sub(began).saturating_sub(CHEAP);
        }
    }

    fn settle_all(&mut self) {
        // A change can bring another (a router records what it told): bounded, since each settles something.
        for _ in 0..4 {
            if !std::mem::take(&mut self.changed) {
                return;
            }
            self.settle_once();
        }
    }

    fn settle_once(&mut self) {
        let now = self.now();
        let delegated = self.uplink.as_ref().map_or_else(Vec::new, |uplink| uplink.delegated(now));
        let lans: Vec<_> = self.lans.iter().map(|lan| lan.config.clone()).collect();
        let plan = plan::plan(&delegated, &lans);
        for problem in plan.problems.iter().filter(|problem| !self.plan.problems.contains(problem)) {
            tracing::warn!("{problem}");
        }
        let dns = self.dns();
        let behind: Vec<Ipv6Net> = (delegated.iter().map(|from| from.prefix))
            .chain(self.lans.iter().flat_map(|lan| lan.config.prefixes.iter().copied()))
            // IPv4 hosts of the LANs are there, with or without an ISP.
            .chain(self.config.nat64.iter().filter(|_| self.config.ipv4.is_some()).map(Nat64::net))
            .collect();
        // Without a default route of our own we are no default router (RFC 7084 G-4); without an uplink we are the ISP's end.
        let default_route = self.uplink.as_ref().is_none_or(Uplink::has_default_route);
        self.set_dns64();
        let plat = self.plat().map(|plat| Ipv6Net::new_assert(plat.address(), plat.length()));
        for (lan, share) in self.lans.iter_mut().zip(&plan.shares) {
            if lan.share != *share {
                for prefix in &share.prefixes {
                    if !lan.share.prefixes.iter().any(|old| old.net == prefix.net) {
                        tracing::info!(interface = lan.config.interface.value, prefix = %prefix.net, "lan has prefix");
                    }
                }
                lan.share = share.clone();
            }
            let advertised = lan.advertised();
            lan.router.set_config(now, lan.router_config(&dns, &behind, plat));
            lan.router.set_prefixes(now, advertised);
            lan.router.set_default_route(now, default_route);
            let complete = default_route && !lan.share.prefixes.is_empty();
            if lan.waits() && (complete || now >= self.started + ROUTER_PATIENCE) {
                lan.router.start(now);
            }
        }
        self.plan = plan;
        let zone = self.config.ddns.as_ref().map(|ddns| ddns.zone.to_string());
        let served = self.lans.iter().filter(|lan| lan.config.relay.is_none());
        let mut links: Vec<server::Link> = served.map(|lan| lan.link(&dns)).collect();
        for link in &mut links {
            link.name_zone.clone_from(&zone);
        }
        if self.links != links {
            let mut actions = Vec::new();
            self.server.set_links(now, links.clone(), &mut actions);
            self.links = links;
            self.server_actions(actions);
            self.renumbered();
        }
        self.settle_relay();
        self.settle_names();
        self.settle_queries();
        self.settle_firewall();
        self.settle_island();
        let desired = self.desired(now, &delegated);
        let mut refused = self.kernel.apply(&mut self.netlink, now, desired);
        refused.extend(self.settle_v4());
        // Until the ISP's router is heard, what an earlier run knew of it is better than nothing.
        if default_route || now >= self.started + ROUTER_PATIENCE {
            refused.extend(self.kernel.sweep(&mut self.netlink));
        }
        for problem in
            refused.iter().filter(|problem| !self.problems.about(&Matter::Kernel).contains(problem))
        {
            tracing::error!("{problem}");
        }
        self.problems.replace(Matter::Kernel, refused);
        let record = before::encode_addresses(self.kernel.addresses(), &self.epoch);
        if record != self.recorded && self.set(before::ADDRESSES, Some(record.clone())).is_some() {
            self.recorded = record;
        }
        self.settle_resolvers();
        self.settle_health();
        let refused = [Matter::Kernel, Matter::Firewall, Matter::ResolvConf, Matter::Island]
            .iter()
            .any(|m| !self.problems.about(m).is_empty());
        self.retry = refused.then(|| now + RETRY);
        let patience = self.started + ROUTER_PATIENCE;
        // Later, what could not be swept is a problem as any other.
        if self.kernel.has_left() && now < patience {
            self.retry = Some(self.retry.map_or(patience, |retry| retry.min(patience)));
        }
    }

    /// Whose resolvers the LANs are told of.
    fn dns(&self) -> Dns {
        if self.config.dns.enabled {
            return Dns::Ours;
        }
        // A link-local address means nothing on another link.
        let reachable = |address: &Ipv6Addr| !address.is_unicast_link_local() && !address.is_loopback();
        let mut resolvers: Vec<Ipv6Addr> =
            self.config.dns.upstreams.iter().filter_map(Endpoint::ipv6).collect();
        if resolvers.is_empty() {
            let learnt = self.uplink.as_ref().map_or_else(Vec::new, Uplink::resolvers);
            resolvers = learnt.iter().filter_map(Endpoint::ipv6).collect();
        }
        resolvers.retain(reachable);
        Dns::Others { resolvers, domains: self.uplink.as_ref().map_or_else(Vec::new, Uplink::domains) }
    }

    fn settle_names(&mut self) {
        let prefixes: Vec<IpNet> = self
            .lans
            .iter()
            .flat_map(|lan| lan.share.prefixes.iter().map(|prefix| prefix.net.into()))
            .collect();
        let gateway: Vec<IpAddr> = self.lans.iter().flat_map(Lan::resolvers).map(IpAddr::from).collect();
        let ipv4 = || self.lans.iter().filter_map(|lan| Some(lan.config.ipv4.as_ref()?.address));
        let prefixes: Vec<IpNet> =
            prefixes.into_iter().chain(ipv4().map(|net| IpNet::from(net.trunc()))).collect();
        let gateway: Vec<IpAddr> =
            gateway.into_iter().chain(ipv4().map(|net| IpAddr::from(net.addr()))).collect();
        self.names.set_prefixes(&prefixes);
        self.names.set_gateway(&gateway);
        // The NAT64's packets to them, and theirs back, pass the LANs like any other.
        self.names.set_translated(self.v4.forwards && self.nat64.is_some());
        self.hosts.changed(self.now());
    }

    fn settle_resolvers(&mut self) {
        let learnt = self.uplink.as_ref().map_or_else(Vec::new, Uplink::resolvers);
        let written = &self.config.dns.upstreams;
        self.forwarder.set_upstreams(if written.is_empty() { &learnt } else { written });
        if let Some(uplink) = &mut self.uplink
            && let Some(path) = uplink.config.resolv_conf.clone()
        {
            let text = resolv::text(&learnt, uplink.name(), &uplink.domains());
            if uplink.resolv_conf.as_ref() != Some(&text) {
                match std::fs::write(&path, &text) {
                    Ok(()) => {
                        uplink.resolv_conf = Some(text);
                        self.problems.settled(&Matter::ResolvConf);
                    }
                    Err(error) => {
                        let sentence = format!("cannot write {}: {error}", path.display());
                        self.problems.put(Matter::ResolvConf, sentence);
                    }
                }
            }
        }
    }

    fn settle_firewall(&mut self) {
        let Some(firewall) = &mut self.firewall else { return };
        let rules = FirewallConfig {
            masquerade: self.config.nat64.as_ref().and_then(Nat64::masquerade),
            uplink: self.uplink.as_ref().map(|uplink| uplink.name().to_owned()),
            delegated: self.uplink.as_ref().map_or_else(Vec::new, |uplink| {
                let prefixes = uplink.binding().map_or(&[][..], |binding| &binding.prefixes);
                prefixes.iter().flat_map(|p| plan::without(p.prefix, p.excluded)).collect()
            }),
            relay: relay::rules(&self.config),
            lans: (self.lans.iter().enumerate())
                .map(|(index, lan)| LanRules {
                    interface: lan.config.interface.value.clone(),
                    // Deprecated prefixes too: connections that began before a renumbering end by themselves.
                    prefixes: (lan.router.advertised().iter().map(|told| told.prefix))
                        .chain(lan.share.prefixes.iter().map(|prefix| prefix.net))
                        .chain(delegated_on(&self.delegated, index))
                        .chain(lan.relays())
                        .collect::<std::collections::BTreeSet<_>>()
                        .into_iter()
                        .collect(),
                    delegated: delegated_on(&self.delegated, index).collect(),
                    prefixes_v4: lan.ipv4.clone(),
                })
                .collect(),
            lan_ipv4: island::rules(&self.config),
            island: self.island.as_ref().map(|_| crate::clat::DEVICE.to_owned()),
        };
        if self.rules.as_ref() == Some(&rules) {
            return;
        }
        match firewall.apply(&rules) {
            Ok(()) => {
                self.rules = Some(rules);
                self.problems.settled(&Matter::Firewall);
            }
            Err(error) => {
                tracing::error!(%error, "the firewall's rules could not be changed: the old ones stand");
                self.problems.put(Matter::Firewall, error.to_string());
            }
        }
    }

    /// The addresses and routes that the kernel shall hold.
    fn desired(&self, now: Duration, delegated: &[Delegated]) -> Desired {
        let mut desired = Desired::default();
        if let Some(uplink) = &self.uplink {
            uplink.desire(now, &mut desired);
        }
        for destination in delegated.iter().flat_map(|from| plan::without(from.prefix, from.excluded)) {
            desired.routes.insert(RouteKey { destination, to: To::Unreachable, metric: 4096 });
        }
        for lan in self.lans.iter().filter(|lan| lan.up) {
            let current = lan.share.prefixes.iter().map(|p| (p.net, p.preferred_until, p.valid_until));
            // What hosts were told before and may still use: kept, deprecated, so that the LAN itself goes on working.
            let stale = (lan.router.advertised().into_iter())
                .filter(|told| !lan.share.prefixes.iter().any(|prefix| prefix.net == told.prefix))
                .map(|told| (told.prefix, Duration::ZERO, told.valid_until));
            for (net, preferred_until, valid_until) in
                current.chain(stale).filter(|(_, _, valid)| *valid > now)
            {
                let key = AddressKey { interface: lan.interface, address: Lan::gateway(net) };
                let value = AddressValue { prefix_length: net.prefix_len(), preferred_until, valid_until };
                desired.addresses.entry(key).or_insert(value);
                let to = To::Link { interface: lan.interface };
                desired.routes.insert(RouteKey { destination: net, to, metric: ON_LINK_METRIC });
            }
            for pool in lan.config.delegate_from.iter().filter(|_| lan.config.delegate) {
                desired.routes.insert(RouteKey { destination: *pool, to: To::Unreachable, metric: 4096 });
            }
        }
        if let Some(island) = &self.island {
            desired.routes.extend(island.routes());
        }
        desired.routes.extend(self.delegated.keys().filter_map(|prefix| self.delegated_route(*prefix)));
        desired
    }

    /// The route to a prefix that is delegated, where it can stand now.
    fn delegated_route(&self, prefix: Ipv6Net) -> Option<RouteKey> {
        let (gateway, lan) = *self.delegated.get(&prefix)?;
        let lan = self.lans.get(lan).filter(|lan| lan.up)?;
        let to = To::Gateway { gateway, interface: lan.interface };
        Some(RouteKey { destination: prefix, to, metric: DELEGATED_METRIC })
    }
}

/// The prefixes delegated to routers on a LAN.
fn delegated_on(
    delegated: &BTreeMap<Ipv6Net, (Ipv6Addr, usize)>,
    lan: usize,
) -> impl Iterator<Item = Ipv6Net> {
    delegated.iter().filter(move |(_, (_, on))| *on == lan).map(|(prefix, _)| *prefix)
}
