//! The controller on a simulated link that goes 50, 10, 30 Mbit/s under TCP, and where reflectors misbehave.

#![allow(clippy::unwrap_used, clippy::cast_precision_loss)]

mod common;

use common::ms;
use sixgate_aqm::autorate::{Autorate, Config, Direction};
use sixgate_aqm::shape::{self, Shaper};
use sixgate_aqm::sim::{Control, DOWN, Fifo, Sim, percentile};
use sixgate_aqm::{Rate, Secret};
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

const EVERY: Duration = Duration::from_millis(50);
const PHASE: Duration = Duration::from_secs(20);

/// How a machine that has other things to do keeps packets waiting: at each of its stages a part of the ticks (of 10 ms) something
/// takes up to so long, and now and then it stands still altogether.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Trouble {
    often: f64,
    short: u64,
    seldom: f64,
    long: u64,
}

const QUIET: Trouble = Trouble { often: 0.0, short: 0, seldom: 0.0, long: 0 };
/// Twice a second up to 20 ms each, at each stage.
const BUSY: Trouble = Trouble { often: 0.02, short: 20, ..QUIET };
/// Every four seconds up to 0.4 s.
const STOPS: Trouble = Trouble { seldom: 0.0025, long: 400, ..QUIET };

impl Trouble {
    fn happens(self, sim: &mut Sim, random: &mut fastrand::Rng, stages: usize) {
        for stage in 0..stages {
            if random.f64() < self.often {
                sim.pause(DOWN, stage, ms(random.u64(1..=self.short)));
            }
        }
        if random.f64() < self.seldom {
            let long = ms(random.u64(self.long / 4..=self.long));
            (0..stages).for_each(|stage| sim.pause(DOWN, stage, long));
        }
    }
}

/// What is asked of each phase: of the latency two seconds after the change, and of the use of the link.
#[derive(Debug, Clone, Copy)]
struct Wanted {
    p99: Duration,
    used: f64,
}

/// Runs the three phases; `buffer` is the modem's. Prints and judges.
fn follows(direction: Direction, control: Control, buffer: u64, seed: u64) {
    with_trouble(direction, control, buffer, seed, QUIET, Wanted { p99: ms(35), used: 0.8 });
}

