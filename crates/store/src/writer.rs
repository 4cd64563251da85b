//! The thread that writes: it gathers what was submitted into transactions and tells what became of them.

use crate::database::BUSY;
use crate::{Change, Config, OnCommit, StoreError, Submission, Tally, history, rows};
use rusqlite::{Connection, TransactionBehavior};
use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvTimeoutError, TryRecvError};
use std::time::Duration;

/// How often the store tries again to write what the disk did not take.
pub const RETRY: Duration = Duration::from_secs(1);

/// After a failure, how long to gather before the next attempt, which writes all that was not taken again: a full disk
/// costs ten attempts in a second, however many clients ask.
const PAUSE: Duration = Duration::from_millis(100);

/// Most submissions in one transaction: bounds how long the first of them waits for the others.
const GROUP: usize = 1024;
/// With this many changes unwritten, nothing more is taken from the queue until the disk takes these. The queue then
/// fills, and [`crate::Store::submit`] refuses: a disk that fails for a long time costs bounded memory.
const UNWRITTEN: usize = 16_384;
/// Rows of history that may be added before the oldest are looked for.
const PRUNE_EVERY: u64 = 256;

pub(crate) struct Writer {
    connection: Connection,
    path: PathBuf,
    config: Config,
    on_commit: OnCommit,
    tally: Arc<Tally>,
    /// Changes of submissions that were told to have failed, in their order.
    unwritten: VecDeque<(Duration, Change)>,
    added: u64,
}

impl Writer {
    pub(crate) fn new(
        connection: Connection,
        path: &Path,
        config: Config,
        on_commit: OnCommit,
        tally: Arc<Tally>,
    ) -> Self {
        // The first transaction prunes.
        let added = PRUNE_EVERY;
        Self {
            connection,
            path: path.to_owned(),
            config,
            on_commit,
            tally,
            unwritten: VecDeque::new(),
            added,
        }
    }

    /// Runs until nobody can submit any more and all is written, or cannot be.
    pub(crate) fn run(mut self, queue: &Receiver<Submission>) -> Result<(), StoreError> {
        loop {
            let (group, ended) = self.gather(queue);
            let result = self.settle(group);
            if ended {
                return result;
            }
        }
    }

    /// Waits for submissions, and for the time to try again; whether these are the last.
    fn gather(&self, queue: &Receiver<Submission>) -> (Vec<Submission>, bool) {
        let mut group = Vec::new();
        if self.unwritten.is_empty() {
            match queue.recv() {
                Ok(submission) => group.push(submission),
                Err(_) => return (group, true),
            }
        } else {
            if self.unwritten.len() >= UNWRITTEN && !self.tally.stopping.load(Ordering::Relaxed) {
                std::thread::sleep(RETRY);
                return (group, false);
            }
            match queue.recv_timeout(RETRY) {
                Ok(submission) => {
                    group.push(submission);
                    if !self.tally.stopping.load(Ordering::Relaxed) {
                        std::thread::sleep(PAUSE);
                    }
                }
                Err(RecvTimeoutError::Timeout) => return (group, false),
                Err(RecvTimeoutError::Disconnected) => return (group, true),
            }
        }
        while group.len() < GROUP {
            match queue.try_recv() {
                Ok(submission) => group.push(submission),
                // A queue that has ended tells so again when it is next waited for.
                Err(TryRecvError::Empty | TryRecvError::Disconnected) => break,
            }
        }
        (group, false)
    }

    /// Writes what was left and the group behind it, and tells each token what came of it.
    fn settle(&mut self, group: Vec<Submission>) -> Result<(), StoreError> {
        if group.is_empty() && self.unwritten.is_empty() {
            return Ok(());
        }
        if group.iter().any(|submission| submission.scrub) {
            self.tally.scrub.store(true, Ordering::Relaxed);
        }
        let result = self.write(&group).map_err(|error| StoreError::sqlite(&self.path, &error));
        let add = |counter: &std::sync::atomic::AtomicU64, by: usize| {
            counter.fetch_add(by as u64, Ordering::Relaxed);
        };
        let mut tokens = Vec::with_capacity(group.len());
        if result.is_ok() {
            add(&self.tally.transactions, 1);
            add(&self.tally.submissions, group.iter().filter(|submission| !submission.scrub).count());
            self.unwritten.clear();
            self.scrub();
        } else {
            add(&self.tally.failures, 1);
        }
        for Submission { now, token, changes, scrub } in group {
            if result.is_err() {
                self.unwritten.extend(changes.into_iter().map(|change| (now, change)));
            }
            if !scrub {
                tokens.push((token, result.clone()));
            }
        }
        self.tally.unwritten.store(self.unwritten.len() as u64, Ordering::Relaxed);
        if !tokens.is_empty() {
            (self.on_commit)(tokens);
        }
        result
    }

    /// Moves the log into the database and empties it, if that was asked for. A reader may be in the way: then after the
    /// next write.
    fn scrub(&self) {
        if !self.tally.scrub.swap(false, Ordering::Relaxed) {
            return;
        }
        // Not waited for: leases are next.
        let _ = self.connection.busy_timeout(Duration::ZERO);
        let busy =
            self.connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get::<_, i64>(0));
        let _ = self.connection.busy_timeout(BUSY);
        if !matches!(busy, Ok(0)) {
            self.tally.scrub.store(true, Ordering::Relaxed);
        }
    }

    fn write(&mut self, group: &[Submission]) -> rusqlite::Result<()> {
        let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let mut added = self.added;
        let mut latest = Duration::ZERO;
        let left = self.unwritten.iter().map(|(now, change)| (*now, change));
        let submitted = group.iter().flat_map(|s| s.changes.iter().map(|change| (s.now, change)));
        for (now, change) in left.chain(submitted) {
            latest = now;
            added += u64::from(history::record(&transaction, now, change)?);
            rows::apply(&transaction, change)?;
        }
        if added >= PRUNE_EVERY {
            history::prune(&transaction, latest, &self.config)?;
            added = 0;
        }
        transaction.commit()?;
        self.added = added;
        Ok(())
    }
}
