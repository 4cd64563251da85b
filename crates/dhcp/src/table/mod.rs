//! The table of all leases, found by resource, by holder and by their end.
//!
//! A million of them have to fit: a lease is kept as octets ([`crate::octets`]), in its entry where they are as few as usual,
//! and made anew for who asks; links and relay agents, which many share, are kept once; and all indices hold places in one
//! vector, not keys of their own.
//!
//! | index | what |
//! |---|---|
//! | `by_resource`, `by_holder` | hash tables, keyed at random since strangers choose what is in them; in parts, so that none takes long to grow |
//! | `areas` | the leases of each /64, chained, in the order of the /64s; what is longer than /64 is in `narrow` |
//! | `ends` | a heap by valid lifetime; leases in the rarer states in sets of their own |

mod ends;
mod entry;
mod index;
mod near;
mod shared;

use crate::identity::{Identity, Key, Relay};
use crate::lease::{Kind, Lease, LeaseChange, LeaseState, LinkId, Resource};
use crate::octets::{Reader, nanos, put_kept, put_number};
use entry::{Entry, HERE, NONE};
use index::Index;
use shared::Shared;
use sixgate_wire::dhcpv6::Duid;
use sixgate_wire::few::Few;
use smallvec::SmallVec;
use std::collections::{BTreeMap, BTreeSet};
use std::hash::{BuildHasher as _, Hash, RandomState};
use std::sync::Arc;
use std::time::Duration;

/// All leases, found by resource, by holder and by their end. It holds at most one lease for a resource; that no two
/// prefixes overlap is for those who put leases in: see [`LeaseTable::overlaps`].
#[derive(Debug, Clone, Default)]
pub struct LeaseTable {
    hasher: RandomState,
    entries: Vec<Option<Entry>>,
    free: Vec<u32>,
    by_resource: Index,
    /// The first lease of each holder; bound leases only: nobody extends the others.
    by_holder: Index,
    areas: BTreeMap<u64, u32>,
    narrow: BTreeMap<Resource, u32>,
    ends: Vec<u32>,
    links: Shared<LinkId>,
    relays: Shared<Arc<Relay>>,
    /// How many prefixes there are of each length, for the search of covering ones.
    lengths: BTreeMap<u8, usize>,
    /// Those that are not bound, by their end.
    others: [BTreeSet<(Duration, Resource)>; 3],
    /// Bound leases whose holder is not known by its DUID, by that DUID.
    duids: BTreeMap<Duid, BTreeSet<Resource>>,
    /// What each client registered.
    registrations: BTreeMap<Duid, BTreeSet<Resource>>,
    /// Where octets are written before they have their place.
    scratch: Vec<u8>,
}

/// The place of a state in [`LeaseTable::others`].
fn place_of(state: LeaseState) -> Option<usize> {
    match state {
        LeaseState::Bound => None,
        LeaseState::Declined => Some(0),
        LeaseState::Retired => Some(1),
        LeaseState::Registered => Some(2),
    }
}

