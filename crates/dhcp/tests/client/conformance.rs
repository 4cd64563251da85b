//! What RFC 9915 demands of a client and no other test shows: see docs/conformance.md.

use super::bench::*;
use sixgate_dhcp::client::{Client, Config, State};
use sixgate_wire::dhcpv6::{Builder, DhcpOption, MessageType, OptionCode, StatusCode};
use std::time::Duration;

/// Section 16.1.
#[test]
fn every_message_keeps_its_transaction() {
    let mut bench = Bench::new(gateway());
    bench.start();
    let first = bench.sent();
    for _ in 0..5 {
        let again = bench.sent();
        assert!(again.at > first.at);
        assert_eq!(again.message().transaction(), first.message().transaction());
    }
}

/// Sections 16.2 to 16.14: to the transaction that is under way, with both identifiers as they should be.
#[test]
fn a_client_takes_no_message_that_only_servers_take() {
    for kind in [
        MessageType::SOLICIT,
        MessageType::REQUEST,
        MessageType::CONFIRM,
        MessageType::RENEW,
        MessageType::REBIND,
        MessageType::DECLINE,
        MessageType::RELEASE,
        MessageType::INFORMATION_REQUEST,
    ] {
        let mut bench = Bench::new(gateway());
        bench.bind();
        let renew = bench.sent();
        bench.receive(&answer(&renew, kind, 1, |out| Offer::both(2).write(out)));
        assert_eq!(bench.client.state(), State::Renewing, "{kind:?}");
        assert!(bench.news().is_empty(), "{kind:?}");
    }
    for kind in [MessageType::RELAY_FORWARD, MessageType::RELAY_REPLY] {
        let mut bench = Bench::new(gateway());
        bench.bind();
        let renew = bench.sent();
        let inner = reply(&renew, 1, &Offer::both(2));
        let mut relayed = vec![kind.0, 0];
        relayed.extend([0; 32]);
        relayed.extend([0, 9]);
        relayed.extend((inner.len() as u16).to_be_bytes());
        relayed.extend(inner);
        bench.receive(&relayed);
        assert_eq!(bench.client.state(), State::Renewing, "{kind:?}");
        assert!(bench.news().is_empty(), "{kind:?}");
    }
}

/// Section 16.3.
#[test]
fn an_answer_that_does_not_say_whose_it_is_is_discarded() {
    let write = |sent: &Sent, client: bool, server: bool, transaction: bool| {
        let mut room = [0; 512];
        let mut id = sent.message().transaction();
        id.0[0] ^= u8::from(!transaction);
        let mut out = Builder::message(&mut room, MessageType::ADVERTISE, id);
        if client {
            out.client_id(&client_duid());
        }
        if server {
            out.server_id(&server_duid(1));
        }
        out.preference(255);
        Offer::both(1).write(&mut out);
        out.finish().unwrap().to_vec()
    };
    let mut bench = Bench::new(gateway());
    bench.start();
    let solicit = bench.sent();
    for (client, server, transaction) in [(false, true, true), (true, false, true), (true, true, false)] {
        bench.receive(&write(&solicit, client, server, transaction));
        assert_eq!(bench.client.state(), State::Soliciting);
        assert!(bench.nothing_sent());
    }
    let mut other = write(&solicit, true, true, true);
    other[17] ^= 1; // in the client's DUID
    bench.receive(&other);
    assert_eq!(bench.client.state(), State::Soliciting);
    bench.receive(&write(&solicit, true, true, true));
    assert_eq!(bench.client.state(), State::Requesting);
}

/// What an Option Request must not name (section 21.7).
const FORBIDDEN: [OptionCode; 18] = [
    OptionCode::CLIENT_ID,
    OptionCode::SERVER_ID,
    OptionCode::IA_NA,
    OptionCode(4),
    OptionCode::IA_PD,
    OptionCode::IA_ADDR,
    OptionCode::IA_PREFIX,
    OptionCode::ORO,
    OptionCode::ELAPSED_TIME,
    OptionCode::PREFERENCE,
    OptionCode(9),
    OptionCode::AUTH,
    OptionCode(12),
    OptionCode::STATUS_CODE,
    OptionCode::RAPID_COMMIT,
    OptionCode(15),
    OptionCode(16),
    OptionCode(18),
];

