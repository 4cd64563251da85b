//! What a client is asked to obtain.

use ipnet::Ipv6Net;
use sixgate_wire::dhcpv6::{Duid, OptionCode};
use std::net::Ipv6Addr;

/// What a client is to obtain, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// The client's DUID. It outlives restarts: keep it in the store (RFC 9915 section 11).
    pub duid: Duid,
    /// Ask for addresses, under this IAID.
    pub ia_na: Option<u32>,
    /// Ask for delegated prefixes, one association each.
    pub ia_pd: Vec<PdRequest>,
    /// Whether one of address and prefix is enough to begin.
    pub require: Require,
    /// Offer the two-message exchange (RFC 9915 section 18.2.1).
    pub rapid_commit: bool,
    /// Accept Reconfigure messages, if the server gives a key for them (RFC 9915 section 20.4).
    pub reconfigure_accept: bool,
    /// Options to ask for. SOL_MAX_RT, INF_MAX_RT and Information Refresh Time are added where RFC 9915 wants them.
    pub options: Vec<OptionCode>,
    /// The client's name for the server's DNS update (RFC 4704); without a dot it is sent as a partial name.
    pub hostname: Option<String>,
    /// Classes that the client says it belongs to (RFC 9915 section 21.15): octets that mean something to the servers of
    /// its network. None is empty.
    pub user_classes: Vec<Vec<u8>>,
}

/// A delegated prefix to ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PdRequest {
    /// The client's number for this association; unique among its prefix associations.
    pub iaid: u32,
    /// The prefix length to hint at, 1 to 128 (RFC 8168).
    pub hint_length: Option<u8>,
    /// The prefix to hint at, where there is a wish; its length rules over `hint_length`.
    pub hint: Option<Ipv6Net>,
}

/// What an Advertise must offer to be taken, where both an address and a prefix are asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Require {
    /// Something for at least one association. What is missing is asked for again in each Renew and Rebind
    /// (RFC 9915 section 18.2.4).
    #[default]
    Any,
    /// Something for every association: otherwise the client keeps soliciting.
    Both,
}

impl Config {
    /// A client that asks for addresses, for prefixes, or, with neither, for other configuration only.
    pub fn new(duid: Duid) -> Self {
        Self {
            duid,
            ia_na: None,
            ia_pd: Vec::new(),
            require: Require::Any,
            rapid_commit: false,
            reconfigure_accept: false,
            options: vec![OptionCode::DNS_SERVERS, OptionCode::DOMAIN_LIST],
            hostname: None,
            user_classes: Vec::new(),
        }
    }

    /// Whether the client asks for configuration without leases (RFC 9915 section 18.2.6).
    pub fn is_stateless(&self) -> bool {
        self.ia_na.is_none() && self.ia_pd.is_empty()
    }
}

impl PdRequest {
    /// A request without a wish.
    pub fn new(iaid: u32) -> Self {
        Self { iaid, hint_length: None, hint: None }
    }

    /// A request for a prefix of this length.
    pub fn with_length(iaid: u32, length: u8) -> Self {
        Self { iaid, hint_length: Some(length), hint: None }
    }

    /// The IA Prefix to hint with: the wished prefix, or `::` with the wished length (RFC 8168 section 3.1).
    pub(crate) fn hinted(&self) -> Option<Ipv6Net> {
        self.hint
            .or_else(|| Ipv6Net::new(Ipv6Addr::UNSPECIFIED, self.hint_length?).ok())
            .filter(|p| p.prefix_len() > 0)
    }
}
