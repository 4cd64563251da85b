//! The prefixes of a LAN: those that live, and those that died and must still be told dead (RFC 9096 section 3.5).

use super::Config;
use crate::lifetime::{seconds_left, until};
use core::time::Duration;
use ipnet::Ipv6Net;
use sixgate_wire::ndp::PrefixInformation;

/// A prefix of the LAN. Lifetimes are points in time: what is told shrinks as they come near.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AdvertisedPrefix {
    /// The prefix; bits beyond its length do not count.
    pub prefix: Ipv6Net,
    /// L: addresses of it are on the link.
    pub on_link: bool,
    /// A: hosts may form addresses of it.
    pub autonomous: bool,
    /// P: hosts should rather ask for a prefix of their own by DHCPv6 (RFC 9762).
    pub pd_preferred: bool,
    /// When it ends: for a delegated prefix the end of the delegation. [`Duration::MAX`]: never.
    pub valid_until: Duration,
    /// When it is deprecated. In a record of advertised prefixes, zero marks one that is stale.
    pub preferred_until: Duration,
}

/// Most stale prefixes told at a time. An uplink that renumbers more often than that pushes out the one that would be
/// forgotten next.
pub(super) const MAX_STALE: usize = 16;

#[derive(Debug, Clone)]
struct Live {
    wanted: AdvertisedPrefix,
    /// What hosts on the LAN believe, from the last advertisement.
    told_preferred: Duration,
    told_valid: Duration,
}

#[derive(Debug, Clone, Copy)]
struct Stale {
    prefix: AdvertisedPrefix,
    until: Duration,
}

/// What a change of the prefixes asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Urgency {
    /// Nothing: the next advertisement is soon enough.
    None,
    /// One advertisement, before lifetimes that hosts hold run out.
    Soon,
    /// Hosts must learn of it now: a burst.
    Now,
}

#[derive(Debug, Default)]
pub(super) struct Prefixes {
    live: Vec<Live>,
    stale: Vec<Stale>,
    /// From before a restart: neither live nor stale until the first prefixes are known.
    remembered: Vec<Stale>,
    pub(super) evicted: u64,
}

impl Prefixes {
    /// Takes the prefixes advertised before a restart.
    pub(super) fn restore(&mut self, now: Duration, limit: Duration, prefixes: Vec<AdvertisedPrefix>) {
        // RFC 9096 section 3.5: valid lifetimes need not be recorded where they are limited; a prefix that was live is
        // then told stale for the limit.
        let latest = now.saturating_add(limit);
        self.remembered = prefixes
            .into_iter()
            .map(|prefix| {
                let stale = prefix.preferred_until.is_zero();
                Stale {
                    prefix: trunc(prefix),
                    until: if stale { prefix.valid_until.min(latest) } else { latest },
                }
            })
            .filter(|stale| stale.until > now)
            .take(MAX_STALE)
            .collect();
    }

    /// Takes the prefixes that live now; those that no longer do become stale. Prefixes are compared by bits and length
    /// alone: a host part that came along must not make one look new.
    pub(super) fn set(
        &mut self,
        now: Duration,
        config: &Config,
        max_interval: Duration,
        wanted: Vec<AdvertisedPrefix>,
    ) -> Urgency {
        let mut urgency = Urgency::None;
        let mut live: Vec<Live> = Vec::with_capacity(wanted.len());
        for wanted in wanted.into_iter().map(trunc) {
            if live.iter().any(|l| l.wanted.prefix == wanted.prefix) {
                continue;
            }
            let Some(known) = self.live.iter().find(|l| l.wanted.prefix == wanted.prefix) else {
                urgency = Urgency::Now;
                // Hosts may hold it already, from before a restart or before it went stale: if it goes again before
                // it was told again, it must still be told dead.
                let before = self.remembered.iter().chain(&self.stale);
                let held = before.filter(|s| s.prefix.prefix == wanted.prefix).map(|s| s.until).max();
                live.push(Live { wanted, told_preferred: now, told_valid: held.unwrap_or(now) });
                continue;
            };
            let (preferred, _) = lifetimes(now, config, &wanted);
            let preferred_until = until(now, preferred);
            // Two seconds: lifetimes are whole seconds, and both ends round.
            let shorter = preferred_until.saturating_add(Duration::from_secs(2)) < known.told_preferred;
            if shorter || flags(&known.wanted) != flags(&wanted) {
                urgency = Urgency::Now;
            } else if known.told_preferred < preferred_until.min(now.saturating_add(max_interval)) {
                urgency = urgency.max(Urgency::Soon);
            }
            live.push(Live { wanted, ..known.clone() });
        }
        let gone: Vec<Stale> = std::mem::replace(&mut self.live, live)
            .into_iter()
            .map(|l| Stale { prefix: l.wanted, until: l.told_valid })
            .chain(self.remembered.drain(..))
            .filter(|s| s.until > now)
            .collect();
        for stale in gone {
            if !self.lives(&stale.prefix) {
                urgency = Urgency::Now;
                self.add_stale(stale);
            }
        }
        let live = &self.live;
        self.stale.retain(|s| !live.iter().any(|l| l.wanted.prefix == s.prefix.prefix));
        urgency
    }

