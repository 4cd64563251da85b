//! One record set against the keys of its zone (RFC 4035 section 5.3).

use super::crypto;
use super::message::RrSet;
use super::name::Name;
use super::rdata::{Dnskey, Rrsig};
use super::verdict::Fault;

/// Signatures of one record set that are tried.
const MAX_SIGNATURES: usize = 8;
/// Keys with one tag that are tried for one signature. Tags collide by chance only (CVE-2023-50387).
const MAX_KEYS: usize = 4;

/// What one judgement may spend, however it is put together (CVE-2023-50387, CVE-2023-50868).
#[derive(Debug, Clone, Copy)]
pub(crate) struct Budget {
    /// Signatures tried, and digests of keys.
    pub(super) signatures: u32,
    /// Of these, that may be wrong: an honest zone has such a one by chance only.
    pub(super) failures: u32,
    /// Rounds of SHA-1 for NSEC3.
    pub(super) rounds: u32,
}

impl Default for Budget {
    fn default() -> Self {
        // A chain of eight names, each in a zone of its own five deep, takes about 60; the longest name, with
        // 150 iterations, takes 127 * 151 rounds, and is rare enough to be refused.
        Self { signatures: 96, failures: 12, rounds: 12_000 }
    }
}

impl Budget {
    /// For one signature, or the digest of one key.
    pub(super) fn signature(&mut self) -> Result<(), Fault> {
        self.signatures = self.signatures.checked_sub(1).ok_or_else(Self::spent)?;
        Ok(())
    }

    fn failure(&mut self) -> Result<(), Fault> {
        self.failures = self.failures.checked_sub(1).ok_or_else(Self::spent)?;
        Ok(())
    }

    /// For one hash with so many iterations.
    pub(super) fn hash(&mut self, iterations: u16) -> Result<(), Fault> {
        self.rounds = self.rounds.checked_sub(u32::from(iterations) + 1).ok_or_else(Self::spent)?;
        Ok(())
    }

    fn spent() -> Fault {
        Fault::new(Fault::BOGUS, "judging this answer takes more work than any honest one")
    }
}

/// A record set that holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Verified {
    /// How long it may be kept, in seconds (RFC 4035 section 5.3.3).
    pub(crate) ttl: u32,
    /// The labels of the wildcard's parent, where it was made of a wildcard (RFC 4035 section 5.3.4).
    pub(crate) expanded: Option<usize>,
}

/// Checks a set. `time` is the wall clock in seconds, modulo 2^32; without one, times are not judged.
pub(crate) fn verify(
    set: &RrSet,
    zone: &Name,
    keys: &[Dnskey],
    time: Option<u32>,
    budget: &mut Budget,
) -> Result<Verified, Fault> {
    let what = || format!("{} of {}", super::type_name(set.kind), set.owner);
    let mut fault = Fault::new(Fault::RRSIGS_MISSING, &format!("{} is not signed by {zone}", what()));
    let labels = set.owner.count() - usize::from(set.owner.is_wildcard());
    let own = set.signatures.iter().filter(|signature| signature.signer == *zone);
    for signature in own.take(MAX_SIGNATURES) {
        if !set.owner.is_within(zone) || usize::from(signature.labels) > labels {
            fault = Fault::new(Fault::BOGUS, &format!("the signature of {} is not for this name", what()));
            continue;
        }
        if let Err(code) = time.map_or(Ok(()), |time| in_time(signature, time)) {
            let when = if code == Fault::EXPIRED { "has expired" } else { "is not valid yet" };
            fault = Fault::new(code, &format!("the signature of {} {when}", what()));
            continue;
        }
        let mut fitting = keys
            .iter()
            .filter(|key| {
                key.tag == signature.tag && key.algorithm == signature.algorithm && key.signs_zones()
            })
            .take(MAX_KEYS)
            .peekable();
        if fitting.peek().is_none() {
            fault = if crypto::knows_algorithm(signature.algorithm) {
                let tag = signature.tag;
                Fault::new(Fault::DNSKEY_MISSING, &format!("{zone} has no key {tag} that signed {}", what()))
            } else {
                let text = format!("the signature of {} has an unknown algorithm", what());
                Fault::new(Fault::UNKNOWN_ALGORITHM, &text)
            };
            continue;
        }
        let message = signed(set, signature);
        for key in fitting {
            budget.signature()?;
            if crypto::verify(key, &message, &signature.signature) {
                let left = time.map_or(u32::MAX, |time| signature.expiration.wrapping_sub(time));
                let expanded = usize::from(signature.labels);
                return Ok(Verified {
                    ttl: set.ttl.min(signature.original_ttl).min(left),
                    expanded: (expanded < labels).then_some(expanded),
                });
            }
            budget.failure()?;
        }
        fault = Fault::new(Fault::BOGUS, &format!("the signature of {} is wrong", what()));
    }
    Err(fault)
}

/// Serial number arithmetic (RFC 4034 section 3.1.5, RFC 1982): or which extended error it is.
fn in_time(signature: &Rrsig, time: u32) -> Result<(), u16> {
    let before = |one: u32, two: u32| two.wrapping_sub(one).cast_signed() >= 0;
    if !before(signature.inception, signature.expiration) || !before(time, signature.expiration) {
        return Err(Fault::EXPIRED);
    }
    if before(signature.inception, time) { Ok(()) } else { Err(Fault::NOT_YET_VALID) }
}

/// RFC 4034 section 3.1.8.1.
fn signed(set: &RrSet, signature: &Rrsig) -> Vec<u8> {
    let labels = usize::from(signature.labels);
    let expanded = labels < set.owner.count() - usize::from(set.owner.is_wildcard());
    let owner = if expanded { set.owner.last(labels).wildcard() } else { None };
    let owner = owner.as_ref().unwrap_or(&set.owner);
    let mut message = signature.head();
    for data in &set.data {
        message.extend_from_slice(owner.octets());
        message.extend_from_slice(&set.kind.to_be_bytes());
        message.extend_from_slice(&[0, 1]);
        message.extend_from_slice(&signature.original_ttl.to_be_bytes());
        // It came with a length of 16 bits; names in it, expanded, have at most 255 octets, and records of
        // these types are far from 64 KiB.
        message.extend_from_slice(&(data.len() as u16).to_be_bytes());
        message.extend_from_slice(data);
    }
    message
}
