//! [`Policy`]: what may be chosen, and the words that say what was.

use crate::Family;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// No two attempts start closer together than this (RFC 8305 section 5: "MUST NOT").
pub const PACE: Duration = Duration::from_millis(10);

/// Which families a program shall use, as its user says: `-4`, `-6`, `--family`, or `family = "…"` in a
/// configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "kebab-case"))]
#[cfg_attr(feature = "clap", derive(clap::ValueEnum))]
pub enum FamilyChoice {
    /// IPv4 alone: no IPv6 socket is opened and no AAAA record asked for.
    Ipv4,
    /// IPv6 alone: no IPv4 socket is opened.
    Ipv6,
    /// Both, IPv4 first.
    PreferIpv4,
    /// Both, IPv6 first (RFC 8305 section 2).
    #[default]
    PreferIpv6,
}

impl FamilyChoice {
    /// Every choice.
    pub const ALL: [Self; 4] = [Self::Ipv4, Self::Ipv6, Self::PreferIpv4, Self::PreferIpv6];

    /// As it is written in configurations and on command lines.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ipv4 => "ipv4",
            Self::Ipv6 => "ipv6",
            Self::PreferIpv4 => "prefer-ipv4",
            Self::PreferIpv6 => "prefer-ipv6",
        }
    }

    /// The family that comes first.
    pub fn preferred(self) -> Family {
        match self {
            Self::Ipv4 | Self::PreferIpv4 => Family::V4,
            Self::Ipv6 | Self::PreferIpv6 => Family::V6,
        }
    }

    /// Whether a family may be used at all.
    pub fn allows(self, family: Family) -> bool {
        matches!(self, Self::PreferIpv4 | Self::PreferIpv6) || self.preferred() == family
    }
}

impl fmt::Display for FamilyChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// A word that is no [`FamilyChoice`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no choice of family: write ipv4, ipv6, prefer-ipv4 or prefer-ipv6")]
pub struct FamilyChoiceError(
    /// What was given.
    pub String,
);

impl FromStr for FamilyChoice {
    type Err = FamilyChoiceError;

    fn from_str(text: &str) -> Result<Self, FamilyChoiceError> {
        let found = Self::ALL.into_iter().find(|choice| choice.name() == text);
        found.ok_or_else(|| FamilyChoiceError(text.to_owned()))
    }
}

/// How connections are made. `Display` says it in plain words; [`Policy::default`] is what RFC 8305 section 8
/// recommends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy {
    /// Which families, and which first.
    pub family: FamilyChoice,
    /// How long an answer of the other family alone waits for one of the preferred family (RFC 8305 section
    /// 3).
    pub resolution_delay: Duration,
    /// How many addresses of the family that comes first are tried before one of the other (RFC 8305 section
    /// 4). At least 1.
    pub first_family_count: usize,
    /// How long an attempt has the line to itself before the next starts (RFC 8305 section 5).
    pub attempt_delay: Duration,
    /// The least that round-trip times of earlier connections shorten [`Self::attempt_delay`] to. Never below
    /// [`PACE`].
    pub min_attempt_delay: Duration,
    /// The most that [`Self::attempt_delay`] can be, and how long an attempt is left alone before it may give
    /// way where [`Self::max_in_flight`] are under way.
    pub max_attempt_delay: Duration,
    /// Whether to synthesise an IPv6 address from an IPv4 one where IPv4 has no way and the network has NAT64
    /// (RFC 8305 section 7).
    pub nat64: bool,
    /// How long the last attempt is waited for before such a synthesis (RFC 8305 section 7.2).
    pub last_resort_delay: Duration,
    /// Addresses that are used of one answer.
    pub max_addresses: usize,
    /// Attempts at one time; see [`Policy::in_flight_limit`].
    pub max_in_flight: usize,
    /// When to give up altogether; [`Duration::MAX`] for never, which leaves an address that does not answer
    /// to the kernel's own patience (some two minutes), and a resolver that does not to its.
    pub deadline: Duration,
    /// For how long the address that worked is tried first the next time (RFC 6555 section 4.2 had ten
    /// minutes); zero for never.
    pub remember: Duration,
}

impl Default for Policy {
    fn default() -> Self {
        let ms = Duration::from_millis;
        Self {
            family: FamilyChoice::default(),
            resolution_delay: ms(50),
            first_family_count: 1,
            attempt_delay: ms(250),
            min_attempt_delay: ms(100),
            max_attempt_delay: ms(2000),
            nat64: true,
            last_resort_delay: ms(2000),
            max_addresses: 16,
            max_in_flight: 8,
            deadline: ms(30_000),
            remember: ms(600_000),
        }
    }
}

/// The policy of a program whose user has said nothing: IPv6 preferred, delays and the First Address Family Count as RFC 8305
/// section 8 has them. How many addresses and attempts, the deadline and how long is remembered are ours.
///
/// ```
/// println!("{}", sixgate_endpoint::connect::policy());
/// ```
pub fn policy() -> Policy {
    Policy::default()
}

