//! `[dns]`: names.

use super::{Lan, Reader, file};
use sixgate_dns::{Dnssec, Names};
use sixgate_endpoint::Endpoint;
use sixgate_endpoint::nat64::Prefix;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::ops::Range;

/// Names.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Dns {
    pub(crate) enabled: bool,
    /// Resolvers to ask; empty stands for those the uplink tells of.
    pub(crate) upstreams: Vec<Endpoint>,
    /// The NAT64's prefix in which names with IPv4 addresses only get addresses.
    pub(crate) dns64: Option<Prefix>,
    /// Replies to addresses that have proved nothing are limited.
    pub(crate) rate_limit: bool,
    /// How answers are judged; nothing where they are not.
    pub(crate) dnssec: Option<Dnssec>,
    /// Names answered here with these addresses.
    pub(crate) hosts: BTreeMap<String, Vec<IpAddr>>,
}

impl Reader<'_> {
    pub(super) fn dns(&mut self, dns: file::Dns, lans: &[(Lan, Range<usize>)]) -> Dns {
        let enabled = dns.enabled.unwrap_or(true);
        let dnssec = self.dnssec(&dns, enabled);
        let dns64 = dns.dns64.and_then(|text| self.dns64(&text, lans, enabled));
        let mut upstreams = Vec::new();
        for text in dns.upstreams.unwrap_or_default() {
            let found = text.get_ref().parse::<Endpoint>().map_err(|error| (error.what(), error.remedy()));
            let there = |endpoint: Endpoint| match endpoint.socket_addr(53) {
                Ok(_) => Ok(endpoint),
                Err(missing) => Err((format!("`{endpoint}` is on no interface"), missing.to_string())),
            };
            match found.and_then(there) {
                Ok(upstream) => upstreams.push(upstream),
                Err((message, remedy)) => self.error(text.span(), "dns.upstreams", message, &remedy),
            }
        }
        let mut hosts: BTreeMap<String, Vec<IpAddr>> = BTreeMap::new();
        for (name, addresses) in dns.hosts.unwrap_or_default() {
            if let Err(error) = Names::new(&[]).set_hosts([(name.as_str(), &[][..])]) {
                let at =
                    self.text.find(&format!("\"{name}\"")).map_or(0..0, |at| at + 1..at + 1 + name.len());
                self.error(
                    at,
                    "dns.hosts",
                    error.to_string(),
                    "write a domain name, such as \"nas.home.arpa\"",
                );
            }
            for text in addresses {
                match text.get_ref().parse() {
                    Ok(address) => hosts.entry(name.clone()).or_default().push(address),
                    Err(_) => self.error(
                        text.span(),
                        "dns.hosts",
                        format!("`{}` is not an IP address", text.get_ref()),
                        "write one, such as 2001:db8::80",
                    ),
                }
            }
        }
        Dns { enabled, upstreams, dns64, rate_limit: dns.rate_limit.unwrap_or(true), dnssec, hosts }
    }
}
