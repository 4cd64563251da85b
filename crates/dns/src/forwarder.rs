//! Questions of clients, on their way to an answer.

mod asking;
mod hit;
mod synthesis;
mod validation;

use core::time::Duration;
use sixgate_endpoint::Endpoint;

use hickory_proto::op::{Message, MessageType, OpCode, ResponseCode};
use hickory_proto::rr::RecordType;

use crate::answer::{Answer, ExtendedError, finish};
use crate::cache::Cache;
use crate::dnssec::{Fault, Trust};
use crate::lookup::{Lookup, Lookups, Rewrite, Subject, Waiter};
use crate::question::{self, Asked, Query};
use crate::reply::{self, Age};
use crate::upstream::Upstreams;
use crate::{Action, Client, Clock, Config, Counters, Dns64, Names, Token, Transport};

/// A client waits this long before it gets a stale answer (RFC 8767 section 5).
const STALE_AFTER: Duration = Duration::from_millis(1_800);
/// After a failed refresh, stale answers are given this long without another (RFC 8767 section 5).
const STALE_RECHECK: Duration = Duration::from_secs(30);
/// The TTL told with a stale answer, in seconds (RFC 8767 section 4).
const STALE_TTL: u32 = 30;
/// Wait for an answer over TCP, handshake included.
const TCP_WAIT: Duration = Duration::from_secs(2);

/// A caching forwarder. `P` is the owner's notion of a client's address: see [`Client`].
///
/// A question goes to the upstream that has answered fastest so far; when it does not answer in the time it
/// usually takes, to the next, and so on in rounds with doubled waits, until [`Config::deadline`]. The first
/// good answer counts, whoever gives it. Equal questions under way are asked once.
#[derive(Debug)]
pub struct Forwarder<P> {
    config: Config,
    rng: fastrand::Rng,
    counters: Counters,
    upstreams: Upstreams,
    cache: Cache,
    lookups: Lookups<P>,
    /// Where [`Config::dnssec`] is on.
    trust: Option<Trust>,
    clock: Clock,
    next_token: u64,
    /// What [`Names::zones`] said when the last query came.
    zones: u64,
}

impl<P: Clone + PartialEq> Forwarder<P> {
    /// A forwarder that knows no upstream yet, and says SERVFAIL with "not ready" (RFC 8914) until it does.
    pub fn new(config: Config, rng: fastrand::Rng) -> Self {
        Self {
            cache: Cache::new(config.cache_entries, config.cache_octets),
            trust: config.dnssec.as_ref().map(validation::trust),
            clock: Clock::default(),
            config,
            rng,
            counters: Counters::default(),
            upstreams: Upstreams::default(),
            lookups: Lookups::default(),
            next_token: 0,
            zones: 0,
        }
    }

    /// Replaces the resolvers to ask. What is known of those that stay, stays; questions under way go on with
    /// the new ones when they try again.
    pub fn set_upstreams(&mut self, upstreams: &[Endpoint]) {
        self.upstreams.replace(upstreams);
    }

    /// Turns DNS64 on, off or to another prefix. What is kept was kept by the old rules, and is forgotten if
    /// it differs.
    pub fn set_dns64(&mut self, dns64: Option<Dns64>) {
        if self.config.dns64 != dns64 {
            self.config.dns64 = dns64;
            self.cache = Cache::new(self.config.cache_entries, self.config.cache_octets);
        }
    }

    /// What holds of DNS64.
    pub fn dns64(&self) -> Option<&Dns64> {
        self.config.dns64.as_ref()
    }

