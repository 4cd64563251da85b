//! Which ICMP message is which ICMPv6 message (RFC 7915 sections 4.2 and 5.2): tables, without state.

use crate::Discard;

/// ICMP types (RFC 792).
pub(crate) mod v4 {
    pub(crate) const ECHO_REPLY: u8 = 0;
    pub(crate) const UNREACHABLE: u8 = 3;
    pub(crate) const SOURCE_QUENCH: u8 = 4;
    pub(crate) const REDIRECT: u8 = 5;
    pub(crate) const ECHO_REQUEST: u8 = 8;
    pub(crate) const TIME_EXCEEDED: u8 = 11;
    pub(crate) const PARAMETER_PROBLEM: u8 = 12;
}

/// ICMPv6 types (RFC 4443).
pub(crate) mod v6 {
    pub(crate) const UNREACHABLE: u8 = 1;
    pub(crate) const PACKET_TOO_BIG: u8 = 2;
    pub(crate) const TIME_EXCEEDED: u8 = 3;
    pub(crate) const PARAMETER_PROBLEM: u8 = 4;
    pub(crate) const ECHO_REQUEST: u8 = 128;
    pub(crate) const ECHO_REPLY: u8 = 129;
}

/// What kind of message a type is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// An echo request or reply, and its type in the other family.
    Query(u8),
    /// An error with a packet in it.
    Error,
    /// Without a counterpart.
    None,
}

/// The kind of an ICMPv4 message.
pub(crate) fn kind_v4(kind: u8) -> Kind {
    match kind {
        v4::ECHO_REQUEST => Kind::Query(v6::ECHO_REQUEST),
        v4::ECHO_REPLY => Kind::Query(v6::ECHO_REPLY),
        v4::UNREACHABLE | v4::TIME_EXCEEDED | v4::PARAMETER_PROBLEM => Kind::Error,
        _ => Kind::None,
    }
}

/// Whether an ICMPv4 message is an error, translated or not: none is sent in answer to it (RFC 1122 section 3.2.2).
pub(crate) fn is_error_v4(kind: u8) -> bool {
    matches!(
        kind,
        v4::UNREACHABLE | v4::SOURCE_QUENCH | v4::REDIRECT | v4::TIME_EXCEEDED | v4::PARAMETER_PROBLEM
    )
}

/// The kind of an ICMPv6 message.
pub(crate) fn kind_v6(kind: u8) -> Kind {
    match kind {
        v6::ECHO_REQUEST => Kind::Query(v4::ECHO_REQUEST),
        v6::ECHO_REPLY => Kind::Query(v4::ECHO_REPLY),
        v6::UNREACHABLE | v6::PACKET_TOO_BIG | v6::TIME_EXCEEDED | v6::PARAMETER_PROBLEM => Kind::Error,
        _ => Kind::None,
    }
}

/// Type, code, and the 32 bits behind the checksum.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Message {
    pub(crate) kind: u8,
    pub(crate) code: u8,
    pub(crate) rest: u32,
}

/// MTUs of both sides, in octets.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Mtus {
    pub(crate) v4: u32,
    pub(crate) v6: u32,
}

/// The smallest MTU of IPv6 (RFC 8200 section 5).
pub(crate) const MIN_MTU_V6: u32 = 1280;

/// Usual MTUs (RFC 1191 section 7).
const PLATEAUS: [u32; 10] = [65535, 32000, 17914, 8166, 4352, 2002, 1492, 1006, 508, 296];

