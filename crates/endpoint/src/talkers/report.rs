//! What [`Talkers`] tells: entries, the report, the status.

use super::level::{Key, Level};
use super::table::{Place, Table};
use super::{Talkers, Total};
use crate::{Endpoint, Family};
use ipnet::IpNet;
use std::cmp::Reverse;
use std::collections::HashMap;
use std::fmt;

/// An address or a network that talks. Printed: `2001:db8::/64 seen 17, at most 20, about 3 addresses`.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct Entry {
    /// Who: of an address, a prefix of full length.
    #[cfg_attr(feature = "serde", serde(serialize_with = "serialize_prefix"))]
    pub prefix: IpNet,
    /// Weight that it is known to have sent: the true weight is not less.
    pub seen: u64,
    /// Weight that may have been missed before it had its place: the true weight is at most `seen + error`.
    pub error: u64,
    /// About how many addresses of the network have sent; `None` for an address. Often a third off, hardly ever a
    /// factor of ten.
    pub sources: Option<u64>,
}

impl Entry {
    fn new(table: &Table, key: Key, place: &Place) -> Self {
        Self {
            prefix: table.level().prefix(key),
            seen: place.seen,
            error: place.error,
            sources: table.sources(place),
        }
    }

    /// The count: the true weight lies in `[count() - error, count()]`.
    pub fn count(&self) -> u64 {
        self.seen + self.error
    }

    /// Who, as it is printed everywhere: an address alone (`2001:db8::1`), a network with its length
    /// (`2001:db8::/64`).
    pub fn prefix_text(&self) -> String {
        prefix_text(&self.prefix)
    }

    /// Those with the most seen first; then by count, then by prefix.
    fn rank(&self) -> (Reverse<u64>, Reverse<u64>, IpNet) {
        (Reverse(self.seen), Reverse(self.count()), self.prefix)
    }
}

fn prefix_text(prefix: &IpNet) -> String {
    if prefix.prefix_len() == prefix.max_prefix_len() {
        Endpoint::new(prefix.addr()).to_string()
    } else {
        prefix.to_string()
    }
}

#[cfg(feature = "serde")]
fn serialize_prefix<S: serde::Serializer>(prefix: &IpNet, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&prefix_text(prefix))
}

impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} seen {}", self.prefix_text(), self.seen)?;
        if self.error > 0 {
            write!(f, ", at most {}", self.count())?;
        }
        match self.sources {
            None => Ok(()),
            Some(1) => f.write_str(", about 1 address"),
            Some(sources) => write!(f, ", about {sources} addresses"),
        }
    }
}

/// Between what a weight lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// Of what.
    pub prefix: IpNet,
    /// Not less.
    pub at_least: u64,
    /// Not more.
    pub at_most: u64,
}

/// Who is to blame: a line for each address or network, named where its traffic comes together and nowhere
/// else.
///
/// Printed as a table, one line each. IPv4 and IPv6 are measured each against its own total, so that a flood
/// of one hides nobody of the other.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct Report {
    /// The largest rest first.
    pub lines: Vec<Line>,
    /// All weight of IPv6.
    pub total_v6: u64,
    /// All weight of IPv4.
    pub total_v4: u64,
}

/// A line of a [`Report`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct Line {
    /// Who.
    #[cfg_attr(feature = "serde", serde(flatten))]
    pub entry: Entry,
    /// What was seen of it and is not on another line, of a part of it.
    pub rest: u64,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "IPv6 {} in all, IPv4 {} in all", self.total_v6, self.total_v4)?;
        for Line { entry, rest } in &self.lines {
            let total = if entry.prefix.addr().is_ipv4() { self.total_v4 } else { self.total_v6 };
            write!(f, "\n{:5.1} %  {entry}", share(*rest, total))?;
            if *rest < entry.seen {
                write!(f, ", {rest} without its parts on other lines")?;
            }
        }
        Ok(())
    }
}

#[allow(clippy::cast_precision_loss)]
fn share(part: u64, whole: u64) -> f64 {
    100.0 * part as f64 / whole.max(1) as f64
}

