//! The thread that carries frames between the two TAP devices of an impaired link.

use std::io::{self, PipeReader, PipeWriter};
use std::os::fd::AsFd as _;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::time::TimeSpec;
use sixgate_linux::tap::Tap;

use crate::emulate::{Counters, Emulator, Impairment};

/// Frames taken from a device before others get their turn.
const BATCH: usize = 64;

#[derive(Debug, Default)]
pub(crate) struct Shared {
    pub(crate) cut: AtomicBool,
    pub(crate) counters: Mutex<[Counters; 2]>,
}

/// A running link; dropping it ends the thread and removes both interfaces.
#[derive(Debug)]
pub(crate) struct Pump {
    stop: Option<PipeWriter>,
    thread: Option<JoinHandle<()>>,
    pub(crate) shared: Arc<Shared>,
}

impl Pump {
    /// Carries frames: `impairments[0]` is applied from the first device to the second.
    pub(crate) fn start(taps: [Tap; 2], impairments: [Impairment; 2], seed: u64) -> io::Result<Self> {
        let (ended, stop) = io::pipe()?;
        let shared = Arc::new(Shared::default());
        let [there, back] = impairments;
        let lines = [Emulator::new(there, seed), Emulator::new(back, seed.wrapping_add(1))];
        let seen = Arc::clone(&shared);
        let thread = thread::Builder::new().name("link".to_owned()).spawn(move || {
            // A cable does not wait for its turn either: what it were late would be taken for a delay of what is tested.
            sixgate_linux::priority::raise();
            carry(&taps, lines, &ended, &seen);
        })?;
        Ok(Self { stop: Some(stop), thread: Some(thread), shared })
    }
}

impl Drop for Pump {
    fn drop(&mut self) {
        self.stop = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn carry(taps: &[Tap; 2], mut lines: [Emulator; 2], ended: &PipeReader, shared: &Shared) {
    let begin = Instant::now();
    let mut frame = vec![0; 65_536];
    loop {
        let [first, second] = taps;
        for (line, from, to) in [(0, first, second), (1, second, first)] {
            let Some(line) = lines.get_mut(line) else { continue };
            for _ in 0..BATCH {
                match from.receive(&mut frame) {
                    Ok(length) if !shared.cut.load(Ordering::Relaxed) => {
                        line.push(begin.elapsed(), frame.get(..length).unwrap_or_default().to_vec());
                    }
                    Ok(_) => {}
                    Err(_) => break,
                }
            }
            while let Some(frame) = line.pop(begin.elapsed()) {
                // An interface that is down takes none, like a cable that leads nowhere.
                let _ = to.send(&frame);
            }
        }
        if let Ok(mut counters) = shared.counters.lock().map_err(PoisonError::into_inner) {
            *counters = lines.each_ref().map(Emulator::counters);
        }
        let due = lines.iter().filter_map(Emulator::next_due).min();
        let patience = due.map(|due| TimeSpec::from(due.saturating_sub(begin.elapsed()).min(HOUR)));
        let mut fds = [
            PollFd::new(first.as_fd(), PollFlags::POLLIN),
            PollFd::new(second.as_fd(), PollFlags::POLLIN),
            PollFd::new(ended.as_fd(), PollFlags::POLLIN),
        ];
        if ppoll(&mut fds, patience, None).is_err() {
            continue;
        }
        let [first, second, ended] = fds.map(|fd| fd.revents().unwrap_or(PollFlags::empty()));
        if !ended.is_empty() {
            return;
        }
        // A device whose namespace has ended reports an error for ever.
        if (first | second).intersects(PollFlags::POLLERR) && !(first | second).contains(PollFlags::POLLIN) {
            thread::sleep(Duration::from_millis(1));
        }
    }
}

const HOUR: Duration = Duration::from_hours(1);
