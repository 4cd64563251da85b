//! What requestors are told of leases (RFC 5007, RFC 5460, RFC 7653).

use crate::asking::{START, client_duid, config, lan, secs, server_duid};
use sixgate_dhcp::identity::{Key, Line, Relay};
use sixgate_dhcp::lease::{Lease, LeaseChange, LeaseState};
use sixgate_dhcp::server::leasequery::{Leasequery, Output};
use sixgate_dhcp::server::{Action, Datagram, Link, Server};
use sixgate_wire::dhcpv6::leasequery::{BASE_EPOCH, QueryType, frame};
use sixgate_wire::dhcpv6::{
    Builder, DhcpOption, Duid, Message, MessageType, OptionCode, Options, Packet, StatusCode, TransactionId,
};
use std::net::Ipv6Addr;
use std::sync::Arc;
use std::time::Duration;

const XID: TransactionId = TransactionId([7, 8, 9]);
const REQUESTOR: &str = "2001:db8:0:1::99";

fn address(text: &str) -> Ipv6Addr {
    text.parse().unwrap()
}

fn relay_id() -> Duid {
    Duid::link_layer([2, 0xbb, 0, 0, 0, 1])
}

fn lease(resource: &str, client: u8) -> Lease {
    Lease {
        resource: resource.parse().unwrap(),
        key: Key::Duid,
        duid: client_duid(client),
        iaid: 1,
        link: "lan".into(),
        state: LeaseState::Bound,
        preferred_until: START + secs(1_000),
        valid_until: START + secs(2_000),
        granted_at: START,
        renewed_at: START,
        hostname: None,
        link_layer: None,
        peer: address("fe80::9"),
        line: None,
        relay: None,
    }
}

/// Behind a relay agent, on a line.
fn relayed(resource: &str, client: u8) -> Lease {
    Lease {
        link: "far".into(),
        line: Line::new(Some(b"port7"), Some(&[0, 0, 0, 9, b'l']), None),
        relay: Some(Arc::new(Relay {
            address: address("2001:db8:0:5::1"),
            link: address("2001:db8:0:7::1"),
            id: Some(relay_id()),
        })),
        ..lease(resource, client)
    }
}

fn server(leases: Vec<Lease>) -> Server {
    let far = Link { prefixes: vec!["2001:db8:0:7::/64".parse().unwrap()], ..Link::new("far") };
    Server::new(config(vec![lan(), far]), leases)
}

fn some_leases() -> Vec<Lease> {
    vec![
        lease("2001:db8:0:1::7", 1),
        lease("2001:db8:0:100::/60", 1),
        lease("2001:db8:0:1::8", 2),
        relayed("2001:db8:0:7::7", 3),
        relayed("2001:db8:0:200::/60", 3),
        relayed("2001:db8:0:210::/60", 4),
        Lease { state: LeaseState::Registered, iaid: 0, ..lease("2001:db8:0:1::aa", 5) },
        Lease { state: LeaseState::Declined, ..lease("2001:db8:0:1::dd", 6) },
    ]
}

fn desk() -> Leasequery {
    Leasequery::new(START, vec!["2001:db8:0:1::/64".parse().unwrap()])
}

