//! Filters of system calls (seccomp(2)).
//!
//! A filter has one answer for what it matches and one for the rest, so several lie above each other: the kernel takes the
//! sternest of their answers.

use super::{Error, calls};
use seccompiler::SeccompCmpArgLen::Dword;
use seccompiler::SeccompCmpOp::{Eq, MaskedEq, Ne};
use seccompiler::{
    BackendError, BpfProgram, SeccompAction, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
    TargetArch,
};
use std::collections::BTreeMap;

/// What becomes of a thread that makes a system call which the [`Filter`] does not allow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Refusal {
    /// The call fails with `EPERM`. A network should not go down because a library found a new way to do old work; an
    /// intruder gets no further either way.
    #[default]
    Errno,
    /// The process is killed (`SIGSYS`) and the kernel logs the call: for tests, which shall see every call that the filter
    /// lacks.
    Kill,
}

/// The filter for a network daemon that has started.
///
/// It may use files, sockets that are open, and threads of its own; open sockets for IPv6, on this machine (`AF_UNIX`), to
/// netlink, and, if told, for IPv4. It cannot execute programs, fork, trace, mount, make namespaces, load code into its
/// memory (no mapping is executable) or into the kernel, nor signal other processes. Where files may be written is a matter of
/// their permissions.
///
/// A socket of another family fails with `EAFNOSUPPORT`, as on a kernel without it.
#[derive(Debug, Clone, Copy, Default)]
#[must_use = "it does nothing until applied"]
pub struct Filter {
    ipv4: bool,
    refusal: Refusal,
}

impl Filter {
    /// The filter without IPv4 whose refusals are `EPERM`.
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether IPv4 sockets may be opened.
    pub fn ipv4(self, allowed: bool) -> Self {
        Self { ipv4: allowed, ..self }
    }

    /// What becomes of other calls.
    pub fn refusal(self, refusal: Refusal) -> Self {
        Self { refusal, ..self }
    }

    /// Puts it over all threads of this process, those to come included, for ever. It also forbids new privileges.
    ///
    /// # Errors
    /// [`Error::Unsupported`] when the kernel has no filters, [`Error::Filter`] when it does not take this one.
    pub fn apply(self) -> Result<(), Error> {
        let refused = match self.refusal {
            Refusal::Errno => SeccompAction::Errno(libc::EPERM.cast_unsigned()),
            Refusal::Kill => SeccompAction::KillProcess,
        };
        let programs = [
            self.families().and_then(|rules| refusing(rules, libc::EAFNOSUPPORT)),
            refusing(calls::UNKNOWN.iter().map(|call| (*call, Vec::new())).collect(), libc::ENOSYS),
            allowed().and_then(|rules| program(rules, refused, SeccompAction::Allow)),
        ];
        // All are made before the first is put in place, and the one that allows no further filters comes last.
        let programs: Vec<BpfProgram> = programs.into_iter().collect::<Result<_, _>>().map_err(failed)?;
        install(&programs)
    }

    /// Sockets of other families, and of protocols of netlink that we do not speak.
    fn families(self) -> Result<Rules, BackendError> {
        let mut families = vec![libc::AF_INET6, libc::AF_NETLINK, libc::AF_UNIX];
        if self.ipv4 {
            families.push(libc::AF_INET);
        }
        let other = families
            .into_iter()
            .map(|family| on(0, Ne, u64::from(family.cast_unsigned())))
            .collect::<Result<_, _>>()?;
        let mut netlink = vec![on(0, Eq, u64::from(libc::AF_NETLINK.cast_unsigned()))?];
        for protocol in calls::NETLINK {
            netlink.push(on(2, Ne, *protocol)?);
        }
        Ok([(libc::SYS_socket, vec![SeccompRule::new(other)?, SeccompRule::new(netlink)?])].into())
    }
}

type Rules = BTreeMap<i64, Vec<SeccompRule>>;

