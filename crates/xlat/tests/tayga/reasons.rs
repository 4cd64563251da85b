//! Why we differ from tayga 0.9.2, each with what an RFC says to it.

use crate::common::{ICMP, ICMPV6, Ip4, Ip6, UDP};
use sixgate_xlat::{Discard, Verdict};

/// One packet and what came of it.
pub(crate) struct Case<'a> {
    pub(crate) packet: &'a [u8],
    pub(crate) verdict: Verdict,
    pub(crate) ours: &'a [Vec<u8>],
    pub(crate) theirs: &'a [Vec<u8>],
}

type Holds = fn(&Case<'_>) -> bool;

pub(crate) const REASONS: &[(&str, Holds)] = &[
    (
        "RFC 7915 section 5.1: up to 1260 octets DF is clear and the identification made up; tayga sets DF and 0",
        |case| is_v6(case.packet) && without_df(case.ours) == without_df(case.theirs),
    ),
    (
        "RFC 7915 sections 4.1 and RFC 1812 section 5.3.7: addresses that nobody has; tayga translates them",
        |case| case.verdict == Verdict::Discarded(Discard::Martian),
    ),
    ("RFC 7915 section 4.1: source route with hops left is answered by 3/5; tayga ignores it", |case| {
        case.verdict == Verdict::Discarded(Discard::SourceRoute) && sent_icmp(case.ours, 3, 5)
    }),
    (
        "RFC 792, RFC 4443 section 3.3: what arrives with TTL 0 is answered as with 1; tayga does not",
        |case| {
            case.verdict == Verdict::Discarded(Discard::HopLimit)
                && case.theirs.is_empty()
                && hops(case.packet) == 0
        },
    ),
    (
        "RFC 7915 section 5: checksums are updated, and a wrong one stays wrong for its receiver to see; tayga drops",
        |case| {
            case.theirs.is_empty() && is_icmp(case.packet) && !is_right(case.packet) && !case.ours.is_empty()
        },
    ),
    (
        "RFC 7915 section 5.1: a Routing header with segments left is answered by 4/0; tayga skips it",
        |case| case.verdict == Verdict::Discarded(Discard::SegmentsLeft) && sent_icmp(case.ours, 4, 0),
    ),
    (
        "RFC 8200 section 4.5: a fragment of uneven length is its destination's to judge; tayga drops it",
        |case| case.theirs.is_empty() && is_uneven(case.packet),
    ),
    ("RFC 7915 section 4.5: UDP without checksum is given one; tayga 0.9.2 drops it", |case| {
        case.theirs.is_empty()
            && !is_v6(case.packet)
            && is_udp(case.packet)
            && transport(case.packet)[6..8] == [0, 0]
    }),
    ("RFC 7915 section 4.2: Parameter Problem with its pointer; tayga 0.9.2 drops it", |case| {
        case.theirs.is_empty()
            && error(case.packet)
            && matches!((is_v6(case.packet), transport(case.packet)[0]), (false, 12) | (true, 4))
    }),
    ("RFC 7915 section 4.3: errors about echo replies; tayga drops them", |case| {
        case.theirs.is_empty()
            && error(case.packet)
            && within(case.packet).is_some_and(|(protocol, body, _)| {
                matches!((protocol, body.first()), (ICMP, Some(0)) | (ICMPV6, Some(129)))
            })
    }),
    ("RFC 792: errors quote eight octets of a segment; tayga wants a whole TCP header", |case| {
        case.theirs.is_empty()
            && error(case.packet)
            && within(case.packet).is_some_and(|(protocol, body, _)| {
                (protocol == 6 && body.len() < 20)
                    || (protocol == UDP && body.len() < 8)
                    || (matches!(protocol, ICMP | ICMPV6) && body.len() < 8)
            })
    }),
    (
        "RFC 7915 section 4.3: a fragment in an error is translated as a fragment; tayga leaves out the Fragment header",
        |case| error(case.packet) && within(case.packet).is_some_and(|(_, _, fragment)| fragment),
    ),
    ("RFC 7915 section 4.2: IGMP is dropped; tayga passes it on", |case| {
        case.verdict == Verdict::Discarded(Discard::Icmp)
            && !is_v6(case.packet)
            && Ip4::parse(case.packet).protocol == 2
    }),
    ("RFC 3128: a fragment that overwrites the TCP header is dropped; tayga passes it on", |case| {
        case.verdict == Verdict::Discarded(Discard::Tiny) && offset(case.packet) == 1
    }),
    (
        "RFC 1122 section 3.2.2, RFC 4443 section 2.4 (e): only about errors no error is sent; tayga sends them about echo requests alone",
        |case| {
            case.theirs.is_empty()
                && matches!(case.verdict, Verdict::Discarded(Discard::HopLimit | Discard::TooBig))
                && is_icmp(case.packet)
        },
    ),
    ("RFC 7915 section 4.1: a fragment without data is a fragment; tayga loses it", |case| {
        case.theirs.is_empty() && case.verdict == Verdict::Translated && transport(case.packet).is_empty()
    }),
    ("RFC 7915 section 5.2: an MTU below 68 is adjusted like others; tayga drops it", |case| {
        case.theirs.is_empty()
            && is_v6(case.packet)
            && error(case.packet)
            && transport(case.packet)[0] == 2
            && transport(case.packet)[4..8] < 68u32.to_be_bytes()[..]
    }),
    (
        "RFC 7915 section 5.2: address unreachable (1/3) becomes host unreachable; tayga 0.9.2 drops it",
        |case| {
            case.theirs.is_empty()
                && is_v6(case.packet)
                && error(case.packet)
                && transport(case.packet).starts_with(&[1, 3])
        },
    ),
    ("RFC 7915 section 4.1: DF counts in fragments, too; tayga cuts them", |case| {
        !is_v6(case.packet)
            && Ip4::parse(case.packet).df
            && (Ip4::parse(case.packet).mf || offset(case.packet) > 0)
            && case.packet.len() > 1252
            && case.theirs.len() > 1
    }),
];

fn is_v6(packet: &[u8]) -> bool {
    packet[0] >> 4 == 6
}

fn hops(packet: &[u8]) -> u8 {
    if is_v6(packet) { packet[7] } else { packet[8] }
}

fn is_icmp(packet: &[u8]) -> bool {
    if is_v6(packet) { Ip6::parse(packet).protocol == ICMPV6 } else { Ip4::parse(packet).protocol == ICMP }
}

fn is_right(packet: &[u8]) -> bool {
    if is_v6(packet) { Ip6::parse(packet).sealed_as_is() } else { Ip4::parse(packet).sealed_as_is() }
}

fn without_df(sent: &[Vec<u8>]) -> Vec<Vec<u8>> {
    sent.iter()
        .map(|packet| {
            if is_v6(packet) {
                return packet.clone();
            }
            let mut packet = Ip4::parse(packet);
            (packet.df, packet.id) = (false, 0);
            if packet.protocol == ICMP && matches!(packet.body[0], 3 | 11 | 12) && packet.body.len() >= 28 {
                // The packet within, and the checksum over it.
                for field in [2..4, 12..16, 18..20] {
                    packet.body[field].fill(0);
                }
            }
            packet.octets()
        })
        .collect()
}

/// Whether what was sent is one ICMP error of this type and code.
fn sent_icmp(sent: &[Vec<u8>], kind: u8, code: u8) -> bool {
    let [packet] = sent else { return false };
    let body = if is_v6(packet) { Ip6::parse(packet).body } else { Ip4::parse(packet).body };
    body.starts_with(&[kind, code])
}

fn is_udp(packet: &[u8]) -> bool {
    if is_v6(packet) { Ip6::parse(packet).protocol == UDP } else { Ip4::parse(packet).protocol == UDP }
}

fn transport(packet: &[u8]) -> Vec<u8> {
    if is_v6(packet) { Ip6::parse(packet).body } else { Ip4::parse(packet).body }
}

fn is_uneven(packet: &[u8]) -> bool {
    let (more, body) = if is_v6(packet) {
        let packet = Ip6::parse(packet);
        (packet.fragment().is_some_and(|(_, more, _)| more), packet.body)
    } else {
        let packet = Ip4::parse(packet);
        (packet.mf, packet.body)
    };
    more && !body.len().is_multiple_of(8)
}

/// Whether it is an ICMP error.
fn error(packet: &[u8]) -> bool {
    let kind = transport(packet).first().copied().unwrap_or(255);
    is_icmp(packet) && if is_v6(packet) { kind < 5 } else { matches!(kind, 3 | 11 | 12) }
}

/// The packet in an error: protocol, octets of its transport, and whether it is a fragment.
fn within(packet: &[u8]) -> Option<(u8, Vec<u8>, bool)> {
    let inner = transport(packet).get(8..)?.to_vec();
    if is_v6(packet) {
        if inner.len() < 40 {
            return None;
        }
        let inner = Ip6::parse(&inner);
        let fragment = inner.fragment().is_some();
        return Some((inner.protocol, inner.body, fragment));
    }
    if inner.len() < 20 || inner.len() < usize::from(inner[0] & 15) * 4 {
        return None;
    }
    let inner = Ip4::parse(&inner);
    Some((inner.protocol, inner.body, inner.mf || inner.offset != 0))
}

/// The offset of a fragment, in units of eight octets.
fn offset(packet: &[u8]) -> u16 {
    if is_v6(packet) {
        Ip6::parse(packet).fragment().map_or(0, |(offset, _, _)| offset)
    } else {
        Ip4::parse(packet).offset
    }
}
