//! What is kept, how it is grouped, and what is said when it cannot be.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use sixgate_dhcp::identity::{Key, Learnt, LinkLayer, Mac};
use sixgate_dhcp::lease::{Lease, LeaseChange, LeaseState, Resource};
use sixgate_store::{Change, Config, OnCommit, Snapshot, Store, StoreError, Submit};
use sixgate_wire::dhcpv6::Duid;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

type Told = Receiver<Vec<(u64, Result<(), StoreError>)>>;

fn channelled() -> (OnCommit, Told) {
    let (tell, told) = channel();
    (Box::new(move |tokens| drop(tell.send(tokens))), told)
}

fn open(path: &Path) -> (Store, Snapshot, Told) {
    let (on_commit, told) = channelled();
    let (store, snapshot) = Store::open(path, Config::default(), on_commit).unwrap();
    (store, snapshot, told)
}

fn refused(path: &Path) -> String {
    match Store::open(path, Config::default(), channelled().0) {
        Ok(_) => panic!("it opened"),
        Err(error) => error.to_string(),
    }
}

fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn lease(resource: &str, client: u8, from: u64, until: u64) -> Lease {
    Lease {
        resource: resource.parse().unwrap(),
        key: Key::Duid,
        duid: Duid::link_layer([2, 0, 0, 0, 0, client]),
        iaid: u32::MAX,
        link: "lan".into(),
        state: LeaseState::Bound,
        preferred_until: secs(until / 2),
        valid_until: secs(until),
        granted_at: secs(from),
        renewed_at: secs(from) + Duration::from_nanos(123_456_789),
        hostname: Some("pc".into()),
        link_layer: Some(LinkLayer {
            mac: Mac::new(&[2, 0, 0, 0, 0, client]).unwrap(),
            learnt: Learnt::Link,
        }),
        peer: "fe80::1".parse().unwrap(),
        line: None,
        relay: None,
    }
}

fn put(lease: Lease) -> Change {
    Change::Lease(LeaseChange::Put(lease))
}

fn remove(resource: &str) -> Change {
    Change::Lease(LeaseChange::Remove(resource.parse().unwrap()))
}

/// Waits for `count` tokens; each must be on disk.
fn committed(told: &Told, count: usize) -> Vec<u64> {
    let mut tokens = Vec::new();
    while tokens.len() < count {
        for (token, result) in told.recv_timeout(secs(30)).unwrap() {
            assert_eq!(result, Ok(()));
            tokens.push(token);
        }
    }
    tokens
}

#[test]
fn what_was_kept_comes_back() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("leases.db");
    let (store, snapshot, told) = open(&path);
    assert_eq!(snapshot, Snapshot::default());
    let for_ever = Lease {
        preferred_until: Duration::MAX,
        valid_until: Duration::MAX,
        hostname: None,
        link_layer: None,
        state: LeaseState::Declined,
        ..lease("2001:db8::2", 2, 5, 10)
    };
    let delegated =
        Lease {
            state: LeaseState::Retired, link: "büro/2".into(), ..lease("2001:db8:0:100::/56", 1, 5, 10)
        };
    let registered = Lease { state: LeaseState::Registered, ..lease("2001:db8::5", 3, 5, 10) };
    let setting =
        |value: Option<&[u8]>| Change::Setting { key: "uplink".into(), value: value.map(Into::into) };
    for (token, changes) in [
        (7, vec![put(lease("2001:db8::1", 1, 5, 10)), setting(Some(b"\0\xff"))]),
        (
            8,
            vec![
                put(for_ever.clone()),
                put(delegated.clone()),
                put(lease("2001:db8::3", 1, 5, 10)),
                put(registered.clone()),
            ],
        ),
        (9, vec![put(lease("2001:db8::1", 1, 5, 99)), remove("2001:db8::3"), remove("2001:db8::4")]),
        (10, vec![Change::Setting { key: "gone".into(), value: Some(vec![1]) }]),
        (11, vec![Change::Setting { key: "gone".into(), value: None }]),
    ] {
        assert_eq!(store.submit(secs(5), changes, token), Submit::Queued);
    }
    assert_eq!(committed(&told, 5), [7, 8, 9, 10, 11], "in the order of submission");
    store.stop().unwrap();
    let want = Snapshot {
        leases: [lease("2001:db8::1", 1, 5, 99), for_ever, registered, delegated].into_iter().collect(),
        settings: [("uplink".to_owned(), b"\0\xff".to_vec())].into(),
        ..Snapshot::default()
    };
    assert_eq!(Store::read_only(&path).unwrap().snapshot().unwrap(), want);
    assert_eq!(open(&path).1, want);
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
}

