//! Millions of packets that were real ones before something in them was changed, against the server, the relay agent and the
//! client: no panic, no growth, and nothing said that tshark calls malformed.
//!
//! A short run is part of `make test`, as much as can be done in some seconds. The long one:
//!
//! ```text
//! MUTATED=10000000 cargo test -p sixgate-dhcp --test mutated -- --ignored --nocapture
//! ```
#![allow(clippy::unwrap_used, clippy::panic)]

#[allow(dead_code, reason = "shared with the tests of the server")]
#[path = "../server/asking.rs"]
mod asking;
#[path = "../common/pcap.rs"]
mod pcap;
mod seeds;
mod shapes;
mod tree;
mod world;

use std::time::Instant;
use world::World;

/// Resident memory, in octets.
fn resident() -> u64 {
    let pages = std::fs::read_to_string("/proc/self/statm").unwrap();
    pages.split(' ').nth(1).unwrap().parse::<u64>().unwrap() * 4096
}

/// Plays so many packets. Memory is looked at when a fifth has been, by which all tables are full, and at the end.
fn run(count: u64, seed: u64) -> World {
    let mut world = World::new(seed);
    let begun = Instant::now();
    let mut before = 0;
    for number in 0..count {
        if number == count / 5 {
            before = resident();
        }
        world.step();
    }
    let (time, after) = (begun.elapsed(), resident());
    println!(
        "{count} packets, seed {seed}: {} a second, {} said in {} shapes, {} KiB before and {} KiB after; {}",
        u128::from(count) * 1_000 / time.as_millis().max(1),
        world.shapes.said,
        world.shapes.len(),
        before >> 10,
        after >> 10,
        world.tell(),
    );
    // Some tables and what is kept for tshark go on filling for a while.
    assert!(after < before + (16 << 20), "{before} octets have become {after}");
    world
}

#[test]
fn twenty_thousand_mutated_packets() {
    let world = run(20_000, 1);
    world.assert_busy();
    world.shapes.assert_clean();
}

/// As many as `MUTATED` says, else ten million; from the seed `MUTATED_SEED`.
#[test]
#[ignore = "takes minutes: see the top of the file"]
fn ten_million_mutated_packets() {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse().ok());
    let world = run(number("MUTATED").unwrap_or(10_000_000), number("MUTATED_SEED").unwrap_or(2));
    world.assert_busy();
    world.shapes.assert_clean();
}
