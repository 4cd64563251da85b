//! What can happen to the engine. Every task that waits for something sends one of these into one channel.

use super::queries::Connection;
use super::requests::At;
use crate::control;
use sixgate_dns::Token;
use sixgate_endpoint::Endpoint;
use std::net::Ipv6Addr;
use tokio::sync::{mpsc, oneshot};

/// Where events go in; bounded, so that a flood fills the kernel's buffers and not our memory.
pub(crate) type Sender = mpsc::Sender<Event>;

/// Events that may wait at one time.
pub(crate) const QUEUE: usize = 1024;

/// Which interface something came in on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    Uplink,
    /// The LAN's place in the configuration.
    Lan(usize),
}

/// Something that happened.
#[derive(Debug)]
pub(crate) enum Event {
    /// An ICMPv6 Neighbour Discovery message.
    Nd { side: Side, source: Ipv6Addr, hop_limit: u8, bytes: Vec<u8> },
    /// A datagram to UDP port 546 on the uplink.
    Dhcp6Client { source: Ipv6Addr, destination: Ipv6Addr, bytes: Vec<u8> },
    /// Datagrams wait at UDP port 547, of a LAN or where relay agents are; the reading task waits to hear whether all were read.
    Dhcp6Readable { at: At, drained: oneshot::Sender<bool> },
    /// A datagram to the relay agent's port towards servers.
    Dhcp6Relay { source: Ipv6Addr, interface: u32, bytes: Vec<u8> },
    /// A server was asked what it delegated through us.
    RelayAsked(super::relay::Asked),
    /// A datagram to port 67 on a LAN; the source is a mapped address.
    Dhcp4 { lan: usize, source: Ipv6Addr, bytes: Vec<u8> },
    /// DNS queries wait on a LAN's UDP socket; the reading task waits to hear whether all were read.
    DnsReadable { lan: usize, drained: oneshot::Sender<bool> },
    /// A DNS query on a connection.
    DnsQuery { lan: usize, connection: u64, bytes: Vec<u8> },
    /// A DNS client connected.
    DnsConnected { lan: usize, connection: u64, client: Connection },
    /// A DNS client's TCP connection ended.
    DnsClosed { connection: u64 },
    /// An upstream resolver's answer; `None` where it could not be asked.
    DnsAnswer { token: Token, answer: Option<(Endpoint, Vec<u8>)> },
    /// A datagram from the DNS server that takes updates.
    DdnsAnswer(Vec<u8>),
    /// A probe of a family's health ended: how long its answer took, or why there was none.
    Probed { id: u64, outcome: Result<std::time::Duration, String> },
    /// Frames that tell how hosts on a LAN live.
    Watched { lan: usize, seen: Vec<super::census::Seen> },
    /// The kernel changed links, addresses or routes.
    Kernel(Vec<sixgate_linux::monitor::Event>),
    /// The store wrote, or failed to write, these submissions.
    Stored(Vec<(u64, Result<(), String>)>),
    /// Something happened on a connection of one who asks about leases.
    Leasequery(super::leasequery::Talk),
    /// Somebody asks on the control socket.
    Control(control::Request),
}
