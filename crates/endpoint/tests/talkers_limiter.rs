//! The limiter: what no key may ever get, and what nobody may do to others.

#![allow(clippy::unwrap_used, clippy::panic)]

use sixgate_endpoint::Family;
use sixgate_endpoint::talkers::{Level, Limiter, Limits, Rate, Verdict};
use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

const SITE: u64 = 0x2001_0db8_0001_0000;

fn v6(net: u64, rest: u64) -> IpAddr {
    Ipv6Addr::from_bits(u128::from(net) << 64 | u128::from(rest)).into()
}

fn spread(index: u64) -> u64 {
    let mixed = index.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    mixed ^ mixed >> 29
}

fn micros(micros: u64) -> Duration {
    Duration::from_micros(micros)
}

/// What every key was allowed, without a bound on memory: what a bucket holds, in millionths.
#[derive(Default)]
struct Oracle {
    tokens: HashMap<(Level, u128), (u64, u64)>,
}

impl Oracle {
    /// Takes `cost`, and fails where the key has got more than it may.
    fn take(&mut self, now: u64, peer: IpAddr, cost: u64, rate: impl Fn(Level) -> u64) {
        for &level in Level::of(Family::of(peer)) {
            let key = match peer {
                IpAddr::V6(address) => address.to_bits() >> (128 - level.prefix_len()),
                IpAddr::V4(address) => u128::from(address.to_bits() >> (32 - level.prefix_len())),
            };
            let rate = rate(level);
            let (tokens, at) = self.tokens.entry((level, key)).or_insert((rate * 1_000_000, now));
            *tokens = (*tokens + (now - *at) * rate).min(rate * 1_000_000);
            *at = now;
            let left = tokens.checked_sub(cost * 1_000_000);
            *tokens = left.unwrap_or_else(|| panic!("{peer} got more than {level} may"));
        }
    }
}

/// Random peers under random time, with all that was allowed given to the oracle; `checked` are the levels
/// that it looks at.
fn run(seed: u64, entries: usize, checked: impl Fn(Level) -> bool) -> Limiter {
    let rate = |level| match level {
        _ if !checked(level) => u64::from(u32::MAX),
        Level::Net48 | Level::Net24 => 200,
        Level::Net56 => 100,
        Level::Net64 => 50,
        Level::Host6 | Level::Host4 => 10,
    };
    let mut random = fastrand::Rng::with_seed(seed);
    let mut limiter = Limiter::with_seed(Limits::default(), entries, seed);
    let mut oracle = Oracle::default();
    let (mut now, mut allowed, mut refused) = (0, 0, 0);
    let speed = [1, 30, 1000][seed as usize % 3];
    for _ in 0..30_000 {
        now += random.u64(..=speed);
        // Few keys, more than there are places, and some that never come back; in both families and all sizes
        // of network.
        let peer = match random.u8(..4) {
            0 => v6(SITE | random.u64(..1 << 8), random.u64(..4)),
            1 => v6(random.u64(..300) << 16, random.u64(..2)),
            2 => v6(random.u64(..), 1),
            _ => Ipv4Addr::from_bits(random.u32(..300) << 6).into(),
        };
        let cost = random.u64(0..3);
        if limiter.check(micros(now), peer, cost) == Verdict::Allowed {
            oracle.take(now, peer, cost, rate);
            allowed += 1;
        } else {
            refused += 1;
        }
    }
    assert!(allowed > 1000 && refused > 100, "{allowed} allowed, {refused} refused");
    limiter
}

#[test]
fn no_network_ever_gets_more_than_its_rate_whatever_is_evicted() {
    for seed in 0..20 {
        let limiter = run(seed, 64, |level| matches!(level, Level::Net48 | Level::Net24));
        let crowded = limiter.status().levels.iter().map(|level| level.crowded).max();
        assert!(crowded > Some(0), "nothing was evicted: {}", limiter.status());
    }
}

