//! UDP and ICMP: mapping, filtering, lifetimes, limits.

use super::common::{Ip4, Ip6, NOW, UDP, echo, ip4, ip6, judge, payload, tcp, udp};
use super::{HOST, Lab, NEIGHBOUR, OTHER, POOL, SERVER, SERVER6, STRANGER, prefix, sessions};
use sixgate_xlat::{Discard, Filtering, Protocol, SessionConfig, SessionConfigError, Verdict};
use std::time::Duration;

#[test]
fn there_and_back() {
    let mut lab = Lab::plain();
    let port = lab.udp_out(HOST, 5000, SERVER6, 53);
    let back = lab.udp_in(SERVER, 53, port);
    assert_eq!(back.verdict, Verdict::Translated);
    judge(&back.sent[0]);
    let back = Ip6::parse(&back.sent[0]);
    assert_eq!((back.source.to_string(), back.destination.to_string()), (SERVER6.into(), HOST.into()));
    assert_eq!(back.body[..4], [0, 53, 0x13, 0x88]);
    assert_eq!(back.body[8..], payload(10));
    let view = lab.nat.sessions().next().unwrap();
    assert_eq!((view.protocol, view.inside.1, view.tcp), (Protocol::Udp, 5000, None));
    assert_eq!(
        (view.outside.to_string(), view.remote.to_string()),
        (format!("{POOL}:{port}"), format!("{SERVER}:53"))
    );
    let usage = lab.nat.usage();
    assert_eq!((usage.sessions, usage.bindings, usage.subscribers, usage.blocks), (1, 1, 1, 1));
}

/// RFC 4787 REQ-1: one source, one port, whatever the destination.
#[test]
fn mapping_does_not_depend_on_the_destination() {
    let mut lab = Lab::plain();
    let port = lab.udp_out(HOST, 5000, SERVER6, 53);
    for number in 0..200u16 {
        let to = format!("2001:db8:64::c633:{:x}", 0x6500 + number);
        assert_eq!(lab.udp_out(HOST, 5000, &to, 1000 + number), port);
    }
    assert_ne!(lab.udp_out(HOST, 5001, SERVER6, 53), port);
    assert_ne!(lab.udp_out(NEIGHBOUR, 5000, SERVER6, 53), port);
    assert_ne!(lab.udp_out(OTHER, 5000, SERVER6, 53), port);
    assert_eq!((lab.nat.usage().sessions, lab.nat.usage().bindings), (204, 4));
}

#[test]
fn filtering() {
    let mut lab = Lab::plain();
    let port = lab.udp_out(HOST, 5000, SERVER6, 53);
    assert_eq!(lab.udp_in(STRANGER, 1, port).verdict, Verdict::Translated);
    assert_eq!(lab.udp_in(STRANGER, 1, port ^ 2).verdict, Verdict::Discarded(Discard::NoBinding));

    let mut config = sessions();
    config.filtering = Filtering::AddressDependent;
    let mut lab = Lab::new(config);
    let port = lab.udp_out(HOST, 5000, SERVER6, 53);
    assert_eq!(lab.udp_in(STRANGER, 53, port).verdict, Verdict::Discarded(Discard::Filtered));
    assert_eq!(lab.nat.usage().sessions, 1);
    // Another port of the same address may (RFC 6146 section 3.5.1.2).
    assert_eq!(lab.udp_in(SERVER, 54, port).verdict, Verdict::Translated);
    // Until the last session with it is over.
    lab.wait(Duration::from_secs(200));
    lab.udp_out(HOST, 5000, "2001:db8:64::c633:6409", 53);
    lab.wait(Duration::from_mins(2));
    assert_eq!(lab.udp_in(SERVER, 53, port).verdict, Verdict::Discarded(Discard::Filtered));
}

