//! The translation of one packet (RFC 7915) once it is known which addresses and ports it gets. No state but
//! counters, the rate of ICMP errors, and identifications.
//!
//! Each direction has three steps: `check` refuses what cannot be translated, before anything is changed; the
//! caller finds addresses; `rewrite` translates and cannot fail. An ICMP error is read by `quote` and written
//! by `error`.

mod answer;
mod cut;
mod quote;
pub(crate) mod to_v4;
pub(crate) mod to_v6;

pub(crate) use answer::{Refusal, error_v4, start_of};
pub(crate) use quote::Quote;
pub(crate) use to_v4::check as check_v6;

use crate::budget::{Budget, ErrorRate};
use crate::checksum::Sum;
use crate::header::{checksum_offset, protocol, put_u16, u16_at};
use crate::icmp::{Kind, Mtus};
use crate::keyed::Key;
use crate::packet::Offload;
use crate::{Counters, Discard};
use core::time::Duration;
use ipnet::Ipv4Net;
use std::net::{Ipv4Addr, Ipv6Addr};

/// What every translator is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// Our own IPv4 address: ICMP errors of ours come from it.
    pub address_v4: Ipv4Addr,
    /// Our own IPv6 address: ICMPv6 errors of ours come from it.
    pub address_v6: Ipv6Addr,
    /// MTU of the next link with IPv4, in octets: 68 to 65,535.
    pub mtu_v4: u16,
    /// MTU of the next link with IPv6, in octets: 1280 to 65,535.
    pub mtu_v6: u16,
    /// "lowest-ipv6-mtu" (RFC 7915 section 4.1), in octets: IPv4 packets without DF become IPv6 fragments of
    /// at most this. It is 1280, unless all paths of the IPv6 network are known to take more.
    pub lowest_ipv6_mtu: u16,
    /// Copies the traffic class with its ECN bits, both ways; otherwise it becomes 0.
    pub copy_traffic_class: bool,
    /// What becomes of UDP over IPv4 without a checksum that is no fragment.
    pub zero_checksum: ZeroChecksum,
    /// How often ICMP errors of our own are sent.
    pub errors: ErrorRate,
    /// From where ICMPv4 errors seem to come whose IPv6 sender has no IPv4 address (RFC 6791); none are
    /// translated where it is `None`.
    pub error_sources: Option<Ipv4Net>,
}

/// What becomes of UDP over IPv4 without a checksum (RFC 7915 section 4.5).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ZeroChecksum {
    /// It is computed, over all of the packet.
    Compute,
    /// The packet is discarded and logged.
    Discard,
}

impl Config {
    /// Ethernet on both sides, traffic class copied, checksums computed.
    pub fn new(address_v4: Ipv4Addr, address_v6: Ipv6Addr) -> Self {
        Self {
            address_v4,
            address_v6,
            mtu_v4: 1500,
            mtu_v6: 1500,
            lowest_ipv6_mtu: 1280,
            copy_traffic_class: true,
            zero_checksum: ZeroChecksum::Compute,
            errors: ErrorRate::default(),
            error_sources: None,
        }
    }
}

/// How many lines of log strangers may cause: ten at once, and one a second.
const LOG_RATE: ErrorRate = ErrorRate { burst: 10, interval: Duration::from_secs(1) };

/// What both translators, stateless and stateful, have.
#[derive(Debug)]
pub(crate) struct Engine {
    pub(crate) config: Config,
    pub(crate) counters: Counters,
    budget: Budget,
    /// Lines of log that strangers cause.
    log: Budget,
    /// Next identification, by addresses: the same pair meets the same value only after 65,536 packets (RFC
    /// 6864 section 5.3 wants no more than that of us).
    identifications: Box<[u16; 256]>,
}

impl Engine {
    pub(crate) fn new(mut config: Config, random: &mut fastrand::Rng) -> Self {
        config.mtu_v4 = config.mtu_v4.max(68);
        config.mtu_v6 = config.mtu_v6.max(1280);
        config.lowest_ipv6_mtu = config.lowest_ipv6_mtu.clamp(1280, config.mtu_v6);
        let key = Key::new(random);
        let mut identifications = Box::new([0; 256]);
        for (number, identification) in (0..).zip(identifications.iter_mut()) {
            *identification = key.choice(number) as u16;
        }
        let budget = Budget::new(config.errors);
        let log = Budget::new(LOG_RATE);
        Self { config, counters: Counters::default(), budget, log, identifications }
    }

    /// Whether what a stranger has caused may be written down; it is counted in any case.
    pub(crate) fn may_log(&mut self, now: Duration) -> bool {
        self.log.take(now)
    }

    fn identification(&mut self, source: Ipv4Addr, destination: Ipv4Addr) -> u16 {
        let mixed = (source.to_bits().rotate_left(11) ^ destination.to_bits()).wrapping_mul(0x9e37_79b1);
        let Some(next) = self.identifications.get_mut((mixed >> 24) as usize) else { return 0 };
        *next = next.wrapping_add(1);
        *next
    }

    fn class(&self, class: u8) -> u8 {
        if self.config.copy_traffic_class { class } else { 0 }
    }

    fn mtus(&self) -> Mtus {
        Mtus { v4: self.config.mtu_v4.into(), v6: self.config.mtu_v6.into() }
    }

