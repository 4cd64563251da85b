//! What holds for all packets.

use super::common::{Ip4, Ip6, NOW, TCP, UDP, echo, fragment, icmp, ip4, ip6, judge, payload, run, tcp, udp};
use super::{A4, A6, B4, B6, outcome, plain, siit};
use proptest::prelude::*;
use sixgate_endpoint::nat64::Prefix;
use sixgate_xlat::{AddressMap, Siit, Verdict};

fn body_v4() -> impl Strategy<Value = (u8, Vec<u8>)> {
    prop_oneof![
        (any::<u16>(), any::<u16>(), 0usize..1200).prop_map(|(a, b, n)| (UDP, udp(a, b, n))),
        (any::<u16>(), any::<u16>(), any::<u8>(), 0usize..1200)
            .prop_map(|(a, b, f, n)| (TCP, tcp(a, b, f, n))),
        (prop_oneof![Just(0), Just(8)], any::<u16>(), 0usize..1200).prop_map(|(k, i, n)| (1, echo(k, i, n))),
        (prop_oneof![Just(132), Just(50), 143u8..=255], 0usize..1200).prop_map(|(p, n)| (p, payload(n))),
    ]
}

prop_compose! {
    fn any_v4()(
        (protocol, body) in body_v4(), tos: u8, id: u16, df: bool, ttl in 3u8..,
        source in 0x0b00_0000u32..0x6000_0000, destination in 0x0b00_0000u32..0x6000_0000,
    ) -> Ip4 {
        let mut packet = ip4(A4, B4, protocol, body);
        (packet.tos, packet.id, packet.df, packet.ttl) = (tos, id, df, ttl);
        (packet.source, packet.destination) = (source.into(), destination.into());
        packet.sealed()
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

    /// There and back it is the same, but for what IPv6 does not carry: identification and DF.
    #[test]
    fn there_and_back(packet in any_v4()) {
        let mut siit = plain();
        let there = outcome(&mut siit, &packet.octets());
        prop_assert_eq!(there.verdict, Verdict::Translated);
        judge(&there.sent[0]);
        let back = outcome(&mut siit, &there.sent[0]);
        judge(&back.sent[0]);
        let got = Ip4::parse(&back.sent[0]);
        let wanted = Ip4 { ttl: packet.ttl - 2, id: got.id, df: got.df, ..packet };
        prop_assert_eq!(got.octets(), wanted.octets());
    }

    /// So is a fragment, identification and all.
    #[test]
    fn fragments_there_and_back(packet in any_v4(), offset in 2u16..4000, mf: bool) {
        let mut siit = plain();
        let packet = Ip4 { offset, mf, df: false, ..packet };
        prop_assume!(packet.protocol != 1);
        let there = outcome(&mut siit, &packet.octets());
        prop_assert_eq!(there.verdict, Verdict::Translated);
        let back = outcome(&mut siit, &there.sent[0]);
        let wanted = Ip4 { ttl: packet.ttl - 2, ..packet };
        prop_assert_eq!(&back.sent[0], &wanted.octets());
    }

    /// Nothing panics, and what comes out is well-formed and bounded, whatever comes in.
    #[test]
    fn any_octets(
        octets in proptest::collection::vec(any::<u8>(), 0..300),
        version in prop_oneof![Just(4u8), Just(6)],
    ) {
        let mut octets = octets;
        if let Some(first) = octets.first_mut() {
            *first = version << 4 | (*first & 15).clamp(5, 7);
        }
        check(&octets);
    }

    /// The same for packets with one thing wrong.
    #[test]
    fn damaged(
        packet in any_v4(), at in 0usize..70, xor: u8, error: bool, about in any_v4(), cut in 0usize..200,
    ) {
        let mut packet = packet;
        if error {
            let about = about.octets();
            let about = &about[..about.len().min(20 + cut)];
            packet = ip4(A4, B4, 1, icmp(xor % 16, xor / 16, 1400, about)).sealed();
        }
        let mut octets = packet.octets();
        if let Some(place) = octets.get_mut(at) {
            *place ^= xor;
        }
        let sum = super::common::checksum(&[&octets[..10], &[0, 0], &octets[12..20]].concat());
        octets[10..12].copy_from_slice(&sum.to_be_bytes());
        check(&octets);
        let mut there = match outcome(&mut plain(), &packet.octets()).sent.into_iter().next() {
            Some(there) if there[0] >> 4 == 6 => there,
            _ => return Ok(()),
        };
        if let Some(place) = there.get_mut(at) {
            *place ^= xor;
        }
        check(&there);
    }
}

/// Translates, and asserts what holds for all packets.
fn check(octets: &[u8]) {
    for mut siit in [plain(), siit(small())] {
        let got = outcome(&mut siit, octets);
        let counters = siit.counters();
        match got.verdict {
            Verdict::Translated => {
                assert_eq!(got.sent.len(), 1);
                assert!(got.sent[0].len() <= octets.len() + 28);
            }
            Verdict::Replaced => assert!(!got.sent.is_empty()),
            Verdict::Held => panic!("stateless"),
            Verdict::Discarded(reason) => {
                assert_eq!(counters.discarded(reason), 1);
                assert_eq!(counters.to_v4 + counters.to_v6, 0);
                assert!(got.sent.len() <= 1, "one error at most");
                // Our errors are right in all of their parts.
                got.sent.iter().for_each(|error| judge(error));
            }
        }
        for sent in &got.sent {
            let total = match sent[0] >> 4 {
                4 => u16::from_be_bytes([sent[2], sent[3]]).into(),
                _ => 40 + usize::from(u16::from_be_bytes([sent[4], sent[5]])),
            };
            assert_eq!(total, sent.len());
            // What was sent can be read again.
            let mut again = plain();
            let _ = run(sent, |packet, actions| again.translate(NOW, packet, actions));
        }
    }
}

fn small() -> sixgate_xlat::Config {
    let mut config = super::config();
    (config.mtu_v4, config.mtu_v6) = (68, 1280);
    config
}

#[test]
fn atomic_fragments_lose_their_header() {
    let mut packet = ip6(A6, B6, UDP, udp(1, 2, 30)).sealed();
    packet.extensions = vec![fragment(0, false, 0x77)];
    let there = outcome(&mut plain(), &packet.octets());
    let back = Ip6::parse(&outcome(&mut plain(), &there.sent[0]).sent[0]);
    assert!(back.extensions.is_empty());
    assert_eq!(back.body, packet.body);
}

/// RFC 6052 section 2.2: each length of prefix, as both sides see it.
#[test]
fn every_length_of_prefix() {
    let mut random = fastrand::Rng::with_seed(6052);
    for length in [32, 40, 48, 56, 64, 96] {
        let prefix = Prefix::new("2001:db8::".parse().unwrap(), length).unwrap();
        let map = AddressMap::new(Some(prefix), []).unwrap();
        let mut siit = Siit::new(super::config(), map, fastrand::Rng::with_seed(1));
        for _ in 0..200 {
            let mut packet = ip4(A4, B4, UDP, udp(random.u16(..), 53, random.usize(..100)));
            packet.source = random.u32(0x0b00_0000..0x6000_0000).into();
            packet.destination = random.u32(0x0b00_0000..0x6000_0000).into();
            let packet = packet.sealed();
            let there = super::common::translated(&mut siit, &packet.octets());
            let got = Ip6::parse(&there);
            assert_eq!(prefix.extract(got.source), Some(packet.source));
            assert_eq!(got.destination, prefix.synthesise(packet.destination));
            let back = Ip4::parse(&super::common::translated(&mut siit, &there));
            assert_eq!((back.source, back.body), (packet.source, packet.body));
        }
    }
}
