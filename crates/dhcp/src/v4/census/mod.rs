//! Who on this network could live without IPv4 today.
//!
//! A [`Census`] is told what is seen of clients, by DHCPv4 and by whoever watches neighbours, names and
//! flows, and says for each how sure one can be. The unit of evidence is the *hour*: of an hour in which a
//! client was seen, all that is kept is whether something in it needed IPv4. Flows would be more numbers, not
//! more evidence, since those of one program in one hour stand and fall together.
//!
//! It keeps little: counts, a fingerprint without personal parts, and names only if it may ([`Privacy`]).
//! What was not seen for [`Limits::retention`] is forgotten.

mod fingerprint;
mod score;

pub use fingerprint::{Family, Fingerprint};
pub use score::{LINES, Line, Score, Share, Stage, Tally, wilson};

use super::pilot::identity;
use sixgate_wire::dhcpv4::{ClientId, Hardware, MIN_V6ONLY_WAIT, Message, MessageType, OptionCode};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

const HOUR: u64 = 3_600;

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
    /// Clients; the one not seen for the longest time gives way.
    pub clients: usize,
    /// How long a client is remembered after it was last seen.
    pub retention: Duration,
    /// The lower bound of its score from which on a client counts as ready.
    pub ready: f64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { clients: 8_192, retention: Duration::from_hours(14 * 24), ready: 0.8 }
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
    /// It asked for the hardware address of an IPv4 neighbour.
    Arp,
    /// It was told to do without IPv4 (option 108).
    Told,
    /// It was given an address; whether it took that although it was told in the same answer.
    Leased(bool),
}

/// Identifies a client in the census: a keyed hash.
pub type CensusId = u64;

#[derive(Debug, Clone, Default)]
struct Client {
    first: Duration,
    last: Duration,
    /// The hour that is being counted, since the Unix epoch, and what was seen in it.
    hour: u64,
    against: bool,
    /// Whether it was without IPv4 when the hour began.
    tried: bool,
    arp: u32,
    arp_before: u32,
    passive: Tally,
    trial: Tally,
    ipv6: bool,
    aaaa: bool,
    translates: bool,
    /// Since when it was told to do without IPv4; it has not taken an address since.
    without: Option<Duration>,
    fingerprint: Fingerprint,
    randomised: bool,
    /// By which it is found in [`Census::cards`].
    card: Option<u64>,
    hostname: Option<String>,
    hardware: Option<Hardware>,
}

/// One client, for tables and views.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// Who.
    pub id: CensusId,
    /// Its name, where names may be kept.
    pub hostname: Option<String>,
    /// Its hardware address, where it may be kept.
    pub hardware: Option<Hardware>,
    /// What it is.
    pub family: Family,
    /// How it asks.
    pub fingerprint: Fingerprint,
    /// Whether its hardware address is made up: it may count as another client next time.
    pub randomised: bool,
    /// Could it live without IPv4.
    pub score: Score,
    /// Whether that is sure enough.
    pub ready: bool,
    /// ARP requests in the last full hour.
    pub arp_an_hour: u32,
    /// When it was first seen.
    pub first: Duration,
    /// When it was last seen.
    pub last: Duration,
}

/// The whole network.
#[derive(Debug, Clone, PartialEq)]
pub struct Report {
    /// Clients that are ready, of all.
    pub ready: Share,
    /// The same among those whose hardware address is not made up: made-up ones may count one client several
    /// times.
    pub ready_stable: Share,
    /// Clients that live without IPv4 now, of all.
    pub without: Share,
    /// Clients that ask for option 108, of all.
    pub asking: Share,
    /// Ready clients of each family that was seen.
    pub families: BTreeMap<Family, Share>,
    /// Clients forgotten early, to make room for newer ones.
    pub evicted: u64,
}

