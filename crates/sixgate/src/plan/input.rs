//! What is to be planned: from a file or from the command line.

use super::Arguments;
use clap::ValueEnum;
use ipnet::Ipv6Net;
use serde::Deserialize;
use std::io::Read as _;
use std::net::Ipv6Addr;
use std::path::{Path, PathBuf};

/// Most servers that are laid out: more parts than this nobody looks after by hand.
pub(super) const MOST_SERVERS: usize = 64;
/// Most subnets of a plan.
const MOST_SUBNETS: u32 = 100_000;
/// Longest file that is read, in octets.
const LONGEST: u64 = 16 << 20;
/// For how long a lease is valid where nobody says: as in `[[subnet]]`.
const LEASE: u64 = 24 * 3600;

/// How subnets lie over servers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Scheme {
    /// Each subnet is one server's.
    Divide,
    /// Each server has its part of every prefix.
    Split,
    /// Each link has a prefix for each server.
    Unique,
    /// All servers give from the whole prefix.
    Identical,
}

impl Scheme {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Divide => "divide",
            Self::Split => "split",
            Self::Unique => "unique",
            Self::Identical => "identical",
        }
    }

    /// What it means when a server is gone.
    pub(super) fn consequence(self) -> &'static str {
        match self {
            Self::Divide => {
                "load is shared, and nothing else: when a server is gone, nobody serves its subnets until it is back"
            }
            Self::Split => {
                "semi-redundant (RFC 6853 section 4.1): when a server is gone, its clients get other addresses from the others' \
                 parts"
            }
            Self::Unique => {
                "semi-redundant (RFC 6853 section 4.2): when a server is gone, its clients get addresses in the others' prefixes"
            }
            Self::Identical => {
                "semi-redundant (RFC 6853 section 4.3): two servers choose one address with the chance of two random numbers being \
                 alike; hosts detect it (DAD), servers do not"
            }
        }
    }
}

/// A link behind relay agents.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Subnet {
    pub(super) name: Option<String>,
    pub(super) prefixes: Vec<Ipv6Net>,
    /// Where addresses are given; in a plan's input the prefixes themselves.
    #[serde(skip)]
    pub(super) pools: Vec<Ipv6Net>,
    #[serde(default)]
    pub(super) delegate_from: Vec<Ipv6Net>,
    pub(super) delegate_length: Option<u8>,
}

/// All that is to be planned.
#[derive(Debug, Clone)]
pub(super) struct Input {
    pub(super) servers: Vec<String>,
    pub(super) scheme: Scheme,
    pub(super) interface: String,
    pub(super) relays: Vec<Ipv6Net>,
    /// None where nobody said.
    pub(super) clients: Option<u64>,
    /// Seconds for which a lease is valid.
    pub(super) lease: u64,
    pub(super) subnets: Vec<Subnet>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct File {
    servers: Option<Vec<String>>,
    scheme: Option<Scheme>,
    interface: Option<String>,
    relays: Option<Vec<Ipv6Net>>,
    clients: Option<u64>,
    lease: Option<String>,
    #[serde(default)]
    subnet: Vec<Subnet>,
}

/// Why nothing can be planned.
#[derive(Debug, thiserror::Error)]
pub(super) enum PlanError {
    #[error("cannot read {}: {source}", path.display())]
    Read { path: PathBuf, source: std::io::Error },
    #[error("{}: {message}", path.display())]
    Syntax { path: PathBuf, message: String },
    #[error("there is no subnet to plan")]
    NoSubnet,
    #[error("{count} subnets are more than a plan takes")]
    Subnets { count: u32 },
    #[error("{prefix} has no room for {count} /64s")]
    Room { prefix: Ipv6Net, count: u64 },
    #[error("no relay agent would be heard")]
    NoRelays,
    #[error("`{text}` is no time")]
    Time { text: String },
    #[error("the servers' names are not names, or not different ones")]
    Names,
    #[error("{prefix} cannot be cut into {parts} parts{}", what_for(*length))]
    Uncuttable { prefix: Ipv6Net, parts: usize, length: Option<u8> },
    #[error(
        "the subnet {subnet} has {count} prefixes, and each of the {servers} servers needs one of its own"
    )]
    TooFew { subnet: String, count: usize, servers: usize },
    #[error("prefixes cannot be delegated from {prefix} by servers that do not know of each other")]
    Delegation { prefix: Ipv6Net },
}

fn what_for(length: Option<u8>) -> String {
    length.map_or(String::new(), |length| format!(" of which prefixes of {length} bits could be delegated"))
}

impl PlanError {
    pub(super) fn remedy(&self) -> &'static str {
        match self {
            Self::Read { .. } | Self::Syntax { .. } => "see `sixgate plan --help` for what the file holds",
            Self::NoSubnet => "add [[subnet]] with prefixes to the file, or --from PREFIX --subnets COUNT",
            Self::Subnets { .. } => "plan at most 100000 subnets",
            Self::Room { .. } => "give a shorter prefix, or ask for fewer subnets",
            Self::NoRelays => {
                "add relays = [\"2001:db8:ff::/48\"] (--relays), the networks that the relay agents send from"
            }
            Self::Time { .. } => "write a number with s, m, h or d, such as 24h",
            Self::Names => {
                "name at most 64 servers, each another, with letters, digits, - and _; or write a number"
            }
            Self::Uncuttable { .. } => "give a shorter prefix, delegate longer ones, or have fewer servers",
            Self::TooFew { .. } => "add prefixes to the subnet, or take the scheme split, which needs one",
            Self::Delegation { .. } => {
                "take the scheme split or unique: two routers with one prefix are not found out by anybody, for there is no duplicate \
                 address detection of prefixes"
            }
        }
    }
}

