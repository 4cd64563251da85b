//! What the control socket is told: the engine's state as [`view`] values.

use super::engine::Engine;
use super::problems::Matter;
use super::uplink::Uplink;
use crate::nat64::Translator;
use crate::shape::Shaping;
use crate::{control, view};
use sixgate_dhcp::client::{Client, State};
use sixgate_dhcp::lease::{Lease, LeaseChange, Resource};
use sixgate_dhcp::server::Discard;
use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

impl Engine {
    /// The JSON of a view; an object with `error` for a view that there is none of.
    pub(crate) fn view(&mut self, view: &str) -> String {
        let json = match view {
            "status" => serde_json::to_string(&self.status()),
            "leases" => serde_json::to_string(&self.leases()),
            "web" => serde_json::to_string(&self.web_view()),
            "reload" => serde_json::to_string(&match self.reload() {
                Ok(()) => serde_json::json!({ "reloaded": true }),
                Err(error) => serde_json::json!({ "error": error }),
            }),
            "pilot" => serde_json::to_string(&self.pilot_view()),
            "reservations" => serde_json::to_string(&self.reservations_view()),
            "census" => refusing(self.census_view()),
            other => {
                if let Some(who) = other.strip_prefix("census client ") {
                    refusing(self.census_client(who.trim()))
                } else if let Some(who) = other.strip_prefix("census forget ") {
                    refusing(self.census_forget(who.trim()))
                } else {
                    let views = "status, leases, reservations, pilot, census, web; and the commands reload, pilot, lease and \
                                 reservation";
                    let error = format!("there is no view `{}`; there are: {views}", other.escape_debug());
                    refusing::<()>(Err(error))
                }
            }
        };
        json.unwrap_or_else(|error| format!("{{\"error\":\"{error}\"}}"))
    }

    /// Answers a request on the control socket: a view, or a command, which is a word with something behind it.
    pub(crate) fn control(&mut self, request: control::Request) {
        if let Some(("pilot", command)) = request.view.split_once(' ') {
            return self.pilot_command(command, request.answer);
        }
        if let Some(("reservation", command)) = request.view.split_once(' ') {
            return self.reservation_command(command, request.answer);
        }
        if let Some(("reconfigure", command)) = request.view.split_once(' ') {
            let json = refusing(self.reconfigure_command(command));
            let _ = request.answer.send(json.unwrap_or_default());
            return;
        }
        if let Some(("lease", command)) = request.view.split_once(' ') {
            return self.lease_command(command, request.answer);
        }
        let json = self.view(&request.view);
        let _ = request.answer.send(json);
    }

    fn leases(&self) -> Vec<view::Lease> {
        let now = self.now();
        // What waits for the disk nobody was told of: it is no lease yet, unless it renews one.
        let waiting: HashSet<Resource> = (self.committing.values().flatten())
            .filter(|change| match change {
                LeaseChange::Put(lease) => lease.renewed_at <= lease.granted_at,
                LeaseChange::Remove(_) => false,
            })
            .map(LeaseChange::resource)
            .collect();
        let leases = self.server.leases().iter().filter(|lease| !waiting.contains(&lease.resource));
        leases.map(|lease| lease_view(&lease, now)).chain(self.v4.leases(now)).collect()
    }

    fn status(&mut self) -> view::Status {
        let now = self.now();
        let counted = match self.firewall.as_mut().map(sixgate_linux::nft::Firewall::counters) {
            Some(Ok(counters)) => {
                self.problems.settled(&Matter::Counters);
                (counters.into_iter())
                    .map(|c| (c.name, view::Counter { packets: c.packets, bytes: c.bytes }))
                    .collect()
            }
            Some(Err(error)) => {
                self.problems.put(Matter::Counters, error.to_string());
                BTreeMap::new()
            }
            None => BTreeMap::new(),
        };
        // The store tries again by itself, and tells nobody when it comes through.
        if self.committing.is_empty() && self.v4.is_settled() && self.store.counters().unwritten == 0 {
            self.problems.settled(&Matter::Store);
        }
        self.tell_of_garbled_before();
        let mut problems = self.plan.problems.clone();
        problems.extend(self.uplink.as_ref().and_then(Uplink::problem));
        problems.extend(self.nat64.iter().flat_map(|nat64| nat64.problems(&mut self.netlink)));
        problems.extend(self.shaping.iter().filter_map(|shaping| shaping.problem(&mut self.netlink)));
        problems.extend(self.health_problems());
        problems.extend(self.dnssec_problems());
        problems.extend(self.clone_problems());
        problems.extend(self.ipv4_problem());
        problems.extend(self.relay_problems(now));
        problems.extend(self.problems.sentences().cloned());
        view::Status {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            pid: std::process::id(),
            uptime: now.saturating_sub(self.started).as_secs(),
            duid: self.duid.to_string(),
            uplink: self.uplink_view(now),
            lans: (0..self.lans.len()).filter_map(|index| self.lan_view(index, now)).collect(),
            dns64: (self.forwarder.dns64().filter(|_| self.config.dns.enabled))
                .map(|dns64| dns64.prefix.to_string()),
            dns: self.dns_counters(),
            dhcp: self.dhcp_counters(),
            dhcpv4: self.v4.counters(),
            relay: self.relay_view(now),
            nat64: self.nat64.as_ref().map(Translator::view),
            shape: self.config.uplink.as_ref().and_then(|uplink| self.shape_view(&uplink.interface.value)),
            health: self.health_view(),
            neighbours: self.neighbour_counters(),
            ipv4: self.ipv4_view(),
            policy: self.policy_view(),
            ddns: self.ddns.as_ref().map(|ddns| ddns.view(&self.config)),
            proxy: self.proxy.as_ref().map(super::proxy::Proxy::view),
            measured: self.measured.values().cloned().collect(),
            firewall: counted,
            listeners: self.listeners.clone(),
            problems,
        }
    }

