//! How fast peers are counted and limited, in one run with maps that do the same without a bound on memory.
//!
//! One line a figure; ours and the peer take turns, and each figure is the median of several rounds.

#![allow(clippy::unwrap_used, clippy::cast_precision_loss, clippy::cast_sign_loss)]

use governor::{Quota, RateLimiter};
use sixgate_endpoint::talkers::{Level, Limiter, Limits, Talkers};
use std::collections::HashMap;
use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::num::NonZeroU32;
use std::time::Instant;

const ROUNDS: usize = 9;
/// Peers of a stream, gone through again and again: few enough for the cache, so that the stream itself costs little.
const STREAM: usize = 1 << 16;
const UPDATES: usize = 1 << 21;
/// Updates a second on one core.
const TARGET: f64 = 20e6;

fn main() {
    let streams = [
        ("one source", stream(|_, _| v6(0x2001_0db8_0001_0203, 1))),
        ("Zipf sources, IPv6", stream(|random, _| zipf(random, true))),
        ("one /64, all different", stream(|random, _| v6(0x2001_0db8_0001_0203, random.u64(..)))),
        (
            "one /48, all different",
            stream(|random, _| v6(0x2001_0db8_0001_0000 | random.u64(..) >> 48, random.u64(..))),
        ),
        (
            "everywhere, all different",
            stream(|random, _| v6(0x2000 << 48 | random.u64(..) >> 3, random.u64(..))),
        ),
        ("Zipf sources, IPv4", stream(|random, _| zipf(random, false))),
        ("IPv4 in order", stream(|_, index| Ipv4Addr::from_bits(0x0a00_0000 + index as u32).into())),
    ];
    // One stream alone, for a profiler: `cargo bench ... -- --only "one source"`.
    let arguments: Vec<_> = std::env::args().collect();
    if let Some(at) = arguments.iter().position(|argument| argument == "--only") {
        for (_, peers) in streams.iter().filter(|(name, _)| *name == arguments[at + 1]) {
            let mut talkers = Talkers::new();
            for index in 0..UPDATES {
                talkers.add(peers[index % STREAM], 1);
            }
            black_box(&talkers);
        }
        return;
    }
    for (name, peers) in &streams {
        count(name, peers);
    }
    for (name, peers) in &streams {
        limit(name, peers);
    }
    memory();
}

fn v6(net: u64, rest: u64) -> IpAddr {
    Ipv6Addr::from_bits(u128::from(net) << 64 | u128::from(rest)).into()
}

fn stream(mut make: impl FnMut(&mut fastrand::Rng, usize) -> IpAddr) -> Vec<IpAddr> {
    let mut random = fastrand::Rng::with_seed(1);
    (0..STREAM).map(|index| make(&mut random, index)).collect()
}

/// A source of which the n-th is 1/n as busy as the first, of about a million, in networks of a few.
fn zipf(random: &mut fastrand::Rng, six: bool) -> IpAddr {
    let rank = (random.f64() * (1e6_f64).ln()).exp() as u64;
    // Spread over the space without an order.
    let spread = (rank / 4).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    if six {
        v6(0x2000 << 48 | spread >> 3, rank)
    } else {
        Ipv4Addr::from_bits((spread >> 32) as u32 ^ rank as u32 & 3).into()
    }
}

/// Median seconds for one round of each of two.
fn median(mut ours: impl FnMut(), mut theirs: impl FnMut()) -> (f64, f64) {
    let time = |work: &mut dyn FnMut()| {
        let start = Instant::now();
        work();
        start.elapsed().as_secs_f64()
    };
    let (mut a, mut b) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        a.push(time(&mut ours));
        b.push(time(&mut theirs));
    }
    a.sort_by(f64::total_cmp);
    b.sort_by(f64::total_cmp);
    (a[ROUNDS / 2], b[ROUNDS / 2])
}

/// The same work without a bound on memory: a map for each level.
#[derive(Default)]
struct Maps {
    v6: [HashMap<u128, u64>; 4],
    v4: [HashMap<u32, u64>; 2],
}

impl Maps {
    fn add(&mut self, peer: IpAddr) {
        match peer {
            IpAddr::V6(address) => {
                for (map, bits) in self.v6.iter_mut().zip([80, 72, 64, 0]) {
                    *map.entry(address.to_bits() >> bits).or_default() += 1;
                }
            }
            IpAddr::V4(address) => {
                for (map, bits) in self.v4.iter_mut().zip([8, 0]) {
                    *map.entry(address.to_bits() >> bits).or_default() += 1;
                }
            }
        }
    }
}

fn count(name: &str, peers: &[IpAddr]) {
    let mut talkers = Talkers::new();
    let mut maps = Maps::default();
    let (ours, theirs) = median(
        || {
            for index in 0..UPDATES {
                talkers.add(peers[index % STREAM], 1);
            }
            black_box(&talkers);
        },
        || {
            for index in 0..UPDATES {
                maps.add(peers[index % STREAM]);
            }
            black_box(&maps);
        },
    );
    let (ours, theirs) = (UPDATES as f64 / ours, UPDATES as f64 / theirs);
    println!(
        "talkers   {name:26} {:6.1} M/s   HashMap for each level     {:6.1} M/s   ratio {:5.2}   target 20 M/s   {}",
        ours / 1e6,
        theirs / 1e6,
        ours / theirs,
        if ours >= TARGET { "ok" } else { "MISSED" }
    );
}

fn limit(name: &str, peers: &[IpAddr]) {
    let mut limiter = Limiter::new(Limits::default());
    let ten = NonZeroU32::new(10).unwrap();
    let governor = RateLimiter::hashmap(Quota::per_second(ten));
    let start = Instant::now();
    let (ours, theirs) = median(
        || {
            for index in 0..UPDATES {
                let _ = black_box(limiter.check(start.elapsed(), peers[index % STREAM], 1));
            }
        },
        || {
            for index in 0..UPDATES {
                let _ = black_box(governor.check_key(&peers[index % STREAM]));
            }
        },
    );
    let (ours, theirs) = (UPDATES as f64 / ours, UPDATES as f64 / theirs);
    println!(
        "limiter   {name:26} {:6.1} M/s   governor, addresses alone  {:6.1} M/s   ratio {:5.2}   target 1.00    {}",
        ours / 1e6,
        theirs / 1e6,
        ours / theirs,
        if ours >= theirs { "ok" } else { "MISSED" }
    );
}

fn memory() {
    let status = Talkers::new().status();
    let entries: usize = status.levels.iter().map(|level| level.capacity).sum();
    let limiter = Limiter::new(Limits::default()).status();
    let ok = status.memory + limiter.memory < 10_000_000;
    println!(
        "memory    talkers {} kB for {entries} entries of {} levels, limiter {} kB   target 10 MB   {}",
        status.memory / 1000,
        Level::ALL.len(),
        limiter.memory / 1000,
        if ok { "ok" } else { "MISSED" }
    );
    let mut talkers = Talkers::new();
    let mut random = fastrand::Rng::with_seed(1);
    for _ in 0..1_000_000 {
        talkers.add(v6(random.u64(..) >> 40 << 16, random.u64(..)), 1);
    }
    let (halve, report) = median(|| talkers.clone().halve(), || drop(black_box(talkers.report(1.0))));
    println!("once      copy and halve {:.0} us, report {:.0} us   no target", halve * 1e6, report * 1e6);
}
