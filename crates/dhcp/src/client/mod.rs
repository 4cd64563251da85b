//! The DHCPv6 client (RFC 9915): addresses, delegated prefixes and other configuration in one session.
//!
//! [`Client`] holds no clock and no socket. Feed it what happened, with the time, and do what it puts into
//! [`Actions`]; call [`Client::handle_timeout`] when [`Client::poll_timeout`] is reached. Its messages all go from the
//! interface's link-local address, port 546, to `ff02::1:2`, port 547.

mod answer;
mod apply;
mod binding;
mod blob;
mod config;
mod leases;
mod message;
mod reconfigure;
mod retransmit;
mod session;

pub use binding::{Binding, BoundAddress, BoundPrefix, ReconfigureKey};
pub use blob::BindingError;
pub use config::{Config, PdRequest, Require};

use answer::Answer;
use leases::Leases;
use retransmit::{Bucket, Exchange, INF_MAX_RT, SOL_MAX_RT};
use sixgate_wire::dhcpv6::{MessageType, Packet};
use std::net::Ipv6Addr;
use std::time::Duration;

/// What a verb of the [`Client`] asks its owner to do, in order.
pub type Actions = Vec<Action>;

/// Something to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Send these octets over UDP from the link-local address, port 546, to `ff02::1:2`, port 547.
    Send {
        /// The message.
        bytes: Vec<u8>,
    },
    /// Keep this across restarts, before what follows is made visible.
    Save(Binding),
    /// What is held changed: addresses, prefixes, times or other configuration. This is all of it.
    Changed(Binding),
    /// Nothing that was leased is held any longer: stop using it, and forget what was saved.
    Lost,
    /// The release is over, answered or not: the client is idle and has nothing more to send.
    Released,
}

/// What the client is doing, for people.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Not started, stopped, or without a link.
    Idle,
    /// Looking for servers (Solicit).
    Soliciting,
    /// Asking the chosen server (Request).
    Requesting,
    /// Asking whether its addresses still fit the link (Confirm, or Rebind where prefixes are held).
    Confirming,
    /// Holding leases; nothing to do before T1.
    Bound,
    /// Extending leases at their server (Renew).
    Renewing,
    /// Extending leases at any server (Rebind).
    Rebinding,
    /// Asking for configuration without leases (Information-request).
    Informing,
    /// Holding configuration without leases.
    Informed,
    /// Giving back addresses that are in use elsewhere (Decline).
    Declining,
    /// Giving back everything (Release).
    Releasing,
}

/// Counts of what happened, since the client was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counters {
    /// Messages sent.
    pub sent: u64,
    /// Messages held back for the rate limit (RFC 9915 section 14.1).
    pub held_back: u64,
    /// Messages received, whatever became of them.
    pub received: u64,
    /// Received messages that could not be read.
    pub malformed: u64,
    /// Received messages that answer nothing that was asked: wrong type, transaction, server or client.
    pub unsolicited: u64,
    /// Advertises that did not offer what is required.
    pub unusable: u64,
    /// Replies that refused the whole request.
    pub refused: u64,
    /// Leases and associations left out because they contradict themselves, cannot be used, or are too many.
    pub bad_leases: u64,
    /// Reconfigure messages that were not authentic, or replayed.
    pub forged: u64,
    /// Leases that ended without being extended.
    pub expired: u64,
}

/// A DHCPv6 client on one interface.
#[derive(Debug)]
pub struct Client {
    config: Config,
    rng: fastrand::Rng,
    /// Between start and stop or release.
    started: bool,
    link: bool,
    state: State,
    /// The message that waits for its answer, or for its time.
    exchange: Option<Exchange>,
    /// While soliciting, the best Advertise so far.
    best: Option<Answer>,
    binding: Option<Binding>,
    sol_max_rt: Duration,
    inf_max_rt: Duration,
    bucket: Bucket,
    /// Refusals and declined addresses since the last renewal that went well.
    setbacks: u32,
    /// The prefix hint changed since the last Reply.
    hint_again: bool,
    counters: Counters,
}

