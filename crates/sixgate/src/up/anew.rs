//! What the running server knows is written again from memory where the disk garbled a part of its log: that part is passed over,
//! and what stood there is lost to the disk, but not to us. Leases of both families and the pilot's roster come from their tables;
//! settings, removals and history the store remembers by itself, within limits.
//!
//! A file beside the database stands until that is done (`sixgate_store`). One that another process left tells that leases may be
//! missing that nobody knows any more: it is told of until a person removes it.

use super::engine::Engine;
use super::problems::Matter;
use sixgate_dhcp::lease::LeaseChange;
use sixgate_dhcp::v4::RosterChange;
use sixgate_store::Change;
use std::time::{Duration, Instant};

/// Leases in one submission: clients go on being served meanwhile.
const AT_ONCE: usize = 256;
/// How long a stop waits for what is garbled to be found, and for the store to take what is written again.
const PATIENCE: Duration = Duration::from_secs(5);
/// Times in a row that the database has to fail before somebody is told: a reader may be in its way for a moment.
const FAILING: u64 = 2;
/// When to try again what the store did not take.
const AGAIN: Duration = Duration::from_millis(100);

/// How far all is written again.
#[derive(Debug, Default)]
pub(crate) struct Anew {
    /// Parts that were garbled so far.
    damaged: u64,
    /// What is to be written next; none where nothing is.
    next: Option<Step>,
    /// What is on its way to the disk: its token, and what comes behind it.
    under_way: Option<(u64, Option<Step>)>,
    /// Not before this time: the store did not take it.
    again: Duration,
}

impl Anew {
    /// When to go on.
    pub(crate) fn due(&self) -> Option<Duration> {
        (self.next.is_some() && self.under_way.is_none()).then_some(self.again)
    }
}

#[derive(Debug, Clone, Copy)]
enum Step {
    /// The leases from this place in the table on.
    Leases(u32),
    /// The IPv4 leases from this place on.
    LeasesV4(u32),
    Roster,
    /// The word that all is written.
    Done,
}

impl Engine {
    /// Begins to write everything again where that is needed, and goes on with it.
    pub(crate) fn settle_log(&mut self) {
        let sixgate_store::Counters { damaged, behind_failing, .. } = self.store.counters();
        self.tell_of_database(behind_failing);
        if damaged > self.anew.damaged {
            let sentence = format!(
                "the disk garbled a part of the leases' log in {}, which was passed over: everything is written again from \
                 memory; see the kernel's log, and whether the disk still works",
                self.config.state.display()
            );
            tracing::error!("{sentence}");
            self.problems.put(Matter::Log, sentence);
            self.anew = Anew { damaged, next: Some(Step::Leases(0)), ..Anew::default() };
        }
        let now = self.now();
        if let (Some(step), Some(due)) = (self.anew.next, self.anew.due())
            && now >= due
        {
            self.anew.under_way = self.write_anew(step);
            self.anew.again = now + AGAIN;
        }
    }

    /// Leases go on being given meanwhile: they are on the disk, in the log. But the log grows, and is bounded.
    fn tell_of_database(&mut self, failing: u64) {
        let told = !self.problems.about(&Matter::Database).is_empty();
        if failing == 0 && told {
            tracing::info!("the database takes what is in the log again");
            self.problems.settled(&Matter::Database);
        } else if failing >= FAILING && !told {
            let sentence = format!(
                "{} takes nothing, though the log beside it does: leases are safe, `sixgate who` is not up to date, and after 1 GiB of \
                 log no more are given; see whether another program holds it, its disk is full, or the kernel tells of errors",
                self.config.state.join(super::DATABASE).display()
            );
            tracing::error!("{sentence}");
            self.problems.put(Matter::Database, sentence);
        }
    }

