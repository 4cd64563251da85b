//! Each message, by RFC 2131.

use crate::asking::{ANY, Ask, Desk, GATEWAY, LEASE, START, commit, config, hardware, link, secs};
use sixgate_dhcp::lease::LeaseState;
use sixgate_dhcp::v4::{
    Action, Actions, Datagram, Destination, Discard, Limits, Link, LinkError, Roster, Server, ServerConfig,
};
use sixgate_wire::dhcpv4::{BROADCAST, Header, MessageType, OptionCode};
use std::net::Ipv4Addr;
use std::time::Duration;

fn address(last: u8) -> Ipv4Addr {
    Ipv4Addr::new(192, 0, 2, last)
}

fn desk() -> Desk {
    Desk::new(config(vec![link()]))
}

#[test]
fn a_lease_is_given_renewed_released_and_given_again() {
    let mut desk = desk();
    let offer = desk.ask(&Ask::discover(1)).unwrap();
    assert_eq!((offer.kind, offer.lease), (MessageType::OFFER, Some(LEASE)));
    assert!(desk.server.leases().is_empty(), "an offer is no lease");
    let ack = desk.ask(&Ask::select(1, offer.address)).unwrap();
    assert_eq!((ack.kind, ack.address, ack.lease), (MessageType::ACK, offer.address, Some(LEASE)));
    let number = |code| u32::from_be_bytes(ack.options[&code][..].try_into().unwrap());
    assert_eq!(number(OptionCode::RENEWAL_TIME), LEASE / 2);
    assert_eq!(number(OptionCode::REBINDING_TIME), LEASE / 8 * 7);
    assert_eq!(ack.options[&OptionCode::SUBNET_MASK], [255, 255, 255, 0]);
    assert_eq!(ack.options[&OptionCode::ROUTERS], GATEWAY.octets());
    // RFC 2132 section 3.3: the mask before the router.
    let at = |code| ack.order.iter().position(|c| *c == code);
    assert!(at(OptionCode::SUBNET_MASK) < at(OptionCode::ROUTERS));

    desk.pass(secs(1800));
    let renewed = desk.ask(&Ask::renew(1, ack.address)).unwrap();
    assert_eq!((renewed.kind, renewed.address), (MessageType::ACK, ack.address));
    assert_eq!(renewed.header.ciaddr, ack.address);
    assert_eq!(renewed.destination, Destination::Unicast(ack.address));
    let lease = desk.lease_of(1).unwrap();
    assert_eq!((lease.granted_at, lease.renewed_at), (START, START + secs(1800)));
    assert_eq!(lease.valid_until, START + secs(1800 + 3600));

    assert!(desk.ask(&Ask::release(1, ack.address)).is_none());
    assert!(desk.disk.is_empty() && desk.server.leases().is_empty());
    // The same again, and again after it ended by itself.
    assert_eq!(desk.lease(1), ack.address);
    desk.pass(secs(2 * 3600));
    assert_eq!((desk.disk.len(), desk.server.counters().expired), (0, 1));
    assert_eq!(desk.lease(1), ack.address);
}

