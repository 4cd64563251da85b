//! Durable leases in an SQLite database: nothing that a client is told may be forgotten.
//!
//! A row in its place costs SQLite some tens of microseconds, so what is submitted is written to a log first (`log`),
//! in the order in which it came, and synced: that makes it durable. A second thread (`behind`) takes it up into the
//! database, in its own time. What is kept is the database with the log on top of it; a start, and whoever only looks,
//! puts them together.
//!
//! [`Store::open`] gives what was kept ([`Snapshot`]) and starts the one thread that writes. [`Store::submit`] hands
//! changes to it under a token and returns at once; when the changes are on disk the token comes back through the
//! callback given to `open`, and only then may a reply that relies on them leave. Whatever was submitted while one
//! frame of the log was being synced shares the next, so that many leases cost one `fsync`.
//!
//! # What a token's return means
//! - `Ok`: this submission *and every one before it* is on disk (the log, `fdatasync`).
//! - `Err`: the disk did not take it. The replies that wait for it must not be sent. The store keeps the changes, in
//!   order, writes them before all later ones, and tries again by itself every [`RETRY`]: the disk catches up with a
//!   caller that keeps its table as it is. A caller that takes the changes back instead submits what then holds for
//!   the same resources. After a crash in between, the changes are either there or not; no client was told of them.
//!
//! [`Submit::Refused`] gives the changes back unwritten: the queue is full, because the disk is too slow or takes
//! nothing. Again the replies must not be sent; the changes have to be submitted again before anything later that
//! is about the same resources.

mod behind;
mod copy;
mod damage;
mod database;
mod error;
mod history;
mod history_v4;
mod identity;
mod log;
mod ports;
mod read;
mod rows;
mod sighting;
mod trace;
mod v4;
mod writer;

pub use error::StoreError;
pub use history::Holder;
pub use ports::{Block, PortsChange};
pub use read::Reader;
pub use sighting::Sighting;
pub use trace::{How, Question, Subject, Trace};
pub use writer::RETRY;

use sixgate_dhcp::lease::{LeaseChange, LeaseTable};
use sixgate_dhcp::v4::{self as dhcpv4, Place, RosterChange};
use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

/// One change to make durable. Each stands alone: applying one twice does no harm.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// A lease is kept, or kept no longer.
    Lease(LeaseChange),
    /// Some other thing that has to survive a restart.
    Setting {
        /// Its name.
        key: String,
        /// What to keep; `None` keeps nothing.
        value: Option<Vec<u8>>,
    },
    /// An IPv4 lease is kept, or kept no longer.
    LeaseV4(dhcpv4::LeaseChange),
    /// A client of the pilot is kept, or kept no longer.
    Roster(RosterChange),
    /// A host was seen with an address.
    Seen(Sighting),
    /// Ports of a shared address became somebody's, or nobody's.
    Ports(PortsChange),
}

impl From<LeaseChange> for Change {
    fn from(change: LeaseChange) -> Self {
        Self::Lease(change)
    }
}

/// All that was kept.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Snapshot {
    /// The leases. Some may have ended meanwhile.
    pub leases: LeaseTable,
    /// The settings by name.
    pub settings: BTreeMap<String, Vec<u8>>,
    /// The IPv4 leases, likewise.
    pub leases_v4: Vec<dhcpv4::Lease>,
    /// The clients that the pilot knows, and whether each is in it.
    pub roster: Vec<(Place, bool)>,
}

/// Bounds of a store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Config {
    /// Submissions that may wait for the disk.
    pub queue: usize,
    /// Rows of history to keep, beside those of leases that stand: so many of DHCPv6, of DHCPv4, of what was
    /// seen, and of ports.
    pub history_rows: u32,
    /// For how long to keep the history of a lease after its end, and of a host after it was last seen.
    pub history_age: Duration,
}

impl Default for Config {
    /// 4096 submissions; 100 000 rows (some 20 MB); 180 days.
    fn default() -> Self {
        Self { queue: 4096, history_rows: 100_000, history_age: Duration::from_hours(180 * 24) }
    }
}

/// Tells which submissions are on disk and which were not taken; of none, where a part of the log was found to be garbled
/// ([`Counters::damaged`]). Called on the store's own threads: it should do no more than pass the tokens on. [`Store::stop`] and
/// dropping the store wait for it: it must not wait for the thread that does either.
pub type OnCommit = Box<dyn Fn(Vec<(u64, Result<(), StoreError>)>) + Send + Sync>;

/// What became of a call to [`Store::submit`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use = "changes that were refused are not kept anywhere"]
pub enum Submit {
    /// The token will come back.
    Queued,
    /// The queue is full, or the store has stopped: nothing was taken, and the token will not come back.
    Refused(Vec<Change>),
}

