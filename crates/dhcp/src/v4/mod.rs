//! What an IPv6-mostly network needs of DHCPv4 (RFC 2131): leases for the clients that cannot do without
//! IPv4, and option 108 (RFC 8925), which tells the others that they can.
//!
//! [`Server`] is driven like [`crate::server::Server`]: it holds no clock, no socket and no file. Feed it
//! what came in, with the time, and do what it puts into [`Actions`]; call [`Server::handle_timeout`] when
//! [`Server::poll_timeout`] is reached. A lease is durable before its client hears of it: it comes out as
//! [`Action::Commit`], and the Ack stays inside until [`Server::committed`] is called. What failed is taken
//! back by [`Server::commit_failed`], and since it may come to be on the disk nevertheless, nothing is given,
//! extended or ended until the disk has taken a commit of what the server holds instead.
//!
//! While a commit about a client or an address is under way, messages about them are dropped: the answer that
//! is held back answers them too, or they are sent again. So an address has at most one change on its way,
//! and so has a client.
//!
//! Option 108 needs a [`Ipv6Mostly`], which cannot be made without a translation prefix: clients that are
//! told to give up IPv4 where there is no NAT64 lose the IPv4 Internet. [`Pilot`] chooses which of those who
//! ask are told, and [`census`] says who could live without.

mod action;
mod allocate;
pub mod census;
mod config;
mod counters;
mod grant;
mod keeping;
mod lease;
mod message;
mod mostly;
mod pilot;
mod reply;
mod server;

pub use action::{Action, Actions, Datagram, Destination, Reply};
pub use config::{Limits, Link, LinkError, ServerConfig};
pub use counters::{Counters, Discard};
pub use lease::{Lease, LeaseChange, LeaseTable};
pub use mostly::{Ipv6Mostly, Ipv6MostlyError};
pub use pilot::{Pilot, Place, Roster, RosterChange, RosterClient, Selector, SelectorError};
pub use server::Server;