#[test]
fn a_request_is_answered_by_what_is_known() {
    let mut desk = desk();
    let held = desk.lease(1);
    let other = desk.lease(2);
    let free = (10..20).map(address).find(|a| ![held, other].contains(a)).unwrap();
    for (ask, kind) in [
        // INIT-REBOOT: its own; another's; on another network; the gateway's.
        (Ask::reboot(1, held), MessageType::ACK),
        (Ask::reboot(1, other), MessageType::NAK),
        (Ask::reboot(1, Ipv4Addr::new(198, 51, 100, 1)), MessageType::NAK),
        (Ask::reboot(1, GATEWAY), MessageType::NAK),
        (Ask::reboot(1, address(200)), MessageType::NAK),
        (Ask::renew(1, held), MessageType::ACK),
        (Ask::renew(1, other), MessageType::NAK),
        (Ask::select(4, other), MessageType::NAK),
        // Unknown, and free: the server is the only one, and may have lost its disk.
        (Ask::renew(3, free), MessageType::ACK),
        (Ask::reboot(3, free), MessageType::ACK),
    ] {
        let heard = desk.ask(&ask).unwrap();
        assert_eq!(heard.kind, kind, "{ask:?}");
        if kind == MessageType::NAK {
            assert_eq!((heard.destination, heard.address, heard.lease), (Destination::Broadcast, ANY, None));
            assert!(heard.options.contains_key(&OptionCode::MESSAGE));
        }
    }
    // Free, and the client holds another: it was offered long ago, and a Nak would take away what it has.
    let another = (10..20).map(address).find(|a| ![held, other, free].contains(a)).unwrap();
    assert!(desk.ask(&Ask::select(1, another)).is_none());
    assert_eq!(desk.ask(&Ask::renew(1, another)).unwrap().kind, MessageType::NAK);
    assert_eq!((desk.disk.len(), desk.lease_of(1).unwrap().address), (3, held));
    // What another server offered, it asks that one for.
    let elsewhere = Ask::reboot(1, another).with(OptionCode::SERVER_ID, &[192, 0, 2, 2]);
    assert!(desk.ask(&elsewhere).is_none());
    assert_eq!(desk.server.counters().discarded(Discard::OtherServer), 1);

    // A server that is not the only one is silent about what it does not know, and not about other networks.
    let mut modest = Desk::new(ServerConfig { authoritative: false, ..config(vec![link()]) });
    assert!(modest.ask(&Ask::reboot(1, address(12))).is_none());
    assert!(modest.ask(&Ask::renew(1, address(12))).is_none());
    assert_eq!(modest.server.counters().discarded(Discard::Silent), 2);
    assert_eq!(modest.ask(&Ask::reboot(1, Ipv4Addr::new(10, 0, 0, 1))).unwrap().kind, MessageType::NAK);
    let held = modest.lease(1);
    assert_eq!(modest.ask(&Ask::reboot(1, held)).unwrap().kind, MessageType::ACK);
}

/// RFC 2131 section 4.1.
#[test]
fn answers_go_where_the_client_can_hear_them() {
    let mut desk = Desk::new(config(vec![Link { relays: vec![address(2)], ..link() }]));
    let mac = hardware(1).as_ethernet().unwrap();
    let offer = desk.ask(&Ask::discover(1)).unwrap();
    assert_eq!(offer.destination, Destination::LinkLayer { address: offer.address, hardware: mac });
    let flags = |ask: Ask| Ask { header: Header { flags: BROADCAST, ..ask.header }, ..ask };
    let heard = desk.ask(&flags(Ask::discover(1))).unwrap();
    assert_eq!((heard.destination, heard.header.flags), (Destination::Broadcast, BROADCAST));
    // An address that is not on the link is no destination, whoever writes it.
    let far = Ipv4Addr::new(198, 51, 100, 7);
    let heard = desk.ask(&Ask::discover(1).at(far)).unwrap();
    assert_eq!(heard.destination, Destination::LinkLayer { address: offer.address, hardware: mac });

    // Through a relay agent that is known: what it wrote goes back, at the end; a Nak is to be broadcast.
    let relayed = |ask: Ask, giaddr| {
        let ask = ask.with(OptionCode::RELAY_AGENT_INFORMATION, b"\x01\x04eth7").capable();
        Ask { header: Header { giaddr, hops: 1, ..ask.header }, ..ask }
    };
    let heard = desk.ask_on("backbone", &relayed(Ask::discover(1), address(2))).unwrap();
    assert_eq!((heard.destination, heard.header.giaddr), (Destination::Relay(address(2)), address(2)));
    assert_eq!(heard.destination.port(), 67);
    assert_eq!(heard.order.last(), Some(&OptionCode::RELAY_AGENT_INFORMATION));
    assert_eq!(heard.options[&OptionCode::RELAY_AGENT_INFORMATION], b"\x01\x04eth7");
    let heard = desk.ask(&relayed(Ask::reboot(1, far), address(2))).unwrap();
    assert_eq!((heard.kind, heard.header.flags), (MessageType::NAK, BROADCAST));
    // Through one that is not.
    assert!(desk.ask(&relayed(Ask::discover(1), address(3))).is_none());
    assert_eq!(desk.server.counters().discarded(Discard::Relayed), 1);
    // No other link than those served.
    assert!(desk.ask_on("wan", &Ask::discover(1)).is_none());
    assert_eq!(desk.server.counters().discarded(Discard::Link), 1);
}

