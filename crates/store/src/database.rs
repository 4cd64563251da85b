//! Opening the database: its lock, its pragmas, its layout.

use crate::StoreError;
use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};
use std::fs::{File, OpenOptions, TryLockError};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// What each layout adds to the one before it; the first makes layout 1.
const LAYOUTS: [&str; 7] = [
    SCHEMA,
    crate::v4::SCHEMA,
    crate::identity::SCHEMA,
    crate::trace::SCHEMA,
    crate::behind::SCHEMA,
    crate::ports::SCHEMA,
    // The log says of each segment where the one before it ended; the tables are as before.
    "",
];
/// The latest: the number of the above.
const LAYOUT: i64 = 7;
/// A database of up to so many octets is checked as a whole before it is used. To do that with a long one takes longer than
/// clients wait: there the small tables are, leases are read through at a start where no copy has them ([`crate::copy`]), and
/// other damage is found by who asks about it or writes it.
const CHECKED: u64 = 64 << 20;
/// How long a writer waits for others.
pub(crate) const BUSY: Duration = Duration::from_secs(5);
/// "6gat": marks the file as ours (`PRAGMA application_id`).
const APPLICATION: i64 = 0x3667_6174;

/// Times are nanoseconds since the Unix epoch; the greatest integer is for ever.
const SCHEMA: &str = "
CREATE TABLE lease (
    resource        TEXT PRIMARY KEY,
    duid            BLOB NOT NULL,
    iaid            INTEGER NOT NULL,
    link            TEXT NOT NULL,
    state           TEXT NOT NULL,
    preferred_until INTEGER NOT NULL,
    valid_until     INTEGER NOT NULL,
    granted_at      INTEGER NOT NULL,
    renewed_at      INTEGER NOT NULL,
    hostname        TEXT,
    link_layer      BLOB,
    peer            TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE setting (
    key   TEXT PRIMARY KEY,
    value BLOB NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE history (
    id             INTEGER PRIMARY KEY,
    resource       TEXT NOT NULL,
    duid           BLOB NOT NULL,
    iaid           INTEGER NOT NULL,
    link           TEXT NOT NULL,
    hostname       TEXT,
    link_layer     BLOB,
    began_at       INTEGER NOT NULL,
    renewed_at     INTEGER NOT NULL,
    promised_until INTEGER NOT NULL,
    ended_at       INTEGER
) STRICT;
CREATE INDEX history_of_resource ON history (resource, began_at);
CREATE UNIQUE INDEX history_that_stands ON history (resource) WHERE ended_at IS NULL;
CREATE INDEX history_by_end ON history (ended_at) WHERE ended_at IS NOT NULL;
";

/// `path` with `suffix` after its last component.
pub(crate) fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

fn open_error(path: &Path, reason: &std::io::Error) -> StoreError {
    match reason.kind() {
        std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => {
            StoreError::Full { path: path.to_owned() }
        }
        std::io::ErrorKind::ReadOnlyFilesystem => StoreError::ReadOnly { path: path.to_owned() },
        _ => StoreError::Open { path: path.to_owned(), reason: reason.to_string() },
    }
}

/// Makes sure that this process is the only one that writes. The lock is on a file of its own: to open and close the
/// database itself would drop the locks that SQLite holds on it. It goes with the process, however that ends.
pub(crate) fn lock(path: &Path) -> Result<File, StoreError> {
    let file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .mode(0o600)
        .open(beside(path, "-lock"))
        .map_err(|reason| open_error(path, &reason))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(StoreError::InUse { path: path.to_owned() }),
        Err(TryLockError::Error(reason)) => Err(open_error(path, &reason)),
    }
}

/// Opens the database for writing and sees that it is whole, ours, and kept as durably as it has to be.
pub(crate) fn open(path: &Path) -> Result<Connection, StoreError> {
    let lost = |error: rusqlite::Error| StoreError::sqlite(path, &error);
    belongs_together(path)?;
    // Made here and not by SQLite, so that only its owner reads who has which address; -wal and -shm take after it.
    match OpenOptions::new().create_new(true).write(true).mode(0o600).open(path) {
        Ok(file) => file.sync_all().map_err(|reason| open_error(path, &reason))?,
        Err(reason) if reason.kind() == std::io::ErrorKind::AlreadyExists => {}
        Err(reason) => return Err(open_error(path, &reason)),
    }
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection = Connection::open_with_flags(path, flags).map_err(lost)?;
    // A reader that recovers the log may hold it for a moment.
    connection.busy_timeout(BUSY).map_err(lost)?;
    // Nothing is written before it is known to be whole: to close it would move the log into the damaged file, and
    // delete the log.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true).map_err(lost)?;
    check(&connection, path)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, false).map_err(lost)?;
    connection.pragma_update(None, "synchronous", "FULL").map_err(lost)?;
    // What is removed is overwritten: somebody who was forgotten is not to be found in free pages.
    connection.pragma_update(None, "secure_delete", "ON").map_err(lost)?;
    // No temporary files: there may be no other directory that this process may write.
    connection.pragma_update(None, "temp_store", "MEMORY").map_err(lost)?;
    let mode: String = connection.query_row("PRAGMA journal_mode=WAL", [], |row| row.get(0)).map_err(lost)?;
    let synchronous: i64 = connection.query_row("PRAGMA synchronous", [], |row| row.get(0)).map_err(lost)?;
    if mode != "wal" || synchronous != 2 {
        let detail = format!(
            "it cannot be kept durably here (journal mode {mode}, synchronous {synchronous}); put it on a local disk"
        );
        return Err(StoreError::Other { path: path.to_owned(), detail });
    }
    // Random rows of many leases: fewer pages are written twice.
    connection.pragma_update(None, "cache_size", -8_192).map_err(lost)?;
    connection.pragma_update(None, "wal_autocheckpoint", 4_000).map_err(lost)?;
    // A log that grew while the disk was slow is cut back to this many octets.
    connection.pragma_update(None, "journal_size_limit", 4 << 20).map_err(lost)?;
    let found = layout(&connection).map_err(lost)?;
    if found < LAYOUT {
        let transaction = connection.transaction().map_err(lost)?;
        for step in LAYOUTS.iter().skip(usize::try_from(found).unwrap_or(0)) {
            transaction.execute_batch(step).map_err(lost)?;
        }
        transaction.pragma_update(None, "application_id", APPLICATION).map_err(lost)?;
        transaction.pragma_update(None, "user_version", LAYOUT).map_err(lost)?;
        transaction.commit().map_err(lost)?;
    }
    // From here on the log beside it is what is durable; [`crate::behind`] sees to it before it takes the log away.
    connection.pragma_update(None, "synchronous", "NORMAL").map_err(lost)?;
    // The names of the database and of its log outlive a power cut too. Each time: a process that was killed may have
    // made the files and not come this far.
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    File::open(directory.unwrap_or(Path::new(".")))
        .and_then(|directory| directory.sync_all())
        .map_err(|reason| open_error(path, &reason))?;
    Ok(connection)
}

