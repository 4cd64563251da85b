//! Who holds a lease and where: by which key, with which hardware address, on which line, behind which relay agent; also
//! in a database of the layout that knew none of it.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use sixgate_dhcp::identity::{Key, Learnt, Line, LinkLayer, Mac, Relay};
use sixgate_dhcp::lease::{Lease, LeaseChange, LeaseState};
use sixgate_store::{Change, Config, Holder, Snapshot, Store, Submit};
use sixgate_wire::dhcpv6::Duid;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

const ADDRESS: &str = "2001:db8::1";
const COLUMNS: &str = "key learnt interface_id remote_id subscriber_id relay relay_link relay_id";

fn duid(client: u8) -> Duid {
    Duid::link_layer([2, 0, 0, 0, 0, client])
}

fn found(learnt: Learnt) -> LinkLayer {
    LinkLayer { mac: Mac::new(&[2, 0, 0, 0, 0, 1]).unwrap(), learnt }
}

/// As a lease was before layout 3.
fn plain(resource: &str) -> Lease {
    Lease {
        resource: resource.parse().unwrap(),
        key: Key::Duid,
        duid: duid(1),
        iaid: 1,
        link: "lan".into(),
        state: LeaseState::Bound,
        preferred_until: Duration::from_secs(50),
        valid_until: Duration::from_secs(100),
        granted_at: Duration::from_secs(1),
        renewed_at: Duration::from_secs(1),
        hostname: None,
        link_layer: Some(found(Learnt::Link)),
        peer: "fe80::1".parse().unwrap(),
        line: None,
        relay: None,
    }
}

fn relay(id: Option<Duid>) -> Arc<Relay> {
    let [address, link] = ["2001:db8:ff::1", "2001:db8:1::1"].map(|address| address.parse().unwrap());
    Arc::new(Relay { address, link, id })
}

/// Submits changes, each in a transaction of its own, and stops; what was there before.
fn write(path: &Path, changes: Vec<Change>) -> Snapshot {
    let (store, before) = Store::open(path, Config::default(), Box::new(|_| {})).unwrap();
    for (token, change) in changes.into_iter().enumerate() {
        let now = Duration::from_secs(2 + token as u64);
        assert_eq!(store.submit(now, vec![change], token as u64), Submit::Queued);
    }
    store.stop().unwrap();
    before
}

fn put(lease: &Lease) -> Change {
    Change::Lease(LeaseChange::Put(lease.clone()))
}

fn leases(path: &Path) -> Vec<Lease> {
    Store::read_only(path).unwrap().snapshot().unwrap().leases.iter().collect()
}

fn holders(path: &Path) -> Vec<Holder> {
    Store::read_only(path).unwrap().holders(ADDRESS.parse().unwrap(), 10).unwrap()
}

#[test]
fn every_combination_comes_back() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("leases.db");
    let remote = [0, 0, 0, 9, 0xff, 0];
    let mut all = Vec::new();
    for key in [Key::Duid, Key::Mac, Key::Line] {
        for link_layer in Learnt::ALL.map(|learnt| Some(found(learnt))).into_iter().chain([None]) {
            for names in 0..8 {
                let name = |bit: u8, name: &'static [u8]| (names & bit != 0).then_some(name);
                let line =
                    Line::new(name(1, b"eth3"), (names & 2 != 0).then_some(&remote[..]), name(4, b"\0"));
                let relay = match names % 3 {
                    0 => None,
                    1 => Some(relay(None)),
                    _ => Some(relay(Some(duid(9)))),
                };
                let resource = format!("2001:db8::{:x}", all.len() + 1);
                all.push(Lease { key, link_layer, line, relay, ..plain(&resource) });
            }
        }
    }
    write(&path, all.iter().map(put).collect());
    let read = leases(&path);
    assert_eq!(read, all);
    // Those of one relay agent share it.
    let shared: Vec<_> = read.iter().filter_map(|lease| lease.relay.as_ref()).collect();
    let same = |a: &Arc<Relay>| shared.iter().filter(|b| Arc::ptr_eq(a, b)).count();
    assert!(shared.iter().all(|relay| same(relay) > 20), "{}", shared.len());
}