/// A query with these options in it.
fn query(
    message: MessageType,
    kind: QueryType,
    link: &str,
    content: impl FnOnce(&mut Builder<'_>),
) -> Vec<u8> {
    let mut room = [0; 512];
    let mut b = Builder::message(&mut room, message, XID);
    b.client_id(&client_duid(99)).lease_query(kind, address(link), content);
    b.finish().unwrap().to_vec()
}

fn by_address(of: &str) -> Vec<u8> {
    query(MessageType::LEASEQUERY, QueryType::BY_ADDRESS, "::", |b| {
        b.ia_address(address(of), 0, 0, |_| ()).oro(&[OptionCode::LQ_RELAY_DATA]);
    })
}

/// The clients (last octet of their DUID) that a message tells of, with what they have.
fn clients(bytes: &[u8]) -> Vec<(u8, Vec<String>)> {
    let message = Message::parse(bytes).unwrap();
    let data = message.options().iter().filter_map(|option| match option {
        DhcpOption::ClientData(data) => Some(data),
        _ => None,
    });
    data.map(|data| (*data.get(OptionCode::CLIENT_ID).unwrap().last().unwrap(), resources(data))).collect()
}

fn resources(data: Options<'_>) -> Vec<String> {
    data.iter()
        .filter_map(|option| match option {
            DhcpOption::IaAddress(address) => Some(format!("{} {}", address.address, address.valid)),
            DhcpOption::IaPrefix(prefix) => Some(format!("{} {}", prefix.net(), prefix.valid)),
            _ => None,
        })
        .collect()
}

fn status(bytes: &[u8]) -> StatusCode {
    Message::parse(bytes).unwrap().options().status().code
}

#[test]
fn an_address_leads_to_its_client() {
    let (mut desk, server) = (desk(), server(some_leases()));
    let now = START + secs(100);
    let mut ask = |of: &str| desk.answer(now, &server, address(REQUESTOR), &by_address(of)).unwrap();
    assert_eq!(clients(&ask("2001:db8:0:1::7")), [(1, vec!["2001:db8:0:1::7 1900".to_owned()])]);
    assert_eq!(clients(&ask("2001:db8:0:107::1")), [(1, vec!["2001:db8:0:100::/60 1900".to_owned()])]);
    assert_eq!(clients(&ask("2001:db8:0:1::aa")), [(5, vec!["2001:db8:0:1::aa 1900".to_owned()])]);
    for nobodys in ["2001:db8:0:1::9", "2001:db8:0:1::dd", "2001:db8:ffff::"] {
        let answer = ask(nobodys);
        assert_eq!((clients(&answer), status(&answer)), (vec![], StatusCode::SUCCESS), "{nobodys}");
    }
    // Who relayed it, rebuilt.
    let answer = ask("2001:db8:0:7::7");
    let message = Message::parse(&answer).unwrap();
    assert_eq!((message.kind(), message.transaction()), (MessageType::LEASEQUERY_REPLY, XID));
    assert_eq!(message.options().get(OptionCode::SERVER_ID), Some(server_duid().as_bytes()));
    assert_eq!(message.options().get(OptionCode::CLIENT_ID), Some(client_duid(99).as_bytes()));
    let Some(DhcpOption::ClientData(data)) = message.options().find(OptionCode::CLIENT_DATA) else {
        panic!()
    };
    assert_eq!(data.find(OptionCode::CLT_TIME), Some(DhcpOption::CltTime(100)));
    let Some(DhcpOption::LqRelayData(relay)) = data.find(OptionCode::LQ_RELAY_DATA) else { panic!() };
    assert_eq!(relay.peer_address, address("2001:db8:0:5::1"));
    let Ok(Packet::Relay(forward)) = Packet::parse(relay.message) else { panic!() };
    assert_eq!(
        (forward.link_address(), forward.peer_address()),
        (address("2001:db8:0:7::1"), address("fe80::9"))
    );
    assert_eq!(forward.options().get(OptionCode::INTERFACE_ID), Some(&b"port7"[..]));
}

#[test]
fn a_client_on_one_link_is_told_and_on_two_are_the_links() {
    let mut leases = some_leases();
    leases.push(relayed("2001:db8:0:7::8", 2));
    let (mut desk, server) = (desk(), server(leases));
    let mut ask = |client: u8, link: &str| {
        let query = query(MessageType::LEASEQUERY, QueryType::BY_CLIENT_ID, link, |b| {
            b.client_id(&client_duid(client));
        });
        desk.answer(START, &server, address(REQUESTOR), &query).unwrap()
    };
    assert_eq!(clients(&ask(1, "::"))[0].1.len(), 2);
    let both = ask(2, "::");
    assert!(clients(&both).is_empty());
    let message = Message::parse(&both).unwrap();
    let Some(DhcpOption::LqClientLink(links)) = message.options().find(OptionCode::LQ_CLIENT_LINK) else {
        panic!()
    };
    assert_eq!(links.iter().collect::<Vec<_>>(), [address("2001:db8:0:1::"), address("2001:db8:0:7::1")]);
    assert_eq!(clients(&ask(2, "2001:db8:0:7::1")), [(2, vec!["2001:db8:0:7::8 2000".to_owned()])]);
    assert_eq!(clients(&ask(2, "2001:db8:0:1::5")), [(2, vec!["2001:db8:0:1::8 2000".to_owned()])]);
    assert_eq!(status(&ask(2, "2001:db8:77::")), StatusCode::NOT_CONFIGURED);
}

#[test]
fn who_may_not_ask_and_what_cannot_be_asked() {
    let (mut desk, server) = (desk(), server(some_leases()));
    let refused =
        desk.answer(START, &server, address("2001:db8:0:2::1"), &by_address("2001:db8:0:1::7")).unwrap();
    assert_eq!((status(&refused), clients(&refused)), (StatusCode::NOT_ALLOWED, vec![]));
    let mut ask =
        |bytes: &[u8]| desk.answer(START, &server, address(REQUESTOR), bytes).map(|told| status(&told));
    let of = |kind: u8, content: &dyn Fn(&mut Builder<'_>)| {
        query(MessageType::LEASEQUERY, QueryType(kind), "::", content)
    };
    assert_eq!(ask(&of(1, &|_| ())), Some(StatusCode::MALFORMED_QUERY));
    assert_eq!(ask(&of(2, &|_| ())), Some(StatusCode::MALFORMED_QUERY));
    assert_eq!(ask(&of(9, &|_| ())), Some(StatusCode::UNKNOWN_QUERY_TYPE));
    // Over TCP only (RFC 5460), whatever else is wrong with it.
    for kind in [3, 4, 5] {
        assert_eq!(ask(&of(kind, &|_| ())), Some(StatusCode::NOT_ALLOWED), "{kind}");
    }
    let nowhere = query(MessageType::LEASEQUERY, QueryType::BY_LINK_ADDRESS, "2001:db8:ffff::", |_| ());
    assert_eq!(ask(&nowhere), Some(StatusCode::NOT_ALLOWED));
    // Discarded: no client, another server's, another message, none at all.
    let mut room = [0; 200];
    let mut b = Builder::message(&mut room, MessageType::LEASEQUERY, XID);
    b.lease_query(QueryType::BY_ADDRESS, address("::"), |b| {
        b.ia_address(address("2001:db8:0:1::7"), 0, 0, |_| ());
    });
    let anonymous = b.finish().unwrap().to_vec();
    let others: Vec<u8> = by_address("2001:db8:0:1::7")
        .into_iter()
        .chain([0, 2, 0, 10])
        .chain(client_duid(7).as_bytes().iter().copied())
        .collect();
    let mut solicit = by_address("2001:db8:0:1::7");
    solicit[0] = 1;
    for bytes in [&anonymous[..], &others, &solicit, &[14, 0], &[]] {
        assert_eq!(ask(bytes), None);
    }
    assert_eq!((desk.counters().refused, desk.counters().malformed, desk.counters().answered), (1, 12, 0));
}

/// Everything that is sent on a connection until there is nothing more, message by message.
fn drain(desk: &mut Leasequery, now: Duration, server: &Server, connection: u64) -> (Vec<Vec<u8>>, bool) {
    let (mut stream, mut open) = (Vec::new(), true);
    for _ in 0..100_000 {
        match desk.next(now, server, connection) {
            Output::Send(octets) => stream.extend(octets),
            Output::More => {}
            Output::Nothing => break,
            Output::Close(octets) => {
                stream.extend(octets);
                open = false;
                break;
            }
        }
    }
    let (mut messages, mut rest) = (Vec::new(), &stream[..]);
    while let Some(message) = frame(rest) {
        messages.push(message.to_vec());
        rest = &rest[2 + message.len()..];
    }
    assert!(rest.is_empty());
    (messages, open)
}

fn kinds(messages: &[Vec<u8>]) -> Vec<MessageType> {
    messages.iter().map(|message| Message::parse(message).unwrap().kind()).collect()
}

#[test]
fn in_bulk_each_client_comes_once() {
    let (mut desk, server) = (desk(), server(some_leases()));
    assert!(desk.connected(START, 1, address(REQUESTOR)));
    let (reply, data, done) =
        (MessageType::LEASEQUERY_REPLY, MessageType::LEASEQUERY_DATA, MessageType::LEASEQUERY_DONE);
    let mut ask = |kind, link: &str, content: &dyn Fn(&mut Builder<'_>)| {
        desk.received(START, &server, 1, &query(MessageType::LEASEQUERY, kind, link, content));
        let (messages, open) = drain(&mut desk, START, &server, 1);
        assert!(open);
        let told: Vec<u8> =
            messages.iter().flat_map(|message| clients(message)).map(|(client, _)| client).collect();
        (kinds(&messages), told)
    };
    let by_relay = |b: &mut Builder<'_>| {
        b.relay_id(&relay_id());
    };
    assert_eq!(ask(QueryType::BY_RELAY_ID, "::", &by_relay), (vec![reply, data, done], vec![3, 4]));
    assert_eq!(ask(QueryType::BY_RELAY_ID, "2001:db8:0:1::", &by_relay), (vec![reply], vec![]));
    let by_line = |b: &mut Builder<'_>| {
        b.option(OptionCode::REMOTE_ID, &[0, 0, 0, 9, b'l']);
    };
    assert_eq!(ask(QueryType::BY_REMOTE_ID, "::", &by_line), (vec![reply, data, done], vec![3, 4]));
    let mut all = ask(QueryType::BY_LINK_ADDRESS, "::", &|_| ()).1;
    all.sort_unstable();
    assert_eq!(all, [1, 2, 3, 4, 5], "no declined address, and nobody twice");
    assert_eq!(ask(QueryType::BY_LINK_ADDRESS, "2001:db8:0:1::", &|_| ()).1, [1, 2, 5]);
    let one = |b: &mut Builder<'_>| {
        b.ia_address(address("2001:db8:0:1::7"), 0, 0, |_| ());
    };
    assert_eq!(ask(QueryType::BY_ADDRESS, "::", &one), (vec![reply, done], vec![1]));
    // Only what was renewed in time (RFC 7653).
    let later = |b: &mut Builder<'_>| {
        b.lease_query_time(OptionCode::LQ_START_TIME, START + secs(1));
    };
    assert_eq!(ask(QueryType::BY_LINK_ADDRESS, "::", &later), (vec![reply], vec![]));
    assert_eq!(desk.counters().bulk, 7);
}

