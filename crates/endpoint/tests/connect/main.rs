//! Happy Eyeballs: the core in simulated time, and the drivers with real sockets in the lab's namespaces.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs, unreachable_pub)]

mod choice;
#[cfg(all(feature = "net", feature = "tokio"))]
mod lab;
mod memory;
mod rules;
mod selection;
mod simulation;
mod world;
