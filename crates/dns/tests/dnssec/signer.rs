//! Keys and signatures. RSA and Ed448 are left to `openssl`: ring signs neither with 1,024 bits nor with SHA-1, and knows no Ed448.

use std::io::Write;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use ring::rand::SystemRandom;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair,
};

use super::wire::{DNSKEY, RRSIG, Rr, labels};

enum Private {
    Ecdsa(EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
    /// A file with the key, and the digest to sign with.
    Rsa(tempfile_path::Path, &'static str),
    /// A file with the key.
    Ed448(tempfile_path::Path),
    /// An algorithm nobody knows.
    Unknown,
}

/// A file that goes with its owner.
mod tempfile_path {
    pub(crate) struct Path(pub(crate) std::path::PathBuf);

    impl Drop for Path {
        fn drop(&mut self) {
            let _ = std::fs::remove_file(&self.0);
        }
    }
}

pub(crate) struct Key {
    private: Private,
    pub(crate) algorithm: u8,
    /// RDATA of its DNSKEY record.
    pub(crate) data: Vec<u8>,
}

/// A file of nobody's yet.
fn fresh_path() -> tempfile_path::Path {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    tempfile_path::Path(std::env::temp_dir().join(format!("dnssec-{}-{number}.pem", std::process::id())))
}

fn openssl(args: &[&str], input: &[u8]) -> Vec<u8> {
    let mut child = Command::new("openssl")
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(input).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "openssl {args:?}");
    output.stdout
}

impl Key {
    pub(crate) fn new(algorithm: u8, bits: u32) -> Self {
        let random = SystemRandom::new();
        let (private, public) = match algorithm {
            13 | 14 => {
                let kind = if algorithm == 13 {
                    &ECDSA_P256_SHA256_FIXED_SIGNING
                } else {
                    &ECDSA_P384_SHA384_FIXED_SIGNING
                };
                let document = EcdsaKeyPair::generate_pkcs8(kind, &random).unwrap();
                let pair = EcdsaKeyPair::from_pkcs8(kind, document.as_ref(), &random).unwrap();
                let public = pair.public_key().as_ref()[1..].to_vec();
                (Private::Ecdsa(pair), public)
            }
            15 => {
                let document = Ed25519KeyPair::generate_pkcs8(&random).unwrap();
                let pair = Ed25519KeyPair::from_pkcs8(document.as_ref()).unwrap();
                let public = pair.public_key().as_ref().to_vec();
                (Private::Ed25519(pair), public)
            }
            5 | 7 | 8 | 10 => Self::rsa(algorithm, bits),
            16 => Self::ed448(),
            _ => (Private::Unknown, vec![7; 32]),
        };
        // Zone key and entry point: one key signs all (RFC 6781 section 3.1).
        let data = [&[1, 1, 3, algorithm], public.as_slice()].concat();
        Self { private, algorithm, data }
    }

    fn rsa(algorithm: u8, bits: u32) -> (Private, Vec<u8>) {
        let path = fresh_path();
        let text = path.0.to_str().unwrap();
        openssl(&["genrsa", "-out", text, &bits.to_string()], &[]);
        let modulus = openssl(&["rsa", "-in", text, "-noout", "-modulus"], &[]);
        let modulus = String::from_utf8(modulus).unwrap();
        let digits = modulus.trim().trim_start_matches("Modulus=");
        let octet = |at| u8::from_str_radix(&digits[at..at + 2], 16).unwrap();
        let modulus: Vec<u8> = (0..digits.len()).step_by(2).map(octet).collect();
        let digest = match algorithm {
            8 => "-sha256",
            10 => "-sha512",
            _ => "-sha1",
        };
        let public = [&[3, 1, 0, 1], modulus.as_slice()].concat();
        (Private::Rsa(path, digest), public)
    }

