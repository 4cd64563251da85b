//! Threads that must run when they are due: what waits in a queue of ours waits for our thread.

#![allow(unsafe_code, reason = "sched_setscheduler and setpriority")]

use crate::sandbox::{self, Capabilities, Capability};
use std::fmt;

/// How soon the kernel runs a thread that has become ready.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Urgency {
    /// As any other: on a busy machine after others' turns, milliseconds later.
    #[default]
    Usual,
    /// As any other, with the most weight (nice -20).
    Raised,
    /// At once (`SCHED_FIFO`), before all that is not. The kernel keeps a twentieth of each processor for the others, whatever such a
    /// thread does (`sched_rt_runtime_us`, and since Linux 6.12 the fair server).
    RealTime,
}

impl fmt::Display for Urgency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Usual => "usual",
            Self::Raised => "raised",
            Self::RealTime => "real-time",
        })
    }
}

/// Makes the calling thread as urgent as it may be (`CAP_SYS_NICE`, or what its limits allow), and says how much that is. Threads
/// that it starts from then on are as urgent.
pub fn raise() -> Urgency {
    /// The lowest: it only has to come before what has none.
    const LOWEST: libc::c_int = 1;
    /// `nice(2)`.
    const MOST: libc::c_int = -20;
    // SAFETY: `sched_param` is plain numbers, for which zeros are valid; it has more of them with some C libraries.
    let mut parameters: libc::sched_param = unsafe { std::mem::zeroed() };
    parameters.sched_priority = LOWEST;
    // The call itself, as one C library refuses its wrapper; thread 0 is the calling one.
    // SAFETY: the kernel reads the parameters, which are alive, and keeps nothing of them.
    let set =
        unsafe { libc::syscall(libc::SYS_sched_setscheduler, 0, libc::SCHED_FIFO, (&raw const parameters)) };
    if set == 0 {
        return Urgency::RealTime;
    }
    // SAFETY: no pointers are involved; on Linux it is about the calling thread alone.
    if unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, MOST) } == 0 {
        return Urgency::Raised;
    }
    Urgency::Usual
}

/// Makes the calling thread less urgent than the usual ones (nice 10): it has what they leave. Threads and programs that it starts from
/// then on are so too, and cannot change it.
pub fn lower() {
    /// `nice(2)`; with 19, a busy machine would let it wait for seconds.
    const LESS: libc::c_int = 10;
    // SAFETY: no pointers are involved; on Linux it is about the calling thread alone. Everybody may be less urgent.
    let _ = unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, LESS) };
}

/// Runs `f` as [`sandbox::confined`] does, on a thread that is as urgent as it may be; so are those that it starts.
///
/// # Errors
/// As [`sandbox::confined`].
pub fn confined<T: Send>(
    kept: Capabilities,
    f: impl FnOnce(Urgency) -> T + Send,
) -> Result<T, sandbox::Error> {
    sandbox::confined(kept.with(Capability::SysNice), || {
        let urgency = raise();
        sandbox::keep(kept)?;
        Ok(f(urgency))
    })?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_is_so_and_without_a_right_nothing_is_changed() {
        let policy = |urgency: Urgency| {
            // SAFETY: no pointers are involved.
            let policy = unsafe { libc::sched_getscheduler(0) };
            assert_eq!(policy == libc::SCHED_FIFO, urgency == Urgency::RealTime, "{urgency}");
        };
        // A thread of its own: what it becomes ends with it.
        std::thread::spawn(move || policy(raise())).join().unwrap();
        let refused = sandbox::confined(Capabilities::NONE, || {
            let urgency = raise();
            policy(urgency);
            urgency
        });
        // Limits (RLIMIT_RTPRIO, RLIMIT_NICE) may allow it without the capability; nobody sets them here.
        assert_eq!(refused.unwrap(), Urgency::Usual);
    }
}
