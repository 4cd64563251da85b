//! The configuration file: one TOML file, read into [`Config`] or into [`Diagnostic`]s that teach.
//!
//! `file.rs` is the file as it is written, key for key; `mod.rs` is what the rest of the program works with, checked
//! for everything that can be known without looking at the machine. What depends on the machine (does the interface
//! exist?) is asked by [`Config::check_links`].

mod balance;
mod census;
mod ddns;
mod diagnostic;
mod dns64;
mod dnssec;
mod file;
mod health;
mod history;
mod ipv4;
mod leasequery;
mod nat64;
mod policy;
mod profile;
mod relay;
mod remote;
mod shape;
mod v4;
mod web;

pub(crate) use census::Census;
pub(crate) use ddns::Ddns;
pub(crate) use diagnostic::{Diagnostic, Severity};
pub(crate) use health::Health;
pub(crate) use history::History;
pub(crate) use ipv4::{Internet, Ipv4};
pub(crate) use nat64::Nat64;
pub(crate) use policy::Served;
pub(crate) use profile::ProfileArgs;
pub(crate) use relay::{LanRelay, Relay};
pub(crate) use remote::{Relays, Subnet};
pub(crate) use shape::Shape;
pub(crate) use v4::{LanIpv4, MOST_LEASES, Pilot};

use file::File;
use ipnet::Ipv6Net;
use sixgate_dhcp::balance::Balance;
use sixgate_dhcp::identity::{Key, Learnt};
use sixgate_dns::{Dnssec, Names};
use sixgate_endpoint::nat64::Prefix;
use sixgate_endpoint::{Endpoint, Family};
use std::collections::BTreeMap;
use std::io::Read as _;
use std::net::IpAddr;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::Duration;
use toml::Spanned;

/// The commented file with every key and its default; `sixgate check --reference` prints it, a test parses it.
pub(crate) const REFERENCE: &str = include_str!("reference.toml");

/// Where the configuration is looked for when the command line names none.
pub(crate) const DEFAULT_PATH: &str = "/etc/sixgate.toml";

/// Folder for the DUID and the leases where the file names none.
const STATE: &str = "/var/lib/sixgate";
/// The control socket where the file names none.
const CONTROL: &str = "/run/sixgate/control";

/// Longest file that is read, in octets.
const LONGEST: u64 = 16 << 20;

/// What `sixgate up` shall do.
#[derive(Debug, Clone)]
pub(crate) struct Config {
    /// The file it came from.
    pub(crate) path: PathBuf,
    /// Its text, for messages that point into it later.
    text: String,
    /// Folder for the DUID and the leases.
    pub(crate) state: PathBuf,
    /// Path of the control socket.
    pub(crate) control: PathBuf,
    /// Group that may use the control socket beside root.
    pub(crate) control_group: Option<String>,
    pub(crate) firewall: bool,
    pub(crate) uplink: Option<Uplink>,
    pub(crate) lans: Vec<Lan>,
    /// None: no relay agent is heard.
    pub(crate) relays: Option<Relays>,
    /// Links behind relay agents.
    pub(crate) subnets: Vec<Subnet>,
    pub(crate) dns: Dns,
    pub(crate) dhcp: Dhcp,
    /// Who gets what by DHCPv6.
    pub(crate) served: Served,
    /// None: IPv6 hosts reach IPv4 by other means, or not at all.
    pub(crate) nat64: Option<Nat64>,
    /// None: nobody looks whether each family works.
    pub(crate) health: Option<Health>,
    /// Port of the dashboard; none where it is off.
    pub(crate) web: Option<u16>,
    /// None: nobody is watched, and nothing of it is kept.
    pub(crate) census: Option<Census>,
    pub(crate) pilot: Pilot,
    /// None: IPv4 on the LANs is left alone.
    pub(crate) ipv4: Option<Ipv4>,
    /// None: names of clients stay here.
    pub(crate) ddns: Option<Ddns>,
    /// What holds for LANs that are relayed.
    pub(crate) relay: Relay,
    pub(crate) history: History,
    /// Networks of those who may ask about leases.
    pub(crate) leasequery: Vec<Ipv6Net>,
    /// None: no client is asked to come back.
    pub(crate) reconfigure: Option<Reconfigure>,
}

