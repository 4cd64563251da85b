//! A disk that is full or cannot be written: said with a remedy, survived, and caught up with. Each test runs again by
//! itself in a mount namespace of its own, on a disk of a few hundred kilobytes.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use sixgate_dhcp::identity::Key;
use sixgate_dhcp::lease::{Lease, LeaseState};
use sixgate_store::{Change, Config, OnCommit, RETRY, Store, StoreError, Submit};
use sixgate_wire::dhcpv6::Duid;
use std::fs;
use std::net::Ipv6Addr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

const DISK: &str = "SIXGATE_TEST_DISK";

/// Runs the test `name` on a disk with these mount options; inside, gives the disk's directory.
fn on_disk_of_its_own(name: &str, options: &str) -> Option<PathBuf> {
    if let Some(disk) = std::env::var_os(DISK) {
        return Some(disk.into());
    }
    let folder = tempfile::tempdir().unwrap();
    let output = Command::new("unshare")
        .args(["--map-root-user", "--mount", "sh", "-ec"])
        .arg(r#"mount -t tmpfs -o "$3" none "$2"; exec "$0" --exact "$1" --nocapture"#)
        .args([std::env::current_exe().unwrap().as_os_str(), name.as_ref(), folder.path().as_os_str()])
        .arg(options)
        .env(DISK, folder.path())
        .output()
        .unwrap();
    let said = [output.stdout, output.stderr].concat();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&said));
    None
}

type Told = Receiver<(u64, Result<(), StoreError>)>;

fn channelled() -> (OnCommit, Told) {
    let (tell, told) = channel();
    (Box::new(move |tokens| tokens.into_iter().for_each(|token| drop(tell.send(token)))), told)
}

fn grant(token: u64) -> Vec<Change> {
    let address = Ipv6Addr::from_bits(u128::from(token));
    let lease = Lease {
        resource: sixgate_dhcp::lease::Resource::Address(address),
        key: Key::Duid,
        duid: Duid::link_layer([2, 0, 0, 0, 0, 1]),
        iaid: 1,
        link: "lan".into(),
        state: LeaseState::Bound,
        preferred_until: Duration::MAX,
        valid_until: Duration::MAX,
        granted_at: Duration::ZERO,
        renewed_at: Duration::ZERO,
        hostname: None,
        link_layer: None,
        peer: address,
        line: None,
        relay: None,
    };
    vec![Change::Lease(sixgate_dhcp::lease::LeaseChange::Put(lease))]
}

fn granted(path: &Path) -> Vec<u64> {
    let snapshot = Store::read_only(path).unwrap().snapshot().unwrap();
    let mut tokens: Vec<u64> = snapshot
        .leases
        .iter()
        .map(|lease| u64::try_from(lease.resource.net().network().to_bits()).unwrap())
        .collect();
    tokens.sort_unstable();
    tokens
}

#[test]
fn a_full_disk_fails_its_tokens_and_is_caught_up_with() {
    let Some(disk) = on_disk_of_its_own("a_full_disk_fails_its_tokens_and_is_caught_up_with", "size=400k")
    else {
        return;
    };
    let path = disk.join("leases.db");
    let ballast = disk.join("ballast");
    fs::write(&ballast, vec![1; 100_000]).unwrap();
    let (on_commit, told) = channelled();
    let (store, _) = Store::open(&path, Config::default(), on_commit).unwrap();
    let mut token = 0;
    // Until it is full.
    let error = loop {
        assert_eq!(store.submit(Duration::ZERO, grant(token), token), Submit::Queued);
        let (back, result) = told.recv_timeout(Duration::from_secs(30)).unwrap();
        assert_eq!(back, token);
        token += 1;
        match result {
            Ok(()) => assert!(token < 100_000, "never full"),
            Err(error) => break error,
        }
    };
    let said = error.to_string();
    assert!(matches!(error, StoreError::Full { .. }), "{said}");
    assert!(said.contains("no room is left") && said.contains("leases.db"), "{said}");
    let on_disk = granted(&path);
    assert_eq!(on_disk, (0..token - 1).collect::<Vec<_>>(), "all that were told of, and no other");

    // Still full: the next ones fail as well.
    for _ in 0..3 {
        let _ = store.submit(Duration::ZERO, grant(token), token);
        assert!(told.recv_timeout(Duration::from_secs(30)).unwrap().1.is_err());
        token += 1;
    }
    assert_eq!(store.counters().unwritten, 4);

    // There is room again. What had failed is written before what is submitted now.
    fs::remove_file(&ballast).unwrap();
    let _ = store.submit(Duration::ZERO, grant(token), token);
    assert_eq!(told.recv_timeout(Duration::from_secs(30)).unwrap(), (token, Ok(())));
    assert_eq!(granted(&path), (0..=token).collect::<Vec<_>>());
    assert_eq!(store.counters().unwritten, 0);
    store.stop().unwrap();
}

