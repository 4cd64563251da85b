//! Real exchanges: what clients, relay agents and servers say to each other when nothing is wrong.

use crate::asking::{Ask, client_duid, server_duid};
use crate::world::{AGENT, Packet, To, World};
use sixgate_dhcp::client::{Client, Config, PdRequest};
use sixgate_wire::dhcpv6::leasequery::QueryType;
use sixgate_wire::dhcpv6::{Builder, Duid, MessageType, OptionCode, TransactionId};
use std::net::Ipv6Addr;

/// What a client is asked to obtain, by a number.
pub(crate) fn asked(number: u8) -> Config {
    let requested = [
        OptionCode::DNS_SERVERS,
        OptionCode::DOMAIN_LIST,
        OptionCode::PD_EXCLUDE,
        OptionCode::CAPTIVE_PORTAL,
        OptionCode::ERP_LOCAL_DOMAIN_NAME,
        OptionCode::ADDR_REG_ENABLE,
    ];
    Config {
        ia_na: (number % 4 != 2).then_some(1),
        ia_pd: if number % 4 == 1 {
            vec![PdRequest::with_length(7, 60), PdRequest::new(8)]
        } else {
            Vec::new()
        },
        rapid_commit: number % 3 == 1,
        reconfigure_accept: true,
        options: requested.to_vec(),
        hostname: (number % 2 == 1).then(|| "host.example".to_owned()),
        user_classes: vec![b"one".to_vec(), b"two".to_vec()],
        ..Config::new(client_duid(number))
    }
}

/// What a client is told to do.
type Verb<'a> = &'a dyn Fn(&mut Client, std::time::Duration, &mut Vec<sixgate_dhcp::client::Action>);
/// What a query asks by.
type Fill<'a> = &'a dyn Fn(&mut Builder<'_>);

/// Four clients through all their states, on the link and behind a relay agent: what was said to whom.
pub(crate) fn exchanges(world: &mut World) {
    for number in 0..8 {
        let relayed = number >= 4;
        world.client = Client::new(asked(number), None, fastrand::Rng::with_seed(number.into()));
        let verbs: [Verb<'_>; 6] = [
            &|client, now, actions| client.start(now, actions),
            &|client, now, actions| client.renew_now(now, actions),
            &|client, now, actions| client.link_up(now, actions),
            &|client, now, actions| {
                let held = client.binding().map(|held| held.addresses.iter().map(|a| a.address).collect());
                client.decline(now, &held.unwrap_or_else(Vec::new), actions);
            },
            &|client, now, actions| client.renew_now(now, actions),
            &|client, now, actions| client.release(now, actions),
        ];
        for (at, verb) in verbs.iter().enumerate() {
            world.converse(relayed, |client, now, actions| verb(client, now, actions));
            if at == 1 {
                world.reconfigure(relayed);
            }
        }
    }
    let client = world.corpus.iter().filter(|packet| packet.to == To::Server).count();
    assert!(client > 20, "only {client} messages of clients");
    manual(world);
}

/// A Relay-forward of another agent around a message.
fn around(bytes: &[u8], count: u8, peer: Ipv6Addr, more: &[(OptionCode, &[u8])]) -> Vec<u8> {
    let mut room = vec![0; bytes.len() + 512];
    let link = if count == 0 { "2001:db8:1::1".parse().unwrap() } else { Ipv6Addr::UNSPECIFIED };
    let mut b = Builder::relay(&mut room, MessageType::RELAY_FORWARD, count, link, peer);
    for (code, content) in more {
        b.option(*code, content);
    }
    b.option(OptionCode::RELAY_MSG, bytes);
    b.finish().unwrap().to_vec()
}

/// What no client of ours sends: rows of agents with all that they can say, registrations, queries.
fn manual(world: &mut World) {
    let codes = [OptionCode::REMOTE_ID, OptionCode::SUBSCRIBER_ID].map(|code| code.0.to_be_bytes()).concat();
    let agent: Ipv6Addr = AGENT.parse().unwrap();
    let erp = b"\x00\x41\x00\x0d\x07example\x03net\x00";
    let first: &[(OptionCode, &[u8])] = &[
        (OptionCode::INTERFACE_ID, b"eth3"),
        (OptionCode::REMOTE_ID, b"\0\0\0\x09line"),
        (OptionCode::SUBSCRIBER_ID, b"ada"),
        (OptionCode::CLIENT_LINKLAYER_ADDR, &[0, 1, 2, 0, 0, 0, 0, 9]),
        (OptionCode::RELAY_ID, &[0, 3, 0, 1, 2, 0, 0, 0, 0, 8]),
        (OptionCode::ERO, &codes),
        (OptionCode::RSOO, erp),
        (OptionCode::RELAY_PORT, &[0, 0]),
    ];
    for number in 20..26 {
        for kind in [
            MessageType::SOLICIT,
            MessageType::REQUEST,
            MessageType::RENEW,
            MessageType::REBIND,
            MessageType::CONFIRM,
            MessageType::RELEASE,
            MessageType::DECLINE,
            MessageType::INFORMATION_REQUEST,
        ] {
            let wanted = [OptionCode::DNS_SERVERS, OptionCode::ERP_LOCAL_DOMAIN_NAME];
            let ask = Ask::new(kind, number).oro(&wanted).raw(OptionCode::RECONF_ACCEPT, &[]);
            let ask = match kind {
                MessageType::INFORMATION_REQUEST => ask,
                MessageType::CONFIRM => ask.na(1, &["2001:db8:1::7"]),
                _ => ask.na(1, &[]).pd(2, &["2001:db8:1000::/56"]).raw(OptionCode::RAPID_COMMIT, &[]),
            };
            let peer = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, number.into());
            let once = around(&ask.bytes(), 0, peer, first);
            let twice = around(&once, 1, agent, &[(OptionCode::INTERFACE_ID, b"port-7")]);
            let four = around(&around(&twice, 2, agent, &[]), 3, agent, &first[..1]);
            for bytes in [ask.bytes(), once, twice, four] {
                let to = if bytes[0] == 12 { To::ServerRelayed } else { To::Server };
                world.corpus.push(Packet { to, bytes: bytes.clone() });
                world.corpus.push(Packet { to: To::RelayFromLink, bytes });
            }
        }
        let register = |link: &str| {
            let mut room = [0; 256];
            let mut b =
                Builder::message(&mut room, MessageType::ADDR_REG_INFORM, TransactionId([9, 9, number]));
            let address = format!("{link}{number:x}").parse().unwrap();
            b.client_id(&client_duid(number)).ia_address(address, 600, 1_200, |_| {});
            b.finish().unwrap().to_vec()
        };
        world.corpus.push(Packet { to: To::Server, bytes: register("2001:db8:0:1::aa:") });
        let relayed = around(&register("2001:db8:1::aa:"), 0, "2001:db8:1::aa:20".parse().unwrap(), first);
        world.corpus.push(Packet { to: To::ServerRelayed, bytes: relayed });
        world.corpus.push(Packet { to: To::Client, bytes: forged(number) });
    }
    queries(world);
}

