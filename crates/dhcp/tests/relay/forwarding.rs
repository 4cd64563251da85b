//! From clients to servers.

use crate::bench::*;
use sixgate_dhcp::relay::{Actions, Discard, FromLink, Limits};
use sixgate_wire::dhcpv6::{MessageType, RelayMessage};

/// RFC 9915 section 19.1.1.
#[test]
fn a_clients_message_goes_to_each_server_as_it_is() {
    let mut relay = relay(config());
    let message = solicit();
    let actions = from(&mut relay, "lan", &message);
    assert_eq!(sent(&actions).iter().map(|(to, _)| *to).collect::<Vec<_>>(), [server(), ip("2001:db8::548")]);
    let bytes = forward(&actions);
    let outer = RelayMessage::parse(&bytes).unwrap();
    assert_eq!((outer.kind(), outer.hop_count()), (MessageType::RELAY_FORWARD, 0));
    assert_eq!((outer.link_address(), outer.peer_address()), (ip("2001:db8:1::1"), client()));
    assert_eq!(outer.options().raw().map(|(_, data)| data.to_vec()).collect::<Vec<_>>(), [message]);
    assert_eq!(relay.counters().forwarded, 1);
}

/// RFC 9915 section 19.1.1: where the address does not tell the link, Interface-Id must.
#[test]
fn interface_id_stands_where_the_address_does_not_tell_the_link() {
    let mut relay = relay(config());
    let bytes = forward(&from(&mut relay, "line", &solicit()));
    assert_eq!(told(&bytes), [(18, b"line".to_vec())]);
    assert_eq!(RelayMessage::parse(&bytes).unwrap().link_address(), ip("fe80::2"));
}

/// RFC 9915 section 21.18, RFC 4649, RFC 4580, RFC 6939 section 4, RFC 5460 section 5.4.1, RFC 8357 section
/// 5.2.
#[test]
fn options_are_told_as_configured_and_no_others() {
    let mut full = config_with(|link| {
        link.interface_id = Some(b"id".to_vec());
        link.remote_id = Some((32_473, b"remote".to_vec()));
        link.subscriber_id = Some(b"sub".to_vec());
        link.client_link_layer = true;
    });
    full.relay_id = Some(duid(9));
    full.port = 5547;
    full.links.truncate(1);
    let mut relay = relay(full);
    let expected = vec![
        (18, b"id".to_vec()),
        (37, [&[0, 0, 0x7e, 0xd9], &b"remote"[..]].concat()),
        (38, b"sub".to_vec()),
        (79, [&[0, 1], &MAC[..]].concat()),
        (53, duid(9).as_bytes().to_vec()),
        (135, vec![0, 0]),
    ];
    assert_eq!(told(&forward(&from(&mut relay, "lan", &solicit()))), expected);
}

/// RFC 6939 section 5: of a client whose frame we saw, and of nobody else; without the frame nothing is made
/// up.
#[test]
fn the_link_layer_address_is_the_frames_and_the_first_hops() {
    let mut relay = relay(config_with(|link| link.client_link_layer = true));
    let message = solicit();
    let mut actions = Actions::new();
    let unknown = FromLink {
        link: "lan",
        source: ip("fe80::200:5eff:fe10:7"),
        port: 546,
        link_layer: None,
        bytes: &message,
    };
    relay.handle_from_link(NOW, &unknown, &mut actions);
    assert_eq!(told(&forward(&actions)), []);
    assert_eq!(relay.counters().link_layer_unknown, 1);
    let inner = wrap(MessageType::RELAY_FORWARD, 0, ("2001:db8:2::1", "fe80::d"), &message, |_| ());
    assert_eq!(told(&forward(&from_at(&mut relay, NOW, "lan", ip("fe80::a"), &inner))), []);
}

