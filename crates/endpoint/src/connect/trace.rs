//! [`Trace`]: what a race did, and why.

use super::policy::Time;
use super::{Failure, FamilyChoice, Placed, Rule};
use crate::{Endpoint, Family, Host};
use std::fmt;
use std::time::Duration;

/// What is asked of the resolver.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "kebab-case"))]
pub enum Question {
    /// Service records (SVCB or HTTPS, RFC 9460), where the program uses them.
    Service,
    /// The addresses of IPv6: AAAA.
    V6,
    /// The addresses of IPv4: A.
    V4,
    /// The prefix of the network's NAT64: AAAA of [`WELL_KNOWN_NAME`](crate::nat64::WELL_KNOWN_NAME).
    Nat64,
}

impl Question {
    /// Every question.
    pub const ALL: [Self; 4] = [Self::Service, Self::V6, Self::V4, Self::Nat64];

    /// That for the addresses of a family.
    pub fn of(family: Family) -> Self {
        match family {
            Family::V4 => Self::V4,
            Family::V6 => Self::V6,
        }
    }

    pub(super) fn index(self) -> usize {
        match self {
            Self::Service => 0,
            Self::V6 => 1,
            Self::V4 => 2,
            Self::Nat64 => 3,
        }
    }
}

impl fmt::Display for Question {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Service => "service records",
            Self::V6 => "IPv6 addresses",
            Self::V4 => "IPv4 addresses",
            Self::Nat64 => "NAT64 prefix",
        })
    }
}

/// What became of a question.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct Asked {
    /// What was asked.
    pub question: Question,
    /// When, since the race began.
    #[cfg_attr(feature = "serde", serde(serialize_with = "seconds"))]
    pub at: Duration,
    /// When the (latest) answer came; `None` while there is none.
    #[cfg_attr(feature = "serde", serde(serialize_with = "some_seconds"))]
    pub answered: Option<Duration>,
    /// How many addresses it had.
    pub count: usize,
    /// How many of them were too many (see [`Policy::max_addresses`](super::Policy)).
    pub left_out: usize,
    /// Why there is no answer, in the resolver's words.
    pub failure: Option<String>,
}

/// A candidate in its place, when it was last sorted.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct Place {
    /// The address.
    #[cfg_attr(feature = "serde", serde(serialize_with = "text"))]
    pub to: Endpoint,
    /// From where.
    pub source: Option<std::net::IpAddr>,
    /// What put it there.
    pub rule: Rule,
    /// Whether it was moved because families alternate.
    pub interleaved: bool,
    /// Its round-trip time, where known.
    #[cfg_attr(feature = "serde", serde(serialize_with = "some_seconds"))]
    pub rtt: Option<Duration>,
    /// Whether it stands for an IPv4 address behind NAT64.
    pub synthesised: bool,
}

impl Place {
    pub(super) fn new(placed: &Placed, synthesised: bool) -> Self {
        let source = match placed.candidate.source {
            super::Source::Address { address, .. } => Some(address),
            _ => None,
        };
        Self {
            to: placed.candidate.to,
            source,
            rule: placed.rule,
            interleaved: placed.interleaved,
            rtt: placed.candidate.rtt,
            synthesised,
        }
    }
}

/// How an attempt ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It has not.
    UnderWay,
    /// It connected first.
    Won,
    /// Another connected first; it was closed.
    Lost,
    /// It was closed to make room for others.
    GaveWay,
    /// The race was given up.
    GivenUp,
    /// It did not connect.
    Failed(Failure),
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnderWay => f.write_str("under way"),
            Self::Won => f.write_str("connected"),
            Self::Lost => f.write_str("closed, as another connected first"),
            Self::GaveWay => f.write_str("no answer; closed to make room for others"),
            Self::GivenUp => f.write_str("no answer; closed when time was up"),
            Self::Failed(failure) => failure.fmt(f),
        }
    }
}

