//! Who had an address: what the history answers, and what others read out of it.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use sixgate_dhcp::identity::{Key, Learnt, Line, LinkLayer, Mac, Relay};
use sixgate_dhcp::lease::{Lease, LeaseChange, LeaseState};
use sixgate_dhcp::v4;
use sixgate_store::{Block, Change, Config, PortsChange, Question, Sighting, Store, Subject, Submit, Trace};
use sixgate_wire::dhcpv4::{ClientId, Hardware};
use sixgate_wire::dhcpv6::Duid;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

const HOUR: u64 = 3_600;

fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn mac(last: u8) -> Mac {
    Mac::new(&[2, 0, 0, 0, 0, last]).unwrap()
}

fn lease(resource: &str, client: u8, from: u64, until: u64) -> Lease {
    Lease {
        resource: resource.parse().unwrap(),
        key: Key::Duid,
        duid: Duid::link_layer([2, 0, 0, 0, 0, client]),
        iaid: 1,
        link: "lan".into(),
        state: LeaseState::Bound,
        preferred_until: secs(until),
        valid_until: secs(until),
        granted_at: secs(from),
        renewed_at: secs(from),
        hostname: Some("pc".into()),
        link_layer: Some(LinkLayer { mac: mac(client), learnt: Learnt::Link }),
        peer: "fe80::1".parse().unwrap(),
        line: None,
        relay: None,
    }
}

fn lease_v4(address: &str, client: u8, from: u64, until: u64) -> v4::Lease {
    let hardware = Hardware::new(1, &[2, 0, 0, 0, 0, client]).unwrap();
    v4::Lease {
        address: address.parse().unwrap(),
        client: ClientId::hardware(hardware),
        hardware,
        link: "lan".into(),
        state: LeaseState::Bound,
        valid_until: secs(until),
        granted_at: secs(from),
        renewed_at: secs(from),
        hostname: None,
    }
}

fn seen(address: &str, host: u8, first: u64, last: u64) -> Change {
    let (first, last) = (secs(first), secs(last));
    Change::Seen(Sighting {
        address: address.parse().unwrap(),
        mac: mac(host),
        link: "lan".into(),
        first,
        last,
    })
}

fn put(lease: &Lease) -> Change {
    Change::Lease(LeaseChange::Put(lease.clone()))
}

struct Bench {
    store: Store,
    told: Receiver<usize>,
}

impl Bench {
    fn open(path: &Path, config: Config) -> Self {
        let (tell, told) = channel();
        let taken = move |outcomes: Vec<(u64, Result<(), sixgate_store::StoreError>)>| {
            assert!(outcomes.iter().all(|(_, outcome)| outcome.is_ok()), "{outcomes:?}");
            let _ = tell.send(outcomes.len());
        };
        Self { store: Store::open(path, config, Box::new(taken)).unwrap().0, told }
    }

    /// Writes these, each in a submission of its own, and waits until they are on disk.
    fn write(&self, now: u64, changes: Vec<Change>) {
        let mut left = changes.len();
        for change in changes {
            assert_eq!(self.store.submit(secs(now), vec![change], 1), Submit::Queued);
        }
        while left > 0 {
            left -= self.told.recv_timeout(secs(30)).unwrap();
        }
    }
}

fn ask(path: &Path, subject: Subject, from: u64, until: u64) -> Vec<Trace> {
    let mut traces = Vec::new();
    let question = Question { subject, from: secs(from), until: secs(until), port: None, limit: 1_000 };
    let take = &mut |trace| {
        traces.push(trace);
        true
    };
    Store::read_only(path).unwrap().who(&question, take).unwrap();
    traces
}

/// What, how, by whom (last octet of the hardware address), from when and until when.
fn told(traces: &[Trace]) -> Vec<(String, &'static str, u8, u64, u64)> {
    let told = |trace: &Trace| {
        let host = trace.link_layer.map_or(0, |found| *found.mac.as_bytes().last().unwrap());
        let what = trace.what.to_string();
        (what, trace.how.name(), host, trace.began_at.as_secs(), trace.until.as_secs())
    };
    traces.iter().map(told).collect()
}

fn net(text: &str) -> Subject {
    Subject::Net(text.parse().unwrap())
}

