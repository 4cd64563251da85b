//! RFC 8987: routes of delegated prefixes.

use crate::bench::*;
use sixgate_dhcp::relay::{Action, Actions, Delegation, Limits, Relay};
use sixgate_wire::dhcpv6::{Builder, MessageType, OptionCode, StatusCode, TransactionId};
use std::time::Duration;

const A: &str = "2001:db8:100::/56";
const B: &str = "2001:db8:100:100::/56";

fn row(prefix: &str, seconds: u64) -> (String, String, u64) {
    (prefix.to_owned(), "fe80::c lan".to_owned(), seconds)
}

fn release(of: u8, iaid: u32, prefixes: &[&str]) -> Vec<u8> {
    let mut buffer = [0; 1024];
    let mut out = Builder::message(&mut buffer, MessageType::RELEASE, TransactionId([1, 2, 4]));
    out.client_id(&duid(of)).ia_pd(iaid, 0, 0, |out| {
        for prefix in prefixes {
            out.ia_prefix(net(prefix), 0, 0, |_| ());
        }
    });
    out.finish().unwrap().to_vec()
}

/// A relay agent through which client 1 got `A` and `B` for an hour.
fn holding() -> Relay {
    let mut relay = relay(config());
    to(&mut relay, &answer(&reply(1, 7, &[(A, 3600), (B, 3600)])));
    assert_eq!(routes(&relay), [row(A, 3600), row(B, 3600)]);
    relay
}

/// R-1, G-2: each prefix has a route through the client, which stands before the client hears of it.
#[test]
fn a_reply_makes_routes() {
    let mut relay = relay(config());
    let actions = to(&mut relay, &answer(&reply(1, 7, &[(A, 3600), (B, 7200)])));
    assert!(matches!(
        &actions[..],
        [Action::Routed(Delegation { prefix, via, iaid: Some(7), .. }), Action::Routed(_), Action::ToLink { .. }]
            if *prefix == net(A) && *via == client()
    ));
    assert_eq!(routes(&relay), [row(A, 3600), row(B, 7200)]);
}

/// G-8: lifetimes follow the Replies, and nothing but their end ends them.
#[test]
fn lifetimes_follow_replies() {
    let mut relay = holding();
    let later = NOW + Duration::from_secs(1_000);
    to_at(&mut relay, later, server(), &answer(&reply(1, 7, &[(A, 3600)])));
    assert_eq!(routes(&relay), [row(A, 4600), row(B, 3600)]);
    // Shorter as well, and what says nothing changes nothing.
    to_at(&mut relay, later, server(), &answer(&reply(1, 7, &[(A, 60)])));
    to_at(&mut relay, later, server(), &answer(&reply(1, 7, &[])));
    assert_eq!(routes(&relay), [row(A, 1060), row(B, 3600)]);
    assert_eq!(relay.poll_timeout(), Some(NOW + Duration::from_secs(1060)));
    let mut actions = Actions::new();
    relay.handle_timeout(NOW + Duration::from_millis(1_059_999), &mut actions);
    assert!(actions.is_empty());
    relay.handle_timeout(NOW + Duration::from_secs(1060), &mut actions);
    assert_eq!(actions, [Action::Unrouted { prefix: net(A) }]);
    // One that is for ever waits for nothing.
    to(&mut relay, &answer(&reply(1, 7, &[(B, u32::MAX)])));
    assert_eq!(relay.poll_timeout(), None);
}

/// What says nothing about a delegation: other messages, failures, lifetimes that contradict each other.
#[test]
fn only_a_good_reply_counts() {
    let mut relay = relay(config());
    let with = |kind, status: bool, inside: bool, preferred| {
        let mut buffer = [0; 1024];
        let mut out = Builder::message(&mut buffer, kind, TransactionId([0; 3]));
        out.client_id(&duid(1));
        if status {
            out.status(StatusCode::UNSPEC_FAIL, "");
        }
        out.ia_pd(7, 0, 0, |out| {
            out.ia_prefix(net(A), preferred, 3600, |_| ());
            if inside {
                out.status(StatusCode::NO_PREFIX_AVAIL, "");
            }
        });
        out.finish().unwrap().to_vec()
    };
    for inner in [
        with(MessageType::ADVERTISE, false, false, 60),
        with(MessageType::RECONFIGURE, false, false, 60),
        with(MessageType::REPLY, true, false, 60),
        with(MessageType::REPLY, false, true, 60),
        with(MessageType::REPLY, false, false, 3601),
    ] {
        assert_eq!(delivered(&to(&mut relay, &answer(&inner))).len(), 1, "it is relayed all the same");
        assert!(routes(&relay).is_empty());
    }
    to(&mut relay, &answer(&with(MessageType::REPLY, false, false, 3600)));
    assert_eq!(routes(&relay), [row(A, 3600)]);
}

