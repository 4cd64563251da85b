//! From IPv4 to IPv6 (RFC 7915 section 4).

use super::answer::{MAX_ERROR_V6, finish, icmp_message};
use super::{Engine, Plan, Quote, Refusal, Rewrite, ZeroChecksum, check_offload, cut, largest, quote};
use crate::Discard;
use crate::address::{check_error_v4, check_v4};
use crate::checksum::Sum;
use crate::header::{Fragment, V4, V6, checksum_offset, protocol, put_u16, u16_at, u32_at};
use crate::icmp::{self, Kind, Message};
use crate::packet::{Action, Offload, Packet, Verdict};
use std::net::Ipv6Addr;

impl Engine {
    /// Refuses what cannot be translated whatever its addresses become. `packet` is as long as its header
    /// says.
    pub(crate) fn check_v4(&self, packet: &[u8], header: &V4, offload: Offload) -> Result<Plan, Refusal> {
        let kind = packet.get(header.header).copied().unwrap_or(255);
        if header.protocol == protocol::ICMP && header.offset == 0 && icmp::kind_v4(kind) == Kind::Error {
            check_error_v4(header.source, header.destination)?;
        } else {
            check_v4(header.source, header.destination)?;
        }
        if usize::from(header.offset) * 8 + header.payload() > 65_535 {
            return Err(Discard::Malformed.into());
        }
        if header.ttl <= 1 {
            return Err(Discard::HopLimit.into());
        }
        if header.source_route {
            return Err(Discard::SourceRoute.into());
        }
        let transport = packet.get(header.header..).unwrap_or_default();
        check_offload(offload, header.protocol, header.is_fragment())?;
        match header.protocol {
            protocol::ICMP if header.is_fragment() => return Err(Discard::FragmentedIcmp.into()),
            protocol::IGMP => return Err(Discard::Icmp.into()),
            // Section 4.1 copies all others. These are no transport protocols: behind an IPv6 header they
            // would be extension headers, or ICMPv6 that nothing has looked at.
            protocol::HOP_BY_HOP
            | protocol::ROUTING
            | protocol::FRAGMENT
            | protocol::ICMPV6
            | protocol::DESTINATION_OPTIONS => return Err(Discard::Protocol.into()),
            _ if header.is_tiny() => return Err(Discard::Tiny.into()),
            protocol::ICMP => match icmp::kind_v4(kind) {
                Kind::None => return Err(Discard::Icmp.into()),
                Kind::Error => return Ok(Plan::Error),
                Kind::Query(_) => {}
            },
            protocol::UDP if header.offset == 0 && u16_at(transport, 6) == Some(0) => {
                self.check_zero(transport, header, offload)?;
            }
            _ => {}
        }
        self.fit_v6(header, largest(transport, header.protocol, header.payload(), offload), offload)
    }

    /// UDP without a checksum (section 4.5).
    fn check_zero(&self, transport: &[u8], header: &V4, offload: Offload) -> Result<(), Refusal> {
        // A sum of the pseudo-header that is zero by chance is none of these.
        if offload.partial_checksum {
            return Ok(());
        }
        if header.is_fragment() || self.config.zero_checksum == ZeroChecksum::Discard {
            return Err(Discard::ZeroChecksum.into());
        }
        let length = usize::from(u16_at(transport, 4).unwrap_or(0));
        if length < 8 || length > transport.len() {
            return Err(Discard::Malformed.into());
        }
        Ok(())
    }

    /// Section 4.1: what is too long is cut, or refused where DF forbids it.
    fn fit_v6(&self, header: &V4, largest: usize, offload: Offload) -> Result<Plan, Refusal> {
        let fragment = if header.is_fragment() { Fragment::LENGTH } else { 0 };
        let length = V6::LENGTH + fragment + largest;
        let mtu = usize::from(self.config.mtu_v6);
        let lowest = usize::from(self.config.lowest_ipv6_mtu);
        // A superpacket is cut by its interface, at the boundaries of segments and not between them: as if it
        // had DF.
        if header.dont_fragment || offload.segment.is_some() {
            if length > mtu {
                return Err(Refusal::too_big(mtu - V6::LENGTH - fragment + V4::LENGTH));
            }
            return Ok(Plan::Whole);
        }
        Ok(if length > lowest { Plan::Cut(lowest) } else { Plan::Whole })
    }

