//! `sixgate doctor` on networks with one fault each, made by programs that we did not write; and on healthy ones. Needs root, radvd, dnsmasq,
//! nft, curl.

#![allow(clippy::unwrap_used, clippy::panic, missing_docs, unreachable_pub)]

mod faults;
mod healthy;
mod places;
mod portal;
mod software;
mod world;
