//! How many busy flows each host has: a flow's weight is one part of its host's.

use super::{Fairness, Packet};
use crate::packet::{Secret, place};

/// Hosts are hashed into so many places on each side; those that meet share their weight.
const PLACES: usize = 1024;

/// Where a flow's two ends are counted.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Ends {
    source: u16,
    destination: u16,
}

impl Ends {
    fn new((source, destination): (u128, u128), secret: Secret) -> Self {
        let at = |host: u128| place(secret.hash(&host), PLACES) as u16;
        Self { source: at(source), destination: at(destination) }
    }
}

/// Flows of the hosts of one side.
#[derive(Debug, Clone, Copy, Default)]
struct Count {
    /// Flows that have a queue.
    queues: u16,
    /// Those of them that are busy.
    busy: u16,
}

/// Flows of each host in one tin.
pub(super) struct Hosts {
    fairness: Fairness,
    sources: Box<[Count]>,
    destinations: Box<[Count]>,
    /// Queues that one host may have before its flows share them: else one with a thousand connections would
    /// leave the others no queue of their own.
    many: u16,
}

impl Hosts {
    pub(super) fn new(fairness: Fairness, queues: usize) -> Self {
        let places = if fairness == Fairness::Flows { 0 } else { PLACES };
        let counts = vec![Count::default(); places].into_boxed_slice();
        let many = u16::try_from(queues / 4).unwrap_or(u16::MAX);
        Self { fairness, sources: counts.clone(), destinations: counts, many }
    }

    /// Where a packet's two hosts are counted.
    pub(super) fn ends(&self, packet: &impl Packet, secret: Secret) -> Ends {
        match self.fairness {
            Fairness::Flows => Ends::default(),
            _ => Ends::new(packet.hosts(), secret),
        }
    }

    fn update(&mut self, ends: Ends, change: impl Fn(&mut Count)) {
        let source = self.sources.get_mut(usize::from(ends.source));
        let destination = self.destinations.get_mut(usize::from(ends.destination));
        source.into_iter().chain(destination).for_each(change);
    }

    /// A flow has got a queue, or has left it.
    pub(super) fn count_queue(&mut self, ends: Ends, more: bool) {
        self.update(ends, |count| count.queues = step(count.queues, more));
    }

    /// A flow has become busy, or is no longer.
    pub(super) fn count_busy(&mut self, ends: Ends, more: bool) {
        self.update(ends, |count| count.busy = step(count.busy, more));
    }

    fn counts(&self, ends: Ends) -> (Count, Count) {
        let of = |counts: &[Count], place: u16| counts.get(usize::from(place)).copied().unwrap_or_default();
        (of(&self.sources, ends.source), of(&self.destinations, ends.destination))
    }

    /// Whether a flow's host has so many queues that this flow is to share one that has this other's.
    pub(super) fn should_share(&self, ends: Ends, other: Ends) -> bool {
        let (source, destination) = self.counts(ends);
        let by_source = source.queues >= self.many && other.source == ends.source;
        let by_destination = destination.queues >= self.many && other.destination == ends.destination;
        match self.fairness {
            Fairness::Flows => false,
            Fairness::Sources => by_source,
            Fairness::Destinations => by_destination,
            Fairness::Both => by_source || by_destination,
        }
    }

    /// Among how many flows the share of this flow's host is divided: of the end that has more of them.
    pub(super) fn load(&self, ends: Ends) -> u64 {
        let (source, destination) = self.counts(ends);
        let load = match self.fairness {
            Fairness::Flows => 1,
            Fairness::Sources => source.busy,
            Fairness::Destinations => destination.busy,
            Fairness::Both => source.busy.max(destination.busy),
        };
        load.max(1).into()
    }
}

fn step(count: u16, more: bool) -> u16 {
    if more { count.saturating_add(1) } else { count.saturating_sub(1) }
}
