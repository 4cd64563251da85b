//! DNS queries of the LANs, from the datagram or the connection to the reply.
//!
//! Datagrams are read, answered and sent in batches by the engine itself: the reading task only says that there are some,
//! so that a query costs neither a copy nor a place in the queue of events, and waits in the kernel while others are busy.

use super::dns::Peer;
use super::engine::Engine;
use super::lan::Lan;
use ipnet::{IpNet, Ipv6Net};
use sixgate_dns::{Action, Client, Config, Gate, Ticket, Transport, limits, udp_limit};
use sixgate_linux::socket::Slot;
use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;
use tokio::sync::mpsc;

/// Datagrams in one batch.
const BATCH: usize = 32;
/// Batches that are answered before it is somebody else's turn.
const TURNS: usize = 4;
/// The log tells of limits this often at most.
const TELL: Duration = Duration::from_mins(1);
/// Longest query that is read, in octets: what is longer is cut, and then its parser refuses it.
const LONGEST: usize = 4096;

/// RFC 4291 section 2.5.6.
const LINK_LOCAL: Ipv6Net = Ipv6Net::new_assert(Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0), 10);

/// A connection that replies go to.
#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) source: IpAddr,
    pub(crate) replies: mpsc::Sender<Vec<u8>>,
}

/// What answering takes beside the forwarder and the names.
pub(crate) struct Queries {
    gate: Gate,
    /// The networks of each LAN: who may ask there.
    inside: Vec<Vec<IpNet>>,
    /// Queries and connections from elsewhere.
    outside: u64,
    slots: Vec<Slot>,
    replies: Vec<(Peer, Vec<u8>)>,
    /// Room for what the forwarder says to one query.
    actions: Vec<Action<Peer>>,
    /// When the log said that somebody's replies are limited.
    told: Option<Duration>,
}

impl Queries {
    /// `secret` is that of the cookies.
    pub(crate) fn new(secret: [u8; 16], limited: bool) -> Self {
        Self {
            gate: Gate::new(secret, limited.then(limits)),
            inside: Vec::new(),
            outside: 0,
            slots: (0..BATCH).map(|_| Slot::new(LONGEST)).collect(),
            replies: Vec::new(),
            actions: Vec::new(),
            told: None,
        }
    }

    /// Makes a reply ready; whether it is to be sent. The log tells of limits, now and then.
    fn finish(&mut self, now: Duration, source: IpAddr, ticket: &Ticket, bytes: &mut Vec<u8>) -> bool {
        let before = self.gate.counters();
        let send = self.gate.finish(now, source, ticket, bytes);
        let limited = self.gate.counters() != before;
        if limited && self.told.is_none_or(|told| now.saturating_sub(told) >= TELL) {
            self.told = Some(now);
            tracing::warn!(client = %source.to_canonical(), "DNS replies are limited: this address, or its network, gets more than \
                it may without a proof that it is there (TCP, a DNS cookie); for load tests set dns.rate-limit = false");
        }
        send
    }

    /// The configuration was read again.
    pub(crate) fn set_limited(&mut self, limited: bool) {
        self.gate.set_limits(limited.then(limits));
    }

    /// What was counted, by name.
    pub(crate) fn counters(&self) -> [(&'static str, u64); 4] {
        let c = self.gate.counters();
        [
            ("outside", self.outside),
            ("cookies", c.known),
            ("limited-cut", c.slipped),
            ("limited-dropped", c.limited),
        ]
    }

    /// Whether `source` belongs to the LAN. An answer to anybody else is one for an attacker (RFC 5358).
    fn admits(&mut self, lan: usize, source: IpAddr) -> bool {
        let inside = is_inside(source, self.inside.get(lan).map_or(&[], Vec::as_slice));
        self.outside += u64::from(!inside);
        inside
    }
}

/// Whether a source belongs to a LAN that has these networks.
pub(crate) fn is_inside(source: IpAddr, networks: &[IpNet]) -> bool {
    let source = source.to_canonical();
    networks.iter().any(|net| net.contains(&source))
}

impl Engine {
    /// The networks of the LANs changed.
    pub(crate) fn settle_queries(&mut self) {
        let networks = |(index, lan): (usize, &Lan)| {
            let shared = lan.share.prefixes.iter().map(|prefix| IpNet::from(prefix.net));
            // Hosts keep deprecated addresses for a while.
            let told = lan.router.advertised().into_iter().map(|told| IpNet::from(told.prefix));
            let behind = self.delegated.iter().filter(|(_, (_, on))| *on == index);
            let ipv4 = lan.config.ipv4.iter().map(|ipv4| IpNet::from(ipv4.address.trunc()));
            let behind = behind.map(|(prefix, _)| IpNet::from(*prefix));
            shared.chain(told).chain(behind).chain(ipv4).chain([LINK_LOCAL.into()]).collect()
        };
        let inside: Vec<Vec<IpNet>> = self.lans.iter().enumerate().map(networks).collect();
        if let Some(web) = &self.web {
            web.set_inside(&inside);
        }
        if let Some(proxy) = &self.proxy {
            proxy.set_inside(&inside);
        }
        self.queries.inside = inside;
    }