#[test]
fn a_reader_sees_what_a_running_writer_has_committed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("leases.db");
    let (store, _, told) = open(&path);
    let reader = Store::read_only(&path).unwrap();
    assert_eq!(reader.snapshot().unwrap().leases.len(), 0);
    let _ = store.submit(secs(1), vec![put(lease("2001:db8::1", 1, 1, 9))], 1);
    committed(&told, 1);
    assert_eq!(reader.snapshot().unwrap().leases.len(), 1);
}

#[test]
fn many_submissions_share_a_transaction() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("leases.db");
    let (told, go) = (channel(), channel::<()>());
    let (tell, may_go) = (told.0, Mutex::new(go.1));
    // The writer is held in the callback of the first submission while all the others are submitted.
    let on_commit: OnCommit = Box::new(move |tokens| {
        if tokens.iter().any(|(token, _)| *token == 0) {
            let _ = may_go.lock().unwrap().recv();
        }
        drop(tell.send(tokens));
    });
    let (store, _) = Store::open(&path, Config::default(), on_commit).unwrap();
    for token in 0..=1000u64 {
        let address = format!("2001:db8::{token:x}");
        assert_eq!(store.submit(secs(1), vec![put(lease(&address, 1, 1, 9))], token), Submit::Queued);
    }
    go.0.send(()).unwrap();
    assert_eq!(committed(&told.1, 1001).last(), Some(&1000));
    let counters = store.counters();
    assert_eq!((counters.submissions, counters.failures, counters.refused), (1001, 0, 0));
    assert!(counters.transactions <= 3, "{counters:?}");
    drop(store);
    assert_eq!(open(&path).1.leases.len(), 1001);
}

#[test]
fn a_full_queue_refuses_and_gives_the_changes_back() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("leases.db");
    let go = channel::<()>();
    let may_go = Mutex::new(go.1);
    let on_commit: OnCommit = Box::new(move |_| {
        let _ = may_go.lock().unwrap().recv();
    });
    let (store, _) = Store::open(&path, Config { queue: 4, ..Config::default() }, on_commit).unwrap();
    let changes = vec![put(lease("2001:db8::1", 1, 1, 9))];
    let mut queued = 0;
    let back = loop {
        match store.submit(secs(1), changes.clone(), queued) {
            Submit::Queued => queued += 1,
            Submit::Refused(back) => break back,
        }
    };
    assert_eq!(back, changes);
    // One may be with the writer already.
    assert!((4..=5).contains(&queued), "{queued}");
    assert_eq!(store.counters().refused, 1);
    drop(go.0);
    store.stop().unwrap();
}

