//! Shaping a link: a queue of ours, slower than the link by a little, in front of it in both directions, so that packets wait where
//! their waiting is governed and not in a modem.
//!
//! Where the kernel has a queue that does (CAKE, else FQ-CoDel under HTB), it is configured (`kernel`). Else `sixgate-aqm` does it,
//! in the way of the packets (`own`, `path`, `frame`). `plan` is what is wanted; `view` what is shown.

mod frame;
mod kernel;
mod own;
mod path;
mod plan;
mod steer;
mod view;

pub(crate) use plan::{Direction, Facing, LinkKind, Plan, Shares, Speed, Which, rate, speed};
pub(crate) use view::ShapeView;

use crate::{Outcome, fail, print, say};
use clap::Args;
use kernel::Kernel;
use own::Own;
use path::Stood;
use sixgate_aqm::Rate;
use sixgate_aqm::shape::Config;
use sixgate_linux::nft;
use sixgate_linux::route::{self, Netlink};
use sixgate_linux::sandbox::{self, Capabilities, Capability};
use sixgate_linux::socket;
use std::io;
use std::net::Ipv6Addr;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use steer::Steering;

/// Keep the delay of one link low while it is busy, until SIGTERM or Ctrl-C.
#[derive(Debug, Args)]
#[command(long_about = "\
Keep the delay of a link low while it is busy, until SIGTERM or Ctrl-C: a queue in front of the link, slower than it by a
little, in which flows take turns (FQ-CoDel, RFC 8290). Give the rates that the link really has, less 5 %. In place of a
rate, two with a hyphen between are a link that changes: the rate then follows it by the delay measured on it.

Where the kernel has CAKE, or FQ-CoDel and HTB, that is configured; else the packets pass through this process. Addresses,
routes, firewalls and connections stay as they are. All of it goes when this ends; our own queue also by kill -9. Needs
root, or CAP_NET_ADMIN and CAP_NET_RAW. `sixgate up` does the same with `shape` under [uplink] and [[lan]].

  sixgate shape --interface eth0 --down 95M --up 19M
  sixgate shape --interface wwan0 --down 5M-60M --up 1M-20M
  sixgate shape --interface eth0 --up 800k --link adsl --ack-filter
  sixgate shape --interface wlan0 --lan --down 40M

It has begun to work with the line `on: ...`. When it ends it prints what the queue has done.")]
pub(crate) struct Arguments {
    /// The interface to the link.
    #[arg(short, long, value_name = "NAME")]
    pub(crate) interface: String,
    /// The link is that to hosts of ours (a wireless network, a VLAN): down is towards them. Where a rate changes, name --probe.
    #[arg(long)]
    pub(crate) lan: bool,
    /// The rate towards us, such as 95M, or two (5M-60M).
    #[arg(long, value_name = "RATE", value_parser = speed, required_unless_present = "up")]
    pub(crate) down: Option<Speed>,
    /// The rate from us.
    #[arg(long, value_name = "RATE", value_parser = speed)]
    pub(crate) up: Option<Speed>,
    /// What the link adds to each packet.
    #[arg(long, value_enum, default_value_t)]
    pub(crate) link: LinkKind,
    /// Who gets an equal share.
    #[arg(long, value_enum, default_value_t)]
    pub(crate) fairness: Shares,
    /// Four classes by DSCP, as CAKE's diffserv4.
    #[arg(long)]
    pub(crate) diffserv: bool,
    /// On the way up leave out acknowledgements that later ones make superfluous.
    #[arg(long)]
    pub(crate) ack_filter: bool,
    /// Drop packets, also where their senders understand marks (ECN).
    #[arg(long)]
    pub(crate) no_ecn: bool,
    /// A usual round trip, in milliseconds.
    #[arg(long, value_name = "MS", default_value_t = 100, value_parser = clap::value_parser!(u64).range(1..=10_000))]
    pub(crate) rtt: u64,
    /// Whose queue.
    #[arg(long, value_enum, default_value_t)]
    pub(crate) queue: Which,
    /// Whom to ask how long the way takes, where a rate changes: an IPv6 address beyond the bottleneck; several by repeating it.
    /// Without it, the router.
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) probe: Vec<std::net::Ipv6Addr>,
    /// Print JSON: one object at the start, one at the end.
    #[arg(long)]
    pub(crate) json: bool,
}

impl Arguments {
    /// What is asked for.
    pub(crate) fn plan(&self) -> Plan {
        Plan {
            facing: if self.lan { Facing::Hosts } else { Facing::Internet },
            down: self.down,
            up: self.up,
            link: self.link,
            shares: self.fairness,
            diffserv: self.diffserv,
            ack_filter: self.ack_filter,
            ecn: !self.no_ecn,
            round_trip: std::time::Duration::from_millis(self.rtt),
            which: self.queue,
        }
    }
}

