//! The table of all leases, found by resource, by holder and by their end.
//!
//! A million of them have to fit: a lease is kept as octets ([`crate::octets`]) and made anew for who asks; links and relay
//! agents, which many share, are kept once; and all indices hold places in one vector, not keys of their own.
//!
//! | index | what |
//! |---|---|
//! | `by_resource`, `by_holder` | hash tables, keyed at random since strangers choose what is in them |
//! | `areas` | the leases of each /64, chained, in the order of the /64s; what is longer than /64 is in `narrow` |
//! | `ends` | a heap by valid lifetime; leases in the rarer states in sets of their own |

use crate::identity::{Identity, Key, Relay};
use crate::lease::{Kind, Lease, LeaseChange, LeaseState, LinkId, Resource};
use crate::octets::{Reader, nanos, put_kept};
use hashbrown::HashTable;
use ipnet::Ipv6Net;
use sixgate_wire::dhcpv6::Duid;
use std::collections::{BTreeMap, BTreeSet};
use std::hash::{BuildHasher as _, Hash, RandomState};
use std::net::Ipv6Addr;
use std::sync::Arc;
use std::time::Duration;

/// No place.
const NONE: u32 = u32::MAX;
/// Branches of the heap: few levels, since each is somewhere else in memory.
const BRANCHES: usize = 4;

/// One lease.
#[derive(Debug, Clone)]
struct Entry {
    /// All but its end, its link and its relay agent.
    octets: Box<[u8]>,
    /// When it ends, in nanoseconds.
    end: u64,
    /// Its place in the heap.
    heap: u32,
    /// Part of the hash of its holder.
    holder: u32,
    /// The next of the same holder.
    next_held: u32,
    /// Its neighbours in its area.
    area: [u32; 2],
    link: u32,
    relay: u32,
}

impl Entry {
    fn resource(&self) -> Option<Resource> {
        // Behind the flags.
        Reader::new(self.octets.get(1..)?).resource()
    }
}

/// What many leases share.
#[derive(Debug, Clone)]
struct Shared<T> {
    numbers: BTreeMap<T, u32>,
    /// Each with the number of its leases, registered ones apart.
    all: Vec<Option<(T, usize, usize)>>,
    free: Vec<u32>,
}

impl<T> Default for Shared<T> {
    fn default() -> Self {
        Self { numbers: BTreeMap::new(), all: Vec::new(), free: Vec::new() }
    }
}

impl<T: Ord + Clone> Shared<T> {
    /// One more lease has it.
    fn take(&mut self, value: &T, registered: bool) -> u32 {
        let number = self.numbers.get(value).copied().unwrap_or_else(|| {
            let number = self.free.pop().unwrap_or(self.all.len() as u32);
            if number as usize == self.all.len() {
                self.all.push(None);
            }
            self.numbers.insert(value.clone(), number);
            number
        });
        if let Some(place) = self.all.get_mut(number as usize) {
            let (_, leases, registrations) = place.get_or_insert_with(|| (value.clone(), 0, 0));
            *(if registered { registrations } else { leases }) += 1;
        }
        number
    }

    /// One less has it.
    fn give(&mut self, number: u32, registered: bool) {
        let Some(place) = self.all.get_mut(number as usize) else { return };
        let Some((value, leases, registrations)) = place else { return };
        let count = if registered { &mut *registrations } else { &mut *leases };
        *count = count.saturating_sub(1);
        if *leases == 0 && *registrations == 0 {
            self.numbers.remove(value);
            *place = None;
            self.free.push(number);
        }
    }

    fn get(&self, number: u32) -> Option<&T> {
        self.all.get(number as usize)?.as_ref().map(|(value, ..)| value)
    }
}

