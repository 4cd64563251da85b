//! What many leases share, kept once.

use std::collections::BTreeMap;

/// What many leases share.
#[derive(Debug, Clone)]
pub(super) struct Shared<T> {
    pub(super) numbers: BTreeMap<T, u32>,
    /// Each with the number of its leases, registered ones apart.
    pub(super) all: Vec<Option<(T, usize, usize)>>,
    free: Vec<u32>,
}

impl<T> Default for Shared<T> {
    fn default() -> Self {
        Self { numbers: BTreeMap::new(), all: Vec::new(), free: Vec::new() }
    }
}

impl<T: Ord + Clone> Shared<T> {
    /// One more lease has it.
    pub(super) fn take(&mut self, value: &T, registered: bool) -> u32 {
        let number = self.number(value).unwrap_or_else(|| {
            let number = self.free.pop().unwrap_or(self.all.len() as u32);
            if number as usize == self.all.len() {
                self.all.push(None);
            }
            self.numbers.insert(value.clone(), number);
            number
        });
        if let Some(place) = self.all.get_mut(number as usize) {
            let (_, leases, registrations) = place.get_or_insert_with(|| (value.clone(), 0, 0));
            *(if registered { registrations } else { leases }) += 1;
        }
        number
    }

    /// One less has it.
    pub(super) fn give(&mut self, number: u32, registered: bool) {
        let Some(place) = self.all.get_mut(number as usize) else { return };
        let Some((value, leases, registrations)) = place else { return };
        let count = if registered { &mut *registrations } else { &mut *leases };
        *count = count.saturating_sub(1);
        if *leases == 0 && *registrations == 0 {
            self.numbers.remove(value);
            *place = None;
            self.free.push(number);
        }
    }

    /// The number of what some lease has.
    pub(super) fn number(&self, value: &T) -> Option<u32> {
        self.numbers.get(value).copied()
    }

    pub(super) fn get(&self, number: u32) -> Option<&T> {
        self.all.get(number as usize)?.as_ref().map(|(value, ..)| value)
    }
}