#[test]
fn lifetimes() {
    // A sixteenth more, and the second that has begun: see `Timeouts`.
    for (kind, lifetime, more) in [(UDP, 300, 18), (58, 60, 3)] {
        let mut lab = Lab::plain();
        let body = if kind == UDP { udp(5000, 53, 10) } else { echo(128, 5000, 10) };
        let packet = ip6(HOST, SERVER6, kind, body).sealed().octets();
        lab.through(&packet);
        assert_eq!(lab.nat.poll_timeout(), Some(NOW + Duration::from_secs(lifetime + more + 1)));
        lab.wait(Duration::from_secs(lifetime));
        assert_eq!(lab.nat.usage().sessions, 1, "at least its lifetime");
        lab.through(&packet);
        // A packet that comes soon after another does not count before the sixteenth has passed, and it need
        // not.
        lab.wait(Duration::from_secs(more - 1));
        lab.through(&packet);
        lab.wait(Duration::from_millis(lifetime * 1000 + 1999));
        assert_eq!(lab.nat.usage().sessions, 1);
        lab.wait(Duration::from_millis(1));
        assert_eq!(lab.nat.usage(), sixgate_xlat::Usage::default());
        assert_eq!((lab.nat.session_counters().expired, lab.nat.poll_timeout()), (1, None));
    }
    // Packets from outside keep it alive, too.
    let mut lab = Lab::plain();
    let port = lab.udp_out(HOST, 5000, SERVER6, 53);
    for _ in 0..5 {
        lab.wait(Duration::from_secs(250));
        assert_eq!(lab.udp_in(SERVER, 53, port).verdict, Verdict::Translated);
    }
    // The caller that calls no timeouts sees the same.
    lab.now += Duration::from_secs(320);
    assert_eq!(lab.udp_in(SERVER, 53, port).verdict, Verdict::Discarded(Discard::NoBinding));
    // Years later, and for ever.
    lab.udp_out(HOST, 5000, SERVER6, 53);
    lab.wait(Duration::from_hours(200 * 365 * 24));
    assert_eq!(lab.nat.usage().sessions, 0);
    lab.now = Duration::MAX;
    lab.udp_out(HOST, 5000, SERVER6, 53);
    lab.wait(Duration::ZERO);
}

#[test]
fn echoes() {
    let mut lab = Lab::plain();
    let out = Ip4::parse(&lab.through(&ip6(HOST, SERVER6, 58, echo(128, 77, 20)).sealed().octets()));
    let identifier = u16::from_be_bytes([out.body[4], out.body[5]]);
    let back = ip4(SERVER, POOL, 1, echo(0, identifier, 20)).sealed().octets();
    let back = Ip6::parse(&lab.through(&back));
    assert_eq!((back.body[0], u16::from_be_bytes([back.body[4], back.body[5]])), (129, 77));
    // Nobody inside has asked.
    let stray = ip4(STRANGER, POOL, 1, echo(0, identifier, 20)).sealed().octets();
    assert_eq!(lab.refused(&stray), Discard::NoSession);
    let stray = ip6(NEIGHBOUR, SERVER6, 58, echo(129, 5, 20)).sealed().octets();
    assert_eq!(lab.refused(&stray), Discard::NoSession);
    // A request from outside is answered.
    let request = ip4(STRANGER, POOL, 1, echo(8, identifier, 20)).sealed().octets();
    let got = Ip6::parse(&lab.through(&request));
    let answer = ip6(HOST, &got.source.to_string(), 58, echo(129, 77, 20)).sealed().octets();
    let answer = Ip4::parse(&lab.through(&answer));
    assert_eq!((answer.destination.to_string(), answer.body[0]), (STRANGER.into(), 0));
    assert_eq!(lab.nat.usage().sessions, 2);
}

#[test]
fn what_is_not_for_us_and_has_no_sessions() {
    let mut lab = Lab::plain();
    let elsewhere = ip6(HOST, "2001:db8:65::1", UDP, udp(1, 2, 3)).sealed().octets();
    assert_eq!(lab.refused(&elsewhere), Discard::Destination);
    let elsewhere = ip4(SERVER, "203.0.113.2", UDP, udp(1, 2, 3)).sealed().octets();
    assert_eq!(lab.refused(&elsewhere), Discard::Destination);
    let looped = ip6(SERVER6, SERVER6, UDP, udp(1, 2, 3)).sealed().octets();
    assert_eq!(lab.refused(&looped), Discard::Martian);
    for never in ["127.0.0.1", "224.0.0.1", "255.255.255.255", "0.0.0.0"] {
        let to = prefix().synthesise(never.parse().unwrap()).to_string();
        assert_eq!(lab.refused(&ip6(HOST, &to, UDP, udp(1, 2, 3)).sealed().octets()), Discard::Martian);
    }
    let outcome = lab.run(&ip6(HOST, SERVER6, 132, payload(40)).octets());
    assert_eq!(outcome.verdict, Verdict::Discarded(Discard::Protocol));
    assert_eq!(Ip6::parse(&outcome.sent[0]).body[..2], [1, 4]);
    let outcome = lab.run(&ip4(SERVER, POOL, 132, payload(40)).octets());
    assert_eq!(Ip4::parse(&outcome.sent[0]).body[..2], [3, 2]);
    assert_eq!(lab.nat.usage(), sixgate_xlat::Usage::default());
}

#[test]
fn a_refused_packet_changes_nothing() {
    let mut lab = Lab::plain();
    let long = ip6(HOST, SERVER6, UDP, udp(1, 2, 1500)).sealed();
    let short = Ip6 { hops: 1, ..ip6(HOST, SERVER6, UDP, udp(1, 2, 3)).sealed() };
    let cut = ip6(HOST, SERVER6, 6, tcp(1, 2, 2, 0)[..12].to_vec());
    for packet in [long, short, cut] {
        let outcome = lab.run(&packet.octets());
        assert!(matches!(outcome.verdict, Verdict::Discarded(_)));
        assert_eq!((lab.nat.usage(), outcome.log.len()), (sixgate_xlat::Usage::default(), 0));
    }
}

