//! Connecting: Happy Eyeballs (RFC 8305).

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
