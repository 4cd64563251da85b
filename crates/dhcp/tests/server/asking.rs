//! Messages of a client, and what it hears.

use sixgate_dhcp::lease::{Kind, Lease, LeaseChange, LeaseTable, Resource};
use sixgate_dhcp::server::{
    Action, Actions, AddressPool, Datagram, DelegationPool, Lifetimes, Limits, Link, Relays, Reply, Server,
    ServerConfig,
};
use sixgate_wire::dhcpv6::{
    Builder, DhcpOption, Duid, IaNa, IaPd, Message, MessageType, OptionCode, Options, StatusCode,
    TransactionId,
};
use std::net::Ipv6Addr;
use std::time::Duration;

pub(crate) fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// The start of most tests: the steady time since the epoch is never near zero.
pub(crate) const START: Duration = Duration::from_hours(500_000);

pub(crate) fn server_duid() -> Duid {
    Duid::link_layer([2, 0xaa, 0, 0, 0, 1])
}

pub(crate) fn client_duid(client: u8) -> Duid {
    Duid::link_layer([2, 0, 0, 0, 0, client])
}

pub(crate) fn client_address(client: u8) -> Ipv6Addr {
    Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, u16::from(client) + 0x100)
}

pub(crate) fn lifetimes(preferred: u64, valid: u64) -> Lifetimes {
    Lifetimes {
        preferred: secs(preferred),
        valid: secs(valid),
        preferred_until: Duration::MAX,
        valid_until: Duration::MAX,
    }
}

pub(crate) fn address_pool(prefix: &str) -> AddressPool {
    AddressPool { prefix: prefix.parse().unwrap(), lifetimes: lifetimes(1_000, 2_000) }
}

pub(crate) fn delegation_pool(prefix: &str, length: u8) -> DelegationPool {
    DelegationPool {
        prefix: prefix.parse().unwrap(),
        reserved: Vec::new(),
        length,
        shortest: length.saturating_sub(4),
        longest: 64,
        lifetimes: lifetimes(1_000, 2_000),
    }
}

/// A LAN with a /64 and a /56 to delegate from.
pub(crate) fn lan() -> Link {
    Link {
        prefixes: vec!["2001:db8:0:1::/64".parse().unwrap()],
        addresses: vec![address_pool("2001:db8:0:1::/64")],
        delegation: vec![delegation_pool("2001:db8:0:100::/56", 60)],
        reserved: vec!["2001:db8:0:1::1".parse().unwrap()],
        dns: vec!["2001:db8:0:1::1".parse().unwrap()],
        domains: vec!["home.arpa".to_owned()],
        sol_max_rt: Some(3_600),
        inf_max_rt: Some(7_200),
        information_refresh: Some(86_400),
        captive_portal: Some("https://portal.example/api".to_owned()),
        ..Link::new("lan")
    }
}

pub(crate) fn config(links: Vec<Link>) -> ServerConfig {
    ServerConfig {
        duid: server_duid(),
        links,
        remote: Vec::new(),
        relays: Relays::default(),
        preference: Some(200),
        rapid_commit: true,
        hash_key: [9; 16],
        limits: Limits::default(),
    }
}

/// A message in the making.
#[derive(Debug, Clone)]
pub(crate) struct Ask {
    pub(crate) kind: MessageType,
    pub(crate) transaction: [u8; 3],
    pub(crate) client: Option<Duid>,
    pub(crate) server: Option<Duid>,
    pub(crate) ias: Vec<(Kind, u32, Vec<Resource>)>,
    pub(crate) oro: Vec<OptionCode>,
    pub(crate) raw: Vec<(OptionCode, Vec<u8>)>,
}

impl Ask {
    /// A message that has the identifiers that its kind needs.
    pub(crate) fn new(kind: MessageType, client: u8) -> Self {
        let named = [MessageType::REQUEST, MessageType::RENEW, MessageType::RELEASE, MessageType::DECLINE];
        Self {
            kind,
            transaction: [1, 2, 3],
            client: Some(client_duid(client)),
            server: named.contains(&kind).then(server_duid),
            ias: Vec::new(),
            oro: Vec::new(),
            raw: Vec::new(),
        }
    }

    pub(crate) fn na(mut self, iaid: u32, listed: &[&str]) -> Self {
        self.ias.push((Kind::Address, iaid, listed.iter().map(|text| text.parse().unwrap()).collect()));
        self
    }

