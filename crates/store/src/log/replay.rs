//! What is kept: the database, with what the log has beyond it on top.

use super::{
    Frames, HEAD, Item, Position, Segment, SegmentError, each, follows, is_damage, path_of, segments,
};
use crate::error::RowError;
use crate::{Change, Snapshot, StoreError, behind, rows};
use rusqlite::Connection;
use sixgate_dhcp::v4::{self, RosterChange};
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::path::Path;

/// All that is kept, and where the frames end in each segment that has some behind what the database has.
pub(crate) fn whole(
    connection: &Connection,
    database: &Path,
) -> Result<(Snapshot, Vec<Position>), StoreError> {
    let read = || {
        let mut snapshot = rows::snapshot(connection, database)?;
        let taken = behind::taken_up(connection)?;
        let ends = replay(database, taken, &mut snapshot)?;
        Ok((snapshot, ends))
    };
    read().map_err(|error: RowError| error.at(database))
}

/// Puts what the log has from `from` on on top of what the database has; where the frames of its segments end. A last frame
/// that was not written to its end is as if it were not there.
fn replay(database: &Path, from: Position, snapshot: &mut Snapshot) -> Result<Vec<Position>, RowError> {
    let mut overlay = Overlay::default();
    let mut ends = Vec::new();
    // Where a frame may stand that the disk does not give back, unless the next segment says that there is none.
    let mut unsure = None;
    let numbers = segments(database).map_err(unreadable)?;
    let numbers: Vec<u64> = numbers.into_iter().filter(|number| *number >= from.segment).collect();
    for (place, &number) in numbers.iter().enumerate() {
        if place > 0 && numbers.get(place - 1) != Some(&(number - 1)) {
            return Err(RowError::Content(format!("its -log{} file is gone", number - 1)));
        }
        let file = File::open(path_of(database, number)).map_err(unreadable)?;
        let start = if number == from.segment { from.offset } else { 0 };
        let segment = Segment::read(&file, start).map_err(unreadable)?;
        let last = place + 1 == numbers.len();
        let before = (ends.last().copied().unwrap_or(from), unsure);
        let take = |item| overlay.take(item, snapshot);
        let end = read(&segment.octets, number, start, last, before, take)?;
        if end.is_some() {
            unsure = None;
        }
        let offset = end.unwrap_or(HEAD as u64);
        if segment.may_lack(&file, offset).map_err(unreadable)? {
            unsure = Some(Position { segment: number, offset });
        }
        ends.extend(end.map(|offset| Position { segment: number, offset }));
    }
    if let Some(place) = unsure {
        return Err(damaged(place));
    }
    overlay.put_on(snapshot);
    Ok(ends)
}

/// Where the log ends; `None` where there is none.
pub(crate) fn end(database: &Path) -> Option<Position> {
    let segment = *segments(database).ok()?.last()?;
    let octets = fs::read(path_of(database, segment)).ok()?;
    let mut frames = Frames::new(&octets, segment).ok()?;
    while frames.read().is_some() {}
    // With nothing in it, it need not be taken up.
    (frames.offset() > HEAD as u64).then(|| Position { segment, offset: frames.offset() })
}

/// What the disk says that it cannot give back is damage, and a file that went. Other errors may pass.
fn unreadable(error: io::Error) -> RowError {
    if is_damage(&error) || matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::UnexpectedEof) {
        return RowError::Content(format!("its log cannot be read: {error}"));
    }
    RowError::Io(error)
}

fn damaged(Position { segment, offset }: Position) -> RowError {
    RowError::Content(format!("its -log{segment} file is damaged at octet {offset}"))
}

/// Gives each change of a segment; where its frames end, if it has any. Those before it were found up to `before`, or there may be
/// more from `unsure` on.
fn read(
    octets: &[u8],
    number: u64,
    start: u64,
    last: bool,
    (before, mut unsure): (Position, Option<Position>),
    mut take: impl FnMut(Item),
) -> Result<Option<u64>, RowError> {
    let wrong = |error: SegmentError| match error {
        SegmentError::Head => RowError::Content(format!("its -log{number} file has no head")),
        SegmentError::Frame { offset } => damaged(Position { segment: number, offset: offset as u64 }),
    };
    let mut frames = match Frames::new(octets, number) {
        Ok(frames) => frames,
        // Its writer ended before the head was on the disk: nothing can have been told of it.
        Err(_) if last && octets.len() <= HEAD => return Ok(None),
        Err(error) => return Err(wrong(error)),
    };
    frames.skip_to(start);
    while let Some(content) = frames.read() {
        if let Some(end) = follows(content) {
            if end > before {
                let Position { segment, offset } = end;
                return Err(RowError::Content(format!(
                    "its -log{segment} file is gone, or lacks its end: it had {offset} octets when -log{number} was begun"
                )));
            }
            unsure = None;
        }
        if let Some(place) = unsure {
            return Err(damaged(place));
        }
        each(content, |item, _| take(item)).ok_or_else(|| {
            RowError::Content(format!("its -log{number} file holds what this sixgate does not know"))
        })?;
    }
    frames.finish(last).map_err(wrong)?;
    Ok(Some(frames.offset()).filter(|offset| *offset > HEAD as u64))
}

/// The latest of each thing that a snapshot has in a list.
#[derive(Default)]
struct Overlay {
    leases_v4: crate::v4::Overlay,
    roster: BTreeMap<v4::Place, Option<bool>>,
}

impl Overlay {
    fn take(&mut self, (_, change): Item, snapshot: &mut Snapshot) {
        match change {
            Change::Lease(change) => drop(snapshot.leases.apply(change)),
            Change::Setting { key, value: Some(value) } => drop(snapshot.settings.insert(key, value)),
            Change::Setting { key, value: None } => drop(snapshot.settings.remove(&key)),
            Change::LeaseV4(v4::LeaseChange::Put(lease)) => {
                self.leases_v4.insert(lease.address, Some(lease));
            }
            Change::LeaseV4(v4::LeaseChange::Remove(address)) => drop(self.leases_v4.insert(address, None)),
            Change::Roster(RosterChange::Put { place, member }) => {
                self.roster.insert(place, Some(member));
            }
            Change::Roster(RosterChange::Remove(place)) => drop(self.roster.insert(place, None)),
            // Of the history alone.
            Change::Seen(_) | Change::Ports(_) => {}
        }
    }

    fn put_on(self, snapshot: &mut Snapshot) {
        if !self.leases_v4.is_empty() {
            snapshot.leases_v4.retain(|lease| !self.leases_v4.contains_key(&lease.address));
            snapshot.leases_v4.extend(self.leases_v4.into_values().flatten());
        }
        if !self.roster.is_empty() {
            snapshot.roster.retain(|(place, _)| !self.roster.contains_key(place));
            snapshot
                .roster
                .extend(self.roster.into_iter().filter_map(|(place, member)| Some((place, member?))));
        }
    }
}
