//! tshark reads what we send: it finds nothing malformed, and every checksum right.

// Clippy's exception for tests does not reach the functions beside them.
#![allow(clippy::unwrap_used, clippy::panic)]

#[path = "common/mod.rs"]
mod common;

use common::{
    ACK, FIN, Ip4, Ip6, NOW, SYN, TCP, UDP, config, echo, fragment, icmp, ip4, ip6, payload, run, tcp, udp,
};
use sixgate_endpoint::nat64::Prefix;
use sixgate_xlat::{AddressMap, Nat64, SessionConfig, Siit};
use std::collections::BTreeMap;
use std::process::Command;

const A4: &str = "192.0.2.1";
const B4: &str = "198.51.100.2";
const A6: &str = "2001:db8:64::c000:201";
const B6: &str = "2001:db8:64::c633:6402";
const HOST: &str = "2001:db8:1:1::a";
const POOL: &str = "203.0.113.1";

/// A capture file of raw IP packets (version 2.4, LINKTYPE_RAW).
fn capture(packets: &[Vec<u8>]) -> Vec<u8> {
    let words = |words: &[u32]| words.iter().flat_map(|word| word.to_le_bytes()).collect::<Vec<u8>>();
    let mut file = words(&[0xa1b2_c3d4, 0x0004_0002, 0, 0, 65_535, 101]);
    for packet in packets {
        let length = u32::try_from(packet.len()).unwrap();
        file.extend(words(&[0, 0, length, length]));
        file.extend(packet);
    }
    file
}

fn packets() -> Vec<Vec<u8>> {
    let mut given = Vec::new();
    for length in [0, 1, 2, 100, 1200, 1400] {
        for tos in [0, 0xff] {
            for (protocol, body) in
                [(UDP, udp(5000, 6000, length)), (TCP, tcp(5000, 6000, ACK, length)), (1, echo(8, 7, length))]
            {
                given.push(Ip4 { tos, ..ip4(A4, B4, protocol, body).sealed() }.octets());
            }
            for (protocol, body) in [
                (UDP, udp(5000, 6000, length)),
                (TCP, tcp(5000, 6000, FIN, length)),
                (58, echo(129, 7, length)),
            ] {
                given.push(Ip6 { class: tos, ..ip6(A6, B6, protocol, body).sealed() }.octets());
            }
        }
    }
    // Without a checksum; in pieces; with options and extension headers; to be answered by errors.
    given.push(ip4(A4, B4, UDP, udp(1, 2, 3)).octets());
    for (mf, offset) in [(true, 0), (true, 100), (false, 200)] {
        given.push(Ip4 { mf, offset, ..ip4(A4, B4, 253, payload(800)) }.octets());
        let extensions = vec![fragment(offset, mf, 99)];
        given.push(Ip6 { extensions, ..ip6(A6, B6, 253, payload(800)) }.octets());
    }
    given.push(Ip4 { ttl: 1, ..ip4(A4, B4, UDP, udp(1, 2, 700)).sealed() }.octets());
    given.push(Ip4 { df: true, ..ip4(A4, B4, UDP, udp(1, 2, 1480)).sealed() }.octets());
    given.push(Ip6 { hops: 1, ..ip6(A6, B6, UDP, udp(1, 2, 1300)).sealed() }.octets());
    given.push(ip6(A6, B6, UDP, udp(1, 2, 2000)).sealed().octets());
    // Errors about whole packets, with and without extensions.
    for kind in [3, 11] {
        let about = ip4(B4, A4, UDP, udp(5, 6, 92)).sealed().octets();
        given.push(ip4(A4, B4, 1, icmp(kind, 1, 0, &about)).sealed().octets());
        let mut with = about.clone();
        with.resize(128, 0);
        let mut extension = vec![0x20, 0, 0, 0, 0, 8, 1, 1, 0, 0, 0x11, 0xff];
        let sum = common::checksum(&extension);
        extension[2..4].copy_from_slice(&sum.to_be_bytes());
        with.extend(extension);
        given.push(ip4(A4, B4, 1, icmp(kind, 0, 32 << 16, &with)).sealed().octets());
    }
    given.push(
        ip4(A4, B4, 1, icmp(3, 4, 1400, &ip4(B4, A4, TCP, tcp(5, 6, ACK, 92)).sealed().octets()))
            .sealed()
            .octets(),
    );
    for (kind, rest) in [(1, 0), (2, 1300), (3, 0), (4, 6)] {
        let about = ip6(B6, A6, UDP, udp(5, 6, 92)).sealed().octets();
        given.push(ip6(A6, B6, 58, icmp(kind, 0, rest, &about)).sealed().octets());
    }
    given
}

