//! What goes into the server and what comes out of it.

use super::lease::LeaseChange;
use super::pilot::RosterChange;
use crate::lease::LinkId;
use sixgate_wire::dhcpv4::{CLIENT_PORT, SERVER_PORT};
use std::net::Ipv4Addr;

/// A UDP datagram that came to port 67.
#[derive(Debug, Clone, Copy)]
pub struct Datagram<'a> {
    /// The link that it came in on, by its name.
    pub link: &'a str,
    /// From which address.
    pub source: Ipv4Addr,
    /// Its payload.
    pub bytes: &'a [u8],
}

/// What a verb of the [`super::Server`] asks its owner to do, in order.
pub type Actions = Vec<Action>;

/// Something to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Send this.
    Reply(Reply),
    /// Make all of these durable, or none, in the order of the tickets; then call
    /// [`super::Server::committed`] or [`super::Server::commit_failed`]. What failed may be left out or be
    /// done later, but before what comes after it.
    Commit {
        /// Names the commit in that call. Tickets only grow.
        ticket: u64,
        /// What to make durable: at most one change for each address.
        changes: Vec<LeaseChange>,
    },
    /// Keep these for a restart: see [`super::Roster`]. Nothing waits for it.
    Roster(Vec<RosterChange>),
}

/// A message for a client or for its relay agent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// The link to send it on: the one on which the question came.
    pub link: LinkId,
    /// The address to send it from: the Server Identifier.
    pub source: Ipv4Addr,
    /// To whom.
    pub destination: Destination,
    /// The payload.
    pub bytes: Vec<u8>,
}

/// Where a reply goes (RFC 2131 section 4.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Destination {
    /// To 255.255.255.255 and everybody on the link.
    Broadcast,
    /// To an address that the client has.
    Unicast(Ipv4Addr),
    /// To an address that the client does not have yet, so that it cannot answer ARP: the frame goes to its
    /// hardware address. Where that cannot be sent, broadcast does as well.
    LinkLayer {
        /// The IPv4 destination.
        address: Ipv4Addr,
        /// The Ethernet destination.
        hardware: [u8; 6],
    },
    /// To the relay agent that sent the question.
    Relay(Ipv4Addr),
}

impl Destination {
    /// The IPv4 destination.
    pub fn address(self) -> Ipv4Addr {
        match self {
            Self::Broadcast => Ipv4Addr::BROADCAST,
            Self::Unicast(address) | Self::LinkLayer { address, .. } | Self::Relay(address) => address,
        }
    }

    /// The UDP destination port.
    pub fn port(self) -> u16 {
        if matches!(self, Self::Relay(_)) { SERVER_PORT } else { CLIENT_PORT }
    }
}