#[test]
fn inform_is_told_everything_but_an_address() {
    let full = Link {
        domain: Some("home.arpa".into()),
        search: vec!["home.arpa".into()],
        mtu: Some(1480),
        captive_portal: Some("https://portal.example/api".into()),
        ..link()
    };
    let mut desk = Desk::new(config(vec![full]));
    let ask = Ask::new(MessageType::INFORM, 1).at(address(77));
    let ask = ask.with(OptionCode::PARAMETER_REQUEST_LIST, &[1, 3, 6, 15, 26, 28, 114, 119]);
    let heard = desk.ask(&ask).unwrap();
    assert_eq!((heard.kind, heard.address, heard.lease), (MessageType::ACK, ANY, None));
    assert_eq!(heard.destination, Destination::Unicast(address(77)));
    for (code, data) in [
        (OptionCode::DNS_SERVERS, &GATEWAY.octets()[..]),
        (OptionCode::DOMAIN_NAME, b"home.arpa"),
        (OptionCode::MTU, &[5, 200]),
        (OptionCode::BROADCAST_ADDRESS, &[192, 0, 2, 255]),
        (OptionCode::CAPTIVE_PORTAL, b"https://portal.example/api"),
        (OptionCode::DOMAIN_SEARCH, b"\x04home\x04arpa\0"),
    ] {
        assert_eq!(heard.options[&code], data, "{code}");
    }
    // The answer goes to where the question says: never off the link.
    assert!(desk.ask(&Ask::new(MessageType::INFORM, 1).at(Ipv4Addr::new(198, 51, 100, 1))).is_none());
    assert!(desk.ask(&Ask::new(MessageType::INFORM, 1)).is_none());
    assert_eq!(desk.server.counters().discarded(Discard::OffLink), 2);
    assert!(desk.disk.is_empty());
}

#[test]
fn what_does_not_fit_is_left_out() {
    let long = "https://portal.example/".to_owned() + &"x".repeat(400);
    let mut desk =
        Desk::new(config(vec![Link { captive_portal: Some(long), domain: Some("a".into()), ..link() }]));
    let ask = Ask::discover(1).with(OptionCode::PARAMETER_REQUEST_LIST, &[1, 3, 6, 15, 114]);
    let heard = desk.ask(&ask).unwrap();
    assert!(
        !heard.options.contains_key(&OptionCode::CAPTIVE_PORTAL),
        "548 octets are all that every client takes"
    );
    assert!(heard.options.contains_key(&OptionCode::DOMAIN_NAME));
    let heard = desk.ask(&ask.clone().with(OptionCode::MAX_MESSAGE_SIZE, &1500_u16.to_be_bytes())).unwrap();
    assert!(heard.options.contains_key(&OptionCode::CAPTIVE_PORTAL));
    // What a relay agent wrote has precedence.
    let relayed = ask.with(OptionCode::RELAY_AGENT_INFORMATION, &[1; 250]);
    let heard = desk.ask(&relayed).unwrap();
    assert_eq!(heard.options[&OptionCode::RELAY_AGENT_INFORMATION].len(), 250);
    // More than fits at all.
    let relayed = Ask::discover(1).with(OptionCode::RELAY_AGENT_INFORMATION, &[1; 350]);
    assert!(desk.ask(&relayed).is_none());
    assert_eq!(desk.server.counters().discarded(Discard::TooLong), 1);
}

