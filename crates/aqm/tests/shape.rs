//! The shaper: its rate, what packets count, who gets what, and its limits.

#![allow(clippy::unwrap_used, clippy::cast_precision_loss)]

mod common;

use common::ms;
use proptest::prelude::*;
use sixgate_aqm::classify::{Flow, PureAck, pure_ack};
use sixgate_aqm::shape::{Config, Fairness, Framing, Next, Packet, Segments, Shaper, Tin, Tins};
use sixgate_aqm::{Rate, Secret};
use std::time::Duration;

const START: Duration = Duration::from_secs(1_795_000_000);
const SECRET: Secret = Secret([5, 6]);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Test {
    number: u64,
    hosts: (u64, u64),
    port: u32,
    octets: u32,
    dscp: u8,
    segments: Option<Segments>,
    ack: Option<PureAck>,
}

impl sixgate_aqm::Packet for Test {
    type Flow = Flow;

    fn flow(&self) -> Flow {
        Flow { source: self.hosts.0.into(), destination: self.hosts.1.into(), ports: self.port, protocol: 17 }
    }

    fn octets(&self) -> u32 {
        self.octets
    }
}

impl Packet for Test {
    fn dscp(&self) -> u8 {
        self.dscp
    }

    fn segments(&self) -> Option<Segments> {
        self.segments
    }

    fn pure_ack(&self) -> Option<PureAck> {
        self.ack
    }
}

fn of(number: u64, hosts: (u64, u64), port: u32) -> Test {
    Test { number, hosts, port, octets: 1500, dscp: 0, segments: None, ack: None }
}

fn shaper(config: Config) -> Shaper<Test> {
    Shaper::new(config, SECRET)
}

/// Takes packets as they come out until a time, each time as late as `late` says; refills.
fn drain(
    shaper: &mut Shaper<Test>,
    now: &mut Duration,
    until: Duration,
    mut late: impl FnMut() -> Duration,
    mut refill: impl FnMut(Duration, Test) -> Option<Test>,
) -> Vec<(Duration, Test)> {
    let mut sent = Vec::new();
    while *now < until {
        match shaper.dequeue(*now) {
            Next::Packet(packet) => {
                if let Some(packet) = refill(*now, packet.clone()) {
                    shaper.enqueue(*now, packet);
                }
                sent.push((*now, packet));
            }
            Next::Wait(next) => {
                assert!(next > *now && shaper.poll_timeout() == Some(next));
                *now = next + late();
            }
            Next::Empty => break,
        }
    }
    sent
}

#[test]
fn the_rate_is_exact_whatever_the_sizes_and_however_late_the_caller() {
    for (rate, lateness) in [(20_000_000, 0), (1_000_003, 0), (20_000_000, 8_000), (941_000_000, 300)] {
        let rate = Rate::bits(rate);
        let seconds = Duration::from_secs(if rate > Rate::mbit(100) { 2 } else { 30 });
        let mut shaper = shaper(Config { framing: Framing::ETHERNET, ..Config::new(rate) });
        let mut random = fastrand::Rng::with_seed(1);
        let mut now = START;
        for number in 0..50 {
            shaper.enqueue(now, of(number, (1, 2), number as u32 % 4));
        }
        let mut sizes = random.clone();
        let late = || Duration::from_micros(random.u64(0..=lateness));
        let refill = |_, packet: Test| Some(Test { octets: sizes.u32(64..=1500), ..packet });
        let sent = drain(&mut shaper, &mut now, START + seconds, late, refill);
        let octets: u64 = sent.iter().map(|(_, packet)| Framing::ETHERNET.octets(packet.octets)).sum();
        let took = now.checked_sub(START).unwrap().as_secs_f64();
        let measured = octets as f64 * 8.0 / took / rate.as_bits() as f64;
        println!("{rate}, up to {lateness} us late: {measured:.6} of the rate");
        // A caller that is late at the very end has not asked for what it could have had.
        let tolerance = 1e-3 + lateness as f64 / 30e6;
        assert!((measured - 1.0).abs() < tolerance, "{rate} {lateness}: {measured}");
    }
}

