//! What a daemon gives up once it has what it needs: capabilities, new privileges, and the system calls that it never makes.
//!
//! Capabilities belong to threads, and a thread hands its own on to those it starts. So a daemon says twice what it keeps:
//! [`keep`] before it starts any thread, with all that starting takes, and again when everything is open; threads that are
//! started in between are started by [`confined`] with less. A [`Filter`] holds for all threads at once, and goes last.
//! [`verify`] then asks the kernel about every thread.
//!
//! ```no_run
//! use sixgate_linux::sandbox::{self, Capabilities, Capability, Filter};
//!
//! # fn open() {}
//! # fn main() -> Result<(), sandbox::Error> {
//! sandbox::keep([Capability::NetAdmin, Capability::NetBindService].into())?;
//! open();
//! let running = Capabilities::from([Capability::NetAdmin]);
//! sandbox::keep(running)?;
//! Filter::new().apply()?;
//! sandbox::verify(running)?;
//! # Ok(())
//! # }
//! ```

#![allow(unsafe_code, reason = "capget, capset and prctl")]

mod calls;
mod capability;
mod filter;

use std::time::{Duration, Instant};
use std::{fs, io, thread};

pub use capability::{Capabilities, Capability, keep};
pub use filter::{Filter, Refusal, refuse_family, supported};

/// Why less than wished was given up.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The kernel has no seccomp filters.
    #[error("this kernel has no seccomp filters (CONFIG_SECCOMP_FILTER): system calls cannot be restricted")]
    Unsupported,
    /// A call that gives up capabilities failed.
    #[error("cannot {action}: {source}")]
    Capabilities {
        /// What was tried.
        action: &'static str,
        /// The kernel's answer.
        source: io::Error,
    },
    /// The filter could not be made or put in place.
    #[error("cannot restrict system calls: {0}; does another sandbox forbid seccomp here?")]
    Filter(#[source] seccompiler::Error),
    /// No thread could be started.
    #[error("cannot start a thread: {0}")]
    Thread(#[source] io::Error),
    /// The kernel says that a thread may do more than it should.
    #[error("thread {thread} is not confined: {detail}")]
    Unconfined {
        /// Number of the thread.
        thread: String,
        /// What it still has.
        detail: String,
    },
}

/// Runs `f` on a thread of its own that keeps no capabilities but `kept`. Threads that `f` starts keep no more either.
///
/// # Errors
/// When the thread cannot be started or its capabilities cannot be given up; `f` has not run then.
pub fn confined<T: Send>(kept: Capabilities, f: impl FnOnce() -> T + Send) -> Result<T, Error> {
    thread::scope(|scope| {
        let body = || keep(kept).map(|_| f());
        let thread = thread::Builder::new().spawn_scoped(scope, body).map_err(Error::Thread)?;
        thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

/// How long a thread that ends may be seen without a filter.
const LEAVING: Duration = Duration::from_secs(1);

/// Asks the kernel about every thread of this process: none may have capabilities beyond `kept`, gain new ones, or be
/// without a filter.
///
/// # Errors
/// [`Error::Unconfined`] names the first thread of which that is not true.
pub fn verify(kept: Capabilities) -> Result<(), Error> {
    let began = Instant::now();
    loop {
        match unconfined(kept) {
            // A thread that has been joined may still be on its way out of the kernel, which gives it no filter any more.
            Err(Error::Unconfined { .. }) if began.elapsed() < LEAVING => {
                thread::sleep(Duration::from_millis(1));
            }
            result => return result,
        }
    }
}

/// The first thread that may do too much.
fn unconfined(kept: Capabilities) -> Result<(), Error> {
    let read = |source| Error::Capabilities { action: "read /proc/self/task", source };
    for entry in fs::read_dir("/proc/self/task").map_err(read)? {
        let entry = entry.map_err(read)?;
        let status = match fs::read_to_string(entry.path().join("status")) {
            Ok(status) => status,
            // It ended since; what is not there has no capabilities.
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) if error.raw_os_error() == Some(libc::ESRCH) => continue,
            Err(error) => return Err(read(error)),
        };
        if let Some(detail) = excess(&status, kept) {
            return Err(Error::Unconfined {
                thread: entry.file_name().to_string_lossy().into_owned(),
                detail,
            });
        }
    }
    Ok(())
}

/// What a thread may do too much, by its `status` (proc_pid_status(5)).
fn excess(status: &str, kept: Capabilities) -> Option<String> {
    let field = |name: &str| {
        status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).map_or("", str::trim)
    };
    for name in ["CapEff", "CapPrm", "CapInh", "CapAmb"] {
        let Ok(bits) = u64::from_str_radix(field(name), 16) else {
            return Some(format!("its {name} cannot be read"));
        };
        let beyond = Capabilities::from_bits(bits & !kept.bits());
        if !beyond.is_empty() {
            return Some(format!("{name} has {beyond}"));
        }
    }
    if field("NoNewPrivs") != "1" {
        return Some("it may gain privileges by executing a program".into());
    }
    // 2: SECCOMP_MODE_FILTER.
    (field("Seccomp") != "2").then(|| "it may make any system call".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn excess_is_named() {
        let status = "Name:\tx\nCapInh:\t0000000000000000\nCapPrm:\t0000000000003000\nCapEff:\t0000000000003000\n\
                      CapBnd:\t0000000000000000\nCapAmb:\t0000000000000000\nNoNewPrivs:\t1\nSeccomp:\t2\n\
                      Seccomp_filters:\t3\n";
        let [admin, raw] = [Capability::NetAdmin, Capability::NetRaw];
        assert_eq!(excess(status, [admin, raw].into()), None);
        assert_eq!(excess(status, [admin].into()).unwrap(), "CapEff has net_raw");
        let open = status.replace("Seccomp:\t2", "Seccomp:\t0");
        assert_eq!(excess(&open, [admin, raw].into()).unwrap(), "it may make any system call");
        let gaining = status.replace("NoNewPrivs:\t1", "NoNewPrivs:\t0");
        assert!(excess(&gaining, [admin, raw].into()).unwrap().contains("gain"));
        assert!(excess("", Capabilities::NONE).is_some());
    }
}
