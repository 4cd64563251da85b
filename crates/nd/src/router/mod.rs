//! A router on one LAN: sends Router Advertisements (RFC 4861 section 6.2), answers solicitations, takes back what no
//! longer holds (RFC 9096), and notices other routers.
//!
//! ```text
//! let mut router = Router::new(config, rng);
//! router.restore(now, recorded);           // after a restart: what Action::Record last gave
//! router.set_prefixes(now, prefixes);      // as soon as they are known, and at every change
//! router.set_default_route(now, true);     // whether there is a way out
//! router.start(now);                       // the LAN's link is up
//! loop { wait for poll_timeout() or a packet; handle_timeout() or handle(); do the actions in order }
//! router.stop(now, &mut actions);
//! ```
//! Start only when the uplink has been heard or given up on: until [`Router::set_default_route`] says `true`, hosts are
//! told that we are no default router, which some of them remember against us.

mod advertisement;
mod config;
mod others;
mod prefixes;
mod withdrawn;

pub use config::{Config, ConfigError, ND_PREFERRED_LIMIT, ND_VALID_LIMIT, Route};
pub use others::{Contradiction, OtherRouter};
pub use prefixes::AdvertisedPrefix;

use crate::budget::Budget;
use core::time::Duration;
use others::Others;
use prefixes::{Prefixes, Urgency};
use sixgate_wire::ndp::{ALL_NODES, HOP_LIMIT, Message, OptionKind};
use std::net::Ipv6Addr;
use withdrawn::Withdrawn;

/// MAX_INITIAL_RTR_ADVERT_INTERVAL (RFC 4861 section 10).
const MAX_INITIAL_INTERVAL: Duration = Duration::from_secs(16);
/// MAX_INITIAL_RTR_ADVERTISEMENTS (RFC 4861 section 10).
const INITIAL_ADVERTISEMENTS: u8 = 3;
/// MIN_DELAY_BETWEEN_RAS (RFC 4861 section 10).
const MIN_DELAY_BETWEEN: Duration = Duration::from_secs(3);
/// MAX_RA_DELAY_TIME (RFC 4861 section 10).
const MAX_DELAY: Duration = Duration::from_millis(500);
/// Most hosts that wait for a unicast answer at a time. More than that are answered together, by multicast.
const MAX_WAITING: usize = 64;
/// Unicast answers at once, and time until one more. A host that moves solicits thrice; above this it is a flood.
const UNICAST: (u32, Duration) = (64, Duration::from_millis(100));

/// What the caller is to do, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Keep this record where a crash cannot reach it, instead of the one before, and then go on: it is for
    /// [`Router::restore`] (RFC 9096 section 3.5).
    Record(Vec<AdvertisedPrefix>),
    /// Send the ICMPv6 message with hop limit 255 on the LAN.
    Send {
        /// All nodes, or one that solicited.
        destination: Ipv6Addr,
        /// The message, from the ICMPv6 type, its checksum zero.
        bytes: Vec<u8>,
    },
    /// Another router advertises on our LAN: worth a line in the log. Told when it appears and when it says something
    /// else.
    Noticed(OtherRouter),
}

/// What has happened since the start. All only grow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counters {
    /// Valid Router Solicitations received.
    pub solicitations: u64,
    /// Messages discarded because they broke a rule of RFC 4861 section 6.1.
    pub invalid: u64,
    /// Multicast advertisements sent.
    pub multicast: u64,
    /// Unicast advertisements sent.
    pub unicast: u64,
    /// Solicitations that got a multicast answer because there were too many for unicast ones.
    pub unicast_refused: u64,
    /// Advertisements of other routers heard.
    pub others: u64,
    /// Other routers forgotten because too many were heard.
    pub others_evicted: u64,
    /// Notices of other routers not given because there were too many.
    pub notices_suppressed: u64,
    /// Stale prefixes forgotten early because too many were stale.
    pub stale_evicted: u64,
}

/// A router on one LAN.
#[derive(Debug)]
pub struct Router {
    config: Config,
    rng: fastrand::Rng,
    prefixes: Prefixes,
    withdrawn: Withdrawn,
    others: Others,
    default_route: bool,
    running: bool,
    /// The set of prefixes differs from the record.
    unrecorded: bool,
    /// Advertisements left of the initial burst.
    initial: u8,
    next_multicast: Duration,
    last_multicast: Option<Duration>,
    waiting: Vec<(Ipv6Addr, Duration)>,
    unicast: Budget,
    counters: Counters,
}

impl Router {
    /// A router that is silent until [`Self::start`]. Values out of range are forced into it: see [`Config::check`].
    pub fn new(config: Config, rng: fastrand::Rng) -> Self {
        Self {
            config,
            rng,
            prefixes: Prefixes::default(),
            withdrawn: Withdrawn::new(),
            others: Others::new(),
            default_route: false,
            running: false,
            unrecorded: false,
            initial: 0,
            next_multicast: Duration::MAX,
            last_multicast: None,
            waiting: Vec::new(),
            unicast: Budget::new(UNICAST.0, UNICAST.1),
            counters: Counters::default(),
        }
    }