#[test]
fn a_burst_after_silence_is_not_let_out_at_once_and_a_long_pause_is_lost() {
    let mut shaper = shaper(Config::new(Rate::mbit(12)));
    let mut now = START;
    let fill = |shaper: &mut Shaper<Test>, now| {
        for number in 0..200 {
            shaper.enqueue(now, of(number, (1, 2), 3));
        }
    };
    fill(&mut shaper, now);
    let at_once = |shaper: &mut Shaper<Test>, now| {
        let mut packets = 0;
        while let Next::Packet(_) = shaper.dequeue(now) {
            packets += 1;
        }
        packets
    };
    // A packet takes 1 ms.
    assert_eq!(at_once(&mut shaper, now), 1);
    now += ms(5);
    assert_eq!(at_once(&mut shaper, now), 5);
    // The caller was away for a second: what it gets is 10 ms' worth, and the one that is due.
    now += Duration::from_secs(1);
    assert_eq!(at_once(&mut shaper, now), 11);
    while shaper.packets() > 0 {
        now += ms(1);
        at_once(&mut shaper, now);
    }
    now += Duration::from_hours(1);
    fill(&mut shaper, now);
    assert_eq!(at_once(&mut shaper, now), 1);
}

#[test]
fn a_superpacket_counts_as_its_segments_and_is_split_where_it_is_long() {
    let segments = Some(Segments { headers: 60, payload: 1440 });
    let superpacket = |octets| Test { octets, segments, ..of(0, (1, 2), 3) };
    let slow = shaper(Config::new(Rate::mbit(20)));
    assert_eq!(slow.longest_superpacket(), 3000);
    assert!(slow.must_split(&superpacket(3001)) && !slow.must_split(&superpacket(3000)));
    assert!(!slow.must_split(&of(0, (1, 2), 3)));
    let fast = shaper(Config::new(Rate::mbit(1000)));
    assert!(!fast.must_split(&superpacket(65_535)));

    let mut shaper = shaper(Config { framing: Framing::ETHERNET, ..Config::new(Rate::mbit(100)) });
    shaper.enqueue(START, superpacket(60 + 4 * 1440));
    shaper.enqueue(START, of(1, (1, 2), 3));
    assert!(matches!(shaper.dequeue(START), Next::Packet(_)));
    // Four frames of 1,538 octets on the cable.
    let due = START + Duration::from_nanos(4 * 1538 * 80);
    assert_eq!(shaper.dequeue(START), Next::Wait(due));
    assert_eq!(shaper.tins().next().unwrap().counters.octets, 4 * 1538);
}

/// Sends from always full queues; who got how many octets, by `key`.
fn shares(config: Config, packets: &[Test], seconds: u64, key: impl Fn(&Test) -> usize) -> Vec<f64> {
    let mut shaper = shaper(config);
    let mut now = START;
    for packet in packets {
        for _ in 0..5 {
            shaper.enqueue(now, packet.clone());
        }
    }
    let sent = drain(
        &mut shaper,
        &mut now,
        START + Duration::from_secs(seconds),
        || Duration::ZERO,
        |_, packet| Some(packet),
    );
    let mut octets = vec![0.0; packets.iter().map(&key).max().unwrap() + 1];
    let mut sum = 0.0;
    // The first second decides who is busy.
    for (_, packet) in sent.iter().filter(|(at, _)| *at > START + Duration::from_secs(1)) {
        octets[key(packet)] += f64::from(packet.octets);
        sum += f64::from(packet.octets);
    }
    octets.iter().map(|octets| octets / sum).collect()
}

#[test]
fn hosts_share_by_the_side_that_is_asked_for() {
    // Host 1 sends to eight others; host 2 to one of them only.
    let mut packets: Vec<_> = (0..8).map(|number| of(1, (1, 100 + number), 7)).collect();
    packets.push(of(2, (2, 107), 9));
    let sources = |packet: &Test| packet.number as usize;
    let mut config = Config::new(Rate::mbit(20));
    for (fairness, expected) in [
        (Fairness::Flows, 1.0 / 9.0),
        (Fairness::Sources, 0.5),
        (Fairness::Both, 1.0 / (1.0 + 7.0 / 8.0 + 1.0)),
    ] {
        config.fairness = fairness;
        let second = shares(config, &packets, 10, sources)[2];
        println!("{fairness:?}: {second:.4}");
        // Of both: flows to host 107 have 1/8 and 1/2 by their busier ends, seven have 1/8.
        let expected = if fairness == Fairness::Both { 0.5 / (0.5 + 1.0) } else { expected };
        assert!((second - expected).abs() < 0.02, "{fairness:?}: {second} and not {expected}");
    }
    config.fairness = Fairness::Destinations;
    let to = shares(config, &packets, 10, |packet| packet.hosts.1 as usize);
    assert!(to[100..].iter().all(|share| (share - 0.125).abs() < 0.01), "{:?}", &to[100..]);
}

