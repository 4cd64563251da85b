//! Programs that run in a [`Namespace`](crate::namespace::Namespace), and the lines they say.

#![allow(unsafe_code, reason = "pidfds and what happens between fork and exec")]

use std::collections::VecDeque;
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::fs::File;
use std::io::{self, Read as _, Seek as _, Write as _};
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd, FromRawFd as _, OwnedFd};
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::signal::Signal;
use nix::unistd::Pid;

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

/// Where a line came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stream {
    /// Standard output.
    Output,
    /// Standard error.
    Error,
}

/// Lines a [`Log`] keeps in memory.
const MAX_LINES: usize = 20_000;
/// Bytes a [`Log`] keeps in memory.
const MAX_BYTES: usize = 4 << 20;
/// Longer lines are cut into several.
const MAX_LINE: usize = 16 << 10;
/// Bytes written to a log's file; what comes later is only in memory.
const MAX_FILE: usize = 64 << 20;

#[derive(Debug, Default)]
struct Lines {
    kept: VecDeque<(Stream, String)>,
    bytes: usize,
    evicted: u64,
    file: Option<File>,
    file_bytes: usize,
    status: Option<ExitStatus>,
    // All ends of the pipes are closed, or the process has ended and they were empty.
    drained: bool,
}

/// What one program said, line by line: in memory (bounded, the oldest lines go first) and in a file if wished.
#[derive(Debug, Clone, Default)]
pub struct Log {
    shared: Arc<(Mutex<Lines>, Condvar)>,
}

impl Log {
    /// A log in memory.
    pub fn new() -> Self {
        Self::default()
    }

    /// A log in memory and in the file `path`, which is replaced.
    ///
    /// # Errors
    /// When the file cannot be created.
    pub fn to_file(path: &Path) -> Result<Self, Error> {
        let file = File::create(path).map_err(|source| Error::Log { path: path.to_owned(), source })?;
        let log = Self::default();
        log.lines().file = Some(file);
        Ok(log)
    }

    fn lines(&self) -> MutexGuard<'_, Lines> {
        self.shared.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn push(&self, stream: Stream, line: &[u8]) {
        let line = String::from_utf8_lossy(line).into_owned();
        let mut lines = self.lines();
        if lines.file_bytes + line.len() < MAX_FILE {
            lines.file_bytes += line.len() + 1;
            if let Some(file) = &mut lines.file {
                // A full disk must not end the program that is being watched.
                let _ = file.write_all(format!("{line}\n").as_bytes());
            }
        }
        lines.bytes += line.len();
        lines.kept.push_back((stream, line));
        while lines.kept.len() > MAX_LINES || lines.bytes > MAX_BYTES {
            let Some((_, line)) = lines.kept.pop_front() else { break };
            lines.bytes -= line.len();
            lines.evicted += 1;
        }
        drop(lines);
        self.shared.1.notify_all();
    }

    /// How many lines no longer fit into memory.
    pub fn evicted(&self) -> u64 {
        self.lines().evicted
    }

    /// All lines in memory, one below the other; only those of one stream if told.
    pub fn text(&self, only: Option<Stream>) -> String {
        let lines = self.lines();
        lines
            .kept
            .iter()
            .filter(|(stream, _)| only.is_none_or(|only| only == *stream))
            .flat_map(|(_, line)| [line.as_str(), "\n"])
            .collect()
    }

    /// The first line in memory that contains `pattern`.
    pub fn find(&self, pattern: &str) -> Option<String> {
        self.lines().kept.iter().find(|(_, line)| line.contains(pattern)).map(|(_, line)| line.clone())
    }

    /// The last `count` lines.
    pub fn tail(&self, count: usize) -> String {
        let lines = self.lines();
        let skip = lines.kept.len().saturating_sub(count);
        lines.kept.iter().skip(skip).flat_map(|(_, line)| [line.as_str(), "\n"]).collect()
    }

    /// Waits until all that was said is here: who writes has ended or closed its output. Whether that was within `timeout`.
    pub fn wait_all(&self, timeout: Duration) -> bool {
        self.wait(timeout, |lines| lines.drained.then_some(())).is_some()
    }

