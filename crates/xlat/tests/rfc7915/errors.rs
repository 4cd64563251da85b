//! Sections 4.2, 4.3, 5.2 and 5.3: every type and code, and the packets within.

use super::common::{FIN, Ip4, Ip6, TCP, UDP, echo, fragment, icmp, ip4, ip6, payload, tcp, translated, udp};
use super::{A4, A6, B4, B6, config, outcome, plain, siit};
use sixgate_xlat::{Discard, Siit, Verdict};

/// A router on the IPv4 side, and as IPv6 sees it.
const R4: &str = "203.0.113.9";
const R6: &str = "2001:db8:64::cb00:7109";

/// An ICMPv4 error from a router to A, about A's packet to B.
fn error4(kind: u8, code: u8, rest: u32, about: &[u8]) -> Ip4 {
    ip4(R4, A4, 1, icmp(kind, code, rest, about)).sealed()
}

fn error6(kind: u8, code: u8, rest: u32, about: &[u8]) -> Ip6 {
    ip6(R6, A6, 58, icmp(kind, code, rest, about)).sealed()
}

fn word(body: &[u8]) -> u32 {
    u32::from_be_bytes(body[4..8].try_into().unwrap())
}

fn refused(siit: &mut Siit, octets: &[u8]) -> Discard {
    let outcome = outcome(siit, octets);
    assert!(outcome.sent.is_empty(), "no error about an error");
    match outcome.verdict {
        Verdict::Discarded(reason) => reason,
        other => panic!("{other:?}"),
    }
}

#[test]
fn types_and_codes_to_v6() {
    let about = ip4(A4, B4, UDP, udp(5, 6, 20)).sealed().octets();
    let wanted = |kind: u8, code: u8, pointer: u32| -> Option<(u8, u8, u32)> {
        match (kind, code) {
            (3, 0 | 1 | 5 | 6 | 7 | 8 | 11 | 12) => Some((1, 0, 0)),
            (3, 2) => Some((4, 1, 6)),
            (3, 3) => Some((1, 4, 0)),
            (3, 4) => Some((2, 0, 1280)),
            (3, 9 | 10 | 13 | 15) => Some((1, 1, 0)),
            (11, _) => Some((3, code, 0)),
            (12, 0 | 2) => {
                let table = [
                    (0, 0),
                    (1, 1),
                    (2, 4),
                    (3, 4),
                    (8, 7),
                    (9, 6),
                    (12, 8),
                    (13, 8),
                    (14, 8),
                    (15, 8),
                    (16, 24),
                    (17, 24),
                    (18, 24),
                    (19, 24),
                ];
                table.iter().find(|(from, _)| *from == pointer).map(|&(_, to)| (4, 0, to))
            }
            _ => None,
        }
    };
    for kind in [3, 11, 12] {
        for code in 0..=16 {
            for pointer in if kind == 12 { 0..25u32 } else { 0..1 } {
                let packet = error4(kind, code, pointer << 24, &about).octets();
                let Some(wanted) = wanted(kind, code, pointer) else {
                    assert_eq!(refused(&mut plain(), &packet), Discard::Icmp, "{kind} {code} {pointer}");
                    continue;
                };
                let got = Ip6::parse(&translated(&mut plain(), &packet));
                assert_eq!((got.body[0], got.body[1], word(&got.body)), wanted, "{kind} {code} {pointer}");
                assert_eq!((got.source.to_string(), got.destination.to_string()), (R6.into(), A6.into()));
                assert_eq!(got.hops, 63);
            }
        }
    }
}

