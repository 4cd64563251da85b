//! Whether a family reaches the world.
//!
//! ```no_run
//! use sixgate_endpoint::online::Check;
//! use std::time::Duration;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let online = Check::new().probe("www.example.com:443".parse()?).timeout(Duration::from_secs(2)).run();
//! println!("{online}");
//! if !online.any() {
//!     println!("no network; what is saved here will be sent later");
//! }
//! # Ok(())
//! # }
//! ```
//!
//! The check that everybody copies connects to an IPv4 literal, or asks for a route to `0.0.0.0`. It says
//! "offline" on each IPv6-only network, where every server, IPv4-only ones included, is reached *by name*
//! through DNS64 and NAT64. So here:
//!
//! * each family is asked by itself, and [`Online::any`] is true where *either* works;
//! * a probe is a name, never an address, and connects as the program itself would;
//! * without probes the kernel is asked alone: has it a route, and a source address that the world can
//!   answer? Not one packet is sent;
//! * where IPv4 has no route of its own, the network is asked for its NAT64 prefix (RFC 7050), and a CLAT
//!   (RFC 6877) is told from native IPv4 by its address (RFC 7335).
//!
//! **Better than to ask is to try.** That a check succeeded says nothing about the next connection. Use it to
//! explain a failure or to choose what to show, not to decide whether to connect.

mod probe;

use crate::nat64::Prefix;
use crate::resolve::{Resolve, SystemResolver};
use crate::{Endpoint, Family, Host};
use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, UdpSocket};
use std::sync::Arc;
use std::time::Duration;

/// Whether any family reaches the world, as far as the kernel knows: it has a route and a usable source
/// address. No packet is sent, nothing waits.
pub fn is_online() -> bool {
    Family::BOTH.into_iter().any(|family| route(family, representative(family)).is_ok())
}

/// How a family reaches the world.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum State {
    /// A probe was answered.
    Reached {
        /// By whom.
        peer: Endpoint,
    },
    /// There is a route and a source address. No probe was tried, or the names have no address of this
    /// family.
    Routed {
        /// The source address of what is sent.
        source: Endpoint,
    },
    /// IPv4 by a translator of the network, under synthesised IPv6 addresses (RFC 6146, RFC 7050): by name,
    /// or with [`Prefix::synthesise`].
    Nat64 {
        /// The translator's prefix.
        prefix: Prefix,
        /// Who answered a probe.
        peer: Option<Endpoint>,
    },
    /// IPv4 by a translator on this machine (RFC 6877), which the network's NAT64 continues.
    Clat {
        /// The source address of what is sent.
        source: Endpoint,
        /// Who answered a probe.
        peer: Option<Endpoint>,
    },
    /// There is a route, and no probe was answered.
    Unanswered {
        /// What the last one met, in words.
        reason: String,
    },
    /// There is no way.
    None {
        /// Why, in words.
        reason: String,
    },
}

impl State {
    /// Whether the family can be used, by all that is known.
    pub fn is_usable(&self) -> bool {
        !matches!(self, Self::Unanswered { .. } | Self::None { .. })
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Reached { peer } => write!(f, "works, {peer} answered"),
            Self::Routed { source } => write!(f, "has a route, from {source}; nobody was asked"),
            Self::Nat64 { prefix, peer: Some(peer) } => {
                write!(f, "works through NAT64 ({prefix}), {peer} answered")
            }
            Self::Nat64 { prefix, peer: None } => {
                write!(f, "goes through NAT64 ({prefix}), by name; nobody was asked")
            }
            Self::Clat { source, peer: Some(peer) } => {
                write!(f, "works through a CLAT, from {source}, {peer} answered")
            }
            Self::Clat { source, peer: None } => {
                write!(f, "goes through a CLAT, from {source}; nobody was asked")
            }
            Self::Unanswered { reason } => write!(f, "has a route, but does not work: {reason}"),
            Self::None { reason } => write!(f, "does not work: {reason}"),
        }
    }
}

/// How each family reaches the world.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Online {
    /// IPv6.
    pub v6: State,
    /// IPv4.
    pub v4: State,
}

impl Online {
    /// Whether either family can be used.
    pub fn any(&self) -> bool {
        self.v6.is_usable() || self.v4.is_usable()
    }

    /// One family.
    pub fn of(&self, family: Family) -> &State {
        match family {
            Family::V6 => &self.v6,
            Family::V4 => &self.v4,
        }
    }
}

impl fmt::Display for Online {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "IPv6 {}\nIPv4 {}", self.v6, self.v4)
    }
}

/// Connects to an endpoint within a time, and forgets the connection.
type Connect = Arc<dyn Fn(Endpoint, Duration) -> io::Result<()> + Send + Sync>;

/// What to check, and how.
#[derive(Clone)]
pub struct Check {
    probes: Vec<Host>,
    timeout: Duration,
    resolver: Arc<dyn Resolve>,
    connect: Connect,
}

impl fmt::Debug for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Check").field("probes", &self.probes).finish_non_exhaustive()
    }
}

impl Default for Check {
    fn default() -> Self {
        Self::new()
    }
}

impl Check {
    /// Asks the kernel alone; and where IPv4 has no route, the resolver for a NAT64 prefix.
    pub fn new() -> Self {
        /// Longer than a handshake around the world, with one retransmission (RFC 6298 section 2).
        const TIMEOUT: Duration = Duration::from_secs(3);
        let connect: Connect = Arc::new(probe::tcp);
        Self { probes: Vec::new(), timeout: TIMEOUT, resolver: Arc::new(SystemResolver), connect }
    }

