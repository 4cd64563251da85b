//! Programs that run in a [`Namespace`](crate::namespace::Namespace), and the lines they say.

#![allow(unsafe_code, reason = "pidfds and what happens between fork and exec")]

mod log;
mod pidfd;
mod pipes;

pub use log::{Log, Stream};
pub use pidfd::{pidfd_kill, pidfd_open};
pub(crate) use pipes::read_pipes;

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::fs::File;
use std::io::{self, Seek as _, Write as _};
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::signal::Signal;
use nix::unistd::Pid;
use pipes::follow;

/// What can go wrong with a program.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// It could not be executed.
    #[error("cannot start {program} on host {host}: {source}; is it installed?")]
    Start {
        /// The program.
        program: String,
        /// Name of the machine.
        host: String,
        /// The kernel's answer.
        source: io::Error,
    },
    /// A signal could not be sent.
    #[error("cannot send {signal} to {program}: {source}")]
    Signal {
        /// The program.
        program: String,
        /// The signal.
        signal: Signal,
        /// The kernel's answer.
        source: io::Error,
    },
    /// It did not end in time.
    #[error("{program} still runs after {waited:?}; its last lines:\n{tail}")]
    Running {
        /// The program.
        program: String,
        /// How long was waited.
        waited: Duration,
        /// What it said last.
        tail: String,
    },
    /// It did not say what was awaited.
    #[error("{program} did not say {pattern:?} within {waited:?} ({state}); its last lines:\n{tail}")]
    Silent {
        /// The program.
        program: String,
        /// The awaited text.
        pattern: String,
        /// How long was waited.
        waited: Duration,
        /// "running", or how it ended.
        state: String,
        /// What it said last.
        tail: String,
    },
    /// The file for a log could not be made.
    #[error("cannot write the log {}: {source}", path.display())]
    Log {
        /// The file.
        path: PathBuf,
        /// The kernel's answer.
        source: io::Error,
    },
}

/// A program to start, its arguments and surroundings.
#[derive(Debug, Clone)]
pub struct Command {
    program: OsString,
    arguments: Vec<OsString>,
    environment: Vec<(OsString, OsString)>,
    folder: Option<PathBuf>,
    input: Option<Vec<u8>>,
}

impl Command {
    /// The program, looked for in `PATH` when it has no slash.
    pub fn new(program: impl AsRef<OsStr>) -> Self {
        Self {
            program: program.as_ref().to_owned(),
            arguments: Vec::new(),
            environment: Vec::new(),
            folder: None,
            input: None,
        }
    }

    /// Adds an argument.
    #[must_use]
    pub fn arg(mut self, argument: impl AsRef<OsStr>) -> Self {
        self.arguments.push(argument.as_ref().to_owned());
        self
    }

    /// Adds arguments.
    #[must_use]
    pub fn args<S: AsRef<OsStr>>(mut self, arguments: impl IntoIterator<Item = S>) -> Self {
        self.arguments.extend(arguments.into_iter().map(|a| a.as_ref().to_owned()));
        self
    }

    /// Sets a variable of the environment; the others are inherited.
    #[must_use]
    pub fn env(mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Self {
        self.environment.push((name.as_ref().to_owned(), value.as_ref().to_owned()));
        self
    }

    /// Sets the working directory.
    #[must_use]
    pub fn current_dir(mut self, folder: impl AsRef<Path>) -> Self {
        self.folder = Some(folder.as_ref().to_owned());
        self
    }

    /// Sets what the program reads from its standard input; nothing unless told.
    #[must_use]
    pub fn input(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.input = Some(bytes.into());
        self
    }

    /// The program's file name, for logs.
    pub fn name(&self) -> String {
        let path = Path::new(&self.program);
        path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned()
    }
}

impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.program.to_string_lossy())?;
        self.arguments.iter().try_for_each(|a| write!(f, " {}", a.to_string_lossy()))
    }
}

/// A program that was started. A clone speaks of the same one; dropping all of them lets it run on, until its
/// machine ends.
#[derive(Debug, Clone)]
pub struct Process {
    name: String,
    pid: Pid,
    pidfd: Arc<OwnedFd>,
    log: Log,
}

/// A child that nobody reads and waits for yet.
#[derive(Debug)]
pub(crate) struct Started {
    pub(crate) name: String,
    pub(crate) pid: Pid,
    pub(crate) pidfd: OwnedFd,
    pub(crate) output: File,
    pub(crate) errors: File,
}

/// Starts the program as a child of the calling thread, which must outlive it: it is killed with that thread.
pub(crate) fn start(command: &Command, host: &str) -> Result<Started, Error> {
    start_with(command, host, || Ok(()))
}

