//! Counts of what the server saw and did.

/// Why a message got no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Discard {
    /// It is not a DHCPv4 message, or its client identifier is none.
    Malformed,
    /// It came in on a link that is not served.
    Link,
    /// Servers do not take messages of this type.
    Type,
    /// It came through a relay agent that is not served.
    Relayed,
    /// It has neither a client identifier nor a hardware address.
    NoClientId,
    /// It is for another server.
    OtherServer,
    /// It asks for an answer at an address that is not on the link.
    OffLink,
    /// There is nothing that the server could say to it.
    Silent,
    /// A Release or a Decline of what the client does not hold.
    NotHeld,
    /// Nothing is left to give.
    Exhausted,
    /// A cap of [`super::Limits`] is reached.
    Capped,
    /// Too many commits are under way.
    Busy,
    /// A commit about the client or the address is under way: whatever were said now might not come to be.
    Committing,
    /// A commit failed, and the disk has not taken another since.
    Store,
    /// The answer does not fit into what the client takes.
    TooLong,
    /// Its client falls into another server's bucket (RFC 3074).
    Bucket,
}

impl Discard {
    /// Every reason.
    pub const ALL: [Self; 16] = [
        Self::Malformed,
        Self::Link,
        Self::Type,
        Self::Relayed,
        Self::NoClientId,
        Self::OtherServer,
        Self::OffLink,
        Self::Silent,
        Self::NotHeld,
        Self::Exhausted,
        Self::Capped,
        Self::Busy,
        Self::Committing,
        Self::Store,
        Self::TooLong,
        Self::Bucket,
    ];

    /// The word for it, for counters and logs.
    pub fn name(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::Link => "link",
            Self::Type => "type",
            Self::Relayed => "relayed",
            Self::NoClientId => "no-client-id",
            Self::OtherServer => "other-server",
            Self::OffLink => "off-link",
            Self::Silent => "silent",
            Self::NotHeld => "not-held",
            Self::Exhausted => "exhausted",
            Self::Capped => "capped",
            Self::Busy => "busy",
            Self::Committing => "committing",
            Self::Store => "store",
            Self::TooLong => "too-long",
            Self::Bucket => "bucket",
        }
    }
}

/// Counts since the server was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counters {
    /// Datagrams that came in, whatever became of them.
    pub received: u64,
    /// Discover messages that could be read, and so on for each type.
    pub discover: u64,
    /// Request messages.
    pub request: u64,
    /// Decline messages.
    pub decline: u64,
    /// Release messages.
    pub release: u64,
    /// Inform messages.
    pub inform: u64,
    /// Offer messages sent, those without an address among them.
    pub offer: u64,
    /// Ack messages sent.
    pub ack: u64,
    /// Nak messages sent.
    pub nak: u64,
    /// Discover and Request messages that asked for option 108.
    pub asked_v6only: u64,
    /// Answers with option 108.
    pub told_v6only: u64,
    /// Offers with option 108 and an address, to clients that did not heed one without an address.
    pub told_again: u64,
    /// Leases granted to a client that did not hold them.
    pub granted: u64,
    /// Leases that ended without being extended.
    pub expired: u64,
    /// Addresses found in use by somebody else.
    pub conflicts: u64,
    /// Offers forgotten early, to make room for newer ones.
    pub offers_evicted: u64,
    /// Declined addresses freed early, to make room for newer ones.
    pub declined_evicted: u64,
    /// Clients that the pilot forgot, to make room for newer ones.
    pub roster_evicted: u64,
    /// Clients of another server's buckets that were heeded because they had waited too long.
    pub late: u64,
    /// Commits that failed.
    pub commits_failed: u64,
    /// Leases of the snapshot left out because they contradict another one.
    pub snapshot_conflicts: u64,
    discarded: [u64; Discard::ALL.len()],
}

impl Counters {
    /// Messages that got no answer for this reason.
    pub fn discarded(&self, reason: Discard) -> u64 {
        self.discarded.get(reason as usize).copied().unwrap_or_default()
    }

    pub(super) fn discard(&mut self, reason: Discard) {
        if let Some(count) = self.discarded.get_mut(reason as usize) {
            *count = count.saturating_add(1);
        }
    }
}
