//! What a host knows of its link.

use core::time::Duration;
use ipnet::Ipv6Net;
use sixgate_wire::ndp::Preference;
use std::net::Ipv6Addr;

/// What is known of the link. Times are points in time; [`Duration::MAX`] is for ever.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct State {
    /// Default routers, the one to use first in front: by preference (RFC 4191 section 3.2), then the one known longest.
    pub default_routers: Vec<DefaultRouter>,
    /// Prefixes whose addresses are on the link.
    pub prefixes: Vec<OnLinkPrefix>,
    /// Addresses formed by stateless autoconfiguration.
    pub addresses: Vec<AutoAddress>,
    /// Routes through routers of the link, the longest prefix first and the preferred one first among equals.
    pub routes: Vec<LearnedRoute>,
    /// Recursive resolvers, in the order in which they were told.
    pub rdnss: Vec<Resolver>,
    /// Domains to search, in the order in which they were told.
    pub dnssl: Vec<SearchDomain>,
    /// MTU of the link in octets, from 1280 up to what the interface can do.
    pub mtu: Option<u32>,
    /// Hop limit to send with.
    pub hop_limit: Option<u8>,
    /// How long a neighbour counts as reachable.
    pub reachable_time: Option<Duration>,
    /// Time between two Neighbor Solicitations.
    pub retrans_timer: Option<Duration>,
    /// M: addresses can be had by DHCPv6. As the router heard last says.
    pub managed: bool,
    /// O: other configuration can be had by DHCPv6. As the router heard last says.
    pub other: bool,
    /// URI of the captive portal's API (RFC 8910).
    pub captive_portal: Option<String>,
    /// NAT64 prefix (RFC 8781).
    pub pref64: Option<Pref64Prefix>,
    /// Whether any router has been heard since [`super::Host::start`].
    pub heard_router: bool,
}

/// A router that forwards to anywhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DefaultRouter {
    /// Its link-local address.
    pub address: Ipv6Addr,
    /// How much it wants to be chosen.
    pub preference: Preference,
    /// When it stops being a default router unless heard again.
    pub until: Duration,
}

/// A prefix whose addresses are on the link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OnLinkPrefix {
    /// The prefix.
    pub prefix: Ipv6Net,
    /// When it stops being on the link unless told again.
    pub until: Duration,
}

/// An address formed by stateless autoconfiguration (RFC 4862).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AutoAddress {
    /// The address.
    pub address: Ipv6Addr,
    /// Length of the prefix it was formed from, in bits.
    pub prefix_length: u8,
    /// When it becomes deprecated: not to be used for anything new.
    pub preferred_until: Duration,
    /// When it becomes invalid.
    pub valid_until: Duration,
}

/// A route learned by a Route Information option (RFC 4191).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LearnedRoute {
    /// Where it leads.
    pub prefix: Ipv6Net,
    /// The router's link-local address.
    pub router: Ipv6Addr,
    /// How much the router wants to be chosen.
    pub preference: Preference,
    /// When it ends unless told again.
    pub until: Duration,
}

/// A recursive resolver. A link-local one is on this link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Resolver {
    /// Its address.
    pub address: Ipv6Addr,
    /// When it is no longer to be used unless told again.
    pub until: Duration,
}

/// A domain to search.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SearchDomain {
    /// The domain, without a final dot.
    pub name: String,
    /// When it is no longer to be used unless told again.
    pub until: Duration,
}

/// The NAT64 prefix.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pref64Prefix {
    /// The prefix, of length 32, 40, 48, 56, 64 or 96.
    pub prefix: Ipv6Net,
    /// The link-local address of the router that told it.
    pub router: Ipv6Addr,
    /// When it is no longer to be used unless told again.
    pub until: Duration,
}

impl State {
    /// The next point in time at which something ends; points that never come are not told.
    pub(super) fn next_expiry(&self) -> Option<Duration> {
        let addresses = self.addresses.iter().map(|a| a.valid_until);
        addresses
            .chain(self.default_routers.iter().map(|r| r.until))
            .chain(self.prefixes.iter().map(|p| p.until))
            .chain(self.routes.iter().map(|r| r.until))
            .chain(self.rdnss.iter().map(|r| r.until))
            .chain(self.dnssl.iter().map(|d| d.until))
            .chain(self.pref64.iter().map(|p| p.until))
            .filter(|&until| until != Duration::MAX)
            .min()
    }

    /// Drops what has ended.
    pub(super) fn expire(&mut self, now: Duration) {
        self.default_routers.retain(|r| r.until > now);
        self.prefixes.retain(|p| p.until > now);
        self.addresses.retain(|a| a.valid_until > now);
        self.routes.retain(|r| r.until > now);
        self.rdnss.retain(|r| r.until > now);
        self.dnssl.retain(|d| d.until > now);
        self.pref64 = self.pref64.filter(|p| p.until > now);
    }
}
