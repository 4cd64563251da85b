//! Which leases share addresses: those of each /64 are chained.

use super::LeaseTable;
use super::entry::{Entry, NONE};
use crate::lease::{Kind, Lease, Resource};
use ipnet::Ipv6Net;
use std::net::Ipv6Addr;

/// The /64 that a resource begins in; none for prefixes that are longer.
fn area_of(resource: Resource) -> Option<u64> {
    match resource {
        Resource::Prefix(net) if net.prefix_len() > 64 => None,
        _ => Some((u128::from(resource.net().network()) >> 64) as u64),
    }
}

impl LeaseTable {
    /// The leases that share an address with `net`, in every state.
    pub fn overlaps(&self, net: Ipv6Net) -> impl Iterator<Item = Lease> {
        let covering = self.lengths.range(..net.prefix_len()).filter_map(move |(&length, _)| {
            let cover = Ipv6Net::new(net.network(), length).ok()?.trunc();
            self.find(Resource::Prefix(cover))
        });
        let (first, last) = (net.network(), net.broadcast());
        let single = net.prefix_len() == 128;
        let address = if single { self.find(Resource::Address(first)) } else { None };
        let itself = single && self.lengths.contains_key(&128);
        let itself = if itself { self.find(Resource::Prefix(net)) } else { None };
        let wide = (net.prefix_len() < 128).then(|| self.within(first, last)).into_iter().flatten();
        covering.chain(address).chain(itself).chain(wide).filter_map(|place| self.read(place))
    }

    /// Each lease that lies in a leased prefix, behind the smallest such prefix.
    pub fn nested(&self) -> Vec<(Resource, Resource)> {
        if self.lengths.is_empty() {
            // Addresses alone are never one in another.
            return Vec::new();
        }
        let mut all: Vec<Resource> = self.resources().map(|(resource, _)| resource).collect();
        // A prefix comes before all that lies in it; an address behind a prefix of its own length.
        all.sort_unstable_by_key(|resource| {
            let net = resource.net();
            (net.network(), net.prefix_len(), resource.kind() == Kind::Address)
        });
        let (mut around, mut found): (Vec<Ipv6Net>, _) = (Vec::new(), Vec::new());
        for resource in all {
            let net = resource.net();
            while around.pop_if(|outer| !outer.contains(&net)).is_some() {}
            found.extend(around.last().map(|outer| (Resource::Prefix(*outer), resource)));
            if resource.kind() == Kind::Prefix {
                around.push(net);
            }
        }
        found
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

    pub(super) fn enter_area(&mut self, resource: Resource, place: u32) {
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

    pub(super) fn leave_area(&mut self, resource: Resource, place: u32) {
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
}
