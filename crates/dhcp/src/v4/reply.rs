//! Writing what the server says.

use super::action::Destination;
use super::config::Link;
use super::counters::Discard;
use super::message::Asked;
use sixgate_wire::dhcpv4::{BOOTREPLY, BROADCAST, Builder, Header, INFINITY, MessageType, OptionCode};
use std::net::Ipv4Addr;

/// Everything in an answer beside what its question has in it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Answer {
    pub(super) kind: MessageType,
    /// The client's address, where it gets one.
    pub(super) address: Option<Ipv4Addr>,
    /// Seconds for which it has the address.
    pub(super) lease: Option<u32>,
    pub(super) rapid_commit: bool,
    /// V6ONLY_WAIT in seconds, for a client that can do without IPv4.
    pub(super) v6only: Option<u32>,
    /// Why not, in a Nak.
    pub(super) words: Option<&'static str>,
}

impl Answer {
    pub(super) fn new(kind: MessageType) -> Self {
        Self { kind, address: None, lease: None, rapid_commit: false, v6only: None, words: None }
    }

    /// The octets of the answer (RFC 2131 section 4.3.1, table 3).
    pub(super) fn encode(&self, asked: &Asked, link: &Link) -> Result<Vec<u8>, Discard> {
        let nak = self.kind == MessageType::NAK;
        let question = &asked.header;
        let relayed = !question.giaddr.is_unspecified();
        let header = Header {
            op: BOOTREPLY,
            hops: 0,
            secs: 0,
            // RFC 2131 section 4.3.2: so that the relay agent broadcasts it, too.
            flags: if nak && relayed { question.flags | BROADCAST } else { question.flags },
            ciaddr: if self.kind == MessageType::ACK { question.ciaddr } else { Ipv4Addr::UNSPECIFIED },
            yiaddr: self.address.unwrap_or(Ipv4Addr::UNSPECIFIED),
            siaddr: Ipv4Addr::UNSPECIFIED,
            ..*question
        };
        let mut room = vec![0; asked.room];
        let mut b = Builder::new(&mut room, &header, self.kind);
        b.address(OptionCode::SERVER_ID, link.server);
        if asked.sent_client_id {
            b.client_id(&asked.client);
        }
        if let Some(lease) = self.lease {
            let (t1, t2) = if lease == INFINITY {
                (INFINITY, INFINITY)
            } else {
                // RFC 2131 section 4.4.5.
                (lease / 2, (u64::from(lease) * 7 / 8) as u32)
            };
            b.number(OptionCode::LEASE_TIME, lease);
            b.number(OptionCode::RENEWAL_TIME, t1).number(OptionCode::REBINDING_TIME, t2);
        }
        if self.rapid_commit {
            b.option(OptionCode::RAPID_COMMIT, &[]);
        }
        if let Some(wait) = self.v6only {
            b.number(OptionCode::IPV6_ONLY_PREFERRED, wait);
            // RFC 8925 section 3.3.1, RFC 2563 section 2.3: no link-local IPv4 address in place of the one
            // not given.
            if asked.auto_configure && self.address.is_none() {
                b.option(OptionCode::AUTO_CONFIGURE, &[0]);
            }
        }
        if let Some(words) = self.words {
            b.option(OptionCode::MESSAGE, words.as_bytes());
        }
        let relay_information = asked.relay_information.as_deref();
        // Without an address there is nothing to configure, except for who has one already (Inform).
        if !nak && (self.address.is_some() || self.v6only.is_none()) {
            let left_for_relay =
                relay_information.map_or(0, |data| data.len() + 2 * data.len().div_ceil(255).max(1));
            configuration(&mut b, asked, link, left_for_relay);
        }
        if let Some(data) = relay_information {
            // RFC 3046 section 2.2: the last one.
            b.option(OptionCode::RELAY_AGENT_INFORMATION, data);
        }
        b.finish().map(<[u8]>::to_vec).map_err(|_| Discard::TooLong)
    }

    /// Where the answer goes (RFC 2131 section 4.1).
    pub(super) fn destination(&self, asked: &Asked, link: &Link) -> Destination {
        let question = &asked.header;
        let nak = self.kind == MessageType::NAK;
        if !question.giaddr.is_unspecified() {
            return Destination::Relay(question.giaddr);
        }
        // Nowhere else than on the link, whatever a stranger writes there.
        if !nak && link.subnet.contains(&question.ciaddr) {
            return Destination::Unicast(question.ciaddr);
        }
        match (self.address, question.hardware.as_ethernet()) {
            (Some(address), Some(hardware)) if !nak && question.flags & BROADCAST == 0 => {
                Destination::LinkLayer { address, hardware }
            }
            _ => Destination::Broadcast,
        }
    }
}

/// The options that the client asks for, as far as there is something to say and room for it. The mask goes
/// before the routers (RFC 2132 section 3.3), and both to everybody: there are clients that forget to ask.
fn configuration(b: &mut Builder<'_>, asked: &Asked, link: &Link, reserve: usize) {
    let mut add = |code: OptionCode, data: &[u8]| {
        if !data.is_empty() && b.has_room(data.len() + reserve) {
            b.option(code, data);
        }
    };
    let addresses = |list: &[Ipv4Addr]| list.iter().flat_map(Ipv4Addr::octets).collect::<Vec<u8>>();
    add(OptionCode::SUBNET_MASK, &link.subnet.netmask().octets());
    add(OptionCode::ROUTERS, &addresses(&link.routers));
    let silent = asked.wanted.is_empty();
    if silent || asked.wants(OptionCode::DNS_SERVERS) {
        add(OptionCode::DNS_SERVERS, &addresses(&link.dns));
    }
    if asked.wants(OptionCode::DOMAIN_NAME) {
        add(OptionCode::DOMAIN_NAME, link.domain.as_deref().unwrap_or_default().as_bytes());
    }
    if asked.wants(OptionCode::MTU) {
        add(OptionCode::MTU, &link.mtu.map(u16::to_be_bytes).map_or(Vec::new(), Vec::from));
    }
    if asked.wants(OptionCode::BROADCAST_ADDRESS) {
        add(OptionCode::BROADCAST_ADDRESS, &link.subnet.broadcast().octets());
    }
    if asked.wants(OptionCode::CAPTIVE_PORTAL) {
        add(OptionCode::CAPTIVE_PORTAL, link.captive_portal.as_deref().unwrap_or_default().as_bytes());
    }
    if asked.wants(OptionCode::DOMAIN_SEARCH) {
        let mut names = Vec::new();
        for name in &link.search {
            sixgate_wire::domain::encode(name, &mut names);
        }
        add(OptionCode::DOMAIN_SEARCH, &names);
    }
}