/// The names of servers.
#[derive(Debug, Clone)]
pub(super) struct Servers(Vec<String>);

/// A number of servers, or their names.
pub(super) fn servers(text: &str) -> Result<Servers, String> {
    let names = match text.parse::<usize>() {
        Ok(count) => (1..=count.min(MOST_SERVERS + 1)).map(|number| format!("server{number}")).collect(),
        Err(_) => text.split(',').map(|name| name.trim().to_owned()).collect::<Vec<_>>(),
    };
    if are_names(&names) { Ok(Servers(names)) } else { Err(PlanError::Names.remedy().to_owned()) }
}

fn are_names(names: &[String]) -> bool {
    let fits = |name: &String| {
        !name.is_empty() && name.bytes().all(|octet| octet.is_ascii_alphanumeric() || b"-_".contains(&octet))
    };
    let different =
        (names.iter().enumerate()).all(|(at, name)| names.iter().take(at).all(|other| other != name));
    (1..=MOST_SERVERS).contains(&names.len()) && names.iter().all(fits) && different
}

/// A time in seconds.
pub(super) fn time(text: &str) -> Result<u64, String> {
    seconds(text).ok_or_else(|| format!("`{text}` is no time: write a number with s, m, h or d, such as 24h"))
}

fn seconds(text: &str) -> Option<u64> {
    let unit = match text.bytes().last()? {
        b's' => 1,
        b'm' => 60,
        b'h' => 3_600,
        b'd' => 86_400,
        _ => return text.parse().ok().filter(|seconds| *seconds > 0),
    };
    let number: u64 = text.get(..text.len() - 1)?.parse().ok()?;
    number.checked_mul(unit).filter(|seconds| *seconds > 0)
}

/// What file and flags say; flags win.
pub(super) fn read(arguments: &Arguments) -> Result<Input, PlanError> {
    let file = match &arguments.file {
        Some(path) => parse(path)?,
        None => File::default(),
    };
    let names = arguments.servers.as_ref().map(|Servers(names)| names.clone()).or(file.servers);
    let servers = names.unwrap_or_else(|| vec!["server1".to_owned()]);
    if !are_names(&servers) {
        return Err(PlanError::Names);
    }
    let lease = match (arguments.lease, file.lease) {
        (Some(lease), _) => lease,
        (None, Some(text)) => seconds(&text).ok_or(PlanError::Time { text })?,
        (None, None) => LEASE,
    };
    let scheme = arguments.scheme.or(file.scheme);
    let subnets = match arguments.from.zip(arguments.subnets) {
        Some((from, count)) => {
            let each = if scheme == Some(Scheme::Unique) { servers.len() } else { 1 };
            counted(from, count, each)?
        }
        None => file.subnet,
    };
    if subnets.is_empty() {
        return Err(PlanError::NoSubnet);
    }
    let usual = if subnets.len() >= servers.len() { Scheme::Divide } else { Scheme::Split };
    let relays =
        if arguments.relays.is_empty() { file.relays.unwrap_or_default() } else { arguments.relays.clone() };
    if relays.is_empty() {
        return Err(PlanError::NoRelays);
    }
    Ok(Input {
        servers,
        scheme: scheme.unwrap_or(usual),
        interface: arguments.interface.clone().or(file.interface).unwrap_or_else(|| "eth0".to_owned()),
        relays,
        clients: arguments.clients.or(file.clients),
        lease,
        subnets,
    })
}

fn parse(path: &Path) -> Result<File, PlanError> {
    let read = || {
        let mut text = String::new();
        std::fs::File::open(path)?.take(LONGEST).read_to_string(&mut text)?;
        Ok(text)
    };
    let text = read().map_err(|source| PlanError::Read { path: path.to_owned(), source })?;
    toml::from_str(&text).map_err(|error: toml::de::Error| {
        let what = error.message().lines().collect::<Vec<_>>().join(": ");
        let before = error.span().and_then(|span| text.get(..span.start)).filter(|before| !before.is_empty());
        let message = match before {
            Some(before) => format!("line {}: {what}", before.matches('\n').count() + 1),
            None => what,
        };
        PlanError::Syntax { path: path.to_owned(), message }
    })
}

/// `count` subnets with `each` /64s of `from`, one after the other.
fn counted(from: Ipv6Net, count: u32, each: usize) -> Result<Vec<Subnet>, PlanError> {
    if count > MOST_SUBNETS {
        return Err(PlanError::Subnets { count });
    }
    let needed = u64::from(count) * each as u64;
    let room = 64_u8
        .checked_sub(from.prefix_len())
        .map_or(0, |bits| 1_u64.checked_shl(bits.into()).unwrap_or(u64::MAX));
    if room < needed {
        return Err(PlanError::Room { prefix: from, count: needed });
    }
    let first = u128::from(from.network());
    let net = |number: u64| Ipv6Net::new_assert(Ipv6Addr::from(first | u128::from(number) << 64), 64);
    let subnet = |number: u64| Subnet {
        name: None,
        prefixes: (0..each as u64).map(|which| net(number * each as u64 + which)).collect(),
        pools: Vec::new(),
        delegate_from: Vec::new(),
        delegate_length: None,
    };
    Ok((0..u64::from(count)).map(subnet).collect())
}
