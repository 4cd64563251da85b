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
//! # Where validation goes
//!
//! Each answer of an upstream passes once through `answer::finish`, decoded, before it is stored or sent. A
//! validator will judge it there (and set or clear AD); it needs further questions, which the forwarder asks
//! as it asks a client's.

mod action;
mod answer;
mod cache;
mod config;
mod cookie;
mod counters;
mod dns64;
mod forwarder;
mod gate;
mod lookup;
mod names;
mod own;
mod question;
mod reply;
mod scan;
mod told;
mod upstream;

pub use action::{Action, Client, Token, Transport};
pub use config::Config;
pub use counters::Counters;
pub use dns64::Dns64;
pub use forwarder::Forwarder;
pub use gate::{Gate, GateCounters, Ticket, limits, udp_limit};
pub use names::{NameError, Names};
pub use own::{address_query, addresses};
pub use told::{Told, told};
