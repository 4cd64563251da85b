//! What goes into the relay agent and what comes out of it.

use super::{Delegation, Server};
use crate::lease::LinkId;
use ipnet::Ipv6Net;
use std::net::Ipv6Addr;

/// A UDP datagram that came to port 547 on a link whose clients are relayed.
#[derive(Debug, Clone, Copy)]
pub struct FromLink<'a> {
    /// The link, by its name.
    pub link: &'a str,
    /// From which address.
    pub source: Ipv6Addr,
    /// From which UDP port: a relay agent may use another than 547 (RFC 8357).
    pub port: u16,
    /// The link-layer address that its frame came from, where that is known. Nothing that was worked out of
    /// an address belongs here.
    pub link_layer: Option<[u8; 6]>,
    /// Its payload.
    pub bytes: &'a [u8],
}

/// A UDP datagram that came to our port towards servers.
#[derive(Debug, Clone, Copy)]
pub struct FromServer<'a> {
    /// From which address.
    pub source: Ipv6Addr,
    /// By which interface, as its number.
    pub interface: u32,
    /// Its payload.
    pub bytes: &'a [u8],
}

/// What a verb of the [`super::Relay`] asks its owner to do, in order.
pub type Actions = Vec<Action>;

/// Something to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Send this from our port towards servers to port 547.
    ToServer {
        /// To whom.
        server: Server,
        /// The payload.
        bytes: Vec<u8>,
    },
    /// Send this from port 547 on a link.
    ToLink {
        /// The link.
        link: LinkId,
        /// The client, or the relay agent before it.
        destination: Ipv6Addr,
        /// Its UDP port.
        port: u16,
        /// The payload.
        bytes: Vec<u8>,
    },
    /// A delegated prefix has a next hop, and it or the lifetime is new: install the route in place of any
    /// that the prefix has, and keep it over a restart.
    Routed(Delegation),
    /// Take the route to this prefix away, and forget it.
    Unrouted {
        /// The prefix that is delegated no longer.
        prefix: Ipv6Net,
    },
}
