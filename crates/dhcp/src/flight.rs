//! Changes of leases that are on their way to the disk, as the servers of both families keep them.
//!
//! The table shows every change at once, so that the next message sees it. What a change replaced is kept here until the
//! disk has taken it: if it cannot, the table goes back to what the disk has. What is removed is nobody else's yet, since
//! the removal may still fail. For the same reason nobody is answered from the table about what a change on its way gives
//! them or takes from them ([`Flight::concerns`]): the answer would not be taken back with the change.
//!
//! A commit that failed may come to be on the disk nevertheless: a store may keep it and try again. So after a failure
//! nothing is given, extended or ended ([`Flight::held_up`]) until the disk has taken a commit of what the table holds
//! instead ([`Flight::mend`]).

use smallvec::SmallVec;
use std::collections::hash_map::Entry;
use std::collections::{BTreeSet, HashMap, VecDeque};
use std::fmt::Debug;
use std::hash::Hash;
use std::time::Duration;

/// A lease is kept from others for this long after its end: its client counts from when the answer reached it, which is
/// later than when it was written.
pub(crate) const GRACE: Duration = Duration::from_secs(10);
/// How long a server waits after a failed commit before it tries the disk again.
const RETRY: Duration = Duration::from_secs(1);
/// Most changes in a commit that no message asked for.
pub(crate) const AT_ONCE: usize = 256;

/// A change to make durable. Each stands alone: applying one twice does no harm.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change<L, K> {
    /// Keep this lease in place of what was kept for the same address or prefix.
    Put(L),
    /// Keep nothing for it.
    Remove(K),
}

/// A table of leases.
pub(crate) trait Table: Debug + Default {
    /// What is leased.
    type Key: Copy + Ord + Hash + Debug;
    /// It, and who holds it.
    type Lease: Clone + Debug;
    /// Whom a change concerns.
    type Holder: Clone + Eq + Hash + Debug;

    /// The lease of this.
    fn lease(&self, key: Self::Key) -> Option<Self::Lease>;
    /// Does what a change says.
    fn change(&mut self, change: ChangeOf<Self>);
    /// What a lease is of.
    fn key(lease: &Self::Lease) -> Self::Key;
    /// Who is not answered from the table while a change that gives or takes this lease is on its way.
    fn holder(lease: &Self::Lease) -> Option<Self::Holder>;
}

/// A change of such a table.
pub(crate) type ChangeOf<T> = Change<<T as Table>::Lease, <T as Table>::Key>;

/// What a commit is about.
pub(crate) type Keys<T> = SmallVec<[<T as Table>::Key; 2]>;

/// The change that leads to this.
fn change_to<T: Table>(key: T::Key, lease: Option<T::Lease>) -> ChangeOf<T> {
    lease.map_or(Change::Remove(key), Change::Put)
}

/// Why nothing can be given, extended or ended now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum HeldUp {
    /// A commit failed, and the disk has not taken since what stands in its place.
    Store,
    /// As many commits are under way as may be.
    Busy,
}

/// Changes on their way, and answers of the kind `R` that wait for them.
#[derive(Debug)]
pub(crate) struct Flight<T: Table, R> {
    /// Most commits under way.
    most: usize,
    last_ticket: u64,
    /// In the order of their tickets.
    commits: VecDeque<(u64, Commit<T, R>)>,
    versions: HashMap<T::Key, Versions<T>>,
    /// Leases that the table holds no longer and the disk may still.
    leaving: T,
    /// How many commits on their way give to each holder, or take from it.
    holders: HashMap<T::Holder, usize>,
    /// What failed commits were about: of these the disk may come to hold something else than the table.
    suspect: BTreeSet<T::Key>,
    /// The commit under way that brings the disk back to the table.
    mending: Option<u64>,
    /// No commit that no message asked for before this time.
    retry_at: Duration,
}

#[derive(Debug)]
struct Commit<T: Table, R> {
    keys: Keys<T>,
    /// Whom its changes concern, by what they make and by what they replace.
    holders: SmallVec<[T::Holder; 2]>,
    reply: Option<R>,
}

/// The states of one lease from the one on disk to the one in the table.
#[derive(Debug)]
struct Versions<T: Table> {
    durable: Option<T::Lease>,
    pending: SmallVec<[(u64, Option<T::Lease>); 1]>,
}

impl<T: Table> Versions<T> {
    fn latest(&self) -> Option<&T::Lease> {
        self.pending.last().map_or(self.durable.as_ref(), |(_, lease)| lease.as_ref())
    }

    /// The last lease on the way to the latest version.
    fn last_lease(&self) -> Option<&T::Lease> {
        self.pending.iter().rev().find_map(|(_, lease)| lease.as_ref()).or(self.durable.as_ref())
    }

