//! What can go wrong, and what is worth a warning.

use super::Transport;
use crate::{Endpoint, Family};
use std::fmt;

/// A listener that could not be opened.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("cannot listen on {transport} {endpoint}: {reason}")]
#[non_exhaustive]
pub struct ListenError {
    /// TCP or UDP.
    pub transport: Transport,
    /// Where.
    pub endpoint: Endpoint,
    /// What a program needs to know.
    pub failure: ListenFailure,
    /// Why, in words, and what to do.
    pub reason: String,
}

/// Why a listener could not be opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ListenFailure {
    /// Nothing was asked for: no address at all, or one without a port.
    Nothing,
    /// The port is taken (`EADDRINUSE`).
    InUse,
    /// The port needs a privilege (`EACCES`), or a sandbox forbids it (`EPERM`).
    Permission,
    /// The address is not on this machine (`EADDRNOTAVAIL`).
    NoSuchAddress,
    /// The interface of the zone is not there, or a link-local address has no zone.
    NoSuchZone,
    /// The system does not have the family (`EAFNOSUPPORT`).
    NoFamily,
    /// Out of file descriptors or memory.
    Exhausted,
    /// The kernel has opened something else than was asked for.
    Mismatch,
    /// Another error of the system, by its `errno`.
    System(i32),
}

/// A family that is not served, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Missing {
    /// Which one.
    pub family: Family,
    /// Why, in words.
    pub reason: String,
}

/// What is not as it should be, although it works. None is a refusal.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Warning {
    /// A family is not served.
    Missing(Missing),
    /// A service on a link-local address.
    LinkLocal(Endpoint),
    /// The address or interface is not there yet.
    NotYet {
        /// Where.
        endpoint: Endpoint,
        /// Why, in words.
        reason: String,
    },
    /// The kernel's table of sockets cannot be read; what the socket itself says is as it should be.
    Unverified {
        /// Where.
        endpoint: Endpoint,
        /// Why, in words.
        reason: String,
    },
    /// The kernel does not tell when an interface comes back; [`refresh`](super::Listeners::refresh) has to
    /// be called.
    Unwatched {
        /// Why, in words.
        reason: String,
    },
    /// What [`refresh`](super::Listeners::refresh) did by itself.
    Refreshed(Refreshed),
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing(Missing { family, reason }) => {
                write!(f, "{family} is not served: {reason}; {} alone is", family.other())
            }
            Self::LinkLocal(endpoint) => write!(
                f,
                "{endpoint} is a link-local address: only machines on the same link reach it, each under a \
                 zone of its own, and the more share that link, the more hear of it; DNS cannot name it. Use \
                 a global or a unique local address unless that is what you mean"
            ),
            Self::NotYet { endpoint, reason } => {
                write!(f, "{endpoint} is not there yet: {reason}; it is served as soon as it comes")
            }
            Self::Unverified { endpoint, reason } => {
                write!(
                    f,
                    "{endpoint} listens as asked, but could not be looked up in the kernel's table: {reason}"
                )
            }
            Self::Unwatched { reason } => {
                write!(
                    f,
                    "listeners on an interface that is removed and comes back are not opened again: {reason}"
                )
            }
            Self::Refreshed(refreshed) => refreshed.fmt(f),
        }
    }
}

/// What was done about a listener whose interface came or went.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Refreshed {
    /// It is open: for the first time, or again on an interface that came back.
    Opened(Endpoint),
    /// Its interface has gone.
    Lost {
        /// Where.
        endpoint: Endpoint,
        /// Why, in words.
        reason: String,
    },
}

impl fmt::Display for Refreshed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Opened(endpoint) => write!(f, "{endpoint} is served now"),
            Self::Lost { endpoint, reason } => write!(f, "{endpoint} is not served any more: {reason}"),
        }
    }
}
