//! IPv6 routes.

use std::fmt;
use std::net::Ipv6Addr;

use ipnet::Ipv6Net;
use netlink_packet_core::{NLM_F_CREATE, NLM_F_EXCL, NLM_F_REPLACE};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::route::{
    RouteAddress, RouteAttribute, RouteFlags, RouteHeader, RouteMessage, RoutePreference, RouteProtocol,
    RouteScope, RouteType,
};
use nix::errno::Errno;

use super::{Error, FAMILY, Netlink};

/// The number (`rtm_protocol`) that marks routes as sixgate's, so that they are known again after a crash. It is
/// above `RTPROT_STATIC` (4), hence user space's to choose (`rtnetlink(7)`), and iproute2's `rt_protos` has no name for it.
pub const SIXGATE_PROTOCOL: u8 = 86;
/// The main table.
pub const TABLE_MAIN: u32 = 254;

/// Preference of a router or route (RFC 4191, section 2.1).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Preference {
    /// Less than others.
    Low,
    /// The usual.
    #[default]
    Medium,
    /// More than others.
    High,
}

/// What happens to packets.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum RouteKind {
    /// They are sent on.
    #[default]
    Unicast,
    /// They are dropped, and the sender is told (ICMPv6 "no route").
    Unreachable,
    /// They are dropped silently.
    Blackhole,
    /// They are ours (the kernel's own tables).
    Local,
    /// Another kind of the kernel's; read only.
    Other,
}

impl From<RouteKind> for RouteType {
    fn from(kind: RouteKind) -> Self {
        match kind {
            RouteKind::Unicast => Self::Unicast,
            RouteKind::Unreachable => Self::Unreachable,
            RouteKind::Blackhole => Self::BlackHole,
            RouteKind::Local => Self::Local,
            RouteKind::Other => Self::Unspec,
        }
    }
}

impl From<RouteType> for RouteKind {
    fn from(kind: RouteType) -> Self {
        match kind {
            RouteType::Unicast => Self::Unicast,
            RouteType::Unreachable => Self::Unreachable,
            RouteType::BlackHole => Self::Blackhole,
            RouteType::Local => Self::Local,
            _ => Self::Other,
        }
    }
}

/// A route.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// Where packets go that take it.
    pub destination: Ipv6Net,
    /// Only for packets from here (source-specific routing, RFC 8043).
    pub source: Option<Ipv6Net>,
    /// The next router.
    pub gateway: Option<Ipv6Addr>,
    /// Number of the outgoing interface; `None` leaves it to the kernel, as for unreachable routes.
    pub interface: Option<u32>,
    /// The lower goes first; 0 asks for the kernel's default, 1024.
    pub metric: u32,
    /// The table.
    pub table: u32,
    /// Who made it: [`SIXGATE_PROTOCOL`] for ours, 2 for the kernel, 9 for router advertisements.
    pub protocol: u8,
    /// What happens to packets.
    pub kind: RouteKind,
    /// Preference among equals.
    pub preference: Preference,
    /// The kernel removes it after so many seconds.
    pub expires: Option<u32>,
}

impl Route {
    /// A route of ours in the main table, to be completed.
    pub fn to(destination: Ipv6Net) -> Self {
        Self {
            destination: destination.trunc(),
            source: None,
            gateway: None,
            interface: None,
            metric: 0,
            table: TABLE_MAIN,
            protocol: SIXGATE_PROTOCOL,
            kind: RouteKind::Unicast,
            preference: Preference::Medium,
            expires: None,
        }
    }

    /// By a router on an interface.
    #[must_use]
    pub fn via(self, gateway: Ipv6Addr, interface: u32) -> Self {
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

    /// Of this kind.
    #[must_use]
    pub fn kind(self, kind: RouteKind) -> Self {
        Self { kind, ..self }
    }

    fn message(&self) -> RouteMessage {
        let mut header = RouteHeader {
            address_family: FAMILY,
            destination_prefix_length: self.destination.prefix_len(),
            ..RouteHeader::default()
        };
        // Tables above 255 stand in the attribute alone.
        header.table = u8::try_from(self.table).unwrap_or(RouteHeader::RT_TABLE_UNSPEC);
        header.protocol = RouteProtocol::from(self.protocol);
        header.scope = RouteScope::Universe;
        header.kind = self.kind.into();
        let inet6 = RouteAddress::Inet6;
        let mut attributes = vec![RouteAttribute::Destination(inet6(self.destination.network()))];
        if let Some(source) = self.source {
            header.source_prefix_length = source.prefix_len();
            attributes.push(RouteAttribute::Source(inet6(source.network())));
        }
        attributes.extend(self.gateway.map(|gateway| RouteAttribute::Gateway(inet6(gateway))));
        attributes.extend(self.interface.map(RouteAttribute::Oif));
        if self.metric != 0 {
            attributes.push(RouteAttribute::Priority(self.metric));
        }
        attributes.push(RouteAttribute::Table(self.table));
        let preference = match self.preference {
            Preference::Low => RoutePreference::Low,
            Preference::Medium => RoutePreference::Medium,
            Preference::High => RoutePreference::High,
        };
        attributes.push(RouteAttribute::Preference(preference));
        attributes.extend(self.expires.map(RouteAttribute::Expires));
        let mut message = RouteMessage::default();
        (message.header, message.attributes) = (header, attributes);
        message
    }
}

impl fmt::Display for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.destination)?;
        if let Some(source) = self.source {
            write!(f, " from {source}")?;
        }
        if let Some(gateway) = self.gateway {
            write!(f, " via {gateway}")?;
        }
        if let Some(interface) = self.interface {
            write!(f, " on interface {interface}")?;
        }
        Ok(())
    }
}

