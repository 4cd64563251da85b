//! When advertisements are sent, and in answer to what.

use super::{HOST, Lan, START, prefix, secs, solicitation, started, told};
use core::time::Duration;
use sixgate_nd::router::{Action, AdvertisedPrefix, Config, Router};
use sixgate_wire::ndp::{ALL_NODES, HOP_LIMIT};
use std::net::Ipv6Addr;

#[test]
fn initial_burst_then_the_configured_intervals() {
    let mut lan = started(vec![]);
    lan.run_until(START + secs(3600 * 24));
    let times = lan.multicast_times();
    assert_eq!(times[0], Duration::ZERO);
    for pair in times.windows(2).take(2) {
        assert_eq!(pair[1] - pair[0], secs(16), "the default intervals are all above the initial one");
    }
    for pair in times.windows(2).skip(2) {
        assert!((secs(200)..=secs(600)).contains(&(pair[1] - pair[0])), "{:?}", pair[1] - pair[0]);
    }
    // 24 h by 400 s on average.
    assert!((180..260).contains(&times.len()), "{}", times.len());
    assert!(times.windows(3).skip(3).any(|t| t[2] - t[1] != t[1] - t[0]), "intervals are random");
}

#[test]
fn three_years_of_advertisements_never_stop() {
    let mut lan = Lan::new(Config { router_lifetime: secs(9000), ..Config::default() });
    let for_ever = AdvertisedPrefix {
        valid_until: Duration::MAX,
        preferred_until: Duration::MAX,
        ..prefix("2001:db8::/64", 0, 0)
    };
    lan.router.set_prefixes(START, vec![for_ever]);
    lan.router.set_default_route(START, true);
    lan.router.start(START);
    let end = START + secs(3 * 366 * 86400);
    lan.run_until(end);
    let times = lan.multicast_times();
    assert!(times.windows(2).all(|pair| pair[1] - pair[0] <= secs(600)));
    assert!(end - START - *times.last().unwrap() <= secs(600));
    // 2^31 and 2^32 ms are 24.9 and 49.7 days: well inside, and nothing changed there.
    assert!(lan.sent.iter().all(|(_, _, bytes)| told(bytes, "2001:db8::/64") == Some((2700, 5400))));
}

#[test]
fn the_rate_limit_holds_under_a_flood_of_solicitations() {
    let mut lan = started(vec![]);
    lan.run_until(START + secs(100));
    lan.sent.clear();
    for step in 0..10_000u32 {
        let end = lan.now + Duration::from_millis(10);
        lan.run_until(end);
        let source = Ipv6Addr::from(u128::from(HOST) + u128::from(step));
        lan.receive(source, HOP_LIMIT, &solicitation(true));
        lan.receive(Ipv6Addr::UNSPECIFIED, HOP_LIMIT, &solicitation(false));
    }
    let times = lan.multicast_times();
    assert!(times.len() > 20, "somebody is answered: {}", times.len());
    assert!(times.windows(2).all(|pair| pair[1] - pair[0] >= secs(3)), "MIN_DELAY_BETWEEN_RAS");
    // 100 s at ten a second, and the burst.
    let unicast = lan.sent.iter().filter(|(_, to, _)| *to != ALL_NODES).count();
    assert!(unicast <= 64 + 1000, "{unicast}");
    assert!(lan.router.counters().unicast_refused > 0);
}

#[test]
fn a_host_with_an_address_is_answered_alone_within_half_a_second() {
    for seed in 0..50 {
        let mut lan = started(vec![]);
        lan.router = Router::new(Config::default(), fastrand::Rng::with_seed(seed));
        lan.router.start(START);
        lan.run_until(START + secs(100));
        lan.sent.clear();
        lan.receive(HOST, HOP_LIMIT, &solicitation(true));
        lan.receive(HOST, HOP_LIMIT, &solicitation(true));
        let asked = lan.now;
        lan.run_until(asked + secs(1));
        assert_eq!(lan.sent.len(), 1, "asked twice, answered once");
        assert_eq!(lan.sent[0].1, HOST);
        assert!(lan.sent[0].0 - asked <= Duration::from_millis(500));
    }
}

