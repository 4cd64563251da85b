//! Section 5, and its errors apart: [`super::errors`].

use super::common::{
    Ip4, Ip6, OWN_V6, TCP, UDP, echo, fragment, icmp, ip6, judge, payload, tcp, translated, udp,
};
use super::{A4, A6, B4, B6, config, outcome, plain, siit};
use sixgate_xlat::{Discard, Verdict};

fn discarded(packet: &Ip6) -> (Discard, Vec<Vec<u8>>) {
    let mut siit = plain();
    let outcome = outcome(&mut siit, &packet.octets());
    let Verdict::Discarded(reason) = outcome.verdict else { panic!("{outcome:?} of {packet:?}") };
    assert_eq!(siit.counters().discarded(reason), 1);
    assert_eq!((siit.counters().to_v4, siit.counters().all_discarded()), (0, 1));
    (reason, outcome.sent)
}

fn answer(sent: &[Vec<u8>], about: &Ip6) -> (u8, u8, u32) {
    let [error] = sent else { panic!("{} packets sent", sent.len()) };
    judge(error);
    assert!(error.len() <= 1280, "RFC 4443 section 2.4 (c)");
    let error = Ip6::parse(error);
    assert_eq!((error.source, error.destination, error.protocol), (OWN_V6, about.source, 58));
    assert!(about.octets().starts_with(&error.body[8..]), "the packet is quoted as it came");
    assert_eq!(error.body.len(), 8 + about.octets().len().min(1232));
    (error.body[0], error.body[1], u32::from_be_bytes(error.body[4..8].try_into().unwrap()))
}

#[test]
fn every_field_of_the_header() {
    let mut packet = ip6(A6, B6, UDP, udp(1000, 2000, 33)).sealed();
    packet.class = 0b1011_1001;
    packet.label = 0xabcde;
    packet.hops = 17;
    let octets = translated(&mut plain(), &packet.octets());
    let got = Ip4::parse(&octets);
    assert_eq!((octets[0], got.tos, got.ttl, got.protocol), (0x45, 0b1011_1001, 16, UDP));
    assert_eq!((got.source.to_string(), got.destination.to_string()), (A4.into(), B4.into()));
    assert_eq!((got.df, got.mf, got.offset), (false, false, 0));
    assert_eq!(got.body[8..], packet.body[8..]);
    let mut without = config();
    without.copy_traffic_class = false;
    assert_eq!(Ip4::parse(&translated(&mut siit(without), &packet.octets())).tos, 0);
}

/// Section 5.1: DF is clear up to 1260 octets of IPv4, and identifications differ.
#[test]
fn df_and_identification() {
    let mut siit = plain();
    let mut seen = std::collections::HashSet::new();
    for (length, df) in [(8, false), (1240, false), (1241, true), (1480, true)] {
        for _ in 0..20 {
            let packet = ip6(A6, B6, UDP, udp(1, 2, length - 8)).sealed();
            let got = Ip4::parse(&translated(&mut siit, &packet.octets()));
            assert_eq!(got.df, df, "{length}");
            assert!(seen.insert(got.id));
        }
    }
}

#[test]
fn hop_limit() {
    for hops in [0, 1] {
        let packet = Ip6 { hops, ..ip6(A6, B6, UDP, udp(1, 2, 3)).sealed() };
        let (reason, sent) = discarded(&packet);
        assert_eq!((reason, answer(&sent, &packet)), (Discard::HopLimit, (3, 0, 0)));
    }
    let packet = Ip6 { hops: 2, ..ip6(A6, B6, UDP, udp(1, 2, 3)).sealed() };
    assert_eq!(Ip4::parse(&translated(&mut plain(), &packet.octets())).ttl, 1);
}

/// Hop-by-hop (0), routing (43) and destination options (60) of one or several units of eight octets.
fn extension(kind: u8, units: usize) -> (u8, Vec<u8>) {
    let mut octets = vec![0; units * 8];
    octets[1] = (units - 1) as u8;
    octets[2] = 1;
    (kind, octets)
}

