//! DNSSEC validation (RFC 4033 to 4035, RFC 5155, RFC 6840), sans-I/O.
//!
//! [`Judgement`] takes one response, asks for the DS and DNSKEY records that lead to it one after the other, and
//! comes to a [`Verdict`]. What it learns of zones stays in [`Trust`]. `forwarder/validation.rs` asks its
//! questions. Everything that a response can make grow is bounded: signatures and keys tried (CVE-2023-50387),
//! hashes of NSEC3 (CVE-2023-50868), steps of the chain, zones kept.

pub(crate) mod anchor;
mod crypto;
mod denial;
mod judge;
mod message;
mod name;
mod nsec3;
mod rdata;
mod rehearse;
mod trust;
mod verdict;
mod verify;

#[cfg(test)]
mod tests;

pub use anchor::{AnchorError, Anchors};
pub(crate) use judge::{Judgement, Step, Times};
pub(crate) use message::Sections;
pub(crate) use name::Name;
#[doc(hidden)]
pub use rehearse::rehearse;
pub(crate) use trust::Trust;
pub(crate) use verdict::{Fault, Verdict};

use hickory_proto::rr::RecordType;

/// A type as people write it.
fn type_name(kind: u16) -> String {
    match RecordType::from(kind) {
        RecordType::Unknown(kind) => format!("TYPE{kind}"),
        known => known.to_string(),
    }
}
