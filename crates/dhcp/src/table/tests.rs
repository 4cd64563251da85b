//! The table against a plain list of leases, after every step of random histories.

use super::*;
use crate::identity::Key;
use ipnet::Ipv6Net;
use proptest::prelude::*;
use std::net::Ipv6Addr;

fn lease(resource: Resource, client: u8, iaid: u32, state: LeaseState, end: u64) -> Lease {
    let relay = client
        .is_multiple_of(3)
        .then(|| Arc::new(Relay { address: Ipv6Addr::LOCALHOST, link: Ipv6Addr::UNSPECIFIED, id: None }));
    Lease {
        resource,
        key: Key::Duid,
        duid: Duid::link_layer([2, 0, 0, 0, 0, client]),
        iaid,
        link: ["lan", "guests"][usize::from(client % 2)].into(),
        state,
        preferred_until: Duration::from_secs(end / 2),
        valid_until: if end == 0 { Duration::MAX } else { Duration::from_secs(end) },
        granted_at: Duration::from_secs(1),
        renewed_at: Duration::from_secs(2),
        hostname: None,
        link_layer: None,
        peer: Ipv6Addr::LOCALHOST,
        line: None,
        relay,
    }
}

fn resource() -> impl Strategy<Value = Resource> {
    let address = |area: u8, last: u8| {
        Ipv6Addr::new(0x2001, 0xdb8, 0, area.into(), u16::from(last) << 8, 0, 0, last.into())
    };
    let prefix = move |(area, last, length): (u8, u8, u8)| {
        Resource::Prefix(Ipv6Net::new(address(area, last), length).unwrap().trunc())
    };
    prop_oneof![
        (0..4_u8, 0..8_u8).prop_map(move |(area, last)| Resource::Address(address(area, last))),
        (0..4_u8, 0..8_u8, prop_oneof![Just(48), Just(62), Just(64), Just(72), Just(80), Just(128)])
            .prop_map(prefix),
    ]
}

fn step() -> impl Strategy<Value = LeaseChange> {
    let states = [LeaseState::Bound, LeaseState::Declined, LeaseState::Retired, LeaseState::Registered];
    // Bound leases are most of all.
    let state = (0..8_usize).prop_map(move |place| states[place.saturating_sub(4)]);
    let put =
        (resource(), 0..5_u8, 0..3_u32, state, 0..20_u64).prop_map(|(resource, client, iaid, state, end)| {
            LeaseChange::Put(lease(resource, client, iaid, state, end))
        });
    prop_oneof![3 => put, 1 => resource().prop_map(LeaseChange::Remove)]
}

fn overlap(one: Ipv6Net, other: Ipv6Net) -> bool {
    one.contains(&other) || other.contains(&one)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn it_answers_as_a_list_would(steps in prop::collection::vec(step(), 1..120), asked in resource()) {
        let mut table = LeaseTable::new();
        let mut list: BTreeMap<Resource, Lease> = BTreeMap::new();
        for change in steps {
            let before = match &change {
                LeaseChange::Put(lease) => list.insert(lease.resource, lease.clone()),
                LeaseChange::Remove(resource) => list.remove(resource),
            };
            let resource = change.resource();
            prop_assert_eq!(table.apply(change), before);
            prop_assert!(table.iter().eq(list.values().cloned()));
            prop_assert_eq!(table.get(resource), list.get(&resource).cloned());
            let first = list.values().map(|lease| lease.valid_until).min();
            prop_assert_eq!((table.first_end(), table.first_to_end().map(|l| l.valid_until)), (first, first));
            let now = Duration::from_secs(10);
            let mut ended: Vec<_> = table.ended(now, usize::MAX).iter().map(|lease| lease.resource).collect();
            ended.sort();
            let over = list.values().filter(|lease| lease.valid_until <= now).map(|lease| lease.resource);
            prop_assert!(ended.into_iter().eq(over));
            for state in [LeaseState::Declined, LeaseState::Retired, LeaseState::Registered, LeaseState::Bound] {
                let all = list.values().filter(|lease| lease.state == state);
                prop_assert_eq!(table.len_in(state), all.clone().count());
                let first = all.min_by_key(|lease| (lease.valid_until, lease.resource)).map(|lease| lease.resource);
                prop_assert_eq!(table.first_in(state), first.filter(|_| state != LeaseState::Bound));
            }
            for client in 0..5 {
                let duid = Duid::link_layer([2, 0, 0, 0, 0, client]);
                let of = |state| list.values().filter(move |lease| lease.state == state);
                let mut held: Vec<_> = of(LeaseState::Bound).filter(|lease| lease.duid == duid).cloned().collect();
                held.sort_by_key(|lease| (lease.iaid, lease.resource));
                let who = Identity::Duid(duid.clone());
                prop_assert!(table.held_by(&who).eq(held.iter().cloned()));
                held.retain(|lease| lease.iaid == 1 && lease.resource.kind() == Kind::Prefix);
                prop_assert!(table.held(&who, 1, Kind::Prefix).eq(held));
                let registered = of(LeaseState::Registered).filter(|lease| lease.duid == duid);
                prop_assert!(table.registered_by(&duid).eq(registered.map(|lease| lease.resource)));
            }
            let on = list.values().filter(|lease| &*lease.link == "lan" && lease.state != LeaseState::Registered);
            prop_assert_eq!(table.len_on("lan"), on.count());
            let mut near: Vec<_> = table.overlaps(asked.net()).map(|lease| lease.resource).collect();
            near.sort();
            let want = list.keys().copied().filter(|resource| overlap(resource.net(), asked.net()));
            prop_assert!(near.into_iter().eq(want), "around {}", asked);
        }
        let within = |outer: &Resource, inner: &Resource| {
            outer != inner && outer.kind() == Kind::Prefix && outer.net().contains(&inner.net())
        };
        let mut nested = table.nested();
        nested.sort_by_key(|(_, inner)| *inner);
        let want = list.keys().filter_map(|inner| {
            let around = list.keys().filter(|outer| within(outer, inner));
            Some((*around.max_by_key(|outer| outer.net().prefix_len())?, *inner))
        });
        prop_assert!(nested.into_iter().eq(want));
        let again: LeaseTable = list.values().cloned().collect();
        prop_assert!(again == table);
        for resource in list.into_keys() {
            prop_assert!(table.remove(resource).is_some());
        }
        prop_assert!(table.is_clean());
    }
}
