//! The DHCPv6 client (RFC 9915): addresses, delegated prefixes and other configuration in one session.
//!
//! [`Client`] holds no clock and no socket. Feed it what happened, with the time, and do what it puts into
//! [`Actions`]; call [`Client::handle_timeout`] when [`Client::poll_timeout`] is reached. Its messages all go from the
//! interface's link-local address, port 546, to `ff02::1:2`, port 547.

mod binding;
mod blob;
mod config;

pub use binding::{Binding, BoundAddress, BoundPrefix, ReconfigureKey};
pub use blob::BindingError;
pub use config::{Config, PdRequest, Require};

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
    binding: Option<Binding>,
    state: State,
    counters: Counters,
    rng: fastrand::Rng,
}

impl Client {
    /// A client that does nothing before [`Client::start`]. `restored` is what it held when it last ran.
    pub fn new(config: Config, restored: Option<Binding>, rng: fastrand::Rng) -> Self {
        Self { config, binding: restored, state: State::Idle, counters: Counters::default(), rng }
    }

    /// Begins. What was restored and has not ended is announced by [`Action::Changed`] and asked about (RFC 9915
    /// section 18.2.12): it stays in use while no server answers.
    pub fn start(&mut self, now: Duration, actions: &mut Actions) {
        let _ = (now, actions);
    }

    /// The link came up, or may be another one: asks whether what is held still fits. Begins if not begun.
    pub fn link_up(&mut self, now: Duration, actions: &mut Actions) {
        let _ = (now, actions);
    }

    /// The link went down: nothing is sent until [`Client::link_up`]. Leases are kept until they end.
    pub fn link_down(&mut self, now: Duration, actions: &mut Actions) {
        let _ = (now, actions);
    }

    /// A UDP datagram came from `source` to port 546.
    pub fn handle(&mut self, now: Duration, source: Ipv6Addr, bytes: &[u8], actions: &mut Actions) {
        let _ = (now, source, bytes, actions);
    }

    /// The time at which to call [`Client::handle_timeout`]; `None` where there is nothing to wait for.
    pub fn poll_timeout(&self) -> Option<Duration> {
        None
    }

    /// Does what is due at `now`. Calling it early does no harm.
    pub fn handle_timeout(&mut self, now: Duration, actions: &mut Actions) {
        let _ = (now, actions);
    }

    /// Gives everything back: [`Action::Lost`] at once, then Release until answered or given up, then
    /// [`Action::Released`]. [`Client::start`] begins anew.
    pub fn release(&mut self, now: Duration, actions: &mut Actions) {
        let _ = (now, actions);
    }

    /// Stops without a message, as for a restart: what is held stays the client's.
    pub fn stop(&mut self) {
        self.state = State::Idle;
    }

    /// Duplicate address detection found these in use: stops holding them and tells the server.
    pub fn decline(&mut self, now: Duration, addresses: &[Ipv6Addr], actions: &mut Actions) {
        let _ = (now, addresses, actions);
    }

    /// Renews now instead of at T1, or asks anew where nothing is held.
    pub fn renew_now(&mut self, now: Duration, actions: &mut Actions) {
        let _ = (now, actions);
    }

    /// Changes the hint of a prefix association, and renews with it if something is held (RFC 8168 section 3.4).
    pub fn set_prefix_hint(&mut self, now: Duration, request: PdRequest, actions: &mut Actions) {
        let _ = (now, request, actions);
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
