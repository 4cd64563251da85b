//! Replies to clients.

use hickory_proto::op::ResponseCode;

use crate::answer::{Answer, ExtendedError};
use crate::question::{Asked, HEADER};
use crate::scan::OPT;
use crate::{Client, Config, Transport};

/// The UDP payload of a client that says nothing about it (RFC 1035 section 4.2.1).
pub(crate) const PLAIN_UDP: u16 = 512;

/// How an answer's TTLs are told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Age {
    /// This many seconds old.
    Seconds(u32),
    /// Past its end: told as this many seconds (RFC 8767 section 4 advises 30).
    Stale(u32),
}

impl Age {
    /// What is told of a TTL that was stored.
    pub(crate) fn ttl(self, stored: u32) -> u32 {
        match self {
            Self::Seconds(age) => stored.saturating_sub(age),
            Self::Stale(ttl) => ttl,
        }
    }
}

/// A reply, and whether it was cut.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) bytes: Vec<u8>,
    pub(crate) truncated: bool,
}

/// The reply that turns a query down.
pub(crate) fn refuse(asked: &Asked, code: ResponseCode, config: &Config) -> Vec<u8> {
    let mut bytes = vec![0; HEADER];
    bytes.extend_from_slice(&asked.question);
    if !asked.question.is_empty() {
        set_count(&mut bytes, 4, 1);
    }
    head(&mut bytes, asked, u16::from(code), false, false);
    if asked.edns.is_some() {
        add_additional(&mut bytes);
        push_opt(&mut bytes, asked, u16::from(code), &[], config);
    }
    bytes
}

/// The reply that gives `answer`, no larger than the client can take; `question` is spelled as the client did.
pub(crate) fn reply<P>(
    client: &Client<P>,
    asked: &Asked,
    question: &[u8],
    answer: &Answer,
    age: Age,
    extra: Option<&ExtendedError>,
    config: &Config,
) -> Reply {
    let mut errors: Vec<&ExtendedError> = extra.into_iter().chain(&answer.errors).collect();
    let opt = |errors: &[&ExtendedError]| if asked.edns.is_some() { opt_octets(errors) } else { 0 };
    let mut bytes = answer.body(question, |stored| age.ttl(stored));
    let code = u16::from(answer.code);
    // AD goes to those who understand it (RFC 6840 section 5.8).
    let authentic = answer.authentic && (asked.authentic_data || asked.dnssec_ok());
    head(&mut bytes, asked, code, answer.authoritative, authentic);

    let limit = limit(client, asked, config);
    let (end_of_question, authority) = answer.ends();
    let mut truncated = false;
    if bytes.len() + opt(&errors) > limit {
        // What is additional may go without a word (RFC 2181 section 9).
        bytes.truncate(authority);
        set_count(&mut bytes, 10, 0);
    }
    if bytes.len() + opt(&errors) > limit {
        truncated = true;
        cut(&mut bytes, end_of_question);
        if bytes.len() + opt(&errors) > limit {
            errors.clear();
        }
    }
    if asked.edns.is_some() {
        add_additional(&mut bytes);
        push_opt(&mut bytes, asked, code, &errors, config);
    }
    Reply { bytes, truncated }
}

/// Takes everything behind the question away, and says so (RFC 2181 section 9).
pub(crate) fn cut(bytes: &mut Vec<u8>, end_of_question: usize) {
    bytes.truncate(end_of_question);
    for at in [6, 8, 10] {
        set_count(bytes, at, 0);
    }
    if let Some(flags) = bytes.get_mut(2) {
        *flags |= 0x02;
    }
}

/// The largest message that this client can take.
fn limit<P>(client: &Client<P>, asked: &Asked, config: &Config) -> usize {
    match (client.transport, asked.edns) {
        (Transport::Tcp, _) => usize::from(u16::MAX),
        (Transport::Udp, None) => usize::from(PLAIN_UDP),
        (Transport::Udp, Some(edns)) => {
            // RFC 6891 section 6.2.3: less than 512 means 512.
            usize::from(edns.payload.min(client.udp_limit).min(config.udp_payload).max(PLAIN_UDP))
        }
    }
}

fn head(bytes: &mut [u8], asked: &Asked, code: u16, authoritative: bool, authentic: bool) {
    if let Some(header) = bytes.first_chunk_mut::<4>() {
        let [id_high, id_low] = asked.id.to_be_bytes();
        let bit = |set: bool, bit: u8| if set { bit } else { 0 };
        let flags = 0x80 | asked.opcode << 3 | bit(authoritative, 0x04) | bit(asked.recursion_desired, 0x01);
        // RA is always set: recursion is what is offered here.
        let more = 0x80 | bit(authentic, 0x20) | bit(asked.checking_disabled, 0x10) | (code & 0x0f) as u8;
        *header = [id_high, id_low, flags, more];
    }
}

/// Octets of the OPT record with these errors in it.
fn opt_octets(errors: &[&ExtendedError]) -> usize {
    OPT + errors.iter().map(|error| 6 + error.text.len()).sum::<usize>()
}

/// RFC 6891 section 6.1.
fn push_opt(bytes: &mut Vec<u8>, asked: &Asked, code: u16, errors: &[&ExtendedError], config: &Config) {
    bytes.extend_from_slice(&[0, 0, 41]);
    bytes.extend_from_slice(&config.udp_payload.max(PLAIN_UDP).to_be_bytes());
    bytes.extend_from_slice(&[(code >> 4) as u8, 0, if asked.dnssec_ok() { 0x80 } else { 0 }, 0]);
    // Texts are at most 128 octets, and errors a few.
    bytes.extend_from_slice(&((opt_octets(errors) - OPT) as u16).to_be_bytes());
    for error in errors {
        bytes.extend_from_slice(&ExtendedError::OPTION.to_be_bytes());
        bytes.extend_from_slice(&((error.text.len() + 2) as u16).to_be_bytes());
        bytes.extend_from_slice(&error.code.to_be_bytes());
        bytes.extend_from_slice(error.text.as_bytes());
    }
}

pub(crate) fn set_count(bytes: &mut [u8], at: usize, count: u16) {
    if let Some(field) = bytes.get_mut(at..).and_then(|rest| rest.first_chunk_mut::<2>()) {
        *field = count.to_be_bytes();
    }
}

pub(crate) fn add_additional(bytes: &mut [u8]) {
    if let Some(field) = bytes.get_mut(10..).and_then(|rest| rest.first_chunk_mut::<2>()) {
        *field = u16::from_be_bytes(*field).saturating_add(1).to_be_bytes();
    }
}
