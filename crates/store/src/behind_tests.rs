//! The thread that takes the log up, without the thread.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use super::*;
use crate::damage;
use crate::log::Log;

fn at(segment: u64, offset: u64) -> Position {
    Position { segment, offset }
}

fn behind(connection: Connection, path: &Path, progress: Arc<Progress>, tally: &Arc<Tally>) -> Behind {
    Behind::new(connection, path, Config::default(), (progress, Arc::clone(tally), Weak::new()))
}

#[test]
fn a_store_that_closes_does_not_wait_for_a_database_that_takes_nothing() {
    let progress = Arc::new(Progress::new(Path::new("db"), at(1, 0), &[at(1, LONGEST + 1)]));
    let (tell, told) = std::sync::mpsc::channel();
    let waiting = Arc::clone(&progress);
    std::thread::spawn(move || {
        waiting.wait_for_room();
        let _ = tell.send(());
    });
    assert!(told.recv_timeout(Duration::from_millis(100)).is_err(), "the log is too long");
    progress.close();
    told.recv_timeout(Duration::from_secs(30)).unwrap();
}

#[test]
fn the_backlog_is_what_the_segments_hold() {
    let ends = [at(1, 500), at(2, 300), at(4, 200)];
    let progress = Progress::new(Path::new("db"), at(1, 100), &ends);
    let backlog = || progress.lock().backlog;
    assert_eq!(backlog(), 400 + 300 + 200);
    // Another segment is begun early, and one without a frame lies in between.
    progress.written(at(4, 250), Vec::new());
    progress.written(at(6, 80), Vec::new());
    assert_eq!(backlog(), 400 + 300 + 250 + 80);
    progress.taken(at(1, 200));
    assert_eq!(backlog(), 300 + 300 + 250 + 80);
    progress.taken(at(2, 100));
    assert_eq!(backlog(), 200 + 250 + 80);
    // To where one begins that was passed over, and on.
    progress.taken(at(5, 0));
    assert_eq!(backlog(), 80);
    progress.taken(at(6, 80));
    assert_eq!((backlog(), progress.ends().len()), (0, 0));
    progress.written(at(7, 40), Vec::new());
    assert_eq!(backlog(), 40);
    progress.taken(at(7, 40));
    assert_eq!(backlog(), 0);
}

#[test]
fn what_is_taken_up_is_so_even_where_it_cannot_be_made_durable() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("db");
    let connection = database::open(&path).unwrap();
    // Both write down how far the log is taken up: each transaction into the row that is there, `settle` into another.
    refuse_to_settle(&connection);
    let mut log = Log::begin(&path, 1, Position::default()).unwrap();
    log.roll().unwrap();
    let mut octets = Vec::new();
    let setting = Change::Setting { key: "a".into(), value: Some(vec![1]) };
    log::write(Duration::from_secs(1), &[setting], &mut octets);
    let written = log.append(std::iter::once(octets.as_slice())).unwrap();
    let tally = Arc::new(Tally::default());
    let progress = Arc::new(Progress::new(&path, at(1, 0), &[written]));
    let mut behind = behind(connection, &path, progress, &tally);
    let state = State { taken: at(1, 0), written, ..State::default() };
    assert_eq!(behind.take_up(state).unwrap(), written);
    assert_eq!(log::segments(&path).unwrap(), [1, 2], "the log is what counts");
    assert_eq!(tally.behind_failures.load(Ordering::Relaxed), 1);
}

fn refuse_to_settle(connection: &Connection) {
    connection
        .execute_batch(
            "CREATE TRIGGER full BEFORE DELETE ON taken_up BEGIN SELECT RAISE(ABORT, 'full'); END;",
        )
        .unwrap();
}

fn length_of_wal(path: &Path) -> u64 {
    std::fs::metadata(database::beside(path, "-wal")).unwrap().len()
}

