//! From servers to clients.

use crate::bench::*;
use sixgate_dhcp::relay::{Actions, Discard, FromServer, Server};
use sixgate_wire::dhcpv6::{MessageType, OptionCode};

/// RFC 9915 section 19.2: to the peer-address, unchanged, whatever its type.
#[test]
fn what_is_inside_goes_to_the_client_as_it_is() {
    for kind in (0..=255).filter(|kind| ![12, 13].contains(kind)) {
        let mut relay = relay(config());
        let inner = message(MessageType(kind), |_| ());
        let actions = to(&mut relay, &answer(&inner));
        assert_eq!(delivered(&actions), [("lan".to_owned(), client(), 546, inner)]);
        assert_eq!(relay.counters().delivered, 1);
    }
    // It need not be one that we can read.
    let inner = vec![2, 0, 0, 0, 0, 1, 0xff];
    assert_eq!(delivered(&to(&mut relay(config()), &answer(&inner)))[0].3, inner);
}

/// RFC 9915 section 19.2: Interface-Id before link-address.
#[test]
fn the_link_is_found() {
    let with = |link: &str, id: Option<&[u8]>| {
        wrap(MessageType::RELAY_REPLY, 0, (link, "fe80::c"), &solicit(), |out| {
            if let Some(id) = id {
                out.option(OptionCode::INTERFACE_ID, id);
            }
        })
    };
    let named = || config_with(|link| link.interface_id = (&*link.name == "lan").then(|| b"port 1".to_vec()));
    for (config, link, id, expected) in [
        (config(), "2001:db8:1::1", None, Some("lan")),
        // Of an address that we had before.
        (config(), "2001:db8:1::2", None, Some("lan")),
        (config(), "fe80::2", Some(&b"line"[..]), Some("line")),
        (config(), "2001:db8:1::1", Some(b"line"), Some("line")),
        (named(), "::", Some(b"port 1"), Some("lan")),
        (named(), "2001:db8:1::1", Some(b"lan"), None),
        (config(), "2001:db8:7::1", None, None),
        (config(), "::", None, None),
        (config(), "2001:db8:1::1", Some(b""), None),
    ] {
        let mut relay = relay(config);
        let actions = to(&mut relay, &with(link, id));
        match expected {
            Some(expected) => assert_eq!(delivered(&actions)[0].0, expected),
            None => assert_discarded(&relay, &actions, Discard::NoLink),
        }
    }
}

/// RFC 9915 section 19.2 and RFC 8357 section 5.2: to another relay agent, at its port.
#[test]
fn a_relay_reply_inside_goes_to_the_relay_agent() {
    let inner = wrap(MessageType::RELAY_REPLY, 0, ("2001:db8:2::1", "fe80::d"), &solicit(), |_| ());
    for (link, peer, told, port) in [
        ("2001:db8:1::1", "fe80::a", None, 547),
        ("::", "2001:db8:9::5", None, 547),
        ("2001:db8:1::1", "fe80::a", Some([0, 0]), 547),
        ("2001:db8:1::1", "fe80::a", Some(5547_u16.to_be_bytes()), 5547),
    ] {
        let mut relay = relay(config());
        let bytes = wrap(MessageType::RELAY_REPLY, 1, (link, peer), &inner, |out| {
            if let Some(told) = told {
                out.option(OptionCode::RELAY_PORT, &told);
            }
        });
        let expected = ("lan".to_owned(), ip(peer), port, inner.clone());
        assert_eq!(delivered(&to(&mut relay, &bytes)), [expected]);
        assert_eq!((relay.counters().delivered_nested, relay.counters().delivered), (1, 0));
    }
    // A port is a relay agent's: clients have theirs.
    let bytes = wrap(MessageType::RELAY_REPLY, 0, ("2001:db8:1::1", "fe80::c"), &solicit(), |out| {
        out.option(OptionCode::RELAY_PORT, &5547_u16.to_be_bytes());
    });
    assert_eq!(delivered(&to(&mut relay(config()), &bytes))[0].2, 546);
}

