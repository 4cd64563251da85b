//! The octet that IPv4 calls TOS and IPv6 traffic class: six bits DSCP (RFC 2474), two bits ECN (RFC 3168).

/// What a packet's ECN bits say (RFC 3168 section 5).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ecn {
    /// Its sender does not understand marks.
    NotEct,
    /// Its sender does; and asks for low latency (RFC 9331), which a queue like ours treats as the other.
    Ect1,
    /// Its sender does.
    Ect0,
    /// It is marked.
    Ce,
}

/// What a packet's ECN bits say. [`Ecn::NotEct`] of what is no IP packet.
pub fn ecn(packet: &[u8]) -> Ecn {
    match class(packet).unwrap_or(0) & 3 {
        0 => Ecn::NotEct,
        1 => Ecn::Ect1,
        2 => Ecn::Ect0,
        _ => Ecn::Ce,
    }
}

/// A packet's DSCP, 0 to 63; 0 of what is no IP packet.
pub fn dscp(packet: &[u8]) -> u8 {
    class(packet).unwrap_or(0) >> 2
}

fn class(packet: &[u8]) -> Option<u8> {
    let &[first, second, ..] = packet else { return None };
    match first >> 4 {
        4 if packet.len() >= 20 => Some(second),
        6 if packet.len() >= 40 => Some(first << 4 | second >> 4),
        _ => None,
    }
}

/// Marks a packet "congestion experienced", and says whether it is marked now: [`Ecn::NotEct`] stays as it is
/// and is to be dropped instead. Of a tunnel's packet it is the outer header that counts, and the outer header
/// that is marked: who takes it out of the tunnel carries the mark inwards (RFC 6040).
pub fn mark(packet: &mut [u8]) -> bool {
    match ecn(packet) {
        Ecn::NotEct => false,
        Ecn::Ce => true,
        Ecn::Ect0 | Ecn::Ect1 => {
            match packet {
                [first, second, ..] if *first >> 4 == 6 => *second |= 0x30,
                [first, tos, _, _, _, _, _, _, _, _, high, low, ..] => {
                    let old = u16::from_be_bytes([*first, *tos]);
                    *tos |= 3;
                    let new = u16::from_be_bytes([*first, *tos]);
                    let sum = updated(u16::from_be_bytes([*high, *low]), old, new);
                    [*high, *low] = sum.to_be_bytes();
                }
                _ => return false,
            }
            true
        }
    }
}

/// A header's checksum after one of its words has changed (RFC 1624 equation 3). A wrong one stays wrong.
fn updated(checksum: u16, old: u16, new: u16) -> u16 {
    let sum = u32::from(!checksum) + u32::from(!old) + u32::from(new);
    let sum = (sum & 0xffff) + (sum >> 16);
    !((sum & 0xffff) + (sum >> 16)) as u16
}
