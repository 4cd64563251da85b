//! Domain names as DHCPv6 (RFC 9915 section 10) and DNSSL (RFC 8106) carry them: RFC 1035 labels, uncompressed.

use std::fmt::Write as _;

/// Longest encoded name, in octets (RFC 1035 section 2.3.4).
const MAX_NAME: usize = 255;

/// A list of domain names as it stands in an option. Iterating yields each name as text without the final dot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DomainNames<'a> {
    bytes: &'a [u8],
}

impl<'a> DomainNames<'a> {
    /// Views `bytes` as a list of names. Names are decoded while iterating; the list ends at the first that is not
    /// well-formed.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { bytes }
    }

    /// The octets as they stood in the option.
    pub fn as_bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// The names, one after the other.
    pub fn iter(&self) -> Iter<'a> {
        Iter { rest: self.bytes }
    }
}

impl<'a> IntoIterator for &DomainNames<'a> {
    type Item = String;
    type IntoIter = Iter<'a>;
    fn into_iter(self) -> Iter<'a> {
        self.iter()
    }
}

/// Iterator over the names of a [`DomainNames`].
#[derive(Debug, Clone)]
pub struct Iter<'a> {
    rest: &'a [u8],
}

impl Iterator for Iter<'_> {
    type Item = String;

    fn next(&mut self) -> Option<String> {
        // DNSSL pads with empty names (RFC 8106 section 5.2): an empty name ends the list.
        let (name, rest) = decode(self.rest)?;
        self.rest = rest;
        (!name.is_empty()).then_some(name)
    }
}

/// Decodes one name; `None` where it is not well-formed. A name may also end with the option instead of with the
/// root label: RFC 4704 section 4.2 sends partial names that way.
fn decode(bytes: &[u8]) -> Option<(String, &[u8])> {
    let mut name = String::new();
    let mut rest = bytes;
    loop {
        if rest.is_empty() {
            return (!name.is_empty()).then_some((name, rest));
        }
        let (&length, after) = rest.split_first()?;
        if length == 0 {
            return Some((name, after));
        }
        // Room for the root label has to be left.
        if length > 63 || bytes.len() - after.len() + usize::from(length) >= MAX_NAME {
            return None;
        }
        let (label, after) = after.split_at_checked(usize::from(length))?;
        if !name.is_empty() {
            name.push('.');
        }
        for &octet in label {
            // Anything that could be mistaken for structure is written as RFC 1035 section 5.1 escapes it.
            if octet.is_ascii_alphanumeric() || octet == b'-' || octet == b'_' {
                name.push(char::from(octet));
            } else {
                let _ = write!(name, "\\{octet:03}");
            }
        }
        rest = after;
    }
}

/// Appends `name` (text, with or without a final dot) in wire form; escapes are read as [`DomainNames`] writes them
/// (RFC 1035 section 5.1). `false`, and nothing appended, where a label is empty or longer than 63 octets, the name is
/// longer than 255, or an escape is none.
pub fn encode(name: &str, out: &mut Vec<u8>) -> bool {
    let start = out.len();
    let written = encode_into(name, out).is_some() && out.len() - start <= MAX_NAME;
    if !written {
        out.truncate(start);
    }
    written
}

fn encode_into(name: &str, out: &mut Vec<u8>) -> Option<()> {
    let mut octets = name.bytes();
    let mut length_at = out.len();
    out.push(0);
    let mut pending = false;
    while let Some(octet) = octets.next() {
        match octet {
            b'.' if name == "." => return Some(()),
            b'.' => {
                close_label(out, length_at)?;
                length_at = out.len();
                out.push(0);
                pending = false;
                continue;
            }
            b'\\' => out.push(escaped(&mut octets)?),
            _ => out.push(octet),
        }
        pending = true;
    }
    if pending {
        close_label(out, length_at)?;
        out.push(0);
    }
    // Otherwise the last length that was begun is the root label.
    Some(())
}

/// Fills in the length of the label that began at `length_at`.
fn close_label(out: &mut [u8], length_at: usize) -> Option<()> {
    let length = u8::try_from(out.len() - length_at - 1).ok().filter(|length| (1..=63).contains(length))?;
    *out.get_mut(length_at)? = length;
    Some(())
}

