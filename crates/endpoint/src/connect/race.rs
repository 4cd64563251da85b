//! [`Race`]: Happy Eyeballs (RFC 8305) without sockets or clock.

use super::policy::PACE;
use super::trace::{Asked, Attempted, Place};
use super::{Candidate, Failure, Outcome, Placed, Policy, Question, Trace, order};
use crate::nat64::Prefix;
use crate::{Endpoint, Family, Host};
use std::collections::HashSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

/// Attempts of one race, however often its answers change.
pub const MAX_ATTEMPTS: usize = 64;

/// NAT64 prefixes that are used of one answer.
const MAX_PREFIXES: usize = 2;

/// Which attempt of a race; they are numbered from 0 in the order in which they start.
pub type Attempt = usize;

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// The program wants its connection: once, before all others.
    Begin,
    /// The resolver's answer: all that it has now. Empty where the name has no such records. A later answer
    /// to the same question replaces the earlier (RFC 8305 section 6).
    Answer(Question, Vec<Candidate>),
    /// The resolver cannot tell, and why in its words.
    NoAnswer(Question, String),
    /// The NAT64 prefixes of the network: the answer to [`Question::Nat64`].
    Prefixes(Vec<Prefix>),
    /// An attempt has connected.
    Connected(Attempt),
    /// An attempt has not connected.
    Failed(Attempt, Failure),
}

/// What to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Ask the resolver, and hand back an [`Event::Answer`], [`Event::NoAnswer`] or [`Event::Prefixes`].
    Ask(Question),
    /// Start an attempt, and hand back an [`Event::Connected`] or [`Event::Failed`].
    Start(Attempt, Candidate),
    /// Close an attempt that is under way. Nothing shall be heard of it again.
    Cancel(Attempt),
    /// This attempt is the connection. The race is over.
    Won(Attempt),
    /// There is no connection to be had. The race is over.
    Lost,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum State {
    #[default]
    NotAsked,
    Asked,
    Answered,
}

/// One connection to be: asks, sorts, tries, and takes the first that connects.
///
/// `now` is any clock that does not go back. Everything is bounded: addresses by [`Policy::max_addresses`],
/// attempts at a time by [`Policy::in_flight_limit`], attempts at all by [`MAX_ATTEMPTS`], time by
/// [`Policy::deadline`].
#[derive(Debug)]
pub struct Race {
    policy: Policy,
    begun: Option<Duration>,
    named: bool,
    service: bool,
    // The family whose answer attempts wait for.
    awaited: Family,
    questions: [State; 4],
    // Untried, in order.
    pending: Vec<Placed>,
    // Until when the preferred family is waited for; runs from the first answer that has addresses.
    wait: Option<Duration>,
    // Attempts have begun: no more waiting for answers.
    ready: bool,
    // When the next attempt may start, and what that was before the last attempt.
    next: Duration,
    next_before: Duration,
    last_start: Duration,
    // IPv4 addresses for a NAT64, and whether IPv4 was found to have no way.
    v4: Vec<Endpoint>,
    v4_no_way: bool,
    prefixes: Vec<Prefix>,
    synthesised: Vec<Endpoint>,
    over: bool,
    explain: bool,
    trace: Trace,
}

impl Race {
    fn new(policy: Policy, named: bool) -> Self {
        Self {
            policy,
            begun: None,
            named,
            service: false,
            awaited: policy.family.preferred(),
            questions: [State::default(); 4],
            pending: Vec::new(),
            wait: None,
            ready: false,
            next: Duration::ZERO,
            next_before: Duration::ZERO,
            last_start: Duration::ZERO,
            v4: Vec::new(),
            v4_no_way: false,
            prefixes: Vec::new(),
            synthesised: Vec::new(),
            over: false,
            explain: false,
            trace: Trace { family: policy.family, ..Trace::default() },
        }
    }

    /// A race to the addresses of a name.
    pub fn to_name(policy: Policy) -> Self {
        Self::new(policy, true)
    }

    /// A race to one address.
    pub fn to_address(policy: Policy, candidate: Candidate) -> Self {
        let mut race = Self::new(policy, false);
        race.pending.reserve_exact(1);
        race.trace.attempts.reserve_exact(1);
        race.take(candidate);
        race
    }

