//! [`Limiter`]: what an address and the networks around it may send.

use super::DEFAULT_ENTRIES;
use super::hash::Secret;
use super::level::{Key, Level};
use super::peer::Peer;
use super::table::{PLACES, equal_octets, first, tag};
use crate::Family;
use std::fmt;
use std::time::Duration;

/// The limiter's clock has this many steps in a nanosecond: so a rate of 10^9 a second is still met to 6 %,
/// of 10^6 to 0.01 %.
const STEPS: u64 = 16;
/// Nothing is further away than this: four and a half years.
const FAR: u64 = 1 << 61;

/// Time that goes back by less is that of callers out of order, not of a clock that was set.
const DISORDER: Duration = Duration::from_secs(1);

/// How much may be sent: a burst at once, and this again as it drips back at a rate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// Steps of the clock until one comes back.
    step: u64,
    /// Steps until an empty bucket is full.
    full: u64,
    burst: u64,
}

impl Rate {
    /// `burst` at once, and `per_second` for ever. A burst of 0 allows nothing, and with a rate of 0 what is
    /// spent does not come back within years.
    pub fn new(per_second: u32, burst: u32) -> Self {
        // Rounded up: never more than the rate.
        let step = if per_second == 0 { FAR } else { (1_000_000_000 * STEPS).div_ceil(per_second.into()) };
        Self::from_step(step, burst)
    }

    /// `burst` at once, and then one in each `interval`: for rates below one a second.
    pub fn every(interval: Duration, burst: u32) -> Self {
        let step = interval.as_nanos().saturating_mul(STEPS.into());
        Self::from_step(u64::try_from(step).unwrap_or(FAR), burst)
    }

    fn from_step(step: u64, burst: u32) -> Self {
        let burst = u64::from(burst);
        let step = step.min(FAR / burst.max(1));
        Self { step, full: step * burst, burst }
    }

    /// Steps that a cost takes; `None` where it is more than the burst and so never allowed.
    fn steps(self, cost: u64) -> Option<u64> {
        (cost <= self.burst).then(|| self.step * cost)
    }
}

/// Limits at each level; `None` is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Of an IPv6 /48.
    pub net48: Option<Rate>,
    /// Of an IPv6 /56.
    pub net56: Option<Rate>,
    /// Of an IPv6 /64.
    pub net64: Option<Rate>,
    /// Of an IPv6 address.
    pub host6: Option<Rate>,
    /// Of an IPv4 /24.
    pub net24: Option<Rate>,
    /// Of an IPv4 address.
    pub host4: Option<Rate>,
}

impl Limits {
    /// No limit at any level: the base to set some.
    pub const NONE: Self =
        Self { net48: None, net56: None, net64: None, host6: None, net24: None, host4: None };

    /// The limit of a level.
    pub fn of(&self, level: Level) -> Option<Rate> {
        match level {
            Level::Net48 => self.net48,
            Level::Net56 => self.net56,
            Level::Net64 => self.net64,
            Level::Host6 => self.host6,
            Level::Net24 => self.net24,
            Level::Host4 => self.host4,
        }
    }
}

impl Default for Limits {
    /// 10 a second for an address, 50 for a /64, 100 for a /56, 200 for a /48 and for an IPv4 /24; a burst is
    /// a second's worth.
    fn default() -> Self {
        let rate = |rate| Some(Rate::new(rate, rate));
        Self {
            net48: rate(200),
            net56: rate(100),
            net64: rate(50),
            host6: rate(10),
            net24: rate(200),
            host4: rate(10),
        }
    }
}

/// What [`Limiter::check`] says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Verdict {
    /// Within all limits, and counted.
    Allowed,
    /// More than a limit; nothing was counted.
    Refused {
        /// The coarsest level of which the limit is reached.
        level: Level,
        /// After this the level would allow it, if nobody else used what comes back until then;
        /// `Duration::MAX` where the cost is more than the burst.
        retry_after: Duration,
    },
}

