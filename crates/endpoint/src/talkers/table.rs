//! One level's counts: a table of fixed size, eight places to a bucket.
//!
//! A place holds a key, the weight *seen* since it took the place, and an *error*: how much may have been
//! counted for it before. The scheme is Space-Saving's (Metwally and others, 2005) with two changes. The
//! place that is given up is the one with the least seen, not with the least count: what a flood of new keys
//! adds is error, which proves nothing, so it never displaces a talker that is known to have sent more. And
//! what is given up is remembered in one of four cells of the bucket, chosen by the key, as the most that a
//! key of this cell can have had: this is the error of the next newcomer there.
//!
//! A newcomer's error is at most the count of the network around it, too (a part is not more than the whole).
//!
//! Why the bounds hold: let a cell's `gone` be at least the weight of every key of the cell that has no
//! place. It is true at first. A newcomer takes `gone` as its error, so its count is at least its weight;
//! what it sends is added to both. When it loses its place, `gone` becomes at least its count. When a key is
//! given no place, `gone` grows by what it sent.

use super::level::{Key, Level};
use super::sketch::{self, Mark};

pub(super) const PLACES: usize = 8;
const CELLS: usize = 4;
/// Places of a bucket that the nearest listed network around a key may keep when others want them.
const NEAR: u32 = 2;
/// The same for the site.
const FAR: u32 = 4;
/// Where sums end, so that a sum of two and a place's number beside it fit in a word.
pub(super) const MOST: u64 = (1 << 61) - 1;

const LOW: u64 = 0x0101_0101_0101_0101;
const SEVEN: u64 = 0x7f7f_7f7f_7f7f_7f7f;

/// A place: 32 octets, of which `seen` is 0 where it is free.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Place {
    net: u64,
    /// The rest of an address; of a network, the sketch of its addresses.
    rest: u64,
    pub(super) seen: u64,
    pub(super) error: u64,
}

impl Place {
    pub(super) fn count(&self) -> u64 {
        self.seen + self.error
    }
}

/// Five cache lines, of which a hit touches one or two.
#[derive(Debug, Clone, Default)]
#[repr(align(64))]
struct Bucket {
    /// An octet of the hash of each place's key, never 0; 0 where the place is free.
    tags: u64,
    /// The same of the two networks around the key that have a share: one in 256 is taken for another here.
    near: u64,
    far: u64,
    /// The most that a key of each cell can have had that has no place.
    gone: [u64; CELLS],
    /// The high bit of the octet of each place that was free when its network had its share already: the
    /// first to be given up.
    lent: u64,
    places: [Place; PLACES],
}

/// What is known of a key: its weight lies between the two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Known {
    pub(super) seen: u64,
    pub(super) most: u64,
}

/// What is counted.
#[derive(Debug, Clone, Copy)]
pub(super) struct Update {
    pub(super) hash: u64,
    pub(super) key: Key,
    /// Hashes of the networks around it that have a share, where this level has such.
    pub(super) near: u64,
    pub(super) far: u64,
    /// The address's, for the sketch of a network.
    pub(super) mark: Mark,
    pub(super) weight: u64,
    pub(super) above: Above,
}

/// What the level above has made of an update.
#[derive(Debug, Clone, Copy)]
pub(super) struct Above {
    /// The most that the network around the key can have had until now, and so the key.
    pub(super) bound: u64,
    /// Whether the network had to displace another: then what is within has to wait for the next time.
    pub(super) displaced: bool,
}

#[derive(Debug, Clone)]
pub(super) struct Table {
    level: Level,
    buckets: Box<[Bucket]>,
    /// Of a hash, to get its bucket.
    shift: u32,
    /// Whether there are networks around a key that have a share.
    has_near: bool,
    has_far: bool,
    /// Keys that lost their place, and updates of keys that were given none.
    pub(super) replaced: u64,
    pub(super) waived: u64,
}

impl Table {
    /// A table with at least this many places, a power of two from 64 to 2^30.
    pub(super) fn new(level: Level, entries: usize) -> Self {
        let buckets = (entries.clamp(64, 1 << 30) / PLACES).next_power_of_two();
        Self {
            level,
            buckets: vec![Bucket::default(); buckets].into(),
            shift: 64 - buckets.trailing_zeros(),
            has_near: matches!(level, Level::Net64 | Level::Host6),
            has_far: !matches!(level, Level::Net48 | Level::Net24),
            replaced: 0,
            waived: 0,
        }
    }

