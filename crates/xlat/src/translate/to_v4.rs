//! From IPv6 to IPv4 (RFC 7915 section 5).

use super::answer::{MAX_ERROR_V4, finish, icmp_message};
use super::{Engine, Plan, Quote, Refusal, Rewrite, check_offload, cut, largest, quote};
use crate::Discard;
use crate::address::check_v6 as addresses_v6;
use crate::checksum::Sum;
use crate::header::{V4, V6, protocol, put_u16, u16_at, u32_at};
use crate::icmp::{self, Kind, MIN_MTU_V6, Message};
use crate::packet::{Action, Offload, Packet, Verdict};
use std::net::Ipv4Addr;

/// IPv4 packets up to this many octets leave with DF clear: no IPv6 host can be asked for shorter ones
/// (section 5.1).
const MAX_WITHOUT_DF: usize = MIN_MTU_V6 as usize - 20;

/// Refuses what cannot be translated whatever its addresses become. `packet` is as long as its header says;
/// `mtu` is that of the next IPv4 link.
pub(crate) fn check(packet: &[u8], header: &V6, offload: Offload, mtu: usize) -> Result<Plan, Refusal> {
    addresses_v6(header.source, header.destination)?;
    if usize::from(header.offset()) * 8 + header.payload() > 65_535 {
        return Err(Discard::Malformed.into());
    }
    if header.hop_limit <= 1 {
        return Err(Discard::HopLimit.into());
    }
    if let Some(pointer) = header.segments_left {
        return Err(Refusal { discard: Discard::SegmentsLeft, value: pointer });
    }
    let transport = packet.get(header.header..).unwrap_or_default();
    check_offload(offload, header.protocol, header.fragment.is_some())?;
    match header.protocol {
        protocol::ICMPV6 if header.is_fragment() => return Err(Discard::FragmentedIcmp.into()),
        // Section 5.1 copies all others. Behind an IPv4 header these would be messages that nothing has
        // looked at.
        protocol::ICMP | protocol::IGMP => return Err(Discard::Protocol.into()),
        _ if header.is_tiny() => return Err(Discard::Tiny.into()),
        protocol::ICMPV6 => match icmp::kind_v6(transport.first().copied().unwrap_or(255)) {
            Kind::None => return Err(Discard::Icmp.into()),
            Kind::Error => return Ok(Plan::Error),
            Kind::Query(_) => {}
        },
        // RFC 8200 section 8.1: nobody takes UDP over IPv6 without a checksum; IPv4 would.
        protocol::UDP
            if header.offset() == 0 && !offload.partial_checksum && u16_at(transport, 6) == Some(0) =>
        {
            return Err(Discard::ZeroChecksum.into());
        }
        _ => {}
    }
    let length = V4::LENGTH + largest(transport, header.protocol, header.payload(), offload);
    if V4::LENGTH + header.payload() <= 65_535 && length <= mtu {
        return Ok(Plan::Whole);
    }
    if header.total <= MIN_MTU_V6 as usize && offload.segment.is_none() {
        // Its sender cannot send less.
        return Ok(Plan::Cut(mtu));
    }
    let fragment = if header.fragment.is_some() { 8 } else { 0 };
    Err(Refusal::too_big((mtu + 20 + fragment).max(MIN_MTU_V6 as usize)))
}

impl Engine {
    /// Translates a packet that [`check`] let pass.
    pub(crate) fn rewrite_v6(
        &mut self,
        packet: &mut Packet<'_>,
        header: &V6,
        plan: Plan,
        to: &Rewrite<Ipv4Addr>,
        actions: &mut Vec<Action>,
    ) -> Verdict {
        let partial = packet.offload().partial_checksum && plan == Plan::Whole;
        let complete = packet.offload().partial_checksum && plan != Plan::Whole;
        let offload = packet.offload();
        let transport = packet.bytes_mut().get_mut(header.header..).unwrap_or_default();
        if header.offset() == 0 {
            change_transport(transport, header, to, partial);
        }
        if complete {
            complete_checksum(transport, header.protocol, to);
        }
        let largest = V4::LENGTH + largest(transport, header.protocol, header.payload(), offload);
        let mut outer = self.header_v4(header, to, largest);
        outer.ttl -= 1;
        if header.fragment.is_none() {
            outer.identification = self.identification(to.source, to.destination);
        }
        let done = packet.replace_header(header.header, &outer.build());
        debug_assert!(done, "an IPv4 header is shorter");
        if let Plan::Cut(limit) = plan {
            self.counters.fragmented += 1;
            self.counters.to_v4 += cut::v4(packet.bytes(), limit, actions) as u64;
            return Verdict::Replaced;
        }
        self.counters.to_v4 += 1;
        Verdict::Translated
    }

    /// The IPv4 header for an IPv6 header (sections 5.1 and 5.1.1); the TTL is not yet lowered. `largest` is
    /// the length that decides about DF.
    fn header_v4(&self, header: &V6, to: &Rewrite<Ipv4Addr>, largest: usize) -> V4 {
        let fragment = header.fragment;
        V4 {
            header: V4::LENGTH,
            total: V4::LENGTH + header.payload(),
            tos: self.class(header.class),
            identification: fragment.map_or(0, |fragment| fragment.identification as u16),
            dont_fragment: fragment.is_none() && largest > MAX_WITHOUT_DF,
            more_fragments: fragment.is_some_and(|fragment| fragment.more),
            offset: header.offset(),
            ttl: header.hop_limit,
            protocol: if header.protocol == protocol::ICMPV6 { protocol::ICMP } else { header.protocol },
            source: to.source,
            destination: to.destination,
            source_route: false,
        }
    }

