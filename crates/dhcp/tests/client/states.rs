//! Each state of the client, by messages and times.

use super::bench::{
    Bench, NA, Offer, PD, START, Sent, address, advertise, answer, client_duid, gateway, prefix, reply,
    seconds, server_duid,
};
use sixgate_dhcp::client::{Action, Client, Config, PdRequest, Require, State};
use sixgate_wire::dhcpv6::{INFINITY, MessageType, OptionCode, StatusCode};
use std::time::Duration;

fn codes(sent: &Sent) -> Vec<OptionCode> {
    sent.message().options().raw().map(|(code, _)| code).collect()
}

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
    let mut bench = Bench::new(gateway());
    bench.start();
    let solicit = bench.sent();
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
        let mut bench = Bench::new(gateway());
        bench.start();
        let solicit = bench.sent();
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
    let mut bench = Bench::new(gateway());
    bench.start();
    let solicit = bench.sent();
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
    let mut bench = Bench::new(gateway());
    bench.start();
    let solicit = bench.sent();
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
        let mut bench = Bench::new(gateway());
        bench.start();
        let solicit = bench.sent();
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
    let mut bench = Bench::new(Config { rapid_commit: true, ..gateway() });
    bench.start();
    let solicit = bench.sent();
    bench.receive(&reply(&solicit, 1, &Offer::both(1)));
    assert_eq!(bench.client.state(), State::Soliciting, "a Reply without the option");
    bench.receive(&answer(&solicit, MessageType::REPLY, 1, |out| {
        out.rapid_commit();
        Offer::both(1).write(out);
    }));
    assert_eq!(bench.client.state(), State::Bound);
    assert_eq!(bench.changed().prefixes[0].prefix, prefix(1));

    let mut bench = Bench::new(gateway());
    bench.start();
    let solicit = bench.sent();
    bench.receive(&answer(&solicit, MessageType::REPLY, 1, |out| {
        out.rapid_commit();
        Offer::both(1).write(out);
    }));
    assert_eq!(bench.client.state(), State::Soliciting, "not asked for");
}

