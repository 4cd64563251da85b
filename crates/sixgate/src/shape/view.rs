//! What a shaped link looks like from outside.

use super::{Direction, Shaping, Speed};
use serde::{Deserialize, Serialize};
use sixgate_aqm::Rate;
use sixgate_aqm::shape::{Tin, TinView};
use std::fmt::Write as _;
use std::sync::atomic::Ordering;

/// A shaped link.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct ShapeView {
    pub(crate) interface: String,
    /// Whose queue: `own`, `cake` or `fq_codel`.
    pub(crate) queue: String,
    /// Why that one.
    pub(crate) reason: String,
    pub(crate) directions: Vec<DirectionView>,
    /// Why it does not work, where it does not.
    pub(crate) failed: Option<String>,
}

/// One direction of it.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct DirectionView {
    pub(crate) direction: Direction,
    /// Bits a second, now.
    pub(crate) rate: u64,
    /// Between which rates it moves, where it does.
    pub(crate) bounds: Option<(u64, u64)>,
    /// Packets that the kernel did not take back.
    pub(crate) not_sent: u64,
    pub(crate) tins: Vec<TinCounts>,
}

/// A class of packets.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct TinCounts {
    pub(crate) tin: String,
    /// Its share, bits a second.
    pub(crate) rate: u64,
    pub(crate) packets: u64,
    /// Octets sent, as the link counts them.
    pub(crate) octets: u64,
    pub(crate) dropped: u64,
    /// Dropped for want of room.
    pub(crate) overflowed: u64,
    pub(crate) marked: u64,
    /// Acknowledgements left out.
    pub(crate) acks: u64,
    /// Packets that wait now.
    pub(crate) backlog: u64,
    /// Flows that are served now, and those of them that send more than their turn.
    pub(crate) flows: u64,
    pub(crate) busy_flows: u64,
    /// What packets waited of late, in microseconds: an average, and its peaks.
    pub(crate) delay_us: u64,
    pub(crate) peak_delay_us: u64,
}

impl TinCounts {
    fn own(view: &TinView) -> Self {
        let counters = view.counters;
        Self {
            tin: tin_name(view.tin).to_owned(),
            rate: view.rate.as_bits(),
            packets: counters.dequeued,
            octets: counters.octets,
            dropped: counters.dropped,
            overflowed: counters.overflowed,
            marked: counters.marked,
            acks: counters.acks,
            backlog: view.packets.into(),
            flows: view.flows.into(),
            busy_flows: view.busy_flows.into(),
            delay_us: counters.average_delay / 1000,
            peak_delay_us: counters.peak_delay / 1000,
        }
    }
}

fn tin_name(tin: Tin) -> &'static str {
    match tin {
        Tin::BestEffort => "best-effort",
        Tin::Bulk => "bulk",
        Tin::Video => "video",
        Tin::Voice => "voice",
    }
}

impl Shaping {
    /// What it does.
    pub(crate) fn view(&self) -> ShapeView {
        let plan = &self.setup.plan;
        let directions = self.own.lanes().map(|(direction, shared)| {
            let shaper = shared.shaper();
            DirectionView {
                direction,
                rate: shaper.config().rate.as_bits(),
                bounds: match plan.speed(direction) {
                    Some(Speed::Between(least, most)) => Some((least.as_bits(), most.as_bits())),
                    _ => None,
                },
                not_sent: shared.counts.not_sent.load(Ordering::Relaxed),
                tins: shaper.tins().map(|tin| TinCounts::own(&tin)).collect(),
            }
        });
        ShapeView {
            interface: self.setup.interface.clone(),
            queue: "own".to_owned(),
            reason: self.reason.clone(),
            directions: directions.collect(),
            failed: self.failed(),
        }
    }
}

/// A rate for people.
fn rate_text(bits: u64) -> String {
    let text = match bits {
        1_000_000_000.. => (bits / 10_000_000, "G"),
        1_000_000.. => (bits / 10_000, "M"),
        _ => (bits / 10, "k"),
    };
    let (hundredths, unit) = text;
    let fraction = format!("{:02}", hundredths % 100);
    let fraction = fraction.trim_end_matches('0');
    let dot = if fraction.is_empty() { "" } else { "." };
    format!("{}{dot}{fraction} {unit}bit/s", hundredths / 100)
}

/// A time for people, from microseconds.
fn delay_text(us: u64) -> String {
    if us < 10_000 { format!("{}.{} ms", us / 1000, us % 1000 / 100) } else { format!("{} ms", us / 1000) }
}

impl ShapeView {
    /// One line.
    pub(crate) fn line(&self) -> String {
        let mut line = self.interface.clone();
        for direction in &self.directions {
            let _ = write!(line, " {} {}", direction.direction, rate_text(direction.rate));
            if let Some((least, most)) = direction.bounds {
                let _ = write!(line, " (between {} and {})", rate_text(least), rate_text(most));
            }
        }
        let queue = match self.queue.as_str() {
            "own" => "our own queue",
            "cake" => "the kernel's CAKE",
            _ => "the kernel's FQ-CoDel under HTB",
        };
        let _ = write!(line, ", by {queue}: {}", self.reason);
        line
    }

    /// The line, and one for each tin that has seen packets.
    pub(crate) fn table(&self) -> String {
        let mut text = format!("{}\n", self.line());
        if let Some(why) = &self.failed {
            let _ = writeln!(text, "  ended: {why}");
        }
        for direction in &self.directions {
            for tin in direction.tins.iter().filter(|tin| tin.packets > 0 || direction.tins.len() == 1) {
                let name = if direction.tins.len() > 1 { format!(" {}", tin.tin) } else { String::new() };
                let _ = write!(
                    text,
                    "  {}{name}: {} packets, waited {} (peaks {}), {} dropped, {} marked, {} waiting in {} flows",
                    direction.direction,
                    tin.packets,
                    delay_text(tin.delay_us),
                    delay_text(tin.peak_delay_us),
                    tin.dropped + tin.overflowed,
                    tin.marked,
                    tin.backlog,
                    tin.flows,
                );
                if tin.acks > 0 {
                    let _ = write!(text, ", {} acknowledgements left out", tin.acks);
                }
                text.push('\n');
            }
            if direction.not_sent > 0 {
                let _ = writeln!(
                    text,
                    "  {}: {} packets not taken back",
                    direction.direction, direction.not_sent
                );
            }
        }
        text
    }
}

/// For messages elsewhere.
pub(crate) fn rate_of(rate: Rate) -> String {
    rate_text(rate.as_bits())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_and_times_are_for_people() {
        for (bits, text) in [
            (64_000, "64 kbit/s"),
            (2_500_000, "2.5 Mbit/s"),
            (20_000_000, "20 Mbit/s"),
            (1_000_000_000, "1 Gbit/s"),
            (18_765_432, "18.76 Mbit/s"),
        ] {
            assert_eq!(rate_text(bits), text);
        }
        assert_eq!((delay_text(1_234), delay_text(123_456)), ("1.2 ms".to_owned(), "123 ms".to_owned()));
    }
}
