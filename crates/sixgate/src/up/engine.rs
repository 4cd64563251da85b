//! The engine: one thread that owns every protocol core. An [`Event`] goes to its core, the core's actions are carried
//! out, and [`Engine::settle`] makes the rest of the world follow what changed.

use super::anew::Anew;
use super::census::Observer;
use super::ddns::Ddns;
use super::dns::{Peer, Upstreams};
use super::event::{Event, Side};
use super::health::Probing;
use super::hosts::Hosts;
use super::island::Island;
use super::kernel::Kernel;
use super::lan::Lan;
use super::leasequery;
use super::neighbours::Neighbours;
use super::persist;
use super::plan::Plan;
use super::ports::Ports;
use super::problems::{Matter, Problems};
use super::queries::{Connection, Queries};
use super::reconfigure;
use super::relay::Agent;
use super::requests::Waiting;
use super::reservations::Kept;
use super::sightings::Sightings;
use super::sockets::Sockets;
use super::told::Told;
use super::uplink::Uplink;
use super::v4::{self, V4};
use crate::config::Config;
use crate::nat64::Translator;
use crate::shape::Shaping;
use crate::web::Site;
use ipnet::Ipv6Net;
use sixgate_dhcp::lease::LeaseChange;
use sixgate_dhcp::{client, server};
use sixgate_dns::{Forwarder, Names};
use sixgate_linux::clock::Clock;
use sixgate_linux::nft::{Firewall, FirewallConfig};
use sixgate_linux::route::Netlink;
use sixgate_nd::{host, router};
use sixgate_store::{Change, Store, Submit};
use sixgate_wire::dhcpv6::Duid;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::Ipv6Addr;
use std::rc::Rc;
use std::time::Duration;

/// Tokens of settings in the store have this bit; those of leases are the DHCPv6 server's tickets.
pub(crate) const SETTING: u64 = 1 << 63;

/// How long routers wait for the uplink before they advertise: some hosts resent a router that first says that it is none, and
/// what is learnt right after the first advertisement could not be told for three seconds (RFC 4861 section 6.2.6).
pub(crate) const ROUTER_PATIENCE: Duration = Duration::from_secs(4);

