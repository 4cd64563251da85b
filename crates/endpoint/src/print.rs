//! Writing endpoints: one form, RFC 5952.

use crate::{Endpoint, Family};
use std::fmt;

/// Longest text of an endpoint: `[`, an IPv6 address, `%`, a zone, `]`, `:` and a port.
const LONGEST: usize = 1 + 39 + 1 + 15 + 1 + 1 + 5;

/// The text of an [`Endpoint`], without an allocation.
#[derive(Clone, Copy)]
pub struct Text {
    octets: [u8; LONGEST],
    length: u8,
}

impl Text {
    /// The text.
    pub fn as_str(&self) -> &str {
        // Only ASCII is ever put in.
        std::str::from_utf8(&self.octets[..usize::from(self.length)]).unwrap_or_default()
    }

    fn empty() -> Self {
        Self { octets: [0; LONGEST], length: 0 }
    }

    fn push(&mut self, octet: u8) {
        self.octets[usize::from(self.length)] = octet;
        self.length += 1;
    }

    fn push_all(&mut self, octets: &[u8]) {
        let start = usize::from(self.length);
        self.octets[start..start + octets.len()].copy_from_slice(octets);
        self.length += octets.len() as u8;
    }

    fn push_decimal(&mut self, number: u32) {
        let mut digits = [0; 10];
        let mut at = digits.len();
        let mut rest = number;
        loop {
            at -= 1;
            digits[at] = b'0' + (rest % 10) as u8;
            rest /= 10;
            if rest == 0 {
                break;
            }
        }
        self.push_all(&digits[at..]);
    }

    /// RFC 5952 sections 4.1 and 4.3: no leading zeros, lower case.
    fn push_group(&mut self, group: u16) {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let length = (4 - group.leading_zeros() / 4).max(1);
        for digit in (0..length).rev() {
            self.push(DIGITS[usize::from(group >> (4 * digit) & 0xf)]);
        }
    }

    fn push_v4(&mut self, octets: [u8; 4]) {
        for (index, octet) in octets.into_iter().enumerate() {
            if index > 0 {
                self.push(b'.');
            }
            self.push_decimal(octet.into());
        }
    }

    /// RFC 5952 section 4.2: `::` for the longest run of two or more zero groups, the first of several.
    fn push_v6(&mut self, octets: [u8; 16]) {
        let groups: [u16; 8] =
            std::array::from_fn(|index| u16::from_be_bytes([octets[2 * index], octets[2 * index + 1]]));
        let (mut gap, mut gap_length) = (8, 1);
        let mut run = 0;
        for (index, &group) in groups.iter().enumerate() {
            run = if group == 0 { run + 1 } else { 0 };
            if run > gap_length {
                (gap, gap_length) = (index + 1 - run, run);
            }
        }
        let mut index = 0;
        while index < 8 {
            if index == gap {
                self.push_all(b"::");
                index += gap_length;
                continue;
            }
            if index > 0 && index != gap + gap_length {
                self.push(b':');
            }
            self.push_group(groups[index]);
            index += 1;
        }
    }

    fn push_zone(&mut self, endpoint: &Endpoint) {
        let Some(zone) = endpoint.zone() else { return };
        self.push(b'%');
        match zone.name() {
            Some(name) => self.push_all(name.as_bytes()),
            None => self.push_decimal(zone.index().map_or(0, Into::into)),
        }
    }
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

impl Endpoint {
    /// The canonical text, without an allocation.
    pub fn text(&self) -> Text {
        let mut text = Text::empty();
        match self.family() {
            Family::V4 => {
                let [.., a, b, c, d] = self.octets();
                text.push_v4([a, b, c, d]);
            }
            Family::V6 => {
                let bracketed = self.port().is_some() || self.looks_like_port();
                if bracketed {
                    text.push(b'[');
                }
                text.push_v6(self.octets());
                text.push_zone(self);
                if bracketed {
                    text.push(b']');
                }
            }
        }
        text.push_port(self.port());
        text
    }

    /// As a URL or an HTTP `Host` header has it (RFC 3986 section 3.2.2): IPv6 in brackets always, and never with a zone, which means
    /// nothing to anybody else (RFC 9844 section 5).
    pub fn authority(&self) -> Text {
        let mut text = Text::empty();
        match self.family() {
            Family::V4 => return self.text(),
            Family::V6 => {
                text.push(b'[');
                text.push_v6(self.octets());
                text.push(b']');
            }
        }
        text.push_port(self.port());
        text
    }
}

impl Text {
    fn push_port(&mut self, port: Option<u16>) {
        if let Some(port) = port {
            self.push(b':');
            self.push_decimal(port.into());
        }
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.text().as_str())
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl From<Endpoint> for String {
    fn from(endpoint: Endpoint) -> Self {
        endpoint.text().as_str().to_owned()
    }
}

#[cfg(feature = "serde")]
mod serde_text {
    use crate::{Endpoint, Host};
    use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};
    use std::borrow::Cow;

    impl Serialize for Endpoint {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            serializer.serialize_str(self.text().as_str())
        }
    }

    impl<'de> Deserialize<'de> for Endpoint {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            Cow::<'de, str>::deserialize(deserializer)?.parse().map_err(D::Error::custom)
        }
    }

    impl Serialize for Host {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            serializer.collect_str(self)
        }
    }

    impl<'de> Deserialize<'de> for Host {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            Cow::<'de, str>::deserialize(deserializer)?.parse().map_err(D::Error::custom)
        }
    }
}
