//! What a message that passed by says, for whoever watches how clients use names. It is read on the way, so it is
//! read by hand and no further than that takes; messages are not judged here.

use std::fmt::Write as _;
use std::net::IpAddr;

use crate::question::HEADER;

/// Longest encoded name (RFC 1035 section 2.3.4).
const MAX_NAME: usize = 255;
/// Addresses of one reply that are kept.
const MAX_ADDRESSES: usize = 16;
/// The bits of a reply's code in the fourth octet: all zero is NOERROR (RFC 1035 section 4.1.1).
const CODE: u8 = 0x0f;
/// The class of the Internet.
const IN: u16 = 1;
/// Type of a record that holds an IPv4 address.
const A: u16 = 1;
/// Type of one that holds an IPv6 address.
const AAAA: u16 = 28;

/// A question, or a reply to one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    /// Whether it is a reply.
    pub reply: bool,
    /// Whether the reply says that the name exists, with or without data (NOERROR).
    pub exists: bool,
    /// The name that was asked for, in small letters, without a final dot; `.` for the root.
    pub name: String,
    /// The type of what was asked for, as its number.
    pub kind: u16,
    /// The addresses in the answer section, at most sixteen.
    pub addresses: Vec<IpAddr>,
}

impl Told {
    /// Whether an IPv4 address was asked for.
    pub fn asks_ipv4(&self) -> bool {
        self.kind == A
    }

    /// Whether an IPv6 address was asked for.
    pub fn asks_ipv6(&self) -> bool {
        self.kind == AAAA
    }
}

/// Reads a query or a reply with one question of class IN; `None` for everything else.
pub fn told(bytes: &[u8]) -> Option<Told> {
    let header: &[u8; HEADER] = bytes.first_chunk()?;
    let number = |at: usize| Some(u16::from_be_bytes(*header.get(at..)?.first_chunk()?));
    // One question, and a standard query.
    if number(4)? != 1 || header[2] & 0x78 != 0 {
        return None;
    }
    let (name, rest) = name(bytes.get(HEADER..)?)?;
    let (&[k0, k1, c0, c1], mut rest) = rest.split_first_chunk::<4>()?;
    if u16::from_be_bytes([c0, c1]) != IN {
        return None;
    }
    let reply = header[2] & 0x80 != 0;
    let mut addresses = Vec::new();
    let answers = if reply { number(6)? } else { 0 };
    for _ in 0..answers {
        // What is cut off or wrong ends it: what was read before stands.
        let Some((address, after)) = record(rest) else { break };
        rest = after;
        addresses.extend(address.filter(|_| addresses.len() < MAX_ADDRESSES));
    }
    Some(Told {
        reply,
        exists: reply && header[3] & CODE == 0,
        name,
        kind: u16::from_be_bytes([k0, k1]),
        addresses,
    })
}

/// A name without compression: that of the question is the first in its message.
fn name(bytes: &[u8]) -> Option<(String, &[u8])> {
    let mut text = String::new();
    let mut rest = bytes;
    loop {
        let (&length, after) = rest.split_first()?;
        if length == 0 {
            if text.is_empty() {
                text.push('.');
            }
            return Some((text, after));
        }
        let (label, after) = after.split_at_checked(usize::from(length))?;
        if length > 63 || bytes.len() - after.len() >= MAX_NAME {
            return None;
        }
        if !text.is_empty() {
            text.push('.');
        }
        for octet in label {
            if octet.is_ascii_alphanumeric() || b"-_".contains(octet) {
                text.push(char::from(octet.to_ascii_lowercase()));
            } else {
                let _ = write!(text, "\\{octet:03}");
            }
        }
        rest = after;
    }
}

