//! The copy that a clean stop leaves: a start with it gives what a start without it gives, and it is believed only while it is right.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use sixgate_dhcp::identity::Key;
use sixgate_dhcp::lease::{Lease, LeaseChange, LeaseState};
use sixgate_store::{Change, Config, Store, Submit};
use sixgate_wire::dhcpv6::Duid;
use std::fs;
use std::net::Ipv6Addr;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

fn lease(number: u32, from: u64) -> Lease {
    let address = Ipv6Addr::from_bits((0x2001_0db8 << 96) + u128::from(number));
    let time = Duration::from_secs;
    Lease {
        resource: address.to_string().parse().unwrap(),
        key: Key::Duid,
        duid: Duid::link_layer([2, 0, 0, 0, (number >> 8) as u8, number as u8]),
        iaid: number,
        link: if number.is_multiple_of(2) { "lan" } else { "guests" }.into(),
        state: LeaseState::Bound,
        preferred_until: time(from + 50),
        valid_until: time(from + 100),
        granted_at: time(from),
        renewed_at: time(from),
        hostname: None,
        link_layer: None,
        peer: address,
        line: None,
        relay: None,
    }
}

/// Opens, gives the leases in order, and a way to wait for tokens.
fn open(path: &Path) -> (Store, Vec<Lease>, Receiver<u64>) {
    let (tell, told) = channel();
    let on_commit = Box::new(move |tokens: Vec<(u64, Result<(), sixgate_store::StoreError>)>| {
        for (token, result) in tokens {
            result.unwrap();
            let _ = tell.send(token);
        }
    });
    let (store, snapshot) = Store::open(path, Config::default(), on_commit).unwrap();
    (store, snapshot.leases.iter().collect(), told)
}

fn put(store: &Store, told: &Receiver<u64>, changes: Vec<LeaseChange>) {
    let changes = changes.into_iter().map(Change::Lease).collect();
    assert_eq!(store.submit(Duration::from_secs(1), changes, 1), Submit::Queued);
    told.recv_timeout(Duration::from_secs(30)).unwrap();
}

/// A database of 1200 leases that was stopped cleanly, and its copy.
fn stopped(folder: &Path) -> (PathBuf, PathBuf, Vec<Lease>) {
    let path = folder.join("leases.db");
    let (store, _, told) = open(&path);
    let leases: Vec<Lease> = (0..1_200).map(|number| lease(number, 1)).collect();
    put(&store, &told, leases.iter().cloned().map(LeaseChange::Put).collect());
    store.stop().unwrap();
    let copy = folder.join("leases.db-copy");
    assert!(copy.exists(), "a clean stop leaves a copy");
    (path, copy, leases)
}

#[test]
fn a_copy_gives_what_the_rows_give() {
    let folder = tempfile::tempdir().unwrap();
    let (path, copy, leases) = stopped(folder.path());
    let read = |path: &Path| {
        let leases = Store::read_only(path).unwrap().snapshot().unwrap().leases;
        leases.iter().collect::<Vec<_>>()
    };
    assert!(read(&path) == leases);
    // Nothing changed: it stays as it is.
    let octets = fs::read(&copy).unwrap();
    let (store, found, _) = open(&path);
    assert!(found == leases);
    store.stop().unwrap();
    assert!(fs::read(&copy).unwrap() == octets);
    fs::remove_file(&copy).unwrap();
    assert!(read(&path) == leases);
}

#[test]
fn a_damaged_copy_is_not_believed() {
    let folder = tempfile::tempdir().unwrap();
    let (path, copy, leases) = stopped(folder.path());
    let octets = fs::read(&copy).unwrap();
    let read = || Store::read_only(&path).unwrap().snapshot().unwrap().leases.len();
    let mut step = fastrand::Rng::with_seed(7);
    for _ in 0..300 {
        let at = step.usize(..octets.len());
        let mut changed = octets.clone();
        changed[at] ^= 1 << step.u8(..8);
        fs::write(&copy, &changed).unwrap();
        assert_eq!(read(), leases.len(), "octet {at} changed");
        fs::write(&copy, &octets[..at]).unwrap();
        assert_eq!(read(), leases.len(), "cut to {at}");
    }
    let (store, found, _) = open(&path);
    assert!(found == leases);
    drop(store);
}

#[test]
fn a_copy_that_the_database_went_on_from_is_gone_and_not_believed() {
    let folder = tempfile::tempdir().unwrap();
    let (path, copy, mut leases) = stopped(folder.path());
    let before = fs::read(&copy).unwrap();
    let (store, _, told) = open(&path);
    let gone = leases.remove(7);
    leases[0] = lease(0, 500);
    put(&store, &told, vec![LeaseChange::Remove(gone.resource), LeaseChange::Put(leases[0].clone())]);
    store.stop().unwrap();
    assert!(fs::read(&copy).unwrap() != before, "it is made anew");
    // The old one in its place is not the one that is named.
    fs::write(&copy, &before).unwrap();
    let (store, found, _) = open(&path);
    assert!(found == leases);
    store.stop().unwrap();
    // And so is one in whose place there is nothing.
    fs::remove_file(&copy).unwrap();
    assert!(open(&path).1 == leases);
}