#[test]
fn a_subscriber_has_so_many_sessions() {
    let mut lab = Lab::new(SessionConfig { sessions_per_subscriber: 10, ..sessions() });
    let port = lab.udp_out(HOST, 1, SERVER6, 1);
    // Strangers get half of them.
    let through = (1..100).filter(|&from| lab.udp_in(STRANGER, from, port).verdict == Verdict::Translated);
    assert_eq!(through.count(), 4);
    for to in 2..=6 {
        lab.udp_out(NEIGHBOUR, 1, SERVER6, to);
    }
    let outcome = lab.run(&ip6(HOST, SERVER6, UDP, udp(9, 9, 9)).sealed().octets());
    assert_eq!(outcome.verdict, Verdict::Discarded(Discard::SubscriberSessions));
    assert_eq!(Ip6::parse(&outcome.sent[0]).body[..2], [1, 3], "address unreachable");
    assert_eq!(lab.nat.usage().bindings, 2, "no port for what was refused");
    // What there is goes on; others are not concerned.
    lab.udp_out(HOST, 1, SERVER6, 1);
    lab.udp_out(OTHER, 1, SERVER6, 1);
}

#[test]
fn a_full_table_makes_room_for_who_has_less_than_its_share() {
    let mut lab = Lab::new(SessionConfig { sessions: 20, ..sessions() });
    for to in 0..19 {
        lab.udp_out(HOST, 1, SERVER6, to);
    }
    lab.now += Duration::from_secs(1);
    let echo = ip6(HOST, SERVER6, 58, echo(128, 1, 0)).sealed().octets();
    lab.through(&echo);
    // Who fills it, gets no more.
    let packet = ip6(HOST, SERVER6, UDP, udp(2, 2, 2)).sealed().octets();
    assert_eq!(lab.refused(&packet), Discard::Sessions);
    // Another does: first at the cost of echoes, then of UDP, the longest idle first.
    lab.udp_out(OTHER, 1, SERVER6, 1);
    assert!(lab.nat.sessions().all(|session| session.protocol == Protocol::Udp));
    lab.udp_out(OTHER, 1, SERVER6, 2);
    assert!(lab.nat.sessions().all(|session| session.remote.port() != 0));
    assert_eq!((lab.nat.usage().sessions, lab.nat.session_counters().evicted), (20, 2));
    // Up to half of it, there being two.
    for to in 3..=10 {
        lab.udp_out(OTHER, 1, SERVER6, to);
    }
    let packet = ip6(OTHER, SERVER6, UDP, udp(1, 11, 2)).sealed().octets();
    assert_eq!(lab.refused(&packet), Discard::Sessions);
    // A stranger takes from nobody.
    let port = lab.nat.sessions().next().unwrap().outside.port();
    assert_eq!(lab.udp_in(STRANGER, 1, port).verdict, Verdict::Discarded(Discard::Sessions));
}

#[test]
fn strangers_leave_a_quarter_of_the_table() {
    let mut lab = Lab::new(SessionConfig { sessions: 100, ..sessions() });
    let port = lab.udp_out(HOST, 1, SERVER6, 1);
    let through = (1..200).filter(|&from| lab.udp_in(STRANGER, from, port).verdict == Verdict::Translated);
    assert_eq!(through.count(), 74);
    for to in 2..=26 {
        lab.udp_out(HOST, 1, SERVER6, to);
    }
    assert_eq!((lab.nat.usage().sessions, lab.nat.session_counters().evicted), (100, 0));
}

#[test]
fn what_cannot_be_is_said() {
    let check = |change: fn(&mut SessionConfig)| {
        let mut config = sessions();
        change(&mut config);
        sixgate_xlat::Nat64::new(super::config(), config, fastrand::Rng::with_seed(1)).unwrap_err()
    };
    assert_eq!(check(|config| config.pool.clear()), SessionConfigError::Pool(0));
    assert_eq!(
        check(|config| config.pool.push(config.pool[0])),
        SessionConfigError::Twice(POOL.parse().unwrap())
    );
    assert_eq!(check(|config| config.block = 100), SessionConfigError::Block(100));
    assert_eq!(check(|config| config.ports = 2000..=2100), SessionConfigError::Ports(2000, 2100, 256));
    assert_eq!(check(|config| config.subscriber_length = 0), SessionConfigError::Subscriber(0));
    let many = SessionConfigError::Sessions(1 << 25);
    assert_eq!(check(|config| config.sessions = 1 << 25), many);
    assert_eq!(many.to_string(), "a table holds at most 16,777,216 sessions, not 33554432");
}
