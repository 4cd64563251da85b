//! The thread that writes: it gathers what was submitted into frames of the log and tells what became of them.

use crate::behind::Progress;
use crate::log::Log;
use crate::{Octets, OnCommit, Order, StoreError, Submission, Tally};
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

/// Most submissions in one frame: bounds how long the first of them waits for the others.
const GROUP: usize = 1024;
/// With this many changes unwritten, nothing more is taken from the queue until the disk takes these. The queue then
/// fills, and [`crate::Store::submit`] refuses: a disk that fails for a long time costs bounded memory.
const UNWRITTEN: usize = 16_384;

pub(crate) struct Writer {
    log: Log,
    path: PathBuf,
    on_commit: Arc<OnCommit>,
    progress: Arc<Progress>,
    tally: Arc<Tally>,
    /// Submissions that were told to have failed, in their order, and how many changes they hold.
    unwritten: Vec<Octets>,
    changes: usize,
}

impl Writer {
    pub(crate) fn new(
        log: Log,
        path: &Path,
        on_commit: Arc<OnCommit>,
        progress: Arc<Progress>,
        tally: Arc<Tally>,
    ) -> Self {
        Self { log, path: path.to_owned(), on_commit, progress, tally, unwritten: Vec::new(), changes: 0 }
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
        if !self.tally.stopping.load(Ordering::Relaxed) {
            self.progress.wait_for_room();
        }
        if self.unwritten.is_empty() {
            match queue.recv() {
                Ok(submission) => group.push(submission),
                Err(_) => return (group, true),
            }
        } else {
            if self.changes >= UNWRITTEN && !self.tally.stopping.load(Ordering::Relaxed) {
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
        if group.iter().any(|submission| submission.order == Some(Order::Scrub)) {
            self.tally.scrub.store(true, Ordering::Relaxed);
        }
        let result = self.write(&group).map_err(|error| StoreError::io(&self.path, &error));
        let add = |counter: &std::sync::atomic::AtomicU64, by: usize| {
            counter.fetch_add(by as u64, Ordering::Relaxed);
        };
        let mut tokens = Vec::with_capacity(group.len());
        if result.is_ok() {
            add(&self.tally.transactions, 1);
            add(
                &self.tally.submissions,
                group.iter().filter(|submission| submission.order.is_none()).count(),
            );
            self.unwritten.clear();
            self.changes = 0;
            self.scrub();
        } else {
            add(&self.tally.failures, 1);
        }
        for Submission { token, octets, changes, order } in group {
            if result.is_err() {
                self.unwritten.push(octets);
                self.changes += changes;
            }
            match order {
                None => tokens.push((token, result.clone())),
                // All that was submitted before it is on disk.
                Some(Order::Anew(found)) => {
                    tokens.push((token, result.clone().and_then(|()| self.anew(found))));
                }
                Some(Order::Scrub) => {}
            }
        }
        self.tally.unwritten.store(self.changes as u64, Ordering::Relaxed);
        if !tokens.is_empty() {
            (self.on_commit)(tokens);
        }
        result
    }

    /// What memory holds is on the disk again.
    fn anew(&self, found: u64) -> Result<(), StoreError> {
        self.progress.damage().written_anew(found).map_err(|error| StoreError::io(&self.path, &error))
    }

    /// Has all that was written taken up, and the logs emptied, if that was asked for. A reader may be in the way: then after
    /// the next write.
    fn scrub(&mut self) {
        if !self.tally.scrub.swap(false, Ordering::Relaxed) {
            return;
        }
        if self.log.roll().is_err() || !self.progress.scrub(self.log.segment()) {
            self.tally.scrub.store(true, Ordering::Relaxed);
        }
    }

    /// Makes a frame of what was left and the group.
    fn write(&mut self, group: &[Submission]) -> std::io::Result<()> {
        if self.progress.begins_anew() {
            self.log.roll()?;
            self.progress.begun_anew();
        }
        let submitted = group.iter().map(|submission| &submission.octets);
        let all = || self.unwritten.iter().chain(submitted.clone());
        let position = self.log.append(all().map(|octets| octets.all.as_slice()))?;
        let mut rest = Vec::new();
        all().for_each(|octets| rest.extend_from_slice(&octets.rest));
        self.progress.written(position, rest);
        Ok(())
    }
}
