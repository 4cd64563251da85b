//! What goes into the server and what comes out of it.

use super::way::Way;
use crate::lease::{LeaseChange, LinkId};
use ipnet::Ipv6Net;
use sixgate_wire::dhcpv6::Duid;
use std::net::Ipv6Addr;

/// A UDP datagram that came to port 547.
#[derive(Debug, Clone, Copy)]
pub struct Datagram<'a> {
    /// The link that it came in on, by its name; relayed messages may come in on interfaces that are no links of ours.
    pub link: &'a str,
    /// From which address.
    pub source: Ipv6Addr,
    /// From which UDP port.
    pub port: u16,
    /// Its payload.
    pub bytes: &'a [u8],
    /// The sender's link-layer address, where it is known.
    pub link_layer: Option<&'a [u8]>,
}

/// What a verb of the [`super::Server`] asks its owner to do, in order.
pub type Actions = Vec<Action>;

/// Something to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Send this.
    Reply(Reply),
    /// Make all of these durable, or none, in the order of the tickets; then call [`super::Server::committed`] or
    /// [`super::Server::commit_failed`]. What failed may be left out or be done later, but before what comes after it. What clients are to be told, and the routes, come out of that call.
    Commit {
        /// Names the commit in that call. Tickets only grow.
        ticket: u64,
        /// What to make durable.
        changes: Vec<LeaseChange>,
    },
    /// Install this route in place of any that its prefix has.
    RouteAdd(Route),
    /// Keep that this client takes Reconfigure messages, and how it is reached where it is behind relay agents, in place of
    /// what was kept of it and before whatever comes next: see [`super::Server::set_reconfigure`].
    Agreed(Duid, Option<Way>),
    /// These clients are not kept any more: they hold nothing.
    Disagreed(Vec<Duid>),
    /// Take the route to this prefix away.
    RouteRemove {
        /// The prefix that is delegated no longer.
        prefix: Ipv6Net,
    },
}

/// A message for a client, or for the relay agent before it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// The link to send it on: the one on which the question came in.
    pub link: LinkId,
    /// The client's address, or the relay agent's.
    pub destination: Ipv6Addr,
    /// The UDP port there.
    pub port: u16,
    /// The payload.
    pub bytes: Vec<u8>,
}

/// A delegated prefix lies behind the router that it was delegated to (RFC 8987 section 4.1 R-1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// The prefix.
    pub prefix: Ipv6Net,
    /// The router's link-local address.
    pub via: Ipv6Addr,
    /// The link that the router is on.
    pub link: LinkId,
}
