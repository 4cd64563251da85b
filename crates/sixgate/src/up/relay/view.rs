//! What the control socket is told of the relay agent.

use super::Agent;
use crate::up::engine::Engine;
use crate::up::status::left;
use crate::view;
use sixgate_dhcp::relay::Discard;
use std::collections::BTreeMap;
use std::time::Duration;

/// A server that answers nothing for so long, though so many messages went to it, is as good as not there.
const SILENCE: Duration = Duration::from_secs(30);
const UNANSWERED: u64 = 5;

impl Engine {
    pub(crate) fn relay_view(&self, now: Duration) -> Option<view::Relay> {
        let agent = self.relay.as_ref()?;
        let servers = agent.core.servers().map(|(server, contact)| view::RelayServer {
            server: server.address.to_string(),
            sent: contact.sent,
            delivered: contact.delivered,
        });
        let delegations = agent.core.delegations().map(|held| view::Delegation {
            prefix: held.prefix.to_string(),
            lan: held.link.to_string(),
            via: held.via.to_string(),
            duid: held.duid.to_string(),
            valid: left(now, held.valid_until),
        });
        Some(view::Relay {
            servers: servers.collect(),
            delegations: delegations.collect(),
            counters: agent.counters(),
        })
    }

    /// What is wrong with relaying, as sentences.
    pub(crate) fn relay_problems(&self, now: Duration) -> Vec<String> {
        let Some(agent) = &self.relay else { return Vec::new() };
        let silent = agent.core.servers().filter_map(|(server, contact)| {
            let (since, owed) = contact.silent?;
            let waited = now.saturating_sub(since);
            (waited >= SILENCE && owed >= UNANSWERED).then(|| {
                format!(
                    "the DHCPv6 server {} has answered none of {owed} messages in {} s: is it there, does it know the LAN's prefix, and \
                     may it send to UDP port {} of this machine?",
                    server.address,
                    waited.as_secs(),
                    agent.config.port
                )
            })
        });
        let capped = agent.core.counters().capped;
        let full = (capped > 0).then(|| {
            format!(
                "{capped} delegated prefixes were not routed, because their LAN had {} already: raise relay-agent.prefixes-per-lan",
                agent.config.limits.prefixes_per_link
            )
        });
        silent.chain(full).chain(agent.asking.problems()).collect()
    }
}

impl Agent {
    fn counters(&self) -> BTreeMap<String, u64> {
        let c = self.core.counters();
        let mut counters: BTreeMap<String, u64> = [
            ("from-lans", c.from_links),
            ("from-servers", c.from_servers),
            ("forwarded", c.forwarded),
            ("forwarded-nested", c.forwarded_nested),
            ("delivered", c.delivered),
            ("delivered-nested", c.delivered_nested),
            ("link-layer-unknown", c.link_layer_unknown),
            ("prefixes-routed", c.routed),
            ("prefixes-released", c.released),
            ("prefixes-expired", c.expired),
            ("prefixes-capped", c.capped),
            ("prefixes-evicted", c.evicted),
            ("prefixes-unroutable", c.unroutable),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .into();
        for reason in Discard::ALL {
            counters.insert(format!("discarded-{}", reason.name()), c.discarded(reason));
        }
        counters
    }
}
