//! The thread that traces. All of ptrace(2) must be called by it, since it is the parent of the program.

use super::begin::begin;
use super::call::{Action, Call, Entry, Outcome};
use super::memory::Proc;
use super::place::Maps;
use super::ptrace::{event_message, information, registers, result, resume, syscall_info};
use super::sends::Sends;
use super::{Error, Event, Options};
use crate::namespace::Namespace;
use crate::process::{self, Command, Started};
use nix::errno::Errno;
use nix::unistd::Pid;
use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::process::ExitStatusExt as _;
use std::process::ExitStatus;
use std::sync::mpsc::{self, SyncSender};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

/// Threads that are known at one time; of more, calls are told without their process.
const THREADS: usize = 65_536;

/// Processes that are still there, each with a handle by which it can be sent a signal and no other in its place.
pub(super) type Living = Arc<Mutex<BTreeMap<i32, OwnedFd>>>;
/// Handles that are kept at most; whoever has none ends with the tracer.
const HANDLES: usize = 256;

/// A program that began.
#[derive(Debug)]
pub(super) struct Begun {
    pub(super) pid: i32,
    pub(super) pidfd: OwnedFd,
    pub(super) output: File,
    pub(super) errors: File,
    pub(super) living: Living,
}

/// What the tracer's thread does.
pub(super) fn body(
    namespace: &Namespace,
    command: Command,
    options: Options,
    events: SyncSender<Event>,
    started: mpsc::Sender<Result<Begun, Error>>,
) -> io::Result<impl FnOnce() + Send + 'static> {
    let init = process::pidfd_open(Pid::from_raw(namespace.init_pid()))?;
    let host = namespace.name().to_owned();
    Ok(move || match begin(&init, &host, &command) {
        Err(error) => {
            let _ = started.send(Err(error));
        }
        Ok((proc, Started { name: _, pid, pidfd, output, errors })) => {
            let living = Living::default();
            let begun = Begun { pid: pid.as_raw(), pidfd, output, errors, living: Arc::clone(&living) };
            // Nobody waits any more: the thread ends, and the program with it.
            if started.send(Ok(begun)).is_ok() {
                Tracer::new(pid.as_raw(), proc, options, events, living).run();
            }
        }
    })
}

#[derive(Debug)]
struct Thread {
    process: i32,
    /// A call under way.
    pending: Option<Call>,
    /// Stopped by job control.
    suspended: bool,
}

struct Tracer {
    first: i32,
    proc: Proc,
    refused: Option<i32>,
    events: SyncSender<Event>,
    begun: Instant,
    threads: HashMap<i32, Thread>,
    living: Living,
    sends: Sends,
    maps: Maps,
}

/// Nobody listens any more.
struct Deaf;

impl Tracer {
    fn new(first: i32, proc: Proc, options: Options, events: SyncSender<Event>, living: Living) -> Self {
        Self {
            first,
            proc,
            refused: options.refused_family,
            events,
            begun: Instant::now(),
            threads: HashMap::new(),
            living,
            sends: Sends::default(),
            maps: Maps::default(),
        }
    }

    fn run(mut self) {
        if resume(libc::PTRACE_CONT, self.first, 0).is_err() {
            return;
        }
        loop {
            let mut status = 0;
            // SAFETY: `status` lives until the call returns. Only children and tracees of this very thread are waited for.
            let thread = unsafe { libc::waitpid(-1, &raw mut status, libc::__WALL | libc::__WNOTHREAD) };
            if thread < 0 {
                if Errno::last() == Errno::EINTR {
                    continue;
                }
                return;
            }
            let heard = if libc::WIFSTOPPED(status) {
                self.stopped(thread, status)
            } else {
                self.ended(thread, ExitStatus::from_raw(status))
            };
            if heard.is_err() {
                return;
            }
        }
    }

    fn tell(&self, event: Event) -> Result<(), Deaf> {
        self.events.send(event).map_err(|_| Deaf)
    }

    fn ended(&mut self, thread: i32, status: ExitStatus) -> Result<(), Deaf> {
        if let Some(known) = self.threads.remove(&thread) {
            if let Some(call) = known.pending {
                self.tell(Event::Called(call))?;
            }
            if known.process == thread {
                self.maps.forget(thread);
                self.sends.forget(thread);
                lock(&self.living).remove(&thread);
            }
        }
        if thread == self.first { self.tell(Event::Ended(status)) } else { Ok(()) }
    }

