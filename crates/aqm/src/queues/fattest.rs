//! Which of many queues holds the most octets.
//!
//! The question is asked only when there is no room, the answer changes with each packet. So each packet only
//! says in which block of queues something changed (one bit), and who asks looks again at those blocks, then
//! at the most of each block. With the square root of the queues in a block, a flood costs each packet two
//! looks at so many numbers: 32 of 1,024 queues, 512 of 262,144. Linux's fq_codel looks at all of them.

#[derive(Debug, Clone)]
pub(crate) struct Fattest {
    octets: Box<[u64]>,
    /// The most octets of a queue in each block, unless that has changed.
    most: Box<[u64]>,
    /// A bit for each block.
    changed: Box<[u64]>,
    /// Queues of a block, as a power of two.
    shift: u32,
}

impl Fattest {
    pub(crate) fn new(queues: usize) -> Self {
        let shift = queues.next_power_of_two().trailing_zeros().div_ceil(2);
        let blocks = queues.div_ceil(1 << shift);
        Self {
            octets: vec![0; queues].into(),
            most: vec![0; blocks].into(),
            changed: vec![0; blocks.div_ceil(64)].into(),
            shift,
        }
    }

    #[inline]
    pub(crate) fn octets(&self, queue: u32) -> u64 {
        self.octets[queue as usize]
    }

    #[inline]
    pub(crate) fn add(&mut self, queue: u32, octets: u64) {
        self.octets[queue as usize] += octets;
        self.change(queue);
    }

    #[inline]
    pub(crate) fn subtract(&mut self, queue: u32, octets: u64) {
        self.octets[queue as usize] -= octets;
        self.change(queue);
    }

    #[inline]
    fn change(&mut self, queue: u32) {
        let block = queue >> self.shift;
        self.changed[(block / 64) as usize] |= 1 << (block % 64);
    }

    /// The queue with the most octets, of equals the first; `None` where all are empty.
    pub(crate) fn find(&mut self) -> Option<u32> {
        for (index, word) in self.changed.iter_mut().enumerate() {
            while *word != 0 {
                let block = index * 64 + word.trailing_zeros() as usize;
                *word &= *word - 1;
                self.most[block] = most(block_of(&self.octets, block, self.shift));
            }
        }
        let fattest = most(&self.most);
        if fattest == 0 {
            return None;
        }
        let block = self.most.iter().position(|&most| most == fattest)?;
        let within =
            block_of(&self.octets, block, self.shift).iter().position(|&octets| octets == fattest)?;
        Some(((block << self.shift) + within) as u32)
    }
}

fn block_of(octets: &[u64], block: usize, shift: u32) -> &[u64] {
    let start = block << shift;
    &octets[start..octets.len().min(start + (1 << shift))]
}

fn most(numbers: &[u64]) -> u64 {
    numbers.iter().fold(0, |most, &number| most.max(number))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_what_a_search_finds() {
        let mut random = fastrand::Rng::with_seed(1);
        for queues in [1, 2, 3, 31, 32, 33, 1000, 1024, 5000] {
            let mut fattest = Fattest::new(queues);
            let mut plain = vec![0_u64; queues];
            assert_eq!(fattest.find(), None);
            for _ in 0..3000 {
                let queue = random.usize(..queues);
                let octets = random.u64(1..4);
                if random.bool() || plain[queue] < octets {
                    plain[queue] += octets;
                    fattest.add(queue as u32, octets);
                } else {
                    plain[queue] -= octets;
                    fattest.subtract(queue as u32, octets);
                }
                if random.u8(..) < 80 {
                    let most = *plain.iter().max().unwrap();
                    let first = plain.iter().position(|&octets| octets == most && most > 0);
                    assert_eq!(fattest.find(), first.map(|first| first as u32));
                }
            }
        }
    }
}
