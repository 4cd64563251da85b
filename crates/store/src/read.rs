//! Looking at a database without writing it.

use crate::database::{belongs_together, beside, check};
use crate::history::{self, Holder};
use crate::{Question, Snapshot, StoreError, Trace, behind, log, trace};
use rusqlite::{Connection, ErrorCode, OpenFlags};
use sixgate_dhcp::lease::Resource;
use std::fs::File;
use std::net::Ipv6Addr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Segments go now and then: once is rare, this often in a row means that something else is wrong.
const TRIES: u32 = 5;
/// How long a question about the past waits for what has just been.
const MOMENT: Duration = Duration::from_secs(2);

/// A database that is open only to be read. See [`crate::Store::read_only`].
#[derive(Debug)]
pub struct Reader {
    connection: Connection,
    path: PathBuf,
}

impl Reader {
    pub(crate) fn open(path: &Path) -> Result<Self, StoreError> {
        if let Err(reason) = std::fs::metadata(path) {
            return Err(match reason.kind() {
                std::io::ErrorKind::NotFound => StoreError::Missing { path: path.to_owned() },
                _ => StoreError::Open { path: path.to_owned(), reason: reason.to_string() },
            });
        }
        belongs_together(path)?;
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(path, flags)
            .and_then(|connection| {
                connection.busy_timeout(Duration::from_secs(5))?;
                connection.query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(()))?;
                Ok(connection)
            })
            .or_else(|error| match error.sqlite_error_code() {
                // A database with an empty log is whole by itself; SQLite needs to be told so where it cannot make the
                // log's index, in a directory that this user may not write.
                Some(ErrorCode::CannotOpen | ErrorCode::ReadOnly) if log_is_empty(path) => {
                    Connection::open_with_flags(immutable(path), flags | OpenFlags::SQLITE_OPEN_URI)
                }
                _ => Err(error),
            })
            .map_err(|error| refusal(path, &error))?;
        check(&connection, path)?;
        Ok(Self { connection, path: path.to_owned() })
    }

    /// All leases and settings, as of one instant.
    ///
    /// # Errors
    /// [`StoreError`] where the database is damaged or cannot be read.
    pub fn snapshot(&self) -> Result<Snapshot, StoreError> {
        if self.is_empty()? {
            return Ok(Snapshot::default());
        }
        let lost = |error| StoreError::sqlite(&self.path, &error);
        let mut tries = 0;
        loop {
            let before = self.first_segment();
            // One read transaction, so that leases and settings are of the same instant.
            let transaction = self.connection.unchecked_transaction().map_err(lost)?;
            let whole = log::whole(&transaction, &self.path);
            // Segments that were taken up meanwhile, and went, are in the database as it is now.
            tries += 1;
            if self.first_segment() == before || tries == TRIES {
                return whole.map(|(snapshot, _)| snapshot);
            }
        }
    }

    /// Who held `resource`, the latest holder first, at most `limit` of them.
    ///
    /// # Errors
    /// [`StoreError`] where the database is damaged or cannot be read.
    pub fn holders(&self, resource: Resource, limit: u32) -> Result<Vec<Holder>, StoreError> {
        if self.is_empty()? {
            return Ok(Vec::new());
        }
        self.catch_up();
        history::of(&self.connection, resource, limit).map_err(|error| error.at(&self.path))
    }

    /// Who held `address` at `time`, counted from the Unix epoch: whoever had it leased, and whoever had a prefix
    /// delegated in which it lies. A lease is held until its end; one that stands, until the time its holder was
    /// promised. The latest holder comes first.
    ///
    /// # Errors
    /// [`StoreError`] where the database is damaged or cannot be read.
    pub fn held(&self, address: Ipv6Addr, time: Duration) -> Result<Vec<Holder>, StoreError> {
        if self.is_empty()? {
            return Ok(Vec::new());
        }
        self.catch_up();
        history::at(&self.connection, address, time).map_err(|error| error.at(&self.path))
    }

    fn first_segment(&self) -> Option<u64> {
        log::segments(&self.path).ok()?.first().copied()
    }

    /// The history is in the database alone. Its writer takes up what the log has within a moment, unless it is very busy:
    /// waits for that moment.
    fn catch_up(&self) {
        let Some(written) = log::end(&self.path) else { return };
        let began = Instant::now();
        while behind::taken_up(&self.connection).is_ok_and(|taken| taken < written)
            && began.elapsed() < MOMENT
        {
            std::thread::sleep(MOMENT / 200);
        }
    }

    /// Gives every answer to a question to `take`, until it returns `false`. Leases come first, then IPv4 leases, then
    /// what was seen, then ports of shared addresses, the latest of each first.
    ///
    /// # Errors
    /// [`StoreError`] where the database is damaged or cannot be read.
    pub fn who(&self, question: &Question, take: &mut dyn FnMut(Trace) -> bool) -> Result<(), StoreError> {
        if self.is_empty()? {
            return Ok(());
        }
        self.catch_up();
        self.who_too(question, take)
    }

    /// As [`Reader::who`], for a question that follows another: what has just been is not waited for again.
    ///
    /// # Errors
    /// [`StoreError`] where the database is damaged or cannot be read.
    pub fn who_too(
        &self,
        question: &Question,
        take: &mut dyn FnMut(Trace) -> bool,
    ) -> Result<(), StoreError> {
        trace::each(&self.connection, question, take).map_err(|error| error.at(&self.path))
    }

    /// The earliest time of which the history tells; none where it is empty.
    ///
    /// # Errors
    /// [`StoreError`] where the database is damaged or cannot be read.
    pub fn begins(&self) -> Result<Option<Duration>, StoreError> {
        if self.is_empty()? {
            return Ok(None);
        }
        self.catch_up();
        trace::begins(&self.connection).map_err(|error| error.at(&self.path))
    }

    /// Whether the database has no tables yet: its writer ended before it had made them.
    fn is_empty(&self) -> Result<bool, StoreError> {
        self.connection
            .query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get::<_, i64>(0))
            .map(|tables| tables == 0)
            .map_err(|error| StoreError::sqlite(&self.path, &error))
    }
}

/// What SQLite could not open, and why. It says no more than that; the system does.
fn refusal(path: &Path, error: &rusqlite::Error) -> StoreError {
    if error.sqlite_error_code() != Some(ErrorCode::CannotOpen) {
        return StoreError::sqlite(path, error);
    }
    match File::open(path) {
        Err(reason) if reason.kind() == std::io::ErrorKind::PermissionDenied => {
            StoreError::Unreadable { path: path.to_owned() }
        }
        Err(reason) => StoreError::Open { path: path.to_owned(), reason: reason.to_string() },
        Ok(file) => {
            // Not closed: that would drop the locks which a writer in this very process may have on the file.
            std::mem::forget(file);
            StoreError::Unreadable { path: path.to_owned() }
        }
    }
}

fn log_is_empty(path: &Path) -> bool {
    std::fs::metadata(beside(path, "-wal")).map_or(true, |log| log.len() == 0)
}

/// The path as a URI by which SQLite opens it without locks and without a log.
fn immutable(path: &Path) -> String {
    use std::fmt::Write as _;
    use std::os::unix::ffi::OsStrExt as _;
    let mut uri = String::from("file:");
    for &octet in path.as_os_str().as_bytes() {
        if octet.is_ascii_alphanumeric() || b"/-_.".contains(&octet) {
            uri.push(char::from(octet));
        } else {
            let _ = write!(uri, "%{octet:02x}");
        }
    }
    uri.push_str("?immutable=1");
    uri
}
