//! Whether each family works: when to probe what, and what the answers mean. Sans-I/O.
//!
//! IPv4 and IPv6 hide each other's faults: a program whose IPv6 is broken falls back to IPv4 (RFC 8305), a little later, and
//! nobody complains. So each family is probed by itself, both at the same time, and IPv6 that fails while IPv4 works is the worst
//! of all states and not the mildest.
//!
//! Without the configuration's consent nobody is asked but who is asked anyway: the ISP's router, by a Neighbor Solicitation
//! (RFC 4861 section 7.3.1), and the resolvers, by a TCP connection that says nothing. Of the NAT64 there is no such neighbour:
//! the addresses of ipv4only.arpa (RFC 7050) are nobody's, and the well-known prefix cannot stand for an ISP's private
//! router (RFC 6052 section 3.1). There the packets of the hosts themselves are watched: whether answers come back.

use super::check::{Check, History, Outcome, Way, Who};
use core::time::Duration;
use sixgate_endpoint::nat64::Prefix;
use sixgate_endpoint::{Endpoint, Family, Host};
use std::collections::BTreeMap;
use std::net::Ipv6Addr;

/// From when a way is there until the first round.
const SOON: Duration = Duration::from_secs(2);
/// Between rounds while something has just failed: whether it is broken shall be known soon.
const AGAIN: Duration = Duration::from_secs(5);
/// How long an answer may take: a handshake around the world with two retransmissions (RFC 6298 section 2).
pub(crate) const TIMEOUT: Duration = Duration::from_secs(5);
/// How long a round may take: names first, then connections.
const ROUND: Duration = Duration::from_secs(15);
/// Between two Neighbor Solicitations, and how many (RFC 4861 section 10: RETRANS_TIMER, MAX_UNICAST_SOLICIT).
const SOLICIT: Duration = Duration::from_secs(1);
const SOLICITATIONS: u32 = 3;
/// How long there may be no way out before that is told: an ISP needs its time.
const GRACE: Duration = Duration::from_secs(30);
/// Resolvers that are probed, of each family.
const RESOLVERS: usize = 2;
/// Packets of hosts without one answer that make a silence.
const SILENCE: u64 = 20;

/// How it is asked.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Config {
    pub(crate) targets: Vec<Host>,
    /// Between rounds.
    pub(crate) interval: Duration,
    /// By how much IPv6 may be slower than IPv4.
    pub(crate) slow: Duration,
}

/// What the machine has.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct World {
    /// The first default router for IPv6.
    pub(crate) router: Option<Ipv6Addr>,
    /// Whether there is a default route for IPv4.
    pub(crate) ipv4: bool,
    /// Behind it is IPv4.
    pub(crate) nat64: Option<Prefix>,
    /// Who is asked for names.
    pub(crate) resolvers: Vec<Endpoint>,
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Action {
    /// Find the addresses of a target in one family and give them to [`Health::resolved`].
    Resolve { asked: Asked, name: String, family: Family },
    /// Connect within [`TIMEOUT`], forget the connection, and tell [`Health::probed`]. To be refused is an answer.
    Probe { id: u64, to: Endpoint },
    /// Send a Neighbor Solicitation to this router.
    Solicit { router: Ipv6Addr },
    /// Look what the neighbour table says of it and tell [`Health::looked`].
    Look { router: Ipv6Addr },
    /// Say how many packets the translator has carried each way, to [`Health::carried`].
    Count,
    /// The state of a way has changed.
    Changed { way: Way, state: State },
}

/// Whose address is asked for, and in which round: an answer that comes late is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Asked {
    check: usize,
    round: u64,
}

/// How a way is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    /// Not probed often enough.
    Unknown,
    Ok,
    /// IPv6 is slower than IPv4 by more than is allowed.
    Slow,
    /// There is a way, and no answer.
    Broken,
    /// IPv6 does not work, and IPv4 does: nobody notices.
    Hidden,
    /// There should be a way and is none.
    Down,
    /// There is none, and none is missed.
    None,
}

impl State {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Ok => "ok",
            Self::Slow => "slow",
            Self::Broken => "broken",
            Self::Hidden => "hidden",
            Self::Down => "down",
            Self::None => "none",
        }
    }

    /// Somebody should do something.
    pub(crate) fn is_bad(self) -> bool {
        matches!(self, Self::Slow | Self::Broken | Self::Hidden | Self::Down)
    }
}

