//! DNSSEC in the forwarder: an answer that came is judged before it is stored or told; the DS and DNSKEY records
//! that this takes are looked up as a validating client's questions would be.

use core::time::Duration;
use sixgate_endpoint::Endpoint;

use hickory_proto::op::Message;
use hickory_proto::rr::{Record, RecordType};

use super::{Forwarder, close};
use crate::answer::Answer;
use crate::cache::Cache;
use crate::dnssec::{self, Fault, Judgement, Sections, Step, Times, Trust, Verdict};
use crate::lookup::{Judged, Lookup, Subject};
use crate::names::is_reserved;
use crate::reply::Age;
use crate::{Action, Clock, Dnssec};

/// A wall clock that moved by less is the same clock.
const STEP: u64 = 60;

/// What is known at first: anchors, and names not to judge.
pub(super) fn trust(dnssec: &Dnssec) -> Trust {
    Trust::new(dnssec.anchors.clone(), dnssec.excepted().iter().map(Into::into).collect())
}

impl<P: Clone + PartialEq> Forwarder<P> {
    /// Turns validation on, off, or to other anchors. What is kept was judged by the old rules, and is forgotten if
    /// they differ.
    pub fn set_dnssec(&mut self, dnssec: Option<Dnssec>) {
        if self.config.dnssec != dnssec {
            self.trust = dnssec.as_ref().map(trust);
            self.config.dnssec = dnssec;
            self.forget();
        }
    }

    /// Tells what is known of the wall clock. What was judged without one is forgotten when there is one.
    pub fn set_clock(&mut self, clock: Clock) {
        let same = match (self.clock, clock) {
            (Clock::Unset, Clock::Unset) => true,
            (Clock::Unset, _) | (_, Clock::Unset) => false,
            (old, new) => ahead(old).abs_diff(ahead(new)) < STEP,
        };
        if !same {
            self.clock = clock;
            self.forget();
        }
    }

    /// Upstreams that gave no signatures where there are some, so that nothing they say can be secure.
    pub fn stripping(&self) -> impl Iterator<Item = Endpoint> {
        self.upstreams.stripping().filter(|_| self.trust.is_some())
    }

    /// Forgets all verdicts, if any were come to.
    fn forget(&mut self) {
        if let Some(trust) = &mut self.trust {
            trust.forget();
        }
        self.cache = Cache::new(self.config.cache_entries, self.config.cache_octets);
    }

    /// Whether an answer to this is judged. Who sets CD judges itself (RFC 4035 section 3.2.2). What is reserved
    /// for local use has no chain (RFC 6303 section 4).
    pub(super) fn validates(&self, subject: &Subject) -> bool {
        self.trust.is_some() && !subject.checking_disabled && !is_reserved(&subject.name)
    }

    /// An answer came that may be one.
    pub(super) fn arrived(
        &mut self,
        now: Duration,
        mut lookup: Lookup<P>,
        upstream: Endpoint,
        message: Message,
        bytes: &[u8],
        actions: &mut Vec<Action<P>>,
    ) {
        if !self.validates(&lookup.subject) {
            if !lookup.dependants.is_empty() && self.is_stripped(&lookup, upstream, bytes) {
                self.counters.dnssec_stripped += 1;
                return self.try_another(now, lookup, upstream, actions);
            }
            return self.complete(now, lookup, message, None, None, actions);
        }
        let name = dnssec::Name::from(&lookup.subject.name);
        let judgement = Judgement::new(name, lookup.subject.kind.into(), bytes);
        close(&lookup, actions);
        lookup.attempts.clear();
        lookup.retry_at = Duration::MAX;
        lookup.judged = Some(Box::new(Judged { upstream, judgement, needs: None }));
        self.go_on(now, lookup, actions);
    }

    /// Whether an answer that a judgement needs came without any signature, and another upstream can be asked:
    /// below an unsigned delegation that is as it should be, but such answers are rarely asked for.
    fn is_stripped(&mut self, lookup: &Lookup<P>, upstream: Endpoint, bytes: &[u8]) -> bool {
        let unsigned = Sections::read(bytes).is_none_or(|sections| sections.is_unsigned());
        self.note_signatures(lookup, upstream, !unsigned);
        let tried = [lookup.given_up.as_slice(), &[upstream]].concat();
        unsigned && lookup.sent < self.config.max_attempts && self.upstreams.has_other(&tried)
    }

