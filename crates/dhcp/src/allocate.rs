//! Which address or prefix a client gets.
//!
//! The choice is a keyed hash of who asks and of the pool, so that a client gets the same again as long as nobody else
//! holds it, without a record of those who left; and so that interface identifiers look random to those without the
//! key (RFC 7943 section 3, RFC 9915 section 13.1). Where the choice is taken, the hash is tried with other counts, and
//! at last the pool is searched in order from the first choice on, for a bounded number of steps.

use crate::identity::Identity;
use ipnet::Ipv6Net;
use siphasher::sip128::{Hasher128, SipHasher24};
use std::hash::Hasher;
use std::net::Ipv6Addr;

/// Hashes tried before the pool is searched in order.
const PROBES: u32 = 16;
/// Most steps of the search in order.
const STEPS: u128 = 4_096;

/// Who asks.
#[derive(Debug, Clone, Copy)]
pub struct Claimant<'a> {
    /// Key of the hash.
    pub key: &'a [u8; 16],
    /// The client, as its pool knows it.
    pub identity: &'a Identity,
    /// Its association.
    pub iaid: u32,
}

impl Claimant<'_> {
    fn hash(&self, pool: Ipv6Net, length: u8, count: u32) -> u128 {
        let mut hasher = SipHasher24::new_with_key(self.key);
        hasher.write(&pool.network().octets());
        hasher.write(&[pool.prefix_len(), length]);
        match self.identity {
            Identity::Duid(_) => hasher.write(&self.iaid.to_be_bytes()),
            // The next box on the line, or the other system of the machine, has other numbers.
            Identity::Mac(_) => hasher.write(b"\0\0mac"),
            Identity::Line(_) => hasher.write(b"\0\0line"),
        }
        hasher.write(&count.to_be_bytes());
        hasher.write(self.identity.as_bytes());
        hasher.finish128().as_u128()
    }
}

/// An address of `pool` that `free` lets pass. Addresses with a reserved interface identifier are not tried.
pub fn address(pool: Ipv6Net, who: Claimant<'_>, mut free: impl FnMut(Ipv6Addr) -> bool) -> Option<Ipv6Addr> {
    let usable = |net: Ipv6Net| !is_reserved(net.network()) && free(net.network());
    search(pool, 128, who, usable).map(|net| net.network())
}

/// A prefix of `length` within `pool` that `free` lets pass.
pub fn prefix(
    pool: Ipv6Net,
    length: u8,
    who: Claimant<'_>,
    free: impl FnMut(Ipv6Net) -> bool,
) -> Option<Ipv6Net> {
    search(pool, length, who, free)
}

fn search(
    pool: Ipv6Net,
    length: u8,
    who: Claimant<'_>,
    mut free: impl FnMut(Ipv6Net) -> bool,
) -> Option<Ipv6Net> {
    let bits = length.checked_sub(pool.prefix_len())?;
    let shift = 128_u32.checked_sub(u32::from(length))?;
    let mask = 1_u128.checked_shl(u32::from(bits)).map_or(u128::MAX, |slots| slots - 1);
    let base = u128::from(pool.network());
    let slot = |index: u128| {
        let bits = base | (index & mask).checked_shl(shift).unwrap_or_default();
        Ipv6Net::new(bits.into(), length).ok()
    };
    let first = who.hash(pool, length, 0);
    let probes = (0..PROBES).map(|count| who.hash(pool, length, count));
    let steps = (1..=mask.min(STEPS)).map(|step| first.wrapping_add(step));
    probes.chain(steps).filter_map(slot).find(|&net| free(net))
}

/// Whether the interface identifier is one of IANA's reserved ones: the Subnet-Router anycast address (RFC 4291), the
/// block of IANA's Ethernet addresses (RFC 5453, RFC 9542) and the reserved subnet anycast addresses (RFC 2526).
pub fn is_reserved(address: Ipv6Addr) -> bool {
    let identifier = u128::from(address) as u64;
    identifier == 0
        || (0x0200_5eff_fe00_0000..=0x0200_5eff_feff_ffff).contains(&identifier)
        || (0xfdff_ffff_ffff_ff80..=0xfdff_ffff_ffff_ffff).contains(&identifier)
}