    /// Brings the table, and what is leaving it, to the latest version.
    fn show(&self, key: T::Key, table: &mut T, leaving: &mut T) {
        let latest = self.latest().cloned();
        let gone = if latest.is_some() { None } else { self.last_lease().cloned() };
        table.change(change_to::<T>(key, latest));
        leaving.change(change_to::<T>(key, gone));
    }
}

/// Where the commit with this ticket is, or would be.
fn place_of<C>(commits: &VecDeque<(u64, C)>, ticket: u64) -> Result<usize, usize> {
    commits.binary_search_by_key(&ticket, |(ticket, _)| *ticket)
}

impl<T: Table, R> Flight<T, R> {
    /// Nothing on its way, and never more commits than this.
    pub(crate) fn new(most: usize) -> Self {
        Self {
            most,
            last_ticket: 0,
            commits: VecDeque::new(),
            versions: HashMap::new(),
            leaving: T::default(),
            holders: HashMap::new(),
            suspect: BTreeSet::new(),
            mending: None,
            retry_at: Duration::ZERO,
        }
    }

    /// A ticket for the next commit.
    pub(crate) fn ticket(&mut self) -> u64 {
        self.last_ticket = self.last_ticket.saturating_add(1);
        self.last_ticket
    }

    /// Whether a change of this is on its way.
    pub(crate) fn is_about(&self, key: T::Key) -> bool {
        self.versions.contains_key(&key)
    }

    /// Whether a change on its way gives something to this holder or takes something from it.
    pub(crate) fn concerns(&self, holder: &T::Holder) -> bool {
        self.holders.contains_key(holder)
    }

    /// Whether anything can be given, extended or ended now.
    pub(crate) fn held_up(&self) -> Result<(), HeldUp> {
        if !self.suspect.is_empty() {
            Err(HeldUp::Store)
        } else if self.commits.len() >= self.most {
            Err(HeldUp::Busy)
        } else {
            Ok(())
        }
    }

    /// The disk may hold something else of this than the table.
    pub(crate) fn suspect(&mut self, key: T::Key) {
        self.suspect.insert(key);
    }

    /// Does a change in the table and remembers what it replaced.
    pub(crate) fn stage(&mut self, ticket: u64, change: ChangeOf<T>, table: &mut T) {
        let (key, lease) = match change {
            Change::Put(lease) => (T::key(&lease), Some(lease)),
            Change::Remove(key) => (key, None),
        };
        let versions = self
            .versions
            .entry(key)
            .or_insert_with(|| Versions { durable: table.lease(key), pending: SmallVec::new() });
        let at = place_of(&self.commits, ticket).unwrap_or_else(|at| {
            let nothing = Commit { keys: SmallVec::new(), holders: SmallVec::new(), reply: None };
            self.commits.insert(at, (ticket, nothing));
            at
        });
        let Some((_, commit)) = self.commits.get_mut(at) else { return };
        // Changes that are on their way already may fail before this one: then it replaces what is behind them.
        let replaced =
            versions.pending.iter().filter_map(|(_, lease)| lease.as_ref()).chain(&versions.durable);
        for holder in replaced.chain(&lease).filter_map(T::holder) {
            if !commit.holders.contains(&holder) {
                *self.holders.entry(holder.clone()).or_default() += 1;
                commit.holders.push(holder);
            }
        }
        match versions.pending.last_mut() {
            Some((last, pending)) if *last == ticket => *pending = lease,
            _ => {
                versions.pending.push((ticket, lease));
                commit.keys.push(key);
            }
        }
        versions.show(key, table, &mut self.leaving);
    }

    /// What a commit that was staged is to make durable: one change for each lease.
    pub(crate) fn changes(&self, ticket: u64) -> Vec<ChangeOf<T>> {
        let commit = place_of(&self.commits, ticket).ok().and_then(|at| self.commits.get(at));
        let keys = commit.into_iter().flat_map(|(_, commit)| &commit.keys);
        let change = |&key: &T::Key| {
            let pending = &self.versions.get(&key)?.pending;
            let (_, lease) = pending.iter().find(|(pending, _)| *pending == ticket)?;
            Some(change_to::<T>(key, lease.clone()))
        };
        keys.filter_map(change).collect()
    }

    /// Keeps the answer that waits for a commit that was staged.
    pub(crate) fn hold(&mut self, ticket: u64, reply: R) {
        let at = place_of(&self.commits, ticket).ok();
        if let Some((_, commit)) = at.and_then(|at| self.commits.get_mut(at)) {
            commit.reply = Some(reply);
        }
    }

