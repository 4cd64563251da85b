//! Lifetimes on the wire and points in time.

use core::time::Duration;
use sixgate_wire::ndp::INFINITY;

/// The point in time at which a lifetime of `seconds`, told at `now`, ends.
pub(crate) fn until(now: Duration, seconds: u32) -> Duration {
    if seconds == INFINITY {
        Duration::MAX
    } else {
        now.saturating_add(Duration::from_secs(u64::from(seconds)))
    }
}

/// Whole seconds from `now` to `until`; [`INFINITY`] only where `until` is for ever.
pub(crate) fn seconds_left(now: Duration, until: Duration) -> u32 {
    if until == Duration::MAX {
        return INFINITY;
    }
    u32::try_from(until.saturating_sub(now).as_secs()).unwrap_or(INFINITY).min(INFINITY - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn infinity_is_kept_and_only_infinity_is() {
        let now = Duration::from_secs(1 << 40);
        assert_eq!(until(now, INFINITY), Duration::MAX);
        assert_eq!(seconds_left(now, Duration::MAX), INFINITY);
        assert_eq!(seconds_left(now, until(now, INFINITY - 1)), INFINITY - 1);
        assert_eq!(seconds_left(Duration::ZERO, Duration::from_secs(u64::MAX)), INFINITY - 1);
        assert_eq!(until(Duration::MAX, 7), Duration::MAX);
        assert_eq!(seconds_left(now, now), 0);
        assert_eq!(seconds_left(now, Duration::ZERO), 0);
    }
}
