//! What the control socket shows, as values: JSON by serde, tables by [`Status::table`] and [`leases_table`].

mod ddns;
mod health;
mod pilot;
mod policy;
mod relay;
mod web;

pub(crate) use ddns::Ddns;
pub(crate) use health::{Check, FirstRouter, Health, Leg, Way};
pub(crate) use pilot::{Pilot, PilotClient, ServedIpv4};
pub(crate) use policy::{Holder, Policy, Reservation, Reservations};
pub(crate) use relay::{Delegation, Relay, RelayServer};
pub(crate) use web::{Place, Web};

use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

/// Everything that `sixgate status` shows.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Status {
    pub(crate) version: String,
    pub(crate) pid: u32,
    /// Seconds since the start.
    pub(crate) uptime: u64,
    /// The DUID, in hexadecimal.
    pub(crate) duid: String,
    pub(crate) uplink: Option<Uplink>,
    pub(crate) lans: Vec<Lan>,
    /// The NAT64's prefix in which names with IPv4 addresses only get addresses.
    pub(crate) dns64: Option<String>,
    pub(crate) dns: BTreeMap<String, u64>,
    pub(crate) dhcp: BTreeMap<String, u64>,
    /// Empty where no LAN has IPv4.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) dhcpv4: BTreeMap<String, u64>,
    /// None where no LAN is relayed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) relay: Option<Relay>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) nat64: Option<Nat64>,
    /// None where the uplink is not shaped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) shape: Option<crate::shape::ShapeView>,
    /// Addresses of hosts on the LANs that are known, and those forgotten for want of room.
    #[serde(default)]
    pub(crate) neighbours: BTreeMap<String, u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) ipv4: Option<Ipv4>,
    /// None where nobody looks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) health: Option<Health>,
    /// None where everybody is served alike.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) policy: Option<Policy>,
    /// None where names stay here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) ddns: Option<Ddns>,
    /// None where there is no proxy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) proxy: Option<crate::up::ProxyView>,
    /// The last run of each plug-in that measures.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) measured: Vec<crate::measure::plugins::Measured>,
    pub(crate) firewall: BTreeMap<String, Counter>,
    /// The sockets that were found in the kernel's table after the start.
    pub(crate) listeners: Vec<String>,
    /// What is not as it should be, as sentences.
    pub(crate) problems: Vec<String>,
}

/// What the translator between IPv6 and IPv4 does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Nat64 {
    pub(crate) prefix: String,
    /// The first and the last IPv4 address that the inside shares.
    pub(crate) pool: (String, String),
    pub(crate) sessions: u64,
    pub(crate) bindings: u64,
    pub(crate) subscribers: u64,
    /// Packets and events since the start, by name; superpackets count as one.
    pub(crate) counters: BTreeMap<String, u64>,
    /// Packets discarded, by reason; those that never happened are left out.
    pub(crate) discarded: BTreeMap<String, u64>,
    /// Why it no longer translates.
    pub(crate) failed: Option<String>,
}

/// IPv4 of the LANs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Ipv4 {
    /// `nat44`, `island` or `none`.
    pub(crate) internet: String,
    /// Prefix of the NAT64 behind which the island is.
    pub(crate) plat: Option<String>,
    pub(crate) lans: Vec<LanIpv4>,
    /// Packets of the island since the start, by name; superpackets count as one.
    pub(crate) counters: BTreeMap<String, u64>,
    /// Packets discarded, by reason; those that never happened are left out.
    pub(crate) discarded: BTreeMap<String, u64>,
}

/// A LAN's IPv4.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct LanIpv4 {
    pub(crate) lan: String,
    pub(crate) net: String,
    /// The IPv6 addresses that its hosts have beyond the island.
    pub(crate) outside: Option<String>,
}

