//! ICMP errors of our own (RFC 7915 sections 4.4 and 5.4).

use super::Engine;
use crate::Event;
use crate::address::{check_v4, check_v6};
use crate::checksum::Sum;
use crate::header::{V4, V6, protocol};
use crate::packet::{Action, Verdict};
use crate::{Discard, icmp};
use core::time::Duration;
use std::net::{Ipv4Addr, Ipv6Addr};

/// TTL and hop limit of what we send ourselves.
const HOPS: u8 = 64;

/// Most octets of an ICMPv4 error (RFC 1812 section 4.3.2.3).
pub(super) const MAX_ERROR_V4: usize = 576;
/// Most octets of an ICMPv6 error: the smallest MTU of IPv6 (RFC 4443 section 2.4 (c)).
pub(super) const MAX_ERROR_V6: usize = 1280;

/// Why a packet is not translated, and what its sender has to know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) discard: Discard,
    /// An MTU, or a pointer.
    pub(crate) value: u32,
}

impl From<Discard> for Refusal {
    fn from(discard: Discard) -> Self {
        Self { discard, value: 0 }
    }
}

impl Refusal {
    pub(crate) fn too_big(mtu: usize) -> Self {
        Self { discard: Discard::TooBig, value: mtu as u32 }
    }

    /// The same about a packet that came as IPv6 and was IPv4 in between.
    pub(crate) fn as_v6(self) -> Self {
        let longer = if self.discard == Discard::TooBig { 20 } else { 0 };
        Self { value: self.value + longer, ..self }
    }
}

/// As much of a packet as any error about it holds.
pub(crate) fn start_of(packet: &[u8]) -> Vec<u8> {
    packet.get(..packet.len().min(MAX_ERROR_V6)).unwrap_or_default().to_vec()
}

/// Type and code of the answer to an IPv4 packet, where there is one.
fn answer_v4(discard: Discard) -> Option<(u8, u8)> {
    match discard {
        Discard::HopLimit => Some((icmp::v4::TIME_EXCEEDED, 0)),
        Discard::TooBig => Some((icmp::v4::UNREACHABLE, 4)),
        Discard::SourceRoute => Some((icmp::v4::UNREACHABLE, 5)),
        // RFC 7915 section 4.4: administratively prohibited, where nothing else is said.
        Discard::ZeroChecksum | Discard::Address => Some((icmp::v4::UNREACHABLE, 13)),
        Discard::Protocol => Some((icmp::v4::UNREACHABLE, 2)),
        _ => None,
    }
}

/// The same for IPv6.
fn answer_v6(discard: Discard) -> Option<(u8, u8)> {
    match discard {
        Discard::HopLimit => Some((icmp::v6::TIME_EXCEEDED, 0)),
        Discard::TooBig => Some((icmp::v6::PACKET_TOO_BIG, 0)),
        Discard::SegmentsLeft => Some((icmp::v6::PARAMETER_PROBLEM, 0)),
        // RFC 7915 section 5.4.
        Discard::Address | Discard::Extensions | Discard::ExtensionAfterFragment => {
            Some((icmp::v6::UNREACHABLE, 1))
        }
        // RFC 6146 section 3.5: no resources.
        Discard::SubscriberSessions | Discard::SubscriberPorts | Discard::Ports | Discard::Sessions => {
            Some((icmp::v6::UNREACHABLE, 3))
        }
        Discard::Protocol => Some((icmp::v6::UNREACHABLE, 4)),
        _ => None,
    }
}

impl Engine {
    /// What became of a packet: the refusal counted and answered where there is one, and told where it is one that its sender cannot know
    /// of and will ask about (RFC 7915 section 4.5).
    pub(crate) fn verdict(
        &mut self,
        now: Duration,
        result: Result<Verdict, Refusal>,
        packet: &[u8],
        actions: &mut Vec<Action>,
    ) -> Verdict {
        result.unwrap_or_else(|refusal| {
            if refusal.discard == Discard::ZeroChecksum && self.may_log(now) {
                actions.extend(Event::zero_checksum(now, packet).map(Action::Log));
            }
            self.refuse(now, refusal, packet, actions)
        })
    }