    /// Asks for service records too, before the addresses, and waits for them as
    /// draft-ietf-happy-happyeyeballs-v3 section 4.2 says. Their addresses come as candidates that have a
    /// group.
    #[must_use]
    pub fn with_service(mut self) -> Self {
        self.service = self.named;
        self
    }

    /// Asks and sorts, and tries nothing: it is over when all is answered, and its trace has the order.
    #[must_use]
    pub fn only_explaining(mut self) -> Self {
        self.explain = true;
        self
    }

    /// What worked last time, where something did: its family's answer is waited for, for the Resolution
    /// Delay at most, though the other may come first.
    #[must_use]
    pub fn expecting(mut self, winner: Option<Endpoint>) -> Self {
        let allowed =
            winner.map(|winner| winner.family()).filter(|family| self.policy.family.allows(*family));
        self.awaited = allowed.unwrap_or(self.awaited);
        self
    }

    /// Says in the trace to whom.
    #[must_use]
    pub fn with_host(mut self, host: Host) -> Self {
        self.trace.host = Some(host);
        self
    }

    /// What has been done so far.
    pub fn trace(&self) -> &Trace {
        &self.trace
    }

    /// What has been done, when all is over.
    pub fn into_trace(mut self) -> Trace {
        self.tell_order();
        self.trace
    }

    fn tell_order(&mut self) {
        let place = |placed: &Placed| Place::new(placed, self.synthesised.contains(&placed.candidate.to));
        self.trace.order = self.pending.iter().map(place).collect();
    }

    /// Whether it is over.
    pub fn is_over(&self) -> bool {
        self.over
    }

    /// What has happened, and what to do about it.
    pub fn handle(&mut self, now: Duration, event: Event, actions: &mut Vec<Action>) {
        match event {
            Event::Begin if self.begun.is_none() => self.begin(now, actions),
            Event::Answer(question, candidates) => self.answer(now, question, candidates),
            Event::NoAnswer(question, reason) => self.settle(now, question, 0, 0, Some(reason)),
            Event::Prefixes(prefixes) => self.learn_prefixes(now, prefixes),
            Event::Connected(attempt) => self.connected(now, attempt, actions),
            Event::Failed(attempt, failure) => self.failed(now, attempt, failure),
            Event::Begin => {}
        }
        self.advance(now, actions);
    }

    /// When [`Self::handle_timeout`] is next due; `None` once it is over, before it begins, and where only an
    /// event can change things.
    pub fn poll_timeout(&self) -> Option<Duration> {
        let begun = self.begun.filter(|_| !self.over)?;
        let mut due = begun.saturating_add(self.policy.deadline);
        if !self.ready && !self.explain {
            due = due.min(self.wait.filter(|_| !self.pending.is_empty()).unwrap_or(Duration::MAX));
        } else if !self.explain && !self.pending.is_empty() && self.trace.attempts.len() < MAX_ATTEMPTS {
            due = due.min(self.next.max(self.room_at()));
        }
        if !self.explain && self.may_synthesise() {
            due = due.min(self.last_start.saturating_add(self.policy.last_resort_delay));
        }
        (due < Duration::MAX).then_some(due)
    }

    /// Does what is due.
    pub fn handle_timeout(&mut self, now: Duration, actions: &mut Vec<Action>) {
        self.advance(now, actions);
    }

    fn since(&self, now: Duration) -> Duration {
        now.saturating_sub(self.begun.unwrap_or(now))
    }

    fn begin(&mut self, now: Duration, actions: &mut Vec<Action>) {
        self.begun = Some(now);
        if !self.named {
            return;
        }
        if self.service {
            self.ask(now, Question::Service, actions);
        }
        // RFC 8305 section 3: as soon after one another as possible, AAAA first.
        let preferred = self.policy.family.preferred();
        for family in [preferred, preferred.other()] {
            if self.policy.family.allows(family) {
                self.ask(now, Question::of(family), actions);
            }
        }
    }

    fn ask(&mut self, now: Duration, question: Question, actions: &mut Vec<Action>) {
        self.questions[question.index()] = State::Asked;
        let at = self.since(now);
        let asked = Asked { question, at, answered: None, count: 0, left_out: 0, failure: None };
        self.trace.questions.push(asked);
        actions.push(Action::Ask(question));
    }

