//! The header of IPv4.

use super::protocol;
use crate::Discard;
use crate::checksum::Sum;
use std::net::Ipv4Addr;

/// The header of IPv4 (RFC 791 section 3.1).
///
/// ```text
///  0                   1                   2                   3
///  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
/// |Version|  IHL  |Type of Service|          Total Length         |
/// |         Identification        |Flags|      Fragment Offset    |
/// |  Time to Live |    Protocol   |         Header Checksum       |
/// |                       Source Address                          |
/// |                    Destination Address                        |
/// |                    Options                    |    Padding    |
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct V4 {
    /// Octets of the header with its options.
    pub(crate) header: usize,
    /// Octets of the whole packet, as it says.
    pub(crate) total: usize,
    pub(crate) tos: u8,
    pub(crate) identification: u16,
    pub(crate) dont_fragment: bool,
    pub(crate) more_fragments: bool,
    /// In units of eight octets.
    pub(crate) offset: u16,
    pub(crate) ttl: u8,
    pub(crate) protocol: u8,
    pub(crate) source: Ipv4Addr,
    pub(crate) destination: Ipv4Addr,
    /// A loose or strict source route that has not come to its end (RFC 791 section 3.1).
    pub(crate) source_route: bool,
}

impl V4 {
    /// Octets of the header without options.
    pub(crate) const LENGTH: usize = 20;

    /// Reads a packet: all of it is there, and its header checksum is right.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, Discard> {
        let header = Self::parse_start(bytes)?;
        if header.total > bytes.len() {
            return Err(Discard::Malformed);
        }
        let octets = bytes.get(..header.header).unwrap_or_default();
        if Sum::default().add(octets).fold() != 0xffff {
            return Err(Discard::HeaderChecksum);
        }
        Ok(header)
    }

    /// Reads the beginning of a packet, as an ICMP error holds it: what follows the header may be cut short, and
    /// routers may have written into the header.
    pub(crate) fn parse_start(bytes: &[u8]) -> Result<Self, Discard> {
        let fixed: &[u8; 20] = bytes.first_chunk().ok_or(Discard::Malformed)?;
        let header = usize::from(fixed[0] & 0x0f) * 4;
        let total = usize::from(u16::from_be_bytes([fixed[2], fixed[3]]));
        if fixed[0] >> 4 != 4 || header < Self::LENGTH || total < header {
            return Err(Discard::Malformed);
        }
        let options = bytes.get(Self::LENGTH..header).ok_or(Discard::Malformed)?;
        let fragment = u16::from_be_bytes([fixed[6], fixed[7]]);
        Ok(Self {
            header,
            total,
            tos: fixed[1],
            identification: u16::from_be_bytes([fixed[4], fixed[5]]),
            dont_fragment: fragment & 0x4000 != 0,
            more_fragments: fragment & 0x2000 != 0,
            offset: fragment & 0x1fff,
            ttl: fixed[8],
            protocol: fixed[9],
            source: Ipv4Addr::new(fixed[12], fixed[13], fixed[14], fixed[15]),
            destination: Ipv4Addr::new(fixed[16], fixed[17], fixed[18], fixed[19]),
            source_route: source_route(options),
        })
    }

    pub(crate) fn is_fragment(&self) -> bool {
        self.more_fragments || self.offset != 0
    }

    /// Octets behind the header, as it says.
    pub(crate) fn payload(&self) -> usize {
        self.total - self.header
    }

    /// The header as octets, without options, with its checksum.
    pub(crate) fn build(&self) -> [u8; 20] {
        let mut octets = [0; 20];
        let fragment =
            u16::from(self.dont_fragment) << 14 | u16::from(self.more_fragments) << 13 | self.offset;
        octets[0] = 0x45;
        octets[1] = self.tos;
        octets[2..4].copy_from_slice(&(self.total as u16).to_be_bytes());
        octets[4..6].copy_from_slice(&self.identification.to_be_bytes());
        octets[6..8].copy_from_slice(&fragment.to_be_bytes());
        octets[8] = self.ttl;
        octets[9] = self.protocol;
        octets[12..16].copy_from_slice(&self.source.octets());
        octets[16..20].copy_from_slice(&self.destination.octets());
        let checksum = Sum::default().add(&octets).checksum();
        octets[10..12].copy_from_slice(&checksum.to_be_bytes());
        octets
    }

    /// Whether the packet, or its first fragment, is cut off before ports and checksum, or a later fragment would be
    /// written over them (RFC 1858 section 3, RFC 3128).
    pub(crate) fn is_tiny(&self) -> bool {
        is_tiny(self.protocol, self.offset, self.payload())
    }
}

/// See [`V4::is_tiny`].
pub(super) fn is_tiny(of: u8, offset: u16, payload: usize) -> bool {
    match offset {
        0 => {
            payload
                < match of {
                    protocol::TCP => 20,
                    protocol::UDP
                    | protocol::ICMP
                    | protocol::ICMPV6
                    | protocol::DCCP
                    | protocol::UDP_LITE => 8,
                    _ => 0,
                }
        }
        1 => of == protocol::TCP,
        _ => false,
    }
}

/// Whether there is a source route (options 131 and 137) whose pointer is not behind its end.
fn source_route(mut options: &[u8]) -> bool {
    while let Some((&kind, rest)) = options.split_first() {
        match kind {
            0 => return false,
            1 => options = rest,
            _ => {
                let Some(&length) = rest.first() else { return false };
                if matches!(kind, 131 | 137) && rest.get(1).is_some_and(|&pointer| pointer <= length) {
                    return true;
                }
                let Some(next) = options.get(usize::from(length).max(2)..) else { return false };
                options = next;
            }
        }
    }
    false
}
