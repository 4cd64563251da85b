//! What the control socket shows of the census, as values.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Everything that `sixgate census --json` prints. Times are seconds since the Unix epoch.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Census {
    /// What is kept of who a client is: `hashed` or `named`.
    pub(crate) privacy: String,
    /// Seconds for which a client is remembered after it was last seen.
    pub(crate) retention: u64,
    pub(crate) now: u64,
    /// Since when this sixgate watches; what earlier runs kept is older.
    pub(crate) since: u64,
    /// Whether names that have IPv4 alone are reached by translation here.
    pub(crate) translated: bool,
    /// The lower bound of a score from which on a client counts as ready.
    pub(crate) ready_from: f64,
    pub(crate) report: Report,
    /// Those first that are furthest from living without IPv4.
    pub(crate) clients: Vec<Client>,
    /// What clients needed IPv4 for, the most common first.
    pub(crate) needs: Vec<Common>,
    /// The days that were counted, the first one first.
    pub(crate) days: Vec<Day>,
    pub(crate) counters: BTreeMap<String, u64>,
}

/// The network as a whole.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Report {
    pub(crate) ready: Share,
    /// Among those whose hardware address is not made up.
    pub(crate) ready_stable: Share,
    pub(crate) without: Share,
    pub(crate) asking: Share,
    pub(crate) families: BTreeMap<String, Share>,
    pub(crate) stages: BTreeMap<String, u64>,
    pub(crate) lines: Vec<Line>,
}

/// A part of the clients, with its interval of 95 %.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) struct Share {
    pub(crate) count: u64,
    pub(crate) of: u64,
    pub(crate) low: f64,
    pub(crate) high: f64,
}

/// Where the network stands to a line.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Line {
    pub(crate) percent: u8,
    /// `reached`, `open` or `missed`.
    pub(crate) stands: String,
}

/// One client.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Client {
    /// A keyed hash; `sixgate census --forget` takes it.
    pub(crate) id: String,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) link_layer: Option<String>,
    pub(crate) family: String,
    pub(crate) fingerprint: String,
    /// Its hardware address is made up: next time it may count as another.
    pub(crate) randomised: bool,
    pub(crate) stage: String,
    pub(crate) score: Score,
    pub(crate) ready: bool,
    pub(crate) asks_108: bool,
    /// Since when it was told to do without IPv4, and has not taken an address.
    pub(crate) told: Option<u64>,
    /// It looks for the NAT64's prefix by name (RFC 7050).
    pub(crate) discovers_nat64: bool,
    /// It looks for an encrypted resolver (RFC 9462).
    pub(crate) discovers_resolver: bool,
    pub(crate) arp: Arp,
    pub(crate) needs: Vec<Need>,
    pub(crate) first: u64,
    pub(crate) last: u64,
}

/// The chance that an hour goes well without IPv4.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) struct Score {
    pub(crate) best: f64,
    pub(crate) low: f64,
    pub(crate) high: f64,
    /// Hours that it rests on.
    pub(crate) hours: u32,
}

/// ARP frames that a client sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Arp {
    pub(crate) last_minute: u32,
    pub(crate) this_hour: u32,
    pub(crate) last_hour: u32,
    pub(crate) total: u64,
}

/// Something that a client needed IPv4 for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Need {
    /// `name`, `name-asked-by-ipv4`, `address` or `neighbour`.
    pub(crate) kind: String,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) what: Option<String>,
    pub(crate) count: u32,
    pub(crate) last: u64,
}

/// Something that several clients needed IPv4 for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Common {
    pub(crate) kind: String,
    pub(crate) what: String,
    /// 64 stands for that many or more.
    pub(crate) clients: u64,
    pub(crate) last: u64,
}

/// The clients of one day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Day {
    /// Its first second (UTC).
    pub(crate) from: u64,
    pub(crate) clients: u64,
    pub(crate) ready: u64,
    pub(crate) without: u64,
    pub(crate) asking: u64,
}

/// What became of `--forget`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Forgotten {
    pub(crate) forgotten: u64,
}
