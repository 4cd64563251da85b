//! Starting a program that is traced from its first instruction on, with the filters that stop it for us.

use super::Error;
use super::memory::Proc;
use super::ptrace::ask;
use crate::process::{self, Command, Started};
use nix::sched::{CloneFlags, setns, unshare};
use nix::sys::signal::Signal;
use nix::unistd::Pid;
use seccompiler::SeccompCmpArgLen::Dword;
use seccompiler::SeccompCmpOp::Eq;
use seccompiler::{BpfProgram, SeccompAction, SeccompCondition, SeccompFilter, SeccompRule, TargetArch};
use std::io;
use std::os::fd::{AsFd as _, OwnedFd};

/// What is traced besides signals.
const OPTIONS: i32 = libc::PTRACE_O_TRACESYSGOOD
    | libc::PTRACE_O_TRACESECCOMP
    | libc::PTRACE_O_TRACEFORK
    | libc::PTRACE_O_TRACEVFORK
    | libc::PTRACE_O_TRACECLONE
    | libc::PTRACE_O_TRACEEXEC
    | libc::PTRACE_O_EXITKILL;

/// Starts the program as a child of this thread, stopped at its first instruction.
pub(super) fn begin(init: &OwnedFd, host: &str, command: &Command) -> Result<(Proc, Started), Error> {
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
/// [`Sends`](super::sends::Sends).
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
