//! What stands between the network and the forwarder: who has proved that it is where its queries say it is, and how much
//! is sent to those who have not.
//!
//! A query over UDP can come from anybody who writes somebody else's address on it; then the reply hits that one, and is
//! longer than the query was. So replies to addresses that have proved nothing may be longer than their queries by so
//! many octets a second only ([`limits`]); beyond it, every other one is dropped and the rest is cut to the question
//! (TC), which is no longer than the query: a real client asks again over TCP. A handshake of TCP is a proof, and so is a
//! DNS cookie (RFC 7873), which costs a client nothing and is asked of nobody.

use core::time::Duration;
use std::net::IpAddr;

use sixgate_endpoint::talkers::{Limiter, Limits, Rate};

use crate::answer::skip_name;
use crate::cookie::{self, ClientCookie, OPTION_OCTETS};
use crate::question::HEADER;
use crate::reply::{self, PLAIN_UDP};
use crate::scan::{OPT, Options, scan};
use crate::{Config, Transport};

/// Octets a second by which replies to one address may exceed its queries, and at once: some hundred answers of usual
/// size a second. Whoever floods an address so gets less to it than they send once they send 60 KiB a second.
const HOST: (u32, u32) = (32 << 10, 64 << 10);
/// The same for a network: a LAN's /64 with all its hosts, or an IPv4 /24.
const NETWORK: (u32, u32) = (1 << 20, 2 << 20);

/// The limits of a [`Gate`], in octets by which replies are longer than queries.
pub fn limits() -> Limits {
    let rate = |(rate, burst)| Some(Rate::new(rate, burst));
    Limits {
        net64: rate(NETWORK),
        host6: rate(HOST),
        net24: rate(NETWORK),
        host4: rate(HOST),
        ..Limits::NONE
    }
}

/// What is known of a query when its reply is to be sent. Equal for the same query sent twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Ticket {
    /// Octets of the query.
    asked: u16,
    /// Octets that the client can take.
    limit: u16,
    cookie: Option<ClientCookie>,
    /// Its address is proved.
    known: bool,
}

impl Ticket {
    /// Octets to leave free in a reply over UDP for what [`Gate::finish`] adds.
    pub fn reserved(&self) -> u16 {
        if self.cookie.is_some() { OPTION_OCTETS as u16 } else { 0 }
    }
}

/// What a [`Gate`] counts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct GateCounters {
    /// Queries with a server cookie of ours.
    pub known: u64,
    /// Replies cut to the question because their address was sent enough.
    pub slipped: u64,
    /// Replies dropped because of that.
    pub limited: u64,
}

/// Proofs and limits. One for all sockets.
#[derive(Debug)]
pub struct Gate {
    secret: [u8; 16],
    limiter: Option<Limiter>,
    /// Whether the next reply over the limit is cut rather than dropped.
    slip: bool,
    counters: GateCounters,
}

impl Gate {
    /// With a secret that nobody can guess; the same after a restart keeps clients known.
    pub fn new(secret: [u8; 16], limits: Option<Limits>) -> Self {
        let counters = GateCounters::default();
        Self { secret, limiter: limits.map(Limiter::new), slip: false, counters }
    }

    /// Turns the limits on or off.
    pub fn set_limits(&mut self, limits: Option<Limits>) {
        if limits.is_some() != self.limiter.is_some() {
            self.limiter = limits.map(Limiter::new);
        }
    }

    /// What was counted so far.
    pub fn counters(&self) -> GateCounters {
        self.counters
    }

    /// Looks at a query, without TCP's length.
    pub fn admit(&mut self, now: Duration, source: IpAddr, transport: Transport, query: &[u8]) -> Ticket {
        let scan = scan(query);
        let limit = match scan.and_then(|scan| scan.edns) {
            _ if transport == Transport::Tcp => u16::MAX,
            Some(edns) => edns.payload.max(PLAIN_UDP),
            None => PLAIN_UDP,
        };
        let option = scan
            .and_then(|scan| Options(scan.options).find(|(code, _)| *code == cookie::OPTION))
            .and_then(|(_, value)| cookie::read(&self.secret, now, source, value));
        let proved = option.is_some_and(|(_, ours)| ours);
        self.counters.known += u64::from(proved);
        Ticket {
            asked: u16::try_from(query.len()).unwrap_or(u16::MAX),
            limit,
            cookie: option.map(|(client, _)| client),
            known: proved || transport == Transport::Tcp,
        }
    }

    /// Makes the reply of a query ready to be sent; whether it shall be.
    pub fn finish(&mut self, now: Duration, source: IpAddr, ticket: &Ticket, reply: &mut Vec<u8>) -> bool {
        let excess = reply.len().saturating_sub(ticket.asked.into()) as u64;
        if !ticket.known
            && excess > 0
            && let Some(limiter) = &mut self.limiter
            && !limiter.check(now, source, excess).is_allowed()
        {
            self.slip = !self.slip;
            if !self.slip {
                self.counters.limited += 1;
                return false;
            }
            self.counters.slipped += 1;
            cut(reply);
        }
        if let Some(client) = ticket.cookie {
            if reply.len() + OPTION_OCTETS > ticket.limit.into() {
                cut(reply);
            }
            add_option(reply, &cookie::write(&self.secret, now, source, client));
        }
        true
    }
}

/// Takes everything away but the question, and an OPT record without options.
fn cut(bytes: &mut Vec<u8>) {
    let opt = opt_of(bytes).and_then(|at| bytes.get(at..)?.first_chunk::<OPT>().copied());
    let Some(question) = end_of_question(bytes) else { return };
    reply::cut(bytes, question);
    if let Some(mut opt) = opt {
        [opt[OPT - 2], opt[OPT - 1]] = [0, 0];
        bytes.extend_from_slice(&opt);
        reply::add_additional(bytes);
    }
}

/// Appends an option to the OPT record, with which replies of ours end.
fn add_option(bytes: &mut Vec<u8>, option: &[u8]) {
    let Some(at) = opt_of(bytes) else { return };
    // Options of ours are shorter than 64 KiB by far.
    let octets = (bytes.len().saturating_sub(at + OPT) + option.len()) as u16;
    if let Some(length) = bytes.get_mut(at + OPT - 2..at + OPT) {
        length.copy_from_slice(&octets.to_be_bytes());
        bytes.extend_from_slice(option);
    }
}

fn count(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes(*bytes.get(at..)?.first_chunk()?))
}

fn end_of_question(bytes: &[u8]) -> Option<usize> {
    if count(bytes, 4)? == 0 { Some(HEADER) } else { Some(skip_name(bytes, HEADER)? + 4) }
}

/// Where the OPT record begins with which a reply of ours ends, if it has one.
fn opt_of(bytes: &[u8]) -> Option<usize> {
    let records = [6, 8, 10].into_iter().map(|at| count(bytes, at)).sum::<Option<u16>>()?;
    let mut at = end_of_question(bytes)?;
    for record in 0..records {
        if record + 1 == records && bytes.get(at..at + 3)? == [0, 0, 41] {
            return Some(at);
        }
        let fixed = skip_name(bytes, at)?;
        at = fixed + 10 + usize::from(count(bytes, fixed + 8)?);
    }
    None
}

/// The largest reply over UDP that the forwarder may make, so that what the gate adds has room.
pub fn udp_limit(config: &Config, ticket: &Ticket) -> u16 {
    config.udp_payload.saturating_sub(ticket.reserved())
}
