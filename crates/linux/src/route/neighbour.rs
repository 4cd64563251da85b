//! The neighbour cache (RFC 4861, section 5.1).

use std::net::Ipv6Addr;

use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::neighbour::{
    NeighbourAddress, NeighbourAttribute, NeighbourMessage, NeighbourState as Wire,
};

use super::{Error, FAMILY, Netlink};

/// State of a neighbour: RFC 4861, section 7.3.2, and Linux's own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum NeighbourState {
    /// Its link-layer address is being asked for.
    Incomplete,
    /// Known to be reachable of late.
    Reachable,
    /// Not known to be reachable.
    Stale,
    /// Used while stale: hints of reachability are awaited.
    Delay,
    /// Asked whether it is reachable.
    Probe,
    /// Does not answer.
    Failed,
    /// Configured.
    Permanent,
    /// The link resolves no addresses.
    NoArp,
    /// Nothing is known.
    None,
}

/// A neighbour.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Neighbour {
    /// Number of the interface.
    pub interface: u32,
    /// Its address.
    pub address: Ipv6Addr,
    /// Its Ethernet address, where known.
    pub mac: Option<[u8; 6]>,
    /// What is known of it.
    pub state: NeighbourState,
}

/// An IPv6 neighbour; those of IPv4 and of bridges are none.
pub(crate) fn neighbour_of(message: &NeighbourMessage) -> Option<Neighbour> {
    let (mut address, mut mac) = (None, None);
    for attribute in &message.attributes {
        match attribute {
            NeighbourAttribute::Destination(NeighbourAddress::Inet6(ip)) => address = Some(*ip),
            NeighbourAttribute::LinkLayerAddress(bytes) => mac = bytes.as_slice().try_into().ok(),
            _ => {}
        }
    }
    let state = match message.header.state {
        Wire::Incomplete => NeighbourState::Incomplete,
        Wire::Reachable => NeighbourState::Reachable,
        Wire::Stale => NeighbourState::Stale,
        Wire::Delay => NeighbourState::Delay,
        Wire::Probe => NeighbourState::Probe,
        Wire::Failed => NeighbourState::Failed,
        Wire::Permanent => NeighbourState::Permanent,
        Wire::Noarp => NeighbourState::NoArp,
        _ => NeighbourState::None,
    };
    Some(Neighbour { interface: message.header.ifindex, address: address?, mac, state })
}

impl Netlink {
    /// The IPv6 neighbours on one interface, or on all.
    pub fn neighbours(&mut self, interface: Option<u32>) -> Result<Vec<Neighbour>, Error> {
        let mut message = NeighbourMessage::default();
        message.header.family = FAMILY;
        let answers =
            self.dump(&RouteNetlinkMessage::GetNeighbour(message), &|| "list neighbours".to_owned())?;
        let neighbours = answers.iter().filter_map(|answer| match answer {
            RouteNetlinkMessage::NewNeighbour(message) => neighbour_of(message),
            _ => None,
        });
        Ok(neighbours
            .filter(|neighbour| interface.is_none_or(|index| neighbour.interface == index))
            .collect())
    }
}
