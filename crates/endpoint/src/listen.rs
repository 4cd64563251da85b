//! Listening: each policy says which families, and none leaves it to the system.
//!
//! ```no_run
//! use sixgate_endpoint::listen::{Listen, Policy};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let mut listeners = Listen::on(Policy::Both, 8080).tcp()?;
//! println!("{listeners}");
//! loop {
//!     // An IPv4 peer is an IPv4 peer, whatever socket it came by.
//!     let (stream, peer) = listeners.accept()?;
//!     println!("{peer} says hello");
//!     drop(stream);
//! }
//! # }
//! ```
//!
//! # Policies
//! Whether a socket on `[::]` takes IPv4 peers too is a default of the system (`net.ipv6.bindv6only` on
//! Linux; other systems fix it the other way). A program that leaves it there listens differently on each
//! machine, fails to bind its IPv4 socket on some, and meets peers called `::ffff:192.0.2.1` that no rule for
//! `192.0.2.0/24` matches. So [`Policy`] has no default, `IPV6_V6ONLY` is set on every IPv6 socket before it
//! is bound, and peers are told as what they are.
//!
//! RFC 3493 section 5.3 makes one socket for both families the default of the standard; here that is
//! [`Policy::BothMapped`]. Two sockets, [`Policy::Both`], are the better choice: they work alike on all
//! systems, each family has its own socket options, and one family does not depend on the other.
//!
//! # What is missing is told
//! A machine may lack a family: a kernel without IPv6, a sandbox that refuses it. With [`Policy::Both`] and
//! [`Policy::BothMapped`] the other family serves alone, [`Listeners::missing`] says which one is not there,
//! and a [`Warning`] is told: to standard error, or to what [`Listen::warn_with`] names.
//! [`Listen::require_both`] makes it an error. What was named in particular (one family, one address) is
//! never left out silently; it is an error always.
//!
//! # What was asked for is verified
//! Each socket is compared with what the kernel says of it: its address, family, device, `IPV6_V6ONLY`, that
//! it listens, and that it is in the kernel's table of sockets (`/proc/net`). A difference is an error that
//! names it.
//!
//! # Link-local addresses
//! `[fe80::1%eth0]:53` is reached from the link of `eth0` alone, which is a [`Warning`], not a refusal. Such
//! a listener lives as long as its name does: over an address that is not there yet (duplicate address
//! detection), an interface that goes down and comes up, and one that is removed and made again with another
//! index. [`Listeners::accept`] sees to the last by itself; with an event loop of your own, call
//! [`Listeners::refresh`] whenever [`Changes`](crate::network::Changes) has something. All this happens in
//! the network namespace of the thread that calls it, which must be the one that opened the listeners.
//!
//! # UDP
//! [`Listen::udp`] gives [`UdpListeners`]. A reply leaves by the socket that the question came by, so from a
//! listener on *one* address it leaves from that address. From a wildcard on a machine with several addresses
//! of one family the kernel chooses the source by its routes, and a client that asked another address drops
//! the answer: name the addresses in [`Listen::at`] instead. (The remedy of C programs, `IPV6_PKTINFO`, has
//! no safe interface in the crates that this one uses, and it has no unsafe code.)

mod error;
mod open;
mod slots;
mod tcp;
#[cfg(feature = "tokio")]
mod tokio;
mod udp;
mod verify;

#[cfg(feature = "tokio")]
pub use self::tokio::{AsyncListeners, AsyncUdpListeners};
pub use error::{ListenError, ListenFailure, Missing, Refreshed, Warning};
pub use tcp::{Counters, Listeners, is_exhausted};
pub use udp::{Received, UdpListeners};

use crate::Endpoint;
use slots::Slots;
use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::str::FromStr;
use std::sync::Arc;

/// Which families a service listens to. There is no default, and no fifth choice that asks the system.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "kebab-case"))]
pub enum Policy {
    /// IPv4 alone, `0.0.0.0`.
    #[cfg_attr(feature = "serde", serde(rename = "ipv4"))]
    V4Only,
    /// IPv6 alone, `[::]` with `IPV6_V6ONLY`.
    #[cfg_attr(feature = "serde", serde(rename = "ipv6"))]
    V6Only,
    /// Both, by a socket each. The one to take.
    Both,
    /// Both, by one IPv6 socket that takes IPv4 peers as mapped addresses (RFC 3493 section 3.7). Peers are
    /// told as IPv4.
    BothMapped,
}

impl Policy {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::V4Only, Self::V6Only, Self::Both, Self::BothMapped];

    fn name(self) -> &'static str {
        match self {
            Self::V4Only => "ipv4",
            Self::V6Only => "ipv6",
            Self::Both => "both",
            Self::BothMapped => "both-mapped",
        }
    }
}

impl fmt::Display for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// What is no policy.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{}` is no policy; write ipv4, ipv6, both (two sockets) or both-mapped (one)", .0.escape_debug())]
pub struct PolicyError(String);

impl FromStr for Policy {
    type Err = PolicyError;

    fn from_str(text: &str) -> Result<Self, PolicyError> {
        Self::ALL.into_iter().find(|policy| policy.name() == text).ok_or_else(|| PolicyError(text.to_owned()))
    }
}

/// TCP or UDP.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Transport {
    /// RFC 9293.
    Tcp,
    /// RFC 768.
    Udp,
}