    /// A client's message, without TCP's length.
    pub fn handle_query(
        &mut self,
        now: Duration,
        client: Client<P>,
        bytes: &[u8],
        names: &Names,
        actions: &mut Vec<Action<P>>,
    ) {
        self.counters.queries += 1;
        if let Some(bytes) = self.hit(now, &client, bytes, names) {
            return actions.push(Action::Reply { client, bytes });
        }
        self.zones = names.zones();
        let (asked, name, kind) = match question::read(bytes) {
            Query::Question { asked, name, kind } => (asked, name, kind),
            Query::Refuse { asked, code } => return self.refuse(client, &asked, code, actions),
            Query::Drop => {
                self.counters.malformed += 1;
                return;
            }
        };
        let local = self.answer_locally(&name, kind, asked.dnssec_ok(), names);
        let denied = local.as_ref().is_some_and(|local| local.code == ResponseCode::NXDomain);
        let pointed = self.pointed(&name, kind, &asked).filter(|_| denied || local.is_none());
        let behind = pointed.as_ref().and_then(|target| self.answer_behind(&name, target, &asked, names));
        let ours = match behind.or(local.filter(|_| pointed.is_none())) {
            _ if kind == RecordType::ANY && !denied => Answer::any(&name),
            Some(local) => Answer::local(&name, kind, local),
            None => None,
        };
        if let Some(answer) = ours {
            self.counters.local += 1;
            return self.reply(client, &asked, &answer, Age::Seconds(0), None, actions);
        }
        // Whoever does not want recursion wants to know what others have asked: none of its business.
        if !asked.recursion_desired {
            return self.refuse(client, &asked, ResponseCode::Refused, actions);
        }
        let deadline = now.saturating_add(self.config.deadline);
        let (subject, rewrite) = match pointed {
            None => (Subject::new(name, kind, &asked), None),
            Some(target) => (Subject::other(target, kind, &asked), Some(Rewrite::Pointer(name))),
        };
        let waiter = Waiter { client, asked, deadline, missed: false, rewrite };
        self.resolve(now, waiter, subject, actions);
    }

    /// Answers from the cache, or by asking.
    fn resolve(&mut self, now: Duration, waiter: Waiter<P>, subject: Subject, actions: &mut Vec<Action<P>>) {
        let Some(mut waiter) = self.answer_from_cache(now, waiter, &subject, actions) else { return };
        self.counters.misses += u64::from(!waiter.missed);
        waiter.missed = true;
        if self.upstreams.is_empty() {
            let error = ExtendedError::new(ExtendedError::NOT_READY, "no upstream resolver is known yet");
            return self.fail(now, &subject, vec![waiter], vec![error], false, actions);
        }
        self.ask(now, waiter, subject, actions);
    }

    /// A message that came on the socket of `token` from `upstream`, without TCP's length.
    pub fn handle_answer(
        &mut self,
        now: Duration,
        upstream: Endpoint,
        token: Token,
        bytes: &[u8],
        actions: &mut Vec<Action<P>>,
    ) {
        let Some(mut lookup) = self.lookups.take_token(token) else {
            self.counters.upstream_mismatches += 1;
            return;
        };
        let Some(index) = lookup.attempts.iter().position(|attempt| {
            attempt.token == token && attempt.upstream == upstream && is_answer_to(attempt.id, bytes)
        }) else {
            self.counters.upstream_mismatches += 1;
            return self.lookups.put(lookup);
        };
        let message = Message::from_vec(bytes).ok();
        let repeated = message.as_ref().is_none_or(|message| {
            lookup.subject.is_repeated_by(message)
                // Some errors come without the question (RFC 1035 section 4.1.1 leaves it open).
                || (message.queries.is_empty() && message.answers.is_empty() && is_error(message))
        });
        if !repeated {
            self.counters.upstream_mismatches += 1;
            return self.lookups.put(lookup);
        }
        let attempt = lookup.attempts.swap_remove(index);
        actions.push(Action::Done { token });
        if attempt.transport == Transport::Udp {
            self.upstreams.answered(attempt.upstream, now.saturating_sub(attempt.sent));
        }
        lookup.heard = true;
        let Some(message) = message else {
            return self.try_another(now, lookup, attempt.upstream, actions);
        };
        let code = message.metadata.response_code;
        if message.metadata.truncation && attempt.transport == Transport::Udp {
            self.send(now, &mut lookup, attempt.upstream, Transport::Tcp, attempt.edns, actions);
            lookup.retry_at = now.saturating_add(TCP_WAIT);
            return self.lookups.put(lookup);
        }
        match code {
            ResponseCode::NoError | ResponseCode::NXDomain if !message.metadata.truncation => {
                self.arrived(now, lookup, attempt.upstream, message, bytes, actions);
            }
            // A server older than EDNS (RFC 6891 section 6.2.2).
            ResponseCode::FormErr | ResponseCode::NotImp if attempt.edns && message.edns.is_none() => {
                self.send(now, &mut lookup, attempt.upstream, attempt.transport, false, actions);
                self.lookups.put(lookup);
            }
            _ => {
                // A resolver that knows nothing of DNSSEC; one in trouble says SERVFAIL.
                if code != ResponseCode::ServFail {
                    self.note_signatures(&lookup, attempt.upstream, false);
                }
                lookup.errors = ExtendedError::read(&message);
                self.try_another(now, lookup, attempt.upstream, actions);
            }
        }
    }

