//! From nothing to leases: Solicit, Request, and what is taken.

use super::bench::{
    Bench, NA, Offer, PD, START, address, advertise, answer, client_duid, codes, gateway, prefix, reply,
    seconds, server_duid,
};
use sixgate_dhcp::client::{Config, Require, State};
use sixgate_wire::dhcpv6::{INFINITY, MessageType, OptionCode, StatusCode};
use std::time::Duration;

#[test]
fn solicit_is_delayed_and_carries_what_is_asked_for() {
    let config = Config {
        rapid_commit: true,
        reconfigure_accept: true,
        hostname: Some("gateway".into()),
        options: vec![OptionCode::DNS_SERVERS, OptionCode::SOL_MAX_RT, OptionCode::DNS_SERVERS],
        ..gateway()
    };
    let mut bench = Bench::new(config);
    assert_eq!(bench.client.poll_timeout(), None);
    bench.start();
    assert!(bench.nothing_sent());
    let solicit = bench.sent();
    assert!(solicit.at > START && solicit.at <= START + seconds(1));
    assert_eq!(solicit.kind(), MessageType::SOLICIT);
    assert_eq!(solicit.elapsed(), 0);
    assert_eq!(solicit.server(), None);
    assert_eq!(solicit.ia_na(), Some((NA, vec![])));
    assert_eq!(solicit.ia_pd(), Some((PD, vec!["::/56".into()])));
    let options = solicit.message().options();
    assert_eq!(options.get(OptionCode::CLIENT_ID), Some(client_duid().as_bytes()));
    assert_eq!(options.get(OptionCode::ORO), Some(&[0, 23, 0, 82, 0, 39][..]), "each once");
    assert_eq!(options.get(OptionCode::CLIENT_FQDN), Some(&b"\x01\x07gateway"[..]));
    assert!(
        codes(&solicit).contains(&OptionCode::RAPID_COMMIT)
            && codes(&solicit).contains(&OptionCode::RECONF_ACCEPT)
    );

    let again = bench.sent();
    assert_eq!(again.message().transaction(), solicit.message().transaction());
    assert!(again.at - solicit.at > seconds(1));
    assert!((101..=110).contains(&again.elapsed()), "{}", again.elapsed());
}

#[test]
fn four_messages_bind_and_times_are_absolute() {
    let (mut bench, solicit) = Bench::soliciting(gateway());
    bench.receive(&advertise(&solicit, 1, 0, &Offer::both(1)));
    assert!(bench.nothing_sent(), "others may be better");
    let request = bench.sent();
    assert!(request.at - solicit.at > seconds(1) && request.at - solicit.at < Duration::from_millis(1101));
    assert_eq!(request.kind(), MessageType::REQUEST);
    assert_eq!(request.server(), Some(server_duid(1)));
    assert_eq!(request.elapsed(), 0);
    assert_ne!(request.message().transaction(), solicit.message().transaction());
    assert_eq!(request.ia_na(), Some((NA, vec![address(1)])));
    // The hint has had its effect: what was offered is asked for.
    assert_eq!(request.ia_pd().unwrap().1, [prefix(1).to_string(), "::/56".into()][..1]);
    bench.receive(&reply(&request, 1, &Offer::both(1)));
    let bound = bench.changed();
    assert_eq!(bench.client.state(), State::Bound);
    assert_eq!(bound.addresses[0].address, address(1));
    assert_eq!(bound.addresses[0].preferred_until, bench.now + seconds(2000));
    assert_eq!(bound.prefixes[0].valid_until, bench.now + seconds(4000));
    assert_eq!(bound.t1, bench.now + seconds(1000));
    assert_eq!(bound.t2, bench.now + seconds(1600));
    assert_eq!(bound.dns_servers, [address(0x53)]);
    assert_eq!(bench.client.poll_timeout(), Some(bound.t1));
    // The same Reply again answers nothing.
    bench.receive(&reply(&request, 1, &Offer::both(2)));
    assert!(bench.news().is_empty());
    assert_eq!(bench.client.counters().unsolicited, 1);
}