/// Leases that a campus fits in; a hundred of them take some twenty kilobytes.
const LEASES: usize = 65_536;

/// What holds for the DHCPv6 server on every LAN.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Dhcp {
    /// Whether a client that asks for it is bound in two messages instead of four.
    pub(crate) rapid_commit: bool,
    /// Sent in Advertise messages: clients take the server with the highest.
    pub(crate) preference: Option<u8>,
    /// Which clients are ours, where several servers share them; none: all are.
    pub(crate) balance: Option<Balance>,
    /// Most leases at one time, all LANs together.
    pub(crate) leases: usize,
}

/// The side that the ISP is on.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Uplink {
    pub(crate) interface: Located,
    /// Whether to ask for an address by DHCPv6 (IA_NA).
    pub(crate) address: bool,
    /// Whether to ask for a prefix (IA_PD).
    pub(crate) prefix: bool,
    /// Length to ask for, in bits.
    pub(crate) prefix_length: Option<u8>,
    pub(crate) rapid_commit: bool,
    /// Whether Reconfigure messages are accepted (only authenticated ones ever are).
    pub(crate) reconfigure: bool,
    /// Whether a clean stop gives the leases back.
    pub(crate) release: bool,
    /// A resolv.conf to keep up to date with the resolvers learnt here.
    pub(crate) resolv_conf: Option<PathBuf>,
    /// Name told to the server (RFC 4704).
    pub(crate) hostname: Option<String>,
    /// Classes that it says it belongs to (RFC 9915 section 21.15).
    pub(crate) user_class: Vec<Vec<u8>>,
    /// None: packets wait where the link has its queue.
    pub(crate) shape: Option<Shape>,
}

impl Uplink {
    /// The keys by which the two differ.
    fn differences(&self, new: &Self) -> Vec<&'static str> {
        [
            ("uplink.interface", self.interface != new.interface),
            ("uplink.address", self.address != new.address),
            ("uplink.prefix", self.prefix != new.prefix),
            ("uplink.prefix-length", self.prefix_length != new.prefix_length),
            ("uplink.rapid-commit", self.rapid_commit != new.rapid_commit),
            ("uplink.reconfigure", self.reconfigure != new.reconfigure),
            ("uplink.release", self.release != new.release),
            ("uplink.resolv-conf", self.resolv_conf != new.resolv_conf),
            ("uplink.hostname", self.hostname != new.hostname),
            ("uplink.user-class", self.user_class != new.user_class),
            ("uplink.shape", !shape::only_rates_differ(self.shape.as_ref(), new.shape.as_ref())),
        ]
        .into_iter()
        .filter_map(|(key, differs)| differs.then_some(key))
        .collect()
    }
}

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
}

/// RFC 4191 section 2.1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum RouterPreference {
    Low,
    Medium,
    High,
}

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

/// Clients that agree are asked to come back (RFC 9915 section 18.3.11).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Reconfigure {
    /// Whether they are when what a LAN gives has changed.
    pub(crate) on_renumbering: bool,
}

/// A word of the file and where it stands.
#[derive(Debug, Clone)]
pub(crate) struct Located {
    pub(crate) value: String,
    pub(crate) span: Range<usize>,
}

impl PartialEq for Located {
    /// Two are the same when they say the same, wherever they stand: a reload compares meanings.
    fn eq(&self, other: &Self) -> bool {
        self.value == other.value
    }
}

/// A configuration, and what is doubtful in it.
#[derive(Debug, Clone)]
pub(crate) struct Checked {
    pub(crate) config: Config,
    pub(crate) warnings: Vec<Diagnostic>,
}

