//! ICMP errors about packets of sessions.

use super::common::{Ip4, Ip6, SYN, TCP, UDP, echo, icmp, ip4, ip6, tcp, udp};
use super::{HOST, Lab, NEIGHBOUR, POOL, SERVER, SERVER6};
use sixgate_xlat::Discard;

const ROUTER: &str = "192.0.2.77";

#[test]
fn from_ipv4_about_what_went_out() {
    for (protocol, body) in [(UDP, udp(5000, 53, 30)), (TCP, tcp(5000, 53, SYN, 0)), (58, echo(128, 5000, 9))]
    {
        let mut lab = Lab::plain();
        let sent = ip6(HOST, SERVER6, protocol, body).sealed();
        let out = lab.through(&sent.octets());
        // Eight octets of it, as routers send at least, and all.
        for length in [28, out.len()] {
            let error = ip4(ROUTER, POOL, 1, icmp(11, 0, 0, &out[..length])).sealed().octets();
            let got = Ip6::parse(&lab.through(&error));
            assert_eq!(got.source, super::prefix().synthesise(ROUTER.parse().unwrap()));
            assert_eq!((got.destination.to_string(), got.body[0]), (HOST.into(), 3));
            let wanted = Ip6 { hops: 63, ..sent.clone() }.octets();
            let quoted = 40 + length - 20;
            if length == out.len() {
                assert_eq!(got.body[8..], wanted);
            } else {
                assert_eq!(got.body[8..8 + 44], wanted[..44]);
                assert_eq!(got.body.len(), 8 + quoted);
            }
        }
        // About what nobody has sent.
        let mut other = Ip4::parse(&out);
        other.body[if protocol == 58 { 4 } else { 0 }] ^= 1;
        let error = ip4(ROUTER, POOL, 1, icmp(11, 0, 0, &other.octets())).sealed().octets();
        assert_eq!(lab.refused(&error), Discard::NoSession);
        let other = Ip4 { destination: ROUTER.parse().unwrap(), ..Ip4::parse(&out) };
        let error = ip4(ROUTER, POOL, 1, icmp(11, 0, 0, &other.octets())).sealed().octets();
        assert_eq!(lab.refused(&error), Discard::NoSession);
    }
}

#[test]
fn from_ipv6_about_what_came_in() {
    let mut lab = Lab::plain();
    let port = lab.udp_out(HOST, 5000, SERVER6, 53);
    let answer = ip4(SERVER, POOL, UDP, udp(53, port, 100)).sealed();
    let received = lab.through(&answer.octets());
    // From the host itself, and from a router before it.
    for from in [HOST, "2001:db8:1::ffff"] {
        let error = ip6(from, SERVER6, 58, icmp(1, 4, 0, &received)).sealed().octets();
        let got = Ip4::parse(&lab.through(&error));
        assert_eq!((got.source.to_string(), got.destination.to_string()), (POOL.into(), SERVER.into()));
        assert_eq!(got.body[..2], [3, 3]);
        let wanted = Ip4 { ttl: 63, id: 0, ..answer.clone() }.octets();
        assert_eq!(got.body[8..], wanted);
    }
    let stray = ip6(NEIGHBOUR, SERVER6, UDP, udp(1, 2, 3)).sealed().octets();
    let error = ip6(HOST, SERVER6, 58, icmp(1, 4, 0, &stray)).sealed().octets();
    assert_eq!(lab.refused(&error), Discard::NoSession);
    assert_eq!(lab.nat.usage().sessions, 1);
}

/// An error does not keep a session alive.
#[test]
fn errors_prolong_nothing() {
    let mut lab = Lab::plain();
    let sent = ip6(HOST, SERVER6, UDP, udp(5000, 53, 30)).sealed();
    let out = lab.through(&sent.octets());
    let until = lab.nat.sessions().next().unwrap().until;
    lab.wait(std::time::Duration::from_secs(100));
    lab.through(&ip4(ROUTER, POOL, 1, icmp(3, 1, 0, &out)).sealed().octets());
    assert_eq!(lab.nat.sessions().next().unwrap().until, until);
}
