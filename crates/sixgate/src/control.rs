//! The control socket: a Unix socket with permissions. One request a connection: a line with the name of a view, or a
//! command: a name, a space and what is to be done. Who may write to the socket may change what a command changes. The answer is one
//! JSON document; an object with `error` where the request was none.

use crate::Outcome;
use serde::{Deserialize, Serialize};
use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixListener;
use tokio::sync::oneshot;

/// Longest request, in octets: room for some hundred clients by name.
const LONGEST_REQUEST: u64 = 16 * 1024;
/// How long a client may take to send its request.
const PATIENCE: Duration = Duration::from_secs(5);
/// Connections served at one time; more wait in the kernel's backlog.
const MOST_CLIENTS: usize = 16;

/// What an operator asks of leases: `lease` and this on the control socket.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
pub(crate) enum LeaseCommand {
    /// Gives a resource, or all that a client holds, to a client.
    Move { what: String, to: String },
    /// Ends the lease of a resource.
    Release { what: String },
}

/// What `sixgate pilot` has to be done. What is left out stays as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct PilotCommand {
    /// First of all: what the file says holds again.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(crate) file: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) percent: Option<u8>,
    /// Selectors; an empty list is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) only: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) except: Option<Vec<String>>,
}

/// What `sixgate reconfigure` asks for; neither a client nor a LAN stands for everybody.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ReconfigureCommand {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) client: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) lan: Option<String>,
    pub(crate) ask: crate::reconfigure::ComeBack,
}

/// An answer that says what is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Refused {
    pub(crate) error: String,
}

/// A view that somebody asked for, and where its JSON goes.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) view: String,
    pub(crate) answer: oneshot::Sender<String>,
}

/// Why the control socket could not be made.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ControlError {
    #[error("cannot make the control socket {}: {source}; make its folder writable, or set control = \"...\" in the configuration", path.display())]
    Bind { path: PathBuf, source: io::Error },
    #[error("{} is there already and is not a socket: it is left alone; set control = \"...\" in the configuration to another path", path.display())]
    NotSocket { path: PathBuf },
    #[error("another sixgate answers on the control socket {}; stop it, or set control = \"...\" in the configuration", path.display())]
    InUse { path: PathBuf },
    #[error(
        "there is no group `{0}` for the control socket; make it (groupadd --system {0}), or leave out control-group"
    )]
    NoGroup(String),
}

/// The listening socket; dropping it removes its file.
#[derive(Debug)]
pub(crate) struct Control {
    listener: Option<UnixListener>,
    path: PathBuf,
}

impl Control {
    /// Listens at `path`, readable and writable by root and by `group`.
    pub(crate) fn open(path: &Path, group: Option<&str>) -> Result<Self, ControlError> {
        let bind = |source| ControlError::Bind { path: path.to_owned(), source };
        let gid = match group {
            None => None,
            Some(name) => match nix::unistd::Group::from_name(name) {
                Ok(Some(found)) => Some(found.gid),
                _ => return Err(ControlError::NoGroup(name.to_owned())),
            },
        };
        if let Some(folder) =
            path.parent().filter(|folder| !folder.as_os_str().is_empty() && !folder.exists())
        {
            std::fs::create_dir_all(folder).map_err(bind)?;
            // Whatever the umask: the group must reach the socket, and the socket has a mode of its own.
            std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o755)).map_err(bind)?;
        }
        if UnixStream::connect(path).is_ok() {
            return Err(ControlError::InUse { path: path.to_owned() });
        }
        // A socket file whose owner was killed stays behind and would make bind fail. Anything else is somebody's.
        match std::fs::symlink_metadata(path) {
            Ok(found) if found.file_type().is_socket() => std::fs::remove_file(path).map_err(bind)?,
            Ok(_) => return Err(ControlError::NotSocket { path: path.to_owned() }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(bind(error)),
        }
        let listener = UnixListener::bind(path).map_err(bind)?;
        let mode = if gid.is_some() { 0o660 } else { 0o600 };
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).map_err(bind)?;
        if gid.is_some() {
            nix::unistd::chown(path, None, gid).map_err(|errno| bind(errno.into()))?;
        }
        Ok(Self { listener: Some(listener), path: path.to_owned() })
    }

    /// Takes the listener, to be served by [`serve`].
    pub(crate) fn take(&mut self) -> Option<UnixListener> {
        self.listener.take()
    }
}

impl Drop for Control {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

/// Hands each request to `ask`, until the task is dropped.
pub(crate) async fn serve<F, R>(listener: UnixListener, ask: F)
where
    F: Fn(Request) -> R + Clone + 'static,
    R: Future<Output = ()> + 'static,
{
    let room = std::sync::Arc::new(tokio::sync::Semaphore::new(MOST_CLIENTS));
    loop {
        let Ok(permit) = room.clone().acquire_owned().await else { return };
        let Ok((mut stream, _)) = listener.accept().await else {
            // Out of descriptors: accepting again at once would spin.
            tokio::time::sleep(Duration::from_millis(100)).await;
            continue;
        };
        let ask = ask.clone();
        tokio::task::spawn_local(async move {
            let _permit = permit;
            let request = async {
                let mut line = Vec::new();
                let (reading, mut writing) = stream.split();
                let mut reading = tokio::io::BufReader::new(reading).take(LONGEST_REQUEST);
                reading.read_until(b'\n', &mut line).await.ok()?;
                let (answer, answered) = oneshot::channel();
                ask(Request { view: String::from_utf8_lossy(&line).trim().to_owned(), answer }).await;
                let mut json = answered.await.ok()?;
                json.push('\n');
                writing.write_all(json.as_bytes()).await.ok()?;
                writing.shutdown().await.ok()
            };
            let _ = tokio::time::timeout(PATIENCE, request).await;
        });
    }
}

/// Gives a command, a word and what it takes, to the running sixgate: the socket, and the answer. What was refused is told.
///
/// # Errors
/// How the program that asked should end; the reason is on standard error.
pub(crate) fn give(
    view: &crate::cli::View,
    word: &str,
    command: &impl Serialize,
) -> Result<(PathBuf, String), Outcome> {
    let path = crate::control_socket(view)?;
    let command = serde_json::to_string(command).map_err(|error| crate::fail(&error.to_string()))?;
    let json = ask(&path, &format!("{word} {command}")).map_err(|error| crate::not_running(&path, &error))?;
    match serde_json::from_str::<Refused>(&json) {
        Ok(refused) => Err(crate::fail(&refused.error)),
        Err(_) => Ok((path, json)),
    }
}

/// Asks the sixgate that listens at `path` for `view`; its JSON.
pub(crate) fn ask(path: &Path, view: &str) -> io::Result<String> {
    let mut stream = UnixStream::connect(path)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    writeln!(stream, "{view}")?;
    let mut answer = String::new();
    // The answer ends with its line; anything longer than this is not one of ours.
    BufReader::new(stream).take(256 << 20).read_line(&mut answer).map_err(|error| match error.kind() {
        io::ErrorKind::WouldBlock => {
            io::Error::new(io::ErrorKind::TimedOut, format!("no answer within {PATIENCE:?}"))
        }
        _ => error,
    })?;
    if answer.is_empty() {
        return Err(io::Error::new(
            io::ErrorKind::UnexpectedEof,
            "it closed the connection without an answer",
        ));
    }
    Ok(answer)
}
