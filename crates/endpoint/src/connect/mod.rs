//! Connecting to a name or an address, whichever family works: Happy Eyeballs (RFC 8305).
//!
//! ```no_run
//! # #[cfg(feature = "net")]
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use sixgate_endpoint::Host;
//! use sixgate_endpoint::connect::{Connector, policy};
//!
//! let connector = Connector::new(policy());
//! let host: Host = "www.example.com".parse()?;
//! let connection = connector.connect(&host, 443)?;
//! println!("reached {}", connection.peer);
//! # let _: std::net::TcpStream = connection.stream;
//! # Ok(())
//! # }
//! # #[cfg(not(feature = "net"))]
//! # fn main() {}
//! ```
//!
//! `Connector` is for programs: one for the whole program, so that it remembers what works. It blocks with
//! `Connector::connect` and runs on tokio with `Connector::connect_async` (feature `tokio`). An address takes
//! the same way as a name, without a thread.
//!
//! ```no_run
//! # #[cfg(feature = "tokio")]
//! # async fn fetch() -> Result<(), Box<dyn std::error::Error>> {
//! use sixgate_endpoint::connect::{Connector, policy};
//!
//! let connector = Connector::new(policy());
//! let connection = connector.connect_async(&"www.example.com".parse()?, 443).await?;
//! let stream: tokio::net::TcpStream = connection.stream;
//! # drop(stream);
//! # Ok(())
//! # }
//! # fn main() {}
//! ```
//!
//! # What it does
//! The policy says it of itself: [`policy()`] prints these lines, for any [`Policy`] with its own values.
//!
#![doc = include_str!("policy.md")]
//!
//! # What the user may say
//! [`FamilyChoice`] is `ipv4`, `ipv6`, `prefer-ipv4` or `prefer-ipv6`, in a configuration file (feature
//! `serde`) and, as `FamilyArgs` with its `-4`, `-6` and `--family`, on a command line (feature `clap`). With
//! one family alone no socket of the other is opened.
//!
//! ```no_run
//! # #[cfg(all(feature = "clap", feature = "net"))]
//! # fn main() {
//! use clap::Parser;
//! use sixgate_endpoint::connect::{Connector, FamilyArgs, policy};
//!
//! #[derive(Parser)]
//! struct Args {
//!     #[command(flatten)]
//!     family: FamilyArgs,
//! }
//! let choice = Args::parse().family.choice().unwrap_or_default();
//! let connector = Connector::new(policy().with_family(choice));
//! # drop(connector);
//! # }
//! # #[cfg(not(all(feature = "clap", feature = "net")))]
//! # fn main() {}
//! ```
//!
//! # Why it did what it did
//! Each connection and each error has a [`Trace`]: what was asked and answered, which address was tried when,
//! which rule put it there, and how it ended. `Connector::explain` tells the order without trying.
//! `Connector::remembered` is what worked lately.
//!
//! ```no_run
//! # #[cfg(feature = "net")]
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # use sixgate_endpoint::connect::{Connector, policy};
//! # let connector = Connector::new(policy());
//! println!("{}", connector.explain(&"www.example.com".parse()?, 443));
//! for entry in connector.remembered() {
//!     println!("{entry}");
//! }
//! # Ok(())
//! # }
//! # #[cfg(not(feature = "net"))]
//! # fn main() {}
//! ```
//!
//! # The core
//! [`Race`] decides, and does nothing itself: `(now, event) -> actions`, without socket, clock or thread.
//! Another driver (QUIC, a proxy, another runtime) does the actions, tells what came of them, and calls
//! [`Race::handle_timeout`] at [`Race::poll_timeout`]. It is ready for the service records of the third
//! version of Happy Eyeballs (draft-ietf-happy-happyeyeballs-v3): see [`Race::with_service`] and
//! [`Candidate::group`].
//!
//! Where the text leaves a choice:
//! - A failed attempt is an answer, and no loss: the next starts at once, yet never within [`PACE`]. The 100
//!   ms that RFC 8305 section 5 recommends as the least are for the delay of attempts that have not answered.
//!   An attempt that failed before anything was sent (no route, no such family) counts as none.
//! - What is known of round-trip times shortens the delay and never lengthens it, so that a broken family
//!   costs 250 ms at most.
//! - What worked last time comes before the order of RFC 6724, as RFC 6555 section 4.2 had it; RFC 8305 has
//!   it as a rule between 8 and 9 only. Where IPv6 is broken the text of RFC 8305 alone would cost every
//!   connection its delay.
//!   The price: for ten minutes IPv6 is not tried first again there, unless the network changes.
//! - Of the rules of RFC 6724, 4 and 7 ask what Linux does not tell of, and 9 is for IPv6 alone.

#[cfg(feature = "clap")]
mod args;
#[cfg(feature = "net")]
mod blocking;
#[cfg(feature = "net")]
mod connector;
#[cfg(feature = "net")]
mod error;
mod failure;
mod memory;
mod policy;
mod race;
mod select;
#[cfg(feature = "net")]
mod system;
#[cfg(feature = "tokio")]
mod tokio;
mod trace;
#[cfg(feature = "net")]
mod workers;

#[cfg(feature = "clap")]
pub use args::FamilyArgs;
#[cfg(feature = "net")]
pub use connector::{Connection, Connector};
#[cfg(feature = "net")]
pub use error::ConnectError;
pub use failure::Failure;
pub use memory::{FamilyRecord, Memory, Remembered};
pub use policy::{FamilyChoice, FamilyChoiceError, PACE, Policy, Rule as PolicyRule, policy};
pub use race::{Action, Attempt, Event, MAX_ATTEMPTS, Race};
pub use select::{Candidate, Placed, Rule, Source, order};
pub use trace::{Asked, Attempted, Outcome, Place, Question, Trace};
