//! How often something may happen: a token bucket on the caller's time.

use core::time::Duration;

/// How often the translator sends ICMP errors of its own (RFC 7915 sections 4.4 and 5.4, RFC 4443 section 2.4 (f)).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ErrorRate {
    /// Errors at once; 0 sends none, `u32::MAX` has no limit.
    pub burst: u32,
    /// Time after which one more may be sent.
    pub interval: Duration,
}

impl Default for ErrorRate {
    fn default() -> Self {
        Self { burst: 100, interval: Duration::from_millis(10) }
    }
}

#[derive(Debug, Clone)]
pub(crate) struct Budget {
    rate: ErrorRate,
    left: u32,
    since: Duration,
}

impl Budget {
    pub(crate) fn new(rate: ErrorRate) -> Self {
        Self { rate, left: rate.burst, since: Duration::ZERO }
    }

    /// Takes one, if one is there.
    pub(crate) fn take(&mut self, now: Duration) -> bool {
        if self.rate.burst == u32::MAX {
            return true;
        }
        let elapsed = now.saturating_sub(self.since);
        let gained = elapsed.as_nanos() / self.rate.interval.as_nanos().max(1);
        match u32::try_from(gained) {
            Ok(gained) if gained < self.rate.burst.saturating_sub(self.left) => {
                self.left += gained;
                self.since = self.since.saturating_add(self.rate.interval.saturating_mul(gained));
            }
            _ => {
                self.left = self.rate.burst;
                self.since = now;
            }
        }
        let left = self.left.checked_sub(1);
        self.left = left.unwrap_or(0);
        left.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_and_then_one_an_interval() {
        let mut budget = Budget::new(ErrorRate { burst: 3, interval: Duration::from_secs(2) });
        let start = Duration::from_secs(1000);
        assert_eq!((0..5).filter(|_| budget.take(start)).count(), 3);
        assert!(!budget.take(start + Duration::from_millis(1999)));
        assert!(budget.take(start + Duration::from_secs(2)));
        assert!(!budget.take(start + Duration::from_secs(3)));
        assert_eq!((0..100).filter(|_| budget.take(Duration::MAX)).count(), 3);
        let mut none = Budget::new(ErrorRate { burst: 0, interval: Duration::ZERO });
        assert!(!none.take(start));
    }
}
