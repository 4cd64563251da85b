//! Ten million sources: memory stays, the flood is named, and everybody else stays visible (R51).
//!
//! Each test is a process of its own under nextest, and so measures its own memory.

#![allow(clippy::unwrap_used, clippy::panic)]

use sixgate_endpoint::talkers::{Level, Limiter, Limits, Report, Talkers, Verdict};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

const SOURCES: u64 = 10_000_000;
/// After so many packets of the flood, each of the others sends one.
const EVERY: u64 = 1000;
const SITE: u64 = 0x2001_0db8_0001_0000;

fn v6(net: u64, rest: u64) -> IpAddr {
    Ipv6Addr::from_bits(u128::from(net) << 64 | u128::from(rest)).into()
}

/// Spreads numbers so that no two are equal.
fn spread(index: u64) -> u64 {
    let mixed = index.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    mixed ^ mixed >> 29
}

/// Resident memory of this process.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1024
}

fn others() -> Vec<IpAddr> {
    let mut others: Vec<IpAddr> = [
        "2a00:1::1",
        "2a00:1::2",
        "2a00:2:0:1::1",
        "2600:3::9",
        "fe80::1",
        "192.0.2.1",
        "198.51.100.7",
        "::ffff:203.0.113.9",
    ]
    .map(|peer| peer.parse().unwrap())
    .into();
    // And in the flood's own site and home, on other links.
    others.push(v6(SITE | 0x0100, 1));
    others.push(v6(SITE | 0x0001, 1));
    others
}

/// Counts the flood with everybody else in between, and checks that they are seen at every level.
fn flood(source: impl Fn(u64) -> IpAddr) -> (Talkers, Report) {
    let others = others();
    let before = resident();
    let mut talkers = Talkers::new();
    for index in 0..SOURCES {
        talkers.add(source(index), 1);
        if index % EVERY == 0 {
            for &other in &others {
                talkers.add(other, 1);
            }
        }
    }
    let grown = resident().saturating_sub(before);
    assert!(grown < 10_000_000, "memory grew by {grown} octets");
    let sent = SOURCES / EVERY;
    for &other in &others {
        let levels = if other.to_canonical().is_ipv4() { &Level::V4[..] } else { &Level::V6 };
        for (bounds, level) in talkers.bounds(other).iter().zip(levels) {
            let entry = talkers.entries(*level).find(|entry| entry.prefix == bounds.prefix);
            let entry = entry.unwrap_or_else(|| panic!("{other} is not seen at {level}: {bounds:?}"));
            assert!(entry.seen * 10 >= sent * 9, "{other} sent {sent}, and at {level} there is {entry}");
            assert!(entry.count() >= sent, "{other} sent {sent}, and at {level} there is {entry}");
        }
        let place = talkers
            .top(*levels.last().unwrap(), 20)
            .iter()
            .position(|entry| entry.prefix.addr() == other.to_canonical());
        assert!(place.is_some(), "{other} is not among the first 20");
    }
    let report = talkers.report(0.05);
    for &other in &others {
        let line = report.lines.iter().find(|line| line.entry.prefix.addr() == other.to_canonical());
        assert!(line.is_some_and(|line| line.entry.sources.is_none()), "{other} is not in {report}");
    }
    (talkers, report)
}

#[test]
fn from_one_link() {
    let (talkers, report) = flood(|index| v6(SITE, spread(index)));
    let first = &report.lines[0];
    assert_eq!(first.entry.prefix_text(), "2001:db8:1::/64", "{report}");
    assert_eq!((first.entry.seen, first.entry.error, first.rest), (SOURCES, 0, SOURCES));
    assert!(first.entry.sources.is_some_and(|sources| sources > SOURCES / 10), "{first:?}");
    // Nothing above it and nothing of it has a line of its own.
    assert_eq!(report.lines.len(), 1 + others().len(), "{report}");
    assert_eq!(talkers.entries(Level::Net64).map(|entry| entry.error).max(), Some(0));
    // What the flood leaves of the list of addresses is for others.
    let of_the_link =
        talkers.entries(Level::Host6).filter(|entry| first.entry.prefix.contains(&entry.prefix)).count();
    assert!(of_the_link <= 4096);
    println!("{report}\n{}", talkers.status());
}

