//! Each message of RFC 9915 section 18.3 and what comes back for it.

use crate::asking::{Ask, Desk, Heard, address_pool, client_address, config, lan, secs, server_duid};
use sixgate_dhcp::identity::Mac;
use sixgate_dhcp::lease::{LeaseChange, LeaseState, Resource};
use sixgate_dhcp::server::{Action, Discard, Limits, Link, ServerConfig};
use sixgate_wire::dhcpv6::{MessageType, OptionCode, StatusCode};

fn prefix_of(resource: Resource) -> ipnet::Ipv6Net {
    match resource {
        Resource::Prefix(prefix) => prefix,
        Resource::Address(address) => panic!("{address} is no prefix"),
    }
}

fn text(resource: Resource) -> String {
    resource.to_string()
}

#[test]
fn four_messages_bind_an_address_and_a_prefix() {
    let mut desk = Desk::lan();
    let solicit = Ask::new(MessageType::SOLICIT, 1).na(1, &[]).pd(2, &[]);
    let offer = desk.ask(&solicit).unwrap();
    assert_eq!(offer.kind, MessageType::ADVERTISE);
    assert_eq!(offer.option(OptionCode::PREFERENCE), Some(&[200][..]));
    assert!(desk.log.is_empty() && desk.server.leases().is_empty(), "an offer is not a lease");

    let reply = desk.ask(&Ask::new(MessageType::REQUEST, 1).ia(&offer.ias[0]).ia(&offer.ias[1])).unwrap();
    assert_eq!((reply.kind, reply.usable()), (MessageType::REPLY, offer.usable()));
    assert!(reply.ias.iter().all(|ia| ia.times == (500, 800) && ia.status == StatusCode::SUCCESS));
    assert!(reply.ias.iter().all(|ia| ia.leases[0].1 == 1_000 && ia.leases[0].2 == 2_000));
    let prefix = prefix_of(reply.usable()[1]);
    assert_eq!(prefix.prefix_len(), 60);
    let Some(Action::RouteAdd(route)) = desk.log.last() else { panic!("{:?}", desk.log) };
    assert_eq!((route.prefix, route.via, &*route.link), (prefix, client_address(1), "lan"));
    assert_eq!(desk.server.leases().len(), 2);
    assert_eq!(desk.disk.len(), 2);
}

#[test]
fn the_reply_waits_for_the_disk() {
    let mut desk = Desk::lan();
    let ask = Ask::new(MessageType::REQUEST, 1).na(1, &[]).pd(1, &[]).bytes();
    let datagram = sixgate_dhcp::server::Datagram {
        link: "lan",
        source: client_address(1),
        port: 546,
        bytes: &ask,
        link_layer: Some(&[2, 0, 0, 0, 0, 1]),
    };
    let mut actions = Vec::new();
    desk.server.handle(desk.now, &datagram, &mut actions);
    let [Action::Commit { ticket, changes }] = &actions[..] else { panic!("{actions:?}") };
    assert!(matches!(&changes[..], [LeaseChange::Put(lease), LeaseChange::Put(_)]
        if lease.link_layer.map(|found| found.mac) == Mac::new(&[2, 0, 0, 0, 0, 1])));
    // The disk is full: the lease never was, and no route or reply comes.
    desk.server.commit_failed(desk.now, *ticket);
    assert!(desk.server.leases().is_empty());
    let mut after = Vec::new();
    desk.server.committed(*ticket, &mut after);
    assert!(after.is_empty());
    assert_eq!(desk.server.counters().commits_failed, 1);
    // The store may write it later, so that nothing is given before the store has taken what holds instead.
    let again = Ask::new(MessageType::REQUEST, 1).na(1, &[]).pd(1, &[]);
    assert_eq!(desk.ask(&again), None);
    assert_eq!(desk.server.counters().discarded(Discard::Store), 1);
    for change in changes {
        desk.disk.apply(change.clone());
    }
    desk.pass(secs(1));
    assert!(desk.disk.is_empty());
    // The client asks again, and gets the same.
    let heard = desk.ask(&again).unwrap();
    assert_eq!(heard.usable().len(), 2);
    assert!(changes.iter().all(|change| heard.usable().contains(&change.resource())));
}

