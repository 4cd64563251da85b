//! Names of clients in the zones of a DNS server that takes updates: the socket, and what goes to the disk. Leases of both
//! families go the same way; a client's name is one and the same where both know it by its DUID (RFC 4361).

use super::engine::Engine;
use super::event::{Event, Sender};
use super::problems::Matter;
use super::start::StartError;
use crate::config::{self, Config};
use crate::view;
use sixgate_dhcp::lease::{Lease, LeaseChange, LeaseState, Resource};
use sixgate_dhcp::v4;
use sixgate_dns::update::{Action, Identity, UpdateConfig, Updater};
use sixgate_wire::dhcpv4::{ClientId, ClientIdKind, Message, OptionCode};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::net::{Ipv6Addr, SocketAddrV6};
use std::rc::Rc;
use std::time::Duration;
use tokio::net::UdpSocket;
use tokio::task::spawn_local;

/// Settings that hold what the zones may have of ours, by address.
const SETTING: &str = "ddns.held.";
/// Most addresses that are seen to: as many as there are leases, and more.
const MOST: usize = 1 << 20;
/// Most DHCPv4 clients without an identifier that are remembered as such.
const MOST_BARE: usize = 1 << 16;
/// Longest answer that is read, in octets.
const LONGEST: usize = 4096;

/// What keeps the zones in step.
#[derive(Debug)]
pub(crate) struct Ddns {
    updater: Updater,
    socket: Rc<UdpSocket>,
    server: SocketAddrV6,
    /// What is sent once what it changes is recorded, by the record's token; no more than there are updates under way.
    waiting: HashMap<u64, Vec<Vec<u8>>>,
    /// DHCPv4 clients that send no identifier (option 61), as their leases have them. One that finds no room counts as one that
    /// sends its hardware address there.
    bare: HashSet<ClientId>,
    /// Those that found none.
    bare_overflow: u64,
}

impl Ddns {
    /// Opens the socket and takes up what an earlier run left; nothing where names stay here.
    pub(crate) fn open(
        now: Duration,
        config: &Config,
        settings: &BTreeMap<String, Vec<u8>>,
        events: &Sender,
    ) -> Result<Option<Self>, StartError> {
        let Some(ddns) = &config.ddns else { return Ok(None) };
        // One socket for both families, not connected: at the start there may be no route yet.
        let socket = std::net::UdpSocket::bind((Ipv6Addr::UNSPECIFIED, 0)).map_err(StartError::Ddns)?;
        socket.set_nonblocking(true).map_err(StartError::Ddns)?;
        let socket = Rc::new(UdpSocket::from_std(socket).map_err(StartError::Ddns)?);
        let server = at(ddns);
        let (heard, events) = (Rc::clone(&socket), events.clone());
        spawn_local(async move {
            let mut room = [0; LONGEST];
            loop {
                // Errors are those of what was sent, as when nobody listens there: the updater waits in vain and tries again.
                let Ok((length, from)) = heard.recv_from(&mut room).await else { continue };
                if from.ip() == *server.ip() && from.port() == server.port() {
                    let bytes = room.get(..length).unwrap_or_default().to_vec();
                    let _ = events.send(Event::DdnsAnswer(bytes)).await;
                }
            }
        });
        let update = UpdateConfig {
            zone: ddns.zone.clone(),
            reverse: ddns.reverse.clone(),
            ttl: u32::try_from(ddns.ttl.as_secs()).unwrap_or(u32::MAX),
            key: ddns.key.clone(),
            most: MOST,
        };
        let mut updater = Updater::new(update, fastrand::Rng::new());
        for (key, record) in settings {
            if let Some(Ok(address)) = key.strip_prefix(SETTING).map(str::parse) {
                updater.restore(now, address, record);
            }
        }
        Ok(Some(Self {
            updater,
            socket,
            server,
            waiting: HashMap::new(),
            bare: HashSet::new(),
            bare_overflow: 0,
        }))
    }

    pub(crate) fn poll_timeout(&self) -> Option<Duration> {
        self.updater.poll_timeout()
    }

    /// What cannot be sent now is not answered, and so is sent again.
    fn send(&self, bytes: &[u8]) {
        let _ = self.socket.try_send_to(bytes, self.server.into());
    }

    /// What `sixgate status` shows.
    pub(crate) fn view(&self, config: &Config) -> view::Ddns {
        let (names, pending) = self.updater.settled_and_pending();
        let c = self.updater.counters();
        let ddns = config.ddns.as_ref();
        view::Ddns {
            zone: ddns.map(|ddns| ddns.zone.to_string()).unwrap_or_default(),
            server: ddns.map(|ddns| ddns.server.to_string()).unwrap_or_default(),
            signed: ddns.is_some_and(|ddns| ddns.key.is_some()),
            names: names as u64,
            pending: pending as u64,
            trouble: self.updater.trouble().map(str::to_owned),
            counters: [
                ("sent", c.sent),
                ("added", c.added),
                ("removed", c.removed),
                ("conflicts", c.conflicts),
                ("unusable", c.unusable),
                ("timeouts", c.timeouts),
                ("refused", c.refused),
                ("unverified", c.unverified),
                ("overflow", c.overflow),
                ("without-id-overflow", self.bare_overflow),
            ]
            .map(|(name, count)| (name.to_owned(), count))
            .into(),
        }
    }
}

