//! Load balancing without talk (RFC 3074): each client falls into one of 256 buckets by a hash of its identity, each bucket
//! is one server's, and a server keeps silent about clients of the others' buckets.
//!
//! Alone this gives neither stability nor redundancy. When a server is gone, nobody answers its clients, unless the service
//! delay lets others do so; and those know nothing of its leases.

use sixgate_wire::dhcpv6::{DhcpOption, Message, MessageType, OptionCode};
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// How many buckets there are.
pub const BUCKETS: usize = 256;

/// The permutation of Pearson's hash that all servers have in common (RFC 3074 section 6).
const MIX: [u8; BUCKETS] = [
    251, 175, 119, 215, 81, 14, 79, 191, 103, 49, 181, 143, 186, 157, 0, 232, 31, 32, 55, 60, 152, 58, 17,
    237, 174, 70, 160, 144, 220, 90, 57, 223, 59, 3, 18, 140, 111, 166, 203, 196, 134, 243, 124, 95, 222,
    179, 197, 65, 180, 48, 36, 15, 107, 46, 233, 130, 165, 30, 123, 161, 209, 23, 97, 16, 40, 91, 219, 61,
    100, 10, 210, 109, 250, 127, 22, 138, 29, 108, 244, 67, 207, 9, 178, 204, 74, 98, 126, 249, 167, 116, 34,
    77, 193, 200, 121, 5, 20, 113, 71, 35, 128, 13, 182, 94, 25, 226, 227, 199, 75, 27, 41, 245, 230, 224,
    43, 225, 177, 26, 155, 150, 212, 142, 218, 115, 241, 73, 88, 105, 39, 114, 62, 255, 192, 201, 145, 214,
    168, 158, 221, 148, 154, 122, 12, 84, 82, 163, 44, 139, 228, 236, 205, 242, 217, 11, 187, 146, 159, 64,
    86, 239, 195, 42, 106, 198, 118, 112, 184, 172, 87, 2, 173, 117, 176, 229, 247, 253, 137, 185, 99, 164,
    102, 147, 45, 66, 231, 52, 141, 211, 194, 206, 246, 238, 56, 110, 78, 248, 63, 240, 189, 93, 92, 51, 53,
    183, 19, 171, 72, 50, 33, 104, 101, 69, 8, 252, 83, 120, 76, 135, 85, 54, 202, 125, 188, 213, 96, 235,
    136, 208, 162, 129, 190, 132, 156, 38, 47, 1, 7, 254, 24, 4, 216, 131, 89, 21, 28, 133, 37, 153, 149, 80,
    170, 68, 6, 169, 234, 151,
];

/// The bucket of a client: for DHCPv6 of its DUID, for DHCPv4 of its client identifier, or else of its hardware address.
pub fn bucket(identity: &[u8]) -> u8 {
    // The length enters modulo 256; from the last octet to the first.
    identity.iter().rev().fold(identity.len() as u8, |hash, octet| MIX[usize::from(hash ^ octet)])
}

/// A set of buckets. As text: numbers and ranges with commas between, `0-127,200`; an empty text is no bucket.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Buckets([u64; BUCKETS / 64]);

impl Buckets {
    /// No bucket.
    pub const NONE: Self = Self([0; BUCKETS / 64]);
    /// Every bucket.
    pub const ALL: Self = Self([u64::MAX; BUCKETS / 64]);

    /// Whether the bucket is among them.
    pub fn contains(&self, bucket: u8) -> bool {
        self.0[usize::from(bucket / 64)] & (1 << (bucket % 64)) != 0
    }

    /// Adds a bucket.
    pub fn insert(&mut self, bucket: u8) {
        self.0[usize::from(bucket / 64)] |= 1 << (bucket % 64);
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.iter().map(|word| word.count_ones() as usize).sum()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        *self == Self::NONE
    }

    /// The buckets, from the lowest.
    pub fn iter(&self) -> impl Iterator<Item = u8> + use<'_> {
        (0..=u8::MAX).filter(|bucket| self.contains(*bucket))
    }

    /// Those that are not among these.
    #[must_use]
    pub fn others(&self) -> Self {
        Self(self.0.map(|word| !word))
    }
}

impl FromIterator<u8> for Buckets {
    fn from_iter<T: IntoIterator<Item = u8>>(buckets: T) -> Self {
        let mut set = Self::NONE;
        buckets.into_iter().for_each(|bucket| set.insert(bucket));
        set
    }
}

impl fmt::Display for Buckets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut separator = "";
        let mut buckets = self.iter().peekable();
        while let Some(first) = buckets.next() {
            let mut last = first;
            while let Some(next) = buckets.next_if(|next| u16::from(*next) == u16::from(last) + 1) {
                last = next;
            }
            write!(f, "{separator}{first}")?;
            if last != first {
                write!(f, "-{last}")?;
            }
            separator = ",";
        }
        Ok(())
    }
}

