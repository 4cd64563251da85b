//! Messages that come through relay agents, and the way back (RFC 9915 section 19).
//!
//! They are heard only on links and from relay agents that were named, each agent of a row among them: whoever may say
//! where a client is decides what it gets.

use super::action::{Datagram, Reply};
use super::config::{Link, Relays};
use super::counters::Discard;
use super::nets::Nets;
use super::way::Way;
use crate::identity::{Line, Mac, Relay};
use crate::lease::LinkId;
use sixgate_wire::dhcpv6::{
    Builder, CLIENT_PORT, DhcpOption, Duid, HOP_COUNT_LIMIT, Message, MessageType, OptionCode, Packet,
    RelayMessage, SERVER_PORT,
};
use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv6Addr;
use std::sync::Arc;

/// Relay agents that leases may share: more than this, and those of which no lease is left are forgotten.
const MOST_RELAYS: usize = 65_536;

/// A client's message, and the relay agents that it came through.
#[derive(Debug)]
pub(super) struct Chain<'a> {
    /// The Relay-forward messages, the one from the agent nearest to the server first; none from a client on the link.
    pub(super) hops: Vec<RelayMessage<'a>>,
    pub(super) message: Message<'a>,
}

impl<'a> Chain<'a> {
    pub(super) fn read(bytes: &'a [u8]) -> Result<Self, Discard> {
        let mut hops = Vec::new();
        let mut packet = Packet::parse(bytes).map_err(|_| Discard::Malformed)?;
        loop {
            match packet {
                Packet::Message(message) => return Ok(Self { hops, message }),
                Packet::Relay(hop) => {
                    if hop.kind() != MessageType::RELAY_FORWARD {
                        return Err(Discard::Type);
                    }
                    // Counts go from 0 to HOP_COUNT_LIMIT (RFC 9915 section 19.1.2).
                    if hops.len() > usize::from(HOP_COUNT_LIMIT) {
                        return Err(Discard::Hops);
                    }
                    packet = hop.relayed().ok_or(Discard::Malformed)?;
                    hops.push(hop);
                }
            }
        }
    }

    /// From which address the client sends.
    pub(super) fn peer(&self, source: Ipv6Addr) -> Ipv6Addr {
        self.hops.last().map_or(source, RelayMessage::peer_address)
    }

    /// The link-address of the agent nearest to the client that tells one (RFC 9915 section 13.1). An agent may tell it
    /// in an option too, where its own address on the link says something else (RFC 6977 section 6.2).
    pub(super) fn link_address(&self) -> Option<Ipv6Addr> {
        let told = |hop: &RelayMessage<'_>| {
            let option = hop.options().get(OptionCode::LINK_ADDRESS);
            let option = option.and_then(|octets| <[u8; 16]>::try_from(octets).ok()).map(Ipv6Addr::from);
            option.unwrap_or(hop.link_address())
        };
        self.hops.iter().rev().map(told).find(|address| !address.is_unspecified())
    }

    /// What the option says in the message of the agent nearest to the client that has it.
    fn nearest(&self, code: OptionCode) -> Option<&'a [u8]> {
        self.hops.iter().rev().find_map(|hop| hop.options().get(code))
    }

    /// The client's line.
    pub(super) fn line(&self) -> Option<Line> {
        Line::new(
            self.nearest(OptionCode::INTERFACE_ID),
            self.nearest(OptionCode::REMOTE_ID),
            self.nearest(OptionCode::SUBSCRIBER_ID),
        )
    }

    /// The relay agent that the message came from.
    pub(super) fn relay(&self, source: Ipv6Addr) -> Option<Relay> {
        self.hops.first()?;
        let id = self.nearest(OptionCode::RELAY_ID).and_then(|octets| Duid::new(octets).ok());
        Some(Relay { address: source, link: self.link_address().unwrap_or(Ipv6Addr::UNSPECIFIED), id })
    }

    /// The client's hardware address as the agent on its link saw it. Only that one can have seen it (RFC 6939 section 4).
    pub(super) fn link_layer(&self) -> Option<Mac> {
        match self.hops.last()?.options().find(OptionCode::CLIENT_LINKLAYER_ADDR) {
            Some(DhcpOption::ClientLinkLayer { address, .. }) => Mac::new(address),
            _ => None,
        }
    }

    /// The port at which the sender of the datagram waits for an answer (RFC 9915 section 7.2, RFC 8357 section 5.2).
    fn port(&self, source: u16) -> u16 {
        match self.hops.first() {
            None => CLIENT_PORT,
            Some(hop) if comes_back(hop, OptionCode::RELAY_PORT).is_some() => source,
            Some(_) => SERVER_PORT,
        }
    }

    /// The datagram that brings an answer back to whoever sent the question, on the link where it came in.
    pub(super) fn reply(
        &self,
        link: LinkId,
        question: &Datagram<'_>,
        answer: Vec<u8>,
    ) -> Result<Reply, Discard> {
        Ok(Reply {
            link,
            destination: question.source,
            port: self.port(question.port),
            bytes: self.wrap(answer)?,
        })
    }

    /// The way on which the client can be sent something that it did not ask for; none from a client on the link.
    pub(super) fn way(&self, datagram: &Datagram<'_>) -> Option<Way> {
        let port = self.port(datagram.port);
        Way::new(datagram.link, datagram.source, port, &self.hops)
    }

    /// Puts the answer for the client into a Relay-reply for each agent, the innermost first (RFC 9915 section 19.3).
    fn wrap(&self, answer: Vec<u8>) -> Result<Vec<u8>, Discard> {
        self.hops.iter().rev().try_fold(answer, |inside, hop| reply_to(hop, &inside))
    }
}