#[test]
fn extension_headers_are_skipped() {
    for kinds in [vec![0], vec![43], vec![60], vec![0, 60, 43, 60], vec![60; 8]] {
        for units in [1, 3] {
            let mut packet = ip6(A6, B6, TCP, tcp(1, 2, 2, 50)).sealed();
            packet.extensions = kinds.iter().map(|&kind| extension(kind, units)).collect();
            let octets = translated(&mut plain(), &packet.octets());
            assert_eq!(octets.len(), 20 + 70, "{kinds:?}");
            // The same with a Fragment header behind them.
            packet.extensions.push(fragment(0, true, 0xaaaa_5678));
            let got = Ip4::parse(&translated(&mut plain(), &packet.octets()));
            assert_eq!((got.protocol, got.id, got.mf, got.offset), (TCP, 0x5678, true, 0));
        }
    }
    let mut packet = ip6(A6, B6, TCP, tcp(1, 2, 2, 50)).sealed();
    packet.extensions = vec![extension(60, 1); 10];
    let (reason, sent) = discarded(&packet);
    assert_eq!((reason, answer(&sent, &packet)), (Discard::Extensions, (1, 1, 0)));
    // Longer than the packet.
    packet.extensions = vec![extension(60, 1)];
    let mut octets = packet.octets();
    octets[41] = 200;
    assert_eq!(outcome(&mut plain(), &octets).verdict, Verdict::Discarded(Discard::Malformed));
}

#[test]
fn segments_left() {
    for before in [vec![], vec![extension(0, 2)]] {
        let mut packet = ip6(A6, B6, UDP, udp(1, 2, 3)).sealed();
        let pointer = 40 + before.len() * 16 + 3;
        packet.extensions = before;
        packet
            .extensions
            .push((43, vec![0, 2, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]));
        let (reason, sent) = discarded(&packet);
        assert_eq!((reason, answer(&sent, &packet)), (Discard::SegmentsLeft, (4, 0, pointer as u32)));
    }
}

#[test]
fn behind_the_fragment_header_no_extension_header() {
    for kind in [0, 43, 44, 51, 60, 135, 139, 140] {
        let mut packet = ip6(A6, B6, kind, payload(40));
        packet.extensions = vec![fragment(0, true, 1)];
        let (reason, sent) = discarded(&packet);
        assert_eq!(reason, Discard::ExtensionAfterFragment, "{kind}");
        assert_eq!(answer(&sent, &packet), (1, 1, 0));
    }
    let mut esp = ip6(A6, B6, 50, payload(40));
    esp.extensions = vec![fragment(0, true, 1)];
    assert_eq!(Ip4::parse(&translated(&mut plain(), &esp.octets())).protocol, 50);
}

#[test]
fn fragments() {
    for (offset, more, length) in [(0, true, 800), (100, true, 1240), (100, false, 1241), (0, false, 100)] {
        let mut packet = ip6(A6, B6, UDP, udp(1, 2, length - 8));
        packet.extensions = vec![fragment(offset, more, 0xdead_beef)];
        if offset == 0 {
            packet = packet.sealed();
        }
        let got = Ip4::parse(&translated(&mut plain(), &packet.octets()));
        assert_eq!((got.offset, got.mf, got.id, got.df), (offset, more, 0xbeef, false), "section 5.1.1");
        assert_eq!(got.body.len(), length);
    }
    // ICMP: only what is whole (an atomic fragment, RFC 6946).
    let mut packet = ip6(A6, B6, 58, echo(128, 5, 40)).sealed();
    packet.extensions = vec![fragment(0, false, 7)];
    assert_eq!(Ip4::parse(&translated(&mut plain(), &packet.octets())).id, 7);
    for (offset, more) in [(0, true), (3, false)] {
        packet.extensions = vec![fragment(offset, more, 7)];
        assert_eq!(discarded(&packet), (Discard::FragmentedIcmp, Vec::new()));
    }
    let mut overwrites = ip6(A6, B6, TCP, payload(40));
    overwrites.extensions = vec![fragment(1, false, 7)];
    assert_eq!(discarded(&overwrites), (Discard::Tiny, Vec::new()));
    let mut beyond = ip6(A6, B6, UDP, payload(40));
    beyond.extensions = vec![fragment(8191, false, 7)];
    assert_eq!(discarded(&beyond), (Discard::Malformed, Vec::new()));
}

