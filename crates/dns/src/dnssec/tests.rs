//! Vectors out of RFCs, and what a message can cost at most.

use std::time::Duration;

use proptest::collection::vec;
use proptest::{prop_assert, prop_assert_eq, proptest};

use super::anchor::{base64, hex};
use super::crypto::{ds_of, names, nsec3_hash};
use super::denial::{Cut, Nsecs, Proof};
use super::message::RrSet;
use super::nsec3::Nsec3s;
use super::rdata::{Dnskey, Ds, Nsec, Nsec3, Rrsig, key_tag, kind};
use super::trust::{Trust, Zone};
use super::verify::{Budget, Verified, verify};
use super::{Anchors, Fault, Judgement, Name, Step, Times};

fn name(text: &str) -> Name {
    Name::from(&hickory_proto::rr::Name::from_ascii(text).unwrap())
}

fn key(flags: u16, algorithm: u8, text: &str) -> Dnskey {
    let data = [&flags.to_be_bytes()[..], &[3, algorithm], &base64(text).unwrap()].concat();
    Dnskey::read(&data).unwrap()
}

fn ds(tag: u16, algorithm: u8, digest_type: u8, digest: &str) -> Ds {
    Ds { tag, algorithm, digest_type, digest: hex(digest).unwrap() }
}

/// Zone, key, its DS record, a record set, signature's fields, signature: RFC 6605 section 6, RFC 8080 section 6.1.
struct Vector {
    zone: &'static str,
    key: &'static str,
    ds: (u16, u8, &'static str),
    owner: &'static str,
    kind: u16,
    data: &'static [u8],
    times: (u32, u32),
    signature: &'static str,
    algorithm: u8,
}

const VECTORS: [Vector; 3] = [
    Vector {
        zone: "example.net.",
        key: "GojIhhXUN/u4v54ZQqGSnyhWJwaubCvTmeexv7bR6edbkrSqQpF64cYbcB7wNcP+e+MAnLr+Wi9xMWyQLc8NAA==",
        ds: (55_648, 2, "b4c8c1fe2e7477127b27115656ad6256f424625bf5c1e2770ce6d6e37df61d17"),
        owner: "www.example.net.",
        kind: 1,
        data: &[192, 0, 2, 1],
        times: (1_281_607_479, 1_284_026_679),
        signature: "qx6wLYqmh+l9oCKTN6qIc+bw6ya+KJ8oMz0YP107epXAyGmt+3SNruPFKG7tZoLBLlUzGGus7ZwmwWep666VCw==",
        algorithm: 13,
    },
    Vector {
        zone: "example.net.",
        key: "xKYaNhWdGOfJ+nPrL8/arkwf2EY3MDJ+SErKivBVSum1w/egsXvSADtNJhyem5RCOpgQ6K8X1DRSEkrbYQ+OB+v8\
              /uX45NBwY8rp65F6Glur8I/mlVNgF6W/qTI37m40",
        ds: (
            10_771,
            4,
            "72d7b62976ce06438e9c0bf319013cf801f09ecc84b8d7e9495f27e305c6a9b0563a9b5f4d288405c3008a946df983d6",
        ),
        owner: "www.example.net.",
        kind: 1,
        data: &[192, 0, 2, 1],
        times: (1_281_608_425, 1_284_027_625),
        signature: "/L5hDKIvGDyI1fcARX3z65qrmPsVz73QD1Mr5CEqOiLP95hxQouuroGCeZOvzFaxsT8Glr74hbavRKayJNuydCuz\
                    WTSSPdz7wnqXL5bdcJzusdnI0RSMROxxwGipWcJm",
        algorithm: 14,
    },
    Vector {
        zone: "example.com.",
        key: "l02Woi0iS8Aa25FQkUd9RMzZHJpBoRQwAQEX1SxZJA4=",
        ds: (3_613, 2, "3aa5ab37efce57f737fc1627013fee07bdf241bd10f3b1964ab55c78e79a304b"),
        owner: "example.com.",
        kind: 15,
        data: b"\0\x0a\x04mail\x07example\x03com\0",
        times: (1_438_207_200, 1_440_021_600),
        signature: "oL9krJun7xfBOIWcGHi7mag5/hdZrKWw15jPGrHpjQeRAvTdszaPD+QLs3fx8A4M3e23mRZ9VrbpMngwcrqNAg==",
        algorithm: 15,
    },
];

impl Vector {
    fn set(&self) -> RrSet {
        let owner = name(self.owner);
        let signature = Rrsig {
            covered: self.kind,
            algorithm: self.algorithm,
            labels: owner.count() as u8,
            original_ttl: 3_600,
            expiration: self.times.1,
            inception: self.times.0,
            tag: self.ds.0,
            signer: name(self.zone),
            signature: base64(self.signature).unwrap(),
        };
        let (data, signatures) = (vec![self.data.to_vec()], vec![signature]);
        RrSet { owner, kind: self.kind, ttl: 7_200, data, signatures, places: vec![0] }
    }