#[test]
fn addresses_prefixes_registrations_and_what_was_seen() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("leases.db");
    let bench = Bench::open(&path, Config::default());
    let registered =
        Lease { state: LeaseState::Registered, iaid: 0, ..lease("2001:db8:0:1::aa", 3, 100, 9_000) };
    bench.write(
        100,
        vec![
            put(&lease("2001:db8:0:1::7", 1, 100, 5_000)),
            put(&lease("2001:db8:0:100::/56", 2, 200, 6_000)),
            put(&registered),
            seen("2001:db8:0:1::bb", 4, 300, 400),
            Change::LeaseV4(v4::LeaseChange::Put(lease_v4("192.0.2.7", 5, 100, 5_000))),
        ],
    );
    let one = |address: &str, time| told(&ask(&path, net(address), time, time));
    let row = |what: &str, how, host, from, until| vec![(what.to_owned(), how, host, from, until)];
    let leased = row("2001:db8:0:1::7/128", "leased", 1, 100, 5_000);
    assert_eq!(one("2001:db8:0:1::7/128", 100), leased);
    assert_eq!(one("2001:db8:0:1::7/128", 4_999), leased);
    assert_eq!(one("2001:db8:0:1::7/128", 5_000), []);
    assert_eq!(one("2001:db8:0:1::7/128", 99), []);
    let inside = row("2001:db8:0:100::/56", "delegated", 2, 200, 6_000);
    assert_eq!(one("2001:db8:0:1ff:1:2:3:4/128", 300), inside);
    assert_eq!(one("2001:db8:0:120::/60", 300), inside);
    assert_eq!(one("2001:db8::/32", 300), [], "it covers, and is not covered");
    assert_eq!(one("2001:db8:0:1::aa/128", 300), row("2001:db8:0:1::aa/128", "registered", 3, 100, 9_000));
    let spotted = row("2001:db8:0:1::bb/128", "seen", 4, 300, 400);
    assert_eq!(one("2001:db8:0:1::bb/128", 350), spotted);
    assert_eq!(one("2001:db8:0:1::bb/128", 400 + HOUR), spotted, "close to it");
    assert_eq!(one("2001:db8:0:1::bb/128", 401 + HOUR), []);
    assert_eq!(one("192.0.2.7/32", 300), row("192.0.2.7/32", "leased", 5, 100, 5_000));
    assert_eq!(Store::read_only(&path).unwrap().begins(), Ok(Some(secs(100))));
    bench.store.stop().unwrap();
    assert_eq!(one("192.0.2.7/32", 300).len(), 1, "of a store that nobody runs");
}

#[test]
fn another_machine_or_line_under_the_same_duid_is_another_holder() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("leases.db");
    let bench = Bench::open(&path, Config::default());
    let first = lease("2001:db8:0:100::/56", 1, 100, 5_000);
    let unknown = Lease { link_layer: None, valid_until: secs(5_500), ..first.clone() };
    let clone = Lease {
        link_layer: Some(LinkLayer { mac: mac(2), learnt: Learnt::Relay }),
        valid_until: secs(6_000),
        line: Line::new(Some(b"port7"), Some(&[0, 0, 0, 9, b'a']), None),
        relay: Some(Arc::new(Relay {
            address: "2001:db8::1".parse().unwrap(),
            link: "2001:db8:5::".parse().unwrap(),
            id: None,
        })),
        ..first.clone()
    };
    let moved = Lease {
        line: Line::new(Some(b"port8"), Some(&[0, 0, 0, 9, b'a']), None),
        valid_until: secs(7_000),
        ..clone.clone()
    };
    bench.write(100, vec![put(&first)]);
    bench.write(1_000, vec![put(&unknown)]);
    bench.write(2_000, vec![put(&clone), put(&clone)]);
    bench.write(3_000, vec![put(&moved)]);
    bench.write(4_000, vec![Change::Lease(LeaseChange::Remove(first.resource))]);
    let all = ask(&path, net("2001:db8:0:100::1/128"), 0, 10_000);
    let what = || "2001:db8:0:100::/56".to_owned();
    assert_eq!(
        told(&all),
        [
            (what(), "delegated", 2, 3_000, 4_000),
            (what(), "delegated", 2, 2_000, 3_000),
            (what(), "delegated", 1, 100, 2_000),
        ]
    );
    assert_eq!(all[0].line, moved.line);
    assert_eq!((&all[1].line, &all[1].relay), (&clone.line, &clone.relay));
    assert_eq!(all[2].line, None);
    let line = |name: &[u8]| told(&ask(&path, Subject::Line(name.to_vec()), 0, 10_000)).len();
    assert_eq!((line(b"port7"), line(b"port8"), line(b"a"), line(b"port")), (1, 1, 2, 0));
    // IPv4 likewise.
    let v4 = lease_v4("192.0.2.7", 1, 100, 5_000);
    let other = v4::Lease { hardware: Hardware::new(1, &[2, 0, 0, 0, 0, 9]).unwrap(), ..v4.clone() };
    bench.write(5_000, vec![Change::LeaseV4(v4::LeaseChange::Put(v4))]);
    bench.write(5_001, vec![Change::LeaseV4(v4::LeaseChange::Put(other))]);
    let v4: Vec<u8> = told(&ask(&path, net("192.0.2.7/32"), 0, 10_000)).iter().map(|row| row.2).collect();
    assert_eq!(v4, [9, 1]);
}