#[test]
fn ten_requests_without_an_answer_lead_back_to_solicit() {
    let mut bench = Bench::new(gateway());
    bench.start();
    let solicit = bench.sent();
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
    let mut bench = Bench::new(gateway());
    bench.start();
    let solicit = bench.sent();
    bench.receive(&advertise(&solicit, 1, 255, &Offer::both(1)));
    let request = bench.sent();
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
fn renew_then_rebind_then_nothing_left_then_solicit() {
    let mut bench = Bench::new(gateway());
    let bound = bench.bind();
    let renew = bench.sent();
    assert_eq!((renew.at, renew.kind(), renew.elapsed()), (bound.t1, MessageType::RENEW, 0));
    let again = bench.sent();
    assert!(again.at - renew.at >= seconds(9) && again.at - renew.at <= seconds(11));
    let mut last = again;
    let rebind = loop {
        let sent = bench.sent();
        if sent.kind() == MessageType::REBIND {
            break sent;
        }
        assert!(sent.at < bound.t2);
        last = sent;
    };
    assert!(last.elapsed() > 3000);
    assert_eq!((rebind.at, rebind.elapsed(), rebind.server()), (bound.t2, 0, None));
    assert_eq!(rebind.ia_na(), Some((NA, vec![address(1)])));
    let solicit = loop {
        let sent = bench.sent();
        if sent.kind() == MessageType::SOLICIT {
            break sent;
        }
        assert_eq!(sent.kind(), MessageType::REBIND);
        assert!(sent.at < bound.next_expiry());
    };
    assert!(solicit.at - bound.next_expiry() <= seconds(1));
    assert_eq!(bench.news(), [Action::Lost]);
    assert_eq!(bench.saved, None);
    assert_eq!(bench.client.counters().expired, 2);
}

#[test]
fn another_server_may_answer_rebind_and_is_renewed_from_then_on() {
    let mut bench = Bench::new(gateway());
    let bound = bench.bind();
    bench.run_until(bound.t2 - seconds(1));
    bench.done.clear();
    let rebind = bench.sent();
    bench.receive(&reply(&rebind, 2, &Offer::both(1)));
    assert_eq!(bench.changed().server, server_duid(2));
    assert_eq!(bench.sent().server(), Some(server_duid(2)));
}

#[test]
fn another_server_or_client_or_transaction_does_not_answer_renew() {
    let mut bench = Bench::new(gateway());
    bench.bind();
    let renew = bench.sent();
    bench.receive(&reply(&renew, 2, &Offer::both(1)));
    let mut wrong = reply(&renew, 1, &Offer::both(1));
    wrong[3] ^= 1;
    bench.receive(&wrong);
    let mut wrong = reply(&renew, 1, &Offer::both(1));
    wrong[12] ^= 1; // in the client's DUID
    bench.receive(&wrong);
    bench.receive(&answer(&renew, MessageType::ADVERTISE, 1, |out| Offer::both(1).write(out)));
    bench.receive(&wrong[..wrong.len() - 1]);
    bench.receive(&renew.bytes);
    bench.receive(&[]);
    assert_eq!(bench.client.state(), State::Renewing);
    assert_eq!((bench.client.counters().unsolicited, bench.client.counters().malformed), (5, 2));
    bench.receive(&reply(&renew, 1, &Offer::both(1)));
    assert_eq!(bench.client.state(), State::Bound);
}

#[test]
fn a_lifetime_of_zero_takes_away_and_a_new_lease_takes_its_place() {
    let mut bench = Bench::new(gateway());
    bench.bind();
    let renew = bench.sent();
    let mut offer = Offer::both(2);
    offer.prefixes.push((prefix(1), 0, 0));
    bench.receive(&reply(&renew, 1, &offer));
    let bound = bench.changed();
    assert_eq!(bound.prefixes.iter().map(|p| p.prefix).collect::<Vec<_>>(), [prefix(2)]);
    // The old address was not named: it stays until it ends.
    assert_eq!(bound.addresses.iter().map(|a| a.address).collect::<Vec<_>>(), [address(1), address(2)]);

    let renew = bench.sent();
    let zero = Offer {
        addresses: vec![(address(1), 0, 0), (address(2), 0, 0)],
        prefixes: vec![(prefix(2), 0, 0)],
        ..Offer::none()
    };
    bench.receive(&reply(&renew, 1, &zero));
    assert_eq!(bench.news(), [Action::Lost]);
    assert_eq!(bench.sent().kind(), MessageType::SOLICIT);
}

#[test]
fn an_association_that_is_not_answered_goes_on_being_renewed_and_rebound() {
    let mut bench = Bench::new(gateway());
    let bound = bench.bind();
    let only_address = |sent: &Sent| {
        answer(sent, MessageType::REPLY, 1, |out| {
            out.ia_na(NA, 1000, 1600, |out| {
                out.ia_address(address(1), 2000, 4000, |_| {});
            });
        })
    };
    let renew = bench.sent();
    bench.receive(&only_address(&renew));
    assert_eq!(bench.client.state(), State::Renewing);
    assert_eq!(bench.changed().addresses[0].valid_until, bench.now + seconds(4000));
    let again = bench.sent();
    assert!(again.at - renew.at >= seconds(9), "no faster than without an answer");
    let mut sent = again;
    while sent.kind() == MessageType::RENEW {
        bench.receive(&only_address(&sent));
        sent = bench.sent();
    }
    assert_eq!((sent.kind(), sent.at), (MessageType::REBIND, bound.t2));
    bench.receive(&reply(&sent, 2, &Offer::prefix(1)));
    bench.done.clear();
    // The prefix is extended by another server; now the address waits, and is asked for without end in sight.
    assert_eq!(bench.client.binding().unwrap().prefixes[0].valid_until, bench.now + seconds(4000));
}

#[test]
fn no_binding_leads_to_a_request_while_all_stays_in_use() {
    for rebind in [false, true] {
        let mut bench = Bench::new(gateway());
        let bound = bench.bind();
        if rebind {
            bench.run_until(bound.t2 - Duration::from_millis(1));
            bench.done.clear();
        }
        let sent = bench.sent();
        bench.receive(&answer(&sent, MessageType::REPLY, 1, |out| {
            out.ia_na(NA, 0, 0, |out| {
                out.status(StatusCode::NO_BINDING, "who are you");
            });
            out.ia_pd(PD, 0, 0, |out| {
                out.status(StatusCode::NO_BINDING, "who are you");
            });
        }));
        let request = bench.sent();
        assert_eq!((request.kind(), request.at), (MessageType::REQUEST, sent.at));
        assert_eq!(request.server(), Some(server_duid(1)));
        assert_eq!(request.ia_pd(), Some((PD, vec![prefix(1).to_string()])));
        assert!(bench.client.binding().unwrap().has_leases());
        bench.done.clear();
        bench.receive(&reply(&request, 1, &Offer::both(2)));
        let bound = bench.changed();
        assert_eq!(bound.prefixes.len(), 1);
        assert_eq!(bound.prefixes[0].prefix, prefix(2), "what the server forgot is replaced");
    }
}

#[test]
fn contradictory_leases_are_left_out() {
    let mut bench = Bench::new(gateway());
    bench.start();
    let solicit = bench.sent();
    bench.receive(&advertise(&solicit, 1, 255, &Offer::both(1)));
    let request = bench.sent();
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

#[test]
fn a_server_cannot_fill_the_memory() {
    let mut bench = Bench::new(gateway());
    bench.bind();
    for round in 0..20 {
        let renew = bench.sent();
        let mut offer = Offer::both(1);
        offer.addresses.extend((0..40).map(|i| (address(100 + round * 40 + i), 90_000, 90_000)));
        bench.receive(&reply(&renew, 1, &offer));
    }
    assert_eq!(bench.client.binding().unwrap().addresses.len(), 16);
}

#[test]
fn infinite_leases_need_no_timer() {
    let mut bench = Bench::new(gateway());
    bench.start();
    let solicit = bench.sent();
    let offer = Offer {
        addresses: vec![(address(1), INFINITY, INFINITY)],
        prefixes: vec![(prefix(1), INFINITY, INFINITY)],
        t1: INFINITY,
        t2: INFINITY,
    };
    bench.receive(&advertise(&solicit, 1, 255, &offer));
    let request = bench.sent();
    bench.receive(&reply(&request, 1, &offer));
    assert_eq!(bench.changed().t1, Duration::MAX);
    assert_eq!(bench.client.poll_timeout(), None);
}

#[test]
fn after_a_restart_prefixes_are_rebound_and_addresses_confirmed() {
    let saved = Bench::new(gateway()).bind();
    let later = saved.t1 - seconds(500);
    let mut bench = Bench::restored(gateway(), Some(saved.clone()), later);
    bench.start();
    assert_eq!(bench.news(), [Action::Changed(saved.clone())], "in use at once");
    let rebind = bench.sent();
    assert_eq!((rebind.kind(), rebind.server()), (MessageType::REBIND, None));
    assert!(rebind.at - later <= seconds(1));
    bench.receive(&reply(&rebind, 1, &Offer::both(1)));
    assert_eq!(bench.client.state(), State::Bound);
    assert_eq!(bench.changed().t1, bench.now + seconds(1000));

    let config = Config { ia_pd: Vec::new(), ..gateway() };
    let mut bench = Bench::restored(config, Some(saved.clone()), later);
    bench.start();
    let confirm = bench.sent();
    assert_eq!((confirm.kind(), confirm.server()), (MessageType::CONFIRM, None));
    assert_eq!(confirm.ia_na(), Some((NA, vec![address(1)])));
    assert_eq!(codes(&confirm).len(), 3, "identifier, elapsed time, IA_NA: {:?}", codes(&confirm));
    bench.receive(&answer(&confirm, MessageType::REPLY, 3, |out| {
        out.status(StatusCode::SUCCESS, "on link");
    }));
    assert_eq!(bench.client.state(), State::Bound);
    let renew = bench.sent();
    assert_eq!(
        (renew.at, renew.kind(), renew.server()),
        (saved.t1, MessageType::RENEW, Some(server_duid(1)))
    );
}

#[test]
fn after_a_restart_without_an_answer_what_is_held_stays_until_it_ends() {
    let saved = Bench::new(gateway()).bind();
    let mut bench = Bench::restored(gateway(), Some(saved.clone()), saved.t1 - seconds(500));
    bench.start();
    bench.news();
    let first = bench.sent().at;
    let mut count = 1;
    let renew = loop {
        let sent = bench.sent();
        if sent.kind() != MessageType::REBIND {
            break sent;
        }
        assert!(sent.at - first < seconds(10));
        count += 1;
    };
    assert!((4..=6).contains(&count), "{count}");
    assert_eq!((renew.kind(), renew.at), (MessageType::RENEW, saved.t1));
    bench.run_until(saved.next_expiry() - seconds(1));
    assert!(bench.news().is_empty());
    bench.run_for(seconds(1));
    assert_eq!(bench.news(), [Action::Lost]);

    let mut bench = Bench::restored(gateway(), Some(saved.clone()), saved.next_expiry());
    bench.start();
    assert_eq!(bench.news(), [Action::Lost]);
    assert_eq!(bench.sent().kind(), MessageType::SOLICIT);
}

#[test]
fn not_on_link_ends_the_use_of_addresses() {
    let config = Config { ia_pd: Vec::new(), ..gateway() };
    let saved = Bench::new(gateway()).bind();
    let mut bench = Bench::restored(config, Some(saved.clone()), saved.t1 - seconds(500));
    bench.start();
    bench.news();
    let confirm = bench.sent();
    bench.receive(&answer(&confirm, MessageType::REPLY, 3, |out| {
        out.status(StatusCode::NOT_ON_LINK, "elsewhere");
    }));
    assert_eq!(bench.news(), [Action::Lost]);
    assert_eq!(bench.sent().kind(), MessageType::SOLICIT);
}

#[test]
fn a_link_that_returns_is_asked_about_and_one_that_is_gone_is_not_sent_to() {
    let mut bench = Bench::new(gateway());
    let bound = bench.bind();
    bench.run_for(seconds(100));
    bench.act(Client::link_down);
    assert_eq!((bench.client.state(), bench.client.poll_timeout()), (State::Idle, Some(bound.next_expiry())));
    bench.run_for(seconds(100));
    bench.act(Client::link_up);
    let rebind = bench.sent();
    assert_eq!(rebind.kind(), MessageType::REBIND);
    bench.receive(&reply(&rebind, 2, &Offer::both(3)));
    assert_eq!(bench.client.state(), State::Bound);
    bench.news();
    bench.act(Client::link_down);
    bench.run_for(seconds(10_000));
    assert_eq!(bench.news().last(), Some(&Action::Lost));
    assert!(bench.nothing_sent());
    assert_eq!(bench.client.poll_timeout(), None);
    bench.act(Client::link_up);
    assert_eq!(bench.sent().kind(), MessageType::SOLICIT);
}

#[test]
fn release_gives_back_at_once_and_tells_the_server_four_times() {
    let mut bench = Bench::new(gateway());
    bench.bind();
    bench.act(Client::release);
    assert_eq!(bench.news(), [Action::Lost]);
    assert_eq!(bench.client.binding(), None);
    for _ in 0..4 {
        let release = bench.sent();
        assert_eq!((release.kind(), release.server()), (MessageType::RELEASE, Some(server_duid(1))));
        assert_eq!(release.ia_na(), Some((NA, vec![address(1)])));
        assert_eq!(release.ia_pd(), Some((PD, vec![prefix(1).to_string()])));
    }
    bench.run_for(seconds(20));
    assert_eq!(bench.news(), [Action::Released]);
    assert!(bench.nothing_sent());
    assert_eq!(bench.client.poll_timeout(), None);

    let mut bench = Bench::new(gateway());
    bench.bind();
    bench.act(Client::release);
    let release = bench.sent();
    bench.receive(&answer(&release, MessageType::REPLY, 1, |out| {
        out.status(StatusCode::NO_BINDING, "never was yours");
    }));
    assert_eq!(bench.news(), [Action::Lost, Action::Released]);
    bench.start();
    assert_eq!(bench.sent().kind(), MessageType::SOLICIT);

    let mut bench = Bench::new(gateway());
    bench.act(Client::release);
    assert_eq!(bench.news(), [Action::Released]);
}

#[test]
fn a_declined_address_is_given_up_and_another_asked_for() {
    let mut bench = Bench::new(gateway());
    bench.bind();
    bench.act(|client, now, actions| client.decline(now, &[address(9)], actions));
    assert_eq!(bench.client.state(), State::Bound, "not ours");
    bench.act(|client, now, actions| client.decline(now, &[address(1)], actions));
    assert!(bench.changed().addresses.is_empty());
    let decline = bench.sent();
    assert_eq!((decline.kind(), decline.server()), (MessageType::DECLINE, Some(server_duid(1))));
    assert_eq!((decline.ia_na(), decline.ia_pd()), (Some((NA, vec![address(1)])), None));
    bench.receive(&answer(&decline, MessageType::REPLY, 1, |_| {}));
    let renew = bench.sent();
    assert_eq!((renew.kind(), renew.at), (MessageType::RENEW, decline.at));
    assert_eq!(renew.ia_na(), Some((NA, vec![])));
    bench.receive(&reply(&renew, 1, &Offer::both(2)));
    assert_eq!(bench.changed().addresses[0].address, address(2));

    // Without an answer it goes on all the same; without anything left, from the beginning.
    let mut bench = Bench::new(Config { ia_pd: Vec::new(), ..gateway() });
    bench.bind();
    bench.act(|client, now, actions| client.decline(now, &[address(1)], actions));
    assert_eq!(bench.news(), [Action::Lost]);
    for _ in 0..4 {
        assert_eq!(bench.sent().kind(), MessageType::DECLINE);
    }
    assert_eq!(bench.sent().kind(), MessageType::SOLICIT);
}

#[test]
fn stateless_asks_for_information_and_refreshes_it() {
    // (the option's value, seconds until the refresh)
    for (value, expected) in
        [(None, Some(86_400)), (Some(60), Some(600)), (Some(7200), Some(7200)), (Some(INFINITY), None)]
    {
        let mut bench = Bench::new(Config::new(client_duid()));
        bench.start();
        let request = bench.sent();
        assert_eq!(request.kind(), MessageType::INFORMATION_REQUEST);
        assert!(request.at - START <= seconds(1));
        let options = request.message().options();
        for code in [OptionCode::INFORMATION_REFRESH_TIME, OptionCode::INF_MAX_RT, OptionCode::DNS_SERVERS] {
            assert!(options.requests(code), "{code}");
        }
        bench.receive(&answer(&request, MessageType::REPLY, 1, |out| {
            out.addresses(OptionCode::DNS_SERVERS, &[address(0x53)])
                .domains(OptionCode::DOMAIN_LIST, &["example.com"]);
            if let Some(value) = value {
                out.number(OptionCode::INFORMATION_REFRESH_TIME, value);
            }
        }));
        assert_eq!(bench.client.state(), State::Informed);
        let bound = bench.changed();
        assert_eq!((&bound.domains[..], bound.has_leases()), (&["example.com".to_owned()][..], false));
        assert_eq!(bench.client.poll_timeout(), expected.map(|e| bench.now + seconds(e)));
        if expected.is_some() {
            let delay = bench.sent().at.checked_sub(bound.refresh_at).unwrap();
            assert!(delay > Duration::ZERO && delay <= seconds(1), "{delay:?}");
        }
    }
}

#[test]
fn a_changed_hint_is_asked_for_beside_what_is_held() {
    let mut bench = Bench::new(gateway());
    bench.bind();
    bench.act(|client, now, actions| client.set_prefix_hint(now, PdRequest::with_length(PD, 48), actions));
    let renew = bench.sent();
    assert_eq!(renew.kind(), MessageType::RENEW);
    assert_eq!(renew.ia_pd(), Some((PD, vec![prefix(1).to_string(), "::/48".into()])));
    bench.receive(&reply(&renew, 1, &Offer::both(1)));
    bench.news();
    assert_eq!(bench.sent().ia_pd(), Some((PD, vec![prefix(1).to_string()])), "asked once");
}

#[test]
fn no_more_than_twenty_messages_at_once_and_one_a_second() {
    let mut bench = Bench::new(gateway());
    bench.bind();
    let start = bench.now;
    for _ in 0..200 {
        // An impatient owner, and a server that answers everything.
        bench.act(Client::renew_now);
        while let Some(at) = bench.done.iter().position(|action| matches!(action, Action::Send { .. })) {
            let Action::Send { bytes } = bench.done.remove(at) else { unreachable!() };
            let sent = Sent { at: bench.now, bytes };
            bench.receive(&reply(&sent, 1, &Offer::both(1)));
        }
        bench.run_for(Duration::from_millis(50));
    }
    let sent = bench.client.counters().sent;
    let allowed = 20 + (bench.now - start).as_secs() + 2;
    assert!(sent <= allowed && sent >= 20, "{sent} of {allowed}");
    assert!(bench.client.counters().held_back > 0);
}

/// T1 of a month and leases of a third of a year, past 2^31 and 2^32 milliseconds; nobody answers once in a while.
#[test]
fn three_years() {
    let mut bench = Bench::new(gateway());
    bench.start();
    let offer = Offer { t1: 2_592_000, t2: 5_184_000, ..Offer::both(1) };
    let long = |offer: &Offer| Offer {
        addresses: vec![(address(1), 5_184_000, 10_368_000)],
        prefixes: vec![(prefix(1), 5_184_000, 10_368_000)],
        ..offer.clone()
    };
    let offer = long(&offer);
    let mut renews = 0;
    while bench.now < START + seconds(3 * 365 * 86_400) {
        let sent = bench.sent();
        match sent.kind() {
            MessageType::SOLICIT => bench.receive(&advertise(&sent, 1, 255, &offer)),
            MessageType::RENEW if renews % 3 == 2 && sent.elapsed() < 0xffff => {}
            kind => {
                renews += u32::from(kind == MessageType::RENEW);
                bench.receive(&reply(&sent, 1, &offer));
            }
        }
        assert!(!bench.news().contains(&Action::Lost));
    }
    assert!((34..=38).contains(&renews), "{renews}");
}
