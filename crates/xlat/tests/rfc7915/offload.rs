//! Superpackets and checksums that are left to the interface.

use super::common::{Ip4, Ip6, NOW, Outcome, TCP, UDP, ip4, ip6, judge, payload, run, tcp, udp};
use super::{A4, A6, B4, B6, config, plain, siit};
use sixgate_xlat::{Discard, Offload, Packet, Siit, Verdict};

fn with(siit: &mut Siit, octets: &[u8], offload: Offload) -> Outcome {
    run(octets, |packet, actions| {
        let mut buffer = [&[0; 64], packet.bytes()].concat();
        let end = buffer.len();
        let mut inner = Packet::new(&mut buffer, 64..end).unwrap().with_offload(offload);
        let verdict = siit.translate(NOW, &mut inner, actions);
        assert_eq!(inner.range().end, end, "the payload does not move");
        if verdict == Verdict::Translated {
            actions.insert(0, sixgate_xlat::Action::Send(inner.bytes().to_vec()));
            return Verdict::Replaced;
        }
        verdict
    })
}

fn segments(segment: u16) -> Offload {
    Offload { partial_checksum: true, segment: Some(segment) }
}

/// What the interface does: the checksum over all, begun with what the field holds.
fn complete(body: &mut [u8], at: usize) {
    let sum = super::common::checksum(body);
    body[at..at + 2].copy_from_slice(&sum.to_be_bytes());
}

#[test]
fn a_partial_checksum_stays_one() {
    for (protocol, at, body) in [(TCP, 16, tcp(1, 2, 16, 999)), (UDP, 6, udp(1, 2, 999))] {
        let mut whole = ip4(A4, B4, protocol, body).sealed();
        let right = u16::from_be_bytes([whole.body[at], whole.body[at + 1]]);
        // The field such that completing it gives what is right.
        whole.body[at..at + 2].fill(0);
        let without = super::common::checksum(&whole.body);
        let partial = right.wrapping_sub(without);
        let partial = if right < without { partial.wrapping_sub(1) } else { partial };
        whole.body[at..at + 2].copy_from_slice(&(!partial).to_be_bytes());
        let mut check = whole.clone();
        complete(&mut check.body, at);
        assert!(check.sealed_as_is(), "the test's own arithmetic");

        let offload = Offload { partial_checksum: true, segment: None };
        let there = with(&mut plain(), &whole.octets(), offload);
        let mut got = Ip6::parse(&there.sent[0]);
        complete(&mut got.body, at);
        judge(&got.octets());
        let back = with(&mut plain(), &there.sent[0], offload);
        let mut got = Ip4::parse(&back.sent[0]);
        complete(&mut got.body, at);
        judge(&got.octets());
    }
}

#[test]
fn a_checksum_is_completed_before_cutting() {
    let mut whole = ip4(A4, B4, UDP, udp(1, 2, 1460)).sealed();
    whole.body[6..8].copy_from_slice(&[0x12, 0x34]);
    let got = with(&mut plain(), &whole.octets(), Offload { partial_checksum: true, segment: None });
    assert_eq!(got.sent.len(), 2);
    let pieces: Vec<Ip6> = got.sent.iter().map(|octets| Ip6::parse(octets)).collect();
    let body = [pieces[0].body.as_slice(), &pieces[1].body].concat();
    judge(&Ip6 { extensions: Vec::new(), body, ..pieces[0].clone() }.octets());
    let mut config = config();
    config.mtu_v4 = 576;
    let mut whole = ip6(A6, B6, UDP, udp(1, 2, 1200)).sealed();
    whole.body[6..8].copy_from_slice(&[0x12, 0x34]);
    let got = with(&mut siit(config), &whole.octets(), Offload { partial_checksum: true, segment: None });
    let pieces: Vec<Ip4> = got.sent.iter().map(|octets| Ip4::parse(octets)).collect();
    let body: Vec<u8> = pieces.iter().flat_map(|piece| piece.body.clone()).collect();
    judge(&Ip4 { mf: false, body, ..pieces[0].clone() }.octets());
}

#[test]
fn of_a_superpacket_each_segment_has_to_fit() {
    let packet = ip4(A4, B4, TCP, tcp(1, 2, 16, 60_000));
    for df in [false, true] {
        let packet = Ip4 { df, ..packet.clone() };
        // 40 + 20 + 1440 is 1500.
        let got = with(&mut plain(), &packet.octets(), segments(1440));
        assert_eq!((got.verdict, got.sent[0].len()), (Verdict::Replaced, 60_060));
        let got = with(&mut plain(), &packet.octets(), segments(1441));
        assert_eq!(got.verdict, Verdict::Discarded(Discard::TooBig));
        assert_eq!(Ip4::parse(&got.sent[0]).body[4..8], 1480u32.to_be_bytes());
    }
    let packet = ip6(A6, B6, TCP, tcp(1, 2, 16, 60_000));
    let got = with(&mut plain(), &packet.octets(), segments(1440));
    assert_eq!((got.sent[0].len(), Ip4::parse(&got.sent[0]).df), (60_040, true));
    let got = with(&mut plain(), &packet.octets(), segments(1200));
    assert!(!Ip4::parse(&got.sent[0]).df, "1240 octets each");
    let got = with(&mut plain(), &packet.octets(), segments(1461));
    assert_eq!(got.verdict, Verdict::Discarded(Discard::TooBig));
    assert_eq!(Ip6::parse(&got.sent[0]).body[4..8], 1520u32.to_be_bytes());
    // An IPv4 packet has at most 65,535 octets.
    let packet = ip6(A6, B6, TCP, tcp(1, 2, 16, 65_496));
    let got = with(&mut plain(), &packet.octets(), segments(1440));
    assert_eq!(got.verdict, Verdict::Discarded(Discard::TooBig));
}

#[test]
fn only_tcp_and_udp_that_are_whole() {
    let offload = Offload { partial_checksum: true, segment: None };
    for packet in [ip4(A4, B4, 132, payload(40)), Ip4 { mf: true, ..ip4(A4, B4, UDP, udp(1, 2, 40)) }] {
        let got = with(&mut plain(), &packet.octets(), offload);
        assert_eq!(got.verdict, Verdict::Discarded(Discard::Offload));
    }
}
