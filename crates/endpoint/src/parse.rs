//! Reading endpoints, and saying what is wrong with what is none.

use crate::{Endpoint, Zone};
use std::fmt;
use std::str::FromStr;

/// What of a text is kept in an error: as much as a person reads.
const SHOWN: usize = 80;

/// Text that is neither an endpoint nor, where one may stand, the name of a host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EndpointError {
    /// What was given; its first 80 characters where it is longer.
    pub text: String,
    /// Where it goes wrong: the column, in characters, counted from 1.
    pub column: usize,
    /// What is wrong with it.
    pub reason: Reason,
}

/// Why a text is not an endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reason {
    /// Neither family's form.
    Address,
    /// A number of an IPv4 address that is none from 0 to 255, or too few or too many of them.
    Octet,
    /// A group of an IPv6 address that is not one to four hexadecimal digits.
    Group,
    /// An IPv6 address with too few or too many groups.
    Groups,
    /// `::` twice.
    TwoGaps,
    /// A bracket without its other, something between it and the port, or no brackets where a port needs them.
    Brackets,
    /// Brackets around what is no IPv6 address.
    BracketsInVain,
    /// Not a port.
    Port,
    /// A port is needed, and there is none.
    NoPort,
    /// It can be read as an address with a port, and as an address alone: `::1:53`.
    Ambiguous,
    /// Not a zone.
    Zone,
    /// A zone where there is none.
    NoZone,
    /// A prefix, not an address.
    Prefix,
    /// A space, or something else that belongs to no address, before, in or after it.
    Stray,
    /// Not a name of a host.
    Name,
    /// A name with characters outside ASCII.
    NotAscii,
}

impl EndpointError {
    pub(crate) fn at(text: &str, offset: usize, reason: Reason) -> Self {
        let before = text.get(..offset).unwrap_or(text);
        Self { text: text.chars().take(SHOWN).collect(), column: before.chars().count() + 1, reason }
    }
}

impl EndpointError {
    /// What is wrong, without where and without the remedy: `` `::1:53` can be read in two ways``.
    pub fn what(&self) -> String {
        let what = match self.reason {
            Reason::Name | Reason::NotAscii => "is neither an address nor a name",
            Reason::Ambiguous => "can be read in two ways",
            Reason::NoPort => "has no port",
            Reason::Prefix => "is a prefix",
            _ => "is not an address",
        };
        format!("`{}` {what}", self.text.escape_debug())
    }

    /// What to write instead.
    pub fn remedy(&self) -> String {
        let text = &self.text;
        let remedy = match self.reason {
            Reason::Address => "write 2001:db8::1 or [2001:db8::1]:53, or for IPv4 192.0.2.1 or 192.0.2.1:53",
            Reason::Octet => {
                "an IPv4 address is four numbers from 0 to 255 without leading zeros, such as 192.0.2.1"
            }
            Reason::Group => "a group of an IPv6 address is one to four of the digits 0-9 and a-f",
            Reason::Groups => {
                const GROUPS: &str =
                    "an IPv6 address has eight groups; `::` stands for the zeros left out, once";
                return match split_last_group(text) {
                    Some((address, port)) => {
                        format!("{GROUPS}; write [{address}]:{port} if {port} is the port")
                    }
                    None => GROUPS.to_owned(),
                };
            }
            Reason::TwoGaps => "`::` may stand once in an IPv6 address: write the other zeros out",
            Reason::Brackets => {
                return match split_last_group(text) {
                    Some((address, port)) => format!("write [{address}]:{port} if {port} is the port"),
                    None => "an IPv6 address with a port is written [2001:db8::1]:53".to_owned(),
                };
            }
            Reason::BracketsInVain => {
                "brackets are for IPv6 addresses: write 192.0.2.1:53 or host:53 without them"
            }
            Reason::Port => "a port is a number from 0 to 65535 without leading zeros",
            Reason::NoPort => {
                return match split_last_group(text) {
                    Some((address, port)) => format!("write [{address}]:{port} if {port} is the port"),
                    None if text.contains("::") => format!("write [{text}]:53 for port 53"),
                    None => format!("write {text}:53 for port 53"),
                };
            }
            Reason::Ambiguous => {
                return match split_last_group(text) {
                    Some((address, port)) => {
                        format!("write [{address}]:{port} if {port} is the port, [{text}] if it is not")
                    }
                    None => format!("write [{text}] if it is an address alone"),
                };
            }
            Reason::Zone => "after % comes the name or the index of an interface, such as fe80::1%eth0",
            Reason::NoZone => "only link-local addresses have a zone: leave out what follows %",
            Reason::Prefix => "one address is wanted: leave out what follows /",
            Reason::Stray => "this character belongs to no address: leave it out",
            Reason::Name => {
                "a name has parts of 1 to 63 letters, digits and hyphens with dots between them, \
                 the last not a number; 253 characters at most"
            }
            Reason::NotAscii => "write the name as DNS has it, in its ASCII form (xn--...)",
        };
        remedy.to_owned()
    }
}

