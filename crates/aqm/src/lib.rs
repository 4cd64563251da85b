//! Flat latency for anything that queues.
//!
//! Whatever is rate limited grows a queue: the modem's, a tunnel's, a server's. Left alone it stands, and all
//! that passes it waits for what is in front. This crate is the queue to put there instead:
//!
//! - [`fq`]: FQ-CoDel (RFC 8290). Flows take turns, those that send little go first. **Begin here** where your
//!   program decides when it sends: a tunnel, a rate-limited socket, a radio.
//! - [`shape`]: a shaper over it, modelled on Linux's CAKE. **Begin here** where the queue stands in a modem
//!   that you cannot change: an exact rate, what the link adds to each packet, fairness of hosts, tins by DSCP.
//! - [`autorate`]: the rate to shape at, where the link changes.
//! - [`request`]: for servers that are asked for more than they can do; [`shed`]: how much of it they should not even read.
//! - [`codel`]: CoDel (RFC 8289) alone, for a queue of your own. [`pie`]: PIE (RFC 8033), to compare with.
//! - [`sim`]: a network in simulated time, to try all these in.
//! - [`classify`]: flow, ECN and DSCP of IPv4 and IPv6 packets, and marking them. [`IpPacket`] does all of it.
//!
//! There is no clock, socket or thread: `now` is the caller's, any clock that does not run backwards. Nothing
//! takes memory for a packet once it is made, and nothing that a stranger sends makes it grow.
//!
//! # A tunnel whose link takes 20 Mbit/s
//! ```
//! use sixgate_aqm::shape::{Config, Framing, Next, Shaper};
//! use sixgate_aqm::{IpPacket, Rate, Secret};
//! use std::time::Duration;
//!
//! // The secret is drawn at each start: strangers shall not know who shares a queue with whom.
//! let secret = Secret::random();
//! let config = Config { framing: Framing::ETHERNET_FRAME, ..Config::new(Rate::mbit(19)) };
//! let mut shaper = Shaper::new(config, secret);
//!
//! # let start = std::time::Instant::now();
//! # let clock = || start.elapsed();
//! # let (mut arriving, mut sent) = (vec![vec![0x45_u8; 1400]; 3], 0);
//! loop {
//!     // Take in what has arrived ...
//!     for octets in arriving.drain(..) {
//!         shaper.enqueue(clock(), IpPacket::new(octets));
//!     }
//!     // ... and send what may be sent: one packet after the other, each with the time of that moment.
//!     let wait = loop {
//!         match shaper.dequeue(clock()) {
//!             Next::Packet(packet) => sent += packet.bytes().len(),
//!             Next::Wait(until) => break Some(until),
//!             Next::Empty => break None,
//!         }
//!     };
//!     // Sleep until then, or until something arrives. An absolute time: lateness does not add up.
//!     let Some(until) = wait else { break };
//!     std::thread::sleep(until.saturating_sub(clock()));
//! }
//! assert_eq!(sent, 4200);
//! ```
//!
//! # What a userspace queue must get right
//! - *Its queue must be the only one.* Behind it there is room for a packet or two (`txqueuelen`, byte queue
//!   limits, the socket's send buffer), or packets wait there, ungoverned.
//! - *The time is read for each packet.* 64 packets with one reading hide 77 ms at 10 Mbit/s.
//! - *Superpackets* (GSO) count as what they will be cut into; [`shape::Shaper::must_split`] says which hold the
//!   link for too long. Above 1 Gbit/s none does.
//!
//! # What it costs
//! `cargo bench -p sixgate-aqm --bench queue`; figures of November 2026, on one core of a virtual machine that
//! others used too. With many flows, waiting for memory is most of the work: a line that is not in the cache took
//! 32 ns while it was quiet, and up to 100 where twenty programs wanted the two cores.
//!
//! | | ns a packet, in and out | wanted |
//! |---|---|---|
//! | `fq`, 1,000 flows | 50 quiet, up to 72 | 100 |
//! | `fq`, 100,000 flows, a packet of each | 206 quiet, up to 575 | 250 |
//! | `fq`, 100,000 flows, four packets of each | 370 quiet, up to 590 | |
//! | `fq` when full, 65,536 queues, each packet a flow | 350 to 770 | |
//! | `shape`, 1,000 flows of 50 hosts | 145 quiet: 3.6 Gbit/s at 64 octets, 80 at 1,500; up to 214 | |
//! | a flow read from an IPv6 packet | 6 to 14 | |
//!
//! # What it does
//! In a simulated network (20 Mbit/s down, 5 up, 40 ms, four TCP connections each way; `tests/promises.rs`),
//! the 95th percentile of what a small packet waits on its way there and back:
//!
//! | | Reno | CUBIC | link used |
//! |---|---|---|---|
//! | FIFO of 1,000 packets | 1,942 ms | 2,643 ms | |
//! | PIE | 127 ms | | 92 % and more |
//! | one CoDel for all | 80 ms | | 90 % down, 97 % up |
//! | FQ-CoDel | 2.9 ms | 2.8 ms | 98 % and more |
//! | the shaper before a modem with such a FIFO | 2.9 ms | | 98 % and more |
//!
//! `sixgate measure aqm` shows the same for other links and loads.
//!
//! [`autorate`] on a link that goes 50, 10, 30 Mbit/s (`tests/autorate.rs`; Reno and CUBIC, modems of 0.5 and 1.5 MB): the
//! added delay is back below 30 ms, for a second, 0.6 s (down) and 0.9 s (up) after the change; later single bursts go beyond it, so that
//! its 99th percentile is 11 to 32 ms; and 82 to 97 % of the link are used. Where each stage stops twice a second for up to 20 ms, 76 %
//! and more are; with stops of up to 0.4 s every four seconds, 60 to 90 %. A sender that heeds no loss (after BBR) is kept in bounds upwards; downwards, where it
//! can only be slowed by drops, such senders keep their queue on a link that became slower for seconds, up to 0.1 s of it.
//!
//! # What may surprise
//! - Where a stranger has more flows than there are queues, all share with them: of a call through a flood of a
//!   million flows, four times what the link takes, FQ-CoDel's 1,024 queues let a packet in twelve through. The
//!   shaper shares by host, and keeps one host from taking all queues.
//! - FQ-CoDel's flows meet in queues as RFC 8290 has it; the shaper's do only where eight places are taken.
//! - A host's share is by address. Where hosts have many addresses each, say which belong together
//!   ([`shape::Packet::hosts`]).
//! - Packets of senders that understand ECN are marked in place of being dropped, those of L4S (RFC 9331) too,
//!   by the same rules.
//! - Behind encryption there is one flow for each SPI or flow label.

pub mod autorate;
pub mod classify;
pub mod codel;
pub mod fq;
mod ip;
mod packet;
pub mod pie;
mod queues;
mod rate;
pub mod request;
pub mod shape;
pub mod shed;
pub mod sim;
mod time;

pub use ip::IpPacket;
pub use packet::{Packet, Secret};
pub use rate::Rate;
pub use time::Stamp;
