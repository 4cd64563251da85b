//! DNSSEC's edge: the wall clock, by which signatures are judged, and what a person should know.

use super::engine::Engine;
use sixgate_dns::Clock;
use sixgate_linux::clock;
use std::time::Duration;

/// Setting that holds the wall clock as it was last seen, in seconds since the Unix epoch, as text.
pub(crate) const SEEN: &str = "clock.seen";
/// No clock that is right is before this was written: 1 November 2026.
const WRITTEN: Duration = Duration::from_hours(498_192);
/// The wall clock is written down when it is later by this than what is written.
const EVERY: Duration = Duration::from_hours(24);

/// What is in the setting.
pub(crate) fn seen(setting: Option<&Vec<u8>>) -> Duration {
    let text = setting.and_then(|bytes| std::str::from_utf8(bytes).ok());
    text.and_then(|text| text.parse().ok()).map_or(Duration::ZERO, Duration::from_secs)
}

/// What a validator may make of a wall clock: nothing where it is earlier than it can be. What was seen may have been wrong,
/// and too late; it does not count where the kernel was told that its clock is right.
fn judge(wall: Duration, now: Duration, seen: Duration) -> Clock {
    if wall < WRITTEN.max(seen) {
        return Clock::Unset;
    }
    let seconds = |time: Duration| i64::try_from(time.as_secs()).unwrap_or(i64::MAX);
    Clock::Ahead(seconds(wall).saturating_sub(seconds(now)))
}

impl Engine {
    /// Gives DNS what the configuration says.
    pub(crate) fn set_dnssec(&mut self) {
        self.forwarder.set_dnssec(self.config.dns.dnssec.clone());
        self.look_at_clock();
    }

    /// Tells DNS how the wall clock stands, which somebody may have set since; a look costs as much as a look at the time.
    pub(crate) fn look_at_clock(&mut self) {
        if self.config.dns.dnssec.is_none() {
            return;
        }
        let wall = self.clock.wall();
        let too_late = wall < self.seen && clock::is_synchronised();
        if too_late {
            self.seen = Duration::ZERO;
        }
        let clock = judge(wall, self.now(), self.seen);
        self.forwarder.set_clock(clock);
        if clock != Clock::Unset && wall >= self.seen.saturating_add(EVERY) {
            self.seen = wall;
            self.set(SEEN, Some(wall.as_secs().to_string().into_bytes()));
        }
    }

    /// What is wrong with names, as sentences.
    pub(crate) fn dnssec_problems(&self) -> Vec<String> {
        let Some(dnssec) = &self.config.dns.dnssec else { return Vec::new() };
        let mut sentences = Vec::new();
        if judge(self.clock.wall(), self.now(), self.seen) == Clock::Unset {
            sentences.push(
                "the clock is not set, for it is before this program was written or before it last ran: the \
                 times of DNSSEC signatures do not count until it is; start an NTP client"
                    .to_owned(),
            );
        }
        let stripping: Vec<String> =
            self.forwarder.stripping().map(|upstream| upstream.to_string()).collect();
        if !stripping.is_empty() {
            let then = if dnssec.permissive { "go unjudged" } else { "get SERVFAIL where no other answers" };
            sentences.push(format!(
                "DNSSEC signatures do not pass the resolver {}: names {then}; write one that passes them into \
                 dns.upstreams, or dns.dnssec = false",
                stripping.join(" and ")
            ));
        }
        sentences
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_is_right_when_it_can_be() {
        let at = Duration::from_secs;
        let now = at(1_800_000_000);
        for (wall, seen, clock) in [
            (0, 0, Clock::Unset),
            (1_700_000_000, 0, Clock::Unset),
            (1_800_000_000, 0, Clock::Ahead(0)),
            (1_800_000_100, 0, Clock::Ahead(100)),
            (1_799_999_900, 0, Clock::Ahead(-100)),
            (1_799_999_900, 1_800_000_000, Clock::Unset),
            (1_800_000_001, 1_800_000_000, Clock::Ahead(1)),
        ] {
            assert_eq!(judge(at(wall), now, at(seen)), clock, "{wall} {seen}");
        }
        // Started at zero, set later.
        assert_eq!(judge(at(1_800_000_000), at(60), at(0)), Clock::Ahead(1_799_999_940));
    }

    #[test]
    fn what_was_seen_is_read_or_left_out() {
        assert_eq!(seen(Some(&b"1800000000".to_vec())), Duration::from_hours(500_000));
        assert_eq!(seen(Some(&b"soon".to_vec())), Duration::ZERO);
        assert_eq!(seen(None), Duration::ZERO);
    }
}