    /// Waits until `look` finds something, or time is up.
    fn wait<T>(&self, timeout: Duration, mut look: impl FnMut(&Lines) -> Option<T>) -> Option<T> {
        let deadline = Instant::now() + timeout;
        let mut lines = self.lines();
        loop {
            if let Some(found) = look(&lines) {
                return Some(found);
            }
            let left = deadline.checked_duration_since(Instant::now())?;
            lines = self.shared.1.wait_timeout(lines, left).unwrap_or_else(PoisonError::into_inner).0;
        }
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

/// A pipe that is cut into lines.
struct Reader {
    stream: Stream,
    pipe: Option<File>,
    rest: Vec<u8>,
}

impl Reader {
    fn new(stream: Stream, pipe: File) -> Self {
        Self { stream, pipe: Some(pipe), rest: Vec::new() }
    }

    /// Reads once; to be called when there is something to read.
    fn read(&mut self, log: &Log) {
        let mut buffer = [0; 8192];
        let Some(pipe) = &mut self.pipe else { return };
        match pipe.read(&mut buffer) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Ok(0) | Err(_) => {
                self.pipe = None;
                self.flush(log);
            }
            Ok(length) => {
                for &byte in buffer.iter().take(length) {
                    if byte == b'\n' {
                        log.push(self.stream, &self.rest);
                        self.rest.clear();
                    } else {
                        self.rest.push(byte);
                        if self.rest.len() >= MAX_LINE {
                            self.flush(log);
                        }
                    }
                }
            }
        }
    }

    fn flush(&mut self, log: &Log) {
        if !self.rest.is_empty() {
            log.push(self.stream, &self.rest);
            self.rest.clear();
        }
    }
}

/// Life of a program's thread: reads what it says, reaps it, and stays for what its own children say.
fn follow(pid: Pid, pidfd: BorrowedFd<'_>, log: &Log, output: File, errors: File) {
    let mut readers = [Reader::new(Stream::Output, output), Reader::new(Stream::Error, errors)];
    let mut ended = false;
    while !ended || readers.iter().any(|reader| reader.pipe.is_some()) {
        // Once it has ended, what is left in the pipes is read without waiting; then it counts as said.
        let drained = log.lines().drained;
        let patience = if ended && !drained { PollTimeout::ZERO } else { PollTimeout::NONE };
        let Some(ready) = read_ready(&mut readers, log, (!ended).then_some(pidfd), patience) else {
            continue;
        };
        if ready.ended {
            ended = true;
            let status = reap(pid);
            log.lines().status = Some(status);
            log.shared.1.notify_all();
        } else if ended && !ready.said && !drained {
            for reader in &mut readers {
                reader.flush(log);
            }
            log.lines().drained = true;
            log.shared.1.notify_all();
        }
    }
    log.lines().drained = true;
    log.shared.1.notify_all();
}

/// Reads what a program says that somebody else waits for, until nobody is left who could say more.
pub(crate) fn read_pipes(log: &Log, output: File, errors: File) {
    let mut readers = [Reader::new(Stream::Output, output), Reader::new(Stream::Error, errors)];
    while readers.iter().any(|reader| reader.pipe.is_some()) {
        let _ = read_ready(&mut readers, log, None, PollTimeout::NONE);
    }
    log.lines().drained = true;
    log.shared.1.notify_all();
}

/// What happened while waiting for a program.
struct Ready {
    /// Something was read, or a pipe was closed.
    said: bool,
    /// The program has ended.
    ended: bool,
}

/// Waits for something to read, or for the end of the program behind `pidfd`, and reads. `None` when interrupted.
fn read_ready(
    readers: &mut [Reader; 2],
    log: &Log,
    pidfd: Option<BorrowedFd<'_>>,
    patience: PollTimeout,
) -> Option<Ready> {
    let mut fds: Vec<PollFd<'_>> = Vec::with_capacity(3);
    let mut which = Vec::with_capacity(2);
    for (index, reader) in readers.iter().enumerate() {
        if let Some(pipe) = &reader.pipe {
            fds.push(PollFd::new(pipe.as_fd(), PollFlags::POLLIN));
            which.push(index);
        }
    }
    fds.extend(pidfd.map(|pidfd| PollFd::new(pidfd, PollFlags::POLLIN)));
    poll(&mut fds, patience).ok()?;
    let ready: Vec<bool> =
        fds.iter().map(|fd| fd.revents().is_some_and(|events| !events.is_empty())).collect();
    let mut said = false;
    for (index, _) in which.iter().zip(&ready).filter(|(_, ready)| **ready) {
        said = true;
        if let Some(reader) = readers.get_mut(*index) {
            reader.read(log);
        }
    }
    Some(Ready { said, ended: pidfd.is_some() && ready.last() == Some(&true) })
}

fn reap(pid: Pid) -> ExitStatus {
    let mut status = 0;
    // SAFETY: `status` lives until the call returns; `pid` is our child, which only this thread waits for.
    while unsafe { libc::waitpid(pid.as_raw(), &raw mut status, 0) } < 0 {
        if io::Error::last_os_error().kind() != io::ErrorKind::Interrupted {
            break;
        }
    }
    ExitStatus::from_raw(status)
}

/// A file that stands for a process, and never for a later one of the same id (`pidfd_open(2)`).
///
/// # Errors
/// When there is no such process.
pub fn pidfd_open(pid: Pid) -> io::Result<OwnedFd> {
    // SAFETY: a plain system call on integers.
    let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, pid.as_raw(), 0) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the kernel just gave us this fd (always close-on-exec), nobody else has it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd as libc::c_int) })
}

/// Sends a signal to the process behind a [`pidfd_open`] file.
///
/// # Errors
/// When it has ended, or we may not.
pub fn pidfd_kill(pidfd: BorrowedFd<'_>, signal: Signal) -> io::Result<()> {
    // SAFETY: the fd is open; a null `siginfo` means the one that kill(2) would send.
    let result = unsafe {
        libc::syscall(
            libc::SYS_pidfd_send_signal,
            pidfd.as_raw_fd(),
            signal as libc::c_int,
            std::ptr::null::<libc::siginfo_t>(),
            0,
        )
    };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}