/// RFC 9915 section 19.1.2.
#[test]
fn another_relay_agents_message_gets_another_layer() {
    let mut relay = relay(config_with(|link| link.subscriber_id = Some(b"not the first hop".to_vec())));
    let inner =
        |hops| wrap(MessageType::RELAY_FORWARD, hops, ("2001:db8:2::1", "fe80::d"), &solicit(), |_| ());
    // By its address on the link: link-address says where that is. By one that is good everywhere: it need
    // not be said.
    for (source, link_address) in [("fe80::a", "2001:db8:1::1"), ("2001:db8:9::5", "::")] {
        let bytes = forward(&from_at(&mut relay, NOW, "lan", ip(source), &inner(3)));
        let outer = RelayMessage::parse(&bytes).unwrap();
        assert_eq!((outer.hop_count(), outer.peer_address()), (4, ip(source)));
        assert_eq!(outer.link_address(), ip(link_address));
        assert_eq!(told(&bytes), [], "what is told of a client is the first hop's to tell");
    }
    assert_eq!(relay.counters().forwarded_nested, 2);
    let bytes = forward(&from_at(&mut relay, NOW, "lan", ip("fe80::a"), &inner(7)));
    assert_eq!(RelayMessage::parse(&bytes).unwrap().hop_count(), 8);
    let actions = from_at(&mut relay, NOW, "lan", ip("fe80::a"), &inner(8));
    assert_discarded(&relay, &actions, Discard::Hops);
}

/// RFC 8357 section 5.2: the port of a relay agent that says it has its own comes back to us with the answer.
#[test]
fn a_downstream_port_is_remembered_in_the_message() {
    use sixgate_wire::dhcpv6::OptionCode;
    let mut relay = relay(config());
    let inner = |says| {
        wrap(MessageType::RELAY_FORWARD, 0, ("2001:db8:2::1", "fe80::d"), &solicit(), |out| {
            if says {
                out.option(OptionCode::RELAY_PORT, &[0, 0]);
            }
        })
    };
    for (says, port, expected) in [
        (true, 5547, vec![(135, 5547_u16.to_be_bytes().to_vec())]),
        (true, 547, vec![]),
        (false, 5547, vec![]),
    ] {
        let bytes = inner(says);
        let mut actions = Actions::new();
        let datagram = FromLink { link: "lan", source: ip("fe80::a"), port, link_layer: None, bytes: &bytes };
        relay.handle_from_link(NOW, &datagram, &mut actions);
        assert_eq!(told(&forward(&actions)), expected, "{says} {port}");
    }
}

/// RFC 9915 section 19.1 and RFC 7283: what clients send to servers, and what nobody knows yet.
#[test]
fn types_of_messages() {
    for kind in 0..=255 {
        let mut relay = relay(config());
        let actions = from(&mut relay, "lan", &message(MessageType(kind), |_| ()));
        let passes = matches!(kind, 1 | 3..=6 | 8 | 9 | 11 | 20 | 36 | 0 | 38..);
        if passes {
            assert_eq!(sent(&actions).len(), 2, "{kind}");
            continue;
        }
        let reason = match kind {
            12 => Discard::Untrusted,
            13 => Discard::Forged,
            _ => Discard::Type,
        };
        assert_discarded(&relay, &actions, reason);
    }
    // A type that nobody knows need not have the form that we know.
    let mut relay = relay(config());
    assert_eq!(sent(&from(&mut relay, "lan", &[200, 1, 2, 3, 0, 9, 0xff, 0xff])).len(), 2);
    let actions = from(&mut relay, "lan", &[1, 1, 2, 3, 0, 9, 0xff, 0xff]);
    assert_discarded(&relay, &actions, Discard::Malformed);
}

#[test]
fn malformed_and_empty_messages_go_nowhere() {
    for bytes in [&[][..], &[1], &[1, 2, 3], &[200], &[1, 0, 0, 0, 0], &[1, 0, 0, 0, 0, 1, 0, 9, 1]] {
        let mut relay = relay(config());
        let actions = from(&mut relay, "lan", bytes);
        assert_discarded(&relay, &actions, Discard::Malformed);
    }
}

