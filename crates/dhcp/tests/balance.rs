//! The hash of RFC 3074 against one that we did not write: Kea's, out of the library by which its servers balance.

#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

use sixgate_dhcp::balance::bucket;
use std::fmt::Write as _;
use std::io::Write as _;
use std::process::{Command, Stdio};

/// Asks Kea for the bucket of each line of hexadecimal digits.
const KEA: &str = r#"
import ctypes, glob, sys
library = ctypes.CDLL(glob.glob("/usr/lib/*/kea/hooks/libdhcp_ha.so")[0], mode=1)
hash_of = library._ZNK3isc2ha11QueryFilter15loadBalanceHashEPKhm
hash_of.restype = ctypes.c_ubyte
# A method that looks at nothing of its object.
hash_of.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_size_t]
for line in sys.stdin:
    key = bytes.fromhex(line.strip())
    print(hash_of(None, key, len(key)))
"#;

/// The buckets that a Python program prints for these identities.
fn asked(program: &str, identities: &[Vec<u8>]) -> Vec<u8> {
    let mut lines = String::new();
    for identity in identities {
        for octet in identity {
            write!(lines, "{octet:02x}").unwrap();
        }
        lines.push('\n');
    }
    let mut child = Command::new("python3")
        .args(["-c", program])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let writer = std::thread::spawn(move || stdin.write_all(lines.as_bytes()).unwrap());
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    assert!(output.status.success());
    String::from_utf8(output.stdout).unwrap().lines().map(|line| line.parse().unwrap()).collect()
}

fn identities() -> Vec<Vec<u8>> {
    let mut random = fastrand::Rng::with_seed(3074);
    let mut some = |_| {
        let length = random.usize(1..=130);
        (0..length).map(|_| random.u8(..)).collect()
    };
    let mut all: Vec<Vec<u8>> = (0..5_000).map(&mut some).collect();
    // One octet: every entry of the table once; and all lengths, with what enters modulo 256.
    all.extend((0..=u8::MAX).map(|octet| vec![octet]));
    all.extend((1..=600).map(|length| vec![7; length]));
    all
}

#[test]
fn kea_puts_each_client_into_the_same_bucket() {
    let identities = identities();
    let theirs = asked(KEA, &identities);
    assert_eq!(theirs.len(), identities.len());
    for (identity, theirs) in identities.iter().zip(theirs) {
        assert_eq!(bucket(identity), theirs, "{identity:02x?}");
    }
}

/// 5,000 clients fall evenly. Of a fair hash a bucket has 20 of them, give or take 4.4 (one standard deviation).
#[test]
fn clients_fall_evenly() {
    let mut counts = [0_u32; 256];
    let clients = identities();
    clients.iter().take(5_000).for_each(|identity| counts[usize::from(bucket(identity))] += 1);
    let (least, most) = (counts.iter().min().unwrap(), counts.iter().max().unwrap());
    assert!(*least > 3 && *most < 45, "between {least} and {most}");
}
