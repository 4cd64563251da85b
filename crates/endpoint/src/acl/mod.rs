//! Access lists that keep the families apart.
//!
//! [`Acl`] is an ordered list of `allow` and `deny`, in which the first rule that holds a peer decides.
//! [`PrefixMap`] and [`PrefixSet`] find the longest prefix that holds an address. All are made once and then
//! only read, and are made for a million prefixes.
//!
//! ```
//! use sixgate_endpoint::acl::Acl;
//! use std::net::SocketAddr;
//!
//! let acl: Acl = "
//!     deny  192.0.2.66                  # the first rule that holds a peer decides
//!     allow 192.0.2.0/24, 2001:db8::/32
//!     allow fe80::%eth0/10              # link-local peers, on this link alone
//! "
//! .parse()?;
//!
//! // As `accept` gives it, on an IPv6 socket that serves IPv4 too.
//! let peer: SocketAddr = "[::ffff:192.0.2.66]:4711".parse()?;
//! let decision = acl.decide(peer);
//! assert!(!decision.is_allowed());
//! assert_eq!(decision.to_string(), "192.0.2.66 denied by rule 1 (line 2): deny 192.0.2.66");
//!
//! let peer: SocketAddr = "[2001:db8::1]:4711".parse()?;
//! assert!(acl.decide(peer).is_allowed());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # The families
//! An IPv6 rule holds no IPv4 peer, an IPv4 rule no IPv6 peer, `::/0` and `0.0.0.0/0` included. There is no
//! `any`: who means all writes `allow 0.0.0.0/0, ::/0`. A mapped address (`::ffff:192.0.2.1`, as an IPv6
//! socket shows an IPv4 peer) is the IPv4 address, in rules and in peers. A prefix that is broader than the
//! mapped addresses, such as `::/64`, holds none of them.
//!
//! An IPv4 address that is put inside an IPv6 address by NAT64, 6to4, Teredo and their like is another
//! matter: the peer at the other end is an IPv6 one, or a translator's. The [`Decision`] tells of it
//! ([`Decision::embedded`]) and says what the list would do with the IPv4 address; it does not follow that.
//! Who wants to can: `deny 64:ff9b::/96` is a rule like any other.
//!
//! # The text
//! One rule a line, `allow` or `deny` and then prefixes with commas between them; `#` begins a remark. An
//! address without a length is that address alone. Bits behind the length are refused (`192.0.2.1/24`),
//! because it can't be known whether the network or the address was meant, and the two differ in who gets in;
//! the error names both ways to write it. A zone stands before the length (RFC 4007 section 11.7) or behind
//! it, and is printed before it. What is allowed but hardly meant, such as a rule that never decides, is in
//! [`Acl::warnings`].
//!
//! # Zones
//! A rule with a zone holds peers of that zone only. A rule without one holds peers on every link. An
//! interface's index changes over time and its name does not, so names are looked up when a peer is judged
//! ([`Acl::decide_with`]). Where a peer's zone can't be compared with a rule's, doubt denies: a `deny` holds
//! the peer, an `allow` does not.
//!
//! # The kernel's packet filter
//! [`Acl::to_nft`] prints the list as a script for nft, with the same verdicts.

mod embedded;
mod list;
mod map;
mod nft;
mod ranges;
mod rule;
#[cfg(feature = "serde")]
mod serde;
mod text;
mod tree;
mod warning;

/// The prefixes of the crate `ipnet`, of which these lists are made.
pub use ipnet::{IpNet, Ipv4Net, Ipv6Net};

pub use embedded::{Mechanism, embedded};
#[cfg(feature = "net")]
pub(crate) use list::Unasked;
pub use list::{Acl, Decision, Embedded, Warned};
pub use map::{PrefixMap, PrefixSet};
pub use nft::{Nft, TableError};
pub use rule::{Prefix, Rule, Verdict};
pub use text::{RuleError, RuleReason};
pub use warning::Warning;