    fn ed448() -> (Private, Vec<u8>) {
        let path = fresh_path();
        let text = path.0.to_str().unwrap();
        openssl(&["genpkey", "-algorithm", "ed448", "-out", text], &[]);
        let der = openssl(&["pkey", "-in", text, "-pubout", "-outform", "DER"], &[]);
        // 57 octets (RFC 8080 section 3), behind the name of the algorithm.
        let public = der[der.len() - 57..].to_vec();
        (Private::Ed448(path), public)
    }

    pub(crate) fn tag(&self) -> u16 {
        let pairs = self
            .data
            .chunks(2)
            .map(|pair| u32::from(pair[0]) << 8 | pair.get(1).map_or(0, |low| u32::from(*low)));
        let sum: u32 = pairs.sum();
        (sum + (sum >> 16)) as u16
    }

    fn sign(&self, message: &[u8]) -> Vec<u8> {
        match &self.private {
            Private::Ecdsa(pair) => pair.sign(&SystemRandom::new(), message).unwrap().as_ref().to_vec(),
            Private::Ed25519(pair) => pair.sign(message).as_ref().to_vec(),
            Private::Rsa(path, digest) => {
                openssl(&["dgst", digest, "-sign", path.0.to_str().unwrap()], message)
            }
            Private::Ed448(path) => {
                // It signs in one go and so wants a file.
                let input = fresh_path();
                std::fs::write(&input.0, message).unwrap();
                let (key, input) = (path.0.to_str().unwrap(), input.0.to_str().unwrap());
                openssl(&["pkeyutl", "-sign", "-inkey", key, "-rawin", "-in", input], &[])
            }
            Private::Unknown => vec![9; 64],
        }
    }

    /// The RRSIG record of a set, which stands in canonical order.
    pub(crate) fn rrsig(&self, zone: &[u8], set: &[Rr], inception: u32, expiration: u32) -> Rr {
        let first = &set[0];
        let count = labels(&first.owner).len() - usize::from(first.owner.starts_with(b"\x01*"));
        let mut data = first.kind.to_be_bytes().to_vec();
        data.extend_from_slice(&[self.algorithm, count as u8]);
        for number in [first.ttl, expiration, inception] {
            data.extend_from_slice(&number.to_be_bytes());
        }
        data.extend_from_slice(&self.tag().to_be_bytes());
        data.extend_from_slice(zone);
        let mut message = data.clone();
        let mut sorted: Vec<&Rr> = set.iter().collect();
        sorted.sort_by(|one, two| one.data.cmp(&two.data));
        for rr in sorted {
            message.extend_from_slice(&rr.owner);
            message.extend_from_slice(&rr.kind.to_be_bytes());
            message.extend_from_slice(&[0, 1]);
            message.extend_from_slice(&rr.ttl.to_be_bytes());
            message.extend_from_slice(&(rr.data.len() as u16).to_be_bytes());
            message.extend_from_slice(&rr.data);
        }
        data.extend_from_slice(&self.sign(&message));
        Rr { owner: first.owner.clone(), kind: RRSIG, ttl: first.ttl, data }
    }

    /// RDATA of a DS record of this key.
    pub(crate) fn ds(&self, zone: &[u8], digest_type: u8) -> Vec<u8> {
        let input = [zone, &self.data].concat();
        let digest = match digest_type {
            1 => ring::digest::digest(&ring::digest::SHA1_FOR_LEGACY_USE_ONLY, &input).as_ref().to_vec(),
            4 => ring::digest::digest(&ring::digest::SHA384, &input).as_ref().to_vec(),
            _ => ring::digest::digest(&ring::digest::SHA256, &input).as_ref().to_vec(),
        };
        [&self.tag().to_be_bytes()[..], &[self.algorithm, digest_type], &digest].concat()
    }

    pub(crate) fn record(&self, zone: &[u8]) -> Rr {
        Rr { owner: zone.to_vec(), kind: DNSKEY, ttl: 3_600, data: self.data.clone() }
    }
}