#[test]
fn a_declined_address_is_given_to_nobody_for_a_while() {
    let mut desk = desk();
    let bad = desk.lease(1);
    // Only who holds it can decline it.
    assert!(desk.ask(&Ask::decline(2, bad)).is_none());
    assert_eq!(desk.server.counters().discarded(Discard::NotHeld), 1);
    assert!(desk.ask(&Ask::decline(1, bad)).is_none());
    assert_eq!(desk.disk.get(bad).unwrap().state, LeaseState::Declined);
    let other = desk.lease(1);
    assert_ne!(other, bad);
    assert_eq!(desk.ask(&Ask::select(2, bad)).unwrap().kind, MessageType::NAK);
    // One client cannot use up the pool: a quarter of it is set aside, and the first of those comes back.
    for _ in 0..20 {
        let address = desk.lease(1);
        desk.ask(&Ask::decline(1, address));
    }
    assert_eq!(desk.server.leases().declined().count(), 2);
    assert!(desk.server.counters().declined_evicted >= 18);
    desk.pass(Limits::default().decline_hold + secs(10));
    assert_eq!((desk.disk.len(), desk.server.leases().declined().count()), (0, 0));
    assert_eq!(desk.lease(1), bad);

    // Seen in somebody else's ARP: not offered. What is leased stays with its holder.
    let mut actions = Actions::new();
    desk.server.conflict(desk.now, bad, hardware(9), &mut actions);
    assert!(actions.is_empty());
    desk.ask(&Ask::release(1, bad));
    desk.server.conflict(desk.now, bad, hardware(9), &mut actions);
    let (ticket, _) = commit(&actions);
    desk.server.committed(ticket, &mut Actions::new());
    assert_ne!(desk.lease(1), bad);
    desk.server.conflict(desk.now, GATEWAY, hardware(9), &mut actions);
    assert_eq!(actions.len(), 1, "what is not given needs no keeping");
}

/// The pool is another: the old address is not extended, and kept from others until its holder cannot rely on
/// it.
#[test]
fn who_is_renumbered_moves() {
    let mut desk = desk();
    let old = desk.lease(1);
    let next = || link().with_pool(address(30), address(39)).unwrap();
    desk.server.set_links(vec![next()]);
    assert_eq!(desk.ask(&Ask::renew(1, old)).unwrap().kind, MessageType::NAK);
    let new = desk.lease(1);
    assert!((30..40).map(address).any(|a| a == new));
    assert_eq!(desk.disk.get(old).unwrap().state, LeaseState::Retired);
    // The old pool comes back: nobody else gets the old address, and its holder may.
    desk.server.set_links(vec![link()]);
    assert_eq!(desk.ask(&Ask::reboot(2, old)).unwrap().kind, MessageType::NAK);
    assert_eq!(desk.ask(&Ask::select(1, old)).unwrap().kind, MessageType::ACK);
    assert_eq!(
        (desk.lease_of(1).unwrap().address, desk.disk.get(new).unwrap().state),
        (old, LeaseState::Retired)
    );
    desk.pass(secs(3700));
    assert!(desk.disk.is_empty());
}

/// Even where there is no room for more leases: who moves makes room for itself.
#[test]
fn a_full_house_can_be_renumbered() {
    let limits = Limits { leases: 3, ..Limits::default() };
    let mut desk = Desk::new(ServerConfig { limits, ..config(vec![link()]) });
    let old: Vec<_> = (0..3).map(|client| desk.lease(client)).collect();
    assert!(desk.ask(&Ask::discover(3)).is_none());
    desk.server.set_links(vec![link().with_pool(address(30), address(39)).unwrap()]);
    for client in 0..3 {
        assert!(!old.contains(&desk.lease(client)));
    }
    assert_eq!(desk.disk.len(), 3);
}

#[test]
fn rapid_commit_takes_two_messages() {
    let mut desk = desk();
    let quick = |client| Ask::discover(client).with(OptionCode::RAPID_COMMIT, &[]);
    let heard = desk.ask(&quick(1)).unwrap();
    assert_eq!((heard.kind, heard.lease), (MessageType::ACK, Some(LEASE)));
    assert!(heard.options.contains_key(&OptionCode::RAPID_COMMIT));
    assert_eq!(desk.lease_of(1).unwrap().address, heard.address);
    let mut slow = Desk::new(ServerConfig { rapid_commit: false, ..config(vec![link()]) });
    assert_eq!(slow.ask(&quick(1)).unwrap().kind, MessageType::OFFER);
}

