//! How often something may happen: a token bucket on the caller's time.

use core::time::Duration;

/// `burst` at once, and one more every `interval`.
#[derive(Debug, Clone)]
pub(crate) struct Budget {
    left: u32,
    burst: u32,
    interval: Duration,
    since: Duration,
}

impl Budget {
    pub(crate) fn new(burst: u32, interval: Duration) -> Self {
        Self { left: burst, burst, interval, since: Duration::ZERO }
    }

    /// Takes one, if one is there.
    pub(crate) fn take(&mut self, now: Duration) -> bool {
        let elapsed = now.saturating_sub(self.since);
        let gained = elapsed.as_nanos() / self.interval.as_nanos().max(1);
        match u32::try_from(gained) {
            Ok(gained) if gained < self.burst.saturating_sub(self.left) => {
                self.left += gained;
                self.since = self.since.saturating_add(self.interval.saturating_mul(gained));
            }
            _ => {
                self.left = self.burst;
                self.since = now;
            }
        }
        match self.left.checked_sub(1) {
            Some(left) => {
                self.left = left;
                true
            }
            None => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_and_then_one_an_interval() {
        let mut budget = Budget::new(3, Duration::from_secs(2));
        let start = Duration::from_secs(1000);
        assert_eq!((0..5).filter(|_| budget.take(start)).count(), 3);
        assert!(!budget.take(start + Duration::from_millis(1999)));
        assert!(budget.take(start + Duration::from_secs(2)));
        assert!(!budget.take(start + Duration::from_secs(3)));
        assert_eq!((0..100).filter(|_| budget.take(start + Duration::from_secs(1000))).count(), 3);
        assert_eq!((0..100).filter(|_| budget.take(Duration::MAX)).count(), 3);
    }
}
