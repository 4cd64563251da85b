//! The real binary in namespaces, against programs that we did not write. Needs root (or a user namespace) and the
//! programs that `tests/install-peers` installs.

#![allow(missing_docs, unreachable_pub)]

mod network;
mod served;