/// Everything that runs while `sixgate up` serves.
pub(crate) struct Engine {
    pub(crate) config: Config,
    pub(crate) clock: Clock,
    pub(crate) started: Duration,
    pub(crate) duid: Duid,
    pub(crate) netlink: Netlink,
    pub(crate) kernel: Kernel,
    pub(crate) firewall: Option<Firewall>,
    pub(crate) nat64: Option<Translator>,
    /// Queues before the uplink and before LANs.
    pub(crate) shaping: Vec<Shaping>,
    pub(crate) health: Option<Probing>,
    pub(crate) web: Option<Rc<Site>>,
    pub(crate) proxy: Option<super::proxy::Proxy>,
    /// IPv4 of the LANs behind the ISP's NAT64.
    pub(crate) island: Option<Island>,
    /// What the firewall was last told.
    pub(crate) rules: Option<FirewallConfig>,
    pub(crate) store: Store,
    /// Leases that are written again.
    pub(crate) anew: Anew,
    pub(crate) settings: u64,
    pub(crate) sockets: Sockets,
    pub(crate) uplink: Option<Uplink>,
    pub(crate) lans: Vec<Lan>,
    pub(crate) server: server::Server,
    /// What the server was last told of the LANs.
    pub(crate) links: Vec<server::Link>,
    /// What was reserved while running.
    pub(crate) kept: Kept,
    /// Lease changes that are on their way to the disk.
    /// Commands of operators that wait for the disk.
    pub(crate) operating: super::lease::Operating,
    pub(crate) committing: HashMap<u64, Vec<LeaseChange>>,
    /// By which a renumbering is noticed.
    pub(crate) given: reconfigure::Given,
    /// Where a LAN is relayed.
    pub(crate) relay: Option<Agent>,
    /// Those who ask about leases, where anybody may.
    pub(crate) leasequery: Option<leasequery::Desk>,
    pub(crate) v4: V4,
    /// What routers send once their record is on disk, by its token.
    pub(crate) recording: HashMap<u64, (usize, Vec<router::Action>)>,
    /// DHCPv6 messages that wait to be answered, and replies to be sent.
    pub(crate) waiting: Waiting,
    pub(crate) told: Told,
    /// Prefixes delegated to routers on the LANs: next hop and LAN.
    pub(crate) delegated: BTreeMap<Ipv6Net, (Ipv6Addr, usize)>,
    pub(crate) forwarder: Forwarder<Peer>,
    pub(crate) names: Names,
    pub(crate) hosts: Hosts,
    /// Which host on a LAN has which address.
    pub(crate) neighbours: Neighbours,
    /// Who was seen with which address, where that is remembered.
    pub(crate) sightings: Option<Sightings>,
    /// Who has which ports of the NAT64's addresses.
    pub(crate) ports: Ports,
    /// Who could live without IPv4, where that is asked.
    pub(crate) census: Option<Box<Observer>>,
    /// Names in another server's zones, where that is asked.
    pub(crate) ddns: Option<Ddns>,
    /// What runs plug-ins, and what came of them.
    pub(crate) feed: Option<super::plugins::Hold>,
    pub(crate) measured: BTreeMap<String, crate::measure::plugins::Measured>,
    pub(crate) upstreams: Upstreams,
    pub(crate) queries: Queries,
    pub(crate) connections: HashMap<u64, Connection>,
    /// Sockets that were found in the kernel's table.
    pub(crate) listeners: Vec<String>,
    pub(crate) plan: Plan,
    pub(crate) problems: Problems,
    /// This boot and namespace; see [`super::before::epoch`].
    pub(crate) epoch: String,
    /// What was last recorded of the addresses that are ours.
    pub(crate) recorded: Vec<u8>,
    /// The wall clock as it was last written down.
    pub(crate) seen: Duration,
    /// When what the kernel refused is tried again.
    pub(crate) retry: Option<Duration>,
    /// Delegated prefixes whose routes are to change.
    pub(crate) rerouted: BTreeSet<Ipv6Net>,
    /// When all that depends on delegated prefixes is brought up to date, and before when not again.
    pub(crate) routes_due: Option<Duration>,
    pub(crate) routes_rest: Duration,
    /// Something changed that prefixes, routes or rules depend on.
    pub(crate) changed: bool,
}

impl Engine {
    /// The time, as all cores know it.
    pub(crate) fn now(&self) -> Duration {
        self.clock.now()
    }

    /// When [`Engine::handle_timeout`] is next due.
    pub(crate) fn poll_timeout(&self) -> Option<Duration> {
        let uplink = self.uplink.iter().flat_map(|uplink| {
            [
                uplink.host.as_ref().and_then(host::Host::poll_timeout),
                uplink.client.as_ref().and_then(client::Client::poll_timeout),
            ]
        });
        let lans = self.lans.iter().map(|lan| lan.router.poll_timeout());
        let patience = self.lans.iter().map(|lan| lan.waits().then_some(self.started + ROUTER_PATIENCE));
        let health = self.health.as_ref().and_then(Probing::poll_timeout);
        let others = [
            self.waiting.poll_timeout(),
            self.routes_due,
            self.server.poll_timeout(),
            self.anew.due(),
            self.v4.poll_timeout(),
            self.relay.as_ref().and_then(Agent::poll_timeout),
            self.forwarder.poll_timeout(),
            self.retry,
            health,
            self.hosts.poll_timeout(),
            self.census_due(),
            self.ddns.as_ref().and_then(Ddns::poll_timeout),
            self.sightings_due(),
            self.ports.due,
            self.leasequery.as_ref().and_then(|desk| desk.core.poll_timeout()),
        ];
        uplink.chain(lans).chain(patience).chain(others).flatten().min()
    }