    /// Where an ICMPv4 error seems to come from whose sender has no IPv4 address: always the same for one
    /// sender, so that a traceroute tells routers apart (RFC 6791 section 3).
    pub(crate) fn error_source(&self, sender: Ipv6Addr) -> Option<Ipv4Addr> {
        let net = self.config.error_sources?;
        let bits = sender.to_bits();
        let mixed = ((bits >> 64) as u64 ^ bits as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
        let host = mixed as u32 & net.hostmask().to_bits();
        Some(Ipv4Addr::from_bits(net.network().to_bits() | host))
    }
}

/// New addresses, and ports or ICMP identifiers where they change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Rewrite<A> {
    pub(crate) source: A,
    pub(crate) destination: A,
    /// The source port; the identifier of an echo.
    pub(crate) source_port: Option<u16>,
    pub(crate) destination_port: Option<u16>,
}

impl<A> Rewrite<A> {
    pub(crate) fn addresses(source: A, destination: A) -> Self {
        Self { source, destination, source_port: None, destination_port: None }
    }
}

/// How a packet leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Plan {
    Whole,
    /// In fragments of at most so many octets.
    Cut(usize),
    /// As an ICMP error, which has a packet in it.
    Error,
}

/// Octets behind the network header in the largest packet that will be sent: of a superpacket, one segment of
/// it.
fn largest(transport: &[u8], of: u8, payload: usize, offload: Offload) -> usize {
    let Some(segment) = offload.segment else { return payload };
    let header = match of {
        protocol::TCP => transport.get(12).map_or(20, |octet| usize::from(octet >> 4) * 4),
        _ => 8,
    };
    payload.min(header + usize::from(segment))
}

/// Only TCP and UDP come with work left to the interface, and never in fragments.
fn check_offload(offload: Offload, of: u8, is_fragment: bool) -> Result<(), Discard> {
    let fits = matches!(of, protocol::TCP | protocol::UDP) && !is_fragment;
    if (offload.partial_checksum || offload.segment.is_some()) && !fits {
        return Err(Discard::Offload);
    }
    Ok(())
}

/// Source and destination port, or an echo's identifier twice, of a transport header that begins in this packet. `icmp` is the number of
/// its family's ICMP, and `kind` reads a type of that.
///
/// # Errors
/// Where it is an ICMP error, which is not translated within another (RFC 7915 sections 4.3 and 5.3), or has no counterpart.
fn ports(transport: &[u8], of: u8, icmp: u8, kind: fn(u8) -> Kind) -> Result<Option<(u16, u16)>, Discard> {
    if of == icmp {
        return match transport.first().map(|&octet| kind(octet)) {
            Some(Kind::Query(_)) => Ok(u16_at(transport, 4).map(|identifier| (identifier, identifier))),
            Some(Kind::Error) => Err(Discard::NestedError),
            Some(Kind::None) => Err(Discard::Icmp),
            None => Ok(None),
        };
    }
    let has_ports = matches!(of, protocol::TCP | protocol::UDP);
    Ok(has_ports.then(|| u16_at(transport, 0).zip(u16_at(transport, 2))).flatten())
}

/// Type, identifier and checksum of an ICMP query, as far as it is there. `kind` reads its type, `pseudo` is what the pseudo-header, which
/// ICMPv6 alone has, does to the sum.
fn change_query<A>(
    transport: &mut [u8],
    to: &Rewrite<A>,
    kind: fn(u8) -> Kind,
    pseudo: impl FnOnce(Sum) -> Sum,
) {
    let Some(&[old, code]) = transport.first_chunk() else { return };
    let Kind::Query(new) = kind(old) else { return };
    let (old_word, new_word) = (u16::from_be_bytes([old, code]), u16::from_be_bytes([new, code]));
    let change = pseudo(Sum::default().without(old_word).word(new_word));
    put_u16(transport, 0, new_word);
    let change = change_port(transport, 4, to.source_port.or(to.destination_port), change);
    if let Some(checksum) = u16_at(transport, 2) {
        put_u16(transport, 2, change.update(checksum));
    }
}

/// Writes a port or identifier where it changes; the change of the sum.
fn change_port(transport: &mut [u8], at: usize, new: Option<u16>, change: Sum) -> Sum {
    let (Some(new), Some(old)) = (new, u16_at(transport, at)) else { return change };
    put_u16(transport, at, new);
    change.without(old).word(new)
}

/// Ports and checksum of TCP, UDP and their like, as far as they are there. `change` is that of the
/// pseudo-header.
fn change_ports<A>(transport: &mut [u8], of: u8, to: &Rewrite<A>, change: Sum, partial: bool) {
    let Some(at) = checksum_offset(of) else { return };
    let mut with_ports = change_port(transport, 0, to.source_port, change);
    with_ports = change_port(transport, 2, to.destination_port, with_ports);
    let Some(checksum) = u16_at(transport, at) else { return };
    let new = if partial {
        // It covers the pseudo-header only; ports are the interface's to sum up.
        change.update_partial(checksum)
    } else if of == protocol::UDP && checksum == 0 {
        return;
    } else {
        match with_ports.update(checksum) {
            // RFC 768: zero means none.
            0 if of == protocol::UDP => 0xffff,
            new => new,
        }
    };
    put_u16(transport, at, new);
}
