//! A host on an uplink: solicits routers (RFC 4861 section 6.3.7, RFC 7559) and learns from what they advertise.
//!
//! ```text
//! let mut host = Host::new(config, rng);
//! host.start(now);                          // the link is up and has a link-local address
//! loop { wait for poll_timeout() or a packet; handle_timeout() or handle(); do the actions in order }
//! ```
//! The kernel's own handling must be off there (`accept_ra` 0).
//!
//! Tables are bounded. While one is full, newcomers are refused and counted: what works goes on working, whoever floods
//! the link.

mod learn;
mod state;

pub use state::{
    AutoAddress, DefaultRouter, LearnedRoute, OnLinkPrefix, Pref64Prefix, Resolver, SearchDomain, State,
};

use crate::budget::Budget;
use core::time::Duration;
use learn::Learning;
use sixgate_wire::ndp::{ALL_ROUTERS, Builder, HOP_LIMIT, Message};
use std::net::Ipv6Addr;

/// MAX_RTR_SOLICITATION_DELAY (RFC 4861 section 10).
const MAX_SOLICITATION_DELAY: Duration = Duration::from_secs(1);
/// RTR_SOLICITATION_INTERVAL (RFC 4861 section 10): the initial retransmission time of RFC 7559 section 2.
const SOLICITATION_INTERVAL: Duration = Duration::from_secs(4);
/// MAX_RTR_SOLICITATION_INTERVAL (RFC 7559 section 2).
const MAX_SOLICITATION_INTERVAL: Duration = Duration::from_hours(1);
/// Advertisements learned from at once, and time until one more. Routers send one every three seconds at most, so that
/// only a flood is above this.
const ADVERTISEMENTS: (u32, Duration) = (32, Duration::from_millis(100));

/// How a host is to behave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Config {
    /// The uplink's link-layer address, told as Source Link-Layer Address. To be left out where solicitations go out
    /// from the unspecified address (RFC 4861 section 4.1).
    pub link_layer: Option<[u8; 6]>,
    /// The lower 64 bits of autoconfigured addresses; `None`: no addresses are formed.
    pub interface_id: Option<[u8; 8]>,
    /// Largest MTU of the interface in octets; routers cannot raise it.
    pub interface_mtu: u32,
}

impl Default for Config {
    fn default() -> Self {
        Self { link_layer: None, interface_id: None, interface_mtu: 1500 }
    }
}

/// What the caller is to do, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Send the ICMPv6 message with hop limit 255 on the uplink.
    Send {
        /// All routers.
        destination: Ipv6Addr,
        /// The message, from the ICMPv6 type, its checksum zero.
        bytes: Vec<u8>,
    },
    /// [`Host::state`] has changed, if only in a lifetime that was told anew.
    Changed,
}

/// What has happened since the start. All only grow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counters {
    /// Router Solicitations sent.
    pub solicitations: u64,
    /// Valid advertisements learned from.
    pub advertisements: u64,
    /// Messages discarded because they broke a rule of RFC 4861 section 6.1.
    pub invalid: u64,
    /// Advertisements discarded because there were too many of them in a short time.
    pub flooded: u64,
    /// Routers, prefixes, addresses, routes, resolvers and domains refused because their table was full.
    pub refused: u64,
}

impl Counters {
    fn refuse(&mut self) {
        self.refused = self.refused.saturating_add(1);
    }
}

/// A host on an uplink.
#[derive(Debug)]
pub struct Host {
    config: Config,
    rng: fastrand::Rng,
    state: State,
    running: bool,
    /// When to solicit next, and the time since the last one (RFC 9915 section 15's RT); `None` while a default router
    /// is known.
    solicit: Option<(Duration, Option<Duration>)>,
    /// For default routers that are known, and for everybody else: strangers must not make us deaf to those we use.
    known_budget: Budget,
    strange_budget: Budget,
    counters: Counters,
}

impl Host {
    /// A host that neither solicits nor learns until [`Self::start`].
    pub fn new(config: Config, rng: fastrand::Rng) -> Self {
        Self {
            config,
            rng,
            state: State::default(),
            running: false,
            solicit: None,
            known_budget: Budget::new(ADVERTISEMENTS.0, ADVERTISEMENTS.1),
            strange_budget: Budget::new(ADVERTISEMENTS.0, ADVERTISEMENTS.1),
            counters: Counters::default(),
        }
    }

    /// The link is up: begins to solicit. To be called again when the link comes back: what was known is kept and asked
    /// for anew.
    pub fn start(&mut self, now: Duration) {
        self.running = true;
        self.state.heard_router = false;
        self.begin_soliciting(now);
    }