impl fmt::Display for EndpointError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (column {}): {}", self.what(), self.column, self.remedy())
    }
}

impl std::error::Error for EndpointError {}

/// The text of an IPv6 address, with its zone, before the last colon, and what follows where that could be a port.
fn split_last_group(text: &str) -> Option<(&str, u16)> {
    let (address, port) = text.rsplit_once(':')?;
    let port = parse_port(port)?;
    // Three colons within are one too many, rather than a port.
    let plain = !address.ends_with(':') || address == "::";
    (plain && v6_with_zone(address).is_ok()).then_some((address, port))
}

/// Where a text goes wrong, in octets, and why.
type Wrong = (usize, Reason);

impl FromStr for Endpoint {
    type Err = EndpointError;

    /// Reads `192.0.2.1`, `192.0.2.1:53`, `2001:db8::1`, `[2001:db8::1]`, `[2001:db8::1]:53`, each IPv6 address with a zone where
    /// it has one (`fe80::1%eth0`, `[fe80::1%3]:53`), and each address as `ADDRESS#PORT`.
    ///
    /// `::1:53` is refused, since it looks like an address with a port and is not one; `[::1:53]` is that address. This is so for
    /// addresses of `::/96` alone, which are of no use (RFC 4291 section 2.5.5.1): elsewhere `2001:db8::1:53` is an
    /// address as people have it. Use [`Endpoint::parse_with_port`] where a port must be there.
    fn from_str(text: &str) -> Result<Self, EndpointError> {
        parse(text).map_err(|(offset, reason)| EndpointError::at(text, offset, reason))
    }
}

impl TryFrom<String> for Endpoint {
    type Error = EndpointError;

    fn try_from(text: String) -> Result<Self, EndpointError> {
        text.parse()
    }
}

impl TryFrom<&str> for Endpoint {
    type Error = EndpointError;

    fn try_from(text: &str) -> Result<Self, EndpointError> {
        text.parse()
    }
}

impl Endpoint {
    /// As [`Endpoint::from_str`], where a port must be there: a text without one is refused, with a hint where its end was
    /// probably meant as the port (`2001:db8::1:53`).
    ///
    /// # Errors
    /// Where the text is no address, or has no port.
    pub fn parse_with_port(text: &str) -> Result<Self, EndpointError> {
        let endpoint: Self = text.parse()?;
        match endpoint.port() {
            Some(_) => Ok(endpoint),
            None => Err(EndpointError::at(text, text.len(), Reason::NoPort)),
        }
    }
}

fn parse(text: &str) -> Result<Endpoint, Wrong> {
    let octets = text.as_bytes();
    if octets.first() == Some(&b'[') {
        return bracketed(text);
    }
    if let Ok(([a, b, c, d], length)) = v4(octets) {
        let port = match octets.get(length) {
            None => None,
            Some(b':' | b'#') => Some(port(text, length + 1)?),
            Some(_) => return Err(stray(octets, length)),
        };
        let mapped = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, a, b, c, d];
        return Ok(Endpoint::from_parts(mapped, Zone::NONE, port));
    }
    not_v4(text)
}

/// What does not begin as an IPv4 address. Apart, so that reading one stays short.
#[inline(never)]
fn not_v4(text: &str) -> Result<Endpoint, Wrong> {
    let octets = text.as_bytes();
    // What was meant: IPv4 has a dot after its first number, IPv6 two colons or more.
    match octets.iter().position(|octet| matches!(octet, b'.' | b':')) {
        Some(at) if octets[at..].split(|&octet| octet == b':').nth(2).is_some() => bare_v6(text),
        Some(dot) if octets[dot] == b'.' => Err(v4(octets).err().unwrap_or((0, Reason::Address))),
        _ => Err((0, if octets.contains(&b'/') { Reason::Prefix } else { Reason::Address })),
    }
}

