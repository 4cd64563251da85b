//! Section 4, and its errors apart: [`super::errors`].

use super::common::{Ip4, Ip6, OWN_V4, TCP, UDP, echo, icmp, ip4, judge, payload, tcp, translated, udp};
use super::{A4, A6, B4, B6, config, outcome, plain, siit};
use sixgate_xlat::{Config, Discard, Event, Verdict, ZeroChecksum};

fn discarded(packet: &Ip4) -> (Discard, Vec<Vec<u8>>) {
    let mut siit = plain();
    let outcome = outcome(&mut siit, &packet.octets());
    let Verdict::Discarded(reason) = outcome.verdict else { panic!("{outcome:?} of {packet:?}") };
    assert_eq!(siit.counters().discarded(reason), 1);
    assert_eq!((siit.counters().to_v6, siit.counters().all_discarded()), (0, 1));
    (reason, outcome.sent)
}

/// The ICMP error that answered: type, code, what follows; checked to be about `about` and from us.
fn answer(sent: &[Vec<u8>], about: &Ip4) -> (u8, u8, u32) {
    let [error] = sent else { panic!("{} packets sent", sent.len()) };
    judge(error);
    assert!(error.len() <= 576, "RFC 1812 section 4.3.2.3");
    let error = Ip4::parse(error);
    assert_eq!((error.source, error.destination, error.protocol), (OWN_V4, about.source, 1));
    assert!(about.octets().starts_with(&error.body[8..]), "the packet is quoted as it came");
    assert!(error.body.len() >= 8 + 28.min(about.octets().len()));
    (error.body[0], error.body[1], u32::from_be_bytes(error.body[4..8].try_into().unwrap()))
}

#[test]
fn every_field_of_the_header() {
    let mut packet = ip4(A4, B4, UDP, udp(1000, 2000, 33)).sealed();
    packet.tos = 0b1011_1001;
    packet.ttl = 17;
    for df in [false, true] {
        packet.df = df;
        let octets = translated(&mut plain(), &packet.octets());
        let got = Ip6::parse(&octets);
        assert_eq!((got.class, got.label, got.hops, got.protocol), (0b1011_1001, 0, 16, UDP));
        assert_eq!((got.source.to_string(), got.destination.to_string()), (A6.into(), B6.into()));
        // No Fragment header for what is no fragment (section 4, RFC 8021).
        assert!(got.extensions.is_empty());
        assert_eq!(octets.len(), 40 + 8 + 33);
        assert_eq!(got.body[8..], packet.body[8..]);
    }
    let mut without = config();
    without.copy_traffic_class = false;
    let got = Ip6::parse(&translated(&mut siit(without), &packet.octets()));
    assert_eq!(got.class, 0);
}

#[test]
fn every_ecn_and_dscp_value_is_kept() {
    for tos in 0..=255 {
        let mut packet = ip4(A4, B4, TCP, tcp(1, 2, 16, 5)).sealed();
        packet.tos = tos;
        let there = translated(&mut plain(), &packet.octets());
        assert_eq!(Ip6::parse(&there).class, tos);
        assert_eq!(Ip4::parse(&translated(&mut plain(), &there)).tos, tos);
    }
}

#[test]
fn transports() {
    for (protocol, body) in [
        (TCP, tcp(1, 2, 2, 0)),
        (TCP, tcp(1, 2, 16, 1001)),
        (UDP, udp(1, 2, 0)),
        (UDP, udp(1, 2, 77)),
        // DCCP has a pseudo-header, SCTP, GRE and ESP have none; 59 is No Next Header, 253 for experiments.
        (33, payload(24)),
        (132, payload(24)),
        (47, payload(9)),
        (50, payload(40)),
        (51, payload(40)),
        (59, Vec::new()),
        (253, payload(3)),
    ] {
        let packet = ip4(A4, B4, protocol, body).sealed();
        let got = Ip6::parse(&translated(&mut plain(), &packet.octets()));
        assert_eq!((got.protocol, got.body.len()), (protocol, packet.body.len()));
        if !matches!(protocol, TCP | UDP | 33) {
            assert_eq!(got.body, packet.body);
        }
    }
}

