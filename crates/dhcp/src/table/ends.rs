//! The order in which leases end: a heap of their places.

use super::LeaseTable;
use crate::lease::Lease;
use crate::octets::{nanos, time};
use std::time::Duration;

/// Branches of the heap: few levels, since each is somewhere else in memory.
const BRANCHES: usize = 4;

impl LeaseTable {
    /// The lease that ends first, whatever its state.
    pub fn first_to_end(&self) -> Option<Lease> {
        self.ends.first().and_then(|place| self.read(*place))
    }

    /// When the first lease ends.
    pub fn first_end(&self) -> Option<Duration> {
        self.ends.first().map(|place| time(self.end(*place)))
    }

    /// Leases that have ended at `now`, at most so many, in no particular order.
    pub fn ended(&self, now: Duration, most: usize) -> Vec<Lease> {
        let now = nanos(now);
        let mut found = Vec::new();
        let mut open = vec![0];
        while let Some(at) = open.pop() {
            let Some(place) = self.ends.get(at) else { continue };
            // What lies below it in the heap ends later.
            if self.end(*place) <= now && found.len() < most {
                found.extend(self.read(*place));
                open.extend((1..=BRANCHES).map(|branch| at * BRANCHES + branch));
            }
        }
        found
    }

    fn end(&self, place: u32) -> u64 {
        self.entry(place).map_or(u64::MAX, |entry| entry.end)
    }

    /// Brings what is in this place of the heap to where it belongs.
    pub(super) fn settle(&mut self, mut at: usize) {
        let Some(&place) = self.ends.get(at) else { return };
        let end = self.end(place);
        while at > 0 {
            let above = (at - 1) / BRANCHES;
            let Some(&other) = self.ends.get(above) else { break };
            if self.end(other) <= end {
                break;
            }
            self.set_heap(at, other);
            at = above;
        }
        loop {
            let below = at * BRANCHES + 1..=at * BRANCHES + BRANCHES;
            let first = below.filter_map(|below| Some((below, *self.ends.get(below)?)));
            let Some((below, other)) = first.min_by_key(|(_, other)| self.end(*other)) else { break };
            if self.end(other) >= end {
                break;
            }
            self.set_heap(at, other);
            at = below;
        }
        self.set_heap(at, place);
    }

    fn set_heap(&mut self, at: usize, place: u32) {
        if let Some(slot) = self.ends.get_mut(at) {
            *slot = place;
        }
        if let Some(entry) = self.entry_mut(place) {
            entry.heap = at as u32;
        }
    }
}
