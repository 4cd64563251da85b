//! Router advertisements sent and received (RFC 4861), without I/O.
//!
//! [`router::Router`] advertises on one LAN; [`host::Host`] learns on an uplink. Both are told the time and what
//! arrived, and answer with actions; neither knows a clock, a socket or a thread.
//!
//! Times are [`core::time::Duration`]s on one steady scale that the caller chooses; [`core::time::Duration::MAX`]
//! stands for "for ever", as a lifetime of 0xffffffff does on the wire.
//!
//! Payloads begin at the ICMPv6 type. Every message goes out with hop limit 255 (RFC 4861 section 3.1) and a link-local
//! source; the checksum is the kernel's.

pub mod host;
pub mod router;

mod budget;
mod lifetime;