#[test]
fn addresses_in_a_crowd_never_get_more_where_they_alone_have_a_limit() {
    let limits = Limits { host6: Some(Rate::new(10, 10)), ..Limits::NONE };
    for seed in 0..10 {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut limiter = Limiter::with_seed(limits, 64, seed);
        let mut oracle = Oracle::default();
        let rate = |level| if level == Level::Host6 { 10 } else { u64::from(u32::MAX) };
        let mut allowed = 0;
        for index in 0..20_000 {
            // Two hundred in turns of bursts: each is evicted by the others, and comes back before it has got
            // back what it spent.
            let now = index * 40;
            let peer = v6(SITE, index / 12 % 200 + random.u64(..20));
            if limiter.check(micros(now), peer, 1) == Verdict::Allowed {
                oracle.take(now, peer, 1, rate);
                allowed += 1;
            }
        }
        let level = &limiter.status().levels[0];
        assert!(allowed > 500 && level.crowded > 100, "{allowed} allowed, {}", limiter.status());
    }
}

#[test]
fn no_key_gets_more_than_its_rate_while_there_is_room() {
    for seed in 0..6 {
        let limiter = run(seed, 1 << 16, |_| true);
        assert!(limiter.status().levels.iter().all(|level| level.crowded == 0), "{}", limiter.status());
    }
}

#[test]
fn whoever_is_at_its_limit_is_not_forgotten_in_a_crowd() {
    // One address sends ten thousand a second, among a hundred thousand others a second that are all new, in
    // a small table.
    let mut limiter = Limiter::with_entries(Limits::default(), 256);
    let mut allowed = 0;
    for index in 0..1_000_000 {
        let now = micros(index * 10);
        let _ = limiter.check(now, v6(spread(index), spread(index)), 1);
        if index % 10 == 0 {
            allowed += u64::from(limiter.check(now, v6(SITE, 1), 1) == Verdict::Allowed);
        }
    }
    assert!((1..=10 + 10 * 10).contains(&allowed), "{allowed}, {}", limiter.status());
}

#[test]
fn a_lone_key_gets_all_of_its_rate() {
    let mut limiter = Limiter::new(Limits::default());
    let peer = v6(SITE, 1);
    let allowed =
        (0..10_000_000).step_by(100).filter(|&now| limiter.check(micros(now), peer, 1) == Verdict::Allowed);
    // Ten at once and ten a second, for ten seconds.
    assert_eq!(allowed.count(), 109);
}

#[test]
fn tells_by_which_level_and_for_how_long() {
    let limits = Limits { net64: Some(Rate::new(20, 20)), ..Limits::default() };
    let mut limiter = Limiter::new(limits);
    for _ in 0..10 {
        assert_eq!(limiter.check(micros(0), v6(SITE, 1), 1), Verdict::Allowed);
    }
    let refused = |level, micros_| Verdict::Refused { level, retry_after: micros(micros_) };
    assert_eq!(limiter.check(micros(0), v6(SITE, 1), 1), refused(Level::Host6, 100_000));
    assert_eq!(limiter.check(micros(60_000), v6(SITE, 1), 1), refused(Level::Host6, 40_000));
    assert_eq!(limiter.check(micros(100_000), v6(SITE, 1), 1), Verdict::Allowed);
    // What was refused was not charged to the /64: of its twenty and the two that came back, eleven are
    // spent.
    for host in 2..13 {
        assert_eq!(limiter.check(micros(100_000), v6(SITE, host), 1), Verdict::Allowed, "{host}");
    }
    assert_eq!(limiter.check(micros(100_000), v6(SITE, 13), 1), refused(Level::Net64, 50_000));
    // More than a burst is never allowed, and the text says so.
    let never = limiter.check(micros(200_000), v6(0x2a00 << 48, 1), 11);
    assert_eq!(never, Verdict::Refused { level: Level::Host6, retry_after: Duration::MAX });
    assert_eq!(never.to_string(), "refused: it costs more than the IPv6 /128 may ever spend at once");
    assert_eq!(
        refused(Level::Net64, 50_000).to_string(),
        "refused: the IPv6 /64 has reached its limit; retry after 50ms"
    );
}

