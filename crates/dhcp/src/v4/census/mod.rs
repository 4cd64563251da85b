//! Who on this network could live without IPv4 today.
//!
//! A [`Census`] is told what is seen of clients, by DHCPv4 and by whoever watches neighbours, names and
//! flows, and says for each how sure one can be. The unit of evidence is the *hour*: of an hour in which a
//! client was seen, all that is kept is whether something in it needed IPv4. Flows would be more numbers, not
//! more evidence, since those of one program in one hour stand and fall together.
//!
//! It keeps little: counts, a fingerprint without personal parts, and names only if it may ([`Privacy`]).
//! What was not seen for [`Limits::retention`] is forgotten.

mod client;
mod fingerprint;
mod ledger;
mod needs;
mod record;
mod report;
mod score;

pub use fingerprint::{Family, Fingerprint};
pub use needs::{Common, Need, NeedKind};
pub use report::{Day, MANY, Report, Row};
pub use score::{LINES, Line, Score, Share, Stage, Tally, wilson};

use client::{Client, Counted};
use ledger::Ledger;
use needs::CommonNeeds;

use super::pilot::identity;
use sixgate_wire::dhcpv4::{ClientId, Hardware, Message, MessageType, OptionCode};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

const HOUR: u64 = 3_600;
const DAY: u64 = 24 * HOUR;

/// What is kept of who a client is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Privacy {
    /// A keyed hash, which tells nothing without the key.
    Hashed,
    /// Its host name and its hardware address, too.
    Named,
}

/// Caps and times.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Limits {
    /// Clients; of those that no full hour is known of, the one not seen for the longest time gives way first.
    pub clients: usize,
    /// How long a client is remembered after it was last seen.
    pub retention: Duration,
    /// The lower bound of its score from which on a client counts as ready.
    pub ready: f64,
    /// Needs kept of each client; the one that is longest past gives way.
    pub needs: usize,
    /// Needs kept of all clients together; those of one client alone give way first.
    pub common: usize,
    /// Days that are kept; the first gives way.
    pub days: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            clients: 8_192,
            retention: Duration::from_hours(14 * 24),
            ready: 0.8,
            needs: 16,
            common: 1_024,
            days: 730,
        }
    }
}

/// Something seen of a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sighting {
    /// It used an IPv6 address other than a link-local one.
    Ipv6,
    /// It asked for an IPv6 address of a server.
    Aaaa,
    /// It reached something over IPv6, translated or not.
    Reached,
    /// It reached an IPv4 server through NAT64 without having been given the address by DNS64: it translates
    /// itself.
    Translated,
    /// It did something over IPv4 that it could not have done otherwise: an address written as a number, a
    /// neighbour.
    NeedsIpv4,
    /// Something failed for it that IPv4 would have saved.
    Failed,
    /// It sent an ARP frame.
    Arp,
    /// It looked for the NAT64's prefix by name (RFC 7050): it can find a translator by itself.
    Discovers,
    /// It looked for an encrypted resolver (RFC 9462).
    Encrypts,
    /// It asked for a name by which systems of this family find out whether they are connected.
    Is(Family),
    /// It was told to do without IPv4 (option 108).
    Told,
    /// It was given an address; whether it took that although it was told in the same answer.
    Leased(bool),
}

/// Identifies a client in the census: a keyed hash.
pub type CensusId = u64;

/// The table of clients.
#[derive(Debug, Clone)]
pub struct Census {
    key: [u8; 16],
    privacy: Privacy,
    limits: Limits,
    clients: BTreeMap<CensusId, Client>,
    /// By keyed hash of the hardware address, for what is not seen by DHCP.
    cards: BTreeMap<u64, CensusId>,
    /// In the order in which they give way: those of whom no full hour is known first.
    idle: BTreeSet<(bool, Duration, CensusId)>,
    common: CommonNeeds,
    days: BTreeMap<u64, Day>,
    evicted: u64,
    /// What of it is to be kept on disk, and is not yet.
    ledger: Ledger,
}

impl Census {
    /// An empty census. The key must stay the same, or clients are counted anew.
    pub fn new(key: [u8; 16], privacy: Privacy, limits: Limits) -> Self {
        Self {
            key,
            privacy,
            limits,
            clients: BTreeMap::new(),
            cards: BTreeMap::new(),
            idle: BTreeSet::new(),
            common: CommonNeeds::default(),
            days: BTreeMap::new(),
            evicted: 0,
            ledger: Ledger::default(),
        }
    }

