//! The folder of a lab's files; folders left behind by killed processes are removed by the next lab.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use nix::fcntl::{Flock, FlockArg};

use crate::Error;
use crate::error::file_error;

const PREFIX: &str = "sixgate-lab-";
const LOCK: &str = "lock";
const UNLOCKED: &str = "lock.new";

#[derive(Debug)]
pub(crate) struct Folder {
    folder: tempfile::TempDir,
    _lock: Flock<File>,
}

impl Folder {
    pub(crate) fn new(lab: &str) -> Result<Self, Error> {
        let parent = std::env::temp_dir();
        sweep(&parent);
        let folder = tempfile::Builder::new()
            .prefix(&format!("{PREFIX}{lab}-"))
            .tempdir_in(&parent)
            .map_err(file_error("create a folder in", &parent))?;
        // It has its name once it is locked: else another lab's sweep takes it, and the folder, between the two.
        let path = folder.path().join(UNLOCKED);
        let file = File::create(&path).map_err(file_error("create", &path))?;
        let lock = Flock::lock(file, FlockArg::LockExclusiveNonblock)
            .map_err(|(_, e)| file_error("lock", &path)(e.into()))?;
        fs::rename(&path, folder.path().join(LOCK)).map_err(file_error("rename", &path))?;
        Ok(Self { folder, _lock: lock })
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }
}

/// Removes what killed processes left. A folder without a lock file is just being made, or removed.
fn sweep(parent: &Path) {
    let Ok(entries) = fs::read_dir(parent) else { return };
    let ours = |entry: &fs::DirEntry| entry.file_name().to_str().is_some_and(|name| name.starts_with(PREFIX));
    for folder in entries.flatten().filter(ours).map(|entry| entry.path()) {
        let _ = remove_if_abandoned(folder);
    }
}

fn remove_if_abandoned(folder: PathBuf) -> std::io::Result<()> {
    let file = File::options().write(true).open(folder.join(LOCK))?;
    let _lock = Flock::lock(file, FlockArg::LockExclusiveNonblock).map_err(|(_, e)| e)?;
    fs::remove_dir_all(folder)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A folder that is being made is not taken for one that was left behind.
    #[test]
    fn labs_that_begin_together_keep_their_folders() {
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for _ in 0..200 {
                        let folder = Folder::new("together").unwrap();
                        assert!(folder.path().join(LOCK).exists(), "{} was swept", folder.path().display());
                    }
                });
            }
        });
    }
}