#[test]
fn the_best_advertise_wins() {
    // (server, preference, offer): the last server named must be asked.
    let cases: &[(&[(u8, u8, Offer)], u8)] = &[
        (&[(1, 0, Offer::both(1)), (2, 10, Offer::both(2))], 2),
        (&[(1, 10, Offer::both(1)), (2, 0, Offer::both(2))], 1),
        (&[(1, 5, Offer::both(1)), (2, 5, Offer::both(2))], 1),
        (&[(1, 0, Offer::address(1)), (2, 0, Offer::both(2)), (3, 0, Offer::prefix(3))], 2),
        (&[(1, 9, Offer::none()), (2, 0, Offer::prefix(2))], 2),
        (&[(1, 0, Offer::both(1)), (2, 255, Offer::address(2))], 2),
    ];
    for (offers, expected) in cases {
        let (mut bench, solicit) = Bench::soliciting(gateway());
        for (server, preference, offer) in *offers {
            bench.receive(&advertise(&solicit, *server, *preference, offer));
        }
        let request = bench.sent();
        assert_eq!(request.kind(), MessageType::REQUEST);
        assert_eq!(request.server(), Some(server_duid(*expected)), "{offers:?}");
    }
}

#[test]
fn preference_255_and_late_advertises_are_taken_at_once() {
    let (mut bench, solicit) = Bench::soliciting(gateway());
    bench.receive(&advertise(&solicit, 1, 255, &Offer::both(1)));
    assert_eq!(bench.sent().at, solicit.at);

    let mut bench = Bench::new(gateway());
    bench.start();
    bench.sent();
    let second = bench.sent();
    bench.receive(&advertise(&second, 1, 0, &Offer::prefix(1)));
    let request = bench.sent();
    assert_eq!((request.at, request.kind()), (second.at, MessageType::REQUEST));
}

#[test]
fn one_of_two_is_taken_and_the_other_asked_for_in_renew() {
    let (mut bench, solicit) = Bench::soliciting(gateway());
    bench.receive(&advertise(&solicit, 1, 0, &Offer::prefix(1)));
    let request = bench.sent();
    assert_eq!(request.ia_na(), Some((NA, vec![])), "still asked for");
    bench.receive(&reply(&request, 1, &Offer::prefix(1)));
    let bound = bench.changed();
    assert!(bound.addresses.is_empty() && bound.prefixes.len() == 1);
    let renew = bench.sent();
    assert_eq!(renew.at, bound.t1);
    assert_eq!(renew.kind(), MessageType::RENEW);
    assert_eq!(renew.server(), Some(server_duid(1)));
    assert_eq!(renew.ia_na(), Some((NA, vec![])));
    assert_eq!(renew.ia_pd(), Some((PD, vec![prefix(1).to_string()])));
    // A server that knows no addresses leaves IA_NA out: the prefix is renewed all the same.
    let without = answer(&renew, MessageType::REPLY, 1, |out| {
        out.ia_pd(PD, 1000, 1600, |out| {
            out.ia_prefix(prefix(1), 2000, 4000, |_| {});
        });
    });
    bench.receive(&without);
    assert_eq!(bench.client.state(), State::Bound);
    assert_eq!(bench.changed().t1, bench.now + seconds(1000));
    let renew = bench.sent();
    bench.receive(&reply(&renew, 1, &Offer::both(1)));
    assert_eq!(bench.changed().addresses.len(), 1);
}

#[test]
fn with_both_required_half_an_offer_is_no_offer() {
    let mut bench = Bench::new(Config { require: Require::Both, ..gateway() });
    bench.start();
    for _ in 0..5 {
        let solicit = bench.sent();
        bench.receive(&advertise(&solicit, 1, 255, &Offer::prefix(1)));
    }
    assert_eq!(bench.client.state(), State::Soliciting);
    assert_eq!(bench.client.counters().unusable, 5);
    let solicit = bench.sent();
    bench.receive(&advertise(&solicit, 2, 0, &Offer::both(1)));
    assert_eq!(bench.sent().server(), Some(server_duid(2)));
}

