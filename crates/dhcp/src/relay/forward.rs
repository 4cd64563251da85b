//! From a link to its servers (RFC 9915 section 19.1).

use super::counters::increase;
use super::{Action, Actions, Discard, FromLink, Link, Relay};
use sixgate_wire::dhcpv6::{
    Builder, HOP_COUNT_LIMIT, Message, MessageType, OptionCode, Packet, RelayMessage, SERVER_PORT,
};
use std::net::Ipv6Addr;
use std::time::Duration;

/// IANA's ARP hardware type of Ethernet, in the Client Link-Layer Address option (RFC 6939 section 4).
const ETHERNET: [u8; 2] = [0, 1];

/// What stands in a Relay-forward before its options.
struct Header {
    hop_count: u8,
    link_address: Ipv6Addr,
    /// Whether the answer's way must be told by Interface-Id, because the address does not tell it.
    interface_id: bool,
    /// The UDP port of the relay agent before us, where it is not 547 (RFC 8357 section 5.2).
    downstream_port: Option<u16>,
}

impl Relay {
    pub(super) fn forward(
        &mut self,
        now: Duration,
        datagram: &FromLink<'_>,
        actions: &mut Actions,
    ) -> Result<(), Discard> {
        let link = self.links.get(datagram.link).cloned().ok_or(Discard::Link)?;
        // Cheap questions first: what they refuse costs a flood's victim nothing more.
        let nested = match datagram.bytes.first().map(|kind| MessageType(*kind)) {
            None => return Err(Discard::Malformed),
            Some(MessageType::RELAY_REPLY) => return Err(Discard::Forged),
            Some(MessageType::RELAY_FORWARD) if link.trusts(datagram.source) => true,
            Some(MessageType::RELAY_FORWARD) => return Err(Discard::Untrusted),
            Some(kind) if is_for_servers(kind) => false,
            Some(_) => return Err(Discard::Type),
        };
        if datagram.source.is_multicast() || !(nested || link.has(datagram.source)) {
            return Err(Discard::Source);
        }
        let rate = self.config.limits.rate;
        let client = (!nested).then_some(datagram.source);
        if !self.limiters.get_mut(&link.name).is_some_and(|limiter| limiter.admits(now, rate, client)) {
            return Err(Discard::Rate);
        }
        let header = match read(datagram.bytes)? {
            Some(Packet::Relay(inner)) => after_relay(&link, datagram, &inner)?,
            Some(Packet::Message(message)) => {
                self.snoop_release(&link, datagram.source, &message, actions);
                after_client(&link)
            }
            None => after_client(&link),
        };
        let bytes = self.write(&link, datagram, nested, &header)?;
        for server in &link.servers {
            if let Some(contact) = self.servers.get_mut(server) {
                increase(&mut contact.sent);
                let (since, owed) = contact.silent.unwrap_or((now, 0));
                contact.silent = Some((since, owed.saturating_add(1)));
            }
            actions.push(Action::ToServer { server: *server, bytes: bytes.clone() });
        }
        increase(if nested { &mut self.counters.forwarded_nested } else { &mut self.counters.forwarded });
        Ok(())
    }