#[test]
fn sizes_do_not_matter_to_fairness() {
    let packets: Vec<_> = (0..4)
        .map(|number| Test { octets: [1500, 300, 64, 1000][number as usize], ..of(number, (number, 9), 1) })
        .collect();
    for share in shares(Config::new(Rate::mbit(50)), &packets, 10, |packet| packet.number as usize) {
        assert!((share - 0.25).abs() < 0.005, "{share}");
    }
}

#[test]
fn a_thousand_flows_of_one_host_cost_the_other_neither_its_half_nor_much_time() {
    let mut packets: Vec<_> = (0..1000).map(|number| of(0, (1, 5), number)).collect();
    packets.push(of(1, (2, 6), 1));
    let config = Config { fairness: Fairness::Sources, packets: 20_000, ..Config::new(Rate::mbit(1000)) };
    let shares = shares(config, &packets, 4, |packet| packet.number as usize);
    assert!((shares[1] - 0.5).abs() < 0.03, "{shares:?}");
}

#[test]
fn tins_have_their_shares_and_what_nobody_wants_is_open_to_each() {
    let tin = |dscp: u8| Test { dscp, ..of(dscp.into(), (dscp.into(), 1), 1) };
    let config = Config { tins: Tins::Diffserv4, ..Config::new(Rate::mbit(20)) };
    let by_dscp = |packet: &Test| usize::from(packet.dscp);
    let all = shares(config, &[tin(0), tin(8), tin(34), tin(46)], 10, by_dscp);
    let expected = [(0, 3.0 / 16.0), (8, 1.0 / 16.0), (34, 0.5), (46, 0.25)];
    for (dscp, share) in expected {
        assert!((all[dscp] - share).abs() < 0.01, "{dscp}: {} and not {share}", all[dscp]);
    }
    for dscp in [0, 8, 34, 46] {
        let alone = shares(config, &[tin(dscp)], 3, by_dscp);
        assert!((alone[usize::from(dscp)] - 1.0).abs() < 1e-9);
    }
    let two = shares(config, &[tin(0), tin(8)], 10, by_dscp);
    assert!((two[8] - 1.0 / 16.0).abs() < 0.01, "{two:?}");
}

#[test]
fn every_dscp_has_the_tin_that_cake_gives_it() {
    let names = [
        (Tin::Bulk, &[1, 8][..]),
        (Tin::Video, &[4, 16, 18, 20, 22, 24, 26, 28, 30, 34, 36, 38]),
        (Tin::Voice, &[32, 40, 44, 46, 48, 56]),
    ];
    for dscp in 0..64 {
        let named =
            names.iter().find(|(_, list)| list.contains(&dscp)).map_or(Tin::BestEffort, |(tin, _)| *tin);
        assert_eq!(Tin::of(dscp), named, "{dscp}");
    }
}

/// Overload by a source that does not slow down: what leaves, and what is counted.
fn overload(ingress: bool) -> (f64, f64) {
    let mut shaper = shaper(Config { ingress, ..Config::new(Rate::mbit(10)) });
    let (mut sent, mut number) = (0, 0);
    for tick in 0..200_000_u64 {
        let now = START + Duration::from_micros(tick * 100);
        // 12 Mbit/s.
        if tick % 10 == 0 {
            shaper.enqueue(now, of(number, (1, 2), 3));
            number += 1;
        }
        while let Next::Packet(_) = shaper.dequeue(now) {
            sent += 1;
        }
    }
    let dropped = number - sent - u64::from(shaper.packets());
    let rate = |packets: u64| packets as f64 * 12_000.0 / 20.0 / 10e6;
    (rate(sent), rate(sent + dropped))
}