#[inline(never)]
fn bracketed(text: &str) -> Result<Endpoint, Wrong> {
    let octets = text.as_bytes();
    let Some(close) = octets.iter().position(|&octet| octet == b']') else {
        return Err((octets.len(), Reason::Brackets));
    };
    let inner = &text[1..close];
    if !inner.contains(':') {
        return Err((1, Reason::BracketsInVain));
    }
    let (address, zone) = v6_with_zone(inner).map_err(|(offset, reason)| (offset + 1, reason))?;
    let port = match octets.get(close + 1) {
        None => None,
        Some(b':' | b'#') => Some(port(text, close + 2)?),
        Some(_) => return Err((close + 1, Reason::Brackets)),
    };
    Ok(Endpoint::from_parts(address, zone, port))
}

fn bare_v6(text: &str) -> Result<Endpoint, Wrong> {
    let octets = text.as_bytes();
    if let Some(bracket) = octets.iter().position(|octet| matches!(octet, b']' | b'[')) {
        return Err((bracket, Reason::Brackets));
    }
    // A zone has no `#` in it.
    if let Some(hash) = octets.iter().position(|&octet| octet == b'#') {
        let (address, zone) = v6_with_zone(&text[..hash])?;
        return Ok(Endpoint::from_parts(address, zone, Some(port(text, hash + 1)?)));
    }
    let colon = || split_last_group(text).map(|(address, _)| address.len());
    match v6_with_zone(text) {
        // `::0:53` too, of which the canonical text, `::53`, can be read in one way.
        Ok((address, zone)) => match address.starts_with(&[0; 12]).then(colon).flatten() {
            Some(colon) => Err((colon, Reason::Ambiguous)),
            None => Ok(Endpoint::from_parts(address, zone, None)),
        },
        Err(wrong @ (_, Reason::Groups)) => Err(wrong),
        // With its end as the port all is well: five digits, or what follows a zone.
        Err(wrong) => Err(colon().map_or(wrong, |colon| (colon, Reason::Brackets))),
    }
}

/// What follows an address where nothing may follow.
fn stray(octets: &[u8], at: usize) -> Wrong {
    let reason = match octets[at] {
        b'/' => Reason::Prefix,
        b'%' => Reason::NoZone,
        b']' | b'[' => Reason::Brackets,
        b'.' | b'0'..=b'9' => Reason::Octet,
        _ => Reason::Stray,
    };
    (at, reason)
}

