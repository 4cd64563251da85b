//! Asking upstreams: which, when, and when again.

use core::time::Duration;
use sixgate_endpoint::Endpoint;

use super::{Forwarder, STALE_AFTER};
use crate::lookup::{Attempt, Lookup, Subject, Waiter};
use crate::{Action, Token, Transport};

impl<P: Clone + PartialEq> Forwarder<P> {
    /// Waits with those who ask the same, or starts to ask.
    pub(super) fn ask(
        &mut self,
        now: Duration,
        waiter: Waiter<P>,
        subject: Subject,
        actions: &mut Vec<Action<P>>,
    ) {
        if let Some(lookup) = self.lookups.get_mut(&subject.key) {
            if lookup.waiters.iter().any(|other| other.is_repeated_by(&waiter)) {
                self.counters.coalesced += 1;
            } else if lookup.waiters.len() < self.config.max_waiters {
                self.counters.coalesced += 1;
                lookup.waiters.push(waiter);
            } else {
                self.counters.overload += 1;
            }
            return;
        }
        if !self.has_room(waiter.client.share) {
            self.counters.overload += 1;
            return;
        }
        self.start(now, subject, waiter.client.share, waiter.deadline, vec![waiter], actions);
    }

    pub(super) fn has_room(&self, share: u32) -> bool {
        self.lookups.len() < self.config.max_lookups
            && self.lookups.len_of(share) < self.config.max_lookups_per_share
    }

    pub(super) fn start(
        &mut self,
        now: Duration,
        subject: Subject,
        share: u32,
        deadline: Duration,
        waiters: Vec<Waiter<P>>,
        actions: &mut Vec<Action<P>>,
    ) {
        let has_old = self.config.max_stale > Duration::ZERO && self.cache.get(&subject.key).is_some();
        let looks_ahead = has_old || self.synthesises(&subject);
        let stale_at = if looks_ahead { now.saturating_add(STALE_AFTER) } else { Duration::MAX };
        let mut lookup = Lookup::new(subject, share, deadline, stale_at);
        lookup.waiters = waiters;
        self.send_next(now, &mut lookup, actions);
        self.lookups.put(lookup);
    }

    /// Asks the next upstream of this round, or of a new one; none when all attempts are spent.
    pub(super) fn send_next(&mut self, now: Duration, lookup: &mut Lookup<P>, actions: &mut Vec<Action<P>>) {
        lookup.retry_at = Duration::MAX;
        if lookup.sent >= self.config.max_attempts {
            return;
        }
        let mut next = self.upstreams.pick(&lookup.tried, &mut self.rng);
        if next.is_none() {
            lookup.tried.clone_from(&lookup.given_up);
            lookup.round = lookup.round.saturating_add(1);
            next = self.upstreams.pick(&lookup.tried, &mut self.rng);
        }
        let Some((upstream, wait)) = next else { return };
        lookup.tried.push(upstream);
        let wait = wait.saturating_mul(1 << lookup.round.min(4));
        self.send(now, lookup, upstream, Transport::Udp, true, actions);
        lookup.retry_at = now.saturating_add(wait);
    }

    pub(super) fn send(
        &mut self,
        now: Duration,
        lookup: &mut Lookup<P>,
        upstream: Endpoint,
        transport: Transport,
        edns: bool,
        actions: &mut Vec<Action<P>>,
    ) {
        let id = self.rng.u16(..);
        let validates = self.validates(&lookup.subject);
        let Some(bytes) = lookup.subject.query(id, edns, self.config.udp_payload, validates) else { return };
        let token = Token(self.next_token);
        self.next_token = self.next_token.wrapping_add(1);
        self.counters.upstream_queries += 1;
        self.counters.upstream_tcp += u64::from(transport == Transport::Tcp);
        lookup.sent = lookup.sent.saturating_add(1);
        lookup.attempts.push(Attempt { token, upstream, transport, id, sent: now, edns, overdue: false });
        actions.push(Action::Query { token, upstream, transport, bytes });
    }

    /// `upstream` cannot help: asks one that was not asked yet, or waits for those that were, or gives up.
    pub(super) fn try_another(
        &mut self,
        now: Duration,
        mut lookup: Lookup<P>,
        upstream: Endpoint,
        actions: &mut Vec<Action<P>>,
    ) {
        if !lookup.given_up.contains(&upstream) {
            lookup.given_up.push(upstream);
        }
        if lookup.attempts.iter().any(|attempt| !attempt.overdue) {
            return self.lookups.put(lookup);
        }
        self.send_next(now, &mut lookup, actions);
        if lookup.attempts.is_empty() {
            return self.give_up(now, lookup, actions);
        }
        self.lookups.put(lookup);
    }
}