/// A Reconfigure that nobody authenticated.
fn forged(number: u8) -> Vec<u8> {
    let mut room = [0; 256];
    let mut b = Builder::message(&mut room, MessageType::RECONFIGURE, TransactionId::default());
    b.client_id(&client_duid(1)).server_id(&server_duid()).option(OptionCode::RECONF_MSG, &[5]);
    b.option(OptionCode::AUTH, &[&[3, 1, 0][..], &[0, 0, 0, 0, 0, 0, 0, number], &[2], &[7; 16]].concat());
    b.finish().unwrap().to_vec()
}

fn queries(world: &mut World) {
    let requestor = Duid::link_layer([2, 0, 0, 0, 0, 0x77]);
    let query = |kind: MessageType, by: QueryType, content: &dyn Fn(&mut Builder<'_>)| {
        let mut room = [0; 512];
        let mut b = Builder::message(&mut room, kind, TransactionId([7, 7, by.0]));
        b.client_id(&requestor).lease_query(by, Ipv6Addr::UNSPECIFIED, |b| {
            content(b);
            b.oro(&[OptionCode::LQ_RELAY_DATA, OptionCode::CLIENT_FQDN]);
        });
        b.finish().unwrap().to_vec()
    };
    let address = |b: &mut Builder<'_>| {
        b.ia_address("2001:db8:1::7".parse().unwrap(), 0, 0, |_| {});
    };
    let client = |b: &mut Builder<'_>| {
        b.client_id(&client_duid(20));
    };
    let relay = |b: &mut Builder<'_>| {
        b.relay_id(&Duid::link_layer([2, 0, 0, 0, 0, 8]));
    };
    let remote = |b: &mut Builder<'_>| {
        b.option(OptionCode::REMOTE_ID, b"\0\0\0\x09line");
    };
    let all: [(QueryType, Fill<'_>); 5] = [
        (QueryType::BY_ADDRESS, &address),
        (QueryType::BY_CLIENT_ID, &client),
        (QueryType::BY_RELAY_ID, &relay),
        (QueryType::BY_LINK_ADDRESS, &|_| {}),
        (QueryType::BY_REMOTE_ID, &remote),
    ];
    for (by, content) in all {
        for kind in [MessageType::LEASEQUERY, MessageType::ACTIVELEASEQUERY, MessageType::STARTTLS] {
            let bytes = query(kind, by, content);
            world.corpus.push(Packet { to: To::Leasequery, bytes: bytes.clone() });
            world.corpus.push(Packet { to: To::Requestor, bytes });
        }
    }
}