    /// Notes whether an upstream passes signatures on, where a judgement asked it for some that exist: whoever has an
    /// anchor signs its keys, and what it says of DS.
    pub(super) fn note_signatures(&mut self, lookup: &Lookup<P>, upstream: Endpoint, signed: bool) {
        let Some(trust) = self.trust.as_ref().filter(|_| !lookup.dependants.is_empty()) else { return };
        let own = dnssec::Name::from(&lookup.subject.name);
        let holder = if lookup.subject.kind == RecordType::DS { own.parent() } else { Some(own) };
        if holder.is_some_and(|holder| trust.anchors.has(&holder)) {
            self.upstreams.set_stripping(upstream, !signed);
        }
    }

    /// Judges as far as it goes, and asks for what is missing.
    fn go_on(&mut self, now: Duration, mut lookup: Lookup<P>, actions: &mut Vec<Action<P>>) {
        let times = Times { now, wall: self.wall(now) };
        // Ends: each turn gives the judgement another answer, and it takes a bounded number.
        let (judged, verdict) = loop {
            let Some(mut judged) = lookup.judged.take() else { return self.give_up(now, lookup, actions) };
            let Some(trust) = &mut self.trust else {
                // Validation was turned off meanwhile.
                return self.conclude(now, lookup, &judged, Verdict::Insecure(None), actions);
            };
            let (name, kind) = match judged.judgement.step(trust, times) {
                Step::Done(verdict) => break (judged, verdict),
                Step::Needs(name, kind) => (name, kind),
            };
            let subject = Subject::chain(name.spelled(), RecordType::from(kind));
            if let Some(known) = self.known(now, &subject) {
                judged.judgement.learn(name, kind, known.as_deref());
                lookup.judged = Some(judged);
                continue;
            }
            judged.needs = Some((name, kind));
            lookup.judged = Some(judged);
            let (key, share) = (lookup.subject.key.clone(), lookup.share);
            self.lookups.put(lookup);
            return self.ask_chain(now, subject, share, key, actions);
        };
        self.conclude(now, lookup, &judged, verdict, actions);
    }

    /// What the cache has for a judgement: an answer, or that there was none a moment ago.
    #[allow(clippy::option_option, reason = "known, and known to be none, are two things")]
    fn known(&mut self, now: Duration, subject: &Subject) -> Option<Option<Vec<u8>>> {
        let entry = self.cache.get(&subject.key).filter(|entry| now < entry.expires)?;
        if entry.answer.code == hickory_proto::op::ResponseCode::ServFail {
            return Some(None);
        }
        let age = u32::try_from(now.saturating_sub(entry.stored).as_secs()).unwrap_or(u32::MAX);
        Some(Some(entry.answer.body(&[], |stored| Age::Seconds(age).ttl(stored))))
    }

    /// Has a lookup wait for the answer to a question of its judgement. Each has one such question at a time, so
    /// that these are no more than those of clients; there is room for them beside.
    fn ask_chain(
        &mut self,
        now: Duration,
        subject: Subject,
        share: u32,
        dependant: Box<[u8]>,
        actions: &mut Vec<Action<P>>,
    ) {
        if let Some(lookup) = self.lookups.get_mut(&subject.key) {
            lookup.dependants.push(dependant);
            return;
        }
        let deadline = now.saturating_add(self.config.deadline);
        let mut lookup = Lookup::new(subject, share, deadline, Duration::MAX);
        lookup.dependants.push(dependant);
        self.send_next(now, &mut lookup, actions);
        self.lookups.put(lookup);
    }

    /// Tells those whose judgement waits for it what came of a lookup.
    pub(super) fn tell(
        &mut self,
        now: Duration,
        subject: &Subject,
        dependants: Vec<Box<[u8]>>,
        answer: Option<&[u8]>,
        actions: &mut Vec<Action<P>>,
    ) {
        let question = (dnssec::Name::from(&subject.name), u16::from(subject.kind));
        for key in dependants {
            let Some(mut lookup) = self.lookups.take(&key) else { continue };
            // It may have been given up, and another of the same name begun.
            let Some(judged) =
                lookup.judged.as_mut().filter(|judged| judged.needs.as_ref() == Some(&question))
            else {
                self.lookups.put(lookup);
                continue;
            };
            judged.needs = None;
            judged.judgement.learn(question.0.clone(), question.1, answer);
            self.go_on(now, lookup, actions);
        }
    }