#[test]
fn to_settle_writes_a_page_even_where_nothing_changes() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("db");
    let connection = database::open(&path).unwrap();
    set(&connection, at(3, 40)).unwrap();
    for _ in 0..3 {
        // SQLite syncs its log with what it writes to it, and not otherwise.
        let before = length_of_wal(&path);
        settle(&connection, at(3, 40)).unwrap();
        assert!(length_of_wal(&path) >= before + 4096, "nothing was written, so nothing was synced");
        assert_eq!(taken_up(&connection).unwrap(), at(3, 40));
        // The same values into the same row: what this is not to be done by.
        let before = length_of_wal(&path);
        set(&connection, at(3, 40)).unwrap();
        assert_eq!(length_of_wal(&path), before);
    }
    let normal: i64 = connection.query_row("PRAGMA synchronous", [], |row| row.get(0)).unwrap();
    assert_eq!(normal, 1, "the next transaction is not synced");
}

#[test]
fn a_start_settles_what_a_killed_process_took_up_before_segments_go() {
    let folder = tempfile::tempdir().unwrap();
    let (live, path) = (folder.path().join("live"), folder.path().join("db"));
    let connection = database::open(&live).unwrap();
    let written = written(&live, &LOG, &mut |_, _| {});
    let progress = Arc::new(Progress::new(&live, at(1, 0), &[written]));
    let mut behind = behind(connection, &live, progress, &Arc::default());
    let mut taken = at(1, 0);
    // As if it was killed between the two.
    refuse_to_settle(&behind.connection);
    while taken < written {
        taken = behind.take_up(State { written, taken, ..State::default() }).unwrap();
    }
    behind.connection.execute_batch("DROP TRIGGER full").unwrap();
    for suffix in ["", "-wal", "-log1", "-log2"] {
        std::fs::copy(database::beside(&live, suffix), database::beside(&path, suffix)).unwrap();
    }
    let before = length_of_wal(&path);
    let (store, snapshot) = crate::Store::open(&path, Config::default(), Box::new(|_| {})).unwrap();
    assert_eq!(snapshot.settings.len(), 5);
    assert!(length_of_wal(&path) >= before + 4096, "it was not synced");
    assert_eq!(log::segments(&path).unwrap(), [2, 3]);
    store.stop().unwrap();

    // What cannot be made durable stays in the log.
    for suffix in ["", "-wal", "-log1", "-log2"] {
        std::fs::copy(database::beside(&live, suffix), database::beside(&path, suffix)).unwrap();
    }
    refuse_to_settle(&database::open(&path).unwrap());
    crate::Store::open(&path, Config::default(), Box::new(|_| {})).map(drop).unwrap_err();
    assert_eq!(log::segments(&path).unwrap(), [1, 2]);
}

/// A log of one change in each frame, as its segments: the settings of these names. Tells of each as the writer does.
fn written(path: &Path, segments: &[&[&str]], tell: &mut dyn FnMut(Position, Vec<u8>)) -> Position {
    let mut log = Log::begin(path, 1, Position::default()).unwrap();
    for (number, names) in segments.iter().enumerate() {
        if number > 0 {
            log.roll().unwrap();
        }
        for name in *names {
            let mut octets = Vec::new();
            let setting = Change::Setting { key: (*name).into(), value: Some(vec![7; 30]) };
            log::write(Duration::from_secs(1), &[setting], &mut octets);
            let position = log.append(std::iter::once(octets.as_slice())).unwrap();
            tell(position, octets);
        }
    }
    log.end()
}

/// What the database has after all was taken up, how many parts were passed over, how many of them memory did not hold, and
/// whether another segment is asked for.
type Found = (Vec<String>, u64, u64, bool);

