//! A relay agent that names lines and hardware as it is told to, with one client behind it: no stock one that is packaged
//! lets itself be told. What it hears is read by tshark too.

use crate::network::*;
use sixgate_wire::dhcpv6::{
    Builder, DhcpOption, Duid, Message, MessageType, OptionCode, Packet, SERVER_PORT, TransactionId,
};
use std::net::{Ipv6Addr, UdpSocket};
use std::time::Duration;

/// What the agent adds.
pub type Added<'a> = &'a [(OptionCode, Vec<u8>)];

/// The DUID-LL of a box.
pub fn duid(last: u8) -> Duid {
    Duid::link_layer([2, 0, 0, 0, 0xbb, last])
}

pub fn line(name: &str) -> (OptionCode, Vec<u8>) {
    (OptionCode::INTERFACE_ID, name.as_bytes().to_vec())
}

pub fn mac(last: u8) -> (OptionCode, Vec<u8>) {
    (OptionCode::CLIENT_LINKLAYER_ADDR, vec![0, 1, 2, 0, 0, 0, 0xcc, last])
}

/// Four messages of a client with this DUID, for an address and a prefix; its associations are numbered like itself.
pub fn exchange(network: &Network, client: u8, added: Added<'_>) {
    let offer = ask(network, client, MessageType::SOLICIT, &[], added).expect("an Advertise");
    assert_eq!(offer.kind, MessageType::ADVERTISE);
    let reply = ask(network, client, MessageType::REQUEST, &offer.given, added).expect("a Reply");
    assert_eq!((reply.kind, reply.given.len()), (MessageType::REPLY, 3), "server, IA_NA and IA_PD");
}

pub struct Heard {
    pub kind: MessageType,
    /// The server's identifier and the associations, as options.
    given: Vec<(OptionCode, Vec<u8>)>,
}

/// Asks until it is answered, for a bounded time.
pub fn ask(
    network: &Network,
    client: u8,
    kind: MessageType,
    given: &[(OptionCode, Vec<u8>)],
    added: Added<'_>,
) -> Option<Heard> {
    let mut inside = [0; 1_024];
    let mut b = Builder::message(&mut inside, kind, TransactionId([client, kind.0, 7]));
    b.client_id(&duid(client)).elapsed_time(0);
    if given.is_empty() {
        b.ia_na(client.into(), 0, 0, |_| {}).ia_pd(client.into(), 0, 0, |_| {});
    }
    for (code, content) in given {
        b.option(*code, content);
    }
    let inside = b.finish().unwrap();
    let mut outside = [0; 2_048];
    let peer = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, client.into());
    let mut b = Builder::relay(&mut outside, MessageType::RELAY_FORWARD, 0, LINK.parse().unwrap(), peer);
    for (code, content) in added {
        b.option(*code, content);
    }
    b.option(OptionCode::RELAY_MSG, inside);
    let outside = b.finish().unwrap();
    network.relay.run(|| {
        let socket = UdpSocket::bind((RELAY.parse::<Ipv6Addr>().unwrap(), SERVER_PORT)).unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(1))).unwrap();
        for _ in 0..5 {
            socket.send_to(outside, (SERVER.parse::<Ipv6Addr>().unwrap(), SERVER_PORT)).unwrap();
            let mut buffer = [0; 4_096];
            if let Ok((length, _)) = socket.recv_from(&mut buffer) {
                return Some(read(&buffer[..length], added));
            }
        }
        None
    })
}

fn read(bytes: &[u8], added: Added<'_>) -> Heard {
    let Ok(Packet::Relay(layer)) = Packet::parse(bytes) else { panic!("no Relay-reply: {bytes:?}") };
    let named = added.iter().find(|(code, _)| *code == OptionCode::INTERFACE_ID);
    assert_eq!(layer.options().get(OptionCode::INTERFACE_ID), named.map(|(_, name)| &name[..]));
    let message: Message<'_> = match layer.relayed() {
        Some(Packet::Message(message)) => message,
        other => panic!("no answer inside: {other:?}"),
    };
    let given = message.options().raw().filter(|(code, content)| match DhcpOption::decode(*code, content) {
        DhcpOption::IaNa(ia) => ia.addresses().next().is_some(),
        DhcpOption::IaPd(ia) => ia.prefixes().next().is_some(),
        DhcpOption::ServerId(_) => true,
        _ => false,
    });
    Heard { kind: message.kind(), given: given.map(|(code, content)| (code, content.to_vec())).collect() }
}