#[test]
fn sightings_of_one_stay_are_one_row() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("leases.db");
    let bench = Bench::open(&path, Config::default());
    let address = "2001:db8:0:1::bb";
    bench.write(
        1,
        vec![
            seen(address, 4, 100, 100),
            seen(address, 4, 100, 700),
            seen(address, 4, 100, 700),
            seen(address, 4, 700 + HOUR, 700 + HOUR),
            seen(address, 5, 800 + HOUR, 900 + HOUR),
            seen(address, 4, 1_000 + HOUR, 1_000 + HOUR),
            seen(address, 4, 1_001 + 2 * HOUR, 1_001 + 2 * HOUR),
        ],
    );
    let rows: Vec<_> = told(&ask(&path, net("2001:db8:0:1::bb/128"), 0, 100_000))
        .into_iter()
        .map(|(_, _, host, from, until)| (host, from, until))
        .collect();
    assert_eq!(
        rows,
        [
            (4, 1_001 + 2 * HOUR, 1_001 + 2 * HOUR),
            (4, 1_000 + HOUR, 1_000 + HOUR),
            (5, 800 + HOUR, 900 + HOUR),
            (4, 100, 700 + HOUR),
        ]
    );
}

fn block(address: &str, first: u16, host: u8) -> Block {
    let holder = format!("2001:db8:0:1::{host:x}/128").parse().unwrap();
    Block { address: address.parse().unwrap(), first, last: first + 63, holder }
}

/// Of a shared address: ports, who had them, from when to when.
fn ports(
    path: &Path,
    subject: Subject,
    port: Option<u16>,
    from: u64,
    until: u64,
) -> Vec<(u16, String, u64, u64)> {
    let mut rows = Vec::new();
    let question = Question { subject, from: secs(from), until: secs(until), port, limit: 100 };
    let take = &mut |trace: Trace| {
        if let Some((first, last, holder)) = trace.ports {
            assert_eq!((last - first, trace.how.name()), (63, "translated"));
            rows.push((first, holder.addr().to_string(), trace.began_at.as_secs(), trace.until.as_secs()));
        }
        true
    };
    Store::read_only(path).unwrap().who(&question, take).unwrap();
    rows
}