/// Packets and octets that a firewall rule has seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Counter {
    pub(crate) packets: u64,
    pub(crate) bytes: u64,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Uplink {
    pub(crate) interface: String,
    pub(crate) up: bool,
    /// What the DHCPv6 client does: soliciting, bound, renewing ...
    pub(crate) client: String,
    pub(crate) addresses: Vec<Timed>,
    pub(crate) prefixes: Vec<Timed>,
    pub(crate) routers: Vec<Timed>,
    pub(crate) resolvers: Vec<String>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Lan {
    pub(crate) name: String,
    pub(crate) interface: String,
    pub(crate) up: bool,
    pub(crate) prefixes: Vec<Timed>,
    /// Seconds for which hosts use this gateway as default router; 0: not at all.
    pub(crate) router_lifetime: u64,
    pub(crate) leases: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) ipv4: Option<ServedIpv4>,
    /// None where the LAN is not shaped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) shape: Option<crate::shape::ShapeView>,
    /// Routers other than this one that advertise here.
    pub(crate) other_routers: Vec<String>,
}

/// An address, prefix or router with the seconds that it has left; `None` is for ever.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Timed {
    pub(crate) what: String,
    /// Where it comes from.
    pub(crate) origin: String,
    pub(crate) preferred: Option<u64>,
    pub(crate) valid: Option<u64>,
}

/// What a Reconfigure by command came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Reconfigured {
    /// Clients that are being asked.
    pub(crate) asked: usize,
    /// Clients that were meant and never agreed to it.
    pub(crate) never_agreed: usize,
    /// Clients that agreed, behind relay agents through which they cannot be reached now.
    pub(crate) out_of_reach: usize,
}

/// One lease.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Lease {
    pub(crate) resource: String,
    pub(crate) lan: String,
    pub(crate) state: String,
    /// The client's DUID, in hexadecimal; a DHCPv4 client may have none.
    pub(crate) duid: Option<String>,
    pub(crate) iaid: Option<u32>,
    /// A DHCPv4 client's identifier, in hexadecimal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) client_id: Option<String>,
    pub(crate) hostname: Option<String>,
    /// By what the holder is known: duid, mac or line; of DHCPv6 alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) key: Option<String>,
    pub(crate) link_layer: Option<String>,
    /// How `link_layer` came to be known, the most trusted first: link, relay, eui-64, duid.
    #[serde(default)]
    pub(crate) learnt: Option<String>,
    /// The line that the holder is on, as relay agents name it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) line: Option<String>,
    /// The relay agent's address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) relay: Option<String>,
    /// The link-address that said where the holder is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) link_address: Option<String>,
    /// Seconds left; `None` is for ever.
    pub(crate) preferred: Option<u64>,
    pub(crate) valid: Option<u64>,
}

/// Leases that a command changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Changed {
    pub(crate) changed: Vec<String>,
}