#[test]
fn rapid_commit_binds_in_two() {
    let solicit = Ask::new(MessageType::SOLICIT, 1).na(1, &[]).raw(OptionCode::RAPID_COMMIT, &[]);
    let mut desk = Desk::lan();
    let reply = desk.ask(&solicit).unwrap();
    assert_eq!(reply.kind, MessageType::REPLY);
    assert_eq!(reply.option(OptionCode::RAPID_COMMIT), Some(&[][..]));
    assert!(desk.disk.get(reply.only()).is_some());
    // Not configured: as if it were not there.
    let mut desk = Desk::new(ServerConfig { rapid_commit: false, ..config(vec![lan()]) });
    let offer = desk.ask(&solicit).unwrap();
    assert_eq!((offer.kind, offer.option(OptionCode::RAPID_COMMIT)), (MessageType::ADVERTISE, None));
    // Nothing to give: an Advertise that says so.
    let mut desk = Desk::new(config(vec![Link::new("lan")]));
    let offer = desk.ask(&solicit).unwrap();
    assert_eq!((offer.kind, offer.ias[0].status), (MessageType::ADVERTISE, StatusCode::NO_ADDRS_AVAIL));
}

#[test]
fn hints_are_honoured_where_they_can_be() {
    // (address hint, whether it is given)
    for (hint, given) in [
        ("2001:db8:0:1::77", true),
        ("2001:db8:0:1::1", false),                  // the gateway's
        ("2001:db8:0:1::", false),                   // Subnet-Router anycast
        ("2001:db8:0:2::77", false),                 // another link's
        ("2001:db8:0:1:fdff:ffff:ffff:fffe", false), // RFC 2526
    ] {
        let mut desk = Desk::lan();
        let offer = desk.ask(&Ask::new(MessageType::SOLICIT, 1).na(1, &[hint])).unwrap();
        assert_eq!(text(offer.only()) == hint, given, "{hint}");
    }
    // (prefix hint, what is given: RFC 8168)
    for (hint, length, exact) in [
        ("2001:db8:0:140::/60", 60, true),
        ("2001:db8:0:140::/62", 62, true),
        ("::/64", 64, false),
        ("::/58", 58, false),
        ("::/48", 56, false), // no shorter than is allowed
        ("::/80", 64, false), // no longer either
        ("2001:db8:0:240::/60", 60, false),
    ] {
        let mut desk = Desk::lan();
        let offer = desk.ask(&Ask::new(MessageType::SOLICIT, 1).pd(1, &[hint])).unwrap();
        assert_eq!(prefix_of(offer.only()).prefix_len(), length, "{hint}");
        assert_eq!(text(offer.only()) == hint, exact, "{hint}");
    }
}

#[test]
fn renew_extends_and_rebind_too() {
    for kind in [MessageType::RENEW, MessageType::REBIND] {
        let mut desk = Desk::lan();
        let bound = desk.bind(&Ask::new(MessageType::SOLICIT, 1).na(1, &[]).pd(1, &[]));
        desk.pass(secs(600));
        let mut ask = Ask::new(kind, 1);
        for ia in &bound.ias {
            ask = ask.ia(ia);
        }
        let renewed = desk.ask(&ask).unwrap();
        assert_eq!(renewed.usable(), bound.usable());
        assert!(renewed.ias.iter().all(|ia| ia.leases[0].2 == 2_000 && ia.times == (500, 800)));
        for lease in desk.disk.iter() {
            assert_eq!((lease.valid_until, lease.renewed_at), (desk.now + secs(2_000), desk.now));
            assert_eq!(lease.granted_at + secs(600), desk.now);
        }
        assert_eq!(desk.server.routes().count(), 1);
    }
}