/// Reads a message: one route, or one for each next hop; none if it is not IPv6 or a copy in the route cache.
pub(crate) fn routes_of(message: &RouteMessage) -> Vec<Route> {
    let header = &message.header;
    if header.address_family != FAMILY || header.flags.contains(RouteFlags::Cloned) {
        return Vec::new();
    }
    let net = |address: Ipv6Addr, length| Ipv6Net::new(address, length).ok();
    let Some(destination) = net(Ipv6Addr::UNSPECIFIED, header.destination_prefix_length) else {
        return Vec::new();
    };
    let mut route = Route {
        table: u32::from(header.table),
        protocol: header.protocol.into(),
        kind: header.kind.into(),
        ..Route::to(destination)
    };
    let mut hops = &[][..];
    for attribute in &message.attributes {
        match attribute {
            RouteAttribute::Destination(RouteAddress::Inet6(address)) => {
                route.destination =
                    net(*address, header.destination_prefix_length).unwrap_or(route.destination);
            }
            RouteAttribute::Source(RouteAddress::Inet6(address)) => {
                route.source = net(*address, header.source_prefix_length);
            }
            RouteAttribute::Gateway(RouteAddress::Inet6(address)) => route.gateway = Some(*address),
            RouteAttribute::Oif(index) => route.interface = Some(*index),
            RouteAttribute::Priority(metric) => route.metric = *metric,
            RouteAttribute::Table(table) => route.table = *table,
            RouteAttribute::Preference(RoutePreference::Low) => route.preference = Preference::Low,
            RouteAttribute::Preference(RoutePreference::High) => route.preference = Preference::High,
            // In hundredths of a second (USER_HZ), 0 for none.
            RouteAttribute::CacheInfo(info) => {
                route.expires = Some(info.expires).filter(|ticks| *ticks != 0).map(|ticks| ticks / 100);
            }
            RouteAttribute::MultiPath(next) => hops = next,
            _ => {}
        }
    }
    if hops.is_empty() {
        return vec![route];
    }
    let by_hop = hops.iter().map(|hop| {
        let gateway = hop.attributes.iter().find_map(|attribute| match attribute {
            RouteAttribute::Gateway(RouteAddress::Inet6(address)) => Some(*address),
            _ => None,
        });
        Route { gateway, interface: Some(hop.interface_index), ..route.clone() }
    });
    by_hop.collect()
}

impl Netlink {
    /// The IPv6 routes of a table, of one protocol (such as [`SIXGATE_PROTOCOL`]) or of all.
    pub fn routes(&mut self, table: u32, protocol: Option<u8>) -> Result<Vec<Route>, Error> {
        let mut message = RouteMessage::default();
        message.header.address_family = FAMILY;
        let answers = self.dump(&RouteNetlinkMessage::GetRoute(message), &|| "list routes".to_owned())?;
        let routes = answers.iter().flat_map(|answer| match answer {
            RouteNetlinkMessage::NewRoute(message) => routes_of(message),
            _ => Vec::new(),
        });
        Ok(routes
            .filter(|route| {
                route.table == table && protocol.is_none_or(|protocol| route.protocol == protocol)
            })
            .collect())
    }

    /// Adds a route; one with the same destination, source and metric is an error (`EEXIST`).
    pub fn add_route(&mut self, route: &Route) -> Result<(), Error> {
        let request = RouteNetlinkMessage::NewRoute(route.message());
        self.change(request, NLM_F_CREATE | NLM_F_EXCL, &|| format!("add route {route}"))
    }

    /// Adds a route or replaces the one with the same destination, source and metric.
    pub fn replace_route(&mut self, route: &Route) -> Result<(), Error> {
        let request = RouteNetlinkMessage::NewRoute(route.message());
        self.change(request, NLM_F_CREATE | NLM_F_REPLACE, &|| format!("set route {route}"))
    }

    /// Removes routes, and then adds or replaces others, as [`Netlink::remove_route`] and [`Netlink::replace_route`] do; what the
    /// kernel refused, by its number, those removed counted first.
    ///
    /// # Errors
    /// [`Error`] where the socket fails: how much was done is then not known.
    pub fn change_routes(&mut self, gone: &[Route], new: &[Route]) -> Result<Vec<(usize, Error)>, Error> {
        let gone_messages = gone.iter().map(|route| {
            let route = Route { expires: None, ..route.clone() };
            (RouteNetlinkMessage::DelRoute(route.message()), 0)
        });
        let new_messages = new
            .iter()
            .map(|route| (RouteNetlinkMessage::NewRoute(route.message()), NLM_F_CREATE | NLM_F_REPLACE));
        let messages: Vec<_> = gone_messages.chain(new_messages).collect();
        let what = |number: usize| match (gone.get(number), new.get(number.wrapping_sub(gone.len()))) {
            (Some(route), _) => format!("remove route {route}"),
            (None, Some(route)) => format!("set route {route}"),
            (None, None) => "change routes".to_owned(),
        };
        let absent = |error: &Error| matches!(error.errno(), Some(Errno::ESRCH | Errno::ENODEV));
        let mut refused = self.change_many(&messages, &what)?;
        refused.retain(|(number, error)| *number >= gone.len() || !absent(error));
        Ok(refused)
    }

    /// Removes a route that agrees in all that is given (metric 0 agrees with any). `false`: there was none.
    pub fn remove_route(&mut self, route: &Route) -> Result<bool, Error> {
        let mut route = route.clone();
        route.expires = None;
        let request = RouteNetlinkMessage::DelRoute(route.message());
        self.remove(request, &[Errno::ESRCH, Errno::ENODEV], &|| format!("remove route {route}"))
    }
}
