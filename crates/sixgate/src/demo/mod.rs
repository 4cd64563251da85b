//! `sixgate lab demo`: a whole Internet on this machine, in namespaces; and `sixgate lab enter`, the way into it.
//!
//! Every box in it runs this same binary: the ISP and the gateway as `up` with LANs, the clients as `up` with an uplink
//! only. What is shown is what they tell on their control sockets. The second act (`act`) is a line that is busy.

mod act;
mod page;
mod picture;
mod world;

use crate::{Outcome, fail};
use clap::Args;
use picture::Picture;
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use world::World;

#[derive(Debug, Args)]
pub(crate) struct Demo {
    /// End as soon as both clients have fetched their page, instead of staying until Ctrl-C.
    #[arg(long)]
    pub(crate) once: bool,
    /// Print one JSON object a line instead of text.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Enter {
    /// The host: isp, gateway, server, alice, bob.
    #[arg(value_name = "HOST")]
    pub(crate) host: String,
    /// The program and its arguments; a shell where none is given.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "PROGRAM")]
    pub(crate) program: Vec<std::ffi::OsString>,
}

#[derive(Debug, Args)]
pub(crate) struct Fetch {
    /// The page, as http://HOST/.
    pub(crate) url: String,
}

/// How long the clients may take to fetch their page before the demonstration counts as failed.
const PATIENCE: Duration = Duration::from_secs(90);
/// How often everybody is asked what is new.
const GLANCE: Duration = Duration::from_millis(50);

/// Runs the demonstration.
pub(crate) fn command(arguments: &Demo) -> Outcome {
    let folder = folder();
    // Before any thread: only a single-threaded process may enter a user namespace.
    if !nix::unistd::geteuid().is_root()
        && let Err(error) = sixgate_lab::become_root()
    {
        eprintln!("sixgate: {error}");
        return Outcome::Refused;
    }
    let stopped = match stop_on_signal() {
        Ok(stopped) => stopped,
        Err(error) => return fail(&format!("cannot listen for Ctrl-C: {error}")),
    };
    let mut picture = Picture::new(arguments.json);
    let begun = Instant::now();
    let world = match make(&folder)
        .map_err(|error| error.to_string())
        .and_then(|()| World::build(&folder).map_err(|error| error.to_string()))
    {
        Ok(world) => world,
        Err(error) => {
            eprintln!("sixgate: {error}");
            return Outcome::Refused;
        }
    };
    picture.built(begun.elapsed());
    if let Err(error) = world.start() {
        return fail(&error.to_string());
    }
    let done = watch(&world, &mut picture, &stopped);
    let outcome = match done {
        Ok(true) if arguments.once => second_act(&mut picture, &stopped),
        Ok(true) => {
            let played = second_act(&mut picture, &stopped);
            if !stopped.load(Ordering::Relaxed) {
                picture.poke(&world.names());
            }
            while !stopped.load(Ordering::Relaxed) {
                // Little happens now, and whoever measures the gateway should not measure us.
                std::thread::sleep(GLANCE * 5);
                world.watch(&mut picture);
            }
            played
        }
        Ok(false) => Outcome::Failed,
        Err(error) => fail(&error),
    };
    let ending = Instant::now();
    world.stop();
    drop(world);
    picture.gone(ending.elapsed());
    outcome
}

/// Watches until both clients have their page: `true`; or Ctrl-C: `false`.
fn watch(world: &World, picture: &mut Picture, stopped: &AtomicBool) -> Result<bool, String> {
    let begun = Instant::now();
    loop {
        if stopped.load(Ordering::Relaxed) {
            return Ok(false);
        }
        world.watch(picture);
        if world.fetch(picture)? {
            return Ok(true);
        }
        if let Some(failure) = world.failure() {
            return Err(failure);
        }
        if begun.elapsed() > PATIENCE {
            return Err(format!(
                "no page after {} s; what the gateway said last:\n{}",
                PATIENCE.as_secs(),
                world.last_words()
            ));
        }
        std::thread::sleep(GLANCE);
    }
}

/// The second act: a busy line, without and with our queue. Where this machine cannot play it, that is said, and nothing else is lost.
fn second_act(picture: &mut Picture, stopped: &Arc<AtomicBool>) -> Outcome {
    if let Err(why) = act::play(picture, stopped)
        && !stopped.load(Ordering::Relaxed)
    {
        picture.no_second_act(&why);
    }
    Outcome::Done
}