#[test]
fn a_host_without_an_address_is_answered_by_multicast() {
    let mut lan = started(vec![]);
    lan.run_until(START + secs(100));
    lan.sent.clear();
    lan.receive(Ipv6Addr::UNSPECIFIED, HOP_LIMIT, &solicitation(false));
    lan.run_until(START + secs(101));
    assert_eq!(lan.sent.len(), 1);
    assert_eq!(lan.sent[0].1, ALL_NODES);
    // And once more at once: the rate limit makes it wait.
    let first = lan.sent[0].0;
    lan.receive(Ipv6Addr::UNSPECIFIED, HOP_LIMIT, &solicitation(false));
    lan.run_until(START + secs(110));
    let wait = lan.sent[1].0 - first;
    assert!(wait >= secs(3) && wait <= Duration::from_millis(3500), "{wait:?}");
}

#[test]
fn an_off_link_source_draws_no_unicast_answer() {
    let mut lan = started(vec![prefix("2001:db8:0:1::/64", 1000, 2000)]);
    lan.run_until(START + secs(100));
    lan.sent.clear();
    lan.receive("2001:db8:0:1::7".parse().unwrap(), HOP_LIMIT, &solicitation(true));
    lan.receive("2001:db8:ffff::7".parse().unwrap(), HOP_LIMIT, &solicitation(true));
    lan.run_until(START + secs(102));
    let destinations: Vec<_> = lan.sent.iter().map(|(_, to, _)| *to).collect();
    assert!(destinations.contains(&ALL_NODES));
    assert!(!destinations.contains(&"2001:db8:ffff::7".parse().unwrap()));
}

#[test]
fn invalid_solicitations_are_discarded() {
    let mut lan = started(vec![]);
    lan.run_until(START + secs(100));
    lan.sent.clear();
    let mut zero_option = solicitation(true);
    zero_option[9] = 0;
    let mut coded = solicitation(true);
    coded[1] = 1;
    let table: &[(Ipv6Addr, u8, &[u8], &str)] = &[
        (HOST, 64, &solicitation(true), "hop limit"),
        (HOST, 254, &solicitation(true), "hop limit"),
        (Ipv6Addr::UNSPECIFIED, 255, &solicitation(true), "link-layer address of nobody"),
        (ALL_NODES, 255, &solicitation(true), "multicast source"),
        (HOST, 255, &zero_option, "option of length zero"),
        (HOST, 255, &coded, "code"),
        (HOST, 255, &solicitation(true)[..7], "cut short"),
    ];
    for (source, hop_limit, bytes, what) in table {
        let before = lan.router.counters().invalid;
        lan.receive(*source, *hop_limit, bytes);
        assert_eq!(lan.router.counters().invalid, before + 1, "{what}");
    }
    lan.run_until(START + secs(103));
    assert!(lan.sent.is_empty());
    assert_eq!(lan.router.counters().solicitations, 0);
}

#[test]
fn out_of_range_intervals_do_not_break_the_rate_limit() {
    let config = Config { min_interval: Duration::ZERO, max_interval: Duration::ZERO, ..Config::default() };
    let mut lan = Lan::new(config);
    lan.router.start(START);
    lan.run_until(START + secs(100));
    assert!(lan.multicast_times().windows(2).all(|pair| pair[1] - pair[0] >= secs(3)));
}

#[test]
fn the_end_of_time_is_survived() {
    let mut lan = started(vec![prefix("2001:db8::/64", 100, 100)]);
    lan.now = Duration::MAX;
    let mut actions = Vec::new();
    lan.router.handle_timeout(Duration::MAX, &mut actions);
    lan.router.handle(Duration::MAX, HOST, 255, &solicitation(true), &mut actions);
    lan.router.set_prefixes(Duration::MAX, vec![]);
    lan.router.stop(Duration::MAX, &mut actions);
    assert!(actions.iter().any(|action| matches!(action, Action::Send { .. })));
}
