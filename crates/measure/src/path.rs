//! A path: at which hop the delay stands, and the largest packet that passes (in the manner of RFC 8899: by packets that arrive, not by
//! errors that may never come).

use crate::stats::{Summary, percentile, sorted, summary};
use serde::Serialize;

/// Octets that every IPv6 link carries (RFC 8200 section 5).
pub const LEAST: u32 = 1280;

/// What became of a packet of one size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It was answered.
    Passed,
    /// Somebody on the way said that it is too big, and how big it may be (0: was not told).
    TooBig(u32),
    /// This machine's own link does not take it.
    Local,
    /// Nothing came back, though it was sent several times.
    Silent,
}

/// The search for the largest packet that passes.
#[derive(Debug, Clone)]
pub struct Search {
    // Passes; does not.
    low: u32,
    high: u32,
    asked: Option<u32>,
    base: bool,
    reported: Option<u32>,
    silent: Option<u32>,
    // The largest that is possible is tried next, instead of the middle.
    leap: bool,
    unanswered: bool,
}

/// What the search found. Sizes are of IP packets, in octets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Pmtu {
    /// The largest that passed; `None` where even the least did not.
    pub works: Option<u32>,
    /// The least MTU that a router told of.
    pub reported: Option<u32>,
    /// Larger packets vanish, and nobody says so: the least that did.
    pub black_hole: Option<u32>,
}

impl Search {
    /// Between the least that must pass and `most`, the link's own MTU.
    pub fn new(least: u32, most: u32) -> Self {
        let high = most.max(least).saturating_add(1);
        Self {
            low: least,
            high,
            asked: None,
            base: false,
            reported: None,
            silent: None,
            leap: true,
            unanswered: false,
        }
    }

    /// The size to try next; `None` when it is over.
    pub fn ask(&mut self) -> Option<u32> {
        if self.unanswered {
            return None;
        }
        let size = if !self.base {
            self.low
        } else if self.high - self.low <= 1 {
            return None;
        } else if self.leap {
            // As large as may be: most paths carry what their ends do.
            self.high - 1
        } else {
            self.low + (self.high - self.low) / 2
        };
        self.asked = Some(size);
        Some(size)
    }

    /// What became of it.
    pub fn tell(&mut self, fate: Fate) {
        let Some(size) = self.asked.take() else { return };
        if self.base {
            self.leap = false;
        }
        match fate {
            Fate::Passed => {
                self.low = size;
                self.base = true;
            }
            _ if size <= self.low => self.unanswered = true,
            Fate::TooBig(mtu) => {
                // A router that names a size above what it refused, or below the least, is not believed.
                self.leap = mtu >= self.low && mtu < size;
                let told = if self.leap { mtu } else { size - 1 };
                self.reported = Some(self.reported.unwrap_or(u32::MAX).min(told));
                self.high = told + 1;
            }
            Fate::Local => self.high = size,
            Fate::Silent => {
                self.silent = Some(self.silent.unwrap_or(u32::MAX).min(size));
                self.high = size;
            }
        }
    }

    /// What was found.
    pub fn result(&self) -> Pmtu {
        Pmtu { works: self.base.then_some(self.low), reported: self.reported, black_hole: self.silent }
    }
}

/// What is known of a hop.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Hop {
    /// Its number, from 1.
    pub number: u8,
    /// Who answered, as text; `None` where nobody did.
    pub from: Option<String>,
    /// Round trips in milliseconds.
    pub rtt_ms: Option<Summary>,
    /// Probes sent to it.
    pub sent: u32,
    /// Of these, answered.
    pub answered: u32,
}

impl Hop {
    /// From the times of its answers, in milliseconds.
    pub fn new(number: u8, from: Option<String>, rtts: &[f64], sent: u32) -> Self {
        Self { number, from, rtt_ms: summary(rtts), sent, answered: rtts.len() as u32 }
    }
}

/// A hop at which packets wait.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Standing {
    /// Behind which hop the queue is; 0: this machine.
    pub after: u8,
    /// Before which hop.
    pub before: u8,
    /// How long packets wait there, in milliseconds.
    pub wait_ms: f64,
}

