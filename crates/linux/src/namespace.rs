//! A machine made of namespaces: its own network, mounts, host name and processes.
//!
//! A [`Namespace`] is held by two threads of this process and by one child, never by a name below
//! `/run/netns`: when this process ends, even by `kill -9`, the kernel takes all of it away.
//!
//! * The *network thread* lives in new network, mount and UTS namespaces. [`Namespace::run`] executes a closure
//!   there: sockets, devices and files that it opens are the machine's own. Threads it starts stay there too.
//! * The *process thread* adds a PID namespace, whose first process (`init`) is a copy of us that only waits.
//!   It dies with the thread (`PR_SET_PDEATHSIG`), and the kernel then kills everything below it, daemons that
//!   forked away included. [`Namespace::spawn`] starts programs there.
//!
//! The machine sees the real file system except for what daemons keep to themselves: `/run`, `/etc` (a
//! shallow, writable copy whose `resolv.conf`, `hosts`, `nsswitch.conf` and `hostname` are private), the state
//! folders of known daemons, and `/sys`. In a user namespace the kernel may refuse some of these mounts;
//! only `/sys` and `/proc` may be missing then, everything else is an error.

#![allow(unsafe_code, reason = "fork, and closures lent to another thread")]

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::thread::{self, JoinHandle};

use nix::errno::Errno;
use nix::mount::{MsFlags, mount};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sched::{CloneFlags, setns, unshare};
use nix::sys::wait::{WaitPidFlag, waitpid};
use nix::unistd::{ForkResult, Gid, Pid, Uid, fork, gettid, sethostname};

use crate::process::{self, Command, Log, Process};

/// What can go wrong when a namespace is made or entered.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The kernel refused new namespaces.
    #[error(
        "cannot create namespaces for host {host}: {source}; run as root, or call \
         namespace::become_root first where user namespaces are allowed"
    )]
    Unshare {
        /// Name of the machine.
        host: String,
        /// The kernel's answer.
        source: Errno,
    },
    /// A private mount or file could not be made.
    #[error("cannot {action} {} for host {host}: {source}", path.display())]
    Private {
        /// Name of the machine.
        host: String,
        /// What was tried.
        action: &'static str,
        /// Where.
        path: PathBuf,
        /// The kernel's answer.
        source: io::Error,
    },
    /// A thread or the first process could not be started.
    #[error("cannot start the {what} of host {host}: {source}")]
    Start {
        /// Name of the machine.
        host: String,
        /// Which one.
        what: &'static str,
        /// The kernel's answer.
        source: io::Error,
    },
    /// [`become_root`] or [`enter`] was called after threads were started.
    #[error("user namespaces can only be changed before threads are started; this process has {threads}")]
    Threads {
        /// How many threads there are.
        threads: usize,
    },
    /// The user namespace could not be made or set up.
    #[error(
        "cannot become root in a user namespace ({step}: {source}); run as root, or allow user namespaces \
         (sysctl user.max_user_namespaces, kernel.unprivileged_userns_clone)"
    )]
    User {
        /// Which step failed.
        step: &'static str,
        /// The kernel's answer.
        source: io::Error,
    },
    /// The namespaces of a process could not be entered.
    #[error("cannot enter the namespaces of process {pid}: {source}; has its lab ended?")]
    Enter {
        /// The process.
        pid: i32,
        /// The kernel's answer.
        source: io::Error,
    },
}

/// Folders below which stock daemons keep state; each that exists is replaced by an empty one.
const STATE_FOLDERS: &[&str] = &[
    "/var/lib/dhcp",
    "/var/lib/dhcpcd",
    "/var/lib/dhcpcd5",
    "/var/lib/dhcpv6",
    "/var/lib/dibbler",
    "/var/lib/kea",
    "/var/lib/misc",
    "/var/lib/radvd",
    "/var/lib/sixgate",
    "/var/log/dibbler",
    "/var/log/kea",
];

/// Folders of `/etc` that are copied rather than linked to, because tests write there.
const CONFIG_FOLDERS: &[&str] =
    &["dhcp", "dibbler", "dnsmasq.d", "kea", "network", "radvd", "sixgate", "wide-dhcpv6"];

/// Where the real `/etc` is kept, read-only, inside a machine.
const REAL_ETC: &str = "/run/.host/etc";

