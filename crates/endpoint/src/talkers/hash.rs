//! The keyed hash: one pass over an address gives the hashes of all its levels.

use super::level::Key;
use std::collections::hash_map::{DefaultHasher, RandomState};
use std::hash::{BuildHasher, BuildHasherDefault};

/// Secret numbers that decide where an address has its place.
///
/// The hash is multilinear: an address is cut where the levels are (48, 8, 8 and 64 bits), and the hash of a
/// level is the sum of its pieces, each times a secret number of 128 bits, plus a secret number, modulo
/// 2^128; the upper 64 bits count. So the levels share all work, and whoever chooses the addresses gains
/// nothing: any two different keys have two independent and uniform hashes over the choice of the secret
/// (strong universality; Lemire and Kaser, "Strongly universal string hashing is fast"). There is no set of
/// addresses that is bad for every secret, or for more than its share of secrets: of *n* chosen addresses *n*
/// / buckets meet a victim's bucket on average, exactly as many as of random ones.
///
/// A sum alone would keep equal distances equal, so that one pair known to collide would tell of more. The
/// last step, one-to-one and so without effect on the above, breaks this.
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

#[cfg(test)]
mod tests {
    use super::super::{Level, Talkers};
    use super::*;
    use std::net::Ipv6Addr;

    const BUCKETS: u64 = 512;
    const VICTIM: Key = Key { net: 0x2a00_0001_0002_0304, rest: 1 };

    fn bucket(secret: &Secret, key: Key, level: usize) -> u64 {
        secret.v6(key)[level] >> (64 - BUCKETS.trailing_zeros())
    }

    /// Sets of keys with a structure that a weak hash shows: in order, in steps, of one bit, and near the
    /// victim.
    fn sets() -> Vec<Vec<Key>> {
        let mut sets = Vec::new();
        for shift in [0, 7, 16, 24, 32, 40, 47, 48, 55] {
            sets.push((1..=256).map(|index: u64| Key { net: VICTIM.net, rest: index << shift }).collect());
            sets.push((1..=256).map(|index: u64| Key { net: index << shift, rest: 0 }).collect());
            sets.push(
                (1..=256)
                    .map(|index: u64| Key { net: VICTIM.net ^ index << shift, rest: index << shift })
                    .collect(),
            );
            sets.push(
                (1..=256)
                    .map(|index: u64| Key { net: index << shift, rest: (index << shift).wrapping_neg() })
                    .collect(),
            );
        }
        sets
    }

    #[test]
    fn no_set_of_keys_meets_a_victim_more_often_than_chance_has_it() {
        let secrets: Vec<_> = (0..500).map(Secret::from_seed).collect();
        for (number, set) in sets().iter().enumerate() {
            let meets = |secret: &Secret| {
                let at = bucket(secret, VICTIM, 3);
                set.iter().filter(|&&key| key != VICTIM && bucket(secret, key, 3) == at).count()
            };
            let met: usize = secrets.iter().map(meets).sum();
            let expected = secrets.len() * set.len() / BUCKETS as usize;
            assert!(
                (expected * 3 / 4..expected * 4 / 3).contains(&met),
                "set {number}: {met}, not about {expected}"
            );
        }
    }

    #[test]
    fn keys_in_order_fill_all_buckets_evenly() {
        for seed in 0..20 {
            let secret = Secret::from_seed(seed);
            for shift in [0, 16, 32, 48] {
                let mut counts = vec![0; BUCKETS as usize];
                for index in 0..BUCKETS * 64 {
                    let key = Key { net: VICTIM.net, rest: index << shift };
                    counts[bucket(&secret, key, 3) as usize] += 1;
                }
                let most = counts.iter().max().unwrap();
                assert!(*most < 64 * 3, "seed {seed}, shift {shift}: {most} in a bucket");
            }
        }
    }

    /// Whoever knows the code but not the secret: keys that meet the victim at every level under a secret of
    /// its own.
    #[test]
    fn keys_chosen_under_another_secret_do_not_meet_the_victim() {
        let guessed = Secret::from_seed(1);
        let at = guessed.v6(VICTIM).map(|hash| hash >> 55);
        let mut chosen = Vec::new();
        let mut random = fastrand::Rng::with_seed(1);
        while chosen.len() < 64 {
            // Level by level, as it is quick.
            let mut net = random.u64(..);
            while guessed.v6(Key { net, rest: 0 })[0] >> 55 != at[0] {
                net = random.u64(..);
            }
            let rest = (0..1 << 20).find(|&rest| guessed.v6(Key { net, rest })[3] >> 55 == at[3]);
            chosen.push(Key { net, rest: rest.unwrap() });
        }
        let address = |key: Key| Ipv6Addr::from_bits(u128::from(key.net) << 64 | u128::from(key.rest));
        // The victim has sent five; each of the chosen sends ten, in a table of 512 buckets.
        let survives = |seed| {
            let mut talkers = Talkers::with_seed(4096, seed);
            talkers.add(address(VICTIM), 5);
            for &key in &chosen {
                for _ in 0..10 {
                    talkers.add(address(key), 1);
                }
            }
            talkers.entries(Level::Host6).any(|entry| entry.prefix.addr() == address(VICTIM))
        };
        assert!(!survives(1), "the keys were not chosen well: this test shows nothing");
        for seed in 2..200 {
            assert!(survives(seed), "seed {seed}");
        }
    }

    #[test]
    fn each_secret_is_another() {
        let hashes: std::collections::HashSet<_> =
            (0..100).flat_map(|_| Secret::random().v6(VICTIM)).collect();
        assert_eq!(hashes.len(), 400);
        assert_eq!(Secret::from_seed(7).v6(VICTIM), Secret::from_seed(7).v6(VICTIM));
        assert_ne!(Secret::from_seed(7).v4(VICTIM), Secret::from_seed(8).v4(VICTIM));
    }
}
