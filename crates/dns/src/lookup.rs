//! One question under way, and the table of them.

use core::time::Duration;
use sixgate_endpoint::Endpoint;
use std::collections::{BTreeMap, BTreeSet, HashMap};

use hickory_proto::op::{Edns, Message, MessageType, OpCode, Query};
use hickory_proto::rr::{DNSClass, Name, RecordType};

use crate::answer::ExtendedError;
use crate::dnssec::{self, Fault, Judgement};
use crate::question::{self, Asked};
use crate::{Client, Token, Transport};

/// A client that waits.
#[derive(Debug)]
pub(crate) struct Waiter<P> {
    pub(crate) client: Client<P>,
    pub(crate) asked: Asked,
    /// By then it has its answer.
    pub(crate) deadline: Duration,
    /// The cache could not answer it: it is counted once, however many questions its own takes.
    pub(crate) missed: bool,
    /// It waits for the answer to another question, of which its own is made.
    pub(crate) rewrite: Option<Rewrite>,
}

impl<P: PartialEq> Waiter<P> {
    /// Whether another is the same query sent again.
    pub(crate) fn is_repeated_by(&self, other: &Self) -> bool {
        self.client == other.client
            && self.asked.id == other.asked.id
            && self.asked.question == other.asked.question
    }
}

/// What DNS64 makes of an answer.
#[derive(Debug, Clone)]
pub(crate) enum Rewrite {
    /// AAAA records of its A records (RFC 6147 section 5.1.7), none to be kept for longer than until then.
    Addresses(Duration),
    /// The answer for this name of the NAT64's prefix (RFC 6147 section 5.3.1).
    Pointer(Name),
}

/// One query sent to an upstream.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Attempt {
    pub(crate) token: Token,
    pub(crate) upstream: Endpoint,
    pub(crate) transport: Transport,
    pub(crate) id: u16,
    pub(crate) sent: Duration,
    pub(crate) edns: bool,
    /// Its time is over; its answer still counts if it comes.
    pub(crate) overdue: bool,
}

/// What clients want to know.
#[derive(Debug, Clone)]
pub(crate) struct Subject {
    pub(crate) name: Name,
    pub(crate) kind: RecordType,
    pub(crate) dnssec_ok: bool,
    pub(crate) checking_disabled: bool,
    /// Its key in the cache and in the table of lookups.
    pub(crate) key: Box<[u8]>,
}

impl Subject {
    /// What the client asked.
    pub(crate) fn new(name: Name, kind: RecordType, asked: &Asked) -> Self {
        Self {
            name,
            kind,
            dnssec_ok: asked.dnssec_ok(),
            checking_disabled: asked.checking_disabled,
            key: key(&asked.question, asked),
        }
    }

    /// Another question that the answer to what the client asked takes.
    pub(crate) fn other(name: Name, kind: RecordType, asked: &Asked) -> Self {
        let question = question::spell(&name, kind, DNSClass::IN);
        Self { key: key(&question, asked), ..Self::new(name, kind, asked) }
    }

    /// A question that a validator has, as a validating client would ask it.
    pub(crate) fn chain(name: Name, kind: RecordType) -> Self {
        let question = question::spell(&name, kind, DNSClass::IN);
        Self { name, kind, dnssec_ok: true, checking_disabled: true, key: keyed(&question, true, true) }
    }

    /// The query that asks an upstream for it.
    pub(crate) fn query(&self, id: u16, edns: bool, payload: u16, validates: bool) -> Option<Vec<u8>> {
        let mut message = Message::new(id, MessageType::Query, OpCode::Query);
        message.metadata.recursion_desired = true;
        // "Tell me whether it is authentic" (RFC 6840 section 5.7).
        message.metadata.authentic_data = true;
        // Who validates wants to see what is bogus, and why (RFC 4035 section 3.2.2, RFC 6840 section 5.9).
        message.metadata.checking_disabled = self.checking_disabled || validates;
        message.queries.push(Query::query(self.name.clone(), self.kind));
        if edns {
            let mut opt = Edns::new();
            opt.set_max_payload(payload).set_dnssec_ok(self.dnssec_ok || validates).set_version(0);
            message.edns = Some(opt);
        }
        message.to_vec().ok()
    }

    /// Whether an answer repeats this question.
    pub(crate) fn is_repeated_by(&self, message: &Message) -> bool {
        match message.queries.as_slice() {
            [query] => {
                query.query_type == self.kind && query.query_class == DNSClass::IN && query.name == self.name
            }
            _ => false,
        }
    }
}

/// The key of a question: `question` is its section, as somebody spelled it.
pub(crate) fn key(question: &[u8], asked: &Asked) -> Box<[u8]> {
    keyed(question, asked.dnssec_ok(), asked.checking_disabled)
}

fn keyed(question: &[u8], dnssec_ok: bool, checking_disabled: bool) -> Box<[u8]> {
    // Length octets are below 64 and so are no letters. DO and CD get different answers (RFC 4035 section
    // 4.6).
    let mut key = question.to_ascii_lowercase();
    key.push(u8::from(dnssec_ok) | u8::from(checking_disabled) << 1);
    // Type and class must not change case; they stand at the end.
    let tail = question.len().saturating_sub(4);
    if let (Some(to), Some(from)) = (key.get_mut(tail..tail + 4), question.get(tail..)) {
        to.copy_from_slice(from);
    }
    key.into()
}

