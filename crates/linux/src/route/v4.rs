//! IPv4 addresses and routes, for hosts that still need them.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr};

use ipnet::Ipv4Net;
use netlink_packet_core::{NLM_F_CREATE, NLM_F_EXCL, NLM_F_REPLACE};
use netlink_packet_route::address::{AddressAttribute, AddressMessage};
use netlink_packet_route::route::{
    RouteAddress, RouteAttribute, RouteFlags, RouteHeader, RouteMessage, RouteProtocol, RouteScope,
};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};
use nix::errno::Errno;

use super::{Error, Netlink, RouteKind, SIXGATE_PROTOCOL, TABLE_MAIN};

const FAMILY: AddressFamily = AddressFamily::Inet;

/// An IPv4 address of an interface, as the kernel has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AddressV4 {
    /// Number of the interface.
    pub interface: u32,
    /// The address with the length of its prefix; the address' own bits behind that are kept.
    pub net: Ipv4Net,
}

/// An IPv4 route.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RouteV4 {
    /// Where packets go that take it.
    pub destination: Ipv4Net,
    /// The next router.
    pub gateway: Option<Ipv4Addr>,
    /// Number of the outgoing interface; `None` leaves it to the kernel, as for unreachable routes.
    pub interface: Option<u32>,
    /// The source of what this machine sends by it and has no source of its own choice.
    pub source: Option<Ipv4Addr>,
    /// The lower goes first; 0 goes before all.
    pub metric: u32,
    /// The table.
    pub table: u32,
    /// Who made it: [`SIXGATE_PROTOCOL`] for ours, 2 for the kernel, 16 for DHCP clients as a rule.
    pub protocol: u8,
    /// What happens to packets.
    pub kind: RouteKind,
}

impl RouteV4 {
    /// To all of IPv4.
    pub const DEFAULT: Ipv4Net = Ipv4Net::new_assert(Ipv4Addr::UNSPECIFIED, 0);

    /// A route of ours in the main table, to be completed.
    pub fn to(destination: Ipv4Net) -> Self {
        Self {
            destination: destination.trunc(),
            gateway: None,
            interface: None,
            source: None,
            metric: 0,
            table: TABLE_MAIN,
            protocol: SIXGATE_PROTOCOL,
            kind: RouteKind::Unicast,
        }
    }

    /// By a router on an interface.
    #[must_use]
    pub fn via(self, gateway: Ipv4Addr, interface: u32) -> Self {
        Self { gateway: Some(gateway), interface: Some(interface), ..self }
    }

    /// Directly on an interface.
    #[must_use]
    pub fn on(self, interface: u32) -> Self {
        Self { interface: Some(interface), ..self }
    }

    /// With this metric.
    #[must_use]
    pub fn metric(self, metric: u32) -> Self {
        Self { metric, ..self }
    }

    /// Whether it leads to all of IPv4.
    pub fn is_default(&self) -> bool {
        self.destination.prefix_len() == 0 && self.kind == RouteKind::Unicast
    }

    fn message(&self, scope: RouteScope) -> RouteMessage {
        let inet = RouteAddress::Inet;
        let mut message = RouteMessage::default();
        message.header = RouteHeader {
            address_family: FAMILY,
            destination_prefix_length: self.destination.prefix_len(),
            // Tables above 255 stand in the attribute alone.
            table: u8::try_from(self.table).unwrap_or(RouteHeader::RT_TABLE_UNSPEC),
            protocol: RouteProtocol::from(self.protocol),
            scope,
            kind: self.kind.into(),
            ..RouteHeader::default()
        };
        let attributes = &mut message.attributes;
        attributes.push(RouteAttribute::Destination(inet(self.destination.network())));
        attributes.extend(self.gateway.map(|gateway| RouteAttribute::Gateway(inet(gateway))));
        attributes.extend(self.interface.map(RouteAttribute::Oif));
        attributes.extend(self.source.map(|source| RouteAttribute::PrefSource(inet(source))));
        if self.metric != 0 {
            attributes.push(RouteAttribute::Priority(self.metric));
        }
        attributes.push(RouteAttribute::Table(self.table));
        message
    }

