//! Zones: which of several links a link-local address is on.

use std::cmp::Ordering;
use std::fmt;
use std::num::NonZeroU32;

/// Longest name of an interface on Linux, in octets (`IFNAMSIZ` without its final zero).
pub(crate) const MAX_NAME: usize = 15;

/// On which link an address is (RFC 4007 section 11): the index of an interface, or its name, kept as it was written.
///
/// A name is looked up when an address is used, not when it is read: an interface may come later, or come back under
/// another index.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Zone(
    // A name, filled up with zeros. An index after a zero, which begins no name. All zeros are no zone: `Endpoint` alone
    // holds that.
    pub(crate) [u8; MAX_NAME],
);

impl Zone {
    /// Stands in an [`Endpoint`](crate::Endpoint) where there is no zone.
    pub(crate) const NONE: Self = Self([0; MAX_NAME]);

    /// The zone of an interface index; `None` for 0, which stands for no zone.
    pub fn from_index(index: u32) -> Option<Self> {
        let mut octets = [0; MAX_NAME];
        octets[1..5].copy_from_slice(&index.to_be_bytes());
        (index != 0).then_some(Self(octets))
    }

    /// The zone of an interface name, or of an index in digits. `None` where it is no name of an interface that can stand in a log line and
    /// on a command line as it is: 1 to 15 letters, digits, `.`, `_`, `-`, `+`, `@` and `~`, the last of them no `.`, which would be the
    /// sentence's. The kernel takes more; an interface with such a name is reached by its index.
    pub fn from_name(name: &str) -> Option<Self> {
        let name = name.as_bytes();
        if !name.is_empty() && name.iter().all(u8::is_ascii_digit) {
            let index = name
                .iter()
                .try_fold(0u32, |index, digit| index.checked_mul(10)?.checked_add(u32::from(digit - b'0')))?;
            return Self::from_index(index);
        }
        let plain = |octet: u8| octet.is_ascii_alphanumeric() || b"._-+@~".contains(&octet);
        if name.is_empty() || name.len() > MAX_NAME || name.ends_with(b".") {
            return None;
        }
        let mut octets = [0; MAX_NAME];
        octets[..name.len()].copy_from_slice(name);
        name.iter().all(|&octet| plain(octet)).then_some(Self(octets))
    }

    /// The index, where the zone was written as one.
    pub fn index(&self) -> Option<NonZeroU32> {
        let [0, a, b, c, d, ..] = self.0 else { return None };
        NonZeroU32::new(u32::from_be_bytes([a, b, c, d]))
    }

    /// The name of the interface, where the zone was written as one.
    pub fn name(&self) -> Option<&str> {
        let length = self.0.iter().position(|&octet| octet == 0).unwrap_or(MAX_NAME);
        std::str::from_utf8(&self.0[..length]).ok().filter(|name| !name.is_empty())
    }

    /// The index of the interface: its own, or what `index_of` knows of its name.
    pub fn resolve(&self, index_of: impl FnOnce(&str) -> Option<u32>) -> Option<NonZeroU32> {
        match self.name() {
            Some(name) => NonZeroU32::new(index_of(name)?),
            None => self.index(),
        }
    }
}

impl PartialOrd for Zone {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Zone {
    /// Indexes first, by number; then names.
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.cmp(&other.0)
    }
}

impl fmt::Display for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.pad(name),
            None => self.index().map_or(0, NonZeroU32::get).fmt(f),
        }
    }
}

impl fmt::Debug for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Zone({self})")
    }
}
