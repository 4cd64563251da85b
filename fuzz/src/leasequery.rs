//! Leasequery: a run of datagrams, connections and messages is read from the bytes and played before a server with leases.

use crate::cores::{START, Script};
use sixgate_dhcp::identity::{Key, Line, Relay};
use sixgate_dhcp::lease::{Lease, LeaseChange, LeaseState};
use sixgate_dhcp::server::leasequery::{Leasequery, Output};
use sixgate_dhcp::server::{Limits, Link, Relays, Server, ServerConfig};
use sixgate_wire::dhcpv6::leasequery::frame;
use sixgate_wire::dhcpv6::{Duid, Message, MessageType};
use std::net::Ipv6Addr;
use std::sync::Arc;
use std::time::Duration;

/// A requestor that may ask, and one that may not.
const REQUESTORS: [Ipv6Addr; 2] =
    [Ipv6Addr::new(0x2001, 0xdb8, 0, 1, 0, 0, 0, 0x99), Ipv6Addr::new(0x2001, 0xdb8, 0, 2, 0, 0, 0, 0x99)];
/// Longer than any part of an answer.
const LONGEST: usize = 40_000;

fn lease(number: u16, now: Duration) -> Lease {
    let address = Ipv6Addr::new(0x2001, 0xdb8, 0, 1, 0, 0, 0, number);
    let relay = Relay {
        address: Ipv6Addr::new(0x2001, 0xdb8, 0, 5, 0, 0, 0, 1),
        link: Ipv6Addr::new(0x2001, 0xdb8, 0, 1, 0, 0, 0, 1),
        id: Some(Duid::link_layer([2, 0, 0, 0, 0, 3])),
    };
    let resource = if number.is_multiple_of(3) {
        format!("2001:db8:1:{:x}00::/60", number & 0xff)
    } else {
        address.to_string()
    };
    Lease {
        resource: resource.parse().expect("a resource"),
        key: Key::Duid,
        duid: Duid::link_layer([2, 0, 0, 0, 0, (number % 7) as u8]),
        iaid: u32::from(number),
        link: "lan".into(),
        state: if number % 11 == 10 { LeaseState::Declined } else { LeaseState::Bound },
        preferred_until: now + Duration::from_mins(30),
        valid_until: now + Duration::from_hours(1),
        granted_at: now,
        renewed_at: now,
        hostname: Some("pc".to_owned()),
        link_layer: None,
        peer: Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, number),
        line: Line::new(Some(b"port7"), Some(&[0, 0, 0, 9, b'l']), None),
        relay: number.is_multiple_of(2).then(|| Arc::new(relay)),
    }
}

/// Datagrams get answers that can be read, or none; connections get whole messages of the four types that belong there, in
/// bounded pieces, and come to an end of what there is to say.
pub fn leasequery(bytes: &[u8]) {
    let mut now = Duration::from_secs(START);
    let link = Link { prefixes: vec!["2001:db8:0:1::/64".parse().expect("a prefix")], ..Link::new("lan") };
    let config = ServerConfig {
        duid: Duid::link_layer([2, 0, 0, 0, 0, 1]),
        links: vec![link],
        remote: Vec::new(),
        relays: Relays::default(),
        preference: None,
        rapid_commit: false,
        hash_key: [1; 16],
        limits: Limits::default(),
    };
    let server = Server::new(config, (1..60).map(|number| lease(number, now)).collect());
    let mut desk = Leasequery::new(now, vec!["2001:db8:0:1::/64".parse().expect("a prefix")]);
    let mut script = Script { rest: bytes };
    while let Some((what, how)) = script.event() {
        let connection = u64::from(how % 16);
        match what % 6 {
            0 => {
                let source = REQUESTORS[usize::from(how % 2)];
                if let Some(answer) = desk.answer(now, &server, source, script.content()) {
                    let answer = Message::parse(&answer).expect("it can be read");
                    assert_eq!(answer.kind(), MessageType::LEASEQUERY_REPLY);
                    assert!(
                        how.is_multiple_of(2) || answer.options().raw().count() == 3,
                        "a status and no more"
                    );
                }
            }
            1 => {
                desk.closed(connection);
                let stays = desk.connected(now, connection, REQUESTORS[usize::from(how / 16 % 2)]);
                assert!(!stays || how / 16 % 2 == 0);
            }
            2 => desk.received(now, &server, connection, script.content()),
            3 => fetch(&mut desk, now, &server, connection),
            4 => {
                now += Duration::from_secs(u64::from(how) * 10);
                desk.handle_timeout(now);
                for connection in desk.woken().collect::<Vec<_>>() {
                    fetch(&mut desk, now, &server, connection);
                }
            }
            _ => {
                let lease = lease(u16::from(how), now);
                let change =
                    if what < 128 { LeaseChange::Put(lease) } else { LeaseChange::Remove(lease.resource) };
                desk.committed(now, &server, &[change]);
            }
        }
    }
}

fn fetch(desk: &mut Leasequery, now: Duration, server: &Server, connection: u64) {
    for _ in 0..1_000 {
        let (octets, over) = match desk.next(now, server, connection) {
            Output::Send(octets) => (octets, false),
            Output::More => continue,
            Output::Nothing => return,
            Output::Close(octets) => (octets, true),
        };
        assert!(octets.len() < LONGEST, "{}", octets.len());
        let mut rest = &octets[..];
        while let Some(message) = frame(rest) {
            let read = Message::parse(message).expect("it can be read");
            let belongs = [
                MessageType::LEASEQUERY_REPLY,
                MessageType::LEASEQUERY_DATA,
                MessageType::LEASEQUERY_DONE,
                MessageType::STARTTLS,
            ];
            assert!(belongs.contains(&read.kind()), "{read:?}");
            rest = &rest[2 + message.len()..];
        }
        assert!(rest.is_empty(), "a message that is not whole");
        if over {
            desk.closed(connection);
            return;
        }
    }
    panic!("there is no end of what is to be said");
}
