//! What the relay agent has to know.

use crate::lease::LinkId;
use ipnet::Ipv6Net;
use sixgate_wire::dhcpv6::{Duid, OptionCode, SERVER_PORT};
use std::net::Ipv6Addr;

/// A relay agent's configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// The links whose clients are relayed.
    pub links: Vec<Link>,
    /// Our UDP port towards servers. Any other than 547 is told to them (RFC 8357).
    pub port: u16,
    /// Sent as Relay-ID (RFC 5460 section 5.4.1), so that a bulk leasequery can ask for all that went through
    /// us.
    pub relay_id: Option<Duid>,
    /// What strangers can make grow.
    pub limits: Limits,
}

impl Config {
    /// No link yet, port 547, nothing optional.
    pub fn new() -> Self {
        Self { links: Vec::new(), port: SERVER_PORT, relay_id: None, limits: Limits::default() }
    }
}

impl Default for Config {
    fn default() -> Self {
        Self::new()
    }
}

/// A link whose clients are relayed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// Its name, which datagrams and actions give.
    pub name: LinkId,
    /// The interface's number, by which nothing from a server comes.
    pub interface: Option<u32>,
    /// Each of these gets a copy of what clients send.
    pub servers: Vec<Server>,
    /// A global or unique local address of ours on the link: it tells servers which link the client is on
    /// (RFC 9915 section 19.1.1).
    pub address: Option<Ipv6Addr>,
    /// Our link-local address on it, which is told where there is no other.
    pub link_local: Option<Ipv6Addr>,
    /// Prefixes that are on the link. Clients have addresses in them or link-local ones.
    pub prefixes: Vec<Ipv6Net>,
    /// Sent as Interface-Id. Without it the link's name is sent, and only where the address does not tell the
    /// link.
    pub interface_id: Option<Vec<u8>>,
    /// Sent as Relay Agent Remote-ID (RFC 4649): enterprise number and identifier.
    pub remote_id: Option<(u32, Vec<u8>)>,
    /// Sent as Relay Agent Subscriber-ID (RFC 4580).
    pub subscriber_id: Option<Vec<u8>>,
    /// Options for the clients of the link, which servers take into their answers where they allow it (RFC 6422).
    pub supplied: Vec<(OptionCode, Vec<u8>)>,
    /// Whether a client's link-layer address is sent where it is known (RFC 6939).
    pub client_link_layer: bool,
    /// Relay agents on, or behind, the link that may send Relay-forward. From anybody else it is forged: it
    /// would say whatever its sender likes about who and where it is.
    pub relays: Vec<Ipv6Net>,
    /// Whether delegated prefixes are routed to clients (RFC 8987).
    pub delegates: bool,
    /// These are routed only where they lie in one of these; empty stands for any.
    pub delegated_from: Vec<Ipv6Net>,
}

impl Link {
    /// A link that is relayed nowhere yet.
    pub fn new(name: &str) -> Self {
        Self {
            name: name.into(),
            interface: None,
            servers: Vec::new(),
            address: None,
            link_local: None,
            prefixes: Vec::new(),
            interface_id: None,
            remote_id: None,
            subscriber_id: None,
            supplied: Vec::new(),
            client_link_layer: false,
            relays: Vec::new(),
            delegates: true,
            delegated_from: Vec::new(),
        }
    }

    /// What stands for the link in an Interface-Id option.
    pub(super) fn identity(&self) -> &[u8] {
        self.interface_id.as_deref().unwrap_or(self.name.as_bytes())
    }

    /// Whether a client of the link may have this address.
    pub(super) fn has(&self, address: Ipv6Addr) -> bool {
        address.is_unicast_link_local() || self.prefixes.iter().any(|prefix| prefix.contains(&address))
    }

    /// Whether another relay agent is trusted there.
    pub(super) fn trusts(&self, relay: Ipv6Addr) -> bool {
        self.relays.iter().any(|net| net.contains(&relay))
    }
}

/// A server, or a group of servers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Server {
    /// Its address; multicast for a group, such as ff05::1:3, All_DHCP_Servers.
    pub address: Ipv6Addr,
    /// The interface's number that it is reached by: with a group's and with a link-local address.
    pub interface: Option<u32>,
}

impl Server {
    /// A server that routes lead to.
    pub fn new(address: Ipv6Addr) -> Self {
        Self { address, interface: None }
    }

    /// Whether a datagram from `source` that came in by the interface `interface` is this server's. Who
    /// answers for a group cannot be known beforehand: of it the interface is all that is looked at.
    pub(super) fn is(&self, source: Ipv6Addr, interface: u32) -> bool {
        let here = self.interface.is_none_or(|by| by == interface);
        if self.address.is_multicast() {
            return self.interface == Some(interface);
        }
        here && self.address == source
    }
}

/// Bounds of what strangers can make grow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Messages a second that are taken from one link; as many more may come at once. A single address has a
    /// tenth of it.
    pub rate: u32,
    /// Delegated prefixes of one client on one link (RFC 8987 section 4.1 G-5). Where it is given more, that
    /// which ends first is routed no longer.
    pub prefixes_per_client: usize,
    /// Delegated prefixes on one link (RFC 8987 section 4.1 G-6). More are not routed.
    pub prefixes_per_link: usize,
}

impl Default for Limits {
    /// 1,000 messages a second; 8 prefixes a client, as RFC 8987 section 4.1 G-7 recommends; 16,384 a link.
    fn default() -> Self {
        Self { rate: 1_000, prefixes_per_client: 8, prefixes_per_link: 16_384 }
    }
}
