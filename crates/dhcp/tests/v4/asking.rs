//! Asking a server, and reading what it says.

use sixgate_dhcp::v4::{
    Action, Actions, Datagram, Destination, Ipv6Mostly, Lease, LeaseChange, LeaseTable, Limits, Link, Pilot,
    Reply, Roster, RosterChange, Server, ServerConfig,
};
use sixgate_wire::dhcpv4::{
    BOOTREQUEST, Builder, ClientId, Hardware, Header, Message, MessageType, OptionCode,
};
use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::time::Duration;

pub(crate) const START: Duration = Duration::from_secs(1_795_000_000);
pub(crate) const KEY: [u8; 16] = [6; 16];
pub(crate) const GATEWAY: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
pub(crate) const ANY: Ipv4Addr = Ipv4Addr::UNSPECIFIED;
/// What the links lease for, in seconds.
pub(crate) const LEASE: u32 = 3600;
/// V6ONLY_WAIT of IPv6-mostly links, in seconds.
pub(crate) const WAIT: u32 = 1800;

pub(crate) fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// 192.0.2.0/24 with ten addresses to give: .10 to .19.
pub(crate) fn link() -> Link {
    let link = Link::new("lan", "192.0.2.1/24".parse().unwrap()).unwrap();
    link.with_pool(Ipv4Addr::new(192, 0, 2, 10), Ipv4Addr::new(192, 0, 2, 19)).unwrap()
}

pub(crate) fn mostly() -> Ipv6Mostly {
    Ipv6Mostly::new(Some("64:ff9b::/96".parse().unwrap()), secs(WAIT.into())).unwrap()
}

/// The same, and IPv6-mostly.
pub(crate) fn mostly_link() -> Link {
    Link { ipv6_mostly: Some(mostly()), ..link() }
}

pub(crate) fn config(links: Vec<Link>) -> ServerConfig {
    ServerConfig {
        links,
        rapid_commit: true,
        authoritative: true,
        hash_key: [9; 16],
        pilot: Pilot::everybody(KEY),
        limits: Limits::default(),
    }
}

/// A client's message, to be changed and sent.
#[derive(Debug, Clone)]
pub(crate) struct Ask {
    pub(crate) header: Header,
    pub(crate) kind: MessageType,
    pub(crate) options: Vec<(OptionCode, Vec<u8>)>,
}

pub(crate) fn hardware(client: u16) -> Hardware {
    let [a, b] = client.to_be_bytes();
    Hardware::ethernet([2, 0, 0, 0, a, b])
}

impl Ask {
    pub(crate) fn new(kind: MessageType, client: u16) -> Self {
        let header = Header {
            op: BOOTREQUEST,
            hardware: hardware(client),
            hops: 0,
            xid: 0x0600_0000 | u32::from(client),
            secs: 0,
            flags: 0,
            ciaddr: ANY,
            yiaddr: ANY,
            siaddr: ANY,
            giaddr: ANY,
        };
        Self { header, kind, options: Vec::new() }
    }

    pub(crate) fn discover(client: u16) -> Self {
        Self::new(MessageType::DISCOVER, client)
    }

    /// SELECTING: a Request for an offer of the server's.
    pub(crate) fn select(client: u16, address: Ipv4Addr) -> Self {
        Self::reboot(client, address).with(OptionCode::SERVER_ID, &GATEWAY.octets())
    }

    /// INIT-REBOOT.
    pub(crate) fn reboot(client: u16, address: Ipv4Addr) -> Self {
        Self::new(MessageType::REQUEST, client).with(OptionCode::REQUESTED_ADDRESS, &address.octets())
    }

    /// RENEWING or REBINDING.
    pub(crate) fn renew(client: u16, address: Ipv4Addr) -> Self {
        Self::new(MessageType::REQUEST, client).at(address)
    }

    pub(crate) fn release(client: u16, address: Ipv4Addr) -> Self {
        Self::new(MessageType::RELEASE, client).at(address).with(OptionCode::SERVER_ID, &GATEWAY.octets())
    }

    pub(crate) fn decline(client: u16, address: Ipv4Addr) -> Self {
        let decline = Self { kind: MessageType::DECLINE, ..Self::select(client, address) };
        decline.with(OptionCode::MESSAGE, b"in use")
    }

    pub(crate) fn at(self, ciaddr: Ipv4Addr) -> Self {
        Self { header: Header { ciaddr, ..self.header }, ..self }
    }

    pub(crate) fn with(mut self, code: OptionCode, data: &[u8]) -> Self {
        self.options.push((code, data.to_vec()));
        self
    }

    /// It can do without IPv4.
    pub(crate) fn capable(self) -> Self {
        self.with(OptionCode::PARAMETER_REQUEST_LIST, &[1, 3, 6, 108])
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut room = [0; 1500];
        let mut b = Builder::new(&mut room, &self.header, self.kind);
        for (code, data) in &self.options {
            b.option(*code, data);
        }
        b.finish().unwrap().to_vec()
    }
}

/// What a server said.
#[derive(Debug, Clone)]
pub(crate) struct Heard {
    pub(crate) kind: MessageType,
    pub(crate) header: Header,
    pub(crate) address: Ipv4Addr,
    pub(crate) lease: Option<u32>,
    pub(crate) v6only: Option<u32>,
    pub(crate) destination: Destination,
    pub(crate) options: BTreeMap<OptionCode, Vec<u8>>,
    pub(crate) bytes: Vec<u8>,
    /// The codes in the order of the message.
    pub(crate) order: Vec<OptionCode>,
}

