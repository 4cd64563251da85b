//! Where the proxy goes, and where it does not: not into this machine, not where an address has a meaning on a link alone, and not from one
//! LAN into another, by whatever address these are named.

use super::Shared;
use crate::config::Config;
use sixgate_endpoint::Endpoint;
use sixgate_endpoint::acl::embedded;
use sixgate_endpoint::nat64::{self, Prefix};
use sixgate_linux::route::Netlink;
use std::net::IpAddr;
use std::sync::PoisonError;

/// The prefixes of translators that the configuration names. Where the Internet has others, they are not ours to know.
pub(super) fn prefixes(config: &Config) -> Vec<Prefix> {
    let told = config.lans.iter().filter_map(|lan| lan.pref64);
    let told = told.filter_map(|net| Prefix::new(net.network(), net.prefix_len()).ok());
    let nat64 = config.nat64.iter().map(|nat64| nat64.prefix);
    nat64
        .chain(config.dns.dns64)
        .chain(config.ipv4.iter().filter_map(|ipv4| ipv4.pref64))
        .chain(told)
        .collect()
}

/// The addresses of this machine.
pub(super) struct Own(Vec<IpAddr>);

impl Own {
    /// As the kernel has them now.
    ///
    /// # Errors
    /// What the kernel says.
    pub(super) fn read() -> Result<Self, sixgate_linux::route::Error> {
        let mut netlink = Netlink::new()?;
        let ipv4 = netlink.addresses_v4(None)?.into_iter().map(|address| IpAddr::from(address.net.addr()));
        let ipv6 = netlink.addresses(None)?.into_iter().map(|address| IpAddr::from(address.address));
        Ok(Self(ipv4.chain(ipv6).collect()))
    }

    /// Whether this is one, or has one of IPv4 within it where a translator of whatever prefix looks for it: the ISP's would send us back
    /// to ourselves, from its address. That another's address has one of ours there by chance happens once in a billion times.
    fn has(&self, endpoint: Endpoint) -> bool {
        let behind = endpoint.ipv6().is_some_and(|address| {
            let mut nodes = nat64::possible(address).map(|(_, node)| node).filter(|node| !node.is_loopback());
            nodes.any(|node| self.0.contains(&node.into()))
        });
        behind || self.0.contains(&endpoint.address())
    }
}

/// Whether an address may be gone to at all: none of a machine itself, of a link, or of many.
fn is_gone_to(endpoint: Endpoint) -> bool {
    let address = endpoint.address();
    let of_links = ["fe80::/10", "169.254.0.0/16", "0.0.0.0/8"];
    let mut of_links = of_links.into_iter().filter_map(|net| net.parse::<ipnet::IpNet>().ok());
    !(address.is_loopback()
        || address.is_unspecified()
        || address.is_multicast()
        || of_links.any(|net| net.contains(&address)))
}

impl Shared {
    /// Why an address is not gone to from this LAN, if it is not. What the firewall keeps apart stays apart, also where it is named by
    /// the address that a translator has for it.
    pub(super) fn why_not(&self, lan: usize, endpoint: Endpoint, own: &Own) -> Option<&'static str> {
        let behind = endpoint.ipv6().and_then(|address| embedded(address, &self.prefixes));
        let behind = behind.map(|(_, node)| Endpoint::new(node));
        if [Some(endpoint), behind].into_iter().flatten().any(|endpoint| !is_gone_to(endpoint)) {
            return Some(
                "this proxy does not go to a machine itself, to what has a meaning on one link alone, or to many at once",
            );
        }
        if own.has(endpoint) || behind.is_some_and(|endpoint| own.has(endpoint)) {
            return Some("this proxy does not go to the gateway itself; go there without it");
        }
        let inside = self.inside.lock().unwrap_or_else(PoisonError::into_inner);
        let is_on = |at: usize, endpoint: Endpoint| {
            crate::up::is_inside(endpoint.address(), inside.get(at).map_or(&[], Vec::as_slice))
        };
        let is_on_any = |endpoint: Endpoint| (0..inside.len()).any(|at| is_on(at, endpoint));
        let apart = !is_on(lan, endpoint) && is_on_any(endpoint) || behind.is_some_and(is_on_any);
        apart.then_some("this proxy does not go from one LAN to another")
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Counts, Lookups, Wanted};
    use super::*;
    use std::sync::Mutex;

    #[test]
    fn what_is_apart_or_ours_stays_so_by_whatever_address() {
        let nets = |texts: [&str; 2]| texts.map(|text| text.parse().unwrap()).to_vec();
        let inside =
            vec![nets(["2001:db8:1::/64", "192.168.1.0/24"]), nets(["2001:db8:2::/64", "192.168.2.0/24"])];
        let shared = Shared {
            wanted: Wanted { port: 3128, to: vec![443] },
            inside: Mutex::new(inside),
            prefixes: vec![Prefix::new("2001:db8:64::".parse().unwrap(), 96).unwrap()],
            lookups: Lookups::default(),
            counts: Counts::default(),
        };
        let own =
            Own(["203.0.113.2", "2001:db8:ffff::2", "127.0.0.1"].map(|text| text.parse().unwrap()).into());
        let goes = |text: &str| shared.why_not(0, text.parse().unwrap(), &own).is_none();
        // The Internet, the LAN itself, and IPv4 behind a NAT64.
        for text in [
            "2001:db8:f::80",
            "203.0.113.80",
            "2001:db8:1::7",
            "192.168.1.7",
            "2001:db8:64::203.0.113.80",
            "64:ff9b::203.0.113.80",
            "2001:db8:f64::203.0.113.3",
            "2001:db8:f::7f00:1",
        ] {
            assert!(goes(text), "{text}");
        }
        // The other LAN, by any name; what no machine but ours has.
        for text in [
            "2001:db8:2::7",
            "192.168.2.7",
            "::ffff:192.168.2.7",
            "2001:db8:64::192.168.2.7",
            "2001:db8:64::192.168.1.7",
            "64:ff9b::192.168.1.7",
            "64:ff9b:1::192.168.2.7",
            "2001:db8:64::169.254.169.254",
            "2001:db8:64::127.0.0.1",
            "64:ff9b::127.0.0.1",
            "127.0.0.1",
            "::1",
            "fe80::1",
            "ff02::1",
        ] {
            assert!(!goes(text), "{text}");
        }
        // This machine from outside, by the prefixes of whoever translates: ours, the well-known one, and the ISP's, which nobody told us.
        for text in [
            "203.0.113.2",
            "2001:db8:ffff::2",
            "2001:db8:64::203.0.113.2",
            "64:ff9b::203.0.113.2",
            "2001:db8:f64::203.0.113.2",
            "2001:db8:f64:cb:0:7102::",
            "2001:db8:cb00:7102::",
            "2002:cb00:7102::1",
        ] {
            let why = shared.why_not(0, text.parse().unwrap(), &own);
            assert!(why.is_some_and(|why| why.contains("the gateway itself")), "{text}: {why:?}");
        }
    }

    #[test]
    fn what_is_this_machines_or_a_links_is_not_gone_to() {
        let goes = |text: &str| is_gone_to(text.parse().unwrap());
        for no in [
            "::1",
            "127.0.0.1",
            "127.9.9.9",
            "::ffff:127.0.0.1",
            "::",
            "0.0.0.0",
            "fe80::1",
            "169.254.1.1",
            "ff02::1",
            "224.0.0.1",
        ] {
            assert!(!goes(no), "{no}");
        }
        for yes in ["2001:db8::1", "192.0.2.1", "fd00::1", "192.168.1.1"] {
            assert!(goes(yes), "{yes}");
        }
    }
}
