//! A copy of the leases in one piece, `-copy` beside the database, written at a clean stop: a start that finds it does not have to
//! read a million rows one by one.
//!
//! The database names the copy that says the same as its rows. The first transaction that changes them takes the name away,
//! ours or that of somebody who mends rows by hand (a trigger sees to that), so a copy that is named is right, and one that is not, or is damaged in the least, is not looked at: then the rows are read. What
//! the log has comes on top, as ever. It is written like a segment of the log: a head, which is its name, and frames.

use crate::database::beside;
use crate::log::{self, Frames, HEAD, SegmentKey};
use crate::{Change, StoreError, rows};
use rusqlite::{Connection, OptionalExtension as _, params};
use sixgate_dhcp::identity::Relay;
use sixgate_dhcp::lease::{LeaseChange, LeaseTable, LinkId};
use std::collections::HashSet;
use std::fs::{self, File, OpenOptions};
use std::hash::Hash;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// With fewer leases than this the rows are read as quickly.
const LEAST: u32 = 100;
/// Octets of leases in a frame, about.
const FRAME: usize = 1 << 20;
/// Takes the name away when a row changes.
const NAMED: &str = "
CREATE TABLE copied (name BLOB NOT NULL, leases INTEGER NOT NULL) STRICT;
CREATE TRIGGER copied_insert AFTER INSERT ON lease BEGIN DELETE FROM copied; END;
CREATE TRIGGER copied_update AFTER UPDATE ON lease BEGIN DELETE FROM copied; END;
CREATE TRIGGER copied_delete AFTER DELETE ON lease BEGIN DELETE FROM copied; END;
";
/// The same without asking at each row.
const FORGET: &str = "
DROP TRIGGER IF EXISTS copied_insert;
DROP TRIGGER IF EXISTS copied_update;
DROP TRIGGER IF EXISTS copied_delete;
DROP TABLE IF EXISTS copied;
";
/// What stands where a segment of the log has its number: none has this.
const NUMBER: u64 = u64::MAX;

fn path_of(database: &Path) -> PathBuf {
    beside(database, "-copy")
}

/// The copy's name in the database, and how many leases are in it.
fn named(connection: &Connection) -> rusqlite::Result<Option<(Vec<u8>, u32)>> {
    if !connection.table_exists(None, "copied")? {
        return Ok(None);
    }
    connection
        .query_row("SELECT name, leases FROM copied", [], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()
}

/// Whether the database names a copy.
pub(crate) fn is_named(connection: &Connection) -> bool {
    // If that cannot be told, there may be one.
    named(connection).map_or(true, |named| named.is_some())
}

/// Takes the name away, as part of a transaction that is about to change what the database has.
pub(crate) fn forget(connection: &Connection) -> rusqlite::Result<()> {
    connection.execute_batch(FORGET)
}

/// Removes the file, once nothing names it.
pub(crate) fn remove(database: &Path) {
    let _ = fs::remove_file(path_of(database));
}

/// The leases of the copy, if it is named and whole.
pub(crate) fn read(connection: &Connection, database: &Path) -> Option<LeaseTable> {
    let (name, count) = named(connection).ok()??;
    let octets = fs::read(path_of(database)).ok()?;
    let mut frames = Frames::new(&octets, NUMBER).ok()?;
    if octets.get(..HEAD) != Some(&name) {
        return None;
    }
    let count = usize::try_from(count).ok()?;
    // A number that is wrong takes no more room than the file has leases.
    let mut leases = LeaseTable::new();
    leases.reserve(count.min(octets.len() / 64));
    let mut links: HashSet<LinkId> = HashSet::new();
    let mut relays: HashSet<Arc<Relay>> = HashSet::new();
    while let Some(content) = frames.read() {
        log::each(content, |(_, change), _| {
            let Change::Lease(LeaseChange::Put(mut lease)) = change else { return };
            // Few links and relay agents for many leases: they share them.
            share(&mut links, &mut lease.link);
            if let Some(relay) = &mut lease.relay {
                share(&mut relays, relay);
            }
            leases.put(lease);
        })?;
    }
    frames.finish(false).ok()?;
    (leases.len() == count).then_some(leases)
}

/// One for all that are equal.
fn share<T: ?Sized + Eq + Hash>(known: &mut HashSet<Arc<T>>, value: &mut Arc<T>) {
    match known.get(value) {
        Some(other) => *value = Arc::clone(other),
        None => drop(known.insert(Arc::clone(value))),
    }
}

/// Makes a copy of what the database has now and names it, where that is worth it. Until it is named it is not durable.
pub(crate) fn write(connection: &Connection, database: &Path) -> Result<(), StoreError> {
    let lost = |error: rusqlite::Error| StoreError::sqlite(database, &error);
    let many = "SELECT count(*) FROM (SELECT 1 FROM lease LIMIT ?1)";
    let leases: u32 = connection.query_row(many, [LEAST], |row| row.get(0)).map_err(lost)?;
    if leases < LEAST || named(connection).map_err(lost)?.is_some() {
        return Ok(());
    }
    let path = path_of(database);
    let failed = |error: std::io::Error| StoreError::io(database, &error);
    let _ = fs::remove_file(&path);
    let mut file = OpenOptions::new().create_new(true).write(true).mode(0o600).open(&path).map_err(failed)?;
    let key = SegmentKey::new();
    let head = key.head(NUMBER);
    file.write_all(&head).map_err(failed)?;
    let mut out = Out { file, key, offset: HEAD as u64, frame: Vec::new() };
    SegmentKey::begin(&mut out.frame);
    let (mut count, mut result) = (0_u32, Ok(()));
    rows::each_lease(connection, |lease| {
        log::write_lease(&LeaseChange::Put(lease), &mut out.frame);
        count += 1;
        if out.frame.len() >= FRAME && result.is_ok() {
            result = out.flush();
        }
    })
    .map_err(|error| error.at(database))?;
    result
        .and_then(|()| out.flush())
        .and_then(|()| out.file.sync_all())
        .and_then(|()| log::sync_folder(database))
        .map_err(failed)?;
    let name = || {
        let transaction = connection.unchecked_transaction()?;
        forget(&transaction)?;
        transaction.execute_batch(NAMED)?;
        transaction.execute("INSERT INTO copied VALUES (?1, ?2)", params![&head[..], count])?;
        transaction.commit()
    };
    name().map_err(lost)
}

struct Out {
    file: File,
    key: SegmentKey,
    offset: u64,
    frame: Vec<u8>,
}

impl Out {
    fn flush(&mut self) -> std::io::Result<()> {
        self.key.end(&mut self.frame, self.offset)?;
        self.file.write_all(&self.frame)?;
        self.offset += self.frame.len() as u64;
        SegmentKey::begin(&mut self.frame);
        Ok(())
    }
}