    pub(crate) fn pd(mut self, iaid: u32, listed: &[&str]) -> Self {
        self.ias.push((Kind::Prefix, iaid, listed.iter().map(|text| text.parse().unwrap()).collect()));
        self
    }

    pub(crate) fn ia(mut self, ia: &HeardIa) -> Self {
        self.ias.push((ia.kind, ia.iaid, ia.leases.iter().map(|lease| lease.0).collect()));
        self
    }

    pub(crate) fn oro(mut self, codes: &[OptionCode]) -> Self {
        self.oro.extend(codes);
        self
    }

    pub(crate) fn raw(mut self, code: OptionCode, data: &[u8]) -> Self {
        self.raw.push((code, data.to_vec()));
        self
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut room = [0; 4096];
        let mut b = Builder::message(&mut room, self.kind, TransactionId(self.transaction));
        if let Some(client) = &self.client {
            b.client_id(client);
        }
        if let Some(server) = &self.server {
            b.server_id(server);
        }
        b.elapsed_time(0);
        if !self.oro.is_empty() {
            b.oro(&self.oro);
        }
        for (code, data) in &self.raw {
            b.option(*code, data);
        }
        for (kind, iaid, listed) in &self.ias {
            let content = |b: &mut Builder<'_>| {
                for resource in listed {
                    match *resource {
                        Resource::Address(address) => b.ia_address(address, 0, 0, |_| {}),
                        Resource::Prefix(prefix) => b.ia_prefix(prefix, 0, 0, |_| {}),
                    };
                }
            };
            match kind {
                Kind::Address => b.ia_na(*iaid, 0, 0, content),
                Kind::Prefix => b.ia_pd(*iaid, 0, 0, content),
            };
        }
        b.finish().unwrap().to_vec()
    }
}

/// One association of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct HeardIa {
    pub(crate) kind: Kind,
    pub(crate) iaid: u32,
    pub(crate) times: (u32, u32),
    pub(crate) leases: Vec<(Resource, u32, u32)>,
    pub(crate) status: StatusCode,
}

/// An answer, as a client reads it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Heard {
    pub(crate) kind: MessageType,
    pub(crate) transaction: [u8; 3],
    pub(crate) client: Option<Vec<u8>>,
    pub(crate) status: Option<StatusCode>,
    pub(crate) ias: Vec<HeardIa>,
    pub(crate) raw: Vec<(OptionCode, Vec<u8>)>,
}

impl Heard {
    pub(crate) fn read(reply: &Reply) -> Self {
        let message = Message::parse(&reply.bytes).unwrap();
        let options = message.options();
        assert_eq!(options.get(OptionCode::SERVER_ID), Some(server_duid().as_bytes()));
        let status = |options: Options<'_>| options.status().code;
        let ias = options.iter().filter_map(|option| match option {
            DhcpOption::IaNa(IaNa { iaid, t1, t2, options }) => Some(HeardIa {
                kind: Kind::Address,
                iaid,
                times: (t1, t2),
                leases: IaNa { iaid, t1, t2, options }
                    .addresses()
                    .map(|a| (Resource::Address(a.address), a.preferred, a.valid))
                    .collect(),
                status: status(options),
            }),
            DhcpOption::IaPd(IaPd { iaid, t1, t2, options }) => Some(HeardIa {
                kind: Kind::Prefix,
                iaid,
                times: (t1, t2),
                leases: IaPd { iaid, t1, t2, options }
                    .prefixes()
                    .map(|p| (Resource::Prefix(p.net()), p.preferred, p.valid))
                    .collect(),
                status: status(options),
            }),
            _ => None,
        });
        Self {
            kind: message.kind(),
            transaction: message.transaction().0,
            client: options.get(OptionCode::CLIENT_ID).map(<[u8]>::to_vec),
            status: options.get(OptionCode::STATUS_CODE).map(|_| status(options)),
            ias: ias.collect(),
            raw: options.raw().map(|(code, data)| (code, data.to_vec())).collect(),
        }
    }

    pub(crate) fn option(&self, code: OptionCode) -> Option<&[u8]> {
        self.raw.iter().find(|(c, _)| *c == code).map(|(_, data)| data.as_slice())
    }

    /// The resources that may be used, of all associations.
    pub(crate) fn usable(&self) -> Vec<Resource> {
        let leases = self.ias.iter().flat_map(|ia| &ia.leases);
        leases.filter(|lease| lease.2 > 0).map(|lease| lease.0).collect()
    }

