//! An answer as it is kept: encoded once, sent many times.

use core::time::Duration;

use hickory_proto::op::{Message, OpCode, Query, ResponseCode};
use hickory_proto::rr::rdata::HINFO;
use hickory_proto::rr::rdata::opt::{EdnsCode, EdnsOption};
use hickory_proto::rr::{Name, RData, Record, RecordType};

use crate::Config;
use crate::names::Local;
use crate::question::HEADER;

/// RFC 8914: what an extended error says, and a few words for whoever reads it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ExtendedError {
    pub(crate) code: u16,
    pub(crate) text: String,
}

impl ExtendedError {
    /// RFC 8914 section 4.4.
    pub(crate) const STALE_ANSWER: u16 = 3;
    /// RFC 8914 section 4.14.
    pub(crate) const CACHED_ERROR: u16 = 13;
    /// RFC 8914 section 4.15.
    pub(crate) const NOT_READY: u16 = 14;
    /// RFC 8914 section 4.20.
    pub(crate) const STALE_NXDOMAIN: u16 = 19;
    /// RFC 8914 section 4.23.
    pub(crate) const NO_REACHABLE_AUTHORITY: u16 = 22;
    /// RFC 8914 section 4.24.
    pub(crate) const NETWORK_ERROR: u16 = 23;
    /// The number of the EDNS option (RFC 8914 section 2).
    pub(crate) const OPTION: u16 = 15;
    /// Octets of text that an upstream may have passed on.
    const MAX_TEXT: usize = 128;
    /// Errors of one upstream that are passed on.
    const MAX_PASSED: usize = 2;

    pub(crate) fn new(code: u16, text: &str) -> Self {
        Self { code, text: text.to_owned() }
    }

    /// What an upstream said.
    pub(crate) fn read(message: &Message) -> Vec<Self> {
        let Some(edns) = &message.edns else { return Vec::new() };
        let read = |(code, option): &(EdnsCode, EdnsOption)| {
            let (EdnsCode::Unknown(Self::OPTION), EdnsOption::Unknown(_, data)) = (code, option) else {
                return None;
            };
            let (code, text) = data.split_first_chunk::<2>()?;
            let text: String = String::from_utf8_lossy(text).chars().filter(|c| !c.is_control()).collect();
            let end = text.floor_char_boundary(Self::MAX_TEXT);
            Some(Self::new(u16::from_be_bytes(*code), &text[..end]))
        };
        edns.options().options.iter().filter_map(read).take(Self::MAX_PASSED).collect()
    }
}

/// Where a record's TTL stands, and the end of the sections that a reply cannot do without.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Layout {
    ttls: Box<[u16]>,
    end_of_question: usize,
    end_of_authority: usize,
}

/// An encoded answer without OPT. Its ID and flags mean nothing; its TTLs are those of the moment it was
/// stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Answer {
    wire: Box<[u8]>,
    layout: Layout,
    pub(crate) code: ResponseCode,
    pub(crate) authoritative: bool,
    pub(crate) authentic: bool,
    /// It stands for one that was bogus.
    pub(crate) bogus: bool,
    /// It has records of the type that was asked for.
    pub(crate) has_data: bool,
    /// Seconds that its SOA gave a denial when it was stored.
    pub(crate) denial: Option<u32>,
    pub(crate) errors: Vec<ExtendedError>,
}

impl Answer {
    /// Encodes a message whose TTLs are already right. Nothing when it does not fit 64 KiB.
    fn encode(message: &Message, authoritative: bool, errors: Vec<ExtendedError>) -> Option<Self> {
        let wire = message.to_vec().ok()?.into_boxed_slice();
        let layout = Layout::read(&wire)?;
        // The encoder sets TC when it ran out of room.
        if wire.get(2)? & 0x02 != 0 {
            return None;
        }
        let kind = message.queries.first().map(Query::query_type);
        let mut authorities = message.authorities.iter();
        Some(Self {
            has_data: message.answers.iter().any(|record| Some(record.record_type()) == kind),
            denial: authorities.find(|record| record.record_type() == RecordType::SOA).map(|soa| soa.ttl),
            wire,
            layout,
            code: message.metadata.response_code,
            authoritative,
            authentic: message.metadata.authentic_data,
            bogus: false,
            errors,
        })
    }

    fn with(name: &Name, kind: RecordType, code: ResponseCode) -> Message {
        let mut message = Message::response(0, OpCode::Query);
        message.metadata.response_code = code;
        message.queries.push(Query::query(name.clone(), kind));
        message
    }

    /// What [`Names`](crate::Names) said.
    pub(crate) fn local(name: &Name, kind: RecordType, local: Local) -> Option<Self> {
        let mut message = Self::with(name, kind, local.code);
        message.answers = local.answers;
        message.authorities.extend(local.authority);
        Self::encode(&message, true, Vec::new())
    }

    /// The small answer to ANY (RFC 8482 section 4.2).
    pub(crate) fn any(name: &Name) -> Option<Self> {
        let mut message = Self::with(name, RecordType::ANY, ResponseCode::NoError);
        let data = RData::HINFO(HINFO::new("RFC8482".to_owned(), String::new()));
        message.answers.push(Record::from_rdata(name.clone(), 3_789, data));
        Self::encode(&message, false, Vec::new())
    }

    /// No answer, and why.
    pub(crate) fn failure(name: &Name, kind: RecordType, errors: Vec<ExtendedError>) -> Option<Self> {
        Self::encode(&Self::with(name, kind, ResponseCode::ServFail), false, errors)
    }

    /// Not the answer that came, because it is bogus.
    pub(crate) fn bogus(name: &Name, kind: RecordType, errors: Vec<ExtendedError>) -> Option<Self> {
        Some(Self { bogus: true, ..Self::failure(name, kind, errors)? })
    }