#[test]
fn ports_of_a_shared_address_are_one_hosts_at_a_time() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("leases.db");
    let bench = Bench::open(&path, Config::default());
    let given = |block: Block, at| Change::Ports(PortsChange::Given(block, secs(at)));
    let back = |block: Block, at| Change::Ports(PortsChange::Back(block, secs(at)));
    let (pool, other) = ("192.0.2.1", "192.0.2.2");
    bench.write(
        100,
        vec![
            given(block(pool, 1024, 1), 100),
            given(block(pool, 1088, 2), 110),
            given(block(other, 1024, 2), 120),
            back(block(pool, 1024, 1), 200),
            // Within the hour, and nobody had them meanwhile: kept.
            given(block(pool, 1024, 1), 300),
            back(block(pool, 1024, 1), 400),
            given(block(pool, 1024, 3), 500),
            back(block(pool, 1024, 3), 600),
            given(block(pool, 1024, 1), 700),
            // The same twice does no harm.
            given(block(pool, 1024, 1), 700),
        ],
    );
    let of = |n: u8| format!("2001:db8:0:1::{n:x}");
    let for_ever = Duration::MAX.as_secs();
    let at = |port, time| ports(&path, net(&format!("{pool}/32")), Some(port), time, time);
    assert_eq!(at(1024, 150), [(1024, of(1), 100, 400)]);
    assert_eq!(at(1087, 550), [(1024, of(3), 500, 600)]);
    assert_eq!(at(1088, 550), [(1088, of(2), 110, for_ever)]);
    assert!(at(1024, 50).is_empty() && at(2048, 150).is_empty());
    // The whole pool, as behind a masquerade nobody knows which address it was; and by the host behind it.
    assert_eq!(ports(&path, net("192.0.2.0/28"), Some(1030), 150, 150).len(), 2);
    assert_eq!(ports(&path, net("2001:db8:0:1::2/128"), None, 0, 1_000).len(), 2);
    assert!(ports(&path, net("2001:db8:0:2::/64"), None, 0, 1_000).is_empty());
    assert_eq!(ports(&path, Subject::All, None, 0, 1_000).len(), 5);
    // The translator is gone: nobody has any of them.
    bench.write(1_000, vec![Change::Ports(PortsChange::Ended(secs(900)))]);
    assert!(at(1024, 950).is_empty() && at(1088, 950).is_empty());
    assert_eq!(at(1024, 800), [(1024, of(1), 700, 900)]);
    assert_eq!(Store::read_only(&path).unwrap().begins(), Ok(Some(secs(100))));
}

#[test]
fn the_other_way_round() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("leases.db");
    let bench = Bench::open(&path, Config::default());
    let duid = Duid::link_layer([2, 0, 0, 0, 0, 1]);
    let dual = v4::Lease { client: ClientId::duid(7, &duid), ..lease_v4("192.0.2.7", 1, 100, 5_000) };
    bench.write(
        100,
        vec![
            put(&lease("2001:db8:0:1::7", 1, 100, 5_000)),
            put(&lease("2001:db8:0:1::8", 2, 100, 5_000)),
            Change::LeaseV4(v4::LeaseChange::Put(dual)),
            seen("2001:db8:0:1::bb", 1, 300, 400),
        ],
    );
    let hows = |subject| ask(&path, subject, 0, 10_000).iter().map(|t| t.how.name()).collect::<Vec<_>>();
    assert_eq!(hows(Subject::Mac(mac(1))), ["leased", "leased", "seen"]);
    assert_eq!(hows(Subject::Duid(duid)), ["leased", "leased"]);
    assert_eq!(hows(Subject::All).len(), 4);
    assert!(hows(Subject::Mac(mac(9))).is_empty());
    // Enough is enough.
    let mut count = 0;
    let question =
        Question { subject: Subject::All, from: secs(0), until: Duration::MAX, port: None, limit: 1 };
    let reader = Store::read_only(&path).unwrap();
    let take = &mut |_| {
        count += 1;
        true
    };
    reader.who(&question, take).unwrap();
    assert_eq!(count, 3, "one of each kind");
}

#[test]
fn what_is_too_old_or_too_much_goes() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("leases.db");
    let config = Config { history_rows: 300, history_age: secs(100_000), ..Config::default() };
    let bench = Bench::open(&path, config);
    for n in 0..1_000u32 {
        let (address, v4) = (format!("2001:db8:0:1::{n:x}"), format!("10.0.{}.{}", n / 256, n % 256));
        let lease = lease_v4(&v4, 7, 100 + u64::from(n), 1_000_000);
        let gone = v4::LeaseChange::Remove(lease.address);
        bench.write(
            2_000 + u64::from(n),
            vec![
                seen(&address, 7, 100 + u64::from(n), 100 + u64::from(n)),
                Change::LeaseV4(v4::LeaseChange::Put(lease)),
                Change::LeaseV4(gone),
            ],
        );
    }
    let left = ask(&path, Subject::Mac(mac(7)), 0, 1_000_000);
    let of = |how: &str| left.iter().filter(|trace| trace.how.name() == how).count();
    // What is looked for each 256 rows.
    assert!((300..600).contains(&of("seen")) && (300..600).contains(&of("leased")), "{}", left.len());
    assert!(left.iter().all(|trace| trace.began_at > secs(500)), "the oldest go");
    for n in 0..300u64 {
        bench.write(200_000, vec![seen(&format!("2001:db8:0:2::{n:x}"), 8, 200_000, 200_000)]);
    }
    assert!(ask(&path, Subject::Mac(mac(7)), 0, 150_000).is_empty());
}

