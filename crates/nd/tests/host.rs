//! A host on an uplink in simulated time.

// Clippy's exception for tests does not reach the functions beside them.
#![allow(clippy::unwrap_used, clippy::panic, clippy::unchecked_time_subtraction)]

use core::time::Duration;
use sixgate_nd::host::{Action, Config, Host};
use sixgate_wire::ndp::{
    ALL_ROUTERS, Builder, HOP_LIMIT, INFINITY, Preference, PrefixInformation, RouterAdvertisementHeader,
};
use std::net::Ipv6Addr;

const START: Duration = Duration::from_hours(500_000);
const ROUTER: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 1);
const OTHER: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 2);
const HEADER: RouterAdvertisementHeader = RouterAdvertisementHeader {
    hop_limit: 64,
    managed: true,
    other: true,
    preference: Preference::Medium,
    router_lifetime: 1800,
    reachable_time: 0,
    retrans_timer: 0,
};

fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn addr(text: &str) -> Ipv6Addr {
    text.parse().unwrap()
}

fn config() -> Config {
    Config {
        link_layer: Some([2, 0, 0, 0, 0, 9]),
        interface_id: Some([0, 0, 0, 0, 0, 0, 0, 9]),
        interface_mtu: 1500,
    }
}

fn ra(header: &RouterAdvertisementHeader, options: impl FnOnce(&mut Builder<'_>)) -> Vec<u8> {
    let mut buffer = [0; 1500];
    let mut builder = Builder::router_advertisement(&mut buffer, header);
    options(&mut builder);
    builder.finish().unwrap().to_vec()
}

fn pio(prefix: &str, preferred: u32, valid: u32) -> PrefixInformation {
    PrefixInformation {
        address: addr(prefix),
        length: 64,
        on_link: true,
        autonomous: true,
        router_address: false,
        pd_preferred: false,
        valid,
        preferred,
    }
}

struct Uplink {
    host: Host,
    now: Duration,
    sent: Vec<Duration>,
    changes: usize,
}

impl Uplink {
    fn new(config: Config, seed: u64) -> Self {
        let mut host = Host::new(config, fastrand::Rng::with_seed(seed));
        host.start(START);
        Self { host, now: START, sent: Vec::new(), changes: 0 }
    }

    fn take(&mut self, actions: Vec<Action>) {
        for action in actions {
            match action {
                Action::Send { destination, bytes } => {
                    assert_eq!(destination, ALL_ROUTERS);
                    assert_eq!(bytes, [133, 0, 0, 0, 0, 0, 0, 0, 1, 1, 2, 0, 0, 0, 0, 9]);
                    self.sent.push(self.now);
                }
                Action::Changed => self.changes += 1,
            }
        }
    }

    fn run_until(&mut self, end: Duration) {
        while let Some(due) = self.host.poll_timeout().filter(|&due| due <= end) {
            self.now = self.now.max(due);
            let mut actions = Vec::new();
            self.host.handle_timeout(self.now, &mut actions);
            self.take(actions);
        }
        self.now = end;
    }

    fn receive_from(&mut self, source: Ipv6Addr, hop_limit: u8, bytes: &[u8]) {
        let mut actions = Vec::new();
        self.host.handle(self.now, source, hop_limit, bytes, &mut actions);
        self.take(actions);
    }

    fn receive(&mut self, bytes: &[u8]) {
        self.receive_from(ROUTER, HOP_LIMIT, bytes);
    }

    fn routers(&self) -> Vec<Ipv6Addr> {
        self.host.state().default_routers.iter().map(|r| r.address).collect()
    }
}

#[test]
fn solicits_ever_more_rarely_until_a_router_answers() {
    for seed in 0..20 {
        let mut uplink = Uplink::new(config(), seed);
        uplink.run_until(START + secs(86_400));
        assert!(uplink.sent[0] - START <= secs(1), "MAX_RTR_SOLICITATION_DELAY");
        let gaps: Vec<f64> = uplink.sent.windows(2).map(|w| (w[1] - w[0]).as_secs_f64()).collect();
        assert!((3.6..=4.4).contains(&gaps[0]), "{gaps:?}");
        for pair in gaps.windows(2) {
            let base = (pair[0] * 2.0).min(3600.0);
            assert!((base * 0.89..=base * 1.11).contains(&pair[1]), "RFC 7559: {gaps:?}");
        }
        assert!(gaps.last().unwrap() >= &3200.0, "and never gives up: {gaps:?}");

        // A router that is no default router does not end it (RFC 7559 section 2.1) ...
        let before = uplink.sent.len();
        uplink.receive(&ra(&RouterAdvertisementHeader { router_lifetime: 0, ..HEADER }, |_| {}));
        let end = uplink.now + secs(4000);
        uplink.run_until(end);
        assert!(uplink.sent.len() > before);
        // ... a default router does, until it is gone.
        let before = uplink.sent.len();
        uplink.receive(&ra(&HEADER, |_| {}));
        let heard = uplink.now;
        uplink.run_until(heard + secs(1799));
        assert_eq!(uplink.sent.len(), before);
        uplink.run_until(heard + secs(1802));
        assert_eq!(uplink.sent.len(), before + 1);
        assert!(uplink.routers().is_empty());
    }
}

#[test]
fn learns_the_header() {
    let mut uplink = Uplink::new(config(), 1);
    let header =
        RouterAdvertisementHeader { reachable_time: 30_000, retrans_timer: 500, hop_limit: 32, ..HEADER };
    uplink.receive(&ra(&header, |b| {
        b.mtu(1492);
    }));
    let state = uplink.host.state();
    assert!(state.managed && state.other && state.heard_router);
    assert_eq!((state.hop_limit, state.mtu), (Some(32), Some(1492)));
    assert_eq!(state.reachable_time, Some(secs(30)));
    assert_eq!(state.retrans_timer, Some(Duration::from_millis(500)));
    // Unspecified leaves what was told; an MTU out of range is ignored; flags are the last one's.
    uplink.receive(&ra(&RouterAdvertisementHeader { hop_limit: 0, managed: false, ..HEADER }, |b| {
        b.mtu(9000);
    }));
    uplink.receive(&ra(&RouterAdvertisementHeader { hop_limit: 0, managed: false, ..HEADER }, |b| {
        b.mtu(1279);
    }));
    let state = uplink.host.state();
    assert_eq!((state.hop_limit, state.mtu, state.managed), (Some(32), Some(1492), false));
    assert_eq!(state.reachable_time, Some(secs(30)));
}

#[test]
fn invalid_advertisements_are_discarded() {
    let mut uplink = Uplink::new(config(), 1);
    let good = ra(&HEADER, |b| {
        b.mtu(1400);
    });
    let mut zero_option = good.clone();
    zero_option[17] = 0;
    let mut coded = good.clone();
    coded[1] = 1;
    let table: &[(Ipv6Addr, u8, &[u8], &str)] = &[
        (ROUTER, 254, &good, "hop limit"),
        (addr("2001:db8::1"), 255, &good, "global source"),
        (Ipv6Addr::UNSPECIFIED, 255, &good, "no source"),
        (ROUTER, 255, &zero_option, "option of length zero"),
        (ROUTER, 255, &coded, "code"),
        (ROUTER, 255, &good[..15], "cut short"),
    ];
    for (n, (source, hop_limit, bytes, what)) in table.iter().enumerate() {
        uplink.receive_from(*source, *hop_limit, bytes);
        assert_eq!(uplink.host.counters().invalid, n as u64 + 1, "{what}");
    }
    assert_eq!(uplink.changes, 0);
    uplink.receive(&good);
    assert_eq!((uplink.changes, uplink.routers()), (1, vec![ROUTER]));
}

#[test]
fn default_routers_are_sorted_and_expire() {
    let mut uplink = Uplink::new(config(), 1);
    let with = |preference, router_lifetime| {
        ra(&RouterAdvertisementHeader { preference, router_lifetime, ..HEADER }, |_| {})
    };
    let third = addr("fe80::3");
    uplink.receive_from(ROUTER, 255, &with(Preference::Low, 1800));
    uplink.receive_from(OTHER, 255, &with(Preference::Medium, 600));
    uplink.receive_from(third, 255, &with(Preference::Medium, 1800));
    assert_eq!(uplink.routers(), [OTHER, third, ROUTER]);
    uplink.receive_from(ROUTER, 255, &with(Preference::High, 1800));
    assert_eq!(uplink.routers(), [ROUTER, OTHER, third]);
    // A route to everywhere takes the place of the header's preference and lifetime (RFC 4191 section 3.1).
    uplink.receive_from(
        ROUTER,
        255,
        &ra(&HEADER, |b| {
            b.route_information("::/0".parse().unwrap(), Preference::Low, 1800);
        }),
    );
    assert_eq!(uplink.routers(), [OTHER, third, ROUTER]);
    let changes = uplink.changes;
    uplink.run_until(START + secs(601));
    assert_eq!((uplink.routers(), uplink.changes), (vec![third, ROUTER], changes + 1));
    uplink.receive_from(third, 255, &with(Preference::Medium, 0));
    assert_eq!(uplink.routers(), [ROUTER]);
}

#[test]
fn an_address_is_formed_and_ends() {
    let mut uplink = Uplink::new(config(), 1);
    uplink.receive(&ra(&HEADER, |b| {
        b.prefix_information(&pio("2001:db8:0:1::", 2700, 5400));
    }));
    let state = uplink.host.state();
    let address = state.addresses[0];
    assert_eq!(address.address, addr("2001:db8:0:1::9"));
    assert_eq!((address.preferred_until, address.valid_until), (START + secs(2700), START + secs(5400)));
    assert_eq!(state.prefixes[0].until, START + secs(5400));
    uplink.run_until(START + secs(5399));
    assert_eq!(uplink.host.state().addresses.len(), 1);
    uplink.run_until(START + secs(5400));
    assert!(uplink.host.state().addresses.is_empty() && uplink.host.state().prefixes.is_empty());
}

#[test]
fn prefixes_that_form_no_address() {
    let good = pio("2001:db8:0:1::", 2700, 5400);
    let table = [
        (PrefixInformation { autonomous: false, ..good }, "A not set"),
        (PrefixInformation { address: addr("fe80::"), ..good }, "link-local"),
        (PrefixInformation { address: addr("ff02::"), ..good }, "multicast"),
        (PrefixInformation { preferred: 5401, ..good }, "preferred longer than valid"),
        (PrefixInformation { preferred: 0, valid: 0, ..good }, "valid lifetime zero"),
        (PrefixInformation { length: 63, ..good }, "not 64 bits"),
        (PrefixInformation { length: 65, ..good }, "not 64 bits"),
    ];
    for (prefix, what) in table {
        let mut uplink = Uplink::new(config(), 1);
        uplink.receive(&ra(&HEADER, |b| {
            b.prefix_information(&prefix);
        }));
        assert!(uplink.host.state().addresses.is_empty(), "{what}");
    }
    let mut uplink = Uplink::new(Config { interface_id: None, ..config() }, 1);
    uplink.receive(&ra(&HEADER, |b| {
        b.prefix_information(&good);
    }));
    assert!(uplink.host.state().addresses.is_empty(), "no interface identifier");
    assert_eq!(uplink.host.state().prefixes.len(), 1);
}

#[test]
fn the_two_hour_rule() {
    // Remaining valid lifetime, told lifetimes, what they become (RFC 4862 section 5.5.3 e).
    for (remaining, told, want) in [
        (86_400, 172_800, 172_800),
        (86_400, 7201, 7201),
        (86_400, 7200, 7200),
        (86_400, 1, 7200),
        (86_400, 0, 7200),
        (3600, 7200, 7200),
        (3600, 3601, 3601),
        (3600, 3599, 3600),
        (3600, 0, 3600),
        (3600, INFINITY, INFINITY),
        (INFINITY, 0, 7200),
        (INFINITY, 10_000, 10_000),
    ] {
        let mut uplink = Uplink::new(config(), 1);
        for (preferred, valid) in [(remaining, remaining), (0, told)] {
            uplink.receive(&ra(&HEADER, |b| {
                b.prefix_information(&pio("2001:db8:0:1::", preferred, valid));
            }));
        }
        let address = uplink.host.state().addresses[0];
        let want_until = if want == INFINITY { Duration::MAX } else { START + secs(u64::from(want)) };
        assert_eq!(address.valid_until, want_until, "{remaining} {told}");
        assert_eq!(address.preferred_until, START, "deprecated whatever becomes of the valid lifetime");
    }
}

#[test]
fn infinite_lifetimes_outlive_three_years() {
    let mut uplink = Uplink::new(config(), 1);
    uplink.receive(&ra(&RouterAdvertisementHeader { router_lifetime: 0, ..HEADER }, |b| {
        b.prefix_information(&pio("2001:db8:0:1::", INFINITY, INFINITY))
            .prefix_information(&pio("2001:db8:0:2::", 4_294_967, INFINITY - 1))
            .rdnss(INFINITY, &[addr("2001:db8::53")])
            .route_information("fd00::/8".parse().unwrap(), Preference::Medium, INFINITY);
    }));
    assert_eq!(uplink.host.state().addresses[0].valid_until, Duration::MAX);
    // Past 2^31 ms, 2^32 ms and 2^32 s; the host goes on soliciting hourly all the while.
    for end in [2_147_484, 4_294_968, 3 * 366 * 86_400] {
        uplink.run_until(START + secs(end));
        let state = uplink.host.state();
        assert_eq!((state.addresses.len(), state.rdnss.len(), state.routes.len()), (2, 1, 1));
    }
    let three_years = 3 * 366 * 24;
    assert!((three_years - 3000..three_years + 3000).contains(&uplink.sent.len()), "{}", uplink.sent.len());
    uplink.receive(&ra(&HEADER, |_| {}));
    uplink.now = START + secs(u64::from(INFINITY));
    let mut actions = Vec::new();
    uplink.host.handle_timeout(uplink.now, &mut actions);
    assert_eq!(uplink.host.state().addresses.len(), 1, "only the infinite one is left");
    uplink.receive(&ra(&HEADER, |b| {
        b.route_information("::/0".parse().unwrap(), Preference::Medium, INFINITY);
    }));
    assert_eq!(uplink.host.poll_timeout(), None, "nothing ends, nothing is asked for");
}

#[test]
fn routes_and_resolvers_come_and_go() {
    let mut uplink = Uplink::new(config(), 1);
    uplink.receive(&ra(&HEADER, |b| {
        b.route_information("fd00::/8".parse().unwrap(), Preference::Low, 100)
            .route_information("fd00:1::/48".parse().unwrap(), Preference::Medium, 200)
            .route_information("fe80::/64".parse().unwrap(), Preference::Medium, 200)
            .rdnss(300, &[addr("2001:db8::53"), addr("ff02::1"), addr("fe80::1")])
            .dnssl(400, &["isp.example", "home.arpa"])
            .captive_portal("https://portal.example/api")
            .pref64("64:ff9b::/96".parse().unwrap(), 600);
    }));
    uplink.receive_from(
        OTHER,
        255,
        &ra(&HEADER, |b| {
            b.route_information("fd00::/8".parse().unwrap(), Preference::High, 100);
        }),
    );
    let state = uplink.host.state();
    let routes: Vec<_> = state.routes.iter().map(|r| (r.prefix.to_string(), r.router)).collect();
    let text = |(prefix, router): (&str, Ipv6Addr)| (prefix.to_string(), router);
    assert_eq!(routes, [("fd00:1::/48", ROUTER), ("fd00::/8", OTHER), ("fd00::/8", ROUTER)].map(text));
    assert_eq!(
        state.rdnss.iter().map(|r| r.address).collect::<Vec<_>>(),
        [addr("2001:db8::53"), addr("fe80::1")]
    );
    assert_eq!(state.dnssl.iter().map(|d| d.name.as_str()).collect::<Vec<_>>(), ["isp.example", "home.arpa"]);
    assert_eq!(state.captive_portal.as_deref(), Some("https://portal.example/api"));
    assert_eq!(state.pref64.map(|p| p.until), Some(START + secs(600)));
    // Lifetime zero takes back at once, each its own.
    uplink.receive(&ra(&HEADER, |b| {
        b.route_information("fd00::/8".parse().unwrap(), Preference::Low, 0)
            .rdnss(0, &[addr("2001:db8::53")])
            .dnssl(0, &["home.arpa"])
            .pref64("2001:db8::/96".parse().unwrap(), 0);
    }));
    let state = uplink.host.state();
    assert_eq!(state.routes.len(), 2);
    assert_eq!(state.rdnss.len(), 1);
    assert_eq!(state.dnssl.len(), 1);
    assert!(state.pref64.is_some(), "another prefix's end is not this one's");
    for (at, routes, rdnss, dnssl, pref64) in [
        (101, 1, 1, 1, true),
        (201, 0, 1, 1, true),
        (301, 0, 0, 1, true),
        (401, 0, 0, 0, true),
        (601, 0, 0, 0, false),
    ] {
        uplink.run_until(START + secs(at));
        let state = uplink.host.state();
        assert_eq!(
            (state.routes.len(), state.rdnss.len(), state.dnssl.len(), state.pref64.is_some()),
            (routes, rdnss, dnssl, pref64),
            "after {at} s"
        );
    }
}

/// Two routers with a NAT64 each: hosts do not change with every advertisement.
#[test]
fn the_first_nat64_stays_while_its_router_does() {
    let mut uplink = Uplink::new(config(), 1);
    let told = |prefix: &str, lifetime| {
        ra(&HEADER, |b| {
            b.pref64(prefix.parse().unwrap(), lifetime);
        })
    };
    let known =
        |uplink: &Uplink| uplink.host.state().pref64.map(|told| (told.prefix.to_string(), told.router));
    uplink.receive(&told("64:ff9b::/96", 600));
    uplink.receive_from(OTHER, 255, &told("2001:db8:64::/96", 600));
    uplink.receive_from(OTHER, 255, &told("64:ff9b::/96", 0));
    assert_eq!(known(&uplink), Some(("64:ff9b::/96".to_owned(), ROUTER)));
    // Its own router changes it at once.
    uplink.receive(&told("2001:db8:46::/96", 600));
    assert_eq!(known(&uplink), Some(("2001:db8:46::/96".to_owned(), ROUTER)));
    // The router goes: the other one's is taken.
    uplink.receive(&ra(&RouterAdvertisementHeader { router_lifetime: 0, ..HEADER }, |_| {}));
    uplink.receive_from(OTHER, 255, &told("2001:db8:64::/96", 600));
    assert_eq!(known(&uplink), Some(("2001:db8:64::/96".to_owned(), OTHER)));
    uplink.receive_from(OTHER, 255, &told("2001:db8:64::/96", 0));
    assert_eq!(known(&uplink), None);
}

#[test]
fn a_flood_pushes_out_nothing_that_works() {
    let mut uplink = Uplink::new(config(), 1);
    uplink.receive(&ra(&HEADER, |b| {
        b.prefix_information(&pio("2001:db8:0:1::", 2700, 5400)).rdnss(3600, &[addr("2001:db8::53")]);
    }));
    for n in 0..5000u32 {
        uplink.now += Duration::from_millis(100);
        let source = Ipv6Addr::from(u128::from(ROUTER) + 100 + u128::from(n));
        let prefix = Ipv6Addr::from((0x2001_0db8_0000_0000 | u128::from(n) << 8) << 64).to_string();
        let bytes = ra(&HEADER, |b| {
            b.prefix_information(&pio(&prefix, INFINITY, INFINITY))
                .route_information(format!("{prefix}/56").parse().unwrap(), Preference::High, INFINITY)
                .rdnss(INFINITY, &[Ipv6Addr::from(u128::from(ROUTER) + u128::from(n))])
                .dnssl(INFINITY, &[format!("n{n}.example")]);
        });
        uplink.receive_from(source, 255, &bytes);
    }
    let state = uplink.host.state();
    assert_eq!((state.default_routers.len(), state.prefixes.len(), state.addresses.len()), (8, 16, 16));
    assert_eq!((state.routes.len(), state.rdnss.len(), state.dnssl.len()), (32, 8, 8));
    assert_eq!(uplink.routers()[0], ROUTER);
    assert_eq!(state.addresses[0].address, addr("2001:db8:0:1::9"));
    assert_eq!(state.rdnss[0].address, addr("2001:db8::53"));
    assert!(uplink.host.counters().refused > 10_000);
    // And faster than any router speaks: not even looked at.
    for n in 0..1000u16 {
        uplink.receive_from(Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 1, n), 255, &ra(&HEADER, |_| {}));
    }
    assert!(uplink.host.counters().flooded >= 960);
    // Which does not make the host deaf to the router that it uses.
    uplink.receive(&ra(&RouterAdvertisementHeader { router_lifetime: 9000, ..HEADER }, |_| {}));
    assert_eq!(uplink.host.state().default_routers[0].until, uplink.now + secs(9000));
    for _ in 0..1000 {
        uplink.receive(&ra(&HEADER, |_| {}));
    }
    assert!(uplink.host.counters().flooded >= 1920);
}

