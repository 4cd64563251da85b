//! Packets cut into fragments.

use crate::header::{Fragment, V4, V6};
use crate::packet::Action;

/// Cuts an IPv6 packet without extension headers into fragments of at most `limit` octets (at least 1280). `as_of` is
/// the Fragment header of the whole: that of the fragment it was, or one of offset 0.
pub(super) fn v6(packet: &[u8], as_of: Fragment, limit: usize, actions: &mut Vec<Action>) -> usize {
    let Ok(header) = V6::parse_start(packet) else { return 0 };
    let payload = packet.get(V6::LENGTH..).unwrap_or_default();
    let room = (limit.max(1280) - V6::LENGTH - Fragment::LENGTH) & !7;
    let pieces = payload.chunks(room);
    let last = pieces.len().saturating_sub(1);
    for (number, piece) in pieces.enumerate() {
        let fragment = Fragment {
            offset: as_of.offset + (number * room / 8) as u16,
            more: as_of.more || number != last,
            ..as_of
        };
        let next = header.protocol;
        let length = piece.len() + Fragment::LENGTH;
        let outer = header.build(length, crate::header::protocol::FRAGMENT);
        actions.push(Action::Send([&outer, fragment.build(next).as_slice(), piece].concat()));
    }
    last + 1
}

/// Cuts an IPv4 packet without options, which may be a fragment itself, into fragments of at most `limit` octets (at
/// least 68).
pub(super) fn v4(packet: &[u8], limit: usize, actions: &mut Vec<Action>) -> usize {
    let Ok(header) = V4::parse_start(packet) else { return 0 };
    let payload = packet.get(header.header..).unwrap_or_default();
    let room = (limit.max(68) - V4::LENGTH) & !7;
    let pieces = payload.chunks(room);
    let last = pieces.len().saturating_sub(1);
    for (number, piece) in pieces.enumerate() {
        let fragment = V4 {
            header: V4::LENGTH,
            total: V4::LENGTH + piece.len(),
            more_fragments: header.more_fragments || number != last,
            offset: header.offset + (number * room / 8) as u16,
            ..header
        };
        actions.push(Action::Send([fragment.build().as_slice(), piece].concat()));
    }
    last + 1
}
