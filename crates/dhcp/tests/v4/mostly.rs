//! Option 108, by RFC 8925.

use crate::asking::{
    ANY, Ask, Desk, Heard, KEY, LEASE, START, WAIT, commit, config, hardware, link, mostly_link, secs,
};
use sixgate_dhcp::v4::{
    Action, Actions, Datagram, Destination, Ipv6Mostly, Ipv6MostlyError, Link, Pilot, Roster, Selector,
    Server, ServerConfig,
};
use sixgate_wire::dhcpv4::{ClientId, MessageType, OptionCode};
use sixgate_wire::dhcpv6::Duid;

#[test]
fn it_cannot_be_had_without_translation() {
    let net = |text: &str| Some(text.parse().unwrap());
    let wait = secs(1800);
    let error = Ipv6Mostly::new(None, wait).unwrap_err();
    assert_eq!(error, Ipv6MostlyError::NoTranslation);
    assert!(
        error.to_string().contains("NAT64") && error.to_string().contains("leave IPv6-mostly off"),
        "{error}"
    );
    assert!(matches!(Ipv6Mostly::new(net("64:ff9b::/97"), wait), Err(Ipv6MostlyError::PrefixLength { .. })));
    assert_eq!(Ipv6Mostly::new(net("64:ff9b::/96"), secs(299)), Err(Ipv6MostlyError::Wait { seconds: 299 }));
    for length in [32, 40, 48, 56, 64, 96] {
        let mostly = Ipv6Mostly::new(net(&format!("2001:db8::/{length}")), secs(300)).unwrap();
        assert_eq!((mostly.wait(), mostly.pref64().prefix_len()), (300, length));
    }
}

#[test]
fn who_can_do_without_gets_no_address() {
    let mut desk = Desk::new(config(vec![mostly_link()]));
    let offer = desk.ask(&Ask::discover(1).capable()).unwrap();
    assert_eq!((offer.kind, offer.address, offer.v6only), (MessageType::OFFER, ANY, Some(WAIT)));
    assert_eq!((offer.lease, offer.destination), (None, Destination::Broadcast));
    assert!(!offer.options.contains_key(&OptionCode::AUTO_CONFIGURE));
    desk.pass(secs(WAIT.into()));
    // No Rapid Commit with it, and no link-local address in its place.
    let quick = Ask::discover(1).capable().with(OptionCode::RAPID_COMMIT, &[]);
    let offer = desk.ask(&quick.with(OptionCode::AUTO_CONFIGURE, &[1])).unwrap();
    assert_eq!((offer.kind, offer.v6only), (MessageType::OFFER, Some(WAIT)));
    assert_eq!(offer.options[&OptionCode::AUTO_CONFIGURE], [0]);
    assert!(desk.disk.is_empty());
    assert_eq!((desk.server.counters().asked_v6only, desk.server.counters().told_v6only), (2, 2));
    // Who does not ask is not told, on the same link.
    let printer = desk.ask(&Ask::discover(2)).unwrap();
    assert_eq!((printer.v6only, printer.lease), (None, Some(LEASE)));
    // Nor is who asks where there is no way to IPv4.
    let mut dual = Desk::new(config(vec![link()]));
    let offer = dual.ask(&Ask::discover(1).capable()).unwrap();
    assert_eq!((offer.v6only, offer.lease), (None, Some(LEASE)));
}

/// A full disk does not keep a client from living without IPv4.
#[test]
fn telling_needs_no_disk() {
    let mut server = Server::new(config(vec![mostly_link()]), Vec::new(), Roster::default());
    let send = |server: &mut Server, ask: Ask| {
        let mut actions = Actions::new();
        server.handle(START, &Datagram { link: "lan", source: ANY, bytes: &ask.bytes() }, &mut actions);
        actions
    };
    let (ticket, _) = commit(&send(&mut server, Ask::discover(1).with(OptionCode::RAPID_COMMIT, &[])));
    server.commit_failed(START, ticket);
    assert!(send(&mut server, Ask::discover(1)).is_empty());
    let actions = send(&mut server, Ask::discover(2).capable());
    let Some(Action::Reply(reply)) = actions.last() else { panic!("{actions:?}") };
    assert_eq!(Heard::read(reply).v6only, Some(WAIT));
}

