//! Several servers share the clients of a link (RFC 3074).

use crate::asking::*;
use sixgate_dhcp::balance::{Balance, Buckets, bucket};
use sixgate_dhcp::server::{Discard, Server};
use sixgate_wire::dhcpv6::{MessageType, OptionCode};

/// A client that falls into a lower bucket than 128, and one that does not.
fn clients() -> (u8, u8) {
    let low = |client: &u8| bucket(client_duid(*client).as_bytes()) < 128;
    ((1..99).find(low).unwrap(), (1..99).find(|client| !low(client)).unwrap())
}

fn lower_half(service_delay: Option<u64>) -> Desk {
    let mut desk = Desk::lan();
    let buckets: Buckets = (0..128).collect();
    desk.server.set_balance(Some(Balance { buckets, service_delay: service_delay.map(secs) }));
    desk
}

fn late(server: &Server) -> u64 {
    server.counters().late
}

#[test]
fn the_clients_of_other_buckets_hear_nothing() {
    let (ours, theirs) = clients();
    for kind in
        [MessageType::SOLICIT, MessageType::CONFIRM, MessageType::REBIND, MessageType::INFORMATION_REQUEST]
    {
        let mut desk = lower_half(None);
        let ask = |client| match kind {
            MessageType::INFORMATION_REQUEST => Ask::new(kind, client),
            _ => Ask::new(kind, client).na(1, &["2001:db8:0:1::77"]),
        };
        assert_eq!(desk.ask(&ask(theirs)), None, "{kind:?}");
        assert_eq!(desk.server.counters().discarded(Discard::Bucket), 1, "{kind:?}");
        assert!(desk.ask(&ask(ours)).is_some(), "{kind:?}");
    }
}

#[test]
fn nothing_beyond_the_identifier_is_looked_at() {
    let (_, theirs) = clients();
    let mut desk = lower_half(None);
    // A Solicit must not name a server, nor an Information-request an association; whose client it is comes first.
    let cut = Ask::new(MessageType::INFORMATION_REQUEST, theirs).na(1, &[]);
    assert_eq!(desk.ask(&cut), None);
    assert_eq!(desk.server.counters().discarded(Discard::Bucket), 1);
    assert_eq!(desk.server.counters().discarded(Discard::Association), 0);
    assert_eq!(desk.server.counters().information_request, 0);
}

#[test]
fn who_names_this_server_is_answered_whatever_its_bucket() {
    let (_, theirs) = clients();
    let mut desk = Desk::lan();
    let bound = desk.bind(&Ask::new(MessageType::SOLICIT, theirs).na(1, &[]));
    desk.server.set_balance(Some(NOBODY));
    for kind in [MessageType::RENEW, MessageType::REQUEST, MessageType::RELEASE] {
        let ask = Ask::new(kind, theirs).ia(&bound.ias[0]);
        assert!(desk.ask(&ask).is_some(), "{kind:?}");
    }
    let named = Ask { server: Some(server_duid()), ..Ask::new(MessageType::INFORMATION_REQUEST, theirs) };
    assert!(desk.ask(&named).is_some());
    assert_eq!(desk.server.counters().discarded(Discard::Bucket), 0);
}

/// A server that has no client of its own.
const NOBODY: Balance = Balance { buckets: Buckets::NONE, service_delay: None };

#[test]
fn without_an_identifier_there_is_no_bucket() {
    let mut desk = Desk::lan();
    desk.server.set_balance(Some(NOBODY));
    let ask = Ask { client: None, ..Ask::new(MessageType::INFORMATION_REQUEST, 1) };
    assert!(desk.ask(&ask).is_some());
}

#[test]
fn who_has_waited_longer_than_the_delay_is_answered_by_anyone() {
    let (ours, theirs) = clients();
    let mut desk = lower_half(Some(10));
    // The first Elapsed Time counts, and `Ask` writes one of zero; so here it is made by hand.
    let waited = |client, hundredths: u16| {
        let mut bytes = Ask::new(MessageType::SOLICIT, client).na(1, &[]).bytes();
        let zero = [0, OptionCode::ELAPSED_TIME.0 as u8, 0, 2, 0, 0];
        let at = bytes.windows(6).position(|six| six == zero).unwrap();
        bytes[at + 4..at + 6].copy_from_slice(&hundredths.to_be_bytes());
        (client_address(client), bytes)
    };
    for (client, hundredths, answered, counted) in [
        (theirs, 1_000, false, 0),
        (theirs, 1_001, true, 1),
        (theirs, u16::MAX, true, 2),
        (ours, u16::MAX, true, 2),
    ] {
        let (source, bytes) = waited(client, hundredths);
        let heard = desk.ask_on("lan", source, &bytes);
        assert_eq!((heard.is_some(), late(&desk.server)), (answered, counted), "{client} after {hundredths}");
    }
    let mut never = lower_half(None);
    let (source, bytes) = waited(theirs, u16::MAX);
    assert_eq!(never.ask_on("lan", source, &bytes), None);
}