    /// Lets every core do what is due.
    pub(crate) fn handle_timeout(&mut self) {
        let now = self.now();
        if let Some(host) = self.uplink.as_mut().and_then(|uplink| uplink.host.as_mut()) {
            let mut actions = Vec::new();
            host.handle_timeout(now, &mut actions);
            self.host_actions(actions);
        }
        if let Some(client) = self.uplink.as_mut().and_then(|uplink| uplink.client.as_mut()) {
            let mut actions = Vec::new();
            client.handle_timeout(now, &mut actions);
            self.client_actions(actions);
        }
        if self.lans.iter().any(Lan::waits) && now >= self.started + ROUTER_PATIENCE {
            self.changed = true;
        }
        if self.retry.is_some_and(|retry| now >= retry) {
            self.changed = true;
        }
        for index in 0..self.lans.len() {
            let mut actions = Vec::new();
            if let Some(lan) = self.lans.get_mut(index) {
                lan.router.handle_timeout(now, &mut actions);
            }
            self.router_actions(index, actions);
        }
        let mut actions = Vec::new();
        self.server.handle_timeout(now, &mut actions);
        self.server_actions(actions);
        self.shed_requests();
        self.handle_timeout_v4();
        self.handle_timeout_relay();
        let mut actions = Vec::new();
        self.forwarder.handle_timeout(now, &mut actions);
        self.dns_actions(actions);
        self.health_timeout();
        self.ddns_timeout();
        self.write_census_if_due();
        self.write_sightings_if_due();
        self.write_ports_if_due();
        self.handle_timeout_leasequery();
    }

    /// Takes what happened.
    pub(crate) fn handle(&mut self, event: Event) {
        let now = self.now();
        match event {
            Event::Nd { side: Side::Uplink, source, hop_limit, bytes } => {
                let mut actions = Vec::new();
                if let Some(host) = self.uplink.as_mut().and_then(|uplink| uplink.host.as_mut()) {
                    host.handle(now, source, hop_limit, &bytes, &mut actions);
                }
                self.host_actions(actions);
            }
            Event::Nd { side: Side::Lan(index), source, hop_limit, bytes } => {
                self.solicited(index, source, hop_limit, &bytes);
                let mut actions = Vec::new();
                if let Some(lan) = self.lans.get_mut(index) {
                    lan.router.handle(now, source, hop_limit, &bytes, &mut actions);
                }
                self.router_actions(index, actions);
            }
            Event::Dhcp6Client { source, destination, bytes } => {
                let mut actions = Vec::new();
                if let Some(client) = self.uplink.as_mut().and_then(|uplink| uplink.client.as_mut()) {
                    client.handle(now, (source, destination), &bytes, &mut actions);
                }
                self.client_actions(actions);
            }
            Event::RelayAsked(asked) => self.relay_asked(asked),
            Event::Dhcp6Relay { source, interface, bytes } => self.relay_answered(source, interface, &bytes),
            Event::Dhcp6Readable { at, drained } => {
                let _ = drained.send(self.read_requests(at));
            }
            Event::Dhcp4 { lan, source, bytes } => self.handle_v4(lan, source, &bytes),
            Event::DnsReadable { lan, drained } => {
                let _ = drained.send(self.read_queries(lan));
            }
            Event::DnsQuery { lan, connection, bytes } => self.query_on(lan, connection, &bytes),
            Event::DnsAnswer { token, answer } => {
                let mut actions = Vec::new();
                if let Some((from, bytes)) = answer {
                    self.look_at_clock();
                    self.forwarder.handle_answer(now, from, token, &bytes, &mut actions);
                } else {
                    self.upstreams.done(token);
                    self.forwarder.handle_failure(now, token, &mut actions);
                }
                self.dns_actions(actions);
            }
            Event::DnsConnected { lan, connection, client } => self.connected(lan, connection, client),
            Event::DnsClosed { connection } => {
                self.connections.remove(&connection);
            }
            Event::DdnsAnswer(bytes) => self.ddns_answer(&bytes),
            Event::Probed { id, outcome } => self.health_probed(id, outcome),
            Event::Watched { lan, seen } => self.census_watched(lan, seen),
            Event::Kernel(events) => {
                for event in events {
                    self.kernel_event(event);
                }
            }
            Event::Stored(outcomes) => {
                for (token, outcome) in outcomes {
                    self.stored(token, &outcome);
                }
                self.send_dhcp();
            }
            Event::PortsGiven => self.ports_given(),
            Event::Leasequery(talk) => self.leasequery(talk),
            Event::Measured(run) => self.measured(run),
            Event::Control(request) => self.control(request),
        }
    }

