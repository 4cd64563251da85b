//! `[nat64]`: IPv6 hosts reach IPv4 through this machine.

use super::{Reader, file};
use ipnet::{Ipv4Net, Ipv6Net};
use sixgate_endpoint::nat64::Prefix;
use std::net::Ipv4Addr;
use toml::Spanned;

/// The IPv4 addresses that are shared where the file names none. Private: they leave with the uplink's address.
const POOL: Ipv4Net = Ipv4Net::new_assert(Ipv4Addr::new(192, 168, 64, 0), 28);
/// Sessions where the file names no number.
const SESSIONS: u32 = 131_072;
/// Most sessions that a table holds.
const MOST_SESSIONS: u32 = 1 << 24;

/// A translator between IPv6 and IPv4.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Nat64 {
    /// Behind it IPv6 hosts see IPv4.
    pub(crate) prefix: Prefix,
    /// The IPv4 addresses that the inside shares.
    pub(crate) pool: Ipv4Net,
    /// Most sessions at one time.
    pub(crate) sessions: u32,
}

impl Nat64 {
    /// The prefix, as routes and router advertisements have it.
    pub(crate) fn net(&self) -> Ipv6Net {
        Ipv6Net::new_assert(self.prefix.address(), self.prefix.length())
    }

    /// The pool where it has to be hidden behind the uplink's address: nobody outside knows a way to it.
    pub(crate) fn masquerade(&self) -> Option<Ipv4Net> {
        is_private(self.pool).then_some(self.pool)
    }
}

/// RFC 1918, and RFC 6598 (shared by an ISP and its customers).
fn is_private(net: Ipv4Net) -> bool {
    let shared = Ipv4Net::new_assert(Ipv4Addr::new(100, 64, 0, 0), 10);
    net.network().is_private() || shared.contains(&net)
}

impl Reader<'_> {
    pub(super) fn nat64(&mut self, nat64: file::Nat64, firewall: bool) -> Nat64 {
        let prefix = nat64
            .prefix
            .and_then(|text| self.translator_prefix(&text, "nat64.prefix"))
            .unwrap_or(Prefix::WELL_KNOWN);
        let span = nat64.pool.as_ref().map(Spanned::span);
        let pool = nat64.pool.and_then(|text| self.nat64_pool(&text)).unwrap_or(POOL);
        if is_private(pool) && !firewall {
            self.warn(
                span.unwrap_or_default(),
                "nat64.pool",
                format!("nothing hides the private addresses {pool} behind the uplink's: firewall is off"),
                "masquerade them in rules of your own, set firewall = true, or name a pool that is routed to this machine",
            );
        }
        let sessions = nat64.sessions.map_or(SESSIONS, |sessions| {
            let value = *sessions.get_ref();
            if !(1..=MOST_SESSIONS).contains(&value) {
                self.error(
                    sessions.span(),
                    "nat64.sessions",
                    format!("a table cannot hold {value} sessions"),
                    format!("choose 1 to {MOST_SESSIONS}; {SESSIONS} serve some hundred hosts"),
                );
            }
            value
        });
        Nat64 { prefix, pool, sessions }
    }

    /// The prefix of a translator (RFC 6052 section 2.2).
    pub(super) fn translator_prefix(&mut self, text: &Spanned<String>, key: &str) -> Option<Prefix> {
        let remedy =
            "write one such as 64:ff9b::/96, which every network may use, or 2001:db8:64::/96 from your own";
        let net = self.prefix(text, key, remedy)?;
        match Prefix::new(net.addr(), net.prefix_len()) {
            Ok(prefix) => Some(prefix),
            Err(error) => {
                self.error(text.span(), key, error.to_string(), remedy);
                None
            }
        }
    }

    fn nat64_pool(&mut self, text: &Spanned<String>) -> Option<Ipv4Net> {
        let mut wrong = |message: String, remedy: String| {
            self.error(text.span(), "nat64.pool", message, remedy);
            None
        };
        let word = text.get_ref();
        // One address is a pool of one.
        let found = word.parse::<Ipv4Net>().ok().or_else(|| word.parse::<Ipv4Addr>().ok().map(Ipv4Net::from));
        let Some(net) = found else {
            return wrong(
                format!("`{word}` is no range of IPv4 addresses"),
                "write an address or a range, such as 203.0.113.7 or 192.168.64.0/28".to_owned(),
            );
        };
        if net.addr() != net.network() {
            let remedy = format!("did you mean `{}`?", net.trunc());
            return wrong(format!("`{net}` has bits set beyond its length"), remedy);
        }
        if net.prefix_len() < 24 {
            return wrong(
                format!("{net} has more than the 256 addresses that a translator shares"),
                "choose a length of 24 to 32; one address serves 64,512 connections of each protocol to one place".to_owned(),
            );
        }
        let address = net.network();
        if address.is_loopback()
            || address.is_link_local()
            || address.octets()[0] == 0
            || address.octets()[0] >= 224
        {
            let remedy =
                "choose addresses that are routed to this machine, or private ones (192.168.64.0/28)"
                    .to_owned();
            return wrong(format!("{net} cannot be the source of packets that a router forwards"), remedy);
        }
        Some(net)
    }
}