impl fmt::Display for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Tcp => "TCP",
            Self::Udp => "UDP",
        })
    }
}

/// One socket that is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Want {
    /// With a port.
    endpoint: Endpoint,
    /// IPv4 peers come by this IPv6 socket too.
    mapped: bool,
}

/// What hears the warnings.
type Hear = Arc<dyn Fn(&Warning) + Send + Sync>;

/// Where to listen, and how. [`Listen::tcp`] and [`Listen::udp`] open it.
#[derive(Clone)]
pub struct Listen {
    wants: Vec<Want>,
    /// A policy over wildcards, not addresses by name: a family may be missing.
    families: bool,
    require_both: bool,
    patient: bool,
    backlog: i32,
    hear: Hear,
}

impl fmt::Debug for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Listen").field("wants", &self.wants).finish_non_exhaustive()
    }
}

impl Listen {
    /// On all addresses of the families of `policy`. Port 0 takes a free port, the same one for both
    /// families.
    pub fn on(policy: Policy, port: u16) -> Self {
        let want = |endpoint: Endpoint, mapped| Want { endpoint: endpoint.with_port(port), mapped };
        let v4 = want(Ipv4Addr::UNSPECIFIED.into(), false);
        let v6 = |mapped| want(Ipv6Addr::UNSPECIFIED.into(), mapped);
        let wants = match policy {
            Policy::V4Only => vec![v4],
            Policy::V6Only => vec![v6(false)],
            Policy::Both => vec![v6(false), v4],
            Policy::BothMapped => vec![v6(true)],
        };
        Self::new(wants, matches!(policy, Policy::Both | Policy::BothMapped))
    }

    /// On these addresses, each with a port; all that have port 0 get the same free one. `[::]` is IPv6 alone
    /// and `0.0.0.0` IPv4 alone. A link-local address needs its zone. A mapped address is the IPv4 address.
    pub fn at(endpoints: impl IntoIterator<Item = Endpoint>) -> Self {
        let mut wants: Vec<Want> = Vec::new();
        for endpoint in endpoints {
            if !wants.iter().any(|want| want.endpoint == endpoint) {
                wants.push(Want { endpoint, mapped: false });
            }
        }
        Self::new(wants, false)
    }

    fn new(wants: Vec<Want>, families: bool) -> Self {
        /// The kernel takes `net.core.somaxconn` (4096) where that is less.
        const BACKLOG: i32 = 4096;
        let hear: Hear = Arc::new(|warning| eprintln!("warning: {warning}"));
        Self { wants, families, require_both: false, patient: false, backlog: BACKLOG, hear }
    }

    /// A missing family is an error with [`Policy::Both`] and [`Policy::BothMapped`], too.
    #[must_use]
    pub fn require_both(self) -> Self {
        Self { require_both: true, ..self }
    }

    /// Waits for addresses and interfaces that are not there yet, instead of an error: addresses are bound
    /// before they exist (`IP_FREEBIND`), interfaces are opened when they come. Services that start before
    /// their network need it.
    #[must_use]
    pub fn patient(self) -> Self {
        Self { patient: true, ..self }
    }

    /// How many connections may wait to be accepted, per socket; 4096 unless said otherwise. The kernel has a
    /// limit of its own, `net.core.somaxconn`.
    #[must_use]
    pub fn backlog(self, connections: u16) -> Self {
        Self { backlog: connections.into(), ..self }
    }

    /// Tells warnings to `hear` instead of standard error.
    #[must_use]
    pub fn warn_with(self, hear: impl Fn(&Warning) + Send + Sync + 'static) -> Self {
        Self { hear: Arc::new(hear), ..self }
    }

    /// Opens TCP listeners.
    ///
    /// # Errors
    /// Where something that was asked for cannot be had, or the kernel has something else open than was asked
    /// for.
    pub fn tcp(&self) -> Result<Listeners, ListenError> {
        Slots::open(self, Transport::Tcp).map(Listeners::new)
    }

    /// Opens UDP sockets.
    ///
    /// # Errors
    /// As [`Listen::tcp`].
    pub fn udp(&self) -> Result<UdpListeners, ListenError> {
        Slots::open(self, Transport::Udp).map(UdpListeners::new)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn policies_have_names_and_nothing_else_is_one() {
        for (policy, name) in Policy::ALL.into_iter().zip(["ipv4", "ipv6", "both", "both-mapped"]) {
            assert_eq!((policy.to_string().as_str(), name.parse()), (name, Ok(policy)));
            #[cfg(feature = "serde")]
            assert_eq!(serde_json::to_string(&policy).unwrap(), format!("\"{name}\""));
            #[cfg(feature = "serde")]
            assert_eq!(serde_json::from_str::<Policy>(&format!("\"{name}\"")).unwrap(), policy);
        }
        for text in ["", "default", "system", "Both", "any", "bothmapped"] {
            assert!(
                text.parse::<Policy>().unwrap_err().to_string().contains("write ipv4, ipv6, both"),
                "{text}"
            );
        }
    }

    #[test]
    fn the_same_address_is_wanted_once() {
        let ends =
            ["192.0.2.1:53", "[::ffff:192.0.2.1]:53", "[::]:53", "[::]:53"].map(|text| text.parse().unwrap());
        assert_eq!(Listen::at(ends).wants.len(), 2);
    }
}