impl Heard {
    pub(crate) fn read(reply: &Reply) -> Self {
        let message = Message::parse(&reply.bytes).unwrap();
        let options = message.options();
        assert_eq!(options.address(OptionCode::SERVER_ID), Some(reply.source));
        Self {
            kind: message.kind(),
            header: *message.header(),
            address: message.header().yiaddr,
            lease: options.u32(OptionCode::LEASE_TIME),
            v6only: options.u32(OptionCode::IPV6_ONLY_PREFERRED),
            destination: reply.destination,
            bytes: reply.bytes.clone(),
            options: options.pieces().map(|(code, data)| (code, data.to_vec())).collect(),
            order: options.pieces().map(|(code, _)| code).collect(),
        }
    }
}

/// A server whose disk takes everything at once.
pub(crate) struct Desk {
    pub(crate) server: Server,
    pub(crate) now: Duration,
    pub(crate) disk: LeaseTable,
    pub(crate) roster: BTreeMap<sixgate_dhcp::v4::Place, bool>,
}

impl Desk {
    pub(crate) fn new(config: ServerConfig) -> Self {
        let server = Server::new(config, Vec::new(), Roster::default());
        Self { server, now: START, disk: LeaseTable::new(), roster: BTreeMap::new() }
    }

    pub(crate) fn ask(&mut self, ask: &Ask) -> Option<Heard> {
        self.ask_on("lan", ask)
    }

    pub(crate) fn ask_on(&mut self, link: &str, ask: &Ask) -> Option<Heard> {
        let mut actions = Actions::new();
        let source = ask.header.ciaddr;
        self.server.handle(self.now, &Datagram { link, source, bytes: &ask.bytes() }, &mut actions);
        self.act(actions)
    }

    /// The server dies, and another begins with what was kept.
    pub(crate) fn restart(&mut self, config: ServerConfig) {
        let kept = Roster::restored(self.roster.iter().map(|(place, member)| (*place, *member)));
        self.server = Server::new(config, self.disk.iter().cloned().collect(), kept);
    }

    pub(crate) fn pilot(&mut self, pilot: Pilot) {
        let mut actions = Actions::new();
        self.server.set_pilot(pilot, &mut actions);
        assert!(self.act(actions).is_none());
    }

    /// Time passes, with all that is due in it.
    pub(crate) fn pass(&mut self, time: Duration) {
        let until = self.now + time;
        while let Some(next) = self.server.poll_timeout().filter(|next| *next <= until) {
            self.now = self.now.max(next);
            let mut actions = Actions::new();
            self.server.handle_timeout(self.now, &mut actions);
            assert!(!actions.is_empty(), "woken for nothing");
            assert!(self.act(actions).is_none());
        }
        self.now = until;
    }

    fn act(&mut self, actions: Actions) -> Option<Heard> {
        let mut heard = None;
        let mut todo = std::collections::VecDeque::from(actions);
        while let Some(action) = todo.pop_front() {
            match action {
                Action::Reply(reply) => {
                    let reply = Heard::read(&reply);
                    self.vouch(&reply);
                    assert!(heard.replace(reply).is_none(), "two answers");
                }
                Action::Commit { ticket, changes } => {
                    for change in changes {
                        self.disk.apply(change);
                    }
                    let mut more = Actions::new();
                    self.server.committed(ticket, &mut more);
                    todo.extend(more);
                }
                Action::Roster(changes) => keep(&mut self.roster, changes),
            }
        }
        heard
    }

    /// An Ack for an address says what the disk has.
    fn vouch(&self, heard: &Heard) {
        if heard.kind == MessageType::ACK && !heard.address.is_unspecified() {
            let lease = self.disk.get(heard.address).unwrap();
            assert!(lease.valid_until >= self.now + secs(heard.lease.unwrap().into()));
            assert_eq!(lease.hardware, heard.header.hardware);
        }
    }

    /// Discover, Offer, Request, Ack.
    pub(crate) fn lease(&mut self, client: u16) -> Ipv4Addr {
        let offer = self.ask(&Ask::discover(client)).unwrap();
        assert_eq!(offer.kind, MessageType::OFFER);
        let ack = self.ask(&Ask::select(client, offer.address)).unwrap();
        assert_eq!((ack.kind, ack.address), (MessageType::ACK, offer.address));
        ack.address
    }

    pub(crate) fn lease_of(&self, client: u16) -> Option<&Lease> {
        self.server.leases().held(&"lan".into(), &ClientId::hardware(hardware(client)))
    }
}

pub(crate) fn keep(roster: &mut BTreeMap<sixgate_dhcp::v4::Place, bool>, changes: Vec<RosterChange>) {
    for change in changes {
        match change {
            RosterChange::Put { place, member } => drop(roster.insert(place, member)),
            RosterChange::Remove(place) => drop(roster.remove(&place)),
        }
    }
}

/// The changes of the only commit among the actions.
pub(crate) fn commit(actions: &Actions) -> (u64, Vec<LeaseChange>) {
    let mut commits = actions.iter().filter_map(|action| match action {
        Action::Commit { ticket, changes } => Some((*ticket, changes.clone())),
        _ => None,
    });
    let found = commits.next().unwrap();
    assert!(commits.next().is_none());
    found
}