/// The server's address as our socket has it, port 53 where none is written.
fn at(ddns: &config::Ddns) -> SocketAddrV6 {
    let server = &ddns.server;
    SocketAddrV6::new(server.octets().into(), server.port().unwrap_or(53), 0, 0)
}

impl Engine {
    /// The zones follow a lease, once it is on disk.
    pub(crate) fn ddns_change(&mut self, change: &LeaseChange) {
        let now = self.now();
        let Some(ddns) = &mut self.ddns else { return };
        let Resource::Address(address) = change.resource() else { return };
        let held = match change {
            LeaseChange::Put(lease) => {
                Some(lease).filter(|lease| matches!(lease.state, LeaseState::Bound | LeaseState::Registered))
            }
            LeaseChange::Remove(_) => None,
        };
        let client =
            held.and_then(|lease| Some((lease.hostname.as_deref()?, Identity::Duid(lease.duid.as_bytes()))));
        ddns.updater.want(now, address.into(), client);
    }

    /// A DHCPv4 client's message: whether it has an identifier decides by what the zone knows its client (RFC 4701 section 3.3).
    pub(crate) fn ddns_heard_v4(&mut self, message: &Message<'_>) {
        let Some(ddns) = &mut self.ddns else { return };
        let client = ClientId::hardware(message.header().hardware);
        if message.options().get(OptionCode::CLIENT_ID).is_some() {
            ddns.bare.remove(&client);
        } else if ddns.bare.len() < MOST_BARE {
            ddns.bare.insert(client);
        } else {
            ddns.bare_overflow += 1;
        }
    }

    /// The zones follow a DHCPv4 lease, once it is on disk.
    pub(crate) fn ddns_change_v4(&mut self, change: &v4::LeaseChange) {
        let now = self.now();
        let Some(ddns) = &mut self.ddns else { return };
        let held = match change {
            v4::LeaseChange::Put(lease) if lease.state == LeaseState::Bound => Some(lease),
            _ => None,
        };
        let client = held.and_then(|lease| Some((lease.hostname.as_deref()?, &lease.client)));
        let duid = client.and_then(|(_, id)| match id.kind() {
            ClientIdKind::Duid { duid, .. } => Some(duid),
            _ => None,
        });
        let client = client.map(|(name, id)| {
            let identity = match &duid {
                Some(duid) => Identity::Duid(duid.as_bytes()),
                None if ddns.bare.contains(id) => Identity::Hardware(id.as_bytes()),
                None => Identity::ClientId(id.as_bytes()),
            };
            (name, identity)
        });
        ddns.updater.want(now, change.address().into(), client);
    }

    /// The zones follow what was leased before the start.
    pub(crate) fn ddns_leases(&mut self) {
        if self.ddns.is_none() {
            return;
        }
        let leases: Vec<Lease> = self.server.leases().iter().collect();
        for lease in leases {
            self.ddns_change(&LeaseChange::Put(lease));
        }
    }

    /// Sends what is due.
    pub(crate) fn ddns_timeout(&mut self) {
        let (now, wall) = (self.now(), self.clock.wall().as_secs());
        let Some(ddns) = &mut self.ddns else { return };
        let mut actions = Vec::new();
        ddns.updater.handle_timeout(now, wall, &mut actions);
        self.ddns_actions(actions);
    }

    /// The server answered.
    pub(crate) fn ddns_answer(&mut self, bytes: &[u8]) {
        let (now, wall) = (self.now(), self.clock.wall().as_secs());
        let Some(ddns) = &mut self.ddns else { return };
        let mut actions = Vec::new();
        ddns.updater.handle(now, wall, bytes, &mut actions);
        self.ddns_actions(actions);
    }

    /// A record is on the disk, or will not be: names are better in the zone unrecorded than not at all.
    pub(crate) fn ddns_recorded(&mut self, token: u64) {
        let Some(ddns) = &mut self.ddns else { return };
        for bytes in ddns.waiting.remove(&token).into_iter().flatten() {
            ddns.send(&bytes);
        }
    }

    fn ddns_actions(&mut self, actions: Vec<Action>) {
        let mut recording = None;
        for action in actions {
            match action {
                Action::Record(address, record) => {
                    recording = self.set(&format!("{SETTING}{address}"), record).or(recording);
                }
                // The store writes in order: with the last record all are on the disk.
                Action::Send(bytes) => match (recording, &mut self.ddns) {
                    (Some(token), Some(ddns)) => ddns.waiting.entry(token).or_default().push(bytes),
                    (None, Some(ddns)) => ddns.send(&bytes),
                    (_, None) => {}
                },
            }
        }
        let Some(ddns) = &self.ddns else { return };
        match ddns.updater.trouble() {
            None => self.problems.settled(&Matter::Ddns),
            Some(trouble) => {
                let sentence = format!(
                    "names do not get into the zones of the DNS server {}: {trouble}; {} addresses wait, and are tried again",
                    self.config.ddns.as_ref().map(|ddns| ddns.server.to_string()).unwrap_or_default(),
                    ddns.updater.settled_and_pending().1,
                );
                self.problems.put(Matter::Ddns, sentence);
            }
        }
    }
}
