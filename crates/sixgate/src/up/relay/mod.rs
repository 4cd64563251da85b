//! DHCPv6 on the LANs that are relayed (`lan.relay`): the core is driven here, [`frames`] knows which
//! Ethernet address a message came from, [`kept`] is what outlives a restart, [`ask`] asks servers for what
//! it does not know, [`view`] what is shown.

mod ask;
mod frames;
mod kept;
mod view;

use super::engine::Engine;
use super::lan::Lan;
use super::remote::ALL_SERVERS;
use crate::config::{self, Config};
use ipnet::Ipv6Net;
use sixgate_dhcp::relay::{self, Action, Actions, FromLink, FromServer, Limits, Link, Relay, Server};
use sixgate_endpoint::Endpoint;
use sixgate_linux::nft::RelayRules;
use sixgate_linux::route;
use sixgate_store::Change;
use sixgate_wire::dhcpv6::{Duid, MessageType};
use std::collections::BTreeMap;
use std::net::{Ipv6Addr, SocketAddrV6};
use std::time::Duration;

pub(crate) use ask::Asked;
pub(crate) use frames::{Error as FramesError, Frames};

/// The relay agent, where a LAN is relayed.
#[derive(Debug)]
pub(crate) struct Agent {
    core: Relay,
    /// What the core was last told.
    config: relay::Config,
    /// Of each LAN, in their order: who sends, where servers are told that.
    frames: Vec<Option<Frames>>,
    asking: ask::Asking,
}

/// Whether a LAN is relayed.
pub(crate) fn relays(config: &Config) -> bool {
    config.lans.iter().any(|lan| lan.relay.is_some())
}

/// Opens what tells who sends, on the LANs where servers are told.
pub(crate) fn open_frames(
    config: &Config,
    links: &[route::Link],
) -> Result<Vec<Option<Frames>>, FramesError> {
    let told = |lan: &&config::Lan| config.relay.client_link_layer && lan.relay.is_some();
    let open = |lan: &config::Lan| {
        let link = links.iter().find(|link| link.name == lan.interface.value);
        let link = link.filter(|_| told(&lan));
        link.map(|link| Frames::open(&link.name, link.index)).transpose()
    };
    config.lans.iter().map(open).collect()
}

impl Agent {
    /// One that knows of the delegations in `settings`; `None` where no LAN is relayed.
    pub(crate) fn new(
        config: &Config,
        frames: Vec<Option<Frames>>,
        settings: &BTreeMap<String, Vec<u8>>,
        key: [u8; 16],
    ) -> Option<Self> {
        let delegations = kept::read(settings);
        let core = Relay::new(relay::Config::new(), key, delegations);
        relays(config).then(|| Self {
            core,
            config: relay::Config::new(),
            frames,
            asking: ask::Asking::default(),
        })
    }

    pub(crate) fn poll_timeout(&self) -> Option<Duration> {
        self.core.poll_timeout()
    }
}

/// What the firewall has to let through from the uplink.
pub(crate) fn rules(config: &Config) -> Option<RelayRules> {
    let servers = config.lans.iter().filter_map(|lan| lan.relay.as_ref()).flat_map(|relay| &relay.servers);
    let net = |server: &Endpoint| {
        let address = server.ipv6()?;
        Some(if address.is_multicast() { Ipv6Net::default() } else { address.into() })
    };
    // Who belongs to a group cannot be known, nor who is meant where nobody was named.
    let anybody =
        config.lans.iter().filter_map(|lan| lan.relay.as_ref()).any(|relay| relay.servers.is_empty());
    let servers = servers.filter_map(net).chain(anybody.then(Ipv6Net::default)).collect();
    let servers = Ipv6Net::aggregate(&servers);
    relays(config).then_some(RelayRules { port: config.relay.port, servers })
}

