//! Who talks most, and who may: heavy hitters and rate limits over addresses and networks, in fixed memory.
//!
//! A table of peers that was safe with IPv4 is not with IPv6: one link has 2^64 addresses, so whoever owns
//! one fills the memory of a program that remembers each peer, or passes below a limit that is set for each
//! address. [`Talkers`] counts and [`Limiter`] limits at /48, /56, /64 and /128 at once, and IPv4 at /24 and
//! /32, and neither ever grows.
//!
//! ```
//! use sixgate_endpoint::talkers::{Level, Limiter, Limits, Talkers, Verdict};
//! use std::net::{IpAddr, Ipv6Addr};
//! use std::time::Duration;
//!
//! let mut talkers = Talkers::new();
//! // One link sends from a hundred thousand addresses; two peers elsewhere from one each.
//! for host in 0..100_000_u128 {
//!     talkers.add(IpAddr::from(Ipv6Addr::from_bits((0x2001_0db8_u128 << 96) + host)), 1);
//!     if host % 50 == 0 {
//!         talkers.add("2001:db8:7::1".parse::<IpAddr>()?, 1);
//!         talkers.add("::ffff:192.0.2.1".parse::<IpAddr>()?, 1);
//!     }
//! }
//! let report = talkers.report(1.0);
//! assert_eq!(report.lines[0].entry.prefix_text(), "2001:db8::/64");
//! assert_eq!(report.lines[0].entry.seen, 100_000);
//! let peers: Vec<_> = report.lines[1..].iter().map(|line| line.entry.prefix_text()).collect();
//! assert_eq!(peers, ["192.0.2.1", "2001:db8:7::1"]);
//! assert_eq!(talkers.top(Level::Net64, 1)[0].prefix_text(), "2001:db8::/64");
//!
//! // The same link gets no more than a link may, however many addresses it uses.
//! let mut limiter = Limiter::new(Limits::default());
//! let allowed = (0..1000_u128)
//!     .map(|host| IpAddr::from(Ipv6Addr::from_bits((0x2001_0db8_u128 << 96) + host)))
//!     .filter(|&peer| limiter.check(Duration::ZERO, peer, 1) == Verdict::Allowed)
//!     .count();
//! assert_eq!(allowed, 50);
//! # Ok::<(), std::net::AddrParseError>(())
//! ```
//!
//! # What holds, whoever sends what
//! 1. **Memory is fixed** at construction; [`Talkers::status`] and [`Limiter::status`] tell of it, and count
//!    what was given up.
//! 2. **Bounds are true.** The weight of a listed key lies between [`Entry::seen`] and [`Entry::count`]; that
//!    of any other is what [`Talkers::bounds`] says. While there is room, both are the exact count.
//! 3. **What is known stays.** A listed key loses its place only to a newcomer of the same bucket (of eight
//!    places), and only where none of the others that may be given up has less seen (places on loan, see 4,
//!    are given up first). Newcomers begin with what they brought themselves, so addresses that are used once
//!    displace nobody who was seen twice, however many they are and however they are spread: to displace a
//!    talker in every bucket takes as many keys as there are places, each as busy as the talker.
//! 4. **A network has its share.** Of a bucket's eight places one /64 keeps two and one /48 four in the list
//!    of addresses, one /56 two and one /48 four in the list of /64s, one /48 four in that of /56s and one
//!    /24 four in that of IPv4 addresses. It may borrow more while they are free, and these are given up
//!    first. (A bucket knows networks by an octet of their hash: one in 256 is taken for another.)
//! 5. **A flood stops where it spreads.** What is within a network that had to displace another waits: it
//!    gets a place in the finer lists with the network's next packets. So a flood over many sites fills the
//!    list of /48s and leaves the finer ones alone.
//! 6. **Families are apart.** No IPv6 peer has an effect on what is known of IPv4, and the reverse. Mapped
//!    addresses are the IPv4 addresses they stand for.
//! 7. **Chosen addresses are as good as random ones**: their places depend on a secret from the system's
//!    random numbers, by a hash that is proven to have no bad inputs (strong universality). This holds as
//!    long as the places stay secret: show lists that are sorted, as those of [`Talkers::top`] and
//!    [`Talkers::report`] are, not [`Talkers::entries`] as it comes.
//!
//! What cannot be had in fixed memory: under a flood over more networks than there are places, a talker that
//! begins during the flood is noticed when it sends twice before its bucket is asked for a place by about
//! eight others; for the default size, when it sends more than about one packet in four thousand. Where a
//! bucket is full of talkers that have gone silent, it takes about one in five hundred, until
//! [`Talkers::halve`] has aged these: call [`Talkers::age`] from a timer.
//!
//! An address of a link is counted without its zone: `fe80::1%eth0` and `fe80::1%eth1` are one.

