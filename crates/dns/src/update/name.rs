//! Domain names as updates write them: in wire format, lower case, uncompressed.

use super::message;
use ipnet::IpNet;
use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

/// Longest name in octets, with its length octets and the root (RFC 1035 section 2.3.4).
const LONGEST: usize = 255;
/// Longest label.
const LONGEST_LABEL: usize = 63;
/// The first label of a service that must not be asked for, and the likes: a host has none of these.
const UNDERSCORE: u8 = b'_';

/// A fully qualified domain name whose labels are letters, digits, hyphens and underscores.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(Vec<u8>);

/// Text that is no such name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{text}` is no domain name: labels have 1 to 63 letters, digits, - or _, and a name 253 octets at most"
)]
pub struct NameError {
    /// What was given.
    pub text: String,
}

impl Name {
    /// In wire format.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Under which name a host goes in `zone`, by what it calls itself: its own name if that lies there, else its first label
    /// with the zone's name behind. None where that cannot be a host's name.
    pub fn of_host(hostname: &str, zone: &Self) -> Option<Self> {
        let text = hostname.strip_suffix('.').unwrap_or(hostname);
        let own = text.parse::<Self>().ok().filter(|own| own.is_below(zone));
        let label = || {
            let first = text.split('.').next().filter(|first| !first.is_empty())?;
            format!("{first}.{zone}").parse::<Self>().ok()
        };
        own.or_else(label).filter(Self::is_host)
    }

    /// The name of the reverse tree for an address.
    pub fn reverse(address: IpAddr) -> Self {
        Self::backwards(address, usize::MAX)
    }

    /// The reverse zone of a prefix; none where it ends within a label: those stand for four bits of IPv6, and for eight of
    /// IPv4. (Zones of RFC 2317 have names that nobody can tell from the prefix.)
    pub fn reverse_zone(net: IpNet) -> Option<Self> {
        let (length, step) = (usize::from(net.prefix_len()), label_bits(net));
        (length > 0 && length.is_multiple_of(step)).then(|| Self::backwards(net.network(), length / step))
    }

    /// The first so many labels of an address, the last one in front (RFC 1035 section 3.5, RFC 3596 section 2.5).
    fn backwards(address: IpAddr, count: usize) -> Self {
        let (kind, octets) = message::record(address);
        let (labels, root): (Vec<String>, _) = if kind == message::A {
            (octets.iter().map(ToString::to_string).collect(), "in-addr.arpa")
        } else {
            let nibbles = octets.iter().flat_map(|octet| [octet >> 4, octet & 15]);
            (nibbles.map(|nibble| format!("{nibble:x}")).collect(), "ip6.arpa")
        };
        let mut wire = Vec::new();
        for label in labels.iter().take(count).rev().map(String::as_str).chain(root.split('.')) {
            // Four octets at most.
            wire.push(label.len() as u8);
            wire.extend(label.bytes());
        }
        wire.push(0);
        Self(wire)
    }

    fn is_below(&self, zone: &Self) -> bool {
        let mut rest = self.0.as_slice();
        while let [length @ 1..=u8::MAX, tail @ ..] = rest {
            rest = tail.get(usize::from(*length)..).unwrap_or_default();
            if rest == zone.0 {
                return true;
            }
        }
        false
    }

    /// A host's labels have no underscore and neither begin nor end with a hyphen (RFC 1123 section 2.1).
    fn is_host(&self) -> bool {
        let own = self.0.get(1..1 + usize::from(self.0.first().copied().unwrap_or(0))).unwrap_or_default();
        !own.contains(&UNDERSCORE) && own.first() != Some(&b'-') && own.last() != Some(&b'-')
    }
}

/// How many bits of such an address one label of the reverse tree stands for.
pub fn label_bits(net: IpNet) -> usize {
    if usize::from(net.max_prefix_len()) == 32 { 8 } else { 4 }
}

impl FromStr for Name {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let error = || NameError { text: text.to_owned() };
        let mut wire = Vec::with_capacity(text.len() + 2);
        for label in text.strip_suffix('.').unwrap_or(text).split('.') {
            let allowed = |octet: u8| octet.is_ascii_alphanumeric() || b"-_".contains(&octet);
            if !(1..=LONGEST_LABEL).contains(&label.len()) || !label.bytes().all(allowed) {
                return Err(error());
            }
            wire.push(label.len() as u8);
            wire.extend(label.bytes().map(|octet| octet.to_ascii_lowercase()));
        }
        wire.push(0);
        if wire.len() > LONGEST { Err(error()) } else { Ok(Self(wire)) }
    }
}

impl fmt::Display for Name {
    /// Without a final dot.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (mut rest, mut separator) = (self.0.as_slice(), "");
        while let [length @ 1..=u8::MAX, tail @ ..] = rest {
            let (label, behind) = tail.split_at(usize::from(*length).min(tail.len()));
            write!(f, "{separator}{}", String::from_utf8_lossy(label))?;
            (rest, separator) = (behind, ".");
        }
        Ok(())
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Name({self})")
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn a_host_goes_by_its_first_label_in_the_zone() {
        let zone: Name = "example.org".parse().unwrap();
        let long = "a".repeat(64);
        for (hostname, name) in [
            ("laptop", Some("laptop.example.org")),
            ("LapTop.", Some("laptop.example.org")),
            ("laptop.example.org", Some("laptop.example.org")),
            ("a.b.example.org", Some("a.b.example.org")),
            ("laptop.example.com", Some("laptop.example.org")),
            ("notexample.org", Some("notexample.example.org")),
            ("example.org", Some("example.example.org")),
            ("", None),
            (".", None),
            ("a b", None),
            ("-laptop", None),
            ("laptop-", None),
            ("_dmarc", None),
            ("é", None),
            (long.as_str(), None),
        ] {
            assert_eq!(
                Name::of_host(hostname, &zone).map(|n| n.to_string()).as_deref(),
                name,
                "{hostname:?}"
            );
        }
    }

    #[test]
    fn the_reverse_tree() {
        let address: IpAddr = "2001:db8::567:89ab".parse().unwrap();
        // RFC 3596 section 2.5's form.
        let name = "b.a.9.8.7.6.5.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa";
        assert_eq!(Name::reverse(address).to_string(), name);
        assert_eq!(name.parse(), Ok(Name::reverse(address)));
        let zone = |text: &str| Name::reverse_zone(text.parse().unwrap()).map(|name| name.to_string());
        assert_eq!(zone("2001:db8::/32").as_deref(), Some("8.b.d.0.1.0.0.2.ip6.arpa"));
        assert_eq!((zone("2001:db8::/33"), zone("::/0")), (None, None));
        let address: IpAddr = "192.0.2.70".parse().unwrap();
        assert_eq!(Name::reverse(address).to_string(), "70.2.0.192.in-addr.arpa");
        assert_eq!(zone("192.0.2.0/24").as_deref(), Some("2.0.192.in-addr.arpa"));
        assert_eq!(zone("10.0.0.0/8").as_deref(), Some("10.in-addr.arpa"));
        assert_eq!((zone("192.0.2.0/28"), zone("0.0.0.0/0")), (None, None));
    }

    #[test]
    fn names_are_bounded() {
        let long = vec!["a".repeat(49); 5].join(".");
        assert!(long.parse::<Name>().is_ok());
        assert!(format!("{long}.abcd").parse::<Name>().is_err());
        for text in ["", ".", "a..b", "a.b..", "a/b", "a\0"] {
            assert_eq!(text.parse::<Name>(), Err(NameError { text: text.to_owned() }));
        }
    }
}
