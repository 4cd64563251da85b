//! What FQ-CoDel promises (RFC 8290 sections 5 and 6), in a simulated network: 20 Mbit/s down and 5 up, 40 ms,
//! four TCP connections each way and a probe.

#![allow(clippy::unwrap_used, clippy::cast_precision_loss)]

mod common;

use common::ms;
use sixgate_aqm::shape::{Config, Fairness, Framing, Shaper, Tins};
use sixgate_aqm::sim::compare::{Load, Outcome, Which, jain, under_load};
use sixgate_aqm::sim::{Control, DOWN, Fifo, Sim, UP, Wire, percentile};
use sixgate_aqm::{Rate, Secret};
use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

const SECRET: Secret = Secret([3, 4]);
/// How long what is measured takes, after as long a time to settle.
const MEASURED: Duration = Duration::from_secs(30);

/// A shaper before a link that is a little faster and has a deep buffer of its own.
fn shaped(sim: &mut Sim, path: usize, config: Config) -> Rc<RefCell<(Shaper<Wire>, u64)>> {
    let shared = Rc::new(RefCell::new((Shaper::new(config, SECRET), 0)));
    sim.stage(path, shared.clone(), Rate::mbit(1000));
    sim.stage(path, Fifo::new(1_500_000), config.rate.times(1.02));
    shared
}

fn four_and_four(which: Which, control: Control, ecn: bool) -> Outcome {
    let outcome = under_load(which, &Load { control, ecn, ..Load::default() });
    let ms = outcome.added.map(|added| added.as_secs_f64() * 1e3);
    println!(
        "{:9} {control:?} ecn {ecn:5}: added latency p50 {:7.1} ms, p95 {:7.1} ms, p99 {:7.1} ms; \
         down {:.3}, up {:.3} of the rate; Jain {:.4}, {:.4}; lost {:?}, marked {:?}",
        which.name(),
        ms[0],
        ms[1],
        ms[2],
        outcome.used[0],
        outcome.used[1],
        outcome.fairness[0],
        outcome.fairness[1],
        outcome.lost,
        outcome.marked,
    );
    outcome
}

/// What waits below this in 95 cases of a hundred.
fn p95(outcome: &Outcome) -> Duration {
    outcome.added[1]
}

fn keeps_its_promises(which: Which, control: Control, ecn: bool) {
    let (bad, good) = (four_and_four(Which::Fifo, control, false), four_and_four(which, control, ecn));
    let ratio = p95(&bad).as_secs_f64() / p95(&good).as_secs_f64();
    println!("p95 with FIFO / with {}: {ratio:.0}", which.name());
    assert!(ratio >= 30.0, "{ratio}");
    assert!(p95(&good) < ms(10), "{:?}", p95(&good));
    assert!(good.used.iter().all(|&used| used >= 0.9), "{:?}", good.used);
    assert!(good.fairness.iter().all(|&fair| fair > 0.98), "{:?}", good.fairness);
}

#[test]
fn fq_codel_against_fifo_with_reno() {
    keeps_its_promises(Which::FqCodel, Control::Reno, false);
}

#[test]
fn fq_codel_against_fifo_with_cubic() {
    keeps_its_promises(Which::FqCodel, Control::Cubic, false);
}

#[test]
fn fq_codel_with_marks() {
    keeps_its_promises(Which::FqCodel, Control::Cubic, true);
}

#[test]
fn the_shaper_before_a_deep_buffer() {
    keeps_its_promises(Which::Shaper, Control::Reno, true);
}

/// A queue without flows keeps its delay short; only flows make it vanish for the sparse.
#[test]
fn codel_and_pie_are_far_better_than_fifo_and_worse_than_flows() {
    let of = |which| four_and_four(which, Control::Reno, false);
    let (fifo, flows) = (p95(&of(Which::Fifo)), p95(&of(Which::FqCodel)));
    for which in [Which::Codel, Which::Pie] {
        let outcome = of(which);
        assert!(p95(&outcome) * 10 < fifo && p95(&outcome) > flows * 5, "{which:?} {outcome:?}");
        assert!(outcome.used.iter().all(|&used| used > 0.8), "{which:?} {outcome:?}");
    }
}

/// One host has sixteen connections, another has one: each gets half.
#[test]
fn hosts_share_whatever_the_number_of_their_connections() {
    for (fairness, least, most) in [(Fairness::Both, 0.45, 0.55), (Fairness::Flows, 0.04, 0.08)] {
        let mut sim = Sim::new(ms(40));
        shaped(&mut sim, UP, Config { fairness, ..Config::new(Rate::mbit(20)) });
        for number in 0..17 {
            sim.sender(UP, Control::Cubic, false, if number == 0 { 1 } else { 2 }, ms(50 * number));
        }
        sim.run(MEASURED / 2, |_| {});
        let before = sim.arrived();
        sim.run(MEASURED, |_| {});
        let shares: Vec<_> = sim.arrived().iter().zip(before).map(|(now, before)| now - before).collect();
        let share = shares[0] as f64 / shares.iter().sum::<u64>() as f64;
        println!("{fairness:?}: one connection against sixteen has {share:.3}");
        assert!((least..most).contains(&share), "{fairness:?}: {share}");
        assert!(jain(&shares[1..]) > 0.98, "{fairness:?}: {}", jain(&shares[1..]));
    }
}

/// What is marked as voice stays quick on a link so slow that best effort has to wait, and bulk gives way.
#[test]
fn tins_keep_voice_quick_and_bulk_out_of_the_way() {
    let mut sim = Sim::new(ms(40));
    let config =
        Config { tins: Tins::Diffserv4, framing: Framing::ETHERNET_FRAME, ..Config::new(Rate::mbit(5)) };
    shaped(&mut sim, DOWN, config);
    for number in 0..4 {
        sim.sender(DOWN, Control::Cubic, false, number, ms(0));
        sim.sender_of(DOWN, Control::Cubic, false, (10 + number, 8), ms(0));
    }
    sim.probe_every(ms(20), 46);
    sim.run(MEASURED, |_| {});
    let arrived = sim.arrived();
    let (effort, bulk): (Vec<_>, Vec<_>) = (0..8).partition(|index| index % 2 == 0);
    let sum = |which: &[usize]| which.iter().map(|&index| arrived[index]).sum::<u64>() as f64;
    let share = sum(&bulk) / (sum(&bulk) + sum(&effort));
    let p95 = percentile(sim.samples.iter().map(|sample| sample.added), 95);
    println!("bulk has {share:.3}; voice p95 {p95:?}");
    assert!((0.05..0.09).contains(&share), "{share}");
    // Its own time, and a packet that is on its way already, here and in the modem.
    assert!(p95 < ms(6), "{p95:?}");
}
