//! [`Failure`]: why an attempt did not connect.

use crate::{Family, Zone};
use std::fmt;

/// Why an attempt did not connect.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Failure {
    /// The peer answered that nothing listens there.
    Refused,
    /// The peer, or something on the way, cut the handshake off.
    Reset,
    /// A router on the way, or the link, said that there is no way on.
    Unreachable,
    /// A firewall on the way, or our own, said that this may not be.
    Prohibited,
    /// No answer at all, until the system gave up.
    TimedOut,
    /// This host has no route there. Nothing was sent.
    NoRoute,
    /// This host's kernel has not got the family. Nothing was sent.
    NoFamily(Family),
    /// The zone names no interface of this host. Nothing was sent.
    NoInterface(Zone),
    /// A link-local address without the interface it is on. Nothing was sent.
    NoZone,
    /// The chosen source address cannot be used. Nothing was sent.
    Source(String),
    /// The system has no socket to give, or will not. Nothing was sent.
    System(String),
    /// Something else, in the system's words.
    Other(String),
}

impl Failure {
    /// Whether nothing was sent: then the pace of RFC 8305 section 5 is not used up, for there is no load on
    /// the network.
    pub fn is_local(&self) -> bool {
        matches!(
            self,
            Self::NoRoute
                | Self::NoFamily(_)
                | Self::NoInterface(_)
                | Self::NoZone
                | Self::Source(_)
                | Self::System(_)
        )
    }

    /// Whether the whole family has no way out of this host.
    pub fn is_no_way(&self) -> bool {
        matches!(self, Self::NoRoute | Self::NoFamily(_))
    }

    /// What a person may do about it.
    pub fn advice(&self) -> &'static str {
        match self {
            Self::Refused => "check the port, and that the service runs and listens on this family",
            Self::Reset => "something closes the connection at once: check the service and firewalls",
            Self::Unreachable => "a router on the way has no route: check the address and the network",
            Self::Prohibited => "a firewall forbids it: check its rules for this family",
            Self::TimedOut => {
                "nothing answers: the address may be dead, or a firewall drops packets in silence"
            }
            Self::NoRoute => {
                "this host has no route of this family there: check its addresses and default route"
            }
            Self::NoFamily(_) => "the kernel has this family switched off: use the other one",
            Self::NoInterface(_) => "list the interfaces with `ip link` and correct what follows the %",
            Self::NoZone => "say on which link it is: fe80::1%eth0",
            Self::Source(_) => "check that the source address is one of this host's",
            Self::System(_) => "check the limits and permissions of this process",
            Self::Other(_) => "see the system's message",
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused => f.write_str("refused: nothing listens there"),
            Self::Reset => f.write_str("reset by the peer or a firewall"),
            Self::Unreachable => f.write_str("unreachable, says a router or the link"),
            Self::Prohibited => f.write_str("prohibited by a firewall"),
            Self::TimedOut => f.write_str("no answer"),
            Self::NoRoute => f.write_str("no route from this host"),
            Self::NoFamily(family) => write!(f, "this kernel has no {family}"),
            Self::NoInterface(zone) => write!(f, "there is no interface `{zone}`"),
            Self::NoZone => f.write_str("a link-local address without its interface"),
            Self::Source(reason) => write!(f, "cannot bind to the source address: {reason}"),
            Self::System(reason) => write!(f, "the system refuses a socket: {reason}"),
            Self::Other(reason) => f.write_str(reason),
        }
    }
}

impl std::error::Error for Failure {}