impl Status {
    /// The status for a person.
    pub(crate) fn table(&self) -> String {
        let mut out =
            format!("sixgate {} pid {} up {}\n", self.version, self.pid, seconds(Some(self.uptime)));
        if let Some(uplink) = &self.uplink {
            let _ = writeln!(out, "\nuplink {} {} dhcpv6 {}", uplink.interface, up(uplink.up), uplink.client);
            timed(&mut out, "router", &uplink.routers);
            timed(&mut out, "address", &uplink.addresses);
            timed(&mut out, "prefix", &uplink.prefixes);
            if !uplink.resolvers.is_empty() {
                let _ = writeln!(out, "  resolver {}", uplink.resolvers.join(" "));
            }
        }
        if let Some(shape) = &self.shape {
            let _ = write!(out, "\nshaped {}", shape.table());
        }
        if let Some(health) = &self.health {
            health.table(&mut out);
        }
        for lan in &self.lans {
            let named = if lan.name == lan.interface { String::new() } else { format!(" ({})", lan.name) };
            let _ = writeln!(
                out,
                "\nlan {}{named} {} leases {} router-lifetime {}",
                lan.interface,
                up(lan.up),
                lan.leases,
                seconds(Some(lan.router_lifetime))
            );
            timed(&mut out, "prefix", &lan.prefixes);
            if let Some(ipv4) = &lan.ipv4 {
                let _ = writeln!(out, "  ipv4 {} leases {} {}", ipv4.address, ipv4.leases, ipv4.told());
            }
            if let Some(shape) = &lan.shape {
                let _ = write!(out, "  shaped {}", shape.table().replace("\n  ", "\n    "));
            }
            for router in &lan.other_routers {
                let _ = writeln!(out, "  other router {router}");
            }
        }
        if let Some(prefix) = &self.dns64 {
            let _ = writeln!(out, "\ndns64 {prefix}");
        }
        for (title, counters) in
            [("dns", &self.dns), ("dhcpv6 server", &self.dhcp), ("dhcpv4 server", &self.dhcpv4)]
        {
            let shown: Vec<String> =
                counters.iter().filter(|(_, n)| **n > 0).map(|(name, n)| format!("{name} {n}")).collect();
            if !shown.is_empty() {
                let _ = writeln!(out, "\n{title}: {}", shown.join(", "));
            }
        }
        if let Some(proxy) = &self.proxy {
            let _ = writeln!(out, "\n{}", proxy.line());
        }
        for measured in &self.measured {
            let _ = writeln!(out, "\nmeasured {}", measured.line());
        }
        if let Some(policy) = &self.policy {
            policy.table(&mut out);
        }
        if let Some(ddns) = &self.ddns {
            ddns.table(&mut out);
        }
        if let Some(relay) = &self.relay {
            relay.table(&mut out);
        }
        if let Some(nat64) = &self.nat64 {
            let (first, last) = &nat64.pool;
            let _ = writeln!(
                out,
                "\nnat64 {} pool {first} to {last} sessions {} hosts' links {}",
                nat64.prefix, nat64.sessions, nat64.subscribers
            );
            shown(&mut out, &nat64.counters, &nat64.discarded);
        }
        if let Some(ipv4) = &self.ipv4 {
            let plat = ipv4.plat.as_ref().map_or(String::new(), |plat| format!(" behind the NAT64 {plat}"));
            let _ = writeln!(out, "\nipv4 {}{plat}", ipv4.internet);
            for lan in &ipv4.lans {
                let outside = lan.outside.as_ref().map_or(String::new(), |outside| format!(" as {outside}"));
                let _ = writeln!(out, "  {} on {}{outside}", lan.net, lan.lan);
            }
            shown(&mut out, &ipv4.counters, &ipv4.discarded);
        }
        if !self.firewall.is_empty() {
            let _ = writeln!(out, "\nfirewall");
            let rows: Vec<[String; 3]> = (self.firewall.iter())
                .map(|(name, c)| {
                    [name.clone(), format!("{} packets", c.packets), format!("{} octets", c.bytes)]
                })
                .collect();
            out += &columns(&rows);
        }
        for problem in &self.problems {
            let _ = writeln!(out, "\nproblem: {problem}");
        }
        out
    }
}

/// The leases for a person.
pub(crate) fn leases_table(leases: &[Lease]) -> String {
    if leases.is_empty() {
        return "no leases\n".to_owned();
    }
    let lines = if leases.iter().any(|lease| lease.line.is_some()) { "LINE" } else { "" };
    let header = ["ADDRESS OR PREFIX", "LAN", "NAME", "STATE", "VALID", "MAC", "DUID OR CLIENT", lines]
        .map(str::to_owned);
    let rows: Vec<[String; 8]> = std::iter::once(header)
        .chain(leases.iter().map(|lease| {
            [
                lease.resource.clone(),
                lease.lan.clone(),
                lease.hostname.clone().unwrap_or_else(|| "-".to_owned()),
                lease.state.clone(),
                seconds(lease.valid),
                hardware(lease),
                lease.duid.clone().or_else(|| lease.client_id.clone()).unwrap_or_default(),
                lease.line.clone().unwrap_or_default(),
            ]
        }))
        .collect();
    columns(&rows) + &machines(leases)
}