/// State of a [`Talkers`], for `status`.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct Status {
    /// Octets of its tables: fixed.
    pub memory: usize,
    /// Weight of IPv6 since it was made, never aged.
    pub total_v6: u64,
    /// Weight of IPv4 since it was made, never aged.
    pub total_v4: u64,
    /// Each level.
    pub levels: Vec<LevelStatus>,
}

/// State of one level.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct LevelStatus {
    /// Which.
    #[cfg_attr(feature = "serde", serde(serialize_with = "serialize_level"))]
    pub level: Level,
    /// Entries at most.
    pub capacity: usize,
    /// Entries now.
    pub used: usize,
    /// How often an entry lost its place to another.
    pub replaced: u64,
    /// How often a key was given no place because the network around it had just displaced another.
    pub waived: u64,
}

// By reference, as serde calls it.
#[cfg(feature = "serde")]
#[allow(clippy::trivially_copy_pass_by_ref)]
pub(super) fn serialize_level<S: serde::Serializer>(level: &Level, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(level)
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { memory, total_v6, total_v4, levels } = self;
        write!(f, "memory {memory} octets, counted IPv6 {total_v6}, IPv4 {total_v4}")?;
        for LevelStatus { level, capacity, used, replaced, waived } in levels {
            write!(f, "\n{level:9}  {used} of {capacity} entries, {replaced} replaced, {waived} waived")?;
        }
        Ok(())
    }
}

impl Talkers {
    /// Every entry of a level, in no order.
    pub fn entries(&self, level: Level) -> impl Iterator<Item = Entry> + '_ {
        let table = self.table(level);
        table.iter().map(move |(key, place)| Entry::new(table, key, &place))
    }

    /// The `n` entries of a level of which most was seen, the first first.
    pub fn top(&self, level: Level, n: usize) -> Vec<Entry> {
        let mut entries: Vec<_> = self.entries(level).collect();
        entries.sort_by_key(Entry::rank);
        entries.truncate(n);
        entries
    }

    /// Everybody with at least so many percent of its family's weight: an address where it is one address,
    /// the /64 where it is many of one /64, and so on up to /48 and /24. A network has a line only where what
    /// was seen of it, without what its parts have lines for, is enough in itself.
    pub fn report(&self, percent: f64) -> Report {
        let mut lines = Vec::new();
        for family in Family::BOTH {
            self.report_family(family, percent, &mut lines);
        }
        lines.sort_by_key(|line| (Reverse(line.rest), line.entry.rank()));
        Report { lines, total_v6: self.total_v6.now, total_v4: self.total_v4.now }
    }

    fn report_family(&self, family: Family, percent: f64, lines: &mut Vec<Line>) {
        #[allow(clippy::cast_precision_loss, clippy::cast_sign_loss)]
        let threshold = ((self.total(family) as f64 * percent / 100.0).ceil() as u64).max(1);
        // From fine to coarse: what has a line of its own, by the key that is asked for next.
        let mut named: HashMap<u64, u64> = HashMap::new();
        for &level in Level::of(family).iter().rev() {
            let mut above: HashMap<u64, u64> = HashMap::new();
            for (&net, &weight) in &named {
                let sum = above.entry(net & level.mask()).or_default();
                *sum = sum.saturating_add(weight);
            }
            let table = self.table(level);
            for (key, place) in table.iter() {
                let explained = if level.is_host() { 0 } else { above.get(&key.net).copied().unwrap_or(0) };
                let rest = place.seen.saturating_sub(explained);
                if rest >= threshold {
                    lines.push(Line { entry: Entry::new(table, key, &place), rest });
                    let sum = above.entry(key.net).or_default();
                    *sum = sum.saturating_add(rest);
                }
            }
            named = above;
        }
    }

    /// Its state.
    pub fn status(&self) -> Status {
        let tables = || self.v6.iter().chain(&self.v4);
        let Total { ever: total_v6, .. } = self.total_v6;
        let Total { ever: total_v4, .. } = self.total_v4;
        Status {
            memory: tables().map(|table| Table::bytes(table.places())).sum(),
            total_v6,
            total_v4,
            levels: tables()
                .map(|table| LevelStatus {
                    level: table.level(),
                    capacity: table.places(),
                    used: table.used(),
                    replaced: table.replaced,
                    waived: table.waived,
                })
                .collect(),
        }
    }
}
