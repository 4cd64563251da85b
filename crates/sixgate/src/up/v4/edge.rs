//! The DHCPv4 sockets of one LAN: one on port 67, IPv6 in name and bound to IPv4's "any" by a mapped address, so that no socket of
//! another family is ever needed; and one that sends frames to hosts that have no address yet.

use super::super::event::{Event, Sender};
use super::super::sockets::{Interface, SocketsError, Watched, read, tell, watched};
use sixgate_dhcp::v4::{Destination, Reply};
use sixgate_linux::listeners::{self, Protocol};
use sixgate_linux::socket::{FrameSocket, Udp6Options, UdpSocket6, frames, udp6};
use sixgate_wire::dhcpv4::{self, SERVER_PORT};
use std::io;
use std::net::{Ipv4Addr, SocketAddrV6};
use std::os::fd::AsFd as _;
use std::rc::Rc;

/// A LAN's sockets.
#[derive(Debug)]
pub(crate) struct Edge {
    udp: Watched<UdpSocket6>,
    frames: FrameSocket,
    interface: u32,
}

impl Edge {
    /// Opens port 67 on a device and closes it again.
    pub(crate) fn require(device: &str) -> Result<(), SocketsError> {
        udp6(&options(device))?;
        Ok(())
    }

    /// Opens both, with a task that reads what comes in into `events`.
    pub(crate) fn open(lan: usize, interface: &Interface, events: &Sender) -> Result<Self, SocketsError> {
        let udp = Rc::new(watched(udp6(&options(&interface.name))?)?);
        read(Rc::clone(&udp), UdpSocket6::recv, events.clone(), move |received, bytes| Event::Dhcp4 {
            lan,
            source: *received.source.ip(),
            bytes,
        });
        Ok(Self { udp, frames: frames(&interface.name, interface.index)?, interface: interface.index })
    }

    /// Looks both up in the kernel's tables; what was found, as sentences.
    pub(crate) fn verify(&self, on: &str) -> Result<[String; 2], SocketsError> {
        let entry = listeners::verify_socket(self.udp.get_ref(), Protocol::Udp)?;
        listeners::verify_socket(self.frames.as_fd(), Protocol::Packet)?;
        let address = entry.address.to_canonical();
        Ok([format!("UDP {address}:{} on {on}", entry.port), format!("IPv4 frames on {on}")])
    }

    /// Sends a reply. Where no frame can be sent, everybody hears it (RFC 2131 section 4.1).
    pub(crate) fn send(&self, reply: &Reply) {
        let to = reply.destination.address();
        let sent = match reply.destination {
            Destination::LinkLayer { address, hardware } => {
                let packet = dhcpv4::packet(reply.source, address, &reply.bytes);
                let framed = packet.map(|packet| self.frames.send(&packet, hardware));
                if matches!(framed, Some(Ok(()))) {
                    Ok(())
                } else {
                    self.datagram(reply, Ipv4Addr::BROADCAST)
                }
            }
            _ => self.datagram(reply, to),
        };
        tell(sent, "DHCPv4", to.to_ipv6_mapped());
    }

    fn datagram(&self, reply: &Reply, to: Ipv4Addr) -> io::Result<()> {
        let to = SocketAddrV6::new(to.to_ipv6_mapped(), reply.destination.port(), 0, 0);
        let from = (reply.source.to_ipv6_mapped(), self.interface);
        self.udp.get_ref().send(&reply.bytes, to, Some(from))
    }
}

fn options(device: &str) -> Udp6Options {
    let any = SocketAddrV6::new(Ipv4Addr::UNSPECIFIED.to_ipv6_mapped(), SERVER_PORT, 0, 0);
    Udp6Options { ipv4: true, broadcast: true, ..Udp6Options::new(any).device(device) }
}
