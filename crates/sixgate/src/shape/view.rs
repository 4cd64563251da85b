//! What a shaped link looks like from outside.

use super::{Active, Direction, Shaping, Speed, held};
use serde::{Deserialize, Serialize};
use sixgate_aqm::shape::{Tin, TinView};
use sixgate_linux::route::TinStats;
use std::fmt::Write as _;
use std::sync::atomic::Ordering;

/// A shaped link.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct ShapeView {
    pub(crate) interface: String,
    /// Whose queue: `own`, `cake` or `fq_codel`.
    pub(crate) queue: String,
    /// Why that one.
    pub(crate) reason: String,
    pub(crate) directions: Vec<DirectionView>,
    /// None where the queue is the kernel's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) thread: Option<ThreadView>,
    /// None where no rate changes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) steering: Option<SteeringView>,
    /// Why it does not work, where it does not.
    pub(crate) failed: Option<String>,
}

/// How soon our queue's thread runs when it is due: what this machine adds to each packet's delay.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct ThreadView {
    /// `real-time`, `raised` or `usual`: as much as the process may.
    pub(crate) urgency: String,
    /// How late it ran of late, and at most, in microseconds.
    pub(crate) late_us: u64,
    pub(crate) most_late_us: u64,
}

/// How the rates follow the link.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct SteeringView {
    /// Who is probed.
    pub(crate) targets: Vec<String>,
    pub(crate) probes: u64,
    pub(crate) answered: u64,
    /// Times that a queue was found and a rate cut.
    pub(crate) cuts: u64,
}

/// One direction of it.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct DirectionView {
    pub(crate) direction: Direction,
    /// Bits a second, now.
    pub(crate) rate: u64,
    /// Between which rates it moves, where it does.
    pub(crate) bounds: Option<(u64, u64)>,
    /// Packets that the kernel did not take back.
    pub(crate) not_sent: u64,
    /// Packets that were lost on the way to our queue: its thread did not run for too long.
    #[serde(default)]
    pub(crate) missed: u64,
    pub(crate) tins: Vec<TinCounts>,
}

/// A class of packets.
#[derive(Debug, Clone, Serialize, Deserialize)]
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

impl TinCounts {
    /// A tin of the kernel's: CAKE counts those of diffserv4 from bulk on.
    fn kernel(number: usize, several: bool, rate: u64, tin: &TinStats) -> Self {
        const ORDER: [&str; 4] = ["bulk", "best-effort", "video", "voice"];
        let name = ORDER.get(number).filter(|_| several).unwrap_or(&"best-effort");
        Self {
            tin: (*name).to_owned(),
            rate: if tin.rate == 0 { rate } else { tin.rate },
            packets: tin.packets,
            octets: tin.octets,
            dropped: tin.dropped,
            overflowed: 0,
            marked: tin.marked,
            acks: tin.acks,
            backlog: tin.backlog,
            flows: tin.sparse + tin.bulk,
            busy_flows: tin.bulk,
            delay_us: tin.average,
            peak_delay_us: tin.peak,
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
        let (queue, directions) = match &self.active {
            Active::Own(own) => {
                let directions = own.lanes().map(|(direction, shared)| {
                    let lost = (shared.counts.not_sent.load(Ordering::Relaxed), shared.missed());
                    let shaper = shared.shaper();
                    let tins = shaper.tins().map(|tin| TinCounts::own(&tin)).collect();
                    self.direction(direction, shaper.config().rate.as_bits(), lost, tins)
                });
                ("own", directions.collect())
            }
            Active::Kernel(kernel) => {
                let mut kernel = held(kernel);
                let sides: Vec<_> =
                    kernel.sides.iter().map(|side| (side.direction, side.config.rate.as_bits())).collect();
                let directions = sides.into_iter().map(|(direction, rate)| {
                    let tins = kernel.tins(direction);
                    let several = tins.len() > 1;
                    let tins = tins.iter().enumerate();
                    let tins =
                        tins.map(|(number, tin)| TinCounts::kernel(number, several, rate, tin)).collect();
                    self.direction(direction, rate, (0, 0), tins)
                });
                let directions = directions.collect();
                (kernel.kind.name(), directions)
            }
        };
        ShapeView {
            interface: self.setup.interface.clone(),
            queue: queue.to_owned(),
            reason: self.reason.clone(),
            directions,
            thread: match &self.active {
                Active::Own(own) => {
                    let (late_us, most_late_us) = own.lateness().microseconds();
                    Some(ThreadView { urgency: own.urgency.to_string(), late_us, most_late_us })
                }
                Active::Kernel(_) => None,
            },
            steering: self.steering.as_ref().map(|steering| {
                let steered = held(&steering.steered);

                SteeringView {
                    targets: steered.targets.iter().map(ToString::to_string).collect(),
                    probes: steered.probes,
                    answered: steered.answered,
                    cuts: steered.cuts.iter().map(|(_, cuts)| cuts).sum(),
                }
            }),
            failed: self.failed(),
        }
    }

    fn direction(
        &self,
        direction: Direction,
        rate: u64,
        (not_sent, missed): (u64, u64),
        tins: Vec<TinCounts>,
    ) -> DirectionView {
        let bounds = match self.setup.plan.speed(direction) {
            Some(Speed::Between(least, most)) => Some((least.as_bits(), most.as_bits())),
            _ => None,
        };
        DirectionView { direction, rate, bounds, not_sent, missed, tins }
    }
}

/// A rate for people.
pub(super) fn rate_text(bits: u64) -> String {
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
        if let Some(steering) = &self.steering {
            let whom = match steering.targets.as_slice() {
                [] => "nobody: there is no router yet".to_owned(),
                targets => targets.join(" "),
            };
            let _ = writeln!(
                text,
                "  follows the delay to {whom}: {} of {} probes answered, {} times slower",
                steering.answered, steering.probes, steering.cuts
            );
        }
        if let Some(thread) = &self.thread {
            let (late, most) = (delay_text(thread.late_us), delay_text(thread.most_late_us));
            let _ = write!(
                text,
                "  its thread's priority is {}, it runs {late} late (at most {most})",
                thread.urgency
            );
            text.push_str(if thread.urgency == "usual" { ": CAP_SYS_NICE would help\n" } else { "\n" });
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
            for (count, what) in
                [(direction.not_sent, "not taken back"), (direction.missed, "lost before the queue")]
            {
                if count > 0 {
                    let _ = writeln!(text, "  {}: {count} packets {what}", direction.direction);
                }
            }
        }
        text
    }
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