/// Figures that only grow, except [`Counters::unwritten`] and [`Counters::behind_failing`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counters {
    /// Submissions that are on disk.
    pub submissions: u64,
    /// Frames of the log that they took, each synced.
    pub transactions: u64,
    /// Frames that the disk did not take.
    pub failures: u64,
    /// Submissions that were refused because the queue was full.
    pub refused: u64,
    /// Changes that wait for the disk to take them after all.
    pub unwritten: u64,
    /// Times that the database did not take what is in the log; it is tried again.
    pub behind_failures: u64,
    /// How many times in a row by now; 0 while it takes it.
    pub behind_failing: u64,
    /// Parts of the log that the disk garbled, and that the database has durably passed over: leases that were submitted last may
    /// be lost, and ought to be submitted again from memory; then [`Store::written_anew`] says so. All else is remembered by the store, within
    /// limits, and written by itself.
    pub damaged: u64,
    /// Those of them of which the store did not remember all: settings, removals and history may be as they were before.
    pub forgotten: u64,
}

#[derive(Debug, Default)]
struct Tally {
    submissions: AtomicU64,
    transactions: AtomicU64,
    failures: AtomicU64,
    refused: AtomicU64,
    unwritten: AtomicU64,
    behind_failures: AtomicU64,
    behind_failing: AtomicU64,
    /// Set when the files are to be scrubbed and the queue was too full to say so.
    scrub: AtomicBool,
    /// Set when no more will be submitted: what is in the queue is then taken whatever the disk does.
    stopping: AtomicBool,
}

struct Submission {
    token: u64,
    octets: Octets,
    changes: usize,
    /// No changes, then, but something else to do where they would have their turn.
    order: Option<Order>,
}

/// Changes, as they stand in the log: what one thread makes and another takes apart costs both.
#[derive(Default)]
struct Octets {
    all: Vec<u8>,
    /// Those among them that no table holds, once more.
    rest: Vec<u8>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Order {
    /// What was overwritten or removed up to here shall not be found on disk any more.
    Scrub,
    /// All that memory holds was submitted again, after so many parts were garbled.
    Anew(u64),
}

/// A database that is open for writing. Dropping it does what [`Store::stop`] does.
#[derive(Debug)]
pub struct Store {
    queue: Option<SyncSender<Submission>>,
    writer: Option<JoinHandle<Result<(), StoreError>>>,
    behind: Option<JoinHandle<()>>,
    progress: Arc<behind::Progress>,
    tally: Arc<Tally>,
    path: PathBuf,
    /// Held for as long as the database is open: nobody else may write it.
    _lock: File,
}

impl Store {
    /// Opens the database at `path`, which is made where there is none, in a directory that must be there. Beside it
    /// lie `-wal` and `-shm`, `-log` with a number, `-copy`, which all belong to it, `-lock`, and, while leases may be missing
    /// because the disk garbled them, `-damaged`.
    ///
    /// # Errors
    /// [`StoreError`], which names the file and says what to do. A damaged database is left as it is.
    pub fn open(path: &Path, config: Config, on_commit: OnCommit) -> Result<(Self, Snapshot), StoreError> {
        let lock = database::lock(path)?;
        let connection = database::open(path)?;
        let taken = behind::taken_up(&connection).map_err(|error| StoreError::sqlite(path, &error))?;
        let (snapshot, ends) = log::whole(&connection, path)?;
        if !copy::is_named(&connection) {
            // One of before, whose writer was killed: what was removed since is not to be found in it.
            copy::remove(path);
        }
        // A process that was killed may have left what it took up in SQLite's log, not synced: then our log is what is durable,
        // until this. Segments go only behind it.
        behind::settle(&connection, taken).map_err(|error| StoreError::sqlite(path, &error))?;
        let log = log::Log::follow(path, taken, ends.last().copied().unwrap_or(taken))?;
        let tally = Arc::new(Tally::default());
        let (queue, submissions) = sync_channel(config.queue);
        let progress = Arc::new(behind::Progress::new(path, taken, &ends));
        let on_commit = Arc::new(on_commit);
        let shared = (Arc::clone(&progress), Arc::clone(&tally), Arc::downgrade(&on_commit));
        let behind = behind::Behind::new(connection, path, config, shared);
        let writer = writer::Writer::new(log, path, on_commit, Arc::clone(&progress), Arc::clone(&tally));
        let failed =
            |reason: std::io::Error| StoreError::Other { path: path.to_owned(), detail: reason.to_string() };
        let thread = |name: &str| std::thread::Builder::new().name(name.into());
        let behind = thread("store-behind").spawn(move || behind.run()).map_err(failed)?;
        let writer = thread("store").spawn(move || writer.run(&submissions)).map_err(failed)?;
        let store = Self {
            queue: Some(queue),
            writer: Some(writer),
            behind: Some(behind),
            progress,
            tally,
            path: path.to_owned(),
            _lock: lock,
        };
        Ok((store, snapshot))
    }

    /// Opens a database only to look at it. That may be done while another process writes it.
    ///
    /// # Errors
    /// [`StoreError`], which names the file and says what to do.
    pub fn read_only(path: &Path) -> Result<Reader, StoreError> {
        Reader::open(path)
    }