    /// Changes what may be kept; names that may not be kept any more are gone at once.
    pub fn set_privacy(&mut self, privacy: Privacy) {
        if self.privacy == privacy {
            return;
        }
        self.privacy = privacy;
        if privacy == Privacy::Hashed {
            for (id, client) in &mut self.clients {
                (client.hostname, client.hardware) = (None, None);
                client.needs.strip();
                self.ledger.change(*id);
            }
            self.ledger.news = true;
        }
    }

    /// What may be kept.
    pub fn privacy(&self) -> Privacy {
        self.privacy
    }

    /// Changes for how long clients are remembered.
    pub fn set_retention(&mut self, now: Duration, retention: Duration) {
        self.limits.retention = retention;
        self.expire(now);
    }

    /// A client's DHCPv4 message.
    pub fn message(&mut self, now: Duration, message: &Message<'_>) {
        let hardware = message.header().hardware;
        let sent = message.options().get(OptionCode::CLIENT_ID);
        let client_id = match sent.as_deref().map(ClientId::new) {
            Some(Ok(id)) => id,
            Some(Err(_)) => return,
            None if hardware.address().is_empty() => return,
            None => ClientId::hardware(hardware),
        };
        let id = identity(&self.key, &client_id);
        let card = self.card(&hardware);
        let privacy = self.privacy;
        self.know(id, card);
        let client = self.seen(now, id);
        client.counted.card = Some(card);
        client.counted.randomised = is_made_up(&hardware);
        if privacy == Privacy::Named {
            client.hardware = Some(hardware);
            let name = message.options().text(OptionCode::HOST_NAME);
            client.hostname = name.or(client.hostname.take());
        }
        if matches!(message.kind(), MessageType::DISCOVER | MessageType::REQUEST) {
            let fingerprint = Fingerprint::read(message);
            let news = client.fingerprint != fingerprint;
            client.fingerprint = fingerprint;
            self.ledger.news |= news;
        }
    }

    /// What the server answered: whether the client was told to do without IPv4, or was given an address. A
    /// client that comes early and is told again proves nothing: it may have joined the network anew.
    pub fn answer(&mut self, now: Duration, reply: &Message<'_>) {
        let options = reply.options();
        let told = options.get(OptionCode::IPV6_ONLY_PREFERRED).is_some();
        let sighting = match reply.kind() {
            MessageType::ACK if options.get(OptionCode::LEASE_TIME).is_some() => Sighting::Leased(told),
            MessageType::OFFER if told => Sighting::Told,
            _ => return,
        };
        // It has the client's identifier if the client sent one (RFC 6842).
        let sent = options.get(OptionCode::CLIENT_ID).and_then(|octets| ClientId::new(&octets).ok());
        let client = sent.unwrap_or_else(|| ClientId::hardware(reply.header().hardware));
        self.sighting(now, &client, sighting);
    }

    /// Something seen of the client with this identifier.
    pub fn sighting(&mut self, now: Duration, client: &ClientId, sighting: Sighting) {
        let id = identity(&self.key, client);
        let news = self.seen(now, id).counted.note(now, sighting);
        self.ledger.news |= news;
    }

    /// Something seen of the host with this hardware address.
    pub fn sighting_of(&mut self, now: Duration, hardware: &Hardware, sighting: Sighting) {
        let id = self.host(now, hardware);
        let news = self.seen(now, id).counted.note(now, sighting);
        self.ledger.news |= news;
    }

    /// The host with this hardware address used IPv4 for something that it could not have had otherwise: a
    /// name or an address. [`Sighting::NeedsIpv4`] with its reason.
    pub fn need_of(&mut self, now: Duration, hardware: &Hardware, kind: NeedKind, what: &str) {
        let id = self.host(now, hardware);
        let (privacy, most) = (self.privacy, self.limits.needs);
        let what = needs::tidy(what);
        let client = self.seen(now, id);
        client.counted.note(now, Sighting::NeedsIpv4);
        let kept = (privacy == Privacy::Named).then_some(what.as_str());
        let news = client.needs.count(now, kind, kept, most);
        self.ledger.news |= news;
        self.common.count(now, id, kind, &what, self.limits.common);
    }