    /// The prefixes that [`Action::Record`] last gave before a restart. Nothing is told of them until
    /// [`Self::set_prefixes`] says which of them live on; the others are then told stale.
    pub fn restore(&mut self, now: Duration, prefixes: Vec<AdvertisedPrefix>) {
        self.prefixes.restore(now, self.config.valid_limit, prefixes);
    }

    /// The LAN's link is up: begins to advertise, with an initial burst (RFC 4861 section 6.2.4). To be called again
    /// when the link comes back.
    pub fn start(&mut self, now: Duration) {
        self.running = true;
        self.burst(now);
    }

    /// The prefixes that live now, all of them. Ones that no longer do are told stale: both lifetimes zero, flags
    /// unchanged, for as long as a host may hold them (RFC 9096 section 3.5). A change that hosts must know is
    /// advertised at once, and again in a burst.
    pub fn set_prefixes(&mut self, now: Duration, prefixes: Vec<AdvertisedPrefix>) {
        let before = self.prefixes.snapshot();
        let (_, max_interval) = self.config.intervals();
        let urgency = self.prefixes.set(now, &self.config, max_interval, prefixes);
        self.unrecorded |= keys(&before) != keys(&self.prefixes.snapshot());
        match urgency {
            Urgency::Now => self.burst(now),
            Urgency::Soon => self.soon(now, Duration::ZERO),
            Urgency::None => {}
        }
    }

    /// Whether there is a default route upstream. Without one we are no default router, and say so at once (RFC 7084
    /// requirement G-4).
    pub fn set_default_route(&mut self, now: Duration, exists: bool) {
        if self.default_route != exists {
            self.default_route = exists;
            self.burst(now);
        }
    }

    /// Another configuration. What it no longer tells is told with lifetime zero for a while.
    pub fn set_config(&mut self, now: Duration, config: Config) {
        if self.config == config {
            return;
        }
        if self.running {
            self.withdrawn.update(now, &self.config, &config);
        }
        self.config = config;
        self.burst(now);
    }

    /// An ICMPv6 message of types 133 to 137 arrived on the LAN. `bytes` begins at the ICMPv6 type; the checksum has
    /// been checked.
    pub fn handle(
        &mut self,
        now: Duration,
        source: Ipv6Addr,
        hop_limit: u8,
        bytes: &[u8],
        actions: &mut Vec<Action>,
    ) {
        if self.config.link_local == Some(source) {
            return;
        }
        let message = match Message::parse(bytes) {
            Ok(message) if hop_limit == HOP_LIMIT && !source.is_multicast() => message,
            _ => return self.invalid(),
        };
        match message {
            Message::RouterSolicitation(solicitation) => {
                // RFC 4861 section 6.1.1: who has no address yet must not tell its link-layer address.
                let told = solicitation.options().get(OptionKind::SOURCE_LINK_LAYER).is_some();
                if source.is_unspecified() && told {
                    return self.invalid();
                }
                self.solicited(now, source);
            }
            Message::RouterAdvertisement(advertisement) => {
                // RFC 4861 section 6.1.2: routers speak from their link-local address.
                if !source.is_unicast_link_local() {
                    return self.invalid();
                }
                self.counters.others = self.counters.others.saturating_add(1);
                let noticed = self.others.note(now, source, &advertisement, &self.config, &self.prefixes);
                actions.extend(noticed.map(Action::Noticed));
            }
            Message::NeighborSolicitation(_) | Message::NeighborAdvertisement(_) | Message::Redirect(_) => {}
        }
    }

    /// When [`Self::handle_timeout`] is next due; `None` while silent.
    pub fn poll_timeout(&self) -> Option<Duration> {
        if !self.running {
            return None;
        }
        let waiting = self.waiting.iter().map(|&(_, due)| due);
        waiting.chain(self.prefixes.next_expiry()).chain([self.next_multicast]).min()
    }

    /// Sends what is due.
    pub fn handle_timeout(&mut self, now: Duration, actions: &mut Vec<Action>) {
        if !self.running {
            return;
        }
        self.unrecorded |= self.prefixes.expire(now);
        self.withdrawn.expire(now);
        if self.unrecorded {
            // Durable before visible: once hosts hold a prefix, a restart must be able to take it back.
            self.unrecorded = false;
            actions.push(Action::Record(self.prefixes.snapshot()));
        }
        if now >= self.next_multicast {
            self.advertise(now, ALL_NODES, false, actions);
            self.last_multicast = Some(now);
            // A host that waits for its own answer has just had one.
            self.waiting.clear();
            self.initial = self.initial.saturating_sub(1);
            let (min, max) = self.config.intervals();
            let interval = self.random(min, max);
            let interval = if self.initial > 0 { interval.min(MAX_INITIAL_INTERVAL) } else { interval };
            self.next_multicast = now.saturating_add(interval);
        }
        let due: Vec<Ipv6Addr> =
            self.waiting.iter().filter(|&&(_, due)| due <= now).map(|&(to, _)| to).collect();
        self.waiting.retain(|&(_, due)| due > now);
        for destination in due {
            self.advertise(now, destination, false, actions);
        }
    }

