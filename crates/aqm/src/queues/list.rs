//! Lists of queues: in at the tail, out at the head. A queue is in at most one at a time.

use super::{Flow, NONE};

#[derive(Debug, Clone, Copy)]
pub(crate) struct List {
    head: u32,
    tail: u32,
}

impl List {
    pub(crate) const EMPTY: Self = Self { head: NONE, tail: NONE };

    #[inline]
    pub(crate) fn is_empty(self) -> bool {
        self.head == NONE
    }

    #[inline]
    pub(crate) fn first(self) -> Option<u32> {
        (self.head != NONE).then_some(self.head)
    }

    #[inline]
    pub(crate) fn push<S>(&mut self, flows: &mut [Flow<S>], queue: u32) {
        flows[queue as usize].next = NONE;
        let tail = std::mem::replace(&mut self.tail, queue);
        if tail == NONE {
            self.head = queue;
        } else {
            flows[tail as usize].next = queue;
        }
    }

    #[inline]
    pub(crate) fn pop<S>(&mut self, flows: &[Flow<S>]) -> Option<u32> {
        let queue = self.first()?;
        self.head = flows[queue as usize].next;
        if self.head == NONE {
            self.tail = NONE;
        }
        Some(queue)
    }

    /// The queues from head to tail.
    pub(crate) fn iter<S>(self, flows: &[Flow<S>]) -> impl Iterator<Item = u32> + '_ {
        let mut next = self.head;
        std::iter::from_fn(move || {
            let queue = (next != NONE).then_some(next)?;
            next = flows[queue as usize].next;
            Some(queue)
        })
    }
}