#[test]
fn renew_of_what_is_unknown() {
    let mut desk = Desk::lan();
    // In the pool and free: a lost store costs nobody an address.
    let ask = |kind, address: &str| Ask::new(kind, 1).na(1, &[address]);
    for kind in [MessageType::RENEW, MessageType::REBIND] {
        assert_eq!(text(desk.ask(&ask(kind, "2001:db8:0:1::77")).unwrap().only()), "2001:db8:0:1::77");
    }
    // Another link's: lifetimes of zero for it, and one that fits.
    let mut desk = Desk::lan();
    let heard = desk.ask(&ask(MessageType::RENEW, "2001:db8:9::77")).unwrap();
    assert!(heard.ias[0].leases.contains(&("2001:db8:9::77".parse().unwrap(), 0, 0)));
    assert_eq!(heard.usable().len(), 1);
    // Another client's.
    let taken = text(heard.only());
    let heard = desk.ask(&Ask::new(MessageType::REBIND, 2).na(1, &[&taken])).unwrap();
    assert!(heard.ias[0].leases.contains(&(taken.parse().unwrap(), 0, 0)));
    assert_ne!(text(heard.only()), taken);
    // A link that gives no addresses: NoBinding to Renew, silence to Rebind.
    let mut desk = Desk::new(config(vec![Link::new("lan")]));
    let heard = desk.ask(&ask(MessageType::RENEW, "2001:db8::1")).unwrap();
    assert_eq!(heard.ias[0].status, StatusCode::NO_BINDING);
    assert_eq!(desk.ask(&ask(MessageType::REBIND, "2001:db8::1")), None);
    assert_eq!(desk.server.counters().discarded(Discard::Silent), 1);
}

#[test]
fn request_for_an_address_of_another_link() {
    let mut desk = Desk::lan();
    let heard = desk.ask(&Ask::new(MessageType::REQUEST, 1).na(1, &["2001:db8:9::1"]).pd(1, &[])).unwrap();
    assert_eq!(heard.ias[0].status, StatusCode::NOT_ON_LINK);
    assert!(heard.ias[0].leases.is_empty());
    assert_eq!(heard.usable().len(), 1, "the prefix is given all the same");
}

#[test]
fn confirm_says_whether_the_link_is_right() {
    let mut desk = Desk::lan();
    for (addresses, expected) in [
        (&["2001:db8:0:1::5"][..], Some(StatusCode::SUCCESS)),
        (&["2001:db8:0:2::5"], Some(StatusCode::NOT_ON_LINK)),
        (&["2001:db8:0:1::5", "2001:db8:0:2::5"], Some(StatusCode::NOT_ON_LINK)),
        (&[], None),
    ] {
        let heard = desk.ask(&Ask::new(MessageType::CONFIRM, 1).na(1, addresses));
        assert_eq!(heard.and_then(|heard| heard.status), expected, "{addresses:?}");
    }
    let mut desk = Desk::new(config(vec![Link::new("lan")]));
    assert_eq!(desk.ask(&Ask::new(MessageType::CONFIRM, 1).na(1, &["2001:db8::5"])), None);
}

#[test]
fn release_frees_and_takes_the_route_away() {
    let mut desk = Desk::lan();
    let bound = desk.bind(&Ask::new(MessageType::SOLICIT, 1).na(1, &[]).pd(1, &[]));
    // Another client cannot release it.
    let foreign = desk.ask(&Ask::new(MessageType::RELEASE, 2).ia(&bound.ias[0])).unwrap();
    assert_eq!((foreign.status, foreign.ias[0].status), (Some(StatusCode::SUCCESS), StatusCode::NO_BINDING));
    assert_eq!(desk.disk.len(), 2);
    let heard = desk.ask(&Ask::new(MessageType::RELEASE, 1).ia(&bound.ias[0]).ia(&bound.ias[1])).unwrap();
    assert_eq!((heard.status, heard.ias.len()), (Some(StatusCode::SUCCESS), 0));
    assert!(desk.disk.is_empty() && desk.server.leases().is_empty());
    assert!(matches!(desk.log.last(), Some(Action::RouteRemove { .. })));
    // It comes back to the same place.
    assert_eq!(desk.bind(&Ask::new(MessageType::SOLICIT, 1).na(1, &[]).pd(1, &[])).usable(), bound.usable());
}

