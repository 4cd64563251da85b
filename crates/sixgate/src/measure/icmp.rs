//! Echo requests by a raw socket, of either family, and what comes back.

use sixgate_endpoint::Family;
use sixgate_measure::icmp::{Answer, read, request};
use socket2::{Domain, Protocol, SockRef, Socket, Type};
use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

/// Longest answer that is read: an error quotes 1,232 octets at most (RFC 4443 section 2.4); a reply of a jumbo packet is longer.
const LONGEST: usize = 9216;

/// A raw socket for one destination.
pub(crate) struct Icmp {
    /// std's type for any socket of datagrams.
    socket: UdpSocket,
    to: SocketAddr,
    family: Family,
    identifier: u16,
    buffer: Vec<u8>,
}

/// What came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Heard {
    /// From whom.
    pub(crate) from: IpAddr,
    /// When.
    pub(crate) at: Instant,
    /// What it answers and says.
    pub(crate) answer: Answer,
}

impl Icmp {
    /// A socket for echo requests to `to`, which has a scope where it is link-local.
    ///
    /// # Errors
    /// Without `CAP_NET_RAW`, or the family.
    pub(crate) fn open(mut to: SocketAddr) -> io::Result<Self> {
        to.set_port(0);
        let family = Family::of(to.ip());
        let protocol = match family {
            Family::V6 => Protocol::ICMPV6,
            Family::V4 => Protocol::ICMPV4,
        };
        let socket = Socket::new(Domain::for_address(to), Type::RAW, Some(protocol))?;
        let identifier = fastrand::u16(1..);
        Ok(Self { socket: socket.into(), to, family, identifier, buffer: vec![0; LONGEST] })
    }

    /// Sends packets of this hop limit from now on.
    pub(crate) fn set_hop_limit(&self, limit: u8) -> io::Result<()> {
        match self.family {
            Family::V6 => SockRef::from(&self.socket).set_unicast_hops_v6(limit.into()),
            Family::V4 => self.socket.set_ttl(limit.into()),
        }
    }

    /// Sends packets whole or not at all, whatever is believed of the path.
    pub(crate) fn probe_path_mtu(&self) -> io::Result<()> {
        sixgate_linux::socket::probe_path_mtu(&self.socket)
    }

    /// Sends a request in a packet of `length` octets; 0 for the least.
    pub(crate) fn send(&self, sequence: u16, length: usize) -> io::Result<()> {
        let octets = request(self.family, self.identifier, sequence, length);
        self.socket.send_to(&octets, self.to).map(drop)
    }

    /// Waits until `deadline` for an answer to one of our requests. Other ICMP is heard and passed over.
    pub(crate) fn receive(&mut self, deadline: Instant) -> io::Result<Option<Heard>> {
        let mut errors = 0;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(None);
            }
            self.socket.set_read_timeout(Some(left.max(Duration::from_micros(1))))?;
            let (length, from) = match self.socket.recv_from(&mut self.buffer) {
                Ok(received) => received,
                Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {
                    return Ok(None);
                }
                // An error that some router sent about an earlier packet: the message itself comes too.
                Err(error) if errors > 100 => return Err(error),
                Err(_) => {
                    errors += 1;
                    continue;
                }
            };
            let at = Instant::now();
            let octets = self.buffer.get(..length).unwrap_or_default();
            if let Some(answer) = read(self.family, self.identifier, octets) {
                return Ok(Some(Heard { from: from.ip(), at, answer }));
            }
        }
    }
}
