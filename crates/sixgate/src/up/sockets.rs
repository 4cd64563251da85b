//! Every socket of `up`: opened with what it needs and no more, read by a task each, verified in the kernel's table.

use super::dns;
use super::event::{Event, Sender, Side};
use super::relay;
use super::remote::{self, Edge};
use super::requests;
use super::v4::Edge as EdgeV4;
use crate::config::Config;
use sixgate_dhcp::relay::Server;
use sixgate_linux::listeners::{self, Protocol};
use sixgate_linux::socket::{
    self, Icmp6Options, Icmp6Socket, Outgoing, Received, Slot, Udp6Options, UdpSocket6, icmp6, tcp_listener,
    udp6,
};
use sixgate_wire::{dhcpv6, ndp};
use std::io;
use std::net::{Ipv6Addr, SocketAddrV6};
use std::os::fd::{AsFd, AsRawFd};
use std::rc::Rc;
use tokio::io::unix::{AsyncFd, AsyncFdReadyGuard};
use tokio::sync::oneshot;
use tokio::task::spawn_local;

/// Longest datagram that is read, in octets: jumbo frames fit. A longer one is cut, and then its parser refuses it.
const LONGEST: usize = 16 * 1024;
/// Port of DNS.
const DNS: u16 = 53;
/// Datagrams read in one go from one socket, so that one busy LAN does not keep the others waiting.
const BURST: usize = 64;

