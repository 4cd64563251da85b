//! Files that were cut, garbled, lost or closed to this user: nothing that is still there is made worse, and what can be
//! read is.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use sixgate_dhcp::identity::Key;
use sixgate_dhcp::lease::{Lease, LeaseChange, LeaseState, Resource};
use sixgate_store::{Change, Config, OnCommit, Store, StoreError, Submit};
use sixgate_wire::dhcpv6::Duid;
use std::fs;
use std::net::Ipv6Addr;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

type Told = Receiver<(u64, Result<(), StoreError>)>;

fn channelled() -> (OnCommit, Told) {
    let (tell, told) = channel();
    (Box::new(move |tokens| tokens.into_iter().for_each(|token| drop(tell.send(token)))), told)
}

fn open(path: &Path) -> Result<Store, StoreError> {
    Store::open(path, Config::default(), channelled().0).map(|(store, _)| store)
}

fn lease(token: u64) -> Lease {
    let address = Ipv6Addr::from_bits((0x2001_0db8 << 96) + u128::from(token));
    Lease {
        resource: Resource::Address(address),
        key: Key::Duid,
        duid: Duid::link_layer([2, 0, 0, 0, 0, 1]),
        iaid: 1,
        link: "lan".into(),
        state: LeaseState::Bound,
        preferred_until: Duration::MAX,
        valid_until: Duration::MAX,
        granted_at: Duration::from_secs(token),
        renewed_at: Duration::from_secs(token),
        hostname: Some("pc".into()),
        link_layer: None,
        peer: address,
        line: None,
        relay: None,
    }
}

/// Grants the leases of these tokens, each in a transaction of its own.
fn grant(store: &Store, told: &Told, tokens: std::ops::Range<u64>) {
    for token in tokens {
        let change = Change::Lease(LeaseChange::Put(lease(token)));
        assert_eq!(store.submit(Duration::from_secs(token), vec![change], token), Submit::Queued);
        assert_eq!(told.recv_timeout(Duration::from_secs(30)).unwrap(), (token, Ok(())));
    }
}

fn kept(path: &Path) -> usize {
    Store::read_only(path).unwrap().snapshot().unwrap().leases.len()
}

/// The log's segment that was written last.
fn log_of(path: &Path) -> PathBuf {
    let number = (1..100).rev().find(|number| path.with_extension(format!("db-log{number}")).exists());
    path.with_extension(format!("db-log{}", number.unwrap_or(1)))
}

/// The log that SQLite has beside.
fn wal_of(path: &Path) -> PathBuf {
    path.with_extension("db-wal")
}

/// A database of 300 leases, and the logs of 20 more, ours and SQLite's: as a writer leaves them that is killed.
fn left_by_a_killed_writer(folder: &Path) -> PathBuf {
    let (path, live) = (folder.join("leases.db"), folder.join("live.db"));
    let (on_commit, told) = channelled();
    let (store, _) = Store::open(&live, Config::default(), on_commit).unwrap();
    grant(&store, &told, 0..300);
    store.stop().unwrap();
    assert!(!log_of(&live).exists(), "a stop empties the log and takes it away");
    let (on_commit, told) = channelled();
    let (store, _) = Store::open(&live, Config::default(), on_commit).unwrap();
    grant(&store, &told, 300..320);
    let began = std::time::Instant::now();
    while fs::metadata(wal_of(&live)).unwrap().len() == 0 {
        assert!(began.elapsed() < Duration::from_secs(30), "never taken up");
        std::thread::sleep(Duration::from_millis(5));
    }
    fs::copy(&live, &path).unwrap();
    fs::copy(log_of(&live), path.with_extension("db-log2")).unwrap();
    for extension in ["db-wal", "db-shm"] {
        fs::copy(live.with_extension(extension), path.with_extension(extension)).unwrap();
    }
    path
}