#[test]
fn sources_and_links() {
    // Link-local, or of the link; RFC 9686 section 4.2 registers from the address itself.
    for source in ["fe80::c", "2001:db8:1::c"] {
        assert_eq!(
            sent(&from_at(&mut relay(config()), NOW, "lan", ip(source), &solicit())).len(),
            2,
            "{source}"
        );
    }
    for source in ["::", "::1", "2001:db8:2::c", "ff02::1", "2001:db8:9::5"] {
        let mut relay = relay(config());
        let actions = from_at(&mut relay, NOW, "lan", ip(source), &solicit());
        assert_discarded(&relay, &actions, Discard::Source);
    }
    let mut relay = relay(config());
    let actions = from(&mut relay, "elsewhere", &solicit());
    assert_discarded(&relay, &actions, Discard::Link);
}

/// Trust is a link's: who may relay on one may not on another.
#[test]
fn relay_forward_is_taken_from_trusted_agents_alone() {
    let inner = wrap(MessageType::RELAY_FORWARD, 0, ("2001:db8:2::1", "fe80::d"), &solicit(), |_| ());
    for (link, source) in [("lan", "fe80::c"), ("lan", "2001:db8:1::a"), ("line", "fe80::a")] {
        let mut relay = relay(config());
        let actions = from_at(&mut relay, NOW, link, ip(source), &inner);
        assert_discarded(&relay, &actions, Discard::Untrusted);
    }
}

#[test]
fn what_would_be_too_long_is_dropped() {
    let long = message(MessageType::SOLICIT, |_| ());
    let with = |content: usize| {
        let mut bytes = long.clone();
        bytes.extend([0, 16]);
        bytes.extend((content as u16).to_be_bytes());
        bytes.resize(bytes.len() + content, 0);
        bytes
    };
    let fits = 65_527 - 34 - 4 - long.len() - 4;
    assert_eq!(forward(&from(&mut relay(config()), "lan", &with(fits))).len(), 65_527);
    let mut relay = relay(config());
    let actions = from(&mut relay, "lan", &with(fits + 1));
    assert_discarded(&relay, &actions, Discard::TooLong);
}

/// One that floods does not silence the others on its link, and a link not the others.
#[test]
fn a_flood_is_cut_and_hits_nobody_else() {
    let mut limited = config();
    limited.limits = Limits { rate: 100, ..Limits::default() };
    let mut relay = relay(limited);
    let passed = (0..5_000).filter(|_| !from(&mut relay, "lan", &solicit()).is_empty()).count();
    assert_eq!(passed, 10);
    assert_eq!(sent(&from_at(&mut relay, NOW, "lan", ip("fe80::d"), &solicit())).len(), 2);
    for n in 0..5_000_u128 {
        from_at(&mut relay, NOW, "lan", (u128::from(client()) + n).into(), &solicit());
    }
    assert_eq!(relay.counters().forwarded, 100);
    assert_eq!(relay.counters().discarded(Discard::Rate), 5_000 + 5_000 + 1 - 100);
    assert_eq!(sent(&from(&mut relay, "line", &solicit())).len(), 1);
}

/// A server that says nothing is known by it; one that does not answer once is not.
#[test]
fn silence_is_noticed() {
    let mut relay = relay(config());
    for _ in 0..3 {
        from(&mut relay, "lan", &solicit());
    }
    to(&mut relay, &answer(&solicit()));
    from(&mut relay, "lan", &solicit());
    let silent: Vec<_> = relay.servers().map(|(server, contact)| (server.address, contact.silent)).collect();
    assert_eq!(silent, [(server(), Some((NOW, 1))), (ip("2001:db8::548"), Some((NOW, 4)))]);
    let counted: Vec<_> = relay.servers().map(|(_, contact)| (contact.sent, contact.delivered)).collect();
    assert_eq!(counted, [(4, 1), (4, 0)]);
}
