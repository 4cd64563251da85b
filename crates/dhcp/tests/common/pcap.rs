//! Datagrams as a capture file, and what tshark makes of them.

use std::io::Write as _;
use std::net::Ipv6Addr;
use std::process::Command;

/// A UDP datagram over IPv6, from `fe80::1`.
pub(crate) struct Datagram<'a> {
    pub(crate) to: Ipv6Addr,
    /// From and to.
    pub(crate) ports: (u16, u16),
    pub(crate) bytes: &'a [u8],
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
fn capture(datagrams: &[Datagram<'_>]) -> Vec<u8> {
    let mut file = Vec::new();
    for word in [0xa1b2_c3d4_u32, 0x0004_0002, 0, 0, 65_535, 101] {
        // The two 16-bit halves of the version are swapped together with the octets.
        file.extend_from_slice(&word.to_le_bytes());
    }
    let from: Ipv6Addr = "fe80::1".parse().unwrap();
    for datagram in datagrams {
        let length = (8 + datagram.bytes.len()) as u16;
        let mut udp = Vec::new();
        for field in [datagram.ports.0, datagram.ports.1, length, 0] {
            udp.extend_from_slice(&field.to_be_bytes());
        }
        udp.extend_from_slice(datagram.bytes);
        let pseudo = [0, 0, length.to_be_bytes()[0], length.to_be_bytes()[1], 0, 0, 0, 17];
        let sum = checksum(&[&from.octets(), &datagram.to.octets(), &pseudo, &udp]);
        udp[6..8].copy_from_slice(&sum.to_be_bytes());
        let mut packet = vec![0x60, 0, 0, 0];
        packet.extend_from_slice(&length.to_be_bytes());
        packet.extend_from_slice(&[17, 64]);
        packet.extend_from_slice(&from.octets());
        packet.extend_from_slice(&datagram.to.octets());
        packet.extend_from_slice(&udp);
        for word in [1, 0, packet.len() as u32, packet.len() as u32] {
            file.extend_from_slice(&word.to_le_bytes());
        }
        file.extend_from_slice(&packet);
    }
    file
}

/// What tshark makes of the datagrams: for each a line with its values for these fields.
pub(crate) fn dissect(datagrams: &[Datagram<'_>], fields: &[&str]) -> Vec<Vec<String>> {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(&capture(datagrams)).unwrap();
    let mut command = Command::new("tshark");
    command
        .args(["-n", "-o", "udp.check_checksum:TRUE", "-T", "fields", "-E", "separator=|", "-r"])
        .arg(file.path());
    for field in fields {
        command.args(["-e", field]);
    }
    let output =
        command.output().expect("tshark is needed: install Debian's package tshark, as `make test` does");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    let lines: Vec<_> = text.lines().map(|line| line.split('|').map(str::to_owned).collect()).collect();
    assert_eq!(lines.len(), datagrams.len(), "{text}");
    lines
}
