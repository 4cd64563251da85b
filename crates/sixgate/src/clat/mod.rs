//! `sixgate clat`: IPv4 for the programs of a host whose network has none (464XLAT, RFC 6877).
//!
//! ```text
//! program - 192.0.0.1 - TUN device clat - Siit - raw socket ----- eth0 - NAT64 - IPv4
//!                                              - packet socket ---
//! ```
//! The machine stays a host. It forwards nothing, so that no setting of it changes and no firewall rule for forwarding is in the way;
//! what the CLAT sends is the machine's own output, and what arrives for the CLAT's address is taken from the link before the kernel
//! looks at it. All of it goes with the process, however that ends, but the address on the interface, which the kernel takes back
//! within half a minute.
//!
//! `link` is the interface, its routers and the CLAT's address; `discovery` asks DNS for the prefix; `ends` carry the packets.

mod discovery;
mod ends;
mod link;
mod report;

use crate::translator::{self, Running, seed};
use crate::{Outcome, fail, say};
use clap::Args;
use discovery::Discovery;
use ends::HostEnds;
use ipnet::Ipv4Net;
use link::Watched;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use report::{Learnt, Reason, Reporter, State};
use sixgate_endpoint::nat64::Prefix;
use sixgate_linux::clock::Clock;
use sixgate_linux::monitor::{Event, Monitor};
use sixgate_linux::nft::{self, Silence};
use sixgate_linux::route::{self, Netlink, RouteV4, TABLE_MAIN};
use sixgate_linux::sandbox::{self, Capabilities, Capability};
use sixgate_linux::socket::{self, open_bypass};
use sixgate_linux::sysctl::{self, Key};
use sixgate_linux::tun::Offloads;
use sixgate_xlat::{Config, MappingError, Siit};
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::os::fd::AsFd as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Give the programs of this host IPv4 on a network that has none (464XLAT), until SIGTERM or Ctrl-C.
#[derive(Debug, Args)]
#[command(long_about = "\
Give the programs of this host IPv4 on a network that has none, until SIGTERM or Ctrl-C: the customer side of 464XLAT
(RFC 6877). Where the network has a NAT64, names of IPv4-only servers work already, through DNS64; what does not is a
program that opens IPv4 sockets or is given 198.51.100.10. For those this makes a device `clat` with an IPv4 address and
a default route, and translates.

The prefix of the NAT64 is what the router tells (PREF64, RFC 8781), else what DNS tells of ipv4only.arpa (RFC 7050),
else --prefix. The translator has an IPv6 address of its own beside the host's. While the machine has an IPv4 default
route of its own, the CLAT is off; it comes back when that goes. It follows a router that changes its prefix.

The host stays a host: nothing is forwarded, no setting is changed. What it made goes with it, even after kill -9 (its
address on the interface within half a minute). Needs root, or CAP_NET_ADMIN and CAP_NET_RAW.

  sixgate clat                         on the interface with the IPv6 default route
  sixgate clat --interface wlan0       on this one
  sixgate clat --json                  one JSON object a line whenever the state changes

It has begun to work with the line `on: ...`. Exit code 3 where the system refuses what it needs.")]
pub(crate) struct Arguments {
    /// The interface to the network. Without it, the one with the best IPv6 default route, as that moves.
    #[arg(short, long, value_name = "NAME")]
    pub(crate) interface: Option<String>,
    /// The prefix of the network's NAT64, such as 64:ff9b::/96, instead of what router and DNS tell.
    #[arg(short, long, value_name = "PREFIX", value_parser = crate::nat64::prefix)]
    pub(crate) prefix: Option<sixgate_endpoint::nat64::Prefix>,
    /// Print one JSON object a line.
    #[arg(long)]
    pub(crate) json: bool,
}

/// Name of the TUN device, and of the island's in `up`.
pub(crate) const DEVICE: &str = "clat";
/// Name of the table of rules.
const TABLE: &str = "sixgate-clat";