    fn host_actions(&mut self, actions: Vec<host::Action>) {
        for action in actions {
            match action {
                host::Action::Send { destination, bytes } => {
                    self.sockets.send_nd(Side::Uplink, destination, &bytes);
                }
                host::Action::Changed => self.changed = true,
            }
        }
    }

    pub(crate) fn client_actions(&mut self, actions: Vec<client::Action>) {
        for action in actions {
            match action {
                client::Action::Send { bytes } => {
                    let from = self.uplink.as_ref().and_then(|uplink| uplink.link_local);
                    self.sockets.send_client(from, &bytes);
                }
                client::Action::Save(binding) => {
                    self.set(persist::BINDING, Some(binding.to_bytes()));
                }
                client::Action::Changed(binding) => {
                    self.tell_of(&binding);
                    self.changed = true;
                }
                client::Action::Lost => {
                    tracing::warn!("the ISP's leases are gone");
                    self.set(persist::BINDING, None);
                    self.changed = true;
                }
                client::Action::Released => {
                    tracing::info!("leases given back to the ISP");
                    if let Some(uplink) = &mut self.uplink {
                        uplink.released = true;
                    }
                }
            }
        }
    }

    /// Logs what is new in what the ISP gives; renewals are of no interest.
    fn tell_of(&mut self, binding: &client::Binding) {
        let Some(uplink) = &mut self.uplink else { return };
        let held: Vec<Ipv6Net> = (binding.prefixes.iter().map(|prefix| prefix.prefix))
            .chain(binding.addresses.iter().map(|address| address.address.into()))
            .collect();
        for net in held.iter().filter(|net| !uplink.told.contains(net)) {
            let what = if net.prefix_len() == 128 { "address leased" } else { "prefix delegated" };
            tracing::info!(what = %net, server = %binding.server, "{what}");
        }
        for net in uplink.told.iter().filter(|net| !held.contains(net)) {
            tracing::info!(what = %net, "no longer given by the ISP");
        }
        uplink.told = held;
    }

    pub(crate) fn router_actions(&mut self, index: usize, actions: Vec<router::Action>) {
        let mut actions = actions.into_iter();
        while let Some(action) = actions.next() {
            match action {
                router::Action::Send { destination, bytes } => {
                    self.sockets.send_nd(Side::Lan(index), destination, &bytes);
                }
                router::Action::Record(prefixes) => {
                    let Some(lan) = self.lans.get(index) else { continue };
                    let key = persist::advertised_key(&lan.config.name);
                    // Deprecated prefixes change what the kernel holds, too.
                    self.changed = true;
                    // What follows tells hosts of what is recorded here: it waits until the record is on disk.
                    if let Some(token) = self.set(&key, Some(persist::encode_advertised(&prefixes))) {
                        self.recording.insert(token, (index, actions.collect()));
                        return;
                    }
                }
                router::Action::Noticed(other) => {
                    let lan = self.lans.get(index).map_or("", |lan| lan.config.interface.value.as_str());
                    tracing::warn!(lan, router = %other.address, "another router advertises on this LAN");
                }
            }
        }
    }

