//! The licence to tell clients that they can live without IPv4.

use ipnet::Ipv6Net;
use sixgate_wire::dhcpv4::MIN_V6ONLY_WAIT;
use std::time::Duration;

/// On a link that has this, a client that asks for option 108 may be told to do without IPv4 (RFC 8925). It
/// cannot be made without a translation prefix: servers that sent option 108 where there was no NAT64 have
/// cut hosts off from the IPv4 Internet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ipv6Mostly {
    pref64: Ipv6Net,
    wait: u32,
}

/// Why a link cannot be IPv6-mostly.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Ipv6MostlyError {
    /// There is no translation.
    #[error(
        "option 108 asks clients to give up IPv4, and without NAT64 they would lose every server that has only \
         IPv4: turn NAT64 on, or announce the PREF64 of a NAT64 elsewhere (RFC 8781), or leave IPv6-mostly off"
    )]
    NoTranslation,
    /// The prefix has a length that RFC 6052 does not know.
    #[error("{prefix} cannot be a translation prefix: RFC 6052 knows the lengths 32, 40, 48, 56, 64 and 96")]
    PrefixLength {
        /// The prefix.
        prefix: Ipv6Net,
    },
    /// The wait is shorter than clients take it.
    #[error(
        "clients wait at least {MIN_V6ONLY_WAIT} seconds before they ask for IPv4 again, whatever they are told \
         (RFC 8925 section 3.4), and {seconds} would promise a faster way back: give {MIN_V6ONLY_WAIT} or more"
    )]
    Wait {
        /// The wait in seconds.
        seconds: u64,
    },
}

impl Ipv6Mostly {
    /// For a link whose clients reach IPv4 through NAT64 with this prefix. `wait` is V6ONLY_WAIT: how long a
    /// client does without IPv4 before it asks again, and so the longest time that the way back takes. Not
    /// longer than a lease, if the pilot shall be over within one. [`sixgate_wire::dhcpv4::V6ONLY_WAIT`] is
    /// the RFC's own.
    ///
    /// # Errors
    /// [`Ipv6MostlyError`]: no prefix, one that is none, or a wait that clients would not heed.
    pub fn new(pref64: Option<Ipv6Net>, wait: Duration) -> Result<Self, Ipv6MostlyError> {
        let pref64 = pref64.ok_or(Ipv6MostlyError::NoTranslation)?;
        if ![32, 40, 48, 56, 64, 96].contains(&pref64.prefix_len()) {
            return Err(Ipv6MostlyError::PrefixLength { prefix: pref64 });
        }
        let seconds = wait.as_secs();
        if seconds < u64::from(MIN_V6ONLY_WAIT) {
            return Err(Ipv6MostlyError::Wait { seconds });
        }
        Ok(Self { pref64: pref64.trunc(), wait: u32::try_from(seconds).unwrap_or(u32::MAX) })
    }

    /// The prefix under which clients find IPv4.
    pub fn pref64(&self) -> Ipv6Net {
        self.pref64
    }

    /// V6ONLY_WAIT in seconds.
    pub fn wait(&self) -> u32 {
        self.wait
    }
}
