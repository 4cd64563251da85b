//! What is done about parts of the log that the disk garbled while we run.
//!
//! A file beside the database, `-damaged`, stands from before such a part is passed over until all that memory holds has been
//! written anew. So whatever ends the process in between, the next one knows that leases may be missing, and says so; then the
//! file stays until a person removes it, since nobody has those leases any more.
//!
//! What is in no table of the server's (settings, what was removed, the history) is remembered here until the database has it, and
//! taken from here where the log does not give it back.

use crate::database::beside;
use crate::log::{self, Position};
use std::collections::VecDeque;
use std::fs::OpenOptions;
use std::io::{self, ErrorKind, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

/// Most octets that are remembered. Beyond that the oldest go: what is garbled of them is lost, and said to be.
const REMEMBERED: usize = 16 << 20;
/// What one entry takes beside its octets, about.
const ENTRY: usize = 64;

/// The path of the file that stands while something may be missing.
pub(crate) fn marker(database: &Path) -> PathBuf {
    beside(database, "-damaged")
}

/// Parts of the log that were garbled, and what memory has of them.
#[derive(Debug)]
pub(crate) struct Damage {
    database: PathBuf,
    /// The file stood when the database was opened: it tells of another process, and is not ours to remove.
    before: bool,
    /// Something was found that is not written anew yet.
    stands: bool,
    /// What was found ahead of the database,
    ahead: Parts,
    /// what it has passed since, but not durably,
    taken: Parts,
    /// and what durably.
    passed: Parts,
    /// The file stands for what memory did not hold.
    forgotten: bool,
    rest: Rest,
}

/// Parts of the log that were found to be garbled.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Parts {
    pub(crate) found: u64,
    /// Those of them that memory did not hold.
    pub(crate) lost: u64,
}

impl Parts {
    fn add(&mut self, others: Self) {
        self.found += others.found;
        self.lost += others.lost;
    }
}

impl Damage {
    /// `written` is how far the log goes that others wrote: of that nothing is remembered.
    pub(crate) fn new(database: &Path, written: Position) -> Self {
        Self {
            database: database.to_owned(),
            before: marker(database).exists(),
            stands: false,
            ahead: Parts::default(),
            taken: Parts::default(),
            passed: Parts::default(),
            forgotten: false,
            rest: Rest { from: written, ..Rest::default() },
        }
    }

