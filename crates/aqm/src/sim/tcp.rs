//! Senders with more data than they can send, told of each packet that arrived (as with SACK).

use super::Wire;
use std::collections::VecDeque;
use std::time::Duration;

/// How a sender finds its window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Control {
    /// RFC 5681: half the window at a loss, a packet more each round trip.
    Reno,
    /// RFC 9438: seven tenths at a loss, then by the cubic curve.
    Cubic,
    /// After BBR: heeds no loss and no mark, and keeps a quarter more in flight than the highest rate of its last ten round trips carries
    /// in its shortest one.
    Bbr,
}

/// One TCP connection. A packet is lost when three sent after it arrived; that halves the window or takes 0.7 of it, at most once a
/// round trip; so does a mark. What is lost is not sent again but counted as not arrived.
pub(super) struct Tcp {
    control: Control,
    pub(super) path: usize,
    pub(super) host: u32,
    pub(super) ecn: bool,
    pub(super) dscp: u8,
    pub(super) window: f64,
    threshold: f64,
    pub(super) number: u64,
    pub(super) flying: VecDeque<u64>,
    /// Losses of what was sent before this have had their effect.
    recovered: u64,
    last_heard: Duration,
    smoothed: f64,
    peak: f64,
    reduced: Duration,
    pub(super) arrived: u64,
    /// What arrived, and whether it was marked, that the sender does not know yet.
    pub(super) log: VecDeque<(u64, bool)>,
    pub(super) told: u64,
    /// The shortest round trip, and packets a second by falling value, with when they were seen.
    shortest: f64,
    rates: VecDeque<(Duration, f64)>,
}

impl Tcp {
    pub(super) fn new(
        control: Control,
        path: usize,
        ecn: bool,
        (host, dscp): (u32, u8),
        begin: Duration,
    ) -> Self {
        Self {
            control,
            path,
            host,
            ecn,
            dscp,
            window: 10.0,
            threshold: f64::MAX,
            number: 0,
            flying: VecDeque::new(),
            recovered: 0,
            last_heard: begin,
            smoothed: 0.1,
            peak: 10.0,
            reduced: begin,
            arrived: 0,
            log: VecDeque::new(),
            told: 0,
            shortest: f64::MAX,
            rates: VecDeque::new(),
        }
    }

    fn reduce(&mut self, now: Duration, number: u64) {
        if number < self.recovered || self.control == Control::Bbr {
            return;
        }
        self.recovered = self.number;
        let factor = if self.control == Control::Reno { 0.5 } else { 0.7 };
        self.peak = self.window;
        self.window = (self.window * factor).max(2.0);
        self.threshold = self.window;
        self.reduced = now;
    }

    fn grow(&mut self, now: Duration) {
        if self.control == Control::Bbr {
            return;
        }
        if self.window < self.threshold {
            self.window += 1.0;
            return;
        }
        let reno = self.window + 1.0 / self.window;
        self.window = match self.control {
            Control::Reno | Control::Bbr => reno,
            Control::Cubic => {
                // RFC 9438 section 4.2, and not slower than Reno (4.3).
                let k = (self.peak * 0.3 / 0.4).cbrt();
                let t = now.saturating_sub(self.reduced).as_secs_f64() + self.smoothed;
                let target = 0.4 * (t - k).powi(3) + self.peak;
                let cubic = self.window + ((target - self.window) / self.window).clamp(0.0, 0.5);
                cubic.max(self.window + 0.5 / self.window)
            }
        };
    }

    pub(super) fn heard(&mut self, now: Duration, ack: &Wire) {
        self.last_heard = now;
        let rtt = now.saturating_sub(ack.sent).as_secs_f64();
        self.smoothed += (rtt - self.smoothed) / 8.0;
        // An acknowledgement tells of all that arrived before it was sent.
        while self.told < ack.log {
            let Some((number, ce)) = self.log.pop_front() else { break };
            self.told += 1;
            if let Ok(place) = self.flying.binary_search(&number) {
                self.flying.remove(place);
                self.grow(now);
            }
            if ce {
                self.reduce(now, number);
            }
            while let Some(&lost) = self.flying.front()
                && lost + 3 <= number
            {
                self.flying.pop_front();
                self.reduce(now, lost);
            }
        }
        if self.control == Control::Bbr {
            self.measure(now, rtt, ack);
        }
    }

    /// What was told of since the packet was sent, over the time that took, is a rate.
    #[allow(clippy::cast_precision_loss, reason = "packets of a simulation")]
    fn measure(&mut self, now: Duration, rtt: f64, ack: &Wire) {
        self.shortest = self.shortest.min(rtt);
        let rate = self.told.saturating_sub(ack.told) as f64 / rtt.max(1e-6);
        while self.rates.back().is_some_and(|(_, before)| *before <= rate) {
            self.rates.pop_back();
        }
        self.rates.push_back((now, rate));
        let oldest = now.saturating_sub(Duration::from_secs_f64(10.0 * self.smoothed));
        while self.rates.front().is_some_and(|(at, _)| *at < oldest) {
            self.rates.pop_front();
        }
        let highest = self.rates.front().map_or(0.0, |(_, rate)| *rate);
        self.window = (1.25 * highest * self.shortest).max(10.0);
    }

    /// What nothing was heard of for long is lost, and the window small again.
    pub(super) fn check_timer(&mut self, now: Duration) {
        let patience = Duration::from_secs_f64((self.smoothed * 2.0).max(1.0));
        if !self.flying.is_empty() && now.saturating_sub(self.last_heard) > patience {
            self.flying.clear();
            self.threshold = (self.window / 2.0).max(2.0);
            self.window = 2.0;
            self.recovered = self.number;
            self.last_heard = now;
        }
    }
}
