//! An Ethernet frame that waits, as the queue sees it: its IP packet.

use sixgate_aqm::IpPacket;
use sixgate_aqm::shape::Segments;
use sixgate_linux::tun::{Segmentation, VnetHeader};

/// Octets of an Ethernet header without tags.
const ETHERNET: usize = 14;
/// VLAN tags that are looked behind: a customer's within a provider's (IEEE 802.1ad).
const TAGS: usize = 2;
/// What memory a frame takes beside its octets: the allocation's own, and the queue's entry.
const BESIDE: u32 = 128;

/// A frame from its Ethernet header on, and what is left to do for it.
#[derive(Debug)]
pub(super) struct Frame {
    octets: Vec<u8>,
    header: VnetHeader,
    /// Where its IP packet begins; at the end where it has none.
    packet: usize,
}

impl AsRef<[u8]> for Frame {
    fn as_ref(&self) -> &[u8] {
        self.octets.get(self.packet..).unwrap_or_default()
    }
}

impl AsMut<[u8]> for Frame {
    fn as_mut(&mut self) -> &mut [u8] {
        self.octets.get_mut(self.packet..).unwrap_or_default()
    }
}

/// What the shaper holds.
pub(super) type Waiting = IpPacket<Frame>;

impl Frame {
    /// Copies it out of the buffer that it was read into, ready for the queue.
    pub(super) fn waiting(octets: &[u8], header: VnetHeader) -> Waiting {
        let packet = packet_at(octets).unwrap_or(octets.len());
        let segments = segments(&header, packet);
        let memory = u32::try_from(octets.len()).unwrap_or(u32::MAX).saturating_add(BESIDE);
        let frame = Self { octets: octets.to_vec(), header, packet };
        IpPacket::new(frame).with_segments(segments).with_memory(memory)
    }

    /// The whole frame, and what is left to do for it, whoever finds that its checksum was right.
    pub(super) fn parts(&self) -> (VnetHeader, &[u8]) {
        (VnetHeader { checksum_valid: false, ..self.header }, &self.octets)
    }
}

/// Where the IP packet of a frame begins.
fn packet_at(octets: &[u8]) -> Option<usize> {
    let mut at = ETHERNET;
    for _ in 0..=TAGS {
        let kind = octets.get(at - 2..at)?;
        match u16::from_be_bytes([kind[0], kind[1]]) {
            0x0800 | 0x86dd => return Some(at),
            0x8100 | 0x88a8 => at += 4,
            _ => return None,
        }
    }
    None
}

/// How a superpacket will be cut, counted from its IP header on.
fn segments(header: &VnetHeader, packet: usize) -> Option<Segments> {
    if header.segmentation == Segmentation::None || header.segment == 0 {
        return None;
    }
    let headers = u32::from(header.header_length).saturating_sub(u32::try_from(packet).unwrap_or(u32::MAX));
    Some(Segments { headers, payload: header.segment.into() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use sixgate_aqm::Packet as _;
    use sixgate_aqm::shape::Packet as _;

    /// An Ethernet header with these types before an IPv6 header.
    fn frame(kinds: &[u16]) -> Vec<u8> {
        let mut octets = vec![0; 12];
        for kind in kinds {
            octets.extend(kind.to_be_bytes());
            // A tag's number, or the first two octets of what is within.
            octets.extend([0, 7]);
        }
        octets.truncate(octets.len() - 2);
        octets.extend([0x60, 0x20, 0, 0, 0, 0, 59, 64]);
        octets.resize(octets.len() + 32, 1);
        octets
    }

    #[test]
    fn the_packet_is_found_behind_tags_and_nothing_is_made_up() {
        for (kinds, found) in [
            (&[0x86dd][..], Some(14)),
            (&[0x8100, 0x86dd], Some(18)),
            (&[0x88a8, 0x8100, 0x86dd], Some(22)),
            (&[0x8100, 0x8100, 0x8100, 0x86dd], None),
            (&[0x0806], None),
        ] {
            assert_eq!(packet_at(&frame(kinds)), found, "{kinds:x?}");
        }
        for length in 0..64 {
            let octets = vec![0x81; length];
            assert_eq!(packet_at(&octets), None);
            assert_eq!(Frame::waiting(&octets, VnetHeader::default()).octets(), 0);
        }
    }

    #[test]
    fn marking_changes_the_packet_within_the_frame() {
        let mut waiting = Frame::waiting(&frame(&[0x8100, 0x86dd]), VnetHeader::default());
        assert_eq!(waiting.octets(), 40);
        assert!(waiting.mark());
        let frame = waiting.into_buffer();
        assert_eq!(frame.parts().1.get(18..20), Some(&[0x60, 0x30][..]));
    }

    #[test]
    fn a_superpacket_counts_its_headers_from_ip_on() {
        let header = VnetHeader {
            segmentation: Segmentation::Tcp6,
            segment: 1440,
            header_length: 14 + 40 + 20,
            ..VnetHeader::default()
        };
        let waiting = Frame::waiting(&frame(&[0x86dd]), header);
        assert_eq!(waiting.segments(), Some(Segments { headers: 60, payload: 1440 }));
    }
}
