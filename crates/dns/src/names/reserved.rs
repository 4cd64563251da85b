//! Names that must not leave the network, other than the network's own.

use std::net::{IpAddr, Ipv6Addr};

use hickory_proto::rr::Name;
use ipnet::IpNet;

/// What a reserved name gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reserved {
    /// Each host itself (RFC 6761 section 6.3).
    Localhost,
    /// The name of a loopback address.
    LoopbackPointer,
    /// No such name; the zone that says so has this many labels.
    NoName(usize),
    /// The name is there but has no data (RFC 9462 section 6.4); the zone has this many labels.
    NoData(usize),
}

/// Whether a name is for local use only, whoever serves it, or is one by which a network tells of its NAT64: that answer
/// is made up on the way, and must be asked for as by one who does not validate (RFC 7050 section 3, RFC 8880 section 7).
pub(crate) fn is_reserved(name: &Name) -> bool {
    let lower = name.to_lowercase();
    let mut labels: Vec<&[u8]> = lower.iter().collect();
    labels.reverse();
    reserved(&labels).is_some() || labels.starts_with(&[b"arpa", b"ipv4only"])
}

/// Looks a name up by its lower-case labels, the top one first.
pub(super) fn reserved(labels: &[&[u8]]) -> Option<Reserved> {
    match labels {
        [b"localhost", ..] => Some(Reserved::Localhost),
        // RFC 6761 sections 6.2 and 6.4, RFC 6762 section 22.1, RFC 7686 section 2, RFC 9476 section 2.
        [b"test" | b"invalid" | b"local" | b"onion" | b"alt", ..] => Some(Reserved::NoName(1)),
        [b"arpa", b"resolver", ..] => Some(Reserved::NoData(2)),
        [b"arpa", b"in-addr", octets @ ..] => private_v4(octets),
        [b"arpa", b"ip6", nibbles @ ..] => private_v6(nibbles),
        _ => None,
    }
}

/// RFC 6303 sections 4.1 and 4.2, RFC 7793.
fn private_v4(labels: &[&[u8]]) -> Option<Reserved> {
    let octet = |index: usize| labels.get(index).and_then(|label| octet_of(label));
    let zone = match (octet(0)?, octet(1), octet(2), octet(3)) {
        (127, Some(0), Some(0), Some(1)) if labels.len() == 4 => return Some(Reserved::LoopbackPointer),
        (0 | 10 | 127, ..) => 1,
        (169, Some(254), ..)
        | (172, Some(16..=31), ..)
        | (192, Some(168), ..)
        | (100, Some(64..=127), ..) => 2,
        (192, Some(0), Some(2), _) | (198, Some(51), Some(100), _) | (203, Some(0), Some(113), _) => 3,
        (255, Some(255), Some(255), Some(255)) => 4,
        _ => return None,
    };
    Some(Reserved::NoName(zone + 2))
}

/// RFC 6303 sections 4.3 to 4.6.
fn private_v6(labels: &[&[u8]]) -> Option<Reserved> {
    let (address, nibbles) = address_of(labels);
    let first = address.segments()[0];
    let zone = if nibbles == 32 && labels.len() == 32 && address == Ipv6Addr::LOCALHOST {
        return Some(Reserved::LoopbackPointer);
    } else if nibbles == 32 && (address == Ipv6Addr::LOCALHOST || address == Ipv6Addr::UNSPECIFIED) {
        32
    } else if nibbles >= 2 && first >> 8 == 0xfd {
        2
    } else if nibbles >= 3 && first & 0xffc0 == 0xfe80 {
        3
    } else if nibbles >= 8 && first == 0x2001 && address.segments()[1] == 0xdb8 {
        8
    } else {
        return None;
    };
    Some(Reserved::NoName(zone + 2))
}

/// The address that the labels below `ip6.arpa.` spell (RFC 3596 section 2.5), the rest of it zero, and how
/// many nibbles they gave before the first label that is none.
pub(crate) fn address_of(labels: &[&[u8]]) -> (Ipv6Addr, usize) {
    let mut bits = 0_u128;
    let mut nibbles = 0_usize;
    for label in labels.iter().take(32) {
        let [digit] = *label else { break };
        let Some(nibble) = char::from(*digit).to_digit(16) else { break };
        bits |= u128::from(nibble) << (124 - 4 * nibbles);
        nibbles += 1;
    }
    (Ipv6Addr::from_bits(bits), nibbles)
}

/// The number that a label below `in-addr.arpa.` spells (RFC 1035 section 3.5), written as nobody can write it otherwise.
fn octet_of(label: &[u8]) -> Option<u8> {
    let text = std::str::from_utf8(label).ok()?;
    let octet: u8 = text.parse().ok()?;
    let plain = text == "0" || !text.starts_with(['0', '+']);
    plain.then_some(octet)
}

/// A name below `ip6.arpa.` or `in-addr.arpa.`, read as an address.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reversed {
    /// What its labels spell, the rest zero.
    pub(super) address: IpAddr,
    /// Its labels below the two.
    pub(super) labels: usize,
    /// Of these, how many were read before the first that is none of an address.
    pub(super) read: usize,
    /// Bits that one label stands for.
    bits: u8,
}

impl Reversed {
    /// Reads the labels below `ip6.arpa.`, the top one first.
    pub(super) fn v6(labels: &[&[u8]]) -> Self {
        let (address, read) = address_of(labels);
        Self { address: address.into(), labels: labels.len(), read, bits: 4 }
    }

    /// Reads the labels below `in-addr.arpa.`, the top one first.
    pub(super) fn v4(labels: &[&[u8]]) -> Self {
        let mut octets = [0; 4];
        let mut read = 0;
        for (octet, label) in octets.iter_mut().zip(labels) {
            let Some(number) = octet_of(label) else { break };
            *octet = number;
            read += 1;
        }
        Self { address: octets.into(), labels: labels.len(), read, bits: 8 }
    }

    /// Labels of a whole address.
    pub(super) fn all(&self) -> usize {
        usize::from(self.bits_of_family() / self.bits)
    }

    fn bits_of_family(&self) -> u8 {
        IpNet::from(self.address).prefix_len()
    }

    /// Labels of the zone of a network: those that its length fills, the last of them in part.
    pub(super) fn labels_of(&self, net: IpNet) -> usize {
        usize::from(net.prefix_len().div_ceil(self.bits))
    }

    /// Whether it is the name of an address.
    pub(super) fn is_whole(&self) -> bool {
        self.labels == self.read && self.read == self.all()
    }

    /// The addresses whose names are below this one; nothing where no name can be.
    pub(super) fn net(&self) -> Option<IpNet> {
        // Fewer labels than an address has bits.
        let length = (self.read as u8).checked_mul(self.bits)?;
        (self.labels == self.read && self.read < self.all())
            .then(|| IpNet::new(self.address, length).ok())
            .flatten()
    }
}