    /// Connects to this name, by each family; the port is 443 where it has none. A family works where one of
    /// several names answers.
    ///
    /// A host that is an address tests its own family alone: on an IPv6-only network an IPv4 address is no
    /// test of anything.
    #[must_use]
    pub fn probe(mut self, host: Host) -> Self {
        /// More would not fit the time.
        const MAX_PROBES: usize = 8;
        if self.probes.len() < MAX_PROBES {
            self.probes.push(host);
        }
        self
    }

    /// For how long to wait for answers in all, 3 seconds unless said otherwise. A thread that waits for a
    /// resolver may stay behind until that gives up.
    #[must_use]
    pub fn timeout(self, timeout: Duration) -> Self {
        Self { timeout, ..self }
    }

    /// Asks this resolver instead of the system's.
    #[must_use]
    pub fn resolver(self, resolver: impl Resolve + 'static) -> Self {
        Self { resolver: Arc::new(resolver), ..self }
    }

    /// Connects so instead of by plain TCP, through a proxy or with a handshake for instance. It shall keep
    /// to the time it is given.
    #[must_use]
    pub fn connect_with(
        self,
        connect: impl Fn(Endpoint, Duration) -> io::Result<()> + Send + Sync + 'static,
    ) -> Self {
        Self { connect: Arc::new(connect), ..self }
    }

    /// Checks. Returns within the timeout, at once where there are no probes and IPv4 has a route.
    pub fn run(&self) -> Online {
        probe::run(self)
    }
}

/// An address of the world, to ask the kernel for a route to. Nothing is ever sent there. Both are the AS112
/// project's (RFC 7535 section
/// 3.4): registered as globally reachable, in no documentation or private range that a router may reject.
fn representative(family: Family) -> IpAddr {
    match family {
        Family::V6 => Ipv6Addr::new(0x2001, 4, 0x112, 0, 0, 0, 0, 1).into(),
        Family::V4 => Ipv4Addr::new(192, 31, 196, 1).into(),
    }
}

/// The source address that the kernel would send from; an error says why the world would not hear or not
/// answer it.
fn route(family: Family, to: IpAddr) -> Result<Endpoint, String> {
    /// Any port but 0.
    const DISCARD: u16 = 9;
    let any: IpAddr = match family {
        Family::V6 => Ipv6Addr::UNSPECIFIED.into(),
        Family::V4 => Ipv4Addr::UNSPECIFIED.into(),
    };
    // Connecting a UDP socket looks for the route and the source (RFC 6724 section 5), and sends nothing.
    let source = UdpSocket::bind((any, 0))
        .and_then(|socket| socket.connect((to, DISCARD)).and_then(|()| socket.local_addr()))
        .map_err(|error| no_route(family, &error))?;
    let source = Endpoint::from(source).without_port();
    match unanswerable(source.address()) {
        Some(why) => Err(format!("its only address to send from is {source}, {why}")),
        None => Ok(source),
    }
}

/// Why the world cannot answer an address.
fn unanswerable(source: IpAddr) -> Option<&'static str> {
    match source {
        IpAddr::V6(v6) if v6.is_unicast_link_local() => Some("which is link-local (RFC 4291 section 2.5.6)"),
        IpAddr::V6(v6) if v6.is_unique_local() => {
            Some("which is unique local: the world has no route to it (RFC 4193)")
        }
        IpAddr::V4(v4) if v4.is_link_local() => Some("which is link-local: DHCP did not answer (RFC 3927)"),
        address if address.is_loopback() || address.is_unspecified() => Some("which no other machine has"),
        IpAddr::V6(_) | IpAddr::V4(_) => None,
    }
}

fn no_route(family: Family, error: &io::Error) -> String {
    use rustix::io::Errno;
    match Errno::from_io_error(error) {
        Some(Errno::NETUNREACH) => "no route to the world".to_owned(),
        Some(Errno::HOSTUNREACH) => "the route to the world is `unreachable`".to_owned(),
        Some(Errno::ACCESS) => {
            "the route to the world is `prohibit`, or a sandbox forbids sockets".to_owned()
        }
        Some(Errno::INVAL) => "the route to the world is `blackhole`".to_owned(),
        Some(Errno::ADDRNOTAVAIL) => "no address to send from".to_owned(),
        Some(Errno::AFNOSUPPORT) => {
            format!("this system has no {family}: its kernel lacks it, or a sandbox refuses {family} sockets")
        }
        _ => format!("the kernel has no route: {error}"),
    }
}

/// Whether an IPv4 source address is a CLAT's (RFC 7335 section 4: 192.0.0.0/29).
fn is_clat(source: Endpoint) -> bool {
    matches!(source.address(), IpAddr::V4(v4) if v4.octets()[..3] == [192, 0, 0] && v4.octets()[3] < 8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_are_judged() {
        for (address, usable, clat) in [
            ("2001:db8::1", true, false),
            ("fe80::1", false, false),
            ("fd00::1", false, false),
            ("fc00::1", false, false),
            ("::1", false, false),
            ("192.0.2.1", true, false),
            ("10.0.0.1", true, false),
            ("100.64.0.1", true, false),
            ("169.254.1.1", false, false),
            ("127.0.0.1", false, false),
            ("0.0.0.0", false, false),
            ("192.0.0.1", true, true),
            ("192.0.0.7", true, true),
            ("192.0.0.8", true, false),
            ("192.0.1.1", true, false),
        ] {
            let address: IpAddr = address.parse().unwrap();
            assert_eq!(unanswerable(address).is_none(), usable, "{address}");
            assert_eq!(is_clat(address.into()), clat, "{address}");
        }
    }
}