/// What an agent gets back whether it asks for it or not (RFC 9915 section 21.18, RFC 8357 section 5.2).
pub(super) const ALWAYS: [OptionCode; 2] = [OptionCode::INTERFACE_ID, OptionCode::RELAY_PORT];

/// The content of one of these in an agent's message, unless it is malformed: an interface without a name, a port that is
/// none.
pub(super) fn comes_back<'a>(hop: &RelayMessage<'a>, code: OptionCode) -> Option<&'a [u8]> {
    let content = hop.options().get(code)?;
    let well_formed = if code == OptionCode::RELAY_PORT { content.len() == 2 } else { !content.is_empty() };
    well_formed.then_some(content)
}

/// A Relay-reply to a Relay-forward, with what its agent must get back.
pub(super) fn reply_to(hop: &RelayMessage<'_>, inside: &[u8]) -> Result<Vec<u8>, Discard> {
    let options = hop.options();
    // All that is sent back was in the message, and each option is sent back once.
    let mut room = vec![0; RelayMessage::HEADER + 4 + inside.len() + options.as_bytes().len()];
    let mut b = Builder::relay(
        &mut room,
        MessageType::RELAY_REPLY,
        hop.hop_count(),
        hop.link_address(),
        hop.peer_address(),
    );
    for code in ALWAYS {
        if let Some(content) = comes_back(hop, code) {
            b.option(code, content);
        }
    }
    b.option(OptionCode::RELAY_MSG, inside);
    // RFC 4994 section 3: what the agent asks to have back, as it came, unless it is there already.
    let asked = options.get(OptionCode::ERO).unwrap_or_default();
    let asked: BTreeSet<u16> =
        asked.as_chunks::<2>().0.iter().map(|code| u16::from_be_bytes(*code)).collect();
    let there = |code: &OptionCode| ALWAYS.contains(code) || *code == OptionCode::RELAY_MSG;
    for (code, content) in options.raw().filter(|(code, _)| asked.contains(&code.0) && !there(code)) {
        b.option(code, content);
    }
    b.finish().map(<[u8]>::to_vec).map_err(|_| Discard::TooLong)
}

/// Which relay agents are heard, and which link each link-address stands for.
#[derive(Debug)]
pub(super) struct Directory {
    on: BTreeSet<LinkId>,
    from: Nets<()>,
    places: Nets<Arc<Link>>,
    known: BTreeSet<Arc<Relay>>,
    /// What agents may supply for their clients.
    pub(super) supplied: BTreeSet<OptionCode>,
}

impl Default for Directory {
    fn default() -> Self {
        Self {
            on: BTreeSet::new(),
            from: Nets::default(),
            places: Nets::default(),
            known: BTreeSet::new(),
            supplied: super::supplied::ENABLED.into(),
        }
    }
}

impl Directory {
    pub(super) fn set_relays(&mut self, relays: &Relays) {
        self.on = relays.on.iter().map(|link| link.as_str().into()).collect();
        self.from = relays.from.iter().map(|net| (*net, ())).collect();
    }

    /// What is written down comes before what follows from a link's networks.
    pub(super) fn set_links(&mut self, links: &BTreeMap<LinkId, Arc<Link>>) {
        let written = links.values().flat_map(|link| link.selected_by.iter().map(move |net| (*net, link)));
        let implied = links.values().flat_map(|link| link.prefixes.iter().map(move |net| (*net, link)));
        self.places = written.chain(implied).map(|(net, link)| (net, Arc::clone(link))).collect();
    }

    /// Whether every agent of a row may speak for clients: that which the server hears, and those that it names.
    pub(super) fn hears(
        &self,
        link: &str,
        agent: Ipv6Addr,
        hops: &[RelayMessage<'_>],
    ) -> Result<(), Discard> {
        if !self.on.contains(link) {
            return Err(Discard::Relayed);
        }
        let (_, inner) = hops.split_last().ok_or(Discard::Relayed)?;
        let mut agents = std::iter::once(agent).chain(inner.iter().map(RelayMessage::peer_address));
        if agents.all(|agent| self.from.longest(agent).is_some()) { Ok(()) } else { Err(Discard::Relay) }
    }

    /// The name of a link on which relay agents are heard, to be kept.
    pub(super) fn name(&self, link: &str) -> LinkId {
        self.on.get(link).cloned().unwrap_or_else(|| link.into())
    }

    /// The link that a link-address stands for.
    pub(super) fn place(&self, link_address: Ipv6Addr) -> Option<&Arc<Link>> {
        self.places.longest(link_address)
    }

    /// The same relay agent for all leases.
    pub(super) fn share(&mut self, relay: Relay) -> Arc<Relay> {
        if let Some(known) = self.known.get(&relay) {
            return Arc::clone(known);
        }
        if self.known.len() >= MOST_RELAYS {
            self.known.retain(|relay| Arc::strong_count(relay) > 1);
        }
        let relay = Arc::new(relay);
        if self.known.len() < MOST_RELAYS {
            self.known.insert(Arc::clone(&relay));
        }
        relay
    }
}