/// A flag that Ctrl-C and SIGTERM set.
pub(crate) fn stop_on_signal() -> io::Result<Arc<AtomicBool>> {
    let stopped = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&stopped);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (tell, listening) = std::sync::mpsc::channel();
    std::thread::Builder::new().name("signals".to_owned()).spawn(move || {
        runtime.block_on(async {
            use tokio::signal::unix::{SignalKind, signal};
            let signals = signal(SignalKind::interrupt())
                .and_then(|interrupt| Ok((interrupt, signal(SignalKind::terminate())?)));
            let (mut interrupt, mut terminate) = match signals {
                Ok(signals) => signals,
                Err(error) => return drop(tell.send(Err(error))),
            };
            let _ = tell.send(Ok(()));
            tokio::select! { _ = interrupt.recv() => (), _ = terminate.recv() => () }
            flag.store(true, Ordering::Relaxed);
        });
    })?;
    // A signal that came sooner would end the process where it stands.
    listening.recv().map_err(io::Error::other)??;
    Ok(stopped)
}

/// `sixgate lab fetch`.
pub(crate) fn fetch(arguments: &Fetch) -> Outcome {
    match page::fetch_here(&arguments.url) {
        Ok(line) => crate::print(&line),
        Err(error) => fail(&format!("cannot fetch {}: {error}", arguments.url)),
    }
}

/// Where running demonstrations are written down: one folder for each user. To be asked before a user namespace is entered.
fn folder() -> PathBuf {
    if nix::unistd::geteuid().is_root() {
        return PathBuf::from("/run/sixgate-labs");
    }
    match std::env::var_os("XDG_RUNTIME_DIR") {
        Some(folder) => PathBuf::from(folder).join("sixgate-labs"),
        None => std::env::temp_dir().join(format!("sixgate-labs-{}", nix::unistd::getuid())),
    }
}

/// Makes the folder, for its user only. In a folder of somebody else's we would enter what they wrote down.
fn make(folder: &Path) -> io::Result<()> {
    match std::fs::DirBuilder::new().mode(0o700).create(folder) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => owned(folder),
        made => made,
    }
    .map_err(|error| io::Error::other(format!("cannot use the folder {}: {error}", folder.display())))
}

/// Whether a folder is a folder, and ours.
fn owned(folder: &Path) -> io::Result<()> {
    let found = std::fs::symlink_metadata(folder)?;
    if found.is_dir() && found.uid() == nix::unistd::geteuid().as_raw() {
        return Ok(());
    }
    Err(io::Error::new(io::ErrorKind::PermissionDenied, "it belongs to somebody else; remove it"))
}

/// Runs a program inside a host of the running demonstration.
pub(crate) fn enter(arguments: &Enter) -> Outcome {
    let pid = match find(&arguments.host) {
        Ok(pid) => pid,
        Err(message) => {
            eprintln!("sixgate: {message}");
            return Outcome::NotRunning;
        }
    };
    if let Err(error) = sixgate_lab::enter(pid) {
        eprintln!("sixgate: {error}");
        return Outcome::Refused;
    }
    let shell = || std::env::var_os("SHELL").unwrap_or_else(|| "/bin/sh".into());
    let (program, rest) = match arguments.program.split_first() {
        Some((program, rest)) => (program.clone(), rest),
        None => (shell(), &[][..]),
    };
    // `sixgate` inside means this binary, wherever it lies.
    let program = if program == "sixgate" { world::binary() } else { program };
    let mut command = Command::new(&program);
    command.args(rest).env("SIXGATE_LAB_HOST", &arguments.host).current_dir("/");
    // A new PID namespace takes only children, so this process stays outside as their parent.
    match command.status() {
        Ok(status) if status.success() => Outcome::Done,
        Ok(_) => Outcome::Failed,
        Err(error) => fail(&format!("cannot run {}: {error}", program.display())),
    }
}

/// The process to enter for a host of any running demonstration.
fn find(host: &str) -> Result<i32, String> {
    let none = || "no demonstration runs: start one with `sixgate lab demo`".to_owned();
    let mut known = Vec::new();
    let folder = folder();
    owned(&folder).map_err(|_| none())?;
    for entry in std::fs::read_dir(&folder).map_err(|_| none())?.flatten() {
        let Ok(text) = std::fs::read_to_string(entry.path()) else { continue };
        let Ok(state) = serde_json::from_str::<serde_json::Value>(&text) else { continue };
        let Some(hosts) = state.get("hosts").and_then(serde_json::Value::as_object) else { continue };
        let runs = |pid: &serde_json::Value| {
            pid.as_i64().is_some_and(|pid| std::path::Path::new(&format!("/proc/{pid}/ns/net")).exists())
        };
        if let Some(pid) = hosts.get(host).filter(|pid| runs(pid)).and_then(serde_json::Value::as_i64) {
            return i32::try_from(pid).map_err(|_| none());
        }
        known.extend(hosts.iter().filter(|(_, pid)| runs(pid)).map(|(name, _)| name.clone()));
    }
    if known.is_empty() {
        Err(none())
    } else {
        Err(format!("there is no host `{host}`; there are: {}", known.join(", ")))
    }
}
