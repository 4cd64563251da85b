//! The few changes of interfaces, addresses and routes that a lab makes; in the calling thread's network namespace.

use std::io;
use std::net::{IpAddr, Ipv6Addr};
use std::os::fd::{AsRawFd as _, BorrowedFd};

use ipnet::IpNet;
use netlink_packet_core::{
    NLM_F_ACK, NLM_F_CREATE, NLM_F_EXCL, NLM_F_REPLACE, NLM_F_REQUEST, NetlinkHeader, NetlinkMessage,
    NetlinkPayload,
};
use netlink_packet_route::address::{AddressAttribute, AddressFlags, AddressMessage};
use netlink_packet_route::link::{
    InfoBridge, InfoData, InfoKind, InfoVeth, LinkAttribute, LinkFlags, LinkInfo, LinkMessage,
};
use netlink_packet_route::route::{
    RouteAddress, RouteAttribute, RouteHeader, RouteMessage, RouteProtocol, RouteScope, RouteType,
};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};
use netlink_sys::{Socket, SocketAddr, protocols::NETLINK_ROUTE};

/// A hardware address.
pub(crate) type Mac = [u8; 6];

fn request(message: RouteNetlinkMessage, flags: u16) -> io::Result<()> {
    let mut header = NetlinkHeader::default();
    header.flags = NLM_F_REQUEST | NLM_F_ACK | flags;
    header.sequence_number = 1;
    let mut message = NetlinkMessage::new(header, NetlinkPayload::from(message));
    message.finalize();
    let mut bytes = vec![0; message.buffer_len()];
    message.serialize(&mut bytes);

    let mut socket = Socket::new(NETLINK_ROUTE)?;
    socket.bind_auto()?;
    socket.connect(&SocketAddr::new(0, 0))?;
    socket.send(&bytes, 0)?;
    let (answer, _) = socket.recv_from_full()?;
    let answer = NetlinkMessage::<RouteNetlinkMessage>::deserialize(&answer).map_err(io::Error::other)?;
    match answer.payload {
        NetlinkPayload::Error(error) if error.code.is_some() => Err(error.to_io()),
        _ => Ok(()),
    }
}

/// The index of an interface.
pub(crate) fn index(interface: &str) -> io::Result<u32> {
    nix::net::if_::if_nametoindex(interface).map_err(io::Error::from)
}

fn described(name: &str, mac: Mac) -> LinkMessage {
    let mut message = LinkMessage::default();
    message.attributes.push(LinkAttribute::IfName(name.to_owned()));
    message.attributes.push(LinkAttribute::Address(mac.to_vec()));
    message
}

/// Makes a pair of joined interfaces: one here, the other in the namespace `there`.
pub(crate) fn add_veth(
    (name, mac): (&str, Mac),
    (peer_name, peer_mac): (&str, Mac),
    there: BorrowedFd<'_>,
) -> io::Result<()> {
    let mut peer = described(peer_name, peer_mac);
    peer.attributes.push(LinkAttribute::NetNsFd(there.as_raw_fd()));
    let mut message = described(name, mac);
    message.attributes.push(LinkAttribute::LinkInfo(vec![
        LinkInfo::Kind(InfoKind::Veth),
        LinkInfo::Data(InfoData::Veth(InfoVeth::Peer(peer))),
    ]));
    request(RouteNetlinkMessage::NewLink(message), NLM_F_CREATE | NLM_F_EXCL)
}

/// Makes a bridge that forwards at once, and multicast to every port.
pub(crate) fn add_bridge(name: &str, mac: Mac) -> io::Result<()> {
    let mut message = described(name, mac);
    message.attributes.push(LinkAttribute::LinkInfo(vec![
        LinkInfo::Kind(InfoKind::Bridge),
        LinkInfo::Data(InfoData::Bridge(vec![
            InfoBridge::ForwardDelay(0),
            InfoBridge::MulticastSnooping(false),
        ])),
    ]));
    request(RouteNetlinkMessage::NewLink(message), NLM_F_CREATE | NLM_F_EXCL)
}

fn change(interface: &str, edit: impl FnOnce(&mut LinkMessage)) -> io::Result<()> {
    let mut message = LinkMessage::default();
    message.header.index = index(interface)?;
    edit(&mut message);
    request(RouteNetlinkMessage::SetLink(message), 0)
}