/// All of it.
#[derive(Debug)]
pub(crate) struct Health {
    config: Config,
    rng: fastrand::Rng,
    world: World,
    /// Since when there has been no router.
    alone: Option<Duration>,
    pub(crate) checks: Vec<Check>,
    /// Answers of the router to solicitations.
    pub(crate) router: History,
    /// Whether what the hosts sent through the NAT64 was answered.
    pub(crate) translated: History,
    /// Packets there and back up to when that was last judged, and whether there were answers since the last round.
    carried: Option<(u64, u64)>,
    answered: bool,
    /// The next round; none while one is under way.
    next: Option<Duration>,
    round: Option<Duration>,
    look: Option<(Duration, u32)>,
    probes: BTreeMap<u64, (usize, Way)>,
    /// Names that are being resolved.
    resolving: usize,
    last_id: u64,
    pub(crate) rounds: u64,
    told: [State; 3],
}

impl Health {
    pub(crate) fn new(now: Duration, config: Config, mut rng: fastrand::Rng) -> Self {
        let last_id = rng.u64(..u64::MAX / 2);
        let checks = config.targets.iter().map(|host| Check::new(Who::Target(host.clone()))).collect();
        Self {
            config,
            rng,
            world: World::default(),
            alone: Some(now),
            checks,
            router: History::default(),
            translated: History::default(),
            carried: None,
            answered: false,
            // Nobody tells of IPv4: that it is there is seen when a round begins.
            next: Some(now + SOON),
            round: None,
            look: None,
            probes: BTreeMap::new(),
            resolving: 0,
            // What ends late was begun before the configuration was read again, and is none of ours.
            last_id,
            rounds: 0,
            told: [State::Unknown; 3],
        }
    }

    /// What the machine has changed, perhaps.
    pub(crate) fn set_world(&mut self, now: Duration, mut world: World) {
        let mut kept = [0; 2];
        // One on this machine itself says nothing of the world.
        world.resolvers.retain(|resolver| !resolver.address().is_loopback());
        world.resolvers.retain(|resolver| {
            let count = kept.get_mut(Way::of(resolver.family()) as usize);
            count.is_some_and(|count| std::mem::replace(count, *count + 1) < RESOLVERS)
        });
        if world == self.world {
            return;
        }
        let old = std::mem::replace(&mut self.world, world);
        let world = &self.world;
        let changed = [
            (Way::Ipv6, old.router != world.router),
            (Way::Ipv4, old.ipv4 != world.ipv4),
            (Way::Nat64, (old.nat64, old.ipv4) != (world.nat64, world.ipv4)),
        ];
        for (way, _) in changed.into_iter().filter(|(_, changed)| *changed) {
            self.checks.iter_mut().for_each(|check| check.forget(way));
            match way {
                Way::Ipv6 => self.router = History::default(),
                Way::Ipv4 => {}
                Way::Nat64 => {
                    (self.translated, self.carried, self.answered) = (History::default(), None, false);
                }
            }
        }
        self.alone = match (world.router, self.alone) {
            (Some(_), _) => None,
            (None, since) => since.or(Some(now)),
        };
        // What is under way belongs to the old world.
        self.probes.clear();
        (self.round, self.look) = (None, None);
        let resolvers: Vec<Who> = self.world.resolvers.iter().copied().map(Who::Resolver).collect();
        self.checks.retain(|check| matches!(check.who, Who::Target(_)) || resolvers.contains(&check.who));
        for who in resolvers {
            if !self.checks.iter().any(|check| check.who == who) {
                self.checks.push(Check::new(who));
            }
        }
        let any = self.world.router.is_some() || self.world.ipv4;
        self.next = Some(now + self.jitter(if any { SOON } else { self.config.interval }));
    }

    pub(crate) fn poll_timeout(&self) -> Option<Duration> {
        let grace = self.alone.map(|since| since + GRACE).filter(|_| self.told[0] != State::Down);
        let look = self.look.map(|(at, _)| at);
        let next = if self.round.is_some() { self.round } else { self.next };
        [grace.filter(|_| self.told[0] != State::Hidden), look, next].into_iter().flatten().min()
    }

    pub(crate) fn handle_timeout(&mut self, now: Duration, actions: &mut Vec<Action>) {
        if let Some((at, tries)) = self.look
            && now >= at
        {
            self.look = Some((Duration::MAX, tries));
            actions.extend(self.world.router.map(|router| Action::Look { router }));
        }
        if self.round.is_some_and(|end| now >= end) {
            for (_, (check, way)) in std::mem::take(&mut self.probes) {
                self.push(check, way, Err("no answer".to_owned()));
            }
            self.finish(now);
        }
        if self.round.is_none() && self.next.is_some_and(|next| now >= next) {
            self.begin(now, actions);
        }
        self.tell(now, actions);
    }

