//! Keyed hashes: strangers choose addresses and ports, and shall not choose where they land in our tables.

use siphasher::sip::SipHasher13;
use std::hash::Hasher as _;
use std::net::{Ipv4Addr, Ipv6Addr};

#[derive(Debug, Clone, Copy)]
pub(super) struct Key(u64, u64);

impl Key {
    pub(super) fn new(random: &mut fastrand::Rng) -> Self {
        Self(random.u64(..), random.u64(..))
    }

    fn of(self, words: [u64; 3]) -> u64 {
        let mut hasher = SipHasher13::new_with_keys(self.0, self.1);
        for word in words {
            hasher.write_u64(word);
        }
        hasher.finish()
    }

    pub(super) fn network(self, network: u128) -> u64 {
        self.of([(network >> 64) as u64, network as u64, 1])
    }

    pub(super) fn inside(self, protocol: u8, address: Ipv6Addr, port: u16) -> u64 {
        let bits = address.to_bits();
        self.of([(bits >> 64) as u64, bits as u64, 2 | u64::from(protocol) << 8 | u64::from(port) << 16])
    }

    pub(super) fn remote(self, binding: u32, address: Ipv4Addr, port: u16) -> u64 {
        self.of([u64::from(binding) << 32 | u64::from(address.to_bits()), port.into(), 3])
    }
}