#[test]
fn after_a_flood_newcomers_take_back_what_was_lent() {
    let mut talkers = Talkers::new();
    for index in 0..100_000 {
        talkers.add(v6(SITE, spread(index)), 1);
    }
    // A thousand newcomers, each in a site of its own, while the flood goes on: each is listed by its only
    // packet.
    let newcomer = |index: u64| v6(0x2a00_0000_0000_0000 + (index << 16), 1);
    for index in 0..1_000 {
        talkers.add(newcomer(index), 1);
        for more in 0..100 {
            talkers.add(v6(SITE, spread(1_000_000 + index * 100 + more)), 1);
        }
    }
    let listed =
        talkers.entries(Level::Host6).filter(|entry| !entry.prefix_text().starts_with("2001:db8:1:")).count();
    // But for buckets in which more than the share of them meet.
    assert!(listed >= 980, "{listed} are listed\n{}", talkers.status());
}

#[test]
fn over_a_site() {
    let (talkers, _) = flood(|index| v6(SITE | (index % 0x1_0000), spread(index)));
    let report = talkers.report(1.0);
    assert_eq!(report.lines[0].entry.prefix_text(), "2001:db8:1::/48", "{report}");
    assert_eq!(report.lines[0].entry.seen, SOURCES + 2 * SOURCES / EVERY);
    // Each of its /56s and /64s is too little for a line of its own.
    assert!(report.lines.iter().skip(1).all(|line| line.entry.prefix.addr().is_ipv4()), "{report}");
}

#[test]
fn over_a_provider() {
    let (talkers, report) = flood(|index| v6((0x2001_0db8 << 32) | (spread(index) >> 32), spread(index)));
    assert_eq!(report.lines.len(), others().len(), "{report}");
    println!("{report}\n{}", talkers.status());
}

#[test]
fn over_everything() {
    let (talkers, report) = flood(|index| v6((0x2000 << 48) | (spread(index) >> 3), spread(!index)));
    assert_eq!(report.lines.len(), others().len(), "{report}");
    println!("{report}\n{}", talkers.status());
}

#[test]
fn over_ipv4() {
    let (talkers, report) = flood(|index| Ipv4Addr::from_bits(0x0a00_0000 + index as u32).into());
    assert_eq!(report.lines.len(), others().len(), "{report}");
    println!("{report}\n{}", talkers.status());
}

#[test]
fn who_begins_during_a_flood_is_seen_too() {
    // As much as one packet in 500 of a flood over everything, which has filled all tables before.
    let others = others();
    let mut talkers = Talkers::new();
    let source = |index: u64| v6((0x2000 << 48) | (spread(index) >> 3), spread(!index));
    for index in 0..SOURCES / 5 {
        talkers.add(source(index), 1);
        if index > SOURCES / 10 && index % 500 == 0 {
            for &other in &others {
                talkers.add(other, 1);
            }
        }
    }
    let sent = SOURCES / 10 / 500;
    for &other in &others {
        let bounds = talkers.bounds(other);
        assert!(
            bounds.iter().all(|bounds| bounds.at_least * 10 > sent * 9),
            "{other} sent {sent}: {bounds:?}"
        );
    }
    let report = talkers.report(0.01);
    assert_eq!(report.lines.len(), others.len(), "{report}");
}

#[test]
fn through_the_limiter() {
    let before = resident();
    let mut limiter = Limiter::new(Limits::default());
    let mut allowed = 0;
    let others = others();
    // Ten seconds of a million a second.
    for index in 0..SOURCES / 2 {
        let now = Duration::from_micros(index);
        allowed += u64::from(limiter.check(now, v6(SITE | 0x8000, spread(index)), 1) == Verdict::Allowed);
        if index % 200_000 == 0 {
            for &other in &others {
                assert_eq!(limiter.check(now, other, 1), Verdict::Allowed, "{other}");
            }
        }
    }
    assert!((250..=300).contains(&allowed), "a link may make 50 and 50 a second: {allowed}");
    let grown = resident().saturating_sub(before);
    assert!(grown < 10_000_000, "memory grew by {grown} octets");
}
