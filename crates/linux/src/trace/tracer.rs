//! The thread that traces. All of ptrace(2) must be called by it, since it is the parent of the program.

use super::call::{Action, Call, Entry, Outcome};
use super::memory::Proc;
use super::place::Maps;
use super::sends::Sends;
use super::{Error, Event, Options};
use crate::namespace::Namespace;
use crate::process::{self, Command, Started};
use nix::errno::Errno;
use nix::sched::{CloneFlags, setns, unshare};
use nix::sys::signal::Signal;
use nix::unistd::Pid;
use seccompiler::SeccompCmpArgLen::Dword;
use seccompiler::SeccompCmpOp::Eq;
use seccompiler::{BpfProgram, SeccompAction, SeccompCondition, SeccompFilter, SeccompRule, TargetArch};
use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::process::ExitStatusExt as _;
use std::process::ExitStatus;
use std::sync::mpsc::{self, SyncSender};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

/// Threads that are known at one time; of more, calls are told without their process.
const THREADS: usize = 65_536;

/// What is traced besides signals.
const OPTIONS: i32 = libc::PTRACE_O_TRACESYSGOOD
    | libc::PTRACE_O_TRACESECCOMP
    | libc::PTRACE_O_TRACEFORK
    | libc::PTRACE_O_TRACEVFORK
    | libc::PTRACE_O_TRACECLONE
    | libc::PTRACE_O_TRACEEXEC
    | libc::PTRACE_O_EXITKILL;

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

/// Starts the program as a child of this thread, stopped at its first instruction.
fn begin(init: &OwnedFd, host: &str, command: &Command) -> Result<(Proc, Started), Error> {
    let refused = |step| move |source: io::Error| Error::Refused { step, source };
    let proc = Proc::open().map_err(refused("open /proc"))?;
    // The mounts too: there, /proc shows the machine's processes.
    unshare(CloneFlags::CLONE_FS).map_err(|e| refused("unshare")(e.into()))?;
    setns(init, CloneFlags::CLONE_NEWPID | CloneFlags::CLONE_NEWNS)
        .map_err(|e| refused("enter the machine")(e.into()))?;
    let filters = filters().map_err(|source| refused("make a filter")(io::Error::other(source)))?;
    let started = process::start_with(command, host, move || {
        // SAFETY: a plain system call on constants.
        if unsafe { libc::ptrace(libc::PTRACE_TRACEME, 0, 0, 0) } < 0 {
            return Err(io::Error::last_os_error());
        }
        for filter in &filters {
            seccompiler::apply_filter(filter).map_err(|error| match error {
                seccompiler::Error::Prctl(source) | seccompiler::Error::Seccomp(source) => source,
                _ => io::ErrorKind::Unsupported.into(),
            })?;
        }
        Ok(())
    })?;
    // It has executed the program, and stops for us.
    wait_stop(started.pid).map_err(refused("stop the program"))?;
    seize(&started).map_err(refused("seize the program"))?;
    Ok((proc, started))
}

/// Makes us the tracer of a program that stands at its first instruction, so that we hear of stops by job control.
///
/// Traced as `PTRACE_TRACEME` does, a program that is stopped cannot be left stopped: it goes on as if nothing was (ptrace(2),
/// "Group-stop"). Seizing can, but before the program is executed nobody is free to do it, since who starts it waits for just
/// that. So it is let go into a stop, in which it does not run, and is seized there.
fn seize(started: &Started) -> io::Result<()> {
    let pid = started.pid.as_raw();
    ask(libc::PTRACE_DETACH, pid, libc::SIGSTOP)?;
    ask(libc::PTRACE_SEIZE, pid, OPTIONS)?;
    wait_stop(started.pid)?;
    process::pidfd_kill(started.pidfd.as_fd(), Signal::SIGCONT)
}

fn wait_stop(pid: Pid) -> io::Result<()> {
    let mut status = 0;
    // SAFETY: `status` lives until the call returns.
    let waited = unsafe { libc::waitpid(pid.as_raw(), &raw mut status, libc::__WALL) };
    match waited {
        ..0 => Err(io::Error::last_os_error()),
        _ if libc::WIFSTOPPED(status) => Ok(()),
        _ => Err(io::Error::other("it ended at once")),
    }
}

