//! Echo requests, and what comes back, of ICMPv6 (RFC 4443) and of ICMP over IPv4 (RFC 792).
//!
//! What comes in is hostile: anybody can send ICMP. Reading is total and takes no memory.

use sixgate_endpoint::Family;

/// Octets of the header of an echo message.
const HEADER: usize = 8;
/// Octets of an IPv6 header without extension headers.
const IPV6_HEADER: usize = 40;

/// What an answer says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Said {
    /// The echo reply.
    Reply,
    /// The hop limit was used up on the way.
    HopLimit,
    /// The packet is too big for a link; its MTU in octets, 0 where an old router does not tell.
    TooBig(u32),
    /// It cannot be delivered; the code of RFC 4443 section 3.1 or RFC 792.
    Unreachable(u8),
}

/// An answer to one of our requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Answer {
    /// The sequence number of the request.
    pub sequence: u16,
    /// What it says.
    pub said: Said,
}

/// Types of messages by family: request, reply, too big, hop limit used up, unreachable.
struct Types {
    request: u8,
    reply: u8,
    hop_limit: u8,
    unreachable: u8,
}

fn types(family: Family) -> Types {
    match family {
        Family::V6 => Types { request: 128, reply: 129, hop_limit: 3, unreachable: 1 },
        Family::V4 => Types { request: 8, reply: 0, hop_limit: 11, unreachable: 3 },
    }
}

/// `Packet Too Big` of ICMPv6.
const TOO_BIG: u8 = 2;
/// The code of `Destination Unreachable` in ICMP over IPv4 that says "fragmentation needed".
const FRAGMENTATION_NEEDED: u8 = 4;

/// An echo request whose packet has `length` octets with its IP header (20 octets over IPv4, 40 over IPv6), and no fewer than its headers.
/// The checksum is the kernel's over IPv6, and filled in over IPv4.
pub fn request(family: Family, identifier: u16, sequence: u16, length: usize) -> Vec<u8> {
    let header = match family {
        Family::V6 => IPV6_HEADER,
        Family::V4 => 20,
    };
    let mut octets = vec![0; length.saturating_sub(header).clamp(HEADER, 65_507)];
    let fields = [types(family).request.into(), 0, identifier, sequence];
    octets[0] = fields[0] as u8;
    octets[4..6].copy_from_slice(&identifier.to_be_bytes());
    octets[6..8].copy_from_slice(&sequence.to_be_bytes());
    if family == Family::V4 {
        let sum = checksum(&octets);
        octets[2..4].copy_from_slice(&sum.to_be_bytes());
    }
    octets
}

/// The Internet checksum (RFC 1071).
fn checksum(octets: &[u8]) -> u16 {
    let words = octets.chunks(2).map(|pair| u32::from(pair[0]) << 8 | u32::from(*pair.get(1).unwrap_or(&0)));
    let mut sum: u32 = words.fold(0, u32::wrapping_add);
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}

/// Reads what a raw socket gave: over IPv4 it begins with the IP header, over IPv6 with the ICMPv6 header. `None` where it is no answer to a
/// request of this identifier.
pub fn read(family: Family, identifier: u16, octets: &[u8]) -> Option<Answer> {
    let message = match family {
        Family::V6 => octets,
        Family::V4 => after_ipv4(octets)?,
    };
    let (&[kind, code, _, _, a, b, c, d], rest) = message.split_first_chunk::<HEADER>()?;
    let types = types(family);
    if kind == types.reply && code == 0 {
        return (u16::from_be_bytes([a, b]) == identifier)
            .then_some(Answer { sequence: u16::from_be_bytes([c, d]), said: Said::Reply });
    }
    let said = match family {
        _ if kind == types.hop_limit && code == 0 => Said::HopLimit,
        Family::V6 if kind == TOO_BIG => Said::TooBig(u32::from_be_bytes([a, b, c, d])),
        Family::V4 if kind == types.unreachable && code == FRAGMENTATION_NEEDED => {
            Said::TooBig(u16::from_be_bytes([c, d]).into())
        }
        _ if kind == types.unreachable => Said::Unreachable(code),
        _ => return None,
    };
    // The beginning of our packet stands behind it.
    let quoted = match family {
        Family::V6 => {
            let (header, rest) = rest.split_first_chunk::<IPV6_HEADER>()?;
            (header[0] >> 4 == 6 && header[6] == 58).then_some(rest)?
        }
        Family::V4 => after_ipv4(rest)?,
    };
    let (&[kind, _, _, _, a, b, c, d], _) = quoted.split_first_chunk::<HEADER>()?;
    (kind == types.request && u16::from_be_bytes([a, b]) == identifier)
        .then_some(Answer { sequence: u16::from_be_bytes([c, d]), said })
}