    pub(crate) fn server_actions(&mut self, actions: server::Actions) {
        for action in actions {
            match action {
                server::Action::Reply(reply) => self.reply_dhcp(reply),
                server::Action::Commit { ticket, changes } => {
                    let taken = self.store.submit_leases(self.now(), &changes, ticket);
                    self.committing.insert(ticket, changes);
                    if !taken {
                        self.stored(ticket, &Err("its queue is full".to_owned()));
                    }
                }
                server::Action::Agreed(client, way) => self.keep_agreed(&client, way.as_ref()),
                server::Action::Disagreed(client) => self.forget_agreed(&client),
                server::Action::RouteAdd(route) => {
                    if let Some(lan) = self.lan_by_name(&route.link) {
                        self.tell_of_route(&route);
                        self.delegated.insert(route.prefix, (route.via, lan));
                        self.route_changed(route.prefix);
                    }
                }
                server::Action::RouteRemove { prefix } => {
                    self.delegated.remove(&prefix);
                    self.route_changed(prefix);
                }
            }
        }
    }

    /// Makes a setting durable. The token comes back when it is; `None` where the store takes no more.
    pub(crate) fn set(&mut self, key: &str, value: Option<Vec<u8>>) -> Option<u64> {
        let token = self.set_all(vec![Change::Setting { key: key.to_owned(), value }]);
        if token.is_none() {
            self.problems.put(Matter::Store, format!("the store takes no more: {key} is not kept"));
        }
        token
    }

    /// Makes settings durable, all at once or none; as [`Engine::set`].
    pub(crate) fn set_all(&mut self, settings: Vec<Change>) -> Option<u64> {
        self.settings += 1;
        let token = SETTING | self.settings;
        matches!(self.store.submit(self.now(), settings, token), Submit::Queued).then_some(token)
    }

    /// The store wrote a submission, or could not.
    fn stored(&mut self, token: u64, outcome: &Result<(), String>) {
        let now = self.now();
        match outcome {
            Ok(()) => self.problems.settled(&Matter::Store),
            Err(error) => {
                let sentence = format!("the store cannot be written: {error}");
                // Once, and not for every client that asks meanwhile.
                if !self.problems.about(&Matter::Store).contains(&sentence) {
                    tracing::error!(%error, "cannot write to the store: what was to be told to clients is held back");
                }
                self.problems.put(Matter::Store, sentence);
            }
        }
        if token & SETTING != 0 {
            self.written_anew(token, outcome.is_ok());
            self.reservation_stored(token, outcome);
            // With a disk that takes nothing, hosts are better told unrecorded than not at all.
            if let Some((lan, actions)) = self.recording.remove(&token) {
                self.router_actions(lan, actions);
            }
            self.ddns_recorded(token);
            return;
        }
        if token & v4::TICKET != 0 {
            self.stored_v4(token, outcome);
            return;
        }
        if outcome.is_ok() {
            self.tell_requestors(token);
        }
        let changes = self.committing.remove(&token).unwrap_or_default();
        if outcome.is_ok() {
            let mut actions = Vec::new();
            self.server.committed(token, &mut actions);
            self.server_actions(actions);
            for change in changes {
                self.name_change(&change);
            }
        } else {
            // The store may write it later nevertheless: the server then overwrites it.
            self.server.commit_failed(now, token);
        }
        self.operated(token, outcome);
    }

    /// Lets names follow a lease.
    pub(crate) fn name_change(&mut self, change: &LeaseChange) {
        self.tell_of_lease(change);
        self.host_of(change);
        self.ddns_change(change);
    }

    pub(crate) fn lan_by_name(&self, name: &str) -> Option<usize> {
        self.lans.iter().position(|lan| lan.config.name == name)
    }
}
