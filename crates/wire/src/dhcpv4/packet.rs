//! The whole packet around a message, for hosts that have no address yet: no socket sends to them (RFC 2131 section 4.1).

use std::net::Ipv4Addr;

const IPV4_HEADER: usize = 20;
const UDP_HEADER: usize = 8;
const UDP: u8 = 17;
/// As Linux sends.
const TTL: u8 = 64;

/// An IPv4 packet (RFC 791) with a UDP datagram (RFC 768) in it; the ports are the server's and the client's.
///
/// ```text
/// |version, IHL | TOS |      length       |   identification  |  flags, offset    |
/// |     TTL     |proto|     checksum      |      source (4), destination (4)      |
/// |    source port    | destination port  |      length       |     checksum      |
/// ```
/// `None` where the payload is too long for a packet.
pub fn packet(source: Ipv4Addr, destination: Ipv4Addr, payload: &[u8]) -> Option<Vec<u8>> {
    let udp_length = u16::try_from(UDP_HEADER + payload.len()).ok()?;
    let length = u16::try_from(IPV4_HEADER + UDP_HEADER + payload.len()).ok()?;
    let [ports_from, ports_to] = [super::SERVER_PORT, super::CLIENT_PORT].map(u16::to_be_bytes);

    let mut header = [0; IPV4_HEADER];
    header[0] = 0x45;
    header[2..4].copy_from_slice(&length.to_be_bytes());
    // Don't fragment: it is as long as a client takes (RFC 6864 section 4.1: then no identification).
    header[6] = 0x40;
    header[8..10].copy_from_slice(&[TTL, UDP]);
    header[12..16].copy_from_slice(&source.octets());
    header[16..].copy_from_slice(&destination.octets());
    let sum = checksum(&[&header]);
    header[10..12].copy_from_slice(&sum.to_be_bytes());

    let mut udp = [0; UDP_HEADER];
    udp[..2].copy_from_slice(&ports_from);
    udp[2..4].copy_from_slice(&ports_to);
    udp[4..6].copy_from_slice(&udp_length.to_be_bytes());
    let mut pseudo = [0; 12];
    pseudo[..8].copy_from_slice(&header[12..]);
    pseudo[9] = UDP;
    pseudo[10..].copy_from_slice(&udp_length.to_be_bytes());
    // Zero stands for none.
    let sum = match checksum(&[&pseudo, &udp, payload]) {
        0 => u16::MAX,
        sum => sum,
    };
    udp[6..].copy_from_slice(&sum.to_be_bytes());
    Some([&header[..], &udp, payload].concat())
}

/// RFC 1071; all but the last part have an even number of octets.
fn checksum(parts: &[&[u8]]) -> u16 {
    let word = |pair: &[u8]| match *pair {
        [high, low] => u64::from(u16::from_be_bytes([high, low])),
        [high] => u64::from(u16::from_be_bytes([high, 0])),
        _ => 0,
    };
    let mut sum: u64 = parts.iter().flat_map(|part| part.chunks(2)).map(word).sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A checksum is right when the sum with it is all ones.
    #[test]
    fn checksums_are_right_for_every_length() {
        let addresses = [Ipv4Addr::new(192, 0, 2, 1), Ipv4Addr::new(192, 0, 2, 7)];
        for length in 0..64_u8 {
            let payload: Vec<u8> = (0..length).map(|octet| octet.wrapping_mul(37)).collect();
            let packet = packet(addresses[0], addresses[1], &payload).unwrap();
            assert_eq!(packet.len(), 28 + payload.len());
            assert_eq!(checksum(&[&packet[..20]]), 0);
            let udp_length = [0, 17, packet[24], packet[25]];
            assert_eq!(checksum(&[&packet[12..20], &udp_length, &packet[20..]]), 0, "{length}");
        }
        // A payload that makes the sum all ones is sent as all ones, not as none.
        let odd = packet(addresses[0], addresses[1], &[0, 0]).unwrap();
        let rest = u16::from_be_bytes([odd[26], odd[27]]);
        let zero = packet(addresses[0], addresses[1], &rest.to_be_bytes()).unwrap();
        assert_eq!(zero[26..28], [255, 255]);
        assert!(packet(addresses[0], addresses[1], &vec![0; 65_508]).is_none());
    }
}