#[test]
fn a_line_that_gets_another_box_has_two_holders_in_history() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("leases.db");
    let line = Line::new(Some(b"eth3"), None, None);
    let old = Lease { key: Key::Line, line: line.clone(), relay: Some(relay(None)), ..plain(ADDRESS) };
    let new = Lease {
        duid: duid(2),
        link_layer: None,
        granted_at: Duration::from_secs(30),
        renewed_at: Duration::from_secs(30),
        ..old.clone()
    };
    // The first is renewed before, with another hardware address.
    let renewed = Lease { link_layer: Some(found(Learnt::Relay)), ..old.clone() };
    write(&path, vec![put(&old), put(&renewed), put(&new)]);
    assert_eq!(leases(&path), std::slice::from_ref(&new));
    let [last, first] = holders(&path).try_into().unwrap();
    assert_eq!((first.duid, first.key, first.link_layer), (duid(1), Key::Line, Some(found(Learnt::Relay))));
    assert_eq!((first.line, first.ended_at), (line.clone(), Some(Duration::from_secs(4))));
    assert_eq!((last.duid, last.link_layer, last.line, last.relay), (duid(2), None, line, Some(relay(None))));
    assert_eq!(last.ended_at, None);
}

/// Layout 2 is layout 3 without these columns.
#[test]
fn a_database_of_the_layout_before_is_read_and_brought_up_to_date() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("leases.db");
    let unseen = Lease { link_layer: None, ..plain("2001:db8::2") };
    write(&path, vec![put(&plain(ADDRESS)), put(&unseen)]);
    let older = rusqlite::Connection::open(&path).unwrap();
    let layout_4 =
        "ALTER TABLE history DROP COLUMN state; DROP TABLE history_v4; DROP TABLE seen; DROP TABLE ports";
    older.execute_batch(layout_4).unwrap();
    for table in ["lease", "history"] {
        for column in COLUMNS.split(' ') {
            older.execute_batch(&format!("ALTER TABLE {table} DROP COLUMN {column}")).unwrap();
        }
    }
    older.execute_batch("DROP TABLE taken_up").unwrap();
    older.pragma_update(None, "user_version", 2).unwrap();
    older.close().unwrap();

    let want = [plain(ADDRESS), unseen];
    assert_eq!(leases(&path), want);
    assert_eq!(holders(&path)[0].link_layer, Some(found(Learnt::Link)));
    write(&path, Vec::new());
    assert_eq!(leases(&path), want);
    assert_eq!(holders(&path)[0].link_layer, Some(found(Learnt::Link)));
    // Once is enough.
    let moved = Lease { key: Key::Mac, relay: Some(relay(None)), ..plain(ADDRESS) };
    assert_eq!(write(&path, vec![put(&moved)]).leases.len(), 2);
    assert_eq!(leases(&path)[0], moved);
}

#[test]
fn a_row_that_this_version_could_not_have_written_is_damage() {
    for set in [
        "key = 'name'",
        "learnt = 'hearsay'",
        "learnt = NULL",
        "link_layer = x'000000000000'",
        "link_layer = NULL",
        "relay = 'x'",
        "relay = NULL",
        "relay_link = 'x'",
        "relay_id = x'00'",
    ] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("leases.db");
        write(&path, vec![put(&Lease { relay: Some(relay(Some(duid(9)))), ..plain(ADDRESS) })]);
        let other = rusqlite::Connection::open(&path).unwrap();
        other.execute_batch(&format!("UPDATE lease SET {set}; UPDATE history SET {set}")).unwrap();
        other.close().unwrap();
        let reader = Store::read_only(&path).unwrap();
        let errors =
            [reader.snapshot().unwrap_err(), reader.holders(ADDRESS.parse().unwrap(), 9).unwrap_err()];
        for (error, whose) in errors.iter().zip(["the row of", "the history of"]) {
            let said = error.to_string();
            assert!(said.contains("is damaged") && said.contains(whose), "{set}: {said}");
        }
    }
}