    /// An answer, of whatever kind, is here.
    fn settle(
        &mut self,
        now: Duration,
        question: Question,
        count: usize,
        left_out: usize,
        failure: Option<String>,
    ) {
        if self.over || self.questions[question.index()] == State::NotAsked {
            return;
        }
        self.questions[question.index()] = State::Answered;
        let at = self.since(now);
        if let Some(asked) = self.trace.questions.iter_mut().find(|asked| asked.question == question) {
            asked.answered = Some(at);
            (asked.count, asked.left_out, asked.failure) = (count, left_out, failure);
        }
    }

    fn learn_prefixes(&mut self, now: Duration, mut prefixes: Vec<Prefix>) {
        if self.over || self.questions[Question::Nat64.index()] == State::NotAsked {
            return;
        }
        let left_out = prefixes.len().saturating_sub(MAX_PREFIXES);
        prefixes.truncate(MAX_PREFIXES);
        self.settle(now, Question::Nat64, prefixes.len(), left_out, None);
        self.prefixes = prefixes;
    }

    fn answer(&mut self, now: Duration, question: Question, mut candidates: Vec<Candidate>) {
        if self.over || self.questions[question.index()] == State::NotAsked {
            return;
        }
        let family = match question {
            Question::V4 => Some(Family::V4),
            Question::V6 => Some(Family::V6),
            Question::Service => None,
            // Prefixes are its answer; addresses are none.
            Question::Nat64 => return self.settle(now, question, 0, 0, None),
        };
        // A resolver that answers with the other family does not get its way.
        candidates.retain(|candidate| family.is_none_or(|family| candidate.family() == family));
        // Nor does one address take the room of others.
        let mut seen = HashSet::new();
        candidates.retain(|candidate| seen.insert(candidate.to));
        let left_out = candidates.len().saturating_sub(self.policy.max_addresses);
        candidates.truncate(self.policy.max_addresses);
        self.settle(now, question, candidates.len(), left_out, None);
        // RFC 8305 section 6: what is gone from the answer is not tried any more; what is under way goes on.
        let gone = |placed: &Placed| {
            let of_this = match family {
                Some(family) => {
                    placed.candidate.family() == family && placed.candidate.group == Candidate::NO_GROUP
                }
                None => placed.candidate.group != Candidate::NO_GROUP,
            };
            of_this
                && !self.synthesised.contains(&placed.candidate.to)
                && !candidates.iter().any(|candidate| candidate.to == placed.candidate.to)
        };
        let kept: Vec<Placed> = self.pending.iter().filter(|placed| !gone(placed)).copied().collect();
        self.pending = kept;
        if question == Question::V4 {
            self.v4.clear();
        }
        for candidate in candidates {
            self.take(candidate);
        }
        self.sort();
        if !self.pending.is_empty() && self.wait.is_none() {
            self.wait = Some(now.saturating_add(self.policy.resolution_delay));
        }
    }

    /// A candidate that is new joins those not tried.
    fn take(&mut self, candidate: Candidate) {
        let allowed = self.policy.family.allows(candidate.family());
        if self.named || !allowed {
            self.keep_v4(candidate.to);
        }
        let tried = self.trace.attempts.iter().any(|attempt| attempt.to == candidate.to);
        if tried || !allowed {
            return;
        }
        let rule = candidate.rule_alone();
        let full = self.pending.len() >= MAX_ATTEMPTS;
        match self.pending.iter_mut().find(|placed| placed.candidate.to == candidate.to) {
            Some(known) => known.candidate.group = known.candidate.group.min(candidate.group),
            // However often answers change, and whatever a service record says of its groups.
            None if full => {}
            None => self.pending.push(Placed { candidate, rule, interleaved: false }),
        }
    }

    /// Keeps what may have to be tried through a NAT64.
    fn keep_v4(&mut self, to: Endpoint) {
        let room = self.v4.len() < self.policy.max_addresses;
        if to.family() == Family::V4 && room && !self.v4.contains(&to) {
            self.v4.push(to);
        }
    }

    fn sort(&mut self) {
        if self.pending.len() > 1 {
            let candidates: Vec<Candidate> = self.pending.iter().map(|placed| placed.candidate).collect();
            let tried: Vec<Family> = self.trace.attempts.iter().map(|attempt| attempt.to.family()).collect();
            self.pending = order(&candidates, &tried, &self.policy);
        }
    }

