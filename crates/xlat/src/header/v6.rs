//! The header of IPv6, and the extension headers behind it.

use super::{protocol, u32_at};
use crate::Discard;
use std::net::Ipv6Addr;

/// Extension headers that are walked; hosts send one or two (RFC 8504 section 5.3 lets nodes limit them).
const MAX_EXTENSIONS: usize = 8;

/// The header of IPv6 (RFC 8200 section 3), and what its extension headers say.
///
/// ```text
///  0                   1                   2                   3
///  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
/// |Version| Traffic Class |           Flow Label                  |
/// |         Payload Length        |  Next Header  |   Hop Limit   |
/// |                         Source Address (16 octets)            |
/// |                       Destination Address (16 octets)         |
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct V6 {
    /// Octets of the header and of all extension headers.
    pub(crate) header: usize,
    /// Octets of the whole packet, as it says.
    pub(crate) total: usize,
    pub(crate) class: u8,
    pub(crate) hop_limit: u8,
    /// The first header that is no extension header which is skipped.
    pub(crate) protocol: u8,
    pub(crate) fragment: Option<Fragment>,
    pub(crate) source: Ipv6Addr,
    pub(crate) destination: Ipv6Addr,
    /// Where the Segments Left field of a Routing header stands that is not zero.
    pub(crate) segments_left: Option<u32>,
}

/// The Fragment header (RFC 8200 section 4.5).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Fragment {
    pub(crate) identification: u32,
    /// In units of eight octets.
    pub(crate) offset: u16,
    pub(crate) more: bool,
}

impl Fragment {
    pub(crate) const LENGTH: usize = 8;

    pub(crate) fn build(self, next: u8) -> [u8; 8] {
        let mut octets = [next, 0, 0, 0, 0, 0, 0, 0];
        octets[2..4].copy_from_slice(&(self.offset << 3 | u16::from(self.more)).to_be_bytes());
        octets[4..8].copy_from_slice(&self.identification.to_be_bytes());
        octets
    }
}

impl V6 {
    /// Octets of the header without extension headers.
    pub(crate) const LENGTH: usize = 40;

    /// Reads a packet: all of it is there.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, Discard> {
        let header = Self::parse_start(bytes)?;
        if header.total > bytes.len() {
            return Err(Discard::Malformed);
        }
        Ok(header)
    }

    /// Reads the beginning of a packet, as an ICMP error holds it: what follows the headers may be cut short.
    pub(crate) fn parse_start(bytes: &[u8]) -> Result<Self, Discard> {
        let fixed: &[u8; 40] = bytes.first_chunk().ok_or(Discard::Malformed)?;
        if fixed[0] >> 4 != 6 {
            return Err(Discard::Malformed);
        }
        let (sixteen, rest) = fixed[8..].split_first_chunk::<16>().ok_or(Discard::Malformed)?;
        let destination: &[u8; 16] = rest.first_chunk().ok_or(Discard::Malformed)?;
        let mut header = Self {
            header: Self::LENGTH,
            total: Self::LENGTH + usize::from(u16::from_be_bytes([fixed[4], fixed[5]])),
            class: fixed[0] << 4 | fixed[1] >> 4,
            hop_limit: fixed[7],
            protocol: fixed[6],
            fragment: None,
            source: Ipv6Addr::from(*sixteen),
            destination: Ipv6Addr::from(*destination),
            segments_left: None,
        };
        header.walk(bytes)?;
        Ok(header)
    }

    /// Walks extension headers up to the transport header or the Fragment header (RFC 7915 section 5.1).
    fn walk(&mut self, bytes: &[u8]) -> Result<(), Discard> {
        for _ in 0..=MAX_EXTENSIONS {
            let length = match self.protocol {
                protocol::HOP_BY_HOP | protocol::ROUTING | protocol::DESTINATION_OPTIONS => {
                    let start = bytes.get(self.header..).and_then(|rest| rest.first_chunk::<4>());
                    let &[_, length, _, left] = start.ok_or(Discard::Malformed)?;
                    if self.protocol == protocol::ROUTING && left != 0 && self.segments_left.is_none() {
                        self.segments_left = Some(self.header as u32 + 3);
                    }
                    (usize::from(length) + 1) * 8
                }
                protocol::FRAGMENT => Fragment::LENGTH,
                _ => return Ok(()),
            };
            let extension = bytes.get(self.header..self.header + length).ok_or(Discard::Malformed)?;
            if self.header + length > self.total {
                return Err(Discard::Malformed);
            }
            let next = extension.first().copied().ok_or(Discard::Malformed)?;
            let is_fragment = self.protocol == protocol::FRAGMENT;
            self.header += length;
            self.protocol = next;
            if is_fragment {
                let flags = u32_at(extension, 0).unwrap_or(0) as u16;
                self.fragment = Some(Fragment {
                    identification: u32_at(extension, 4).unwrap_or(0),
                    offset: flags >> 3,
                    more: flags & 1 != 0,
                });
                // RFC 7915 section 5.1.1: no extension header but ESP may follow.
                return match next {
                    protocol::HOP_BY_HOP
                    | protocol::ROUTING
                    | protocol::FRAGMENT
                    | protocol::AUTHENTICATION
                    | protocol::DESTINATION_OPTIONS
                    | protocol::MOBILITY
                    | protocol::HIP
                    | protocol::SHIM6 => Err(Discard::ExtensionAfterFragment),
                    _ => Ok(()),
                };
            }
        }
        Err(Discard::Extensions)
    }

    /// Whether it is one of several fragments; an atomic one (RFC 6946) is whole.
    pub(crate) fn is_fragment(&self) -> bool {
        self.fragment.is_some_and(|fragment| fragment.more || fragment.offset != 0)
    }

    /// The offset of the fragment, in units of eight octets.
    pub(crate) fn offset(&self) -> u16 {
        self.fragment.map_or(0, |fragment| fragment.offset)
    }

    /// Octets behind all headers, as they say.
    pub(crate) fn payload(&self) -> usize {
        self.total - self.header
    }

    /// See [`super::V4::is_tiny`].
    pub(crate) fn is_tiny(&self) -> bool {
        super::v4::is_tiny(self.protocol, self.offset(), self.payload())
    }

    /// The header as octets, without extension headers, for `payload` octets behind it.
    pub(crate) fn build(&self, payload: usize, next: u8) -> [u8; 40] {
        let mut octets = [0; 40];
        octets[0] = 0x60 | self.class >> 4;
        octets[1] = self.class << 4;
        octets[4..6].copy_from_slice(&(payload as u16).to_be_bytes());
        octets[6] = next;
        octets[7] = self.hop_limit;
        octets[8..24].copy_from_slice(&self.source.octets());
        octets[24..40].copy_from_slice(&self.destination.octets());
        octets
    }
}
