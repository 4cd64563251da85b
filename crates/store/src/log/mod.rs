//! The log: what was submitted, in its order, until the database has it.
//!
//! Beside the database lie segments, `-log` and their number. The writer adds one frame for each group of submissions to the
//! last of them and syncs it; that is what makes them durable. Another thread takes the frames up into the database later and
//! in larger transactions, and a segment goes when the database has all of it, durably. So *what is kept is the database with
//! the frames on top of it*, in their order: applying one twice does no harm.
//!
//! The frames are a chain. Each has a check, and the first of a segment says where the one before it ended: whoever reads on finds
//! what is missing between two of them, wherever it stood, whether it was changed, zeroed, cut off, lost with its file or cannot
//! be read. Only behind the very last frame can nothing tell what was never written from what was; a frame that was being
//! written when its writer ended is as if it were not there, and nobody was told of it.
//!
//! - At a start, a chain that is not whole is refused, and no frame and no row is changed. (A database of an earlier layout has
//!   its tables brought up to date before.)
//! - While a store is open, what is missing is passed over, after a file was put beside the database that says so
//!   ([`crate::damage`]); what memory holds of it is written anew, and then the file goes.

mod record;
mod replay;
mod segment;

pub(crate) use record::{
    Item, change, each, follows, put_lease as write_lease, write, write_leases, write_rest,
};
pub(crate) use replay::{end, whole};
pub(crate) use segment::{
    Frames, HEAD, Key as SegmentKey, Read, Segment, SegmentError, is_damage, read_from,
};

use crate::StoreError;
use crate::database::beside;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

/// A segment that is longer, in octets, is followed by another.
const SEGMENT: u64 = 16 << 20;
/// Zeros are written ahead, at least and at most so many octets at once: a frame that overwrites them needs nothing but its
/// own blocks synced, which takes half the time.
const AHEAD: (u64, u64) = (16 << 10, 1 << 20);

/// A place in the log: between two frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(crate) struct Position {
    /// The segment's number; there is none of number 0.
    pub(crate) segment: u64,
    /// Octets from its start.
    pub(crate) offset: u64,
}

impl Position {
    /// The beginning of the segment behind.
    pub(crate) fn next_segment(self) -> Self {
        Self { segment: self.segment + 1, offset: 0 }
    }

    /// Octets from here to a place in the same segment, or in one of those behind it if this is the end of its own.
    pub(crate) fn until(self, later: Self) -> u64 {
        later.offset.saturating_sub(if later.segment == self.segment { self.offset } else { 0 })
    }
}

/// The path of a segment.
pub(crate) fn path_of(database: &Path, segment: u64) -> PathBuf {
    beside(database, &format!("-log{segment}"))
}

/// The numbers of the segments that are there, in order.
pub(crate) fn segments(database: &Path) -> io::Result<Vec<u64>> {
    let Some(name) = database.file_name() else { return Ok(Vec::new()) };
    let mut prefix = name.to_string_lossy().into_owned();
    prefix.push_str("-log");
    let mut found = Vec::new();
    for entry in fs::read_dir(folder(database))? {
        let name = entry?.file_name();
        let number = name.to_str().and_then(|name| name.strip_prefix(&prefix)?.parse::<u64>().ok());
        found.extend(number);
    }
    found.sort_unstable();
    Ok(found)
}

