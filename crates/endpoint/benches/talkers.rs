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
use std::ops::Range;
use std::time::Instant;

const ROUNDS: usize = 9;
/// Peers of a stream that is listed beforehand and gone through again and again: few enough that the list
/// itself costs little.
const STREAM: usize = 1 << 16;
/// Updates of a round.
const UPDATES: usize = 1 << 20;
/// Updates a second on one core.
const TARGET: f64 = 20e6;
const LINK: u64 = 0x2001_0db8_0001_0203;

/// Measures a stream under a name.
type Stream<'a> = &'a dyn Fn(&str);

fn main() {
    let six = listed(|random| zipf(random, true));
    let four = listed(|random| zipf(random, false));
    let streams: [(&str, Stream); 7] = [
        ("one source", &|name| measure(name, |_| v6(LINK, 1))),
        ("Zipf sources, IPv6", &|name| measure(name, |index| six[index as usize % STREAM])),
        ("one /64, all different", &|name| measure(name, |index| v6(LINK, spread(index)))),
        ("one /48, all different", &|name| {
            measure(name, |index| v6((LINK & !0xffff) | (index & 0xffff), spread(index)));
        }),
        ("everywhere, all different", &|name| {
            measure(name, |index| v6((0x2000 << 48) | (spread(index) >> 3), spread(index)));
        }),
        ("Zipf sources, IPv4", &|name| measure(name, |index| four[index as usize % STREAM])),
        ("IPv4 in order", &|name| {
            measure(name, |index| Ipv4Addr::from_bits(0x0a00_0000 + index as u32).into());
        }),
    ];
    // One stream alone, for a profiler: `cargo bench ... -- --only "one source"`.
    let only = std::env::args().skip_while(|argument| argument != "--only").nth(1);
    for (name, measure) in streams {
        if only.as_deref().is_none_or(|only| only == name) {
            measure(name);
        }
    }
    if only.is_none() {
        memory();
    }
}

fn measure(name: &str, peer: impl Fn(u64) -> IpAddr) {
    if std::env::args().any(|argument| argument == "--only") {
        let mut talkers = Talkers::new();
        for index in 0..UPDATES as u64 {
            talkers.add(peer(index), 1);
        }
        black_box(&talkers);
        return;
    }
    count(name, &peer);
    limit(name, &peer);
}

/// Numbers without an order, no two the same.
fn spread(index: u64) -> u64 {
    let mixed = index.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    mixed ^ (mixed >> 29)
}

fn v6(net: u64, rest: u64) -> IpAddr {
    Ipv6Addr::from_bits(u128::from(net) << 64 | u128::from(rest)).into()
}

fn listed(mut make: impl FnMut(&mut fastrand::Rng) -> IpAddr) -> Vec<IpAddr> {
    let mut random = fastrand::Rng::with_seed(1);
    (0..STREAM).map(|_| make(&mut random)).collect()
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

/// Seconds that this thread has had a processor for: what others do on this machine counts less so.
fn processor_time() -> f64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

/// Median seconds of a round of each of two, which take turns; each is told which updates are its round's.
fn median(mut ours: impl FnMut(Range<u64>), mut theirs: impl FnMut(Range<u64>)) -> (f64, f64) {
    let time = |work: &mut dyn FnMut(Range<u64>), round: usize| {
        let first = (round * UPDATES) as u64;
        let start = processor_time();
        work(first..first + UPDATES as u64);
        processor_time() - start
    };
    let (mut a, mut b) = (Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        a.push(time(&mut ours, round));
        b.push(time(&mut theirs, round));
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

fn count(name: &str, peer: impl Fn(u64) -> IpAddr) {
    let mut talkers = Talkers::new();
    let (ours, theirs) = median(
        |indices| {
            for index in indices {
                talkers.add(peer(index), 1);
            }
            black_box(&talkers);
        },
        |indices| {
            // New in each round: it would not fit in memory for long.
            let mut maps = Maps::default();
            for index in indices {
                maps.add(peer(index));
            }
            black_box(&maps);
        },
    );
    let (ours, theirs) = (UPDATES as f64 / ours, UPDATES as f64 / theirs);
    println!(
        "talkers   {name:26} {:6.1} M/s   HashMap for each level    {:6.1} M/s   ratio {:5.2}   target 20 M/s  {}",
        ours / 1e6,
        theirs / 1e6,
        ours / theirs,
        if ours >= TARGET { "ok" } else { "MISSED" }
    );
}

fn limit(name: &str, peer: impl Fn(u64) -> IpAddr) {
    let mut limiter = Limiter::new(Limits::default());
    let ten = NonZeroU32::new(10).unwrap();
    let start = Instant::now();
    let (ours, theirs) = median(
        |indices| {
            for index in indices {
                let _ = black_box(limiter.check(start.elapsed(), peer(index), 1));
            }
        },
        |indices| {
            let governor = RateLimiter::hashmap(Quota::per_second(ten));
            for index in indices {
                let _ = black_box(governor.check_key(&peer(index)));
            }
        },
    );
    let (ours, theirs) = (UPDATES as f64 / ours, UPDATES as f64 / theirs);
    println!(
        "limiter   {name:26} {:6.1} M/s   governor, addresses alone {:6.1} M/s   ratio {:5.2}   target 1.00    {}",
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
    let (halve, report) = median(|_| talkers.clone().halve(), |_| drop(black_box(talkers.report(1.0))));
    println!("once      copy and halve {:.0} us, report {:.0} us   no target", halve * 1e6, report * 1e6);
}