#[test]
fn a_cut_or_garbled_log_keeps_every_whole_commit() {
    let folder = tempfile::tempdir().unwrap();
    let live = folder.path().join("live.db");
    let (on_commit, told) = channelled();
    let (store, _) = Store::open(&live, Config::default(), on_commit).unwrap();
    // How long the log was after each commit.
    let mut ends = Vec::new();
    for token in 0..24 {
        grant(&store, &told, token..token + 1);
        // Zeros follow; a lease without a relay agent ends with one that counts.
        let log = fs::read(log_of(&live)).unwrap();
        ends.push(log.iter().rposition(|octet| *octet != 0).unwrap() + 2);
    }
    let (database, log) = (fs::read(&live).unwrap(), fs::read(log_of(&live)).unwrap());
    assert!(ends.is_sorted_by(|one, other| one < other) && ends.last() < Some(&log.len()));
    let path = folder.path().join("leases.db");
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    let mut cuts: Vec<usize> = (0..30).map(|_| random.usize(ends[0]..=log.len())).collect();
    // And just before, at and behind each end of a commit.
    cuts.extend(ends.iter().flat_map(|end| [end - 1, *end, (end + 1).min(log.len())]));
    for cut in cuts {
        let mut garbled = log.clone();
        garbled.iter_mut().skip(cut).for_each(|octet| *octet ^= 0xff);
        for log in [&log[..cut], &garbled] {
            let _ = fs::remove_file(path.with_extension("db-shm"));
            fs::write(&path, &database).unwrap();
            fs::write(log_of(&path), log).unwrap();
            let whole = ends.iter().filter(|end| **end <= cut).count();
            let (store, snapshot) = Store::open(&path, Config::default(), channelled().0).unwrap();
            let leases: Vec<Lease> = snapshot.leases.iter().collect();
            assert_eq!(leases, (0..whole as u64).map(lease).collect::<Vec<_>>(), "cut at {cut}");
            store.stop().unwrap();
        }
    }
}

#[test]
fn a_database_cut_anywhere_is_refused_and_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = left_by_a_killed_writer(folder.path());
    open(&path).unwrap().stop().unwrap();
    let whole = fs::read(&path).unwrap();
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    let cuts = (0..60).map(|_| random.usize(1..whole.len()));
    for cut in cuts.chain([1, 511, 512, 1000, 4095, 4096, 4097, whole.len() - 4096, whole.len() - 1]) {
        fs::write(&path, &whole[..cut]).unwrap();
        for result in [open(&path).map(drop), Store::read_only(&path).map(drop)] {
            assert!(matches!(result, Err(StoreError::Corrupt { .. })), "cut at {cut}: {result:?}");
        }
        assert_eq!(fs::read(&path).unwrap(), whole[..cut], "cut at {cut}");
    }
}

#[test]
fn the_log_of_a_damaged_database_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = left_by_a_killed_writer(folder.path());
    let mut database = fs::read(&path).unwrap();
    database[4096..].fill(0xa5);
    fs::write(&path, &database).unwrap();
    let log = fs::read(log_of(&path)).unwrap();
    for error in [open(&path).unwrap_err(), Store::read_only(&path).unwrap_err(), open(&path).unwrap_err()] {
        assert!(matches!(error, StoreError::Corrupt { .. }), "{error}");
        let said = error.to_string();
        assert!(said.contains("leases.db") && said.contains("-wal") && !said.contains('\n'), "{said}");
        assert!(fs::read(&path).unwrap() == database, "the database was touched");
        assert!(fs::read(log_of(&path)).unwrap() == log, "the log was touched");
    }
}

