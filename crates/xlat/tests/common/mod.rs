//! Packets built and judged without the crate's own code.

// Clippy's exception for tests does not reach the functions beside them; not every test uses all of them.
#![allow(clippy::unwrap_used, clippy::panic, dead_code, unreachable_pub)]

use sixgate_xlat::{Action, Config, HEADROOM, Packet, Siit, Verdict};
use std::net::{Ipv4Addr, Ipv6Addr};
use std::time::Duration;

pub const NOW: Duration = Duration::from_secs(1_795_000_000);

pub const TCP: u8 = 6;
pub const UDP: u8 = 17;
pub const ICMP: u8 = 1;
pub const ICMPV6: u8 = 58;

/// The Internet checksum of octets (RFC 1071), word by word.
pub fn checksum(octets: &[u8]) -> u16 {
    let mut sum: u32 =
        octets.chunks(2).map(|pair| u32::from(pair[0]) << 8 | u32::from(*pair.get(1).unwrap_or(&0))).sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}

fn pseudo_v4(source: Ipv4Addr, destination: Ipv4Addr, protocol: u8, length: usize) -> Vec<u8> {
    let mut octets = [source.octets(), destination.octets()].concat();
    octets.extend([0, protocol]);
    octets.extend((length as u16).to_be_bytes());
    octets
}

fn pseudo_v6(source: Ipv6Addr, destination: Ipv6Addr, protocol: u8, length: usize) -> Vec<u8> {
    let mut octets = [source.octets(), destination.octets()].concat();
    octets.extend((length as u32).to_be_bytes());
    octets.extend([0, 0, 0, protocol]);
    octets
}

fn checksum_at(protocol: u8) -> Option<usize> {
    match protocol {
        TCP => Some(16),
        UDP | 33 => Some(6),
        ICMP | ICMPV6 => Some(2),
        _ => None,
    }
}

/// Fills in a transport checksum.
fn seal(pseudo: &[u8], protocol: u8, body: &mut [u8]) {
    let Some(at) = checksum_at(protocol).filter(|at| body.len() >= at + 2) else { return };
    body[at..at + 2].fill(0);
    let mut sum = checksum(&[pseudo, body].concat());
    if protocol == UDP && sum == 0 {
        sum = 0xffff;
    }
    body[at..at + 2].copy_from_slice(&sum.to_be_bytes());
}

#[derive(Debug, Clone)]
pub struct Ip4 {
    pub tos: u8,
    pub id: u16,
    pub df: bool,
    pub mf: bool,
    pub offset: u16,
    pub ttl: u8,
    pub protocol: u8,
    pub source: Ipv4Addr,
    pub destination: Ipv4Addr,
    pub options: Vec<u8>,
    pub body: Vec<u8>,
}

pub fn ip4(source: &str, destination: &str, protocol: u8, body: Vec<u8>) -> Ip4 {
    Ip4 {
        tos: 0,
        id: 0x1234,
        df: false,
        mf: false,
        offset: 0,
        ttl: 64,
        protocol,
        source: source.parse().unwrap(),
        destination: destination.parse().unwrap(),
        options: Vec::new(),
        body,
    }
}

impl Ip4 {
    /// With the transport's checksum as it has to be.
    pub fn sealed(mut self) -> Self {
        let pseudo = match self.protocol {
            ICMP => Vec::new(),
            protocol => pseudo_v4(self.source, self.destination, protocol, self.body.len()),
        };
        seal(&pseudo, self.protocol, &mut self.body);
        self
    }

    /// Octets; the header checksum is right, all else as it is.
    pub fn octets(&self) -> Vec<u8> {
        let header = 20 + self.options.len();
        assert_eq!(header % 4, 0);
        let flags = u16::from(self.df) << 14 | u16::from(self.mf) << 13 | self.offset;
        let mut octets = vec![0x40 | (header / 4) as u8, self.tos];
        octets.extend(((header + self.body.len()) as u16).to_be_bytes());
        octets.extend(self.id.to_be_bytes());
        octets.extend(flags.to_be_bytes());
        octets.extend([self.ttl, self.protocol, 0, 0]);
        octets.extend(self.source.octets());
        octets.extend(self.destination.octets());
        octets.extend(&self.options);
        let sum = checksum(&octets);
        octets[10..12].copy_from_slice(&sum.to_be_bytes());
        octets.extend(&self.body);
        octets
    }

