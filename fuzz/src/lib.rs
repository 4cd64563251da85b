//! Fuzz targets as plain functions, so that `make test` can replay their corpus without a fuzzer. Each takes any bytes;
//! each asserts what has to hold for all of them.

mod client;
mod connect;
mod cores;
mod kit;
mod packets;

pub use client::client;
pub use connect::connect;
pub use cores::{dns, server};
pub use kit::endpoint;
pub use packets::{dhcpv6, ndp};

/// A target: its name, which is that of its corpus, and its function.
pub type Target = (&'static str, fn(&[u8]));

/// Every target.
pub const TARGETS: &[Target] = &[
    ("dhcpv6", dhcpv6),
    ("ndp", ndp),
    ("server", server),
    ("client", client),
    ("dns", dns),
    ("endpoint", endpoint),
    ("connect", connect),
];
