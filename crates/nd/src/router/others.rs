//! Other routers heard on our LAN: rogue ones, and ones that contradict us (RFC 4861 section 6.2.7).

use super::Config;
use super::prefixes::Prefixes;
use crate::budget::Budget;
use core::time::Duration;
use ipnet::Ipv6Net;
use sixgate_wire::ndp::{NdOption, RouterAdvertisement};
use std::net::Ipv6Addr;

/// Most other routers remembered; the one heard longest ago makes room.
pub(super) const MAX_OTHERS: usize = 16;
/// Most prefixes remembered of each.
const MAX_PREFIXES: usize = 8;
/// Notices at once, and time until one more: a stranger must not be able to fill the log.
const NOTICES: (u32, Duration) = (16, Duration::from_secs(30));

/// Another router on our LAN.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OtherRouter {
    /// Its link-local address.
    pub address: Ipv6Addr,
    /// When it was last heard.
    pub heard: Duration,
    /// Whether it says that it is a default router.
    pub default_router: bool,
    /// What it advertises as prefixes, at most eight of them.
    pub prefixes: Vec<Ipv6Net>,
    /// In what it contradicts us.
    pub contradictions: Vec<Contradiction>,
}

/// Something that all routers of a link should tell alike (RFC 4861 section 6.2.7).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Contradiction {
    /// Cur Hop Limit.
    HopLimit {
        /// What it says.
        theirs: u8,
    },
    /// M flag.
    Managed {
        /// What it says.
        theirs: bool,
    },
    /// O flag.
    Other {
        /// What it says.
        theirs: bool,
    },
    /// Reachable Time, in milliseconds.
    ReachableTime {
        /// What it says.
        theirs: u32,
    },
    /// Retrans Timer, in milliseconds.
    RetransTimer {
        /// What it says.
        theirs: u32,
    },
    /// Link MTU, in octets.
    Mtu {
        /// What it says.
        theirs: u32,
    },
    /// A prefix of ours which it tells deprecated or invalid while we do not, or the other way round.
    Lifetime {
        /// The prefix.
        prefix: Ipv6Net,
    },
}

#[derive(Debug)]
pub(super) struct Others {
    table: Vec<OtherRouter>,
    notices: Budget,
    pub(super) evicted: u64,
    pub(super) suppressed: u64,
}

impl Others {
    pub(super) fn new() -> Self {
        Self { table: Vec::new(), notices: Budget::new(NOTICES.0, NOTICES.1), evicted: 0, suppressed: 0 }
    }

    pub(super) fn table(&self) -> &[OtherRouter] {
        &self.table
    }

    /// Notes an advertisement; the router, if it is new or says something else than before and may be reported.
    pub(super) fn note(
        &mut self,
        now: Duration,
        source: Ipv6Addr,
        advertisement: &RouterAdvertisement<'_>,
        config: &Config,
        prefixes: &Prefixes,
    ) -> Option<OtherRouter> {
        let heard = OtherRouter {
            address: source,
            heard: now,
            default_router: advertisement.router_lifetime() > 0,
            prefixes: told_prefixes(advertisement),
            contradictions: contradictions(now, advertisement, config, prefixes),
        };
        if let Some(known) = self.table.iter_mut().find(|other| other.address == source) {
            let unchanged = OtherRouter { heard: now, ..known.clone() } == heard;
            *known = heard.clone();
            if unchanged {
                return None;
            }
        } else {
            self.remember(heard.clone());
        }
        if !self.notices.take(now) {
            self.suppressed = self.suppressed.saturating_add(1);
            return None;
        }
        Some(heard)
    }

    fn remember(&mut self, heard: OtherRouter) {
        if self.table.len() >= MAX_OTHERS {
            let eldest = self.table.iter().enumerate().min_by_key(|(_, other)| other.heard).map(|(at, _)| at);
            if let Some(at) = eldest {
                self.table.swap_remove(at);
                self.evicted = self.evicted.saturating_add(1);
            }
        }
        self.table.push(heard);
    }
}

fn told_prefixes(advertisement: &RouterAdvertisement<'_>) -> Vec<Ipv6Net> {
    let prefixes = advertisement.options().iter().filter_map(|option| match option {
        NdOption::PrefixInformation(prefix) => Some(prefix.prefix()),
        _ => None,
    });
    prefixes.take(MAX_PREFIXES).collect()
}

fn contradictions(
    now: Duration,
    advertisement: &RouterAdvertisement<'_>,
    config: &Config,
    prefixes: &Prefixes,
) -> Vec<Contradiction> {
    let mut found = Vec::new();
    // RFC 4861 section 6.2.7: values that a router does not specify contradict nothing.
    let differ = |ours: u32, theirs: u32| ours != 0 && theirs != 0 && ours != theirs;
    let milliseconds = |time: Duration| u32::try_from(time.as_millis()).unwrap_or(u32::MAX);
    let theirs = advertisement.hop_limit();
    if differ(u32::from(config.hop_limit), u32::from(theirs)) {
        found.push(Contradiction::HopLimit { theirs });
    }
    let theirs = advertisement.managed();
    if theirs != config.managed {
        found.push(Contradiction::Managed { theirs });
    }
    let theirs = advertisement.other();
    if theirs != config.other {
        found.push(Contradiction::Other { theirs });
    }
    let theirs = advertisement.reachable_time();
    if differ(milliseconds(config.reachable_time), theirs) {
        found.push(Contradiction::ReachableTime { theirs });
    }
    let theirs = advertisement.retrans_timer();
    if differ(milliseconds(config.retrans_timer), theirs) {
        found.push(Contradiction::RetransTimer { theirs });
    }
    for option in advertisement.options().iter() {
        match option {
            NdOption::Mtu(theirs) if differ(config.mtu.unwrap_or(0), theirs) => {
                found.push(Contradiction::Mtu { theirs });
            }
            NdOption::PrefixInformation(told) => {
                let prefix = told.prefix();
                // Lifetimes that only shrink at another pace do not contradict: what counts is whether hosts would
                // swing between usable and not.
                let contradicts =
                    prefixes.own_lifetimes(now, config, prefix).is_some_and(|(preferred, valid)| {
                        (preferred == 0) != (told.preferred == 0) || (valid == 0) != (told.valid == 0)
                    });
                if contradicts {
                    found.push(Contradiction::Lifetime { prefix });
                }
            }
            _ => {}
        }
        if found.len() >= MAX_PREFIXES {
            break;
        }
    }
    found.sort_unstable();
    found.dedup();
    found
}