/// A record's address, if it has one, and what follows it.
fn record(bytes: &[u8]) -> Option<(Option<IpAddr>, &[u8])> {
    let mut rest = bytes;
    loop {
        let (&length, after) = rest.split_first()?;
        // A pointer is two octets and ends the name (RFC 1035 section 4.1.4).
        rest = match length {
            0 => after,
            0xc0.. => after.get(1..)?,
            1..=63 => {
                rest = after.get(usize::from(length)..)?;
                continue;
            }
            _ => return None,
        };
        break;
    }
    let (&[k0, k1, c0, c1, _, _, _, _, l0, l1], rest) = rest.split_first_chunk::<10>()?;
    let (data, rest) = rest.split_at_checked(usize::from(u16::from_be_bytes([l0, l1])))?;
    let address = match (u16::from_be_bytes([k0, k1]), u16::from_be_bytes([c0, c1])) {
        (A, IN) => <[u8; 4]>::try_from(data).ok().map(IpAddr::from),
        (AAAA, IN) => <[u8; 16]>::try_from(data).ok().map(IpAddr::from),
        _ => None,
    };
    Some((address, rest))
}

#[cfg(test)]
mod tests {
    use super::*;
    use hickory_proto::op::{Message, MessageType, OpCode, Query, ResponseCode};
    use hickory_proto::rr::rdata::{A as DataA, AAAA as DataAaaa, CNAME};
    use hickory_proto::rr::{Name, RData, Record, RecordType};
    use std::str::FromStr as _;

    fn message(name: &str, kind: RecordType, answers: &[RData]) -> Vec<u8> {
        let name = Name::from_str(name).unwrap();
        let mut message = Message::new(7, MessageType::Response, OpCode::Query);
        message.queries.push(Query::query(name.clone(), kind));
        for data in answers {
            message.answers.push(Record::from_rdata(name.clone(), 60, data.clone()));
        }
        message.to_vec().unwrap()
    }

    #[test]
    fn it_reads_what_the_library_writes() {
        let v4 = RData::A(DataA::new(198, 51, 100, 10));
        let v6 = RData::AAAA(DataAaaa::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1));
        let alias = RData::CNAME(CNAME(Name::from_str("other.example.").unwrap()));
        let read = told(&message("WWW.Example.", RecordType::A, &[alias.clone(), v4])).unwrap();
        assert!(read.reply && read.exists && read.asks_ipv4());
        assert_eq!((read.name.as_str(), read.addresses.len()), ("www.example", 1));
        assert_eq!(read.addresses[0].to_string(), "198.51.100.10");
        let read = told(&message("www.example.", RecordType::AAAA, &[alias, v6])).unwrap();
        assert!(read.asks_ipv6());
        assert_eq!(read.addresses[0].to_string(), "2001:db8::1");
        let mut none = message("www.example.", RecordType::AAAA, &[]);
        assert!(told(&none).unwrap().addresses.is_empty());
        none[3] |= u16::from(ResponseCode::NXDomain) as u8;
        assert!(!told(&none).unwrap().exists);
        none[2] &= 0x7f;
        let asked = told(&none).unwrap();
        assert!(!asked.reply && !asked.exists);
        let many: Vec<RData> = (0..100).map(|n| RData::A(DataA::new(192, 0, 2, n))).collect();
        let read = told(&message("many.example.", RecordType::A, &many)).unwrap();
        assert_eq!(read.addresses.len(), MAX_ADDRESSES);
        assert_eq!(told(&message(".", RecordType::SVCB, &[])).unwrap().name, ".");
    }

    #[test]
    fn any_cut_is_survived() {
        let v4 = RData::A(DataA::new(198, 51, 100, 10));
        let whole = message("a-long-name.with.labels.example.", RecordType::A, &[v4.clone(), v4]);
        for length in 0..whole.len() {
            if let Some(read) = told(&whole[..length]) {
                assert!(read.addresses.len() < 2);
            }
        }
        for at in 0..whole.len() {
            for value in [0, 0x3f, 0x40, 0xc0, 0xff] {
                let mut bent = whole.clone();
                bent[at] = value;
                let _ = told(&bent);
            }
        }
    }
}