impl Client {
    /// A client that does nothing before [`Client::start`]. `restored` is what it held when it last ran.
    pub fn new(config: Config, restored: Option<Binding>, rng: fastrand::Rng) -> Self {
        let binding = restored.map(|mut binding| {
            binding.keep_configured(&config);
            binding
        });
        let limit = |value: Option<u32>, default| value.map_or(default, |v| Duration::from_secs(v.into()));
        Self {
            sol_max_rt: limit(binding.as_ref().and_then(|b| b.sol_max_rt), SOL_MAX_RT),
            inf_max_rt: limit(binding.as_ref().and_then(|b| b.inf_max_rt), INF_MAX_RT),
            config,
            rng,
            started: false,
            link: true,
            state: State::Idle,
            exchange: None,
            best: None,
            binding,
            bucket: Bucket::new(),
            setbacks: 0,
            hint_again: false,
            counters: Counters::default(),
        }
    }

    /// Begins. What was restored and has not ended is announced by [`Action::Changed`] and asked about (RFC 9915
    /// section 18.2.12): it stays in use while no server answers. The link counts as up unless it was said to be down.
    pub fn start(&mut self, now: Duration, actions: &mut Actions) {
        if self.started {
            return;
        }
        self.started = true;
        if let Some(binding) = &mut self.binding {
            let ended = binding.expire(now);
            if binding.has_leases() || self.config.is_stateless() {
                actions.push(Action::Changed(binding.clone()));
            } else {
                self.binding = None;
                if ended {
                    actions.push(Action::Lost);
                }
            }
        }
        if self.link {
            self.begin(now);
        }
        self.advance(now, actions);
    }

    /// The link came up, or may be another one: asks whether what is held still fits. Begins if not begun.
    pub fn link_up(&mut self, now: Duration, actions: &mut Actions) {
        self.link = true;
        if self.state == State::Releasing {
            return;
        }
        if self.started {
            self.setbacks = 0;
            self.begin(now);
            self.advance(now, actions);
        } else {
            self.start(now, actions);
        }
    }

    /// The link went down: nothing is sent until [`Client::link_up`]. Leases are kept until they end.
    pub fn link_down(&mut self, now: Duration, actions: &mut Actions) {
        self.link = false;
        if self.state == State::Releasing {
            // Nobody hears it any longer.
            self.started = false;
            actions.push(Action::Released);
        }
        self.state = State::Idle;
        self.exchange = None;
        self.best = None;
        self.advance(now, actions);
    }

    /// A UDP datagram came from `source` to port 546 of `destination`: an address of ours, or a group's.
    pub fn handle(
        &mut self,
        now: Duration,
        (source, destination): (Ipv6Addr, Ipv6Addr),
        bytes: &[u8],
        actions: &mut Actions,
    ) {
        self.counters.received += 1;
        match Packet::parse(bytes) {
            Err(_) => self.counters.malformed += 1,
            Ok(Packet::Message(message)) => match message.kind() {
                MessageType::ADVERTISE | MessageType::REPLY => self.answer(now, source, &message, actions),
                // RFC 9915 section 16.11.
                MessageType::RECONFIGURE if destination.is_multicast() => self.counters.unsolicited += 1,
                MessageType::RECONFIGURE => self.reconfigure(now, &message, bytes, actions),
                _ => self.counters.unsolicited += 1,
            },
            Ok(Packet::Relay(_)) => self.counters.unsolicited += 1,
        }
        self.advance(now, actions);
    }