    fn connected(&mut self, now: Duration, attempt: Attempt, actions: &mut Vec<Action>) {
        if self.over || !self.is_under_way(attempt) {
            return;
        }
        self.end(now, attempt, Outcome::Won);
        self.finish(now, &Outcome::Lost, actions);
        actions.push(Action::Won(attempt));
    }

    fn failed(&mut self, now: Duration, attempt: Attempt, failure: Failure) {
        if self.over || !self.is_under_way(attempt) {
            return;
        }
        if attempt + 1 == self.trace.attempts.len() {
            // The next starts at once. RFC 8305 section 5 forbids less than 10 ms between attempts; its
            // recommended least of 100 ms is a bound for the waiting for an answer, and this is one. Nothing
            // was sent where the failure is our own.
            let pace = self.last_start.saturating_add(PACE);
            self.next = if failure.is_local() { self.next_before } else { self.next.min(pace) };
        }
        let to = self.trace.attempts[attempt].to;
        if to.family() == Family::V4 && failure.is_no_way() {
            self.v4_no_way = true;
            self.keep_v4(to);
        }
        self.end(now, attempt, Outcome::Failed(failure));
    }

    fn end(&mut self, now: Duration, attempt: Attempt, outcome: Outcome) {
        let at = self.since(now);
        let attempted = &mut self.trace.attempts[attempt];
        attempted.took = Some(at.saturating_sub(attempted.at));
        attempted.outcome = outcome;
    }

    fn finish(&mut self, now: Duration, others: &Outcome, actions: &mut Vec<Action>) {
        while let Some(attempt) = self.oldest() {
            self.end(now, attempt, others.clone());
            actions.push(Action::Cancel(attempt));
        }
        self.over = true;
        self.trace.over = Some(self.since(now));
    }

    fn in_flight(&self) -> impl Iterator<Item = &Attempted> {
        self.trace.attempts.iter().filter(|attempt| attempt.outcome == Outcome::UnderWay)
    }

    fn oldest(&self) -> Option<Attempt> {
        self.trace.attempts.iter().position(|attempt| attempt.outcome == Outcome::UnderWay)
    }

    fn is_under_way(&self, attempt: Attempt) -> bool {
        self.trace.attempts.get(attempt).is_some_and(|attempt| attempt.outcome == Outcome::UnderWay)
    }

    fn settled(&self, question: Question) -> bool {
        self.questions[question.index()] != State::Asked
    }

    /// Whether attempts may begin (RFC 8305 section 3; with service records, section 4.2 of the third
    /// version).
    fn is_ready(&self, now: Duration) -> bool {
        let pending =
            |of: &dyn Fn(&Candidate) -> bool| self.pending.iter().any(|placed| of(&placed.candidate));
        let hints = pending(&|c| c.family() == self.awaited && c.group != Candidate::NO_GROUP);
        let family = self.settled(Question::of(self.awaited)) || hints;
        let answers = family && self.settled(Question::Service);
        let waited = self.wait.is_some_and(|wait| wait <= now);
        !self.pending.is_empty() && (answers || waited || pending(&|c| c.remembered))
    }

    /// Whether as many attempts are under way as may be. While the answer of one family is awaited, the other
    /// leaves it a place.
    fn is_full(&self) -> bool {
        let only = |family: Family| self.in_flight().all(|attempt| attempt.to.family() == family);
        let kept = Family::BOTH.into_iter().any(|family| {
            let next = self.pending.first().is_some_and(|placed| placed.candidate.family() == family);
            next && only(family) && !self.settled(Question::of(family.other()))
        });
        self.in_flight().count() + usize::from(kept) >= self.policy.in_flight_limit()
    }

    /// When the oldest attempt gives way to the next, where no more are allowed at a time.
    fn room_at(&self) -> Duration {
        match self.oldest() {
            Some(oldest) if self.is_full() => {
                let began = self.begun.unwrap_or_default().saturating_add(self.trace.attempts[oldest].at);
                began.saturating_add(self.policy.max_attempt_delay)
            }
            _ => Duration::ZERO,
        }
    }

