//! Which Ethernet address a client's message came from (RFC 6939). A UDP socket does not tell; a packet
//! socket beside it hears the same frames, and hears each before the UDP socket has it. So when a message
//! comes, its frame waits here: nothing is guessed from addresses or from what a neighbour claimed.

use crate::up::neighbours::Mac;
use sixgate_endpoint::Endpoint;
use sixgate_linux::listeners::{self, Protocol};
use sixgate_linux::socket::{WatchError, WatchSocket, watch_dhcpv6};
use sixgate_wire::frame::{Frame, Payload};
use std::collections::VecDeque;
use std::net::Ipv6Addr;

/// Frames that wait for their message. With more, the oldest go: messages that the UDP socket lost.
const MOST: usize = 1_024;
/// Octets of a frame that are read: more are never handed over.
const LONGEST: usize = 256;
/// Octets of a UDP header.
const UDP_HEADER: usize = 8;

/// Why it cannot be told who sends.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error(transparent)]
    Open(#[from] WatchError),
    #[error(transparent)]
    Missing(#[from] listeners::Error),
}

/// The senders of messages that came in on a LAN.
#[derive(Debug)]
pub(crate) struct Frames {
    socket: WatchSocket,
    waiting: Waiting,
}

impl Frames {
    pub(super) fn open(device: &str, interface: u32) -> Result<Self, Error> {
        let socket = watch_dhcpv6(device, interface)?;
        listeners::verify_socket(&socket, Protocol::Packet)?;
        Ok(Self { socket, waiting: Waiting::default() })
    }

    /// Who sent a message that the UDP socket has just given.
    pub(super) fn sender(&mut self, source: Ipv6Addr, message: &[u8]) -> Option<Mac> {
        let mut buffer = [0; LONGEST];
        // Bounded: what comes faster than it is read must not keep us here.
        for _ in 0..MOST {
            let Ok(length) = self.socket.recv(&mut buffer) else { break };
            if let Some(frame) = buffer.get(..length) {
                self.waiting.put(frame);
            }
        }
        self.waiting.take(source, message)
    }
}

/// Frames whose message has not come yet, in the order in which they came.
#[derive(Debug, Default)]
struct Waiting(VecDeque<(Ipv6Addr, Vec<u8>, Mac)>);

impl Waiting {
    fn put(&mut self, frame: &[u8]) {
        let Ok(Frame { source: mac, payload: Payload::Ip(packet), .. }) = Frame::parse(frame) else { return };
        let source = Endpoint::new(packet.source).ipv6();
        let (Some(source), Some(message)) = (source, packet.payload.get(UDP_HEADER..)) else { return };
        if self.0.len() >= MOST {
            self.0.pop_front();
        }
        self.0.push_back((source, message.to_vec(), mac));
    }

    /// The first that has this source and begins as the message does. Messages that are the same to the last
    /// octet come in the order of their frames, so that each is its own sender's even then.
    fn take(&mut self, source: Ipv6Addr, message: &[u8]) -> Option<Mac> {
        let at = self.0.iter().position(|(from, head, _)| {
            // The frame may be cut off, and padded where it is short.
            let length = head.len().min(message.len());
            *from == source && head.get(..length) == message.get(..length)
        })?;
        self.0.remove(at).map(|(_, _, mac)| mac)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(mac: u8, source: Ipv6Addr, message: &[u8]) -> Vec<u8> {
        let mut frame = vec![0x33, 0x33, 0, 1, 0, 2, 2, 0, 0, 0, 0, mac, 0x86, 0xdd, 0x60, 0, 0, 0];
        let length = (UDP_HEADER + message.len()) as u16;
        frame.extend(length.to_be_bytes());
        frame.extend([17, 1]);
        frame.extend(source.octets());
        frame.extend(Ipv6Addr::UNSPECIFIED.octets());
        frame.extend([2, 34, 2, 35]);
        frame.extend(length.to_be_bytes());
        frame.extend([0, 0]);
        frame.extend(message);
        frame
    }

    #[test]
    fn a_message_is_its_frames_senders() {
        let mut waiting = Waiting::default();
        let source = |n: u16| Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, n);
        let (a, b) = ([1, 0, 0, 1, 9, 9], [1, 0, 0, 2, 9, 9]);
        for (mac, source, message) in
            [(1, source(1), a), (2, source(1), b), (3, source(2), a), (4, source(1), a)]
        {
            waiting.put(&frame(mac, source, &message));
        }
        let mac = |n| Some([2, 0, 0, 0, 0, n]);
        assert_eq!(
            waiting.take(source(1), &b),
            mac(2),
            "an address that two use: each message is its own sender's"
        );
        assert_eq!(waiting.take(source(1), &a), mac(1));
        assert_eq!(waiting.take(source(1), &a), mac(4), "the same octets twice, in their order");
        assert_eq!(waiting.take(source(1), &a), None);
        assert_eq!(waiting.take(source(2), &a), mac(3));
    }

    #[test]
    fn a_flood_of_frames_is_bounded_and_nonsense_is_nothing() {
        let mut waiting = Waiting::default();
        for n in 0..10_000_u16 {
            waiting.put(&frame(1, Ipv6Addr::LOCALHOST, &n.to_be_bytes()));
            waiting.put(&frame(1, Ipv6Addr::LOCALHOST, &[])[..usize::from(n) % 62]);
        }
        assert_eq!(waiting.0.len(), MOST);
        assert_eq!(waiting.take(Ipv6Addr::LOCALHOST, &1_u16.to_be_bytes()), None);
        assert!(waiting.take(Ipv6Addr::LOCALHOST, &9_999_u16.to_be_bytes()).is_some());
    }
}
