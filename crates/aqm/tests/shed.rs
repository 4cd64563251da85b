//! A server that is asked for much more than it can do, with and without being let choose what it reads.

#![allow(clippy::unwrap_used)]

mod common;

use common::ms;
use sixgate_aqm::request::{Config, Requests};
use sixgate_aqm::shed::Shed;
use std::time::Duration;

const START: Duration = Duration::from_secs(1_795_000_000);
/// What answering costs, and what reading does.
const ANSWER: Duration = Duration::from_micros(20);
const READ: Duration = Duration::from_micros(2);
const QUEUE: Config = Config {
    classes: 2,
    capacity: 4096,
    patience: Duration::from_millis(900),
    target: Duration::from_millis(20),
    interval: Duration::from_millis(100),
};
/// So many first requests and renewals come in a millisecond.
type Load = (u32, u32);

/// One core: reads what has come, then answers some. Serves each load for two seconds; tells of the second half of each how many
/// first requests and renewals were answered in a millisecond, and which share was kept away at its end.
fn serve(shedding: bool, loads: &[Load]) -> Vec<(f64, f64, u16)> {
    let (mut requests, mut shed) = (Requests::new(QUEUE), Shed::default());
    let mut dice = fastrand::Rng::with_seed(7);
    let (mut now, mut arrived) = (START, START);
    let mut told = Vec::new();
    // What waits to be read: the kernel's buffer.
    let mut buffer = std::collections::VecDeque::new();
    for (number, (firsts, renewals)) in (0_u32..).zip(loads) {
        let half = START + ms(2000) * number + ms(1000);
        let end = half + ms(1000);
        let mut answered = [0_u32; 2];
        while now < end {
            while arrived <= now {
                for class in (0..*firsts).map(|_| 1).chain((0..*renewals).map(|_| 0)) {
                    let kept_away = class == 1 && dice.u16(0..1000) < shed.share();
                    if !kept_away && buffer.len() < 4000 {
                        buffer.push_back(class);
                    }
                }
                arrived += ms(1);
            }
            for class in buffer.drain(..buffer.len().min(256)) {
                now += READ;
                requests.push(now, class, class);
            }
            let mut idle = true;
            for _ in 0..64 {
                let Some(class) = requests.pop(now, |_| {}) else { break };
                idle = false;
                now += ANSWER;
                if now >= half {
                    answered[class] += 1;
                }
            }
            if idle {
                now = now.max(arrived);
            }
            if shedding {
                shed.update(now, requests.counters_of(1));
            }
        }
        told.push((f64::from(answered[1]) / 1000.0, f64::from(answered[0]) / 1000.0, shed.share()));
    }
    told
}

#[test]
fn within_its_means_a_server_reads_all() {
    let told = serve(true, &[(20, 0), (40, 0)]);
    for ((firsts, _, share), wanted) in told.into_iter().zip([20.0, 40.0]) {
        assert!((firsts - wanted).abs() < 0.5 && share == 0, "{firsts} of {wanted}, {share}");
    }
}

#[test]
fn asked_for_ten_times_as_much_it_answers_nearly_as_much_as_it_can() {
    // 22 us each: 45 in a millisecond.
    let load = [(450, 0)];
    let plain = serve(false, &load)[0];
    let shed = serve(true, &load)[0];
    println!("without {plain:?}, with {shed:?}");
    assert!(plain.0 < 0.85 * 45.0, "reading alone would not hurt: {plain:?}");
    assert!(shed.0 > 0.95 * 45.0, "{shed:?}");
    assert!(shed.2 > 850, "{shed:?}");
}

#[test]
fn renewals_are_answered_through_a_flood_of_first_requests() {
    let told = serve(true, &[(450, 20)])[0];
    assert!(told.1 > 18.0, "{told:?}");
    assert!(told.0 > 0.8 * 25.0, "{told:?}");
}

#[test]
fn when_the_flood_is_over_all_are_let_in_again() {
    let told = serve(true, &[(450, 0), (20, 0)]);
    assert!(told[0].2 > 800, "{told:?}");
    assert_eq!(told[1].2, 0, "{told:?}");
    assert!((told[1].0 - 20.0).abs() < 0.5, "{told:?}");
}
