//! tshark reads everything that the server says, and finds nothing wrong with it.

use crate::asking::{Ask, Desk, HeardIa, secs};
use sixgate_dhcp::server::Reply;
use sixgate_wire::dhcpv6::{MessageType, OptionCode};
use std::net::Ipv6Addr;
use std::process::Command;

/// One answer of every kind.
fn replies() -> Vec<Reply> {
    let oro = [
        OptionCode::DNS_SERVERS,
        OptionCode::DOMAIN_LIST,
        OptionCode::SOL_MAX_RT,
        OptionCode::INF_MAX_RT,
        OptionCode::INFORMATION_REFRESH_TIME,
        OptionCode::CAPTIVE_PORTAL,
        OptionCode::CLIENT_FQDN,
    ];
    let mut desk = Desk::lan();
    let named = |ask: Ask| ask.oro(&oro).raw(OptionCode::CLIENT_FQDN, b"\x00\x05hosta");
    let bound = desk.bind(&named(Ask::new(MessageType::SOLICIT, 1).na(1, &[]).pd(1, &[])));
    let of = |kind, ias: &[HeardIa]| ias.iter().fold(Ask::new(kind, 1), Ask::ia);
    desk.pass(secs(10));
    for ask in [
        named(Ask::new(MessageType::SOLICIT, 2).na(1, &[]).raw(OptionCode::RAPID_COMMIT, &[])),
        named(Ask { server: None, ..Ask::new(MessageType::INFORMATION_REQUEST, 1) }),
        Ask { client: None, ..Ask::new(MessageType::INFORMATION_REQUEST, 1) },
        of(MessageType::RENEW, &bound.ias),
        of(MessageType::REBIND, &bound.ias).na(9, &["2001:db8:77::1"]),
        Ask::new(MessageType::REQUEST, 3).na(1, &["2001:db8:77::1"]),
        of(MessageType::CONFIRM, &bound.ias[..1]),
        Ask::new(MessageType::CONFIRM, 1).na(1, &["2001:db8:77::1"]),
        of(MessageType::DECLINE, &bound.ias[..1]),
        of(MessageType::RELEASE, &bound.ias[1..]),
        of(MessageType::RELEASE, &bound.ias[1..]),
        Ask::new(MessageType::SOLICIT, 4),
    ] {
        desk.ask(&ask).unwrap();
    }
    desk.replies
}

fn checksum(parts: &[&[u8]]) -> u16 {
    let bytes: Vec<u8> = parts.concat();
    let mut sum: u32 =
        bytes.chunks(2).map(|pair| u32::from(pair[0]) << 8 | u32::from(*pair.get(1).unwrap_or(&0))).sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    match !(sum as u16) {
        0 => 0xffff,
        sum => sum,
    }
}

/// The packets as a capture file of raw IPv6 (LINKTYPE_RAW, 101).
fn capture(replies: &[Reply]) -> Vec<u8> {
    let mut file = Vec::new();
    for word in [0xa1b2_c3d4_u32, 0x0004_0002, 0, 0, 65_535, 101] {
        // The two 16-bit halves of the version are swapped together with the octets.
        file.extend_from_slice(&word.to_le_bytes());
    }
    let from: Ipv6Addr = "fe80::1".parse().unwrap();
    for reply in replies {
        let length = (8 + reply.bytes.len()) as u16;
        let mut udp = Vec::new();
        for field in [547, reply.port, length, 0] {
            udp.extend_from_slice(&field.to_be_bytes());
        }
        udp.extend_from_slice(&reply.bytes);
        let pseudo = [0, 0, length.to_be_bytes()[0], length.to_be_bytes()[1], 0, 0, 0, 17];
        let sum = checksum(&[&from.octets(), &reply.destination.octets(), &pseudo, &udp]);
        udp[6..8].copy_from_slice(&sum.to_be_bytes());
        let mut packet = vec![0x60, 0, 0, 0];
        packet.extend_from_slice(&length.to_be_bytes());
        packet.extend_from_slice(&[17, 64]);
        packet.extend_from_slice(&from.octets());
        packet.extend_from_slice(&reply.destination.octets());
        packet.extend_from_slice(&udp);
        for word in [1, 0, packet.len() as u32, packet.len() as u32] {
            file.extend_from_slice(&word.to_le_bytes());
        }
        file.extend_from_slice(&packet);
    }
    file
}

#[test]
fn tshark_finds_nothing_wrong() {
    let replies = replies();
    let directory = std::path::Path::new(env!("CARGO_TARGET_TMPDIR"));
    let path = directory.join(format!("dhcp-server-{}.pcap", std::process::id()));
    std::fs::write(&path, capture(&replies)).unwrap();
    let output = Command::new("tshark")
        .args(["-o", "udp.check_checksum:TRUE", "-T", "fields"])
        .args(["-e", "dhcpv6.msgtype", "-e", "udp.checksum.status"])
        .args(["-e", "_ws.malformed", "-e", "_ws.expert.severity", "-e", "_ws.expert.message", "-r"])
        .arg(&path)
        .output()
        .expect("tshark is needed: install Debian's package tshark, as `make test` does");
    std::fs::remove_file(&path).unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), replies.len(), "{text}");
    for (line, reply) in lines.iter().zip(&replies) {
        // Type, good checksum, and nothing more to say.
        assert_eq!(line.trim_end(), format!("{}\t1", reply.bytes[0]), "{text}");
    }
}
