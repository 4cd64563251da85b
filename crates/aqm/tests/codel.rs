//! CoDel against RFC 8289's pseudocode, drop for drop and mark for mark, and against closed forms.

#![allow(clippy::unwrap_used, clippy::cast_precision_loss, clippy::cast_sign_loss)]

mod common;

use common::codel_line::{Line, choices, packet, structured};
use common::codel_oracle::{CodelState, Constants, OraclePacket};
use common::{Diary, Event, Fate, Numbered, ms};
use proptest::prelude::*;
use sixgate_aqm::codel::{Codel, Parameters};
use std::collections::VecDeque;
use std::time::Duration;

/// Plays a trace to both; compares after each event. Returns how many packets were sent, marked, dropped.
fn compare(start: Duration, parameters: &Parameters, trace: &[(Duration, Event)]) -> [usize; 3] {
    let nanoseconds = |time: Duration| u64::try_from(time.as_nanos()).unwrap();
    let constants = Constants {
        TARGET: nanoseconds(parameters.target),
        INTERVAL: nanoseconds(parameters.interval),
        MAXPACKET: parameters.mtu.into(),
        ecn: parameters.ecn,
        ce_threshold: parameters.ce_threshold.map(nanoseconds),
    };
    let diary = Diary::default();
    let (mut codel, mut line) = (Codel::default(), Line::default());
    let (mut state, mut queue, mut bytes) = (CodelState::default(), VecDeque::new(), 0);
    let (mut fates, mut compared) = (Vec::new(), 0);
    // The oracle's clock begins late enough that 0 is no time.
    let offset = Duration::from_secs(1000);
    let (mut elapsed, mut number) = (Duration::ZERO, 0);
    for &(gap, event) in trace {
        elapsed += gap;
        let now = start + elapsed;
        let oracle_now = nanoseconds(offset + elapsed);
        match event {
            Event::Enqueue(_, octets, ect) => {
                line.push(now, packet(number, octets, ect, &diary));
                let octets = u64::from(octets);
                queue.push_back(OraclePacket { number, tstamp: oracle_now, octets, ect, ce: false });
                bytes += octets;
                number += 1;
            }
            Event::Dequeue => {
                if let Some(packet) = codel.dequeue(now, parameters, &mut line) {
                    packet.sent();
                }
                if let Some(p) = state.deque(oracle_now, &constants, &mut queue, &mut bytes, &mut fates) {
                    fates.push((p.number, if p.ce { Fate::Marked } else { Fate::Sent }));
                }
                assert_eq!(codel.count(), state.count_, "at {elapsed:?}");
            }
        }
        assert_eq!(diary.borrow()[compared..], fates[compared..], "at {elapsed:?}");
        compared = fates.len();
        assert_eq!(line.octets, bytes);
    }
    let of = |fate| fates.iter().filter(|(_, what)| *what == fate).count();
    let counts = [of(Fate::Sent), of(Fate::Marked), of(Fate::Dropped)];
    for (packet, _) in line.packets.drain(..) {
        packet.sent();
    }
    counts
}