    fn conclude(
        &mut self,
        now: Duration,
        mut lookup: Lookup<P>,
        judged: &Judged,
        verdict: Verdict,
        actions: &mut Vec<Action<P>>,
    ) {
        // It was decoded before, and is kept as bytes for want of room.
        let Ok(mut message) = Message::from_vec(judged.judgement.response()) else {
            return self.give_up(now, lookup, actions);
        };
        let timed = self.wall(now).is_some();
        self.counters.dnssec_untimed += u64::from(!timed);
        match verdict {
            Verdict::Secure { ttls } => {
                self.counters.dnssec_secure += 1;
                limit(&mut message, &ttls);
                // What may be out of date is given, and not vouched for.
                self.complete(now, lookup, message, Some(timed), None, actions);
            }
            Verdict::Insecure(fault) => {
                self.counters.dnssec_insecure += 1;
                let remark = fault.as_ref().map(Fault::error);
                self.complete(now, lookup, message, Some(false), remark, actions);
            }
            Verdict::Indeterminate(fault) => {
                self.counters.dnssec_indeterminate += 1;
                if self.permits() {
                    return self.permit(now, lookup, message, &fault, actions);
                }
                lookup.errors = vec![fault.error()];
                self.give_up(now, lookup, actions);
            }
            Verdict::Bogus(fault) => {
                // The next to ask must not be judged by what this one was judged by.
                for (name, kind) in judged.judgement.gathered() {
                    let subject = Subject::chain(name.spelled(), RecordType::from(*kind));
                    if let Some(entry) = self.cache.get(&subject.key) {
                        entry.expires = entry.expires.min(now.saturating_add(self.config.failure_ttl));
                    }
                }
                if self.permits() {
                    self.counters.dnssec_bogus += 1;
                    return self.permit(now, lookup, message, &fault, actions);
                }
                lookup.given_up.push(judged.upstream);
                let first = lookup.fault.is_none();
                let others = self.upstreams.has_other(&lookup.given_up);
                let fault = lookup.fault.take().unwrap_or(fault);
                if !first || !others || lookup.sent >= self.config.max_attempts || now >= lookup.deadline {
                    return self.bogus(now, lookup, &fault, actions);
                }
                // One that strips or forges must not stand for all; but one more is enough.
                lookup.fault = Some(fault);
                self.send_next(now, &mut lookup, actions);
                self.lookups.put(lookup);
            }
        }
    }

    /// Passes on what did not stand the judgement, and says so.
    fn permit(
        &mut self,
        now: Duration,
        lookup: Lookup<P>,
        message: Message,
        fault: &Fault,
        actions: &mut Vec<Action<P>>,
    ) {
        self.counters.dnssec_permitted += 1;
        self.complete(now, lookup, message, Some(false), Some(fault.error()), actions);
    }

    fn permits(&self) -> bool {
        self.config.dnssec.as_ref().is_some_and(|dnssec| dnssec.permissive)
    }

    /// Says that what came is bogus, for a while (RFC 4035 section 4.7), and gives nothing older in its place.
    pub(super) fn bogus(
        &mut self,
        now: Duration,
        lookup: Lookup<P>,
        fault: &Fault,
        actions: &mut Vec<Action<P>>,
    ) {
        self.counters.dnssec_bogus += 1;
        let subject = &lookup.subject;
        let Some(answer) = Answer::bogus(&subject.name, subject.kind, vec![fault.error()]) else { return };
        for waiter in lookup.waiters {
            self.give(now, waiter, &answer, Age::Seconds(0), None, actions);
        }
        let expires = now.saturating_add(self.config.failure_ttl);
        self.counters.evictions += self.cache.insert(&subject.key, answer, now, expires, &mut self.rng);
    }

    /// The wall clock in seconds, as signatures have it.
    fn wall(&self, now: Duration) -> Option<u32> {
        let seconds = now.as_secs().wrapping_add_signed(ahead(self.clock));
        (self.clock != Clock::Unset).then_some(seconds as u32)
    }
}

fn ahead(clock: Clock) -> i64 {
    match clock {
        Clock::Ahead(seconds) => seconds,
        Clock::Now | Clock::Unset => 0,
    }
}

/// Takes away what no signature was found for, and keeps nothing longer than its signature allows (RFC 4035 sections
/// 3.2.3 and 5.3.3).
fn limit(message: &mut Message, ttls: &[Option<u32>]) {
    let (answers, authorities) = ttls.split_at(message.answers.len().min(ttls.len()));
    for (section, ttls) in [(&mut message.answers, answers), (&mut message.authorities, authorities)] {
        let mut ttls = ttls.iter();
        section.retain_mut(|record: &mut Record| match ttls.next() {
            Some(Some(ttl)) => {
                record.ttl = record.ttl.min(*ttl);
                true
            }
            _ => false,
        });
    }
}