    fn begin(&mut self, now: Duration, actions: &mut Vec<Action>) {
        self.rounds += 1;
        self.round = Some(now + ROUND);
        self.next = None;
        self.resolving = 0;
        if let Some(router) = self.world.router {
            actions.push(Action::Solicit { router });
            self.look = Some((now + SOLICIT, 1));
        }
        if self.world.nat64.is_some() {
            actions.push(Action::Count);
        }
        for index in 0..self.checks.len() {
            let Some(check) = self.checks.get_mut(index) else { continue };
            match check.who.clone() {
                Who::Resolver(resolver) => self.probe(index, resolver.or_port(53), actions),
                Who::Target(host) => match (host.endpoint(), host.name()) {
                    (Some(endpoint), _) => self.probe(index, endpoint.or_port(443), actions),
                    (None, Some(name)) => {
                        check.note = Some("its name has no address, or cannot be resolved".to_owned());
                        for family in Family::BOTH {
                            self.resolving += 1;
                            let asked = Asked { check: index, round: self.rounds };
                            actions.push(Action::Resolve { asked, name: name.to_owned(), family });
                        }
                    }
                    (None, None) => {}
                },
            }
        }
    }

    /// The addresses of a target in one family.
    pub(crate) fn resolved(&mut self, asked: Asked, addresses: &[Endpoint], actions: &mut Vec<Action>) {
        if self.round.is_none() || asked.round != self.rounds {
            return;
        }
        self.resolving = self.resolving.saturating_sub(1);
        let check = asked.check;
        let nat64 = self.world.nat64;
        let Some(Who::Target(host)) = self.checks.get(check).map(|check| check.who.clone()) else { return };
        let made_up =
            |to: &Endpoint| nat64.zip(to.ipv6()).is_some_and(|(nat64, to)| nat64.extract(to).is_some());
        // What DNS64 made up is the NAT64's way, which the A record leads to as well.
        let Some(to) = addresses.iter().find(|to| !made_up(to)).copied() else { return };
        if let Some(check) = self.checks.get_mut(check) {
            check.note = None;
        }
        self.probe(check, to.with_port(host.port().unwrap_or(443)), actions);
    }

    /// Probes an endpoint over every way that leads to it.
    fn probe(&mut self, check: usize, to: Endpoint, actions: &mut Vec<Action>) {
        let mut one = |way, to| {
            self.last_id += 1;
            self.probes.insert(self.last_id, (check, way));
            actions.push(Action::Probe { id: self.last_id, to });
        };
        match to.family() {
            Family::V6 if self.world.router.is_some() => one(Way::Ipv6, to),
            Family::V4 => {
                if self.world.ipv4 {
                    one(Way::Ipv4, to);
                }
                let behind = self.world.nat64.map(|prefix| prefix.synthesise_endpoint(to));
                let target = matches!(self.checks.get(check).map(|c| &c.who), Some(Who::Target(_)));
                if let Some(behind) = behind.filter(|behind| target && behind.family() == Family::V6) {
                    one(Way::Nat64, behind);
                }
            }
            Family::V6 => {}
        }
    }

    /// What became of a probe.
    pub(crate) fn probed(&mut self, id: u64, outcome: Outcome) {
        if let Some((check, way)) = self.probes.remove(&id) {
            self.push(check, way, outcome);
        }
    }

    fn push(&mut self, check: usize, way: Way, outcome: Outcome) {
        if let Some(check) = self.checks.get_mut(check) {
            check.push(way, outcome);
        }
    }

    /// What the neighbour table says of the router: whether it has answered. `None` where it does not know it.
    pub(crate) fn looked(&mut self, now: Duration, answered: Option<bool>, actions: &mut Vec<Action>) {
        let (Some((_, tries)), Some(router)) = (self.look, self.world.router) else { return };
        match answered {
            Some(true) => self.router.push(Ok(Duration::ZERO)),
            _ if tries < SOLICITATIONS => {
                actions.push(Action::Solicit { router });
                self.look = Some((now + SOLICIT, tries + 1));
                return;
            }
            _ => self.router.push(Err("it answers no Neighbor Solicitation".to_owned())),
        }
        self.look = None;
    }