    /// Hands over changes that belong together: all of them will be on disk, or none. `now` is the time since the
    /// Unix epoch, for the history. Never blocks.
    pub fn submit(&self, now: Duration, changes: Vec<Change>, token: u64) -> Submit {
        let mut octets = Octets { all: Vec::with_capacity(256), rest: Vec::new() };
        log::write(now, &changes, &mut octets.all);
        log::write_rest(now, changes.iter(), &mut octets.rest);
        if self.send(octets, changes.len(), token, None) { Submit::Queued } else { Submit::Refused(changes) }
    }

    /// As [`Store::submit`], for leases that the caller keeps; whether the token will come back.
    #[must_use = "changes that were refused are not kept anywhere"]
    pub fn submit_leases(&self, now: Duration, changes: &[LeaseChange], token: u64) -> bool {
        let mut octets = Octets { all: Vec::with_capacity(256), rest: Vec::new() };
        log::write_leases(now, changes, &mut octets.all);
        let removed = changes.iter().filter(|change| matches!(change, LeaseChange::Remove(_)));
        let removed: Vec<Change> = removed.map(|change| change.clone().into()).collect();
        log::write_rest(now, removed.iter(), &mut octets.rest);
        self.send(octets, changes.len(), token, None)
    }

    /// Has the database take up at once what is written, and waits for that, so long at most: what is garbled of it is counted
    /// then ([`Counters::damaged`]).
    pub fn catch_up(&self, patience: Duration) {
        self.progress.catch_up(patience);
    }

    /// Says that all that memory holds was submitted again, after the disk garbled [`Counters::damaged`] parts of the log, as many
    /// as `damaged`; whether the token will come back. With `Ok` it is all on disk, and nothing is missing that memory held.
    #[must_use = "what was refused has to be said again"]
    pub fn written_anew(&self, damaged: u64, token: u64) -> bool {
        self.send(Octets::default(), 0, token, Some(Order::Anew(damaged)))
    }

    /// The file that an earlier process left, and that nobody has removed yet: the disk garbled a part of the log, and that process
    /// ended before all was written again from its memory. Leases that clients still hold may be missing.
    pub fn garbled_before(&self) -> Option<PathBuf> {
        self.progress.damage().before()
    }

    fn send(&self, octets: Octets, changes: usize, token: u64, order: Option<Order>) -> bool {
        let Some(queue) = &self.queue else { return false };
        let sent = queue.try_send(Submission { token, octets, changes, order });
        if sent.is_err() {
            self.tally.refused.fetch_add(1, Ordering::Relaxed);
        }
        sent.is_ok()
    }

    /// Whatever the submissions so far overwrite or remove leaves the files too, the log among them, as soon as they are
    /// written. (What a disk keeps of blocks that it took back is beyond us.)
    pub fn scrub(&self) {
        let order = Submission { token: 0, octets: Octets::default(), changes: 0, order: Some(Order::Scrub) };
        let told = self.queue.as_ref().is_some_and(|queue| queue.try_send(order).is_ok());
        if !told {
            // There is enough to write, then.
            self.tally.scrub.store(true, Ordering::Relaxed);
        }
    }

    /// What the store has done since it was opened.
    pub fn counters(&self) -> Counters {
        let get = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let damage::Parts { found, lost } = self.progress.damage().parts();
        Counters {
            submissions: get(&self.tally.submissions),
            transactions: get(&self.tally.transactions),
            failures: get(&self.tally.failures),
            refused: get(&self.tally.refused),
            unwritten: get(&self.tally.unwritten),
            behind_failures: get(&self.tally.behind_failures),
            behind_failing: get(&self.tally.behind_failing),
            damaged: found,
            forgotten: lost,
        }
    }

    /// Writes all that was submitted and closes the database; every token has come back when this returns.
    ///
    /// # Errors
    /// [`StoreError`] where the disk does not take what was submitted, and where it garbled what was, and not all was written
    /// anew, or was remembered.
    pub fn stop(mut self) -> Result<(), StoreError> {
        self.close()
    }

    fn close(&mut self) -> Result<(), StoreError> {
        // The writer ends when nobody can submit any more.
        self.tally.stopping.store(true, Ordering::Relaxed);
        self.progress.close();
        self.queue = None;
        let written = self.writer.take().map(JoinHandle::join);
        self.progress.stop();
        if let Some(behind) = self.behind.take() {
            // What it did not do is done at the next start.
            let _ = behind.join();
        }
        match written {
            None => Ok(()),
            Some(Ok(Ok(()))) if self.progress.damage().stands() => {
                Err(StoreError::Garbled { path: self.path.clone(), marker: damage::marker(&self.path) })
            }
            Some(Ok(Ok(()))) if self.progress.damage().is_forgotten() => {
                Err(StoreError::Forgotten { path: self.path.clone(), marker: damage::marker(&self.path) })
            }
            Some(Ok(result)) => result,
            Some(Err(_)) => Err(StoreError::Other {
                path: self.path.clone(),
                detail: "the thread that writes it ended early; what was submitted last is not kept".into(),
            }),
        }
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        // Each failure was told with its token; there is nobody left here to tell.
        let _ = self.close();
    }
}