    fn advance(&mut self, now: Duration, actions: &mut Vec<Action>) {
        let Some(begun) = self.begun.filter(|_| !self.over) else { return };
        if now >= begun.saturating_add(self.policy.deadline) {
            self.finish(now, &Outcome::GivenUp, actions);
            actions.push(Action::Lost);
            return;
        }
        self.ready |= self.is_ready(now);
        if !self.explain {
            self.start_next(now, actions);
            self.last_resort(now, actions);
        }
        let more = !self.explain && !self.pending.is_empty() && self.trace.attempts.len() < MAX_ATTEMPTS;
        let asked = self.questions.contains(&State::Asked);
        if !more && !asked && self.oldest().is_none() {
            self.finish(now, &Outcome::GivenUp, actions);
            actions.push(Action::Lost);
        }
    }

    /// Starts the next attempt where its time has come. One at a time: the one after it has a time of its
    /// own.
    fn start_next(&mut self, now: Duration, actions: &mut Vec<Action>) {
        let attempt = self.trace.attempts.len();
        if !self.ready || self.pending.is_empty() || attempt >= MAX_ATTEMPTS {
            return;
        }
        if now < self.next.max(self.room_at()) {
            return;
        }
        if self.is_full()
            && let Some(oldest) = self.oldest()
        {
            self.end(now, oldest, Outcome::GaveWay);
            actions.push(Action::Cancel(oldest));
        }
        let Placed { candidate, rule, .. } = self.pending.remove(0);
        self.next_before = self.next;
        self.next = now.saturating_add(self.policy.delay_after(candidate.rtt));
        self.last_start = now;
        let at = self.since(now);
        let outcome = Outcome::UnderWay;
        self.trace.attempts.push(Attempted { to: candidate.to, at, rule, took: None, outcome });
        actions.push(Action::Start(attempt, candidate));
    }

    /// Whether IPv4 addresses may come to be tried through a NAT64 (RFC 8305 section 7), all others being
    /// under way or done.
    fn may_synthesise(&self) -> bool {
        let v4_alone = !self.policy.family.allows(Family::V4);
        self.policy.nat64
            && self.policy.family.allows(Family::V6)
            && self.questions[Question::Nat64.index()] == State::NotAsked
            && self.pending.is_empty()
            && [Question::V6, Question::Service].into_iter().all(|question| self.settled(question))
            // Where IPv4 has a way of its own this is none of our business.
            && (v4_alone || (self.settled(Question::V4) && self.v4_no_way && !self.v4.is_empty()))
            && (self.named || !self.v4.is_empty())
    }

    /// The last resort: asks for what a synthesis needs, and does it (RFC 8305 sections 7.1 and 7.2).
    fn last_resort(&mut self, now: Duration, actions: &mut Vec<Action>) {
        let late = now >= self.last_start.saturating_add(self.policy.last_resort_delay);
        if self.may_synthesise() && (self.oldest().is_none() || late) {
            self.ask(now, Question::Nat64, actions);
            if self.named && self.questions[Question::V4.index()] == State::NotAsked {
                self.ask(now, Question::V4, actions);
            }
            return;
        }
        let v4 = self.questions[Question::V4.index()] == State::Answered || !self.named;
        if !v4 || self.prefixes.is_empty() {
            return;
        }
        for prefix in std::mem::take(&mut self.prefixes) {
            for endpoint in self.v4.clone() {
                let IpAddr::V4(address) = endpoint.address() else { continue };
                let Some(address) = synthesise(&prefix, address) else { continue };
                let to = Endpoint::new(address);
                let to = endpoint.port().map_or(to, |port| to.with_port(port));
                if !self.synthesised.contains(&to) {
                    self.synthesised.push(to);
                }
                self.take(Candidate::new(to));
            }
        }
        self.sort();
        self.ready = true;
        self.start_next(now, actions);
    }
}

/// The IPv6 address that stands for `address` behind a NAT64; `None` where none may: what never leaves this
/// host or its link (RFC 8305 section 7.1), and behind the well-known prefix what is not global (RFC 6052
/// section 3.1).
fn synthesise(prefix: &Prefix, address: Ipv4Addr) -> Option<Ipv6Addr> {
    let octets = address.octets();
    // RFC 1918, RFC 6598.
    let shared = address.is_private() || (octets[0] == 100 && octets[1] & 0xc0 == 64);
    let never = octets[0] == 0
        || address.is_loopback()
        || address.is_link_local()
        || address.is_multicast()
        || address.is_broadcast()
        || (*prefix == Prefix::WELL_KNOWN && shared);
    (!never).then(|| prefix.synthesise(address))
}