/// A hash again, from the part that is kept: the table uses its upper and its lower bits.
fn spread(holder: u32) -> u64 {
    u64::from(holder).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

impl LeaseTable {
    /// An empty table.
    pub fn new() -> Self {
        Self::default()
    }

    /// Makes room for so many leases more, where it is known how many come: nothing is moved meanwhile.
    pub fn reserve(&mut self, leases: usize) {
        self.entries.reserve(leases);
        self.ends.reserve(leases);
        let (hasher, entries) = (&self.hasher, &self.entries);
        self.by_resource.reserve(leases, |place| hash_of(hasher, entries, *place));
        self.by_holder.reserve(leases, |place| holder_of(entries, *place));
    }

    /// How many leases there are, in every state.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// How many addresses are registered.
    pub fn registered(&self) -> usize {
        self.len_in(LeaseState::Registered)
    }

    /// What a client registered.
    pub fn registered_by(&self, duid: &Duid) -> impl Iterator<Item = Resource> + Clone {
        self.registrations.get(duid).into_iter().flatten().copied()
    }

    /// How many leases there are on one link, in every state but registered.
    pub fn len_on(&self, link: &str) -> usize {
        let number = self.links.numbers.get(link);
        let shared = number.and_then(|number| self.links.all.get(*number as usize)?.as_ref());
        shared.map_or(0, |(_, leases, _)| *leases)
    }

    /// How many leases are in a state.
    pub fn len_in(&self, state: LeaseState) -> usize {
        let others: usize = self.others.iter().map(BTreeSet::len).sum();
        let place = place_of(state).and_then(|place| self.others.get(place));
        place.map_or(self.len() - others, BTreeSet::len)
    }

    /// What is leased in one of the rarer states: declined, retired or registered.
    pub fn resources_in(&self, state: LeaseState) -> impl Iterator<Item = Resource> {
        let place = place_of(state).and_then(|place| self.others.get(place));
        place.into_iter().flatten().map(|(_, resource)| *resource)
    }

    /// How many leases are declined or retired.
    pub fn unbound(&self) -> usize {
        self.len_in(LeaseState::Declined) + self.len_in(LeaseState::Retired)
    }

    /// All leases, addresses first.
    pub fn iter(&self) -> impl Iterator<Item = Lease> {
        let mut all: Vec<(Resource, u32)> = self.resources().collect();
        all.sort_unstable();
        all.into_iter().filter_map(|(_, place)| self.read(place))
    }

    /// The leases from a place on, each with the place behind it; the first place is 0. It is an order for whoever goes through
    /// all in many steps: a lease keeps its place, and what is put between two steps may come or not.
    pub fn from(&self, place: u32) -> impl Iterator<Item = (u32, Lease)> {
        let entries = self.entries.iter().zip(0_u32..).skip(place as usize);
        entries.filter_map(|(entry, place)| Some((place + 1, self.read(entry.as_ref().map(|_| place)?)?)))
    }

    /// The prefixes that are leased, in no particular order.
    pub fn prefixes(&self) -> impl Iterator<Item = Resource> {
        let any = !self.lengths.is_empty();
        let all = any.then(|| self.resources()).into_iter().flatten();
        all.map(|(resource, _)| resource).filter(|resource| resource.kind() == Kind::Prefix)
    }

    fn resources(&self) -> impl Iterator<Item = (Resource, u32)> {
        let entries = self.entries.iter().zip(0_u32..);
        entries.filter_map(|(entry, place)| Some((entry.as_ref()?.resource()?, place)))
    }

    /// The lease of a resource.
    pub fn get(&self, resource: Resource) -> Option<Lease> {
        self.find(resource).and_then(|place| self.read(place))
    }

    /// Whether a resource has a lease.
    pub fn contains(&self, resource: Resource) -> bool {
        self.find(resource).is_some()
    }

    /// The bound leases of one association.
    pub fn held<'t>(
        &'t self,
        who: &Identity,
        iaid: u32,
        kind: Kind,
    ) -> impl Iterator<Item = Lease> + use<'t> {
        self.held_in(who, Some((iaid, kind)))
    }

    /// The bound leases of one holder, all its associations together.
    pub fn held_by<'t>(&'t self, who: &Identity) -> impl Iterator<Item = Lease> + use<'t> {
        self.held_in(who, None)
    }

    /// Whether an association has a bound lease.
    pub fn holds(&self, who: &Identity, iaid: u32, kind: Kind) -> bool {
        let mut held = self.chain(who).filter_map(|(_, entry)| entry.association());
        held.any(|(of, resource)| (of, resource.kind()) == (iaid, kind))
    }

    /// How many bound leases a holder has.
    pub fn count_held(&self, who: &Identity) -> usize {
        self.chain(who).count()
    }

    /// What a holder has, with its places, in no particular order.
    fn chain(&self, who: &Identity) -> impl Iterator<Item = (u32, &Entry)> {
        let with = |place: u32| self.entry(place).map(|entry| (place, entry));
        let first = self.first_held(who).and_then(with);
        std::iter::successors(first, move |(_, entry)| with(entry.next_held))
    }

    /// The leases of one association or of all of a holder's, by the associations' numbers and by what is leased.
    fn held_in<'t>(
        &'t self,
        who: &Identity,
        association: Option<(u32, Kind)>,
    ) -> impl Iterator<Item = Lease> + use<'t> {
        let of = |(place, entry): (u32, &Entry)| {
            let (iaid, resource) = entry.association()?;
            let passes = association.is_none_or(|which| which == (iaid, resource.kind()));
            passes.then_some((iaid, resource, place))
        };
        let mut found: SmallVec<[(u32, Resource, u32); 2]> = self.chain(who).filter_map(of).collect();
        found.sort_unstable();
        found.into_iter().filter_map(|(_, _, place)| self.read(place))
    }

    /// The bound leases of everybody who asks with this DUID, whatever its holders are known by.
    pub fn of_duid(&self, duid: &Duid) -> impl Iterator<Item = Lease> {
        let others = self.duids.get(duid).into_iter().flatten();
        self.held_by(&Identity::Duid(duid.clone())).chain(others.filter_map(|resource| self.get(*resource)))
    }

    /// Whether anything is bound by this DUID, as [`LeaseTable::of_duid`] has it.
    pub fn has_duid(&self, duid: &Duid) -> bool {
        self.duids.contains_key(duid) || self.first_held(&Identity::Duid(duid.clone())).is_some()
    }

    /// Puts a lease in place of what there is for its resource, and returns that.
    #[expect(clippy::needless_pass_by_value, reason = "the table takes the lease over, in whichever form")]
    pub fn put(&mut self, lease: Lease) -> Option<Lease> {
        let before = self.find(lease.resource).and_then(|place| Some((place, self.read(place)?)));
        let Some((place, before)) = before else {
            self.insert(&lease);
            return None;
        };
        let bound = [&before, &lease].iter().all(|lease| lease.state == LeaseState::Bound);
        if bound
            && before.duid == lease.duid
            && (&before.link, &before.relay) == (&lease.link, &lease.relay)
            && before.identity() == lease.identity()
        {
            self.renew(place, &lease);
        } else {
            self.take_out(place, &before);
            self.insert(&lease);
        }
        Some(before)
    }

    /// A lease of the same holder in the same state: all indices stay but the one by end.
    fn renew(&mut self, place: u32, lease: &Lease) {
        let relay = lease.relay.as_ref().and_then(|relay| self.relays.number(relay));
        let octets = self.octets(lease, relay);
        let Some(entry) = self.entry_mut(place) else { return };
        (entry.octets, entry.end) = (octets, nanos(lease.valid_until));
        let at = entry.heap as usize;
        self.settle(at);
    }

    /// What is kept of a lease: its octets, and the number of its relay agent.
    fn octets(&mut self, lease: &Lease, relay: Option<u32>) -> Few<HERE> {
        self.scratch.clear();
        put_kept(lease, &mut self.scratch);
        put_number(relay.map_or(0, |relay| u128::from(relay) + 1), &mut self.scratch);
        self.scratch[..].into()
    }

    fn insert(&mut self, lease: &Lease) {
        let registered = lease.state == LeaseState::Registered;
        let link = self.links.take(&lease.link, registered);
        let relay = lease.relay.as_ref().map(|relay| self.relays.take(relay, registered));
        let octets = self.octets(lease, relay);
        let entry = Entry {
            octets,
            end: nanos(lease.valid_until),
            heap: NONE,
            holder: 0,
            next_held: NONE,
            area: [NONE; 2],
            link,
        };
        let place = self.free.pop().unwrap_or(self.entries.len() as u32);
        match self.entries.get_mut(place as usize) {
            Some(free) => *free = Some(entry),
            None => self.entries.push(Some(entry)),
        }
        let hash = self.hash(&lease.resource);
        let (hasher, entries) = (&self.hasher, &self.entries);
        let rehash = |place: &u32| hash_of(hasher, entries, *place);
        self.by_resource.insert(hash, place, rehash);
        self.enter_area(lease.resource, place);
        if let Some(others) = place_of(lease.state).and_then(|place| self.others.get_mut(place)) {
            others.insert((lease.valid_until, lease.resource));
        } else {
            self.enter_holder(&lease.identity(), place);
            if lease.key != Key::Duid {
                self.duids.entry(lease.duid.clone()).or_default().insert(lease.resource);
            }
        }
        if registered {
            self.registrations.entry(lease.duid.clone()).or_default().insert(lease.resource);
        }
        if let Resource::Prefix(prefix) = lease.resource {
            *self.lengths.entry(prefix.prefix_len()).or_default() += 1;
        }
        self.ends.push(place);
        self.settle(self.ends.len() - 1);
    }

    /// Takes the lease of a resource out.
    pub fn remove(&mut self, resource: Resource) -> Option<Lease> {
        let place = self.find(resource)?;
        let lease = self.read(place)?;
        self.take_out(place, &lease);
        Some(lease)
    }

    /// Takes out the lease in a place, which is this one.
    fn take_out(&mut self, place: u32, lease: &Lease) {
        let resource = lease.resource;
        let hash = self.hash(&resource);
        self.by_resource.remove(hash, place);
        let registered = lease.state == LeaseState::Registered;
        match place_of(lease.state).and_then(|place| self.others.get_mut(place)) {
            Some(others) => drop(others.remove(&(lease.valid_until, resource))),
            None => self.leave_holder(&lease.identity(), place),
        }
        leave(&mut self.registrations, &lease.duid, resource);
        leave(&mut self.duids, &lease.duid, resource);
        if let Resource::Prefix(prefix) = resource
            && let Some(count) = self.lengths.get_mut(&prefix.prefix_len())
        {
            *count = count.saturating_sub(1);
            if *count == 0 {
                self.lengths.remove(&prefix.prefix_len());
            }
        }
        self.leave_area(resource, place);
        if let Some(at) = self.entry(place).map(|entry| entry.heap as usize) {
            self.ends.swap_remove(at);
            self.settle(at);
        }
        if let Some(entry) = self.entries.get_mut(place as usize).and_then(Option::take) {
            self.links.give(entry.link, registered);
            if let Some(relay) = lease.relay.as_ref().and_then(|relay| self.relays.number(relay)) {
                self.relays.give(relay, registered);
            }
            self.free.push(place);
        }
    }

    /// Does what a change says.
    pub fn apply(&mut self, change: LeaseChange) -> Option<Lease> {
        match change {
            LeaseChange::Put(lease) => self.put(lease),
            LeaseChange::Remove(resource) => self.remove(resource),
        }
    }

    /// The first lease to end of those in a state other than bound.
    pub fn first_in(&self, state: LeaseState) -> Option<Resource> {
        let others = place_of(state).and_then(|place| self.others.get(place));
        others.and_then(BTreeSet::first).map(|(_, resource)| *resource)
    }

    fn entry(&self, place: u32) -> Option<&Entry> {
        self.entries.get(place as usize)?.as_ref()
    }

    fn entry_mut(&mut self, place: u32) -> Option<&mut Entry> {
        self.entries.get_mut(place as usize)?.as_mut()
    }

    /// The lease in a place.
    fn read(&self, place: u32) -> Option<Lease> {
        let entry = self.entry(place)?;
        let mut reader = Reader::new(entry.octets.as_bytes());
        let mut lease = reader.kept(entry.end)?;
        lease.link = self.links.get(entry.link)?.clone();
        if let Some(relay) = u32::try_from(reader.number()?).ok()?.checked_sub(1) {
            lease.relay = self.relays.get(relay).cloned();
        }
        Some(lease)
    }

    fn hash(&self, value: &impl Hash) -> u64 {
        self.hasher.hash_one(value)
    }

    fn find(&self, resource: Resource) -> Option<u32> {
        if self.is_empty() {
            return None;
        }
        let same = |place: &u32| self.entry(*place).and_then(Entry::resource) == Some(resource);
        self.by_resource.find(self.hash(&resource), same)
    }

    fn first_held(&self, who: &Identity) -> Option<u32> {
        let holder = self.hash(who) as u32;
        self.by_holder.find(spread(holder), |place| self.is_of(*place, holder, who))
    }

    fn is_of(&self, place: u32, holder: u32, who: &Identity) -> bool {
        let Some(entry) = self.entry(place).filter(|entry| entry.holder == holder) else { return false };
        match (who, Reader::new(entry.octets.as_bytes()).kept_duid()) {
            (Identity::Duid(duid), Some((Key::Duid, octets))) => duid.as_bytes() == octets,
            _ => self.read(place).is_some_and(|lease| lease.identity() == *who),
        }
    }

    fn enter_holder(&mut self, who: &Identity, place: u32) {
        let holder = self.hash(who) as u32;
        if let Some(first) = self.first_held(who) {
            let next =
                self.entry_mut(first).map_or(NONE, |first| std::mem::replace(&mut first.next_held, place));
            if let Some(entry) = self.entry_mut(place) {
                (entry.holder, entry.next_held) = (holder, next);
            }
            return;
        }
        if let Some(entry) = self.entry_mut(place) {
            entry.holder = holder;
        }
        let entries = &self.entries;
        self.by_holder.insert(spread(holder), place, |place| holder_of(entries, *place));
    }

    fn leave_holder(&mut self, who: &Identity, place: u32) {
        let Some(first) = self.first_held(who) else { return };
        let Some((holder, next)) = self.entry(place).map(|entry| (entry.holder, entry.next_held)) else {
            return;
        };
        if first != place {
            let mut before = first;
            while let Some(entry) = self.entry_mut(before) {
                if entry.next_held == place {
                    entry.next_held = next;
                    return;
                }
                before = entry.next_held;
            }
            return;
        }
        if next == NONE {
            self.by_holder.remove(spread(holder), place);
        } else if let Some(first) = self.by_holder.find_mut(spread(holder), |other| *other == place) {
            *first = next;
        }
    }
}