impl fmt::Debug for Buckets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Buckets({self})")
    }
}

/// Text that is no set of buckets.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BucketsError {
    /// It holds something else than numbers and ranges.
    #[error("`{part}` is neither a bucket nor a range of buckets")]
    Form {
        /// What is neither.
        part: String,
    },
    /// A range ends before it begins.
    #[error("the range {first}-{last} ends before it begins")]
    Backwards {
        /// Where it begins.
        first: u8,
        /// Where it ends.
        last: u8,
    },
    /// A bucket stands twice.
    #[error("bucket {bucket} is named twice")]
    Twice {
        /// The bucket.
        bucket: u8,
    },
}

impl FromStr for Buckets {
    type Err = BucketsError;

    fn from_str(text: &str) -> Result<Self, BucketsError> {
        let mut set = Self::NONE;
        for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
            let number = |text: &str| {
                let text = text.trim();
                let digits = !text.is_empty() && text.bytes().all(|octet| octet.is_ascii_digit());
                digits.then(|| text.parse::<u8>().ok()).flatten()
            };
            let form = || BucketsError::Form { part: part.to_owned() };
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            let (first, last) = number(first).zip(number(last)).ok_or_else(form)?;
            if last < first {
                return Err(BucketsError::Backwards { first, last });
            }
            for bucket in first..=last {
                if set.contains(bucket) {
                    return Err(BucketsError::Twice { bucket });
                }
                set.insert(bucket);
            }
        }
        Ok(set)
    }
}

/// What the maps of all servers leave out, and what more than one of them takes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Coverage {
    /// Buckets of nobody: their clients are never answered.
    pub missing: Buckets,
    /// Buckets of several: their clients are answered by each.
    pub shared: Buckets,
}

impl Coverage {
    /// Of these maps, one for each server.
    pub fn of<'a>(maps: impl IntoIterator<Item = &'a Buckets>) -> Self {
        let (mut seen, mut shared) = (Buckets::NONE, Buckets::NONE);
        for bucket in maps.into_iter().flat_map(Buckets::iter) {
            if seen.contains(bucket) {
                shared.insert(bucket);
            }
            seen.insert(bucket);
        }
        Self { missing: seen.others(), shared }
    }

    /// Whether each bucket is exactly one server's.
    pub fn is_exact(&self) -> bool {
        self.missing.is_empty() && self.shared.is_empty()
    }
}

/// Maps that come as near to the shares as whole buckets can, each bucket in exactly one of them. Shares are of their own
/// sum: 50, 30 and 20 are per cent, and 5, 3 and 2 say the same. Nothing where all shares are zero, or there is none.
pub fn split(shares: &[u32]) -> Option<Vec<Buckets>> {
    let whole: u64 = shares.iter().map(|share| u64::from(*share)).sum();
    if whole == 0 {
        return None;
    }
    let exact = |share: u32| u64::from(share) * BUCKETS as u64;
    let mut counts: Vec<u64> = shares.iter().map(|share| exact(*share) / whole).collect();
    let mut left = BUCKETS as u64 - counts.iter().sum::<u64>();
    // The largest remainders are rounded up.
    let mut order: Vec<usize> = (0..shares.len()).collect();
    order.sort_by_key(|server| std::cmp::Reverse(exact(shares[*server]) % whole));
    for server in order {
        let more = left.min(1);
        counts[server] += more;
        left -= more;
    }
    let mut buckets = 0..=u8::MAX;
    Some(counts.into_iter().map(|count| buckets.by_ref().take(count as usize).collect()).collect())
}

/// What one server knows of the balance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Balance {
    /// The buckets that are its own.
    pub buckets: Buckets,
    /// A client that has asked in vain for longer than this is answered whatever its bucket (RFC 3074's service delay).
    pub service_delay: Option<Duration>,
}

/// What becomes of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It is answered: its bucket is ours, or it is not a message that anybody may answer.
    Ours,
    /// Its bucket is another server's, but its client has waited too long.
    Late,
    /// Its bucket is another server's: silence.
    Others,
}

impl Balance {
    /// Of a client that has been asking for `waited`.
    pub fn judge(&self, identity: &[u8], waited: Duration) -> Verdict {
        if self.buckets.contains(bucket(identity)) {
            Verdict::Ours
        } else if self.service_delay.is_some_and(|delay| waited > delay) {
            Verdict::Late
        } else {
            Verdict::Others
        }
    }