/// An ICMPv4 error as an ICMPv6 error; `total` is the length of the packet in it, as it says.
pub(crate) fn error_to_v6(message: Message, total: usize, mtus: Mtus) -> Result<Message, Discard> {
    let simple = |kind, code| Ok(Message { kind, code, rest: 0 });
    match (message.kind, message.code) {
        (v4::UNREACHABLE, 0 | 1 | 5..=8 | 11 | 12) => simple(v6::UNREACHABLE, 0),
        // The protocol is the Next Header field, at octet 6.
        (v4::UNREACHABLE, 2) => Ok(Message { kind: v6::PARAMETER_PROBLEM, code: 1, rest: 6 }),
        (v4::UNREACHABLE, 3) => simple(v6::UNREACHABLE, 4),
        (v4::UNREACHABLE, 4) => {
            let told = match message.rest & 0xffff {
                // From a router that knows no path MTU discovery: a usual MTU below the length of the packet.
                0 => PLATEAUS
                    .into_iter()
                    .find(|&mtu| (mtu as usize) < total && mtu >= MIN_MTU_V6)
                    .unwrap_or(MIN_MTU_V6 - 20),
                mtu => mtu,
            };
            let mtu = (told + 20).min(mtus.v6).min(mtus.v4 + 20).max(MIN_MTU_V6);
            Ok(Message { kind: v6::PACKET_TOO_BIG, code: 0, rest: mtu })
        }
        (v4::UNREACHABLE, 9 | 10 | 13 | 15) => simple(v6::UNREACHABLE, 1),
        (v4::TIME_EXCEEDED, code) => simple(v6::TIME_EXCEEDED, code),
        (v4::PARAMETER_PROBLEM, 0 | 2) => {
            let pointer = pointer_to_v6((message.rest >> 24) as u8).ok_or(Discard::Icmp)?;
            Ok(Message { kind: v6::PARAMETER_PROBLEM, code: 0, rest: pointer })
        }
        _ => Err(Discard::Icmp),
    }
}

/// RFC 7915 figure 3.
fn pointer_to_v6(pointer: u8) -> Option<u32> {
    match pointer {
        // Version and header length; type of service: version and traffic class.
        0 => Some(0),
        1 => Some(1),
        // Total length: payload length.
        2 | 3 => Some(4),
        // Time to live: hop limit.
        8 => Some(7),
        // Protocol: next header.
        9 => Some(6),
        12..=15 => Some(8),
        16..=19 => Some(24),
        _ => None,
    }
}

/// An ICMPv6 error as an ICMPv4 error; `fragment` tells whether the packet in it has a Fragment header.
pub(crate) fn error_to_v4(message: Message, fragment: bool, mtus: Mtus) -> Result<Message, Discard> {
    let simple = |kind, code| Ok(Message { kind, code, rest: 0 });
    match (message.kind, message.code) {
        (v6::UNREACHABLE, 0 | 2 | 3) => simple(v4::UNREACHABLE, 1),
        (v6::UNREACHABLE, 1) => simple(v4::UNREACHABLE, 10),
        (v6::UNREACHABLE, 4) => simple(v4::UNREACHABLE, 3),
        (v6::PACKET_TOO_BIG, _) => {
            // "taking into account whether or not the packet in error includes a Fragment Header" (section 5.2).
            let header = if fragment { 28 } else { 20 };
            let mtu = message.rest.saturating_sub(header).min(mtus.v4).min(mtus.v6.saturating_sub(20));
            Ok(Message { kind: v4::UNREACHABLE, code: 4, rest: mtu.min(0xffff) })
        }
        (v6::TIME_EXCEEDED, code) => simple(v4::TIME_EXCEEDED, code),
        (v6::PARAMETER_PROBLEM, 0) => {
            let pointer = pointer_to_v4(message.rest).ok_or(Discard::Icmp)?;
            Ok(Message { kind: v4::PARAMETER_PROBLEM, code: 0, rest: pointer << 24 })
        }
        (v6::PARAMETER_PROBLEM, 1) => simple(v4::UNREACHABLE, 2),
        _ => Err(Discard::Icmp),
    }
}

/// RFC 7915 figure 6.
fn pointer_to_v4(pointer: u32) -> Option<u32> {
    match pointer {
        0 => Some(0),
        1 => Some(1),
        4 | 5 => Some(2),
        6 => Some(9),
        7 => Some(8),
        8..=23 => Some(12),
        24..=39 => Some(16),
        _ => None,
    }
}

/// Where the length of the original datagram stands within the 32 bits behind the checksum, and its unit in octets;
/// `None` where extensions are not defined for the type (RFC 4884 section 4).
pub(crate) fn length_v4(kind: u8) -> Option<(u32, usize)> {
    matches!(kind, v4::UNREACHABLE | v4::TIME_EXCEEDED | v4::PARAMETER_PROBLEM).then_some((16, 4))
}

/// The same for ICMPv6.
pub(crate) fn length_v6(kind: u8) -> Option<(u32, usize)> {
    matches!(kind, v6::UNREACHABLE | v6::TIME_EXCEEDED).then_some((24, 8))
}