    /// What [`finish`] made of an upstream's message, or DNS64 of several.
    pub(crate) fn forwarded(mut message: Message, errors: Vec<ExtendedError>) -> Option<Self> {
        message.edns = None;
        message.signature = None;
        Self::encode(&message, false, errors)
    }

    /// The message again, with each TTL as `ttl` makes it of the stored one, for DNS64 to make another of.
    pub(crate) fn message(&self, ttl: impl Fn(u32) -> u32) -> Option<Message> {
        Message::from_vec(&self.body(&[], ttl)).ok()
    }

    /// Whether DNS64 may look for A records (RFC 6147 sections 5.1.1 to 5.1.3): there is no such data, or an
    /// error that says nothing of the name.
    pub(crate) fn leaves_it_open(&self) -> bool {
        match self.code {
            ResponseCode::NoError => !self.has_data,
            // RFC 6147 section 5.5: nothing is made of what is bogus.
            code => code == ResponseCode::ServFail && !self.bogus,
        }
    }

    /// Octets that keeping it costs.
    pub(crate) fn octets(&self) -> usize {
        let errors: usize =
            self.errors.iter().map(|error| error.text.len() + size_of::<ExtendedError>()).sum();
        self.wire.len() + self.layout.ttls.len() * 2 + errors
    }

    /// Records and question with `question` in place of its own, and each TTL as `ttl` makes it of the stored
    /// one; with room for an OPT record behind.
    pub(crate) fn body(&self, question: &[u8], ttl: impl Fn(u32) -> u32) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.wire.len() + 64);
        bytes.extend_from_slice(&self.wire);
        if let Some(own) = bytes.get_mut(HEADER..self.layout.end_of_question)
            && own.len() == question.len()
        {
            own.copy_from_slice(question);
        }
        for at in &self.layout.ttls {
            let at = usize::from(*at);
            if let Some(field) = bytes.get_mut(at..).and_then(|rest| rest.first_chunk_mut::<4>()) {
                *field = ttl(u32::from_be_bytes(*field)).to_be_bytes();
            }
        }
        bytes
    }

    /// Where the question ends and where the authority section ends, in octets from the start.
    pub(crate) fn ends(&self) -> (usize, usize) {
        (self.layout.end_of_question, self.layout.end_of_authority)
    }
}

impl Layout {
    fn read(wire: &[u8]) -> Option<Self> {
        let count = |at: usize| Some(u16::from_be_bytes(*wire.get(at..)?.first_chunk::<2>()?));
        let (questions, answers, authorities, additionals) = (count(4)?, count(6)?, count(8)?, count(10)?);
        let mut at = HEADER;
        for _ in 0..questions {
            at = skip_name(wire, at)? + 4;
        }
        let end_of_question = at;
        let mut end_of_authority = at;
        let before_additionals = u32::from(answers) + u32::from(authorities);
        let mut ttls = Vec::new();
        for record in 0..before_additionals + u32::from(additionals) {
            let fixed = skip_name(wire, at)?;
            ttls.push(u16::try_from(fixed + 4).ok()?);
            at = fixed + 10 + usize::from(count(fixed + 8)?);
            if record < before_additionals {
                end_of_authority = at;
            }
        }
        (at <= wire.len()).then(|| Self { ttls: ttls.into(), end_of_question, end_of_authority })
    }
}

/// The offset just past the name at `at` (RFC 1035 section 4.1.4).
pub(crate) fn skip_name(wire: &[u8], mut at: usize) -> Option<usize> {
    loop {
        match *wire.get(at)? {
            0 => return Some(at + 1),
            pointer if pointer & 0xc0 == 0xc0 => return Some(at + 2),
            length => at += 1 + usize::from(length),
        }
    }
}

/// The one step that each upstream answer takes before it is stored or sent, after validation.
///
/// It takes away what the client did not ask for (RFC 4035 section 3.2.1), caps TTLs, limits a denial's
/// to what its SOA allows (RFC 2308 section 5), and drops an AD bit that nobody vouched for: `authentic` is
/// what our own validator says, where it was asked.
pub(crate) fn finish(
    message: Message,
    kind: RecordType,
    dnssec_ok: bool,
    authentic: Option<bool>,
    config: &Config,
) -> (Message, Duration) {
    let mut message = message.maybe_strip_dnssec_records(dnssec_ok);
    message.metadata.authentic_data =
        authentic.unwrap_or(message.metadata.authentic_data && config.trust_upstream_ad);
    let cap = u32::try_from(config.max_ttl.as_secs()).unwrap_or(u32::MAX);
    let sections = [&mut message.answers, &mut message.authorities, &mut message.additionals];
    for record in sections.into_iter().flatten() {
        record.ttl = record.ttl.min(cap);
    }
    let negative = message.metadata.response_code == ResponseCode::NXDomain
        || !message.answers.iter().any(|record| record.record_type() == kind);
    let mut lifetime = message.answers.iter().map(|record| record.ttl).min();
    if negative {
        let cap = u32::try_from(config.max_negative_ttl.as_secs()).unwrap_or(u32::MAX);
        let soa = message.authorities.iter().find_map(|record| match &record.data {
            RData::SOA(soa) => Some(record.ttl.min(soa.minimum).min(cap)),
            _ => None,
        });
        // Without SOA a denial is not kept (RFC 2308 section 5).
        lifetime = soa.map(|ttl| ttl.min(lifetime.unwrap_or(u32::MAX)));
        for record in message.authorities.iter_mut().filter(|_| soa.is_some()) {
            record.ttl = record.ttl.min(soa.unwrap_or(cap));
        }
    }
    (message, Duration::from_secs(u64::from(lifetime.unwrap_or(0))))
}