    fn verify(&self, set: &RrSet, time: Option<u32>) -> Result<Verified, Fault> {
        let key = key(257, self.algorithm, self.key);
        verify(set, &name(self.zone), &[key], time, &mut Budget::default())
    }
}

#[test]
fn signatures_out_of_rfcs() {
    for vector in &VECTORS {
        let key = key(257, vector.algorithm, vector.key);
        let (tag, digest_type, digest) = vector.ds;
        assert_eq!(key.tag, tag);
        let zone = name(vector.zone);
        let right = ds(tag, vector.algorithm, digest_type, digest);
        assert!(names(&right, &zone, &key));
        assert!(!names(&right, &name("other."), &key));
        let set = vector.set();
        let (inception, expiration) = vector.times;
        let ttl = |ttl| Ok(Verified { ttl, expanded: None });
        assert_eq!(vector.verify(&set, None), ttl(3_600), "the original TTL");
        assert_eq!(vector.verify(&set, Some(expiration - 9)), ttl(9), "what is left of the signature");
        let code = |set: &RrSet, time| vector.verify(set, Some(time)).map_err(|fault| fault.code);
        assert_eq!(code(&set, expiration), Ok(Verified { ttl: 0, expanded: None }));
        assert_eq!(code(&set, expiration + 1), Err(Fault::EXPIRED));
        assert_eq!(code(&set, inception - 1), Err(Fault::NOT_YET_VALID));
        // One bit of anything.
        let mut other = set.clone();
        other.data[0][3] ^= 1;
        assert_eq!(code(&other, inception), Err(Fault::BOGUS));
        let mut other = set.clone();
        other.signatures[0].signature[5] ^= 1;
        assert_eq!(code(&other, inception), Err(Fault::BOGUS));
        let mut other = set.clone();
        other.signatures[0].tag ^= 1;
        assert_eq!(code(&other, inception), Err(Fault::DNSKEY_MISSING));
        let mut other = set.clone();
        other.signatures[0].labels += 1;
        assert_eq!(code(&other, inception), Err(Fault::BOGUS));
        let mut other = set.clone();
        other.signatures.clear();
        assert_eq!(code(&other, inception), Err(Fault::RRSIGS_MISSING));
        // A key that is revoked, or not a zone's (RFC 5011 section 2.1, RFC 4034 section 2.1.1).
        for flags in [0x0181, 0x0001] {
            let mut key = key.clone();
            key.flags = flags;
            let told = verify(&set, &zone, &[key], None, &mut Budget::default());
            assert_eq!(told.map_err(|fault| fault.code), Err(Fault::DNSKEY_MISSING));
        }
    }
}

#[test]
fn times_are_serial_numbers() {
    // RFC 4034 section 3.1.5: around 2106, and over it.
    let vector = &VECTORS[0];
    let mut set = vector.set();
    let code = |set: &RrSet, time| vector.verify(set, Some(time)).map_err(|fault| fault.code);
    (set.signatures[0].inception, set.signatures[0].expiration) = (u32::MAX - 99, 100);
    for time in [u32::MAX - 99, u32::MAX, 0, 100] {
        assert_eq!(code(&set, time), Err(Fault::BOGUS), "in time, and the signature is another's: {time}");
    }
    for (time, fault) in [(101, Fault::EXPIRED), (u32::MAX - 100, Fault::NOT_YET_VALID)] {
        assert_eq!(code(&set, time), Err(fault));
    }
    (set.signatures[0].inception, set.signatures[0].expiration) = (100, 99);
    assert_eq!(code(&set, 99), Err(Fault::EXPIRED), "never valid");
}

#[test]
fn digests_out_of_rfcs() {
    // RFC 4034 section 5.4, RFC 4509 section 2.3.
    let key = key(
        256,
        5,
        "AQOeiiR0GOMYkDshWoSKz9XzfwJr1AYtsmx3TGkJaNXVbfi/2pHm822aJ5iI9BMzNXxeYCmZDRD99WYwYqUSdjMmmAphXdvx\
         egXd/M5+X7OrzKBaMbCVdFLUUh6DhweJBjEVv5f2wwjM9XzcnOf+EPbtG9DMBmADjFDc2w/rljwvFw==",
    );
    let owner = name("dskey.example.com.");
    assert_eq!((key.tag, key_tag(&key.data())), (60_485, 60_485));
    let sha256 = "D4B7D520E7BB5F0F67674A0CCEB1E3E0614B93C4F9E99B8383F6A1E4469DA50A";
    for ds in [ds(60_485, 5, 1, "2BB183AF5F22588179A53B0A98631FAD1A292118"), ds(60_485, 5, 2, sha256)] {
        assert!(names(&ds, &owner, &key), "{ds:?}");
    }
    assert_eq!(ds_of(&owner, &key), ds(60_485, 5, 2, sha256));
}

#[test]
fn canonical_order() {
    // RFC 4034 section 6.1.
    let names =
        ["example.", "a.example.", "yljkjljk.a.example.", "Z.a.example.", "zABC.a.EXAMPLE.", "z.example."];
    let mut names: Vec<Name> = names.iter().map(|text| name(text)).collect();
    for label in [0x01, b'*', 0o200] {
        let octets = [&[1, label], name("z.example.").octets()].concat();
        names.push(Name::read_plain(&octets).unwrap().0);
    }
    assert!(names.is_sorted_by(|one, two| one < two), "{names:?}");
}

proptest! {
    #[test]
    fn names_are_in_one_order(texts in vec("([a-c*]\\.){0,4}", 3)) {
        let names: Vec<Name> = texts.iter().map(|text| name(&format!("{text}example."))).collect();
        let (one, two) = (&names[0], &names[1]);
        let common = one.common(two);
        prop_assert!(one.is_within(&common) && two.is_within(&common) && common == two.common(one));
        prop_assert_eq!(one.is_within(two), common == *two);
        prop_assert_eq!(one.cmp(two), two.cmp(one).reverse());
        // What is within a name follows it, and nothing else stands between.
        if one.is_below(two) {
            prop_assert!(two < one);
            let between = *two < names[2] && names[2] < *one;
            prop_assert!(!between || names[2].is_within(two));
        }
        prop_assert_eq!(Name::read_plain(one.octets()), Some((one.clone(), one.octets().len())));
    }

    /// Of the chain of a whole zone, each name is there, or its absence is proven, and never both.
    #[test]
    fn a_whole_chain_proves_one_thing(owners in vec("([a-c]\\.){1,3}", 1..8), asked in "([a-d]\\.){1,3}") {
        let zone = name("example.");
        let mut owners: Vec<Name> = owners.iter().map(|text| name(&format!("{text}example."))).collect();
        owners.push(zone.clone());
        owners.sort();
        owners.dedup();
        let types = |next: &Name| [next.octets(), b"\0\x01\x40"].concat();
        let next = owners.iter().skip(1).chain([&zone]);
        let list = owners.iter().zip(next).map(|(owner, next)| (owner, Nsec::read(&types(next)).unwrap()));
        let nsecs = Nsecs { zone: &zone, list: list.collect() };
        let asked = name(&format!("{asked}example."));
        let there = owners.contains(&asked);
        let empty = !there && owners.iter().any(|owner| owner.is_below(&asked));
        let holds = |proof| proof == Proof::Holds;
        prop_assert_eq!(holds(nsecs.no_name(&asked)), !there && !empty);
        prop_assert_eq!(holds(nsecs.no_data(&asked, kind::SOA)), there || empty);
        // All have A records.
        prop_assert_eq!(holds(nsecs.no_data(&asked, 1)), empty);
        prop_assert_eq!(nsecs.cut(&asked), Cut::None);
    }
}

#[test]
fn hashes_out_of_rfc_5155() {
    // Appendix A.
    let salt = [0xaa, 0xbb, 0xcc, 0xdd];
    for (text, expected) in [
        ("example.", "0p9mhaveqvm6t7vbl5lop2u3t2rp3tom"),
        ("a.example.", "35mthgpgcu1qg68fab165klnsnk3dpvl"),
        ("ai.example.", "gjeqe526plbf1g8mklp59enfd789njgi"),
        ("NS1.example.", "2t7b4g4vsa5smi47k61mv5bv1a22bojr"),
        ("x.y.w.example.", "2vptu5timamqttgl4luu9kg21e0aor3s"),
        ("*.w.example.", "r53bq7cc2uvmubfu5ocmm6pers9tk9en"),
    ] {
        let hash = nsec3_hash(&name(text), &salt, 12);
        assert_eq!(Some(hash), super::nsec3::base32hex(expected.as_bytes()), "{text}");
    }
}

#[test]
fn records_are_read_whole_or_not_at_all() {
    // RFC 4034 section 4.3.
    let nsec = b"\x04host\x07example\x03com\0\0\x06\x40\x01\0\0\0\x03\x04\x1b\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x20";
    let read = Nsec::read(nsec).unwrap();
    assert_eq!(read.next, name("host.example.com."));
    let types: Vec<u16> = (0..2_000).filter(|kind| read.types.has(*kind)).collect();
    assert_eq!(types, [1, 15, 46, 47, 1_234]);
    for length in 0..nsec.len() {
        // Between two windows it may end.
        assert_eq!(Nsec::read(&nsec[..length]).is_some(), [18, 26].contains(&length), "{length}");
    }
    // Windows that do not rise, or are empty, or too long; a name that is compressed.
    for wrong in [&b"\0\0\x01\x40\0\x01\x40"[..], b"\0\0\0", b"\0\0\x21", b"\xc0\x0c\0\x01\x40"] {
        assert_eq!(Nsec::read(wrong), None, "{wrong:?}");
    }
    // RFC 5155 section 3.2, and each length short of it.
    let nsec3 = b"\x01\x01\0\x0c\x04\xaa\xbb\xcc\xdd\x02\x01\x02\0\x01\x40";
    let read = Nsec3::read(nsec3).unwrap();
    assert!(read.opts_out() && read.iterations == 12 && read.types.has(1) && read.next == [1, 2]);
    for length in 0..nsec3.len() {
        assert_eq!(Nsec3::read(&nsec3[..length]).is_some(), length == 12, "{length}");
    }
    for length in 0..18 {
        assert_eq!(Rrsig::read(&[0; 18][..length]), None);
    }
    assert!(Rrsig::read(&[0; 19]).is_some_and(|signature| signature.signer == Name::root()));
    assert_eq!((Dnskey::read(&[1, 0, 3]), Ds::read(&[1, 0, 3])), (None, None));
}

#[test]
fn many_keys_with_one_tag_cost_little() {
    // CVE-2023-50387: each signature wrong, each key fits by its tag.
    let vector = &VECTORS[0];
    let mut set = vector.set();
    set.signatures[0].signature[3] ^= 1;
    set.signatures = vec![set.signatures[0].clone(); 500];
    let keys = vec![key(257, 13, vector.key); 500];
    let mut budget = Budget::default();
    let all = budget.signatures;
    // One answer has no more of it, whatever the number of its sets.
    for _ in 0..20 {
        let told = verify(&set, &name(vector.zone), &keys, None, &mut budget).map_err(|fault| fault.text);
        assert!(told.unwrap_err().contains("more work"));
    }
    assert_eq!((all - budget.signatures, budget.failures), (13 + 19, 0));
}

#[test]
fn long_names_with_many_iterations_cost_little() {
    // CVE-2023-50868.
    let zone = name("example.");
    let record = Nsec3::read(b"\x01\0\0\x96\0\x14xxxxxxxxxxxxxxxxxxxx\0\x01\x40").unwrap();
    let owner = name("00000000000000000000000000000000.example.");
    let mut set = Nsec3s::new(&zone, vec![(&owner, record)]);
    assert!(!set.is_costly());
    let long = name(&format!("{}example.", "a.".repeat(120)));
    let mut budget = Budget::default();
    let told = set.no_name(&long, &mut budget).map_err(|fault| fault.code);
    assert_eq!((told, budget.rounds < 151), (Err(Fault::BOGUS), true));
}

#[test]
fn the_table_of_zones_is_bounded() {
    let mut trust = Trust::new(Anchors::default(), Vec::new());
    for number in 0..5_000_u64 {
        trust.keep(&name(&format!("{number}.")), Zone::Inside, Duration::from_secs(number));
    }
    assert_eq!((trust.len(), trust.evictions), (4_096, 904));
    assert!(trust.get(&name("4999."), Duration::ZERO).is_some());
    assert!(trust.get(&name("4999."), Duration::from_secs(4_999)).is_none(), "over");
}

#[test]
fn anchors_as_the_system_has_them() {
    let root = Anchors::default();
    assert!(root.has(&Name::root()));
    // The DNSKEY records of Debian's root.key are those that its root.ds names.
    if let (Ok(keys), Ok(digests)) = (
        std::fs::read_to_string("/usr/share/dns/root.key"),
        std::fs::read_to_string("/usr/share/dns/root.ds"),
    ) {
        assert_eq!(Anchors::parse(&keys), Ok(root.clone()));
        assert_eq!(Anchors::parse(&digests), Ok(root));
    }
    let line = "Example. 3600 IN DS 7 13 2 ( AA bb ) ; words";
    assert!(Anchors::parse(line).unwrap().has(&name("example.")));
    for wrong in
        ["", "; nothing", ". IN DS 1 2", ". IN A 192.0.2.1", ". IN DS 1 250 2 AA", ". IN DS 1 8 2 AAA"]
    {
        assert!(Anchors::parse(wrong).is_err(), "{wrong}");
    }
    let many = ". IN DS 1 8 2 AA\n".repeat(65);
    assert!(Anchors::parse(&many).is_err());
}

#[test]
fn a_chain_has_an_end() {
    // An upstream that denies each name's DS records, without a signature, makes nobody walk for ever.
    let labels = "a.".repeat(100);
    let mut message = vec![0, 0, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    let mut judgement = Judgement::new(name(&labels), kind::SOA, &message);
    let mut trust = Trust::new(Anchors::default(), Vec::new());
    let times = Times { now: Duration::ZERO, wall: None };
    let mut steps = 0;
    while let Step::Needs(name, kind) = judgement.step(&mut trust, times) {
        message[0] ^= 1;
        judgement.learn(name, kind, Some(&message));
        steps += 1;
        assert!(steps <= 64);
    }
}