/// How often `sixgate shape` looks whether it was told to stop, and every how many of these whether it still shapes.
const GLANCE: Duration = Duration::from_millis(20);
const CHECKED: u32 = 10;

/// What is to be shaped, and how.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Setup {
    pub(crate) interface: String,
    pub(crate) plan: Plan,
    /// Who is asked how long the way takes, where a rate changes; nobody: the router.
    pub(crate) targets: Vec<Ipv6Addr>,
}

impl Setup {
    /// How the shaper of each direction is made.
    fn directions(&self) -> impl Iterator<Item = (Direction, Config)> + '_ {
        Direction::BOTH.into_iter().filter_map(|direction| Some((direction, self.plan.config(direction)?)))
    }
}

/// Why a link is not shaped.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error(
        "cannot shape {0}: its packets have no Ethernet header, and this kernel has no queue of its own for it (sch_cake, sch_fq_codel)"
    )]
    NotEthernet(String),
    #[error(
        "cannot make the TAP device {device}: {source}; a name that is taken becomes free by `ip link del {device}`"
    )]
    Device { device: String, source: io::Error },
    #[error(
        "{interface} has the queue {kind}, which somebody configured (`tc qdisc del dev {interface} root` takes it away)"
    )]
    Taken { interface: String, kind: String },
    #[error("the kernel was given the queue {kind} and has {found}; does another program configure it?")]
    NotThere { kind: &'static str, found: String },
    #[error("cannot shape by the kernel's queue: {0}; choose queue \"own\" or \"auto\"")]
    NoKernel(String),
    #[error("cannot start a thread for the queue: {0}")]
    Thread(io::Error),
    #[error(transparent)]
    Route(#[from] route::Error),
    #[error(transparent)]
    Rules(#[from] nft::Error),
    #[error(transparent)]
    Socket(#[from] socket::Error),
    #[error(transparent)]
    Sandbox(#[from] sandbox::Error),
}

/// Whose queue is at work.
#[derive(Clone)]
enum Active {
    Own(Arc<Own>),
    Kernel(Arc<Mutex<Kernel>>),
}

/// A lock that nobody holds over a panic.
fn held<T>(lock: &Mutex<T>) -> MutexGuard<'_, T> {
    lock.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Active {
    /// From now on this rate; what waits stays.
    fn set_rate(&self, direction: Direction, rate: Rate) -> Result<(), Error> {
        match self {
            Self::Own(own) => own.set_rate(direction, rate),
            Self::Kernel(kernel) => return held(kernel).set_rate(direction, rate),
        }
        Ok(())
    }

    /// When its thread last ran late, and by how much; the kernel's does not.
    fn stood(&self) -> Option<Stood> {
        match self {
            Self::Own(own) => own.lateness().stood(),
            Self::Kernel(_) => None,
        }
    }

    /// Octets that were sent so far, as the link counts them.
    fn carried(&self, direction: Direction) -> u64 {
        match self {
            Self::Own(own) => own.carried(direction),
            Self::Kernel(kernel) => held(kernel).tins(direction).iter().map(|tin| tin.octets).sum(),
        }
    }
}

/// A link that is shaped. When this is dropped it is not any more.
pub(crate) struct Shaping {
    setup: Setup,
    /// The interface's number.
    index: u32,
    /// Why this queue.
    reason: String,
    /// Dropped first: nobody steers what is not there.
    steering: Option<Steering>,
    active: Active,
}

impl Shaping {
    /// Begins.
    ///
    /// # Errors
    /// What the kernel refuses; nothing is left then.
    pub(crate) fn start(netlink: &mut Netlink, setup: Setup) -> Result<Self, Error> {
        let link = netlink
            .link_by_name(&setup.interface)?
            .ok_or_else(|| route::Error::NoInterface(setup.interface.clone()))?;
        let offered = match setup.plan.which {
            Which::Own => Err("the configuration wants it".to_owned()),
            Which::Auto | Which::Kernel => kernel::offers(&setup, &link),
        };
        let started = offered.and_then(|kind| {
            let reason = match (setup.plan.which, kind) {
                (Which::Kernel, _) => "the configuration wants it",
                (_, kernel::Kind::Cake) => "this kernel has it",
                (_, kernel::Kind::FqCodel) => "this kernel has it, and no sch_cake",
            };
            let kernel = Kernel::start(&setup, &link, kind).map_err(|error| error.to_string())?;
            Ok((Active::Kernel(Arc::new(Mutex::new(kernel))), reason.to_owned()))
        });
        let (active, reason) = match started {
            Ok(started) => started,
            Err(why) if setup.plan.which == Which::Kernel => return Err(Error::NoKernel(why)),
            Err(why) => (Active::Own(Arc::new(Own::start(netlink, &setup, &link)?)), why),
        };
        let steering = Steering::start(&setup, &link, &active)?;
        Ok(Self { setup, index: link.index, reason, steering, active })
    }

    /// The name of the interface.
    pub(crate) fn interface(&self) -> &str {
        &self.setup.interface
    }

    /// Goes over to a plan that differs in rates alone; what waits stays.
    ///
    /// # Errors
    /// What the kernel refuses.
    pub(crate) fn set_rates(&mut self, plan: Plan) -> Result<(), Error> {
        self.setup.plan = plan;
        for direction in Direction::BOTH {
            if let Some(Speed::Fixed(rate)) = plan.speed(direction) {
                self.active.set_rate(direction, rate)?;
            }
        }
        Ok(())
    }

    /// Whether the interface is there no more, or is another of its name.
    fn is_gone(&self, netlink: &mut Netlink) -> bool {
        netlink
            .link_by_name(&self.setup.interface)
            .is_ok_and(|link| link.is_none_or(|link| link.index != self.index))
    }

    /// What is wrong, as a sentence.
    pub(crate) fn problem(&self, netlink: &mut Netlink) -> Option<String> {
        let name = &self.setup.interface;
        if self.is_gone(netlink) {
            return Some(format!("{name} went away, and its queue with it: restart sixgate once it is back"));
        }
        let refused = self.steering.as_ref().and_then(|steering| held(&steering.steered).refused.clone());
        let refused = refused.map(|why| format!("the rate of {name} does not follow its link: {why}"));
        self.failed().map(|why| format!("{name} is not shaped any more, restart sixgate: {why}")).or(refused)
    }

    /// Why it does not go on, if it does not.
    pub(crate) fn failed(&self) -> Option<String> {
        match &self.active {
            Active::Own(own) => own.failed(),
            Active::Kernel(kernel) => held(kernel).failed(),
        }
    }
}

/// What the configuration wants before its uplink and its LANs.
pub(crate) fn wanted(config: &crate::config::Config) -> impl Iterator<Item = Setup> {
    config.shaped().map(|(_, interface, shape)| Setup {
        interface: interface.value.clone(),
        plan: shape.plan,
        targets: shape.targets.clone(),
    })
}

/// What an interface has, where its driver knows.
pub(crate) fn interface_speed(name: &str) -> Option<Rate> {
    // Names are those of the configuration, which holds them to what interfaces can be called.
    let text = std::fs::read_to_string(format!("/sys/class/net/{name}/speed")).ok()?;
    text.trim().parse::<u64>().ok().filter(|mbit| *mbit > 0).map(Rate::mbit)
}

/// `sixgate shape`: shapes one interface until told to stop.
pub(crate) fn command(arguments: &Arguments) -> Outcome {
    let stopped = match crate::demo::stop_on_signal() {
        Ok(stopped) => stopped,
        Err(error) => return fail(&format!("cannot listen for Ctrl-C: {error}")),
    };
    // It needs no more than this, whoever began it; and to begin, a thread that others do not keep waiting.
    let kept = Capabilities::from([Capability::NetAdmin, Capability::NetRaw]);
    if let Err(error) = sandbox::keep(kept.with(Capability::SysNice)) {
        return fail(&error.to_string());
    }
    let setup = Setup {
        interface: arguments.interface.clone(),
        plan: arguments.plan(),
        targets: arguments.probe.clone(),
    };
    let started = Netlink::new().map_err(Error::from).and_then(|mut netlink| {
        let shaping = Shaping::start(&mut netlink, setup)?;
        sandbox::keep(kept)?;
        Ok((netlink, shaping))
    });
    let (mut netlink, shaping) = match started {
        Ok(started) => started,
        Err(error) => {
            say(&format!("sixgate: {error}\n"));
            return Outcome::Refused;
        }
    };
    let show = |shaping: &Shaping| {
        let view = shaping.view();
        if arguments.json {
            match serde_json::to_string(&view) {
                Ok(json) => print(&format!("{json}\n")),
                Err(error) => fail(&error.to_string()),
            }
        } else {
            print(&view.table())
        }
    };
    let told = if arguments.json {
        show(&shaping)
    } else {
        print(&format!("on: {}; until Ctrl-C\n", shaping.view().line()))
    };
    if told != Outcome::Done {
        return told;
    }
    for glance in 0_u32.. {
        if stopped.load(Ordering::Relaxed) {
            break;
        }
        // The kernel is asked less often.
        if glance.is_multiple_of(CHECKED) {
            let name = &shaping.setup.interface;
            let gone = || format!("{name} went away, and its queue with it; start again once it is back");
            let why = shaping.is_gone(&mut netlink).then(gone).or_else(|| shaping.failed());
            if let Some(why) = why {
                return fail(&format!("shaping has ended: {why}"));
            }
        }
        std::thread::sleep(GLANCE);
    }
    show(&shaping)
}