/// A machine made of namespaces. See the [module's page](self).
///
/// Dropping it kills its processes and gives the namespaces back to the kernel.
#[derive(Debug)]
pub struct Namespace {
    name: String,
    // Declared before the threads: processes go first.
    init: Init,
    processes: Worker,
    network: Worker,
    net: OwnedFd,
}

impl Namespace {
    /// Makes a machine called `name` (also its host name), with its loopback interface up.
    ///
    /// # Errors
    /// When the kernel refuses namespaces, mounts, or threads; the message says what to do.
    pub fn new(name: &str) -> Result<Self, Error> {
        let network = Worker::start(name, "network thread")?;
        network.run(|| -> Result<(), Error> {
            unshare(
                CloneFlags::CLONE_NEWNET
                    | CloneFlags::CLONE_NEWNS
                    | CloneFlags::CLONE_NEWUTS
                    | CloneFlags::CLONE_FS,
            )
            .map_err(|source| Error::Unshare { host: name.to_owned(), source })?;
            private_mounts(name)?;
            sethostname(name).map_err(|e| start_error(name, "host name", e.into()))?;
            crate::tap::loopback_up().map_err(|e| start_error(name, "loopback interface", e))
        })?;
        let net = network
            .run(|| File::open("/proc/thread-self/ns/net"))
            .map_err(|e| start_error(name, "network namespace's handle", e))?
            .into();
        // Started by the network thread, the process thread begins in the same namespaces.
        let processes = network.run(|| Worker::start(name, "process thread"))?;
        let init = processes.run(|| {
            unshare(CloneFlags::CLONE_NEWPID | CloneFlags::CLONE_NEWNS | CloneFlags::CLONE_FS)
                .map_err(|source| Error::Unshare { host: name.to_owned(), source })?;
            // What the network thread mounts later shows up here, not the other way round.
            propagation(name, MsFlags::MS_SLAVE)?;
            Init::start().map_err(|e| start_error(name, "first process", e))
        })?;
        Ok(Self { name: name.to_owned(), init, processes, network, net })
    }

    /// The machine's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Runs `f` in the machine's network thread and hands back its result. A panic in `f` goes on in the caller.
    ///
    /// One closure runs at a time; for work that blocks, use [`Namespace::thread`].
    pub fn run<T: Send>(&self, f: impl FnOnce() -> T + Send) -> T {
        self.network.run(f)
    }

    /// Starts a thread inside the machine. It keeps the network namespace alive until it returns.
    ///
    /// # Errors
    /// When the system has no thread to give.
    pub fn thread<T: Send + 'static>(
        &self,
        f: impl FnOnce() -> T + Send + 'static,
    ) -> io::Result<JoinHandle<T>> {
        self.network.run(|| thread::Builder::new().name(self.name.clone()).spawn(f))
    }

    /// Starts a program in the machine; its output goes line by line into `log`.
    ///
    /// # Errors
    /// When the program cannot be executed.
    pub fn spawn(&self, command: &Command, log: &Log) -> Result<Process, process::Error> {
        let started = self.processes.run(|| process::start(command, &self.name))?;
        // In the caller's thread: the process thread, its children being elsewhere, may start no threads.
        Process::watch(started, &self.name, log)
    }

    /// Kills every process of the machine, those that forked away included; no further one can be started.
    pub fn kill_all(&self) {
        self.init.kill();
    }

    /// The first process of the machine, as seen from outside: `nsenter -a -t PID` enters the machine.
    pub fn init_pid(&self) -> i32 {
        self.init.pid.as_raw()
    }

    /// The network thread's id; its files are below `/proc/PID/task/TID`.
    pub fn tid(&self) -> i32 {
        self.network.tid.as_raw()
    }

    /// A handle of the network namespace, to move or create interfaces into it.
    pub fn net(&self) -> BorrowedFd<'_> {
        self.net.as_fd()
    }
}

fn start_error(host: &str, what: &'static str, source: io::Error) -> Error {
    Error::Start { host: host.to_owned(), what, source }
}

type Job = Box<dyn FnOnce() + Send + 'static>;

/// A thread that runs the closures it is given, one after the other.
#[derive(Debug)]
struct Worker {
    jobs: Option<mpsc::Sender<Job>>,
    thread: Option<JoinHandle<()>>,
    tid: Pid,
}