#[cfg(feature = "serde")]
impl serde::Serialize for Outcome {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// One attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct Attempted {
    /// Where to.
    #[cfg_attr(feature = "serde", serde(serialize_with = "text"))]
    pub to: Endpoint,
    /// When it started, since the race began.
    #[cfg_attr(feature = "serde", serde(serialize_with = "seconds"))]
    pub at: Duration,
    /// What put it in this place.
    pub rule: Rule,
    /// How long it took.
    #[cfg_attr(feature = "serde", serde(serialize_with = "some_seconds"))]
    pub took: Option<Duration>,
    /// How it ended.
    pub outcome: Outcome,
}

/// What a race did, when, and why. Times are since it began. `Display` is for people; with the feature
/// `serde` it serialises, times in seconds.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct Trace {
    /// To whom, as it was asked for.
    #[cfg_attr(feature = "serde", serde(serialize_with = "host"))]
    pub host: Option<Host>,
    /// Which families were allowed, and which preferred.
    pub family: FamilyChoice,
    /// What was asked of the resolver.
    pub questions: Vec<Asked>,
    /// Candidates that have not been tried, in order.
    pub order: Vec<Place>,
    /// Attempts in the order in which they started.
    pub attempts: Vec<Attempted>,
    /// When it was over.
    #[cfg_attr(feature = "serde", serde(serialize_with = "some_seconds"))]
    pub over: Option<Duration>,
}

impl Trace {
    /// The attempt that connected.
    pub fn winner(&self) -> Option<&Attempted> {
        self.attempts.iter().find(|attempt| attempt.outcome == Outcome::Won)
    }
}

impl fmt::Display for Trace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.host {
            Some(host) => writeln!(f, "{host} ({})", self.family)?,
            None => writeln!(f, "({})", self.family)?,
        }
        for asked in &self.questions {
            write!(f, "  {}: asked at {}", asked.question, Time(asked.at))?;
            match (&asked.failure, asked.answered) {
                (Some(failure), Some(at)) => write!(f, ", failed at {}: {failure}", Time(at))?,
                (_, Some(at)) => write!(f, ", {} at {}", asked.count, Time(at))?,
                (_, None) => write!(f, ", no answer")?,
            }
            if asked.left_out > 0 {
                write!(f, " ({} more left out)", asked.left_out)?;
            }
            writeln!(f)?;
        }
        for (number, attempt) in self.attempts.iter().enumerate() {
            write!(f, "  attempt {}: {} at {}", number + 1, attempt.to, Time(attempt.at))?;
            write!(f, " [{}]: {}", attempt.rule, attempt.outcome)?;
            match attempt.took {
                Some(took) => writeln!(f, " after {}", Time(took))?,
                None => writeln!(f)?,
            }
        }
        for (number, place) in self.order.iter().enumerate() {
            let verb = if self.attempts.is_empty() { "candidate" } else { "not tried" };
            write!(f, "  {verb} {}: {}", self.attempts.len() + number + 1, place.to)?;
            if let Some(source) = place.source {
                write!(f, " from {source}")?;
            }
            write!(f, " [{}]", place.rule)?;
            if let Some(rtt) = place.rtt {
                write!(f, ", round trip {}", Time(rtt))?;
            }
            if place.interleaved {
                write!(f, ", moved as families alternate")?;
            }
            if place.synthesised {
                write!(f, ", through NAT64")?;
            }
            writeln!(f)?;
        }
        Ok(())
    }
}

#[cfg(feature = "serde")]
pub(super) fn text<S: serde::Serializer>(value: &Endpoint, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(value)
}

#[cfg(feature = "serde")]
#[allow(clippy::ref_option, reason = "serde hands over a reference")]
fn host<S: serde::Serializer>(value: &Option<Host>, serializer: S) -> Result<S::Ok, S::Error> {
    match value {
        Some(host) => serializer.collect_str(host),
        None => serializer.serialize_none(),
    }
}

#[cfg(feature = "serde")]
#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde hands over a reference")]
pub(super) fn seconds<S: serde::Serializer>(value: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(value.as_secs_f64())
}

#[cfg(feature = "serde")]
#[allow(clippy::ref_option, reason = "serde hands over a reference")]
pub(super) fn some_seconds<S: serde::Serializer>(
    value: &Option<Duration>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    match value {
        Some(value) => serializer.serialize_some(&value.as_secs_f64()),
        None => serializer.serialize_none(),
    }
}