/// What the daemon may do.
fn allowed() -> Result<Rules, BackendError> {
    let mut rules: Rules =
        calls::ALLOWED.iter().chain(calls::ALLOWED_HERE).map(|call| (*call, Vec::new())).collect();
    let any = |argument, values: &[u64]| -> Result<Vec<SeccompRule>, BackendError> {
        values.iter().map(|value| SeccompRule::new(vec![on(argument, Eq, *value)?])).collect()
    };
    let masked = |argument, mask: u64, value| SeccompRule::new(vec![on(argument, MaskedEq(mask), value)?]);
    // The other filter looks at the family.
    rules.insert(libc::SYS_socket, Vec::new());
    rules.insert(libc::SYS_ioctl, any(1, calls::IOCTLS)?);
    rules.insert(libc::SYS_prctl, any(0, calls::PRCTLS)?);
    // Threads are started, processes are not.
    let thread = u64::from(libc::CLONE_THREAD.cast_unsigned());
    rules.insert(libc::SYS_clone, vec![masked(0, thread, thread)?]);
    // Memory that holds data never becomes code.
    let executable = u64::from(libc::PROT_EXEC.cast_unsigned());
    rules.insert(libc::SYS_mmap, vec![masked(2, executable, 0)?]);
    rules.insert(libc::SYS_mprotect, vec![masked(2, executable, 0)?]);
    // Aborting signals the own process; its number stays, since it does not fork.
    let ourselves = u64::from(std::process::id());
    rules.insert(libc::SYS_tgkill, any(0, &[ourselves])?);
    rules.insert(libc::SYS_prlimit64, any(0, &[0, ourselves])?);
    Ok(rules)
}

/// From now on, this process (all its threads) and the programs it executes cannot open sockets of `family`: `socket` fails
/// with `EAFNOSUPPORT`, as on a kernel that was built without it. io_uring, which would go round it, fails with `ENOSYS`.
/// Sockets that are open stay so.
///
/// It also forbids new privileges: programs with the set-user-ID bit run as who executes them.
///
/// # Errors
/// [`Error::Unsupported`] when the kernel has no filters, [`Error::Filter`] when it does not take this one.
pub fn refuse_family(family: i32) -> Result<(), Error> {
    let socket =
        on(0, Eq, u64::from(family.cast_unsigned())).and_then(|condition| SeccompRule::new(vec![condition]));
    let socket =
        socket.and_then(|rule| refusing([(libc::SYS_socket, vec![rule])].into(), libc::EAFNOSUPPORT));
    let ring = refusing([(libc::SYS_io_uring_setup, Vec::new())].into(), libc::ENOSYS);
    install(&[socket.map_err(failed)?, ring.map_err(failed)?])
}

/// Whether the kernel has filters of system calls.
pub fn supported() -> bool {
    // SAFETY: the call takes numbers alone. It fails with EINVAL where seccomp is not compiled in.
    unsafe { libc::prctl(libc::PR_GET_SECCOMP, 0_u64, 0_u64, 0_u64, 0_u64) >= 0 }
}

/// A condition on an argument. All that we look at are `int`s or flags in the lower half; the upper may hold anything.
fn on(argument: u8, operator: SeccompCmpOp, value: u64) -> Result<SeccompCondition, BackendError> {
    SeccompCondition::new(argument, Dword, operator, value)
}

/// A program that refuses what `rules` match with `errno`, and nothing else.
fn refusing(rules: Rules, errno: i32) -> Result<BpfProgram, BackendError> {
    program(rules, SeccompAction::Allow, SeccompAction::Errno(errno.cast_unsigned()))
}

fn program(
    rules: Rules,
    otherwise: SeccompAction,
    matched: SeccompAction,
) -> Result<BpfProgram, BackendError> {
    let arch = TargetArch::try_from(std::env::consts::ARCH)?;
    SeccompFilter::new(rules, otherwise, matched, arch)?.try_into()
}

fn install(programs: &[BpfProgram]) -> Result<(), Error> {
    if !supported() {
        return Err(Error::Unsupported);
    }
    for program in programs {
        seccompiler::apply_filter_all_threads(program).map_err(|error| match error {
            // No such call, or no such operation: seccomp without filters.
            seccompiler::Error::Seccomp(source)
                if matches!(source.raw_os_error(), Some(libc::ENOSYS | libc::EINVAL)) =>
            {
                Error::Unsupported
            }
            error => Error::Filter(error),
        })?;
    }
    Ok(())
}

fn failed(error: BackendError) -> Error {
    Error::Filter(error.into())
}
