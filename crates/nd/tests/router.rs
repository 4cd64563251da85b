//! A router in simulated time.

// Clippy's exception for tests does not reach the functions beside them.
#![allow(clippy::unwrap_used, clippy::panic, clippy::unchecked_time_subtraction)]

use core::time::Duration;
use ipnet::Ipv6Net;
use sixgate_nd::router::{Action, AdvertisedPrefix, Config, ConfigError, Contradiction, Route, Router};
use sixgate_wire::ndp::{
    ALL_NODES, Builder, HOP_LIMIT, Message, NdOption, Preference, PrefixInformation,
    RouterAdvertisementHeader,
};
use std::net::Ipv6Addr;

const START: Duration = Duration::from_hours(500_000);
const HOST: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0x99);
const ROGUE: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0x66);

fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn net(text: &str) -> Ipv6Net {
    text.parse().unwrap()
}

fn prefix(text: &str, preferred: u64, valid: u64) -> AdvertisedPrefix {
    AdvertisedPrefix {
        prefix: net(text),
        on_link: true,
        autonomous: true,
        pd_preferred: false,
        valid_until: START + secs(valid),
        preferred_until: START + secs(preferred),
    }
}

fn solicitation(link_layer: bool) -> Vec<u8> {
    let mut buffer = [0; 32];
    let mut builder = Builder::router_solicitation(&mut buffer);
    if link_layer {
        builder.source_link_layer(&[2, 0, 0, 0, 0, 9]);
    }
    builder.finish().unwrap().to_vec()
}

/// A router, a clock, and all that was sent.
struct Lan {
    router: Router,
    now: Duration,
    sent: Vec<(Duration, Ipv6Addr, Vec<u8>)>,
    records: Vec<Vec<AdvertisedPrefix>>,
    noticed: usize,
}

impl Lan {
    fn new(config: Config) -> Self {
        let router = Router::new(config, fastrand::Rng::with_seed(7));
        Self { router, now: START, sent: Vec::new(), records: Vec::new(), noticed: 0 }
    }

    fn take(&mut self, actions: Vec<Action>) {
        for action in actions {
            match action {
                Action::Send { destination, bytes } => self.sent.push((self.now, destination, bytes)),
                Action::Record(record) => self.records.push(record),
                Action::Noticed(_) => self.noticed += 1,
            }
        }
    }

    /// Lets time pass, doing what falls due.
    fn run_until(&mut self, end: Duration) {
        while let Some(due) = self.router.poll_timeout().filter(|&due| due <= end) {
            assert!(due >= self.now || self.sent.is_empty(), "time does not run backwards");
            self.now = self.now.max(due);
            let mut actions = Vec::new();
            self.router.handle_timeout(self.now, &mut actions);
            self.take(actions);
        }
        self.now = end;
    }

    fn receive(&mut self, source: Ipv6Addr, hop_limit: u8, bytes: &[u8]) {
        let mut actions = Vec::new();
        self.router.handle(self.now, source, hop_limit, bytes, &mut actions);
        self.take(actions);
    }

    fn multicast_times(&self) -> Vec<Duration> {
        self.sent.iter().filter(|(_, to, _)| *to == ALL_NODES).map(|&(at, _, _)| at - START).collect()
    }

    fn last(&self) -> &[u8] {
        &self.sent.last().unwrap().2
    }
}

fn lifetime(bytes: &[u8]) -> u16 {
    let Ok(Message::RouterAdvertisement(ra)) = Message::parse(bytes) else { panic!() };
    ra.router_lifetime()
}

fn options(bytes: &[u8]) -> Vec<NdOption<'_>> {
    Message::parse(bytes).unwrap().options().iter().collect()
}

/// Preferred and valid lifetime told of a prefix.
fn told(bytes: &[u8], prefix: &str) -> Option<(u32, u32)> {
    options(bytes).into_iter().find_map(|option| match option {
        NdOption::PrefixInformation(p) if p.prefix() == net(prefix) => Some((p.preferred, p.valid)),
        _ => None,
    })
}

