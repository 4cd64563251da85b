//! What is told of prefixes that come, change and go.

use super::{Lan, START, lifetime, net, options, prefix, secs, started, told};
use sixgate_nd::router::{AdvertisedPrefix, Config};
use sixgate_wire::ndp::NdOption;

#[test]
fn lifetimes_shrink_in_real_time_and_stay_within_the_limits() {
    // A delegation for 7200 and 10000 s that is never renewed.
    let mut lan = started(vec![prefix("2001:db8:0:1::/64", 7200, 10_000)]);
    lan.run_until(START + secs(9_990));
    for (at, _, bytes) in &lan.sent {
        let elapsed = (*at - START).as_secs_f64();
        let (preferred, valid) = told(bytes, "2001:db8:0:1::/64").unwrap();
        assert!(preferred <= 2700 && valid <= 5400 && preferred <= valid, "RFC 9096 section 3.4");
        assert!(f64::from(preferred) <= (7200.0 - elapsed).max(0.0), "never beyond the delegation");
        assert!(f64::from(valid) <= 10_000.0 - elapsed);
    }
    assert_eq!(told(&lan.sent[0].2, "2001:db8:0:1::/64"), Some((2700, 5400)));
    assert_eq!(told(lan.last(), "2001:db8:0:1::/64").unwrap().0, 0);
}

#[test]
fn another_prefix_takes_over_at_once_and_the_old_one_is_told_stale() {
    let mut lan = started(vec![prefix("2001:db8:0:1::/64", 100_000, 200_000)]);
    lan.run_until(START + secs(1000));
    lan.sent.clear();
    lan.router.set_prefixes(lan.now, vec![prefix("2001:db8:f:1::/64", 100_000, 200_000)]);
    let changed = lan.now;
    lan.run_until(changed + secs(36));
    assert_eq!(lan.sent.len(), 3, "a burst");
    assert!(lan.sent[0].0 - changed <= secs(3));
    for (_, _, bytes) in &lan.sent {
        assert_eq!(told(bytes, "2001:db8:0:1::/64"), Some((0, 0)), "RFC 9096 section 3.5");
        assert_eq!(told(bytes, "2001:db8:f:1::/64"), Some((2700, 5400)));
        let stale = options(bytes).into_iter().find_map(|option| match option {
            NdOption::PrefixInformation(p) if p.valid == 0 => Some((p.on_link, p.autonomous)),
            _ => None,
        });
        assert_eq!(stale, Some((true, true)), "flags unchanged");
    }
    // For as long as a host may hold it: 5400 s from when it was told last.
    lan.run_until(changed + secs(4700));
    assert_eq!(told(lan.last(), "2001:db8:0:1::/64"), Some((0, 0)));
    lan.run_until(changed + secs(6100));
    assert_eq!(told(lan.last(), "2001:db8:0:1::/64"), None);
    assert_eq!(lan.router.advertised().len(), 1);
}

#[test]
fn a_prefix_that_comes_back_lives_again() {
    let old = prefix("2001:db8:0:1::/64", 100_000, 200_000);
    let mut lan = started(vec![old]);
    lan.run_until(START + secs(100));
    lan.router.set_prefixes(lan.now, vec![]);
    lan.run_until(START + secs(200));
    assert_eq!(told(lan.last(), "2001:db8:0:1::/64"), Some((0, 0)));
    lan.router.set_prefixes(lan.now, vec![old]);
    lan.run_until(START + secs(204));
    assert_eq!(told(lan.last(), "2001:db8:0:1::/64"), Some((2700, 5400)));
    assert_eq!(lan.router.advertised(), [old]);
}

#[test]
fn another_host_part_is_not_another_prefix() {
    let mut lan = started(vec![prefix("2001:db8:0:1::1/64", 100_000, 200_000)]);
    lan.run_until(START + secs(100));
    lan.sent.clear();
    lan.router.set_prefixes(lan.now, vec![prefix("2001:db8:0:1:aaaa::2/64", 100_000, 200_000)]);
    lan.run_until(START + secs(103));
    assert!(lan.sent.is_empty(), "nothing to tell");
    assert_eq!(lan.router.advertised().len(), 1);
}

#[test]
fn flags_that_change_and_lifetimes_that_are_cut_are_told_at_once() {
    let old = prefix("2001:db8:0:1::/64", 100_000, 200_000);
    for (what, new, loud) in [
        ("the same", old, false),
        ("renewed", prefix("2001:db8:0:1::/64", 300_000, 400_000), false),
        ("P", AdvertisedPrefix { pd_preferred: true, ..old }, true),
        ("not autonomous", AdvertisedPrefix { autonomous: false, ..old }, true),
        ("deprecated", AdvertisedPrefix { preferred_until: START, ..old }, true),
        ("cut", prefix("2001:db8:0:1::/64", 1000, 200_000), true),
    ] {
        let mut lan = started(vec![old]);
        lan.run_until(START + secs(100));
        lan.sent.clear();
        lan.router.set_prefixes(lan.now, vec![new]);
        lan.run_until(START + secs(104));
        assert_eq!(!lan.sent.is_empty(), loud, "{what}");
    }
}

