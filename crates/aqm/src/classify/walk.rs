//! From headers to a flow.

use super::FlowLabel;
use std::hash::{Hash, Hasher};
use std::net::{Ipv4Addr, Ipv6Addr};

/// Tunnels that are looked into, one in the other.
pub(super) const TUNNELS: u8 = 2;
/// Extension headers that are walked; hosts send one or two (RFC 8504 section 5.3 lets nodes limit them).
const MAX_EXTENSIONS: usize = 8;

/// Protocol numbers (IANA).
pub(super) mod protocol {
    pub(in super::super) const HOP_BY_HOP: u8 = 0;
    pub(in super::super) const ICMP: u8 = 1;
    pub(in super::super) const IPIP: u8 = 4;
    pub(in super::super) const TCP: u8 = 6;
    pub(in super::super) const UDP: u8 = 17;
    pub(in super::super) const DCCP: u8 = 33;
    pub(in super::super) const IPV6: u8 = 41;
    pub(in super::super) const ROUTING: u8 = 43;
    pub(in super::super) const FRAGMENT: u8 = 44;
    pub(in super::super) const ESP: u8 = 50;
    pub(in super::super) const AUTHENTICATION: u8 = 51;
    pub(in super::super) const ICMPV6: u8 = 58;
    pub(in super::super) const DESTINATION_OPTIONS: u8 = 60;
    pub(in super::super) const SCTP: u8 = 132;
    pub(in super::super) const MOBILITY: u8 = 135;
    pub(in super::super) const UDP_LITE: u8 = 136;
}

/// What packets of one flow have in common. All zero for what is no IP packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Flow {
    /// The source; an IPv4 address as `::ffff:192.0.2.1`.
    pub source: u128,
    /// The destination, the same way.
    pub destination: u128,
    /// Source and destination port, or what stands for them: an SPI, an identifier, a flow label.
    pub ports: u32,
    /// The protocol, beyond extension headers.
    pub protocol: u8,
}

impl Hash for Flow {
    // Five words: a keyed hash takes them quicker than octets.
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64((self.source >> 64) as u64);
        state.write_u64(self.source as u64);
        state.write_u64((self.destination >> 64) as u64);
        state.write_u64(self.destination as u64);
        state.write_u64(u64::from(self.ports) << 8 | u64::from(self.protocol));
    }
}

/// `None` of what is no IP packet.
pub(super) fn flow(packet: &[u8], label: FlowLabel, tunnels: u8) -> Option<Flow> {
    let headers = Headers::read(packet)?;
    let mut flow = Flow {
        source: headers.source,
        destination: headers.destination,
        ports: 0,
        protocol: headers.protocol,
    };
    if headers.label != 0 && label == FlowLabel::Always {
        flow.ports = headers.label;
        return Some(flow);
    }
    let inside = match headers.protocol {
        protocol::IPIP | protocol::IPV6 if tunnels > 0 && !headers.fragment => {
            self::flow(headers.payload, label, tunnels - 1)
        }
        _ => None,
    };
    if inside.is_some() {
        return inside;
    }
    match headers.ports() {
        Some(ports) => flow.ports = ports,
        None if label == FlowLabel::WherePortsAreHidden => flow.ports = headers.label,
        None => {}
    }
    Some(flow)
}

/// The headers of a packet up to its transport header.
pub(super) struct Headers<'a> {
    source: u128,
    destination: u128,
    label: u32,
    pub(super) protocol: u8,
    pub(super) fragment: bool,
    /// From the transport header to where the packet says that it ends, as far as it is there.
    pub(super) payload: &'a [u8],
    /// Whether it is there as far as the packet says.
    pub(super) whole: bool,
}

impl<'a> Headers<'a> {
    pub(super) fn read(packet: &'a [u8]) -> Option<Self> {
        match packet.first()? >> 4 {
            4 => Self::v4(packet),
            6 => Self::v6(packet),
            _ => None,
        }
    }