#[test]
fn decides_as_the_pseudocode_on_thousands_of_structured_traces() {
    let mut random = fastrand::Rng::with_seed(8289);
    let mut all = [0; 3];
    for round in 0..2000 {
        let trace = structured(&mut random, 1500);
        let parameters = choices()[round % 5];
        // Wherever the clock stands, its edges included.
        let edge = [0, 1 << 32, 1_000_000 << 32, 1 << 63][round % 4];
        let start = Duration::from_nanos(edge).saturating_sub(Duration::from_millis(random.u64(..3000)));
        for (sum, count) in all.iter_mut().zip(compare(start, &parameters, &trace)) {
            *sum += count;
        }
    }
    println!("sent, marked, dropped: {all:?}");
    assert!(all.iter().all(|&count| count > 20_000), "traces that show nothing: {all:?}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]
    #[test]
    fn decides_as_the_pseudocode_on_any_trace(
        choice in 0..5_usize,
        trace in prop::collection::vec(
            (
                prop_oneof![
                    Just(0), Just(5_000_000), Just(100_000_000), Just(99_999_999), 0..2_000_000_u64,
                    0..500_000_000_u64,
                ],
                prop_oneof![
                    (40..9000_u32, any::<bool>()).prop_map(|(octets, ect)| Event::Enqueue(0, octets, ect)),
                    Just(Event::Dequeue),
                ],
            )
            .prop_map(|(gap, event)| (Duration::from_nanos(gap), event)),
            0..400,
        ),
    ) {
        compare(Duration::from_secs(1), &choices()[choice], &trace);
    }
}

/// Twice as many packets as can be sent, for a time: when were packets dropped or marked?
fn overload(ecn: bool, seconds: u64) -> Vec<Duration> {
    let parameters = Parameters { ecn, ..Parameters::default() };
    let diary = Diary::default();
    let (mut codel, mut line) = (Codel::default(), Line::default());
    let mut when = Vec::new();
    for tick in 0..seconds * 1000 {
        let now = Duration::from_secs(5) + ms(tick);
        for part in 0..2 {
            line.push(now, packet(2 * tick + part, 1514, ecn, &diary));
        }
        let before = diary.borrow().len();
        let Some(packet) = codel.dequeue(now, &parameters, &mut line) else { continue };
        packet.sent();
        let new = diary.borrow()[before..].to_vec();
        when.extend(new.iter().filter(|(_, fate)| *fate != Fate::Sent).map(|_| now));
    }
    for (packet, _) in line.packets.drain(..) {
        packet.sent();
    }
    when
}

#[test]
fn the_kth_gap_is_an_interval_divided_by_the_root_of_k() {
    for ecn in [false, true] {
        let drops = overload(ecn, 4);
        // The queue grows by a packet a millisecond: the tenth waits the target of 5 ms, and 100 ms later the
        // first is dropped.
        let first = drops[0].checked_sub(Duration::from_secs(5)).unwrap();
        assert!((ms(105)..=ms(112)).contains(&first), "{first:?}");
        let mut due = drops[0].as_secs_f64();
        for (k, pair) in drops.windows(2).enumerate() {
            due += 0.1 / ((k + 1) as f64).sqrt();
            let late = pair[1].as_secs_f64() - due;
            // Decisions fall on whole milliseconds.
            assert!((-1e-6..0.001_001).contains(&late), "{ecn} {k}: {late}");
        }
        assert!(drops.len() > 300, "{}", drops.len());
    }
}

#[test]
fn dropping_begins_again_at_the_pace_where_it_ended() {
    let parameters = Parameters::default();
    let begin_again = |pause: Duration| {
        let diary = Diary::default();
        let (mut codel, mut line, mut number) = (Codel::default(), Line::default(), 0);
        let mut now = Duration::from_secs(1);
        let mut overload =
            |now: &mut Duration, codel: &mut Codel, line: &mut Line, until: &dyn Fn(&Codel) -> bool| {
                while !until(codel) {
                    *now += ms(1);
                    for _ in 0..2 {
                        line.push(*now, packet(number, 1514, false, &diary));
                        number += 1;
                    }
                    codel.dequeue(*now, &parameters, line).map(Numbered::sent);
                }
            };
        overload(&mut now, &mut codel, &mut line, &|codel| codel.count() == 30);
        while let Some(packet) = codel.dequeue(now, &parameters, &mut line) {
            packet.sent();
        }
        assert!(!codel.is_dropping());
        now += pause;
        overload(&mut now, &mut codel, &mut line, &Codel::is_dropping);
        let count = codel.count();
        while let Some(packet) = codel.dequeue(now, &parameters, &mut line) {
            packet.sent();
        }
        count
    };
    let soon = begin_again(ms(500));
    assert!((28..=31).contains(&soon), "{soon}");
    assert_eq!(begin_again(ms(1700)), 1);
}

#[test]
fn a_standing_clock_and_one_that_ran_backwards_drop_nothing() {
    let parameters = Parameters { target: Duration::from_nanos(1), interval: ms(1), ..Parameters::default() };
    let diary = Diary::default();
    let (mut codel, mut line) = (Codel::default(), Line::default());
    let now = Duration::from_secs(10);
    for number in 0..1000 {
        line.push(now, packet(number, 1514, false, &diary));
    }
    for step in 0..1000 {
        let now = now.saturating_sub(ms(step % 2));
        codel.dequeue(now, &parameters, &mut line).unwrap().sent();
    }
    assert!(diary.borrow().iter().all(|(_, fate)| *fate == Fate::Sent));
}

#[test]
fn at_the_end_of_time_it_still_lets_packets_through() {
    let diary = Diary::default();
    let (mut codel, mut line) = (Codel::default(), Line::default());
    let extreme = Parameters { target: Duration::MAX, interval: Duration::MAX, ..Parameters::default() };
    for parameters in [Parameters::default(), extreme] {
        for number in 0..1000 {
            let now = Duration::MAX.saturating_sub(ms(1000 - number));
            for _ in 0..2 {
                line.push(now, packet(number, 1514, false, &diary));
            }
            codel.dequeue(now, &parameters, &mut line).unwrap().sent();
        }
    }
    for _ in 0..10 {
        codel.dequeue(Duration::MAX, &extreme, &mut line).unwrap().sent();
    }
    line.packets.clear();
}
