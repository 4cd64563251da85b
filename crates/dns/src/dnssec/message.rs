//! A message as a validator reads it: record sets, their RDATA in canonical form, and the signatures beside them.
//!
//! The bytes of the wire are read once more here, beside the decoder that the rest of the crate uses: what was
//! signed is the octets, and a decoder that knows a type may not write it as it was.

use super::name::Name;
use super::rdata::{Rrsig, kind};

/// Records of a message that are looked at; one with more is not read (64 KiB hold about 5,000 of the smallest).
const MAX_RECORDS: usize = 2_000;
/// Octets of a header.
const HEADER: usize = 12;

/// One record set (RFC 2181 section 5) of one section.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RrSet {
    pub(crate) owner: Name,
    pub(crate) kind: u16,
    /// The lowest TTL of its records, in seconds.
    pub(crate) ttl: u32,
    /// Canonical RDATA (RFC 4034 section 6.2), in canonical order, none twice (section 6.3).
    pub(crate) data: Vec<Vec<u8>>,
    /// The signatures that cover it.
    pub(crate) signatures: Vec<Rrsig>,
    /// Its records' places among those of answer and authority section together, those of its signatures too.
    pub(crate) places: Vec<usize>,
}

/// Answer and authority section.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Sections {
    /// The response code without the extension of EDNS.
    pub(crate) code: u8,
    pub(crate) answers: Vec<RrSet>,
    pub(crate) authorities: Vec<RrSet>,
    /// Records of both together.
    pub(crate) records: usize,
}

impl Sections {
    /// Reads a response; nothing where it is malformed.
    pub(crate) fn read(message: &[u8]) -> Option<Self> {
        let count = |at: usize| Some(usize::from(u16::from_be_bytes(*message.get(at..)?.first_chunk()?)));
        let (questions, answers, authorities) = (count(4)?, count(6)?, count(8)?);
        if answers + authorities > MAX_RECORDS {
            return None;
        }
        let mut at = HEADER;
        for _ in 0..questions {
            at = Name::read(message, at)?.1 + 4;
        }
        let mut sections =
            Self { code: message.get(3)? & 0x0f, records: answers + authorities, ..Self::default() };
        let (mut sets, mut signatures) = (Sets::default(), Vec::new());
        for place in 0..sections.records {
            if place == answers {
                sections.answers = std::mem::take(&mut sets).signed(&mut signatures);
            }
            let (owner, end) = Name::read(message, at)?;
            let fixed: [u8; 10] = *message.get(end..)?.first_chunk()?;
            let [k, ind, c, lass, t0, t1, t2, t3, l, ength] = fixed;
            let (kind, class) = (u16::from_be_bytes([k, ind]), u16::from_be_bytes([c, lass]));
            let ttl = u32::from_be_bytes([t0, t1, t2, t3]);
            // RFC 2181 section 8: a TTL with the first bit set is zero.
            let ttl = if ttl > i32::MAX as u32 { 0 } else { ttl };
            let start = end + fixed.len();
            at = start + usize::from(u16::from_be_bytes([l, ength]));
            message.get(start..at)?;
            if class != 1 {
                continue;
            }
            if kind == kind::RRSIG {
                if let Some(signature) = Rrsig::read(message.get(start..at)?) {
                    signatures.push((owner, ttl, signature, place));
                }
                continue;
            }
            let data = canonical(message, start, at, kind)?;
            sets.add(owner, kind, ttl, data, place);
        }
        let last = sets.signed(&mut signatures);
        if sections.records == answers {
            sections.answers = last;
        } else {
            sections.authorities = last;
        }
        Some(sections)
    }

    pub(crate) fn answer(&self, owner: &Name, kind: u16) -> Option<&RrSet> {
        self.answers.iter().find(|set| set.kind == kind && set.owner == *owner)
    }

    /// Whether nothing in it is signed.
    pub(crate) fn is_unsigned(&self) -> bool {
        self.answers.iter().chain(&self.authorities).all(|set| set.signatures.is_empty())
    }
}

/// Record sets of one section, found by owner and type.
#[derive(Default)]
struct Sets {
    list: Vec<RrSet>,
    index: std::collections::HashMap<(Name, u16), usize>,
}

impl Sets {
    fn add(&mut self, owner: Name, kind: u16, ttl: u32, data: Vec<u8>, place: usize) {
        let at = *self.index.entry((owner.clone(), kind)).or_insert(self.list.len());
        if let Some(set) = self.list.get_mut(at) {
            set.ttl = set.ttl.min(ttl);
            set.data.push(data);
            set.places.push(place);
            return;
        }
        let (data, places) = (vec![data], vec![place]);
        self.list.push(RrSet { owner, kind, ttl, data, signatures: Vec::new(), places });
    }

    /// The sets with their signatures. One that covers nothing here has no meaning.
    fn signed(mut self, signatures: &mut Vec<(Name, u32, Rrsig, usize)>) -> Vec<RrSet> {
        for set in &mut self.list {
            set.data.sort_unstable();
            set.data.dedup();
        }
        for (owner, ttl, signature, place) in signatures.drain(..) {
            if let Some(at) = self.index.get(&(owner, signature.covered))
                && let Some(set) = self.list.get_mut(*at)
            {
                set.ttl = set.ttl.min(ttl);
                set.signatures.push(signature);
                set.places.push(place);
            }
        }
        self.list
    }
}

/// RDATA between `start` and `end` with the names in it expanded and in lower case, for the types of RFC 4034
/// section 6.2 as RFC 6840 section 5.1 corrects it: not NSEC.
fn canonical(message: &[u8], start: usize, end: usize, kind: u16) -> Option<Vec<u8>> {
    // Octets before the first name, names, and whether more octets follow.
    let (before, names) = match kind {
        // NS, MD, MF, CNAME, MB, MG, MR, PTR; DNAME.
        2 | 3 | 4 | 5 | 7 | 8 | 9 | 12 | 39 => (0, 1),
        // SOA; MINFO, RP.
        6 | 14 | 17 => (0, 2),
        // MX, AFSDB, RT, KX.
        15 | 18 | 21 | 36 => (2, 1),
        // PX.
        26 => (2, 2),
        // SRV.
        33 => (6, 1),
        35 => return naptr(message, start, end),
        _ => return Some(message.get(start..end)?.to_vec()),
    };
    names_after(message, start, start + before, end, names)
}

/// The octets from `start` to `at` as they are, then names, then the rest as it is.
fn names_after(message: &[u8], start: usize, mut at: usize, end: usize, names: usize) -> Option<Vec<u8>> {
    let mut data = message.get(start..at)?.to_vec();
    for _ in 0..names {
        let (name, next) = Name::read(message, at)?;
        data.extend_from_slice(name.octets());
        at = next;
    }
    // Nothing when a name went beyond the end.
    data.extend_from_slice(message.get(at..end)?);
    Some(data)
}

/// RFC 3403 section 4.1: two numbers, three texts, a name.
fn naptr(message: &[u8], start: usize, end: usize) -> Option<Vec<u8>> {
    let mut at = start + 4;
    for _ in 0..3 {
        at += 1 + usize::from(*message.get(at)?);
    }
    names_after(message, start, at, end, 1)
}
