//! NAT64 on this machine: IPv6 hosts reach IPv4 through a TUN device whose other end is `sixgate-xlat`.
//!
//! The kernel routes the prefix and the pool's addresses into the device; [`crate::translator`] is its other end.

use crate::translator::{self, Running, seed};
use crate::{Outcome, fail, print, say, view};
use clap::Args;
use core::net::{Ipv4Addr, Ipv6Addr};
use ipnet::{Ipv4Net, Ipv6Net};
use sixgate_endpoint::nat64::Prefix;
use sixgate_linux::route::{self, Netlink, Route, RouteV4};
use sixgate_linux::tun::Offloads;
use sixgate_xlat::{Config, Nat64, SessionConfig, SessionConfigError};
use std::io;
use std::sync::atomic::Ordering;
use std::thread;

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Name of the TUN device.
    #[arg(long, default_value = DEVICE)]
    pub(crate) device: String,
    /// The prefix behind which IPv6 hosts see IPv4.
    #[arg(long, default_value = "64:ff9b::/96", value_parser = prefix)]
    pub(crate) prefix: sixgate_endpoint::nat64::Prefix,
    /// The IPv4 addresses that the inside shares; ICMP errors come from the first.
    #[arg(long)]
    pub(crate) pool: ipnet::Ipv4Net,
    /// From where ICMPv6 errors come.
    #[arg(long)]
    pub(crate) address: std::net::Ipv6Addr,
    /// Most sessions at one time.
    #[arg(long, default_value_t = 131_072)]
    pub(crate) sessions: u32,
    /// Queues, and threads that serve them.
    #[arg(long, default_value_t = 1)]
    pub(crate) queues: usize,
}

/// Name of the TUN device.
pub(crate) const DEVICE: &str = "nat64";

/// The address from which ICMP errors come that have no other (RFC 7600 section 4.8): known before any prefix is delegated.
const DUMMY: Ipv4Addr = Ipv4Addr::new(192, 0, 0, 8);

/// Most addresses of a pool: those of a /24.
const LONGEST_POOL: u8 = 24;

/// `RTPROT_STATIC` of `linux/rtnetlink.h`.
const STATIC: u8 = 4;

/// What a translator is to be.
#[derive(Debug, Clone)]
pub(crate) struct Setup {
    /// Name of the TUN device.
    pub(crate) device: String,
    pub(crate) prefix: Prefix,
    /// The IPv4 addresses that the inside shares. None of them may be on an interface.
    pub(crate) pool: Ipv4Net,
    /// From where ICMPv6 errors come.
    pub(crate) address: Ipv6Addr,
    /// Most sessions at one time.
    pub(crate) sessions: u32,
    /// Threads.
    pub(crate) queues: usize,
}

impl Setup {
    /// What the configuration says.
    pub(crate) fn of(config: &crate::config::Nat64) -> Self {
        Self {
            device: DEVICE.to_owned(),
            prefix: config.prefix,
            pool: config.pool,
            address: config.prefix.synthesise(DUMMY),
            sessions: config.sessions,
            queues: 1,
        }
    }
}