/// Why a socket is not as it should be.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SocketsError {
    #[error(transparent)]
    Open(#[from] socket::Error),
    #[error(transparent)]
    Missing(#[from] listeners::Error),
    #[error("cannot wait for a socket: {0}")]
    Register(#[from] io::Error),
}

/// A DNS reply: the LAN, to whom, from which address and interface, the message.
pub(crate) type Reply = (usize, SocketAddrV6, (Ipv6Addr, u32), Vec<u8>);

/// A socket that the runtime waits for.
pub(crate) type Watched<S> = Rc<AsyncFd<S>>;

/// The sockets of one LAN.
#[derive(Debug)]
struct LanSockets {
    name: String,
    nd: Watched<Icmp6Socket>,
    dhcp: Watched<UdpSocket6>,
    v4: Option<EdgeV4>,
    dns: Option<(Watched<UdpSocket6>, std::os::fd::OwnedFd)>,
}

/// The sockets of the uplink.
#[derive(Debug)]
struct UplinkSockets {
    interface: Interface,
    nd: Watched<Icmp6Socket>,
    client: Option<Watched<UdpSocket6>>,
}

/// All sockets.
#[derive(Debug)]
pub(crate) struct Sockets {
    uplink: Option<UplinkSockets>,
    lans: Vec<LanSockets>,
    /// Towards the servers that LANs are relayed to: on whatever interface they are.
    relay: Option<Watched<UdpSocket6>>,
    edges: Vec<Edge>,
}

/// An interface that sockets are opened on.
#[derive(Debug, Clone)]
pub(crate) struct Interface {
    pub(crate) name: String,
    pub(crate) index: u32,
}

impl Sockets {
    /// Says at once when there is no IPv6 at all, before anything else fails for the same reason in other words.
    pub(crate) fn require_ipv6() -> Result<(), SocketsError> {
        udp6(&Udp6Options::new(SocketAddrV6::new(Ipv6Addr::LOCALHOST, 0, 0, 0)))?;
        Ok(())
    }

    /// Opens every port and closes it again: says who has one of them, before anything is changed.
    pub(crate) fn require_ports(config: &Config) -> Result<(), SocketsError> {
        let any = |port| SocketAddrV6::new(Ipv6Addr::UNSPECIFIED, port, 0, 0);
        let client = config.uplink.iter().filter(|uplink| uplink.address || uplink.prefix);
        let mut ports: Vec<(&str, u16)> =
            client.map(|uplink| (uplink.interface.value.as_str(), dhcpv6::CLIENT_PORT)).collect();
        ports.extend(config.lans.iter().map(|lan| (lan.interface.value.as_str(), dhcpv6::SERVER_PORT)));
        ports.extend(remote::edges(config).map(|device| (device, dhcpv6::SERVER_PORT)));
        for (device, port) in ports {
            udp6(&Udp6Options::new(any(port)).device(device))?;
        }
        if relay::relays(config) {
            udp6(&Udp6Options::new(any(config.relay.port)))?;
        }
        for lan in &config.lans {
            let (device, ipv4) = (lan.interface.value.as_str(), lan.ipv4.is_some());
            if ipv4 {
                EdgeV4::require(device)?;
            }
            if config.dns.enabled {
                udp6(&Udp6Options::new(any(DNS)).device(device).ipv4(ipv4))?;
                tcp_listener(any(DNS), Some(device), ipv4)?;
            }
        }
        Ok(())
    }

    /// Opens everything, with a task that reads each socket into `events`.
    pub(crate) fn open(
        config: &Config,
        uplink: Option<Interface>,
        lans: Vec<Interface>,
        edges: &[Interface],
        events: &Sender,
    ) -> Result<Self, SocketsError> {
        let uplink = match (uplink, &config.uplink) {
            (Some(interface), Some(uplink)) => {
                Some(open_uplink(interface, uplink.address || uplink.prefix, events)?)
            }
            _ => None,
        };
        let mut connections = 0_u64;
        let mut opened = Vec::new();
        for (index, lan) in lans.into_iter().enumerate() {
            let ipv4 = config.lans.get(index).is_some_and(|lan| lan.ipv4.is_some());
            // Numbers of connections never meet: each LAN counts in a range of its own.
            let with = With { dns: config.dns.enabled, ipv4, relay: relay::relays(config) };
            opened.push(open_lan(index, lan, with, connections, events)?);
            connections += 1 << 40;
        }
        let relay = relay::relays(config).then(|| open_relay(config.relay.port, events)).transpose()?;
        let edges = edges
            .iter()
            .enumerate()
            .map(|(number, interface)| Edge::open(number, interface, relay.is_some(), events))
            .collect::<Result<_, _>>()?;
        Ok(Self { uplink, lans: opened, relay, edges })
    }

    /// Looks every socket up in the kernel's table; what was found, as sentences.
    pub(crate) fn verify(&self) -> Result<Vec<String>, SocketsError> {
        let mut found = Vec::new();
        let mut check = |socket: &dyn AsFdRef, protocol, on: &str| -> Result<(), SocketsError> {
            let entry = listeners::verify_socket(socket.fd(), protocol)?;
            let what = match protocol {
                Protocol::Raw => "ICMPv6".to_owned(),
                protocol => format!("{protocol} [{}]:{}", entry.address, entry.port),
            };
            found.push(format!("{what} on {on}"));
            Ok(())
        };
        if let Some(uplink) = &self.uplink {
            check(&uplink.nd, Protocol::Raw, &uplink.interface.name)?;
            if let Some(client) = &uplink.client {
                check(client, Protocol::Udp, &uplink.interface.name)?;
            }
        }
        if let Some(relay) = &self.relay {
            check(relay, Protocol::Udp, "every interface, for DHCPv6 servers")?;
        }
        for lan in &self.lans {
            check(&lan.nd, Protocol::Raw, &lan.name)?;
            check(&lan.dhcp, Protocol::Udp, &lan.name)?;
            if let Some((udp, tcp)) = &lan.dns {
                check(udp, Protocol::Udp, &lan.name)?;
                check(tcp, Protocol::Tcp, &lan.name)?;
            }
        }
        for edge in &self.edges {
            check(&edge.socket, Protocol::Udp, edge.name())?;
        }
        for lan in &self.lans {
            found.extend(lan.v4.as_ref().map(|v4| v4.verify(&lan.name)).transpose()?.into_iter().flatten());
        }
        Ok(found)
    }

    /// Sends a Neighbour Discovery message.
    pub(crate) fn send_nd(&self, side: Side, to: Ipv6Addr, bytes: &[u8]) {
        let socket = match side {
            Side::Uplink => self.uplink.as_ref().map(|uplink| &uplink.nd),
            Side::Lan(index) => self.lans.get(index).map(|lan| &lan.nd),
        };
        if let Some(socket) = socket {
            tell(socket.get_ref().send(bytes, to, None), "ICMPv6", to);
        }
    }

    /// Sends a DHCPv6 client's message to all servers on the uplink.
    /// From the link-local address by which they know us, whatever else there is (RFC 9915 section 13).
    pub(crate) fn send_client(&self, from: Option<Ipv6Addr>, bytes: &[u8]) {
        let Some((uplink, client)) = self.uplink.as_ref().and_then(|u| Some((u, u.client.as_ref()?))) else {
            return;
        };
        let servers = dhcpv6::ALL_RELAY_AGENTS_AND_SERVERS;
        let to = SocketAddrV6::new(servers, dhcpv6::SERVER_PORT, 0, uplink.interface.index);
        let from = from.map(|from| (from, uplink.interface.index));
        tell(client.get_ref().send(bytes, to, from), "DHCPv6", servers);
    }

    /// The socket of the DHCPv6 server on a LAN.
    pub(crate) fn dhcp(&self, lan: usize) -> Option<&UdpSocket6> {
        self.lans.get(lan).map(|lan| lan.dhcp.get_ref())
    }

    /// Sends a relay agent's message to a client.
    pub(crate) fn send_to_client(
        &self,
        lan: usize,
        to: SocketAddrV6,
        from: Option<(Ipv6Addr, u32)>,
        bytes: &[u8],
    ) {
        if let Some(socket) = self.dhcp(lan) {
            tell(socket.send(bytes, to, from), "DHCPv6", *to.ip());
        }
    }

    /// Which interface that leads to relay agents has this name for the server: its place among them, and its number.
    pub(crate) fn edge_of(&self, link: &str) -> Option<(usize, u32)> {
        let place = self.edges.iter().position(|edge| edge.link() == link)?;
        self.edges.get(place).map(|edge| (place, edge.index()))
    }

    /// Sends a relay agent's message to a server.
    pub(crate) fn send_relay(&self, server: &Server, bytes: &[u8]) {
        let Some(relay) = &self.relay else { return };
        let scope = server.interface.unwrap_or(0);
        let to = SocketAddrV6::new(server.address, dhcpv6::SERVER_PORT, 0, scope);
        // A group of wider than link scope needs its interface told here.
        let by = server.interface.map(|interface| (Ipv6Addr::UNSPECIFIED, interface));
        tell(relay.get_ref().send(bytes, to, by), "DHCPv6", server.address);
    }

    /// The interface of this number that leads to relay agents.
    pub(crate) fn edge(&self, number: usize) -> Option<&Edge> {
        self.edges.get(number)
    }

    /// Their numbers.
    pub(crate) fn edges(&self) -> std::ops::Range<usize> {
        0..self.edges.len()
    }

    /// Sends a DHCPv4 server's message.
    pub(crate) fn send_v4(&self, lan: usize, reply: &sixgate_dhcp::v4::Reply) {
        if let Some(v4) = self.lans.get(lan).and_then(|lan| lan.v4.as_ref()) {
            v4.send(reply);
        }
    }

    /// Reads DNS queries that wait, as many as there are slots; how many there were.
    pub(crate) fn receive_dns(&self, lan: usize, slots: &mut [Slot]) -> usize {
        let Some((udp, _)) = self.lans.get(lan).and_then(|lan| lan.dns.as_ref()) else { return 0 };
        // An error that was pending on the socket (a link that went down) hides what waits behind it from one read only.
        for _ in 0..2 {
            match udp.get_ref().recv_batch(slots) {
                Ok(count) => return count,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return 0,
                Err(error) => tracing::debug!(%error, "a socket says"),
            }
        }
        0
    }

    /// Sends DNS replies, each from the address that was asked.
    pub(crate) fn send_dns(&self, lan: usize, replies: &[Reply]) {
        let Some((udp, _)) = self.lans.get(lan).and_then(|lan| lan.dns.as_ref()) else { return };
        let mut datagrams: &[Outgoing<'_>] = &(replies.iter())
            .map(|(_, to, from, bytes)| Outgoing { bytes, to: *to, from: Some(*from) })
            .collect::<Vec<_>>();
        while let Some(first) = datagrams.first() {
            let sent = udp.get_ref().send_batch(datagrams);
            // Without room for one more, or a way to the first, that one is lost: its client asks again.
            let count = *sent.as_ref().unwrap_or(&1);
            tell(sent.map(|_| ()), "DNS", *first.to.ip());
            datagrams = datagrams.get(count.max(1)..).unwrap_or_default();
        }
    }
}

/// Sending can fail while a link or an address comes and goes; protocols send again, and the log says why.
pub(crate) fn tell(sent: io::Result<()>, what: &str, to: Ipv6Addr) {
    let to = to.to_canonical();
    match sent {
        Ok(()) => tracing::trace!(what, %to, "sent"),
        Err(error) => tracing::debug!(what, %to, %error, "not sent"),
    }
}

fn open_uplink(interface: Interface, dhcp: bool, events: &Sender) -> Result<UplinkSockets, SocketsError> {
    let nd = watch_nd(Side::Uplink, &interface, &[134, 137], &[ndp::ALL_NODES], events)?;
    let client =
        if dhcp {
            let any = SocketAddrV6::new(Ipv6Addr::UNSPECIFIED, dhcpv6::CLIENT_PORT, 0, 0);
            let mut options = Udp6Options::new(any).device(&interface.name);
            options.multicast_interface = Some(interface.index);
            let socket = Rc::new(watched(udp6(&options)?)?);
            read(Rc::clone(&socket), UdpSocket6::recv, events.clone(), |received, bytes| {
                Event::Dhcp6Client { source: *received.source.ip(), destination: received.destination, bytes }
            });
            Some(socket)
        } else {
            None
        };
    Ok(UplinkSockets { interface, nd, client })
}

/// The relay agent's socket towards servers.
fn open_relay(port: u16, events: &Sender) -> Result<Watched<UdpSocket6>, SocketsError> {
    let mut options = Udp6Options::new(SocketAddrV6::new(Ipv6Addr::UNSPECIFIED, port, 0, 0));
    options.reuse_address = true;
    // RFC 9915 section 19: to groups, eight hops.
    options.multicast_hop_limit = Some(8);
    let socket = Rc::new(watched(udp6(&options)?)?);
    read(Rc::clone(&socket), UdpSocket6::recv, events.clone(), |received, bytes| Event::Dhcp6Relay {
        source: *received.source.ip(),
        interface: received.interface,
        bytes,
    });
    Ok(socket)
}

/// What a LAN's sockets are opened for beside what each LAN has.
#[derive(Debug, Clone, Copy)]
struct With {
    dns: bool,
    ipv4: bool,
    relay: bool,
}

fn open_lan(
    index: usize,
    interface: Interface,
    With { dns, ipv4, relay }: With,
    first_connection: u64,
    events: &Sender,
) -> Result<LanSockets, SocketsError> {
    let nd = watch_nd(
        Side::Lan(index),
        &interface,
        &[133, 134, 135],
        &[ndp::ALL_ROUTERS, ndp::ALL_NODES],
        events,
    )?;
    let any = |port| SocketAddrV6::new(Ipv6Addr::UNSPECIFIED, port, 0, 0);
    let mut options = Udp6Options::new(any(dhcpv6::SERVER_PORT))
        .device(&interface.name)
        .group(dhcpv6::ALL_RELAY_AGENTS_AND_SERVERS, interface.index);
    options.multicast_interface = Some(interface.index);
    options.receive_buffer = Some(requests::WAITING);
    options.together = true;
    // The relay agent's socket may have the same port, and no device.
    options.reuse_address = relay;
    let dhcp = Rc::new(watched(udp6(&options)?)?);
    requests::watch(Rc::clone(&dhcp), requests::At::Lan(index), events.clone())?;
    let v4 = ipv4.then(|| EdgeV4::open(index, &interface, events)).transpose()?;
    let dns = if dns {
        // Clients over IPv4 have mapped addresses here.
        let options = Udp6Options::new(any(DNS)).device(&interface.name).ipv4(ipv4);
        let udp = Rc::new(watched(udp6(&options)?)?);
        watch(Rc::clone(&udp), events.clone(), move |drained| Event::DnsReadable { lan: index, drained });
        let tcp = tcp_listener(any(DNS), Some(&interface.name), ipv4)?;
        let kept = tcp.as_fd().try_clone_to_owned()?;
        tcp.set_nonblocking(true)?;
        let mut connection = first_connection;
        spawn_local(dns::serve(tokio::net::TcpListener::from_std(tcp)?, index, events.clone(), move || {
            connection += 1;
            connection
        }));
        Some((udp, kept))
    } else {
        None
    };
    Ok(LanSockets { name: interface.name, nd, dhcp, v4, dns })
}

fn watch_nd(
    side: Side,
    interface: &Interface,
    types: &[u8],
    groups: &[Ipv6Addr],
    events: &Sender,
) -> Result<Watched<Icmp6Socket>, SocketsError> {
    let options = Icmp6Options {
        device: interface.name.clone(),
        interface: interface.index,
        types: types.to_vec(),
        groups: groups.to_vec(),
    };
    let socket = Rc::new(watched(icmp6(&options)?)?);
    read(Rc::clone(&socket), Icmp6Socket::recv, events.clone(), move |received, bytes| Event::Nd {
        side,
        source: *received.source.ip(),
        // Without a hop limit from the kernel nothing is taken: it is what proves that the sender is on the link.
        hop_limit: received.hop_limit.unwrap_or(0),
        bytes,
    });
    Ok(socket)
}

/// Reads a socket for ever; each datagram becomes an event.
pub(crate) fn read<S: AsRawFd + 'static>(
    socket: Watched<S>,
    receive: impl Fn(&S, &mut [u8]) -> io::Result<Received> + 'static,
    events: Sender,
    event: impl Fn(&Received, Vec<u8>) -> Event + 'static,
) {
    spawn_local(async move {
        let mut buffer = vec![0; LONGEST];
        while let Ok(mut ready) = socket.readable().await {
            for _ in 0..BURST {
                match ready.try_io(|socket| receive(socket.get_ref(), &mut buffer)) {
                    Ok(Ok(received)) => {
                        let bytes = buffer.get(..received.len).unwrap_or_default().to_vec();
                        if events.send(event(&received, bytes)).await.is_err() {
                            return;
                        }
                    }
                    // An error that was pending on the socket (a link that went down): the next read is fine.
                    Ok(Err(error)) => tracing::debug!(%error, "a socket says"),
                    Err(_would_block) => break,
                }
            }
        }
    });
}

/// Tells the engine of datagrams that wait, and goes on when it has read them.
pub(crate) fn watch(
    socket: Watched<UdpSocket6>,
    events: Sender,
    event: impl Fn(oneshot::Sender<bool>) -> Event + 'static,
) {
    spawn_local(async move {
        while let Ok(ready) = socket.readable().await {
            if !have_read(ready, &events, &event).await {
                return;
            }
        }
    });
}

/// Has the engine read what waits at a socket; whether there still is an engine.
pub(crate) async fn have_read(
    mut ready: AsyncFdReadyGuard<'_, UdpSocket6>,
    events: &Sender,
    event: impl FnOnce(oneshot::Sender<bool>) -> Event,
) -> bool {
    let (drained, answer) = oneshot::channel();
    if events.send(event(drained)).await.is_err() {
        return false;
    }
    match answer.await {
        Ok(true) => ready.clear_ready(),
        Ok(false) => {}
        Err(_) => return false,
    }
    true
}

/// Anything with a descriptor, behind however many pointers.
trait AsFdRef {
    fn fd(&self) -> std::os::fd::BorrowedFd<'_>;
}

impl<S: AsFd + AsRawFd> AsFdRef for Watched<S> {
    fn fd(&self) -> std::os::fd::BorrowedFd<'_> {
        self.get_ref().as_fd()
    }
}

impl AsFdRef for std::os::fd::OwnedFd {
    fn fd(&self) -> std::os::fd::BorrowedFd<'_> {
        self.as_fd()
    }
}

/// Lets the runtime wait for a socket.
pub(crate) fn watched<S: AsRawFd>(socket: S) -> io::Result<AsyncFd<S>> {
    // Deprecated because a type could close its descriptor, or hand out another one, while it is registered; its
    // replacement makes the caller swear by `unsafe` that this one does not. Ours own their descriptor for life.
    #[expect(deprecated)]
    AsyncFd::new(socket)
}
