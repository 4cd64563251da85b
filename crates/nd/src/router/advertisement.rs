//! The advertisement as octets: one message, or several where the options do not fit into one.

use super::Config;
use super::withdrawn::Withdrawn;
use crate::lifetime::seconds_left;
use core::time::Duration;
use sixgate_wire::ndp::{Builder, PrefixInformation, RouterAdvertisementHeader};

/// Octets of an ICMPv6 message that any link carries: IPv6's least MTU without the IPv6 header. The link's own MTU is
/// not used: a tunnel behind the LAN may be narrower, and fragments of Neighbour Discovery are discarded (RFC 6980).
pub(super) const MAX_MESSAGE: usize = 1280 - 40;
/// Octets of the fixed part of a Router Advertisement.
const HEADER: usize = 16;

/// What the advertisement says beyond its configuration.
pub(super) struct Facts<'a> {
    /// Whether we are a default router.
    pub(super) default_router: bool,
    /// The router is about to fall silent: all that can be withdrawn is.
    pub(super) last: bool,
    pub(super) prefixes: &'a [PrefixInformation],
    pub(super) withdrawn: &'a Withdrawn,
}

/// Builds the messages. RFC 4861 section 6.2.3: where the options do not fit, each message carries some of them.
pub(super) fn build(config: &Config, facts: &Facts<'_>) -> Vec<Vec<u8>> {
    let header = RouterAdvertisementHeader {
        hop_limit: config.hop_limit,
        managed: config.managed,
        other: config.other,
        preference: config.preference,
        router_lifetime: if facts.default_router && !facts.last {
            lifetime16(config.router_lifetime)
        } else {
            0
        },
        reachable_time: milliseconds(config.reachable_time),
        retrans_timer: milliseconds(config.retrans_timer),
    };
    let mut messages = Vec::new();
    let mut message = fixed(&header);
    for option in options(config, facts) {
        if message.len() + option.len() > MAX_MESSAGE {
            messages.push(std::mem::replace(&mut message, fixed(&header)));
        }
        message.extend_from_slice(&option);
    }
    messages.push(message);
    messages
}

fn fixed(header: &RouterAdvertisementHeader) -> Vec<u8> {
    let mut buffer = [0; HEADER];
    Builder::router_advertisement(&mut buffer, header).finish().map(<[u8]>::to_vec).unwrap_or_default()
}

/// Each option's octets. One that cannot be written, such as a name with an empty label, is left out.
fn options(config: &Config, facts: &Facts<'_>) -> Vec<Vec<u8>> {
    let mut options = Vec::new();
    let mut add = |write: &dyn Fn(&mut Builder<'_>)| {
        let mut buffer = [0; MAX_MESSAGE];
        let mut builder = Builder::router_solicitation(&mut buffer);
        write(&mut builder);
        // A solicitation has eight octets before its options.
        if let Some(option) = builder.finish().ok().and_then(|bytes| bytes.get(8..)).filter(|o| !o.is_empty())
        {
            options.push(option.to_vec());
        }
    };
    let lifetime = if facts.last { 0 } else { seconds_left(Duration::ZERO, config.option_lifetime) };
    if let Some(address) = config.link_layer {
        add(&|b| {
            b.source_link_layer(&address);
        });
    }
    if let Some(mtu) = config.mtu {
        add(&|b| {
            b.mtu(mtu);
        });
    }
    for prefix in facts.prefixes {
        add(&|b| {
            b.prefix_information(prefix);
        });
    }
    for route in &config.routes {
        add(&|b| {
            b.route_information(route.prefix, route.preference, lifetime);
        });
    }
    for prefix in facts.withdrawn.routes() {
        add(&|b| {
            b.route_information(prefix, sixgate_wire::ndp::Preference::Medium, 0);
        });
    }
    // At most 32 addresses an option: it has to fit into one message.
    for addresses in config.rdnss.chunks(32) {
        add(&|b| {
            b.rdnss(lifetime, addresses);
        });
    }
    add(&|b| {
        b.rdnss(0, &facts.withdrawn.rdnss());
    });
    // A name has at most 255 octets, so that four fit whatever they are.
    for names in config.dnssl.chunks(4) {
        add(&|b| {
            b.dnssl(lifetime, names);
        });
    }
    for names in facts.withdrawn.dnssl().chunks(4) {
        add(&|b| {
            b.dnssl(0, names);
        });
    }
    if let Some(prefix) = config.pref64 {
        add(&|b| {
            b.pref64(prefix, lifetime);
        });
    }
    for prefix in facts.withdrawn.pref64() {
        add(&|b| {
            b.pref64(prefix, 0);
        });
    }
    if let Some(uri) = &config.captive_portal {
        add(&|b| {
            b.captive_portal(uri);
        });
    }
    options
}

fn lifetime16(lifetime: Duration) -> u16 {
    u16::try_from(lifetime.as_secs()).unwrap_or(u16::MAX)
}

fn milliseconds(time: Duration) -> u32 {
    u32::try_from(time.as_millis()).unwrap_or(u32::MAX)
}
