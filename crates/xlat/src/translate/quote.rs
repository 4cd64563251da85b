//! The packet in an ICMP error, and what may follow it (RFC 4884).

use core::ops::Range;

/// An ICMP error taken apart. Ranges are of the whole packet that holds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Quote<H> {
    /// The error's type, code and what follows them, in the *other* family.
    pub(crate) message: crate::icmp::Message,
    /// The header of the packet in it.
    pub(crate) inner: H,
    /// Its octets, as many as there are.
    pub(crate) packet: Range<usize>,
    /// Extensions (RFC 4884 section 7), or nothing.
    pub(crate) extensions: Range<usize>,
    /// Source and destination port of the packet in it, or an echo's identifier twice; `None` where it has none, or it
    /// is cut off before them.
    pub(crate) ports: Option<(u16, u16)>,
}

/// Least octets of an original datagram that extensions follow (RFC 4884 section 3).
const MIN_ORIGINAL: usize = 128;

/// Where the original datagram and the extensions stand in the octets behind an ICMP header that begin at `start` and
/// end at `end`. `length` is the length field in octets.
pub(super) fn split(start: usize, end: usize, length: usize) -> (Range<usize>, Range<usize>) {
    let middle = start + length;
    if length < MIN_ORIGINAL || middle >= end {
        return (start..end, end..end);
    }
    (start..middle, middle..end)
}

/// The content of an ICMP error: the translated original and the extensions, in at most `room` octets; and the length
/// field in units of `unit` octets, 0 where no extensions follow. Where there is too little room, the original gives
/// way first, then the extensions are left out: cut short, their own checksum (RFC 4884 section 7) would be wrong.
pub(super) fn join(
    mut original: Vec<u8>,
    extensions: &[u8],
    unit: Option<usize>,
    room: usize,
) -> (Vec<u8>, usize) {
    // A multiple of eight is one of four, too.
    let left = room.saturating_sub(extensions.len()) & !7;
    match unit {
        Some(unit) if !extensions.is_empty() && left >= MIN_ORIGINAL => {
            let length = original.len().next_multiple_of(8).max(MIN_ORIGINAL).min(left);
            original.resize(length, 0);
            original.extend(extensions);
            (original, length / unit)
        }
        _ => {
            original.truncate(room);
            (original, 0)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn split_as_rfc_4884_says() {
        assert_eq!(split(28, 300, 0), (28..300, 300..300));
        assert_eq!(split(28, 300, 124), (28..300, 300..300), "too short for extensions to follow");
        assert_eq!(split(28, 300, 128), (28..156, 156..300));
        assert_eq!(split(28, 156, 128), (28..156, 156..156));
        assert_eq!(split(28, 100, 1020), (28..100, 100..100), "longer than there is");
    }

    #[test]
    fn join_keeps_extensions_whole_or_not_at_all() {
        let extensions = [9; 12];
        let (content, length) = join(vec![1; 60], &extensions, Some(4), 548);
        assert_eq!((content.len(), length, content[59], content[60], content[128]), (140, 32, 1, 0, 9));
        let (content, length) = join(vec![1; 600], &extensions, Some(8), 548);
        assert_eq!((content.len(), length), (536 + 12, 67));
        let (content, length) = join(vec![1; 600], &[9; 500], Some(8), 548);
        assert_eq!((content.len(), length, content[547]), (548, 0, 1));
        let (content, length) = join(vec![1; 60], &extensions, None, 548);
        assert_eq!((content.len(), length), (60, 0), "no extensions for this type");
    }
}