fn started(prefixes: Vec<AdvertisedPrefix>) -> Lan {
    let mut lan = Lan::new(Config::default());
    lan.router.set_prefixes(START, prefixes);
    lan.router.set_default_route(START, true);
    lan.router.start(START);
    lan
}

#[test]
fn initial_burst_then_the_configured_intervals() {
    let mut lan = started(vec![]);
    lan.run_until(START + secs(3600 * 24));
    let times = lan.multicast_times();
    assert_eq!(times[0], Duration::ZERO);
    for pair in times.windows(2).take(2) {
        assert_eq!(pair[1] - pair[0], secs(16), "the default intervals are all above the initial one");
    }
    for pair in times.windows(2).skip(2) {
        assert!((secs(200)..=secs(600)).contains(&(pair[1] - pair[0])), "{:?}", pair[1] - pair[0]);
    }
    // 24 h by 400 s on average.
    assert!((180..260).contains(&times.len()), "{}", times.len());
    assert!(times.windows(3).skip(3).any(|t| t[2] - t[1] != t[1] - t[0]), "intervals are random");
}

#[test]
fn three_years_of_advertisements_never_stop() {
    let mut lan = Lan::new(Config { router_lifetime: secs(9000), ..Config::default() });
    let for_ever = AdvertisedPrefix {
        valid_until: Duration::MAX,
        preferred_until: Duration::MAX,
        ..prefix("2001:db8::/64", 0, 0)
    };
    lan.router.set_prefixes(START, vec![for_ever]);
    lan.router.set_default_route(START, true);
    lan.router.start(START);
    let end = START + secs(3 * 366 * 86400);
    lan.run_until(end);
    let times = lan.multicast_times();
    assert!(times.windows(2).all(|pair| pair[1] - pair[0] <= secs(600)));
    assert!(end - START - *times.last().unwrap() <= secs(600));
    // 2^31 and 2^32 ms are 24.9 and 49.7 days: well inside, and nothing changed there.
    assert!(lan.sent.iter().all(|(_, _, bytes)| told(bytes, "2001:db8::/64") == Some((2700, 5400))));
}

#[test]
fn the_rate_limit_holds_under_a_flood_of_solicitations() {
    let mut lan = started(vec![]);
    lan.run_until(START + secs(100));
    lan.sent.clear();
    for step in 0..10_000u32 {
        let end = lan.now + Duration::from_millis(10);
        lan.run_until(end);
        let source = Ipv6Addr::from(u128::from(HOST) + u128::from(step));
        lan.receive(source, HOP_LIMIT, &solicitation(true));
        lan.receive(Ipv6Addr::UNSPECIFIED, HOP_LIMIT, &solicitation(false));
    }
    let times = lan.multicast_times();
    assert!(times.len() > 20, "somebody is answered: {}", times.len());
    assert!(times.windows(2).all(|pair| pair[1] - pair[0] >= secs(3)), "MIN_DELAY_BETWEEN_RAS");
    // 100 s at ten a second, and the burst.
    let unicast = lan.sent.iter().filter(|(_, to, _)| *to != ALL_NODES).count();
    assert!(unicast <= 64 + 1000, "{unicast}");
    assert!(lan.router.counters().unicast_refused > 0);
}

#[test]
fn a_host_with_an_address_is_answered_alone_within_half_a_second() {
    for seed in 0..50 {
        let mut lan = started(vec![]);
        lan.router = Router::new(Config::default(), fastrand::Rng::with_seed(seed));
        lan.router.start(START);
        lan.run_until(START + secs(100));
        lan.sent.clear();
        lan.receive(HOST, HOP_LIMIT, &solicitation(true));
        lan.receive(HOST, HOP_LIMIT, &solicitation(true));
        let asked = lan.now;
        lan.run_until(asked + secs(1));
        assert_eq!(lan.sent.len(), 1, "asked twice, answered once");
        assert_eq!(lan.sent[0].1, HOST);
        assert!(lan.sent[0].0 - asked <= Duration::from_millis(500));
    }
}