#[test]
fn what_is_no_transport_is_not_passed_on() {
    for protocol in [0, 43, 44, 58, 60] {
        let packet = ip4(A4, B4, protocol, payload(40));
        let (reason, sent) = discarded(&packet);
        assert_eq!((reason, answer(&sent, &packet).1), (Discard::Protocol, 2));
    }
}

#[test]
fn a_wrong_checksum_stays_wrong() {
    let mut packet = ip4(A4, B4, UDP, udp(1, 2, 20)).sealed();
    packet.body[9] ^= 0x40;
    let outcome = outcome(&mut plain(), &packet.octets());
    assert_eq!(outcome.verdict, Verdict::Translated);
    assert!(!Ip6::parse(&outcome.sent[0]).sealed_as_is());
}

#[test]
fn ttl() {
    for (ttl, hops) in [(255, 254), (2, 1)] {
        let packet = Ip4 { ttl, ..ip4(A4, B4, UDP, udp(1, 2, 3)).sealed() };
        assert_eq!(Ip6::parse(&translated(&mut plain(), &packet.octets())).hops, hops);
    }
    for ttl in [0, 1] {
        let packet = Ip4 { ttl, ..ip4(A4, B4, UDP, udp(1, 2, 3)).sealed() };
        let (reason, sent) = discarded(&packet);
        assert_eq!((reason, answer(&sent, &packet)), (Discard::HopLimit, (11, 0, 0)));
    }
}

#[test]
fn options_are_left_out_but_a_source_route_with_hops_left_is_refused() {
    let route = |kind, pointer| vec![kind, 7, pointer, 10, 0, 0, 1, 0];
    let fine: [Vec<u8>; 7] = [
        vec![1, 1, 1, 0],
        vec![7, 7, 4, 0, 0, 0, 0, 0],
        vec![0x94, 4, 0, 0],
        vec![68, 8, 5, 0, 0, 0, 0, 0],
        route(131, 8),
        route(137, 8),
        // Behind the end of the list nothing is an option.
        [vec![0, 0, 0, 0], route(131, 4)].concat(),
    ];
    for options in fine {
        let packet = Ip4 { options, ..ip4(A4, B4, UDP, udp(1, 2, 3)).sealed() };
        let got = Ip6::parse(&translated(&mut plain(), &packet.octets()));
        assert_eq!((got.extensions.len(), got.body.len()), (0, 11), "{:?}", packet.options);
    }
    for options in [route(131, 4), route(137, 4), [vec![1, 1, 1, 1], route(131, 4)].concat()] {
        let packet = Ip4 { options, ..ip4(A4, B4, UDP, udp(1, 2, 3)).sealed() };
        let (reason, sent) = discarded(&packet);
        assert_eq!((reason, answer(&sent, &packet)), (Discard::SourceRoute, (3, 5, 0)));
    }
    // Options that are cut short or have no length are no reason to stop.
    for options in [vec![131, 0, 0, 0], vec![1, 1, 1, 131], vec![7, 255, 0, 0]] {
        let packet = Ip4 { options, ..ip4(A4, B4, UDP, udp(1, 2, 3)).sealed() };
        let _ = outcome(&mut plain(), &packet.octets());
    }
}

#[test]
fn addresses_that_nobody_has() {
    for never in ["0.0.0.0", "0.1.2.3", "127.0.0.1", "224.0.0.5", "239.1.1.1", "240.0.0.1", "255.255.255.255"]
    {
        for packet in [ip4(never, B4, UDP, udp(1, 2, 3)), ip4(A4, never, UDP, udp(1, 2, 3))] {
            assert_eq!(discarded(&packet.sealed()), (Discard::Martian, Vec::new()), "{never}");
        }
    }
}

