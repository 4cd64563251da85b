//! What is wanted of a link: how fast each direction, and what the queue does.

use clap::ValueEnum;
use serde::{Deserialize, Serialize};
use sixgate_aqm::Rate;
use sixgate_aqm::shape::{Config, Fairness, Framing, Tins};
use std::fmt;
use std::time::Duration;

/// Which way packets go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Direction {
    /// Towards hosts of ours: from the uplink to us, from us into a LAN.
    Down,
    /// From them.
    Up,
}

impl Direction {
    pub(crate) const BOTH: [Self; 2] = [Self::Down, Self::Up];

    /// In the names of devices.
    pub(super) fn letter(self) -> char {
        match self {
            Self::Down => 'd',
            Self::Up => 'u',
        }
    }
}

impl fmt::Display for Direction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Down => "down",
            Self::Up => "up",
        })
    }
}

/// Who is behind the interface: whose "down" it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Facing {
    /// The Internet: what comes down arrives on the interface.
    #[default]
    Internet,
    /// Hosts of ours: what goes down to them leaves by it.
    Hosts,
}

/// How fast a direction is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Speed {
    /// This fast.
    Fixed(Rate),
    /// It changes, between these two.
    Between(Rate, Rate),
}

impl Speed {
    /// The rate to begin with: of two the mean of their orders of magnitude.
    pub(crate) fn first(self) -> Rate {
        match self {
            Self::Fixed(rate) => rate,
            Self::Between(least, most) => {
                Rate::bits((u128::from(least.as_bits()) * u128::from(most.as_bits())).isqrt() as u64)
            }
        }
    }

    /// The highest rate.
    pub(crate) fn most(self) -> Rate {
        match self {
            Self::Fixed(rate) | Self::Between(_, rate) => rate,
        }
    }
}

/// What the link adds to each packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum LinkKind {
    /// Ethernet on the cable: 38 octets a packet. Fibre, and what is not known better.
    #[default]
    Ethernet,
    /// The rate counts IP packets alone.
    Ip,
    /// Cable: 18 octets.
    Docsis,
    /// VDSL2: 22 octets, and one in 65.
    Vdsl,
    /// VDSL2 with PPPoE: 30 octets, and one in 65.
    Pppoe,
    /// ADSL with PPPoE: 40 octets, in ATM's cells.
    Adsl,
    /// More than any link adds: 48 octets, in ATM's cells.
    Conservative,
}

impl LinkKind {
    pub(crate) fn framing(self) -> Framing {
        match self {
            Self::Ethernet => Framing::ETHERNET,
            Self::Ip => Framing::RAW,
            Self::Docsis => Framing::DOCSIS,
            Self::Vdsl => Framing::BRIDGED_PTM,
            Self::Pppoe => Framing::PPPOE_PTM,
            Self::Adsl => Framing::PPPOE_LLCSNAP,
            Self::Conservative => Framing::CONSERVATIVE,
        }
    }
}

/// Whose queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Which {
    /// The kernel's where it has one that does, else ours.
    #[default]
    Auto,
    /// The kernel's: CAKE, or FQ-CoDel under HTB.
    Kernel,
    /// Ours.
    Own,
}

/// Who gets an equal share.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Shares {
    /// Each host on our side, and of it each flow.
    #[default]
    Hosts,
    /// Each flow.
    Flows,
}

/// What is wanted of a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Plan {
    pub(crate) facing: Facing,
    /// `None`: that direction is left alone.
    pub(crate) down: Option<Speed>,
    pub(crate) up: Option<Speed>,
    pub(crate) link: LinkKind,
    pub(crate) shares: Shares,
    /// Four classes by DSCP, not one.
    pub(crate) diffserv: bool,
    /// Leave out superfluous acknowledgements of those that leave.
    pub(crate) ack_filter: bool,
    /// Mark rather than drop.
    pub(crate) ecn: bool,
    /// A usual round trip.
    pub(crate) round_trip: Duration,
    pub(crate) which: Which,
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            facing: Facing::default(),
            down: None,
            up: None,
            link: LinkKind::default(),
            shares: Shares::default(),
            diffserv: false,
            ack_filter: false,
            ecn: true,
            round_trip: Duration::from_millis(100),
            which: Which::default(),
        }
    }
}