/// From where ICMPv4 errors seem to come that have no IPv4 sender: ours, and those of IPv6 routers on the way (RFC 7600 section 4.8,
/// RFC 6791).
pub(crate) const DUMMY: Ipv4Addr = Ipv4Addr::new(192, 0, 0, 8);

/// The IPv4 service continuity prefix (RFC 7335): its addresses from the second on, as far as 192.0.0.6, are for hosts.
const FIRST: u32 = Ipv4Addr::new(192, 0, 0, 1).to_bits();
const ADDRESSES: u32 = 6;

/// Metric of the IPv4 default route: behind whatever else may come.
pub(crate) const METRIC: u32 = 1 << 16;

/// Octets by which an IPv6 header is longer than one of IPv4. A packet that has to become fragments, each with 8 octets more, is cut
/// to size by the translator.
pub(crate) const LONGER: u32 = 20;

/// How often to look at what the kernel does not tell of (IPv4 routes that go with their interface).
const LOOK: Duration = Duration::from_secs(2);
/// How often to look at most, however much the kernel tells.
const SOON: Duration = Duration::from_millis(100);
/// How long a router may take to tell the prefix before DNS is asked.
const PATIENCE: Duration = Duration::from_secs(3);
/// The longest wait.
const NAP: Duration = Duration::from_millis(250);
/// How soon to try again what failed.
const RETRY: Duration = Duration::from_secs(5);