#[test]
fn a_host_without_an_address_is_answered_by_multicast() {
    let mut lan = started(vec![]);
    lan.run_until(START + secs(100));
    lan.sent.clear();
    lan.receive(Ipv6Addr::UNSPECIFIED, HOP_LIMIT, &solicitation(false));
    lan.run_until(START + secs(101));
    assert_eq!(lan.sent.len(), 1);
    assert_eq!(lan.sent[0].1, ALL_NODES);
    // And once more at once: the rate limit makes it wait.
    let first = lan.sent[0].0;
    lan.receive(Ipv6Addr::UNSPECIFIED, HOP_LIMIT, &solicitation(false));
    lan.run_until(START + secs(110));
    let wait = lan.sent[1].0 - first;
    assert!(wait >= secs(3) && wait <= Duration::from_millis(3500), "{wait:?}");
}

#[test]
fn an_off_link_source_draws_no_unicast_answer() {
    let mut lan = started(vec![prefix("2001:db8:0:1::/64", 1000, 2000)]);
    lan.run_until(START + secs(100));
    lan.sent.clear();
    lan.receive("2001:db8:0:1::7".parse().unwrap(), HOP_LIMIT, &solicitation(true));
    lan.receive("2001:db8:ffff::7".parse().unwrap(), HOP_LIMIT, &solicitation(true));
    lan.run_until(START + secs(102));
    let destinations: Vec<_> = lan.sent.iter().map(|(_, to, _)| *to).collect();
    assert!(destinations.contains(&ALL_NODES));
    assert!(!destinations.contains(&"2001:db8:ffff::7".parse().unwrap()));
}

#[test]
fn invalid_solicitations_are_discarded() {
    let mut lan = started(vec![]);
    lan.run_until(START + secs(100));
    lan.sent.clear();
    let mut zero_option = solicitation(true);
    zero_option[9] = 0;
    let mut coded = solicitation(true);
    coded[1] = 1;
    let table: &[(Ipv6Addr, u8, &[u8], &str)] = &[
        (HOST, 64, &solicitation(true), "hop limit"),
        (HOST, 254, &solicitation(true), "hop limit"),
        (Ipv6Addr::UNSPECIFIED, 255, &solicitation(true), "link-layer address of nobody"),
        (ALL_NODES, 255, &solicitation(true), "multicast source"),
        (HOST, 255, &zero_option, "option of length zero"),
        (HOST, 255, &coded, "code"),
        (HOST, 255, &solicitation(true)[..7], "cut short"),
    ];
    for (source, hop_limit, bytes, what) in table {
        let before = lan.router.counters().invalid;
        lan.receive(*source, *hop_limit, bytes);
        assert_eq!(lan.router.counters().invalid, before + 1, "{what}");
    }
    lan.run_until(START + secs(103));
    assert!(lan.sent.is_empty());
    assert_eq!(lan.router.counters().solicitations, 0);
}

#[test]
fn lifetimes_shrink_in_real_time_and_stay_within_the_limits() {
    // A delegation for 7200 and 10000 s that is never renewed.
    let mut lan = started(vec![prefix("2001:db8:0:1::/64", 7200, 10_000)]);
    lan.run_until(START + secs(9_990));
    for (at, _, bytes) in &lan.sent {
        let elapsed = (*at - START).as_secs_f64();
        let (preferred, valid) = told(bytes, "2001:db8:0:1::/64").unwrap();
        assert!(preferred <= 2700 && valid <= 5400 && preferred <= valid, "RFC 9096 section 3.4");
        assert!(f64::from(preferred) <= (7200.0 - elapsed).max(0.0), "never beyond the delegation");
        assert!(f64::from(valid) <= 10_000.0 - elapsed);
    }
    assert_eq!(told(&lan.sent[0].2, "2001:db8:0:1::/64"), Some((2700, 5400)));
    assert_eq!(told(lan.last(), "2001:db8:0:1::/64").unwrap().0, 0);
}