impl Plan {
    /// How fast a direction is to be.
    pub(crate) fn speed(&self, direction: Direction) -> Option<Speed> {
        match direction {
            Direction::Down => self.down,
            Direction::Up => self.up,
        }
    }

    /// Whether what goes this way leaves by the interface; else it arrives there.
    pub(super) fn leaves(&self, direction: Direction) -> bool {
        match self.facing {
            Facing::Internet => direction == Direction::Up,
            Facing::Hosts => direction == Direction::Down,
        }
    }

    /// How the shaper of a direction is made.
    pub(super) fn config(&self, direction: Direction) -> Option<Config> {
        let rate = self.speed(direction)?.first();
        let hosts = match direction {
            Direction::Down => Fairness::Destinations,
            Direction::Up => Fairness::Sources,
        };
        Some(Config {
            framing: self.link.framing(),
            tins: if self.diffserv { Tins::Diffserv4 } else { Tins::One },
            fairness: match self.shares {
                Shares::Hosts => hosts,
                Shares::Flows => Fairness::Flows,
            },
            // What arrives has passed the link already, dropped here or not; and its acknowledgements are saved no more.
            ingress: !self.leaves(direction),
            ack_filter: self.ack_filter && self.leaves(direction),
            ecn: self.ecn,
            round_trip: self.round_trip,
            ..Config::new(rate)
        })
    }

    /// The rates, for a person.
    pub(crate) fn summary(&self) -> String {
        let text = |direction| {
            let rate = |rate: Rate| super::view::rate_text(rate.as_bits());
            Some(match self.speed(direction)? {
                Speed::Fixed(fixed) => format!("{direction} {}", rate(fixed)),
                Speed::Between(least, most) => format!("{direction} {} to {}", rate(least), rate(most)),
            })
        };
        Direction::BOTH.into_iter().filter_map(text).collect::<Vec<_>>().join(", ")
    }

    /// Whether the two differ in nothing but rates.
    pub(crate) fn differs_in_rates_alone(&self, other: &Self) -> bool {
        let same = |a: Option<Speed>, b: Option<Speed>| match (a, b) {
            (Some(Speed::Fixed(_)), Some(Speed::Fixed(_))) => true,
            (a, b) => a == b,
        };
        same(self.down, other.down)
            && same(self.up, other.up)
            && Self { down: other.down, up: other.up, ..*self } == *other
    }
}

/// Reads a rate: a number with k, M or G for thousand, million, thousand million bits a second.
pub(crate) fn rate(text: &str) -> Result<Rate, String> {
    let text = text.trim();
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    let unit = unit.trim();
    let wrong =
        || format!("`{text}` is no rate; write a number with k, M or G, such as \"20M\" for 20 Mbit/s");
    let value: f64 = number.parse().map_err(|_| wrong())?;
    if unit.is_empty() {
        return Err(format!(
            "`{text}` has no unit: did you mean \"{text}M\" ({text} Mbit/s)? k, M and G are thousand, million and thousand million bits a second"
        ));
    }
    // Octets or bits is a mistake by a factor of eight.
    if unit.contains('B') || unit.to_ascii_lowercase().contains("byte") {
        return Err(format!(
            "`{text}` are octets; rates of links are in bits: did you mean \"{}{}\"?",
            value * 8.0,
            unit.chars().next().unwrap_or('M')
        ));
    }
    let lower = unit.to_ascii_lowercase();
    let scale = ["bit/s", "bits/s", "bit", "bps"]
        .into_iter()
        .find_map(|suffix| lower.strip_suffix(suffix))
        .unwrap_or(&lower);
    let factor = match scale {
        "k" => 1e3,
        "m" => 1e6,
        "g" => 1e9,
        _ => return Err(wrong()),
    };
    let bits = value * factor;
    #[allow(clippy::cast_precision_loss, reason = "bounds of what is accepted")]
    if !(64e3..=400e9).contains(&bits) {
        return Err(format!("{text} is out of range; choose 64k to 400G"));
    }
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "within the bounds above")]
    Ok(Rate::bits(bits as u64))
}