/// One question under way.
#[derive(Debug)]
pub(crate) struct Lookup<P> {
    pub(crate) subject: Subject,
    pub(crate) waiters: Vec<Waiter<P>>,
    pub(crate) attempts: Vec<Attempt>,
    /// Queries sent so far.
    pub(crate) sent: u32,
    /// Upstreams asked in this round.
    pub(crate) tried: Vec<Endpoint>,
    /// Rounds over all upstreams before this one.
    pub(crate) round: u32,
    pub(crate) deadline: Duration,
    pub(crate) retry_at: Duration,
    /// When waiting clients get a stale answer instead (RFC 8767 section 5, the client response timer).
    pub(crate) stale_at: Duration,
    /// What upstreams said against it.
    pub(crate) errors: Vec<ExtendedError>,
    /// An upstream answered, if only that it cannot.
    pub(crate) heard: bool,
    /// Upstreams whose sockets failed or that answered with an error; asked once only.
    pub(crate) given_up: Vec<Endpoint>,
    /// Of whose room it takes: [`Client::share`] of the client that asked first.
    pub(crate) share: u32,
    /// Its answer is there and is being judged.
    pub(crate) judged: Option<Box<Judged>>,
    /// Why the answers that came so far are bogus; others are asked.
    pub(crate) fault: Option<Fault>,
    /// Lookups whose answers are judged with this one's: their keys.
    pub(crate) dependants: Vec<Box<[u8]>>,
    /// The time under which the table has it.
    due: Duration,
}

/// An answer that waits for the judgement on it.
#[derive(Debug)]
pub(crate) struct Judged {
    pub(crate) upstream: Endpoint,
    pub(crate) judgement: Judgement,
    /// What it waits for.
    pub(crate) needs: Option<(dnssec::Name, u16)>,
}

impl<P> Lookup<P> {
    pub(crate) fn new(subject: Subject, share: u32, deadline: Duration, stale_at: Duration) -> Self {
        Self {
            subject,
            waiters: Vec::new(),
            attempts: Vec::new(),
            sent: 0,
            tried: Vec::new(),
            round: 0,
            deadline,
            retry_at: Duration::MAX,
            stale_at,
            errors: Vec::new(),
            heard: false,
            given_up: Vec::new(),
            share,
            judged: None,
            fault: None,
            dependants: Vec::new(),
            due: Duration::MAX,
        }
    }
}

/// All questions under way. One is taken out to be worked on, and put back or not.
#[derive(Debug)]
pub(crate) struct Lookups<P> {
    table: HashMap<Box<[u8]>, Lookup<P>>,
    tokens: HashMap<Token, Box<[u8]>>,
    schedule: BTreeSet<(Duration, Box<[u8]>)>,
    /// How many each share has; a share that has none is not in it.
    shares: BTreeMap<u32, usize>,
}

impl<P> Default for Lookups<P> {
    fn default() -> Self {
        Self {
            table: HashMap::new(),
            tokens: HashMap::new(),
            schedule: BTreeSet::new(),
            shares: BTreeMap::new(),
        }
    }
}

impl<P> Lookups<P> {
    pub(crate) fn len(&self) -> usize {
        self.table.len()
    }

    /// How many a share has under way.
    pub(crate) fn len_of(&self, share: u32) -> usize {
        self.shares.get(&share).copied().unwrap_or(0)
    }

    /// The one for this question, to add a waiter to.
    pub(crate) fn get_mut(&mut self, key: &[u8]) -> Option<&mut Lookup<P>> {
        self.table.get_mut(key)
    }

    pub(crate) fn contains(&self, key: &[u8]) -> bool {
        self.table.contains_key(key)
    }

    pub(crate) fn take(&mut self, key: &[u8]) -> Option<Lookup<P>> {
        let lookup = self.table.remove(key)?;
        self.schedule.remove(&(lookup.due, lookup.subject.key.clone()));
        for attempt in &lookup.attempts {
            self.tokens.remove(&attempt.token);
        }
        if let Some(count) = self.shares.get_mut(&lookup.share) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                self.shares.remove(&lookup.share);
            }
        }
        Some(lookup)
    }

    pub(crate) fn take_token(&mut self, token: Token) -> Option<Lookup<P>> {
        let key = self.tokens.get(&token)?.clone();
        self.take(&key)
    }

    /// The first whose time has come.
    pub(crate) fn take_due(&mut self, now: Duration) -> Option<Lookup<P>> {
        let (due, key) = self.schedule.first()?;
        if *due > now {
            return None;
        }
        let key = key.clone();
        self.take(&key)
    }

    pub(crate) fn put(&mut self, mut lookup: Lookup<P>) {
        lookup.due = lookup.deadline.min(lookup.retry_at).min(lookup.stale_at);
        let key = &lookup.subject.key;
        for attempt in &lookup.attempts {
            self.tokens.insert(attempt.token, key.clone());
        }
        *self.shares.entry(lookup.share).or_default() += 1;
        self.schedule.insert((lookup.due, key.clone()));
        self.table.insert(key.clone(), lookup);
    }

    pub(crate) fn next_due(&self) -> Option<Duration> {
        self.schedule.first().map(|(due, _)| *due)
    }
}
