//! What comes of a judgement (RFC 4035 section 4.3).

use crate::answer::ExtendedError;

/// Why an answer is bogus, as an extended error (RFC 8914), or why one could not be judged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) code: u16,
    pub(crate) text: String,
}

impl Fault {
    /// RFC 8914 section 4.2.
    pub(crate) const UNKNOWN_ALGORITHM: u16 = 1;
    /// RFC 8914 section 4.3.
    pub(crate) const UNKNOWN_DIGEST: u16 = 2;
    /// RFC 8914 section 4.6.
    pub(crate) const INDETERMINATE: u16 = 5;
    /// RFC 8914 section 4.7.
    pub(crate) const BOGUS: u16 = 6;
    /// RFC 8914 section 4.8.
    pub(crate) const EXPIRED: u16 = 7;
    /// RFC 8914 section 4.9.
    pub(crate) const NOT_YET_VALID: u16 = 8;
    /// RFC 8914 section 4.10.
    pub(crate) const DNSKEY_MISSING: u16 = 9;
    /// RFC 8914 section 4.11.
    pub(crate) const RRSIGS_MISSING: u16 = 10;
    /// RFC 8914 section 4.13.
    pub(crate) const NSEC_MISSING: u16 = 12;
    /// RFC 9276 section 5.1.
    pub(crate) const NSEC3_ITERATIONS: u16 = 27;
    /// Octets of a text: it names a name or two.
    const MAX_TEXT: usize = 128;

    pub(crate) fn new(code: u16, text: &str) -> Self {
        Self { code, text: text[..text.floor_char_boundary(Self::MAX_TEXT)].to_owned() }
    }

    pub(crate) fn error(&self) -> ExtendedError {
        ExtendedError::new(self.code, &self.text)
    }
}

/// The four that RFC 4035 section 4.3 knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// A chain of signatures leads to it from a trust anchor.
    Secure {
        /// For each record of answer and authority section: its TTL at most; nothing where the chain does not
        /// reach it, and the answer does not need it.
        ttls: Vec<Option<u32>>,
    },
    /// It is proven that no chain leads there; where that is for what is not supported, which.
    Insecure(Option<Fault>),
    /// A chain should lead there and does not.
    Bogus(Fault),
    /// What the chain takes could not be had.
    Indeterminate(Fault),
}
