//! Which of many queues holds the most octets.
//!
//! The question is asked only when there is no room, the answer changes with each packet. So each packet only
//! says in which block of 16 queues something changed (one bit), and who asks looks again at those blocks, at
//! the most of 128 blocks around each, and at the most of all those. A flood costs each packet some 16 queues,
//! 128 numbers, and one for each 2,048 queues; Linux's fq_codel looks at every queue there is.

/// Queues of a block.
const BLOCK: usize = 16;
/// Blocks of a group.
const GROUP: usize = 128;

#[derive(Debug, Clone)]
pub(crate) struct Fattest {
    /// The most octets of a queue in each block, unless that has changed.
    blocks: Box<[u32]>,
    /// A bit for each block.
    changed: Box<[u64]>,
    /// The most of each group's blocks.
    groups: Box<[u32]>,
}

impl Fattest {
    pub(crate) fn new(queues: usize) -> Self {
        let blocks = queues.div_ceil(BLOCK);
        Self {
            blocks: vec![0; blocks].into(),
            changed: vec![0; blocks.div_ceil(64)].into(),
            groups: vec![0; blocks.div_ceil(GROUP)].into(),
        }
    }

    /// A queue's octets are others than before.
    #[inline]
    pub(crate) fn change(&mut self, queue: u32) {
        let block = queue as usize / BLOCK;
        self.changed[block / 64] |= 1 << (block % 64);
    }

    /// The queue with the most octets, of equals the first; `None` where all are empty.
    pub(crate) fn find<T>(&mut self, queues: &[T], octets: impl Fn(&T) -> u32) -> Option<u32> {
        let block_of = |block: usize| &queues[block * BLOCK..queues.len().min((block + 1) * BLOCK)];
        for word in 0..self.changed.len() {
            let mut changed = std::mem::take(&mut self.changed[word]);
            while changed != 0 {
                let block = word * 64 + changed.trailing_zeros() as usize;
                changed &= changed - 1;
                self.blocks[block] = block_of(block).iter().map(&octets).max().unwrap_or(0);
                // A group is half in one word and half in the next, and looked at again after each change: few
                // change between two questions.
                let group = block / GROUP;
                let blocks = &self.blocks[group * GROUP..self.blocks.len().min((group + 1) * GROUP)];
                self.groups[group] = most(blocks);
            }
        }
        let fattest = most(&self.groups);
        if fattest == 0 {
            return None;
        }
        let is_it = |&number: &u32| number == fattest;
        let group = self.groups.iter().position(is_it)?;
        let block = group * GROUP + self.blocks[group * GROUP..].iter().position(is_it)?;
        let queue =
            block * BLOCK + block_of(block).iter().map(octets).position(|octets| octets == fattest)?;
        Some(queue as u32)
    }
}

fn most(numbers: &[u32]) -> u32 {
    numbers.iter().fold(0, |most, &number| most.max(number))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_what_a_search_finds() {
        let mut random = fastrand::Rng::with_seed(1);
        for queues in [1, 2, 3, 15, 16, 17, 1000, 1024, 2047, 2048, 2049, 5000] {
            let mut fattest = Fattest::new(queues);
            let mut plain = vec![0_u32; queues];
            assert_eq!(fattest.find(&plain, |octets| *octets), None);
            for _ in 0..3000 {
                let queue = random.usize(..queues);
                let octets = random.u32(1..4);
                if random.bool() || plain[queue] < octets {
                    plain[queue] += octets;
                } else {
                    plain[queue] -= octets;
                }
                fattest.change(queue as u32);
                if random.u8(..) < 80 {
                    let most = *plain.iter().max().unwrap();
                    let first = plain.iter().position(|&octets| octets == most && most > 0);
                    assert_eq!(fattest.find(&plain, |octets| *octets), first.map(|first| first as u32));
                }
            }
        }
    }
}
