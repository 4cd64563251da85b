//! A program of somebody else's, run within bounds of time and octets, none of whose processes outlives it.

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{Signal, kill, killpg};
use nix::sys::wait::{WaitPidFlag, waitpid};
use nix::unistd::Pid;
use std::fs::File;
use std::io::{self, Read as _};
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// How often a program is looked at that says nothing.
const GLANCE: Duration = Duration::from_millis(20);
/// How long processes that it left behind are hunted for.
const HUNT: Duration = Duration::from_secs(2);

/// How much a program may take.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    /// From its start to its end.
    pub(crate) time: Duration,
    /// Octets that it may say, on each of its two streams. One more, and it is ended.
    pub(crate) octets: usize,
}

/// How a program ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ended {
    /// By itself, with this code.
    Exit(i32),
    /// By a signal that was not ours.
    Signal(i32),
    /// It took too long, and was ended.
    TooLong,
    /// It said too much, and was ended.
    TooMuch,
    /// Its processes took too much memory together, and were ended.
    TooLarge,
    /// It was too many processes, and they were ended.
    TooMany,
}

/// What became of a program.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) out: Vec<u8>,
    pub(crate) errors: Vec<u8>,
    pub(crate) ended: Ended,
    pub(crate) took: Duration,
}

/// Runs it with nothing on its standard input, as the leader of a process group that ends with it.
///
/// # Errors
/// When it cannot be started.
pub(crate) fn run(command: &mut Command, bounds: Bounds) -> io::Result<Ran> {
    run_while(command, bounds, || None)
}

/// The same, until `stop` says how it ended: asked every few milliseconds.
pub(crate) fn run_while(
    command: &mut Command,
    bounds: Bounds,
    mut stop: impl FnMut() -> Option<Ended>,
) -> io::Result<Ran> {
    let begun = Instant::now();
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0);
    let mut child = command.spawn()?;
    let mut streams = [
        Stream::new(child.stdout.take().map(OwnedFd::from), bounds.octets),
        Stream::new(child.stderr.take().map(OwnedFd::from), bounds.octets),
    ];
    let mut ended = None;
    while ended.is_none() {
        listen(&mut streams, GLANCE);
        ended = if streams.iter().any(Stream::is_over) {
            Some(Ended::TooMuch)
        } else if begun.elapsed() >= bounds.time {
            Some(Ended::TooLong)
        } else if let Some(stopped) = stop() {
            Some(stopped)
        } else {
            child.try_wait()?.map(|status| match (status.code(), status.signal()) {
                (Some(code), _) => Ended::Exit(code),
                (None, signal) => Ended::Signal(signal.unwrap_or_default()),
            })
        };
    }
    let took = begun.elapsed();
    end(&mut child);
    // What it said last; whoever else holds the pipe is not waited for.
    while listen(&mut streams, Duration::ZERO) {}
    let over = streams.iter().any(Stream::is_over);
    let [out, errors] = streams.map(|stream| stream.said);
    let ended = match ended {
        Some(Ended::Exit(_)) if over => Ended::TooMuch,
        ended => ended.unwrap_or(Ended::TooLong),
    };
    Ok(Ran { out, errors, ended, took })
}

/// Ends the program and its group.
fn end(child: &mut Child) {
    // Before it is reaped its number is nobody else's; where it has been reaped, what is left of its group still holds the number.
    let group = Pid::from_raw(child.id().cast_signed());
    let _ = killpg(group, Signal::SIGKILL);
    let _ = child.wait();
}

/// What a program says on one stream.
struct Stream {
    pipe: Option<File>,
    said: Vec<u8>,
    most: usize,
}

impl Stream {
    fn new(pipe: Option<OwnedFd>, most: usize) -> Self {
        Self { pipe: pipe.map(File::from), said: Vec::new(), most }
    }

    fn is_over(&self) -> bool {
        self.said.len() > self.most
    }

    /// Reads once, one octet more than may be said at most.
    fn read(&mut self) {
        let mut buffer = [0; 4096];
        let room = (self.most + 1).saturating_sub(self.said.len()).min(buffer.len());
        let (Some(pipe), Some(buffer)) = (&mut self.pipe, buffer.get_mut(..room)) else { return };
        match pipe.read(buffer) {
            Ok(0) | Err(_) => self.pipe = None,
            Ok(count) => self.said.extend_from_slice(buffer.get(..count).unwrap_or_default()),
        }
    }
}

