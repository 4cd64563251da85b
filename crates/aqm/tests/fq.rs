//! FQ-CoDel against RFC 8290's rules written down slowly, and what it promises.

#![allow(clippy::unwrap_used)]

mod common;

use common::codel_oracle::{Constants, OraclePacket};
use common::fq_oracle::FqOracle;
use common::{Diary, Event, Fate, Numbered, ms};
use proptest::prelude::*;
use sixgate_aqm::codel::Parameters;
use sixgate_aqm::fq::{Config, Fq, Turn};
use sixgate_aqm::sim::compare::jain;
use sixgate_aqm::{Packet, Secret};
use std::time::Duration;

const SECRET: Secret = Secret([1, 2]);

fn plain(number: u64, flow: u64, octets: u32) -> Numbered {
    Numbered { number, flow, octets, ect: false, marked: false, diary: None }
}

/// Plays a trace to both, and compares after each event.
fn compare(start: Duration, config: Config, trace: &[(Duration, Event)]) -> [usize; 3] {
    let nanoseconds = |time: Duration| u64::try_from(time.as_nanos()).unwrap();
    let constants = Constants {
        TARGET: nanoseconds(config.codel.target),
        INTERVAL: nanoseconds(config.codel.interval),
        MAXPACKET: config.codel.mtu.into(),
        ecn: config.codel.ecn,
        ce_threshold: config.codel.ce_threshold.map(nanoseconds),
    };
    let mut fq = Fq::new(config, SECRET);
    let limits = (config.packets as usize, config.memory);
    let mut oracle =
        FqOracle::new(config.flows as usize, constants, config.quantum.into(), limits, config.batch as usize);
    let diary = Diary::default();
    let (mut elapsed, mut number, mut compared) = (Duration::ZERO, 0, 0);
    for &(gap, event) in trace {
        elapsed += gap;
        let oracle_now = nanoseconds(Duration::from_secs(1000) + elapsed);
        match event {
            Event::Enqueue(flow, octets, ect) => {
                let queue = fq.queue_of(&flow) as usize;
                let diary = Some(diary.clone());
                fq.enqueue(start + elapsed, Numbered { number, flow, octets, ect, marked: false, diary });
                let octets = octets.into();
                oracle.enqueue(queue, OraclePacket { number, tstamp: oracle_now, octets, ect, ce: false });
                number += 1;
            }
            Event::Dequeue => {
                let ours = fq.dequeue(start + elapsed).map(|packet| packet.sent().0);
                assert_eq!(ours, oracle.dequeue(oracle_now), "at {elapsed:?}");
            }
        }
        assert_eq!(diary.borrow()[compared..], oracle.fates[compared..], "at {elapsed:?}");
        compared = oracle.fates.len();
        assert_eq!((fq.packets() as usize, fq.octets()), (oracle.packets(), oracle.bytes()));
    }
    let counters = fq.counters();
    let of = |fate| oracle.fates.iter().filter(|(_, what)| *what == fate).count();
    let counts = [of(Fate::Sent), of(Fate::Marked), of(Fate::Dropped)];
    assert_eq!(counters.enqueued, number);
    assert_eq!(counters.dequeued as usize, counts[0] + counts[1]);
    assert_eq!((counters.dropped + counters.overflowed) as usize, counts[2]);
    assert!(counters.marked + counters.marked_late >= counts[1] as u64);
    assert_eq!(fq.flows().map(|flow| u64::from(flow.packets)).sum::<u64>(), u64::from(fq.packets()));
    // What waits is not dropped by the queue.
    while fq.dequeue(start + elapsed).map(Numbered::sent).is_some() {}
    counts
}

fn config(choice: usize) -> Config {
    let codel = Parameters { ecn: choice.is_multiple_of(2), ..Parameters::default() };
    match choice {
        0 | 1 => Config { flows: 8, packets: 60, quantum: 1514, codel, ..Config::default() },
        2 => Config { flows: 3, memory: 30_000, quantum: 300, batch: 4, codel, ..Config::default() },
        3 => Config { flows: 1, packets: 200, codel, ..Config::default() },
        _ => {
            let codel = Parameters { ce_threshold: Some(ms(3)), target: ms(1), interval: ms(20), ..codel };
            Config { flows: 64, packets: 300, codel, ..Config::default() }
        }
    }
}

