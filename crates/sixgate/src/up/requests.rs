//! DHCPv6 messages of clients and relay agents, from the datagram to the reply.
//!
//! As with DNS queries the reading task only says that there are some, and the engine reads and sends in batches. Between
//! reading and answering they wait in a queue that is managed: whoever has a lease, or is about to get one, comes before
//! who asks for the first time, and what has waited longer than its client does is dropped before it costs anything.
//! So a server that is asked for ten times of what it can do still does what it can.

use super::engine::Engine;
use super::event::{Event, Sender};
use super::sockets::{Watched, have_read, tell, watched};
use sixgate_aqm::request::{Config, Requests};
use sixgate_aqm::shed::Shed;
use sixgate_dhcp::server::{self, Reply};
use sixgate_linux::clock::Timer;
use sixgate_linux::socket::{Outgoing, Slot, TOGETHER, UdpSocket6, is_looked_at};
use sixgate_wire::dhcpv6::{HOP_COUNT_LIMIT, MessageType, Packet, SERVER_PORT};
use std::io;
use std::net::SocketAddrV6;
use std::time::{Duration, Instant};
use tokio::task::spawn_local;

/// Datagrams in one call.
const BATCH: usize = 32;
/// Messages that are read before it is somebody else's turn, but for the rest of a batch.
const MOST_READ: usize = 8 * BATCH;
/// Messages that are answered before it is somebody else's turn.
const TURN: usize = 64;
/// Longest message that is taken, in octets: no link's is longer.
const LONGEST: usize = 16 * 1024;
/// Octets of room that is kept for the next message; longer ones are rare.
const USUAL: usize = 512;
/// Time between two reads of a socket: each costs some wake-ups, of the writer of leases too, whether it brings one message or twenty.
const APART: Duration = Duration::from_micros(500);
/// Octets that may wait in the kernel at each socket, with what it keeps beside: some thousand messages, as long as the engine is
/// busy otherwise.
pub(super) const WAITING: u32 = 4 << 20;

/// How often what waits at a socket is read before some of it is kept away: more than its buffer holds.
const AT_MOST_READ: usize = 64;
/// How often the log tells that some are kept away; `status` always does.
const TELL: Duration = Duration::from_mins(1);

/// Messages that wait. Clients ask again after a second (RFC 9915 section 7.6: SOL_TIMEOUT, REQ_TIMEOUT), and then the first
/// is of no use.
const QUEUE: Config = Config {
    classes: 3,
    capacity: 8192,
    patience: Duration::from_millis(900),
    // A disk that was busy for a moment is no overload: clients have time.
    target: Duration::from_millis(50),
    interval: Duration::from_millis(100),
};

/// Which socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum At {
    /// Of a LAN.
    Lan(usize),
    /// Of an interface that leads to relay agents.
    Edge(usize),
}

struct Message {
    at: At,
    source: SocketAddrV6,
    bytes: Vec<u8>,
}

/// What waits to be answered, and to be sent.
pub(crate) struct Waiting {
    requests: Requests<Message>,
    shed: Shed,
    dice: fastrand::Rng,
    /// When the log was last told that some are kept away.
    shed_told: Option<Duration>,
    /// Room of messages that were answered, for others.
    rooms: Vec<Vec<u8>>,
    slots: Vec<Slot>,
    replies: Vec<(At, SocketAddrV6, Vec<u8>)>,
}

impl Waiting {
    pub(crate) fn new() -> Self {
        Self {
            requests: Requests::new(QUEUE),
            shed: Shed::default(),
            dice: fastrand::Rng::new(),
            shed_told: None,
            rooms: Vec::new(),
            slots: (0..BATCH).map(|_| Slot::new(TOGETHER)).collect(),
            replies: Vec::new(),
        }
    }

    /// Whether something waits to be answered.
    pub(crate) fn is_due(&self) -> bool {
        !self.requests.is_empty()
    }

