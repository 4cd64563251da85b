//! Many seeded histories over a link that loses, doubles and delays, against a small server written here.

use super::bench::{
    Bench, CLIENT_ADDRESS, NA, PD, SERVER_ADDRESS, Sent, address, answer, gateway, prefix, seconds,
};
use sixgate_dhcp::client::{Action, Actions, Client, State};
use sixgate_wire::dhcpv6::{DhcpOption, Message, MessageType, OptionCode, StatusCode};
use std::collections::BTreeMap;
use std::time::Duration;

/// One pool of addresses and prefixes; it remembers what it gave, and sometimes forgets all.
#[derive(Default)]
struct Server {
    leases: BTreeMap<u16, Duration>,
    held: Option<u16>,
    next: u16,
    gives_addresses: bool,
    gives_prefixes: bool,
}

impl Server {
    const VALID: u32 = 4000;

    fn answer(&mut self, now: Duration, bytes: &[u8]) -> Option<Vec<u8>> {
        let sent = Sent { at: now, bytes: bytes.to_vec() };
        let message = Message::parse(bytes).ok()?;
        let kind = message.kind();
        if kind != MessageType::SOLICIT && kind != MessageType::REBIND && kind != MessageType::CONFIRM {
            assert!(message.options().get(OptionCode::SERVER_ID).is_some());
        }
        let known = self.held.filter(|number| self.leases.get(number).is_some_and(|&until| until > now));
        let out = match kind {
            MessageType::SOLICIT | MessageType::REQUEST => {
                let number = known.unwrap_or_else(|| {
                    self.next += 1;
                    self.next
                });
                self.held = Some(number);
                if kind == MessageType::REQUEST {
                    self.leases.insert(number, now + seconds(Self::VALID.into()));
                }
                Some(number)
            }
            MessageType::RENEW | MessageType::REBIND => known.inspect(|&number| {
                self.leases.insert(number, now + seconds(Self::VALID.into()));
            }),
            MessageType::RELEASE | MessageType::DECLINE => {
                if let Some(number) = self.held.take() {
                    self.leases.remove(&number);
                }
                return Some(answer(&sent, MessageType::REPLY, 1, |out| {
                    out.status(StatusCode::SUCCESS, "");
                }));
            }
            _ => return None,
        };
        let reply = if kind == MessageType::SOLICIT { MessageType::ADVERTISE } else { MessageType::REPLY };
        Some(answer(&sent, reply, 1, |content| {
            let refused = |code| if out.is_none() { StatusCode::NO_BINDING } else { code };
            content.ia_na(NA, 0, 0, |content| match out.filter(|_| self.gives_addresses) {
                Some(number) => _ = content.ia_address(address(number), 2000, Self::VALID, |_| {}),
                None => _ = content.status(refused(StatusCode::NO_ADDRS_AVAIL), ""),
            });
            content.ia_pd(PD, 0, 0, |content| match out.filter(|_| self.gives_prefixes) {
                Some(number) => _ = content.ia_prefix(prefix(number), 2000, Self::VALID, |_| {}),
                None => _ = content.status(refused(StatusCode::NO_PREFIX_AVAIL), ""),
            });
        }))
    }
}

struct World {
    rng: fastrand::Rng,
    bench: Bench,
    server: Server,
    /// Datagrams under way: when they arrive, whether at the server, and what.
    under_way: Vec<(Duration, bool, Vec<u8>)>,
    loss: f64,
    messages: u32,
}

impl World {
    fn new(seed: u64) -> Self {
        let mut rng = fastrand::Rng::with_seed(seed);
        let both = rng.u8(..4);
        let server = Server { gives_addresses: both != 0, gives_prefixes: both != 1, ..Server::default() };
        let loss = [0.0, 0.1, 0.3, 0.6][rng.usize(..4)];
        Self { bench: Bench::new(gateway()), server, under_way: Vec::new(), loss, messages: 0, rng }
    }

    fn carry(&mut self, to_server: bool, bytes: &[u8]) {
        while self.rng.f64() >= self.loss {
            let delay = Duration::from_millis(if self.rng.f64() < 0.9 {
                self.rng.u64(1..50)
            } else {
                self.rng.u64(..3000)
            });
            self.under_way.push((self.bench.now + delay, to_server, bytes.to_vec()));
            // Some arrive twice.
            if self.rng.f64() > 0.1 {
                break;
            }
        }
    }

    fn collect(&mut self) {
        for action in std::mem::take(&mut self.bench.done) {
            match action {
                Action::Send { bytes } => {
                    self.messages += 1;
                    self.carry(true, &bytes);
                }
                Action::Changed(binding) => assert!(binding.has_leases()),
                Action::Lost | Action::Released | Action::Save(_) => {}
            }
        }
    }

