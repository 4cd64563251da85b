//! Reading a client's message: what it must hold, and what it asks for.

use super::counters::Discard;
use sixgate_wire::dhcpv4::{
    BOOTREQUEST, ClientId, DEFAULT_MAX_MESSAGE, Header, Message, MessageType, OptionCode, Options,
};
use sixgate_wire::domain::DomainNames;
use std::net::Ipv4Addr;

/// Octets of an IPv4 and a UDP header: option 57 counts them (RFC 2131 section 2).
const IP_AND_UDP: usize = 28;
/// Longest payload that is sent: it fits an Ethernet frame.
const MAX_MESSAGE: usize = 1500 - IP_AND_UDP;
/// The flag of a Client FQDN option that has its name in wire format (RFC 4702 section 2.1).
const FQDN_ENCODED: u8 = 0x04;
/// The flag by which a client wants its name nowhere in DNS.
const FQDN_NO_UPDATE: u8 = 0x08;
/// Longest name that is kept (RFC 1035 section 2.3.4).
const MAX_NAME: usize = 253;

/// A client's message.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) header: Header,
    pub(super) kind: MessageType,
    pub(super) client: ClientId,
    /// Whether the client sent its identifier: then it gets it back (RFC 6842).
    pub(super) sent_client_id: bool,
    /// Requested IP Address.
    pub(super) requested: Option<Ipv4Addr>,
    pub(super) server: Option<Ipv4Addr>,
    pub(super) wanted: Vec<OptionCode>,
    pub(super) rapid_commit: bool,
    /// Whether the client asks whether it may choose a link-local address (RFC 2563).
    pub(super) auto_configure: bool,
    pub(super) hostname: Option<String>,
    /// Relay Agent Information, to be sent back as it came (RFC 3046 section 2.2).
    pub(super) relay_information: Option<Vec<u8>>,
    /// The longest payload that the client takes.
    pub(super) room: usize,
}

impl Asked {
    pub(super) fn read(message: &Message<'_>) -> Result<Self, Discard> {
        let header = *message.header();
        let options = message.options();
        if header.op != BOOTREQUEST {
            return Err(Discard::Type);
        }
        let sent = options.get(OptionCode::CLIENT_ID);
        let client = match &sent {
            Some(octets) => ClientId::new(octets).map_err(|_| Discard::Malformed)?,
            None if header.hardware.address().is_empty() => return Err(Discard::NoClientId),
            None => ClientId::hardware(header.hardware),
        };
        let most = options.u16(OptionCode::MAX_MESSAGE_SIZE).map_or(0, usize::from);
        Ok(Self {
            header,
            kind: message.kind(),
            client,
            sent_client_id: sent.is_some(),
            requested: options.address(OptionCode::REQUESTED_ADDRESS).filter(|a| !a.is_unspecified()),
            server: options.address(OptionCode::SERVER_ID),
            wanted: options.requested(),
            rapid_commit: options.get(OptionCode::RAPID_COMMIT).is_some(),
            auto_configure: options.get(OptionCode::AUTO_CONFIGURE).is_some(),
            hostname: hostname(&options),
            relay_information: options
                .get(OptionCode::RELAY_AGENT_INFORMATION)
                .map(std::borrow::Cow::into_owned),
            room: most.saturating_sub(IP_AND_UDP).clamp(DEFAULT_MAX_MESSAGE, MAX_MESSAGE),
        })
    }

    pub(super) fn wants(&self, code: OptionCode) -> bool {
        self.wanted.contains(&code)
    }

    /// The address that a Request is about: the one that it asks for, or that the client has (RFC 2131
    /// section 4.3.2).
    pub(super) fn address(&self) -> Option<Ipv4Addr> {
        self.requested.or(Some(self.header.ciaddr).filter(|address| !address.is_unspecified()))
    }
}

/// The client's name, from Client FQDN or Host Name; only one that could be a host's.
fn hostname(options: &Options<'_>) -> Option<String> {
    let fqdn = options.get(OptionCode::CLIENT_FQDN);
    if fqdn.as_ref().is_some_and(|data| data.first().is_some_and(|flags| flags & FQDN_NO_UPDATE != 0)) {
        return None;
    }
    let fqdn = fqdn.and_then(|data| match *data {
        [flags, _, _, ref name @ ..] if flags & FQDN_ENCODED != 0 => DomainNames::new(name).iter().next(),
        [_, _, _, ref name @ ..] => std::str::from_utf8(name).ok().map(str::to_owned),
        _ => None,
    });
    let name = fqdn.filter(|name| is_host(name)).or_else(|| options.text(OptionCode::HOST_NAME))?;
    is_host(&name).then_some(name)
}

fn is_host(name: &str) -> bool {
    let allowed = |octet: u8| octet.is_ascii_alphanumeric() || b"-_.".contains(&octet);
    (1..=MAX_NAME).contains(&name.len()) && name.bytes().all(allowed)
}