/// `remembered` is which frame is the first that memory holds.
fn taken_up_after(segments: &[&[&str]], remembered: usize, garble: impl FnOnce(&Path)) -> Found {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("db");
    let connection = database::open(&path).unwrap();
    let mut frames = Vec::new();
    let written = written(&path, segments, &mut |end, rest| frames.push((end, rest)));
    let forgotten =
        remembered.checked_sub(1).map_or(at(1, 0), |last| frames.get(last).map_or(written, |f| f.0));
    let progress = Arc::new(Progress::new(&path, at(1, 0), &[forgotten]));
    frames.into_iter().skip(remembered).for_each(|(end, rest)| progress.written(end, rest));
    garble(&path);
    let tally = Arc::new(Tally::default());
    let mut behind = behind(connection, &path, Arc::clone(&progress), &tally);
    let mut state = State { taken: at(1, 0), written, ..State::default() };
    while state.taken < written {
        state.taken = behind.take_up(state).unwrap();
        progress.taken(state.taken);
    }
    assert_eq!(taken_up(&behind.connection).unwrap(), written, "nothing is looked at again");
    let kept = rows::snapshot(&behind.connection, &path).unwrap();
    let damage::Parts { found: damaged, lost } = progress.damage().parts();
    assert_eq!(damage::marker(&path).exists(), damaged > 0, "it is told to whoever comes next");
    (kept.settings.into_keys().collect(), damaged, lost, progress.begins_anew())
}

/// Changes octets of a segment where its frames hold this text.
fn garbled_at(path: &Path, segment: u64, text: &str, to: &[u8]) {
    let file = log::path_of(path, segment);
    let mut octets = std::fs::read(&file).unwrap();
    let place = place_of(&octets, text);
    octets[place..place + to.len()].copy_from_slice(to);
    std::fs::write(file, octets).unwrap();
}

fn place_of(octets: &[u8], text: &str) -> usize {
    octets.windows(text.len()).position(|some| some == text.as_bytes()).unwrap()
}

/// Octets of a frame before the name of its setting: its head, a time, two lengths; the first of a segment has more.
const FRONT: usize = 27;

/// Cuts a segment before the frame that holds this text; zeros stay behind it.
fn cut_at(path: &Path, segment: u64, text: &str, zeros: usize) {
    let file = log::path_of(path, segment);
    let mut octets = std::fs::read(&file).unwrap();
    octets.truncate(place_of(&octets, text) - FRONT);
    octets.resize(octets.len() + zeros, 0);
    std::fs::write(file, octets).unwrap();
}

/// Zeros from the frame on that holds this text, as if it had never been written.
fn zeroed_from(path: &Path, segment: u64, text: &str) {
    let file = log::path_of(path, segment);
    let mut octets = std::fs::read(&file).unwrap();
    let place = place_of(&octets, text) - FRONT;
    octets[place..].fill(0);
    std::fs::write(file, octets).unwrap();
}

/// Each a way to garble a log, and what is left of it.
type Case<'a> = (&'a str, Box<dyn Fn(&Path)>);

fn cases() -> Vec<Case<'static>> {
    let case = |left: &'static str, garble: Box<dyn Fn(&Path)>| (left, garble);
    vec![
        // A changed octet; a block of zeros, as a disk may give that lost one; at the very end of a segment, and of the log.
        case("aaa ccc ddd eee", Box::new(|path| garbled_at(path, 1, "bbb", b"x"))),
        case("ccc ddd eee", Box::new(|path| garbled_at(path, 1, "aaa", &[0; 100]))),
        case("aaa bbb ddd eee", Box::new(|path| garbled_at(path, 1, "ccc", b"x"))),
        case("aaa bbb ccc ddd", Box::new(|path| garbled_at(path, 2, "eee", b"x"))),
        case("aaa bbb ccc eee", Box::new(|path| garbled_at(path, 2, "ddd", b"x"))),
        // A segment that looks as if it had ended before: zeros from some frame on, or nothing.
        case("aaa bbb ddd eee", Box::new(|path| zeroed_from(path, 1, "ccc"))),
        case("aaa ddd eee", Box::new(|path| zeroed_from(path, 1, "bbb"))),
        case("aaa bbb ddd eee", Box::new(|path| cut_at(path, 1, "ccc", 0))),
        case("aaa ddd eee", Box::new(|path| cut_at(path, 1, "bbb", 8))),
        case("aaa bbb ccc ddd", Box::new(|path| zeroed_from(path, 2, "eee"))),
        case("aaa bbb ccc ddd", Box::new(|path| cut_at(path, 2, "eee", 0))),
        // Without its head, gone, or such that the disk does not give it back (EIO, which this file always gives).
        case("ddd eee", Box::new(|path| garbled_at(path, 1, "6gatlog1", b"x"))),
        case("aaa bbb ccc", Box::new(|path| garbled_at(path, 2, "6gatlog1", b"x"))),
        case("ddd eee", Box::new(|path| std::fs::remove_file(log::path_of(path, 1)).unwrap())),
        case("ddd eee", Box::new(|path| unreadable(path, 1))),
        case("aaa bbb ccc", Box::new(|path| unreadable(path, 2))),
    ]
}

