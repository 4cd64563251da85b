//! Links behind relay agents: the sockets on which the agents are heard, and what the server gives there.

use super::engine::Engine;
use super::event::Sender;
use super::requests;
use super::sockets::{Interface, SocketsError, Watched, watched};
use crate::config::{Config, Relays, Subnet};
use ipnet::Ipv6Net;
use sixgate_dhcp::server::{self, AddressPool, DelegationPool, Lifetimes, Link};
use sixgate_linux::socket::{Udp6Options, UdpSocket6, udp6};
use sixgate_wire::dhcpv6::SERVER_PORT;
use std::net::{Ipv6Addr, SocketAddrV6};
use std::rc::Rc;
use std::time::Duration;

/// All_DHCP_Servers, site-scoped: where relay agents send that are told no address (RFC 9915 section 7.1).
pub(crate) const ALL_SERVERS: Ipv6Addr = Ipv6Addr::new(0xff05, 0, 0, 0, 0, 0, 1, 3);

/// An interface that leads to relay agents and is no LAN's.
#[derive(Debug)]
pub(crate) struct Edge {
    name: String,
    index: u32,
    pub(crate) socket: Watched<UdpSocket6>,
}

impl Edge {
    /// Opens the socket, with a task that reads it into `events`; `shared` where our own relay agent has the port too.
    pub(crate) fn open(
        number: usize,
        interface: &Interface,
        shared: bool,
        events: &Sender,
    ) -> Result<Self, SocketsError> {
        let any = SocketAddrV6::new(Ipv6Addr::UNSPECIFIED, SERVER_PORT, 0, 0);
        let mut options = Udp6Options::new(any).device(&interface.name).group(ALL_SERVERS, interface.index);
        options.receive_buffer = Some(requests::WAITING);
        options.together = true;
        options.reuse_address = shared;
        let socket = Rc::new(watched(udp6(&options)?)?);
        requests::watch(Rc::clone(&socket), requests::At::Edge(number), events.clone())?;
        Ok(Self { name: interface.name.clone(), index: interface.index, socket })
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn index(&self) -> u32 {
        self.index
    }

    /// How the server names it: as no LAN can be called.
    pub(crate) fn link(&self) -> String {
        link_of(&self.name)
    }
}

fn link_of(interface: &str) -> String {
    format!("%{interface}")
}

/// The interfaces that need a socket of their own.
pub(crate) fn edges(config: &Config) -> impl Iterator<Item = &str> {
    let interfaces = config.relays.iter().flat_map(|relays| &relays.interfaces).map(|i| i.value.as_str());
    interfaces.filter(|name| !config.lans.iter().any(|lan| lan.interface.value == *name))
}

/// What the server shall hear.
pub(crate) fn relays(config: &Config) -> server::Relays {
    let Some(Relays { interfaces, from, .. }) = &config.relays else { return server::Relays::default() };
    let on = interfaces.iter().map(|interface| {
        let lan = config.lans.iter().find(|lan| lan.interface.value == interface.value);
        lan.map_or_else(|| link_of(&interface.value), |lan| lan.name.clone())
    });
    server::Relays { on: on.collect(), from: from.clone() }
}

/// What the server gives behind relay agents.
pub(crate) fn links(config: &Config) -> Vec<Link> {
    let zone = config.ddns.as_ref().map(|ddns| ddns.zone.to_string());
    config.subnets.iter().map(|subnet| Link { name_zone: zone.clone(), ..link(subnet) }).collect()
}

fn link(subnet: &Subnet) -> Link {
    let lifetimes = Lifetimes {
        preferred: subnet.preferred_lifetime,
        valid: subnet.valid_lifetime,
        preferred_until: Duration::MAX,
        valid_until: Duration::MAX,
    };
    let delegation = |prefix: &Ipv6Net| DelegationPool {
        prefix: *prefix,
        reserved: Vec::new(),
        length: subnet.delegate_length,
        // What one client can take at most: the length that was written down says it.
        shortest: subnet.delegate_length,
        longest: 64,
        lifetimes,
    };
    Link {
        prefixes: subnet.prefixes.clone(),
        selected_by: subnet.link_addresses.clone(),
        key: subnet.key,
        trust: subnet.trust.clone(),
        leases: subnet.leases,
        addresses: subnet.pools.iter().map(|prefix| AddressPool { prefix: *prefix, lifetimes }).collect(),
        delegation: subnet.delegate_from.iter().map(delegation).collect(),
        lifetimes: Some(lifetimes),
        dns: subnet.dns.clone(),
        domains: subnet.domains.clone(),
        // The relay agents' own addresses are not known; their link-addresses are.
        reserved: subnet
            .link_addresses
            .iter()
            .filter(|net| net.prefix_len() == 128)
            .map(Ipv6Net::addr)
            .collect(),
        ..Link::new(&subnet.name)
    }
}

impl Engine {
    /// Tells the server what relay agents may supply.
    pub(crate) fn allow_supplied(&mut self) {
        let supplied = self.config.relays.iter().flat_map(|relays| &relays.supplied);
        self.server.set_relay_supplied(supplied.copied());
    }

    /// A datagram came from where relay agents are.
    pub(crate) fn relayed(
        &mut self,
        edge: usize,
        source: SocketAddrV6,
        bytes: &[u8],
        actions: &mut server::Actions,
    ) {
        let Some(link) = self.sockets.edge(edge).map(Edge::link) else { return };
        if bytes.first() == Some(&sixgate_wire::dhcpv6::MessageType::RELAY_REPLY.0) && self.relay.is_some() {
            // Servers of our own relay agent may be there as well.
            let interface = self.sockets.edge(edge).map_or(0, |edge| edge.index);
            return self.relay_answered(*source.ip(), interface, bytes);
        }
        if self.answer_leasequery(&link, source, bytes) {
            return;
        }
        let datagram = server::Datagram {
            link: &link,
            source: *source.ip(),
            port: source.port(),
            bytes,
            link_layer: None,
        };
        self.server.handle(self.now(), &datagram, actions);
    }

    /// Takes over what the configuration says anew.
    pub(crate) fn reload_remote(&mut self, before: &Config) {
        if before.relays != self.config.relays {
            self.server.set_relays(&relays(&self.config));
            self.allow_supplied();
        }
        if before.subnets != self.config.subnets {
            let mut actions = server::Actions::new();
            self.server.set_remote(self.now(), links(&self.config), &mut actions);
            self.server_actions(actions);
        }
    }
}
