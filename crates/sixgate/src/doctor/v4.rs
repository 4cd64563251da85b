//! What DHCPv4 offers, and whether with option 108 (RFC 8925): a Discover, whose Offer is not taken.

use super::exchange::exchange;
use super::seen::{Asked, Dhcp4};
use sixgate_linux::socket::{Error, Udp6Options, UdpSocket6, udp6};
use sixgate_wire::dhcpv4::{
    BOOTREPLY, BOOTREQUEST, BROADCAST, Builder, CLIENT_PORT, Hardware, Header, Message, MessageType,
    OptionCode, SERVER_PORT, Value,
};
use std::net::{Ipv4Addr, SocketAddrV6};
use std::time::Duration;

/// When it is asked, from the beginning on.
const ASK: [Duration; 2] = [Duration::ZERO, Duration::from_secs(2)];

/// Asks. Takes four and a half seconds where nobody answers.
pub(super) fn ask(device: &str, interface: u32, mac: [u8; 6]) -> Result<Asked<Dhcp4>, Error> {
    let any = SocketAddrV6::new(Ipv4Addr::UNSPECIFIED.to_ipv6_mapped(), CLIENT_PORT, 0, 0);
    let options = Udp6Options { ipv4: true, broadcast: true, ..Udp6Options::new(any).device(device) };
    let socket = udp6(&options)?;
    let header = Header {
        op: BOOTREQUEST,
        hardware: Hardware::ethernet(mac),
        hops: 0,
        xid: fastrand::u32(..),
        secs: 0,
        flags: BROADCAST,
        ciaddr: Ipv4Addr::UNSPECIFIED,
        yiaddr: Ipv4Addr::UNSPECIFIED,
        siaddr: Ipv4Addr::UNSPECIFIED,
        giaddr: Ipv4Addr::UNSPECIFIED,
    };
    let ask = |_elapsed| send(&socket, interface, &header);
    Ok(exchange(&socket, &ASK, ask, |bytes, from| {
        let answer = read(bytes, &header)?;
        Some(Dhcp4 { server: from.to_canonical().to_string(), ..answer })
    }))
}

fn send(socket: &UdpSocket6, interface: u32, header: &Header) {
    let mut buffer = [0; 576];
    let mut builder = Builder::new(&mut buffer, header, MessageType::DISCOVER);
    builder.request(&[
        OptionCode::IPV6_ONLY_PREFERRED,
        OptionCode::SUBNET_MASK,
        OptionCode::ROUTERS,
        OptionCode::DNS_SERVERS,
        OptionCode::CAPTIVE_PORTAL,
    ]);
    if let Ok(bytes) = builder.finish() {
        let to = SocketAddrV6::new(Ipv4Addr::BROADCAST.to_ipv6_mapped(), SERVER_PORT, 0, interface);
        let _ = socket.send(bytes, to, None);
    }
}

/// An Offer to what was asked.
fn read(bytes: &[u8], asked: &Header) -> Option<Dhcp4> {
    let message = Message::parse(bytes).ok()?;
    let header = message.header();
    let ours = header.op == BOOTREPLY && header.xid == asked.xid && header.hardware == asked.hardware;
    if !ours || message.kind() != MessageType::OFFER {
        return None;
    }
    let find = |code: OptionCode| message.options().get(code).map(|data| Value::decode(code, data));
    let ipv6_only = match find(OptionCode::IPV6_ONLY_PREFERRED) {
        Some(Value::Number(seconds)) => Some(seconds),
        _ => None,
    };
    let resolvers = match find(OptionCode::DNS_SERVERS) {
        Some(Value::Addresses(addresses)) => addresses.iter().take(16).map(ToString::to_string).collect(),
        _ => Vec::new(),
    };
    let captive_portal =
        message.options().get(OptionCode::CAPTIVE_PORTAL).map(|uri| super::portal::text(&uri));
    Some(Dhcp4 { server: String::new(), ipv6_only, resolvers, captive_portal })
}
