//! Reading rules, and saying what is wrong with what is none.

use super::rule::{Prefix, Rule, Verdict};
use super::{Acl, map::MOST};
use crate::Zone;
use ipnet::IpNet;
use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

/// Longest piece of what was given that an error repeats, in characters.
const QUOTED: usize = 60;

/// Text that is no rule: where, what and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleError {
    /// The line, from 1; in a list of rules, which of them.
    pub line: usize,
    /// The column, in characters from 1.
    pub column: usize,
    /// What stands there, cut short where it is long; control characters escaped.
    pub text: String,
    /// What is wrong with it.
    pub reason: RuleReason,
}

impl fmt::Display for RuleError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}, column {}: `{}`: {}", self.line, self.column, self.text, self.reason)
    }
}

impl std::error::Error for RuleError {}

/// Why a text is no rule.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RuleReason {
    /// Neither `allow` nor `deny`.
    #[error("a rule begins with `allow` or `deny`, in small letters")]
    Verdict,
    /// No prefix where one belongs.
    #[error(
        "here belongs a prefix, such as 192.0.2.0/24 or 2001:db8::/32; several have a comma between them"
    )]
    Missing,
    /// Two prefixes without a comma.
    #[error("prefixes have a comma between them; a remark begins with #")]
    Comma,
    /// `any`, which says nothing of families.
    #[error("this does not say which family: write `{0} 0.0.0.0/0, ::/0` for both, or one of the two")]
    Any(Verdict),
    /// Not an address.
    #[error(
        "this is no prefix: write 192.0.2.0/24, 2001:db8::/32 or fe80::%eth0/10, without brackets, port or name"
    )]
    Address,
    /// Not a length.
    #[error("after / comes the length of the prefix, a number from 0 to {0} without leading zeros")]
    Length(u8),
    /// Bits behind the length: it can't be told whether the network or the address was meant.
    #[error(
        "this has bits behind its length: write {network} for the whole network, or {address} for the one address"
    )]
    HostBits {
        /// The network.
        network: Prefix,
        /// The address alone.
        address: Prefix,
    },
    /// Not a zone.
    #[error("after % comes the name or the index of an interface, as in fe80::%eth0/10")]
    Zone,
    /// A zone where there is none.
    #[error(
        "only prefixes within fe80::/10, or of multicast below global scope, have a zone: leave out what follows %"
    )]
    NoZone,
    /// A second line where one rule belongs.
    #[error("here belongs one rule: give the next as one of its own")]
    Lines,
    /// More prefixes than a list can hold.
    #[error("a list holds 268435456 prefixes at most: divide it")]
    TooMany,
}

/// A part of a line, and where it begins.
#[derive(Clone, Copy)]
struct Part<'a> {
    text: &'a str,
    /// In octets from 0.
    place: usize,
}

impl<'a> Part<'a> {
    fn trim(self) -> Self {
        let begin = self.text.trim_start();
        Self { text: begin.trim_end(), place: self.place + self.text.len() - begin.len() }
    }

    /// What stands before and after an octet.
    fn split(self, at: usize) -> (Self, Self) {
        let (before, after) = self.text.split_at(at);
        (Part { text: before, ..self }, Part { text: after, place: self.place + at })
    }

    /// Up to a separator, and after it.
    fn cut(self, separator: char) -> (Self, Option<Self>) {
        match self.text.find(separator) {
            None => (self, None),
            Some(at) => {
                let (before, after) = self.split(at);
                (before, Some(after.split(separator.len_utf8()).1))
            }
        }
    }

    fn err<T>(self, reason: RuleReason) -> Result<T, (Part<'a>, RuleReason)> {
        Err((self, reason))
    }
}

/// The rule of a line; `None` for one without.
pub(super) fn line(text: &str, number: usize) -> Result<Option<Rule>, RuleError> {
    let (rule, _) = Part { text, place: 0 }.cut('#');
    let rule = rule.trim();
    if rule.text.is_empty() {
        return Ok(None);
    }
    parse_rule(rule).map(Some).map_err(|(part, reason)| RuleError::new(text, number, part, reason))
}

impl RuleError {
    fn new(line: &str, number: usize, part: Part<'_>, reason: RuleReason) -> Self {
        let mut text: String = part.text.chars().take(QUOTED).flat_map(char::escape_debug).collect();
        if part.text.chars().nth(QUOTED).is_some() {
            text.push('…');
        }
        let column = line.get(..part.place).map_or(0, |before| before.chars().count()) + 1;
        Self { line: number, column, text, reason }
    }
}