#[test]
fn a_declined_address_is_kept_aside() {
    let limits = Limits { declined: 2, decline_hold: secs(5_000), ..Limits::default() };
    let mut desk = Desk::new(ServerConfig { limits, ..config(vec![lan()]) });
    let mut declined = Vec::new();
    for _ in 0..3 {
        let bound = desk.bind(&Ask::new(MessageType::SOLICIT, 1).na(1, &[]));
        let heard = desk.ask(&Ask::new(MessageType::DECLINE, 1).ia(&bound.ias[0])).unwrap();
        assert_eq!(heard.status, Some(StatusCode::SUCCESS));
        assert!(!declined.contains(&bound.only()));
        declined.push(bound.only());
        desk.pass(secs(1));
    }
    // Two are kept; the first gave way.
    let kept: Vec<_> =
        desk.disk.iter().filter(|l| l.state == LeaseState::Declined).map(|l| l.resource).collect();
    assert!(kept.len() == 2 && !kept.contains(&declined[0]), "{kept:?}");
    assert_eq!(desk.server.counters().declined_evicted, 1);
    desk.pass(secs(5_100));
    assert!(desk.disk.is_empty());
}

#[test]
fn what_ends_is_removed_after_its_end_and_not_before() {
    let mut desk = Desk::lan();
    let bound = desk.bind(&Ask::new(MessageType::SOLICIT, 1).na(1, &[]).pd(1, &[]));
    desk.pass(secs(2_000));
    assert!(bound.usable().iter().all(|resource| desk.disk.get(*resource).is_some()));
    desk.pass(secs(60));
    assert!(desk.disk.is_empty());
    assert_eq!((desk.server.counters().expired, desk.server.routes().count()), (2, 0));
    assert!(matches!(desk.changes().last(), Some(LeaseChange::Remove(_))));
    assert_eq!(desk.server.poll_timeout(), None);
}

#[test]
fn configuration_is_given_to_those_who_ask() {
    let all = [
        OptionCode::DNS_SERVERS,
        OptionCode::DOMAIN_LIST,
        OptionCode::SOL_MAX_RT,
        OptionCode::INF_MAX_RT,
        OptionCode::INFORMATION_REFRESH_TIME,
        OptionCode::CAPTIVE_PORTAL,
    ];
    let mut desk = Desk::lan();
    let inform = Ask { server: None, ..Ask::new(MessageType::INFORMATION_REQUEST, 1) };
    let heard = desk.ask(&inform.clone().oro(&all)).unwrap();
    assert!(all.iter().all(|code| heard.option(*code).is_some()), "{heard:?}");
    assert_eq!(heard.option(OptionCode::INFORMATION_REFRESH_TIME), Some(&86_400_u32.to_be_bytes()[..]));
    let heard = desk.ask(&inform).unwrap();
    assert!(all.iter().all(|code| heard.option(*code).is_none()), "{heard:?}");
    // Without an identity too, and then none comes back.
    let heard = desk.ask(&Ask { client: None, ..inform }.oro(&all[..1])).unwrap();
    assert!(heard.client.is_none() && heard.option(all[0]).is_some());
    // The refresh time belongs to Information-request alone.
    let heard = desk.ask(&Ask::new(MessageType::SOLICIT, 1).na(1, &[]).oro(&all)).unwrap();
    assert_eq!(heard.option(OptionCode::INFORMATION_REFRESH_TIME), None);
    assert!(heard.option(OptionCode::SOL_MAX_RT).is_some());
}

#[test]
fn names_are_kept_and_told_as_rfc_4704_asks() {
    // (flags and name sent, asked for, flags told, name kept)
    for (sent, asked, told, kept) in [
        (&b"\x00\x05hosta"[..], true, Some(3), Some("hosta")),
        (b"\x01\x05hosta", true, Some(1), Some("hosta")),
        (b"\x04\x05hosta", true, Some(4), None),
        (b"\x01\x05hosta", false, None, Some("hosta")),
        (b"\x01\x05hosta\x04home\x04arpa\x00", true, Some(1), Some("hosta.home.arpa")),
        (b"\x01\x40hosta", true, Some(1), None),
    ] {
        let mut desk = Desk::lan();
        let mut ask = Ask::new(MessageType::REQUEST, 1).na(1, &[]).raw(OptionCode::CLIENT_FQDN, sent);
        if asked {
            ask = ask.oro(&[OptionCode::CLIENT_FQDN]);
        }
        let heard = desk.ask(&ask).unwrap();
        assert_eq!(heard.option(OptionCode::CLIENT_FQDN).map(|data| data[0]), told, "{sent:?}");
        assert_eq!(desk.disk.iter().next().unwrap().hostname.as_deref(), kept, "{sent:?}");
    }
}