    /// Octets that a table of so many entries takes.
    pub(super) const fn bytes(entries: usize) -> usize {
        entries / PLACES * size_of::<Bucket>()
    }

    pub(super) fn level(&self) -> Level {
        self.level
    }

    pub(super) fn places(&self) -> usize {
        self.buckets.len() * PLACES
    }

    pub(super) fn used(&self) -> usize {
        self.iter().count()
    }

    /// Counts. `HOST`: the key is an address, all of it.
    // The levels of an address have most of their arguments in common: inlined, they stay in registers.
    #[allow(clippy::inline_always)]
    #[inline(always)]
    pub(super) fn add<const HOST: bool>(&mut self, update: Update) -> Above {
        let Update { hash, key, near, far, mark, weight, above } = update;
        let bucket = &mut self.buckets[(hash >> self.shift) as usize];
        let tag = tag(hash);
        let mut candidates = equal_octets(bucket.tags, tag);
        while candidates != 0 {
            let place = &mut bucket.places[first(candidates)];
            if place.net == key.net && (!HOST || place.rest == key.rest) {
                let bound = place.count();
                place.seen = (place.seen + weight).min(MOST);
                if !HOST {
                    place.rest = mark.into(place.rest);
                }
                return Above { bound, displaced: false };
            }
            candidates &= candidates - 1;
        }
        let gone = &mut bucket.gone[cell(tag)];
        let error = above.bound.min(*gone);
        if above.displaced {
            *gone = (*gone + weight).min(MOST);
            self.waived += 1;
            return Above { bound: error, displaced: true };
        }
        let rest = if HOST { key.rest } else { mark.into(0) };
        let newcomer = Place { net: key.net, rest, seen: weight, error };
        let near = if self.has_near { self::tag(near) } else { 0 };
        let far = if self.has_far { self::tag(far) } else { 0 };
        let displaced = bucket.take_in(newcomer, hash, near, far);
        self.replaced += u64::from(displaced);
        Above { bound: error, displaced }
    }

    /// What is known of a key, in a place or not.
    pub(super) fn known(&self, hash: u64, key: Key) -> Known {
        let bucket = &self.buckets[(hash >> self.shift) as usize];
        let host = self.level.is_host();
        for place in &bucket.places {
            if place.seen > 0 && place.net == key.net && (!host || place.rest == key.rest) {
                return Known { seen: place.seen, most: place.count() };
            }
        }
        Known { seen: 0, most: bucket.gone[cell(tag(hash))] }
    }

    /// Every key in a place.
    pub(super) fn iter(&self) -> impl Iterator<Item = (Key, Place)> + '_ {
        let host = self.level.is_host();
        let places = self.buckets.iter().flat_map(|bucket| &bucket.places);
        places.filter(|place| place.seen > 0).map(move |place| {
            let rest = if host { place.rest } else { 0 };
            (Key { net: place.net, rest }, *place)
        })
    }

    /// About how many addresses a network was seen with.
    pub(super) fn sources(&self, place: &Place) -> Option<u64> {
        (!self.level.is_host()).then(|| sketch::estimate(place.rest).max(1))
    }

    /// Makes all that was counted worth half.
    pub(super) fn halve(&mut self) {
        let host = self.level.is_host();
        for bucket in &mut self.buckets {
            for gone in &mut bucket.gone {
                *gone = gone.div_ceil(2);
            }
            for index in 0..PLACES {
                let place = &mut bucket.places[index];
                if place.seen == 0 {
                    continue;
                }
                // Outwards: less seen, more error.
                place.error = (place.error + place.seen % 2).div_ceil(2);
                place.seen /= 2;
                if !host {
                    place.rest = sketch::halve(place.rest);
                }
                if place.seen == 0 {
                    bucket.leave(index);
                }
            }
        }
    }

    pub(super) fn clear(&mut self) {
        self.buckets.fill(Bucket::default());
    }
}

