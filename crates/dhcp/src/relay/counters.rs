//! Counts of what the relay agent saw and did.

/// Why a message was not relayed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Discard {
    /// It is not a DHCPv6 message.
    Malformed,
    /// It came in on a link that is not relayed.
    Link,
    /// It came from an address that no client on the link has.
    Source,
    /// Too many came from its link, or from its sender.
    Rate,
    /// It is no message that a client sends.
    Type,
    /// It is a Relay-reply, and came from the clients' side.
    Forged,
    /// It is a Relay-forward, and its sender is not trusted to relay.
    Untrusted,
    /// It has passed too many relay agents (RFC 9915 section 19.1.2).
    Hops,
    /// With our options it would be too long.
    TooLong,
    /// It came to our port towards servers, and not from a server of the link that it is for.
    Server,
    /// It came from a server, and is no Relay-reply with a message in it.
    NoReply,
    /// It names no link of ours.
    NoLink,
    /// The address that it is for is none of a client or a relay agent on the link.
    Peer,
}

impl Discard {
    /// Every reason.
    pub const ALL: [Self; 13] = [
        Self::Malformed,
        Self::Link,
        Self::Source,
        Self::Rate,
        Self::Type,
        Self::Forged,
        Self::Untrusted,
        Self::Hops,
        Self::TooLong,
        Self::Server,
        Self::NoReply,
        Self::NoLink,
        Self::Peer,
    ];

    /// The word for it, for counters and logs.
    pub fn name(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::Link => "link",
            Self::Source => "source",
            Self::Rate => "rate",
            Self::Type => "type",
            Self::Forged => "forged",
            Self::Untrusted => "untrusted",
            Self::Hops => "hops",
            Self::TooLong => "too-long",
            Self::Server => "server",
            Self::NoReply => "no-reply",
            Self::NoLink => "no-link",
            Self::Peer => "peer",
        }
    }
}

/// Counts since the relay agent was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counters {
    /// Datagrams that came from links, whatever became of them.
    pub from_links: u64,
    /// Datagrams that came to the port towards servers.
    pub from_servers: u64,
    /// Messages of clients that were relayed.
    pub forwarded: u64,
    /// Messages of other relay agents that were relayed.
    pub forwarded_nested: u64,
    /// Messages that were delivered to clients.
    pub delivered: u64,
    /// Messages that were delivered to other relay agents.
    pub delivered_nested: u64,
    /// Messages relayed without the client's link-layer address because it was not known.
    pub link_layer_unknown: u64,
    /// Prefixes whose route was new.
    pub routed: u64,
    /// Routes that ended with a Release, or because the server took the prefix back.
    pub released: u64,
    /// Routes that ended with their lifetime.
    pub expired: u64,
    /// Prefixes not routed because their link has too many.
    pub capped: u64,
    /// Routes of a client that gave way to a new one because it has too many.
    pub evicted: u64,
    /// Prefixes not routed because no route should lead there: they are on a link, or outside of what is
    /// delegated here.
    pub unroutable: u64,
    discarded: [u64; Discard::ALL.len()],
}

impl Counters {
    /// Messages that were not relayed for this reason.
    pub fn discarded(&self, reason: Discard) -> u64 {
        self.discarded[reason as usize]
    }

    pub(super) fn discard(&mut self, reason: Discard) {
        increase(&mut self.discarded[reason as usize]);
    }
}

pub(super) fn increase(count: &mut u64) {
    *count = count.saturating_add(1);
}
