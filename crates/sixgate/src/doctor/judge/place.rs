//! Whose a fault is: the part of the way on which it first shows.

use super::{Finding, Seen};
use crate::measure::path::Traced;
use ipnet::{IpNet, Ipv6Net};
use serde::Serialize;
use sixgate_endpoint::Endpoint;

/// A site's usual prefix, in bits (RFC 6177).
const SITE: u8 = 48;

/// A part of the way from here to the far end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Place {
    /// This machine.
    Client,
    /// The cable or the wireless network to the gateway, and switches on it.
    Lan,
    /// The router of this network.
    Gateway,
    /// The line to the ISP, with what queues before it at both ends.
    Access,
    /// Everything behind that.
    Isp,
}

impl Place {
    /// For people.
    pub(crate) fn text(self) -> &'static str {
        match self {
            Self::Client => "this machine",
            Self::Lan => "the LAN or wireless network, before the gateway",
            Self::Gateway => "the gateway",
            Self::Access => {
                "the access link: the gateway's queue towards it, the modem, or its other end at the ISP"
            }
            Self::Isp => "the ISP, or beyond",
        }
    }
}

/// The part between two hops; 0 is this machine.
pub(super) fn between(seen: &Seen, path: &Traced, after: u8, before: u8) -> Place {
    if after == 0 {
        // Where this machine is the gateway itself, its first hop is the other end of the line.
        return if seen.gateway && !ours(seen, path, before) { Place::Access } else { Place::Lan };
    }
    // The first hop is the gateway, whatever address it answers from.
    let inside = |number: u8| number == 1 && !seen.gateway || ours(seen, path, number);
    match (inside(after), inside(before)) {
        (true, true) => Place::Gateway,
        (true, false) => Place::Access,
        (false, _) => Place::Isp,
    }
}

/// Whether a hop answers from an address of this site.
fn ours(seen: &Seen, path: &Traced, number: u8) -> bool {
    let from = path.hops.iter().find(|hop| hop.number == number).and_then(|hop| hop.from.as_ref());
    from.is_some_and(|from| is_ours(seen, from))
}

/// Unique local, link-local, or in the /48 of a prefix of the link.
fn is_ours(seen: &Seen, address: &str) -> bool {
    let Ok(address) = address.parse::<Endpoint>().map(|at| at.address()) else { return false };
    let local = ["fc00::/7", "fe80::/10"].into_iter().filter_map(|net| net.parse::<Ipv6Net>().ok());
    let prefixes = seen.routers.iter().flat_map(|router| &router.prefixes);
    let prefixes = prefixes.filter_map(|prefix| prefix.prefix.parse::<Ipv6Net>().ok());
    let sites = prefixes.filter_map(|net| Ipv6Net::new(net.addr(), net.prefix_len().min(SITE)).ok());
    local.chain(sites).any(|net| IpNet::from(net.trunc()).contains(&address))
}

/// The last hop that answers, where the host at the end does not; and the one behind it.
pub(super) fn end(path: &Traced) -> Option<(u8, u8)> {
    if path.reached.is_some() {
        return None;
    }
    let last = path.hops.iter().rev().find(|hop| hop.from.is_some()).map_or(0, |hop| hop.number);
    Some((last, last.saturating_add(1)))
}

/// Whose a finding is; `None` where that is not known from here.
pub(crate) fn responsible(finding: &Finding, seen: &Seen) -> Option<Place> {
    let path = seen.path.as_ref();
    match finding.id {
        "queue" => {
            let (path, standing) = (path?, path?.standing.as_ref()?);
            if standing.after == 0 && super::path::is_here(seen, standing.wait_ms) {
                return Some(if seen.gateway { Place::Gateway } else { Place::Client });
            }
            Some(between(seen, path, standing.after, standing.before))
        }
        "loss" => {
            let (path, losing) = (path?, super::path::losing(seen)?);
            Some(between(seen, path, losing.after, losing.before))
        }
        "ipv6-hidden" | "ipv6-broken" => {
            let (last, next) = end(path?)?;
            Some(between(seen, path?, last, next))
        }
        "resolver-silent" | "resolver-slow" => {
            let resolver = seen.resolvers.iter().find(|resolver| finding.what.contains(&resolver.address))?;
            Some(if is_ours(seen, &resolver.address) { Place::Gateway } else { Place::Isp })
        }
        "routers-disagree" | "invalid-advertisement" => Some(Place::Lan),
        "old-kernel" => Some(if seen.gateway { Place::Gateway } else { Place::Client }),
        "old-software" if finding.what.ends_with(super::super::software::HERE) => Some(Place::Client),
        "mtu-black-hole" => None,
        // What is told, or not told, of this network.
        _ => Some(Place::Gateway),
    }
}