/// Times are told and asked for by the server's clock (RFC 7653): whoever asks by time, or for it, is told what it is.
#[test]
fn in_bulk_the_servers_time_is_told_to_whoever_needs_it() {
    let (mut desk, server) = (desk(), server(some_leases()));
    assert!(desk.connected(START, 1, address(REQUESTOR)));
    let now = START + secs(10);
    let mut ask = |kind, content: &dyn Fn(&mut Builder<'_>)| {
        desk.received(now, &server, 1, &query(MessageType::LEASEQUERY, kind, "::", content));
        let messages = drain(&mut desk, now, &server, 1).0;
        let time = |message: &Vec<u8>| {
            Message::parse(message).unwrap().options().find(OptionCode::LQ_BASE_TIME).is_some()
        };
        messages.iter().map(time).collect::<Vec<_>>()
    };
    let by_relay = |b: &mut Builder<'_>| {
        b.relay_id(&relay_id());
    };
    let wants = |b: &mut Builder<'_>| {
        b.relay_id(&relay_id()).oro(&[OptionCode::LQ_BASE_TIME]);
    };
    let until = |b: &mut Builder<'_>| {
        b.relay_id(&relay_id()).lease_query_time(OptionCode::LQ_END_TIME, now);
    };
    let since = |b: &mut Builder<'_>| {
        b.relay_id(&relay_id()).lease_query_time(OptionCode::LQ_START_TIME, now);
    };
    assert_eq!(ask(QueryType::BY_RELAY_ID, &by_relay), [false, false, false]);
    assert_eq!(ask(QueryType::BY_RELAY_ID, &wants), [true, true, false], "not with the end");
    assert_eq!(ask(QueryType::BY_RELAY_ID, &until), [true, true, false]);
    assert_eq!(ask(QueryType::BY_RELAY_ID, &since), [true], "nothing, as of then");
    let one = |b: &mut Builder<'_>| {
        b.ia_address(address("2001:db8:0:1::7"), 0, 0, |_| ()).oro(&[OptionCode::LQ_BASE_TIME]);
    };
    assert_eq!(ask(QueryType::BY_ADDRESS, &one), [true, false]);
}