    /// The socket of `token` failed: no connection, an ICMP error, or closed by the upstream before an
    /// answer. The owner has closed it; no [`Action::Done`] follows.
    pub fn handle_failure(&mut self, now: Duration, token: Token, actions: &mut Vec<Action<P>>) {
        let Some(mut lookup) = self.lookups.take_token(token) else { return };
        let Some(index) = lookup.attempts.iter().position(|attempt| attempt.token == token) else {
            return self.lookups.put(lookup);
        };
        let attempt = lookup.attempts.swap_remove(index);
        self.upstreams.missed(attempt.upstream);
        self.try_another(now, lookup, attempt.upstream, actions);
    }

    /// Time has passed: call it at [`poll_timeout`](Self::poll_timeout) or later.
    pub fn handle_timeout(&mut self, now: Duration, actions: &mut Vec<Action<P>>) {
        // Ends: each lookup taken either ends or comes back with a later time.
        while let Some(mut lookup) = self.lookups.take_due(now) {
            if lookup.deadline <= now {
                self.give_up(now, lookup, actions);
                continue;
            }
            if lookup.retry_at <= now {
                for attempt in lookup.attempts.iter_mut().filter(|attempt| !attempt.overdue) {
                    attempt.overdue = true;
                    self.counters.upstream_timeouts += 1;
                    self.upstreams.missed(attempt.upstream);
                }
                self.send_next(now, &mut lookup, actions);
            }
            if lookup.stale_at <= now {
                lookup.stale_at = Duration::MAX;
                self.lose_patience(now, lookup, actions);
            } else {
                self.lookups.put(lookup);
            }
        }
    }

    /// Those who wait have waited long enough for an answer whose time is over; or for the A question to be
    /// asked too.
    fn lose_patience(&mut self, now: Duration, mut lookup: Lookup<P>, actions: &mut Vec<Action<P>>) {
        let (subject, share, deadline) = (lookup.subject.clone(), lookup.share, lookup.deadline);
        let waiters = std::mem::take(&mut lookup.waiters);
        self.lookups.put(lookup);
        let waiters = self.answer_stale(now, &subject, waiters, actions);
        if let Some(waiter) = waiters.first().filter(|_| self.synthesises(&subject)) {
            self.ask_ahead(now, &subject, &waiter.asked, share, deadline, actions);
        }
        if let Some(lookup) = self.lookups.get_mut(&subject.key) {
            lookup.waiters = waiters;
        }
    }

    /// When to call [`handle_timeout`](Self::handle_timeout) next; nothing when no question is under way.
    pub fn poll_timeout(&self) -> Option<Duration> {
        self.lookups.next_due()
    }

    /// What was counted so far.
    pub fn counters(&self) -> Counters {
        Counters {
            cached: self.cache.len() as u64,
            lookups: self.lookups.len() as u64,
            dnssec_zones: self.trust.as_ref().map_or(0, |trust| trust.len() as u64),
            ..self.counters
        }
    }

    /// Octets that the cache takes now; at most [`Config::cache_octets`].
    pub fn cache_octets(&self) -> usize {
        self.cache.octets()
    }

    fn refuse(&mut self, client: Client<P>, asked: &Asked, code: ResponseCode, actions: &mut Vec<Action<P>>) {
        self.counters.refused += 1;
        let bytes = reply::refuse(asked, code, &self.config);
        actions.push(Action::Reply { client, bytes });
    }

    fn reply(
        &mut self,
        client: Client<P>,
        asked: &Asked,
        answer: &Answer,
        age: Age,
        extra: Option<&ExtendedError>,
        actions: &mut Vec<Action<P>>,
    ) {
        let reply = reply::reply(&client, asked, &asked.question, answer, age, extra, &self.config);
        self.counters.servfail += u64::from(answer.code == ResponseCode::ServFail);
        self.counters.truncated += u64::from(reply.truncated);
        actions.push(Action::Reply { client, bytes: reply.bytes });
    }

    /// Replies to one that waited for `answer`, with what its own question makes of it.
    fn give(
        &mut self,
        now: Duration,
        waiter: Waiter<P>,
        answer: &Answer,
        age: Age,
        extra: Option<&ExtendedError>,
        actions: &mut Vec<Action<P>>,
    ) {
        let Waiter { client, asked, rewrite, .. } = waiter;
        let Some(rewrite) = rewrite else { return self.reply(client, &asked, answer, age, extra, actions) };
        if let Some(answer) = self.rewritten(now, &asked, rewrite, answer, age) {
            return self.reply(client, &asked, &answer, Age::Seconds(0), extra, actions);
        }
        // AAAA records are longer than A records: what was made of them is longer than a message can be.
        self.counters.servfail += 1;
        let bytes = reply::refuse(&asked, ResponseCode::ServFail, &self.config);
        actions.push(Action::Reply { client, bytes });
    }

