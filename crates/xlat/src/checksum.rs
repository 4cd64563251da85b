//! The Internet checksum (RFC 1071) and its incremental update (RFC 1624).
//!
//! Updating rather than computing anew leaves a wrong checksum wrong: damage on the way stays visible to the
//! receiver.

use std::net::{Ipv4Addr, Ipv6Addr};

/// A ones' complement sum of 16-bit words under way. It takes some 2^32 words before it could overflow.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Sum(u64);

impl Sum {
    /// Adds octets; an odd one at the end counts as if a zero followed.
    pub(crate) fn add(self, octets: &[u8]) -> Self {
        // 2^16 is 1 in this arithmetic: words of 32 bits sum up to the same.
        let (words, rest) = octets.as_chunks::<4>();
        let mut sum = words.iter().fold(self.0, |sum, word| sum + u64::from(u32::from_be_bytes(*word)));
        let (pairs, odd) = rest.as_chunks::<2>();
        sum = pairs.iter().fold(sum, |sum, pair| sum + u64::from(u16::from_be_bytes(*pair)));
        Self(sum + odd.first().map_or(0, |&octet| u64::from(octet) << 8))
    }

    pub(crate) fn word(self, word: u16) -> Self {
        Self(self.0 + u64::from(word))
    }

    /// Takes a word away.
    pub(crate) fn without(self, word: u16) -> Self {
        self.word(!word)
    }

    pub(crate) fn v4(self, address: Ipv4Addr) -> Self {
        Self(self.0 + u64::from(address.to_bits()))
    }

    pub(crate) fn without_v4(self, address: Ipv4Addr) -> Self {
        Self(self.0 + u64::from(!address.to_bits()))
    }

    pub(crate) fn v6(self, address: Ipv6Addr) -> Self {
        let (high, low) = halves(address.to_bits());
        Self(self.0 + high + low)
    }

    pub(crate) fn without_v6(self, address: Ipv6Addr) -> Self {
        let (high, low) = halves(!address.to_bits());
        Self(self.0 + high + low)
    }

    /// The pseudo-header of IPv6 (RFC 8200 section 8.1).
    pub(crate) fn pseudo_v6(
        self,
        source: Ipv6Addr,
        destination: Ipv6Addr,
        length: u32,
        protocol: u8,
    ) -> Self {
        let sum = self.v6(source).v6(destination).word(u16::from(protocol));
        Self(sum.0 + u64::from(length))
    }

    /// Takes the pseudo-header of IPv6 away.
    pub(crate) fn without_pseudo_v6(
        self,
        source: Ipv6Addr,
        destination: Ipv6Addr,
        length: u32,
        protocol: u8,
    ) -> Self {
        let sum = self.without_v6(source).without_v6(destination).without(u16::from(protocol));
        Self(sum.0 + u64::from(!length))
    }

    /// The sum in 16 bits.
    pub(crate) fn fold(self) -> u16 {
        let mut sum = self.0;
        while sum > 0xffff {
            sum = (sum & 0xffff) + (sum >> 16);
        }
        sum as u16
    }

    /// What a checksum field holds for this sum.
    pub(crate) fn checksum(self) -> u16 {
        !self.fold()
    }

    /// A checksum field after what it covers has changed by this sum (RFC 1624 equation 3).
    pub(crate) fn update(self, checksum: u16) -> u16 {
        self.word(!checksum).checksum()
    }

    /// The same for a field that holds the sum of the pseudo-header alone, for the interface to complete.
    pub(crate) fn update_partial(self, partial: u16) -> u16 {
        self.word(partial).fold()
    }
}

/// Two sums of 32-bit words side by side, which do not run into each other.
fn halves(bits: u128) -> (u64, u64) {
    let pair = |half: u64| (half >> 32) + (half & 0xffff_ffff);
    (pair((bits >> 64) as u64), pair(bits as u64))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Word by word, as RFC 1071 section 4.1 has it.
    fn naive(octets: &[u8]) -> u16 {
        let mut sum: u32 = 0;
        for pair in octets.chunks(2) {
            sum += u32::from(pair[0]) << 8 | u32::from(*pair.get(1).unwrap_or(&0));
            if sum > 0xffff {
                sum = (sum & 0xffff) + 1;
            }
        }
        !(sum as u16)
    }

    #[test]
    fn example_of_rfc_1071_section_3() {
        assert_eq!(Sum::default().add(&[0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7]).fold(), 0xddf2);
    }

    #[test]
    fn as_word_by_word_and_updated_as_computed_anew() {
        let mut random = fastrand::Rng::with_seed(1);
        for _ in 0..20_000 {
            let mut octets = vec![0; random.usize(2..90)];
            octets.fill_with(|| [0, 0xff, random.u8(..)][random.usize(..3)]);
            octets[0] |= 1;
            let before = Sum::default().add(&octets).checksum();
            assert_eq!(before, naive(&octets));
            let at = random.usize(..octets.len() / 2) * 2;
            let old = u16::from_be_bytes([octets[at], *octets.get(at + 1).unwrap_or(&0)]);
            let new: u16 = random.u16(..) | 1 << 8;
            let Some(place) = octets.get_mut(at..at + 2) else { continue };
            place.copy_from_slice(&new.to_be_bytes());
            assert_eq!(Sum::default().without(old).word(new).update(before), naive(&octets));
        }
    }

    #[test]
    fn addresses_are_their_octets() {
        let mut random = fastrand::Rng::with_seed(2);
        for _ in 0..1000 {
            let (v6, v4) = (Ipv6Addr::from_bits(random.u128(..)), Ipv4Addr::from_bits(random.u32(..)));
            assert_eq!(Sum::default().v6(v6).fold(), Sum::default().add(&v6.octets()).fold());
            assert_eq!(Sum::default().v4(v4).fold(), Sum::default().add(&v4.octets()).fold());
            assert_eq!(Sum::default().v6(v6).without_v6(v6).v4(v4).without_v4(v4).fold(), 0xffff);
            let (length, pseudo) = (random.u32(..0x1_0000), Sum::default());
            let pseudo = pseudo.pseudo_v6(v6, v6, length, 58).without_pseudo_v6(v6, v6, length, 58);
            assert_eq!(pseudo.fold(), 0xffff);
        }
    }
}
