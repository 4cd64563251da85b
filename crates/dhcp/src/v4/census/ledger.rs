//! Which records the disk has, and which it is to be told of.

use super::CensusId;
use std::collections::BTreeSet;

/// What is to be told. Whoever comes and goes before anything was told of it leaves nothing here: invented hosts, however
/// many, cost no more than the table of clients has room for.
#[derive(Debug, Clone, Default)]
pub(super) struct Ledger {
    /// Records that are not as they were last told.
    changed: BTreeSet<CensusId>,
    /// Records that were told, and are to be kept no longer.
    gone: BTreeSet<CensusId>,
    /// Records that were told.
    told: BTreeSet<CensusId>,
    /// Something is among the changes that should not wait long.
    pub(super) news: bool,
}

impl Ledger {
    /// The record is another now.
    pub(super) fn change(&mut self, id: CensusId) {
        self.gone.remove(&id);
        self.changed.insert(id);
    }

    /// There is no record any more.
    pub(super) fn remove(&mut self, id: CensusId) {
        self.changed.remove(&id);
        if self.told.contains(&id) {
            self.gone.insert(id);
        }
    }

    /// The disk has this record.
    pub(super) fn has(&mut self, id: CensusId) {
        self.told.insert(id);
    }

    /// Every record that the disk has, or may have.
    pub(super) fn all(&self) -> impl Iterator<Item = CensusId> + '_ {
        self.told.union(&self.gone).copied()
    }

    /// Takes the next to tell of, those first that are to go; whether it stays.
    pub(super) fn take(&mut self) -> Option<(CensusId, bool)> {
        if let Some(id) = self.gone.pop_first() {
            self.told.remove(&id);
            return Some((id, false));
        }
        let id = self.changed.pop_first();
        if let Some(id) = id {
            self.told.insert(id);
        } else {
            self.news = false;
        }
        id.map(|id| (id, true))
    }

    /// What was taken could not be told.
    pub(super) fn put_back(&mut self, id: CensusId, stays: bool) {
        self.told.insert(id);
        if stays {
            self.change(id);
        } else {
            self.remove(id);
        }
    }

    /// How many wait.
    #[cfg(test)]
    fn len(&self) -> usize {
        self.changed.len() + self.gone.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_was_never_told_of_leaves_nothing() {
        let mut ledger = Ledger::default();
        for id in 0..100_000 {
            ledger.change(id);
            ledger.remove(id);
        }
        assert_eq!((ledger.len(), ledger.take()), (0, None));
        ledger.change(1);
        assert_eq!(ledger.take(), Some((1, true)));
        ledger.change(2);
        ledger.remove(1);
        assert_eq!(ledger.all().collect::<Vec<_>>(), [1]);
        assert_eq!(ledger.take(), Some((1, false)));
        ledger.put_back(1, false);
        assert_eq!(ledger.take(), Some((1, false)));
        assert_eq!(ledger.take(), Some((2, true)));
        // It comes back before its end was told.
        ledger.remove(2);
        ledger.change(2);
        assert_eq!((ledger.take(), ledger.take()), (Some((2, true)), None));
    }
}
