//! Listeners in a lab: what the kernel says that listens, what real peers reach, and what becomes of it when
//! the network changes.
#![cfg(feature = "net")]
// Clippy's exception for tests does not reach the functions beside them.
#![allow(clippy::unwrap_used, clippy::panic)]

mod listening;