#[test]
fn many_leases_come_in_pieces_and_all_of_them() {
    let leases = (0..10_000u32).map(|n| {
        let duid = Duid::link_layer([2, 0, (n >> 16) as u8, (n >> 8) as u8, n as u8, 1]);
        Lease { duid, ..lease(&format!("2001:db8:0:1::{n:x}"), 1) }
    });
    let (mut desk, server) = (desk(), server(leases.collect()));
    assert!(desk.connected(START, 1, address(REQUESTOR)));
    desk.received(
        START,
        &server,
        1,
        &query(MessageType::LEASEQUERY, QueryType::BY_LINK_ADDRESS, "::", |_| ()),
    );
    let Output::Send(first) = desk.next(START, &server, 1) else { panic!() };
    assert!(first.len() < 20_000, "{}", first.len());
    let (messages, _) = drain(&mut desk, START, &server, 1);
    let mut count = messages.iter().flat_map(|message| clients(message)).count();
    let mut rest = &first[..];
    while let Some(message) = frame(rest) {
        count += clients(message).len();
        rest = &rest[2 + message.len()..];
    }
    assert_eq!((count, kinds(&messages).last()), (10_000, Some(&MessageType::LEASEQUERY_DONE)));
}

#[test]
fn connections_and_what_comes_on_them_are_bounded() {
    let (mut desk, server) = (desk(), server(some_leases()));
    assert!(!desk.connected(START, 0, address("2001:db8:0:2::1")));
    for connection in 1..=10 {
        assert!(desk.connected(START, connection, address(REQUESTOR)));
    }
    assert!(!desk.connected(START, 11, address(REQUESTOR)));
    desk.closed(3);
    assert!(desk.connected(START, 11, address(REQUESTOR)));
    // Neither a Solicit nor a seventeenth query has a place there.
    let mut solicit = by_address("2001:db8:0:1::7");
    solicit[0] = 1;
    desk.received(START, &server, 1, &solicit);
    assert_eq!(desk.next(START, &server, 1), Output::Close(Vec::new()));
    for _ in 0..17 {
        desk.received(START, &server, 2, &by_address("2001:db8:0:1::7"));
    }
    assert!(matches!(desk.next(START, &server, 2), Output::Close(_)));
    // TLS is refused in so many words, and the connection stays, unless that is all that it ever asks for.
    let mut room = [0; 8];
    let starttls = Builder::message(&mut room, MessageType::STARTTLS, XID).finish().unwrap().to_vec();
    desk.received(START, &server, 4, &starttls);
    let (messages, open) = drain(&mut desk, START, &server, 4);
    assert_eq!(
        (kinds(&messages), status(&messages[0]), open),
        (vec![MessageType::STARTTLS], StatusCode::TLS_CONNECTION_REFUSED, true)
    );
    for _ in 0..10_000 {
        desk.received(START, &server, 5, &starttls);
    }
    let Output::Close(refusals) = desk.next(START, &server, 5) else { panic!() };
    assert!(refusals.len() < 20_000 && desk.counters().lagging == 1, "{}", refusals.len());
    assert_eq!((desk.counters().refused, desk.counters().overload, desk.counters().malformed), (1, 1, 2));
}

