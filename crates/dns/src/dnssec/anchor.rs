//! Trust anchors: where chains begin.

use super::crypto::{ds_of, knows_algorithm, knows_digest};
use super::name::Name;
use super::rdata::{Dnskey, Ds};
use hickory_proto::rr::Name as Spelled;

/// Records read from one file.
const MAX_ANCHORS: usize = 64;
/// The root's, as IANA publishes them (KSK-2017 and KSK-2024), for machines without a file.
const IANA: &str = "\
. IN DS 20326 8 2 E06D44B80B8F1D39A95C0B0D7C65D08458E880409BBC683457104237C7F8EC8D
. IN DS 38696 8 2 683D2D0ACB8C9B712A1948B27F741219298D0A450D612C483AF444A4C0FB2B16
";

/// Why trust anchors were not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AnchorError {
    /// Not a DS or DNSKEY record.
    #[error(
        "line {line} is no DS or DNSKEY record: {text:?}; write it as in a zone file, such as \
         \". IN DS 20326 8 2 E06D...\""
    )]
    Line {
        /// Counted from 1.
        line: usize,
        /// What it holds.
        text: String,
    },
    /// Nothing in it can be judged with.
    #[error(
        "no trust anchor with an algorithm and a digest that are known here; take the file of dns-root-data"
    )]
    Empty,
    /// Too many.
    #[error("more than {MAX_ANCHORS} trust anchors; leave those of the zones that matter")]
    TooMany,
}

/// The keys that are believed without a proof, as DS records.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Anchors(Vec<(Name, Vec<Ds>)>);

impl Default for Anchors {
    /// The root's, as IANA publishes them.
    fn default() -> Self {
        Self::parse(IANA).unwrap_or(Self(Vec::new()))
    }
}

impl Anchors {
    /// Reads DS and DNSKEY records, one a line, as `/usr/share/dns/root.key` and `root.ds` of Debian's
    /// dns-root-data have them.
    ///
    /// # Errors
    /// For the first line that is neither, and for a file with nothing to judge with.
    pub fn parse(text: &str) -> Result<Self, AnchorError> {
        let mut anchors: Vec<(Name, Vec<Ds>)> = Vec::new();
        for (index, full) in text.lines().enumerate() {
            let line = full.split(';').next().unwrap_or_default();
            if line.trim().is_empty() {
                continue;
            }
            let (zone, ds) = record(line).ok_or_else(|| {
                let end = full.floor_char_boundary(60);
                AnchorError::Line { line: index + 1, text: full[..end].to_owned() }
            })?;
            if !knows_algorithm(ds.algorithm) || !knows_digest(ds.digest_type) {
                continue;
            }
            if anchors.iter().map(|(_, list)| list.len()).sum::<usize>() >= MAX_ANCHORS {
                return Err(AnchorError::TooMany);
            }
            match anchors.iter_mut().find(|(known, _)| *known == zone) {
                Some((_, list)) => list.push(ds),
                None => anchors.push((zone, vec![ds])),
            }
        }
        if anchors.is_empty() { Err(AnchorError::Empty) } else { Ok(Self(anchors)) }
    }

    /// Those of a zone itself.
    pub(super) fn of(&self, zone: &Name) -> Option<&[Ds]> {
        self.0.iter().find(|(name, _)| name == zone).map(|(_, list)| list.as_slice())
    }

    /// The deepest zone with an anchor that `name` is within.
    pub(super) fn above(&self, name: &Name) -> Option<&Name> {
        self.0
            .iter()
            .map(|(zone, _)| zone)
            .filter(|zone| name.is_within(zone))
            .max_by_key(|zone| zone.count())
    }

    /// Whether a zone has an anchor.
    pub(crate) fn has(&self, zone: &Name) -> bool {
        self.of(zone).is_some()
    }
}

/// One line: owner, perhaps TTL and class, type, RDATA.
fn record(line: &str) -> Option<(Name, Ds)> {
    let mut words = line.split_whitespace();
    let mut owner = Spelled::from_ascii(words.next()?).ok()?;
    owner.set_fqdn(true);
    let owner = Name::from(&owner);
    let kind = words
        .find(|word| !word.eq_ignore_ascii_case("IN") && !word.bytes().all(|octet| octet.is_ascii_digit()))?;
    let first: u16 = words.next()?.parse().ok()?;
    let (second, third): (u8, u8) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
    let rest: String = words.filter(|word| !matches!(*word, "(" | ")")).collect();
    if kind.eq_ignore_ascii_case("DS") {
        let digest = hex(&rest)?;
        return Some((owner, Ds { tag: first, algorithm: second, digest_type: third, digest }));
    }
    if !kind.eq_ignore_ascii_case("DNSKEY") {
        return None;
    }
    let data = [&first.to_be_bytes()[..], &[second, third], &base64(&rest)?].concat();
    let ds = ds_of(&owner, &Dnskey::read(&data)?);
    Some((owner, ds))
}

pub(super) fn hex(text: &str) -> Option<Vec<u8>> {
    let octet = |pair: &[u8]| match pair {
        [high, low] => {
            let digit = |octet: &u8| char::from(*octet).to_digit(16);
            Some((digit(high)? << 4 | digit(low)?) as u8)
        }
        _ => None,
    };
    text.as_bytes().chunks(2).map(octet).collect()
}

/// RFC 4648 section 4.
pub(crate) fn base64(text: &str) -> Option<Vec<u8>> {
    let (mut bits, mut count) = (0_u32, 0);
    let mut octets = Vec::with_capacity(text.len() * 3 / 4);
    for digit in text.trim_end_matches('=').bytes() {
        let value = match digit {
            b'A'..=b'Z' => digit - b'A',
            b'a'..=b'z' => digit - b'a' + 26,
            b'0'..=b'9' => digit - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => return None,
        };
        // At most 13 bits are ever kept.
        bits = bits << 6 & 0x1fff | u32::from(value);
        count += 6;
        if count >= 8 {
            count -= 8;
            octets.push((bits >> count) as u8);
        }
    }
    Some(octets)
}