fn sent() -> Vec<Vec<u8>> {
    let prefix = Prefix::new("2001:db8:64::".parse().unwrap(), 96).unwrap();
    let mut siit =
        Siit::new(config(), AddressMap::new(Some(prefix), []).unwrap(), fastrand::Rng::with_seed(1));
    let mut sent = Vec::new();
    for packet in packets() {
        let there = run(&packet, |packet, actions| siit.translate(NOW, packet, actions)).sent;
        assert!(!there.is_empty(), "{packet:02x?}");
        for packet in &there {
            sent.extend(run(packet, |packet, actions| siit.translate(NOW, packet, actions)).sent);
        }
        sent.extend(there);
    }
    // With sessions: out, back, an error about it, and a probe.
    let sessions = SessionConfig::new(prefix, vec![POOL.parse().unwrap()]);
    let mut nat = Nat64::new(config(), sessions, fastrand::Rng::with_seed(1)).unwrap();
    let mut through = |packet: &[u8]| {
        let out = run(packet, |packet, actions| nat.translate(NOW, packet, actions)).sent.remove(0);
        sent.push(out.clone());
        out
    };
    for (protocol, body) in
        [(UDP, udp(5000, 5001, 70)), (TCP, tcp(5000, 5002, SYN, 0)), (58, echo(128, 9, 30))]
    {
        let out = through(&ip6(HOST, B6, protocol, body).sealed().octets());
        through(&ip4(B4, POOL, 1, icmp(3, 3, 0, &out)).sealed().octets());
        let mut back = Ip4::parse(&out);
        std::mem::swap(&mut back.source, &mut back.destination);
        if back.protocol == 1 {
            back.body[0] = 0;
        } else {
            back.body.swap(0, 2);
            back.body.swap(1, 3);
        }
        if back.protocol == TCP {
            back.body[13] = SYN | ACK;
        }
        through(&back.sealed().octets());
    }
    let mut actions = Vec::new();
    nat.handle_timeout(NOW + std::time::Duration::from_hours(3), &mut actions);
    let probes = actions.into_iter().filter_map(|action| match action {
        sixgate_xlat::Action::Send(octets) => Some(octets),
        sixgate_xlat::Action::Log(_) => None,
    });
    sent.extend(probes);
    sent
}

#[test]
fn tshark_finds_nothing_wrong() {
    let sent = sent();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("sent.pcap");
    std::fs::write(&file, capture(&sent)).unwrap();
    let tshark = |arguments: &[&str]| {
        let output = Command::new("tshark")
            .args(["-n", "-r"])
            .arg(&file)
            .args([
                "-o",
                "ip.check_checksum:TRUE",
                "-o",
                "tcp.check_checksum:TRUE",
                "-o",
                "udp.check_checksum:TRUE",
            ])
            .args(["-o", "ip.defragment:TRUE", "-o", "ipv6.defragment:TRUE"])
            .args(arguments)
            .output()
            .expect("tshark is needed for this test: install the package of that name");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    // The packet in an error is cut short, which is not its fault.
    let complaints = "_ws.malformed || _ws.expert.severity == \"Error\" || ip.checksum.status == 0 || \
        tcp.checksum.status == 0 || udp.checksum.status == 0 || icmp.checksum.status == 0 || \
        icmpv6.checksum.status == 0";
    let wrong = tshark(&["-Y", complaints]);
    assert_eq!(wrong, "");
    // They were looked at: so many right ones of each kind.
    for (good, least) in [
        ("ip.checksum.status == 1", 60),
        ("tcp.checksum.status == 1", 30),
        ("udp.checksum.status == 1", 30),
        ("icmp.checksum.status == 1", 20),
        ("icmpv6.checksum.status == 1", 20),
        ("icmp.ext", 2),
        ("icmpv6.type == 4 || icmpv6.type == 2", 3),
    ] {
        let count = tshark(&["-Y", good]).lines().count();
        assert!(count >= least, "{good}: {count}");
    }
    // Every traffic class arrives.
    let classes = tshark(&["-Y", "ipv6.tclass == 0xff", "-T", "fields", "-e", "ipv6.dst"]);
    assert!(classes.lines().count() >= 18);
    let mut kinds = BTreeMap::<u8, usize>::new();
    for packet in &sent {
        *kinds.entry(packet[0] >> 4).or_default() += 1;
    }
    assert!(kinds[&4] > 60 && kinds[&6] > 60, "{kinds:?}");
}