fn count(sent: &Sent, code: OptionCode) -> usize {
    sent.message().options().raw().filter(|(known, _)| *known == code).count()
}

/// Sections 18.2.1 to 18.2.8 and 21.7, for each message that a client sends.
#[test]
fn every_message_has_what_section_18_2_asks_for() {
    let mut sent = Vec::new();
    let mut bench = Bench::new(Config { reconfigure_accept: true, ..gateway() });
    bench.start();
    sent.push(bench.sent());
    bench.receive(&advertise(&sent[0], 1, 255, &Offer::both(1)));
    sent.push(bench.sent());
    bench.receive(&reply(&sent[1], 1, &Offer::both(1)));
    bench.changed();
    sent.push(bench.sent());
    while sent.last().is_some_and(|last| last.kind() != MessageType::REBIND) {
        sent.push(bench.sent());
    }
    // Addresses alone are confirmed after a restart; and given back.
    let mut addresses = Bench::new(Config { ia_pd: Vec::new(), ..gateway() });
    addresses.start();
    let solicit = addresses.sent();
    addresses.receive(&advertise(&solicit, 1, 255, &Offer::address(1)));
    let request = addresses.sent();
    addresses.receive(&reply(&request, 1, &Offer::address(1)));
    let saved = addresses.saved.clone();
    let mut restarted = Bench::restored(Config { ia_pd: Vec::new(), ..gateway() }, saved, addresses.now);
    restarted.start();
    sent.push(restarted.sent());
    addresses.done.clear();
    addresses.act(Client::release);
    sent.push(addresses.sent());
    let mut declining = Bench::new(gateway());
    declining.bind();
    declining.act(|client, now, actions| client.decline(now, &[address(1)], actions));
    sent.push(declining.sent());
    let mut stateless = Bench::new(Config::new(client_duid()));
    stateless.start();
    sent.push(stateless.sent());

    let mut kinds = Vec::new();
    for message in &sent {
        let kind = message.kind();
        kinds.push(kind);
        assert_eq!(count(message, OptionCode::CLIENT_ID), 1, "{kind:?}");
        assert_eq!(count(message, OptionCode::ELAPSED_TIME), 1, "{kind:?}");
        let to_one = [MessageType::REQUEST, MessageType::RENEW, MessageType::RELEASE, MessageType::DECLINE]
            .contains(&kind);
        assert_eq!(count(message, OptionCode::SERVER_ID), usize::from(to_one), "{kind:?}");
        let asks = ![MessageType::CONFIRM, MessageType::RELEASE, MessageType::DECLINE].contains(&kind);
        assert_eq!(count(message, OptionCode::ORO), usize::from(asks), "{kind:?}");
        let options = message.message().options();
        assert_eq!(options.requests(OptionCode::SOL_MAX_RT), asks, "{kind:?}");
        let informs = kind == MessageType::INFORMATION_REQUEST;
        assert_eq!(options.requests(OptionCode::INFORMATION_REFRESH_TIME), informs, "{kind:?}");
        assert_eq!(options.requests(OptionCode::INF_MAX_RT), informs, "{kind:?}");
        for code in FORBIDDEN {
            assert!(!options.requests(code), "{kind:?} asks for {code}");
        }
        if kind == MessageType::SOLICIT {
            let allowed = [
                OptionCode::CLIENT_ID,
                OptionCode::ELAPSED_TIME,
                OptionCode::ORO,
                OptionCode::IA_NA,
                OptionCode::IA_PD,
                OptionCode::RECONF_ACCEPT,
            ];
            assert!(options.raw().all(|(code, _)| allowed.contains(&code)), "{:?}", message.bytes);
        }
        if kind == MessageType::DECLINE {
            assert!(!options.iter().any(|option| matches!(option, DhcpOption::IaPd(_))));
        }
    }
    for kind in [
        MessageType::SOLICIT,
        MessageType::REQUEST,
        MessageType::RENEW,
        MessageType::REBIND,
        MessageType::CONFIRM,
        MessageType::RELEASE,
        MessageType::DECLINE,
        MessageType::INFORMATION_REQUEST,
    ] {
        assert!(kinds.contains(&kind), "{kind:?} was sent");
    }
}