    /// Translates a packet that [`Engine::check_v4`] let pass.
    pub(crate) fn rewrite_v4(
        &mut self,
        packet: &mut Packet<'_>,
        header: &V4,
        plan: Plan,
        to: &Rewrite<Ipv6Addr>,
        actions: &mut Vec<Action>,
    ) -> Verdict {
        let partial = packet.offload().partial_checksum && plan == Plan::Whole;
        let complete = packet.offload().partial_checksum && plan != Plan::Whole;
        let transport = packet.bytes_mut().get_mut(header.header..).unwrap_or_default();
        if header.offset == 0 {
            change_transport(transport, header, to, partial);
            if header.protocol == protocol::UDP && u16_at(transport, 6) == Some(0) && !partial {
                compute_udp(transport, to);
            }
        }
        if complete {
            complete_checksum(transport, header.protocol, to);
        }
        let mut outer = self.header_v6(header, to);
        outer.hop_limit -= 1;
        let is_fragment = header.is_fragment() && plan == Plan::Whole;
        let (length, done) = if is_fragment {
            let mut both = [0; V6::LENGTH + Fragment::LENGTH];
            let (first, second) = both.split_at_mut(V6::LENGTH);
            first.copy_from_slice(&outer.build(header.payload() + Fragment::LENGTH, protocol::FRAGMENT));
            second.copy_from_slice(&fragment_of(header).build(outer.protocol));
            (both.len(), packet.replace_header(header.header, &both))
        } else {
            let single = outer.build(header.payload(), outer.protocol);
            (single.len(), packet.replace_header(header.header, &single))
        };
        debug_assert!(done, "room for {length} octets was checked when the packet was made");
        if let Plan::Cut(limit) = plan {
            self.counters.fragmented += 1;
            let pieces = cut::v6(packet.bytes(), fragment_of(header), limit, actions);
            self.counters.to_v6 += pieces as u64;
            return Verdict::Replaced;
        }
        self.counters.to_v6 += 1;
        Verdict::Translated
    }

    /// The IPv6 header for an IPv4 header; the hop limit is not yet lowered.
    fn header_v6(&self, header: &V4, to: &Rewrite<Ipv6Addr>) -> V6 {
        V6 {
            header: V6::LENGTH,
            total: 0,
            class: self.class(header.tos),
            hop_limit: header.ttl,
            protocol: if header.protocol == protocol::ICMP { protocol::ICMPV6 } else { header.protocol },
            fragment: None,
            source: to.source,
            destination: to.destination,
            segments_left: None,
        }
    }

    /// Takes an ICMPv4 error apart (section 4.3).
    pub(crate) fn quote_v4(&self, packet: &[u8], header: &V4) -> Result<Quote<V4>, Discard> {
        let message = packet.get(header.header..header.total).ok_or(Discard::Malformed)?;
        if Sum::default().add(message).fold() != 0xffff {
            return Err(Discard::IcmpChecksum);
        }
        let &[kind, code, ..] = message else { return Err(Discard::Malformed) };
        let rest = u32_at(message, 4).ok_or(Discard::Malformed)?;
        let length = icmp::length_v4(kind).map_or(0, |(shift, unit)| (rest >> shift & 0xff) as usize * unit);
        let (mut range, extensions) = quote::split(header.header + 8, header.total, length);
        let inner = V4::parse_start(packet.get(range.clone()).unwrap_or_default())?;
        range.end = range.end.min(range.start + inner.total);
        let message = icmp::error_to_v6(Message { kind, code, rest }, inner.total, self.mtus())?;
        let ports = ports(packet.get(range.start + inner.header..range.end).unwrap_or_default(), &inner)?;
        Ok(Quote { message, inner, packet: range, extensions, ports })
    }

