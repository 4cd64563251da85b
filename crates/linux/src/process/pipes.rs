//! Reading what programs say, and waiting for their end.

use super::log::{Log, Stream};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::unistd::Pid;
use std::fs::File;
use std::io::{self, Read as _};
use std::os::fd::{AsFd as _, BorrowedFd};
use std::os::unix::process::ExitStatusExt as _;
use std::process::ExitStatus;

/// Longer lines are cut into several.
const MAX_LINE: usize = 16 << 10;

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
pub(super) fn follow(pid: Pid, pidfd: BorrowedFd<'_>, log: &Log, output: File, errors: File) {
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
            log.learn(|lines| lines.status = Some(status));
        } else if ended && !ready.said && !drained {
            for reader in &mut readers {
                reader.flush(log);
            }
            log.learn(|lines| lines.drained = true);
        }
    }
    log.learn(|lines| lines.drained = true);
}

/// Reads what a program says that somebody else waits for, until nobody is left who could say more.
pub(crate) fn read_pipes(log: &Log, output: File, errors: File) {
    let mut readers = [Reader::new(Stream::Output, output), Reader::new(Stream::Error, errors)];
    while readers.iter().any(|reader| reader.pipe.is_some()) {
        let _ = read_ready(&mut readers, log, None, PollTimeout::NONE);
    }
    log.learn(|lines| lines.drained = true);
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