impl Verdict {
    /// Whether it is allowed.
    pub fn is_allowed(self) -> bool {
        self == Self::Allowed
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Allowed => f.write_str("allowed"),
            Self::Refused { level, retry_after: Duration::MAX } => {
                write!(f, "refused: it costs more than the {level} may ever spend at once")
            }
            Self::Refused { level, retry_after } => {
                write!(f, "refused: the {level} has reached its limit; retry after {retry_after:?}")
            }
        }
    }
}

/// Limits how much each address and network sends, in fixed memory.
///
/// Each level has a token bucket for each key (the generic cell rate algorithm), and what is sent must be
/// within all. Levels are asked from coarse to fine, and what is refused by one is charged nowhere and makes
/// no entry: so a host that exceeds its own limit does not use up its network's, and a network that has
/// reached its limit makes no more entries for its addresses, however many it uses. [`Limits::default`] lets
/// one /48 make 200 a second, each of which is worth keeping for a tenth of one.
///
/// **When the table is full.** A key without an entry takes over the one in its bucket (of eight) of which
/// the least is spent, which is as good as a free one where nothing is. So whoever is at its limit stays
/// known, and costs nobody else a place. Where all eight are busy, the coarsest level that has a limit errs
/// towards limiting: the newcomer goes on from what is spent of the entry. *No key of that level ever gets
/// more than its burst and rate, whatever was evicted*, since what stays and what comes is spent at least as
/// far as what was given up. At finer levels the newcomer begins unspent: who was displaced may begin anew,
/// within what its network may send; nobody is refused there for what others did.
///
/// It takes eight busy networks in each bucket to make a newcomer inherit, and as many at their limit to
/// refuse it: with default sizes and limits about 4096 /48s that send their full rate (820,000 a second in
/// all). Then newcomers share what the least spent entry of their bucket gets back, and all is as before
/// within a second after it ends. What one /48 does, or a hundred, delays no other. [`Limiter::status`]
/// counts both cases.
///
/// With a limit for addresses alone, these are the coarsest level, and all of them together get no more than
/// the number of entries times their rate: give the networks a limit, too.
#[derive(Clone)]
pub struct Limiter {
    secret: Secret,
    v6: [Buckets; 4],
    v4: [Buckets; 2],
    /// The last `now`, and what it is on a clock that never goes back.
    now: Option<Duration>,
    clock: u64,
    /// Longest time until any bucket is full, in steps.
    longest: u64,
    allowed: u64,
}

// Never the secret.
impl fmt::Debug for Limiter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Limiter").field(&self.status()).finish()
    }
}

/// State of a [`Limiter`], for `status`.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct LimiterStatus {
    /// Octets of its tables: fixed.
    pub memory: usize,
    /// How often it allowed.
    pub allowed: u64,
    /// How often each level refused, and what it gave up.
    pub levels: Vec<LimiterLevel>,
}

/// State of one level of a [`Limiter`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct LimiterLevel {
    /// Which.
    #[cfg_attr(feature = "serde", serde(serialize_with = "super::report::serialize_level"))]
    pub level: Level,
    /// Entries at most.
    pub capacity: usize,
    /// Entries that are not idle.
    pub busy: usize,
    /// How often it refused.
    pub refused: u64,
    /// Of these: a newcomer, for what another key had spent, because nothing in its bucket was idle. Only of
    /// the coarsest level.
    pub refused_crowded: u64,
    /// How often a newcomer took over an entry that was not idle.
    pub crowded: u64,
}

impl fmt::Display for LimiterStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "memory {} octets, allowed {}", self.memory, self.allowed)?;
        for LimiterLevel { level, capacity, busy, refused, refused_crowded, crowded } in &self.levels {
            write!(f, "\n{level:9}  {busy} of {capacity} busy, refused {refused}")?;
            write!(f, " ({refused_crowded} for want of places), {crowded} shared a place")?;
        }
        Ok(())
    }
}

impl Limiter {
    /// With [`DEFAULT_ENTRIES`] for each level: less than a megabyte.
    pub fn new(limits: Limits) -> Self {
        Self::with_entries(limits, DEFAULT_ENTRIES)
    }