/// G-9: a Release ends what it names, of its own client, from where the route leads.
#[test]
fn a_release_ends_its_own() {
    let ends = |bytes: &[u8], source: &str, link: &str| {
        let mut relay = holding();
        let actions = from_at(&mut relay, NOW, link, ip(source), bytes);
        assert!(!sent(&actions).is_empty(), "it is relayed all the same");
        routes(&relay).into_iter().map(|(prefix, ..)| prefix).collect::<Vec<_>>()
    };
    assert_eq!(ends(&release(1, 7, &[A]), "fe80::c", "lan"), [B]);
    assert_eq!(ends(&release(1, 7, &[]), "fe80::c", "lan"), [""; 0]);
    for (bytes, source, link) in [
        (release(2, 7, &[A]), "fe80::c", "lan"),
        (release(1, 8, &[A]), "fe80::c", "lan"),
        (release(1, 7, &[A]), "fe80::bad", "lan"),
        (release(1, 7, &[A]), "fe80::c", "line"),
        (release(1, 7, &["2001:db8:100::/48"]), "fe80::c", "lan"),
        (message(MessageType::RENEW, |_| ()), "fe80::c", "lan"),
    ] {
        assert_eq!(ends(&bytes, source, link), [A, B]);
    }
}

/// The server takes a prefix back with a lifetime of zero, from its holder alone.
#[test]
fn a_lifetime_of_zero_ends() {
    let mut relay = holding();
    to(&mut relay, &answer(&reply(2, 7, &[(A, 0)])));
    assert_eq!(routes(&relay), [row(A, 3600), row(B, 3600)]);
    to(&mut relay, &answer(&reply(1, 7, &[(A, 0)])));
    assert_eq!(routes(&relay), [row(B, 3600)]);
}

/// A prefix is one client's, and a client's whom the server gave it last.
#[test]
fn a_prefix_moves() {
    let mut relay = holding();
    let bytes = wrap(MessageType::RELAY_REPLY, 0, ("::", "fe80::d"), &reply(2, 1, &[(A, 100)]), |out| {
        out.option(OptionCode::INTERFACE_ID, b"line");
    });
    to(&mut relay, &bytes);
    assert_eq!(routes(&relay), [(A.to_owned(), "fe80::d line".to_owned(), 100), row(B, 3600)]);
    // The old holder's Release is no longer its business.
    from(&mut relay, "lan", &release(1, 7, &[A]));
    assert_eq!(routes(&relay).len(), 2);
}

/// G-4: one DUID on two links is two clients.
#[test]
fn one_duid_on_two_links() {
    let mut relay = holding();
    let other = "2001:db8:200::/56";
    let bytes = wrap(MessageType::RELAY_REPLY, 0, ("::", "fe80::c"), &reply(1, 7, &[(other, 100)]), |out| {
        out.option(OptionCode::INTERFACE_ID, b"line");
    });
    to(&mut relay, &bytes);
    assert_eq!(routes(&relay).len(), 3);
    from(&mut relay, "line", &release(1, 7, &[]));
    assert_eq!(routes(&relay), [row(A, 3600), row(B, 3600)]);
}

/// G-5, G-7: of one client's prefixes too many that which ends first gives way.
#[test]
fn a_client_has_so_many_and_no_more() {
    let mut relay = relay(config());
    for n in 0..20_u32 {
        let prefix = format!("2001:db8:100:{n:x}00::/56");
        to(&mut relay, &answer(&reply(1, n, &[(&prefix, 1_000 + n)])));
    }
    let left: Vec<u64> = routes(&relay).into_iter().map(|(.., seconds)| seconds).collect();
    assert_eq!(left, (1_012..1_020).collect::<Vec<_>>());
    assert_eq!(relay.counters().evicted, 12);
}

/// G-6: and a link; what is there already goes on being extended.
#[test]
fn a_link_has_so_many_and_no_more() {
    let mut limited = config();
    limited.limits = Limits { prefixes_per_link: 4, ..limited.limits };
    let mut relay = relay(limited);
    let prefix = |n: u8| format!("2001:db8:100:{n:x}00::/56");
    for n in 0..10 {
        let actions = to(&mut relay, &answer(&reply(n, 1, &[(&prefix(n), 100)])));
        assert_eq!(delivered(&actions).len(), 1, "it is relayed all the same");
    }
    assert_eq!((routes(&relay).len(), relay.counters().capped), (4, 6));
    to(&mut relay, &answer(&reply(0, 1, &[(&prefix(0), 200)])));
    assert_eq!(routes(&relay)[0].2, 200);
    // One that moves to another client takes no more room.
    to(&mut relay, &answer(&reply(42, 1, &[(&prefix(0), 300)])));
    assert_eq!((routes(&relay).len(), routes(&relay)[0].2), (4, 300));
}