mod hash;
mod level;
mod limiter;
mod peer;
mod report;
mod sketch;
mod table;

pub use level::Level;
pub use limiter::{Limiter, LimiterLevel, LimiterStatus, Limits, Rate, Verdict};
pub use peer::Peer;
pub use report::{Bounds, Entry, LevelStatus, Line, Report, Status};

use crate::Family;
use hash::Secret;
use level::Key;
use sketch::Mark;
use std::fmt;
use std::time::Duration;
use table::{Above, MOST, Table, Update};

/// Entries of each level where nothing else is asked for.
pub const DEFAULT_ENTRIES: usize = 4096;

/// Counts what each address and network sent, in fixed memory: see the [module](self) for what it guarantees.
///
/// Counts are of whatever [`add`](Self::add) is given: packets, octets, queries. Who wants two measures takes
/// two of these.
#[derive(Clone)]
pub struct Talkers {
    secret: Secret,
    v6: [Table; 4],
    v4: [Table; 2],
    total_v6: Total,
    total_v4: Total,
    aged: Option<Duration>,
}

/// Weight of a family.
#[derive(Debug, Clone, Copy, Default)]
struct Total {
    /// As the entries have it: halved with them.
    now: u64,
    ever: u64,
}

impl Total {
    /// Adds, and says what it was.
    #[inline]
    fn add(&mut self, weight: u64) -> u64 {
        let before = self.now;
        self.now = (self.now + weight).min(MOST);
        self.ever = self.ever.saturating_add(weight);
        before
    }
}

// Never the secret, on which guarantee 7 rests.
impl fmt::Debug for Talkers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Talkers").field(&self.status()).finish()
    }
}

impl Default for Talkers {
    fn default() -> Self {
        Self::new()
    }
}

impl Talkers {
    /// With [`DEFAULT_ENTRIES`] for each level: about a megabyte in all.
    pub fn new() -> Self {
        Self::with_entries(DEFAULT_ENTRIES)
    }

    /// With at least so many entries for each level; a power of two, at least 64.
    pub fn with_entries(entries: usize) -> Self {
        Self::with_secret(entries, Secret::random())
    }

    /// With as many entries as fit in so many octets: as a power of two, at least 64 for each level (about 16
    /// kB).
    pub fn with_memory(octets: usize) -> Self {
        let fits = octets / Level::ALL.len() / (Table::bytes(64) / 64);
        Self::with_entries(if fits < 64 { 64 } else { 1 << fits.ilog2() })
    }

    /// As [`with_entries`](Self::with_entries), with all places decided by `seed`, so that a run can be
    /// repeated. Not where strangers send: whoever knows the seed can choose addresses that displace each
    /// other.
    pub fn with_seed(entries: usize, seed: u64) -> Self {
        Self::with_secret(entries, Secret::from_seed(seed))
    }

    fn with_secret(entries: usize, secret: Secret) -> Self {
        Self {
            secret,
            v6: Level::V6.map(|level| Table::new(level, entries)),
            v4: Level::V4.map(|level| Table::new(level, entries)),
            total_v6: Total::default(),
            total_v4: Total::default(),
            aged: None,
        }
    }

    /// Counts `weight` for a peer, at all levels of its family. Sums end at 2^61 - 1.
    #[inline]
    pub fn add(&mut self, peer: impl Peer, weight: u64) {
        if weight == 0 {
            return;
        }
        let weight = weight.min(MOST);
        let (family, key) = peer.key();
        match family {
            Family::V6 => self.add_v6(key, weight),
            Family::V4 => self.add_v4(key, weight),
        }
    }

