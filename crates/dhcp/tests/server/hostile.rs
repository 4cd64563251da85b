//! Bytes from strangers.

use crate::asking::{Ask, Desk, client_address, config, lan, server_duid};
use proptest::prelude::*;
use sixgate_dhcp::server::{Limits, ServerConfig};
use sixgate_wire::dhcpv6::{MessageType, OptionCode};

/// Options that look like ones, with any content, some of them nested.
fn options() -> impl Strategy<Value = Vec<u8>> {
    let code = prop_oneof![0_u16..40, any::<u16>(), Just(3), Just(25), Just(5), Just(26)];
    let content = prop_oneof![
        prop::collection::vec(any::<u8>(), 0..40),
        // An association with an address or a prefix inside, of hostile lengths.
        (any::<u32>(), any::<[u8; 16]>(), any::<u8>(), prop_oneof![Just(5_u16), Just(26)]).prop_map(
            |(iaid, address, length, code)| {
                let mut inner = Vec::new();
                if code == 5 {
                    inner.extend_from_slice(&address);
                }
                inner.extend_from_slice(&[0xff; 8]);
                if code == 26 {
                    inner.push(length);
                    inner.extend_from_slice(&address);
                }
                let mut content = iaid.to_be_bytes().to_vec();
                content.extend_from_slice(&[0xff; 8]);
                content.extend_from_slice(&code.to_be_bytes());
                content.extend_from_slice(&(inner.len() as u16).to_be_bytes());
                content.extend_from_slice(&inner);
                content
            }
        ),
    ];
    prop::collection::vec((code, content), 0..30).prop_map(|options| {
        let mut bytes = Vec::new();
        for (code, content) in options {
            bytes.extend_from_slice(&code.to_be_bytes());
            bytes.extend_from_slice(&(content.len() as u16).to_be_bytes());
            bytes.extend_from_slice(&content);
        }
        bytes
    })
}

fn message() -> impl Strategy<Value = Vec<u8>> {
    let head = |kind: u8, named: bool| {
        let mut ask = Ask::new(MessageType(kind), 1);
        ask.server = named.then(server_duid);
        ask.bytes()
    };
    let formed = (0_u8..16, any::<bool>(), options()).prop_map(move |(kind, named, options)| {
        let mut bytes = head(kind, named);
        bytes.extend_from_slice(&options);
        bytes
    });
    let cut = (formed, any::<prop::sample::Index>(), any::<prop::sample::Index>(), any::<u8>(), 0_u8..3);
    let cut = cut.prop_map(|(mut bytes, at, end, value, what)| {
        if what == 1 {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        if what == 2 {
            bytes.truncate(end.index(bytes.len()));
        }
        bytes
    });
    prop_oneof![3 => cut, 1 => prop::collection::vec(any::<u8>(), 0..200)]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    #[test]
    fn no_bytes_break_the_server(messages in prop::collection::vec((message(), 0_u8..4), 1..20)) {
        let limits = Limits { leases: 10, leases_per_client: 6, offers: 4, declined: 2, ..Limits::default() };
        let mut desk = Desk::new(ServerConfig { limits, ..config(vec![lan()]) });
        for (bytes, client) in messages {
            desk.ask_on("lan", client_address(client), &bytes);
            desk.pass(crate::asking::secs(1));
            prop_assert!(desk.server.leases().len() <= 10);
            prop_assert!(desk.server.leases().iter().eq(desk.disk.iter()));
        }
    }
}

#[test]
fn the_longest_message_gets_an_answer_or_none_but_no_panic() {
    let mut desk = Desk::new(ServerConfig {
        limits: Limits { associations: usize::MAX, leases_per_client: usize::MAX, ..Limits::default() },
        ..config(vec![lan()])
    });
    let listed: Vec<String> = (0..60).map(|i| format!("2001:db8:9::{i:x}")).collect();
    let listed: Vec<&str> = listed.iter().map(String::as_str).collect();
    let ask = (0..2).fold(Ask::new(MessageType::REBIND, 1), |ask, iaid| ask.na(iaid, &listed));
    assert!(desk.ask(&ask).is_some());
    let mut bytes = Ask::new(MessageType::REBIND, 1).bytes();
    while bytes.len() < 65_000 {
        bytes.extend_from_slice(&OptionCode::IA_NA.0.to_be_bytes());
        bytes.extend_from_slice(&[0, 12, 0, 0]);
        bytes.extend_from_slice(&(bytes.len() as u16).to_be_bytes());
        bytes.extend_from_slice(&[0; 8]);
    }
    let heard = desk.ask_on("lan", client_address(1), &bytes).unwrap();
    assert_eq!(heard.ias.len(), 16);
}