#[test]
fn too_long_for_the_ipv4_link() {
    let mut config = config();
    config.mtu_v4 = 1400;
    let packet = |length: usize| ip6(A6, B6, UDP, udp(1, 2, length - 48)).sealed();
    assert_eq!(translated(&mut siit(config.clone()), &packet(1420).octets()).len(), 1400);
    let got = outcome(&mut siit(config.clone()), &packet(1421).octets());
    assert_eq!(got.verdict, Verdict::Discarded(Discard::TooBig));
    assert_eq!(answer(&got.sent, &packet(1421)), (2, 0, 1420));
    let mut piece = packet(1429);
    piece.extensions = vec![fragment(0, true, 1)];
    let got = outcome(&mut siit(config.clone()), &piece.octets());
    assert_eq!(answer(&got.sent, &piece), (2, 0, 1428), "a Fragment header goes with it");
    // An IPv6 host need not send less than 1280 octets: it is cut as IPv4, and DF is clear.
    config.mtu_v4 = 576;
    let got = outcome(&mut siit(config.clone()), &packet(1280).octets());
    assert_eq!(got.verdict, Verdict::Replaced);
    let pieces: Vec<Ip4> = got.sent.iter().map(|octets| Ip4::parse(octets)).collect();
    let mut whole = Ip4 { mf: false, body: Vec::new(), ..pieces[0].clone() };
    for piece in &pieces {
        assert_eq!((usize::from(piece.offset) * 8, piece.id), (whole.body.len(), whole.id));
        assert!(!piece.df && piece.body.len() <= 556);
        whole.body.extend(&piece.body);
    }
    assert_eq!((pieces.len(), pieces.last().unwrap().mf), (3, false));
    judge(&whole.octets());
    let got = outcome(&mut siit(config), &packet(1281).octets());
    assert_eq!(answer(&got.sent, &packet(1281)), (2, 0, 1280));
}

#[test]
fn icmpv6_messages_without_errors() {
    for (kind, new) in [(128, 8), (129, 0)] {
        let packet = ip6(A6, B6, 58, echo(kind, 77, 56)).sealed();
        let got = Ip4::parse(&translated(&mut plain(), &packet.octets()));
        assert_eq!((got.protocol, got.body[0], got.body[1]), (1, new, 0));
        assert_eq!(got.body[4..], packet.body[4..]);
    }
    // MLD, neighbour discovery, router renumbering, node information, and what nobody knows.
    for kind in [0, 5, 100, 127, 130, 131, 132, 133, 134, 135, 136, 137, 138, 139, 140, 143, 200, 255] {
        let packet = ip6(A6, B6, 58, icmp(kind, 0, 0, &payload(48))).sealed();
        assert_eq!(discarded(&packet), (Discard::Icmp, Vec::new()), "{kind}");
    }
}

#[test]
fn what_is_no_transport_is_not_passed_on() {
    for protocol in [1, 2] {
        let packet = ip6(A6, B6, protocol, payload(40));
        let (reason, sent) = discarded(&packet);
        assert_eq!((reason, answer(&sent, &packet).1), (Discard::Protocol, 4));
    }
    let zero = ip6(A6, B6, UDP, udp(1, 2, 3));
    assert_eq!(discarded(&zero), (Discard::ZeroChecksum, Vec::new()), "RFC 8200 section 8.1");
}

#[test]
fn addresses_that_nobody_has() {
    for never in ["::", "::1", "ff02::1", "ff0e::1", "fe80::1", "::ffff:192.0.2.1"] {
        for packet in [ip6(never, B6, UDP, udp(1, 2, 3)), ip6(A6, never, UDP, udp(1, 2, 3))] {
            assert_eq!(discarded(&packet.sealed()), (Discard::Martian, Vec::new()), "{never}");
        }
    }
    // Nor behind the prefix.
    for never in ["127.0.0.1", "0.0.0.0", "224.0.0.1", "240.0.0.1", "255.255.255.255"] {
        let never = super::prefix().synthesise(never.parse().unwrap()).to_string();
        for packet in [ip6(&never, B6, UDP, udp(1, 2, 3)), ip6(A6, &never, UDP, udp(1, 2, 3))] {
            assert_eq!(discarded(&packet.sealed()).0, Discard::Martian, "{never}");
        }
    }
    let elsewhere = ip6("2001:db8:99::1", B6, UDP, udp(1, 2, 3)).sealed();
    let (reason, sent) = discarded(&elsewhere);
    assert_eq!((reason, answer(&sent, &elsewhere)), (Discard::Address, (1, 1, 0)));
}

#[test]
fn what_is_cut_short() {
    let mut packet = ip6(A6, B6, TCP, tcp(1, 2, 16, 100)).sealed();
    packet.extensions = vec![extension(0, 1)];
    let octets = packet.octets();
    for length in 0..octets.len() {
        let outcome = outcome(&mut plain(), &octets[..length]);
        assert_eq!(outcome.verdict, Verdict::Discarded(Discard::Malformed), "{length}");
    }
    let padded = [octets.as_slice(), &[9; 6]].concat();
    assert_eq!(translated(&mut plain(), &padded).len(), 140);
    for (protocol, length) in [(TCP, 19), (UDP, 7), (58, 7)] {
        assert_eq!(discarded(&ip6(A6, B6, protocol, payload(length))), (Discard::Tiny, Vec::new()));
    }
}
