//! The same list as rules of the kernel's packet filter.

use super::list::Acl;
use super::ranges::{Cut, Order, cut};
use super::rule::{Prefix, Verdict};
use crate::Zone;
use ipnet::{IpNet, Ipv4Subnets, Ipv6Subnets};
use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};

/// A name that nft would not take for a table.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{}` is no name of an nft table: write a letter, then letters, digits and _", .0.escape_debug())]
pub struct TableError(pub String);

/// An [`Acl`] as a script for `nft -f`: print it.
///
/// It makes a table of family `inet`, in place of one of that name that was there. In it the chain `peers`
/// gives each packet, by its source, the verdict that the list gives: `accept`, or `drop`. It stands for
/// itself until something jumps there, or until [`tcp`](Self::tcp) or [`udp`](Self::udp) name ports: packets
/// to these then go there from a chain at `input`.
///
/// The script is made of sets of intervals, so its speed in the kernel does not depend on the number of
/// rules. Rules with a zone become rules of their own that ask for the interface (`iifname`, or `iif` for an
/// index), as do the rules before the last of them that hold addresses of such scopes.
///
/// nft takes a million prefixes; it needs some ten seconds for them, and until it is done the former table
/// stands.
///
/// IPv4 addresses inside IPv6 ones are not reported here. On a wire there are no mapped addresses: the kernel
/// takes what an IPv6 socket shows as `::ffff:192.0.2.1` for the IPv4 packet that it is, and so does the
/// script.
#[derive(Clone)]
pub struct Nft<'a> {
    acl: &'a Acl,
    table: String,
    tcp: Vec<u16>,
    udp: Vec<u16>,
    v4: Cut,
    v6: Cut,
}

impl Acl {
    /// The list for the kernel's packet filter, in a table of its own. Words of nft's own language (`tcp`, `set`) are no names either;
    /// those it refuses itself.
    ///
    /// # Errors
    /// Where it is no name of a table.
    pub fn to_nft(&self, table: &str) -> Result<Nft<'_>, TableError> {
        let plain = |octet: u8| octet.is_ascii_alphanumeric() || octet == b'_';
        let letter = table.bytes().next().is_some_and(|octet| octet.is_ascii_alphabetic());
        if !letter || table.len() > 200 || !table.bytes().all(plain) {
            return Err(TableError(table.chars().take(250).collect()));
        }
        let zoneless = prefixes(self).filter(|(prefix, _)| prefix.zone().is_none());
        let (v4, v6) = cut(zoneless.map(|(prefix, place)| (prefix.net(), place)), Order::First);
        Ok(Nft { acl: self, table: table.to_owned(), tcp: Vec::new(), udp: Vec::new(), v4, v6 })
    }
}

/// All prefixes, each with the place of its rule.
fn prefixes(acl: &Acl) -> impl Iterator<Item = (&Prefix, u32)> {
    (0..).zip(acl.rules()).flat_map(|(place, rule)| rule.prefixes().iter().map(move |prefix| (prefix, place)))
}