/// Sets the hardware address; the interface should be down.
pub(crate) fn set_mac(interface: &str, mac: Mac) -> io::Result<()> {
    change(interface, |message| message.attributes.push(LinkAttribute::Address(mac.to_vec())))
}

/// Makes an interface a port of a bridge.
pub(crate) fn set_bridge(interface: &str, bridge: &str) -> io::Result<()> {
    let bridge = index(bridge)?;
    change(interface, |message| message.attributes.push(LinkAttribute::Controller(bridge)))
}

/// Brings an interface up, or down.
pub(crate) fn set_up(interface: &str, up: bool) -> io::Result<()> {
    change(interface, |message| {
        message.header.change_mask = LinkFlags::Up;
        message.header.flags = if up { LinkFlags::Up } else { LinkFlags::empty() };
    })
}

/// Removes an interface.
pub(crate) fn remove(interface: &str) -> io::Result<()> {
    let mut message = LinkMessage::default();
    message.header.index = index(interface)?;
    request(RouteNetlinkMessage::DelLink(message), 0)
}

fn address_message(interface: &str, address: IpNet) -> io::Result<AddressMessage> {
    let mut message = AddressMessage::default();
    message.header.index = index(interface)?;
    message.header.prefix_len = address.prefix_len();
    message.header.family = family(address.addr());
    message.attributes.push(AddressAttribute::Local(address.addr()));
    message.attributes.push(AddressAttribute::Address(address.addr()));
    Ok(message)
}

fn family(address: IpAddr) -> AddressFamily {
    if address.is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 }
}

/// Adds an address; with `nodad` it may be used at once (RFC 4862 section 5.4 is left out).
pub(crate) fn add_address(interface: &str, address: IpNet, nodad: bool) -> io::Result<()> {
    let mut message = address_message(interface, address)?;
    if nodad && matches!(address, IpNet::V6(_)) {
        message.attributes.push(AddressAttribute::Flags(AddressFlags::Nodad));
    }
    request(RouteNetlinkMessage::NewAddress(message), NLM_F_CREATE | NLM_F_EXCL)
}

/// Removes an address.
pub(crate) fn remove_address(interface: &str, address: IpNet) -> io::Result<()> {
    request(RouteNetlinkMessage::DelAddress(address_message(interface, address)?), 0)
}

fn route_message(to: IpNet, via: Option<IpAddr>, interface: &str) -> io::Result<RouteMessage> {
    let as_route = |address| match address {
        IpAddr::V4(address) => RouteAddress::Inet(address),
        IpAddr::V6(address) => RouteAddress::Inet6(address),
    };
    let mut message = RouteMessage::default();
    message.header.address_family = family(to.addr());
    message.header.destination_prefix_length = to.prefix_len();
    message.header.table = RouteHeader::RT_TABLE_MAIN;
    message.header.protocol = RouteProtocol::Static;
    message.header.scope =
        if via.is_none() && to.addr().is_ipv4() { RouteScope::Link } else { RouteScope::Universe };
    message.header.kind = RouteType::Unicast;
    message.attributes.push(RouteAttribute::Destination(as_route(to.network())));
    message.attributes.push(RouteAttribute::Oif(index(interface)?));
    if let Some(via) = via {
        message.attributes.push(RouteAttribute::Gateway(as_route(via)));
    }
    Ok(message)
}

/// Adds or replaces a route.
pub(crate) fn add_route(to: IpNet, via: Option<IpAddr>, interface: &str) -> io::Result<()> {
    let message = route_message(to, via, interface)?;
    request(RouteNetlinkMessage::NewRoute(message), NLM_F_CREATE | NLM_F_REPLACE)
}

/// Removes a route.
pub(crate) fn remove_route(to: IpNet, via: Option<IpAddr>, interface: &str) -> io::Result<()> {
    request(RouteNetlinkMessage::DelRoute(route_message(to, via, interface)?), 0)
}

/// An address of `/proc/net/if_inet6`.
pub(crate) fn parse_if_inet6(text: &str) -> Vec<(String, Ipv6Addr, u8, u8)> {
    let line = |line: &str| {
        let mut fields = line.split_ascii_whitespace();
        let address = Ipv6Addr::from(u128::from_str_radix(fields.next()?, 16).ok()?);
        let prefix = u8::from_str_radix(fields.nth(1)?, 16).ok()?;
        let flags = u8::from_str_radix(fields.nth(1)?, 16).ok()?;
        Some((fields.next()?.to_owned(), address, prefix, flags))
    };
    text.lines().filter_map(line).collect()
}