#[test]
fn a_log_without_its_database_is_not_deleted() {
    let folder = tempfile::tempdir().unwrap();
    let path = left_by_a_killed_writer(folder.path());
    let log = fs::read(wal_of(&path)).unwrap();
    fs::write(&path, []).unwrap();
    for error in [open(&path).unwrap_err(), Store::read_only(&path).unwrap_err()] {
        assert!(error.to_string().contains("only its -wal file is left"), "{error}");
    }
    fs::remove_file(&path).unwrap();
    let error = open(&path).unwrap_err();
    assert!(error.to_string().contains("only its -wal file is left"), "{error}");
    assert!(!path.exists());
    assert_eq!(fs::read(wal_of(&path)).unwrap(), log);
    // The remedy that is named.
    fs::rename(wal_of(&path), folder.path().join("aside")).unwrap();
    let error = open(&path).unwrap_err();
    assert!(error.to_string().contains("only its -log files are left"), "{error}");
    fs::rename(log_of(&path), folder.path().join("log aside")).unwrap();
    let _ = fs::remove_file(path.with_extension("db-shm"));
    open(&path).unwrap();
    assert_eq!(kept(&path), 0);
}

#[test]
fn a_writer_that_ended_early_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("leases.db");
    let (gone, went) = channel();
    let on_commit: OnCommit = Box::new(move |_| {
        let _ = &gone;
        panic!("the test's own");
    });
    let (store, _) = Store::open(&path, Config::default(), on_commit).unwrap();
    let change = Change::Lease(LeaseChange::Put(lease(1)));
    assert_eq!(store.submit(Duration::ZERO, vec![change.clone()], 1), Submit::Queued);
    // The callback is dropped with the thread.
    let _: Result<(), _> = went.recv();
    while store.submit(Duration::ZERO, vec![change.clone()], 2) == Submit::Queued {
        std::thread::yield_now();
    }
    let error = store.stop().unwrap_err();
    assert!(error.to_string().contains("ended early"), "{error}");
}

const FOLDER: &str = "SIXGATE_TEST_FOLDER";

/// Runs the test `name` again without the right to pass over permissions; inside, gives its folder.
fn without_privilege(name: &str) -> Option<PathBuf> {
    if let Some(folder) = std::env::var_os(FOLDER) {
        return Some(folder.into());
    }
    let folder = tempfile::tempdir().unwrap();
    let mut command = if fs::metadata(folder.path()).unwrap().uid() == 0 {
        let mut command = Command::new("setpriv");
        command.arg("--bounding-set=-dac_override,-dac_read_search").arg(std::env::current_exe().unwrap());
        command
    } else {
        Command::new(std::env::current_exe().unwrap())
    };
    let output = command.args(["--exact", name, "--nocapture"]).env(FOLDER, folder.path()).output().unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o700)).unwrap();
    let said = [output.stdout, output.stderr].concat();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&said));
    None
}

#[test]
fn permissions_that_lack_are_said() {
    let Some(folder) = without_privilege("permissions_that_lack_are_said") else { return };
    let path = left_by_a_killed_writer(&folder);
    let mode = |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    let unreadable = StoreError::Unreadable { path: path.clone() };

    // The index of the log is there: a reader can do with it.
    mode(&folder, 0o500);
    assert_eq!(kept(&path), 320);
    // It is not, and cannot be made.
    mode(&folder, 0o700);
    fs::remove_file(path.with_extension("db-shm")).unwrap();
    mode(&folder, 0o500);
    assert_eq!(Store::read_only(&path).unwrap_err(), unreadable);
    let error = open(&path).unwrap_err();
    assert!(matches!(error, StoreError::Open { .. }), "{error}");
    assert!(error.to_string().contains("must exist and be writable"), "{error}");
    mode(&folder, 0o700);
    assert_eq!(kept(&path), 320);

    // A database that was stopped cleanly needs no index.
    open(&path).unwrap().stop().unwrap();
    mode(&folder, 0o500);
    assert_eq!(kept(&path), 320);
    mode(&path, 0o000);
    assert_eq!(Store::read_only(&path).unwrap_err(), unreadable);
    assert!(unreadable.to_string().contains("as root"), "{unreadable}");
    let error = open(&path).unwrap_err();
    assert!(matches!(error, StoreError::Open { .. }), "{error}");
}
