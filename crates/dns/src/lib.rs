//! A caching DNS forwarder and the names of the local network, sans-I/O.
//!
//! [`Forwarder`] takes queries of clients and answers of upstream resolvers, each with the time it came, and
//! leaves [`Action`]s for its owner to carry out. [`Names`] holds what the gateway itself is the authority
//! for: the hosts under `home.arpa.` (RFC 8375), their reverse names, and the names that must never leave the
//! network (RFC 6761, RFC 6303). Neither opens a socket or asks for the clock.
//!
//! Who may ask is decided by the owner, by binding its sockets to LAN interfaces only and by heeding where queries come
//! from: an open resolver is an amplifier (RFC 5358). For what comes from within, [`Gate`] stands between its sockets and
//! the forwarder: it knows proofs (DNS cookies) and limits.
//!
//! ```
//! use core::time::Duration;
//! use sixgate_dns::{Action, Client, Config, Forwarder, Names, Transport};
//!
//! let mut forwarder = Forwarder::new(Config::default(), fastrand::Rng::with_seed(1));
//! forwarder.set_upstreams(&["[2001:db8::53]:53".parse().unwrap()]);
//! let names = Names::new(&[]);
//! let query = b"\x12\x34\x01\0\0\x01\0\0\0\0\0\0\x07example\x03com\0\0\x1c\0\x01";
//! let client = Client { peer: 7_u64, transport: Transport::Udp, udp_limit: 1232, share: 0 };
//! let mut actions = Vec::new();
//! forwarder.handle_query(Duration::from_secs(1), client, query, &names, &mut actions);
//! assert!(matches!(actions[..], [Action::Query { .. }]));
//! ```
//!
//! # DNS64
//!
//! With [`Config::dns64`], a name that has A records only is given AAAA records that lead through a NAT64
//! (RFC 6147). The cache keeps what upstreams said, for A and for AAAA: a synthesised answer is made of the
//! two for each client, and is not kept itself.
//!
//! # DNSSEC
//!
//! With [`Config::dnssec`], each answer of an upstream is judged once, before it is stored or sent (RFC 4035): what
//! a chain of signatures leads to has AD, what should have one and has not is SERVFAIL with the reason (RFC 8914).
//! The DS and DNSKEY records that this takes are questions like those of clients, shared and kept. See [`Dnssec`].

mod action;
mod answer;
mod cache;
mod config;
mod cookie;
mod counters;
mod dns64;
mod dnssec;
mod forwarder;
mod gate;
mod lookup;
mod names;
mod own;
mod question;
mod reply;
mod scan;
mod told;
pub mod update;
mod upstream;

pub use action::{Action, Client, Token, Transport};
pub use config::{Clock, Config, Dnssec, DnssecError};
pub use counters::Counters;
pub use dns64::Dns64;
#[doc(hidden)]
pub use dnssec::rehearse;
pub use dnssec::{AnchorError, Anchors};
pub use forwarder::Forwarder;
pub use gate::{Gate, GateCounters, Ticket, limits, udp_limit};
pub use names::{NameError, Names};
pub use own::{address_query, addresses};
pub use told::{Told, told};
