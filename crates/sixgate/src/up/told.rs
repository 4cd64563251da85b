//! What the log tells of leases: each that begins and each that ends, but no more than somebody can read.

use super::engine::Engine;
use sixgate_dhcp::lease::{LeaseChange, LeaseState};
use sixgate_dhcp::server::Route;
use std::time::Duration;

/// Leases in a second that the log tells of one by one.
const IN_A_SECOND: u32 = 50;

/// How many the log told of lately.
#[derive(Debug, Default)]
pub(crate) struct Told {
    second: u64,
    lines: u32,
    untold: u64,
}

impl Told {
    /// Whether the log may tell of one more.
    fn one_more(&mut self, now: Duration) -> bool {
        if self.second != now.as_secs() {
            if self.untold > 0 {
                tracing::info!(
                    count = self.untold,
                    "leases that began or ended, and too many at once to tell of each"
                );
            }
            *self = Self { second: now.as_secs(), ..Self::default() };
        }
        if self.lines < IN_A_SECOND {
            self.lines += 1;
            return true;
        }
        self.untold += 1;
        false
    }
}

impl Engine {
    /// Tells of a route to a delegated prefix.
    pub(crate) fn tell_of_route(&mut self, route: &Route) {
        if self.told.one_more(self.now()) {
            tracing::info!(prefix = %route.prefix, via = %route.via, lan = %route.link, "prefix delegated on");
        }
    }

    /// Tells of a lease that is on the disk, if it begins or ends. What is renewed is of no interest.
    pub(crate) fn tell_of_lease(&mut self, change: &LeaseChange) {
        let now = self.now();
        match change {
            LeaseChange::Put(lease) => {
                let what = match lease.state {
                    _ if lease.renewed_at > lease.granted_at => return,
                    LeaseState::Bound => "leased",
                    LeaseState::Registered => "registered",
                    LeaseState::Declined | LeaseState::Retired => return,
                };
                if self.told.one_more(now) {
                    tracing::info!(lease = %lease.resource, lan = %lease.link, client = %lease.duid,
                        name = lease.hostname.as_deref().unwrap_or("-"), "{what}");
                }
            }
            LeaseChange::Remove(resource) => {
                if self.told.one_more(now) {
                    tracing::info!(lease = %resource, "ended");
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_of_leases_is_told_as_a_number() {
        let mut told = Told::default();
        let second = Duration::from_secs(7);
        assert_eq!((0..1_000).filter(|_| told.one_more(second)).count(), 50);
        assert_eq!(told.untold, 950);
        assert!(told.one_more(second + Duration::from_secs(1)));
        assert_eq!((told.lines, told.untold), (1, 0));
    }
}
