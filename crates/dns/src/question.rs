//! A client's query, read.

use hickory_proto::op::{Message, ResponseCode};
use hickory_proto::rr::rdata::opt::{EdnsCode, EdnsOption};
use hickory_proto::rr::{DNSClass, Name, RecordType};

use crate::cookie;

/// Octets of a header (RFC 1035 section 4.1.1).
pub(crate) const HEADER: usize = 12;

/// What EDNS said (RFC 6891 section 6.1.3, RFC 3225).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ClientEdns {
    pub(crate) payload: u16,
    pub(crate) dnssec_ok: bool,
}

/// What of a query its reply needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Asked {
    pub(crate) id: u16,
    pub(crate) opcode: u8,
    pub(crate) recursion_desired: bool,
    pub(crate) authentic_data: bool,
    pub(crate) checking_disabled: bool,
    pub(crate) edns: Option<ClientEdns>,
    /// The question section as the client spelled it, without compression; empty when it could not be read.
    pub(crate) question: Vec<u8>,
}

impl Asked {
    pub(crate) fn dnssec_ok(&self) -> bool {
        self.edns.is_some_and(|edns| edns.dnssec_ok)
    }
}

/// What becomes of a client's message.
#[derive(Debug)]
pub(crate) enum Query {
    /// A question to answer.
    Question { asked: Asked, name: Name, kind: RecordType },
    /// One to turn down at once.
    Refuse { asked: Asked, code: ResponseCode },
    /// Not worth a reply, or dangerous to reply to: two servers that answer each other's answers never stop.
    Drop,
}

/// Reads a client's message. The header is read by hand, so that what cannot be decoded still gets FORMERR.
pub(crate) fn read(bytes: &[u8]) -> Query {
    let Some(&[id_high, id_low, flags, more_flags, count_high, count_low, ..]) =
        bytes.first_chunk::<HEADER>()
    else {
        return Query::Drop;
    };
    if flags & 0x80 != 0 {
        return Query::Drop;
    }
    let mut asked = Asked {
        id: u16::from_be_bytes([id_high, id_low]),
        opcode: flags >> 3 & 0x0f,
        recursion_desired: flags & 0x01 != 0,
        authentic_data: more_flags & 0x20 != 0,
        checking_disabled: more_flags & 0x10 != 0,
        edns: None,
        question: Vec::new(),
    };
    if asked.opcode != 0 {
        return Query::Refuse { asked, code: ResponseCode::NotImp };
    }
    // One question, as RFC 9619 section 4 has it.
    if u16::from_be_bytes([count_high, count_low]) != 1 {
        return Query::Refuse { asked, code: ResponseCode::FormErr };
    }
    let Ok(mut message) = Message::from_vec(bytes) else {
        return Query::Refuse { asked, code: ResponseCode::FormErr };
    };
    let Some(question) = message.queries.pop() else {
        return Query::Refuse { asked, code: ResponseCode::FormErr };
    };
    asked.question = spell(&question.name, question.query_type, question.query_class);
    if let Some(edns) = &message.edns {
        asked.edns = Some(ClientEdns { payload: edns.max_payload(), dnssec_ok: edns.flags().dnssec_ok });
        if edns.version() != 0 {
            return Query::Refuse { asked, code: ResponseCode::BADVERS };
        }
        // RFC 7873 section 5.2.2.
        let malformed = |(code, option): &(EdnsCode, EdnsOption)| match option {
            EdnsOption::Unknown(_, value) => {
                u16::from(*code) == cookie::OPTION && !cookie::is_well_formed(value)
            }
            _ => false,
        };
        if edns.options().options.iter().any(malformed) {
            return Query::Refuse { asked, code: ResponseCode::FormErr };
        }
    }
    let code = match (question.query_class, question.query_type) {
        (_, RecordType::ZERO) => ResponseCode::FormErr,
        (DNSClass::IN, kind) if !is_meta(kind) => {
            return Query::Question { asked, name: question.name, kind };
        }
        _ => ResponseCode::Refused,
    };
    Query::Refuse { asked, code }
}

/// Types that are no data: transfers, and what only makes sense between two ends (RFC 6895 section 3.1); ANY
/// is not among them.
fn is_meta(kind: RecordType) -> bool {
    let number = u16::from(kind);
    kind == RecordType::OPT || (128..=254).contains(&number)
}

/// A question section of one question, without compression.
pub(crate) fn spell(name: &Name, kind: RecordType, class: DNSClass) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(name.len() + 5);
    for label in name {
        // A decoded label has at most 63 octets.
        bytes.push(label.len() as u8);
        bytes.extend_from_slice(label);
    }
    bytes.push(0);
    bytes.extend_from_slice(&u16::from(kind).to_be_bytes());
    bytes.extend_from_slice(&u16::from(class).to_be_bytes());
    bytes
}
