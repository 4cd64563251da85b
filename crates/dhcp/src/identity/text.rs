//! Identities as people write them.

use super::{Identity, Line, LineName, Mac, Name};
use sixgate_wire::dhcpv6::OptionCode;
use std::fmt;
use std::net::Ipv6Addr;
use std::str::FromStr;

/// Text that names nobody.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{text:?} names no client: write duid:00:03:00:01:..., mac:02:00:5e:10:00:01, remote:ENTERPRISE:NAME, \
     subscriber:NAME or interface:LINK-ADDRESS,NAME (names as `sixgate leases` shows them, or in digits after 0x)"
)]
pub struct IdentityError {
    /// What was given.
    pub text: String,
}

/// What [`Identity::from_str`] reads.
impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Duid(duid) => write!(f, "duid:{duid}"),
            Self::Mac(mac) => write!(f, "mac:{mac}"),
            Self::Line(name) => name.fmt(f),
        }
    }
}

impl fmt::Display for LineName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.parts() {
            Parts::Subscriber(name) => write!(f, "subscriber:{}", Name(name)),
            Parts::Remote(enterprise, name) => write!(f, "remote:{enterprise}:{}", Name(name)),
            Parts::Interface(link, name) => write!(f, "interface:{link},{}", Name(name)),
        }
    }
}

/// What a line's one name is made of.
enum Parts<'a> {
    Subscriber(&'a [u8]),
    Remote(u32, &'a [u8]),
    Interface(Ipv6Addr, &'a [u8]),
}

impl LineName {
    fn parts(&self) -> Parts<'_> {
        let (code, content) = self.0.split_first_chunk::<2>().unwrap_or((&[0; 2], &[]));
        match OptionCode(u16::from_be_bytes(*code)) {
            OptionCode::REMOTE_ID => {
                let (enterprise, name) = content.split_first_chunk::<4>().unwrap_or((&[0; 4], &[]));
                Parts::Remote(u32::from_be_bytes(*enterprise), name)
            }
            OptionCode::INTERFACE_ID => {
                let (link, name) = content.split_first_chunk::<16>().unwrap_or((&[0; 16], &[]));
                Parts::Interface((*link).into(), name)
            }
            _ => Parts::Subscriber(content),
        }
    }

    /// A line that has this name alone, and the link-address by which it is meant.
    pub(crate) fn line(&self) -> (Option<Line>, Option<Ipv6Addr>) {
        match self.parts() {
            Parts::Subscriber(name) => (Line::new(None, None, Some(name)), None),
            Parts::Remote(enterprise, name) => {
                (Line::new(None, Some(&[&enterprise.to_be_bytes()[..], name].concat()), None), None)
            }
            Parts::Interface(link, name) => (Line::new(Some(name), None, None), Some(link)),
        }
    }
}

impl FromStr for Identity {
    type Err = IdentityError;

    fn from_str(text: &str) -> Result<Self, IdentityError> {
        let (kind, rest) = match text.split_once(':') {
            // A hardware address by itself is six pairs of digits: nothing else is.
            Some((pair, _)) if pair.len() == 2 => ("mac", text),
            Some(split) => split,
            None => ("", text),
        };
        let found = match kind {
            "duid" => rest.parse().ok().map(Self::Duid),
            "mac" => mac(rest).map(Self::Mac),
            "subscriber" => name(rest).and_then(|name| named(None, None, Some(&name), Ipv6Addr::UNSPECIFIED)),
            "remote" => rest.split_once(':').and_then(|(enterprise, rest)| {
                let enterprise: u32 = enterprise.parse().ok()?;
                let remote = [&enterprise.to_be_bytes()[..], &name(rest)?].concat();
                named(None, Some(&remote), None, Ipv6Addr::UNSPECIFIED)
            }),
            "interface" => rest.split_once(',').and_then(|(link, rest)| {
                let name = name(rest)?;
                named(Some(&name), None, None, link.parse().ok()?)
            }),
            _ => None,
        };
        found.ok_or_else(|| IdentityError { text: text.to_owned() })
    }
}

fn named(
    interface: Option<&[u8]>,
    remote: Option<&[u8]>,
    subscriber: Option<&[u8]>,
    link: Ipv6Addr,
) -> Option<Identity> {
    let line = Line::new(interface, remote, subscriber)?;
    LineName::new(&line, link).map(Identity::Line)
}

fn mac(text: &str) -> Option<Mac> {
    let octets: Option<Vec<u8>> = text.split(':').map(pair).collect();
    octets.filter(|octets| octets.len() >= 6).and_then(|octets| Mac::new(&octets))
}

/// The octets of a name as [`Name`] writes it; any text may stand for itself.
fn name(text: &str) -> Option<Vec<u8>> {
    let Some(digits) = text.strip_prefix("0x") else { return Some(text.as_bytes().to_vec()) };
    let whole = digits.len().is_multiple_of(2) && digits.is_ascii();
    whole.then(|| (0..digits.len()).step_by(2).map(|at| pair(digits.get(at..at + 2)?)).collect()).flatten()
}

/// Two hexadecimal digits.
fn pair(digits: &str) -> Option<u8> {
    let are_digits = digits.len() == 2 && digits.bytes().all(|digit| digit.is_ascii_hexdigit());
    are_digits.then(|| u8::from_str_radix(digits, 16).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_comes_back() {
        for text in [
            "duid:00:03:00:01:02:00:00:00:00:01",
            "mac:02:00:5e:10:00:01",
            "subscriber:ada",
            "subscriber:0x00ff",
            "remote:4491:port-7/0.3",
            "remote:9:0x0a",
            "interface:2001:db8::1,eth3",
            "interface:::,0x20",
        ] {
            let identity: Identity = text.parse().unwrap();
            assert_eq!(identity.to_string(), text);
            if let Identity::Line(name) = &identity {
                let (line, link) = name.line();
                let link = link.unwrap_or(Ipv6Addr::UNSPECIFIED);
                assert_eq!(LineName::new(&line.unwrap(), link).as_ref(), Some(name), "{text}");
            }
        }
        let short: Identity = "02:00:5e:10:00:01".parse().unwrap();
        assert_eq!(short.to_string(), "mac:02:00:5e:10:00:01");
        let remote: Identity = "remote:9:a:b c".parse().unwrap();
        assert_eq!(remote.to_string(), "remote:9:0x613a622063");
        for text in [
            "",
            "ada",
            "duid:00",
            "mac:02",
            "mac:2:0:5e:10:0:1",
            "mac:+2:00:5e:10:00:01",
            "mac:00:00:00:00:00:00",
            "subscriber:",
            "subscriber:0x0",
            "subscriber:0xzz",
            "remote:9:",
            "remote:x:y",
            "remote:4294967296:y",
            "interface:eth3",
            "interface:x,eth3",
            "é:é",
        ] {
            assert!(text.parse::<Identity>().is_err(), "{text}");
        }
        assert!(format!("subscriber:{}", "x".repeat(256)).parse::<Identity>().is_err());
    }
}