#[test]
fn what_a_network_is_refused_makes_no_entries_of_its_addresses() {
    let mut limiter = Limiter::new(Limits::default());
    for index in 0..1_000_000 {
        let _ = limiter.check(micros(index), v6(SITE | (index % 0x1_0000), spread(index)), 1);
    }
    let busy =
        |limiter: &Limiter, at| limiter.status().levels.into_iter().find(|level| level.level == at).unwrap();
    // An address is busy for a tenth of a second, a /64 for a fiftieth; of 200 at once and 200 a second this
    // leaves a few dozen.
    assert!(busy(&limiter, Level::Host6).busy <= 20 + 1, "{}", limiter.status());
    assert!(busy(&limiter, Level::Net64).busy <= 4 + 1, "{}", limiter.status());
    assert_eq!(busy(&limiter, Level::Net48).busy, 1);
    assert!(busy(&limiter, Level::Net48).refused > 990_000);
}

#[test]
fn nobody_is_refused_for_what_other_sites_do() {
    // Twenty sites send a hundred times what they may, from ever new addresses, each in its own way; a
    // hundred peers elsewhere send half of what they may. All in one table of the default size.
    let mut limiter = Limiter::new(Limits::default());
    let mut random = fastrand::Rng::with_seed(1);
    for now in (0..5_000_000_u64).step_by(10) {
        let site = random.u64(..20);
        let link = if site.is_multiple_of(2) { 0 } else { random.u64(..0x1_0000) };
        let _ = limiter.check(micros(now), v6(0x2001_0db8_0000_0000 | site << 16 | link, random.u64(..)), 1);
        if now % 2_000 == 0 {
            let peer = now / 2_000 % 100;
            let address = v6(0x2a00_0000_0000_0000 | peer << 16, peer);
            assert_eq!(
                limiter.check(micros(now), address, 1),
                Verdict::Allowed,
                "{address}, {}",
                limiter.status()
            );
        }
    }
    assert!(limiter.status().levels[0].refused > 100_000);
}

#[test]
fn sites_that_keep_to_their_limit_crowd_nobody_out() {
    // All 65536 /48s of a provider, each of which sends once a second: more keys than places, and no address
    // becomes idle in time.
    let mut limiter = Limiter::new(Limits::default());
    for now in (0..2_000_000_u64).step_by(15) {
        let _ = limiter.check(micros(now), v6(0x2001_0db8 << 32 | (spread(now) >> 48) << 16, spread(now)), 1);
        if now % 9_000 < 15 {
            // Each two at once, every 0.27 s.
            let peer = now / 9_000 % 30;
            let address = v6(0x2a00_0000_0000_0000 | peer << 16, peer);
            assert_eq!(
                limiter.check(micros(now), address, 1),
                Verdict::Allowed,
                "{address}, {}",
                limiter.status()
            );
        }
    }
}

#[test]
fn more_sites_at_their_limit_than_places_delay_newcomers_and_are_counted() {
    // The case that fixed memory cannot solve: a small table, and eight sites for each place that all send
    // ten times their limit.
    let mut limiter = Limiter::with_entries(Limits::default(), 256);
    let mut random = fastrand::Rng::with_seed(1);
    let (mut sent, mut allowed) = (0, 0);
    for now in 0..2_000_000_u64 {
        let _ =
            limiter.check(micros(now), v6(0x2001_0db8 << 32 | random.u64(..2048) << 16, random.u64(..)), 1);
        if now % 1000 == 0 {
            let peer = now / 1000 % 100;
            sent += 1;
            allowed += u64::from(
                limiter.check(micros(now), v6(0x2a00_0000_0000_0000 | peer << 16, peer), 1)
                    == Verdict::Allowed,
            );
            // IPv4 has tables of its own: each of these sends its ten a second, no more.
            let v4 = Ipv4Addr::from_bits(0xc000_0001 | (peer as u32) << 8);
            assert_eq!(limiter.check(micros(now), v4, 1), Verdict::Allowed, "{v4}");
        }
    }
    let site = &limiter.status().levels[0];
    assert!(site.crowded > 0 && site.refused_crowded > 0, "{}", limiter.status());
    println!("{allowed} of {sent} allowed during, {}", limiter.status());
    assert!(allowed > 0);
    // And once it is over, all is as before within the time that a bucket takes to fill.
    for peer in 0..100 {
        let address = v6(0x2a00_0000_0000_0000 | peer << 16, peer);
        assert_eq!(limiter.check(micros(3_100_000 + peer), address, 1), Verdict::Allowed);
    }
}

