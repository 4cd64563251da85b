//! What random histories of either family's server have in common: a disk that is late, fails and may keep what failed, and
//! very many seeds.

use sixgate_dhcp::lease::Change;
use std::time::Duration;

/// Longest time from a message to its answer.
pub(crate) const LATENCY: Duration = Duration::from_secs(8);

/// A commit that the disk has not taken yet. Its answer was written when `links` stood.
pub(crate) struct Waiting<L, K, Link> {
    pub(crate) ticket: u64,
    pub(crate) changes: Vec<Change<L, K>>,
    asked_at: Duration,
    pub(crate) links: Vec<Link>,
}

/// What is on its way to the disk, which is a table of its own.
pub(crate) struct Store<L, K, Link> {
    pub(crate) waiting: Vec<Waiting<L, K, Link>>,
    /// What failed and was kept: it is written before anything else is.
    unwritten: Vec<Change<L, K>>,
    /// A failed commit may be on the disk, or come there.
    pub(crate) differs: bool,
    /// The store refuses nothing.
    pub(crate) good: bool,
}

impl<L: Clone, K: Clone, Link: Clone> Store<L, K, Link> {
    pub(crate) fn new() -> Self {
        Self { waiting: Vec::new(), unwritten: Vec::new(), differs: false, good: false }
    }

    /// Takes a commit in; not where the queue is full.
    pub(crate) fn accept(
        &mut self,
        rng: &mut fastrand::Rng,
        now: Duration,
        (ticket, changes): (u64, Vec<Change<L, K>>),
        links: &[Link],
    ) -> bool {
        let full = !self.good && rng.u8(0..20) == 0;
        if !full {
            self.waiting.push(Waiting { ticket, changes, asked_at: now, links: links.to_vec() });
        }
        !full
    }

    /// The first commits fail together; their tickets.
    pub(crate) fn fail(&mut self, rng: &mut fastrand::Rng, count: usize) -> Vec<u64> {
        let keeps = rng.bool();
        let failed: Vec<_> = self.waiting.drain(..count).collect();
        let tickets = failed.iter().map(|commit| commit.ticket).collect();
        if keeps && !failed.is_empty() {
            self.differs = true;
            self.unwritten.extend(failed.into_iter().flat_map(|commit| commit.changes));
        }
        tickets
    }

    /// One transaction: what was left, and the first commits that wait.
    pub(crate) fn write(&mut self, count: usize, mut apply: impl FnMut(Change<L, K>)) {
        let commits = self.waiting.iter().take(count).flat_map(|commit| &commit.changes).cloned();
        self.unwritten.drain(..).chain(commits).for_each(&mut apply);
    }

    /// The first commits, which are written.
    pub(crate) fn written(&mut self, count: usize) -> Vec<Waiting<L, K, Link>> {
        self.waiting.drain(..count).collect()
    }

    /// Whether a client would have given up on the first before then.
    pub(crate) fn is_late(&self, then: Duration) -> bool {
        self.waiting.first().is_some_and(|commit| then > commit.asked_at + LATENCY)
    }

    /// Nothing of it is known any more.
    pub(crate) fn crash(&mut self) {
        self.waiting.clear();
        self.unwritten.clear();
        self.differs = false;
    }
}

/// Names the seed if its history panics.
struct Seed(u64);

impl Drop for Seed {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("the history with seed {} broke", self.0);
        }
    }
}

/// Runs so many histories, on four threads; the sums of what each says has happened.
pub(crate) fn histories<const N: usize>(count: u64, history: impl Fn(u64) -> [u64; N] + Sync) -> [u64; N] {
    let run = |start| {
        let mut sums = [0; N];
        for seed in (start..count).step_by(4) {
            let _seed = Seed(seed);
            sums.iter_mut().zip(history(seed)).for_each(|(sum, happened)| *sum += happened);
        }
        sums
    };
    std::thread::scope(|scope| {
        let runs: Vec<_> = (0..4).map(|start| scope.spawn(move || run(start))).collect();
        runs.into_iter().map(|run| run.join().expect("a history broke")).fold([0; N], |mut sums, more| {
            sums.iter_mut().zip(more).for_each(|(sum, happened)| *sum += happened);
            sums
        })
    })
}