impl Worker {
    fn start(host: &str, what: &'static str) -> Result<Self, Error> {
        let (jobs, queue) = mpsc::channel::<Job>();
        let (tell, told) = mpsc::channel();
        let thread = thread::Builder::new()
            .name(host.to_owned())
            .spawn(move || {
                let _ = tell.send(gettid());
                for job in queue {
                    job();
                }
            })
            .map_err(|e| start_error(host, what, e))?;
        let tid = told.recv().map_err(|_| start_error(host, what, io::ErrorKind::BrokenPipe.into()))?;
        Ok(Self { jobs: Some(jobs), thread: Some(thread), tid })
    }

    fn run<T: Send>(&self, f: impl FnOnce() -> T + Send) -> T {
        if gettid() == self.tid {
            return f();
        }
        let mut result: Option<thread::Result<T>> = None;
        let (done, finished) = mpsc::channel::<()>();
        {
            let result = &mut result;
            let job: Box<dyn FnOnce() + Send + '_> = Box::new(move || {
                *result = Some(catch_unwind(AssertUnwindSafe(f)));
                drop(done);
            });
            // SAFETY: only the lifetime is changed. The job borrows from this call's frame, and this call does
            // not return before `finished.recv()` reports that `done` is gone: `done` is owned by the job and
            // dropped after the job's last use of a borrow, or with the job itself if it never runs.
            let job = unsafe { std::mem::transmute::<Box<dyn FnOnce() + Send + '_>, Job>(job) };
            if let Some(jobs) = &self.jobs {
                let _ = jobs.send(job);
            }
        }
        let _ = finished.recv();
        match result
            .expect("the thread serves jobs until the Worker is dropped, and a job always sets its result")
        {
            Ok(value) => value,
            Err(panic) => resume_unwind(panic),
        }
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.jobs = None;
        // The thread cannot wait for itself: the last handle may be dropped by a job.
        if let Some(thread) = self.thread.take()
            && thread.thread().id() != thread::current().id()
        {
            let _ = thread.join();
        }
    }
}

/// The first process of a PID namespace: when it ends, the kernel kills all others.
#[derive(Debug)]
struct Init {
    pid: Pid,
    pidfd: OwnedFd,
}

impl Init {
    /// Forks it; to be called in a thread whose children get a new PID namespace.
    fn start() -> io::Result<Self> {
        // SAFETY: the child only makes system calls (async-signal-safe) and never returns from `init_main`.
        match unsafe { fork() }? {
            ForkResult::Child => init_main(),
            ForkResult::Parent { child } => Ok(Self { pid: child, pidfd: process::pidfd_open(child)? }),
        }
    }

    fn kill(&self) {
        let _ = process::pidfd_kill(self.pidfd.as_fd(), nix::sys::signal::Signal::SIGKILL);
    }
}

impl Drop for Init {
    fn drop(&mut self) {
        self.kill();
        // It ends when all others in its namespace have ended and were reaped, by their `Process`es' threads.
        // That takes a millisecond; a bound all the same, because a drop must not hang.
        let mut fds = [PollFd::new(self.pidfd.as_fd(), PollFlags::POLLIN)];
        let _ = poll(&mut fds, PollTimeout::from(2_000_u16));
        let _ = waitpid(self.pid, Some(WaitPidFlag::WNOHANG));
    }
}

/// Life of the first process: no memory is allocated and no lock taken, for it is the fork of one thread.
fn init_main() -> ! {
    // SAFETY: plain system calls on constants and on memory of this frame.
    unsafe {
        libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
        let mut all: libc::sigset_t = std::mem::zeroed();
        libc::sigfillset(&raw mut all);
        libc::sigprocmask(libc::SIG_SETMASK, &raw const all, std::ptr::null_mut());
        // Orphans need no reaping then.
        libc::signal(libc::SIGCHLD, libc::SIG_IGN);
        libc::setsid();
        libc::chdir(c"/".as_ptr());
        libc::prctl(libc::PR_SET_NAME, c"lab-init".as_ptr());
        // The copies of our open files would keep devices and sockets alive.
        libc::syscall(libc::SYS_close_range, 0, libc::c_uint::MAX, 0);
        // Where refused (masked /proc in a container), the outer one stays and serves nearly as well.
        libc::mount(
            c"proc".as_ptr(),
            c"/proc".as_ptr(),
            c"proc".as_ptr(),
            libc::MS_NOSUID | libc::MS_NODEV | libc::MS_NOEXEC,
            std::ptr::null(),
        );
        loop {
            libc::pause();
        }
    }
}

