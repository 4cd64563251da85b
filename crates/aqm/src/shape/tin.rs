//! One tin: flows that are served in turn by what they and their hosts have had.
//!
//! New flows come first, for a quantum, as in FQ-CoDel. The others are served by start-time fair queuing (Goyal
//! and others, 1996): a flow's tag grows by the octets that it sends, times the number of busy flows that its
//! host has; the flow with the lowest tag is next. Rounds with small quanta (CAKE divides the quantum by the
//! host's flows) would come to the same shares, but cost a visit of each flow of a host with a thousand for
//! every packet of theirs; this costs the logarithm of the flows.

use super::hosts::{Ends, Hosts};
use super::{Counters, Fairness, Framed, Packet};
use crate::codel::Limits;
use crate::packet::{Secret, place};
use crate::queues::{List, Queues, Toll};
use crate::rate::Clock;
use crate::time::Stamp;
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// Places of a set in which a flow finds its own queue before it has to share one.
const WAYS: usize = 8;
/// Octets beyond a quantum that make a flow a busy one: a full packet.
const BUSY: i64 = 1500;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Turn {
    #[default]
    Idle,
    New,
    /// Among those that are served by their tags, with packets or without.
    Old,
}

/// What a flow has had.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Share {
    hash: u64,
    ends: Ends,
    turn: Turn,
    /// Whether it has sent more than a quantum and a packet in one go: only then it counts for its host. Streams
    /// of acknowledgements or of a call do not.
    busy: bool,
    /// Pure acknowledgements of one connection at its end, each superseding the one before; two at most.
    acks: u8,
    /// What it may send as a new flow; below zero what it sent beyond.
    credit: i64,
    /// What the tin has served when it is this flow's turn.
    tag: u64,
}

pub(super) struct Room {
    /// The first of its queues.
    first: u32,
    queues: u32,
    new: List,
    old: BinaryHeap<Reverse<(u64, u32)>>,
    /// The tag that was served last.
    served: u64,
    busy: u32,
    hosts: Hosts,
    pub(super) clock: Clock,
    pub(super) limits: Limits,
    /// Nanoseconds that a full packet takes at the tin's rate.
    pub(super) packet_time: u64,
    pub(super) quantum: i64,
    pub(super) packets: u32,
    pub(super) counters: Counters,
}

impl Room {
    pub(super) fn new(first: u32, flows: usize, fairness: Fairness, clock: Clock, limits: Limits) -> Self {
        Self {
            first,
            queues: flows as u32,
            new: List::EMPTY,
            old: BinaryHeap::with_capacity(flows),
            served: 0,
            busy: 0,
            hosts: Hosts::new(fairness, flows),
            clock,
            limits,
            packet_time: 0,
            quantum: 0,
            packets: 0,
            counters: Counters::default(),
        }
    }

    /// The place of a flow: its own; else one that is idle, in a set of eight; else it shares one. That it
    /// also does where its host has many already. One that shares and then finds an idle place may overtake itself
    /// once.
    fn place<P: Packet>(
        &self,
        queues: &Queues<Framed<P>, Share>,
        hash: u64,
        packet: &P,
        secret: Secret,
    ) -> (u32, Option<Ends>) {
        let mine = &queues.flows[self.first as usize..][..self.queues as usize];
        let start = place(hash, mine.len().div_ceil(WAYS)) * WAYS;
        let set = &mine[start..mine.len().min(start + WAYS)];
        let at = |within: usize| self.first + (start + within) as u32;
        let taken = |share: &Share| share.turn != Turn::Idle;
        if let Some(own) = set.iter().position(|flow| flow.state.hash == hash && taken(&flow.state)) {
            return (at(own), None);
        }
        let ends = self.hosts.ends(packet, secret);
        let shared =
            set.iter().position(|flow| taken(&flow.state) && self.hosts.should_share(ends, flow.state.ends));
        let idle = || set.iter().position(|flow| !taken(&flow.state));
        (at(shared.or_else(idle).unwrap_or((hash as usize) % set.len())), Some(ends))
    }