impl Engine {
    /// A message came to port 547 on a LAN; whether it is the relay agent's to take.
    pub(crate) fn relay_from_lan(&mut self, lan: usize, source: SocketAddrV6, bytes: &[u8]) -> bool {
        let now = self.now();
        let (Some(agent), Some(on)) = (&mut self.relay, self.lans.get(lan)) else { return false };
        let mut actions = Actions::new();
        if on.config.relay.is_some() {
            let link_layer = agent
                .frames
                .get_mut(lan)
                .and_then(Option::as_mut)
                .and_then(|frames| frames.sender(*source.ip(), bytes));
            let (link, address, port) = (on.config.name.as_str(), *source.ip(), source.port());
            let datagram = FromLink { link, source: address, port, link_layer, bytes };
            agent.core.handle_from_link(now, &datagram, &mut actions);
        } else if bytes.first() == Some(&MessageType::RELAY_REPLY.0) {
            // A server may be on a LAN that is served here; its answer comes to that LAN's socket.
            let datagram = FromServer { source: *source.ip(), interface: on.interface, bytes };
            agent.core.handle_from_server(now, &datagram, &mut actions);
        } else {
            return false;
        }
        self.relay_actions(actions);
        true
    }

    /// A message came to the port towards servers.
    pub(crate) fn relay_answered(&mut self, source: Ipv6Addr, interface: u32, bytes: &[u8]) {
        let now = self.now();
        let Some(agent) = &mut self.relay else { return };
        let mut actions = Actions::new();
        agent.core.handle_from_server(now, &FromServer { source, interface, bytes }, &mut actions);
        self.relay_actions(actions);
    }

    pub(crate) fn handle_timeout_relay(&mut self) {
        let now = self.now();
        let Some(agent) = &mut self.relay else { return };
        let mut actions = Actions::new();
        agent.core.handle_timeout(now, &mut actions);
        self.relay_actions(actions);
    }

    /// Takes the route to a prefix away that was delegated through us, at an operator's word; whether there
    /// was one.
    pub(crate) fn clear_delegation(&mut self, what: &str) -> bool {
        let (Some(agent), Ok(prefix)) = (&mut self.relay, what.parse::<Ipv6Net>()) else { return false };
        let mut actions = Actions::new();
        let there = agent.core.clear(prefix.trunc(), &mut actions);
        self.relay_actions(actions);
        there
    }

    /// Lets the routes of delegations that were kept stand again.
    pub(crate) fn start_relay(&mut self) {
        let Some(agent) = &self.relay else { return };
        let kept: Vec<_> = agent.core.delegations().cloned().collect();
        for delegation in kept {
            if let Some(lan) = self.lan_by_name(&delegation.link) {
                self.delegated.insert(delegation.prefix, (delegation.via, lan));
            }
        }
    }

    fn relay_actions(&mut self, actions: Actions) {
        for action in actions {
            match action {
                Action::ToServer { server, bytes } => self.sockets.send_relay(&server, &bytes),
                Action::ToLink { link, destination, port, bytes } => {
                    let Some(lan) = self.lan_by_name(&link) else { continue };
                    let Some(on) = self.lans.get(lan) else { continue };
                    let to = SocketAddrV6::new(destination, port, 0, on.interface);
                    self.sockets.send_to_client(lan, to, on.speaks_from(destination), &bytes);
                }
                Action::Routed(delegation) => {
                    let Some(lan) = self.lan_by_name(&delegation.link) else { continue };
                    let (prefix, via) = (delegation.prefix, delegation.via);
                    self.set(&kept::key(&prefix), Some(kept::encode(&delegation)));
                    if self.delegated.insert(prefix, (via, lan)) != Some((via, lan)) {
                        let (lan, client) = (&delegation.link, &delegation.duid);
                        tracing::info!(%prefix, %via, %lan, %client, "prefix delegated through us");
                        self.changed = true;
                    }
                }
                Action::Unrouted { prefix } => {
                    tracing::info!(%prefix, "no longer delegated through us");
                    self.set_all(vec![Change::Setting { key: kept::key(&prefix), value: None }]);
                    self.delegated.remove(&prefix);
                    self.changed = true;
                }
            }
        }
    }

