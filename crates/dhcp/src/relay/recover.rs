//! What was delegated before we were there, or while we were not: asked of a server by bulk leasequery over
//! TCP (RFC 5460), as RFC 8987 section 4.3 S-1 has it.

use super::{Actions, Delegation, Relay};
use crate::lease::LinkId;
use sixgate_wire::WireError;
use sixgate_wire::dhcpv6::leasequery::QueryType;
use sixgate_wire::dhcpv6::{
    Builder, DhcpOption, Duid, INFINITY, Message, MessageType, OptionCode, Options, Packet, RelayMessage,
    StatusCode, TransactionId,
};
use std::net::Ipv6Addr;
use std::time::Duration;

/// Relay agents that a client may be behind in what is told of it: as many as hops.
const DEEPEST: usize = sixgate_wire::dhcpv6::HOP_COUNT_LIMIT as usize + 1;
/// Most prefixes that are taken from what is told of one client.
const MOST: usize = 64;

/// How far an answer is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Progress {
    /// More messages follow.
    More,
    /// It is complete.
    Done,
    /// The server does not tell: its status, and its words for it.
    Refused(StatusCode, String),
}

/// A Leasequery for all bindings of clients on a link, with where each client is (RFC 5460).
/// `requestor` is our DUID.
///
/// # Errors
/// None in practice: the message is short.
pub fn query(
    requestor: &Duid,
    transaction: TransactionId,
    link_address: Ipv6Addr,
) -> Result<Vec<u8>, WireError> {
    let mut buffer = [0; 256];
    let mut out = Builder::message(&mut buffer, MessageType::LEASEQUERY, transaction);
    out.client_id(requestor);
    out.lease_query(QueryType::BY_LINK_ADDRESS, link_address, |out| {
        out.oro(&[OptionCode::LQ_RELAY_DATA]);
    });
    out.finish().map(<[u8]>::to_vec)
}

impl Relay {
    /// The links that a server can be asked about: names and link-addresses.
    pub fn askable(&self) -> impl Iterator<Item = (&LinkId, Ipv6Addr)> {
        let delegating = self.links.values().filter(|link| link.delegates);
        delegating.filter_map(|link| Some((&link.name, link.address?)))
    }

    /// Takes one message of the answer to [`query`] about a link. Delegations whose client's address is not
    /// told lead nowhere and are left out; so is what contradicts a Reply that passed meanwhile
    /// ([`Relay::learn`]).
    ///
    /// # Errors
    /// [`WireError`] where it cannot be read, or is no message of such an answer.
    pub fn recover(
        &mut self,
        now: Duration,
        link: &LinkId,
        bytes: &[u8],
        actions: &mut Actions,
    ) -> Result<Progress, WireError> {
        let message = Message::parse(bytes)?;
        let options = message.options();
        let status = options.status();
        if status.code != StatusCode::SUCCESS {
            let words = String::from_utf8_lossy(status.message).escape_debug().take(200).collect();
            return Ok(Progress::Refused(status.code, words));
        }
        let data = match options.find(OptionCode::CLIENT_DATA) {
            Some(DhcpOption::ClientData(data)) => Some(data),
            _ => None,
        };
        if let Some(data) = data {
            self.recover_client(now, link, data, actions);
        }
        match message.kind() {
            MessageType::LEASEQUERY_DATA => Ok(Progress::More),
            // RFC 5460: without a binding in it there is nothing to follow.
            MessageType::LEASEQUERY_REPLY if data.is_some() => Ok(Progress::More),
            MessageType::LEASEQUERY_REPLY | MessageType::LEASEQUERY_DONE => Ok(Progress::Done),
            other => Err(WireError::WrongType { what: "answer to a bulk leasequery", value: other.0 }),
        }
    }

    fn recover_client(&mut self, now: Duration, link: &LinkId, data: Options<'_>, actions: &mut Actions) {
        let Some(duid) = data.get(OptionCode::CLIENT_ID).and_then(|octets| Duid::new(octets).ok()) else {
            return;
        };
        let Some(via) = client_address(data) else { return };
        let prefixes = data.iter().filter_map(|option| match option {
            DhcpOption::IaPrefix(prefix) => Some(prefix),
            _ => None,
        });
        for prefix in prefixes.take(MOST) {
            let valid_until = match prefix.valid {
                INFINITY => Duration::MAX,
                valid => now.saturating_add(Duration::from_secs(valid.into())),
            };
            let (link, duid) = (LinkId::clone(link), duid.clone());
            let delegation = Delegation { prefix: prefix.net(), link, via, duid, iaid: None, valid_until };
            self.learn(now, delegation, actions);
        }
    }
}

/// Where the client is: the peer-address of the relay agent that heard it itself.
fn client_address(data: Options<'_>) -> Option<Ipv6Addr> {
    let Some(DhcpOption::LqRelayData(relay)) = data.find(OptionCode::LQ_RELAY_DATA) else { return None };
    let mut innermost = RelayMessage::parse(relay.message).ok()?;
    for _ in 0..DEEPEST {
        match innermost.relayed() {
            Some(Packet::Relay(inner)) => innermost = inner,
            _ => return Some(innermost.peer_address()),
        }
    }
    None
}