#[test]
fn servers_alone_are_believed_and_each_for_its_links() {
    let mut relay = relay(config());
    let actions = to_at(&mut relay, NOW, ip("2001:db8::666"), &answer(&solicit()));
    assert_discarded(&relay, &actions, Discard::Server);
    // The second serves `lan` alone.
    let bytes = wrap(MessageType::RELAY_REPLY, 0, ("::", "fe80::c"), &solicit(), |out| {
        out.option(OptionCode::INTERFACE_ID, b"line");
    });
    let actions = to_at(&mut relay, NOW, ip("2001:db8::548"), &bytes);
    assert_discarded(&relay, &actions, Discard::Server);
    assert_eq!(delivered(&to(&mut relay, &bytes)).len(), 1);
}

/// From a server's address, but by a link whose clients are relayed.
#[test]
fn nothing_from_a_server_comes_by_a_clients_link() {
    let mut relay = relay(config());
    let mut actions = Actions::new();
    let bytes = answer(&solicit());
    relay.handle_from_server(
        NOW,
        &FromServer { source: server(), interface: 2, bytes: &bytes },
        &mut actions,
    );
    assert_discarded(&relay, &actions, Discard::Forged);
}

/// Who answers for a group is anybody on its interface; a link-local server is one on its interface alone.
#[test]
fn interfaces_of_servers() {
    for (server, source, interface, heard) in [
        ("ff05::1:3", "2001:db8::9", 9, true),
        ("ff05::1:3", "2001:db8::9", 8, false),
        ("fe80::5", "fe80::5", 9, true),
        ("fe80::5", "fe80::5", 8, false),
        ("fe80::5", "fe80::6", 9, false),
    ] {
        let server = Server { address: ip(server), interface: Some(9) };
        let mut relay = relay(config_with(|link| link.servers = vec![server]));
        let (mut actions, bytes) = (Actions::new(), answer(&solicit()));
        relay.handle_from_server(
            NOW,
            &FromServer { source: ip(source), interface, bytes: &bytes },
            &mut actions,
        );
        assert_eq!(!actions.is_empty(), heard, "{source} {interface}");
    }
}

#[test]
fn what_is_no_answer_is_dropped() {
    let empty = {
        let mut bytes = answer(&solicit());
        bytes.truncate(34);
        bytes
    };
    for (bytes, reason) in [
        (solicit(), Discard::NoReply),
        (
            wrap(MessageType::RELAY_FORWARD, 0, ("2001:db8:1::1", "fe80::c"), &solicit(), |_| ()),
            Discard::NoReply,
        ),
        (empty, Discard::NoReply),
        (answer(&[]), Discard::NoReply),
        (vec![13, 0, 0], Discard::Malformed),
        (vec![], Discard::Malformed),
    ] {
        let mut relay = relay(config());
        let actions = to(&mut relay, &bytes);
        assert_discarded(&relay, &actions, reason);
    }
}

/// We are nobody's means to send to others: neither a server's, nor of somebody who has its address.
#[test]
fn it_delivers_on_the_link_alone() {
    let nested = wrap(MessageType::RELAY_REPLY, 0, ("2001:db8:2::1", "fe80::d"), &solicit(), |_| ());
    for (peer, inner) in [
        ("2001:db8:2::1", solicit()),
        ("ff02::1", solicit()),
        ("::", solicit()),
        ("::1", solicit()),
        // No relay agent that is trusted.
        ("fe80::c", nested.clone()),
        ("2001:db8:1::c", nested),
    ] {
        let mut relay = relay(config());
        let bytes = wrap(MessageType::RELAY_REPLY, 0, ("2001:db8:1::1", peer), &inner, |_| ());
        let actions = to(&mut relay, &bytes);
        assert_discarded(&relay, &actions, Discard::Peer);
    }
}