#[test]
fn ingress_counts_what_is_dropped() {
    let (sent, all) = overload(false);
    assert!((sent - 1.0).abs() < 0.001 && all > 1.1, "{sent} {all}");
    let (sent, all) = overload(true);
    println!("ingress: {sent:.3} sent, {all:.3} counted");
    // Drops take the place of packets, until the failsafe.
    assert!((2.0 / 3.0..0.95).contains(&sent), "{sent}");
}

#[test]
fn a_flood_is_not_felt_long_after_its_end() {
    let mut shaper = shaper(Config { ingress: true, memory: 30_000, ..Config::new(Rate::mbit(12)) });
    let mut now = START;
    for number in 0..100_000 {
        shaper.enqueue(now, of(number, (1, 2), 3));
    }
    while shaper.packets() > 0 {
        now += ms(1);
        let _ = shaper.dequeue(now);
    }
    now += ms(200);
    for number in 0..10 {
        shaper.enqueue(now, of(number, (1, 2), 4));
    }
    let begin = now;
    let sent = drain(&mut shaper, &mut now, begin + ms(100), || Duration::ZERO, |_, _| None);
    assert_eq!((sent.len(), now), (10, begin + ms(9)));
}

#[test]
fn another_rate_holds_at_once() {
    let mut shaper = shaper(Config::new(Rate::bits(8_000)));
    let mut now = START;
    for number in 0..2000 {
        shaper.enqueue(now, of(number, (1, 2), 3));
    }
    assert!(matches!(shaper.dequeue(now), Next::Packet(_)));
    assert_eq!(shaper.dequeue(now), Next::Wait(START + Duration::from_millis(1500)));
    shaper.set_rate(now, Rate::mbit(12));
    assert_eq!(shaper.dequeue(now), Next::Wait(START + ms(1)));
    let sent = drain(
        &mut shaper,
        &mut now,
        START + Duration::from_secs(1),
        || Duration::ZERO,
        |_, packet| Some(packet),
    );
    assert!((990..=1001).contains(&sent.len()), "{}", sent.len());
    assert_eq!(shaper.config().rate, Rate::mbit(12));
}

#[test]
fn limits_hold_and_the_fattest_pays() {
    let config = Config { memory: 100_000, tins: Tins::Diffserv4, ..Config::new(Rate::mbit(1)) };
    let mut shaper = shaper(config);
    let mut random = fastrand::Rng::with_seed(2);
    for number in 0..5 {
        shaper.enqueue(START, Test { dscp: 46, ..of(number, (7, 7), 7) });
    }
    for number in 0..100_000 {
        let packet =
            Test { octets: random.u32(40..1500), dscp: 8 * random.u8(0..3), ..of(number, (1, 1), 1) };
        shaper.enqueue(START, packet);
        assert!(shaper.memory() <= 100_000);
    }
    let tins: Vec<_> = shaper.tins().collect();
    let voice = tins.iter().find(|view| view.tin == Tin::Voice).unwrap();
    assert_eq!((voice.packets, voice.counters.overflowed), (5, 0));
    let all: u64 = tins.iter().map(|view| view.counters.overflowed + u64::from(view.packets)).sum();
    assert_eq!(all, 100_005);
}

#[test]
fn flows_do_not_share_a_queue_while_their_set_has_room() {
    // 600 flows in 1,024 queues: hashed alone they would be in 454.
    let mut shaper = shaper(Config { fairness: Fairness::Flows, ..Config::new(Rate::mbit(100)) });
    for port in 0..600 {
        shaper.enqueue(START, of(0, (1, 2), port));
    }
    let flows = shaper.tins().next().unwrap().flows;
    println!("600 flows in {flows} queues");
    assert!(flows > 570, "{flows}");
}

fn ack(number: u64, acknowledged: u32, flags: u8, options: &[u8]) -> Test {
    let mut octets = vec![0x45, 0, 0, 0, 0, 0, 0x40, 0, 64, 6, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2];
    octets.extend([0, 80, 1, 0, 0, 0, 0, 9]);
    octets.extend(acknowledged.to_be_bytes());
    octets.extend([(5 + options.len() as u8 / 4) << 4, flags, 1, 0, 0, 0, 0, 0]);
    octets.extend(options);
    let length = octets.len() as u16;
    octets[2..4].copy_from_slice(&length.to_be_bytes());
    Test { octets: 52, ack: pure_ack(&octets), ..of(number, (1, 2), 3) }
}