#[test]
fn types_and_codes_to_v4() {
    let about = ip6(A6, B6, UDP, udp(5, 6, 20)).sealed().octets();
    let wanted = |kind: u8, code: u8, pointer: u32| -> Option<(u8, u8, u32)> {
        match (kind, code) {
            (1, 0 | 2 | 3) => Some((3, 1, 0)),
            (1, 1) => Some((3, 10, 0)),
            (1, 4) => Some((3, 3, 0)),
            (2, _) => Some((3, 4, 1300)),
            (3, _) => Some((11, code, 0)),
            (4, 0) => {
                let to = match pointer {
                    0 | 1 => pointer,
                    4 | 5 => 2,
                    6 => 9,
                    7 => 8,
                    8..=23 => 12,
                    24..=39 => 16,
                    _ => return None,
                };
                Some((12, 0, to << 24))
            }
            (4, 1) => Some((3, 2, 0)),
            _ => None,
        }
    };
    for kind in 1..=4 {
        for code in 0..=8 {
            for pointer in if kind == 4 { 0..45 } else { 0..1 } {
                let rest = if kind == 2 { 1320 } else { pointer };
                let packet = error6(kind, code, rest, &about).octets();
                let Some(wanted) = wanted(kind, code, pointer) else {
                    assert_eq!(refused(&mut plain(), &packet), Discard::Icmp, "{kind} {code} {pointer}");
                    continue;
                };
                let got = Ip4::parse(&translated(&mut plain(), &packet));
                assert_eq!((got.body[0], got.body[1], word(&got.body)), wanted, "{kind} {code} {pointer}");
                assert_eq!((got.source.to_string(), got.destination.to_string()), (R4.into(), A4.into()));
                assert_eq!(got.ttl, 63);
            }
        }
    }
}

/// Section 4.2: max(1280, min(told + 20, MTU of IPv6, MTU of IPv4 + 20)), and plateaus for routers that tell nothing.
#[test]
fn path_mtu_to_v6() {
    for (told, length, mtu_v4, mtu_v6, wanted) in [
        (1400, 1400, 9000, 9000, 1420),
        (1480, 1500, 9000, 9000, 1500),
        (1490, 1500, 9000, 1500, 1500),
        (1490, 1500, 1400, 9000, 1420),
        (1261, 1400, 9000, 9000, 1281),
        (1260, 1400, 9000, 9000, 1280),
        (68, 1400, 9000, 9000, 1280),
        (1, 1400, 9000, 9000, 1280),
        (0xffff, 1400, 9000, 9000, 9000),
        // The greatest plateau below the length of the packet, 1280 where there is none.
        (0, 1500, 9000, 9000, 1512),
        (0, 1492, 9000, 9000, 1280),
        (0, 4000, 9000, 9000, 2022),
        (0, 8166, 9000, 9000, 4372),
        (0, 9000, 9000, 9000, 8186),
    ] {
        let mut config = config();
        (config.mtu_v4, config.mtu_v6) = (mtu_v4, mtu_v6);
        let about = ip4(A4, B4, UDP, udp(5, 6, length - 28)).sealed().octets();
        let packet = error4(3, 4, told, &about[..500]);
        let got = Ip6::parse(&translated(&mut siit(config), &packet.octets()));
        assert_eq!(word(&got.body), wanted, "{told} {length}");
    }
}

/// Section 5.2: min(told - 20, MTU of IPv4, MTU of IPv6 - 20), with the Fragment header taken into account.
#[test]
fn path_mtu_to_v4() {
    for (told, mtu_v4, mtu_v6, with_fragment, wanted) in [
        (1280, 1500, 1500, false, 1260),
        (1400, 1500, 1500, false, 1380),
        (1400, 1500, 1500, true, 1372),
        (9000, 1400, 9000, false, 1400),
        (9000, 9000, 1500, false, 1480),
        (10, 1500, 1500, false, 0),
        (u32::MAX, 65_535, 65_535, false, 65_515),
    ] {
        let mut config = config();
        (config.mtu_v4, config.mtu_v6) = (mtu_v4, mtu_v6);
        let mut about = ip6(A6, B6, UDP, udp(5, 6, 1000));
        if with_fragment {
            about.extensions = vec![fragment(0, true, 9)];
        }
        let packet = error6(2, 0, told, &about.sealed().octets());
        let got = Ip4::parse(&translated(&mut siit(config), &packet.octets()));
        assert_eq!(word(&got.body), wanted, "{told}");
    }
}

