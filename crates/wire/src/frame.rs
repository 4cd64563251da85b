//! Ethernet frames, read as far as it takes to see what a host does: ARP (RFC 826), and the headers of IP (RFC 791,
//! RFC 8200), TCP and UDP. A frame may be cut off behind those.

use crate::WireError;
use crate::bytes::{take, u16_at};
use std::net::IpAddr;

/// EtherType of IP, version 4.
const ETHERTYPE_IP: u16 = 0x0800;
/// EtherType of ARP.
const ETHERTYPE_ARP: u16 = 0x0806;
/// EtherType of IPv6.
const ETHERTYPE_IPV6: u16 = 0x86dd;

/// Protocol number of TCP.
pub const TCP: u8 = 6;
/// Protocol number of UDP.
pub const UDP: u8 = 17;
/// Protocol number of ICMPv6.
pub const ICMPV6: u8 = 58;

/// Flags of TCP that tell the first segment of a connection from others: SYN and ACK (RFC 9293 section 3.1).
const SYN_AND_ACK: u8 = 0x12;
const SYN: u8 = 0x02;

/// A frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Frame<'a> {
    /// To which Ethernet address.
    pub destination: [u8; 6],
    /// From which.
    pub source: [u8; 6],
    /// What is in it.
    pub payload: Payload<'a>,
}

/// What is in a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Payload<'a> {
    /// An ARP message for IPv4 over Ethernet.
    Arp(Arp),
    /// A packet of either version of IP.
    Ip(Packet<'a>),
    /// Something else, by its EtherType.
    Other(u16),
}

/// An ARP message for IPv4 over Ethernet (RFC 826).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Arp {
    /// 1 asks, 2 answers.
    pub operation: u16,
    /// The sender's Ethernet address.
    pub sender_hardware: [u8; 6],
    /// The sender's address; 0.0.0.0 in a probe (RFC 5227).
    pub sender: IpAddr,
    /// Whom it asks for, or answers to.
    pub target: IpAddr,
}

impl Arp {
    /// Whether it asks where somebody else is: not a probe for an address of its own, and no announcement of
    /// one (RFC 5227).
    pub fn seeks_a_neighbour(&self) -> bool {
        self.operation == 1 && !self.sender.is_unspecified() && self.sender != self.target
    }
}

/// The header of an IP packet, and as much of what follows as there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Packet<'a> {
    /// 4 or 6.
    pub version: u8,
    /// From which address.
    pub source: IpAddr,
    /// To which.
    pub destination: IpAddr,
    /// Time to live, or hop limit.
    pub hop_limit: u8,
    /// What follows the header. Extension headers of IPv6 are not looked behind.
    pub protocol: u8,
    /// What follows; empty in a fragment that is not the first of its packet.
    pub payload: &'a [u8],
}

impl Packet<'_> {
    /// Whether it asks for a new TCP connection.
    pub fn opens_connection(&self) -> bool {
        self.protocol == TCP && self.payload.get(13).is_some_and(|flags| flags & SYN_AND_ACK == SYN)
    }

    /// The destination port of TCP or UDP.
    pub fn destination_port(&self) -> Option<u16> {
        let has_ports = matches!(self.protocol, TCP | UDP) && self.payload.len() >= 4;
        has_ports.then(|| u16_at(self.payload, 2))
    }
}

impl<'a> Frame<'a> {
    /// Reads a frame without a VLAN tag.
    ///
    /// # Errors
    /// [`WireError`] where a header is cut off or contradicts itself.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, WireError> {
        let (header, rest) = take::<14>(bytes, "Ethernet header")?;
        let [d0, d1, d2, d3, d4, d5, s0, s1, s2, s3, s4, s5, high, low] = *header;
        let payload = match u16::from_be_bytes([high, low]) {
            ETHERTYPE_ARP => arp(rest)?,
            ETHERTYPE_IP => Payload::Ip(packet4(rest)?),
            ETHERTYPE_IPV6 => Payload::Ip(packet6(rest)?),
            other => Payload::Other(other),
        };
        Ok(Self { destination: [d0, d1, d2, d3, d4, d5], source: [s0, s1, s2, s3, s4, s5], payload })
    }
}

fn arp(bytes: &[u8]) -> Result<Payload<'_>, WireError> {
    let (message, _) = take::<28>(bytes, "ARP message")?;
    // Ethernet and IPv4, with addresses of their lengths.
    if message[..6] != [0, 1, 8, 0, 6, 4] {
        return Ok(Payload::Other(ETHERTYPE_ARP));
    }
    let [.., h0, h1, h2, h3, h4, h5, s0, s1, s2, s3, _, _, _, _, _, _, t0, t1, t2, t3] = *message;
    Ok(Payload::Arp(Arp {
        operation: u16_at(message, 6),
        sender_hardware: [h0, h1, h2, h3, h4, h5],
        sender: IpAddr::from([s0, s1, s2, s3]),
        target: IpAddr::from([t0, t1, t2, t3]),
    }))
}

