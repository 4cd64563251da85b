//! One direction of an impaired link, in simulated time: no clock, no socket, no thread.
//!
//! A frame goes through a drop-tail buffer, then a bottleneck of a given rate, then a line of a given delay where
//! it may be lost. A lost frame has used its share of the rate, as on a real line. Frames are never reordered:
//! jitter only stretches the delay.

use std::collections::VecDeque;
use std::time::Duration;

/// How much waits in front of the bottleneck before further frames are dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Buffer {
    /// So many bytes.
    Bytes(u64),
    /// As many bytes as the link carries in this time; without a rate nothing ever waits.
    Time(Duration),
}

/// What a link does to the frames of one direction. The default does nothing.
#[derive(Debug, Clone, PartialEq)]
pub struct Impairment {
    /// Bits per second, Ethernet headers included; `None`: no limit.
    pub rate: Option<u64>,
    /// One-way delay after the bottleneck.
    pub delay: Duration,
    /// Up to so much is added to each frame's delay, evenly spread.
    pub jitter: Duration,
    /// Probability from 0 to 1 that a frame is lost.
    pub loss: f64,
    /// The buffer before the bottleneck.
    pub buffer: Buffer,
}

impl Default for Impairment {
    fn default() -> Self {
        Self {
            rate: None,
            delay: Duration::ZERO,
            jitter: Duration::ZERO,
            loss: 0.0,
            buffer: Buffer::Time(Duration::from_millis(100)),
        }
    }
}

impl Impairment {
    /// Whether frames pass as they come.
    pub fn is_perfect(&self) -> bool {
        self.rate.is_none() && self.delay.is_zero() && self.jitter.is_zero() && self.loss <= 0.0
    }

    fn buffer_bytes(&self) -> u64 {
        match (self.buffer, self.rate) {
            (Buffer::Bytes(bytes), _) => bytes,
            (Buffer::Time(time), Some(rate)) => {
                let bytes = u128::from(rate / 8) * time.as_nanos() / 1_000_000_000;
                u64::try_from(bytes).unwrap_or(u64::MAX)
            }
            (Buffer::Time(_), None) => u64::MAX,
        }
    }
}

/// What became of the frames of one direction.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counters {
    /// Frames that arrived at the other end.
    pub delivered: u64,
    /// Frames that the line lost.
    pub lost: u64,
    /// Frames that found the buffer full.
    pub dropped: u64,
    /// Most bytes that ever waited.
    pub peak_bytes: u64,
}

/// Frames held at once at most, whatever the delay: a bound for memory.
const MAX_FRAMES: usize = 65_536;

#[derive(Debug)]
struct Frame {
    due: Duration,
    bytes: Vec<u8>,
}

/// One direction of an impaired link. `now` is steady time since any fixed moment.
#[derive(Debug)]
pub struct Emulator {
    impairment: Impairment,
    rng: fastrand::Rng,
    // When the bottleneck has sent all it was given.
    free_at: Duration,
    last_due: Duration,
    // Frames before the bottleneck: when each has left it, and its length.
    waiting: VecDeque<(Duration, u64)>,
    waiting_bytes: u64,
    line: VecDeque<Frame>,
    counters: Counters,
}

impl Emulator {
    /// A line that behaves the same for the same seed and the same frames at the same times.
    pub fn new(impairment: Impairment, seed: u64) -> Self {
        Self {
            impairment,
            rng: fastrand::Rng::with_seed(seed),
            free_at: Duration::ZERO,
            last_due: Duration::ZERO,
            waiting: VecDeque::new(),
            waiting_bytes: 0,
            line: VecDeque::new(),
            counters: Counters::default(),
        }
    }

    /// A frame comes in.
    pub fn push(&mut self, now: Duration, bytes: Vec<u8>) {
        self.drain(now);
        let length = bytes.len() as u64;
        // What is being sent needs no room: an idle link takes a frame however small its buffer.
        let full = self.waiting_bytes > 0
            && self.waiting_bytes.saturating_add(length) > self.impairment.buffer_bytes();
        if full || self.line.len() >= MAX_FRAMES {
            self.counters.dropped += 1;
            return;
        }
        let sending = self.impairment.rate.map_or(Duration::ZERO, |rate| sending_time(length, rate));
        let left = now.max(self.free_at).saturating_add(sending);
        self.free_at = left;
        if left > now {
            self.waiting.push_back((left, length));
            self.waiting_bytes += length;
            self.counters.peak_bytes = self.counters.peak_bytes.max(self.waiting_bytes);
        }
        if self.impairment.loss > 0.0 && self.rng.f64() < self.impairment.loss {
            self.counters.lost += 1;
            return;
        }
        let jitter = self.impairment.jitter.mul_f64(self.rng.f64());
        let due = left.saturating_add(self.impairment.delay).saturating_add(jitter).max(self.last_due);
        self.last_due = due;
        self.line.push_back(Frame { due, bytes });
    }

    /// The next frame that has arrived by now.
    pub fn pop(&mut self, now: Duration) -> Option<Vec<u8>> {
        self.drain(now);
        self.line.front().filter(|frame| frame.due <= now)?;
        self.counters.delivered += 1;
        self.line.pop_front().map(|frame| frame.bytes)
    }

