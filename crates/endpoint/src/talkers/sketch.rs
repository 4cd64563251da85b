//! How many different addresses a network was seen with, in eight octets.
//!
//! `HyperLogLog` (Flajolet and others, 2007) with twelve registers of five bits: a third off is usual, but
//! one source is told from ten, and a thousand from a million.

const REGISTERS: u32 = 12;
const BITS: u32 = 5;
const MOST: u64 = (1 << BITS) - 1;

/// What one address does to a sketch: which register it concerns and what this has to be at least.
#[derive(Debug, Clone, Copy)]
pub(super) struct Mark {
    shift: u32,
    rank: u64,
}

impl Mark {
    /// The mark of an address, from its hash.
    #[inline]
    pub(super) fn new(hash: u64) -> Self {
        let register = (((hash >> 48) * u64::from(REGISTERS)) >> 16) as u32;
        // At most 31: the lower 30 bits decide.
        let rank = u64::from((hash | 1 << 30).trailing_zeros()) + 1;
        Self { shift: register * BITS, rank }
    }

    /// The sketch with this address in it.
    #[inline]
    pub(super) fn into(self, sketch: u64) -> u64 {
        let register = sketch >> self.shift & MOST;
        if register < self.rank { sketch + ((self.rank - register) << self.shift) } else { sketch }
    }
}

/// About how many addresses are in a sketch.
pub(super) fn estimate(sketch: u64) -> u64 {
    let registers = f64::from(REGISTERS);
    let (mut sum, mut zeros) = (0.0, 0);
    for register in 0..REGISTERS {
        let rank = sketch >> (register * BITS) & MOST;
        sum += 0.5_f64.powi(rank as i32);
        zeros += u32::from(rank == 0);
    }
    // The constant for twelve registers lies between those that the paper gives for 16 and below.
    let raw = 0.66 * registers * registers / sum;
    let estimate = if zeros > 0 && raw < 2.5 * registers {
        registers * (registers / f64::from(zeros)).ln()
    } else {
        raw
    };
    // Never negative, and at most 12 * 2^31.
    #[allow(clippy::cast_sign_loss)]
    let rounded = estimate.round() as u64;
    rounded
}

/// Half as many addresses: each register says "about 2^n", so one less is half.
pub(super) fn halve(sketch: u64) -> u64 {
    let mut halved = 0;
    for register in 0..REGISTERS {
        let shift = register * BITS;
        halved |= (sketch >> shift & MOST).saturating_sub(1) << shift;
    }
    halved
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_within_a_factor_of_three() {
        let mut random = fastrand::Rng::with_seed(1);
        for _ in 0..20 {
            let (mut sketch, mut count) = (0, 0_u64);
            assert_eq!(estimate(sketch), 0);
            for target in [1, 10, 1_000, 100_000, 1_000_000] {
                while count < target {
                    sketch = Mark::new(random.u64(..)).into(sketch);
                    count += 1;
                }
                let about = estimate(sketch);
                assert!(about * 3 >= target && about <= target * 3, "{target}: {about}");
                if target == 1 {
                    assert_eq!(about, 1);
                }
            }
            let (before, after) = (estimate(sketch), estimate(halve(sketch)));
            assert!((before / 3..=before).contains(&after), "{before} halved: {after}");
        }
    }

    #[test]
    fn the_same_address_counts_once() {
        let mark = Mark::new(0x1234_5678_9abc_def0);
        assert_eq!(mark.into(mark.into(0)), mark.into(0));
    }
}
