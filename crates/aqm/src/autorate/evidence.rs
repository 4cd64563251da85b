//! What the probes and what was carried tell.

use super::{Autorate, GROWTH, Probe, RECENT, Reflector, SILENCE, STOP};
use std::time::Duration;

/// Reflectors that are known.
const REFLECTORS: usize = 16;
/// Probes that are looked at behind one, for whether they came back with it.
const BEHIND: usize = 20;
/// Of the time between the sending of two, between their returns there is less than this where something had stood still.
const TOGETHER: f64 = 0.25;

impl Autorate {
    pub(super) fn usual(&self, name: u32) -> Option<Duration> {
        self.reflectors.iter().find(|reflector| reflector.name == name).map(|reflector| reflector.usual)
    }

    /// What is usual for a reflector: quickly less, slowly more (2 % of the way in a second at twenty probes),
    /// for ways change, and a queue that stands for minutes is one.
    pub(super) fn learn(&mut self, now: Duration, name: u32, took: Duration) {
        if let Some(known) = self.reflectors.iter_mut().find(|reflector| reflector.name == name) {
            known.heard = now;
            known.usual = if took < known.usual {
                took + known.usual.saturating_sub(took) / 10
            } else {
                known.usual + (took.saturating_sub(known.usual)) / 1000
            };
            return;
        }
        if self.reflectors.len() >= REFLECTORS {
            let silent = self.reflectors.iter().enumerate().min_by_key(|(_, reflector)| reflector.heard);
            if let Some((index, _)) = silent {
                self.reflectors.swap_remove(index);
            }
        }
        self.reflectors.push(Reflector { name, usual: took, heard: now });
    }

    /// By how much a probe was later than usual, as far as it can be known now; `None` where it cannot.
    pub(super) fn delay(&self, now: Duration, probe: &Probe) -> Option<Duration> {
        let usual = self.usual(probe.reflector)?.saturating_add(probe.stood);
        if let Some(took) = probe.took {
            return Some(took.saturating_sub(usual));
        }
        let so_far = now.saturating_sub(probe.sent).saturating_sub(usual);
        (so_far > self.config.late).then_some(so_far)
    }

    /// By how much the probe of this place is late for a queue: no more than those are that were sent after it and came back with it.
    pub(super) fn excess(&self, now: Duration, index: usize) -> Option<Duration> {
        let probe = self.probes.get(index)?;
        let own = self.delay(now, probe)?;
        if own <= self.config.late / 2 {
            return Some(own);
        }
        let behind = self.probes.iter().skip(index + 1).take(BEHIND).filter(|next| next.took.is_some());
        let together = behind.filter_map(|next| {
            let delay = self.delay(now, next)?;
            let between = next.sent.saturating_sub(probe.sent);
            (own.saturating_sub(delay) > between.mul_f64(1.0 - TOGETHER)).then_some(delay)
        });
        Some(together.fold(own, Duration::min))
    }

    /// What is known of the probes that were sent within a time, oldest first: when, and how late for a queue.
    pub(super) fn known_of(
        &self,
        now: Duration,
        sent: std::ops::Range<Duration>,
    ) -> impl DoubleEndedIterator<Item = (&Probe, Duration)> {
        let within = move |(index, probe): (usize, _)| {
            let probe: &Probe = probe;
            sent.contains(&probe.sent).then(|| Some((probe, self.excess(now, index)?))).flatten()
        };
        self.probes.iter().enumerate().filter_map(within)
    }

    /// Whether any reflector still answers: else what is overdue says nothing about the link.
    pub(super) fn hears(&self, now: Duration) -> bool {
        self.reflectors.iter().any(|reflector| now.saturating_sub(reflector.heard) < SILENCE)
    }

    /// Whether this is so little that something stood still, or nobody sent: no link is that slow.
    pub(super) fn is_nothing(&self, octets: u64, time: Duration) -> bool {
        octets < self.config.min.octets_in(time) / 4
    }

    /// Bits a second that were carried between two times, without those at which nothing was where `moving`; `None` where too little is
    /// known.
    #[allow(clippy::cast_precision_loss, reason = "octets of two seconds")]
    pub(super) fn carried_between(&self, from: Duration, to: Duration, moving: bool) -> Option<f64> {
        // What is said at a time was carried since the time before.
        let mut before = None;
        let (mut octets, mut time) = (0, Duration::ZERO);
        for &(at, more) in &self.carried {
            if let Some(before) = before.replace(at)
                && at > from
                && before < to
                && !(moving && self.is_nothing(more, at.saturating_sub(before)))
            {
                octets = u64::saturating_add(octets, more);
                time += at.saturating_sub(before);
            }
        }
        (time >= Duration::from_millis(20)).then(|| octets as f64 * 8.0 / time.as_secs_f64())
    }

    /// What arrives while it does: the most of each third of the recent time. Where it stood still for a part of it, that part says
    /// nothing about the link.
    pub(super) fn arriving(&self, now: Duration) -> Option<f64> {
        let third = RECENT / 3;
        let parts = (0..3).filter_map(|part| {
            let end = now.saturating_sub(third * part);
            self.carried_between(end.saturating_sub(third), end, true)
        });
        parts.reduce(f64::max)
    }

    /// The link's rate by how fast the delay grows over what is sent into it (seconds a second, least squares),
    /// of the probes sent within a time.
    pub(super) fn measured(&self, now: Duration, sent: std::ops::Range<Duration>) -> Option<f64> {
        let start = sent.start;
        // Of those that are overdue only the oldest: the others' delays so far are less, which says nothing.
        let mut overdue = false;
        let points: Vec<(f64, f64)> = self
            .known_of(now, sent)
            .filter(|(probe, _)| probe.took.is_some() || !std::mem::replace(&mut overdue, true))
            .map(|(probe, excess)| (probe.sent.saturating_sub(start).as_secs_f64(), excess.as_secs_f64()))
            .collect();
        if points.len() < 3 {
            return None;
        }
        #[allow(clippy::cast_precision_loss, reason = "at most 64")]
        let n = points.len() as f64;
        let (x, y) = points.iter().fold((0.0, 0.0), |(x, y), point| (x + point.0 / n, y + point.1 / n));
        let (above, below) = points.iter().fold((0.0, 0.0), |(above, below), point| {
            (above + (point.0 - x) * (point.1 - y), below + (point.0 - x).powi(2))
        });
        let slope = if below > 0.0 { (above / below).max(0.0) } else { return None };
        let (first, last) = (points.first()?.0, points.last()?.0);
        let at = |offset: f64| start + Duration::from_secs_f64(offset.max(0.0));
        Some(self.carried_between(at(first), at(last), true)? / (1.0 + slope))
    }

    /// The delay that stands now: by the newest answer, or by what is overdue.
    pub(super) fn standing(&self, now: Duration) -> Duration {
        let known = || self.known_of(now, Duration::ZERO..Duration::MAX);
        let answered = known().rev().find(|(probe, _)| probe.took.is_some()).map(|(_, excess)| excess);
        let overdue = known().filter(|(probe, _)| probe.took.is_none()).map(|(_, excess)| excess).max();
        answered.max(overdue).unwrap_or_default()
    }

    /// Whether what made the cut has come back since, and all at once.
    pub(super) fn was_a_stop(&self, now: Duration, cut: Duration) -> bool {
        let before = || {
            self.known_of(now, cut.saturating_sub(GROWTH)..cut).map(|(probe, excess)| (probe.took, excess))
        };
        now.saturating_sub(cut) < STOP
            && before().all(|(took, excess)| took.is_some() && excess <= self.config.late)
            && before().count() > 0
    }
}
