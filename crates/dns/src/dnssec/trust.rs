//! What is known of zones: kept between answers, bounded.

use core::time::Duration;
use std::collections::HashMap;
use std::sync::Arc;

use super::Anchors;
use super::name::Name;
use super::rdata::{Dnskey, Ds};
use super::verdict::Fault;

/// Names of which something is kept at most.
const MAX_ENTRIES: usize = 4_096;
/// Octets of keys and names kept at most.
const MAX_OCTETS: usize = 2 << 20;
/// Entries looked at to find one that gives way.
const SAMPLE: usize = 8;

/// What is proven of a name. That a proof fails is not kept: the answer that it was for is, for a moment.
#[derive(Debug, Clone)]
pub(crate) enum Zone {
    /// A signed zone, and its keys.
    Signed(Arc<[Dnskey]>),
    /// A signed zone whose keys must match these.
    Delegated(Arc<[Ds]>),
    /// No zone begins there: it is part of the one above.
    Inside,
    /// Nothing at and below it can be judged; where that is for what is not supported, which.
    Insecure(Option<Fault>),
}

impl Zone {
    /// What it takes to keep it, about.
    fn octets(&self) -> usize {
        match self {
            Self::Signed(keys) => keys.iter().map(|key| key.key.len() + size_of::<Dnskey>()).sum(),
            Self::Delegated(list) => list.iter().map(|ds| ds.digest.len() + size_of::<Ds>()).sum(),
            Self::Inside => 0,
            Self::Insecure(fault) => fault.as_ref().map_or(0, |fault| fault.text.len()),
        }
    }
}

/// Zones by name.
#[derive(Debug)]
pub(crate) struct Trust {
    pub(crate) anchors: Anchors,
    /// Nothing at and below these is judged (RFC 7646).
    pub(crate) except: Vec<Name>,
    entries: HashMap<Name, (Zone, Duration)>,
    octets: usize,
    /// Entries that gave way.
    pub(crate) evictions: u64,
}

impl Trust {
    pub(crate) fn new(anchors: Anchors, except: Vec<Name>) -> Self {
        Self { anchors, except, entries: HashMap::new(), octets: 0, evictions: 0 }
    }

    pub(crate) fn forget(&mut self) {
        self.entries.clear();
        self.octets = 0;
    }

    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(crate) fn get(&self, name: &Name, now: Duration) -> Option<Zone> {
        let (zone, expires) = self.entries.get(name)?;
        (now < *expires).then(|| zone.clone())
    }

    /// The nearest name, at or above this one, that is known to be insecure.
    pub(crate) fn insecure(&self, name: &Name, now: Duration) -> Option<Zone> {
        let mut name = name.clone();
        loop {
            if let Some(zone @ Zone::Insecure(_)) = self.get(&name, now) {
                return Some(zone);
            }
            name = name.parent()?;
        }
    }

    pub(crate) fn keep(&mut self, name: &Name, zone: Zone, expires: Duration) {
        self.remove(name);
        let cost = cost(name, &zone);
        while self.entries.len() >= MAX_ENTRIES || self.octets + cost > MAX_OCTETS {
            // The table's own order is random; the one that ends first makes room.
            let victim = self.entries.iter().take(SAMPLE).min_by_key(|(_, (_, expires))| *expires);
            let Some(victim) = victim.map(|(name, _)| name.clone()) else { break };
            self.remove(&victim);
            self.evictions += 1;
        }
        self.octets += cost;
        self.entries.insert(name.clone(), (zone, expires));
    }

    fn remove(&mut self, name: &Name) {
        if let Some((zone, _)) = self.entries.remove(name) {
            self.octets = self.octets.saturating_sub(cost(name, &zone));
        }
    }
}

fn cost(name: &Name, zone: &Zone) -> usize {
    name.octets().len() + zone.octets() + size_of::<(Name, Zone, Duration)>()
}