fn private_error<'a>(
    host: &'a str,
    action: &'static str,
    path: &'a Path,
) -> impl FnOnce(io::Error) -> Error + use<'a> {
    move |source| Error::Private { host: host.to_owned(), action, path: path.to_owned(), source }
}

fn propagation(host: &str, how: MsFlags) -> Result<(), Error> {
    let root = Path::new("/");
    mount(None::<&str>, root, None::<&str>, MsFlags::MS_REC | how, None::<&str>)
        .map_err(|e| private_error(host, "change the propagation of mounts below", root)(e.into()))
}

fn tmpfs(host: &str, path: &Path, mode: u32) -> Result<(), Error> {
    let options = format!("mode={mode:o}");
    mount(Some("tmpfs"), path, Some("tmpfs"), MsFlags::MS_NOSUID | MsFlags::MS_NODEV, Some(options.as_str()))
        .map_err(|e| private_error(host, "mount a private", path)(e.into()))
}

fn private_mounts(host: &str) -> Result<(), Error> {
    propagation(host, MsFlags::MS_PRIVATE)?;
    private_run(host)?;
    private_etc(host)?;
    for folder in STATE_FOLDERS.iter().map(Path::new) {
        if let Ok(meta) = fs::symlink_metadata(folder)
            && meta.is_dir()
        {
            tmpfs(host, folder, meta.mode() & 0o7777)?;
            let _ =
                nix::unistd::chown(folder, Some(Uid::from_raw(meta.uid())), Some(Gid::from_raw(meta.gid())));
        }
    }
    // Shows this network's interfaces. A user namespace may refuse it; then /sys keeps showing the outer ones.
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC | MsFlags::MS_RDONLY;
    let _ = mount(Some("sysfs"), "/sys", Some("sysfs"), flags, None::<&str>);
    // Only now: a copy of /etc that is shared would get what is mounted over /etc, too.
    propagation(host, MsFlags::MS_SHARED)
}

/// An empty `/run` with the folders that programs expect there, same owners and modes.
fn private_run(host: &str) -> Result<(), Error> {
    let run = Path::new("/run");
    let mut folders = Vec::new();
    for entry in fs::read_dir(run).map_err(private_error(host, "list", run))?.flatten() {
        if let Ok(meta) = entry.metadata()
            && meta.is_dir()
        {
            folders.push((entry.path(), meta));
        }
    }
    tmpfs(host, run, 0o755)?;
    for (path, meta) in folders {
        fs::create_dir(&path).map_err(private_error(host, "create", &path))?;
        // Unmapped owners of a user namespace cannot be given: the folder is ours then.
        let _ = nix::unistd::chown(&path, Some(Uid::from_raw(meta.uid())), Some(Gid::from_raw(meta.gid())));
        let _ = fs::set_permissions(&path, fs::Permissions::from_mode(meta.mode() & 0o7777));
    }
    Ok(())
}

