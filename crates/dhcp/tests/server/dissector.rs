//! tshark reads everything that the server says, and finds nothing wrong with it.

use crate::asking::{Ask, Desk, HeardIa, secs};
use crate::pcap::{COMPLAINTS, Datagram, dissect};
use sixgate_dhcp::server::Reply;
use sixgate_wire::dhcpv6::{MessageType, OptionCode};

/// One answer of every kind.
fn replies() -> Vec<Reply> {
    let oro = [
        OptionCode::DNS_SERVERS,
        OptionCode::DOMAIN_LIST,
        OptionCode::SOL_MAX_RT,
        OptionCode::INF_MAX_RT,
        OptionCode::INFORMATION_REFRESH_TIME,
        OptionCode::CAPTIVE_PORTAL,
        OptionCode::CLIENT_FQDN,
    ];
    let mut desk = Desk::lan();
    let named = |ask: Ask| ask.oro(&oro).raw(OptionCode::CLIENT_FQDN, b"\x00\x05hosta");
    let bound = desk.bind(&named(Ask::new(MessageType::SOLICIT, 1).na(1, &[]).pd(1, &[])));
    let of = |kind, ias: &[HeardIa]| ias.iter().fold(Ask::new(kind, 1), Ask::ia);
    desk.pass(secs(10));
    for ask in [
        named(Ask::new(MessageType::SOLICIT, 2).na(1, &[]).raw(OptionCode::RAPID_COMMIT, &[])),
        named(Ask { server: None, ..Ask::new(MessageType::INFORMATION_REQUEST, 1) }),
        Ask { client: None, ..Ask::new(MessageType::INFORMATION_REQUEST, 1) },
        of(MessageType::RENEW, &bound.ias),
        of(MessageType::REBIND, &bound.ias).na(9, &["2001:db8:77::1"]),
        Ask::new(MessageType::REQUEST, 3).na(1, &["2001:db8:77::1"]),
        of(MessageType::CONFIRM, &bound.ias[..1]),
        Ask::new(MessageType::CONFIRM, 1).na(1, &["2001:db8:77::1"]),
        of(MessageType::DECLINE, &bound.ias[..1]),
        of(MessageType::RELEASE, &bound.ias[1..]),
        of(MessageType::RELEASE, &bound.ias[1..]),
        Ask::new(MessageType::SOLICIT, 4),
    ] {
        desk.ask(&ask).unwrap();
    }
    desk.replies
}

#[test]
fn tshark_finds_nothing_wrong() {
    let replies = replies();
    let datagrams: Vec<Datagram<'_>> = replies
        .iter()
        .map(|reply| Datagram { to: reply.destination, ports: (547, reply.port), bytes: &reply.bytes })
        .collect();
    for (line, reply) in dissect(&datagrams, &COMPLAINTS).iter().zip(&replies) {
        // Its type, a good checksum, and nothing more to say.
        assert_eq!(line[..], [&*reply.bytes[0].to_string(), "1", "", "", ""], "{line:?}");
    }
}
