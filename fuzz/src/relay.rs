//! The DHCPv6 relay agent: datagrams of clients, of other relay agents and of servers, time, other
//! configurations, crashes.

use crate::cores::{START, Script};
use sixgate_dhcp::relay::{
    Action, Actions, Config, Delegation, FromLink, FromServer, Limits, Link, Relay, Server,
};
use sixgate_wire::dhcpv6::{HOP_COUNT_LIMIT, MessageType, OptionCode, RelayMessage};
use std::collections::BTreeMap;
use std::net::Ipv6Addr;
use std::time::Duration;

const SERVER: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0x547);
const LIMITS: Limits = Limits { rate: 1_000, prefixes_per_client: 2, prefixes_per_link: 3 };

fn link_local(last: u16) -> Ipv6Addr {
    Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, last)
}

fn config(which: u8) -> Config {
    let bit = |n: u8| which & 1 << n != 0;
    let link = |name: &str, number: u16| Link {
        interface: Some(number.into()),
        servers: vec![Server::new(SERVER), Server { address: link_local(7), interface: Some(9) }],
        address: bit(0).then_some(Ipv6Addr::new(0x2001, 0xdb8, number, 0, 0, 0, 0, 1)),
        link_local: Some(link_local(1)),
        prefixes: vec![format!("2001:db8:{number}::/64").parse().expect("a prefix")],
        interface_id: bit(1).then(|| number.to_be_bytes().repeat(2)),
        remote_id: bit(2).then(|| (32_473, b"line".to_vec())),
        subscriber_id: bit(3).then(|| b"subscriber".to_vec()),
        client_link_layer: bit(4),
        relays: vec!["fe80::a/128".parse().expect("an address")],
        delegated_from: Vec::new(),
        delegates: !bit(6),
        ..Link::new(name)
    };
    Config {
        links: vec![link("one", 1), link("two", 2)],
        port: if bit(5) { 5547 } else { 547 },
        relay_id: None,
        limits: LIMITS,
    }
}

/// Plays events and asserts that what is relayed is inside as it came, that nothing is sent to anybody but
/// servers and hosts on links, that routes are bounded, lead to hosts on links and end, and that what was
/// kept is what stands.
pub fn relay(bytes: &[u8]) {
    let mut which = 0;
    let mut relay = Relay::new(config(which), [7; 16], Vec::new());
    let mut disk: BTreeMap<_, Delegation> = BTreeMap::new();
    let mut now = Duration::from_secs(START);
    let mut script = Script { rest: bytes };
    while let Some((what, how)) = script.event() {
        let mut actions = Actions::new();
        let mut content: &[u8] = &[];
        match what % 5 {
            0 => {
                content = script.content();
                let link = if how & 1 == 0 { "one" } else { "two" };
                let (source, port) = (link_local(u16::from(how >> 4)), if how & 2 == 0 { 547 } else { 5547 });
                let link_layer = (how & 4 != 0).then_some([2, 0, 0, 0, 0, how]);
                relay.handle_from_link(
                    now,
                    &FromLink { link, source, port, link_layer, bytes: content },
                    &mut actions,
                );
            }
            1 => {
                content = script.content();
                let source = if how & 1 == 0 { SERVER } else { link_local(7) };
                let interface = u32::from(how >> 4);
                relay.handle_from_server(
                    now,
                    &FromServer { source, interface, bytes: content },
                    &mut actions,
                );
            }
            2 => {
                now += Duration::from_secs(u64::from(how) * 30);
                relay.handle_timeout(now, &mut actions);
            }
            3 => {
                which = how;
                relay.set_config(config(which));
            }
            _ => relay = Relay::new(config(which), [how; 16], disk.values().cloned().collect()),
        }
        for action in actions {
            match action {
                Action::ToServer { server, bytes } => {
                    assert!(server.address == SERVER || server.interface == Some(9));
                    let outer = RelayMessage::parse(&bytes).expect("a Relay-forward can be read");
                    assert_eq!(outer.kind(), MessageType::RELAY_FORWARD);
                    assert!(outer.hop_count() <= HOP_COUNT_LIMIT);
                    assert_eq!(outer.options().get(OptionCode::RELAY_MSG), Some(content));
                }
                Action::ToLink { destination, bytes, .. } => {
                    let outer = RelayMessage::parse(content).expect("a Relay-reply was read");
                    assert_eq!(outer.options().get(OptionCode::RELAY_MSG), Some(&*bytes));
                    assert!(on_link(destination), "{destination}");
                }
                Action::Routed(held) => {
                    assert!(on_link(held.via) && held.valid_until > now, "{held:?}");
                    assert!(held.prefix.prefix_len() > 0);
                    disk.insert(held.prefix, held);
                }
                Action::Unrouted { prefix } => assert!(disk.remove(&prefix).is_some(), "{prefix}"),
            }
        }
        assert!(relay.delegations().eq(disk.values()), "what was kept is not what stands");
        for link in ["one", "two"] {
            assert!(disk.values().filter(|held| &*held.link == link).count() <= LIMITS.prefixes_per_link);
        }
        let end = disk.values().map(|held| held.valid_until).min().filter(|end| *end != Duration::MAX);
        assert_eq!(relay.poll_timeout(), end);
    }
}

fn on_link(address: Ipv6Addr) -> bool {
    let [a, b, c, d, ..] = address.segments();
    address.is_unicast_link_local() || matches!([a, b, c, d], [0x2001, 0xdb8, 1 | 2, 0])
}