    /// Writes down, durably, that parts are garbled, the first of them from `at` on. The same are found again, and maybe more
    /// with them, until the database takes what is behind them.
    pub(crate) fn found(&mut self, at: Position, parts: Parts) -> io::Result<()> {
        // Even if that cannot be written down.
        self.stands = true;
        self.ahead.found = self.ahead.found.max(parts.found);
        self.ahead.lost = self.ahead.lost.max(parts.lost);
        let path = marker(&self.database);
        match OpenOptions::new().create_new(true).write(true).mode(0o600).open(&path) {
            Ok(mut file) => {
                // What stood before, somebody has seen to.
                (self.before, self.forgotten) = (false, false);
                let database = self.database.display();
                writeln!(
                    file,
                    "The disk garbled a part of the log of {database}, in or behind its segment {} from octet {} on.\n\
                     While sixgate runs it writes all leases again from memory, and then removes this file.\n\
                     If it ended before that, leases that clients still hold may be missing: see the kernel's log and whether\n\
                     the disk still works; restore a copy of the database if you have one. Clients that renew get their leases\n\
                     written again. Then remove this file.",
                    at.segment, at.offset
                )?;
                file.sync_all()?;
            }
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
        log::sync_folder(&self.database)
    }

    /// What was found ahead of the database.
    pub(crate) fn ahead(&self) -> Parts {
        self.ahead
    }

    /// The database has what is behind that; whether it has yet to be made durable.
    pub(crate) fn taken(&mut self) -> bool {
        self.taken.add(std::mem::take(&mut self.ahead));
        self.taken.found > 0
    }

    /// It is durable. Only from now on does the next start find leases that are written anew, and only now is somebody asked to do
    /// so ([`Damage::parts`]).
    pub(crate) fn passed(&mut self) {
        let taken = std::mem::take(&mut self.taken);
        self.forgotten |= taken.lost > 0;
        self.passed.add(taken);
    }

    /// All that memory holds is on the disk again, after `found` parts were passed. Where more was found since, or memory did
    /// not hold all, the file stays.
    pub(crate) fn written_anew(&mut self, found: u64) -> io::Result<()> {
        if self.passed.found != found || self.ahead.found + self.taken.found > 0 || !self.stands {
            return Ok(());
        }
        if !self.before && !self.forgotten {
            match std::fs::remove_file(marker(&self.database)) {
                Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
                _ => log::sync_folder(&self.database)?,
            }
        }
        self.stands = false;
        Ok(())
    }

    /// The file, where it stood at the start and nobody has removed it since.
    pub(crate) fn before(&self) -> Option<PathBuf> {
        Some(marker(&self.database)).filter(|path| self.before && path.exists())
    }

    /// Whether something that was found is not on the disk again.
    pub(crate) fn stands(&self) -> bool {
        self.stands
    }

    /// Whether memory did not hold all, and nobody has seen to that since: then the file is gone.
    pub(crate) fn is_forgotten(&self) -> bool {
        self.forgotten && marker(&self.database).exists()
    }

    /// What was found and durably passed.
    pub(crate) fn parts(&self) -> Parts {
        self.passed
    }

    pub(crate) fn rest(&mut self) -> &mut Rest {
        &mut self.rest
    }
}

/// What was written and no table holds, until the database has it: for each frame, where it ends and the octets.
#[derive(Debug, Default)]
pub(crate) struct Rest {
    frames: VecDeque<(Position, Vec<u8>)>,
    octets: usize,
    /// Behind this place nothing is left out.
    from: Position,
}

impl Rest {
    /// Remembers what a frame holds that ends here.
    pub(crate) fn remember(&mut self, end: Position, octets: Vec<u8>) {
        self.octets += octets.len() + ENTRY;
        self.frames.push_back((end, octets));
        while self.octets > REMEMBERED {
            let Some((end, octets)) = self.frames.pop_front() else { break };
            self.octets -= octets.len() + ENTRY;
            self.from = end;
        }
    }

    /// The database has all up to here.
    pub(crate) fn forget(&mut self, taken: Position) {
        while let Some((_, octets)) = self.frames.pop_front_if(|(end, _)| *end <= taken) {
            self.octets -= octets.len() + ENTRY;
        }
    }

    /// What frames hold that end behind `from`, and not behind `to`; and whether nothing is left out.
    pub(crate) fn between(&self, from: Position, to: Position) -> (Vec<Vec<u8>>, bool) {
        let some = self.frames.iter().filter(|(end, _)| *end > from && *end <= to);
        (some.map(|(_, octets)| octets.clone()).collect(), from >= self.from)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    fn at(segment: u64, offset: u64) -> Position {
        Position { segment, offset }
    }

    #[test]
    fn what_is_remembered_is_bounded_and_says_what_it_left_out() {
        let mut rest = Rest::default();
        let mebibyte = 1 << 20;
        for number in 1..=20 {
            rest.remember(at(1, number), vec![number as u8; mebibyte]);
        }
        assert!(rest.octets <= REMEMBERED);
        assert_eq!(rest.between(at(1, 0), at(1, 2)), (Vec::new(), false));
        let (kept, whole) = rest.between(at(1, 18), at(1, 19));
        assert_eq!((kept.len(), kept[0][0], whole), (1, 19, true));
        assert_eq!(rest.from, at(1, 5));
        rest.forget(at(1, 19));
        assert_eq!((rest.frames.len(), rest.octets), (1, mebibyte + ENTRY));
        rest.forget(at(2, 0));
        assert_eq!(rest.octets, 0);
    }

    const ONE: Parts = Parts { found: 1, lost: 0 };

    fn pass(damage: &mut Damage) {
        assert!(damage.taken());
        damage.passed();
    }

    #[test]
    fn the_file_stands_until_all_is_written_anew() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("db");
        let mut damage = Damage::new(&path, at(1, 0));
        // Three times the same: the database did not take it the first two times, and meanwhile memory forgot some.
        for lost in [0, 1, 0] {
            damage.found(at(1, 0), Parts { found: 2, lost }).unwrap();
            assert_eq!((damage.parts(), damage.stands(), damage.before()), (Parts::default(), true, None));
        }
        assert_eq!(damage.ahead(), Parts { found: 2, lost: 1 });
        let said = std::fs::read_to_string(marker(&path)).unwrap();
        assert!(said.contains("remove this file"), "{said}");

        // Nothing counts as written anew that the database has not passed.
        let mut damage = Damage::new(&path, at(1, 0));
        std::fs::remove_file(marker(&path)).unwrap();
        for part in 0..2 {
            damage.found(at(1, part * 80), ONE).unwrap();
            damage.written_anew(0).unwrap();
            assert!(damage.taken());
            damage.written_anew(0).unwrap();
            assert!(damage.stands() && marker(&path).exists());
        }
        damage.passed();
        assert_eq!(damage.parts(), Parts { found: 2, lost: 0 });
        // What was written anew counts for what had been found before.
        damage.found(at(1, 500), ONE).unwrap();
        damage.written_anew(2).unwrap();
        pass(&mut damage);
        damage.written_anew(2).unwrap();
        assert!(damage.stands() && marker(&path).exists());
        damage.written_anew(3).unwrap();
        assert!(!damage.stands() && !marker(&path).exists());
    }

