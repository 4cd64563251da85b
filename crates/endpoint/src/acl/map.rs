//! [`PrefixMap`] and [`PrefixSet`]: longest match.

use super::ranges::{Lookup, NONE, Order, cut};
use super::rule::canonical;
use ipnet::IpNet;
use std::fmt;
use std::net::IpAddr;

/// Most prefixes in one map or list.
pub(super) const MOST: usize = 1 << 28;

/// Values by prefix, of which the longest that holds an address is found.
///
/// Built once, from any iterator of prefixes and values; then only read, by any number of threads. Where a
/// prefix is given twice, the last value stays. Bits of a prefix behind its length are taken as zero. More
/// than 268 435 456 prefixes, which take 20 gigabytes, are a panic.
///
/// The families never meet: `::/0` holds no IPv4 address, `0.0.0.0/0` no IPv6 address. A mapped address
/// (`::ffff:192.0.2.1`) and a prefix of mapped addresses are the IPv4 that they stand for.
///
/// ```
/// use sixgate_endpoint::acl::{IpNet, PrefixMap};
/// use std::net::IpAddr;
///
/// let (all, utrecht): (IpNet, IpNet) = ("2001:db8::/32".parse()?, "2001:db8:5::/48".parse()?);
/// let sites: PrefixMap<&str> = [(all, "all of us"), (utrecht, "Utrecht")].into_iter().collect();
/// assert_eq!(sites.get("2001:db8:5::1".parse::<IpAddr>()?), Some(&"Utrecht"));
/// assert_eq!(sites.get("2001:db8:6::1".parse::<IpAddr>()?), Some(&"all of us"));
/// assert_eq!(sites.get("192.0.2.1".parse::<IpAddr>()?), None);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct PrefixMap<T> {
    /// In order; the value of each at the same place.
    prefixes: Box<[IpNet]>,
    values: Box<[T]>,
    lookup: Lookup,
}

impl<T> PrefixMap<T> {
    /// The value of the longest prefix that holds an address.
    #[inline]
    pub fn get(&self, address: impl Into<IpAddr>) -> Option<&T> {
        self.values.get(self.lookup.find(address.into()) as usize)
    }

    /// The longest prefix that holds an address, and its value.
    #[inline]
    pub fn find(&self, address: impl Into<IpAddr>) -> Option<(IpNet, &T)> {
        let place = self.lookup.find(address.into()) as usize;
        Some((*self.prefixes.get(place)?, self.values.get(place)?))
    }

    /// The value that was given for exactly this prefix.
    pub fn exact(&self, prefix: impl Into<IpNet>) -> Option<&T> {
        let place = self.prefixes.binary_search(&canonical(prefix.into())).ok()?;
        self.values.get(place)
    }

    /// All prefixes with their values, IPv4 first, in order of address; a prefix before those within it.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (IpNet, &T)> {
        self.prefixes.iter().copied().zip(&*self.values)
    }

    /// How many prefixes there are.
    pub fn len(&self) -> usize {
        self.prefixes.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.prefixes.is_empty()
    }

    /// Octets in memory, without what values own elsewhere.
    pub fn size(&self) -> usize {
        self.lookup.size() + size_of_val(&*self.prefixes) + size_of_val(&*self.values)
    }
}

impl<N: Into<IpNet>, T> FromIterator<(N, T)> for PrefixMap<T> {
    fn from_iter<I: IntoIterator<Item = (N, T)>>(entries: I) -> Self {
        let mut entries: Vec<(IpNet, T)> =
            entries.into_iter().map(|(prefix, value)| (canonical(prefix.into()), value)).collect();
        assert!(entries.len() <= MOST, "a map of prefixes holds {MOST} of them at most");
        entries.sort_by_key(|&(prefix, _)| prefix);
        // Of equal ones the last stays: they trade places before the later is dropped.
        entries.dedup_by(|later, earlier| {
            let same = later.0 == earlier.0;
            if same {
                std::mem::swap(later, earlier);
            }
            same
        });
        let (prefixes, values): (Vec<_>, Vec<_>) = entries.into_iter().unzip();
        let (v4, v6) = cut(prefixes.iter().copied().zip(0..), Order::Longest);
        Self { lookup: Lookup::new(&v4, &v6), prefixes: prefixes.into(), values: values.into() }
    }
}

impl<T> Default for PrefixMap<T> {
    fn default() -> Self {
        std::iter::empty::<(IpNet, T)>().collect()
    }
}

impl<T: fmt::Debug> fmt::Debug for PrefixMap<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

/// A set of prefixes. All that [`PrefixMap`] says holds for it.
#[derive(Clone, Debug, Default)]
pub struct PrefixSet {
    map: PrefixMap<()>,
}

impl PrefixSet {
    /// Whether a prefix of the set holds an address.
    #[inline]
    pub fn contains(&self, address: impl Into<IpAddr>) -> bool {
        self.map.lookup.find(address.into()) != NONE
    }

    /// The longest prefix of the set that holds an address.
    #[inline]
    pub fn find(&self, address: impl Into<IpAddr>) -> Option<IpNet> {
        Some(self.map.find(address)?.0)
    }

    /// All prefixes, IPv4 first, in order of address; a prefix before those within it.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = IpNet> {
        self.map.iter().map(|(prefix, ())| prefix)
    }

    /// How many prefixes there are.
    pub fn len(&self) -> usize {
        self.map.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.map.is_empty()
    }

    /// Octets in memory.
    pub fn size(&self) -> usize {
        self.map.size()
    }
}

impl<N: Into<IpNet>> FromIterator<N> for PrefixSet {
    fn from_iter<I: IntoIterator<Item = N>>(prefixes: I) -> Self {
        Self { map: prefixes.into_iter().map(|prefix| (prefix, ())).collect() }
    }
}
