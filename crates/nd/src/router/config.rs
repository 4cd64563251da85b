//! What a router is asked to advertise.

use core::time::Duration;
use ipnet::Ipv6Net;
use sixgate_wire::ndp::Preference;
use std::net::Ipv6Addr;

/// ND_PREFERRED_LIMIT: the longest preferred lifetime, and router, route and DNS lifetime, that a customer edge router
/// tells by default (RFC 9096 section 3.4).
pub const ND_PREFERRED_LIMIT: Duration = Duration::from_mins(45);
/// ND_VALID_LIMIT: the longest valid lifetime that a customer edge router tells by default (RFC 9096 section 3.4).
pub const ND_VALID_LIMIT: Duration = Duration::from_mins(90);

/// What a router advertises on its LAN, apart from the prefixes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// Our link-local address on the LAN: advertisements that come from it are our own and not looked at.
    pub link_local: Option<Ipv6Addr>,
    /// Our link-layer address on the LAN, told as Source Link-Layer Address.
    pub link_layer: Option<[u8; 6]>,
    /// MinRtrAdvInterval: least time between two unsolicited advertisements, from 3 s to 0.75 × `max_interval`.
    pub min_interval: Duration,
    /// MaxRtrAdvInterval: most time between two unsolicited advertisements, from 4 to 1800 s.
    pub max_interval: Duration,
    /// M: addresses can be had by DHCPv6.
    pub managed: bool,
    /// O: other configuration can be had by DHCPv6.
    pub other: bool,
    /// Hop limit that hosts should send with; 0 leaves it to them.
    pub hop_limit: u8,
    /// MTU of the LAN in octets, at least 1280; `None` leaves it to the hosts.
    pub mtu: Option<u32>,
    /// How long we stay a default router without being heard: from `max_interval` to 9000 s.
    pub router_lifetime: Duration,
    /// How much we want to be chosen as default router.
    pub preference: Preference,
    /// How long a neighbour counts as reachable, in milliseconds on the wire; zero leaves it to the hosts.
    pub reachable_time: Duration,
    /// Time between two Neighbor Solicitations, in milliseconds on the wire; zero leaves it to the hosts.
    pub retrans_timer: Duration,
    /// Recursive resolvers, usually ourselves.
    pub rdnss: Vec<Ipv6Addr>,
    /// Domains to search.
    pub dnssl: Vec<String>,
    /// How long resolvers, domains, NAT64 prefix and routes are good without being heard again.
    pub option_lifetime: Duration,
    /// URI of the captive portal's API (RFC 8910).
    pub captive_portal: Option<String>,
    /// NAT64 prefix (RFC 8781), of length 32, 40, 48, 56, 64 or 96.
    pub pref64: Option<Ipv6Net>,
    /// Routes through us (RFC 4191): kept also where we are no default router.
    pub routes: Vec<Route>,
    /// Longest preferred lifetime told of a prefix.
    pub preferred_limit: Duration,
    /// Longest valid lifetime told of a prefix.
    pub valid_limit: Duration,
}

/// A route through us.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Route {
    /// Where it leads.
    pub prefix: Ipv6Net,
    /// How much we want to be chosen for it.
    pub preference: Preference,
}

impl Default for Config {
    /// Intervals of RFC 4861 section 6.2.1, lifetimes within the limits of RFC 9096 section 3.4, nothing else told.
    fn default() -> Self {
        Self {
            link_local: None,
            link_layer: None,
            min_interval: Duration::from_secs(200),
            max_interval: Duration::from_mins(10),
            managed: false,
            other: false,
            hop_limit: 64,
            mtu: None,
            router_lifetime: Duration::from_mins(30),
            preference: Preference::Medium,
            reachable_time: Duration::ZERO,
            retrans_timer: Duration::ZERO,
            rdnss: Vec::new(),
            dnssl: Vec::new(),
            option_lifetime: Duration::from_mins(30),
            captive_portal: None,
            pref64: None,
            routes: Vec::new(),
            preferred_limit: ND_PREFERRED_LIMIT,
            valid_limit: ND_VALID_LIMIT,
        }
    }
}