#[test]
fn what_an_older_version_left_is_asked_all_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("leases.db");
    let bench = Bench::open(&path, Config::default());
    bench.write(
        100,
        vec![put(&lease("2001:db8:0:1::7", 1, 100, 5_000)), seen("2001:db8:0:1::bb", 1, 300, 400)],
    );
    bench.store.stop().unwrap();
    let older = rusqlite::Connection::open(&path).unwrap();
    let layout_4 =
        "ALTER TABLE history DROP COLUMN state; DROP TABLE history_v4; DROP TABLE seen; DROP TABLE ports";
    older.execute_batch(layout_4).unwrap();
    for layout in [3, 2] {
        if layout == 2 {
            for column in
                "key learnt interface_id remote_id subscriber_id relay relay_link relay_id".split(' ')
            {
                older.execute_batch(&format!("ALTER TABLE history DROP COLUMN {column}")).unwrap();
            }
        }
        older.pragma_update(None, "user_version", layout).unwrap();
        assert_eq!(told(&ask(&path, Subject::Mac(mac(1)), 0, 10_000)).len(), 1, "layout {layout}");
        assert!(ask(&path, Subject::Line(b"port7".to_vec()), 0, 10_000).is_empty());
        assert_eq!(Store::read_only(&path).unwrap().begins(), Ok(Some(secs(100))));
    }
}

/// Every question that `docs/history.md` shows, asked with another program's SQLite.
#[test]
fn plain_sql_answers_too() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("leases.db");
    let bench = Bench::open(&path, Config::default());
    let line = Line::new(Some(b"port7"), None, None);
    bench.write(
        1_795_000_000,
        vec![
            put(&Lease { line, ..lease("2001:db8:0:100::/56", 1, 1_795_000_000, 1_795_005_400) }),
            put(&lease("2001:db8:0:1::7", 2, 1_795_000_000, 1_795_005_400)),
            seen("2001:db8:0:1::bb", 2, 1_795_000_000, 1_795_000_100),
            Change::LeaseV4(v4::LeaseChange::Put(lease_v4("192.0.2.7", 2, 1_795_000_000, 1_795_005_400))),
            Change::Ports(PortsChange::Given(block("192.0.2.1", 40_000, 1), secs(1_795_000_000))),
        ],
    );
    bench.store.stop().unwrap();
    let guide =
        std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/history.md")).unwrap();
    let questions: Vec<&str> =
        guide.split("```sql\n").skip(1).map(|rest| rest.split("```").next().unwrap()).collect();
    assert!(questions.len() >= 5, "{}", questions.len());
    let script = "import sqlite3, sys\n\
        db = sqlite3.connect('file:' + sys.argv[1] + '?mode=ro', uri=True)\n\
        for row in db.execute(sys.argv[2]): print('|'.join(str(cell) for cell in row))\n";
    let answers: Vec<String> = questions
        .iter()
        .map(|question| {
            let ran = Command::new("python3").args(["-c", script]).arg(&path).arg(question).output().unwrap();
            assert!(ran.status.success(), "{question}\n{}", String::from_utf8_lossy(&ran.stderr));
            String::from_utf8(ran.stdout).unwrap()
        })
        .collect();
    assert_eq!(answers[0], "2026-11-18 11:06:40|2026-11-18 12:36:40|020000000002|lan|pc\n");
    assert!(answers.iter().all(|answer| !answer.is_empty()), "{answers:?}");
    assert!(answers.iter().any(|answer| answer.contains("port7")), "{answers:?}");
    // The program of the guide that finds prefixes by an address inside.
    let program = guide.split("```python\n").nth(1).unwrap().split("```").next().unwrap();
    let ran = Command::new("python3")
        .args(["-c", program])
        .arg(&path)
        .args(["2001:db8:0:1ff::5", "2026-11-18T11:30:00+00:00"])
        .output()
        .unwrap();
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    let found = String::from_utf8(ran.stdout).unwrap();
    assert!(found.contains("2001:db8:0:100::/56") && found.contains("020000000001"), "{found}");
}
