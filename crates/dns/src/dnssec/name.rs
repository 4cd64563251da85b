//! Names in canonical form (RFC 4034 section 6.2): not compressed, in lower case.

use core::cmp::Ordering;
use core::fmt;

use hickory_proto::rr::Name as Spelled;

/// Octets of a name at most (RFC 1035 section 2.3.4).
const MAX_OCTETS: usize = 255;
/// Compression pointers followed in one name: a name has at most 127 labels.
const MAX_POINTERS: usize = 127;

/// A domain name as it is hashed, signed and compared: octets of the wire, in lower case, with the root's zero.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(crate) struct Name(Box<[u8]>);

impl Name {
    pub(crate) fn root() -> Self {
        Self(Box::new([0]))
    }

    /// Reads a name at `at` of a message, following pointers backwards (RFC 1035 section 4.1.4); also where it
    /// ends.
    pub(crate) fn read(message: &[u8], at: usize) -> Option<(Self, usize)> {
        let mut octets = Vec::with_capacity(64);
        let (mut at, mut end, mut pointers) = (at, None, 0);
        loop {
            let length = *message.get(at)?;
            match length {
                0 => {
                    octets.push(0);
                    return Some((Self(octets.into()), end.unwrap_or(at + 1)));
                }
                1..=63 => {
                    let label = message.get(at + 1..at + 1 + usize::from(length))?;
                    octets.push(length);
                    octets.extend(label.iter().map(u8::to_ascii_lowercase));
                    at += 1 + usize::from(length);
                    if octets.len() >= MAX_OCTETS {
                        return None;
                    }
                }
                0xc0.. => {
                    let target = usize::from(length & 0x3f) << 8 | usize::from(*message.get(at + 1)?);
                    pointers += 1;
                    if target >= at || pointers > MAX_POINTERS {
                        return None;
                    }
                    end = end.or(Some(at + 2));
                    at = target;
                }
                _ => return None,
            }
        }
    }

    /// Reads a name that is not compressed, as names in the RDATA of newer types are (RFC 3597 section 4).
    pub(crate) fn read_plain(bytes: &[u8]) -> Option<(Self, usize)> {
        let mut at = 0;
        while let length @ 1..=63 = *bytes.get(at)? {
            at += 1 + usize::from(length);
        }
        // A pointer is none of 0 to 63.
        (*bytes.get(at)? == 0).then(|| Self::read(bytes, 0)).flatten()
    }

    pub(crate) fn octets(&self) -> &[u8] {
        &self.0
    }

    /// The labels, the leftmost first; none for the root.
    pub(crate) fn labels(&self) -> impl Iterator<Item = &[u8]> {
        let mut rest: &[u8] = &self.0;
        core::iter::from_fn(move || {
            let (length, tail) = rest.split_first()?;
            if *length == 0 {
                return None;
            }
            let (label, tail) = tail.split_at_checked(usize::from(*length))?;
            rest = tail;
            Some(label)
        })
    }

    /// How many labels there are, the root's not counted.
    pub(crate) fn count(&self) -> usize {
        self.labels().count()
    }

    /// Without its leftmost label; nothing for the root.
    pub(crate) fn parent(&self) -> Option<Self> {
        let length = usize::from(*self.0.first()?);
        (length > 0).then(|| self.0.get(1 + length..)).flatten().map(|rest| Self(rest.into()))
    }

    /// The last `count` labels; the whole name when it has no more.
    pub(crate) fn last(&self, count: usize) -> Self {
        let mut name = self.clone();
        for _ in count..self.count() {
            name = name.parent().unwrap_or_else(Self::root);
        }
        name
    }

    /// `*` below this name; nothing when that is too long.
    pub(crate) fn wildcard(&self) -> Option<Self> {
        let octets = [b"\x01*".as_slice(), &self.0].concat();
        (octets.len() <= MAX_OCTETS).then(|| Self(octets.into()))
    }

    /// Whether its leftmost label is `*`.
    pub(crate) fn is_wildcard(&self) -> bool {
        self.0.starts_with(b"\x01*")
    }

    /// Whether this is `zone` or a name below it.
    pub(crate) fn is_within(&self, zone: &Self) -> bool {
        let (own, other) = (self.count(), zone.count());
        own >= other && self.last(other) == *zone
    }

    /// Whether this is a name below `zone`, and not `zone` itself.
    pub(crate) fn is_below(&self, zone: &Self) -> bool {
        self.0.len() > zone.0.len() && self.is_within(zone)
    }

    /// The longest name that both are within.
    pub(crate) fn common(&self, other: &Self) -> Self {
        let reversed = |name: &Self| name.labels().map(<[u8]>::to_vec).collect::<Vec<_>>();
        let (one, two) = (reversed(self), reversed(other));
        let same = one.iter().rev().zip(two.iter().rev()).take_while(|(a, b)| a == b).count();
        self.last(same)
    }

    /// This name with its end `from` replaced (RFC 6672 section 2.2); nothing when that is too long.
    pub(crate) fn substituted(&self, from: &Self, to: &Self) -> Option<Self> {
        let kept = self.0.len().checked_sub(from.0.len())?;
        let octets = [self.0.get(..kept)?, &to.0].concat();
        (octets.len() <= MAX_OCTETS).then(|| Self(octets.into()))
    }

    /// The name as the rest of the crate has it.
    pub(crate) fn spelled(&self) -> Spelled {
        let mut name = Spelled::from_labels(self.labels()).unwrap_or_default();
        name.set_fqdn(true);
        name
    }
}

impl From<&Spelled> for Name {
    fn from(name: &Spelled) -> Self {
        let mut octets = Vec::with_capacity(name.len() + 1);
        for label in name {
            // A label has at most 63 octets.
            octets.push(label.len() as u8);
            octets.extend(label.iter().map(u8::to_ascii_lowercase));
        }
        octets.push(0);
        Self(octets.into())
    }
}

/// Canonical order (RFC 4034 section 6.1): by labels from the right, as octets without sign.
impl Ord for Name {
    fn cmp(&self, other: &Self) -> Ordering {
        let (mut one, mut two): (Vec<_>, Vec<_>) = (self.labels().collect(), other.labels().collect());
        one.reverse();
        two.reverse();
        one.cmp(&two)
    }
}

impl PartialOrd for Name {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.spelled().fmt(f)
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