impl FromIterator<Lease> for LeaseTable {
    /// Of two leases of one resource the last stays.
    fn from_iter<I: IntoIterator<Item = Lease>>(leases: I) -> Self {
        let mut table = Self::new();
        let leases = leases.into_iter();
        table.reserve(leases.size_hint().0);
        leases.for_each(|lease| drop(table.put(lease)));
        table
    }
}

/// The same leases, in whichever order they came.
impl PartialEq for LeaseTable {
    fn eq(&self, other: &Self) -> bool {
        self.len() == other.len() && self.iter().eq(other.iter())
    }
}

impl Eq for LeaseTable {}

fn leave(index: &mut BTreeMap<Duid, BTreeSet<Resource>>, duid: &Duid, resource: Resource) {
    if let Some(resources) = index.get_mut(duid) {
        resources.remove(&resource);
        if resources.is_empty() {
            index.remove(duid);
        }
    }
}

/// The hash of the holder of what is in a place.
fn holder_of(entries: &[Option<Entry>], place: u32) -> u64 {
    spread(entries.get(place as usize).and_then(Option::as_ref).map_or(0, |entry| entry.holder))
}

/// The hash of the resource in a place.
fn hash_of(hasher: &RandomState, entries: &[Option<Entry>], place: u32) -> u64 {
    let resource = entries.get(place as usize).and_then(Option::as_ref).and_then(Entry::resource);
    resource.map_or(0, |resource| hasher.hash_one(resource))
}

#[cfg(test)]
impl LeaseTable {
    /// Whether no index holds anything.
    pub(crate) fn is_clean(&self) -> bool {
        self.by_resource.is_empty()
            && self.by_holder.is_empty()
            && self.areas.is_empty()
            && self.narrow.is_empty()
            && self.lengths.is_empty()
            && self.links.numbers.is_empty()
            && self.relays.numbers.is_empty()
            && self.others.iter().all(BTreeSet::is_empty)
            && self.registrations.is_empty()
            && self.duids.is_empty()
            && self.free.len() == self.entries.len()
    }
}

#[cfg(test)]
mod tests;
