//! What a program asks the kernel for: the system calls by which it uses the network, with arguments and results.
//!
//! It works for every program, statically linked ones and their children included, because it looks at the border
//! between program and kernel (ptrace(2)) and not at a library. A system call filter picks the few calls of interest, so
//! that all others run at full speed: `accept`, `read`, `write` and `epoll_wait` of a busy server are never stopped. Where
//! datagrams are sent to is seen for the first 64 of a socket's, by the thread that made it and those it starts; until then, these are
//! stopped at every call, and later at none.
//!
//! ```no_run
//! use sixgate_linux::namespace::Namespace;
//! use sixgate_linux::process::{Command, Log};
//! use sixgate_linux::trace::{Event, Options, Traced};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let namespace = Namespace::new("box")?;
//! let command = Command::new("curl").arg("http://[::1]/");
//! let mut traced = Traced::start(&namespace, &command, &Options::default(), &Log::new())?;
//! while let Some(Event::Called(call)) = traced.next(None) {
//!     println!("{} {}", call.action, call.outcome);
//! }
//! # Ok(())
//! # }
//! ```
//!
//! What it cannot see: programs of another word size (a 32-bit program on a 64-bit machine is ended by the filter), and
//! sockets that are used through io_uring, which is refused with `ENOSYS`, so that programs fall back to system calls. As
//! with every filter, programs with the set-user-ID bit run as who executes them.

#![allow(unsafe_code, reason = "ptrace, and what happens between fork and exec")]

mod begin;
mod call;
mod memory;
mod place;
mod ptrace;
mod sends;
mod tracer;

pub use call::{Action, Call, Outcome, SocketName};
pub use place::Place;

use crate::namespace::Namespace;
use crate::process::{self, Command, Log};
use nix::sys::signal::Signal;
use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::process::ExitStatus;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tracer::Living;

/// Events that wait to be taken, at most; a program that makes more waits for us.
const WAITING: usize = 4096;

/// How a program is traced.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Options {
    /// An address family whose sockets the program cannot have: `socket` fails with `EAFNOSUPPORT`, as on a kernel without
    /// it. The attempt is told like any other call.
    pub refused_family: Option<i32>,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A system call returned, or was under way when its thread ended.
    Called(Call),
    /// A process of the program's began to execute this file.
    Executed {
        /// The process.
        process: i32,
        /// The file, as the kernel knows it.
        file: String,
    },
    /// A process was stopped by a signal of job control (`SIGSTOP`, `SIGTSTP`, `SIGTTIN`, `SIGTTOU`), or goes on: `None`.
    Suspended {
        /// The process.
        process: i32,
        /// The signal.
        signal: Option<i32>,
    },
    /// The first process ended. What it started may go on.
    Ended(ExitStatus),
}

/// Why a program could not be traced.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The program could not be executed.
    #[error(transparent)]
    Start(#[from] process::Error),
    /// The kernel or a policy refuses tracing.
    #[error(
        "cannot trace programs here ({step}: {source}); a container may forbid it (Docker: --cap-add SYS_PTRACE), \
         or the setting kernel.yama.ptrace_scope"
    )]
    Refused {
        /// What was tried.
        step: &'static str,
        /// The kernel's answer.
        source: io::Error,
    },
}

/// A program that runs traced. When it is dropped, the program and all that it started are killed.
#[derive(Debug)]
pub struct Traced {
    pid: i32,
    pidfd: OwnedFd,
    living: Living,
    events: Option<Receiver<Event>>,
    tracer: Option<JoinHandle<()>>,
}

impl Traced {
    /// Starts a program in a machine; what it says goes into `log`.
    ///
    /// # Errors
    /// When the program cannot be executed, or tracing is refused.
    pub fn start(
        namespace: &Namespace,
        command: &Command,
        options: &Options,
        log: &Log,
    ) -> Result<Self, Error> {
        let (started, begun) = mpsc::channel();
        let (sender, events) = mpsc::sync_channel(WAITING);
        let refused = |step| move |source| Error::Refused { step, source };
        let body = tracer::body(namespace, command.clone(), *options, sender, started)
            .map_err(refused("open the first process"))?;
        let tracer = namespace.thread(body).map_err(refused("start a thread"))?;
        let gone =
            || Error::Refused { step: "wait for the tracer", source: io::ErrorKind::BrokenPipe.into() };
        let begun = begun.recv().map_err(|_| gone())??;
        let reader = log.clone();
        // Not in the tracer's thread, whose children are elsewhere: it may start no threads.
        std::thread::Builder::new()
            .name(command.name())
            .spawn(move || process::read_pipes(&reader, begun.output, begun.errors))
            .map_err(refused("start a thread"))?;
        let tracer::Begun { pid, pidfd, living, .. } = begun;
        Ok(Self { pid, pidfd, living, events: Some(events), tracer: Some(tracer) })
    }

    /// The first process's id, as seen from outside its machine.
    pub fn pid(&self) -> i32 {
        self.pid
    }

    /// The next event, waited for until `deadline`. `None` when nothing came until then, or when the program and all that it
    /// started have ended: see [`over`](Self::over).
    pub fn next(&mut self, deadline: Option<Instant>) -> Option<Event> {
        let events = self.events.as_ref()?;
        let received = match deadline {
            None => events.recv().map_err(|_| RecvTimeoutError::Disconnected),
            Some(deadline) => events.recv_timeout(deadline.saturating_duration_since(Instant::now())),
        };
        match received {
            Ok(event) => Some(event),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => {
                self.events = None;
                None
            }
        }
    }

    /// Whether the program and all that it started have ended, and all events were taken.
    pub fn over(&self) -> bool {
        self.events.is_none()
    }

    /// Sends the first process a signal; nothing happens when it has ended.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn signal(&self, signal: Signal) -> io::Result<()> {
        match process::pidfd_kill(self.pidfd.as_fd(), signal) {
            Err(error) if error.raw_os_error() != Some(libc::ESRCH) => Err(error),
            _ => Ok(()),
        }
    }

    /// Sends a signal to every process that is still there, as service managers do to end one that forked away.
    pub fn signal_all(&self, signal: Signal) {
        for handle in tracer::lock(&self.living).values() {
            // One that is gone meanwhile needs no signal.
            let _ = process::pidfd_kill(handle.as_fd(), signal);
        }
    }
}

impl Drop for Traced {
    fn drop(&mut self) {
        // The tracer sees that nobody listens, and ends; all that it traces is killed with it (PTRACE_O_EXITKILL). To see it, it
        // must hear of something: of the end of one of them.
        self.events = None;
        let _ = self.signal(Signal::SIGKILL);
        let Some(tracer) = self.tracer.take() else { return };
        let patience = Instant::now() + Duration::from_secs(2);
        while !tracer.is_finished() && Instant::now() < patience {
            self.signal_all(Signal::SIGKILL);
            std::thread::sleep(Duration::from_millis(1));
        }
        if tracer.is_finished() {
            let _ = tracer.join();
        }
    }
}