    /// Submits what is next; its token, and what comes behind it, where the store takes it.
    fn write_anew(&mut self, step: Step) -> Option<(u64, Option<Step>)> {
        let (changes, behind): (Vec<Change>, _) = match step {
            Step::Leases(from) => {
                let some: Vec<_> = self.server.leases().from(from).take(AT_ONCE).collect();
                let next = some.last().map(|(next, _)| Step::Leases(*next));
                let changes = some.into_iter().map(|(_, lease)| LeaseChange::Put(lease).into()).collect();
                (changes, next.unwrap_or(Step::LeasesV4(0)))
            }
            Step::LeasesV4(from) => {
                let (changes, next) = self.v4.leases_from(from, AT_ONCE);
                (changes, next.map_or(Step::Roster, Step::LeasesV4))
            }
            Step::Roster => {
                let roster = self.v4.server().roster().iter();
                let put = roster.map(|(place, member)| Change::Roster(RosterChange::Put { place, member }));
                (put.collect(), Step::Done)
            }
            Step::Done => {
                self.settings += 1;
                let token = super::engine::SETTING | self.settings;
                return self.store.written_anew(self.anew.damaged, token).then_some((token, None));
            }
        };
        if changes.is_empty() {
            return self.write_anew(behind);
        }
        self.set_all(changes).map(|token| (token, Some(behind)))
    }

    /// The store wrote a submission, or could not.
    pub(crate) fn written_anew(&mut self, token: u64, done: bool) {
        let Some((_, behind)) = self.anew.under_way.take_if(|(under_way, _)| *under_way == token) else {
            return;
        };
        if !done {
            return;
        }
        (self.anew.next, self.anew.again) = (behind, Duration::ZERO);
        // Where more was found meanwhile, it begins again.
        if behind.is_none() && self.store.counters().damaged == self.anew.damaged {
            tracing::info!(
                leases = self.server.leases().len() + self.v4.server().leases().len(),
                "all leases are written again"
            );
            self.tell_of_forgotten();
        }
    }

    /// What was neither in a table nor remembered stays as it was before.
    fn tell_of_forgotten(&mut self) {
        if self.store.counters().forgotten == 0 {
            self.problems.settled(&Matter::Log);
            return;
        }
        let sentence = format!(
            "all leases in {} are written again after the disk garbled a part of their log, but settings, reservations made by \
             command, history, and what was removed may be as they were before that part; look at them, then remove the \
             -damaged file there and restart",
            self.config.state.display()
        );
        tracing::error!("{sentence}");
        self.problems.put(Matter::Log, sentence);
    }

    /// Before a stop: what is garbled is found, and written again at once. Where that does not come about, the store says so.
    pub(crate) fn end_anew(&mut self) {
        self.store.catch_up(PATIENCE);
        self.settle_log();
        let began = Instant::now();
        loop {
            // They are written in their order, or not at all: nothing needs to be waited for.
            if let Some((_, behind)) = self.anew.under_way.take() {
                self.anew.next = behind;
            }
            let Some(step) = self.anew.next else { return };
            self.anew.under_way = self.write_anew(step);
            if self.anew.under_way.is_none() {
                if began.elapsed() > PATIENCE {
                    return;
                }
                std::thread::sleep(Duration::from_millis(10));
            }
        }
    }

    /// Tells of what an earlier process left behind, for as long as nobody has seen to it.
    pub(crate) fn tell_of_garbled_before(&mut self) {
        let Some(marker) = self.store.garbled_before() else {
            self.problems.settled(&Matter::LogBefore);
            return;
        };
        let sentence = format!(
            "the disk garbled a part of the leases' log under an earlier sixgate, which ended before all was written again: leases \
             that clients still hold may be missing until they renew, and their addresses may be given to others; see the kernel's \
             log, restore a copy of the database if you have one, then remove {}, which says so",
            marker.display()
        );
        if self.problems.about(&Matter::LogBefore).is_empty() {
            tracing::error!("{sentence}");
        }
        self.problems.put(Matter::LogBefore, sentence);
    }
}