/// What is wrong with a [`Config`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// The longest interval is out of its range.
    #[error(
        "the longest time between router advertisements is {0:?}: give 4 to 1800 seconds (RFC 4861 section 6.2.1)"
    )]
    MaxInterval(Duration),
    /// The shortest interval is out of its range.
    #[error(
        "the shortest time between router advertisements is {0:?}: give 3 seconds to three quarters of the longest, \
         {max:?} (RFC 4861 section 6.2.1)", max = .1
    )]
    MinInterval(Duration, Duration),
    /// The router lifetime is out of its range.
    #[error(
        "the router lifetime is {0:?}: give at least the longest time between advertisements, {max:?}, and at most \
         9000 seconds (RFC 4861 section 6.2.1)", max = .1
    )]
    RouterLifetime(Duration, Duration),
    /// The lifetime of options is shorter than the time until they are told again.
    #[error(
        "resolvers and routes are good for {0:?}, less than the longest time between advertisements, {max:?}: hosts \
         would lose them in between", max = .1
    )]
    OptionLifetime(Duration, Duration),
    /// The MTU is below IPv6's least.
    #[error("the MTU is {0}: IPv6 needs at least 1280 (RFC 8200 section 5)")]
    Mtu(u32),
    /// The NAT64 prefix has a length that RFC 6052 does not know.
    #[error("the NAT64 prefix is {0}: its length must be 32, 40, 48, 56, 64 or 96 (RFC 6052 section 2.2)")]
    Pref64(Ipv6Net),
    /// The prefix lifetimes' limits contradict each other.
    #[error("the limit of preferred lifetimes, {0:?}, is above that of valid lifetimes, {1:?}")]
    Limits(Duration, Duration),
    /// The captive portal's URI does not fit into an option.
    #[error("the captive portal's URI has {0} octets: at most 1024 fit into one advertisement")]
    CaptivePortal(usize),
}

/// Shortest MinRtrAdvInterval (RFC 4861 section 6.2.1).
const LEAST_INTERVAL: Duration = Duration::from_secs(3);
/// Range of MaxRtrAdvInterval (RFC 4861 section 6.2.1).
const MAX_INTERVAL: (Duration, Duration) = (Duration::from_secs(4), Duration::from_mins(30));
/// Longest AdvDefaultLifetime (RFC 4861 section 6.2.1).
const MAX_ROUTER_LIFETIME: Duration = Duration::from_mins(150);

impl Config {
    /// Whether everything is within what the RFCs allow.
    ///
    /// # Errors
    /// [`ConfigError`] names the first value that is not.
    pub fn check(&self) -> Result<(), ConfigError> {
        let max = self.max_interval;
        if max < MAX_INTERVAL.0 || max > MAX_INTERVAL.1 {
            return Err(ConfigError::MaxInterval(max));
        }
        if self.min_interval < LEAST_INTERVAL || self.min_interval > max * 3 / 4 {
            return Err(ConfigError::MinInterval(self.min_interval, max));
        }
        if self.router_lifetime < max || self.router_lifetime > MAX_ROUTER_LIFETIME {
            return Err(ConfigError::RouterLifetime(self.router_lifetime, max));
        }
        if self.option_lifetime < max {
            return Err(ConfigError::OptionLifetime(self.option_lifetime, max));
        }
        if let Some(mtu) = self.mtu.filter(|&mtu| mtu < 1280) {
            return Err(ConfigError::Mtu(mtu));
        }
        if let Some(prefix) = self.pref64.filter(|p| !matches!(p.prefix_len(), 32 | 40 | 48 | 56 | 64 | 96)) {
            return Err(ConfigError::Pref64(prefix));
        }
        if self.preferred_limit > self.valid_limit {
            return Err(ConfigError::Limits(self.preferred_limit, self.valid_limit));
        }
        if let Some(uri) = self.captive_portal.as_ref().filter(|uri| uri.len() > 1024) {
            return Err(ConfigError::CaptivePortal(uri.len()));
        }
        Ok(())
    }

    /// The intervals, forced into their ranges: the rate limit must hold whatever was configured.
    pub(super) fn intervals(&self) -> (Duration, Duration) {
        let max = self.max_interval.clamp(MAX_INTERVAL.0, MAX_INTERVAL.1);
        (self.min_interval.clamp(LEAST_INTERVAL, (max * 3 / 4).max(LEAST_INTERVAL)), max)
    }
}