/// One rule of a policy, as people read it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// What it is about.
    pub about: &'static str,
    /// What is done, with the values in force.
    pub text: String,
    /// Where that comes from.
    pub source: &'static str,
}

impl Policy {
    /// The same for other families.
    #[must_use]
    pub fn with_family(self, family: FamilyChoice) -> Self {
        Self { family, ..self }
    }

    /// How long an attempt has the line to itself: shorter where its round-trip time is known, for then its
    /// handshake would be over (RFC 8305 section 5). Never longer: a family that has become slow costs one
    /// [`Self::attempt_delay`] at most.
    pub fn delay_after(&self, rtt: Option<Duration>) -> Duration {
        let longest = self.attempt_delay.min(self.max_attempt_delay).max(PACE);
        let shortest = self.min_attempt_delay.clamp(PACE, longest);
        rtt.map_or(longest, |rtt| rtt.saturating_mul(3).clamp(shortest, longest))
    }

    /// Attempts at one time: always one more than [`Self::first_family_count`], so that a family that is dead
    /// cannot take all the room.
    pub fn in_flight_limit(&self) -> usize {
        self.max_in_flight.max(self.first_family_count.max(1) + 1)
    }

    /// The rules in force, in the order in which they come into play. The documentation and `Display` are
    /// this table.
    pub fn rules(&self) -> Vec<Rule> {
        let first = self.family.preferred();
        let second = first.other();
        let both = self.family.allows(second);
        let mut rules = Vec::new();
        let mut rule = |about, source, text| rules.push(Rule { about, text, source });
        rule(
            "families",
            "RFC 8305 section 2",
            if both {
                format!("both, {first} preferred ({})", self.family)
            } else {
                format!("{first} alone ({}); no {second} socket is opened", self.family)
            },
        );
        if both {
            rule(
                "questions",
                "RFC 8305 section 3",
                format!(
                    "each family is asked for on its own, {first} first; an {first} answer is used at \
                    once, an {second} answer \
                     waits {} for it",
                    Time(self.resolution_delay)
                ),
            );
        }
        rule(
            "memory",
            "RFC 6555 section 4.2",
            if self.remember.is_zero() {
                "nothing that worked is tried first".to_owned()
            } else {
                format!(
                    "the address that worked is tried first for {}; all is forgotten when addresses, \
                    routes or links change",
                    Time(self.remember)
                )
            },
        );
        let moved =
            if self.family == FamilyChoice::PreferIpv4 { ", with IPv4 moved to the front" } else { "" };
        rule(
            "order",
            "RFC 6724 section 6, RFC 8305 section 4",
            format!(
                "destination address selection{moved}; between its rules 8 and 9 shorter round-trip \
                times, then used addresses"
            ),
        );
        if both {
            let count = self.first_family_count.max(1);
            let s = if count == 1 { "" } else { "es" };
            rule(
                "families in turn",
                "RFC 8305 section 4",
                format!("after {count} address{s} of the family that comes first, the families alternate"),
            );
        }
        rule(
            "attempts",
            "RFC 8305 section 5",
            format!(
                "one every {} (from {} on where the round-trip time is known); after a failure the next \
                starts at once, but never \
                 within {} of the last",
                Time(self.delay_after(None)),
                Time(self.delay_after(Some(Duration::ZERO))),
                Time(PACE)
            ),
        );
        rule(
            "late answers",
            "RFC 8305 section 6",
            "new addresses join those not yet tried; removed ones leave them; attempts under way go on"
                .to_owned(),
        );
        if self.family.allows(Family::V6) {
            rule(
                "NAT64",
                "RFC 8305 section 7",
                if self.nat64 {
                    format!(
                        "where IPv4 has no way, its addresses are tried through the network's NAT64 \
                        prefix (RFC 7050), at the \
                         latest {} after the last attempt",
                        Time(self.last_resort_delay)
                    )
                } else {
                    "never".to_owned()
                },
            );
        }
        rule(
            "limits",
            "RFC 8305 section 5",
            format!(
                "{} addresses of each answer; {} attempts at a time, the oldest gives way after {}; {}",
                self.max_addresses,
                self.in_flight_limit(),
                Time(self.max_attempt_delay),
                match self.deadline {
                    Duration::MAX => "no deadline but the system's".to_owned(),
                    deadline => format!("all is over after {}", Time(deadline)),
                }
            ),
        );
        rule("the winner", "RFC 8305 section 5", "the first that connects; all others are closed".to_owned());
        rules
    }
}

impl fmt::Display for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for rule in self.rules() {
            writeln!(f, "- {}: {} ({})", rule.about, rule.text, rule.source)?;
        }
        Ok(())
    }
}

/// A time as people write it.
pub(super) struct Time(pub(super) Duration);

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ms = self.0.as_millis();
        if ms == 0 && !self.0.is_zero() {
            write!(f, "{} µs", self.0.as_micros())
        } else if ms >= 60_000 && ms.is_multiple_of(60_000) {
            write!(f, "{} min", ms / 60_000)
        } else if ms >= 1000 && ms.is_multiple_of(1000) {
            write!(f, "{} s", ms / 1000)
        } else {
            write!(f, "{ms} ms")
        }
    }
}
