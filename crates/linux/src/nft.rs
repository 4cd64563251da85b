//! The firewall, spoken to nf_tables in its own netlink: no `nft` program is needed.
//!
//! One table, `inet sixgate`. What it does, and after which text:
//!
//! * From the uplink to this host: answers to what we sent, ICMPv6 after RFC 4890 section 4.4 (neighbor
//!   discovery, MLD, errors about our own packets, a limited number of echo requests), DHCPv6 from link-local
//!   servers to our client. Everything else, IPv4 included, vanishes without an answer.
//! * From the uplink through us: RFC 6092's default deny. Answers pass, echo requests (RFC 4890 section
//!   4.3.1) and IPsec (RFC 6092 section 3.2.4: AH, ESP, IKE on UDP port 500) may open.
//! * From a LAN: the source must be one of the LAN's own (BCP 38), else the packet is dropped before it is routed.
//!   With such a source everything passes, to this host, to other LANs and out: which of this host's other
//!   services a LAN may use is not sixgate's business.
//! * TCP's maximum segment size follows the uplink's MTU.
//! * Unique local sources do not leave by the uplink (RFC 4193 section 4.3).
//! * IPv4 of the LANs, where it is managed: the same check of sources; it stays inside, or leaves with the uplink's address (NAT44).
//! * Type 0 routing headers are dropped (RFC 5095), and sources that are our own but come from the WAN.
//!
//! Interfaces that are neither the uplink nor a LAN are left alone.
//!
//! Every call needs `CAP_NET_ADMIN` in the namespace's user namespace, reading counters included: a program that
//! gives up its rights keeps this one.
//!
//! An "accept" here ends our own chain only: another table on this machine may still refuse the packet. A
//! "drop" is final.

mod detour;
mod encode;
mod firewall;
mod rules;
mod silence;
mod socket;

use std::io;

pub use detour::{DETOUR_MARK, Detour};
pub use firewall::{Counter, Firewall, FirewallConfig, LanIpv4, LanRules, RelayRules, TABLE};
pub use silence::Silence;

/// What can go wrong with the firewall.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// No netlink socket to netfilter.
    #[error("cannot open a netfilter netlink socket: {source}; does the kernel have the module nfnetlink?")]
    Socket {
        /// The kernel's answer.
        source: io::Error,
    },
    /// We may not change the firewall.
    #[error("firewall: cannot {step}: not permitted; it needs CAP_NET_ADMIN or root")]
    Permission {
        /// What was tried.
        step: String,
    },
    /// The kernel lacks something.
    #[error("firewall: cannot {step}: {detail}; does the kernel have {modules}?")]
    Unsupported {
        /// What was tried.
        step: String,
        /// The kernel modules that it needs.
        modules: String,
        /// The kernel's answer.
        detail: String,
    },
    /// The kernel refused something for another reason.
    #[error("firewall: cannot {step}: {detail}")]
    Refused {
        /// What was tried.
        step: String,
        /// The kernel's answer.
        detail: String,
    },
    /// The kernel did not answer, or the ruleset kept changing while it was read.
    #[error("firewall: cannot {step}: no usable answer from the kernel; try again")]
    Answer {
        /// What was tried.
        step: String,
    },
    /// An interface cannot be used as configured.
    #[error("firewall: interface {name:?} cannot be used: {reason}")]
    Interface {
        /// Its name.
        name: String,
        /// Why.
        reason: &'static str,
    },
    /// Something else on this machine took our rules away.
    #[error("firewall: {what} is gone; another program changed the ruleset: apply it again")]
    Gone {
        /// What is missing.
        what: String,
    },
}
