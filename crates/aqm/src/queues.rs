//! Packets in many queues, in memory that is all taken at the start. No scheduling: which queue is served is
//! for [`fq`](crate::fq) and [`shape`](crate::shape) to say.

mod fattest;
mod list;

use crate::Packet;
use crate::codel::{Codel, Limits, Mark, Queue};
use crate::time::Stamp;
use fattest::Fattest;
pub(crate) use list::List;

/// No packet, no queue.
pub(crate) const NONE: u32 = u32::MAX;

/// A packet and what is kept with it.
struct Node<P> {
    packet: Option<P>,
    came: Stamp,
    octets: u32,
    memory: u32,
    /// The packet behind it, or the next free place.
    next: u32,
}

/// One queue, with the state that its scheduler has for it: all in one line of the processor's cache, for with
/// many flows it is what is not in the cache that costs.
#[derive(Debug, Clone, Copy)]
#[repr(align(64))]
pub(crate) struct Flow<S> {
    head: u32,
    tail: u32,
    pub(crate) packets: u32,
    pub(crate) octets: u32,
    /// The queue behind it in its list.
    next: u32,
    pub(crate) codel: Codel,
    pub(crate) state: S,
    pub(crate) counts: FlowCounts,
}

/// What happened to a queue's packets since a flow began there; no further than this counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct FlowCounts {
    pub(crate) dropped: u16,
    pub(crate) marked: u16,
}

impl FlowCounts {
    fn add(&mut self, dropped: u32, marked: u32) {
        let sum =
            |count: u16, more: u32| u16::try_from(u32::from(count).saturating_add(more)).unwrap_or(u16::MAX);
        *self = Self { dropped: sum(self.dropped, dropped), marked: sum(self.marked, marked) };
    }
}

/// What CoDel did with a queue's packets while one was taken out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Toll {
    pub(crate) dropped: u32,
    pub(crate) dropped_octets: u64,
    pub(crate) marked: u32,
    pub(crate) marked_late: u32,
    /// When the last one taken had come.
    pub(crate) came: Stamp,
}

pub(crate) struct Queues<P, S> {
    nodes: Box<[Node<P>]>,
    free: u32,
    pub(crate) flows: Box<[Flow<S>]>,
    fattest: Fattest,
    pub(crate) packets: u32,
    pub(crate) octets: u64,
    pub(crate) memory: u64,
}

impl<P: Packet, S: Copy + Default> Queues<P, S> {
    /// Room for `packets` packets in `flows` queues.
    pub(crate) fn new(flows: usize, packets: usize) -> Self {
        let flows = flows.clamp(1, NONE as usize - 1);
        let packets = packets.clamp(1, NONE as usize - 1) as u32;
        let node = |index| Node {
            packet: None,
            came: Stamp::default(),
            octets: 0,
            memory: 0,
            next: if index + 1 < packets { index + 1 } else { NONE },
        };
        let flow = Flow {
            head: NONE,
            tail: NONE,
            packets: 0,
            octets: 0,
            next: NONE,
            state: S::default(),
            codel: Codel::default(),
            counts: FlowCounts::default(),
        };
        Self {
            nodes: (0..packets).map(node).collect(),
            free: 0,
            flows: vec![flow; flows].into(),
            fattest: Fattest::new(flows),
            packets: 0,
            octets: 0,
            memory: 0,
        }
    }

    /// What the scheduler has for a queue.
    #[inline]
    pub(crate) fn state(&mut self, queue: u32) -> &mut S {
        &mut self.flows[queue as usize].state
    }

    /// Puts a packet at a queue's end. Gives it back where there is no room at all: no place (the owner drops
    /// others before it comes to that), or 4 GiB in one queue.
    pub(crate) fn push(&mut self, now: Stamp, flow: u32, packet: P) -> Result<(), P> {
        let place = self.free;
        let Some(node) = self.nodes.get_mut(place as usize) else { return Err(packet) };
        let line = &mut self.flows[flow as usize];
        let Some(sum) = line.octets.checked_add(packet.octets()) else { return Err(packet) };
        self.free = node.next;
        let (octets, memory) = (packet.octets(), packet.memory());
        *node = Node { packet: Some(packet), came: now, octets, memory, next: NONE };
        let tail = std::mem::replace(&mut line.tail, place);
        line.octets = sum;
        line.packets += 1;
        if tail == NONE {
            line.head = place;
        } else {
            self.nodes[tail as usize].next = place;
        }
        self.packets += 1;
        self.octets += u64::from(octets);
        self.memory += u64::from(memory);
        self.fattest.change(flow);
        Ok(())
    }