    fn stopped(&mut self, thread: i32, status: i32) -> Result<(), Deaf> {
        let signal = libc::WSTOPSIG(status);
        let event = status >> 16;
        match (signal, event) {
            (_, libc::PTRACE_EVENT_SECCOMP) => return self.entered(thread),
            (_, libc::PTRACE_EVENT_EXEC) => {
                self.took_over(thread)?;
                let process = self.process(thread);
                self.maps.forget(process);
                let file = self.proc.link(&format!("{process}/exe")).unwrap_or_default();
                let file = file.to_string_lossy().into_owned();
                self.go_on(thread, 0);
                return self.tell(Event::Executed { process, file });
            }
            // Stopped by job control: it stays so, and we hear of it when it goes on.
            (libc::SIGSTOP | libc::SIGTSTP | libc::SIGTTIN | libc::SIGTTOU, libc::PTRACE_EVENT_STOP) => {
                let _ = resume(libc::PTRACE_LISTEN, thread, 0);
                return self.suspended(thread, Some(signal));
            }
            // The first stop of a new thread, or one that was stopped goes on.
            (_, libc::PTRACE_EVENT_STOP) => {
                let told = self.suspended(thread, None);
                self.go_on(thread, 0);
                return told;
            }
            // A thread or process was started: it stops by itself, and is known then.
            (_, 1..) => self.go_on(thread, 0),
            // 0x80: PTRACE_O_TRACESYSGOOD.
            (signal, _) if signal == libc::SIGTRAP | 0x80 => return self.at_call(thread),
            (signal, _) => self.go_on(thread, signal),
        }
        Ok(())
    }

    /// Lets a thread go on: to its next call where it is watched, else to what the filter stops it for.
    fn go_on(&self, thread: i32, signal: i32) {
        let watched = !self.sends.is_idle()
            && self.threads.get(&thread).is_some_and(|known| self.sends.watches(known.process));
        let how = if watched { libc::PTRACE_SYSCALL } else { libc::PTRACE_CONT };
        let _ = resume(how, thread, signal);
    }

    /// A thread was stopped by a signal, or is not stopped: told once for a process.
    fn suspended(&mut self, thread: i32, signal: Option<i32>) -> Result<(), Deaf> {
        let process = self.process(thread);
        let Some(known) = self.threads.get_mut(&thread) else { return Ok(()) };
        let was = std::mem::replace(&mut known.suspended, signal.is_some());
        if thread != process || was == signal.is_some() {
            return Ok(());
        }
        self.tell(Event::Suspended { process, signal })
    }

    /// A thread that executes a program goes on under its process's number, and what had that number before is gone without
    /// a word (ptrace(2), "execve(2) under ptrace").
    fn took_over(&mut self, thread: i32) -> Result<(), Deaf> {
        if let Some(former) = event_message(thread).filter(|former| *former != thread) {
            self.threads.remove(&former);
        }
        let pending = self.threads.get_mut(&thread).and_then(|known| known.pending.take());
        pending.map_or(Ok(()), |call| self.tell(Event::Called(call)))
    }

    /// The process of a thread.
    fn process(&mut self, thread: i32) -> i32 {
        if let Some(known) = self.threads.get(&thread) {
            return known.process;
        }
        let status = self.proc.read(&format!("{thread}/status"));
        let number =
            |name: &str| status.lines().find_map(|line| line.strip_prefix(name)?.trim().parse::<i32>().ok());
        let process = number("Tgid:").unwrap_or(thread);
        if self.threads.len() < THREADS {
            self.threads.insert(thread, Thread { process, pending: None, suspended: false });
        }
        if let Some(parent) = number("PPid:").filter(|_| thread == process) {
            self.sends.inherit(parent, process);
        }
        if thread == process {
            let mut living = lock(&self.living);
            // Its end has not been waited for: the number is its own.
            if living.len() < HANDLES
                && let Ok(handle) = process::pidfd_open(Pid::from_raw(process))
            {
                living.insert(process, handle);
            }
        }
        process
    }