/// No route may take what is on a link, or everything.
#[test]
fn what_cannot_lie_behind_a_client() {
    for prefix in
        ["::/0", "2000::/3", "fe80::/64", "ff00::/16", "::1/128", "2001:db8:1::/64", "2001:db8:1::/80"]
    {
        let mut relay = relay(config());
        to(&mut relay, &answer(&reply(1, 1, &[(prefix, 100)])));
        assert_eq!((routes(&relay).len(), relay.counters().unroutable), (0, 1), "{prefix}");
    }
    // Around a link's own is fine: the link's is longer, as with a part that is kept for it (RFC 6603).
    let mut relay = self::relay(config());
    to(&mut relay, &answer(&reply(1, 1, &[("2001:db8::/40", 100)])));
    assert_eq!(routes(&relay).len(), 1);
    let mut relay = self::relay(config_with(|link| link.delegated_from = vec![net("2001:db8:100::/40")]));
    to(&mut relay, &answer(&reply(1, 1, &[(A, 100), ("2001:db8:f00::/56", 100)])));
    assert_eq!(routes(&relay), [row(A, 100)]);
    let mut relay = self::relay(config_with(|link| link.delegates = false));
    assert_eq!(to(&mut relay, &answer(&reply(1, 1, &[(A, 100)]))).len(), 1);
    assert!(routes(&relay).is_empty());
}

/// Another relay agent's clients are behind it: their routes are its own.
#[test]
fn nested_replies_make_no_routes() {
    let mut relay = relay(config());
    let inner =
        wrap(MessageType::RELAY_REPLY, 0, ("2001:db8:2::1", "fe80::d"), &reply(1, 7, &[(A, 100)]), |_| ());
    let bytes = wrap(MessageType::RELAY_REPLY, 1, ("2001:db8:1::1", "fe80::a"), &inner, |_| ());
    assert_eq!(delivered(&to(&mut relay, &bytes)).len(), 1);
    assert!(routes(&relay).is_empty());
}

/// S-1: over a restart; what has ended meanwhile ends at the first chance. A new configuration ends nothing.
#[test]
fn delegations_come_back() {
    let kept: Vec<Delegation> = holding().delegations().cloned().collect();
    let mut relay = Relay::new(config(), [1; 16], kept);
    assert_eq!(routes(&relay), [row(A, 3600), row(B, 3600)]);
    relay.set_config(config_with(|link| link.servers.clear()));
    assert_eq!(routes(&relay).len(), 2);
    let mut actions = Actions::new();
    relay.handle_timeout(NOW + Duration::from_hours(2), &mut actions);
    assert_eq!(actions.len(), 2);
}

/// What a leasequery says never takes from what a Reply said.
#[test]
fn learnt_otherwise() {
    let mut relay = holding();
    let learnt = |prefix: &str, of: u8, seconds: u64, via: &str| Delegation {
        prefix: net(prefix),
        link: "lan".into(),
        via: ip(via),
        duid: duid(of),
        iaid: None,
        valid_until: NOW + Duration::from_secs(seconds),
    };
    let mut learn = |delegation| {
        let mut actions = Actions::new();
        relay.learn(NOW, delegation, &mut actions);
        actions.len()
    };
    assert_eq!(learn(learnt(A, 2, 9_000, "fe80::e")), 0, "another holder");
    assert_eq!(learn(learnt(A, 1, 60, "fe80::c")), 0, "older");
    assert_eq!(learn(learnt(A, 1, 7_200, "fe80::c")), 1);
    assert_eq!(learn(learnt("2001:db8:100:700::/56", 3, 60, "fe80::e")), 1);
    assert_eq!(learn(learnt("2001:db8:100:800::/56", 3, 0, "fe80::e")), 0, "ended");
    assert_eq!(learn(learnt("2001:db8:100:800::/56", 3, 60, "2001:db8:7::1")), 0, "not on the link");
    let mut actions = Actions::new();
    assert!(relay.clear(net(A), &mut actions) && !relay.clear(net(A), &mut actions));
    assert_eq!(actions, [Action::Unrouted { prefix: net(A) }]);
}