    /// When the host with this hardware address was first seen, if it is known.
    pub fn first_seen(&self, hardware: &Hardware) -> Option<Duration> {
        self.find(hardware).and_then(|id| self.clients.get(&id)).map(|client| client.counted.first)
    }

    /// The client that a host with this hardware address is.
    pub fn find(&self, hardware: &Hardware) -> Option<CensusId> {
        let card = self.card(hardware);
        self.cards.get(&card).copied().or(Some(card)).filter(|id| self.clients.contains_key(id))
    }

    /// Forgets a client, and whatever is kept of it; whether it was known.
    pub fn forget(&mut self, id: CensusId) -> bool {
        let known = self.remove(id);
        self.common.forget(id);
        self.ledger.news |= known;
        known
    }

    /// Forgets all clients; the days that were counted stay.
    pub fn forget_all(&mut self) {
        let all: Vec<CensusId> = self.clients.keys().copied().collect();
        for id in all {
            self.remove(id);
        }
        self.common = CommonNeeds::default();
        self.ledger.news = true;
    }

    /// Forgets who was not seen for too long, and what was not needed for as long.
    pub fn expire(&mut self, now: Duration) {
        let Some(oldest) = now.checked_sub(self.limits.retention) else { return };
        for group in [false, true] {
            while let Some(&(established, last, id)) = self.idle.range((group, Duration::ZERO, 0)..).next()
                && established == group
                && last <= oldest
            {
                self.remove(id);
            }
        }
        self.common.expire(oldest);
    }

    /// As [`Census::expire`], also for what clients that are still seen needed long ago: it looks at all of them.
    pub fn expire_needs(&mut self, now: Duration) {
        self.expire(now);
        let Some(oldest) = now.checked_sub(self.limits.retention) else { return };
        for (id, client) in &mut self.clients {
            if client.needs.expire(oldest) {
                self.ledger.change(*id);
            }
        }
    }

    /// Whether something changed that should be kept soon; the rest may wait.
    pub fn has_news(&self) -> bool {
        self.ledger.news
    }

    /// What changed since this was last asked, at most `most` records: what to keep of each client, `None` where
    /// nothing is to be kept any more. What is over is told next time.
    pub fn changes(&mut self, most: usize) -> Vec<(CensusId, Option<Vec<u8>>)> {
        let mut changes = Vec::new();
        while changes.len() < most
            && let Some((id, stays)) = self.ledger.take()
        {
            let client = self.clients.get(&id).filter(|_| stays);
            changes.push((id, client.map(|client| record::encode(client, self.privacy))));
        }
        changes
    }

    /// Tells of these again: what was told of them could not be kept.
    pub fn keep_again(&mut self, ids: impl IntoIterator<Item = CensusId>) {
        for id in ids {
            self.ledger.put_back(id, self.clients.contains_key(&id));
        }
    }

    /// The clients of whom a record was told to be kept.
    pub fn kept(&self) -> Vec<CensusId> {
        self.ledger.all().collect()
    }

    /// Takes back what [`Census::changes`] told of a client before a restart. What cannot be read, or is too old, is
    /// told to be kept no longer.
    pub fn restore(&mut self, now: Duration, id: CensusId, record: &[u8]) {
        let read = record::decode(record).filter(|_| self.clients.len() < self.limits.clients);
        self.ledger.has(id);
        let Some(mut client) = read.filter(|client| {
            client.counted.last.saturating_add(self.limits.retention) > now && !self.clients.contains_key(&id)
        }) else {
            if !self.clients.contains_key(&id) {
                self.ledger.remove(id);
            }
            return;
        };
        // A clock that was set back since: it was seen now.
        let counted = &mut client.counted;
        counted.last = counted.last.min(now);
        counted.hour = counted.hour.min(now.as_secs() / HOUR);
        let named = client.hostname.is_some()
            || client.hardware.is_some()
            || client.needs.0.iter().any(|need| need.what.is_some());
        if self.privacy == Privacy::Hashed && named {
            (client.hostname, client.hardware) = (None, None);
            client.needs.strip();
            self.ledger.change(id);
            self.ledger.news = true;
        }
        client.needs.0.truncate(self.limits.needs);
        for need in &client.needs.0 {
            if let Some(what) = &need.what {
                self.common.count(need.last.min(now), id, need.kind, what, self.limits.common);
            }
        }
        // A card may have gone from one client to another: the later one has it.
        if let Some(card) = client.counted.card
            && self
                .cards
                .get(&card)
                .and_then(|other| self.clients.get(other))
                .is_none_or(|other| other.counted.last <= client.counted.last)
        {
            self.cards.insert(card, id);
        }
        self.idle.insert((client.counted.established(), client.counted.last, id));
        self.clients.insert(id, client);
    }