fn folder(database: &Path) -> &Path {
    database.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Makes names that were added to the folder, or taken from it, outlive a power cut.
pub(crate) fn sync_folder(database: &Path) -> io::Result<()> {
    File::open(folder(database))?.sync_all()
}

/// Removes every segment before `segment`.
pub(crate) fn remove_before(database: &Path, segment: u64) -> io::Result<()> {
    for number in segments(database)?.into_iter().filter(|number| *number < segment) {
        fs::remove_file(path_of(database, number))?;
    }
    Ok(())
}

/// The log, open for writing.
#[derive(Debug)]
pub(crate) struct Log {
    database: PathBuf,
    file: File,
    key: segment::Key,
    position: Position,
    /// Where the frames end that come before this segment.
    before: Position,
    /// How far the file is written, with zeros ahead.
    allocated: u64,
    /// A frame that could not be written may lie where the next one goes, and be longer.
    dirty: bool,
    frame: Vec<u8>,
}

impl Log {
    /// Begins a new segment. Before it, frames end at `before`.
    pub(crate) fn begin(database: &Path, number: u64, before: Position) -> io::Result<Self> {
        let file =
            OpenOptions::new().create_new(true).write(true).mode(0o600).open(path_of(database, number))?;
        let key = segment::Key::new();
        let head = key.head(number);
        let written = file.write_all_at(&head, 0).and_then(|()| file.sync_all());
        if let Err(error) = written.and_then(|()| sync_folder(database)) {
            // Left there, it would be a segment without a beginning.
            let _ = fs::remove_file(path_of(database, number));
            return Err(error);
        }
        let offset = head.len() as u64;
        Ok(Self {
            database: database.to_owned(),
            file,
            key,
            position: Position { segment: number, offset },
            before,
            allocated: offset,
            dirty: false,
            frame: Vec::new(),
        })
    }

    /// Begins the segment that follows what is there. `end` is where its frames end; what lies behind them was being written when
    /// its writer ended, and goes, and so do segments before `taken`: the database has to have them durably.
    pub(crate) fn follow(database: &Path, taken: Position, end: Position) -> Result<Self, StoreError> {
        let begin = || {
            let numbers = segments(database)?;
            // The last first: one that ended in between leaves no gap.
            for number in numbers.iter().rev().filter(|number| **number > end.segment) {
                fs::remove_file(path_of(database, *number))?;
            }
            if numbers.contains(&end.segment) {
                let file = OpenOptions::new().write(true).open(path_of(database, end.segment))?;
                file.set_len(end.offset)?;
                file.sync_all()?;
            }
            remove_before(database, taken.segment)?;
            Self::begin(database, end.segment + 1, end)
        };
        begin().map_err(|error| StoreError::io(database, &error))
    }

    /// Where the frames end.
    pub(crate) fn end(&self) -> Position {
        if self.is_begun() { self.position } else { self.before }
    }

    /// The number of the segment that is written.
    pub(crate) fn segment(&self) -> u64 {
        self.position.segment
    }

    /// Whether there is a frame in the segment.
    fn is_begun(&self) -> bool {
        self.position.offset > HEAD as u64
    }

    /// Writes one frame with all of these and syncs it. Where that fails, the next frame goes in its place: this one will not
    /// be read.
    pub(crate) fn append<'a>(&mut self, changes: impl Iterator<Item = &'a [u8]>) -> io::Result<Position> {
        if self.position.offset >= SEGMENT {
            self.roll()?;
        }
        let mut frame = std::mem::take(&mut self.frame);
        segment::Key::begin(&mut frame);
        if !self.is_begun() {
            record::write_follows(self.before, &mut frame);
        }
        changes.for_each(|octets| frame.extend_from_slice(octets));
        let written = self.key.end(&mut frame, self.position.offset).and_then(|()| self.write(&frame));
        let length = frame.len() as u64;
        // One long frame is not kept room for.
        frame.shrink_to(1 << 20);
        self.frame = frame;
        self.dirty = written.is_err();
        written?;
        self.position.offset += length;
        Ok(self.position)
    }

    /// Goes on in a new segment.
    pub(crate) fn roll(&mut self) -> io::Result<()> {
        if self.dirty {
            self.file.set_len(self.position.offset)?;
            self.file.sync_all()?;
        }
        *self = Self::begin(&self.database, self.position.segment + 1, self.end())?;
        Ok(())
    }

    fn write(&mut self, frame: &[u8]) -> io::Result<()> {
        let end = self.position.offset + frame.len() as u64;
        if self.dirty {
            self.file.set_len(self.position.offset)?;
            self.allocated = self.position.offset;
        }
        if end > self.allocated {
            let ahead = end.clamp(AHEAD.0, AHEAD.1) as usize;
            self.file.write_all_at(frame, self.position.offset)?;
            // Without room for them it is slower, and no more than that.
            let zeros = self.file.write_at(&vec![0; ahead], end).unwrap_or(0);
            self.allocated = end + zeros as u64;
        } else {
            self.file.write_all_at(frame, self.position.offset)?;
        }
        self.file.sync_data()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    #[test]
    fn what_lies_behind_the_end_goes_without_a_gap() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("db");
        let mut log = Log::begin(&path, 1, Position::default()).unwrap();
        let end = log.append(std::iter::once(&[0; 9][..])).unwrap();
        fs::write(path_of(&path, 2), []).unwrap();
        // One that cannot be removed: the process ends there.
        fs::create_dir(path_of(&path, 3)).unwrap();
        fs::write(path_of(&path, 4), []).unwrap();
        assert!(Log::follow(&path, Position::default(), end).is_err());
        assert_eq!(segments(&path).unwrap(), [1, 2, 3]);
        fs::remove_dir(path_of(&path, 3)).unwrap();
        assert_eq!(Log::follow(&path, Position::default(), end).unwrap().end(), end);
        assert_eq!(segments(&path).unwrap(), [1, 2]);
    }
}