/// Section 18.2.9.
#[test]
fn an_advertise_that_is_ignored_changes_no_timer() {
    let mut bench = Bench::new(gateway());
    bench.start();
    let solicit = bench.sent();
    let due = bench.client.poll_timeout();
    bench.now += Duration::from_millis(100);
    bench.receive(&answer(&solicit, MessageType::ADVERTISE, 1, |out| {
        out.status(StatusCode::NO_ADDRS_AVAIL, "");
    }));
    assert_eq!((bench.client.state(), bench.client.poll_timeout()), (State::Soliciting, due));
}

/// Section 18.2.10.
#[test]
fn sol_max_rt_holds_even_from_a_reply_that_fails() {
    let mut bench = Bench::new(gateway());
    bench.start();
    let solicit = bench.sent();
    bench.receive(&advertise(&solicit, 1, 255, &Offer::both(1)));
    let request = bench.sent();
    bench.receive(&answer(&request, MessageType::REPLY, 1, |out| {
        out.status(StatusCode::NO_ADDRS_AVAIL, "").number(OptionCode::SOL_MAX_RT, 60);
        Offer::none().write(out);
    }));
    // Back at soliciting, it never waits longer than the 60 s, give or take a tenth.
    let mut last: Option<Sent> = None;
    let mut waits = Vec::new();
    for _ in 0..25 {
        let next = bench.sent();
        if let Some(last) = last.filter(|last| last.message().transaction() == next.message().transaction()) {
            waits.push(next.at - last.at);
        }
        last = Some(next);
    }
    let longest = waits.iter().max().unwrap();
    assert!(*longest > seconds(50) && *longest <= seconds(66), "{waits:?}");
}

/// Sections 18.1 and 18.2.4.
#[test]
fn the_earliest_times_hold_for_all_associations() {
    let mut bench = Bench::new(gateway());
    bench.start();
    let solicit = bench.sent();
    bench.receive(&advertise(&solicit, 1, 255, &Offer::both(1)));
    let request = bench.sent();
    bench.receive(&answer(&request, MessageType::REPLY, 1, |out| {
        out.ia_na(NA, 900, 1_200, |out| {
            out.ia_address(address(1), 2_000, 4_000, |_| {});
        });
        out.ia_pd(PD, 300, 1_500, |out| {
            out.ia_prefix(prefix(1), 2_000, 4_000, |_| {});
        });
    }));
    let bound = bench.changed();
    assert_eq!((bound.t1 - bench.now, bound.t2 - bench.now), (seconds(300), seconds(1_200)));
    let renew = bench.sent();
    assert_eq!((renew.kind(), renew.at), (MessageType::RENEW, bound.t1));
    assert!(renew.ia_na().is_some() && renew.ia_pd().is_some(), "one message for both");
}

/// Sections 18.2.1, 18.2.3 and 18.2.6: a random time of up to a second, another for each client.
#[test]
fn the_first_message_is_delayed_where_a_crowd_may_ask() {
    let mut saved = Bench::new(Config { ia_pd: Vec::new(), ..gateway() });
    let held = saved.bind();
    let confirming = |seed| (Config { ia_pd: Vec::new(), ..gateway() }, Some(held.clone()), seed);
    let informing = |seed| (Config::new(client_duid()), None, seed);
    let soliciting = |seed| (gateway(), None, seed);
    for make in [&confirming as &dyn Fn(u64) -> _, &informing, &soliciting] {
        let mut delays = Vec::new();
        for seed in 0..50 {
            let (config, restored, seed): (Config, Option<_>, u64) = make(seed);
            let mut client = Client::new(config, restored, fastrand::Rng::with_seed(seed));
            client.start(saved.now, &mut Vec::new());
            delays.push(client.poll_timeout().unwrap() - saved.now);
        }
        delays.sort_unstable();
        delays.dedup();
        assert!(delays.len() > 40 && delays.iter().all(|delay| *delay <= seconds(1)), "{delays:?}");
        assert!(
            delays[0] < Duration::from_millis(200) && delays[delays.len() - 1] > Duration::from_millis(800)
        );
    }
}

