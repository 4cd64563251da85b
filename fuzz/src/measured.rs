//! What answers a measurement: ICMP of any sender, datagrams, pages, and routers that tell of sizes.

use sixgate_endpoint::Family;
use sixgate_measure::echo::{Echo, LENGTH, LONGEST};
use sixgate_measure::icmp;
use sixgate_measure::page::{MOST_OBJECTS, objects, status};
use sixgate_measure::path::{Fate, LEAST, Search};

/// Any bytes as each of these.
pub fn measured(bytes: &[u8]) {
    let identifier = bytes.first_chunk().map_or(0, |two| u16::from_be_bytes(*two));
    let rest = bytes.get(2..).unwrap_or_default();
    for family in [Family::V6, Family::V4] {
        if let Some(answer) = icmp::read(family, identifier, rest) {
            let sequence = answer.sequence.to_be_bytes();
            assert!(rest.windows(2).any(|two| two == sequence), "a number that nobody sent");
        }
    }
    if let Some(echo) = Echo::read(bytes) {
        assert!((LENGTH..=LONGEST).contains(&bytes.len()));
        assert_eq!(echo.octets(), bytes[..LENGTH], "what is read is written");
    }
    assert!(status(bytes).is_none() || bytes.starts_with(b"HTTP/1."));
    let paths = objects(&String::from_utf8_lossy(bytes), "/folder/page?x");
    assert!(paths.len() <= MOST_OBJECTS);
    // A path goes into a request as it is.
    assert!(
        paths.iter().all(|path| path.starts_with('/') && path.bytes().all(|octet| octet.is_ascii_graphic()))
    );
    search(bytes);
}

/// Whatever routers tell, a search ends, and never claims what did not pass.
fn search(bytes: &[u8]) {
    let mut search = Search::new(LEAST, 9000);
    let mut fates = bytes.chunks(2);
    let (mut passed, mut asked) = (0, 0);
    while let Some(size) = search.ask() {
        asked += 1;
        assert!(asked < 8000, "it ends");
        let fate = match fates.next() {
            Some(&[kind, low]) if kind % 4 == 1 => Fate::TooBig(u32::from(kind) << 8 | u32::from(low)),
            Some(&[kind, _]) if kind % 4 == 2 => Fate::Local,
            Some(&[kind, _]) if kind % 4 == 3 => Fate::Silent,
            _ => Fate::Passed,
        };
        if fate == Fate::Passed {
            passed = passed.max(size);
        }
        search.tell(fate);
    }
    let found = search.result();
    assert_eq!(found.works.unwrap_or(0), passed);
}
