//! Every socket of `up`: opened with what it needs and no more, read by a task each, verified in the kernel's table.

use super::dns::Peer;
use super::event::{Event, Sender, Side};
use crate::config::Config;
use sixgate_linux::listeners::{self, Protocol};
use sixgate_linux::socket::{self, Icmp6Options, Icmp6Socket, Received, Udp6Options, UdpSocket6};
use sixgate_wire::{dhcpv6, ndp};
use std::io;
use std::net::{Ipv6Addr, SocketAddrV6};
use std::os::fd::{AsFd, AsRawFd};
use std::rc::Rc;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::task::spawn_local;

/// Longest datagram that is read: the MTU of jumbo Ethernet frames and then some. A longer one is cut and so dropped by its parser.
const LONGEST: usize = 16 * 1024;
/// Port of DNS.
const DNS: u16 = 53;

type Fd<S> = Rc<AsyncFd<S>>;

/// The sockets of one LAN.
#[derive(Debug)]
struct LanSockets {
    nd: Fd<Icmp6Socket>,
    dhcp: Fd<UdpSocket6>,
    dns: Option<(Fd<UdpSocket6>, Option<std::net::TcpListener>)>,
}

/// All sockets.
#[derive(Debug)]
pub(crate) struct Sockets {
    uplink_nd: Option<Fd<Icmp6Socket>>,
    client: Option<Fd<UdpSocket6>>,
    /// The uplink's number, for the zone of what is sent there.
    uplink: u32,
    lans: Vec<LanSockets>,
}

/// An interface that sockets are opened on.
#[derive(Debug, Clone)]
pub(crate) struct Interface {
    pub(crate) name: String,
    pub(crate) index: u32,
}