    pub(super) fn enqueue<P: Packet>(
        &mut self,
        now: Stamp,
        queues: &mut Queues<Framed<P>, Share>,
        packet: Framed<P>,
        secret: Secret,
        filter: bool,
    ) {
        let hash = secret.hash(&packet.packet.flow());
        let (queue, ends) = self.place(queues, hash, &packet.packet, secret);
        self.counters.enqueued += 1;
        let mut acks = 0;
        if filter && let Some(ack) = packet.packet.pure_ack() {
            acks = 1;
            let before = queues.last(queue).filter(|before| before.packet.flow() == packet.packet.flow());
            if before
                .and_then(|before| before.packet.pure_ack())
                .is_some_and(|before| ack.supersedes(&before))
            {
                let flow = &queues.flows[queue as usize];
                acks = flow.packets.min(flow.state.acks.into()) as u8 + 1;
            }
        }
        // The first of a row stays, and the newest: a sender that counts acknowledgements sees two.
        if acks > 2 {
            queues.replace_last(queue, packet);
            self.counters.acks += 1;
            return;
        }
        let share = queues.state(queue);
        share.acks = acks;
        if share.turn == Turn::Idle {
            (share.hash, share.turn) = (hash, Turn::New);
            share.ends = ends.unwrap_or_default();
            self.hosts.count_queue(share.ends, true);
            (share.credit, share.tag) = (self.quantum, self.served);
            self.new.push(&mut queues.flows, queue);
            self.counters.new_flows += 1;
        }
        match queues.push(now, queue, packet) {
            Ok(()) => self.packets += 1,
            // Cannot be: room is made after each packet for the next one.
            Err(_) => self.counters.overflowed += 1,
        }
    }

    /// The next packet, and the octets of those that were dropped before it.
    pub(super) fn take<P: Packet>(
        &mut self,
        now: Stamp,
        queues: &mut Queues<Framed<P>, Share>,
    ) -> (Option<Framed<P>>, u64) {
        let mut dropped = 0;
        loop {
            let (queue, is_new) = if let Some(queue) = self.new.first() {
                if queues.state(queue).credit <= 0 {
                    self.new.pop(&queues.flows);
                    self.make_old(queues, queue);
                    continue;
                }
                (queue, true)
            } else if let Some(&Reverse((tag, queue))) = self.old.peek() {
                self.served = self.served.max(tag);
                (queue, false)
            } else {
                self.served = 0;
                return (None, dropped);
            };
            let limits = Limits { target: self.target(), ..self.limits };
            let (packet, toll) = queues.take(now, queue, &limits);
            self.count(&toll);
            dropped += toll.dropped_octets;
            let share = queues.state(queue);
            let Some(packet) = packet else {
                if is_new {
                    // Not new again before those that take turns have had what it had.
                    self.new.pop(&queues.flows);
                    self.make_old(queues, queue);
                } else {
                    self.old.pop();
                    share.turn = Turn::Idle;
                    self.hosts.count_queue(share.ends, false);
                    if std::mem::take(&mut share.busy) {
                        self.busy -= 1;
                        self.hosts.count_busy(share.ends, false);
                    }
                }
                continue;
            };
            share.tag = share.tag.saturating_add(u64::from(packet.charge) * self.hosts.load(share.ends));
            share.credit -= i64::from(packet.charge);
            if share.credit <= -BUSY && !share.busy {
                share.busy = true;
                self.busy += 1;
                self.hosts.count_busy(share.ends, true);
            }
            if !is_new && let Some(mut first) = self.old.peek_mut() {
                *first = Reverse((share.tag, queue));
            }
            self.packets -= 1;
            self.counters.dequeued += 1;
            self.counters.octets += u64::from(packet.charge);
            self.counters.delay(now.since(toll.came));
            return (Some(packet), dropped);
        }
    }

    fn make_old<P: Packet>(&mut self, queues: &mut Queues<Framed<P>, Share>, queue: u32) {
        let share = queues.state(queue);
        share.turn = Turn::Old;
        self.old.push(Reverse((share.tag, queue)));
    }

    /// CoDel's target: with many busy flows on a slow link each waits for the others' packets, which is no
    /// queue of its own making (as in CAKE: two packets' time for each busy flow, four at least).
    fn target(&self) -> u64 {
        self.limits.target.max(self.packet_time * u64::from((2 * self.busy).max(4)))
    }

    fn count(&mut self, toll: &Toll) {
        self.packets -= toll.dropped;
        self.counters.dropped += u64::from(toll.dropped);
        self.counters.marked += u64::from(toll.marked + toll.marked_late);
    }

    /// Flows that have packets or are in a list, and those of them that are busy.
    pub(super) fn flows<P: Packet>(&self, queues: &Queues<Framed<P>, Share>) -> (u32, u32) {
        let new = self.new.iter(&queues.flows).count();
        ((new + self.old.len()) as u32, self.busy)
    }
}
