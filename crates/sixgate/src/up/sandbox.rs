//! What `up` gives up: capabilities that it has no use for before anything starts, and once it serves all but those that keep
//! the network going, and every system call that it does not make.

use super::DATABASE;
use crate::config::Config;
use nix::fcntl::{AT_FDCWD, AtFlags};
use nix::unistd::{AccessFlags, faccessat};
use sixgate_linux::sandbox::{self, Capabilities, Capability, Error, Filter};
use std::path::Path;

/// For starting: interfaces, rules and routes; ICMPv6; ports 53 and 547; folders and a socket's
/// group that may be another's; the name of the program that has a port which we want; and an urgent thread for a queue.
const STARTING: [Capability; 8] = [
    Capability::NetAdmin,
    Capability::NetRaw,
    Capability::NetBindService,
    Capability::DacOverride,
    Capability::Chown,
    Capability::Fowner,
    Capability::SysPtrace,
    Capability::SysNice,
];

/// To be called while there is one thread: keeps what starting takes.
pub(crate) fn before_start() -> Result<(), Error> {
    let kept = sandbox::keep(STARTING.into())?;
    tracing::debug!(capabilities = %kept, "kept for starting");
    Ok(())
}

/// Runs `open` on a thread that may use the files of the state folder and nothing else; so may the threads it starts.
pub(crate) fn with_state_alone<T: Send>(
    config: &Config,
    open: impl FnOnce() -> T + Send,
) -> Result<T, Error> {
    let kept = for_files(&[(&config.state, Use::Write), (&config.state.join(DATABASE), Use::Write)])?;
    sandbox::confined(kept, open)
}

/// To be called when everything is open: from here on routes, rules and addresses are all that is privileged.
pub(crate) fn when_serving(config: &Config) -> Result<(), Error> {
    let database = config.state.join(DATABASE);
    let mut files = vec![
        // Read again on SIGHUP.
        (config.path.as_path(), Use::Read),
        (config.state.as_path(), Use::Write),
        (database.as_path(), Use::Write),
    ];
    // Removed at the end.
    files.extend(config.control.parent().map(|folder| (folder, Use::Write)));
    files.extend(
        (config.uplink.iter().filter_map(|uplink| uplink.resolv_conf.as_deref()))
            .map(|path| (path, Use::Write)),
    );
    let kept = sandbox::keep(for_files(&files)?.with(Capability::NetAdmin))?;
    let ipv4 = config.needs_ipv4();
    match Filter::new().ipv4(ipv4).apply() {
        Ok(()) => sandbox::verify(kept)?,
        Err(error) => tracing::warn!(%error, "going on without a filter of system calls"),
    }
    tracing::debug!(capabilities = %kept, ipv4, "confined");
    Ok(())
}

#[derive(Debug, Clone, Copy)]
enum Use {
    Read,
    Write,
}

/// The capability that using `files` takes, if it takes one: root needs none for what is root's own.
fn for_files(files: &[(&Path, Use)]) -> Result<Capabilities, Error> {
    // The kernel is asked by a thread that has none.
    let all =
        sandbox::confined(Capabilities::NONE, || files.iter().all(|(path, wanted)| usable(path, *wanted)))?;
    Ok(if all { Capabilities::NONE } else { [Capability::DacOverride].into() })
}

fn usable(path: &Path, wanted: Use) -> bool {
    let (path, access) = match (wanted, path.try_exists()) {
        (Use::Read, _) => (path, AccessFlags::R_OK),
        // It will be made.
        (Use::Write, Ok(false)) => match path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
            Some(parent) => (parent, AccessFlags::W_OK),
            None => (Path::new("."), AccessFlags::W_OK),
        },
        (Use::Write, _) => (path, AccessFlags::W_OK),
    };
    faccessat(AT_FDCWD, path, access, AtFlags::AT_EACCESS).is_ok()
}