    /// Writes the ICMPv6 error for an ICMPv4 error that was taken apart.
    pub(crate) fn error_v4(
        &mut self,
        packet: &[u8],
        header: &V4,
        quote: &Quote<V4>,
        outer: (Ipv6Addr, Ipv6Addr),
        inner: &Rewrite<Ipv6Addr>,
    ) -> Vec<u8> {
        let about = &quote.inner;
        let mut transport =
            packet.get(quote.packet.start + about.header..quote.packet.end).unwrap_or_default().to_vec();
        if about.offset == 0 {
            change_transport(&mut transport, about, inner, false);
        }
        // The packet in it is as the other side knows it: its hop limit stays (section 4.3).
        let shape = self.header_v6(about, inner);
        let original = if about.is_fragment() {
            let length = (about.payload() + Fragment::LENGTH).min(0xffff);
            let fragment = fragment_of(about).build(shape.protocol);
            [shape.build(length, protocol::FRAGMENT).as_slice(), &fragment, &transport].concat()
        } else {
            [shape.build(about.payload(), shape.protocol).as_slice(), &transport].concat()
        };
        let extensions = packet.get(quote.extensions.clone()).unwrap_or_default();
        let field = icmp::length_v6(quote.message.kind);
        let (content, length) =
            quote::join(original, extensions, field.map(|field| field.1), MAX_ERROR_V6 - V6::LENGTH - 8);
        let rest = quote.message.rest | field.map_or(0, |(shift, _)| (length as u32) << shift);
        let message = icmp_message(quote.message.kind, quote.message.code, rest, &content);
        let mut shape = self.header_v6(header, &Rewrite::addresses(outer.0, outer.1));
        shape.hop_limit = shape.hop_limit.saturating_sub(1);
        let checksum = Sum::default()
            .pseudo_v6(outer.0, outer.1, message.len() as u32, protocol::ICMPV6)
            .add(&message)
            .checksum();
        self.counters.to_v6 += 1;
        finish(&shape.build(message.len(), protocol::ICMPV6), message, checksum)
    }
}

/// The Fragment header for an IPv4 packet (section 4.1): the low 16 bits of the identification are those of
/// IPv4.
fn fragment_of(header: &V4) -> Fragment {
    Fragment {
        identification: header.identification.into(),
        offset: header.offset,
        more: header.more_fragments,
    }
}

/// Source and destination port, or an echo's identifier twice.
///
/// # Errors
/// Where it is an ICMP error, which is not translated within another (section 4.3), or has no counterpart.
pub(crate) fn ports(transport: &[u8], header: &V4) -> Result<Option<(u16, u16)>, Discard> {
    if header.offset != 0 {
        return Ok(None);
    }
    super::ports(transport, header.protocol, protocol::ICMP, icmp::kind_v4)
}

/// Type, ports, identifier and checksum of a transport header, as far as it is there (section 4.5).
fn change_transport(transport: &mut [u8], header: &V4, to: &Rewrite<Ipv6Addr>, partial: bool) {
    if header.protocol == protocol::ICMP {
        super::change_query(transport, to, icmp::kind_v4, |sum| {
            sum.pseudo_v6(to.source, to.destination, header.payload() as u32, protocol::ICMPV6)
        });
        return;
    }
    let change = Sum::default()
        .without_v4(header.source)
        .without_v4(header.destination)
        .v6(to.source)
        .v6(to.destination);
    super::change_ports(transport, header.protocol, to, change, partial);
}

/// The checksum of UDP over IPv6, over all of it.
fn compute_udp(transport: &mut [u8], to: &Rewrite<Ipv6Addr>) {
    let length = u16_at(transport, 4).unwrap_or(0);
    let covered = transport.get(..usize::from(length)).unwrap_or_default();
    let sum = Sum::default().pseudo_v6(to.source, to.destination, length.into(), protocol::UDP).add(covered);
    let checksum = match sum.checksum() {
        0 => 0xffff,
        checksum => checksum,
    };
    put_u16(transport, 6, checksum);
}

/// A checksum that was left to the interface, computed because fragments will leave.
fn complete_checksum(transport: &mut [u8], of: u8, to: &Rewrite<Ipv6Addr>) {
    let Some(at) = checksum_offset(of) else { return };
    put_u16(transport, at, 0);
    let length = transport.len() as u32;
    let sum = Sum::default().pseudo_v6(to.source, to.destination, length, of).add(transport);
    let checksum = match sum.checksum() {
        0 if of == protocol::UDP => 0xffff,
        checksum => checksum,
    };
    put_u16(transport, at, checksum);
}
