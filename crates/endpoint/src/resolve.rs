//! Names to addresses.
//!
//! [`SystemResolver`] asks the system, as every other program on the machine does: `/etc/hosts`, DNS, mDNS,
//! whatever `nsswitch.conf` names. [`Resolve`] is the seam for another resolver. [`lookup`] is for simple
//! programs: both families at once, in the system's order (RFC 6724).
//!
//! ```no_run
//! # #[cfg(not(feature = "net"))]
//! # fn main() {}
//! # #[cfg(feature = "net")]
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use sixgate_endpoint::{Host, resolve};
//!
//! let host: Host = "www.example.com:8080".parse()?;
//! for endpoint in resolve::lookup(&host, 443)? {
//!     println!("{endpoint}");
//! }
//! # Ok(())
//! # }
//! ```
//!
//! **Errors.** `getaddrinfo` answers with numbers of its own (`EAI_*`). They are negative on Linux and no
//! `errno`: code that tests for `< 0`, prints `strerror`, or takes any failure for "no such host" is wrong in
//! one way or another. Here each is a [`ResolveFailure`], which tells whether a second try is worth it, and a
//! sentence that says what to do. "The name exists, but not in this family" is no error at all but an empty
//! list: half of the names of the world have no AAAA.
//!
//! **Zones** come back as the resolver gave them (mDNS and systemd-resolved do), and `fe80::1%eth0` is an
//! address with its zone kept as written. glibc takes no zone in `/etc/hosts`: it skips such a line.
//!
//! **`localhost`** is loopback in both families, and nobody is asked (RFC 6761 section 6.3).
//!
//! **`AI_ADDRCONFIG` is not used.** It hides AAAA records where the machine has no IPv6 address but
//! loopback's, and A records likewise (RFC 3493 section 6.1). So it breaks `::1` and link-local peers on
//! machines without a global address, takes a decision that RFC 6724 takes better (unreachable destinations
//! come last, rule 1), and its answer is wrong once the network has changed.

#[cfg(feature = "net")]
mod system;

#[cfg(feature = "net")]
pub use system::{SystemResolver, lookup};

use crate::{Endpoint, Family};
use std::fmt;

/// What finds the addresses of a name. It may block: the drivers call it on threads of its own, once for each
/// family.
pub trait Resolve: Send + Sync {
    /// The addresses of `name` in one family, in the order the resolver gave them, with zones where they have
    /// one and without ports. No address (the name exists, but not in this family) is `Ok` and empty.
    ///
    /// # Errors
    /// Where the resolver cannot tell, in words.
    fn resolve(&self, name: &str, family: Family) -> Result<Vec<Endpoint>, ResolveError>;
}

/// A name that could not be resolved.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("cannot resolve `{}` ({}): {reason}", name.escape_debug(), in_words(*family))]
#[non_exhaustive]
pub struct ResolveError {
    /// The name that was asked for.
    pub name: String,
    /// In which family; `None` where both were asked for at once.
    pub family: Option<Family>,
    /// What a program needs to know.
    pub failure: ResolveFailure,
    /// Why, in words, and what to do.
    pub reason: String,
}

fn in_words(family: Option<Family>) -> &'static str {
    match family {
        Some(Family::V4) => "IPv4",
        Some(Family::V6) => "IPv6",
        None => "both families",
    }
}

impl ResolveError {
    /// An error of a resolver.
    pub fn new(
        name: impl Into<String>,
        family: impl Into<Option<Family>>,
        failure: ResolveFailure,
        reason: impl Into<String>,
    ) -> Self {
        Self { name: name.into(), family: family.into(), failure, reason: reason.into() }
    }

    /// Whether the same question may be answered a little later.
    pub fn is_temporary(&self) -> bool {
        self.failure.is_temporary()
    }
}

/// Why a name could not be resolved.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ResolveFailure {
    /// The name does not exist (`EAI_NONAME`).
    NoSuchName,
    /// What was asked for is no name: empty, too long, with a zero inside, or a number that is no address.
    /// Nobody was asked.
    NotAName,
    /// No resolver answered, or it could not tell at the time (`EAI_AGAIN`).
    NoAnswer,
    /// A resolver refused, or answered nonsense (`EAI_FAIL`).
    Refused,
    /// The machine is short of memory or of file descriptors (`EAI_MEMORY`; `EAI_SYSTEM` with `ENOMEM`,
    /// `EMFILE`, `ENFILE`).
    Exhausted,
    /// The system does not have the family (`EAI_FAMILY`; `EAI_SYSTEM` with `EAFNOSUPPORT`).
    NoFamily,
    /// Another error of the system (`EAI_SYSTEM`), by its `errno`.
    System(i32),
    /// What should not happen (`EAI_BADFLAGS`, `EAI_SOCKTYPE`, `EAI_SERVICE`, `EAI_OVERFLOW`, numbers nobody
    /// knows), by its number.
    Unexpected(i32),
}

impl ResolveFailure {
    /// Whether the same question may be answered a little later.
    pub fn is_temporary(self) -> bool {
        /// `EINTR`, `EAGAIN`, `ECONNREFUSED`, `ETIMEDOUT`, `ENETUNREACH`, `EHOSTUNREACH`, `ENETDOWN`.
        const PASSING: [i32; 7] = [4, 11, 111, 110, 101, 113, 100];
        match self {
            Self::NoAnswer | Self::Exhausted => true,
            Self::System(errno) => PASSING.contains(&errno),
            Self::NoSuchName | Self::NotAName | Self::Refused | Self::NoFamily | Self::Unexpected(_) => false,
        }
    }
}

impl fmt::Display for ResolveFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoSuchName => f.pad("no such name"),
            Self::NotAName => f.pad("not a name"),
            Self::NoAnswer => f.pad("no answer"),
            Self::Refused => f.pad("refused"),
            Self::Exhausted => f.pad("out of memory or descriptors"),
            Self::NoFamily => f.pad("no such family here"),
            Self::System(errno) => write!(f, "system error {errno}"),
            Self::Unexpected(number) => write!(f, "unexpected error {number}"),
        }
    }
}
