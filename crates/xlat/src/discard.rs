//! Why a packet is not translated, and counts.

macro_rules! discards {
    ($($(#[$doc:meta])* $name:ident = $word:literal,)*) => {
        /// Why a packet was discarded. All are counted; where an RFC asks for an ICMP error, the sender gets one.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Discard {
            $($(#[$doc])* $name,)*
        }

        impl Discard {
            /// Every reason.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// The word for it, for counters and logs.
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$name => $word,)*
                }
            }
        }
    };
}

discards! {
    /// It is neither IPv4 nor IPv6, or a length is wrong.
    Malformed = "malformed",
    /// The checksum of the IPv4 header is wrong.
    HeaderChecksum = "header-checksum",
    /// The checksum of an ICMP error is wrong, whose content would have to be written anew.
    IcmpChecksum = "icmp-checksum",
    /// An address that no packet on the way has (multicast, loopback, unspecified, link-local, class E).
    Martian = "martian",
    /// An address that has no counterpart.
    Address = "address",
    /// Not for the translator: IPv4 where only IPv6 is translated, or another prefix.
    Destination = "destination",
    /// TTL or hop limit used up.
    HopLimit = "hop-limit",
    /// A source route with hops left (RFC 7915 section 4.1).
    SourceRoute = "source-route",
    /// A Routing header with segments left (RFC 7915 section 5.1).
    SegmentsLeft = "segments-left",
    /// More extension headers than are walked.
    Extensions = "extensions",
    /// An extension header behind the Fragment header (RFC 7915 section 5.1.1).
    ExtensionAfterFragment = "extension-after-fragment",
    /// Too long for the next link, and not to be fragmented here.
    TooBig = "too-big",
    /// UDP over IPv4 without a checksum, which IPv6 requires (RFC 7915 section 4.5).
    ZeroChecksum = "zero-checksum",
    /// A fragment of an ICMP message (RFC 7915 section 1.2).
    FragmentedIcmp = "fragmented-icmp",
    /// A first fragment or packet without all of its ports and checksum, or a fragment that overwrites them.
    Tiny = "tiny",
    /// An ICMP or IGMP message without a counterpart (RFC 7915 sections 4.2 and 5.2).
    Icmp = "icmp",
    /// An ICMP error about an ICMP error (RFC 7915 sections 4.3 and 5.3).
    NestedError = "nested-error",
    /// Work left to the interface that cannot be left to it after translation.
    Offload = "offload",
    /// NAT64: a transport protocol without sessions (RFC 6146 section 3.4).
    Protocol = "protocol",
    /// NAT64: nothing inside has asked for packets to this address and port.
    NoBinding = "no-binding",
    /// NAT64: the inside has not sent to this address (address-dependent filtering, RFC 6146 section 3.5).
    Filtered = "filtered",
    /// NAT64: an ICMP error, or TCP without SYN, that belongs to no session.
    NoSession = "no-session",
    /// NAT64: the subscriber has as many sessions as it may have.
    SubscriberSessions = "subscriber-sessions",
    /// NAT64: the subscriber has used up its ports.
    SubscriberPorts = "subscriber-ports",
    /// NAT64: no port is left for anybody.
    Ports = "ports",
    /// NAT64: the table of sessions is full, and nothing in it gives way.
    Sessions = "sessions",
    /// NAT64: fragments that wait for their first one, and no room for more.
    Fragments = "fragments",
}

impl Discard {
    const COUNT: usize = Self::ALL.len();
}

/// Counts since the translator was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Counters {
    /// Packets translated from IPv4 to IPv6; those of ICMP errors and fragments among them.
    pub to_v6: u64,
    /// Packets translated from IPv6 to IPv4.
    pub to_v4: u64,
    /// Packets from IPv6 to IPv6 through an IPv4 address (hairpinning); counted in both of the others too.
    pub hairpinned: u64,
    /// Packets that were cut into fragments.
    pub fragmented: u64,
    /// ICMP errors of our own that were sent.
    pub errors: u64,
    /// ICMP errors of our own that were not sent because of their rate.
    pub errors_limited: u64,
    discarded: [u64; Discard::COUNT],
}

impl Default for Counters {
    fn default() -> Self {
        Self {
            to_v6: 0,
            to_v4: 0,
            hairpinned: 0,
            fragmented: 0,
            errors: 0,
            errors_limited: 0,
            discarded: [0; Discard::COUNT],
        }
    }
}

impl Counters {
    /// Packets discarded for a reason.
    pub fn discarded(&self, reason: Discard) -> u64 {
        self.discarded.get(reason as usize).copied().unwrap_or(0)
    }

    /// Packets discarded, whatever the reason.
    pub fn all_discarded(&self) -> u64 {
        self.discarded.iter().sum()
    }

    pub(crate) fn discard(&mut self, reason: Discard) {
        if let Some(count) = self.discarded.get_mut(reason as usize) {
            *count += 1;
        }
    }
}
