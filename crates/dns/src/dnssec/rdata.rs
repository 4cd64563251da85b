//! The records of DNSSEC, read from their RDATA (RFC 4034 sections 2 to 5, RFC 5155 sections 3 and 4).

use super::name::Name;

/// Numbers of record types.
pub(crate) mod kind {
    pub(crate) const NS: u16 = 2;
    pub(crate) const CNAME: u16 = 5;
    pub(crate) const SOA: u16 = 6;
    pub(crate) const DNAME: u16 = 39;
    pub(crate) const DS: u16 = 43;
    pub(crate) const RRSIG: u16 = 46;
    pub(crate) const NSEC: u16 = 47;
    pub(crate) const DNSKEY: u16 = 48;
    pub(crate) const NSEC3: u16 = 50;
}

/// A public key (RFC 4034 section 2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Dnskey {
    pub(crate) flags: u16,
    pub(crate) protocol: u8,
    pub(crate) algorithm: u8,
    pub(crate) key: Vec<u8>,
    /// RFC 4034 appendix B.
    pub(crate) tag: u16,
}

impl Dnskey {
    const ZONE: u16 = 0x0100;
    const REVOKED: u16 = 0x0080;

    pub(crate) fn read(data: &[u8]) -> Option<Self> {
        let ([high, low, protocol, algorithm], key) = data.split_first_chunk::<4>()?;
        let flags = u16::from_be_bytes([*high, *low]);
        let (protocol, algorithm) = (*protocol, *algorithm);
        Some(Self { flags, protocol, algorithm, key: key.to_vec(), tag: key_tag(data) })
    }

    /// Whether it may sign records of a zone: RFC 4034 section 2.1.1 and 2.1.2, RFC 5011 section 2.1.
    pub(crate) fn signs_zones(&self) -> bool {
        self.flags & Self::ZONE != 0 && self.flags & Self::REVOKED == 0 && self.protocol == 3
    }

    /// The RDATA again.
    pub(crate) fn data(&self) -> Vec<u8> {
        let mut data = self.flags.to_be_bytes().to_vec();
        data.extend_from_slice(&[self.protocol, self.algorithm]);
        data.extend_from_slice(&self.key);
        data
    }
}

/// RFC 4034 appendix B; what it says of algorithm 1 does not matter, for it is not supported.
pub(crate) fn key_tag(data: &[u8]) -> u16 {
    let word = |pair: &[u8]| match pair {
        [high, low] => u32::from(*high) << 8 | u32::from(*low),
        [high] => u32::from(*high) << 8,
        _ => 0,
    };
    // At most 32,768 words of 16 bits: no overflow.
    let sum: u32 = data.chunks(2).map(word).sum();
    (sum + (sum >> 16)) as u16
}

/// Names a key of a child zone (RFC 4034 section 5).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Ds {
    pub(crate) tag: u16,
    pub(crate) algorithm: u8,
    pub(crate) digest_type: u8,
    pub(crate) digest: Vec<u8>,
}

impl Ds {
    pub(crate) fn read(data: &[u8]) -> Option<Self> {
        let ([high, low, algorithm, digest_type], digest) = data.split_first_chunk::<4>()?;
        let tag = u16::from_be_bytes([*high, *low]);
        Some(Self { tag, algorithm: *algorithm, digest_type: *digest_type, digest: digest.to_vec() })
    }
}

/// A signature (RFC 4034 section 3).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Rrsig {
    pub(crate) covered: u16,
    pub(crate) algorithm: u8,
    pub(crate) labels: u8,
    pub(crate) original_ttl: u32,
    pub(crate) expiration: u32,
    pub(crate) inception: u32,
    pub(crate) tag: u16,
    pub(crate) signer: Name,
    pub(crate) signature: Vec<u8>,
}

