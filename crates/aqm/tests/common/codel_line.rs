//! A queue for CoDel that tells what became of its packets, and what comes to it.

#![allow(clippy::cast_precision_loss, clippy::cast_sign_loss)]

use super::{Diary, Event, Numbered, ms};
use sixgate_aqm::Stamp;
use sixgate_aqm::codel::{Mark, Parameters, Queue};
use std::collections::VecDeque;
use std::time::Duration;

/// A plain line of packets.
#[derive(Default)]
pub(crate) struct Line {
    pub(crate) packets: VecDeque<(Numbered, Stamp)>,
    pub(crate) octets: u64,
}

impl Line {
    pub(crate) fn push(&mut self, now: Duration, packet: Numbered) {
        self.octets += u64::from(packet.octets);
        self.packets.push_back((packet, Stamp::of(now)));
    }
}

impl Queue for Line {
    type Packet = Numbered;

    fn pop(&mut self) -> Option<(Numbered, Stamp)> {
        let (packet, came) = self.packets.pop_front()?;
        self.octets -= u64::from(packet.octets);
        Some((packet, came))
    }

    fn backlog(&self) -> u64 {
        self.octets
    }

    fn mark(&mut self, packet: &mut Numbered, _: Mark) -> bool {
        sixgate_aqm::Packet::mark(packet)
    }

    fn discard(&mut self, _: Numbered) {}
}

pub(crate) fn packet(number: u64, octets: u32, ect: bool, diary: &Diary) -> Numbered {
    Numbered { number, flow: 0, octets, ect, marked: false, diary: Some(diary.clone()) }
}

/// Packets that come at one pace and leave at another, both with some chance in them; the paces change.
pub(crate) fn structured(random: &mut fastrand::Rng, events: usize) -> Vec<(Duration, Event)> {
    let mut trace = Vec::new();
    let (mut arrival, mut departure) = (0_u64, 0_u64);
    let (mut arrive, mut depart, mut last) = (1_000_000, 1_000_000, 0);
    let mut ect = 0.5;
    let mut octets = 40..=1514;
    for index in 0..events {
        if index % 300 == 0 {
            // From 1/8 to 8 times as fast as the other; one phase in eight is silence.
            depart = random.u64(50_000..20_000_000);
            arrive = ((depart as f64) * 8_f64.powf(random.f64() * 2.0 - 1.0)) as u64;
            if random.u8(..) < 32 {
                arrival = arrival.max(departure) + random.u64(..5_000_000_000);
            }
            ect = [0.0, 0.5, 1.0][random.usize(..3)];
            octets = if random.bool() { 40..=1514 } else { 1514..=1514 };
        }
        let whole = random.bool();
        let mut jitter = |pace: u64| if whole { pace } else { random.u64(..=2 * pace) };
        let (now, event) = if arrival <= departure {
            let at = arrival;
            arrival += jitter(arrive);
            (at, Event::Enqueue(0, random.u32(octets.clone()), random.f64() < ect))
        } else {
            let at = departure;
            departure += jitter(depart);
            (at, Event::Dequeue)
        };
        let now = now.max(last);
        trace.push((Duration::from_nanos(now - last), event));
        last = now;
    }
    trace
}

pub(crate) fn choices() -> [Parameters; 5] {
    let usual = Parameters::default();
    [
        usual,
        Parameters { ecn: true, ..usual },
        Parameters { ecn: true, ce_threshold: Some(ms(1)), ..usual },
        Parameters { ce_threshold: Some(ms(8)), target: ms(1), interval: ms(20), ..usual },
        Parameters { mtu: 0, target: Duration::ZERO, interval: ms(10), ..usual },
    ]
}