    /// The kernel takes no gateway that is as far away as what lies behind it.
    fn added(&self) -> RouteNetlinkMessage {
        let direct = self.gateway.is_none() && self.kind == RouteKind::Unicast;
        let scope = if direct { RouteScope::Link } else { RouteScope::Universe };
        RouteNetlinkMessage::NewRoute(self.message(scope))
    }
}

impl fmt::Display for RouteV4 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.destination)?;
        if let Some(gateway) = self.gateway {
            write!(f, " via {gateway}")?;
        }
        if let Some(interface) = self.interface {
            write!(f, " on interface {interface}")?;
        }
        Ok(())
    }
}

/// Reads an address; `None` if it is not IPv4.
pub(crate) fn address_v4_of(message: &AddressMessage) -> Option<AddressV4> {
    let (mut address, mut local) = (None, None);
    for attribute in &message.attributes {
        match attribute {
            AddressAttribute::Address(IpAddr::V4(ip)) => address = Some(*ip),
            AddressAttribute::Local(IpAddr::V4(ip)) => local = Some(*ip),
            _ => {}
        }
    }
    // On a point-to-point link `Address` is the peer's.
    let net = Ipv4Net::new(local.or(address)?, message.header.prefix_len).ok()?;
    (message.header.family == FAMILY).then_some(AddressV4 { interface: message.header.index, net })
}

/// Reads a message: one route, or one for each next hop; none if it is not IPv4 or a copy in the route cache.
pub(crate) fn routes_v4_of(message: &RouteMessage) -> Vec<RouteV4> {
    let header = &message.header;
    if header.address_family != FAMILY || header.flags.contains(RouteFlags::Cloned) {
        return Vec::new();
    }
    let length = header.destination_prefix_length;
    let Ok(destination) = Ipv4Net::new(Ipv4Addr::UNSPECIFIED, length) else { return Vec::new() };
    let mut route = RouteV4 {
        table: u32::from(header.table),
        protocol: header.protocol.into(),
        kind: header.kind.into(),
        ..RouteV4::to(destination)
    };
    let mut hops = &[][..];
    for attribute in &message.attributes {
        match attribute {
            RouteAttribute::Destination(RouteAddress::Inet(address)) => {
                route.destination = Ipv4Net::new(*address, length).unwrap_or(route.destination);
            }
            RouteAttribute::Gateway(RouteAddress::Inet(address)) => route.gateway = Some(*address),
            RouteAttribute::PrefSource(RouteAddress::Inet(address)) => route.source = Some(*address),
            RouteAttribute::Oif(index) => route.interface = Some(*index),
            RouteAttribute::Priority(metric) => route.metric = *metric,
            RouteAttribute::Table(table) => route.table = *table,
            RouteAttribute::MultiPath(next) => hops = next,
            _ => {}
        }
    }
    if hops.is_empty() {
        return vec![route];
    }
    let by_hop = hops.iter().map(|hop| {
        let gateway = hop.attributes.iter().find_map(|attribute| match attribute {
            RouteAttribute::Gateway(RouteAddress::Inet(address)) => Some(*address),
            _ => None,
        });
        RouteV4 { gateway, interface: Some(hop.interface_index), ..route.clone() }
    });
    by_hop.collect()
}

fn address_message(interface: u32, net: Ipv4Net) -> AddressMessage {
    let mut message = AddressMessage::default();
    message.header.family = FAMILY;
    message.header.index = interface;
    message.header.prefix_len = net.prefix_len();
    let address = IpAddr::V4(net.addr());
    message.attributes = vec![AddressAttribute::Local(address), AddressAttribute::Address(address)];
    // RFC 919 section 7; none within a /31 (RFC 3021) or on a single address.
    if net.prefix_len() < 31 {
        message.attributes.push(AddressAttribute::Broadcast(net.broadcast()));
    }
    message
}

