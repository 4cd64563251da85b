//! 464XLAT (RFC 6877): an IPv4 program, its CLAT, the network's NAT64 as PLAT, and an IPv4 server.

// Clippy's exception for tests does not reach the functions beside them.
#![allow(clippy::unwrap_used, clippy::panic)]

#[path = "common/mod.rs"]
mod common;

use common::{
    ACK, Ip4, Ip6, NOW, SYN, TCP, UDP, config, echo, fragment, icmp, ip4, ip6, judge, run, tcp, translated,
    udp,
};
use sixgate_endpoint::nat64::Prefix;
use sixgate_xlat::{Action, Discard, Nat64, Offload, Packet, SessionConfig, Siit, Verdict};

const PROGRAM: &str = "192.0.0.1";
const SERVER: &str = "9.9.9.9";
const POOL: &str = "198.51.100.64";
const ROUTER: &str = "8.8.4.4";

fn clat() -> Siit {
    let own = "2001:db8:1:1::c1a7/128".parse().unwrap();
    let random = fastrand::Rng::with_seed(1);
    Siit::clat(config(), "192.0.0.1/32".parse().unwrap(), own, Prefix::WELL_KNOWN, random).unwrap()
}

fn plat() -> Nat64 {
    let sessions = SessionConfig::new(Prefix::WELL_KNOWN, vec![POOL.parse().unwrap()]);
    Nat64::new(config(), sessions, fastrand::Rng::with_seed(1)).unwrap()
}

fn through(plat: &mut Nat64, packet: &[u8]) -> Vec<u8> {
    let outcome = run(packet, |packet, actions| plat.translate(NOW, packet, actions));
    assert!(matches!(outcome.verdict, Verdict::Translated | Verdict::Replaced), "{:?}", outcome.verdict);
    judge(&outcome.sent[0]);
    outcome.sent[0].clone()
}

#[test]
fn there_and_back_and_errors_from_afar() {
    let (mut clat, mut plat) = (clat(), plat());
    for (protocol, body) in [(UDP, udp(5000, 443, 1000)), (TCP, tcp(5000, 443, SYN, 0)), (1, echo(8, 77, 56))]
    {
        let sent = Ip4 { tos: 0xb9, df: true, ..ip4(PROGRAM, SERVER, protocol, body).sealed() };
        let between = translated(&mut clat, &sent.octets());
        let out = through(&mut plat, &between);
        let arrived = Ip4::parse(&out);
        assert_eq!(
            (arrived.source.to_string(), arrived.destination.to_string()),
            (POOL.into(), SERVER.into())
        );
        assert_eq!((arrived.tos, arrived.ttl), (0xb9, 62));

        // The server answers.
        let mut answer = arrived.clone();
        std::mem::swap(&mut answer.source, &mut answer.destination);
        if protocol == 1 {
            answer.body[0] = 0;
        } else {
            answer.body.swap(0, 2);
            answer.body.swap(1, 3);
        }
        if protocol == TCP {
            answer.body[13] = SYN | ACK;
        }
        let between = through(&mut plat, &answer.sealed().octets());
        let back = Ip4::parse(&translated(&mut clat, &between));
        assert_eq!((back.source.to_string(), back.destination.to_string()), (SERVER.into(), PROGRAM.into()));

        // A router of the IPv4 Internet tells of a narrow link; the program sees its own packet in it.
        let error = ip4(ROUTER, POOL, 1, icmp(3, 4, 1400, &out)).sealed();
        let between = through(&mut plat, &error.octets());
        assert_eq!(Ip6::parse(&between).body[4..8], 1420u32.to_be_bytes());
        let told = Ip4::parse(&translated(&mut clat, &between));
        assert_eq!((told.source.to_string(), &told.body[..2]), (ROUTER.into(), &[3, 4][..]));
        assert_eq!(told.body[6..8], 1400u16.to_be_bytes());
        let inner = Ip4::parse(&told.body[8..]);
        assert_eq!((inner.source, inner.destination), (sent.source, sent.destination));
        let length = inner.body.len().min(sent.body.len());
        assert_eq!(inner.body[..length], sent.body[..length], "ports, checksum, data");
    }
}

#[test]
fn a_clat_serves_its_own_address_only() {
    let mut clat = clat();
    let refused = |clat: &mut Siit, octets: &[u8]| match run(octets, |packet, actions| {
        clat.translate(NOW, packet, actions)
    })
    .verdict
    {
        Verdict::Discarded(reason) => reason,
        other => panic!("{other:?}"),
    };
    for packet in [
        ip6("64:ff9b::909:909", "2001:db8:1:1::c1a8", UDP, udp(1, 2, 3)),
        ip6("2001:db8::5", "2001:db8:1:1::c1a7", UDP, udp(1, 2, 3)),
    ] {
        assert_eq!(refused(&mut clat, &packet.sealed().octets()), Discard::Address);
    }
    // A fragment of what the PLAT has cut.
    let mut packet = ip6("64:ff9b::909:909", "2001:db8:1:1::c1a7", UDP, vec![7; 64]);
    packet.extensions = vec![fragment(8, true, 0x1_0007)];
    let got = Ip4::parse(&translated(&mut clat, &packet.octets()));
    assert_eq!((got.id, got.offset, got.mf, got.destination.to_string()), (7, 8, true, PROGRAM.into()));
}

/// Superpackets with the pseudo-header's sum alone pass both; what the interface completes is right.
#[test]
fn superpackets_stay_whole() {
    let (mut clat, mut plat) = (clat(), plat());
    let syn = ip4(PROGRAM, SERVER, TCP, tcp(5000, 443, SYN, 0)).sealed().octets();
    let between = translated(&mut clat, &syn);
    through(&mut plat, &between);
    let mut packet = ip4(PROGRAM, SERVER, TCP, tcp(5000, 443, ACK, 40_000));
    packet.df = true;
    let pseudo = [&packet.source.octets()[..], &packet.destination.octets(), &[0, 6]].concat();
    let length = u16::try_from(packet.body.len()).unwrap().to_be_bytes();
    let partial = !common::checksum(&[&pseudo[..], &length].concat());
    packet.body[16..18].copy_from_slice(&partial.to_be_bytes());
    let offload = Offload { partial_checksum: true, segment: Some(1400) };

    let octets = packet.octets();
    let mut buffer = [&[0; 64], octets.as_slice()].concat();
    let end = buffer.len();
    let mut packet = Packet::new(&mut buffer, 64..end).unwrap().with_offload(offload);
    let mut actions: Vec<Action> = Vec::new();
    assert_eq!(clat.translate(NOW, &mut packet, &mut actions), Verdict::Translated);
    assert_eq!(plat.translate(NOW, &mut packet, &mut actions), Verdict::Translated);
    assert!(actions.is_empty());
    assert_eq!(packet.range().end, end);
    let mut out = Ip4::parse(packet.bytes());
    let sum = common::checksum(&out.body);
    out.body[16..18].copy_from_slice(&sum.to_be_bytes());
    judge(&out.octets());
    assert_eq!(out.body.len(), 40_020);
}