/// The same, with something to do in the child last before it executes the program: only what is async-signal-safe.
pub(crate) fn start_with(
    command: &Command,
    host: &str,
    mut last: impl FnMut() -> io::Result<()> + Send + Sync + 'static,
) -> Result<Started, Error> {
    let name = command.name();
    let failed = |source| Error::Start { program: name.clone(), host: host.to_owned(), source };
    let mut child = std::process::Command::new(&command.program);
    child
        .args(&command.arguments)
        .envs(command.environment.iter().map(|(name, value)| (name, value)))
        .stdin(stdin(command).map_err(failed)?)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    if let Some(folder) = &command.folder {
        child.current_dir(folder);
    }
    // SAFETY: the closure only makes async-signal-safe system calls.
    unsafe {
        child.pre_exec(move || {
            if libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) < 0 || libc::setsid() < 0 {
                return Err(io::Error::last_os_error());
            }
            last()
        });
    }
    let mut child = child.spawn().map_err(failed)?;
    let pid = Pid::from_raw(child.id().cast_signed());
    // Not reaped yet, thus the pid is still this child's.
    let pidfd = pidfd_open(pid).map_err(failed)?;
    let pipe = |fd: Option<OwnedFd>| {
        fd.map(File::from).ok_or_else(|| failed(io::Error::from(io::ErrorKind::BrokenPipe)))
    };
    let output = pipe(child.stdout.take().map(OwnedFd::from))?;
    let errors = pipe(child.stderr.take().map(OwnedFd::from))?;
    Ok(Started { name: name.clone(), pid, pidfd, output, errors })
}

fn stdin(command: &Command) -> io::Result<Stdio> {
    let Some(input) = &command.input else { return Ok(Stdio::null()) };
    // A file in memory: no thread is needed to feed it.
    let mut file = File::from(memfd_create(c"input", MFdFlags::MFD_CLOEXEC)?);
    file.write_all(input)?;
    file.rewind()?;
    Ok(file.into())
}

impl Process {
    /// Begins to read and to wait for what [`start`] started. It starts a thread, which [`start`]'s caller cannot.
    pub(crate) fn watch(started: Started, host: &str, log: &Log) -> Result<Self, Error> {
        let Started { name, pid, pidfd, output, errors } = started;
        let pidfd = Arc::new(pidfd);
        let process = Self { name: name.clone(), pid, pidfd: Arc::clone(&pidfd), log: log.clone() };
        let log = log.clone();
        thread::Builder::new()
            .name(name.clone())
            .spawn(move || follow(pid, pidfd.as_fd(), &log, output, errors))
            .map_err(|source| {
                let _ = process.kill();
                Error::Start { program: name, host: host.to_owned(), source }
            })?;
        Ok(process)
    }

    /// The program's file name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its id, as seen from outside its machine.
    pub fn pid(&self) -> i32 {
        self.pid.as_raw()
    }

    /// What it said, and will say.
    pub fn log(&self) -> &Log {
        &self.log
    }

    /// How it ended, if it has.
    pub fn status(&self) -> Option<ExitStatus> {
        self.log.lines().status
    }

    /// Waits until it has ended and all it said is in the log.
    ///
    /// # Errors
    /// [`Error::Running`] after `timeout`.
    pub fn wait(&self, timeout: Duration) -> Result<ExitStatus, Error> {
        self.log
            .wait(timeout, |lines| if lines.drained { lines.status } else { None })
            .ok_or_else(|| self.running(timeout))
    }

    /// Waits for a line that contains `pattern`, those already said included; hands it back.
    ///
    /// # Errors
    /// [`Error::Silent`] after `timeout`, and at once when the program has ended without saying it.
    pub fn wait_line(&self, pattern: &str, timeout: Duration) -> Result<String, Error> {
        self.log
            .wait(timeout, |lines| {
                let found = lines.kept.iter().find(|(_, line)| line.contains(pattern));
                match found {
                    Some((_, line)) => Some(Some(line.clone())),
                    None if lines.status.is_some() && lines.drained => Some(None),
                    None => None,
                }
            })
            .flatten()
            .ok_or_else(|| Error::Silent {
                program: self.name.clone(),
                pattern: pattern.to_owned(),
                waited: timeout,
                state: self.status().map_or_else(|| "running".to_owned(), |status| status.to_string()),
                tail: self.log.tail(20),
            })
    }

    /// All it said so far.
    pub fn output(&self) -> String {
        self.log.text(None)
    }

    /// Sends it a signal; nothing happens when it has ended.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn signal(&self, signal: Signal) -> Result<(), Error> {
        match pidfd_kill(self.pidfd.as_fd(), signal) {
            Err(source) if source.raw_os_error() != Some(libc::ESRCH) => {
                Err(Error::Signal { program: self.name.clone(), signal, source })
            }
            _ => Ok(()),
        }
    }

    /// Kills it.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn kill(&self) -> Result<(), Error> {
        self.signal(Signal::SIGKILL)
    }

    /// Asks it to end (`SIGTERM`) and waits; kills it when it has not ended after `patience`.
    ///
    /// # Errors
    /// When it survives even that, for two seconds.
    pub fn stop(&self, patience: Duration) -> Result<ExitStatus, Error> {
        self.signal(Signal::SIGTERM)?;
        let ended = |timeout| self.log.wait(timeout, |lines| lines.status);
        if let Some(status) = ended(patience) {
            return Ok(status);
        }
        self.kill()?;
        let last = Duration::from_secs(2);
        ended(last).ok_or_else(|| self.running(patience + last))
    }

    fn running(&self, waited: Duration) -> Error {
        Error::Running { program: self.name.clone(), waited, tail: self.log.tail(20) }
    }
}
