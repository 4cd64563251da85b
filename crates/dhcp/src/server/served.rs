//! What the policy says of who asks: whether it is served at all, what is reserved for it, of which classes it is.

use super::asker::Asker;
use super::message::{Asked, Association};
use super::{Actions, Discard, Server, add};
use crate::lease::{Kind, LeaseTable, Resource};
use crate::options::OptionSet;
use crate::policy::{Asking, ClassSet, Policy};
use crate::reservation::{Conflict, Reservation};
use ipnet::Ipv6Net;
use sixgate_wire::dhcpv6::OptionCode;
use std::sync::Arc;
use std::time::Duration;

/// Who asks, as the policy sees it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Served<'a> {
    pub(super) policy: &'a Policy,
    pub(super) asking: Asking<'a>,
    pub(super) classes: ClassSet,
}

impl<'a> Asking<'a> {
    /// What a policy goes by of what the server knows. Of hardware addresses, one that the link trusts.
    pub(super) fn of(asker: &'a Asker<'a>) -> Self {
        let line = asker.line.as_ref();
        Self {
            link: &asker.link.name,
            duid: asker.message.options().get(OptionCode::CLIENT_ID),
            mac: asker.trusted().map(|found| found.mac),
            interface_id: line.and_then(|line| line.interface_id()),
            remote_id: line.and_then(|line| line.remote_id()),
            subscriber_id: line.and_then(|line| line.subscriber_id()),
            agent: asker.relay.as_ref().map(|relay| relay.address),
            hops: asker.hops,
            options: asker.message.options(),
        }
    }
}

/// What is reserved for who asks, for any of its associations.
fn reserved<'p>(
    policy: &'p Policy,
    asking: &'p Asking<'p>,
    ias: &'p [Association],
) -> impl Iterator<Item = &'p Reservation> + Clone {
    let iaids = ias.iter().map(|ia| Some(ia.iaid)).chain(std::iter::once(None));
    iaids.flat_map(move |iaid| policy.reservations.find(asking, iaid))
}

/// The name that somebody reserved for who asks.
pub(super) fn reserved_name(policy: &Policy, asker: &Asker<'_>, ias: &[Association]) -> Option<String> {
    if policy.reservations.is_empty() {
        return None;
    }
    let asking = Asking::of(asker);
    reserved(policy, &asking, ias).find_map(|row| row.hostname.clone())
}

impl<'a> Served<'a> {
    /// Judges who asks; or by which rule it is not served.
    pub(super) fn new(policy: &'a Policy, asker: &'a Asker<'a>, ias: &[Association]) -> Result<Self, usize> {
        let asking = Asking::of(asker);
        let known = !policy.reservations.is_empty() && reserved(policy, &asking, ias).next().is_some();
        let classes = policy.classes_of(&asking, known);
        match policy.denied_by(asking.link, classes) {
            Some(rule) => Err(rule),
            None => Ok(Self { policy, asking, classes }),
        }
    }

    /// The name that somebody reserved for it.
    pub(super) fn hostname(&'a self, asked: &'a Asked<'_>) -> Option<&'a str> {
        let mut rows = reserved(self.policy, &self.asking, &asked.associations);
        rows.find_map(|row| row.hostname.as_deref())
    }

    /// What is reserved for an association.
    pub(super) fn rows(&self, iaid: u32) -> impl Iterator<Item = &Reservation> {
        self.policy.reservations.find(&self.asking, Some(iaid))
    }

    /// What of this kind is reserved for an association.
    pub(super) fn resources(&self, ia: &Association) -> impl Iterator<Item = Resource> {
        let kind = ia.kind;
        self.rows(ia.iaid).flat_map(|row| &row.resources).copied().filter(move |r| r.kind() == kind)
    }

    /// Whether a part of `net` is reserved for somebody else.
    pub(super) fn is_anothers(&self, iaid: u32, net: Ipv6Net) -> bool {
        let own = |row: &Reservation| self.rows(iaid).any(|own| std::ptr::eq(own, row));
        self.policy.reservations.overlaps(net).any(|(_, row)| !own(row))
    }

    /// What is told to it, the nearest first; `holds` says of what it has a lease in.
    pub(super) fn options(
        &'a self,
        asked: &'a Asked<'_>,
        holds: impl Fn(Ipv6Net) -> bool + Copy + 'a,
    ) -> impl Iterator<Item = &'a OptionSet> + Clone {
        let rows = reserved(self.policy, &self.asking, &asked.associations);
        self.policy.options_for(self.asking.link, rows.map(|row| &*row.options), self.classes, holds)
    }
}

impl Server {
    /// Who gets what, and who is not served.
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// Replaces who gets what. Leases stay until their holders ask next, and are then judged by the new policy. A rule
    /// that stays keeps its count.
    pub fn set_policy(&mut self, now: Duration, policy: Policy, actions: &mut Actions) {
        let before: Vec<(String, u64)> = self.denied().collect();
        let count =
            |name: String| before.iter().find(|(rule, _)| *rule == name).map_or(0, |(_, count)| *count);
        self.denied = policy.rules().iter().map(|rule| count(policy.rule_name(rule))).collect();
        self.policy = Arc::new(policy);
        self.links_changed(now, actions);
    }

    /// Adds a reservation to those of the policy, and says by which number it can be removed.
    ///
    /// # Errors
    /// [`Conflict`]; then nothing is added.
    pub fn reserve(&mut self, reservation: Reservation, actions: &mut Actions) -> Result<u32, Conflict> {
        let resources = reservation.resources.clone();
        let id = Arc::make_mut(&mut self.policy).reservations.insert(reservation)?;
        self.reservation_changed(&resources, actions);
        Ok(id)
    }

    /// Takes a reservation away. Who has what was reserved keeps it until he asks next.
    pub fn unreserve(&mut self, id: u32, actions: &mut Actions) -> Option<Reservation> {
        let gone = Arc::make_mut(&mut self.policy).reservations.remove(id)?;
        self.reservation_changed(&gone.resources, actions);
        Some(gone)
    }

    /// What was offered may be somebody's now, and a route stands to what is reserved outside of the pools.
    fn reservation_changed(&mut self, resources: &[Resource], actions: &mut Actions) {
        self.offers = LeaseTable::new();
        for resource in resources {
            self.sync_route(*resource, actions);
        }
    }

    /// How many messages each rule has kept from being answered.
    pub fn denied(&self) -> impl Iterator<Item = (String, u64)> {
        let names = self.policy.rules().iter().map(|rule| self.policy.rule_name(rule));
        names.zip(self.denied.iter().copied())
    }

    /// Whether an address that a host gave itself is reserved for somebody else.
    pub(super) fn is_reserved_for_another(&self, asker: &Asker<'_>, resource: Resource) -> bool {
        let asking = Asking::of(asker);
        let reservations = &self.policy.reservations;
        let own = |row: &Reservation| reservations.find(&asking, None).any(|own| std::ptr::eq(own, row));
        reservations.overlaps(resource.net()).any(|(_, row)| !own(row))
    }

    /// Counts what a rule kept from being answered.
    pub(super) fn deny(&mut self, rule: usize) -> Discard {
        if let Some(count) = self.denied.get_mut(rule) {
            add(count);
        }
        Discard::Denied
    }
}

/// Whether two resources stand for each other: who has the one reserved needs none like the other. Addresses of different
/// networks serve different purposes; one prefix is as good as another.
pub(super) fn same_place(one: Ipv6Net, other: Ipv6Net, kind: Kind) -> bool {
    let whole = |net: Ipv6Net| u128::from(net.network()) >> 64;
    kind == Kind::Prefix || whole(one) == whole(other)
}
