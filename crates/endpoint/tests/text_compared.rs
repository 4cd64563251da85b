//! The same texts read by us, by std, by Go's net/netip and by Python's ipaddress: where we differ, it is for a reason of this list.

use sixgate_endpoint::Endpoint;
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

const TEXTS: &str = include_str!("vectors/texts.txt");
const GO: &str = include_str!("vectors/go.tsv");
const PYTHON: &str = include_str!("vectors/python.tsv");

const AMBIGUOUS: &str = "::1:53 reads as address and port to a person, and as an address alone to a machine; of no use as an address (RFC 4291 section 2.5.5.1)";
const UNSCOPED: &str =
    "only addresses of limited scope have a zone (RFC 4007 section 5), and an IPv4 address never";
const BAD_ZONE: &str =
    "a zone is the name of an interface, of at most 15 plain characters, or a number that is not 0";
const PORT_ZEROS: &str = "a port has no leading zeros: 053 is octal to some";
const LONG_GROUP: &str =
    "a group has at most four digits (RFC 4291 section 2.2); Go 1.19 takes more where they begin with 0";
const BRACKETS: &str = "brackets may stand around an IPv6 address without a port (RFC 3986 section 3.2.2)";
const HASH: &str = "ADDRESS#PORT is read, as BIND, dnsmasq and unbound have it";
const NAMED_ZONE: &str = "a zone may be a name (RFC 4007 section 11.2)";
const MAPPED: &str = "a mapped address is the IPv4 address";
const LOOKS_LIKE_PORT: &str = "an address that looks like one with a port has brackets";
const ZONE_ZEROS: &str = "a zone's number has no leading zeros";

/// Whether a reason is one for this text; for what we and they print.
type Holds = fn(&str) -> bool;
type HoldsOfBoth = fn(&Endpoint, &str) -> bool;

/// Why we refuse what others read.
const REFUSED: [(&str, Holds); 5] = [
    (AMBIGUOUS, |text| {
        text.parse::<IpAddr>()
            .is_ok_and(|address| matches!(address, IpAddr::V6(address) if address.to_bits() >> 32 == 0))
    }),
    (UNSCOPED, |text| {
        let address = text.trim_start_matches('[').split('%').next().unwrap_or_default();
        text.contains('%') && address.parse::<Endpoint>().is_ok_and(|endpoint| !endpoint.has_zones())
    }),
    (BAD_ZONE, |text| {
        let (address, zone) = text.trim_start_matches('[').split_once('%').unwrap_or_default();
        let zone = zone.rsplit_once("]:").map_or(zone, |(zone, _)| zone);
        let plain = zone.bytes().all(|octet| octet.is_ascii_alphanumeric() || b"._-+@~".contains(&octet));
        let number = zone.bytes().all(|octet| octet.is_ascii_digit());
        address.parse::<Endpoint>().is_ok_and(|endpoint| endpoint.has_zones())
            && (!plain
                || zone.len() > 15
                || zone == "."
                || (number && !zone.parse::<u32>().is_ok_and(|index| index > 0)))
    }),
    (PORT_ZEROS, |text| {
        text.rsplit_once(':').is_some_and(|(_, port)| port.len() > 1 && port.starts_with('0'))
    }),
    (LONG_GROUP, |text| {
        text.split(['[', ']', ':', '%']).any(|group| group.len() > 4 && group.starts_with('0'))
    }),
];

/// Why we read what others refuse.
const READ: [(&str, Holds); 3] = [
    (BRACKETS, |text| text.starts_with('[') && text.ends_with(']')),
    (HASH, |text| text.contains('#')),
    (NAMED_ZONE, |text| text.contains('%')),
];

