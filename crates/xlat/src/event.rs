//! What is written down.

use crate::header::{V4, u16_at};
use core::time::Duration;
use ipnet::Ipv6Net;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::ops::RangeInclusive;

/// Something to be written into a log. Times are those that the caller gave.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// From now on these ports of an address are a subscriber's, for all protocols: the answer to "who had
    /// it".
    BlockAllocated {
        /// Whose: the prefix of the holder's length.
        subscriber: Ipv6Net,
        /// The address as the IPv4 Internet sees it.
        address: Ipv4Addr,
        /// The ports, and the identifiers of ICMP.
        ports: RangeInclusive<u16>,
        /// When.
        at: Duration,
    },
    /// These ports are nobody's again.
    BlockReleased {
        /// Whose they were.
        subscriber: Ipv6Net,
        /// The address as the IPv4 Internet sees it.
        address: Ipv4Addr,
        /// The ports, and the identifiers of ICMP.
        ports: RangeInclusive<u16>,
        /// When.
        at: Duration,
    },
    /// A UDP packet without a checksum was discarded (RFC 7915 section 4.5). Of many in a row, not all are told.
    ZeroChecksum {
        /// Its source.
        source: SocketAddrV4,
        /// Its destination.
        destination: SocketAddrV4,
        /// When.
        at: Duration,
    },
}

impl Event {
    pub(crate) fn zero_checksum(now: Duration, packet: &[u8]) -> Option<Self> {
        let header = V4::parse_start(packet).ok()?;
        let port = |at| u16_at(packet, header.header + at).unwrap_or(0);
        Some(Self::ZeroChecksum {
            source: SocketAddrV4::new(header.source, port(0)),
            destination: SocketAddrV4::new(header.destination, port(2)),
            at: now,
        })
    }
}
