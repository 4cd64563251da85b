//! The controller on a simulated link that goes 50, 10, 30 Mbit/s under TCP, and where reflectors misbehave.

#![allow(clippy::unwrap_used, clippy::cast_precision_loss)]

mod common;

use common::ms;
use common::sim::{Control, DOWN, Fifo, Sim, percentile};
use sixgate_aqm::autorate::{Autorate, Config, Direction};
use sixgate_aqm::shape::{self, Shaper};
use sixgate_aqm::{Rate, Secret};
use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

const EVERY: Duration = Duration::from_millis(50);
const PHASE: Duration = Duration::from_secs(30);

/// Runs the three phases; `buffer` is the modem's. Prints and judges.
fn follows(direction: Direction, control: Control, buffer: u64, seed: u64) {
    let rates = [Rate::mbit(50), Rate::mbit(10), Rate::mbit(30)];
    let config = Config {
        min: Rate::mbit(2),
        base: Rate::mbit(40),
        max: Rate::mbit(100),
        ..Config::new(direction, Rate::mbit(40))
    };
    let mut sim = Sim::new(ms(40));
    let ingress = direction == Direction::Down;
    let shaper = shape::Config { ingress, ..shape::Config::new(config.base) };
    let shared = Rc::new(RefCell::new((Shaper::new(shaper, Secret([9, 9])), 0)));
    let link = if ingress {
        sim.stage(DOWN, Fifo::new(buffer), rates[0]);
        sim.stage(DOWN, shared.clone(), Rate::mbit(10_000));
        0
    } else {
        sim.stage(DOWN, shared.clone(), Rate::mbit(10_000));
        sim.stage(DOWN, Fifo::new(buffer), rates[0]);
        1
    };
    for number in 0..4 {
        sim.sender(DOWN, control, false, 1, ms(seed * 7 + 130 * number));
    }
    sim.probe_every(EVERY, 0);
    sim.tick_every(ms(10));
    let mut autorate = Autorate::new(config, sim.now);
    let (mut probes, mut samples, mut told) = (0, 0, 0);
    for (phase, rate) in rates.into_iter().enumerate() {
        sim.set_rate(DOWN, link, rate);
        let (changed, before) = (sim.now, sim.carried[DOWN]);
        let mut settled = (sim.now, before);
        sim.run(PHASE, |sim| {
            let now = sim.now;
            // Four reflectors in turn.
            for number in probes..sim.probes {
                autorate.sent(now, (number % 4) as u32, number);
            }
            probes = sim.probes;
            for sample in &sim.samples[samples..] {
                autorate.answered(now, (sample.number % 4) as u32, sample.number, None);
            }
            samples = sim.samples.len();
            told += 1;
            if told % 3 == 0 {
                let octets = std::mem::take(&mut shared.borrow_mut().1);
                autorate.carried(now, octets);
            }
            autorate.handle_timeout(now);
            if autorate.rate() != shared.borrow().0.config().rate {
                shared.borrow_mut().0.set_rate(now, autorate.rate());
            }
            if now.checked_sub(changed).unwrap() <= Duration::from_secs(2) {
                settled = (now, sim.carried[DOWN]);
            }
        });
        let used = |from: Duration, octets: u64| {
            (sim.carried[DOWN] - octets) as f64 * 8.0
                / sim.now.checked_sub(from).unwrap().as_secs_f64()
                / rate.as_bits() as f64
        };
        let after: Vec<_> = sim
            .samples
            .iter()
            .filter(|sample| sample.at >= changed + Duration::from_secs(2))
            .map(|sample| sample.added)
            .collect();
        let calm = sim
            .samples
            .iter()
            .filter(|sample| {
                sample.at >= changed && sample.added > ms(30) && sample.at < changed + Duration::from_secs(10)
            })
            .map(|sample| sample.at.checked_sub(changed).unwrap())
            .max()
            .unwrap_or_default();
        let (p50, p99) = (percentile(after.iter().copied(), 50), percentile(after.iter().copied(), 99));
        println!(
            "{direction:?} {control:?} {buffer} {rate}: below 30 ms after {calm:?}; then p50 {p50:?}, p99 {p99:?}; \
             used {:.3}, after 2 s {:.3}; shaping at {}; {:?}",
            used(changed, before),
            used(settled.0, settled.1),
            autorate.rate(),
            autorate.counters()
        );
        if phase > 0 {
            assert!(calm < Duration::from_secs(2), "{calm:?}");
        }
        assert!(p99 < ms(30), "{p99:?}");
        assert!(used(changed, before) > 0.8, "{}", used(changed, before));
    }
}

#[test]
fn up_with_cubic() {
    follows(Direction::Up, Control::Cubic, 500_000, 1);
}

#[test]
fn up_with_reno_and_a_deeper_buffer() {
    follows(Direction::Up, Control::Reno, 1_500_000, 2);
}

#[test]
fn down_with_cubic() {
    follows(Direction::Down, Control::Cubic, 500_000, 1);
}

#[test]
fn down_with_reno_and_a_deeper_buffer() {
    follows(Direction::Down, Control::Reno, 1_500_000, 2);
}