    /// Datagrams wait on a LAN's socket: answers a few batches of them. Whether none is left.
    pub(crate) fn read_queries(&mut self, lan: usize) -> bool {
        let now = self.now();
        let mut slots = std::mem::take(&mut self.queries.slots);
        let mut count = BATCH;
        for _ in 0..TURNS {
            count = self.sockets.receive_dns(lan, &mut slots);
            for (bytes, received) in slots.iter().take(count).filter_map(Slot::datagram) {
                let source = IpAddr::from(*received.source.ip());
                if !self.queries.admits(lan, source) {
                    continue;
                }
                let ticket = self.queries.gate.admit(now, source, Transport::Udp, bytes);
                let peer = Peer::Udp {
                    lan,
                    source: received.source,
                    destination: received.destination,
                    interface: received.interface,
                    ticket,
                };
                self.query(now, peer, &ticket, bytes);
            }
            self.send_replies();
            if count < BATCH {
                break;
            }
        }
        self.queries.slots = slots;
        count < BATCH
    }

    /// A client connected; whoever is not of the LAN is let go.
    pub(crate) fn connected(&mut self, lan: usize, connection: u64, client: Connection) {
        if self.queries.admits(lan, client.source) {
            self.connections.insert(connection, client);
        }
    }

    /// A query came on a connection.
    pub(crate) fn query_on(&mut self, lan: usize, connection: u64, bytes: &[u8]) {
        let Some(client) = self.connections.get(&connection) else { return };
        let now = self.now();
        let ticket = self.queries.gate.admit(now, client.source, Transport::Tcp, bytes);
        self.query(now, Peer::Tcp { lan, connection, ticket }, &ticket, bytes);
        self.send_replies();
    }

    fn query(&mut self, now: Duration, peer: Peer, ticket: &Ticket, bytes: &[u8]) {
        self.census_dns(peer, bytes);
        let (transport, lan) = match peer {
            Peer::Udp { lan, .. } => (Transport::Udp, lan),
            Peer::Tcp { lan, .. } => (Transport::Tcp, lan),
            // Asked by health itself, and by nobody's datagram.
            Peer::Health(_) => return,
        };
        let share = u32::try_from(lan).unwrap_or(u32::MAX);
        let client = Client { peer, transport, udp_limit: udp_limit(&Config::default(), ticket), share };
        let mut actions = std::mem::take(&mut self.queries.actions);
        self.forwarder.handle_query(now, client, bytes, &self.names, &mut actions);
        self.carry_out(&mut actions);
        self.queries.actions = actions;
    }

    /// Does what the forwarder says.
    pub(crate) fn dns_actions(&mut self, mut actions: Vec<Action<Peer>>) {
        self.carry_out(&mut actions);
        self.send_replies();
    }

    fn carry_out(&mut self, actions: &mut Vec<Action<Peer>>) {
        for action in actions.drain(..) {
            match action {
                Action::Reply { client, bytes } => {
                    self.census_dns(client.peer, &bytes);
                    self.queries.replies.push((client.peer, bytes));
                }
                Action::Query { token, upstream, transport, bytes } => {
                    self.upstreams.query(token, upstream, transport, bytes);
                }
                Action::Done { token } => self.upstreams.done(token),
            }
        }
    }

    fn send_replies(&mut self) {
        let now = self.now();
        let mut replies = std::mem::take(&mut self.queries.replies);
        let mut datagrams = Vec::with_capacity(replies.len());
        let mut ours = Vec::new();
        for (peer, mut bytes) in replies.drain(..) {
            match peer {
                Peer::Udp { lan, source, destination, interface, ticket } => {
                    if self.queries.finish(now, (*source.ip()).into(), &ticket, &mut bytes) {
                        datagrams.push((lan, source, (destination, interface), bytes));
                    }
                }
                Peer::Tcp { connection, ticket, .. } => {
                    // A connection that does not read its replies loses them; it has asked for too much.
                    if let Some(client) = self.connections.get(&connection)
                        && self.queries.finish(now, client.source, &ticket, &mut bytes)
                    {
                        let _ = client.replies.try_send(bytes);
                    }
                }
                Peer::Health(asked) => ours.push((asked, bytes)),
            }
        }
        self.queries.replies = replies;
        for (asked, bytes) in ours {
            self.health_resolved(asked, &bytes);
        }
        // Those that can pass the kernel as one side by side. By numbers, the port first, which tells most apart: addresses that are
        // compared octet by octet show in profiles.
        datagrams.sort_unstable_by_key(|(lan, to, _, bytes)| {
            (*lan, to.port(), to.ip().to_bits(), to.scope_id(), std::cmp::Reverse(bytes.len()))
        });
        for of_one_lan in datagrams.chunk_by(|(lan, ..), (other, ..)| lan == other) {
            if let Some((lan, ..)) = of_one_lan.first() {
                self.sockets.send_dns(*lan, of_one_lan);
            }
        }
    }
}
