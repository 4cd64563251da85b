//! What a translator writes down for others to keep: whose ports were whose. Its threads put it here and never wait.

use sixgate_xlat::Event;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};

/// Most events that wait; the rest is counted. A flood of new ports is no longer than a pool has blocks, again and again.
const MOST: usize = 16_384;

/// Says that something waits; whether it was heard.
type Wake = Box<dyn Fn() -> bool + Send + Sync>;

/// Events that wait to be taken, where somebody takes them.
#[derive(Default)]
pub(crate) struct Journal {
    events: Mutex<VecDeque<Event>>,
    lost: AtomicU64,
    /// Whether it was said that something waits.
    told: AtomicBool,
    wake: OnceLock<Wake>,
}

impl std::fmt::Debug for Journal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Journal").field("lost", &self.lost).finish_non_exhaustive()
    }
}

impl Journal {
    /// From now on events are kept, and `wake` is called when the first of them waits.
    pub(crate) fn open(&self, wake: Wake) {
        let _ = self.wake.set(wake);
    }

    /// Keeps an event, where that is asked.
    pub(super) fn write(&self, event: &Event) {
        let Some(wake) = self.wake.get() else { return };
        {
            let mut events = self.events.lock().unwrap_or_else(PoisonError::into_inner);
            if events.len() >= MOST {
                self.lost.fetch_add(1, Ordering::Relaxed);
            } else {
                events.push_back(event.clone());
            }
        }
        if !self.told.load(Ordering::Acquire) && wake() {
            self.told.store(true, Ordering::Release);
        }
    }

    /// Takes the first events, at most so many.
    pub(crate) fn take(&self, most: usize) -> Vec<Event> {
        // Before they are taken: what comes from here on is told anew.
        self.told.store(false, Ordering::Release);
        let mut events = self.events.lock().unwrap_or_else(PoisonError::into_inner);
        let count = events.len().min(most);
        events.drain(..count).collect()
    }

    /// Events that found no room.
    pub(crate) fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::time::Duration;

    fn event(first: u16) -> Event {
        Event::BlockAllocated {
            subscriber: "2001:db8::7/128".parse().expect("a prefix"),
            address: [192, 0, 2, 1].into(),
            ports: first..=first + 63,
            at: Duration::from_secs(1),
        }
    }

    #[test]
    fn it_is_told_once_and_keeps_so_many() {
        let journal = Journal::default();
        journal.write(&event(0));
        assert!(journal.take(9).is_empty(), "nobody takes them");
        let calls = Arc::new(AtomicU64::new(0));
        let called = Arc::clone(&calls);
        // The first call is not heard: it is tried again with the next event.
        journal.open(Box::new(move || called.fetch_add(1, Ordering::Relaxed) > 0));
        for _ in 0..MOST + 5 {
            journal.write(&event(1024));
        }
        assert_eq!((calls.load(Ordering::Relaxed), journal.lost()), (2, 5));
        assert_eq!(journal.take(10).len(), 10);
        journal.write(&event(1024));
        assert_eq!(calls.load(Ordering::Relaxed), 3);
        assert_eq!(journal.take(usize::MAX).len(), MOST - 9);
    }
}
