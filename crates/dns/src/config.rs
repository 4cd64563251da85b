//! What the forwarder can be told.

use core::time::Duration;

use crate::{Anchors, Dns64};
use hickory_proto::rr::Name;

/// Limits and times of a [`Forwarder`](crate::Forwarder). The defaults suit a home and a small office.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// Answers kept at most.
    pub cache_entries: usize,
    /// Octets of answers kept at most: a few answers of 64 KiB must not fill the memory.
    pub cache_octets: usize,
    /// The longest an answer is kept, whatever its TTL (RFC 8767 section 4 advises days, at most a week).
    pub max_ttl: Duration,
    /// The longest that "no such name" and "no such data" are kept (RFC 2308 section 5: one to three hours).
    pub max_negative_ttl: Duration,
    /// How long a failed lookup is remembered (RFC 9520 section 3.2: at least 1 second, at most 5 minutes).
    pub failure_ttl: Duration,
    /// How long after its end an answer may still be given when no upstream answers (RFC 8767); zero never
    /// does that.
    pub max_stale: Duration,
    /// Questions under way at once. Beyond it, queries are dropped and counted.
    pub max_lookups: usize,
    /// Of these, at most so many by clients of one [`Client::share`](crate::Client::share): a flood from one LAN
    /// leaves room for the others. Beyond it, queries are dropped and counted.
    pub max_lookups_per_share: usize,
    /// Clients that wait for one question. Beyond it, queries are dropped and counted.
    pub max_waiters: usize,
    /// Queries sent for one question, over all upstreams.
    pub max_attempts: u32,
    /// From a client's query to the answer or SERVFAIL. Below the 5 seconds after which a stub asks again.
    pub deadline: Duration,
    /// UDP payload offered to upstreams and at most given to clients, in octets: 1232 fits the smallest IPv6
    /// MTU and so is never fragmented.
    pub udp_payload: u16,
    /// Believe the AD bit of upstreams and pass it to clients that ask for it. Only right when the path to
    /// them is secure (RFC 4035 section 4.9.3). Of no account for what is judged here.
    pub trust_upstream_ad: bool,
    /// Gives IPv6 addresses to names that have IPv4 addresses only: see [`Dns64`]. Off by default: it takes a
    /// NAT64.
    pub dns64: Option<Dns64>,
    /// Judges what upstreams say: see [`Dnssec`]. Off by default: it takes upstreams that pass signatures on, and a
    /// [`Clock`].
    pub dnssec: Option<Dnssec>,
}

/// DNSSEC validation (RFC 4035).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Dnssec {
    /// Where chains of signatures begin. They are taken as they are, and do not follow a rollover by themselves (RFC
    /// 5011 is not done): new ones come with the file of the system.
    pub anchors: Anchors,
    /// Passes on, without AD, what is bogus or cannot be judged, and counts it.
    pub permissive: bool,
    /// Negative trust anchors (RFC 7646): these and what is below is not judged.
    except: Vec<Name>,
}

/// Why a name is not excepted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{name:?} is not a domain name; write labels of at most 63 octets with dots between")]
pub struct DnssecError {
    /// What was given.
    pub name: String,
}

impl Dnssec {
    /// With these anchors.
    pub fn new(anchors: Anchors) -> Self {
        Self { anchors, ..Self::default() }
    }

    /// Excepts a name and all below it.
    ///
    /// # Errors
    /// Where it is not a domain name.
    pub fn except(&mut self, name: &str) -> Result<(), DnssecError> {
        let mut read = Name::from_ascii(name).map_err(|_| DnssecError { name: name.to_owned() })?;
        read.set_fqdn(true);
        self.except.push(read);
        Ok(())
    }

    /// The names excepted.
    pub fn excepted(&self) -> &[Name] {
        &self.except
    }
}

/// What is known of the wall clock, by which signatures are judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Clock {
    /// It cannot be right, such as before this program was built: the times of signatures are not judged, all
    /// else is, and nothing gets AD. So a machine without a clock finds the servers that tell it the time.
    Unset,
    /// It is `now`.
    #[default]
    Now,
    /// It is `now` and so many seconds, because it was set after the start.
    Ahead(i64),
}

impl Default for Config {
    fn default() -> Self {
        Self {
            cache_entries: 10_000,
            cache_octets: 4 << 20,
            max_ttl: Duration::from_hours(24),
            max_negative_ttl: Duration::from_hours(3),
            failure_ttl: Duration::from_secs(5),
            max_stale: Duration::from_hours(24),
            max_lookups: 1_000,
            max_lookups_per_share: 500,
            max_waiters: 64,
            max_attempts: 6,
            deadline: Duration::from_millis(4_500),
            udp_payload: 1232,
            trust_upstream_ad: false,
            dns64: None,
            dnssec: None,
        }
    }
}