/// The packet within is the one that the other side sent, checksum and all; its TTL stays.
#[test]
fn the_packet_within_to_v6() {
    for (protocol, body) in
        [(UDP, udp(5, 6, 40)), (TCP, tcp(5, 6, FIN, 40)), (1, echo(8, 7, 40)), (132, payload(50))]
    {
        let sent = ip6(A6, B6, protocol_of_v6(protocol), to_v6(body.clone())).sealed();
        let mut there = Ip4::parse(&translated(&mut plain(), &sent.octets()));
        there.ttl = 33;
        let got = Ip6::parse(&translated(&mut plain(), &error4(11, 0, 0, &there.octets()).octets()));
        let mut wanted = sent.clone();
        wanted.hops = 33;
        assert_eq!(got.body[8..], wanted.octets(), "{protocol}");
        // As much of it as a router sends at least: eight octets behind the header.
        let short = error4(11, 0, 0, &there.octets()[..28]);
        let got = Ip6::parse(&translated(&mut plain(), &short.octets()));
        assert_eq!(got.body[8..52], wanted.octets()[..44], "{protocol}: addresses and ports");
        assert_eq!(got.body.len(), 8 + 48);
    }
}

#[test]
fn the_packet_within_to_v4() {
    for (protocol, body) in
        [(UDP, udp(5, 6, 40)), (TCP, tcp(5, 6, FIN, 40)), (1, echo(8, 7, 40)), (132, payload(50))]
    {
        let mut sent = ip4(A4, B4, protocol, body).sealed();
        let mut there = Ip6::parse(&translated(&mut plain(), &sent.octets()));
        there.hops = 33;
        let got = Ip4::parse(&translated(&mut plain(), &error6(3, 0, 0, &there.octets()).octets()));
        // What the identification was, IPv6 does not tell.
        (sent.ttl, sent.id) = (33, 0);
        assert_eq!(got.body[8..], sent.octets(), "{protocol}");
    }
}

fn protocol_of_v6(protocol: u8) -> u8 {
    if protocol == 1 { 58 } else { protocol }
}

fn to_v6(mut body: Vec<u8>) -> Vec<u8> {
    if body[0] == 8 {
        body[0] = 128;
    }
    body
}

#[test]
fn fragments_within() {
    for (offset, mf) in [(0, true), (30, true), (30, false)] {
        let about = Ip4 { mf, offset, ..ip4(A4, B4, UDP, udp(5, 6, 200)) };
        let got = Ip6::parse(&translated(&mut plain(), &error4(3, 3, 0, &about.octets()).octets()));
        let inner = Ip6::parse(&got.body[8..]);
        assert_eq!((inner.fragment(), inner.protocol), (Some((offset, mf, 0x1234)), UDP));
        let back = ip6(R6, A6, 58, icmp(1, 4, 0, &got.body[8..])).sealed();
        let got = Ip4::parse(&translated(&mut plain(), &back.octets()));
        assert_eq!(Ip4::parse(&got.body[8..]).octets(), about.octets());
    }
}

#[test]
fn lengths_are_limited() {
    // 1280 octets of ICMPv6, 576 of ICMPv4.
    let about = ip4(A4, B4, UDP, udp(5, 6, 1400)).sealed().octets();
    assert_eq!(translated(&mut plain(), &error4(3, 3, 0, &about).octets()).len(), 1280);
    let about = ip6(A6, B6, UDP, udp(5, 6, 1400)).sealed().octets();
    assert_eq!(translated(&mut plain(), &error6(1, 4, 0, &about[..1232]).octets()).len(), 576);
    // What the packet within says of its length stays true to the original.
    let got = Ip4::parse(&translated(&mut plain(), &error6(1, 4, 0, &about[..1232]).octets()));
    assert_eq!(u16::from_be_bytes([got.body[10], got.body[11]]), 1428);
    // Options of the packet within are left out.
    let about = Ip4 { options: vec![1; 8], ..ip4(A4, B4, UDP, udp(5, 6, 30)).sealed() };
    let got = Ip6::parse(&translated(&mut plain(), &error4(3, 3, 0, &about.octets()).octets()));
    assert_eq!(got.body.len(), 8 + 40 + 38);
}

