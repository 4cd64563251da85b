//! Keeping leases: Renew, Rebind, and what their answers change.

use super::bench::{
    Bench, NA, Offer, PD, START, Sent, address, advertise, answer, gateway, prefix, reply, seconds,
    server_duid,
};
use sixgate_dhcp::client::{Action, Client, PdRequest, State};
use sixgate_wire::dhcpv6::{INFINITY, MessageType, StatusCode};
use std::time::Duration;

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
    let (mut bench, solicit) = Bench::soliciting(gateway());
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
