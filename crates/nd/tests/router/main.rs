//! A router in simulated time.

// Clippy's exception for tests does not reach the functions beside them.
#![allow(clippy::unwrap_used, clippy::panic, clippy::unchecked_time_subtraction)]

mod config;
mod others;
mod prefixes;
mod times;

use core::time::Duration;
use ipnet::Ipv6Net;
use sixgate_nd::router::{Action, AdvertisedPrefix, Config, Router};
use sixgate_wire::ndp::{ALL_NODES, Builder, Message, NdOption};
use std::net::Ipv6Addr;

const START: Duration = Duration::from_hours(500_000);
const HOST: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0x99);
const ROGUE: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0x66);

fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn net(text: &str) -> Ipv6Net {
    text.parse().unwrap()
}

fn prefix(text: &str, preferred: u64, valid: u64) -> AdvertisedPrefix {
    AdvertisedPrefix {
        prefix: net(text),
        on_link: true,
        autonomous: true,
        pd_preferred: false,
        valid_until: START + secs(valid),
        preferred_until: START + secs(preferred),
    }
}

fn solicitation(link_layer: bool) -> Vec<u8> {
    let mut buffer = [0; 32];
    let mut builder = Builder::router_solicitation(&mut buffer);
    if link_layer {
        builder.source_link_layer(&[2, 0, 0, 0, 0, 9]);
    }
    builder.finish().unwrap().to_vec()
}

/// A router, a clock, and all that was sent.
struct Lan {
    router: Router,
    now: Duration,
    sent: Vec<(Duration, Ipv6Addr, Vec<u8>)>,
    records: Vec<Vec<AdvertisedPrefix>>,
    noticed: usize,
}

impl Lan {
    fn new(config: Config) -> Self {
        let router = Router::new(config, fastrand::Rng::with_seed(7));
        Self { router, now: START, sent: Vec::new(), records: Vec::new(), noticed: 0 }
    }

    fn take(&mut self, actions: Vec<Action>) {
        for action in actions {
            match action {
                Action::Send { destination, bytes } => self.sent.push((self.now, destination, bytes)),
                Action::Record(record) => self.records.push(record),
                Action::Noticed(_) => self.noticed += 1,
            }
        }
    }

    /// Lets time pass, doing what falls due.
    fn run_until(&mut self, end: Duration) {
        while let Some(due) = self.router.poll_timeout().filter(|&due| due <= end) {
            assert!(due >= self.now || self.sent.is_empty(), "time does not run backwards");
            self.now = self.now.max(due);
            let mut actions = Vec::new();
            self.router.handle_timeout(self.now, &mut actions);
            self.take(actions);
        }
        self.now = end;
    }

    fn receive(&mut self, source: Ipv6Addr, hop_limit: u8, bytes: &[u8]) {
        let mut actions = Vec::new();
        self.router.handle(self.now, source, hop_limit, bytes, &mut actions);
        self.take(actions);
    }

    fn multicast_times(&self) -> Vec<Duration> {
        self.sent.iter().filter(|(_, to, _)| *to == ALL_NODES).map(|&(at, _, _)| at - START).collect()
    }

    fn last(&self) -> &[u8] {
        &self.sent.last().unwrap().2
    }
}

fn lifetime(bytes: &[u8]) -> u16 {
    let Ok(Message::RouterAdvertisement(ra)) = Message::parse(bytes) else { panic!() };
    ra.router_lifetime()
}

fn options(bytes: &[u8]) -> Vec<NdOption<'_>> {
    Message::parse(bytes).unwrap().options().iter().collect()
}

/// Preferred and valid lifetime told of a prefix.
fn told(bytes: &[u8], prefix: &str) -> Option<(u32, u32)> {
    options(bytes).into_iter().find_map(|option| match option {
        NdOption::PrefixInformation(p) if p.prefix() == net(prefix) => Some((p.preferred, p.valid)),
        _ => None,
    })
}

fn started(prefixes: Vec<AdvertisedPrefix>) -> Lan {
    let mut lan = Lan::new(Config::default());
    lan.router.set_prefixes(START, prefixes);
    lan.router.set_default_route(START, true);
    lan.router.start(START);
    lan
}
