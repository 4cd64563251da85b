//! A client on a bench: its clock is turned by hand, and what it does is laid out.

use sixgate_dhcp::client::{Action, Actions, Binding, Client, Config, PdRequest, State};
use sixgate_wire::dhcpv6::{Builder, DhcpOption, Duid, Message, MessageType, OptionCode, StatusCode};
use std::net::Ipv6Addr;
use std::time::Duration;

pub(crate) const START: Duration = Duration::from_secs(1_795_000_000);
pub(crate) const NA: u32 = 0x0a0b_0c0d;
pub(crate) const PD: u32 = 7;
pub(crate) const CLIENT_ADDRESS: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0x54);
pub(crate) const SERVER_ADDRESS: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0x53);

pub(crate) fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

pub(crate) fn client_duid() -> Duid {
    Duid::link_layer([2, 0, 0, 0, 0, 1])
}

pub(crate) fn server_duid(number: u8) -> Duid {
    Duid::link_layer([2, 0, 0, 0, 0xff, number])
}

/// An address and a prefix, as a gateway asks for them.
pub(crate) fn gateway() -> Config {
    Config { ia_na: Some(NA), ia_pd: vec![PdRequest::with_length(PD, 56)], ..Config::new(client_duid()) }
}

pub(crate) fn address(last: u16) -> Ipv6Addr {
    Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, last)
}

pub(crate) fn prefix(number: u16) -> ipnet::Ipv6Net {
    ipnet::Ipv6Net::new(Ipv6Addr::new(0x2001, 0xdb8, number, 0, 0, 0, 0, 0), 56).unwrap()
}

pub(crate) struct Bench {
    pub(crate) client: Client,
    pub(crate) now: Duration,
    /// What was done and not yet looked at, without Save.
    pub(crate) done: Vec<Action>,
    /// The last that was to be kept; `None` after Lost.
    pub(crate) saved: Option<Binding>,
}

impl Bench {
    pub(crate) fn new(config: Config) -> Self {
        Self::restored(config, None, START)
    }

    pub(crate) fn restored(config: Config, saved: Option<Binding>, now: Duration) -> Self {
        let client = Client::new(config, saved.clone(), fastrand::Rng::with_seed(6));
        Self { client, now, done: Vec::new(), saved }
    }

    pub(crate) fn act(&mut self, act: impl FnOnce(&mut Client, Duration, &mut Actions)) {
        let mut actions = Actions::new();
        act(&mut self.client, self.now, &mut actions);
        for action in actions {
            match action {
                Action::Save(binding) => self.saved = Some(binding),
                Action::Lost => {
                    self.saved = None;
                    self.done.push(Action::Lost);
                }
                other => self.done.push(other),
            }
        }
    }

    pub(crate) fn start(&mut self) {
        self.act(Client::start);
    }

    pub(crate) fn receive(&mut self, bytes: &[u8]) {
        self.act(|client, now, actions| client.handle(now, (SERVER_ADDRESS, CLIENT_ADDRESS), bytes, actions));
    }

    /// Turns the clock to `until`, stopping at each time the client asked for.
    pub(crate) fn run_until(&mut self, until: Duration) {
        while let Some(next) = self.client.poll_timeout().filter(|&next| next <= until) {
            self.now = self.now.max(next);
            self.act(Client::handle_timeout);
        }
        self.now = until;
    }

    pub(crate) fn run_for(&mut self, time: Duration) {
        self.run_until(self.now + time);
    }

    /// Turns the clock until the client sends something, and takes it.
    pub(crate) fn sent(&mut self) -> Sent {
        for _ in 0..1000 {
            if let Some(at) = self.done.iter().position(|action| matches!(action, Action::Send { .. })) {
                let Action::Send { bytes } = self.done.remove(at) else { unreachable!() };
                return Sent { at: self.now, bytes };
            }
            let next = self
                .client
                .poll_timeout()
                .unwrap_or_else(|| panic!("nothing to wait for: {:?}", self.client));
            self.now = self.now.max(next);
            self.act(Client::handle_timeout);
        }
        panic!("nothing is ever sent: {:?}", self.client);
    }

    /// All that was done and is no message.
    pub(crate) fn news(&mut self) -> Vec<Action> {
        self.done.extract_if(.., |action| !matches!(action, Action::Send { .. })).collect()
    }

    pub(crate) fn changed(&mut self) -> Binding {
        let mut news = self.news();
        match (news.pop(), news.is_empty()) {
            (Some(Action::Changed(binding)), true) => {
                assert_eq!(Some(&binding), self.saved.as_ref(), "shown before it was kept");
                binding
            }
            other => panic!("{other:?}"),
        }
    }

    pub(crate) fn nothing_sent(&self) -> bool {
        !self.done.iter().any(|action| matches!(action, Action::Send { .. }))
    }