    /// What the queue before an interface does, where there is one.
    fn shape_view(&self, interface: &str) -> Option<crate::shape::ShapeView> {
        self.shaping.iter().find(|shaping| shaping.interface() == interface).map(Shaping::view)
    }

    fn uplink_view(&self, now: Duration) -> Option<view::Uplink> {
        let uplink = self.uplink.as_ref()?;
        let timed = |what: String, origin: &str, preferred, valid| view::Timed {
            what,
            origin: origin.to_owned(),
            preferred: left(now, preferred),
            valid: left(now, valid),
        };
        let mut addresses = Vec::new();
        let mut prefixes = Vec::new();
        if let Some(binding) = uplink.binding() {
            for a in &binding.addresses {
                addresses.push(timed(a.address.to_string(), "dhcpv6", a.preferred_until, a.valid_until));
            }
            for p in &binding.prefixes {
                prefixes.push(timed(p.prefix.to_string(), "dhcpv6", p.preferred_until, p.valid_until));
            }
        }
        let mut routers = Vec::new();
        if let Some(state) = uplink.host.as_ref().map(sixgate_nd::host::Host::state) {
            for a in &state.addresses {
                addresses.push(timed(a.address.to_string(), "slaac", a.preferred_until, a.valid_until));
            }
            for r in &state.default_routers {
                routers.push(timed(r.address.to_string(), "ra", r.until, r.until));
            }
        }
        Some(view::Uplink {
            interface: uplink.name().to_owned(),
            up: uplink.up,
            client: uplink.client.as_ref().map_or("off", |client| state_name(client)).to_owned(),
            addresses,
            prefixes,
            routers,
            resolvers: uplink
                .resolvers()
                .iter()
                .map(|resolver| resolver.without_zone().to_string())
                .collect(),
        })
    }

    fn lan_view(&self, index: usize, now: Duration) -> Option<view::Lan> {
        let lan = self.lans.get(index)?;
        let mut prefixes: Vec<view::Timed> = Vec::new();
        for told in lan.router.advertised() {
            let current = lan.share.prefixes.iter().find(|prefix| prefix.net == told.prefix);
            let preferred = current.map_or(Duration::ZERO, |prefix| prefix.preferred_until);
            prefixes.push(view::Timed {
                what: told.prefix.to_string(),
                origin: if lan.config.prefixes.contains(&told.prefix) { "configured" } else { "delegated" }
                    .to_owned(),
                preferred: left(now, preferred),
                valid: left(now, told.valid_until),
            });
        }
        Some(view::Lan {
            name: lan.config.name.clone(),
            interface: lan.config.interface.value.clone(),
            up: lan.up,
            prefixes,
            router_lifetime: if lan.router.is_default_router() {
                lan.config.router_lifetime.as_secs()
            } else {
                0
            },
            leases: self.server.leases().len_on(&lan.config.name) as u64,
            ipv4: self.lan_view_v4(index),
            shape: self.shape_view(&lan.config.interface.value),
            other_routers: lan.router.others().iter().map(|other| other.address.to_string()).collect(),
        })
    }