    /// Of a DHCPv6 message. Those that name their server are answered by it: it is known already. An Information-request
    /// without a Client Identifier falls into no bucket, and every server answers it; a registration (RFC 9686) is for all to
    /// know.
    pub fn judge_v6(&self, message: Message<'_>) -> Verdict {
        let balanced = matches!(
            message.kind(),
            MessageType::SOLICIT
                | MessageType::CONFIRM
                | MessageType::REBIND
                | MessageType::INFORMATION_REQUEST
        );
        let options = message.options();
        let client = options.get(OptionCode::CLIENT_ID).filter(|_| balanced);
        match client {
            Some(client) if options.get(OptionCode::SERVER_ID).is_none() => {
                let waited = match options.find(OptionCode::ELAPSED_TIME) {
                    Some(DhcpOption::ElapsedTime(hundredths)) => {
                        Duration::from_millis(u64::from(hundredths) * 10)
                    }
                    _ => Duration::ZERO,
                };
                self.judge(client, waited)
            }
            _ => Verdict::Ours,
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]

    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_table_is_a_permutation() {
        let all: Buckets = MIX.into_iter().collect();
        assert_eq!(all, Buckets::ALL);
    }

    #[test]
    fn text_of_buckets() {
        for (text, length, printed) in [
            ("", 0, ""),
            ("0-255", 256, "0-255"),
            ("0-127", 128, "0-127"),
            (" 7 , 3-4 ", 3, "3-4,7"),
            ("255,0", 2, "0,255"),
            ("1,2,3", 3, "1-3"),
        ] {
            let buckets: Buckets = text.parse().unwrap();
            assert_eq!((buckets.len(), buckets.to_string().as_str()), (length, printed), "{text}");
        }
        for (text, told) in [
            ("256", "`256` is neither a bucket nor a range of buckets"),
            ("-1", "`-1` is neither a bucket nor a range of buckets"),
            ("1-2-3", "`1-2-3` is neither a bucket nor a range of buckets"),
            ("+1", "`+1` is neither a bucket nor a range of buckets"),
            ("9-3", "the range 9-3 ends before it begins"),
            ("0-9,5", "bucket 5 is named twice"),
        ] {
            assert_eq!(text.parse::<Buckets>().unwrap_err().to_string(), told);
        }
    }

    #[test]
    fn shares_become_whole_buckets() {
        let lengths = |shares: &[u32]| split(shares).unwrap().iter().map(Buckets::len).collect::<Vec<_>>();
        assert_eq!(lengths(&[50, 30, 20]), [128, 77, 51]);
        assert_eq!(lengths(&[5, 3, 2]), [128, 77, 51]);
        assert_eq!(lengths(&[1]), [256]);
        assert_eq!(lengths(&[1, 0]), [256, 0]);
        assert_eq!(lengths(&[1, 1, 1]), [86, 85, 85]);
        assert_eq!(lengths(&[u32::MAX; 300]).iter().sum::<usize>(), 256);
        assert_eq!((split(&[]), split(&[0, 0])), (None, None));
    }

    #[test]
    fn what_is_left_out_and_what_is_shared_is_named() {
        let maps: Vec<Buckets> = ["0-99", "90-199"].map(|text| text.parse().unwrap()).into();
        let coverage = Coverage::of(&maps);
        assert_eq!(coverage.missing.to_string(), "200-255");
        assert_eq!(coverage.shared.to_string(), "90-99");
        assert!(!coverage.is_exact());
    }

    #[test]
    fn who_waited_longer_than_the_delay_is_answered() {
        let delay = Duration::from_secs(10);
        let none = Balance { buckets: Buckets::NONE, service_delay: Some(delay) };
        assert_eq!(none.judge(b"client", delay), Verdict::Others);
        assert_eq!(none.judge(b"client", delay + Duration::from_millis(10)), Verdict::Late);
        let never = Balance { service_delay: None, ..none };
        assert_eq!(never.judge(b"client", Duration::MAX), Verdict::Others);
        let all = Balance { buckets: Buckets::ALL, ..none };
        assert_eq!(all.judge(b"client", Duration::MAX), Verdict::Ours);
    }

    proptest! {
        #[test]
        fn what_is_printed_is_read_again(words in any::<[u64; 4]>()) {
            let buckets = Buckets(words);
            prop_assert_eq!(buckets.to_string().parse::<Buckets>().unwrap(), buckets);
            prop_assert_eq!(buckets.len() + buckets.others().len(), BUCKETS);
        }

        #[test]
        fn whatever_the_shares_each_bucket_is_one_servers(shares in prop::collection::vec(0_u32..1_000, 1..20)) {
            let maps = split(&shares);
            prop_assert_eq!(maps.is_none(), shares.iter().all(|share| *share == 0));
            if let Some(maps) = maps {
                prop_assert!(Coverage::of(&maps).is_exact());
                let whole: u32 = shares.iter().sum();
                for (share, map) in shares.iter().zip(&maps) {
                    // Off by less than one bucket, in whole numbers.
                    let off = (map.len() as u64 * u64::from(whole)).abs_diff(u64::from(*share) * 256);
                    prop_assert!(off < u64::from(whole));
                }
            }
        }
    }
}
