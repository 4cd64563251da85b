//! CoDel (RFC 8289): which packets of one queue to drop or mark so that it does not stand.
//!
//! [`Codel`] is the state that a queue has, 32 octets; [`Parameters`] may be shared by many. The queue itself
//! is the caller's, behind the trait [`Queue`]: it knows its packets' lengths, when each came, and how to mark
//! one.
//!
//! Decisions are those of the pseudocode in RFC 8289 section 5, drop for drop. Where implementations differ:
//! - *Units.* Time is whole nanoseconds in 64 bits, and the control law takes a true square root. Linux counts
//!   1,024 ns in 32 bits and keeps 1/sqrt(count) in 16 bits, improved by one Newton step a drop: its second gap is
//!   50 ms and not 70.7, and the later ones come nearer.
//! - *At the very moment.* Dropping may begin at `first_above_time` (the RFC's `>=`); Linux waits until after
//!   it (`>`).
//! - *Empty.* A queue that is found empty is below the target; in Linux it stays as it was. That counts for a flow of
//!   its fq_codel, whose backlog is that of all flows: a new burst of it may be dropped from a little sooner.
//! - *How many at once.* As many as are due, at most all there are, as in the RFC. Newer kernels stop at 256.
//! - *No sentinel.* "Below the target" is a flag here; where it is a time of 0, a clock that wraps meets it.
//! - *ECN* and `ce_threshold` are Linux's: a mark takes the place of a drop, ends the round, and the packet is
//!   delivered.
//!
//! `tests/kernel.rs` compiles the kernel's `codel_impl.h` with a clock of its own and holds that this list is complete:
//! of a million packets in 412 traces the kernel decides about each as the pseudocode with these departures does,
//! and ours about each as the pseudocode. It gives 0.3 % more signals than ours; eleven packets in a hundred have another fate.

use crate::Rate;
use crate::time::{Stamp, nanoseconds};
use std::time::Duration;

/// What CoDel aims at (RFC 8289 section 4.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Parameters {
    /// The delay that a standing queue may have: 5 ms, but no less than a packet takes at the link's rate.
    pub target: Duration,
    /// About the longest usual round trip: 100 ms.
    pub interval: Duration,
    /// Octets of the largest packet: a backlog of one is no queue (RFC 8289's MAXPACKET).
    pub mtu: u32,
    /// Mark packets that can be marked, rather than drop them (RFC 3168).
    pub ecn: bool,
    /// Mark every packet that waited longer than this (as RFC 8290 section 5.2.7 has it); for links whose
    /// senders expect it (DCTCP).
    pub ce_threshold: Option<Duration>,
}

impl Default for Parameters {
    /// RFC 8289's values for the Internet, without ECN.
    fn default() -> Self {
        Self {
            target: Duration::from_millis(5),
            interval: Duration::from_millis(100),
            mtu: 1514,
            ecn: false,
            ce_threshold: None,
        }
    }
}

impl Parameters {
    /// Values for a link of this rate: below some 3 Mbit/s a packet of 1,514 octets takes so long that 5 ms
    /// would be below what the link can do. Then the target is 1.5 packets' time, and the interval grows with
    /// it (as in Linux's CAKE; RFC 8289 section 4.4 asks for at least one).
    pub fn for_rate(rate: Rate) -> Self {
        let usual = Self::default();
        Self::for_link(rate, usual.mtu, usual.interval)
    }

    /// The same for packets and round trips of another size.
    pub fn for_link(rate: Rate, mtu: u32, round_trip: Duration) -> Self {
        let usual = Self::default();
        let target = usual.target.max(rate.time_for(mtu) * 3 / 2);
        let interval = round_trip.saturating_add(target.saturating_sub(usual.target)).max(target * 2);
        Self { target, interval, mtu, ..usual }
    }

    pub(crate) fn limits(&self) -> Limits {
        Limits {
            target: nanoseconds(self.target),
            interval: nanoseconds(self.interval).min(Limits::LONGEST),
            mtu: self.mtu.into(),
            ecn: self.ecn,
            ce_threshold: self.ce_threshold.map_or(u64::MAX, nanoseconds),
        }
    }
}

/// [`Parameters`] in nanoseconds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    pub(crate) target: u64,
    pub(crate) interval: u64,
    pub(crate) mtu: u64,
    pub(crate) ecn: bool,
    pub(crate) ce_threshold: u64,
}

