//! A plug-in as a whole, all that it starts included: less urgent than what keeps the network going, the first to go where memory is
//! short, and ended where it takes more than it may. What the kernel bounds (a cgroup) it bounds at once; what is looked at, a little later.

use crate::child::{self, Ended};
use nix::sys::resource::{Resource, setrlimit};
use nix::unistd::Pid;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Limits of each process: descriptors, memory and files that it writes, in octets; and processes of its user, by whomever started.
const LIMITS: [(Resource, u64); 5] = [
    (Resource::RLIMIT_NPROC, 256),
    (Resource::RLIMIT_NOFILE, 256),
    (Resource::RLIMIT_AS, 2 << 30),
    (Resource::RLIMIT_FSIZE, 16 << 20),
    (Resource::RLIMIT_CORE, 0),
];
/// Processes of a plug-in, whosoever's others of its user are.
const PROCESSES: usize = 256;
/// How often is looked.
const GLANCE: Duration = Duration::from_millis(50);
/// What we take ourselves, where the kernel counts us too, in octets and in threads.
const OURS: u64 = 32 << 20;
const OUR_THREADS: usize = 16;
/// Where cgroups are, and the one that is ours to make.
const CGROUPS: &str = "/sys/fs/cgroup";
const NAME: &str = "sixgate-plug-ins";

/// What bounds the programs that this process starts from now on. To be called while there is one thread.
///
/// # Errors
/// What the kernel says to a limit; where it has no cgroup for us, the others hold.
pub(super) fn bound() -> io::Result<Option<Cgroup>> {
    for (resource, most) in LIMITS {
        setrlimit(resource, most, most)
            .map_err(|error| io::Error::other(format!("{resource:?}: {error}")))?;
    }
    sixgate_linux::priority::lower();
    // Nobody needs a right to be the first to go; but /proc may be read only.
    if let Err(error) = fs::write("/proc/self/oom_score_adj", "1000") {
        crate::say(&format!("sixgate: plug-ins are not the first to go where memory is short: {error}\n"));
    }
    let own = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    Ok(Cgroup::enter(Path::new(CGROUPS), &own).ok())
}

/// A cgroup (version 2) in which we are, with all that we start. It goes with this.
#[derive(Debug)]
pub(super) struct Cgroup {
    folder: PathBuf,
    /// Where we were before.
    before: PathBuf,
}

impl Cgroup {
    /// Makes one beside our own and goes there. Only where that is ours to do: within a unit of systemd whose programs are in a group
    /// below it (`Delegate=yes` and `DelegateSubgroup=`), or at a root where memory and processes are counted already.
    fn enter(root: &Path, own: &str) -> io::Result<Self> {
        let none = || io::Error::from(io::ErrorKind::NotFound);
        let own = own.lines().find_map(|line| line.strip_prefix("0::/")).ok_or_else(none)?;
        let (above, is_ours) = match own.rsplit_once('/') {
            Some((unit, _)) if [".service", ".scope"].iter().any(|kind| unit.ends_with(kind)) => {
                (root.join(unit), true)
            }
            None if own.is_empty() => (root.to_owned(), false),
            _ => return Err(none()),
        };
        let control = above.join("cgroup.subtree_control");
        let on = fs::read_to_string(&control)?;
        if !["memory", "pids"].iter().all(|wanted| on.split_whitespace().any(|word| word == *wanted)) {
            if !is_ours {
                return Err(none());
            }
            fs::write(&control, "+memory +pids")?;
        }
        let group = Self { folder: above.join(NAME), before: root.join(own) };
        match fs::create_dir(&group.folder) {
            // Of one that was killed.
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            _ => {}
        }
        fs::write(group.folder.join("pids.max"), (PROCESSES + OUR_THREADS).to_string())?;
        fs::write(group.folder.join("cgroup.procs"), "0")?;
        Ok(group)
    }

    /// The most that all may take together, in octets, none of it swapped out.
    fn set_memory(&self, most: u64) -> io::Result<()> {
        // A kernel without swap has no such file.
        let _ = fs::write(self.folder.join("memory.swap.max"), "0");
        fs::write(self.folder.join("memory.max"), (most + OURS).to_string())
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        let _ = fs::write(self.before.join("cgroup.procs"), "0");
        let _ = fs::remove_dir(&self.folder);
    }
}

