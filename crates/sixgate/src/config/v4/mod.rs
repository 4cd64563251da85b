//! IPv4 on a LAN (`lan.ipv4` and its companions), and `[pilot]`: who is told to do without it.

use super::{Lan, Reader, file};
use ipnet::Ipv4Net;
use sixgate_dhcp::v4::{Link, Selector};
use sixgate_wire::dhcpv4::{MIN_V6ONLY_WAIT, V6ONLY_WAIT};
use std::net::Ipv4Addr;
use std::ops::Range;
use std::time::Duration;
use toml::Spanned;

/// Seconds for which an address is leased where the file names none.
const LEASE: u64 = 3600;
/// Clients stretch what is shorter, or ask again and again.
const SHORTEST_LEASE: u64 = 60;
/// Addresses that a LAN leases at most: whoever takes all of them on one leaves the others theirs.
pub(crate) const MOST_LEASES: u32 = 4_000;
/// Lengths of subnets: with fewer bits it is no LAN's, with more there is nobody to lease to.
const LENGTHS: std::ops::RangeInclusive<u8> = 8..=30;
const REMEDY: &str =
    "write the gateway's own address on the LAN with the subnet's length, such as 192.168.7.1/24";

/// IPv4 on a LAN.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LanIpv4 {
    /// Our address, with the subnet's length.
    pub(crate) address: Ipv4Net,
    /// First and last address to lease; `None` stands for the first [`MOST_LEASES`] of the subnet.
    pub(crate) range: Option<(Ipv4Addr, Ipv4Addr)>,
    /// For how long.
    pub(crate) lease: Duration,
}

/// Who of those that ask for option 108 are told to do without IPv4.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Pilot {
    /// Their share.
    pub(crate) percent: u8,
    /// If not empty, these alone are considered.
    pub(crate) only: Vec<Selector>,
    /// These never are.
    pub(crate) except: Vec<Selector>,
    /// `V6ONLY_WAIT`: for how long they are told.
    pub(crate) wait: Duration,
}

impl Default for Pilot {
    fn default() -> Self {
        let wait = Duration::from_secs(V6ONLY_WAIT.into());
        Self { percent: 100, only: Vec::new(), except: Vec::new(), wait }
    }
}

