//! What a queue has to know of a packet.

use siphasher::sip::SipHasher13;
use std::fmt;
use std::hash::{BuildHasher as _, Hash, Hasher as _, RandomState};

/// A packet that a queue can hold. Dropping a packet drops the value: who wants its buffer back implements
/// [`Drop`].
pub trait Packet {
    /// What packets of one flow have in common; [`Flow`](crate::classify::Flow) for IP packets.
    type Flow: Hash;

    /// Which flow it belongs to.
    fn flow(&self) -> Self::Flow;

    /// Octets that it takes on the link.
    fn octets(&self) -> u32;

    /// Octets of memory that it holds: its buffer and what goes with it, rather than what of it is used.
    fn memory(&self) -> u32 {
        self.octets()
    }

    /// Marks it "congestion experienced" (RFC 3168), and says whether that was possible: whether its sender
    /// understands marks.
    fn mark(&mut self) -> bool {
        false
    }
}

/// The secret of a table's hash. Strangers choose addresses and ports; without a secret they would choose with
/// whom they share a queue. To be drawn at random at each start ([`Secret::random`]); a known one is for tests.
#[derive(Clone, Copy)]
pub struct Secret(pub [u64; 2]);

impl Secret {
    /// One from the system's random numbers.
    pub fn random() -> Self {
        let source = RandomState::new();
        Self([source.hash_one(0), source.hash_one(1)])
    }

    pub(crate) fn hash(self, value: &impl Hash) -> u64 {
        let mut hasher = SipHasher13::new_with_keys(self.0[0], self.0[1]);
        value.hash(&mut hasher);
        hasher.finish()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

/// One of `places`, evenly.
pub(crate) fn place(hash: u64, places: usize) -> usize {
    ((u128::from(hash) * places as u128) >> 64) as usize
}