#[test]
fn what_rfc_9915_section_16_says_to_discard() {
    let other = Some(crate::asking::client_duid(99));
    let ours = Some(server_duid());
    for (ask, reason) in [
        (Ask { client: None, ..Ask::new(MessageType::SOLICIT, 1) }, Discard::NoClientId),
        (Ask { server: ours.clone(), ..Ask::new(MessageType::SOLICIT, 1) }, Discard::ServerId),
        (Ask { server: ours.clone(), ..Ask::new(MessageType::CONFIRM, 1) }, Discard::ServerId),
        (Ask { server: ours, ..Ask::new(MessageType::REBIND, 1) }, Discard::ServerId),
        (Ask { server: None, ..Ask::new(MessageType::REQUEST, 1) }, Discard::NoServerId),
        (Ask { server: None, ..Ask::new(MessageType::RENEW, 1) }, Discard::NoServerId),
        (Ask { server: None, ..Ask::new(MessageType::RELEASE, 1) }, Discard::NoServerId),
        (Ask { server: None, ..Ask::new(MessageType::DECLINE, 1) }, Discard::NoServerId),
        (Ask { server: other.clone(), ..Ask::new(MessageType::REQUEST, 1) }, Discard::OtherServer),
        (Ask { server: other.clone(), ..Ask::new(MessageType::RENEW, 1) }, Discard::OtherServer),
        (Ask { server: other, ..Ask::new(MessageType::INFORMATION_REQUEST, 1) }, Discard::OtherServer),
        (Ask { client: None, ..Ask::new(MessageType::RENEW, 1) }, Discard::NoClientId),
        (Ask::new(MessageType::INFORMATION_REQUEST, 1).na(1, &[]), Discard::Association),
        (Ask::new(MessageType::INFORMATION_REQUEST, 1).pd(1, &[]), Discard::Association),
        (Ask::new(MessageType::ADVERTISE, 1), Discard::Type),
        (Ask::new(MessageType::REPLY, 1), Discard::Type),
        (Ask::new(MessageType::RECONFIGURE, 1), Discard::Type),
        (Ask::new(MessageType(200), 1), Discard::Type),
    ] {
        let mut desk = Desk::lan();
        assert_eq!(desk.ask(&ask), None, "{ask:?}");
        assert_eq!(desk.server.counters().discarded(reason), 1, "{ask:?}");
        assert!(desk.server.leases().is_empty());
    }
    let mut desk = Desk::lan();
    let solicit = Ask::new(MessageType::SOLICIT, 1).na(1, &[]).bytes();
    for (link, source, reason) in [
        ("dmz", "fe80::1", Discard::Link),
        ("lan", "2001:db8::1", Discard::Source),
        ("lan", "::", Discard::Source),
        ("lan", "ff02::1", Discard::Source),
    ] {
        assert_eq!(desk.ask_on(link, source.parse().unwrap(), &solicit), None);
        assert!(desk.server.counters().discarded(reason) > 0, "{source} on {link}");
    }
}

#[test]
fn nothing_left_is_said_for_each_association() {
    let mut link = lan();
    link.addresses = vec![address_pool("2001:db8:0:1::2/127")];
    link.delegation[0].prefix = "2001:db8:0:100::/60".parse().unwrap();
    let mut desk = Desk::new(config(vec![link]));
    for client in 1..=2 {
        desk.bind(&Ask::new(MessageType::SOLICIT, client).na(1, &[]));
    }
    desk.bind(&Ask::new(MessageType::SOLICIT, 1).pd(1, &[]));
    let heard = desk.ask(&Ask::new(MessageType::SOLICIT, 3).na(1, &[]).pd(1, &[])).unwrap();
    let statuses: Vec<_> = heard.ias.iter().map(|ia| ia.status).collect();
    assert_eq!(statuses, [StatusCode::NO_ADDRS_AVAIL, StatusCode::NO_PREFIX_AVAIL]);
    assert_eq!(desk.server.counters().exhausted, 2);
}