#[test]
fn errors_within_errors_and_damage() {
    let about = ip4(A4, B4, UDP, udp(5, 6, 20)).sealed().octets();
    let nested = ip4(A4, R4, 1, icmp(3, 3, 0, &about)).sealed().octets();
    assert_eq!(refused(&mut plain(), &error4(3, 3, 0, &nested).octets()), Discard::NestedError);
    let other = ip4(A4, R4, 1, icmp(13, 0, 0, &about)).sealed().octets();
    assert_eq!(refused(&mut plain(), &error4(3, 3, 0, &other).octets()), Discard::Icmp);
    let about6 = ip6(A6, B6, UDP, udp(5, 6, 20)).sealed().octets();
    let nested = ip6(A6, R6, 58, icmp(1, 3, 0, &about6)).sealed().octets();
    assert_eq!(refused(&mut plain(), &error6(1, 3, 0, &nested).octets()), Discard::NestedError);
    let mut damaged = error4(3, 3, 0, &about);
    damaged.body[20] ^= 1;
    assert_eq!(refused(&mut plain(), &damaged.octets()), Discard::IcmpChecksum);
    let mut damaged = error6(1, 3, 0, &about6);
    damaged.body[20] ^= 1;
    assert_eq!(refused(&mut plain(), &damaged.octets()), Discard::IcmpChecksum);
    for length in 0..20 {
        assert_eq!(refused(&mut plain(), &error4(3, 3, 0, &about[..length]).octets()), Discard::Malformed);
    }
    for length in 0..40 {
        assert_eq!(refused(&mut plain(), &error6(1, 3, 0, &about6[..length]).octets()), Discard::Malformed);
    }
}

/// RFC 4884 as section 4.2 asks for: the length field follows, extensions are passed on as they are.
#[test]
fn extensions() {
    // A header of version 2 and an object, eight octets.
    let extension = [0x20, 0, 0xde, 0xad, 0, 8, 1, 1, 1, 2, 3, 4];
    let about = ip4(A4, B4, UDP, udp(5, 6, 60)).sealed().octets();
    let mut padded = about.clone();
    padded.resize(128, 0);
    padded.extend(extension);
    for kind in [3, 11] {
        let packet = error4(kind, 1, (128 / 4) << 16, &padded);
        let there = translated(&mut plain(), &packet.octets());
        let got = Ip6::parse(&there);
        assert_eq!(word(&got.body) >> 24, 128 / 8);
        assert_eq!(got.body[8 + 128..], extension);
        assert_eq!(Ip6::parse(&got.body[8..]).body[8..68], about[28..]);
        let back = ip6(R6, A6, 58, got.body.clone()).sealed();
        let got = Ip4::parse(&translated(&mut plain(), &back.octets()));
        assert_eq!((word(&got.body), got.body[136..].to_vec()), ((128 / 4) << 16, extension.to_vec()));
    }
    // ICMPv6 has none for Packet Too Big and Parameter Problem.
    let packet = error4(3, 4, ((128 / 4) << 16) + 1400, &padded);
    let got = Ip6::parse(&translated(&mut plain(), &packet.octets()));
    assert_eq!((word(&got.body), got.body.len()), (1420, 8 + 20 + about.len()));
    // The original gives way where there is too little room; the extensions stay whole.
    let long = ip6(A6, B6, UDP, udp(5, 6, 1100)).sealed().octets();
    let content = [&long[..1144], &extension[..]].concat();
    let packet = error6(1, 3, (1144 / 8) << 24, &content);
    let got = Ip4::parse(&translated(&mut plain(), &packet.octets()));
    assert_eq!(got.body[got.body.len() - 12..], extension);
    assert_eq!((word(&got.body) >> 16) as usize * 4, got.body.len() - 8 - 12);
    assert!(got.body.len() + 20 <= 576);
}

/// RFC 6791: a router without an IPv4 address still is heard, by one of ours.
#[test]
fn routers_without_ipv4_address() {
    let about = ip6(B6, A6, UDP, udp(5, 6, 20)).sealed().octets();
    let packet = ip6("2001:db8:77::1", B6, 58, icmp(3, 0, 0, &about)).sealed();
    assert_eq!(refused(&mut plain(), &packet.octets()), Discard::Address);
    let mut config = config();
    config.error_sources = Some("192.0.2.128/28".parse().unwrap());
    let got = Ip4::parse(&translated(&mut siit(config.clone()), &packet.octets()));
    assert!(config.error_sources.unwrap().contains(&got.source));
    assert_eq!(got.destination.to_string(), B4);
    // Other packets from there are not translated.
    let packet = ip6("2001:db8:77::1", B6, UDP, udp(5, 6, 20)).sealed();
    assert_eq!(outcome(&mut siit(config), &packet.octets()).verdict, Verdict::Discarded(Discard::Address));
}