impl Config {
    /// Reads and checks the file at `path`.
    pub(crate) fn load(path: &Path) -> Result<Checked, Vec<Diagnostic>> {
        let text = read(path).map_err(|error| {
            let remedy = match error.kind() {
                std::io::ErrorKind::NotFound => {
                    format!("name the file with --config FILE, or write one: sixgate check --reference > {DEFAULT_PATH}")
                }
                std::io::ErrorKind::PermissionDenied => "run as root, or make the file readable".to_owned(),
                _ => "make it a readable text file".to_owned(),
            };
            vec![Diagnostic::whole(path, format!("cannot read the configuration: {error}"), remedy)]
        })?;
        let mut checked = Self::parse(path, &text)?;
        let warnings = checked.config.load_reservations()?;
        checked.warnings.extend(warnings);
        Ok(checked)
    }

    /// Checks `text`; `path` is for messages only.
    pub(crate) fn parse(path: &Path, text: &str) -> Result<Checked, Vec<Diagnostic>> {
        let file = file::parse(path, text).map_err(|diagnostic| vec![*diagnostic])?;
        let mut reader = Reader { path, text, errors: Vec::new(), warnings: Vec::new() };
        let config = reader.config(file);
        if reader.errors.is_empty() {
            Ok(Checked { config, warnings: reader.warnings })
        } else {
            reader.errors.extend(reader.warnings);
            Err(reader.errors)
        }
    }

    /// The interfaces that are ours: the uplink's, then the LANs'.
    pub(crate) fn interfaces(&self) -> impl Iterator<Item = &str> {
        let uplink = self.uplink.iter().map(|uplink| &uplink.interface);
        uplink.chain(self.lans.iter().map(|lan| &lan.interface)).map(|interface| interface.value.as_str())
    }

    /// Asks the machine: every interface must be among `links`.
    pub(crate) fn check_links(&self, links: &[String]) -> Vec<Diagnostic> {
        let interfaces = (self.uplink.iter().map(|uplink| ("uplink.interface", &uplink.interface)))
            .chain(self.lans.iter().map(|lan| ("lan.interface", &lan.interface)))
            .chain(self.relays.iter().flat_map(|r| &r.interfaces).map(|i| ("relays.interfaces", i)));
        interfaces
            .filter(|(_, interface)| !links.contains(&interface.value))
            .map(|(key, interface)| {
                let known = links.iter().map(String::as_str).filter(|name| *name != "lo");
                let remedy = match diagnostic::nearest(&interface.value, known.clone()) {
                    Some(near) => format!("did you mean `{near}`? "),
                    None => String::new(),
                } + &match known.collect::<Vec<_>>() {
                    names if names.is_empty() => {
                        "this machine has no network interface but loopback".to_owned()
                    }
                    names => format!("this machine has: {}", names.join(", ")),
                };
                self.diagnostic(
                    interface,
                    key,
                    format!("there is no interface `{}`", interface.value),
                    remedy,
                )
            })
            .collect()
    }

    /// Whether a LAN or a subnet is called so.
    pub(crate) fn has_link(&self, name: &str) -> bool {
        let subnets = self.subnets.iter().map(|subnet| &subnet.name);
        self.lans.iter().map(|lan| &lan.name).chain(subnets).any(|known| known == name)
    }

    /// A finding about a word of the file.
    pub(crate) fn diagnostic(&self, at: &Located, key: &str, message: String, remedy: String) -> Diagnostic {
        Diagnostic::at(&self.path, &self.text, at.span.clone(), key, message, remedy)
    }

    /// Whether anybody is asked over IPv4, a resolver or a target of `[health]`: what such sockets are opened for.
    pub(crate) fn needs_ipv4(&self) -> bool {
        let probed = self.health.as_ref().is_some_and(|health| !health.targets.is_empty());
        probed || self.dns.upstreams.iter().any(|upstream| upstream.family() == Family::V4)
    }

