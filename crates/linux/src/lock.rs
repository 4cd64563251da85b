//! The state directory: held by one process at a time, its files replaced atomically.

use std::ffi::OsString;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};

/// Name of the lock file within the directory.
const LOCK: &str = "lock";
/// How the name of a file ends that was not yet moved into its place.
const UNFINISHED: &str = ".unfinished";

/// Why a state directory cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Another process holds the directory.
    #[error(
        "the state directory {} is in use by {}; stop that process or give this one another directory",
        path.display(), pid.map_or_else(|| "another process".to_owned(), |pid| format!("process {pid}"))
    )]
    Held {
        /// The directory.
        path: PathBuf,
        /// Who holds it, where the lock file tells.
        pid: Option<u32>,
    },
    /// The system refused.
    #[error("cannot {action} {}: {source}; {}", path.display(), remedy(source))]
    Io {
        /// What was tried.
        action: &'static str,
        /// On which file.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
}

fn remedy(source: &io::Error) -> &'static str {
    match source.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => "its disk is full: free some room",
        io::ErrorKind::ReadOnlyFilesystem => {
            "its file system is read-only: mount it for writing, or use another directory"
        }
        _ => "check that the directory exists and that this user may write to it",
    }
}

/// A state directory, held until dropped (or until the process ends, however it ends: `flock(2)`).
#[derive(Debug)]
pub struct StateDirectory {
    path: PathBuf,
    /// Keeps the lock.
    _lock: Flock<File>,
}

impl StateDirectory {
    /// Makes the directory where it is missing (mode 0750), takes its lock without waiting, and removes what an
    /// earlier process left unfinished.
    pub fn hold(path: impl Into<PathBuf>) -> Result<Self, Error> {
        let path = path.into();
        let failed = |action, path: &Path| {
            let path = path.to_owned();
            move |source| Error::Io { action, path, source }
        };
        DirBuilder::new().recursive(true).mode(0o750).create(&path).map_err(failed("create", &path))?;
        let lock_path = path.join(LOCK);
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o640)
            .open(&lock_path)
            .map_err(failed("open", &lock_path))?;
        let mut lock = match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
            Ok(lock) => lock,
            Err((mut file, Errno::EWOULDBLOCK)) => {
                let mut text = String::new();
                // The holder may be about to write its number: then it stays unknown.
                let pid = match file.read_to_string(&mut text) {
                    Ok(_) => text.trim().parse().ok(),
                    Err(_) => None,
                };
                return Err(Error::Held { path, pid });
            }
            Err((_, errno)) => return Err(failed("lock", &lock_path)(errno.into())),
        };
        lock.set_len(0)
            .and_then(|()| writeln!(lock, "{}", std::process::id()))
            .map_err(failed("write", &lock_path))?;
        for entry in fs::read_dir(&path).map_err(failed("read", &path))? {
            let entry = entry.map_err(failed("read", &path))?;
            if entry.file_name().as_encoded_bytes().ends_with(UNFINISHED.as_bytes()) {
                fs::remove_file(entry.path()).map_err(failed("remove", &entry.path()))?;
            }
        }
        Ok(Self { path, _lock: lock })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Replaces the file `name` in the directory; see [`write_atomically`].
    pub fn write(&self, name: &str, bytes: &[u8]) -> Result<(), Error> {
        write_atomically(&self.path.join(name), bytes)
    }
}

/// Replaces a file (mode 0640) so that after a crash either the old or the new content is there, whole: written
/// beside it, synced, renamed over it, and the directory synced, since the rename is an entry of the directory.
pub fn write_atomically(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let mut name: OsString = path.as_os_str().to_owned();
    name.push(format!(".{}-{}{UNFINISHED}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed)));
    let unfinished = PathBuf::from(name);
    let failed = |action, source| Error::Io { action, path: path.to_owned(), source };
    let written = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o640)
        .open(&unfinished)
        .and_then(|mut file| file.write_all(bytes).and_then(|()| file.sync_all()))
        .and_then(|()| fs::rename(&unfinished, path));
    if let Err(source) = written {
        // The first error is the one to tell.
        let _ = fs::remove_file(&unfinished);
        return Err(failed("write", source));
    }
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(parent).and_then(|directory| directory.sync_all()).map_err(|source| failed("sync", source))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scratch(name: &str) -> PathBuf {
        let path = std::env::temp_dir().join(format!("sixgate-lock-{}-{name}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        path
    }

    #[test]
    fn one_holder_at_a_time_who_is_named() {
        let path = scratch("holder");
        let held = StateDirectory::hold(&path).unwrap();
        match StateDirectory::hold(&path) {
            Err(Error::Held { pid, .. }) => assert_eq!(pid, Some(std::process::id())),
            other => panic!("{other:?}"),
        }
        drop(held);
        drop(StateDirectory::hold(&path).unwrap());
        fs::remove_dir_all(&path).unwrap();
    }

    #[test]
    fn replaces_whole_files_and_clears_leftovers() {
        let path = scratch("write");
        let held = StateDirectory::hold(&path).unwrap();
        held.write("duid", b"first, and longer").unwrap();
        held.write("duid", b"second").unwrap();
        assert_eq!(fs::read(path.join("duid")).unwrap(), b"second");
        assert!(matches!(held.write("missing/duid", b""), Err(Error::Io { .. })));
        fs::write(path.join("duid.1-1.unfinished"), b"half").unwrap();
        drop(held);
        let _held = StateDirectory::hold(&path).unwrap();
        let mut names: Vec<_> =
            fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        assert_eq!(names, ["duid", "lock"]);
        fs::remove_dir_all(&path).unwrap();
    }
}
