//! The engine: one thread that owns every protocol core. An [`Event`] goes to its core, the core's actions are carried
//! out, and [`Engine::settle`] makes the rest of the world follow what changed.

use super::dns::{Peer, Upstreams};
use super::event::{Event, Side};
use super::kernel::{AddressKey, AddressValue, Desired, Kernel, RouteKey, To};
use super::lan::Lan;
use super::plan::{self, Delegated, Plan};
use super::problems::{Matter, Problems};
use super::sockets::Sockets;
use super::uplink::Uplink;
use super::{before, persist, resolv};
use crate::config::Config;
use ipnet::Ipv6Net;
use sixgate_dhcp::lease::{LeaseChange, LeaseState, Resource};
use sixgate_dhcp::{client, server};
use sixgate_dns::{Forwarder, Names};
use sixgate_linux::clock::Clock;
use sixgate_linux::monitor;
use sixgate_linux::nft::{Firewall, FirewallConfig, LanRules};
use sixgate_linux::route::{Link, Netlink};
use sixgate_nd::{host, router};
use sixgate_store::{Change, Store, Submit};
use sixgate_wire::dhcpv6::Duid;
use std::collections::{BTreeMap, HashMap};
use std::net::{Ipv6Addr, SocketAddr, SocketAddrV6};
use std::time::Duration;
use tokio::sync::mpsc;

/// Tokens of settings in the store have this bit; those of leases are the DHCPv6 server's tickets.
const SETTING: u64 = 1 << 63;

/// How long routers wait for the uplink before they advertise: some hosts resent a router that first says that it is none, and
/// what is learnt right after the first advertisement could not be told for three seconds (RFC 4861 section 6.2.6).
const ROUTER_PATIENCE: Duration = Duration::from_secs(4);

/// When to try again what the kernel, or the disk, refused.
const RETRY: Duration = Duration::from_secs(5);

