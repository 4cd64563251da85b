//! The census: who on the LANs could live without IPv4. What DHCPv4, DNS, neighbours and a look at the LANs show goes to its
//! core ([`sixgate_dhcp::v4::census`]); what the core wants kept goes to the store, many changes at a time.

mod book;
mod judge;
mod view;
mod watch;

pub(crate) use judge::Seen;

use super::dns::Peer;
use super::engine::Engine;
use super::event::Sender;
use super::lan::Lan;
use super::neighbours::Mac;
use super::problems::Matter;
use crate::config;
use book::Book;
use judge::Verdict;
use sixgate_dhcp::v4::census::{Census, CensusId, Limits, NeedKind, Sighting};
use sixgate_dns::{Told, told};
use sixgate_endpoint::nat64::Prefix;
use sixgate_endpoint::{Endpoint, Family};
use sixgate_store::Change;
use sixgate_wire::dhcpv4::{BOOTREQUEST, Hardware, Message, MessageType};
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;
use watch::Look;

/// Settings of the store that are the census's: its key, its days, and one for each client behind the last.
const PREFIX: &str = "census.";
const KEY: &str = "census.key";
const DAYS: &str = "census.days";
const CLIENT: &str = "census.client.";

/// How a look at a LAN is called among the listeners.
const LOOK: &str = "a look at frames on";

/// How often what changed is written.
const EVERY: Duration = Duration::from_mins(1);
/// How soon where something is new: a crash then costs little.
const SOON: Duration = Duration::from_secs(2);
/// How often what was removed is taken from the disk's log, where nobody asked for it to be done at once.
const SCRUBBED: Duration = Duration::from_hours(1);
/// Records in one write, every minute: all but those of the largest networks. The store has room for more, and leases must
/// not wait long behind them.
pub(crate) const MOST_RECORDS: usize = 4_096;
/// And between, where something is new: a flood of invented hosts must not keep the disk busy.
const FEW_RECORDS: usize = 256;
/// After a restart it is not known what hosts were told before. By then they have asked again.
const SETTLED: Duration = Duration::from_hours(1);
/// Messages of DNS that wait until it is known whose they are.
const MOST_PENDING: usize = 256;
/// And for so long: the address may be another's then.
const PENDING: Duration = Duration::from_secs(10);
/// IPv4 addresses whose hosts are remembered; the one learnt first gives way.
const MOST_ADDRESSES: usize = 4_096;

/// Everything about the census.
#[derive(Debug)]
pub(crate) struct Observer {
    core: Census,
    book: Book,
    looks: Vec<Option<Look>>,
    /// The prefix in which names get addresses.
    dns64: Option<Prefix>,
    /// Which host on a LAN has which IPv4 address, and in which order that was learnt.
    hosts: HashMap<(usize, IpAddr), Mac>,
    learnt: VecDeque<(usize, IpAddr)>,
    pending: VecDeque<Pending>,
    days: Vec<u8>,
    started: Duration,
    written: Duration,
    swept: Duration,
    scrubbed: Duration,
    lost: u64,
    frames: u64,
    unknown: u64,
}

/// A message of DNS from, or to, an address that is nobody's yet.
#[derive(Debug)]
struct Pending {
    came: Duration,
    lan: usize,
    address: IpAddr,
    told: Told,
}

/// What of the store's settings is the census's.
pub(crate) fn kept(settings: &BTreeMap<String, Vec<u8>>) -> BTreeMap<String, Vec<u8>> {
    let ours = settings.range(PREFIX.to_owned()..).take_while(|(key, _)| key.starts_with(PREFIX));
    ours.map(|(key, value)| (key.clone(), value.clone())).collect()
}

impl Observer {
    fn new(now: Duration, config: &config::Census, key: [u8; 16], kept: &BTreeMap<String, Vec<u8>>) -> Self {
        let limits = Limits { retention: config.retention, ..Limits::default() };
        let mut core = Census::new(key, config.privacy, limits);
        for (name, record) in kept {
            match name.strip_prefix(CLIENT).map(|id| u64::from_str_radix(id, 16)) {
                Some(Ok(id)) => core.restore(now, id, record),
                _ if name == DAYS => core.restore_days(record),
                _ => {}
            }
        }
        Self {
            core,
            book: Book::default(),
            looks: Vec::new(),
            dns64: None,
            hosts: HashMap::new(),
            learnt: VecDeque::new(),
            pending: VecDeque::new(),
            days: Vec::new(),
            started: now,
            written: now,
            swept: now,
            scrubbed: now,
            lost: 0,
            frames: 0,
            unknown: 0,
        }
    }

