//! What a server gives out, on which links, and how much of it.

use crate::identity::{Key, Learnt};
use crate::lease::LinkId;
use ipnet::Ipv6Net;
use sixgate_wire::dhcpv6::Duid;
use std::net::Ipv6Addr;
use std::time::Duration;

/// What holds for the whole server.
#[derive(Debug, Clone)]
pub struct ServerConfig {
    /// The server's identity. It must stay the same over restarts.
    pub duid: Duid,
    /// The links that are served; [`super::Server::set_links`] changes them.
    pub links: Vec<Link>,
    /// Links that are behind relay agents; [`super::Server::set_remote`] changes them.
    pub remote: Vec<Link>,
    /// Whose relayed messages are heard.
    pub relays: Relays,
    /// Sent in Advertise messages: clients take the server with the highest, and 255 at once.
    pub preference: Option<u8>,
    /// Whether a client that asks for it is bound in two messages instead of four (RFC 9915 section 18.3.1).
    pub rapid_commit: bool,
    /// Key of the allocation: the same key gives the same client the same address again.
    pub hash_key: [u8; 16],
    /// Caps and times.
    pub limits: Limits,
}

/// Which relay agents are heard. None, unless they are named.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Relays {
    /// On which links, by the names that [`super::Datagram::link`] has.
    pub on: Vec<String>,
    /// From which networks. Where agents are in a row, each of them has to be in one.
    pub from: Vec<Ipv6Net>,
}

/// Caps on what strangers can make grow (RFC 9915, Security Considerations), and the times that go with them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Leases, all links together.
    pub leases: usize,
    /// Leases on one link.
    pub leases_per_link: usize,
    /// Leases of one client.
    pub leases_per_client: usize,
    /// Identity associations heeded in one message; further ones are as if they were not there. At most 16.
    pub associations: usize,
    /// Offers remembered between Advertise and Request; the oldest gives way.
    pub offers: usize,
    /// How long an offer is kept for its client.
    pub offer_hold: Duration,
    /// Declined addresses kept aside; the one that would be free first gives way.
    pub declined: usize,
    /// How long a declined address is kept aside.
    pub decline_hold: Duration,
    /// Registered addresses (RFC 9686), all links together; the one that ends first gives way.
    pub registrations: usize,
    /// Registered addresses of one client; its own that ends first gives way.
    pub registrations_per_client: usize,
    /// Commits under way; what needs one more is dropped, and the client asks again.
    pub commits: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            leases: 4_000,
            leases_per_link: 4_000,
            leases_per_client: 16,
            associations: 8,
            offers: 1_024,
            offer_hold: Duration::from_secs(30),
            declined: 256,
            decline_hold: Duration::from_hours(24),
            registrations: 4_000,
            registrations_per_client: 16,
            commits: 1_024,
        }
    }
}

/// One link and what its clients get.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// Its name in the configuration: see [`LinkId`].
    pub name: LinkId,
    /// The networks of the link, whether or not addresses are given in them: hosts may register those that they made
    /// up there.
    pub prefixes: Vec<Ipv6Net>,
    /// Link-addresses of relay agents that stand for this link, beside those in its networks. The longest match counts.
    pub selected_by: Vec<Ipv6Net>,
    /// By what its clients are known. Leases that were given before it was changed are kept.
    pub key: Key,
    /// In which ways a hardware address must be known to decide anything.
    pub trust: Vec<Learnt>,
    /// Addresses. An association gets one from each pool that is still preferred.
    pub addresses: Vec<AddressPool>,
    /// Prefixes for routers on the link. An association gets one from each pool that is still preferred.
    pub delegation: Vec<DelegationPool>,
    /// Most leases on it at one time, in place of [`Limits::leases_per_link`].
    pub leases: Option<usize>,
    /// Addresses that are never given: those of the gateway.
    pub reserved: Vec<Ipv6Addr>,
    /// Recursive resolvers.
    pub dns: Vec<Ipv6Addr>,
    /// Domains to search.
    pub domains: Vec<String>,
    /// Most seconds between two Solicits of a client (RFC 9915 section 21.24), 60 to 86400.
    pub sol_max_rt: Option<u32>,
    /// Most seconds between two Information-requests of a client (RFC 9915 section 21.25), 60 to 86400.
    pub inf_max_rt: Option<u32>,
    /// Seconds after which a stateless client asks again (RFC 9915 section 21.23), at least 600.
    pub information_refresh: Option<u32>,
    /// URI of the captive portal's API (RFC 8910).
    pub captive_portal: Option<String>,
}