    /// With at least so many entries for each level that has a limit; a power of two, at least 64.
    pub fn with_entries(limits: Limits, entries: usize) -> Self {
        Self::with_secret(limits, entries, Secret::random())
    }

    /// As [`with_entries`](Self::with_entries), with all places decided by `seed`, so that a run can be
    /// repeated. Not where strangers send.
    pub fn with_seed(limits: Limits, entries: usize, seed: u64) -> Self {
        Self::with_secret(limits, entries, Secret::from_seed(seed))
    }

    fn with_secret(limits: Limits, entries: usize, secret: Secret) -> Self {
        let buckets = |level| Buckets::new(level, &limits, entries);
        let full = |level: Level| limits.of(level).map_or(0, |rate| rate.full);
        Self {
            secret,
            v6: Level::V6.map(buckets),
            v4: Level::V4.map(buckets),
            now: None,
            clock: 0,
            longest: Level::ALL.map(full).into_iter().max().unwrap_or(0),
            allowed: 0,
        }
    }

    /// Whether a peer may send what costs `cost` (1 for a packet, or its octets, as the limits are meant),
    /// and if so charges it.
    ///
    /// `now` is of any clock. Where it is up to a second late, as that of threads which took it before they had
    /// the lock, time stands still until it is past the last; if it goes back further, time stands still for
    /// this one call and goes on from there. A jump forward is worth at most full buckets.
    #[inline]
    pub fn check(&mut self, now: Duration, peer: impl Peer, cost: u64) -> Verdict {
        self.advance(now);
        let (family, key) = peer.key();
        let verdict = match family {
            Family::V6 => charge(&mut self.v6, self.secret.v6(key), self.clock, key, cost),
            Family::V4 => charge(&mut self.v4, self.secret.v4(key), self.clock, key, cost),
        };
        self.allowed += u64::from(verdict == Verdict::Allowed);
        verdict
    }

    #[inline]
    fn advance(&mut self, now: Duration) {
        let last = self.now.unwrap_or(now);
        let late = last.saturating_sub(now);
        if !late.is_zero() && late < DISORDER {
            return;
        }
        let passed = now.saturating_sub(last);
        self.now = Some(now);
        let nanoseconds = u64::from(passed.subsec_nanos());
        let steps =
            passed.as_secs().saturating_mul(1_000_000_000 * STEPS).saturating_add(nanoseconds * STEPS);
        self.clock += steps.min(self.longest);
        if self.clock > u64::MAX / 2 {
            // After eighteen years: all start with full buckets again.
            self.clock = 0;
            self.v6.iter_mut().chain(&mut self.v4).for_each(Buckets::clear);
        }
    }

    /// Its state.
    pub fn status(&self) -> LimiterStatus {
        let all = || self.v6.iter().chain(&self.v4);
        LimiterStatus {
            memory: all().map(|level| level.table.len() * size_of::<Bucket>()).sum(),
            allowed: self.allowed,
            levels: all()
                .filter(|level| level.rate.is_some())
                .map(|level| LimiterLevel {
                    level: level.level,
                    capacity: level.table.len() * PLACES,
                    busy: level.busy(self.clock),
                    refused: level.refused,
                    refused_crowded: level.refused_crowded,
                    crowded: level.crowded,
                })
                .collect(),
        }
    }
}

/// Asks all levels from coarse to fine, and charges all or none.
#[inline]
fn charge<const N: usize>(
    levels: &mut [Buckets; N],
    hashes: [u64; N],
    clock: u64,
    key: Key,
    cost: u64,
) -> Verdict {
    let mut charges = [Charge::default(); N];
    for index in 0..N {
        let level = &mut levels[index];
        let Some(rate) = level.rate else { continue };
        match level.ask(rate, hashes[index], key.at(level.level), clock, cost) {
            Ok(charge) => charges[index] = charge,
            Err(retry_after) => return Verdict::Refused { level: level.level, retry_after },
        }
    }
    for index in 0..N {
        let level = &mut levels[index];
        if level.rate.is_some() {
            level.take(hashes[index], key.at(level.level), charges[index], clock);
        }
    }
    Verdict::Allowed
}

