//! Threads that wait for the resolver.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

/// Questions that are asked at one time: `getaddrinfo` cannot be cancelled, so that those to a dead resolver
/// keep their threads for as long as it takes. Further ones wait for their turn.
const MAX_THREADS: usize = 32;

/// How long a thread without a question stays.
const IDLE: Duration = Duration::from_secs(10);

/// So many questions wait before those are looked for that nobody waits for any more.
const MANY: usize = 64;

struct Job {
    /// Gone once nobody waits for the answer.
    asker: Weak<()>,
    run: Box<dyn FnOnce() + Send>,
}

impl Job {
    fn is_wanted(&self) -> bool {
        self.asker.strong_count() > 0
    }
}

#[derive(Default)]
struct State {
    jobs: VecDeque<Job>,
    // How long `jobs` may grow before it is swept.
    sweep_at: usize,
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

    /// Hands a question to a thread, or lets it wait for one; it is dropped there when its asker is. So what
    /// waits is bounded by those who wait for it. `run` does not panic. `false` where the system has no
    /// thread to give.
    pub(super) fn submit(self: &Arc<Self>, asker: &Arc<()>, run: impl FnOnce() + Send + 'static) -> bool {
        let job = Job { asker: Arc::downgrade(asker), run: Box::new(run) };
        let mut state = self.lock();
        if state.idle <= state.jobs.len() && state.threads < MAX_THREADS {
            let workers = Arc::clone(self);
            let work = move || workers.work();
            let started = std::thread::Builder::new().name("resolve".to_owned()).spawn(work).is_ok();
            state.threads += usize::from(started);
            if state.threads == 0 {
                return false;
            }
        }
        if state.jobs.len() >= state.sweep_at.max(MANY) {
            state.jobs.retain(Job::is_wanted);
            state.sweep_at = 2 * state.jobs.len();
        }
        state.jobs.push_back(job);
        drop(state);
        self.wake.notify_one();
        true
    }

    fn work(&self) {
        while let Some(job) = self.next() {
            if job.is_wanted() {
                (job.run)();
            }
        }
    }

    /// The next question; `None` ends the thread, which is counted out already: under the lock, or a question
    /// that comes now would wait for it.
    fn next(&self) -> Option<Job> {
        let mut state = self.lock();
        state.idle += 1;
        let waited = self.wake.wait_timeout_while(state, IDLE, |state| state.jobs.is_empty());
        state = waited.unwrap_or_else(PoisonError::into_inner).0;
        state.idle -= 1;
        let job = state.jobs.pop_front();
        state.threads -= usize::from(job.is_none());
        job
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Barrier;

    #[test]
    fn what_nobody_waits_for_is_neither_asked_nor_kept() {
        let workers = Arc::new(Workers::default());
        let (asker, gone) = (Arc::new(()), Arc::new(()));
        let all_busy = Arc::new(Barrier::new(MAX_THREADS + 1));
        for _ in 0..MAX_THREADS {
            let all_busy = Arc::clone(&all_busy);
            assert!(workers.submit(&asker, move || {
                all_busy.wait();
                all_busy.wait();
            }));
        }
        all_busy.wait();
        drop(asker);
        let wanted = Arc::new(());
        let (tell, told) = std::sync::mpsc::channel();
        let submit = |asker: &Arc<()>, what: &'static str| {
            let tell = tell.clone();
            assert!(workers.submit(asker, move || tell.send(what).unwrap()));
        };
        submit(&wanted, "first");
        (0..50).for_each(|_| submit(&gone, "unwanted"));
        drop(gone);
        for _ in 0..10_000 {
            submit(&Arc::new(()), "unwanted");
        }
        submit(&wanted, "last");
        assert!(workers.lock().jobs.len() <= MANY + 1, "{}", workers.lock().jobs.len());
        assert_eq!(workers.lock().threads, MAX_THREADS);
        all_busy.wait();
        assert_eq!([told.recv(), told.recv()], [Ok("first"), Ok("last")]);
        assert!(told.try_recv().is_err());
    }
}