    /// Falls silent: tells hosts that we are no router any more, and that nothing of ours is to be used for anything
    /// new (RFC 4861 section 6.2.5). The prefixes stay valid, so that what is open on the LAN stays open.
    pub fn stop(&mut self, now: Duration, actions: &mut Vec<Action>) {
        if !self.running {
            return;
        }
        self.advertise(now, ALL_NODES, true, actions);
        self.running = false;
        self.waiting.clear();
        self.next_multicast = Duration::MAX;
        self.last_multicast = Some(now);
    }

    /// All prefixes that hosts may hold of us: those that live, and those that are told stale (with a preferred time of
    /// zero).
    pub fn advertised(&self) -> Vec<AdvertisedPrefix> {
        self.prefixes.snapshot()
    }

    /// Whether we advertise.
    pub fn is_running(&self) -> bool {
        self.running
    }

    /// Whether we tell hosts that we are a default router.
    pub fn is_default_router(&self) -> bool {
        self.running && self.default_route
    }

    /// What is advertised, apart from prefixes.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Other routers heard on the LAN, at most sixteen.
    pub fn others(&self) -> &[OtherRouter] {
        self.others.table()
    }

    /// What has happened since the start.
    pub fn counters(&self) -> Counters {
        Counters {
            others_evicted: self.others.evicted,
            notices_suppressed: self.others.suppressed,
            stale_evicted: self.prefixes.evicted,
            ..self.counters
        }
    }

    fn invalid(&mut self) {
        self.counters.invalid = self.counters.invalid.saturating_add(1);
    }

    /// Plans the answer to a solicitation (RFC 4861 section 6.2.6). Hosts with an address are answered alone, so that
    /// the others may sleep on (RFC 7772 section 5.1).
    fn solicited(&mut self, now: Duration, source: Ipv6Addr) {
        self.counters.solicitations = self.counters.solicitations.saturating_add(1);
        if !self.running {
            return;
        }
        let delay = self.random(Duration::ZERO, MAX_DELAY);
        let due = now.saturating_add(delay);
        // An address that is not on the link would make us send to strangers what another wants them to get.
        let neighbour = source.is_unicast_link_local() || self.prefixes.on_link(source);
        if source.is_unspecified() || !neighbour {
            return self.soon(now, delay);
        }
        if due >= self.next_multicast || self.waiting.iter().any(|&(to, _)| to == source) {
            return;
        }
        if self.waiting.len() >= MAX_WAITING || !self.unicast.take(now) {
            self.counters.unicast_refused = self.counters.unicast_refused.saturating_add(1);
            return self.soon(now, delay);
        }
        self.waiting.push((source, due));
    }

    /// Sends one multicast advertisement after `delay`, or later where the rate limit asks for it.
    fn soon(&mut self, now: Duration, delay: Duration) {
        let earliest =
            self.last_multicast.map_or(now, |last| now.max(last.saturating_add(MIN_DELAY_BETWEEN)));
        self.next_multicast = self.next_multicast.min(earliest.saturating_add(delay));
    }

    /// Something that hosts must know has changed (RFC 4861 section 6.2.4).
    fn burst(&mut self, now: Duration) {
        if self.running {
            self.initial = INITIAL_ADVERTISEMENTS;
            self.soon(now, Duration::ZERO);
        }
    }

    fn advertise(&mut self, now: Duration, destination: Ipv6Addr, last: bool, actions: &mut Vec<Action>) {
        let prefixes = self.prefixes.options(now, &self.config, last);
        let facts = advertisement::Facts {
            default_router: self.default_route,
            last,
            prefixes: &prefixes,
            withdrawn: &self.withdrawn,
        };
        for bytes in advertisement::build(&self.config, &facts) {
            actions.push(Action::Send { destination, bytes });
        }
        self.prefixes.told(now, &self.config);
        let sent =
            if destination == ALL_NODES { &mut self.counters.multicast } else { &mut self.counters.unicast };
        *sent = sent.saturating_add(1);
    }

    fn random(&mut self, from: Duration, to: Duration) -> Duration {
        let milliseconds = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        Duration::from_millis(self.rng.u64(milliseconds(from)..=milliseconds(to.max(from))))
    }
}

/// What of the prefixes is recorded: which they are, and their flags. Lifetimes are not: they change with every lease
/// renewal, and are bounded by [`Config::valid_limit`].
fn keys(prefixes: &[AdvertisedPrefix]) -> Vec<(ipnet::Ipv6Net, bool, bool, bool)> {
    let mut keys: Vec<_> =
        prefixes.iter().map(|p| (p.prefix, p.on_link, p.autonomous, p.preferred_until.is_zero())).collect();
    keys.sort_unstable();
    keys
}
