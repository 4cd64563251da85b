//! How long a submission takes to be on disk, while the log grows: the median, the tail and the longest, in milliseconds, and the
//! longest of each second's. `LASTS` in the environment says how long, `DISK` where.

#![allow(clippy::unwrap_used, clippy::cast_precision_loss, reason = "a benchmark")]

use sixgate_store::{Change, Config, Store, Submit};
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

/// Octets of one submission: a hundred leases or so.
const OCTETS: usize = 12_000;
/// Between two.
const EVERY: Duration = Duration::from_millis(2);

fn main() {
    let seconds: u64 = std::env::var("LASTS").map_or(20, |number| number.parse().unwrap());
    // A real disk, and not one in memory.
    let folder = tempfile::tempdir_in(std::env::var("DISK").as_deref().unwrap_or(".")).unwrap();
    let path = folder.path().join("leases.db");
    let (tell, told) = channel();
    let on_commit = Box::new(move |tokens: Vec<(u64, Result<_, _>)>| {
        let now = Instant::now();
        for (token, _) in tokens {
            let _ = tell.send((token, now));
        }
    });
    let (store, _) = Store::open(&path, Config::default(), on_commit).unwrap();
    let began = Instant::now();
    let mut submitted = Vec::new();
    while began.elapsed() < Duration::from_secs(seconds) {
        let token = submitted.len() as u64;
        // Of few names: what the database does with them is not asked here.
        let change = Change::Setting { key: (token % 8).to_string(), value: Some(vec![token as u8; OCTETS]) };
        submitted.push(Instant::now());
        let taken = store.submit(Duration::from_millis(token), vec![change], token);
        assert_eq!(taken, Submit::Queued, "the disk does not keep up");
        std::thread::sleep(EVERY);
    }
    let mut took = Vec::new();
    for _ in 0..submitted.len() {
        let (token, now) = told.recv().unwrap();
        took.push(now.duration_since(submitted[token as usize]).as_secs_f64() * 1e3);
    }
    let mut longest: Vec<f64> = took
        .chunks(took.len() / seconds as usize)
        .map(|some| some.iter().copied().fold(0.0, f64::max))
        .collect();
    took.sort_by(f64::total_cmp);
    longest.sort_by(f64::total_cmp);
    let at = |thousandths: usize| took[(took.len() - 1) * thousandths / 1000];
    println!(
        "{} submissions: median {:.2}, 99 % {:.2}, 99.9 % {:.2}, longest {:.2}; longest of a second, median {:.2}",
        took.len(),
        at(500),
        at(990),
        at(999),
        at(1000),
        longest[longest.len() / 2],
    );
    drop(store);
}