/// Section 4.1: whence an error comes is left to be seen, however odd.
#[test]
fn errors_from_addresses_that_nobody_has() {
    let about = ip4(B4, A4, UDP, udp(1, 2, 3)).sealed().octets();
    for (from, passes) in
        [("0.0.0.0", true), ("127.0.0.1", true), ("224.0.0.1", false), ("255.255.255.255", false)]
    {
        let error = ip4(from, B4, 1, icmp(11, 0, 0, &about)).sealed();
        if passes {
            let got = Ip6::parse(&translated(&mut plain(), &error.octets()));
            assert_eq!(got.source, super::prefix().synthesise(error.source));
        } else {
            assert_eq!(discarded(&error), (Discard::Martian, Vec::new()));
        }
    }
    let error = ip4(A4, "127.0.0.1", 1, icmp(11, 0, 0, &about)).sealed();
    assert_eq!(discarded(&error), (Discard::Martian, Vec::new()));
}

#[test]
fn fragments_keep_offset_more_and_identification() {
    let whole = ip4(A4, B4, UDP, udp(5, 6, 2000)).sealed();
    for df in [false, true] {
        for (offset, mf, from, to) in [(0, true, 0, 1000), (125, true, 1000, 1200), (150, false, 1200, 2008)]
        {
            let packet =
                Ip4 { id: 0xbeef, offset, mf, df, body: whole.body[from..to].to_vec(), ..whole.clone() };
            let got = Ip6::parse(&translated(&mut plain(), &packet.octets()));
            assert_eq!(got.fragment(), Some((offset, mf, 0xbeef)));
            assert_eq!((got.protocol, got.body.len()), (UDP, to - from));
        }
    }
}

/// What the fragments of a packet are together.
fn reassembled(fragments: &[Vec<u8>]) -> Ip6 {
    let mut whole = Ip6::parse(&fragments[0]);
    whole.body.clear();
    for (number, octets) in fragments.iter().enumerate() {
        let piece = Ip6::parse(octets);
        let (offset, more, id) = piece.fragment().unwrap();
        assert_eq!((usize::from(offset) * 8, id), (whole.body.len(), 0x1234));
        assert_eq!(more, number + 1 != fragments.len());
        assert!(!more || piece.body.len().is_multiple_of(8));
        whole.body.extend(piece.body);
    }
    whole.extensions.clear();
    whole
}

#[test]
fn without_df_what_is_too_long_is_cut() {
    for (length, pieces, lowest) in
        [(1240, 1, 1280), (1241, 2, 1280), (1480, 2, 1280), (1460, 1, 1500), (1461, 2, 1500), (9000, 8, 1280)]
    {
        let mut config = config();
        config.lowest_ipv6_mtu = lowest;
        let packet = ip4(A4, B4, UDP, udp(5, 6, length - 8)).sealed();
        let mut siit = siit(config);
        let outcome = outcome(&mut siit, &packet.octets());
        assert_eq!(outcome.sent.len(), pieces, "{length} {lowest}");
        assert!(outcome.sent.iter().all(|octets| octets.len() <= usize::from(lowest)));
        assert_eq!(siit.counters().to_v6, pieces as u64);
        assert_eq!(siit.counters().fragmented, u64::from(pieces > 1));
        if pieces > 1 {
            let whole = reassembled(&outcome.sent);
            assert!(whole.sealed_as_is());
            assert_eq!(whole.body[8..], packet.body[8..]);
        }
    }
    // A fragment that is too long becomes several, at their places.
    let packet = Ip4 { offset: 10, mf: true, ..ip4(A4, B4, UDP, payload(1400)) };
    let outcome = outcome(&mut plain(), &packet.octets());
    let pieces: Vec<_> = outcome.sent.iter().map(|octets| Ip6::parse(octets).fragment().unwrap()).collect();
    assert_eq!(pieces, [(10, true, 0x1234), (10 + 154, true, 0x1234)]);
}

