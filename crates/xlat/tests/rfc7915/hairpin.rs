//! RFC 7757 section 4.2.2: two IPv6 nodes of the table that know each other by their IPv4 addresses.

use super::common::{Ip6, UDP, icmp, ip6, translated, udp};
use super::{config, outcome, prefix};
use sixgate_xlat::{AddressMap, Discard, Mapping, Siit, Verdict};

const A: &str = "2001:db8:aaaa::1";
const B: &str = "2001:db8:bbbb::1";
const A_BY_V4: &str = "2001:db8:64::c000:201";
const B_BY_V4: &str = "2001:db8:64::c000:202";

fn siit() -> Siit {
    let mapping = |v4: &str, v6: &str| Mapping::new(v4.parse().unwrap(), v6.parse().unwrap()).unwrap();
    let mappings =
        [mapping("192.0.2.1/32", &format!("{A}/128")), mapping("192.0.2.2/32", &format!("{B}/128"))];
    let map = AddressMap::new(Some(prefix()), mappings).unwrap();
    Siit::new(config(), map, fastrand::Rng::with_seed(1))
}

#[test]
fn both_see_the_other_by_its_ipv4_address() {
    let mut siit = siit();
    let there = ip6(A, B_BY_V4, UDP, udp(5, 6, 1400)).sealed();
    let got = Ip6::parse(&translated(&mut siit, &there.octets()));
    assert_eq!((got.source.to_string(), got.destination.to_string()), (A_BY_V4.into(), B.into()));
    assert_eq!((got.hops, got.body.len()), (62, 1408));
    assert_eq!(siit.counters().hairpinned, 1);
    let back = ip6(B, A_BY_V4, UDP, udp(6, 5, 100)).sealed();
    let got = Ip6::parse(&translated(&mut siit, &back.octets()));
    assert_eq!((got.source.to_string(), got.destination.to_string()), (B_BY_V4.into(), A.into()));
}

#[test]
fn errors_find_back() {
    let mut siit = siit();
    let sent = ip6(A, B_BY_V4, UDP, udp(5, 6, 100)).sealed();
    let received = translated(&mut siit, &sent.octets());
    let error = ip6(B, A_BY_V4, 58, icmp(1, 4, 0, &received)).sealed();
    let got = Ip6::parse(&translated(&mut siit, &error.octets()));
    assert_eq!((got.source.to_string(), got.destination.to_string()), (B_BY_V4.into(), A.into()));
    let mut wanted = sent;
    wanted.hops = 62;
    assert_eq!(got.body[8..], wanted.octets());
}

#[test]
fn hops_and_lengths_count_on_both_legs() {
    let mut siit = siit();
    let packet = Ip6 { hops: 2, ..ip6(A, B_BY_V4, UDP, udp(5, 6, 100)).sealed() };
    let got = outcome(&mut siit, &packet.octets());
    assert_eq!(got.verdict, Verdict::Discarded(Discard::HopLimit));
    assert_eq!(Ip6::parse(&got.sent[0]).body[8..], packet.octets());
    let packet = ip6(A, B_BY_V4, UDP, udp(5, 6, 1460)).sealed();
    let got = outcome(&mut siit, &packet.octets());
    assert_eq!(got.verdict, Verdict::Discarded(Discard::TooBig));
    let error = Ip6::parse(&got.sent[0]);
    assert_eq!((error.destination.to_string(), &error.body[4..8]), (A.into(), &1500u32.to_be_bytes()[..]));
}
