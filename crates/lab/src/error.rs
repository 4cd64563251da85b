use std::io;
use std::path::PathBuf;
use std::time::Duration;

use sixgate_linux::{namespace, process};

/// What can go wrong in a lab.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A machine could not be made.
    #[error(transparent)]
    Namespace(#[from] namespace::Error),
    /// A program failed.
    #[error(transparent)]
    Process(#[from] process::Error),
    /// A name cannot be used.
    #[error("{what} {name:?} cannot be used: {rule}")]
    Name {
        /// What was to be named.
        what: &'static str,
        /// The name.
        name: String,
        /// What names must be like.
        rule: &'static str,
    },
    /// The kernel refused a change of a machine's network.
    #[error("cannot {action} on host {host}: {source}")]
    Network {
        /// Name of the machine.
        host: String,
        /// What was tried.
        action: String,
        /// The kernel's answer.
        source: io::Error,
    },
    /// Two ends of a link belong to different labs, or a probability is none.
    #[error("link {link}: {problem}")]
    Link {
        /// Both ends.
        link: String,
        /// What is wrong, and what would be right.
        problem: &'static str,
    },
    /// What was awaited did not happen.
    #[error("waited {waited:?} for {what}, in vain\n{state}")]
    Timeout {
        /// What was awaited.
        what: String,
        /// How long.
        waited: Duration,
        /// What things looked like in the end.
        state: String,
    },
    /// A file of the lab could not be written or read.
    #[error("cannot {action} {}: {source}", path.display())]
    File {
        /// What was tried.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// The kernel's answer.
        source: io::Error,
    },
    /// A capture could not be read.
    #[error("tshark cannot read {}: {problem}", path.display())]
    Capture {
        /// The file.
        path: PathBuf,
        /// What tshark said.
        problem: String,
    },
    /// A capture holds packets that are malformed, or that tshark's experts call errors.
    #[error("{count} bad packets in {}; the first: {first}", path.display())]
    BadPackets {
        /// The file.
        path: PathBuf,
        /// How many.
        count: usize,
        /// The first of them.
        first: String,
    },
}

pub(crate) fn file_error(action: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Error {
    let path = path.into();
    move |source| Error::File { action, path, source }
}
