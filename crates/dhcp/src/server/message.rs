//! Reading a client's message: what it must hold, and what it asks for.

use super::counters::Discard;
use crate::lease::{Kind, Resource};
use sixgate_wire::dhcpv6::{DhcpOption, Duid, Fqdn, Message, MessageType, OptionCode};
use smallvec::SmallVec;

/// Leases heeded in one association of a client's message.
const MAX_LISTED: usize = 8;
/// Most associations heeded in one message, whatever the configuration says: what bounds the answer.
const MAX_ASSOCIATIONS: usize = 16;

/// One identity association of a client's message.
#[derive(Debug, Clone)]
pub(super) struct Association {
    pub(super) kind: Kind,
    pub(super) iaid: u32,
    /// The leases that it lists, the unspecified ones left out.
    pub(super) listed: SmallVec<[Resource; 2]>,
    /// The length of prefix that it would like (RFC 8168).
    pub(super) length: Option<u8>,
}

/// A message that passed the checks of RFC 9915 section 16.
#[derive(Debug)]
pub(super) struct Asked<'a> {
    pub(super) message: Message<'a>,
    pub(super) kind: MessageType,
    /// Every message has it, but for an Information-request.
    pub(super) client: Option<Duid>,
    pub(super) associations: SmallVec<[Association; 2]>,
    pub(super) fqdn: Option<Fqdn<'a>>,
}

impl<'a> Asked<'a> {
    /// Whether the client says that it may be sent Reconfigure (RFC 9915 section 21.20).
    pub(super) fn accepts_reconfigure(&self) -> bool {
        self.message.options().get(OptionCode::RECONF_ACCEPT).is_some()
    }

    /// Whether it asks for a binding and does not say so. Who extends what it has may leave it out.
    pub(super) fn refuses_reconfigure(&self) -> bool {
        matches!(self.kind, MessageType::SOLICIT | MessageType::REQUEST) && !self.accepts_reconfigure()
    }

    /// Checks `message` against RFC 9915 section 16 and reads what it asks `server` for.
    pub(super) fn read(message: Message<'a>, server: &Duid, most: usize) -> Result<Self, Discard> {
        let kind = message.kind();
        let options = message.options();
        let client = match options.get(OptionCode::CLIENT_ID) {
            Some(octets) => Some(Duid::new(octets).map_err(|_| Discard::Malformed)?),
            None => None,
        };
        let named = options.get(OptionCode::SERVER_ID);
        let for_us = named.is_none_or(|octets| octets == server.as_bytes());
        match kind {
            MessageType::SOLICIT | MessageType::CONFIRM | MessageType::REBIND => {
                if named.is_some() {
                    return Err(Discard::ServerId);
                }
            }
            MessageType::REQUEST | MessageType::RENEW | MessageType::RELEASE | MessageType::DECLINE => {
                if named.is_none() {
                    return Err(Discard::NoServerId);
                }
            }
            MessageType::INFORMATION_REQUEST => {}
            _ => return Err(Discard::Type),
        }
        if !for_us {
            return Err(Discard::OtherServer);
        }
        let informing = kind == MessageType::INFORMATION_REQUEST;
        if client.is_none() && !informing {
            return Err(Discard::NoClientId);
        }
        let mut associations: SmallVec<[Association; 2]> = SmallVec::new();
        let mut fqdn = None;
        for option in options.iter() {
            let association = match option {
                DhcpOption::IaNa(ia) => Association {
                    kind: Kind::Address,
                    iaid: ia.iaid,
                    listed: ia
                        .addresses()
                        .filter(|address| !address.address.is_unspecified())
                        .map(|address| Resource::Address(address.address))
                        .take(MAX_LISTED)
                        .collect(),
                    length: None,
                },
                DhcpOption::IaPd(ia) => Association {
                    kind: Kind::Prefix,
                    iaid: ia.iaid,
                    listed: ia
                        .prefixes()
                        .filter(|prefix| prefix.prefix_length > 0 && !prefix.prefix.is_unspecified())
                        .map(|prefix| Resource::Prefix(prefix.net()))
                        .take(MAX_LISTED)
                        .collect(),
                    length: ia.prefixes().map(|prefix| prefix.prefix_length).find(|&length| length > 0),
                },
                DhcpOption::ClientFqdn(name) => {
                    fqdn = fqdn.or(Some(name));
                    continue;
                }
                _ => continue,
            };
            if informing {
                return Err(Discard::Association);
            }
            // The second association with one number contradicts the first (RFC 9915 section 12).
            let known = |a: &Association| (a.kind, a.iaid) == (association.kind, association.iaid);
            if associations.len() < most.min(MAX_ASSOCIATIONS) && !associations.iter().any(known) {
                associations.push(association);
            }
        }
        Ok(Self { message, kind, client, associations, fqdn })
    }

    /// The name by which the client wants to be known, unless it asks that nobody be told (RFC 4704 section 4.1).
    pub(super) fn hostname(&self) -> Option<String> {
        self.fqdn.filter(|fqdn| fqdn.flags & Fqdn::NO_UPDATE == 0).and_then(|fqdn| fqdn.name())
    }
}