    /// Takes an ICMPv6 error apart (section 5.3).
    pub(crate) fn quote_v6(&self, packet: &[u8], header: &V6) -> Result<Quote<V6>, Discard> {
        let message = packet.get(header.header..header.total).ok_or(Discard::Malformed)?;
        let pseudo = Sum::default().pseudo_v6(
            header.source,
            header.destination,
            message.len() as u32,
            protocol::ICMPV6,
        );
        if pseudo.add(message).fold() != 0xffff {
            return Err(Discard::IcmpChecksum);
        }
        let &[kind, code, ..] = message else { return Err(Discard::Malformed) };
        let rest = u32_at(message, 4).ok_or(Discard::Malformed)?;
        let length = icmp::length_v6(kind).map_or(0, |(shift, unit)| (rest >> shift & 0xff) as usize * unit);
        let (mut range, extensions) = quote::split(header.header + 8, header.total, length);
        let inner = V6::parse_start(packet.get(range.clone()).unwrap_or_default())?;
        range.end = range.end.min(range.start + inner.total);
        let message = icmp::error_to_v4(Message { kind, code, rest }, inner.fragment.is_some(), self.mtus())?;
        let ports = ports(packet.get(range.start + inner.header..range.end).unwrap_or_default(), &inner)?;
        Ok(Quote { message, inner, packet: range, extensions, ports })
    }

    /// Writes the ICMPv4 error for an ICMPv6 error that was taken apart.
    pub(crate) fn error_v6(
        &mut self,
        packet: &[u8],
        header: &V6,
        quote: &Quote<V6>,
        outer: (Ipv4Addr, Ipv4Addr),
        inner: &Rewrite<Ipv4Addr>,
    ) -> Vec<u8> {
        let about = &quote.inner;
        let mut transport =
            packet.get(quote.packet.start + about.header..quote.packet.end).unwrap_or_default().to_vec();
        if about.offset() == 0 {
            change_transport(&mut transport, about, inner, false);
        }
        let mut shape = self.header_v4(about, inner, V4::LENGTH + about.payload());
        shape.total = shape.total.min(0xffff);
        let original = [shape.build().as_slice(), &transport].concat();
        let extensions = packet.get(quote.extensions.clone()).unwrap_or_default();
        let field = icmp::length_v4(quote.message.kind);
        let (content, length) =
            quote::join(original, extensions, field.map(|field| field.1), MAX_ERROR_V4 - V4::LENGTH - 8);
        let rest = quote.message.rest | field.map_or(0, |(shift, _)| (length as u32) << shift);
        let message = icmp_message(quote.message.kind, quote.message.code, rest, &content);
        let to = Rewrite::addresses(outer.0, outer.1);
        let mut shape = self.header_v4(header, &to, 0);
        shape.total = V4::LENGTH + message.len();
        shape.ttl = shape.ttl.saturating_sub(1);
        if header.fragment.is_none() {
            shape.identification = self.identification(outer.0, outer.1);
        }
        let checksum = Sum::default().add(&message).checksum();
        self.counters.to_v4 += 1;
        finish(&shape.build(), message, checksum)
    }
}

/// See [`super::to_v6::ports`].
pub(crate) fn ports(transport: &[u8], header: &V6) -> Result<Option<(u16, u16)>, Discard> {
    if header.offset() != 0 {
        return Ok(None);
    }
    super::ports(transport, header.protocol, protocol::ICMPV6, icmp::kind_v6)
}

/// Type, ports, identifier and checksum of a transport header, as far as it is there (section 5.5).
fn change_transport(transport: &mut [u8], header: &V6, to: &Rewrite<Ipv4Addr>, partial: bool) {
    if header.protocol == protocol::ICMPV6 {
        super::change_query(transport, to, icmp::kind_v6, |sum| {
            sum.without_pseudo_v6(
                header.source,
                header.destination,
                header.payload() as u32,
                protocol::ICMPV6,
            )
        });
        return;
    }
    let change = Sum::default()
        .without_v6(header.source)
        .without_v6(header.destination)
        .v4(to.source)
        .v4(to.destination);
    super::change_ports(transport, header.protocol, to, change, partial);
}

/// A checksum that was left to the interface, computed because fragments will leave.
fn complete_checksum(transport: &mut [u8], of: u8, to: &Rewrite<Ipv4Addr>) {
    let Some(at) = crate::header::checksum_offset(of) else { return };
    put_u16(transport, at, 0);
    let sum = Sum::default()
        .v4(to.source)
        .v4(to.destination)
        .word(of.into())
        .word(transport.len() as u16)
        .add(transport);
    let checksum = match sum.checksum() {
        0 if of == protocol::UDP => 0xffff,
        checksum => checksum,
    };
    put_u16(transport, at, checksum);
}