/// All of `text`: an IPv6 address, and its zone where it has one.
fn v6_with_zone(text: &str) -> Result<([u8; 16], Zone), Wrong> {
    let (address, length) = v6(text.as_bytes())?;
    let reason = match text.as_bytes().get(length) {
        None => return Ok((address, Zone::NONE)),
        Some(b'%') if !Endpoint::from_parts(address, Zone::NONE, None).has_zones() => Reason::NoZone,
        Some(b'%') => {
            let zone = Zone::from_name(&text[length + 1..]).ok_or((length + 1, Reason::Zone))?;
            return Ok((address, zone));
        }
        Some(b'/') => Reason::Prefix,
        Some(b':') => Reason::Groups,
        Some(b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z') => Reason::Group,
        Some(_) => Reason::Stray,
    };
    Err((length, reason))
}

/// An IPv6 address at the start of `text` (RFC 4291 section 2.2), and its length there.
fn v6(text: &[u8]) -> Result<([u8; 16], usize), Wrong> {
    let mut octets = [0; 16];
    // In octets of the address: how much is read, and where the gap is.
    let mut length = 0;
    let mut gap = None;
    let mut at = 0;
    if text.first() == Some(&b':') {
        if text.get(1) != Some(&b':') {
            return Err((0, Reason::Groups));
        }
        gap = Some(0);
        at = 2;
    }
    while length < 16 {
        let start = at;
        let mut group = 0u16;
        while let Some(digit) = text.get(at).and_then(|&octet| hex(octet)) {
            if at - start == 4 {
                return Err((start, Reason::Group));
            }
            group = group << 4 | u16::from(digit);
            at += 1;
        }
        let after = text.get(at).copied();
        if at == start {
            // Only a gap may be followed by nothing.
            if gap == Some(length) {
                break;
            }
            return Err(match after {
                None | Some(b'%' | b'/' | b']') => (at, Reason::Groups),
                Some(_) => (at, Reason::Group),
            });
        }
        if after == Some(b'.') && length <= 12 {
            let (tail, read) = v4(&text[start..]).map_err(|(offset, reason)| (start + offset, reason))?;
            octets[length..length + 4].copy_from_slice(&tail);
            length += 4;
            at = start + read;
            break;
        }
        octets[length..length + 2].copy_from_slice(&group.to_be_bytes());
        length += 2;
        if after != Some(b':') {
            break;
        }
        if text.get(at + 1) == Some(&b':') {
            if gap.is_some() {
                return Err((at, Reason::TwoGaps));
            }
            gap = Some(length);
            at += 2;
        } else if length < 16 {
            at += 1;
        }
    }
    match gap {
        None if length == 16 => {}
        Some(gap) if length < 16 => {
            octets.copy_within(gap..length, 16 - (length - gap));
            octets[gap..16 - (length - gap)].fill(0);
        }
        _ => return Err((at, Reason::Groups)),
    }
    Ok((octets, at))
}

/// An IPv4 address at the start of `text`, dotted with four decimal numbers without leading zeros (RFC 6943 section 3.1.1 tells why no other
/// form is taken), and its length there.
#[inline]
#[expect(clippy::needless_bitwise_bool, reason = "a branch here costs a fifth of reading an address")]
fn v4(text: &[u8]) -> Result<([u8; 4], usize), Wrong> {
    let mut octets = [0; 4];
    let mut at = 0;
    for (index, octet) in octets.iter_mut().enumerate() {
        if index > 0 {
            if text.get(at) != Some(&b'.') {
                return Err((at, Reason::Octet));
            }
            at += 1;
        }
        // Computed, not branched upon: no processor foresees how many digits a number has.
        let digit = |at: usize| u16::from(text.get(at).map_or(u8::MAX, |octet| octet.wrapping_sub(b'0')));
        let (first, second, third) = (digit(at), digit(at + 1), digit(at + 2));
        let two = second < 10;
        let three = two & (third < 10);
        let number = if two { first * 10 + second } else { first };
        let number = if three { number * 10 + third } else { number };
        if first > 9 || number > 255 || (first == 0 && two) {
            return Err((at, Reason::Octet));
        }
        at += 1 + usize::from(two) + usize::from(three);
        *octet = number as u8;
    }
    Ok((octets, at))
}

fn hex(octet: u8) -> Option<u8> {
    const NONE: u8 = 0xff;
    const DIGITS: [u8; 256] = {
        let mut digits = [NONE; 256];
        let mut octet = 0;
        while octet < 10 {
            digits[b'0' as usize + octet] = octet as u8;
            octet += 1;
        }
        let mut octet = 0;
        while octet < 6 {
            digits[b'a' as usize + octet] = 10 + octet as u8;
            digits[b'A' as usize + octet] = 10 + octet as u8;
            octet += 1;
        }
        digits
    };
    let digit = DIGITS[usize::from(octet)];
    (digit != NONE).then_some(digit)
}

/// The rest of `text` from `at` on as a port.
fn port(text: &str, at: usize) -> Result<u16, Wrong> {
    text.as_bytes().get(at..).and_then(decimal_port).ok_or((at, Reason::Port))
}

/// A port: a number from 0 to 65535 without sign and without leading zeros.
pub(crate) fn parse_port(text: &str) -> Option<u16> {
    decimal_port(text.as_bytes())
}

#[inline]
fn decimal_port(digits: &[u8]) -> Option<u16> {
    let mut port = 0u32;
    for octet in digits {
        let digit = octet.wrapping_sub(b'0');
        if digit > 9 || port > 6553 {
            return None;
        }
        port = port * 10 + u32::from(digit);
    }
    let zeros = digits.first() == Some(&b'0') && digits.len() > 1;
    if digits.is_empty() || zeros { None } else { u16::try_from(port).ok() }
}
