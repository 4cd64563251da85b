//! The keyed hash: one pass over an address gives the hashes of all its levels.

use super::level::Key;
use std::collections::hash_map::{DefaultHasher, RandomState};
use std::hash::{BuildHasher, BuildHasherDefault};

/// Secret numbers that decide where an address has its place.
///
/// The hash is multilinear: an address is cut where the levels are (48, 8, 8 and 64 bits), and the hash of a level is the sum of its
/// pieces, each times a secret number of 128 bits, plus a secret number, modulo 2^128; the upper 64 bits count. So the levels share
/// all work, and whoever chooses the addresses gains nothing: any two different keys have two independent and uniform hashes
/// over the choice of the secret (strong universality; Lemire and Kaser, "Strongly universal string hashing is fast"). There
/// is no set of addresses that is bad for every secret, or for more than its share of secrets: of *n* chosen addresses
/// *n* / buckets meet a victim's bucket on average, exactly as many as of random ones.
///
/// A sum alone would keep equal distances equal, so that one pair known to collide would tell of more. The last step,
/// one-to-one and so without effect on the above, breaks this.
#[derive(Clone)]
pub(super) struct Secret {
    v6: [u128; 5],
    v4: [u128; 3],
    last: u64,
}

impl Secret {
    /// A new one, from the system's random numbers.
    pub(super) fn random() -> Self {
        Self::from_numbers(&RandomState::new(), 0)
    }

    /// The one of a seed: known to whoever knows the seed.
    pub(super) fn from_seed(seed: u64) -> Self {
        Self::from_numbers(&BuildHasherDefault::<DefaultHasher>::new(), seed)
    }

    fn from_numbers(source: &impl BuildHasher, seed: u64) -> Self {
        let mut index = 0_u64;
        let mut next = || {
            index += 1;
            source.hash_one((seed, index))
        };
        let mut wide = || u128::from(next()) << 64 | u128::from(next());
        Self { v6: std::array::from_fn(|_| wide()), v4: std::array::from_fn(|_| wide()), last: next() | 1 }
    }

    /// Hashes at /48, /56, /64 and /128.
    #[inline]
    pub(super) fn v6(&self, key: Key) -> [u64; 4] {
        let [start, k48, k56, k64, k128] = &self.v6;
        let h48 = start.wrapping_add(times(*k48, key.net >> 16));
        let h56 = h48.wrapping_add(times(*k56, key.net >> 8 & 0xff));
        let h64 = h56.wrapping_add(times(*k64, key.net & 0xff));
        let h128 = h64.wrapping_add(times(*k128, key.rest));
        [self.finish(h48), self.finish(h56), self.finish(h64), self.finish(h128)]
    }

    /// Hashes at /24 and /32.
    #[inline]
    pub(super) fn v4(&self, key: Key) -> [u64; 2] {
        let [start, k24, k32] = &self.v4;
        let h24 = start.wrapping_add(times(*k24, key.net >> 40));
        let h32 = h24.wrapping_add(times(*k32, key.net >> 32 & 0xff));
        [self.finish(h24), self.finish(h32)]
    }

    #[inline]
    fn finish(&self, sum: u128) -> u64 {
        let sum = (sum >> 64) as u64;
        let mixed = (sum ^ sum >> 32).wrapping_mul(self.last);
        mixed ^ mixed >> 32
    }
}

#[inline]
fn times(secret: u128, piece: u64) -> u128 {
    secret.wrapping_mul(piece.into())
}
