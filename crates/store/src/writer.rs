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
    /// A scrubbing was asked for and is not done,
    scrubs: bool,
    /// and this segment was begun for it.
    begun: Option<u64>,
    /// That all was written anew, after so many parts were garbled, is among what was told to have failed.
    anew: Option<u64>,
}

impl Writer {
    pub(crate) fn new(
        log: Log,
        path: &Path,
        on_commit: Arc<OnCommit>,
        progress: Arc<Progress>,
        tally: Arc<Tally>,
    ) -> Self {
        let path = path.to_owned();
        let (unwritten, changes, scrubs, begun, anew) = (Vec::new(), 0, false, None, None);
        Self { log, path, on_commit, progress, tally, unwritten, changes, scrubs, begun, anew }
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
            if let Some(found) = self.anew.take() {
                // Whoever said so was told that it failed, and may have gone meanwhile.
                let _ = self.anew(found);
            }
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
                    self.anew = self.anew.max(Some(found)).filter(|_| result.is_err());
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

    /// Has all that was written taken up, and the logs emptied, if that was asked for. A reader may be in the way, or too much
    /// be to be taken up: then after the next write. What is written from now on need not go: one segment is begun for that.
    fn scrub(&mut self) {
        if self.tally.scrub.swap(false, Ordering::Relaxed) {
            (self.scrubs, self.begun) = (true, None);
        }
        if !self.scrubs || !self.progress.is_short() {
            return;
        }
        let segment = match self.begun {
            Some(segment) => segment,
            None if self.log.roll().is_ok() => self.log.segment(),
            None => return,
        };
        self.begun = Some(segment);
        self.scrubs = !self.progress.scrub(segment);
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;
    use crate::damage::{Parts, marker};
    use crate::log::Position;
    use crate::{Change, log};
    use std::sync::Mutex;

    type Tokens = Arc<Mutex<Vec<(u64, bool)>>>;

    fn writer(path: &Path) -> (Writer, Tokens) {
        let tokens = Tokens::default();
        let tell = Arc::clone(&tokens);
        let on_commit: OnCommit = Box::new(move |told| {
            let told = told.into_iter().map(|(token, result)| (token, result.is_ok()));
            tell.lock().unwrap().extend(told);
        });
        let log = Log::begin(path, 1, Position::default()).unwrap();
        let progress = Arc::new(Progress::new(path, Position::default(), &[]));
        (Writer::new(log, path, Arc::new(on_commit), progress, Arc::default()), tokens)
    }

    fn setting(token: u64) -> Submission {
        let mut octets = Octets::default();
        let change = Change::Setting { key: "a".into(), value: Some(vec![7; 1 << 20]) };
        log::write(Duration::from_secs(1), &[change], &mut octets.all);
        Submission { token, octets, changes: 1, order: None }
    }

    fn order(token: u64, order: Order) -> Submission {
        Submission { token, octets: Octets::default(), changes: 0, order: Some(order) }
    }

    #[test]
    fn that_all_is_written_anew_is_said_once_the_disk_has_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("db");
        let (mut writer, tokens) = writer(&path);
        let mut damage = writer.progress.damage();
        damage.found(Position::default(), Parts { found: 1, lost: 0 }).unwrap();
        assert!(damage.taken());
        damage.passed();
        drop(damage);
        // The segment that is to be begun is there already: it fails.
        writer.progress.begin_anew();
        std::fs::write(log::path_of(&path, 2), []).unwrap();
        assert!(writer.settle(vec![setting(1), order(2, Order::Anew(1))]).is_err());
        assert_eq!(*tokens.lock().unwrap(), [(1, false), (2, false)]);
        assert!(writer.progress.damage().stands() && marker(&path).exists());
        std::fs::remove_file(log::path_of(&path, 2)).unwrap();
        writer.settle(Vec::new()).unwrap();
        assert!(!writer.progress.damage().stands() && !marker(&path).exists());
        assert_eq!(writer.anew, None);
    }

    #[test]
    fn a_scrubbing_that_cannot_be_done_begins_one_segment_at_most() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("db");
        let (mut writer, _) = writer(&path);
        // Nothing is taken up: the log becomes too long to wait for.
        for token in 0..20 {
            writer.settle(vec![setting(token)]).unwrap();
        }
        let segment = writer.log.segment();
        for token in 20..25 {
            writer.settle(vec![order(token, Order::Scrub), setting(token)]).unwrap();
        }
        assert_eq!(writer.log.segment(), segment);
        assert!(writer.scrubs, "it is not forgotten");
        // It is short, and something is in the way.
        writer.progress.end_with(writer.log.end());
        for token in 25..30 {
            writer.settle(vec![setting(token)]).unwrap();
        }
        assert_eq!((writer.log.segment(), writer.scrubs), (segment + 1, true));
        // What is asked for later has what was written meanwhile go, too.
        writer.settle(vec![order(30, Order::Scrub)]).unwrap();
        assert_eq!((writer.log.segment(), writer.scrubs), (segment + 2, true));
    }
}
