//! IPv4 addresses in text, and what they are.

// ipv6-audit: allow-file explicit-family because IPv4 addresses are what it looks for

use std::net::Ipv4Addr;

/// An IPv4 address in a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Literal {
    pub(crate) start: usize,
    pub(crate) end: usize,
    pub(crate) octets: [u8; 4],
}

/// What an address is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// 0.0.0.0
    Any,
    /// 127.0.0.0/8
    Loopback,
    /// For documentation and benchmarks (RFC 5737, RFC 2544): an example.
    Example,
    /// A well-known public resolver, as checks for "am I online?" ask.
    Resolver,
    /// 255.0.0.0 and narrower.
    Mask,
    Other,
}

impl Literal {
    pub(crate) fn purpose(&self) -> Purpose {
        match self.octets {
            [0, 0, 0, 0] => Purpose::Any,
            [127, ..] => Purpose::Loopback,
            [192, 0, 2, _] | [198, 51, 100, _] | [203, 0, 113, _] | [198, 18 | 19, ..] => Purpose::Example,
            [8, 8, 8 | 4, 8 | 4] | [1, 1 | 0, 1 | 0, 1] | [9, 9, 9, 9] | [208, 67, 222, 222] => {
                Purpose::Resolver
            }
            [255, ..] => Purpose::Mask,
            _ => Purpose::Other,
        }
    }

    /// Small numbers throughout: as likely a version.
    pub(crate) fn is_versionlike(&self) -> bool {
        let [a, b, c, d] = self.octets;
        a != 10 && (a < 16 || a == b) && b < 30 && c < 60 && d < 60
    }
}

/// Whether a text says that what it shows is an example.
pub(crate) fn is_example(text: &str) -> bool {
    ["e.g.", "i.e.", "or example", "xample:", "xamples:", "such as"].iter().any(|word| text.contains(word))
}

/// Every IPv4 address in a text, from left to right; each octet is looked at twice at most.
pub(crate) fn find(text: &str) -> Vec<Literal> {
    let octets = text.as_bytes();
    let mut found = Vec::new();
    let mut at = 0;
    while at < octets.len() && found.len() < 64 {
        if !octets[at].is_ascii_digit() {
            at += 1;
            continue;
        }
        let start = at;
        while at < octets.len() && (octets[at].is_ascii_digit() || octets[at] == b'.') {
            at += 1;
        }
        let before = start.checked_sub(1).map_or(b' ', |at| octets[at]);
        let product = before == b'/' && start >= 2 && octets[start - 2].is_ascii_alphabetic();
        let after = octets.get(at).copied().unwrap_or(b' ');
        let joined = |octet: u8| octet.is_ascii_alphanumeric() || octet == b'_';
        // A full stop may end a sentence.
        let end = if octets[at - 1] == b'.' { at - 1 } else { at };
        if joined(before)
            || matches!(before, b'.' | b'-' | b'~' | b'^')
            || (before == b'$' || before == b'\\')
            || product
            || joined(after)
            || after == b'-' && octets.get(at + 1).is_some_and(u8::is_ascii_alphabetic)
        {
            continue;
        }
        if let Some(Ok(address)) = text.get(start..end).map(str::parse::<Ipv4Addr>) {
            found.push(Literal { start, end, octets: address.octets() });
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_and_what_looks_like_them() {
        let found = |text: &str| find(text).iter().map(|found| found.octets).collect::<Vec<_>>();
        assert_eq!(found("10.0.0.1"), [[10, 0, 0, 1]]);
        assert_eq!(found("http://192.168.1.1:80/ and 10.1.2.3."), [[192, 168, 1, 1], [10, 1, 2, 3]]);
        assert_eq!(found("10.0.0.0/8"), [[10, 0, 0, 0]]);
        for none in [
            "1.2.3",
            "1.2.3.4.5",
            "v1.2.3.4",
            "1.2.3.4-rc1",
            "256.1.1.1",
            "Chrome/98.0.4758.102",
            "Chrome/9.0.4.2",
            "1.3.6.1.4.1",
        ] {
            assert_eq!(found(none), Vec::<[u8; 4]>::new(), "{none}");
        }
    }
}