fn parse_rule(rule: Part<'_>) -> Result<Rule, (Part<'_>, RuleReason)> {
    let (word, rest) = rule.split(rule.text.find(char::is_whitespace).unwrap_or(rule.text.len()));
    let verdict = match word.text {
        "allow" => Verdict::Allow,
        "deny" => Verdict::Deny,
        _ => return word.err(RuleReason::Verdict),
    };
    let mut prefixes = Vec::new();
    let mut rest = Some(rest);
    while let Some(part) = rest {
        let (prefix, after) = part.cut(',');
        rest = after;
        prefixes.push(match prefix.trim() {
            // There is nothing to quote where it is missed, so the rule is.
            Part { text: "", place } => return Part { place, ..rule }.err(RuleReason::Missing),
            Part { text: "any" | "all", .. } => return prefix.trim().err(RuleReason::Any(verdict)),
            prefix => parse_prefix(prefix)?,
        });
    }
    match Rule::new(verdict, prefixes) {
        Some(rule) => Ok(rule),
        None => rule.err(RuleReason::Missing),
    }
}

fn parse_prefix(whole: Part<'_>) -> Result<Prefix, (Part<'_>, RuleReason)> {
    if whole.text.contains(char::is_whitespace) {
        return whole.err(RuleReason::Comma);
    }
    // RFC 4007 section 11.7 puts the zone before the length; many write it last. Neither character is part of
    // a zone.
    let slash = whole.cut('/');
    let percent = whole.cut('%');
    let (address, length, zone) = match (slash, percent) {
        ((address, Some(rest)), (before, Some(_))) if before.text.len() > address.text.len() => {
            let (length, zone) = rest.cut('%');
            (address, Some(length), zone)
        }
        ((_, Some(length)), (address, Some(rest))) => (address, Some(length), Some(rest.cut('/').0)),
        ((address, length), (_, None)) => (address, length, None),
        ((_, None), (address, zone)) => (address, None, zone),
    };
    let Ok(parsed) = address.text.parse::<IpAddr>() else { return whole.err(RuleReason::Address) };
    let most = if parsed.is_ipv4() { 32 } else { 128 };
    let net = match length {
        None => IpNet::from(parsed),
        Some(length) => match number(length.text).and_then(|length| IpNet::new(parsed, length).ok()) {
            Some(net) => net,
            None => return length.quoted_or(whole).err(RuleReason::Length(most)),
        },
    };
    if net.trunc() != net {
        // Who gives a mapped address a length of IPv4 means IPv4, not the ::/24 around it.
        let meant = IpNet::new(parsed.to_canonical(), net.prefix_len()).unwrap_or(net);
        let (network, address) = (Prefix::new(meant), Prefix::new(parsed));
        return whole.err(RuleReason::HostBits { network, address });
    }
    let prefix = Prefix::new(net);
    let Some(zone) = zone else { return Ok(prefix) };
    if !prefix.has_zones() {
        return whole.err(RuleReason::NoZone);
    }
    match Zone::from_name(zone.text).and_then(|zone| prefix.with_zone(zone)) {
        Some(prefix) => Ok(prefix),
        None => zone.quoted_or(whole).err(RuleReason::Zone),
    }
}

impl Part<'_> {
    /// Itself, or the whole where there is nothing to see.
    fn quoted_or(self, whole: Self) -> Self {
        if self.text.is_empty() { whole } else { self }
    }
}

/// A length as it is written: digits, no sign, no leading zero.
fn number(text: &str) -> Option<u8> {
    let plain = text.bytes().all(|octet| octet.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    if plain { text.parse().ok() } else { None }
}

impl FromStr for Acl {
    type Err = RuleError;

    /// One rule a line; `#` begins a remark. The first error ends it.
    fn from_str(text: &str) -> Result<Self, RuleError> {
        let mut rules = Vec::new();
        let mut prefixes = 0;
        for (number, text) in (1..).zip(text.lines()) {
            let Some(rule) = line(text, number)? else { continue };
            prefixes += rule.prefixes().len();
            if prefixes > MOST {
                let text = rule.verdict().to_string();
                return Err(RuleError { line: number, column: 1, text, reason: RuleReason::TooMany });
            }
            rules.push((rule, number));
        }
        Ok(Self::with_lines(rules))
    }
}

/// The one rule of a text, which is the `number`th of a list.
pub(super) fn one(text: &str, number: usize) -> Result<Rule, RuleError> {
    let whole = Part { text, place: 0 }.trim();
    // A second line would be another rule.
    if let (_, Some(second)) = whole.cut('\n') {
        return Err(RuleError::new(text, number, second, RuleReason::Lines));
    }
    line(text, number)?.ok_or_else(|| RuleError::new(text, number, whole, RuleReason::Verdict))
}

impl FromStr for Rule {
    type Err = RuleError;

    /// One rule, with or without a remark behind it.
    fn from_str(text: &str) -> Result<Self, RuleError> {
        one(text, 1)
    }
}

impl FromStr for Prefix {
    type Err = RuleError;

    fn from_str(text: &str) -> Result<Self, RuleError> {
        parse_prefix(Part { text, place: 0 }.trim())
            .map_err(|(part, reason)| RuleError::new(text, 1, part, reason))
    }
}