/// What stands behind an IPv4 header, where that is ICMP.
fn after_ipv4(octets: &[u8]) -> Option<&[u8]> {
    let first = *octets.first()?;
    let length = usize::from(first & 15) * 4;
    let icmp = first >> 4 == 4 && length >= 20 && octets.get(9) == Some(&1);
    icmp.then(|| octets.get(length..)).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn error(kind: u8, code: u8, word: [u8; 4], quoted: &[u8]) -> Vec<u8> {
        let mut octets = vec![kind, code, 0, 0];
        octets.extend(word);
        octets.extend(quoted);
        octets
    }

    fn ipv6(payload: &[u8]) -> Vec<u8> {
        let mut octets = vec![0x60, 0, 0, 0, 0, payload.len() as u8, 58, 64];
        octets.extend([0; 32]);
        octets.extend(payload);
        octets
    }

    fn ipv4(payload: &[u8]) -> Vec<u8> {
        let mut octets = vec![0x45, 0, 0, 0, 0, 0, 0, 0, 64, 1, 0, 0];
        octets.extend([0; 8]);
        octets.extend(payload);
        octets
    }

    #[test]
    fn replies_and_errors_of_both_families() {
        let six = request(Family::V6, 7, 300, 0);
        let four = request(Family::V4, 7, 300, 0);
        let answer = |said| Some(Answer { sequence: 300, said });
        let mut reply = six.clone();
        reply[0] = 129;
        assert_eq!(read(Family::V6, 7, &reply), answer(Said::Reply));
        assert_eq!(read(Family::V6, 8, &reply), None, "another prober's");
        assert_eq!(read(Family::V6, 7, &six), None, "a request");
        let mut reply = four.clone();
        reply[0] = 0;
        assert_eq!(read(Family::V4, 7, &ipv4(&reply)), answer(Said::Reply));

        let exceeded = error(3, 0, [0; 4], &ipv6(&six));
        assert_eq!(read(Family::V6, 7, &exceeded), answer(Said::HopLimit));
        let big = error(2, 0, 1280_u32.to_be_bytes(), &ipv6(&six));
        assert_eq!(read(Family::V6, 7, &big), answer(Said::TooBig(1280)));
        let refused = error(1, 1, [0; 4], &ipv6(&six));
        assert_eq!(read(Family::V6, 7, &refused), answer(Said::Unreachable(1)));
        let exceeded = ipv4(&error(11, 0, [0; 4], &ipv4(&four)));
        assert_eq!(read(Family::V4, 7, &exceeded), answer(Said::HopLimit));
        let big = ipv4(&error(3, 4, [0, 0, 5, 0], &ipv4(&four)));
        assert_eq!(read(Family::V4, 7, &big), answer(Said::TooBig(1280)));
    }

    #[test]
    fn requests_have_the_length_that_was_asked_for_and_a_checksum() {
        assert_eq!(request(Family::V6, 1, 1, 1280).len(), 1240);
        let four = request(Family::V4, 0x1234, 5, 61);
        assert_eq!(four.len(), 41);
        assert_eq!(checksum(&four), 0, "the sum over all of it is zero");
    }

    proptest! {
        #[test]
        fn anything_can_be_read(octets in proptest::collection::vec(any::<u8>(), 0..200), identifier: u16) {
            for family in [Family::V6, Family::V4] {
                let _ = read(family, identifier, &octets);
            }
        }
    }
}
