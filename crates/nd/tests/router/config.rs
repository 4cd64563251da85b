//! The configuration, and how it is taken back.

use super::{HOST, Lan, ROGUE, START, lifetime, net, options, prefix, secs, solicitation, started, told};
use sixgate_nd::router::{Config, ConfigError, Route};
use sixgate_wire::ndp::{HOP_LIMIT, NdOption, Preference};

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