    fn lives(&self, prefix: &AdvertisedPrefix) -> bool {
        self.live.iter().any(|l| l.wanted.prefix == prefix.prefix)
    }

    fn add_stale(&mut self, stale: Stale) {
        if let Some(known) = self.stale.iter_mut().find(|s| s.prefix.prefix == stale.prefix.prefix) {
            known.until = known.until.max(stale.until);
            return;
        }
        if self.stale.len() >= MAX_STALE {
            let first = self.stale.iter().enumerate().min_by_key(|(_, s)| s.until).map(|(at, _)| at);
            if let Some(at) = first {
                self.stale.swap_remove(at);
                self.evicted = self.evicted.saturating_add(1);
            }
        }
        self.stale.push(stale);
    }

    /// Forgets stale prefixes that have been told for long enough; whether there were any.
    pub(super) fn expire(&mut self, now: Duration) -> bool {
        let before = self.stale.len();
        self.stale.retain(|s| s.until > now);
        self.stale.len() != before
    }

    /// When [`Self::expire`] next has something to do.
    pub(super) fn next_expiry(&self) -> Option<Duration> {
        self.stale.iter().map(|s| s.until).min()
    }

    /// The options to tell, live ones first. `last` deprecates all: the router is about to fall silent.
    pub(super) fn options(&self, now: Duration, config: &Config, last: bool) -> Vec<PrefixInformation> {
        let live = self.live.iter().map(|l| {
            let (preferred, valid) = lifetimes(now, config, &l.wanted);
            option(&l.wanted, if last { 0 } else { preferred }, valid)
        });
        // RFC 9096 section 3.5: both lifetimes zero, A and L as they were.
        live.chain(self.stale.iter().map(|s| option(&s.prefix, 0, 0))).collect()
    }

    /// Notes that hosts have just been told.
    pub(super) fn told(&mut self, now: Duration, config: &Config) {
        for live in &mut self.live {
            let (preferred, valid) = lifetimes(now, config, &live.wanted);
            live.told_preferred = until(now, preferred);
            live.told_valid = live.told_valid.max(until(now, valid));
        }
    }

    /// Whether an address is on the link by a prefix that lives.
    pub(super) fn on_link(&self, address: std::net::Ipv6Addr) -> bool {
        self.live.iter().any(|l| l.wanted.on_link && l.wanted.prefix.contains(&address))
    }

    /// What a peer says of the same prefix, next to what we say; `None` where we do not advertise it.
    pub(super) fn own_lifetimes(
        &self,
        now: Duration,
        config: &Config,
        prefix: Ipv6Net,
    ) -> Option<(u32, u32)> {
        self.live.iter().find(|l| l.wanted.prefix == prefix).map(|l| lifetimes(now, config, &l.wanted))
    }

    /// All that hosts may hold of us.
    pub(super) fn snapshot(&self) -> Vec<AdvertisedPrefix> {
        let stale = self.stale.iter().chain(self.remembered.iter()).map(|s| AdvertisedPrefix {
            preferred_until: Duration::ZERO,
            valid_until: s.until,
            ..s.prefix
        });
        self.live.iter().map(|l| l.wanted).chain(stale).collect()
    }
}

fn trunc(prefix: AdvertisedPrefix) -> AdvertisedPrefix {
    AdvertisedPrefix { prefix: prefix.prefix.trunc(), ..prefix }
}

fn flags(prefix: &AdvertisedPrefix) -> (bool, bool, bool) {
    (prefix.on_link, prefix.autonomous, prefix.pd_preferred)
}

/// Preferred and valid lifetime to tell now: what is left, within the limits (RFC 9096 sections 3.3 and 3.4).
fn lifetimes(now: Duration, config: &Config, prefix: &AdvertisedPrefix) -> (u32, u32) {
    let limit = |limit: Duration| seconds_left(Duration::ZERO, limit);
    let valid = seconds_left(now, prefix.valid_until).min(limit(config.valid_limit));
    let preferred = seconds_left(now, prefix.preferred_until).min(limit(config.preferred_limit)).min(valid);
    (preferred, valid)
}

fn option(prefix: &AdvertisedPrefix, preferred: u32, valid: u32) -> PrefixInformation {
    PrefixInformation {
        address: prefix.prefix.network(),
        length: prefix.prefix.prefix_len(),
        on_link: prefix.on_link,
        autonomous: prefix.autonomous,
        router_address: false,
        pd_preferred: prefix.pd_preferred,
        valid,
        preferred,
    }
}