#[test]
fn history_tells_who_had_what() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("leases.db");
    let (store, _, told) = open(&path);
    let address = "2001:db8::1";
    let renewed = Lease { renewed_at: secs(30), ..lease(address, 1, 10, 60) };
    let declined = Lease { state: LeaseState::Declined, ..lease(address, 3, 80, 200) };
    for (token, (now, change)) in [
        (10, put(lease(address, 1, 10, 40))),
        (30, put(renewed)),
        // Noticed at 70, ended at 60.
        (70, remove(address)),
        (71, put(lease(address, 2, 71, 171))),
        // Released before its end.
        (75, remove(address)),
        (80, put(lease(address, 3, 80, 200))),
        (85, put(declined)),
        (210, remove(address)),
        // Handed from one holder to the next without a removal; what is registered is had too.
        (220, put(Lease { state: LeaseState::Registered, ..lease(address, 4, 220, 400) })),
        (230, put(lease(address, 5, 230, 500))),
    ]
    .into_iter()
    .enumerate()
    {
        let _ = store.submit(secs(now), vec![change], token as u64);
        committed(&told, 1);
    }
    let resource: Resource = address.parse().unwrap();
    let holders = Store::read_only(&path).unwrap().holders(resource, 10).unwrap();
    let found: Vec<_> = holders
        .iter()
        .map(|h| (h.duid.as_bytes()[9], h.began_at.as_secs(), h.ended_at.map(|end| end.as_secs())))
        .collect();
    assert_eq!(
        found,
        [(5, 230, None), (4, 220, Some(230)), (3, 80, Some(85)), (2, 71, Some(75)), (1, 10, Some(60))]
    );
    assert_eq!(holders[4].renewed_at, secs(30));
    assert_eq!(holders[4].hostname.as_deref(), Some("pc"));
    assert_eq!(Store::read_only(&path).unwrap().holders(resource, 2).unwrap().len(), 2);

    // Who had it then?
    let delegated = put(lease("2001:db8::/56", 9, 15, 65));
    let _ = store.submit(secs(240), vec![delegated], 99);
    committed(&told, 1);
    let reader = Store::read_only(&path).unwrap();
    for (time, expected) in [
        (9, &[][..]),
        (10, &[1]),
        (59, &[9, 1]),
        (60, &[9]),
        (65, &[]),
        (73, &[2]),
        (76, &[]),
        (225, &[4]),
        (230, &[5]),
        (499, &[5]),
        (500, &[]),
    ] {
        let held = reader.held(address.parse().unwrap(), secs(time)).unwrap();
        let found: Vec<u8> = held.iter().map(|holder| holder.duid.as_bytes()[9]).collect();
        assert_eq!(found, expected, "at {time}");
    }
    assert_eq!(reader.held("2001:db8::2".parse().unwrap(), secs(20)).unwrap().len(), 1, "in the prefix");
    assert_eq!(reader.held("2001:db8:0:100::1".parse().unwrap(), secs(20)).unwrap(), []);
}

#[test]
fn history_is_bounded_by_rows_and_by_age() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("leases.db");
    let address = "2001:db8::1";
    let resource: Resource = address.parse().unwrap();
    let config = Config { history_rows: 100, history_age: secs(100_000), ..Config::default() };
    let (on_commit, told) = channelled();
    let (store, _) = Store::open(&path, config, on_commit).unwrap();
    for round in 0..600u64 {
        let changes = vec![put(lease(address, (round % 251) as u8, round, 10_000)), remove(address)];
        let _ = store.submit(secs(round + 1), changes, round);
    }
    committed(&told, 600);
    store.stop().unwrap();
    let kept = Store::read_only(&path).unwrap().holders(resource, 10_000).unwrap();
    assert!((100..100 + 256).contains(&kept.len()), "{}", kept.len());
    assert_eq!(kept[0].began_at, secs(599), "the oldest go first");

    let (on_commit, _told) = channelled();
    let (store, _) = Store::open(&path, config, on_commit).unwrap();
    // A lease that stands is kept however old it is.
    let _ = store.submit(secs(700), vec![put(lease("2001:db8::9", 9, 1, 9))], 0);
    store.stop().unwrap();
    let (store, _) = Store::open(&path, config, channelled().0).unwrap();
    let _ = store.submit(secs(1_000_000), vec![put(lease("2001:db8::8", 8, 1, 9))], 0);
    store.stop().unwrap();
    let reader = Store::read_only(&path).unwrap();
    assert_eq!(reader.holders(resource, 10).unwrap(), []);
    assert_eq!(reader.holders("2001:db8::9".parse().unwrap(), 10).unwrap().len(), 1);
}

