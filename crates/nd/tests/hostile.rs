//! Bytes from strangers: nothing panics, nothing grows without bound, time never stands still.

// Clippy's exception for tests does not reach the functions beside them.
#![allow(clippy::unwrap_used, clippy::panic, clippy::unchecked_time_subtraction)]

use core::time::Duration;
use proptest::prelude::*;
use sixgate_nd::host::{self, Host};
use sixgate_nd::router::{self, AdvertisedPrefix, Router};
use std::net::Ipv6Addr;

/// An option of a kind that is looked at, with a length that often fits it.
fn option() -> impl Strategy<Value = Vec<u8>> {
    let kind = prop::sample::select(vec![1u8, 2, 3, 4, 5, 14, 24, 25, 31, 37, 38, 99]);
    let units = prop_oneof![4 => 1u8..6, 1 => Just(0u8)];
    (kind, units, prop::collection::vec(any::<u8>(), 46)).prop_map(|(kind, units, mut data)| {
        if kind == 3 || kind == 24 {
            // Lengths and lifetimes that mean something, so that what is behind them is reached.
            data[0] %= 129;
            if data[3] & 1 == 0 {
                data[2..6].copy_from_slice(&[0xff; 4]);
            }
            if kind == 3 && data[4] & 1 == 0 {
                data[0] = 64;
                data[1] |= 0xc0;
                data[6..10].fill(0);
            }
        }
        data.truncate(usize::from(units).saturating_mul(8).saturating_sub(2));
        let mut bytes = vec![kind, units];
        bytes.extend(data);
        bytes
    })
}

fn message() -> impl Strategy<Value = Vec<u8>> {
    let options = prop::collection::vec(option(), 0..6);
    let kind = prop_oneof![3 => Just(134u8), 1 => Just(133u8), 1 => 130u8..140];
    (kind, any::<[u8; 12]>(), options).prop_map(|(kind, fixed, options)| {
        let mut bytes = vec![kind, 0, 0, 0];
        bytes.extend(&fixed[..if kind == 133 { 4 } else { 12 }]);
        bytes.extend(options.concat());
        bytes
    })
}

fn source() -> impl Strategy<Value = Ipv6Addr> {
    prop_oneof![
        8 => any::<u8>().prop_map(|n| Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, u16::from(n))),
        1 => Just(Ipv6Addr::UNSPECIFIED),
        1 => any::<u128>().prop_map(Ipv6Addr::from),
    ]
}

/// A step: time that passes in milliseconds, and a packet.
fn steps() -> impl Strategy<Value = Vec<(u64, Ipv6Addr, Vec<u8>)>> {
    let time = prop_oneof![6 => 0u64..2000, 1 => 0u64..10_000_000, 1 => Just(u64::from(u32::MAX))];
    prop::collection::vec((time, source(), message()), 1..200)
}

proptest! {
    #[test]
    fn a_host_survives(steps in steps(), seed in any::<u64>()) {
        let config = host::Config { interface_id: Some([0, 0, 0, 0, 0, 0, 0, 1]), ..host::Config::default() };
        let mut host = Host::new(config, fastrand::Rng::with_seed(seed));
        let mut now = Duration::from_hours(500_000);
        host.start(now);
        let mut actions = Vec::new();
        for (wait, source, bytes) in steps {
            now += Duration::from_millis(wait);
            host.handle_timeout(now, &mut actions);
            prop_assert!(host.poll_timeout().is_none_or(|due| due > now), "a timeout that stays due spins");
            host.handle(now, source, 255, &bytes, &mut actions);
            let state = host.state();
            prop_assert!(state.default_routers.len() <= 8 && state.prefixes.len() <= 16);
            prop_assert!(state.addresses.len() <= 16 && state.routes.len() <= 32);
            prop_assert!(state.rdnss.len() <= 8 && state.dnssl.len() <= 8);
            prop_assert!(state.default_routers.is_sorted_by_key(|r| std::cmp::Reverse(r.preference)));
            prop_assert!(state.addresses.iter().all(|a| a.valid_until > now));
            prop_assert!(state.mtu.is_none_or(|mtu| (1280..=1500).contains(&mtu)));
        }
    }

    #[test]
    fn a_router_survives(steps in steps(), seed in any::<u64>()) {
        let mut router = Router::new(router::Config::default(), fastrand::Rng::with_seed(seed));
        let mut now = Duration::from_hours(500_000);
        router.start(now);
        let mut last_multicast: Option<Duration> = None;
        for (wait, source, bytes) in steps {
            now += Duration::from_millis(wait);
            let mut actions = Vec::new();
            router.handle_timeout(now, &mut actions);
            prop_assert!(router.poll_timeout().is_some_and(|due| due > now), "it speaks again, and does not spin");
            for action in &actions {
                let router::Action::Send { destination, bytes } = action else { continue };
                prop_assert!(bytes.len() <= 1240);
                if destination.is_multicast() {
                    prop_assert!(last_multicast.is_none_or(|last| now.abs_diff(last) >= Duration::from_secs(3)));
                    last_multicast = Some(now);
                }
            }
            router.handle(now, source, 255, &bytes, &mut actions);
            prop_assert!(router.others().len() <= 16);
            // What the uplink delegates follows what strangers send: the worst uplink there is.
            if bytes.len() > 40 {
                let network = Ipv6Addr::from(u128::from(bytes[20]) << 64 | 0x2001_0db8 << 96);
                router.set_prefixes(now, vec![AdvertisedPrefix {
                    prefix: ipnet::Ipv6Net::new(network, 64).unwrap(),
                    on_link: true,
                    autonomous: true,
                    pd_preferred: false,
                    valid_until: now + Duration::from_secs(u64::from(bytes[21]) * 100),
                    preferred_until: now + Duration::from_secs(u64::from(bytes[22]) * 100),
                }]);
            }
            prop_assert!(router.advertised().len() <= 17);
        }
    }
}
