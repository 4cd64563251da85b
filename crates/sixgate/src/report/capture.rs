//! Some frames of one host: heard for a time, chosen, bounded, and written as a file that every analyser reads.

use sixgate_linux::socket::{WatchSocket, watch_host};
use sixgate_wire::dhcpv4::Message;
use sixgate_wire::frame::{Arp, Frame, ICMPV6, Packet, Payload, UDP};
use std::os::fd::AsFd as _;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

/// Most frames, and octets of them.
const MOST: usize = 2_000;
const MOST_OCTETS: usize = 1 << 20;
/// How often it is looked whether to stop.
const LOOK: Duration = Duration::from_millis(200);
const DNS: u16 = 53;
const DHCP: [u16; 2] = [67, 68];

/// A frame as it was heard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Heard {
    /// Since the Unix epoch.
    pub(super) at: Duration,
    /// From its Ethernet header on; of DNS the headers alone, unless names may be told.
    pub(super) bytes: Vec<u8>,
    /// How long it was.
    pub(super) length: usize,
}

/// What was heard, and what was left out.
#[derive(Debug, Default)]
pub(super) struct Capture {
    pub(super) frames: Vec<Heard>,
    /// Frames for which there was no room.
    pub(super) over: u64,
    /// Frames that the kernel lost.
    pub(super) lost: u64,
    octets: usize,
}

/// Whose frames are kept, and how much of them.
#[derive(Debug, Clone, Copy)]
pub(super) struct Choice {
    pub(super) host: [u8; 6],
    /// Whether the contents of DNS may be kept.
    pub(super) names: bool,
}

impl Choice {
    /// How many octets of a frame are kept; nothing of one that is somebody else's.
    fn keeps(self, bytes: &[u8]) -> Option<usize> {
        let frame = Frame::parse(bytes).ok()?;
        let own = frame.source == self.host || frame.destination == self.host;
        match frame.payload {
            Payload::Arp(Arp { sender_hardware, .. }) => {
                (own || sender_hardware == self.host).then_some(bytes.len())
            }
            Payload::Ip(packet) => self.keeps_packet(bytes, &packet, own),
            Payload::Other(_) => None,
        }
    }

    fn keeps_packet(self, bytes: &[u8], packet: &Packet<'_>, own: bool) -> Option<usize> {
        // Of what routers tell everybody, this host hears all.
        let told_all = packet.protocol == ICMPV6 && packet.payload.first() == Some(&134);
        if told_all || (own && packet.protocol != UDP) {
            // What is told of neighbours, routers and groups is whole. An error quotes the packet that it is about, and an echo has whatever
            // its sender put in: of those, as of all else, eight octets.
            let whole = packet.protocol == ICMPV6 && matches!(packet.payload.first(), Some(130..=137 | 143));
            let head = bytes.len() - packet.payload.len() + 8;
            return Some(if whole { bytes.len() } else { head.min(bytes.len()) });
        }
        if packet.protocol != UDP {
            return None;
        }
        let port =
            |at: usize| packet.payload.get(at..)?.first_chunk().map(|octets| u16::from_be_bytes(*octets));
        let ports = [port(0)?, port(2)?];
        if ports.contains(&DNS) {
            // Up to the end of the UDP header, which says how much there was.
            let headers = bytes.len() - packet.payload.len() + 8;
            return own.then_some(if self.names { bytes.len() } else { headers.min(bytes.len()) });
        }
        // A server's answer to all may be for anybody.
        let for_it = || {
            let message = Message::parse(packet.payload.get(8..)?).ok()?;
            (message.header().hardware.as_ethernet() == Some(self.host)).then_some(())
        };
        let heard = own || (packet.version == 4 && DHCP.contains(&ports[1]) && for_it().is_some());
        heard.then_some(bytes.len())
    }
}

impl Capture {
    /// Listens on these interfaces until so much time has passed, or it is told to stop.
    ///
    /// # Errors
    /// Where an interface cannot be listened on, as a sentence.
    pub(super) fn take(
        interfaces: &[(String, u32)],
        choice: Choice,
        time: Duration,
        stopped: &AtomicBool,
    ) -> Result<Self, String> {
        let open = |(name, index): &(String, u32)| watch_host(name, *index, choice.host);
        let sockets: Vec<WatchSocket> =
            interfaces.iter().map(open).collect::<Result<_, _>>().map_err(|error| error.to_string())?;
        let mut capture = Self::default();
        let end = Instant::now() + time;
        let mut buffer = vec![0; 65_536];
        while !stopped.load(Ordering::Relaxed)
            && let Some(left) = end.checked_duration_since(Instant::now())
        {
            let mut waiting: Vec<_> =
                sockets.iter().map(|socket| PollFd::new(socket.as_fd(), PollFlags::POLLIN)).collect();
            let timeout = PollTimeout::try_from(left.min(LOOK)).unwrap_or(PollTimeout::ZERO);
            match poll(&mut waiting, timeout) {
                Ok(_) | Err(Errno::EINTR) => {}
                Err(error) => return Err(error.to_string()),
            }
            for socket in &sockets {
                // A flood comes to an end too.
                for _ in 0..256 {
                    let Ok(length) = socket.recv(&mut buffer) else { break };
                    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
                    capture.hear(choice, now, buffer.get(..length).unwrap_or_default());
                }
            }
        }
        capture.lost = sockets.iter().map(|socket| socket.lost().map_or(0, u64::from)).sum();
        Ok(capture)
    }

    pub(super) fn hear(&mut self, choice: Choice, at: Duration, bytes: &[u8]) {
        let Some(kept) = choice.keeps(bytes).and_then(|kept| bytes.get(..kept)) else { return };
        if self.frames.len() >= MOST || self.octets + kept.len() > MOST_OCTETS {
            self.over += 1;
            return;
        }
        self.octets += kept.len();
        self.frames.push(Heard { at, bytes: kept.to_vec(), length: bytes.len() });
    }

    /// The frames as a file of pcap's (draft-ietf-opsawg-pcap): Ethernet, microseconds.
    pub(super) fn pcap(&self) -> Vec<u8> {
        const ETHERNET: u32 = 1;
        let mut file = Vec::with_capacity(24 + self.octets + self.frames.len() * 16);
        file.extend(0xa1b2_c3d4_u32.to_le_bytes());
        file.extend([2, 0, 4, 0]);
        for number in [0, 0, 65_535, ETHERNET] {
            file.extend(u32::to_le_bytes(number));
        }
        for frame in &self.frames {
            let seconds = u32::try_from(frame.at.as_secs()).unwrap_or(u32::MAX);
            // Both are lengths of frames.
            let lengths = [frame.bytes.len() as u32, frame.length as u32];
            for number in [seconds, frame.at.subsec_micros(), lengths[0], lengths[1]] {
                file.extend(number.to_le_bytes());
            }
            file.extend(&frame.bytes);
        }
        file
    }
}