    /// Answers from the cache, or gives the client back.
    fn answer_from_cache(
        &mut self,
        now: Duration,
        waiter: Waiter<P>,
        subject: &Subject,
        actions: &mut Vec<Action<P>>,
    ) -> Option<Waiter<P>> {
        let synthesises = self.synthesises(subject);
        let Some(entry) = self.cache.get(&subject.key) else { return Some(waiter) };
        if now < entry.expires {
            if synthesises && entry.answer.leaves_it_open() {
                let until = synthesis::until(now, &entry.answer, entry.stored);
                self.synthesise(now, subject, vec![waiter], until, actions);
                return None;
            }
            self.counters.hits += u64::from(!waiter.missed);
            let again = ExtendedError::new(ExtendedError::CACHED_ERROR, "failed a moment ago");
            let extra = (entry.answer.code == ResponseCode::ServFail).then_some(&again);
            let age = now.saturating_sub(entry.stored).as_secs();
            let age = Age::Seconds(u32::try_from(age).unwrap_or(u32::MAX));
            if waiter.rewrite.is_some() {
                let answer = entry.answer.clone();
                self.give(now, waiter, &answer, age, extra, actions);
                return None;
            }
            // The next one takes the short way.
            entry.direct = Some(self.zones);
            let Waiter { client, asked, .. } = waiter;
            self.counters.servfail += u64::from(entry.answer.code == ResponseCode::ServFail);
            let reply =
                reply::reply(&client, &asked, &asked.question, &entry.answer, age, extra, &self.config);
            self.counters.truncated += u64::from(reply.truncated);
            actions.push(Action::Reply { client, bytes: reply.bytes });
            return None;
        }
        if now < entry.recheck {
            return self.answer_stale(now, subject, vec![waiter], actions).into_iter().next();
        }
        Some(waiter)
    }

    /// Gives each waiter the answer whose time is over, if there is one that is not too old; returns those
    /// that got none.
    fn answer_stale(
        &mut self,
        now: Duration,
        subject: &Subject,
        waiters: Vec<Waiter<P>>,
        actions: &mut Vec<Action<P>>,
    ) -> Vec<Waiter<P>> {
        let max_stale = self.config.max_stale;
        let synthesises = self.synthesises(subject);
        let Some(entry) = self.cache.get(&subject.key).filter(|entry| {
            entry.answer.code != ResponseCode::ServFail && now < entry.expires.saturating_add(max_stale)
        }) else {
            return waiters;
        };
        if synthesises && entry.answer.leaves_it_open() {
            self.synthesise_stale(now, subject, waiters, actions);
            return Vec::new();
        }
        let error = if entry.answer.code == ResponseCode::NXDomain {
            ExtendedError::new(ExtendedError::STALE_NXDOMAIN, "no upstream answers")
        } else {
            ExtendedError::new(ExtendedError::STALE_ANSWER, "no upstream answers")
        };
        let answer = entry.answer.clone();
        for waiter in waiters {
            self.counters.stale += 1;
            self.give(now, waiter, &answer, Age::Stale(STALE_TTL), Some(&error), actions);
        }
        Vec::new()
    }

    /// The answer is there.
    fn complete(
        &mut self,
        now: Duration,
        mut lookup: Lookup<P>,
        message: Message,
        authentic: Option<bool>,
        remark: Option<ExtendedError>,
        actions: &mut Vec<Action<P>>,
    ) {
        let mut errors = ExtendedError::read(&message);
        errors.extend(remark);
        let subject = &lookup.subject;
        let (mut message, lifetime) =
            finish(message, subject.kind, subject.dnssec_ok, authentic, &self.config);
        let synthesises = self.synthesises(subject);
        if synthesises && let Some(dns64) = &self.config.dns64 {
            self.counters.dns64_excluded += dns64.exclude(&mut message);
        }
        let Some(answer) = Answer::forwarded(message, errors) else {
            return self.give_up(now, lookup, actions);
        };
        close(&lookup, actions);
        let chain = (!lookup.dependants.is_empty()).then(|| answer.body(&[], |stored| stored));
        let dependants = std::mem::take(&mut lookup.dependants);
        let waiters = std::mem::take(&mut lookup.waiters);
        let open = synthesises && answer.leaves_it_open();
        let until = synthesis::until(now, &answer, now);
        let waiters = if open {
            waiters
        } else {
            for waiter in waiters {
                self.give(now, waiter, &answer, Age::Seconds(0), None, actions);
            }
            Vec::new()
        };
        if lifetime > Duration::ZERO {
            let expires = now.saturating_add(lifetime);
            self.counters.evictions +=
                self.cache.insert(&lookup.subject.key, answer, now, expires, &mut self.rng);
        }
        self.synthesise(now, &lookup.subject, waiters, until, actions);
        self.tell(now, &lookup.subject, dependants, chain.as_deref(), actions);
    }

