//! Packets as a file of captured ones, and what tshark, a dissector that we did not write, says of it.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::path::Path;
use std::process::Command;

/// A capture file of IP packets of either family (version 2.4, LINKTYPE_RAW).
pub(crate) fn capture(packets: &[Vec<u8>]) -> Vec<u8> {
    let mut file = Vec::new();
    for word in [0xa1b2_c3d4, 0x0004_0002, 0, 0, 65_535, 101_u32] {
        file.extend(word.to_le_bytes());
    }
    for packet in packets {
        let length = u32::try_from(packet.len()).unwrap();
        for word in [0, 0, length, length] {
            file.extend(word.to_le_bytes());
        }
        file.extend(packet);
    }
    file
}

/// A UDP datagram over IPv6, with the checksum that the kernel would make.
pub(crate) fn udp6(ends: (Ipv6Addr, Ipv6Addr), ports: (u16, u16), payload: &[u8]) -> Vec<u8> {
    let length = u16::try_from(payload.len() + 8).unwrap();
    let mut datagram: Vec<u8> =
        [ports.0, ports.1, length, 0].into_iter().flat_map(u16::to_be_bytes).collect();
    datagram.extend(payload);
    // RFC 8200 section 8.1: zero stands for none, which IPv6 forbids.
    let sum = match checksum(ends, 17, &datagram) {
        0 => 0xffff,
        sum => sum,
    };
    datagram[6..8].copy_from_slice(&sum.to_be_bytes());
    ipv6(ends, 17, 64, &datagram)
}

/// An ICMPv6 message that must not have been routed (hop limit 255), likewise.
pub(crate) fn icmpv6(ends: (Ipv6Addr, Ipv6Addr), message: &[u8]) -> Vec<u8> {
    let mut message = message.to_vec();
    let sum = checksum(ends, 58, &message);
    message[2..4].copy_from_slice(&sum.to_be_bytes());
    ipv6(ends, 58, 255, &message)
}

/// A UDP datagram over IPv4 without a checksum (RFC 768).
pub(crate) fn udp4(ends: (Ipv4Addr, Ipv4Addr), ports: (u16, u16), payload: &[u8]) -> Vec<u8> {
    let length = u16::try_from(payload.len() + 28).unwrap();
    let mut packet = vec![0x45, 0];
    packet.extend(length.to_be_bytes());
    packet.extend([0, 0, 0, 0, 64, 17, 0, 0]);
    packet.extend([ends.0.octets(), ends.1.octets()].concat());
    packet.extend([ports.0, ports.1, length - 20, 0].into_iter().flat_map(u16::to_be_bytes));
    packet.extend(payload);
    packet
}

fn ipv6(ends: (Ipv6Addr, Ipv6Addr), protocol: u8, hop_limit: u8, payload: &[u8]) -> Vec<u8> {
    let mut packet = vec![0x60, 0, 0, 0];
    packet.extend(u16::try_from(payload.len()).unwrap().to_be_bytes());
    packet.extend([protocol, hop_limit]);
    packet.extend([ends.0.octets(), ends.1.octets()].concat());
    packet.extend(payload);
    packet
}

/// The Internet checksum over pseudo-header and payload (RFC 8200 section 8.1).
fn checksum(ends: (Ipv6Addr, Ipv6Addr), protocol: u8, payload: &[u8]) -> u16 {
    let mut octets = [ends.0.octets(), ends.1.octets()].concat();
    octets.extend(u32::try_from(payload.len()).unwrap().to_be_bytes());
    octets.extend([0, 0, 0, protocol]);
    octets.extend(payload);
    let pairs = octets.chunks(2).map(|pair| u32::from(pair[0]) << 8 | u32::from(*pair.get(1).unwrap_or(&0)));
    let mut sum: u32 = pairs.sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !u16::try_from(sum).unwrap()
}

/// What it prints of a file.
pub(crate) fn tshark(file: &Path, arguments: &[&str]) -> String {
    let output = Command::new("tshark")
        .arg("-r")
        .arg(file)
        .arg("-n")
        .args(arguments)
        .output()
        .expect("tshark is needed for this test: install the package of that name");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}