/// Some clients ask for option 108 and drop an offer of 0.0.0.0 before they look at it: RFC 8925 section 3.3
/// allows an address.
#[test]
fn who_does_not_heed_an_offer_without_an_address_is_offered_one() {
    let mut desk = Desk::new(config(vec![mostly_link()]));
    let ask = Ask::discover(1).capable();
    assert_eq!(desk.ask(&ask).unwrap().address, ANY);
    desk.pass(secs(4));
    let quick = ask.clone().with(OptionCode::RAPID_COMMIT, &[]).with(OptionCode::AUTO_CONFIGURE, &[1]);
    let offer = desk.ask(&quick).unwrap();
    assert_eq!((offer.kind, offer.v6only, offer.lease), (MessageType::OFFER, Some(WAIT), Some(LEASE)));
    assert!(!offer.address.is_unspecified() && !offer.options.contains_key(&OptionCode::AUTO_CONFIGURE));
    assert!(desk.disk.is_empty() && desk.server.counters().told_again == 1);
    // It is not expected to ask for it; if it does, it gets it.
    let ack = desk.ask(&Ask::select(1, offer.address).capable()).unwrap();
    assert_eq!((ack.kind, ack.address, ack.v6only), (MessageType::ACK, offer.address, Some(WAIT)));
    desk.ask(&Ask::release(1, offer.address));
    // After its wait it is a client like others.
    desk.pass(secs(WAIT.into()));
    assert_eq!(desk.ask(&ask).unwrap().address, ANY);
    // Where nothing is left to offer, nothing is.
    for client in 10..20 {
        desk.lease(client);
    }
    assert_eq!(desk.ask(&ask).unwrap().address, ANY);
}

/// RFC 8925 section 3.3: a Request is answered as ever, with option 108. The lease is not extended: its end
/// is when the client asks anew, and is told.
#[test]
fn who_holds_a_lease_keeps_it_until_it_ends() {
    let mut desk = Desk::new(ServerConfig { pilot: Pilot::nobody(KEY), ..config(vec![mostly_link()]) });
    let offer = desk.ask(&Ask::discover(1).capable()).unwrap();
    assert_eq!(offer.v6only, None);
    let held = desk.ask(&Ask::select(1, offer.address).capable()).unwrap();
    assert_eq!((held.kind, held.v6only), (MessageType::ACK, None));
    desk.pass(secs(1800));
    desk.pilot(Pilot::everybody(KEY));
    let renewed = desk.ask(&Ask::renew(1, held.address).capable()).unwrap();
    assert_eq!((renewed.kind, renewed.address), (MessageType::ACK, held.address));
    assert_eq!((renewed.lease, renewed.v6only), (Some(1800), Some(WAIT)));
    let rebooted = desk.ask(&Ask::reboot(1, held.address).capable()).unwrap();
    assert_eq!((rebooted.kind, rebooted.v6only), (MessageType::ACK, Some(WAIT)));
    desk.pass(secs(1700));
    assert_eq!(desk.ask(&Ask::renew(1, held.address).capable()).unwrap().lease, Some(100));
    // Clients stretch what is shorter than this.
    desk.pass(secs(50));
    assert_eq!(desk.ask(&Ask::renew(1, held.address).capable()).unwrap().kind, MessageType::NAK);
    desk.pass(secs(60));
    assert!(desk.disk.is_empty());
    assert_eq!(desk.ask(&Ask::discover(1).capable()).unwrap().address, ANY);
    // It remembers an address that the server does not: it is sent to ask anew, and nothing is set aside for
    // it.
    for ask in [Ask::reboot(1, held.address), Ask::renew(1, held.address), Ask::select(1, held.address)] {
        assert_eq!(desk.ask(&ask.capable()).unwrap().kind, MessageType::NAK);
    }
    assert!(desk.disk.is_empty());
    // It was offered an address before it was let in, and asks for that: it gets it, and is told.
    desk.pilot(Pilot::nobody(KEY));
    let offer = desk.ask(&Ask::discover(1).capable()).unwrap();
    desk.pilot(Pilot::everybody(KEY));
    let ack = desk.ask(&Ask::select(1, offer.address).capable()).unwrap();
    assert_eq!((ack.kind, ack.v6only), (MessageType::ACK, Some(WAIT)));
}

