//! How many messages a link, and an address on it, may have relayed: fixed memory, whatever strangers do.

use siphasher::sip::SipHasher13;
use std::hash::{Hash as _, Hasher as _};
use std::net::Ipv6Addr;
use std::time::Duration;

/// Addresses of a link that are told apart; those that fall together share.
const SLOTS: usize = 256;
/// One address may take this part of what its link may.
const PART: u32 = 10;
/// What may come at once: as much as in this time.
const BURST: Duration = Duration::from_secs(1);

/// One link's limiter. Each bucket is the time at which it is empty again (the generic cell rate algorithm).
#[derive(Debug, Clone)]
pub(super) struct Limiter {
    link: Duration,
    sources: Box<[Duration]>,
    key: [u8; 16],
}

impl Limiter {
    /// `key` keeps strangers from choosing whom they share with.
    pub(super) fn new(key: [u8; 16]) -> Self {
        Self { link: Duration::ZERO, sources: vec![Duration::ZERO; SLOTS].into(), key }
    }

    /// Whether one more message may pass at `rate` a second; from a relay agent, which speaks for many, only
    /// the link counts.
    pub(super) fn admits(&mut self, now: Duration, rate: u32, client: Option<Ipv6Addr>) -> bool {
        let each = |rate: u32| Duration::from_secs(1) / rate.max(1);
        // The sender first: what it is refused costs others nothing.
        if let Some(client) = client {
            let mut hasher = SipHasher13::new_with_key(&self.key);
            client.hash(&mut hasher);
            let slot = (hasher.finish() % SLOTS as u64) as usize;
            let fair = each(rate.div_ceil(PART));
            if self.sources.get_mut(slot).is_some_and(|bucket| !take(bucket, now, fair)) {
                return false;
            }
        }
        take(&mut self.link, now, each(rate))
    }
}

fn take(bucket: &mut Duration, now: Duration, each: Duration) -> bool {
    let next = (*bucket).max(now).saturating_add(each);
    let admitted = next <= now.saturating_add(BURST.max(each));
    if admitted {
        *bucket = next;
    }
    admitted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_leaves_its_rate_and_one_sender_a_tenth_of_it() {
        let mut limiter = Limiter::new([7; 16]);
        let client = |n: u128| Some(Ipv6Addr::from((0xfe80 << 112) | n));
        let now = Duration::from_secs(100);
        let passed = (0..10_000).filter(|_| limiter.admits(now, 1_000, client(1))).count();
        assert_eq!(passed, 100);
        let passed = (0..10_000).filter(|n| limiter.admits(now, 1_000, client(*n))).count();
        assert_eq!(passed, 900, "one sender's flood and many senders' together are the link's");
        assert!(!limiter.admits(now, 1_000, None));
        let later = now + Duration::from_millis(10);
        let passed = (0..1_000).filter(|_| limiter.admits(later, 1_000, client(1))).count();
        assert_eq!(passed, 1, "a hundredth of a second later");
    }
}