/// A link of a packet a millisecond, and sources of several kinds.
fn structured(random: &mut fastrand::Rng, events: usize) -> Vec<(Duration, Event)> {
    let mut trace = Vec::new();
    let (mut now, mut last) = (0_u64, 0);
    let mut next = 0;
    let mut load = 2;
    while trace.len() < events {
        if trace.len() % 400 < 4 {
            load = random.u64(0..6);
        }
        now = if random.u8(..) == 0 {
            now + random.u64(..3_000_000_000)
        } else {
            now + random.u64(..1_000_000)
        };
        for _ in 0..random.u64(..=load) {
            // One fat flow, some that share, many that send little.
            let flow = match random.u8(..8) {
                0..4 => 0,
                4..7 => random.u64(1..5),
                _ => random.u64(5..500),
            };
            let octets = if flow < 5 { 1514 } else { random.u32(40..600) };
            trace.push((Duration::from_nanos(now - last), Event::Enqueue(flow, octets, flow % 2 == 0)));
            last = now;
        }
        if now >= next {
            trace.push((Duration::from_nanos(now - last), Event::Dequeue));
            last = now;
            next = now + 1_000_000;
        }
    }
    trace
}

#[test]
fn schedules_marks_and_drops_as_written() {
    let mut random = fastrand::Rng::with_seed(8290);
    let mut all = [0; 3];
    for round in 0..500 {
        let trace = structured(&mut random, 2000);
        let edge = [0, 1 << 32, 1_000_000 << 32, 1 << 63][round % 4];
        let start = Duration::from_nanos(edge).saturating_sub(ms(500));
        for (sum, count) in all.iter_mut().zip(compare(start, config(round % 5), &trace)) {
            *sum += count;
        }
    }
    println!("sent, marked, dropped: {all:?}");
    assert!(all.iter().all(|&count| count > 2_000), "traces that show nothing: {all:?}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, ..ProptestConfig::default() })]
    #[test]
    fn schedules_marks_and_drops_as_written_on_any_trace(
        choice in 0..5_usize,
        trace in prop::collection::vec(
            (
                prop_oneof![Just(0), Just(100_000_000), 0..5_000_000_u64, 0..500_000_000_u64],
                prop_oneof![
                    3 => (0..12_u64, 40..9000_u32, any::<bool>())
                        .prop_map(|(flow, octets, ect)| Event::Enqueue(flow, octets, ect)),
                    2 => Just(Event::Dequeue),
                ],
            )
            .prop_map(|(gap, event)| (Duration::from_nanos(gap), event)),
            0..400,
        ),
    ) {
        compare(Duration::from_secs(1), config(choice), &trace);
    }
}

/// Flows of which no two share a queue.
fn apart(fq: &Fq<Numbered>, flows: usize) -> Vec<u64> {
    let mut taken = std::collections::HashSet::new();
    (0..).filter(|flow| taken.insert(fq.queue_of(flow))).take(flows).collect()
}

#[test]
fn flows_that_always_wait_share_to_within_a_quantum() {
    let mut fq = Fq::new(Config::default(), SECRET);
    let flows = apart(&fq, 50);
    let sizes = [1514, 700, 64, 9000];
    // Nobody's packets wait for long: CoDel has nothing to say.
    let now = Duration::from_secs(1);
    let mut sent = vec![0_u64; flows.len()];
    for (index, &flow) in flows.iter().enumerate() {
        for _ in 0..20 {
            fq.enqueue(now, plain(index as u64, flow, sizes[index % 4]));
        }
    }
    for _ in 0..20_000 {
        let packet = fq.dequeue(now).unwrap();
        let index = packet.number;
        sent[index as usize] += u64::from(packet.octets);
        fq.enqueue(now, plain(index, packet.flow, packet.octets));
    }
    let (least, most) = (sent.iter().min().unwrap(), sent.iter().max().unwrap());
    assert!(most - least <= 2 * (1514 + 9000), "{least} to {most}");
    assert!(jain(&sent) > 0.999, "{}", jain(&sent));
}

#[test]
fn a_sparse_flow_waits_for_one_packet_however_many_flows_there_are() {
    let mut fq = Fq::new(Config { packets: 100_000, ..Config::default() }, SECRET);
    let flows = apart(&fq, 201);
    let mut now = Duration::from_secs(1);
    for turn in 0..100 {
        for &flow in &flows[1..] {
            fq.enqueue(now, plain(turn, flow, 1514));
        }
    }
    for _ in 0..1000 {
        fq.dequeue(now).unwrap();
    }
    for _ in 0..20 {
        // The fat flows have had a round since: the sparse one is new again.
        for _ in 0..2 * flows.len() {
            now += Duration::from_micros(10);
            let packet = fq.dequeue(now).unwrap();
            fq.enqueue(now, plain(0, packet.flow, 1514));
        }
        fq.enqueue(now, plain(7, flows[0], 100));
        assert_eq!(fq.dequeue(now).unwrap().flow, flows[0]);
    }
}

#[test]
fn a_flow_that_pauses_a_little_does_not_starve_the_others() {
    let mut fq = Fq::new(Config::default(), SECRET);
    let flows = apart(&fq, 2);
    let now = Duration::from_secs(1);
    for number in 0..1000 {
        fq.enqueue(now, plain(number, flows[1], 1514));
    }
    let mut greedy = 0_u64;
    for _ in 0..1000 {
        // It sends its next packet only when it has none: new each time, if that were all.
        if !fq.flows().any(|flow| flow.queue == fq.queue_of(&flows[0]) && flow.packets > 0) {
            fq.enqueue(now, plain(0, flows[0], 1514));
        }
        greedy += u64::from(fq.dequeue(now).unwrap().flow == flows[0]);
    }
    assert!((490..=510).contains(&greedy), "{greedy}");
}

#[test]
fn a_flow_that_overflows_loses_its_own_packets_from_the_head() {
    let diary = Diary::default();
    let mut fq = Fq::new(Config { packets: 100, ..Config::default() }, SECRET);
    let flows = apart(&fq, 2);
    let now = Duration::from_secs(1);
    let packet = |number, flow| Numbered { diary: Some(diary.clone()), ..plain(number, flow, 1514) };
    for number in 0..10 {
        assert_eq!(fq.enqueue(now, packet(number, flows[0])), 0);
    }
    for number in 100..190 {
        assert_eq!(fq.enqueue(now, packet(number, flows[1])), 0);
    }
    // Half of 91, rounded up.
    assert_eq!(fq.enqueue(now, packet(190, flows[1])), 46);
    let lost: Vec<_> = diary.borrow().iter().map(|(number, _)| *number).collect();
    assert_eq!(lost, (100..146).collect::<Vec<_>>());
    assert_eq!((fq.counters().overflowed, fq.counters().out_of_memory, fq.packets()), (46, 0, 55));
    while fq.dequeue(now).map(Numbered::sent).is_some() {}
}

#[test]
fn a_million_flows_stay_in_the_limits_and_leave_the_others_alone() {
    let config = Config { memory: 1 << 20, ..Config::default() };
    let mut fq = Fq::new(config, SECRET);
    let mut random = fastrand::Rng::with_seed(1);
    let mut now = Duration::from_secs(1);
    let (mut victim, mut next_victim) = (Vec::new(), 0);
    for index in 0..1_000_000_u64 {
        now += Duration::from_micros(10);
        fq.enqueue(now, plain(1, index + 10, random.u32(40..1514)));
        if index % 100 == 0 {
            // Somebody's call, a packet a millisecond.
            fq.enqueue(now, plain(0, 5, 200));
        }
        assert!(fq.memory() <= 1 << 20 && fq.packets() <= 10_240);
        // The link sends a packet of four that come.
        if index % 4 == 0 {
            let packet = fq.dequeue(now).unwrap();
            if packet.flow == 5 {
                victim.push(index - next_victim * 100);
                next_victim += 1;
            }
        }
    }
    let counters = fq.counters();
    assert_eq!(counters.enqueued, 1_010_000);
    assert_eq!(
        counters.enqueued - counters.dequeued,
        counters.dropped + counters.overflowed + u64::from(fq.packets())
    );
    assert!(counters.out_of_memory > 100_000);
    // With 1,024 queues that are all taken it shares one of them.
    println!("the call: {} of 10,000 packets arrived", victim.len());
    assert!(!victim.is_empty());
}

#[test]
fn three_years_pass() {
    let mut fq = Fq::new(Config { flows: 16, packets: 100, ..Config::default() }, SECRET);
    let mut random = fastrand::Rng::with_seed(3);
    let mut now = Duration::from_secs(1_795_000_000);
    let end = now + Duration::from_hours(3 * 365 * 24);
    let mut number = 0;
    while now < end {
        // Nothing for up to two days, then a burst of half a second at twice the rate.
        now += Duration::from_secs(random.u64(..172_800));
        let before = fq.counters();
        for tick in 0..500 {
            now += ms(1);
            for _ in 0..2 {
                fq.enqueue(now, plain(number, random.u64(..3), 1514));
                number += 1;
            }
            assert!(fq.dequeue(now).is_some());
            if tick == 50 {
                let after = fq.counters();
                assert_eq!(
                    before.dropped, after.dropped,
                    "before an interval has passed, nothing is dropped"
                );
            }
        }
        assert!(fq.counters().dropped > before.dropped);
        while fq.dequeue(now).is_some() {}
        assert_eq!((fq.memory(), fq.octets(), fq.flows().count()), (0, 0, 0));
    }
    assert!(number > 500_000);
}

#[test]
fn what_is_seen_of_a_flow() {
    let mut fq = Fq::new(Config::default(), SECRET);
    let now = Duration::from_secs(1);
    let flows = apart(&fq, 2);
    for _ in 0..3 {
        fq.enqueue(now, plain(0, flows[0], 1000));
    }
    fq.enqueue(now, plain(0, flows[1], 500));
    for _ in 0..2 {
        fq.dequeue(now).unwrap();
    }
    let view: Vec<_> = fq.flows().map(|flow| (flow.turn, flow.packets, flow.octets, flow.deficit)).collect();
    assert_eq!(view, [(Turn::New, 1, 1000, -486), (Turn::New, 1, 500, 1514)]);
    fq.dequeue(now).unwrap();
    let view: Vec<_> = fq.flows().map(|flow| (flow.turn, flow.packets, flow.octets, flow.deficit)).collect();
    assert_eq!(view, [(Turn::New, 0, 0, 1014), (Turn::Old, 1, 1000, 1028)]);
}

/// Packets that need more memory than they are long.
#[derive(Debug)]
struct Heavy(u32);

impl Packet for Heavy {
    type Flow = u32;

    fn flow(&self) -> u32 {
        self.0
    }

    fn octets(&self) -> u32 {
        64
    }

    fn memory(&self) -> u32 {
        if self.0 == 0 { 100_000 } else { 256 }
    }
}

#[test]
fn one_big_packet_makes_room_for_itself_among_many_small_ones() {
    let mut fq = Fq::new(Config { memory: 200_000, ..Config::default() }, SECRET);
    let now = Duration::from_secs(1);
    for flow in 1..=700 {
        fq.enqueue(now, Heavy(flow));
    }
    let dropped = fq.enqueue(now, Heavy(0));
    assert!(dropped > 300 && fq.memory() <= 200_000, "{dropped} {}", fq.memory());
    // Larger than all there is: it goes itself, in the end.
    let mut tiny = Fq::new(Config { memory: 1000, ..Config::default() }, SECRET);
    tiny.enqueue(now, Heavy(1));
    tiny.enqueue(now, Heavy(0));
    assert_eq!((tiny.packets(), tiny.memory()), (0, 0));
}

#[test]
fn packets_without_octets_take_room_too() {
    let mut fq = Fq::new(Config { packets: 10, ..Config::default() }, SECRET);
    let now = Duration::from_secs(1);
    for number in 0..1000 {
        fq.enqueue(now, plain(number, number, 0));
        assert!(fq.packets() <= 10);
    }
    assert_eq!(fq.counters().overflowed, 990);
}