#[test]
fn another_prefix_takes_over_at_once_and_the_old_one_is_told_stale() {
    let mut lan = started(vec![prefix("2001:db8:0:1::/64", 100_000, 200_000)]);
    lan.run_until(START + secs(1000));
    lan.sent.clear();
    lan.router.set_prefixes(lan.now, vec![prefix("2001:db8:f:1::/64", 100_000, 200_000)]);
    let changed = lan.now;
    lan.run_until(changed + secs(36));
    assert_eq!(lan.sent.len(), 3, "a burst");
    assert!(lan.sent[0].0 - changed <= secs(3));
    for (_, _, bytes) in &lan.sent {
        assert_eq!(told(bytes, "2001:db8:0:1::/64"), Some((0, 0)), "RFC 9096 section 3.5");
        assert_eq!(told(bytes, "2001:db8:f:1::/64"), Some((2700, 5400)));
        let stale = options(bytes).into_iter().find_map(|option| match option {
            NdOption::PrefixInformation(p) if p.valid == 0 => Some((p.on_link, p.autonomous)),
            _ => None,
        });
        assert_eq!(stale, Some((true, true)), "flags unchanged");
    }
    // For as long as a host may hold it: 5400 s from when it was told last.
    lan.run_until(changed + secs(4700));
    assert_eq!(told(lan.last(), "2001:db8:0:1::/64"), Some((0, 0)));
    lan.run_until(changed + secs(6100));
    assert_eq!(told(lan.last(), "2001:db8:0:1::/64"), None);
    assert_eq!(lan.router.advertised().len(), 1);
}

#[test]
fn a_prefix_that_comes_back_lives_again() {
    let old = prefix("2001:db8:0:1::/64", 100_000, 200_000);
    let mut lan = started(vec![old]);
    lan.run_until(START + secs(100));
    lan.router.set_prefixes(lan.now, vec![]);
    lan.run_until(START + secs(200));
    assert_eq!(told(lan.last(), "2001:db8:0:1::/64"), Some((0, 0)));
    lan.router.set_prefixes(lan.now, vec![old]);
    lan.run_until(START + secs(204));
    assert_eq!(told(lan.last(), "2001:db8:0:1::/64"), Some((2700, 5400)));
    assert_eq!(lan.router.advertised(), [old]);
}

#[test]
fn another_host_part_is_not_another_prefix() {
    let mut lan = started(vec![prefix("2001:db8:0:1::1/64", 100_000, 200_000)]);
    lan.run_until(START + secs(100));
    lan.sent.clear();
    lan.router.set_prefixes(lan.now, vec![prefix("2001:db8:0:1:aaaa::2/64", 100_000, 200_000)]);
    lan.run_until(START + secs(103));
    assert!(lan.sent.is_empty(), "nothing to tell");
    assert_eq!(lan.router.advertised().len(), 1);
}

#[test]
fn flags_that_change_and_lifetimes_that_are_cut_are_told_at_once() {
    let old = prefix("2001:db8:0:1::/64", 100_000, 200_000);
    for (what, new, loud) in [
        ("the same", old, false),
        ("renewed", prefix("2001:db8:0:1::/64", 300_000, 400_000), false),
        ("P", AdvertisedPrefix { pd_preferred: true, ..old }, true),
        ("not autonomous", AdvertisedPrefix { autonomous: false, ..old }, true),
        ("deprecated", AdvertisedPrefix { preferred_until: START, ..old }, true),
        ("cut", prefix("2001:db8:0:1::/64", 1000, 200_000), true),
    ] {
        let mut lan = started(vec![old]);
        lan.run_until(START + secs(100));
        lan.sent.clear();
        lan.router.set_prefixes(lan.now, vec![new]);
        lan.run_until(START + secs(104));
        assert_eq!(!lan.sent.is_empty(), loud, "{what}");
    }
}