/// Times of probes to each hop over a while, and where they tell of a queue.
///
/// The least time to a hop is distance; what comes on top is waiting, on the way to it or beyond nobody's control. A queue between two hops is
/// in the times of all hops behind it, while a router that is slow to answer is slow in its own times alone: so what waits at a hop is what the
/// least of the waits behind it is above that of the hop before.
pub fn standing(hops: &[Hop], waits: &[Vec<f64>], least_ms: f64) -> Option<Standing> {
    let waited: Vec<Option<f64>> = waits
        .iter()
        .map(|times| {
            let times = sorted(times);
            let least = times.first()?;
            Some(percentile(&times, 75.0) - least)
        })
        .collect();
    // From the far end on: the least of what is at or behind.
    let mut behind = f64::INFINITY;
    let mut floors = Vec::new();
    for waited in waited.iter().rev() {
        if let Some(waited) = waited {
            behind = behind.min(*waited);
        }
        floors.push(behind);
    }
    floors.reverse();
    let (mut before, mut last) = (0.0, 0);
    let mut worst: Option<Standing> = None;
    for ((hop, floor), waited) in hops.iter().zip(&floors).zip(&waited) {
        if waited.is_none() || !floor.is_finite() {
            continue;
        }
        let step = floor - before;
        if step >= least_ms && worst.as_ref().is_none_or(|worst| step > worst.wait_ms) {
            worst = Some(Standing { after: last, before: hop.number, wait_ms: step });
        }
        before = f64::max(before, *floor);
        last = hop.number;
    }
    worst
}

/// A part of the way on which packets are lost.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Losing {
    /// Behind which hop; 0: this machine.
    pub after: u8,
    /// Before which hop.
    pub before: u8,
    /// How many of a hundred are lost there, there and back.
    pub percent: f64,
}