#[test]
fn with_df_what_is_too_long_is_refused_with_the_mtu_that_fits() {
    let packet = |length: usize| Ip4 { df: true, ..ip4(A4, B4, UDP, udp(5, 6, length - 28)).sealed() };
    assert_eq!(translated(&mut plain(), &packet(1480).octets()).len(), 1500);
    let (reason, sent) = discarded(&packet(1481));
    assert_eq!((reason, answer(&sent, &packet(1481))), (Discard::TooBig, (3, 4, 1480)));
    // A fragment needs eight octets more.
    let fragment = |length: usize| Ip4 { mf: true, ..packet(length) };
    assert_eq!(translated(&mut plain(), &fragment(1472).octets()).len(), 1500);
    let (reason, sent) = discarded(&fragment(1473));
    assert_eq!((reason, answer(&sent, &fragment(1473))), (Discard::TooBig, (3, 4, 1472)));
}

#[test]
fn udp_without_checksum() {
    let packet = ip4(A4, B4, UDP, udp(5, 6, 301));
    assert_eq!(packet.body[6..8], [0, 0]);
    translated(&mut plain(), &packet.octets());
    let mut config = config();
    config.zero_checksum = ZeroChecksum::Discard;
    let outcome = outcome(&mut siit(config), &packet.octets());
    assert_eq!(outcome.verdict, Verdict::Discarded(Discard::ZeroChecksum));
    assert_eq!(answer(&outcome.sent, &packet), (3, 13, 0));
    let [Event::ZeroChecksum { source, destination, .. }] = outcome.log[..] else { panic!("{outcome:?}") };
    assert_eq!((source.to_string(), destination.to_string()), (format!("{A4}:5"), format!("{B4}:6")));
    // Of many not all are written down.
    let mut siit = siit(Config { zero_checksum: ZeroChecksum::Discard, ..super::config() });
    let lines: usize = (0..100).map(|_| super::outcome(&mut siit, &packet.octets()).log.len()).sum();
    assert_eq!((lines, siit.counters().discarded(Discard::ZeroChecksum)), (10, 100));
    // Of a fragment it cannot be computed, whatever was asked for.
    let first = Ip4 { mf: true, ..packet.clone() };
    let (reason, sent) = discarded(&first);
    assert_eq!((reason, answer(&sent, &first)), (Discard::ZeroChecksum, (3, 13, 0)));
    // Its length is needed for it.
    let mut wrong = packet;
    wrong.body[4..6].copy_from_slice(&400u16.to_be_bytes());
    assert_eq!(discarded(&wrong), (Discard::Malformed, Vec::new()));
}

#[test]
fn icmp_messages_without_errors() {
    for (kind, new) in [(8, 128), (0, 129)] {
        let packet = ip4(A4, B4, 1, echo(kind, 77, 56)).sealed();
        let got = Ip6::parse(&translated(&mut plain(), &packet.octets()));
        assert_eq!((got.protocol, got.body[0], got.body[1]), (58, new, 0));
        assert_eq!(got.body[4..], packet.body[4..]);
    }
    // Source quench, redirect, alternative host address, router advertisement and solicitation, timestamps,
    // information requests and replies, address masks, and what nobody knows.
    for kind in [4, 5, 6, 9, 10, 13, 14, 15, 16, 17, 18, 30, 42, 128, 255] {
        let packet = ip4(A4, B4, 1, icmp(kind, 0, 0, &payload(28))).sealed();
        assert_eq!(discarded(&packet), (Discard::Icmp, Vec::new()), "{kind}");
    }
    assert_eq!(discarded(&ip4(A4, B4, 2, payload(8))), (Discard::Icmp, Vec::new()), "IGMP");
    for (offset, mf) in [(0, true), (3, false), (3, true)] {
        let packet = Ip4 { mf, offset, ..ip4(A4, B4, 1, echo(8, 1, 40)) };
        assert_eq!(discarded(&packet), (Discard::FragmentedIcmp, Vec::new()));
    }
}