/// A hardware address, and how it came to be known where that is not the link.
fn hardware(lease: &Lease) -> String {
    match (&lease.link_layer, lease.learnt.as_deref()) {
        (None, _) => "-".to_owned(),
        (Some(mac), None | Some("link")) => mac.clone(),
        (Some(mac), Some(learnt)) => format!("{mac} ({learnt})"),
    }
}

/// Machines that ask with several DUIDs: systems of a dual boot have one each.
fn machines(leases: &[Lease]) -> String {
    let mut duids: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for lease in leases.iter().filter(|lease| matches!(lease.learnt.as_deref(), Some("link" | "relay"))) {
        if let (Some(mac), Some(duid)) = (&lease.link_layer, &lease.duid) {
            duids.entry(mac).or_default().insert(duid);
        }
    }
    let mut out = String::new();
    for (mac, duids) in duids.into_iter().filter(|(_, duids)| duids.len() > 1) {
        let duids = duids.into_iter().collect::<Vec<_>>().join(" and ");
        let _ = writeln!(out, "\n{mac} is one machine that asks as {duids}");
    }
    out
}

/// What a translator counts, as far as it happened.
fn shown(out: &mut String, counters: &BTreeMap<String, u64>, discarded: &BTreeMap<String, u64>) {
    let discarded = discarded.iter().map(|(name, n)| format!("discarded {name} {n}"));
    let counted = counters.iter().filter(|(_, n)| **n > 0).map(|(name, n)| format!("{name} {n}"));
    let shown: Vec<String> = counted.chain(discarded).collect();
    if !shown.is_empty() {
        let _ = writeln!(out, "  {}", shown.join(", "));
    }
}

fn up(up: bool) -> &'static str {
    if up { "up" } else { "DOWN" }
}

fn timed(out: &mut String, word: &str, rows: &[Timed]) {
    let rows: Vec<[String; 4]> = rows
        .iter()
        .map(|row| {
            let life = match (row.preferred, row.valid) {
                (Some(0), valid) => format!("deprecated, valid {}", seconds(valid)),
                (preferred, valid) if preferred == valid => format!("valid {}", seconds(valid)),
                (preferred, valid) => format!("preferred {}, valid {}", seconds(preferred), seconds(valid)),
            };
            [word.to_owned(), row.what.clone(), row.origin.clone(), life]
        })
        .collect();
    *out += &columns(&rows);
}

/// Rows under each other, each column as wide as its widest cell.
pub(crate) fn columns<const N: usize>(rows: &[[String; N]]) -> String {
    let mut widths = [0; N];
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = cell.chars().count().max(*width);
        }
    }
    rows.iter().fold(String::new(), |mut out, row| {
        let line = row
            .iter()
            .zip(widths)
            .fold(String::from(" "), |line, (cell, width)| format!("{line} {cell:width$}"));
        let _ = writeln!(out, "{}", line.trim_end());
        out
    })
}

/// A time as people say it.
pub(crate) fn seconds(value: Option<u64>) -> String {
    match value {
        None => "for ever".to_owned(),
        Some(s) if s < 120 => format!("{s}s"),
        Some(s) if s < 7200 => format!("{}m{:02}s", s / 60, s % 60),
        Some(s) if s < 172_800 => format!("{}h{:02}m", s / 3600, s / 60 % 60),
        Some(s) => format!("{}d{:02}h", s / 86_400, s / 3600 % 24),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up() {
        let rows = [["a".to_owned(), "bb".to_owned()], ["ccc".to_owned(), "d".to_owned()]];
        assert_eq!(columns(&rows), "  a   bb\n  ccc d\n");
    }

    #[test]
    fn times_read_well() {
        assert_eq!(
            [None, Some(0), Some(119), Some(3725), Some(90_000), Some(1_000_000)].map(seconds),
            ["for ever", "0s", "119s", "62m05s", "25h00m", "11d13h"]
        );
    }
}
