//! Answers to UDP probes: as long as the question, and only for who has a key.

use super::{GLANCE, Server};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use sixgate_endpoint::Endpoint;
use sixgate_linux::socket::{Error, Udp6Options, UdpSocket6, udp6};
use sixgate_measure::echo::{Echo, LONGEST};
use std::net::{Ipv6Addr, SocketAddrV6};
use std::os::fd::AsFd as _;

/// Sockets beside the listeners: one for all addresses of both families, or one for each that was named.
pub(super) fn open(listeners: &[Endpoint], everywhere: bool) -> Result<Vec<UdpSocket6>, Error> {
    let port = listeners.first().and_then(Endpoint::port).unwrap_or(super::super::cli::PORT);
    if everywhere {
        let all = SocketAddrV6::new(Ipv6Addr::UNSPECIFIED, port, 0, 0);
        return Ok(vec![udp6(&Udp6Options::new(all).ipv4(true))?]);
    }
    listeners
        .iter()
        .map(|at| {
            let scope = at.zone().and_then(|zone| zone.resolve(sixgate_endpoint::interface_index));
            let address =
                SocketAddrV6::new(Ipv6Addr::from(at.octets()), port, 0, scope.map_or(0, Into::into));
            udp6(&Udp6Options::new(address).ipv4(true))
        })
        .collect()
}

/// Answers until the server stops.
pub(super) fn answer(socket: &UdpSocket6, server: &Server) {
    let mut buffer = vec![0; LONGEST + 1];
    let patience = PollTimeout::try_from(GLANCE).unwrap_or(PollTimeout::ZERO);
    while !server.is_stopped() {
        let mut fds = [PollFd::new(socket.as_fd(), PollFlags::POLLIN)];
        let _ = poll(&mut fds, patience);
        while let Ok(received) = socket.recv(&mut buffer) {
            let Some(question) = buffer.get(..received.len).filter(|_| !received.truncated) else { continue };
            let Some(echo) = Echo::read(question).filter(|echo| echo.there == 0) else { continue };
            if !server.knows(&echo.key) {
                continue;
            }
            let there = u64::try_from(server.begun.elapsed().as_micros()).unwrap_or(u64::MAX).max(1);
            let answer = Echo { there, ..echo }.octets();
            if let Some(head) = buffer.get_mut(..answer.len()) {
                head.copy_from_slice(&answer);
            }
            // From the address that was asked: the prober takes no other's answer.
            let from = Some((received.destination, received.interface));
            let _ = socket.send(buffer.get(..received.len).unwrap_or_default(), received.source, from);
        }
    }
}