    /// Counts a refusal, and answers the sender of `original` where it has to know and the rate allows it.
    pub(crate) fn refuse(
        &mut self,
        now: Duration,
        refusal: impl Into<Refusal>,
        original: &[u8],
        actions: &mut Vec<Action>,
    ) -> Verdict {
        let Refusal { discard, value } = refusal.into();
        self.counters.discard(discard);
        let answer = match original.first().map(|octet| octet >> 4) {
            Some(4) => answer_v4(discard)
                .and_then(|(kind, code)| error_v4(self.config.address_v4, kind, code, value, original)),
            Some(6) => answer_v6(discard)
                .and_then(|(kind, code)| error_v6(self.config.address_v6, kind, code, value, original)),
            _ => None,
        };
        self.send_error(now, answer, actions);
        Verdict::Discarded(discard)
    }

    pub(crate) fn send_error(&mut self, now: Duration, error: Option<Vec<u8>>, actions: &mut Vec<Action>) {
        let Some(error) = error else { return };
        if self.budget.take(now) {
            self.counters.errors += 1;
            actions.push(Action::Send(error));
        } else {
            self.counters.errors_limited += 1;
        }
    }
}

/// An ICMPv4 error about `original`; none where RFC 1122 section 3.2.2 forbids it.
pub(crate) fn error_v4(from: Ipv4Addr, kind: u8, code: u8, rest: u32, original: &[u8]) -> Option<Vec<u8>> {
    let about = V4::parse_start(original).ok()?;
    check_v4(about.source, about.destination).ok()?;
    let transport = original.get(about.header..)?;
    if about.offset != 0 || (about.protocol == protocol::ICMP && icmp::is_error_v4(*transport.first()?)) {
        return None;
    }
    let quoted = original.get(..original.len().min(MAX_ERROR_V4 - V4::LENGTH - 8))?;
    let header = V4 {
        header: V4::LENGTH,
        total: V4::LENGTH + 8 + quoted.len(),
        tos: 0,
        identification: 0,
        dont_fragment: false,
        more_fragments: false,
        offset: 0,
        ttl: HOPS,
        protocol: protocol::ICMP,
        source: from,
        destination: about.source,
        source_route: false,
    };
    let message = icmp_message(kind, code, rest, quoted);
    let checksum = Sum::default().add(&message).checksum();
    Some(finish(&header.build(), message, checksum))
}

/// An ICMPv6 error about `original`; none where RFC 4443 section 2.4 (e) forbids it.
pub(crate) fn error_v6(from: Ipv6Addr, kind: u8, code: u8, rest: u32, original: &[u8]) -> Option<Vec<u8>> {
    let source: [u8; 16] = *original.get(8..)?.first_chunk()?;
    let destination: [u8; 16] = *original.get(24..)?.first_chunk()?;
    check_v6(source.into(), destination.into()).ok()?;
    // Where the headers cannot be walked to their end, it is not known to be an error.
    if let Ok(about) = V6::parse_start(original) {
        let transport = original.get(about.header..)?;
        if about.offset() != 0
            || (about.protocol == protocol::ICMPV6 && transport.first().is_none_or(|&kind| kind < 128))
        {
            return None;
        }
    }
    let quoted = original.get(..original.len().min(MAX_ERROR_V6 - V6::LENGTH - 8))?;
    let header = V6 {
        header: V6::LENGTH,
        total: V6::LENGTH + 8 + quoted.len(),
        class: 0,
        hop_limit: HOPS,
        protocol: protocol::ICMPV6,
        fragment: None,
        source: from,
        destination: source.into(),
        segments_left: None,
    };
    let message = icmp_message(kind, code, rest, quoted);
    let checksum = Sum::default()
        .pseudo_v6(header.source, header.destination, message.len() as u32, protocol::ICMPV6)
        .add(&message)
        .checksum();
    Some(finish(&header.build(message.len(), protocol::ICMPV6), message, checksum))
}

/// An ICMP message whose checksum is zero yet.
pub(super) fn icmp_message(kind: u8, code: u8, rest: u32, content: &[u8]) -> Vec<u8> {
    let mut message = vec![kind, code, 0, 0];
    message.extend(rest.to_be_bytes());
    message.extend(content);
    message
}

/// Header and message in one, the message's checksum filled in.
pub(super) fn finish(header: &[u8], mut message: Vec<u8>, checksum: u16) -> Vec<u8> {
    crate::header::put_u16(&mut message, 2, checksum);
    [header, &message].concat()
}