/// Why we print what we read otherwise than others do.
const PRINTED: [(&str, HoldsOfBoth); 3] = [
    (MAPPED, |ours, theirs| {
        ours.address().is_ipv4() && theirs.trim_start_matches('[').starts_with("::ffff:")
    }),
    (LOOKS_LIKE_PORT, |ours, theirs| ours.port().is_none() && ours.to_string() == format!("[{theirs}]")),
    (ZONE_ZEROS, |ours, theirs| {
        ours.zone().is_some_and(|zone| zone.index().is_some()) && theirs.contains("%0")
    }),
];

#[derive(Default)]
struct Tally {
    same: usize,
    differences: BTreeMap<&'static str, usize>,
    unexplained: Vec<String>,
}

impl Tally {
    fn compare(&mut self, text: &str, ours: Option<Endpoint>, theirs: Option<&str>) {
        let reason = match (&ours, theirs) {
            (None, None) => return self.same += 1,
            (Some(ours), Some(theirs)) if ours.to_string() == theirs => return self.same += 1,
            (Some(ours), Some(theirs)) => {
                PRINTED.iter().find(|(_, holds)| holds(ours, theirs)).map(|(reason, _)| reason)
            }
            (None, Some(_)) => REFUSED.iter().find(|(_, holds)| holds(text)).map(|(reason, _)| reason),
            (Some(_), None) => READ.iter().find(|(_, holds)| holds(text)).map(|(reason, _)| reason),
        };
        match reason {
            Some(reason) => *self.differences.entry(reason).or_default() += 1,
            None => self.unexplained.push(format!("{text:?}: ours {ours:?}, theirs {theirs:?}")),
        }
    }

    /// What is left over fails; so does a reason that nothing needs, among `reasons`.
    fn judge(&self, reasons: &[&str]) {
        assert!(self.unexplained.is_empty(), "{:#?}", self.unexplained);
        for reason in reasons {
            assert!(self.differences.contains_key(reason), "no longer a difference: {reason}");
        }
        for reason in self.differences.keys() {
            assert!(reasons.contains(reason), "a difference that is not in the list: {reason}");
        }
        assert!(self.same > 3000, "{}", self.same);
    }
}

fn ours(text: &str, with_port: bool) -> Option<Endpoint> {
    text.parse::<Endpoint>().ok().filter(|endpoint| endpoint.port().is_some() == with_port)
}

fn theirs(column: &str) -> Option<&str> {
    (column != "-").then_some(column)
}

#[test]
fn as_std() {
    let mut tally = Tally::default();
    for text in TEXTS.lines() {
        let address = text.parse::<IpAddr>().ok().map(|address| address.to_string());
        tally.compare(text, ours(text, false), address.as_deref());
        let socket = text.parse::<SocketAddr>().ok().map(|socket| socket.to_string());
        tally.compare(text, ours(text, true), socket.as_deref());
    }
    tally.judge(&[AMBIGUOUS, UNSCOPED, PORT_ZEROS, BRACKETS, HASH, NAMED_ZONE, MAPPED, LOOKS_LIKE_PORT]);
}

#[test]
fn as_go() {
    let mut tally = Tally::default();
    for (text, go) in TEXTS.lines().zip(GO.lines()) {
        let (address, with_port) = go.split_once('\t').unwrap();
        tally.compare(text, ours(text, false), theirs(address));
        tally.compare(text, ours(text, true), theirs(with_port));
    }
    tally.judge(&[
        AMBIGUOUS,
        UNSCOPED,
        BAD_ZONE,
        PORT_ZEROS,
        LONG_GROUP,
        BRACKETS,
        HASH,
        MAPPED,
        LOOKS_LIKE_PORT,
        ZONE_ZEROS,
    ]);
}

#[test]
fn as_python() {
    let mut tally = Tally::default();
    for (text, python) in TEXTS.lines().zip(PYTHON.lines()) {
        tally.compare(text, ours(text, false), theirs(python));
    }
    tally.judge(&[AMBIGUOUS, UNSCOPED, BAD_ZONE, BRACKETS, MAPPED, LOOKS_LIKE_PORT, ZONE_ZEROS]);
}
