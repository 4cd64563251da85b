//! DNS64 (RFC 6147) in the forwarder: an AAAA question whose answer leaves it open goes on as the A question
//! for the same name, and whoever waits for it gets what [`Dns64`](crate::Dns64) makes of that answer.

use core::time::Duration;

use hickory_proto::op::ResponseCode;
use hickory_proto::rr::{Name, Record, RecordType};

use super::{Forwarder, STALE_TTL};
use crate::answer::Answer;
use crate::dns64::{self, TTL};
use crate::lookup::{Rewrite, Subject, Waiter, key};
use crate::names::Local;
use crate::question::Asked;
use crate::reply::Age;
use crate::{Action, Names};

/// What the second question gets beyond the time of the first, so that it does not end before the first does.
const GRACE: Duration = Duration::from_millis(300);

/// Until when the addresses may be kept that are made because of this answer to an AAAA question (RFC 6147
/// section 5.1.7).
pub(super) fn until(now: Duration, answer: &Answer, stored: Duration) -> Duration {
    let seconds = |seconds: u32| Duration::from_secs(seconds.into());
    match answer.denial {
        Some(ttl) => stored.saturating_add(seconds(ttl)),
        None => now.saturating_add(seconds(TTL)),
    }
}

impl<P: Clone + PartialEq> Forwarder<P> {
    /// Whether DNS64 has a say in this question. With DO and CD set, the client validates, and synthesises,
    /// itself (RFC 6147 section 5.5). With DO alone it leaves validation to us; we leave it to the upstream,
    /// and nothing that was synthesised has AD set.
    pub(super) fn synthesises(&self, subject: &Subject) -> bool {
        self.config.dns64.is_some()
            && subject.kind == RecordType::AAAA
            && !(subject.dnssec_ok && subject.checking_disabled)
    }

    /// What needs no upstream: local names come first, then those by which hosts learn the prefix.
    pub(super) fn answer_locally(
        &mut self,
        name: &Name,
        kind: RecordType,
        dnssec_ok: bool,
        names: &Names,
    ) -> Option<Local> {
        if let Some(local) = names.answer(name, kind, dnssec_ok) {
            return Some(self.synthesised_locally(name, kind, names).unwrap_or(local));
        }
        let special = self.config.dns64.as_ref()?.special(name, kind, dnssec_ok)?;
        self.counters.dns64_discoveries += 1;
        Some(special)
    }

    /// The addresses behind the NAT64 of a host of ours that has IPv4 alone: an old printer, to a laptop without IPv4.
    /// Nothing where it has others, or where the prefix does not stand for its own.
    fn synthesised_locally(&mut self, name: &Name, kind: RecordType, names: &Names) -> Option<Local> {
        let dns64 =
            self.config.dns64.as_ref().filter(|_| kind == RecordType::AAAA && names.are_translated())?;
        if names.answer(name, kind, false).is_none_or(|local| !local.answers.is_empty()) {
            return None;
        }
        let v4 = names.answer(name, RecordType::A, false)?;
        let answers: Vec<Record> = v4.answers.iter().filter_map(|record| dns64.synthesised(record)).collect();
        if answers.is_empty() {
            return None;
        }
        self.counters.dns64_synthesised += 1;
        Some(Local::records(answers))
    }

    /// The name that stands behind one of the NAT64's prefix, if that is what is asked for.
    pub(super) fn pointed(&self, name: &Name, kind: RecordType, asked: &Asked) -> Option<Name> {
        let validates = asked.dnssec_ok() && asked.checking_disabled;
        let dns64 = self.config.dns64.as_ref().filter(|_| kind == RecordType::PTR && !validates)?;
        dns64.pointed(name)
    }

    /// The answer for a name of the prefix, where the one behind it needs no upstream.
    pub(super) fn answer_behind(
        &mut self,
        name: &Name,
        target: &Name,
        asked: &Asked,
        names: &Names,
    ) -> Option<Local> {
        self.counters.dns64_pointers += 1;
        let mut local = self.answer_locally(target, RecordType::PTR, asked.dnssec_ok(), names)?;
        local.answers.insert(0, dns64::alias(name, target.clone()));
        Some(local)
    }