#[test]
fn clients_can_be_named() {
    let duid = Duid::link_layer([2, 0, 0, 0, 0, 7]);
    let named = ["duid:00:03:00:01:02:00:00:00:00:07", "02:00:00:00:00:01", "id:00:70:63"];
    let [host, card, id] = named.map(|text| {
        let selector: Selector = text.parse().unwrap();
        assert_eq!(selector.to_string(), text);
        selector
    });
    assert_eq!(host, Selector::Host(duid.clone()));
    for text in ["", "pc", "duid:00", "id:0", "02:00:00:00:00", "02:00:00:00:00:01:02"] {
        assert!(text.parse::<Selector>().unwrap_err().to_string().contains("write"), "{text}");
    }
    let capable = |client: u16| Ask::discover(client).capable();
    let by_host = capable(2).with(OptionCode::CLIENT_ID, ClientId::duid(3, &duid).as_bytes());
    let by_card = capable(1);
    let by_card_too = capable(1).with(OptionCode::CLIENT_ID, b"\0other");
    let by_id = capable(4).with(OptionCode::CLIENT_ID, b"\0pc");
    let by_none = capable(5);
    let all = vec![host, card, id];
    let told = |pilot: Pilot| {
        let mut desk = Desk::new(ServerConfig { pilot, ..config(vec![mostly_link()]) });
        [&by_host, &by_card, &by_card_too, &by_id, &by_none]
            .map(|ask| desk.ask(ask).unwrap().v6only.is_some())
    };
    assert_eq!(told(Pilot { only: all.clone(), ..Pilot::everybody(KEY) }), [true, true, true, true, false]);
    assert_eq!(
        told(Pilot { except: all.clone(), ..Pilot::everybody(KEY) }),
        [false, false, false, false, true]
    );
    let both = Pilot { only: all.clone(), except: all, ..Pilot::everybody(KEY) };
    assert_eq!(told(both), [false; 5]);
    assert_eq!(told(Pilot::nobody(KEY)), [false; 5]);
}

#[test]
fn opting_out_takes_effect_at_once_and_makes_room_for_another() {
    let mut desk = Desk::new(ServerConfig {
        pilot: Pilot { percent: 50, ..Pilot::everybody(KEY) },
        ..config(vec![
            Link::new("lan", "192.0.2.1/24".parse().unwrap())
                .map(|l| Link { ipv6_mostly: Some(crate::asking::mostly()), ..l })
                .unwrap(),
        ])
    });
    let told = |desk: &mut Desk| -> Vec<u16> {
        // Twice: who comes early is asked before all are known.
        for client in 0..20 {
            desk.ask(&Ask::discover(client).capable());
        }
        (0..20).filter(|c| desk.ask(&Ask::discover(*c).capable()).unwrap().v6only.is_some()).collect()
    };
    let before = told(&mut desk);
    assert_eq!(before.len(), 10);
    let out = before[0];
    let except = vec![Selector::Hardware(hardware(out).as_ethernet().unwrap())];
    desk.pilot(Pilot { except, ..desk.server.pilot().clone() });
    let after = told(&mut desk);
    // Nineteen are left to choose from: half of them are ten, to the nearest.
    assert_eq!(after.len(), 10);
    assert!(!after.contains(&out) && before[1..].iter().all(|client| after.contains(client)));
}