impl Limits {
    /// An interval of a year: 16 of them are still far from where moments wrap.
    const LONGEST: u64 = 365 * 24 * 3600 * 1_000_000_000;
}

/// Why a packet is marked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mark {
    /// In the place of a drop.
    Congestion,
    /// It waited longer than `ce_threshold`.
    Threshold,
}

/// What CoDel takes packets from: first in, first out.
pub trait Queue {
    /// A packet.
    type Packet;

    /// Takes the oldest packet out, and when it came in.
    fn pop(&mut self) -> Option<(Self::Packet, Stamp)>;

    /// Octets left in the queue; where several queues share a link, in all of them, as Linux's fq_codel does.
    fn backlog(&self) -> u64;

    /// Marks a packet "congestion experienced", and says whether it could be: it is one already, or its sender
    /// understands marks.
    fn mark(&mut self, packet: &mut Self::Packet, why: Mark) -> bool;

    /// Takes a packet that is not to be sent.
    fn discard(&mut self, packet: Self::Packet);
}

/// The state of one queue's CoDel.
///
/// ```
/// use sixgate_aqm::codel::{Codel, Mark, Parameters, Queue};
/// use sixgate_aqm::Stamp;
/// use std::{collections::VecDeque, time::Duration};
///
/// /// Strings in a line, each as long as it is.
/// #[derive(Default)]
/// struct Line(VecDeque<(String, Stamp)>);
///
/// impl Queue for Line {
///     type Packet = String;
///     fn pop(&mut self) -> Option<(String, Stamp)> {
///         self.0.pop_front()
///     }
///     fn backlog(&self) -> u64 {
///         self.0.iter().map(|(text, _)| text.len() as u64).sum()
///     }
///     fn mark(&mut self, _: &mut String, _: Mark) -> bool {
///         false
///     }
///     fn discard(&mut self, _: String) {}
/// }
///
/// let (mut codel, parameters, mut line) = (Codel::default(), Parameters::default(), Line::default());
/// let now = Duration::from_secs(1);
/// line.0.push_back(("hello".into(), Stamp::of(now)));
/// let later = now + Duration::from_millis(1);
/// assert_eq!(codel.dequeue(later, &parameters, &mut line).as_deref(), Some("hello"));
/// ```
#[derive(Debug, Clone, Copy, Default)]
pub struct Codel {
    /// When the delay will have been above the target for an interval; only while it is `above`.
    first_above: Stamp,
    /// When to drop next, while dropping.
    drop_next: Stamp,
    /// Drops since dropping began, which sets their pace.
    count: u32,
    /// `count` when dropping began.
    last_count: u32,
    above: bool,
    dropping: bool,
}

/// The packet at the head of the line.
struct Head<P> {
    packet: P,
    sojourn: u64,
    ok_to_drop: bool,
}

impl Codel {
    /// The next packet to send; drops what is to be dropped before it.
    pub fn dequeue<Q: Queue>(
        &mut self,
        now: Duration,
        parameters: &Parameters,
        queue: &mut Q,
    ) -> Option<Q::Packet> {
        self.dequeue_at(Stamp::of(now), &parameters.limits(), queue)
    }

    #[inline]
    pub(crate) fn dequeue_at<Q: Queue>(
        &mut self,
        now: Stamp,
        limits: &Limits,
        queue: &mut Q,
    ) -> Option<Q::Packet> {
        let mut head = self.head(now, limits, queue);
        if self.dropping {
            head = self.go_on(now, limits, queue, head);
        } else if head.as_ref().is_some_and(|head| head.ok_to_drop) {
            head = self.begin(now, limits, queue, head);
        }
        let mut head = head?;
        if head.sojourn > limits.ce_threshold {
            queue.mark(&mut head.packet, Mark::Threshold);
        }
        Some(head.packet)
    }

    /// While dropping: drops what is due, or leaves that state.
    fn go_on<Q: Queue>(
        &mut self,
        now: Stamp,
        limits: &Limits,
        queue: &mut Q,
        mut head: Option<Head<Q::Packet>>,
    ) -> Option<Head<Q::Packet>> {
        while let Some(mut late) = head.take_if(|head| head.ok_to_drop) {
            if !self.drop_next.has_come(now) {
                return Some(late);
            }
            self.count = self.count.saturating_add(1);
            // From when the last one was due, not from now: the pace is kept whenever somebody comes to look.
            let next = self.drop_next.plus(gap(limits.interval, self.count));
            if limits.ecn && queue.mark(&mut late.packet, Mark::Congestion) {
                self.drop_next = next;
                return Some(late);
            }
            queue.discard(late.packet);
            head = self.head(now, limits, queue);
            if head.as_ref().is_some_and(|head| head.ok_to_drop) {
                self.drop_next = next;
            }
        }
        self.dropping = false;
        head
    }