    /// A call of interest begins.
    fn entered(&mut self, thread: i32) -> Result<(), Deaf> {
        let at = self.begun.elapsed();
        let process = self.process(thread);
        let Some(info) = information(thread) else {
            self.go_on(thread, 0);
            return Ok(());
        };
        let entry = Entry { number: info.number, arguments: info.arguments };
        let Some(action) = entry.action(thread) else {
            self.go_on(thread, 0);
            return Ok(());
        };
        let place = self.maps.place(&self.proc, process, thread, (info.instruction, info.stack));
        let descriptor = entry.descriptor();
        let socket = descriptor.and_then(|fd| socket_of(&self.proc, thread, fd));
        let mut call = Call { at, process, socket, descriptor, action, outcome: Outcome::Pending, place };
        if let Action::Socket { family, .. } = call.action
            && Some(family) == self.refused
            && registers::skip(thread, libc::EAFNOSUPPORT).is_ok()
        {
            call.outcome = Outcome::Failed(Errno::EAFNOSUPPORT);
            self.go_on(thread, 0);
            return self.tell(Event::Called(call));
        }
        if let Some(known) = self.threads.get_mut(&thread) {
            known.pending = Some(call);
        }
        let _ = resume(libc::PTRACE_SYSCALL, thread, 0);
        Ok(())
    }

    /// A thread that is watched begins a call, or any call has returned.
    fn at_call(&mut self, thread: i32) -> Result<(), Deaf> {
        let Some(info) = syscall_info(thread) else {
            self.go_on(thread, 0);
            return Ok(());
        };
        if info.op != libc::PTRACE_SYSCALL_INFO_ENTRY {
            return self.left(thread);
        }
        // SAFETY: `op` says that this is the member that the kernel wrote.
        let begun = unsafe { info.u.entry };
        let entry = Entry { number: begun.nr.cast_signed(), arguments: begun.args };
        let process = self.process(thread);
        self.sends.spend(process);
        let Some(descriptor) = entry.descriptor() else {
            self.go_on(thread, 0);
            return Ok(());
        };
        if entry.number == libc::SYS_close {
            self.sends.leave(process, descriptor);
        }
        let action = if entry.is_send() && self.sends.looks_at(process, descriptor) {
            entry.action(thread).filter(|action| !self.sends.knows(process, descriptor, action))
        } else {
            None
        };
        if let (Some(action), Some(known)) = (action, self.threads.get_mut(&thread)) {
            let at = self.begun.elapsed();
            let socket = socket_of(&self.proc, thread, descriptor);
            known.pending = Some(Call {
                at,
                process,
                socket,
                descriptor: Some(descriptor),
                action,
                outcome: Outcome::Pending,
                place: None,
            });
            let _ = resume(libc::PTRACE_SYSCALL, thread, 0);
        } else {
            self.go_on(thread, 0);
        }
        Ok(())
    }

    /// What a call that succeeded means for who is watched; of a new socket, `result` is its descriptor.
    fn watch(&mut self, call: &Call, result: i32) {
        let process = call.process;
        match (&call.action, call.descriptor) {
            (Action::Socket { family: libc::AF_INET | libc::AF_INET6, kind, .. }, _)
                if *kind != libc::SOCK_STREAM =>
            {
                self.sends.begin(process, result);
            }
            (Action::Connect { .. }, Some(descriptor)) => self.sends.leave(process, descriptor),
            (action @ Action::Send { .. }, Some(descriptor)) => self.sends.told(process, descriptor, action),
            _ => {}
        }
    }

    /// A call of interest has returned.
    fn left(&mut self, thread: i32) -> Result<(), Deaf> {
        let pending = self.threads.get_mut(&thread).and_then(|known| known.pending.take());
        let Some((mut call, result)) = pending.zip(result(thread)) else {
            self.go_on(thread, 0);
            return Ok(());
        };
        call.outcome = match result {
            failed @ ..0 => Outcome::Failed(Errno::from_raw(failed.unsigned_abs() as i32)),
            done => {
                if let Action::Socket { .. } = call.action {
                    call.socket = socket_of(&self.proc, thread, done as i32);
                }
                self.watch(&call, done as i32);
                Outcome::Done
            }
        };
        self.go_on(thread, 0);
        // ERESTARTSYS and its like: the kernel makes the call again, and it is told of then.
        match call.outcome {
            Outcome::Failed(Errno::UnknownErrno) => Ok(()),
            _ => self.tell(Event::Called(call)),
        }
    }
}

/// Those that are still there. Who panicked with it in hand has left it whole.
pub(super) fn lock(living: &Living) -> MutexGuard<'_, BTreeMap<i32, OwnedFd>> {
    living.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The kernel's number of the socket behind a thread's descriptor. Not of its process: a first thread that has ended before
/// the others has no descriptors.
fn socket_of(proc: &Proc, thread: i32, descriptor: i32) -> Option<u64> {
    let link = proc.link(&format!("{thread}/fd/{descriptor}"))?;
    link.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok()
}