    /// The prefix behind which hosts of a LAN have IPv4: what they are told of, else what names get addresses in.
    fn prefix(&self, lan: &Lan) -> Option<Prefix> {
        prefix(lan.config.pref64).or(self.dns64)
    }

    /// Has all looks see connections into these prefixes.
    fn look_for_prefixes(&self, lans: &[Lan]) {
        for (lan, look) in lans.iter().zip(&self.looks) {
            if let Some(Err(error)) = look.as_ref().map(|look| look.set_prefix(self.prefix(lan))) {
                tracing::error!(%error, "the census sees less of a LAN");
            }
        }
    }

    /// When [`Engine::write_census`] is next due.
    fn due(&self) -> Duration {
        let swept = self.swept + EVERY;
        if self.core.has_news() { swept.min(self.written + SOON) } else { swept }
    }

    /// Whether all is known that a host was told since it first came.
    fn remembers(&self, now: Duration, hardware: &Hardware) -> bool {
        now >= self.started + SETTLED
            || self.core.first_seen(hardware).is_none_or(|first| first >= self.started)
    }

    fn learn(&mut self, lan: usize, address: IpAddr, mac: Mac) {
        if address.is_unspecified() || self.hosts.get(&(lan, address)) == Some(&mac) {
            return;
        }
        if self.hosts.insert((lan, address), mac).is_none() {
            self.learnt.push_back((lan, address));
        }
        while self.learnt.len() > MOST_ADDRESSES
            && let Some(first) = self.learnt.pop_front()
        {
            self.hosts.remove(&first);
        }
    }

    /// A host asked, or was told, by DNS.
    fn hear(&mut self, now: Duration, mac: Mac, told: &Told, prefix: Option<Prefix>) {
        let hardware = Hardware::ethernet(mac);
        // Before it is counted: whether it is new decides how it is judged.
        self.book.hear(now, mac, told, prefix);
        if told.reply {
            return;
        }
        if told.asks_ipv6() {
            self.core.sighting_of(now, &hardware, Sighting::Aaaa);
        }
        if let Some(sighting) = judge::name(&told.name) {
            self.core.sighting_of(now, &hardware, sighting);
        }
    }

    /// The changes to write, at most so many records of clients.
    fn changes(&mut self, now: Duration, most: usize) -> Vec<Change> {
        self.core.count_day(now);
        let mut changes = Vec::new();
        let mut set = |key: String, value| changes.push(Change::Setting { key, value });
        for (id, record) in self.core.changes(most) {
            set(format!("{CLIENT}{id:016x}"), record);
        }
        let days = self.core.days_record();
        if days != self.days {
            self.days.clone_from(&days);
            set(DAYS.to_owned(), Some(days));
        }
        changes
    }
}

impl Engine {
    /// To be called once at the start, with what was [`kept`] and a key for where none was: looks at the LANs from then on. Where there
    /// is to be no census, what was kept goes.
    pub(crate) fn start_census(
        &mut self,
        kept: &BTreeMap<String, Vec<u8>>,
        fresh: [u8; 16],
        events: &Sender,
    ) {
        let now = self.now();
        let Some(config) = self.config.census.clone() else {
            let gone = |key: &String| Change::Setting { key: key.clone(), value: None };
            self.erase(kept.keys().map(gone).collect());
            return;
        };
        let key = kept.get(KEY).and_then(|key| key.as_slice().try_into().ok()).unwrap_or(fresh);
        self.set(KEY, Some(key.to_vec()));
        let mut observer = Observer::new(now, &config, key, kept);
        observer.dns64 = self.forwarder.dns64().map(|dns64| dns64.prefix);
        for (index, lan) in self.lans.iter().enumerate() {
            // A tunnel has no Ethernet header, and no ARP either.
            let look = lan.link_layer.map(|_| {
                let device = (lan.config.interface.value.as_str(), lan.interface);
                Look::open(index, device, observer.prefix(lan), events.clone())
            });
            observer.looks.push(match look.transpose() {
                Ok(look) => {
                    let on = &lan.config.interface.value;
                    self.listeners.extend(look.as_ref().map(|_| format!("{LOOK} {on}")));
                    look
                }
                Err(error) => {
                    tracing::error!(%error, "the census sees less of a LAN");
                    self.problems.put(Matter::Census, format!("the census sees less: {error}"));
                    None
                }
            });
        }
        self.census = Some(Box::new(observer));
        // What a run with another configuration kept, or what is too old by now, is gone before anything else is done.
        self.write_census_at_once();
    }