    /// Takes the oldest packet of a queue: the packet, when it came, and its octets.
    fn pop(&mut self, flow: u32) -> Option<(P, Stamp, u32)> {
        let line = &mut self.flows[flow as usize];
        let place = line.head;
        let node = self.nodes.get_mut(place as usize)?;
        let packet = node.packet.take()?;
        line.head = std::mem::replace(&mut node.next, self.free);
        line.packets -= 1;
        line.octets -= node.octets;
        if line.head == NONE {
            line.tail = NONE;
        }
        self.free = place;
        self.packets -= 1;
        self.octets -= u64::from(node.octets);
        self.memory -= u64::from(node.memory);
        let (came, octets) = (node.came, node.octets);
        self.fattest.change(flow);
        Some((packet, came, octets))
    }

    /// The newest packet of a queue.
    pub(crate) fn last(&self, flow: u32) -> Option<&P> {
        self.nodes.get(self.flows[flow as usize].tail as usize)?.packet.as_ref()
    }

    /// Puts a packet into the place of the newest one of a queue, which is returned. It inherits when that one
    /// came: it is the queue's delay that counts.
    pub(crate) fn replace_last(&mut self, flow: u32, packet: P) -> Option<P> {
        let line = &mut self.flows[flow as usize];
        let node = self.nodes.get_mut(line.tail as usize)?;
        let (octets, memory) = (packet.octets(), packet.memory());
        line.octets = (line.octets - node.octets).checked_add(octets)?;
        self.octets = self.octets + u64::from(octets) - u64::from(node.octets);
        self.memory = self.memory + u64::from(memory) - u64::from(node.memory);
        self.fattest.change(flow);
        (node.octets, node.memory) = (octets, memory);
        node.packet.replace(packet)
    }

    /// What CoDel lets out of a queue next, and what it did meanwhile.
    #[inline]
    pub(crate) fn take(&mut self, now: Stamp, flow: u32, limits: &Limits) -> (Option<P>, Toll) {
        let mut codel = self.flows[flow as usize].codel;
        let mut lane = Lane { queues: self, flow, toll: Toll::default() };
        let packet = codel.dequeue_at(now, limits, &mut lane);
        let toll = lane.toll;
        let flow = &mut self.flows[flow as usize];
        flow.codel = codel;
        if toll.dropped + toll.marked + toll.marked_late > 0 {
            flow.counts.add(toll.dropped, toll.marked + toll.marked_late);
        }
        (packet, toll)
    }

    /// Drops from the head of the queue with the most octets: half of them, but at most `batch` packets.
    /// Returns which queue, how many packets, and their octets.
    #[cold]
    pub(crate) fn drop_from_fattest(&mut self, batch: u32) -> Option<(u32, u32, u64)> {
        // Packets that count nothing take room all the same.
        let weight = |flow: &Flow<S>| flow.octets.max(flow.packets.min(1));
        let flow = self.fattest.find(&self.flows, weight)?;
        let half = u64::from(self.flows[flow as usize].octets / 2);
        let (mut packets, mut octets) = (0, 0);
        while packets < batch.max(1) {
            let Some((_, _, length)) = self.pop(flow) else { break };
            packets += 1;
            octets += u64::from(length);
            if octets >= half {
                break;
            }
        }
        let line = &mut self.flows[flow as usize];
        line.codel.dropped_for_room(packets);
        line.counts.add(packets, 0);
        Some((flow, packets, octets))
    }
}

/// One queue as CoDel sees it.
struct Lane<'a, P, S> {
    queues: &'a mut Queues<P, S>,
    flow: u32,
    toll: Toll,
}

impl<P: Packet, S: Copy + Default> Queue for Lane<'_, P, S> {
    type Packet = P;

    #[inline]
    fn pop(&mut self) -> Option<(P, Stamp)> {
        let (packet, came, _) = self.queues.pop(self.flow)?;
        self.toll.came = came;
        Some((packet, came))
    }

    #[inline]
    fn backlog(&self) -> u64 {
        self.queues.octets
    }

    fn mark(&mut self, packet: &mut P, why: Mark) -> bool {
        let marked = packet.mark();
        match why {
            Mark::Congestion => self.toll.marked += u32::from(marked),
            Mark::Threshold => self.toll.marked_late += u32::from(marked),
        }
        marked
    }

    fn discard(&mut self, packet: P) {
        self.toll.dropped += 1;
        self.toll.dropped_octets += u64::from(packet.octets());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flow_fills_a_line_of_the_cache() {
        assert_eq!(size_of::<Flow<(i32, u8)>>(), 64);
    }
}