    #[inline]
    fn add_v6(&mut self, key: Key, weight: u64) {
        let [h48, h56, h64, h128] = self.secret.v6(key);
        let [t48, t56, t64, t128] = &mut self.v6;
        let above = Above { bound: self.total_v6.add(weight), displaced: false };
        let update = Update { hash: h48, key, near: 0, far: h48, mark: Mark::new(h128), weight, above };
        let above = t48.add::<false>(Update { key: key.at(Level::Net48), ..update });
        let above = t56.add::<false>(Update { hash: h56, key: key.at(Level::Net56), above, ..update });
        let key64 = key.at(Level::Net64);
        let above = t64.add::<false>(Update { hash: h64, key: key64, near: h56, above, ..update });
        t128.add::<true>(Update { hash: h128, near: h64, above, ..update });
    }

    #[inline]
    fn add_v4(&mut self, key: Key, weight: u64) {
        let [h24, h32] = self.secret.v4(key);
        let [t24, t32] = &mut self.v4;
        let above = Above { bound: self.total_v4.add(weight), displaced: false };
        let update = Update { hash: h24, key, near: 0, far: h24, mark: Mark::new(h32), weight, above };
        let above = t24.add::<false>(Update { key: key.at(Level::Net24), ..update });
        t32.add::<true>(Update { hash: h32, above, ..update });
    }

    /// Makes all that was counted until now worth half, so that those who talk now come to the top. An entry
    /// of which nothing remains gives up its place.
    ///
    /// Bounds stay true of the weight so aged; halving rounds outwards, which adds less than 2 to the error,
    /// however often. Costs one pass over the tables: well below a millisecond for the default size.
    pub fn halve(&mut self) {
        self.v6.iter_mut().chain(&mut self.v4).for_each(Table::halve);
        for total in [&mut self.total_v6, &mut self.total_v4] {
            total.now = total.now.div_ceil(2);
        }
    }

    /// Halves once for every `half_life` that has passed since the first call; for a caller with a timer.
    /// Time that goes back counts as none. Says how often it halved.
    pub fn age(&mut self, now: Duration, half_life: Duration) -> u32 {
        let since = *self.aged.get_or_insert(now);
        if now < since || half_life.is_zero() {
            self.aged = Some(now);
            return 0;
        }
        let passed = now.saturating_sub(since).as_nanos() / half_life.as_nanos();
        // After 64 nothing is left of any count.
        let times = u32::try_from(passed).unwrap_or(u32::MAX);
        for _ in 0..times.min(65) {
            self.halve();
        }
        let part = half_life.checked_mul(times);
        self.aged = Some(part.and_then(|part| since.checked_add(part)).unwrap_or(now));
        times
    }

    /// Forgets all counts, but not what was counted for [`status`](Self::status).
    pub fn clear(&mut self) {
        self.v6.iter_mut().chain(&mut self.v4).for_each(Table::clear);
        self.total_v6.now = 0;
        self.total_v4.now = 0;
    }

    /// All weight of a family, aged as the entries are.
    pub fn total(&self, family: Family) -> u64 {
        match family {
            Family::V6 => self.total_v6.now,
            Family::V4 => self.total_v4.now,
        }
    }

    fn table(&self, level: Level) -> &Table {
        match level {
            Level::Net48 => &self.v6[0],
            Level::Net56 => &self.v6[1],
            Level::Net64 => &self.v6[2],
            Level::Host6 => &self.v6[3],
            Level::Net24 => &self.v4[0],
            Level::Host4 => &self.v4[1],
        }
    }

    /// What is known of a peer at each level of its family, from coarse to fine, whether it is listed or not.
    pub fn bounds(&self, peer: impl Peer) -> Vec<Bounds> {
        let (family, key) = peer.key();
        let hashes: &[u64] = match family {
            Family::V6 => &self.secret.v6(key),
            Family::V4 => &self.secret.v4(key),
        };
        let mut most = self.total(family);
        let levels = Level::of(family).iter().zip(hashes);
        levels
            .map(|(&level, &hash)| {
                let key = key.at(level);
                let known = self.table(level).known(hash, key);
                most = most.min(known.most);
                Bounds { prefix: level.prefix(key), at_least: known.seen, at_most: most }
            })
            .collect()
    }
}
