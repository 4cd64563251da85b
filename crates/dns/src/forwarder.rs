//! Questions of clients, on their way to an answer.

use core::marker::PhantomData;
use core::time::Duration;
use std::net::SocketAddr;

use crate::{Action, Client, Config, Counters, Names, Token};

/// A caching forwarder. `P` is the owner's notion of a client's address: see [`Client`].
#[derive(Debug)]
pub struct Forwarder<P> {
    config: Config,
    rng: fastrand::Rng,
    counters: Counters,
    upstreams: Vec<SocketAddr>,
    peer: PhantomData<P>,
}

impl<P: Clone + PartialEq> Forwarder<P> {
    /// A forwarder that knows no upstream yet.
    pub fn new(config: Config, rng: fastrand::Rng) -> Self {
        Self { config, rng, counters: Counters::default(), upstreams: Vec::new(), peer: PhantomData }
    }

    /// Replaces the resolvers to ask. What is known of those that stay, stays; questions under way go on with the new
    /// ones when they try again.
    pub fn set_upstreams(&mut self, upstreams: &[SocketAddr]) {
        self.upstreams = upstreams.to_vec();
    }

    /// A client's message, without TCP's length.
    pub fn handle_query(
        &mut self,
        _now: Duration,
        _client: Client<P>,
        _bytes: &[u8],
        _names: &Names,
        _actions: &mut Vec<Action<P>>,
    ) {
        self.counters.queries += 1;
    }

    /// A message that came on the socket of `token` from `upstream`, without TCP's length.
    pub fn handle_answer(
        &mut self,
        _now: Duration,
        _upstream: SocketAddr,
        _token: Token,
        _bytes: &[u8],
        _actions: &mut Vec<Action<P>>,
    ) {
    }

    /// The socket of `token` failed: no connection, an ICMP error, or closed by the upstream before an answer. The owner has closed it.
    pub fn handle_failure(&mut self, _now: Duration, _token: Token, _actions: &mut Vec<Action<P>>) {}

    /// Time has passed: call it at [`poll_timeout`](Self::poll_timeout) or later.
    pub fn handle_timeout(&mut self, _now: Duration, _actions: &mut Vec<Action<P>>) {}

    /// When to call [`handle_timeout`](Self::handle_timeout) next; nothing when no question is under way.
    pub fn poll_timeout(&self) -> Option<Duration> {
        None
    }

    /// What was counted so far.
    pub fn counters(&self) -> Counters {
        self.counters
    }
}