    pub fn parse(octets: &[u8]) -> Self {
        let header = usize::from(octets[0] & 15) * 4;
        let total = usize::from(u16::from_be_bytes([octets[2], octets[3]]));
        let flags = u16::from_be_bytes([octets[6], octets[7]]);
        Self {
            tos: octets[1],
            id: u16::from_be_bytes([octets[4], octets[5]]),
            df: flags & 0x4000 != 0,
            mf: flags & 0x2000 != 0,
            offset: flags & 0x1fff,
            ttl: octets[8],
            protocol: octets[9],
            source: Ipv4Addr::new(octets[12], octets[13], octets[14], octets[15]),
            destination: Ipv4Addr::new(octets[16], octets[17], octets[18], octets[19]),
            options: octets[20..header].to_vec(),
            body: octets[header..total.min(octets.len())].to_vec(),
        }
    }
}

#[derive(Debug, Clone)]
pub struct Ip6 {
    pub class: u8,
    pub label: u32,
    pub hops: u8,
    pub source: Ipv6Addr,
    pub destination: Ipv6Addr,
    /// Extension headers, each with its number; the next header field of each is filled in.
    pub extensions: Vec<(u8, Vec<u8>)>,
    pub protocol: u8,
    pub body: Vec<u8>,
}

pub fn ip6(source: &str, destination: &str, protocol: u8, body: Vec<u8>) -> Ip6 {
    Ip6 {
        class: 0,
        label: 0,
        hops: 64,
        source: source.parse().unwrap(),
        destination: destination.parse().unwrap(),
        extensions: Vec::new(),
        protocol,
        body,
    }
}

/// A Fragment header's octets; offset in units of eight.
pub fn fragment(offset: u16, more: bool, id: u32) -> (u8, Vec<u8>) {
    let mut octets = vec![0, 0];
    octets.extend((offset << 3 | u16::from(more)).to_be_bytes());
    octets.extend(id.to_be_bytes());
    (44, octets)
}

impl Ip6 {
    pub fn sealed(mut self) -> Self {
        let pseudo = pseudo_v6(self.source, self.destination, self.protocol, self.body.len());
        seal(&pseudo, self.protocol, &mut self.body);
        self
    }

    pub fn octets(&self) -> Vec<u8> {
        let extra: usize = self.extensions.iter().map(|(_, octets)| octets.len()).sum();
        let mut octets = (6 << 28 | u32::from(self.class) << 20 | self.label).to_be_bytes().to_vec();
        octets.extend(((extra + self.body.len()) as u16).to_be_bytes());
        let mut kinds = self.extensions.iter().map(|(kind, _)| *kind).chain([self.protocol]);
        octets.extend([kinds.next().unwrap(), self.hops]);
        octets.extend(self.source.octets());
        octets.extend(self.destination.octets());
        for (_, extension) in &self.extensions {
            let at = octets.len();
            octets.extend(extension);
            octets[at] = kinds.next().unwrap();
        }
        octets.extend(&self.body);
        octets
    }

    pub fn parse(octets: &[u8]) -> Self {
        let first = u32::from_be_bytes(octets[..4].try_into().unwrap());
        let total = 40 + usize::from(u16::from_be_bytes([octets[4], octets[5]]));
        let mut kind = octets[6];
        let mut at = 40;
        let mut extensions = Vec::new();
        while matches!(kind, 0 | 43 | 44 | 60) && octets.len() >= at + 8 {
            let length = if kind == 44 { 8 } else { usize::from(octets[at + 1]) * 8 + 8 };
            if octets.len() < at + length {
                break;
            }
            extensions.push((kind, octets[at..at + length].to_vec()));
            let last = kind;
            kind = octets[at];
            at += length;
            if last == 44 {
                break;
            }
        }
        let address = |at: usize| Ipv6Addr::from(<[u8; 16]>::try_from(&octets[at..at + 16]).unwrap());
        Self {
            class: (first >> 20) as u8,
            label: first & 0xf_ffff,
            hops: octets[7],
            source: address(8),
            destination: address(24),
            extensions,
            protocol: kind,
            body: octets[at..total.min(octets.len()).max(at)].to_vec(),
        }
    }

    /// Offset, more, identification.
    pub fn fragment(&self) -> Option<(u16, bool, u32)> {
        let (_, octets) = self.extensions.iter().find(|(kind, _)| *kind == 44)?;
        let flags = u16::from_be_bytes([octets[2], octets[3]]);
        Some((flags >> 3, flags & 1 != 0, u32::from_be_bytes(octets[4..8].try_into().unwrap())))
    }
}

pub fn payload(length: usize) -> Vec<u8> {
    (0..length).map(|number| (number * 7 + number / 256) as u8).collect()
}

pub fn udp(source: u16, destination: u16, length: usize) -> Vec<u8> {
    let mut octets = [source.to_be_bytes(), destination.to_be_bytes()].concat();
    octets.extend((8 + length as u16).to_be_bytes());
    octets.extend([0, 0]);
    octets.extend(payload(length));
    octets
}

