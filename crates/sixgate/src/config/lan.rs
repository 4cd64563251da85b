//! `[[lan]]`: one segment each.

use super::{DELEGATED, LanIpv4, LanRelay, Located, Reader, Shape, Uplink, file, relay};
use crate::shape::Facing;
use ipnet::Ipv6Net;
use sixgate_dhcp::identity::{Key, Learnt};
use std::collections::BTreeMap;
use std::ops::Range;
use std::time::Duration;
use toml::Spanned;

/// One LAN segment.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Lan {
    pub(crate) name: String,
    pub(crate) interface: Located,
    /// Which /64 of each delegated prefix this LAN takes.
    pub(crate) subnet: u64,
    /// Whether that number was written down, and not counted.
    pub(crate) subnet_written: bool,
    /// Prefixes that the LAN has besides.
    pub(crate) prefixes: Vec<Ipv6Net>,
    /// Whether clients form addresses themselves (A flag).
    pub(crate) slaac: bool,
    /// Whether DHCPv6 gives addresses (M flag).
    pub(crate) addresses: bool,
    /// Whether DHCPv6 gives prefixes to routers on this LAN.
    pub(crate) delegate: bool,
    /// P flag (RFC 9762): clients that can should take a prefix of their own instead of an address.
    pub(crate) pd_preferred: bool,
    /// Prefixes to delegate from; empty stands for what the LANs leave of the uplink's prefix.
    pub(crate) delegate_from: Vec<Ipv6Net>,
    /// Length of a delegated prefix where the client has no wish, in bits.
    pub(crate) delegate_length: u8,
    pub(crate) preferred_lifetime: Duration,
    pub(crate) valid_lifetime: Duration,
    pub(crate) ra_min_interval: Duration,
    pub(crate) ra_max_interval: Duration,
    pub(crate) router_lifetime: Duration,
    pub(crate) router_preference: RouterPreference,
    pub(crate) mtu: Option<u32>,
    pub(crate) captive_portal: Option<String>,
    pub(crate) pref64: Option<Ipv6Net>,
    /// None: DHCPv4 is not served there.
    pub(crate) ipv4: Option<LanIpv4>,
    /// None: DHCPv6 is served here, and not elsewhere.
    pub(crate) relay: Option<LanRelay>,
    /// By what DHCPv6 clients are known.
    pub(crate) key: Key,
    /// How a hardware address must be known to decide anything.
    pub(crate) trust: Vec<Learnt>,
    /// None: packets wait where the link has its queue.
    pub(crate) shape: Option<Shape>,
}

/// RFC 4191 section 2.1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum RouterPreference {
    Low,
    Medium,
    High,
}