/// A writable `/etc`: links into the real one (kept read-only), and private copies of what a network needs.
///
/// Not a bind mount over each file: resolver scripts replace `resolv.conf` by rename, which a mount refuses.
fn private_etc(host: &str) -> Result<(), Error> {
    let (etc, real) = (Path::new("/etc"), Path::new(REAL_ETC));
    fs::create_dir_all(real).map_err(private_error(host, "create", real))?;
    let bind = MsFlags::MS_BIND | MsFlags::MS_REC;
    mount(Some(etc), real, None::<&str>, bind, None::<&str>)
        .map_err(|e| private_error(host, "bind /etc to", real)(e.into()))?;
    // A precaution only: what is private is private without it.
    let read_only = MsFlags::MS_BIND | MsFlags::MS_REMOUNT | MsFlags::MS_RDONLY;
    let _ = mount(None::<&str>, real, None::<&str>, read_only, None::<&str>);
    tmpfs(host, etc, 0o755)?;

    for entry in fs::read_dir(real).map_err(private_error(host, "list", real))?.flatten() {
        let (from, to) = (entry.path(), etc.join(entry.file_name()));
        let Ok(kind) = entry.file_type() else { continue };
        if entry.file_name().to_str().is_some_and(|name| CONFIG_FOLDERS.contains(&name)) {
            copy_folder(&from, &to).map_err(private_error(host, "copy the configuration", &to))?;
            continue;
        }
        // A link is copied as it is: its target may be relative to /etc.
        let target = if kind.is_symlink() { fs::read_link(&from).unwrap_or(from) } else { from };
        std::os::unix::fs::symlink(&target, &to).map_err(private_error(host, "create the link", &to))?;
    }

    let nsswitch = fs::read_to_string(real.join("nsswitch.conf")).unwrap_or_default();
    let nsswitch: String = nsswitch
        .lines()
        .filter(|line| !line.starts_with("hosts:"))
        .chain(["hosts: files dns"])
        .flat_map(|line| [line, "\n"])
        .collect();
    let hosts = format!("::1 localhost ip6-localhost {host}\n127.0.0.1 localhost\n");
    for (name, text) in [
        ("resolv.conf", String::new()),
        ("hosts", hosts),
        ("nsswitch.conf", nsswitch),
        ("hostname", format!("{host}\n")),
    ] {
        let path = etc.join(name);
        let _ = fs::remove_file(&path);
        fs::write(&path, text).map_err(private_error(host, "write", &path))?;
    }
    Ok(())
}

/// Copies the files of a folder; deeper folders are linked to, and what cannot be read is left out.
fn copy_folder(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir(to)?;
    let Ok(entries) = fs::read_dir(from) else { return Ok(()) };
    for entry in entries.flatten() {
        let (path, copy) = (entry.path(), to.join(entry.file_name()));
        if entry.file_type().is_ok_and(|kind| kind.is_file()) {
            let _ = fs::copy(&path, &copy);
        } else {
            std::os::unix::fs::symlink(&path, &copy)?;
        }
    }
    Ok(())
}

fn single_threaded() -> Result<(), Error> {
    // Where /proc cannot be read the kernel itself refuses, less clearly.
    match fs::read_dir("/proc/self/task").map_or(1, Iterator::count) {
        0 | 1 => Ok(()),
        threads => Err(Error::Threads { threads }),
    }
}

/// Makes an ordinary user root of a new user namespace, so that the process may make networks; root stays as is.
///
/// To be called first in `main`: the kernel refuses it once there are threads.
///
/// # Errors
/// When there are threads, or user namespaces are not allowed.
pub fn become_root() -> Result<(), Error> {
    let (uid, gid) = (Uid::effective(), Gid::effective());
    if uid.is_root() {
        return Ok(());
    }
    single_threaded()?;
    unshare(CloneFlags::CLONE_NEWUSER).map_err(|e| Error::User { step: "unshare", source: e.into() })?;
    let write = |path: &'static str, text: String| {
        File::options()
            .write(true)
            .open(path)
            .and_then(|mut file| file.write_all(text.as_bytes()))
            .map_err(|source| Error::User { step: path, source })
    };
    write("/proc/self/uid_map", format!("0 {uid} 1"))?;
    // Without this an unprivileged process may not map its group.
    write("/proc/self/setgroups", "deny".to_owned())?;
    write("/proc/self/gid_map", format!("0 {gid} 1"))
}

/// Moves this process, and the programs it starts from now on, into the namespaces of process `pid`.
///
/// Meant for a short-lived process that then starts one program: only its children enter the PID namespace.
///
/// # Errors
/// When there are threads, the process is gone, or access is refused.
pub fn enter(pid: i32) -> Result<(), Error> {
    single_threaded()?;
    let failed = |source: io::Error| Error::Enter { pid, source };
    let pidfd = process::pidfd_open(Pid::from_raw(pid)).map_err(failed)?;
    let mut kinds = CloneFlags::CLONE_NEWNET
        | CloneFlags::CLONE_NEWNS
        | CloneFlags::CLONE_NEWUTS
        | CloneFlags::CLONE_NEWPID;
    // Entering the user namespace one is in already is refused.
    let theirs = fs::read_link(format!("/proc/{pid}/ns/user")).map_err(failed)?;
    if fs::read_link("/proc/self/ns/user").map_err(failed)? != theirs {
        kinds |= CloneFlags::CLONE_NEWUSER;
    }
    setns(pidfd, kinds).map_err(|e| failed(e.into()))
}