#[test]
fn time_that_stands_still_goes_back_or_jumps() {
    let mut limiter = Limiter::new(Limits::default());
    let peer = v6(SITE, 1);
    let mut burst =
        |now: Duration| (0..100).filter(|_| limiter.check(now, peer, 1) == Verdict::Allowed).count();
    let year = Duration::from_hours(24 * 365);
    assert_eq!(burst(year), 10);
    assert_eq!(burst(year), 0);
    // Back by a year: it stands still once, and then goes on from there.
    assert_eq!(burst(Duration::ZERO), 0);
    assert_eq!(burst(Duration::from_millis(500)), 5);
    assert_eq!(burst(Duration::MAX), 10);
    assert_eq!(burst(Duration::ZERO), 0);
    assert_eq!(burst(Duration::from_secs(1)), 10);
    for _ in 0..1000 {
        assert_eq!(burst(Duration::MAX), 10);
        assert_eq!(burst(Duration::ZERO), 0);
    }
}

/// Its own clock ends after eighteen years, and begins anew with full buckets: here in jumps of four and a half.
#[test]
fn the_clock_begins_anew() {
    let limits = Limits { host4: Some(Rate::new(0, 3)), ..Limits::NONE };
    let mut limiter = Limiter::new(limits);
    let mut burst = |now| {
        let peer = Ipv4Addr::new(192, 0, 2, 1);
        (0..10).filter(|_| limiter.check(now, peer, 1).is_allowed()).count()
    };
    for _ in 0..20 {
        assert_eq!(burst(Duration::MAX), 3);
        assert_eq!(burst(Duration::ZERO), 0);
    }
}

/// Threads that took the time before they had the lock come out of order: no time passes by that.
#[test]
fn callers_out_of_order_gain_no_time() {
    let mut limiter = Limiter::new(Limits::default());
    let peer = v6(SITE, 1);
    let mut allowed = 0;
    // Two threads, one of them always 5 ms late, for a second.
    for index in 0..1000 {
        for late in [0, 5] {
            let verdict = limiter.check(Duration::from_millis(1000 + index - late), peer, 1);
            allowed += u32::from(verdict.is_allowed());
        }
    }
    // The burst, and a second's worth.
    assert_eq!(allowed, 10 + 9);
}

#[test]
fn rates_at_their_ends() {
    let check = |rate, cost: u64| {
        let limits = Limits { host4: Some(rate), ..Limits::NONE };
        let mut limiter = Limiter::with_entries(limits, 64);
        let peer = Ipv4Addr::new(192, 0, 2, 1);
        let now = |index| Duration::from_nanos(index);
        (0..100).filter(|&index| limiter.check(now(index), peer, cost) == Verdict::Allowed).count()
    };
    assert_eq!(check(Rate::new(10, 0), 1), 0);
    assert_eq!(check(Rate::new(10, 0), 0), 100);
    assert_eq!(check(Rate::new(0, 7), 1), 7);
    assert_eq!(check(Rate::new(u32::MAX, 1), 1), 100);
    assert_eq!(check(Rate::new(u32::MAX, u32::MAX), u64::MAX), 0);
    assert_eq!(check(Rate::new(1, u32::MAX), u64::from(u32::MAX) / 2), 2);
    assert_eq!(check(Rate::every(Duration::MAX, 3), 1), 3);
    assert_eq!(check(Rate::every(Duration::from_nanos(10), 1), 1), 10);
    assert_eq!(check(Rate::every(Duration::ZERO, 1), 1), 100);
    // Without limits nothing is kept and nothing refused, and the other family is not meant.
    let mut limiter = Limiter::new(Limits::NONE);
    assert_eq!(limiter.check(micros(0), v6(SITE, 1), u64::MAX), Verdict::Allowed);
    assert_eq!(limiter.status().memory, 0);
}