/// Looks at a plug-in while it runs.
#[derive(Debug)]
pub(super) struct Watch {
    /// Octets that all may take together.
    most: u64,
    looked: Instant,
}

impl Watch {
    /// For one that is about to begin, and may take so many octets.
    pub(super) fn new(most: u64, cgroup: Option<&Cgroup>) -> Self {
        if let Some(Err(error)) = cgroup.map(|cgroup| cgroup.set_memory(most)) {
            crate::say(&format!("sixgate: the cgroup of plug-ins does not take its limit: {error}\n"));
        }
        Self { most, looked: Instant::now() }
    }

    /// Why it is to be ended, if it is.
    pub(super) fn look(&mut self) -> Option<Ended> {
        if self.looked.elapsed() < GLANCE {
            return None;
        }
        let all = child::descendants(PROCESSES + 1);
        let taken = all.iter().map(|pid| memory(*pid)).sum::<u64>();
        // Afterwards: looking at many takes its time, and is not all that we do.
        self.looked = Instant::now();
        if all.len() > PROCESSES {
            return Some(Ended::TooMany);
        }
        (taken > self.most).then_some(Ended::TooLarge)
    }
}

/// What a process has in memory that is no file's, in octets. What several share counts for each.
fn memory(pid: Pid) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let kibibytes = |line: &str| {
        let rest = ["RssAnon:", "RssShmem:", "VmSwap:"].iter().find_map(|name| line.strip_prefix(name))?;
        rest.split_whitespace().next()?.parse::<u64>().ok()
    };
    status.lines().filter_map(kibibytes).sum::<u64>() * 1024
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cgroup_is_made_where_it_is_ours_to_make() {
        let root = tempfile::tempdir().unwrap();
        let make = |path: &str, on: &str| {
            let path = root.path().join(path);
            fs::create_dir_all(&path).unwrap();
            fs::write(path.join("cgroup.subtree_control"), on).unwrap();
        };
        let unit = "system.slice/sixgate.service";
        make(unit, "cpu\n");
        make("system.slice/sixgate.service/main", "");
        make("system.slice", "cpu memory pids\n");
        make("", "cpu\n");
        // Groups that systemd has for others are not ours to add to; and version 1 alone has none.
        let others =
            ["0::/system.slice/sixgate.service\n", "0::/user.slice/a\n", "4:memory:/x\n", "0::/\n", ""];
        for not_ours in others {
            assert!(Cgroup::enter(root.path(), not_ours).is_err(), "{not_ours}");
        }
        for _ in 0..2 {
            let group =
                Cgroup::enter(root.path(), "1:name=x:/y\n0::/system.slice/sixgate.service/main\n").unwrap();
            group.set_memory(64 << 20).unwrap();
            let read = |name: &str| fs::read_to_string(root.path().join(unit).join(name)).unwrap();
            assert_eq!(read("cgroup.subtree_control"), "+memory +pids");
            assert_eq!(read("sixgate-plug-ins/memory.max"), (96_u64 << 20).to_string());
            assert_eq!(
                (read("sixgate-plug-ins/pids.max"), read("sixgate-plug-ins/cgroup.procs")),
                ("272".to_owned(), "0".to_owned())
            );
        }
        // A root where they are counted already.
        make("", "memory pids\n");
        assert_eq!(Cgroup::enter(root.path(), "0::/\n").unwrap().folder, root.path().join(NAME));
        assert_eq!(
            fs::read_to_string(root.path().join("cgroup.procs")).unwrap(),
            "0",
            "we are back where we were"
        );
    }

    #[test]
    fn what_a_process_takes_is_read() {
        let us = Pid::this();
        let before = memory(us);
        assert!(before > 64 << 10);
        let more = std::hint::black_box(vec![1_u8; 64 << 20]);
        assert!(memory(us) > before + (32 << 20), "{} octets", more.len());
        assert_eq!(memory(Pid::from_raw(i32::MAX)), 0);
    }
}
