//! A traced program's memory, and what /proc says of it.

use std::fs::File;
use std::io::{self, IoSliceMut, Read as _};
use std::path::PathBuf;

use nix::fcntl::{OFlag, openat, readlinkat};
use nix::sys::stat::Mode;
use nix::sys::uio::{RemoteIoVec, process_vm_readv};
use nix::unistd::Pid;

/// Longest file that is read.
const LONGEST: u64 = 1 << 20;

/// The /proc in which the kernel's numbers of processes are ours: the tracer itself lives where the machine's own /proc is.
#[derive(Debug)]
pub(super) struct Proc(File);

impl Proc {
    /// That of the calling thread.
    pub(super) fn open() -> io::Result<Self> {
        File::open("/proc").map(Self)
    }

    /// A file below; nothing where it cannot be read.
    pub(super) fn read(&self, path: &str) -> String {
        let mut text = String::new();
        if let Ok(fd) = openat(&self.0, path, OFlag::O_RDONLY | OFlag::O_CLOEXEC, Mode::empty()) {
            let _ = File::from(fd).take(LONGEST).read_to_string(&mut text);
        }
        text
    }

    /// Where a link below leads.
    pub(super) fn link(&self, path: &str) -> Option<PathBuf> {
        readlinkat(&self.0, path).ok().map(PathBuf::from)
    }
}

/// Reads `length` octets at `address`; fewer where its memory ends before. `None` where none can be read.
pub(super) fn read(thread: i32, address: u64, length: usize) -> Option<Vec<u8>> {
    let mut octets = vec![0; length];
    if length == 0 {
        return Some(octets);
    }
    let base = usize::try_from(address).ok()?;
    let remote = [RemoteIoVec { base, len: length }];
    let count = process_vm_readv(Pid::from_raw(thread), &mut [IoSliceMut::new(&mut octets)], &remote).ok()?;
    octets.truncate(count);
    (count > 0).then_some(octets)
}
