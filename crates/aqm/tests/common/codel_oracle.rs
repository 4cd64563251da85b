//! RFC 8289 section 5, written down line by line and slowly: its names, its order, its sentinel of 0; times are
//! whole nanoseconds, and the root is taken in integers. ECN and `ce_threshold` as Linux adds them.

use super::Fate;
use std::collections::VecDeque;

#[derive(Debug, Clone, Copy)]
pub(crate) struct OraclePacket {
    pub(crate) number: u64,
    pub(crate) tstamp: u64,
    pub(crate) octets: u64,
    pub(crate) ect: bool,
    pub(crate) ce: bool,
}

#[derive(Debug, Clone, Copy)]
#[allow(non_snake_case)]
pub(crate) struct Constants {
    pub(crate) TARGET: u64,
    pub(crate) INTERVAL: u64,
    pub(crate) MAXPACKET: u64,
    pub(crate) ecn: bool,
    pub(crate) ce_threshold: Option<u64>,
}

#[allow(clippy::struct_field_names)]
/// codel_queue_t's members that are not its packets.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct CodelState {
    first_above_time_: u64,
    drop_next_: u64,
    pub(crate) count_: u32,
    lastcount_: u32,
    dropping_: bool,
}

struct DodequeueResult {
    p: Option<OraclePacket>,
    ok_to_drop: bool,
}

fn control_law(t: u64, count: u32, constants: &Constants) -> u64 {
    t + (u128::from(constants.INTERVAL).pow(2) / u128::from(count)).isqrt() as u64
}

impl CodelState {
    fn dodequeue(
        &mut self,
        now: u64,
        constants: &Constants,
        queue: &mut VecDeque<OraclePacket>,
        bytes: &mut u64,
    ) -> DodequeueResult {
        let mut r = DodequeueResult { p: queue.pop_front(), ok_to_drop: false };
        match r.p {
            None => self.first_above_time_ = 0,
            Some(p) => {
                *bytes -= p.octets;
                let sojourn_time = now - p.tstamp;
                if sojourn_time < constants.TARGET || *bytes <= constants.MAXPACKET {
                    self.first_above_time_ = 0;
                } else if self.first_above_time_ == 0 {
                    self.first_above_time_ = now + constants.INTERVAL;
                } else if now >= self.first_above_time_ {
                    r.ok_to_drop = true;
                }
            }
        }
        r
    }

    /// `bytes` is what the whole queue holds; `fates` gets what is dropped.
    pub(crate) fn deque(
        &mut self,
        now: u64,
        constants: &Constants,
        queue: &mut VecDeque<OraclePacket>,
        bytes: &mut u64,
        fates: &mut Vec<(u64, Fate)>,
    ) -> Option<OraclePacket> {
        let mut r = self.dodequeue(now, constants, queue, bytes);
        if self.dropping_ {
            if !r.ok_to_drop {
                self.dropping_ = false;
            }
            while now >= self.drop_next_ && self.dropping_ {
                self.count_ += 1;
                if let Some(p) = &mut r.p {
                    if constants.ecn && p.ect {
                        p.ce = true;
                        self.drop_next_ = control_law(self.drop_next_, self.count_, constants);
                        break;
                    }
                    fates.push((p.number, Fate::Dropped));
                }
                r = self.dodequeue(now, constants, queue, bytes);
                if r.ok_to_drop {
                    self.drop_next_ = control_law(self.drop_next_, self.count_, constants);
                } else {
                    self.dropping_ = false;
                }
            }
        } else if r.ok_to_drop {
            match &mut r.p {
                Some(p) if constants.ecn && p.ect => p.ce = true,
                p => {
                    fates.push((p.unwrap().number, Fate::Dropped));
                    r = self.dodequeue(now, constants, queue, bytes);
                }
            }
            self.dropping_ = true;
            let delta = self.count_ - self.lastcount_;
            self.count_ = 1;
            let since = i128::from(now) - i128::from(self.drop_next_);
            if delta > 1 && since < 16 * i128::from(constants.INTERVAL) {
                self.count_ = delta;
            }
            self.drop_next_ = control_law(now, self.count_, constants);
            self.lastcount_ = self.count_;
        }
        if let (Some(p), Some(threshold)) = (&mut r.p, constants.ce_threshold)
            && now - p.tstamp > threshold
            && p.ect
        {
            p.ce = true;
        }
        r.p
    }
}
