//! Rates, and the clock that keeps one exactly.

use crate::time::{Stamp, nanoseconds};
use std::fmt;
use std::time::Duration;

/// Bits of an octet times nanoseconds of a second.
const SCALE: u64 = 8_000_000_000;
/// No packet counts for more octets: what is multiplied with [`SCALE`] fits.
const LONGEST: u64 = 1 << 30;

/// Bits a second: at least 8,000, at most 2^53.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Rate(u64);

impl Rate {
    /// The lowest: 1,000 octets a second.
    pub const MIN: Self = Self(8_000);
    /// The highest.
    pub const MAX: Self = Self(1 << 53);

    /// So many bits a second; what is outside the bounds becomes the nearest that is not.
    pub const fn bits(bits: u64) -> Self {
        match bits {
            ..8_000 => Self::MIN,
            0x20_0000_0000_0001.. => Self::MAX,
            bits => Self(bits),
        }
    }

    /// So many million bits a second.
    pub const fn mbit(mbit: u64) -> Self {
        Self::bits(mbit.saturating_mul(1_000_000))
    }

    /// Bits a second.
    pub const fn as_bits(self) -> u64 {
        self.0
    }

    /// This rate times a factor.
    #[must_use]
    #[allow(clippy::cast_precision_loss, clippy::cast_sign_loss, reason = "rates fit; a cast saturates")]
    pub fn times(self, factor: f64) -> Self {
        Self::bits((self.0 as f64 * factor) as u64)
    }

    /// How long so many octets take.
    pub fn time_for(self, octets: u32) -> Duration {
        Duration::from_nanos(u64::from(octets).min(LONGEST) * SCALE / self.0)
    }

    /// How many whole octets fit into a time.
    pub fn octets_in(self, time: Duration) -> u64 {
        u64::try_from(u128::from(self.0) * u128::from(nanoseconds(time)) / u128::from(SCALE))
            .unwrap_or(u64::MAX)
    }
}

impl fmt::Display for Rate {
    /// As tc writes rates: `20Mbit`, `1500Kbit`, `64500bit`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            bits if bits % 1_000_000_000 == 0 => write!(f, "{}Gbit", bits / 1_000_000_000),
            bits if bits % 1_000_000 == 0 => write!(f, "{}Mbit", bits / 1_000_000),
            bits if bits % 1_000 == 0 => write!(f, "{}Kbit", bits / 1_000),
            bits => write!(f, "{bits}bit"),
        }
    }
}

/// When the next packet may leave. What a division leaves over is kept, so that the rate is exact for ever.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Clock {
    pub(crate) next: Stamp,
    pub(crate) rate: Rate,
    rest: u64,
}

impl Clock {
    pub(crate) fn new(rate: Rate) -> Self {
        Self { next: Stamp::default(), rate, rest: 0 }
    }

    /// Counts octets: returns the nanoseconds that they take.
    pub(crate) fn spend(&mut self, octets: u64) -> u64 {
        let work = octets.min(LONGEST) * SCALE + self.rest;
        self.rest = work % self.rate.0;
        work / self.rate.0
    }

    /// From now on another rate. What was sent stays counted at the old one.
    pub(crate) fn set_rate(&mut self, rate: Rate) {
        self.rate = rate;
        self.rest = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_lost_between_packets() {
        for rate in [Rate::bits(1_000_003), Rate::mbit(20), Rate::bits(8_001), Rate::bits(999_999_999_989)] {
            let mut clock = Clock::new(rate);
            let mut random = fastrand::Rng::with_seed(1);
            let (mut octets, mut time) = (0_u128, 0_u128);
            for _ in 0..100_000 {
                let length = random.u64(20..70_000);
                octets += u128::from(length);
                time += u128::from(clock.spend(length));
            }
            assert_eq!(time, octets * u128::from(SCALE) / u128::from(rate.0));
        }
    }

    #[test]
    fn rates_are_within_bounds_and_read_as_tc_writes_them() {
        assert_eq!((Rate::bits(0), Rate::bits(u64::MAX)), (Rate::MIN, Rate::MAX));
        assert_eq!(
            (Rate::MAX.times(2.0), Rate::MIN.times(-1.0), Rate::mbit(u64::MAX)),
            (Rate::MAX, Rate::MIN, Rate::MAX)
        );
        let texts =
            [(Rate::mbit(20), "20Mbit"), (Rate::mbit(2000), "2Gbit"), (Rate::bits(1_500_000), "1500Kbit")];
        for (rate, text) in texts {
            assert_eq!(rate.to_string(), text);
        }
        assert_eq!(Rate::bits(64_501).to_string(), "64501bit");
        assert_eq!(Rate::mbit(1).time_for(1500), Duration::from_millis(12));
        assert_eq!(Rate::mbit(8).octets_in(Duration::from_millis(1)), 1000);
        assert_eq!(Rate::MAX.octets_in(Duration::MAX), u64::MAX);
    }
}