    /// Whether a first request goes the way of those that the kernel keeps away, because it cannot see what this one is.
    fn keeps_away(&mut self, bytes: &[u8]) -> bool {
        let share = self.shed.share();
        share > 0 && !is_looked_at(bytes) && self.dice.u16(0..1000) < share
    }

    /// When it is looked at again which share the kernel keeps away.
    pub(crate) fn poll_timeout(&self) -> Option<Duration> {
        self.shed.poll_timeout()
    }

    /// What the queue counted, by name; and of first requests, how many in a thousand the kernel keeps away now.
    pub(crate) fn counters(&self) -> [(&'static str, u64); 3] {
        let c = self.requests.counters();
        [
            ("waited-too-long", c.stale),
            ("turned-away", c.refused),
            ("kept-away-per-thousand", self.shed.share().into()),
        ]
    }

    fn recycle(rooms: &mut Vec<Vec<u8>>, mut room: Vec<u8>) {
        if room.capacity() <= USUAL && rooms.len() < QUEUE.capacity {
            room.clear();
            rooms.push(room);
        }
    }
}

/// The class of those who ask for the first time.
const FIRST: usize = 2;

/// Who comes first: those who would lose what they have, then those who were made an offer.
fn class(bytes: &[u8]) -> usize {
    let mut packet = Packet::parse(bytes).ok();
    for _ in 0..HOP_COUNT_LIMIT {
        match packet {
            Some(Packet::Relay(relay)) => packet = relay.relayed(),
            _ => break,
        }
    }
    match packet {
        Some(Packet::Message(message)) => match message.kind() {
            MessageType::RENEW | MessageType::REBIND | MessageType::RELEASE | MessageType::DECLINE => 0,
            MessageType::REQUEST | MessageType::CONFIRM => 1,
            _ => FIRST,
        },
        _ => FIRST,
    }
}

/// Tells the engine of messages that wait, and goes on when it has read them. A message that comes alone is read at once; where
/// they come closer together than [`APART`], those that came meanwhile are read as one batch.
pub(super) fn watch(socket: Watched<UdpSocket6>, at: At, events: Sender) -> io::Result<()> {
    let timer = watched(Timer::new()?)?;
    spawn_local(async move {
        let mut last = None::<Instant>;
        while let Ok(ready) = socket.readable().await {
            let rest = last.and_then(|last| APART.checked_sub(last.elapsed())).filter(|rest| !rest.is_zero());
            if let Some(rest) = rest
                && timer.get_ref().set(rest).is_ok()
            {
                while let Ok(mut over) = timer.readable().await {
                    if over.try_io(|timer| timer.get_ref().take()).is_ok() {
                        break;
                    }
                }
            }
            if !have_read(ready, &events, |drained| Event::Dhcp6Readable { at, drained }).await {
                return;
            }
            last = Some(Instant::now());
        }
    });
    Ok(())
}

impl Engine {
    fn dhcp_socket(&self, at: At) -> Option<&UdpSocket6> {
        match at {
            At::Lan(lan) => self.sockets.dhcp(lan),
            At::Edge(edge) => self.sockets.edge(edge).map(|edge| edge.socket.get_ref()),
        }
    }

    /// Takes messages that wait at a socket into the queue; whether none is left.
    pub(crate) fn read_requests(&mut self, at: At) -> bool {
        let now = self.now();
        let mut slots = std::mem::take(&mut self.waiting.slots);
        let (mut count, mut read) = (BATCH, 0);
        while read < MOST_READ {
            count = self.dhcp_socket(at).map_or(0, |socket| receive(socket, &mut slots));
            for (bytes, received) in slots.iter().take(count).flat_map(Slot::datagrams) {
                read += 1;
                let class = class(bytes);
                if bytes.len() > LONGEST || (class == FIRST && self.waiting.keeps_away(bytes)) {
                    continue;
                }
                let mut room =
                    self.waiting.rooms.pop().unwrap_or_else(|| Vec::with_capacity(bytes.len().max(USUAL)));
                room.extend_from_slice(bytes);
                let message = Message { at, source: received.source, bytes: room };
                if let Some(gone) = self.waiting.requests.push(now, class, message) {
                    Waiting::recycle(&mut self.waiting.rooms, gone.bytes);
                }
            }
            if count < BATCH {
                break;
            }
        }
        self.waiting.slots = slots;
        count < BATCH
    }