/// Waits so long for words; whether any came.
fn listen(streams: &mut [Stream; 2], patience: Duration) -> bool {
    let open: Vec<usize> = streams
        .iter()
        .enumerate()
        .filter(|(_, s)| s.pipe.is_some() && !s.is_over())
        .map(|(at, _)| at)
        .collect();
    if open.is_empty() {
        std::thread::sleep(patience);
        return false;
    }
    let ready: Vec<usize> = {
        let mut fds: Vec<PollFd<'_>> = open
            .iter()
            .filter_map(|at| streams.get(*at)?.pipe.as_ref())
            .map(|pipe| PollFd::new(pipe.as_fd(), PollFlags::POLLIN))
            .collect();
        let patience = PollTimeout::try_from(patience).unwrap_or(PollTimeout::ZERO);
        match poll(&mut fds, patience) {
            Ok(0) | Err(_) => return false,
            Ok(_) => {
                open.iter().zip(&fds).filter(|(_, fd)| fd.any() == Some(true)).map(|(at, _)| *at).collect()
            }
        }
    };
    for at in &ready {
        if let Some(stream) = streams.get_mut(*at) {
            stream.read();
        }
    }
    !ready.is_empty()
}

/// Ends all processes that are children of this one, and theirs: those that programs left behind come to us where we are their reaper
/// (`PR_SET_CHILD_SUBREAPER`). To be called while no child is wanted. How many there were, and whether some are left.
pub(crate) fn hunt() -> (usize, bool) {
    let (mut ended, begun) = (0, Instant::now());
    loop {
        let mut living = 0;
        for pid in children("self") {
            living += 1;
            let _ = kill(pid, Signal::SIGKILL);
            if let Ok(status) = waitpid(pid, Some(WaitPidFlag::WNOHANG))
                && status.pid().is_some()
            {
                ended += 1;
            }
        }
        // Those that were on their way to us when we looked.
        if living == 0 && waitpid(None, Some(WaitPidFlag::WNOHANG)).is_err() {
            return (ended, false);
        }
        if begun.elapsed() >= HUNT {
            return (ended, true);
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// The children of a process, which is named as in /proc.
fn children(of: &str) -> Vec<Pid> {
    let threads = std::fs::read_dir(format!("/proc/{of}/task")).into_iter().flatten().flatten();
    let lists = threads.filter_map(|thread| std::fs::read_to_string(thread.path().join("children")).ok());
    lists
        .flat_map(|list| list.split_whitespace().filter_map(|pid| pid.parse().ok()).collect::<Vec<i32>>())
        .map(Pid::from_raw)
        .collect()
}

/// The children of this process, and theirs, and so on: so many at most.
pub(crate) fn descendants(most: usize) -> Vec<Pid> {
    let mut all = children("self");
    let mut at = 0;
    while let Some(pid) = all.get(at).filter(|_| all.len() < most) {
        all.extend(children(&pid.to_string()));
        at += 1;
    }
    all.truncate(most);
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Ran {
        let bounds = Bounds { time: Duration::from_secs(20), octets: 1000 };
        run(Command::new("/bin/sh").args(["-c", script]), bounds).unwrap()
    }

    #[test]
    fn what_a_program_says_and_how_it_ends_is_told() {
        let ran = shell("echo said; echo wrong >&2; exit 3");
        assert_eq!(
            (&ran.out[..], &ran.errors[..], ran.ended),
            (&b"said\n"[..], &b"wrong\n"[..], Ended::Exit(3))
        );
        assert_eq!(shell("kill -TERM $$").ended, Ended::Signal(15));
        assert!(run(&mut Command::new("/does/not/exist"), Bounds { time: HUNT, octets: 1 }).is_err());
    }

    #[test]
    fn who_says_too_much_or_takes_too_long_is_ended() {
        for flood in ["yes", "yes >&2", "head -c 1001 /dev/zero"] {
            let ran = shell(flood);
            assert_eq!((ran.ended, ran.out.len().max(ran.errors.len())), (Ended::TooMuch, 1001), "{flood}");
        }
        assert_eq!(shell("head -c 1000 /dev/zero").ended, Ended::Exit(0));
        let bounds = Bounds { time: Duration::from_millis(100), octets: 10 };
        let begun = Instant::now();
        let ran = run(Command::new("/bin/sleep").arg("100"), bounds).unwrap();
        assert!(ran.ended == Ended::TooLong && begun.elapsed() < Duration::from_secs(50));
        // One that leaves a process behind which holds its pipe is not waited for.
        let begun = Instant::now();
        let ran = shell("sleep 100 & echo done");
        assert_eq!((ran.ended, &ran.out[..]), (Ended::Exit(0), &b"done\n"[..]));
        assert!(begun.elapsed() < Duration::from_secs(50));
    }
}
