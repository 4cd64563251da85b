//! Connecting: Happy Eyeballs (RFC 8305).

#[cfg(feature = "clap")]
mod args;
mod failure;
mod memory;
mod nat64;
mod policy;
mod race;
mod select;
mod trace;

#[cfg(feature = "clap")]
pub use args::FamilyArgs;
pub use failure::Failure;
pub use memory::{FamilyRecord, Memory, Remembered};
pub use nat64::{Nat64Prefix, WELL_KNOWN_NAME};
pub use policy::{FamilyChoice, FamilyChoiceError, PACE, Policy, Rule as PolicyRule, policy};
pub use race::{Action, Attempt, Event, MAX_ATTEMPTS, Race};
pub use select::{Candidate, Placed, Rule, Source, order};
pub use trace::{Asked, Attempted, Outcome, Place, Question, Trace};
