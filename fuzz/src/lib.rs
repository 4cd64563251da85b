//! Fuzz targets as plain functions, so that `make test` can replay their corpus without a fuzzer. Each takes any bytes;
//! each asserts what has to hold for all of them.

mod aqm;
mod audit;
mod client;
mod connect;
mod cores;
mod dnssec;
mod http;
mod kit;
mod leasequery;
mod measured;
mod packets;
mod policy;
mod relay;
mod server_v4;
mod update;
mod watched;
mod xlat;

pub use aqm::{aqm, classify};
pub use audit::audit;
pub use client::client;
pub use connect::connect;
pub use cores::{dns, server};
pub use dnssec::dnssec;
pub use http::{answer, http, proxy};
pub use kit::endpoint;
pub use leasequery::leasequery;
pub use measured::measured;
pub use packets::{dhcpv4, dhcpv6, ndp};
pub use policy::policy;
pub use relay::relay;
pub use server_v4::server_v4;
pub use update::update;
pub use watched::watched;
pub use xlat::xlat;

/// A target: its name, which is that of its corpus, and its function.
pub type Target = (&'static str, fn(&[u8]));

/// Every target.
pub const TARGETS: &[Target] = &[
    ("dhcpv6", dhcpv6),
    ("dhcpv4", dhcpv4),
    ("ndp", ndp),
    ("server", server),
    ("server_v4", server_v4),
    ("leasequery", leasequery),
    ("relay", relay),
    ("client", client),
    ("dns", dns),
    ("dnssec", dnssec),
    ("endpoint", endpoint),
    ("connect", connect),
    ("http", http),
    ("proxy", proxy),
    ("answer", answer),
    ("xlat", xlat),
    ("audit", audit),
    ("watched", watched),
    ("aqm", aqm),
    ("classify", classify),
    ("measured", measured),
    ("policy", policy),
    ("update", update),
];
