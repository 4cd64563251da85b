//! From a server to the link that its message is for (RFC 9915 section 19.2).

use super::counters::increase;
use super::{Action, Actions, Discard, FromServer, Link, Relay};
use crate::lease::LinkId;
use sixgate_wire::dhcpv6::{
    CLIENT_PORT, Message, MessageType, OptionCode, Packet, RelayMessage, SERVER_PORT,
};
use std::sync::Arc;
use std::time::Duration;

impl Relay {
    pub(super) fn deliver(
        &mut self,
        now: Duration,
        datagram: &FromServer<'_>,
        actions: &mut Actions,
    ) -> Result<(), Discard> {
        if self.links.values().any(|link| link.interface == Some(datagram.interface)) {
            return Err(Discard::Forged);
        }
        let sender = |server: &&super::Server| server.is(datagram.source, datagram.interface);
        let Some(server) = self.servers.keys().find(sender).copied() else { return Err(Discard::Server) };
        let reply = match Packet::parse(datagram.bytes) {
            Ok(Packet::Relay(reply)) if reply.kind() == MessageType::RELAY_REPLY => reply,
            Ok(_) => return Err(Discard::NoReply),
            Err(_) => return Err(Discard::Malformed),
        };
        let inner = reply.options().get(OptionCode::RELAY_MSG).ok_or(Discard::NoReply)?;
        let kind = inner.first().map(|kind| MessageType(*kind)).ok_or(Discard::NoReply)?;
        let link = self.link_of(&reply).cloned().ok_or(Discard::NoLink)?;
        if !link.servers.iter().any(|server| server.is(datagram.source, datagram.interface)) {
            return Err(Discard::Server);
        }
        // What is in it is relayed whatever it is (RFC 9915 section 19.2), as it is; only what is for a relay
        // agent goes to one.
        let peer = reply.peer_address();
        let nested = kind.is_relay();
        let there = if nested { link.trusts(peer) } else { link.has(peer) };
        if !there || peer.is_multicast() || peer.is_loopback() || peer.is_unspecified() {
            return Err(Discard::Peer);
        }
        if let (false, Ok(message)) = (nested, Message::parse(inner)) {
            self.snoop_reply(now, &link, peer, &message, actions);
        }
        if let Some(contact) = self.servers.get_mut(&server) {
            increase(&mut contact.delivered);
            contact.silent = None;
        }
        increase(if nested { &mut self.counters.delivered_nested } else { &mut self.counters.delivered });
        let port = if nested { relay_port(&reply) } else { CLIENT_PORT };
        actions.push(Action::ToLink {
            link: LinkId::clone(&link.name),
            destination: peer,
            port,
            bytes: inner.to_vec(),
        });
        Ok(())
    }

    /// The link that a Relay-reply is for: the one that its Interface-Id names; else the one that its
    /// link-address is on; else, where we told neither, the one that the relay agent before us is trusted on.
    fn link_of(&self, reply: &RelayMessage<'_>) -> Option<&Arc<Link>> {
        let mut links = self.links.values();
        if let Some(id) = reply.options().get(OptionCode::INTERFACE_ID) {
            return links.find(|link| link.identity() == id);
        }
        let address = reply.link_address();
        if address.is_unspecified() {
            return links.find(|link| link.trusts(reply.peer_address()));
        }
        // In its prefix is enough: our own address may have changed since.
        links.find(|link| {
            link.address == Some(address) || link.prefixes.iter().any(|prefix| prefix.contains(&address))
        })
    }
}

/// The port of the relay agent before us: what we remembered of it in the message itself (RFC 8357 section
/// 5.2).
fn relay_port(reply: &RelayMessage<'_>) -> u16 {
    let told = reply.options().get(OptionCode::RELAY_PORT).and_then(|octets| octets.try_into().ok());
    told.map(u16::from_be_bytes).filter(|port| *port != 0).unwrap_or(SERVER_PORT)
}
