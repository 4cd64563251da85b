//! What is left to do for a packet, before and after its family changes.

use sixgate_linux::tun::{Segmentation, VnetHeader};
use sixgate_xlat::Offload;

/// What the translator has to know of what the kernel left to do; `None` where it is not what this end asked for.
pub(super) fn of(header: &VnetHeader) -> Option<Offload> {
    let segment = match header.segmentation {
        Segmentation::None => None,
        Segmentation::Tcp4 | Segmentation::Tcp6 | Segmentation::Udp if header.segment > 0 => {
            Some(header.segment)
        }
        _ => return None,
    };
    Some(Offload { partial_checksum: header.needs_checksum, segment })
}

/// The same work for the translated packet, which begins `shift` octets earlier than before (later where negative):
/// the transport header has not moved, so all that is counted from the beginning of the packet is as much more.
pub(super) fn translated(header: &VnetHeader, shift: isize, to_v6: bool) -> VnetHeader {
    let moved = |at: u16| u16::try_from(isize::try_from(at).unwrap_or(0) + shift).unwrap_or(0);
    let mut new = VnetHeader::default();
    if header.needs_checksum {
        new.needs_checksum = true;
        new.checksum_start = moved(header.checksum_start);
        new.checksum_offset = header.checksum_offset;
    }
    new.segmentation = match header.segmentation {
        Segmentation::Tcp4 | Segmentation::Tcp6 if to_v6 => Segmentation::Tcp6,
        Segmentation::Tcp4 | Segmentation::Tcp6 => Segmentation::Tcp4,
        other => other,
    };
    if new.segmentation != Segmentation::None {
        new.ecn = header.ecn;
        new.segment = header.segment;
        new.header_length = moved(header.header_length);
    }
    new
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn superpackets_change_their_family() {
        let v6 = VnetHeader {
            needs_checksum: true,
            checksum_valid: false,
            segmentation: Segmentation::Tcp6,
            ecn: true,
            header_length: 72,
            segment: 1428,
            checksum_start: 40,
            checksum_offset: 16,
        };
        let v4 = VnetHeader { segmentation: Segmentation::Tcp4, header_length: 52, checksum_start: 20, ..v6 };
        assert_eq!(translated(&v6, -20, false), v4);
        assert_eq!(translated(&v4, 20, true), v6);
        assert_eq!(of(&v6), Some(Offload { partial_checksum: true, segment: Some(1428) }));
        let udp = VnetHeader { segmentation: Segmentation::Udp, ..v4 };
        assert_eq!(translated(&udp, 20, true), VnetHeader { segmentation: Segmentation::Udp, ..v6 });
        // Nothing left to do: what the kernel found right stays right, and needs no word.
        let plain = VnetHeader { checksum_valid: true, ..VnetHeader::default() };
        assert_eq!(
            (of(&plain), translated(&plain, 20, true)),
            (Some(Offload::default()), VnetHeader::default())
        );
        // Never asked for, or without a size.
        assert_eq!(of(&VnetHeader { segmentation: Segmentation::Other(3), segment: 100, ..v4 }), None);
        assert_eq!(of(&VnetHeader { segment: 0, ..v4 }), None);
    }
}