    /// Has those who asked for AAAA records wait for the A records of the same name.
    pub(super) fn synthesise(
        &mut self,
        now: Duration,
        subject: &Subject,
        waiters: Vec<Waiter<P>>,
        until: Duration,
        actions: &mut Vec<Action<P>>,
    ) {
        for mut waiter in waiters {
            let second = Subject::other(subject.name.clone(), RecordType::A, &waiter.asked);
            if waiter.missed {
                waiter.deadline = waiter.deadline.max(now).saturating_add(GRACE);
            }
            waiter.rewrite = Some(Rewrite::Addresses(until));
            self.resolve(now, waiter, second, actions);
        }
    }

    /// The same where the denial is past its time, and nobody answers: A records past theirs will do.
    pub(super) fn synthesise_stale(
        &mut self,
        now: Duration,
        subject: &Subject,
        waiters: Vec<Waiter<P>>,
        actions: &mut Vec<Action<P>>,
    ) {
        let until = now.saturating_add(Duration::from_secs(STALE_TTL.into()));
        for mut waiter in waiters {
            let (asked, share, deadline) = (waiter.asked.clone(), waiter.client.share, waiter.deadline);
            let second = Subject::other(subject.name.clone(), RecordType::A, &asked);
            if self.cache.get(&second.key).is_none_or(|entry| now < entry.expires) {
                self.synthesise(now, subject, vec![waiter], until, actions);
                continue;
            }
            waiter.rewrite = Some(Rewrite::Addresses(until));
            for waiter in self.answer_stale(now, &second, vec![waiter], actions) {
                self.resolve(now, waiter, second.clone(), actions);
            }
            self.ask_ahead(now, subject, &asked, share, deadline, actions);
        }
    }

    /// The AAAA question takes long: asks the A question beside it (RFC 6147 section 5.1.8), so that its
    /// answer is there if the first gets none (section 5.1.3).
    pub(super) fn ask_ahead(
        &mut self,
        now: Duration,
        subject: &Subject,
        asked: &Asked,
        share: u32,
        deadline: Duration,
        actions: &mut Vec<Action<P>>,
    ) {
        let second = Subject::other(subject.name.clone(), RecordType::A, asked);
        let known = self.cache.get(&second.key).is_some_and(|entry| now < entry.expires.max(entry.recheck));
        if known || self.upstreams.is_empty() || self.lookups.contains(&second.key) || !self.has_room(share) {
            return;
        }
        let deadline = deadline.max(now).saturating_add(GRACE);
        self.start(now, second, share, deadline, Vec::new(), actions);
    }

    /// What a client is told whose question led to `answer`, with TTLs as they are now.
    pub(super) fn rewritten(
        &mut self,
        now: Duration,
        asked: &Asked,
        rewrite: Rewrite,
        answer: &Answer,
        age: Age,
    ) -> Option<Answer> {
        let mut message = answer.message(|stored| age.ttl(stored))?;
        let errors = answer.errors.clone();
        let until = match rewrite {
            Rewrite::Addresses(until) => until,
            Rewrite::Pointer(name) => {
                if answer.code != ResponseCode::ServFail {
                    let target = message.queries.first()?.name.clone();
                    message.answers.insert(0, dns64::alias(&name, target));
                }
                message.metadata.authentic_data = false;
                message.queries.iter_mut().for_each(|question| question.name = name.clone());
                return Answer::forwarded(message, errors);
            }
        };
        let cap = u32::try_from(until.saturating_sub(now).as_secs()).unwrap_or(u32::MAX);
        let (made, withheld) = match &self.config.dns64 {
            Some(dns64) => dns64.synthesise(&mut message, cap),
            // It was turned off while the question was under way.
            None => return Answer::failure(&message.queries.first()?.name, RecordType::AAAA, errors),
        };
        self.counters.dns64_synthesised += u64::from(made > 0);
        self.counters.dns64_withheld += withheld;
        if made == 0 && withheld > 0 {
            // The denial of the AAAA question has the SOA that makes it one; that of the A question is none.
            if let Some(entry) = self.cache.get(&key(&asked.question, asked))
                && entry.answer.denial.is_some()
            {
                let age = u32::try_from(now.saturating_sub(entry.stored).as_secs()).unwrap_or(u32::MAX);
                message = entry.answer.message(|stored| Age::Seconds(age).ttl(stored))?;
                message.metadata.authentic_data = false;
            }
        }
        Answer::forwarded(message, errors)
    }
}
