//! Names and records as octets: written for the tests alone, so that what the crate reads was not written by it.

/// A name on the wire, in lower case.
pub(crate) type Name = Vec<u8>;

pub(crate) fn name(text: &str) -> Name {
    let mut octets = Vec::new();
    for label in text.trim_end_matches('.').split('.').filter(|label| !label.is_empty()) {
        octets.push(u8::try_from(label.len()).unwrap());
        octets.extend(label.to_ascii_lowercase().bytes());
    }
    octets.push(0);
    octets
}

pub(crate) fn labels(name: &[u8]) -> Vec<&[u8]> {
    let (mut rest, mut labels) = (name, Vec::new());
    while rest[0] != 0 {
        let (label, tail) = rest[1..].split_at(usize::from(rest[0]));
        labels.push(label);
        rest = tail;
    }
    labels
}

pub(crate) fn parent(name: &[u8]) -> Name {
    name[1 + usize::from(name[0])..].to_vec()
}

pub(crate) fn is_within(name: &[u8], zone: &[u8]) -> bool {
    let (own, other) = (labels(name), labels(zone));
    own.len() >= other.len() && own[own.len() - other.len()..] == other[..]
}

pub(crate) fn wildcard(name: &[u8]) -> Name {
    [b"\x01*", name].concat()
}

/// What RFC 4034 section 6.1 sorts by.
pub(crate) fn order(name: &[u8]) -> Vec<Vec<u8>> {
    labels(name).into_iter().rev().map(<[u8]>::to_vec).collect()
}

/// One record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Rr {
    pub(crate) owner: Name,
    pub(crate) kind: u16,
    pub(crate) ttl: u32,
    pub(crate) data: Vec<u8>,
}

pub(crate) const A: u16 = 1;
pub(crate) const NS: u16 = 2;
pub(crate) const CNAME: u16 = 5;
pub(crate) const SOA: u16 = 6;
pub(crate) const MX: u16 = 15;
pub(crate) const TXT: u16 = 16;
pub(crate) const AAAA: u16 = 28;
pub(crate) const DNAME: u16 = 39;
pub(crate) const DS: u16 = 43;
pub(crate) const RRSIG: u16 = 46;
pub(crate) const NSEC: u16 = 47;
pub(crate) const DNSKEY: u16 = 48;
pub(crate) const NSEC3: u16 = 50;

pub(crate) fn type_number(text: &str) -> u16 {
    match text {
        "A" => A,
        "AAAA" => AAAA,
        "MX" => MX,
        "TXT" => TXT,
        "DS" => DS,
        "DNSKEY" => DNSKEY,
        "CNAME" => CNAME,
        "SOA" => SOA,
        "NS" => NS,
        _ => panic!("{text}"),
    }
}

/// A bitmap of types (RFC 4034 section 4.1.2); all are below 256.
pub(crate) fn bitmap(kinds: &[u16]) -> Vec<u8> {
    let mut bits = [0_u8; 32];
    for kind in kinds {
        bits[usize::from(kind >> 3)] |= 0x80 >> (kind & 7);
    }
    let length = bits.iter().rposition(|octet| *octet != 0).map_or(0, |last| last + 1);
    if length == 0 { Vec::new() } else { [&[0, length as u8], &bits[..length]].concat() }
}

/// What a server says.
#[derive(Debug, Clone, Default)]
pub(crate) struct Reply {
    pub(crate) code: u8,
    pub(crate) answers: Vec<Rr>,
    pub(crate) authorities: Vec<Rr>,
}

impl Reply {
    /// A response without DNSSEC's records unless they were asked for, or cut if it does not fit `limit`.
    pub(crate) fn bytes(
        &self,
        id: u16,
        question: &[u8],
        dnssec_ok: bool,
        kind: u16,
        limit: usize,
    ) -> Vec<u8> {
        let wanted = |rr: &&Rr| dnssec_ok || rr.kind == kind || !matches!(rr.kind, RRSIG | NSEC | NSEC3);
        let write = |cut: bool| {
            let section = |list: &[Rr]| -> Vec<Rr> { list.iter().filter(wanted).cloned().collect() };
            let (answers, authorities) =
                if cut { Default::default() } else { (section(&self.answers), section(&self.authorities)) };
            let flags = 0x8180 | if cut { 0x0200 } else { 0 } | u16::from(self.code);
            let mut bytes = Vec::new();
            for number in [id, flags, 1, answers.len() as u16, authorities.len() as u16, 1] {
                bytes.extend_from_slice(&number.to_be_bytes());
            }
            bytes.extend_from_slice(question);
            for rr in answers.iter().chain(&authorities) {
                bytes.extend_from_slice(&rr.owner);
                bytes.extend_from_slice(&rr.kind.to_be_bytes());
                bytes.extend_from_slice(&[0, 1]);
                bytes.extend_from_slice(&rr.ttl.to_be_bytes());
                bytes.extend_from_slice(&(rr.data.len() as u16).to_be_bytes());
                bytes.extend_from_slice(&rr.data);
            }
            bytes.extend_from_slice(&[0, 0, 41, 0x10, 0, 0, 0, if dnssec_ok { 0x80 } else { 0 }, 0, 0, 0]);
            bytes
        };
        let full = write(false);
        if full.len() > limit { write(true) } else { full }
    }
}
