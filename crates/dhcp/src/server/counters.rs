//! Counts of what the server saw and did.

/// Why a message got no answer (RFC 9915 sections 16 and 18.3 where they ask for it).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Discard {
    /// It is not a DHCPv6 message, or it holds a DUID that is none.
    Malformed,
    /// It came from an address that no client on the link has.
    Source,
    /// It came in on a link that is not served.
    Link,
    /// Servers do not take messages of this type.
    Type,
    /// It came through a relay agent on a link where none is heard.
    Relayed,
    /// It came through a relay agent that is not heard.
    Relay,
    /// It came through more relay agents than RFC 9915 allows in a row.
    Hops,
    /// Nothing is known of its client by which its link knows clients: no hardware address that is trusted, or no line.
    Identity,
    /// It has no Client Identifier.
    NoClientId,
    /// It should name its server and does not.
    NoServerId,
    /// It names a server where it should name none.
    ServerId,
    /// It is for another server.
    OtherServer,
    /// It asks for leases where it should ask for none.
    Association,
    /// There is nothing that the server could say to it.
    Silent,
    /// Too many commits are under way.
    Busy,
    /// What one of its associations holds is being committed: whatever were said now might not come to be.
    Committing,
    /// A commit failed, and the disk has not taken another since.
    Store,
    /// The answer would be too long.
    TooLong,
    /// It registers no address, or more than one, or another than it was sent from, or asks for options (RFC 9686
    /// section 4.2.1).
    Registration,
    /// It registers an address that is none of the link's.
    OffLink,
    /// It registers an address that was leased here.
    Leased,
    /// It registers an address that is reserved for somebody else.
    Reserved,
    /// A rule of the policy says that its sender is not served.
    Denied,
    /// Its client falls into another server's bucket (RFC 3074).
    Bucket,
}

impl Discard {
    /// Every reason.
    pub const ALL: [Self; 24] = [
        Self::Malformed,
        Self::Source,
        Self::Link,
        Self::Type,
        Self::Relayed,
        Self::Relay,
        Self::Hops,
        Self::Identity,
        Self::NoClientId,
        Self::NoServerId,
        Self::ServerId,
        Self::OtherServer,
        Self::Association,
        Self::Silent,
        Self::Busy,
        Self::Committing,
        Self::Store,
        Self::TooLong,
        Self::Registration,
        Self::OffLink,
        Self::Leased,
        Self::Reserved,
        Self::Denied,
        Self::Bucket,
    ];

    /// The word for it, for counters and logs.
    pub fn name(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::Source => "source",
            Self::Link => "link",
            Self::Type => "type",
            Self::Relayed => "relayed",
            Self::Relay => "relay",
            Self::Hops => "hops",
            Self::Identity => "identity",
            Self::NoClientId => "no-client-id",
            Self::NoServerId => "no-server-id",
            Self::ServerId => "server-id",
            Self::OtherServer => "other-server",
            Self::Association => "association",
            Self::Silent => "silent",
            Self::Busy => "busy",
            Self::Committing => "committing",
            Self::Store => "store",
            Self::TooLong => "too-long",
            Self::Registration => "registration",
            Self::OffLink => "off-link",
            Self::Leased => "leased",
            Self::Reserved => "reserved",
            Self::Denied => "denied",
            Self::Bucket => "bucket",
        }
    }
}

/// Counts since the server was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counters {
    /// Datagrams that came in, whatever became of them.
    pub received: u64,
    /// Relay-forward messages from relay agents that are heard.
    pub relayed: u64,
    /// Solicit messages that passed validation, and so on for each type.
    pub solicit: u64,
    /// Request messages.
    pub request: u64,
    /// Confirm messages.
    pub confirm: u64,
    /// Renew messages.
    pub renew: u64,
    /// Rebind messages.
    pub rebind: u64,
    /// Release messages.
    pub release: u64,
    /// Decline messages.
    pub decline: u64,
    /// Information-request messages.
    pub information_request: u64,
    /// Addr-reg-inform messages.
    pub addr_reg_inform: u64,
    /// Advertise messages sent.
    pub advertise: u64,
    /// Reply messages sent.
    pub reply: u64,
    /// Leases granted to a client that did not hold them.
    pub granted: u64,
    /// Leases that passed to another DUID, because their link knows clients by something else.
    pub succeeded: u64,
    /// Reservations that waited because somebody else has what is reserved.
    pub reserved_waits: u64,
    /// Leases that an operator gave to somebody else.
    pub moved: u64,
    /// DUIDs that more than one machine turned out to have.
    pub clones: u64,
    /// Leases that ended without being extended.
    pub expired: u64,
    /// Associations that got nothing because a pool was used up.
    pub exhausted: u64,
    /// Associations that got nothing because a cap of [`super::Limits`] was reached.
    pub capped: u64,
    /// Offers forgotten early, to make room for newer ones.
    pub offers_evicted: u64,
    /// Declined addresses freed early, to make room for newer ones.
    pub declined_evicted: u64,
    /// Addresses registered that were not.
    pub registered: u64,
    /// Registrations that another client took over.
    pub registrations_moved: u64,
    /// Registrations forgotten early, to make room for newer ones.
    pub registrations_evicted: u64,
    /// Answers that hold what a relay agent supplied (RFC 6422).
    pub supplied: u64,
    /// Options that a relay agent supplied and may not, or that are malformed.
    pub supplied_refused: u64,
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
        self.discarded[reason as usize]
    }

    pub(crate) fn discard(&mut self, reason: Discard) {
        let count = &mut self.discarded[reason as usize];
        *count = count.saturating_add(1);
    }
}