fn unreadable(path: &Path, segment: u64) {
    let file = log::path_of(path, segment);
    std::fs::remove_file(&file).unwrap();
    std::os::unix::fs::symlink("/proc/self/mem", &file).unwrap();
    assert_eq!(std::fs::read(&file).unwrap_err().raw_os_error(), Some(5));
}

const LOG: [&[&str]; 2] = [&["aaa", "bbb", "ccc"], &["ddd", "eee"]];

#[test]
fn what_the_disk_garbled_is_passed_over_and_told_of() {
    assert_eq!(taken_up_after(&LOG, 9, |_| {}), (words("aaa bbb ccc ddd eee"), 0, 0, false));
    for (number, (left, garble)) in cases().into_iter().enumerate() {
        assert_eq!(taken_up_after(&LOG, 9, garble), (words(left), 1, 1, true), "case {number}");
    }
    // Two segments that lack their ends, and an empty end in between.
    let log: [&[&str]; 4] = [&["aaa", "bbb"], &["ccc", "ddd"], &[], &["eee"]];
    let garble = |path: &Path| {
        zeroed_from(path, 1, "bbb");
        zeroed_from(path, 2, "ddd");
    };
    assert_eq!(taken_up_after(&log, 9, garble), (words("aaa ccc eee"), 2, 2, true));
}

#[test]
fn what_memory_remembers_of_a_garbled_part_is_taken_up_in_its_place() {
    for (number, (_, garble)) in cases().into_iter().enumerate() {
        let all = words("aaa bbb ccc ddd eee");
        assert_eq!(taken_up_after(&LOG, 0, garble), (all, 1, 0, true), "case {number}");
    }
    // Not all of it is remembered: that is known.
    let gone = |path: &Path| std::fs::remove_file(log::path_of(path, 1)).unwrap();
    assert_eq!(taken_up_after(&LOG, 2, gone), (words("ccc ddd eee"), 1, 1, true));
    let zeroed = |path: &Path| zeroed_from(path, 1, "ccc");
    assert_eq!(taken_up_after(&LOG, 2, zeroed), (words("aaa bbb ccc ddd eee"), 1, 0, true));
}

#[test]
fn what_came_later_is_not_undone_by_what_is_remembered() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("db");
    let connection = database::open(&path).unwrap();
    let mut log = Log::begin(&path, 1, Position::default()).unwrap();
    let progress = Arc::new(Progress::new(&path, at(1, 0), &[]));
    for value in [b"first", b"other", b"third"] {
        let mut octets = Vec::new();
        let setting = Change::Setting { key: "a".into(), value: Some(value.into()) };
        log::write(Duration::from_secs(1), &[setting], &mut octets);
        progress.written(log.append(std::iter::once(octets.as_slice())).unwrap(), octets);
    }
    garbled_at(&path, 1, "first", b"x");
    garbled_at(&path, 1, "other", b"x");
    let tally = Arc::new(Tally::default());
    let mut behind = behind(connection, &path, progress, &tally);
    let state = State { taken: at(1, 0), written: log.end(), ..State::default() };
    assert_eq!(behind.take_up(state).unwrap(), log.end());
    let kept = rows::snapshot(&behind.connection, &path).unwrap();
    assert_eq!(kept.settings.get("a").map(Vec::as_slice), Some(&b"third"[..]));
}