fn packet4(bytes: &[u8]) -> Result<Packet<'_>, WireError> {
    let (header, _) = take::<20>(bytes, "IP header")?;
    let length = usize::from(header[0] & 0x0f) * 4;
    if header[0] >> 4 != 4 || length < header.len() {
        return Err(WireError::BadLength { what: "IP header", length });
    }
    // Flags, then the fragment's offset.
    let first = u16_at(header, 6) << 3 == 0;
    let [.., s0, s1, s2, s3, d0, d1, d2, d3] = *header;
    Ok(Packet {
        version: 4,
        source: IpAddr::from([s0, s1, s2, s3]),
        destination: IpAddr::from([d0, d1, d2, d3]),
        hop_limit: header[8],
        protocol: header[9],
        payload: if first { bytes.get(length..).unwrap_or_default() } else { &[] },
    })
}

fn packet6(bytes: &[u8]) -> Result<Packet<'_>, WireError> {
    let (header, payload) = take::<40>(bytes, "IPv6 header")?;
    if header[0] >> 4 != 6 {
        return Err(WireError::BadValue {
            what: "version of an IPv6 header",
            value: u32::from(header[0] >> 4),
        });
    }
    let address = |at| IpAddr::from(crate::bytes::addr_at(header, at));
    Ok(Packet {
        version: 6,
        source: address(8),
        destination: address(24),
        hop_limit: header[7],
        protocol: header[6],
        payload,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAC: [u8; 6] = [2, 0, 0, 0, 0, 1];

    fn frame(ethertype: u16, payload: &[u8]) -> Vec<u8> {
        [&[0xff; 6][..], &MAC, &ethertype.to_be_bytes(), payload].concat()
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn arp(operation: u8, sender: [u8; 4], target: [u8; 4]) -> Arp {
        let message = [&[0, 1, 8, 0, 6, 4, 0, operation][..], &MAC, &sender, &[0; 6], &target].concat();
        match Frame::parse(&frame(ETHERTYPE_ARP, &message)).unwrap().payload {
            Payload::Arp(arp) => arp,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn arp_says_who_seeks_whom() {
        let ask = arp(1, [192, 0, 2, 9], [192, 0, 2, 1]);
        assert_eq!((ask.sender, ask.target, ask.sender_hardware), (ip("192.0.2.9"), ip("192.0.2.1"), MAC));
        assert!(ask.seeks_a_neighbour());
        assert!(!arp(2, [192, 0, 2, 9], [192, 0, 2, 1]).seeks_a_neighbour(), "an answer");
        assert!(!arp(1, [0; 4], [192, 0, 2, 9]).seeks_a_neighbour(), "a probe");
        assert!(!arp(1, [192, 0, 2, 9], [192, 0, 2, 9]).seeks_a_neighbour(), "an announcement");
        // Of another kind of network.
        let other = frame(ETHERTYPE_ARP, &[0; 28]);
        assert_eq!(Frame::parse(&other).unwrap().payload, Payload::Other(ETHERTYPE_ARP));
    }

    #[test]
    fn connections_are_seen_in_both_versions() {
        let mut tcp = [0; 20];
        tcp[..4].copy_from_slice(&[0xc0, 0, 0, 80]);
        tcp[13] = 0x02;
        let mut header = [0; 20];
        (header[0], header[8], header[9]) = (0x45, 64, TCP);
        header[12..].copy_from_slice(&[192, 0, 2, 9, 198, 51, 100, 10]);
        let bytes = frame(ETHERTYPE_IP, &[&header[..], &tcp].concat());
        let Payload::Ip(packet) = Frame::parse(&bytes).unwrap().payload else { panic!("no packet") };
        assert_eq!((packet.version, packet.destination), (4, ip("198.51.100.10")));
        assert!(packet.opens_connection());
        assert_eq!(packet.destination_port(), Some(80));
        // With options, a later fragment, an answer.
        header[0] = 0x46;
        let options = frame(ETHERTYPE_IP, &[&header[..], &[0; 4], &tcp].concat());
        let Payload::Ip(packet) = Frame::parse(&options).unwrap().payload else { panic!("no packet") };
        assert!(packet.opens_connection());
        (header[0], header[7]) = (0x45, 1);
        let fragment = frame(ETHERTYPE_IP, &[&header[..], &tcp].concat());
        let Payload::Ip(packet) = Frame::parse(&fragment).unwrap().payload else { panic!("no packet") };
        assert!(!packet.opens_connection() && packet.destination_port().is_none());
        let mut six = [0; 40];
        (six[0], six[6], six[7]) = (0x60, TCP, 255);
        tcp[13] = 0x12;
        let bytes = frame(ETHERTYPE_IPV6, &[&six[..], &tcp].concat());
        let Payload::Ip(packet) = Frame::parse(&bytes).unwrap().payload else { panic!("no packet") };
        assert!(packet.version == 6 && packet.hop_limit == 255 && !packet.opens_connection());
    }

    #[test]
    fn what_is_cut_or_contradicts_itself_is_refused() {
        for bytes in [
            frame(ETHERTYPE_ARP, &[0; 27]),
            frame(ETHERTYPE_IP, &[0x45; 19]),
            frame(ETHERTYPE_IP, &[0x44; 20]),
            frame(ETHERTYPE_IP, &[0x65; 20]),
            frame(ETHERTYPE_IPV6, &[0x60; 39]),
            frame(ETHERTYPE_IPV6, &[0x40; 40]),
            vec![0; 13],
        ] {
            assert!(Frame::parse(&bytes).is_err(), "{bytes:?}");
        }
    }
}
