//! Octets that are compared with patterns: names with `*` for anything, hardware addresses with masks. What is exact is
//! looked up, however much there is of it; patterns are tried one after the other, and are few.

use crate::hex;
use crate::value::ValueError;
use std::collections::BTreeSet;

/// Most stars in one pattern.
const MOST_STARS: usize = 4;

/// Octets by themselves or by pattern.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Patterns {
    exact: BTreeSet<Box<[u8]>>,
    /// What stands between stars.
    globs: Vec<Vec<Box<[u8]>>>,
}

impl Patterns {
    /// Adds a pattern: text with at most [`MOST_STARS`] stars, or `0x` and pairs of hexadecimal digits, which may end with a
    /// star.
    pub(super) fn add(&mut self, path: &str, text: &str) -> Result<(), ValueError> {
        let parts: Vec<Box<[u8]>> = match text.strip_prefix("0x") {
            None => text.split('*').map(|part| part.as_bytes().into()).collect(),
            Some(digits) => {
                let (digits, tail) = digits.strip_suffix('*').map_or((digits, 0), |digits| (digits, 1));
                let octets = hex::read(digits).ok_or_else(|| {
                    let message = format!("`{text}` is not 0x and pairs of hexadecimal digits");
                    ValueError::new(path, message, "write \"0x00ff\", or \"0x00ff*\" for what begins so")
                })?;
                std::iter::once(octets.into()).chain((0..tail).map(|_| Box::default())).collect()
            }
        };
        self.add_parts(path, text, parts)
    }

    /// Adds a run of octets, in pairs of digits with colons or without, which may end with a star.
    pub(super) fn add_hex(&mut self, path: &str, text: &str) -> Result<(), ValueError> {
        let digits = text.strip_prefix("0x").unwrap_or(text);
        let (digits, tail) = match digits.strip_suffix('*') {
            Some(digits) => (digits.strip_suffix(':').unwrap_or(digits), 1),
            None => (digits, 0),
        };
        let octets = hex::read(digits).ok_or_else(|| {
            let message = format!("`{text}` is not pairs of hexadecimal digits");
            ValueError::new(
                path,
                message,
                "write \"00:03:00:01:02:00:5e:10:00:01\", or \"00:03:*\" for what begins so",
            )
        })?;
        let parts = std::iter::once(octets.into()).chain((0..tail).map(|_| Box::default())).collect();
        self.add_parts(path, text, parts)
    }

    fn add_parts(&mut self, path: &str, text: &str, parts: Vec<Box<[u8]>>) -> Result<(), ValueError> {
        if text.is_empty() || parts.len() > MOST_STARS + 1 {
            let message = format!("`{text}` is no pattern");
            return Err(ValueError::new(
                path,
                message,
                format!("write text with at most {MOST_STARS} stars"),
            ));
        }
        match <[Box<[u8]>; 1]>::try_from(parts) {
            Ok([exact]) => drop(self.exact.insert(exact)),
            Err(parts) => self.globs.push(parts),
        }
        Ok(())
    }

    /// How many are tried one after the other, and how many are looked up.
    pub(super) fn size(&self) -> (usize, usize) {
        (self.globs.len(), self.exact.len())
    }

    pub(super) fn matches(&self, octets: &[u8]) -> bool {
        self.exact.contains(octets) || self.globs.iter().any(|parts| glob(parts, octets))
    }
}

/// Whether the parts stand in `octets` in their order: the first at its beginning, the last at its end.
fn glob(parts: &[Box<[u8]>], octets: &[u8]) -> bool {
    let [first, middle @ .., last] = parts else { return false };
    let Some(rest) = octets.strip_prefix(&**first) else { return false };
    let Some(mut rest) = rest.strip_suffix(&**last) else { return false };
    for part in middle.iter().filter(|part| !part.is_empty()) {
        let Some(at) = rest.windows(part.len()).position(|window| window == &**part) else { return false };
        rest = rest.get(at + part.len()..).unwrap_or_default();
    }
    true
}

/// A value and its mask.
type Masked = (Box<[u8]>, Box<[u8]>);

/// Hardware addresses, by themselves or by prefix or mask.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Macs {
    exact: BTreeSet<Box<[u8]>>,
    /// Value and mask, of one length.
    masked: Vec<Masked>,
}

impl Macs {
    /// Adds `00:00:5e:00:53:01`, `00:00:5e/24` or `00:00:5e:00:53:00/ff:ff:ff:00:00:ff`.
    pub(super) fn add(&mut self, path: &str, text: &str) -> Result<(), ValueError> {
        let wrong = || {
            let message = format!("`{text}` is no hardware address, nor one with a length in bits or a mask");
            ValueError::new(
                path,
                message,
                "write \"00:00:5e:00:53:01\", \"00:00:5e/24\" or \"00:00:5e:00:53:00/ff:ff:ff:ff:ff:00\"",
            )
        };
        let read =
            |text: &str| hex::read(text).filter(|octets| (1..=20).contains(&octets.len())).ok_or_else(wrong);
        let Some((value, mask)) = text.split_once('/') else {
            self.exact.insert(read(text)?.into());
            return Ok(());
        };
        let mut value = read(value)?;
        let mask = if let Ok(bits) = mask.parse::<usize>() {
            if bits == 0 || bits > 8 * value.len() {
                return Err(wrong());
            }
            value.truncate(bits.div_ceil(8));
            let mut mask = vec![0xff; value.len()];
            if let Some(last) = mask.last_mut().filter(|_| !bits.is_multiple_of(8)) {
                *last = 0xff << (8 - bits % 8);
            }
            mask
        } else {
            read(mask)?
        };
        if mask.len() != value.len() {
            return Err(wrong());
        }
        value.iter_mut().zip(&mask).for_each(|(octet, mask)| *octet &= mask);
        self.masked.push((value.into(), mask.into()));
        Ok(())
    }

    pub(super) fn size(&self) -> (usize, usize) {
        (self.masked.len(), self.exact.len())
    }

    pub(super) fn matches(&self, address: &[u8]) -> bool {
        let masked = |(value, mask): &Masked| {
            address.len() >= value.len()
                && address.iter().zip(value).zip(mask).all(|((octet, value), mask)| octet & mask == *value)
        };
        self.exact.contains(address) || self.masked.iter().any(masked)
    }
}