#[test]
fn who_a_client_is() {
    let mut desk = desk();
    let held = desk.lease(1);
    // The same hardware address as identifier is the same client, and gets it back (RFC 6842).
    let mac = [1, 2, 0, 0, 0, 0, 1];
    let heard = desk.ask(&Ask::renew(1, held).with(OptionCode::CLIENT_ID, &mac)).unwrap();
    assert_eq!((heard.kind, &heard.options[&OptionCode::CLIENT_ID][..]), (MessageType::ACK, &mac[..]));
    // Another identifier is another client, with the same card.
    let other = Ask::discover(1).with(OptionCode::CLIENT_ID, b"\0virtual");
    assert_ne!(desk.ask(&other).unwrap().address, held);
    // Another card with the same identifier is the same client.
    let moved = Ask::discover(2).with(OptionCode::CLIENT_ID, &mac);
    assert_eq!(desk.ask(&moved).unwrap().address, held);
    assert!(!desk.ask(&Ask::discover(2)).unwrap().options.contains_key(&OptionCode::CLIENT_ID));
    // Names: only what could be a host's.
    for (data, name) in [(&b"pc"[..], Some("pc")), (b"pc.lan\0", Some("pc.lan")), (b"p c", None), (b"", None)]
    {
        let mut desk = Desk::new(config(vec![link()]));
        let named = Ask::discover(1).with(OptionCode::RAPID_COMMIT, &[]).with(OptionCode::HOST_NAME, data);
        desk.ask(&named).unwrap();
        assert_eq!(desk.lease_of(1).unwrap().hostname.as_deref(), name);
    }
    for (data, name) in [(&b"\x04\0\0\x02pc\x03lan\0"[..], "pc.lan"), (b"\x01\0\0laptop", "laptop")] {
        let named = Ask::discover(3).with(OptionCode::RAPID_COMMIT, &[]).with(OptionCode::CLIENT_FQDN, data);
        desk.ask(&named).unwrap();
        assert_eq!(desk.lease_of(3).unwrap().hostname.as_deref(), Some(name));
    }
    // Who wants no name in DNS (RFC 4702 section 2.1) has none.
    let nameless = Ask::discover(4).with(OptionCode::RAPID_COMMIT, &[]);
    desk.ask(&nameless.with(OptionCode::CLIENT_FQDN, b"\x08\0\0laptop")).unwrap();
    assert_eq!(desk.lease_of(4).unwrap().hostname, None);
}

#[test]
fn pools_run_out_and_what_was_only_offered_gives_way() {
    let mut desk = desk();
    for client in 0..10 {
        desk.ask(&Ask::discover(client)).unwrap();
    }
    // All ten are offered; an eleventh is offered one of them, and who asks first has it.
    let contested = desk.ask(&Ask::discover(10)).unwrap().address;
    assert_eq!(desk.ask(&Ask::select(10, contested)).unwrap().kind, MessageType::ACK);
    let bound = (0..10).filter(|client| {
        let offer = desk.ask(&Ask::discover(*client));
        offer.is_some_and(|o| desk.ask(&Ask::select(*client, o.address)).unwrap().kind == MessageType::ACK)
    });
    assert_eq!(bound.count(), 9);
    assert_eq!(desk.disk.len(), 10);
    assert!(desk.server.counters().discarded(Discard::Exhausted) > 0);

    let few = Limits { leases: 3, offers: 2, ..Limits::default() };
    let mut desk = Desk::new(ServerConfig { limits: few, ..config(vec![link()]) });
    for client in 0..5 {
        if let Some(offer) = desk.ask(&Ask::discover(client)) {
            desk.ask(&Ask::select(client, offer.address));
        }
    }
    assert_eq!(desk.disk.len(), 3);
    assert_eq!(desk.server.counters().discarded(Discard::Capped), 2);
    // Not even one that it remembers.
    assert!(desk.ask(&Ask::reboot(7, address(10))).is_none_or(|heard| heard.kind == MessageType::NAK));
    let mut desk = Desk::new(ServerConfig { limits: few, ..config(vec![link()]) });
    for client in 0..9 {
        desk.ask(&Ask::discover(client)).unwrap();
    }
    assert_eq!(desk.server.counters().offers_evicted, 7);
}

