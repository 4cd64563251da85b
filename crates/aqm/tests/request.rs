//! Queues of requests: who is served, who is not, and when.

#![allow(clippy::unwrap_used)]

mod common;

use common::ms;
use proptest::prelude::*;
use sixgate_aqm::request::{Config, Requests};
use std::time::Duration;

const START: Duration = Duration::from_secs(1_795_000_000);

/// A server that takes `cost` for each request while one comes every `gap`: how old those served were, and how
/// many were not.
fn serve(config: Config, gap: Duration, cost: Duration, seconds: u64) -> (Vec<Duration>, u64) {
    let mut requests = Requests::new(config);
    let (mut arrival, mut free) = (START, START);
    let mut ages = Vec::new();
    while free < START + Duration::from_secs(seconds) {
        while arrival <= free {
            requests.push(arrival, 0, arrival);
            arrival += gap;
        }
        match requests.pop(free, |_| {}) {
            Some(came) => {
                ages.push(free.checked_sub(came).unwrap());
                free += cost;
            }
            None => free = arrival,
        }
    }
    let counters = requests.counters();
    (ages, counters.stale + counters.refused)
}

#[test]
fn a_server_within_its_means_answers_all() {
    let (ages, lost) = serve(Config::default(), ms(2), Duration::from_micros(1900), 20);
    assert_eq!(lost, 0);
    assert!(ages.iter().all(|age| *age < ms(3)));
}

#[test]
fn in_overload_those_that_are_served_are_fresh_and_the_server_is_never_idle() {
    let (ages, lost) = serve(Config::default(), ms(1), ms(2), 20);
    let settled = &ages[200..];
    let oldest = settled.iter().max().unwrap();
    println!("{} served, {lost} dropped, the oldest after the beginning waited {oldest:?}", ages.len());
    assert!(*oldest <= ms(7), "{oldest:?}");
    assert!(ages.len() >= 9_990, "{}", ages.len());
    // A plain line of the same capacity would be 4,096 requests long: 8 s old.
    assert!((9_900..10_100).contains(&lost), "{lost}");
}

#[test]
fn a_burst_is_served_to_its_end_if_it_does_not_last() {
    let mut requests = Requests::new(Config::default());
    for number in 0..40 {
        requests.push(START, 0, number);
    }
    for number in 0..40 {
        assert_eq!(requests.pop(START + ms(2 * number), |_| unreachable!()), Some(number));
    }
}

#[test]
fn one_that_waited_alone_for_a_slow_server_is_served() {
    let mut requests = Requests::new(Config::default());
    requests.push(START, 0, 1);
    assert_eq!(requests.pop(START + ms(900), |_| {}), Some(1));
    requests.push(START, 0, 2);
    assert_eq!(requests.pop(START + ms(1001), |_| {}), None);
}

#[test]
fn a_flood_stays_in_its_capacity_and_does_not_push_out_what_matters() {
    let mut requests = Requests::new(Config { classes: 2, capacity: 100, ..Config::default() });
    for number in 0..50 {
        assert_eq!(requests.push(START, 0, number), None);
    }
    for number in 50..1_000_000 {
        let turned_away = requests.push(START, 1, number);
        assert_eq!(turned_away.is_some(), number >= 100);
        assert!(requests.len() <= 100);
    }
    // What matters displaces what does not, oldest first, and in the end itself.
    assert_eq!(requests.push(START, 0, 0), Some(999_950));
    let served: Vec<u64> = std::iter::from_fn(|| requests.pop(START, |_| {})).collect();
    assert_eq!(served.len(), 100);
    assert_eq!(served.iter().filter(|number| **number < 50).count(), 51);
    // Nine in ten go to the first class while both wait.
    assert!(served[..18].iter().filter(|number| **number >= 50).count() == 2, "{served:?}");
    assert_eq!(requests.push(START, 9, 1), None);
    let mut full = Requests::new(Config { classes: 2, capacity: 1, ..Config::default() });
    full.push(START, 0, 1);
    assert_eq!(full.push(START, 1, 2), Some(2));
}

proptest! {
    #[test]
    fn books_are_kept(events in prop::collection::vec((0..3_u8, 0..5_usize, 0..300_u64), 0..400)) {
        let mut requests = Requests::new(Config { classes: 3, capacity: 20, ..Config::default() });
        let (mut now, mut turned_away, mut stale) = (START, 0, 0);
        for (what, class, gap) in events {
            now += ms(gap / 10);
            if what < 2 {
                turned_away += u64::from(requests.push(now, class, now).is_some());
            } else if let Some(came) = requests.pop(now, |_| stale += 1) {
                prop_assert!(now.checked_sub(came).unwrap() <= Duration::from_secs(1));
            }
            prop_assert!(requests.len() <= 20);
        }
        let counters = requests.counters();
        prop_assert_eq!((counters.refused, counters.stale), (turned_away, stale));
        prop_assert_eq!(counters.pushed, counters.served + stale + turned_away + requests.len() as u64);
    }
}
