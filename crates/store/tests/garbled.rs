//! Parts of the log that the disk garbles under an open store: whatever ends the process, somebody is told.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use sixgate_dhcp::identity::Key;
use sixgate_dhcp::lease::{Lease, LeaseChange, LeaseState, Resource};
use sixgate_store::{Change, Config, OnCommit, Store, StoreError, Submit};
use sixgate_wire::dhcpv6::Duid;
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::net::Ipv6Addr;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_mins(1);
const DATABASE: &str = "SIXGATE_TEST_DATABASE";

type Told = Receiver<(u64, Result<(), StoreError>)>;

fn open(path: &Path) -> (Store, Told, Vec<u64>) {
    let (tell, told) = channel();
    let on_commit: OnCommit =
        Box::new(move |tokens| tokens.into_iter().for_each(|token| drop(tell.send(token))));
    let (store, snapshot) = Store::open(path, Config::default(), on_commit).unwrap();
    (store, told, snapshot.leases.iter().map(|lease| lease.iaid.into()).collect())
}

fn put(number: u64) -> LeaseChange {
    let address = Ipv6Addr::from_bits((0x2001_0db8 << 96) + u128::from(number));
    LeaseChange::Put(Lease {
        resource: Resource::Address(address),
        key: Key::Duid,
        duid: Duid::link_layer([2, 0, 0, 0, 0, 1]),
        iaid: number as u32,
        link: "lan".into(),
        state: LeaseState::Bound,
        preferred_until: Duration::MAX,
        valid_until: Duration::MAX,
        granted_at: Duration::from_secs(number),
        renewed_at: Duration::from_secs(number),
        hostname: None,
        link_layer: None,
        peer: address,
        line: None,
        relay: None,
    })
}

fn marker(path: &Path) -> PathBuf {
    path.with_extension("db-damaged")
}

/// Changes an octet of the frame that was written last.
fn garble(path: &Path) {
    let number = (1..100).rev().find(|number| path.with_extension(format!("db-log{number}")).exists());
    let log = path.with_extension(format!("db-log{}", number.unwrap()));
    let octets = fs::read(&log).unwrap();
    let end = octets.iter().rposition(|octet| *octet != 0).unwrap();
    let file = fs::File::options().write(true).open(log).unwrap();
    std::os::unix::fs::FileExt::write_all_at(&file, &[octets[end - 4] ^ 0xff], end as u64 - 4).unwrap();
}

/// Grants leases and garbles them on the disk until it was too late for one to be taken up before; how many were granted.
fn grant_until_garbled(path: &Path, store: &Store, told: &Told) -> u64 {
    let began = Instant::now();
    for number in 1.. {
        assert!(store.submit_leases(Duration::from_secs(number), &[put(number)], number));
        assert_eq!(told.recv_timeout(PATIENCE).unwrap(), (number, Ok(())));
        garble(path);
        let turn = Instant::now();
        while turn.elapsed() < Duration::from_millis(500) {
            if store.counters().damaged > 0 {
                return number;
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        assert!(began.elapsed() < PATIENCE, "never found");
    }
    0
}

#[test]
fn a_stop_before_all_is_written_anew_fails_and_says_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("leases.db");
    let (store, told, _) = open(&path);
    grant_until_garbled(&path, &store, &told);
    assert_eq!(store.garbled_before(), None, "it is this store's own");
    let error = store.stop().unwrap_err();
    assert_eq!(error, StoreError::Garbled { path: path.clone(), marker: marker(&path) });
    let said = error.to_string();
    assert!(said.contains("may be missing") && said.contains("leases.db-damaged"), "{said}");
    // The next ones tell of it, until a person has seen to it; they themselves have lost nothing.
    for _ in 0..2 {
        let (store, ..) = open(&path);
        assert_eq!(store.garbled_before(), Some(marker(&path)));
        store.stop().unwrap();
    }
    let (store, ..) = open(&path);
    fs::remove_file(marker(&path)).unwrap();
    assert_eq!(store.garbled_before(), None);
}

#[test]
fn whoever_waits_for_tokens_hears_of_it_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("leases.db");
    let (tell, told) = channel();
    let on_commit: OnCommit = Box::new(move |tokens| drop(tell.send(tokens)));
    let (store, _) = Store::open(&path, Config::default(), on_commit).unwrap();
    let found = (1..100).any(|number| {
        assert!(store.submit_leases(Duration::from_secs(number), &[put(number)], number));
        assert_eq!(told.recv_timeout(PATIENCE).unwrap(), [(number, Ok(()))]);
        garble(&path);
        // Nothing, where it was taken up before.
        told.recv_timeout(Duration::from_millis(500)).is_ok_and(|tokens| tokens.is_empty())
    });
    assert!(found && store.counters().damaged > 0);
}