impl Netlink {
    /// The IPv4 addresses of one interface, or of all.
    pub fn addresses_v4(&mut self, interface: Option<u32>) -> Result<Vec<AddressV4>, Error> {
        let mut message = AddressMessage::default();
        message.header.family = FAMILY;
        message.header.index = interface.unwrap_or(0);
        let request = RouteNetlinkMessage::GetAddress(message);
        let answers = match self.dump(&request, &|| "list IPv4 addresses".to_owned()) {
            // The kernel filters by interface, and says so when it is gone.
            Err(Error::Refused { source: Errno::ENODEV, .. }) => return Ok(Vec::new()),
            answers => answers?,
        };
        let addresses = answers.iter().filter_map(|answer| match answer {
            RouteNetlinkMessage::NewAddress(message) => address_v4_of(message),
            _ => None,
        });
        Ok(addresses.filter(|address| interface.is_none_or(|index| address.interface == index)).collect())
    }

    /// Gives an interface an IPv4 address without end and, if its prefix is longer than the address alone, a route to that. One that it
    /// has stays as it is.
    pub fn set_address_v4(&mut self, interface: u32, net: Ipv4Net) -> Result<(), Error> {
        let request = RouteNetlinkMessage::NewAddress(address_message(interface, net));
        let what = || format!("give {net} to interface {interface}");
        self.change(request, NLM_F_CREATE | NLM_F_REPLACE, &what)
    }

    /// Takes an IPv4 address away. `false`: the interface did not have it, or is gone.
    pub fn remove_address_v4(&mut self, interface: u32, net: Ipv4Net) -> Result<bool, Error> {
        let request = RouteNetlinkMessage::DelAddress(address_message(interface, net));
        self.remove(request, &[Errno::EADDRNOTAVAIL, Errno::ENODEV, Errno::ENXIO], &|| {
            format!("take {net} from interface {interface}")
        })
    }

    /// The IPv4 routes of a table, of one protocol (such as [`SIXGATE_PROTOCOL`]) or of all.
    pub fn routes_v4(&mut self, table: u32, protocol: Option<u8>) -> Result<Vec<RouteV4>, Error> {
        let mut message = RouteMessage::default();
        message.header.address_family = FAMILY;
        let request = RouteNetlinkMessage::GetRoute(message);
        let answers = self.dump(&request, &|| "list IPv4 routes".to_owned())?;
        let routes = answers.iter().flat_map(|answer| match answer {
            RouteNetlinkMessage::NewRoute(message) => routes_v4_of(message),
            _ => Vec::new(),
        });
        let asked = |route: &RouteV4| {
            route.table == table && protocol.is_none_or(|protocol| route.protocol == protocol)
        };
        Ok(routes.filter(asked).collect())
    }

    /// Whether the main table knows a way to all of IPv4.
    pub fn has_default_route_v4(&mut self) -> Result<bool, Error> {
        Ok(self.routes_v4(TABLE_MAIN, None)?.iter().any(RouteV4::is_default))
    }

    /// Adds an IPv4 route; one with the same destination and metric is an error (`EEXIST`).
    pub fn add_route_v4(&mut self, route: &RouteV4) -> Result<(), Error> {
        self.change(route.added(), NLM_F_CREATE | NLM_F_EXCL, &|| format!("add route {route}"))
    }

    /// Adds an IPv4 route or replaces the one with the same destination and metric.
    pub fn replace_route_v4(&mut self, route: &RouteV4) -> Result<(), Error> {
        self.change(route.added(), NLM_F_CREATE | NLM_F_REPLACE, &|| format!("set route {route}"))
    }

    /// Removes an IPv4 route that agrees in all that is given (metric 0 agrees with any). `false`: there was none.
    pub fn remove_route_v4(&mut self, route: &RouteV4) -> Result<bool, Error> {
        // A scope of nowhere agrees with any.
        let request = RouteNetlinkMessage::DelRoute(route.message(RouteScope::NoWhere));
        self.remove(request, &[Errno::ESRCH, Errno::ENODEV], &|| format!("remove route {route}"))
    }
}