impl Rrsig {
    pub(crate) fn read(data: &[u8]) -> Option<Self> {
        let (fixed, rest) = data.split_first_chunk::<18>()?;
        let [c, d, algorithm, labels, o0, o1, o2, o3, e0, e1, e2, e3, i0, i1, i2, i3, t, u] = *fixed;
        let (signer, end) = Name::read_plain(rest)?;
        Some(Self {
            covered: u16::from_be_bytes([c, d]),
            algorithm,
            labels,
            original_ttl: u32::from_be_bytes([o0, o1, o2, o3]),
            expiration: u32::from_be_bytes([e0, e1, e2, e3]),
            inception: u32::from_be_bytes([i0, i1, i2, i3]),
            tag: u16::from_be_bytes([t, u]),
            signer,
            signature: rest.get(end..)?.to_vec(),
        })
    }

    /// What is signed before the records (RFC 4034 section 3.1.8.1): the RDATA without the signature.
    pub(crate) fn head(&self) -> Vec<u8> {
        let mut head = self.covered.to_be_bytes().to_vec();
        head.extend_from_slice(&[self.algorithm, self.labels]);
        for number in [self.original_ttl, self.expiration, self.inception] {
            head.extend_from_slice(&number.to_be_bytes());
        }
        head.extend_from_slice(&self.tag.to_be_bytes());
        head.extend_from_slice(self.signer.octets());
        head
    }
}

/// The types that a name has (RFC 4034 section 4.1.2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Types(Vec<u8>);

impl Types {
    /// Reads a bitmap; windows must rise, and none is empty or longer than 32 octets.
    fn read(bitmap: &[u8]) -> Option<Self> {
        let (mut rest, mut last) = (bitmap, None);
        while let [window, length, tail @ ..] = rest {
            let in_order = last.is_none_or(|last| last < *window);
            if !in_order || !(1..=32).contains(length) {
                return None;
            }
            last = Some(*window);
            rest = tail.get(usize::from(*length)..)?;
        }
        rest.is_empty().then(|| Self(bitmap.to_vec()))
    }

    pub(crate) fn has(&self, kind: u16) -> bool {
        let [high, low] = kind.to_be_bytes();
        let mut rest = self.0.as_slice();
        while let [window, length, tail @ ..] = rest {
            let (bits, next) = tail.split_at(usize::from(*length).min(tail.len()));
            if *window == high {
                return bits.get(usize::from(low >> 3)).is_some_and(|octet| octet & 0x80 >> (low & 7) != 0);
            }
            rest = next;
        }
        false
    }
}

/// A name, its types, and the next name of the zone (RFC 4034 section 4).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Nsec {
    pub(crate) next: Name,
    pub(crate) types: Types,
}

impl Nsec {
    pub(crate) fn read(data: &[u8]) -> Option<Self> {
        let (next, end) = Name::read_plain(data)?;
        Some(Self { next, types: Types::read(data.get(end..)?)? })
    }
}

/// The same with hashed names (RFC 5155 section 3).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Nsec3 {
    pub(crate) algorithm: u8,
    pub(crate) flags: u8,
    pub(crate) iterations: u16,
    pub(crate) salt: Vec<u8>,
    pub(crate) next: Vec<u8>,
    pub(crate) types: Types,
}

impl Nsec3 {
    pub(crate) fn read(data: &[u8]) -> Option<Self> {
        let ([algorithm, flags, high, low, length], rest) = data.split_first_chunk::<5>()?;
        let (salt, rest) = rest.split_at_checked(usize::from(*length))?;
        let (length, rest) = rest.split_first()?;
        let (next, rest) = rest.split_at_checked(usize::from(*length))?;
        Some(Self {
            algorithm: *algorithm,
            flags: *flags,
            iterations: u16::from_be_bytes([*high, *low]),
            salt: salt.to_vec(),
            next: next.to_vec(),
            types: Types::read(rest)?,
        })
    }

    /// RFC 5155 section 3.1.2.1.
    pub(crate) fn opts_out(&self) -> bool {
        self.flags & 1 != 0
    }
}