#[test]
fn a_short_delegation_is_told_anew_when_it_is_renewed() {
    // 60 s leases renewed at half time: far shorter than the interval between advertisements.
    let mut lan = started(vec![prefix("2001:db8:0:1::/64", 60, 120)]);
    let mut deprecated_at = START + secs(60);
    for renewal in 1..100u64 {
        let at = START + secs(30 * renewal);
        lan.sent.clear();
        lan.run_until(at);
        lan.router.set_prefixes(at, vec![prefix("2001:db8:0:1::/64", 30 * renewal + 60, 30 * renewal + 120)]);
        lan.run_until(at + secs(4));
        for (at, _, bytes) in &lan.sent {
            deprecated_at =
                deprecated_at.max(*at + secs(u64::from(told(bytes, "2001:db8:0:1::/64").unwrap().0)));
        }
        assert!(deprecated_at > lan.now + secs(30), "hosts keep a preferred address, renewal {renewal}");
    }
}

#[test]
fn a_restart_tells_stale_what_was_advertised_before_the_crash() {
    let mut lan =
        started(vec![prefix("2001:db8:0:1::/64", 100_000, 200_000), prefix("fd00:1::/64", 1000, 2000)]);
    lan.run_until(START + secs(10));
    assert_eq!(lan.records.len(), 1, "recorded once, before the first advertisement");
    let record = lan.records[0].clone();

    let mut lan = Lan::new(Config::default());
    lan.router.restore(START, record.clone());
    lan.router.start(START);
    lan.run_until(START + secs(40));
    assert!(
        lan.sent.iter().all(|(_, _, bytes)| told(bytes, "2001:db8:0:1::/64").is_none()),
        "not yet known which live"
    );
    assert_eq!(lan.router.advertised().len(), 2, "and not forgotten by another crash");
    lan.router.set_prefixes(lan.now, vec![prefix("2001:db8:f:1::/64", 100_000, 200_000), record[1]]);
    lan.run_until(START + secs(50));
    assert_eq!(told(lan.last(), "2001:db8:0:1::/64"), Some((0, 0)));
    assert!(told(lan.last(), "fd00:1::/64").unwrap().0 > 0, "this one lives on");
    assert_eq!(lan.records.last().unwrap().len(), 3);

    // A second crash: the stale one is remembered as stale, for no longer than before.
    let record = lan.records.last().unwrap().clone();
    let mut lan = Lan::new(Config::default());
    lan.router.restore(START + secs(6000), record);
    assert!(lan.router.advertised().iter().all(|p| p.prefix != net("2001:db8:0:1::/64")));
}

#[test]
fn a_prefix_from_before_a_crash_that_dies_before_it_is_told_again_is_told_dead() {
    let old = prefix("2001:db8:0:1::/64", 100_000, 200_000);
    let mut lan = Lan::new(Config::default());
    lan.router.restore(START, vec![old]);
    // The uplink still holds it at first; moments later the ISP says that it has another.
    lan.router.set_prefixes(START, vec![old]);
    lan.router.set_prefixes(START, vec![prefix("2001:db8:f:1::/64", 100_000, 200_000)]);
    lan.router.start(START);
    lan.run_until(START + secs(10));
    assert_eq!(told(lan.last(), "2001:db8:0:1::/64"), Some((0, 0)));
    // The same for one that came back for a moment.
    lan.router.set_prefixes(lan.now, vec![old]);
    lan.router.set_prefixes(lan.now, vec![]);
    lan.run_until(START + secs(20));
    assert_eq!(told(lan.last(), "2001:db8:0:1::/64"), Some((0, 0)));
}

