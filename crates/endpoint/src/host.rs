//! [`Host`]: what a user may name as a peer.

use crate::parse::parse_port;
use crate::{Endpoint, EndpointError, Reason};
use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

/// Longest name of a host, in octets without a final dot (RFC 1035 section 3.1).
const MAX_NAME: usize = 253;

/// A peer as a user names it: by name or by address, with a port where one is meant.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Host {
    who: Who,
}

#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Who {
    Address(Endpoint),
    // With its final dot, where it was written so.
    Name(Box<str>, Option<u16>),
}

impl Host {
    /// The name, where it was named so; in lower case, without a final dot, as certificates have it.
    pub fn name(&self) -> Option<&str> {
        self.name_to_resolve().map(without_dot)
    }

    /// The name as a resolver is asked for it: with the final dot where it was written with one. That is a name
    /// to which no search list is applied (resolv.conf(5)).
    pub fn name_to_resolve(&self) -> Option<&str> {
        match &self.who {
            Who::Name(name, _) => Some(name),
            Who::Address(_) => None,
        }
    }

    /// The address, where it was given by address.
    pub fn endpoint(&self) -> Option<Endpoint> {
        match self.who {
            Who::Address(endpoint) => Some(endpoint),
            Who::Name(..) => None,
        }
    }

    /// The port.
    pub fn port(&self) -> Option<u16> {
        match &self.who {
            Who::Address(endpoint) => endpoint.port(),
            Who::Name(_, port) => *port,
        }
    }

    /// The same with a port.
    #[must_use]
    pub fn with_port(self, port: u16) -> Self {
        match self.who {
            Who::Address(endpoint) => endpoint.with_port(port).into(),
            Who::Name(name, _) => Self { who: Who::Name(name, Some(port)) },
        }
    }
}

fn without_dot(name: &str) -> &str {
    name.strip_suffix('.').unwrap_or(name)
}

/// The name of a host, in lower case (RFC 1123 section 2.1; `_` as SRV names have it).
fn host_name(text: &str) -> Result<Box<str>, (usize, Reason)> {
    if let Some(at) = text.bytes().position(|octet| !octet.is_ascii()) {
        return Err((at, Reason::NotAscii));
    }
    let name = without_dot(text);
    let mut at = 0;
    for label in name.split('.') {
        let allowed = |octet: u8| octet.is_ascii_alphanumeric() || octet == b'-' || octet == b'_';
        if let Some(wrong) = label.bytes().position(|octet| !allowed(octet)) {
            return Err((at + wrong, Reason::Name));
        }
        if !(1..=63).contains(&label.len()) || label.starts_with('-') || label.ends_with('-') {
            return Err((at, Reason::Name));
        }
        at += label.len() + 1;
    }
    // RFC 1123 section 2.1: what ends in a number is meant as an address.
    let last = name.rfind('.').map_or(0, |dot| dot + 1);
    if name.len() > MAX_NAME || is_number(&name[last..]) {
        return Err((last, Reason::Name));
    }
    Ok(text.to_ascii_lowercase().into())
}

/// Whether a part of a name is a number as `inet_aton` reads it, and with it `getaddrinfo`: for which `0x7f000001` is 127.0.0.1.
fn is_number(part: &str) -> bool {
    let all = |text: &str, digit: fn(&u8) -> bool| text.bytes().all(|octet| digit(&octet));
    match part.strip_prefix("0x").or_else(|| part.strip_prefix("0X")) {
        Some(digits) => all(digits, u8::is_ascii_hexdigit),
        None => all(part, u8::is_ascii_digit),
    }
}

/// Whether a text is meant as an address, right or wrong, rather than as a name.
fn meant_as_address(text: &str) -> bool {
    let before_port = text.split(['#', '%', '/']).next().unwrap_or(text);
    text.starts_with('[')
        || before_port.matches(':').count() > 1
        || before_port.split(':').next().is_some_and(|name| {
            let last = name.rsplit('.').next().unwrap_or(name);
            !last.is_empty() && is_number(last)
        })
}

impl FromStr for Host {
    type Err = EndpointError;

    /// Reads what [`Endpoint`] reads, and `www.example.com`, `www.example.com:80`, `www.example.com#80`.
    fn from_str(text: &str) -> Result<Self, EndpointError> {
        match text.parse::<Endpoint>() {
            Ok(endpoint) => return Ok(endpoint.into()),
            Err(error) if meant_as_address(text) => return Err(error),
            Err(_) => {}
        }
        let wrong = |(offset, reason)| EndpointError::at(text, offset, reason);
        let (name, port) = match text.find([':', '#']) {
            Some(at) => {
                let port = parse_port(&text[at + 1..]).ok_or_else(|| wrong((at + 1, Reason::Port)));
                (&text[..at], Some(port))
            }
            None => (text, None),
        };
        let name = host_name(name).map_err(wrong)?;
        Ok(Self { who: Who::Name(name, port.transpose()?) })
    }
}

impl TryFrom<String> for Host {
    type Error = EndpointError;

    fn try_from(text: String) -> Result<Self, EndpointError> {
        text.parse()
    }
}

impl TryFrom<&str> for Host {
    type Error = EndpointError;

    fn try_from(text: &str) -> Result<Self, EndpointError> {
        text.parse()
    }
}

impl Host {
    /// As `parse`, where a port must be there.
    ///
    /// # Errors
    /// Where the text is neither an address nor a name, or has no port.
    pub fn parse_with_port(text: &str) -> Result<Self, EndpointError> {
        let host: Self = text.parse()?;
        match host.port() {
            Some(_) => Ok(host),
            None => Err(EndpointError::at(text, text.len(), Reason::NoPort)),
        }
    }

    /// As a URL or an HTTP `Host` header has it: see [`Endpoint::authority`].
    pub fn authority(&self) -> String {
        match &self.who {
            Who::Address(endpoint) => endpoint.authority().to_string(),
            Who::Name(name, None) => without_dot(name).to_owned(),
            Who::Name(name, Some(port)) => format!("{}:{port}", without_dot(name)),
        }
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.who {
            Who::Address(endpoint) => endpoint.fmt(f),
            Who::Name(name, None) => f.pad(name),
            Who::Name(name, Some(port)) => f.pad(&format!("{name}:{port}")),
        }
    }
}

impl fmt::Debug for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl From<Endpoint> for Host {
    fn from(endpoint: Endpoint) -> Self {
        Self { who: Who::Address(endpoint) }
    }
}

impl From<IpAddr> for Host {
    fn from(address: IpAddr) -> Self {
        Endpoint::from(address).into()
    }
}
