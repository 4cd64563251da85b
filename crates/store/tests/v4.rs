//! IPv4 leases and the pilot's roster, also in a database of the layout that had neither.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use sixgate_dhcp::identity::Key;
use sixgate_dhcp::lease::{Lease as Lease6, LeaseChange as LeaseChange6, LeaseState};
use sixgate_dhcp::v4::{Lease, LeaseChange, Place, RosterChange};
use sixgate_store::{Change, Config, Snapshot, Store, StoreError, Submit};
use sixgate_wire::dhcpv4::{ClientId, Hardware};
use sixgate_wire::dhcpv6::Duid;
use std::path::Path;
use std::sync::mpsc::channel;
use std::time::Duration;

fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn lease(last: u8) -> Lease {
    let hardware = Hardware::ethernet([2, 0, 0, 0, 0, last]);
    Lease {
        address: [192, 0, 2, last].into(),
        client: ClientId::hardware(hardware),
        hardware,
        link: "lan".into(),
        state: LeaseState::Bound,
        valid_until: secs(100),
        granted_at: secs(5),
        renewed_at: secs(5) + Duration::from_nanos(123_456_789),
        hostname: Some("printer".into()),
    }
}

fn lease6() -> Change {
    Change::Lease(LeaseChange6::Put(Lease6 {
        resource: "2001:db8::1".parse().unwrap(),
        key: Key::Duid,
        duid: Duid::link_layer([2, 0, 0, 0, 0, 1]),
        iaid: 1,
        link: "lan".into(),
        state: LeaseState::Bound,
        preferred_until: secs(50),
        valid_until: secs(100),
        granted_at: secs(5),
        renewed_at: secs(5),
        hostname: None,
        link_layer: None,
        peer: "fe80::1".parse().unwrap(),
        line: None,
        relay: None,
    }))
}

/// Opens, writes, waits until it is on disk and closes.
fn write(path: &Path, changes: Vec<Change>) -> Snapshot {
    let (tell, told) = channel();
    let on_commit = Box::new(move |tokens: Vec<(u64, Result<(), StoreError>)>| drop(tell.send(tokens)));
    let (store, snapshot) = Store::open(path, Config::default(), on_commit).unwrap();
    assert_eq!(store.submit(secs(5), changes, 1), Submit::Queued);
    assert_eq!(told.recv_timeout(secs(30)).unwrap(), [(1, Ok(()))]);
    store.stop().unwrap();
    snapshot
}

fn read(path: &Path) -> Snapshot {
    let mut snapshot = Store::read_only(path).unwrap().snapshot().unwrap();
    snapshot.leases_v4.sort_by_key(|lease| lease.address);
    snapshot.roster.sort_unstable();
    snapshot
}

#[test]
fn leases_and_roster_come_back() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("leases.db");
    let put = |lease| Change::LeaseV4(LeaseChange::Put(lease));
    let place = |place, member| Change::Roster(RosterChange::Put { place: Place(place), member });
    // A client that is known by name alone, and by a hardware address of another kind and length.
    let odd = Lease {
        client: ClientId::new(b"\0pc").unwrap(),
        hardware: Hardware::new(32, &[7; 16]).unwrap(),
        state: LeaseState::Declined,
        valid_until: Duration::MAX,
        hostname: None,
        ..lease(2)
    };
    let renewed = Lease { renewed_at: secs(50), valid_until: secs(150), ..lease(1) };
    let changes = vec![
        put(lease(1)),
        put(odd.clone()),
        put(lease(3)),
        put(renewed.clone()),
        Change::LeaseV4(LeaseChange::Remove(lease(3).address)),
        place(u64::MAX, false),
        place(7, false),
        place(7, true),
        place(8, true),
        Change::Roster(RosterChange::Remove(Place(8))),
    ];
    assert_eq!(write(&path, changes), Snapshot::default());
    let want = Snapshot {
        leases_v4: vec![renewed, odd],
        roster: vec![(Place(7), true), (Place(u64::MAX), false)],
        ..Snapshot::default()
    };
    assert_eq!(read(&path), want);
}

/// Layout 1 is the latest without these tables, and without the columns of layout 3.
#[test]
fn a_database_of_the_layout_before_is_read_and_brought_up_to_date() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("leases.db");
    write(&path, vec![lease6(), Change::Setting { key: "kept".into(), value: Some(vec![1]) }]);
    let older = rusqlite::Connection::open(&path).unwrap();
    let layout_4 =
        "ALTER TABLE history DROP COLUMN state; DROP TABLE history_v4; DROP TABLE seen; DROP TABLE ports";
    older.execute_batch(layout_4).unwrap();
    for table in ["lease", "history"] {
        for column in "key learnt interface_id remote_id subscriber_id relay relay_link relay_id".split(' ') {
            older.execute_batch(&format!("ALTER TABLE {table} DROP COLUMN {column}")).unwrap();
        }
    }
    older
        .execute_batch(
            "DROP TABLE taken_up; DROP TABLE lease_v4; DROP TABLE roster; PRAGMA user_version = 1; VACUUM;",
        )
        .unwrap();
    older.close().unwrap();

    let before = read(&path);
    assert_eq!((before.leases.len(), before.settings.len(), before.leases_v4.len()), (1, 1, 0));
    assert_eq!(write(&path, vec![Change::LeaseV4(LeaseChange::Put(lease(1)))]), before);
    assert_eq!(read(&path), Snapshot { leases_v4: vec![lease(1)], ..before.clone() });
    // Once is enough.
    assert_eq!(write(&path, Vec::new()).leases, before.leases);
    assert_eq!(read(&path).leases_v4, [lease(1)]);
}

#[test]
fn a_row_that_this_version_could_not_have_written_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("leases.db");
    write(&path, vec![Change::LeaseV4(LeaseChange::Put(lease(1)))]);
    let connection = rusqlite::Connection::open(&path).unwrap();
    for (column, value) in [("client", "x'01'"), ("hardware", "x''"), ("state", "'given'")] {
        connection.execute_batch(&format!("BEGIN; UPDATE lease_v4 SET {column} = {value};")).unwrap();
        connection.execute_batch("COMMIT;").unwrap();
        let error = Store::read_only(&path).unwrap().snapshot().unwrap_err();
        assert!(error.to_string().contains("the row of 192.0.2.1 has a"), "{column}: {error}");
        connection
            .execute_batch(
                "UPDATE lease_v4 SET client = x'01020000000001', hardware = x'01020000000001', state = 'bound';",
            )
            .unwrap();
    }
    assert_eq!(read(&path).leases_v4.len(), 1);
}
