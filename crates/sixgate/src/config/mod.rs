//! The configuration file: one TOML file, read into [`Config`] or into [`Diagnostic`]s that teach.
//!
//! `file.rs` is the file as it is written, key for key; [`Config`] is what the rest of the program works with, checked
//! for everything that can be known without looking at the machine. `reader.rs` leads from one to the other; each
//! section's type stands in a file of its own, with how it is read. What a running sixgate cannot take over is in
//! `restart.rs`. What depends on the machine (does the interface exist?) is asked by [`Config::check_links`].

mod balance;
mod census;
mod ddns;
mod diagnostic;
mod dns;
mod dns64;
mod dnssec;
mod file;
mod health;
mod history;
mod ipv4;
mod lan;
mod leasequery;
mod measure;
mod nat64;
mod places;
mod policy;
mod profile;
mod proxy;
mod reader;
mod relay;
mod remote;
mod restart;
mod shape;
mod uplink;
mod v4;
mod web;

pub(crate) use census::Census;
pub(crate) use ddns::Ddns;
pub(crate) use diagnostic::{Diagnostic, Severity};
pub(crate) use dns::Dns;
pub(crate) use health::Health;
pub(crate) use history::History;
pub(crate) use ipv4::{Internet, Ipv4};
pub(crate) use lan::{Lan, RouterPreference};
pub(crate) use measure::Plugin;
pub(crate) use nat64::Nat64;
pub(crate) use places::Places;
pub(crate) use policy::Served;
pub(crate) use profile::ProfileArgs;
pub(crate) use proxy::Proxy;
pub(crate) use relay::{LanRelay, Relay};
pub(crate) use remote::{Relays, Subnet};
pub(crate) use shape::Shape;
pub(crate) use uplink::Uplink;
pub(crate) use v4::{LanIpv4, MOST_LEASES, Pilot};

use ipnet::Ipv6Net;
use reader::Reader;
use sixgate_dhcp::balance::Balance;
use sixgate_endpoint::Family;
use std::io::Read as _;
use std::ops::Range;
use std::path::{Path, PathBuf};

/// The commented file with every key and its default; `sixgate check --reference` prints it, a test parses it.
pub(crate) const REFERENCE: &str = include_str!("reference.toml");

/// Where the configuration is looked for when the command line names none.
pub(crate) const DEFAULT_PATH: &str = "/etc/sixgate.toml";

/// Folder for the DUID and the leases where the file names none.
const STATE: &str = "/var/lib/sixgate";
/// The control socket where the file names none.
const CONTROL: &str = "/run/sixgate/control";

/// Prefix lengths that can be delegated, in bits.
const DELEGATED: std::ops::RangeInclusive<u8> = 16..=64;

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
    /// None: clients go where they can go by themselves.
    pub(crate) proxy: Option<Proxy>,
    /// Programs that measure.
    pub(crate) plugins: Vec<Plugin>,
}

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

    /// Whether anybody is asked over IPv4, a resolver, a target of `[health]` or a server behind the proxy: what such sockets are opened for.
    pub(crate) fn needs_ipv4(&self) -> bool {
        let probed = self.health.as_ref().is_some_and(|health| !health.targets.is_empty());
        probed
            || self.proxy.is_some()
            || self.dns.upstreams.iter().any(|upstream| upstream.family() == Family::V4)
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
