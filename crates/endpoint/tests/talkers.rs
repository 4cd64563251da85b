//! Talkers against an exact count of everything.

#![allow(clippy::unwrap_used, clippy::panic, clippy::cast_precision_loss, clippy::cast_sign_loss)]

use sixgate_endpoint::talkers::{Level, Talkers};
use sixgate_endpoint::{Endpoint, Family};
use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// Everything that was ever counted; aged by halves, which is exact in a float this side of 2^53.
#[derive(Default)]
struct Oracle {
    counts: HashMap<(Level, IpAddr), f64>,
    peers: Vec<IpAddr>,
}

fn network(level: Level, peer: IpAddr) -> IpAddr {
    match peer {
        IpAddr::V6(address) => {
            Ipv6Addr::from_bits(address.to_bits() & u128::MAX << (128 - level.prefix_len())).into()
        }
        IpAddr::V4(address) => {
            Ipv4Addr::from_bits(address.to_bits() & u32::MAX << (32 - level.prefix_len())).into()
        }
    }
}

impl Oracle {
    fn add(&mut self, peer: IpAddr, weight: u64) {
        for &level in Level::of(Family::of(peer)) {
            *self.counts.entry((level, network(level, peer))).or_default() += weight as f64;
        }
        self.peers.push(peer);
    }

    fn halve(&mut self) {
        self.counts.values_mut().for_each(|count| *count /= 2.0);
    }

    fn check(&self, talkers: &Talkers) {
        for level in Level::ALL {
            for entry in talkers.entries(level) {
                let truth = self.counts[&(level, entry.prefix.addr())];
                assert!(
                    entry.seen as f64 <= truth && truth <= entry.count() as f64,
                    "{entry}, truly {truth}"
                );
                assert_eq!(entry.prefix.prefix_len(), level.prefix_len());
            }
        }
        for &peer in &self.peers {
            let levels = Level::of(Family::of(peer));
            for (bounds, &level) in talkers.bounds(peer).iter().zip(levels) {
                let truth = self.counts[&(level, network(level, peer))];
                let (least, most) = (bounds.at_least as f64, bounds.at_most as f64);
                assert!(least <= truth && truth <= most, "{bounds:?}, truly {truth}");
            }
        }
        for family in Family::BOTH {
            let all = self.counts.iter().filter(|((level, _), _)| *level == Level::of(family)[0]);
            assert!(all.map(|(_, count)| count).sum::<f64>() <= talkers.total(family) as f64);
        }
    }
}

fn v6(net: u64, rest: u64) -> IpAddr {
    Ipv6Addr::from_bits(u128::from(net) << 64 | u128::from(rest)).into()
}

/// A peer of one of the kinds that streams are made of: the same few, ever new ones in networks of every
/// size, in order.
fn peer(random: &mut fastrand::Rng, kind: u8, index: u64) -> IpAddr {
    let site = 0x2001_0db8_0000_0000;
    match kind {
        0 => v6(site, random.u64(..)),
        1 => v6(site | random.u64(..0x1_0000), random.u64(..4)),
        2 => v6(0x2000 << 48 | random.u64(..) >> 3, random.u64(..)),
        3 => v6(site + index, index),
        4 => v6(site | random.u64(..16) << 16 | random.u64(..4), random.u64(..8)),
        5 => Ipv4Addr::from_bits(random.u32(..)).into(),
        6 => Ipv4Addr::from_bits(0x0a00_0000 + index as u32).into(),
        // Zipf, in both families.
        kind => {
            let rank = (random.f64() * 10_f64.ln() * 4.0).exp() as u64;
            if kind % 2 == 0 {
                v6(rank.wrapping_mul(0x9e37_79b9_7f4a_0000), rank)
            } else {
                Ipv4Addr::from_bits(rank as u32 * 77).into()
            }
        }
    }
}

#[test]
fn bounds_hold_on_any_stream() {
    for seed in 0..60 {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut talkers = Talkers::with_seed(64 << (seed % 3), seed);
        let mut oracle = Oracle::default();
        let mut kind = 0;
        let ages = seed % 2 == 0;
        for index in 0..6_000 {
            if index % 200 == 0 {
                kind = random.u8(..10);
            }
            let kind = if random.u8(..4) == 0 { 7 + random.u8(..2) } else { kind };
            let peer = peer(&mut random, kind, index);
            let weight = if seed % 3 == 0 { random.u64(1..1500) } else { 1 };
            talkers.add(peer, weight);
            oracle.add(peer, weight);
            if ages && random.u32(..500) == 0 {
                talkers.halve();
                oracle.halve();
            }
        }
        let status = talkers.status();
        assert!(
            status.levels.iter().all(|level| level.used <= level.capacity && level.replaced > 0),
            "{status}"
        );
        oracle.check(&talkers);
    }
}

