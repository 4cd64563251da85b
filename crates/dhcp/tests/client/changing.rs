//! Beginnings and ends: restarts, links that come and go, Confirm, Release, Decline, and asking for configuration alone.

use super::bench::{
    Bench, NA, Offer, PD, START, address, answer, client_duid, codes, gateway, prefix, reply, seconds,
    server_duid,
};
use sixgate_dhcp::client::{Action, Client, Config, State};
use sixgate_wire::dhcpv6::{INFINITY, MessageType, OptionCode, StatusCode};
use std::time::Duration;

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
