//! Moments in eight octets, for what is kept with each packet.

use std::time::Duration;

const SECOND: u64 = 1_000_000_000;

/// A moment: its nanoseconds modulo 2^64, compared as serial numbers are (RFC 1982).
///
/// Two moments must lie less than 292 years apart; then it does not matter where the clock began, nor that it
/// passes 2^32, 2^63 or 2^64 nanoseconds. A clock that ran backwards counts as one that stood still.
///
/// Linux keeps CoDel's times in 32 bits of 1,024 ns; what lies more than 36 minutes back looks like the future
/// there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Stamp(u64);

impl Stamp {
    /// The moment of a clock's reading.
    #[inline]
    pub fn of(now: Duration) -> Self {
        Self(now.as_secs().wrapping_mul(SECOND).wrapping_add(now.subsec_nanos().into()))
    }

    /// Nanoseconds since `earlier`; 0 where that is later.
    #[inline]
    pub fn since(self, earlier: Self) -> u64 {
        u64::try_from(self.0.wrapping_sub(earlier.0).cast_signed()).unwrap_or(0)
    }

    /// Whether this moment is `now` or past.
    #[inline]
    pub fn has_come(self, now: Self) -> bool {
        now.0.wrapping_sub(self.0).cast_signed() >= 0
    }

    /// So many nanoseconds later.
    #[inline]
    #[must_use]
    pub fn plus(self, nanoseconds: u64) -> Self {
        Self(self.0.wrapping_add(nanoseconds))
    }

    /// So many nanoseconds before.
    #[inline]
    #[must_use]
    pub fn minus(self, nanoseconds: u64) -> Self {
        Self(self.0.wrapping_sub(nanoseconds))
    }

    /// The reading of a clock that shows `now` at present, at this moment; `now` where it is past.
    pub fn reading(self, now: Duration) -> Duration {
        now.saturating_add(Duration::from_nanos(self.since(Self::of(now))))
    }
}

/// Nanoseconds, at most what fits: 584 years.
#[inline]
pub(crate) fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_edge_of_the_clock_matters() {
        let edges = [
            Duration::ZERO,
            Duration::from_nanos(u32::MAX.into()),
            Duration::from_millis(u32::MAX.into()),
            Duration::from_nanos(i64::MAX as u64),
            Duration::from_nanos(u64::MAX),
            Duration::MAX.saturating_sub(Duration::from_secs(1)),
        ];
        for edge in edges {
            let before = edge.saturating_sub(Duration::from_nanos(3));
            let after = before + Duration::from_nanos(7);
            assert_eq!(Stamp::of(after).since(Stamp::of(before)), 7, "{edge:?}");
            assert_eq!(Stamp::of(before).since(Stamp::of(after)), 0);
            assert!(
                Stamp::of(before).has_come(Stamp::of(after)) && !Stamp::of(after).has_come(Stamp::of(before))
            );
            assert!(Stamp::of(after).has_come(Stamp::of(after)));
            assert_eq!(Stamp::of(after).reading(before), after);
            assert_eq!(Stamp::of(before).reading(after), after);
        }
        assert_eq!(Stamp::of(Duration::MAX).plus(1_000_000_000).reading(Duration::MAX), Duration::MAX);
    }
}
