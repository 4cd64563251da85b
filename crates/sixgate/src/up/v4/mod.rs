//! DHCPv4 on the LANs that ask for it: leases for hosts that need IPv4, option 108 for those that can do without.
//!
//! [`edge`] has the sockets, [`addresses`] our own addresses on the LANs, [`pilot`] who is told, by the file and by
//! `sixgate pilot`; here the core is driven.

mod addresses;
mod edge;
mod pilot;
mod view;

pub(crate) use edge::Edge;
pub(crate) use view::lease_view;

use super::engine::Engine;
use super::lan::Lan;
use crate::config::{self, Config, MOST_LEASES};
use addresses::Addresses;
use ipnet::{Ipv4Net, Ipv6Net};
use pilot::{Choice, Seen};
use sixgate_dhcp::lease::LeaseState;
use sixgate_dhcp::v4::{
    Action, Actions, Datagram, Ipv6Mostly, LeaseChange, Limits, Link, Place, Roster, RosterChange, Server,
    ServerConfig,
};
use sixgate_endpoint::Endpoint;
use sixgate_linux::route::Netlink;
use sixgate_store::{Change, Snapshot, Submit};
use sixgate_wire::dhcpv4::{BOOTREQUEST, ClientId, Message};
use std::collections::{BTreeMap, HashMap};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;
use tokio::sync::oneshot;

/// Tokens of DHCPv4's submissions to the store have this bit; the rest is the core's ticket.
pub(crate) const TICKET: u64 = 1 << 62;
/// Among these, what no lease waits for: the roster and the pilot.
const RECORD: u64 = 1 << 61;

/// Setting that holds the key by which the pilot chooses.
const PILOT_KEY: &str = "pilot.key";
/// The domain of the LANs (RFC 8375).
const DOMAIN: &str = "home.arpa";
/// How often the NAT64 and our own addresses are looked at, beside the kernel's news: of routes that go with their
/// interface it tells nothing.
const LOOK: Duration = Duration::from_secs(5);
/// And with news: routes can come by the thousand.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// Everything about DHCPv4.
#[derive(Debug)]
pub(crate) struct V4 {
    server: Server,
    /// What the server was last told of the LANs.
    links: Vec<Link>,
    addresses: Addresses,
    /// What was last recorded of the addresses that are ours.
    recorded: Vec<u8>,
    /// Lease changes that are on their way to the disk.
    committing: HashMap<u64, Vec<LeaseChange>>,
    /// What clients were told of.
    holders: HashMap<Ipv4Addr, ClientId>,
    /// Changes of the roster that the store has not taken yet.
    roster: BTreeMap<Place, RosterChange>,
    records: u64,
    /// Records that are on their way to the disk.
    recording: usize,
    /// Who waits for a record to be on the disk.
    waiting: HashMap<u64, oneshot::Sender<String>>,
    choice: Choice,
    /// Who asked for option 108 since the start.
    seen: BTreeMap<Place, Seen>,
    /// Why nobody is told to do without IPv4 though LANs are IPv6-mostly; empty where the NAT64 works.
    nat64_problems: Vec<String>,
    look_at: Duration,
    looked_at: Duration,
    /// Whether IPv4 packets of the LANs are forwarded: then hosts are told of a router.
    pub(crate) forwards: bool,
}

impl V4 {
    /// The server, to look at.
    pub(crate) fn server(&self) -> &Server {
        &self.server
    }

    /// Some leases from a place on, to be written again, and the place behind them; the first is 0.
    pub(crate) fn leases_from(&self, place: u32, most: usize) -> (Vec<Change>, Option<u32>) {
        let some: Vec<_> = self.server.leases().from(place.into()).take(most).cloned().collect();
        let next = some.last().and_then(|lease| lease.address.to_bits().checked_add(1));
        (some.into_iter().map(|lease| Change::LeaseV4(LeaseChange::Put(lease))).collect(), next)
    }

