//! From the file as it is written to the configuration as it is meant: the sections together, and what several of them
//! have in common. What one section says is read beside its type.

use super::diagnostic::Diagnostic;
use super::file::{self, File};
use super::{CONTROL, Config, Dhcp, Lan, Located, Nat64, Reconfigure, STATE, Subnet, policy};
use ipnet::Ipv6Net;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::Duration;
use toml::Spanned;

/// Leases that a campus fits in; a hundred of them take some twenty kilobytes.
const LEASES: usize = 65_536;

/// Turns the file as written into the configuration as meant, collecting everything that is wrong on the way.
pub(super) struct Reader<'a> {
    pub(super) path: &'a Path,
    pub(super) text: &'a str,
    pub(super) errors: Vec<Diagnostic>,
    pub(super) warnings: Vec<Diagnostic>,
}

impl Reader<'_> {
    pub(super) fn error(
        &mut self,
        span: Range<usize>,
        key: &str,
        message: impl Into<String>,
        remedy: impl Into<String>,
    ) {
        self.errors.push(Diagnostic::at(self.path, self.text, span, key, message.into(), remedy.into()));
    }

    pub(super) fn warn(
        &mut self,
        span: Range<usize>,
        key: &str,
        message: impl Into<String>,
        remedy: impl Into<String>,
    ) {
        let diagnostic = Diagnostic::at(self.path, self.text, span, key, message.into(), remedy.into());
        self.warnings.push(diagnostic.warning());
    }

    pub(super) fn config(&mut self, file: File) -> Config {
        let uplink = file.uplink.map(|uplink| self.uplink(uplink, file.lan.is_empty()));
        let (mut lans, mut keys): (Vec<(Lan, Range<usize>)>, _) = (Vec::new(), Vec::new());
        for (index, lan) in file.lan.into_iter().enumerate() {
            let span = lan.span();
            let mut lan = lan.into_inner();
            keys.push(policy::LanKeys::take(&mut lan));
            let lan = self.lan(lan, index as u64, uplink.is_some());
            lans.push((lan, span));
        }
        let on_uplink = uplink.as_ref().map(|uplink| uplink.interface.value.as_str());
        let relays = self.relays(file.relays, file.subnet.len(), on_uplink);
        if uplink.is_none() && lans.is_empty() && relays.is_none() && file.subnet.is_empty() {
            self.errors.push(Diagnostic::whole(
                self.path,
                "the configuration names no interface".to_owned(),
                "add [uplink] with interface = \"...\" and one [[lan]] with interface = \"...\" for each segment"
                    .to_owned(),
            ));
        }
        self.check_interfaces(uplink.as_ref(), &lans);
        self.check_prefixes(&lans);
        let relay = self.relay(file.relay_agent.unwrap_or_default());
        self.check_relay(&relay, &lans);
        let mut written = file.subnet;
        keys.extend(written.iter_mut().map(|subnet| policy::LanKeys::take_subnet(subnet.get_mut())));
        let subnets = self.subnets(written, &lans);
        let mut dhcp = file.dhcp.unwrap_or_default();
        let firewall = file.firewall.unwrap_or(true);
        let nat64 = file.nat64.map(|nat64| self.nat64(nat64, firewall));
        let census = file.census.and_then(|census| self.census(census));
        // Hosts that hear of the prefix need no DNS64 to use it (RFC 8781).
        for (lan, _) in lans.iter_mut().filter(|(lan, _)| lan.pref64.is_none()) {
            lan.pref64 = nat64.as_ref().map(Nat64::net);
        }
        let ipv4 = file.ipv4.map(|ipv4| self.ipv4(ipv4, nat64.as_ref(), uplink.as_ref(), &lans, firewall));
        self.check_lan_ipv4(&lans, nat64.as_ref().map(|nat64| nat64.pool));
        let pilot = self.pilot(file.pilot, &lans, uplink.is_some());
        let mut dns = self.dns(file.dns.unwrap_or_default(), &lans);
        // Those that hear of nothing get addresses behind it for names (RFC 6147).
        dns.dns64 = dns.dns64.or(nat64.as_ref().map(|nat64| nat64.prefix).filter(|_| dns.enabled));
        let proxy = self.proxy(file.proxy.unwrap_or_default(), dns.enabled);
        let place = |lan: &Lan| policy::Place {
            name: lan.name.clone(),
            prefixes: lan.prefixes.clone(),
            delegate_from: lan.delegate_from.clone(),
        };
        let behind = |subnet: &Subnet| policy::Place {
            name: subnet.name.clone(),
            prefixes: [&subnet.prefixes[..], &subnet.pools].concat(),
            delegate_from: subnet.delegate_from.clone(),
        };
        let places = lans.iter().map(|(lan, _)| place(lan)).chain(subnets.iter().map(behind));
        let places = places.zip(keys).collect();
        Config {
            path: self.path.to_owned(),
            text: self.text.to_owned(),
            state: file.state.unwrap_or_else(|| PathBuf::from(STATE)),
            control: file.control.unwrap_or_else(|| PathBuf::from(CONTROL)),
            control_group: file.control_group,
            firewall,
            uplink,
            lans: lans.into_iter().map(|(lan, _)| lan).collect(),
            relays,
            subnets,
            dns,
            dhcp: self.dhcp(&mut dhcp),
            served: self.served(Some(dhcp), places),
            nat64,
            health: self.health(file.health.unwrap_or_default()),
            web: self.web(file.web.unwrap_or_default()),
            census,
            pilot,
            ipv4,
            ddns: file.ddns.and_then(|ddns| self.ddns(ddns)),
            relay,
            history: self.history(file.history),
            proxy,
            plugins: self.measure(file.measure.unwrap_or_default()),
            leasequery: self.leasequery(file.leasequery),
            reconfigure: (file.reconfigure)
                .map(|section| Reconfigure { on_renumbering: section.on_renumbering.unwrap_or(true) }),
        }
    }

    pub(super) fn dhcp(&mut self, dhcp: &mut file::Dhcp) -> Dhcp {
        let balance = self.balance(dhcp.buckets.take(), dhcp.server_name.take(), dhcp.service_delay.take());
        Dhcp {
            rapid_commit: dhcp.rapid_commit.unwrap_or(true),
            preference: dhcp.preference,
            balance,
            leases: dhcp.leases.map_or(LEASES, |leases| leases.get() as usize),
        }
    }

    pub(super) fn interface(&mut self, name: Spanned<String>, key: &str) -> Located {
        let span = name.span();
        let value = name.into_inner();
        // IFNAMSIZ is 16 with its final zero; the kernel refuses these characters.
        if value.is_empty()
            || value.len() > 15
            || value.contains(['/', ':'])
            || value.contains(char::is_whitespace)
        {
            self.error(
                span.clone(),
                key,
                format!("`{value}` cannot be the name of an interface"),
                "write a name as `ip link` shows it: at most 15 characters, no space, `/` or `:`",
            );
        }
        Located { value, span }
    }

    pub(super) fn prefixes(
        &mut self,
        texts: Option<Vec<Spanned<String>>>,
        key: &str,
        lengths: std::ops::RangeInclusive<u8>,
        remedy: &str,
    ) -> Vec<Ipv6Net> {
        let mut nets = Vec::new();
        for text in texts.unwrap_or_default() {
            let Some(net) = self.prefix(&text, key, remedy) else { continue };
            if !lengths.contains(&net.prefix_len()) {
                self.error(text.span(), key, format!("{net} has {} bits", net.prefix_len()), remedy);
            }
            nets.push(net);
        }
        nets
    }

    pub(super) fn prefix(&mut self, text: &Spanned<String>, key: &str, remedy: &str) -> Option<Ipv6Net> {
        let Ok(net) = text.get_ref().parse::<Ipv6Net>() else {
            self.error(text.span(), key, format!("`{}` is not an IPv6 prefix", text.get_ref()), remedy);
            return None;
        };
        if net.addr() != net.network() {
            self.error(
                text.span(),
                key,
                format!("`{net}` has bits set beyond its length"),
                format!("did you mean `{}`?", net.trunc()),
            );
            return None;
        }
        if net.addr().is_multicast() || net.addr().is_unicast_link_local() {
            self.error(
                text.span(),
                key,
                format!("`{net}` cannot be a LAN's prefix: it is multicast or link-local"),
                "use a global prefix, or a unique local one from fd00::/8",
            );
            return None;
        }
        Some(net)
    }

    pub(super) fn seconds(
        &mut self,
        value: Option<Spanned<file::Seconds>>,
        key: &str,
        default: u64,
        least: u64,
        most: u64,
    ) -> Duration {
        let Some(value) = value else { return Duration::from_secs(default) };
        let seconds = value.get_ref().0;
        if seconds < least || seconds > most {
            self.error(
                value.span(),
                key,
                format!("{seconds} s is out of range"),
                format!("choose {least} to {most} seconds"),
            );
        }
        Duration::from_secs(seconds)
    }
}