#[test]
fn hostile_portal_uris_are_not_taken() {
    for uri in ["", "https://a/\u{1b}[2J", "https://a/ b", "https://ä/"] {
        let mut uplink = Uplink::new(config(), 1);
        uplink.receive(&ra(&HEADER, |b| {
            b.captive_portal(uri);
        }));
        assert_eq!(uplink.host.state().captive_portal, None, "{uri:?}");
    }
}

#[test]
fn stopping_forgets_and_starting_again_keeps() {
    let mut uplink = Uplink::new(config(), 1);
    uplink.receive(&ra(&HEADER, |b| {
        b.prefix_information(&pio("2001:db8:0:1::", 2700, 5400));
    }));
    uplink.run_until(START + secs(100));
    let sent = uplink.sent.len();
    // The link came back: ask, but keep what is known.
    uplink.host.start(uplink.now);
    assert!(!uplink.host.state().heard_router);
    uplink.run_until(START + secs(102));
    assert_eq!(uplink.sent.len(), sent + 1);
    assert_eq!(uplink.host.state().addresses.len(), 1);
    let mut actions = Vec::new();
    uplink.host.stop(&mut actions);
    assert_eq!(actions, [Action::Changed]);
    assert!(uplink.host.state().addresses.is_empty());
    assert_eq!(uplink.host.poll_timeout(), None);
    uplink.receive(&ra(&HEADER, |_| {}));
    assert!(uplink.routers().is_empty(), "stopped means stopped");
}