impl Link {
    /// A link that gives nothing yet.
    pub fn new(name: &str) -> Self {
        Self {
            name: name.into(),
            prefixes: Vec::new(),
            selected_by: Vec::new(),
            key: Key::Duid,
            trust: vec![Learnt::Link],
            addresses: Vec::new(),
            delegation: Vec::new(),
            leases: None,
            reserved: Vec::new(),
            dns: Vec::new(),
            domains: Vec::new(),
            sol_max_rt: None,
            inf_max_rt: None,
            information_refresh: None,
            captive_portal: None,
        }
    }
}

/// For how long things are given: at most `preferred` and `valid` from now, and never beyond the two absolute times,
/// which are the ends of the ISP's own promise. [`Duration::MAX`] is for ever.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lifetimes {
    /// Preferred lifetime from each grant or extension.
    pub preferred: Duration,
    /// Valid lifetime from each grant or extension.
    pub valid: Duration,
    /// When nothing from this pool is preferred any longer, since the Unix epoch.
    pub preferred_until: Duration,
    /// When nothing from this pool is valid any longer, since the Unix epoch.
    pub valid_until: Duration,
}

/// Addresses to give.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AddressPool {
    /// The /64 of the link, or a part of it.
    pub prefix: Ipv6Net,
    /// For how long.
    pub lifetimes: Lifetimes,
}

/// Space from which prefixes are delegated. Several links may name the same space.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DelegationPool {
    /// The space.
    pub prefix: Ipv6Net,
    /// Parts of it that are never given: the links' own /64s, and what the ISP excludes (RFC 6603).
    pub reserved: Vec<Ipv6Net>,
    /// Length of a delegated prefix where the client names none.
    pub length: u8,
    /// The shortest length, that is the largest prefix, that a client can get by asking (RFC 8168).
    pub shortest: u8,
    /// The longest length that a client can get by asking, or where shorter ones have run out.
    pub longest: u8,
    /// For how long.
    pub lifetimes: Lifetimes,
}

/// The seconds to tell a client, at one instant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Told {
    pub(crate) preferred: u32,
    pub(crate) valid: u32,
}

impl Told {
    /// Stop using it.
    pub(crate) const NOTHING: Self = Self { preferred: 0, valid: 0 };
}

impl Lifetimes {
    /// What to tell at `now`.
    pub(crate) fn at(&self, now: Duration) -> Told {
        let valid = seconds(self.valid.min(remaining(self.valid_until, now)));
        let preferred = seconds(self.preferred.min(remaining(self.preferred_until, now)));
        Told { preferred: preferred.min(valid), valid }
    }

    /// Whether something that would still be preferred can be given at `now`.
    pub(crate) fn gives(&self, now: Duration) -> bool {
        self.at(now).preferred > 0
    }
}

/// Time from `now` to `until`; for ever stays for ever.
fn remaining(until: Duration, now: Duration) -> Duration {
    if until == Duration::MAX { until } else { until.saturating_sub(now) }
}

/// Whole seconds as a lifetime field: 2^32 - 1 is for ever and stands for nothing else (RFC 9915 section 7.7).
fn seconds(duration: Duration) -> u32 {
    if duration == Duration::MAX {
        return sixgate_wire::dhcpv6::INFINITY;
    }
    u32::try_from(duration.as_secs()).map_or(u32::MAX - 1, |seconds| seconds.min(u32::MAX - 1))
}

/// The time `seconds` after `now`, with for ever staying for ever.
pub(crate) fn after(now: Duration, seconds: u32) -> Duration {
    if seconds == sixgate_wire::dhcpv6::INFINITY {
        Duration::MAX
    } else {
        now.saturating_add(Duration::from_secs(u64::from(seconds)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lifetimes_never_outlast_the_promise_behind_them() {
        let s = Duration::from_secs;
        let ever = Duration::MAX;
        // (preferred, valid, preferred until, valid until), now -> told
        for (lifetimes, now, told) in [
            ((s(50), s(80), ever, ever), s(100), (50, 80)),
            ((s(50), s(80), s(120), s(130)), s(100), (20, 30)),
            ((s(50), s(80), s(90), s(130)), s(100), (0, 30)),
            ((s(50), s(80), s(90), s(95)), s(100), (0, 0)),
            ((s(90), s(80), ever, ever), s(100), (80, 80)),
            ((ever, ever, ever, ever), s(100), (u32::MAX, u32::MAX)),
            ((ever, ever, s(110), s(120)), s(100), (10, 20)),
            ((s(1 << 40), s(1 << 40), ever, ever), s(100), (u32::MAX - 1, u32::MAX - 1)),
            ((s(50), s(80), ever, ever), s(u64::MAX), (50, 80)),
        ] {
            let (preferred, valid, preferred_until, valid_until) = lifetimes;
            let at = Lifetimes { preferred, valid, preferred_until, valid_until }.at(now);
            assert_eq!((at.preferred, at.valid), told, "{lifetimes:?} at {now:?}");
        }
    }
}