#[test]
fn stale_prefixes_are_bounded() {
    let mut lan = started(vec![]);
    for step in 0..100u64 {
        let text = format!("2001:db8:{step:x}::/64");
        lan.router.set_prefixes(lan.now, vec![prefix(&text, 100_000, 200_000)]);
        let end = lan.now + secs(20);
        lan.run_until(end);
    }
    assert_eq!(lan.router.advertised().len(), 1 + 16);
    assert!(lan.router.counters().stale_evicted >= 80);
    assert!(lan.router.advertised().iter().any(|p| p.prefix == net("2001:db8:62::/64")), "the eldest went");
}

#[test]
fn no_default_router_without_a_way_out() {
    let mut lan = started(vec![]);
    lan.run_until(START + secs(100));
    assert!(lan.sent.iter().all(|(_, _, bytes)| lifetime(bytes) == 1800));
    lan.sent.clear();
    lan.router.set_default_route(lan.now, false);
    lan.run_until(START + secs(136));
    assert_eq!(lan.sent.len(), 3, "told at once, and again");
    assert!(lan.sent.iter().all(|(_, _, bytes)| lifetime(bytes) == 0));
    lan.router.set_default_route(lan.now, true);
    lan.run_until(START + secs(140));
    assert_eq!(lifetime(lan.last()), 1800);
}

#[test]
fn stopping_takes_everything_back() {
    let config = Config {
        rdnss: vec![HOST],
        dnssl: vec!["home.arpa".into()],
        pref64: Some(net("64:ff9b::/96")),
        routes: vec![Route { prefix: net("fd00::/8"), preference: Preference::High }],
        ..Config::default()
    };
    let mut lan = Lan::new(config);
    lan.router.set_prefixes(START, vec![prefix("2001:db8:0:1::/64", 100_000, 200_000)]);
    lan.router.set_default_route(START, true);
    lan.router.start(START);
    lan.run_until(START + secs(100));
    let mut actions = Vec::new();
    lan.router.stop(lan.now, &mut actions);
    lan.take(actions);
    let last = lan.last().to_vec();
    assert_eq!(lifetime(&last), 0);
    assert_eq!(told(&last, "2001:db8:0:1::/64"), Some((0, 5400)), "deprecated; what is open stays open");
    let mut withdrawn = 0;
    for option in options(&last) {
        match option {
            NdOption::Rdnss(o) => assert_eq!(o.lifetime, 0),
            NdOption::Dnssl(o) => assert_eq!(o.lifetime, 0),
            NdOption::Pref64(o) => assert_eq!(o.lifetime, 0),
            NdOption::RouteInformation(o) => assert_eq!(o.lifetime, 0),
            _ => continue,
        }
        withdrawn += 1;
    }
    assert_eq!(withdrawn, 4);
    assert_eq!(lan.router.poll_timeout(), None);
    let sent = lan.sent.len();
    lan.receive(HOST, HOP_LIMIT, &solicitation(true));
    lan.run_until(START + secs(10_000));
    assert_eq!(lan.sent.len(), sent, "silent");
}