    /// Solicit, Advertise, Request, Reply: bound to address 1 and prefix 1 by server 1, T1 1000, T2 1600.
    pub(crate) fn bind(&mut self) -> Binding {
        self.start();
        let solicit = self.sent();
        self.receive(&advertise(&solicit, 1, 255, &Offer::both(1)));
        let request = self.sent();
        self.receive(&reply(&request, 1, &Offer::both(1)));
        assert_eq!(self.client.state(), State::Bound);
        self.changed()
    }
}

/// A message of the client's, and when it was sent.
#[derive(Debug, Clone)]
pub(crate) struct Sent {
    pub(crate) at: Duration,
    pub(crate) bytes: Vec<u8>,
}

impl Sent {
    pub(crate) fn message(&self) -> Message<'_> {
        Message::parse(&self.bytes).unwrap()
    }

    pub(crate) fn kind(&self) -> MessageType {
        self.message().kind()
    }

    pub(crate) fn server(&self) -> Option<Duid> {
        self.message().options().get(OptionCode::SERVER_ID).map(|octets| Duid::new(octets).unwrap())
    }

    pub(crate) fn elapsed(&self) -> u16 {
        u16::from_be_bytes(
            self.message().options().get(OptionCode::ELAPSED_TIME).unwrap().try_into().unwrap(),
        )
    }

    /// IAID, and the addresses named.
    pub(crate) fn ia_na(&self) -> Option<(u32, Vec<Ipv6Addr>)> {
        self.message().options().iter().find_map(|option| match option {
            DhcpOption::IaNa(ia) => {
                assert_eq!((ia.t1, ia.t2), (0, 0));
                Some((ia.iaid, ia.addresses().map(|a| a.address).collect()))
            }
            _ => None,
        })
    }

    /// IAID, and the prefixes named.
    pub(crate) fn ia_pd(&self) -> Option<(u32, Vec<String>)> {
        self.message().options().iter().find_map(|option| match option {
            DhcpOption::IaPd(ia) => Some((ia.iaid, ia.prefixes().map(|p| p.net().to_string()).collect())),
            _ => None,
        })
    }
}

/// Writes an answer to `sent`, with client and server identifiers.
pub(crate) fn answer(
    sent: &Sent,
    kind: MessageType,
    server: u8,
    content: impl FnOnce(&mut Builder<'_>),
) -> Vec<u8> {
    let mut room = [0; 4096];
    let mut out = Builder::message(&mut room, kind, sent.message().transaction());
    out.client_id(&client_duid()).server_id(&server_duid(server));
    content(&mut out);
    out.finish().unwrap().to_vec()
}

/// What a server gives.
#[derive(Debug, Clone)]
pub(crate) struct Offer {
    pub(crate) addresses: Vec<(Ipv6Addr, u32, u32)>,
    pub(crate) prefixes: Vec<(ipnet::Ipv6Net, u32, u32)>,
    pub(crate) t1: u32,
    pub(crate) t2: u32,
}

impl Offer {
    pub(crate) fn none() -> Self {
        Self { addresses: Vec::new(), prefixes: Vec::new(), t1: 1000, t2: 1600 }
    }

    pub(crate) fn address(number: u16) -> Self {
        Self { addresses: vec![(address(number), 2000, 4000)], ..Self::none() }
    }

    pub(crate) fn prefix(number: u16) -> Self {
        Self { prefixes: vec![(prefix(number), 2000, 4000)], ..Self::none() }
    }

    pub(crate) fn both(number: u16) -> Self {
        Self { addresses: Self::address(number).addresses, ..Self::prefix(number) }
    }

    pub(crate) fn write(&self, out: &mut Builder<'_>) {
        out.ia_na(NA, self.t1, self.t2, |out| {
            for &(address, preferred, valid) in &self.addresses {
                out.ia_address(address, preferred, valid, |_| {});
            }
            if self.addresses.is_empty() {
                out.status(StatusCode::NO_ADDRS_AVAIL, "none left");
            }
        });
        out.ia_pd(PD, self.t1, self.t2, |out| {
            for &(prefix, preferred, valid) in &self.prefixes {
                out.ia_prefix(prefix, preferred, valid, |_| {});
            }
            if self.prefixes.is_empty() {
                out.status(StatusCode::NO_PREFIX_AVAIL, "none left");
            }
        });
        out.addresses(OptionCode::DNS_SERVERS, &[address(0x53)]);
    }
}

pub(crate) fn advertise(sent: &Sent, server: u8, preference: u8, offer: &Offer) -> Vec<u8> {
    assert_eq!(sent.kind(), MessageType::SOLICIT);
    answer(sent, MessageType::ADVERTISE, server, |out| {
        out.preference(preference);
        offer.write(out);
    })
}

pub(crate) fn reply(sent: &Sent, server: u8, offer: &Offer) -> Vec<u8> {
    answer(sent, MessageType::REPLY, server, |out| offer.write(out))
}