/// All leases, found by resource, by holder and by their end. It holds at most one lease for a resource; that no two
/// prefixes overlap is for those who put leases in: see [`LeaseTable::overlaps`].
#[derive(Debug, Clone, Default)]
pub struct LeaseTable {
    hasher: RandomState,
    entries: Vec<Option<Entry>>,
    free: Vec<u32>,
    by_resource: HashTable<u32>,
    /// The first lease of each holder; bound leases only: nobody extends the others.
    by_holder: HashTable<u32>,
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
    /// Where octets are written before they have a box of their length.
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

/// The /64 that a resource begins in; none for prefixes that are longer.
fn area_of(resource: Resource) -> Option<u64> {
    match resource {
        Resource::Prefix(net) if net.prefix_len() > 64 => None,
        _ => Some((u128::from(resource.net().network()) >> 64) as u64),
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
    pub fn held(&self, who: &Identity, iaid: u32, kind: Kind) -> impl Iterator<Item = Lease> {
        self.held_by(who).filter(move |lease| lease.iaid == iaid && lease.resource.kind() == kind)
    }

    /// The bound leases of one holder, all its associations together.
    pub fn held_by(&self, who: &Identity) -> impl Iterator<Item = Lease> + use<> {
        let mut leases = Vec::new();
        let mut place = self.first_held(who).unwrap_or(NONE);
        while let Some(entry) = self.entry(place) {
            leases.extend(self.read(place));
            place = entry.next_held;
        }
        leases.sort_by_key(|lease| (lease.iaid, lease.resource));
        leases.into_iter()
    }

    /// The bound leases of everybody who asks with this DUID, whatever its holders are known by.
    pub fn of_duid(&self, duid: &Duid) -> impl Iterator<Item = Lease> {
        let others = self.duids.get(duid).into_iter().flatten();
        self.held_by(&Identity::Duid(duid.clone())).chain(others.filter_map(|resource| self.get(*resource)))
    }

    /// Puts a lease in place of what there is for its resource, and returns that.
    #[expect(clippy::needless_pass_by_value, reason = "the table takes the lease over, in whichever form")]
    pub fn put(&mut self, lease: Lease) -> Option<Lease> {
        if let Some(place) = self.find(lease.resource)
            && let Some(before) = self.read(place)
        {
            let bound = [&before, &lease].iter().all(|lease| lease.state == LeaseState::Bound);
            let place_of = |lease: &Lease| (lease.link.clone(), lease.relay.clone());
            if bound
                && before.duid == lease.duid
                && place_of(&before) == place_of(&lease)
                && before.identity() == lease.identity()
            {
                self.renew(place, &lease);
                return Some(before);
            }
        }
        let before = self.remove(lease.resource);
        self.insert(&lease);
        before
    }

    /// A lease of the same holder in the same state: all indices stay but the one by end.
    fn renew(&mut self, place: u32, lease: &Lease) {
        let octets = self.octets(lease);
        let Some(entry) = self.entry_mut(place) else { return };
        (entry.octets, entry.end) = (octets, nanos(lease.valid_until));
        let at = entry.heap as usize;
        self.settle(at);
    }

    fn octets(&mut self, lease: &Lease) -> Box<[u8]> {
        self.scratch.clear();
        put_kept(lease, &mut self.scratch);
        self.scratch.as_slice().into()
    }

    fn insert(&mut self, lease: &Lease) {
        let registered = lease.state == LeaseState::Registered;
        let octets = self.octets(lease);
        let link = self.links.take(&lease.link, registered);
        let relay = lease.relay.as_ref().map_or(NONE, |relay| self.relays.take(relay, registered));
        let entry = Entry {
            octets,
            end: nanos(lease.valid_until),
            heap: NONE,
            holder: 0,
            next_held: NONE,
            area: [NONE; 2],
            link,
            relay,
        };
        let place = self.free.pop().unwrap_or(self.entries.len() as u32);
        match self.entries.get_mut(place as usize) {
            Some(free) => *free = Some(entry),
            None => self.entries.push(Some(entry)),
        }
        let hash = self.hash(&lease.resource);
        let (hasher, entries) = (&self.hasher, &self.entries);
        let rehash = |place: &u32| hash_of(hasher, entries, *place);
        self.by_resource.insert_unique(hash, place, rehash);
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
        let hash = self.hash(&resource);
        if let Ok(found) = self.by_resource.find_entry(hash, |other| *other == place) {
            found.remove();
        }
        let registered = lease.state == LeaseState::Registered;
        match place_of(lease.state).and_then(|place| self.others.get_mut(place)) {
            Some(others) => drop(others.remove(&(lease.valid_until, resource))),
            None => self.leave_holder(&lease.identity(), place),
        }
        take_out(&mut self.registrations, &lease.duid, resource);
        take_out(&mut self.duids, &lease.duid, resource);
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
            self.relays.give(entry.relay, registered);
            self.free.push(place);
        }
        Some(lease)
    }

    /// Does what a change says.
    pub fn apply(&mut self, change: LeaseChange) -> Option<Lease> {
        match change {
            LeaseChange::Put(lease) => self.put(lease),
            LeaseChange::Remove(resource) => self.remove(resource),
        }
    }

    /// The lease that ends first, whatever its state.
    pub fn first_to_end(&self) -> Option<Lease> {
        self.ends.first().and_then(|place| self.read(*place))
    }

    /// When the first lease ends.
    pub fn first_end(&self) -> Option<Duration> {
        self.ends.first().map(|place| crate::octets::time(self.end(*place)))
    }

    /// The first lease to end of those in a state other than bound.
    pub fn first_in(&self, state: LeaseState) -> Option<Resource> {
        let others = place_of(state).and_then(|place| self.others.get(place));
        others.and_then(BTreeSet::first).map(|(_, resource)| *resource)
    }

    /// Leases that have ended at `now`, at most so many, in no particular order.
    pub fn ended(&self, now: Duration, most: usize) -> Vec<Lease> {
        let now = nanos(now);
        let mut found = Vec::new();
        let mut open = vec![0];
        while let Some(at) = open.pop() {
            let Some(place) = self.ends.get(at) else { continue };
            // What lies below it in the heap ends later.
            if self.end(*place) <= now && found.len() < most {
                found.extend(self.read(*place));
                open.extend((1..=BRANCHES).map(|branch| at * BRANCHES + branch));
            }
        }
        found
    }

    /// The leases that share an address with `net`, in every state.
    pub fn overlaps(&self, net: Ipv6Net) -> impl Iterator<Item = Lease> {
        let covering = self.lengths.range(..net.prefix_len()).filter_map(move |(&length, _)| {
            let cover = Ipv6Net::new(net.network(), length).ok()?.trunc();
            self.find(Resource::Prefix(cover))
        });
        let (first, last) = (net.network(), net.broadcast());
        let (address, itself) = if net.prefix_len() == 128 {
            (self.find(Resource::Address(first)), self.find(Resource::Prefix(net)))
        } else {
            (None, None)
        };
        let wide = (net.prefix_len() < 128).then(|| self.within(first, last)).into_iter().flatten();
        covering.chain(address).chain(itself).chain(wide).filter_map(|place| self.read(place))
    }

    /// The places of the leases that begin between two addresses.
    fn within(&self, first: Ipv6Addr, last: Ipv6Addr) -> impl Iterator<Item = u32> {
        let upper = |address: Ipv6Addr| (u128::from(address) >> 64) as u64;
        let heads = self.areas.range(upper(first)..=upper(last)).map(|(_, head)| *head);
        let chained = heads.flat_map(move |head| {
            std::iter::successors(Some(head), |place| self.entry(*place).map(|entry| entry.area[1]))
                .take_while(|place| *place != NONE)
        });
        let begins = move |place: &u32| {
            let resource = self.entry(*place).and_then(Entry::resource);
            resource.is_some_and(|resource| (first..=last).contains(&resource.net().network()))
        };
        // It covers what is asked about, and was found as such.
        let covers = move |place: &u32| {
            let resource = self.entry(*place).and_then(Entry::resource);
            resource.is_some_and(|resource| resource.net().broadcast() > last)
        };
        let lowest = Ipv6Net::new(first, 65).map_or(first.into(), |net| net.trunc());
        let narrow = self.narrow.range(Resource::Prefix(lowest)..=Resource::Prefix(last.into()));
        let all = chained.chain(narrow.map(|(_, place)| *place));
        all.filter(begins).filter(move |place| !covers(place))
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
        let mut lease = Reader::new(&entry.octets).kept(entry.end)?;
        lease.link = self.links.get(entry.link)?.clone();
        lease.relay = self.relays.get(entry.relay).cloned();
        Some(lease)
    }

    fn hash(&self, value: &impl Hash) -> u64 {
        self.hasher.hash_one(value)
    }

    fn find(&self, resource: Resource) -> Option<u32> {
        let same = |place: &u32| self.entry(*place).and_then(Entry::resource) == Some(resource);
        self.by_resource.find(self.hash(&resource), same).copied()
    }

    fn first_held(&self, who: &Identity) -> Option<u32> {
        let holder = self.hash(who) as u32;
        self.by_holder.find(spread(holder), |place| self.is_of(*place, holder, who)).copied()
    }

    fn is_of(&self, place: u32, holder: u32, who: &Identity) -> bool {
        self.entry(place).is_some_and(|entry| entry.holder == holder)
            && self.read(place).is_some_and(|lease| lease.identity() == *who)
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
        let rehash = |place: &u32| {
            spread(entries.get(*place as usize).and_then(Option::as_ref).map_or(0, |e| e.holder))
        };
        self.by_holder.insert_unique(spread(holder), place, rehash);
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
        if let Ok(mut found) = self.by_holder.find_entry(spread(holder), |other| *other == place) {
            if next == NONE {
                found.remove();
            } else {
                *found.get_mut() = next;
            }
        }
    }

    fn enter_area(&mut self, resource: Resource, place: u32) {
        let Some(area) = area_of(resource) else {
            self.narrow.insert(resource, place);
            return;
        };
        if let Some(head) = self.areas.insert(area, place) {
            if let Some(head) = self.entry_mut(head) {
                head.area[0] = place;
            }
            if let Some(entry) = self.entry_mut(place) {
                entry.area = [NONE, head];
            }
        }
    }

    fn leave_area(&mut self, resource: Resource, place: u32) {
        let Some(area) = area_of(resource) else {
            self.narrow.remove(&resource);
            return;
        };
        let Some([before, after]) = self.entry(place).map(|entry| entry.area) else { return };
        if let Some(entry) = self.entry_mut(after) {
            entry.area[0] = before;
        }
        if let Some(entry) = self.entry_mut(before) {
            entry.area[1] = after;
        } else if after == NONE {
            self.areas.remove(&area);
        } else {
            self.areas.insert(area, after);
        }
    }

    fn end(&self, place: u32) -> u64 {
        self.entry(place).map_or(u64::MAX, |entry| entry.end)
    }

    /// Brings what is in this place of the heap to where it belongs.
    fn settle(&mut self, mut at: usize) {
        let Some(&place) = self.ends.get(at) else { return };
        let end = self.end(place);
        while at > 0 {
            let above = (at - 1) / BRANCHES;
            let Some(&other) = self.ends.get(above) else { break };
            if self.end(other) <= end {
                break;
            }
            self.set_heap(at, other);
            at = above;
        }
        loop {
            let below = at * BRANCHES + 1..=at * BRANCHES + BRANCHES;
            let first = below.filter_map(|below| Some((below, *self.ends.get(below)?)));
            let Some((below, other)) = first.min_by_key(|(_, other)| self.end(*other)) else { break };
            if self.end(other) >= end {
                break;
            }
            self.set_heap(at, other);
            at = below;
        }
        self.set_heap(at, place);
    }

    fn set_heap(&mut self, at: usize, place: u32) {
        if let Some(slot) = self.ends.get_mut(at) {
            *slot = place;
        }
        if let Some(entry) = self.entry_mut(place) {
            entry.heap = at as u32;
        }
    }
}

fn take_out(index: &mut BTreeMap<Duid, BTreeSet<Resource>>, duid: &Duid, resource: Resource) {
    if let Some(resources) = index.get_mut(duid) {
        resources.remove(&resource);
        if resources.is_empty() {
            index.remove(duid);
        }
    }
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
#[path = "table_tests.rs"]
mod tests;
