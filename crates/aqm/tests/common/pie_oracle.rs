//! RFC 8033 sections 4 and 5 written down rule by rule, with its names: random drop (4.1), probability (4.2), latency by time stamps
//! (4.3), bursts (4.4), ECN (5.1), no drops in a row (5.4), and small steps of what is large (5.5).

use super::Fate;
use std::collections::VecDeque;

const QDELAY_REF: f64 = 0.015;
const T_UPDATE: u64 = 15_000_000;
const MAX_BURST: u64 = 150_000_000;
const ALPHA: f64 = 0.125;
const BETA: f64 = 1.25;
const MARK_ECNTH: f64 = 0.1;
const MEAN_PKTSIZE: u64 = 1514;

pub(crate) struct PieOracle {
    random: fastrand::Rng,
    packets: VecDeque<(u64, u64, u64, bool)>,
    limit: usize,
    bytes: u64,
    pub(crate) drop_prob: f64,
    accu_prob: f64,
    burst_allowance: u64,
    current_qdelay: f64,
    qdelay_old: f64,
    next_update: Option<u64>,
    pub(crate) fates: Vec<(u64, Fate)>,
}

impl PieOracle {
    pub(crate) fn new(limit: usize, random: fastrand::Rng) -> Self {
        Self {
            random,
            packets: VecDeque::new(),
            limit,
            bytes: 0,
            drop_prob: 0.0,
            accu_prob: 0.0,
            burst_allowance: MAX_BURST,
            current_qdelay: 0.0,
            qdelay_old: 0.0,
            next_update: None,
            fates: Vec::new(),
        }
    }

    /// Section 4.1 and 5.4.
    fn drop_early(&mut self) -> bool {
        if (self.qdelay_old < QDELAY_REF / 2.0 && self.drop_prob < 0.2) || self.bytes <= 2 * MEAN_PKTSIZE {
            return false;
        }
        if self.drop_prob == 0.0 {
            self.accu_prob = 0.0;
        }
        self.accu_prob += self.drop_prob;
        if self.accu_prob < 0.85 {
            return false;
        }
        self.accu_prob >= 8.5 || self.random.f64() < self.drop_prob
    }

    pub(crate) fn enque(&mut self, now: u64, number: u64, octets: u64, ect: bool) {
        self.until(now);
        let mut marked = false;
        if self.packets.len() >= self.limit {
            self.accu_prob = 0.0;
            self.fates.push((number, Fate::Dropped));
            return;
        }
        if self.burst_allowance == 0 && self.drop_early() {
            self.accu_prob = 0.0;
            marked = self.drop_prob < MARK_ECNTH && ect;
            if !marked {
                self.fates.push((number, Fate::Dropped));
                return;
            }
        }
        self.bytes += octets;
        self.packets.push_back((number, now, octets, marked));
    }

    #[allow(clippy::cast_precision_loss)]
    pub(crate) fn deque(&mut self, now: u64) {
        self.until(now);
        let Some((number, came, octets, marked)) = self.packets.pop_front() else { return };
        self.bytes -= octets;
        self.current_qdelay = if self.packets.is_empty() { 0.0 } else { (now - came) as f64 / 1e9 };
        self.fates.push((number, if marked { Fate::Marked } else { Fate::Sent }));
    }

    /// The updates that were due; the first one is due one T_UPDATE after the first event.
    fn until(&mut self, now: u64) {
        let next = self.next_update.get_or_insert(now + T_UPDATE);
        let mut due = 0;
        while *next <= now {
            *next += T_UPDATE;
            due += 1;
        }
        (0..due).for_each(|_| self.calculate_drop_prob());
    }

    /// Sections 4.2, 4.4 and 5.5.
    fn calculate_drop_prob(&mut self) {
        let mut p =
            ALPHA * (self.current_qdelay - QDELAY_REF) + BETA * (self.current_qdelay - self.qdelay_old);
        for (below, divisor) in
            [(0.000_001, 2048.0), (0.000_01, 512.0), (0.000_1, 128.0), (0.001, 32.0), (0.01, 8.0), (0.1, 2.0)]
        {
            if self.drop_prob < below {
                p /= divisor;
                break;
            }
        }
        if self.drop_prob >= 0.1 && p > 0.02 {
            p = 0.02;
        }
        self.drop_prob += p;
        if self.current_qdelay == 0.0 && self.qdelay_old == 0.0 {
            self.drop_prob *= 0.98;
        }
        self.drop_prob = self.drop_prob.clamp(0.0, 1.0);
        self.burst_allowance = self.burst_allowance.saturating_sub(T_UPDATE);
        let half = QDELAY_REF / 2.0;
        if self.drop_prob == 0.0 && self.current_qdelay < half && self.qdelay_old < half {
            self.burst_allowance = MAX_BURST;
        }
        self.qdelay_old = self.current_qdelay;
    }
}
