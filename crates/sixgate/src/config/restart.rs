//! What a running sixgate cannot take over from another configuration.

use super::{Config, shape};

impl Config {
    /// What in `new` cannot be taken over while running, as the keys that differ.
    pub(crate) fn needs_restart(&self, new: &Self) -> Vec<&'static str> {
        let mut keys = Vec::new();
        if self.state != new.state {
            keys.push("state");
        }
        if self.control != new.control || self.control_group != new.control_group {
            keys.push("control");
        }
        match (&self.uplink, &new.uplink) {
            (Some(old), Some(new)) => keys.extend(old.differences(new)),
            (None, None) => {}
            _ => keys.push("uplink"),
        }
        if self.dns.enabled != new.dns.enabled {
            keys.push("dns.enabled");
        }
        // A running sixgate that asks nobody over IPv4 has given up opening such sockets.
        if new.needs_ipv4() && !self.needs_ipv4() {
            keys.push(if self.health == new.health { "dns.upstreams" } else { "health.targets" });
        }
        if self.dhcp != new.dhcp {
            keys.push("dhcp");
        }
        if self.ddns != new.ddns {
            keys.push("ddns");
        }
        if self.firewall != new.firewall {
            keys.push("firewall");
        }
        if self.nat64 != new.nat64 {
            keys.push("nat64");
        }
        // Its sockets take capabilities that a running sixgate has given up.
        if self.leasequery.is_empty() != new.leasequery.is_empty() {
            keys.push("leasequery");
        }
        if self.reconfigure.is_some() != new.reconfigure.is_some() {
            keys.push("reconfigure");
        }
        if self.proxy != new.proxy {
            keys.push("proxy");
        }
        // What runs them was started before anything was given up.
        if self.plugins != new.plugins {
            keys.push("measure.plugin");
        }
        if self.history != new.history {
            keys.push("history");
        }
        if self.web != new.web {
            keys.push("web");
        }
        // A running sixgate has given up what it takes to look at a LAN.
        if self.census.is_none() && new.census.is_some() {
            keys.push("census.enabled");
        }
        let internet = |config: &Self| config.ipv4.as_ref().map(|ipv4| ipv4.internet);
        if internet(self) != internet(new) {
            keys.push("ipv4.internet");
        }
        let segments = |config: &Self| -> Vec<(String, String)> {
            config.lans.iter().map(|lan| (lan.name.clone(), lan.interface.value.clone())).collect()
        };
        let edges = |config: &Self| config.relays.as_ref().map(|relays| relays.interfaces.clone());
        if edges(self) != edges(new) {
            keys.push("relays.interfaces");
        }
        if segments(self) != segments(new) {
            keys.push("lan.interface");
        }
        // Its sockets take capabilities that a running sixgate has given up.
        if self.lans.iter().zip(&new.lans).any(|(old, new)| old.ipv4.is_some() != new.ipv4.is_some()) {
            keys.push("lan.ipv4");
        }
        // So does looking at frames, and ports below 1024.
        let relays =
            |config: &Self| -> Vec<bool> { config.lans.iter().map(|lan| lan.relay.is_some()).collect() };
        if relays(self) != relays(new) {
            keys.push("lan.relay");
        }
        let shapes =
            self.lans.iter().zip(&new.lans).map(|(old, new)| (old.shape.as_ref(), new.shape.as_ref()));
        if shapes.into_iter().any(|(old, new)| !shape::only_rates_differ(old, new)) {
            keys.push("lan.shape");
        }
        if self.relay.port != new.relay.port {
            keys.push("relay-agent.port");
        }
        if self.relay.client_link_layer != new.relay.client_link_layer {
            keys.push("relay-agent.client-link-layer");
        }
        keys
    }
}