    /// What was kept, and what the configuration says.
    pub(crate) fn new(
        config: &Config,
        snapshot: &mut Snapshot,
        hash_key: [u8; 16],
        pilot_key: [u8; 16],
        epoch: &str,
        netlink: &mut Netlink,
    ) -> Self {
        let settings = &snapshot.settings;
        let (choice, kept) = Choice::new(&config.pilot, settings.get(pilot::SETTING));
        let mut addresses = Addresses::default();
        if let Some(record) = settings.get(addresses::SETTING) {
            addresses.adopt(record, epoch);
        }
        if let Err(error) = addresses.look(netlink) {
            tracing::warn!(%error, "IPv4 addresses of an earlier run are not looked for");
        }
        let leases = std::mem::take(&mut snapshot.leases_v4);
        let bound = leases.iter().filter(|lease| lease.state == LeaseState::Bound);
        let holders = bound.map(|lease| (lease.address, lease.client.clone())).collect();
        let server = ServerConfig {
            links: Vec::new(),
            rapid_commit: config.dhcp.rapid_commit,
            authoritative: true,
            hash_key,
            limits: Limits {
                leases: usize::try_from(MOST_LEASES)
                    .unwrap_or(usize::MAX)
                    .saturating_mul(config.lans.len().max(1)),
                ..Limits::default()
            },
            // What the roster belongs to; what holds now is set by `start_v4`.
            pilot: kept.pilot(pilot_key),
        };
        let roster = Roster::restored(std::mem::take(&mut snapshot.roster));
        let mut server = Server::new(server, leases, roster);
        server.set_balance(config.dhcp.balance);
        Self {
            server,
            links: Vec::new(),
            addresses,
            recorded: Vec::new(),
            committing: HashMap::new(),
            holders,
            roster: BTreeMap::new(),
            records: 0,
            recording: 0,
            waiting: HashMap::new(),
            choice,
            seen: BTreeMap::new(),
            nat64_problems: Vec::new(),
            look_at: Duration::ZERO,
            looked_at: Duration::ZERO,
            forwards: config.ipv4.is_some(),
        }
    }

    /// The pilot's key as it was kept.
    pub(crate) fn kept_key(snapshot: &Snapshot) -> Option<[u8; 16]> {
        snapshot.settings.get(PILOT_KEY)?.as_slice().try_into().ok()
    }

    /// When [`Engine::handle_timeout_v4`] is next due.
    pub(crate) fn poll_timeout(&self) -> Option<Duration> {
        let look = (!self.links.is_empty()).then_some(self.look_at);
        self.server.poll_timeout().into_iter().chain(look).min()
    }

    /// The kernel told of IPv4 addresses or routes: what depends on them is looked at.
    pub(crate) fn look_now(&mut self) {
        self.look_at = self.look_at.min(self.looked_at.saturating_add(LOOK_AGAIN));
    }

    /// Whether nothing waits for the disk.
    pub(crate) fn is_settled(&self) -> bool {
        self.committing.is_empty()
    }

    /// Leases that stand on a LAN.
    pub(crate) fn leases_on(&self, lan: &str) -> usize {
        self.server
            .leases()
            .iter()
            .filter(|lease| &*lease.link == lan && lease.state == LeaseState::Bound)
            .count()
    }
}

impl Engine {
    /// To be called once at the start: what was kept is brought in line with the configuration.
    pub(crate) fn start_v4(&mut self) {
        let key = self.v4.server.pilot().key;
        self.set(PILOT_KEY, Some(key.to_vec()));
        self.set_pilot(None);
        for lease in self.v4.server.leases().iter().cloned().collect::<Vec<_>>() {
            let change = LeaseChange::Put(lease);
            self.host_of_v4(&change);
            self.ddns_change_v4(&change);
        }
    }

    /// A datagram to port 67 came in on a LAN.
    pub(crate) fn handle_v4(&mut self, lan: usize, source: Ipv6Addr, bytes: &[u8]) {
        let now = self.now();
        let Some(source) = source.to_ipv4_mapped() else { return };
        let Some(link) = self.lans.get(lan).map(|lan| lan.config.name.clone()) else { return };
        let mut actions = Actions::new();
        self.v4.server.handle(now, &Datagram { link: &link, source, bytes }, &mut actions);
        if let Ok(message) = Message::parse(bytes) {
            self.census_dhcp(now, lan, &message);
        }
        self.actions_v4(actions);
    }

    /// Lets the server do what is due, and looks at what option 108 depends on.
    pub(crate) fn handle_timeout_v4(&mut self) {
        let now = self.now();
        let mut actions = Actions::new();
        self.v4.server.handle_timeout(now, &mut actions);
        self.actions_v4(actions);
        if !self.v4.links.is_empty() && now >= self.v4.look_at {
            (self.v4.looked_at, self.v4.look_at) = (now, now.saturating_add(LOOK));
            self.look_v4();
        }
    }

    /// Every DHCPv4 message passes here: a client's when it came in and was considered, and each answer when it leaves
    /// ([`Message::header`]'s `op` tells which).
    fn census_dhcp(&mut self, now: Duration, lan: usize, message: &Message<'_>) {
        self.census_heard(now, lan, message);
        if message.header().op == BOOTREQUEST {
            self.ddns_heard_v4(message);
            let Some(lan) = self.lans.get(lan) else { return };
            self.v4.note(&lan.config.name, message);
        }
    }