#[test]
fn a_short_delegation_is_told_anew_when_it_is_renewed() {
    // 60 s leases renewed at half time: far shorter than the interval between advertisements.
    let mut lan = started(vec![prefix("2001:db8:0:1::/64", 60, 120)]);
    let mut deprecated_at = START + secs(60);
    for renewal in 1..100u64 {
        let at = START + secs(30 * renewal);
        lan.sent.clear();
        lan.run_until(at);
        lan.router.set_prefixes(at, vec![prefix("2001:db8:0:1::/64", 30 * renewal + 60, 30 * renewal + 120)]);
        lan.run_until(at + secs(4));
        for (at, _, bytes) in &lan.sent {
            deprecated_at =
                deprecated_at.max(*at + secs(u64::from(told(bytes, "2001:db8:0:1::/64").unwrap().0)));
        }
        assert!(deprecated_at > lan.now + secs(30), "hosts keep a preferred address, renewal {renewal}");
    }
}

#[test]
fn a_restart_tells_stale_what_was_advertised_before_the_crash() {
    let mut lan =
        started(vec![prefix("2001:db8:0:1::/64", 100_000, 200_000), prefix("fd00:1::/64", 1000, 2000)]);
    lan.run_until(START + secs(10));
    assert_eq!(lan.records.len(), 1, "recorded once, before the first advertisement");
    let record = lan.records[0].clone();

    let mut lan = Lan::new(Config::default());
    lan.router.restore(START, record.clone());
    lan.router.start(START);
    lan.run_until(START + secs(40));
    assert!(
        lan.sent.iter().all(|(_, _, bytes)| told(bytes, "2001:db8:0:1::/64").is_none()),
        "not yet known which live"
    );
    assert_eq!(lan.router.advertised().len(), 2, "and not forgotten by another crash");
    lan.router.set_prefixes(lan.now, vec![prefix("2001:db8:f:1::/64", 100_000, 200_000), record[1]]);
    lan.run_until(START + secs(50));
    assert_eq!(told(lan.last(), "2001:db8:0:1::/64"), Some((0, 0)));
    assert!(told(lan.last(), "fd00:1::/64").unwrap().0 > 0, "this one lives on");
    assert_eq!(lan.records.last().unwrap().len(), 3);

    // A second crash: the stale one is remembered as stale, for no longer than before.
    let record = lan.records.last().unwrap().clone();
    let mut lan = Lan::new(Config::default());
    lan.router.restore(START + secs(6000), record);
    assert!(lan.router.advertised().iter().all(|p| p.prefix != net("2001:db8:0:1::/64")));
}

#[test]
fn a_prefix_from_before_a_crash_that_dies_before_it_is_told_again_is_told_dead() {
    let old = prefix("2001:db8:0:1::/64", 100_000, 200_000);
    let mut lan = Lan::new(Config::default());
    lan.router.restore(START, vec![old]);
    // The uplink still holds it at first; moments later the ISP says that it has another.
    lan.router.set_prefixes(START, vec![old]);
    lan.router.set_prefixes(START, vec![prefix("2001:db8:f:1::/64", 100_000, 200_000)]);
    lan.router.start(START);
    lan.run_until(START + secs(10));
    assert_eq!(told(lan.last(), "2001:db8:0:1::/64"), Some((0, 0)));
    // The same for one that came back for a moment.
    lan.router.set_prefixes(lan.now, vec![old]);
    lan.router.set_prefixes(lan.now, vec![]);
    lan.run_until(START + secs(20));
    assert_eq!(told(lan.last(), "2001:db8:0:1::/64"), Some((0, 0)));
}

#[test]
fn stale_prefixes_are_bounded() {
    let mut lan = started(vec![]);
    for step in 0..100u64 {
        let text = format!("2001:db8:{step:x}::/64");
        lan.router.set_prefixes(lan.now, vec![prefix(&text, 100_000, 200_000)]);
        let end = lan.now + secs(20);
        lan.run_until(end);
    }
    assert_eq!(lan.router.advertised().len(), 1 + 16);
    assert!(lan.router.counters().stale_evicted >= 80);
    assert!(lan.router.advertised().iter().any(|p| p.prefix == net("2001:db8:62::/64")), "the eldest went");
}

#[test]
fn options_that_do_not_fit_go_into_further_messages() {
    let mut lan = started((0..60).map(|n| prefix(&format!("2001:db8:{n:x}::/64"), 9999, 9999)).collect());
    lan.run_until(START);
    assert_eq!(lan.sent.len(), 2);
    let count: usize = lan.sent.iter().map(|(_, _, bytes)| options(bytes).len()).sum();
    assert_eq!(count, 60);
    assert!(lan.sent.iter().all(|(_, _, bytes)| bytes.len() <= 1240 && lifetime(bytes) == 1800));
}
