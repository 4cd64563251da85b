//! A writer that is killed at any instant loses nothing that it has told of, and keeps no half of anything.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use sixgate_dhcp::identity::Key;
use sixgate_dhcp::lease::{Lease, LeaseChange, LeaseState, LeaseTable, Resource};
use sixgate_dhcp::v4::{self, Place, RosterChange};
use sixgate_store::{Change, Config, Snapshot, Store, Submit};
use sixgate_wire::dhcpv4::{ClientId, Hardware};
use sixgate_wire::dhcpv6::Duid;
use std::fmt::Write as _;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::Ipv6Addr;
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

const KILLS: u32 = 300;
const DATABASE: &str = "SIXGATE_TEST_DATABASE";
/// Addresses that are granted, renewed and taken away in turn.
const ADDRESSES: u64 = 397;

/// What submission `token` does: a pure function, so that the parent knows what any prefix of them leaves behind.
fn changes(token: u64) -> Vec<Change> {
    let address = Ipv6Addr::from_bits((0x2001_0db8 << 96) + u128::from(token % ADDRESSES));
    let resource = Resource::Address(address);
    let lease = if (token / ADDRESSES) % 3 == 2 {
        LeaseChange::Remove(resource)
    } else {
        LeaseChange::Put(Lease {
            resource,
            key: Key::Duid,
            duid: Duid::link_layer([2, 0, 0, 0, 0, (token % 251) as u8]),
            iaid: token as u32,
            link: "lan".into(),
            state: LeaseState::Bound,
            preferred_until: Duration::from_secs(token + 50),
            valid_until: Duration::from_secs(token + 100),
            granted_at: Duration::from_secs(token),
            renewed_at: Duration::from_secs(token),
            hostname: None,
            link_layer: None,
            peer: address,
            line: None,
            relay: None,
        })
    };
    vec![
        Change::Setting { key: "first".into(), value: Some(token.to_be_bytes().into()) },
        lease.into(),
        Change::LeaseV4(change_v4(token)),
        Change::Roster(RosterChange::Put {
            place: Place(token % ADDRESSES),
            member: token.is_multiple_of(2),
        }),
        Change::Setting { key: "last".into(), value: Some(token.to_be_bytes().into()) },
    ]
}

fn change_v4(token: u64) -> v4::LeaseChange {
    let address = [192, 0, 2, (token % 101) as u8].into();
    if token.is_multiple_of(5) {
        return v4::LeaseChange::Remove(address);
    }
    let hardware = Hardware::ethernet([2, 0, 0, 0, 0, (token % 251) as u8]);
    v4::LeaseChange::Put(v4::Lease {
        address,
        client: ClientId::hardware(hardware),
        hardware,
        link: "lan".into(),
        state: LeaseState::Bound,
        valid_until: Duration::from_secs(token + 100),
        granted_at: Duration::from_secs(token),
        renewed_at: Duration::from_secs(token),
        hostname: None,
    })
}

/// Not a test by itself: what the killed process runs. It says each token on its standard output once it came back.
#[test]
fn writer() {
    let Some(path) = std::env::var_os(DATABASE) else { return };
    let on_commit = Box::new(|tokens: Vec<(u64, Result<(), sixgate_store::StoreError>)>| {
        let mut said = String::new();
        for (token, result) in tokens {
            result.unwrap();
            writeln!(said, "\ntoken {token}").unwrap();
        }
        // One write, past the test harness's own capture.
        std::io::stdout().write_all(said.as_bytes()).unwrap();
    });
    let (store, snapshot) = Store::open(Path::new(&path), Config::default(), on_commit).unwrap();
    for token in setting(&snapshot, "last").map_or(0, |last| last + 1).. {
        while let Submit::Refused(_) = store.submit(Duration::from_secs(token), changes(token), token) {
            std::thread::yield_now();
        }
        // Groups of different sizes, with pauses between them.
        if token % 23 == 0 {
            std::thread::sleep(Duration::from_micros(300));
        }
    }
}

fn setting(snapshot: &Snapshot, key: &str) -> Option<u64> {
    snapshot.settings.get(key).map(|octets| u64::from_be_bytes(octets.as_slice().try_into().unwrap()))
}

#[test]
fn kill_at_any_instant_loses_nothing_that_was_told() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("leases.db");
    let (mut table, mut table_v4, mut replayed) = (LeaseTable::new(), v4::LeaseTable::new(), 0);
    let mut roster = std::collections::BTreeMap::new();
    let (mut told_ever, mut kills_after_a_token) = (0, 0);
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    let began = Instant::now();
    for round in 0..KILLS {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "writer", "--nocapture", "--test-threads=1"])
            .env(DATABASE, &path)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        let (writes, writing) = channel();
        let reader = std::thread::spawn(move || {
            let (mut line, mut told) = (String::new(), None);
            // A line without its end was cut off by the kill, and nobody could have understood it.
            while output.read_line(&mut line).unwrap() > 0 && line.ends_with('\n') {
                if let Some(token) = line.trim_end().strip_prefix("token ") {
                    told = Some(token.parse::<u64>().unwrap());
                    let _ = writes.send(());
                }
                line.clear();
            }
            told
        });
        // While it starts and opens the database, or, counted from its first token, in the midst of many commits.
        if round % 4 < 2 {
            writing.recv_timeout(Duration::from_secs(30)).expect("a first token");
        }
        std::thread::sleep(Duration::from_micros(random.u64(..25_000)));
        child.kill().unwrap();
        assert_eq!(child.wait().unwrap().signal(), Some(9), "the writer ended by itself in round {round}");
        let told = reader.join().unwrap();

        // Sometimes the next writer is the first to see the log that the killed one left, sometimes it is this process.
        let snapshot = if round % 2 == 0 {
            if !path.exists() {
                continue;
            }
            Store::read_only(&path).unwrap().snapshot().unwrap()
        } else {
            Store::open(&path, Config::default(), Box::new(|_| {})).unwrap().1
        };
        let last = setting(&snapshot, "last");
        assert_eq!(setting(&snapshot, "first"), last, "half a submission in round {round}");
        assert!(last >= told, "round {round}: told {told:?}, kept {last:?}");
        // Not only is the last one there: all is as if exactly these submissions had been made.
        let submitted = last.map_or(0, |last| last + 1);
        for token in replayed..submitted {
            for change in changes(token) {
                match change {
                    Change::Lease(change) => drop(table.apply(change)),
                    Change::LeaseV4(change) => drop(table_v4.apply(change)),
                    Change::Roster(RosterChange::Put { place, member }) => {
                        roster.insert(place, member);
                    }
                    _ => {}
                }
            }
        }
        replayed = submitted;
        assert!(snapshot.leases == table, "round {round}: the leases are not those of {last:?}");
        let (mut leases_v4, mut places) = (snapshot.leases_v4, snapshot.roster);
        leases_v4.sort_by_key(|lease| lease.address);
        places.sort_unstable();
        assert!(
            leases_v4.iter().eq(table_v4.iter()),
            "round {round}: the IPv4 leases are not those of {last:?}"
        );
        assert!(
            places.into_iter().eq(roster.iter().map(|(place, member)| (*place, *member))),
            "round {round}"
        );
        if let Some(told) = told {
            told_ever = told;
            kills_after_a_token += 1;
        }
    }
    println!("{KILLS} kills, {told_ever} submissions, {:?}", began.elapsed());
    assert!(kills_after_a_token >= KILLS / 2, "only {kills_after_a_token} kills came while it wrote");
}