/// The token buckets of one level, eight to a bucket of the table.
#[derive(Debug, Clone)]
struct Buckets {
    level: Level,
    rate: Option<Rate>,
    /// Whether no coarser level has a limit.
    coarsest: bool,
    table: Box<[Bucket]>,
    shift: u32,
    refused: u64,
    refused_crowded: u64,
    crowded: u64,
}

#[derive(Debug, Clone, Default)]
#[repr(align(64))]
struct Bucket {
    tags: u64,
    keys: [(u64, u64); PLACES],
    /// When each token bucket is full again: the "theoretical arrival time" of the algorithm.
    full_at: [u64; PLACES],
}

/// What is to be written when all levels agree.
#[derive(Debug, Clone, Copy, Default)]
struct Charge {
    place: usize,
    /// Whether the place is another's until now.
    taken_over: bool,
    full_at: u64,
}

impl Buckets {
    fn new(level: Level, limits: &Limits, entries: usize) -> Self {
        let rate = limits.of(level);
        let coarser = Level::of(level.family()).iter().take_while(|&&coarser| coarser != level);
        let buckets = (entries.clamp(64, 1 << 30) / PLACES).next_power_of_two();
        let shift = 64 - buckets.trailing_zeros();
        // Without a limit there is nothing to remember.
        let buckets = if rate.is_some() { buckets } else { 0 };
        Self {
            level,
            rate,
            coarsest: coarser.into_iter().all(|&coarser| limits.of(coarser).is_none()),
            table: vec![Bucket::default(); buckets].into(),
            shift,
            refused: 0,
            refused_crowded: 0,
            crowded: 0,
        }
    }

    fn clear(&mut self) {
        self.table.fill(Bucket::default());
    }

    fn busy(&self, clock: u64) -> usize {
        self.table.iter().flat_map(|bucket| &bucket.full_at).filter(|&&full_at| full_at > clock).count()
    }

    #[inline]
    fn ask(&mut self, rate: Rate, hash: u64, key: Key, clock: u64, cost: u64) -> Result<Charge, Duration> {
        let bucket = &self.table[(hash >> self.shift) as usize];
        let known = bucket.find(tag(hash), key);
        let place = known.unwrap_or_else(|| bucket.least_spent());
        let inherits = known.is_some() || self.coarsest;
        let from = if inherits { bucket.full_at[place].max(clock) } else { clock };
        let Some(steps) = rate.steps(cost) else {
            self.refused += 1;
            return Err(Duration::MAX);
        };
        // Both are below 2^63: the clock by `advance`, and `from` is at most `full` later.
        let full_at = from + steps;
        let latest = clock + rate.full;
        if full_at > latest {
            self.refused += 1;
            self.refused_crowded += u64::from(known.is_none() && from > clock);
            return Err(Duration::from_nanos((full_at - latest).div_ceil(STEPS)));
        }
        Ok(Charge { place, taken_over: known.is_none(), full_at })
    }

    #[inline]
    fn take(&mut self, hash: u64, key: Key, charge: Charge, clock: u64) {
        let bucket = &mut self.table[(hash >> self.shift) as usize];
        let place = charge.place % PLACES;
        if charge.taken_over {
            self.crowded += u64::from(bucket.full_at[place] > clock);
            bucket.keys[place] = (key.net, key.rest);
            bucket.tags = bucket.tags & !(0xff << (8 * place)) | tag(hash) << (8 * place);
        }
        bucket.full_at[place] = charge.full_at;
    }
}

impl Bucket {
    #[inline]
    fn find(&self, tag: u64, key: Key) -> Option<usize> {
        let mut candidates = equal_octets(self.tags, tag);
        while candidates != 0 {
            let place = first(candidates);
            if self.keys[place] == (key.net, key.rest) {
                return Some(place);
            }
            candidates &= candidates - 1;
        }
        None
    }

    #[inline]
    fn least_spent(&self) -> usize {
        let mut found = 0;
        for place in 1..PLACES {
            if self.full_at[place] < self.full_at[found] {
                found = place;
            }
        }
        found
    }
}