#[test]
fn caps_hold() {
    let small = Limits { leases_per_client: 3, leases_per_link: 5, associations: 4, ..Limits::default() };
    let mut desk = Desk::new(ServerConfig { limits: small, ..config(vec![lan()]) });
    let greedy = |client| (0..9).fold(Ask::new(MessageType::REQUEST, client), |ask, iaid| ask.na(iaid, &[]));
    let heard = desk.ask(&greedy(1)).unwrap();
    assert_eq!((heard.ias.len(), heard.usable().len()), (4, 3));
    assert_eq!(desk.ask(&greedy(2)).unwrap().usable().len(), 2);
    assert_eq!(desk.ask(&greedy(3)).unwrap().usable().len(), 0);
    assert_eq!(desk.disk.len(), 5);
    assert!(desk.server.counters().capped >= 3);
    // Those who hold something can still extend it.
    let renew = (0..4).fold(Ask::new(MessageType::RENEW, 1), |ask, iaid| ask.na(iaid, &[]));
    assert_eq!(desk.ask(&renew).map(|heard: Heard| heard.usable().len()), Some(3));
}

#[test]
fn a_client_that_moved_is_told_so_and_gets_what_the_new_link_has() {
    let mut other = Link { name: "guests".into(), ..lan() };
    other.addresses = vec![address_pool("2001:db8:0:2::/64")];
    for kind in [MessageType::RENEW, MessageType::REBIND] {
        let mut desk = Desk::new(config(vec![lan(), other.clone()]));
        let bound = desk.bind(&Ask::new(MessageType::SOLICIT, 1).na(1, &[]));
        let old = bound.only();
        let confirm = Ask::new(MessageType::CONFIRM, 1).ia(&bound.ias[0]).bytes();
        let ask = Ask::new(kind, 1).ia(&bound.ias[0]).bytes();
        let confirmed = desk.ask_on("guests", client_address(1), &confirm).unwrap();
        assert_eq!(confirmed.status, Some(StatusCode::NOT_ON_LINK));
        let heard = desk.ask_on("guests", client_address(1), &ask).unwrap();
        assert!(heard.ias[0].leases.contains(&(old, 0, 0)), "{kind:?}: {heard:?}");
        assert!(other.addresses[0].prefix.contains(&heard.only().net()), "{kind:?}");
        // It may come back; nobody gets what it was promised before.
        assert_eq!(desk.disk.get(old).map(|lease| lease.state), Some(LeaseState::Bound));
    }
}

#[test]
fn the_oldest_offer_gives_way() {
    let limits = Limits { offers: 2, ..Limits::default() };
    let mut link = lan();
    link.addresses = vec![address_pool("2001:db8:0:1::8/125")];
    let mut desk = Desk::new(ServerConfig { limits, ..config(vec![link]) });
    let mut ask = |client: u8, wish: &str| {
        desk.now += secs(1);
        let heard = desk.ask(&Ask::new(MessageType::SOLICIT, client).na(1, &[wish])).unwrap();
        (text(heard.only()), desk.server.counters().offers_evicted)
    };
    let [first, second, third] = ["2001:db8:0:1::8", "2001:db8:0:1::9", "2001:db8:0:1::a"];
    assert_eq!(ask(1, first), (first.to_owned(), 0));
    assert_eq!(ask(2, second), (second.to_owned(), 0));
    // Made again, it takes no room; and then it is the newest.
    assert_eq!(ask(1, first), (first.to_owned(), 0));
    assert_eq!(ask(3, third), (third.to_owned(), 1));
    assert_ne!(ask(4, first).0, first);
    assert_eq!(ask(5, second), (second.to_owned(), 3));
}