    /// Packets that the translator has carried since its start: from hosts to IPv4, and back.
    pub(crate) fn carried(&mut self, there: u64, back: u64) {
        let (before, back_before) = *self.carried.get_or_insert((there, back));
        self.answered = back > back_before;
        if self.answered {
            self.translated.push(Ok(Duration::ZERO));
        } else if there.saturating_sub(before) >= SILENCE {
            self.translated.push(Err("nothing that hosts send is answered".to_owned()));
        } else {
            return;
        }
        self.carried = Some((there, back));
    }

    /// When all is answered, the next round is planned; before that, a round has an end anyway.
    pub(crate) fn settle(&mut self, now: Duration, actions: &mut Vec<Action>) {
        if self.round.is_some() && self.probes.is_empty() && self.look.is_none() && self.resolving == 0 {
            self.finish(now);
        }
        self.tell(now, actions);
    }

    fn finish(&mut self, now: Duration) {
        self.round = None;
        self.look = None;
        self.checks.iter_mut().for_each(Check::pair);
        let histories = self.checks.iter().flat_map(|check| check.ways.iter().flatten());
        // Once it is known to be broken there is no hurry.
        let doubtful = |history: &History| history.wavers() && history.works() != Some(false);
        let wavers = histories.chain([&self.router]).any(doubtful);
        let wait = if wavers { AGAIN.min(self.config.interval) } else { self.config.interval };
        self.next = Some(now + self.jitter(wait));
    }

    /// A fifth more or less, so that many gateways do not probe in step.
    fn jitter(&mut self, wait: Duration) -> Duration {
        wait.mul_f64(0.8 + 0.4 * self.rng.f64())
    }

    fn tell(&mut self, now: Duration, actions: &mut Vec<Action>) {
        for way in Way::ALL {
            let state = self.state(now, way);
            if let Some(told) = self.told.get_mut(way as usize)
                && *told != state
            {
                *told = state;
                actions.push(Action::Changed { way, state });
            }
        }
    }

    /// Whether anybody answers over this way; `None` where nobody is asked, or not often enough.
    fn works(&self, way: Way) -> Option<bool> {
        let mut verdicts: Vec<Option<bool>> =
            self.checks.iter().filter_map(|check| check.way(way)).map(History::works).collect();
        match way {
            // Somebody behind the router is the better witness.
            Way::Ipv6 if verdicts.is_empty() => verdicts.push(self.router.works()),
            // Hosts that are answered now show that it works; what they had before says less than who is asked now.
            Way::Nat64 if self.answered || verdicts.is_empty() => verdicts.push(self.translated.works()),
            _ => {}
        }
        if verdicts.contains(&Some(true)) {
            return Some(true);
        }
        // One that has not been asked often enough may still answer.
        (!verdicts.is_empty() && verdicts.iter().all(|verdict| *verdict == Some(false))).then_some(false)
    }

    /// How a way is.
    pub(crate) fn state(&self, now: Duration, way: Way) -> State {
        let there = match way {
            Way::Ipv6 => self.world.router.is_some(),
            Way::Ipv4 => self.world.ipv4,
            Way::Nat64 => self.world.nat64.is_some(),
        };
        if !there && way != Way::Ipv6 {
            return State::None;
        }
        let waited = self.alone.is_none_or(|since| now >= since + GRACE);
        let works = if there { self.works(way) } else { Some(false).filter(|_| waited) };
        let hides = || {
            way == Way::Ipv6 && (self.works(Way::Ipv4) == Some(true) || self.works(Way::Nat64) == Some(true))
        };
        match works {
            None => State::Unknown,
            Some(true) if way == Way::Ipv6 && self.slower().is_some() => State::Slow,
            Some(true) => State::Ok,
            Some(false) if hides() => State::Hidden,
            Some(false) if !there => State::Down,
            Some(false) => State::Broken,
        }
    }

    /// By how much IPv6 is slower than IPv4, where it is for most of whom both reach: one server's detour is its own.
    pub(crate) fn slower(&self) -> Option<Duration> {
        let mut differences: Vec<Duration> = self.checks.iter().filter_map(Check::slower).collect();
        differences.sort_unstable();
        // The lower of two in the middle.
        let median = differences.get(differences.len().saturating_sub(1) / 2).copied()?;
        (median > self.config.slow).then_some(median)
    }

    pub(crate) fn slow_limit(&self) -> Duration {
        self.config.slow
    }

    pub(crate) fn world(&self) -> &World {
        &self.world
    }
}

/// An endpoint with this port where it has none.
trait OrPort {
    fn or_port(self, port: u16) -> Self;
}

impl OrPort for Endpoint {
    fn or_port(self, port: u16) -> Self {
        if self.port().is_some() { self } else { self.with_port(port) }
    }
}