    /// What in `new` cannot be taken over while running, as the keys that differ.
    pub(crate) fn needs_restart(&self, new: &Self) -> Vec<&'static str> {
        let mut keys = Vec::new();
        if self.state != new.state {
            keys.push("state");
        }
        if self.control != new.control || self.control_group != new.control_group {
            keys.push("control");
        }
        match (&self.uplink, &new.uplink) {
            (Some(old), Some(new)) => keys.extend(old.differences(new)),
            (None, None) => {}
            _ => keys.push("uplink"),
        }
        if self.dns.enabled != new.dns.enabled {
            keys.push("dns.enabled");
        }
        // A running sixgate that asks nobody over IPv4 has given up opening such sockets.
        if new.needs_ipv4() && !self.needs_ipv4() {
            keys.push(if self.health == new.health { "dns.upstreams" } else { "health.targets" });
        }
        if self.dhcp != new.dhcp {
            keys.push("dhcp");
        }
        if self.ddns != new.ddns {
            keys.push("ddns");
        }
        if self.firewall != new.firewall {
            keys.push("firewall");
        }
        if self.nat64 != new.nat64 {
            keys.push("nat64");
        }
        // Its sockets take capabilities that a running sixgate has given up.
        if self.leasequery.is_empty() != new.leasequery.is_empty() {
            keys.push("leasequery");
        }
        if self.reconfigure.is_some() != new.reconfigure.is_some() {
            keys.push("reconfigure");
        }
        if self.history != new.history {
            keys.push("history");
        }
        if self.web != new.web {
            keys.push("web");
        }
        // A running sixgate has given up what it takes to look at a LAN.
        if self.census.is_none() && new.census.is_some() {
            keys.push("census.enabled");
        }
        let internet = |config: &Self| config.ipv4.as_ref().map(|ipv4| ipv4.internet);
        if internet(self) != internet(new) {
            keys.push("ipv4.internet");
        }
        let segments = |config: &Self| -> Vec<(String, String)> {
            config.lans.iter().map(|lan| (lan.name.clone(), lan.interface.value.clone())).collect()
        };
        let edges = |config: &Self| config.relays.as_ref().map(|relays| relays.interfaces.clone());
        if edges(self) != edges(new) {
            keys.push("relays.interfaces");
        }
        if segments(self) != segments(new) {
            keys.push("lan.interface");
        }
        // Its sockets take capabilities that a running sixgate has given up.
        if self.lans.iter().zip(&new.lans).any(|(old, new)| old.ipv4.is_some() != new.ipv4.is_some()) {
            keys.push("lan.ipv4");
        }
        // So does looking at frames, and ports below 1024.
        let relays =
            |config: &Self| -> Vec<bool> { config.lans.iter().map(|lan| lan.relay.is_some()).collect() };
        if relays(self) != relays(new) {
            keys.push("lan.relay");
        }
        if self.relay.port != new.relay.port {
            keys.push("relay-agent.port");
        }
        if self.relay.client_link_layer != new.relay.client_link_layer {
            keys.push("relay-agent.client-link-layer");
        }
        keys
    }
}

/// Where a running sixgate is found, and what it keeps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Places {
    pub(crate) control: PathBuf,
    pub(crate) state: PathBuf,
}

impl Places {
    /// From the file at `path`, mistakes or not: the sixgate that runs may have read it before they were made, and its status must
    /// be seen all the more.
    pub(crate) fn load(path: &Path) -> Result<Self, Vec<Diagnostic>> {
        let findings = match Config::load(path) {
            Ok(Checked { config, .. }) => return Ok(Self { control: config.control, state: config.state }),
            Err(findings) => findings,
        };
        let Ok(text) = read(path) else { return Err(findings) };
        let table: toml::Table = toml::from_str(&text).unwrap_or_default();
        let place = |key: &str, default: &str| {
            PathBuf::from(table.get(key).and_then(toml::Value::as_str).unwrap_or(default))
        };
        Ok(Self { control: place("control", CONTROL), state: place("state", STATE) })
    }
}

/// Turns the file as written into the configuration as meant, collecting everything that is wrong on the way.
struct Reader<'a> {
    path: &'a Path,
    text: &'a str,
    errors: Vec<Diagnostic>,
    warnings: Vec<Diagnostic>,
}

/// Prefix lengths that can be delegated, in bits.
const DELEGATED: std::ops::RangeInclusive<u8> = 16..=64;

