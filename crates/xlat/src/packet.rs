//! A packet in a buffer with room before it, so that its header can grow without the payload moving.

use core::ops::Range;

/// Octets that must be free before a packet: an IPv6 header and a Fragment header (48) replace an IPv4 header (20).
pub const HEADROOM: usize = 28;

/// What the interface leaves to do for a packet, or will do (virtio's and Linux's segmentation and checksum offload).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Offload {
    /// The checksum field of TCP or UDP holds the sum of the pseudo-header only; whoever sends the packet completes it.
    pub partial_checksum: bool,
    /// The packet is many of one flow in one (a superpacket): octets of payload in each that will be sent.
    pub segment: Option<u16>,
}

/// An IPv4 or IPv6 packet within a buffer. Translation happens in place: the payload does not move.
#[derive(Debug)]
pub struct Packet<'b> {
    buffer: &'b mut [u8],
    range: Range<usize>,
    offload: Offload,
}

/// Why there is no packet in a buffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PacketError {
    /// A translated header would not fit before the payload.
    #[error("a packet begins at octet {0} of its buffer; leave at least {HEADROOM} free before it")]
    Headroom(usize),
    /// The buffer is shorter than the packet.
    #[error("a packet ends at octet {end} of a buffer of {length}")]
    End {
        /// Where the packet would end.
        end: usize,
        /// The length of the buffer.
        length: usize,
    },
}

impl<'b> Packet<'b> {
    /// The packet at `range` of `buffer`; [`HEADROOM`] octets before it are overwritten.
    ///
    /// # Errors
    /// Where there is too little room before it, or it goes beyond the end.
    pub fn new(buffer: &'b mut [u8], range: Range<usize>) -> Result<Self, PacketError> {
        if range.start < HEADROOM {
            return Err(PacketError::Headroom(range.start));
        }
        if range.end > buffer.len() || range.start > range.end {
            return Err(PacketError::End { end: range.end, length: buffer.len() });
        }
        Ok(Self { buffer, range, offload: Offload::default() })
    }

    /// The same packet with work left to the interface.
    #[must_use]
    pub fn with_offload(mut self, offload: Offload) -> Self {
        self.offload = offload;
        self
    }

    /// Its octets.
    pub fn bytes(&self) -> &[u8] {
        self.buffer.get(self.range.clone()).unwrap_or_default()
    }

    /// Where it stands in the buffer. What follows the headers has not moved: offsets of the transport header from the
    /// beginning of the *buffer* are as they were.
    pub fn range(&self) -> Range<usize> {
        self.range.clone()
    }

    /// What is left to the interface.
    pub fn offload(&self) -> Offload {
        self.offload
    }

    pub(crate) fn bytes_mut(&mut self) -> &mut [u8] {
        self.buffer.get_mut(self.range.clone()).unwrap_or_default()
    }

    /// Leaves out what is behind `length` octets (padding of a link).
    pub(crate) fn truncate(&mut self, length: usize) {
        self.range.end = self.range.end.min(self.range.start.saturating_add(length));
    }

    /// Puts `header` in the place of the first `length` octets. `false`, and nothing changed, where there is no room.
    pub(crate) fn replace_header(&mut self, length: usize, header: &[u8]) -> bool {
        let payload = self.range.start.saturating_add(length).min(self.range.end);
        let Some(start) = payload.checked_sub(header.len()) else { return false };
        let Some(place) = self.buffer.get_mut(start..payload) else { return false };
        place.copy_from_slice(header);
        self.range.start = start;
        true
    }
}

/// What shall be done with a packet that was given to a translator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Verdict {
    /// Send the packet: it holds the translated one now.
    Translated,
    /// Send what is among the actions; the packet itself is done with.
    Replaced,
    /// Nothing: it waits here for more, and a copy is kept.
    Held,
    /// Nothing, or the error to its sender that is among the actions.
    Discarded(crate::Discard),
}

/// What there is to do beside the packet itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Send this packet, IPv4 or IPv6 as its first four bits say.
    Send(Vec<u8>),
    /// Write this down.
    Log(crate::Event),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_is_checked_once() {
        let mut buffer = [0; 100];
        assert_eq!(Packet::new(&mut buffer, 27..60).unwrap_err(), PacketError::Headroom(27));
        let error = Packet::new(&mut buffer, 30..101).unwrap_err();
        assert_eq!(error, PacketError::End { end: 101, length: 100 });
        #[expect(clippy::reversed_empty_ranges, reason = "a caller's mistake")]
        let backwards = 40..30;
        assert!(Packet::new(&mut buffer, backwards).is_err());
        let mut packet = Packet::new(&mut buffer, 28..60).unwrap();
        assert!(packet.replace_header(20, &[7; 48]));
        assert_eq!((packet.range(), packet.bytes()[47], packet.bytes()[48]), (0..60, 7, 0));
        assert!(!packet.replace_header(20, &[7; 48]), "no room any more");
        assert_eq!(packet.range(), 0..60);
    }
}
