//! [`Host`]: what a user may name as a peer.

use crate::{Endpoint, Reason};
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
    Name(Box<str>, Option<u16>),
}

impl Host {
    /// A name, or an address in any form that [`Endpoint`] takes, without a port.
    ///
    /// # Errors
    /// Where it is neither.
    pub fn new(text: &str) -> Result<Self, crate::EndpointError> {
        text.parse()
    }

    /// The name, where it was named so; in lower case.
    pub fn name(&self) -> Option<&str> {
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

/// The name of a host, in lower case without its final dot; `None` where it is none.
fn host_name(text: &str) -> Option<Box<str>> {
    let name = text.strip_suffix('.').unwrap_or(text);
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|octet| octet.is_ascii_alphanumeric() || octet == b'-' || octet == b'_')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    // RFC 1123 section 2.1: what ends in a number is meant as an address.
    let last_is_number =
        name.rsplit('.').next().is_some_and(|last| last.bytes().all(|octet| octet.is_ascii_digit()));
    (name.len() <= MAX_NAME && name.split('.').all(label) && !last_is_number)
        .then(|| name.to_ascii_lowercase().into())
}

impl FromStr for Host {
    type Err = crate::EndpointError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let error = match text.parse::<Endpoint>() {
            Ok(endpoint) => return Ok(endpoint.into()),
            Err(error) => error,
        };
        let (name, port) = match text.split_once(':') {
            Some((name, port)) => (name, Some(port)),
            None => (text, None),
        };
        let Some(name) = host_name(name) else { return Err(error) };
        match port.map(|port| crate::parse::parse_port(port).ok_or(Reason::Port)).transpose() {
            Ok(port) => Ok(Self { who: Who::Name(name, port) }),
            Err(reason) => Err(crate::EndpointError { text: text.to_owned(), reason }),
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