    /// Tells the core of the LANs as they are now.
    pub(crate) fn settle_relay(&mut self) {
        if self.relay.is_none() {
            return;
        }
        let relayed = self.lans.iter().filter_map(|lan| lan.config.relay.as_ref());
        // Which interfaces there are matters to servers that name theirs, and to those that nobody named.
        let zones = relayed.clone().flat_map(|relay| &relay.servers).any(|server| server.zone().is_some());
        let anybody = relayed.clone().any(|relay| relay.servers.is_empty());
        let links = if zones || anybody { self.netlink.links().unwrap_or_default() } else { Vec::new() };
        let index_of = |name: &str| links.iter().find(|link| link.name == name).map(|link| link.index);
        let uplink = self.uplink.as_ref().map(|uplink| uplink.interface);
        let lans = |index: u32| self.lans.iter().any(|lan| lan.interface == index);
        let leads_on = |link: &&route::Link| match uplink {
            Some(uplink) => link.index == uplink,
            None => link.up && !link.loopback && !lans(link.index),
        };
        let group = |link: &route::Link| Server { address: ALL_SERVERS, interface: Some(link.index) };
        let groups: Vec<Server> = links.iter().filter(leads_on).map(group).collect();
        let config = core_config(&self.config.relay, &self.lans, &self.duid, &groups, &index_of);
        if let Some(agent) = self.relay.as_mut().filter(|agent| agent.config != config) {
            agent.core.set_config(config.clone());
            agent.config = config;
        }
        self.ask_servers();
    }
}

fn core_config(
    all: &config::Relay,
    lans: &[Lan],
    duid: &Duid,
    groups: &[Server],
    index_of: &impl Fn(&str) -> Option<u32>,
) -> relay::Config {
    let link = |lan: &Lan| {
        let relayed = lan.config.relay.as_ref()?;
        let mut link = Link::new(&lan.config.name);
        link.interface = Some(lan.interface);
        link.servers = relayed.servers.iter().filter_map(|server| self::server(server, index_of)).collect();
        if relayed.servers.is_empty() {
            link.servers = groups.to_vec();
        }
        let options = relayed.options.iter();
        link.supplied = options
            .flat_map(|option| option.contents().map(|content| (option.code(), content.to_vec())))
            .collect();
        link.address = lan.resolvers().first().copied();
        link.link_local = lan.link_local;
        link.prefixes = (lan.share.prefixes.iter().map(|prefix| prefix.net))
            .chain(lan.router.advertised().iter().map(|told| told.prefix))
            .collect();
        link.interface_id.clone_from(&relayed.interface_id);
        link.remote_id = all.enterprise.zip(relayed.remote_id.clone());
        link.subscriber_id.clone_from(&relayed.subscriber_id);
        link.client_link_layer = all.client_link_layer;
        link.relays.clone_from(&relayed.from);
        link.delegates = lan.config.delegate;
        link.delegated_from.clone_from(&lan.config.delegate_from);
        Some(link)
    };
    relay::Config {
        links: lans.iter().filter_map(link).collect(),
        port: all.port,
        relay_id: all.tell_duid.then(|| duid.clone()),
        limits: Limits {
            rate: all.rate,
            prefixes_per_client: all.prefixes_per_client,
            prefixes_per_link: all.prefixes_per_lan,
        },
    }
}

/// A server as the core knows it; `None` while its interface is not there.
fn server(written: &Endpoint, index_of: &impl Fn(&str) -> Option<u32>) -> Option<Server> {
    let address = written.ipv6()?;
    let interface = match written.zone() {
        None => None,
        Some(zone) => Some(zone.resolve(index_of)?.get()),
    };
    Some(Server { address, interface })
}
