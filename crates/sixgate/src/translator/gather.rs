//! UDP datagrams that follow each other in one flow, gathered into one superpacket: the kernel looks up their route, passes
//! them through its rules and hands them on once. Where the way out cannot take it whole, the kernel cuts it again.

use sixgate_linux::tun::{Segmentation, VnetHeader};

/// Most datagrams in one: receivers that take superpackets whole expect no more (the kernel's first `UDP_MAX_SEGMENTS`).
const MOST: usize = 64;
/// Longest superpacket, in octets.
const LONGEST: usize = 60_000;

const UDP: u8 = 17;
/// Length of a UDP header.
const HEADER: usize = 8;

/// Datagrams of one flow that wait, within one burst, for more.
#[derive(Debug, Default)]
pub(super) struct Gather {
    /// The first one with all of its headers, then the payload of the others.
    packet: Vec<u8>,
    /// What was left to do for the first.
    first: VnetHeader,
    /// Octets of the IP header, and of payload in the first datagram.
    network: usize,
    segment: usize,
    count: usize,
    /// The last one was shorter than the first: only the last may be.
    full: bool,
}

impl Gather {
    /// How many wait.
    pub(super) fn count(&self) -> usize {
        self.count
    }

    /// Takes a datagram that belongs to those that wait, or begins with it where none does. `false`: it has to go by itself,
    /// or after those that wait have gone.
    pub(super) fn take(&mut self, header: &VnetHeader, packet: &[u8]) -> bool {
        // A checksum that nobody has looked at may be wrong, and the kernel would make it right.
        if !(header.needs_checksum || header.checksum_valid) || header.segmentation != Segmentation::None {
            return false;
        }
        let Some(network) = network_header(packet) else { return false };
        let Some((headers, payload)) = packet.split_at_checked(network + HEADER) else { return false };
        if payload.is_empty() {
            return false;
        }
        if self.count == 0 {
            self.packet.clear();
            self.packet.extend_from_slice(packet);
            let first = VnetHeader { checksum_valid: false, ..*header };
            (self.first, self.network, self.segment) = (first, network, payload.len());
            (self.count, self.full) = (1, false);
            return true;
        }
        let room = self.count < MOST && self.packet.len() + payload.len() <= LONGEST && !self.full;
        if !room || payload.len() > self.segment || !same_flow(&self.packet, headers, network) {
            return false;
        }
        self.packet.extend_from_slice(payload);
        self.count += 1;
        self.full = payload.len() < self.segment;
        true
    }

    /// What waited, to be sent; none waits then.
    pub(super) fn flush(&mut self) -> Option<(VnetHeader, &[u8])> {
        let count = std::mem::take(&mut self.count);
        if count < 2 {
            return (count == 1).then_some((self.first, self.packet.as_slice()));
        }
        let length = u16::try_from(self.packet.len() - self.network).unwrap_or(u16::MAX);
        let (ip, udp) = self.packet.split_at_mut_checked(self.network)?;
        put(udp, 4, length);
        let addresses = if self.network == 20 {
            put(ip, 2, length + 20);
            put(ip, 10, 0);
            let sum = fold(sum(ip));
            put(ip, 10, !sum);
            ip.get(12..20)?
        } else {
            put(ip, 4, length);
            ip.get(8..40)?
        };
        // RFC 768 and RFC 8200 section 8.1: the sum of the pseudo-header, which whoever cuts the superpacket completes.
        let pseudo = fold(sum(addresses) + u32::from(UDP) + u32::from(length));
        put(udp, 6, pseudo);
        let header = VnetHeader {
            needs_checksum: true,
            checksum_valid: false,
            segmentation: Segmentation::Udp,
            ecn: false,
            header_length: (self.network + HEADER) as u16,
            segment: self.segment as u16,
            checksum_start: self.network as u16,
            checksum_offset: 6,
        };
        Some((header, self.packet.as_slice()))
    }
}

/// Octets of the IP header, if it is the plain one of an unfragmented UDP datagram with a checksum.
fn network_header(packet: &[u8]) -> Option<usize> {
    let (network, whole) = match packet.first()? {
        0x45 => (20, packet.get(9) == Some(&UDP) && packet.get(6)? & !0x40 == 0 && packet.get(7) == Some(&0)),
        first if first >> 4 == 6 => (40, packet.get(6) == Some(&UDP)),
        _ => return None,
    };
    let checksum = packet.get(network + 6..network + HEADER)?;
    (whole && checksum != [0, 0]).then_some(network)
}

/// Whether two agree in all that a superpacket says once: addresses, ports, traffic class, hop limit, DF. Lengths, checksums and
/// IPv4's identification differ; the kernel counts the last up from the first, as the translator did.
fn same_flow(a: &[u8], b: &[u8], network: usize) -> bool {
    let parts: &[std::ops::Range<usize>] =
        if network == 20 { &[0..2, 6..10, 12..24] } else { &[0..4, 6..44] };
    parts.iter().all(|part| a.get(part.clone()).is_some_and(|octets| Some(octets) == b.get(part.clone())))
}

fn put(octets: &mut [u8], at: usize, value: u16) {
    if let Some(place) = octets.get_mut(at..at + 2) {
        place.copy_from_slice(&value.to_be_bytes());
    }
}

/// The sum of an even number of octets (RFC 1071), not yet folded.
fn sum(octets: &[u8]) -> u32 {
    octets.as_chunks::<2>().0.iter().map(|pair| u32::from(u16::from_be_bytes(*pair))).sum()
}

