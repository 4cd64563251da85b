//! Priority tins: a few classes of packets by DSCP.

/// Which tins a shaper has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Tins {
    /// One: the DSCP does not count.
    #[default]
    One,
    /// Four, as CAKE's diffserv4.
    Diffserv4,
}

/// A tin: within its share of the rate it comes before those that are listed before it. What nobody else wants
/// is open to each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Tin {
    /// All that is not in another: CS0, AF1x and what is not known. All of the rate.
    BestEffort,
    /// What can wait: LE (RFC 8622), CS1. A sixteenth of the rate.
    Bulk,
    /// Streams: AF2x, AF3x, AF4x, CS2, CS3, and what was TOS "low delay". Half of the rate.
    Video,
    /// What hurts when it waits: EF, VA, CS4 to CS7. A quarter of the rate.
    Voice,
}

impl Tin {
    pub(super) const ALL: [Self; 4] = [Self::BestEffort, Self::Bulk, Self::Video, Self::Voice];

    /// The tin of a DSCP (0 to 63) among four.
    pub fn of(dscp: u8) -> Self {
        match dscp {
            1 | 8 => Self::Bulk,
            4 | 16 | 18 | 20 | 22 | 24 | 26 | 28 | 30 | 34 | 36 | 38 => Self::Video,
            32 | 40 | 44 | 46 | 48 | 56 => Self::Voice,
            _ => Self::BestEffort,
        }
    }

    /// Its share of the rate, as a divisor.
    pub(super) fn divisor(self) -> u64 {
        match self {
            Self::BestEffort => 1,
            Self::Bulk => 16,
            Self::Video => 2,
            Self::Voice => 4,
        }
    }
}

impl Tins {
    pub(super) fn list(self) -> &'static [Tin] {
        match self {
            Self::One => &Tin::ALL[..1],
            Self::Diffserv4 => &Tin::ALL,
        }
    }

    pub(super) fn index(self, dscp: u8) -> usize {
        match self {
            Self::One => 0,
            Self::Diffserv4 => Tin::of(dscp) as usize,
        }
    }
}