impl Reader<'_> {
    /// What a LAN's keys say of IPv4; `None` where it has none.
    pub(super) fn lan_ipv4(
        &mut self,
        address: Option<Spanned<String>>,
        range: Option<Spanned<String>>,
        lease: Option<Spanned<file::Seconds>>,
    ) -> Option<LanIpv4> {
        let Some(address) = address else {
            let alone =
                [("lan.ipv4-range", range.map(|r| r.span())), ("lan.ipv4-lease", lease.map(|l| l.span()))];
            for (key, span) in alone {
                if let Some(span) = span {
                    let word = key.trim_start_matches("lan.");
                    self.error(
                        span,
                        key,
                        format!("{word} does nothing without ipv4"),
                        format!("{REMEDY}, as ipv4 = \"...\""),
                    );
                }
            }
            return None;
        };
        let lease = self.seconds(lease, "lan.ipv4-lease", LEASE, SHORTEST_LEASE, u64::from(u32::MAX) - 1);
        let address = self.ipv4_address(&address)?;
        let range = range.and_then(|range| self.ipv4_range(&range, address));
        Some(LanIpv4 { address, range, lease })
    }

    fn ipv4_address(&mut self, text: &Spanned<String>) -> Option<Ipv4Net> {
        let mut wrong = |message: String| {
            self.error(text.span(), "lan.ipv4", message, REMEDY);
            None
        };
        let word = text.get_ref();
        let Ok(net) = word.parse::<Ipv4Net>() else {
            return wrong(match word.parse::<Ipv4Addr>() {
                Ok(_) => format!("`{word}` does not say how long its subnet's prefix is"),
                Err(_) => format!("`{word}` is not an IPv4 address with a length"),
            });
        };
        if !LENGTHS.contains(&net.prefix_len()) {
            return wrong(format!("a subnet of {} bits is none for a LAN (8 to 30)", net.prefix_len()));
        }
        let address = net.addr();
        if address.is_loopback()
            || address.is_link_local()
            || address.octets()[0] == 0
            || address.octets()[0] >= 224
        {
            return wrong(format!("{address} cannot be the address of a host on a LAN"));
        }
        match Link::new("", net) {
            Ok(_) => Some(net),
            Err(error) => wrong(error.to_string()),
        }
    }

    fn ipv4_range(&mut self, text: &Spanned<String>, address: Ipv4Net) -> Option<(Ipv4Addr, Ipv4Addr)> {
        let ends = text.get_ref().split_once('-');
        let range = ends.and_then(|(a, b)| Some((a.trim().parse().ok()?, b.trim().parse().ok()?)));
        let Some((first, last)) = range else {
            let message = format!("`{}` is no range of IPv4 addresses", text.get_ref());
            self.error(
                text.span(),
                "lan.ipv4-range",
                message,
                "write the first and the last, such as 192.168.7.100-192.168.7.199",
            );
            return None;
        };
        let link = Link::new("", address).and_then(|link| link.with_pool(first, last));
        match link {
            Err(error) => {
                let remedy = format!("choose addresses of {}", address.trunc());
                self.error(text.span(), "lan.ipv4-range", error.to_string(), remedy);
                None
            }
            Ok(_) if u32::from(last) - u32::from(first) >= MOST_LEASES => {
                let message =
                    format!("a LAN leases {MOST_LEASES} addresses at most, and this range has more");
                self.error(text.span(), "lan.ipv4-range", message, "end it earlier");
                None
            }
            Ok(_) if first == last && first == address.addr() => {
                let message = "the gateway's own address is all that there would be to lease";
                self.error(text.span(), "lan.ipv4-range", message, "choose others");
                None
            }
            Ok(_) => Some((first, last)),
        }
    }

    /// No two LANs share a subnet, and the translator's pool is none of them.
    pub(super) fn check_lan_ipv4(&mut self, lans: &[(Lan, Range<usize>)], pool: Option<Ipv4Net>) {
        let overlap = |a: Ipv4Net, b: Ipv4Net| a.contains(&b.network()) || b.contains(&a.network());
        let mut seen: Vec<(Ipv4Net, String)> =
            pool.map(|pool| (pool, "nat64.pool".to_owned())).into_iter().collect();
        for (lan, _) in lans {
            let Some(ipv4) = &lan.ipv4 else { continue };
            let subnet = ipv4.address.trunc();
            if let Some((other, whose)) = seen.iter().find(|(other, _)| overlap(*other, subnet)) {
                let message = format!("{subnet} overlaps {other} of {whose}");
                let span = self.find(lan, &ipv4.address.to_string());
                self.error(
                    span,
                    "lan.ipv4",
                    message,
                    "give each LAN, and the NAT64's pool, a subnet of its own",
                );
            }
            seen.push((subnet, format!("LAN `{}`", lan.interface.value)));
        }
    }

    /// Reads `[pilot]`; the LANs must know their `pref64` by now. An uplink may tell of one later (`learns`).
    pub(super) fn pilot(
        &mut self,
        pilot: Option<Spanned<file::Pilot>>,
        lans: &[(Lan, Range<usize>)],
        learns: bool,
    ) -> Pilot {
        let span = pilot.as_ref().map(Spanned::span);
        let pilot = pilot.map(Spanned::into_inner).unwrap_or_default();
        let percent = pilot.percent.map_or(100, |percent| {
            let value = *percent.get_ref();
            u8::try_from(value).ok().filter(|value| *value <= 100).unwrap_or_else(|| {
                let message = format!("{value} is no share in percent");
                self.error(
                    percent.span(),
                    "pilot.percent",
                    message,
                    "choose 0 (nobody) to 100 (everybody who asks)",
                );
                0
            })
        });
        // Where option 108 may be sent at all.
        let mostly = lans.iter().filter(|(lan, _)| lan.pref64.is_some() || learns);
        let shortest = mostly
            .filter_map(|(lan, _)| Some((lan.ipv4.as_ref()?.lease.as_secs(), lan)))
            .min_by_key(|(lease, _)| *lease);
        if let (Some(span), None) = (span, shortest) {
            self.warn(
                span,
                "pilot",
                "[pilot] does nothing: no LAN has both ipv4 and a way to IPv4 without it",
                "give a [[lan]] ipv4 = \"192.168.7.1/24\", and add [nat64], or pref64 where another router translates",
            );
        }
        let wait = self.wait(pilot.wait, shortest);
        let [only, except] = [(pilot.only, "pilot.only"), (pilot.except, "pilot.except")]
            .map(|(texts, key)| self.selectors(texts.unwrap_or_default(), key));
        Pilot { percent, only, except, wait }
    }

    /// `V6ONLY_WAIT`: no longer than a lease, so that everybody has IPv4 again within one when the pilot ends.
    fn wait(&mut self, wait: Option<Spanned<file::Seconds>>, shortest: Option<(u64, &Lan)>) -> Duration {
        let least = u64::from(MIN_V6ONLY_WAIT);
        if let Some((lease, lan)) = shortest.filter(|(lease, lan)| *lease < least && lan.pref64.is_some()) {
            let span = self.find(lan, "ipv4-lease");
            self.error(
                span,
                "lan.ipv4-lease",
                format!(
                    "clients that do without IPv4 do so for {least} s at least (RFC 8925), longer than a lease of {lease} s"
                ),
                format!("choose {least} or more where the LAN has a NAT64: the way back is to take no longer than a lease"),
            );
        }
        let most = shortest.map_or(u64::from(u32::MAX) - 1, |(lease, _)| lease.max(least));
        if let Some(written) = wait.as_ref().filter(|wait| wait.get_ref().0 > most) {
            self.error(
                written.span(),
                "pilot.wait",
                format!("{} s is longer than the shortest lease, {most} s", written.get_ref().0),
                format!("choose {least} to {most} seconds, or longer leases (lan.ipv4-lease): when the pilot ends, everybody has IPv4 again within one"),
            );
            return Duration::from_secs(most);
        }
        let default = u64::from(V6ONLY_WAIT).min(most);
        self.seconds(wait, "pilot.wait", default, least, most)
    }

    fn selectors(&mut self, texts: Vec<Spanned<String>>, key: &str) -> Vec<Selector> {
        let mut selectors = Vec::new();
        for text in texts {
            match text.get_ref().parse() {
                Ok(selector) => selectors.push(selector),
                Err(_) => self.error(
                    text.span(),
                    key,
                    format!("`{}` names no client", text.get_ref().escape_debug()),
                    "write an Ethernet address (02:00:5e:10:00:01), a DUID (duid:00:03:00:01:02:00:5e:10:00:01) or a client \
                     identifier (id:01:02:00:5e:10:00:01), as `sixgate pilot` and `sixgate leases` show them",
                ),
            }
        }
        selectors
    }
}

#[cfg(test)]
mod tests;