    /// The one resource of an answer that has one.
    pub(crate) fn only(&self) -> Resource {
        let usable = self.usable();
        assert_eq!(usable.len(), 1, "{self:?}");
        usable[0]
    }
}

/// A server whose disk never fails and takes no time.
pub(crate) struct Desk {
    pub(crate) server: Server,
    pub(crate) disk: LeaseTable,
    pub(crate) now: Duration,
    /// All that was done besides replying, in order.
    pub(crate) log: Vec<Action>,
    pub(crate) replies: Vec<Reply>,
}

impl Desk {
    pub(crate) fn new(config: ServerConfig) -> Self {
        let server = Server::new(config, Vec::new());
        Self { server, disk: LeaseTable::new(), now: START, log: Vec::new(), replies: Vec::new() }
    }

    pub(crate) fn lan() -> Self {
        Self::new(config(vec![lan()]))
    }

    /// Sends a message and returns the answer.
    pub(crate) fn ask(&mut self, ask: &Ask) -> Option<Heard> {
        let client = ask.client.as_ref().and_then(|duid| duid.as_bytes().last().copied()).unwrap_or_default();
        self.ask_on("lan", client_address(client), &ask.bytes())
    }

    pub(crate) fn ask_on(&mut self, link: &str, source: Ipv6Addr, bytes: &[u8]) -> Option<Heard> {
        let mut actions = Actions::new();
        self.server.handle(
            self.now,
            &Datagram { link, source, port: 546, bytes, link_layer: None },
            &mut actions,
        );
        let replies = self.act(actions);
        assert!(replies.len() <= 1, "one message, one answer: {replies:?}");
        let reply = replies.into_iter().next()?;
        assert_eq!((&*reply.link, reply.destination, reply.port), (link, source, 546));
        Some(Heard::read(&reply))
    }

    /// Does what the server asks.
    pub(crate) fn act(&mut self, actions: Actions) -> Vec<Reply> {
        let mut replies = Vec::new();
        for action in actions {
            match action {
                Action::Reply(reply) => {
                    self.replies.push(reply.clone());
                    replies.push(reply);
                }
                Action::Commit { ticket, changes } => {
                    for change in &changes {
                        self.disk.apply(change.clone());
                    }
                    self.log.push(Action::Commit { ticket, changes });
                    let mut more = Actions::new();
                    self.server.committed(ticket, &mut more);
                    replies.extend(self.act(more));
                }
                other => self.log.push(other),
            }
        }
        replies
    }

    /// Lets time pass, waking the server whenever it wants to be.
    pub(crate) fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        while let Some(at) = self.server.poll_timeout().filter(|at| *at <= end) {
            self.now = at.max(self.now);
            let mut actions = Actions::new();
            self.server.handle_timeout(self.now, &mut actions);
            assert!(!actions.is_empty(), "woken for nothing");
            self.act(actions);
        }
        self.now = end;
    }

    /// Solicit, then Request for what was offered.
    pub(crate) fn bind(&mut self, solicit: &Ask) -> Heard {
        let offer = self.ask(solicit).unwrap();
        assert_eq!(offer.kind, MessageType::ADVERTISE);
        let client = solicit.client.as_ref().unwrap().as_bytes().last().copied().unwrap();
        let mut request = Ask { raw: solicit.raw.clone(), ..Ask::new(MessageType::REQUEST, client) };
        for ia in &offer.ias {
            request = request.ia(ia);
        }
        let reply = self.ask(&request).unwrap();
        assert_eq!(reply.usable(), offer.usable());
        reply
    }

    pub(crate) fn changes(&self) -> Vec<&LeaseChange> {
        self.log
            .iter()
            .flat_map(|action| match action {
                Action::Commit { changes, .. } => changes.as_slice(),
                _ => &[],
            })
            .collect()
    }
}

/// No two leases share an address.
pub(crate) fn assert_disjoint<'a>(leases: impl Iterator<Item = &'a Lease>, what: &str) {
    // Among prefixes in order of their bits, two that overlap have neighbours that do.
    let mut nets: Vec<_> = leases.map(|lease| lease.resource.net()).collect();
    nets.sort();
    for pair in nets.windows(2) {
        assert!(!pair[0].contains(&pair[1]), "{what}: {} and {}", pair[0], pair[1]);
    }
}