    fn actions_v4(&mut self, actions: Actions) {
        for action in actions {
            match action {
                Action::Reply(reply) => {
                    let Some(lan) = self.lan_by_name(&reply.link) else { continue };
                    if let Ok(message) = Message::parse(&reply.bytes) {
                        self.census_dhcp(self.now(), lan, &message);
                    }
                    self.sockets.send_v4(lan, &reply);
                }
                Action::Commit { ticket, changes } => {
                    self.v4.committing.insert(ticket, changes.clone());
                    let changes = changes.into_iter().map(Change::LeaseV4).collect();
                    if let Submit::Refused(_) = self.store.submit(self.now(), changes, TICKET | ticket) {
                        self.stored_v4(TICKET | ticket, &Err("its queue is full".to_owned()));
                    }
                }
                Action::Roster(changes) => {
                    self.v4.keep(changes);
                    // One at a time: strangers with ever new addresses must not fill the store's queue, which leases need.
                    if self.v4.recording == 0 {
                        self.record_v4(None, None);
                    }
                }
            }
        }
    }

    /// The store wrote a submission of ours, or could not.
    pub(crate) fn stored_v4(&mut self, token: u64, outcome: &Result<(), String>) {
        let ticket = token & !TICKET;
        if ticket & RECORD != 0 {
            self.v4.recording = self.v4.recording.saturating_sub(1);
            if let Some(answer) = self.v4.waiting.remove(&ticket) {
                let said = match outcome {
                    Ok(()) => self.view("pilot"),
                    Err(error) => view::error(&format!(
                        "the pilot is as you say, but that is not on the disk yet, and a restart may forget it: {error}"
                    )),
                };
                let _ = answer.send(said);
            }
            if outcome.is_ok() && self.v4.recording == 0 {
                self.record_v4(None, None);
            }
            return;
        }
        let now = self.now();
        let changes = self.v4.committing.remove(&ticket).unwrap_or_default();
        if outcome.is_err() {
            // The store may write it later nevertheless: the server then overwrites it.
            self.v4.server.commit_failed(now, ticket);
            return;
        }
        let mut actions = Actions::new();
        self.v4.server.committed(ticket, &mut actions);
        self.actions_v4(actions);
        for change in changes {
            self.told_v4(&change);
        }
    }

    /// Lets names, and what is known to clients, follow a change that is on the disk.
    fn told_v4(&mut self, change: &LeaseChange) {
        match change {
            LeaseChange::Put(lease) if lease.state == LeaseState::Bound => {
                let before = self.v4.holders.insert(lease.address, lease.client.clone());
                if before.as_ref() != Some(&lease.client) {
                    tracing::info!(lease = %lease.address, lan = %lease.link, client = %lease.client,
                        name = lease.hostname.as_deref().unwrap_or("-"), "leased");
                }
            }
            change => {
                if let Some(client) = self.v4.holders.remove(&change.address()) {
                    tracing::info!(lease = %change.address(), %client, "ended");
                }
            }
        }
        self.host_of_v4(change);
        self.ddns_change_v4(change);
    }

    /// Hands the store what it has not taken of the roster, with a new record of the pilot where there is one. All of it will be on
    /// the disk, or none.
    fn record_v4(&mut self, record: Option<Vec<u8>>, answer: Option<oneshot::Sender<String>>) {
        let mut changes: Vec<Change> = self.v4.roster.values().copied().map(Change::Roster).collect();
        changes.extend(
            record.map(|value| Change::Setting { key: pilot::SETTING.to_owned(), value: Some(value) }),
        );
        if changes.is_empty() {
            return;
        }
        self.v4.records += 1;
        self.v4.recording += 1;
        let ticket = RECORD | self.v4.records;
        if let Some(answer) = answer {
            self.v4.waiting.insert(ticket, answer);
        }
        match self.store.submit(self.now(), changes, TICKET | ticket) {
            Submit::Queued => self.v4.roster.clear(),
            Submit::Refused(changes) => {
                self.v4.choice.unwritten |=
                    changes.iter().any(|change| matches!(change, Change::Setting { .. }));
                self.stored_v4(TICKET | ticket, &Err("the store's queue is full".to_owned()));
            }
        }
    }

    /// Looks whether the NAT64 works and our addresses are there.
    fn look_v4(&mut self) {
        let nat64 = self.nat64.as_ref().map_or_else(Vec::new, |nat64| nat64.problems(&mut self.netlink));
        if self.v4.nat64_problems != nat64 {
            match nat64.first() {
                Some(why) if self.told_mostly() => {
                    tracing::warn!(%why, "clients are no longer told to do without IPv4 (option 108)");
                }
                Some(_) => {}
                None => {
                    tracing::info!("the NAT64 works: clients may be told to do without IPv4 (option 108)");
                }
            }
            self.v4.nat64_problems = nat64;
            self.changed = true;
        }
        match self.v4.addresses.look(&mut self.netlink) {
            Ok(gone) => self.changed |= gone,
            Err(error) => tracing::error!(%error, "the kernel cannot be asked for IPv4 addresses"),
        }
        if !self.v4.roster.is_empty() || self.v4.choice.unwritten {
            let record = self.v4.choice.take_unwritten();
            self.record_v4(record, None);
        }
    }

