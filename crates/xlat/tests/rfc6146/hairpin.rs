//! RFC 6146 section 3.8: two hosts inside that know each other by their addresses outside.

use super::common::{Ip6, SYN, TCP, UDP, icmp, ip6, tcp, udp};
use super::{HOST, Lab, OTHER, POOL, SERVER6, prefix};
use sixgate_xlat::{Discard, Verdict};

#[test]
fn both_ways_and_errors() {
    let mut lab = Lab::plain();
    let pool6 = prefix().synthesise(POOL.parse().unwrap()).to_string();
    let host = lab.udp_out(HOST, 5000, SERVER6, 53);
    let there = ip6(OTHER, &pool6, UDP, udp(6000, host, 400)).sealed();
    let received = lab.through(&there.octets());
    let got = Ip6::parse(&received);
    assert_eq!((got.source.to_string(), got.destination.to_string()), (pool6.clone(), HOST.into()));
    assert_eq!(got.hops, 62);
    let other = u16::from_be_bytes([got.body[0], got.body[1]]);
    assert_eq!(u16::from_be_bytes([got.body[2], got.body[3]]), 5000);
    let back = ip6(HOST, &pool6, UDP, udp(5000, other, 9)).sealed().octets();
    let got = Ip6::parse(&lab.through(&back));
    assert_eq!(
        (got.destination.to_string(), got.body[..4].to_vec()),
        (OTHER.into(), { [host.to_be_bytes(), 6000u16.to_be_bytes()].concat() })
    );
    let error = ip6(HOST, &pool6, 58, icmp(1, 4, 0, &received)).sealed().octets();
    let got = Ip6::parse(&lab.through(&error));
    assert_eq!((got.source.to_string(), got.destination.to_string()), (pool6.clone(), OTHER.into()));
    assert_eq!(got.body[8..], Ip6 { hops: 62, ..there }.octets());
    assert_eq!(lab.nat.counters().hairpinned, 3);
    // A long packet: no IPv4 link is between them.
    let long = ip6(OTHER, &pool6, UDP, udp(6000, host, 1452)).sealed().octets();
    assert_eq!(lab.through(&long).len(), 1500);
}

#[test]
fn what_is_refused_on_the_second_leg_was_not_sent() {
    let mut lab = Lab::plain();
    let pool6 = prefix().synthesise(POOL.parse().unwrap()).to_string();
    lab.udp_out(HOST, 5000, SERVER6, 53);
    let before = lab.nat.usage();
    for packet in [ip6(OTHER, &pool6, UDP, udp(1, 1, 3)), ip6(OTHER, &pool6, TCP, tcp(1, 2, SYN, 0))] {
        let outcome = lab.run(&packet.sealed().octets());
        assert_eq!(outcome.verdict, Verdict::Discarded(Discard::NoBinding));
        assert_eq!(lab.nat.usage(), before);
        assert_eq!(outcome.log.len(), 2, "a block taken and given back");
    }
    let short = Ip6 { hops: 2, ..ip6(OTHER, &pool6, UDP, udp(1, 1, 3)).sealed() };
    let outcome = lab.run(&short.octets());
    assert_eq!(outcome.verdict, Verdict::Discarded(Discard::HopLimit));
    assert_eq!(Ip6::parse(&outcome.sent[0]).body[8..], short.octets());
}