/// Section 21.25.
#[test]
fn inf_max_rt_holds_within_its_range() {
    for (value, longest) in [(60, 66), (59, 3_960), (86_400, 95_040), (86_401, 3_960)] {
        let mut bench = Bench::new(Config::new(client_duid()));
        bench.start();
        let request = bench.sent();
        bench.receive(&answer(&request, MessageType::REPLY, 1, |out| {
            out.number(OptionCode::INF_MAX_RT, value).number(OptionCode::INFORMATION_REFRESH_TIME, 600);
        }));
        let mut last = bench.sent().at;
        let mut greatest = Duration::ZERO;
        for _ in 0..25 {
            let now = bench.sent().at;
            greatest = greatest.max(now - last);
            last = now;
        }
        assert!(
            greatest > seconds(longest * 80 / 100) && greatest <= seconds(longest),
            "{value}: {greatest:?}"
        );
    }
}

/// Section 18.2.12.
#[test]
fn where_nothing_is_held_but_information_a_new_link_is_asked_for_it() {
    let mut bench = Bench::new(Config::new(client_duid()));
    bench.start();
    let request = bench.sent();
    bench.receive(&answer(&request, MessageType::REPLY, 1, |_| {}));
    assert_eq!(bench.client.state(), State::Informed);
    bench.act(Client::link_down);
    bench.now += seconds(5);
    bench.act(Client::link_up);
    let again = bench.sent();
    assert_eq!(again.kind(), MessageType::INFORMATION_REQUEST);
    assert!(again.at - bench.now <= seconds(1));
}

/// Section 21.15.
#[test]
fn user_classes_are_sent_as_they_are_configured() {
    let classes = vec![b"gateway".to_vec(), vec![0, 255]];
    let mut bench = Bench::new(Config { user_classes: classes, ..gateway() });
    bench.start();
    let solicit = bench.sent();
    let octets = b"\0\x07gateway\0\x02\0\xff";
    assert_eq!(solicit.message().options().get(OptionCode::USER_CLASS), Some(&octets[..]));
    assert_eq!(count(&solicit, OptionCode::USER_CLASS), 1);
    bench.receive(&advertise(&solicit, 1, 255, &Offer::both(1)));
    assert_eq!(bench.sent().message().options().get(OptionCode::USER_CLASS), Some(&octets[..]));
    let mut plain = Bench::new(gateway());
    plain.start();
    assert_eq!(count(&plain.sent(), OptionCode::USER_CLASS), 0);
}

/// Section 18.2.10.5: what the last Reply says is all there is.
#[test]
fn a_resolver_that_the_reply_names_no_more_is_no_longer_used() {
    let mut bench = Bench::new(Config::new(client_duid()));
    bench.start();
    let names = |bench: &mut Bench, resolvers: &[std::net::Ipv6Addr], time: &[u8]| {
        let inform = bench.sent();
        assert_eq!(inform.kind(), MessageType::INFORMATION_REQUEST);
        bench.receive(&answer(&inform, MessageType::REPLY, 1, |out| {
            if !resolvers.is_empty() {
                out.addresses(OptionCode::DNS_SERVERS, resolvers);
            }
            if !time.is_empty() {
                out.option(OptionCode::NTP_SERVER, time);
            }
        }));
        bench.changed()
    };
    assert_eq!(names(&mut bench, &[address(1), address(2)], &[]).dns_servers, [address(1), address(2)]);
    assert_eq!(names(&mut bench, &[address(2)], &[]).dns_servers, [address(2)]);
    assert!(names(&mut bench, &[], &[]).dns_servers.is_empty());
    // Other options are kept in the same way, as a source of time.
    let config = Config { options: vec![OptionCode::NTP_SERVER], ..Config::new(client_duid()) };
    let mut bench = Bench::new(config);
    bench.start();
    let time = [&[0, 1, 0, 16][..], &address(3).octets()].concat();
    assert_eq!(names(&mut bench, &[], &time).options, [(OptionCode::NTP_SERVER.0, time)]);
    assert!(names(&mut bench, &[], &[]).options.is_empty());
}