#[test]
fn a_second_writer_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("leases.db");
    let (store, ..) = open(&path);
    let said = refused(&path);
    assert!(said.contains("in use by another sixgate") && said.contains("leases.db"), "{said}");
    drop(store);
    open(&path);
}

#[test]
fn what_is_wrong_is_said_with_its_remedy() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("leases.db");

    let said = Store::read_only(&path).unwrap_err().to_string();
    assert!(said.contains("there is no lease database at") && said.contains("leases.db"), "{said}");
    let said = refused(&folder.path().join("nowhere/leases.db"));
    assert!(said.contains("nowhere/leases.db") && said.contains("directory must exist"), "{said}");

    fs::write(&path, vec![0x5a; 8192]).unwrap();
    let said = refused(&path);
    assert!(said.contains("leases.db is damaged") && said.contains("move it aside"), "{said}");
    assert_eq!(fs::read(&path).unwrap(), vec![0x5a; 8192], "left as it was");
    assert!(matches!(Store::read_only(&path), Err(StoreError::Corrupt { .. })));

    fs::remove_file(&path).unwrap();
    let other = rusqlite::Connection::open(&path).unwrap();
    other.execute_batch("CREATE TABLE recipes (name TEXT)").unwrap();
    let said = refused(&path);
    assert!(said.contains("not one of sixgate's"), "{said}");
    drop(other);

    fs::remove_file(&path).unwrap();
    drop(open(&path));
    let newer = rusqlite::Connection::open(&path).unwrap();
    newer.pragma_update(None, "user_version", 99).unwrap();
    drop(newer);
    let said = refused(&path);
    assert!(said.contains("layout 99") && said.contains("newer sixgate"), "{said}");
}

/// A database of many leases, stopped cleanly.
fn filled(path: &Path) {
    let (store, _, told) = open(path);
    for token in 0..500u64 {
        let _ = store.submit(secs(1), vec![put(lease(&format!("2001:db8::{token:x}"), 1, 1, 9))], token);
    }
    committed(&told, 500);
    store.stop().unwrap();
}

#[test]
fn damage_anywhere_is_noticed_or_harmless() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("leases.db");
    filled(&path);
    let whole = fs::read(&path).unwrap();
    let mut noticed = 0;
    for page in 0..whole.len() / 4096 {
        let mut damaged = whole.clone();
        damaged[page * 4096..page * 4096 + 200].fill(0xa5);
        fs::write(&path, &damaged).unwrap();
        match Store::open(&path, Config::default(), channelled().0) {
            Ok(_) => {}
            Err(StoreError::Corrupt { .. }) => {
                noticed += 1;
                assert_eq!(fs::read(&path).unwrap(), damaged, "left as it was");
            }
            Err(other) => panic!("page {page}: {other}"),
        }
    }
    assert!(noticed > 5, "{noticed}");
    for length in [1, 100, 4096, whole.len() / 2] {
        fs::write(&path, &whole[..length]).unwrap();
        let said = refused(&path);
        assert!(said.contains("is damaged"), "{length}: {said}");
    }
}

#[test]
fn rows_that_no_sixgate_wrote_are_damage() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("leases.db");
    for set in ["state = 'lost'", "peer = 'x'", "duid = x'00'", "iaid = -1", "resource = '2001:db8::/129'"] {
        let _ = fs::remove_file(&path);
        filled(&path);
        let other = rusqlite::Connection::open(&path).unwrap();
        other.execute(&format!("UPDATE lease SET {set} WHERE resource = '2001:db8::7'"), []).unwrap();
        drop(other);
        let said = refused(&path);
        assert!(said.contains("is damaged"), "{set}: {said}");
    }
}