    /// When [`Emulator::pop`] has the next frame.
    pub fn next_due(&self) -> Option<Duration> {
        self.line.front().map(|frame| frame.due)
    }

    /// What became of the frames so far.
    pub fn counters(&self) -> Counters {
        self.counters
    }

    fn drain(&mut self, now: Duration) {
        while let Some(&(left, length)) = self.waiting.front()
            && left <= now
        {
            self.waiting.pop_front();
            self.waiting_bytes -= length;
        }
    }
}

fn sending_time(bytes: u64, rate: u64) -> Duration {
    let nanos = u128::from(bytes) * 8 * 1_000_000_000 / u128::from(rate.max(1));
    Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(value: u64) -> Duration {
        Duration::from_millis(value)
    }

    #[test]
    fn rate_spaces_frames_and_delay_shifts_them() {
        // 1000 bytes at 8 Mbit/s take one millisecond.
        let line = Impairment { rate: Some(8_000_000), delay: ms(10), ..Impairment::default() };
        let mut emulator = Emulator::new(line, 1);
        for number in 0..5_u8 {
            emulator.push(ms(100), vec![number; 1000]);
        }
        for number in 0..5_u8 {
            let due = ms(100 + 10 + 1 + u64::from(number));
            assert_eq!(emulator.next_due(), Some(due));
            assert_eq!(emulator.pop(due.saturating_sub(Duration::from_nanos(1))), None);
            assert_eq!(emulator.pop(due), Some(vec![number; 1000]));
        }
        assert_eq!(emulator.next_due(), None);
    }

    #[test]
    fn a_full_buffer_drops_the_newest() {
        for buffer in [Buffer::Bytes(3000), Buffer::Time(ms(3))] {
            let line = Impairment { rate: Some(8_000_000), buffer, ..Impairment::default() };
            let mut emulator = Emulator::new(line, 1);
            for _ in 0..10 {
                emulator.push(ms(0), vec![0; 1000]);
            }
            assert_eq!(emulator.counters().dropped, 7);
            assert_eq!(emulator.counters().peak_bytes, 3000);
            // One has left after a millisecond: there is room for exactly one more.
            emulator.push(ms(1), vec![0; 1000]);
            emulator.push(ms(1), vec![0; 1000]);
            assert_eq!(emulator.counters().dropped, 8);
            let arrived = std::iter::from_fn(|| emulator.pop(ms(100))).count();
            assert_eq!(arrived, 4);
        }
    }

    #[test]
    fn a_tiny_buffer_still_passes_single_frames() {
        let line = Impairment { rate: Some(8_000), buffer: Buffer::Bytes(1), ..Impairment::default() };
        let mut emulator = Emulator::new(line, 1);
        emulator.push(ms(0), vec![0; 1500]);
        assert_eq!(emulator.counters().dropped, 0);
    }

    #[test]
    fn loss_is_seeded_and_near_its_probability() {
        let run = |seed| {
            let line = Impairment { loss: 0.1, ..Impairment::default() };
            let mut emulator = Emulator::new(line, seed);
            let mut arrived = Vec::new();
            for number in 0..10_000_u32 {
                let now = ms(u64::from(number));
                emulator.push(now, number.to_be_bytes().to_vec());
                arrived.extend(emulator.pop(now));
            }
            assert_eq!(emulator.counters().lost + emulator.counters().delivered, 10_000);
            (emulator.counters().lost, arrived)
        };
        let (lost, arrived) = run(7);
        // Five standard deviations: 5 * sqrt(10000 * 0.1 * 0.9) = 150.
        assert!((850..=1150).contains(&lost), "{lost} of 10000 lost");
        assert_eq!(run(7), (lost, arrived.clone()));
        assert_ne!(run(8).1, arrived);
    }

    #[test]
    fn jitter_never_reorders() {
        let line = Impairment { delay: ms(5), jitter: ms(20), ..Impairment::default() };
        let mut emulator = Emulator::new(line, 3);
        for number in 0..100_u8 {
            emulator.push(ms(u64::from(number)), vec![number; 14]);
        }
        let mut last = Duration::ZERO;
        for number in 0..100_u8 {
            let due = emulator.next_due().expect("a frame is on its way");
            assert!(due >= last && due >= ms(u64::from(number) + 5));
            last = due;
            assert_eq!(emulator.pop(due), Some(vec![number; 14]));
        }
    }

    #[test]
    fn memory_is_bounded() {
        let line = Impairment { delay: Duration::from_hours(1), ..Impairment::default() };
        let mut emulator = Emulator::new(line, 3);
        for _ in 0..MAX_FRAMES + 10 {
            emulator.push(ms(0), Vec::new());
        }
        assert_eq!(emulator.counters().dropped, 10);
    }

    #[test]
    fn extreme_values_do_not_overflow() {
        let line = Impairment {
            rate: Some(1),
            delay: Duration::MAX,
            jitter: ms(1),
            buffer: Buffer::Time(Duration::MAX),
            ..Impairment::default()
        };
        let mut emulator = Emulator::new(line, 3);
        emulator.push(Duration::MAX, vec![0; 9000]);
        emulator.push(Duration::MAX, vec![0; 9000]);
        assert_eq!(emulator.next_due(), Some(Duration::MAX));
    }
}