    /// Takes over what the configuration says now.
    pub(crate) fn set_census(&mut self) {
        let now = self.now();
        let Some(observer) = &mut self.census else { return };
        let Some(config) = &self.config.census else {
            let keys = observer.core.kept().into_iter().map(|id| format!("{CLIENT}{id:016x}"));
            let keys = keys.chain([KEY.to_owned(), DAYS.to_owned()]);
            let gone = keys.map(|key| Change::Setting { key, value: None }).collect();
            self.census = None;
            self.listeners.retain(|listener| !listener.starts_with(LOOK));
            self.problems.settled(&Matter::Census);
            self.erase(gone);
            return;
        };
        observer.core.set_privacy(config.privacy);
        observer.core.set_retention(now, config.retention);
        observer.look_for_prefixes(&self.lans);
        self.write_census_at_once();
    }

    /// Names get addresses in this prefix from now on.
    pub(crate) fn set_census_dns64(&mut self, dns64: Option<Prefix>) {
        let Some(observer) = self.census.as_mut().filter(|observer| observer.dns64 != dns64) else { return };
        observer.dns64 = dns64;
        observer.look_for_prefixes(&self.lans);
    }

    /// Writes all that changed, and has the store leave nothing of what it replaces.
    fn write_census_at_once(&mut self) {
        while self.write_census(MOST_RECORDS) {}
        self.store.scrub();
    }

    /// Writes these, and has the store leave nothing of what they replace.
    fn erase(&mut self, changes: Vec<Change>) {
        if !changes.is_empty() {
            self.set_all(changes);
            self.store.scrub();
        }
    }

    /// When [`Engine::write_census_if_due`] has something to do.
    pub(crate) fn census_due(&self) -> Option<Duration> {
        self.census.as_ref().map(|observer| observer.due())
    }

    /// Writes what changed, if it is time.
    pub(crate) fn write_census_if_due(&mut self) {
        let now = self.now();
        let Some(observer) = self.census.as_mut().filter(|observer| now >= observer.due()) else { return };
        if now < observer.swept + EVERY {
            self.write_census(FEW_RECORDS);
            return;
        }
        observer.swept = now;
        observer.core.expire_needs(now);
        self.write_census(MOST_RECORDS);
    }

    /// Writes what changed; whether there is more.
    pub(crate) fn write_census(&mut self, most: usize) -> bool {
        let now = self.now();
        let Some(observer) = &mut self.census else { return false };
        observer.written = now;
        let changes = observer.changes(now, most);
        let more = changes.len() >= most;
        if changes.is_empty() {
            return false;
        }
        // Retention is for the disk's log, too, but not at the price of a sync for each who is forgotten.
        let removes = changes.iter().any(|change| matches!(change, Change::Setting { value: None, .. }));
        let scrubs = removes && now >= observer.scrubbed + SCRUBBED;
        if scrubs {
            observer.scrubbed = now;
        }
        let ids: Vec<CensusId> = (changes.iter())
            .filter_map(|change| match change {
                Change::Setting { key, .. } => u64::from_str_radix(key.strip_prefix(CLIENT)?, 16).ok(),
                _ => None,
            })
            .collect();
        if self.set_all(changes).is_none() {
            // The queue is full. Later, then.
            if let Some(observer) = &mut self.census {
                observer.core.keep_again(ids);
                observer.days.clear();
            }
            return false;
        }
        if scrubs {
            self.store.scrub();
        }
        more
    }

    /// A DHCPv4 message of a client, or an answer to it.
    pub(crate) fn census_heard(&mut self, now: Duration, lan: usize, message: &Message<'_>) {
        let Some(observer) = &mut self.census else { return };
        let header = message.header();
        if header.op == BOOTREQUEST {
            observer.core.message(now, message);
            return;
        }
        observer.core.answer(now, message);
        // Whoever is given an address will ask from there.
        if message.kind() == MessageType::ACK
            && let Some(mac) = header.hardware.as_ethernet()
        {
            self.census_address(lan, header.yiaddr.into(), mac);
        }
    }

    /// A host has this address: what was asked from there before that was known is its own.
    fn census_address(&mut self, lan: usize, address: IpAddr, mac: Mac) {
        let now = self.now();
        let Some(observer) = &mut self.census else { return };
        while observer.pending.front().is_some_and(|first| first.came + PENDING < now) {
            observer.pending.pop_front();
            observer.unknown = observer.unknown.saturating_add(1);
        }
        let theirs = |message: &Pending| (message.lan, message.address) == (lan, address);
        if observer.pending.iter().any(theirs) {
            let pending = std::mem::take(&mut observer.pending);
            let (theirs, others): (VecDeque<_>, VecDeque<_>) = pending.into_iter().partition(theirs);
            observer.pending = others;
            let prefix = self.lans.get(lan).and_then(|lan| observer.prefix(lan));
            for message in theirs {
                observer.hear(now, mac, &message.told, prefix);
            }
        }
        // Of IPv6 ones it is known elsewhere.
        if Endpoint::new(address).family() == Family::V4 {
            observer.learn(lan, address, mac);
        }
    }