    /// Stops, and forgets all that was learned.
    pub fn stop(&mut self, actions: &mut Vec<Action>) {
        self.running = false;
        self.solicit = None;
        if self.state != State::default() {
            self.state = State::default();
            actions.push(Action::Changed);
        }
    }

    /// An ICMPv6 message of types 133 to 137 arrived on the uplink. `bytes` begins at the ICMPv6 type; the checksum has
    /// been checked.
    pub fn handle(
        &mut self,
        now: Duration,
        source: Ipv6Addr,
        hop_limit: u8,
        bytes: &[u8],
        actions: &mut Vec<Action>,
    ) {
        if !self.running {
            return;
        }
        let advertisement = match Message::parse(bytes) {
            Ok(_) if hop_limit != HOP_LIMIT => return self.invalid(),
            Ok(Message::RouterAdvertisement(advertisement)) => advertisement,
            Ok(_) => return,
            Err(_) => return self.invalid(),
        };
        if !source.is_unicast_link_local() {
            return self.invalid();
        }
        let known = self.state.default_routers.iter().any(|r| r.address == source);
        let budget = if known { &mut self.known_budget } else { &mut self.strange_budget };
        if !budget.take(now) {
            self.counters.flooded = self.counters.flooded.saturating_add(1);
            return;
        }
        self.counters.advertisements = self.counters.advertisements.saturating_add(1);
        let before = self.state.clone();
        self.state.expire(now);
        let (config, state, counters) = (&self.config, &mut self.state, &mut self.counters);
        Learning { now, router: source, config, state, counters }.advertisement(&advertisement);
        self.after_change(now, &before, actions);
    }

    /// When [`Self::handle_timeout`] is next due, if ever.
    pub fn poll_timeout(&self) -> Option<Duration> {
        if !self.running {
            return None;
        }
        self.solicit.map(|(due, _)| due).into_iter().chain(self.state.next_expiry()).min()
    }

    /// Sends what is due and drops what has ended.
    pub fn handle_timeout(&mut self, now: Duration, actions: &mut Vec<Action>) {
        if !self.running {
            return;
        }
        if self.state.next_expiry().is_some_and(|expiry| expiry <= now) {
            let before = self.state.clone();
            self.state.expire(now);
            self.after_change(now, &before, actions);
        }
        if let Some((due, last)) = self.solicit
            && due <= now
        {
            self.solicit_now(actions);
            let next = self.next_interval(last);
            self.solicit = Some((now.saturating_add(next), Some(next)));
        }
    }

    /// What is known.
    pub fn state(&self) -> &State {
        &self.state
    }

    /// What has happened since the start.
    pub fn counters(&self) -> Counters {
        self.counters
    }

    fn invalid(&mut self) {
        self.counters.invalid = self.counters.invalid.saturating_add(1);
    }

    /// Tells of a change, and solicits where there is no default router: RFC 7559 section 2.1 goes on soliciting until
    /// there is one, and one that has gone leaves us where we began.
    fn after_change(&mut self, now: Duration, before: &State, actions: &mut Vec<Action>) {
        if self.state != *before {
            actions.push(Action::Changed);
        }
        if !self.state.default_routers.is_empty() {
            self.solicit = None;
        } else if self.solicit.is_none() {
            self.begin_soliciting(now);
        }
    }

    fn begin_soliciting(&mut self, now: Duration) {
        let delay = self.rng.u64(0..=u64::try_from(MAX_SOLICITATION_DELAY.as_millis()).unwrap_or(0));
        self.solicit = Some((now.saturating_add(Duration::from_millis(delay)), None));
    }

    fn solicit_now(&mut self, actions: &mut Vec<Action>) {
        let mut buffer = [0; 16];
        let mut builder = Builder::router_solicitation(&mut buffer);
        if let Some(address) = self.config.link_layer {
            builder.source_link_layer(&address);
        }
        if let Ok(bytes) = builder.finish() {
            actions.push(Action::Send { destination: ALL_ROUTERS, bytes: bytes.to_vec() });
            self.counters.solicitations = self.counters.solicitations.saturating_add(1);
        }
    }

    /// The next retransmission time: doubled, give or take a tenth, up to the longest (RFC 7559 section 2 with RFC 9915
    /// section 15).
    fn next_interval(&mut self, last: Option<Duration>) -> Duration {
        let base =
            last.map_or(SOLICITATION_INTERVAL, |last| last.saturating_mul(2)).min(MAX_SOLICITATION_INTERVAL);
        let milliseconds = u64::try_from(base.as_millis()).unwrap_or(u64::MAX);
        Duration::from_millis(
            self.rng.u64(milliseconds - milliseconds / 10..=milliseconds + milliseconds / 10),
        )
    }
}
