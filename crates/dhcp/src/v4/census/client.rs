//! What is known of one client.

use super::fingerprint::{Family, Fingerprint};
use super::needs::Needs;
use super::score::{Score, Stage, Tally};
use super::{HOUR, Sighting};
use sixgate_wire::dhcpv4::{Hardware, MIN_V6ONLY_WAIT};
use std::time::Duration;

const MINUTE: u64 = 60;

/// Events in the current stretch of time, and in the one before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Rate {
    pub(super) stretch: u64,
    pub(super) now: u32,
    pub(super) before: u32,
}

impl Rate {
    fn turn(&mut self, stretch: u64) {
        if stretch > self.stretch {
            self.before = if stretch == self.stretch + 1 { self.now } else { 0 };
            (self.stretch, self.now) = (stretch, 0);
        }
    }

    fn count(&mut self, stretch: u64) {
        self.turn(stretch);
        self.now = self.now.saturating_add(1);
    }
}

/// Whatever is counted or noted of a client; nothing of it says who it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Counted {
    pub(super) first: Duration,
    pub(super) last: Duration,
    /// The hour that is being counted, since the Unix epoch, and what was seen in it.
    pub(super) hour: u64,
    pub(super) against: bool,
    /// Whether it was without IPv4 when the hour began.
    pub(super) tried: bool,
    /// ARP frames by hour and by minute, and in all.
    pub(super) arp_hour: Rate,
    pub(super) arp_minute: Rate,
    pub(super) arp: u64,
    pub(super) passive: Tally,
    pub(super) trial: Tally,
    pub(super) ipv6: bool,
    pub(super) aaaa: bool,
    pub(super) translates: bool,
    pub(super) discovers: bool,
    pub(super) encrypts: bool,
    /// Since when it was told to do without IPv4; it has not taken an address since.
    pub(super) without: Option<Duration>,
    /// The family by the names that it asks for.
    pub(super) family: Option<Family>,
    pub(super) randomised: bool,
    /// By which it is found in [`super::Census`]'s cards.
    pub(super) card: Option<u64>,
}

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Client {
    pub(super) counted: Counted,
    pub(super) fingerprint: Fingerprint,
    pub(super) hostname: Option<String>,
    pub(super) hardware: Option<Hardware>,
    pub(super) needs: Needs,
}

impl Counted {
    pub(super) fn new(now: Duration) -> Self {
        Self { first: now, last: now, hour: now.as_secs() / HOUR, ..Self::default() }
    }

    /// Counts the hour that was, once another has begun.
    pub(super) fn turn(&mut self, now: Duration) {
        self.arp_hour.turn(now.as_secs() / HOUR);
        self.arp_minute.turn(now.as_secs() / MINUTE);
        let hour = now.as_secs() / HOUR;
        if hour <= self.hour {
            return;
        }
        // Only an hour in which it was seen says anything.
        if self.last.as_secs() / HOUR == self.hour {
            let tally = if self.tried { &mut self.trial } else { &mut self.passive };
            tally.count(self.against);
        }
        (self.hour, self.against, self.tried) = (hour, false, self.without.is_some());
    }

    /// Whether an hour of it counts: then it is kept before those that only just came.
    pub(super) fn established(&self) -> bool {
        self.passive.hours > 0 || self.trial.hours > 0
    }

    pub(super) fn score(&self, now: Duration) -> Score {
        let shortest = Duration::from_secs(MIN_V6ONLY_WAIT.into());
        let told_and_quiet = self.without.is_some_and(|told| now >= told.saturating_add(shortest));
        let stage = if told_and_quiet {
            Stage::Without
        } else if self.translates {
            Stage::Translates
        } else if !self.ipv6 {
            Stage::NoIpv6
        } else if !self.aaaa {
            Stage::Addressed
        } else if self.passive.against == 0 && !self.against {
            Stage::Capable
        } else {
            Stage::Mixed
        };
        Score::new(stage, self.passive, self.trial)
    }

    /// Whether this tells something of it that was not known.
    pub(super) fn note(&mut self, now: Duration, sighting: Sighting) -> bool {
        let before = *self;
        match sighting {
            Sighting::Ipv6 | Sighting::Reached => self.ipv6 = true,
            Sighting::Aaaa => self.aaaa = true,
            Sighting::Translated => (self.ipv6, self.translates) = (true, true),
            Sighting::NeedsIpv4 | Sighting::Failed => self.against = true,
            Sighting::Arp => {
                self.arp_hour.count(now.as_secs() / HOUR);
                self.arp_minute.count(now.as_secs() / MINUTE);
                self.arp = self.arp.saturating_add(1);
                return false;
            }
            Sighting::Discovers => self.discovers = true,
            Sighting::Encrypts => self.encrypts = true,
            Sighting::Is(family) => self.family = Some(family),
            // Told again, it is without since the first time.
            Sighting::Told => self.without = self.without.or(Some(now)),
            Sighting::Leased(although) => {
                if self.without.take().is_some() && although {
                    (self.against, self.tried) = (true, true);
                }
            }
        }
        *self != before
    }
}

impl Client {
    /// The family that it says it is by DHCP, which it says on purpose; else the one by the names it asks for.
    pub(super) fn family(&self) -> Family {
        match self.fingerprint.family() {
            Family::Unknown => self.counted.family.unwrap_or(Family::Unknown),
            family => family,
        }
    }
}