    fn told_mostly(&self) -> bool {
        self.v4.links.iter().any(|link| link.ipv6_mostly.is_some())
    }

    /// Makes addresses and the server follow what changed; what the kernel refuses, as sentences.
    pub(crate) fn settle_v4(&mut self) -> Vec<String> {
        if self.v4.links.is_empty() && self.lans.iter().any(|lan| lan.config.ipv4.is_some()) {
            // The first time.
            self.v4.nat64_problems =
                self.nat64.as_ref().map_or_else(Vec::new, |nat64| nat64.problems(&mut self.netlink));
        }
        let desired: Vec<(u32, Ipv4Net)> = (self.lans.iter())
            .filter_map(|lan| Some((lan.up, (lan.interface, lan.config.ipv4.as_ref()?.address))))
            // What stands stays while the cable is out.
            .filter(|(up, key)| *up || self.v4.addresses.has(key))
            .map(|(_, key)| key)
            .collect();
        let refused = self.v4.addresses.apply(&mut self.netlink, &desired);
        let record = self.v4.addresses.record(&self.epoch);
        if record != self.v4.recorded && self.set(addresses::SETTING, Some(record.clone())).is_some() {
            self.v4.recorded = record;
        }
        let links: Vec<Link> = self.lans.iter().filter_map(|lan| self.link_v4(lan)).collect();
        if self.v4.links != links {
            self.v4.server.set_links(links.clone());
            self.v4.links = links;
        }
        refused
    }

    /// Takes our addresses away, at the end; what the kernel refuses, as sentences.
    pub(crate) fn stop_v4(&mut self) -> Vec<String> {
        let refused = self.v4.addresses.apply(&mut self.netlink, &[]);
        if refused.is_empty() {
            self.set(addresses::SETTING, None);
        }
        refused
    }

    /// What the server gives on a LAN; `None` where it serves none.
    fn link_v4(&self, lan: &Lan) -> Option<Link> {
        let ipv4 = lan.config.ipv4.as_ref()?;
        let link = Link::new(&lan.config.name, ipv4.address).ok()?;
        let (first, last) = ipv4.range.unwrap_or_else(|| {
            let (first, last) = (*link.pool.start(), *link.pool.end());
            (first, last.min(u32::from(first).saturating_add(MOST_LEASES - 1).into()))
        });
        let link = link.with_pool(first, last).ok()?;
        let ours = self.config.dns.enabled;
        let others = || self.config.dns.upstreams.iter().map(Endpoint::address);
        let ipv4_of = |address: IpAddr| match address.to_canonical() {
            IpAddr::V4(address) => Some(address),
            IpAddr::V6(_) => None,
        };
        Some(Link {
            lease: ipv4.lease,
            // A router that forwards nothing only makes hosts wait.
            routers: if self.v4.forwards { link.routers } else { Vec::new() },
            dns: if ours { link.dns } else { others().filter_map(ipv4_of).collect() },
            domain: ours.then(|| DOMAIN.to_owned()),
            search: if ours { vec![DOMAIN.to_owned()] } else { Vec::new() },
            mtu: lan.config.mtu.and_then(|mtu| u16::try_from(mtu).ok()),
            captive_portal: lan.config.captive_portal.clone(),
            ipv6_mostly: self.mostly(lan).ok(),
            ..link
        })
    }

    /// Whether clients of a LAN may be told to do without IPv4: only where they have IPv6, and a NAT64 that works leads them to IPv4
    /// (RFC 8925 section 4). Otherwise why not.
    fn mostly(&self, lan: &Lan) -> Result<Ipv6Mostly, String> {
        // The ISP's, where there is no other.
        let plat = || Some(Ipv6Net::new_assert(self.plat()?.address(), self.plat()?.length()));
        let pref64 = lan.config.pref64.or_else(plat);
        let wait = self.config.pilot.wait;
        let mostly = Ipv6Mostly::new(pref64, wait).map_err(|error| error.to_string())?;
        if lan.config.ipv4.as_ref().is_some_and(|ipv4| ipv4.lease < wait) {
            return Err(
                "leases are shorter than pilot.wait: the way back would take longer than one".to_owned()
            );
        }
        let own = self.config.nat64.as_ref().map(config::Nat64::net);
        if own == pref64
            && let Some(why) = self.v4.nat64_problems.first()
        {
            return Err(why.clone());
        }
        if !lan.router.is_default_router() || lan.share.prefixes.is_empty() {
            return Err("the LAN has no IPv6 of its own to live on: no prefix, or no way out".to_owned());
        }
        Ok(mostly)
    }
}
