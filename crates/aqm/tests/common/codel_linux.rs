//! In what Linux's CoDel departs from RFC 8289's pseudocode, each departure by itself: with none it is the pseudocode, with all of
//! them it is the kernel's `codel_impl.h`, decision for decision (`tests/kernel.rs` holds both).

use super::Fate;
use super::codel_oracle::{Constants, OraclePacket};
use std::collections::VecDeque;

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Departures {
    /// Time is counted in units of 1,024 ns, in 32 bits of them: what lies more than 36 minutes back looks like the future.
    pub(crate) units: bool,
    /// 1/sqrt(count) is kept in 16 bits, and comes nearer by one step of Newton's for each drop.
    pub(crate) root: bool,
    /// Dropping may begin after `first_above_time`; in the RFC at it.
    pub(crate) after: bool,
    /// A queue that is found empty leaves `first_above_time` as it was; in the RFC it is below the target. Of one queue nothing comes of it,
    /// for its last packet has left it below; of a flow in fq_codel, where the backlog is all flows', it does.
    pub(crate) empty: bool,
}

impl Departures {
    pub(crate) const ALL: Self = Self { units: true, root: true, after: true, empty: true };
    pub(crate) const EACH: [(&str, Self); 4] = {
        let none = Self { units: false, root: false, after: false, empty: false };
        [
            ("time in units of 1,024 ns", Self { units: true, ..none }),
            ("a root of 16 bits", Self { root: true, ..none }),
            ("after, not at, first_above_time", Self { after: true, ..none }),
            ("empty is not below", Self { empty: true, ..none }),
        ]
    };
}

#[derive(Debug)]
pub(crate) struct Model {
    departures: Departures,
    constants: Constants,
    first_above: u64,
    drop_next: u64,
    pub(crate) count: u32,
    last_count: u32,
    root: u16,
    dropping: bool,
}

impl Model {
    pub(crate) fn new(departures: Departures, constants: Constants) -> Self {
        let mut model = Self {
            departures,
            constants,
            first_above: 0,
            drop_next: 0,
            count: 0,
            last_count: 0,
            root: 0,
            dropping: false,
        };
        model.constants.TARGET = model.units(constants.TARGET);
        model.constants.INTERVAL = model.units(constants.INTERVAL);
        model.constants.ce_threshold = constants.ce_threshold.map(|threshold| model.units(threshold));
        model
    }

    fn units(&self, nanoseconds: u64) -> u64 {
        if self.departures.units { ((nanoseconds >> 10) as u32).into() } else { nanoseconds }
    }

    fn plus(&self, a: u64, b: u64) -> u64 {
        if self.departures.units { (a as u32).wrapping_add(b as u32).into() } else { a.wrapping_add(b) }
    }

    /// `a - b`, with a sign.
    fn difference(&self, a: u64, b: u64) -> i64 {
        if self.departures.units {
            (a as u32).wrapping_sub(b as u32).cast_signed().into()
        } else {
            a.wrapping_sub(b).cast_signed()
        }
    }

    fn next(&self, after: u64) -> u64 {
        let interval = self.constants.INTERVAL;
        let gap = if self.departures.root {
            (interval * (u64::from(self.root) << 16)) >> 32
        } else {
            (u128::from(interval).pow(2) / u128::from(self.count)).isqrt() as u64
        };
        self.plus(after, gap)
    }

    /// x' = x (3 - count x^2) / 2, in fixed point of 32 bits, of which 16 are kept.
    fn newton(&mut self) {
        let root = u64::from(self.root) << 16;
        let square = (root * root) >> 32;
        let three_less = (3_u64 << 32).wrapping_sub(u64::from(self.count) * square);
        self.root = ((three_less >> 2).wrapping_mul(root) >> 31 >> 16) as u16;
    }

    fn head(
        &mut self,
        now: u64,
        queue: &mut VecDeque<OraclePacket>,
        bytes: &mut u64,
    ) -> (Option<OraclePacket>, bool) {
        let Some(packet) = queue.pop_front() else {
            self.first_above = 0;
            return (None, false);
        };
        *bytes -= packet.octets;
        let sojourn = self.plus(now, 0).wrapping_sub(self.units(packet.tstamp));
        let sojourn = if self.departures.units { u64::from(sojourn as u32) } else { sojourn };
        if self.difference(sojourn, self.constants.TARGET) < 0 || *bytes <= self.constants.MAXPACKET {
            self.first_above = 0;
            return (Some(packet), false);
        }
        if self.first_above == 0 {
            self.first_above = self.plus(now, self.constants.INTERVAL);
            return (Some(packet), false);
        }
        let past = self.difference(now, self.first_above);
        (Some(packet), if self.departures.after { past > 0 } else { past >= 0 })
    }

    pub(crate) fn dequeue(
        &mut self,
        now: u64,
        queue: &mut VecDeque<OraclePacket>,
        bytes: &mut u64,
        fates: &mut Vec<(u64, Fate)>,
    ) -> Option<OraclePacket> {
        let now = self.units(now);
        if self.departures.empty && queue.is_empty() {
            self.dropping = false;
            return None;
        }
        let (mut packet, mut drop) = self.head(now, queue, bytes);
        if self.dropping {
            self.dropping = drop;
            while self.dropping && self.difference(now, self.drop_next) >= 0 {
                self.count = self.count.wrapping_add(1);
                self.newton();
                if self.mark(&mut packet) {
                    self.drop_next = self.next(self.drop_next);
                    break;
                }
                fates.extend(packet.map(|packet| (packet.number, Fate::Dropped)));
                (packet, drop) = self.head(now, queue, bytes);
                self.dropping = drop;
                if drop {
                    self.drop_next = self.next(self.drop_next);
                }
            }
        } else if drop {
            if !self.mark(&mut packet) {
                fates.extend(packet.map(|packet| (packet.number, Fate::Dropped)));
                (packet, _) = self.head(now, queue, bytes);
            }
            self.dropping = true;
            let delta = self.count.wrapping_sub(self.last_count);
            let since = self.difference(now, self.drop_next);
            if delta > 1 && since < (16 * self.constants.INTERVAL).cast_signed() {
                self.count = delta;
                self.newton();
            } else {
                (self.count, self.root) = (1, u16::MAX);
            }
            self.last_count = self.count;
            self.drop_next = self.next(now);
        }
        if let (Some(packet), Some(threshold)) = (&mut packet, self.constants.ce_threshold) {
            let sojourn = self.difference(now, self.units(packet.tstamp)).cast_unsigned();
            packet.ce |= packet.ect && self.difference(sojourn, threshold) > 0;
        }
        packet
    }

    fn mark(&self, packet: &mut Option<OraclePacket>) -> bool {
        let Some(packet) = packet.as_mut().filter(|packet| self.constants.ecn && packet.ect) else {
            return false;
        };
        packet.ce = true;
        true
    }
}