    /// A host has an address on a LAN, and was just seen to.
    pub(crate) fn census_neighbour(&mut self, lan: usize, address: Ipv6Addr, mac: Mac) {
        let now = self.now();
        let Some(observer) = &mut self.census else { return };
        if !address.is_unicast_link_local() {
            observer.core.sighting_of(now, &Hardware::ethernet(mac), Sighting::Ipv6);
        }
        self.census_address(lan, address.into(), mac);
    }

    /// A message of DNS came from a host on a LAN, or goes to it.
    pub(crate) fn census_dns(&mut self, peer: Peer, bytes: &[u8]) {
        let Some(observer) = &mut self.census else { return };
        let (lan, host) = match peer {
            Peer::Udp { lan, source, .. } => (lan, Endpoint::new(*source.ip())),
            Peer::Tcp { lan, connection, .. } => match self.connections.get(&connection) {
                Some(client) => (lan, Endpoint::new(client.source)),
                None => return,
            },
            // We ourselves are no client.
            Peer::Health(_) => return,
        };
        let Some(told) = told(bytes) else { return };
        let now = self.clock.now();
        let prefix = self.lans.get(lan).and_then(|lan| observer.prefix(lan));
        let address = host.address();
        let mac = match host.ipv6() {
            Some(address) => self.neighbours.host(lan, address),
            None => observer.hosts.get(&(lan, address)).copied(),
        };
        if let Some(mac) = mac {
            observer.hear(now, mac, &told, prefix);
            return;
        }
        if observer.pending.len() >= MOST_PENDING {
            observer.pending.pop_front();
            observer.unknown = observer.unknown.saturating_add(1);
        }
        observer.pending.push_back(Pending { came: now, lan, address, told });
    }

    /// Frames were seen on a LAN.
    pub(crate) fn census_watched(&mut self, lan: usize, seen: Vec<Seen>) {
        let now = self.now();
        let Some(on) = self.lans.get(lan) else { return };
        let (own_mac, ours) = (on.link_layer, self.own_addresses());
        let prefix = self.census.as_ref().and_then(|observer| observer.prefix(on));
        let translated = prefix.is_some();
        for seen in seen {
            if let Seen::Address { mac, address } = seen {
                if let Some(address) = Endpoint::new(address).ipv6() {
                    self.neighbour(lan, address, mac);
                }
                continue;
            }
            let Some(observer) = &mut self.census else { return };
            observer.frames = observer.frames.saturating_add(1);
            match seen {
                Seen::Arp { mac, .. } | Seen::Flow { mac, .. } if own_mac == Some(mac) => {}
                Seen::Arp { mac, sender, seeks } => {
                    let hardware = Hardware::ethernet(mac);
                    observer.core.sighting_of(now, &hardware, Sighting::Arp);
                    let seeks = seeks.filter(|target| !ours.contains(target));
                    if let Some(target) = seeks.filter(|target| judge::is_neighbour(sender, *target)) {
                        let target = Endpoint::new(target).to_string();
                        observer.core.need_of(now, &hardware, NeedKind::Neighbour, &target);
                    }
                    self.census_address(lan, sender, mac);
                }
                Seen::Flow { destination, .. } if ours.contains(&destination) => {}
                Seen::Flow { mac, version, destination, port } => {
                    let hardware = Hardware::ethernet(mac);
                    let remembers = observer.remembers(now, &hardware);
                    let flow = (version, destination, port);
                    let verdict = judge::flow(&observer.book, mac, flow, (prefix, translated), remembers);
                    match verdict {
                        Verdict::Nothing => {}
                        Verdict::Sighting(sighting) => observer.core.sighting_of(now, &hardware, sighting),
                        Verdict::Need(kind, what) => observer.core.need_of(now, &hardware, kind, &what),
                    }
                }
                Seen::Address { .. } => {}
            }
        }
    }
}

impl Engine {
    /// Our addresses that hosts reach us by over IPv4: what goes there is for us to serve over IPv6 as well.
    fn own_addresses(&self) -> Vec<IpAddr> {
        let ours = self.lans.iter().filter_map(|lan| lan.config.ipv4.as_ref());
        ours.map(|ipv4| ipv4.address.addr().into()).collect()
    }
}

fn prefix(net: Option<ipnet::Ipv6Net>) -> Option<Prefix> {
    net.and_then(|net| Prefix::new(net.addr(), net.prefix_len()).ok())
}