impl Nft<'_> {
    /// The same for these TCP ports of this host, besides those named before.
    #[must_use]
    pub fn tcp(mut self, ports: impl IntoIterator<Item = u16>) -> Self {
        self.tcp.extend(ports);
        self
    }

    /// The same for these UDP ports of this host, besides those named before.
    #[must_use]
    pub fn udp(mut self, ports: impl IntoIterator<Item = u16>) -> Self {
        self.udp.extend(ports);
        self
    }

    fn allows(&self, place: u32) -> bool {
        self.acl.rules().get(place as usize).is_some_and(|rule| rule.verdict() == Verdict::Allow)
    }

    /// The ranges that are allowed, first and last address; neighbours are one.
    fn allowed(&self, cut: &Cut) -> Vec<(u128, u128)> {
        let mut allowed: Vec<(u128, u128)> = Vec::new();
        let mut start = 0;
        for &(end, place) in cut {
            if self.allows(place) {
                match allowed.last_mut() {
                    Some(last) if last.1.checked_add(1) == Some(start) => last.1 = end,
                    _ => allowed.push((start, end)),
                }
            }
            start = end.saturating_add(1);
        }
        allowed
    }

    fn set(
        f: &mut fmt::Formatter<'_>,
        name: &str,
        kind: &str,
        ranges: Vec<(u128, u128)>,
        element: impl Fn(&mut fmt::Formatter<'_>, u128, u128) -> fmt::Result,
    ) -> fmt::Result {
        writeln!(f, "\tset {name} {{\n\t\ttype {kind}\n\t\tflags interval")?;
        let last = ranges.len().saturating_sub(1);
        for (place, (start, end)) in ranges.into_iter().enumerate() {
            f.write_str(if place == 0 { "\t\telements = { " } else { ",\n\t\t\t" })?;
            element(f, start, end)?;
            if place == last {
                f.write_str(" }\n")?;
            }
        }
        f.write_str("\t}\n")
    }

    /// The chain of rules up to the last with a zone, as far as they hold addresses that have zones.
    fn zone_rules(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let zones: Vec<_> = prefixes(self.acl)
            .filter(|(prefix, _)| match prefix.net() {
                IpNet::V4(_) => false,
                // Scopes that have zones lie in fe80::/10 and ff00::/8.
                IpNet::V6(net) => net.broadcast().octets()[0] >= 0xfe,
            })
            .collect();
        let Some(last) = zones.iter().rposition(|(prefix, _)| prefix.zone().is_some()) else { return Ok(()) };
        writeln!(f, "\tchain zones {{")?;
        for (prefix, place) in &zones[..=last] {
            f.write_str("\t\t")?;
            if let Some(zone) = prefix.zone() {
                interface(f, zone)?;
            }
            let verdict = if self.allows(*place) { "accept" } else { "drop" };
            writeln!(f, "ip6 saddr {} {verdict}", prefix.net())?;
        }
        f.write_str("\t}\n")
    }
}

/// The condition that a packet came in by an interface.
fn interface(f: &mut fmt::Formatter<'_>, zone: Zone) -> fmt::Result {
    match zone.name() {
        // A final asterisk would stand for any end of a name.
        Some(name) => match name.strip_suffix('*') {
            Some(begin) => write!(f, "iifname \"{begin}\\*\" "),
            None => write!(f, "iifname \"{name}\" "),
        },
        None => write!(f, "iif {zone} "),
    }
}

impl fmt::Display for Nft<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let table = &self.table;
        // Named first, so that it is there to be deleted.
        writeln!(f, "table inet {table}\ndelete table inet {table}\ntable inet {table} {{")?;
        Self::set(f, "allowed4", "ipv4_addr", self.allowed(&self.v4), |f, start, end| {
            let (start, end) = (Ipv4Addr::from_bits(start as u32), Ipv4Addr::from_bits(end as u32));
            match Ipv4Subnets::new(start, end, 0).next() {
                Some(net) if net.broadcast() == end => write!(f, "{net}"),
                _ => write!(f, "{start}-{end}"),
            }
        })?;
        Self::set(f, "allowed6", "ipv6_addr", self.allowed(&self.v6), |f, start, end| {
            let (start, end) = (Ipv6Addr::from_bits(start), Ipv6Addr::from_bits(end));
            match Ipv6Subnets::new(start, end, 0).next() {
                Some(net) if net.broadcast() == end => write!(f, "{net}"),
                _ => write!(f, "{start}-{end}"),
            }
        })?;
        self.zone_rules(f)?;
        writeln!(f, "\tchain peers {{")?;
        if prefixes(self.acl).any(|(prefix, _)| prefix.zone().is_some()) {
            // Rules before these that hold other addresses are not among them.
            writeln!(f, "\t\tip6 saddr {{ fe80::/10, ff00::/8 }} jump zones")?;
        }
        writeln!(f, "\t\tip saddr @allowed4 accept\n\t\tip6 saddr @allowed6 accept\n\t\tdrop\n\t}}")?;
        if !self.tcp.is_empty() || !self.udp.is_empty() {
            writeln!(f, "\tchain input {{\n\t\ttype filter hook input priority filter; policy accept;")?;
            for (protocol, ports) in [("tcp", &self.tcp), ("udp", &self.udp)] {
                for port in ports.iter().collect::<std::collections::BTreeSet<_>>() {
                    writeln!(f, "\t\t{protocol} dport {port} goto peers")?;
                }
            }
            writeln!(f, "\t}}")?;
        }
        writeln!(f, "}}")
    }
}

impl fmt::Debug for Nft<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
