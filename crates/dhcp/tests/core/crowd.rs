//! Many clients of one server on one link, and a disk that takes no time.

use nix::time::{ClockId, clock_gettime};
use sixgate_dhcp::lease::Resource;
use sixgate_dhcp::server::{
    Action, Actions, AddressPool, Datagram, Lifetimes, Limits, Link, Relays, Server, ServerConfig,
};
use sixgate_linux::allocations;
use sixgate_wire::dhcpv6::{
    Builder, DhcpOption, Duid, INFINITY, Message, MessageType, OptionCode, TransactionId,
};
use std::net::Ipv6Addr;
use std::ops::Range;
use std::time::Duration;

/// Clients that ask at once, and are answered before the next ones ask.
const TOGETHER: u32 = 100;

/// What clients ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    Solicit,
    Request,
    Renew,
}

impl Phase {
    pub(crate) const ALL: [Self; 3] = [Self::Solicit, Self::Request, Self::Renew];
}

/// What it cost the server.
#[derive(Debug, Default)]
pub(crate) struct Cost {
    pub(crate) cpu: Duration,
    /// For one message.
    pub(crate) longest: Duration,
    pub(crate) allocations: u64,
}

pub(crate) struct Crowd {
    server: Server,
    pub(crate) now: Duration,
    duid: Duid,
    addresses: Vec<Ipv6Addr>,
    actions: Actions,
    /// Whether [`Cost::longest`] is wanted: to look at the clock for each message costs a part of it.
    pub(crate) timed: bool,
}

/// CPU time of this thread: others may take the core meanwhile.
fn cpu() -> Duration {
    clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).unwrap().into()
}

fn mac(client: u32) -> [u8; 6] {
    let [a, b, c, d] = client.to_be_bytes();
    [2, 0, a, b, c, d]
}

fn link_local(client: u32) -> Ipv6Addr {
    let [a, b, c, d] = client.to_be_bytes();
    Ipv6Addr::from_octets([0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, a, 0xff, 0xfe, b, c, d])
}

impl Crowd {
    /// A server with room for so many.
    pub(crate) fn new(most: u32) -> Self {
        let lifetimes = Lifetimes {
            preferred: Duration::from_hours(1),
            valid: Duration::from_hours(2),
            preferred_until: Duration::MAX,
            valid_until: Duration::MAX,
        };
        let prefix = "2001:db8:0:1::/64".parse().unwrap();
        let lan = Link {
            prefixes: vec![prefix],
            addresses: vec![AddressPool { prefix, lifetimes }],
            dns: vec!["2001:db8::53".parse().unwrap()],
            ..Link::new("lan")
        };
        let most = most as usize;
        let limits = Limits { leases: most, leases_per_link: most, ..Limits::default() };
        let duid = Duid::link_layer([2, 0xaa, 0, 0, 0, 1]);
        let server = Server::new(
            ServerConfig {
                duid: duid.clone(),
                links: vec![lan],
                remote: Vec::new(),
                relays: Relays::default(),
                preference: None,
                rapid_commit: false,
                hash_key: [9; 16],
                limits,
            },
            Vec::new(),
        );
        let now = Duration::from_hours(500_000);
        Self {
            server,
            now,
            duid,
            addresses: vec![Ipv6Addr::UNSPECIFIED; most],
            actions: Actions::new(),
            timed: false,
        }
    }

    fn message(&self, phase: Phase, client: u32) -> Vec<u8> {
        let kind = match phase {
            Phase::Solicit => MessageType::SOLICIT,
            Phase::Request => MessageType::REQUEST,
            Phase::Renew => MessageType::RENEW,
        };
        let mut room = [0; 512];
        let mut b = Builder::message(&mut room, kind, TransactionId([1, 2, 3]));
        b.client_id(&Duid::link_layer_time(mac(client), 7));
        if phase != Phase::Solicit {
            b.server_id(&self.duid);
        }
        b.elapsed_time(0).oro(&[OptionCode::DNS_SERVERS]);
        b.ia_na(1, 0, 0, |b| {
            if phase != Phase::Solicit {
                b.ia_address(self.addresses[client as usize], INFINITY, INFINITY, |_| {});
            }
        });
        b.finish().unwrap().to_vec()
    }

    /// All of these clients ask, some at a time, and each is answered.
    pub(crate) fn all(&mut self, phase: Phase, clients: Range<u32>) -> Cost {
        let mut cost = Cost::default();
        for first in clients.clone().step_by(TOGETHER as usize) {
            let some = first..clients.end.min(first + TOGETHER);
            let messages: Vec<Vec<u8>> = some.clone().map(|client| self.message(phase, client)).collect();
            let mut done: Vec<Action> = Vec::with_capacity(messages.len());
            let (before, began) = (allocations::count(), cpu());
            let mut last = began;
            for (client, bytes) in some.clone().zip(&messages) {
                let source = link_local(client);
                let datagram = Datagram { link: "lan", source, port: 546, bytes, link_layer: None };
                self.server.handle(self.now, &datagram, &mut self.actions);
                done.append(&mut self.actions);
                if self.timed {
                    let now = cpu();
                    cost.longest = cost.longest.max(now.saturating_sub(last));
                    last = now;
                }
            }
            for action in std::mem::take(&mut done) {
                if let Action::Commit { ticket, .. } = action {
                    self.server.committed(ticket, &mut self.actions);
                } else {
                    self.actions.push(action);
                }
            }
            cost.cpu += cpu().saturating_sub(began);
            // Taking the commits off their list asks for nothing.
            cost.allocations += allocations::count() - before;
            assert_eq!(self.actions.len(), some.len(), "{phase:?}: each is answered");
            for (client, action) in some.zip(self.actions.drain(..)) {
                let Action::Reply(reply) = action else { panic!("{action:?}") };
                let message = Message::parse(&reply.bytes).unwrap();
                let Some(DhcpOption::IaNa(ia)) = message.options().find(OptionCode::IA_NA) else { panic!() };
                let address = ia.addresses().next().unwrap().address;
                let known = &mut self.addresses[client as usize];
                assert!(phase == Phase::Solicit || *known == address, "{phase:?}");
                *known = address;
            }
            self.now += Duration::from_millis(1);
        }
        assert!(phase == Phase::Solicit || self.server.leases().len() >= clients.end as usize);
        assert!(
            self.server.leases().get(Resource::Address(self.addresses[clients.start as usize])).is_some()
                || phase == Phase::Solicit
        );
        cost
    }
}
