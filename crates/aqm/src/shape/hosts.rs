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

/// Busy flows of each host in one tin.
pub(super) struct Hosts {
    fairness: Fairness,
    sources: Box<[u16]>,
    destinations: Box<[u16]>,
}

impl Hosts {
    pub(super) fn new(fairness: Fairness) -> Self {
        let places = if fairness == Fairness::Flows { 0 } else { PLACES };
        Self { fairness, sources: vec![0; places].into(), destinations: vec![0; places].into() }
    }

    /// Where a packet's two hosts are counted.
    pub(super) fn ends(&self, packet: &impl Packet, secret: Secret) -> Ends {
        match self.fairness {
            Fairness::Flows => Ends::default(),
            _ => Ends::new(packet.hosts(), secret),
        }
    }

    /// A flow has become busy, or is no longer.
    pub(super) fn count(&mut self, ends: Ends, busy: bool) {
        let places = [
            self.sources.get_mut(usize::from(ends.source)),
            self.destinations.get_mut(usize::from(ends.destination)),
        ];
        for place in places.into_iter().flatten() {
            *place = if busy { place.saturating_add(1) } else { place.saturating_sub(1) };
        }
    }

    /// Among how many flows the share of this flow's host is divided: of the end that has more of them.
    pub(super) fn load(&self, ends: Ends) -> u64 {
        let of = |counts: &[u16], place: u16| counts.get(usize::from(place)).copied().unwrap_or(1);
        let source = of(&self.sources, ends.source);
        let destination = of(&self.destinations, ends.destination);
        let load = match self.fairness {
            Fairness::Flows => 1,
            Fairness::Sources => source,
            Fairness::Destinations => destination,
            Fairness::Both => source.max(destination),
        };
        load.max(1).into()
    }
}
