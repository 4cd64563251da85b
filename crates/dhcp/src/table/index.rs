//! A hash table of places, in parts: when it grows, one part at a time is moved, and whoever asks meanwhile waits for that
//! alone. As one, the table of a million leases would stop the server for a third of a second.

use hashbrown::HashTable;

/// How many parts there are. Each has 2,000 of a million leases.
const PARTS: usize = 512;

/// A hash table of places.
#[derive(Debug, Clone, Default)]
pub(super) struct Index {
    /// None before the first place is put in.
    parts: Vec<HashTable<u32>>,
}

/// The part that a hash belongs to: by bits of which the tables themselves use none until they are far larger.
fn part_of(hash: u64) -> usize {
    (hash >> 40) as usize % PARTS
}

impl Index {
    /// The place with this hash that `is` says is meant.
    pub(super) fn find(&self, hash: u64, is: impl FnMut(&u32) -> bool) -> Option<u32> {
        self.parts.get(part_of(hash))?.find(hash, is).copied()
    }

    /// The same, to be changed or taken out.
    pub(super) fn find_mut(&mut self, hash: u64, is: impl FnMut(&u32) -> bool) -> Option<&mut u32> {
        self.parts.get_mut(part_of(hash))?.find_mut(hash, is)
    }

    /// Puts a place in, which is not there yet. `hash_of` is the hash of one that is.
    pub(super) fn insert(&mut self, hash: u64, place: u32, hash_of: impl Fn(&u32) -> u64) {
        if self.parts.is_empty() {
            self.parts.resize_with(PARTS, HashTable::new);
        }
        if let Some(part) = self.parts.get_mut(part_of(hash)) {
            part.insert_unique(hash, place, hash_of);
        }
    }

    /// Takes a place out.
    pub(super) fn remove(&mut self, hash: u64, place: u32) {
        let part = self.parts.get_mut(part_of(hash));
        if let Some(found) = part.and_then(|part| part.find_entry(hash, |other| *other == place).ok()) {
            found.remove();
        }
    }

    /// Makes room for so many more.
    pub(super) fn reserve(&mut self, places: usize, hash_of: impl Fn(&u32) -> u64) {
        if places == 0 {
            return;
        }
        self.parts.resize_with(PARTS, HashTable::new);
        for part in &mut self.parts {
            part.reserve(places.div_ceil(PARTS), &hash_of);
        }
    }

    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.parts.iter().all(HashTable::is_empty)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::hash::BuildHasher as _;

    /// What makes the longest wait short: nothing moves more than a small share of all at once.
    #[test]
    fn no_part_is_much_larger_than_its_share_and_all_is_found() {
        let hasher = std::hash::RandomState::new();
        let hash = |place: &u32| hasher.hash_one(place);
        let mut index = Index::default();
        assert_eq!(index.find(0, |_| true), None);
        let count = 200_000;
        for place in 0..count {
            index.insert(hash(&place), place, hash);
        }
        let share = count as usize / PARTS;
        let largest = index.parts.iter().map(HashTable::len).max().unwrap();
        assert!(largest < share * 3 / 2, "{largest} in one part, {share} in all on average");
        for place in 0..count {
            assert_eq!(index.find(hash(&place), |other| *other == place), Some(place));
            if place % 2 == 0 {
                index.remove(hash(&place), place);
            }
        }
        let left = index.parts.iter().map(HashTable::len).sum::<usize>();
        assert_eq!(left, count as usize / 2);
        if let Some(found) = index.find_mut(hash(&1), |other| *other == 1) {
            *found = 0;
        }
        assert_eq!(index.find(hash(&1), |other| *other == 0), Some(0));
    }
}
