//! Answers kept, bounded in number and in octets.

use core::time::Duration;
use std::collections::HashMap;

use crate::answer::Answer;

/// Entries looked at to find one to evict: close to the least recently used of all, at a fixed price.
const SAMPLE: usize = 8;
/// Octets that an entry costs besides its answer and its key.
const OVERHEAD: usize = size_of::<Entry>() + 64;

/// One answer kept.
#[derive(Debug)]
pub(crate) struct Entry {
    key: Box<[u8]>,
    pub(crate) answer: Answer,
    pub(crate) stored: Duration,
    pub(crate) expires: Duration,
    /// Until then, a stale answer is given without asking again (RFC 8767 section 5, the failure recheck
    /// timer).
    pub(crate) recheck: Duration,
    /// Its question was answered from it as it is, while the zones of [`Names`](crate::Names) were these: see
    /// `forwarder/hit.rs`.
    pub(crate) direct: Option<u64>,
    used: u64,
}

/// The table.
#[derive(Debug)]
pub(crate) struct Cache {
    entries: Vec<Entry>,
    index: HashMap<Box<[u8]>, usize>,
    octets: usize,
    uses: u64,
    max_entries: usize,
    max_octets: usize,
}

impl Cache {
    pub(crate) fn new(max_entries: usize, max_octets: usize) -> Self {
        Self { entries: Vec::new(), index: HashMap::new(), octets: 0, uses: 0, max_entries, max_octets }
    }

    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(crate) fn octets(&self) -> usize {
        self.octets
    }

    pub(crate) fn get(&mut self, key: &[u8]) -> Option<&mut Entry> {
        let entry = self.entries.get_mut(*self.index.get(key)?)?;
        self.uses = self.uses.wrapping_add(1);
        entry.used = self.uses;
        Some(entry)
    }

    /// Keeps an answer until `expires`; returns how many others gave way.
    pub(crate) fn insert(
        &mut self,
        key: &[u8],
        answer: Answer,
        now: Duration,
        expires: Duration,
        rng: &mut fastrand::Rng,
    ) -> u64 {
        if let Some(index) = self.index.get(key) {
            self.remove(*index);
        }
        let cost = answer.octets() + 2 * key.len() + OVERHEAD;
        if cost > self.max_octets || self.max_entries == 0 {
            return 0;
        }
        let mut evicted = 0;
        while self.entries.len() >= self.max_entries || self.octets + cost > self.max_octets {
            let Some(victim) = self.victim(now, rng) else { break };
            self.remove(victim);
            evicted += 1;
        }
        self.uses = self.uses.wrapping_add(1);
        self.index.insert(key.into(), self.entries.len());
        self.octets += cost;
        let recheck = Duration::ZERO;
        let (key, used) = (key.into(), self.uses);
        self.entries.push(Entry { key, answer, stored: now, expires, recheck, direct: None, used });
        evicted
    }

    /// Of a few entries taken at random: one that is over, or else the one not used for longest.
    fn victim(&self, now: Duration, rng: &mut fastrand::Rng) -> Option<usize> {
        if self.entries.is_empty() {
            return None;
        }
        let rank = |index: &usize| {
            let entry = self.entries.get(*index)?;
            Some((entry.expires > now, entry.used))
        };
        (0..SAMPLE).map(|_| rng.usize(..self.entries.len())).min_by_key(rank)
    }

    fn remove(&mut self, index: usize) {
        if index >= self.entries.len() {
            return;
        }
        let entry = self.entries.swap_remove(index);
        self.octets = self.octets.saturating_sub(entry.answer.octets() + 2 * entry.key.len() + OVERHEAD);
        self.index.remove(&entry.key);
        if let Some(moved) = self.entries.get(index)
            && let Some(at) = self.index.get_mut(&moved.key)
        {
            *at = index;
        }
    }
}
