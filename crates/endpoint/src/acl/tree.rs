//! A static search tree over the ends of ranges: built once, a cache line a level.
//!
//! The ranges cover every key, one after the other, so a range is told by its last key alone. Each node is
//! one cache line of ends; which child to go to is how many of them lie before the key, counted without a
//! branch (an implicit B+ tree; the best known layout of this kind is the "S+ tree" of Algorithmica). A leaf
//! holds its values beside its ends: the search touches nothing else.

/// What ranges are made of: the numbers of addresses, or of halves of them.
pub(super) trait Key: Copy + Ord {
    /// The greatest.
    const MAX: Self;
}

impl Key for u32 {
    const MAX: Self = Self::MAX;
}

impl Key for u64 {
    const MAX: Self = Self::MAX;
}

/// The last keys of this node's children but for the last child, filled up with the greatest key.
#[derive(Debug, Clone, Copy)]
#[repr(align(64))]
struct Inner<K, const N: usize>([K; N]);

/// Ranges: the last key and the value of each, filled up with the greatest key.
#[derive(Debug, Clone, Copy)]
#[repr(align(64))]
struct Leaf<K, const N: usize> {
    ends: [K; N],
    values: [u32; N],
}

/// Ranges of `u32` keys: a tree of 16 children a node.
pub(super) type Tree32 = Tree<u32, 15, 8>;
/// Ranges of `u64` keys: a tree of 9 children a node.
pub(super) type Tree64 = Tree<u64, 8, 5>;

/// All keys cut into ranges, each with a value.
#[derive(Debug, Clone)]
pub(super) struct Tree<K, const INNER: usize, const LEAF: usize> {
    /// Where each level begins in `inner`, the root first.
    levels: Box<[u32]>,
    inner: Box<[Inner<K, INNER>]>,
    leaves: Box<[Leaf<K, LEAF>]>,
}

impl<K: Key, const INNER: usize, const LEAF: usize> Tree<K, INNER, LEAF> {
    /// A tree of ranges, given by last key in ascending order; the last of them ends with the greatest key.
    pub(super) fn new(ranges: impl IntoIterator<Item = (K, u32)>) -> Self {
        let mut leaves: Vec<Leaf<K, LEAF>> = Vec::new();
        // Of each node of the level that was built last: its last key.
        let mut ends: Vec<K> = Vec::new();
        let mut used = LEAF;
        for (end, value) in ranges {
            if used == LEAF {
                leaves.push(Leaf { ends: [K::MAX; LEAF], values: [value; LEAF] });
                ends.push(end);
                used = 0;
            }
            if let (Some(leaf), Some(last)) = (leaves.last_mut(), ends.last_mut()) {
                leaf.ends[used] = end;
                // What fills the leaf up has the value of its last range.
                leaf.values[used..].fill(value);
                *last = end;
            }
            used += 1;
        }
        let mut levels = Vec::new();
        while ends.len() > 1 {
            let level: Vec<_> = ends
                .chunks(INNER + 1)
                .map(|children| {
                    let mut keys = [K::MAX; INNER];
                    for (key, &end) in keys.iter_mut().zip(children) {
                        *key = end;
                    }
                    Inner(keys)
                })
                .collect();
            ends = ends.chunks(INNER + 1).filter_map(|children| children.last().copied()).collect();
            levels.push(level);
        }
        let mut begin = 0;
        let begins = levels.iter().rev().map(|level| {
            let this = begin;
            begin += level.len() as u32;
            this
        });
        Self {
            levels: begins.collect(),
            inner: levels.iter().rev().flatten().copied().collect(),
            leaves: leaves.into(),
        }
    }

    /// The range that a key lies in: its last key and its value.
    #[inline]
    pub(super) fn find(&self, key: K) -> (K, u32) {
        let mut node = 0;
        for &level in &self.levels {
            node = node * (INNER + 1) + before(&self.inner[level as usize + node].0, key);
        }
        let leaf = &self.leaves[node];
        // One range at least ends with or after the key, so this is a range of the leaf.
        let rank = before(&leaf.ends, key).min(LEAF - 1);
        (leaf.ends[rank], leaf.values[rank])
    }

    /// Octets in memory.
    pub(super) fn size(&self) -> usize {
        size_of_val(&*self.levels) + size_of_val(&*self.inner) + size_of_val(&*self.leaves)
    }
}

/// How many of the ends lie before a key: two looks, first at the last of each block, then into the block.
/// There is no branch, and the loads of one look do not wait for one another.
#[inline]
fn before<K: Key, const N: usize>(ends: &[K; N], key: K) -> usize {
    // Blocks of 3 for up to 8 ends, of 4 for 15.
    let block = const { N.isqrt() + 1 };
    let mut before = 0;
    let mut last = block - 1;
    while last < N {
        before += usize::from(ends[last] < key) * block;
        last += block;
    }
    let begin = before;
    for place in begin..begin + block - 1 {
        before += usize::from(ends.get(place).is_some_and(|&end| end < key));
    }
    before
}
