//! The thread that takes the log up, without the thread.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use super::*;
use crate::log::Log;

fn at(segment: u64, offset: u64) -> Position {
    Position { segment, offset }
}

#[test]
fn a_store_that_closes_does_not_wait_for_a_database_that_takes_nothing() {
    let progress = Arc::new(Progress::new(at(1, 0), at(1_000, 0)));
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
fn what_is_taken_up_is_so_even_where_it_cannot_be_made_durable() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("db");
    let connection = database::open(&path).unwrap();
    // Both write down how far the log is taken up: each transaction another place, `settle` the same again.
    connection
        .execute_batch(
            "CREATE TRIGGER full BEFORE UPDATE ON taken_up
             WHEN NEW.segment = OLD.segment AND NEW.offset = OLD.offset
             BEGIN SELECT RAISE(ABORT, 'full'); END;",
        )
        .unwrap();
    let mut log = Log::begin(&path, 1).unwrap();
    log.roll().unwrap();
    let mut octets = Vec::new();
    let setting = Change::Setting { key: "a".into(), value: Some(vec![1]) };
    log::write(Duration::from_secs(1), &[setting], &mut octets);
    let written = log.append(std::iter::once(octets.as_slice())).unwrap();
    let tally = Arc::new(Tally::default());
    let progress = Arc::new(Progress::new(at(1, 0), written));
    let mut behind = Behind::new(connection, &path, Config::default(), progress, Arc::clone(&tally));
    let state = State { taken: at(1, 0), written, ..State::default() };
    assert_eq!(behind.take_up(state).unwrap(), written);
    assert_eq!(log::segments(&path).unwrap(), [1, 2], "the log is what counts");
    assert_eq!(tally.behind_failures.load(Ordering::Relaxed), 1);
}

/// A log of one change in each frame, as its segments: the settings of these names.
fn written(path: &Path, segments: &[&[&str]]) -> Position {
    let mut log = Log::begin(path, 1).unwrap();
    let mut position = log.position();
    for (number, names) in segments.iter().enumerate() {
        if number > 0 {
            log.roll().unwrap();
        }
        for name in *names {
            let mut octets = Vec::new();
            let setting = Change::Setting { key: (*name).into(), value: Some(vec![7; 30]) };
            log::write(Duration::from_secs(1), &[setting], &mut octets);
            position = log.append(std::iter::once(octets.as_slice())).unwrap();
        }
    }
    position
}

/// What the database has after all was taken up, how many parts were passed over, and whether another segment is asked for.
fn taken_up_after(segments: &[&[&str]], garble: impl FnOnce(&Path)) -> (Vec<String>, u64, bool) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("db");
    let connection = database::open(&path).unwrap();
    let written = written(&path, segments);
    garble(&path);
    let tally = Arc::new(Tally::default());
    let progress = Arc::new(Progress::new(at(1, 0), written));
    let mut behind =
        Behind::new(connection, &path, Config::default(), Arc::clone(&progress), Arc::clone(&tally));
    let mut state = State { taken: at(1, 0), written, ..State::default() };
    while state.taken < written {
        state.taken = behind.take_up(state).unwrap();
    }
    assert_eq!(taken_up(&behind.connection).unwrap(), written, "nothing is looked at again");
    let kept = rows::snapshot(&behind.connection, &path).unwrap();
    (kept.settings.into_keys().collect(), tally.damaged.load(Ordering::Relaxed), progress.begins_anew())
}

/// Changes octets of a segment where its frames hold this text.
fn garbled_at(path: &Path, segment: u64, text: &str, to: &[u8]) {
    let file = log::path_of(path, segment);
    let mut octets = std::fs::read(&file).unwrap();
    let place = octets.windows(text.len()).position(|some| some == text.as_bytes()).unwrap();
    octets[place..place + to.len()].copy_from_slice(to);
    std::fs::write(file, octets).unwrap();
}

#[test]
fn what_the_disk_garbled_is_passed_over_and_told_of() {
    let log: [&[&str]; 2] = [&["aaa", "bbb", "ccc"], &["ddd", "eee"]];
    assert_eq!(taken_up_after(&log, |_| {}), (words("aaa bbb ccc ddd eee"), 0, false));
    // A changed octet; a block of zeros, as a disk may give that lost one; at the very end of a segment, and of the log.
    let garbled = taken_up_after(&log, |path| garbled_at(path, 1, "bbb", b"x"));
    assert_eq!(garbled, (words("aaa ccc ddd eee"), 1, true));
    let garbled = taken_up_after(&log, |path| garbled_at(path, 1, "aaa", &[0; 70]));
    assert_eq!(garbled, (words("ccc ddd eee"), 1, true));
    let garbled = taken_up_after(&log, |path| garbled_at(path, 1, "ccc", b"x"));
    assert_eq!(garbled, (words("aaa bbb ddd eee"), 1, true));
    let garbled = taken_up_after(&log, |path| garbled_at(path, 2, "eee", b"x"));
    assert_eq!(garbled, (words("aaa bbb ccc ddd"), 1, true));
    // A segment without its head, cut short, or gone.
    let garbled = taken_up_after(&log, |path| garbled_at(path, 1, "6gatlog1", b"x"));
    assert_eq!(garbled, (words("ddd eee"), 1, true));
    let cut = |path: &Path| {
        let file = File::options().write(true).open(log::path_of(path, 2)).unwrap();
        file.set_len(100).unwrap();
    };
    assert_eq!(taken_up_after(&log, cut), (words("aaa bbb ccc ddd"), 1, true));
    let gone = |path: &Path| std::fs::remove_file(log::path_of(path, 1)).unwrap();
    assert_eq!(taken_up_after(&log, gone), (words("ddd eee"), 1, true));
}

fn words(text: &str) -> Vec<String> {
    text.split(' ').map(str::to_owned).collect()
}