    fn dhcp_counters(&self) -> BTreeMap<String, u64> {
        let c = self.server.counters();
        let mut counters: BTreeMap<String, u64> = [
            ("received", c.received),
            ("relayed", c.relayed),
            ("solicit", c.solicit),
            ("request", c.request),
            ("confirm", c.confirm),
            ("renew", c.renew),
            ("rebind", c.rebind),
            ("release", c.release),
            ("decline", c.decline),
            ("addr-reg-inform", c.addr_reg_inform),
            ("information-request", c.information_request),
            ("advertise", c.advertise),
            ("reply", c.reply),
            ("granted", c.granted),
            ("succeeded", c.succeeded),
            ("moved", c.moved),
            ("clones", c.clones),
            ("expired", c.expired),
            ("exhausted", c.exhausted),
            ("capped", c.capped),
            ("registered", c.registered),
            ("registrations-moved", c.registrations_moved),
            ("registrations-evicted", c.registrations_evicted),
            ("late", c.late),
            ("relay-supplied", c.supplied),
            ("relay-supplied-refused", c.supplied_refused),
            ("commits-failed", c.commits_failed),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .into();
        counters.extend(self.reconfigure_counters());
        counters.extend(self.leasequery.iter().flat_map(super::leasequery::Desk::counters));
        for reason in Discard::ALL {
            counters.insert(format!("discarded-{}", reason.name()), c.discarded(reason));
        }
        counters.extend(self.waiting.counters().map(|(name, count)| (name.to_owned(), count)));
        counters
    }

    fn dns_counters(&self) -> BTreeMap<String, u64> {
        let c = self.forwarder.counters();
        [
            ("queries", c.queries),
            ("malformed", c.malformed),
            ("refused", c.refused),
            ("local", c.local),
            ("hits", c.hits),
            ("misses", c.misses),
            ("coalesced", c.coalesced),
            ("stale", c.stale),
            ("servfail", c.servfail),
            ("truncated", c.truncated),
            ("evictions", c.evictions),
            ("overload", c.overload),
            ("upstream-queries", c.upstream_queries),
            ("upstream-tcp", c.upstream_tcp),
            ("upstream-timeouts", c.upstream_timeouts),
            ("upstream-mismatches", c.upstream_mismatches),
            ("dns64-synthesised", c.dns64_synthesised),
            ("dns64-pointers", c.dns64_pointers),
            ("dns64-discoveries", c.dns64_discoveries),
            ("dns64-excluded", c.dns64_excluded),
            ("dns64-withheld", c.dns64_withheld),
            ("dnssec-secure", c.dnssec_secure),
            ("dnssec-insecure", c.dnssec_insecure),
            ("dnssec-bogus", c.dnssec_bogus),
            ("dnssec-indeterminate", c.dnssec_indeterminate),
            ("dnssec-permitted", c.dnssec_permitted),
            ("dnssec-untimed", c.dnssec_untimed),
            ("dnssec-stripped", c.dnssec_stripped),
            ("dnssec-zones", c.dnssec_zones),
            ("cached", c.cached),
            ("names", self.names.iter().count() as u64),
            ("names-refused", self.names.refused()),
        ]
        .into_iter()
        .chain(self.queries.counters())
        .map(|(name, value)| (name.to_owned(), value))
        .collect()
    }
}

/// A view, or an object with `error` that says why there is none.
fn refusing<T: serde::Serialize>(view: Result<T, String>) -> serde_json::Result<String> {
    match view {
        Ok(view) => serde_json::to_string(&view),
        Err(error) => serde_json::to_string(&serde_json::json!({ "error": error })),
    }
}

/// What a lease looks like from outside.
pub(crate) fn lease_view(lease: &Lease, now: Duration) -> view::Lease {
    view::Lease {
        resource: lease.resource.to_string(),
        lan: lease.link.to_string(),
        state: lease.state.to_string(),
        duid: Some(lease.duid.to_string()),
        iaid: Some(lease.iaid),
        client_id: None,
        hostname: lease.hostname.clone(),
        key: Some(lease.key.name().to_owned()),
        link_layer: lease.link_layer.map(|found| found.mac.to_string()),
        learnt: lease.link_layer.map(|found| found.learnt.to_string()),
        line: lease.line.as_ref().map(ToString::to_string),
        relay: lease.relay.as_ref().map(|relay| relay.address.to_string()),
        link_address: lease.relay.as_ref().map(|relay| relay.link.to_string()),
        preferred: left(now, lease.preferred_until),
        valid: left(now, lease.valid_until),
    }
}

/// Seconds left; `None` is for ever.
pub(crate) fn left(now: Duration, until: Duration) -> Option<u64> {
    (until != Duration::MAX).then(|| until.saturating_sub(now).as_secs())
}

fn state_name(client: &Client) -> &'static str {
    match client.state() {
        State::Idle => "idle",
        State::Soliciting => "soliciting",
        State::Requesting => "requesting",
        State::Confirming => "confirming",
        State::Bound => "bound",
        State::Renewing => "renewing",
        State::Rebinding => "rebinding",
        State::Informing => "informing",
        State::Informed => "informed",
        State::Declining => "declining",
        State::Releasing => "releasing",
    }
}