impl Reader<'_> {
    fn error(
        &mut self,
        span: Range<usize>,
        key: &str,
        message: impl Into<String>,
        remedy: impl Into<String>,
    ) {
        self.errors.push(Diagnostic::at(self.path, self.text, span, key, message.into(), remedy.into()));
    }

    fn warn(&mut self, span: Range<usize>, key: &str, message: impl Into<String>, remedy: impl Into<String>) {
        let diagnostic = Diagnostic::at(self.path, self.text, span, key, message.into(), remedy.into());
        self.warnings.push(diagnostic.warning());
    }

    fn config(&mut self, file: File) -> Config {
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
            leasequery: self.leasequery(file.leasequery),
            reconfigure: (file.reconfigure)
                .map(|section| Reconfigure { on_renumbering: section.on_renumbering.unwrap_or(true) }),
        }
    }

    fn dhcp(&mut self, dhcp: &mut file::Dhcp) -> Dhcp {
        let balance = self.balance(dhcp.buckets.take(), dhcp.server_name.take(), dhcp.service_delay.take());
        Dhcp {
            rapid_commit: dhcp.rapid_commit.unwrap_or(true),
            preference: dhcp.preference,
            balance,
            leases: dhcp.leases.map_or(LEASES, |leases| leases.get() as usize),
        }
    }

    fn uplink(&mut self, uplink: file::Uplink, host: bool) -> Uplink {
        let interface = self.interface(uplink.interface, "uplink.interface");
        let prefix_length = uplink.prefix_length.and_then(|length| {
            let span = length.span();
            let value = *length.get_ref();
            if !DELEGATED.contains(&value) {
                self.error(
                    span,
                    "uplink.prefix-length",
                    format!("a prefix of {value} bits cannot be delegated to a gateway"),
                    "ask for 48 to 64; 56 is what most ISPs give a home",
                );
                return None;
            }
            Some(value)
        });
        let shape = uplink.shape.and_then(|shape| self.shape(shape));
        let classes = uplink.user_class.unwrap_or_default();
        let user_class = classes
            .into_iter()
            .filter_map(|class| self.identifier(Some(class), "uplink.user-class"))
            .collect();
        Uplink {
            interface,
            shape,
            address: uplink.address.unwrap_or(true),
            prefix: uplink.prefix.unwrap_or(!host),
            prefix_length,
            rapid_commit: uplink.rapid_commit.unwrap_or(false),
            reconfigure: uplink.reconfigure.unwrap_or(true),
            release: uplink.release.unwrap_or(false),
            resolv_conf: uplink.resolv_conf,
            hostname: uplink.hostname,
            user_class,
        }
    }

    fn lan(&mut self, lan: file::Lan, index: u64, has_uplink: bool) -> Lan {
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
        }
    }

    fn dns(&mut self, dns: file::Dns, lans: &[(Lan, Range<usize>)]) -> Dns {
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

    fn interface(&mut self, name: Spanned<String>, key: &str) -> Located {
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

    fn prefixes(
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

    fn prefix(&mut self, text: &Spanned<String>, key: &str, remedy: &str) -> Option<Ipv6Net> {
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

    fn seconds(
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

    /// No interface and no LAN name stands twice.
    fn check_interfaces(&mut self, uplink: Option<&Uplink>, lans: &[(Lan, Range<usize>)]) {
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
    fn check_prefixes(&mut self, lans: &[(Lan, Range<usize>)]) {
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
    fn find(&self, lan: &Lan, word: &str) -> Range<usize> {
        let from = lan.interface.span.start;
        self.text
            .get(from..)
            .and_then(|rest| rest.find(word))
            .map_or(lan.interface.span.clone(), |at| from + at..from + at + word.len())
    }
}

/// The text of a file of reasonable size.
fn read(path: &Path) -> std::io::Result<String> {
    let mut text = String::new();
    std::fs::File::open(path)?.take(LONGEST + 1).read_to_string(&mut text)?;
    if text.len() as u64 > LONGEST {
        return Err(std::io::Error::new(
            std::io::ErrorKind::FileTooLarge,
            format!("it is longer than {} KiB", LONGEST >> 10),
        ));
    }
    Ok(text)
}

#[cfg(test)]
mod tests;
