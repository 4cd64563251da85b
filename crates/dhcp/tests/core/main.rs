//! What the core of the server costs alone, without sockets and without a disk: allocations, time, and the longest time that
//! one message takes.
//!
//! The two that measure time are ignored, and print what they find:
//!
//! ```text
//! cargo test --release -p sixgate-dhcp --test core -- --ignored --nocapture --test-threads 1
//! ```

#![allow(clippy::unwrap_used, clippy::panic, clippy::cast_precision_loss)]

mod crowd;

use crowd::{Crowd, Phase};
use sixgate_linux::allocations::Counting;
use std::time::Duration;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Steady state: tables have the room that they need, and each message is one of thousands like it. What is left are the
/// octets of the answer and the list of what is to be kept, which leave the server. A part of a table may still grow now and then.
#[test]
fn a_message_takes_few_allocations() {
    let mut crowd = Crowd::new(4_000);
    let clients = 0..3_000;
    for phase in Phase::ALL {
        crowd.all(phase, clients.clone());
    }
    for (phase, most) in [(Phase::Solicit, 1.1), (Phase::Request, 2.1), (Phase::Renew, 2.1)] {
        crowd.now += Duration::from_mins(10);
        let cost = crowd.all(phase, clients.clone());
        let each = cost.allocations as f64 / f64::from(clients.end);
        println!("{phase:?}: {each:.2} allocations");
        assert!(each <= most, "{phase:?}: {each} allocations for each message, at most {most} are expected");
    }
}

#[test]
#[ignore = "measures time"]
fn time_of_a_message() {
    let rounds = std::env::var("ROUNDS").ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(5);
    let count = 100_000;
    let mut crowd = Crowd::new(1_000_000);
    for phase in Phase::ALL {
        let cost = crowd.all(phase, 0..count);
        println!("{phase:?}, from empty: {:?} of CPU each", cost.cpu / count);
    }
    for round in 0..rounds {
        crowd.now += Duration::from_mins(10);
        for phase in Phase::ALL {
            let cost = crowd.all(phase, 0..count);
            let each = cost.allocations as f64 / f64::from(count);
            println!("{round} {phase:?}: {:?} of CPU each, {each:.2} allocations", cost.cpu / count);
        }
    }
}

/// The longest that one message takes while the tables grow.
#[test]
#[ignore = "measures time"]
fn time_of_growth() {
    let mut crowd = Crowd::new(1_200_000);
    crowd.timed = true;
    let step = 100_000;
    for first in (0..1_100_000).step_by(step as usize) {
        let clients = first..first + step;
        let costs = [Phase::Solicit, Phase::Request].map(|phase| crowd.all(phase, clients.clone()));
        let [solicit, request] = costs.map(|cost| (cost.longest, cost.cpu / step));
        println!(
            "{:>9} leases: Solicit {:?} each, longest {:?}; Request {:?} each, longest {:?}; {} MB resident",
            first + step,
            solicit.1,
            solicit.0,
            request.1,
            request.0,
            resident() >> 20
        );
    }
}

/// Octets of this process that are in memory.
fn resident() -> u64 {
    let pages = std::fs::read_to_string("/proc/self/statm").unwrap();
    pages.split(' ').nth(1).unwrap().parse::<u64>().unwrap() * 4_096
}
