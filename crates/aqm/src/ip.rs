//! IP packets in buffers, ready for a queue.

use crate::Packet;
use crate::classify::{self, Flow, FlowLabel, PureAck};
use crate::shape::{self, Segments};

/// An IPv4 or IPv6 packet in a buffer of any kind, its headers read once.
///
/// ```
/// use sixgate_aqm::{IpPacket, Packet, classify::Ecn};
///
/// let mut octets = vec![0x60, 0x20, 0, 0, 0, 8, 17, 64]; // IPv6, ECT(0), UDP
/// octets.extend([0x20; 32]);
/// octets.extend([0x30, 0x39, 0, 53, 0, 8, 0, 0]);
/// let mut packet = IpPacket::new(octets);
/// assert_eq!(packet.flow().ports, 12345 << 16 | 53);
/// assert!(packet.mark());
/// assert_eq!(sixgate_aqm::classify::ecn(packet.bytes()), Ecn::Ce);
/// ```
#[derive(Debug, Clone)]
pub struct IpPacket<B> {
    buffer: B,
    octets: u32,
    memory: u32,
    flow: Flow,
    dscp: u8,
    segments: Option<Segments>,
}

impl<B: AsRef<[u8]>> IpPacket<B> {
    /// The packet that fills the buffer.
    pub fn new(buffer: B) -> Self {
        Self::with_label(buffer, FlowLabel::default())
    }

    /// The same, with a say in what the flow label is used for.
    pub fn with_label(buffer: B, label: FlowLabel) -> Self {
        let bytes = buffer.as_ref();
        let octets = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        let (flow, dscp) = (classify::flow(bytes, label), classify::dscp(bytes));
        Self { buffer, octets, memory: octets, flow, dscp, segments: None }
    }

    /// The same as a superpacket, as an interface with segmentation offload gives it.
    #[must_use]
    pub fn with_segments(self, segments: Option<Segments>) -> Self {
        Self { segments, ..self }
    }

    /// The same, holding so many octets of memory.
    #[must_use]
    pub fn with_memory(self, memory: u32) -> Self {
        Self { memory, ..self }
    }

    /// Its octets.
    pub fn bytes(&self) -> &[u8] {
        self.buffer.as_ref()
    }

    /// Its buffer.
    pub fn into_buffer(self) -> B {
        self.buffer
    }
}

impl<B: AsRef<[u8]> + AsMut<[u8]>> Packet for IpPacket<B> {
    type Flow = Flow;

    fn flow(&self) -> Flow {
        self.flow
    }

    fn octets(&self) -> u32 {
        self.octets
    }

    fn memory(&self) -> u32 {
        self.memory
    }

    fn mark(&mut self) -> bool {
        classify::mark(self.buffer.as_mut())
    }
}

impl<B: AsRef<[u8]> + AsMut<[u8]>> shape::Packet for IpPacket<B> {
    fn dscp(&self) -> u8 {
        self.dscp
    }

    fn segments(&self) -> Option<Segments> {
        self.segments
    }

    fn pure_ack(&self) -> Option<PureAck> {
        classify::pure_ack(self.buffer.as_ref())
    }
}