    /// Answers some of the messages that wait.
    pub(crate) fn answer_requests(&mut self) {
        let mut actions = server::Actions::new();
        for _ in 0..TURN {
            let now = self.now();
            let Waiting { requests, rooms, .. } = &mut self.waiting;
            let next = requests.pop(now, |stale| Waiting::recycle(rooms, stale.bytes));
            let Some(Message { at, source, bytes }) = next else { break };
            self.answer_request(at, source, &bytes, &mut actions);
            Waiting::recycle(&mut self.waiting.rooms, bytes);
        }
        self.server_actions(actions);
        self.send_dhcp();
        self.shed_requests();
    }

    /// Lets the kernel keep away what would be read and not answered, and no more when that is over.
    pub(crate) fn shed_requests(&mut self) {
        let now = self.now();
        let before = self.waiting.shed.share();
        let Some(share) = self.waiting.shed.update(now, self.waiting.requests.counters_of(FIRST)) else {
            return;
        };
        for at in (0..self.lans.len()).map(At::Lan).chain(self.sockets.edges().map(At::Edge)) {
            if before == 0 {
                // What came together is read before each is looked at by itself.
                let _ = (0..AT_MOST_READ).any(|_| self.read_requests(at));
            }
            let shed = self.dhcp_socket(at).map_or(Ok(()), |socket| socket.shed_first_requests(share));
            if let Err(error) = shed {
                // All is read then, and what waited too long is dropped after that.
                tracing::warn!(%error, ?at, share, "the kernel keeps nothing away here");
            }
        }
        if before == 0 && self.waiting.shed_told.is_none_or(|told| now >= told + TELL) {
            self.waiting.shed_told = Some(now);
            tracing::warn!(
                per_thousand = share,
                "more clients ask for the first time than can be answered: some are not read; they will ask again"
            );
        }
    }

    fn answer_request(&mut self, at: At, source: SocketAddrV6, bytes: &[u8], actions: &mut server::Actions) {
        let now = self.now();
        match at {
            At::Lan(lan) => {
                if self.relay_from_lan(lan, source, bytes) {
                    return;
                }
                if bytes.first() == Some(&MessageType::LEASEQUERY.0)
                    && let Some(link) = self.lans.get(lan).map(|lan| lan.config.name.clone())
                    && self.answer_leasequery(&link, source, bytes)
                {
                    return;
                }
                let Some(on) = self.lans.get(lan) else { return };
                let (link, port, source) = (on.config.name.as_str(), source.port(), *source.ip());
                let mac = self.neighbours.host(lan, source);
                if mac.is_none() && self.server.wants_mac(link) {
                    self.ask_for(lan, source);
                }
                let link_layer = mac.as_ref().map(|mac| &mac[..]);
                let datagram = server::Datagram { link, source, port, bytes, link_layer };
                self.server.handle(now, &datagram, actions);
            }
            At::Edge(edge) => self.relayed(edge, source, bytes, actions),
        }
    }

    /// Puts a reply with those that are sent next.
    pub(crate) fn reply_dhcp(&mut self, reply: Reply) {
        let (at, scope) = match self.lan_by_name(&reply.link) {
            Some(lan) => (At::Lan(lan), self.lans.get(lan).map_or(0, |lan| lan.interface)),
            None => match self.sockets.edge_of(&reply.link) {
                Some((edge, interface)) => (At::Edge(edge), interface),
                None => return,
            },
        };
        let to = SocketAddrV6::new(reply.destination, reply.port, 0, scope);
        self.waiting.replies.push((at, to, reply.bytes));
    }

