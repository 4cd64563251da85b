//! Reading endpoints, and saying what is wrong with what is none.

use crate::{Endpoint, Zone};
use std::net::{Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

/// Text that is not an endpoint.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not an address: {reason}")]
pub struct EndpointError {
    /// What was given.
    pub text: String,
    /// What is wrong with it.
    pub reason: Reason,
}

/// Why a text is not an endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Reason {
    /// Neither family's form.
    #[error("write 2001:db8::1 or [2001:db8::1]:53, or for IPv4 192.0.2.1 or 192.0.2.1:53")]
    Address,
    /// A bracket without its other.
    #[error("an IPv6 address with a port is written [2001:db8::1]:53")]
    Brackets,
    /// Not a port.
    #[error("a port is a number from 0 to 65535 without leading zeros")]
    Port,
    /// Not a zone.
    #[error("after % comes the name or the index of an interface, such as fe80::1%eth0")]
    Zone,
    /// A zone where there is none.
    #[error("only link-local addresses have a zone: leave out what follows %")]
    NoZone,
}

impl FromStr for Endpoint {
    type Err = EndpointError;

    fn from_str(text: &str) -> Result<Self, EndpointError> {
        parse(text).map_err(|reason| EndpointError { text: text.to_owned(), reason })
    }
}

impl TryFrom<String> for Endpoint {
    type Error = EndpointError;

    fn try_from(text: String) -> Result<Self, EndpointError> {
        text.parse()
    }
}

fn parse(text: &str) -> Result<Endpoint, Reason> {
    if let Some(rest) = text.strip_prefix('[') {
        let (address, port) = rest.split_once(']').ok_or(Reason::Brackets)?;
        let endpoint = v6(address)?;
        return match port.strip_prefix(':') {
            Some(port) => Ok(endpoint.with_port(parse_port(port).ok_or(Reason::Port)?)),
            None if port.is_empty() => Ok(endpoint),
            None => Err(Reason::Brackets),
        };
    }
    if text.contains(']') {
        return Err(Reason::Brackets);
    }
    // Two colons or more are IPv6's; one separates an IPv4 address from its port.
    match text.split_once(':') {
        Some((_, rest)) if rest.contains(':') => v6(text),
        Some((address, port)) => Ok(v4(address)?.with_port(parse_port(port).ok_or(Reason::Port)?)),
        None => v4(text),
    }
}

fn v4(text: &str) -> Result<Endpoint, Reason> {
    if let Some((address, _)) = text.split_once('%') {
        return Err(if address.parse::<Ipv4Addr>().is_ok() { Reason::NoZone } else { Reason::Address });
    }
    text.parse::<Ipv4Addr>().map(Endpoint::from).map_err(|_| Reason::Address)
}

fn v6(text: &str) -> Result<Endpoint, Reason> {
    let (address, zone) = match text.split_once('%') {
        Some((address, zone)) => (address, Some(zone)),
        None => (text, None),
    };
    let address: Ipv6Addr = address.parse().map_err(|_| Reason::Address)?;
    let endpoint = Endpoint::from(address);
    let Some(zone) = zone else { return Ok(endpoint) };
    if !endpoint.has_zones() {
        return Err(Reason::NoZone);
    }
    Ok(endpoint.with_zone(Zone::from_name(zone).ok_or(Reason::Zone)?))
}

pub(crate) fn parse_port(text: &str) -> Option<u16> {
    // The number's own parser would take a sign.
    let plain = text.bytes().all(|octet| octet.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    if plain { text.parse().ok() } else { None }
}

#[cfg(feature = "serde")]
impl serde::Serialize for Endpoint {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(feature = "serde")]
impl<'de> serde::Deserialize<'de> for Endpoint {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        std::borrow::Cow::<'de, str>::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}
