//! Packets that say what became of them, and what the tests measure with.

#![allow(dead_code, reason = "each test binary uses a part")]

pub(crate) mod codel_line;
pub(crate) mod codel_linux;
pub(crate) mod codel_oracle;
pub(crate) mod fq_oracle;
pub(crate) mod pie_oracle;
pub(crate) mod recorded;

use sixgate_aqm::Packet;
use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

pub(crate) fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

/// What became of a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    Sent,
    /// Sent with a mark.
    Marked,
    Dropped,
}

/// Fates by number of packet, in the order in which they befell.
pub(crate) type Diary = Rc<RefCell<Vec<(u64, Fate)>>>;

/// A packet with a number; dropped, it says so in the diary.
#[derive(Debug)]
pub(crate) struct Numbered {
    pub(crate) number: u64,
    pub(crate) flow: u64,
    pub(crate) octets: u32,
    pub(crate) ect: bool,
    pub(crate) marked: bool,
    pub(crate) diary: Option<Diary>,
}

impl Packet for Numbered {
    type Flow = u64;

    fn flow(&self) -> u64 {
        self.flow
    }

    fn octets(&self) -> u32 {
        self.octets
    }

    fn mark(&mut self) -> bool {
        self.marked |= self.ect;
        self.ect
    }
}

impl Numbered {
    /// It has left the queue to be sent.
    pub(crate) fn sent(mut self) -> (u64, Fate) {
        let fate = (self.number, if self.marked { Fate::Marked } else { Fate::Sent });
        if let Some(diary) = self.diary.take() {
            diary.borrow_mut().push(fate);
        }
        fate
    }
}

impl Drop for Numbered {
    fn drop(&mut self) {
        if let Some(diary) = self.diary.take() {
            diary.borrow_mut().push((self.number, Fate::Dropped));
        }
    }
}

/// Something that happens to a queue.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Event {
    /// A packet comes: its flow, octets, and whether it can be marked.
    Enqueue(u64, u32, bool),
    Dequeue,
}
