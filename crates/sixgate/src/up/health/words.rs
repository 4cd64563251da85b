//! Health in words: for `status`, for the log, and with what to do.

use super::check::{Check, FAILURES, History, Way};
use super::core::{Health, State};
use crate::up::engine::Engine;
use crate::view;
use std::time::Duration;

impl Engine {
    pub(crate) fn health_view(&self) -> Option<view::Health> {
        let (health, now) = (&self.health.as_ref()?.core, self.now());
        let way = |way| view::Way {
            state: health.state(now, way).name().to_owned(),
            why: why(health, now, way),
            milliseconds: fastest(health, way).map(milliseconds),
        };
        Some(view::Health {
            ipv6: way(Way::Ipv6),
            ipv4: way(Way::Ipv4),
            nat64: health.world().nat64.is_some().then(|| way(Way::Nat64)),
            router: health.world().router.map(|router| view::FirstRouter {
                address: router.to_string(),
                answers: health.router.works(),
            }),
            checks: health.checks.iter().map(|check| check_view(check, health.slow_limit())).collect(),
            rounds: health.rounds,
        })
    }

    pub(super) fn health_why(&self, way: Way) -> Option<String> {
        Some(why(&self.health.as_ref()?.core, self.now(), way))
    }

    /// What is wrong, as sentences with their remedies.
    pub(crate) fn health_problems(&self) -> Vec<String> {
        let Some(health) = &self.health else { return Vec::new() };
        let (health, now) = (&health.core, self.now());
        let state = |way| health.state(now, way);
        let mut problems: Vec<String> =
            Way::ALL.iter().filter_map(|way| problem(health, now, *way)).collect();
        // One target's fault is told where it is not everybody's.
        if state(Way::Ipv6) == State::Ok {
            problems.extend(health.checks.iter().filter(|check| check.hidden()).map(|check| {
                format!(
                    "{0} is not reached over IPv6 and is over IPv4, which hides it; others are reached over both, so the fault is \
                     theirs or on the way to them: tell who runs {0}",
                    check.name()
                )
            }));
        }
        problems
    }
}

/// What is wrong with one way, and what to do.
fn problem(health: &Health, now: Duration, way: Way) -> Option<String> {
    let state = health.state(now, way);
    let name = way.name();
    let why = why(health, now, way);
    let behind = match (health.world().router, health.router.works()) {
        (None, _) => {
            "ask the ISP whether it serves IPv6 here, and look at the cable and at what is on its other end"
        }
        (Some(_), Some(false)) => "restart the ISP's device, or look at the cable to it",
        (Some(_), _) => {
            "the ISP's router answers, so the fault is behind it: tell the ISP that IPv6 does not get through, and see whether a \
             device before this one drops it"
        }
    };
    match (way, state) {
        (_, state) if !state.is_bad() => None,
        (_, State::Hidden) => Some(format!(
            "IPv6 is broken and IPv4 hides it ({why}): programs fall back to IPv4 (RFC 8305), slower, and nobody complains; {behind}"
        )),
        (Way::Ipv6, State::Slow) => Some(format!(
            "IPv6 is {why}: hosts prefer it and wait; tell the ISP, whose IPv6 takes a longer way (a tunnel?)"
        )),
        (Way::Ipv6, _) => Some(format!("IPv6 is {} ({why}); {behind}", state.name())),
        (Way::Nat64, _) => Some(format!(
            "NAT64 does not get through ({why}); look whether IPv4 itself works on this machine, and whether anything on the way \
             drops what comes from its pool"
        )),
        (Way::Ipv4, _) => Some(format!(
            "{name} is {} ({why}); hosts with both families go on over IPv6: look at the IPv4 address and router of the uplink",
            state.name()
        )),
    }
}

/// Why a way is as it is.
fn why(health: &Health, now: Duration, way: Way) -> String {
    let asked = health.checks.iter().any(|check| check.way(way).is_some());
    match health.state(now, way) {
        State::None if way == Way::Ipv4 => "no IPv4 here, which is no fault".to_owned(),
        State::None => "not asked for".to_owned(),
        State::Ok => match fastest(health, way) {
            Some(time) => format!("answers in {:.1} ms", milliseconds(time)),
            None if way == Way::Ipv6 => {
                "the ISP's router answers; name [health] targets to see farther".to_owned()
            }
            None => "what hosts send is answered".to_owned(),
        },
        State::Slow => {
            let slower = health.slower().unwrap_or_default();
            format!("slower than IPv4 by {:.0} ms", milliseconds(slower))
        }
        State::Down => "no router is heard on the uplink".to_owned(),
        State::Hidden | State::Broken if way == Way::Ipv6 && health.world().router.is_none() => {
            "no router is heard on the uplink".to_owned()
        }
        State::Hidden | State::Broken => {
            let failed = health.checks.iter().filter_map(|check| check.way(way)).find_map(History::error);
            let router = health.router.error().filter(|_| way == Way::Ipv6);
            let watched = health.translated.error().filter(|_| way == Way::Nat64);
            match (router, failed.or(watched)) {
                (Some(_), _) => "the ISP's router answers no Neighbor Solicitation".to_owned(),
                (None, Some(error)) => error.to_owned(),
                (None, None) => format!("{FAILURES} probes in a row had no answer"),
            }
        }
        State::Unknown if asked => "not probed often enough yet".to_owned(),
        State::Unknown if way == Way::Ipv6 => "not known yet".to_owned(),
        State::Unknown => "nobody is asked over it: name [health] targets".to_owned(),
    }
}

/// The time of the nearest who answers over a way.
fn fastest(health: &Health, way: Way) -> Option<Duration> {
    health.checks.iter().filter_map(|check| check.way(way)).filter_map(History::latency).min()
}

fn check_view(check: &Check, limit: Duration) -> view::Check {
    let leg = |way| {
        let history = check.way(way)?;
        let state = match history.works() {
            None => State::Unknown,
            Some(false) if way == Way::Ipv6 && check.hidden() => State::Hidden,
            Some(false) => State::Broken,
            Some(true) if way == Way::Ipv6 && check.slower().is_some_and(|slower| slower > limit) => {
                State::Slow
            }
            Some(true) => State::Ok,
        };
        Some(view::Leg {
            state: state.name().to_owned(),
            milliseconds: history.latency().map(milliseconds),
            error: history.error().map(str::to_owned),
        })
    };
    view::Check {
        who: check.name(),
        ipv6: leg(Way::Ipv6),
        ipv4: leg(Way::Ipv4),
        nat64: leg(Way::Nat64),
        note: check.note.clone(),
    }
}

/// With one digit after the point: more is noise.
fn milliseconds(time: Duration) -> f64 {
    (time.as_secs_f64() * 10_000.0).round() / 10.0
}