    fn run_for(&mut self, time: Duration) {
        let end = self.bench.now + time;
        loop {
            self.collect();
            let timer = self.bench.client.poll_timeout().unwrap_or(Duration::MAX);
            let arrival = self.under_way.iter().enumerate().min_by_key(|(_, d)| d.0).map(|(i, d)| (i, d.0));
            let next = arrival.map_or(timer, |(_, at)| at.min(timer));
            if next > end {
                break;
            }
            self.bench.now = self.bench.now.max(next);
            if let Some((i, _)) = arrival.filter(|&(_, at)| at <= timer) {
                let (_, to_server, bytes) = self.under_way.swap_remove(i);
                if !to_server {
                    self.bench.act(|client, now, actions| {
                        client.handle(now, (SERVER_ADDRESS, CLIENT_ADDRESS), &bytes, actions);
                    });
                } else if let Some(reply) = self.server.answer(self.bench.now, &bytes) {
                    self.carry(false, &reply);
                }
            } else {
                self.bench.act(Client::handle_timeout);
            }
            self.check();
        }
        self.bench.now = end;
    }

    fn check(&self) {
        let Some(binding) = self.bench.client.binding() else { return };
        assert!(binding.next_expiry() > self.bench.now, "an ended lease is still held");
        if binding.has_leases() {
            assert_eq!(self.bench.saved.as_ref(), Some(binding), "what is held is not what is kept");
        }
        // No longer than it was ever given.
        for prefix in &binding.prefixes {
            assert!(prefix.valid_until <= self.bench.now + seconds(Server::VALID.into()));
        }
    }

    fn disturb(&mut self) {
        match self.rng.u8(..10) {
            0 => self.bench.act(Client::link_down),
            1 => self.bench.act(Client::link_up),
            2 => self.bench.act(Client::renew_now),
            3 => {
                let held = self.bench.client.binding().map_or(Vec::new(), |b| b.addresses.clone());
                let held: Vec<_> = held.iter().map(|a| a.address).collect();
                self.bench.act(|client, now, actions| client.decline(now, &held, actions));
            }
            4 => {
                // Restart: only what was kept survives.
                let saved = self
                    .bench
                    .saved
                    .clone()
                    .map(|b| sixgate_dhcp::client::Binding::from_bytes(&b.to_bytes()).unwrap());
                let now = self.bench.now;
                self.bench = Bench::restored(gateway(), saved, now);
                self.bench.start();
            }
            5 => self.server.leases.clear(),
            6 => {
                self.bench.act(Client::release);
                self.run_for(seconds(40));
                self.bench.start();
            }
            7 => self.under_way.clear(),
            _ => {}
        }
        let pause = self.rng.u64(..3000);
        self.run_for(seconds(pause));
    }
}

#[test]
fn whatever_happens_the_client_comes_back() {
    for seed in 0..2000 {
        let mut world = World::new(seed);
        world.bench.start();
        for _ in 0..12 {
            world.disturb();
        }
        // Then the link is good for two hours and a half: enough for the longest Solicit interval.
        world.loss = 0.0;
        world.bench.act(Client::link_up);
        world.run_for(seconds(9000));
        let binding =
            world.bench.client.binding().unwrap_or_else(|| panic!("seed {seed}: {:?}", world.bench.client));
        assert_eq!(!binding.addresses.is_empty(), world.server.gives_addresses, "seed {seed}");
        assert_eq!(!binding.prefixes.is_empty(), world.server.gives_prefixes, "seed {seed}");
        assert_eq!(world.bench.client.state(), State::Bound, "seed {seed}");
        let number = world.server.held.unwrap();
        for held in &binding.prefixes {
            assert_eq!(held.prefix, prefix(number), "seed {seed}: the server gave another since");
        }
        assert!(world.messages < 3000, "seed {seed}: {} messages", world.messages);
    }
}

/// Noise on port 546: changed copies of what a server sent.
#[test]
fn no_octets_harm_the_client() {
    let mut rng = fastrand::Rng::with_seed(546);
    for _ in 0..300 {
        let mut bench = Bench::new(sixgate_dhcp::client::Config {
            reconfigure_accept: true,
            rapid_commit: true,
            ..gateway()
        });
        let mut server = Server { gives_addresses: true, gives_prefixes: true, ..Server::default() };
        bench.start();
        for _ in 0..20 {
            let Some(next) = bench.client.poll_timeout() else { break };
            bench.now = bench.now.max(next);
            bench.act(Client::handle_timeout);
            for action in std::mem::take(&mut bench.done) {
                let Action::Send { bytes } = action else { continue };
                let Some(reply) = server.answer(bench.now, &bytes) else { continue };
                for _ in 0..10 {
                    let mut noise = reply.clone();
                    for _ in 0..rng.usize(..6) {
                        let at = rng.usize(..noise.len());
                        noise[at] = rng.u8(..);
                    }
                    noise.truncate(noise.len() - if rng.bool() { 0 } else { rng.usize(..noise.len()) });
                    bench.receive(&noise);
                }
                bench.receive(&reply);
            }
        }
        let mut actions = Actions::new();
        bench.client.release(bench.now, &mut actions);
        assert!(
            Message::parse(
                &actions
                    .iter()
                    .find_map(|a| match a {
                        Action::Send { bytes } => Some(bytes.clone()),
                        _ => None,
                    })
                    .unwrap_or_else(|| vec![0; 4])
            )
            .unwrap()
            .options()
            .iter()
            .all(|o| !matches!(o, DhcpOption::Malformed { .. }))
        );
    }
}
