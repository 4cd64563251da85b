//! Options that were told and no longer hold: told with lifetime zero for as long as a host may still believe them.
//! Hosts differ in how they treat an option that merely stops coming; some keep it until its lifetime ends.

use super::Config;
use core::time::Duration;
use ipnet::Ipv6Net;
use std::net::Ipv6Addr;

/// Most of each kind that are kept; the eldest goes first.
const MAX_EACH: usize = 8;

/// Values of one kind, each with the time until which it is told.
#[derive(Debug)]
struct Table<T>(Vec<(T, Duration)>);

impl<T: PartialEq + Clone> Table<T> {
    fn update<'a>(&mut self, until: Duration, old: impl Iterator<Item = &'a T>, new: &[T])
    where
        T: 'a,
    {
        for value in old {
            if !new.contains(value) && !self.0.iter().any(|(v, _)| v == value) {
                if self.0.len() >= MAX_EACH {
                    self.0.remove(0);
                }
                self.0.push((value.clone(), until));
            }
        }
        self.0.retain(|(value, _)| !new.contains(value));
    }

    fn values(&self) -> impl Iterator<Item = T> {
        self.0.iter().map(|(value, _)| value.clone())
    }
}

#[derive(Debug)]
pub(super) struct Withdrawn {
    rdnss: Table<Ipv6Addr>,
    dnssl: Table<String>,
    routes: Table<Ipv6Net>,
    pref64: Table<Ipv6Net>,
}

impl Withdrawn {
    pub(super) fn new() -> Self {
        Self {
            rdnss: Table(Vec::new()),
            dnssl: Table(Vec::new()),
            routes: Table(Vec::new()),
            pref64: Table(Vec::new()),
        }
    }

    /// Notes what `new` does not tell any more of what `old` told.
    pub(super) fn update(&mut self, now: Duration, old: &Config, new: &Config) {
        let until = now.saturating_add(old.option_lifetime);
        let prefixes = |config: &Config| config.routes.iter().map(|r| r.prefix).collect::<Vec<_>>();
        self.rdnss.update(until, old.rdnss.iter(), &new.rdnss);
        self.dnssl.update(until, old.dnssl.iter(), &new.dnssl);
        self.routes.update(until, prefixes(old).iter(), &prefixes(new));
        self.pref64.update(until, old.pref64.iter(), new.pref64.as_slice());
    }

    /// Forgets what has been told for long enough.
    pub(super) fn expire(&mut self, now: Duration) {
        self.rdnss.0.retain(|(_, until)| *until > now);
        self.dnssl.0.retain(|(_, until)| *until > now);
        self.routes.0.retain(|(_, until)| *until > now);
        self.pref64.0.retain(|(_, until)| *until > now);
    }

    pub(super) fn rdnss(&self) -> Vec<Ipv6Addr> {
        self.rdnss.values().collect()
    }

    pub(super) fn dnssl(&self) -> Vec<String> {
        self.dnssl.values().collect()
    }

    pub(super) fn routes(&self) -> Vec<Ipv6Net> {
        self.routes.values().collect()
    }

    pub(super) fn pref64(&self) -> Vec<Ipv6Net> {
        self.pref64.values().collect()
    }
}