    /// Drops the first one.
    fn begin<Q: Queue>(
        &mut self,
        now: Stamp,
        limits: &Limits,
        queue: &mut Q,
        mut head: Option<Head<Q::Packet>>,
    ) -> Option<Head<Q::Packet>> {
        let mut late = head.take()?;
        head = if limits.ecn && queue.mark(&mut late.packet, Mark::Congestion) {
            Some(late)
        } else {
            queue.discard(late.packet);
            self.head(now, limits, queue)
        };
        // Where the queue was good for a short time only, the pace that controlled it last time is a better
        // start than the slowest one. After that, `drop_next` lies at most an interval behind the last drop.
        let delta = self.count.saturating_sub(self.last_count);
        // `last_count` is 0 where it never dropped: then `drop_next` means nothing, wherever the clock began.
        let recently = self.last_count > 0 && now.since(self.drop_next) < 16 * limits.interval;
        self.count = if delta > 1 && recently { delta } else { 1 };
        self.last_count = self.count;
        self.drop_next = now.plus(gap(limits.interval, self.count));
        self.dropping = true;
        head
    }

    /// RFC 8289's dodequeue().
    #[inline]
    fn head<Q: Queue>(&mut self, now: Stamp, limits: &Limits, queue: &mut Q) -> Option<Head<Q::Packet>> {
        let Some((packet, came)) = queue.pop() else {
            self.above = false;
            return None;
        };
        let sojourn = now.since(came);
        let mut ok_to_drop = false;
        if sojourn < limits.target || queue.backlog() <= limits.mtu {
            self.above = false;
        } else if self.above {
            ok_to_drop = self.first_above.has_come(now);
        } else {
            self.above = true;
            self.first_above = now.plus(limits.interval);
        }
        Some(Head { packet, sojourn, ok_to_drop })
    }

    /// Whether it is dropping at present.
    pub fn is_dropping(&self) -> bool {
        self.dropping
    }

    /// The number of drops that sets the present pace: the next gap is interval/sqrt(count).
    pub fn count(&self) -> u32 {
        self.count
    }

    /// Takes note of packets that were dropped for want of room: the pace rises with them (as Linux's fq_codel
    /// does when it drops from the fattest flow).
    pub(crate) fn dropped_for_room(&mut self, packets: u32) {
        self.count = self.count.saturating_add(packets);
    }
}

/// The control law (RFC 8289 section 5.4): interval/sqrt(count), in whole nanoseconds.
#[allow(clippy::cast_precision_loss, clippy::cast_sign_loss, reason = "a positive number below 2^53")]
fn gap(interval: u64, count: u32) -> u64 {
    (interval as f64 / f64::from(count.max(1)).sqrt()) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_control_law_is_exact() {
        for interval in [1_000_000_u64, 100_000_000, 123_456_789, 1_000_000_000] {
            for count in 1..=20_000_u32 {
                let exact = (u128::from(interval).pow(2) / u128::from(count)).isqrt() as u64;
                assert_eq!(gap(interval, count), exact, "{interval}/sqrt({count})");
            }
        }
        assert_eq!(gap(100, 0), 100);
        assert_eq!(gap(100_000_000, u32::MAX), 1525);
    }

    #[test]
    fn slow_links_have_a_wider_target() {
        let fast = Parameters::for_rate(Rate::mbit(100));
        assert_eq!((fast.target, fast.interval), (Duration::from_millis(5), Duration::from_millis(100)));
        let slow = Parameters::for_rate(Rate::mbit(1));
        assert_eq!(slow.target, Duration::from_micros(12_112 * 3 / 2));
        assert_eq!(slow.interval, Duration::from_millis(95) + slow.target);
        let slowest = Parameters::for_rate(Rate::bits(100_000));
        assert_eq!(slowest.interval, slowest.target * 2);
    }

    #[test]
    fn state_is_small() {
        assert_eq!(size_of::<Codel>(), 32);
    }
}
