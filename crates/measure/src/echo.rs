//! The datagrams between a prober and our own far end.
//!
//! ```text
//!  0                   1                   2                   3
//!  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! |                         "sgm1"                                |
//! +---------------------------------------------------------------+
//! |                 key, 16 octets, from the consent              |
//! +---------------------------------------------------------------+
//! |                           sequence                            |
//! +---------------------------------------------------------------+
//! |       time at the prober, microseconds, 8 octets              |
//! +---------------------------------------------------------------+
//! |       time at the far end, microseconds, 8 octets: zero on    |
//! |       the way there                                           |
//! +---------------------------------------------------------------+
//! |       padding                                                 |
//! ```
//! An answer is as long as the question and differs in one field: nobody gains octets by lying about who asks.

/// Octets of a datagram without padding.
pub const LENGTH: usize = 40;
/// How each begins.
const MAGIC: &[u8; 4] = b"sgm1";
/// Longest that is answered, in octets.
pub const LONGEST: usize = 1452;

/// What allows to probe: drawn by the far end for one prober, and valid for a short time.
pub type Key = [u8; 16];

/// A question or an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Echo {
    /// Whose.
    pub key: Key,
    /// Which.
    pub sequence: u32,
    /// When the prober sent it, in microseconds of its own clock.
    pub sent: u64,
    /// When the far end had it, in microseconds of its own clock; 0 in a question.
    pub there: u64,
}

impl Echo {
    /// Reads a datagram; `None` where it is none of ours.
    pub fn read(octets: &[u8]) -> Option<Self> {
        if octets.len() > LONGEST {
            return None;
        }
        let rest = octets.strip_prefix(MAGIC)?;
        let (key, rest) = rest.split_first_chunk()?;
        let (sequence, rest) = rest.split_first_chunk()?;
        let (sent, rest) = rest.split_first_chunk()?;
        let there = rest.first_chunk()?;
        Some(Self {
            key: *key,
            sequence: u32::from_be_bytes(*sequence),
            sent: u64::from_be_bytes(*sent),
            there: u64::from_be_bytes(*there),
        })
    }

    /// The datagram, without padding.
    pub fn octets(&self) -> [u8; LENGTH] {
        let mut octets = [0; LENGTH];
        octets[..4].copy_from_slice(MAGIC);
        octets[4..20].copy_from_slice(&self.key);
        octets[20..24].copy_from_slice(&self.sequence.to_be_bytes());
        octets[24..32].copy_from_slice(&self.sent.to_be_bytes());
        octets[32..].copy_from_slice(&self.there.to_be_bytes());
        octets
    }
}

/// A key as text: 32 hexadecimal digits.
pub fn key_text(key: &Key) -> String {
    format!("{:032x}", u128::from_be_bytes(*key))
}

/// Reads [`key_text`].
pub fn read_key(text: &str) -> Option<Key> {
    let digits = text.as_bytes();
    if digits.len() != 32 {
        return None;
    }
    let mut key = [0; 16];
    for (octet, pair) in key.iter_mut().zip(digits.chunks(2)) {
        let pair = std::str::from_utf8(pair).ok().filter(|p| p.bytes().all(|d| d.is_ascii_hexdigit()))?;
        *octet = u8::from_str_radix(pair, 16).ok()?;
    }
    Some(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let echo = Echo { key: [7; 16], sequence: 0xdead_beef, sent: u64::MAX, there: 1 };
        assert_eq!(Echo::read(&echo.octets()), Some(echo));
        let mut padded = echo.octets().to_vec();
        padded.resize(LONGEST, 0);
        assert_eq!(Echo::read(&padded), Some(echo));
        padded.push(0);
        assert_eq!(Echo::read(&padded), None);
        for length in 0..LENGTH {
            assert_eq!(Echo::read(&echo.octets()[..length]), None);
        }
        assert_eq!(Echo::read(&[b'x'; LENGTH]), None);
    }

    #[test]
    fn keys_are_text() {
        let key = *b"\x00\x01\xfe\xff45678901234\x80";
        assert_eq!(read_key(&key_text(&key)), Some(key));
        assert_eq!(read_key("+0".repeat(16).as_str()), None);
        assert_eq!(read_key("00"), None);
    }
}
