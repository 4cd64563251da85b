//! Which flow an IP packet belongs to, what its header asks of a queue, and marking it.
//!
//! Everything here takes any bytes: what cannot be read is a flow like another (that of all such packets), and
//! cannot be marked.

mod ack;
mod ecn;
mod walk;

pub use ack::{PureAck, pure_ack};
pub use ecn::{Ecn, dscp, ecn, mark};
pub use walk::Flow;

/// What is used of the flow label of IPv6 (RFC 6437), which its sender chooses freely.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum FlowLabel {
    /// Nothing.
    Ignore,
    /// It takes the place of ports that cannot be seen: in fragments, in ESP, behind headers that are not known.
    #[default]
    WherePortsAreHidden,
    /// It takes the place of ports wherever it is not zero.
    Always,
}

/// The flow of a packet that begins with its IPv4 or IPv6 header:
/// - addresses, protocol and ports of TCP, UDP, UDP-Lite, SCTP and DCCP; the identifier of ICMP echoes;
/// - of fragments addresses, protocol and flow label only, also of the first, so that they share a queue;
/// - of ESP its SPI, and of AH what is behind it;
/// - of tunnels that can be seen through (IPv4 and IPv6 in each other and in themselves: 6in4, DS-Lite, IPIP)
///   what is within, to a depth of two. Fragments of a tunnel's packets count as the tunnel's.
pub fn flow(packet: &[u8], label: FlowLabel) -> Flow {
    walk::flow(packet, label, walk::TUNNELS).unwrap_or_default()
}