fn filtered(packets: &[Test], on: bool) -> Vec<u64> {
    let mut shaper = shaper(Config { ack_filter: on, ..Config::new(Rate::mbit(1)) });
    for packet in packets {
        shaper.enqueue(START, packet.clone());
    }
    let mut now = START;
    let sent = drain(&mut shaper, &mut now, START + ms(99), || Duration::ZERO, |_, _| None);
    let counters = shaper.tins().next().unwrap().counters;
    assert_eq!(counters.acks as usize, packets.len() - sent.len());
    assert_eq!(shaper.memory(), 0);
    sent.iter().map(|(_, packet)| packet.number).collect()
}

#[test]
fn acknowledgements_that_say_nothing_new_are_left_out() {
    let plain = |number: u64| ack(number, 1000 * number as u32, 0x10, &[]);
    let row: Vec<_> = (1..=10).map(plain).collect();
    assert_eq!(filtered(&row, false).len(), 10);
    assert_eq!(filtered(&row, true), [1, 10]);
    // Around the end of the sequence numbers too.
    let wrapping: Vec<_> = (0..5)
        .map(|number| ack(number, (u32::MAX - 1500).wrapping_add(1000 * number as u32), 0x10, &[]))
        .collect();
    assert_eq!(filtered(&wrapping, true), [0, 4]);
    let stamp = |value: u8| [1, 1, 8, 10, 0, 0, 0, value, 0, 0, 0, 0];
    let stamped: Vec<_> =
        (1..=5).map(|number| ack(number, 1000 * number as u32, 0x10, &stamp(number as u8))).collect();
    assert_eq!(filtered(&stamped, true), [1, 5]);
}

#[test]
fn acknowledgements_that_might_say_something_stay() {
    let keeps = |what: &str, packets: Vec<Test>| {
        let all: Vec<_> = packets.iter().map(|packet| packet.number).collect();
        let mut sent = filtered(&packets, true);
        // Flows take turns.
        sent.sort_unstable();
        assert_eq!(sent, all, "{what}");
    };
    let plain = |number: u64| ack(number, 1000 * number as u32, 0x10, &[]);
    keeps("duplicates", (0..6).map(|number| ack(number, 1000, 0x10, &[])).collect());
    keeps("backwards", (0..6).map(|number| ack(number, 90_000 - 1000 * number as u32, 0x10, &[])).collect());
    let sack = [1, 1, 5, 10, 0, 0, 0, 1, 0, 0, 0, 2];
    keeps("SACK", (0..6).map(|number| ack(number, 1000 * number as u32, 0x10, &sack)).collect());
    for flags in [0x11, 0x12, 0x14, 0x18, 0x30, 0x90] {
        keeps("flags", (0..6).map(|number| ack(number, 1000 * number as u32, flags, &[])).collect());
    }
    let ece = |number: u64| {
        ack(number, 1000 * number as u32, if number.is_multiple_of(2) { 0x50 } else { 0x10 }, &[])
    };
    keeps("ECE that comes and goes", (0..6).map(ece).collect());
    let others = |number: u64| Test { port: number as u32 % 2, ..plain(number) };
    keeps("two of each connection", (0..4).map(others).collect());
    let data = |number: u64| if number.is_multiple_of(2) { of(number, (1, 2), 3) } else { plain(number) };
    keeps("data between", (0..6).map(data).collect());
    let stamp = |value: u8| [1, 1, 8, 10, 0, 0, 0, value, 0, 0, 0, 0];
    let falling = |number: u64| ack(number, 1000 * number as u32, 0x10, &stamp(200 - number as u8));
    keeps("time stamps that fall", (0..6).map(falling).collect());
}