    #[test]
    fn the_file_stays_for_what_memory_did_not_hold_until_a_person_has_seen_to_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("db");
        let mut damage = Damage::new(&path, at(1, 0));
        damage.found(at(2, 0), Parts { found: 1, lost: 1 }).unwrap();
        pass(&mut damage);
        damage.written_anew(1).unwrap();
        assert!(!damage.stands() && damage.is_forgotten() && marker(&path).exists());
        // More of it, of which memory held all, does not make it right.
        damage.found(at(3, 0), ONE).unwrap();
        pass(&mut damage);
        damage.written_anew(2).unwrap();
        assert!(!damage.stands() && damage.is_forgotten());
        std::fs::remove_file(marker(&path)).unwrap();
        assert!(!damage.is_forgotten());
        // Then the next file is of what is found then.
        damage.found(at(4, 0), ONE).unwrap();
        pass(&mut damage);
        assert!(!damage.is_forgotten());
        damage.written_anew(3).unwrap();
        assert!(!damage.stands() && !marker(&path).exists());
        assert_eq!(damage.parts(), Parts { found: 3, lost: 1 });
    }

    #[test]
    fn the_file_of_another_process_stays_until_a_person_has_seen_to_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("db");
        std::fs::write(marker(&path), "").unwrap();
        // This one can mend what it finds itself, and no more.
        let mut damage = Damage::new(&path, at(3, 0));
        assert!(!damage.stands());
        assert_eq!(damage.before(), Some(marker(&path)));
        damage.found(at(3, 0), ONE).unwrap();
        pass(&mut damage);
        damage.written_anew(1).unwrap();
        assert!(!damage.stands());
        assert_eq!(damage.before(), Some(marker(&path)));
        std::fs::remove_file(marker(&path)).unwrap();
        assert_eq!(damage.before(), None);
        // A file that is made now is ours.
        damage.found(at(3, 80), ONE).unwrap();
        pass(&mut damage);
        assert_eq!(damage.before(), None);
        damage.written_anew(2).unwrap();
        assert!(!damage.stands() && !marker(&path).exists());
    }

    #[test]
    fn a_stop_tells_of_what_memory_did_not_hold_until_a_person_has_seen_to_it() {
        for seen_to in [false, true] {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("db");
            let (store, _) = crate::Store::open(&path, crate::Config::default(), Box::new(|_| {})).unwrap();
            let mut damage = store.progress.damage();
            damage.found(at(1, 0), Parts { found: 1, lost: 1 }).unwrap();
            pass(&mut damage);
            damage.written_anew(1).unwrap();
            drop(damage);
            if seen_to {
                std::fs::remove_file(marker(&path)).unwrap();
                store.stop().unwrap();
                continue;
            }
            let error = store.stop().unwrap_err();
            let marker = marker(&path);
            assert_eq!(error, crate::StoreError::Forgotten { path, marker });
            let said = error.to_string();
            assert!(said.contains("all leases are written again") && said.contains("then remove"), "{said}");
        }
    }
}