/// The table of clients.
#[derive(Debug, Clone)]
pub struct Census {
    key: [u8; 16],
    privacy: Privacy,
    limits: Limits,
    clients: BTreeMap<CensusId, Client>,
    /// By keyed hash of the hardware address, for what is not seen by DHCP.
    cards: BTreeMap<u64, CensusId>,
    idle: BTreeSet<(Duration, CensusId)>,
    evicted: u64,
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
            evicted: 0,
        }
    }

    /// Changes what may be kept; names that may not be kept any more are gone at once.
    pub fn set_privacy(&mut self, privacy: Privacy) {
        self.privacy = privacy;
        if privacy == Privacy::Hashed {
            for client in self.clients.values_mut() {
                (client.hostname, client.hardware) = (None, None);
            }
        }
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
        client.card = Some(card);
        client.randomised = hardware.as_ethernet().is_some_and(|[first, ..]| first & 2 != 0);
        if privacy == Privacy::Named {
            client.hardware = Some(hardware);
            let name = message.options().text(OptionCode::HOST_NAME);
            client.hostname = name.or(client.hostname.take());
        }
        if matches!(message.kind(), MessageType::DISCOVER | MessageType::REQUEST) {
            client.fingerprint = Fingerprint::read(message);
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
        note(self.seen(now, id), now, sighting);
    }

    /// Something seen of the host with this hardware address.
    pub fn sighting_of(&mut self, now: Duration, hardware: &Hardware, sighting: Sighting) {
        let card = self.card(hardware);
        let by_itself = identity(&self.key, &ClientId::hardware(*hardware));
        let id = self.cards.get(&card).copied().unwrap_or(by_itself);
        let named = self.privacy == Privacy::Named;
        self.know(id, card);
        let client = self.seen(now, id);
        client.card = Some(card);
        client.randomised = hardware.as_ethernet().is_some_and(|[first, ..]| first & 2 != 0);
        client.hardware = named.then_some(*hardware);
        note(client, now, sighting);
    }

    /// Forgets who was not seen for too long.
    pub fn expire(&mut self, now: Duration) {
        while let Some(&(last, id)) = self.idle.first() {
            if last.saturating_add(self.limits.retention) > now {
                return;
            }
            self.forget(id);
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

    /// All clients, those first that are furthest from living without IPv4.
    pub fn rows(&self, now: Duration) -> Vec<Row> {
        let row = |(&id, client): (&CensusId, &Client)| {
            let mut client = client.clone();
            client.turn(now);
            let score = client.score(now);
            Row {
                id,
                ready: score.low >= self.limits.ready,
                score,
                family: client.fingerprint.family(),
                randomised: client.randomised,
                arp_an_hour: client.arp_before,
                first: client.first,
                last: client.last,
                hostname: client.hostname,
                hardware: client.hardware,
                fingerprint: client.fingerprint,
            }
        };
        let mut rows: Vec<Row> = self.clients.iter().map(row).collect();
        rows.sort_by(|a, b| a.score.low.total_cmp(&b.score.low).then(a.id.cmp(&b.id)));
        rows
    }

    /// The network as a whole.
    pub fn report(&self, now: Duration) -> Report {
        let rows = self.rows(now);
        let share = |among: &dyn Fn(&&Row) -> bool, is: &dyn Fn(&&Row) -> bool| {
            let of = rows.iter().filter(among);
            Share::new(of.clone().filter(is).count() as u64, of.count() as u64)
        };
        let families: BTreeSet<Family> = rows.iter().map(|row| row.family).collect();
        Report {
            ready: share(&|_| true, &|row| row.ready),
            ready_stable: share(&|row| !row.randomised, &|row| row.ready),
            without: share(&|_| true, &|row| row.score.stage == Stage::Without),
            asking: share(&|_| true, &|row| row.fingerprint.asks_v6only()),
            families: families
                .into_iter()
                .map(|family| (family, share(&|row| row.family == family, &|row| row.ready)))
                .collect(),
            evicted: self.evicted,
        }
    }

    fn card(&self, hardware: &Hardware) -> u64 {
        identity(&self.key, &ClientId::hardware(*hardware))
    }

    /// The client, which was seen now, with its hour up to date.
    fn seen(&mut self, now: Duration, id: CensusId) -> &mut Client {
        self.expire(now);
        if !self.clients.contains_key(&id) {
            while self.clients.len() >= self.limits.clients.max(1) {
                let Some(&(_, oldest)) = self.idle.first() else { break };
                self.forget(oldest);
                self.evicted = self.evicted.saturating_add(1);
            }
        }
        let client = self.clients.entry(id).or_insert_with(|| Client {
            first: now,
            last: now,
            hour: now.as_secs() / HOUR,
            ..Client::default()
        });
        self.idle.remove(&(client.last, id));
        client.turn(now);
        client.last = client.last.max(now);
        self.idle.insert((client.last, id));
        client
    }

    fn forget(&mut self, id: CensusId) {
        if let Some(client) = self.clients.remove(&id) {
            self.idle.remove(&(client.last, id));
            if let Some(card) = client.card.filter(|card| self.cards.get(card) == Some(&id)) {
                self.cards.remove(&card);
            }
        }
    }

    /// The client has this card now, and no other. If a client was known by the card alone until now, it is
    /// this one.
    fn know(&mut self, id: CensusId, card: u64) {
        let old = self.clients.get(&id).and_then(|client| client.card).filter(|old| *old != card);
        if let Some(old) = old.filter(|old| self.cards.get(old) == Some(&id)) {
            self.cards.remove(&old);
        }
        let before = self.cards.insert(card, id).filter(|before| *before != id);
        if let Some(before) = before.filter(|_| !self.clients.contains_key(&id))
            && let Some(client) =
                self.clients.get(&before).filter(|client| client.fingerprint == Fingerprint::default())
        {
            let client = client.clone();
            self.clients.remove(&before);
            self.idle.remove(&(client.last, before));
            self.idle.insert((client.last, id));
            self.clients.insert(id, client);
        }
    }
}

impl Client {
    /// Counts the hour that was, once another has begun.
    fn turn(&mut self, now: Duration) {
        let hour = now.as_secs() / HOUR;
        if hour <= self.hour {
            return;
        }
        // Only an hour in which it was seen says anything.
        if self.last.as_secs() / HOUR == self.hour {
            let tally = if self.tried { &mut self.trial } else { &mut self.passive };
            tally.count(self.against);
        }
        self.arp_before = if hour == self.hour + 1 { self.arp } else { 0 };
        (self.hour, self.against, self.arp, self.tried) = (hour, false, 0, self.without.is_some());
    }

    fn score(&self, now: Duration) -> Score {
        let shortest = Duration::from_secs(MIN_V6ONLY_WAIT.into());
        let told_and_quiet = self.without.is_some_and(|told| now >= told.saturating_add(shortest));
        let stage = if told_and_quiet {
            Stage::Without
        } else if self.translates {
            Stage::Translates
        } else if !self.ipv6 {
            Stage::NoIpv6
        } else if !self.aaaa {
            Stage::Addressed
        } else if self.passive.hours > 0 && self.passive.against == 0 && !self.against {
            Stage::Capable
        } else {
            Stage::Mixed
        };
        Score::new(stage, self.passive, self.trial)
    }
}

fn note(client: &mut Client, now: Duration, sighting: Sighting) {
    match sighting {
        Sighting::Ipv6 | Sighting::Reached => client.ipv6 = true,
        Sighting::Aaaa => client.aaaa = true,
        Sighting::Translated => (client.ipv6, client.translates) = (true, true),
        Sighting::NeedsIpv4 | Sighting::Failed => client.against = true,
        Sighting::Arp => client.arp = client.arp.saturating_add(1),
        // Told again, it is without since the first time.
        Sighting::Told => client.without = client.without.or(Some(now)),
        Sighting::Leased(although) => {
            if client.without.take().is_some() && although {
                (client.against, client.tried) = (true, true);
            }
        }
    }
}
