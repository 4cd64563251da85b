//! What DHCPv6 says to who wants no lease: an Information-request (RFC 9915 section 18.2.6).

use super::exchange::exchange;
use super::seen::{Asked, Dhcp6};
use sixgate_endpoint::Endpoint;
use sixgate_linux::socket::{Error, Udp6Options, UdpSocket6, udp6};
use sixgate_wire::dhcpv6::{
    Builder, CLIENT_PORT, DhcpOption, Duid, Message, MessageType, OptionCode, SERVER_PORT, TransactionId,
};
use std::net::{Ipv6Addr, SocketAddrV6};
use std::time::Duration;

/// All_DHCP_Relay_Agents_and_Servers (RFC 9915 section 7.1).
const ALL: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 1, 2);
/// When it is asked, from the beginning on.
const ASK: [Duration; 3] = [Duration::ZERO, Duration::from_secs(1), Duration::from_secs(3)];

/// Asks. Takes four and a half seconds where nobody answers.
pub(super) fn ask(device: &str, interface: u32, mac: Option<[u8; 6]>) -> Result<Asked<Dhcp6>, Error> {
    let any = SocketAddrV6::new(Ipv6Addr::UNSPECIFIED, CLIENT_PORT, 0, 0);
    let mut options = Udp6Options::new(any).device(device);
    options.multicast_interface = Some(interface);
    // Where a client of this machine has the port, it is not shared: its answers would come to us.
    let socket = udp6(&options)?;
    let transaction = TransactionId([fastrand::u8(..), fastrand::u8(..), fastrand::u8(..)]);
    let ask = |elapsed| send(&socket, interface, mac, transaction, elapsed);
    Ok(exchange(&socket, &ASK, ask, |bytes, from| read(bytes, from, transaction)))
}

fn send(
    socket: &UdpSocket6,
    interface: u32,
    mac: Option<[u8; 6]>,
    transaction: TransactionId,
    elapsed: Duration,
) {
    let mut buffer = [0; 256];
    let mut builder = Builder::message(&mut buffer, MessageType::INFORMATION_REQUEST, transaction);
    if let Some(mac) = mac {
        builder.client_id(&Duid::link_layer(mac));
    }
    builder.elapsed_time(u16::try_from(elapsed.as_millis() / 10).unwrap_or(u16::MAX));
    builder.oro(&[OptionCode::DNS_SERVERS, OptionCode::CAPTIVE_PORTAL]);
    if let Ok(bytes) = builder.finish() {
        let _ = socket.send(bytes, SocketAddrV6::new(ALL, SERVER_PORT, 0, interface), None);
    }
}

/// What a Reply to this transaction says; `server` is who sent it, `from`.
fn read(bytes: &[u8], from: Ipv6Addr, transaction: TransactionId) -> Option<Dhcp6> {
    let message = Message::parse(bytes).ok()?;
    if message.kind() != MessageType::REPLY || message.transaction() != transaction {
        return None;
    }
    let resolvers = match message.options().find(OptionCode::DNS_SERVERS) {
        Some(DhcpOption::DnsServers(addresses)) => {
            addresses.iter().take(16).map(|address| Endpoint::new(address).to_string()).collect()
        }
        _ => Vec::new(),
    };
    let captive_portal = match message.options().find(OptionCode::CAPTIVE_PORTAL) {
        Some(DhcpOption::CaptivePortal(uri)) => Some(super::portal::text(uri)),
        _ => None,
    };
    Some(Dhcp6 { server: Endpoint::new(from).to_string(), resolvers, captive_portal })
}