#[test]
fn nothing_is_passed_over_where_that_cannot_be_written_down() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("db");
    let connection = database::open(&path).unwrap();
    let written = written(&path, &LOG, &mut |_, _| {});
    garbled_at(&path, 1, "bbb", b"x");
    // Into a folder that is not there.
    let nowhere = folder.path().join("nowhere").join("db");
    let progress = Arc::new(Progress::new(&nowhere, at(1, 0), &[written]));
    let mut behind = behind(connection, &path, Arc::clone(&progress), &Arc::default());
    let mut state = State { taken: at(1, 0), written, ..State::default() };
    state.taken = behind.take_up(state).unwrap();
    assert!(behind.take_up(state).is_err());
    assert!(progress.damage().stands(), "a stop tells of it nevertheless");
    assert_eq!(taken_up(&behind.connection).unwrap(), state.taken);
    assert_eq!(rows::snapshot(&behind.connection, &path).unwrap().settings.len(), 1);
}

#[test]
fn leases_are_asked_for_only_once_the_database_has_durably_passed_what_is_garbled() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("db");
    let connection = database::open(&path).unwrap();
    let progress = Arc::new(Progress::new(&path, at(1, 0), &[]));
    let written = written(&path, &LOG, &mut |end, octets| progress.written(end, octets));
    garbled_at(&path, 1, "aaa", b"x");
    let told = Arc::new(Mutex::new(0));
    let tell = Arc::clone(&told);
    let on_commit: Arc<OnCommit> = Arc::new(Box::new(move |_| *tell.lock().unwrap() += 1));
    let mut behind = behind(connection, &path, Arc::clone(&progress), &Arc::default());
    behind.on_commit = Arc::downgrade(&on_commit);
    let mut state = State { taken: at(1, 0), written, ..State::default() };
    let asked = || (progress.damage().parts().found, *told.lock().unwrap());
    let stands = || {
        progress.damage().written_anew(0).unwrap();
        assert!(progress.damage().stands() && damage::marker(&path).exists());
    };
    // SQLite takes nothing; the same is found each time, and no further segment is asked for.
    behind.connection.pragma_update(None, "query_only", true).unwrap();
    for attempt in 0..3 {
        assert!(behind.take_up(state).is_err());
        assert_eq!((progress.begins_anew(), asked()), (attempt == 0, (0, 0)));
        progress.begun_anew();
        stands();
    }
    // It takes it, but not durably; and a power cut would have the next start read the garbled part again.
    behind.connection.pragma_update(None, "query_only", false).unwrap();
    refuse_to_settle(&behind.connection);
    state.taken = behind.take_up(state).unwrap();
    assert_eq!((behind.passing, asked()), (true, (0, 0)));
    stands();
    behind.connection.execute_batch("DROP TRIGGER full").unwrap();
    let before = length_of_wal(&path);
    behind.settle(state.taken).unwrap();
    assert!(length_of_wal(&path) > before);
    assert_eq!((behind.passing, asked()), (false, (1, 1)));
    progress.damage().written_anew(1).unwrap();
    assert!(!progress.damage().stands() && !damage::marker(&path).exists());
}

#[test]
fn what_is_remembered_behind_the_place_that_is_taken_up_is_taken_up_once() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("db");
    let connection = database::open(&path).unwrap();
    let progress = Arc::new(Progress::new(&path, at(1, 0), &[]));
    let mut ends = Vec::new();
    written(&path, &[&["aaa", "bbb", "ccc"]], &mut |end, octets| {
        ends.push(end);
        progress.written(end, octets);
    });
    garbled_at(&path, 1, "6gatlog1", b"x");
    let mut behind = behind(connection, &path, progress, &Arc::default());
    // The others were written while this was read.
    let state = State { taken: at(1, 0), written: ends[0], ..State::default() };
    let taken = behind.read(state.taken, state.written).unwrap();
    assert_eq!((taken.contents.len(), taken.to, taken.lost), (1, ends[0], 0));
    let taken = behind.read(ends[0], ends[2]).unwrap();
    assert_eq!((taken.contents.len(), taken.to, taken.lost), (2, ends[2], 0));
}