    /// The days that were counted, to keep for a restart.
    pub fn days_record(&self) -> Vec<u8> {
        record::encode_days(&self.days)
    }

    /// Takes back what [`Census::days_record`] told.
    pub fn restore_days(&mut self, record: &[u8]) {
        self.days = record::decode_days(record);
        while self.days.len() > self.limits.days.max(1) {
            self.days.pop_first();
        }
    }

    /// How many clients there are.
    pub fn len(&self) -> usize {
        self.clients.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.clients.is_empty()
    }

    fn card(&self, hardware: &Hardware) -> u64 {
        identity(&self.key, &ClientId::hardware(*hardware))
    }

    /// The client that has this card, which it has from now on.
    fn host(&mut self, now: Duration, hardware: &Hardware) -> CensusId {
        let card = self.card(hardware);
        // Seen by its card alone, a client is told by that.
        let id = self.cards.get(&card).copied().unwrap_or(card);
        let named = self.privacy == Privacy::Named;
        self.know(id, card);
        let client = self.seen(now, id);
        client.counted.card = Some(card);
        client.counted.randomised = is_made_up(hardware);
        client.hardware = named.then_some(*hardware);
        id
    }

    /// The client, which was seen now, with its hour up to date.
    fn seen(&mut self, now: Duration, id: CensusId) -> &mut Client {
        self.expire(now);
        self.ledger.change(id);
        if !self.clients.contains_key(&id) {
            self.ledger.news = true;
            while self.clients.len() >= self.limits.clients.max(1) {
                let Some(&(_, _, oldest)) = self.idle.first() else { break };
                self.remove(oldest);
                self.evicted = self.evicted.saturating_add(1);
            }
        }
        let client = self
            .clients
            .entry(id)
            .or_insert_with(|| Client { counted: Counted::new(now), ..Client::default() });
        let counted = &mut client.counted;
        self.idle.remove(&(counted.established(), counted.last, id));
        counted.turn(now);
        counted.last = counted.last.max(now);
        self.idle.insert((counted.established(), counted.last, id));
        client
    }

    fn remove(&mut self, id: CensusId) -> bool {
        let Some(client) = self.clients.remove(&id) else { return false };
        self.idle.remove(&(client.counted.established(), client.counted.last, id));
        if let Some(card) = client.counted.card.filter(|card| self.cards.get(card) == Some(&id)) {
            self.cards.remove(&card);
        }
        self.ledger.remove(id);
        true
    }

    /// The client has this card now, and no other. If a client was known by the card alone until now, it is
    /// this one.
    fn know(&mut self, id: CensusId, card: u64) {
        let old = self.clients.get(&id).and_then(|client| client.counted.card).filter(|old| *old != card);
        if let Some(old) = old.filter(|old| self.cards.get(old) == Some(&id)) {
            self.cards.remove(&old);
        }
        let before = self.cards.insert(card, id).filter(|before| *before != id);
        if let Some(before) = before.filter(|_| !self.clients.contains_key(&id))
            && let Some(client) =
                self.clients.get(&before).filter(|client| client.fingerprint == Fingerprint::default())
        {
            let client = client.clone();
            let (established, last) = (client.counted.established(), client.counted.last);
            self.clients.remove(&before);
            self.idle.remove(&(established, last, before));
            self.idle.insert((established, last, id));
            self.clients.insert(id, client);
            self.ledger.remove(before);
            self.ledger.change(id);
        }
    }
}

/// Whether a hardware address is one that its host made up: the bit for local administration is set.
fn is_made_up(hardware: &Hardware) -> bool {
    hardware.as_ethernet().is_some_and(|[first, ..]| first & 2 != 0)
}