fn with_trouble(
    direction: Direction,
    control: Control,
    buffer: u64,
    seed: u64,
    trouble: Trouble,
    wanted: Wanted,
) {
    let mut random = fastrand::Rng::with_seed(seed);
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
            trouble.happens(sim, &mut random, 2);
            // Four reflectors in turn.
            for number in probes..sim.probes {
                autorate.sent(now, (number % 4) as u32, number);
            }
            probes = sim.probes;
            for sample in &sim.samples[samples..] {
                autorate.answered(sample.at, (sample.number % 4) as u32, sample.number, None);
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
        // The latency is back once a second passes without a probe of more than 30 ms.
        let late = sim.samples.iter().filter(|sample| sample.at >= changed && sample.added > ms(30));
        let mut calm = Duration::ZERO;
        for sample in late {
            let at = sample.at.checked_sub(changed).unwrap();
            calm = if at.saturating_sub(calm) < Duration::from_secs(1) { at } else { break };
        }
        let (p50, p99) = (percentile(after.iter().copied(), 50), percentile(after.iter().copied(), 99));
        println!(
            "{direction:?} {control:?} {buffer} {seed} {trouble:?} {rate}: below 30 ms after {calm:?}; then p50 {p50:?}, p99 {p99:?}; \
             used {:.3}, after 2 s {:.3}; shaping at {}; {:?}",
            used(changed, before),
            used(settled.0, settled.1),
            autorate.rate(),
            autorate.counters()
        );
        if phase > 0 && trouble == QUIET {
            assert!(calm < ms(2000), "{calm:?}");
        }
        assert!(p99 < wanted.p99, "{p99:?}");
        let used = used(changed, before);
        assert!(used > wanted.used, "{used}");
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

/// Senders that begin at other times meet the link's changes elsewhere in their own rhythm.
#[test]
fn down_with_reno_at_other_times() {
    follows(Direction::Down, Control::Reno, 1_500_000, 5);
}

#[test]
fn down_with_cubic_and_a_deeper_buffer() {
    follows(Direction::Down, Control::Cubic, 1_500_000, 3);
}

/// Links and machines that keep packets waiting by themselves are not taken for slow ones. (With three of the last six probes late as
/// proof, 0.3 to 0.6 of the link were used.)
#[test]
fn a_busy_machine_is_no_slow_link() {
    let wanted = Wanted { p99: ms(45), used: 0.75 };
    for (direction, control, seed) in
        [(Direction::Down, Control::Cubic, 1), (Direction::Up, Control::Reno, 4)]
    {
        with_trouble(direction, control, 500_000 * (seed % 2 + 1), seed, BUSY, wanted);
    }
}

/// A stop of up to 0.4 s every four seconds takes a sixteenth of the link by itself, and its probes are late; the rate outlives it.
#[test]
fn what_stops_is_no_slow_link() {
    let wanted = Wanted { p99: ms(450), used: 0.55 };
    for (direction, control, seed) in
        [(Direction::Down, Control::Reno, 2), (Direction::Up, Control::Cubic, 3)]
    {
        with_trouble(direction, control, 500_000 * (seed % 2 + 1), seed, STOPS, wanted);
    }
}

/// A sender that heeds no loss, through our queue before the modem. (Behind one, where it can only be slowed by drops, such a sender
/// keeps its queue on a link that has become slower: 0.5 to 0.9 of the link, up to 90 ms.)
#[test]
fn up_with_a_sender_after_bbr() {
    follows(Direction::Up, Control::Bbr, 500_000, 1);
}

/// A controller that is told that its own side stood still takes that off; what is left is the queue.
#[test]
fn what_its_own_side_stood_still_is_taken_off() {
    for (told, queue) in [(true, false), (false, true)] {
        let start = Duration::from_secs(100);
        let mut autorate = Autorate::new(usual(), start);
        for number in 0..40 {
            let now = start + ms(50 * number);
            autorate.sent(now, 0, number);
            // From the twentieth on each takes 30 ms more, in which the shaper's thread did not run.
            let late = if number < 20 { ms(0) } else { ms(30) };
            let back = now + ms(20) + late;
            autorate.carried(now, Rate::mbit(30).octets_in(ms(50)));
            autorate.answered(back, 0, number, None);
            if told {
                autorate.stood(back.saturating_sub(late), back);
            }
            autorate.handle_timeout(back);
        }
        assert_eq!(autorate.counters().cuts > 0, queue, "{told} {:?}", autorate.counters());
    }
}

/// A controller on its own: probes every 50 ms to `reflectors`, answered after what `delay` says, if at all.
fn alone(
    config: Config,
    seconds: u64,
    reflectors: u64,
    carried: impl Fn(&Autorate, Duration) -> Rate,
    delay: impl Fn(Duration, u32) -> Option<Duration>,
) -> (Autorate, Rate) {
    let start = Duration::from_secs(1_795_000_000);
    let mut autorate = Autorate::new(config, start);
    let mut flying: Vec<(Duration, u32, u64)> = Vec::new();
    let mut least = autorate.rate();
    for tick in 0..seconds * 100 {
        let (now, since) = (start + ms(10 * tick), ms(10 * tick));
        if tick % 5 == 0 {
            let reflector = (tick / 5 % reflectors) as u32;
            autorate.sent(now, reflector, tick);
            if let Some(delay) = delay(since, reflector) {
                flying.push((now + delay, reflector, tick));
            }
        }
        for (_, reflector, number) in flying.extract_if(.., |(due, ..)| *due <= now) {
            autorate.answered(now, reflector, number, None);
        }
        let octets = carried(&autorate, since).octets_in(ms(10));
        autorate.carried(now, octets);
        if let Some(due) = autorate.poll_timeout(now) {
            assert!(due > now);
        }
        autorate.handle_timeout(now);
        least = least.min(autorate.rate());
    }
    (autorate, least)
}

fn usual() -> Config {
    Config { min: Rate::mbit(5), max: Rate::mbit(100), ..Config::new(Direction::Up, Rate::mbit(40)) }
}

#[test]
fn silence_is_no_reason_to_send_less() {
    let idle = |_: &Autorate, _| Rate::bits(100_000);
    let busy = |autorate: &Autorate, _| autorate.rate();
    let until = |end: u64| move |since: Duration, _| (since < Duration::from_secs(end)).then_some(ms(20));
    // All reflectors fall silent, on an idle line and on a busy one.
    for end in [0, 10] {
        let (autorate, least) = alone(usual(), 60, 4, idle, until(end));
        assert_eq!((autorate.rate(), autorate.counters().cuts), (Rate::mbit(40), 0));
        assert_eq!(least, Rate::mbit(40));
        let (autorate, least) = alone(usual(), 60, 4, busy, until(end));
        println!("busy, silent after {end} s: {} at least, {} in the end", least, autorate.rate());
        // For two seconds it cannot be told from a queue.
        assert!(autorate.counters().cuts <= 4, "{least} {:?}", autorate.counters());
        assert!(autorate.rate() > Rate::mbit(20), "{}", autorate.rate());
    }
}

#[test]
fn one_reflector_is_not_believed_alone_and_idle_lines_are_left_alone() {
    let busy = |autorate: &Autorate, _| autorate.rate();
    let one = |since: Duration, reflector| {
        Some(if reflector == 2 && since > Duration::from_secs(5) { ms(300) } else { ms(20) })
    };
    let (autorate, least) = alone(usual(), 60, 4, busy, one);
    assert_eq!(autorate.counters().cuts, 0);
    assert_eq!(least, Rate::mbit(40));
    // The way to all of them has become longer, and nothing of ours is under way.
    let all = |since: Duration, _| Some(if since > Duration::from_secs(5) { ms(90) } else { ms(20) });
    let (autorate, _) = alone(usual(), 60, 4, |_, _| Rate::bits(200_000), all);
    assert_eq!((autorate.rate(), autorate.counters().cuts), (Rate::mbit(40), 0));
}

/// Of the probes of a radio link one in five takes 10 ms more by itself, for twenty minutes. (What takes more than `late` so often is taken for
/// a queue.)
#[test]
fn jitter_does_not_press_the_rate_down() {
    let config = Config { min: Rate::mbit(5), ..Config::new(Direction::Down, Rate::mbit(40)) };
    let carried = |autorate: &Autorate, _| autorate.rate().min(Rate::mbit(50));
    let random = RefCell::new(fastrand::Rng::with_seed(7));
    let delay = |_, _| Some(ms(20) + if random.borrow_mut().u8(..5) == 0 { ms(10) } else { ms(0) });
    let (autorate, least) = alone(config, 1200, 4, carried, delay);
    println!("with jitter: {least} at least, {} in the end; {:?}", autorate.rate(), autorate.counters());
    assert!(least > Rate::mbit(10) && autorate.rate() > Rate::mbit(15), "{least} {}", autorate.rate());
}

/// A load that does not slow down by itself: only the shaper makes it. It begins after a second, in which is learnt what is usual.
#[test]
fn the_rate_of_a_link_is_read_from_how_fast_its_delay_grows() {
    for link in [12, 20, 30] {
        let link = Rate::mbit(link);
        let bits = link.as_bits() as f64;
        let (queue, long, sent) = (Cell::new(0.0_f64), Cell::new(Duration::ZERO), Cell::new(0.0));
        let carried = |autorate: &Autorate, since: Duration| {
            let Some(since) = since.checked_sub(Duration::from_secs(1)) else { return Rate::bits(100_000) };
            let more = autorate.rate().as_bits() as f64 / bits - 1.0;
            queue.set((queue.get() + more * 0.01).max(0.0));
            if queue.get() > 0.03 {
                long.set(since);
            }
            if since > Duration::from_secs(2) {
                sent.set(sent.get() + autorate.rate().as_bits() as f64 * 0.01);
            }
            autorate.rate()
        };
        let delay = |_, _| Some(ms(20) + Duration::from_secs_f64(queue.get()));
        let (autorate, _) = alone(usual(), 21, 4, carried, delay);
        let used = sent.get() / 18.0 / bits;
        println!("a link of {link} from 40Mbit: queue below 30 ms after {:?}, used {used:.3}", long.get());
        assert!(long.get() < Duration::from_secs(2) && used > 0.8, "{link} {:?}", autorate.counters());
    }
}

#[test]
fn the_clock_may_stand_or_end() {
    for start in [Duration::ZERO, Duration::MAX.saturating_sub(ms(500)), Duration::MAX] {
        let mut autorate = Autorate::new(usual(), start);
        for number in 0..1000 {
            let now = start.saturating_add(ms(number / 10));
            autorate.sent(now, number as u32 % 40, number);
            // Some not at all, some after times that no network takes.
            let took = [None, Some(Duration::MAX), Some(Duration::MAX / 2), Some(Duration::ZERO)]
                [number as usize % 4];
            if number % 7 > 0 {
                autorate.answered(now, number as u32 % 40, number, took);
            }
            autorate.answered(now, 7, number, None);
            autorate.carried(now, u64::MAX);
            autorate.poll_timeout(now);
            autorate.handle_timeout(now);
        }
        assert!((usual().min..=usual().max).contains(&autorate.rate()));
    }
}