/// Refuses a log whose database is gone, and what is too short for a database. Before SQLite sees them: it takes both
/// for an empty database, and would delete the log and write over the rest.
pub(crate) fn belongs_together(path: &Path) -> Result<(), StoreError> {
    let detail = match (length(path), length(&beside(path, "-wal"))) {
        (0, 1..) => "only its -wal file is left of it".to_owned(),
        (0, _) if crate::log::segments(path).is_ok_and(|segments| !segments.is_empty()) => {
            "only its -log files are left of it".to_owned()
        }
        (length @ 1..512, _) => format!("it is cut short to {length} octets"),
        _ => return Ok(()),
    };
    Err(StoreError::Corrupt { path: path.to_owned(), detail })
}

fn length(path: &Path) -> u64 {
    std::fs::metadata(path).map_or(0, |file| file.len())
}

pub(crate) fn layout(connection: &Connection) -> rusqlite::Result<i64> {
    connection.query_row("PRAGMA user_version", [], |row| row.get(0))
}

/// Refuses a database that is damaged, not ours or too new. An empty file passes.
pub(crate) fn check(connection: &Connection, path: &Path) -> Result<(), StoreError> {
    let lost = |error: rusqlite::Error| StoreError::sqlite(path, &error);
    let found = layout(connection).map_err(lost)?;
    let application: i64 =
        connection.query_row("PRAGMA application_id", [], |row| row.get(0)).map_err(lost)?;
    let tables: i64 =
        connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0)).map_err(lost)?;
    if application != APPLICATION && (tables, application, found) != (0, 0, 0) {
        return Err(StoreError::Foreign { path: path.to_owned() });
    }
    if found > LAYOUT {
        return Err(StoreError::Newer { path: path.to_owned(), found, known: LAYOUT });
    }
    // SQLite takes what is missing of the last page for zeros. Where the log is not empty, it may hold that page.
    let page: u32 = connection.query_row("PRAGMA page_size", [], |row| row.get(0)).map_err(lost)?;
    if length(&beside(path, "-wal")) == 0
        && let length = length(path)
        && !length.is_multiple_of(page.into())
    {
        let detail = format!("it is cut short to {length} octets");
        return Err(StoreError::Corrupt { path: path.to_owned(), detail });
    }
    let whole = length(path) <= CHECKED;
    let tables = if whole { &["1"][..] } else { &["setting", "lease_v4", "roster"] };
    let mut verdict = "ok".to_owned();
    for table in tables.iter().filter(|table| whole || connection.table_exists(None, **table).unwrap_or(true))
    {
        let check = format!("PRAGMA quick_check({table})");
        verdict = connection.query_row(&check, [], |row| row.get(0)).map_err(lost)?;
        if verdict != "ok" {
            break;
        }
    }
    if verdict != "ok" {
        // It may take several lines to say it.
        let detail = verdict.split_whitespace().collect::<Vec<_>>().join(" ");
        return Err(StoreError::Corrupt { path: path.to_owned(), detail });
    }
    Ok(())
}
