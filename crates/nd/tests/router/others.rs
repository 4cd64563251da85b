//! Other routers on the link.

use super::{HOST, Lan, ROGUE, START, net, prefix, started};
use sixgate_nd::router::{Config, Contradiction};
use sixgate_wire::ndp::{Builder, HOP_LIMIT, PrefixInformation, RouterAdvertisementHeader};
use std::net::Ipv6Addr;

fn foreign(header: &RouterAdvertisementHeader, prefix: Option<PrefixInformation>) -> Vec<u8> {
    let mut buffer = [0; 128];
    let mut builder = Builder::router_advertisement(&mut buffer, header);
    builder.mtu(1400);
    if let Some(prefix) = prefix {
        builder.prefix_information(&prefix);
    }
    builder.finish().unwrap().to_vec()
}

#[test]
fn other_routers_are_noticed_once_and_again_when_they_change() {
    let mut lan = started(vec![prefix("2001:db8:0:1::/64", 9999, 9999)]);
    let config = Config { mtu: Some(1500), ..Config::default() };
    lan.router.set_config(START, config);
    let header = RouterAdvertisementHeader {
        hop_limit: 32,
        managed: true,
        router_lifetime: 600,
        ..Default::default()
    };
    let dead = PrefixInformation {
        address: "2001:db8:0:1::".parse().unwrap(),
        length: 64,
        on_link: true,
        autonomous: true,
        router_address: false,
        pd_preferred: false,
        valid: 0,
        preferred: 0,
    };
    for _ in 0..5 {
        lan.receive(ROGUE, HOP_LIMIT, &foreign(&header, Some(dead)));
    }
    assert_eq!(lan.noticed, 1);
    let other = &lan.router.others()[0];
    assert!(other.default_router);
    assert_eq!(other.prefixes, [net("2001:db8:0:1::/64")]);
    let want = [
        Contradiction::HopLimit { theirs: 32 },
        Contradiction::Managed { theirs: true },
        Contradiction::Mtu { theirs: 1400 },
        Contradiction::Lifetime { prefix: net("2001:db8:0:1::/64") },
    ];
    assert_eq!(other.contradictions, want);
    lan.receive(
        ROGUE,
        HOP_LIMIT,
        &foreign(&RouterAdvertisementHeader { router_lifetime: 0, ..header }, None),
    );
    assert_eq!(lan.noticed, 2, "no longer a default router");
}

#[test]
fn a_flood_of_other_routers_fills_neither_memory_nor_the_log() {
    let mut lan = started(vec![]);
    for n in 0..10_000u128 {
        let source = Ipv6Addr::from(u128::from(ROGUE) + n);
        lan.receive(source, HOP_LIMIT, &foreign(&RouterAdvertisementHeader::default(), None));
    }
    assert_eq!(lan.router.others().len(), 16);
    assert_eq!(lan.noticed, 16);
    assert_eq!(lan.router.counters().others_evicted, 10_000 - 16);
    assert_eq!(lan.router.counters().notices_suppressed, 10_000 - 16);
    // From elsewhere than the link, or from ourselves: not noted at all.
    let mut lan = Lan::new(Config { link_local: Some(HOST), ..Config::default() });
    lan.receive(ROGUE, 64, &foreign(&RouterAdvertisementHeader::default(), None));
    lan.receive("2001:db8::1".parse().unwrap(), 255, &foreign(&RouterAdvertisementHeader::default(), None));
    lan.receive(HOST, 255, &foreign(&RouterAdvertisementHeader::default(), None));
    assert!(lan.router.others().is_empty());
}
