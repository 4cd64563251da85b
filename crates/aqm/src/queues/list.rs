//! Lists of queues: in at the tail, out at the head. A queue is in at most one of those that share [`Links`].

use super::NONE;

/// What follows each queue in its list.
#[derive(Debug, Clone)]
pub(crate) struct Links(Box<[u32]>);

impl Links {
    pub(crate) fn new(queues: usize) -> Self {
        Self(vec![NONE; queues].into())
    }
}

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
    pub(crate) fn push(&mut self, links: &mut Links, queue: u32) {
        links.0[queue as usize] = NONE;
        let tail = std::mem::replace(&mut self.tail, queue);
        if tail == NONE {
            self.head = queue;
        } else {
            links.0[tail as usize] = queue;
        }
    }

    #[inline]
    pub(crate) fn pop(&mut self, links: &Links) -> Option<u32> {
        let queue = self.first()?;
        self.head = links.0[queue as usize];
        if self.head == NONE {
            self.tail = NONE;
        }
        Some(queue)
    }

    /// The queues from head to tail.
    pub(crate) fn iter(self, links: &Links) -> impl Iterator<Item = u32> + '_ {
        let mut next = self.head;
        std::iter::from_fn(move || {
            let queue = (next != NONE).then_some(next)?;
            next = links.0[queue as usize];
            Some(queue)
        })
    }
}
