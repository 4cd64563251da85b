//! Which address a client gets: a keyed hash of who asks, as in [`crate::allocate`], so that a client gets
//! the same again for as long as nobody else holds it, without a record of those who left.

use siphasher::sip::SipHasher24;
use sixgate_wire::dhcpv4::ClientId;
use std::hash::Hasher;
use std::net::Ipv4Addr;
use std::ops::RangeInclusive;

/// Hashes tried before the pool is searched in order.
const PROBES: u32 = 16;
/// Most steps of the search in order: what a stranger's question may cost when a pool is used up.
const STEPS: u64 = 1_024;

/// An address of `pool` that `free` lets pass.
pub(super) fn address(
    pool: &RangeInclusive<Ipv4Addr>,
    key: &[u8; 16],
    client: &ClientId,
    mut free: impl FnMut(Ipv4Addr) -> bool,
) -> Option<Ipv4Addr> {
    let (first, last) = (u32::from(*pool.start()), u32::from(*pool.end()));
    let size = u64::from(last.checked_sub(first)?) + 1;
    let hash = |count: u32| {
        let mut hasher = SipHasher24::new_with_key(key);
        hasher.write(&first.to_be_bytes());
        hasher.write(&last.to_be_bytes());
        hasher.write(&count.to_be_bytes());
        hasher.write(client.as_bytes());
        hasher.finish()
    };
    let start = hash(0);
    let slot = |index: u64| Ipv4Addr::from(first.saturating_add((index % size) as u32));
    let probes = (0..PROBES).map(hash);
    let steps = (1..size.min(STEPS)).map(|step| (start % size) + step);
    probes.chain(steps).map(slot).find(|&address| free(address))
}

#[cfg(test)]
mod tests {
    use super::*;
    use sixgate_wire::dhcpv4::Hardware;
    use std::collections::BTreeSet;

    #[test]
    fn the_same_client_gets_the_same_and_the_last_address_is_found() {
        let pool = Ipv4Addr::new(192, 0, 2, 50)..=Ipv4Addr::new(192, 0, 2, 99);
        let mut taken = BTreeSet::new();
        for client in 0..50 {
            let id = ClientId::hardware(Hardware::ethernet([2, 0, 0, 0, 0, client]));
            let get = |taken: &BTreeSet<_>| address(&pool, &[7; 16], &id, |a| !taken.contains(&a));
            let got = get(&taken).unwrap();
            assert_eq!(get(&taken), Some(got));
            assert!(pool.contains(&got) && taken.insert(got));
        }
        let id = ClientId::hardware(Hardware::ethernet([2, 0, 0, 0, 0, 50]));
        assert_eq!(address(&pool, &[7; 16], &id, |a| !taken.contains(&a)), None);
        let all = Ipv4Addr::UNSPECIFIED..=Ipv4Addr::BROADCAST;
        assert!(address(&all, &[7; 16], &id, |_| true).is_some());
        assert_eq!(address(&(*pool.end()..=*pool.start()), &[7; 16], &id, |_| true), None);
    }
}