#[cfg(test)]
mod tests {
    use super::*;
    use sixgate_wire::dhcpv6::Duid;
    use std::collections::BTreeSet;

    fn net(text: &str) -> Ipv6Net {
        text.parse().unwrap()
    }

    fn with<T>(client: u8, iaid: u32, f: impl FnOnce(Claimant<'_>) -> T) -> T {
        f(Claimant {
            key: &[7; 16],
            identity: &Identity::Duid(Duid::link_layer([2, 0, 0, 0, 0, client])),
            iaid,
        })
    }

    #[test]
    fn the_same_client_gets_the_same() {
        let pool = net("2001:db8:0:1::/64");
        let get = |client, iaid| with(client, iaid, |who| address(pool, who, |_| true).unwrap());
        assert_eq!(get(1, 1), get(1, 1));
        let all: BTreeSet<_> = (0..200).flat_map(|client| [get(client, 1), get(client, 2)]).collect();
        assert_eq!(all.len(), 400);
        assert!(all.iter().all(|address| pool.contains(address)));
        // Another prefix gives another identifier: a client cannot be followed by it.
        let elsewhere = with(1, 1, |who| address(net("2001:db8:0:2::/64"), who, |_| true).unwrap());
        assert_ne!(u128::from(elsewhere) as u64, u128::from(get(1, 1)) as u64);
    }

    #[test]
    fn a_small_pool_is_used_up_to_the_last_address() {
        let pool = net("2001:db8::1:0/120");
        let mut taken = BTreeSet::new();
        for client in 0..=255 {
            let address = with(client, 0, |who| address(pool, who, |a| !taken.contains(&a))).unwrap();
            assert!(pool.contains(&address) && taken.insert(address));
        }
        assert_eq!(with(1, 1, |who| address(pool, who, |a| !taken.contains(&a))), None);
    }

    #[test]
    fn prefixes_are_aligned_and_fill_the_pool() {
        let pool = net("2001:db8:0:100::/56");
        let mut taken: BTreeSet<Ipv6Net> = BTreeSet::new();
        for client in 0..16 {
            let got = with(client, 0, |who| prefix(pool, 60, who, |p| !taken.contains(&p))).unwrap();
            assert!(got.prefix_len() == 60 && got.trunc() == got && pool.contains(&got) && taken.insert(got));
        }
        assert_eq!(with(0, 1, |who| prefix(pool, 60, who, |p| !taken.contains(&p))), None);
    }

    #[test]
    fn extreme_lengths_neither_panic_nor_leave_the_pool() {
        for (pool, length, expected) in [
            ("::/0", 0, Some("::/0")),
            ("2001:db8::/32", 31, None),
            ("2001:db8::/32", 32, Some("2001:db8::/32")),
            ("2001:db8::7/128", 128, Some("2001:db8::7/128")),
            ("2001:db8::7/128", 129, None),
        ] {
            assert_eq!(
                with(1, 1, |who| prefix(net(pool), length, who, |_| true)),
                expected.map(net),
                "{pool}"
            );
        }
        assert!(with(1, 1, |who| prefix(net("::/0"), 128, who, |_| true)).is_some());
    }

    #[test]
    fn reserved_identifiers_are_not_given() {
        for (address, expected) in [
            ("2001:db8::", true),
            ("2001:db8::200:5eff:fe00:0", true),
            ("2001:db8::200:5eff:feff:ffff", true),
            ("2001:db8::200:5eff:ff00:0", false),
            ("2001:db8::fdff:ffff:ffff:ff80", true),
            ("2001:db8::fdff:ffff:ffff:ff7f", false),
            ("2001:db8::1", false),
        ] {
            assert_eq!(is_reserved(address.parse().unwrap()), expected, "{address}");
        }
        assert_eq!(with(1, 1, |who| address(net("2001:db8::fdff:ffff:ffff:ff80/121"), who, |_| true)), None);
    }
}
