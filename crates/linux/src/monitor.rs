//! What changes on the machine: links, addresses, routes and IPv6 neighbours, told by the kernel as it happens.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};

use netlink_packet_core::NetlinkPayload;
use netlink_packet_route::RouteNetlinkMessage;
use netlink_sys::{Socket, SocketAddr, protocols::NETLINK_ROUTE};
use nix::errno::Errno;

use crate::route::{
    Address, AddressV4, Link, Messages, Neighbour, Route, RouteV4, address_of, address_v4_of, decode,
    link_of, neighbour_of, routes_of, routes_v4_of,
};

/// `RTNLGRP_LINK`, `RTNLGRP_NEIGH`, `RTNLGRP_IPV4_IFADDR`, `RTNLGRP_IPV4_ROUTE`, `RTNLGRP_IPV6_IFADDR`, `RTNLGRP_IPV6_ROUTE` of the
/// kernel's `rtnetlink.h`.
const GROUPS: [u32; 6] = [1, 3, 5, 7, 9, ROUTES];
const ROUTES: u32 = 11;
/// Bytes the kernel may keep for us before it drops news.
const KEPT: usize = 1 << 20;
/// Bytes of one read.
const BUFFER: usize = 64 * 1024;
/// Datagrams of one [`Monitor::read`], so that a storm of news does not keep the engine from other work.
const BATCH: usize = 64;

/// Something changed.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// A link is new or changed.
    Link(Link),
    /// A link is gone.
    LinkGone {
        /// Its number.
        index: u32,
        /// Its name.
        name: String,
    },
    /// An address is new or changed: so duplicate address detection tells its outcome (`tentative`, `dadfailed`).
    Address(Address),
    /// An address is gone.
    AddressGone(Address),
    /// A route is new or changed.
    Route(Route),
    /// A route is gone.
    RouteGone(Route),
    /// An IPv4 address is new or changed.
    AddressV4(AddressV4),
    /// An IPv4 address is gone.
    AddressV4Gone(AddressV4),
    /// An IPv4 route is new or changed.
    RouteV4(RouteV4),
    /// An IPv4 route is gone. Of those that go with their interface the kernel tells nothing.
    RouteV4Gone(RouteV4),
    /// An IPv6 neighbour is new, or what is known of it changed: where it is, or whether it answers.
    Neighbour(Neighbour),
    /// The kernel knows an IPv6 neighbour no longer.
    NeighbourGone(Neighbour),
    /// News were lost (`ENOBUFS`) or not understood: read the tables anew.
    Overrun,
}

/// A subscription; non-blocking.
#[derive(Debug)]
pub struct Monitor {
    socket: Socket,
    buffer: Vec<u8>,
}

impl Monitor {
    /// Subscribes, in the network namespace of this thread. Subscribe first and read the tables afterwards, or
    /// what changes in between is lost.
    pub fn new() -> io::Result<Self> {
        Self::of(GROUPS.into_iter())
    }

    /// As [`Monitor::new`], but of IPv6 routes: whoever sets thousands need not hear of each.
    pub fn without_routes() -> io::Result<Self> {
        Self::of(GROUPS.into_iter().filter(|group| *group != ROUTES))
    }

    fn of(groups: impl Iterator<Item = u32>) -> io::Result<Self> {
        let mut socket = Socket::new(NETLINK_ROUTE)?;
        socket.set_non_blocking(true)?;
        socket.set_rx_buf_sz(KEPT)?;
        socket.bind(&SocketAddr::new(0, 0))?;
        for group in groups {
            socket.add_membership(group)?;
        }
        Ok(Self { socket, buffer: Vec::with_capacity(BUFFER) })
    }

    /// Reads what waits, at most a batch of it; `WouldBlock` when nothing does.
    pub fn read(&mut self) -> io::Result<Vec<Event>> {
        let mut events = Vec::new();
        for turn in 0..BATCH {
            self.buffer.clear();
            let sender = match self.socket.recv_from(&mut self.buffer, 0) {
                Ok((_, sender)) => sender,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock && turn > 0 => break,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) if error.raw_os_error() == Some(Errno::ENOBUFS as i32) => {
                    events.push(Event::Overrun);
                    continue;
                }
                Err(error) => return Err(error),
            };
            // Port 0 is the kernel; other processes may send to us too.
            if sender.port_number() != 0 {
                continue;
            }
            for bytes in Messages(&self.buffer) {
                match decode(bytes).map(|message| message.payload) {
                    Ok(NetlinkPayload::InnerMessage(message)) => tell(&message, &mut events),
                    Ok(NetlinkPayload::Overrun(_)) | Err(_) => events.push(Event::Overrun),
                    Ok(_) => {}
                }
            }
        }
        Ok(events)
    }
}

fn tell(message: &RouteNetlinkMessage, events: &mut Vec<Event>) {
    match message {
        RouteNetlinkMessage::NewLink(message) => events.extend(link_of(message).map(Event::Link)),
        RouteNetlinkMessage::DelLink(message) => {
            events
                .extend(link_of(message).map(|link| Event::LinkGone { index: link.index, name: link.name }));
        }
        RouteNetlinkMessage::NewAddress(message) => {
            events.extend(address_of(message).map(Event::Address));
            events.extend(address_v4_of(message).map(Event::AddressV4));
        }
        RouteNetlinkMessage::DelAddress(message) => {
            events.extend(address_of(message).map(Event::AddressGone));
            events.extend(address_v4_of(message).map(Event::AddressV4Gone));
        }
        RouteNetlinkMessage::NewNeighbour(message) => {
            events.extend(neighbour_of(message).map(Event::Neighbour));
        }
        RouteNetlinkMessage::DelNeighbour(message) => {
            events.extend(neighbour_of(message).map(Event::NeighbourGone));
        }
        RouteNetlinkMessage::NewRoute(message) => {
            events.extend(routes_of(message).into_iter().map(Event::Route));
            events.extend(routes_v4_of(message).into_iter().map(Event::RouteV4));
        }
        RouteNetlinkMessage::DelRoute(message) => {
            events.extend(routes_of(message).into_iter().map(Event::RouteGone));
            events.extend(routes_v4_of(message).into_iter().map(Event::RouteV4Gone));
        }
        _ => {}
    }
}

impl AsFd for Monitor {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl AsRawFd for Monitor {
    fn as_raw_fd(&self) -> RawFd {
        self.socket.as_raw_fd()
    }
}
