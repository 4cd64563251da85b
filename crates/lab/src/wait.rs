use std::thread;
use std::time::{Duration, Instant};

use crate::Error;

/// Waits until `condition` holds, looking every few milliseconds.
///
/// # Errors
/// [`Error::Timeout`] that tells `what` was awaited.
pub fn wait_for(what: &str, timeout: Duration, mut condition: impl FnMut() -> bool) -> Result<(), Error> {
    wait_some(what, timeout, || condition().then_some(()), String::new)
}

/// Waits until `look` finds something and hands it back; `state` describes things for the error.
///
/// # Errors
/// [`Error::Timeout`] that tells `what` was awaited, and the state.
pub fn wait_some<T>(
    what: &str,
    timeout: Duration,
    mut look: impl FnMut() -> Option<T>,
    state: impl FnOnce() -> String,
) -> Result<T, Error> {
    let begin = Instant::now();
    let mut pause = Duration::from_millis(1);
    loop {
        // The time is taken first: the last look is never before the deadline.
        let late = begin.elapsed() >= timeout;
        if let Some(found) = look() {
            return Ok(found);
        }
        if late {
            return Err(Error::Timeout { what: what.to_owned(), waited: timeout, state: state() });
        }
        thread::sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(20));
    }
}