#[test]
fn three_years_and_the_end_of_time() {
    let rate = Rate::mbit(12);
    let starts = [
        START,
        Duration::from_nanos(u64::MAX).saturating_sub(ms(30)),
        Duration::MAX.saturating_sub(Duration::from_hours(1)),
    ];
    for (index, start) in starts.into_iter().enumerate() {
        let mut shaper = shaper(Config { tins: Tins::Diffserv4, ..Config::new(rate) });
        let mut now = start;
        let pauses = if index == 0 { 1100 } else { 2 };
        for _ in 0..pauses {
            for number in 0..60 {
                shaper.enqueue(now, Test { dscp: 8 * (number % 4) as u8, ..of(number, (1, 2), 3) });
            }
            let begin = now;
            let sent =
                drain(&mut shaper, &mut now, begin + Duration::from_secs(9), || Duration::ZERO, |_, _| None);
            assert_eq!(sent.len(), 60, "from {begin:?}");
            assert_eq!(now, begin + ms(59));
            now += if index == 0 { Duration::from_hours(24) } else { ms(10) };
        }
    }
    // Time that is over: no panic, and what was sent at once is all.
    let mut shaper = shaper(Config::new(rate));
    for number in 0..3 {
        shaper.enqueue(Duration::MAX, of(number, (1, 2), 3));
    }
    assert!(matches!(shaper.dequeue(Duration::MAX), Next::Packet(_)));
    assert_eq!(shaper.dequeue(Duration::MAX), Next::Wait(Duration::MAX));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]
    /// Whatever happens: no packet is lost from the books, none is sent before its time, limits hold, and flows
    /// keep their order.
    #[test]
    fn books_are_kept(
        ingress: bool,
        ack_filter: bool,
        tins in prop_oneof![Just(Tins::One), Just(Tins::Diffserv4)],
        fairness in prop_oneof![Just(Fairness::Flows), Just(Fairness::Both)],
        kilobits in 8..100_000_u64,
        events in prop::collection::vec((0..4_u8, any::<u16>(), 0..20_000_u64), 0..600),
    ) {
        let rate = Rate::bits(kilobits * 1000);
        let config = Config {
            ingress, ack_filter, tins, fairness, packets: 100, memory: 60_000, flows: 16, ..Config::new(rate)
        };
        let mut shaper = shaper(config);
        let (mut now, mut number, mut sent) = (START, 0_u64, 0_u64);
        let mut last = std::collections::HashMap::new();
        let mut octets = 0_u64;
        for (what, how, gap) in events {
            now += Duration::from_micros(gap);
            if what < 2 {
                let flow = u64::from(how % 7);
                let mut packet = of(number, (flow, flow % 3), 1);
                packet.octets = 40 + u32::from(how % 1400);
                packet.dscp = (flow * 8) as u8;
                if flow == 0 {
                    packet.ack = ack(0, number as u32, 0x10, &[]).ack;
                }
                if flow == 6 {
                    packet.octets = how.into();
                    packet.segments = Some(Segments { headers: 40, payload: u32::from(how) / 3 });
                }
                shaper.enqueue(now, packet);
                number += 1;
            } else {
                match shaper.dequeue(now) {
                    Next::Packet(packet) => {
                        sent += 1;
                        octets += u64::from(packet.octets);
                        let before = last.insert(packet.hosts, packet.number);
                        prop_assert!(before < Some(packet.number), "order");
                    }
                    Next::Wait(until) => prop_assert!(until > now && shaper.packets() > 0),
                    Next::Empty => prop_assert_eq!((shaper.packets(), shaper.memory()), (0, 0)),
                }
            }
            prop_assert!(shaper.packets() <= 100 && shaper.memory() <= 60_000);
            let waiting: u32 = shaper.tins().map(|view| view.packets).sum();
            prop_assert_eq!(waiting, shaper.packets());
        }
        let sum = |of: fn(&sixgate_aqm::shape::Counters) -> u64| shaper.tins().map(|view| of(&view.counters)).sum::<u64>();
        prop_assert_eq!(sum(|counters| counters.enqueued), number);
        prop_assert_eq!(sum(|counters| counters.dequeued), sent);
        let lost = sum(|counters| counters.dropped + counters.overflowed + counters.acks);
        prop_assert_eq!(sent + lost + u64::from(shaper.packets()), number);
        // Never faster than the rate, 10 ms of lateness and the last packet apart.
        let allowed = rate.octets_in(now.checked_sub(START).unwrap() + ms(10)) + 65_535;
        prop_assert!(octets <= allowed, "{} {}", octets, allowed);
    }
}