#[test]
fn what_is_garbled_while_the_store_stops_is_told_of() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("leases.db");
    // Until one was not taken up before it was garbled.
    for number in 1..50 {
        let (store, told, _) = open(&path);
        assert!(store.submit_leases(Duration::from_secs(number), &[put(number)], number));
        assert_eq!(told.recv_timeout(PATIENCE).unwrap(), (number, Ok(())));
        garble(&path);
        if let Err(error) = store.stop() {
            assert!(matches!(error, StoreError::Garbled { .. }), "{error}");
            let (store, _, leases) = open(&path);
            assert!(!leases.contains(&number));
            assert_eq!(store.garbled_before(), Some(marker(&path)));
            return;
        }
        let (_, _, leases) = open(&path);
        assert!(leases.contains(&number), "lost without a word");
    }
    panic!("never garbled in time");
}

#[test]
fn what_is_written_anew_is_there_and_nothing_is_told_any_more() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("leases.db");
    let (store, told, _) = open(&path);
    let setting = Change::Setting { key: "first".into(), value: Some(vec![1]) };
    assert_eq!(store.submit(Duration::ZERO, vec![setting], 0), Submit::Queued);
    assert_eq!(told.recv_timeout(PATIENCE).unwrap(), (0, Ok(())));
    let last = grant_until_garbled(&path, &store, &told);
    let all: Vec<_> = (1..=last).map(put).collect();
    assert!(store.submit_leases(Duration::from_secs(last), &all, last + 1));
    // Not before it is said.
    assert_eq!(told.recv_timeout(PATIENCE).unwrap(), (last + 1, Ok(())));
    assert!(marker(&path).exists());
    let mut token = last + 2;
    let began = Instant::now();
    // One that was garbled before the others may be found behind them.
    while marker(&path).exists() {
        assert!(store.written_anew(store.counters().damaged, token));
        assert_eq!(told.recv_timeout(PATIENCE).unwrap(), (token, Ok(())));
        token += 1;
        assert!(began.elapsed() < PATIENCE);
    }
    assert_eq!(store.counters().forgotten, 0);
    store.stop().unwrap();
    let (store, _, leases) = open(&path);
    assert_eq!(leases, (1..=last).collect::<Vec<_>>());
    assert_eq!(store.garbled_before(), None);
}

#[test]
fn settings_and_removals_that_are_garbled_are_remembered() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("leases.db");
    let (store, told, _) = open(&path);
    let began = Instant::now();
    let mut number = 0;
    while store.counters().damaged == 0 {
        assert!(began.elapsed() < PATIENCE, "never found");
        number += 1;
        assert!(store.submit_leases(Duration::from_secs(number), &[put(number)], number));
        assert_eq!(told.recv_timeout(PATIENCE).unwrap(), (number, Ok(())));
        // Until the database has it.
        std::thread::sleep(Duration::from_millis(200));
        let LeaseChange::Put(lease) = put(number) else { panic!() };
        let remove = Change::Lease(LeaseChange::Remove(lease.resource));
        let setting = Change::Setting { key: number.to_string(), value: Some(vec![1]) };
        assert_eq!(store.submit(Duration::from_secs(number), vec![remove, setting], number), Submit::Queued);
        assert_eq!(told.recv_timeout(PATIENCE).unwrap(), (number, Ok(())));
        garble(&path);
        std::thread::sleep(Duration::from_millis(200));
    }
    assert_eq!(store.counters().forgotten, 0);
    assert!(store.written_anew(store.counters().damaged, 0));
    assert_eq!(told.recv_timeout(PATIENCE).unwrap(), (0, Ok(())));
    store.stop().unwrap();
    let kept = Store::read_only(&path).unwrap().snapshot().unwrap();
    assert_eq!(kept.leases.len(), 0);
    assert_eq!(kept.settings.len() as u64, number);
}

/// Not a test by itself: what the killed process runs. It says when a part of its log was garbled and passed over.
#[test]
fn garbled_writer() {
    let Some(path) = std::env::var_os(DATABASE) else { return };
    let path = Path::new(&path);
    let (store, told, _) = open(path);
    let last = grant_until_garbled(path, &store, &told);
    while Store::read_only(path).and_then(|reader| reader.snapshot()).is_err() {
        std::thread::yield_now();
    }
    println!("\ngarbled {last}");
    std::thread::sleep(PATIENCE);
}

#[test]
fn a_kill_before_all_is_written_anew_is_told_of_at_the_next_start() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("leases.db");
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "garbled_writer", "--nocapture", "--test-threads=1"])
        .env(DATABASE, &path)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let last =
        lines.map_while(Result::ok).find_map(|line| line.strip_prefix("garbled ")?.parse::<u64>().ok());
    child.kill().unwrap();
    assert_eq!(child.wait().unwrap().signal(), Some(9));
    let last = last.expect("a part that was garbled");
    let (store, _, leases) = open(&path);
    assert!(!leases.contains(&last), "it was lost");
    assert_eq!(store.garbled_before(), Some(marker(&path)));
    let said = fs::read_to_string(marker(&path)).unwrap();
    assert!(said.contains("leases that clients still hold may be missing"), "{said}");
}
