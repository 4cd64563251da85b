//! What the client holds: leases, their times, and the configuration that came with them.

use ipnet::Ipv6Net;
use sixgate_wire::dhcpv6::Duid;
use std::fmt;
use std::net::Ipv6Addr;
use std::time::Duration;

/// All that a client obtained, with the times until which it may use it. Times are steady times since the Unix epoch;
/// [`Duration::MAX`] is "for ever".
///
/// [`Binding::to_bytes`] is the form to keep across restarts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Binding {
    /// The server that gave it, or that last extended it.
    pub server: Duid,
    /// The address from which that server, or the relay agent before it, last answered.
    pub server_address: Option<Ipv6Addr>,
    /// Addresses.
    pub addresses: Vec<BoundAddress>,
    /// Delegated prefixes.
    pub prefixes: Vec<BoundPrefix>,
    /// When to renew (T1).
    pub t1: Duration,
    /// When to rebind (T2).
    pub t2: Duration,
    /// Recursive resolvers.
    pub dns_servers: Vec<Ipv6Addr>,
    /// Domains to search.
    pub domains: Vec<String>,
    /// Other requested options that came, as code and content.
    pub options: Vec<(u16, Vec<u8>)>,
    /// When to ask again for configuration without leases; [`Duration::MAX`] where leases are held.
    pub refresh_at: Duration,
    /// Most seconds between two Solicits, if the server set it.
    pub sol_max_rt: Option<u32>,
    /// Most seconds between two Information-requests, if the server set it.
    pub inf_max_rt: Option<u32>,
    /// What authenticates the server's Reconfigure messages.
    pub reconfigure: Option<ReconfigureKey>,
}

/// A leased address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BoundAddress {
    /// The association it belongs to.
    pub iaid: u32,
    /// The address. Its prefix length is 128: what is on-link is told by router advertisements (RFC 9915 section 6.2).
    pub address: Ipv6Addr,
    /// Until when new connections may use it.
    pub preferred_until: Duration,
    /// Until when it may be used at all.
    pub valid_until: Duration,
}

/// A delegated prefix.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BoundPrefix {
    /// The association it belongs to.
    pub iaid: u32,
    /// The prefix.
    pub prefix: Ipv6Net,
    /// The part that stays with the link to the ISP and must not be used below (RFC 6603).
    pub excluded: Option<Ipv6Net>,
    /// Until when addresses in it are preferred.
    pub preferred_until: Duration,
    /// Until when it is delegated.
    pub valid_until: Duration,
}

/// The key that a server gave for its Reconfigure messages, and the last replay detection value seen
/// (RFC 9915 section 20.4).
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct ReconfigureKey {
    /// The HMAC-MD5 key.
    pub key: [u8; 16],
    /// The last value taken; a Reconfigure must have a greater one.
    pub replay: u64,
}

impl fmt::Debug for ReconfigureKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The key is a secret, and Debug output goes to logs.
        f.debug_struct("ReconfigureKey").field("replay", &self.replay).finish_non_exhaustive()
    }
}

impl Binding {
    /// Holds nothing yet, from `server`.
    pub(crate) fn empty(server: Duid) -> Self {
        Self {
            server,
            server_address: None,
            addresses: Vec::new(),
            prefixes: Vec::new(),
            t1: Duration::MAX,
            t2: Duration::MAX,
            dns_servers: Vec::new(),
            domains: Vec::new(),
            options: Vec::new(),
            refresh_at: Duration::MAX,
            sol_max_rt: None,
            inf_max_rt: None,
            reconfigure: None,
        }
    }

    /// Whether an address or a prefix is held.
    pub fn has_leases(&self) -> bool {
        !self.addresses.is_empty() || !self.prefixes.is_empty()
    }

    /// The end of the lease that ends first; [`Duration::MAX`] where none ends.
    pub fn next_expiry(&self) -> Duration {
        self.valid_ends().min().unwrap_or(Duration::MAX)
    }

    /// The end of the lease that ends last; `None` without leases.
    pub fn last_expiry(&self) -> Option<Duration> {
        self.valid_ends().max()
    }

    fn valid_ends(&self) -> impl Iterator<Item = Duration> + '_ {
        self.addresses.iter().map(|a| a.valid_until).chain(self.prefixes.iter().map(|p| p.valid_until))
    }

    /// Drops the leases that have ended; whether there were any.
    pub fn expire(&mut self, now: Duration) -> bool {
        let before = self.addresses.len() + self.prefixes.len();
        self.addresses.retain(|a| a.valid_until > now);
        self.prefixes.retain(|p| p.valid_until > now);
        before != self.addresses.len() + self.prefixes.len()
    }
}
