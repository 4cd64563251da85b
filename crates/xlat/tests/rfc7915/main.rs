//! RFC 7915, sections 4 and 5, case by case.

// Clippy's exception for tests does not reach the functions beside them.
#![allow(clippy::unwrap_used, clippy::panic, clippy::cast_possible_wrap)]

#[path = "../common/mod.rs"]
mod common;
mod errors;
mod from_v4;
mod from_v6;
mod hairpin;
mod offload;
mod properties;

use common::{NOW, Outcome, config, run};
use sixgate_endpoint::nat64::Prefix;
use sixgate_xlat::{AddressMap, Config, Siit};

/// IPv4 addresses stand behind 2001:db8:64::/96, both sides.
fn prefix() -> Prefix {
    Prefix::new("2001:db8:64::".parse().unwrap(), 96).unwrap()
}

fn siit(config: Config) -> Siit {
    Siit::new(config, AddressMap::new(Some(prefix()), []).unwrap(), fastrand::Rng::with_seed(1))
}

fn plain() -> Siit {
    siit(config())
}

/// The IPv4 addresses of tests and the IPv6 addresses for them.
const A4: &str = "192.0.2.1";
const B4: &str = "198.51.100.2";
const A6: &str = "2001:db8:64::c000:201";
const B6: &str = "2001:db8:64::c633:6402";

fn outcome(siit: &mut Siit, octets: &[u8]) -> Outcome {
    run(octets, |packet, actions| siit.translate(NOW, packet, actions))
}