/// Why there is no translator.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error(transparent)]
    Translator(#[from] translator::Error),
    #[error(transparent)]
    Route(#[from] route::Error),
    #[error(transparent)]
    Sessions(#[from] SessionConfigError),
    #[error("a NAT64 shares the addresses of a /{LONGEST_POOL} at most, not all of {0}; name a part of it")]
    Pool(Ipv4Net),
    #[error("cannot read /dev/urandom: {0}; ports must not be guessed")]
    Random(io::Error),
}

/// A translator at work. When it stops, its device goes, with the device's routes.
#[derive(Debug)]
pub(crate) struct Translator {
    setup: Setup,
    running: Running<Nat64>,
}

impl Translator {
    /// Makes the device and its routes, and begins to translate.
    ///
    /// # Errors
    /// What the kernel refuses; nothing is left then.
    pub(crate) fn start(setup: Setup) -> Result<Self, Error> {
        if setup.pool.prefix_len() < LONGEST_POOL {
            return Err(Error::Pool(setup.pool));
        }
        let pool: Vec<Ipv4Addr> = addresses(setup.pool).collect();
        let mut config = SessionConfig::new(setup.prefix, pool);
        config.sessions = setup.sessions;
        config.sessions_per_subscriber = config.sessions_per_subscriber.min(setup.sessions);
        name_hosts(&mut config);
        let own = Config::new(setup.pool.network(), setup.address);
        let random = fastrand::Rng::with_seed(seed().map_err(Error::Random)?);
        let nat64 = Nat64::new(own, config, random)?;
        let mut netlink = Netlink::new()?;
        let (index, queues) = translator::device(&mut netlink, &setup.device, setup.queues, Offloads::All)?;
        let behind = Ipv6Net::new_assert(setup.prefix.address(), setup.prefix.length());
        // Not marked as ours: it goes with the device, even if we are killed, and needs no looking for.
        netlink.replace_route(&Route { protocol: STATIC, ..Route::to(behind).on(index) })?;
        netlink.replace_route_v4(&RouteV4::to(setup.pool).on(index))?;
        let running = Running::start("NAT64", nat64, queues)?;
        Ok(Self { setup, running })
    }

    /// What is not as it should be, as sentences.
    pub(crate) fn problems(&self, netlink: &mut Netlink) -> Vec<String> {
        let failed = self.running.failed().map(|why| format!("NAT64 has ended, restart sixgate: {why}"));
        let lost = match netlink.has_default_route_v4() {
            Ok(false) => Some(
                "NAT64 leads nowhere: this machine has no IPv4 default route; give the uplink an IPv4 address and a router \
                 (a DHCPv4 client, or by hand)"
                    .to_owned(),
            ),
            Ok(true) => None,
            Err(error) => Some(error.to_string()),
        };
        failed.into_iter().chain(lost).collect()
    }

    /// Who has which ports, for the history.
    pub(crate) fn journal(&self) -> std::sync::Arc<translator::Journal> {
        self.running.journal()
    }

    /// Packets carried since the start: to IPv4, and back.
    pub(crate) fn carried(&self) -> (u64, u64) {
        let (counters, _) = self.running.counters();
        let count = |name: &str| counters.get(name).copied().unwrap_or_default();
        (count("to-ipv4"), count("to-ipv6"))
    }

    /// What it does.
    pub(crate) fn view(&self) -> view::Nat64 {
        let (mut counters, discarded) = self.running.counters();
        let nat64 = self.running.core();
        let (sessions, usage) = (nat64.session_counters(), nat64.usage());
        drop(nat64);
        let of_sessions = [
            ("sessions-created", sessions.created),
            ("sessions-expired", sessions.expired),
            ("sessions-evicted", sessions.evicted),
            ("ports-not-told", self.running.journal().lost()),
        ];
        counters.extend(of_sessions.map(|(name, count)| (name.to_owned(), count)));
        let pool = self.setup.pool;
        view::Nat64 {
            prefix: self.setup.prefix.to_string(),
            pool: (pool.network().to_string(), pool.broadcast().to_string()),
            sessions: usage.sessions as u64,
            bindings: usage.bindings as u64,
            subscribers: usage.subscribers as u64,
            counters,
            discarded,
            failed: self.running.failed(),
        }
    }
}

/// Blocks of ports belong to hosts and not to links, so that the history tells who had a port. A link may have a quarter of them all,
/// and no more than 1,024.
fn name_hosts(config: &mut SessionConfig) {
    const PORTS: u16 = 64;
    config.block = PORTS;
    config.holder_length = 128;
    let all = config.pool.len() * usize::from(u16::MAX / PORTS);
    config.blocks_per_subscriber = (all / 4).clamp(256, 1024);
}

/// All addresses of a pool: none of them is on a link, so that the first and the last are as good as others.
fn addresses(pool: Ipv4Net) -> impl Iterator<Item = Ipv4Addr> {
    (pool.network().to_bits()..=pool.broadcast().to_bits()).map(Ipv4Addr::from_bits)
}

/// Reads a NAT64 prefix.
pub(crate) fn prefix(text: &str) -> Result<Prefix, String> {
    let net: Ipv6Net = text.parse().map_err(|_| format!("{text:?} is no prefix as 64:ff9b::/96 is"))?;
    Prefix::new(net.addr(), net.prefix_len()).map_err(|error| error.to_string())
}

/// `sixgate lab nat64`: says `ready`, translates until SIGTERM, SIGINT or the end of standard input, and prints what
/// it did.
pub(crate) fn command(arguments: &Arguments) -> Outcome {
    let stopped = match crate::demo::stop_on_signal() {
        Ok(stopped) => stopped,
        Err(error) => return fail(&format!("cannot listen for Ctrl-C: {error}")),
    };
    let setup = Setup {
        device: arguments.device.clone(),
        prefix: arguments.prefix,
        pool: arguments.pool,
        address: arguments.address,
        sessions: arguments.sessions,
        queues: arguments.queues,
    };
    let translator = match Translator::start(setup) {
        Ok(translator) => translator,
        Err(error) => {
            say(&format!("sixgate: {error}\n"));
            return Outcome::Refused;
        }
    };
    print("ready\n");
    while !stopped.load(Ordering::Relaxed) {
        thread::sleep(core::time::Duration::from_millis(20));
    }
    match serde_json::to_string(&translator.view()) {
        Ok(json) => print(&format!("{json}\n")),
        Err(error) => fail(&error.to_string()),
    }
}