fn active(since: Option<Duration>) -> Vec<u8> {
    query(MessageType::ACTIVELEASEQUERY, QueryType::BY_LINK_ADDRESS, "2001:db8:0:1::", |b| {
        if let Some(since) = since {
            b.lease_query_time(OptionCode::LQ_START_TIME, since);
        }
    })
}

/// The statuses and the clients' resources of some messages, each as one line.
fn lines(messages: &[Vec<u8>]) -> Vec<String> {
    let line = |message: &Vec<u8>| {
        let told: Vec<String> = clients(message).into_iter().flat_map(|(_, resources)| resources).collect();
        format!("{} {}", status(message), told.join(","))
    };
    messages.iter().map(line).collect()
}

#[test]
fn changes_are_told_as_they_become_durable() {
    let (mut desk, server) = (desk(), server(some_leases()));
    assert!(desk.connected(START, 1, address(REQUESTOR)));
    let now = START + secs(10);
    desk.received(now, &server, 1, &active(None));
    let (messages, _) = drain(&mut desk, now, &server, 1);
    assert_eq!(kinds(&messages), [MessageType::LEASEQUERY_REPLY]);
    let base = Message::parse(&messages[0]).unwrap().options().find(OptionCode::LQ_BASE_TIME);
    assert_eq!(base, Some(DhcpOption::LqBaseTime(now.saturating_sub(BASE_EPOCH).as_secs() as u32)));
    assert!(desk.is_active(1));
    let renewed = Lease { valid_until: START + secs(5_000), renewed_at: now, ..lease("2001:db8:0:1::7", 1) };
    let changes = [
        LeaseChange::Put(renewed.clone()),
        LeaseChange::Remove("2001:db8:0:1::8".parse().unwrap()),
        LeaseChange::Put(relayed("2001:db8:0:7::9", 8)),
        LeaseChange::Remove("2001:db8:0:1::dd".parse().unwrap()),
        LeaseChange::Remove("2001:db8:0:1::ee".parse().unwrap()),
    ];
    desk.committed(now, &server, &changes);
    assert_eq!(desk.woken().collect::<Vec<_>>(), [1]);
    let (messages, open) = drain(&mut desk, now, &server, 1);
    assert_eq!(
        lines(&messages),
        ["Success 2001:db8:0:1::7 4990", "Success 2001:db8:0:1::8 0"],
        "not the other link's"
    );
    assert!(open && desk.woken().next().is_none());
    // Silence is broken in time.
    assert_eq!(desk.poll_timeout(), Some(now + secs(30)));
    desk.handle_timeout(now + secs(30));
    let (messages, _) = drain(&mut desk, now + secs(30), &server, 1);
    assert_eq!((kinds(&messages), clients(&messages[0])), (vec![MessageType::LEASEQUERY_DATA], vec![]));
    assert_eq!(desk.poll_timeout(), Some(now + secs(60)));
    // Another who comes back hears what it missed, and that it was all.
    assert!(desk.connected(now, 2, address(REQUESTOR)));
    desk.received(now + secs(40), &server, 2, &active(Some(now)));
    let (messages, _) = drain(&mut desk, now + secs(40), &server, 2);
    assert_eq!(
        lines(&messages),
        ["Success ", "Success 2001:db8:0:1::7 4950", "Success 2001:db8:0:1::8 0", "CatchUpComplete "]
    );
    // Before this server began, it does not know.
    desk.received(now + secs(40), &server, 2, &active(Some(START.saturating_sub(secs(5)))));
    let (messages, open) = drain(&mut desk, now + secs(40), &server, 2);
    assert_eq!((lines(&messages), open), (vec!["DataMissing ".to_owned()], true));
}

