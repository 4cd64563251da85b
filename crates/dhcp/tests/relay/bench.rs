//! A relay agent with two links and two servers, and messages for it.

use ipnet::Ipv6Net;
use sixgate_dhcp::relay::{
    Action, Actions, Config, Delegation, Discard, FromLink, FromServer, Limits, Link, Relay, Server,
};
use sixgate_wire::dhcpv6::{Builder, Duid, MessageType, OptionCode, RelayMessage, TransactionId};
use std::net::Ipv6Addr;
use std::time::Duration;

pub const NOW: Duration = Duration::from_secs(1_000_000_000);
pub const MAC: [u8; 6] = [2, 0, 0x5e, 0x10, 0, 7];

pub fn ip(text: &str) -> Ipv6Addr {
    text.parse().unwrap()
}

pub fn net(text: &str) -> Ipv6Net {
    text.parse().unwrap()
}

pub fn client() -> Ipv6Addr {
    ip("fe80::c")
}

pub fn server() -> Ipv6Addr {
    ip("2001:db8::547")
}

pub fn duid(n: u8) -> Duid {
    Duid::link_layer([2, 0, 0, 0, 0, n])
}

/// `lan` with an address and a trusted relay agent, and `line`, which has no address at all.
pub fn config() -> Config {
    let mut lan = Link::new("lan");
    lan.interface = Some(2);
    lan.servers = vec![Server::new(server()), Server::new(ip("2001:db8::548"))];
    lan.address = Some(ip("2001:db8:1::1"));
    lan.link_local = Some(ip("fe80::1"));
    lan.prefixes = vec![net("2001:db8:1::/64")];
    lan.relays = vec![net("fe80::a/128"), net("2001:db8:9::/64")];
    let mut line = Link::new("line");
    line.interface = Some(3);
    line.servers = vec![Server::new(server())];
    line.link_local = Some(ip("fe80::2"));
    Config {
        links: vec![lan, line],
        limits: Limits { rate: 1_000_000, ..Limits::default() },
        ..Config::new()
    }
}

/// What a change of the links gives.
pub fn config_with(change: impl Fn(&mut Link)) -> Config {
    let mut config = config();
    config.links.iter_mut().for_each(change);
    config
}

pub fn relay(config: Config) -> Relay {
    Relay::new(config, [1; 16], Vec::new())
}

/// A client's message with its identifier, and whatever `more` writes.
pub fn message(kind: MessageType, more: impl FnOnce(&mut Builder<'_>)) -> Vec<u8> {
    let mut buffer = [0; 4096];
    let mut out = Builder::message(&mut buffer, kind, TransactionId([1, 2, 3]));
    out.client_id(&duid(1));
    more(&mut out);
    out.finish().unwrap().to_vec()
}

pub fn solicit() -> Vec<u8> {
    message(MessageType::SOLICIT, |_| ())
}

/// A Reply that gives prefixes, each with its valid lifetime in seconds.
pub fn reply(of: u8, iaid: u32, prefixes: &[(&str, u32)]) -> Vec<u8> {
    let mut buffer = [0; 4096];
    let mut out = Builder::message(&mut buffer, MessageType::REPLY, TransactionId([1, 2, 3]));
    out.client_id(&duid(of)).ia_pd(iaid, 0, 0, |out| {
        for (prefix, valid) in prefixes {
            out.ia_prefix(net(prefix), *valid, *valid, |_| ());
        }
    });
    out.finish().unwrap().to_vec()
}

/// A Relay message around another one; `more` writes further options.
pub fn wrap(
    kind: MessageType,
    hops: u8,
    (link, peer): (&str, &str),
    inner: &[u8],
    more: impl FnOnce(&mut Builder<'_>),
) -> Vec<u8> {
    let mut buffer = vec![0; 70_000];
    let mut out = Builder::relay(&mut buffer, kind, hops, ip(link), ip(peer));
    more(&mut out);
    out.option(OptionCode::RELAY_MSG, inner);
    out.finish().unwrap().to_vec()
}

/// The answer to what the client at `fe80::c` on `lan` sent.
pub fn answer(inner: &[u8]) -> Vec<u8> {
    wrap(MessageType::RELAY_REPLY, 0, ("2001:db8:1::1", "fe80::c"), inner, |_| ())
}

/// What comes out for a message of the client at `fe80::c`.
pub fn from(relay: &mut Relay, link: &str, bytes: &[u8]) -> Actions {
    from_at(relay, NOW, link, client(), bytes)
}

pub fn from_at(relay: &mut Relay, now: Duration, link: &str, source: Ipv6Addr, bytes: &[u8]) -> Actions {
    let mut actions = Actions::new();
    let datagram = FromLink { link, source, port: 546, link_layer: Some(MAC), bytes };
    relay.handle_from_link(now, &datagram, &mut actions);
    actions
}

/// What comes out for a message of the server at `2001:db8::547`.
pub fn to(relay: &mut Relay, bytes: &[u8]) -> Actions {
    to_at(relay, NOW, server(), bytes)
}

pub fn to_at(relay: &mut Relay, now: Duration, source: Ipv6Addr, bytes: &[u8]) -> Actions {
    let mut actions = Actions::new();
    relay.handle_from_server(now, &FromServer { source, interface: 9, bytes }, &mut actions);
    actions
}

/// The messages for servers among actions.
pub fn sent(actions: &Actions) -> Vec<(Ipv6Addr, Vec<u8>)> {
    let sent = |action: &Action| match action {
        Action::ToServer { server, bytes } => Some((server.address, bytes.clone())),
        _ => None,
    };
    actions.iter().filter_map(sent).collect()
}

/// The one Relay-forward that went to every server.
pub fn forward(actions: &Actions) -> Vec<u8> {
    let sent = sent(actions);
    assert!(!sent.is_empty() && sent.iter().all(|(_, bytes)| *bytes == sent[0].1), "{actions:?}");
    sent[0].1.clone()
}

/// The options of a Relay message but the message itself: codes and contents.
pub fn told(bytes: &[u8]) -> Vec<(u16, Vec<u8>)> {
    let message = RelayMessage::parse(bytes).unwrap();
    let options = message.options().raw().filter(|(code, _)| *code != OptionCode::RELAY_MSG);
    options.map(|(code, data)| (code.0, data.to_vec())).collect()
}

/// The messages for links among actions: link, address, port, octets.
pub fn delivered(actions: &Actions) -> Vec<(String, Ipv6Addr, u16, Vec<u8>)> {
    let delivered = |action: &Action| match action {
        Action::ToLink { link, destination, port, bytes } => {
            Some((link.to_string(), *destination, *port, bytes.clone()))
        }
        _ => None,
    };
    actions.iter().filter_map(delivered).collect()
}

/// The prefixes that have routes, with their next hop and end in seconds from [`NOW`].
pub fn routes(relay: &Relay) -> Vec<(String, String, u64)> {
    let shown = |held: &Delegation| {
        let end = held.valid_until.saturating_sub(NOW).as_secs();
        (held.prefix.to_string(), format!("{} {}", held.via, held.link), end)
    };
    relay.delegations().map(shown).collect()
}

/// Nothing came out, for this reason.
#[track_caller]
pub fn assert_discarded(relay: &Relay, actions: &Actions, reason: Discard) {
    assert!(actions.is_empty(), "{actions:?}");
    let counted: Vec<_> =
        Discard::ALL.into_iter().filter(|reason| relay.counters().discarded(*reason) > 0).collect();
    assert_eq!(counted, [reason]);
}