impl Bucket {
    /// Gives a newcomer a place, and says whether another key lost it. `near` and `far` are the octets of the
    /// networks around it that have a share, 0 where there is none.
    #[inline(never)]
    fn take_in(&mut self, newcomer: Place, hash: u64, near: u64, far: u64) -> bool {
        // A network has its share of a bucket: what is more is lent, and who wants more when nothing is free
        // takes its own.
        let mut kin = if near == 0 { 0 } else { equal_octets(self.near, near) };
        if fewer_than::<NEAR>(kin) {
            kin = if far == 0 { 0 } else { equal_octets(self.far, far) };
            if fewer_than::<FAR>(kin) {
                kin = 0;
            }
        }
        let random = hash >> 16;
        let free = equal_octets(self.tags, 0);
        let index = if free != 0 {
            let lowest = free & free.wrapping_neg();
            if kin != 0 {
                self.lent |= lowest;
            }
            first(lowest)
        } else {
            let index = if kin != 0 {
                self.least_of(kin, random)
            } else if self.lent != 0 {
                let index = self.least_of(self.lent, random);
                self.lent &= !(0x80 << (8 * index));
                index
            } else {
                self.least(random)
            };
            self.remember(index);
            index
        };
        self.places[index] = newcomer;
        self.set_tags(index, tag(hash), near, far);
        free == 0
    }

    /// The place with the least seen; among equals by chance, so that nobody knows whose turn it is.
    #[inline]
    fn least(&self, random: u64) -> usize {
        let mut least = u64::MAX;
        for index in 0..PLACES {
            least = least.min(self.places[index].seen << 3 | (index as u64 ^ random & 7));
        }
        ((least ^ random) & 7) as usize
    }

    /// The same of the places of which the octet's high bit is set.
    #[inline]
    fn least_of(&self, among: u64, random: u64) -> usize {
        let mut least = u64::MAX;
        for index in 0..PLACES {
            let excluded = (among >> (8 * index + 7) & 1).wrapping_sub(1);
            least = least.min(self.places[index].seen << 3 | (index as u64 ^ random & 7) | excluded << 3);
        }
        ((least ^ random) & 7) as usize
    }

    /// Keeps what the key of a place can have had, for when it comes back.
    #[inline]
    fn remember(&mut self, index: usize) {
        let cell = cell(self.tags >> (8 * index) & 0xff);
        self.gone[cell] = self.gone[cell].max(self.places[index].count());
    }

    fn leave(&mut self, index: usize) {
        self.remember(index);
        self.places[index] = Place::default();
        self.set_tags(index, 0, 0, 0);
        self.lent &= !(0x80 << (8 * index));
    }

    #[inline]
    fn set_tags(&mut self, index: usize, tag: u64, near: u64, far: u64) {
        let (shift, keep) = (8 * index, !(0xff << (8 * index)));
        self.tags = self.tags & keep | tag << shift;
        self.near = self.near & keep | near << shift;
        self.far = self.far & keep | far << shift;
    }
}

/// The octet by which a place is found: never 0, which means that it is free.
#[inline]
pub(super) fn tag(hash: u64) -> u64 {
    (hash & 0xff).max(1)
}

/// Which of the bucket's cells a key belongs to.
#[inline]
fn cell(tag: u64) -> usize {
    tag as usize % CELLS
}

/// The high bit of every octet that equals `octet`.
#[inline]
pub(super) fn equal_octets(octets: u64, octet: u64) -> u64 {
    let different = octets ^ octet.wrapping_mul(LOW);
    // Adding 0x7f carries into the high bit of each octet of which any of the lower bits is set, and no
    // further.
    !(((different & SEVEN) + SEVEN) | different | SEVEN)
}

/// Whether fewer than `N` octets are marked.
#[inline]
fn fewer_than<const N: u32>(mut marked: u64) -> bool {
    for _ in 1..N {
        marked &= marked.wrapping_sub(1);
    }
    marked == 0
}

/// The number of the lowest octet that [`equal_octets`] marked.
#[inline]
pub(super) fn first(marked: u64) -> usize {
    (marked.trailing_zeros() / 8) as usize % PLACES
}
