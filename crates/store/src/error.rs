//! What can be wrong with a database, said so that a person knows what to do.

use rusqlite::ErrorCode;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// Why a database cannot be opened, or did not take a transaction.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// The file system does not give the file.
    #[error("cannot open the lease database {}: {reason}; its directory must exist and be writable by the user that runs sixgate", path.display())]
    Open {
        /// The database.
        path: PathBuf,
        /// What the system said.
        reason: String,
    },
    /// There is no database to read.
    #[error("there is no lease database at {}: nothing has been leased from there yet", path.display())]
    Missing {
        /// The database.
        path: PathBuf,
    },
    /// This user may not read it, or its log.
    #[error("the lease database {} cannot be read by this user: read it as the user that runs sixgate, or as root", path.display())]
    Unreadable {
        /// The database.
        path: PathBuf,
    },
    /// Another process writes it.
    #[error("the lease database {} is in use by another sixgate; stop that one first, or give this one a database of its own", path.display())]
    InUse {
        /// The database.
        path: PathBuf,
    },
    /// It is not a whole database.
    #[error("the lease database {} is damaged ({detail}); restore a copy of it, or move it aside together with its -wal, -shm and -log files to start with no leases; nothing was deleted", path.display())]
    Corrupt {
        /// The database.
        path: PathBuf,
        /// What is wrong with it.
        detail: String,
    },
    /// Parts of its log were garbled while it was open, and not all that memory held was written anew before the end.
    #[error("the disk garbled a part of the log of the lease database {}, and sixgate ended before all was written again from memory: leases that clients still hold may be missing; see the kernel's log and whether the disk still works, restore a copy if you have one, then remove {}", path.display(), marker.display())]
    Garbled {
        /// The database.
        path: PathBuf,
        /// The file that says so at each start, until it is removed.
        marker: PathBuf,
    },
    /// The same, and all that memory held was written anew; it did not hold all.
    #[error("the disk garbled a part of the log of the lease database {}: all leases are written again, but settings, reservations made by command, history, and what was removed may be as they were before that part; look at them, then remove {}", path.display(), marker.display())]
    Forgotten {
        /// The database.
        path: PathBuf,
        /// The file that says so at each start, until it is removed.
        marker: PathBuf,
    },
    /// It is a database of another program.
    #[error("{} is an SQLite database, but not one of sixgate's; name another file for the leases", path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
    },
    /// It was written by a later version of sixgate.
    #[error("the lease database {} has layout {found}, and this sixgate knows layouts up to {known}; run the newer sixgate that wrote it, or move the file aside to start with no leases", path.display())]
    Newer {
        /// The database.
        path: PathBuf,
        /// Its layout.
        found: i64,
        /// The latest layout that this version knows.
        known: i64,
    },
    /// The disk is full.
    #[error("no room is left on the disk that holds the lease database {}; free some: until then no lease is given or renewed", path.display())]
    Full {
        /// The database.
        path: PathBuf,
    },
    /// It cannot be written.
    #[error("the lease database {} cannot be written: it, or its file system, is read-only for the user that runs sixgate; allow writing, or name another file", path.display())]
    ReadOnly {
        /// The database.
        path: PathBuf,
    },
    /// The disk reports errors.
    #[error("the disk that holds the lease database {} fails ({detail}); see the kernel's log, and move the database to a disk that works", path.display())]
    Disk {
        /// The database.
        path: PathBuf,
        /// What SQLite said.
        detail: String,
    },
    /// Anything else.
    #[error("the lease database {}: {detail}", path.display())]
    Other {
        /// The database.
        path: PathBuf,
        /// What SQLite said.
        detail: String,
    },
}

/// An error before it is known which file it is about.
#[derive(Debug)]
pub(crate) enum RowError {
    /// SQLite's.
    Sqlite(rusqlite::Error),
    /// A row that this version could not have written.
    Content(String),
    /// The system's, of the log: not that it is damaged.
    Io(std::io::Error),
}

impl From<rusqlite::Error> for RowError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(error)
    }
}

impl RowError {
    pub(crate) fn at(self, path: &Path) -> StoreError {
        match self {
            Self::Sqlite(error) => StoreError::sqlite(path, &error),
            Self::Content(detail) => StoreError::Corrupt { path: path.to_owned(), detail },
            Self::Io(error) if error.kind() == ErrorKind::PermissionDenied => {
                StoreError::Unreadable { path: path.to_owned() }
            }
            Self::Io(error) => StoreError::io(path, &error),
        }
    }
}

impl StoreError {
    /// What the system said of a file that is open, or ought to be.
    pub(crate) fn io(path: &Path, error: &std::io::Error) -> Self {
        let path = path.to_owned();
        match error.kind() {
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded => Self::Full { path },
            ErrorKind::ReadOnlyFilesystem => Self::ReadOnly { path },
            ErrorKind::PermissionDenied => Self::Open { path, reason: error.to_string() },
            _ => Self::Disk { path, detail: error.to_string() },
        }
    }

    pub(crate) fn sqlite(path: &Path, error: &rusqlite::Error) -> Self {
        let path = path.to_owned();
        let detail = error.to_string();
        // A value of another type than the schema says can only be damage: the tables are STRICT.
        if matches!(
            error,
            rusqlite::Error::InvalidColumnType(..)
                | rusqlite::Error::FromSqlConversionFailure(..)
                | rusqlite::Error::IntegralValueOutOfRange(..)
        ) {
            return Self::Corrupt { path, detail };
        }
        match error.sqlite_error_code() {
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => Self::Corrupt { path, detail },
            Some(ErrorCode::DiskFull) => Self::Full { path },
            Some(ErrorCode::ReadOnly) => Self::ReadOnly { path },
            Some(ErrorCode::CannotOpen | ErrorCode::PermissionDenied) => Self::Open { path, reason: detail },
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Self::InUse { path },
            Some(ErrorCode::SystemIoFailure) => Self::Disk { path, detail },
            _ => Self::Other { path, detail },
        }
    }
}
