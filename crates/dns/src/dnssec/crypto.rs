//! Algorithms: which are known, and what they say. The mathematics is ring's.

use ring::digest::{Context, SHA1_FOR_LEGACY_USE_ONLY, SHA256, SHA384, digest};
use ring::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ED25519, RSA_PKCS1_1024_8192_SHA1_FOR_LEGACY_USE_ONLY,
    RSA_PKCS1_1024_8192_SHA256_FOR_LEGACY_USE_ONLY, RSA_PKCS1_1024_8192_SHA512_FOR_LEGACY_USE_ONLY,
    RsaParameters, RsaPublicKeyComponents, UnparsedPublicKey, VerificationAlgorithm,
};

use super::name::Name;
use super::rdata::{Dnskey, Ds};

/// The one hash of NSEC3 (RFC 5155 section 11).
pub(crate) const NSEC3_SHA1: u8 = 1;
/// Digests of DS.
pub(crate) const DIGEST_SHA1: u8 = 1;

/// Whether signatures of this algorithm can be judged here. A zone of which none can is as if unsigned (RFC
/// 4035 section 5.2). DSA, RSAMD5 and GOST must not be supported (RFC 8624 section 3.1); Ed448 could be.
/// SHA-1 stays as long as zones use it.
pub(crate) fn knows_algorithm(algorithm: u8) -> bool {
    matches!(algorithm, 5 | 7 | 8 | 10 | 13 | 14 | 15)
}

/// Whether this digest of a DS record can be judged here (RFC 8624 section 3.3).
pub(crate) fn knows_digest(digest_type: u8) -> bool {
    matches!(digest_type, 1 | 2 | 4)
}

/// Whether a DS record names this key of `owner` (RFC 4034 section 5.1.4).
pub(crate) fn names(ds: &Ds, owner: &Name, key: &Dnskey) -> bool {
    let algorithm = match ds.digest_type {
        1 => &SHA1_FOR_LEGACY_USE_ONLY,
        2 => &SHA256,
        4 => &SHA384,
        _ => return false,
    };
    if ds.tag != key.tag || ds.algorithm != key.algorithm {
        return false;
    }
    let mut context = Context::new(algorithm);
    context.update(owner.octets());
    context.update(&key.data());
    context.finish().as_ref() == ds.digest
}

/// The DS record with SHA-256 of a key.
pub(crate) fn ds_of(owner: &Name, key: &Dnskey) -> Ds {
    let digest = digest(&SHA256, &[owner.octets(), &key.data()].concat()).as_ref().to_vec();
    Ds { tag: key.tag, algorithm: key.algorithm, digest_type: 2, digest }
}

/// Whether `signature` is that of `message` by `key`.
pub(crate) fn verify(key: &Dnskey, message: &[u8], signature: &[u8]) -> bool {
    match key.algorithm {
        5 | 7 => rsa(&RSA_PKCS1_1024_8192_SHA1_FOR_LEGACY_USE_ONLY, &key.key, message, signature),
        8 => rsa(&RSA_PKCS1_1024_8192_SHA256_FOR_LEGACY_USE_ONLY, &key.key, message, signature),
        10 => rsa(&RSA_PKCS1_1024_8192_SHA512_FOR_LEGACY_USE_ONLY, &key.key, message, signature),
        13 => point(&ECDSA_P256_SHA256_FIXED, &key.key, message, signature),
        14 => point(&ECDSA_P384_SHA384_FIXED, &key.key, message, signature),
        15 => UnparsedPublicKey::new(&ED25519, &key.key).verify(message, signature).is_ok(),
        _ => false,
    }
}

/// RFC 3110 section 2: exponent with its length before it, then modulus.
fn rsa(parameters: &RsaParameters, key: &[u8], message: &[u8], signature: &[u8]) -> bool {
    let parts = match key {
        [0, high, low, rest @ ..] => rest.split_at_checked(usize::from(u16::from_be_bytes([*high, *low]))),
        [length, rest @ ..] => rest.split_at_checked(usize::from(*length)),
        [] => None,
    };
    let Some((e, n)) = parts else { return false };
    RsaPublicKeyComponents { n: bare(n), e: bare(e) }.verify(parameters, message, signature).is_ok()
}

/// A number without leading zeros, which ring refuses.
fn bare(number: &[u8]) -> &[u8] {
    let zeros = number.iter().take_while(|octet| **octet == 0).count();
    number.get(zeros..).unwrap_or_default()
}

/// RFC 6605 section 4: a point without the octet that says it is not compressed.
fn point(
    algorithm: &'static dyn VerificationAlgorithm,
    key: &[u8],
    message: &[u8],
    signature: &[u8],
) -> bool {
    let key = [b"\x04".as_slice(), key].concat();
    UnparsedPublicKey::new(algorithm, key).verify(message, signature).is_ok()
}

/// The hash of a name (RFC 5155 section 5).
pub(crate) fn nsec3_hash(name: &Name, salt: &[u8], iterations: u16) -> Vec<u8> {
    let once = |octets: &[u8]| {
        let mut context = Context::new(&SHA1_FOR_LEGACY_USE_ONLY);
        context.update(octets);
        context.update(salt);
        context.finish()
    };
    let mut hash = once(name.octets());
    for _ in 0..iterations {
        hash = once(hash.as_ref());
    }
    hash.as_ref().to_vec()
}