    /// The time at which to call [`Client::handle_timeout`]; `None` where there is nothing to wait for.
    pub fn poll_timeout(&self) -> Option<Duration> {
        let mut next = self.exchange.as_ref().map_or(Duration::MAX, |exchange| exchange.next);
        if let Some(binding) = &self.binding {
            if binding.has_leases() {
                next = next.min(binding.next_expiry());
                next = match self.state {
                    State::Bound | State::Informing => next.min(binding.t1).min(binding.t2),
                    State::Renewing => next.min(binding.t2),
                    _ => next,
                };
            }
            if self.state == State::Informed {
                next = next.min(binding.refresh_at);
            }
        }
        (next < Duration::MAX).then_some(next)
    }

    /// Does what is due at `now`. Calling it early does no harm.
    pub fn handle_timeout(&mut self, now: Duration, actions: &mut Actions) {
        self.advance(now, actions);
    }

    /// Gives everything back: [`Action::Lost`] at once, then Release until answered or given up (at most about 16
    /// seconds), then [`Action::Released`]. [`Client::start`] begins anew.
    pub fn release(&mut self, now: Duration, actions: &mut Actions) {
        let held = self.binding.take();
        self.stop();
        match held {
            Some(binding) if binding.has_leases() => {
                // RFC 9915 section 18.2.7: the leases are out of use before the Release goes out.
                actions.push(Action::Lost);
                if self.link {
                    let leases = Leases::from(&binding);
                    self.give_back(now, MessageType::RELEASE, binding.server, leases);
                } else {
                    actions.push(Action::Released);
                }
            }
            _ => actions.push(Action::Released),
        }
        self.advance(now, actions);
    }

    /// Stops without a message, as for a restart: what is held stays the client's.
    pub fn stop(&mut self) {
        self.started = false;
        self.state = State::Idle;
        self.exchange = None;
        self.best = None;
    }

    /// Duplicate address detection found these in use: stops holding them and tells the server (RFC 9915
    /// section 18.2.8), then asks for others.
    pub fn decline(&mut self, now: Duration, addresses: &[Ipv6Addr], actions: &mut Actions) {
        let Some(binding) = &mut self.binding else { return };
        let mut declined = Leases::default();
        binding.addresses.retain(|held| {
            let keep = !addresses.contains(&held.address);
            if !keep {
                declined.addresses.push((held.iaid, held.address));
            }
            keep
        });
        if declined.addresses.is_empty() {
            return;
        }
        let server = binding.server.clone();
        let begun = self.started && self.link;
        if begun {
            self.give_back(now, MessageType::DECLINE, server, declined);
        }
        self.announce(now, actions);
        self.advance(now, actions);
    }

    /// Renews now instead of at T1, or asks anew where nothing is held.
    pub fn renew_now(&mut self, now: Duration, actions: &mut Actions) {
        match self.state {
            State::Bound => self.renew(now),
            State::Informed => self.inform(now, None, false),
            State::Soliciting => self.solicit(now),
            _ => {}
        }
        self.advance(now, actions);
    }

    /// The link-local address that servers know is gone, and there is another: where they may ask the client to come back, it
    /// tells them at once (RFC 9915 section 18.2.4).
    pub fn readdressed(&mut self, now: Duration, actions: &mut Actions) {
        let reachable = self.binding.as_ref().is_some_and(|binding| binding.reconfigure.is_some());
        if reachable && self.state == State::Bound {
            self.renew_now(now, actions);
        }
    }

    /// Changes the hint of a configured prefix association and asks with it: at once where something is held (RFC 8168
    /// section 3.4). An IAID that is not configured changes nothing.
    pub fn set_prefix_hint(&mut self, now: Duration, request: PdRequest, actions: &mut Actions) {
        if let Some(known) = self.config.ia_pd.iter_mut().find(|known| known.iaid == request.iaid) {
            *known = request;
            self.hint_again = true;
            self.renew_now(now, actions);
        }
    }

    /// What is held.
    pub fn binding(&self) -> Option<&Binding> {
        self.binding.as_ref()
    }

    /// What the client is doing.
    pub fn state(&self) -> State {
        self.state
    }

    /// What happened so far.
    pub fn counters(&self) -> Counters {
        self.counters
    }
}
