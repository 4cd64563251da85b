//! Reconfigure: clients that agreed to it are asked to come back, by command or because their prefixes changed.

use super::engine::Engine;
use crate::control::ReconfigureCommand;
use crate::view;
use ipnet::Ipv6Net;
use sixgate_dhcp::lease::{LinkId, Resource};
use sixgate_dhcp::server::reconfigure::Whom;
use sixgate_dhcp::server::{self, Link};
use sixgate_store::Change;
use sixgate_wire::dhcpv6::{Duid, MessageType};
use std::collections::{BTreeMap, BTreeSet};

/// Setting that holds the secret of which clients' keys are made.
const SECRET: &str = "dhcp.reconfigure-secret";
/// Beginning of the settings that say who agreed; the DUID in hexadecimal follows. Their value is the way there.
const AGREED: &str = "dhcp.reconfigure-agreed.";

fn setting(client: &Duid) -> String {
    client.as_bytes().iter().fold(AGREED.to_owned(), |text, octet| format!("{text}{octet:02x}"))
}

fn client(setting: &str) -> Option<Duid> {
    let digits = setting.strip_prefix(AGREED)?;
    let octet = |at: usize| digits.get(2 * at..2 * at + 2).and_then(|two| u8::from_str_radix(two, 16).ok());
    let octets: Option<Vec<u8>> = (0..digits.len() / 2).map(octet).collect();
    Duid::new(&octets?).ok()
}

/// What each LAN gave when it last gave anything: in between, the ISP may have taken all away.
pub(crate) type Given = BTreeMap<LinkId, BTreeSet<Ipv6Net>>;

/// What is given on a link.
fn nets(link: &Link) -> BTreeSet<Ipv6Net> {
    let addresses = link.addresses.iter().map(|pool| pool.prefix);
    addresses.chain(link.delegation.iter().map(|pool| pool.prefix)).collect()
}

impl Engine {
    /// Lets clients agree, where the configuration says so.
    pub(crate) fn start_reconfigure(&mut self, settings: &BTreeMap<String, Vec<u8>>, fresh: [u8; 16]) {
        if self.config.reconfigure.is_none() {
            return;
        }
        let kept = settings.get(SECRET).and_then(|secret| secret.as_slice().try_into().ok());
        let secret = kept.unwrap_or(fresh);
        if kept.is_none() {
            self.set(SECRET, Some(secret.to_vec()));
        }
        let agreed =
            settings.iter().filter_map(|(name, value)| Some((client(name)?, server::Way::from_bytes(value))));
        let mut actions = server::Actions::new();
        self.server.set_reconfigure(secret, agreed, &mut actions);
        self.server_actions(actions);
    }

    /// Keeps who agreed, and how it is reached where it is behind relay agents: the Reply that holds the client's key waits for
    /// what is written after this.
    pub(crate) fn keep_agreed(&mut self, client: &Duid, way: Option<&server::Way>) {
        let value = Some(way.map_or(Vec::new(), server::Way::to_bytes));
        self.set_all(vec![Change::Setting { key: setting(client), value }]);
    }

    /// What is not taken is forgotten at the next start.
    pub(crate) fn forget_agreed(&mut self, clients: &[Duid]) {
        let gone = clients.iter().map(|client| Change::Setting { key: setting(client), value: None });
        self.set_all(gone.collect());
    }

    /// The links give something else than they did: clients that can hear of it at once do.
    pub(crate) fn renumbered(&mut self) {
        if self.config.reconfigure.is_none_or(|reconfigure| !reconfigure.on_renumbering) {
            return;
        }
        let now = self.now();
        let all: Vec<_> = self.links.iter().map(|link| (link.name.clone(), nets(link))).collect();
        for (link, nets) in all.into_iter().filter(|(_, nets)| !nets.is_empty()) {
            let before = self.given.insert(link.clone(), nets.clone()).unwrap_or_default();
            if before.difference(&nets).next().is_some() {
                let called = self.server.reconfigure(now, &Whom::Link(link.to_string()), MessageType::RENEW);
                let (clients, out_of_reach) = (called.clients, called.out_of_reach);
                tracing::info!(lan = %link, clients, out_of_reach, "renumbered: clients are asked to renew");
            }
        }
        let mut actions = server::Actions::new();
        self.server.handle_timeout(now, &mut actions);
        self.server_actions(actions);
    }

    /// Does what an operator asks.
    pub(crate) fn reconfigure_command(&mut self, text: &str) -> Result<view::Reconfigured, String> {
        if self.config.reconfigure.is_none() {
            return Err("Reconfigure is off: add a [reconfigure] section to the configuration; clients agree when they are \
                        next bound or renew"
                .to_owned());
        }
        let command: ReconfigureCommand = serde_json::from_str(text).map_err(|error| error.to_string())?;
        let whom = match (&command.client, &command.lan) {
            (Some(client), _) => Whom::Client(self.whose(client)?),
            (None, Some(lan)) => {
                let known = self.lans.iter().any(|known| known.config.name == *lan)
                    || self.config.subnets.iter().any(|subnet| subnet.name == *lan);
                if !known {
                    return Err(format!("there is no LAN or subnet `{lan}`: see `sixgate status`"));
                }
                Whom::Link(lan.clone())
            }
            (None, None) => Whom::All,
        };
        let now = self.now();
        let called = self.server.reconfigure(now, &whom, command.ask.message());
        let mut actions = server::Actions::new();
        self.server.handle_timeout(now, &mut actions);
        self.server_actions(actions);
        Ok(view::Reconfigured {
            asked: called.clients,
            never_agreed: called.never_agreed,
            out_of_reach: called.out_of_reach,
        })
    }

    /// The client that holds an address or a prefix, or that has this DUID.
    fn whose(&self, text: &str) -> Result<Duid, String> {
        if let Ok(resource) = text.parse::<Resource>() {
            let lease = self.server.leases().get(resource);
            return lease
                .map(|lease| lease.duid.clone())
                .ok_or(format!("{resource} is not leased; `sixgate leases` shows what is"));
        }
        let digits = text.strip_prefix("duid:").unwrap_or(text);
        digits.parse().map_err(|_| format!("`{text}` is no address, no prefix and no DUID"))
    }

    /// What happened so far.
    pub(crate) fn reconfigure_counters(&self) -> BTreeMap<String, u64> {
        let Some(c) = self.server.reconfigure_counters() else { return BTreeMap::new() };
        [
            ("reconfigure-agreed", c.agreed),
            ("reconfigure", c.sent),
            ("reconfigure-answered", c.answered),
            ("reconfigure-given-up", c.given_up),
            ("reconfigure-out-of-reach", c.out_of_reach),
            ("reconfigure-refused", c.refused),
            ("reconfigure-moved", c.moved),
            ("reconfigure-moves-held-back", c.held_back),
            ("reconfigure-forgotten", c.forgotten),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_agreed_is_found_again() {
        let duid = Duid::link_layer([2, 0, 0, 0, 0, 0xff]);
        assert_eq!(setting(&duid), "dhcp.reconfigure-agreed.000300010200000000ff");
        assert_eq!(client(&setting(&duid)), Some(duid));
        for other in ["dhcp.hash-key", "dhcp.reconfigure-agreed.", "dhcp.reconfigure-agreed.0x"] {
            assert_eq!(client(other), None);
        }
    }
}