    /// Sends all replies that wait.
    pub(crate) fn send_dhcp(&mut self) {
        if self.waiting.replies.is_empty() {
            return;
        }
        let mut replies = std::mem::take(&mut self.waiting.replies);
        // Those that can pass the kernel as one side by side.
        replies.sort_by_key(|(at, to, bytes)| (*at, *to, std::cmp::Reverse(bytes.len())));
        // Relay agents get many replies at a time; whoever looks at a LAN from this machine sees each that is for a client.
        let to_relay = |to: &SocketAddrV6| to.port() == SERVER_PORT;
        for of_one in replies
            .chunk_by(|(at, to, _), (at_next, next, _)| at == at_next && to_relay(to) == to_relay(next))
        {
            let Some((at, to, _)) = of_one.first() else { continue };
            let together = to_relay(to);
            let Some(socket) = self.dhcp_socket(*at) else { continue };
            let from = |to: &SocketAddrV6| match at {
                At::Lan(lan) => self.lans.get(*lan).and_then(|lan| lan.speaks_from(*to.ip())),
                At::Edge(_) => None,
            };
            let all: Vec<_> =
                of_one.iter().map(|(_, to, bytes)| Outgoing { bytes, to: *to, from: from(to) }).collect();
            let mut datagrams = all.as_slice();
            while let Some(first) = datagrams.first() {
                let sent = if together { socket.send_batch(datagrams) } else { socket.send_apart(datagrams) };
                // Without room for one more, or a way to the first, that one is lost: its client asks again.
                let count = *sent.as_ref().unwrap_or(&1);
                tell(sent.map(|_| ()), "DHCPv6", *first.to.ip());
                datagrams = datagrams.get(count.max(1)..).unwrap_or_default();
            }
        }
        replies.clear();
        self.waiting.replies = replies;
    }
}

/// Reads what waits, as much as there are slots; how many datagrams there were.
fn receive(socket: &UdpSocket6, slots: &mut [Slot]) -> usize {
    // An error that was pending on the socket (a link that went down) hides what waits behind it from one read only.
    for _ in 0..2 {
        match socket.recv_batch(slots) {
            Ok(count) => return count,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return 0,
            Err(error) => tracing::debug!(%error, "a socket says"),
        }
    }
    0
}

#[cfg(test)]
mod tests {
    use super::*;
    use sixgate_wire::dhcpv6::{Builder, OptionCode, TransactionId};
    use std::net::Ipv6Addr;

    fn message(kind: MessageType) -> Vec<u8> {
        let mut room = [0; 64];
        Builder::message(&mut room, kind, TransactionId([1, 2, 3])).finish().unwrap().to_vec()
    }

    fn relayed(inner: &[u8]) -> Vec<u8> {
        let mut room = [0; 1024];
        let any = Ipv6Addr::UNSPECIFIED;
        let mut b = Builder::relay(&mut room, MessageType::RELAY_FORWARD, 0, any, any);
        b.option(OptionCode::RELAY_MSG, inner);
        b.finish().unwrap().to_vec()
    }

    #[test]
    fn who_has_a_lease_comes_first_behind_relay_agents_too() {
        for (kind, expected) in [
            (MessageType::RENEW, 0),
            (MessageType::RELEASE, 0),
            (MessageType::REQUEST, 1),
            (MessageType::SOLICIT, 2),
            (MessageType::INFORMATION_REQUEST, 2),
        ] {
            let plain = message(kind);
            assert_eq!(class(&plain), expected, "{kind:?}");
            assert_eq!(class(&relayed(&plain)), expected, "{kind:?}");
            assert_eq!(class(&relayed(&relayed(&plain))), expected, "{kind:?}");
        }
        for octets in [&[][..], &[12], &[0xff; 40], &[12; 40]] {
            assert_eq!(class(octets), 2);
        }
    }
}
