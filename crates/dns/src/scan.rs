//! A query as nearly all are, read in place: one question, at most an OPT record, nothing else. What is not like that is
//! left to [`question::read`](crate::question::read), which decodes whatever DNS has.

use crate::cookie;
use crate::question::{ClientEdns, HEADER};

/// Octets of a name at most (RFC 1035 section 2.3.4).
const MAX_NAME: usize = 255;
/// Octets of a question's type and class.
pub(crate) const TYPE_AND_CLASS: usize = 4;
/// Octets of an OPT record without options: root, type, class, TTL, length (RFC 6891 section 6.1.2).
pub(crate) const OPT: usize = 11;

/// A query that was read in place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Scan<'a> {
    pub(crate) id: u16,
    pub(crate) recursion_desired: bool,
    pub(crate) authentic_data: bool,
    pub(crate) checking_disabled: bool,
    /// The question section as the client spelled it.
    pub(crate) question: &'a [u8],
    pub(crate) edns: Option<ClientEdns>,
    /// Of the OPT record; whole options only.
    pub(crate) options: &'a [u8],
}

/// Reads a query; nothing where it is not of the plain kind.
pub(crate) fn scan(bytes: &[u8]) -> Option<Scan<'_>> {
    let (header, _) = bytes.split_first_chunk::<HEADER>()?;
    // A query (QR 0) with opcode 0, one question, no records but at most one at the end.
    let [id_high, id_low, flags, more_flags, 0, 1, 0, 0, 0, 0, 0, additionals @ (0 | 1)] = *header else {
        return None;
    };
    if flags & 0xf8 != 0 {
        return None;
    }
    let mut at = HEADER;
    loop {
        match *bytes.get(at)? {
            0 => break,
            // Neither a pointer nor a label of another kind (RFC 6891 section 5).
            length if length < 64 => at += 1 + usize::from(length),
            _ => return None,
        }
    }
    let end = at + 1 + TYPE_AND_CLASS;
    if at + 1 - HEADER > MAX_NAME {
        return None;
    }
    let (question, rest) = (bytes.get(HEADER..end)?, bytes.get(end..)?);
    let (edns, options) = if additionals == 0 { (None, rest) } else { opt(rest)? };
    // Nothing may follow.
    (edns.is_some() || options.is_empty()).then_some(Scan {
        id: u16::from_be_bytes([id_high, id_low]),
        recursion_desired: flags & 0x01 != 0,
        authentic_data: more_flags & 0x20 != 0,
        checking_disabled: more_flags & 0x10 != 0,
        question,
        edns,
        options,
    })
}

/// An OPT record of version 0 that ends the message, and its options.
fn opt(record: &[u8]) -> Option<(Option<ClientEdns>, &[u8])> {
    let (fixed, options) = record.split_first_chunk::<OPT>()?;
    let [0, 0, 41, high, low, _, 0, flags, _, length_high, length_low] = *fixed else { return None };
    if options.len() != usize::from(u16::from_be_bytes([length_high, length_low])) {
        return None;
    }
    let whole = Options(options).try_fold(0, |octets, (code, value)| {
        let fine = code != cookie::OPTION || cookie::is_well_formed(value);
        fine.then(|| octets + 4 + value.len())
    })?;
    let edns = ClientEdns { payload: u16::from_be_bytes([high, low]), dnssec_ok: flags & 0x80 != 0 };
    (whole == options.len()).then_some((Some(edns), options))
}

/// The options of an OPT record (RFC 6891 section 6.1.2), up to the first that is cut short.
#[derive(Debug)]
pub(crate) struct Options<'a>(pub(crate) &'a [u8]);

impl<'a> Iterator for Options<'a> {
    type Item = (u16, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let ([code_high, code_low, length_high, length_low], rest) = self.0.split_first_chunk::<4>()?;
        let length = u16::from_be_bytes([*length_high, *length_low]);
        let (value, rest) = rest.split_at_checked(length.into())?;
        self.0 = rest;
        Some((u16::from_be_bytes([*code_high, *code_low]), value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::question::{Query, read};
    use proptest::prelude::*;

    const QUERY: &[u8] = b"\x12\x34\x01\x10\0\x01\0\0\0\0\0\0\x07eXample\x03com\0\0\x1c\0\x01";
    const EDNS: &[u8] = b"\0\0\x29\x04\xd0\0\0\x80\0\0\x0c\0\x0a\0\x0812345678";

    fn with_edns() -> Vec<u8> {
        let mut bytes = [QUERY, EDNS].concat();
        bytes[11] = 1;
        bytes
    }

    /// Both readers say the same of what both take.
    fn agree(bytes: &[u8]) {
        let Some(scan) = scan(bytes) else { return };
        match read(bytes) {
            Query::Question { asked, .. } => {
                assert_eq!(asked.question, scan.question);
                assert_eq!((asked.id, asked.edns), (scan.id, scan.edns));
                assert_eq!(asked.recursion_desired, scan.recursion_desired);
                assert_eq!(asked.authentic_data, scan.authentic_data);
                assert_eq!(asked.checking_disabled, scan.checking_disabled);
            }
            // A class or a type that nothing is kept of, or an option whose inside is wrong.
            Query::Refuse { .. } => {}
            Query::Drop => panic!("taken here, dropped there: {bytes:?}"),
        }
    }

    #[test]
    fn plain_queries_are_read_in_place() {
        let plain = scan(QUERY).unwrap();
        assert_eq!(plain.question, &QUERY[12..]);
        assert_eq!((plain.id, plain.recursion_desired, plain.checking_disabled), (0x1234, true, true));
        assert_eq!(plain.edns, None);
        agree(QUERY);
        let bytes = with_edns();
        let edns = scan(&bytes).unwrap();
        assert_eq!(edns.edns, Some(ClientEdns { payload: 1232, dnssec_ok: true }));
        assert_eq!(Options(edns.options).collect::<Vec<_>>(), [(10, &b"12345678"[..])]);
        agree(&bytes);
    }

    #[test]
    fn what_is_not_plain_is_left_to_the_other_reader() {
        for (at, octet) in [(2, 0x81), (2, 0x09), (5, 2), (7, 1), (9, 1), (11, 1), (12, 0xc0), (12, 0x41)] {
            let mut bytes = QUERY.to_vec();
            bytes[at] = octet;
            assert_eq!(scan(&bytes), None, "octet {at} is {octet:#x}");
        }
        let edns = with_edns();
        for (at, octet) in [(29, 1), (31, 40), (35, 1), (39, 2), (39, 13), (43, 9), (43, 7)] {
            let mut bytes = edns.clone();
            bytes[at] = octet;
            assert_eq!(scan(&bytes), None, "octet {at} is {octet:#x}");
        }
        for bytes in [QUERY, &edns] {
            assert!((0..bytes.len()).all(|length| scan(&bytes[..length]).is_none()));
            assert_eq!(scan(&[bytes, b"x"].concat()), None, "something follows");
        }
        let long = [&QUERY[..12], &b"\x3f".repeat(64 * 4), b"\0\0\x1c\0\x01"].concat();
        assert_eq!(scan(&long), None, "a name of 257 octets");
    }

    proptest! {
        #[test]
        fn the_two_readers_agree(at in 0_usize..56, octet: u8, edns: bool) {
            let mut bytes = if edns { with_edns() } else { QUERY.to_vec() };
            if let Some(place) = bytes.get_mut(at) {
                *place = octet;
            }
            agree(&bytes);
        }
    }
}
