//! What several of these tests stand on.

use nix::sched::{CloneFlags, unshare};
use nix::unistd::Uid;
use std::thread;

/// Runs a test on a thread in a network namespace of its own.
pub(crate) fn isolated(test: impl FnOnce() + Send + 'static) {
    let body = move || {
        // A thread of a process with several cannot make a user namespace: without root there is no test.
        assert!(Uid::effective().is_root(), "these tests need root: `unshare -rn` gives it");
        unshare(CloneFlags::CLONE_NEWNET).unwrap();
        test();
    };
    thread::spawn(body).join().unwrap();
}