#[test]
fn what_the_configuration_drops_is_withdrawn() {
    let old = Config {
        rdnss: vec![HOST, ROGUE],
        dnssl: vec!["old.example".into(), "home.arpa".into()],
        pref64: Some(net("64:ff9b::/96")),
        routes: vec![Route { prefix: net("fd00::/8"), preference: Preference::High }],
        ..Config::default()
    };
    let mut lan = Lan::new(old);
    lan.router.start(START);
    lan.run_until(START + secs(100));
    let new = Config { rdnss: vec![HOST], dnssl: vec!["home.arpa".into()], ..Config::default() };
    lan.router.set_config(lan.now, new);
    lan.run_until(START + secs(103));
    let last = lan.last().to_vec();
    let mut found = Vec::new();
    for option in options(&last) {
        match option {
            NdOption::Rdnss(o) => found.extend(o.addresses.iter().map(|a| (a.to_string(), o.lifetime))),
            NdOption::Dnssl(o) => found.extend(o.names.iter().map(|n| (n, o.lifetime))),
            NdOption::Pref64(o) => found.push((o.prefix.to_string(), o.lifetime.into())),
            NdOption::RouteInformation(o) => found.push((o.prefix.to_string(), o.lifetime)),
            _ => {}
        }
    }
    let text = |(name, lifetime): (&str, u32)| (name.to_string(), lifetime);
    let want = [
        ("fd00::/8", 0),
        ("fe80::99", 1800),
        ("fe80::66", 0),
        ("home.arpa", 1800),
        ("old.example", 0),
        ("64:ff9b::/96", 0),
    ];
    assert_eq!(found, want.map(text));
    lan.run_until(START + secs(3600));
    assert_eq!(options(lan.last()).len(), 2, "and then forgotten");
}

#[test]
fn options_that_do_not_fit_go_into_further_messages() {
    let mut lan = started((0..60).map(|n| prefix(&format!("2001:db8:{n:x}::/64"), 9999, 9999)).collect());
    lan.run_until(START);
    assert_eq!(lan.sent.len(), 2);
    let count: usize = lan.sent.iter().map(|(_, _, bytes)| options(bytes).len()).sum();
    assert_eq!(count, 60);
    assert!(lan.sent.iter().all(|(_, _, bytes)| bytes.len() <= 1240 && lifetime(bytes) == 1800));
}

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

#[test]
fn configurations_are_checked() {
    let good = Config::default();
    assert_eq!(good.check(), Ok(()));
    let table = [
        (Config { max_interval: secs(3), ..good.clone() }, ConfigError::MaxInterval(secs(3))),
        (Config { min_interval: secs(2), ..good.clone() }, ConfigError::MinInterval(secs(2), secs(600))),
        (Config { min_interval: secs(451), ..good.clone() }, ConfigError::MinInterval(secs(451), secs(600))),
        (
            Config { router_lifetime: secs(9001), ..good.clone() },
            ConfigError::RouterLifetime(secs(9001), secs(600)),
        ),
        (
            Config { option_lifetime: secs(599), ..good.clone() },
            ConfigError::OptionLifetime(secs(599), secs(600)),
        ),
        (Config { mtu: Some(1279), ..good.clone() }, ConfigError::Mtu(1279)),
        (
            Config { pref64: Some(net("64:ff9b::/95")), ..good.clone() },
            ConfigError::Pref64(net("64:ff9b::/95")),
        ),
        (Config { valid_limit: secs(1), ..good.clone() }, ConfigError::Limits(secs(2700), secs(1))),
    ];
    for (config, error) in table {
        assert_eq!(config.check(), Err(error));
    }
}

#[test]
fn out_of_range_intervals_do_not_break_the_rate_limit() {
    let config = Config { min_interval: Duration::ZERO, max_interval: Duration::ZERO, ..Config::default() };
    let mut lan = Lan::new(config);
    lan.router.start(START);
    lan.run_until(START + secs(100));
    assert!(lan.multicast_times().windows(2).all(|pair| pair[1] - pair[0] >= secs(3)));
}

#[test]
fn the_end_of_time_is_survived() {
    let mut lan = started(vec![prefix("2001:db8::/64", 100, 100)]);
    lan.now = Duration::MAX;
    let mut actions = Vec::new();
    lan.router.handle_timeout(Duration::MAX, &mut actions);
    lan.router.handle(Duration::MAX, HOST, 255, &solicitation(true), &mut actions);
    lan.router.set_prefixes(Duration::MAX, vec![]);
    lan.router.stop(Duration::MAX, &mut actions);
    assert!(actions.iter().any(|action| matches!(action, Action::Send { .. })));
}