#[test]
fn a_full_disk_is_tried_again_without_being_asked() {
    let Some(disk) = on_disk_of_its_own("a_full_disk_is_tried_again_without_being_asked", "size=400k") else {
        return;
    };
    let path = disk.join("leases.db");
    let (on_commit, told) = channelled();
    let (store, _) = Store::open(&path, Config::default(), on_commit).unwrap();
    let ballast = disk.join("ballast");
    // Writes until there is no room.
    assert!(fs::write(&ballast, vec![1; 1_000_000]).is_err());
    let mut token = 0;
    loop {
        let _ = store.submit(Duration::ZERO, grant(token), token);
        if told.recv_timeout(Duration::from_secs(30)).unwrap().1.is_err() {
            break;
        }
        token += 1;
    }
    fs::remove_file(&ballast).unwrap();
    let deadline = std::time::Instant::now() + 20 * RETRY;
    while store.counters().unwritten > 0 {
        assert!(std::time::Instant::now() < deadline, "not tried again");
        std::thread::sleep(RETRY / 20);
    }
    assert_eq!(granted(&path), (0..=token).collect::<Vec<_>>());
}

#[test]
fn a_stop_on_a_full_disk_ends_and_says_so() {
    let Some(disk) = on_disk_of_its_own("a_stop_on_a_full_disk_ends_and_says_so", "size=400k") else {
        return;
    };
    let path = disk.join("leases.db");
    let (on_commit, told) = channelled();
    let (store, _) = Store::open(&path, Config::default(), on_commit).unwrap();
    assert!(fs::write(disk.join("ballast"), vec![1; 1_000_000]).is_err());
    let mut refused = 0;
    for token in 0..40_000 {
        // The queue fills while the disk takes nothing: bounded memory.
        refused += u64::from(store.submit(Duration::ZERO, grant(token), token) != Submit::Queued);
    }
    let counters = store.counters();
    assert!(counters.unwritten <= 16_384 + 1024, "{counters:?}");
    assert_eq!(counters.refused, refused);
    let error = store.stop().unwrap_err();
    assert!(matches!(error, StoreError::Full { .. }), "{error}");
    let back = told.iter().count() as u64;
    assert_eq!(back + refused, 40_000, "every token came back");
}

#[test]
fn no_room_for_a_database_is_said() {
    let Some(disk) = on_disk_of_its_own("no_room_for_a_database_is_said", "size=64k") else { return };
    assert!(fs::write(disk.join("ballast"), vec![1; 1_000_000]).is_err());
    let path = disk.join("leases.db");
    let error = Store::open(&path, Config::default(), channelled().0).map(|_| ()).unwrap_err();
    assert_eq!(error, StoreError::Full { path });
}

#[test]
fn a_read_only_disk_is_said_and_can_be_read() {
    let Some(disk) = on_disk_of_its_own("a_read_only_disk_is_said_and_can_be_read", "size=2m") else {
        return;
    };
    let path = disk.join("leases.db");
    let (store, _) = Store::open(&path, Config::default(), channelled().0).unwrap();
    let _ = store.submit(Duration::ZERO, grant(0), 0);
    store.stop().unwrap();
    let mounted = Command::new("mount").args(["-o", "remount,ro"]).arg(&disk).status().unwrap();
    assert!(mounted.success());
    let error = Store::open(&path, Config::default(), channelled().0).map(|_| ()).unwrap_err();
    assert_eq!(error, StoreError::ReadOnly { path: path.clone() });
    assert!(error.to_string().contains("is read-only"), "{error}");
    assert_eq!(granted(&path), [0]);
}