#[test]
fn counts_are_exact_while_there_is_room() {
    let mut talkers = Talkers::new();
    let mut oracle = Oracle::default();
    for index in 0..500 {
        let address = v6(0x2001_0db8_0000_0000 + (index << 16), index);
        for _ in 0..=index % 7 {
            talkers.add(address, 3);
            oracle.add(address, 3);
        }
    }
    for level in Level::V6 {
        assert_eq!(talkers.entries(level).count(), 500);
        for entry in talkers.entries(level) {
            assert_eq!(
                (entry.seen, entry.error),
                (oracle.counts[&(level, entry.prefix.addr())] as u64, 0),
                "{entry}"
            );
        }
    }
}

#[test]
fn what_was_seen_most_is_at_the_top_of_a_zipf_stream() {
    let mut random = fastrand::Rng::with_seed(7);
    let mut talkers = Talkers::with_seed(1024, 7);
    let mut oracle = Oracle::default();
    for index in 0..400_000 {
        let peer = peer(&mut random, 8, index);
        talkers.add(peer, 1);
        oracle.add(peer, 1);
    }
    let mut truth: Vec<_> = oracle
        .counts
        .iter()
        .filter(|((level, _), _)| *level == Level::Host6)
        .map(|((_, host), &count)| (count, *host))
        .collect();
    truth.sort_by(|a, b| b.0.total_cmp(&a.0));
    let top: Vec<_> = talkers.top(Level::Host6, 20).iter().map(|entry| entry.prefix.addr()).collect();
    for (_, host) in &truth[..15] {
        assert!(top.contains(host), "{host} is not in {top:?}");
    }
}

#[test]
fn whoever_talks_now_comes_to_the_top() {
    let mut talkers = Talkers::new();
    let (before, now): (IpAddr, IpAddr) = ("2001:db8::1".parse().unwrap(), "2001:db8::2".parse().unwrap());
    let minute = std::time::Duration::from_mins(1);
    assert_eq!(talkers.age(minute, minute), 0);
    talkers.add(before, 1000);
    assert_eq!(talkers.age(minute * 5, minute), 4);
    talkers.add(now, 100);
    let top = talkers.top(Level::Host6, 2);
    assert_eq!((top[0].prefix.addr(), top[0].seen, top[1].seen), (now, 100, 62));
    // Time that stands still or goes back ages nothing; a very long time forgets all.
    assert_eq!(talkers.age(minute * 5, minute), 0);
    assert_eq!(talkers.age(minute, minute), 0);
    assert_eq!(talkers.total(Family::V6), 163);
    talkers.age(std::time::Duration::MAX, std::time::Duration::from_nanos(1));
    assert_eq!(talkers.entries(Level::Host6).count(), 0);
    talkers.add(now, 1);
    talkers.clear();
    assert_eq!((talkers.entries(Level::Net48).count(), talkers.total(Family::V6)), (0, 0));
}

#[test]
fn each_type_of_peer_counts_the_same_and_mapped_ones_are_ipv4() {
    let mut talkers = Talkers::new();
    let socket: SocketAddr = "[::ffff:192.0.2.1]:53".parse().unwrap();
    talkers.add(socket, 1);
    talkers.add(socket.ip(), 1);
    talkers.add("::ffff:192.0.2.1".parse::<Ipv6Addr>().unwrap(), 1);
    talkers.add(Ipv4Addr::new(192, 0, 2, 1), 1);
    talkers.add(Endpoint::from(socket), 1);
    talkers.add("fe80::1%eth0".parse::<Endpoint>().unwrap(), 1);
    assert_eq!((talkers.total(Family::V4), talkers.total(Family::V6)), (5, 1));
    let top = talkers.top(Level::Host4, 9);
    assert_eq!((top.len(), top[0].to_string()), (1, "192.0.2.1 seen 5".to_owned()));
    assert_eq!(talkers.top(Level::Net24, 1)[0].to_string(), "192.0.2.0/24 seen 5, about 1 address");
    assert_eq!(talkers.top(Level::Net64, 1)[0].prefix_text(), "fe80::/64");
}

