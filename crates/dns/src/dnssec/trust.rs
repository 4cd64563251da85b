//! What is known of zones: kept between answers, bounded.

use core::time::Duration;
use std::collections::HashMap;
use std::sync::Arc;

use super::Anchors;
use super::name::Name;
use super::rdata::{Dnskey, Ds};
use super::verdict::Fault;

/// Names of which something is kept at most. A zone's entry is a few keys: a megabyte or two in all.
const MAX_ENTRIES: usize = 4_096;
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

/// Zones by name.
#[derive(Debug)]
pub(crate) struct Trust {
    pub(crate) anchors: Anchors,
    /// Nothing at and below these is judged (RFC 7646).
    pub(crate) except: Vec<Name>,
    entries: HashMap<Name, (Zone, Duration)>,
    /// Entries that gave way.
    pub(crate) evictions: u64,
}

impl Trust {
    pub(crate) fn new(anchors: Anchors, except: Vec<Name>) -> Self {
        Self { anchors, except, entries: HashMap::new(), evictions: 0 }
    }

    pub(crate) fn forget(&mut self) {
        self.entries.clear();
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
        if self.entries.len() >= MAX_ENTRIES && !self.entries.contains_key(name) {
            // The table's own order is random; the one that ends first makes room.
            let victim = self.entries.iter().take(SAMPLE).min_by_key(|(_, (_, expires))| *expires);
            if let Some(victim) = victim.map(|(name, _)| name.clone()) {
                self.entries.remove(&victim);
                self.evictions += 1;
            }
        }
        self.entries.insert(name.clone(), (zone, expires));
    }
}