pub const FIN: u8 = 1;
pub const SYN: u8 = 2;
pub const RST: u8 = 4;
pub const ACK: u8 = 16;

pub fn tcp(source: u16, destination: u16, flags: u8, length: usize) -> Vec<u8> {
    let mut octets = [source.to_be_bytes(), destination.to_be_bytes()].concat();
    octets.extend([0, 0, 0, 1, 0, 0, 0, 2, 0x50, flags, 1, 0, 0, 0, 0, 0]);
    octets.extend(payload(length));
    octets
}

pub fn icmp(kind: u8, code: u8, rest: u32, content: &[u8]) -> Vec<u8> {
    let mut octets = vec![kind, code, 0, 0];
    octets.extend(rest.to_be_bytes());
    octets.extend(content);
    octets
}

/// An echo: type, identifier, octets of data.
pub fn echo(kind: u8, identifier: u16, length: usize) -> Vec<u8> {
    icmp(kind, 0, u32::from(identifier) << 16 | 1, &payload(length))
}

/// Asserts that lengths and all checksums of a packet are right; those of fragments' transports cannot be told.
pub fn judge(octets: &[u8]) {
    match octets[0] >> 4 {
        4 => {
            let total = usize::from(u16::from_be_bytes([octets[2], octets[3]]));
            assert_eq!(total, octets.len(), "total length");
            let header = usize::from(octets[0] & 15) * 4;
            assert_eq!(checksum(&octets[..header]), 0, "header checksum");
            let packet = Ip4::parse(octets);
            if !packet.mf && packet.offset == 0 {
                let zero = packet.protocol == UDP && packet.body[6..8] == [0, 0];
                assert!(packet.sealed_as_is() || zero, "transport checksum of {packet:x?}");
            }
        }
        6 => {
            assert_eq!(40 + usize::from(u16::from_be_bytes([octets[4], octets[5]])), octets.len());
            let packet = Ip6::parse(octets);
            if packet.fragment().is_none_or(|(offset, more, _)| offset == 0 && !more) {
                assert!(packet.sealed_as_is(), "transport checksum of {packet:x?}");
            }
        }
        other => panic!("version {other}"),
    }
}

impl Ip4 {
    /// Whether the transport's checksum is right.
    pub fn sealed_as_is(&self) -> bool {
        let pseudo = match self.protocol {
            ICMP => Vec::new(),
            protocol => pseudo_v4(self.source, self.destination, protocol, self.body.len()),
        };
        checksum_at(self.protocol).is_none_or(|_| checksum(&[pseudo, self.body.clone()].concat()) == 0)
    }
}

impl Ip6 {
    pub fn sealed_as_is(&self) -> bool {
        let pseudo = pseudo_v6(self.source, self.destination, self.protocol, self.body.len());
        checksum_at(self.protocol).is_none_or(|_| checksum(&[pseudo, self.body.clone()].concat()) == 0)
    }
}

/// What came of a packet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    pub verdict: Verdict,
    /// All packets to be sent, the translated one first.
    pub sent: Vec<Vec<u8>>,
    pub log: Vec<sixgate_xlat::Event>,
}

/// Puts a packet into a buffer, has it translated, and collects what is to be sent.
pub fn run(octets: &[u8], translate: impl FnOnce(&mut Packet<'_>, &mut Vec<Action>) -> Verdict) -> Outcome {
    let mut buffer = [&[0xa5; HEADROOM], octets].concat();
    let end = buffer.len();
    let mut packet = Packet::new(&mut buffer, HEADROOM..end).unwrap();
    let mut actions = Vec::new();
    let verdict = translate(&mut packet, &mut actions);
    let mut sent = Vec::new();
    if verdict == Verdict::Translated {
        sent.push(packet.bytes().to_vec());
    }
    let mut log = Vec::new();
    for action in actions {
        match action {
            Action::Send(octets) => sent.push(octets),
            Action::Log(event) => log.push(event),
        }
    }
    Outcome { verdict, sent, log }
}

/// Our own addresses in tests.
pub const OWN_V4: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 254);
pub const OWN_V6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0xfe);

pub fn config() -> Config {
    Config::new(OWN_V4, OWN_V6)
}

/// One packet that has to come out translated.
pub fn translated(siit: &mut Siit, octets: &[u8]) -> Vec<u8> {
    let outcome = run(octets, |packet, actions| siit.translate(NOW, packet, actions));
    assert!(
        matches!(outcome.verdict, Verdict::Translated | Verdict::Replaced),
        "{:?} of {octets:02x?}",
        outcome.verdict
    );
    assert_eq!(outcome.sent.len(), 1, "{:?}", outcome.verdict);
    judge(&outcome.sent[0]);
    outcome.sent[0].clone()
}
