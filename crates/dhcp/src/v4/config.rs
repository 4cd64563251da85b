//! What a server gives out, on which links, and how much of it.

use super::mostly::Ipv6Mostly;
use super::pilot::Pilot;
use crate::lease::LinkId;
use ipnet::Ipv4Net;
use std::net::Ipv4Addr;
use std::ops::RangeInclusive;
use std::time::Duration;

/// What holds for the whole server.
#[derive(Debug, Clone)]
pub struct ServerConfig {
    /// The links that are served; [`super::Server::set_links`] changes them. Their subnets do not overlap.
    pub links: Vec<Link>,
    /// Whether a client that asks for it is bound in two messages instead of four (RFC 4039).
    pub rapid_commit: bool,
    /// Whether this is the only server of its links. It then says no to an address that it knows nothing of,
    /// and binds it if it is free, where another server might be the one that knows (RFC 2131 section 4.3.2:
    /// remain silent).
    pub authoritative: bool,
    /// Key of the allocation: the same key gives the same client the same address again.
    pub hash_key: [u8; 16],
    /// Who of the clients that ask for option 108 get it, on links with [`Link::ipv6_mostly`].
    pub pilot: Pilot,
    /// Caps and times.
    pub limits: Limits,
}

/// Caps on what strangers can make grow, and the times that go with them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Leases, all links together. How many a link has is bounded by its pool.
    pub leases: usize,
    /// Offers remembered between Offer and Request; the oldest gives way.
    pub offers: usize,
    /// How long an offer is kept for its client.
    pub offer_hold: Duration,
    /// Declined addresses kept aside on a link, and never more than a quarter of its pool; the one that would
    /// be free first gives way.
    pub declined: usize,
    /// How long a declined address is kept aside.
    pub decline_hold: Duration,
    /// Commits under way; what needs one more is dropped, and the client asks again.
    pub commits: usize,
    /// Clients known to the pilot; of those outside of it, the one not seen for the longest time gives way.
    pub roster: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            leases: 4_000,
            offers: 1_024,
            offer_hold: Duration::from_secs(30),
            declined: 256,
            decline_hold: Duration::from_hours(1),
            commits: 1_024,
            roster: 8_192,
        }
    }
}

/// One link and what its clients get.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// Its name in the configuration: see [`LinkId`].
    pub name: LinkId,
    /// The server's own address on the link: the Server Identifier.
    pub server: Ipv4Addr,
    /// The link's subnet.
    pub subnet: Ipv4Net,
    /// First and last address to give; [`Link::with_pool`] checks it.
    pub pool: RangeInclusive<Ipv4Addr>,
    /// Addresses of the pool that are never given.
    pub reserved: Vec<Ipv4Addr>,
    /// For how long an address is given. [`Duration::MAX`] is for ever.
    pub lease: Duration,
    /// Default routers.
    pub routers: Vec<Ipv4Addr>,
    /// Recursive resolvers.
    pub dns: Vec<Ipv4Addr>,
    /// The link's domain.
    pub domain: Option<String>,
    /// Domains to search (RFC 3397).
    pub search: Vec<String>,
    /// The link's MTU.
    pub mtu: Option<u16>,
    /// URI of the captive portal's API (RFC 8910).
    pub captive_portal: Option<String>,
    /// Whether clients that can are told to do without IPv4 (RFC 8925).
    pub ipv6_mostly: Option<Ipv6Mostly>,
    /// Relay agents whose clients are on this link, by the address in their `giaddr`. Of others nothing is
    /// taken.
    pub relays: Vec<Ipv4Addr>,
}

/// Why a link cannot be served.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LinkError {
    /// The server's address is not one of a host in the subnet.
    #[error(
        "{server} is not an address of a host in {subnet}: give the gateway one of the subnet's own addresses"
    )]
    Server {
        /// The address.
        server: Ipv4Addr,
        /// The subnet.
        subnet: Ipv4Net,
    },
    /// The pool is empty or reaches beyond the addresses of hosts in the subnet.
    #[error(
        "a pool from {first} to {last} does not lie within the addresses of hosts in {subnet}: the first must not \
         be behind the last, and both must be in the subnet"
    )]
    Pool {
        /// The first address.
        first: Ipv4Addr,
        /// The last address.
        last: Ipv4Addr,
        /// The subnet.
        subnet: Ipv4Net,
    },
}

/// First and last address of hosts in a subnet: without its own address and that of its broadcast.
fn hosts(subnet: Ipv4Net) -> RangeInclusive<Ipv4Addr> {
    let (first, last) = (u32::from(subnet.network()), u32::from(subnet.broadcast()));
    if subnet.prefix_len() >= 31 {
        return subnet.network()..=subnet.broadcast();
    }
    first.saturating_add(1).into()..=last.saturating_sub(1).into()
}

impl Link {
    /// A link that gives every address of its subnet but the server's, for an hour, with the server as router
    /// and resolver. `address` is the server's, with the subnet's length.
    ///
    /// # Errors
    /// [`LinkError::Server`].
    pub fn new(name: &str, address: Ipv4Net) -> Result<Self, LinkError> {
        let (server, subnet) = (address.addr(), address.trunc());
        let pool = hosts(subnet);
        if !pool.contains(&server) {
            return Err(LinkError::Server { server, subnet });
        }
        Ok(Self {
            name: name.into(),
            server,
            subnet,
            pool,
            reserved: Vec::new(),
            lease: Duration::from_hours(1),
            routers: vec![server],
            dns: vec![server],
            domain: None,
            search: Vec::new(),
            mtu: None,
            captive_portal: None,
            ipv6_mostly: None,
            relays: Vec::new(),
        })
    }

    /// The same link with another pool.
    ///
    /// # Errors
    /// [`LinkError::Pool`].
    pub fn with_pool(self, first: Ipv4Addr, last: Ipv4Addr) -> Result<Self, LinkError> {
        let all = hosts(self.subnet);
        if first > last || !all.contains(&first) || !all.contains(&last) {
            return Err(LinkError::Pool { first, last, subnet: self.subnet });
        }
        Ok(Self { pool: first..=last, ..self })
    }

    /// Whether the link gives this address.
    pub(super) fn gives(&self, address: Ipv4Addr) -> bool {
        self.pool.contains(&address)
            && hosts(self.subnet).contains(&address)
            && address != self.server
            && !self.reserved.contains(&address)
            && !self.routers.contains(&address)
    }

    /// Seconds of a lease, as its option tells them.
    pub(super) fn lease_seconds(&self) -> u32 {
        seconds(self.lease)
    }
}

/// Whole seconds as a lease time: 2^32 - 1 is for ever and stands for nothing else (RFC 2131 section 3.3).
/// Never none: a lease of no time would be no lease.
pub(super) fn seconds(duration: Duration) -> u32 {
    if duration == Duration::MAX {
        return sixgate_wire::dhcpv4::INFINITY;
    }
    u32::try_from(duration.as_secs()).map_or(u32::MAX - 1, |seconds| seconds.clamp(1, u32::MAX - 1))
}

/// The time `seconds` after `now`, with for ever staying for ever.
pub(super) fn after(now: Duration, seconds: u32) -> Duration {
    if seconds == sixgate_wire::dhcpv4::INFINITY {
        Duration::MAX
    } else {
        now.saturating_add(Duration::from_secs(u64::from(seconds)))
    }
}