/// Small records that lie in a page with others, and long ones with pages of their own, which go when they do.
#[test]
fn what_is_scrubbed_is_in_no_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("leases.db");
    let (store, _, told) = open(&path);
    let set = |key: &str, value: Option<Vec<u8>>| Change::Setting { key: key.into(), value };
    let record = |n: usize| b"name of somebody. ".repeat(if n.is_multiple_of(10) { 700 } else { 1 });
    let keys: Vec<String> = (0..100).map(|n| format!("record.{n}")).collect();
    let written = keys.iter().enumerate().map(|(n, key)| set(key, Some(record(n)))).collect();
    assert_eq!(store.submit(secs(1), written, 1), Submit::Queued);
    committed(&told, 1);
    let found = || {
        let files =
            fs::read_dir(folder.path()).unwrap().map(|entry| fs::read(entry.unwrap().path()).unwrap());
        files.into_iter().any(|file| file.windows(16).any(|window| window == b"name of somebody"))
    };
    assert!(found());
    let reader = rusqlite::Connection::open(&path).unwrap();
    // It is in the database a moment later; the last read holds its state.
    let taken_up = |rows: i64| {
        let began = std::time::Instant::now();
        reader.execute_batch("BEGIN").unwrap();
        while reader.query_row("SELECT count(*) FROM setting", [], |row| row.get(0)) != Ok(rows) {
            assert!(began.elapsed() < secs(30), "never taken up");
            reader.execute_batch("COMMIT; BEGIN").unwrap();
            std::thread::sleep(Duration::from_millis(5));
        }
    };
    taken_up(100);
    reader.execute_batch("COMMIT").unwrap();
    // Some are overwritten, some removed.
    let gone = keys.iter().enumerate().map(|(n, key)| set(key, (n < 50).then(|| vec![0; 8]))).collect();
    assert_eq!(store.submit(secs(2), gone, 2), Submit::Queued);
    committed(&told, 1);
    assert!(found(), "the log has it still");
    // With a reader in the way it is done after the next write without one.
    taken_up(50);
    store.scrub();
    assert_eq!(store.submit(secs(3), vec![set("other", Some(vec![1]))], 3), Submit::Queued);
    committed(&told, 1);
    assert!(found());
    drop(reader);
    assert_eq!(store.submit(secs(4), vec![set("other", Some(vec![2]))], 4), Submit::Queued);
    committed(&told, 1);
    assert!(!found());
    let kept = Store::read_only(&path).unwrap().snapshot().unwrap().settings;
    assert_eq!((kept.len(), kept.get("other")), (51, Some(&vec![2])));
    store.stop().unwrap();
}

/// Whatever else is being written: what was removed before is gone when the next submission is on disk.
#[test]
fn scrubbing_waits_for_what_was_submitted_before() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("leases.db");
    let (store, _, told) = open(&path);
    let set = |key: &str, value: &[u8]| Change::Setting { key: key.into(), value: Some(value.to_vec()) };
    let found = || {
        let files =
            fs::read_dir(folder.path()).unwrap().map(|entry| fs::read(entry.unwrap().path()).unwrap());
        files.into_iter().any(|file| file.windows(16).any(|window| window == b"name of somebody"))
    };
    for round in 0..50_u64 {
        assert_eq!(store.submit(secs(1), vec![set("record", b"name of somebody")], round), Submit::Queued);
        committed(&told, 1);
        // The thread may be at any of these when the scrubbing is asked for.
        for other in 0..round % 4 {
            assert_eq!(store.submit(secs(2), vec![set("other", &[other as u8])], round), Submit::Queued);
        }
        assert_eq!(store.submit(secs(3), vec![set("record", b"")], round), Submit::Queued);
        store.scrub();
        assert_eq!(store.submit(secs(4), vec![set("other", b"")], round), Submit::Queued);
        committed(&told, 2 + usize::try_from(round % 4).unwrap());
        assert!(!found(), "round {round}");
    }
    store.stop().unwrap();
}