#[test]
fn a_start_refuses_a_log_that_is_garbled_before_its_end_and_leaves_it_alone() {
    // The end of the last segment is where nothing can tell; it is as if the last frame had not been written.
    let regular = |left: &str| left == "aaa bbb ccc ddd" || left == "aaa bbb ccc";
    for (number, (left, garble)) in cases().into_iter().enumerate().filter(|(_, (left, _))| !regular(left)) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("db");
        let connection = database::open(&path).unwrap();
        written(&path, &LOG, &mut |_, _| {});
        assert_eq!(log::whole(&connection, &path).unwrap().0.settings.len(), 5);
        garble(&path);
        let refused = log::whole(&connection, &path).unwrap_err();
        assert!(matches!(refused, StoreError::Corrupt { .. }), "case {number}, {left}: {refused}");
        assert!(refused.to_string().contains("-log"), "{refused}");
    }
}

#[test]
fn a_log_that_cannot_be_read_for_another_reason_is_not_called_damaged() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("db");
    let connection = database::open(&path).unwrap();
    written(&path, &LOG, &mut |_, _| {});
    // It leads to itself (ELOOP).
    let file = log::path_of(&path, 1);
    std::fs::rename(&file, folder.path().join("aside")).unwrap();
    std::os::unix::fs::symlink(&file, &file).unwrap();
    let error = log::whole(&connection, &path).unwrap_err();
    assert!(matches!(error, StoreError::Disk { .. }), "{error}");
    std::fs::remove_file(&file).unwrap();
    std::fs::rename(folder.path().join("aside"), &file).unwrap();
    assert_eq!(log::whole(&connection, &path).unwrap().0.settings.len(), 5);
}

#[test]
fn a_log_of_the_layout_before_is_taken_up() {
    // Two segments, as the version before wrote them: none says where the one before it ended.
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("db");
    let connection = database::open(&path).unwrap();
    connection.pragma_update(None, "user_version", 6).unwrap();
    drop(connection);
    for (number, octets) in
        [(1, &include_bytes!("../tests/layout6/log1")[..]), (2, include_bytes!("../tests/layout6/log2"))]
    {
        std::fs::write(log::path_of(&path, number), octets).unwrap();
    }
    let check = |snapshot: &crate::Snapshot, settings: u8| {
        let expected = (1..=settings).map(|number| (format!("setting {number}"), vec![number; 3])).collect();
        assert_eq!(snapshot.settings, expected);
        let leases: Vec<_> = snapshot.leases.iter().map(|lease| lease.resource.to_string()).collect();
        let all: Vec<_> = (1..6).map(|number| format!("2001:db8::{number}")).collect();
        assert_eq!(leases, all);
    };
    let seen = || crate::Store::read_only(&path).unwrap().snapshot().unwrap();
    check(&seen(), 5);
    let (tell, told) = std::sync::mpsc::channel();
    let on_commit: OnCommit = Box::new(move |tokens| drop(tell.send(tokens)));
    let (store, snapshot) = crate::Store::open(&path, Config::default(), on_commit).unwrap();
    check(&snapshot, 5);
    // And goes on in the way of this one.
    let change = Change::Setting { key: "setting 6".into(), value: Some(vec![6; 3]) };
    let _ = store.submit(Duration::from_secs(6), vec![change], 6);
    assert_eq!(told.recv_timeout(Duration::from_secs(30)).unwrap(), [(6, Ok(()))]);
    check(&seen(), 6);
    assert_eq!(database::layout(&database::open(&path).unwrap()).unwrap(), 7);
    store.stop().unwrap();
    assert_eq!(log::segments(&path).unwrap(), [0; 0], "all is in the database");
    check(&seen(), 6);
}

fn words(text: &str) -> Vec<String> {
    text.split(' ').map(str::to_owned).collect()
}
