//! Domain names as DHCPv6 (RFC 9915 section 10) and DNSSL (RFC 8106) carry them: RFC 1035 labels, uncompressed.

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
        if length > 63 || bytes.len() - after.len() + usize::from(length) > MAX_NAME {
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
                name.push_str(&format!("\\{octet:03}"));
            }
        }
        rest = after;
    }
}

/// Appends `name` (text, with or without a final dot) in wire form. `false`, and nothing appended, where a label is
/// empty or longer than 63 octets, or the name is longer than 255.
pub fn encode(name: &str, out: &mut Vec<u8>) -> bool {
    let start = out.len();
    let trimmed = name.strip_suffix('.').unwrap_or(name);
    if !trimmed.is_empty() {
        for label in trimmed.split('.') {
            match u8::try_from(label.len()) {
                Ok(length @ 1..=63) => {
                    out.push(length);
                    out.extend_from_slice(label.as_bytes());
                }
                _ => {
                    out.truncate(start);
                    return false;
                }
            }
        }
    }
    out.push(0);
    if out.len() - start > MAX_NAME {
        out.truncate(start);
        return false;
    }
    true
}