    /// There will be no answer.
    fn give_up(&mut self, now: Duration, mut lookup: Lookup<P>, actions: &mut Vec<Action<P>>) {
        close(&lookup, actions);
        if let Some(fault) = lookup.fault.take() {
            return self.bogus(now, lookup, &fault, actions);
        }
        let dependants = std::mem::take(&mut lookup.dependants);
        let mut errors = std::mem::take(&mut lookup.errors);
        if lookup.judged.is_some() {
            self.counters.dnssec_indeterminate += 1;
            errors.push(ExtendedError::new(Fault::INDETERMINATE, "the chain of signatures took too long"));
        }
        if errors.is_empty() {
            errors.push(match (lookup.heard, lookup.attempts.is_empty()) {
                (true, _) => ExtendedError::new(
                    ExtendedError::NO_REACHABLE_AUTHORITY,
                    "the upstream resolvers answer with an error",
                ),
                (false, true) => ExtendedError::new(
                    ExtendedError::NETWORK_ERROR,
                    "the upstream resolvers cannot be reached",
                ),
                (false, false) => {
                    ExtendedError::new(ExtendedError::NO_REACHABLE_AUTHORITY, "no upstream resolver answers")
                }
            });
        }
        self.fail(now, &lookup.subject, lookup.waiters, errors, true, actions);
        self.tell(now, &lookup.subject, dependants, None, actions);
    }

    /// A stale answer, or SERVFAIL; if `keep`, upstreams were asked in vain and are let alone for a while.
    fn fail(
        &mut self,
        now: Duration,
        subject: &Subject,
        waiters: Vec<Waiter<P>>,
        errors: Vec<ExtendedError>,
        keep: bool,
        actions: &mut Vec<Action<P>>,
    ) {
        let max_stale = self.config.max_stale;
        let waiters = self.answer_stale(now, subject, waiters, actions);
        if let Some(entry) = self.cache.get(&subject.key)
            && entry.answer.code != ResponseCode::ServFail
            && now < entry.expires.saturating_add(max_stale)
        {
            if keep {
                entry.recheck = now.saturating_add(STALE_RECHECK);
            }
            return;
        }
        let Some(answer) = Answer::failure(&subject.name, subject.kind, errors) else { return };
        let waiters = if self.synthesises(subject) {
            waiters
        } else {
            for waiter in waiters {
                self.give(now, waiter, &answer, Age::Seconds(0), None, actions);
            }
            Vec::new()
        };
        let until = synthesis::until(now, &answer, now);
        if keep {
            let expires = now.saturating_add(self.config.failure_ttl);
            self.counters.evictions += self.cache.insert(&subject.key, answer, now, expires, &mut self.rng);
        }
        self.synthesise(now, subject, waiters, until, actions);
    }
}

fn close<P>(lookup: &Lookup<P>, actions: &mut Vec<Action<P>>) {
    actions.extend(lookup.attempts.iter().map(|attempt| Action::Done { token: attempt.token }));
}

/// A response with this ID (RFC 5452 section 9.1) and no more than one question. What cannot be decoded
/// beyond the header is told apart later.
fn is_answer_to(id: u16, bytes: &[u8]) -> bool {
    let [high, low] = id.to_be_bytes();
    matches!(bytes, [a, b, flags, _, 0, 0 | 1, ..] if *a == high && *b == low && flags & 0x80 != 0)
        && bytes.len() >= question::HEADER
}

fn is_error(message: &Message) -> bool {
    message.metadata.message_type == MessageType::Response
        && message.metadata.op_code == OpCode::Query
        && !matches!(message.metadata.response_code, ResponseCode::NoError | ResponseCode::NXDomain)
}