#[test]
fn the_report_names_where_traffic_comes_together() {
    let mut talkers = Talkers::new();
    let mut random = fastrand::Rng::with_seed(3);
    for _ in 0..1_000 {
        // One /64, one /56 and one /48, all of many, and three hosts of which one is in the first /64.
        talkers.add(v6(0x2001_0db8_0001_0000, random.u64(..)), 1);
        talkers.add(v6(0x2001_0db8_0002_0000 | random.u64(..0x100), random.u64(..)), 1);
        talkers.add(v6(0x2001_0db8_0003_0000 | random.u64(..0x1_0000), random.u64(..)), 1);
        talkers.add(v6(0x2001_0db8_0001_0000, 1), 2);
        talkers.add(v6(0x2001_0db8_0004_0000, 1), 1);
        talkers.add(Ipv4Addr::new(192, 0, 2, random.u8(..)), 1);
    }
    talkers.add(Ipv4Addr::new(198, 51, 100, 1), 300);
    talkers.add(v6(0x2001_0db8_0005_0000, 1), 100);
    let report = talkers.report(5.0);
    let mut named: Vec<_> = report.lines.iter().map(|line| (line.entry.prefix_text(), line.rest)).collect();
    named.sort();
    assert_eq!(
        named,
        [
            ("192.0.2.0/24".to_owned(), 1000),
            ("198.51.100.1".to_owned(), 300),
            ("2001:db8:1::/64".to_owned(), 1000),
            ("2001:db8:1::1".to_owned(), 2000),
            ("2001:db8:2::/56".to_owned(), 1000),
            ("2001:db8:3::/48".to_owned(), 1000),
            ("2001:db8:4::1".to_owned(), 1000),
        ]
    );
    let text = report.to_string();
    assert_eq!(text.lines().next(), Some("IPv6 6100 in all, IPv4 1300 in all"));
    assert!(text.lines().nth(1).is_some_and(|line| line == " 32.8 %  2001:db8:1::1 seen 2000"), "{text}");
    assert!(text.contains("2001:db8:1::/64 seen 3000, about "), "{text}");
    assert!(text.contains(" addresses, 1000 without its parts on other lines"), "{text}");
}

#[test]
fn a_link_with_many_sources_is_told_from_one_with_one() {
    let mut errors = Vec::new();
    for seed in 0..30 {
        let mut talkers = Talkers::with_seed(64, seed);
        for index in 0..20_000 {
            // In order, as a scan does.
            talkers.add(v6(0x2001_0db8_0001_0000, index), 1);
            talkers.add(v6(0x2001_0db8_0002_0000, 1), 1);
        }
        let sources: HashMap<_, _> = talkers
            .entries(Level::Net64)
            .map(|entry| (entry.prefix_text(), entry.sources.unwrap()))
            .collect();
        assert_eq!(sources["2001:db8:2::/64"], 1);
        errors.push(sources["2001:db8:1::/64"]);
    }
    errors.sort_unstable();
    assert!(errors[0] > 2_000 && errors[29] < 200_000, "{errors:?}");
    assert!((15_000..27_000).contains(&errors[15]), "{errors:?}");
}

#[test]
fn sums_end_and_nothing_overflows() {
    let mut talkers = Talkers::with_seed(64, 1);
    for index in 0..2_000 {
        talkers.add(v6(index << 16, index), u64::MAX);
        talkers.add(v6(index << 16, index), u64::MAX);
        talkers.add(v6(index << 16, index), 0);
    }
    talkers.halve();
    assert_eq!(talkers.total(Family::V6), 1 << 60);
    talkers.report(0.0);
    talkers.report(f64::NAN);
    talkers.report(-1.0);
    assert_eq!(talkers.report(200.0).lines, []);
}

#[test]
fn memory_is_what_was_asked_for() {
    for octets in [0, 20_000, 100_000, 1 << 20, 10 << 20] {
        let memory = Talkers::with_memory(octets).status().memory;
        assert!(memory <= octets.max(16_000) && memory * 2 + 32_000 > octets, "{octets}: {memory}");
    }
    let status = Talkers::with_entries(1000).status();
    assert!(status.levels.iter().all(|level| level.capacity == 1024), "{status}");
}

#[cfg(feature = "serde")]
#[test]
fn prints_as_json() {
    let mut talkers = Talkers::new();
    talkers.add(v6(0x2001_0db8_0000_0000, 1), 2);
    talkers.add(v6(0x2001_0db8_0000_0000, 2), 1);
    let json = serde_json::to_value(talkers.report(60.0)).unwrap();
    let line =
        serde_json::json!({"prefix": "2001:db8::1", "seen": 2, "error": 0, "sources": null, "rest": 2});
    assert_eq!(json, serde_json::json!({"lines": [line], "total_v6": 3, "total_v4": 0}));
    let json = serde_json::to_value(talkers.top(Level::Net48, 1)).unwrap();
    assert_eq!(json[0]["prefix"], "2001:db8::/48");
    assert_eq!(serde_json::to_value(talkers.status()).unwrap()["levels"][0]["level"], "IPv6 /48");
}
