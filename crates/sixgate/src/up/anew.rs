//! Leases are written again from memory where the disk garbled a part of their log while we run: it is passed over, and what stood
//! there is lost to the disk, but not to us.

use super::engine::Engine;
use super::problems::Matter;
use sixgate_dhcp::lease::LeaseChange;
use sixgate_store::Change;

/// Leases in one submission: clients go on being served meanwhile.
const AT_ONCE: usize = 256;

/// How far the leases are written again.
#[derive(Debug, Default)]
pub(crate) struct Anew {
    /// Parts that were garbled so far.
    damaged: u64,
    /// From which place in the table on they are still to be written.
    from: Option<u32>,
    /// What is on its way to the disk: its token, and the place behind it.
    under_way: Option<(u64, u32)>,
}

impl Engine {
    /// Begins to write the leases again where that is needed, and goes on with it.
    pub(crate) fn settle_log(&mut self) {
        let damaged = self.store.counters().damaged;
        if damaged > self.anew.damaged {
            let sentence = format!(
                "the disk garbled a part of the leases' log in {}, which was passed over: all leases are written again from \
                 memory; see the kernel's log, and whether the disk still works",
                self.config.state.display()
            );
            tracing::error!("{sentence}");
            self.problems.put(Matter::Log, sentence);
            self.anew = Anew { damaged, from: Some(0), under_way: None };
            self.write_v4_anew();
        }
        let (Some(from), None) = (self.anew.from, self.anew.under_way) else { return };
        let some: Vec<_> = self.server.leases().from(from).take(AT_ONCE).collect();
        let Some((next, _)) = some.last() else {
            tracing::info!(leases = self.server.leases().len(), "all leases are written again");
            self.problems.settled(&Matter::Log);
            self.anew.from = None;
            return;
        };
        let next = *next;
        let changes = some.into_iter().map(|(_, lease)| Change::Lease(LeaseChange::Put(lease))).collect();
        // Where the store takes no more now, it is tried again with what comes next.
        self.anew.under_way = self.set_all(changes).map(|token| (token, next));
    }

    /// The store wrote a submission, or could not.
    pub(crate) fn written_anew(&mut self, token: u64, done: bool) {
        if let Some((_, next)) = self.anew.under_way.take_if(|(under_way, _)| *under_way == token)
            && done
        {
            self.anew.from = Some(next);
        }
    }
}