    /// Takes a commit back that nobody was asked for yet. `over` hears of each lease that it would have made.
    pub(crate) fn forget(&mut self, ticket: u64, table: &mut T, over: impl FnMut(T::Lease)) {
        self.settle(ticket, false, table, over);
    }

    /// The commit is durable: what it was about, and the answer that waited for it. `over` hears of each lease that it
    /// replaced or removed.
    pub(crate) fn committed(
        &mut self,
        ticket: u64,
        table: &mut T,
        over: impl FnMut(T::Lease),
    ) -> Option<(Keys<T>, Option<R>)> {
        let commit = self.settle(ticket, true, table, over)?;
        if self.mending == Some(ticket) {
            self.mending = None;
            self.suspect.retain(|key| !commit.keys.contains(key));
        }
        Some((commit.keys, commit.reply))
    }

    /// The commit did not happen: the table goes back to what was before, and the disk is doubted. Whether there was one.
    /// `over` hears of each lease that it would have made.
    pub(crate) fn failed(
        &mut self,
        now: Duration,
        ticket: u64,
        table: &mut T,
        over: impl FnMut(T::Lease),
    ) -> bool {
        let Some(commit) = self.settle(ticket, false, table, over) else { return false };
        self.suspect.extend(commit.keys);
        self.mending = self.mending.filter(|mending| *mending != ticket);
        self.retry_at = now.saturating_add(RETRY);
        true
    }

    /// Stages what the table holds in place of what failed, as a commit. It waits until every other commit has come back: one
    /// more may fail, and none is begun meanwhile.
    pub(crate) fn mend(&mut self, now: Duration, table: &mut T) -> Option<u64> {
        if self.suspect.is_empty() || now < self.retry_at || !self.commits.is_empty() {
            return None;
        }
        let ticket = self.ticket();
        for key in self.suspect.iter().copied().take(AT_ONCE).collect::<Vec<_>>() {
            self.stage(ticket, change_to::<T>(key, table.lease(key)), table);
        }
        self.mending = Some(ticket);
        Some(ticket)
    }

    /// When there is something to mend or a lease to end, given the first end of a lease.
    pub(crate) fn due(&self, first_end: impl FnOnce() -> Option<Duration>) -> Option<Duration> {
        match self.held_up() {
            Err(HeldUp::Store) => self.commits.is_empty().then_some(self.retry_at),
            Err(HeldUp::Busy) => None,
            Ok(()) => first_end()
                .filter(|end| *end != Duration::MAX)
                .map(|end| end.saturating_add(GRACE).max(self.retry_at)),
        }
    }

    /// Leases that ended before this may be removed now; `None` where none may.
    pub(crate) fn over(&self, now: Duration) -> Option<Duration> {
        let may = now >= self.retry_at && self.held_up().is_ok();
        now.checked_sub(GRACE).filter(|_| may)
    }

    /// The lease that the disk has.
    pub(crate) fn durable(&self, key: T::Key, table: &T) -> Option<T::Lease> {
        match self.versions.get(&key) {
            Some(versions) => versions.durable.clone(),
            None => table.lease(key),
        }
    }

    /// Leases that the table holds no longer and the disk may still.
    pub(crate) fn leaving(&self) -> &T {
        &self.leaving
    }

    fn settle(
        &mut self,
        ticket: u64,
        durable: bool,
        table: &mut T,
        mut over: impl FnMut(T::Lease),
    ) -> Option<Commit<T, R>> {
        let at = place_of(&self.commits, ticket).ok()?;
        let (_, mut commit) = self.commits.remove(at)?;
        for holder in std::mem::take(&mut commit.holders) {
            if let Entry::Occupied(mut count) = self.holders.entry(holder) {
                *count.get_mut() -= 1;
                if *count.get() == 0 {
                    count.remove();
                }
            }
        }
        for &key in &commit.keys {
            let Entry::Occupied(mut entry) = self.versions.entry(key) else { continue };
            let versions = entry.get_mut();
            let Some(at) = versions.pending.iter().position(|(pending, _)| *pending == ticket) else {
                continue;
            };
            let (_, lease) = versions.pending.remove(at);
            let gone = if durable { std::mem::replace(&mut versions.durable, lease) } else { lease };
            // What is durable now and was the latest before is in the table as it is.
            let latest_before = durable && (at < versions.pending.len() || versions.pending.is_empty());
            if !latest_before || versions.latest().is_none() {
                versions.show(key, table, &mut self.leaving);
            }
            if versions.pending.is_empty() {
                entry.remove();
            }
            gone.into_iter().for_each(&mut over);
        }
        Some(commit)
    }
}
