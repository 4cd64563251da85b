//! PIE against the rules of RFC 8033 written down slowly, drop for drop and mark for mark, with the same dice.

#![allow(clippy::unwrap_used, clippy::float_cmp, clippy::cast_precision_loss)]

mod common;

use common::codel_line::{packet, structured};
use common::pie_oracle::PieOracle;
use common::{Diary, Event, Fate, ms};
use sixgate_aqm::pie::{Config, Pie};
use std::time::Duration;

#[test]
fn decides_as_the_rfc_says() {
    let mut random = fastrand::Rng::with_seed(8033);
    let mut counts = [0; 3];
    for round in 0..400 {
        let seed = random.u64(..);
        let limit = if round % 3 == 0 { 50 } else { 10_240 };
        let config = Config { packets: limit, ..Config::default() };
        let mut pie = Pie::new(config, fastrand::Rng::with_seed(seed));
        let mut oracle = PieOracle::new(limit, fastrand::Rng::with_seed(seed));
        let (diary, mut number, mut now) = (Diary::default(), 0, Duration::from_secs(1000) + ms(round));
        let mut compared = 0;
        for (gap, event) in structured(&mut random, 1500) {
            now += gap;
            let nanoseconds = u64::try_from(now.as_nanos()).unwrap();
            match event {
                Event::Enqueue(_, octets, ect) => {
                    pie.enqueue(now, packet(number, octets, ect, &diary));
                    oracle.enque(nanoseconds, number, octets.into(), ect);
                    number += 1;
                }
                Event::Dequeue => {
                    if let Some(packet) = pie.dequeue(now) {
                        packet.sent();
                    }
                    oracle.deque(nanoseconds);
                }
            }
            assert_eq!(diary.borrow()[compared..], oracle.fates[compared..], "round {round} at {now:?}");
            compared = oracle.fates.len();
            assert_eq!(pie.probability(), oracle.drop_prob, "round {round} at {now:?}");
        }
        for (count, fate) in counts.iter_mut().zip([Fate::Sent, Fate::Marked, Fate::Dropped]) {
            *count += oracle.fates.iter().filter(|(_, what)| *what == fate).count();
        }
    }
    println!("sent, marked, dropped: {counts:?}");
    assert!(
        counts.iter().zip([10_000, 100, 10_000]).all(|(count, least)| *count > least),
        "traces that show nothing: {counts:?}"
    );
}