/// Durable before visible, two clients a microsecond apart, and a disk that fails.
#[test]
fn nothing_is_told_that_is_not_on_the_disk() {
    let mut server = Server::new(config(vec![link()]), Vec::new(), Roster::default());
    let send = |server: &mut Server, now: Duration, ask: &Ask| {
        let mut actions = Actions::new();
        let datagram = Datagram { link: "lan", source: ANY, bytes: &ask.bytes() };
        server.handle(now, &datagram, &mut actions);
        actions
    };
    let wanted = address(15);
    let first = send(&mut server, START, &Ask::select(1, wanted));
    let (ticket, changes) = commit(&first);
    assert_eq!((first.len(), changes.len()), (1, 1), "no Ack before the disk has it");
    // A microsecond later another wants the same, and the first sends again.
    let later = START + Duration::from_micros(1);
    let second = send(&mut server, later, &Ask::select(2, wanted));
    assert!(matches!(&second[..], [Action::Reply(reply)] if reply.destination == Destination::Broadcast));
    assert!(send(&mut server, later, &Ask::select(1, wanted)).is_empty());
    assert_eq!(server.counters().discarded(Discard::Committing), 1);
    // The disk fails: nobody has it. Until the disk has taken what the server holds, nothing is given.
    server.commit_failed(later, ticket);
    assert!(server.leases().is_empty());
    assert!(send(&mut server, later, &Ask::select(2, wanted)).is_empty());
    assert_eq!(server.counters().discarded(Discard::Store), 1);
    let due = server.poll_timeout().unwrap();
    let mut actions = Actions::new();
    server.handle_timeout(due, &mut actions);
    let (mending, changes) = commit(&actions);
    assert_eq!(changes, [sixgate_dhcp::v4::LeaseChange::Remove(wanted)]);
    server.committed(mending, &mut Actions::new());
    let third = send(&mut server, due, &Ask::select(2, wanted));
    let (ticket, _) = commit(&third);
    let mut actions = Actions::new();
    server.committed(ticket, &mut actions);
    assert!(matches!(&actions[..], [Action::Reply(_)]));
    server.committed(ticket, &mut actions);
    assert_eq!(actions.len(), 1, "once");
}

#[test]
fn rubbish_is_counted_and_dropped() {
    let mut desk = desk();
    let mut raw = |bytes: &[u8], reason| {
        let before = desk.server.counters().discarded(reason);
        let mut actions = Actions::new();
        desk.server.handle(START, &Datagram { link: "lan", source: ANY, bytes }, &mut actions);
        assert!(actions.is_empty());
        assert_eq!(desk.server.counters().discarded(reason), before + 1, "{reason:?}");
    };
    raw(b"", Discard::Malformed);
    raw(&[0; 300], Discard::Malformed);
    let mut reply = Ask::discover(1);
    reply.header.op = 2;
    raw(&reply.bytes(), Discard::Type);
    raw(&Ask::new(MessageType::OFFER, 1).bytes(), Discard::Type);
    raw(&Ask::discover(1).with(OptionCode::CLIENT_ID, &[1]).bytes(), Discard::Malformed);
    raw(&Ask::new(MessageType::REQUEST, 1).bytes(), Discard::Malformed);
    let mut anonymous = Ask::discover(1);
    anonymous.header.hardware = sixgate_wire::dhcpv4::Hardware::new(32, &[]).unwrap();
    raw(&anonymous.bytes(), Discard::NoClientId);
    let mut names: Vec<_> = Discard::ALL.iter().map(|reason| reason.name()).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), Discard::ALL.len());
}

#[test]
fn links_that_cannot_be_served_say_why() {
    let net = |text: &str| text.parse().unwrap();
    for text in ["192.0.2.0/24", "192.0.2.255/24"] {
        let error = Link::new("lan", net(text)).unwrap_err();
        assert!(matches!(error, LinkError::Server { .. }) && error.to_string().contains("host"), "{error}");
    }
    for (first, last) in [(20, 10), (0, 10), (10, 255)] {
        assert!(matches!(link().with_pool(address(first), address(last)), Err(LinkError::Pool { .. })));
    }
    // Of two addresses of a /30 the gateway has one.
    let mut desk = Desk::new(config(vec![Link::new("lan", net("192.0.2.1/30")).unwrap()]));
    assert_eq!(desk.lease(1), address(2));
    assert!(desk.ask(&Ask::discover(2)).is_none());
}