/// Everything that runs while `sixgate up` serves.
pub(crate) struct Engine {
    pub(crate) config: Config,
    pub(crate) clock: Clock,
    pub(crate) started: Duration,
    pub(crate) duid: Duid,
    pub(crate) netlink: Netlink,
    pub(crate) kernel: Kernel,
    pub(crate) firewall: Option<Firewall>,
    /// What the firewall was last told.
    pub(crate) rules: Option<FirewallConfig>,
    pub(crate) store: Store,
    pub(crate) settings: u64,
    pub(crate) sockets: Sockets,
    pub(crate) uplink: Option<Uplink>,
    pub(crate) lans: Vec<Lan>,
    pub(crate) server: server::Server,
    /// What the server was last told of the LANs.
    pub(crate) links: Vec<server::Link>,
    /// Lease changes that are on their way to the disk.
    pub(crate) committing: HashMap<u64, Vec<LeaseChange>>,
    /// What routers send once their record is on disk, by its token.
    pub(crate) recording: HashMap<u64, (usize, Vec<router::Action>)>,
    /// Who holds what, for names.
    pub(crate) holders: HashMap<Resource, Duid>,
    /// Prefixes delegated to routers on the LANs: next hop and LAN.
    pub(crate) delegated: BTreeMap<Ipv6Net, (Ipv6Addr, usize)>,
    pub(crate) forwarder: Forwarder<Peer>,
    pub(crate) names: Names,
    pub(crate) upstreams: Upstreams,
    pub(crate) connections: HashMap<u64, mpsc::Sender<Vec<u8>>>,
    /// Sockets that were found in the kernel's table.
    pub(crate) listeners: Vec<String>,
    pub(crate) plan: Plan,
    pub(crate) problems: Problems,
    /// This boot and namespace; see [`before::epoch`].
    pub(crate) epoch: String,
    /// What was last recorded of the addresses that are ours.
    pub(crate) recorded: Vec<u8>,
    /// When what the kernel refused is tried again.
    pub(crate) retry: Option<Duration>,
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
        let others = [self.server.poll_timeout(), self.forwarder.poll_timeout(), self.retry];
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
        let mut actions = Vec::new();
        self.forwarder.handle_timeout(now, &mut actions);
        self.dns_actions(actions);
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
                let mut actions = Vec::new();
                if let Some(lan) = self.lans.get_mut(index) {
                    lan.router.handle(now, source, hop_limit, &bytes, &mut actions);
                }
                self.router_actions(index, actions);
            }
            Event::Dhcp6Client { source, bytes } => {
                let mut actions = Vec::new();
                if let Some(client) = self.uplink.as_mut().and_then(|uplink| uplink.client.as_mut()) {
                    client.handle(now, source, &bytes, &mut actions);
                }
                self.client_actions(actions);
            }
            Event::Dhcp6Server { lan, source, bytes } => {
                let Some(link) = self.lans.get(lan).map(|lan| lan.config.name.clone()) else { return };
                let mut actions = Vec::new();
                let datagram =
                    server::Datagram { link: &link, source: *source.ip(), bytes: &bytes, link_layer: None };
                self.server.handle(now, &datagram, &mut actions);
                self.server_actions(actions);
            }
            Event::DnsQuery { peer, bytes } => {
                let transport = match peer {
                    Peer::Udp { .. } => sixgate_dns::Transport::Udp,
                    Peer::Tcp { .. } => sixgate_dns::Transport::Tcp,
                };
                let client = sixgate_dns::Client { peer, transport, udp_limit: 1232 };
                let mut actions = Vec::new();
                self.forwarder.handle_query(now, client, &bytes, &self.names, &mut actions);
                self.dns_actions(actions);
            }
            Event::DnsAnswer { token, answer } => {
                let mut actions = Vec::new();
                if let Some((from, bytes)) = answer {
                    self.forwarder.handle_answer(now, from, token, &bytes, &mut actions);
                } else {
                    self.upstreams.done(token);
                    self.forwarder.handle_failure(now, token, &mut actions);
                }
                self.dns_actions(actions);
            }
            Event::DnsConnected { connection, replies } => {
                self.connections.insert(connection, replies);
            }
            Event::DnsClosed { connection } => {
                self.connections.remove(&connection);
            }
            Event::Kernel(events) => {
                for event in events {
                    self.kernel_event(event);
                }
            }
            Event::Stored(outcomes) => {
                for (token, outcome) in outcomes {
                    self.stored(token, &outcome);
                }
            }
            Event::Control(request) => {
                let json = self.view(&request.view);
                let _ = request.answer.send(json);
            }
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
                client::Action::Send { bytes } => self.sockets.send_client(&bytes),
                client::Action::Save(binding) => {
                    self.set(persist::BINDING, Some(binding.to_bytes()));
                }
                client::Action::Changed(binding) => {
                    for prefix in &binding.prefixes {
                        tracing::info!(prefix = %prefix.prefix, server = %binding.server, "prefix delegated");
                    }
                    for address in &binding.addresses {
                        tracing::info!(address = %address.address, server = %binding.server, "address leased");
                    }
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

    fn server_actions(&mut self, actions: server::Actions) {
        for action in actions {
            match action {
                server::Action::Reply(reply) => {
                    let Some(lan) = self.lan_by_name(&reply.link) else { continue };
                    let scope = self.lans.get(lan).map_or(0, |lan| lan.interface);
                    let to = SocketAddrV6::new(reply.destination, reply.port, 0, scope);
                    self.sockets.send_server(lan, to, &reply.bytes);
                }
                server::Action::Commit { ticket, changes } => {
                    self.committing.insert(ticket, changes.clone());
                    let changes = changes.into_iter().map(Change::Lease).collect();
                    if let Submit::Refused(_) = self.store.submit(self.now(), changes, ticket) {
                        self.stored(ticket, &Err("its queue is full".to_owned()));
                    }
                }
                server::Action::RouteAdd(route) => {
                    if let Some(lan) = self.lan_by_name(&route.link) {
                        tracing::info!(prefix = %route.prefix, via = %route.via, lan = %route.link, "prefix delegated on");
                        self.delegated.insert(route.prefix, (route.via, lan));
                        self.changed = true;
                    }
                }
                server::Action::RouteRemove { prefix } => {
                    self.delegated.remove(&prefix);
                    self.changed = true;
                }
            }
        }
    }

    fn dns_actions(&mut self, actions: Vec<sixgate_dns::Action<Peer>>) {
        for action in actions {
            match action {
                sixgate_dns::Action::Reply { client, bytes } => match client.peer {
                    Peer::Udp { lan, source, destination, interface } => {
                        self.sockets.send_dns(lan, source, (destination, interface), &bytes);
                    }
                    Peer::Tcp { connection } => {
                        // A connection that does not read its replies loses them; it has asked for too much.
                        if let Some(replies) = self.connections.get(&connection) {
                            let _ = replies.try_send(bytes);
                        }
                    }
                },
                sixgate_dns::Action::Query { token, upstream, transport, bytes } => {
                    self.upstreams.query(token, upstream, transport, bytes);
                }
                sixgate_dns::Action::Done { token } => self.upstreams.done(token),
            }
        }
    }

    /// Makes a setting durable. The token comes back when it is; `None` where the store takes no more.
    pub(crate) fn set(&mut self, key: &str, value: Option<Vec<u8>>) -> Option<u64> {
        self.settings += 1;
        let token = SETTING | self.settings;
        let change = Change::Setting { key: key.to_owned(), value };
        match self.store.submit(self.now(), vec![change], token) {
            Submit::Queued => Some(token),
            Submit::Refused(_) => {
                self.problems.put(Matter::Store, format!("the store takes no more: {key} is not kept"));
                None
            }
        }
    }

    /// The store wrote a submission, or could not.
    fn stored(&mut self, token: u64, outcome: &Result<(), String>) {
        let now = self.now();
        match outcome {
            Ok(()) => self.problems.settled(&Matter::Store),
            Err(error) => {
                tracing::error!(%error, "cannot write to the store: what was to be told to clients is held back");
                self.problems.put(Matter::Store, format!("the store cannot be written: {error}"));
            }
        }
        if token & SETTING != 0 {
            // With a disk that takes nothing, hosts are better told unrecorded than not at all.
            if let Some((lan, actions)) = self.recording.remove(&token) {
                self.router_actions(lan, actions);
            }
            return;
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
    }

    /// Lets names follow a lease.
    pub(crate) fn name_change(&mut self, change: &LeaseChange) {
        match change {
            LeaseChange::Put(lease) => {
                if lease.state == LeaseState::Bound
                    && self.holders.insert(lease.resource, lease.duid.clone()).is_none()
                {
                    tracing::info!(lease = %lease.resource, lan = %lease.link, client = %lease.duid,
                        name = lease.hostname.as_deref().unwrap_or("-"), "leased");
                }
                self.name(&lease.duid.clone());
            }
            LeaseChange::Remove(resource) => {
                if let Some(duid) = self.holders.remove(resource) {
                    tracing::info!(lease = %resource, client = %duid, "ended");
                    self.name(&duid);
                }
            }
        }
    }

    /// Gives a client the name that its leases carry, or takes it away with the last of them.
    fn name(&mut self, duid: &Duid) {
        let mut hostname = None;
        let mut addresses = Vec::new();
        for lease in
            self.server.leases().held_by_client(duid).filter(|lease| lease.state == LeaseState::Bound)
        {
            if let Resource::Address(address) = lease.resource {
                addresses.push(address);
                hostname = hostname.or(lease.hostname.as_deref());
            }
        }
        let Some(hostname) = hostname else {
            self.names.remove(duid.as_bytes());
            return;
        };
        let hostname = hostname.to_owned();
        match self.names.set(duid.as_bytes(), &hostname, &addresses) {
            Ok(label) => tracing::debug!(name = label, ?addresses, "named"),
            Err(error) => tracing::info!(%error, "no name"),
        }
    }

    fn kernel_event(&mut self, event: monitor::Event) {
        match event {
            monitor::Event::Link(link) => self.link(&link),
            monitor::Event::LinkGone { index, .. } => self.link_gone(index),
            monitor::Event::Address(address) => self.address(&address),
            monitor::Event::AddressGone(address) => {
                self.kernel.address_gone(address.interface, address.address);
                self.changed = true;
            }
            monitor::Event::Overrun => self.resynchronise(),
            _ => {}
        }
    }

    /// Asks the kernel for everything that notifications would have told.
    pub(crate) fn resynchronise(&mut self) {
        match (self.netlink.links(), self.netlink.addresses(None)) {
            (Ok(links), Ok(addresses)) => {
                let ours = (self.uplink.iter().map(|uplink| uplink.interface))
                    .chain(self.lans.iter().map(|lan| lan.interface));
                let gone: Vec<u32> =
                    ours.filter(|ours| !links.iter().any(|link| link.index == *ours)).collect();
                for link in links {
                    self.link(&link);
                }
                for index in gone {
                    self.link_gone(index);
                }
                for address in addresses {
                    self.address(&address);
                }
            }
            (Err(error), _) | (_, Err(error)) => {
                tracing::error!(%error, "the kernel cannot be asked");
                self.problems.put(Matter::Kernel, format!("the kernel cannot be asked: {error}"));
            }
        }
    }

    /// A link is new or changed.
    fn link(&mut self, link: &Link) {
        // The kernel takes addresses and routes from a link that is switched off; it leaves them on one without a carrier, and there we
        // take them away ourselves.
        if !link.up {
            self.kernel.link_down(link.index);
        }
        if self.carry(link.index, link.running) && link.running {
            // The kernel tells nothing of addresses that stayed while the cable was out.
            match self.netlink.addresses(Some(link.index)) {
                Ok(addresses) => addresses.iter().for_each(|address| self.address(address)),
                Err(error) => tracing::error!(%error, "the kernel cannot be asked for addresses"),
            }
        }
    }

    /// A link is no more, or has moved to another namespace.
    fn link_gone(&mut self, index: u32) {
        self.kernel.link_down(index);
        self.carry(index, false);
        let ours = (self.uplink.iter().filter(|uplink| uplink.interface == index).map(Uplink::name)).chain(
            self.lans
                .iter()
                .filter(|lan| lan.interface == index)
                .map(|lan| lan.config.interface.value.as_str()),
        );
        for name in ours.map(str::to_owned).collect::<Vec<_>>() {
            tracing::error!(interface = name, "interface is gone");
            let sentence =
                format!("interface {name} is gone; bring it back, then restart sixgate to serve it again");
            self.problems.put(Matter::Interface(name), sentence);
        }
    }

    /// A link can carry packets, or no longer; whether that is news about one of ours.
    fn carry(&mut self, index: u32, running: bool) -> bool {
        let now = self.now();
        let mut news = false;
        if let Some(uplink) =
            self.uplink.as_mut().filter(|uplink| uplink.interface == index && uplink.up != running)
        {
            tracing::info!(interface = uplink.name(), up = running, "uplink");
            uplink.up = running;
            news = true;
            self.changed = true;
            if running {
                self.start_uplink(now);
            } else {
                uplink.link_local = None;
                let mut actions = Vec::new();
                if let Some(client) = &mut uplink.client {
                    client.link_down(now, &mut actions);
                }
                let mut lost = Vec::new();
                if let Some(mut host) = uplink.host.take() {
                    host.stop(&mut lost);
                }
                self.client_actions(actions);
            }
        }
        if let Some(lan) = self.lans.iter_mut().find(|lan| lan.interface == index && lan.up != running) {
            tracing::info!(interface = lan.config.interface.value, up = running, "lan");
            lan.up = running;
            news = true;
            if !running {
                lan.link_local = None;
                // Nobody hears the farewell; with the link comes a burst of advertisements, since other hosts may be on it then.
                lan.router.stop(now, &mut Vec::new());
            }
            self.changed = true;
        }
        news
    }

    /// An address appeared or changed: a link-local one that is no longer tentative is what everything waits for.
    fn address(&mut self, address: &sixgate_linux::route::Address) {
        let now = self.now();
        if address.dadfailed {
            self.duplicate(address.interface, address.address);
            return;
        }
        if address.tentative || !address.address.is_unicast_link_local() {
            return;
        }
        if let Some(uplink) = self.uplink.as_mut().filter(|uplink| uplink.interface == address.interface)
            && uplink.link_local != Some(address.address)
        {
            uplink.link_local = Some(address.address);
            self.start_uplink(now);
        }
        let Some(index) = self.lans.iter().position(|lan| lan.interface == address.interface) else { return };
        if let Some(lan) = self.lans.get_mut(index)
            && lan.link_local != Some(address.address)
        {
            lan.link_local = Some(address.address);
            self.changed = true;
        }
    }

    /// Somebody else has an address that we wanted.
    fn duplicate(&mut self, interface: u32, address: Ipv6Addr) {
        let now = self.now();
        let sentence = format!("{address} is in use by another host on the link; sixgate does without it");
        self.problems.put(Matter::Address(address), sentence);
        tracing::error!(%address, "address is in use by another host");
        let mut actions = Vec::new();
        if let Some(uplink) = self.uplink.as_mut().filter(|uplink| uplink.interface == interface)
            && let Some(client) = &mut uplink.client
        {
            client.decline(now, &[address], &mut actions);
        }
        self.client_actions(actions);
    }

    /// Begins on the uplink as soon as the link is up and has its link-local address.
    fn start_uplink(&mut self, now: Duration) {
        let Some(uplink) = self.uplink.as_mut() else { return };
        let (true, Some(link_local)) = (uplink.up, uplink.link_local) else { return };
        uplink.start_host(now, link_local);
        let mut actions = Vec::new();
        if let Some(client) = &mut uplink.client {
            client.link_up(now, &mut actions);
        }
        self.changed = true;
        self.client_actions(actions);
    }

    pub(crate) fn lan_by_name(&self, name: &str) -> Option<usize> {
        self.lans.iter().position(|lan| lan.config.name == name)
    }

    /// Makes prefixes, routes, rules, resolvers and names follow what changed. Cheap when nothing did.
    pub(crate) fn settle(&mut self) {
        // A change can bring another (a router records what it told): bounded, since each settles something.
        for _ in 0..4 {
            if !std::mem::take(&mut self.changed) {
                return;
            }
            self.settle_once();
        }
    }

    fn settle_once(&mut self) {
        let now = self.now();
        let delegated = self.uplink.as_ref().map_or_else(Vec::new, |uplink| uplink.delegated(now));
        let lans: Vec<_> = self.lans.iter().map(|lan| lan.config.clone()).collect();
        let plan = plan::plan(&delegated, &lans);
        for problem in plan.problems.iter().filter(|problem| !self.plan.problems.contains(problem)) {
            tracing::warn!("{problem}");
        }
        let dns = self.config.dns.enabled;
        let behind: Vec<Ipv6Net> = (delegated.iter().map(|from| from.prefix))
            .chain(self.lans.iter().flat_map(|lan| lan.config.prefixes.iter().copied()))
            .collect();
        // Without a default route of our own we are no default router (RFC 7084 G-4); without an uplink we are the ISP's end.
        let default_route = self.uplink.as_ref().is_none_or(Uplink::has_default_route);
        for (lan, share) in self.lans.iter_mut().zip(&plan.shares) {
            if lan.share != *share {
                for prefix in &share.prefixes {
                    if !lan.share.prefixes.iter().any(|old| old.net == prefix.net) {
                        tracing::info!(interface = lan.config.interface.value, prefix = %prefix.net, "lan has prefix");
                    }
                }
                lan.share = share.clone();
            }
            let advertised = lan.advertised();
            lan.router.set_config(now, lan.router_config(dns, &behind));
            lan.router.set_prefixes(now, advertised);
            lan.router.set_default_route(now, default_route);
            let complete = default_route && !lan.share.prefixes.is_empty();
            if lan.waits() && (complete || now >= self.started + ROUTER_PATIENCE) {
                lan.router.start(now);
            }
        }
        self.plan = plan;
        let links: Vec<server::Link> = self.lans.iter().map(|lan| lan.link(dns)).collect();
        if self.links != links {
            let mut actions = Vec::new();
            self.server.set_links(now, links.clone(), &mut actions);
            self.links = links;
            self.server_actions(actions);
        }
        self.settle_names();
        self.settle_firewall();
        let desired = self.desired(now, &delegated);
        let refused = self.kernel.apply(&mut self.netlink, now, desired);
        for problem in
            refused.iter().filter(|problem| !self.problems.about(&Matter::Kernel).contains(problem))
        {
            tracing::error!("{problem}");
        }
        self.problems.replace(Matter::Kernel, refused);
        let record = before::encode_addresses(self.kernel.addresses(), &self.epoch);
        if record != self.recorded && self.set(before::ADDRESSES, Some(record.clone())).is_some() {
            self.recorded = record;
        }
        self.settle_resolvers();
        let refused = [Matter::Kernel, Matter::Firewall, Matter::ResolvConf]
            .iter()
            .any(|m| !self.problems.about(m).is_empty());
        self.retry = refused.then(|| now + RETRY);
    }

    fn settle_names(&mut self) {
        let prefixes: Vec<Ipv6Net> =
            self.lans.iter().flat_map(|lan| lan.share.prefixes.iter().map(|prefix| prefix.net)).collect();
        let gateway: Vec<Ipv6Addr> = self.lans.iter().flat_map(Lan::resolvers).collect();
        self.names.set_prefixes(&prefixes);
        self.names.set_gateway(&gateway);
    }

    fn settle_resolvers(&mut self) {
        let learnt = self.uplink.as_ref().map_or_else(Vec::new, Uplink::resolvers);
        let upstreams: Vec<SocketAddr> = if self.config.dns.upstreams.is_empty() {
            learnt.iter().map(|resolver| SocketAddr::V6(*resolver)).collect()
        } else {
            self.config.dns.upstreams.clone()
        };
        self.forwarder.set_upstreams(&upstreams);
        if let Some(uplink) = &mut self.uplink
            && let Some(path) = uplink.config.resolv_conf.clone()
        {
            let text = resolv::text(&learnt, uplink.name(), &uplink.domains());
            if uplink.resolv_conf.as_ref() != Some(&text) {
                match std::fs::write(&path, &text) {
                    Ok(()) => {
                        uplink.resolv_conf = Some(text);
                        self.problems.settled(&Matter::ResolvConf);
                    }
                    Err(error) => {
                        let sentence = format!("cannot write {}: {error}", path.display());
                        self.problems.put(Matter::ResolvConf, sentence);
                    }
                }
            }
        }
    }

    fn settle_firewall(&mut self) {
        let Some(firewall) = &mut self.firewall else { return };
        let rules = FirewallConfig {
            uplink: self.uplink.as_ref().map(|uplink| uplink.name().to_owned()),
            delegated: self.uplink.as_ref().map_or_else(Vec::new, |uplink| {
                let prefixes = uplink.binding().map_or(&[][..], |binding| &binding.prefixes);
                prefixes.iter().flat_map(|p| plan::without(p.prefix, p.excluded)).collect()
            }),
            lans: (self.lans.iter().enumerate())
                .map(|(index, lan)| LanRules {
                    interface: lan.config.interface.value.clone(),
                    // Deprecated prefixes too: connections that began before a renumbering end by themselves.
                    prefixes: (lan.router.advertised().iter().map(|told| told.prefix))
                        .chain(lan.share.prefixes.iter().map(|prefix| prefix.net))
                        .chain(
                            self.delegated
                                .iter()
                                .filter(|(_, (_, on))| *on == index)
                                .map(|(prefix, _)| *prefix),
                        )
                        .collect::<std::collections::BTreeSet<_>>()
                        .into_iter()
                        .collect(),
                })
                .collect(),
        };
        if self.rules.as_ref() == Some(&rules) {
            return;
        }
        match firewall.apply(&rules) {
            Ok(()) => {
                self.rules = Some(rules);
                self.problems.settled(&Matter::Firewall);
            }
            Err(error) => {
                tracing::error!(%error, "the firewall's rules could not be changed: the old ones stand");
                self.problems.put(Matter::Firewall, error.to_string());
            }
        }
    }

    /// The addresses and routes that the kernel shall hold.
    fn desired(&self, now: Duration, delegated: &[Delegated]) -> Desired {
        let mut desired = Desired::default();
        if let Some(uplink) = &self.uplink {
            uplink.desire(now, &mut desired);
        }
        for destination in delegated.iter().flat_map(|from| plan::without(from.prefix, from.excluded)) {
            desired.routes.push(RouteKey { destination, to: To::Unreachable, metric: 4096 });
        }
        for lan in self.lans.iter().filter(|lan| lan.up) {
            let current = lan.share.prefixes.iter().map(|p| (p.net, p.preferred_until, p.valid_until));
            // What hosts were told before and may still use: kept, deprecated, so that the LAN itself goes on working.
            let stale = (lan.router.advertised().into_iter())
                .filter(|told| !lan.share.prefixes.iter().any(|prefix| prefix.net == told.prefix))
                .map(|told| (told.prefix, Duration::ZERO, told.valid_until));
            for (net, preferred_until, valid_until) in
                current.chain(stale).filter(|(_, _, valid)| *valid > now)
            {
                let key = AddressKey { interface: lan.interface, address: Lan::gateway(net) };
                let value = AddressValue { prefix_length: net.prefix_len(), preferred_until, valid_until };
                desired.addresses.entry(key).or_insert(value);
            }
            for pool in lan.config.delegate_from.iter().filter(|_| lan.config.delegate) {
                let route = RouteKey { destination: *pool, to: To::Unreachable, metric: 4096 };
                if !desired.routes.contains(&route) {
                    desired.routes.push(route);
                }
            }
        }
        for (prefix, (via, lan)) in &self.delegated {
            if let Some(lan) = self.lans.get(*lan).filter(|lan| lan.up) {
                let to = To::Gateway { gateway: *via, interface: lan.interface };
                desired.routes.push(RouteKey { destination: *prefix, to, metric: 1024 });
            }
        }
        desired
    }
}
