//! What was seen of a network: plain data.

use super::software::Software;
use crate::measure::path::Traced;
use serde::Serialize;
use sixgate_measure::path::Pmtu;

/// Everything.
#[derive(Debug, Clone, Default, Serialize)]
pub(crate) struct Seen {
    pub(crate) interface: String,
    /// The interface's own MTU, in octets.
    pub(crate) mtu: u32,
    /// Routers that advertise on the link.
    pub(crate) routers: Vec<Router>,
    /// Whether the machine has an IPv6 address of global scope on the interface.
    pub(crate) global_address: bool,
    /// Whether it has an IPv4 default route.
    pub(crate) ipv4: bool,
    pub(crate) dhcpv6: Asked<Dhcp6>,
    pub(crate) dhcpv4: Asked<Dhcp4>,
    pub(crate) resolvers: Vec<Resolver>,
    /// Resolvers over IPv4 that this machine uses (resolv.conf).
    pub(crate) ipv4_resolvers: Vec<String>,
    /// The named target, by family.
    pub(crate) target: Option<Target>,
    /// The path of IPv6 that was looked at for delay.
    pub(crate) path: Option<Traced>,
    /// What waited on this machine itself meanwhile; none where the interface has no queue, or was not looked at.
    pub(crate) local: Option<Local>,
    /// Whether this machine forwards IPv6: it is the gateway, or behind its own.
    pub(crate) gateway: bool,
    /// The kernel, and daemons that are known.
    pub(crate) software: Vec<Software>,
    /// What the captive portal's API says of this machine, where it was asked.
    pub(crate) portal: Option<Api>,
    /// What came of the probe that the user wants.
    pub(crate) probe: Option<Probe>,
    /// Whether the line was loaded by us meanwhile.
    pub(crate) loaded: bool,
    /// What could not be looked at, and why.
    pub(crate) left_out: Vec<String>,
}

/// What became of a question.
#[derive(Debug, Clone, Default, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Asked<T> {
    /// It was not put.
    #[default]
    Never,
    /// Nobody answered.
    Silence,
    /// The answer.
    Answer(T),
}

impl<T> Asked<T> {
    pub(crate) fn answer(&self) -> Option<&T> {
        match self {
            Self::Answer(answer) => Some(answer),
            _ => None,
        }
    }
}

/// A router, as it advertises itself. Lifetimes in seconds; `u32::MAX` is for ever.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Router {
    /// Its link-local address.
    pub(crate) address: String,
    /// How long it is a default router; 0: it is none.
    pub(crate) lifetime: u16,
    pub(crate) preference: String,
    pub(crate) managed: bool,
    pub(crate) other: bool,
    pub(crate) mtu: Option<u32>,
    pub(crate) prefixes: Vec<Advertised>,
    /// Resolvers and their lifetimes.
    pub(crate) rdnss: Vec<(String, u32)>,
    /// The NAT64 prefix and its lifetime.
    pub(crate) pref64: Option<(String, u16)>,
    pub(crate) captive_portal: Option<String>,
    /// What was wrong with its messages.
    pub(crate) invalid: Option<String>,
}

/// A prefix of the link.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Advertised {
    pub(crate) prefix: String,
    pub(crate) length: u8,
    pub(crate) on_link: bool,
    pub(crate) autonomous: bool,
    pub(crate) valid: u32,
    pub(crate) preferred: u32,
}

/// What a DHCPv6 server said to an Information-request.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Dhcp6 {
    pub(crate) server: String,
    pub(crate) resolvers: Vec<String>,
    pub(crate) captive_portal: Option<String>,
}

/// What a DHCPv4 server offered.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Dhcp4 {
    pub(crate) server: String,
    /// V6ONLY_WAIT of option 108, in seconds.
    pub(crate) ipv6_only: Option<u32>,
    pub(crate) resolvers: Vec<String>,
    pub(crate) captive_portal: Option<String>,
}

/// A resolver over IPv6.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub(crate) struct Resolver {
    pub(crate) address: String,
    /// Who told of it: router advertisement, DHCPv6, resolv.conf.
    pub(crate) told_by: String,
    /// Milliseconds until its answers; empty where it is silent.
    pub(crate) answers_ms: Vec<f64>,
    pub(crate) asked: u32,
    /// What it says that it is (`version.bind`).
    pub(crate) software: Option<String>,
    /// It answered that it does not serve us (REFUSED).
    pub(crate) refuses: bool,
    /// Addresses that it made for `ipv4only.arpa` (RFC 7050): where there are any, it is a DNS64.
    pub(crate) dns64: Vec<String>,
}

/// The queue of the interface itself: what three of four looks did not exceed.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub(crate) struct Local {
    /// Its kind, as `tc qdisc` shows it.
    pub(crate) kind: String,
    /// Packets and octets that wait.
    pub(crate) packets: f64,
    pub(crate) octets: f64,
    /// What left meanwhile, in Mbit/s.
    pub(crate) leaving_mbit: f64,
    /// How long what waits takes to leave at that rate; null where nothing leaves.
    pub(crate) wait_ms: Option<f64>,
    /// Null where the driver has no limits.
    pub(crate) bql: Option<Bql>,
}

/// Byte queue limits of a driver: all its transmit queues together, at the look at which most was in it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Bql {
    /// Octets that the kernel lets it have.
    pub(crate) limit: u64,
    /// Octets that it had.
    pub(crate) inflight: u64,
    pub(crate) queues: u32,
}

/// A captive portal (RFC 8910).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Portal {
    /// The URI of its API.
    pub(crate) uri: String,
    /// Who tells of it: a router's address, DHCPv6, DHCPv4.
    pub(crate) told_by: Vec<String>,
}

/// What the portal's API says (RFC 8908 section 5).
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub(crate) struct Api {
    pub(crate) captive: bool,
    /// The page for people.
    pub(crate) page: Option<String>,
    pub(crate) seconds_left: Option<f64>,
    pub(crate) octets_left: Option<f64>,
}

/// What came of a plain HTTP request to a host that the user named.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Probe {
    pub(crate) url: String,
    pub(crate) status: Option<u16>,
    /// Another host that the answer sends to.
    pub(crate) sent_to: Option<String>,
    /// Why there was no answer.
    pub(crate) why: Option<String>,
}

/// A host beyond the link.
#[derive(Debug, Clone, Default, Serialize)]
pub(crate) struct Target {
    pub(crate) name: String,
    /// Milliseconds to connect; `None`: it has no address of the family, or failed.
    pub(crate) ipv6: Option<Reached>,
    pub(crate) ipv4: Option<Reached>,
    pub(crate) pmtu: Option<Pmtu>,
}

/// How connecting over one family went.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Reached {
    pub(crate) ms: Option<f64>,
    pub(crate) why: Option<String>,
}