/// What follows a backslash: three decimal digits, or the octet itself.
fn escaped(octets: &mut std::str::Bytes<'_>) -> Option<u8> {
    let first = octets.next()?;
    if !first.is_ascii_digit() {
        return Some(first);
    }
    [first, octets.next()?, octets.next()?].iter().try_fold(0_u8, |value, digit| {
        let digit = digit.is_ascii_digit().then(|| digit - b'0')?;
        value.checked_mul(10)?.checked_add(digit)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decoded(bytes: &[u8]) -> Vec<String> {
        DomainNames::new(bytes).iter().collect()
    }

    #[test]
    fn names_are_read() {
        for (bytes, names) in [
            (&b""[..], &[][..]),
            (b"\0", &[]),
            (b"\x04home\x04arpa\0", &["home.arpa"]),
            (b"\x01a\0\x01b\x01c\0", &["a", "b.c"]),
            // DNSSL's padding.
            (b"\x01a\0\0\0\0", &["a"]),
            // A partial name, as Client FQDN has it.
            (b"\x02pc", &["pc"]),
            // A dot, a space, a backslash and a zero inside of labels.
            (b"\x05a.b c\x02\\\0\0", &["a\\046b\\032c.\\092\\000"]),
            // What is not well-formed ends the list: an overrun, a compression pointer, a length beyond 63.
            (b"\x01a\0\x05b", &["a"]),
            (b"\x01a\0\xc0\x00", &["a"]),
            (b"\x40aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\0", &[]),
        ] {
            assert_eq!(decoded(bytes), names, "{bytes:?}");
        }
    }

    #[test]
    fn names_are_written() {
        for (name, bytes) in [
            ("home.arpa", Some(&b"\x04home\x04arpa\0"[..])),
            ("home.arpa.", Some(b"\x04home\x04arpa\0")),
            ("", Some(b"\0")),
            (".", Some(b"\0")),
            ("a\\046b.\\.", Some(b"\x03a.b\x01.\0")),
            (".a", None),
            ("a..b", None),
            ("..", None),
            ("a\\", None),
            ("a\\25", None),
            ("a\\256", None),
            ("a\\2x5", None),
        ] {
            let mut out = vec![9];
            let written = encode(name, &mut out);
            assert_eq!(written.then_some(&out[1..]), bytes, "{name}");
            assert_eq!(out[0], 9);
            assert!(written || out.len() == 1, "nothing appended: {name}");
        }
    }

    #[test]
    fn lengths_are_bounded() {
        let label = "a".repeat(63);
        let mut out = Vec::new();
        assert!(encode(&label, &mut out));
        assert!(!encode(&format!("{label}a"), &mut Vec::new()));
        // 3 * 64 + 62 + 1 = 255.
        let longest = format!("{label}.{label}.{label}.{}", "b".repeat(61));
        out.clear();
        assert!(encode(&longest, &mut out));
        assert_eq!(out.len(), 255);
        assert_eq!(decoded(&out), [longest.as_str()]);
        assert!(!encode(&format!("{longest}b"), &mut Vec::new()));
        // The same on the way in.
        out[192] += 1;
        out.insert(193, b'b');
        assert_eq!(decoded(&out), [""; 0]);
    }

    proptest::proptest! {
        #[test]
        fn what_is_read_is_written_the_same(bytes: Vec<u8>) {
            for name in decoded(&bytes) {
                let mut out = Vec::new();
                assert!(encode(&name, &mut out), "{name}");
                assert_eq!(decoded(&out), [name]);
            }
        }

        #[test]
        fn any_label_comes_back(labels in proptest::collection::vec(proptest::collection::vec(0u8.., 1..=63), 1..4)) {
            let mut bytes = Vec::new();
            for label in &labels {
                bytes.push(label.len() as u8);
                bytes.extend(label);
            }
            bytes.push(0);
            let names = decoded(&bytes);
            assert_eq!(names.len(), 1);
            let mut out = Vec::new();
            assert!(encode(&names[0], &mut out));
            assert_eq!(out, bytes);
        }

        #[test]
        fn no_text_makes_it_panic(text in "\\PC{0,80}") {
            encode(&text, &mut Vec::new());
        }
    }
}
