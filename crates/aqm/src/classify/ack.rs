//! Acknowledgements that a later one makes superfluous.

use super::walk::{Headers, protocol};

/// A TCP segment that acknowledges and does nothing else. What [`pure_ack`] is not sure about is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PureAck {
    /// All before this was received (RFC 9293 section 3.1).
    acknowledged: u32,
    /// The sequence number; that of the sender's next data.
    sequence: u32,
    /// Its timestamp (RFC 7323 section 3), where it has one.
    timestamp: Option<u32>,
    /// Whether it echoes a mark (RFC 3168 section 6.1).
    ece: bool,
}

impl PureAck {
    /// Whether this one tells its receiver all that an earlier one of the same connection tells: it acknowledges
    /// more, and does not differ otherwise. Two that acknowledge the same are signs of a loss (RFC 5681
    /// section 3.2), and both count.
    pub fn supersedes(&self, earlier: &Self) -> bool {
        let later = |new: u32, old: u32| new.wrapping_sub(old).cast_signed() > 0;
        let timestamps = match (self.timestamp, earlier.timestamp) {
            (None, None) => true,
            (Some(new), Some(old)) => new == old || later(new, old),
            _ => false,
        };
        timestamps
            && later(self.acknowledged, earlier.acknowledged)
            && self.sequence == earlier.sequence
            && self.ece == earlier.ece
    }
}

const ACK: u8 = 0x10;
const ECE: u8 = 0x40;

/// Reads a TCP acknowledgement without data, whole and not a fragment, with no flag but ACK and perhaps ECE,
/// with no options but timestamps and padding. Anything else (SACK blocks, CWR, AccECN's third bit) makes it
/// one that must not be left out. Not looked for within tunnels.
pub fn pure_ack(packet: &[u8]) -> Option<PureAck> {
    let headers = Headers::read(packet)?;
    if headers.protocol != protocol::TCP || headers.fragment || !headers.whole {
        return None;
    }
    let fixed: &[u8; 20] = headers.payload.first_chunk()?;
    let (length, flags) = (usize::from(fixed[12] >> 4) * 4, fixed[13]);
    // The reserved bits and AccECN's AE stand beside the length.
    if length != headers.payload.len() || fixed[12] & 15 != 0 || flags & !ECE != ACK {
        return None;
    }
    let word = |at: usize| u32::from_be_bytes([fixed[at], fixed[at + 1], fixed[at + 2], fixed[at + 3]]);
    let mut timestamp = None;
    let mut options = &headers.payload[20..];
    loop {
        options = match options {
            [] | [0, ..] => break,
            [1, rest @ ..] => rest,
            [8, 10, a, b, c, d, _, _, _, _, rest @ ..] => {
                timestamp = Some(u32::from_be_bytes([*a, *b, *c, *d]));
                rest
            }
            _ => return None,
        };
    }
    Some(PureAck { acknowledged: word(8), sequence: word(4), timestamp, ece: flags & ECE != 0 })
}
