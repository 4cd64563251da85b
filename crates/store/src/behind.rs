//! The thread that takes what is in the log up into the database, so that it can be asked about and the log can go.
//!
//! It is never waited for by a client. While clients come in quick succession it takes little, while they come in a rush
//! nothing, and it catches up when they pause, or when the log has become long. Each transaction says how far in the log it goes, so that whatever happens
//! nothing is taken up twice: the history is no place for that.
//!
//! Where the disk garbled a part of the log, that part is passed over, once a file stands that says so ([`crate::damage`]). What
//! memory remembers of it is taken up in its place; leases are not remembered here, and whoever has them in a table is told
//! ([`crate::Counters::damaged`]) and writes them anew, into a segment that is begun for it.

use crate::damage::{Damage, Parts};
use crate::error::RowError;
use crate::log::{self, Position, Read};
use crate::{Change, Config, OnCommit, StoreError, Tally, copy, database, history, rows};
use rusqlite::{Connection, TransactionBehavior, params};
use sixgate_dhcp::lease::LeaseChange;
use std::collections::VecDeque;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

/// How far the log is taken up (layout 5): one row.
pub(crate) const SCHEMA: &str = "
CREATE TABLE taken_up (
    segment INTEGER NOT NULL,
    offset  INTEGER NOT NULL
) STRICT;
INSERT INTO taken_up VALUES (0, 0);
";

/// With nothing new for this long, clients pause.
const QUIET: Duration = Duration::from_millis(50);
/// While they do not, one transaction is made this often,
const TURN: Duration = Duration::from_secs(1);
/// unless there are more octets of log than this: then what it would cost is theirs.
const RUSH: u64 = 1 << 20;
/// Octets of log that a scrubbing waits for.
const SHORT: u64 = 16 << 20;
/// Octets of log beyond which clients are not waited for: a rush of more than a million leases. A start after a crash has to read
/// them.
const LONG: u64 = 256 << 20;
/// Octets of log beyond which the writer waits: a disk that holds so much is bounded too.
pub(crate) const LONGEST: u64 = 1 << 30;
/// Octets of log in one transaction, in memory meanwhile. The more, the more often rows share a page that is written.
const AT_ONCE: usize = 8 << 20;
/// How long a stop goes on with what is left; the next start takes up the rest.
const PATIENCE: Duration = Duration::from_secs(10);
/// How far this thread stands behind those that clients wait for, where there are not enough processors for all: a tenth of one
/// is left to it, so that a rush is not what the log grows by for ever.
const BEHIND: i32 = 10;
/// Rows of history that may be added before the oldest are looked for.
const PRUNE_EVERY: u64 = 256;

/// How far the log is written, and how far it is taken up. The writer sets the one, this thread the other.
#[derive(Debug)]
pub(crate) struct Progress {
    state: Mutex<State>,
    changed: Condvar,
    /// Where each segment ends that is written no longer, and not all taken up; locked within `state`.
    ends: Mutex<VecDeque<Position>>,
    damage: Mutex<Damage>,
}

#[derive(Debug, Default, Clone, Copy)]
struct State {
    written: Position,
    taken: Position,
    /// Octets of log between the two.
    backlog: u64,
    /// All is to be taken up at once, and to leave the files that hold it, but for this segment and those behind it.
    scrub: Option<u64>,
    /// Whether the last scrubbing did so.
    scrubbed: bool,
    stopping: bool,
    /// Somebody waits for all to be taken up.
    hurry: bool,
    /// Nothing more will be submitted: what was is written down at once, however long the log is.
    closing: bool,
    /// The segment that is written may be damaged: another is to be begun.
    anew: bool,
    /// This thread has ended.
    ended: bool,
}

impl Progress {
    /// `ends` is where the frames end in each segment that has some behind `taken`.
    pub(crate) fn new(database: &Path, taken: Position, ends: &[Position]) -> Self {
        let written = ends.last().copied().unwrap_or(taken);
        let progress = Self {
            state: Mutex::new(State { written: taken, taken, ..State::default() }),
            changed: Condvar::new(),
            ends: Mutex::default(),
            damage: Mutex::new(Damage::new(database, written)),
        };
        for end in ends {
            progress.written(*end, Vec::new());
        }
        progress
    }

