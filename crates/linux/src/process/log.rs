//! What a program said.

use super::Error;
use std::collections::VecDeque;
use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::process::ExitStatus;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Where a line came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stream {
    /// Standard output.
    Output,
    /// Standard error.
    Error,
}

/// Lines a [`Log`] keeps in memory.
const MAX_LINES: usize = 20_000;
/// Bytes a [`Log`] keeps in memory.
const MAX_BYTES: usize = 4 << 20;
/// Bytes written to a log's file; what comes later is only in memory.
const MAX_FILE: usize = 64 << 20;

#[derive(Debug, Default)]
pub(super) struct Lines {
    pub(super) kept: VecDeque<(Stream, String)>,
    bytes: usize,
    evicted: u64,
    file: Option<File>,
    file_bytes: usize,
    pub(super) status: Option<ExitStatus>,
    // All ends of the pipes are closed, or the process has ended and they were empty.
    pub(super) drained: bool,
}

/// What one program said, line by line: in memory (bounded, the oldest lines go first) and in a file if wished.
#[derive(Debug, Clone, Default)]
pub struct Log {
    shared: Arc<(Mutex<Lines>, Condvar)>,
}

impl Log {
    /// A log in memory.
    pub fn new() -> Self {
        Self::default()
    }

    /// A log in memory and in the file `path`, which is replaced.
    ///
    /// # Errors
    /// When the file cannot be created.
    pub fn to_file(path: &Path) -> Result<Self, Error> {
        let file = File::create(path).map_err(|source| Error::Log { path: path.to_owned(), source })?;
        let log = Self::default();
        log.lines().file = Some(file);
        Ok(log)
    }

    pub(super) fn lines(&self) -> MutexGuard<'_, Lines> {
        self.shared.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn push(&self, stream: Stream, line: &[u8]) {
        let line = String::from_utf8_lossy(line).into_owned();
        let mut lines = self.lines();
        if lines.file_bytes + line.len() < MAX_FILE {
            lines.file_bytes += line.len() + 1;
            if let Some(file) = &mut lines.file {
                // A full disk must not end the program that is being watched.
                let _ = file.write_all(format!("{line}\n").as_bytes());
            }
        }
        lines.bytes += line.len();
        lines.kept.push_back((stream, line));
        while lines.kept.len() > MAX_LINES || lines.bytes > MAX_BYTES {
            let Some((_, line)) = lines.kept.pop_front() else { break };
            lines.bytes -= line.len();
            lines.evicted += 1;
        }
        drop(lines);
        self.shared.1.notify_all();
    }

    /// Changes what is known of the program, and wakes who waits for that.
    pub(super) fn learn(&self, change: impl FnOnce(&mut Lines)) {
        change(&mut self.lines());
        self.shared.1.notify_all();
    }

    /// How many lines no longer fit into memory.
    pub fn evicted(&self) -> u64 {
        self.lines().evicted
    }

    /// All lines in memory, one below the other; only those of one stream if told.
    pub fn text(&self, only: Option<Stream>) -> String {
        let lines = self.lines();
        lines
            .kept
            .iter()
            .filter(|(stream, _)| only.is_none_or(|only| only == *stream))
            .flat_map(|(_, line)| [line.as_str(), "\n"])
            .collect()
    }

    /// The first line in memory that contains `pattern`.
    pub fn find(&self, pattern: &str) -> Option<String> {
        self.lines().kept.iter().find(|(_, line)| line.contains(pattern)).map(|(_, line)| line.clone())
    }

    /// The last `count` lines.
    pub fn tail(&self, count: usize) -> String {
        let lines = self.lines();
        let skip = lines.kept.len().saturating_sub(count);
        lines.kept.iter().skip(skip).flat_map(|(_, line)| [line.as_str(), "\n"]).collect()
    }

    /// Waits until all that was said is here: who writes has ended or closed its output. Whether that was within `timeout`.
    pub fn wait_all(&self, timeout: Duration) -> bool {
        self.wait(timeout, |lines| lines.drained.then_some(())).is_some()
    }

    /// Waits until `look` finds something, or time is up.
    pub(super) fn wait<T>(&self, timeout: Duration, mut look: impl FnMut(&Lines) -> Option<T>) -> Option<T> {
        let deadline = Instant::now() + timeout;
        let mut lines = self.lines();
        loop {
            if let Some(found) = look(&lines) {
                return Some(found);
            }
            let left = deadline.checked_duration_since(Instant::now())?;
            lines = self.shared.1.wait_timeout(lines, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}
