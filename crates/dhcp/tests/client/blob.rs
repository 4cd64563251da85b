//! The durable form of a binding.

use super::bench::{Bench, START, gateway, prefix, seconds};
use proptest::prelude::*;
use sixgate_dhcp::client::{Binding, BindingError, ReconfigureKey};
use std::time::Duration;

fn full() -> Binding {
    let mut binding = Bench::new(gateway()).bind();
    binding.domains = vec!["example.com".into(), "home.arpa".into()];
    binding.options = vec![(56, vec![0, 1, 2]), (103, Vec::new())];
    binding.prefixes[0].excluded = Some("2001:db8:1:ff::/64".parse().unwrap());
    binding.prefixes[0].valid_until = Duration::MAX;
    binding.sol_max_rt = Some(600);
    binding.reconfigure = Some(ReconfigureKey { key: [7; 16], replay: u64::MAX - 1 });
    binding
}

#[test]
fn what_was_written_is_read() {
    let binding = full();
    assert_eq!(Binding::from_bytes(&binding.to_bytes()), Ok(binding));
}

/// Version 1 is on disks: these octets must be read as this for ever.
#[test]
fn version_1_stays_readable() {
    let octets = concat!(
        "01",
        "000a",
        "00030001020000000001",
        "01",
        "fe800000000000000000000000000053",
        "0000",
        "0001",
        "00000007",
        "38",
        "20010db8000100000000000000000000",
        "00",
        "000000006afd9ac000000000",
        "ffffffffffffffff3b9ac9ff",
        "000000006afd9ac00000000a",
        "000000006afd9ac100000000",
        "0001",
        "20010db8000000000000000000000053",
        "0001",
        "0003",
        "612e62",
        "0001",
        "0038",
        "0002",
        "beef",
        "ffffffffffffffff3b9ac9ff",
        "01",
        "00000258",
        "00",
        "00"
    );
    let octets: Vec<u8> =
        (0..octets.len()).step_by(2).map(|i| u8::from_str_radix(&octets[i..i + 2], 16).unwrap()).collect();
    let binding = Binding::from_bytes(&octets).unwrap();
    assert_eq!(binding.prefixes[0].prefix, prefix(1));
    assert_eq!(binding.prefixes[0].preferred_until, seconds(0x6afd_9ac0));
    assert_eq!(binding.prefixes[0].valid_until, Duration::MAX);
    assert_eq!(binding.t1, Duration::new(0x6afd_9ac0, 10));
    assert_eq!(binding.domains, ["a.b"]);
    assert_eq!(binding.options, [(56, vec![0xbe, 0xef])]);
    assert_eq!(binding.sol_max_rt, Some(600));
    assert_eq!(binding.to_bytes(), octets);
}

#[test]
fn what_is_not_a_binding_is_an_error() {
    assert_eq!(Binding::from_bytes(&[]), Err(BindingError::Damaged(0)));
    assert_eq!(Binding::from_bytes(&[2, 0]), Err(BindingError::Version(2)));
    let octets = full().to_bytes();
    for length in 1..octets.len() {
        assert!(Binding::from_bytes(&octets[..length]).is_err(), "{length} octets");
    }
    let longer = [&octets[..], &[0]].concat();
    assert_eq!(Binding::from_bytes(&longer), Err(BindingError::Damaged(octets.len())));
}

#[test]
fn the_key_is_not_in_debug_output() {
    let text = format!("{:?}", full());
    assert!(text.contains("ReconfigureKey { replay") && !text.contains("[7, 7"), "{text}");
}

proptest! {
    /// Any octets are a binding, which then is usable, or an error.
    #[test]
    fn reading_is_total(change in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..8)) {
        let mut octets = full().to_bytes();
        for (at, octet) in change {
            let at = at.index(octets.len());
            octets[at] = octet;
        }
        if let Ok(binding) = Binding::from_bytes(&octets) {
            let mut bench = Bench::restored(gateway(), Some(binding), START);
            bench.start();
            bench.run_for(seconds(100));
        }
    }
}
