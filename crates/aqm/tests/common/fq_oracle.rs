//! RFC 8290 sections 4.1 and 4.2, written down slowly: lists are lists, and the fattest flow is searched for.

use super::Fate;
use super::codel_oracle::{CodelState, Constants, OraclePacket};
use std::collections::VecDeque;

#[derive(Debug, Default)]
struct FlowQueue {
    packets: VecDeque<OraclePacket>,
    credits: i64,
    codel: CodelState,
}

impl FlowQueue {
    fn bytes(&self) -> u64 {
        self.packets.iter().map(|packet| packet.octets).sum()
    }
}

#[derive(Debug)]
pub(crate) struct FqOracle {
    queues: Vec<FlowQueue>,
    new_queues: VecDeque<usize>,
    old_queues: VecDeque<usize>,
    constants: Constants,
    quantum: i64,
    limit: usize,
    memory: u64,
    batch: usize,
    pub(crate) fates: Vec<(u64, Fate)>,
}

impl FqOracle {
    pub(crate) fn new(
        queues: usize,
        constants: Constants,
        quantum: i64,
        (limit, memory): (usize, u64),
        batch: usize,
    ) -> Self {
        Self {
            queues: (0..queues).map(|_| FlowQueue::default()).collect(),
            new_queues: VecDeque::new(),
            old_queues: VecDeque::new(),
            constants,
            quantum,
            limit,
            memory,
            batch,
            fates: Vec::new(),
        }
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.queues.iter().map(FlowQueue::bytes).sum()
    }

    pub(crate) fn packets(&self) -> usize {
        self.queues.iter().map(|queue| queue.packets.len()).sum()
    }

    pub(crate) fn enqueue(&mut self, queue: usize, packet: OraclePacket) {
        self.queues[queue].packets.push_back(packet);
        if !self.new_queues.contains(&queue) && !self.old_queues.contains(&queue) {
            self.new_queues.push_back(queue);
            self.queues[queue].credits = self.quantum;
        }
        while self.packets() > self.limit || self.bytes() > self.memory {
            let most = self.queues.iter().map(FlowQueue::bytes).max().unwrap();
            let fattest = self.queues.iter().position(|queue| queue.bytes() == most).unwrap();
            let (mut dropped, mut bytes) = (0, 0);
            while dropped < self.batch && (dropped == 0 || bytes < most / 2) {
                let Some(packet) = self.queues[fattest].packets.pop_front() else { break };
                self.fates.push((packet.number, Fate::Dropped));
                dropped += 1;
                bytes += packet.octets;
            }
            self.queues[fattest].codel.count_ += u32::try_from(dropped).unwrap();
        }
    }

    pub(crate) fn dequeue(&mut self, now: u64) -> Option<u64> {
        loop {
            let from_new = !self.new_queues.is_empty();
            let list = if from_new { &mut self.new_queues } else { &mut self.old_queues };
            let queue = *list.front()?;
            if self.queues[queue].credits <= 0 {
                list.pop_front();
                self.queues[queue].credits += self.quantum;
                self.old_queues.push_back(queue);
                continue;
            }
            // CoDel looks at what the whole of it holds, as in Linux.
            let mut bytes = self.bytes();
            let FlowQueue { packets, credits, codel } = &mut self.queues[queue];
            match codel.deque(now, &self.constants, packets, &mut bytes, &mut self.fates) {
                Some(packet) => {
                    *credits -= i64::try_from(packet.octets).unwrap();
                    self.fates.push((packet.number, if packet.ce { Fate::Marked } else { Fate::Sent }));
                    return Some(packet.number);
                }
                None if from_new => {
                    self.new_queues.pop_front();
                    if !self.old_queues.is_empty() {
                        self.old_queues.push_back(queue);
                    }
                }
                None => {
                    self.old_queues.pop_front();
                }
            }
        }
    }
}