    fn v4(packet: &'a [u8]) -> Option<Self> {
        let fixed: &[u8; 20] = packet.first_chunk()?;
        let start = usize::from(fixed[0] & 15) * 4;
        let total = usize::from(u16::from_be_bytes([fixed[2], fixed[3]]));
        if start < 20 || total < start {
            return None;
        }
        let address = |at: usize| {
            let octets = [fixed[at], fixed[at + 1], fixed[at + 2], fixed[at + 3]];
            Ipv4Addr::from(octets).to_ipv6_mapped().to_bits()
        };
        Some(Self {
            source: address(12),
            destination: address(16),
            label: 0,
            protocol: fixed[9],
            // More Fragments, or an offset.
            fragment: u16::from_be_bytes([fixed[6], fixed[7]]) & 0x3fff != 0,
            payload: packet.get(start..total.min(packet.len()))?,
            whole: total <= packet.len(),
        })
    }

    fn v6(packet: &'a [u8]) -> Option<Self> {
        let (fixed, rest) = packet.split_first_chunk::<40>()?;
        let (sixteen, destination) = fixed[8..].split_first_chunk::<16>()?;
        let destination: &[u8; 16] = destination.first_chunk()?;
        let length = usize::from(u16::from_be_bytes([fixed[4], fixed[5]]));
        let mut headers = Self {
            source: Ipv6Addr::from(*sixteen).to_bits(),
            destination: Ipv6Addr::from(*destination).to_bits(),
            label: u32::from_be_bytes([0, fixed[1] & 15, fixed[2], fixed[3]]),
            protocol: fixed[6],
            fragment: false,
            payload: rest.get(..length.min(rest.len()))?,
            whole: length <= rest.len(),
        };
        headers.walk();
        Some(headers)
    }

    /// Goes past extension headers (RFC 8200 section 4) as far as they can be read. What is behind those of a
    /// fragment, or of one too many, is not looked at.
    fn walk(&mut self) {
        for _ in 0..MAX_EXTENSIONS {
            let Some(&[next, length, high, low]) = self.payload.first_chunk() else { return };
            let length = match self.protocol {
                protocol::HOP_BY_HOP
                | protocol::ROUTING
                | protocol::DESTINATION_OPTIONS
                | protocol::MOBILITY => (usize::from(length) + 1) * 8,
                // RFC 4302 section 2.2: in words of four octets, less two.
                protocol::AUTHENTICATION => (usize::from(length) + 2) * 4,
                protocol::FRAGMENT => {
                    // An atomic fragment (RFC 6946) is whole.
                    self.fragment |= u16::from_be_bytes([high, low]) & 0xfff9 != 0;
                    8
                }
                _ => return,
            };
            let Some(rest) = self.payload.get(length..) else { return };
            (self.protocol, self.payload) = (next, rest);
            if self.fragment {
                return;
            }
        }
    }

    /// Source and destination port, or what stands for them; `None` where nothing does.
    fn ports(&self) -> Option<u32> {
        if self.fragment {
            return None;
        }
        let word = |at: usize| {
            let octets = self.payload.get(at..)?.first_chunk::<4>()?;
            Some(u32::from_be_bytes(*octets))
        };
        match self.protocol {
            protocol::TCP
            | protocol::UDP
            | protocol::UDP_LITE
            | protocol::SCTP
            | protocol::DCCP
            | protocol::ESP => word(0),
            // Requests and replies: the identifier. All else of ICMP between two hosts is one flow.
            protocol::ICMP if matches!(self.payload.first(), Some(0 | 8)) => word(4).map(|word| word >> 16),
            protocol::ICMPV6 if matches!(self.payload.first(), Some(128 | 129)) => {
                word(4).map(|word| word >> 16)
            }
            protocol::ICMP | protocol::ICMPV6 => Some(0),
            _ => None,
        }
    }
}