/// Sections 18.2.1 and 15: what has a limit stops there, with nothing sent after it; a Solicit has none, and goes on.
#[test]
fn what_has_a_limit_stops_at_it() {
    let mut bench = Bench::new(gateway());
    bench.start();
    let solicit = bench.sent();
    bench.receive(&advertise(&solicit, 1, 255, &Offer::both(1)));
    let kinds: Vec<MessageType> = (0..11).map(|_| bench.sent().kind()).collect();
    assert!(kinds[..10].iter().all(|kind| *kind == MessageType::REQUEST), "REQ_MAX_RC: {kinds:?}");
    assert_eq!(kinds[10], MessageType::SOLICIT);
    let begun = bench.now;
    while bench.now < begun + seconds(30 * 86_400) {
        assert_eq!(bench.sent().kind(), MessageType::SOLICIT);
    }
    // A Release is given up after REL_MAX_RC, and nothing follows.
    let mut bench = Bench::new(gateway());
    bench.bind();
    bench.act(Client::release);
    for _ in 0..4 {
        assert_eq!(bench.sent().kind(), MessageType::RELEASE);
    }
    bench.run_for(seconds(100_000));
    assert!(bench.nothing_sent());
    assert_eq!(bench.client.state(), State::Idle);
}

/// An option that would route (draft-ietf-mif-dhcpv6-route-option: codes were never assigned; clients of some vendors sent
/// these): routes are told by router advertisements alone (RFC 4191), and whatever a server says of them by DHCPv6 changes
/// nothing, asked for or not.
#[test]
fn a_route_by_dhcpv6_is_ignored() {
    let route = |next_hop: u16, prefix: u16| {
        // NEXT_HOP with an RT_PREFIX in it: lifetime, length, preference, prefix.
        let mut inner = 9_999_u32.to_be_bytes().to_vec();
        inner.extend([64, 0]);
        inner.extend(address(9).octets());
        let mut option = address(0x53).octets().to_vec();
        option.extend(prefix.to_be_bytes());
        option.extend((inner.len() as u16).to_be_bytes());
        option.extend(inner);
        (OptionCode(next_hop), option)
    };
    // Of the draft's implementations, and of experiments.
    let routes = [route(242, 243), route(65_442, 65_443)];
    let config = |options: Vec<OptionCode>| Config { options, ..gateway() };
    let held = |options: Vec<OptionCode>, routes: &[(OptionCode, Vec<u8>)]| {
        let mut bench = Bench::new(config(options));
        bench.start();
        let solicit = bench.sent();
        bench.receive(&advertise(&solicit, 1, 255, &Offer::both(1)));
        let request = bench.sent();
        let oro = request.message().options().get(OptionCode::ORO).unwrap().to_vec();
        bench.receive(&answer(&request, MessageType::REPLY, 1, |out| {
            Offer::both(1).write(out);
            for (code, content) in routes {
                out.option(*code, content);
            }
        }));
        (oro, bench.changed())
    };
    let usual = vec![OptionCode::DNS_SERVERS, OptionCode::DOMAIN_LIST];
    let (oro, with) = held(usual.clone(), &routes);
    let (_, without) = held(usual, &[]);
    assert_eq!(with, without, "addresses, prefixes, resolvers and times are the same");
    for (code, _) in &routes {
        assert!(oro.chunks(2).all(|asked| asked != code.0.to_be_bytes()), "it is not asked for");
    }
}