/// Where at least `least_percent` of packets are lost.
///
/// As with [`standing`]: what is lost between two hops is missing at all hops behind, while a router that answers only some probes (RFC 4443
/// section 2.4 (f)) loses its own answers alone. A path whose end does not answer, or whose last hop is silent, tells nothing.
pub fn losing(hops: &[Hop], least_percent: f64) -> Option<Losing> {
    let share = |hop: &Hop| {
        (hop.answered > 0)
            .then(|| 100.0 * f64::from(hop.sent.saturating_sub(hop.answered)) / f64::from(hop.sent.max(1)))
    };
    share(hops.last()?)?;
    let mut behind = f64::INFINITY;
    let mut floors: Vec<(u8, f64)> = Vec::new();
    for hop in hops.iter().rev() {
        if let Some(lost) = share(hop) {
            behind = behind.min(lost);
            floors.push((hop.number, behind));
        }
    }
    let (mut last, mut lost) = (0, 0.0);
    let mut worst: Option<Losing> = None;
    for (number, floor) in floors.into_iter().rev() {
        let percent = floor - lost;
        if percent >= least_percent && worst.is_none_or(|worst| percent > worst.percent) {
            worst = Some(Losing { after: last, before: number, percent });
        }
        (last, lost) = (number, f64::max(lost, floor));
    }
    worst
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A path of this MTU; `told`: routers say so.
    fn search(most: u32, path: u32, told: bool, local: u32) -> (Pmtu, usize) {
        let mut search = Search::new(LEAST, most);
        let mut asked = 0;
        while let Some(size) = search.ask() {
            asked += 1;
            assert!(asked < 40, "it ends");
            search.tell(match size {
                _ if size > local => Fate::Local,
                _ if size <= path => Fate::Passed,
                _ if told => Fate::TooBig(path),
                _ => Fate::Silent,
            });
        }
        (search.result(), asked)
    }

    #[test]
    fn every_path_is_found() {
        for path in [1280, 1281, 1400, 1492, 1499, 1500] {
            for told in [true, false] {
                let (found, asked) = search(1500, path, told, 1500);
                assert_eq!(found.works, Some(path), "{path} {told}");
                assert_eq!(found.reported, (told && path < 1500).then_some(path));
                assert_eq!(found.black_hole.is_some(), !told && path < 1500);
                assert!(asked <= if told { 3 } else { 10 }, "{path} {told}: {asked}");
            }
        }
        // This machine's own link is smaller than was thought.
        assert_eq!(
            search(9000, 9000, true, 1500).0,
            Pmtu { works: Some(1500), reported: None, black_hole: None }
        );
        assert_eq!(search(1500, 0, false, 1500).0.works, None);
    }

    #[test]
    fn a_router_that_lies_is_not_believed() {
        let mut search = Search::new(LEAST, 1500);
        for (size, fate) in [(1280, Fate::Passed), (1500, Fate::TooBig(68))] {
            assert_eq!(search.ask(), Some(size));
            search.tell(fate);
        }
        while let Some(size) = search.ask() {
            search.tell(if size <= 1400 { Fate::Passed } else { Fate::TooBig(9000) });
        }
        assert_eq!(search.result().works, Some(1400));
    }

    fn hops(times: &[Option<Vec<f64>>]) -> (Vec<Hop>, Vec<Vec<f64>>) {
        let hop = |(index, times): (usize, &Option<Vec<f64>>)| {
            Hop::new(index as u8 + 1, None, times.as_deref().unwrap_or_default(), 20)
        };
        (
            times.iter().enumerate().map(hop).collect(),
            times.iter().map(|times| times.clone().unwrap_or_default()).collect(),
        )
    }

    fn queue(distance: f64, wait: f64) -> Vec<f64> {
        (0..20).map(|probe| distance + wait * f64::from(probe) / 19.0).collect()
    }

    #[test]
    fn a_queue_is_found_where_it_stands() {
        let (told, times) = hops(&[Some(queue(1.0, 1.0)), Some(queue(5.0, 200.0)), Some(queue(20.0, 210.0))]);
        let found = standing(&told, &times, 10.0).unwrap();
        assert_eq!((found.after, found.before), (1, 2));
        assert!(found.wait_ms > 100.0);
        // A router that is slow to answer, and nothing behind it is late.
        let (told, times) = hops(&[Some(queue(1.0, 1.0)), Some(queue(5.0, 200.0)), Some(queue(20.0, 2.0))]);
        assert_eq!(standing(&told, &times, 10.0), None);
        // One that does not answer at all.
        let (told, times) = hops(&[Some(queue(1.0, 1.0)), None, Some(queue(20.0, 150.0))]);
        let found = standing(&told, &times, 10.0).unwrap();
        assert_eq!((found.after, found.before), (1, 3));
        assert_eq!(standing(&[], &[], 10.0), None);
    }

    #[test]
    fn loss_that_stays_is_a_links_and_loss_of_one_hop_is_a_lazy_routers() {
        let path = |answered: &[u32]| -> Vec<Hop> {
            let hop = |(number, answered): (u8, &u32)| Hop {
                number,
                from: (*answered > 0).then(String::new),
                rtt_ms: None,
                sent: 20,
                answered: *answered,
            };
            (1..).zip(answered).map(hop).collect()
        };
        let at = |answered: &[u32]| losing(&path(answered), 10.0).map(|losing| (losing.after, losing.before));
        assert_eq!(at(&[20, 15, 14, 15]), Some((1, 2)));
        assert_eq!(at(&[20, 3, 20, 20]), None);
        assert_eq!(at(&[20, 0, 14, 14]), Some((1, 3)));
        assert_eq!(at(&[14, 14]), Some((0, 1)));
        assert_eq!(at(&[18, 9]), Some((1, 2)));
        assert_eq!(at(&[20, 19]), None);
        // The end is silent: what is lost there, and what is refused, cannot be told apart.
        assert_eq!((at(&[20, 15, 0]), at(&[])), (None, None));
        assert!((losing(&path(&[20, 10]), 10.0).unwrap().percent - 50.0).abs() < 1e-9);
    }
}