    /// What is garbled of the log.
    pub(crate) fn damage(&self) -> MutexGuard<'_, Damage> {
        self.damage.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // It holds plain numbers: they are as good after a panic elsewhere.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The writer got so far. `rest` is what no table holds of what it wrote last.
    pub(crate) fn written(&self, position: Position, rest: Vec<u8>) {
        if !rest.is_empty() {
            self.damage().rest().remember(position, rest);
        }
        let mut state = self.lock();
        state.backlog += state.written.until(position);
        if position.segment > state.written.segment {
            self.ends().push_back(state.written);
        }
        state.written = position;
        self.changed.notify_all();
    }

    /// The database has all up to here.
    fn taken(&self, position: Position) {
        self.damage().rest().forget(position);
        let mut state = self.lock();
        let (mut ends, mut at, mut octets) = (self.ends(), state.taken, 0);
        while let Some(end) = ends.pop_front_if(|end| end.segment < position.segment) {
            octets += at.until(end);
            at = end;
        }
        octets += at.until(position);
        state.backlog = state.backlog.saturating_sub(octets);
        state.taken = position;
        self.changed.notify_all();
    }

    fn ends(&self) -> MutexGuard<'_, VecDeque<Position>> {
        self.ends.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits while the log is too long; not once the store closes: the database may take nothing for ever.
    pub(crate) fn wait_for_room(&self) {
        let mut state = self.lock();
        while state.backlog > LONGEST && !state.ended && !state.closing {
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Whether what is to be taken up before a scrubbing is little enough to be waited for.
    pub(crate) fn is_short(&self) -> bool {
        self.lock().backlog <= SHORT
    }

    /// Has everything taken up and scrubbed, of what is before this segment, and waits for it; whether that was done.
    pub(crate) fn scrub(&self, segment: u64) -> bool {
        let mut state = self.lock();
        state.scrub = Some(segment);
        self.changed.notify_all();
        while state.scrub.is_some() && !state.ended {
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state.scrubbed
    }

    /// Has everything taken up that is written, and waits for it.
    pub(crate) fn catch_up(&self, patience: Duration) {
        let mut state = self.lock();
        let until = state.written;
        state.hurry = true;
        self.changed.notify_all();
        let waits = |state: &mut State| state.taken < until && !state.ended;
        let waited = self.changed.wait_timeout_while(state, patience, waits);
        waited.unwrap_or_else(PoisonError::into_inner).0.hurry = false;
    }

    /// Whether another segment is to be begun.
    pub(crate) fn begins_anew(&self) -> bool {
        self.lock().anew
    }

    /// One is to be.
    pub(crate) fn begin_anew(&self) {
        self.lock().anew = true;
    }

    /// It is.
    pub(crate) fn begun_anew(&self) {
        self.lock().anew = false;
    }

    /// As if all were taken up, by a thread that has ended since.
    #[cfg(test)]
    pub(crate) fn end_with(&self, taken: Position) {
        self.taken(taken);
        self.lock().ended = true;
    }

    /// Nothing more will be submitted.
    pub(crate) fn close(&self) {
        self.lock().closing = true;
        self.changed.notify_all();
    }

    /// Nothing more will be written.
    pub(crate) fn stop(&self) {
        self.lock().stopping = true;
        self.changed.notify_all();
    }
}

pub(crate) struct Behind {
    connection: Connection,
    path: PathBuf,
    config: Config,
    progress: Arc<Progress>,
    tally: Arc<Tally>,
    /// It goes with the writer.
    on_commit: Weak<OnCommit>,
    /// The segment that is being read.
    open: Option<(u64, File)>,
    /// A part that is garbled was passed over, and that is not durable yet.
    passing: bool,
    added: u64,
    latest: Duration,
    /// The database may name a copy, or have named one.
    copied: bool,
}

/// What was read of the log.
struct Taken {
    contents: Vec<Vec<u8>>,
    to: Position,
    /// Parts that were passed over, each from here to there,
    damaged: Vec<(Position, Position)>,
    /// and those of them that memory does not hold.
    lost: u64,
}

/// Says that the thread ended, however it did.
struct Ending(Arc<Progress>);

impl Drop for Ending {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        (state.ended, state.scrub, state.scrubbed) = (true, None, false);
        self.0.changed.notify_all();
    }
}

impl Behind {
    pub(crate) fn new(
        connection: Connection,
        path: &Path,
        config: Config,
        (progress, tally, on_commit): (Arc<Progress>, Arc<Tally>, Weak<OnCommit>),
    ) -> Self {
        Self {
            // Somebody else may have changed rows since: then a trigger is left of it.
            copied: true,
            connection,
            path: path.to_owned(),
            config,
            progress,
            tally,
            on_commit,
            open: None,
            passing: false,
            // The first transaction prunes.
            added: PRUNE_EVERY,
            latest: Duration::ZERO,
        }
    }

    /// Runs until all is written, and taken up or left to the next start.
    pub(crate) fn run(mut self) {
        let _ending = Ending(Arc::clone(&self.progress));
        // Of this thread alone. Where it may not be, clients wait a little longer.
        let _ = rustix::process::nice(BEHIND);
        let mut last = Instant::now();
        let mut stopping_since = None;
        loop {
            let state = self.wait(last);
            if state.taken < state.written {
                if let Ok(taken) = self.take_up(state) {
                    self.tally.behind_failing.store(0, Ordering::Relaxed);
                    self.progress.taken(taken);
                } else {
                    self.tally.behind_failures.fetch_add(1, Ordering::Relaxed);
                    self.tally.behind_failing.fetch_add(1, Ordering::Relaxed);
                    if state.stopping {
                        return;
                    }
                    if state.scrub.is_some() {
                        self.scrubbed(false);
                    }
                    std::thread::sleep(crate::RETRY);
                }
                last = Instant::now();
            } else if let Some(segment) = state.scrub {
                let done = self.scrub(state.taken, segment).unwrap_or(false);
                self.scrubbed(done);
            } else if self.passing && !state.stopping {
                if self.settle(state.taken).is_err() {
                    self.tally.behind_failures.fetch_add(1, Ordering::Relaxed);
                    std::thread::sleep(crate::RETRY);
                }
            } else if state.stopping {
                // The next start is quicker with it, and as right without.
                if copy::write(&self.connection, &self.path).is_err() {
                    copy::remove(&self.path);
                }
                if self.settle(state.taken).is_ok() {
                    // All is in the database.
                    let _ = log::remove_before(&self.path, u64::MAX);
                }
                return;
            }
            if state.stopping && stopping_since.get_or_insert_with(Instant::now).elapsed() > PATIENCE {
                return;
            }
        }
    }

    fn scrubbed(&self, done: bool) {
        let mut state = self.progress.lock();
        (state.scrub, state.scrubbed) = (None, done);
        self.progress.changed.notify_all();
    }

    /// Waits until something is to be done.
    fn wait(&self, last: Instant) -> State {
        let mut state = self.progress.lock();
        loop {
            if state.stopping || state.scrub.is_some() || state.backlog > LONG {
                return *state;
            }
            if state.taken >= state.written {
                if self.passing {
                    return *state;
                }
                state = self.progress.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
                continue;
            }
            if state.hurry || last.elapsed() >= TURN && state.backlog <= RUSH {
                return *state;
            }
            let before = state.written;
            drop(state);
            // Not on the condition: each frame would wake this thread.
            std::thread::sleep(QUIET);
            state = self.progress.lock();
            if state.written == before {
                return *state;
            }
        }
    }

    /// Takes up one transaction's worth; how far it went.
    fn take_up(&mut self, state: State) -> Result<Position, StoreError> {
        let Taken { contents, to, damaged, lost } = self.read(state.taken, state.written)?;
        if let Some((at, _)) = damaged.first() {
            let parts = Parts { found: damaged.len() as u64, lost };
            let mut damage = self.progress.damage();
            let more = parts.found > damage.ahead().found;
            let found = damage.found(*at, parts);
            drop(damage);
            // Once: those that are found again are in a segment that is written no longer.
            if more {
                self.progress.begin_anew();
            }
            found.map_err(|error| StoreError::io(&self.path, &error))?;
        }
        self.write(&contents, to).map_err(|error| error.at(&self.path))?;
        self.passing = self.progress.damage().taken();
        if to.segment > state.taken.segment || self.passing {
            // Where that fails, all is taken up nevertheless, and must not be once more; segments stay until it succeeds.
            match self.settle(to) {
                Ok(()) => drop(log::remove_before(&self.path, to.segment)),
                Err(_) => drop(self.tally.behind_failures.fetch_add(1, Ordering::Relaxed)),
            }
        }
        Ok(to)
    }

    /// Makes durable what was taken up: until then the log is what counts. Whoever is to write anew what was passed over is told
    /// only then: before, a start would read it again, and would refuse it.
    fn settle(&mut self, at: Position) -> Result<(), StoreError> {
        settle(&self.connection, at).map_err(|error| StoreError::sqlite(&self.path, &error))?;
        if std::mem::take(&mut self.passing) {
            self.progress.damage().passed();
            if let Some(on_commit) = self.on_commit.upgrade() {
                on_commit(Vec::new());
            }
        }
        Ok(())
    }

    /// The frames from one place on, and in place of those that are garbled what memory has of them.
    fn read(&mut self, from: Position, to: Position) -> Result<Taken, StoreError> {
        let mut taken = Taken { contents: Vec::new(), to, damaged: Vec::new(), lost: 0 };
        // Up to `reached` nothing is missing, or it was seen to.
        let (mut at, mut reached) = (from, from);
        while at.segment <= to.segment {
            let end = (at.segment == to.segment).then_some(to.offset);
            match self.read_from(at, end).map_err(|error| self.lost(&error))? {
                Read::Frames(contents, offset) => {
                    let before = contents.first().and_then(|first| log::follows(first));
                    if let Some(before) = before.filter(|before| *before > reached) {
                        self.pass_over(reached, before, &mut taken);
                    }
                    taken.contents.extend(contents);
                    taken.to = Position { offset, ..at };
                    break;
                }
                Read::Damaged(next) => {
                    // What is remembered of what comes behind `to` is for the next time.
                    let behind = next.map_or(at.next_segment(), |offset| Position { offset, ..at }).min(to);
                    self.pass_over(reached, behind, &mut taken);
                    if behind == to {
                        break;
                    }
                    (at, reached) = (behind, behind);
                }
                // If that is too early, the next segment says so.
                Read::Nothing => at = at.next_segment(),
            }
        }
        Ok(taken)
    }

    /// Takes what memory has of a part that is garbled.
    fn pass_over(&self, from: Position, to: Position, taken: &mut Taken) {
        let (contents, whole) = self.progress.damage().rest().between(from, to);
        taken.contents.extend(contents);
        taken.damaged.push((from, to));
        taken.lost += u64::from(!whole);
    }

    fn read_from(&mut self, at: Position, end: Option<u64>) -> std::io::Result<Read> {
        let file = match self.open.take() {
            Some((number, file)) if number == at.segment => file,
            _ => match File::open(log::path_of(&self.path, at.segment)) {
                Ok(file) => file,
                // All of it may have been taken up.
                Err(error) if error.kind() == std::io::ErrorKind::NotFound && end.is_none() => {
                    return Ok(Read::Nothing);
                }
                Err(error) if error.kind() == std::io::ErrorKind::NotFound || log::is_damage(&error) => {
                    return Ok(Read::Damaged(None));
                }
                Err(error) => return Err(error),
            },
        };
        let read = log::read_from(&file, at, end, AT_ONCE);
        self.open = Some((at.segment, file));
        read
    }

    fn lost(&self, error: &std::io::Error) -> StoreError {
        StoreError::Other { path: self.path.clone(), detail: format!("its log cannot be read: {error}") }
    }

    fn write(&mut self, contents: &[Vec<u8>], to: Position) -> Result<(), RowError> {
        let unknown = || RowError::Content("a frame of its log holds what this sixgate does not know".into());
        let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        if self.copied {
            copy::forget(&transaction)?;
        }
        let mut added = self.added;
        // Taken apart twice, since the octets of that many take less room than they do.
        let mut leases = Vec::new();
        for content in contents {
            let (mut others, latest) = (Vec::new(), &mut self.latest);
            log::each(content, |(now, change), octets| {
                *latest = (*latest).max(now);
                match change {
                    Change::Lease(change) => leases.push((change.resource(), now, octets)),
                    other => others.push((now, other)),
                }
            })
            .ok_or_else(unknown)?;
            for (now, change) in &others {
                added += u64::from(history::record(&transaction, *now, change)?);
                rows::apply(&transaction, change)?;
            }
        }
        // Each resource's own changes stay in their order; side by side, resources that are near each other share pages.
        leases.sort_by_key(|(resource, ..)| *resource);
        for of_one in leases.chunk_by(|(resource, ..), (other, ..)| resource == other) {
            let mut changes = of_one.iter().map(|(_, now, octets)| Some((*now, log::change(octets)?)));
            let mut next = changes.next();
            while let Some(change) = next {
                let (now, change) = change.ok_or_else(unknown)?;
                next = changes.next();
                // What the next change says of the same holder is said once.
                let later = next.as_ref().and_then(|next| next.as_ref().map(|(_, change)| change));
                if !is_repeated(&change, later) {
                    added += u64::from(history::record(&transaction, now, &change)?);
                }
                if next.is_none() {
                    rows::apply(&transaction, &change)?;
                }
            }
        }
        if added >= PRUNE_EVERY && !contents.is_empty() {
            history::prune(&transaction, self.latest, &self.config)?;
            added = 0;
        }
        set(&transaction, to)?;
        transaction.commit()?;
        if std::mem::take(&mut self.copied) {
            copy::remove(&self.path);
        }
        self.added = added;
        Ok(())
    }

    /// Empties both logs, ours and SQLite's. A reader may be in the way.
    fn scrub(&mut self, at: Position, segment: u64) -> Result<bool, StoreError> {
        self.settle(at)?;
        // What is open is not gone.
        self.open = None;
        let _ = log::remove_before(&self.path, segment);
        // Not waited for: leases are next.
        let _ = self.connection.busy_timeout(Duration::ZERO);
        let busy =
            self.connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get::<_, i64>(0));
        let _ = self.connection.busy_timeout(database::BUSY);
        Ok(matches!(busy, Ok(0)))
    }
}

/// Whether the history would say the same of the holder again, at the next change.
fn is_repeated(change: &Change, next: Option<&Change>) -> bool {
    let (Change::Lease(LeaseChange::Put(lease)), Some(Change::Lease(LeaseChange::Put(next)))) =
        (change, next)
    else {
        return false;
    };
    (lease.state, lease.iaid, lease.granted_at) == (next.state, next.iaid, next.granted_at)
        && lease.identity() == next.identity()
        && lease.duid == next.duid
        // Another machine, or another line, is another holder.
        && (&lease.link_layer, &lease.line) == (&next.link_layer, &next.line)
}

/// How far the log is taken up. Before layout 5 there is no log.
pub(crate) fn taken_up(connection: &Connection) -> rusqlite::Result<Position> {
    if database::layout(connection)? < 5 {
        return Ok(Position::default());
    }
    connection.query_row("SELECT segment, offset FROM taken_up", [], |row| {
        Ok(Position {
            segment: row.get::<_, i64>(0)?.cast_unsigned(),
            offset: row.get::<_, i64>(1)?.cast_unsigned(),
        })
    })
}

/// Writes down how far the log is taken up.
fn set(connection: &Connection, at: Position) -> rusqlite::Result<()> {
    connection
        .prepare_cached("UPDATE taken_up SET segment = ?1, offset = ?2")?
        .execute(params![at.segment.cast_signed(), at.offset.cast_signed()])?;
    Ok(())
}

/// Makes durable all that the database has, which goes up to this place of the log, by a transaction that is synced and, as it
/// comes behind the others in SQLite's log, they with it. It has to write something for that: a row that is given the values
/// that it has changes no page, so this one is made again.
pub(crate) fn settle(connection: &Connection, at: Position) -> rusqlite::Result<()> {
    connection.pragma_update(None, "synchronous", "FULL")?;
    let again = || {
        let transaction = connection.unchecked_transaction()?;
        transaction.execute("DELETE FROM taken_up", [])?;
        let row = params![at.segment.cast_signed(), at.offset.cast_signed()];
        transaction.execute("INSERT INTO taken_up VALUES (?1, ?2)", row)?;
        transaction.commit()
    };
    let settled = again();
    connection.pragma_update(None, "synchronous", "NORMAL")?;
    settled
}

#[cfg(test)]
#[path = "behind_tests.rs"]
mod tests;