impl Reader<'_> {
    pub(super) fn lan(&mut self, lan: file::Lan, index: u64, has_uplink: bool) -> Lan {
        let interface = self.interface(lan.interface, "lan.interface");
        let subnet_written = lan.subnet.is_some();
        let subnet = lan.subnet.map_or(index, Spanned::into_inner);
        let has_prefixes = lan.prefixes.as_ref().is_some_and(|texts| !texts.is_empty());
        let prefixes =
            self.prefixes(lan.prefixes, "lan.prefixes", 64..=64, "write a /64, such as 2001:db8:1::/64");
        if !has_uplink && !has_prefixes {
            self.error(
                interface.span.clone(),
                "lan.prefixes",
                format!(
                    "LAN `{}` would have no prefix: there is no [uplink] to have one delegated",
                    interface.value
                ),
                "add [uplink], or give the LAN prefixes = [\"2001:db8:1::/64\"]",
            );
        }
        let delegate_from = self.prefixes(
            lan.delegate_from,
            "lan.delegate-from",
            0..=64,
            "write a prefix of at most 64 bits, such as 2001:db8:100::/40",
        );
        let delegate_length = match lan.delegate_length {
            None => 64,
            Some(length) => {
                let value = *length.get_ref();
                let shortest =
                    delegate_from.iter().map(Ipv6Net::prefix_len).max().unwrap_or(*DELEGATED.start());
                if value < shortest || value > 64 {
                    self.error(
                        length.span(),
                        "lan.delegate-length",
                        format!("prefixes of {value} bits cannot be cut from what delegate-from names"),
                        format!("choose {shortest} to 64"),
                    );
                }
                value
            }
        };
        let ra_max_interval = self.seconds(lan.ra_max_interval, "lan.ra-max-interval", 600, 4, 1800);
        let default_min = (ra_max_interval.as_secs() / 3).max(3);
        let ra_min_interval = self.seconds(
            lan.ra_min_interval,
            "lan.ra-min-interval",
            default_min,
            3,
            ra_max_interval.as_secs() * 3 / 4,
        );
        let router_lifetime = self.seconds(
            lan.router_lifetime,
            "lan.router-lifetime",
            (ra_max_interval.as_secs() * 3).clamp(1800, 9000),
            ra_max_interval.as_secs(),
            9000,
        );
        let valid_span = lan.valid_lifetime.as_ref().map(Spanned::span);
        let valid_lifetime =
            self.seconds(lan.valid_lifetime, "lan.valid-lifetime", 5400, 60, u64::from(u32::MAX) - 1);
        let preferred_lifetime = self.seconds(
            lan.preferred_lifetime,
            "lan.preferred-lifetime",
            2700.min(valid_lifetime.as_secs()),
            30,
            valid_lifetime.as_secs(),
        );
        // RFC 9096 section 3.3: longer lifetimes make hosts keep stale addresses after a renumbering.
        if valid_lifetime.as_secs() > 5400 && has_uplink {
            self.warn(
                valid_span.unwrap_or_default(),
                "lan.valid-lifetime",
                "hosts keep addresses of a prefix that the ISP took back for as long as valid-lifetime",
                "stay at or below 5400 s (RFC 9096) where the prefix comes from an ISP",
            );
        }
        let slaac = lan.slaac.unwrap_or(true);
        let addresses = lan.addresses.unwrap_or(true);
        if !slaac && !addresses {
            self.warn(
                interface.span.clone(),
                "lan.slaac",
                format!("clients on `{}` get no address: slaac and addresses are both off", interface.value),
                "set one of them to true",
            );
        }
        let mtu = lan.mtu.and_then(|mtu| {
            let value = *mtu.get_ref();
            if (1280..=65_535).contains(&value) {
                return Some(value);
            }
            self.error(mtu.span(), "lan.mtu", format!("{value} is no MTU for IPv6"), "choose 1280 to 65535");
            None
        });
        let pref64 = lan.pref64.and_then(|text| {
            self.prefix(&text, "lan.pref64", "write a NAT64 prefix, such as 64:ff9b::/96").filter(|net| {
                let fits = [32, 40, 48, 56, 64, 96].contains(&net.prefix_len());
                if !fits {
                    self.error(
                        text.span(),
                        "lan.pref64",
                        format!("a NAT64 prefix cannot have {} bits", net.prefix_len()),
                        "choose 32, 40, 48, 56, 64 or 96 (RFC 6052)",
                    );
                }
                fits
            })
        });
        let ipv4 = self.lan_ipv4(lan.ipv4, lan.ipv4_range, lan.ipv4_lease);
        let relay = self.lan_relay(relay::Written {
            relay: lan.relay,
            from: lan.relay_from,
            interface_id: lan.interface_id,
            remote_id: lan.remote_id,
            subscriber_id: lan.subscriber_id,
            options: lan.relay_options,
        });
        let shape = lan.shape.and_then(|shape| self.shape(shape, "lan.shape", Facing::Hosts));
        let (key, trust) = self.key("lan", lan.key, lan.trust.as_deref(), false);
        Lan {
            name: lan.name.unwrap_or_else(|| interface.value.clone()),
            interface,
            subnet,
            subnet_written,
            prefixes,
            slaac,
            addresses,
            delegate: lan.delegate.unwrap_or(true),
            pd_preferred: lan.pd_preferred.unwrap_or(false),
            delegate_from,
            delegate_length,
            preferred_lifetime,
            valid_lifetime,
            ra_min_interval,
            ra_max_interval,
            router_lifetime,
            router_preference: lan.router_preference.unwrap_or(RouterPreference::Medium),
            mtu,
            captive_portal: lan.captive_portal,
            pref64,
            ipv4,
            relay,
            key,
            trust,
            shape,
        }
    }

    /// No interface and no LAN name stands twice.
    pub(super) fn check_interfaces(&mut self, uplink: Option<&Uplink>, lans: &[(Lan, Range<usize>)]) {
        let mut interfaces: Vec<&str> = uplink.iter().map(|uplink| uplink.interface.value.as_str()).collect();
        let mut names: Vec<&str> = Vec::new();
        let mut subnets: BTreeMap<u64, &str> = BTreeMap::new();
        for (lan, span) in lans {
            let interface = lan.interface.value.as_str();
            if interfaces.contains(&interface) {
                self.error(
                    lan.interface.span.clone(),
                    "lan.interface",
                    format!("interface `{interface}` is named twice"),
                    "give the uplink and each LAN an interface of its own (a VLAN interface counts as one)",
                );
            } else if names.contains(&lan.name.as_str()) {
                self.error(
                    span.clone(),
                    "lan.name",
                    format!("two LANs are called `{}`", lan.name),
                    "give each LAN a name of its own",
                );
            }
            if let Some(other) = subnets.insert(lan.subnet, interface)
                && uplink.is_some()
            {
                self.error(
                    lan.interface.span.clone(),
                    "lan.subnet",
                    format!("LANs `{other}` and `{interface}` both take subnet {}", lan.subnet),
                    "give each LAN a subnet number of its own, or leave the key out",
                );
            }
            interfaces.push(interface);
            names.push(&lan.name);
        }
    }

    /// No two LANs share an address, and what is delegated overlaps no LAN.
    pub(super) fn check_prefixes(&mut self, lans: &[(Lan, Range<usize>)]) {
        let mut seen: Vec<(Ipv6Net, &str, bool)> = Vec::new();
        for (lan, _) in lans {
            let here = lan
                .prefixes
                .iter()
                .map(|net| (*net, false))
                .chain(lan.delegate_from.iter().map(|n| (*n, true)));
            for (net, delegated) in here {
                let clash = seen.iter().find(|(other, _, other_delegated)| {
                    // Two LANs may delegate from one pool: the server keeps what it gave apart.
                    !(delegated && *other_delegated && net == *other)
                        && (net.contains(&other.network()) || other.contains(&net.network()))
                });
                if let Some((other, interface, _)) = clash {
                    let span = self.find(lan, &net.to_string());
                    self.error(
                        span,
                        if delegated { "lan.delegate-from" } else { "lan.prefixes" },
                        format!("{net} overlaps {other} of LAN `{interface}`"),
                        "give each LAN, and what is delegated, address space of its own",
                    );
                }
                seen.push((net, &lan.interface.value, delegated));
            }
        }
    }

    /// Where `word` stands at or after the LAN's interface; prefixes lose their place when they are parsed.
    pub(super) fn find(&self, lan: &Lan, word: &str) -> Range<usize> {
        let from = lan.interface.span.start;
        self.text
            .get(from..)
            .and_then(|rest| rest.find(word))
            .map_or(lan.interface.span.clone(), |at| from + at..from + at + word.len())
    }
}
