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
    /// Parts that were found.
    found: u64,
    /// Those of them that memory did not hold.
    lost: u64,
    /// What was found last, each from here to there.
    last: Vec<(Position, Position)>,
    rest: Rest,
}

impl Damage {
    /// `written` is how far the log goes that others wrote: of that nothing is remembered.
    pub(crate) fn new(database: &Path, written: Position) -> Self {
        Self {
            database: database.to_owned(),
            before: marker(database).exists(),
            stands: false,
            found: 0,
            lost: 0,
            last: Vec::new(),
            rest: Rest { from: written, ..Rest::default() },
        }
    }

    /// Writes down, durably, that these parts are garbled, and how many of them are not in memory. The same are found again if
    /// the database does not take what is behind them; they count once.
    pub(crate) fn found(&mut self, parts: &[(Position, Position)], lost: u64) -> io::Result<()> {
        let Some((at, _)) = parts.first().filter(|_| self.last != parts) else { return Ok(()) };
        // Even if that cannot be written down.
        self.stands = true;
        let path = marker(&self.database);
        match OpenOptions::new().create_new(true).write(true).mode(0o600).open(&path) {
            Ok(mut file) => {
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
        log::sync_folder(&self.database)?;
        self.found += parts.len() as u64;
        self.lost += lost;
        self.last = parts.to_vec();
        Ok(())
    }

    /// All that memory holds is on the disk again, after `found` parts were garbled. Where more was found since, or memory did
    /// not hold all, the file stays.
    pub(crate) fn written_anew(&mut self, found: u64) -> io::Result<()> {
        if self.found != found || !self.stands {
            return Ok(());
        }
        if !self.before && self.lost == 0 {
            match std::fs::remove_file(marker(&self.database)) {
                Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
                _ => log::sync_folder(&self.database)?,
            }
        }
        self.stands = self.lost > 0;
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

    /// Parts that were found, and those of them that memory did not hold.
    pub(crate) fn parts(&self) -> (u64, u64) {
        (self.found, self.lost)
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

    #[test]
    fn the_file_stands_until_all_is_written_anew() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("db");
        let mut damage = Damage::new(&path, at(1, 0));
        let part = |segment, offset| (at(segment, offset), at(segment, offset + 8));
        // The same twice: the database did not take it the first time.
        damage.found(&[part(1, 0), part(1, 80)], 0).unwrap();
        damage.found(&[part(1, 0), part(1, 80)], 0).unwrap();
        assert_eq!((damage.parts(), damage.stands(), damage.before()), ((2, 0), true, None));
        let said = std::fs::read_to_string(marker(&path)).unwrap();
        assert!(said.contains("remove this file"), "{said}");
        // What was written anew counts for what had been found before.
        damage.found(&[part(1, 500)], 0).unwrap();
        damage.written_anew(2).unwrap();
        assert!(damage.stands() && marker(&path).exists());
        damage.written_anew(3).unwrap();
        assert!(!damage.stands() && !marker(&path).exists());
        // What is found again was written anew; where there is more of it, that was not.
        damage.found(&[part(1, 500)], 0).unwrap();
        assert!(!damage.stands() && !marker(&path).exists());
        damage.found(&[(at(1, 500), at(1, 600))], 0).unwrap();
        assert!(damage.stands() && marker(&path).exists());
        damage.written_anew(4).unwrap();
        assert!(!damage.stands());

        // What memory did not hold is not on the disk again.
        damage.found(&[part(2, 0)], 1).unwrap();
        damage.written_anew(5).unwrap();
        assert!(damage.stands() && marker(&path).exists());

        // Another process: it can mend what it finds itself, and no more.
        let mut damage = Damage::new(&path, at(3, 0));
        assert!(!damage.stands());
        assert_eq!(damage.before(), Some(marker(&path)));
        damage.found(&[part(3, 0)], 0).unwrap();
        damage.written_anew(1).unwrap();
        assert!(!damage.stands());
        assert_eq!(damage.before(), Some(marker(&path)));
        std::fs::remove_file(marker(&path)).unwrap();
        assert_eq!(damage.before(), None);
    }
}