fn fold(sum: u32) -> u16 {
    let once = (sum & 0xffff) + (sum >> 16);
    ((once & 0xffff) + (once >> 16)) as u16
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRUSTED: VnetHeader = VnetHeader {
        needs_checksum: true,
        checksum_valid: false,
        segmentation: Segmentation::None,
        ecn: false,
        header_length: 0,
        segment: 0,
        checksum_start: 20,
        checksum_offset: 6,
    };

    /// A datagram over IPv4 with so much payload, all of one octet.
    fn v4(fill: u8, payload: usize) -> Vec<u8> {
        let total = (28 + payload) as u16;
        let mut packet = vec![0x45, 0, 0, 0, 0, fill, 0, 0, 64, UDP, 0, 0, 192, 0, 2, 1, 198, 51, 100, 2];
        put(&mut packet, 2, total);
        packet.extend([4, 0, 0, 53, 0, 0, 1, 1]);
        put(&mut packet, 24, total - 20);
        packet.extend(vec![fill; payload]);
        packet
    }

    fn v6(payload: usize) -> Vec<u8> {
        let mut packet = vec![0x60, 0, 0, 0, 0, 0, UDP, 64];
        packet.extend([0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
        packet.extend([0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2]);
        put(&mut packet, 4, (8 + payload) as u16);
        packet.extend([4, 0, 0, 53, 0, 0, 1, 1]);
        packet.extend(vec![7; payload]);
        packet
    }

    #[test]
    fn datagrams_of_one_flow_become_one() {
        let mut gather = Gather::default();
        assert_eq!(gather.flush(), None);
        for (fill, payload) in [(1, 100), (2, 100), (3, 40)] {
            assert!(gather.take(&TRUSTED, &v4(fill, payload)));
        }
        assert!(!gather.take(&TRUSTED, &v4(4, 40)), "only the last may be shorter");
        let (header, packet) = gather.flush().unwrap();
        assert_eq!((header.segmentation, header.segment, header.header_length), (Segmentation::Udp, 100, 28));
        assert_eq!((header.checksum_start, header.checksum_offset, header.needs_checksum), (20, 6, true));
        assert_eq!(
            (&packet[2..4], &packet[24..26]),
            (&268_u16.to_be_bytes()[..], &248_u16.to_be_bytes()[..])
        );
        assert_eq!(fold(sum(&packet[..20])), 0xffff, "the header's own checksum");
        // 192.0.2.1 + 198.51.100.2 + 17 + 248, by hand.
        assert_eq!(
            packet[26..28],
            (0xc000_u32 + 0x0201 + 0xc633 + 0x6402 + 17 + 248 - 0xffff).to_be_bytes()[2..]
        );
        assert_eq!(packet[28..], [vec![1; 100], vec![2; 100], vec![3; 40]].concat());
        assert_eq!(gather.count(), 0);
        assert!(gather.take(&TRUSTED, &v6(10)) && gather.take(&TRUSTED, &v6(10)));
        let (header, packet) = gather.flush().unwrap();
        assert_eq!((header.checksum_start, header.segment, packet[5], packet[45]), (40, 10, 28, 28));
    }

    #[test]
    fn one_alone_stays_as_it_is() {
        let mut gather = Gather::default();
        let packet = v4(9, 30);
        assert!(gather.take(&TRUSTED, &packet));
        assert_eq!(gather.flush(), Some((TRUSTED, packet.as_slice())));
    }

    #[test]
    fn what_does_not_belong_is_refused() {
        let change = |at: usize, value: u8| {
            let mut packet = v4(1, 30);
            packet[at] = value;
            packet
        };
        for (what, packet) in [
            ("traffic class", change(1, 1)),
            ("don't fragment", change(6, 0x40)),
            ("hop limit", change(8, 63)),
            ("source", change(15, 9)),
            ("destination", change(19, 9)),
            ("source port", change(21, 9)),
            ("destination port", change(23, 9)),
            ("longer", v4(1, 31)),
            ("family", v6(30)),
            ("nothing in it", v4(1, 0)),
            ("TCP", change(9, 6)),
            ("more fragments", change(6, 0x20)),
            ("a fragment", change(7, 1)),
            ("cut off", v4(1, 30)[..25].to_vec()),
        ] {
            let mut gather = Gather::default();
            assert!(gather.take(&TRUSTED, &v4(1, 30)));
            assert!(!gather.take(&TRUSTED, &packet), "{what}");
        }
        let mut gather = Gather::default();
        let mut unsummed = v4(1, 30);
        unsummed[26..28].fill(0);
        assert!(!gather.take(&TRUSTED, &unsummed), "no checksum");
        assert!(!gather.take(&VnetHeader::default(), &v4(1, 30)), "a checksum that nobody has looked at");
        let many = VnetHeader { segmentation: Segmentation::Udp, segment: 10, ..TRUSTED };
        assert!(!gather.take(&many, &v4(1, 30)), "a superpacket");
        let taken = (0..100).take_while(|_| gather.take(&TRUSTED, &v4(1, 30))).count();
        assert_eq!(taken, MOST);
        gather.flush();
        let taken = (0..100).take_while(|_| gather.take(&TRUSTED, &v4(1, 1400))).count();
        assert_eq!(taken, 42, "28 + 42 * 1400 <= 60,000");
    }
}