/// The answer to a bulk leasequery: a Reply with the first client, more in Data, Done at the end (RFC 5460
/// section 6.3).
#[test]
fn recovered_by_bulk_leasequery() {
    use sixgate_dhcp::relay::recover::{Progress, query};
    use sixgate_wire::dhcpv6::leasequery::QueryType;
    use sixgate_wire::dhcpv6::{DhcpOption, Message};
    let asked = query(&duid(9), TransactionId([1, 2, 3]), ip("2001:db8:1::1")).unwrap();
    let asked = Message::parse(&asked).unwrap();
    let Some(DhcpOption::LeaseQuery(lease_query)) = asked.options().find(OptionCode::LQ_QUERY) else {
        panic!()
    };
    assert_eq!(
        (lease_query.kind, lease_query.link_address),
        (QueryType::BY_LINK_ADDRESS, ip("2001:db8:1::1"))
    );
    assert!(lease_query.options.requests(OptionCode::LQ_RELAY_DATA));

    let answer = |kind, client: Option<(u8, &str, &str)>| {
        let mut buffer = [0; 1024];
        let mut out = Builder::message(&mut buffer, kind, TransactionId([1, 2, 3]));
        if let Some((of, prefix, peers)) = client {
            out.client_data(|out| {
                out.client_id(&duid(of)).ia_prefix(net(prefix), 100, 100, |_| ()).ia_address(
                    ip("2001:db8:1::c"),
                    1,
                    1,
                    |_| (),
                );
                // The outermost relay agent first.
                let mut inner: Vec<u8> = Vec::new();
                for peer in peers.split_whitespace().rev() {
                    inner = if inner.is_empty() {
                        let mut forward = [0; 64];
                        let forward =
                            Builder::relay(&mut forward, MessageType::RELAY_FORWARD, 0, ip("::"), ip(peer));
                        forward.finish().unwrap().to_vec()
                    } else {
                        wrap(MessageType::RELAY_FORWARD, 0, ("::", peer), &inner, |_| ())
                    };
                }
                if !inner.is_empty() {
                    out.relay_data(ip("2001:db8:1::1"), &inner);
                }
            });
        }
        out.finish().unwrap().to_vec()
    };
    let mut relay = relay(config());
    assert_eq!(
        relay.askable().map(|(link, address)| (link.to_string(), address)).collect::<Vec<_>>(),
        [("lan".to_owned(), ip("2001:db8:1::1"))]
    );
    let mut recover = |bytes: &[u8]| {
        let mut actions = Actions::new();
        let progress = relay.recover(NOW, &"lan".into(), bytes, &mut actions);
        (progress, actions.len())
    };
    let (reply, data, done) =
        (MessageType::LEASEQUERY_REPLY, MessageType::LEASEQUERY_DATA, MessageType::LEASEQUERY_DONE);
    assert_eq!(recover(&answer(reply, Some((1, A, "fe80::c")))), (Ok(Progress::More), 1));
    assert_eq!(
        recover(&answer(data, Some((2, B, "fe80::a fe80::d")))),
        (Ok(Progress::More), 1),
        "the first hop's word counts"
    );
    assert_eq!(
        recover(&answer(data, Some((3, "2001:db8:300::/56", "")))),
        (Ok(Progress::More), 0),
        "nobody knows where"
    );
    assert_eq!(
        recover(&answer(data, Some((3, "2001:db8:300::/56", "2001:db8:7::1")))),
        (Ok(Progress::More), 0)
    );
    assert_eq!(recover(&answer(done, None)), (Ok(Progress::Done), 0));
    assert_eq!(recover(&answer(reply, None)), (Ok(Progress::Done), 0), "nothing is delegated");
    let mut buffer = [0; 64];
    let mut refused = Builder::message(&mut buffer, reply, TransactionId([0; 3]));
    refused.status(StatusCode::NOT_ALLOWED, "not\u{1b}you");
    let words = Progress::Refused(StatusCode::NOT_ALLOWED, "not\\u{1b}you".to_owned());
    assert_eq!(recover(refused.finish().unwrap()), (Ok(words), 0));
    assert!(recover(&solicit()).0.is_err() && recover(&[]).0.is_err());
    let rows = [(A, "fe80::c lan"), (B, "fe80::d lan")]
        .map(|(prefix, via)| (prefix.to_owned(), via.to_owned(), 100));
    assert_eq!(routes(&relay), rows);
    // Without the association's number any Release of its client's ends it.
    from(&mut relay, "lan", &release(1, 7, &[A]));
    assert_eq!(routes(&relay), rows[1..]);
}
