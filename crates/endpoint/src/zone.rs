//! Zones: which of several links a link-local address is on.

use std::fmt;
use std::num::NonZeroU32;

/// Longest name of an interface on Linux, in octets (`IFNAMSIZ` without its final zero).
const MAX_NAME: usize = 15;

/// On which link an address is (RFC 4007 section 11).
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Zone {
    /// By the index of the interface.
    Index(NonZeroU32),
    /// By the name of the interface; see [`Zone::from_name`].
    Name(Box<str>),
}

impl Zone {
    /// The zone of an interface index; `None` for 0, which stands for no zone.
    pub fn from_index(index: u32) -> Option<Self> {
        NonZeroU32::new(index).map(Self::Index)
    }

    /// The zone of an interface name, or of an index in digits. `None` where it is no name of an interface: empty, longer than 15
    /// octets, or with a character that would not be told from its surroundings (`%`, `]`, `[`, `/`, `:`, space, a quote,
    /// anything outside ASCII).
    pub fn from_name(name: &str) -> Option<Self> {
        if !name.is_empty() && name.bytes().all(|octet| octet.is_ascii_digit()) {
            return name.parse().ok().and_then(Self::from_index);
        }
        let fits = (1..=MAX_NAME).contains(&name.len());
        let plain = |octet: u8| octet.is_ascii_graphic() && !b"%[]/:\"'\\".contains(&octet);
        // The kernel takes neither "." nor "..".
        (fits && name.bytes().all(plain) && name != "." && name != "..").then(|| Self::Name(name.into()))
    }
}

impl fmt::Display for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Index(index) => index.fmt(f),
            Self::Name(name) => f.write_str(name),
        }
    }
}
