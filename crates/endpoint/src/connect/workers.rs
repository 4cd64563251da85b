//! Threads that wait for the resolver.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Questions that may be unanswered at one time: `getaddrinfo` cannot be cancelled, so that those of a dead
/// resolver stay for as long as it takes.
pub(super) const MAX_OUTSTANDING: usize = 32;

/// How long a thread without a question stays.
const IDLE: Duration = Duration::from_secs(10);

type Job = Box<dyn FnOnce() + Send>;

#[derive(Default)]
struct State {
    jobs: VecDeque<Job>,
    idle: usize,
    threads: usize,
}

/// A few threads, started when needed and gone when idle.
#[derive(Default)]
pub(super) struct Workers {
    state: Mutex<State>,
    wake: Condvar,
}

impl Workers {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Hands a question to a thread; `false` where too many wait already, or the system has no thread to
    /// give.
    pub(super) fn submit(self: &Arc<Self>, job: Job) -> bool {
        let mut state = self.lock();
        if state.idle > state.jobs.len() {
            state.jobs.push_back(job);
            self.wake.notify_one();
            return true;
        }
        if state.threads >= MAX_OUTSTANDING {
            return false;
        }
        let workers = Arc::clone(self);
        let run = move || workers.work(job);
        let thread = std::thread::Builder::new().name("resolve".to_owned()).spawn(run);
        state.threads += usize::from(thread.is_ok());
        thread.is_ok()
    }

    fn work(&self, first: Job) {
        // Counts the thread out even where a resolver of the program's own panics.
        struct Gone<'a>(&'a Workers);
        impl Drop for Gone<'_> {
            fn drop(&mut self) {
                self.0.lock().threads -= 1;
            }
        }
        let _gone = Gone(self);
        let mut job = first;
        loop {
            job();
            let mut state = self.lock();
            state.idle += 1;
            let waited = self.wake.wait_timeout_while(state, IDLE, |state| state.jobs.is_empty());
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
            state.idle -= 1;
            match state.jobs.pop_front() {
                Some(next) => job = next,
                None => return,
            }
        }
    }
}
