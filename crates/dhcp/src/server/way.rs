//! The way to a client behind relay agents, as its last message came: what a message that it did not ask for is wrapped in
//! (RFC 9915 sections 18.3.11 and 19.3).

use super::relayed::{ALWAYS, comes_back, reply_to};
use crate::lease::{Lease, LinkId};
use sixgate_wire::dhcpv6::{Builder, HOP_COUNT_LIMIT, MessageType, OptionCode, Packet, RelayMessage};
use std::net::Ipv6Addr;

/// Most octets of what agents must get back: a way that takes more is not kept at all, since a part of it leads nowhere.
/// Eight agents with the name of an interface each take half of it.
const MOST: usize = 1_024;
/// Octets before the link's name in [`Way::to_bytes`]: address, port, the name's length.
const HEAD: usize = 16 + 2 + 1;

/// The relay agents between the server and a client, and what each of them must get back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Way {
    /// Where the agent nearest to the server was heard.
    link: LinkId,
    address: Ipv6Addr,
    port: u16,
    /// The Relay-forwards, one in the other, the innermost without a message: of their options those alone that come back.
    hops: Box<[u8]>,
}

/// A Relay-forward with nothing but what its agent must get back, around `inside`.
fn stripped(hop: &RelayMessage<'_>, inside: &[u8]) -> Option<Vec<u8>> {
    let mut room = [0; MOST];
    let (link, peer) = (hop.link_address(), hop.peer_address());
    let mut b = Builder::relay(&mut room, MessageType::RELAY_FORWARD, hop.hop_count(), link, peer);
    for code in ALWAYS {
        if let Some(content) = comes_back(hop, code) {
            b.option(code, content);
        }
    }
    if !inside.is_empty() {
        b.option(OptionCode::RELAY_MSG, inside);
    }
    b.finish().ok().map(<[u8]>::to_vec)
}

impl Way {
    /// The way that a message came; none without relay agents, and where more must come back than is kept.
    pub(super) fn new(link: &str, address: Ipv6Addr, port: u16, hops: &[RelayMessage<'_>]) -> Option<Self> {
        hops.first()?;
        // As its length is kept.
        u8::try_from(link.len()).ok()?;
        let hops = hops.iter().rev().try_fold(Vec::new(), |inside, hop| stripped(hop, &inside))?;
        Some(Self { link: link.into(), address, port, hops: hops.into() })
    }

    pub(super) fn link(&self) -> &LinkId {
        &self.link
    }

    pub(super) fn address(&self) -> Ipv6Addr {
        self.address
    }

    pub(super) fn port(&self) -> u16 {
        self.port
    }

    /// The agents' messages, that of the agent nearest to the server first.
    pub(super) fn hops(&self) -> Vec<RelayMessage<'_>> {
        let mut hops = Vec::new();
        let mut next = Packet::parse(&self.hops).ok();
        while let Some(Packet::Relay(hop)) = next
            && hops.len() <= usize::from(HOP_COUNT_LIMIT)
        {
            next = hop.relayed();
            hops.push(hop);
        }
        hops
    }

    /// Whether what is known of a lease came this way: the same agent, and the same client behind the last one.
    pub(super) fn leads_to(&self, lease: &Lease) -> bool {
        let peer = self.hops().last().map(RelayMessage::peer_address);
        lease.relay.as_ref().is_some_and(|relay| relay.address == self.address) && peer == Some(lease.peer)
    }

    /// Puts a message for the client into a Relay-reply for each agent. None where it does not fit.
    pub(super) fn wrap(&self, message: Vec<u8>) -> Option<Vec<u8>> {
        self.hops().iter().rev().try_fold(message, |inside, hop| reply_to(hop, &inside).ok())
    }

    /// What is kept over a restart; [`Way::from_bytes`] reads it.
    pub fn to_bytes(&self) -> Vec<u8> {
        let name = self.link.as_bytes();
        // It was seen to fit when the way was made.
        let [first, second] = self.port.to_be_bytes();
        let head = [first, second, name.len() as u8];
        [&self.address.octets()[..], &head, name, &self.hops].concat()
    }

    /// Reads it again; none where it is something else.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (head, rest) = bytes.split_first_chunk::<HEAD>()?;
        let (&[first, second, length], address) = (head.last_chunk::<3>()?, head.first_chunk::<16>()?);
        let (name, hops) = rest.split_at_checked(length.into())?;
        let name = std::str::from_utf8(name).ok()?;
        (!name.is_empty() && matches!(Packet::parse(hops), Ok(Packet::Relay(_)))).then(|| Self {
            link: name.into(),
            address: (*address).into(),
            port: u16::from_be_bytes([first, second]),
            hops: hops.into(),
        })
    }
}
