//! How many requests an overloaded server should not even read.
//!
//! A queue ([`crate::request`]) keeps those that were read in order, but reading one costs a part of what answering one does:
//! asked for ten times what it can do, a server spends most of its time on what it then drops. Where requests can be dropped before
//! they are read (a filter in the kernel, a balancer, a link), this says which share of them, so that somewhat more comes than
//! can be answered.

use crate::request::Counters;
use std::time::Duration;

/// How often the share is looked at: as many requests have to come in it that chance does not rule.
const INTERVAL: Duration = Duration::from_millis(100);
/// Overloaded is who loses more than one in so many.
const LOST: u64 = 20;
/// Fewer requests in an interval than this are no overload, whatever becomes of them.
const FEW: u64 = 64;
/// How much more than was answered is let in, so that the server always has work and is seen to lose some: nine eighths.
const MORE: (u64, u64) = (9, 8);
/// Never more than this is kept away, in thousandths: of those who are let in depends what is known of the rest.
const MOST: u64 = 980;
/// Less than this is not worth the filter.
const LEAST: u64 = 50;

/// The share of requests that is kept away.
///
/// ```
/// use sixgate_aqm::request::Counters;
/// use sixgate_aqm::shed::Shed;
/// use std::time::Duration;
///
/// let mut shed = Shed::default();
/// let start = Duration::from_secs(1);
/// assert_eq!(shed.update(start, Counters::default()), None);
/// // A hundred milliseconds in which 10,000 came and 1,000 were answered: about nine tenths are kept away from now on.
/// let counters = Counters { pushed: 10_000, served: 1_000, stale: 9_000, refused: 0 };
/// assert_eq!(shed.update(start + Duration::from_millis(100), counters), Some(888));
/// ```
#[derive(Debug, Default)]
pub struct Shed {
    /// In thousandths.
    share: u64,
    /// When the interval began, and what had been counted by then.
    since: Option<(Duration, Counters)>,
}

impl Shed {
    /// When [`Shed::update`] is to be called at the latest: while some are kept away, nobody may come.
    pub fn poll_timeout(&self) -> Option<Duration> {
        self.since.filter(|_| self.share > 0).map(|(began, _)| began + INTERVAL)
    }

    /// To be called every few milliseconds with what has become of the requests that were let in. Says when another share, in
    /// thousandths, is to be kept away.
    pub fn update(&mut self, now: Duration, counters: Counters) -> Option<u16> {
        let (began, before) = *self.since.get_or_insert((now, counters));
        if now < began + INTERVAL {
            return None;
        }
        self.since = Some((now, counters));
        let came = counters.pushed.saturating_sub(before.pushed);
        let served = counters.served.saturating_sub(before.served);
        let lost = (counters.stale + counters.refused).saturating_sub(before.stale + before.refused);
        let share = self.next(came, served, lost);
        if share == self.share {
            return None;
        }
        self.share = share;
        u16::try_from(share).ok()
    }

    /// The share that is kept away, in thousandths.
    pub fn share(&self) -> u16 {
        self.share as u16
    }

    fn next(&self, came: u64, served: u64, lost: u64) -> u64 {
        let open = 1000 - self.share;
        let share = if came >= FEW && lost * LOST > came {
            // Those who came are `open` thousandths of all.
            let all = came * 1000 / open;
            let wanted = (served * MORE.0 / MORE.1).max(1);
            1000_u64.saturating_sub(wanted * 1000 / all.max(1))
        } else if lost == 0 {
            // Nothing is too much: soon all may come again.
            1000_u64.saturating_sub(open + open / 2 + 1)
        } else {
            1000_u64.saturating_sub(open + open / 10 + 1)
        };
        if share < LEAST { 0 } else { share.min(MOST) }
    }
}