/// The calls of interest stop the program, io_uring is not there, and all else runs as ever. Sends are seen in another way: see
/// [`Sends`].
fn filters() -> Result<[BpfProgram; 2], seccompiler::BackendError> {
    let always = Vec::new;
    let level = |level: i32| {
        SeccompRule::new(vec![SeccompCondition::new(1, Dword, Eq, u64::from(level.cast_unsigned()))?])
    };
    let traced = [
        (libc::SYS_socket, always()),
        (libc::SYS_bind, always()),
        (libc::SYS_connect, always()),
        (libc::SYS_listen, always()),
        (libc::SYS_setsockopt, vec![level(libc::IPPROTO_IPV6)?, level(libc::IPPROTO_IP)?]),
    ];
    let arch = TargetArch::try_from(std::env::consts::ARCH)?;
    let program = |rules, action| -> Result<BpfProgram, seccompiler::BackendError> {
        SeccompFilter::new(rules, SeccompAction::Allow, action, arch)?.try_into()
    };
    Ok([
        program(
            [(libc::SYS_io_uring_setup, always())].into(),
            SeccompAction::Errno(libc::ENOSYS.cast_unsigned()),
        )?,
        program(traced.into_iter().collect(), SeccompAction::Trace(0))?,
    ])
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

/// A request whose last argument is a number.
fn ask(request: libc::c_uint, thread: i32, data: i32) -> io::Result<()> {
    // SAFETY: requests that are asked for through here take no pointers.
    let result = unsafe { libc::ptrace(request, thread, 0_usize, libc::c_long::from(data)) };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Lets a thread go on, until it returns from its call (`PTRACE_SYSCALL`) or for good. One that was killed meanwhile is gone.
fn resume(how: libc::c_uint, thread: i32, signal: i32) -> io::Result<()> {
    ask(how, thread, signal)
}

/// What goes with an event: of an execve, the number that the thread had before.
fn event_message(thread: i32) -> Option<i32> {
    let mut message: libc::c_ulong = 0;
    // SAFETY: the kernel writes one number, and `message` lives until the call returns.
    let result = unsafe { libc::ptrace(libc::PTRACE_GETEVENTMSG, thread, 0_usize, &raw mut message) };
    (result == 0).then_some(message as i32)
}

struct Information {
    number: i64,
    arguments: [u64; 6],
    instruction: u64,
    stack: u64,
}

fn syscall_info(thread: i32) -> Option<libc::ptrace_syscall_info> {
    // SAFETY: the structure holds numbers only, for which zero is a value.
    let mut info: libc::ptrace_syscall_info = unsafe { std::mem::zeroed() };
    let size = size_of_val(&info);
    // SAFETY: the kernel writes at most `size` octets into `info`, which lives until the call returns.
    let count = unsafe { libc::ptrace(libc::PTRACE_GET_SYSCALL_INFO, thread, size, &raw mut info) };
    (count > 0).then_some(info)
}

fn information(thread: i32) -> Option<Information> {
    let info = syscall_info(thread)?;
    if info.op != libc::PTRACE_SYSCALL_INFO_SECCOMP {
        return None;
    }
    // SAFETY: `op` says that this is the member that the kernel wrote.
    let entry = unsafe { info.u.seccomp };
    Some(Information {
        number: entry.nr.cast_signed(),
        arguments: entry.args,
        instruction: info.instruction_pointer,
        stack: info.stack_pointer,
    })
}

/// What the call returned: negative for an error.
fn result(thread: i32) -> Option<i64> {
    let info = syscall_info(thread)?;
    if info.op != libc::PTRACE_SYSCALL_INFO_EXIT {
        return None;
    }
    // SAFETY: `op` says that this is the member that the kernel wrote.
    Some(unsafe { info.u.exit.sval })
}

#[cfg(target_arch = "x86_64")]
mod registers {
    //! What a call is and what it returns, where the kernel does not say it the same way everywhere.

    use std::io;

    /// Lets the call at whose entry `thread` stands not be made, and fail with `errno`.
    pub(super) fn skip(thread: i32, errno: i32) -> io::Result<()> {
        // SAFETY: the structure holds numbers only, and both calls take a pointer to all of it.
        let result = unsafe {
            let mut registers: libc::user_regs_struct = std::mem::zeroed();
            let mut result = libc::ptrace(libc::PTRACE_GETREGS, thread, 0_usize, &raw mut registers);
            if result == 0 {
                registers.orig_rax = u64::MAX;
                registers.rax = i64::from(-errno).cast_unsigned();
                result = libc::ptrace(libc::PTRACE_SETREGS, thread, 0_usize, &raw const registers);
            }
            result
        };
        if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
    }
}

#[cfg(target_arch = "aarch64")]
mod registers {
    //! What a call is and what it returns, where the kernel does not say it the same way everywhere.

    use std::io;

    /// `NT_ARM_SYSTEM_CALL` of linux/elf.h.
    const SYSTEM_CALL: usize = 0x404;

    /// Lets the call at whose entry `thread` stands not be made, and fail with `errno`.
    pub(super) fn skip(thread: i32, errno: i32) -> io::Result<()> {
        // SAFETY: the structures hold numbers only, and each call takes a pointer to all of one with its length.
        let result = unsafe {
            let mut none: i32 = -1;
            let mut vector = libc::iovec { iov_base: (&raw mut none).cast(), iov_len: size_of::<i32>() };
            let mut result = libc::ptrace(libc::PTRACE_SETREGSET, thread, SYSTEM_CALL, &raw mut vector);
            let mut registers: libc::user_regs_struct = std::mem::zeroed();
            vector.iov_base = (&raw mut registers).cast();
            vector.iov_len = size_of::<libc::user_regs_struct>();
            let general = libc::NT_PRSTATUS as usize;
            if result == 0 {
                result = libc::ptrace(libc::PTRACE_GETREGSET, thread, general, &raw mut vector);
            }
            if result == 0 {
                registers.regs[0] = i64::from(-errno).cast_unsigned();
                result = libc::ptrace(libc::PTRACE_SETREGSET, thread, general, &raw mut vector);
            }
            result
        };
        if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
    }
}