/// Why a CLAT cannot work.
#[derive(Debug, thiserror::Error)]
enum Error {
    #[error(transparent)]
    Netlink(#[from] route::Error),
    #[error(transparent)]
    Socket(#[from] socket::Error),
    #[error(transparent)]
    Translator(#[from] translator::Error),
    #[error(transparent)]
    Rules(#[from] nft::Error),
    #[error(transparent)]
    Sandbox(#[from] sandbox::Error),
    #[error(transparent)]
    Mapping(#[from] MappingError),
    #[error(
        "not permitted: this process lacks {0}; run as root, or give it CAP_NET_ADMIN (device, addresses, rules) and CAP_NET_RAW (packets)"
    )]
    Permission(Capabilities),
    #[error("cannot listen for changes of links and addresses: {0}")]
    Monitor(io::Error),
    #[error("cannot read /dev/urandom: {0}")]
    Random(io::Error),
    #[error("192.0.0.1 to 192.0.0.6 are all in use on this machine (RFC 7335); does another CLAT run?")]
    Addresses,
}

/// What a CLAT that works was made from. When something of it changes, another one is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Setup {
    plat: Prefix,
    learnt: Learnt,
    address: Ipv6Addr,
    /// Of IPv6, in octets.
    mtu: u32,
}

/// A CLAT that works. Its device goes when it is dropped, and with it address and route.
#[derive(Debug)]
struct On {
    setup: Setup,
    ipv4: Ipv4Addr,
    running: Running<Siit>,
    _silence: Silence,
}

impl On {
    fn start(netlink: &mut Netlink, watched: &Watched, setup: Setup) -> Result<Self, Error> {
        let taken = netlink.addresses_v4(None)?;
        let ipv4 = (FIRST..FIRST + ADDRESSES)
            .map(Ipv4Addr::from_bits)
            .find(|address| !taken.iter().any(|on| on.net.addr() == *address))
            .ok_or(Error::Addresses)?;
        let own = Ipv4Net::from(ipv4);
        let random = fastrand::Rng::with_seed(seed().map_err(Error::Random)?);
        let siit =
            Siit::clat(config(setup.address, setup.mtu), own, setup.address.into(), setup.plat, random)?;
        // Before anything could arrive.
        let silence = Silence::new(TABLE, &watched.link.name, setup.address)?;
        let link = &watched.link;
        let bypass = open_bypass(&link.name, link.index, link.mac.is_some(), setup.address)?;
        let (index, queues) = translator::device(netlink, DEVICE, 1, Offloads::None)?;
        // IPv6 has nothing to say on it. A kernel that does not know the setting has no IPv6 there.
        let _ = sysctl::set(DEVICE, Key::DisableIpv6, 1);
        netlink.set_mtu(index, setup.mtu.saturating_sub(LONGER))?;
        netlink.set_address_v4(index, own)?;
        let ends = queues.into_iter().zip([bypass]).map(|(v4, v6)| HostEnds::new(v4, v6)).collect();
        let running = Running::start("CLAT", siit, ends)?;
        let route = RouteV4::to(RouteV4::DEFAULT).on(index).metric(METRIC);
        netlink.add_route_v4(&RouteV4 { source: Some(ipv4), ..route })?;
        Ok(Self { setup, ipv4, running, _silence: silence })
    }
}

/// What the translator of a CLAT is told: `address` is where ICMPv6 errors come from, `mtu` the link's, in octets.
pub(crate) fn config(address: Ipv6Addr, mtu: u32) -> Config {
    let mut config = Config::new(DUMMY, address);
    let mtu = u16::try_from(mtu).unwrap_or(u16::MAX);
    (config.mtu_v6, config.mtu_v4) = (mtu, mtu.saturating_sub(LONGER as u16));
    // Senders hear of narrow links from IPv6 routers.
    config.error_sources = Some(DUMMY.into());
    config
}

/// Everything that runs.
struct Clat<'a> {
    arguments: &'a Arguments,
    clock: Clock,
    netlink: Netlink,
    monitor: Monitor,
    watched: Option<Watched>,
    discovery: Discovery,
    on: Option<On>,
    reporter: Reporter,
    /// When to look at the kernel's tables again, and when that was last done.
    look: Duration,
    looked: Duration,
    /// An IPv4 default route of somebody else's, in words.
    native: Option<String>,
    /// Not before then what failed is tried again.
    retry: Duration,
}

/// Runs until told to stop.
pub(crate) fn command(arguments: &Arguments) -> Outcome {
    let needed = Capabilities::from([Capability::NetAdmin, Capability::NetRaw]);
    let opened = sandbox::keep(needed).map_err(Error::from).and_then(|kept| {
        let lacking = Capabilities::from_bits(needed.bits() & !kept.bits());
        if !lacking.is_empty() {
            return Err(Error::Permission(lacking));
        }
        let monitor = Monitor::without_routes().map_err(Error::Monitor)?;
        let mut netlink = Netlink::new()?;
        // A name that was given must be right now; which one is best may show itself later.
        if let Some(name) = &arguments.interface {
            netlink.index_of(name)?;
        }
        Ok((monitor, netlink))
    });
    let (monitor, netlink) = match opened {
        Ok(opened) => opened,
        Err(error) => {
            say(&format!("sixgate: {error}\n"));
            return Outcome::Refused;
        }
    };
    let stopped = match crate::demo::stop_on_signal() {
        Ok(stopped) => stopped,
        Err(error) => return fail(&format!("cannot listen for Ctrl-C: {error}")),
    };
    let mut clat = Clat {
        arguments,
        clock: Clock::new(),
        netlink,
        monitor,
        watched: None,
        discovery: Discovery::default(),
        on: None,
        reporter: Reporter::new(arguments.json),
        look: Duration::ZERO,
        looked: Duration::ZERO,
        native: None,
        retry: Duration::ZERO,
    };
    let outcome = clat.run(&stopped);
    let (counters, discarded) = clat.on.take().map(|on| on.running.counters()).unwrap_or_default();
    if let Some(mut watched) = clat.watched.take() {
        watched.release(&mut clat.netlink);
    }
    if outcome == Outcome::Done {
        clat.reporter.say(State::Stopped { counters, discarded });
    }
    outcome
}

impl Clat<'_> {
    fn run(&mut self, stopped: &Arc<AtomicBool>) -> Outcome {
        // What is refused at the first try is a mistake, or a right that is missing; later it may pass by itself.
        let mut worked = false;
        while !stopped.load(Ordering::Relaxed) {
            let now = self.clock.now();
            match self.step(now) {
                Ok(()) => worked |= self.on.is_some(),
                Err(error) if !worked => {
                    say(&format!("sixgate: {error}\n"));
                    return Outcome::Refused;
                }
                Err(error) => {
                    self.off();
                    self.retry = now + RETRY;
                    self.waiting(Reason::Failed, error.to_string());
                }
            }
            self.wait();
        }
        Outcome::Done
    }

    /// Until something comes, or something is due.
    fn wait(&self) {
        let now = self.clock.now();
        let due = self.watched.as_ref().and_then(Watched::poll_timeout);
        let left = due.map_or(NAP, |due| due.saturating_sub(now).min(NAP));
        let mut sources = vec![PollFd::new(self.monitor.as_fd(), PollFlags::POLLIN)];
        if let Some(watched) = &self.watched {
            sources.push(PollFd::new(watched.socket().as_fd(), PollFlags::POLLIN));
        }
        let timeout = PollTimeout::try_from(left.max(Duration::from_millis(1)));
        let _ = poll(&mut sources, timeout.unwrap_or(PollTimeout::from(100_u8)));
    }

    fn step(&mut self, now: Duration) -> Result<(), Error> {
        self.hear();
        if now >= self.look {
            self.look(now)?;
            (self.looked, self.look) = (now, now + LOOK);
        }
        let Some(watched) = &mut self.watched else {
            let detail = match &self.arguments.interface {
                Some(name) => format!("there is no interface {name}"),
                None => {
                    "no interface has an IPv6 default route; is the machine on an IPv6 network?".to_owned()
                }
            };
            self.waiting(Reason::Interface, detail);
            return Ok(());
        };
        watched.listen(now);
        if now < self.retry {
            return Ok(());
        }
        let interface = watched.link.name.clone();
        if let Some(native) = &self.native {
            let detail = format!("the machine has IPv4 of its own: {native}");
            watched.release(&mut self.netlink);
            self.off();
            self.reporter.say(State::Off { interface, detail });
            return Ok(());
        }
        let Some((plat, learnt)) = self.prefix(now) else {
            self.off();
            if let Some(watched) = &mut self.watched {
                watched.release(&mut self.netlink);
            }
            let detail = format!(
                "no router on {interface} tells a NAT64 prefix (RFC 8781), and DNS has none for ipv4only.arpa (RFC 7050): \
                 this network may have no NAT64; if you know that it has, name its --prefix"
            );
            self.waiting(Reason::Prefix, detail);
            return Ok(());
        };
        let Some(watched) = &mut self.watched else { return Ok(()) };
        let Some(address) = watched.address(&mut self.netlink, now)? else {
            let heard = watched.state().heard_router;
            self.off();
            let detail = if heard {
                format!(
                    "no address on {interface} yet: it takes a /64 whose addresses hosts may choose (SLAAC)"
                )
            } else {
                format!("no router is heard on {interface}")
            };
            self.waiting(Reason::Address, detail);
            return Ok(());
        };
        let setup = Setup { plat, learnt, address, mtu: watched.mtu() };
        if let Some(failed) = self.on.as_ref().and_then(|on| on.running.failed()) {
            self.off();
            self.retry = now + RETRY;
            self.waiting(Reason::Failed, failed);
            return Ok(());
        }
        if self.on.as_ref().is_none_or(|on| on.setup != setup) {
            self.off();
            if let Some(watched) = &self.watched {
                self.on = Some(On::start(&mut self.netlink, watched, setup)?);
            }
        }
        if let Some(on) = &self.on {
            let (prefix, ipv4) = (plat.to_string(), on.ipv4);
            self.reporter.say(State::On {
                interface,
                prefix,
                learnt,
                address,
                ipv4,
                mtu: setup.mtu.saturating_sub(LONGER),
            });
        }
        Ok(())
    }

    /// Programs lose IPv4: the device goes.
    fn off(&mut self) {
        self.on = None;
    }

    fn waiting(&mut self, reason: Reason, detail: String) {
        let interface = self.watched.as_ref().map(|watched| watched.link.name.clone());
        self.reporter.say(State::Waiting { interface, reason, detail });
    }

    /// What the kernel tells: as a rule that it is time to look again.
    fn hear(&mut self) {
        let Ok(events) = self.monitor.read() else { return };
        let soon = self.look.min(self.looked + SOON);
        for event in events {
            match (event, &mut self.watched) {
                // Of our own making, as a rule, or of no interest.
                (Event::Address(_), _) => {}
                (Event::AddressGone(gone), watched) => {
                    if let Some(watched) = watched.as_mut().filter(|on| on.link.index == gone.interface) {
                        watched.lost(gone.address);
                    }
                }
                (Event::Overrun, watched) => {
                    self.look = soon;
                    if let Some(watched) = watched {
                        watched.doubt();
                    }
                }
                _ => self.look = soon,
            }
        }
    }

    /// Which interface, and whether there is IPv4 besides.
    fn look(&mut self, now: Duration) -> Result<(), Error> {
        let ours = self.on.as_ref().and_then(|_| self.netlink.index_of(DEVICE).ok());
        let links = self.netlink.links()?;
        let name = |index: Option<u32>| links.iter().find(|link| Some(link.index) == index);
        let native = self.netlink.routes_v4(TABLE_MAIN, None)?.into_iter();
        let native = native.filter(|route| route.is_default() && (route.interface != ours || ours.is_none()));
        self.native = native.min_by_key(|route| route.metric).map(|route| {
            let on = name(route.interface).map_or(String::new(), |link| format!(" on {}", link.name));
            let by = route.gateway.map_or(String::new(), |gateway| format!(" by {gateway}"));
            format!("a default route{by}{on}")
        });
        let chosen = if let Some(name) = &self.arguments.interface {
            links.iter().find(|link| link.name == *name)
        } else {
            let routes = self.netlink.routes(TABLE_MAIN, None)?.into_iter();
            let default = |route: &route::Route| {
                route.destination.prefix_len() == 0 && route.kind == route::RouteKind::Unicast
            };
            name(routes.filter(default).min_by_key(|route| route.metric).and_then(|route| route.interface))
        };
        let same = |watched: &Watched| chosen.is_some_and(|link| link.index == watched.link.index);
        if let Some(watched) = self.watched.as_mut().filter(|watched| same(watched)) {
            if let Some(link) = chosen {
                // The cable was out: another network may be behind it now.
                let back = link.running && !watched.link.running;
                watched.link = link.clone();
                if back {
                    self.leave();
                }
            }
        } else {
            self.leave();
        }
        if self.watched.is_none()
            && let Some(link) = chosen
        {
            self.watched = Some(Watched::new(link.clone(), now)?);
        }
        Ok(())
    }

    /// Forgets a link and what was learnt on it.
    fn leave(&mut self) {
        self.off();
        self.discovery.reset();
        if let Some(mut watched) = self.watched.take() {
            watched.release(&mut self.netlink);
        }
    }

    /// The prefix of the NAT64, as far as it is known: what was told here counts more than what a router tells, and that more than
    /// what DNS tells (RFC 8781 section 5.1).
    fn prefix(&mut self, now: Duration) -> Option<(Prefix, Learnt)> {
        if let Some(prefix) = self.arguments.prefix {
            return Some((prefix, Learnt::Argument));
        }
        let watched = self.watched.as_ref()?;
        let told = watched.state().pref64.map(|told| told.prefix);
        if let Some(prefix) = told.and_then(|net| Prefix::new(net.network(), net.prefix_len()).ok()) {
            return Some((prefix, Learnt::Pref64));
        }
        if now < watched.since + PATIENCE {
            return None;
        }
        self.discovery.prefix(now).map(|prefix| (prefix, Learnt::Dns))
    }
}