#[test]
fn what_is_cut_short_or_damaged() {
    let packet = ip4(A4, B4, TCP, tcp(1, 2, 16, 100)).sealed().octets();
    for length in 0..packet.len() {
        let outcome = outcome(&mut plain(), &packet[..length]);
        assert_eq!(outcome.verdict, Verdict::Discarded(Discard::Malformed), "{length}");
        assert!(outcome.sent.is_empty());
    }
    for at in 1..20 {
        let mut damaged = packet.clone();
        damaged[at] ^= 0x10;
        let outcome = outcome(&mut plain(), &damaged);
        assert!(matches!(outcome.verdict, Verdict::Discarded(Discard::HeaderChecksum | Discard::Malformed)));
    }
    // Padding of the link behind the packet is not a part of it.
    let padded = [packet.as_slice(), &[9; 6]].concat();
    assert_eq!(translated(&mut plain(), &padded).len(), packet.len() + 20);
    for (protocol, length) in [(TCP, 19), (UDP, 7), (1, 7), (33, 7)] {
        assert_eq!(discarded(&ip4(A4, B4, protocol, payload(length))), (Discard::Tiny, Vec::new()));
        let first = Ip4 { mf: true, ..ip4(A4, B4, protocol, payload(length)) };
        assert!(matches!(discarded(&first).0, Discard::Tiny | Discard::FragmentedIcmp));
    }
    // RFC 3128: a second fragment that begins within the TCP header.
    let overwrites = Ip4 { offset: 1, ..ip4(A4, B4, TCP, payload(40)) };
    assert_eq!(discarded(&overwrites), (Discard::Tiny, Vec::new()));
    // Beyond the longest packet there can be.
    let beyond = Ip4 { offset: 8191, ..ip4(A4, B4, UDP, payload(40)) };
    assert_eq!(discarded(&beyond), (Discard::Malformed, Vec::new()));
}

#[test]
fn addresses_without_counterpart() {
    let mut siit = sixgate_xlat::Siit::clat(
        config(),
        "192.0.0.1/32".parse().unwrap(),
        "2001:db8::c1a7/128".parse().unwrap(),
        sixgate_endpoint::nat64::Prefix::WELL_KNOWN,
        fastrand::Rng::with_seed(1),
    )
    .unwrap();
    let packet = ip4("192.0.0.1", "9.9.9.9", UDP, udp(1, 2, 3)).sealed();
    let got = Ip6::parse(&translated(&mut siit, &packet.octets()));
    assert_eq!(got.source.to_string(), "2001:db8::c1a7");
    assert_eq!(got.destination.to_string(), "64:ff9b::909:909");
    // RFC 6052 section 3.1.
    let private = ip4("192.0.0.1", "10.1.1.1", UDP, udp(1, 2, 3)).sealed();
    let outcome = outcome(&mut siit, &private.octets());
    assert_eq!(outcome.verdict, Verdict::Discarded(Discard::Address));
    assert_eq!(answer(&outcome.sent, &private), (3, 13, 0));
}

#[test]
fn no_error_about_a_fragment_that_is_not_the_first_and_none_too_often() {
    let later = Ip4 { ttl: 1, offset: 4, ..ip4(A4, B4, UDP, payload(40)) };
    assert_eq!(discarded(&later), (Discard::HopLimit, Vec::new()));
    let mut siit = plain();
    let packet = Ip4 { ttl: 1, ..ip4(A4, B4, UDP, udp(1, 2, 3)).sealed() }.octets();
    let sent: usize = (0..1000).map(|_| outcome(&mut siit, &packet).sent.len()).sum();
    assert_eq!((sent, siit.counters().errors, siit.counters().errors_limited), (100, 100, 900));
}
