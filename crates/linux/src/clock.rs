//! The steady clock: time since the Unix epoch that never runs backwards while the process lives.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use nix::sys::timerfd::{ClockId as TimerClock, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags};
use nix::time::{ClockId, clock_gettime};

/// Wall time at the start of the run, plus what `CLOCK_BOOTTIME` has counted since.
///
/// A step of the wall clock (NTP, a person) does not move it, and time spent suspended counts: a lease that
/// ran out while the machine slept is out when it wakes.
#[derive(Debug, Clone)]
pub struct Clock {
    epoch: Duration,
    started: Duration,
}

impl Clock {
    /// Reads both clocks once.
    pub fn new() -> Self {
        Self {
            // A wall clock before 1970 is a clock that was never set: start at zero.
            epoch: SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default(),
            started: boot_time(),
        }
    }

    /// The wall clock as it is now, which may have been set since the start.
    pub fn wall(&self) -> Duration {
        SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
    }

    /// Steady time since the Unix epoch.
    pub fn now(&self) -> Duration {
        self.epoch.saturating_add(boot_time().saturating_sub(self.started))
    }
}

/// Whether the kernel was told, by an NTP client, that its clock is right (`STA_UNSYNC` of adjtimex(2)). A hint: such a
/// client may have gone since, and where there is none, the clock may be right all the same.
#[allow(unsafe_code, reason = "adjtimex")]
pub fn is_synchronised() -> bool {
    // SAFETY: timex is plain numbers, for which zeros are valid.
    let mut state: libc::timex = unsafe { std::mem::zeroed() };
    // SAFETY: with `modes` zero the kernel changes nothing, and writes to the one value that it is given.
    let answer = unsafe { libc::adjtimex(&raw mut state) };
    answer >= 0 && answer != libc::TIME_ERROR && state.status & libc::STA_UNSYNC == 0
}

/// A descriptor that becomes readable when a time has passed, to the microsecond (timerfd_create(2)): what waits with epoll alone
/// counts milliseconds.
#[derive(Debug)]
pub struct Timer(TimerFd);

impl Timer {
    /// One that runs for nothing yet.
    ///
    /// # Errors
    /// When the process has as many descriptors as it may.
    pub fn new() -> io::Result<Self> {
        let flags = TimerFlags::TFD_NONBLOCK | TimerFlags::TFD_CLOEXEC;
        Ok(Self(TimerFd::new(TimerClock::CLOCK_MONOTONIC, flags)?))
    }

    /// Becomes readable after `wait` from now, once, and not for what was set before.
    ///
    /// # Errors
    /// What the system says.
    pub fn set(&self, wait: Duration) -> io::Result<()> {
        // No time at all would stop it.
        let wait = wait.max(Duration::from_nanos(1));
        Ok(self.0.set(Expiration::OneShot(wait.into()), TimerSetTimeFlags::empty())?)
    }

    /// Takes the mark away that the time is over.
    ///
    /// # Errors
    /// `WouldBlock` when it is not.
    pub fn take(&self) -> io::Result<()> {
        Ok(self.0.wait()?)
    }
}

impl AsFd for Timer {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl AsRawFd for Timer {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_fd().as_raw_fd()
    }
}

impl Default for Clock {
    fn default() -> Self {
        Self::new()
    }
}

/// Time since boot, suspend included. The kernel cannot fail to know it (Linux 2.6.39 and later); where a
/// sandbox refuses even this, time stands still rather than jumps.
fn boot_time() -> Duration {
    clock_gettime(ClockId::CLOCK_BOOTTIME).map_or(Duration::ZERO, Duration::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_knows_whether_it_was_told() {
        // Whatever it is here, it can be asked by anybody, and says the same twice.
        assert_eq!(is_synchronised(), is_synchronised());
    }

    #[test]
    fn starts_at_the_wall_clock_and_advances() {
        let before = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        let clock = Clock::new();
        let first = clock.now();
        assert!(first >= before && first < before + Duration::from_mins(1));
        let mut last = first;
        while last == first {
            let next = clock.now();
            assert!(next >= last);
            last = next;
        }
    }
}