#[test]
fn a_slow_reader_is_told_so_and_let_go() {
    let (mut desk, server) = (desk(), server(some_leases()));
    assert!(desk.connected(START, 1, address(REQUESTOR)));
    desk.received(START, &server, 1, &active(None));
    drain(&mut desk, START, &server, 1);
    let change = LeaseChange::Put(lease("2001:db8:0:1::7", 1));
    for n in 0..16_385u64 {
        desk.committed(START + secs(n), &server, std::slice::from_ref(&change));
    }
    let (messages, open) = drain(&mut desk, START, &server, 1);
    assert_eq!((kinds(&messages), open), (vec![MessageType::LEASEQUERY_DONE], false));
    assert_eq!((status(&messages[0]), desk.counters().lagging), (StatusCode::QUERY_TERMINATED, 1));
    // And what is forgotten is missing for others.
    assert!(desk.connected(START, 2, address(REQUESTOR)));
    desk.received(START, &server, 2, &active(Some(START)));
    assert_eq!(lines(&drain(&mut desk, START, &server, 2).0), ["DataMissing "]);
    desk.received(START, &server, 2, &active(Some(START + secs(16_380))));
    assert_eq!(lines(&drain(&mut desk, START, &server, 2).0).len(), 1 + 5 + 1);
}

#[test]
fn what_is_on_its_way_to_the_disk_is_not_told() {
    use crate::asking::{Ask, client_address};
    let (mut desk, mut server) = (desk(), server(Vec::new()));
    let solicit = Ask::new(MessageType::SOLICIT, 1).na(1, &[]).raw(OptionCode::RAPID_COMMIT, &[]);
    let bytes = solicit.bytes();
    let datagram =
        Datagram { link: "lan", source: client_address(1), port: 546, bytes: &bytes, link_layer: None };
    let mut actions = Vec::new();
    server.handle(START, &datagram, &mut actions);
    let [Action::Commit { ticket, changes }] = &actions[..] else { panic!("{actions:?}") };
    let given = changes[0].resource();
    let query = by_address(&given.to_string());
    let mut told = |server: &Server| {
        let answer = desk.answer(START, server, address(REQUESTOR), &query).unwrap();
        clients(&answer).len()
    };
    assert_eq!(told(&server), 0);
    server.committed(*ticket, &mut Vec::new());
    assert_eq!(told(&server), 1);
}

#[test]
fn no_octets_make_it_panic() {
    let server = server(some_leases());
    let mut desk = desk();
    let mut random = 7_u64;
    let good = [by_address("2001:db8:0:1::7"), active(Some(START))];
    for round in 0..20_000_usize {
        let mut bytes = good[round % 2].clone();
        for _ in 0..=round % 4 {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let at = (random >> 33) as usize % bytes.len();
            bytes[at] = (random >> 24) as u8;
        }
        if let Some(answer) = desk.answer(START, &server, address(REQUESTOR), &bytes) {
            assert!(Message::parse(&answer).is_ok());
        }
        assert!(desk.connected(START, 1, address(REQUESTOR)));
        desk.received(START, &server, 1, &bytes);
        drain(&mut desk, START, &server, 1);
        desk.closed(1);
    }
}
