//! Names for the proxy: questions to our own DNS, in the name of the client that wants to go there.

use super::super::event::Event;
use super::super::queries::Connection;
use super::Shared;
use super::bounds::Own;
use super::carry::Guest;
use super::lookups::Turn;
use hickory_proto::op::{Message, MessageType, OpCode, Query, ResponseCode};
use hickory_proto::rr::{Name, RData, RecordType};
use sixgate_endpoint::resolve::{Resolve, ResolveError, ResolveFailure};
use sixgate_endpoint::{Endpoint, Family};
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::mpsc;

/// Numbers of our connections to the forwarder; those of clients are far below.
static NEXT: AtomicU64 = AtomicU64::new(1 << 62);
/// Addresses that are taken of one answer.
const MOST: usize = 32;

/// Questions about one name: one for each family.
const QUESTIONS: usize = 2;

/// One who asks about one name for a client. The kit calls it on threads of its own.
pub(super) struct Asker {
    guest: Guest,
    shared: Arc<Shared>,
    /// Until all has been asked; a question goes on where its connection is gone.
    turn: Mutex<Option<Turn>>,
    asked: AtomicUsize,
}

impl Asker {
    pub(super) fn new(guest: Guest, shared: Arc<Shared>, turn: Turn) -> Self {
        Self { guest, shared, turn: Mutex::new(Some(turn)), asked: AtomicUsize::new(0) }
    }

    /// The answer to one question; the engine has the forwarder.
    fn ask(&self, query: Vec<u8>) -> Option<Vec<u8>> {
        let connection = NEXT.fetch_add(1, Ordering::Relaxed);
        let (replies, mut waiting) = mpsc::channel(1);
        let client = Connection { source: self.guest.source, replies };
        let events = &self.guest.events;
        events.blocking_send(Event::DnsConnected { lan: self.guest.lan, connection, client }).ok()?;
        events.blocking_send(Event::DnsQuery { lan: self.guest.lan, connection, bytes: query }).ok()?;
        // The forwarder answers everything in time, and lets go of whom it does not serve.
        let answer = waiting.blocking_recv();
        let _ = events.blocking_send(Event::DnsClosed { connection });
        answer
    }
}

impl Resolve for Asker {
    fn resolve(&self, name: &str, family: Family) -> Result<Vec<Endpoint>, ResolveError> {
        let found = self.find(name, family);
        if self.asked.fetch_add(1, Ordering::Relaxed) + 1 == QUESTIONS {
            // Connecting may take longer, and is no lookup.
            drop(self.turn.lock().unwrap_or_else(PoisonError::into_inner).take());
        }
        found
    }
}

impl Asker {
    /// The addresses of a name that may be gone to.
    fn find(&self, name: &str, family: Family) -> Result<Vec<Endpoint>, ResolveError> {
        let failed = |failure, reason: &str| ResolveError::new(name, family, failure, reason);
        let kind = if family == Family::V6 { RecordType::AAAA } else { RecordType::A };
        let mut asked: Name =
            Name::from_utf8(name).map_err(|_| failed(ResolveFailure::NotAName, "it is no domain name"))?;
        // A name of the Internet, and none of a search list.
        asked.set_fqdn(true);
        let id = fastrand::u16(..);
        let mut message = Message::new(id, MessageType::Query, OpCode::Query);
        message.metadata.recursion_desired = true;
        message.add_query(Query::query(asked, kind));
        let query = message.to_vec().map_err(|_| failed(ResolveFailure::NotAName, "it is no domain name"))?;
        let answer = self
            .ask(query)
            .ok_or_else(|| failed(ResolveFailure::NoAnswer, "the gateway's DNS does not answer"))?;
        let answer = Message::from_vec(&answer)
            .map_err(|_| failed(ResolveFailure::Refused, "the gateway's DNS answers something else"))?;
        match answer.metadata.response_code {
            ResponseCode::NoError => {}
            ResponseCode::NXDomain => {
                return Err(failed(ResolveFailure::NoSuchName, "there is no such name"));
            }
            _ => return Err(failed(ResolveFailure::NoAnswer, "the gateway's DNS could not find out")),
        }
        let address = |record: &hickory_proto::rr::Record| match &record.data {
            RData::AAAA(address) => Some(IpAddr::from(address.0)),
            RData::A(address) => Some(IpAddr::from(address.0)),
            _ => None,
        };
        let found: Vec<Endpoint> = answer
            .answers
            .iter()
            .filter_map(address)
            .map(Endpoint::new)
            .filter(|endpoint| endpoint.family() == family)
            .take(MOST)
            .collect();
        let own = Own::read().map_err(|error| failed(ResolveFailure::NoAnswer, &error.to_string()))?;
        let why_not = |endpoint: &Endpoint| self.shared.why_not(self.guest.lan, *endpoint, &own);
        match found.iter().map(why_not).collect::<Option<Vec<_>>>().as_deref() {
            Some([why, ..]) => Err(failed(ResolveFailure::Refused, why)),
            _ => Ok(found.into_iter().filter(|endpoint| why_not(endpoint).is_none()).collect()),
        }
    }
}
