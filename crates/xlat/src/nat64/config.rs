//! What a stateful translator is told.

use core::time::Duration;
use sixgate_endpoint::nat64::Prefix;
use std::net::Ipv4Addr;
use std::ops::RangeInclusive;

/// Most addresses of a pool.
const MAX_POOL: usize = 256;

/// Sessions, ports and their limits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionConfig {
    /// The prefix behind which IPv6 hosts see IPv4.
    pub prefix: Prefix,
    /// The IPv4 addresses that the inside shares, 1 to 256.
    pub pool: Vec<Ipv4Addr>,
    /// The ports of them that may be used. Those below 1024 are given only to source ports below 1024.
    pub ports: RangeInclusive<u16>,
    /// Ports of one block, a power of two from 16 to 4096. A subscriber gets ports by blocks, so that one
    /// line of log tells whose they are.
    pub block: u16,
    /// Blocks that one subscriber may hold.
    pub blocks_per_subscriber: usize,
    /// Length of the IPv6 prefix that makes a subscriber, 1 to 128: 64 is one link, 128 one address.
    pub subscriber_length: u8,
    /// Length of the IPv6 prefix that has a block to itself, the subscriber's where that is longer: with 128, the
    /// log of blocks tells the very host. The longer it is, the more ports lie idle.
    pub holder_length: u8,
    /// Sessions of all. Strangers outside begin none beyond three quarters of them.
    pub sessions: u32,
    /// Sessions of one subscriber. Strangers outside may use up half of them, where filtering lets them.
    pub sessions_per_subscriber: u32,
    /// Who outside may send to a port that the inside uses.
    pub filtering: Filtering,
    /// How long things live.
    pub timeouts: Timeouts,
    /// Datagrams under way in fragments that are remembered; those waiting for their first fragment among
    /// them.
    pub fragmented: usize,
    /// Octets of fragments that wait for their first one.
    pub fragment_octets: usize,
}

/// Who outside may send to a port that the inside uses (RFC 4787 section 5, RFC 6146 section 3.5).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Filtering {
    /// Whoever has an address: best for peer-to-peer applications.
    EndpointIndependent,
    /// Only addresses to which the inside has sent from it.
    AddressDependent,
}

/// Lifetimes of RFC 6146 section 4, in whole seconds. A session lives at least so long after its last packet,
/// and at most a sixteenth and two seconds longer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    /// UDP_DEFAULT: 5 minutes, at least 2.
    pub udp: Duration,
    /// ICMP_DEFAULT: 60 seconds.
    pub icmp: Duration,
    /// TCP_EST: 2 hours and 4 minutes.
    pub tcp_established: Duration,
    /// TCP_TRANS: 4 minutes.
    pub tcp_transitory: Duration,
    /// TCP_INCOMING_SYN: 6 seconds.
    pub tcp_incoming_syn: Duration,
    /// FRAGMENT_MIN: 2 seconds.
    pub fragment: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            udp: Duration::from_mins(5),
            icmp: Duration::from_mins(1),
            tcp_established: Duration::from_mins(124),
            tcp_transitory: Duration::from_mins(4),
            tcp_incoming_syn: Duration::from_secs(6),
            fragment: Duration::from_secs(2),
        }
    }
}

impl SessionConfig {
    /// One subscriber for each /64, blocks of 256 ports, 32 of them each, 131,072 sessions.
    pub fn new(prefix: Prefix, pool: Vec<Ipv4Addr>) -> Self {
        Self {
            prefix,
            pool,
            ports: 1024..=65_535,
            block: 256,
            blocks_per_subscriber: 32,
            subscriber_length: 64,
            holder_length: 0,
            sessions: 131_072,
            sessions_per_subscriber: 32_768,
            filtering: Filtering::EndpointIndependent,
            timeouts: Timeouts::default(),
            fragmented: 1024,
            fragment_octets: 1 << 20,
        }
    }

    pub(super) fn check(&self) -> Result<(), SessionConfigError> {
        if self.pool.is_empty() || self.pool.len() > MAX_POOL {
            return Err(SessionConfigError::Pool(self.pool.len()));
        }
        let mut sorted = self.pool.clone();
        sorted.sort_unstable();
        if let Some(twice) = sorted.windows(2).find(|pair| pair[0] == pair[1]) {
            return Err(SessionConfigError::Twice(twice[0]));
        }
        if !self.block.is_power_of_two() || !(16..=4096).contains(&self.block) {
            return Err(SessionConfigError::Block(self.block));
        }
        if self.ports.is_empty() || self.ports.end() - self.ports.start() < self.block - 1 {
            return Err(SessionConfigError::Ports(*self.ports.start(), *self.ports.end(), self.block));
        }
        if !(1..=128).contains(&self.subscriber_length) {
            return Err(SessionConfigError::Subscriber(self.subscriber_length));
        }
        if self.holder_length > 128 {
            return Err(SessionConfigError::Holder(self.holder_length));
        }
        if self.sessions > 1 << 24 {
            return Err(SessionConfigError::Sessions(self.sessions));
        }
        Ok(())
    }
}

/// What cannot be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SessionConfigError {
    /// Too few or too many addresses.
    #[error("a NAT64 shares 1 to {MAX_POOL} IPv4 addresses, not {0}")]
    Pool(usize),
    /// An address is named twice.
    #[error("{0} is twice in the pool; name each address once")]
    Twice(Ipv4Addr),
    /// No block size.
    #[error("a block has 16, 32, 64, 128, 256, 512, 1024, 2048 or 4096 ports, not {0}")]
    Block(u16),
    /// Fewer ports than one block has.
    #[error("ports {0} to {1} are fewer than the {2} of one block; give more, or make blocks smaller")]
    Ports(u16, u16, u16),
    /// No prefix length.
    #[error("a subscriber is a prefix of 1 to 128 bits, not {0}")]
    Subscriber(u8),
    /// No prefix length.
    #[error("who holds a block is a prefix of 0 to 128 bits, not {0}")]
    Holder(u8),
    /// More than tables can hold.
    #[error("a table holds at most 16,777,216 sessions, not {0}")]
    Sessions(u32),
}