#[test]
fn sol_max_rt_holds_even_from_an_advertise_without_leases() {
    for (value, longest) in [(60, 66), (59, 3960), (86_400, 95_040), (86_401, 3960)] {
        let (mut bench, solicit) = Bench::soliciting(gateway());
        bench.receive(&answer(&solicit, MessageType::ADVERTISE, 1, |out| {
            out.status(StatusCode::NO_ADDRS_AVAIL, "").number(OptionCode::SOL_MAX_RT, value);
        }));
        let mut last = solicit.at;
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

#[test]
fn rapid_commit_needs_two_messages_and_its_option_on_both_sides() {
    let (mut bench, solicit) = Bench::soliciting(Config { rapid_commit: true, ..gateway() });
    bench.receive(&reply(&solicit, 1, &Offer::both(1)));
    assert_eq!(bench.client.state(), State::Soliciting, "a Reply without the option");
    bench.receive(&answer(&solicit, MessageType::REPLY, 1, |out| {
        out.rapid_commit();
        Offer::both(1).write(out);
    }));
    assert_eq!(bench.client.state(), State::Bound);
    assert_eq!(bench.changed().prefixes[0].prefix, prefix(1));

    let (mut bench, solicit) = Bench::soliciting(gateway());
    bench.receive(&answer(&solicit, MessageType::REPLY, 1, |out| {
        out.rapid_commit();
        Offer::both(1).write(out);
    }));
    assert_eq!(bench.client.state(), State::Soliciting, "not asked for");
}

#[test]
fn ten_requests_without_an_answer_lead_back_to_solicit() {
    let (mut bench, solicit) = Bench::soliciting(gateway());
    bench.receive(&advertise(&solicit, 1, 255, &Offer::both(1)));
    for _ in 0..10 {
        assert_eq!(bench.sent().kind(), MessageType::REQUEST);
    }
    assert_eq!(bench.sent().kind(), MessageType::SOLICIT);
}

#[test]
fn refusals_lead_back_to_solicit_ever_slower() {
    let mut bench = Bench::new(gateway());
    bench.start();
    let mut times = Vec::new();
    for _ in 0..9 {
        let solicit = bench.sent();
        times.push(solicit.at);
        bench.receive(&advertise(&solicit, 1, 255, &Offer::both(1)));
        let request = bench.sent();
        bench.receive(&answer(&request, MessageType::REPLY, 1, |out| {
            out.status(StatusCode::NOT_ON_LINK, "elsewhere");
        }));
    }
    assert!(times[1] - times[0] <= seconds(1));
    assert!(times[8] - times[7] >= seconds(127));
    assert_eq!(bench.client.counters().refused, 9);
}

#[test]
fn unspecified_failure_leaves_the_request_to_be_sent_again() {
    let (mut bench, request) = Bench::requesting(gateway(), &Offer::both(1));
    bench.receive(&answer(&request, MessageType::REPLY, 1, |out| {
        out.status(StatusCode::UNSPEC_FAIL, "disk full");
    }));
    let again = bench.sent();
    assert_eq!(again.message().transaction(), request.message().transaction());
    assert!(again.at - request.at > Duration::from_millis(899));
    bench.receive(&reply(&again, 1, &Offer::both(1)));
    assert_eq!(bench.client.state(), State::Bound);
}

#[test]
fn contradictory_leases_are_left_out() {
    let (mut bench, request) = Bench::requesting(gateway(), &Offer::both(1));
    bench.receive(&answer(&request, MessageType::REPLY, 1, |out| {
        out.ia_na(NA, 1600, 1000, |out| {
            out.ia_address(address(1), 2000, 4000, |_| {});
        });
        out.ia_pd(PD, 0, 0, |out| {
            out.ia_prefix(prefix(1), 4001, 4000, |_| {});
            out.ia_prefix("fe80::/56".parse().unwrap(), 2000, 4000, |_| {});
            out.ia_prefix("ff00::/8".parse().unwrap(), 2000, 4000, |_| {});
            out.ia_prefix("::/0".parse().unwrap(), 2000, 4000, |_| {});
            out.ia_prefix(prefix(2), 2000, INFINITY, |out| {
                out.option(OptionCode::PD_EXCLUDE, &[64, 0x42]);
            });
        });
        out.ia_pd(99, 0, 0, |out| {
            out.ia_prefix(prefix(9), 2000, 4000, |_| {});
        });
    }));
    let bound = bench.changed();
    assert!(bound.addresses.is_empty(), "T1 above T2");
    assert_eq!(bound.prefixes.len(), 1);
    assert_eq!(bound.prefixes[0].prefix, prefix(2));
    assert_eq!(bound.prefixes[0].valid_until, Duration::MAX);
    assert_eq!(bound.prefixes[0].excluded, Some("2001:db8:2:42::/64".parse().unwrap()));
    assert_eq!((bound.t1, bound.t2), (bench.now + seconds(1000), bench.now + seconds(1600)));
    assert_eq!(bench.client.counters().bad_leases, 6);
}
