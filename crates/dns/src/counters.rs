//! What the forwarder counts.

/// Events since the forwarder was made. Each only grows, except the two that say so.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counters {
    /// Messages that clients sent.
    pub queries: u64,
    /// Messages of clients dropped: too short for a header, or not a query.
    pub malformed: u64,
    /// Queries answered with FORMERR, NOTIMP, BADVERS or REFUSED.
    pub refused: u64,
    /// Queries that need no upstream: answered from [`Names`](crate::Names), or ANY.
    pub local: u64,
    /// Queries answered from the cache.
    pub hits: u64,
    /// Queries that the cache could not answer.
    pub misses: u64,
    /// Misses that joined a question already under way.
    pub coalesced: u64,
    /// Queries answered with an answer past its TTL (RFC 8767).
    pub stale: u64,
    /// Replies with SERVFAIL.
    pub servfail: u64,
    /// Replies cut short with TC, so that the client asks again over TCP.
    pub truncated: u64,
    /// Answers that gave way to others in a full cache.
    pub evictions: u64,
    /// Queries dropped because too many questions, or waiters for one, were under way.
    pub overload: u64,
    /// Queries sent to upstreams.
    pub upstream_queries: u64,
    /// Of these, sent over TCP.
    pub upstream_tcp: u64,
    /// Queries to upstreams that no answer came to in time.
    pub upstream_timeouts: u64,
    /// Answers dropped: unknown token, other sender, other ID, other question, or not readable (RFC 5452
    /// section 9.1).
    pub upstream_mismatches: u64,
    /// Replies with AAAA records made of A records (RFC 6147).
    pub dns64_synthesised: u64,
    /// Queries for the name of an address in the NAT64's prefix, led to that of the IPv4 address.
    pub dns64_pointers: u64,
    /// Queries by which a host learns the NAT64's prefix (RFC 7050), answered here.
    pub dns64_discoveries: u64,
    /// AAAA records of upstreams that count as none (RFC 6147 section 5.1.4).
    pub dns64_excluded: u64,
    /// A records that the well-known prefix must not stand for, left out of replies (RFC 6052 section 3.1).
    pub dns64_withheld: u64,
    /// Answers of upstreams that a chain of signatures leads to.
    pub dnssec_secure: u64,
    /// Answers that are proven to have no signature, or that are of an excepted name.
    pub dnssec_insecure: u64,
    /// Answers that should have a good signature and have not.
    pub dnssec_bogus: u64,
    /// Answers that could not be judged, because DS or DNSKEY records could not be had.
    pub dnssec_indeterminate: u64,
    /// Bogus and indeterminate answers passed on because [`Dnssec::permissive`](crate::Dnssec::permissive) says so.
    pub dnssec_permitted: u64,
    /// Answers judged without a clock: the times of their signatures do not count.
    pub dnssec_untimed: u64,
    /// Answers for DS and DNSKEY that came without any signature from an upstream, and were asked of another.
    pub dnssec_stripped: u64,
    /// Zones of which something is known, now.
    pub dnssec_zones: u64,
    /// Answers in the cache now.
    pub cached: u64,
    /// Questions under way now.
    pub lookups: u64,
}