    /// Writes the Relay-forward. The message inside is as it came, to the last octet (RFC 8987 section 4.1
    /// G-1).
    fn write(
        &mut self,
        link: &Link,
        datagram: &FromLink<'_>,
        nested: bool,
        header: &Header,
    ) -> Result<Vec<u8>, Discard> {
        let kind = MessageType::RELAY_FORWARD;
        let mut out =
            Builder::relay(&mut self.buffer, kind, header.hop_count, header.link_address, datagram.source);
        if header.interface_id || link.interface_id.is_some() {
            out.option(OptionCode::INTERFACE_ID, link.identity());
        }
        // Of another relay agent's clients we know nothing but what it says: that stands inside, and ours
        // would only hide it.
        if !nested {
            if let Some((enterprise, id)) = &link.remote_id {
                out.container(OptionCode::REMOTE_ID, |out| {
                    out.octets(&enterprise.to_be_bytes()).octets(id);
                });
            }
            if let Some(id) = &link.subscriber_id {
                out.option(OptionCode::SUBSCRIBER_ID, id);
            }
            if !link.supplied.is_empty() {
                out.container(OptionCode::RSOO, |out| {
                    for (code, content) in &link.supplied {
                        out.option(*code, content);
                    }
                });
            }
            // RFC 6939 section 5: the first hop alone, which is the one that sees the frame.
            match datagram.link_layer.filter(|_| link.client_link_layer) {
                Some(address) => {
                    out.container(OptionCode::CLIENT_LINKLAYER_ADDR, |out| {
                        out.octets(&ETHERNET).octets(&address);
                    });
                }
                None if link.client_link_layer => increase(&mut self.counters.link_layer_unknown),
                None => {}
            }
        }
        if let Some(duid) = &self.config.relay_id {
            out.option(OptionCode::RELAY_ID, duid.as_bytes());
        }
        // RFC 8357 section 5.2: who uses another port says so, and so does who has to remember another's.
        let other_port = self.config.port != SERVER_PORT;
        if other_port || header.downstream_port.is_some() {
            out.option(OptionCode::RELAY_PORT, &header.downstream_port.unwrap_or(0).to_be_bytes());
        }
        out.option(OptionCode::RELAY_MSG, datagram.bytes);
        out.finish().map(<[u8]>::to_vec).map_err(|_| Discard::TooLong)
    }
}

/// Whether a message of this type, on its way from a client, is for servers. Types that are not known may be
/// (RFC 7283 section 4.1). What servers say, and what relay agents and servers say to each other, no client
/// sends: to relay a client's Leasequery would lend it the trust that the server has in us.
fn is_for_servers(kind: MessageType) -> bool {
    kind.name().is_none()
        || matches!(
            kind,
            MessageType::SOLICIT
                | MessageType::REQUEST
                | MessageType::CONFIRM
                | MessageType::RENEW
                | MessageType::REBIND
                | MessageType::RELEASE
                | MessageType::DECLINE
                | MessageType::INFORMATION_REQUEST
                | MessageType::DHCPV4_QUERY
                | MessageType::ADDR_REG_INFORM
        )
}

/// Reads what came. A type that is not known need not have the form that we know: it is passed on unread.
fn read(bytes: &[u8]) -> Result<Option<Packet<'_>>, Discard> {
    let known = bytes.first().is_some_and(|kind| MessageType(*kind).name().is_some());
    match Packet::parse(bytes) {
        Ok(packet) => Ok(Some(packet)),
        // Type and transaction id are there in each (RFC 9915 section 8).
        Err(_) if !known && bytes.len() >= 4 => Ok(None),
        Err(_) => Err(Discard::Malformed),
    }
}

/// RFC 9915 section 19.1.1.
fn after_client(link: &Link) -> Header {
    Header {
        hop_count: 0,
        link_address: link.address.or(link.link_local).unwrap_or(Ipv6Addr::UNSPECIFIED),
        interface_id: link.address.is_none(),
        downstream_port: None,
    }
}

/// RFC 9915 section 19.1.2.
fn after_relay(link: &Link, datagram: &FromLink<'_>, inner: &RelayMessage<'_>) -> Result<Header, Discard> {
    if inner.hop_count() >= HOP_COUNT_LIMIT {
        return Err(Discard::Hops);
    }
    // One that can be reached by its address alone needs no more; its own link-address tells where the client
    // is.
    let routable = !datagram.source.is_unicast_link_local();
    let here = link.address.filter(|_| !routable);
    let says_port = inner.options().get(OptionCode::RELAY_PORT).is_some();
    Ok(Header {
        hop_count: inner.hop_count() + 1,
        link_address: here.unwrap_or(Ipv6Addr::UNSPECIFIED),
        interface_id: !routable && here.is_none(),
        downstream_port: (says_port && datagram.port != SERVER_PORT).then_some(datagram.port),
    })
}

impl Relay {
    /// A Release ends what it names, whether the server hears of it or not (RFC 8987 section 4.1 G-9). It is
    /// believed from the address that the route leads to.
    fn snoop_release(&mut self, link: &Link, source: Ipv6Addr, message: &Message<'_>, actions: &mut Actions) {
        if message.kind() == MessageType::RELEASE {
            self.released(link, source, message, actions);
        }
    }
}