/// Reads how fast a direction is: a rate, or two with a hyphen between, where the link changes.
pub(crate) fn speed(text: &str) -> Result<Speed, String> {
    if text.trim() == "auto" {
        return Err(
            "say between which rates the link changes, such as \"10M-100M\": the least that it is bearable with, and the most"
                .to_owned(),
        );
    }
    let Some((least, most)) = text.split_once('-') else { return rate(text).map(Speed::Fixed) };
    let (least, most) = (rate(least)?, rate(most)?);
    if least >= most {
        return Err(format!("{text}: the first rate is the least, the second the most"));
    }
    Ok(Speed::Between(least, most))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_read_and_mistakes_explained() {
        for (text, bits) in [
            ("100M", 100_000_000),
            ("2.5M", 2_500_000),
            ("512k", 512_000),
            ("1G", 1_000_000_000),
            ("20 Mbit/s", 20_000_000),
            ("20mbit", 20_000_000),
        ] {
            assert_eq!(rate(text), Ok(Rate::bits(bits)), "{text}");
        }
        for (text, said) in [
            ("100", "did you mean \"100M\""),
            ("2MB", "did you mean \"16M\""),
            ("12MByte/s", "did you mean \"96M\""),
            ("fast", "no rate"),
            ("", "no rate"),
            ("-1M", "no rate"),
            ("1.2.3M", "no rate"),
            ("1T", "no rate"),
            ("1k", "out of range"),
            ("99999G", "out of range"),
        ] {
            let error = rate(text).unwrap_err();
            assert!(error.contains(said), "{text}: {error}");
        }
        assert_eq!(speed("10M-1G"), Ok(Speed::Between(Rate::mbit(10), Rate::mbit(1000))));
        assert_eq!(speed("10M-1000M").map(Speed::first), Ok(Rate::mbit(100)));
        assert!(speed("auto").unwrap_err().contains("10M-100M"));
        assert!(speed("20M-10M").is_err() && speed("20M-").is_err());
    }

    #[test]
    fn down_is_towards_hosts_whichever_side_they_are_on() {
        let rate = Some(Speed::Fixed(Rate::mbit(20)));
        for (facing, leaves) in [(Facing::Internet, Direction::Up), (Facing::Hosts, Direction::Down)] {
            let plan = Plan { facing, down: rate, up: rate, ack_filter: true, ..Plan::default() };
            for direction in Direction::BOTH {
                let config = plan.config(direction).unwrap();
                let is_leaving = direction == leaves;
                assert_eq!(
                    (config.ingress, config.ack_filter),
                    (!is_leaving, is_leaving),
                    "{facing:?} {direction}"
                );
            }
            assert_eq!(plan.config(Direction::Down).unwrap().fairness, Fairness::Destinations);
        }
    }

    #[test]
    fn rates_alone_are_told_from_other_changes() {
        let plan = Plan { down: Some(Speed::Fixed(Rate::mbit(20))), ..Plan::default() };
        assert!(plan.differs_in_rates_alone(&Plan { down: Some(Speed::Fixed(Rate::mbit(30))), ..plan }));
        assert!(!plan.differs_in_rates_alone(&Plan { down: None, ..plan }));
        assert!(!plan.differs_in_rates_alone(&Plan { ecn: false, ..plan }));
        let auto = Plan { down: Some(Speed::Between(Rate::mbit(1), Rate::mbit(2))), ..plan };
        assert!(!plan.differs_in_rates_alone(&auto));
    }
}
