//! Several servers share the clients of a link (RFC 3074): the bucket is that of the client identifier, or else of the
//! hardware address.

use crate::asking::*;
use sixgate_dhcp::balance::{Balance, Buckets, bucket};
use sixgate_dhcp::v4::Discard;
use sixgate_wire::dhcpv4::{Header, OptionCode};

fn lower_half(service_delay: Option<u64>) -> Desk {
    let mut desk = Desk::new(config(vec![link()]));
    let buckets: Buckets = (0..128).collect();
    desk.server.set_balance(Some(Balance { buckets, service_delay: service_delay.map(secs) }));
    desk
}

/// A client whose hardware address falls into these buckets.
fn client(low: bool) -> u16 {
    (1..999).find(|client| (bucket(hardware(*client).address()) < 128) == low).unwrap()
}

#[test]
fn the_clients_of_other_buckets_hear_nothing() {
    let (ours, theirs) = (client(true), client(false));
    let mut desk = lower_half(None);
    assert!(desk.ask(&Ask::discover(ours)).is_some());
    assert!(desk.ask(&Ask::discover(theirs)).is_none());
    assert!(desk.ask(&Ask::reboot(theirs, GATEWAY)).is_none());
    assert_eq!(desk.server.counters().discarded(Discard::Bucket), 2);
    assert_eq!((desk.server.counters().discover, desk.server.counters().nak), (1, 0));
    // An identifier comes before the hardware address, and is hashed as it stands.
    let id =
        |low: bool| (0..=u8::MAX).map(|octet| vec![1, octet]).find(|id| (bucket(id) < 128) == low).unwrap();
    assert!(desk.ask(&Ask::discover(ours).with(OptionCode::CLIENT_ID, &id(false))).is_none());
    assert!(desk.ask(&Ask::discover(theirs).with(OptionCode::CLIENT_ID, &id(true))).is_some());
}

#[test]
fn who_has_an_address_of_this_server_or_names_it_is_answered() {
    let theirs = client(false);
    let mut desk = Desk::new(config(vec![link()]));
    let offer = desk.ask(&Ask::discover(theirs)).unwrap();
    desk.server.set_balance(Some(Balance { buckets: Buckets::NONE, service_delay: None }));
    assert!(desk.ask(&Ask::select(theirs, offer.address)).is_some());
    assert!(desk.ask(&Ask::renew(theirs, offer.address)).is_some());
    assert_eq!(desk.server.counters().discarded(Discard::Bucket), 0);
}

#[test]
fn who_has_waited_longer_than_the_delay_is_answered_by_anyone() {
    let theirs = client(false);
    let mut desk = lower_half(Some(10));
    let waited = |seconds| {
        let ask = Ask::discover(theirs);
        Ask { header: Header { secs: seconds, ..ask.header }, ..ask }
    };
    assert!(desk.ask(&waited(10)).is_none());
    assert!(desk.ask(&waited(11)).is_some());
    assert_eq!(desk.server.counters().late, 1);
}
